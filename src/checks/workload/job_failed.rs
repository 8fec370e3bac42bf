//! A Job beside the stack failed: a backup, a clean-up. Or it is done, and never complete.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::seen::line_evidence;
use crate::checks::{Check, check};
use crate::domain::crash::{last_lines, telling};
use crate::domain::kubernetes::failed_jobs::{self, Failed, Kept};
use crate::domain::kubernetes::mesh::Mesh;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::annotation;

check! {
    /// See the check's page.
    JobFailed {
        id: "job-failed", suite: Workload, severity: Warning,
        title: "a Job of the stack's namespace failed",
        requires: [Jobs],
        uses: [Pods, CrashLogs, PrometheusAlerts, HelmReleases, GitOps],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Again {
        namespace: String,
        job: String,
        /// Its last pod that failed; empty where it is not known.
        pod: String,
        /// The CronJob that made it; empty where none did.
        cron: String,
        /// Name of the run by hand.
        run: String,
        /// It took longer than it may.
        late: bool,
    },
    SideCar {
        namespace: String,
        job: String,
        pod: String,
        /// Containers that run on.
        running: Vec<String>,
        /// The one of Istio is among them, which ends when it is told to.
        istio: bool,
        linkerd: bool,
        /// A hook of Helm or of Argo CD, for which a release waits.
        hook: bool,
    },
}

/// Letters that the name of a Job may have, so that its pods' names have room.
const NAME: usize = 52;

impl Check for JobFailed {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.jobs()?;
        let mut findings: Vec<Finding> = failed_jobs::all(snap).iter().map(|f| finding(snap, f)).collect();
        findings.extend(failed_jobs::kept(snap).iter().map(kept));
        Ok(Diagnosis::Findings(findings))
    }
}

/// Its work is done, and a side-car keeps its pod running.
fn kept(kept: &Kept<'_>) -> Finding {
    let (meta, pod) = (&kept.job.metadata, &kept.pod.metadata);
    let own = ResourceRef::kubernetes("batch", "Job", &meta.namespace, &meta.name);
    let running: Vec<String> = kept.running.iter().map(|c| (*c).to_owned()).collect();
    let verb = if running.len() == 1 { "goes" } else { "go" };
    let message = format!(
        "Job {}/{} is done and never complete: {} ended well, and {}, which was put into its pod, {verb} on",
        meta.namespace,
        meta.name,
        kept.ended.join(", "),
        running.join(", ")
    );
    let states = kept.pod.status.container_statuses.iter();
    let states = states.map(|c| format!("{}: {}", c.name, if c.state.running.is_some() { "running" } else { "ended" }));
    let seen = Evidence::new(
        format!("Pod {}/{}", pod.namespace, pod.name),
        states.collect::<Vec<_>>().join(", "),
        "kubectl get pod {{ pod }} -n {{ namespace }} -o jsonpath='{range .status.containerStatuses[*]}{.name}{\"\\t\"}{.state}{\"\\n\"}{end}'",
    );
    let is = |mesh: Mesh| running.iter().any(|c| c == mesh.sidecar());
    let hook = [annotation::HELM_HOOK, annotation::ARGO_HOOK].iter().any(|a| meta.annotations.contains_key(*a));
    Finding::new(JobFailed::META.id, Severity::Warning, own.clone(), message)
        .key("side-car")
        .also(ResourceRef::pod(&pod.namespace, &pod.name))
        .breaks(own)
        .evidence(seen.with("namespace", &pod.namespace).with("pod", &pod.name))
        .fix(Fix::SideCar {
            namespace: meta.namespace.clone(),
            job: meta.name.clone(),
            pod: pod.name.clone(),
            istio: is(Mesh::Istio),
            linkerd: is(Mesh::Linkerd),
            running,
            hook,
        })
}

