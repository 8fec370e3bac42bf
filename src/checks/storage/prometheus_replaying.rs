//! Prometheus is not ready yet because it reads its write-ahead log: patience, not repair.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::seen::log_evidence;
use crate::checks::{Check, check};
use crate::domain::kubernetes::own_address::OwnAddress;
use crate::domain::prometheus::wal::{self, Progress};
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, Program, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{ContainerStatus, Pod};
use crate::snapshot::monitoring::ContainerLog;

check! {
    /// See the check's page.
    PrometheusReplaying {
        id: "prometheus-replaying", suite: Storage, severity: Warning,
        title: "Prometheus still reads its write-ahead log",
        requires: [Pods, ComponentLogs],
        uses: [],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Wait { namespace: String, pod: String, container: String, status_path: String, probe: bool },
}

impl Check for PrometheusReplaying {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let pods = snap.pods()?;
        let logs = snap.logs_of(Program::Prometheus)?;
        let mut findings = Vec::new();
        for log in logs.into_iter().filter(|l| !l.previous) {
            let pod = pods.iter().find(|p| log.is_of(&p.metadata));
            let Some((pod, status)) = pod.and_then(|p| Some((p, waiting(snap, p, &log.container)?))) else { continue };
            if let Some((line, progress)) = wal::running(&log.text, snap.collected_at) {
                findings.push(finding(snap, pod, status, log, &line, progress));
            }
        }
        Ok(Diagnosis::Findings(findings))
    }
}

/// The status of a container that runs and is not ready. One that ran out of memory or is ended by its probe is another
/// check's matter.
fn waiting<'a>(snap: &Snapshot, pod: &'a Pod, container: &str) -> Option<&'a ContainerStatus> {
    let status = pod.status.container_statuses.iter().find(|s| s.name == container)?;
    let killed = status.last_state.terminated.as_ref().is_some_and(|t| t.exit_code == 137 || t.reason == "OOMKilled");
    (!status.ready && status.running_since().is_some() && !(killed && status.ended_within(3600, snap.collected_at)))
        .then_some(status)
}

fn finding(
    snap: &Snapshot,
    pod: &Pod,
    status: &ContainerStatus,
    log: &ContainerLog,
    line: &str,
    progress: Progress,
) -> Finding {
    let meta = &pod.metadata;
    let owner = snap.owner_ref(pod);
    let how_far = progress.segments.map(|(at, max)| format!(", at segment {at} of {max}")).unwrap_or_default();
    let left = match progress.left {
        Some(s) if s < 90 => "; it is done within two minutes at this pace".to_owned(),
        Some(s) => format!("; about {} minutes are left at this pace", (s + 59) / 60),
        None => String::new(),
    };
    let since = status.running_since().map(|t| format!(" since {}", t.strftime("%H:%M UTC"))).unwrap_or_default();
    // An update goes from replica to replica.
    let mut replicas = snap.pods.items().unwrap_or_default().iter().filter(|p| snap.owner_ref(p) == owner);
    let (severity, meanwhile) = match replicas.any(Pod::is_ready) {
        true => (Severity::Info, "another replica scrapes meanwhile"),
        false => (Severity::Warning, "nothing is scraped meanwhile"),
    };
    let message = format!(
        "Prometheus ({}) reads its write-ahead log{since} and is not ready until then{how_far}{left}: nothing is broken, and {meanwhile}",
        owner.kubectl_name()
    );
    let container = pod.spec.containers.iter().find(|c| c.name == log.container);
    let address = container.map_or_else(|| OwnAddress::usual(Program::Prometheus), |c| OwnAddress::of_pod(pod, c));
    Finding::new(PrometheusReplaying::META.id, severity, owner.clone(), message)
        .key(format!("{} replay", owner.key()))
        .breaks(owner)
        .breaks(ResourceRef::pod(&meta.namespace, &meta.name))
        .evidence(log_evidence(&meta.namespace, &meta.name, &log.container, false, line))
        .fix(Fix::Wait {
            namespace: meta.namespace.clone(),
            pod: meta.name.clone(),
            container: log.container.clone(),
            status_path: address.through_api_server(pod, "/api/v1/status/walreplay"),
            probe: status.restart_count > 0,
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::checks::support::testing::findings;
    use crate::domain::testing::snapshot;

    fn with(log: &str, ready: bool, last: serde_json::Value) -> Snapshot {
        let mut snap = snapshot(json!({"pods": [{
            "metadata": {"namespace": "monitoring", "name": "prometheus-0"},
            "spec": {"containers": [{"name": "prometheus", "image": "prom/prometheus:v3.5.0"}]},
            "status": {"phase": "Running", "containerStatuses": [{"name": "prometheus", "ready": ready, "restartCount": 0,
                "state": {"running": {"startedAt": "2026-11-21T01:55:00Z"}}, "lastState": last}]}}]}));
        *snap.component_logs = Ok(vec![ContainerLog {
            namespace: "monitoring".into(),
            pod: "prometheus-0".into(),
            container: "prometheus".into(),
            program: Some(Program::Prometheus),
            text: log.into(),
            ..ContainerLog::default()
        }]);
        snap
    }

    const LOG: &str = "time=2026-11-21T01:55:10Z level=INFO msg=\"Replaying WAL, this may take a while\"\ntime=2026-11-21T01:56:00Z level=INFO msg=\"WAL segment loaded\" segment=0 maxSegment=40\ntime=2026-11-21T01:59:00Z level=INFO msg=\"WAL segment loaded\" segment=10 maxSegment=40\n";

    #[test]
    fn progress_and_patience() {
        let found = findings(&PrometheusReplaying, &with(LOG, false, json!({})));
        assert!(found[0].message.contains("at segment 10 of 40; about 8 minutes are left"), "{}", found[0].message);
    }

    #[test]
    fn another_replica_scrapes_meanwhile() {
        let mut snap = with(LOG, false, json!({}));
        let of = json!([{"kind": "StatefulSet", "name": "prometheus", "controller": true}]);
        let mut pods = snap.pods.items().expect("were read").to_vec();
        pods[0].metadata.owner_references = serde_json::from_value(of).expect("are owners");
        let mut other = pods[0].clone();
        other.metadata.name = "prometheus-1".into();
        other.status =
            serde_json::from_value(json!({"conditions": [{"type": "Ready", "status": "True"}]})).expect("a status");
        pods.push(other);
        snap.pods = crate::snapshot::Listing::cluster(pods);
        assert_eq!(findings(&PrometheusReplaying, &snap)[0].severity, Severity::Info);
        assert_eq!(findings(&PrometheusReplaying, &with(LOG, false, json!({})))[0].severity, Severity::Warning);
    }

    #[test]
    fn what_is_ready_or_was_killed_is_anothers_matter() {
        assert!(findings(&PrometheusReplaying, &with(LOG, true, json!({}))).is_empty());
        let killed =
            json!({"terminated": {"reason": "OOMKilled", "exitCode": 137, "finishedAt": "2026-11-21T01:54:00Z"}});
        assert!(findings(&PrometheusReplaying, &with(LOG, false, killed)).is_empty());
        let done = format!("{LOG}time=2026-11-21T01:59:30Z level=INFO msg=\"WAL replay completed\"\n");
        assert!(findings(&PrometheusReplaying, &with(&done, false, json!({}))).is_empty());
    }
}
