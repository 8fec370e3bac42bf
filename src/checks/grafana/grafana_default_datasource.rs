//! Two provisioned datasources of one organisation are marked as default.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::grafana::{Grafana, KeptIn, none_runs, running};
use crate::checks::support::written::{self, Corrected};
use crate::checks::{Check, check};
use crate::domain::grafana::provisioned::{self, Datasource, Instance};
use crate::domain::grafana::url::{self, Written};
use crate::domain::manifests::grafana::{Listed, lists};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, Program, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;
use crate::snapshot::monitoring::ContainerLog;

/// What Grafana says, of every version.
const REFUSAL: &str = "Only one datasource per organization can be marked as default";
/// Characters of a log line that are shown.
const LOG_WIDTH: usize = 400;

check! {
    /// See the check's page.
    GrafanaDefaultDatasource {
        id: "grafana-default-datasource", suite: Grafana, severity: Error,
        title: "two Grafana datasources are marked as default",
        requires: [ConfigMaps, Workloads],
        uses: [Services, Pods, ComponentLogs, CrashLogs, GrafanaHealth, GrafanaDatasources],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    OneDefault(Box<OneDefault>),
    File(Corrected),
}

/// One of several defaults is to stay it.
#[derive(Serialize, JsonSchema)]
struct OneDefault {
    /// Those that are not to be the default.
    names: Vec<String>,
    types: Vec<String>,
    /// The one that stays it.
    kept: String,
    /// The side-car that lets a running Grafana load the change.
    reloader: Option<String>,
    /// It crash-loops beside the side-car: the kubelet starts it with the new files.
    starts_itself: bool,
    #[serde(flatten)]
    kept_in: KeptIn,
    #[serde(flatten)]
    grafana: Grafana,
    #[serde(flatten)]
    chart: ChartValue,
}

/// The value of a chart that says which datasource is the default; none where no chart has one.
#[derive(Default, Serialize, JsonSchema)]
struct ChartValue {
    values_key: Option<&'static str>,
    helm_release: Option<String>,
    helm_chart: Option<&'static str>,
    helm_version: Option<String>,
    helm_set: Option<String>,
}

impl Check for GrafanaDefaultDatasource {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn judge(&self, snap: &Snapshot) -> Option<Result<Diagnosis, Gap>> {
        let judged = snap.manifests().map(|_| {
            let all = lists(snap);
            if all.is_empty() {
                return Diagnosis::NotApplicable("no datasources in the files".into());
            }
            let each = all.iter().enumerate();
            Diagnosis::Findings(each.filter_map(|(at, list)| in_file(snap, list, &all[..at])).collect())
        });
        Some(judged)
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let Some(instances) = running(snap)? else { return Ok(none_runs()) };
        let mut findings = Vec::new();
        for instance in instances {
            let all = provisioned::datasources(snap, instance);
            let mut defaults: BTreeMap<i64, Vec<&Datasource<'_>>> = BTreeMap::new();
            for datasource in all.iter().filter(|d| d.is_default) {
                defaults.entry(datasource.org).or_default().push(datasource);
            }
            for (org, marked) in defaults.into_iter().filter(|(_, marked)| marked.len() > 1) {
                findings.extend(of_organisation(snap, instance, org, &all, marked));
            }
        }
        Ok(Diagnosis::Findings(findings))
    }
}

/// Two defaults that stand in one file, or in ConfigMaps that come to one Grafana.
fn in_file(snap: &Snapshot, list: &Listed<'_>, before: &[Listed<'_>]) -> Option<Finding> {
    let mut problems = list.second_defaults(snap);
    if problems.is_empty() {
        problems = before.iter().map(|other| list.defaults_beside(other)).find(|p| !p.is_empty()).unwrap_or_default();
    }
    problems.first()?;
    let so = ": Grafana refuses all its datasources, and does not start";
    let (meta, file) = (&GrafanaDefaultDatasource::META, list.file);
    let found = match (&list.values, list.object) {
        (Some(values), _) => written::of_values(meta, file, values, &problems, so),
        (None, Some(object)) => written::of_object(meta, file, object, &problems, so),
        (None, None) => written::of_file(meta, file, &problems, so),
    };
    Some(found.fix(Fix::File(Corrected::new(file, &list.field, &problems, "", &written::still_read(file)))))
}

/// One finding for each file that should give way.
fn of_organisation<'a>(
    snap: &'a Snapshot,
    instance: Instance<'a>,
    org: i64,
    all: &[Datasource<'a>],
    mut marked: Vec<&Datasource<'a>>,
) -> Vec<Finding> {
    marked.sort_by_key(|d| precedence(snap, d));
    let Some((kept, others)) = marked.split_first() else { return Vec::new() };
    let mut by_file: BTreeMap<(String, &str), Vec<&Datasource<'a>>> = BTreeMap::new();
    for other in others {
        let Some(file) = other.file else { continue };
        by_file.entry((file.config_map.reference().key(), file.key)).or_default().push(other);
    }
    by_file.into_values().filter_map(|wrong| finding(snap, instance, org, all, kept, &wrong)).collect()
}

