//! Root causes: one line each with its first command, and what is told of one.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;

use super::View;
use crate::model::{
    CheckId, Counted, Finding, FixOption, Gap, ResourceRef, Risk, RootGroup, Severity, Signal, Step, StepKind, Weight,
};
use crate::render::words::{self, plural};

/// Root causes of one check that are told in full.
const ALIKE: usize = 5;
/// Observations of one finding.
const EVIDENCE: usize = 4;
/// Names in a list.
const NAMES: usize = 4;
/// Signals beneath a root.
const BENEATH: usize = 6;
/// Lines up to which a value is no file and no list.
const SHORT: usize = 3;
/// Letters from which on what a message says need not be said again as evidence.
const REPEATED: usize = 24;

/// What a root explains where all of that is about the same as the root.
const ALSO_SAID: &str = "what else is said of it";

/// One root cause in one line.
#[derive(Debug)]
pub(in crate::render) struct Entry<'a> {
    pub(in crate::render) number: usize,
    pub(in crate::render) severity: Severity,
    pub(in crate::render) check: CheckId,
    /// What and where.
    pub(in crate::render) what: String,
    /// `explains 3 symptoms and 5 signals`; empty where it explains nothing else.
    pub(in crate::render) explains: String,
    pub(in crate::render) first: Option<First<'a>>,
}

/// What to do first: the first step that changes something, else the first look.
#[derive(Debug)]
pub(in crate::render) struct First<'a> {
    pub(in crate::render) step: &'a Step,
    /// The way that it is a step of, where there are several to choose from.
    pub(in crate::render) option: Option<&'a FixOption>,
    /// What the fix is called: what stands above lines of a file says little without them.
    title: &'a str,
    /// What one has to know before it, in the words of the notes that stand above it.
    pub(in crate::render) caution: Option<&'a str>,
}

/// Root causes of one check beyond those that are told in full.
#[derive(Debug)]
pub(in crate::render) struct Rest {
    pub(in crate::render) check: CheckId,
    pub(in crate::render) severity: Severity,
    pub(in crate::render) count: usize,
    pub(in crate::render) names: String,
}

/// An observation.
#[derive(Debug)]
pub(in crate::render) struct Seen<'a> {
    pub(in crate::render) source: &'a str,
    /// Empty where nothing is to be told of it.
    pub(in crate::render) value: String,
    pub(in crate::render) reproduce: &'a str,
}

/// What a root explains.
#[derive(Debug)]
pub(in crate::render) struct Explained {
    /// `2 Pods, 1 Service`.
    pub(in crate::render) counts: String,
    /// The victims by check.
    pub(in crate::render) by_check: Vec<(CheckId, String)>,
}

/// Text without its line breaks and indents.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// How sentences begin that say on what a step hangs, or what comes before it.
const CAUTIONS: &[&str] =
    &["Before ", "First ", "First, ", "If ", "Not ", "Do not ", "Only ", "Wait ", "Unless ", "Until ", "Take care"];
/// What a sentence holds that says who undoes a step.
const KEEPERS: &[&str] = &[" belongs to ", " is kept by ", "next deployment", "next upgrade", "next sync"];

/// The first sentence of notes without which the step below them would be done amiss.
fn caution<'s>(notes: &[&'s Step]) -> Option<&'s str> {
    let is_one = |s: &&str| CAUTIONS.iter().any(|w| s.starts_with(w)) || KEEPERS.iter().any(|w| s.contains(w));
    notes.iter().flat_map(|n| sentences(&n.text)).find(is_one)
}

/// Sentences of a note, each with its full stop.
fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text.trim();
    std::iter::from_fn(move || {
        let mut ends = rest.match_indices(". ").map(|(at, _)| at + 1);
        // A stop within backticks is part of a word.
        let end = ends.find(|at| rest[..*at].matches('`').count().is_multiple_of(2)).unwrap_or(rest.len());
        let (sentence, after) = rest.split_at(end);
        rest = after.trim_start();
        (!sentence.is_empty()).then_some(sentence)
    })
}

/// What of a first step fits an overview.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::render) enum Brief<'a> {
    /// A command, and how many follow it.
    Command(&'a str, usize),
    /// What to do, which the warning of a step says by itself; how is told elsewhere.
    Text(String),
    /// An object to apply; its manifest is told elsewhere.
    Apply(String),
}

