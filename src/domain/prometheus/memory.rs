//! How much memory a container needs: what was measured, the limit to set, and whether a node can hold it.

use std::collections::BTreeSet;

use crate::domain::kubernetes::capacity::{largest_free_without, largest_node};
use crate::model::Program;
use crate::snapshot::kubernetes::{Container, Meta, Pod};
use crate::snapshot::monitoring::Sample;
use crate::snapshot::{Snapshot, format_bytes, parse_quantity};

const MI: f64 = 1_048_576.0;
const GI: f64 = 1024.0 * MI;
/// Memory that Prometheus takes for each series in its head, with what a garbage-collected heap needs on top.
const PER_SERIES: f64 = 8192.0;
/// A raise below this share of the old limit only puts the next kill off.
const WORTH: f64 = 1.2;

/// Memory limit of a container in bytes.
pub(crate) fn limit_of(container: &Container) -> Option<f64> {
    container.resources.limits.get("memory").and_then(|q| parse_quantity(q)).filter(|l| *l > 0.0)
}

/// Memory request of a container in bytes; where none is written the limit counts.
pub(crate) fn request_of(container: &Container) -> Option<f64> {
    let request = container.resources.requests.get("memory").and_then(|q| parse_quantity(q));
    request.filter(|r| *r > 0.0).or_else(|| limit_of(container))
}

/// An amount as a command takes it: never rounded down.
pub(crate) fn exact(bytes: f64) -> String {
    let mi = (bytes / MI).ceil();
    if mi % 1024.0 == 0.0 { format!("{}Gi", mi / 1024.0) } else { format!("{mi}Mi") }
}

/// Rounded up to a size that people write: steps of an eighth or so.
pub(crate) fn sensible(bytes: f64) -> f64 {
    let step = match bytes {
        b if b <= 256.0 * MI => 32.0 * MI,
        b if b <= GI => 128.0 * MI,
        b if b <= 4.0 * GI => 512.0 * MI,
        b if b <= 16.0 * GI => GI,
        _ => 4.0 * GI,
    };
    (bytes / step).ceil() * step
}

/// What is known of a container's use of memory, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Measured {
    /// Now, with the API that said it.
    pub(crate) now: Option<(f64, Meter)>,
    /// At most, within the last day.
    pub(crate) peak: Option<f64>,
    /// Series in the head of Prometheus.
    pub(crate) series: Option<f64>,
}

/// Who measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meter {
    /// The metrics API.
    MetricsApi,
    /// cAdvisor's metric in Prometheus.
    Cadvisor,
    /// Prometheus' own `process_resident_memory_bytes`.
    Process,
}

impl Measured {
    /// What was measured of one container of some pods: the highest value.
    pub(crate) fn of(snap: &Snapshot, pods: &[&Pod], container: &Container) -> Self {
        let mine = |namespace: &str, pod: &str| {
            pods.iter().any(|p| p.metadata.namespace == namespace && p.metadata.name == pod)
        };
        let by_api = snap.pod_metrics.items().unwrap_or_default().iter().filter_map(|m| {
            let used = m.containers.iter().find(|c| c.name == container.name)?;
            mine(&m.metadata.namespace, &m.metadata.name).then(|| parse_quantity(used.usage.get("memory")?))?
        });
        let recorded: Vec<_> = snap
            .container_memory
            .iter()
            .flatten()
            .filter(|m| m.container == container.name && mine(&m.namespace, &m.pod))
            .collect();
        let highest = |values: &mut dyn Iterator<Item = f64>| values.filter(|v| *v > 0.0).reduce(f64::max);
        let own = own_metrics(snap, pods, container);
        let gauge = |name: &str| own.and_then(|all| all.iter().find(|s| s.name == name)).map(|s| s.value);
        let now = highest(&mut { by_api })
            .map(|v| (v, Meter::MetricsApi))
            .or_else(|| highest(&mut recorded.iter().filter_map(|m| m.now)).map(|v| (v, Meter::Cadvisor)))
            .or_else(|| gauge("process_resident_memory_bytes").map(|v| (v, Meter::Process)));
        Self {
            now,
            peak: highest(&mut recorded.iter().filter_map(|m| m.peak)),
            series: gauge("prometheus_tsdb_head_series").filter(|s| *s > 0.0),
        }
    }

