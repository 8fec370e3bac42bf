//! Manifests and values before they are applied.

mod dashboard_invalid;
mod manifest_invalid;
mod manifest_reference;
mod manifest_variable;
mod rule_hint;
mod web_config;

use crate::checks::Check;

/// The checks of this suite.
pub(super) const CHECKS: &[&dyn Check] = &[
    &dashboard_invalid::DashboardInvalid,
    &manifest_invalid::ManifestInvalid,
    &manifest_reference::ManifestReference,
    &manifest_variable::ManifestVariable,
    &rule_hint::RuleHint,
    &web_config::WebConfig,
];