/// Which one stays the default: the stack's own Prometheus, then any Prometheus, then what came first.
fn precedence(snap: &Snapshot, datasource: &Datasource<'_>) -> (bool, bool, Option<jiff::Timestamp>, String) {
    let own = snap.scope.prometheus.as_ref().is_some_and(|p| {
        let written = Written::parse(&datasource.url);
        let behind =
            written.and_then(|w| url::service_behind(snap, datasource.instance.namespace(), &w).ok().flatten());
        behind.is_some_and(|s| s.metadata.namespace == p.namespace && s.metadata.name == p.service)
    });
    let made = datasource.file.and_then(|f| f.config_map.metadata.creation_timestamp);
    (!own, datasource.kind != "prometheus", made, datasource.name.clone())
}

fn finding(
    snap: &Snapshot,
    instance: Instance<'_>,
    org: i64,
    all: &[Datasource<'_>],
    kept: &Datasource<'_>,
    wrong: &[&Datasource<'_>],
) -> Option<Finding> {
    let file = wrong.first()?.file?;
    let map = file.config_map.reference();
    let names: Vec<&str> = wrong.iter().map(|d| d.name.as_str()).collect();
    let verb = if names.len() == 1 { "is marked" } else { "are marked" };
    let kept_in = kept.file.map(|f| f.config_map.reference()).filter(|r| *r != map);
    let place = kept_in.map_or_else(|| "in the same ConfigMap".to_owned(), |r| format!("in {r}"));
    let organisation = if org == 1 { String::new() } else { format!(" of organisation {org}") };
    let pods = instance.pods(snap);
    let refusal = refusal(snap, instance);
    let state = match (&refusal, is_down(&pods)) {
        (_, true) => ", so Grafana does not start",
        (Some(_), false) => ", so Grafana refuses the change and will not start again",
        (None, false) => ", so Grafana will not start again",
    };
    let message = format!(
        "{map}: datasource {} {verb} as default{organisation}, as {} is already ({place}){state}",
        names.join(", "),
        kept.name
    );
    let mut made = Finding::new(GrafanaDefaultDatasource::META.id, Severity::Error, map.clone(), message)
        .breaks(map.clone())
        .key(format!("{} {} {org}", map.key(), instance.reference().key()))
        .evidence(marked_evidence(wrong[0]))
        .evidence(marked_evidence(kept))
        .fix(Fix::OneDefault(Box::new(OneDefault {
            names: wrong.iter().map(|d| d.name.clone()).collect(),
            types: wrong.iter().map(|d| d.kind.clone()).collect(),
            kept: kept.name.clone(),
            reloader: file.reloader.filter(|_| !is_down(&pods)).map(str::to_owned),
            starts_itself: file.reloads && is_down(&pods) && pods.iter().all(|p| waits(p, &instance.container.name)),
            kept_in: KeptIn::of(Some(file)),
            grafana: Grafana::of(instance),
            chart: ChartValue::of(&file.config_map.metadata, instance.namespace(), &names).unwrap_or_default(),
        })));
    for missing in not_loaded(snap, instance, all) {
        made = made.breaks(missing);
    }
    if is_down(&pods) {
        made = made.breaks(instance.reference());
        made = pods.iter().fold(made, |m, p| m.breaks(ResourceRef::pod(&p.metadata.namespace, &p.metadata.name)));
    }
    if let Some((log, line)) = refusal {
        made = made.evidence(log_evidence(log, line));
    }
    Some(made)
}

/// Provisioned datasources that Grafana does not have: it stops at the first fault of all files.
fn not_loaded(snap: &Snapshot, instance: Instance<'_>, all: &[Datasource<'_>]) -> Vec<ResourceRef> {
    let instances = provisioned::instances(snap).unwrap_or_default();
    let is_asked = provisioned::asked(snap, &instances).is_some_and(|i| i.reference() == instance.reference());
    let Some(known) = snap.grafana_datasources().ok().filter(|_| is_asked) else { return Vec::new() };
    all.iter().filter(|d| !known.iter().any(|k| k.name == d.name)).map(Datasource::reference).collect()
}

fn is_down(pods: &[&Pod]) -> bool {
    let failing = |p: &&Pod| !p.is_ready() && p.status.container_statuses.iter().any(|s| s.restart_count > 0);
    !pods.is_empty() && pods.iter().any(failing) && !pods.iter().any(|p| p.is_ready())
}

/// The container waits for its next start, in a pod whose volumes stay.
fn waits(pod: &Pod, container: &str) -> bool {
    pod.status.container_statuses.iter().any(|s| s.name == container && s.restart_count > 0 && !s.ready)
}

/// The log line with which Grafana refuses the files.
fn refusal<'a>(snap: &'a Snapshot, instance: Instance<'_>) -> Option<(&'a ContainerLog, &'a str)> {
    let logs = [snap.component_logs(), snap.crash_logs()];
    let mut logs = logs.into_iter().filter_map(Result::ok).flatten();
    logs.find_map(|log| {
        if log.namespace != instance.namespace() || log.program != Some(Program::Grafana) {
            return None;
        }
        Some((log, log.text.lines().rev().find(|l| l.contains(REFUSAL))?))
    })
}

