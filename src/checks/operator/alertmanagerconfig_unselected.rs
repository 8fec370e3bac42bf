//! AlertmanagerConfigs that no Alertmanager selects.

use crate::checks::support::unselected;
use crate::checks::{Check, check};
use crate::domain::prometheus::operator::selection::Kind;
use crate::model::{CheckMeta, Diagnosis, Gap};
use crate::snapshot::Snapshot;

check! {
    /// See the check's page.
    AlertmanagerConfigUnselected {
        id: "alertmanagerconfig-unselected", suite: Operator, severity: Error,
        title: "no Alertmanager selects an AlertmanagerConfig",
        requires: [MonitoringResources, AlertmanagerConfigResources],
        uses: [Namespaces, Workloads, Manifests],
    }
}

impl Check for AlertmanagerConfigUnselected {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        unselected::diagnose(snap, Self::META.id, &[Kind::AlertmanagerConfig])
    }
}
