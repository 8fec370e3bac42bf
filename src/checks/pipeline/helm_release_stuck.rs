//! A Helm release that stopped half-way, or failed.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::pipeline::release_ref;
use crate::checks::{Check, check};
use crate::domain::kubernetes::chart::release_named;
use crate::domain::kubernetes::releases;
use crate::domain::kubernetes::webhooks;
use crate::domain::text::windows::minute;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{HelmRelease, Job, Workload};

/// Seconds after which an operation of Helm is not at work any more: its default is to give up after five minutes.
const AT_WORK: i64 = 600;

check! {
    /// See the check's page.
    HelmReleaseStuck {
        id: "helm-release-stuck", suite: Pipeline, severity: Error,
        title: "a Helm release is stuck or failed",
        requires: [HelmReleases],
        uses: [Workloads, Webhooks, Manifests, Events, Namespaces, Services, MonitoringResources, Jobs, Crds],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    namespace: String,
    name: String,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    PendingUpgrade {
        /// The revision to go back to.
        back: u32,
        #[serde(flatten)]
        record: Record,
    },
    PendingInstall {
        #[serde(flatten)]
        chart: Chart,
        #[serde(flatten)]
        record: Record,
    },
    FailedUpgrade {
        back: u32,
        #[serde(flatten)]
        chart: Chart,
    },
    FailedInstall(Chart),
    Uninstalling,
}

/// What Helm keeps of the revision.
#[derive(Serialize, JsonSchema)]
struct Record {
    keeper: String,
    /// `secret` or `configmap`.
    kept_in: String,
}

/// What is installed again.
#[derive(Serialize, JsonSchema)]
struct Chart {
    chart: String,
    version: String,
}

impl Way {
    fn of(snap: &Snapshot, release: &HelmRelease, back: Option<&HelmRelease>) -> Self {
        let installed = release_named(snap, &release.name, &release.metadata.namespace);
        let version = if installed.version.is_empty() { "<version>".to_owned() } else { installed.version };
        let chart = Chart { chart: installed.chart, version };
        let record = Record { keeper: release.metadata.name.clone(), kept_in: release.kept_in.to_ascii_lowercase() };
        match (release.status.as_str(), back.map(|b| b.revision)) {
            ("uninstalling", _) => Self::Uninstalling,
            ("failed", Some(back)) => Self::FailedUpgrade { back, chart },
            ("failed", None) => Self::FailedInstall(chart),
            (_, Some(back)) => Self::PendingUpgrade { back, record },
            (_, None) => Self::PendingInstall { chart, record },
        }
    }
}

impl Check for HelmReleaseStuck {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let all = snap.helm_releases()?;
        let newest = HelmRelease::newest(all).into_iter();
        Ok(Diagnosis::Findings(newest.filter_map(|r| finding(snap, all, r)).collect()))
    }
}

/// Workloads of the release that have fewer ready pods than they want.
fn unready<'a>(snap: &'a Snapshot, release: &HelmRelease) -> Vec<&'a Workload> {
    let all = snap.workloads.items().unwrap_or_default().iter();
    all.filter(|w| releases::is_of(&w.metadata, &release.name, &release.metadata.namespace) && w.ready() < w.desired())
        .collect()
}

/// Jobs of the release that have not ended well: Helm waits for those of its hooks.
fn open_jobs<'a>(snap: &'a Snapshot, release: &HelmRelease) -> Vec<&'a Job> {
    let home = &release.metadata.namespace;
    let is_own = |job: &&Job| {
        // What a hook makes bears labels alone, or only the name.
        job.metadata.namespace == *home
            && (releases::is_of(&job.metadata, &release.name, home)
                || job.metadata.name.strip_prefix(&release.name).is_some_and(|rest| rest.starts_with('-')))
    };
    let jobs = snap.jobs.items().unwrap_or_default().iter().filter(is_own);
    // One whose pods are refused has neither active nor failed ones.
    let open = jobs.filter(|j| j.status.succeeded == 0 && j.status.completion_time.is_none() && !j.spec.suspend);
    open.collect()
}

/// What its pods say that failed: Helm waits for such a Job until its time is over, and tells of that alone.
fn job_seen(job: &Job) -> Evidence {
    let (namespace, name) = (&job.metadata.namespace, &job.metadata.name);
    let pods = if job.status.failed == 1 { "1 pod".to_owned() } else { format!("{} pods", job.status.failed) };
    Evidence::new(
        format!("Job {namespace}/{name} of the release"),
        format!("{pods} failed, none ended well"),
        "kubectl logs -n {{ namespace }} {{ job }} --tail=50",
    )
    .with("namespace", namespace)
    .with("job", format!("job/{name}"))
}

