//! What the operator refuses: objects that it leaves out, servers whose configuration or StatefulSet it does not write.

mod fix;
#[cfg(test)]
mod tests;

use std::cell::LazyCell;
use std::collections::BTreeSet;

use fix::Fix;

use crate::checks::support::operator::{self, server_text};
use crate::checks::{Check, check};
use crate::domain::kubernetes::api_storage;
use crate::domain::prometheus::operator::deployment;
use crate::domain::prometheus::operator::files;
use crate::domain::prometheus::operator::log::{self, Cause, Refused, Said, SyncFailed};
use crate::domain::prometheus::operator::selection::{self, Kind};
use crate::domain::text::redact::redact;
use crate::domain::text::windows::minute;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Condition, ConfigStatus, Meta, MonitoringResource};
use crate::snapshot::monitoring::ContainerLog;

check! {
    /// See the check's page.
    OperatorRefuses {
        id: "operator-refuses", suite: Operator, severity: Error,
        title: "the operator refuses an object",
        requires: [MonitoringResources],
        uses: [
            OtherServers, PartLogs, Monitors, ProbeResources, ScrapeConfigResources, AlertmanagerConfigResources,
            PrometheusRuleNames, Workloads, Events, PrometheusRuntime, PrometheusConfig, Pods,
        ],
        fix: Fix,
    }
}

/// Seconds that a server may have no StatefulSet: the operator is asked, not the clock.
const YOUNG: i64 = 180;
/// Events older than this say what was, not what is.
const RECENT: i64 = 3600;

impl Check for OperatorRefuses {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let servers = selection::all_servers(snap)?;
        if servers.is_empty() {
            return Ok(Diagnosis::NotApplicable("no server of the Prometheus Operator".into()));
        }
        let said = log::said(snap);
        let known = said.clone().unwrap_or_default();
        let mut findings = objects(snap, &known);
        let failing: Vec<Finding> = servers.iter().filter_map(|s| server(snap, s, &known)).collect();
        findings.extend(failing);
        if findings.is_empty()
            && !deployment::operators(snap).is_empty()
            && servers.iter().all(|s| reconciled(s).is_none())
        {
            // Neither a log nor a condition that tells: nothing was judged.
            said?;
        }
        Ok(Diagnosis::Findings(findings))
    }
}

/// The condition `Reconciled`.
fn reconciled(server: &MonitoringResource) -> Option<&Condition> {
    server.status.conditions.iter().find(|c| c.kind == "Reconciled")
}

/// An object that is left out, however that is known.
pub(super) struct Left<'a> {
    kind: Kind,
    meta: &'a Meta,
    text: String,
    reason: Cause,
    since: Option<jiff::Timestamp>,
    server: Option<(String, String)>,
    seen: Evidence,
}

fn objects(snap: &Snapshot, said: &Said<'_>) -> Vec<Finding> {
    let mut left: Vec<Left<'_>> = Vec::new();
    // Where the log is there and says nothing, it is over.
    let has_log = LazyCell::new(|| log::logs(snap).is_ok_and(|logs| !logs.is_empty()));
    for kind in Kind::ALL {
        let Ok(objects) = selection::objects(snap, kind) else { continue };
        for meta in objects {
            let found = by_log(said, kind, meta)
                .or_else(|| by_binding(snap, kind, meta))
                .or_else(|| by_spec(snap, kind, meta))
                .or_else(|| if *has_log { None } else { by_event(snap, kind, meta) });
            left.extend(found);
        }
    }
    left.iter().map(|one| finding(snap, one)).collect()
}

