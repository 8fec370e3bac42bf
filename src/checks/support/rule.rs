//! Values of fixes that say where a rule is kept.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::origin::ConfigLine;
use crate::checks::support::scrape::api_evidence;
use crate::domain::kubernetes::owner::keeper;
use crate::domain::prometheus::origin;
use crate::model::Evidence;
use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::{Rule, RuleGroup};

/// The path of Prometheus that answers with its rules.
const RULES: &str = "/api/v1/rules";

/// What Prometheus says of a rule.
pub(crate) fn rule_evidence(snap: &Snapshot, group: &RuleGroup, rule: &Rule, value: impl Into<String>) -> Evidence {
    let source = format!("Prometheus {RULES}, rule {} ({})", rule.name, group.file);
    api_evidence(snap, source, value.into(), RULES)
}

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
        let operated = group.file.contains("-rulefiles-");
        let mut line = ConfigLine::of(snap, origin::lines_in_file(snap, &file, rule));
        // Where the text was not seen, the mount still tells which object it is.
        if line.config_map.is_none()
            && !operated
            && let Some((namespace, name, key)) = origin::map_of_file(snap, &group.file)
        {
            let map = snap.config_maps.find(&namespace, &name).ok().flatten();
            line.managed_by = map.map(|m| keeper(&m.metadata)).filter(|m| !m.is_empty());
            line.config_map = Some(name);
            line.config_namespace = Some(namespace);
            line.config_key = Some(key);
        }
        Self { prometheus_rule, rule_namespace, line, operated, file }
    }
}
