//! AlertmanagerConfigs that no Alertmanager selects.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::amtool::Amtool;
use crate::checks::support::unselected::{self, Selection};
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
        amtool: Amtool,
    },
}

impl Check for AlertmanagerConfigUnselected {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        unselected::diagnose(snap, Self::META.id, &[Kind::AlertmanagerConfig], |selection, server, _| Fix::Select {
            selection,
            amtool: Amtool::of_server(snap, server),
        })
    }
}
