//! What the alerts watch: told by what their expressions read, whatever their names.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::kubernetes::parts::Part;
use crate::domain::prometheus::reads::{Read, reads};
use crate::snapshot::monitoring::{Rule, RuleGroup};

/// Recording rules that stand between an alert and what it reads, at most.
const DEPTH: usize = 4;

/// One of the eight faults that every cluster has sooner or later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Core {
    Cpu,
    Memory,
    NodeNotReady,
    DiskPressure,
    CrashLoop,
    OomKilled,
    Restarts,
    PodNotReady,
}

impl Core {
    /// All of them, in the order in which they are named.
    pub(crate) const ALL: [Self; 8] = [
        Self::Cpu,
        Self::Memory,
        Self::NodeNotReady,
        Self::DiskPressure,
        Self::CrashLoop,
        Self::OomKilled,
        Self::Restarts,
        Self::PodNotReady,
    ];

    /// In words.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cpu => "high CPU",
            Self::Memory => "high memory",
            Self::NodeNotReady => "a node that is not ready",
            Self::DiskPressure => "disk pressure",
            Self::CrashLoop => "crash loops",
            Self::OomKilled => "OOM kills",
            Self::Restarts => "restarts",
            Self::PodNotReady => "pods that are not ready",
        }
    }

    /// An alert that watches it, with the metrics of node-exporter and kube-state-metrics: name, expression, wait.
    pub(crate) fn alert(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Cpu => {
                ("NodeCPUHigh", "1 - avg by (instance) (rate(node_cpu_seconds_total{mode=\"idle\"}[5m])) > 0.9", "15m")
            }
            Self::Memory => {
                ("NodeMemoryHigh", "1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes > 0.9", "15m")
            }
            Self::NodeNotReady => {
                ("NodeNotReady", "kube_node_status_condition{condition=\"Ready\",status=\"true\"} == 0", "10m")
            }
            Self::DiskPressure => (
                "NodeDiskPressure",
                "kube_node_status_condition{condition=\"DiskPressure\",status=\"true\"} == 1",
                "5m",
            ),
            Self::CrashLoop => (
                "PodCrashLooping",
                "max_over_time(kube_pod_container_status_waiting_reason{reason=\"CrashLoopBackOff\"}[5m]) >= 1",
                "15m",
            ),
            Self::OomKilled => (
                "ContainerOOMKilled",
                "increase(kube_pod_container_status_restarts_total[15m]) > 0 and on (namespace, pod, container) \
                 kube_pod_container_status_last_terminated_reason{reason=\"OOMKilled\"} == 1",
                "0m",
            ),
            Self::Restarts => ("PodRestarting", "increase(kube_pod_container_status_restarts_total[1h]) > 3", "5m"),
            // A pod that has completed is not ready for good.
            Self::PodNotReady => (
                "PodNotReady",
                "sum by (namespace, pod) (kube_pod_status_ready{condition=\"false\"}) > 0 unless on (namespace, pod) \
                 kube_pod_status_phase{phase=~\"Succeeded|Failed\"} == 1",
                "15m",
            ),
        }
    }

    /// Who measures what the alert reads.
    pub(crate) fn measured_by(self) -> Part {
        match self {
            Self::Cpu | Self::Memory => Part::NodeExporter,
            _ => Part::KubeStateMetrics,
        }
    }

    /// The metric is one that tells of it.
    pub(crate) fn is_measured_by(self, metric: &str) -> bool {
        match self {
            Self::Cpu => metric.starts_with("node_cpu_"),
            Self::Memory => metric.starts_with("node_memory_"),
            Self::NodeNotReady | Self::DiskPressure => metric == "kube_node_status_condition",
            Self::CrashLoop => metric == "kube_pod_container_status_waiting_reason",
            Self::OomKilled => metric == "kube_pod_container_status_last_terminated_reason",
            Self::Restarts => metric == "kube_pod_container_status_restarts_total",
            Self::PodNotReady => metric == "kube_pod_status_ready",
        }
    }

    /// An expression that reads this, and says this, watches it.
    fn is_watched_by(self, expr: &str, read: &Read) -> bool {
        let metric = read.metric.as_str();
        let begins = |prefixes: &[&str]| prefixes.iter().any(|p| metric.starts_with(p));
        match self {
            Self::Cpu => begins(&["node_cpu_", "container_cpu_", "node_load", "windows_cpu_", "process_cpu_"]),
            Self::Memory => begins(&["node_memory_", "container_memory_", "windows_memory_", "windows_os_"]),
            Self::NodeNotReady => metric == "kube_node_status_condition" && expr.contains("Ready"),
            Self::DiskPressure => {
                metric == "kube_node_status_condition" && expr.contains("DiskPressure")
                    || begins(&["node_filesystem_", "kubelet_volume_stats_"])
            }
            Self::CrashLoop => {
                metric == "kube_pod_container_status_waiting_reason" || expr.contains("CrashLoopBackOff")
            }
            Self::OomKilled => expr.contains("OOMKilled") || begins(&["container_oom_events", "node_vmstat_oom_kill"]),
            Self::Restarts => metric == "kube_pod_container_status_restarts_total",
            Self::PodNotReady => begins(&[
                "kube_pod_status_phase",
                "kube_pod_status_ready",
                "kube_pod_container_status_ready",
                "kube_deployment_status_replicas_",
                "kube_statefulset_status_replicas",
                "kube_daemonset_status_",
            ]),
        }
    }
}

