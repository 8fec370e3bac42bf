//! A part of a running Grafana does not work: logins, its own secrets, rendering, a plugin.

mod facts;
mod fix;
#[cfg(test)]
mod tests;
mod words;

use self::facts::asked;
use self::fix::{Fix, Way};
use self::words::message;
use crate::checks::support::behind::depends_on_service;
use crate::checks::support::grafana::{none_runs, of_pod, running};
use crate::checks::support::seen::line_evidence;
use crate::checks::{Check, check};
use crate::domain::alertmanager::notify_error;
use crate::domain::grafana::database;
use crate::domain::grafana::part_log::{self, Part, Said};
use crate::domain::grafana::provisioned::Instance;
use crate::domain::kubernetes::mounts::{self, Mounts, Origin};
use crate::domain::kubernetes::service_host::in_cluster;
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, Severity};
use crate::snapshot::Snapshot;

check! {
    /// See the check's page.
    GrafanaPartFailing {
        id: "grafana-part-failing", suite: Grafana, severity: Error,
        title: "a part of Grafana does not work",
        requires: [ConfigMaps, Workloads, ComponentLogs],
        uses: [Pods, Services, Ingresses, GrafanaDatasources, PrometheusFlags],
        fix: Fix,
    }
}

/// Apps that Grafana fetches at its start without being told to (`defaultPreinstallPlugins` in its setting_plugins.go).
const OWN_APPS: &[&str] = &[
    "grafana-lokiexplore-app",
    "grafana-metricsdrilldown-app",
    "grafana-exploretraces-app",
    "grafana-pyroscope-app",
    "grafana-advisor-app",
];

impl Check for GrafanaPartFailing {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let Some(instances) = running(snap)? else { return Ok(none_runs()) };
        let all = part_log::failing(snap)?;
        let mut findings: Vec<Finding> = Vec::new();
        for said in &all {
            let Some(instance) = of_pod(snap, &instances, &said.log.pod) else { continue };
            // One that does not start without them is told of as such.
            if said.part == Part::PluginInstall && instance.pods(snap).iter().any(|p| !p.is_ready()) {
                continue;
            }
            // One replica has no peers, and sends what it has to send.
            if said.part == Part::AlertingPeers && instance.pods(snap).len() < 2 {
                continue;
            }
            // An old cookie is no fault.
            if said.part == Part::Sessions && !keeps_sessions_apart(snap, instance) {
                continue;
            }
            let made = finding(snap, instance, said);
            // Replicas say the same.
            if !findings.iter().any(|f| f.message == made.message || f.key == made.key) {
                findings.push(made);
            }
        }
        Ok(Diagnosis::Findings(findings))
    }
}

fn finding(snap: &Snapshot, instance: Instance<'_>, said: &Said<'_>) -> Finding {
    // The renderer's address may stand beside the error.
    let beside = || (said.part == Part::Rendering).then(|| notify_error::host(&said.line)).flatten();
    let host = notify_error::host(&said.error).or_else(beside).unwrap_or_default();
    let message = message(snap, instance, said, &host);
    let severity = match said.part {
        Part::Secrets | Part::LoginClient | Part::LoginReach | Part::Database | Part::Forwarded => Severity::Error,
        // Nobody asked for them by name: without a way out of the cluster they never come.
        Part::PluginInstall if said.what.split(", ").all(|id| OWN_APPS.contains(&id)) => Severity::Info,
        _ => Severity::Warning,
    };
    let mut made = Finding::new(GrafanaPartFailing::META.id, severity, instance.reference(), message)
        .key(format!("{:?} {} {}", said.part, instance.reference().key(), said.what))
        .evidence(line_evidence(said.log, &said.line));
    // It runs, and the rest of it works.
    // Datasources with a password get none.
    made.breaks = Some(if said.part == Part::Secrets { vec![instance.reference()] } else { Vec::new() });
    let fix = Fix::of(snap, instance, said, host);
    if let Way::Rendering { service: Some(service), service_namespace: Some(namespace), .. } = &fix.way {
        made = depends_on_service(snap, made, namespace, service);
    }
    // The gateway itself may say that it gave up, and on whom.
    if said.part == Part::GatewayTimeout
        && let Some(service) = asked(snap, instance, &said.what)
    {
        made = depends_on_service(snap, made, &service.metadata.namespace, &service.metadata.name);
    }
    // Whoever does not answer in time may not run at all.
    if said.part == Part::OwnTimeout
        && let Some(named) = notify_error::host(&said.error).and_then(|h| in_cluster(snap, &h, instance.namespace()))
    {
        made = depends_on_service(snap, made, &named.namespace, &named.service);
    }
    made.fix(fix)
}

/// Several replicas, each with a SQLite file that no other has.
fn keeps_sessions_apart(snap: &Snapshot, instance: Instance<'_>) -> bool {
    let pods = instance.pods(snap);
    let [first, _, ..] = pods.as_slice() else { return false };
    let files = Mounts::of_pod(snap, first, instance.container).files();
    let path = database::folder(instance.container);
    let data = mounts::origin(snap, first, instance.container, path);
    // The claims of a StatefulSet are one for each pod.
    let of_all = matches!(data, Origin::Claim { .. }) && instance.workload.kind == "Deployment";
    // A file in a Secret could say anything.
    let reads_file =
        files.iter().any(|f| f.key == "grafana.ini") || instance.container.env("GF_PATHS_CONFIG").is_none();
    reads_file && !of_all && !database::may_be_on_server(snap, instance.workload, instance.container)
}
