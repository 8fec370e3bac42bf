//! Prometheus has rules that raise alerts, and knows no Alertmanager.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::fix::Way;
use super::prometheus::Prometheus;
use super::{Known, finding};
use crate::domain::alertmanager::pods::alertmanager_pods;
use crate::domain::kubernetes::owner::operator_resource;
use crate::domain::prometheus::operator::front;
use crate::domain::prometheus::targets::Address;
use crate::domain::prometheus::{running_config, server};
use crate::domain::text::redact::redact;
use crate::lint::yaml::Node;
use crate::model::{Evidence, Finding, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{AlertmanagerEndpoint, MonitoringResource, Pod, Service};

/// Seconds after a start within which discovery may still be at work.
const STARTING: i64 = 120;
/// Seconds after a reload within which it may: each one begins with an empty list.
const RELOADED: i64 = 30;
/// URLs that a message names.
const SHOWN: usize = 3;

/// Why there is none.
enum Cause<'a> {
    /// The configuration names none.
    NotConfigured,
    /// The operator's resource names a Service that has nothing to offer.
    Endpoint { service: ResourceRef, words: String },
    /// The Service that it names is as it should be, and no pod behind it is ready.
    NoPod(&'a Service),
    /// Discovery is configured and finds nothing; by which mechanisms.
    NotFound(String),
    /// Alertmanagers that are ready were found and are dropped by relabelling; their URLs.
    Dropped(Vec<&'a str>),
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
    let message = format!("Prometheus knows no Alertmanager: {}{}", words(&cause, exists), known.firing_words());
    let mut made =
        finding::new(snap, pod, severity, message).key("none").evidence(finding::list_evidence(snap, list(known)));
    if let Some(seen) = config_evidence(snap, custom, &cause) {
        made = made.evidence(seen);
    }
    match &cause {
        Cause::Endpoint { service, .. } => made = made.depends_on(service.clone()),
        Cause::NoPod(service) => {
            made = made.depends_on(ResourceRef::service(&service.metadata.namespace, &service.metadata.name));
            for server in front::servers_behind(snap, service) {
                made = made.depends_on(server.reference()).depends_on(server.set());
            }
        }
        _ => {}
    }
    if !matches!(cause, Cause::NotConfigured | Cause::Dropped(_)) {
        made = finding::depends_on_alertmanager(snap, made);
    }
    Some(made.fix(Prometheus { snap, pod }.fix(|of| way(of, cause, exists))))
}

fn way(of: &Prometheus<'_>, cause: Cause<'_>, exists: bool) -> Way {
    match cause {
        Cause::NotConfigured if exists => of.not_configured(patch(of.snap)),
        Cause::NotConfigured => Way::NotInstalled,
        Cause::Dropped(_) => Way::Relabelled(of.change(false)),
        Cause::NoPod(service) => Way::no_pod(of.snap, service),
        Cause::Endpoint { words, .. } | Cause::NotFound(words) => of.not_found(Some(words), patch(of.snap)),
        Cause::Unknown => of.not_found(None, patch(of.snap)),
    }
}

fn is_starting(snap: &Snapshot) -> bool {
    let Ok(runtime) = snap.prometheus_runtime() else { return false };
    let within = |time: Option<jiff::Timestamp>, seconds: i64| time.is_some_and(|t| snap.seconds_since(t) < seconds);
    within(runtime.start_time, STARTING) || within(runtime.last_config_time, RELOADED)
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

fn cause<'a>(snap: &'a Snapshot, known: &'a Known, custom: Option<&MonitoringResource>) -> Cause<'a> {
    // With discovery of a whole namespace the list of those left out holds all that is there, and says nothing by itself.
    let dropped: Vec<&str> =
        known.dropped.iter().map(String::as_str).filter(|url| is_alertmanager(snap, url)).collect();
    let configured = configured(snap, custom);
    match configured {
        // The relabelling is the operator's own, and fits as soon as the Service does.
        Cause::Endpoint { .. } | Cause::NoPod(_) => configured,
        _ if !dropped.is_empty() => Cause::Dropped(dropped),
        _ => configured,
    }
}

/// The URL is that of a ready pod of Alertmanager, of its Service, or of a name outside of the cluster, which is meant.
fn is_alertmanager(snap: &Snapshot, url: &str) -> bool {
    let Some(address) = Address::parse(url) else { return false };
    let all = alertmanager_pods(snap);
    let own = |pod: &Pod| all.iter().any(|(other, _)| std::ptr::eq(*other, pod));
    if let Some(service) = snap.service_by_host(&address.host) {
        let is_asked = finding::alertmanager_service(snap).is_some_and(|asked| std::ptr::eq(asked, service));
        return is_asked || snap.pods_of_service(service).any(own);
    }
    if address.host.parse::<IpAddr>().is_ok() {
        return snap.pod_by_ip(&address.host).is_some_and(|p| p.is_ready() && own(p));
    }
    true
}

/// What the configuration looks for.
fn configured<'a>(snap: &'a Snapshot, custom: Option<&MonitoringResource>) -> Cause<'a> {
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
fn endpoint<'a>(snap: &'a Snapshot, own: &str, wanted: &AlertmanagerEndpoint) -> Cause<'a> {
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
            // Without a selector somebody else writes its addresses.
            let addresses = found.spec.selector.is_empty() || snap.pods_of_service(found).any(Pod::is_ready);
            match (has, addresses) {
                (false, _) => format!("Service {namespace}/{} of spec.alerting has no port {port:?}", wanted.name),
                (true, false) => return Cause::NoPod(found),
                (true, true) => {
                    let by = format!("discovery of Service {namespace}/{} (spec.alerting)", wanted.name);
                    return Cause::NotFound(by);
                }
            }
        }
        Err(_) => format!("nothing is found behind Service {namespace}/{} of spec.alerting", wanted.name),
    };
    Cause::Endpoint { service, words }
}

