//! A container of the stack is crash-looping.

mod case;
mod cause;
mod clue;
mod cluster;
mod data;
mod datasources;
mod explained;
mod failing;
mod files;
mod fix;
mod flags;
mod gpu;
mod grafana;
mod kernel;
mod naming;
mod node_kernel;
mod origin;
mod outer_values;
mod outside;
mod own_values;
mod sentence;
mod unclear;
mod values;
mod way;

use std::collections::BTreeMap;

use crate::checks::support::severity::severity_of;
use crate::checks::{Check, check};
use crate::domain::crash::Class;
use crate::domain::kubernetes::held_update::{self, Field};
use crate::domain::kubernetes::mounts::{self, Origin};
use crate::domain::kubernetes::{coredns_log, foundation, releases, webhooks};
use crate::domain::traffic::beyond;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, Program, ResourceRef, Severity};
use crate::snapshot::kubernetes::Pod;
use crate::snapshot::{Snapshot, journal};
use case::Case;
use cause::Cause;
use failing::{Failing, failing};
use fix::Fix;

check! {
    /// See the check's page.
    CrashLoop {
        id: "crash-loop", suite: Workload, severity: Error,
        title: "a container of the stack is crash-looping",
        requires: [Pods],
        uses: [CrashLogs, PartLogs, Ingresses, IngressClasses, Nodes, Services, Subnets, Instances, PersistentVolumes, Workloads, ConfigMaps, PersistentVolumeClaims, StorageClasses, Events, MonitoringResources, PrometheusTargets, NetworkPolicies, EksAddons, ServiceAccounts, PodIdentityAssociations, KubernetesVersion, Webhooks, EndpointSlices, ReplicaSets, Jobs, HelmReleases, SecretMakers, EksCluster, EksNodegroups, Crds, ComponentLogs],
        fix: Fix,
    }
}

impl Check for CrashLoop {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let mut behind = beyond::behind_failing_targets(snap);
        let is_own = |p: &Pod| snap.scope.is_judged(&p.metadata.namespace) || foundation::is_part(p);
        // Whom else the stack waits for matters only where one of them ends.
        let ends = |p: &Pod| journal::aside(|| failing(snap, p).into_iter().next().is_some());
        if snap.pods()?.iter().any(|p| !is_own(p) && ends(p)) {
            behind.extend(beyond::behind_log_agents(snap));
            behind.extend(beyond::awaited(snap));
        }
        let mut groups: BTreeMap<(ResourceRef, String, String), Vec<Failing<'_>>> = BTreeMap::new();
        let concerned = snap.pods()?.iter().filter(|p| {
            let place = (p.metadata.namespace.clone(), p.metadata.name.clone());
            is_own(p) || behind.contains(&place) || ends(p) && webhooks::is_needed(snap, p)
        });
        for failing in concerned.flat_map(|pod| failing(snap, pod)).filter(|f| !is_told_elsewhere(snap, f)) {
            let key = (snap.owner_ref(failing.pod), failing.container.name.clone(), failing.cause.key());
            groups.entry(key).or_default().push(failing);
        }
        let mut kin: BTreeMap<String, Vec<(ResourceRef, Vec<Failing<'_>>)>> = BTreeMap::new();
        for ((owner, ..), all) in groups {
            kin.entry(kin_key(snap, &owner, &all[0])).or_default().push((owner, all));
        }
        Ok(Diagnosis::Findings(kin.into_values().filter_map(|kin| of_kin(snap, kin)).collect()))
    }
}

/// What the parts of one installation that end for one and the same reason share: their configuration is read from the same
/// place, or their object store says the same. Anybody else is alone.
fn kin_key(snap: &Snapshot, owner: &ResourceRef, failing: &Failing<'_>) -> String {
    let alone = || format!("{} {} {}", owner.key(), failing.container.name, failing.cause.key());
    let (pod, meta) = (failing.pod, &failing.pod.metadata);
    let (Cause::Said(crash, _), Some(label), false) = (&failing.cause, releases::kin_label(meta), failing.is_init)
    else {
        return alone();
    };
    let origin = match crash.class {
        Class::Store => String::new(),
        Class::Config => match Case::new(snap, failing).origin {
            Origin::ConfigMap { name, key } | Origin::Secret { name, key } => format!("{name}/{key}"),
            _ => return alone(),
        },
        _ => return alone(),
    };
    let account = pod.spec.account();
    let Failing { container, .. } = failing;
    format!("{} {label} {} {account} {origin} {:?} {}", meta.namespace, container.image, crash.class, crash.reason)
}

