//! Prometheus targets and what serves them.

mod auth;
mod discovery_failing;
pub(crate) mod endpoints;
mod faulty_file;
mod job_without_targets;
pub(crate) mod near;
pub(crate) mod origin;
mod ports;
mod prometheus_config;
mod rule_failing;
mod rule_invalid;
mod samples_dropped;
mod server;
mod server_state;
mod service_no_endpoints;
mod target_down;
mod target_not_metrics;
mod target_service_missing;
pub(crate) mod targets;
#[cfg(test)]
pub(crate) mod testing;

use super::Check;

/// The checks of this suite.
pub(super) const CHECKS: &[&dyn Check] = &[
    &target_down::TargetDown,
    &target_service_missing::TargetServiceMissing,
    &target_not_metrics::TargetNotMetrics,
    &service_no_endpoints::ServiceNoEndpoints,
    &discovery_failing::DiscoveryFailing,
    &job_without_targets::JobWithoutTargets,
    &samples_dropped::SamplesDropped,
    &prometheus_config::PrometheusConfig,
    &rule_invalid::RuleInvalid,
    &rule_failing::RuleFailing,
];
