//! The metrics API is missing, does not answer, or gets nothing from kubelets.

use std::collections::BTreeSet;

use crate::checks::support::addon;
use crate::checks::support::pipeline::{api_evidence, plural};
use crate::checks::support::seen::log_evidence;
use crate::checks::{Check, check};
use crate::domain::kubernetes::api_services::{self, Fault, METRICS, Unavailable};
use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::autoscaling;
use crate::domain::kubernetes::endpoints::Reason;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::metrics_server::{self, Failed, KubeletFault};
use crate::domain::kubernetes::nodes::{KUBELET_PORT, dead_nodes};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::kubernetes::{Autoscaler, Workload};
use crate::snapshot::{Platform, Snapshot, journal};

/// Autoscalers and nodes that are named in a message.
const NAMED: usize = 3;

check! {
    /// See the check's page.
    MetricsServer {
        id: "metrics-server", suite: Pipeline, severity: Error,
        title: "the metrics API is missing or does not answer",
        requires: [ApiServices],
        uses: [Namespaces, Services, EndpointSlices, Pods, Workloads, Autoscalers, PartLogs, Nodes, EksCluster, EksAddons, EksNodegroups, Instances],
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
    let names: Vec<String> =
        wanting.iter().take(NAMED).map(|h| format!("{}/{}", h.metadata.namespace, h.metadata.name)).collect();
    let more = if wanting.len() > NAMED { format!(" and {} more", wanting.len() - NAMED) } else { String::new() };
    match wanting.len() {
        0 => "kubectl top does not work".to_owned(),
        1 => format!("kubectl top does not work, and HorizontalPodAutoscaler {} cannot scale", names.join(", ")),
        _ => format!("kubectl top does not work, and HorizontalPodAutoscalers {}{more} cannot scale", names.join(", ")),
    }
}

/// Takes the kubelets' certificates as they are.
const INSECURE: &str = "--kubelet-insecure-tls";
/// Asks the nodes by their addresses.
const BY_ADDRESS: &str = "--kubelet-preferred-address-types=InternalIP";

fn base(snap: &Snapshot, severity: Severity, message: String) -> Finding {
    let cluster = snap.eks_cluster().ok();
    Finding::new(MetricsServer::META.id, severity, api_services::reference(METRICS), message)
        .key(METRICS)
        .breaks(api_services::reference(METRICS))
        .param("namespace", "kube-system")
        .param("service", "metrics-server")
        .param("workload", "deployment/metrics-server")
        .param("managed_by", "")
        .param("insecure_patch", arguments::adding(installed(snap), "metrics-server", INSECURE))
        .param("address_patch", arguments::adding(installed(snap), "metrics-server", BY_ADDRESS))
        .param("nodes", Vec::<String>::new())
        .param("api_port", "")
        .param("kubelet", false)
        .param("gone", false)
        .param("is_addon", is_addon(snap))
        .param("kept", addon::kept(addon::named(snap, "metrics-server")))
        .param("is_eks", snap.platform == Platform::Eks)
        .param("local", metrics_server::is_local_cluster(snap))
        .param("cluster", snap.target.cluster.as_deref().unwrap_or("<cluster>"))
        .param("region", snap.target.region.as_deref().unwrap_or("<region>"))
        .param(
            "cluster_group",
            cluster.map_or("<cluster-security-group>", |c| c.resources_vpc_config.cluster_security_group_id.as_str()),
        )
        .param("node_group", node_group(snap))
}

/// Its Deployment where it usually is. What is printed hangs on it, no verdict.
fn installed(snap: &Snapshot) -> Option<&Workload> {
    let all = journal::aside(|| snap.workloads.items().unwrap_or_default());
    let mut own = all.iter().filter(|w| w.metadata.namespace == "kube-system" && w.metadata.name == "metrics-server");
    own.find(|w| w.kind == "Deployment")
}

fn is_addon(snap: &Snapshot) -> bool {
    addon::named(snap, "metrics-server").is_some()
}

/// The security group that all nodes share, where it is one and not the cluster's own.
fn node_group(snap: &Snapshot) -> String {
    let own = snap.eks_cluster().map(|c| c.resources_vpc_config.cluster_security_group_id.clone()).unwrap_or_default();
    let groups: Vec<String> = security_groups(snap).into_iter().filter(|g| *g != own).collect();
    match groups.as_slice() {
        [one] => one.clone(),
        [] if !own.is_empty() && snap.instances().is_ok_and(|i| !i.is_empty()) => own,
        _ => "<node-security-group>".to_owned(),
    }
}

/// Security groups of the nodes' instances.
fn security_groups(snap: &Snapshot) -> BTreeSet<String> {
    let nodes: Vec<&str> = snap.nodes.items().unwrap_or_default().iter().filter_map(|n| n.instance_id()).collect();
    let instances = snap.instances.iter().flatten().filter(|i| nodes.contains(&i.instance_id.as_str()));
    instances.flat_map(|i| i.security_groups.iter().map(|g| g.group_id.clone())).collect()
}

/// No such API.
fn missing(snap: &Snapshot, wanting: &[&Autoscaler]) -> Finding {
    let message = format!("metrics-server is not installed (no APIService {METRICS}): {}", effect(wanting));
    let variant = match snap.platform {
        Platform::Eks => "install-addon",
        _ if metrics_server::is_local_cluster(snap) => "install-local",
        _ => "install-manifest",
    };
    let mut made = base(snap, Severity::Error, message).fix(variant).evidence(Evidence::new(
        "APIServices of the cluster",
        format!("{METRICS} is not among them"),
        "kubectl get apiservices",
    ));
    for hpa in wanting.iter().take(NAMED) {
        made = made.evidence(hpa_evidence(hpa));
    }
    made
}

fn hpa_evidence(hpa: &Autoscaler) -> Evidence {
    let meta = &hpa.metadata;
    let active = hpa.status.conditions.iter().find(|c| c.kind == "ScalingActive");
    let value = active.map(|c| {
        format!("ScalingActive {}: {}", c.status, c.message.as_deref().or(c.reason.as_deref()).unwrap_or_default())
    });
    let source = format!("HorizontalPodAutoscaler {}/{}", meta.namespace, meta.name);
    Evidence::new(
        source,
        value.unwrap_or_else(|| "scales by cpu or memory".into()),
        "kubectl describe hpa -n {{ namespace }} {{ name }}",
    )
    .with("namespace", &meta.namespace)
    .with("name", &meta.name)
}

/// The Deployment that serves the API.
fn served_by<'a>(snap: &'a Snapshot, silent: &Unavailable<'a>) -> Option<&'a Workload> {
    let service = snap.services.find(&silent.service.namespace, &silent.service.name).ok()??;
    let workloads = snap.workloads.items().unwrap_or_default().iter();
    workloads
        .filter(|w| w.metadata.namespace == service.metadata.namespace)
        .find(|w| crate::domain::kubernetes::index::selects(&service.spec.selector, &w.spec.template.metadata.labels))
}

/// The API is registered and does not answer.
fn unavailable(snap: &Snapshot, silent: &Unavailable<'_>, wanting: &[&Autoscaler], failed: &[Failed<'_>]) -> Finding {
    let (namespace, name) = (&silent.service.namespace, &silent.service.name);
    let is_left = matches!(silent.fault, Fault::NoService | Fault::NoEndpoints(_))
        && api_services::left_behind(snap, silent.service);
    let why = match &silent.fault {
        Fault::NoService if is_left => {
            format!("its Service {namespace}/{name} went with its namespace, and the APIService stayed")
        }
        Fault::NoService => format!("its Service {namespace}/{name} does not exist"),
        Fault::NoPort => format!("Service {namespace}/{name} does not have the port that it names"),
        Fault::NoEndpoints(reason) => {
            let service = snap.services.find(namespace, name).ok().flatten();
            let words = reason.as_ref().zip(service).map(|(r, s)| format!(": {}", r.words(snap, s)));
            format!("Service {namespace}/{name} has no ready endpoint{}", words.unwrap_or_default())
        }
        Fault::Timeout => format!("the control plane gets no answer from the pods of Service {namespace}/{name}"),
        Fault::Refused => format!("the pods of Service {namespace}/{name} refuse the control plane's connections"),
        Fault::Certificate => format!("the certificate of Service {namespace}/{name} is not trusted"),
        Fault::Status | Fault::Other => silent.condition.message.clone().unwrap_or_default(),
    };
    let message = format!("the metrics API does not answer: {why}; {}", effect(wanting));
    let workload = served_by(snap, silent);
    let port = called_port(silent).unwrap_or_else(|| "<container-port>".to_owned());
    let mut made = base(snap, Severity::Error, message)
        .fix(if is_left { "left-behind" } else { variant(snap, &silent.fault, failed) })
        .param("namespace", namespace)
        .param("service", name)
        .param("api_port", port)
        .param("kubelet", failed.iter().any(|f| f.fault == KubeletFault::Timeout))
        .param("gone", is_left)
        .evidence(api_evidence(silent.api));
    if let Some(workload) = workload {
        made = made
            .param("workload", workload.kubectl_name())
            .param("managed_by", managed_by(&workload.metadata))
            .param("insecure_patch", arguments::adding(Some(workload), "metrics-server", INSECURE))
            .param("address_patch", arguments::adding(Some(workload), "metrics-server", BY_ADDRESS));
    }
    made = silent.depends_on(snap).into_iter().fold(made, Finding::depends_on);
    if matches!(silent.fault, Fault::Timeout) {
        made = network(snap, made);
    }
    if matches!(silent.fault, Fault::NoEndpoints(Some(Reason::Pending(_)))) {
        // Nodes that never came are why nobody runs it.
        let failed = snap.eks_nodegroups.iter().flatten().filter(|g| g.join_failure().is_some());
        made = failed.fold(made, |made, g| made.depends_on(ResourceRef::aws("eks", "nodegroup", &g.nodegroup_name)));
    }
    with_nodes(made, failed)
}