fn finding(snap: &Snapshot, failed: &Failed<'_>) -> Finding {
    let meta = &failed.job.metadata;
    let own = ResourceRef::kubernetes("batch", "Job", &meta.namespace, &meta.name);
    let reason = failed.condition.reason.as_deref().unwrap_or("Failed");
    let line = failed.log.and_then(|log| telling(&last_lines(&log.text)));
    let why = line.as_deref().map(|l| format!(": its log ends with: {l}")).unwrap_or_default();
    let of = failed.cron.map(|c| format!(" of CronJob {c}")).unwrap_or_default();
    let message = format!("Job {}/{}{of} failed ({reason}){why}", meta.namespace, meta.name);
    // The next run of a CronJob may do: only who was alerted has to look now.
    let severity = if failed.cron.is_none() || failed.alerted { Severity::Warning } else { Severity::Info };
    let mut made = Finding::new(JobFailed::META.id, severity, own.clone(), message).breaks(own).evidence(
        Evidence::new(
            format!("Job {}/{}, condition Failed", meta.namespace, meta.name),
            format!("{reason}: {}", failed.condition.message.as_deref().unwrap_or_default()),
            "kubectl describe job {{ job }} -n {{ namespace }}",
        )
        .with("namespace", &meta.namespace)
        .with("job", &meta.name),
    );
    if let Some(pod) = failed.pod {
        // What its pod complains of may have a check of its own.
        made = made.depends_on(ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name));
    }
    if let (Some(log), Some(line)) = (failed.log, &line) {
        made = made.evidence(line_evidence(log, line));
    }
    let cron = failed.cron.unwrap_or_default().to_owned();
    // Another run by hand, after the next report, has another name.
    let suffix = snap.collected_at.strftime("-by-hand-%m%d%H%M").to_string();
    let stem: String = cron.chars().take(NAME - suffix.len()).collect();
    made.fix(Fix::Again {
        namespace: meta.namespace.clone(),
        job: meta.name.clone(),
        pod: failed.pod.map(|p| p.metadata.name.clone()).unwrap_or_default(),
        run: format!("{}{suffix}", stem.trim_end_matches(['-', '.'])),
        cron,
        late: reason == "DeadlineExceeded",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::testing::findings;
    use crate::domain::testing::workload::snapshot;
    use crate::snapshot::Listing;
    use crate::snapshot::kubernetes::{HelmRelease, Meta};
    use serde_json::{Value, json};

    fn job(name: &str, created: &str, state: &str) -> Value {
        json!({"metadata": {"name": name, "namespace": "monitoring", "creationTimestamp": created,
            "ownerReferences": [{"kind": "CronJob", "name": "backup", "controller": true}]},
            "status": {"conditions": [{"type": state, "status": "True", "reason": "BackoffLimitExceeded", "lastTransitionTime": created}]}})
    }

    fn found(jobs: Value) -> Vec<Finding> {
        let mut snap = snapshot(json!([]));
        snap.jobs = Listing::cluster(serde_json::from_value(jobs).expect("jobs"));
        *snap.crash_logs = Ok(Vec::new());
        findings(&JobFailed, &snap)
    }

    #[test]
    fn a_hook_is_told_where_no_release_tells_of_it() {
        let hook = json!({"metadata": {"name": "mimir-make-buckets", "namespace": "monitoring",
            "creationTimestamp": "2026-11-21T10:00:00Z", "annotations": {"helm.sh/hook": "post-install"}},
            "status": {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "lastTransitionTime": "2026-11-21T10:00:00Z"}]}});
        let of = |release: &str| {
            let mut snap = snapshot(json!([]));
            snap.jobs = Listing::cluster(serde_json::from_value(json!([hook])).expect("jobs"));
            *snap.crash_logs = Ok(Vec::new());
            let metadata = Meta { namespace: "monitoring".into(), ..Meta::default() };
            let kept = HelmRelease { name: release.into(), metadata, revision: 1, ..HelmRelease::default() };
            snap.helm_releases = Listing::cluster(vec![kept]);
            snap.git_ops = Listing::cluster(Vec::new());
            findings(&JobFailed, &snap).len()
        };
        assert_eq!(of("other"), 1);
        assert_eq!(of("mimir"), 0, "its release failed with it");
    }

    #[test]
    fn the_newest_run_counts() {
        let failed = job("backup-1", "2026-11-21T10:00:00Z", "Failed");
        assert_eq!(
            found(json!([failed]))[0].message,
            "Job monitoring/backup-1 of CronJob backup failed (BackoffLimitExceeded)"
        );
        assert_eq!(found(json!([failed, job("backup-2", "2026-11-21T11:00:00Z", "Complete")])), []);
        assert_eq!(found(json!([job("backup-1", "2026-11-18T10:00:00Z", "Failed")])), []);
        assert_eq!(found(json!([job("kps-admission-create", "2026-11-21T10:00:00Z", "Failed")])), []);
    }
}
