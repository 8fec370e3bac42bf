//! A container of the stack ends, and is started again and again.

mod cause;
mod fix;

use std::collections::{BTreeMap, BTreeSet};

use crate::checks::support::severity::severity_of;
use crate::checks::{Check, check};
use crate::domain::kubernetes::index::owner_of;
use crate::domain::text::windows::GRACE;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, Program, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, ContainerStatus, Pod, Terminated};
use cause::Cause;

/// Seconds within which an end is recent.
const RECENT: i64 = 900;

/// Restarts of a Job's container that are its way to try again; `backoffLimit` is 6 unless set.
const JOB_RETRIES: u32 = 4;
/// Seconds that a container may take to become ready after one restart.
const SETTLES: i64 = 120;

check! {
    /// See the check's page.
    CrashLoop {
        id: "crash-loop", suite: Workload, severity: Error,
        title: "a container of the stack ends again and again",
        requires: [Pods],
        uses: [CrashLogs, Workloads, ConfigMaps, PersistentVolumeClaims, StorageClasses, Events, MonitoringResources, PrometheusTargets, NetworkPolicies, EksAddons],
    }
}

impl Check for CrashLoop {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let behind = behind_failing_targets(snap);
        let mut groups: BTreeMap<(ResourceRef, String, String), Vec<Failing<'_>>> = BTreeMap::new();
        let concerned = snap.pods()?.iter().filter(|p| {
            let place = (p.metadata.namespace.clone(), p.metadata.name.clone());
            snap.scope.is_judged(&p.metadata.namespace) || behind.contains(&place)
        });
        for failing in concerned.flat_map(|pod| failing(snap, pod)) {
            let key = (snap.owner_ref(failing.pod), failing.container.name.clone(), failing.cause.key());
            groups.entry(key).or_default().push(failing);
        }
        Ok(Diagnosis::Findings(groups.into_iter().map(|((owner, ..), all)| finding(snap, owner, &all)).collect()))
    }
}

/// Pods behind what Prometheus fails to scrape: only these of other namespaces are a matter of the stack.
fn behind_failing_targets(snap: &Snapshot) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for target in snap.prometheus_targets().map(Vec::as_slice).unwrap_or_default().iter().filter(|t| t.health == "down")
    {
        let Some(url) = url::Url::parse(&target.scrape_url).ok() else { continue };
        let Some(host) = url.host_str() else { continue };
        let place = |p: &Pod| (p.metadata.namespace.clone(), p.metadata.name.clone());
        if let Some(service) = snap.service_by_host(host) {
            found.extend(snap.pods_of_service(service).map(place));
        }
        found.extend(snap.pod_by_ip(host).map(place));
        let label = |name: &str| target.discovered_labels.get(name).cloned();
        if let (Some(namespace), Some(pod)) =
            (label("__meta_kubernetes_namespace"), label("__meta_kubernetes_pod_name"))
        {
            found.insert((namespace, pod));
        }
    }
    found
}

/// A container that ends again and again.
struct Failing<'a> {
    pod: &'a Pod,
    container: &'a Container,
    status: &'a ContainerStatus,
    is_init: bool,
    /// It is up in between.
    is_ready: bool,
    cause: Cause,
}

fn failing<'a>(snap: &'a Snapshot, pod: &'a Pod) -> Vec<Failing<'a>> {
    let over =
        pod.is_finished() || pod.metadata.deletion_timestamp.is_some() || snap.age_seconds(&pod.metadata) < GRACE;
    if over {
        return Vec::new();
    }
    let init = pod.status.init_container_statuses.iter().map(|s| (s, true));
    let all = init.chain(pod.status.container_statuses.iter().map(|s| (s, false)));
    all.filter(|(status, _)| ends_again(snap, pod, status))
        .filter_map(|(status, is_init)| {
            let container = pod.all_containers().find(|c| c.name == status.name)?;
            let cause = Cause::of(snap, pod, container, status);
            Some(Failing { pod, container, status, is_init, is_ready: status.ready, cause })
        })
        .collect()
}

