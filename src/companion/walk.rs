//! Goes through the steps of a fix: shows each, and does with it what the person wants.

use super::deeds::{Mark, StepId};
use super::manner::{self, Manner};
use super::sequence::{Item, Sequence, letter};
use super::session::{Companion, HELP};
use super::show::capital;
use super::tools::{self, Missing};
use super::work::Work;
use super::{MayRun, Reach, Stop, dry_run};
use crate::model::{Finding, FixOption, Placeholder, Risk, Step, StepKind};
use crate::pages;
use crate::render::{bold, dim};

/// What is done with a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Run,
    Diff,
    Copy,
    Edit,
    Values,
    Skip,
    Done,
    Undo,
    Back,
    Quit,
}

/// Where one goes from a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Go {
    On,
    Back,
    /// To the way back.
    Undo,
}

impl Companion<'_> {
    /// Goes through all steps; true at the end of the fix, false where the person left before, or undid it.
    pub(super) fn walk(&mut self, fingerprint: &str, mut sequence: Sequence) -> Result<bool, Stop> {
        let mut is_undone = false;
        loop {
            self.record.ahead(fingerprint, sequence.ahead());
            let Some(item) = sequence.current().cloned() else { return Ok(!is_undone) };
            let go = match item {
                Item::Ways(options, _) => match self.choose_way(&options)? {
                    Some(way) => {
                        sequence.take(way);
                        continue;
                    }
                    None => Go::Back,
                },
                Item::Step(_, step) if step.kind == StepKind::Note => {
                    self.say_note(&step)?;
                    Go::On
                }
                Item::Step(label, step) => self.step(fingerprint, label, step)?,
            };
            match go {
                Go::On => sequence.forward(),
                Go::Back if sequence.back() => {}
                Go::Back => {
                    self.record.ahead(fingerprint, Vec::new());
                    return Ok(false);
                }
                Go::Undo => {
                    let Some(back) = self.rollback(fingerprint) else { return Ok(false) };
                    sequence = back;
                    is_undone = true;
                }
            }
        }
    }

    fn choose_way(&mut self, options: &[FixOption]) -> Result<Option<usize>, Stop> {
        let mut page = self.page();
        page.blank();
        page.line(2, &[("one of these ways", bold())]);
        for (at, option) in options.iter().enumerate() {
            page.paragraph(4, &format!("{}) ", letter(at)), &option.title, bold());
            let first = option.steps.iter().find(|s| s.kind != StepKind::Note);
            if let Some(step) = first {
                let risk = worst(&option.steps);
                let count = option.steps.len();
                let of = if count == 1 { "1 step".to_owned() } else { format!("{count} steps") };
                page.paragraph(7, "", &format!("{of}, {}: {}", risk.as_str(), step.text), dim());
            }
        }
        page.blank();
        self.talk.say(&page.finish())?;
        let titles = options.iter().enumerate().map(|(at, o)| format!("{}) {}", letter(at), o.title));
        let chosen = self.talk.choose("Which way?", &titles.collect::<Vec<_>>(), HELP)?;
        if let Some(at) = chosen {
            self.record.note(&format!("chose way {}) {}", letter(at), options[at].title));
        }
        Ok(chosen)
    }

    fn step(&mut self, fingerprint: &str, label: String, step: Step) -> Result<Go, Stop> {
        let (command, risk) = (step.command.clone(), step.risk);
        let mut work = Work { label, step, command, risk, is_edited: false };
        // Also what a value of the cluster left open, or what was masked.
        for name in pages::names(&work.command, work.language()) {
            if !work.step.placeholders.iter().any(|p| p.name == name) {
                work.step.placeholders.push(Placeholder::new(name));
            }
        }
        self.show(fingerprint, &work)?;
        if self.fill(fingerprint, &mut work, false)? {
            self.show_command(&work)?;
        }
        loop {
            let (acts, choices): (Vec<Act>, Vec<String>) = self.acts(fingerprint, &work).into_iter().unzip();
            let question = format!("{}:", capital(&work.label));
            let Some(chosen) = self.talk.choose(&question, &choices, HELP)? else { return Ok(Go::Back) };
            match acts[chosen] {
                Act::Run => {
                    if self.run_step(fingerprint, &work)? {
                        return Ok(Go::On);
                    }
                }
                Act::Diff => self.diff(&work)?,
                Act::Copy => self.copy(&work)?,
                Act::Edit => {
                    if self.edit(&mut work)? {
                        self.show_command(&work)?;
                    }
                }
                Act::Values => {
                    if self.fill(fingerprint, &mut work, true)? {
                        self.show_command(&work)?;
                    }
                }
                Act::Skip => return self.leave(fingerprint, &work, Mark::Skipped),
                Act::Done => return self.leave(fingerprint, &work, Mark::Done),
                Act::Undo => return Ok(Go::Undo),
                Act::Back => return Ok(Go::Back),
                Act::Quit => return Err(Stop::Quit),
            }
        }
    }

    fn leave(&mut self, fingerprint: &str, work: &Work, mark: Mark) -> Result<Go, Stop> {
        self.record.marked(&work.id(fingerprint), &work.command, mark);
        self.marks.insert(work.id(fingerprint), mark);
        // What somebody did elsewhere may be more than the step says.
        if mark == Mark::Done {
            self.reach = Reach::Beyond;
        }
        Ok(Go::On)
    }

    /// What can be done with a step now.
    fn acts(&self, fingerprint: &str, work: &Work) -> Vec<(Act, String)> {
        let mut acts = Vec::new();
        let is_shell = work.step.kind.is_shell();
        let failed = self.mark(&work.id(fingerprint)) == Some(Mark::Failed);
        if self.cannot_run(work).is_none() {
            let again = if failed { "run it again" } else { "run it" };
            acts.push((Act::Run, format!("{again}: asks again before")));
        }
        let may_ask = self.options.is_live && self.options.may_run == MayRun::Yes;
        let can_diff = is_shell && may_ask && open(work).is_none() && dry_run::of(&work.command).is_ok();
        if can_diff {
            acts.push((Act::Diff, "diff: what it would change, by the server's dry run".to_owned()));
        }
        acts.push((Act::Copy, if is_shell { "copy the command" } else { "copy the lines" }.to_owned()));
        if is_shell {
            acts.push((Act::Edit, "edit it in your editor".to_owned()));
        }
        if !work.step.placeholders.is_empty() && !work.is_edited {
            acts.push((Act::Values, "values: choose them again".to_owned()));
        }
        acts.push((Act::Skip, "skip it".to_owned()));
        acts.push((Act::Done, "mark it as done: I did it elsewhere".to_owned()));
        if failed && self.can_undo(fingerprint, work) {
            acts.push((Act::Undo, "undo what was done".to_owned()));
        }
        acts.push((Act::Back, "back".to_owned()));
        acts.push((Act::Quit, "quit".to_owned()));
        acts
    }

    fn can_undo(&self, fingerprint: &str, work: &Work) -> bool {
        let has_way = |root: &Finding| !root.remediation.rollback.is_empty();
        self.root_of(fingerprint).is_some_and(has_way) && !work.label.starts_with("undo")
    }

    pub(super) fn mark(&self, id: &StepId) -> Option<Mark> {
        self.marks.get(id).copied()
    }

    /// Why a step is not run from here; `None`: it may be.
    pub(super) fn cannot_run(&self, work: &Work) -> Option<String> {
        if !work.step.kind.is_shell() {
            return Some("a change in a file is made by hand".to_owned());
        }
        if let MayRun::No(why) = &self.options.may_run {
            return Some(why.clone());
        }
        if let Some(name) = open(work) {
            return Some(format!("<{name}> has no value yet"));
        }
        if manner::of(&work.command) == Manner::Endless {
            return Some("it runs until it is stopped: copy it into another terminal".to_owned());
        }
        tools::missing(&work.command).first().map(Missing::told)
    }
}

/// The first value that is still open.
fn open(work: &Work) -> Option<String> {
    pages::names(&work.command, work.language()).into_iter().next()
}

fn worst(steps: &[Step]) -> Risk {
    steps.iter().filter(|s| s.kind != StepKind::Note).map(|s| s.risk).max().unwrap_or(Risk::ReadOnly)
}