/// Calls of webhooks that failed while Helm worked, as far as a record of its output tells.
fn blamed(snap: &Snapshot) -> Vec<ResourceRef> {
    let recorded = webhooks::recorded_calls(snap);
    let mut all: Vec<ResourceRef> = recorded.flat_map(|(call, _)| webhooks::blamed(snap, &call.text)).collect();
    all.dedup();
    all
}

fn finding(snap: &Snapshot, all: &[HelmRelease], release: &HelmRelease) -> Option<Finding> {
    let (namespace, name) = (&release.metadata.namespace, &release.name);
    let age = release.changed_at.map_or(AT_WORK, |t| snap.seconds_since(t));
    let back = releases::last_deployed(all, release);
    let unready = unready(snap, release);
    let is_pending =
        matches!(release.status.as_str(), "pending-install" | "pending-upgrade" | "pending-rollback" | "uninstalling");
    if !(is_pending && age >= AT_WORK) && release.status != "failed" {
        return None;
    }
    let of_stack = snap.scope.is_stack(namespace);
    let severity = match (release.status.as_str(), back) {
        // The revision before goes on running.
        ("failed", Some(_)) if unready.is_empty() => Severity::Info,
        ("failed", Some(_)) => Severity::Warning,
        _ if of_stack => Severity::Error,
        _ => Severity::Warning,
    };
    let since = release.changed_at.map(|t| format!(" since {}", minute(t))).unwrap_or_default();
    let effect = match (release.status.as_str(), back) {
        ("failed", Some(back)) => format!("; what revision {} made is still there", back.revision),
        ("failed", None) => "; it was never deployed, so parts of it may be missing".to_owned(),
        ("uninstalling", _) => "; its removal stopped half-way".to_owned(),
        _ => "; every helm upgrade is refused: another operation (install/upgrade/rollback) is in progress".to_owned(),
    };
    let message =
        format!("Helm release {namespace}/{name}, revision {}, is {}{since}{effect}", release.revision, release.status);
    let mut made = Finding::new(HelmReleaseStuck::META.id, severity, release_ref(namespace, name), message)
        .fix(Fix { namespace: namespace.clone(), name: name.clone(), way: Way::of(snap, release, back) })
        .evidence(history(all, release));
    for workload in unready.iter().take(3) {
        made = made.also(workload.reference());
    }
    // Helm's state breaks nothing that runs; what is not ready may be why it failed.
    made.breaks = Some(vec![release_ref(namespace, name)]);
    if release.status == "failed" {
        made = blamed(snap).into_iter().fold(made, Finding::depends_on);
        made = made.depends_on(ResourceRef::kubernetes("helm.sh", "HelmOperation", namespace, name));
        made = unready.iter().fold(made, |made, w| made.depends_on(w.reference()));
    }
    // Helm cannot remove objects of kinds that are gone before them.
    let prometheuses = "prometheuses.monitoring.coreos.com";
    let gone = || snap.crds().is_ok_and(|all| !all.iter().any(|c| c.metadata.name == prometheuses));
    if release.status == "uninstalling" && of_stack && gone() {
        made = made.depends_on(ResourceRef::crd(prometheuses));
    }
    for job in open_jobs(snap, release) {
        made = made.depends_on(ResourceRef::kubernetes("batch", "Job", namespace, &job.metadata.name));
        if job.status.failed > 0 {
            made = made.evidence(job_seen(job));
        }
    }
    if snap.namespaces.named(namespace).is_ok_and(|n| n.is_some_and(|n| n.is_terminating())) {
        made = made.depends_on(ResourceRef::kubernetes("", "Namespace", "", namespace));
    }
    Some(made)
}

/// The revisions that are kept, the newest first.
fn history(all: &[HelmRelease], release: &HelmRelease) -> Evidence {
    let same = |r: &&HelmRelease| r.name == release.name && r.metadata.namespace == release.metadata.namespace;
    let mut own: Vec<&HelmRelease> = all.iter().filter(same).collect();
    own.sort_by_key(|r| std::cmp::Reverse(r.revision));
    let shown: Vec<String> = own.iter().take(5).map(|r| format!("{} {}", r.revision, r.status)).collect();
    let source =
        format!("labels of the {}s of Helm release {}/{}", release.kept_in, release.metadata.namespace, release.name);
    Evidence::new(source, format!("revisions {}", shown.join(", ")), "helm history {{ name }} -n {{ namespace }}")
        .with("name", &release.name)
        .with("namespace", &release.metadata.namespace)
}
