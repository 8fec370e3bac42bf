//! A Service has no ready endpoint.

use crate::checks::{Check, check};
use crate::model::{CheckMeta, Diagnosis, Gap};
use crate::snapshot::Snapshot;

check! {
    /// See the check's page.
    ServiceNoEndpoints {
        id: "service-no-endpoints", suite: Scrape, page: "scrape/service_no_endpoints.md", severity: Error,
        title: "a Service has no ready endpoint",
        requires: [Services, EndpointSlices, Pods],
        uses: [PrometheusTargets, Workloads, Events, CrashLogs],
    }
}

impl Check for ServiceNoEndpoints {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, _snap: &Snapshot) -> Result<Diagnosis, Gap> {
        Ok(Diagnosis::NotApplicable("not built yet".into()))
    }
}
