//! Labels that dashboards of before ask the kubelets' metrics of containers by, and that these have no more.
//!
//! Kubernetes 1.16 took `pod_name` and `container_name` away; with Docker went names of containers that began with `k8s_`. A
//! scrape job may make such labels itself.

use crate::domain::grafana::panel::Asked;

/// The labels of before, and those of now.
const RENAMED: &[(&str, &str)] = &[("pod_name", "pod"), ("container_name", "container")];

/// What a dashboard names and what it is to name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Old {
    pub(crate) old: String,
    pub(crate) new: String,
}

/// The label of before that is asked for, where Prometheus' configuration does not make it.
pub(crate) fn of(asked: &Asked, config: &str) -> Option<Old> {
    if !asked.metric.starts_with("container_") {
        return None;
    }
    if let Some((old, new)) = RENAMED.iter().find(|(old, _)| *old == asked.label) {
        let made = config.contains(old);
        return (!made).then(|| Old { old: (*old).to_owned(), new: (*new).to_owned() });
    }
    // The nodes that Kubernetes still supports have no Docker.
    let of_docker = asked.label == "name" && asked.value.trim_start_matches('^').starts_with("k8s_");
    of_docker.then(|| Old { old: format!("name=~\"{}\"", asked.value), new: "container!=\"\"".to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::grafana::panel;
    use serde_json::json;

    fn found(expr: &str, config: &str) -> Vec<String> {
        let panel = json!({"targets": [{"expr": expr}]});
        panel::labels(&panel).iter().filter_map(|a| of(a, config)).map(|o| o.old).collect()
    }

    #[test]
    fn labels_of_before_are_told_where_nobody_makes_them() {
        let old = "sum(rate(container_cpu_usage_seconds_total{image!=\"\",name=~\"^k8s_.*\"}[1m])) by (pod_name)";
        assert_eq!(found(old, ""), ["pod_name", "name=~\"^k8s_.*\""]);
        assert_eq!(found(old, "target_label: pod_name"), ["name=~\"^k8s_.*\""]);
        assert_eq!(found("container_memory_rss{container_name!=\"POD\"}", ""), ["container_name"]);
        assert!(found("sum by (pod) (container_memory_rss{container!=\"\"})", "").is_empty());
        assert!(found("sum by (pod_name) (orders_total)", "").is_empty(), "somebody's own metric");
    }
}
