//! A program of the stack that nobody here knows says again and again what it cannot do.

mod fix;

use std::collections::{BTreeMap, BTreeSet};

use crate::checks::support::behind::depends_on_service;
use crate::checks::support::reach::way_to_services;
use crate::checks::support::seen::line_evidence;
use crate::checks::{Check, check};
use crate::domain::alertmanager::bridge;
use crate::domain::crash::{Class, Crash};
use crate::domain::kubernetes::owner::Target;
use crate::domain::kubernetes::service_host::in_cluster;
use crate::domain::kubernetes::settings::{self, Setting};
use crate::domain::programs::{self, Cause, Failing, Strangers};
use crate::domain::text::answer::{self, Answer};
use crate::domain::text::redact::redact;
use crate::domain::text::shorten::shorten;
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, GapCause, ResourceRef, Severity};
use crate::snapshot::kubernetes::Pod;
use crate::snapshot::{Snapshot, journal};
use fix::Fix;

/// Letters of what was said that are shown.
const SHOWN: usize = 300;

check! {
    /// See the check's page.
    ProgramFailing {
        id: "program-failing", suite: Workload, severity: Warning,
        title: "a program beside the stack keeps failing at something that it needs",
        requires: [Pods],
        uses: [PartLogs, Services, EndpointSlices, ConfigMaps, Workloads, PersistentVolumeClaims, PersistentVolumes, StorageClasses, MonitoringResources, Nodes],
        fix: Fix,
    }
}

impl Check for ProgramFailing {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let strangers = Strangers::of(snap);
        let runs = |p: &&Pod| p.status.phase == "Running" && p.spec.containers.iter().any(|c| strangers.judges(p, c));
        let running: Vec<&Pod> = snap.pods()?.iter().filter(runs).collect();
        let said = programs::failing(snap);
        if running.is_empty() && !said.as_ref().is_ok_and(|all| !all.is_empty()) {
            return Ok(Diagnosis::NotApplicable(
                "no program of a kind of its own runs in the stack's namespaces".into(),
            ));
        }
        let mut groups: BTreeMap<(ResourceRef, &str, String), Vec<Failing<'_>>> = BTreeMap::new();
        for failing in said? {
            let key = (snap.owner_ref(failing.pod), failing.container.name.as_str(), failing.cause.key());
            groups.entry(key).or_default().push(failing);
        }
        let findings: Vec<Finding> = groups.into_iter().map(|((owner, ..), all)| finding(snap, owner, &all)).collect();
        match unread(snap, &strangers, &running)? {
            Some(gap) if findings.is_empty() => Err(gap),
            _ => Ok(Diagnosis::Findings(findings)),
        }
    }
}

/// Of each program one log at least has to be there before all is said to be well: of a pod with several, each has its own.
fn unread(snap: &Snapshot, strangers: &Strangers<'_>, running: &[&Pod]) -> Result<Option<Gap>, Gap> {
    let logs = snap.part_logs()?;
    let mut programs: Vec<(&Pod, &str)> = Vec::new();
    for pod in running.iter().copied() {
        let judged = pod.spec.containers.iter().filter(|c| strangers.judges(pod, c));
        programs.extend(judged.map(|c| (pod, c.name.as_str())));
    }
    let mut read: BTreeSet<(ResourceRef, &str)> = BTreeSet::new();
    for (pod, name) in &programs {
        if logs.iter().any(|l| l.is_of(&pod.metadata) && l.container == *name) {
            read.insert((snap.owner_ref(pod), name));
        }
    }
    let lacking = programs.iter().find(|(pod, name)| !read.contains(&(snap.owner_ref(pod), *name)));
    Ok(lacking.map(|(pod, name)| {
        let what = format!("log of pod {}/{}, container {name}", pod.metadata.namespace, pod.metadata.name);
        Gap::new(what, GapCause::NotCollected, "the log was not read")
    }))
}

fn finding(snap: &Snapshot, owner: ResourceRef, all: &[Failing<'_>]) -> Finding {
    let failing = &all[0];
    let (log, pod, container) = (failing.log, failing.pod, failing.container);
    let times: usize = all.iter().map(|f| f.times).sum();
    let what = match &failing.cause {
        Cause::Own(crash) => sentence(crash),
        Cause::Refused(answer, host) => {
            let word = answer::word(failing.line).map(|w| format!(" ({w})")).unwrap_or_default();
            format!("{}{word}", refusal(*answer, host.as_deref()))
        }
    };
    let host = failing.cause.peer();
    // It only adds to what is told.
    let named: Vec<Setting> =
        journal::aside(|| host.map(|h| settings::holding(snap, pod, container, h)).unwrap_or_default());
    let who = match pod.spec.containers.as_slice() {
        [_] => owner.kubectl_name(),
        _ => format!("container {} of {}", container.name, owner.kubectl_name()),
    };
    let message = format!("{who} in {} keeps failing: {what} ({times} lines of its log)", log.namespace);
    // Who passes alerts on is the last on their way.
    let is_last = bridge::is_bridge(&container.image);
    let severity = if pod.is_ready() && !is_last { Severity::Warning } else { Severity::Error };
    let mut made = Finding::new(ProgramFailing::META.id, severity, owner.clone(), message)
        .key(format!("{} {} {}", owner.key(), container.name, failing.cause.key()))
        .evidence(line_evidence(log, failing.line))
        .breaks(owner);
    for other in all {
        made = made.breaks(ResourceRef::pod(&other.pod.metadata.namespace, &other.pod.metadata.name));
    }
    if let Cause::Own(crash) = &failing.cause
        && crash.reason.contains("DNS")
    {
        // Whom its pod asks for names is deeper.
        made = made.depends_on(ResourceRef::pod(&log.namespace, &log.pod));
    }
    if matches!(&failing.cause, Cause::Own(crash) if crash.class == Class::ApiServer) {
        made = made.depends_on_all(way_to_services(snap, pod));
    }
    if let Some(service) = host.and_then(|h| in_cluster(snap, h, &log.namespace)) {
        made = depends_on_service(snap, made, &service.namespace, &service.service);
    }
    let target = Target::of(snap, pod);
    made.fix(Fix::of(snap, failing, &target, &named))
}

fn sentence(crash: &Crash) -> String {
    let file = crash.file.as_deref().unwrap_or("its volume");
    match crash.class {
        Class::DiskFull => format!("no space is left for {file}"),
        Class::ReadOnly => format!("{file} lies on a file system that is read-only"),
        Class::Permission => format!("it may not write {file}"),
        _ => shorten(&redact(&crash.reason), SHOWN),
    }
}

fn refusal(answer: Answer, host: Option<&str>) -> String {
    let host = host.unwrap_or("the program that it asks");
    match answer {
        Answer::Login => format!("{host} does not accept its login"),
        Answer::Rights => format!("{host} knows who asks, and does not allow it"),
        Answer::NotFound => format!("{host} answers that what it asks for is not there"),
        Answer::Throttled => format!("{host} limits how many requests it may make"),
        Answer::Server => format!("{host} answers with an error of its own"),
    }
}
