//! A Namespace that is being deleted and does not end.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::{Check, check};
use crate::domain::kubernetes::namespaces::{self, HeldUp};
use crate::domain::kubernetes::nodes::dead_nodes;
use crate::domain::prometheus::operator::deployment::{Operator, operators};
use crate::domain::text::windows::minute;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Namespace, Workload};

check! {
    /// See the check's page.
    NamespaceTerminating {
        id: "namespace-terminating", suite: Pipeline, severity: Error,
        title: "a Namespace stays Terminating",
        requires: [Namespaces],
        uses: [ApiServices, Webhooks, Pods, Nodes, MonitoringResources, PersistentVolumeClaims, Services, Workloads],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    name: String,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    Discovery {
        apis: Vec<String>,
    },
    Webhook {
        webhooks: Vec<String>,
    },
    Finalizers {
        finalizer: String,
        /// Who takes it away; empty where that is not known.
        remover: &'static str,
        /// What has it.
        left: Vec<Left>,
        /// All that is left, as kubectl takes it.
        kinds: String,
        /// The controller, where it runs.
        controller: String,
        controller_namespace: String,
    },
    Content {
        kinds: String,
    },
}

/// An object with a finalizer.
#[derive(Serialize, JsonSchema)]
struct Left {
    resource: String,
    object: String,
}

impl Left {
    /// Those that were read, else one of which only the resource is known.
    fn all(snap: &Snapshot, namespace: &str, held: &HeldUp) -> Vec<Self> {
        let known = namespaces::left(snap, namespace, held);
        if !known.is_empty() {
            return known.into_iter().map(|(resource, object)| Self { resource, object }).collect();
        }
        let resource = held.resources.first().map_or("<resource>", |(r, _)| r.as_str());
        vec![Self { resource: resource.to_owned(), object: "<name>".to_owned() }]
    }
}

impl Way {
    fn of(snap: &Snapshot, namespace: &str, held: &HeldUp) -> Self {
        if !held.apis.is_empty() && !stays(held) {
            return Self::Discovery { apis: held.apis.iter().map(ResourceRef::name).collect() };
        }
        if !held.webhooks.is_empty() {
            return Self::Webhook { webhooks: held.webhooks.iter().map(ResourceRef::kubectl_name).collect() };
        }
        let resources: Vec<&str> = held.resources.iter().map(|(r, _)| r.as_str()).collect();
        let kinds = resources.join(",");
        let Some((finalizer, _)) = held.finalizers.first() else { return Self::Content { kinds } };
        let remover = held.finalizers.iter().find_map(|(f, _)| namespaces::remover(f)).unwrap_or_default();
        let controller = controller(snap, remover, namespace);
        Self::Finalizers {
            finalizer: finalizer.clone(),
            remover,
            left: Left::all(snap, namespace, held),
            kinds,
            controller: controller.map(|w| w.kubectl_name()).unwrap_or_default(),
            controller_namespace: controller.map(|w| w.metadata.namespace.clone()).unwrap_or_default(),
        }
    }
}

/// Who removes the finalizer, where it is ready and looks at the namespace.
fn controller<'a>(snap: &'a Snapshot, remover: &str, namespace: &str) -> Option<&'a Workload> {
    if remover != namespaces::OPERATOR {
        return namespaces::running(snap, remover);
    }
    let takes = |o: &Operator<'_>| !o.is_down() && !o.is_picky() && o.servers_scope("Prometheus").holds(namespace);
    operators(snap).into_iter().find(takes).map(|o| o.workload)
}

impl Check for NamespaceTerminating {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let held = snap.namespaces()?.iter().filter_map(|n| Some((n, namespaces::held_up(snap, n)?)));
        Ok(Diagnosis::Findings(held.map(|(n, held)| finding(snap, n, &held)).collect()))
    }
}

fn finding(snap: &Snapshot, namespace: &Namespace, held: &HeldUp) -> Finding {
    let name = &namespace.metadata.name;
    let since = namespace.metadata.deletion_timestamp.map(|t| format!(" since {}", minute(t)));
    let since = since.unwrap_or_default();
    let severity = if snap.scope.is_stack(name) { Severity::Error } else { Severity::Warning };
    let message = format!("Namespace {name} is Terminating{since}: {}", why(held));
    let reference = ResourceRef::kubernetes("", "Namespace", "", name);
    let mut made = Finding::new(NamespaceTerminating::META.id, severity, reference, message)
        .fix(Fix { name: name.clone(), way: Way::of(snap, name, held) })
        .evidence(
            Evidence::new(
                format!("Namespace {name}, conditions"),
                held.messages.join("\n"),
                "kubectl describe namespace {{ name }}",
            )
            .with("name", name),
        );
    let apis = held.apis.iter().filter(|_| !stays(held));
    made = apis.chain(&held.webhooks).cloned().fold(made, Finding::depends_on);
    let inside = snap.pods.items().unwrap_or_default().iter().filter(|p| p.metadata.namespace == *name);
    dead_nodes(snap, inside).into_iter().fold(made, Finding::depends_on)
}

/// Finalizers hold what other APIs than the silent ones have: that stays when those answer again.
fn stays(held: &HeldUp) -> bool {
    held.webhooks.is_empty() && !held.resources.is_empty() && !held.finalizers.is_empty()
}

fn counted(all: &[(String, u32)]) -> String {
    all.iter().map(|(name, count)| format!("{count} {name}")).collect::<Vec<_>>().join(", ")
}

