//! What is said of Loki, Mimir and Tempo.

use crate::domain::aws::denied::Denied;
use crate::domain::loki::agent_log;
use crate::domain::loki::kafka::Kafka;
use crate::domain::loki::ring::{Slip, majority};
use crate::domain::loki::store_log::{self, Cause, Failing, QueryLimit};
use crate::domain::text::log_line::Line;
use crate::domain::text::message_size;
use crate::domain::text::object_store::{StoreFailure, regions};
use crate::domain::text::redact::redact;
use crate::snapshot::Snapshot;

/// What it does, or cannot do.
pub(super) fn words(failing: &Failing) -> &'static str {
    match failing.trouble {
        Cause::DiskFull => "its disk is full",
        Cause::DiskReadOnly => "it cannot write to its disk",
        Cause::Store(StoreFailure::Credentials) => "it has no valid AWS credentials for its object store",
        Cause::Store(StoreFailure::Denied) => "its role may not use the bucket",
        Cause::Store(StoreFailure::Bucket) => "the bucket does not exist, or lies in another region",
        Cause::Store(StoreFailure::Unreachable) if is_of_sts(&failing.text) => {
            "AWS STS, which gives it the credentials for its object store, cannot be reached"
        }
        Cause::Store(StoreFailure::Unreachable) => "its object store cannot be reached",
        Cause::Store(StoreFailure::Endpoint) => {
            "it asks the endpoint of its object store for its AWS credentials, which only STS gives"
        }
        Cause::Key => "its role may use the bucket, and not the KMS key that encrypts what is in it",
        Cause::KeyOff => "the KMS key that encrypts its bucket is switched off, about to be deleted, or gone",
        Cause::Gone => "chunks that its index names are not in its object store any more",
        Cause::Slow => "its object store takes no more requests for now (SlowDown)",
        Cause::Flush => "its object store does not take in time what it is to keep (flushes are given up)",
        Cause::LocalBlocks => {
            "metrics of traces cannot be asked (TraceQL metrics): its metrics generator has no processor local-blocks"
        }
        Cause::Blocks => "searches fail: blocks of its object store cannot be read",
        Cause::Period => "no period of its schema_config holds the time of lines that it is to write or to read",
        Cause::IndexGateway => "its queriers do not reach the index gateway, and queries are not answered",
        Cause::RuleFolder => "it loads no rules of a tenant: the folder for them is not there",
        Cause::Cache if failing.text.contains("too large") => {
            "a cache does not take what it is given, which is larger than one item may be"
        }
        Cause::Cache => "a cache does not answer, again and again, and what it may have is fetched from the store",
        Cause::Ring => "ingesters are missing from its ring",
        Cause::Stopping => {
            "one of its ingesters refuses everything that it is sent: it is shutting down, but its pod keeps running"
        }
        Cause::Generator => "its metrics generator, which is to make metrics of the spans, is not in its ring",
        Cause::Message => "a message from one of its members to another is larger than is taken",
        Cause::Scheduler => "its queriers do not reach the query scheduler, and queries are not answered",
        Cause::Members => {
            "its members do not find each other: the name that leads to them (memberlist) does not resolve"
        }
        Cause::Compactor => "its compactor fails",
        Cause::BlockList => {
            "queries are refused: the list of a tenant's blocks, which its compactor is to renew, is too old"
        }
        Cause::Topic => "Kafka, through which it writes, does not have the topic: nothing new is kept",
        Cause::Broker => "Kafka, through which it writes, cannot be reached: nothing new is kept",
        Cause::Compactors => {
            "blocks that it compacts are gone before it is done: another compactor is working on the same blocks"
        }
        Cause::Streams => "it refuses new streams (429): the tenant has as many as it may have",
        Cause::Rate => "it refuses lines (429): more bytes in a second than the tenant's limit allows",
        Cause::StreamRate => "it refuses lines (429): more bytes in a second than one stream may have",
        Cause::QueryLimit => "it refuses queries: they ask for more than one query may",
        Cause::Traces => match limit(failing).map_or("", |l| l.field) {
            "max_traces_per_user" => "it refuses traces: more of them are open at once than the tenant may have",
            "max_bytes_per_trace" => "it refuses spans: their trace is larger than one may be",
            _ => "it refuses spans: more bytes in a second than the tenant's limit allows",
        },
        Cause::Queries => "it refuses queries (429): its queue is full (too many outstanding requests)",
    }
}

/// It is STS that does not answer, and not the bucket.
pub(super) fn is_of_sts(text: &str) -> bool {
    ["//sts.", "lookup sts.", "STS: AssumeRole"].iter().any(|w| text.contains(w))
}

