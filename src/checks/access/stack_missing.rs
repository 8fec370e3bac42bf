//! There is no monitoring stack where one was looked for: everything else was looked at all the same.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::{Check, check};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Object;
use crate::text::near;

check! {
    /// See the check's page.
    StackMissing {
        id: "stack-missing", suite: Access, severity: Warning,
        title: "no monitoring stack was found",
        requires: [Services, Pods, Workloads, PersistentVolumeClaims],
        uses: [Namespaces, Nodes],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Missing {
        namespace: String,
        /// It is being deleted.
        is_ending: bool,
    },
}

impl Check for StackMissing {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let Some(namespace) = snap.scope.stack.first() else {
            return Ok(Diagnosis::NotApplicable("no namespace to look at".into()));
        };
        let found = (!snap.scope.discovered && holds_nothing(snap, namespace)?).then(|| finding(snap, namespace));
        Ok(Diagnosis::Findings(found.into_iter().collect()))
    }
}

fn holds_nothing(snap: &Snapshot, namespace: &str) -> Result<bool, Gap> {
    fn none<T: Object>(list: &crate::snapshot::Listing<T>, namespace: &str) -> Result<bool, Gap> {
        list.covered(namespace)?;
        Ok(!list.items()?.iter().any(|o| o.meta().namespace == namespace))
    }
    Ok(none(&snap.services, namespace)?
        && none(&snap.pods, namespace)?
        && none(&snap.workloads, namespace)?
        && none(&snap.persistent_volume_claims, namespace)?)
}

fn finding(snap: &Snapshot, namespace: &str) -> Finding {
    let exists = snap.namespaces.named(namespace).ok().map(|n| n.is_some());
    let names: Vec<&str> =
        snap.namespaces.items().unwrap_or_default().iter().map(|n| n.metadata.name.as_str()).collect();
    let alike = names.into_iter().find(|n| *n != namespace && near::typo(namespace, n, 2));
    let is_ending = snap.namespaces.named(namespace).is_ok_and(|n| n.is_some_and(|n| n.is_terminating()));
    let what = match (exists, alike) {
        _ if is_ending => format!("namespace {namespace} is being deleted and holds nothing any more"),
        (Some(false), Some(near)) => format!("namespace {namespace} does not exist (there is a namespace {near})"),
        (Some(false), None) => format!("namespace {namespace} does not exist"),
        _ => format!("namespace {namespace} holds neither Services nor pods nor claims"),
    };
    let message =
        format!("no Prometheus, Alertmanager or Grafana was found, and {what}: only the cluster below was judged");
    // Without a node nothing can be installed: that is another's fault, and its check says which.
    let has_nodes = snap.nodes.items().map_or(true, |nodes| nodes.iter().any(|n| n.is_ready()));
    let mut made = Finding::new(
        StackMissing::META.id,
        if has_nodes { Severity::Warning } else { Severity::Info },
        ResourceRef::kubernetes("", "Namespace", "", namespace),
        message,
    )
    .key("stack")
    .fix(Fix::Missing { namespace: namespace.to_owned(), is_ending })
    .evidence(Evidence::new(
        "Services of all namespaces",
        "none is a part of a monitoring stack by its name or labels",
        "kubectl get services -A",
    ));
    // Nothing stops working by it.
    made.breaks = Some(Vec::new());
    // It is being deleted: that it is empty is no wonder.
    if is_ending {
        made = made.depends_on(ResourceRef::kubernetes("", "Namespace", "", namespace));
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::testing::findings;
    use crate::domain::testing::workload::snapshot;
    use crate::snapshot::Listing;
    use serde_json::json;

    fn empty(discovered: bool) -> Snapshot {
        let mut snap = snapshot(json!([]));
        snap.scope.discovered = discovered;
        snap.services = Listing::cluster(Vec::new());
        snap.workloads = Listing::cluster(Vec::new());
        snap.persistent_volume_claims = Listing::cluster(Vec::new());
        let names = json!([{"metadata": {"name": "default"}}, {"metadata": {"name": "monitorin"}}]);
        snap.namespaces = Listing::cluster(serde_json::from_value(names).expect("namespaces"));
        snap
    }

    #[test]
    fn names_the_namespace_and_one_that_is_almost_called_so() {
        let found = findings(&StackMissing, &empty(false));
        assert_eq!(found.len(), 1);
        assert!(found[0].message.contains("there is a namespace monitorin"), "{}", found[0].message);
        assert_eq!(findings(&StackMissing, &empty(true)), []);
    }
}