fn log_evidence(log: &ContainerLog, line: &str) -> Evidence {
    let source = format!("log of container {} of Pod {}/{}", log.container, log.namespace, log.pod);
    let show = "kubectl logs -n {{ namespace }} {{ pod }} -c {{ container }}{% if previous %} --previous{% endif %} --tail=200";
    // Behind the fields of the logger stands the error itself.
    let start = line.find("Datasource provisioning error").or(line.find(REFUSAL)).unwrap_or_default();
    Evidence::new(source, line[start..].trim_end_matches('"').chars().take(LOG_WIDTH).collect::<String>(), show)
        .with("namespace", &log.namespace)
        .with("pod", &log.pod)
        .with("container", &log.container)
        .with("previous", log.previous)
}

fn marked_evidence(datasource: &Datasource<'_>) -> Evidence {
    let value = format!("{}: type {}, isDefault: true", datasource.name, datasource.kind);
    crate::checks::support::grafana::in_datasource(datasource, value)
}

impl ChartValue {
    fn of(meta: &crate::snapshot::kubernetes::Meta, grafana_namespace: &str, names: &[&str]) -> Option<Self> {
        let label = meta.label("helm.sh/chart").or(meta.label("chart"))?;
        let (name, value) = match label {
            l if l.starts_with("loki-stack") => ("grafana/loki-stack", "loki.isDefault"),
            // The value is about the chart's own datasource; others are in grafana.additionalDataSources.
            l if l.starts_with("kube-prometheus-stack")
                && meta.namespace == grafana_namespace
                && names == ["Prometheus"] =>
            {
                ("prometheus-community/kube-prometheus-stack", "grafana.sidecar.datasources.isDefaultDatasource")
            }
            _ => return None,
        };
        let by_annotation =
            meta.annotations.get(crate::snapshot::kubernetes::annotation::HELM_RELEASE).map(String::as_str);
        let release = by_annotation.or(meta.label("release")).or(meta.label("app.kubernetes.io/instance"))?;
        let short = name.rsplit('/').next().unwrap_or(name);
        let version = label.strip_prefix(short).and_then(|v| v.strip_prefix('-')).map(str::to_owned);
        Some(Self {
            values_key: Some(value),
            helm_release: Some(release.to_owned()),
            helm_chart: Some(name),
            helm_version: version,
            helm_set: Some(format!("{value}=false")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::grafana::{datasource_map, grafana, snapshot};
    use crate::domain::testing::service;
    use serde_json::json;

    /// A value of the chart is about the datasource that it makes, not about others in the same file.
    #[test]
    fn a_value_of_the_chart_is_named_for_its_own_datasource_alone() {
        let labels = json!({"helm.sh/chart": "kube-prometheus-stack-75.1.0", "release": "stack"});
        let meta = serde_json::from_value(json!({"name": "d", "namespace": "monitoring", "labels": labels}))
            .expect("metadata");
        let value = |names: &[&str]| ChartValue::of(&meta, "monitoring", names).and_then(|c| c.values_key);
        assert_eq!(value(&["Prometheus"]), Some("grafana.sidecar.datasources.isDefaultDatasource"));
        assert_eq!(value(&["Prometheus", "Mimir"]), None);
        assert_eq!(value(&["Mimir"]), None);
    }

    fn of(entries: &str) -> Vec<Finding> {
        findings(
            &GrafanaDefaultDatasource,
            &snapshot(json!({
                "workloads": [grafana(json!({}))],
                "config_maps": [datasource_map(entries)],
                "services": [service("monitoring", "prometheus", &[9090])],
            })),
        )
    }

    #[test]
    fn one_default_for_each_organisation_is_right() {
        assert_eq!(of("- {name: A, type: prometheus, isDefault: true}\n- {name: B, type: loki}"), []);
        let orgs = "- {name: A, type: prometheus, isDefault: true}\n- {name: B, type: loki, isDefault: true, orgId: 2}";
        assert_eq!(of(orgs), []);
        assert_eq!(of("- {name: A, type: loki, isDefault: false}\n- {name: B, type: loki}"), []);
    }

    #[test]
    fn the_stacks_prometheus_stays_the_default() {
        let found = of("- {name: Logs, type: loki, isDefault: true}\n\
             - {name: Far, type: prometheus, isDefault: true, url: 'https://prom.example.com'}\n\
             - {name: Metrics, type: prometheus, isDefault: true, url: 'http://prometheus:9090'}");
        assert_eq!(found.len(), 1);
        assert!(found[0].message.contains("Far, Logs are marked as default, as Metrics is"), "{}", found[0].message);
        let text = steps(&found[0]);
        assert!(text.contains("- name: Logs\n  type: loki\n  isDefault: false"), "{text}");
        assert!(text.contains("kubectl rollout restart deployment/grafana -n monitoring"), "{text}");
    }
}
