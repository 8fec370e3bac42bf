//! A scrape URL answers something else than metrics.

use crate::checks::{Check, check};
use crate::model::{CheckMeta, Diagnosis, Gap};
use crate::snapshot::Snapshot;

check! {
    /// See the check's page.
    TargetNotMetrics {
        id: "target-not-metrics", suite: Scrape, page: "scrape/target_not_metrics.md", severity: Error,
        title: "a scrape URL answers something else than metrics",
        requires: [PrometheusTargets],
        uses: [Services, TargetAnswers, ConfigMaps, Workloads, PrometheusRuntime],
    }
}

impl Check for TargetNotMetrics {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, _snap: &Snapshot) -> Result<Diagnosis, Gap> {
        Ok(Diagnosis::NotApplicable("not built yet".into()))
    }
}
