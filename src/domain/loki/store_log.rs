//! Reads the own logs of Loki, Mimir and Tempo: what they fail at.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::aws::credentials;
use crate::domain::aws::denied::Denied;
use crate::domain::kubernetes::store::Store;
use crate::domain::text::lasting::{LASTS, NOW, RECENT, SEVERAL};
use crate::domain::text::log_line::{Level, Line};
use crate::domain::text::message_size;
use crate::domain::text::object_store::StoreFailure;
use crate::snapshot::kubernetes::Pod;
use crate::snapshot::{Platform, Snapshot};

/// The same of what goes on without.
const OFTEN: usize = 5;

/// What Loki fails at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// Its disk is full.
    DiskFull,
    /// Its disk cannot be written.
    DiskReadOnly,
    /// Its object store.
    Store(StoreFailure),
    /// The KMS key that encrypts its bucket.
    Key,
    /// The same, which is switched off or about to be deleted.
    KeyOff,
    /// Chunks that its index names are not in the store any more.
    Gone,
    /// The store takes no more requests for now.
    Slow,
    /// Its object store does not take what it flushes within the time that one flush may take.
    Flush,
    /// Tempo: blocks in its store cannot be read, and searches fail for it.
    Blocks,
    /// No period of its schema holds the time of what it is to write or to read.
    Period,
    /// Ingesters are missing from the ring.
    Ring,
    /// An ingester takes nothing more: it is on its way out, and never goes.
    Stopping,
    /// Tempo: what makes metrics of spans does not run.
    Generator,
    /// Tempo: metrics are asked of traces, and what keeps these for it is not switched on.
    LocalBlocks,
    /// A message between its members is larger than one takes.
    Message,
    /// Those who answer queries do not reach those who hand them out.
    Scheduler,
    /// Those who answer queries do not reach who keeps the index for them.
    IndexGateway,
    /// The folder of its rules is not there.
    RuleFolder,
    /// A cache does not take what it is given, or does not answer.
    Cache,
    /// The name of its members does not resolve.
    Members,
    /// The compactor fails.
    Compactor,
    /// Mimir: nobody renews the list of a tenant's blocks, and queries are refused for it.
    BlockList,
    /// Kafka, through which it writes, does not have the topic.
    Topic,
    /// Kafka, through which it writes, cannot be reached.
    Broker,
    /// Tempo: another one compacts the same blocks at the same time.
    Compactors,
    /// A tenant has as many streams as it may have.
    Streams,
    /// A tenant sends more bytes in a second than it may.
    Rate,
    /// The same of one stream.
    StreamRate,
    /// Queries ask for more than one query may.
    QueryLimit,
    /// Queries wait in a queue that is full.
    Queries,
    /// Tempo: more or larger traces than a tenant may send.
    Traces,
}

impl Cause {
    /// Breaks with each member that is replaced, and is of interest where it lasts.
    fn is_of_members(self) -> bool {
        matches!(self, Self::Scheduler | Self::IndexGateway | Self::Cache | Self::Broker)
    }

    /// Is tried again until it succeeds: a bad moment of the store is no fault.
    fn has_to_last(self) -> bool {
        self.is_of_members() || matches!(self, Self::Topic | Self::Flush | Self::Stopping | Self::Compactors)
    }

    /// Only single queries or files suffer, or all goes on more slowly.
    pub(crate) fn is_mild(self) -> bool {
        self.is_limit()
            || matches!(
                self,
                Self::Compactor
                    | Self::Compactors
                    | Self::Gone
                    | Self::Blocks
                    | Self::Slow
                    | Self::RuleFolder
                    | Self::Cache
                    | Self::Generator
                    | Self::LocalBlocks
            )
    }

    /// A limit that holds: what is sent or asked is refused, Loki itself is well.
    pub(crate) fn is_limit(self) -> bool {
        matches!(self, Self::Streams | Self::Rate | Self::StreamRate | Self::Queries | Self::QueryLimit | Self::Traces)
    }
}

