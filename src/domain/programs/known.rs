//! Programs whose logs somebody here reads: parts of a stack, what it stands on, and what leads to it.

use crate::domain::alertmanager::bridge;
use crate::domain::aws::node_pool_said;
use crate::domain::kubernetes::image::base_of;
use crate::domain::kubernetes::{operator_log, proxy_log};
use crate::domain::loki::engine_log::Engine;
use crate::domain::loki::gateway_log;
use crate::domain::prometheus::exporter_log;
use crate::domain::prometheus::remote_write::collector;
use crate::domain::traffic::router_log;
use crate::snapshot::kubernetes::{Container, Pod};

/// Images (by a part of their name) and containers whose log can tell why the stack does not work.
const PARTS: &[&str] = &[
    "alloy",
    "amazon-k8s-cni",
    "aws-ebs-csi-driver",
    "aws-efs-csi-driver",
    "aws-load-balancer-controller",
    "aws-network-policy-agent",
    "aws-node",
    "blackbox-exporter",
    "cloudwatch-agent",
    "cloudwatch-exporter",
    "cluster-autoscaler",
    "collector",
    "config-reloader",
    "configmap-reload",
    "coredns",
    "csi-attacher",
    "csi-provisioner",
    "csi-resizer",
    "csi-snapshotter",
    "ebs-plugin",
    "eks-pod-identity-agent",
    "external-attacher",
    "external-provisioner",
    "external-resizer",
    "fluent-bit",
    "fluentd",
    "grafana-agent",
    "k8s-dns-node-cache",
    "k8s-sidecar",
    "kube-state-metrics",
    "kube-webhook-certgen",
    "loki",
    "metrics-server",
    "mimir",
    "node-driver-registrar",
    "node-exporter",
    "prometheus-adapter",
    "prometheus-operator",
    "promtail",
    "pushgateway",
    "tempo",
    "thanos",
    "vector",
    "victoria-metrics",
    "vmalert",
    "vminsert",
    "vmselect",
    "vmstorage",
];

/// A check reads what it says by the words of its own kind. What such a program complains of besides is told as a signal.
pub(crate) fn has_reader(pod: &Pod, container: &Container) -> bool {
    container.program().is_some()
        || is_part(container)
        || is_further(pod, container)
        || is_proxy(container)
        || gives_names(container)
        || operator_log::is_operator(container)
        || router_log::is_controller(&container.image)
}

/// It leads to Services.
pub(crate) fn is_proxy(container: &Container) -> bool {
    proxy_log::is_proxy_container(&container.name, &container.image)
}

/// It tells or hands on what the API server has. Other checks read what it is refused, and none whom it does not reach.
pub(crate) fn is_fed_by_cluster(container: &Container) -> bool {
    let image = base_of(&container.image);
    image.contains("k8s-sidecar") || image.contains("kube-state-metrics")
}

/// It measures its node.
pub(crate) fn is_node_exporter(container: &Container) -> bool {
    container.image.contains("node-exporter") || container.name == "node-exporter"
}

/// Exporters of other programs, what stands before them and asks who may read them, what sends samples on, what stands
/// before a store, where logs are searched, what makes nodes, and what passes alerts on.
pub(crate) fn is_further(pod: &Pod, container: &Container) -> bool {
    exporter_log::exporter(container)
        || is_node_exporter(container)
        || bridge::is_bridge(&container.image)
        || gateway_log::store_behind(pod, container).is_some()
        || Engine::of_image(&container.image).is_some()
        || collector::is_vmagent(&container.image)
        || node_pool_said::is_controller(&container.image)
        || container.name.contains("kube-rbac-proxy")
}

/// Parts of the names of images that ask others whether they are well, and say so where they are not.
const PROBERS: &[&str] = &[
    "blackbox",
    "canary",
    "cloudprober",
    "gatus",
    "goldpinger",
    "healthcheck",
    "kconmon",
    "kuberhealthy",
    "pingmesh",
    "prober",
    "smokeping",
    "statping",
    "synthetic",
    "uptime-kuma",
];

/// It asks others whether they are well: what it fails at is what it is there to find.
pub(crate) fn probes(container: &Container) -> bool {
    let image = base_of(&container.image);
    PROBERS.iter().any(|name| image.contains(name))
}

/// Writes records of Ingresses and Services into DNS.
pub(crate) fn gives_names(container: &Container) -> bool {
    base_of(&container.image) == "external-dns"
}

/// By its image or name: a part of a monitoring or logging stack, or of the cluster below it.
pub(crate) fn is_part(container: &Container) -> bool {
    let image = base_of(&container.image);
    PARTS.iter().any(|part| image.contains(part) || container.name == *part)
}
