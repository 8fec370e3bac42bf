//! Values of fixes that say where a rule is kept.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::origin::ConfigLine;
use crate::domain::prometheus::origin;
use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::RuleGroup;

/// Where a rule is kept and how a change takes effect: the values of the shared steps `change-rule`.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ChangeRule {
    prometheus_rule: Option<String>,
    rule_namespace: Option<String>,
    #[serde(flatten)]
    line: ConfigLine,
    pub(crate) file: String,
    operated: bool,
}

impl ChangeRule {
    /// Of a rule of a group.
    pub(crate) fn of(snap: &Snapshot, group: &RuleGroup, rule: &str) -> Self {
        let file = group.file.rsplit('/').next().unwrap_or(&group.file).to_owned();
        let (prometheus_rule, rule_namespace) = origin::rule_object(snap, &group.file).unzip();
        Self {
            prometheus_rule,
            rule_namespace,
            line: ConfigLine::of(snap, origin::lines_in_file(snap, &file, rule)),
            operated: group.file.contains("-rulefiles-"),
            file,
        }
    }
}
