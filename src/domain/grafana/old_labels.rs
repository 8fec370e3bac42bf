//! Labels that dashboards of before ask the kubelets' metrics of containers by, and that these have no more.
//!
//! Kubernetes 1.16 took `pod_name` and `container_name` away; with Docker went names of containers that began with `k8s_`. A
//! scrape job may make such labels itself.

use regex::Regex;

use crate::domain::grafana::panel::Asked;
use crate::text::pattern::pattern;

/// The labels of before, and those of now.
const RENAMED: &[(&str, &str)] = &[("pod_name", "pod"), ("container_name", "container")];

/// What a dashboard names and what it is to name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Old {
    pub(crate) old: String,
    pub(crate) new: String,
}

/// What may still have labels of before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kept<'a> {
    /// Prometheus' configuration, which may make them.
    pub(crate) config: &'a str,
    /// A node runs containers with Docker, or nobody knows that none does.
    pub(crate) docker: bool,
}

/// The label of before that is asked for, where nothing makes it.
pub(crate) fn of(asked: &Asked, kept: Kept<'_>) -> Option<Old> {
    if !asked.metric.starts_with("container_") {
        return None;
    }
    if let Some((old, new)) = RENAMED.iter().find(|(old, _)| *old == asked.label) {
        return (!names(kept.config, old)).then(|| Old { old: (*old).to_owned(), new: (*new).to_owned() });
    }
    let of_docker = !kept.docker && asked.label == "name" && asked.value.trim_start_matches('^').starts_with("k8s_");
    of_docker.then(|| Old { old: format!("name=~\"{}\"", asked.value), new: "container!=\"\"".to_owned() })
}

/// A configuration names the label itself: `__meta_kubernetes_pod_name`, which each has, does not.
fn names(config: &str, label: &str) -> bool {
    let word = |pattern: &Regex| pattern.is_match(config);
    if label == "pod_name" { word(pattern!(r"\bpod_name\b")) } else { word(pattern!(r"\bcontainer_name\b")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::grafana::panel;
    use serde_json::json;

    fn found(expr: &str, config: &str) -> Vec<String> {
        let panel = json!({"targets": [{"expr": expr}]});
        let kept = Kept { config, docker: false };
        panel::labels(&panel).iter().filter_map(|a| of(a, kept)).map(|o| o.old).collect()
    }

    #[test]
    fn labels_of_before_are_told_where_nobody_makes_them() {
        let old = "sum(rate(container_cpu_usage_seconds_total{image!=\"\",name=~\"^k8s_.*\"}[1m])) by (pod_name)";
        assert_eq!(found(old, ""), ["pod_name", "name=~\"^k8s_.*\""]);
        assert_eq!(found(old, "target_label: pod_name"), ["name=~\"^k8s_.*\""]);
        assert_eq!(found(old, "source_labels: [__meta_kubernetes_pod_name]").len(), 2, "a label of the discovery");
        let asked = |value: &str| Asked {
            metric: "container_cpu_usage_seconds_total".into(),
            label: "name".into(),
            value: value.into(),
            is_needed: true,
        };
        assert_eq!(of(&asked("^k8s_.*"), Kept { config: "", docker: true }), None);
        let made = "sum by (pod_name) (label_replace(container_memory_rss, \"pod_name\", \"$1\", \"pod\", \"(.*)\"))";
        assert!(found(made, "").is_empty(), "the query makes it itself");
        assert_eq!(found("container_memory_rss{container_name!=\"POD\"}", ""), ["container_name"]);
        assert!(found("sum by (pod) (container_memory_rss{container!=\"\"})", "").is_empty());
        assert!(found("sum by (pod_name) (orders_total)", "").is_empty(), "somebody's own metric");
    }
}
