//! The steps of a fix in the order in which they are gone through, and the places where a way has to be chosen.

use crate::model::{FixOption, Remediation, Report, RootGroup, Step, StepKind};

/// One thing on the way.
#[derive(Debug, Clone)]
pub(super) enum Item {
    /// A step, and what it is called.
    Step(String, Step),
    /// Ways to choose one from, and how many items the chosen one has put behind this.
    Ways(Vec<FixOption>, usize),
}

/// The way through a fix.
#[derive(Debug, Clone, Default)]
pub(super) struct Sequence {
    items: Vec<Item>,
    at: usize,
}

impl Sequence {
    /// All steps that a root takes: those of what must be right before come first. Numbers and letters are those of the report.
    pub(super) fn of_fix(report: &Report, group: &RootGroup) -> Self {
        let fixes = report.fixes(group);
        let count: usize = fixes.iter().map(|fix| fix.steps.len()).sum();
        let mut items = Vec::new();
        let mut number = 0;
        for fix in fixes {
            let of = |number: usize| format!("step {number} of {count}");
            items.extend(steps(&fix.steps, &mut number, of));
            if !fix.options.is_empty() {
                items.push(Item::Ways(fix.options.clone(), 0));
            }
        }
        Self { items, at: 0 }
    }

    /// The steps that undo a fix.
    pub(super) fn of_rollback(fix: &Remediation) -> Self {
        let count = fix.rollback.len();
        Self { items: steps(&fix.rollback, &mut 0, |number| format!("undo {number} of {count}")).collect(), at: 0 }
    }

    /// Goes on behind what is done already.
    pub(super) fn resume(&mut self, is_done: impl Fn(&str, &Step) -> bool) {
        let is_over = |item: &Item| match item {
            Item::Step(label, step) => step.kind == StepKind::Note || is_done(label, step),
            Item::Ways(..) => false,
        };
        let over = self.items.iter().take_while(|item| is_over(item)).count();
        // A note belongs to what follows, and at the end one starts over.
        let is_step = |item: &Item| matches!(item, Item::Step(label, step) if is_done(label, step));
        let behind = self.items[..over].iter().rposition(is_step).map_or(0, |last| last + 1);
        self.at = if behind < self.items.len() { behind } else { 0 };
    }

    /// Where one stands; `None` at the end.
    pub(super) fn current(&self) -> Option<&Item> {
        self.items.get(self.at)
    }

    /// Goes on.
    pub(super) fn forward(&mut self) {
        self.at += 1;
    }

    /// Goes back to what was asked before; false at the begin.
    pub(super) fn back(&mut self) -> bool {
        let is_asked = |item: &Item| !matches!(item, Item::Step(_, step) if step.kind == StepKind::Note);
        match self.items[..self.at.min(self.items.len())].iter().rposition(is_asked) {
            Some(before) => {
                self.at = before;
                true
            }
            None => false,
        }
    }

    /// Takes one of the ways at which one stands, in the place of one that was taken before.
    pub(super) fn take(&mut self, way: usize) {
        let Some(Item::Ways(options, taken)) = self.items.get_mut(self.at) else { return };
        let Some(option) = options.get(way).cloned() else { return };
        let letter = letter(way);
        let count = option.steps.len();
        let label = |number: usize| format!("way {letter}, step {number} of {count}");
        let new: Vec<Item> = steps(&option.steps, &mut 0, label).collect();
        let old = std::mem::replace(taken, new.len());
        self.at += 1;
        self.items.splice(self.at..self.at + old, new);
    }

    /// What lies ahead: label and command.
    pub(super) fn ahead(&self) -> Vec<(String, String)> {
        let rest = self.items.get(self.at..).unwrap_or_default().iter();
        rest.filter_map(|item| match item {
            Item::Step(label, step) if step.kind != StepKind::Note => Some((label.clone(), step.command.clone())),
            Item::Ways(_, 0) => Some(("a way".to_owned(), "one of several has to be chosen".to_owned())),
            _ => None,
        })
        .collect()
    }
}

/// The letter of a way.
pub(super) fn letter(way: usize) -> char {
    ('a'..='z').nth(way).unwrap_or('z')
}

fn steps<'s>(
    steps: &'s [Step],
    number: &'s mut usize,
    label: impl Fn(usize) -> String + 's,
) -> impl Iterator<Item = Item> + 's {
    steps.iter().map(move |step| {
        // The report numbers notes, too.
        *number += 1;
        Item::Step(label(*number), step.clone())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CheckId, Risk};

    fn step(command: &str) -> Step {
        let kind = if command.is_empty() { StepKind::Note } else { StepKind::Command };
        let (text, command) = (String::new(), command.to_owned());
        Step { kind, risk: Risk::Change, text, command, keeps: false, of: CheckId("x"), placeholders: Vec::new() }
    }

    fn labels(sequence: &Sequence) -> Vec<String> {
        sequence.ahead().into_iter().map(|(label, command)| format!("{label}: {command}")).collect()
    }

    #[test]
    fn a_way_is_taken_and_another_in_its_place() {
        let option = |title: &str, commands: &[&str]| FixOption {
            title: title.into(),
            steps: commands.iter().map(|c| step(c)).collect(),
        };
        let mut number = 0;
        let mut items: Vec<Item> = steps(&[step("a"), step("")], &mut number, |n| format!("step {n} of 2")).collect();
        items.push(Item::Ways(vec![option("one", &["b", "c"]), option("two", &["d"])], 0));
        let mut sequence = Sequence { items, at: 0 };
        assert_eq!(labels(&sequence), ["step 1 of 2: a", "a way: one of several has to be chosen"]);
        sequence.resume(|label, _| label == "step 1 of 2");
        sequence.forward();
        sequence.take(0);
        assert_eq!(labels(&sequence), ["way a, step 1 of 2: b", "way a, step 2 of 2: c"]);
        assert!(sequence.back());
        sequence.take(1);
        assert_eq!(labels(&sequence), ["way b, step 1 of 1: d"]);
        assert!(sequence.back() && sequence.back() && !sequence.back());
    }
}
