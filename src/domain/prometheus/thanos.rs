//! What the logs of Thanos say: a compactor that has stopped, an object store that refuses.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::domain::kubernetes::image::base_of;
use crate::domain::text::disk_error::DiskError;
use crate::domain::text::log_line::{Level, Line};
use crate::domain::text::message_size;
use crate::domain::text::object_store::StoreFailure;
use crate::model::Gap;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Pod};
use crate::snapshot::monitoring::ContainerLog;
use crate::text::pattern::pattern;

/// Seconds for which a failure that is tried again counts: blocks are made every two hours.
const RECENT: i64 = 3 * 3600;
/// Seconds for which a name counts that does not resolve: names are asked for each half minute.
const ASKED: i64 = 900;

/// What Thanos fails at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// The compactor has halted: blocks overlap.
    Overlap,
    /// The compactor has halted for another reason.
    Halted,
    /// The object store.
    Store(StoreFailure),
    /// Its disk is full.
    DiskFull,
    /// A query part finds none of the stores that it is given.
    Stores,
    /// Two stores say that they have the same external labels.
    Twins,
    /// A sidecar cannot ask its Prometheus, which runs.
    Prometheus,
    /// A query asks for more than a store may give.
    Limit,
    /// A message from one part to another is larger than is taken.
    Message,
    /// A receiver's hashring has fewer members than samples are to have copies.
    Hashring,
}

/// What one container says of one trouble.
#[derive(Debug, Clone)]
pub(crate) struct Failing<'a> {
    pub(crate) trouble: Cause,
    pub(crate) log: &'a ContainerLog,
    pub(crate) times: usize,
    pub(crate) last: Option<Timestamp>,
    pub(crate) text: String,
    /// Blocks that the message names.
    pub(crate) blocks: Vec<String>,
    /// The store that has another one's labels: its address and the labels.
    pub(crate) twin: Option<(String, String)>,
}

/// True for a container of Thanos.
pub(crate) fn is_thanos(container: &Container) -> bool {
    is_image(&container.image)
}

pub(crate) fn is_image(image: &str) -> bool {
    base_of(image) == "thanos"
}

/// The part of Thanos that a container runs: `compact`, `sidecar`, `store` …
pub(crate) fn component(container: &Container) -> &str {
    let known = ["sidecar", "compact", "store", "query", "query-frontend", "receive", "rule"];
    let words = container.command.iter().chain(&container.args).map(String::as_str);
    words.into_iter().find(|w| known.contains(w)).unwrap_or_default()
}

/// What the running parts of Thanos fail at.
///
/// # Errors
/// The gap, if no log could be read.
pub(crate) fn failing(snap: &Snapshot) -> Result<Vec<Failing<'_>>, Gap> {
    let logs = snap.part_logs()?.iter().filter(|l| !l.previous && is_image(&l.image));
    Ok(logs.flat_map(|log| of_log(snap, log)).collect())
}

fn of_log<'a>(snap: &Snapshot, log: &'a ContainerLog) -> Vec<Failing<'a>> {
    let mut by_trouble: BTreeMap<Cause, Failing<'a>> = BTreeMap::new();
    for line in log.text.lines().map(Line::parse).filter(|l| matches!(l.level, Level::Warning | Level::Error)) {
        let Some(trouble) = trouble(&line) else { continue };
        // A compactor that has halted says so once, and then does nothing until it is started again.
        let lasts = matches!(trouble, Cause::Overlap | Cause::Halted);
        let asked =
            matches!(trouble, Cause::Stores | Cause::Twins | Cause::Hashring | Cause::Prometheus | Cause::Message);
        if asked && line.is_older(snap.collected_at, ASKED) {
            continue;
        }
        if !lasts && line.is_older(snap.collected_at, RECENT) {
            continue;
        }
        let failing = by_trouble.entry(trouble).or_insert_with(|| Failing {
            trouble,
            log,
            times: 0,
            last: None,
            text: String::new(),
            blocks: Vec::new(),
            twin: None,
        });
        failing.times += 1;
        failing.last = line.at.or(failing.last);
        // The name says more than that something is not reached.
        let named = |t: &str| t.contains("lookup");
        if !(trouble == Cause::Stores && named(&failing.text) && !named(&line.text())) {
            let place = [line.get("host"), line.get("address")].into_iter().find(|w| !w.is_empty());
            failing.text = match place.filter(|place| !line.text().contains(place)) {
                Some(place) => format!("{} ({place})", line.text()),
                None => line.text(),
            };
        }
        failing.blocks = blocks(&failing.text);
        if trouble == Cause::Twins {
            let labels = [line.get("extLset"), line.get("nextLset")].into_iter().find(|l| !l.is_empty());
            failing.twin = Some((line.get("address").to_owned(), labels.unwrap_or_default().replace('\\', "")));
        }
    }
    // One refused upload is tried again.
    let enough = |f: &Failing<'_>| match f.trouble {
        Cause::Store(_) => f.times > 1,
        Cause::Stores | Cause::Twins | Cause::Hashring | Cause::Prometheus | Cause::Limit | Cause::Message => {
            f.times > 2
        }
        _ => true,
    };
    by_trouble.into_values().filter(enough).collect()
}

