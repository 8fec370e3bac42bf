//! How it stands after a fix: what of the report before is resolved, what still fails and why, what is new.

use std::collections::BTreeSet;

use crate::history::Past;
use crate::model::{CheckId, Finding, Report, Severity};

/// What became of one root cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Became {
    /// Its check looked, and finds it no more.
    Resolved,
    /// It is still there: as a root, or explained by something else.
    Failing(String),
    /// Its check could not be evaluated this time.
    Unknown(String),
    /// It was not there before.
    New(String),
}

/// One root cause, before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fate {
    pub(super) check: CheckId,
    pub(super) fingerprint: String,
    /// What it is about.
    pub(super) about: String,
    pub(super) became: Became,
}

/// What became of the root causes of a report, and which are new.
pub(super) fn compare(before: &Report, after: &Report) -> Vec<Fate> {
    let mut fates: Vec<Fate> = Vec::new();
    let (past, now) = (Past::of(before), Past::of(after));
    let roots: BTreeSet<Identity> = before.roots.iter().map(|g| identity(&before.findings[g.root])).collect();
    for group in &before.roots {
        let finding = &before.findings[group.root];
        let became = match still_there(after, finding) {
            Some(at) => Became::Failing(why(after, at)),
            None => gone(&past, &now, group.root),
        };
        fates.push(fate(finding, became));
    }
    let known: BTreeSet<Identity> = before.findings.iter().map(identity).collect();
    for group in &after.roots {
        let finding = &after.findings[group.root];
        let own = identity(finding);
        let message = finding.message.clone();
        match (roots.contains(&own), known.contains(&own)) {
            (true, _) => {}
            // It was a symptom; what explained it is gone.
            (false, true) => fates.push(fate(finding, Became::Failing(message))),
            (false, false) => fates.push(fate(finding, Became::New(message))),
        }
    }
    fates
}

fn fate(finding: &Finding, became: Became) -> Fate {
    let (check, fingerprint) = (finding.check, finding.fingerprint.clone());
    Fate { check, fingerprint, about: finding.subject().name(), became }
}

/// With another cause, and so another fingerprint, it is the same trouble.
type Identity = (CheckId, String);

fn identity(finding: &Finding) -> Identity {
    (finding.check, finding.subject().key())
}

/// Where a finding stands afterwards.
fn still_there(after: &Report, finding: &Finding) -> Option<usize> {
    let bad = |f: &&(usize, &Finding)| f.1.severity > Severity::Info;
    let all: Vec<(usize, &Finding)> = after.findings.iter().enumerate().collect();
    let same = all.iter().filter(bad).find(|(_, f)| f.fingerprint == finding.fingerprint);
    let alike = || all.iter().filter(bad).find(|(_, f)| identity(f) == identity(finding));
    same.or_else(alike).map(|(at, _)| *at)
}

/// Why a finding is still there: what explains it now, or what it says itself.
fn why(after: &Report, at: usize) -> String {
    match after.roots.iter().find(|g| g.explains.contains(&at)) {
        Some(group) => {
            let root = &after.findings[group.root];
            format!("{} ({})", root.message, root.check)
        }
        None => after.findings[at].message.clone(),
    }
}

/// A finding that is not there: nothing is known of it where its check did not run, or did not see what it saw before.
fn gone(before: &Past, after: &Past, at: usize) -> Became {
    let finding = &before.findings[at];
    after.hides(finding, &before.without(finding)).map_or(Became::Resolved, Became::Unknown)
}

impl Fate {
    /// `resolved: ebs-csi-addon-missing (flash-tickets-eks)`.
    pub(super) fn told(&self) -> String {
        let Self { check, about, became, .. } = self;
        match became {
            Became::Resolved => format!("resolved: {check} ({about})"),
            Became::Failing(why) => format!("still failing: {check} ({about}), because {why}"),
            Became::Unknown(why) => format!("not known: {check} ({about}) could not be evaluated: {why}"),
            Became::New(what) => format!("new: {check} ({about}): {what}"),
        }
    }

