//! One operator deletes a StatefulSet and makes it again, over and over: what it wants can never be had.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::operator::{broken, one_line, server_text, values_base};
use crate::checks::support::seen::line_evidence;
use crate::checks::{Check, check};
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::mutated;
use crate::domain::kubernetes::webhooks;
use crate::domain::prometheus::operator::deployment::{self, version_text};
use crate::domain::prometheus::operator::log;
use crate::domain::prometheus::operator::selection;
use crate::domain::text::log_line::Line;
use crate::domain::text::windows::minute;
use crate::model::{Cause, CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{MonitoringResource, Workload};
use crate::snapshot::monitoring::ContainerLog;

check! {
    /// See the check's page.
    StatefulSetRecreated {
        id: "statefulset-recreated", suite: Operator, severity: Error,
        title: "the operator makes a StatefulSet again and again",
        requires: [MonitoringResources, Workloads, PartLogs],
        uses: [OtherServers, Pods, Services, Webhooks],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Settle {
        kind: String,
        name: String,
        namespace: String,
        set: String,
        values: String,
        managed: String,
        operator: String,
        operator_namespace: String,
        old: bool,
        webhooks: Vec<String>,
    },
    /// A policy of Kyverno changes it on its way in, and says so.
    Mutated {
        kind: String,
        name: String,
        namespace: String,
        set: String,
        policy: String,
        rule: String,
        operator: String,
        operator_namespace: String,
    },
}

/// How often it has to be said: an upgrade that cannot be done in place says it once.
const TIMES: usize = 3;
/// Seconds since the last time, for it to go on.
const GOES_ON: i64 = 900;
/// What of a StatefulSet may be changed in place.
const CHANGEABLE: &[&str] = &[
    "/spec/replicas",
    "/spec/template",
    "/spec/updateStrategy",
    "/spec/persistentVolumeClaimRetentionPolicy",
    "/spec/minReadySeconds",
    "/spec/ordinals",
];
/// Operators from here on neither fight over a claim template's own kind nor over a deletion that is under way.
const SETTLED: (u16, u16, u16) = (0, 54, 0);

impl Check for StatefulSetRecreated {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let servers = selection::all_servers(snap)?;
        if servers.is_empty() {
            return Ok(Diagnosis::NotApplicable("no server of the Prometheus Operator".into()));
        }
        let operators = deployment::operators(snap);
        let alone = |s: &&&MonitoringResource| {
            let on_it = |o: &&deployment::Operator<'_>| {
                o.workload.desired() > 0 && !o.is_picky() && o.servers_scope(&s.kind).holds(&s.metadata.namespace)
            };
            // Two of them are another matter.
            operators.iter().filter(on_it).count() < 2
        };
        let logs = log::logs(snap)?;
        let found = servers.iter().filter(alone).filter_map(|s| Some((*s, again(snap, &logs, s)?)));
        Ok(Diagnosis::Findings(found.map(|(server, seen)| finding(snap, server, &seen)).collect()))
    }
}

/// What the log says of a StatefulSet that is made again.
struct Again<'a> {
    log: &'a ContainerLog,
    line: &'a str,
    times: usize,
    first: Option<jiff::Timestamp>,
}

/// The operator's words for a StatefulSet that it deletes because it cannot be changed in place.
fn is_recreation(line: &Line<'_>) -> bool {
    line.msg.starts_with("recreating StatefulSet because") || line.msg.starts_with("resolving illegal update of")
}

fn again<'a>(snap: &Snapshot, logs: &[&'a ContainerLog], server: &MonitoringResource) -> Option<Again<'a>> {
    let set = server.set_name();
    let key = format!("{}/{}", server.metadata.namespace, server.metadata.name);
    let is_about = |line: &Line<'_>| {
        let named = line.get("statefulset").trim_matches('"');
        let in_details = line.raw.contains(&format!("Name:{set},")) || line.raw.contains(&format!("Name:{set} "));
        // An older operator says neither key nor name: then the details do.
        (line.get("key").trim_matches('"') == key && (named.is_empty() || named.starts_with(&set))) || in_details
    };
    logs.iter().find_map(|log| {
        let lines: Vec<(&str, Option<jiff::Timestamp>)> = log
            .text
            .lines()
            .filter_map(|raw| {
                let line = Line::parse(raw);
                (is_recreation(&line) && is_about(&line)).then(|| (raw, line.written_at(snap.collected_at)))
            })
            .collect();
        let (line, at) = *lines.last()?;
        let goes_on = at.is_none_or(|t| snap.seconds_since(t) <= GOES_ON);
        (lines.len() >= TIMES && goes_on).then(|| Again { log, line, times: lines.len(), first: lines[0].1 })
    })
}

