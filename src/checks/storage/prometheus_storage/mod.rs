//! Prometheus runs, but what it collects does not reach its disk.

mod fix;
mod log;

use crate::checks::support::seen::own_metrics;
use crate::checks::{Check, check};
use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::mounts::{self, Origin};
use crate::domain::prometheus::tsdb::FAILURES;
use crate::domain::text::windows::minute;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, Program, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Pod};
use fix::Fix;
use log::{Cause, Seen, damaged, read, why};

check! {
    /// See the check's page.
    PrometheusStorage {
        id: "prometheus-storage", suite: Storage, severity: Error,
        title: "Prometheus cannot keep what it collects",
        requires: [Pods, ComponentLogs],
        uses: [PrometheusAlerts, PrometheusMetrics, PersistentVolumeClaims, StorageClasses, Workloads, EksAddons, MonitoringResources, CronJobs],
        fix: Fix,
    }
}

impl Check for PrometheusStorage {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let pods = snap.pods()?;
        let logs = snap.logs_of(Program::Prometheus)?;
        let mut findings = Vec::new();
        for log in &logs {
            let here = pods.iter().find(|p| log.is_of(&p.metadata));
            let Some(pod) = here.filter(|p| is_up(p, &log.container)) else { continue };
            let Some(container) = pod.spec.containers.iter().find(|c| c.name == log.container) else { continue };
            let data = arguments::flag(container, "storage.tsdb.path").unwrap_or("/prometheus");
            let seen = read(snap, log, data);
            let worst = seen.keys().next().copied();
            // The rest follows from the first where the disk is at fault, and no block is merged with one that is damaged.
            let on_disk = matches!(worst, Some(Cause::DiskFull | Cause::ReadOnly));
            let follows = |t: Cause| {
                let deeper = [Cause::Block, Cause::HeadChunks].iter().any(|d| seen.contains_key(d));
                on_disk && Some(t) != worst || t == Cause::Compaction && deeper
            };
            for (trouble, seen) in seen.iter().filter(|(t, _)| !follows(**t)) {
                findings.push(finding(snap, pod, container, *trouble, seen));
            }
        }
        let running = running(snap, pods);
        if running.is_empty() {
            return Ok(Diagnosis::NotApplicable("no Prometheus runs in the stack's namespaces".into()));
        }
        let unread = running
            .iter()
            .find(|(pod, container)| !logs.iter().any(|l| l.is_of(&pod.metadata) && l.container == container.name));
        if let Some((pod, container)) = unread {
            // Without its log only its counters can tell.
            snap.prometheus_metrics()?;
            findings.extend(by_metrics(snap, pod, container));
        }
        Ok(Diagnosis::Findings(findings))
    }
}

/// The container runs: why one ends is the matter of another check.
fn is_up(pod: &Pod, container: &str) -> bool {
    pod.status.container_statuses.iter().any(|s| s.name == container && s.state.running.is_some())
}

