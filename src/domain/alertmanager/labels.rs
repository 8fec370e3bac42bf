//! Labels that Prometheus puts on every alert, and where they are set.

use std::collections::BTreeMap;

use regex::Regex;

use crate::domain::alertmanager::config::source_of;
use crate::domain::alertmanager::tree::Labels;
use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::owner::operator_resource;
use crate::lint::yaml::{self, Node};
use crate::model::Program;
use crate::snapshot::kubernetes::{ConfigMap, Pod};
use crate::snapshot::{Fetched, Snapshot};

/// Labels that name where alerts come from as a whole; used where the configuration of Prometheus cannot be read.
const BROAD: &[&str] = &[
    "env",
    "environment",
    "stage",
    "tier",
    "cluster",
    "cluster_name",
    "region",
    "account",
    "datacenter",
    "dc",
    "site",
    "tenant",
    "prometheus",
];

/// What is known of all alerts of the stack's Prometheus.
#[derive(Debug, Default)]
pub(crate) struct Common<'a> {
    /// Labels that each of them has.
    pub(crate) labels: Labels,
    /// Where they are set; `None` where they were only seen on alerts.
    pub(crate) origin: Option<Origin<'a>>,
}

/// Where external labels are set.
#[derive(Debug)]
pub(crate) enum Origin<'a> {
    /// A ConfigMap, the key in it, and its text.
    File { map: &'a ConfigMap, key: String, pod: &'a Pod },
    /// A Prometheus object of the operator: namespace and name.
    Object { namespace: String, name: String },
    /// Prometheus has them, but from where cannot be seen.
    Unknown,
}

impl<'a> Common<'a> {
    /// Reads the configuration that Prometheus runs with, else its ConfigMap, else what firing alerts share.
    pub(crate) fn of(snap: &'a Snapshot) -> Self {
        let origin = origin(snap);
        let running = snap.prometheus_config.as_ref().ok().map(String::as_str);
        let in_file = || match &origin {
            Some(Origin::File { map, key, .. }) => map.data.get(key).map(String::as_str),
            _ => None,
        };
        match running.or_else(in_file).and_then(external_labels) {
            Some(labels) => Self { labels, origin: Some(origin.unwrap_or(Origin::Unknown)) },
            None => Self { labels: shared(snap), origin: None },
        }
    }

    /// The value that the file has by now, where Prometheus runs with another.
    pub(crate) fn in_file(&self, label: &str) -> Option<String> {
        let Some(Origin::File { map, key, .. }) = &self.origin else { return None };
        let labels = external_labels(map.data.get(key)?)?;
        Some(labels.get(label).cloned().unwrap_or_default())
    }
}

/// `external_labels`, as they are after `alert_relabel_configs`.
fn external_labels(text: &str) -> Option<Labels> {
    let root = yaml::document(text).ok()??;
    let entries = root.at(&["global", "external_labels"]).and_then(Node::entries).unwrap_or_default();
    let mut labels: BTreeMap<String, String> = entries
        .iter()
        .filter_map(|(name, value)| Some((name.as_str()?.to_owned(), value.as_str().unwrap_or_default().to_owned())))
        .collect();
    let relabel = root.at(&["alerting", "alert_relabel_configs"]).and_then(Node::items).unwrap_or_default();
    for rule in relabel {
        let text = |key: &str| rule.get(key).and_then(Node::as_str);
        match text("action").unwrap_or("replace") {
            "replace" => {
                let Some(target) = text("target_label") else { continue };
                labels.remove(target);
                let fixed = text("replacement").filter(|r| !r.contains('$') && rule.get("source_labels").is_none());
                labels.extend(fixed.map(|value| (target.to_owned(), value.to_owned())));
            }
            "keep" | "drop" => {}
            // The operator has the label dropped that tells replicas apart.
            action @ ("labeldrop" | "labelkeep") => {
                match Regex::new(&format!("^(?s:{})$", text("regex").unwrap_or("(.*)"))) {
                    Ok(regex) => labels.retain(|name, _| regex.is_match(name) == (action == "labelkeep")),
                    Err(_) => labels.clear(),
                }
            }
            // Which labels such a rule leaves takes more than is needed here.
            _ => labels.clear(),
        }
    }
    // A value with a variable of the environment is not known.
    labels.retain(|_, value| !value.contains('$'));
    Some(labels)
}

/// Where the Prometheus of the stack reads its configuration.
fn origin(snap: &Snapshot) -> Option<Origin<'_>> {
    let pods = snap.pods.items().unwrap_or_default().iter();
    let mut pods = pods.filter(|p| snap.scope.is_stack(&p.metadata.namespace) && !p.is_finished()).filter_map(|pod| {
        let container = pod.spec.containers.iter().find(|c| c.program() == Some(Program::Prometheus))?;
        Some((pod, container))
    });
    let (pod, container) = pods.next()?;
    if let Some((_, name)) = operator_resource(snap, pod) {
        return Some(Origin::Object { namespace: pod.metadata.namespace.clone(), name: name.to_owned() });
    }
    let source = source_of(snap, pod, container, arguments::config_file(container)?)?;
    let source = Some(source).filter(|s| s.kind == "configmap")?;
    let map: Fetched<Option<&ConfigMap>> = snap.config_maps.find(&pod.metadata.namespace, &source.name);
    let map = map.ok().flatten()?;
    map.data.contains_key(&source.key).then_some(Origin::File { map, key: source.key, pod })
}

/// Labels of the kind that is set externally, and that all firing alerts share.
fn shared(snap: &Snapshot) -> Labels {
    let mut alerts = snap.alertmanager_alerts.iter().flatten().flat_map(|g| &g.alerts);
    let Some(first) = alerts.next() else { return Labels::new() };
    let mut labels: Labels = first.labels.clone();
    labels.retain(|name, _| BROAD.contains(&name.as_str()));
    alerts.for_each(|alert| labels.retain(|name, value| alert.labels.get(name) == Some(value)));
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relabelling_of_alerts_counts() {
        let base = "global:\n  external_labels: {env: test, cluster: c, region: $REGION}\n";
        let show = |text: &str| external_labels(text).map(|l| format!("{l:?}")).unwrap_or_default();
        assert_eq!(show(base), r#"{"cluster": "c", "env": "test"}"#);
        let set = "alerting:\n  alert_relabel_configs:\n    - {target_label: env, replacement: prod}\n    - {source_labels: [a], target_label: cluster}\n";
        assert_eq!(show(&format!("{base}{set}")), r#"{"env": "prod"}"#);
        assert_eq!(
            show(&format!("{base}alerting:\n  alert_relabel_configs: [{{action: labeldrop, regex: env}}]\n")),
            r#"{"cluster": "c"}"#
        );
        assert_eq!(
            show(&format!("{base}alerting:\n  alert_relabel_configs: [{{action: labelmap, regex: env}}]\n")),
            "{}"
        );
        assert_eq!(show("scrape_configs: []"), "{}");
    }
}
