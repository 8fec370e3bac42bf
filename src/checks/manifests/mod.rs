//! Manifests and values before they are applied.

mod dashboard_invalid;
mod manifest_aws;
mod manifest_cluster;
mod manifest_invalid;
mod manifest_persistence;
mod manifest_reference;
mod manifest_variable;
mod rule_hint;
mod web_config;

use crate::checks::Check;

/// The checks of this suite.
pub(super) const CHECKS: &[&dyn Check] = &[
    &dashboard_invalid::DashboardInvalid,
    &manifest_aws::ManifestAws,
    &manifest_cluster::ManifestCluster,
    &manifest_invalid::ManifestInvalid,
    &manifest_persistence::ManifestPersistence,
    &manifest_reference::ManifestReference,
    &manifest_variable::ManifestVariable,
    &rule_hint::RuleHint,
    &web_config::WebConfig,
];
