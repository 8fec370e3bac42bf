//! ServiceMonitors, PodMonitors, Probes and ScrapeConfigs that no Prometheus selects.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::operator::Loaded;
use crate::checks::support::unselected::{self, Selection};
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
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Select {
        #[serde(flatten)]
        selection: Selection,
        #[serde(flatten)]
        loaded: Loaded,
    },
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
            |selection, _, loaded| Fix::Select { selection, loaded },
        )
    }
}
