//! The queue of a remote write, by Prometheus' own metrics.

use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::Sample;

/// Seconds that a queue may lag: as in Prometheus' own alert PrometheusRemoteWriteBehind.
const BEHIND: f64 = 120.0;

/// What the metrics say of one queue; what they do not hold is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Queue {
    /// Unix time of the newest sample of all.
    newest: Option<f64>,
    /// Unix time of the newest sample that was sent; 0: none was.
    sent: Option<f64>,
    pub(crate) pending: Option<f64>,
    pub(crate) shards: Option<f64>,
    pub(crate) desired: Option<f64>,
    pub(crate) max: Option<f64>,
}

impl Queue {
    /// The queue of this name, else the one of this URL.
    pub(crate) fn of(snap: &Snapshot, name: &str, url: &str) -> Option<Self> {
        let all = snap.prometheus_metrics().ok()?;
        let mine = |s: &&Sample| {
            s.labels.get("remote_name").is_some_and(|n| n == name) || s.labels.get("url").is_some_and(|u| u == url)
        };
        let named: Vec<&Sample> = all.iter().filter(mine).collect();
        let value = |metric: &str| {
            named.iter().find(|s| s.name.strip_prefix("prometheus_remote_storage_") == Some(metric)).map(|s| s.value)
        };
        // With several queues the newest sample is one of the server.
        let newest = all.iter().find(|s| s.name == "prometheus_remote_storage_highest_timestamp_in_seconds");
        (!named.is_empty()).then(|| Self {
            newest: newest.map(|s| s.value),
            sent: value("queue_highest_sent_timestamp_seconds"),
            pending: value("samples_pending"),
            shards: value("shards"),
            desired: value("shards_desired"),
            max: value("shards_max"),
        })
    }

    /// Every queue that the metrics know: name and URL.
    pub(crate) fn all(snap: &Snapshot) -> Vec<(String, String)> {
        let shards = snap.prometheus_metrics().map(Vec::as_slice).unwrap_or_default();
        let of = |s: &Sample| Some((s.labels.get("remote_name")?.clone(), s.labels.get("url")?.clone()));
        shards.iter().filter(|s| s.name == "prometheus_remote_storage_shards").filter_map(of).collect()
    }

    /// Seconds that it lags; `None` where it never sent anything, or the metrics do not say.
    pub(crate) fn lag(&self) -> Option<f64> {
        let sent = self.sent.filter(|s| *s > 0.0)?;
        Some((self.newest? - sent).max(0.0))
    }

    /// It has sent nothing since Prometheus started.
    pub(crate) fn never_sent(&self) -> bool {
        self.sent.is_none_or(|s| s <= 0.0) && self.pending.is_some_and(|p| p > 0.0)
    }

    /// Whether samples wait longer than they should.
    pub(crate) fn is_behind(&self) -> Option<bool> {
        if self.never_sent() {
            return Some(true);
        }
        self.lag().map(|lag| lag > BEHIND)
    }

    /// It would need more shards than it may have.
    pub(crate) fn is_at_limit(&self) -> bool {
        matches!((self.desired, self.max), (Some(desired), Some(max)) if desired > max)
    }
}
