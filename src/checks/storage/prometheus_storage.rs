//! Prometheus runs, but what it collects does not reach its disk.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use jiff::Timestamp;
use regex::Regex;

use crate::checks::{Check, check};
use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::mounts::{self, Origin};
use crate::domain::kubernetes::owner::Target;
use crate::domain::prometheus::tsdb::FAILURES;
use crate::domain::text::log_line::{Level, Line};
use crate::domain::text::redact::redact;
use crate::domain::text::windows::RECENT;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, Program, ResourceRef, Severity};
use crate::snapshot::kubernetes::{Container, Pod};
use crate::snapshot::monitoring::ContainerLog;
use crate::snapshot::{Snapshot, format_bytes, parse_quantity};

/// Seconds for which lines count that are said when the head is compacted: that happens every two hours.
const COMPACTION: i64 = 3 * 3600 + 1800;

check! {
    /// See the check's page.
    PrometheusStorage {
        id: "prometheus-storage", suite: Storage, severity: Error,
        title: "Prometheus cannot keep what it collects",
        requires: [Pods, ComponentLogs],
        uses: [PrometheusMetrics, PersistentVolumeClaims, StorageClasses, Workloads, EksAddons, MonitoringResources],
    }
}

/// What is wrong with the storage, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    DiskFull,
    ReadOnly,
    /// The write-ahead log is damaged, and is not repaired.
    Wal,
    /// Blocks cannot be made or merged.
    Compaction,
    /// The chunks of the head that are mapped into memory are damaged.
    HeadChunks,
    /// Blocks that are damaged, or left out because their meta.json is empty or missing.
    Block,
    /// A damaged write-ahead log was repaired: what came after the damage is lost.
    Repaired,
}

impl Trouble {
    /// Said when the head is compacted: that happens every two hours.
    fn is_of_compaction(self) -> bool {
        matches!(self, Self::Wal | Self::Compaction | Self::HeadChunks | Self::Block)
    }

    fn variant(self) -> &'static str {
        match self {
            Self::DiskFull => "disk-full",
            Self::ReadOnly => "read-only",
            Self::Wal => "wal",
            Self::Compaction => "compaction",
            Self::HeadChunks => "head-chunks",
            Self::Block => "block",
            Self::Repaired => "repaired",
        }
    }

    fn severity(self) -> Severity {
        match self {
            Self::DiskFull | Self::ReadOnly | Self::Wal => Severity::Error,
            Self::Compaction | Self::HeadChunks | Self::Block => Severity::Warning,
            Self::Repaired => Severity::Info,
        }
    }
}

/// Lines of one log about one trouble.
#[derive(Debug, Clone, Default)]
struct Seen {
    times: usize,
    last: Option<Timestamp>,
    text: String,
    blocks: Vec<String>,
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
            let here = pods.iter().find(|p| p.metadata.namespace == log.namespace && p.metadata.name == log.pod);
            let Some(pod) = here.filter(|p| is_up(p, &log.container)) else { continue };
            let Some(container) = pod.spec.containers.iter().find(|c| c.name == log.container) else { continue };
            let data = arguments::flag(container, "storage.tsdb.path").unwrap_or("/prometheus");
            let seen = read(snap, log, data);
            let worst = seen.keys().next().copied();
            // The rest follows from the first where the disk is at fault, and no block is merged with one that is damaged.
            let on_disk = matches!(worst, Some(Trouble::DiskFull | Trouble::ReadOnly));
            let follows = |t: Trouble| {
                let deeper = [Trouble::Block, Trouble::HeadChunks].iter().any(|d| seen.contains_key(d));
                on_disk && Some(t) != worst || t == Trouble::Compaction && deeper
            };
            for (trouble, seen) in seen.iter().filter(|(t, _)| !follows(**t)) {
                findings.push(finding(snap, pod, container, *trouble, seen));
            }
        }
        let running = running(snap, pods);
        if running.is_empty() {
            return Ok(Diagnosis::NotApplicable("no Prometheus runs in the stack's namespaces".into()));
        }
        let unread = running.iter().find(|(pod, container)| {
            !logs.iter().any(|l| {
                l.pod == pod.metadata.name && l.namespace == pod.metadata.namespace && l.container == container.name
            })
        });
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

