//! Values of fixes that say where a rule is kept.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::origin::ChangeJob;
use crate::domain::prometheus::origin;
use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::RuleGroup;

/// Where a rule is kept and how a change takes effect: the values of the shared steps `change-rule`.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ChangeRule {
    prometheus_rule: Option<String>,
    rule_namespace: Option<String>,
    config_map: Option<String>,
    config_namespace: Option<String>,
    config_key: Option<String>,
    config_line: Option<usize>,
    managed_by: Option<String>,
    reader: String,
    reader_namespace: String,
    reloads: bool,
    file: String,
    operated: bool,
}

impl ChangeRule {
    /// Of a rule of a group.
    pub(crate) fn of(snap: &Snapshot, group: &RuleGroup, rule: &str) -> Self {
        let file = group.file.rsplit('/').next().unwrap_or(&group.file).to_owned();
        let (prometheus_rule, rule_namespace) = origin::rule_object(snap, &group.file).unzip();
        let line = ChangeJob::of_line(snap, origin::lines_in_file(snap, &file, rule));
        Self {
            prometheus_rule,
            rule_namespace,
            config_map: line.config_map,
            config_namespace: line.config_namespace,
            config_key: line.config_key,
            config_line: line.config_line,
            managed_by: line.managed_by,
            reader: line.reader,
            reader_namespace: line.reader_namespace,
            reloads: line.reloads,
            operated: group.file.contains("-rulefiles-"),
            file,
        }
    }
}