/// `is left`, of a single one.
fn verb(all: &[(String, u32)]) -> &'static str {
    if all.iter().map(|(_, count)| count).sum::<u32>() == 1 { "is left" } else { "are left" }
}

fn why(held: &HeldUp) -> String {
    if !held.apis.is_empty() {
        let names: Vec<String> = held.apis.iter().map(ResourceRef::name).collect();
        let silent = format!("APIService {} does not answer, so that nobody can tell", names.join(", "));
        return match stays(held) {
            true => format!("{}; {silent} what else is left in it", held_by(&held.resources, &held.finalizers)),
            false => format!("{silent} what is left in it"),
        };
    }
    if !held.webhooks.is_empty() {
        let names: Vec<String> = held.webhooks.iter().map(ToString::to_string).collect();
        return format!("{} cannot be called, and its content cannot be deleted", names.join(", "));
    }
    match (held.resources.as_slice(), held.finalizers.as_slice()) {
        ([], []) => "its controller does not say why".to_owned(),
        (left, []) => format!("{} {}", counted(left), verb(left)),
        (left, finalizers) => held_by(left, finalizers),
    }
}

/// `1 prometheuses.monitoring.coreos.com is left, held by the finalizer …`.
fn held_by(left: &[(String, u32)], finalizers: &[(String, u32)]) -> String {
    let names: Vec<String> = finalizers
        .iter()
        .map(|(f, _)| match namespaces::remover(f) {
            Some(who) => format!("{f} (removed by {who})"),
            None => f.clone(),
        })
        .collect();
    format!("{} {}, held by the finalizer {}", counted(left), verb(left), names.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::snapshot;
    use crate::snapshot::Listing;
    use crate::snapshot::kubernetes::MonitoringResource;

    /// A namespace that a Prometheus keeps, with so many ready pods of the operator.
    fn snap(ready: u32) -> Snapshot {
        let conditions = json!([
            {"type": "NamespaceContentRemaining", "status": "True",
                "message": "Some resources are remaining: prometheuses.monitoring.coreos.com has 1 resource instances"},
            {"type": "NamespaceFinalizersRemaining", "status": "True",
                "message": "Some content in the namespace has finalizers remaining: monitoring.coreos.com/status-cleanup in 1 resource instances"}]);
        let operator = json!({"metadata": {"name": "operator", "namespace": "monitoring"}, "spec": {"replicas": 1,
            "template": {"spec": {"containers": [{"name": "o", "image": "quay.io/prometheus-operator/prometheus-operator:v0.93.1"}]}}},
            "status": {"readyReplicas": ready}});
        let mut snap = snapshot(json!({
            "namespaces": [{"metadata": {"name": "old", "deletionTimestamp": "2026-11-21T01:00:00Z"},
                "status": {"phase": "Terminating", "conditions": conditions}}],
            "workloads": [operator]}));
        let server = |name: &str, namespace: &str| {
            let meta = json!({"metadata": {"name": name, "namespace": namespace, "deletionTimestamp": "2026-11-21T01:00:00Z",
                "finalizers": ["monitoring.coreos.com/status-cleanup"]}});
            let mut server: MonitoringResource = serde_json::from_value(meta).expect("a server");
            server.kind = "Prometheus".into();
            server
        };
        snap.monitoring_resources = Listing::cluster(vec![server("k8s", "old"), server("other", "monitoring")]);
        snap
    }

    #[test]
    fn names_what_is_left_and_asks_the_controller_that_runs() {
        let found = findings(&NamespaceTerminating, &snap(1));
        assert!(found[0].message.contains("1 prometheuses.monitoring.coreos.com is left"), "{}", found[0].message);
        let text = steps(&found[0]);
        assert!(text.contains("kubectl patch prometheuses.monitoring.coreos.com k8s -n old"), "{text}");
        assert!(text.contains("kubectl logs -n monitoring deployment/operator") && !text.contains("other"), "{text}");
        let text = steps(&findings(&NamespaceTerminating, &snap(0))[0]);
        assert!(!text.contains("kubectl logs"), "{text}");
    }

    #[test]
    fn what_finalizers_hold_stays_when_the_api_answers() {
        let mut with_api = snap(1);
        let mut namespaces: Vec<Namespace> = with_api.namespaces.items().expect("namespaces").to_vec();
        let silent = json!({"type": "NamespaceDeletionDiscoveryFailure", "status": "True", "message": "Discovery failed for some groups, 1 failing: unable to retrieve the complete list of server APIs: metrics.k8s.io/v1beta1: stale GroupVersion discovery: metrics.k8s.io/v1beta1"});
        let silent = serde_json::from_value(silent).expect("a condition");
        namespaces[0].status.conditions.push(silent);
        with_api.namespaces = Listing::cluster(namespaces.clone());
        let both = findings(&NamespaceTerminating, &with_api);
        assert!(
            both[0].message.contains("1 prometheuses.monitoring.coreos.com is left, held by"),
            "{}",
            both[0].message
        );
        assert!(both[0].depends_on.is_empty(), "that API alone does not end it: {:?}", both[0].depends_on);
        assert!(steps(&both[0]).contains("kubectl patch prometheuses.monitoring.coreos.com k8s -n old"));
        namespaces[0].status.conditions.retain(|c| c.kind == "NamespaceDeletionDiscoveryFailure");
        with_api.namespaces = Listing::cluster(namespaces);
        let alone = findings(&NamespaceTerminating, &with_api);
        assert!(!alone[0].depends_on.is_empty() && steps(&alone[0]).contains("ends by itself"));
    }
}
