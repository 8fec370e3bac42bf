//! Nodes, node groups, EKS add-ons, and what runs short on nodes.

mod addon_degraded;
mod clock_skew;
mod cluster_impaired;
mod conntrack_full;
mod consolidation_evicts;
mod kubelet_certificate;
mod kubelet_skew;
mod node_condition;
mod node_pool_stuck;
mod node_pressure;
mod nodegroup_failed;
mod scale_up_refused;

use crate::checks::Check;

/// The checks of this suite.
pub(super) const CHECKS: &[&dyn Check] = &[
    &cluster_impaired::ClusterImpaired,
    &nodegroup_failed::NodegroupFailed,
    &scale_up_refused::ScaleUpRefused,
    &node_pressure::NodePressure,
    &addon_degraded::AddonDegraded,
    &kubelet_certificate::KubeletCertificate,
    &clock_skew::ClockSkew,
    &conntrack_full::ConntrackFull,
    &kubelet_skew::KubeletSkew,
    &node_condition::NodeCondition,
    &node_pool_stuck::NodePoolStuck,
    &consolidation_evicts::ConsolidationEvicts,
];
