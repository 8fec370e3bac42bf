//! What is meant: words against the names of everything that was seen.

use std::collections::BTreeSet;

use strsim::jaro_winkler;

use super::{alert, grafana, target};
use crate::domain::alertmanager::config;
use crate::domain::alertmanager::tree::Tree;
use crate::domain::grafana::dashboards::text_of;
use crate::domain::prometheus::operator::chain::loaded_jobs;
use crate::domain::prometheus::targets;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Meta;

/// Names that are offered.
const OFFERED: usize = 8;
/// Above it, a name resembles what was typed.
const NEAR: f64 = 0.82;

/// A kind of thing that has a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// An alert by its name.
    Alert,
    /// A pod.
    Pod,
    /// Scrape targets: a job, a pool or an instance.
    Target,
    /// A Service.
    Service,
    /// A PersistentVolumeClaim.
    Claim,
    /// A receiver of Alertmanager.
    Receiver,
    /// A panel of a dashboard.
    Panel,
    /// A datasource of Grafana.
    Datasource,
    /// A node.
    Node,
    /// A Deployment.
    Deployment,
    /// A StatefulSet.
    StatefulSet,
    /// A DaemonSet.
    DaemonSet,
    /// A ServiceMonitor.
    ServiceMonitor,
    /// A PodMonitor.
    PodMonitor,
    /// A URL.
    Url,
}

/// Words for the kinds, the usual one first.
const WORDS: &[(Kind, &[&str])] = &[
    (Kind::Alert, &["alert", "alerts", "rule"]),
    (Kind::Pod, &["pod", "pods", "po"]),
    (Kind::Target, &["target", "targets", "job"]),
    (Kind::Service, &["svc", "service", "services"]),
    (Kind::Claim, &["pvc", "claim", "persistentvolumeclaim", "persistentvolumeclaims"]),
    (Kind::Receiver, &["receiver", "receivers"]),
    (Kind::Panel, &["panel", "panels", "dashboard"]),
    (Kind::Datasource, &["datasource", "datasources"]),
    (Kind::Node, &["node", "nodes", "no"]),
    (Kind::Deployment, &["deploy", "deployment", "deployments"]),
    (Kind::StatefulSet, &["sts", "statefulset", "statefulsets"]),
    (Kind::DaemonSet, &["ds", "daemonset", "daemonsets"]),
    (Kind::ServiceMonitor, &["servicemonitor", "servicemonitors", "smon"]),
    (Kind::PodMonitor, &["podmonitor", "podmonitors", "pmon"]),
    (Kind::Url, &["url"]),
];

impl Kind {
    /// The word by which it is asked for.
    pub fn word(self) -> &'static str {
        WORDS.iter().find(|(kind, _)| *kind == self).map_or("", |(_, words)| words[0])
    }

    fn parse(word: &str) -> Option<Self> {
        let word = word.to_ascii_lowercase();
        WORDS.iter().find(|(_, words)| words.contains(&word.as_str())).map(|(kind, _)| *kind)
    }
}

/// Something that has a chain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Thing {
    pub(super) kind: Kind,
    /// Empty where it has none.
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Thing {
    /// `pod/monitoring/prometheus-0`, as it can be asked for.
    pub(super) fn what(&self) -> String {
        let word = self.kind.word();
        if self.kind == Kind::Url {
            return self.name.clone();
        }
        if self.namespace.is_empty() {
            return format!("{word}/{}", self.name);
        }
        format!("{word}/{}/{}", self.namespace, self.name)
    }

    /// Whether it is called so: by its name, or with its namespace before it.
    fn is_called(&self, name: &str) -> bool {
        self.name == name || name.split_once('/').is_some_and(|(ns, rest)| self.namespace == ns && self.name == rest)
    }
}

/// What was asked for cannot be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unclear {
    /// What was asked for.
    pub asked: String,
    /// The kind that was asked for, by its word; empty where none was.
    pub kind: &'static str,
    /// Several things fit it; else nothing does.
    pub several: bool,
    /// Those that fit, or that resemble it, as they can be asked for.
    pub offered: Vec<String>,
    /// How many more there are.
    pub more: usize,
    /// What could not be seen, so that it may be there all the same.
    pub unseen: Vec<String>,
}

/// Every word by which a kind is asked for, the usual ones.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    WORDS.iter().map(|(_, words)| words[0])
}

