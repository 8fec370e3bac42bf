//! A label that all alerts have, and that leads them to a receiver that sends nothing.

use std::collections::BTreeSet;

use super::fix::{LabelChange, Way};
use super::{AlertsMuted, View, join, show};
use crate::domain::alertmanager::labels::Origin;
use crate::domain::alertmanager::tree::{Sink, Tree};
use crate::domain::kubernetes::owner::{keeper, workload_name};
use crate::domain::kubernetes::proxy;
use crate::model::{Evidence, Finding, ResourceRef, Severity};

/// Words for the kind of an environment.
const ENVIRONMENTS: &[&str] = &["env", "environment", "stage", "deployment_environment"];

impl View<'_> {
    /// A label that all alerts have leads to a receiver that sends nothing.
    pub(super) fn sink(&self, tree: &Tree, sink: &Sink) -> Finding {
        let matcher = &sink.decided[0];
        let label = matcher.name.as_str();
        let value = self.common.labels.get(label).map_or("", String::as_str);
        let which = if sink.conditions.is_empty() {
            "all alerts of Prometheus".to_owned()
        } else {
            format!("alerts of Prometheus with {}", show(&sink.conditions))
        };
        let lost = self.lost(tree);
        let firing = lost.iter().filter(|l| l.labels.get(label).map(String::as_str) == Some(value));
        let names: BTreeSet<&str> = firing.map(|l| l.name.as_str()).collect();
        let now = if names.is_empty() {
            String::new()
        } else {
            format!("; firing now, and nobody is told: {}", join(&names))
        };
        let message = format!(
            "{which} reach nobody: {} {label}={value:?} takes route {} to receiver {:?}, which has no integration{now}",
            if self.common.origin.is_some() { "the external label" } else { "the label" },
            show(&sink.decided),
            sink.receiver
        );
        let subject = self.subject(&sink.receiver);
        // Nothing at all is told, and there is something to tell.
        let severity =
            if sink.conditions.is_empty() && !names.is_empty() { Severity::Error } else { Severity::Warning };
        let mut finding = Finding::new(AlertsMuted::META.id, severity, subject, message)
            .breaks(ResourceRef::Receiver { name: sink.receiver.clone() })
            .key(format!("label/{label}"));
        if let Some(seen) = self.label_seen(label, value) {
            finding = finding.evidence(seen);
        }
        finding = finding.evidence(self.route_seen(
            sink.line,
            format!("{} → receiver {:?} without integrations", show(&sink.decided), sink.receiver),
        ));
        if !names.is_empty() {
            finding = finding.evidence(self.alerts_seen(format!("{} → {}", join(&names), sink.receiver)));
        }
        finding.fix(self.fix(self.label_way(tree, sink, label, value)))
    }

    /// What is done about the label, by where it is set.
    fn label_way(&self, tree: &Tree, sink: &Sink, label: &str, value: &str) -> Way {
        match &self.common.origin {
            Some(Origin::File { map, key, pod }) => {
                let (name, namespace) = (map.metadata.name.clone(), map.metadata.namespace.clone());
                let workload = workload_name(self.snap, pod);
                match self.common.in_file(label).filter(|v| v != value) {
                    Some(in_file) => Way::Reload {
                        map: name,
                        prometheus_namespace: namespace,
                        label: label.to_owned(),
                        value: value.to_owned(),
                        in_file,
                        workload,
                    },
                    None => Way::Label {
                        map: name,
                        key: key.clone(),
                        prometheus_namespace: namespace,
                        workload,
                        managed: keeper(&map.metadata),
                        change: self.change(tree, label, value),
                    },
                }
            }
            Some(Origin::Object { namespace, name }) => Way::LabelOperator {
                object: name.clone(),
                prometheus_namespace: namespace.clone(),
                change: self.change(tree, label, value),
            },
            Some(Origin::Unknown) | None => Way::LabelUnknown {
                label: label.to_owned(),
                pair: format!("{label}={value}"),
                route: show(&sink.decided),
            },
        }
    }

    fn change(&self, tree: &Tree, label: &str, value: &str) -> LabelChange {
        let meant = self.meant(tree, label, value);
        let others = tree.values_that_notify(label, &self.common.labels);
        let mut other = self.common.labels.clone();
        other.remove(label);
        if !meant.is_empty() {
            other.insert(label.to_owned(), meant.clone());
        }
        LabelChange {
            label: label.to_owned(),
            value: value.to_owned(),
            pair: format!("{label}={value}"),
            meant,
            named: !others.is_empty(),
            others: others.join(", "),
            reach: tree.reachable(&other).into_iter().collect::<Vec<_>>().join(", "),
        }
    }

    /// The value that the label should have; empty where nothing tells.
    fn meant(&self, tree: &Tree, label: &str, value: &str) -> String {
        let works = |candidate: &str| {
            let mut other = self.common.labels.clone();
            other.insert(label.to_owned(), candidate.to_owned());
            candidate != value && tree.may_notify(&other) && tree.sinks(&other).is_empty()
        };
        let named = tree.values_that_notify(label, &self.common.labels);
        let production = |v: &&String| v.starts_with("prod") || v.starts_with("prd") || v.as_str() == "live";
        if let Some(value) = named.iter().find(production).or_else(|| named.first().filter(|_| named.len() == 1)) {
            return value.clone();
        }
        let usual = if value.len() > 5 && label == "environment" { "production" } else { "prod" };
        if named.is_empty() && ENVIRONMENTS.contains(&label) && works(usual) { usual.to_owned() } else { String::new() }
    }

    fn subject(&self, receiver: &str) -> ResourceRef {
        match &self.common.origin {
            Some(Origin::File { map, .. }) => map.reference(),
            Some(Origin::Object { namespace, name }) => {
                ResourceRef::kubernetes("monitoring.coreos.com", "Prometheus", namespace, name)
            }
            _ => ResourceRef::Receiver { name: receiver.to_owned() },
        }
    }

    fn label_seen(&self, label: &str, value: &str) -> Option<Evidence> {
        let shown = format!("global.external_labels.{label}: {value}");
        match self.common.origin.as_ref()? {
            Origin::File { map, key, .. } => Some(
                Evidence::new(
                    format!("ConfigMap {}/{}, {key}", map.metadata.namespace, map.metadata.name),
                    shown,
                    "kubectl get configmap {{ name }} -n {{ namespace }} -o yaml",
                )
                .with("name", &map.metadata.name)
                .with("namespace", &map.metadata.namespace),
            ),
            Origin::Object { namespace, name } => Some(
                Evidence::new(
                    format!("Prometheus {namespace}/{name}, spec.externalLabels"),
                    shown,
                    "kubectl get prometheus {{ name }} -n {{ namespace }} -o yaml",
                )
                .with("name", name)
                .with("namespace", namespace),
            ),
            Origin::Unknown => {
                let at = self.snap.scope.prometheus.as_ref()?;
                let path = proxy::of_component(at, "/api/v1/status/config");
                Some(
                    Evidence::new("Prometheus, status/config", shown, "kubectl get --raw {{ path }}")
                        .with("path", path),
                )
            }
        }
    }
}
