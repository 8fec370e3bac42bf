//! An admission webhook or policy refuses objects of the stack: it works, and says no.

mod ingress;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::seen::{event_evidence, line_evidence, replica_failure};
use crate::checks::{Check, check};
use crate::domain::kubernetes::denied::{self, Denied, Policy, Told};
use crate::domain::kubernetes::ingress_refused::Objection;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::owner;
use crate::domain::kubernetes::{gitops, helm_words, webhooks};
use crate::domain::prometheus::operator::{deployment, log};
use crate::domain::text::log_line::Line;
use crate::model::{Cause, CheckMeta, Diagnosis, Evidence, Finding, Gap, Placeholder, ResourceRef, Severity};
use crate::snapshot::kubernetes::Event;
use crate::snapshot::{Snapshot, journal};

check! {
    /// See the check's page.
    AdmissionDenied {
        id: "admission-denied", suite: Pipeline, severity: Error,
        title: "an admission webhook or policy refuses objects of the stack",
        requires: [Events],
        uses: [Workloads, Webhooks, Manifests, PartLogs, GitOps],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Rule {
        kind: String,
        object: String,
        namespace: String,
        operator: String,
        operator_namespace: String,
    },
    Constraint {
        constraint: String,
        constraint_kind: Placeholder,
        #[serde(flatten)]
        refused: Refused,
    },
    Kyverno {
        policy: String,
        rule: String,
        #[serde(flatten)]
        refused: Refused,
    },
    Validating {
        policy: String,
        binding: String,
        #[serde(flatten)]
        refused: Refused,
    },
    /// It cannot judge: what it asks for does not come.
    Unable {
        fault: String,
        policy: String,
        webhook_namespace: String,
        #[serde(flatten)]
        refused: Refused,
    },
    Ingress {
        /// `annotation`, `path`, `taken` or `configuration`.
        why: &'static str,
        /// The group of annotations, the path, or what nginx says.
        what: String,
        path_type: String,
        /// It is the path by which a certificate is proven.
        acme: bool,
        /// Namespace and name of the Ingress that has the host and path already.
        by_namespace: String,
        by: String,
        controller_namespace: String,
        config_map: Placeholder,
        settings: &'static str,
        namespace: String,
    },
    Webhook {
        webhook: String,
        #[serde(flatten)]
        refused: Refused,
    },
}

/// What was refused.
#[derive(Serialize, JsonSchema)]
struct Refused {
    /// As kubectl takes it; empty where it is no workload.
    target: String,
    kind: String,
    name: String,
    namespace: String,
    managed: String,
}

impl Check for AdmissionDenied {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let mut by_object: BTreeMap<(ResourceRef, ResourceRef), Vec<(Denied, Told<'_>)>> = BTreeMap::new();
        for (denied, told) in denied::all(snap) {
            let Some(object) = refused(snap, &denied, &told) else { continue };
            by_object.entry((denied.reference(snap), object)).or_default().push((denied, told));
        }
        let findings: Vec<Finding> =
            by_object.iter().map(|((by, object), all)| finding(snap, by, object, all)).collect();
        if findings.is_empty() {
            snap.events.items()?;
        }
        Ok(Diagnosis::Findings(findings))
    }
}

/// What was refused; `None` where it has all its pods by now.
fn refused(snap: &Snapshot, denied: &Denied, told: &Told<'_>) -> Option<ResourceRef> {
    match told {
        Told::Condition(workload) => Some(workload.clone()),
        Told::Event(event) => of_event(snap, event),
        Told::Record(..) => {
            let (kind, name) =
                denied.object.clone().unwrap_or_else(|| ("Manifest".to_owned(), "of the record".to_owned()));
            let group = if kind == "Manifest" { "" } else { group_of(&kind) };
            let namespace = snap.scope.stack.first().map_or("", String::as_str);
            Some(ResourceRef::kubernetes(group, &kind, namespace, &name))
        }
    }
}

fn group_of(kind: &str) -> &'static str {
    match kind {
        "PrometheusRule" | "AlertmanagerConfig" | "ServiceMonitor" | "PodMonitor" | "Prometheus" | "Alertmanager" => {
            "monitoring.coreos.com"
        }
        kind => crate::domain::kubernetes::index::group_of(kind),
    }
}