    /// The highest use that was seen.
    pub(crate) fn highest(&self) -> Option<f64> {
        self.now.map(|(v, _)| v).into_iter().chain(self.peak).reduce(f64::max)
    }

    /// What Prometheus needs for its series.
    pub(crate) fn for_series(&self) -> f64 {
        self.series.unwrap_or(0.0) * PER_SERIES
    }
}

/// Prometheus' own metrics, if it can only be this container that gave them.
fn own_metrics<'a>(snap: &'a Snapshot, pods: &[&Pod], container: &Container) -> Option<&'a [Sample]> {
    let at = snap.scope.prometheus.as_ref()?;
    if container.program() != Some(Program::Prometheus) || pods.iter().any(|p| p.metadata.namespace != at.namespace) {
        return None;
    }
    let all = snap.pods.items().ok()?.iter().filter(|p| p.metadata.namespace == at.namespace && !p.is_finished());
    let owners: BTreeSet<_> = all
        .filter(|p| p.spec.containers.iter().any(|c| c.program() == Some(Program::Prometheus)))
        .map(|p| &p.metadata.name)
        .collect();
    // Behind one Service with several replicas, nobody knows which one answered.
    (owners.len() == 1).then(|| snap.prometheus_metrics().ok().map(Vec::as_slice))?
}

/// A limit to set, with the node that can hold it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Proposal {
    /// The limit in bytes.
    pub(crate) limit: f64,
    /// The request to go with it.
    pub(crate) request: f64,
    /// Whether a node can hold it.
    pub(crate) fit: Fit,
    /// Why this much, in words.
    pub(crate) basis: String,
}

/// Whether a node can hold a container of some size.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fit {
    /// This node has so much left for it.
    Left { node: String, free: f64 },
    /// What the nodes have left is not known; this is the largest, with all that it has.
    Whole { node: String, all: f64 },
    /// No node has so much left; this one has most.
    NoneLeft { node: String, free: f64 },
    /// No node is so large; this is the largest.
    TooLarge { node: String, all: f64 },
    /// No node could be read.
    Unknown,
}

impl Fit {
    /// True where no node can hold it.
    pub(crate) fn is_no(&self) -> bool {
        matches!(self, Self::NoneLeft { .. } | Self::TooLarge { .. })
    }

    /// As the end of a sentence that begins with the limit.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Left { node, free } => format!("fits node {node}, which has {} left for it", format_bytes(*free)),
            Self::Whole { node, all } => {
                format!("fits a node such as {node} ({} allocatable in all)", format_bytes(*all))
            }
            Self::NoneLeft { node, free } => {
                format!("fits no node: {node} has most left, {}", format_bytes(*free))
            }
            Self::TooLarge { node, all } => {
                format!("fits no node: the largest, {node}, has {} allocatable", format_bytes(*all))
            }
            Self::Unknown => "has to fit a node".to_owned(),
        }
    }
}

/// Whether a node can hold a container with this limit, when its pod is replaced.
fn fit(snap: &Snapshot, pod: &Pod, limit: f64, container: &Container) -> Fit {
    let own = |meta: &Meta| meta.namespace == pod.metadata.namespace && meta.name == pod.metadata.name;
    // The other containers of the pod need their part of the node too.
    let others: f64 = pod.spec.containers.iter().filter(|c| c.name != container.name).filter_map(request_of).sum();
    let Some((largest, all)) = largest_node(snap, pod, "memory") else { return Fit::Unknown };
    let all = (all - others).max(0.0);
    if limit > all {
        return Fit::TooLarge { node: largest, all };
    }
    match largest_free_without(snap, pod, "memory", own) {
        Some((node, free)) if limit <= free - others => Fit::Left { node, free: free - others },
        Some((node, free)) => Fit::NoneLeft { node, free: (free - others).max(0.0) },
        None => Fit::Whole { node: largest, all },
    }
}

