//! Alerts of Prometheus that fire or are pending.

use std::collections::{BTreeMap, BTreeSet};

use super::alert_reading::{Next, reading};
use super::{around, is_ours};
use crate::domain::kubernetes::{network_plugin, node_versions, proxy, skew};
use crate::domain::prometheus::reads::{Read, reads};
use crate::domain::prometheus::targets::{is_out_of_reach, prometheus_path};
use crate::domain::text::redact::redact;
use crate::model::{Evidence, ResourceRef, Signal, SignalKind, Weight};
use crate::snapshot::monitoring::{Alert, FiringAlert, Rule, RuleGroup};
use crate::snapshot::{Platform, Snapshot};

/// Alerts that fire while all is well.
const MEANT: &[&str] = &["Watchdog", "InfoInhibitor", "DeadMansSwitch", "Heartbeat"];
/// Prefixes of the metrics of a monitoring stack, of Kubernetes and of its nodes.
const OF_PLATFORM: &[&str] = &[
    "ALERTS",
    "aggregator_",
    "alertmanager_",
    "apiserver_",
    "container_",
    "coredns_",
    "etcd_",
    "grafana_",
    "kube_",
    "kubelet_",
    "kubeproxy_",
    "kubernetes_",
    "loki_",
    "machine_",
    "node_",
    "prometheus_",
    "promtail_",
    "reloader_",
    "rest_client_",
    "scheduler_",
    "scrape_",
    "thanos_",
    "up",
    "workqueue_",
];
/// Checks that judge what a metric counts, by its prefix.
const JUDGES: &[(&str, &[&str])] = &[
    ("alertmanager_cluster_", &["alertmanager-cluster"]),
    ("alertmanager_config_", &["alertmanager-config"]),
    ("alertmanager_notifications_", &["alertmanager-notify"]),
    ("elasticsearch_cluster_health_", &["search-engine"]),
    ("kubernetes_build_info", &["kubelet-skew"]),
    ("loki_", &["loki", "log-agent", "ruler-disconnected"]),
    ("mysql_up", &["exporter-failing"]),
    ("node_nf_conntrack_", &["conntrack-full"]),
    ("pg_up", &["exporter-failing"]),
    ("probe_", &["exporter-failing"]),
    ("prometheus_config_", &["prometheus-config"]),
    ("prometheus_engine_", &["prometheus-overloaded"]),
    ("prometheus_operator_", &["operator-refuses", "operators-compete", "crd-skew", "crd-deleted"]),
    ("prometheus_notifications_", &["alertmanager-disconnected"]),
    ("prometheus_remote_storage_", &["remote-write-failing"]),
    ("prometheus_rule_", &["rule-failing", "rule-invalid"]),
    ("prometheus_sd_", &["discovery-failing"]),
    ("prometheus_target_scrape_pools_failed_", &["job-without-targets"]),
    ("prometheus_target_sync_failed_", &["job-without-targets"]),
    ("prometheus_target_scrapes_", &["samples-dropped", "target-not-metrics"]),
    ("prometheus_tsdb_", &["prometheus-storage", "tsdb-retention"]),
    ("redis_up", &["exporter-failing"]),
    ("reloader_", &["reload-refused", "prometheus-config", "alertmanager-config"]),
    ("thanos_alert_", &["ruler-disconnected"]),
    ("thanos_", &["thanos"]),
];

/// Reads them.
pub(super) fn read(snap: &Snapshot) -> Vec<Signal> {
    let rules = expressions(snap);
    let (alerts, path) = firing(snap);
    let one = |alert: &FiringAlert| signal(snap, &as_meant(alert), expression(&rules, alert), path.as_deref());
    alerts.iter().map(one).collect()
}