    /// A sign for it.
    pub(super) fn sign(&self) -> &'static str {
        match self.became {
            Became::Resolved => "✓",
            Became::Failing(_) | Became::New(_) => "✗",
            Became::Unknown(_) => "?",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CheckRun, Gap, GapCause, Linked, Outcome, ResourceRef, RootGroup, Stats, Target};

    fn finding(check: &'static str, name: &str, key: &str) -> Finding {
        let mut finding =
            Finding::new(CheckId(check), Severity::Error, ResourceRef::pod("m", name), format!("{name} fails"));
        finding.fingerprint = format!("{check}/{name}/{key}");
        finding
    }

    /// The first finding is the root of those in `explains`; the others are roots of their own.
    fn report(findings: Vec<Finding>, explains: Vec<usize>) -> Report {
        let roots = (0..findings.len()).filter(|at| !explains.contains(at));
        let group = |root| RootGroup {
            root,
            prerequisites: Vec::new(),
            explains: if root == 0 { explains.clone() } else { Vec::new() },
        };
        Report {
            target: Target::default(),
            collected_at: jiff::Timestamp::UNIX_EPOCH,
            roots: roots.map(group).collect(),
            links: vec![Linked::default(); findings.len()],
            findings,
            muted_roots: Vec::new(),
            mutes: Vec::new(),
            signals: Vec::new(),
            runs: ["a", "b"].map(|id| run(id, Outcome::Pass, Vec::new())).to_vec(),
            gaps: Vec::new(),
            stats: Stats::default(),
        }
    }

    fn run(id: &'static str, outcome: Outcome, unseen: Vec<Gap>) -> CheckRun {
        let mut check = *crate::checks::find("pvc-pending").expect("is there").meta();
        check.id = CheckId(id);
        CheckRun { check, unseen, outcome }
    }

    fn told(before: &Report, after: &Report) -> Vec<String> {
        compare(before, after).iter().map(Fate::told).collect()
    }

    #[test]
    fn each_root_is_resolved_or_still_there_for_a_reason() {
        let before = report(vec![finding("a", "x", ""), finding("b", "y", "1")], vec![]);
        assert_eq!(told(&before, &report(vec![], vec![])), ["resolved: a (m/x)", "resolved: b (m/y)"]);
        let after = report(vec![finding("c", "z", ""), finding("a", "x", "")], vec![1]);
        assert_eq!(
            told(&before, &after),
            ["still failing: a (m/x), because z fails (c)", "resolved: b (m/y)", "new: c (m/z): z fails"]
        );
        let after = report(vec![finding("b", "y", "2")], vec![]);
        assert_eq!(told(&before, &after), ["resolved: a (m/x)", "still failing: b (m/y), because y fails"]);
    }

    #[test]
    fn what_could_not_be_looked_at_is_not_resolved() {
        let before = report(vec![finding("pvc-pending", "x", "")], vec![]);
        let mut after = report(vec![], vec![]);
        let not_known = "not known: pvc-pending (m/x) could not be evaluated: ";
        assert_eq!(told(&before, &after), [format!("{not_known}its check did not run")]);
        let gap = Gap::new("GET /api/v1/persistentvolumeclaims", GapCause::Timeout, "no answer");
        let unseen = format!("{not_known}not seen: {}", gap.what);
        after.runs.push(run("pvc-pending", Outcome::NotEvaluated(gap.clone()), vec![gap.clone()]));
        assert_eq!(told(&before, &after), std::slice::from_ref(&unseen));
        // Others are still found; what it was about is out of sight.
        after.runs.pop();
        after.runs.push(run("pvc-pending", Outcome::Findings(1), vec![gap.clone()]));
        assert_eq!(told(&before, &after), [unseen]);
        let mut before = before;
        before.runs.push(run("pvc-pending", Outcome::Findings(1), vec![gap]));
        assert_eq!(told(&before, &after), ["resolved: pvc-pending (m/x)"], "it was found without that, too");
    }
}