/// One finding of those that share a reason, about the first of them.
fn of_kin(snap: &Snapshot, kin: Vec<(ResourceRef, Vec<Failing<'_>>)>) -> Option<Finding> {
    let mut kin = kin.into_iter();
    let (owner, all) = kin.next()?;
    let mut made = finding(snap, owner, &all);
    let mut names = Vec::new();
    for (owner, all) in kin {
        names.push(owner.kubectl_name());
        made = made.also(owner.clone()).breaks(owner);
        for failing in &all {
            made = made.breaks(ResourceRef::pod(&failing.pod.metadata.namespace, &failing.pod.metadata.name));
        }
    }
    if !names.is_empty() {
        made.message.push_str(&format!("; so do {}", names.join(", ")));
    }
    Some(made)
}

/// What CoreDNS says of its own end has a check of its own; and where nothing is known of why a part that the stack stands on
/// ends, the checks of what it is for say more.
fn is_told_elsewhere(snap: &Snapshot, failing: &Failing<'_>) -> bool {
    let is_below = !snap.scope.is_judged(&failing.pod.metadata.namespace) && foundation::is_part(failing.pod);
    if is_below && !failing.cause.is_known() {
        return true;
    }
    let is_dns = failing.container.image.contains("coredns") || failing.container.image.contains("k8s-dns-node-cache");
    let logs = [snap.crash_logs(), snap.part_logs()].into_iter().flatten().flatten();
    let meta = &failing.pod.metadata;
    let mut own = logs.filter(|l| l.namespace == meta.namespace && l.pod == meta.name);
    is_dns && own.any(|l| !coredns_log::faults(&l.text).is_empty())
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
    let case = Case::new(snap, first);
    let exit = first.status.ended().map(|t| t.exit_code);
    let code = exit.map_or_else(|| "ends".to_owned(), |code| format!("exits with code {code}"));
    let pods = if all.len() > 1 { format!(" in {} pods", all.len()) } else { String::new() };
    let restarts: u32 = all.iter().map(|f| f.status.restart_count).sum();
    let times = if restarts == 1 { "1 restart".to_owned() } else { format!("{restarts} restarts") };
    let (sentence, clue) = (case.sentence(), case.clue.words());
    let message = format!("{} {code}{pods} ({times}): {sentence}{clue}", who(first));
    let severity = if all.iter().any(|f| !f.is_ready) { Severity::Error } else { Severity::Warning };
    // Those of other namespaces are here because a target of theirs is down.
    let severity = if snap.scope.is_stack(&meta.namespace) { severity_of(snap, pod, severity) } else { severity };
    let mut made = Finding::new(CrashLoop::META.id, severity, owner.clone(), message)
        .key(format!("{} {} {}", owner.key(), container.name, first.cause.key()))
        .breaks(owner);
    for failing in all {
        made = made.breaks(ResourceRef::pod(&failing.pod.metadata.namespace, &failing.pod.metadata.name));
        made = held_update::outdated(snap, failing.pod, Field::Any).into_iter().fold(made, Finding::depends_on);
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
    made = made.evidence(about(Evidence::new(source, state, "kubectl describe pod {{ pod }} -n {{ namespace }}")));
    if let Some((said, previous)) = first.cause.said() {
        const LOG: &str = "kubectl logs -n {{ namespace }} {{ pod }} -c {{ container }}{% if previous %} --previous{% endif %} --tail=50";
        let (whose, show) = match case.never_began() {
            true => ("the runtime, of", "kubectl describe pod {{ pod }} -n {{ namespace }}"),
            false => ("log of", LOG),
        };
        let source = format!("{whose} container {} of Pod {}/{}", container.name, meta.namespace, meta.name);
        made = made.evidence(about(Evidence::new(source, said, show)).with("previous", previous));
    }
    if let Some(sealed) = sealed(first) {
        made = made.evidence(about(sealed));
    }
    if let Some(change) = case.clue.evidence() {
        made = made.evidence(change);
    }
    let fix = Fix::of(&case);
    case.finish(made).fix(fix)
}

/// What keeps a container from writing outside of its volumes, where that is what it stumbles over.
fn sealed(failing: &Failing<'_>) -> Option<Evidence> {
    let Cause::Said(crash, _) = &failing.cause else { return None };
    let read_only = failing.container.security_context.as_ref().and_then(|c| c.read_only_root_filesystem);
    let file = crash.file.as_deref().filter(|_| crash.class == Class::ReadOnly && read_only == Some(true))?;
    if mounts::mount_of(failing.container, file).is_some() {
        return None;
    }
    let (meta, name) = (&failing.pod.metadata, &failing.container.name);
    let source = format!("Pod {}/{}, container {name}, securityContext", meta.namespace, meta.name);
    let value = format!("readOnlyRootFilesystem: true, and {file} is in no volume");
    Some(Evidence::new(source, value, "kubectl get pod {{ pod }} -n {{ namespace }} -o yaml"))
}

#[cfg(test)]
mod tests;
