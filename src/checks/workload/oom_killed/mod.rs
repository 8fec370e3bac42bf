//! A container of the stack is killed for its memory.

mod fix;

use std::collections::{BTreeMap, BTreeSet};

use fix::{Fix, Java, Ranges};

use crate::checks::support::memory::measured_words;
use crate::checks::support::severity::severity_of;
use crate::checks::{Check, check};
use crate::domain::kubernetes::foundation;
use crate::domain::kubernetes::held_update::{self, Field};
use crate::domain::kubernetes::jvm;
use crate::domain::kubernetes::limit_range;
use crate::domain::kubernetes::owner::{Target, in_scope, others_ready};
use crate::domain::kubernetes::webhooks;
use crate::domain::prometheus::memory::{Measured, exact, limit_of, propose, sensible};
use crate::domain::prometheus::oom::{Kill, RECENT, Recency, kills};
use crate::domain::prometheus::wal;
use crate::domain::text::windows::minute;
use crate::domain::traffic;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::kubernetes::{LimitRange, Pod};
use crate::snapshot::{Snapshot, format_bytes, journal, parse_quantity};

/// Pods of kube-system without which the stack does not work.
const SYSTEM: &[&str] = &["ebs-csi-", "coredns-"];

check! {
    /// See the check's page.
    OomKilled {
        id: "oom-killed", suite: Workload, severity: Error,
        title: "a container of the stack is killed for its memory",
        requires: [Pods],
        uses: [Nodes, NodeRequests, PodMetrics, ContainerMemory, PrometheusMetrics, CrashLogs, Events, Workloads, MonitoringResources, EksAddons, LimitRanges, KubernetesVersion, Webhooks, Services, EndpointSlices, PrometheusTargets, PartLogs, Ingresses, IngressClasses, SecretMakers],
        fix: Fix,
    }
}

impl Check for OomKilled {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let mut killed: BTreeMap<(ResourceRef, &str), Vec<Kill<'_>>> = BTreeMap::new();
        let mut evicted: BTreeMap<ResourceRef, Vec<&Pod>> = BTreeMap::new();
        let beyond = beyond(snap)?;
        let place = |p: &Pod| (p.metadata.namespace.clone(), p.metadata.name.clone());
        for pod in snap.pods()?.iter().filter(|p| is_own(snap, p) || beyond.contains(&place(p))) {
            if is_evicted(snap, pod) {
                evicted.entry(snap.owner_ref(pod)).or_default().push(pod);
            }
            for kill in kills(snap, pod) {
                killed.entry((snap.owner_ref(pod), &kill.container.name)).or_default().push(kill);
            }
        }
        let mut findings: Vec<Finding> = killed.into_values().map(|mut kills| of_kills(snap, &mut kills)).collect();
        findings.extend(evicted.into_iter().filter_map(|(owner, pods)| of_evictions(snap, owner, &pods)));
        Ok(Diagnosis::Findings(findings))
    }
}

/// A pod of the stack, or one that it stands on.
fn is_own(snap: &Snapshot, pod: &Pod) -> bool {
    in_scope(snap, pod, SYSTEM) || foundation::is_part(pod)
}

/// Others that are killed and that the stack waits for: behind what it scrapes or sends to, controllers, and what serves a
/// webhook that nothing gets past. No other check tells of a container that ends for want of memory.
fn beyond(snap: &Snapshot) -> Result<BTreeSet<(String, String)>, Gap> {
    let killed = |p: &&Pod| !is_own(snap, p) && kills(snap, p).iter().any(|k| k.recency != Recency::Past);
    let others: Vec<&Pod> = snap.pods()?.iter().filter(killed).collect();
    if others.is_empty() {
        return Ok(BTreeSet::new());
    }
    let place = |p: &Pod| (p.metadata.namespace.clone(), p.metadata.name.clone());
    // It only widens the look.
    let awaited = journal::aside(|| traffic::beyond::all(snap));
    let waited_for = |p: &&Pod| awaited.contains(&place(p)) || webhooks::is_needed(snap, p);
    Ok(others.into_iter().filter(waited_for).map(place).collect())
}

