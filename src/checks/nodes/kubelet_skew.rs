//! The kubelets of nodes are further from the API server than Kubernetes supports.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::place::Place;
use crate::checks::{Check, check};
use crate::domain::kubernetes::node_versions::{self, Apart, Maker};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;

/// Nodes that are named.
const SHOWN: usize = 3;

check! {
    /// See the check's page.
    KubeletSkew {
        id: "kubelet-skew", suite: Nodes, severity: Warning,
        title: "nodes are further from the control plane's version than Kubernetes supports",
        requires: [Nodes],
        uses: [],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Group { group: String, cluster: String, region: String, version: String },
    Pool { pool: String, nodes: Vec<String> },
    Other { nodes: Vec<String>, version: String },
    Newer { cluster: String, region: String },
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
        (Maker::Other, [one]) => format!("node {one}"),
        (Maker::Other, all) => count(all.len()),
    };
    let verb = if names.len() == 1 { "runs" } else { "run" };
    let why = match apart.minor > server {
        true => "a kubelet may not be newer than the API server",
        false => {
            "a kubelet may be three minor versions older at most: pods there may lack what charts of now ask for, and EKS does not update the control plane further"
        }
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
        snap.target.kubernetes_version.clone().unwrap_or_default(),
        "kubectl version",
    ));
    let Place { cluster, region, .. } = Place::of(snap);
    let (nodes, version) = (names.into_iter().map(str::to_owned).collect(), format!("1.{server}"));
    made.fix(match &apart.maker {
        _ if apart.minor > server => Fix::Newer { cluster, region },
        Maker::Group(group) => Fix::Group { group: group.clone(), cluster, region, version },
        Maker::Pool(pool) => Fix::Pool { pool: pool.clone(), nodes },
        Maker::Other => Fix::Other { nodes, version },
    })
}

fn count(n: usize) -> String {
    if n == 1 { "1 node".to_owned() } else { format!("{n} nodes") }
}
