//! Reads the logs of Elasticsearch and OpenSearch: a cluster that does not come into being.

use std::collections::BTreeMap;

use crate::domain::kubernetes::image::base_of;
use crate::domain::text::lasting::{Lasting, RECENT};
use crate::domain::text::log_line;
use crate::model::Gap;
use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::ContainerLog;

/// Seconds within which a cluster that starts has found its shards.
const STARTS: i64 = 600;

/// The label by which Elastic's operator names the cluster of a pod.
pub(crate) const OF_CLUSTER: &str = "elasticsearch.k8s.elastic.co/cluster-name";

/// A search engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Engine {
    Elasticsearch,
    OpenSearch,
}

impl Engine {
    /// By an image.
    pub(crate) fn of_image(image: &str) -> Option<Self> {
        match base_of(image) {
            "elasticsearch" | "elasticsearch-oss" | "elasticsearch-wolfi" => Some(Self::Elasticsearch),
            "opensearch" => Some(Self::OpenSearch),
            _ => None,
        }
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Elasticsearch => "Elasticsearch",
            Self::OpenSearch => "OpenSearch",
        }
    }

    /// What its nodes choose.
    pub(crate) fn leader(self) -> &'static str {
        match self {
            Self::Elasticsearch => "master",
            Self::OpenSearch => "cluster manager",
        }
    }
}

/// Why it answers nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// Nodes that are to found the cluster do not find each other.
    Discovery,
    /// No node is told which nodes found the cluster.
    Bootstrap,
    /// Too few of the nodes that may be master are there to choose one.
    Quorum,
    /// The index of OpenSearch's security plugin was never made.
    Security,
    /// Shards of an index are nowhere, and what was in them is not found.
    Red,
}

/// What one pod says of one trouble.
#[derive(Debug, Clone)]
pub(crate) struct Failing<'a> {
    pub(crate) engine: Engine,
    pub(crate) trouble: Cause,
    pub(crate) said: Lasting,
    pub(crate) line: &'a str,
    pub(crate) log: &'a ContainerLog,
    /// A host of the others that does not resolve, and the line that says so.
    pub(crate) lost: Option<(&'a str, &'a str)>,
}

/// What the search engines fail at now.
///
/// # Errors
/// The gap, if no log could be read.
pub(crate) fn failing(snap: &Snapshot) -> Result<Vec<Failing<'_>>, Gap> {
    let mut found = Vec::new();
    for log in snap.part_logs()?.iter().filter(|l| !l.previous) {
        let Some(engine) = Engine::of_image(&log.image) else { continue };
        found.extend(of_log(snap, log, engine));
    }
    found.extend(red(snap)?);
    Ok(found)
}

/// Clusters whose last change of health was to red, and that have been so for longer than a start takes. The node that is master
/// says it, once: what counts is the newest word of all of them. Where another node became master since, its log is perhaps not
/// among those that were read, or does not reach back so far: then nobody knows whether it is still so.
fn red(snap: &Snapshot) -> Result<Vec<Failing<'_>>, Gap> {
    let mut newest: BTreeMap<(&str, &str, Engine), (i64, Option<Failing<'_>>)> = BTreeMap::new();
    for log in snap.part_logs()?.iter().filter(|l| !l.previous) {
        let Some(engine) = Engine::of_image(&log.image) else { continue };
        let pod = snap.pod_of_log(log);
        let cluster = pod.and_then(|p| p.metadata.label(OF_CLUSTER)).unwrap_or_default();
        for line in log.text.lines() {
            let state = health(line).or_else(|| line.contains("node changed {previous").then_some("unknown"));
            let Some((state, age)) = state.zip(log_line::age(line, snap.collected_at)) else { continue };
            let is_red = state == "RED" && age >= STARTS;
            let said = Lasting::before(age);
            let failing = is_red.then_some(Failing { engine, trouble: Cause::Red, said, line, log, lost: None });
            let known = newest.entry((log.namespace.as_str(), cluster, engine)).or_insert((i64::MAX, None));
            if age <= known.0 {
                *known = (age, failing);
            }
        }
    }
    Ok(newest.into_values().filter_map(|(_, failing)| failing).collect())
}

