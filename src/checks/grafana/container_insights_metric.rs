//! A panel or alarm shows pods' share of the node where their use of their limit is meant.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::checks::support::grafana::{KeptIn, in_dashboard, in_file, named_in, none_runs, running};
use crate::checks::{Check, check};
use crate::domain::grafana::dashboards::{self, Dashboard, text_of};
use crate::domain::grafana::provisioned::{File, Kind};
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;

/// Metrics of Container Insights that are a share of the node.
const OF_NODE: [&str; 2] = ["pod_cpu_utilization", "pod_memory_utilization"];
/// What the name of the metric that is a share of the pod's limit has more.
const OVER_LIMIT: &str = "_over_pod_limit";
/// Replacements of the names in a whole file.
const ADD_ENDING: &str = "s/pod_(cpu|memory)_utilization/&_over_pod_limit/g";
const ONE_ENDING: &str = "s/(_over_pod_limit)+/_over_pod_limit/g";
/// Namespace of the metrics in CloudWatch.
const NAMESPACE: &str = "ContainerInsights";
/// What exporters of CloudWatch put before and after the name.
const EXPORTED: &str = "aws_containerinsights_";
const STATISTICS: [&str; 6] = ["", "_average", "_maximum", "_minimum", "_sum", "_sample_count"];
/// What a title has in it that means the share of the node.
const NODE_WORDS: [&str; 3] = ["node", "노드", "instance"];

check! {
    /// See the check's page.
    ContainerInsightsMetric {
        id: "container-insights-metric", suite: Grafana, severity: Warning,
        title: "a panel shows pods' share of the node instead of their limit",
        requires: [ConfigMaps, Workloads],
        uses: [Services, GrafanaDashboards, PrometheusRules],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    OverLimit {
        /// The dashboard's title, or the file of the alarms.
        dashboard: String,
        #[serde(flatten)]
        kept_in: KeptIn,
        #[serde(flatten)]
        change: Change,
    },
}

/// What is wrong as it should be.
#[derive(Serialize, JsonSchema)]
struct Change {
    /// `panel` or `alarm`.
    word: &'static str,
    excerpt: Vec<Value>,
    metrics: Vec<String>,
    /// Of the first query, where it names them.
    dimensions: Vec<String>,
    region: Option<String>,
    /// What corrects the whole file; empty where that would change more than what is wrong.
    sed: Vec<&'static str>,
}

impl Check for ContainerInsightsMetric {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let Some(instances) = running(snap)? else { return Ok(none_runs()) };
        let mut findings: Vec<Finding> =
            dashboards::with_word(snap, &instances, &OF_NODE).iter().filter_map(|d| of_dashboard(snap, d)).collect();
        for instance in instances {
            findings.extend(instance.files(snap, Kind::Alerting).into_iter().filter_map(|f| of_rules(snap, f)));
        }
        Ok(Diagnosis::Findings(findings))
    }
}

/// A panel or alarm with its queries as they should be.
struct Wrong {
    title: String,
    id: Option<i64>,
    metrics: Vec<&'static str>,
    /// The queries that change, corrected.
    targets: Vec<Value>,
    /// The names stand for themselves, so that a replacement of words finds them.
    plain: bool,
}

impl Wrong {
    fn words(&self) -> String {
        let id = self.id.map(|id| format!(" (id {id})")).unwrap_or_default();
        format!("\"{}\"{id}: {}", self.title, self.metrics.join(", "))
    }
}

