//! A dashboard asks for metrics that Prometheus does not have.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::grafana::{in_dashboard, named_in, none_runs, place_in, running};
use crate::checks::{Check, check};
use crate::domain::grafana::dashboards::{self, Dashboard, text_of};
use crate::domain::grafana::old_labels::{self, Kept, Old};
use crate::domain::grafana::panel::{self, Asked, Panel, asks_our_prometheus};
use crate::domain::grafana::provisioned::Instance;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::proxy;
use crate::domain::prometheus::recorded::{self, Recorder, Why, Written};
use crate::model::{Cause, CheckMeta, Diagnosis, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::{Snapshot, journal};
use crate::text::near::near_metric;

/// Places that are named; the evidence names all panels.
const PLACES: usize = 10;

check! {
    /// See the check's page.
    DashboardMissingMetric {
        id: "dashboard-missing-metric", suite: Grafana, severity: Warning,
        title: "a dashboard asks for metrics that Prometheus does not have",
        requires: [ConfigMaps, Workloads, PrometheusMetricNames],
        uses: [
            Services, GrafanaDatasources, GrafanaDashboards, PrometheusTargets, PrometheusConfig, Nodes, PrometheusRules,
            PrometheusRuleObjects, MonitoringResources, OtherServers, Namespaces,
        ],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    /// Lists the names of all metrics.
    names_path: String,
    /// Finds those of the same applications.
    pattern: String,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    Rename {
        dashboard: String,
        corrections: Vec<Correction>,
        config_map: Option<String>,
        config_namespace: Option<String>,
    },
    /// The metrics are there, and have these labels no more.
    Labels {
        dashboard: String,
        corrections: Vec<Correction>,
        config_map: Option<String>,
        config_namespace: Option<String>,
    },
    /// Rules that are not loaded would record them.
    Record {
        /// What each of them is recorded by, and why that is not loaded.
        recorders: Vec<String>,
        rules_path: String,
        /// The first of the groups.
        group: String,
        rule: Option<String>,
        config_map: Option<String>,
        config_namespace: String,
        /// Its file has to be mounted, or named.
        key: Option<String>,
    },
    Expose {
        dashboard: String,
    },
}

/// A name, and the one that is meant.
#[derive(Serialize, JsonSchema)]
struct Correction {
    old: String,
    new: String,
}

impl Check for DashboardMissingMetric {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let Some(instances) = running(snap)? else { return Ok(none_runs()) };
        let names = snap.prometheus_metric_names()?;
        // Which Prometheus a datasource asks, the Services tell: without them no instance is known to ask ours.
        let _ = snap.services();
        let own: Vec<Instance<'_>> = instances.iter().copied().filter(|i| asks_our_prometheus(snap, *i)).collect();
        // A Prometheus without a single series is the matter of others.
        if own.is_empty() || names.is_empty() {
            return Ok(Diagnosis::Findings(Vec::new()));
        }
        let all = dashboards::with_word(snap, &own, &["\"expr\""]);
        let mut findings: Vec<Finding> = all.iter().filter_map(|d| finding(snap, names, d)).collect();
        findings.extend(all.iter().filter_map(|d| by_old_labels(snap, names, d)));
        Ok(Diagnosis::Findings(findings))
    }
}

/// A chart brings dashboards for parts that nobody runs here.
fn is_of_chart(dashboard: &Dashboard<'_>) -> bool {
    dashboard.file.is_some_and(|f| !managed_by(&f.config_map.metadata).is_empty())
}

/// Some node runs containers with Docker (cri-dockerd), or nobody knows that none does.
fn may_run_docker(snap: &Snapshot) -> bool {
    // Without the nodes, names of Docker's containers are taken as they are.
    let nodes = journal::aside(|| snap.nodes.items().unwrap_or_default());
    nodes.is_empty() || nodes.iter().any(|n| n.status.node_info.container_runtime_version.starts_with("docker://"))
}

/// It asks metrics that are there by labels that they had before.
fn by_old_labels(snap: &Snapshot, names: &BTreeSet<String>, dashboard: &Dashboard<'_>) -> Option<Finding> {
    if is_of_chart(dashboard) {
        return None;
    }
    let panels = dashboard.panels();
    let asked: Vec<(String, Vec<Asked>)> =
        panels.iter().map(|p| (text_of(p, "title"), panel::labels(p))).filter(|(_, asked)| !asked.is_empty()).collect();
    let is_there = |a: &&Asked| names.contains(&a.metric);
    // Without a label of before nobody needs to know what the configuration makes.
    let none = Kept { config: "", docker: false };
    if !asked.iter().flat_map(|(_, all)| all).filter(is_there).any(|a| old_labels::of(a, none).is_some()) {
        return None;
    }
    let kept = Kept { config: snap.prometheus_config().ok()?, docker: may_run_docker(snap) };
    let mut old: BTreeSet<Old> = BTreeSet::new();
    let mut titles = Vec::new();
    let mut empty = 0;
    for (title, all) in &asked {
        let own: Vec<(&Asked, Old)> =
            all.iter().filter(is_there).filter_map(|a| Some((a, old_labels::of(a, kept)?))).collect();
        if own.is_empty() {
            continue;
        }
        empty += usize::from(own.iter().any(|(a, _)| a.is_needed));
        let named: BTreeSet<String> = own.iter().map(|(_, o)| o.old.clone()).collect();
        titles.push(format!("panel {title:?}: {}", named.into_iter().collect::<Vec<_>>().join(", ")));
        old.extend(own.into_iter().map(|(_, o)| o));
    }
    if old.is_empty() {
        return None;
    }
    let list: Vec<String> = old.iter().map(|o| format!("{} ({} now)", o.old, o.new)).collect();
    let shown = if empty > 0 { "show nothing" } else { "show all pods as one, without a name" };
    let message = format!(
        "dashboard {} asks the kubelets' metrics by what they had before Kubernetes 1.16 or with Docker: {}; {} of its {} panels do, and {shown}",
        dashboard.title,
        list.join(", "),
        titles.len(),
        panels.len()
    );
    let made = Finding::new(DashboardMissingMetric::META.id, Severity::Warning, dashboard.subject(), message)
        .key(format!("{} labels", dashboard.subject().key()))
        .evidence(in_dashboard(dashboard, titles.join("\n")));
    let mut made = named_in(dashboard, made);
    // Nothing else fails for it.
    made.breaks = Some(vec![dashboard.reference()]);
    let at = snap.scope.prometheus.as_ref()?;
    let map = dashboard.file.map(|f| &f.config_map.metadata);
    Some(made.fix(Fix {
        names_path: proxy::of_component(at, "/api/v1/labels"),
        pattern: old.iter().map(|o| format!("^\"{}\"", o.new.trim_end_matches("!=\"\""))).collect::<Vec<_>>().join("|"),
        way: Way::Labels {
            dashboard: dashboard.title.clone(),
            corrections: old.into_iter().map(|o| Correction { old: o.old, new: o.new }).collect(),
            config_map: map.map(|m| m.name.clone()),
            config_namespace: map.map(|m| m.namespace.clone()),
        },
    }))
}

fn finding(snap: &Snapshot, names: &BTreeSet<String>, dashboard: &Dashboard<'_>) -> Option<Finding> {
    let panels: Vec<Panel> = dashboard.panels().into_iter().filter_map(panel::read).collect();
    let lacks = |p: &Panel| p.metrics.iter().all(|m| !names.contains(m));
    let mut empty: Vec<&Panel> = panels.iter().filter(|p| lacks(p)).collect();
    if empty.is_empty() {
        return None;
    }
    let missing =
        |empty: &[&'_ Panel]| -> BTreeSet<String> { empty.iter().flat_map(|p| &p.metrics).cloned().collect() };
    let all = missing(&empty);
    // Who would record a metric only says more of it.
    let recorders = journal::aside(|| recorded::unloaded(snap, &all.iter().map(String::as_str).collect()));
    // Of a chart's dashboards those count whose rules are here.
    if is_of_chart(dashboard) {
        empty.retain(|p| p.metrics.iter().any(|m| recorders.iter().any(|r| r.metric == *m)));
        if empty.is_empty() {
            return None;
        }
    }
    let missing = missing(&empty);
    let missing: BTreeSet<&str> = missing.iter().map(String::as_str).collect();
    let meant: BTreeMap<&str, &str> =
        missing.iter().filter_map(|m| Some((*m, near_metric(m, names.iter().map(String::as_str))?))).collect();
    let whole = empty.len() == panels.len();
    // A counter of something that did not happen yet is not there either.
    let telling = whole || !meant.is_empty() || !recorders.is_empty();
    let severity = if telling { Severity::Warning } else { Severity::Info };
    let listed = |m: &&str| meant.get(m).map_or_else(|| (*m).to_owned(), |near| format!("{m} ({near}?)"));
    let list = missing.iter().map(listed).collect::<Vec<_>>().join(", ");
    let shown = if whole {
        "none of its panels shows data".to_owned()
    } else {
        format!("{} of {} panels are empty", empty.len(), panels.len())
    };
    let told: Vec<String> = recorders.iter().map(words).collect();
    let by = told.first().map(|first| format!("; {first}")).unwrap_or_default();
    let message =
        format!("dashboard {} asks for metrics that Prometheus does not have: {list}; {shown}{by}", dashboard.title);
    let titles: Vec<String> = empty
        .iter()
        .map(|p| {
            format!("panel {:?}: {}", p.title, p.metrics.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
        })
        .collect();
    let made = Finding::new(DashboardMissingMetric::META.id, severity, dashboard.subject(), message)
        .evidence(in_dashboard(dashboard, titles.join("\n")));
    let mut made = named_in(dashboard, made);
    made.locations.extend(missing.iter().take(PLACES).filter_map(|m| place_in(dashboard, &["expr"], m)));
    // Nothing else fails for it.
    made.breaks = Some(vec![dashboard.reference()]);
    for target in snap.prometheus_targets().map(Vec::as_slice).unwrap_or_default().iter().filter(|t| t.health == "down")
    {
        made = made.depends_on(ResourceRef::ScrapeJob { job: target.job().to_owned() });
    }
    let at = snap.scope.prometheus.as_ref()?;
    // What keeps the rule out is told of by itself; several dashboards may ask for what it records.
    made = recorders.iter().fold(made, |made, r| made.depends_on(r.written.reference()));
    let way = if let Some(first) = recorders.first() {
        let holder = first.written.reference();
        let about = format!("dashboards ask for metrics that Prometheus does not have: {}", told.join("; "));
        made = made.cause(Cause::keyed(format!("recorded by {}", holder.key()), about));
        record(first, told, proxy::of_component(at, "/api/v1/rules"))
    } else if meant.is_empty() {
        Way::Expose { dashboard: dashboard.title.clone() }
    } else {
        let corrected = |(old, new): (&&str, &&str)| Correction { old: (*old).to_owned(), new: (*new).to_owned() };
        let map = dashboard.file.map(|f| &f.config_map.metadata);
        Way::Rename {
            dashboard: dashboard.title.clone(),
            corrections: meant.iter().map(corrected).collect(),
            config_map: map.map(|m| m.name.clone()),
            config_namespace: map.map(|m| m.namespace.clone()),
        }
    };
    Some(made.fix(Fix {
        names_path: proxy::of_component(at, "/api/v1/label/__name__/values"),
        pattern: missing.iter().map(|m| stem(m)).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join("|"),
        way,
    }))
}

/// `job:requests:rate5m is recorded by group api of PrometheusRule monitoring/api, which no Prometheus selects`.
fn words(recorder: &Recorder<'_>) -> String {
    let Recorder { metric, group, written, why } = recorder;
    let holder = match written {
        Written::Object(meta) => format!("PrometheusRule {}/{}", meta.namespace, meta.name),
        Written::File(map, key) => format!("{key} of ConfigMap {}/{}", map.metadata.namespace, map.metadata.name),
    };
    let why = match why {
        Why::Unselected => "which no Prometheus selects".to_owned(),
        Why::Elsewhere(server) => format!("which {server} selects, and not the Prometheus that Grafana asks"),
        Why::NotLoaded => "which Prometheus has not loaded".to_owned(),
        Why::NotMounted => "which no Prometheus mounts".to_owned(),
        Why::NotNamed => "which no pattern of rule_files names".to_owned(),
    };
    format!("{metric} is recorded by group {group} of {holder}, {why}")
}

fn record(first: &Recorder<'_>, recorders: Vec<String>, rules_path: String) -> Way {
    let (rule, file) = match first.written {
        Written::Object(meta) => (Some(meta), None),
        Written::File(map, key) => (None, Some((&map.metadata, key))),
    };
    let namespace = rule.or(file.map(|(meta, _)| meta)).map(|m| m.namespace.clone()).unwrap_or_default();
    let unread = matches!(first.why, Why::NotMounted | Why::NotNamed);
    Way::Record {
        recorders,
        rules_path,
        group: first.group.clone(),
        rule: rule.map(|m| m.name.clone()),
        config_map: file.map(|(m, _)| m.name.clone()),
        config_namespace: namespace,
        key: file.map(|(_, key)| key.to_owned()).filter(|_| unread),
    }
}

/// The beginning of a name: the application or exporter that it belongs to.
fn stem(metric: &str) -> &str {
    metric.split(['_', ':']).next().unwrap_or(metric)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::testing::findings;
    use crate::domain::testing::grafana::{dashboard_map, datasource_map, grafana, snapshot};
    use crate::domain::testing::service;
    use crate::snapshot::Listing;
    use crate::snapshot::kubernetes::MonitoringResource;
    use serde_json::{Value, json};

    fn with(panels: &Value) -> Snapshot {
        let mut snap = snapshot(json!({
            "services": [service("monitoring", "prometheus", &[9090])],
            "workloads": [grafana(json!({"app": "grafana"}))],
            "config_maps": [
                datasource_map("- {name: Prometheus, type: prometheus, url: 'http://prometheus:9090', isDefault: true}"),
                dashboard_map(&json!({"title": "Orders", "uid": "orders", "panels": panels})),
            ],
        }));
        let names = ["up", "orders_created_total", "http_request_duration_seconds_bucket"];
        *snap.prometheus_metric_names = Ok(names.into_iter().map(str::to_owned).collect());
        snap
    }

    fn panel(expr: &str) -> Value {
        json!({"title": "t", "datasource": {"type": "prometheus", "uid": "x"}, "targets": [{"expr": expr}]})
    }

    #[test]
    fn what_is_there_or_cannot_be_told_is_quiet() {
        for expr in [
            "sum(rate(orders_created_total{status=\"ok\"}[$__rate_interval]))",
            "histogram_quantile(0.9, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))",
            "rate({__name__=~\"nosuch_.*\"}[5m])",
            "$metric",
            "orders_created_total or nosuch_total",
            "ALERTS{alertstate=\"firing\"}",
        ] {
            assert!(findings(&DashboardMissingMetric, &with(&json!([panel(expr)]))).is_empty(), "{expr}");
        }
        let logs = json!([{"title": "t", "datasource": {"type": "loki"}, "targets": [{"expr": "rate(nosuch[5m])"}]}]);
        assert!(findings(&DashboardMissingMetric, &with(&logs)).is_empty());
    }

    #[test]
    fn what_an_unselected_rule_would_record_hangs_on_that_rule() {
        let server = json!({"metadata": {"namespace": "monitoring", "name": "k8s"},
            "spec": {"ruleSelector": {"matchLabels": {"release": "stack"}}}});
        let server: MonitoringResource = serde_json::from_value(server).expect("a resource");
        let server = MonitoringResource { kind: "Prometheus".into(), ..server };
        let with_rule = |servers: &[MonitoringResource], name: &str| {
            let mut snap = with(&json!([panel("sum(job:orders:rate5m)")]));
            let rule = json!({"metadata": {"namespace": "monitoring", "name": "orders", "creationTimestamp": "2026-11-20T00:00:00Z"},
                "spec": {"groups": [{"name": "g", "rules": [{"record": name, "expr": "1"}]}]}});
            snap.prometheus_rule_objects = Listing::cluster(vec![serde_json::from_value(rule).expect("a rule")]);
            snap.monitoring_resources = Listing::cluster(servers.to_vec());
            *snap.prometheus_rules = Ok(Vec::new());
            findings(&DashboardMissingMetric, &snap)
        };
        let found = with_rule(std::slice::from_ref(&server), "job:orders:rate5m");
        assert_eq!(found[0].variant, "record");
        assert!(
            found[0]
                .message
                .ends_with("recorded by group g of PrometheusRule monitoring/orders, which no Prometheus selects")
        );
        let rule = ResourceRef::kubernetes("monitoring.coreos.com", "PrometheusRule", "monitoring", "orders");
        assert!(found[0].depends_on.contains(&rule));
        assert_eq!(with_rule(&[server], "job:other:rate5m")[0].variant, "expose");
        assert_eq!(
            with_rule(&[], "job:orders:rate5m")[0].variant,
            "expose",
            "others than the operator may read the rule"
        );
    }

    #[test]
    fn an_empty_dashboard_is_found_and_a_near_name_proposed() {
        let found = findings(&DashboardMissingMetric, &with(&json!([panel("rate(order_created_total[5m])")])));
        assert_eq!((found[0].severity, found[0].variant), (Severity::Warning, "rename"));
        assert_eq!(found[0].locations.len(), 1);
        assert!(found[0].message.contains("order_created_total (orders_created_total?)"), "{}", found[0].message);
        let some = with(&json!([panel("up"), panel("sum(payments_failed_total)")]));
        assert_eq!(findings(&DashboardMissingMetric, &some)[0].severity, Severity::Info);
    }
}