/// With the labels of what it is about: where a job does not honour those of what it scrapes, they are called `exported_…`, and
/// others stand in their place.
fn as_meant(alert: &FiringAlert) -> FiringAlert {
    let mut meant = alert.clone();
    if !alert.label("exported_namespace").is_empty() {
        for label in ["namespace", "pod", "container", "service", "node"] {
            match alert.labels.get(&format!("exported_{label}")) {
                Some(own) => meant.labels.insert(label.to_owned(), own.clone()),
                // What remains is of the exporter.
                None if label != "namespace" => meant.labels.remove(label),
                None => None,
            };
        }
    }
    meant
}

/// From the list of alerts, else from the rules that raised them, else as Alertmanager holds them; and the path that shows them.
fn firing(snap: &Snapshot) -> (Vec<FiringAlert>, Option<String>) {
    if let Ok(alerts) = snap.prometheus_alerts() {
        return (alerts.clone(), prometheus_path(snap, "/api/v1/alerts"));
    }
    if let Ok(groups) = snap.prometheus_rules() {
        let raised = groups.iter().flat_map(|g| &g.rules).flat_map(|r| &r.alerts);
        let raised = raised.map(|a| FiringAlert {
            labels: a.labels.clone(),
            annotations: a.annotations.clone(),
            state: a.state.clone(),
            active_at: a.active_at,
            value: String::new(),
        });
        return (raised.collect(), prometheus_path(snap, "/api/v1/alerts"));
    }
    let held = snap.alertmanager_alerts().map(Vec::as_slice).unwrap_or_default();
    let all = || held.iter().flat_map(|g| &g.alerts);
    // One that serves several clusters holds the alerts of the others, too.
    let cluster = |a: &Alert| a.labels.get("cluster").cloned().unwrap_or_default();
    let is_shared = all().map(cluster).filter(|c| !c.is_empty()).collect::<BTreeSet<_>>().len() > 1;
    let is_here = |a: &Alert| {
        let of = cluster(a);
        !is_shared || of.is_empty() || snap.target.cluster.as_deref() == Some(of.as_str())
    };
    // Several receivers may get one alert.
    let mut known = BTreeSet::new();
    let held = all().filter(|a| is_here(a) && known.insert(a.labels.clone()));
    let held = held.map(|a| FiringAlert {
        labels: a.labels.clone(),
        annotations: a.annotations.clone(),
        state: "firing".to_owned(),
        active_at: a.starts_at,
        value: String::new(),
    });
    let path = snap.scope.alertmanager.as_ref().map(|at| proxy::of_component(at, "/api/v2/alerts/groups"));
    (held.collect(), path)
}

/// The alerting rules by their names.
fn expressions(snap: &Snapshot) -> BTreeMap<&str, Vec<&Rule>> {
    let groups = snap.prometheus_rules().map(Vec::as_slice).unwrap_or_default();
    let mut rules: BTreeMap<&str, Vec<&Rule>> = BTreeMap::new();
    for rule in groups.iter().flat_map(|g| &g.rules).filter(|r| r.kind != "recording") {
        rules.entry(&rule.name).or_default().push(rule);
    }
    rules
}

/// The expression of the rule that raised an alert: of several of one name each has its own bound.
fn expression<'r>(rules: &BTreeMap<&str, Vec<&'r Rule>>, alert: &FiringAlert) -> &'r str {
    let of_name = rules.get(alert.name()).map(Vec::as_slice).unwrap_or_default();
    let raised = |r: &&&Rule| r.alerts.iter().any(|a| a.labels == alert.labels);
    // Labels that the rule adds, a severity above all; those with templates are not known.
    let labelled = |r: &&&Rule| {
        let mut plain = r.labels.iter().filter(|(_, v)| !v.contains("{{"));
        plain.all(|(name, value)| alert.label(name) == value)
    };
    let rule = of_name
        .iter()
        .find(raised)
        .or_else(|| of_name.iter().find(labelled))
        .or(of_name.first().filter(|_| of_name.len() == 1));
    rule.map_or("", |r| r.query.as_str())
}

