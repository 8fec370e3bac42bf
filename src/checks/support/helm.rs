//! The release whose values a fix changes.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::kubernetes::chart::Installed;

/// Values of the shared step `helm-values`.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Release {
    /// Empty where no release is known.
    helm_release: String,
    helm_namespace: String,
    helm_chart: String,
    helm_version: String,
}

impl Release {
    /// Of an installed release.
    pub(crate) fn of(release: Option<&Installed>) -> Self {
        let version = release.map(|r| if r.version.is_empty() { "<version>" } else { r.version.as_str() });
        Self {
            helm_release: release.map(|r| r.release.clone()).unwrap_or_default(),
            helm_namespace: release.map(|r| r.namespace.clone()).unwrap_or_default(),
            helm_chart: release.map(|r| r.chart.clone()).unwrap_or_default(),
            helm_version: version.unwrap_or_default().to_owned(),
        }
    }
}
