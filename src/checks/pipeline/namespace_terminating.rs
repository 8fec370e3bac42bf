//! A Namespace that is being deleted and does not end.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::{Check, check};
use crate::domain::kubernetes::namespaces::{self, HeldUp};
use crate::domain::kubernetes::nodes::dead_nodes;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Namespace;

check! {
    /// See the check's page.
    NamespaceTerminating {
        id: "namespace-terminating", suite: Pipeline, severity: Error,
        title: "a Namespace stays Terminating",
        requires: [Namespaces],
        uses: [ApiServices, Webhooks, Pods, Nodes],
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
        resource: String,
        /// All that is left, as kubectl takes it.
        kinds: String,
    },
    Content {
        kinds: String,
    },
}

impl Way {
    fn of(held: &HeldUp) -> Self {
        if !held.apis.is_empty() {
            return Self::Discovery { apis: held.apis.iter().map(ResourceRef::name).collect() };
        }
        if !held.webhooks.is_empty() {
            return Self::Webhook { webhooks: held.webhooks.iter().map(ResourceRef::kubectl_name).collect() };
        }
        let resources: Vec<&str> = held.resources.iter().map(|(r, _)| r.as_str()).collect();
        let kinds = resources.join(",");
        let Some((finalizer, _)) = held.finalizers.first() else { return Self::Content { kinds } };
        Self::Finalizers {
            finalizer: finalizer.clone(),
            remover: held.finalizers.iter().find_map(|(f, _)| namespaces::remover(f)).unwrap_or_default(),
            resource: resources.first().copied().unwrap_or("<resource>").to_owned(),
            kinds,
        }
    }
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
    let since = namespace.metadata.deletion_timestamp.map(|t| t.to_string()).unwrap_or_default();
    let severity = if snap.scope.is_stack(name) { Severity::Error } else { Severity::Warning };
    let message = format!("Namespace {name} is Terminating since {since}: {}", why(held));
    let reference = ResourceRef::kubernetes("", "Namespace", "", name);
    let mut made = Finding::new(NamespaceTerminating::META.id, severity, reference, message)
        .fix(Fix { name: name.clone(), way: Way::of(held) })
        .evidence(
            Evidence::new(
                format!("Namespace {name}, conditions"),
                held.messages.join("\n"),
                "kubectl describe namespace {{ name }}",
            )
            .with("name", name),
        );
    made = held.apis.iter().chain(&held.webhooks).cloned().fold(made, Finding::depends_on);
    let inside = snap.pods.items().unwrap_or_default().iter().filter(|p| p.metadata.namespace == *name);
    dead_nodes(snap, inside).into_iter().fold(made, Finding::depends_on)
}

fn counted(all: &[(String, u32)]) -> String {
    all.iter().map(|(name, count)| format!("{count} {name}")).collect::<Vec<_>>().join(", ")
}

fn why(held: &HeldUp) -> String {
    if !held.apis.is_empty() {
        let names: Vec<String> = held.apis.iter().map(ResourceRef::name).collect();
        return format!("APIService {} does not answer, so that nobody can tell what is left in it", names.join(", "));
    }
    if !held.webhooks.is_empty() {
        let names: Vec<String> = held.webhooks.iter().map(ToString::to_string).collect();
        return format!("{} cannot be called, and its content cannot be deleted", names.join(", "));
    }
    match (held.resources.as_slice(), held.finalizers.as_slice()) {
        ([], []) => "its controller does not say why".to_owned(),
        (left, []) => format!("{} are left", counted(left)),
        (left, finalizers) => {
            let names: Vec<String> = finalizers
                .iter()
                .map(|(f, _)| match namespaces::remover(f) {
                    Some(who) => format!("{f} (removed by {who})"),
                    None => f.clone(),
                })
                .collect();
            format!("{} are left, held by the finalizer {}", counted(left), names.join(", "))
        }
    }
}