/// The loaded rule that raised an alert: one of its name that has it, or the only one of the name.
fn rules_of(snap: &Snapshot, alert: &FiringAlert) -> Vec<ResourceRef> {
    let name = alert.name();
    let groups = snap.prometheus_rules().map(Vec::as_slice).unwrap_or_default();
    let of_name = |g: &RuleGroup| g.rules.iter().filter(|r| r.kind == "alerting" && r.name == name).count();
    let only = groups.iter().map(of_name).sum::<usize>() == 1;
    let raised = |r: &Rule| r.name == name && r.alerts.iter().any(|a| a.labels == alert.labels);
    // A group's rules of one name are not told apart: the fault of one says nothing of what its twin raises.
    let raising = groups.iter().filter(|g| of_name(g) == 1 && (only || g.rules.iter().any(raised)));
    raising.map(|g| ResourceRef::Rule { group: g.name.clone(), rule: name.to_owned() }).collect()
}

fn signal(snap: &Snapshot, alert: &FiringAlert, expression: &str, path: Option<&str>) -> Signal {
    let read = reads(expression);
    let mut about = about(snap, alert, &read);
    let subject = about
        .first()
        .cloned()
        .unwrap_or_else(|| ResourceRef::Rule { group: String::new(), rule: alert.name().to_owned() });
    // A fault of the rule itself explains what it raises.
    about.extend(rules_of(snap, alert));
    let told = ["description", "message", "summary"].iter().find_map(|name| alert.annotations.get(*name));
    let (weight, next) = weigh(snap, alert, expression, &read);
    let reading = if next.is_empty() { reading(snap, alert, expression, &read) } else { None };
    let (next, look) = reading.map_or((next, None), |r| (r.words, r.next));
    let all_alerts = || Next {
        template: "{% if path %}kubectl get --raw {{ path }}{% endif %}",
        params: vec![("path", path.unwrap_or_default().to_owned())],
    };
    let look = look.filter(|_| weight == Weight::Weighs).unwrap_or_else(all_alerts);
    let seen =
        Evidence::new(format!("alert {}", alert.name()), told.map_or(String::new(), |t| redact(t)), look.template);
    let evidence = look.params.into_iter().fold(seen, |e, (name, value)| e.with(name, value));
    let state = if alert.state == "pending" { "pending alert" } else { "alert" };
    Signal::new(SignalKind::Alert, subject, format!("{state} {}", alert.name()), evidence)
        .text(told.map_or(String::new(), |t| redact(t)))
        .since(alert.active_at)
        .weight(weight)
        .next(next)
        .about(about)
        .explained_by_checks(&judges(&read))
}

fn judges(read: &[Read]) -> Vec<&'static str> {
    let judged = JUDGES.iter().filter(|(prefix, _)| read.iter().any(|r| r.metric.starts_with(prefix)));
    judged.flat_map(|(_, checks)| checks.iter().copied()).collect()
}

