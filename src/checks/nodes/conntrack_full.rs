//! A node's table of connections is full, or nearly so.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::traffic::evidence;
use crate::checks::{Check, check};
use crate::domain::kubernetes::conntrack;
use crate::domain::traffic::flows::{self, Flow, Map};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Node, Pod};
use crate::snapshot::monitoring::FiringAlert;

/// Connections that are shown.
const SHOWN: usize = 3;

check! {
    /// See the check's page.
    ConntrackFull {
        id: "conntrack-full", suite: Nodes, severity: Error,
        title: "a node's table of connections is full",
        requires: [Nodes, PrometheusAlerts],
        uses: [PrometheusRules, PrometheusTargets, ComponentLogs, CrashLogs, Pods, Services],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Raise {
        node: String,
        /// An exporter of the node, through the API server.
        metrics_path: Option<String>,
        has_proxy: bool,
    },
}

impl Check for ConntrackFull {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.nodes()?;
        let all = conntrack::alerted(snap);
        if all.is_empty() {
            snap.prometheus_alerts()?;
            return Ok(Diagnosis::Findings(Vec::new()));
        }
        let map = Map::new(snap, false);
        let failing = flows::failing(snap, &map).unwrap_or_default();
        let findings = all.into_iter().map(|(node, alert, used)| finding(snap, node, alert, used, &failing));
        Ok(Diagnosis::Findings(findings.collect()))
    }
}

fn finding(snap: &Snapshot, node: &Node, alert: &FiringAlert, used: Option<f64>, failing: &[Flow<'_>]) -> Finding {
    let name = &node.metadata.name;
    let here = |p: &Pod| p.spec.node_name.as_deref() == Some(name.as_str());
    let touches = |f: &&Flow<'_>| here(f.from) || f.to.ends.iter().any(|e| e.peer.pod.is_some_and(here));
    let full = conntrack::is_full(used);
    let dropped: Vec<&Flow<'_>> = if full { failing.iter().filter(touches).collect() } else { Vec::new() };
    let part = used.map(|u| format!(" ({:.0}% of its entries are used)", u * 100.0)).unwrap_or_default();
    let follows = match dropped.as_slice() {
        [] => String::new(),
        [one] => format!(": new connections are dropped: {}", one.symptom),
        [one, more @ ..] => format!(": new connections are dropped: {} and {} more", one.symptom, more.len()),
    };
    let state = if full { "is full" } else { "is filling up" };
    let severity = if dropped.is_empty() { Severity::Warning } else { Severity::Error };
    let text = format!("the table of connections of node {name} {state}{part}{follows}");
    let mut made = Finding::new(ConntrackFull::META.id, severity, ResourceRef::node(name), text)
        .key(format!("{name} conntrack"))
        .breaks_nothing();
    let said = ["description", "summary"].iter().find_map(|k| alert.annotations.get(*k)).cloned();
    made = made.evidence(
        Evidence::new(
            format!("alert {}", alert.name()),
            said.filter(|s| !s.is_empty()).unwrap_or_else(|| "it fires".to_owned()),
            "kubectl describe node {{ node }}",
        )
        .with("node", name),
    );
    for flow in &dropped {
        made = flow.breaks.iter().cloned().fold(made, Finding::breaks);
        // Targets and hand-overs carry what they break; what a log tells of is its workload's.
        made = made.also(snap.owner_ref(flow.from));
    }
    for flow in dropped.iter().take(SHOWN) {
        made = made.evidence(evidence(snap, &flow.seen));
    }
    let pods = snap.pods.items().unwrap_or_default();
    let exporter = pods
        .iter()
        .find(|p| here(p) && p.is_ready() && p.spec.containers.iter().any(|c| c.image.contains("node-exporter")));
    let metrics_path = exporter.map(|p| {
        let port = p.spec.containers.iter().flat_map(|c| &c.ports).map(|c| c.container_port).next().unwrap_or(9100);
        format!("/api/v1/namespaces/{}/pods/{}:{port}/proxy/metrics", p.metadata.namespace, p.metadata.name)
    });
    let has_proxy = pods.iter().any(|p| here(p) && p.spec.containers.iter().any(|c| c.name == "kube-proxy"));
    made.fix(Fix::Raise { node: name.clone(), metrics_path, has_proxy })
}
