//! How long Prometheus keeps data, how much it takes in, and where it lies.

use jiff::Timestamp;

use crate::domain::kubernetes::arguments;
use crate::domain::prometheus::server::{Server, servers};
use crate::lint::go::duration;
use crate::snapshot::kubernetes::{Container, Volume};
use crate::snapshot::{Snapshot, journal, parse_quantity};

/// Counters that stay at 0 as long as the storage is sound.
pub(crate) const FAILURES: &[&str] = &[
    "prometheus_tsdb_checkpoint_creations_failed_total",
    "prometheus_tsdb_compactions_failed_total",
    "prometheus_tsdb_head_truncations_failed_total",
    "prometheus_tsdb_reloads_failures_total",
    "prometheus_tsdb_wal_corruptions_total",
    "prometheus_tsdb_wal_truncations_failed_total",
    "prometheus_tsdb_wal_writes_failed_total",
];

/// Bytes that a sample takes in blocks, index included: between the one and two of Prometheus' own documentation.
const BYTES_PER_SAMPLE: f64 = 1.7;
/// Seconds of uptime from which on the rate since the start says something.
const SETTLED: f64 = 6.0 * 3600.0;
/// What is kept where no flag says otherwise: 15 days.
const DEFAULT_SECONDS: f64 = 15.0 * 86_400.0;

/// What a server keeps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Retention {
    /// Seconds; `None` where only the size limits it.
    pub(crate) seconds: Option<f64>,
    /// Bytes.
    pub(crate) bytes: Option<f64>,
}

impl Retention {
    /// By the flags of its container.
    pub(crate) fn of(container: &Container) -> Self {
        let named = |name: &str| arguments::flag(container, name).filter(|v| !v.is_empty());
        let time = named("storage.tsdb.retention.time").or_else(|| named("storage.tsdb.retention"));
        let seconds = time.and_then(|t| duration(t).ok()).map(|ms| ms as f64 / 1000.0).filter(|s| *s > 0.0);
        let bytes = named("storage.tsdb.retention.size").and_then(size).filter(|b| *b > 0.0);
        // With a size alone there is no limit by time.
        let seconds = seconds.or_else(|| (time.is_none() && bytes.is_none()).then_some(DEFAULT_SECONDS));
        Self { seconds, bytes }
    }
}

impl Retention {
    /// What the server says itself, where it is the only one, else its flags. An operator always sets one: where it made
    /// the server and no flag is seen, nothing is known.
    pub(crate) fn of_server(snap: &Snapshot, server: Server<'_>) -> Self {
        let runtime = journal::aside(|| snap.prometheus_runtime().ok()).filter(|_| servers(snap).len() == 1);
        if let Some(said) = runtime.and_then(|r| Self::said(&r.storage_retention)) {
            return said;
        }
        let named = |name: &str| arguments::has_flag(server.container, name);
        let is_set = ["storage.tsdb.retention.time", "storage.tsdb.retention", "storage.tsdb.retention.size"]
            .iter()
            .any(|name| named(name));
        match server.operator_resource() {
            Some(_) if !is_set => Self { seconds: None, bytes: None },
            _ => Self::of(server.container),
        }
    }

    /// `10d`, `50GiB`, `10d or 50GiB`: as runtimeinfo says it.
    fn said(text: &str) -> Option<Self> {
        let parts = || text.split(" or ").map(str::trim);
        let seconds = parts().find_map(|p| duration(p).ok()).map(|ms| ms as f64 / 1000.0).filter(|s| *s > 0.0);
        let bytes = parts().find_map(size);
        (seconds.is_some() || bytes.is_some()).then_some(Self { seconds, bytes })
    }
}

/// The limit by size for a volume: four fifths of it, as the write-ahead log and compaction need room as well. In whole GB only
/// where that takes little away.
pub(crate) fn size_limit(capacity: f64) -> String {
    const MIB: f64 = 1_048_576.0;
    let limit = capacity * 0.8 / MIB;
    if limit >= 8.0 * 1024.0 {
        format!("{}GB", (limit / 1024.0).floor())
    } else {
        format!("{}MB", limit.floor().max(1.0))
    }
}

/// `8GB`, `500MB`: Prometheus counts by 1024.
pub(crate) fn size(text: &str) -> Option<f64> {
    let at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let number: f64 = text[..at].trim().parse().ok()?;
    let power = match text[at..].trim_end_matches("iB").trim_end_matches('B') {
        "" => 0,
        "K" => 1,
        "M" => 2,
        "G" => 3,
        "T" => 4,
        "P" => 5,
        _ => return None,
    };
    Some(number * 1024_f64.powi(power))
}

/// Where a server's data lies.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Place {
    /// A claim, by its name.
    Claim(String),
    /// An emptyDir, with its limit in bytes.
    EmptyDir(Option<f64>),
    /// The container's own file system.
    Container,
    /// Another kind of volume.
    Other,
}

