//! Prometheus uses nearly all of its memory limit.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::memory::{Limits, measured_words};
use crate::checks::{Check, check};
use crate::domain::kubernetes::owner::{Settable, Target, in_scope};
use crate::domain::kubernetes::proxy;
use crate::domain::prometheus::memory::{Measured, Meter, exact, limit_of, propose};
use crate::domain::prometheus::oom::is_reported;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, Program, ResourceRef, Severity};
use crate::snapshot::kubernetes::{Container, Pod};
use crate::snapshot::{Snapshot, format_bytes};

/// What of a new limit may be used.
const WANTED: f64 = 0.6;

check! {
    /// See the check's page.
    MemoryHeadroom {
        id: "memory-headroom", suite: Workload, severity: Warning,
        title: "Prometheus uses nearly all of its memory limit",
        requires: [Pods],
        uses: [PodMetrics, ContainerMemory, PrometheusMetrics, Nodes, NodeRequests, Workloads, MonitoringResources, Events, EksAddons],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Raise {
        #[serde(flatten)]
        limits: Limits,
        /// Nobody can set it.
        fixed: bool,
        has_rollout: bool,
    },
    NoRoom {
        #[serde(flatten)]
        limits: Limits,
        fit: String,
    },
}

impl Check for MemoryHeadroom {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let mut groups: BTreeMap<(ResourceRef, &str), Vec<(&Pod, &Container)>> = BTreeMap::new();
        for pod in snap.pods()?.iter().filter(|p| in_scope(snap, p, &[]) && p.status.phase == "Running") {
            for container in pod.spec.containers.iter().filter(|c| concerns(snap, pod, c)) {
                groups.entry((snap.owner_ref(pod), &container.name)).or_default().push((pod, container));
            }
        }
        let mut findings = Vec::new();
        let mut unmeasured = None;
        for ((owner, _), all) in &groups {
            match worst(snap, all) {
                Some((pod, container, measured)) => findings.extend(finding(snap, owner, pod, container, measured)),
                None => unmeasured = all.first().map(|(pod, _)| pod.metadata.namespace.as_str()),
            }
        }
        match unmeasured {
            // A limit whose use nobody measured says nothing.
            Some(namespace) if findings.is_empty() => {
                let gap = snap.pod_metrics.covered(namespace).err().or_else(|| snap.container_memory().err());
                Err(gap.unwrap_or_else(not_measured))
            }
            _ => Ok(Diagnosis::Findings(findings)),
        }
    }
}

fn not_measured() -> Gap {
    Gap::new(
        "memory of Prometheus",
        crate::model::GapCause::NotCollected,
        "neither the metrics API nor Prometheus holds it",
    )
}

/// A Prometheus that runs with a memory limit, and of which oom-killed does not speak.
fn concerns(snap: &Snapshot, pod: &Pod, container: &Container) -> bool {
    let status = pod.status.container_statuses.iter().find(|s| s.name == container.name);
    container.program() == Some(Program::Prometheus)
        && limit_of(container).is_some()
        && status.is_some_and(|s| s.state.running.is_some())
        && !is_reported(snap, pod, &container.name)
}

/// The replica that uses most, among those that were measured.
fn worst<'a>(snap: &Snapshot, all: &[(&'a Pod, &'a Container)]) -> Option<(&'a Pod, &'a Container, Measured)> {
    let used = |m: &Measured| m.now.map_or(0.0, |(v, _)| v);
    all.iter()
        .map(|(pod, container)| (*pod, *container, Measured::of(snap, &[pod], container)))
        .filter(|(_, _, m)| m.now.is_some())
        .max_by(|a, b| used(&a.2).total_cmp(&used(&b.2)))
}

fn finding(
    snap: &Snapshot,
    owner: &ResourceRef,
    pod: &Pod,
    container: &Container,
    measured: Measured,
) -> Option<Finding> {
    let (used, meter) = measured.now?;
    let limit = limit_of(container)?;
    let share = used / limit;
    let full = snap.thresholds.memory_share;
    if share <= full {
        return None;
    }
    let target = Target::of(snap, pod);
    let needs = (measured.highest().unwrap_or(used) / WANTED).max(measured.for_series()).max(limit * 1.25);
    let proposal = propose(snap, pod, container, needs, String::new());
    let message = format!(
        "container {} of {owner} uses {} of its memory limit of {} ({:.0} %, more than {:.0} %): the next peak gets it killed; {} {}",
        container.name,
        format_bytes(used),
        format_bytes(limit),
        (share * 100.0).floor(),
        full * 100.0,
        exact(proposal.limit),
        proposal.fit.words()
    );
    let meta = &pod.metadata;
    let show = match meter {
        Meter::MetricsApi => "kubectl top pod {{ pod }} -n {{ namespace }} --containers",
        Meter::Cadvisor | Meter::Process => "kubectl get --raw {{ raw }}",
    };
    let seen = Evidence::new(
        format!("memory of container {} in Pod {}/{}", container.name, meta.namespace, meta.name),
        measured_words(&measured)?,
        show,
    );
    let reference = ResourceRef::pod(&meta.namespace, &meta.name);
    let limits = Limits::of(snap, &target, pod, container, &proposal);
    let fix = if proposal.fit.is_no() {
        Fix::NoRoom { limits, fit: proposal.fit.words() }
    } else {
        Fix::Raise { limits, fixed: target.settable == Settable::No, has_rollout: target.has_rollout }
    };
    let made = Finding::new(MemoryHeadroom::META.id, Severity::Warning, owner.clone(), message)
        .key(format!("{} {}", owner.key(), container.name))
        .also(reference)
        .fix(fix)
        .evidence(
            seen.with("namespace", &meta.namespace).with("pod", &meta.name).with("raw", raw_path(snap, pod, meter)),
        );
    // It still works.
    Some(made.breaks_nothing())
}

/// Where Prometheus can be asked for the same number, through the API server.
fn raw_path(snap: &Snapshot, pod: &Pod, meter: Meter) -> String {
    let meta = &pod.metadata;
    let proxy = match &snap.scope.prometheus {
        Some(p) => proxy::of_component(p, ""),
        None => format!("/api/v1/namespaces/{}/pods/{}/proxy", meta.namespace, meta.name),
    };
    if meter == Meter::Process {
        return format!("{proxy}/metrics");
    }
    let expression =
        format!("container_memory_working_set_bytes{{namespace=\"{}\",pod=\"{}\"}}", meta.namespace, meta.name);
    let query: String = url::form_urlencoded::byte_serialize(expression.as_bytes()).collect();
    format!("{proxy}/api/v1/query?query={query}")
}

#[cfg(test)]
mod tests;
