//! Which server selects which object: selectors, namespace selectors, and the namespaces that the operator watches.
//!
//! An absent selector selects nothing, an empty one everything; an absent namespace selector means the own namespace.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::domain::kubernetes::selector::{self, Unmet};
use crate::domain::prometheus::operator::deployment::{self, Operator};
use crate::model::ResourceRef;
use crate::snapshot::kubernetes::{Map, Meta, MonitoringResource, MonitoringSpec};
use crate::snapshot::{Fetched, Snapshot};

/// The API group of the operator.
pub(crate) const GROUP: &str = "monitoring.coreos.com";

/// A kind of object that servers select.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    ServiceMonitor,
    PodMonitor,
    Probe,
    ScrapeConfig,
    PrometheusRule,
    AlertmanagerConfig,
}

impl Kind {
    /// All of them.
    pub(crate) const ALL: [Self; 6] = [
        Self::ServiceMonitor,
        Self::PodMonitor,
        Self::Probe,
        Self::ScrapeConfig,
        Self::PrometheusRule,
        Self::AlertmanagerConfig,
    ];

    /// The kind as the API names it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ServiceMonitor => "ServiceMonitor",
            Self::PodMonitor => "PodMonitor",
            Self::Probe => "Probe",
            Self::ScrapeConfig => "ScrapeConfig",
            Self::PrometheusRule => "PrometheusRule",
            Self::AlertmanagerConfig => "AlertmanagerConfig",
        }
    }

    /// By its name in any case.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.as_str().eq_ignore_ascii_case(name))
    }

    /// The resource as kubectl takes it.
    pub(crate) fn kubectl(self) -> &'static str {
        match self {
            Self::ServiceMonitor => "servicemonitor",
            Self::PodMonitor => "podmonitor",
            Self::Probe => "probe.monitoring.coreos.com",
            Self::ScrapeConfig => "scrapeconfig",
            Self::PrometheusRule => "prometheusrule",
            Self::AlertmanagerConfig => "alertmanagerconfig",
        }
    }

    /// The server's field that selects it by labels.
    pub(crate) fn field(self) -> &'static str {
        match self {
            Self::ServiceMonitor => "serviceMonitorSelector",
            Self::PodMonitor => "podMonitorSelector",
            Self::Probe => "probeSelector",
            Self::ScrapeConfig => "scrapeConfigSelector",
            Self::PrometheusRule => "ruleSelector",
            Self::AlertmanagerConfig => "alertmanagerConfigSelector",
        }
    }

    /// The server's field that selects its namespace.
    pub(crate) fn namespace_field(self) -> &'static str {
        match self {
            Self::ServiceMonitor => "serviceMonitorNamespaceSelector",
            Self::PodMonitor => "podMonitorNamespaceSelector",
            Self::Probe => "probeNamespaceSelector",
            Self::ScrapeConfig => "scrapeConfigNamespaceSelector",
            Self::PrometheusRule => "ruleNamespaceSelector",
            Self::AlertmanagerConfig => "alertmanagerConfigNamespaceSelector",
        }
    }

    /// The same fields of a server.
    pub(crate) fn selectors(self, spec: &MonitoringSpec) -> (Option<&LabelSelector>, Option<&LabelSelector>) {
        let (labels, namespaces) = match self {
            Self::ServiceMonitor => (&spec.service_monitor_selector, &spec.service_monitor_namespace_selector),
            Self::PodMonitor => (&spec.pod_monitor_selector, &spec.pod_monitor_namespace_selector),
            Self::Probe => (&spec.probe_selector, &spec.probe_namespace_selector),
            Self::ScrapeConfig => (&spec.scrape_config_selector, &spec.scrape_config_namespace_selector),
            Self::PrometheusRule => (&spec.rule_selector, &spec.rule_namespace_selector),
            Self::AlertmanagerConfig => {
                (&spec.alertmanager_config_selector, &spec.alertmanager_config_namespace_selector)
            }
        };
        (labels.as_ref(), namespaces.as_ref())
    }

    /// The kinds of servers that can select it.
    pub(crate) fn servers(self) -> &'static [&'static str] {
        match self {
            Self::ServiceMonitor | Self::PodMonitor | Self::Probe | Self::ScrapeConfig => {
                &["Prometheus", "PrometheusAgent"]
            }
            Self::PrometheusRule => &["Prometheus", "ThanosRuler"],
            Self::AlertmanagerConfig => &["Alertmanager"],
        }
    }

    /// An object of this kind as a resource.
    pub(crate) fn reference(self, namespace: &str, name: &str) -> ResourceRef {
        ResourceRef::kubernetes(GROUP, self.as_str(), namespace, name)
    }
}

