//! When something is worth mentioning. Teams see some of it differently.

/// Bounds of checks that `kdoctor.toml` may set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// Share of its memory limit that Prometheus may use: `memory-headroom`.
    pub memory_share: f64,
    /// Series that one metric may have: `prometheus-cardinality`.
    pub metric_series: u64,
    /// Days within which a volume that fills up is worth a warning: `tsdb-retention`.
    pub volume_days: i64,
}

impl Default for Thresholds {
    fn default() -> Self {
        // A compaction or a heavy query takes a fifth; a metric of so many series takes about a gigabyte.
        Self { memory_share: 0.8, metric_series: 130_000, volume_days: 14 }
    }
}
