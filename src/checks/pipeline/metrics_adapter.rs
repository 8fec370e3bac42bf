//! prometheus-adapter or KEDA asks a Prometheus that is not there: it runs, and knows no metric.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::behind::depends_on_service;
use crate::checks::support::seen::{event_evidence, line_evidence};
use crate::checks::{Check, check};
use crate::domain::kubernetes::chart::release_of;
use crate::domain::kubernetes::index::owner_of;
use crate::domain::kubernetes::managed::{managed_by, release};
use crate::domain::kubernetes::parts::{self, Part};
use crate::domain::kubernetes::service_host::{self, ServiceHost};
use crate::domain::kubernetes::{api_services, arguments, json_patch};
use crate::domain::text::log_line::is_within;
use crate::domain::text::redact::redact;
use crate::domain::text::shorten::shorten;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Autoscaler, Condition, Container, Event, ObjectReference, Workload};
use crate::snapshot::monitoring::ContainerLog;

check! {
    /// See the check's page.
    MetricsAdapter {
        id: "metrics-adapter", suite: Pipeline, severity: Error,
        title: "what scales by Prometheus' metrics asks a Prometheus that is not there",
        requires: [Workloads, Services],
        uses: [PartLogs, Pods, ApiServices, Events, Autoscalers],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Address {
        target: String,
        namespace: String,
        url: String,
        right: String,
        host: String,
        port: u16,
        patch: String,
        release: String,
        release_namespace: String,
        chart_version: String,
        managed: String,
    },
    /// Prometheus is there, and refuses.
    Refused {
        target: String,
        namespace: String,
        url: String,
        detail: String,
        /// It wants a login.
        login: bool,
        /// It is asked at a path that it does not have.
        path: bool,
        managed: String,
    },
    ScaledObject {
        name: String,
        namespace: String,
        url: String,
        right: String,
    },
    ScaledQuery {
        name: String,
        namespace: String,
        detail: String,
        /// The query has no result, or several.
        empty: bool,
        several: bool,
    },
}

impl Check for MetricsAdapter {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.workloads()?;
        snap.services()?;
        let adapters: Vec<&Workload> =
            parts::all(snap).into_iter().filter(|(part, _)| *part == Part::Adapter).map(|(_, w)| w).collect();
        let asking: Vec<Finding> = keda(snap);
        if adapters.is_empty() && asking.is_empty() {
            return Ok(Diagnosis::NotApplicable("no prometheus-adapter in the namespaces that were read".into()));
        }
        let lost = adapters.into_iter().filter_map(|w| finding(snap, w).or_else(|| refused(snap, w)));
        Ok(Diagnosis::Findings(lost.chain(asking).collect()))
    }
}

/// The Service that an address means.
fn service_of(snap: &Snapshot, url: &str, home: &str) -> Option<ServiceHost> {
    service_host::in_cluster(snap, url::Url::parse(url).ok()?.host_str()?, home)
}

/// Why an address leads nowhere; `None` where it leads to a Service, or out of the cluster.
fn leads_nowhere(snap: &Snapshot, url: &str, home: &str) -> Option<String> {
    let host = service_of(snap, url, home)?;
    let port = url::Url::parse(url).ok()?.port_or_known_default()?;
    match snap.services.find(&host.namespace, &host.service) {
        Ok(None) => Some(format!("Service {}/{} does not exist", host.namespace, host.service)),
        Ok(Some(service)) if service.spec.ports.iter().all(|p| p.port != port) => {
            let ports: Vec<String> = service.spec.ports.iter().map(|p| p.port.to_string()).collect();
            let have = ports.join(", ");
            Some(format!("Service {}/{} has no port {port} (it has {have})", host.namespace, host.service))
        }
        _ => None,
    }
}

/// Where Prometheus is, as far as it was found.
fn right_address(snap: &Snapshot) -> (String, u16) {
    match snap.scope.prometheus.as_ref() {
        Some(c) => (format!("{}://{}.{}.svc", c.scheme, c.service, c.namespace), c.port),
        None => ("http://<prometheus-service>.<namespace>.svc".to_owned(), 9090),
    }
}

/// Seconds for which an event tells of now.
const RECENT: i64 = 1800;
/// Seconds in which the adapter has asked again.
const ASKED: i64 = 300;
/// Times from which on it is no hiccup: KEDA asks every 30 seconds.
const SEVERAL: u32 = 3;
/// Seconds that events of one object are apart at most, while it goes on.
const PACE: i64 = 660;
/// Seconds for which a refusal counts: the adapter asks each minute at the latest.
const REFUSED: i64 = 900;
/// Lines from which on it is no hiccup.
const LINES: usize = 3;
/// Characters of an error that are shown in a message.
const WIDTH: usize = 160;

