//! What is told beside the root causes: signals without one, things worth knowing, what could not be seen.

use std::collections::BTreeSet;

use super::View;
use crate::model::{Gap, Outcome, ResourceRef, Severity, Signal, SignalKind, Weight};
use crate::render::words;

/// Unexplained signals that are told.
const SIGNALS: usize = 10;
/// Notes that are told.
const NOTES: usize = 12;
/// Calls that failed alike, by name.
const CALLS: usize = 6;
/// Checks without a verdict, by name.
const CHECKS: usize = 12;

/// Signals without a known cause.
#[derive(Debug)]
pub(in crate::render) struct OpenSignals<'a> {
    pub(in crate::render) shown: Vec<&'a Signal>,
    pub(in crate::render) more: usize,
}

/// Things that could not be seen for one reason.
#[derive(Debug)]
pub(in crate::render) struct Unseen {
    pub(in crate::render) text: String,
    /// The checks that it kept from a verdict; may be empty.
    pub(in crate::render) checks: String,
    pub(in crate::render) hint: String,
}

/// A gap, and the checks that it kept from a verdict.
type OfGap<'a> = (&'a Gap, Vec<String>);

/// Gaps that say the same of several things, together.
fn alike<'a, 'b>(gaps: &'b [OfGap<'a>]) -> Vec<Vec<&'b OfGap<'a>>> {
    let mut groups: Vec<Vec<&OfGap<'_>>> = Vec::new();
    for gap in gaps {
        let same = |g: &Vec<&OfGap<'_>>| {
            let (one, other) = (g[0].0, gap.0);
            one.cause == other.cause && one.message == other.message && one.hint == other.hint
        };
        match groups.iter_mut().find(|g| same(g)) {
            Some(group) => group.push(gap),
            None => groups.push(vec![gap]),
        }
    }
    groups
}

impl<'a> View<'a> {
    /// Signals without a known cause, bounded.
    pub(in crate::render) fn unexplained(self) -> OpenSignals<'a> {
        let mut shown: Vec<&Signal> = self.open().collect();
        let more = shown.len().saturating_sub(self.up_to(SIGNALS));
        shown.truncate(self.up_to(SIGNALS));
        OpenSignals { shown, more }
    }

    /// What is only worth knowing.
    pub(in crate::render) fn notes(self) -> Vec<String> {
        // What a root cause explains is told there.
        let told: BTreeSet<usize> = self.report.roots.iter().flat_map(|g| g.explains.iter().copied()).collect();
        let findings = self.report.findings.iter().enumerate();
        let findings =
            findings.filter(|(at, f)| f.severity == Severity::Info && f.muted.is_none() && !told.contains(at));
        let mut notes: Vec<String> = Vec::new();
        for (_, finding) in findings {
            notes.push(format!("{} ({})", finding.message, finding.check));
            // The message tells the first place of a file, and how many more there are.
            if self.verbose && finding.locations.len() > 1 {
                let others = finding.evidence.iter().skip(1);
                notes.extend(others.map(|e| format!("{} ({})", e.source, finding.check)));
            }
        }
        let muted = self.report.findings.iter().filter_map(|f| Some((f, f.muted.as_ref()?)));
        let accepted = muted.filter(|_| self.verbose);
        notes.extend(accepted.map(|(f, muted)| format!("muted: {} ({}): {}", f.message, f.check, muted.reason)));
        let unexplained = self.report.signals.iter().filter(|s| s.weight == Weight::Note && s.explained_by.is_none());
        let told = unexplained.filter(|s| self.verbose || (s.kind == SignalKind::Alert && !s.next.is_empty()));
        for signal in told {
            let why = if signal.next.is_empty() { &signal.text } else { &signal.next };
            // One alert may fire for several objects.
            let title = match (&signal.subject, signal.kind) {
                (ResourceRef::Kubernetes { .. }, SignalKind::Alert) => format!("{} ({})", signal.title, signal.subject),
                _ => signal.title.clone(),
            };
            let line = if why.is_empty() { title } else { format!("{title}: {why}") };
            if !notes.contains(&line) {
                notes.push(line);
            }
        }
        let more = notes.len().saturating_sub(self.up_to(NOTES));
        notes.truncate(self.up_to(NOTES));
        if more > 0 {
            notes.push(format!("{more} more with --verbose"));
        }
        notes
    }

    /// What could not be seen.
    pub(in crate::render) fn unseen(self) -> Vec<Unseen> {
        let report = self.report;
        let mut gaps: Vec<OfGap<'_>> = Vec::new();
        let mut note = |gap: &'_ Gap, check: Option<String>| -> Option<()> {
            let stored = report.gaps.iter().find(|g| *g == gap)?;
            match gaps.iter_mut().find(|(g, _)| *g == stored) {
                Some((_, checks)) => checks.extend(check),
                None => gaps.push((stored, Vec::from_iter(check))),
            }
            Some(())
        };
        let mut others: Vec<Unseen> = Vec::new();
        let mut alone = |check: String, why: String| {
            others.push(Unseen { text: format!("{check}: {why}"), checks: String::new(), hint: String::new() });
        };
        for run in &report.runs {
            match &run.outcome {
                Outcome::NotEvaluated(gap) if note(gap, Some(run.check.id.to_string())).is_none() => {
                    alone(run.check.id.to_string(), gap.to_string());
                }
                Outcome::Failed(bug) => alone(run.check.id.to_string(), bug.clone()),
                _ => {}
            }
        }
        // A bundle without something that only sharpens verdicts is not worth a line, a refusal is.
        for gap in report.gaps.iter().filter(|g| self.verbose || !g.is_not_collected()) {
            note(gap, None);
        }
        let mut all: Vec<Unseen> = alike(&gaps).iter().map(|group| self.of_gaps(group)).collect();
        all.append(&mut others);
        all
    }

    fn of_gaps(self, alike: &[&OfGap<'_>]) -> Unseen {
        let gap = alike[0].0;
        let calls: Vec<String> = alike.iter().map(|(g, _)| g.what.clone()).collect();
        let told = Gap { what: words::few(&calls, self.up_to(CALLS)), ..gap.clone() };
        let checks: Vec<String> = alike.iter().flat_map(|(_, checks)| checks).cloned().collect();
        Unseen { text: told.to_string(), checks: words::few(&checks, self.up_to(CHECKS)), hint: gap.hint.clone() }
    }
}