/// Ends and is started again. What ran out of memory, and what never started, is the matter of other checks.
fn ends_again(snap: &Snapshot, pod: &Pod, status: &ContainerStatus) -> bool {
    let never_began = |t: &Terminated| {
        matches!(t.reason.as_str(), "StartError" | "ContainerCannotRun")
            && t.message.as_deref().is_some_and(|m| m.contains("error mounting") || m.contains("not a directory"))
    };
    if status.restart_count == 0 || status.ended().is_some_and(|t| t.reason == "OOMKilled" || never_began(t)) {
        return false;
    }
    // A Job tries again by design.
    let retries = owner_of(&pod.metadata).is_some_and(|(kind, _)| kind == "Job") && status.restart_count < JOB_RETRIES;
    if retries {
        return false;
    }
    if let Some(waiting) = &status.state.waiting {
        // Another reason (ImagePullBackOff, CreateContainerConfigError) says why it cannot even start.
        return waiting.reason == "CrashLoopBackOff" || waiting.reason.is_empty() && recent_failure(snap, status);
    }
    if status.state.terminated.is_some() {
        return recent_failure(snap, status);
    }
    if !status.ready {
        // One restart is none again, and a container that just began is not ready yet.
        let since = status.running_since().map(|t| snap.collected_at.as_second() - t.as_second());
        let settles = since.is_some_and(|s| s < SETTLES) && status.restart_count < 2;
        return recent_failure(snap, status) && !settles;
    }
    // Ready in between: only where that happens more than once an hour on average.
    let age = snap.age_seconds(&pod.metadata);
    status.restart_count >= 3 && age / i64::from(status.restart_count) < 3600 && recent_failure(snap, status)
}

fn recent_failure(snap: &Snapshot, status: &ContainerStatus) -> bool {
    // 143 is a polite end, and with 255 and no word the node itself went away.
    let asked = |t: &Terminated| t.exit_code == 143 || t.exit_code == 255 && t.reason == "Unknown";
    status.ended().is_some_and(|t| t.exit_code != 0 && !asked(t)) && status.ended_within(RECENT, snap.collected_at)
}

/// `Prometheus`, or the container by its name.
fn who(failing: &Failing<'_>) -> String {
    let name = &failing.container.name;
    match failing.container.program() {
        _ if failing.is_init => format!("init container {name} of pod {}", failing.pod.metadata.name),
        Some(Program::Prometheus) => "Prometheus".to_owned(),
        Some(Program::Alertmanager) => "Alertmanager".to_owned(),
        Some(Program::Grafana) => "Grafana".to_owned(),
        None => format!("container {name} of pod {}", failing.pod.metadata.name),
    }
}

fn finding(snap: &Snapshot, owner: ResourceRef, all: &[Failing<'_>]) -> Finding {
    let first = &all[0];
    let (pod, container, meta) = (first.pod, first.container, &first.pod.metadata);
    let case = fix::Case::new(snap, first);
    let exit = first.status.ended().map(|t| t.exit_code);
    let code = exit.map_or_else(|| "ends".to_owned(), |code| format!("exits with code {code}"));
    let pods = if all.len() > 1 { format!(" in {} pods", all.len()) } else { String::new() };
    let restarts: u32 = all.iter().map(|f| f.status.restart_count).sum();
    let times = if restarts == 1 { "1 restart".to_owned() } else { format!("{restarts} restarts") };
    let message = format!("{} {code}{pods} ({times}): {}", who(first), case.sentence());
    let severity = if all.iter().any(|f| !f.is_ready) { Severity::Error } else { Severity::Warning };
    // Those of other namespaces are here because a target of theirs is down.
    let severity = if snap.scope.is_stack(&meta.namespace) { severity_of(snap, pod, severity) } else { severity };
    let mut made = Finding::new(CrashLoop::META.id, severity, owner.clone(), message)
        .key(format!("{} {}", container.name, first.cause.key()))
        .breaks(owner);
    for failing in all {
        made = made.breaks(ResourceRef::pod(&failing.pod.metadata.namespace, &failing.pod.metadata.name));
    }
    let state = match (&first.status.state.waiting, first.status.ended()) {
        (Some(waiting), ended) => format!(
            "{}, {times}{}",
            waiting.reason,
            ended.map(|t| format!(", last ended with {} (exit code {})", t.reason, t.exit_code)).unwrap_or_default()
        ),
        (None, Some(ended)) => format!("{times}, last ended with {} (exit code {})", ended.reason, ended.exit_code),
        (None, None) => times,
    };
    let about =
        |e: Evidence| e.with("namespace", &meta.namespace).with("pod", &meta.name).with("container", &container.name);
    let source = format!("Pod {}/{}, container {}", meta.namespace, meta.name, container.name);
    made = made.evidence(about(Evidence::new(source, state, "kubectl describe pod -n {{ namespace }} {{ pod }}")));
    if let Some((said, previous)) = first.cause.said() {
        let show = "kubectl logs -n {{ namespace }} {{ pod }} -c {{ container }}{% if previous %} --previous{% endif %} --tail=50";
        let source = format!("log of container {} of Pod {}/{}", container.name, meta.namespace, meta.name);
        made = made.evidence(about(Evidence::new(source, said, show)).with("previous", previous));
    }
    case.finish(made, pod)
}

#[cfg(test)]
mod tests;
