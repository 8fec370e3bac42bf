//! The metrics API is missing, does not answer, or gets nothing from kubelets.

mod fix;

use std::collections::BTreeSet;

use fix::Fix;

use crate::checks::support::host_network::HostNetwork;
use crate::checks::support::pipeline::{api_evidence, autoscaler_evidence, plural};
use crate::checks::support::seen::line_evidence;
use crate::checks::{Check, check};
use crate::domain::kubernetes::api_services::{self, METRICS, Unavailable};
use crate::domain::kubernetes::autoscaling;
use crate::domain::kubernetes::endpoints::{self, Cause};
use crate::domain::kubernetes::metrics_server::{self, Failed, KubeletCause, OwnNode};
use crate::domain::kubernetes::nodes::{KUBELET_PORT, dead_nodes};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Autoscaler, Pod};

/// Autoscalers and nodes that are named in a message.
const NAMED: usize = 3;

check! {
    /// See the check's page.
    MetricsServer {
        id: "metrics-server", suite: Pipeline, severity: Error,
        title: "the metrics API is missing or does not answer",
        requires: [ApiServices],
        uses: [Namespaces, Events, Services, EndpointSlices, Pods, Workloads, Autoscalers, PartLogs, Nodes, EksCluster, EksAddons, EksNodegroups, Instances, Vpcs, SecurityGroups, NetworkAcls, Subnets],
        fix: Fix,
    }
}

impl Check for MetricsServer {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let apis = snap.api_services()?;
        let wanting = wanting(snap);
        let failed = metrics_server::failed_nodes(snap);
        if !apis.iter().any(|a| a.metadata.name == METRICS) {
            if wanting.is_empty() {
                return Ok(Diagnosis::NotApplicable(
                    "metrics-server is not installed, and nothing scales by it".into(),
                ));
            }
            return Ok(Diagnosis::Findings(vec![missing(snap, &wanting)]));
        }
        if let Some(silent) = api_services::unavailable(snap).into_iter().find(|u| u.api.metadata.name == METRICS) {
            return Ok(Diagnosis::Findings(vec![unavailable(snap, &silent, &wanting, &failed)]));
        }
        Ok(Diagnosis::Findings(blind(snap, &wanting, failed)))
    }
}

/// Autoscalers that need the metrics API.
fn wanting(snap: &Snapshot) -> Vec<&Autoscaler> {
    snap.autoscalers.items().unwrap_or_default().iter().filter(|h| autoscaling::wants_metrics_api(h)).collect()
}

/// What does not work without it.
fn effect(wanting: &[&Autoscaler]) -> String {
    let names: Vec<String> = wanting.iter().take(NAMED).map(|h| autoscaling::named(h)).collect();
    let more = if wanting.len() > NAMED { format!(" and {} more", wanting.len() - NAMED) } else { String::new() };
    match wanting.len() {
        0 => "kubectl top does not work".to_owned(),
        1 => format!("kubectl top does not work, and HorizontalPodAutoscaler {} cannot scale", names.join(", ")),
        _ => format!("kubectl top does not work, and HorizontalPodAutoscalers {}{more} cannot scale", names.join(", ")),
    }
}

fn base(severity: Severity, message: String) -> Finding {
    Finding::new(MetricsServer::META.id, severity, api_services::reference(METRICS), message)
        .key(METRICS)
        .breaks(api_services::reference(METRICS))
}

/// Security groups of the nodes' instances.
fn security_groups(snap: &Snapshot) -> BTreeSet<String> {
    let nodes: Vec<&str> = snap.nodes.items().unwrap_or_default().iter().filter_map(|n| n.instance_id()).collect();
    let instances = snap.instances.iter().flatten().filter(|i| nodes.contains(&i.instance_id.as_str()));
    instances.flat_map(|i| i.security_groups.iter().map(|g| g.group_id.clone())).collect()
}

/// Its pods run and forbid the kubelet's probes, which come without a name: whoever took away what a cluster gives to those
/// (`system:public-info-viewer`) took that, too.
fn forbids_probes(snap: &Snapshot, reason: &Cause<'_>) -> bool {
    let is_forbidden = |p: &&Pod| endpoints::unhealthy(snap, p).is_some_and(|e| e.contains("statuscode: 403"));
    matches!(reason, Cause::NotReady(_)) && reason.pods().iter().any(is_forbidden)
}