/// What a log says of the storage as it is now.
fn read(snap: &Snapshot, log: &ContainerLog, data: &str) -> BTreeMap<Trouble, Seen> {
    let mut found: BTreeMap<Trouble, Seen> = BTreeMap::new();
    let inside = format!("{}/", data.trim_end_matches('/'));
    for line in log.text.lines().map(Line::parse) {
        let age = line.at.map_or(0, |t| snap.collected_at.as_second() - t.as_second());
        if age > COMPACTION {
            continue;
        }
        if line.level == Level::Info {
            forget(&mut found, &line.msg);
            continue;
        }
        // A peer's full disk is not Prometheus' own; its own paths are.
        if line.is_of_others() && !line.raw.contains(&inside) {
            continue;
        }
        let counts = |t: &Trouble| age <= RECENT || t.is_of_compaction() && line.msg == "compaction failed";
        if let Some(trouble) = trouble(&line).filter(counts) {
            let seen = found.entry(trouble).or_default();
            seen.times += 1;
            seen.last = line.at.or(seen.last);
            seen.text = redact(line.raw);
            let skipped = line.get("dir").rsplit('/').next().filter(|b| !b.is_empty()).map(str::to_owned);
            for block in skipped.into_iter().chain(damaged_blocks(&line.err)) {
                if !seen.blocks.contains(&block) {
                    seen.blocks.push(block);
                }
            }
        }
    }
    found
}

/// What succeeded since is no trouble any more: blocks and checkpoints are written only to a disk that takes them.
fn forget(found: &mut BTreeMap<Trouble, Seen>, message: &str) {
    let written =
        ["write block", "compact blocks", "Head GC completed", "head GC completed", "WAL checkpoint complete"];
    if written.iter().any(|w| message.starts_with(w)) {
        found.retain(|t, _| matches!(t, Trouble::Block | Trouble::Repaired));
    }
    // A start reads everything anew.
    if message.starts_with("Starting Prometheus") {
        found.clear();
    }
}

fn trouble(line: &Line<'_>) -> Option<Trouble> {
    let text = line.text();
    let lower = text.to_ascii_lowercase();
    let has = |word: &str| lower.contains(word);
    if has("no space left on device") || has("disk quota exceeded") {
        return Some(Trouble::DiskFull);
    }
    if has("read-only file system") || has("input/output error") {
        return Some(Trouble::ReadOnly);
    }
    if has("encountered wal read error") || has("encountered wbl read error") || has("starting corruption repair") {
        return Some(Trouble::Repaired);
    }
    if line.level != Level::Error {
        return None;
    }
    if has("corruption in segment") || has("segments are not sequential") {
        return Some(Trouble::Wal);
    }
    if has("failed to read meta.json") {
        return Some(Trouble::Block);
    }
    if !has("compaction failed") {
        return None;
    }
    let of_head = ["chunks_head", "m-mapped chunk", "mmapped chunk", "head chunk"];
    if of_head.iter().any(|w| has(w)) {
        return Some(Trouble::HeadChunks);
    }
    Some(if damaged_blocks(&line.err).is_empty() { Trouble::Compaction } else { Trouble::Block })
}

/// Blocks that an error calls damaged: `from block <ULID>`, `open /prometheus/<ULID>/meta.json: …`; not those that it only
/// lists as what was to be compacted.
fn damaged_blocks(error: &str) -> Vec<String> {
    static NAMED: OnceLock<Regex> = OnceLock::new();
    let named = NAMED.get_or_init(|| {
        Regex::new(r"(?:\b(?:open|read|stat|mmap(?:ped)?|from block|block) \S*?|/)(01[0-9A-HJKMNP-TV-Z]{24})(?:/\S*)?:")
            .expect("the pattern is fixed")
    });
    let mut all: Vec<String> = named.captures_iter(error).map(|c| c[1].to_owned()).collect();
    all.sort();
    all.dedup();
    all
}