/// The kubelet ended the pod because the node ran out of memory, within the last hour.
fn is_evicted(snap: &Snapshot, pod: &Pod) -> bool {
    let message = pod.status.message.as_deref().unwrap_or_default();
    let of_memory = pod.status.reason.as_deref() == Some("Evicted") && message.contains("resource: memory");
    let ended = pod.statuses().filter_map(|s| s.ended()?.finished_at).max();
    let disrupted = pod.condition("DisruptionTarget").and_then(|c| c.last_transition_time);
    let event = snap.events_about("Pod", &pod.metadata, RECENT).iter().find(|e| e.reason == "Evicted").is_some();
    let time = ended.or(disrupted).or(pod.metadata.creation_timestamp);
    of_memory && (event || time.is_some_and(|t| snap.seconds_since(t) <= RECENT))
}

fn of_kills(snap: &Snapshot, kills: &mut [Kill<'_>]) -> Finding {
    kills.sort_by_key(|k| (k.recency, std::cmp::Reverse(k.end.finished_at)));
    let worst = &kills[0];
    let pods: Vec<&Pod> = kills.iter().map(|k| k.pod).collect();
    let target = Target::of(snap, worst.pod);
    let mut measured = Measured::of(snap, &pods, worst.container);
    if worst.status.state.running.is_none() {
        // Between two starts it says nothing of what the container needs.
        measured.now = None;
    }
    let replay = wal::replay(snap, worst.pod, worst.container);
    let mut made = match limit_of(worst.container) {
        Some(limit) => raise(snap, worst, &target, measured, limit, replay.as_deref()),
        None => without_limit(snap, worst, &target, measured),
    };
    if worst.recency == Recency::Past {
        let meta = &worst.pod.metadata;
        made = made.fix(Fix::Watch { namespace: meta.namespace.clone(), pod: meta.name.clone() });
    }
    made = kills.iter().fold(made, |f, k| f.evidence(ended(k)));
    if let Some(value) = measured_words(&measured) {
        let meta = &worst.pod.metadata;
        let show = "kubectl top pod {{ pod }} -n {{ namespace }} --containers";
        let seen = Evidence::new(format!("memory of container {}", worst.container.name), value, show);
        made = made.evidence(seen.with("namespace", &meta.namespace).with("pod", &meta.name));
    }
    if let Some(line) = replay {
        let meta = &worst.pod.metadata;
        let show = "kubectl logs -n {{ namespace }} {{ pod }} -c {{ container }} --previous --tail=50";
        let seen =
            Evidence::new(format!("log of Pod {}/{} before it was killed", meta.namespace, meta.name), line, show);
        made = made.evidence(
            seen.with("namespace", &meta.namespace).with("pod", &meta.name).with("container", &worst.container.name),
        );
    }
    join(snap, made, &target.owner, &pods)
}

/// Pods and, where none of them is ready, the owner: what others depend on.
fn join(snap: &Snapshot, mut made: Finding, owner: &ResourceRef, pods: &[&Pod]) -> Finding {
    for pod in pods {
        let reference = ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name);
        made = made.breaks(reference.clone());
        if reference != *owner {
            made = made.also(reference);
        }
        made = held_update::outdated(snap, pod, Field::Limits).into_iter().fold(made, Finding::depends_on);
    }
    if pods.iter().any(|p| p.is_ready()) || others_ready(snap, owner, pods) {
        return made;
    }
    made.breaks(owner.clone())
}