fn by_log<'a>(said: &Said<'_>, kind: Kind, meta: &'a Meta) -> Option<Left<'a>> {
    let same = |r: &&Refused<'_>| r.kind == kind && r.namespace == meta.namespace && r.name == meta.name;
    let found = said.refused.iter().find(same)?;
    // An object that was made again after the complaint is another one.
    if found.last.zip(meta.creation_timestamp).is_some_and(|(last, made)| made > last) {
        return None;
    }
    let needle = if kind == Kind::PrometheusRule { &meta.name } else { &format!("{}/{}", meta.namespace, meta.name) };
    Some(Left {
        kind,
        meta,
        text: found.text.clone(),
        reason: found.reason.clone(),
        since: found.first,
        server: found.server.clone(),
        seen: log_seen(found.log, found.line, needle),
    })
}

fn log_seen(log: &ContainerLog, line: &str, needle: &str) -> Evidence {
    Evidence::new(
        format!("log of pod {}/{}", log.namespace, log.pod),
        line,
        "kubectl logs -n {{ namespace }} {{ pod }} -c {{ container }} | grep {{ needle }}",
    )
    .with("namespace", &log.namespace)
    .with("pod", &log.pod)
    .with("container", &log.container)
    .with("needle", needle)
}

/// `status.bindings` of the object, which newer operators write.
fn by_binding<'a>(snap: &'a Snapshot, kind: Kind, meta: &'a Meta) -> Option<Left<'a>> {
    let status = status_of(snap, kind, meta)?;
    let refused = status.bindings.iter().find_map(|b| {
        let no = b.conditions.iter().find(|c| c.kind == "Accepted" && c.status == "False")?;
        Some((b, no))
    });
    let (binding, condition) = refused?;
    let text = condition.message.clone().unwrap_or_default();
    let seen = Evidence::new(
        format!("{} {}/{} status.bindings", kind.as_str(), meta.namespace, meta.name),
        format!("{}/{}: Accepted=False {text}", binding.namespace, binding.name),
        "kubectl get {{ kind }} {{ name }} -n {{ namespace }} -o jsonpath='{.status.bindings}'",
    );
    Some(Left {
        kind,
        meta,
        reason: log::reason(kind, &text),
        text,
        since: condition.last_transition_time,
        server: Some((binding.namespace.clone(), binding.name.clone())),
        seen: seen.with("kind", kind.kubectl()).with("name", &meta.name).with("namespace", &meta.namespace),
    })
}

/// The monitor names a file, and a server that selects it forbids files: that is refused whatever the log still holds.
fn by_spec<'a>(snap: &'a Snapshot, kind: Kind, meta: &'a Meta) -> Option<Left<'a>> {
    let monitors = snap.monitors.items().ok()?.iter().filter(|m| m.kind == kind.as_str());
    let monitor = monitors.into_iter().find(|m| std::ptr::eq(&m.metadata, meta))?;
    let (field, text) = files::named(&monitor.spec)?;
    let forbids = |s: &&MonitoringResource| s.spec.arbitrary_fs_access.as_ref().is_some_and(|a| a.deny);
    let server = &selection::selecting(snap, kind, meta).ok()?.into_iter().find(forbids)?.metadata;
    let seen = Evidence::new(
        format!(
            "{} {}/{} and Prometheus {}/{}",
            kind.as_str(),
            meta.namespace,
            meta.name,
            server.namespace,
            server.name
        ),
        format!("{field} is set, and arbitraryFSAccessThroughSMs.deny is true"),
        "kubectl get {{ kind }} {{ name }} -n {{ namespace }} -o yaml",
    );
    Some(Left {
        kind,
        meta,
        text: text.to_owned(),
        reason: log::reason(kind, text),
        since: None,
        server: Some((server.namespace.clone(), server.name.clone())),
        seen: seen.with("kind", kind.kubectl()).with("name", &meta.name).with("namespace", &meta.namespace),
    })
}

