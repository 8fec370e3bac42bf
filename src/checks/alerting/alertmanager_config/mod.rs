//! Alertmanager's configuration is invalid, or was not taken over.

mod faults;
mod fix;
mod retention;
mod subject;
mod words;

use std::collections::BTreeMap;

use fix::Fix;
use subject::{Reading, Subject};

use crate::checks::support::written;
use crate::checks::{Check, check};
use crate::domain::alertmanager::config::config_source;
use crate::domain::alertmanager::pods::alertmanager_pods;
use crate::domain::manifests::written::Dialect;
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, GapCause};
use crate::snapshot::Snapshot;

check! {
    /// See the check's page.
    AlertmanagerConfig {
        id: "alertmanager-config", suite: Alerting, severity: Error,
        title: "Alertmanager's configuration is invalid or was not taken over",
        requires: [Pods, ConfigMaps],
        uses: [ComponentLogs, CrashLogs, AlertmanagerMetrics, AlertmanagerStatus, MonitoringResources, EksAddons, Workloads],
        fix: Fix,
    }
}

impl Check for AlertmanagerConfig {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn judge(&self, snap: &Snapshot) -> Option<Result<Diagnosis, Gap>> {
        Some(written::judge(snap, Dialect::Alertmanager, &Self::META, Fix::of_file))
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.pods()?;
        let mut findings: Vec<Finding> = retention::forgets(snap).into_iter().collect();
        let readings = readings(snap);
        if readings.is_empty() && findings.is_empty() {
            return elsewhere(snap);
        }
        let mut gap = None;
        for ((namespace, _), reading) in readings {
            match Subject::new(snap, &namespace, &reading).findings() {
                Ok(found) => findings.extend(found),
                Err(missing) => gap = gap.or(Some(missing)),
            }
        }
        match gap {
            Some(gap) if findings.is_empty() => Err(gap),
            _ => Ok(Diagnosis::Findings(findings)),
        }
    }
}

/// No object that holds the configuration: there is no Alertmanager, or something in the pod writes the file.
fn elsewhere(snap: &Snapshot) -> Result<Diagnosis, Gap> {
    let Some((pod, _)) = alertmanager_pods(snap).into_iter().next() else {
        return Ok(Diagnosis::NotApplicable("no Alertmanager pod in the stack".into()));
    };
    let mut samples = snap.alertmanager_metrics.iter().flatten();
    if samples.any(|s| s.name == "alertmanager_config_last_reload_successful" && s.value != 0.0) {
        return Ok(Diagnosis::Findings(Vec::new()));
    }
    let what = format!("configuration of pod {}/{}", pod.metadata.namespace, pod.metadata.name);
    Err(Gap::new(what, GapCause::NotCollected, "its file is mounted from neither a ConfigMap nor a Secret"))
}

/// Alertmanager's pods by the object that holds their configuration.
fn readings(snap: &Snapshot) -> BTreeMap<(String, String), Reading<'_>> {
    let mut found: BTreeMap<(String, String), Reading<'_>> = BTreeMap::new();
    for (pod, container) in alertmanager_pods(snap) {
        let Some(source) = config_source(snap, pod, container) else { continue };
        let key = (pod.metadata.namespace.clone(), format!("{}/{}/{}", source.kind, source.name, source.key));
        found.entry(key).or_insert_with(|| Reading { source, pods: Vec::new() }).pods.push((pod, container));
    }
    found
}