/// No such API.
fn missing(snap: &Snapshot, wanting: &[&Autoscaler]) -> Finding {
    let message = format!("metrics-server is not installed (no APIService {METRICS}): {}", effect(wanting));
    let made = base(Severity::Error, message).fix(fix::install(snap)).evidence(Evidence::new(
        "APIServices of the cluster",
        format!("{METRICS} is not among them"),
        "kubectl get apiservices",
    ));
    with_autoscalers(made, wanting)
}

fn with_autoscalers(made: Finding, wanting: &[&Autoscaler]) -> Finding {
    wanting.iter().take(NAMED).fold(made, |made, hpa| made.evidence(autoscaler_evidence(hpa)))
}

/// The API is registered and does not answer.
fn unavailable(snap: &Snapshot, silent: &Unavailable<'_>, wanting: &[&Autoscaler], failed: &[Failed<'_>]) -> Finding {
    let (namespace, name) = (&silent.service.namespace, &silent.service.name);
    let is_left = matches!(silent.fault, api_services::Cause::NoService | api_services::Cause::NoEndpoints(_))
        && api_services::left_behind(snap, silent.service);
    let why = match &silent.fault {
        api_services::Cause::NoService if is_left => {
            format!("its Service {namespace}/{name} went with its namespace, and the APIService stayed")
        }
        api_services::Cause::NoService => format!("its Service {namespace}/{name} does not exist"),
        api_services::Cause::NoPort => format!("Service {namespace}/{name} does not have the port that it names"),
        api_services::Cause::NoEndpoints(reason) => {
            let service = snap.services.find(namespace, name).ok().flatten();
            let words = reason.as_ref().zip(service).map(|(r, s)| format!(": {}", r.words(snap, s)));
            let forbids = reason.as_ref().is_some_and(|r| forbids_probes(snap, r));
            let probes = if forbids { ", as it lets nobody without a name see whether it is ready" } else { "" };
            let asked =
                if matches!(reason, Some(Cause::NotReady(_))) && !forbids { without(failed) } else { String::new() };
            format!("Service {namespace}/{name} has no ready endpoint{}{probes}{asked}", words.unwrap_or_default())
        }
        api_services::Cause::Timeout => match HostNetwork::behind(snap, silent.service) {
            Some(overlay) => overlay.why(&format!("{namespace}/{name}")),
            None => format!("the control plane gets no answer from the pods of Service {namespace}/{name}"),
        },
        api_services::Cause::Refused => {
            format!("the pods of Service {namespace}/{name} refuse the control plane's connections")
        }
        api_services::Cause::Certificate => format!("the certificate of Service {namespace}/{name} is not trusted"),
        api_services::Cause::Status | api_services::Cause::Other => {
            silent.condition.message.clone().unwrap_or_default()
        }
    };
    let message = format!("the metrics API does not answer: {why}; {}", effect(wanting));
    let mut made = base(Severity::Error, message)
        .fix(fix::silent(snap, silent, failed, is_left))
        .evidence(api_evidence(silent.api));
    made = with_autoscalers(made, wanting);
    made = silent.depends_on(snap).into_iter().fold(made, Finding::depends_on);
    if let api_services::Cause::NoEndpoints(Some(reason)) = &silent.fault {
        // What is said of its pods is said of it.
        let pods = reason.pods().iter().map(|p| ResourceRef::pod(&p.metadata.namespace, &p.metadata.name));
        made = made.also_all(pods);
    }
    if matches!(silent.fault, api_services::Cause::Timeout) {
        made = network(snap, made);
    }
    if matches!(silent.fault, api_services::Cause::NoEndpoints(Some(Cause::Pending(_)))) {
        // Nodes that never came are why nobody runs it.
        let failed = snap.eks_nodegroups.iter().flatten().filter(|g| g.join_failure().is_some());
        made = failed.fold(made, |made, g| made.depends_on(ResourceRef::aws("eks", "nodegroup", &g.nodegroup_name)));
    }
    with_log(made, failed)
}

/// What lies between the control plane, the nodes and the pods.
fn network(snap: &Snapshot, made: Finding) -> Finding {
    let groups = security_groups(snap);
    groups.iter().fold(made, |made, group| made.depends_on(ResourceRef::aws("ec2", "security-group", group)))
}