fn status_of<'a>(snap: &'a Snapshot, kind: Kind, meta: &Meta) -> Option<&'a ConfigStatus> {
    let same = |m: &Meta| m.namespace == meta.namespace && m.name == meta.name;
    match kind {
        Kind::ServiceMonitor | Kind::PodMonitor => {
            let all = snap.monitors.items().ok()?.iter();
            all.filter(|m| m.kind == kind.as_str()).find(|m| same(&m.metadata)).map(|m| &m.status)
        }
        Kind::Probe => snap.probe_resources.items().ok()?.iter().find(|o| same(&o.metadata)).map(|o| &o.status),
        Kind::ScrapeConfig => {
            snap.scrape_config_resources.items().ok()?.iter().find(|o| same(&o.metadata)).map(|o| &o.status)
        }
        Kind::PrometheusRule => {
            snap.prometheus_rule_objects.items().ok()?.iter().find(|o| same(&o.metadata)).map(|o| &o.status)
        }
        Kind::AlertmanagerConfig => {
            snap.alertmanager_config_resources.items().ok()?.iter().find(|o| same(&o.metadata)).map(|o| &o.status)
        }
    }
}

/// An event of the object, which operators since 0.71 write.
fn by_event<'a>(snap: &'a Snapshot, kind: Kind, meta: &'a Meta) -> Option<Left<'a>> {
    let events = snap.events_about(kind.as_str(), meta, RECENT);
    let event = events.into_iter().find(|e| e.reason == "InvalidConfiguration")?;
    let text = event.message.split_once("invalid configuration: ").map_or(event.message.as_str(), |(_, t)| t);
    let seen = Evidence::new(
        format!("event of {} {}/{}", kind.as_str(), meta.namespace, meta.name),
        format!("{}: {}", event.reason, event.message),
        "kubectl get events -n {{ namespace }} --field-selector {{ selector }}",
    );
    Some(Left {
        kind,
        meta,
        reason: log::reason(kind, text),
        text: text.to_owned(),
        since: event.first_timestamp.or(event.event_time),
        server: None,
        seen: seen
            .with("namespace", &meta.namespace)
            .with("selector", format!("involvedObject.name={},reason=InvalidConfiguration", meta.name)),
    })
}

fn finding(snap: &Snapshot, left: &Left<'_>) -> Finding {
    let meta = left.meta;
    let subject = left.kind.reference(&meta.namespace, &meta.name);
    let without = match left.kind {
        Kind::PrometheusRule => "none of its rules is loaded",
        Kind::AlertmanagerConfig => "its routes and receivers are not there",
        _ => "nothing of it is scraped",
    };
    let of = left.server.as_ref().map(|(ns, name)| format!(" for {ns}/{name}")).unwrap_or_default();
    let message = format!(
        "the operator leaves out {} {}/{}{of}, so that {without}: {}",
        left.kind.as_str(),
        meta.namespace,
        meta.name,
        operator::one_line(&left.text)
    );
    let mut made = Finding::new(OperatorRefuses::META.id, Severity::Error, subject.clone(), message)
        .key(format!("{} refused", subject.key()))
        .evidence(left.seen.clone());
    // Whoever says what is wrong with the object says why it is refused; a file that is forbidden says it itself.
    if !matches!(left.reason, Cause::FileAccess(_)) {
        made = made.depends_on(subject);
    }
    if let (Some(since), Some(seen)) = (left.since, made.evidence.last_mut()) {
        // The log that was read may begin later than the fault.
        seen.value.push_str(&format!("\nat least since {}", minute(since)));
    }
    made.fix(fix::object(snap, left))
}