impl<'a> First<'a> {
    /// The risk of a step that changes something, and what is done: a restart alone is seldom what one does.
    pub(in crate::render) fn warning(&self) -> Option<(Risk, String)> {
        let what = match self.brief() {
            Brief::Text(said) => said,
            _ => self.step.text.clone(),
        };
        (self.step.risk >= Risk::Change).then_some((self.step.risk, what))
    }

    /// What a command is for that keeps something in a file before anything is changed.
    pub(in crate::render) fn purpose(&self) -> Option<&'a str> {
        self.step.keeps.then_some(self.step.text.as_str()).filter(|text| !text.is_empty())
    }

    /// What is done, where the step itself does not fit a line.
    fn words(&self) -> Brief<'a> {
        let is_caption = self.step.kind != StepKind::Command && !self.title.is_empty();
        Brief::Text(if is_caption { self.title.to_owned() } else { self.step.text.clone() })
    }

    /// One line of it.
    pub(in crate::render) fn brief(&self) -> Brief<'a> {
        let step = self.step;
        let mut lines = step.command.lines();
        let first = lines.next().unwrap_or_default();
        let more = lines.count();
        match step.kind {
            StepKind::Command | StepKind::Manifest if more == 0 => Brief::Command(first, 0),
            // Several commands, and not the lines of one.
            StepKind::Command if !first.contains("<<") && !first.ends_with('\\') => Brief::Command(first, more),
            StepKind::Manifest => applied(&step.command).map_or_else(|| self.words(), Brief::Apply),
            _ => self.words(),
        }
    }
}

/// `apply NetworkPolicy allow-prometheus`.
fn applied(manifest: &str) -> Option<String> {
    let value = |key: &str| manifest.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    Some(format!("apply {} {}", value("kind:")?, value("  name:")?))
}

impl<'a> View<'a> {
    /// The root causes that are told in full, with their numbers, and the rest.
    pub(in crate::render) fn roots(self) -> (Vec<(usize, &'a RootGroup)>, Vec<Rest>) {
        let mut of_check: BTreeMap<CheckId, usize> = BTreeMap::new();
        let mut told = Vec::new();
        let mut rest: Vec<(CheckId, Vec<&Finding>)> = Vec::new();
        for (at, group) in self.report.roots.iter().enumerate() {
            let root = &self.report.findings[group.root];
            let count = of_check.entry(root.check).or_default();
            *count += 1;
            if *count <= self.up_to(ALIKE) {
                told.push((at + 1, group));
                continue;
            }
            match rest.iter_mut().find(|(check, _)| *check == root.check) {
                Some((_, findings)) => findings.push(root),
                None => rest.push((root.check, vec![root])),
            }
        }
        let rest = rest.into_iter().map(|(check, findings)| Rest {
            check,
            severity: findings.iter().map(|f| f.severity).max().unwrap_or(Severity::Warning),
            count: findings.len(),
            names: words::names(findings.iter().map(|f| f.subject()), NAMES),
        });
        (told, rest.collect())
    }

    /// The overview.
    pub(in crate::render) fn entries(self) -> Vec<Entry<'a>> {
        self.roots().0.into_iter().map(|(number, group)| self.entry(number, group)).collect()
    }