/// How much it says, and a word where it says little.
fn weigh(snap: &Snapshot, alert: &FiringAlert, expression: &str, read: &[Read]) -> (Weight, String) {
    let severity = alert.label("severity");
    if MEANT.contains(&alert.name()) || matches!(severity, "none" | "info") || expression.trim() == "vector(1)" {
        return (Weight::Nothing, String::new());
    }
    if alert.name() == "CPUThrottlingHigh" {
        return (Weight::Nothing, String::new());
    }
    if let Some(job) = hidden_job(snap, alert, read) {
        return (Weight::Note, hidden_reason(&job));
    }
    if is_of_kube_proxy(alert, read) && network_plugin::replaces_kube_proxy(snap) {
        let reason = "not an outage: Cilium does the work of kube-proxy here, so there is nothing to scrape; \
                      `kubeProxy.enabled: false` in the values of kube-prometheus-stack removes the job and its alert";
        return (Weight::Note, reason.to_owned());
    }
    if alert.state == "pending" {
        return (Weight::Note, String::new());
    }
    if matches!(alert.name(), "KubeCPUOvercommit" | "KubeMemoryOvercommit") {
        let reason = "nothing is down: it says that what the pods request would not fit on the nodes that remain if the \
                      largest one failed, which is common with two or three nodes; one more node, or lower requests, ends it";
        return (Weight::Note, reason.to_owned());
    }
    if alert.name() == "KubeVersionMismatch"
        && let Some(reason) = between_versions(snap)
    {
        return (Weight::Note, reason);
    }
    if let Some(reason) = scaled_as_meant(snap, alert) {
        return (Weight::Note, reason);
    }
    // Whoever the target belongs to, scraping it is the stack's work.
    let scraping = read.iter().any(|r| r.metric == "up") || (read.is_empty() && alert.name() == "TargetDown");
    if !scraping && !is_ours(snap, alert.label("namespace")) {
        return (Weight::Note, "it is about something outside the stack's namespaces".into());
    }
    if expression.is_empty() && !names_something(alert) {
        return (Weight::Note, "its labels name nothing of the cluster, and its rule was not seen".into());
    }
    let of_platform =
        |r: &Read| OF_PLATFORM.iter().any(|p| r.metric == *p || (p.ends_with('_') && r.metric.starts_with(p)));
    let recorded = |r: &Read| r.metric.is_empty() || r.metric.contains(':');
    if !read.is_empty() && !read.iter().any(|r| of_platform(r) || recorded(r)) {
        return (
            Weight::Note,
            "it reads an application's metrics, so its cause is in the application and not in the stack".into(),
        );
    }
    (Weight::Weighs, String::new())
}

/// Nodes and the API server are of several versions that go together, as they are while a cluster is updated.
fn between_versions(snap: &Snapshot) -> Option<String> {
    let (server, apart) = node_versions::apart(snap)?;
    let nodes = snap.nodes.items().ok()?.iter();
    let mut minors: BTreeSet<u16> = nodes.filter_map(|n| skew::minor(&n.status.node_info.kubelet_version)).collect();
    minors.insert(server);
    let oldest = *minors.first()?;
    (minors.len() > 1 && apart.is_empty()).then(|| {
        format!(
            "nothing is down: the API server is of Kubernetes 1.{server} and the oldest kubelet of 1.{oldest}, which may be \
             together; it ends when the update has reached all nodes"
        )
    })
}

/// Its labels say what it is about: something of Kubernetes, or what is scraped.
fn names_something(alert: &FiringAlert) -> bool {
    const NAMES: &[&str] = &[
        "namespace",
        "pod",
        "node",
        "instance",
        "job",
        "service",
        "container",
        "deployment",
        "statefulset",
        "daemonset",
        "job_name",
        "persistentvolumeclaim",
        "horizontalpodautoscaler",
        "poddisruptionbudget",
        "device",
        "controller",
    ];
    // What a chart's rules watch is of the platform, whatever their labels.
    let known = ["Alertmanager", "Grafana", "Kube", "Loki", "Node", "Prometheus", "TargetDown", "Thanos", "etcd"];
    NAMES.iter().any(|label| !alert.label(label).is_empty()) || known.iter().any(|k| alert.name().starts_with(k))
}

/// A job of the control plane, of which the alert says that it is absent, and which EKS does not let anyone scrape.
fn hidden_job(snap: &Snapshot, alert: &FiringAlert, read: &[Read]) -> Option<String> {
    if snap.platform != Platform::Eks {
        return None;
    }
    let of_read = read.iter().filter(|r| r.metric == "up").filter_map(|r| r.labels.get("job")).map(String::as_str);
    let named = of_read
        .chain((!alert.label("job").is_empty() && read.iter().all(|r| r.metric == "up")).then(|| alert.label("job")));
    named.into_iter().find(|job| is_out_of_reach(snap, job)).map(str::to_owned).or_else(|| {
        // Without its rule, the name of the chart's alert has to do.
        let job = match alert.name() {
            "KubeSchedulerDown" => "kube-scheduler",
            "KubeControllerManagerDown" => "kube-controller-manager",
            "CoreDNSDown" => "coredns",
            "KubeProxyDown" => "kube-proxy",
            _ => return None,
        };
        (read.is_empty() && is_out_of_reach(snap, job)).then(|| job.to_owned())
    })
}