/// `Cluster health status changed from [YELLOW] to [RED] (reason: [shards failed [[app][0]]]).`
fn health(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("Cluster health status changed from [")?;
    rest.split_once("to [")?.1.split(']').next()
}

/// The shards that a cluster turned red for: `[app-2026.11.20][0]`.
pub(crate) fn shards(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("shards failed [")?;
    rest.split_once("]])").map(|(shards, _)| shards).filter(|s| !s.is_empty())
}

fn of_log<'a>(snap: &Snapshot, log: &'a ContainerLog, engine: Engine) -> Vec<Failing<'a>> {
    let mut by_trouble: BTreeMap<Cause, Failing<'a>> = BTreeMap::new();
    let mut lost = None;
    for line in log.text.lines() {
        let Some(age) = log_line::age(line, snap.collected_at) else { continue };
        if age > RECENT {
            continue;
        }
        lost = unresolved(line).map(|host| (host, line)).or(lost);
        let Some(trouble) = trouble(line) else { continue };
        let failing = by_trouble.entry(trouble).or_insert_with(|| Failing {
            engine,
            trouble,
            said: Lasting::before(age),
            line,
            log,
            lost: None,
        });
        failing.said.add(age);
        failing.line = line;
    }
    // A cluster that starts has no master for a moment.
    by_trouble.retain(|_, f| f.said.goes_on());
    // Without a master nothing is made, the index of the plugin either.
    if by_trouble.keys().any(|t| *t != Cause::Security) {
        by_trouble.remove(&Cause::Security);
    }
    by_trouble.into_values().map(|f| Failing { lost, ..f }).collect()
}

pub(crate) fn trouble(line: &str) -> Option<Cause> {
    let has = |words: &[&str]| words.iter().any(|w| line.contains(w));
    if has(&["OpenSearch Security not initialized", "Not yet initialized (you may need to run securityadmin)"]) {
        return Some(Cause::Security);
    }
    if !has(&["master not discovered", "cluster-manager not discovered", "cluster_manager not discovered"]) {
        return None;
    }
    Some(match () {
        () if has(&["is empty on this node"]) => Cause::Bootstrap,
        () if has(&["an election requires"]) && has(&["non-quorum", "which is not a quorum"]) => Cause::Quorum,
        () => Cause::Discovery,
    })
}

/// `failed to resolve host [elasticsearch-master-headless]`.
fn unresolved(line: &str) -> Option<&str> {
    line.split_once("failed to resolve host [")?.1.split(']').next().filter(|h| !h.is_empty())
}

/// The nodes that have to be there: `must discover master-eligible nodes [a, b, c] to bootstrap a cluster`.
pub(crate) fn wanted(line: &str) -> Vec<&str> {
    let rest = ["master-eligible nodes [", "cluster-manager-eligible nodes ["].iter().find_map(|w| line.split_once(w));
    let list = rest.and_then(|(_, rest)| rest.split(']').next()).unwrap_or_default();
    list.split(", ").filter(|n| !n.is_empty()).collect()
}

