//! What an alert reads, in a sentence: what it measures, its bound and its value, what is usually behind it; and the one look
//! that comes next.

use crate::domain::prometheus::condition::{Bound, Comparison, Condition, condition, without_matchers};
use crate::domain::prometheus::reads::Read;
use crate::domain::prometheus::targets::prometheus_path;
use crate::domain::text::redact::redact;
use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::FiringAlert;

/// Letters of an expression that people read; of a longer one the metrics are told.
const READABLE: usize = 110;
/// Labels that tell of which thing a value is, the nearest first.
const PLACES: &[&str] = &[
    "mountpoint",
    "device",
    "resourcequota",
    "resource",
    "condition",
    "integration",
    "controller",
    "rule_group",
    "remote_name",
    "url",
    "alertmanager",
    "container",
    "node",
    "instance",
];

/// Where the cause of what a metric counts is seen.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    /// In the object's status and events.
    Object,
    /// In the log of the program that counts it.
    Log,
    /// In the values themselves.
    Values,
}

/// What is usually behind a metric, by its prefix; the first that fits.
const BEHIND: &[(&str, &str, Look)] = &[
    ("aggregator_", "the Service or the pods behind the APIService do not answer", Look::Values),
    (
        "alertmanager_cluster_",
        "members that do not reach each other on the cluster port, or pods that restart",
        Look::Log,
    ),
    (
        "alertmanager_config_",
        "a configuration that Alertmanager refuses, or a replica that has not loaded it",
        Look::Log,
    ),
    ("alertmanager_notifications_", "a receiver that refuses the message or is not reached", Look::Log),
    (
        "apiserver_",
        "slow or failing requests to the API server: webhooks, etcd, or one client that asks too much",
        Look::Values,
    ),
    ("container_cpu_", "a limit of the processor's time that the container reaches", Look::Object),
    ("container_memory_", "a limit of memory that the container comes near", Look::Object),
    ("etcd_", "slow disks or the network between its members", Look::Values),
    ("kube_daemonset_", "nodes that cannot take one of its pods, or pods that do not become ready", Look::Object),
    (
        "kube_deployment_",
        "pods that do not become ready, or a change that its controller has not taken up",
        Look::Object,
    ),
    (
        "kube_horizontalpodautoscaler_",
        "more load than the maximum bears, or new pods that do not become ready",
        Look::Object,
    ),
    ("kube_job_", "pods of the Job that fail, wait, or do not end", Look::Object),
    ("kube_node_", "a kubelet that does not report, or a condition of the node", Look::Object),
    ("kube_persistentvolume_", "a provisioner that could not make or delete the volume", Look::Values),
    ("kube_pod_", "what the pod's containers wait for or end of", Look::Object),
    ("kube_poddisruptionbudget_", "pods that are not ready", Look::Object),
    (
        "kube_resourcequota",
        "requests that have grown up to the quota, or quotas that promise more than the nodes have",
        Look::Values,
    ),
    ("kube_state_metrics_total_shards", "replicas of kube-state-metrics with different `--total-shards`", Look::Values),
    (
        "kube_state_metrics_shard",
        "replicas of kube-state-metrics with different `--total-shards`, or one that is missing",
        Look::Values,
    ),
    (
        "kube_state_metrics_",
        "rights that kube-state-metrics lacks, or an API that the server does not serve",
        Look::Log,
    ),
    (
        "kube_statefulset_",
        "pods that do not become ready, or a change that its controller has not taken up",
        Look::Object,
    ),
    (
        "kubelet_certificate_",
        "signing requests that nobody approves, or a kubelet that cannot reach the API server",
        Look::Values,
    ),
    ("kubelet_server_expiration_", "signing requests that nobody approves", Look::Values),
    ("kubelet_volume_stats_", "files that fill the volume", Look::Object),
    ("kubelet_", "a node under pressure, or a slow container runtime", Look::Object),
    ("kubernetes_build_info", "an update of the cluster that has not reached all of its parts", Look::Values),
    ("node_bonding_", "a network link of the node that is down", Look::Values),
    ("node_disk_", "more reads and writes than the disk bears", Look::Values),
    ("node_filefd_", "a process that opens files and does not close them", Look::Values),
    ("node_filesystem_", "images, logs or data that fill the disk of the node", Look::Values),
    ("node_load", "more work than the processors of the node bear, or processes that wait for a disk", Look::Values),
    ("node_md_", "a disk of the array that has failed", Look::Values),
    ("node_memory_", "pods that use more memory than they request", Look::Values),
    ("node_network_", "a network card, its driver or a link that fails", Look::Values),
    ("node_systemd_", "a service of the node that fails; its journal on the node says why", Look::Values),
    ("node_textfile_", "a `.prom` file in the directory of the textfile collector that does not parse", Look::Log),
    ("node_timex_", "a node that does not reach its time server", Look::Values),
    ("node_vmstat_", "memory that is short on the node, so that pages are read from disk again", Look::Values),
    (
        "process_start_time_seconds",
        "a program that ends again and again: a crash, a memory limit or a failing probe",
        Look::Object,
    ),
    ("prometheus_config_", "a configuration that Prometheus refuses", Look::Log),
    ("prometheus_engine_", "queries that are many or slow: dashboards or rules", Look::Log),
    ("prometheus_notifications_", "an Alertmanager that is not found, not reached or refuses the alerts", Look::Log),
    ("prometheus_operator_", "an object that the operator refuses, or rights that it lacks", Look::Log),
    ("prometheus_remote_storage_", "a remote store that refuses, limits or does not answer", Look::Log),
    ("prometheus_rule_", "rules whose queries fail, or are slower than their interval", Look::Log),
    ("prometheus_sd_", "rights that Prometheus lacks, or a discovery service that is not reached", Look::Log),
    ("prometheus_target_scrape", "a target that gives more than its limit, or the same series twice", Look::Log),
    ("prometheus_target_sync_", "labels that cannot be used after relabelling", Look::Log),
    ("prometheus_tsdb_", "a disk that is full, broken or slow, or a damaged block", Look::Log),
    ("reloader_", "a configuration that the program beside it refuses", Look::Log),
    ("rest_client_", "an API server that refuses or does not answer this client", Look::Log),
    ("up", "targets that do not answer, or that are gone", Look::Values),
];