impl MonitoringResource {
    /// As a resource.
    pub fn reference(&self) -> ResourceRef {
        ResourceRef::kubernetes(GROUP, &self.kind, &self.metadata.namespace, &self.metadata.name)
    }

    /// Name of the StatefulSet that the operator makes of it; of its first shard, where there are several.
    pub(crate) fn set_name(&self) -> String {
        let prefix = match self.kind.as_str() {
            "Alertmanager" => "alertmanager",
            "ThanosRuler" => "thanos-ruler",
            "PrometheusAgent" => "prom-agent",
            _ => "prometheus",
        };
        format!("{prefix}-{}", self.metadata.name)
    }

    /// That StatefulSet.
    pub(crate) fn set(&self) -> ResourceRef {
        ResourceRef::kubernetes("apps", "StatefulSet", &self.metadata.namespace, self.set_name())
    }
}

/// A link that is broken between a server and an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Broken {
    /// The server has no such selector, so that it selects nothing of the kind.
    NoSelector,
    /// The object's labels do not meet the selector.
    Labels(Vec<Unmet>),
    /// The server looks at its own namespace only.
    OwnNamespace,
    /// The labels of the object's namespace do not meet the namespace selector.
    NamespaceLabels(Vec<Unmet>),
    /// No operator watches the object's namespace.
    NotWatched,
}

/// How a server stands to an object.
#[derive(Debug, Clone)]
pub(crate) struct Verdict<'a> {
    /// The server.
    pub(crate) server: &'a MonitoringResource,
    /// What keeps it from selecting the object; nothing: it selects it.
    pub(crate) broken: Vec<Broken>,
}

impl Verdict<'_> {
    /// How far it is from selecting the object: the fewer labels to change, the nearer.
    fn distance(&self) -> usize {
        let of = |broken: &Broken| match broken {
            // Another value of a label that is there is a slip; a label that is not there may be meant.
            Broken::Labels(unmet) => unmet.iter().map(|u| if u.found.is_some() { 1 } else { 2 }).sum(),
            Broken::NoSelector => 5,
            Broken::OwnNamespace | Broken::NamespaceLabels(_) => 4,
            Broken::NotWatched => 3,
        };
        self.broken.iter().map(of).sum()
    }
}

/// All servers that the operator makes, but for those that are being deleted.
///
/// # Errors
/// The gap, if the operator's resources could not be read.
pub(crate) fn all_servers(snap: &Snapshot) -> Fetched<Vec<&MonitoringResource>> {
    let others = snap.other_servers.items().unwrap_or_default();
    let all = snap.monitoring_resources()?.iter().chain(others);
    Ok(all.filter(|r| r.metadata.deletion_timestamp.is_none()).collect())
}

/// All servers that can select a kind.
///
/// # Errors
/// The gap, if the operator's resources could not be read.
pub(crate) fn servers(snap: &Snapshot, kind: Kind) -> Fetched<Vec<&MonitoringResource>> {
    Ok(all_servers(snap)?.into_iter().filter(|r| kind.servers().contains(&r.kind.as_str())).collect())
}

/// Metadata of all objects of a kind.
///
/// # Errors
/// The gap, if they could not be read.
pub(crate) fn objects(snap: &Snapshot, kind: Kind) -> Fetched<Vec<&Meta>> {
    let monitors = |kind: &'static str| -> Fetched<Vec<&Meta>> {
        Ok(snap.monitors()?.iter().filter(|m| m.kind == kind).map(|m| &m.metadata).collect())
    };
    let all: Vec<&Meta> = match kind {
        Kind::ServiceMonitor | Kind::PodMonitor => monitors(kind.as_str())?,
        Kind::Probe => snap.probe_resources()?.iter().map(|o| &o.metadata).collect(),
        Kind::ScrapeConfig => snap.scrape_config_resources()?.iter().map(|o| &o.metadata).collect(),
        Kind::PrometheusRule => snap.prometheus_rule_names()?.iter().map(|o| &o.metadata).collect(),
        Kind::AlertmanagerConfig => snap.alertmanager_config_resources()?.iter().map(|o| &o.metadata).collect(),
    };
    Ok(all.into_iter().filter(|m| m.deletion_timestamp.is_none()).collect())
}

