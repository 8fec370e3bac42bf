//! There is no monitoring stack where one was looked for: everything else was looked at all the same.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::{Check, check};
use crate::domain::kubernetes::image::base_of;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Object, Workload};
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
    // Whoever names a namespace means a stack there.
    let other = other_monitoring(snap).filter(|_| !snap.scope.named);
    let by = other.as_ref().map(|w| format!("; {w} watches this cluster in its place")).unwrap_or_default();
    let message =
        format!("no Prometheus, Alertmanager or Grafana was found, and {what}{by}: only the cluster below was judged");
    // Without a node nothing can be installed: that is another's fault, and its check says which.
    let has_nodes = snap.nodes.items().map_or(true, |nodes| nodes.iter().any(|n| n.is_ready()));
    let mut made = Finding::new(
        StackMissing::META.id,
        if has_nodes && other.is_none() { Severity::Warning } else { Severity::Info },
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

/// The agent of CloudWatch: where it runs, a stack of one's own need not be meant.
fn other_monitoring(snap: &Snapshot) -> Option<ResourceRef> {
    let is_it = |w: &&Workload| {
        let mut images = w.spec.template.spec.containers.iter().map(|c| base_of(&c.image));
        images.any(|i| i.ends_with("cloudwatch-agent"))
    };
    snap.workloads.items().unwrap_or_default().iter().find(is_it).map(Workload::reference)
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

    #[test]
    fn a_cluster_that_cloudwatch_watches_need_have_no_stack() {
        let mut snap = empty(false);
        let agent = json!([{"metadata": {"name": "cloudwatch-agent", "namespace": "amazon-cloudwatch"}, "spec": {"template":
            {"spec": {"containers": [{"name": "otc-container", "image": "public.ecr.aws/cloudwatch-agent/cloudwatch-agent:1.300056.0b1123"}]}}}}]);
        snap.workloads = Listing::cluster(serde_json::from_value(agent).expect("workloads"));
        let found = findings(&StackMissing, &snap).remove(0);
        assert_eq!(found.severity, Severity::Info);
        assert!(found.message.contains("amazon-cloudwatch/cloudwatch-agent watches this cluster"), "{}", found.message);
        snap.scope.named = true;
        assert_eq!(findings(&StackMissing, &snap)[0].severity, Severity::Warning);
    }
}
