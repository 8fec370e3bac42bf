//! A report, as much of it as is kept to compare another one with: read from its JSON, or taken as it is.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::{GapCause, Outcome, Report, ResourceRef};

/// Version of the JSON report that is read.
pub const SCHEMA_VERSION: u32 = 1;
/// Lacks that last: what could not be seen for one of them before is no loss of sight now.
const LASTING: &[&str] = &["not-configured", "not-collected", "forbidden"];

/// The text is no JSON report.
#[derive(Debug, Error)]
pub enum NoReport {
    /// It is not JSON of that form.
    #[error(transparent)]
    Form(#[from] serde_json::Error),
    /// It is of another version.
    #[error("schema_version {0} is not known here")]
    Version(u32),
}

/// What is kept of a report.
#[derive(Debug, Clone, Deserialize)]
pub struct Past {
    schema_version: u32,
    /// When it was made, RFC 3339.
    pub collected_at: String,
    /// Its findings.
    pub findings: Vec<PastFinding>,
    #[serde(default)]
    runs: Vec<PastRun>,
    #[serde(default)]
    gaps: Vec<PastGap>,
}

/// What is kept of a finding.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct PastFinding {
    /// Its fingerprint.
    pub id: String,
    /// Its check.
    pub check: String,
    /// `error`, `warning` or `info`.
    pub severity: String,
    /// What is wrong.
    pub message: String,
    /// Nothing else explains it.
    pub root: bool,
    #[serde(default, skip_serializing)]
    judged_without: Vec<PastGap>,
    #[serde(default, skip_serializing)]
    subjects: Vec<PastSubject>,
}

/// What is kept of a resource that a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct PastSubject {
    #[serde(default)]
    namespace: String,
}

#[derive(Debug, Clone, Deserialize)]
struct PastRun {
    check: String,
    outcome: String,
    /// Why; of a check that was not evaluated it begins with the call.
    #[serde(default)]
    reason: String,
    #[serde(default)]
    unseen: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct PastGap {
    what: String,
    #[serde(default)]
    cause: String,
}

impl PastSubject {
    fn of(subject: &ResourceRef) -> Self {
        let namespace = match subject {
            ResourceRef::Kubernetes { namespace, .. } | ResourceRef::Datasource { namespace, .. } => namespace.clone(),
            _ => String::new(),
        };
        Self { namespace }
    }
}

impl PastFinding {
    /// True where `what` is a call about one namespace, and all that the finding is about is in others.
    fn is_elsewhere(&self, what: &str) -> bool {
        let Some(namespace) = what.split_once("/namespaces/").and_then(|(_, rest)| rest.split('/').next()) else {
            return false;
        };
        let elsewhere = |s: &PastSubject| !s.namespace.is_empty() && s.namespace != namespace;
        !self.subjects.is_empty() && self.subjects.iter().all(elsewhere)
    }
}

impl Past {
    /// Reads a JSON report.
    ///
    /// # Errors
    /// The text is none, or one of another version.
    pub fn parse(text: &str) -> Result<Self, NoReport> {
        let past: Self = serde_json::from_str(text)?;
        if past.schema_version == SCHEMA_VERSION { Ok(past) } else { Err(NoReport::Version(past.schema_version)) }
    }

    /// The same of a report that was just made.
    pub fn of(report: &Report) -> Self {
        let gap = |gap: &crate::model::Gap| PastGap { what: gap.what.clone(), cause: gap.cause.as_str().to_owned() };
        let is_root = |at: usize| report.roots.iter().any(|g| g.root == at);
        let findings = report.findings.iter().enumerate().map(|(at, f)| PastFinding {
            id: f.fingerprint.clone(),
            check: f.check.to_string(),
            severity: f.severity.to_string(),
            message: f.message.clone(),
            root: is_root(at),
            judged_without: f.unseen.iter().map(gap).collect(),
            subjects: f.subjects.iter().map(PastSubject::of).collect(),
        });
        let runs = report.runs.iter().map(|run| PastRun {
            check: run.check.id.to_string(),
            outcome: run.outcome.as_str().to_owned(),
            reason: match &run.outcome {
                Outcome::NotEvaluated(gap) => gap.to_string(),
                _ => String::new(),
            },
            unseen: run.unseen.iter().map(|g| g.what.clone()).collect(),
        });
        Self {
            schema_version: SCHEMA_VERSION,
            collected_at: report.collected_at.to_string(),
            findings: findings.collect(),
            runs: runs.collect(),
            gaps: report.gaps.iter().map(gap).collect(),
        }
    }

    /// What one of its findings was found without: what its check could not see, and what nobody could.
    pub fn without(&self, finding: &PastFinding) -> BTreeSet<String> {
        let of_run = self.run(&finding.check).map(PastRun::unseen).unwrap_or_default();
        let lasting = self.gaps.iter().filter(|g| LASTING.contains(&g.cause.as_str())).map(|g| g.what.clone());
        let own = finding.judged_without.iter().map(|g| g.what.clone());
        of_run.into_iter().chain(own).chain(lasting).collect()
    }