/// It says that kube-proxy is not scraped.
fn is_of_kube_proxy(alert: &FiringAlert, read: &[Read]) -> bool {
    let scraped = |r: &Read| r.metric == "up" && r.labels.get("job").is_some_and(|j| j == "kube-proxy");
    read.iter().any(scraped) || (read.is_empty() && alert.name() == "KubeProxyDown")
}

fn hidden_reason(job: &str) -> String {
    let value = match job.rsplit_once("kube-").map_or(job, |(_, part)| part) {
        "scheduler" => "kubeScheduler.enabled: false",
        "controller-manager" => "kubeControllerManager.enabled: false",
        "proxy" => "kubeProxy.enabled: false",
        "dns" => "kubeDns.enabled: false",
        part if part.ends_with("coredns") => "coreDns.enabled: false",
        _ => "kubeEtcd.enabled: false",
    };
    format!(
        "not an outage: EKS runs {job} itself and does not let it be scraped this way; `{value}` in the values of \
         kube-prometheus-stack removes the job and its alert"
    )
}

/// At its maximum, and there is no more load than the maximum bears.
fn scaled_as_meant(snap: &Snapshot, alert: &FiringAlert) -> Option<String> {
    let name = [alert.label("horizontalpodautoscaler"), alert.label("hpa")].into_iter().find(|n| !n.is_empty())?;
    let all = snap.autoscalers.items().ok()?;
    let own = all.iter().find(|a| a.metadata.name == name && a.metadata.namespace == alert.label("namespace"))?;
    let limited = own.status.conditions.iter().any(|c| c.kind == "ScalingLimited" && c.status == "True");
    let wants_more = limited && own.status.conditions.iter().any(|c| c.reason.as_deref() == Some("TooManyReplicas"));
    let at_max = own.status.desired_replicas == own.spec.max_replicas;
    (at_max && !wants_more).then(|| "the autoscaler is at its maximum and wants no more replicas".to_owned())
}

/// What the alert is about, by its labels and by what its expression reads; the nearest first.
fn about(snap: &Snapshot, alert: &FiringAlert, read: &[Read]) -> Vec<ResourceRef> {
    let namespace = alert.label("namespace");
    let mut all = Vec::new();
    let named = |label: &str| Some(alert.label(label)).filter(|v| !v.is_empty());
    if let Some(claim) = named("persistentvolumeclaim") {
        all.push(ResourceRef::pvc(namespace, claim));
        let pods = snap.pods.items().unwrap_or_default().iter().filter(|p| p.metadata.namespace == namespace);
        all.extend(pods.filter(|p| p.claims().any(|c| c == claim)).flat_map(|p| around(snap, p)));
    }
    for (label, group, kind) in [
        ("deployment", "apps", "Deployment"),
        ("statefulset", "apps", "StatefulSet"),
        ("daemonset", "apps", "DaemonSet"),
        ("job_name", "batch", "Job"),
        ("horizontalpodautoscaler", "autoscaling", "HorizontalPodAutoscaler"),
        ("poddisruptionbudget", "policy", "PodDisruptionBudget"),
    ] {
        let Some(name) = named(label) else { continue };
        let workload = ResourceRef::kubernetes(group, kind, namespace, name);
        let pods = snap.pods.items().unwrap_or_default().iter().filter(|p| snap.owner_ref(p) == workload);
        all.push(workload.clone());
        all.extend(pods.flat_map(|p| around(snap, p)));
    }
    if let Some(name) = named("pod") {
        match snap.pods.find(namespace, name) {
            Ok(Some(pod)) => all.extend(around(snap, pod)),
            // Beside the name of another object, `pod` is the exporter that told of it.
            _ if all.is_empty() => all.push(ResourceRef::pod(namespace, name)),
            _ => {}
        }
    }
    all.extend(named("node").map(ResourceRef::node));
    if read.iter().any(|r| r.metric == "up" || r.metric.starts_with("scrape_")) || read.is_empty() {
        all.extend(scraped(snap, alert, read));
    }
    all.extend(by_instance(snap, alert.label("instance")));
    all
}