fn of_event(snap: &Snapshot, event: &Event) -> Option<ResourceRef> {
    let object = &event.involved_object;
    let of_set = |name: &str| object.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('-'));
    let mut workloads = snap.workloads.items().unwrap_or_default().iter();
    let own = workloads.find(|w| {
        w.metadata.namespace == object.namespace
            && match (w.kind.as_str(), object.kind.as_str()) {
                ("Deployment", "ReplicaSet") => of_set(&w.metadata.name),
                (kind, other) => kind == other && w.metadata.name == object.name,
            }
    });
    match own {
        Some(workload) => (workload.ready() < workload.desired()).then(|| workload.reference()),
        None if matches!(object.kind.as_str(), "HelmRelease" | "Kustomization" | "Application") => {
            Some(gitops::reference_of(&object.kind, &object.namespace, &object.name))
        }
        None => {
            let group = object.api_version.split_once('/').map_or_else(|| group_of(&object.kind), |(group, _)| group);
            Some(ResourceRef::kubernetes(group, &object.kind, &object.namespace, &object.name))
        }
    }
}

/// The release that Flux' Helm was to install or upgrade: namespace and name.
fn release_of(snap: &Snapshot, told: &Told<'_>) -> Option<(String, String)> {
    let Told::Event(event) = told else { return None };
    // The event names it well enough where the object cannot be read.
    let object = journal::aside(|| helm_words::object_of(snap, event)).filter(|o| o.kind == "HelmRelease")?;
    Some(gitops::release(object))
}

fn who(denied: &Denied) -> String {
    match &denied.policy {
        Policy::Gatekeeper { constraint } => format!("constraint {constraint} of Gatekeeper"),
        Policy::Kyverno { policy, rule } => format!("rule {rule} of Kyverno policy {policy}"),
        Policy::Validating { policy, binding } => format!("ValidatingAdmissionPolicy {policy} (binding {binding})"),
        Policy::Operator => format!("the Prometheus operator's webhook {}", denied.webhook),
        Policy::Own => format!("admission webhook {}", denied.webhook),
    }
}

