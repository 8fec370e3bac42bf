//! The release whose values a fix changes.

use crate::domain::kubernetes::chart::Installed;
use crate::model::Params;

/// Values of the shared step `helm-values`: `helm_release`, empty where no release is known, `helm_namespace`, `helm_chart`,
/// `helm_version`.
pub(crate) fn set_release(params: &mut Params, release: Option<&Installed>) {
    let version = release.map(|r| if r.version.is_empty() { "<version>" } else { r.version.as_str() });
    params.set("helm_release", release.map(|r| r.release.as_str()).unwrap_or_default());
    params.set("helm_namespace", release.map(|r| r.namespace.as_str()).unwrap_or_default());
    params.set("helm_chart", release.map(|r| r.chart.as_str()).unwrap_or_default());
    params.set("helm_version", version.unwrap_or_default());
}