fn finding(snap: &Snapshot, pod: &Pod, container: &Container, trouble: Cause, seen: &Seen) -> Finding {
    let meta = &pod.metadata;
    let data = arguments::flag(container, "storage.tsdb.path").unwrap_or("/prometheus");
    let origin = mounts::origin(snap, pod, container, data);
    let subject = match &origin {
        Origin::Claim { name, .. } => ResourceRef::pvc(&meta.namespace, name),
        _ => snap.owner_ref(pod),
    };
    let last = seen.last.map(|t| format!(", last at {}", minute(t))).unwrap_or_default();
    let times = if seen.times == 1 { "1 line".to_owned() } else { format!("{} lines", seen.times) };
    let at = match &origin {
        Origin::Claim { name, .. } => format!("PersistentVolumeClaim {name}"),
        _ => format!("{data} of pod {}", meta.name),
    };
    let within = if trouble.is_of_compaction() { "3 hours" } else { "hour" };
    let said = format!("{times} of its log in the last {within}{last}");
    let message = match trouble {
        Cause::DiskFull => {
            let snapshots = match seen.snapshots {
                0 => "",
                _ => "; snapshots of its admin API were taken to the same volume, where Prometheus never deletes them",
            };
            format!("Prometheus has no space left on {at}: samples are lost, nothing is compacted ({said}){snapshots}")
        }
        Cause::ReadOnly => {
            format!("Prometheus cannot write to {at} (read-only file system or I/O error): samples are lost ({said})")
        }
        Cause::Wal => format!(
            "Prometheus' write-ahead log on {at} is damaged{}: no checkpoint can be made, so it is never cut and fills the volume, and the next start may fail ({said})",
            damaged(&seen.text).map(|f| format!(" ({f})")).unwrap_or_default()
        ),
        Cause::Compaction => format!("Prometheus cannot compact its data on {at}: {} ({said})", why(&seen.text)),
        Cause::HeadChunks => format!(
            "Prometheus cannot compact its head on {at}: its chunks that are mapped into memory are damaged, {} ({said})",
            why(&seen.text)
        ),
        Cause::Block if seen.text.contains("compaction failed") => format!(
            "Prometheus cannot compact its data on {at}: {} is damaged, {} ({said})",
            blocks(&seen.blocks),
            why(&seen.text)
        ),
        Cause::Block => format!(
            "Prometheus leaves out {} on {at}, whose meta.json is empty or missing: their samples are not queried ({said})",
            blocks(&seen.blocks)
        ),
        Cause::Repaired => format!(
            "Prometheus found its write-ahead log on {at} damaged at its start and repaired it: the samples after the damage are lost"
        ),
    };
    let show = "kubectl logs -n {{ namespace }} {{ pod }} -c {{ container }} --since=3h";
    let evidence = Evidence::new(format!("log of pod {}/{}", meta.namespace, meta.name), seen.text.clone(), show)
        .with("namespace", &meta.namespace)
        .with("pod", &meta.name)
        .with("container", &container.name);
    let mut made = Finding::new(PrometheusStorage::META.id, trouble.severity(), subject, message)
        .fix(Fix::of(snap, pod, container, &origin, trouble, seen))
        .evidence(evidence);
    made.key = format!("{} {}", snap.owner_ref(pod).key(), made.variant);
    match counters(snap, pod, container) {
        Some(seen) => made.evidence(seen),
        None => made,
    }
}

fn blocks(names: &[String]) -> String {
    match names {
        [] => "a block".to_owned(),
        [one] => format!("block {one}"),
        many => format!("{} blocks ({})", many.len(), many.join(", ")),
    }
}

/// Prometheus' own counters of failures that are above zero.
fn counters(snap: &Snapshot, pod: &Pod, container: &Container) -> Option<Evidence> {
    let counted = failures(snap);
    (!counted.is_empty()).then(|| {
        let lines: Vec<String> = counted.iter().map(|(name, value)| format!("{name} {value}")).collect();
        own_metrics("Prometheus", lines.join("\n"), pod, container)
    })
}

fn failures(snap: &Snapshot) -> Vec<(&str, f64)> {
    let samples = snap.prometheus_metrics().map(Vec::as_slice).unwrap_or_default().iter();
    samples
        .filter(|s| s.value > 0.0 && FAILURES.contains(&s.name.as_str()))
        .map(|s| (s.name.as_str(), s.value))
        .collect()
}

/// Containers of Prometheus that run.
fn running<'a>(snap: &Snapshot, pods: &'a [Pod]) -> Vec<(&'a Pod, &'a Container)> {
    let stack = pods.iter().filter(|p| snap.scope.is_stack(&p.metadata.namespace));
    let all = stack.flat_map(|p| p.spec.containers.iter().map(move |c| (p, c)));
    all.filter(|(p, c)| c.program() == Some(Program::Prometheus) && is_up(p, &c.name)).collect()
}

/// Where its log was not there: its counters say that something failed since its start, though not when.
fn by_metrics(snap: &Snapshot, pod: &Pod, container: &Container) -> Option<Finding> {
    let failed = failures(snap);
    let writes = failed.iter().find(|(name, _)| *name == "prometheus_tsdb_wal_writes_failed_total")?;
    let seen = Seen { times: 1, text: format!("{} {}", writes.0, writes.1), ..Seen::default() };
    let made = finding(snap, pod, container, Cause::DiskFull, &seen);
    let message = format!("Prometheus failed {} times since its start to write its write-ahead log", writes.1);
    Some(Finding { severity: Severity::Warning, message, ..made })
}
