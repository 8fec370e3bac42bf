//! ServiceMonitors, PodMonitors, Probes and ScrapeConfigs that no Prometheus selects.

use crate::checks::support::unselected;
use crate::checks::{Check, check};
use crate::domain::prometheus::operator::selection::Kind;
use crate::model::{CheckMeta, Diagnosis, Gap};
use crate::snapshot::Snapshot;

check! {
    /// See the check's page.
    ServiceMonitorUnselected {
        id: "servicemonitor-unselected", suite: Operator, severity: Error,
        title: "no Prometheus selects a monitor",
        requires: [MonitoringResources, Monitors],
        uses: [OtherServers, ProbeResources, ScrapeConfigResources, Namespaces, Services, EndpointSlices, Pods, Workloads, PrometheusConfig, Manifests],
    }
}

impl Check for ServiceMonitorUnselected {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        unselected::diagnose(
            snap,
            Self::META.id,
            &[Kind::ServiceMonitor, Kind::PodMonitor, Kind::Probe, Kind::ScrapeConfig],
        )
    }
}