/// How one server stands to one object.
///
/// # Errors
/// The gap, if the labels of the object's namespace are needed and not known.
pub(crate) fn verdict<'a>(
    snap: &Snapshot,
    operators: &[Operator<'_>],
    server: &'a MonitoringResource,
    kind: Kind,
    object: &Meta,
) -> Fetched<Verdict<'a>> {
    let mut broken = Vec::new();
    let global = server.spec.alertmanager_configuration.as_ref();
    let is_global = kind == Kind::AlertmanagerConfig
        && object.namespace == server.metadata.namespace
        && global.is_some_and(|g| g.name == object.name);
    if is_global {
        return Ok(Verdict { server, broken });
    }
    let (labels, namespaces) = kind.selectors(&server.spec);
    match labels {
        None => broken.push(Broken::NoSelector),
        Some(wants) => {
            let unmet = selector::unmet(wants, &object.labels);
            if !unmet.is_empty() {
                broken.push(Broken::Labels(unmet));
            }
        }
    }
    broken.extend(namespace_link(snap, server, namespaces, &object.namespace)?);
    if broken.is_empty() && !deployment::watched(operators, &object.namespace) {
        broken.push(Broken::NotWatched);
    }
    Ok(Verdict { server, broken })
}

fn namespace_link(
    snap: &Snapshot,
    server: &MonitoringResource,
    wants: Option<&LabelSelector>,
    namespace: &str,
) -> Fetched<Option<Broken>> {
    let Some(wants) = wants else {
        return Ok((namespace != server.metadata.namespace).then_some(Broken::OwnNamespace));
    };
    if selector::selects(wants, &Map::new()) {
        return Ok(None);
    }
    let Some(found) = snap.namespaces.named(namespace)? else { return Ok(None) };
    let mut labels = found.metadata.labels.clone();
    // The API server sets it since 1.21; recordings may lack it.
    labels.entry("kubernetes.io/metadata.name".to_owned()).or_insert_with(|| namespace.to_owned());
    let unmet = selector::unmet(wants, &labels);
    Ok((!unmet.is_empty()).then_some(Broken::NamespaceLabels(unmet)))
}

/// An object that no server selects, with the server that comes nearest.
#[derive(Debug, Clone)]
pub(crate) struct Unselected<'a> {
    pub(crate) object: &'a Meta,
    pub(crate) nearest: Verdict<'a>,
    /// How many servers could select the kind.
    pub(crate) servers: usize,
}

/// The objects of a kind that no server selects. Empty where no server could select any.
///
/// # Errors
/// The gap, if something that decides is not known.
pub(crate) fn unselected(snap: &Snapshot, kind: Kind) -> Fetched<Vec<Unselected<'_>>> {
    let servers = servers(snap, kind)?;
    let operators = deployment::operators(snap);
    let mut found = Vec::new();
    for object in objects(snap, kind)? {
        let verdicts: Vec<Verdict<'_>> =
            servers.iter().map(|s| verdict(snap, &operators, s, kind, object)).collect::<Fetched<_>>()?;
        if verdicts.iter().any(|v| v.broken.is_empty()) {
            continue;
        }
        let near = |v: &Verdict<'_>| {
            let same = v.server.metadata.namespace != object.namespace;
            (v.distance(), same, v.server.metadata.namespace.clone(), v.server.metadata.name.clone())
        };
        if let Some(nearest) = verdicts.into_iter().min_by_key(near) {
            found.push(Unselected { object, nearest, servers: servers.len() });
        }
    }
    found.sort_by(|a, b| (&a.object.namespace, &a.object.name).cmp(&(&b.object.namespace, &b.object.name)));
    Ok(found)
}

/// The servers that select an object.
///
/// # Errors
/// The gap, if something that decides is not known.
pub(crate) fn selecting<'a>(snap: &'a Snapshot, kind: Kind, object: &Meta) -> Fetched<Vec<&'a MonitoringResource>> {
    let operators = deployment::operators(snap);
    let mut found = Vec::new();
    for server in servers(snap, kind)? {
        if verdict(snap, &operators, server, kind, object)?.broken.is_empty() {
            found.push(server);
        }
    }
    Ok(found)
}
