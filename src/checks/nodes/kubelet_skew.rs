//! The kubelets of nodes are further from the API server than Kubernetes supports.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::place::Place;
use crate::checks::{Check, check};
use crate::domain::kubernetes::node_versions::{self, Apart, Maker};
use crate::domain::kubernetes::owner::is_kind;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::{Platform, Snapshot};

/// Nodes that are named.
const SHOWN: usize = 3;

check! {
    /// See the check's page.
    KubeletSkew {
        id: "kubelet-skew", suite: Nodes, severity: Warning,
        title: "nodes are further from the control plane's version than Kubernetes supports",
        requires: [Nodes, KubernetesVersion],
        uses: [Pods],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Group {
        group: String,
        cluster: String,
        version: String,
    },
    /// The same of nodes with Amazon Linux 2, which the new version does not have.
    GroupOfAl2 {
        group: String,
        cluster: String,
        version: String,
        node: String,
    },
    Pool {
        pool: String,
        node: String,
        nodes: Vec<String>,
    },
    Fargate {
        restarts: Vec<Restart>,
        nodes: Vec<String>,
    },
    Other {
        node: String,
        nodes: Vec<String>,
        version: String,
    },
    Newer {
        on_eks: bool,
        cluster: String,
    },
}

/// What runs on such a node.
#[derive(Serialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord)]
struct Restart {
    namespace: String,
    owner: String,
    /// `kubectl rollout restart` takes it; else the pod is deleted.
    rolls: bool,
}

impl Check for KubeletSkew {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.nodes()?;
        let Some((server, all)) = node_versions::apart(snap) else {
            return Ok(Diagnosis::NotApplicable("the version of the API server is not known".into()));
        };
        Ok(Diagnosis::Findings(all.iter().map(|apart| finding(snap, server, apart)).collect()))
    }
}

fn finding(snap: &Snapshot, server: u16, apart: &Apart<'_>) -> Finding {
    let names: Vec<&str> = apart.nodes.iter().map(|n| n.metadata.name.as_str()).collect();
    let which = match (&apart.maker, names.as_slice()) {
        (Maker::Group(group), all) => format!("{} of node group {group}", count(all.len())),
        (Maker::Pool(pool), all) => format!("{} of NodePool {pool}", count(all.len())),
        (Maker::Fargate, all) => format!("{} of Fargate", count(all.len())),
        (Maker::Other, [one]) => format!("node {one}"),
        (Maker::Other, all) => count(all.len()),
    };
    let verb = if names.len() == 1 { "runs" } else { "run" };
    let why = match apart.minor > server {
        true => "a kubelet may not be newer than the API server",
        false if snap.platform == Platform::Eks => {
            "a kubelet may be three minor versions older at most: pods there may lack what current charts ask for, and EKS does not update the control plane further"
        }
        false => "a kubelet may be three minor versions older at most: pods there may lack what current charts ask for",
    };
    let text = format!("{which} {verb} kubelet 1.{}, and the API server 1.{server}: {why}", apart.minor);
    let shown = if names.len() > SHOWN { &names[..SHOWN] } else { &names };
    let mut made = Finding::new(KubeletSkew::META.id, Severity::Warning, ResourceRef::node(names[0]), text)
        .key(format!("{:?} {}", apart.maker, apart.minor))
        .also_all(names.iter().map(|n| ResourceRef::node(n)))
        .breaks_nothing();
    let versions: Vec<String> = apart
        .nodes
        .iter()
        .take(shown.len())
        .map(|n| format!("{}: {}", n.metadata.name, n.status.node_info.kubelet_version))
        .collect();
    made = made.evidence(Evidence::new("kubelets of nodes", versions.join("\n"), "kubectl get nodes"));
    made = made.evidence(Evidence::new(
        "API server",
        snap.kubernetes_version().cloned().unwrap_or_default(),
        "kubectl version",
    ));
    let Place { cluster, .. } = Place::of(snap);
    let (node, version) = (names[0].to_owned(), format!("1.{server}"));
    let nodes: Vec<String> = names.into_iter().map(str::to_owned).collect();
    made.fix(match &apart.maker {
        _ if apart.minor > server => Fix::Newer { on_eks: snap.platform == Platform::Eks, cluster },
        Maker::Fargate => Fix::Fargate { restarts: restarts(snap, &nodes), nodes },
        Maker::Group(group) if node_versions::needs_other_image(&apart.nodes, server) => {
            Fix::GroupOfAl2 { group: group.clone(), cluster, version, node }
        }
        Maker::Group(group) => Fix::Group { group: group.clone(), cluster, version },
        Maker::Pool(pool) => Fix::Pool { pool: pool.clone(), node, nodes },
        Maker::Other => Fix::Other { node, nodes, version },
    })
}