/// Mimir's compactor, which renews the list of a tenant's blocks when it has cleaned up.
pub(crate) const CLEANS: &str = "failed blocks cleanup and maintenance for user";

const DISK: &[(Cause, &[&str])] = &[
    (Cause::DiskFull, &["no space left on device", "disk quota exceeded"]),
    (Cause::DiskReadOnly, &["read-only file system", "permission denied"]),
];

const OWN: &[(Cause, &[&str])] = &[
    (Cause::Members, &["memberlist cluster failed", "failed to resolve members"]),
    (
        Cause::Ring,
        &[
            "empty ring",
            "live replicas required",
            "too many unhealthy instances in the ring",
            "too many failed ingesters",
            "InstancesCount <= 0",
        ],
    ),
    (Cause::Stopping, &["Ingester is shutting down", "ingester is shutting down"]),
    (Cause::LocalBlocks, &["localblocks processor not found", "local-blocks processor not found"]),
    (Cause::Blocks, &["too many failed block queries"]),
    (Cause::Scheduler, &["error contacting scheduler", "error contacting frontend"]),
    (Cause::Period, &["no schema config found for time"]),
    (
        Cause::Traces,
        &["LIVE_TRACES_EXCEEDED", "max live traces", "TRACE_TOO_LARGE", "max size of trace", "RATE_LIMITED: "],
    ),
    (Cause::BlockList, &["bucket index is too old", CLEANS]),
    (Cause::Queries, &["too many outstanding requests"]),
    (Cause::Streams, &["aximum active stream limit exceeded", "streams limit exceeded"]),
    (Cause::StreamRate, &["er stream rate limit exceeded", "per_stream_rate_limit", "stream rate limit exceeded"]),
    (Cause::Rate, &["ngestion rate limit"]),
    (
        Cause::QueryLimit,
        &[
            "reached for a single query",
            "query time range exceeds the limit",
            "max entries limit per query exceeded",
            "too many bytes (query",
            "max number of chunks limit",
            "err-mimir-max-chunks-per-query",
            "err-mimir-max-series-per-query",
            "err-mimir-max-chunks-bytes-per-query",
            "err-mimir-max-total-query-length",
        ],
    ),
    (
        Cause::Compactor,
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

/// A limit of queries that was hit: its field, what it is, and what was asked for; empty where that is not said.
pub(crate) struct QueryLimit {
    pub(crate) field: &'static str,
    pub(crate) now: String,
    pub(crate) asked: String,
}

/// The limit that a refused query hit.
pub(crate) fn query_limit(text: &str) -> Option<QueryLimit> {
    let between = |from: &str, to: &[char]| {
        text.split_once(from).and_then(|(_, rest)| rest.split(to).next()).unwrap_or_default().trim().to_owned()
    };
    let number = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect::<String>();
    let whole_hours = |length: String| length.strip_suffix("0m0s").map_or_else(|| length.clone(), str::to_owned);
    let (field, now, asked) = match () {
        () if text.contains("err-mimir-max-chunks-per-query") => {
            ("max_fetched_chunks_per_query", between("(limit: ", &[' ', ')']), String::new())
        }
        () if text.contains("err-mimir-max-series-per-query") => {
            ("max_fetched_series_per_query", between("(limit: ", &[' ', ')']), String::new())
        }
        () if text.contains("err-mimir-max-chunks-bytes-per-query") => {
            ("max_fetched_chunk_bytes_per_query", between("(limit: ", &[' ', ')']), String::new())
        }
        () if text.contains("err-mimir-max-total-query-length") => {
            ("max_total_query_length", between("limit: ", &[')', ',']), String::new())
        }
        () if text.contains("maximum of series (") => {
            ("max_query_series", between("maximum of series (", &[')']), String::new())
        }
        () if text.contains("query time range exceeds the limit") => (
            "max_query_length",
            whole_hours(between("limit: ", &[')', ','])),
            whole_hours(between("query length: ", &[',', ')'])),
        ),
        () if text.contains("max entries limit per query exceeded") => (
            "max_entries_limit_per_query",
            text.rsplit_once(" > ").map(|(_, rest)| number(rest)).unwrap_or_default(),
            text.rsplit_once('(').map(|(_, rest)| number(rest)).unwrap_or_default(),
        ),
        () if text.contains("too many bytes (query") => {
            ("max_query_bytes_read", between("limit: ", &[')']), between("query: ", &[',', ')']))
        }
        () if text.contains("max number of chunks limit") => {
            ("max_chunks_per_query", between("limit: ", &[' ', ')', ',']), String::new())
        }
        () => return None,
    };
    Some(QueryLimit { field, now, asked })
}

/// The limit of Tempo's overrides that refused traces: below `ingestion`, or below `global`.
pub(crate) fn trace_limit(text: &str) -> Option<QueryLimit> {
    let number = |from: &str| {
        let rest = text.split_once(from).map_or("", |(_, rest)| rest);
        rest.chars().take_while(char::is_ascii_digit).collect::<String>()
    };
    let (field, now) = match () {
        () if text.contains("max live traces") => ("max_traces_per_user", number("(local: ")),
        () if text.contains("max size of trace") => ("max_bytes_per_trace", number("max size of trace (")),
        () if text.contains("RATE_LIMITED: ") => ("rate_limit_bytes", number("(local: ")),
        () => return None,
    };
    Some(QueryLimit { field, now, asked: String::new() })
}

/// Addresses of ring members that are told as unhealthy.
pub(crate) fn unhealthy(text: &str) -> Vec<&str> {
    let rest = text.split_once("unhealthy instances: ").map_or("", |(_, rest)| rest);
    let rest = rest.split(['\\', '"', '\n']).next().unwrap_or_default();
    rest.split(',').map(str::trim).filter(|a| !a.is_empty()).collect()
}

/// What one pod's log says of one trouble.
#[derive(Debug, Clone)]
pub(crate) struct Failing {
    pub(crate) store: Store,
    pub(crate) trouble: Cause,
    pub(crate) times: usize,
    first: Option<Timestamp>,
    pub(crate) last: Option<Timestamp>,
    pub(crate) text: String,
    pub(crate) namespace: String,
    pub(crate) pod: String,
    pub(crate) container: String,
}

/// Other limits of Mimir and Tempo are told where they are hit, at who sends, and what AWS refuses them as of any pod.
fn tells(store: Store, trouble: Cause, text: &str) -> bool {
    // MinIO's client says no more than that it is denied.
    let elsewhere = matches!(trouble, Cause::Store(StoreFailure::Credentials))
        || matches!(trouble, Cause::Store(StoreFailure::Denied) | Cause::Key) && Denied::read(text).is_some();
    let own =
        trouble == Cause::Traces && store == Store::Tempo || trouble == Cause::QueryLimit && store == Store::Mimir;
    store == Store::Loki && trouble != Cause::Traces || own || !trouble.is_limit() && !elsewhere
}

/// What the stores fail at now.
///
/// # Errors
/// The gap, if no log could be read.
pub(crate) fn failing(snap: &Snapshot) -> Result<Vec<Failing>, crate::model::Gap> {
    let mut found = Vec::new();
    for log in snap.part_logs()?.iter().filter(|l| !l.previous) {
        let Some(store) = Store::of_image(&log.image) else { continue };
        let mut by_trouble: BTreeMap<Cause, Failing> = BTreeMap::new();
        for line in log.text.lines().map(Line::parse) {
            let bad = matches!(line.level, Level::Warning | Level::Error);
            let old = line.is_older(snap.collected_at, RECENT);
            let text = line.text();
            let Some(trouble) = trouble(&text).filter(|t| bad && !old && tells(store, *t, &text)) else { continue };
            if is_of_the_pod(snap, &text) {
                continue;
            }
            let failing = by_trouble.entry(trouble).or_insert_with(|| Failing {
                store,
                trouble,
                times: 0,
                first: None,
                last: None,
                text: String::new(),
                namespace: log.namespace.clone(),
                pod: log.pod.clone(),
                container: log.container.clone(),
            });
            failing.times += 1;
            failing.first = failing.first.or(line.at);
            failing.last = line.at.or(failing.last);
            failing.text = line.raw.to_owned();
        }
        // A ring without members is what the name leads to.
        if by_trouble.get(&Cause::Members).is_some_and(|f| f.times >= SEVERAL) {
            by_trouble.remove(&Cause::Ring);
        }
        let lasts = |f: &Failing| {
            f.first.zip(f.last).is_some_and(|(first, last)| {
                last.as_second() - first.as_second() >= LASTS && snap.seconds_since(last) <= NOW
            })
        };
        by_trouble.retain(|trouble, f| !trouble.has_to_last() || lasts(f));
        // While members are replaced, those that go say so rightly.
        by_trouble.retain(|trouble, f| *trouble != Cause::Stopping || is_settled(snap, &f.namespace, store));
        // A cache that answers late now and then is one under load.
        let enough = |f: &Failing| f.times >= if f.trouble == Cause::Cache { OFTEN } else { SEVERAL };
        // A compactor cleans up once in a quarter of an hour: whether that matters is told by those who query.
        let alone = |f: &Failing| f.trouble == Cause::DiskFull || f.text.contains(CLEANS);
        found.extend(by_trouble.into_values().filter(|f| enough(f) || alone(f)));
    }
    Ok(found)
}

/// Its pods of a namespace are all there and ready, and none is about to go or came lately.
fn is_settled(snap: &Snapshot, namespace: &str, store: Store) -> bool {
    let all = snap.pods.items().unwrap_or_default().iter();
    let own = all.filter(|p| p.metadata.namespace == namespace);
    let mut own = own.filter(|p| p.spec.containers.iter().any(|c| Store::of_image(&c.image) == Some(store)));
    let stays = |p: &Pod| p.metadata.deletion_timestamp.is_none() && snap.age_seconds(&p.metadata) > RECENT;
    own.all(|p| p.is_finished() || p.is_ready() && stays(p))
}

/// How any pod on EKS fails to get its credentials, and why, is told of the pod.
fn is_of_the_pod(snap: &Snapshot, text: &str) -> bool {
    let fault = credentials::Cause::read(text).filter(|f| !matches!(f, credentials::Cause::Denied(_)));
    snap.platform == Platform::Eks && fault.is_some()
}

fn trouble(text: &str) -> Option<Cause> {
    let named = |known: &[(Cause, &[&str])]| {
        known.iter().find(|(_, words)| words.iter().any(|w| text.contains(w))).map(|(trouble, _)| *trouble)
    };
    // A token that may not be read is no disk.
    let disk = named(DISK).filter(|_| !text.contains("WebIdentity"));
    let found = disk
        .or_else(|| of_parts(text))
        .or_else(|| StoreFailure::of(text).map(Cause::Store))
        .or_else(|| is_late_flush(text).then_some(Cause::Flush))
        .or_else(|| named(OWN))?;
    // A query that is given up, or a member that goes, ends the connection on purpose.
    (!found.is_of_members() || !text.contains("context canceled")).then_some(found)
}

/// What is to go into the store, in the words of Loki, Tempo and Mimir, and is given up for want of time.
fn is_late_flush(text: &str) -> bool {
    let has = |words: &[&str]| words.iter().any(|w| text.contains(w));
    let flushes = [
        "failed to flush",
        "flushing op",
        "op in flushQueue",
        "uploading new block to long-term storage failed",
        "failed to upload block",
    ];
    let late = [
        "RequestCanceled",
        "context canceled",
        "deadline exceeded",
        "request timed out",
        "Client.Timeout",
        "timeout awaiting response",
    ];
    has(&flushes) && has(&late)
}

/// The object stores' words for an object that is not there.
const MISSING: &[&str] = &["NoSuchKey", "The specified key does not exist"];

/// An object is not there, in the words of a store or of the program.
fn is_missing(text: &str) -> bool {
    MISSING.iter().chain(&["does not exist", "doesn't exist", "BlobNotFound"]).any(|w| text.contains(w))
}

/// Speaks of Kafka itself. In braces stand the labels of a stream, which may be that of somebody's Kafka.
fn names_kafka(text: &str) -> bool {
    let said = text.split('{').next().unwrap_or_default();
    ["kafka", "Kafka", "broker"].iter().any(|word| said.contains(word))
}

/// What is about one kind of request, or one part, and not about the whole store.
fn of_parts(text: &str) -> Option<Cause> {
    let has = |words: &[&str]| words.iter().any(|w| text.contains(w));
    let unreached = ["no such host", "i/o timeout", "connection refused", "deadline exceeded", "no route to host"];
    let found = match () {
        () if message_size::is_too_large(text) => Cause::Message,
        // In the words of Kafka, whoever of its members says them.
        () if has(&["UNKNOWN_TOPIC_OR_PARTITION", "UNKNOWN_TOPIC_ID"]) => Cause::Topic,
        () if names_kafka(text) && has(&unreached) => Cause::Broker,
        // Spans are kept all the same.
        () if has(&["metrics generator", "metrics-generator"]) && has(&["InstancesCount <= 0", "empty ring"]) => {
            Cause::Generator
        }
        () if has(&["kms:", "AWSKMS", "KMS.", "AWS KMS"]) && has(&["AccessDenied", "not authorized to perform"]) => {
            Cause::Key
        }
        () if has(&["KMS.DisabledException", "KMS.KMSInvalidState", "KMS.NotFound"]) => Cause::KeyOff,
        () if has(&["block compacted", "blocks compacted", "compacted block"]) && is_missing(text) => Cause::Compactors,
        // Other objects are looked for that may never have been written: the seed of the cluster, lists of deletions.
        () if has(MISSING) => {
            return text.to_ascii_lowercase().contains("chunk").then_some(Cause::Gone);
        }
        () if has(&["SlowDown", "reduce your request rate"]) => Cause::Slow,
        () if has(&["unable to read rule dir"]) && has(&["no such file or directory"]) => Cause::RuleFolder,
        () if has(&["memcache", "Memcache", ":11211"]) && has(&["object too large"])
            || has(&[":11211"]) && has(&unreached) =>
        {
            Cause::Cache
        }
        () if has(&["index gateway", "index-gateway"]) && has(&unreached) => Cause::IndexGateway,
        () => return None,
    };
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::monitoring::ContainerLog;

    fn read(text: &str) -> Vec<Cause> {
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
            ("store put chunk: AccessDenied: Access Denied\\n\\tstatus code: 403", Cause::Store(StoreFailure::Denied)),
            (
                "store put chunk: NoCredentialProviders: no valid providers in chain",
                Cause::Store(StoreFailure::Credentials),
            ),
            ("NoSuchBucket: The specified bucket does not exist", Cause::Store(StoreFailure::Bucket)),
            ("write /data/chunks/x: no space left on device", Cause::DiskFull),
            (
                "RequestError: send request failed caused by: Put https://b.s3.eu-west-1.amazonaws.com/x: dial tcp 1.2.3.4:443: i/o timeout",
                Cause::Store(StoreFailure::Unreachable),
            ),
            (
                "store put chunk: AccessDenied: User: arn:aws:sts::1:assumed-role/loki/1 is not authorized to perform: kms:GenerateDataKey on resource: arn:aws:kms:eu-west-1:1:key/2 because no identity-based policy allows the kms:GenerateDataKey action",
                Cause::Key,
            ),
            (
                "store put chunk: KMS.DisabledException: arn:aws:kms:eu-west-1:1:key/2 is disabled.\\n\\tstatus code: 400",
                Cause::KeyOff,
            ),
            (
                "error fetching chunks: failed to get s3 object: NoSuchKey: The specified key does not exist.",
                Cause::Gone,
            ),
            ("store put chunk: SlowDown: Please reduce your request rate.", Cause::Slow),
            ("no schema config found for time 1795230300", Cause::Period),
            (
                "failed to list rule groups: unable to read rule dir /rules/fake: open /rules/fake: no such file or directory",
                Cause::RuleFolder,
            ),
            ("empty ring", Cause::Ring),
            ("DoBatch: InstancesCount <= 0", Cause::Ring),
            (
                "joining memberlist cluster failed: * Failed to resolve loki-memberlist: lookup loki-memberlist on 172.20.0.10:53: no such host",
                Cause::Members,
            ),
            ("rpc error: code = Code(429) desc = too many outstanding requests", Cause::Queries),
            (
                "rpc error: code = Code(429) desc = maximum active stream limit exceeded when trying to create stream {app=x}",
                Cause::Streams,
            ),
        ] {
            assert_eq!(read(&line(err)), [trouble], "{err}");
        }
    }

    #[test]
    fn parts_that_are_not_reached_count_while_it_lasts() {
        let line = |minute: &str, err: &str| {
            format!("level=warn ts=2026-11-21T02:{minute}:00Z caller=x.go:1 msg=\"x\" err=\"{err}\"\n")
        };
        for (err, trouble) in [
            (
                "server=172.20.1.1:11211: memcache: unexpected response line from set: SERVER_ERROR object too large for cache",
                Cause::Cache,
            ),
            ("dial tcp 172.20.1.1:11211: i/o timeout", Cause::Cache),
            ("index gateway: dial tcp: lookup loki-index-gateway on 172.20.0.10:53: no such host", Cause::IndexGateway),
        ] {
            let of = |minutes: [&str; 3]| minutes.map(|m| line(m, err).repeat(2)).concat();
            assert_eq!(read(&of(["50", "52", "54"])), [trouble], "{err}");
            assert!(read(&of(["42", "44", "46"])).is_empty(), "it is over: {err}");
            assert!(read(&of(["54", "54", "54"])).is_empty(), "a member is replaced: {err}");
        }
        let seed = "failed to get s3 object loki_cluster_seed.json: NoSuchKey: The specified key does not exist.";
        assert!(read(&["50", "52", "54"].map(|m| line(m, seed)).concat()).is_empty(), "it is made then");
    }

    #[test]
    fn a_flush_that_is_late_for_minutes_is_told() {
        let flush = |minute: &str, text: &str| {
            format!("level=error ts=2026-11-21T02:{minute}:00Z caller=flush.go:144 org_id=fake {text}\n")
        };
        let of = |minutes: [&str; 3], text: &str| read(&minutes.map(|m| flush(m, text)).concat());
        let now = ["50", "52", "54"];
        for text in [
            r#"msg="failed to flush user" err="RequestCanceled: request context canceled\ncaused by: context deadline exceeded""#,
            r#"msg="failed to flush" retries=3 err="failed to flush chunks: store put chunk: context deadline exceeded, num_chunks: 1, labels: {app=\"x\"}""#,
            r#"msg="error performing op in flushQueue" op=1 block=a attempts=2 err="error copying block from local to remote storage: context deadline exceeded""#,
        ] {
            assert_eq!(of(now, text), [Cause::Flush], "{text}");
            assert!(of(["54", "54", "54"], text).is_empty(), "a bad moment: {text}");
            assert!(of(["42", "44", "46"], text).is_empty(), "it was made up for: {text}");
        }
        assert!(of(now, r#"msg="error processing request" err="context canceled""#).is_empty(), "who asked went");
        let blocks = r#"msg="GET /api/search" status=500 err="too many failed block queries 1 (max 0)""#;
        assert_eq!(of(now, blocks), [Cause::Blocks]);
    }

    #[test]
    fn limits_of_queries_are_named() {
        for (text, field, now, asked) in [
            ("maximum of series (500) reached for a single query", "max_query_series", "500", ""),
            (
                "the query time range exceeds the limit (query length: 1200h0m0s, limit: 721h0m0s)",
                "max_query_length",
                "721h",
                "1200h",
            ),
            (
                "max entries limit per query exceeded, limit > max_entries_limit_per_query (10000 > 5000)",
                "max_entries_limit_per_query",
                "5000",
                "10000",
            ),
        ] {
            let found = query_limit(text).expect("a limit");
            assert_eq!((found.field, found.now.as_str(), found.asked.as_str()), (field, now, asked), "{text}");
            let line = format!("level=error ts=2026-11-21T02:50:00Z msg=\"error processing request\" err=\"{text}\"\n");
            assert_eq!(read(&line.repeat(3)), [Cause::QueryLimit], "{text}");
        }
        assert!(query_limit("context canceled").is_none());
    }

    #[test]
    fn connections_that_end_on_purpose_are_quiet() {
        let line = |at: [&str; 3], err: &str| -> String {
            at.iter().map(|at| format!("level=error ts=2026-11-21T02:{at}Z caller=scheduler_processor.go:111 msg=\"error contacting scheduler\" err=\"{err}\" addr=10.0.1.9:9095\n")).collect()
        };
        let (now, before) = (["51:30", "52:30", "53:30"], ["43:00", "44:00", "45:00"]);
        let unknown = "rpc error: code = Unimplemented desc = unknown service schedulerpb.SchedulerForQuerier";
        assert_eq!(read(&line(now, unknown)), [Cause::Scheduler]);
        assert!(read(&line(before, unknown)).is_empty(), "it is over");
        assert!(read(&line(["53:30"; 3], unknown).repeat(9)).is_empty(), "a member was replaced");
        assert!(read(&line(now, "rpc error: code = Canceled desc = context canceled")).is_empty());
    }

    #[test]
    fn limits_of_traces_are_named() {
        for (text, field, now) in [
            (
                "LIVE_TRACES_EXCEEDED: max live traces exceeded for tenant single-tenant: per-user traces limit (local: 10000 global: 0 actual local: 10000) exceeded",
                "max_traces_per_user",
                "10000",
            ),
            (
                "TRACE_TOO_LARGE: max size of trace (5000000) exceeded while adding 242475 bytes to trace a1 for tenant t",
                "max_bytes_per_trace",
                "5000000",
            ),
            (
                "RATE_LIMITED: ingestion rate limit (local: 15000000 bytes, global: 0 bytes) exceeded while adding 10 bytes for user t",
                "rate_limit_bytes",
                "15000000",
            ),
        ] {
            let found = trace_limit(text).expect("a limit");
            assert_eq!((found.field, found.now.as_str()), (field, now), "{text}");
            assert_eq!(trouble(text), Some(Cause::Traces), "{text}");
        }
        assert!(!tells(Store::Loki, Cause::Traces, "") && tells(Store::Tempo, Cause::Traces, ""));
    }

    #[test]
    fn members_that_are_missing_are_named() {
        let text = "at least 2 live replicas required, could only find 1 - unhealthy instances: 10.0.1.7:9095,10.0.1.8:9095\\n";
        assert_eq!(unhealthy(text), ["10.0.1.7:9095", "10.0.1.8:9095"]);
        assert!(unhealthy("empty ring").is_empty());
    }

    #[test]
    fn what_is_written_through_kafka() {
        let gone = "failed to commit last consumed offset to Kafka err=UNKNOWN_TOPIC_OR_PARTITION: This server does not host this topic-partition.";
        assert_eq!(trouble(gone), Some(Cause::Topic));
        let away = "unable to open connection to broker err=dial tcp: lookup mimir-kafka.monitoring.svc on 172.20.0.10:53: no such host";
        assert_eq!(trouble(away), Some(Cause::Broker));
        let stream =
            "failed to flush: store put chunk: context deadline exceeded, num_chunks: 1, labels: {app=\"kafka\"}";
        assert_ne!(trouble(stream), Some(Cause::Broker));
    }

    #[test]
    fn mimir_and_tempo_have_the_same_ring() {
        let line = "ts=2026-11-21T02:50:07Z caller=push.go:171 level=error user=anonymous msg=\"detected an error while ingesting\" httpCode=500 err=\"at least 2 live replicas required, could only find 1 - unhealthy instances: 10.0.9.9:9095\"\nts=2026-11-21T02:50:07Z level=error err=\"ingestion rate limit exceeded\"\n";
        let mut snap = Snapshot::empty("2026-11-21T02:55:00Z".parse().expect("a time"));
        let log = ContainerLog {
            image: "grafana/mimir:2.13.0".into(),
            text: line.repeat(3).into(),
            ..ContainerLog::default()
        };
        *snap.part_logs = Ok(vec![log]);
        let found: Vec<_> = failing(&snap).expect("a log").into_iter().map(|f| (f.store, f.trouble)).collect();
        assert_eq!(found, [(Store::Mimir, Cause::Ring)], "its limits are told elsewhere");
    }

    /// On EKS the check of credentials says why a pod gets none; of keys that are written down Loki's own says it.
    #[test]
    fn credentials_on_eks_are_told_of_the_pod() {
        let of = |err: &str, platform: Platform| {
            let mut snap = Snapshot::empty("2026-11-21T02:55:00Z".parse().expect("a time"));
            snap.platform = platform;
            let line = format!("level=error ts=2026-11-21T02:50:00Z msg=\"failed to flush\" err=\"{err}\"\n");
            let log = ContainerLog {
                image: "grafana/loki:3.0.0".into(),
                text: line.repeat(3).into(),
                ..ContainerLog::default()
            };
            *snap.part_logs = Ok(vec![log]);
            failing(&snap).expect("a log").len()
        };
        let none = "store put chunk: NoCredentialProviders: no valid providers in chain";
        assert_eq!((of(none, Platform::Eks), of(none, Platform::Other)), (0, 1));
        let token = "WebIdentityErr: unable to read file: open /var/run/secrets/eks.amazonaws.com/serviceaccount/token: permission denied";
        assert_eq!(of(token, Platform::Eks), 0);
        assert_eq!(trouble(token), Some(Cause::Store(StoreFailure::Credentials)));
        assert_eq!(of("InvalidAccessKeyId: The AWS Access Key Id you provided does not exist", Platform::Eks), 1);
    }

    #[test]
    fn a_list_of_blocks_that_nobody_renews() {
        let old = "expanding series: the bucket index is too old. It was last updated at 2026-11-20T23:45:50Z, which exceeds the maximum allowed staleness period of 1h0m0s (err-mimir-bucket-index-too-old)";
        assert_eq!(trouble(old), Some(Cause::BlockList));
        let cleans = format!("{CLEANS}: failed to iterate over blocks: context deadline exceeded");
        assert_eq!(trouble(&cleans), Some(Cause::BlockList));
        assert!(tells(Store::Mimir, Cause::BlockList, old));
    }

    #[test]
    fn an_ingester_that_never_goes() {
        let line = |minute: u32| {
            format!(
                "level=warn ts=2026-11-21T02:{minute}:00Z caller=logging.go:144 msg=\"POST /loki/api/v1/push (500) 1ms Response: \\\"rpc error: code = Unknown desc = Ingester is shutting down\\\\n\\\"\"\n"
            )
        };
        let all: String = (44..=54).map(line).collect();
        assert_eq!(read(&all), [Cause::Stopping]);
        assert!(read(&line(54).repeat(5)).is_empty(), "one moment of a roll-out");
        let over: String = (41..=45).map(line).collect();
        assert!(read(&over).is_empty(), "it is over");
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