/// A server that is not written: its reconciliation fails, or its StatefulSet does not exist.
fn server(snap: &Snapshot, server: &MonitoringResource, said: &Said<'_>) -> Option<Finding> {
    let meta = &server.metadata;
    let failed = said.failed.iter().find(|f| {
        f.namespace == meta.namespace && f.name == meta.name && f.kind.is_none_or(|kind| kind == server.kind)
    });
    let condition = reconciled(server).filter(|c| c.status == "False");
    let by_condition = condition.and_then(|c| c.message.clone()).filter(|m| !m.is_empty());
    let text = failed.map(|f| f.text.clone()).or(by_condition);
    let missing = missing_set(snap, server, text.is_some());
    if text.is_none() && missing.is_none() {
        return None;
    }
    let what = server_text(server);
    // It may quote what it read.
    let why = text.as_deref().map(|t| format!(": {}", redact(&operator::one_line(t)))).unwrap_or_default();
    let message = match &missing {
        Some(set) => format!("{what} has no StatefulSet {set}{why}"),
        None => format!("the operator cannot write {what}, which keeps what it had before{why}"),
    };
    let mut made = Finding::new(OperatorRefuses::META.id, Severity::Error, server.reference(), message)
        .key(format!("{} server", server.reference().key()));
    if let Some(failed) = failed {
        made = made.evidence(failed_seen(failed));
    }
    if let Some(condition) = condition {
        made = made.evidence(condition_seen(server, condition));
    }
    if missing.is_some() {
        made = made.evidence(set_seen(server));
    }
    // Without its operator nothing is made.
    for operator in deployment::operators(snap) {
        made = made.depends_on(operator.workload.reference());
    }
    // Nobody can write anything.
    if text.as_deref().is_some_and(api_storage::is_full) {
        made = made.depends_on(api_storage::reference(snap));
    }
    made = made.breaks(server.reference());
    made = made.breaks(server.set());
    Some(made.fix(fix::server(snap, server, text.as_deref().unwrap_or_default())))
}

/// The StatefulSet that should be there and is not. Once the operator has said that it fails, there is nothing to wait for.
fn missing_set(snap: &Snapshot, server: &MonitoringResource, fails: bool) -> Option<String> {
    let meta = &server.metadata;
    let young = !fails && snap.age_seconds(meta) < YOUNG;
    let off = server.spec.paused || server.spec.replicas == Some(0);
    if off || young || !snap.workloads.covers(&meta.namespace) {
        return None;
    }
    let workloads = snap.workloads.items().ok()?;
    let made: BTreeSet<&str> = workloads
        .iter()
        .filter(|w| w.metadata.namespace == meta.namespace)
        // An agent can run as a DaemonSet.
        .filter(|w| matches!(w.kind.as_str(), "StatefulSet" | "DaemonSet"))
        .map(|w| w.metadata.name.as_str())
        .collect();
    // Nothing operates the resource: some keep it for its schema alone.
    let operated = deployment::operators(snap)
        .iter()
        .any(|o| o.servers_scope(&server.kind).holds(&meta.namespace) && !o.is_picky());
    Some(server.set_name()).filter(|set| operated && !made.contains(set.as_str()))
}

fn failed_seen(failed: &SyncFailed<'_>) -> Evidence {
    let mut seen = log_seen(failed.log, failed.line, "failed:");
    if failed.times > 1 {
        let since = failed.first.map(|t| format!(" since {}", minute(t))).unwrap_or_default();
        seen.value.push_str(&format!("\n{} times{since}", failed.times));
    }
    seen
}

fn condition_seen(server: &MonitoringResource, condition: &Condition) -> Evidence {
    let since = condition.last_transition_time.map(|t| format!(" since {}", minute(t))).unwrap_or_default();
    let (reason, message) =
        (condition.reason.clone().unwrap_or_default(), condition.message.clone().unwrap_or_default());
    Evidence::new(
        format!("{} status.conditions", server_text(server)),
        format!("Reconciled=False{since} {reason}: {}", redact(&message)),
        "kubectl get {{ kind }} {{ name }} -n {{ namespace }} -o jsonpath='{.status.conditions}'",
    )
    .with("kind", server.kind.to_ascii_lowercase())
    .with("name", &server.metadata.name)
    .with("namespace", &server.metadata.namespace)
}

fn set_seen(server: &MonitoringResource) -> Evidence {
    Evidence::new(
        format!("StatefulSets of namespace {}", server.metadata.namespace),
        format!("no {}", server.set_name()),
        "kubectl get statefulsets -n {{ namespace }}",
    )
    .with("namespace", &server.metadata.namespace)
}
