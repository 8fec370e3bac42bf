//! PrometheusRules that neither a Prometheus nor a ThanosRuler selects.

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
    RuleUnselected {
        id: "rule-unselected", suite: Operator, severity: Error,
        title: "no Prometheus selects a PrometheusRule",
        requires: [MonitoringResources, PrometheusRuleNames],
        uses: [OtherServers, Namespaces, Workloads, PrometheusConfig, Manifests],
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

impl Check for RuleUnselected {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        unselected::diagnose(snap, Self::META.id, &[Kind::PrometheusRule], |selection, _, loaded| Fix::Select {
            selection,
            loaded,
        })
    }
}
