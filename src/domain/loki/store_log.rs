//! Reads Loki's own log: what it fails at.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::text::log_line::{Level, Line};
use crate::domain::text::object_store::StoreFailure;
use crate::snapshot::Snapshot;

/// Seconds for which lines count.
const RECENT: i64 = 900;
/// Lines from which on it is no hiccup.
const SEVERAL: usize = 3;

/// What Loki fails at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trouble {
    /// Its disk is full.
    DiskFull,
    /// Its disk cannot be written.
    DiskReadOnly,
    /// Its object store.
    Store(StoreFailure),
    /// Ingesters are missing from the ring.
    Ring,
    /// The name of its members does not resolve.
    Members,
    /// The compactor fails.
    Compactor,
    /// A tenant has as many streams as it may have.
    Streams,
    /// A tenant or a stream sends more bytes in a second than it may.
    Rate,
    /// Queries wait in a queue that is full.
    Queries,
}

impl Trouble {
    /// A limit that holds: what is sent or asked is refused, Loki itself is well.
    pub(crate) fn is_limit(self) -> bool {
        matches!(self, Self::Streams | Self::Rate | Self::Queries)
    }
}

const DISK: &[(Trouble, &[&str])] = &[
    (Trouble::DiskFull, &["no space left on device", "disk quota exceeded"]),
    (Trouble::DiskReadOnly, &["read-only file system", "permission denied"]),
];

const OWN: &[(Trouble, &[&str])] = &[
    (Trouble::Members, &["memberlist cluster failed", "failed to resolve members"]),
    (
        Trouble::Ring,
        &[
            "empty ring",
            "live replicas required",
            "too many unhealthy instances in the ring",
            "too many failed ingesters",
        ],
    ),
    (Trouble::Queries, &["too many outstanding requests"]),
    (Trouble::Streams, &["aximum active stream limit exceeded", "streams limit exceeded"]),
    (
        Trouble::Rate,
        &[
            "ngestion rate limit",
            "er stream rate limit exceeded",
            "per_stream_rate_limit",
            "stream rate limit exceeded",
        ],
    ),
    (
        Trouble::Compactor,
        &["failed to run compaction", "failed to compact", "compaction failed", "error running compaction"],
    ),
];

/// Labels of a refused stream that take countless values: each value is a stream of its own.
pub(crate) fn countless_labels(text: &str) -> Vec<String> {
    let stream = crate::domain::loki::agent_log::stream(text)
        .or_else(|| text.split_once("create stream ").and_then(|(_, rest)| rest.split_inclusive('}').next()));
    let names = stream.unwrap_or_default().trim_matches(['{', '}']).split(", ").filter_map(|l| l.split_once('='));
    let countless = |name: &str| {
        let ends =
            ["_id", "Id", "_ip", "_uid", "_hash", "uuid", "timestamp", "message", "url", "path", "session", "user"];
        matches!(name, "id" | "ip" | "uid" | "time" | "filename" | "request" | "trace")
            || ends.iter().any(|e| name.ends_with(e))
    };
    let mut found: Vec<String> =
        names.map(|(name, _)| name.trim()).filter(|n| countless(n)).map(str::to_owned).collect();
    found.dedup();
    found
}

/// What one pod's log says of one trouble.
#[derive(Debug, Clone)]
pub(crate) struct Failing {
    pub(crate) trouble: Trouble,
    pub(crate) times: usize,
    pub(crate) last: Option<Timestamp>,
    pub(crate) text: String,
    pub(crate) namespace: String,
    pub(crate) pod: String,
    pub(crate) container: String,
}

/// True for the image of Loki itself.
pub(crate) fn is_loki(image: &str) -> bool {
    let image = image.split('@').next().unwrap_or_default();
    image
        .rsplit('/')
        .next()
        .and_then(|i| i.split(':').next())
        .is_some_and(|name| matches!(name, "loki" | "enterprise-logs"))
}