fn finding(snap: &Snapshot, by: &ResourceRef, object: &ResourceRef, all: &[(Denied, Told<'_>)]) -> Finding {
    let (denied, _) = &all[0];
    let who = who(denied);
    let reason = (denied.policy == Policy::Operator).then(|| invalid_rule(snap)).flatten();
    let objection = Objection::of(denied);
    let told = match &objection {
        // Before its words stands a ruler, and after them the name of a file that is gone.
        Some(Objection::Configuration { says }) => Some(format!("nginx would not start with it: {says}")),
        _ => reason.as_ref().map(|(text, _)| text.clone()),
    };
    let says = told.as_deref().unwrap_or(&denied.says);
    let what = match object {
        ResourceRef::Kubernetes { kind, .. } if kind == "Manifest" => "what was applied".to_owned(),
        ResourceRef::Kubernetes { kind, .. } if is_workload(kind) => format!("pods of {object}"),
        // Helm names the one object of many.
        ResourceRef::Kubernetes { kind, .. } if kind == "HelmRelease" => match &denied.object {
            Some((kind, name)) => format!("{kind} {name} of {object}"),
            None => object.to_string(),
        },
        _ => object.to_string(),
    };
    let namespace = namespace(object);
    let severity = if snap.scope.is_stack(namespace) { Severity::Error } else { Severity::Warning };
    let mut made = Finding::new(AdmissionDenied::META.id, severity, object.clone(), message(denied, &who, &what, says))
        .key(format!("{} {}", by.key(), object.key()))
        .fix(fix(snap, denied, object))
        .breaks(by.clone())
        .breaks(object.clone());
    // What Helm was to make and may not is missing, and so is what it would have made after it.
    if let Some((namespace, name)) = all.iter().find_map(|(_, told)| release_of(snap, told)) {
        made = made.breaks(ResourceRef::kubernetes("helm.sh", "HelmOperation", &namespace, &name));
    }
    // The rule is right or wrong by itself; what a policy refuses is one matter with all that it refuses.
    if denied.policy != Policy::Operator {
        let several = message(denied, &who, "several objects", says);
        made = match &objection {
            // What one Ingress takes from another, or writes wrongly, is its own matter.
            Some(Objection::Taken { .. } | Objection::Configuration { .. }) => made,
            Some(Objection::Annotation { .. }) => made.cause(Cause::keyed(format!("{} annotation", by.key()), several)),
            Some(Objection::Path { .. }) => made.cause(Cause::keyed(format!("{} path", by.key()), several)),
            None => made.cause(Cause::resource(by.clone(), several)),
        };
    }
    for (_, told) in all.iter().take(3) {
        made = made.evidence(told_evidence(denied, told));
    }
    if let Some((_, evidence)) = reason {
        made = made.evidence(evidence);
    }
    made
}

/// A refusal, or what kept the webhook from judging.
fn message(denied: &Denied, who: &str, what: &str, says: &str) -> String {
    match &denied.own_fault {
        Some(fault) => {
            format!("{who} refuses {what}, because it cannot judge them: its own look-up fails ({fault})")
        }
        None => format!("{who} refuses {what}: {says}"),
    }
}

fn is_workload(kind: &str) -> bool {
    matches!(kind, "Deployment" | "StatefulSet" | "DaemonSet" | "Job" | "ReplicaSet")
}

fn namespace(object: &ResourceRef) -> &str {
    match object {
        ResourceRef::Kubernetes { namespace, .. } => namespace,
        _ => "",
    }
}

/// The last thing that the operator's webhook said of a rule, with where it stands.
fn invalid_rule(snap: &Snapshot) -> Option<(String, Evidence)> {
    for log in log::logs(snap).unwrap_or_default() {
        let mut lines = log.text.lines().rev().take(2000).filter(|l| l.contains("admission"));
        let found = lines.find_map(|raw| {
            let line = Line::parse(raw);
            (line.msg.eq_ignore_ascii_case("invalid rule") && !line.err.is_empty()).then(|| (line.err.clone(), raw))
        });
        if let Some((text, raw)) = found {
            let text = text.replace("\\n", " ").split_whitespace().collect::<Vec<_>>().join(" ");
            return Some((text, line_evidence(log, raw)));
        }
    }
    None
}

fn told_evidence(denied: &Denied, told: &Told<'_>) -> Evidence {
    match told {
        Told::Event(event) => event_evidence(event),
        Told::Condition(workload) => replica_failure(workload, &denied.says),
        Told::Record(path, line) => Evidence::new(
            format!("{path}:{line}"),
            format!("admission webhook {} denied the request: {}", denied.webhook, denied.says),
            "grep -n 'denied the request' {{ path }}",
        )
        .with("path", *path),
    }
}

fn fix(snap: &Snapshot, denied: &Denied, object: &ResourceRef) -> Fix {
    let (kind, name) = match object {
        ResourceRef::Kubernetes { kind, name, .. } => (kind.as_str(), name.as_str()),
        _ => ("", ""),
    };
    let refused = || Refused {
        target: if is_workload(kind) { object.kubectl_name() } else { String::new() },
        kind: kind.to_owned(),
        name: name.to_owned(),
        namespace: namespace(object).to_owned(),
        managed: owner::workload(snap, object).map(|w| managed_by(&w.metadata)).unwrap_or_default(),
    };
    if let Some(fault) = &denied.own_fault {
        let own = webhooks::all(snap).find(|h| h.webhook.name == denied.webhook);
        let service = own.and_then(|h| h.webhook.client_config.service.as_ref());
        return Fix::Unable {
            fault: fault.clone(),
            policy: match &denied.policy {
                Policy::Kyverno { policy, .. } => policy.clone(),
                _ => String::new(),
            },
            webhook_namespace: service.map(|s| s.namespace.clone()).unwrap_or_default(),
            refused: refused(),
        };
    }
    match &denied.policy {
        Policy::Operator => {
            let operators = deployment::operators(snap);
            let meta = operators.first().map(|o| &o.workload.metadata);
            let is_known = kind != "Manifest";
            Fix::Rule {
                kind: if is_known { kind.to_ascii_lowercase() } else { "prometheusrule".to_owned() },
                object: if is_known { name.to_owned() } else { String::new() },
                namespace: namespace(object).to_owned(),
                operator: meta.map_or("<operator-deployment>", |m| m.name.as_str()).to_owned(),
                operator_namespace: meta.map_or("<operator-namespace>", |m| m.namespace.as_str()).to_owned(),
            }
        }
        Policy::Gatekeeper { constraint } => Fix::Constraint {
            constraint: constraint.clone(),
            constraint_kind: Placeholder::new("constraint-kind").how("the list of constraints has it before the slash"),
            refused: refused(),
        },
        Policy::Kyverno { policy, rule } => {
            Fix::Kyverno { policy: policy.clone(), rule: rule.clone(), refused: refused() }
        }
        Policy::Validating { policy, binding } => {
            Fix::Validating { policy: policy.clone(), binding: binding.clone(), refused: refused() }
        }
        Policy::Own => match Objection::of(denied) {
            Some(objection) => ingress::fix(snap, denied, objection, namespace(object)),
            None => Fix::Webhook { webhook: denied.webhook.clone(), refused: refused() },
        },
    }
}
