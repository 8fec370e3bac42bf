//! Prometheus targets and what serves them.

mod config_outdated;
mod discovery_failing;
mod exporter_failing;
mod job_without_targets;
mod prometheus_config;
mod prometheus_overloaded;
mod reload_refused;
mod remote_write_failing;
mod rule_failing;
mod rule_invalid;
mod rule_without_data;
mod samples_dropped;
mod scrape_timing;
mod service_no_endpoints;
mod target_down;
mod target_not_metrics;
mod target_service_missing;

use crate::checks::Check;

/// The checks of this suite.
pub(super) const CHECKS: &[&dyn Check] = &[
    &target_down::TargetDown,
    &target_service_missing::TargetServiceMissing,
    &target_not_metrics::TargetNotMetrics,
    &service_no_endpoints::ServiceNoEndpoints,
    &discovery_failing::DiscoveryFailing,
    &job_without_targets::JobWithoutTargets,
    &exporter_failing::ExporterFailing,
    &samples_dropped::SamplesDropped,
    &remote_write_failing::RemoteWriteFailing,
    &prometheus_config::PrometheusConfig,
    &config_outdated::ConfigOutdated,
    &reload_refused::ReloadRefused,
    &rule_invalid::RuleInvalid,
    &rule_failing::RuleFailing,
    &rule_without_data::RuleWithoutData,
    &scrape_timing::ScrapeTiming,
    &prometheus_overloaded::PrometheusOverloaded,
];