/// ScaledObjects of KEDA whose events say that Prometheus gives them nothing.
fn keda(snap: &Snapshot) -> Vec<Finding> {
    let mut found: BTreeMap<(&str, &str), (Option<jiff::Timestamp>, Finding)> = BTreeMap::new();
    for event in snap.events.items().unwrap_or_default() {
        let object = &event.involved_object;
        let recent = event.is_within(RECENT, snap.collected_at);
        if object.kind != "ScaledObject" || !recent || event.times() < SEVERAL || is_over(snap, event) {
            continue;
        }
        let Some(made) = asks_nobody(snap, event).or_else(|| gets_nothing(snap, event)) else { continue };
        let place = (object.namespace.as_str(), object.name.as_str());
        // What is said last is so now.
        if found.get(&place).is_none_or(|(at, _)| *at < event.last_seen()) {
            found.insert(place, (event.last_seen(), made));
        }
    }
    found.into_values().map(|(_, made)| made).collect()
}

/// The autoscaler that KEDA made of a ScaledObject has values now.
fn is_active<'a>(snap: &'a Snapshot, object: &ObjectReference) -> Option<&'a Condition> {
    let hpas = snap.autoscalers.items().unwrap_or_default().iter();
    let own = |h: &&Autoscaler| {
        let by_owner = owner_of(&h.metadata) == Some(("ScaledObject", object.name.as_str()));
        h.metadata.namespace == object.namespace
            && (by_owner || h.metadata.name.strip_prefix("keda-hpa-") == Some(object.name.as_str()))
    };
    hpas.filter(own).flat_map(|h| &h.status.conditions).find(|c| c.kind == "ScalingActive")
}

/// The autoscaler got values since, or the event is old and it has them now.
fn is_over(snap: &Snapshot, event: &Event) -> bool {
    let Some(active) = is_active(snap, &event.involved_object).filter(|c| c.status == "True") else { return false };
    active.last_transition_time > event.last_seen() || !is_of_now(snap, event)
}

/// So young that the next one may not have been told yet: the API server takes one of an object in five minutes.
fn is_of_now(snap: &Snapshot, event: &Event) -> bool {
    event.is_within(PACE, snap.collected_at)
}

/// The address leads nowhere.
fn asks_nobody(snap: &Snapshot, event: &Event) -> Option<Finding> {
    let url = address_in(&event.message).filter(|_| event.message.contains("/api/v1/query"))?;
    // A short name is one of KEDA's own namespace, wherever that is.
    let is_full = url::Url::parse(&url).is_ok_and(|u| u.host_str().is_some_and(|h| h.contains('.')));
    let why = leads_nowhere(snap, &url, &event.involved_object.namespace).filter(|_| is_full)?;
    Some(scaled_object(snap, event, &url, &why))
}

/// Prometheus does not answer, refuses the query, or has no one result for it. The texts are KEDA's own.
fn gets_nothing(snap: &Snapshot, event: &Event) -> Option<Finding> {
    let object = &event.involved_object;
    let text = redact(&event.message);
    let empty = text.starts_with("prometheus metrics") && text.contains("is empty");
    let several = text.starts_with("prometheus query") && text.contains("returned multiple elements");
    let refused = text.contains("prometheus query api returned error");
    let host = address_in(&event.message).filter(|_| event.message.contains("/api/v1/query"));
    let why = match &host {
        _ if empty => "its query has no result in Prometheus".to_owned(),
        _ if several => "its query has several results in Prometheus, and only one number can be scaled by".to_owned(),
        _ if refused => format!("Prometheus refuses its query ({})", shorten(&text, WIDTH)),
        Some(url) => {
            format!("{url} gives no answer ({})", shorten(text.rsplit_once("\": ").map_or(&text, |(_, e)| e), WIDTH))
        }
        None => return None,
    };
    let does = match is_active(snap, object) {
        Some(active) if active.status == "False" => "gets no value, so that nothing is scaled by it".to_owned(),
        _ if is_of_now(snap, event) => "gets no value, so that nothing is scaled by it".to_owned(),
        _ => match event.last_seen() {
            Some(at) => format!("got no value at {}, and nothing was scaled by it", at.strftime("%H:%M:%S UTC")),
            None => "got no value, and nothing was scaled by it".to_owned(),
        },
    };
    let message = format!("ScaledObject {}/{} {does}: {why}", object.namespace, object.name);
    let reference = ResourceRef::kubernetes("keda.sh", "ScaledObject", &object.namespace, &object.name);
    let mut made = Finding::new(MetricsAdapter::META.id, Severity::Warning, reference, message);
    if let Some(service) = host.as_deref().and_then(|url| service_of(snap, url, &object.namespace)) {
        made = depends_on_service(snap, made, &service.namespace, &service.service);
    }
    Some(made.evidence(event_evidence(event)).fix(Fix::ScaledQuery {
        name: object.name.clone(),
        namespace: object.namespace.clone(),
        detail: text.to_string(),
        empty,
        several,
    }))
}

