//! A scrape target names a Service that does not exist.

use crate::checks::{Check, check};
use crate::model::{CheckMeta, Diagnosis, Gap};
use crate::snapshot::Snapshot;

check! {
    /// See the check's page.
    TargetServiceMissing {
        id: "target-service-missing", suite: Scrape, page: "scrape/target_service_missing.md", severity: Error,
        title: "a scrape target names a Service that does not exist",
        requires: [PrometheusTargets, Services],
        uses: [ConfigMaps, Workloads],
    }
}

impl Check for TargetServiceMissing {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, _snap: &Snapshot) -> Result<Diagnosis, Gap> {
        Ok(Diagnosis::NotApplicable("not built yet".into()))
    }
}
