//! PrometheusRules that neither a Prometheus nor a ThanosRuler selects.

use crate::checks::support::unselected;
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
    }
}

impl Check for RuleUnselected {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        unselected::diagnose(snap, Self::META.id, &[Kind::PrometheusRule])
    }
}
