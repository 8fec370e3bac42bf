//! Prometheus targets and what serves them.

mod auth;
mod discovery_failing;
mod endpoints;
mod job_without_targets;
mod near;
pub(crate) mod origin;
mod ports;
mod rule_failing;
mod samples_dropped;
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
    &rule_failing::RuleFailing,
];