/// What lies between the control plane, the nodes and the pods.
fn network(snap: &Snapshot, made: Finding) -> Finding {
    let groups = security_groups(snap);
    groups.iter().fold(made, |made, group| made.depends_on(ResourceRef::aws("ec2", "security-group", group)))
}

fn variant(snap: &Snapshot, fault: &Fault<'_>, failed: &[Failed<'_>]) -> &'static str {
    match fault {
        Fault::NoService | Fault::NoPort => "reinstall",
        Fault::NoEndpoints(Some(Reason::ScaledToZero(_))) => "scaled-to-zero",
        // It is not ready until one kubelet has answered.
        Fault::NoEndpoints(Some(Reason::NotReady(_))) if !failed.is_empty() => kubelet_variant(snap, failed),
        Fault::NoEndpoints(_) | Fault::Refused => "not-ready",
        Fault::Timeout => "blocked",
        Fault::Certificate | Fault::Status | Fault::Other => "look",
    }
}

fn kubelet_variant(snap: &Snapshot, failed: &[Failed<'_>]) -> &'static str {
    match failed[0].fault {
        KubeletFault::NoAddressInCertificate | KubeletFault::UnknownAuthority
            if metrics_server::is_local_cluster(snap) =>
        {
            "insecure-tls"
        }
        KubeletFault::NoAddressInCertificate | KubeletFault::UnknownAuthority | KubeletFault::NoCertificate => {
            "kubelet-certificate"
        }
        KubeletFault::Timeout => "kubelet-blocked",
        KubeletFault::Forbidden | KubeletFault::Unauthorized => "kubelet-denied",
        KubeletFault::NoHost => "kubelet-name",
        KubeletFault::Refused | KubeletFault::Other => "look",
    }
}

/// The port of the pod that the condition's URL has.
fn called_port(silent: &Unavailable<'_>) -> Option<String> {
    let message = silent.condition.message.as_deref()?;
    let host = message.split_once("https://")?.1.split('/').next()?;
    let port = host.rsplit_once(':')?.1;
    port.chars().all(|c| c.is_ascii_digit()).then(|| port.to_owned())
}

fn with_nodes(mut made: Finding, failed: &[Failed<'_>]) -> Finding {
    let names: Vec<&str> = failed.iter().map(|f| f.node.as_str()).collect();
    made = made.param("nodes", &names);
    if let Some(last) = failed.first() {
        let log = last.log;
        made = made.evidence(log_evidence(&log.namespace, &log.pod, &log.container, false, last.line.trim()));
    }
    made
}

/// The API answers, and nodes are missing from it.
fn blind(snap: &Snapshot, wanting: &[&Autoscaler], failed: Vec<Failed<'_>>) -> Vec<Finding> {
    let nodes = snap.nodes.items().unwrap_or_default();
    // Nodes that went since are no fault; of a list that was not read nobody knows.
    let failed: Vec<Failed<'_>> =
        failed.into_iter().filter(|f| nodes.is_empty() || nodes.iter().any(|n| n.metadata.name == f.node)).collect();
    let Some(first) = failed.first() else { return Vec::new() };
    let why = match first.fault {
        KubeletFault::Timeout => "their kubelets do not answer in time",
        KubeletFault::Refused => "their kubelets refuse the connection",
        KubeletFault::NoAddressInCertificate => "the certificates of their kubelets do not name their addresses",
        KubeletFault::UnknownAuthority => "the certificates of their kubelets are of an unknown authority",
        KubeletFault::Unauthorized => "their kubelets do not know its ServiceAccount (401)",
        KubeletFault::Forbidden => "their kubelets forbid it to read metrics (403)",
        KubeletFault::NoHost => "their names cannot be resolved",
        KubeletFault::NoCertificate => "their kubelets have no serving certificate",
        KubeletFault::Other => "their kubelets give none",
    };
    let names: Vec<&str> = failed.iter().take(NAMED).map(|f| f.node.as_str()).collect();
    let more = if failed.len() > NAMED { " and others" } else { "" };
    let subject = format!(
        "metrics-server gets no metrics of {}: {}{more}; {why}",
        plural(failed.len(), "node"),
        names.join(", ")
    );
    let scale = if wanting.is_empty() { "" } else { "; autoscalers see their pods without values" };
    let mut made = base(snap, Severity::Warning, format!("{subject}{scale}"))
        .fix(kubelet_variant(snap, &failed))
        .key("kubelets")
        .param("namespace", &first.log.namespace);
    // The API itself answers.
    made.breaks = Some(Vec::new());
    let dead = failed.iter().filter(|f| nodes.iter().any(|n| n.metadata.name == f.node && !n.is_ready()));
    made = dead.fold(made, |made, f| made.depends_on(ResourceRef::node(&f.node)));
    for name in &names {
        made = made.depends_on(ResourceRef::port(name, KUBELET_PORT));
    }
    let pods = snap.pods.items().unwrap_or_default().iter();
    let own = pods.filter(|p| p.metadata.name == first.log.pod && p.metadata.namespace == first.log.namespace);
    made = dead_nodes(snap, own).into_iter().fold(made, Finding::depends_on);
    if first.fault == KubeletFault::Timeout {
        made = network(snap, made);
    }
    vec![with_nodes(made, &failed)]
}