/// What no alert watches.
pub(crate) fn missing(groups: &[RuleGroup]) -> Vec<Core> {
    let recorded: BTreeMap<&str, &str> =
        rules(groups).filter(|r| r.kind == "recording").map(|r| (r.name.as_str(), r.query.as_str())).collect();
    let mut watched: BTreeSet<Core> = BTreeSet::new();
    for rule in alerts(groups) {
        for expr in expressions(&rule.query, &recorded) {
            for read in reads(expr) {
                watched.extend(Core::ALL.into_iter().filter(|c| c.is_watched_by(expr, &read)));
            }
        }
    }
    // What is killed or restarts again and again ends in a crash loop.
    let in_a_loop = watched.contains(&Core::CrashLoop);
    let implied = |c: &Core| in_a_loop && matches!(c, Core::OomKilled | Core::Restarts);
    Core::ALL.into_iter().filter(|c| !watched.contains(c) && !implied(c)).collect()
}

/// An expression, and those of the recording rules whose results it reads.
fn expressions<'a>(query: &'a str, recorded: &BTreeMap<&str, &'a str>) -> Vec<&'a str> {
    let mut all = vec![query];
    let mut from = 0;
    for _ in 0..DEPTH {
        let until = all.len();
        for at in from..until {
            for read in reads(all[at]) {
                if let Some(expr) = recorded.get(read.metric.as_str()).filter(|e| !all.contains(*e)) {
                    all.push(expr);
                }
            }
        }
        from = until;
    }
    all
}

fn rules(groups: &[RuleGroup]) -> impl Iterator<Item = &Rule> {
    groups.iter().flat_map(|g| &g.rules)
}

/// The alerting rules.
pub(crate) fn alerts(groups: &[RuleGroup]) -> impl Iterator<Item = &Rule> {
    rules(groups).filter(|r| r.kind == "alerting")
}

/// Fires at the first sample that is out of line: no `for`, and nothing in the expression that looks back.
pub(crate) fn is_hasty(rule: &Rule) -> bool {
    let read = reads(&rule.query);
    // What reads no metric, or the alerts themselves, is meant to be always there.
    let steady = read.is_empty() || read.iter().all(|r| matches!(r.metric.as_str(), "ALERTS" | ""));
    rule.duration <= 0.0 && !steady && !rule.query.contains('[')
}

/// Says nothing of how bad it is.
pub(crate) fn lacks_severity(rule: &Rule) -> bool {
    !["severity", "priority", "level"].iter().any(|l| rule.labels.contains_key(*l))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn groups(rules: serde_json::Value) -> Vec<RuleGroup> {
        serde_json::from_value(json!([{"name": "g", "rules": rules}])).expect("rule groups")
    }

    #[test]
    fn what_is_read_counts_and_not_the_name() {
        let all = groups(json!([
            {"type": "recording", "name": "instance:cpu:ratio", "query": "1 - avg(rate(node_cpu_seconds_total{mode=\"idle\"}[5m]))"},
            {"type": "alerting", "name": "Busy", "query": "instance:cpu:ratio > 0.9", "duration": 300, "labels": {"severity": "warning"}},
            {"type": "alerting", "name": "HighMemory", "query": "up == 0", "duration": 300},
            {"type": "alerting", "name": "Pressure", "query": "kube_node_status_condition{condition=~\"(Memory|Disk|PID)Pressure|DiskPressure\",status=\"true\"} == 1", "duration": 300}
        ]));
        let missing = missing(&all);
        assert!(!missing.contains(&Core::Cpu) && !missing.contains(&Core::DiskPressure), "{missing:?}");
        assert!(missing.contains(&Core::Memory) && missing.contains(&Core::Restarts), "{missing:?}");
    }

    #[test]
    fn an_alert_may_do_without_for_where_it_looks_back() {
        let all = groups(json!([
            {"type": "alerting", "name": "A", "query": "up == 0"},
            {"type": "alerting", "name": "B", "query": "increase(errors_total[5m]) > 1"},
            {"type": "alerting", "name": "Watchdog", "query": "vector(1)"}
        ]));
        let hasty: Vec<&str> = alerts(&all).filter(|r| is_hasty(r)).map(|r| r.name.as_str()).collect();
        assert_eq!(hasty, ["A"]);
    }

    #[test]
    fn every_alert_that_is_proposed_covers_what_it_is_for() {
        for core in Core::ALL {
            let (name, query, _) = core.alert();
            let all = groups(json!([{"type": "alerting", "name": name, "query": query, "duration": 60}]));
            assert!(!missing(&all).contains(&core), "{name}");
        }
    }

    #[test]
    fn pods_that_completed_are_none_that_are_not_ready() {
        assert!(Core::PodNotReady.alert().1.contains("unless on (namespace, pod)"));
    }
}