/// The limit that a container should get which `needs` so much; the largest that fits where that is still worth it.
pub(crate) fn propose(snap: &Snapshot, pod: &Pod, container: &Container, needs: f64, basis: String) -> Proposal {
    let old = limit_of(container);
    let request = |limit: f64| match (request_of(container), old) {
        // The scheduler goes on to reckon with the same share of the limit.
        (Some(request), Some(old)) => exact_share(limit * (request / old).clamp(0.25, 1.0), limit),
        _ => exact_share(limit * 0.75, limit),
    };
    let limit = sensible(needs);
    let whole = fit(snap, pod, limit, container);
    let room = match &whole {
        Fit::NoneLeft { free, .. } | Fit::TooLarge { all: free, .. } => *free,
        _ => return Proposal { limit, request: request(limit), fit: whole, basis },
    };
    let smaller = (room / (128.0 * MI)).floor() * 128.0 * MI;
    if old.is_some_and(|old| smaller >= old * WORTH) {
        let fit = fit(snap, pod, smaller, container);
        if !fit.is_no() {
            let basis = format!("{basis}; {} would be better, but no node has room for it", exact(limit));
            return Proposal { limit: smaller, request: request(smaller), fit, basis };
        }
    }
    Proposal { limit, request: request(limit), fit: whole, basis }
}

fn exact_share(bytes: f64, limit: f64) -> f64 {
    sensible(bytes).min(limit)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::snapshot::Listing;

    #[test]
    fn sizes_are_those_that_people_write() {
        for (bytes, text) in [
            (100.0 * MI, "128Mi"),
            (512.0 * MI, "512Mi"),
            (600.0 * MI, "640Mi"),
            (GI, "1Gi"),
            (1.1 * GI, "1536Mi"),
            (3.2 * GI, "3584Mi"),
            (5.5 * GI, "6Gi"),
            (17.0 * GI, "20Gi"),
        ] {
            assert_eq!(exact(sensible(bytes)), text);
        }
    }

    fn snapshot(allocatable: &str) -> (Snapshot, Pod) {
        let mut snap = Snapshot::empty(jiff::Timestamp::UNIX_EPOCH);
        let node = json!([{"metadata": {"name": "a"}, "status": {"allocatable": {"memory": allocatable},
            "conditions": [{"type": "Ready", "status": "True"}]}}]);
        snap.nodes = Listing::cluster(serde_json::from_value(node).expect("nodes"));
        let pod = json!({"metadata": {"name": "p", "namespace": "n"}, "spec": {"containers": [
            {"name": "x", "resources": {"limits": {"memory": "1Gi"}, "requests": {"memory": "512Mi"}}}]}});
        (snap, serde_json::from_value(pod).expect("a pod"))
    }

    #[test]
    fn a_limit_keeps_its_share_of_request_and_fits_a_node() {
        let (snap, pod) = snapshot("4Gi");
        let made = propose(&snap, &pod, &pod.spec.containers[0], 2.0 * GI, String::new());
        assert_eq!((exact(made.limit), exact(made.request)), ("2Gi".into(), "1Gi".into()));
        assert!(matches!(made.fit, Fit::Whole { .. }), "{:?}", made.fit);
    }

    #[test]
    fn where_the_wanted_size_does_not_fit_a_smaller_one_may() {
        let (snap, pod) = snapshot("1600Mi");
        let made = propose(&snap, &pod, &pod.spec.containers[0], 2.0 * GI, String::new());
        assert_eq!(exact(made.limit), "1536Mi");
        let (snap, pod) = snapshot("1100Mi");
        let made = propose(&snap, &pod, &pod.spec.containers[0], 2.0 * GI, String::new());
        assert!(made.fit.is_no(), "{:?}", made.fit);
    }

    #[test]
    fn the_metrics_api_comes_before_what_prometheus_says_of_itself() {
        let (mut snap, pod) = snapshot("4Gi");
        let container = &pod.spec.containers[0];
        assert_eq!(Measured::of(&snap, &[&pod], container), Measured::default());
        let used = json!([{"metadata": {"name": "p", "namespace": "n"}, "containers": [{"name": "x", "usage": {"memory": "900Mi"}}]}]);
        snap.pod_metrics = Listing::cluster(serde_json::from_value(used).expect("metrics"));
        assert_eq!(Measured::of(&snap, &[&pod], container).now, Some((900.0 * MI, Meter::MetricsApi)));
    }
}