fn words(cause: &Cause<'_>, exists: bool) -> String {
    match cause {
        Cause::NotConfigured if exists => {
            "its configuration names none under alerting, although one runs in the stack".into()
        }
        Cause::NotConfigured => "none is configured, and none runs in the stack".into(),
        Cause::Endpoint { words, .. } => words.clone(),
        Cause::NoPod(service) => no_pod(service),
        Cause::NotFound(by) => format!("{by} is configured and finds none"),
        Cause::Dropped(urls) => {
            format!("relabel_configs under alerting.alertmanagers drop all that were found ({})", few(urls))
        }
        Cause::Unknown => "it sends its alerts to none".into(),
    }
}

fn no_pod(service: &Service) -> String {
    let meta = &service.metadata;
    format!("Service {}/{} of spec.alerting has no ready pod", meta.namespace, meta.name)
}

/// The first URLs, and how many more there are.
fn few(urls: &[&str]) -> String {
    let first: Vec<String> = urls.iter().take(SHOWN).map(|u| redact(u)).collect();
    let more = urls.len() - first.len();
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{rest}", first.join(", "))
}

fn list(known: &Known) -> String {
    format!("0 active, {} dropped", known.dropped.len())
}

fn config_evidence(snap: &Snapshot, custom: Option<&MonitoringResource>, cause: &Cause<'_>) -> Option<Evidence> {
    if let Some(custom) = custom {
        let meta = &custom.metadata;
        let value = match cause {
            Cause::NotConfigured => "no alertmanagers".to_owned(),
            Cause::Endpoint { words, .. } => words.clone(),
            Cause::NoPod(service) => no_pod(service),
            _ => return None,
        };
        let show = "kubectl get prometheus {{ name }} -n {{ namespace }} -o jsonpath={{ path }}";
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
    let show = "kubectl get configmap {{ name }} -n {{ namespace }} -o yaml";
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