/// No address of another node is known: `discovery will continue using [] from hosts providers`.
pub(crate) fn knows_nobody(line: &str) -> bool {
    line.contains("discovery will continue using [] from hosts providers")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(image: &str, minutes: &[u8], message: &str) -> Vec<Cause> {
        let mut snap = Snapshot::empty("2026-11-21T02:55:00Z".parse().expect("a time"));
        let line = |m: &u8| {
            format!(
                "{{\"type\": \"server\", \"timestamp\": \"2026-11-21T02:{m}:00,660Z\", \"level\": \"WARN\", \"message\": \"{message}\" }}\n"
            )
        };
        let text = minutes.iter().map(line).collect::<String>();
        *snap.part_logs = Ok(vec![ContainerLog { image: image.into(), text: text.into(), ..ContainerLog::default() }]);
        failing(&snap).expect("a log").into_iter().map(|f| f.trouble).collect()
    }

    const ALONE: &str = "master not discovered yet, this node has not previously joined a bootstrapped (v7+) cluster, and this node must discover master-eligible nodes [es-0, es-1, es-2] to bootstrap a cluster: have discovered [{es-0}]; discovery will continue using [] from hosts providers and [{es-0}] from last-known cluster state";

    #[test]
    fn a_cluster_without_a_master_is_told() {
        let elastic = "docker.elastic.co/elasticsearch/elasticsearch:8.10.4";
        assert_eq!(read(elastic, &[50, 52, 54], ALONE), [Cause::Discovery]);
        assert!(read(elastic, &[40, 42, 44], ALONE).is_empty(), "it has one now");
        assert!(read(elastic, &[54, 54, 54], ALONE).is_empty(), "it starts");
        let never = "master not discovered yet, this node has not previously joined a bootstrapped cluster, and [cluster.initial_master_nodes] is empty on this node: have discovered [{es-0}]";
        assert_eq!(read(elastic, &[50, 52, 54], never), [Cause::Bootstrap]);
        let few = "master not discovered or elected yet, an election requires at least 2 nodes with ids from [a, b, c], have only discovered non-quorum [{es-0}]";
        assert_eq!(read(elastic, &[50, 52, 54], few), [Cause::Quorum]);
        assert_eq!((wanted(ALONE), knows_nobody(ALONE)), (vec!["es-0", "es-1", "es-2"], true));
    }

    #[test]
    fn the_newest_word_of_the_clusters_health_counts() {
        let elastic = "docker.elastic.co/elasticsearch/elasticsearch:9.1.4";
        let red =
            "Cluster health status changed from [YELLOW] to [RED] (reason: [shards failed [[app-2026.11.20][0]]]).";
        assert_eq!(read(elastic, &[20], red), [Cause::Red]);
        assert!(read(elastic, &[50], red).is_empty(), "it starts");
        let again = "Cluster health status changed from [RED] to [YELLOW] (reason: [shards started [[app][0]]]).";
        assert!(read(elastic, &[20], again).is_empty());
        assert_eq!(shards(red), Some("[app-2026.11.20][0]"));
        let log = |minute: u8, message: &str| {
            let at = format!("2026-11-21T02:{minute}:00,660Z");
            let text = format!("{{\"timestamp\": \"{at}\", \"level\": \"INFO\", \"message\": \"{message}\"}}\n");
            ContainerLog { image: elastic.into(), text: text.into(), ..ContainerLog::default() }
        };
        let other = "master node changed {previous [{es-0}], current [{es-1}]}, term: 7, version: 90";
        let mut snap = Snapshot::empty("2026-11-21T02:55:00Z".parse().expect("a time"));
        *snap.part_logs = Ok(vec![log(20, red), log(19, other)]);
        assert_eq!(failing(&snap).expect("logs").len(), 1);
        *snap.part_logs = Ok(vec![log(20, red), log(21, other)]);
        assert!(failing(&snap).expect("logs").is_empty(), "what the new master said may not have been read");
    }

    #[test]
    fn the_plugin_of_opensearch_waits_for_a_master() {
        let image = "opensearchproject/opensearch:2.17.0";
        let said = "OpenSearch Security not initialized. (you may need to run securityadmin)";
        assert_eq!(read(image, &[50, 52, 54], said), [Cause::Security]);
        assert!(read("opensearchproject/opensearch-dashboards:2.17.0", &[50, 52, 54], said).is_empty());
        assert!(read(image, &[54, 54, 54], said).is_empty(), "it starts");
    }
}
