//! A program gets no AWS credentials, or those of a role that may not do what it does.

mod case;
mod exchange;
mod fix;
#[cfg(test)]
mod tests;
mod verdict;

use std::collections::BTreeMap;

use crate::checks::{Check, check};
use crate::domain::aws::addon::lacks_agent;
use crate::domain::aws::credentials::{self, Cause, Source};
use crate::domain::kubernetes::foundation;
use crate::domain::text::log_line::age;
use crate::domain::text::windows::RECENT;
use crate::model::{CheckMeta, Diagnosis, Gap, Program, ResourceRef};
use crate::snapshot::kubernetes::{Container, Event, Pod};
use crate::snapshot::monitoring::ContainerLog;
use crate::snapshot::{Platform, Snapshot};
use case::{Case, Said};
use fix::Fix;

/// Lines of a log without times that are of now.
const LATEST: usize = 60;
/// What passes by itself and was not said for this many seconds has passed: programs ask again every few minutes.
const LASTING: i64 = 900;
/// So many lines of it are no passing thing.
const OFTEN: usize = 3;
/// So many restarts, too.
const RESTARTS: u32 = 3;
/// What Pod Identity puts into containers.
const INJECTED: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";

check! {
    /// See the check's page.
    PodWithoutCredentials {
        id: "pod-without-credentials", suite: Access, severity: Error,
        title: "a program gets no AWS credentials, or too few rights",
        requires: [Pods, PartLogs],
        uses: [Events, ComponentLogs, CrashLogs, ServiceAccounts, PodIdentityAssociations, IamRoles, EksCluster, EksAddons, EksNodegroups, Nodes, Instances, Workloads, IamOidcProviders, Subnets, ConfigMaps, Ingresses, Services],
        fix: Fix,
    }
}

impl Check for PodWithoutCredentials {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let parts = snap.part_logs()?;
        snap.pods()?;
        if snap.platform == Platform::Other {
            return Ok(Diagnosis::NotApplicable("the cluster is not on EKS".into()));
        }
        let others = snap.component_logs.iter().flatten().chain(snap.crash_logs.iter().flatten());
        let mut cases: BTreeMap<(ResourceRef, &'static str), Case<'_>> = BTreeMap::new();
        for log in parts.iter().chain(others) {
            let Some(pod) = snap.pod_of_log(log) else { continue };
            let Some((line, fault)) = last(snap, log, pod) else { continue };
            // With a role of its own it lacks the metadata alone, which the check of crashes tells.
            let of_instance = credentials::is_about_instance(line) && credentials::source(snap, pod).is_injected();
            if of_instance || !is_own(snap, log, pod, &fault) {
                continue;
            }
            let owner = snap.owner_ref(pod);
            let key = (owner.clone(), case::kind(&fault));
            let said = Said::Log(log, line);
            cases.entry(key).or_insert_with(|| Case { snap, owner, pods: Vec::new(), said, fault }).add(pod);
        }
        for (pod, event, fault) in told_by_events(snap) {
            let owner = snap.owner_ref(pod);
            let key = (owner.clone(), case::kind(&fault));
            let said = Said::Event(event);
            cases.entry(key).or_insert_with(|| Case { snap, owner, pods: Vec::new(), said, fault }).add(pod);
        }
        for (pod, container) in without_agent(snap) {
            let owner = snap.owner_ref(pod);
            // What it says itself tells more.
            if cases.keys().any(|(known, kind)| *known == owner && *kind != case::kind(&Cause::Agent)) {
                continue;
            }
            let key = (owner.clone(), case::kind(&Cause::Agent));
            let (said, fault) = (Said::Ends(pod, container), Cause::Agent);
            cases.entry(key).or_insert_with(|| Case { snap, owner, pods: Vec::new(), said, fault }).add(pod);
        }
        let findings = cases.values().map(Case::finding);
        Ok(Diagnosis::Findings(findings.collect()))
    }
}

/// The EBS CSI driver's role has a check of its own.
fn is_driver(log: &ContainerLog) -> bool {
    ["ebs-csi", "csi-provisioner", "csi-attacher", "csi-resizer", "csi-snapshotter"]
        .iter()
        .any(|d| log.image.contains(d))
        || log.pod.starts_with("ebs-csi-")
}