fn of_dashboard(snap: &Snapshot, dashboard: &Dashboard<'_>) -> Option<Finding> {
    let panels = dashboard.panels();
    let wrong: Vec<Wrong> = panels.iter().filter_map(|p| wrong_panel(snap, p)).collect();
    if wrong.is_empty() {
        return None;
    }
    // Other places that use the words mean them: a replacement in the whole file would change these too.
    let all_places: usize =
        panels.iter().map(|p| queries(p).iter().filter(|q| !uses(snap, q).is_empty()).count()).sum();
    let whole = wrong.iter().all(|w| w.plain) && wrong.iter().map(|w| w.targets.len()).sum::<usize>() == all_places;
    let what = format!("dashboard {}", dashboard.title);
    let (made, change) = finding(dashboard.subject(), &what, "panel", &wrong, whole);
    let made = wrong.iter().fold(made, |m, w| m.evidence(in_dashboard(dashboard, w.words())));
    let fix = Fix::OverLimit { dashboard: dashboard.title.clone(), kept_in: KeptIn::of(dashboard.file), change };
    Some(named_in(dashboard, made).fix(fix))
}

fn wrong_panel(snap: &Snapshot, panel: &Value) -> Option<Wrong> {
    let title = text_of(panel, "title");
    let told = format!("{title} {}", text_of(panel, "description")).to_lowercase();
    if NODE_WORDS.iter().any(|w| told.contains(w)) {
        return None;
    }
    of_queries(snap, title, panel.get("id").and_then(Value::as_i64), &queries(panel))
}

fn queries(panel: &Value) -> Vec<&Value> {
    panel.get("targets").and_then(Value::as_array).into_iter().flatten().collect()
}

fn of_queries(snap: &Snapshot, title: String, id: Option<i64>, queries: &[&Value]) -> Option<Wrong> {
    // Both beside each other: the share of the node is shown on purpose.
    let beside = |metric: &str| queries.iter().any(|q| q.to_string().contains(&format!("{metric}{OVER_LIMIT}")));
    let named_for_node =
        |q: &Value| ["alias", "label", "legendFormat"].iter().any(|k| text_of(q, k).to_lowercase().contains("node"));
    let mut wrong = Wrong { title, id, metrics: Vec::new(), targets: Vec::new(), plain: true };
    for query in queries {
        let found: Vec<&'static str> = uses(snap, query).into_iter().filter(|m| !beside(m)).collect();
        if found.is_empty() || named_for_node(query) {
            continue;
        }
        let (target, plain) = corrected(query, &found);
        wrong.plain &= plain;
        wrong.targets.push(target);
        wrong.metrics.extend(found);
    }
    wrong.metrics.sort_unstable();
    wrong.metrics.dedup();
    (!wrong.targets.is_empty()).then_some(wrong)
}

/// The metrics in question that a query asks for.
fn uses(snap: &Snapshot, query: &Value) -> Vec<&'static str> {
    let in_cloudwatch = |metric: &str| {
        let namespace = text_of(query, "namespace");
        let by_name = text_of(query, "metricName") == metric && (namespace == NAMESPACE || namespace.starts_with('$'));
        by_name
            || ["sqlExpression", "expression"].iter().any(|k| {
                let text = text_of(query, k);
                text.contains(NAMESPACE) && !spans(&text, metric).is_empty()
            })
    };
    let in_promql = |metric: &str| {
        let is_own =
            snap.prometheus_rules().is_ok_and(|groups| groups.iter().flat_map(|g| &g.rules).any(|r| r.name == metric));
        !is_own && !spans(&text_of(query, "expr"), metric).is_empty()
    };
    OF_NODE.into_iter().filter(|m| in_cloudwatch(m) || in_promql(m)).collect()
}

/// Where a metric stands in a query, by itself or as an exporter spells it: start and end of the name in question.
fn spans(text: &str, metric: &str) -> Vec<(usize, usize)> {
    let in_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    let mut found = Vec::new();
    for (at, _) in text.match_indices(metric) {
        let end = at + metric.len();
        let start = text[..at].rfind(|c| !in_name(c)).map_or(0, |i| i + 1);
        let after = text[end..].find(|c| !in_name(c)).map_or(text.len(), |i| end + i);
        let (before, behind) = (&text[start..at], &text[end..after]);
        if matches!(before, "" | EXPORTED) && STATISTICS.contains(&behind) && (before == EXPORTED || behind.is_empty())
        {
            found.push((at, end));
        }
    }
    found
}