/// What is said of an alert.
pub(super) struct Reading {
    /// The sentence.
    pub(super) words: String,
    /// The look that comes next.
    pub(super) next: Option<Next>,
}

/// A read-only command, with what its template takes.
pub(super) struct Next {
    pub(super) template: &'static str,
    pub(super) params: Vec<(&'static str, String)>,
}

/// What is read; nothing where its expression is not known.
pub(super) fn reading(snap: &Snapshot, alert: &FiringAlert, expression: &str, read: &[Read]) -> Option<Reading> {
    if expression.is_empty() {
        return None;
    }
    let condition = condition(expression);
    let behind = behind(read);
    let fires = match &condition {
        Some(condition) => fires(alert, condition),
        None => format!("its expression: {}", redact(expression)),
    };
    let usual = behind.map_or(String::new(), |(what, _)| format!("; usually behind it: {what}"));
    let look = behind.map_or(Look::Values, |(_, look)| look);
    let next = match look {
        Look::Object => object(snap, alert),
        Look::Log => log(snap, alert),
        Look::Values => None,
    };
    let next = next.or_else(|| values(snap, expression, condition.as_ref()));
    Some(Reading { words: format!("{fires}{usual}"), next })
}

/// By the first metric that is known: what an expression measures stands first in it, and `up` is read beside others.
fn behind(read: &[Read]) -> Option<(&'static str, Look)> {
    let known = |metric: &str| {
        BEHIND.iter().find(|(prefix, ..)| if *prefix == "up" { metric == "up" } else { metric.starts_with(prefix) })
    };
    // A recorded name holds that of what it was made of: `apiserver_request:burnrate1h`, `node_quantile:kubelet_pleg_…`.
    let parts = |r: &Read| r.metric.split(':').find_map(known);
    let mut all = read.iter().filter_map(parts);
    let first = all.next()?;
    let told = if first.0 == "up" { all.find(|(prefix, ..)| *prefix != "up").unwrap_or(first) } else { first };
    Some((told.1, told.2))
}

/// `it fires while X is above 0; now 4.2 (instance 10.0.1.17:9100)`.
fn fires(alert: &FiringAlert, condition: &Condition) -> String {
    let (left, how, bound, more) = match condition {
        // With its matchers: other series of the metric may well be there.
        Condition::Absent { what } => return redact(&format!("it fires while nothing matches `{what}`")),
        Condition::Compared { left, how, bound, more } => (left, *how, bound, *more),
    };
    let how = match how {
        Comparison::Above => "above",
        Comparison::AtLeast => "at or above",
        Comparison::Below => "below",
        Comparison::AtMost => "at or below",
        Comparison::Equal => "equal to",
        Comparison::Other => "other than",
    };
    let bound = match bound {
        Bound::Number(bound) => short(*bound),
        Bound::Expression(other) => told(other),
    };
    let place = PLACES.iter().find(|l| !alert.label(l).is_empty()).map(|l| format!("{l} {}", alert.label(l)));
    let value = alert.value.parse::<f64>().ok().filter(|v| v.is_finite()).map(|v| format!("now {}", short(v)));
    let now = match (value, place) {
        (Some(value), Some(place)) => format!(" ({value}, {place})"),
        (Some(one), None) | (None, Some(one)) => format!(" ({one})"),
        (None, None) => String::new(),
    };
    let more = if more { ", and a further condition of its expression holds" } else { "" };
    redact(&format!("it fires while {} is {how} {bound}{more}{now}", told(left)))
}

/// An expression in backticks; of a long one the first metric.
fn told(expression: &str) -> String {
    let short = without_matchers(expression);
    if short.chars().count() <= READABLE {
        return format!("`{short}`");
    }
    let mut metrics: Vec<String> = Vec::new();
    for read in crate::domain::prometheus::reads::reads(expression) {
        let metric = format!("`{}`", read.metric);
        if !read.metric.is_empty() && !metrics.contains(&metric) {
            metrics.push(metric);
        }
    }
    match metrics.is_empty() {
        true => "what it measures".to_owned(),
        false => format!("what it makes of {}", metrics.join(", ")),
    }
}

/// Four digits that count.
fn short(value: f64) -> String {
    let size = value.abs();
    if value == value.trunc() && size < 1e15 {
        return format!("{value:.0}");
    }
    let text = if size >= 1000.0 {
        return format!("{value:.0}");
    } else if size >= 1.0 {
        format!("{value:.2}")
    } else if size >= 0.001 {
        format!("{value:.4}")
    } else {
        return format!("{value:e}");
    };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The object that its labels name; of a pod, where it is still there.
fn object(snap: &Snapshot, alert: &FiringAlert) -> Option<Next> {
    const KINDS: &[(&str, &str)] = &[
        ("deployment", "deployment"),
        ("statefulset", "statefulset"),
        ("daemonset", "daemonset"),
        ("job_name", "job"),
        ("horizontalpodautoscaler", "hpa"),
        ("poddisruptionbudget", "poddisruptionbudget"),
        ("persistentvolumeclaim", "persistentvolumeclaim"),
    ];
    let namespace = alert.label("namespace");
    let named = KINDS.iter().find(|(label, _)| !alert.label(label).is_empty() && !namespace.is_empty());
    let described = |kind: &str, name: &str| Next {
        template: "kubectl describe {{ kind }} {{ name }} -n {{ namespace }}",
        params: vec![("kind", kind.to_owned()), ("name", name.to_owned()), ("namespace", namespace.to_owned())],
    };
    if let Some((label, kind)) = named {
        return Some(described(kind, alert.label(label)));
    }
    if !alert.label("node").is_empty() {
        return Some(Next {
            template: "kubectl describe node {{ node }}",
            params: vec![("node", alert.label("node").to_owned())],
        });
    }
    let pod = alert.label("pod");
    matches!(snap.pods.find(namespace, pod), Ok(Some(_))).then(|| described("pod", pod))
}

/// The log of the pod that counts, which its labels name.
fn log(snap: &Snapshot, alert: &FiringAlert) -> Option<Next> {
    let (namespace, name) = (alert.label("namespace"), alert.label("pod"));
    let pod = snap.pods.find(namespace, name).ok()??;
    let containers = &pod.spec.containers;
    let container = containers.iter().find(|c| c.name == alert.label("container")).or(containers.first())?;
    Some(Next {
        template: "kubectl logs -n {{ namespace }} {{ name }} -c {{ container }} --since=1h",
        params: vec![
            ("namespace", namespace.to_owned()),
            ("name", name.to_owned()),
            ("container", container.name.clone()),
        ],
    })
}

/// The values of what it measures, without the bound.
fn values(snap: &Snapshot, expression: &str, condition: Option<&Condition>) -> Option<Next> {
    let asked = match condition {
        Some(Condition::Compared { left, .. }) => left,
        _ => expression,
    };
    let query: String = url::form_urlencoded::byte_serialize(asked.as_bytes()).collect();
    // A plus sign is one in a path that is not read as a form.
    let query = query.replace('+', "%20");
    let path = prometheus_path(snap, &format!("/api/v1/query?query={query}"))?;
    Some(Next { template: "kubectl get --raw {{ path }}", params: vec![("path", path)] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::prometheus::reads::reads;
    use crate::signals::testing::{alert, snapshot};

    fn words(expression: &str, value: &str, labels: &[(&str, &str)]) -> String {
        let snap = snapshot();
        let fires = FiringAlert { value: value.into(), ..alert("Any", labels) };
        reading(&snap, &fires, expression, &reads(expression)).map_or_else(String::new, |r| r.words)
    }

    #[test]
    fn an_alert_says_what_it_measures_its_bound_and_its_value() {
        let told = words(
            r#"node_filefd_allocated{job="node-exporter"} * 100 / node_filefd_maximum{job="node-exporter"} > 70"#,
            "8.25e+01",
            &[("instance", "10.0.1.17:9100")],
        );
        assert_eq!(
            told,
            "it fires while `node_filefd_allocated * 100 / node_filefd_maximum` is above 70 (now 82.5, instance 10.0.1.17:9100); usually behind it: a process that opens files and does not close them"
        );
        let told = words("shop_orders > 5", "NaN", &[]);
        assert_eq!(told, "it fires while `shop_orders` is above 5");
        assert_eq!(words("a > 1 or b > 2", "", &[]), "its expression: a > 1 or b > 2");
        assert_eq!(
            words(r#"absent(shop_orders{job="web"})"#, "1", &[]),
            r#"it fires while nothing matches `shop_orders{job="web"}`"#
        );
        assert_eq!(words("", "1", &[]), "");
    }

    #[test]
    fn the_look_that_comes_next_is_at_the_object_or_its_log() {
        let snap = snapshot();
        let next = |expression: &str, labels: &[(&str, &str)]| {
            reading(&snap, &alert("Any", labels), expression, &reads(expression))
                .and_then(|r| r.next)
                .map(|n| n.template)
        };
        let pod = [("namespace", "monitoring"), ("pod", "prometheus-0")];
        assert_eq!(
            next("increase(prometheus_tsdb_reloads_failures_total[3h]) > 0", &pod),
            Some("kubectl logs -n {{ namespace }} {{ name }} -c {{ container }} --since=1h")
        );
        assert_eq!(
            next("kube_node_spec_unschedulable == 1", &[("node", "a")]),
            Some("kubectl describe node {{ node }}")
        );
        assert_eq!(next("node_load1 > 5", &[]), None, "no Prometheus is known");
        assert_eq!(
            next("kube_pod_container_status_waiting_reason > 0", &[("namespace", "monitoring"), ("pod", "gone")]),
            None
        );
    }
}
