//! Whether a text names a resource. A name alone is often that of several objects of one release.

use crate::model::ResourceRef;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Meta;

/// Letters from which on a name stands for one thing.
const NAME: usize = 8;
/// Kinds that run or answer: who writes of one of them means what is behind it as well.
const SERVING: &[&str] = &[
    "service",
    "deployment",
    "statefulset",
    "daemonset",
    "replicaset",
    "pod",
    "ingress",
    "endpoints",
    "endpointslice",
];
/// Other kinds that texts name before a name.
const OTHERS: &[&str] = &[
    "alertmanagerconfig",
    "apiservice",
    "clusterrole",
    "clusterrolebinding",
    "configmap",
    "customresourcedefinition",
    "horizontalpodautoscaler",
    "namespace",
    "persistentvolume",
    "persistentvolumeclaim",
    "poddisruptionbudget",
    "podmonitor",
    "prometheusrule",
    "role",
    "rolebinding",
    "scrapeconfig",
    "secret",
    "serviceaccount",
    "servicemonitor",
    "storageclass",
];

/// The name of something that a finding is about.
pub(super) struct Name {
    name: String,
    /// In small letters; none where it is no object of Kubernetes.
    kind: Option<String>,
    /// Something that runs or answers has the name too, and is meant where no kind is said.
    is_shared: bool,
}

impl Name {
    /// Of a resource, if it can stand for one thing.
    pub(super) fn of(snap: &Snapshot, resource: &ResourceRef) -> Option<Self> {
        let (name, kind) = match resource {
            ResourceRef::Kubernetes { kind, name, .. } => (name.clone(), Some(kind.to_ascii_lowercase())),
            ResourceRef::Aws(aws) => (aws.id.clone(), None),
            other => (other.name(), None),
        };
        if name.len() < NAME || !name.contains(['-', '.', '/', ':']) {
            return None;
        }
        let is_shared = match resource {
            ResourceRef::Kubernetes { kind, namespace, name, .. } => {
                !is_serving(&kind.to_ascii_lowercase()) && serves(snap, namespace, name)
            }
            _ => false,
        };
        Some(Self { name, kind, is_shared })
    }

    /// The text holds the name, not as a part of a longer one, and not as that of another kind.
    pub(super) fn is_in(&self, text: &str) -> bool {
        let inside = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
        text.match_indices(&self.name).any(|(at, _)| {
            let (before, after) = (&text[..at], &text[at + self.name.len()..]);
            !before.ends_with(inside) && !after.starts_with(inside) && self.is_meant(before)
        })
    }

    /// By what stands before the name.
    fn is_meant(&self, before: &str) -> bool {
        let Some(own) = &self.kind else { return true };
        match said_kind(before) {
            Some(said) => said == own || (is_serving(said) && is_serving(own)),
            None => !self.is_shared,
        }
    }
}

fn is_serving(kind: &str) -> bool {
    SERVING.contains(&kind)
}

/// A Service or a workload has the name.
fn serves(snap: &Snapshot, namespace: &str, name: &str) -> bool {
    let same = |meta: &Meta| meta.name == name && (namespace.is_empty() || meta.namespace == namespace);
    snap.services.items().unwrap_or_default().iter().any(|s| same(&s.metadata))
        || snap.workloads.items().unwrap_or_default().iter().any(|w| same(&w.metadata))
}

/// The kind that stands before a name: `secret "`, `service account shop/`, `deployment/`, `servicemonitor=shop/`.
fn said_kind(before: &str) -> Option<&'static str> {
    const QUOTES: [char; 5] = ['"', '\'', '`', '\\', '('];
    let mut rest = before.trim_end_matches(QUOTES);
    if let Some(head) = rest.strip_suffix('/') {
        let word = last_word(head);
        if let Some(kind) = kind_of(word) {
            return Some(kind);
        }
        // A namespace.
        rest = head[..head.len() - word.len()].trim_end_matches(QUOTES);
    }
    let rest = rest.trim_end_matches([' ', '=']).trim_end_matches(QUOTES);
    let word = last_word(rest);
    let ahead = last_word(rest[..rest.len() - word.len()].trim_end());
    kind_of(&format!("{ahead}{word}")).or_else(|| kind_of(word))
}

/// The letters, dots and hyphens at the end.
fn last_word(text: &str) -> &str {
    let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    &text[text.trim_end_matches(inside).len()..]
}

/// The kind of a word: in any case, as a plural, with its group.
fn kind_of(word: &str) -> Option<&'static str> {
    let word = word.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let mut all = SERVING.iter().chain(OTHERS).copied();
    all.find(|kind| word.strip_prefix(kind).is_some_and(|rest| matches!(rest, "" | "s" | "es")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::snapshot::Listing;

    fn is_in(snap: &Snapshot, kind: &str, text: &str) -> bool {
        let resource = ResourceRef::kubernetes("", kind, "shop", "orders-api");
        Name::of(snap, &resource).expect("a telling name").is_in(text)
    }

    #[test]
    fn a_kind_before_the_name_decides() {
        let snap = Snapshot::empty("2026-11-21T03:00:00Z".parse().expect("is a time"));
        let missing = "error looking up service account shop/orders-api: serviceaccount \"orders-api\" not found";
        assert!(is_in(&snap, "ServiceAccount", missing));
        assert!(!is_in(&snap, "ServiceMonitor", missing) && !is_in(&snap, "Service", missing));
        let skipped = "skipping servicemonitor servicemonitor=shop/orders-api namespace=monitoring";
        assert!(is_in(&snap, "ServiceMonitor", skipped) && !is_in(&snap, "ConfigMap", skipped));
        assert!(is_in(&snap, "ConfigMap", "configmaps \"orders-api\" is forbidden"));
        assert!(is_in(&snap, "Service", "Deployment \"orders-api\" has timed out"), "it serves the Service");
        assert!(is_in(&snap, "ServiceMonitor", "servicemonitors.monitoring.coreos.com \"orders-api\" not found"));
        assert!(!is_in(&snap, "Secret", "deployment/orders-api is not ready"));
        assert!(!is_in(&snap, "Service", "Service orders-api-v2 is not ready"));
    }

    #[test]
    fn without_a_kind_what_answers_is_meant() {
        let mut snap = Snapshot::empty("2026-11-21T03:00:00Z".parse().expect("is a time"));
        let refused = "Get \"http://orders-api.shop:80/\": connection refused";
        assert!(is_in(&snap, "ServiceMonitor", refused), "nothing else has the name");
        let service = json!([{"metadata": {"namespace": "shop", "name": "orders-api"}}]);
        snap.services = Listing::cluster(serde_json::from_value(service).expect("Services"));
        assert!(!is_in(&snap, "ServiceMonitor", refused));
        assert!(is_in(&snap, "Service", refused) && is_in(&snap, "Pod", refused));
    }
}