/// The pools, Services and pods behind `up` with the alert's labels.
fn scraped(snap: &Snapshot, alert: &FiringAlert, read: &[Read]) -> Vec<ResourceRef> {
    let jobs = read.iter().filter_map(|r| r.labels.get("job")).map(String::as_str);
    let jobs: Vec<&str> = jobs.chain(Some(alert.label("job"))).filter(|j| !j.is_empty()).collect();
    let mut all: Vec<ResourceRef> = Vec::new();
    let targets = snap.prometheus_targets().map(Vec::as_slice).unwrap_or_default();
    let own = |t: &&crate::snapshot::monitoring::ScrapeTarget| {
        t.health != "up" && t.labels.get("job").is_some_and(|j| jobs.contains(&j.as_str()))
    };
    for target in targets.iter().filter(own) {
        all.push(ResourceRef::ScrapeJob { job: target.job().to_owned() });
        let label = |name: &str| target.labels.get(name).map_or("", String::as_str);
        if let Ok(Some(pod)) = snap.pods.find(label("namespace"), label("pod")) {
            all.extend(around(snap, pod));
        }
        if !label("service").is_empty() {
            all.push(ResourceRef::service(label("namespace"), label("service")));
        }
    }
    all.extend(jobs.into_iter().map(|job| ResourceRef::ScrapeJob { job: job.to_owned() }));
    if !alert.label("service").is_empty() {
        all.push(ResourceRef::service(alert.label("namespace"), alert.label("service")));
    }
    let mut seen = BTreeSet::new();
    all.retain(|r| seen.insert(r.key()));
    all
}

