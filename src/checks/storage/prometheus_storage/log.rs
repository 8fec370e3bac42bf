//! What Prometheus' log says of its storage.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::text::disk_error::DiskError;
use crate::domain::text::log_line::{Level, Line};
use crate::domain::text::redact::redact;
use crate::domain::text::windows::RECENT;
use crate::model::Severity;
use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::ContainerLog;
use crate::text::pattern::pattern;

/// Seconds for which lines count that are said when the head is compacted: that happens every two hours.
const COMPACTION: i64 = 3 * 3600 + 1800;

/// What is wrong with the storage, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cause {
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

impl Cause {
    /// Said when the head is compacted: that happens every two hours.
    pub(super) fn is_of_compaction(self) -> bool {
        matches!(self, Self::Wal | Self::Compaction | Self::HeadChunks | Self::Block)
    }

    pub(super) fn severity(self) -> Severity {
        match self {
            Self::DiskFull | Self::ReadOnly | Self::Wal => Severity::Error,
            Self::Compaction | Self::HeadChunks | Self::Block => Severity::Warning,
            Self::Repaired => Severity::Info,
        }
    }
}

/// Lines of one log about one trouble.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) times: usize,
    pub(super) last: Option<Timestamp>,
    pub(super) text: String,
    pub(super) blocks: Vec<String>,
    /// Blocks that went into snapshots of the admin API, which nobody but their maker deletes.
    pub(super) snapshots: usize,
}