/// What the line says beyond its trouble, or its configuration where that explains it.
pub(super) fn more(snap: &Snapshot, failing: &Failing, slip: Option<&Slip>) -> String {
    match slip {
        Some(Slip::TooFew { factor, ingesters, by_default }) => {
            let runs =
                if *ingesters == 1 { "1 ingester runs".to_owned() } else { format!("{ingesters} ingesters run") };
            let unset = if *by_default { " (which nobody sets)" } else { "" };
            return format!(
                ": {runs}, and replication_factor {factor}{unset} wants {} of them at least",
                majority(*factor)
            );
        }
        Some(Slip::Loopback { field }) => {
            return format!(": {field} lets each of them name 127.0.0.1 as its address");
        }
        None => {}
    }
    match failing.trouble {
        Cause::StreamRate => stream(&failing.text).map(|s| format!(": stream {s}")).unwrap_or_default(),
        Cause::QueryLimit | Cause::Traces => match limit(failing) {
            Some(limit) if limit.now.is_empty() => format!(" ({})", limit.field),
            Some(limit) => format!(" ({}: {})", limit.field, limit.now),
            None => String::new(),
        },
        Cause::Key => {
            let denied = Denied::read(&failing.text);
            let named = denied.and_then(|d| d.action.zip(d.resource));
            named.map(|(action, key)| format!(" ({action} on {key})")).unwrap_or_default()
        }
        Cause::RuleFolder => rule_folder(&failing.text).map(|f| format!(" ({f})")).unwrap_or_default(),
        Cause::Message => message_size::words(&failing.text),
        Cause::Ring => match gone(snap, &failing.text).as_slice() {
            [] => String::new(),
            gone => format!(": {} is in it and is no pod's address any more", gone.join(", ")),
        },
        Cause::Store(StoreFailure::Bucket) => match regions(&failing.text) {
            Some((configured, bucket)) => format!(": it lies in {bucket}, and {configured} is configured"),
            None => String::new(),
        },
        _ => String::new(),
    }
}

/// Since when nobody has renewed the list of blocks, of whom, and what the compactor says of it.
pub(super) fn block_list(group: &[Failing]) -> String {
    let old = group.iter().filter(|f| f.trouble == Cause::BlockList);
    let texts: Vec<String> = old.map(|f| Line::parse(&f.text).text()).collect();
    let after = |mark: &str, ends: &[char]| {
        let rest = texts.iter().find_map(|t| t.split_once(mark))?.1;
        Some(rest.split(ends).next()?.to_owned())
    };
    let since = after("last updated at ", &[',', ' ', '"']).map(|at| format!(" (from {at})"));
    let why = after(store_log::CLEANS, &['\n']).map(|w| w.trim_matches([':', ' ']).to_owned());
    let why = why.filter(|w| !w.is_empty()).map(|w| format!("; the compactor cannot clean up: {}", redact(&w)));
    since.unwrap_or_default() + &why.unwrap_or_default()
}

/// `unable to read rule dir /rules/fake: open …`.
pub(super) fn rule_folder(text: &str) -> Option<&str> {
    let rest = text.split_once("unable to read rule dir ")?.1;
    rest.split([':', ' ', '"']).next().filter(|f| f.starts_with('/'))
}

/// The stream that is refused, without the escapes of the log.
fn stream(text: &str) -> Option<String> {
    agent_log::stream(text).map(|s| s.replace('\\', ""))
}

/// Members of the ring that are told as unhealthy and are no pod's address.
pub(super) fn gone(snap: &Snapshot, text: &str) -> Vec<String> {
    let pods = snap.pods().unwrap_or_default();
    let is_there = |address: &str| pods.iter().any(|p| p.status.pod_ip.as_deref() == address.split(':').next());
    store_log::unhealthy(text).into_iter().filter(|a| !is_there(a)).map(str::to_owned).collect()
}

/// The limit that was hit, where the line names it.
pub(super) fn limit(failing: &Failing) -> Option<QueryLimit> {
    store_log::query_limit(&failing.text).or_else(|| store_log::trace_limit(&failing.text))
}

/// Why Kafka has no topic: it keeps what it has in folders that end with its pods.
pub(super) fn forgets(snap: &Snapshot, failing: &Failing, kafka: Option<&Kafka<'_>>) -> String {
    let Some(kafka) = kafka.filter(|k| failing.trouble == Cause::Topic && k.forgets()) else { return String::new() };
    let made = kafka.pods.iter().filter_map(|p| p.metadata.creation_timestamp).max();
    let made = made.map(|t| format!(", made {} minutes ago,", snap.seconds_since(t) / 60)).unwrap_or_default();
    let name = kafka.pods.first().map_or("", |p| p.metadata.name.as_str());
    format!("; Kafka's pod {name}{made} has no volume of its own, so that a new pod begins without topics")
}