fn with_log(made: Finding, failed: &[Failed<'_>]) -> Finding {
    let Some(last) = failed.first() else { return made };
    let log = last.log;
    made.evidence(line_evidence(log, last.line.trim()))
}

/// Why kubelets give nothing, of one node or of several.
fn kubelet_words(fault: KubeletCause, one: bool) -> &'static str {
    match (fault, one) {
        (KubeletCause::Timeout, true) => "its kubelet does not answer in time",
        (KubeletCause::Timeout, false) => "their kubelets do not answer in time",
        (KubeletCause::Refused, true) => "its kubelet refuses the connection",
        (KubeletCause::Refused, false) => "their kubelets refuse the connection",
        (KubeletCause::NoAddressInCertificate, true) => "the certificate of its kubelet does not name its address",
        (KubeletCause::NoAddressInCertificate, false) => {
            "the certificates of their kubelets do not name their addresses"
        }
        (KubeletCause::UnknownAuthority, true) => "the certificate of its kubelet is of an unknown authority",
        (KubeletCause::UnknownAuthority, false) => "the certificates of their kubelets are of an unknown authority",
        (KubeletCause::Unauthorized, true) => "its kubelet does not know metrics-server's ServiceAccount (401)",
        (KubeletCause::Unauthorized, false) => "their kubelets do not know metrics-server's ServiceAccount (401)",
        (KubeletCause::Forbidden, true) => "its kubelet forbids metrics-server to read metrics (403)",
        (KubeletCause::Forbidden, false) => "their kubelets forbid metrics-server to read metrics (403)",
        (KubeletCause::NoHost, true) => "its name cannot be resolved",
        (KubeletCause::NoHost, false) => "their names cannot be resolved",
        (KubeletCause::NoCertificate, true) => "its kubelet has no serving certificate",
        (KubeletCause::NoCertificate, false) => "their kubelets have no serving certificate",
        (KubeletCause::Expired, true) => "the certificate of its kubelet has expired",
        (KubeletCause::Expired, false) => "the certificates of their kubelets have expired",
        (KubeletCause::Other, true) => "its kubelet gives none",
        (KubeletCause::Other, false) => "their kubelets give none",
    }
}

