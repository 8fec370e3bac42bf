//! Alertmanager fails to deliver notifications.

use crate::checks::{Check, check};
use crate::model::{CheckMeta, Diagnosis, Gap};
use crate::snapshot::Snapshot;

check! {
    /// See the check's page.
    AlertmanagerNotify {
        id: "alertmanager-notify", suite: Alerting, page: "alerting/alertmanager_notify.md", severity: Error,
        title: "Alertmanager fails to deliver notifications",
        requires: [AlertmanagerLogs],
        uses: [AlertmanagerMetrics, AlertmanagerStatus, Pods, Nodes, Instances, Subnets],
    }
}

impl Check for AlertmanagerNotify {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, _snap: &Snapshot) -> Result<Diagnosis, Gap> {
        Ok(Diagnosis::NotApplicable("not built yet".into()))
    }
}