    /// Why nobody can say that a finding of before is gone, which this report does not have; `None`: it is gone. Its check
    /// must have run, and have seen what it saw then: `without` is what the finding was found without.
    pub fn hides(&self, finding: &PastFinding, without: &BTreeSet<String>) -> Option<String> {
        let Some(run) = self.run(&finding.check) else { return Some("its check did not run".to_owned()) };
        match run.outcome.as_str() {
            "pass" | "not_applicable" => None,
            "failed" => Some("its check failed".to_owned()),
            _ => {
                let matters = |what: &String| !without.contains(what) && !finding.is_elsewhere(what);
                run.unseen().into_iter().find(matters).map(|what| format!("not seen: {what}"))
            }
        }
    }

    fn run(&self, check: &str) -> Option<&PastRun> {
        self.runs.iter().find(|r| r.check == check)
    }
}

impl PastRun {
    /// What the check could not see. Reports of older versions name only the first of it.
    fn unseen(&self) -> BTreeSet<String> {
        if self.unseen.is_empty() && self.outcome == "not_evaluated" {
            let marks = [GapCause::Unauthorized, GapCause::Unreachable, GapCause::Timeout, GapCause::BadAnswer];
            let marks = marks.iter().map(GapCause::as_str).chain(LASTING.iter().copied());
            let marks: Vec<String> =
                marks.chain(["throttled", "truncated", "unreadable"]).map(|m| format!(": {m}")).collect();
            let end = marks.iter().filter_map(|m| self.reason.find(m.as_str())).min();
            return BTreeSet::from([self.reason[..end.unwrap_or(self.reason.len())].to_owned()]);
        }
        self.unseen.iter().cloned().collect()
    }
}

#[cfg(test)]
pub(super) mod testing {
    use serde_json::json;

    use super::*;

    /// A report with these findings (check, id, root), and these checks with their outcome and what they could not see.
    pub(in crate::history) fn past(findings: &[(&str, &str, bool)], runs: &[(&str, &str, &[&str])]) -> Past {
        let findings: Vec<_> = findings
            .iter()
            .map(|(check, id, root)| {
                json!({"id": id, "check": check, "severity": "error", "message": format!("{id} is wrong"), "root": root})
            })
            .collect();
        let runs: Vec<_> = runs
            .iter()
            .map(|(check, outcome, unseen)| json!({"check": check, "outcome": outcome, "unseen": unseen}))
            .collect();
        let text =
            json!({"schema_version": 1, "collected_at": "2026-11-21T00:00:00Z", "findings": findings, "runs": runs});
        Past::parse(&text.to_string()).expect("a report")
    }
}

#[cfg(test)]
mod tests {
    use super::testing::past;
    use super::*;

    #[test]
    fn what_is_gone_and_what_is_only_out_of_sight() {
        let old = past(&[("pod-pending", "a", true)], &[("pod-pending", "findings", &["iam:GetRole"])]);
        let finding = &old.findings[0];
        let without = old.without(finding);
        let hides = |runs: &[(&str, &str, &[&str])]| past(&[], runs).hides(finding, &without);
        assert_eq!(hides(&[("pod-pending", "pass", &[])]), None);
        assert_eq!(hides(&[("pod-pending", "not_applicable", &[])]), None);
        assert_eq!(hides(&[("pod-pending", "not_evaluated", &["iam:GetRole"])]), None, "it was found without it");
        let pods = "GET /api/v1/namespaces/monitoring/pods";
        let said = format!("not seen: {pods}");
        assert_eq!(hides(&[("pod-pending", "not_evaluated", &["iam:GetRole", pods])]), Some(said.clone()));
        // Others are still found, this one was in what is not seen now.
        assert_eq!(hides(&[("pod-pending", "findings", &[pods])]), Some(said));
        assert_eq!(hides(&[("pod-pending", "failed", &[])]).as_deref(), Some("its check failed"));
        assert_eq!(hides(&[]).as_deref(), Some("its check did not run"));
    }

    #[test]
    fn what_is_not_seen_in_another_namespace_hides_nothing_here() {
        let text = r#"{"schema_version": 1, "collected_at": "x", "findings": [{"id": "a", "check": "c", "severity": "error", "message": "m",
            "root": true, "subjects": [{"kind": "Pod", "namespace": "monitoring", "name": "p"}]}]}"#;
        let finding = Past::parse(text).expect("a report").findings.remove(0);
        assert!(finding.is_elsewhere("GET /apis/batch/v1/namespaces/shop/jobs"));
        assert!(!finding.is_elsewhere("GET /apis/batch/v1/namespaces/monitoring/jobs"));
        assert!(!finding.is_elsewhere("GET /api/v1/nodes"));
        let job =
            Past::parse(&text.replace(r#""namespace": "monitoring", "#, "")).expect("a report").findings.remove(0);
        assert!(!job.is_elsewhere("GET /apis/batch/v1/namespaces/shop/jobs"), "a job may scrape it");
    }

    #[test]
    fn an_older_report_names_what_it_lacked_in_its_reason() {
        let text = r#"{"schema_version": 1, "collected_at": "x", "findings": [], "runs": [{"check": "c", "outcome": "not_evaluated",
            "reason": "GET /api/v1/nodes: forbidden (list nodes at cluster scope): no"}]}"#;
        let past = Past::parse(text).expect("a report");
        assert_eq!(past.runs[0].unseen(), BTreeSet::from(["GET /api/v1/nodes".to_owned()]));
        assert!(matches!(Past::parse(&text.replace("n\": 1", "n\": 7")), Err(NoReport::Version(7))));
    }
}