/// What Prometheus, Alertmanager and the EBS CSI driver say of their own requests is read by the checks of those; of them
/// only the way to the metadata is judged here.
fn is_own(snap: &Snapshot, log: &ContainerLog, pod: &Pod, fault: &Cause) -> bool {
    // The agent speaks of the pods that it serves: they say it themselves.
    if log.image.contains("eks-pod-identity-agent") {
        return false;
    }
    let without = *fault == Cause::None && credentials::out_of_reach(snap, pod).is_some();
    match log.program {
        Some(Program::Prometheus | Program::Alertmanager) => without,
        // It finds other ways than the metadata, unless it says so by not being ready.
        _ if is_driver(log) => without && !pod.is_ready(),
        _ if is_loki(log) => !matches!(fault, Cause::Denied(_)),
        _ => true,
    }
}

/// What Loki may do with its buckets has a check of its own.
fn is_loki(log: &ContainerLog) -> bool {
    log.container == "loki" || log.image.contains("/loki:")
}

/// The VPC CNI keeps its log on the node: what it is refused, it says in events of its pods.
fn told_by_events(snap: &Snapshot) -> Vec<(&Pod, &Event, Cause)> {
    let mut found = Vec::new();
    for pod in snap.pods.items().unwrap_or_default().iter().filter(|p| !p.is_ready()) {
        let events = snap.events_about("Pod", &pod.metadata, RECENT).into_iter();
        let mut refused = events.filter_map(|e| Some((e, Cause::of_event(&e.reason, &e.message)?)));
        found.extend(refused.next().map(|(event, fault)| (pod, event, fault)));
    }
    found
}

/// Parts of the cluster that end again and again, whose role comes from the agent of Pod Identity, which is not there: the VPC
/// CNI keeps what it meets in a log of the node.
fn without_agent(snap: &Snapshot) -> Vec<(&Pod, &str)> {
    if !lacks_agent(snap) {
        return Vec::new();
    }
    let parts = snap.pods.items().unwrap_or_default().iter().filter(|p| !p.is_ready() && foundation::is_part(p));
    let associated = parts.filter(|p| {
        !p.metadata.name.starts_with("ebs-csi-")
            && matches!(credentials::source(snap, p), Source::PodIdentity { injected: true, .. })
    });
    let ends = |pod: &'_ Pod, name: &str| {
        pod.status
            .container_statuses
            .iter()
            .any(|s| s.name == name && s.restart_count >= RESTARTS && s.ended().is_some_and(|e| e.exit_code != 0))
    };
    let injected = |p: &'_ Pod, c: &Container| c.env(INJECTED).is_some() && ends(p, &c.name);
    let found = associated.filter_map(|p| Some((p, p.spec.containers.iter().find(|c| injected(p, c))?.name.as_str())));
    found.collect()
}

/// What passes by itself, as while a network comes up: one line of it tells nothing of now.
fn passes(fault: &Cause) -> bool {
    matches!(fault, Cause::Sts(_) | Cause::None | Cause::Agent | Cause::Endpoint(None))
}

/// The last line of a log that speaks of credentials, and is of now.
fn last<'a>(snap: &Snapshot, log: &'a ContainerLog, pod: &Pod) -> Option<(&'a str, Cause)> {
    let lines: Vec<&str> = log.text.lines().collect();
    let now = snap.collected_at;
    let recent = lines.iter().enumerate().rev().filter_map(|(at, line)| {
        let fault = Cause::read(line)?;
        let seconds = age(line, now);
        let is_recent = match seconds {
            Some(seconds) => seconds <= RECENT,
            None => lines.len() - at <= LATEST,
        };
        is_recent.then_some((*line, fault, seconds))
    });
    let recent: Vec<(&'a str, Cause, Option<i64>)> = recent.collect();
    // How many lines say the same, and the age of the last of them.
    let mut same: BTreeMap<&'static str, (usize, Option<i64>)> = BTreeMap::new();
    for (_, fault, seconds) in &recent {
        same.entry(case::kind(fault)).or_insert((0, *seconds)).0 += 1;
    }
    let goes_on = |fault: &Cause| {
        same.get(case::kind(fault))
            .is_some_and(|(often, seconds)| *often >= OFTEN && seconds.is_none_or(|s| s <= LASTING))
    };
    let stopped = log.previous || !pod.is_ready();
    let mut told = recent
        .iter()
        .filter(|(_, fault, _)| stopped || !passes(fault) || goes_on(fault))
        .map(|(line, fault, _)| (*line, fault.clone()));
    let last = told.next()?;
    // Nothing but the end of a search: why one of its sources was left out is said before it.
    match last.1 {
        Cause::None => told.find(|(_, fault)| *fault == Cause::Sdk).or(Some(last)),
        _ => Some(last),
    }
}