/// Scheme, host and port of the URL of a query.
fn address_in(text: &str) -> Option<String> {
    let at = text.find("http://").or_else(|| text.find("https://"))?;
    let url = text[at..].split(['"', ' ', '\\']).next()?;
    Some(url.split("/api/v1/").next()?.to_owned())
}

fn scaled_object(snap: &Snapshot, event: &Event, url: &str, why: &str) -> Finding {
    let object = &event.involved_object;
    let (host, port) = right_address(snap);
    let message = format!("ScaledObject {}/{} asks Prometheus at {url}, but {why}", object.namespace, object.name);
    let reference = ResourceRef::kubernetes("keda.sh", "ScaledObject", &object.namespace, &object.name);
    Finding::new(MetricsAdapter::META.id, Severity::Warning, reference, message).evidence(event_evidence(event)).fix(
        Fix::ScaledObject {
            name: object.name.clone(),
            namespace: object.namespace.clone(),
            url: url.to_owned(),
            right: format!("{host}:{port}"),
        },
    )
}

fn finding(snap: &Snapshot, workload: &Workload) -> Option<Finding> {
    let meta = &workload.metadata;
    let (at, container) = workload
        .spec
        .template
        .spec
        .containers
        .iter()
        .enumerate()
        .find(|(_, c)| arguments::flag(c, "prometheus-url").is_some())?;
    let url = arguments::flag(container, "prometheus-url")?;
    let why = leads_nowhere(snap, url, &meta.namespace)?;
    let host = service_of(snap, url, &meta.namespace)?;
    let message = format!(
        "prometheus-adapter ({}) asks Prometheus at {url}, but {why}: the APIs of custom metrics have none",
        workload.reference()
    );
    let seen = Evidence::new(
        format!("{} --prometheus-url", workload.reference()),
        format!("{url}: {why}"),
        "kubectl get {{ target }} -n {{ namespace }} -o jsonpath='{.spec.template.spec.containers[*].args}'",
    );
    let mut made = Finding::new(MetricsAdapter::META.id, Severity::Error, workload.reference(), message)
        .also(ResourceRef::service(&host.namespace, &host.service))
        .key(workload.reference().key())
        .breaks(workload.reference())
        .evidence(seen.with("target", workload.kubectl_name()).with("namespace", &meta.namespace))
        .fix(fix(snap, workload, (at, container), url));
    for api in ["v1beta1.custom.metrics.k8s.io", "v1beta1.external.metrics.k8s.io"] {
        made = made.breaks(api_services::reference(api));
    }
    if let Some((log, line)) = said(snap, workload) {
        made = made.evidence(line_evidence(log, line));
    }
    Some(made)
}

/// How a Prometheus answers that does not want to be asked so, in the words of the adapter and of Go.
const REFUSALS: &[&str] = &[
    "unknown response code 40",
    "Unauthorized",
    "Forbidden",
    "x509:",
    "server gave HTTP response to HTTPS client",
    "HTTP request to an HTTPS server",
    "invalid character '<'",
];

/// Prometheus is there, and refuses what the adapter asks.
fn refused(snap: &Snapshot, workload: &Workload) -> Option<Finding> {
    let meta = &workload.metadata;
    let containers = workload.spec.template.spec.containers.iter();
    let url = containers.filter_map(|c| arguments::flag(c, "prometheus-url")).next()?;
    let pods: Vec<&str> = snap.pods_of_workload(workload).map(|p| p.metadata.name.as_str()).collect();
    let logs = snap
        .part_logs
        .as_ref()
        .ok()?
        .iter()
        .filter(|l| !l.previous && l.namespace == meta.namespace && pods.contains(&l.pod.as_str()));
    let says = |line: &&str| {
        line.contains("unable to update list of all metrics")
            && REFUSALS.iter().any(|r| line.contains(r))
            && is_within(line, snap.collected_at, REFUSED)
    };
    let (log, times, line) = logs
        .map(|log| (log, log.text.lines().filter(says).count(), log.text.lines().rev().find(says)))
        .find(|(_, times, _)| *times >= LINES)?;
    // It asks each minute: what was said some time ago is over.
    let line = line.filter(|line| is_within(line, snap.collected_at, ASKED))?;
    let line = redact(line).trim().to_owned();
    let detail = line.rsplit_once("}\": ").map_or(line.as_str(), |(_, said)| said).to_owned();
    let has = |part: &str| line.contains(part);
    let message = format!(
        "prometheus-adapter ({}) asks Prometheus at {url}, which refuses it ({}; {times} times within 15 minutes): the APIs of custom metrics have none",
        workload.reference(),
        shorten(&detail, WIDTH)
    );
    let mut made = Finding::new(MetricsAdapter::META.id, Severity::Error, workload.reference(), message)
        .key(format!("{} refused", workload.reference().key()))
        .breaks(workload.reference())
        .evidence(line_evidence(log, &line))
        .fix(Fix::Refused {
            target: workload.kubectl_name(),
            namespace: meta.namespace.clone(),
            url: url.to_owned(),
            login: has("code 401") || has("code 403") || has("Unauthorized") || has("Forbidden"),
            path: has("code 404") || has("code 405") || has("invalid character '<'"),
            detail,
            managed: managed_by(meta),
        });
    for api in ["v1beta1.custom.metrics.k8s.io", "v1beta1.external.metrics.k8s.io"] {
        made = made.breaks(api_services::reference(api));
    }
    Some(made)
}

