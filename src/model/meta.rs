//! What a check is: its identity, suite, severity and the facts it needs.

use std::fmt;

use super::{Fact, Severity};

/// The stable name of a check: `ebs-csi-addon-missing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckId(pub &'static str);

impl fmt::Display for CheckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

/// A group of checks about one part of the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Suite {
    /// Volumes, classes, CSI drivers and their IAM.
    Storage,
    /// Pods and their controllers.
    Workload,
    /// Prometheus targets and what serves them.
    Scrape,
    /// The Prometheus Operator and what it makes.
    Operator,
    /// Grafana, its datasources and dashboards.
    Grafana,
    /// Alertmanager and its receivers.
    Alerting,
    /// Log agents and the stores that they send to.
    Logs,
    /// VPC routing, NAT, DNS.
    Network,
    /// What the cluster puts between a manifest and a running stack: admission, aggregated APIs, Helm, scaling, eviction.
    Pipeline,
    /// Nodes, node groups and what runs short on them.
    Nodes,
    /// Who may ask the cluster.
    Access,
    /// Manifests and values before they are applied.
    Manifests,
}

impl Suite {
    /// All suites in the order they are shown.
    pub const ALL: [Self; 12] = [
        Self::Storage,
        Self::Workload,
        Self::Scrape,
        Self::Operator,
        Self::Grafana,
        Self::Alerting,
        Self::Logs,
        Self::Network,
        Self::Pipeline,
        Self::Nodes,
        Self::Access,
        Self::Manifests,
    ];

    /// The word used in flags, folders and outputs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Storage => "storage",
            Self::Workload => "workload",
            Self::Scrape => "scrape",
            Self::Operator => "operator",
            Self::Grafana => "grafana",
            Self::Alerting => "alerting",
            Self::Logs => "logs",
            Self::Network => "network",
            Self::Pipeline => "pipeline",
            Self::Nodes => "nodes",
            Self::Access => "access",
            Self::Manifests => "manifests",
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a check is.
#[derive(Debug, Clone, Copy)]
pub struct CheckMeta {
    /// Stable name; also the name of its page, file and fixtures.
    pub id: CheckId,
    /// Suite.
    pub suite: Suite,
    /// One line that names the problem.
    pub title: &'static str,
    /// The highest severity its findings have.
    pub severity: Severity,
    /// Facts without which the check cannot say "all is well".
    pub requires: &'static [Fact],
    /// Facts that sharpen its verdict where they are there.
    pub uses: &'static [Fact],
    /// The schema of its fix: an enum whose variants are the page's fixes.
    pub fix: fn() -> schemars::Schema,
}