fn trouble(line: &Line<'_>) -> Option<Cause> {
    let text = line.text();
    if DiskError::read(&text) == Some(DiskError::Full) {
        return Some(Cause::DiskFull);
    }
    if text.contains("critical error detected; halting") {
        return Some(if text.contains("overlaps found") { Cause::Overlap } else { Cause::Halted });
    }
    if text.contains("found duplicate store") {
        return Some(Cause::Twins);
    }
    if text.contains("insufficient nodes; have")
        || text.contains("endpoints needs to be larger than replication factor")
    {
        return Some(Cause::Hashring);
    }
    let lookup = ["failed to lookup SRV records", "failed to lookup IP addresses", "lookup IP addresses failed"];
    if lookup.iter().any(|w| text.contains(w))
        || text.contains("some of the expected endpoints are not reachable")
        || ["update of node failed", "update of endpoint failed", "new endpoint creation failed"]
            .iter()
            .any(|w| text.contains(w))
            && ["getting metadata", "get info", "dial tcp", "handshake"].iter().any(|w| text.contains(w))
    {
        return Some(Cause::Stores);
    }
    // One that is only starting, or away, does not answer at all.
    let own = ["heartbeat failed", "perform GET request against", "failed to fetch initial external labels"];
    if own.iter().any(|w| text.contains(w)) {
        return ASKED_WRONG.iter().any(|w| text.contains(w)).then_some(Cause::Prometheus);
    }
    if message_size::is_too_large(&text) {
        return Some(Cause::Message);
    }
    let limits = ["exceeded series limit", "exceeded samples limit", "exceeded chunks limit", "exceeded bytes limit"];
    if limits.iter().any(|w| text.contains(w)) {
        return Some(Cause::Limit);
    }
    StoreFailure::of(&text).map(Cause::Store)
}

/// How a Prometheus answers that is asked at the wrong path, in the wrong scheme or without its login.
const ASKED_WRONG: &[&str] = &[
    "got 404",
    "got 401",
    "got 403",
    "got 400",
    "server gave HTTP response to HTTPS client",
    "HTTP request to an HTTPS server",
    "x509:",
];

/// ULIDs that a text names, each once.
fn blocks(text: &str) -> Vec<String> {
    let ulid = pattern!(r"\b01[0-9A-HJKMNP-TV-Z]{24}\b");
    let all: BTreeSet<&str> = ulid.find_iter(text).map(|m| m.as_str()).collect();
    all.into_iter().map(str::to_owned).collect()
}

/// Pods that run the compactor, which a bucket may have only one of.
pub(crate) fn compactors(snap: &Snapshot) -> Vec<&Pod> {
    let pods = snap.pods.items().unwrap_or_default().iter().filter(|p| !p.is_finished());
    pods.filter(|p| p.spec.containers.iter().any(|c| is_thanos(c) && component(c) == "compact")).collect()
}

