//! Prometheus has rules that raise alerts, and knows no Alertmanager.

use serde_json::{Value, json};

use super::fix::{Prometheus, Way};
use super::{Known, finding};
use crate::domain::alertmanager::pods::alertmanager_pods;
use crate::domain::kubernetes::owner::operator_resource;
use crate::domain::prometheus::{running_config, server};
use crate::domain::text::redact::redact;
use crate::lint::yaml::Node;
use crate::model::{Evidence, Finding, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{AlertmanagerEndpoint, MonitoringResource, Pod};

/// Seconds after a start within which discovery may still be at work.
const STARTING: i64 = 120;

/// Why there is none.
enum Cause {
    /// The configuration names none.
    NotConfigured,
    /// The operator's resource names a Service that has nothing to offer.
    Endpoint { service: ResourceRef, words: String },
    /// Discovery is configured and finds nothing; by which mechanisms.
    NotFound(String),
    /// All that were found are dropped by relabelling.
    Dropped,
    /// It could not be seen how they are configured.
    Unknown,
}

/// The finding, where alerts can be raised and are sent nowhere.
pub(super) fn finding(snap: &Snapshot, known: &Known) -> Option<Finding> {
    if known.discovered != Some(0) || known.alerts != Some(true) || is_starting(snap) {
        return None;
    }
    // An agent evaluates no rules: whoever does has its own list.
    if server::servers(snap).iter().any(|s| s.is_agent()) {
        return None;
    }
    let pod = finding::pod(snap, None);
    let custom = resource(snap, pod);
    let cause = cause(snap, known, custom);
    let exists = finding::alertmanager_service(snap).is_some() || !alertmanager_pods(snap).is_empty();
    let severity = match (&cause, exists) {
        (Cause::NotConfigured, false) if known.firing.is_empty() => Severity::Info,
        // Nobody installed one: perhaps alerts are looked at elsewhere.
        (Cause::NotConfigured, false) => Severity::Warning,
        _ => Severity::Error,
    };
    let message = format!("Prometheus knows no Alertmanager: {}{}", words(&cause, known, exists), known.firing_words());
    let mut made =
        finding::new(snap, pod, severity, message).key("none").evidence(finding::list_evidence(snap, list(known)));
    if let Some(seen) = config_evidence(snap, custom, &cause) {
        made = made.evidence(seen);
    }
    if let Cause::Endpoint { service, .. } = &cause {
        made = made.depends_on(service.clone());
    }
    if !matches!(cause, Cause::NotConfigured | Cause::Dropped) {
        made = finding::depends_on_alertmanager(snap, made);
    }
    Some(made.fix(Prometheus { snap, pod }.fix(|of| way(of, cause, exists))))
}

fn way(of: &Prometheus<'_>, cause: Cause, exists: bool) -> Way {
    match cause {
        Cause::NotConfigured if exists => of.not_configured(patch(of.snap)),
        Cause::NotConfigured => Way::NotInstalled,
        Cause::Dropped => Way::Relabelled(of.change(false)),
        Cause::Endpoint { words, .. } | Cause::NotFound(words) => of.not_found(Some(words), patch(of.snap)),
        Cause::Unknown => of.not_found(None, patch(of.snap)),
    }
}

fn is_starting(snap: &Snapshot) -> bool {
    let started = snap.prometheus_runtime().ok().and_then(|r| r.start_time);
    started.is_some_and(|t| snap.collected_at.as_second() - t.as_second() < STARTING)
}

/// The operator's Prometheus.
fn resource<'a>(snap: &'a Snapshot, pod: Option<&Pod>) -> Option<&'a MonitoringResource> {
    let pod = pod?;
    let (kind, name) = operator_resource(snap, pod)?;
    let all = snap.monitoring_resources().unwrap_or_default();
    all.iter().find(|r| {
        r.kind.eq_ignore_ascii_case(kind) && r.metadata.namespace == pod.metadata.namespace && r.metadata.name == name
    })
}

fn cause(snap: &Snapshot, known: &Known, custom: Option<&MonitoringResource>) -> Cause {
    if !known.dropped.is_empty() {
        return Cause::Dropped;
    }
    if let Some(custom) = custom {
        if custom.spec.additional_alert_manager_configs.is_some() {
            return Cause::NotFound("spec.additionalAlertManagerConfigs".into());
        }
        let endpoints = custom.spec.alerting.as_ref().map(|a| a.alertmanagers.as_slice()).unwrap_or_default();
        return match endpoints {
            [] => Cause::NotConfigured,
            [first, ..] => endpoint(snap, &custom.metadata.namespace, first),
        };
    }
    let Some(root) = running_config::document(snap) else { return Cause::Unknown };
    let entries = root.at(&["alerting", "alertmanagers"]).and_then(Node::items).unwrap_or_default();
    let mechanisms: Vec<&str> = entries
        .iter()
        .flat_map(|e| e.entries().unwrap_or_default())
        .filter_map(|(key, _)| key.as_str().filter(|k| k.ends_with("_sd_configs") || *k == "static_configs"))
        .collect();
    match (entries, mechanisms.as_slice()) {
        ([], _) => Cause::NotConfigured,
        (_, []) => Cause::NotConfigured,
        (_, names) => Cause::NotFound(names.join(", ")),
    }
}

