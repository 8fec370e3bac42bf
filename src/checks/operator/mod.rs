//! The Prometheus Operator: what it selects, refuses, and whether it works at all.

use super::Check;

mod alertmanagerconfig_namespace;
mod alertmanagerconfig_receivers;
mod alertmanagerconfig_unselected;
mod crd_deleted;
mod crd_skew;
mod field_dropped;
mod injection_refused;
mod monitor_without_targets;
mod operator_down;
mod operator_refuses;
mod operators_compete;
mod prometheus_idle;
mod resource_degraded;
mod rule_not_loaded;
mod rule_unselected;
mod servicemonitor_unselected;
mod statefulset_recreated;

/// The checks of this suite.
pub(super) const CHECKS: &[&dyn Check] = &[
    &operator_down::OperatorDown,
    &operators_compete::OperatorsCompete,
    &crd_skew::CrdSkew,
    &crd_deleted::CrdDeleted,
    &field_dropped::FieldDropped,
    &operator_refuses::OperatorRefuses,
    &servicemonitor_unselected::ServiceMonitorUnselected,
    &monitor_without_targets::MonitorWithoutTargets,
    &rule_unselected::RuleUnselected,
    &rule_not_loaded::RuleNotLoaded,
    &alertmanagerconfig_unselected::AlertmanagerConfigUnselected,
    &alertmanagerconfig_namespace::AlertmanagerConfigNamespace,
    &statefulset_recreated::StatefulSetRecreated,
    &prometheus_idle::PrometheusIdle,
    &alertmanagerconfig_receivers::AlertmanagerConfigReceivers,
    &resource_degraded::ResourceDegraded,
    &injection_refused::InjectionRefused,
];