/// What its pods that are not ready complain of.
fn without(failed: &[Failed<'_>]) -> String {
    match failed {
        [] => String::new(),
        [one] => format!(", and it gets no metrics of node {}: {}", one.node, kubelet_words(one.fault, true)),
        [first, ..] => {
            format!(", and it gets no metrics of {} nodes: {}", failed.len(), kubelet_words(first.fault, false))
        }
    }
}

/// The API answers, and nodes are missing from it.
fn blind(snap: &Snapshot, wanting: &[&Autoscaler], failed: Vec<Failed<'_>>) -> Vec<Finding> {
    let nodes = snap.nodes.items().unwrap_or_default();
    // Nodes that went since are no fault; of a list that was not read nobody knows.
    let failed: Vec<Failed<'_>> =
        failed.into_iter().filter(|f| nodes.is_empty() || nodes.iter().any(|n| n.metadata.name == f.node)).collect();
    let Some(first) = failed.first() else { return Vec::new() };
    let own = metrics_server::own_node(snap, first).filter(|_| failed.len() == 1);
    let why = match own {
        Some(OwnNode::OnItsPort) => {
            "it runs there itself, on Fargate, with the kubelet's address, and listens on the kubelet's port 10250: it asks itself"
        }
        Some(OwnNode::Unreached) => {
            "it runs there itself, on Fargate, where no pod reaches the kubelet of its own node; what it needs itself is missing, and nothing else"
        }
        None => kubelet_words(first.fault, failed.len() == 1),
    };
    let severity = if own == Some(OwnNode::Unreached) { Severity::Info } else { Severity::Warning };
    let names: Vec<&str> = failed.iter().take(NAMED).map(|f| f.node.as_str()).collect();
    let more = if failed.len() > NAMED { " and others" } else { "" };
    let count = match nodes.len() {
        all if all > failed.len() => format!("{} of {all} nodes", failed.len()),
        _ => plural(failed.len(), "node"),
    };
    let subject = format!("metrics-server gets no metrics of {count}: {}{more}; {why}", names.join(", "));
    let scale = if wanting.is_empty() || own.is_some() { "" } else { "; autoscalers see their pods without values" };
    let mut made = base(severity, format!("{subject}{scale}")).fix(fix::kubelets(snap, &failed)).key("kubelets");
    // The API itself answers.
    made.breaks = Some(Vec::new());
    let dead = failed.iter().filter(|f| nodes.iter().any(|n| n.metadata.name == f.node && !n.is_ready()));
    made = dead.fold(made, |made, f| made.depends_on(ResourceRef::node(&f.node)));
    for name in &names {
        made = made.depends_on(ResourceRef::port(name, KUBELET_PORT));
    }
    let pods = snap.pods.items().unwrap_or_default().iter();
    let own = pods.filter(|p| first.log.is_of(&p.metadata));
    made = dead_nodes(snap, own).into_iter().fold(made, Finding::depends_on);
    if first.fault == KubeletCause::Timeout {
        made = network(snap, made);
    }
    vec![with_autoscalers(with_log(made, &failed), wanting)]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::snapshot;
    use crate::snapshot::Listing;
    use crate::snapshot::monitoring::ContainerLog;

    fn refused(nodes: &[&str]) -> Snapshot {
        let ready = json!([{"type": "Ready", "status": "True"}]);
        let all = ["n1", "n2"].map(|n| json!({"metadata": {"name": n}, "status": {"conditions": ready}}));
        let mut snap = snapshot(json!({"pods": []}));
        snap.nodes = Listing::cluster(serde_json::from_value(json!(all)).expect("nodes"));
        let api = json!([{"metadata": {"name": METRICS}, "spec": {"group": "metrics.k8s.io", "version": "v1beta1",
            "service": {"namespace": "kube-system", "name": "metrics-server"}},
            "status": {"conditions": [{"type": "Available", "status": "True"}]}}]);
        snap.api_services = Listing::cluster(serde_json::from_value(api).expect("an APIService"));
        let line = |n: &&str| {
            format!("\"Failed to scrape node\" err=\"request failed, status: \\\"403 Forbidden\\\"\" node=\"{n}\"\n")
        };
        *snap.part_logs = Ok(vec![ContainerLog {
            namespace: "kube-system".into(),
            pod: "metrics-server-x".into(),
            container: "metrics-server".into(),
            text: nodes.iter().map(line).collect::<String>().into(),
            ..ContainerLog::default()
        }]);
        snap
    }

    /// Its Deployment is gone, and its Service stayed.
    #[test]
    fn what_nothing_makes_is_installed_again_and_not_looked_at() {
        let mut snap = snapshot(json!({
            "namespaces": [{"metadata": {"name": "kube-system"}}],
            "services": [{"metadata": {"name": "metrics-server", "namespace": "kube-system"},
                "spec": {"selector": {"k8s-app": "metrics-server"}, "ports": [{"port": 443}]}}]}));
        let api = json!([{"metadata": {"name": METRICS}, "spec": {"group": "metrics.k8s.io", "version": "v1beta1",
            "service": {"namespace": "kube-system", "name": "metrics-server"}},
            "status": {"conditions": [{"type": "Available", "status": "False", "reason": "MissingEndpoints"}]}}]);
        snap.api_services = Listing::cluster(serde_json::from_value(api).expect("an APIService"));
        let found = findings(&MetricsServer, &snap);
        assert_eq!(found[0].variant, "reinstall", "{}", found[0].message);
        assert!(!steps(&found[0]).contains("kubectl describe"), "{}", steps(&found[0]));
    }

    /// A role that is missing refuses at every kubelet.
    #[test]
    fn one_kubelet_that_refuses_is_not_helped_by_a_role() {
        let one = findings(&MetricsServer, &refused(&["n2"]));
        assert_eq!(one[0].variant, "kubelet-authorization");
        assert!(one[0].message.contains("of 1 of 2 nodes: n2; its kubelet forbids"), "{}", one[0].message);
        assert!(steps(&one[0]).contains("/api/v1/nodes/n2/proxy/configz"), "{}", steps(&one[0]));
        let both = findings(&MetricsServer, &refused(&["n1", "n2"]));
        assert_eq!(both[0].variant, "kubelet-denied");
        assert!(both[0].message.contains("of 2 nodes: n1, n2; their kubelets forbid"), "{}", both[0].message);
    }
}