/// What Loki fails at now.
///
/// # Errors
/// The gap, if no log could be read.
pub(crate) fn failing(snap: &Snapshot) -> Result<Vec<Failing>, crate::model::Gap> {
    let mut found = Vec::new();
    for log in snap.part_logs()?.iter().filter(|l| !l.previous && is_loki(&l.image)) {
        let mut by_trouble: BTreeMap<Trouble, Failing> = BTreeMap::new();
        for line in log.text.lines().map(Line::parse) {
            let bad = matches!(line.level, Level::Warning | Level::Error);
            let old = line.at.is_some_and(|t| snap.collected_at.as_second() - t.as_second() > RECENT);
            let Some(trouble) = trouble(&line.text()).filter(|_| bad && !old) else { continue };
            let failing = by_trouble.entry(trouble).or_insert_with(|| Failing {
                trouble,
                times: 0,
                last: None,
                text: String::new(),
                namespace: log.namespace.clone(),
                pod: log.pod.clone(),
                container: log.container.clone(),
            });
            failing.times += 1;
            failing.last = line.at.or(failing.last);
            failing.text = line.raw.to_owned();
        }
        // A ring without members is what the name leads to.
        if by_trouble.get(&Trouble::Members).is_some_and(|f| f.times >= SEVERAL) {
            by_trouble.remove(&Trouble::Ring);
        }
        found.extend(by_trouble.into_values().filter(|f| f.times >= SEVERAL || f.trouble == Trouble::DiskFull));
    }
    Ok(found)
}

fn trouble(text: &str) -> Option<Trouble> {
    let named = |known: &[(Trouble, &[&str])]| {
        known.iter().find(|(_, words)| words.iter().any(|w| text.contains(w))).map(|(trouble, _)| *trouble)
    };
    named(DISK).or_else(|| StoreFailure::of(text).map(Trouble::Store)).or_else(|| named(OWN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::monitoring::ContainerLog;

    fn read(text: &str) -> Vec<Trouble> {
        let mut snap = Snapshot::empty("2026-11-21T02:55:00Z".parse().expect("a time"));
        let log = ContainerLog { image: "grafana/loki:3.0.0".into(), text: text.into(), ..ContainerLog::default() };
        *snap.part_logs = Ok(vec![log]);
        failing(&snap).expect("a log").into_iter().map(|f| f.trouble).collect()
    }

    #[test]
    fn tells_what_loki_fails_at() {
        let line = |err: &str| {
            format!("level=error ts=2026-11-21T02:50:00Z caller=flush.go:143 msg=\"failed to flush\" err=\"{err}\"\n")
                .repeat(3)
        };
        for (err, trouble) in [
            (
                "store put chunk: AccessDenied: Access Denied\\n\\tstatus code: 403",
                Trouble::Store(StoreFailure::Denied),
            ),
            (
                "store put chunk: NoCredentialProviders: no valid providers in chain",
                Trouble::Store(StoreFailure::Credentials),
            ),
            ("NoSuchBucket: The specified bucket does not exist", Trouble::Store(StoreFailure::Bucket)),
            ("write /data/chunks/x: no space left on device", Trouble::DiskFull),
            (
                "RequestError: send request failed caused by: Put https://b.s3.eu-west-1.amazonaws.com/x: dial tcp 1.2.3.4:443: i/o timeout",
                Trouble::Store(StoreFailure::Unreachable),
            ),
            ("empty ring", Trouble::Ring),
            (
                "joining memberlist cluster failed: * Failed to resolve loki-memberlist: lookup loki-memberlist on 172.20.0.10:53: no such host",
                Trouble::Members,
            ),
            ("rpc error: code = Code(429) desc = too many outstanding requests", Trouble::Queries),
            (
                "rpc error: code = Code(429) desc = maximum active stream limit exceeded when trying to create stream {app=x}",
                Trouble::Streams,
            ),
        ] {
            assert_eq!(read(&line(err)), [trouble], "{err}");
        }
    }

    #[test]
    fn one_line_and_old_lines_are_quiet() {
        let line = "level=error ts=2026-11-21T02:50:00Z msg=\"x\" err=\"empty ring\"\n";
        assert!(read(line).is_empty());
        assert!(read(&line.replace("02:50", "02:10").repeat(9)).is_empty());
        assert!(read(&line.replace("level=error", "level=info").repeat(9)).is_empty());
    }

    #[test]
    fn labels_that_make_streams_without_end_are_named() {
        let text = "when trying to create stream {app=\"x\", trace_id=\"abc\", pod=\"y\"}, reduce the number";
        assert_eq!(countless_labels(text), ["trace_id"]);
        assert!(countless_labels("limit exceeded, reduce the number of active streams").is_empty());
    }
}
