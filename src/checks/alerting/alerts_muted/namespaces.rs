//! Routes that all ask for a namespace: those that the operator makes of AlertmanagerConfig objects.

use std::collections::BTreeSet;

use super::fix::Way;
use super::{AlertsMuted, View, join, show};
use crate::domain::alertmanager::pods::alertmanager_pods;
use crate::domain::alertmanager::tree::{Tree, is_about_one_alert};
use crate::domain::kubernetes::owner::operator_resource;
use crate::lint::alertmanager::matcher::{Matcher, Op};
use crate::model::{Finding, ResourceRef, Severity};

impl View<'_> {
    /// Every route that sends asks for a namespace: the operator's routes for AlertmanagerConfig objects.
    pub(super) fn namespaces(&self, tree: &Tree) -> Option<Finding> {
        if tree.sends(&tree.root.receiver) {
            return None;
        }
        let paths = tree.paths();
        let sending = paths.iter().filter(|(path, route)| tree.sends(&route.receiver) && !is_about_one_alert(path));
        let sending: Vec<_> = sending.collect();
        let asked = |path: &[Matcher]| {
            path.iter()
                .find(|m| m.name == "namespace" && matches!(m.op, Op::Equal | Op::Regex))
                .map(|m| m.value.clone())
        };
        let namespaces: Option<BTreeSet<String>> = sending.iter().map(|(path, _)| asked(path)).collect();
        let namespaces = namespaces.filter(|n| !n.is_empty())?;
        let lost = self.lost(tree);
        let names: BTreeSet<&str> = lost.iter().map(|l| l.name.as_str()).collect();
        let severity = if names.is_empty() { Severity::Info } else { Severity::Warning };
        let without: BTreeSet<&str> =
            lost.iter().filter(|l| !l.labels.contains_key("namespace")).map(|l| l.name.as_str()).collect();
        let listed = namespaces.iter().cloned().collect::<Vec<_>>().join(", ");
        let now = match (names.is_empty(), without.is_empty()) {
            (true, _) => String::new(),
            (false, true) => format!("; firing now, and nobody is told: {}", join(&names)),
            (false, false) => format!(
                "; firing now, and nobody is told: {} ({} without a namespace label)",
                join(&names),
                join(&without)
            ),
        };
        let message = format!(
            "only alerts with namespace={listed} reach someone: each route to a receiver with an integration asks for it, and the root route ends at receiver {:?} without integration{now}",
            tree.root.receiver
        );
        let (namespace, object) = self.object();
        let subject = match &object {
            Some(name) => ResourceRef::kubernetes("monitoring.coreos.com", "Alertmanager", &namespace, name),
            None => self.alertmanager(),
        };
        let line = sending.first().map_or(1, |(_, route)| route.line);
        let mut finding = Finding::new(AlertsMuted::META.id, severity, subject, message)
            .breaks(ResourceRef::Receiver { name: tree.root.receiver.clone() })
            .key("namespace")
            .evidence(
                self.route_seen(
                    line,
                    sending
                        .iter()
                        .take(3)
                        .map(|(path, r)| format!("{} → {}", show(path), r.receiver))
                        .collect::<Vec<_>>()
                        .join("; "),
                ),
            );
        if !names.is_empty() {
            finding = finding.evidence(self.alerts_seen(format!("{} → {}", join(&names), tree.root.receiver)));
        }
        let way = Way::Namespace {
            operated: object.is_some() || sending.iter().any(|(_, r)| r.receiver.matches('/').count() >= 2),
            object: object.unwrap_or_else(|| "<alertmanager>".to_owned()),
            object_namespace: namespace,
            strategy: r#"{"spec":{"alertmanagerConfigMatcherStrategy":{"type":"None"}}}"#,
            namespaces: listed,
        };
        Some(finding.fix(self.fix(way)))
    }

    /// The Alertmanager object of the operator.
    fn object(&self) -> (String, Option<String>) {
        let pod = alertmanager_pods(self.snap).into_iter().next().map(|(pod, _)| pod);
        let name = pod.and_then(|p| operator_resource(self.snap, p)).map(|(_, name)| name.to_owned());
        (self.alertmanager_namespace(), name)
    }
}