/// The node or the pod with the address of an `instance`.
fn by_instance(snap: &Snapshot, instance: &str) -> Vec<ResourceRef> {
    let host = instance.rsplit_once(':').map_or(instance, |(host, _)| host);
    if host.is_empty() {
        return Vec::new();
    }
    let nodes = snap.nodes.items().unwrap_or_default().iter();
    let node = nodes.filter(|n| n.metadata.name == host || n.internal_ip() == Some(host));
    let node = node.map(|n| ResourceRef::node(&n.metadata.name));
    node.chain(snap.pod_by_ip(host).into_iter().flat_map(|p| around(snap, p))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signals::testing::{alert, rule, snapshot};

    #[test]
    fn where_prometheus_is_not_asked_alertmanager_tells() {
        let mut snap = snapshot();
        let labels = serde_json::json!({"alertname": "KubePodNotReady", "namespace": "monitoring", "pod": "prometheus-0", "severity": "warning"});
        let held = serde_json::json!([
            {"receiver": {"name": "a"}, "alerts": [{"labels": labels, "annotations": {"summary": "not ready"}, "startsAt": "2026-11-21T02:00:00Z"}]},
            {"receiver": {"name": "b"}, "alerts": [{"labels": labels}]},
        ]);
        *snap.alertmanager_alerts = Ok(serde_json::from_value(held).expect("groups"));
        let found = read(&snap);
        assert_eq!(found.len(), 1, "once");
        assert_eq!((found[0].title.as_str(), found[0].text.as_str()), ("alert KubePodNotReady", "not ready"));
        *snap.prometheus_alerts = Ok(Vec::new());
        assert!(read(&snap).is_empty(), "Prometheus knows better");
    }

    #[test]
    fn an_alertmanager_of_several_clusters_tells_of_this_one() {
        let mut snap = snapshot();
        snap.target.cluster = Some("blue".into());
        let held = |cluster: &str| serde_json::json!({"labels": {"alertname": "KubePodNotReady", "namespace": "monitoring", "cluster": cluster}});
        let mut count = |all: &[&str]| {
            let alerts: Vec<serde_json::Value> = all.iter().map(|c| held(c)).collect();
            *snap.alertmanager_alerts =
                Ok(serde_json::from_value(serde_json::json!([{"alerts": alerts}])).expect("groups"));
            read(&snap).len()
        };
        assert_eq!((count(&["blue", "green"]), count(&["green", "red"]), count(&["prod"])), (1, 0, 1));
    }

    #[test]
    fn what_is_meant_to_fire_weighs_nothing() {
        let mut snap = snapshot();
        *snap.prometheus_alerts = Ok(vec![
            alert("Watchdog", &[("severity", "none")]),
            alert("InfoInhibitor", &[("severity", "none")]),
            alert("CPUThrottlingHigh", &[("severity", "info"), ("namespace", "monitoring")]),
        ]);
        assert!(read(&snap).iter().all(|s| s.weight == Weight::Nothing));
    }

    #[test]
    fn nothing_is_down_where_a_node_too_few_is_foreseen() {
        let mut snap = snapshot();
        *snap.prometheus_alerts = Ok(vec![
            alert("KubeCPUOvercommit", &[("severity", "warning")]),
            alert("KubeCPUQuotaOvercommit", &[("severity", "warning")]),
        ]);
        let found = read(&snap);
        assert_eq!((found[0].weight, found[1].weight), (Weight::Note, Weight::Weighs));
        assert!(found[0].next.starts_with("nothing is down"), "{}", found[0].next);
    }

    #[test]
    fn the_control_plane_of_eks_is_a_note_by_what_the_expression_reads() {
        let mut snap = snapshot();
        *snap.prometheus_alerts = Ok(vec![alert("SchedulerGone", &[("severity", "critical")])]);
        *snap.prometheus_rules = Ok(vec![rule("SchedulerGone", r#"absent(up{job="kube-scheduler"} == 1)"#)]);
        let found = read(&snap);
        assert_eq!(found[0].weight, Weight::Note);
        assert!(found[0].next.contains("kubeScheduler.enabled: false"), "{}", found[0].next);
        snap.platform = Platform::Other;
        assert_eq!(read(&snap)[0].weight, Weight::Weighs);
    }

    #[test]
    fn a_kube_proxy_that_cilium_replaces_is_not_missed() {
        let mut snap = snapshot();
        *snap.prometheus_alerts = Ok(vec![alert("KubeProxyDown", &[("severity", "critical")])]);
        *snap.prometheus_rules = Ok(vec![rule("KubeProxyDown", r#"absent(up{job="kube-proxy"} == 1)"#)]);
        assert_eq!(read(&snap)[0].weight, Weight::Weighs);
        let map = serde_json::json!({"metadata": {"namespace": "kube-system", "name": "cilium-config"}, "data": {"kube-proxy-replacement": "true"}});
        snap.config_maps = crate::snapshot::Listing::cluster(vec![serde_json::from_value(map).expect("a ConfigMap")]);
        let found = read(&snap);
        assert_eq!(found[0].weight, Weight::Note);
        assert!(found[0].next.contains("kubeProxy.enabled: false"), "{}", found[0].next);
        let proxy = serde_json::json!({"metadata": {"namespace": "kube-system", "name": "kube-proxy-a"}, "spec": {"containers": [{"name": "kube-proxy"}]}});
        snap.pods = crate::snapshot::Listing::cluster(vec![serde_json::from_value(proxy).expect("a pod")]);
        assert_eq!(read(&snap)[0].weight, Weight::Weighs, "it runs, and is not scraped");
    }

    #[test]
    fn what_the_operator_and_the_reloaders_count_is_judged() {
        let judged = |query: &str| judges(&reads(query));
        assert!(judged("rate(prometheus_operator_reconcile_errors_total[5m]) > 0").contains(&"operator-refuses"));
        assert!(judged("reloader_last_reload_successful == 0").contains(&"reload-refused"));
        assert_eq!(judged("increase(prometheus_target_sync_failed_total[30m]) > 0"), ["job-without-targets"]);
    }

    #[test]
    fn labels_that_were_overwritten_are_read_as_they_were() {
        let mut snap = snapshot();
        *snap.prometheus_alerts = Ok(vec![alert(
            "KubePodCrashLooping",
            &[
                ("severity", "warning"),
                ("namespace", "monitoring"),
                ("pod", "kube-state-metrics-0"),
                ("exported_namespace", "shop"),
                ("exported_pod", "web-0"),
            ],
        )]);
        let found = read(&snap);
        assert_eq!(found[0].subject, ResourceRef::pod("shop", "web-0"));
        assert_eq!(found[0].weight, Weight::Note, "it is of nobody here");
    }

    #[test]
    fn an_alert_is_about_what_its_labels_name() {
        let mut snap = snapshot();
        *snap.prometheus_alerts = Ok(vec![alert(
            "Full",
            &[("severity", "warning"), ("namespace", "monitoring"), ("persistentvolumeclaim", "data-prometheus-0")],
        )]);
        let found = read(&snap).remove(0);
        assert_eq!(found.subject, ResourceRef::pvc("monitoring", "data-prometheus-0"));
        assert!(found.about.contains(&ResourceRef::pod("monitoring", "prometheus-0")), "{:?}", found.about);
        assert_eq!(found.weight, Weight::Weighs);
    }

    #[test]
    fn alerts_of_applications_do_not_frighten() {
        let mut snap = snapshot();
        *snap.prometheus_alerts = Ok(vec![
            alert("OrdersFail", &[("severity", "critical")]),
            alert("KubePodCrashLooping", &[("severity", "warning"), ("namespace", "shop"), ("pod", "a")]),
            alert("PrometheusRemoteWriteBehind", &[("severity", "critical"), ("namespace", "monitoring")]),
        ]);
        *snap.prometheus_rules = Ok(vec![
            rule("OrdersFail", "rate(orders_failed_total[5m]) > 1"),
            rule("PrometheusRemoteWriteBehind", "prometheus_remote_storage_highest_timestamp_in_seconds > 1"),
        ]);
        let weights: Vec<Weight> = read(&snap).iter().map(|s| s.weight).collect();
        assert_eq!(weights, [Weight::Note, Weight::Note, Weight::Weighs]);
        assert_eq!(read(&snap)[2].explained_by_checks, ["remote-write-failing"]);
    }

    #[test]
    fn a_rule_is_not_taken_for_its_twin() {
        let mut snap = snapshot();
        let fires = alert("HighErrors", &[("severity", "warning")]);
        let raised: crate::snapshot::monitoring::RuleAlert =
            serde_json::from_value(serde_json::json!({"labels": fires.labels, "state": "firing"})).expect("an alert");
        let of = |group: &str, alerts: Vec<crate::snapshot::monitoring::RuleAlert>| {
            let mut made = rule("HighErrors", "errors > 1");
            group.clone_into(&mut made.name);
            made.rules[0].alerts = alerts;
            made
        };
        let explained = |snap: &Snapshot| -> Vec<ResourceRef> {
            let all = read(snap).remove(0).about;
            all.into_iter().filter(|r| matches!(r, ResourceRef::Rule { group, .. } if !group.is_empty())).collect()
        };
        let own = ResourceRef::Rule { group: "a".into(), rule: "HighErrors".into() };
        *snap.prometheus_alerts = Ok(vec![fires]);
        *snap.prometheus_rules = Ok(vec![of("a", vec![])]);
        assert_eq!(explained(&snap), std::slice::from_ref(&own), "the only one of the name");
        *snap.prometheus_rules = Ok(vec![of("a", vec![raised.clone()]), of("b", vec![])]);
        assert_eq!(explained(&snap), [own]);
        let mut both = of("a", vec![raised]);
        both.rules.extend(of("a", vec![]).rules);
        *snap.prometheus_rules = Ok(vec![both]);
        assert!(explained(&snap).is_empty(), "which of the two is at fault is not known");
    }
}