    fn entry(self, number: usize, group: &'a RootGroup) -> Entry<'a> {
        let root = &self.report.findings[group.root];
        let signals = self.titles(number - 1).len();
        let parts = [(self.symptoms(group), "symptom"), (signals, "signal")];
        let parts: Vec<String> =
            parts.into_iter().filter(|(count, _)| *count > 0).map(|(count, word)| plural(count, word)).collect();
        Entry {
            number,
            severity: root.severity,
            check: root.check,
            what: format!("{}{}", words::line(&root.message), self.accepted(root)),
            explains: if parts.is_empty() { String::new() } else { format!("explains {}", parts.join(" and ")) },
            first: self.first(group),
        }
    }

    /// ` (muted: …)` for a root that is shown for what it explains.
    pub(in crate::render) fn accepted(self, finding: &Finding) -> String {
        finding.muted.as_ref().map(|muted| format!(" (muted: {})", words::line(&muted.reason))).unwrap_or_default()
    }

    fn first(self, group: &'a RootGroup) -> Option<First<'a>> {
        let fixes = self.report.fixes(group);
        let all = fixes.iter().copied().flat_map(|fix| {
            let title = fix.title.as_str();
            let of_options = fix.options.iter().flat_map(move |o| o.steps.iter().map(move |s| (s, Some(o), title)));
            fix.steps.iter().map(move |s| (s, None, title)).chain(of_options)
        });
        let all: Vec<(&'a Step, Option<&'a FixOption>, &'a str)> = all.collect();
        // What depends on what one wants is not what comes first.
        let depends = |s: &Step| ["Or ", "Or, ", "If ", "Optional"].iter().any(|word| s.text.starts_with(word));
        let changes = all.iter().find(|(s, ..)| s.risk > Risk::ReadOnly && s.kind != StepKind::Note && !depends(s));
        let looks = || all.iter().find(|(s, ..)| s.kind.is_shell());
        // What takes data away is not pasted before one has looked.
        let changes = changes
            .filter(|(s, ..)| s.risk < Risk::Destructive || looks().is_none_or(|(l, ..)| l.risk > Risk::ReadOnly));
        let first = changes.or_else(looks)?;
        let is_own = |o: Option<&FixOption>| o.is_none_or(|o| first.1.is_some_and(|own| std::ptr::eq(o, own)));
        // A copy that is kept, or the file that the change takes: without it the change is not what comes first.
        let until = |step: &'a Step| all.iter().take_while(move |(s, ..)| !std::ptr::eq(*s, step));
        let kept = until(first.0).filter(|(_, option, _)| is_own(*option)).find(|(s, ..)| s.keeps);
        let (step, option, title) = *kept.unwrap_or(first);
        let before: Vec<&Step> = until(step).filter(|(_, o, t)| *t == title && is_own(*o)).map(|(s, ..)| *s).collect();
        // What is done before it has notes of its own, and a look does no harm.
        let is_said = before.iter().all(|s| s.kind == StepKind::Note);
        let caution = match step.risk {
            risk if !is_said || risk == Risk::ReadOnly => None,
            Risk::Change => caution(&before),
            // Whatever stands before what interrupts or deletes was meant to be read before.
            _ => caution(&before).or_else(|| sentences(&before.last().copied()?.text).next()),
        };
        Some(First { step, option, title, caution })
    }

    /// Names, bounded.
    pub(in crate::render) fn names<'r>(self, resources: impl IntoIterator<Item = &'r ResourceRef>) -> String {
        words::names(resources, self.up_to(NAMES))
    }

    /// What its check would have looked at, too; what a bundle does not hold is told in full reports alone.
    pub(in crate::render) fn judged_without(self, finding: &Finding) -> Option<String> {
        const LOGS: usize = 3;
        let told = finding.unseen.iter().filter(|g| self.verbose || !g.is_not_collected());
        let (logs, others): (Vec<&Gap>, Vec<&Gap>) = told.partition(|g| g.what.starts_with("log of "));
        let each = |g: &&Gap| format!("{} ({})", g.what, g.cause.as_str());
        let mut what: BTreeSet<String> = others.iter().map(each).collect();
        // Which containers they are of is told where what could not be seen is listed.
        if logs.len() > LOGS {
            let causes: BTreeSet<&str> = logs.iter().map(|g| g.cause.as_str()).collect();
            let causes = causes.into_iter().collect::<Vec<_>>().join(", ");
            what.insert(format!("{} container logs ({causes})", logs.len()));
        } else {
            what.extend(logs.iter().map(each));
        }
        let more = what.len().saturating_sub(self.up_to(NAMES));
        let shown: Vec<String> = what.into_iter().take(self.up_to(NAMES)).collect();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        (!shown.is_empty()).then(|| format!("judged without {}{more}", shown.join(", ")))
    }

    /// What was seen, each thing once, and how many observations are left out. What the message quotes is not said again,
    /// and what one command shows is one observation.
    pub(in crate::render) fn evidence(self, finding: &'a Finding) -> (Vec<Seen<'a>>, usize) {
        let message = plain(&finding.message);
        let mut said: BTreeSet<String> = BTreeSet::new();
        let mut all: Vec<Seen<'_>> = Vec::new();
        for evidence in &finding.evidence {
            // Another object that says the same.
            let mut lines = evidence.value.lines().filter(|l| !l.trim().is_empty()).peekable();
            if lines.peek().is_some() && lines.all(|l| said.contains(&plain(l))) {
                continue;
            }
            let new = |line: &&str| {
                let line = plain(line);
                let quoted = line.chars().count() >= REPEATED && message.contains(&line);
                !quoted && said.insert(line)
            };
            let is_short = evidence.value.trim().lines().count() <= SHORT;
            let lines: Vec<&str> = evidence.value.lines().filter(new).collect();
            // Of a file or a list every line counts, unless none is new.
            let value = if is_short || lines.is_empty() { lines.join("\n") } else { evidence.value.clone() };
            let same = |s: &&mut Seen<'_>| s.source == evidence.source && s.reproduce == evidence.reproduce;
            match all.iter_mut().find(same) {
                Some(_) if value.is_empty() => {}
                Some(seen) if seen.value.is_empty() || message.contains(&plain(&seen.value)) => seen.value = value,
                Some(seen) => seen.value = format!("{}\n{value}", seen.value),
                None => all.push(Seen { source: &evidence.source, value, reproduce: &evidence.reproduce }),
            }
        }
        let left = all.len().saturating_sub(self.up_to(EVIDENCE));
        all.truncate(self.up_to(EVIDENCE));
        (all, left)
    }

    /// What a root explains, by check.
    pub(in crate::render) fn explained(self, group: &RootGroup) -> Option<Explained> {
        if group.explains.is_empty() {
            return None;
        }
        let explained: Vec<&Finding> = group.explains.iter().map(|i| &self.report.findings[*i]).collect();
        let own = self.own(group);
        let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
        // What two checks speak of is one thing.
        let subjects: BTreeSet<&ResourceRef> = explained.iter().flat_map(|f| &f.subjects).collect();
        for subject in subjects.into_iter().filter(|s| !own.contains(s)) {
            *kinds.entry(subject.kind_label()).or_default() += 1;
        }
        let counts: Vec<String> = kinds.iter().map(|(kind, count)| plural(*count, kind)).collect();
        let counts = if counts.is_empty() { ALSO_SAID.to_owned() } else { counts.join(", ") };
        let mut by_check: Vec<(CheckId, Vec<&ResourceRef>)> = Vec::new();
        for finding in explained {
            match by_check.iter_mut().find(|(check, _)| *check == finding.check) {
                Some((_, subjects)) => subjects.extend(&finding.subjects),
                None => by_check.push((finding.check, finding.subjects.iter().collect())),
            }
        }
        // Of a check that tells of more than what the root is about, that is what counts.
        for (_, subjects) in &mut by_check {
            if subjects.iter().any(|s| !own.contains(s)) {
                subjects.retain(|s| !own.contains(s));
            }
        }
        let by_check = by_check.into_iter().map(|(check, subjects)| (check, self.names(subjects))).collect();
        Some(Explained { counts, by_check })
    }

    /// Titles of the signals that a root explains: they show that it is the right one. What is counted at one place is
    /// told once.
    fn titles(self, root: usize) -> Vec<String> {
        let signals = self.report.signals.iter();
        let mut titles: IndexMap<&str, (&Signal, usize)> = IndexMap::new();
        for signal in signals.filter(|s| s.explained_by == Some(root) && s.weight > Weight::Nothing) {
            let place = signal.counted.as_ref().map_or(signal.title.as_str(), Counted::place);
            let count = signal.counted.as_ref().map_or(0, Counted::count);
            titles.entry(place).or_insert((signal, 0)).1 += count;
        }
        let told = |(signal, count): (&Signal, usize)| {
            signal.counted.as_ref().map_or_else(|| signal.title.clone(), |counted| counted.title(count))
        };
        titles.into_values().map(told).collect()
    }

    /// Where a root shows, bounded; empty where nowhere.
    pub(in crate::render) fn seen_in(self, root: usize) -> String {
        let mut titles = self.titles(root);
        let more = titles.len().saturating_sub(self.up_to(BENEATH));
        titles.truncate(self.up_to(BENEATH));
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{}{rest}", titles.join(" · "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(text: &str) -> Step {
        Step {
            kind: StepKind::Note,
            risk: Risk::ReadOnly,
            text: text.into(),
            command: String::new(),
            of: CheckId("test"),
            placeholders: Vec::new(),
            keeps: false,
        }
    }

    #[test]
    fn of_notes_before_a_step_the_caution_is_told() {
        let said =
            note("What was said: no such host. It names `a. b`. If nobody needs it, take it out instead. Then look.");
        let kept =
            note("ConfigMap a/b belongs to Helm release x: change its values, or the next deployment undoes it.");
        let other = note("Loki takes lines at `/push`. All else is 404.");
        let told = caution(&[&other, &said, &kept]);
        assert_eq!(told, Some("If nobody needs it, take it out instead."));
        assert_eq!(caution(&[&kept]), Some(kept.text.as_str()));
        assert_eq!(caution(&[&note("What was said: x.")]), None);
        assert_eq!(sentences("It names `a. b`. Then.").collect::<Vec<_>>(), ["It names `a. b`.", "Then."]);
    }
}
