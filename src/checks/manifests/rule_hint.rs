//! Rules that load, and most likely do not do what is meant.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::written::{self, Corrected};
use crate::checks::{Check, check};
use crate::domain::manifests::written::{Dialect, Written, all};
use crate::domain::prometheus::hints::{self, Form};
use crate::domain::prometheus::never::{Never, never};
use crate::lint::Problem;
use crate::lint::yaml::Node;
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, Severity};
use crate::snapshot::Snapshot;

check! {
    /// See the check's page.
    RuleHint {
        id: "rule-hint", suite: Manifests, severity: Info,
        title: "a rule loads, and most likely does not do what is meant",
        requires: [Manifests],
        uses: [],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    File(Corrected),
}

impl Check for RuleHint {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn judge(&self, snap: &Snapshot) -> Option<Result<Diagnosis, Gap>> {
        Some(self.diagnose(snap))
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.manifests()?;
        let all = all(snap, Dialect::Rules);
        if all.is_empty() {
            return Ok(Diagnosis::NotApplicable("no rules in the files".into()));
        }
        Ok(Diagnosis::Findings(all.iter().filter_map(finding).collect()))
    }
}

fn finding(written: &Written<'_>) -> Option<Finding> {
    let root = written.document()?;
    let mut problems = Vec::new();
    let list = |node: &Node, key: &str| node.get(key).and_then(Node::items).map(<[Node]>::to_vec).unwrap_or_default();
    for (number, group) in list(&root, "groups").iter().enumerate() {
        for (at, rule) in list(group, "rules").iter().enumerate() {
            judge(rule, &format!("groups[{number}].rules[{at}]"), &mut problems);
        }
    }
    problems.first()?;
    problems.sort_by_key(|p| p.place);
    let lines = Corrected::new(written.file, &written.field, &problems, "", &|_, _| None);
    Some(written::of_written(&RuleHint::META, Severity::Info, written, &problems, "").fix(Fix::File(lines)))
}

fn judge(rule: &Node, path: &str, problems: &mut Vec<Problem>) {
    let text = |key: &str| rule.get(key).and_then(Node::as_str);
    let Some((place, expr)) = rule.get("expr").and_then(|node| Some((node.place, node.as_str()?))) else { return };
    let (what, name) = match (text("alert"), text("record")) {
        (Some(alert), _) => ("alert", alert),
        (None, Some(record)) => ("recording rule", record),
        _ => return,
    };
    let is_alert = what == "alert";
    let path_of = |field: &str| format!("{path}.{field}");
    let mut say = |message: String| problems.push(Problem::new(place, path_of("expr"), message));
    let effect = if is_alert { "can never fire" } else { "never has a result" };
    match never(expr) {
        // A record that counts what is not there is meant to have no result.
        Some(Never::Count { meant, .. }) if is_alert => {
            let meant = if meant.is_empty() { meant } else { format!(": {meant}") };
            return say(format!(
                "{what} {name} {effect}, as count() has no result where there is nothing to count, and never 0{meant}"
            ));
        }
        Some(Never::Quantile { meant, .. }) => {
            return say(format!(
                "{what} {name} {effect}, as histogram_quantile() reads the bounds of the buckets from label le, which its aggregation drops: {meant}"
            ));
        }
        _ => {}
    }
    if !is_alert {
        return;
    }
    let waits = rule.get("for").is_some_and(|n| !matches!(n.as_str(), Some("" | "0" | "0s" | "0m")));
    if let Some(form) = hints::form(expr, waits) {
        say(format!("alert {name} {}", words(&form)));
    }
    let Some(left) = hints::labels(expr) else { return };
    for (key, annotation) in rule.get("annotations").and_then(Node::entries).unwrap_or_default() {
        let (Some(key), Some(text)) = (key.as_str(), annotation.as_str()) else { continue };
        let gone: Vec<String> = hints::printed(text).into_iter().filter(|label| left.lacks(label)).collect();
        if gone.is_empty() {
            continue;
        }
        let there = left.only.as_ref().map(|only| only.iter().cloned().collect::<Vec<_>>());
        let there = match there {
            Some(only) if only.is_empty() => " (it has no labels)".to_owned(),
            Some(only) => format!(" (it has {})", only.join(", ")),
            None => String::new(),
        };
        let message = format!(
            "annotation {key} of alert {name} leaves a gap at {}, which the result of its expression does not have{there}",
            gone.join(", ")
        );
        problems.push(Problem::new(annotation.place, path_of(&format!("annotations.{key}")), message));
    }
}

fn words(form: &Form) -> String {
    match form {
        Form::Contradiction => "can never fire, as no value is within both of its comparisons".to_owned(),
        Form::Absent => "can never fire, as absent() is 1 or has no result at all".to_owned(),
        Form::Negative(function) => format!("can never fire, as {function}() is never below 0"),
        Form::Boolean(metric) => format!("can never fire, as {metric} is 0 or 1"),
        Form::Bool => {
            "fires for each series whatever its value, as a comparison with bool has a result in any case".to_owned()
        }
        Form::Unconditional => "fires for each series whatever its value, as nothing is compared".to_owned(),
        Form::OneSample(metric) => format!("fires at the first scrape that fails ({metric}), as it has no for"),
    }
}
