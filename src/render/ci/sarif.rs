//! SARIF 2.1.0 for code scanning: findings that stand in files, with the checks as rules.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Value, json};

use super::{in_file, told};
use crate::model::{Finding, Gap, Place, Report, Severity};
use crate::term::json_escaped;

/// A check as a rule: what its page says, for the reader of an alert.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The check.
    pub id: &'static str,
    /// One line that names the problem.
    pub title: &'static str,
    /// Its suite.
    pub suite: &'static str,
    /// The highest severity of its findings.
    pub severity: Severity,
    /// Its page as Markdown.
    pub help: String,
}

/// Results of one run that code scanning takes.
const RESULTS: usize = 5_000;
/// Places of one result that are given.
const PLACES: usize = 10;

/// The report as SARIF. What is wrong in a cluster and in no file is not in it.
pub fn sarif(report: &Report, rules: &[Rule]) -> String {
    let in_files = report.findings.iter().filter(|f| in_file(f).is_some());
    let results: Vec<Value> = in_files.take(RESULTS).map(|f| result(f, rules)).collect();
    let notes: Vec<Value> = report.gaps.iter().map(notification).collect();
    let document = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "kdoctor",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules.iter().map(rule).collect::<Vec<_>>(),
            }},
            "invocations": [{"executionSuccessful": true, "toolExecutionNotifications": notes}],
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    json_escaped(&format!("{document:#}\n"))
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    }
}

fn rule(rule: &Rule) -> Value {
    json!({
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "help": {"text": rule.help, "markdown": rule.help},
        "defaultConfiguration": {"level": level(rule.severity)},
        "properties": {"tags": [rule.suite]},
    })
}

fn result(finding: &Finding, rules: &[Rule]) -> Value {
    let places = finding.locations.iter().filter_map(|location| {
        let Place::File(path) = &location.place else { return None };
        let line = location.line.unwrap_or(1);
        let mut region = json!({"startLine": line});
        if let Some(column) = location.column {
            region["startColumn"] = column.into();
        }
        if !location.excerpt.is_empty() {
            region["snippet"] = json!({"text": location.excerpt});
        }
        Some(json!({"physicalLocation": {"artifactLocation": {"uri": uri(path)}, "region": region}}))
    });
    let mut result = json!({
        "ruleId": finding.check.0,
        "level": level(finding.severity),
        "message": {"text": told(finding)},
        "locations": places.take(PLACES).collect::<Vec<_>>(),
        "partialFingerprints": {"kdoctor/v1": finding.fingerprint},
    });
    if let Some(muted) = &finding.muted {
        result["suppressions"] = json!([{"kind": "external", "justification": muted.reason}]);
    }
    if let Some(at) = rules.iter().position(|r| r.id == finding.check.0) {
        result["ruleIndex"] = at.into();
    }
    result
}

/// What a URI's path does not hold as it is.
const IN_URI: &AsciiSet =
    &CONTROLS.add(b' ').add(b'%').add(b'?').add(b'#').add(b'"').add(b'<').add(b'>').add(b'[').add(b']');

/// A path relative to the repository, as a URI.
fn uri(path: &str) -> String {
    utf8_percent_encode(path.trim_start_matches("./"), IN_URI).to_string()
}

fn notification(gap: &Gap) -> Value {
    let text = if gap.hint.is_empty() { gap.to_string() } else { format!("{gap}; {}", gap.hint) };
    json!({"level": "warning", "message": {"text": text}})
}