fn raise(
    snap: &Snapshot,
    kill: &Kill<'_>,
    target: &Target<'_>,
    measured: Measured,
    limit: f64,
    replay: Option<&str>,
) -> Finding {
    let (needs, basis) = needs(&measured, limit);
    let proposal = propose(snap, kill.pod, kill.container, needs, basis);
    let restarts = match kill.status.restart_count {
        0 => String::new(),
        1 => ", 1 restart".to_owned(),
        many => format!(", {many} restarts"),
    };
    let past = kill.end.finished_at.filter(|_| kill.recency == Recency::Past);
    let past = past.map(|t| format!(" ({})", minute(t))).unwrap_or_default();
    let when = if replay.is_some() { " while it replayed its write-ahead log" } else { "" };
    let message = format!(
        "container {} of {} was OOM-killed{past}{when}: its memory limit is {}{restarts}; {}{} {}",
        kill.container.name,
        target.owner,
        format_bytes(limit),
        exact(proposal.limit),
        if proposal.basis.is_empty() { String::new() } else { format!(" ({})", proposal.basis) },
        proposal.fit.words(),
    );
    // That the limit is none of its own sharpens the finding, and decides nothing.
    let given = journal::aside(|| limit_range::given_limit(snap, kill.pod, kill.container));
    let ceiling = journal::aside(|| limit_range::below(snap, &kill.pod.metadata.namespace, proposal.limit));
    let message = match given {
        Some(range) => format!(
            "{message}; the limit is the default of LimitRange {}/{}: its template names none",
            range.metadata.namespace, range.metadata.name
        ),
        None => message,
    };
    // It only sharpens what is said of the limit.
    let java = journal::aside(|| jvm::blind(snap, kill.pod, kill.container));
    let message = match &java {
        Some(version) => format!(
            "{message}; its Java ({version}) does not see the limit on this node (cgroup v2): unless its heap is set, it takes its share of the node's memory"
        ),
        None => message,
    };
    let also =
        journal::aside(|| limit_range::also_below(snap, kill.pod, kill.container, proposal.limit, ceiling.as_ref()));
    let ranges = Ranges::of(given, ceiling, also, &proposal);
    let mut made = Finding::new(OomKilled::META.id, severity(snap, kill), target.owner.clone(), message);
    if let Some(range) = given {
        made = made.also(limit_range::reference(range)).evidence(range_seen(range));
    }
    made.key(format!("{} {}", target.owner.key(), kill.container.name)).fix(Fix::limit(
        snap,
        target,
        kill,
        &proposal,
        replay.is_some(),
        (Java::of(java.as_deref(), limit), ranges),
    ))
}

/// What a LimitRange gives and allows.
fn range_seen(range: &LimitRange) -> Evidence {
    let items = range.spec.limits.iter();
    let said: Vec<String> = items
        .flat_map(|i| [("default", &i.default), ("max", &i.max)].map(|(word, map)| (i, word, map)))
        .filter_map(|(i, word, map)| Some(format!("{word} memory per {}: {}", i.kind, map.get("memory")?)))
        .collect();
    let meta = &range.metadata;
    Evidence::new(
        format!("LimitRange {}/{}", meta.namespace, meta.name),
        said.join(", "),
        "kubectl describe limitrange {{ name }} -n {{ namespace }}",
    )
    .with("namespace", &meta.namespace)
    .with("name", &meta.name)
}

/// What a container needs that was killed at `limit`, and why. A use that was measured below the limit says nothing of what
/// it would have taken.
fn needs(measured: &Measured, limit: f64) -> (f64, String) {
    let series = measured.for_series();
    let doubled = 2.0 * limit;
    match measured.peak {
        Some(peak) if peak > limit * 1.05 && peak * 1.3 > series => {
            (peak * 1.3, format!("it used {} at most within the last day", format_bytes(peak)))
        }
        _ if series > doubled => (series, format!("its head holds {} series", measured.series.unwrap_or_default())),
        _ if sensible(doubled) > doubled => (doubled, "twice the limit, rounded up".to_owned()),
        _ => (doubled, "twice the limit".to_owned()),
    }
}

