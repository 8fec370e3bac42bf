//! Jobs that failed and that nothing has made good since: of a CronJob a later run may have.

use crate::domain::kubernetes::releases;
use crate::domain::text::windows::DAY;
use crate::snapshot::kubernetes::{Condition, ContainerStatus, Job, Meta, Pod, annotation};
use crate::snapshot::monitoring::{ContainerLog, FiringAlert};
use crate::snapshot::{Snapshot, journal};

/// Jobs that an install or upgrade runs, and waits for: what becomes of these is told of the release.
const OF_RELEASES: &[&str] = &["-admission-create", "-admission-patch"];

/// A Job that failed.
#[derive(Debug)]
pub(crate) struct Failed<'a> {
    pub(crate) job: &'a Job,
    pub(crate) condition: &'a Condition,
    /// The CronJob that made it.
    pub(crate) cron: Option<&'a str>,
    /// Its last pod that failed, if it is still there.
    pub(crate) pod: Option<&'a Pod>,
    /// What that pod wrote last.
    pub(crate) log: Option<&'a ContainerLog>,
    /// An alert fires about it.
    pub(crate) alerted: bool,
}

/// Jobs of the stack's namespaces, and of those of its parts, that failed within a day, the newest of each CronJob.
pub(crate) fn all(snap: &Snapshot) -> Vec<Failed<'_>> {
    let jobs = snap.jobs.items().unwrap_or_default();
    jobs.iter().filter(|j| snap.scope.is_judged(&j.metadata.namespace)).filter_map(|j| failed(snap, jobs, j)).collect()
}

fn failed<'a>(snap: &'a Snapshot, jobs: &'a [Job], job: &'a Job) -> Option<Failed<'a>> {
    let meta = &job.metadata;
    let condition = job.status.conditions.iter().find(|c| c.kind == "Failed" && c.status == "True")?;
    let at = condition.last_transition_time;
    if is_of_release(snap, meta) || at.is_some_and(|t| snap.seconds_since(t) > DAY) {
        return None;
    }
    let cron = cron_of(job);
    // A later run was well, or failed in its turn, or is on its way.
    let later = |other: &&Job| {
        other.metadata.namespace == meta.namespace
            && cron_of(other) == cron
            && other.metadata.creation_timestamp > meta.creation_timestamp
    };
    if cron.is_some() && jobs.iter().any(|j| later(&j)) {
        return None;
    }
    let pod = pods_of(snap, job).filter(|p| p.status.phase == "Failed").max_by_key(|p| p.metadata.creation_timestamp);
    let mut logs = snap.crash_logs.iter().flatten();
    let log = pod.and_then(|p| logs.find(|l| l.is_of(&p.metadata)));
    // Without the alerts it is told all the same.
    let alerts = journal::aside(|| snap.prometheus_alerts().map(Vec::as_slice).unwrap_or_default());
    let about = |a: &FiringAlert| a.label("namespace") == meta.namespace && a.label("job_name") == meta.name;
    let alerted = alerts.iter().any(|a| a.state == "firing" && about(a));
    Some(Failed { job, condition, cron, pod, log, alerted })
}

/// What becomes of it is told of the release that ran it, or of what keeps that.
fn is_of_release(snap: &Snapshot, meta: &Meta) -> bool {
    if OF_RELEASES.iter().any(|end| meta.name.ends_with(end)) {
        return true;
    }
    if !meta.annotations.contains_key(annotation::HELM_HOOK) {
        return false;
    }
    // Who brings charts without keeping releases tells of hooks, too.
    let by_others = releases::is_of_gitops(meta) || !snap.git_ops.items().is_ok_and(<[_]>::is_empty);
    let kept = snap.helm_releases.items().unwrap_or_default().iter();
    let mut own = kept.filter(|r| {
        let by_name = || meta.name.strip_prefix(r.name.as_str()).is_some_and(|rest| rest.starts_with('-'));
        r.metadata.namespace == meta.namespace && (releases::kin_label(meta) == Some(r.name.as_str()) || by_name())
    });
    by_others || !snap.helm_releases.is_whole() || own.next().is_some()
}

/// Seconds for which a pod may go on after what its Job is for has ended: side-cars that know of it end within them.
const ENDING: i64 = 600;

/// A Job whose work is done, and whose pod goes on for another container in it.
#[derive(Debug)]
pub(crate) struct Kept<'a> {
    pub(crate) job: &'a Job,
    pub(crate) pod: &'a Pod,
    /// Containers of the Job that ended well.
    pub(crate) ended: Vec<&'a str>,
    /// Containers that were put into the pod beside them, and run.
    pub(crate) running: Vec<&'a str>,
}

/// Jobs of the stack's namespaces that a side-car keeps from being complete.
pub(crate) fn kept(snap: &Snapshot) -> Vec<Kept<'_>> {
    let jobs = snap.jobs.items().unwrap_or_default().iter();
    let open = jobs.filter(|j| snap.scope.is_stack(&j.metadata.namespace) && j.status.active > 0 && !j.spec.suspend);
    open.filter_map(|job| pods_of(snap, job).find_map(|pod| kept_by(snap, job, pod))).collect()
}

fn kept_by<'a>(snap: &Snapshot, job: &'a Job, pod: &'a Pod) -> Option<Kept<'a>> {
    // What the Job asks for itself is its own affair.
    let own = &job.spec.template.spec.containers;
    let is_own = |name: &str| own.iter().any(|c| c.name == name);
    if own.is_empty() || pod.status.phase != "Running" || pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let (mine, others): (Vec<_>, Vec<_>) = pod.status.container_statuses.iter().partition(|c| is_own(&c.name));
    let ended_at =
        |c: &ContainerStatus| c.state.terminated.as_ref().filter(|t| t.exit_code == 0).and_then(|t| t.finished_at);
    let last = mine.iter().map(|c| ended_at(c)).collect::<Option<Vec<_>>>()?.into_iter().max()?;
    let running: Vec<&str> = others.iter().filter(|c| c.state.running.is_some()).map(|c| c.name.as_str()).collect();
    let lasts = snap.seconds_since(last) >= ENDING;
    let ended = mine.iter().map(|c| c.name.as_str()).collect();
    (lasts && !running.is_empty()).then_some(Kept { job, pod, ended, running })
}

/// The pods of a Job.
fn pods_of<'a>(snap: &'a Snapshot, job: &'a Job) -> impl Iterator<Item = &'a Pod> {
    let meta = &job.metadata;
    snap.pods.items().unwrap_or_default().iter().filter(|p| {
        let owner = p.metadata.controller();
        p.metadata.namespace == meta.namespace && owner.is_some_and(|o| o.kind == "Job" && o.name == meta.name)
    })
}

fn cron_of(job: &Job) -> Option<&str> {
    job.metadata.controller().filter(|o| o.kind == "CronJob").map(|o| o.name.as_str())
}
