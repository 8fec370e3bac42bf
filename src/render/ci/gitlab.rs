//! GitLab's code quality report: findings that stand in files.

use serde_json::json;

use super::in_file;
use crate::model::{Report, Severity};
use crate::term::json_escaped;

/// The report as GitLab's widget for merge requests reads it.
pub fn gitlab(report: &Report) -> String {
    let issues: Vec<_> = report
        .counted()
        .filter_map(|finding| {
            let (path, location) = in_file(finding)?;
            let severity = match finding.severity {
                Severity::Error => "critical",
                Severity::Warning => "minor",
                Severity::Info => "info",
            };
            Some(json!({
                "description": finding.message,
                "check_name": finding.check.to_string(),
                "fingerprint": finding.fingerprint,
                "severity": severity,
                "location": {"path": path, "lines": {"begin": location.line.unwrap_or(1)}},
            }))
        })
        .collect();
    json_escaped(&format!("{:#}\n", serde_json::Value::Array(issues)))
}
