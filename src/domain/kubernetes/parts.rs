//! The parts that a monitoring stack is made of, and the nodes that its agents should run on.

use crate::domain::kubernetes::image::Image;
use crate::domain::kubernetes::scheduling;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Node, Pod, Workload};

/// A part of a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Prometheus,
    Alertmanager,
    Grafana,
    Operator,
    KubeStateMetrics,
    NodeExporter,
    Adapter,
    BlackboxExporter,
    Pushgateway,
}

impl Part {
    /// As it is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Prometheus => "Prometheus",
            Self::Alertmanager => "Alertmanager",
            Self::Grafana => "Grafana",
            Self::Operator => "the Prometheus operator",
            Self::KubeStateMetrics => "kube-state-metrics",
            Self::NodeExporter => "node-exporter",
            Self::Adapter => "prometheus-adapter",
            Self::BlackboxExporter => "blackbox-exporter",
            Self::Pushgateway => "pushgateway",
        }
    }

    /// By the repository of a container's image.
    fn of_container(container: &Container) -> Option<Self> {
        let repository = Image::parse(&container.image)?.repository;
        Some(match repository.rsplit('/').next()? {
            "prometheus" => Self::Prometheus,
            "alertmanager" => Self::Alertmanager,
            "grafana" | "grafana-oss" | "grafana-enterprise" => Self::Grafana,
            "prometheus-operator" => Self::Operator,
            "kube-state-metrics" => Self::KubeStateMetrics,
            "node-exporter" => Self::NodeExporter,
            "prometheus-adapter" => Self::Adapter,
            "blackbox-exporter" => Self::BlackboxExporter,
            "pushgateway" | "prometheus-pushgateway" => Self::Pushgateway,
            _ => return None,
        })
    }

    /// The part that a workload runs.
    pub(crate) fn of(workload: &Workload) -> Option<Self> {
        workload.spec.template.spec.containers.iter().find_map(Self::of_container)
    }
}

/// The parts that are there, with their workloads.
pub(crate) fn all(snap: &Snapshot) -> Vec<(Part, &Workload)> {
    let workloads = snap.workloads.items().unwrap_or_default().iter();
    let there = workloads.filter(|w| w.metadata.deletion_timestamp.is_none());
    there.filter_map(|w| Some((Part::of(w)?, w))).collect()
}

/// Nodes that a DaemonSet is not meant for although nothing in it says so: Fargate and other virtual nodes, Windows.
pub(crate) fn is_out_of_reach(node: &Node) -> bool {
    let label = |name: &str| node.metadata.label(name);
    node.is_fargate()
        || label("type") == Some("virtual-kubelet")
        || label("kubernetes.io/os") == Some("windows")
        || node
            .spec
            .taints
            .iter()
            .any(|t| t.key == "virtual-kubelet.io/provider" || t.key.starts_with("eks.amazonaws.com/"))
}

/// Ready nodes that a DaemonSet does not want because of a taint, with that taint; nodes that it does not choose are not meant.
pub(crate) fn kept_away<'a>(snap: &'a Snapshot, daemon_set: &Workload) -> Vec<(&'a Node, String)> {
    let pod = Pod { spec: daemon_set.spec.template.spec.clone(), ..Pod::default() };
    let nodes = snap.nodes.items().unwrap_or_default().iter();
    let meant = nodes.filter(|n| n.is_ready() && !is_out_of_reach(n) && scheduling::chosen_by(&pod, n));
    meant
        .filter_map(|node| {
            // What the node's own state put there, and what the DaemonSet controller tolerates itself, is no choice.
            let mut taints = scheduling::untolerated(&pod, node).filter(|t| !t.key.starts_with("node.kubernetes.io/"));
            taints.next().map(|taint| (node, scheduling::taint_text(taint)))
        })
        .collect()
}