fn without_limit(snap: &Snapshot, kill: &Kill<'_>, target: &Target<'_>, measured: Measured) -> Finding {
    let node = kill.pod.spec.node_name.as_deref().unwrap_or("<node>");
    let message = format!(
        "container {} of {} has no memory limit and was OOM-killed: node {node} ran out of memory",
        kill.container.name, target.owner
    );
    Finding::new(OomKilled::META.id, severity(snap, kill), target.owner.clone(), message)
        .key(format!("{} {}", target.owner.key(), kill.container.name))
        .fix(Fix::node(target, kill.pod, Some(kill.container), measured.highest(), node, Vec::new()))
}

fn of_evictions(snap: &Snapshot, owner: ResourceRef, pods: &[&Pod]) -> Option<Finding> {
    let newest = pods.iter().max_by_key(|p| p.metadata.creation_timestamp)?;
    let said = newest.status.message.as_deref().unwrap_or_default().trim();
    let target = Target::of(snap, newest);
    let node = newest.spec.node_name.as_deref().unwrap_or("<node>");
    let replaced = others_ready(snap, &owner, pods);
    let severity = if replaced { Severity::Warning } else { Severity::Error };
    let count = if pods.len() == 1 { "a pod".to_owned() } else { format!("{} pods", pods.len()) };
    let (name, used) = blamed(said).unzip();
    let container = name.and_then(|n| newest.spec.containers.iter().find(|c| c.name == n));
    let message = format!(
        "{count} of {owner} {} evicted because node {node} ran low on memory: this is the node's lack, not the container's limit",
        if pods.len() == 1 { "was" } else { "were" }
    );
    let evicted = pods.iter().map(|p| p.metadata.name.clone()).collect();
    let made = Finding::new(OomKilled::META.id, severity, owner.clone(), message)
        .key(format!("{} evicted", owner.key()))
        .fix(Fix::node(&target, newest, container, used, node, evicted))
        .evidence(
            Evidence::new(
                format!("Pod {}/{} status.message", newest.metadata.namespace, newest.metadata.name),
                said,
                "kubectl get pod {{ pod }} -n {{ namespace }} -o jsonpath='{.status.reason}{\": \"}{.status.message}{\"\\n\"}'",
            )
            .with("namespace", &newest.metadata.namespace)
            .with("pod", &newest.metadata.name),
        );
    Some(join(snap, made, &owner, pods))
}

/// The container that an eviction names, with what it used: `Container prometheus was using 1543820Ki, request is 512Mi`.
fn blamed(message: &str) -> Option<(&str, f64)> {
    let (name, rest) = message.split_once("ontainer ")?.1.split_once(" was using ")?;
    let amount = rest.split([',', ' ']).next()?;
    Some((name, parse_quantity(amount)?))
}

/// How a container ended, as its status says it.
fn ended(kill: &Kill<'_>) -> Evidence {
    let meta = &kill.pod.metadata;
    let mut value = format!("{} (exit code {})", kill.end.reason, kill.end.exit_code);
    if let Some(time) = kill.end.finished_at {
        value.push_str(&format!(" at {time}"));
    }
    value.push_str(&format!(", {} restarts", kill.status.restart_count));
    if let Some(waiting) = &kill.status.state.waiting {
        value.push_str(&format!(", now {}", waiting.reason));
    }
    let limit = kill.container.resources.limits.get("memory").map_or("none", String::as_str);
    value.push_str(&format!("; memory limit {limit}"));
    let source = format!("Pod {}/{}, last state of container {}", meta.namespace, meta.name, kill.container.name);
    Evidence::new(source, value, "kubectl describe pod {{ pod }} -n {{ namespace }}")
        .with("namespace", &meta.namespace)
        .with("pod", &meta.name)
}

/// How bad a kill is.
fn severity(snap: &Snapshot, kill: &Kill<'_>) -> Severity {
    let severity = match kill.recency {
        Recency::Now => Severity::Error,
        Recency::Repeated => Severity::Warning,
        Recency::Past => Severity::Info,
    };
    severity_of(snap, kill.pod, severity)
}

#[cfg(test)]
mod tests;