/// The namespace that the words name: it has to be read.
pub fn namespace_of(words: &[String]) -> Option<String> {
    let (kind, name) = split(words);
    let is_namespaced = matches!(
        kind?,
        Kind::Pod
            | Kind::Service
            | Kind::Claim
            | Kind::Deployment
            | Kind::StatefulSet
            | Kind::DaemonSet
            | Kind::ServiceMonitor
            | Kind::PodMonitor
    );
    let (namespace, _) = name.split_once('/').filter(|_| is_namespaced)?;
    Some(namespace.to_owned())
}

/// The one thing that the words mean.
pub(super) fn find(snap: &Snapshot, words: &[String], namespace: Option<&str>) -> Result<Thing, Box<Unclear>> {
    let (kind, name) = split(words);
    let is_url = |n: &str| n.starts_with("http://") || n.starts_with("https://");
    if kind == Some(Kind::Url) || (kind.is_none() && is_url(&name)) {
        return Ok(Thing { kind: Kind::Url, namespace: String::new(), name });
    }
    let mut all: Vec<Thing> = everything(snap);
    all.retain(|t| kind.is_none_or(|k| k == t.kind));
    if let Some(namespace) = namespace {
        all.retain(|t| t.namespace.is_empty() || t.namespace == namespace);
    }
    let plain = |text: &str| text.to_lowercase();
    let wanted = plain(&name);
    let words: Vec<String> = name.split_whitespace().map(plain).collect();
    let ways: [&dyn Fn(&Thing) -> bool; 4] = [
        &|t| t.is_called(&name),
        &|t| plain(&t.name) == wanted,
        &|t| !wanted.is_empty() && plain(&t.what()).contains(&wanted),
        &|t| !words.is_empty() && words.iter().all(|w| plain(&t.what()).contains(w)),
    ];
    for way in ways {
        let fits: Vec<&Thing> = all.iter().filter(|t| way(t)).collect();
        match fits.as_slice() {
            [] => {}
            [one] => return Ok((*one).clone()),
            many => {
                return Err(Box::new(unclear(snap, kind, name.clone(), true, many.iter().map(|t| t.what()).collect())));
            }
        }
    }
    let near = near(&all, &wanted);
    Err(Box::new(unclear(snap, kind, name, false, near)))
}

fn unclear(snap: &Snapshot, kind: Option<Kind>, asked: String, several: bool, mut offered: Vec<String>) -> Unclear {
    let more = offered.len().saturating_sub(OFFERED + 1);
    if more > 0 {
        offered.truncate(OFFERED);
    }
    let more = if more > 0 { more + 1 } else { 0 };
    Unclear { asked, kind: kind.map_or("", Kind::word), several, offered, more, unseen: unseen(snap, kind) }
}

/// The kind and the name in words: `pod/prometheus-0`, `pod prometheus-0`, or a name alone.
fn split(words: &[String]) -> (Option<Kind>, String) {
    if let [first, rest @ ..] = words
        && !rest.is_empty()
        && let Some(kind) = Kind::parse(first)
    {
        return (Some(kind), rest.join(" "));
    }
    let whole = words.join(" ");
    match whole.split_once('/') {
        Some((word, name)) if Kind::parse(word).is_some() => (Kind::parse(word), name.to_owned()),
        _ => (None, whole),
    }
}

/// What resembles a name, the nearest first.
fn near(all: &[Thing], wanted: &str) -> Vec<String> {
    let last = wanted.rsplit('/').next().unwrap_or(wanted);
    let score = |t: &Thing| {
        let name = t.name.to_lowercase();
        jaro_winkler(&name, wanted).max(jaro_winkler(&name, last))
    };
    let mut scored: Vec<(f64, String)> = all.iter().map(|t| (score(t), t.what())).filter(|(s, _)| *s > NEAR).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    scored.dedup_by(|a, b| a.1 == b.1);
    scored.truncate(OFFERED);
    scored.into_iter().map(|(_, what)| what).collect()
}

/// Everything that has a chain, each once, in order.
pub(super) fn everything(snap: &Snapshot) -> Vec<Thing> {
    let mut all: BTreeSet<Thing> = BTreeSet::new();
    let mut add = |kind: Kind, namespace: &str, name: &str| {
        if !name.is_empty() {
            all.insert(Thing { kind, namespace: namespace.to_owned(), name: name.to_owned() });
        }
    };
    objects(snap, &mut add);
    monitoring(snap, &mut add);
    all.into_iter().collect()
}

