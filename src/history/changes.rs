//! The difference between two reports, by the fingerprints of their findings.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::past::{Past, PastFinding};

/// What changed between two reports.
#[derive(Debug, Clone, Serialize)]
pub struct Changes {
    /// When the first was made, RFC 3339.
    pub old: String,
    /// When the second was made, RFC 3339.
    pub new: String,
    /// Findings of the second that the first does not have.
    pub appeared: Vec<PastFinding>,
    /// Findings of the first that are gone, as far as could be seen at first.
    pub resolved: Vec<PastFinding>,
    /// Findings of both, as the second says them.
    pub unchanged: Vec<PastFinding>,
    /// Findings of the first that may be there still: the second could not look.
    pub out_of_sight: Vec<Lost>,
}

/// A finding that was not found again, and why that does not say that it is gone.
#[derive(Debug, Clone, Serialize)]
pub struct Lost {
    /// The finding.
    #[serde(flatten)]
    pub finding: PastFinding,
    /// What could not be seen.
    pub why: String,
}

impl Changes {
    /// What changed from one report to the next.
    pub fn between(old: &Past, new: &Past) -> Self {
        let ids = |past: &Past| past.findings.iter().map(|f| f.id.clone()).collect::<BTreeSet<String>>();
        let (before, after) = (ids(old), ids(new));
        let mut resolved = Vec::new();
        let mut out_of_sight = Vec::new();
        for finding in pick(old, |id| !after.contains(id)) {
            match new.hides(&finding, &old.without(&finding)) {
                Some(why) => out_of_sight.push(Lost { finding, why }),
                None => resolved.push(finding),
            }
        }
        Self {
            old: old.collected_at.clone(),
            new: new.collected_at.clone(),
            appeared: pick(new, |id| !before.contains(id)),
            resolved,
            unchanged: pick(new, |id| before.contains(id)),
            out_of_sight,
        }
    }
}

/// Findings whose id is wanted, each once: one may stand twice where a bundle was put together by hand. Roots first.
fn pick(past: &Past, wanted: impl Fn(&str) -> bool) -> Vec<PastFinding> {
    let all: BTreeMap<&str, &PastFinding> =
        past.findings.iter().filter(|f| wanted(&f.id)).map(|f| (f.id.as_str(), f)).collect();
    let mut all: Vec<PastFinding> = all.into_values().cloned().collect();
    all.sort_by(|a, b| (!a.root, &a.check, &a.message).cmp(&(!b.root, &b.check, &b.message)));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::past::testing::past;

    #[test]
    fn each_finding_is_told_once_and_roots_come_first() {
        let old = past(
            &[("b", "gone", true), ("a", "hidden", true), ("c", "stays", false)],
            &[("a", "findings", &[]), ("b", "findings", &[]), ("c", "findings", &[])],
        );
        let new = past(
            &[("c", "stays", true), ("c", "stays", true), ("c", "new symptom", false), ("d", "new", true)],
            &[
                ("a", "not_evaluated", &["GET /pods"]),
                ("b", "pass", &[]),
                ("c", "findings", &[]),
                ("d", "findings", &[]),
            ],
        );
        let changes = Changes::between(&old, &new);
        let ids = |all: &[PastFinding]| all.iter().map(|f| f.id.clone()).collect::<Vec<_>>().join(", ");
        assert_eq!(ids(&changes.appeared), "new, new symptom");
        assert_eq!(ids(&changes.resolved), "gone");
        assert_eq!(ids(&changes.unchanged), "stays");
        assert_eq!(changes.out_of_sight.len(), 1);
        assert_eq!(
            (changes.out_of_sight[0].finding.id.as_str(), changes.out_of_sight[0].why.as_str()),
            ("hidden", "not seen: GET /pods")
        );
    }
}