/// The query with the other metrics, and whether their names stand there by themselves.
fn corrected(query: &Value, metrics: &[&str]) -> (Value, bool) {
    let mut target = query.clone();
    let mut plain = true;
    for key in ["metricName", "sqlExpression", "expression", "expr"] {
        let Some(Value::String(text)) = target.get_mut(key) else { continue };
        for metric in metrics {
            for (start, end) in spans(text, metric).into_iter().rev() {
                plain &= !text[..start].ends_with(EXPORTED);
                text.insert_str(end, OVER_LIMIT);
            }
        }
    }
    (target, plain)
}

/// Alarms of Grafana in a file of `provisioning/alerting`.
fn of_rules(snap: &Snapshot, file: File<'_>) -> Option<Finding> {
    if !OF_NODE.iter().any(|m| file.text.contains(m)) {
        return None;
    }
    let document: Value = serde_saphyr::from_str(file.text).ok()?;
    let list = |value: &Value, key: &str| value.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let rules: Vec<Value> = list(&document, "groups").iter().flat_map(|g| list(g, "rules")).collect();
    let wrong: Vec<Wrong> = rules
        .iter()
        .filter(|r| !NODE_WORDS.iter().any(|w| text_of(r, "title").to_lowercase().contains(w)))
        .filter_map(|rule| {
            let data = list(rule, "data");
            let models: Vec<&Value> = data.iter().filter_map(|d| d.get("model")).collect();
            of_queries(snap, text_of(rule, "title"), None, &models)
        })
        .collect();
    if wrong.is_empty() {
        return None;
    }
    let map = file.config_map.reference();
    let what = format!("the alert rules in {} of {map}", file.key);
    let (made, change) = finding(map.clone(), &what, "alarm", &wrong, false);
    let made = wrong.iter().fold(made, |m, w| m.evidence(in_file(&file, w.words())));
    let fix = Fix::OverLimit { dashboard: file.key.to_owned(), kept_in: KeptIn::of(Some(file)), change };
    Some(made.key(format!("{} {}", map.key(), file.key)).fix(fix))
}

fn finding(subject: ResourceRef, what: &str, word: &'static str, wrong: &[Wrong], whole: bool) -> (Finding, Change) {
    let mut metrics: Vec<&str> = wrong.iter().flat_map(|w| w.metrics.iter().copied()).collect();
    metrics.sort_unstable();
    metrics.dedup();
    let titles: Vec<String> = wrong.iter().map(|w| format!("\"{}\"", w.title)).collect();
    let words = if wrong.len() == 1 { word.to_owned() } else { format!("{word}s") };
    let is = if metrics.len() == 1 { "it is" } else { "they are" };
    let message = format!(
        "{what} uses {} in {words} {}; {is} the pods' share of the node, not of their limit",
        metrics.join(" and "),
        titles.join(", ")
    );
    let made = Finding::new(ContainerInsightsMetric::META.id, Severity::Warning, subject, message);
    (made, Change::of(word, wrong, &metrics, whole))
}