/// What a log says of the storage as it is now.
pub(super) fn read(snap: &Snapshot, log: &ContainerLog, data: &str) -> BTreeMap<Cause, Seen> {
    let mut found: BTreeMap<Cause, Seen> = BTreeMap::new();
    let inside = format!("{}/", data.trim_end_matches('/'));
    let snapshots = log.text.lines().filter(|l| l.contains("\"Snapshotting block\"")).count();
    for line in log.text.lines().map(Line::parse) {
        let age = line.at.map_or(0, |t| snap.seconds_since(t));
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
        let counts = |t: &Cause| age <= RECENT || t.is_of_compaction() && line.msg == "compaction failed";
        if let Some(trouble) = trouble(&line).filter(counts) {
            let seen = found.entry(trouble).or_default();
            seen.times += 1;
            seen.snapshots = snapshots;
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
fn forget(found: &mut BTreeMap<Cause, Seen>, message: &str) {
    let written =
        ["write block", "compact blocks", "Head GC completed", "head GC completed", "WAL checkpoint complete"];
    if written.iter().any(|w| message.starts_with(w)) {
        found.retain(|t, _| matches!(t, Cause::Block | Cause::Repaired));
    }
    // A start reads everything again.
    if message.starts_with("Starting Prometheus") {
        found.clear();
    }
}

fn trouble(line: &Line<'_>) -> Option<Cause> {
    let text = line.text();
    let lower = text.to_ascii_lowercase();
    let has = |word: &str| lower.contains(word);
    match DiskError::read(&text) {
        Some(DiskError::Full) => return Some(Cause::DiskFull),
        Some(DiskError::ReadOnly) => return Some(Cause::ReadOnly),
        // A handle of NFS that is stale is got anew; a disk that cannot be read is not.
        Some(DiskError::Broken) if has("input/output error") => return Some(Cause::ReadOnly),
        _ => {}
    }
    if has("encountered wal read error") || has("encountered wbl read error") || has("starting corruption repair") {
        return Some(Cause::Repaired);
    }
    if line.level != Level::Error {
        return None;
    }
    if has("corruption in segment") || has("segments are not sequential") {
        return Some(Cause::Wal);
    }
    if has("failed to read meta.json") {
        return Some(Cause::Block);
    }
    if !has("compaction failed") && !line.msg.starts_with("reloadBlocks") {
        return None;
    }
    // What says why it could not be read calls nothing damaged.
    if !hint(line.raw).is_empty() {
        return Some(Cause::Compaction);
    }
    let of_head = ["chunks_head", "m-mapped chunk", "mmapped chunk", "head chunk"];
    if of_head.iter().any(|w| has(w)) {
        return Some(Cause::HeadChunks);
    }
    Some(if damaged_blocks(&line.err).is_empty() { Cause::Compaction } else { Cause::Block })
}

/// Blocks that an error calls damaged: `from block <ULID>`, `open /prometheus/<ULID>/meta.json: …`; not those that it only
/// lists as what was to be compacted.
fn damaged_blocks(error: &str) -> Vec<String> {
    let named =
        pattern!(r"(?:\b(?:open|read|stat|mmap(?:ped)?|from block|block) \S*?|/)(01[0-9A-HJKMNP-TV-Z]{24})(?:/\S*)?:");
    let mut all: Vec<String> = named.captures_iter(error).map(|c| c[1].to_owned()).collect();
    all.sort();
    all.dedup();
    all
}

/// The file of the write-ahead log that a line calls damaged.
pub(super) fn damaged(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("corruption in segment ")?;
    rest.split([' ', ':', '"']).next().filter(|f| !f.is_empty()).map(str::to_owned)
}

/// What keeps blocks from being made and merged, where the error is not about the data; empty otherwise.
pub(super) fn hint(line: &str) -> &'static str {
    let lower = line.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|w| lower.contains(w));
    if has(&["stale nfs file handle", "stale file handle", "interrupted system call"]) {
        return "That is said of file systems that are reached over the network (NFS, EFS), on which Prometheus does not keep data safely: move it to a volume of block storage, such as one of EBS.";
    }
    if has(&["cannot allocate memory"]) {
        return "The kernel maps no more memory for it: raise the memory limit of the container, or the node's vm.max_map_count where it has blocks of many months.";
    }
    if has(&["permission denied", "operation not permitted"]) {
        return "Files of its data belong to another user, as after a restore or a run as root: give the pod an fsGroup (65534 for Prometheus' image), or change the owner of what the error names.";
    }
    if has(&["too many open files"]) {
        return "It has as many files open as it may have: blocks of many months are open all at once. Keep less data, or raise the limit of open files of the container runtime on the nodes.";
    }
    ""
}

/// The error of a line.
pub(super) fn why(line: &str) -> String {
    let line = Line::parse(line);
    if line.err.is_empty() { line.msg } else { line.err }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn troubles(log: &str) -> Vec<Cause> {
        let snap = Snapshot::empty("2026-11-21T03:30:00Z".parse().expect("a time"));
        read(&snap, &ContainerLog { text: log.into(), ..ContainerLog::default() }, "/prometheus").into_keys().collect()
    }

    #[test]
    fn quiet_about_the_past_and_about_what_went_well_since() {
        let full = r#"level=error ts=2026-11-21T03:20:00Z component=tsdb msg="compaction failed" err="write /data/x: no space left on device""#;
        assert_eq!(troubles(full), [Cause::DiskFull]);
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
        assert_eq!(troubles(wal), [Cause::Wal]);
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
            [Cause::HeadChunks]
        );
        assert_eq!(
            troubles(&log("plan compaction: open /prometheus/01HN5B2Z7Q8W9E0R1T2Y3V4X5Z/meta.json: no such file")),
            [Cause::Block]
        );
    }

    #[test]
    fn some_errors_are_not_about_the_data() {
        let line = r#"level=error ts=2026-11-21T03:20:00Z component=tsdb msg="reloadBlocks" err="delete 1 blocks: delete obsolete block: unlinkat /prometheus/01HN5B2Z7Q8W9E0R1T2Y3V4X5Z.tmp-for-deletion: permission denied""#;
        assert_eq!(troubles(line), [Cause::Compaction]);
        assert!(hint(line).contains("fsGroup"));
        let block = r#"level=error ts=2026-11-21T03:20:00Z component=tsdb msg="compaction failed" err="reloadBlocks: open /prometheus/01HN5B2Z7Q8W9E0R1T2Y3V4X5Z/index: stale NFS file handle""#;
        assert_eq!(troubles(block), [Cause::Compaction], "the block is sound");
        assert!(hint("rename x: interrupted system call").contains("NFS"));
        assert_eq!(hint("populate block: index out of range"), "");
    }

    #[test]
    fn tells_the_troubles_apart() {
        let log = r#"time=2026-11-21T03:20:24.109Z level=ERROR msg="Failed to read meta.json for a block during reloadBlocks. Skipping" component=tsdb dir=/prometheus/01M7XY5NTHG2MZFKNNS6R6RXKW err="unexpected end of JSON input"
time=2026-11-21T03:20:32.931Z level=ERROR msg="compaction failed" component=tsdb err="plan compaction: unexpected end of JSON input"
ts=2026-11-21T03:20:13.779Z level=warn component=tsdb msg="Encountered WAL read error, attempting repair" err="read records: corruption in segment /prometheus/wal/00000005 at 5364: unexpected checksum"
level=error ts=2026-11-21T03:01:06.947Z component=tsdb msg="compaction failed" err="reload blocks: head truncate failed: create checkpoint: read segments: corruption in segment /prometheus/wal/00000136 at 32768: unexpected first record, dropping buffer""#;
        assert_eq!(troubles(log), [Cause::Wal, Cause::Compaction, Cause::Block, Cause::Repaired]);
    }
}
