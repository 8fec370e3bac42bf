//! What is meant: words against the names of everything that was seen.

mod catalogue;

pub(super) use catalogue::everything;

use crate::snapshot::Snapshot;
use crate::text::near;

/// Names that are offered.
const OFFERED: usize = 8;

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
    if let Some(namespace) = namespace {
        all.retain(|t| t.namespace.is_empty() || t.namespace == namespace);
    }
    let (all, others): (Vec<Thing>, Vec<Thing>) = all.into_iter().partition(|t| kind.is_none_or(|k| k == t.kind));
    let plain = |text: &str| text.to_lowercase();
    let wanted = plain(&name);
    let words: Vec<String> = name.split_whitespace().map(plain).collect();
    let ways: [&dyn Fn(&Thing) -> bool; 5] = [
        &|t| t.is_called(&name),
        &|t| plain(&t.name) == wanted,
        &|t| !wanted.is_empty() && plain(&t.name).starts_with(&wanted),
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
    let namesakes: Vec<&Thing> = others.iter().filter(|t| t.is_called(&name)).collect();
    // Where there is no target, the object that should make it is what was meant.
    let makes_targets = |t: &&&Thing| matches!(t.kind, Kind::ServiceMonitor | Kind::PodMonitor);
    let makers: Vec<&&Thing> = namesakes.iter().filter(makes_targets).filter(|_| kind == Some(Kind::Target)).collect();
    if let [one] = makers.as_slice() {
        return Ok((**one).clone());
    }
    let mut near: Vec<String> = namesakes.iter().map(|t| t.what()).collect();
    near.extend(near::ranked(&wanted, all.iter().map(|t| (t.name.as_str(), t.what()))));
    near.truncate(OFFERED);
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
