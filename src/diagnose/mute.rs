//! Findings that somebody has accepted: they stay in the report, say so, and do not count.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::model::{Finding, MuteRecord, MuteState, Muted, Outcome, Report, RootGroup};
use crate::text::glob;

/// A finding that is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mute {
    /// The check.
    pub check: String,
    /// What the finding is about, as reports write it: `Deployment batch/*`.
    pub subject: String,
    /// Why.
    pub reason: String,
    /// The last day on which it is.
    pub until: Option<Date>,
    /// Where that is written: `kdoctor.toml:12`.
    pub place: String,
}

impl Mute {
    fn is_over(&self, at: Timestamp) -> bool {
        self.until.is_some_and(|until| at.to_zoned(TimeZone::UTC).date() > until)
    }

    /// The main subject is the one that reports name; those of its kind are its equals, and none of them may be another's.
    fn is_about(&self, finding: &Finding) -> bool {
        if finding.check.0 != self.check {
            return false;
        }
        let main = finding.subject().kind_label();
        let mut equals = finding.subjects.iter().filter(|s| s.kind_label() == main);
        equals.all(|subject| fits(&self.subject, &subject.to_string()))
    }
}

/// Marks the findings that are muted, takes roots of which nothing else is left out of the roots that count, and says what
/// became of each mute.
pub fn mute(report: &mut Report, mutes: &[Mute]) {
    let at = report.collected_at;
    let mut used = vec![0; mutes.len()];
    for finding in &mut report.findings {
        for (number, mute) in mutes.iter().enumerate() {
            if !mute.is_about(finding) {
                continue;
            }
            // One that is over mutes nothing, but has something to mute.
            used[number] += 1;
            if !mute.is_over(at) && finding.muted.is_none() {
                finding.muted = Some(Muted { reason: mute.reason.clone(), until: mute.until.map(|d| d.to_string()) });
            }
        }
    }
    let findings = &report.findings;
    let is_muted = |group: &RootGroup| {
        let members = group.prerequisites.iter().chain(&group.explains);
        std::iter::once(&group.root).chain(members).all(|at| findings[*at].muted.is_some())
    };
    let (muted, counted): (Vec<_>, Vec<_>) =
        std::mem::take(&mut report.roots).into_iter().enumerate().partition(|(_, group)| is_muted(group));
    // Signals name their root by its place.
    let places: Vec<usize> = counted.iter().chain(&muted).map(|(before, _)| *before).collect();
    for signal in &mut report.signals {
        signal.explained_by = signal.explained_by.and_then(|root| places.iter().position(|before| *before == root));
    }
    report.roots = counted.into_iter().map(|(_, group)| group).collect();
    report.muted_roots = muted.into_iter().map(|(_, group)| group).collect();
    report.mutes = mutes.iter().zip(used).map(|(mute, used)| record(report, mute, used)).collect();
}

fn record(report: &Report, mute: &Mute, used: usize) -> MuteRecord {
    let is_judged = report.runs.iter().any(|run| {
        run.check.id.0 == mute.check && !matches!(run.outcome, Outcome::NotEvaluated(_) | Outcome::Failed(_))
    });
    let state = match used {
        _ if mute.is_over(report.collected_at) => MuteState::Expired,
        0 if is_judged => MuteState::Unused,
        0 => MuteState::NotJudged,
        _ => MuteState::Used,
    };
    MuteRecord {
        check: mute.check.clone(),
        subject: mute.subject.clone(),
        reason: mute.reason.clone(),
        until: mute.until.map(|d| d.to_string()),
        place: mute.place.clone(),
        findings: used,
        state,
    }
}

/// The case does not count.
fn fits(pattern: &str, text: &str) -> bool {
    glob::fits(&pattern.to_lowercase(), &text.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_case_of_a_pattern_does_not_count() {
        assert!(fits("Deployment batch/*", "deployment batch/report-1"));
        assert!(!fits("Deployment batch/*", "Deployment prod/a"));
    }
}
