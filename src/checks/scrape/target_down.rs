//! Prometheus fails to scrape a job.

use crate::checks::{Check, check};
use crate::model::{CheckMeta, Diagnosis, Gap};
use crate::snapshot::Snapshot;

check! {
    /// See the check's page.
    TargetDown {
        id: "target-down", suite: Scrape, page: "scrape/target_down.md", severity: Error,
        title: "Prometheus fails to scrape a job",
        requires: [PrometheusTargets],
        uses: [Services, Pods],
    }
}

impl Check for TargetDown {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, _snap: &Snapshot) -> Result<Diagnosis, Gap> {
        Ok(Diagnosis::NotApplicable("not built yet".into()))
    }
}
