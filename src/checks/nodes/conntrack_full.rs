//! A node's table of connections is full, or nearly so.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::traffic::evidence;
use crate::checks::{Check, check};
use crate::domain::kubernetes::conntrack;
use crate::domain::kubernetes::network_policy::Policies;
use crate::domain::kubernetes::proxy;
use crate::domain::kubernetes::proxy_log;
use crate::domain::prometheus::targets::prometheus_path;
use crate::domain::traffic::blocked::blocks;
use crate::domain::traffic::flows::{self, Flow, Map};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::kubernetes::{Node, Pod};
use crate::snapshot::monitoring::FiringAlert;
use crate::snapshot::{Platform, Snapshot};

/// Connections that are shown.
const SHOWN: usize = 3;

check! {
    /// See the check's page.
    ConntrackFull {
        id: "conntrack-full", suite: Nodes, severity: Error,
        title: "a node's table of connections is full",
        requires: [Nodes, PrometheusAlerts],
        uses: [PrometheusRules, PrometheusTargets, ComponentLogs, CrashLogs, PartLogs, Pods, Services, NetworkPolicies, Namespaces],
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
        /// The ConfigMap of kube-proxy, where it runs.
        proxy_map: Option<String>,
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
    // What a policy does not admit fails with any table.
    let policies = Policies::of(snap);
    let free = |f: &&Flow<'_>| blocks(&policies, f.from, &f.to).is_empty();
    let dropped: Vec<&Flow<'_>> = if full { failing.iter().filter(touches).filter(free).collect() } else { Vec::new() };
    let part = used.map(|u| format!(" ({:.0}% of its entries are used)", u * 100.0)).unwrap_or_default();
    // One connection may be told of by several: by its log and by what Prometheus says.
    let ends = |f: &Flow<'_>| {
        let pods = f.to.ends.iter().map(|e| (e.peer.pod.map(|p| p.metadata.name.clone()), e.port));
        (snap.owner_ref(f.from), f.to.name.clone(), pods.collect::<Vec<_>>())
    };
    let distinct = dropped.iter().map(|f| ends(f)).collect::<BTreeSet<_>>().len();
    let follows = match (dropped.first(), distinct) {
        (None, _) => String::new(),
        (Some(one), ..=1) => format!(": new connections may be dropped: {}", one.symptom),
        (Some(one), 2) => format!(": new connections may be dropped: {}, and one more connection fails", one.symptom),
        (Some(one), n) => {
            format!(": new connections may be dropped: {}, and {} more connections fail", one.symptom, n - 1)
        }
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
            "{% if path %}kubectl get --raw {{ path }}{% endif %}",
        )
        .with("path", prometheus_path(snap, "/api/v1/alerts").unwrap_or_default()),
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
    let metrics_path = exporter.and_then(metrics_path);
    let proxy = pods.iter().find(|p| here(p) && proxy_log::is_proxy(p));
    made.fix(Fix::Raise { node: name.clone(), metrics_path, proxy_map: proxy.map(|p| proxy_map(snap, p)) })
}

/// Where a node-exporter is asked through the API server; `None` behind a proxy that wants a token.
fn metrics_path(pod: &Pod) -> Option<String> {
    if pod.spec.containers.iter().any(|c| c.image.contains("kube-rbac-proxy")) {
        return None;
    }
    let own = pod.spec.containers.iter().filter(|c| c.image.contains("node-exporter"));
    let port = own.flat_map(|c| &c.ports).map(|c| c.container_port).next().unwrap_or(9100);
    Some(proxy::of_pod(&pod.metadata.namespace, "http", &pod.metadata.name, port, "/metrics"))
}

/// The ConfigMap of kube-proxy's configuration: `kube-proxy-config` on EKS, where `kube-proxy` is its kubeconfig.
fn proxy_map(snap: &Snapshot, pod: &Pod) -> String {
    let mounted = |name: &str| pod.spec.volumes.iter().any(|v| v.config_map.as_ref().is_some_and(|m| m.name == name));
    let of_eks = mounted("kube-proxy-config") || (!mounted("kube-proxy") && snap.platform != Platform::Other);
    if of_eks { "kube-proxy-config" } else { "kube-proxy" }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(containers: &serde_json::Value, volumes: &serde_json::Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"namespace": "m", "name": "p"},
            "spec": {"containers": containers, "volumes": volumes}}))
        .expect("a pod")
    }

    #[test]
    fn an_exporter_behind_a_proxy_is_not_asked() {
        let own = json!({"name": "node-exporter", "image": "quay.io/prometheus/node-exporter:v1.9.1", "ports": [{"containerPort": 9101}]});
        let side = json!({"name": "side", "image": "side", "ports": [{"containerPort": 1}]});
        let path = metrics_path(&pod(&json!([side, own]), &json!([])));
        assert_eq!(path.as_deref(), Some("/api/v1/namespaces/m/pods/http:p:9101/proxy/metrics"));
        let proxy = json!({"name": "kube-rbac-proxy", "image": "quay.io/brancz/kube-rbac-proxy:v0.19.1", "ports": [{"containerPort": 9100}]});
        assert_eq!(metrics_path(&pod(&json!([own, proxy]), &json!([]))), None);
    }

    #[test]
    fn the_map_of_kube_proxy_is_the_one_that_it_mounts() {
        let mut snap = Snapshot::empty("2026-11-21T03:00:00Z".parse().expect("a time"));
        let map = |names: &[&str], snap: &Snapshot| {
            let volumes: Vec<_> = names.iter().map(|n| json!({"name": n, "configMap": {"name": n}})).collect();
            proxy_map(snap, &pod(&json!([]), &json!(volumes)))
        };
        assert_eq!(map(&["kube-proxy"], &snap), "kube-proxy");
        assert_eq!(map(&["kube-proxy", "kube-proxy-config"], &snap), "kube-proxy-config");
        snap.platform = Platform::Other;
        assert_eq!(map(&[], &snap), "kube-proxy");
    }
}