fn finding(snap: &Snapshot, server: &MonitoringResource, seen: &Again<'_>) -> Finding {
    let meta = &server.metadata;
    let set = server.set_name();
    let line = Line::parse(seen.line);
    let reason = ["reason", "details"].into_iter().map(|f| line.get(f)).find(|t| !t.is_empty()).unwrap_or_default();
    let why = if reason.contains("updates to statefulset spec") {
        "what it wants differs from what is there in a field that cannot be changed in place"
    } else {
        "it cannot be changed in place"
    };
    let since = seen.first.map(|t| format!(" since {}", minute(t))).unwrap_or_default();
    let message = format!(
        "the operator deletes StatefulSet {}/{set} of {} and makes it again, {} times{since}: {why}, every time",
        meta.namespace,
        server_text(server),
        seen.times
    );
    let suspects = changing_webhooks(snap);
    // Of what stands in the template and in labels of the set itself it may be changed in place.
    let fixed = |field: &str| field.starts_with("/spec/") && !CHANGEABLE.iter().any(|f| field.starts_with(f));
    let changed = set_of(snap, server).map(|w| mutated::changes(&w.metadata)).unwrap_or_default();
    let changed = changed.into_iter().find(|(_, _, field)| fixed(field));
    let cause = changed.as_ref().map(|(rule, policy, field)| {
        let subject = ResourceRef::kubernetes("kyverno.io", "ClusterPolicy", "", policy);
        Cause::resource(subject, format!(
            "rule {rule} of Kyverno's policy {policy} changes {field} of StatefulSets on their way in, which cannot be changed in place: the operator deletes and makes its StatefulSets again and again"
        ))
    });
    let message = match &changed {
        Some((rule, policy, field)) => {
            format!("{message}: rule {rule} of Kyverno's policy {policy} changes {field} on its way in")
        }
        None => message,
    };
    let operators = deployment::operators(snap);
    let operator = operators.first();
    let version = operator.and_then(deployment::Operator::version);
    let mut made = Finding::new(StatefulSetRecreated::META.id, Severity::Error, server.reference(), message)
        .also(ResourceRef::kubernetes("apps", "StatefulSet", &meta.namespace, &set))
        .key(format!("again {}", server.reference().key()))
        .fix(match changed {
            Some((rule, policy, _)) => Fix::Mutated {
                kind: server.kind.to_ascii_lowercase(),
                name: meta.name.clone(),
                namespace: meta.namespace.clone(),
                set: set.clone(),
                policy,
                rule,
                operator: operator_name(operator),
                operator_namespace: operator_home(operator),
            },
            None => Fix::Settle {
                kind: server.kind.to_ascii_lowercase(),
                name: meta.name.clone(),
                namespace: meta.namespace.clone(),
                set: set.clone(),
                values: values_base(server).to_owned(),
                managed: managed_by(meta),
                operator: operator_name(operator),
                operator_namespace: operator_home(operator),
                old: version.is_some_and(|v| v < SETTLED),
                webhooks: suspects.iter().map(ToString::to_string).collect(),
            },
        })
        .evidence(line_evidence(seen.log, &one_line(seen.line)));
    if let Some(workload) = set_of(snap, server) {
        let age = snap.age_seconds(&workload.metadata);
        made = made.evidence(
            Evidence::new(
                format!("StatefulSet {}/{set}", meta.namespace),
                format!("made {age} s ago, {} {} min ago", server_text(server), snap.age_seconds(meta) / 60),
                "kubectl get statefulset {{ name }} -n {{ namespace }} -o yaml",
            )
            .with("name", &set)
            .with("namespace", &meta.namespace),
        );
    }
    if let Some(version) = version {
        made = made.evidence(Evidence::new(
            "version of the operator",
            version_text(version),
            "kubectl get deployments -A -o wide",
        ));
    }
    if let Some(cause) = cause {
        made = made.cause(cause);
    }
    broken(snap, &[server]).into_iter().fold(made, Finding::breaks)
}

fn operator_name(operator: Option<&deployment::Operator<'_>>) -> String {
    operator.map_or("<operator-deployment>", |o| o.workload.metadata.name.as_str()).to_owned()
}

fn operator_home(operator: Option<&deployment::Operator<'_>>) -> String {
    operator.map_or("<operator-namespace>", |o| o.workload.metadata.namespace.as_str()).to_owned()
}

fn set_of<'a>(snap: &'a Snapshot, server: &MonitoringResource) -> Option<&'a Workload> {
    let name = server.set_name();
    let all = snap.workloads.items().unwrap_or_default().iter();
    all.filter(|w| w.kind == "StatefulSet" && w.metadata.namespace == server.metadata.namespace)
        .find(|w| w.metadata.name == name)
}

/// Webhooks that may change StatefulSets on their way in.
fn changing_webhooks(snap: &Snapshot) -> Vec<ResourceRef> {
    let mutating = webhooks::all(snap).filter(|h| h.configuration.kind == "MutatingWebhookConfiguration");
    let mut all: Vec<ResourceRef> =
        mutating.filter(|h| h.is_asked_about("apps", "statefulsets")).map(|h| h.reference()).collect();
    all.dedup();
    all
}