/// Where a path of a container lies.
pub(crate) fn place(volumes: &[Volume], container: &Container, path: &str) -> Place {
    let Some(mount) = crate::domain::kubernetes::mounts::mount_of(container, path) else { return Place::Container };
    let Some(volume) = volumes.iter().find(|v| v.name == mount.name) else { return Place::Other };
    if let Some(claim) = &volume.persistent_volume_claim {
        return Place::Claim(claim.claim_name.clone());
    }
    match &volume.empty_dir {
        Some(dir) => Place::EmptyDir(dir.get("sizeLimit").and_then(|l| l.as_str()).and_then(parse_quantity)),
        None => Place::Other,
    }
}

/// The folder of the time series database.
pub(crate) fn data_path<'a>(server: &Server<'a>) -> &'a str {
    arguments::flag(server.container, "storage.tsdb.path").unwrap_or("/prometheus")
}

/// What the one server of the stack takes in, by its own metrics.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Intake {
    /// Samples in a second, since its start.
    pub(crate) per_second: f64,
    /// Bytes that its blocks have now.
    pub(crate) blocks: Option<f64>,
}

impl Intake {
    /// `None` where several servers run (whose metrics would they be?), where it started lately, or its metrics do not say.
    pub(crate) fn of(snap: &Snapshot) -> Option<Self> {
        if servers(snap).len() != 1 {
            return None;
        }
        let all = snap.prometheus_metrics().ok()?;
        let sum = |name: &str| {
            let mut values = all.iter().filter(|s| s.name == name).map(|s| s.value).peekable();
            values.peek()?;
            Some(values.sum::<f64>())
        };
        let uptime = snap.collected_at.as_second() as f64 - sum("process_start_time_seconds")?;
        let samples = sum("prometheus_tsdb_head_samples_appended_total")?;
        (uptime > SETTLED && samples > 0.0)
            .then(|| Self { per_second: samples / uptime, blocks: sum("prometheus_tsdb_storage_blocks_bytes") })
    }

    /// Bytes that so many seconds of samples take.
    pub(crate) fn bytes(self, seconds: f64) -> f64 {
        self.per_second * seconds * BYTES_PER_SAMPLE
    }

    /// When so many bytes are full at this rate.
    pub(crate) fn full_at(self, capacity: f64, now: Timestamp) -> Option<Timestamp> {
        let left = capacity - self.blocks?;
        let seconds = left.max(0.0) / (self.per_second * BYTES_PER_SAMPLE);
        // Beyond ten years it is no date.
        (seconds < 3.2e8).then(|| Timestamp::from_second(now.as_second() + seconds as i64).ok()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn retention(args: &[&str]) -> Retention {
        let container: Container = serde_json::from_value(json!({"name": "p", "args": args})).expect("a container");
        Retention::of(&container)
    }

    #[test]
    fn a_size_alone_leaves_no_limit_by_time() {
        assert_eq!(retention(&[]), Retention { seconds: Some(DEFAULT_SECONDS), bytes: None });
        let size = retention(&["--storage.tsdb.retention.size=8GB"]);
        assert_eq!(size, Retention { seconds: None, bytes: Some(8.0 * 1_073_741_824.0) });
        let both = retention(&["--storage.tsdb.retention.time=30d", "--storage.tsdb.retention.size=500MB"]);
        assert_eq!(both, Retention { seconds: Some(30.0 * 86_400.0), bytes: Some(500.0 * 1_048_576.0) });
    }

    #[test]
    fn a_small_volume_is_not_given_away_by_rounding() {
        let gib = 1_073_741_824.0;
        assert_eq!(size_limit(100.0 * gib), "80GB");
        assert_eq!(size_limit(10.0 * gib), "8GB");
        assert_eq!(size_limit(2.0 * gib), "1638MB");
    }

    #[test]
    fn what_runs_says_what_it_keeps() {
        assert_eq!(Retention::said("10d"), Some(Retention { seconds: Some(10.0 * 86_400.0), bytes: None }));
        let both = Retention { seconds: Some(15.0 * 86_400.0), bytes: Some(50.0 * 1_073_741_824.0) };
        assert_eq!(Retention::said("15d or 50GiB"), Some(both));
        assert_eq!(Retention::said("50GiB"), Some(Retention { seconds: None, ..both }));
        assert_eq!(Retention::said(""), None);
    }

    #[test]
    fn tells_when_a_volume_is_full() {
        let intake = Intake { per_second: 1000.0, blocks: Some(0.0) };
        let now: Timestamp = "2026-11-21T00:00:00Z".parse().expect("a time");
        let full = intake.full_at(1000.0 * 86_400.0 * BYTES_PER_SAMPLE, now).expect("a date");
        assert_eq!(full.to_string(), "2026-11-22T00:00:00Z");
        assert_eq!(Intake { per_second: 0.001, blocks: Some(0.0) }.full_at(1e12, now), None);
    }
}