/// The flag with which a container finds its object store, for a shell in that container.
pub(crate) fn store_flag(container: &Container) -> String {
    let words = container.command.iter().chain(&container.args);
    let found = words.map(String::as_str).find(|w| w.starts_with("--objstore.config"));
    // `$(NAME)` is filled in by the kubelet; a shell reads the same variable as "$NAME".
    found.map_or_else(
        || "--objstore.config-file=<file>".to_owned(),
        |flag| match flag.split_once("=$(") {
            Some((name, variable)) => format!("{name}=\"${}\"", variable.trim_end_matches(')')),
            None => flag.to_owned(),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(Cause, Vec<String>)> {
        let mut snap = Snapshot::empty("2026-11-21T02:55:00Z".parse().expect("a time"));
        *snap.part_logs = Ok(vec![ContainerLog {
            image: "quay.io/thanos/thanos:v0.35.0".into(),
            text: text.into(),
            ..ContainerLog::default()
        }]);
        failing(&snap).expect("a log").into_iter().map(|f| (f.trouble, f.blocks)).collect()
    }

    #[test]
    fn a_halt_is_told_once_and_lasts() {
        let line = "ts=2026-11-19T02:50:00Z caller=compact.go:491 level=error msg=\"critical error detected; halting\" err=\"compaction: group 0@17977: pre compaction overlap check: overlaps found while gathering blocks. [mint: 1, maxt: 2]: <ulid: 01EN2K69JMEZPBFBKKSN85P3XC, mint: 1>, <ulid: 01EN9KCY087K6V2CECBZA71X72, mint: 1>\"\n";
        let found = read(line);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, Cause::Overlap);
        assert_eq!(found[0].1, ["01EN2K69JMEZPBFBKKSN85P3XC", "01EN9KCY087K6V2CECBZA71X72"]);
    }

    #[test]
    fn a_prometheus_that_is_asked_wrongly_is_told_from_one_that_starts() {
        let line = |err: &str| {
            format!(
                "ts=2026-11-21T02:50:00Z caller=sidecar.go:211 level=warn msg=\"heartbeat failed\" err=\"perform GET request against http://127.0.0.1:9090/api/v1/status/config: {err}\"\n"
            )
        };
        let found = |err: &str| read(&line(err).repeat(3)).into_iter().map(|f| f.0).collect::<Vec<_>>();
        assert_eq!(found("expected 2xx response, got 404. Body: 404 page not found"), [Cause::Prometheus]);
        assert!(found("Get: dial tcp 127.0.0.1:9090: connect: connection refused").is_empty());
        let limit = "ts=2026-11-21T02:50:00Z caller=proxy.go:279 level=error err=\"fetch series: rpc error: code = ResourceExhausted desc = exceeded series limit: limit 10000 violated (got 10234)\"\n";
        assert_eq!(read(&limit.repeat(3))[0].0, Cause::Limit);
        let large = "ts=2026-11-21T02:50:00Z caller=handler.go:331 level=error component=receive err=\"forwarding request to endpoint thanos-receive-2:10901: rpc error: code = ResourceExhausted desc = grpc: received message larger than max (5955344 vs. 4194304)\"\n";
        assert_eq!(read(&large.repeat(3))[0].0, Cause::Message);
        assert!(read(&large.repeat(2)).is_empty(), "a single large request");
    }

    #[test]
    fn one_refused_upload_is_no_trouble() {
        let line = "ts=2026-11-21T02:50:00Z caller=sidecar.go:392 level=warn err=\"upload 01HN4: Access Denied.\" uploaded=0\n";
        assert!(read(line).is_empty());
        assert_eq!(read(&line.repeat(2))[0].0, Cause::Store(StoreFailure::Denied));
        assert!(read(&line.replace("21T02", "20T02").repeat(9)).is_empty(), "it is over");
    }

    #[test]
    fn the_store_is_found_as_the_container_finds_it() {
        let with = |flag: &str| Container { args: vec!["compact".into(), flag.into()], ..Container::default() };
        assert_eq!(store_flag(&with("--objstore.config=$(OBJSTORE_CONFIG)")), "--objstore.config=\"$OBJSTORE_CONFIG\"");
        assert_eq!(store_flag(&with("--objstore.config-file=/etc/o.yml")), "--objstore.config-file=/etc/o.yml");
        assert_eq!(component(&with("--x")), "compact");
    }
}