/// What runs on nodes of Fargate, each once.
fn restarts(snap: &Snapshot, nodes: &[String]) -> Vec<Restart> {
    let pods = snap.pods.items().unwrap_or_default().iter();
    let here = pods.filter(|p| !p.is_finished() && p.spec.node_name.as_ref().is_some_and(|n| nodes.contains(n)));
    let all: BTreeSet<Restart> = here
        .map(|pod| {
            let owner = snap.owner_ref(pod);
            let rolls = is_kind(&owner, &["Deployment", "StatefulSet", "DaemonSet"]);
            let owner = if rolls { owner.kubectl_name() } else { format!("pod/{}", pod.metadata.name) };
            Restart { namespace: pod.metadata.namespace.clone(), owner, rolls }
        })
        .collect();
    all.into_iter().collect()
}

fn count(n: usize) -> String {
    if n == 1 { "1 node".to_owned() } else { format!("{n} nodes") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::snapshot::Listing;
    use serde_json::json;

    fn found(nodes: &[serde_json::Value]) -> Vec<Finding> {
        let mut snap = Snapshot::empty("2026-11-21T03:00:00Z".parse().expect("a time"));
        snap.platform = crate::snapshot::Platform::Eks;
        snap.set_kubernetes_version("v1.34.1-eks-1".to_owned());
        let nodes = nodes.iter().map(|n| serde_json::from_value(n.clone()).expect("a node"));
        snap.nodes = Listing::cluster(nodes.collect());
        let pod = json!({"metadata": {"name": "grafana-0", "namespace": "monitoring", "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "grafana", "controller": true}]},
            "spec": {"nodeName": "fargate-a"}, "status": {"phase": "Running"}});
        snap.pods = Listing::cluster(vec![serde_json::from_value(pod).expect("a pod")]);
        findings(&KubeletSkew, &snap)
    }

    fn node(name: &str, labels: serde_json::Value, image: &str) -> serde_json::Value {
        json!({"metadata": {"name": name, "labels": labels},
            "status": {"nodeInfo": {"kubeletVersion": "v1.30.2-eks-1", "osImage": image}}})
    }

    #[test]
    fn one_node_of_a_pool_goes_at_a_time() {
        let pool = json!({"karpenter.sh/nodepool": "default"});
        let all = found(&[node("a", pool.clone(), "Amazon Linux 2023"), node("b", pool, "Amazon Linux 2023")]);
        let told = steps(&all[0]);
        assert!(told.lines().any(|l| l == "kubectl delete node a"), "{told}");
    }

    #[test]
    fn what_runs_on_fargate_is_restarted() {
        let all = found(&[node("fargate-a", json!({}), "Amazon Linux 2")]);
        assert_eq!(all[0].variant, "fargate");
        let told = steps(&all[0]);
        assert!(told.contains("kubectl rollout restart statefulset/grafana -n monitoring"), "{told}");
        assert!(!told.contains("drain") && !told.contains("cordon"), "{told}");
    }

    #[test]
    fn a_group_of_amazon_linux_2_is_not_updated() {
        let group = json!({"eks.amazonaws.com/nodegroup": "monitoring"});
        let all = found(&[node("a", group, "Amazon Linux 2")]);
        assert_eq!(all[0].variant, "group-of-al2");
        assert!(!steps(&all[0]).contains("update-nodegroup-version"));
    }
}