fn finding(snap: &Snapshot, pod: &Pod, container: &Container, trouble: Trouble, seen: &Seen) -> Finding {
    let meta = &pod.metadata;
    let data = arguments::flag(container, "storage.tsdb.path").unwrap_or("/prometheus");
    let origin = mounts::origin(snap, pod, container, data);
    let subject = match &origin {
        Origin::Claim { name, .. } => ResourceRef::pvc(&meta.namespace, name),
        _ => snap.owner_ref(pod),
    };
    let last = seen.last.map(|t| format!(", last at {t:.0}")).unwrap_or_default();
    let times = if seen.times == 1 { "1 line".to_owned() } else { format!("{} lines", seen.times) };
    let at = match &origin {
        Origin::Claim { name, .. } => format!("PersistentVolumeClaim {name}"),
        _ => format!("{data} of pod {}", meta.name),
    };
    let within = if trouble.is_of_compaction() { "3 hours" } else { "hour" };
    let said = format!("{times} of its log in the last {within}{last}");
    let message = match trouble {
        Trouble::DiskFull => {
            format!("Prometheus has no space left on {at}: samples are lost, nothing is compacted ({said})")
        }
        Trouble::ReadOnly => {
            format!("Prometheus cannot write to {at} (read-only file system or I/O error): samples are lost ({said})")
        }
        Trouble::Wal => format!(
            "Prometheus' write-ahead log on {at} is damaged{}: no checkpoint can be made, so it is never cut and fills the volume, and the next start may fail ({said})",
            damaged(&seen.text).map(|f| format!(" ({f})")).unwrap_or_default()
        ),
        Trouble::Compaction => format!("Prometheus cannot compact its data on {at}: {} ({said})", why(&seen.text)),
        Trouble::HeadChunks => format!(
            "Prometheus cannot compact its head on {at}: its chunks that are mapped into memory are damaged, {} ({said})",
            why(&seen.text)
        ),
        Trouble::Block if seen.text.contains("compaction failed") => format!(
            "Prometheus cannot compact its data on {at}: {} is damaged, {} ({said})",
            blocks(&seen.blocks),
            why(&seen.text)
        ),
        Trouble::Block => format!(
            "Prometheus leaves out {} on {at}, whose meta.json is empty or missing: their samples are not queried ({said})",
            blocks(&seen.blocks)
        ),
        Trouble::Repaired => format!(
            "Prometheus found its write-ahead log on {at} damaged at its start and repaired it: the samples after the damage are lost"
        ),
    };
    let show = "kubectl logs -n {{ namespace }} {{ pod }} -c {{ container }} --since=3h";
    let evidence = Evidence::new(format!("log of pod {}/{}", meta.namespace, meta.name), seen.text.clone(), show)
        .with("namespace", &meta.namespace)
        .with("pod", &meta.name)
        .with("container", &container.name);
    let made = Finding::new(PrometheusStorage::META.id, trouble.severity(), subject, message)
        .key(format!("{} {}", snap.owner_ref(pod).key(), trouble.variant()))
        .evidence(evidence);
    let made = match counters(snap, pod, container) {
        Some(seen) => made.evidence(seen),
        None => made,
    };
    params(snap, made, pod, container, &origin, seen).fix(trouble.variant())
}

fn blocks(names: &[String]) -> String {
    match names {
        [] => "a block".to_owned(),
        [one] => format!("block {one}"),
        many => format!("{} blocks ({})", many.len(), many.join(", ")),
    }
}

/// The file of the write-ahead log that a line calls damaged.
fn damaged(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("corruption in segment ")?;
    rest.split([' ', ':', '"']).next().filter(|f| !f.is_empty()).map(str::to_owned)
}

/// The error of a line.
fn why(line: &str) -> String {
    let line = Line::parse(line);
    if line.err.is_empty() { line.msg } else { line.err }
}