impl Change {
    fn of(word: &'static str, wrong: &[Wrong], metrics: &[&str], whole: bool) -> Self {
        let excerpt = |w: &Wrong| match w.id {
            Some(id) => json!({"id": id, "title": w.title, "targets": w.targets}),
            None => json!({"title": w.title, "targets": w.targets}),
        };
        let first = wrong.iter().flat_map(|w| &w.targets).next().cloned().unwrap_or_default();
        let dimension = |name: &str| {
            let value = first.pointer(&format!("/dimensions/{name}"))?;
            let value = value.as_str().or(value.get(0).and_then(Value::as_str))?;
            (!value.contains(['$', '*'])).then(|| format!("Name={name},Value={value}"))
        };
        let region = Some(text_of(&first, "region")).filter(|r| !r.is_empty() && r != "default" && !r.contains('$'));
        Self {
            word,
            excerpt: wrong.iter().map(excerpt).collect(),
            metrics: metrics.iter().map(|m| format!("{m}{OVER_LIMIT}")).collect(),
            dimensions: ["ClusterName", "Namespace"].into_iter().filter_map(dimension).collect(),
            region,
            // What has the ending already must not get it twice.
            sed: if whole { vec!["-e", ADD_ENDING, "-e", ONE_ENDING] } else { Vec::new() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::grafana::{dashboard_map, grafana, snapshot};

    fn board(panels: Value) -> Vec<Finding> {
        let dashboard = json!({"title": "Pods", "uid": "pods", "panels": panels});
        findings(
            &ContainerInsightsMetric,
            &snapshot(json!({"workloads": [grafana(json!({}))], "config_maps": [dashboard_map(&dashboard)]})),
        )
    }

    fn panel(title: &str, metrics: &[&str]) -> Value {
        let targets: Vec<Value> = metrics
            .iter()
            .map(|m| {
                json!({
                    "metricName": m, "namespace": "ContainerInsights", "region": "eu-west-1",
                    "dimensions": {"ClusterName": ["shop"], "Namespace": ["$ns"]}
                })
            })
            .collect();
        json!({"id": 7, "title": title, "targets": targets})
    }

    #[test]
    fn nodes_and_what_is_shown_on_purpose_are_quiet() {
        for quiet in [
            panel("Node CPU %", &["node_cpu_utilization"]),
            panel("Pod CPU, share of the node", &["pod_cpu_utilization"]),
            panel("Pod CPU", &["pod_cpu_utilization_over_pod_limit"]),
            panel("Pod CPU", &["pod_cpu_utilization", "pod_cpu_utilization_over_pod_limit"]),
            json!({"title": "Pods", "targets": [{"expr": "my:pod_cpu_utilization:rate5m"}]}),
            json!({"title": "Pods", "targets": [{"metricName": "pod_cpu_utilization", "namespace": "Mine"}]}),
        ] {
            assert_eq!(board(json!([quiet])), [], "{quiet}");
        }
    }

    #[test]
    fn each_panel_comes_with_its_query_corrected() {
        let row = json!({"type": "row", "panels": [panel("Memory", &["pod_memory_utilization"])]});
        let found = board(json!([panel("CPU", &["pod_cpu_utilization"]), row]));
        assert_eq!(found.len(), 1);
        let text = steps(&found[0]);
        assert!(text.contains("\"metricName\": \"pod_cpu_utilization_over_pod_limit\""), "{text}");
        assert!(text.contains("\"metricName\": \"pod_memory_utilization_over_pod_limit\""), "{text}");
        assert!(text.contains("--dimensions 'Name=ClusterName,Value=shop' --region eu-west-1"), "{text}");
        assert!(text.contains("sed -E"), "{text}");
    }

    #[test]
    fn queries_as_text_are_corrected_in_place() {
        let sql = "SELECT AVG(pod_cpu_utilization) FROM SCHEMA(\"ContainerInsights\", PodName)";
        let expr = "max by (pod) (aws_containerinsights_pod_memory_utilization_average{a=\"b\"})";
        let found = board(json!([
            {"id": 1, "title": "CPU", "targets": [{"sqlExpression": sql}]},
            {"id": 2, "title": "Memory", "targets": [{"expr": expr}]},
        ]));
        let text = steps(&found[0]);
        assert!(text.contains("AVG(pod_cpu_utilization_over_pod_limit)"), "{text}");
        assert!(text.contains("aws_containerinsights_pod_memory_utilization_over_pod_limit_average{"), "{text}");
        assert!(!text.contains("sed -E"), "{text}");
    }
}