/// The last complaint in its log.
fn said<'a>(snap: &'a Snapshot, workload: &Workload) -> Option<(&'a ContainerLog, &'a str)> {
    let pods: Vec<&str> = snap.pods_of_workload(workload).map(|p| p.metadata.name.as_str()).collect();
    let mut logs = snap.part_logs.as_ref().ok()?.iter().filter(|l| !l.previous);
    logs.find_map(|log| {
        if !pods.contains(&log.pod.as_str()) {
            return None;
        }
        let line = log.text.lines().rev().find(|l| l.contains("unable to update list of all metrics"))?;
        Some((log, line.trim()))
    })
}

fn fix(snap: &Snapshot, workload: &Workload, (at, container): (usize, &Container), url: &str) -> Fix {
    let meta = &workload.metadata;
    let (host, port) = right_address(snap);
    let prefix = snap.scope.prometheus.as_ref().map_or("", |c| c.prefix.as_str());
    let right = format!("{host}:{port}{prefix}");
    // The flag with its value in one word: then that word is replaced.
    let word = container.args.iter().position(|a| a.contains("prometheus-url="));
    let patch = word.filter(|_| snap.scope.prometheus.is_some()).map(|word| {
        let path = format!("/spec/template/spec/containers/{at}/args/{word}");
        let (seen, right) = (container.args[word].as_str(), format!("--prometheus-url={right}"));
        if redact(seen) == seen {
            return json_patch::text(json_patch::swap(&path, seen, right));
        }
        // A login is not repeated: the container has to be the one that is meant.
        let name = json_patch::test(&format!("/spec/template/spec/containers/{at}/name"), container.name.as_str());
        json_patch::text([name, json_patch::replace(&path, right)])
    });
    let (release, release_namespace) = release(meta).unwrap_or_default();
    let version = release_of(snap, meta).map(|r| r.version).filter(|v| !v.is_empty());
    Fix::Address {
        target: workload.kubectl_name(),
        namespace: meta.namespace.clone(),
        url: url.to_owned(),
        right,
        host,
        port,
        patch: patch.unwrap_or_default(),
        release: release.to_owned(),
        release_namespace: release_namespace.to_owned(),
        chart_version: version.unwrap_or_else(|| "<version>".to_owned()),
        managed: managed_by(meta),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing::snapshot;
    use crate::snapshot::Listing;
    use serde_json::{Value, json};

    /// What is said of an event of `at`, with the autoscaler's condition since `since`; the time is 02:00.
    fn said(at: &str, status: &str, since: &str) -> Vec<String> {
        let object = json!({"kind": "ScaledObject", "namespace": "shop", "name": "web"});
        let mut snap =
            snapshot(json!({"events": [{"metadata": {"namespace": "shop", "name": "e"}, "involvedObject": object,
            "message": "prometheus metrics 'p' target may be lost, the result is empty", "count": 9,
            "lastTimestamp": format!("2026-11-21T{at}:00Z")}]}));
        let condition: Value =
            json!({"type": "ScalingActive", "status": status, "lastTransitionTime": format!("2026-11-21T{since}:00Z")});
        let hpa =
            json!({"metadata": {"namespace": "shop", "name": "keda-hpa-web"}, "status": {"conditions": [condition]}});
        snap.autoscalers = Listing::cluster(vec![serde_json::from_value(hpa).expect("an autoscaler")]);
        keda(&snap).into_iter().map(|f| f.message).collect()
    }

    #[test]
    fn what_is_over_is_not_told() {
        assert!(said("01:40", "True", "01:45").is_empty(), "it has values since");
        assert!(said("01:40", "True", "00:10").is_empty(), "nothing is said any more");
        assert!(said("01:58", "True", "00:10")[0].contains("gets no value"), "another trigger has values");
        assert!(said("01:40", "False", "01:30")[0].contains("gets no value"));
        assert!(said("01:40", "Unknown", "01:30")[0].contains("got no value at 01:40:00 UTC"));
    }
}