/// Prometheus' own counters of failures that are above zero.
fn counters(snap: &Snapshot, pod: &Pod, container: &Container) -> Option<Evidence> {
    let counted = failures(snap);
    (!counted.is_empty()).then(|| {
        let lines: Vec<String> = counted.iter().map(|(name, value)| format!("{name} {value}")).collect();
        let show =
            "kubectl exec -n {{ namespace }} {{ pod }} -c {{ container }} -- wget -qO- http://localhost:9090/metrics";
        Evidence::new("Prometheus' own metrics, since its start", lines.join("\n"), show)
            .with("namespace", &pod.metadata.namespace)
            .with("pod", &pod.metadata.name)
            .with("container", &container.name)
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
    let made = finding(snap, pod, container, Trouble::DiskFull, &seen);
    let message = format!("Prometheus failed {} times since its start to write its write-ahead log", writes.1);
    Some(Finding { severity: Severity::Warning, message, ..made })
}

fn params(snap: &Snapshot, made: Finding, pod: &Pod, container: &Container, origin: &Origin, seen: &Seen) -> Finding {
    let meta = &pod.metadata;
    let target = Target::of(snap, pod);
    let claim = mounts::claim(snap, &meta.namespace, origin);
    let name = match origin {
        Origin::Claim { name, .. } => name.as_str(),
        _ => "",
    };
    let data = arguments::flag(container, "storage.tsdb.path").unwrap_or("/prometheus").trim_end_matches('/');
    let size = claim.and_then(|c| c.spec.resources.requests.get("storage"));
    let bytes = size.and_then(|q| parse_quantity(q));
    let class_name = claim.and_then(|c| c.class()).unwrap_or_default();
    let class = snap.storage_classes.find("", class_name).ok().flatten();
    let bigger = bytes.map_or_else(|| "<size>".to_owned(), |b| format_bytes(b * 2.0));
    // A fifth stays free for the write-ahead log and for compaction.
    let expandable = class.is_some_and(|c| c.allow_volume_expansion == Some(true));
    let room = bytes.map(|b| if expandable { b * 2.0 } else { b });
    let retention =
        room.map_or_else(|| "<size>GB".to_owned(), |b| format!("{}GB", (b * 0.8 / 1_073_741_824.0).floor().max(1.0)));
    let mount = mounts::mount_of(container, data);
    let inside = |file: &str| format!("{data}/{file}");
    made.param("namespace", &meta.namespace)
        .param("pod", &meta.name)
        .param("container", &container.name)
        .param("owner", &target.name)
        .param("rolls", target.rolls)
        .param("stateful", target.stateful)
        .param("operated", !target.operator_kind().is_empty())
        .param("operator_kind", target.operator_kind())
        .param("operator_name", target.operator_name())
        .param("managed", &target.managed_by)
        .param("claim", name)
        .param("has_claim", !name.is_empty())
        .param("size", size.map_or("", String::as_str))
        .param("bigger_patch", format!(r#"{{"spec":{{"resources":{{"requests":{{"storage":"{bigger}"}}}}}}}}"#))
        .param("storage_class", class_name)
        .param("expandable", expandable)
        .param("not_expandable", class.is_some_and(|c| c.allow_volume_expansion != Some(true)))
        .param("retention_arg", format!("--storage.tsdb.retention.size={retention}"))
        .param("retention_patch", format!(r#"{{"spec":{{"retentionSize":"{retention}"}}}}"#))
        .param("data", data)
        .param("blocks", seen.blocks.iter().map(|b| inside(b)).collect::<Vec<_>>())
        .param("has_blocks", !seen.blocks.is_empty())
        .param("aside", inside("damaged"))
        .param("wal", inside("wal"))
        .param("wal_aside", inside("wal.damaged"))
        .param("head_chunks", inside("chunks_head"))
        .param("head_chunks_aside", inside("chunks_head.damaged"))
        .param("replicas", target.replicas)
        .param("operator_down", r#"{"spec":{"replicas":0}}"#)
        .param("operator_up", format!(r#"{{"spec":{{"replicas":{}}}}}"#, target.replicas))
        .param("repair", format!("{}-repair", target.name.rsplit('/').next().unwrap_or_default()))
        .param("repair_image", "busybox:1.36")
        .param("mount_path", mount.map_or(data, |m| m.mount_path.as_str()))
        .param("sub_path", mount.and_then(|m| m.sub_path.as_deref()).unwrap_or_default())
        .param("damaged", damaged(&seen.text).unwrap_or_default())
        .param("has_shell", !container.image.contains("distroless"))
        .param("error", why(&seen.text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn troubles(log: &str) -> Vec<Trouble> {
        let snap = Snapshot::empty("2026-11-21T03:30:00Z".parse().expect("a time"));
        read(&snap, &ContainerLog { text: log.into(), ..ContainerLog::default() }, "/prometheus").into_keys().collect()
    }

    #[test]
    fn quiet_about_the_past_and_about_what_went_well_since() {
        let full = r#"level=error ts=2026-11-21T03:20:00Z component=tsdb msg="compaction failed" err="write /data/x: no space left on device""#;
        assert_eq!(troubles(full), [Trouble::DiskFull]);
        assert_eq!(troubles(&full.replace("03:20", "01:20")), []);
        let since = r#"level=info ts=2026-11-21T03:25:00Z component=tsdb msg="write block" mint=1 maxt=2"#;
        assert_eq!(troubles(&format!("{full}\n{since}")), []);
        assert_eq!(
            troubles(
                "time=2026-11-21T03:20:00Z level=WARN msg=\"A lockfile from a previous execution already existed. It was replaced\""
            ),
            []
        );
    }

    #[test]
    fn a_compaction_that_fails_every_two_hours_is_not_forgotten_between() {
        let wal = r#"level=error ts=2026-11-21T01:00:06.947Z component=tsdb msg="compaction failed" err="create checkpoint: read segments: corruption in segment /prometheus/wal/00000525 at 32768: unexpected checksum""#;
        assert_eq!(troubles(wal), [Trouble::Wal]);
        assert_eq!(damaged(wal).as_deref(), Some("/prometheus/wal/00000525"));
        assert_eq!(troubles(&wal.replace("2026-11-21T01", "2026-11-20T21")), []);
    }

    #[test]
    fn the_block_that_a_compaction_stumbles_over_is_named() {
        for (error, blocks) in [
            (
                "plan compaction: open /prometheus/01HN5B2Z7Q8W9E0R1T2Y3V4X5Z/meta.json: no such file or directory",
                vec!["01HN5B2Z7Q8W9E0R1T2Y3V4X5Z"],
            ),
            (
                "compact [/prometheus/01HN5B2Z7Q8W9E0R1T2Y3V4X5Z /prometheus/01HN6B2Z7Q8W9E0R1T2Y3V4X5Z]: populate block: chunk iter: cannot populate chunk 8 from block 01HN6B2Z7Q8W9E0R1T2Y3V4X5Z: checksum mismatch",
                vec!["01HN6B2Z7Q8W9E0R1T2Y3V4X5Z"],
            ),
            ("compact [/prometheus/01HN5B2Z7Q8W9E0R1T2Y3V4X5Z]: 2 errors: open index", vec![]),
        ] {
            assert_eq!(damaged_blocks(error), blocks, "{error}");
        }
        let log = |error: &str| {
            format!("level=error ts=2026-11-21T01:01:06.947Z component=tsdb msg=\"compaction failed\" err=\"{error}\"")
        };
        assert_eq!(
            troubles(&log("compact head: persist head block: populate block: open /prometheus/chunks_head/000007: x")),
            [Trouble::HeadChunks]
        );
        assert_eq!(
            troubles(&log("plan compaction: open /prometheus/01HN5B2Z7Q8W9E0R1T2Y3V4X5Z/meta.json: no such file")),
            [Trouble::Block]
        );
    }

    #[test]
    fn tells_the_troubles_apart() {
        let log = r#"time=2026-11-21T03:20:24.109Z level=ERROR msg="Failed to read meta.json for a block during reloadBlocks. Skipping" component=tsdb dir=/prometheus/01M7XY5NTHG2MZFKNNS6R6RXKW err="unexpected end of JSON input"
time=2026-11-21T03:20:32.931Z level=ERROR msg="compaction failed" component=tsdb err="plan compaction: unexpected end of JSON input"
ts=2026-11-21T03:20:13.779Z level=warn component=tsdb msg="Encountered WAL read error, attempting repair" err="read records: corruption in segment /prometheus/wal/00000005 at 5364: unexpected checksum"
level=error ts=2026-11-21T03:01:06.947Z component=tsdb msg="compaction failed" err="reload blocks: head truncate failed: create checkpoint: read segments: corruption in segment /prometheus/wal/00000136 at 32768: unexpected first record, dropping buffer""#;
        assert_eq!(troubles(log), [Trouble::Wal, Trouble::Compaction, Trouble::Block, Trouble::Repaired]);
    }
}