fn objects(snap: &Snapshot, add: &mut impl FnMut(Kind, &str, &str)) {
    let mut of = |kind: Kind, meta: &Meta| add(kind, &meta.namespace, &meta.name);
    snap.pods.items().unwrap_or_default().iter().for_each(|o| of(Kind::Pod, &o.metadata));
    snap.services.items().unwrap_or_default().iter().for_each(|o| of(Kind::Service, &o.metadata));
    snap.persistent_volume_claims.items().unwrap_or_default().iter().for_each(|o| of(Kind::Claim, &o.metadata));
    snap.nodes.items().unwrap_or_default().iter().for_each(|o| of(Kind::Node, &o.metadata));
    for workload in snap.workloads.items().unwrap_or_default() {
        let kind = match workload.kind.as_str() {
            "Deployment" => Kind::Deployment,
            "StatefulSet" => Kind::StatefulSet,
            _ => Kind::DaemonSet,
        };
        of(kind, &workload.metadata);
    }
    for monitor in snap.monitors.items().unwrap_or_default() {
        let kind = if monitor.kind == "PodMonitor" { Kind::PodMonitor } else { Kind::ServiceMonitor };
        of(kind, &monitor.metadata);
    }
    // A pod that a StatefulSet wants has its name before it is there.
    for set in snap.workloads.items().unwrap_or_default().iter().filter(|w| w.kind == "StatefulSet") {
        for at in 0..set.desired() {
            add(Kind::Pod, &set.metadata.namespace, &format!("{}-{at}", set.metadata.name));
        }
    }
}

fn monitoring(snap: &Snapshot, add: &mut impl FnMut(Kind, &str, &str)) {
    let groups = snap.prometheus_rules.as_ref().map(Vec::as_slice).unwrap_or_default();
    let rules = groups.iter().flat_map(|g| &g.rules).filter(|r| r.kind != "recording");
    rules.for_each(|r| add(Kind::Alert, "", &r.name));
    snap.prometheus_alerts.iter().flatten().for_each(|a| add(Kind::Alert, "", a.name()));
    for held in snap.alertmanager_alerts.iter().flatten().flat_map(|g| &g.alerts) {
        add(Kind::Alert, "", held.labels.get("alertname").map_or("", String::as_str));
    }
    for object in snap.prometheus_rule_objects.items().unwrap_or_default() {
        alert::alerts_of(&object.spec).for_each(|name| add(Kind::Alert, "", name));
    }
    for found in targets::all(snap) {
        target::names(found).for_each(|name| add(Kind::Target, "", name));
    }
    loaded_jobs(snap).into_iter().flatten().for_each(|job| add(Kind::Target, "", &job));
    let tree = config::loaded(snap).and_then(Tree::read);
    tree.iter().flat_map(|t| t.receivers.keys()).for_each(|name| add(Kind::Receiver, "", name));
    snap.alertmanager_receivers.iter().flatten().for_each(|name| add(Kind::Receiver, "", name));
    for dashboard in grafana::dashboards(snap) {
        for panel in dashboard.panels() {
            add(Kind::Panel, "", &panel_name(&dashboard.title, &text_of(panel, "title")));
        }
    }
    for datasource in grafana::all_datasources(snap) {
        add(Kind::Datasource, datasource.instance.namespace(), &datasource.name);
    }
}

/// `Dashboard/Panel`; empty for a panel without a title.
pub(super) fn panel_name(dashboard: &str, panel: &str) -> String {
    if panel.is_empty() { String::new() } else { format!("{dashboard}/{panel}") }
}

/// Lists that would show it and could not be read.
fn unseen(snap: &Snapshot, kind: Option<Kind>) -> Vec<String> {
    use crate::model::Fact;
    let facts: &[Fact] = match kind {
        Some(Kind::Alert) => &[Fact::PrometheusRules, Fact::AlertmanagerAlerts],
        Some(Kind::Target) => &[Fact::PrometheusTargets],
        Some(Kind::Receiver) => &[Fact::AlertmanagerStatus],
        Some(Kind::Panel | Kind::Datasource) => &[Fact::ConfigMaps, Fact::GrafanaDashboards, Fact::GrafanaDatasources],
        Some(Kind::Pod) => &[Fact::Pods],
        Some(Kind::Service) => &[Fact::Services],
        Some(Kind::Claim) => &[Fact::PersistentVolumeClaims],
        Some(Kind::Node) => &[Fact::Nodes],
        Some(Kind::Deployment | Kind::StatefulSet | Kind::DaemonSet) => &[Fact::Workloads],
        Some(Kind::ServiceMonitor | Kind::PodMonitor) => &[Fact::Monitors],
        Some(Kind::Url) | None => &[Fact::Pods, Fact::PrometheusTargets, Fact::PrometheusRules],
    };
    let gaps = facts.iter().filter(|f| !snap.has_nothing_of(**f)).flat_map(|f| snap.gaps_of(*f));
    let mut all: Vec<String> = gaps.map(ToString::to_string).collect();
    all.dedup();
    all
}