/// What the operator looks for: a Service by its name, and a port of it.
fn endpoint(snap: &Snapshot, own: &str, wanted: &AlertmanagerEndpoint) -> Cause {
    let namespace = wanted.namespace.as_deref().unwrap_or(own);
    let service = ResourceRef::service(namespace, &wanted.name);
    let port = match &wanted.port {
        Value::String(name) => name.clone(),
        other => other.to_string(),
    };
    let words = match snap.services.find(namespace, &wanted.name) {
        Ok(None) => format!("Service {namespace}/{} of spec.alerting does not exist", wanted.name),
        Ok(Some(found)) => {
            let has = found.spec.ports.iter().any(|p| p.name.as_deref() == Some(&port) || p.port.to_string() == port);
            let addresses = snap.pods_of_service(found).any(Pod::is_ready);
            match (has, addresses) {
                (false, _) => format!("Service {namespace}/{} of spec.alerting has no port {port:?}", wanted.name),
                (true, false) => format!("Service {namespace}/{} of spec.alerting has no ready pod", wanted.name),
                (true, true) => {
                    format!("discovery finds nothing behind Service {namespace}/{} of spec.alerting", wanted.name)
                }
            }
        }
        Err(_) => format!("nothing is found behind Service {namespace}/{} of spec.alerting", wanted.name),
    };
    Cause::Endpoint { service, words }
}

fn words(cause: &Cause, known: &Known, exists: bool) -> String {
    match cause {
        Cause::NotConfigured if exists => {
            "its configuration names none under alerting, although one runs in the stack".into()
        }
        Cause::NotConfigured => "none is configured, and none runs in the stack".into(),
        Cause::Endpoint { words, .. } => words.clone(),
        Cause::NotFound(by) => format!("{by} is configured and finds none"),
        Cause::Dropped => format!(
            "relabel_configs under alerting.alertmanagers drop all that were found ({})",
            known.dropped.iter().map(|u| redact(u)).collect::<Vec<_>>().join(", ")
        ),
        Cause::Unknown => "it sends its alerts to none".into(),
    }
}

fn list(known: &Known) -> String {
    format!("0 active, {} dropped", known.dropped.len())
}

fn config_evidence(snap: &Snapshot, custom: Option<&MonitoringResource>, cause: &Cause) -> Option<Evidence> {
    if let Some(custom) = custom {
        let meta = &custom.metadata;
        let value = match cause {
            Cause::NotConfigured => "no alertmanagers".to_owned(),
            Cause::Endpoint { words, .. } => words.clone(),
            _ => return None,
        };
        let show = "kubectl get prometheus -n {{ namespace }} {{ name }} -o jsonpath={{ path }}";
        let source = format!("Prometheus {}/{}, spec.alerting", meta.namespace, meta.name);
        return Some(
            Evidence::new(source, value, show)
                .with("namespace", &meta.namespace)
                .with("name", &meta.name)
                .with("path", "{.spec.alerting}"),
        );
    }
    let (map, key, _) = running_config::in_file(snap)?;
    let value = match cause {
        Cause::NotConfigured => "no alerting.alertmanagers".to_owned(),
        Cause::NotFound(by) => by.clone(),
        _ => return None,
    };
    let show = "kubectl get configmap -n {{ namespace }} {{ name }} -o yaml";
    Some(
        Evidence::new(format!("ConfigMap {}/{}, {key}", map.metadata.namespace, map.metadata.name), value, show)
            .with("namespace", &map.metadata.namespace)
            .with("name", &map.metadata.name),
    )
}

/// The patch that names the stack's Alertmanager in the operator's resource.
fn patch(snap: &Snapshot) -> Option<String> {
    let service = finding::alertmanager_service(snap)?;
    let port = snap.scope.alertmanager.as_ref().map_or(9093, |c| c.port);
    let named = service.spec.ports.iter().find(|p| p.port == port).and_then(|p| p.name.clone());
    let mut entry = json!({
        "namespace": service.metadata.namespace, "name": service.metadata.name,
        "port": named.map_or_else(|| json!(port), Value::String)
    });
    if let Some(prefix) = snap.scope.alertmanager.as_ref().map(|c| c.prefix.as_str()).filter(|p| !p.is_empty()) {
        entry["pathPrefix"] = json!(prefix);
    }
    Some(json!({"spec": {"alerting": {"alertmanagers": [entry]}}}).to_string())
}
