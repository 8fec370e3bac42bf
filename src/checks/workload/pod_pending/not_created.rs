//! Pods that a workload wants and the API server refuses to make: quota, limit ranges, admission.

use super::fix::Fix;
use super::quota::Quota;
use super::range::Range;
use super::refusal::{Refusal, long_name};
use super::way::{Kept, Way};
use crate::domain::kubernetes::api_storage;
use crate::domain::kubernetes::denied;
use crate::domain::kubernetes::limit_range::{self, Bound};
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::not_created::{condition, event};
use crate::domain::kubernetes::owner::operator_owner;
use crate::domain::kubernetes::quota_scope;
use crate::domain::kubernetes::webhooks;
use crate::domain::prometheus::operator::crd_of;
use crate::domain::text::shorten::shorten;
use crate::model::{Cause, CheckId, Evidence, Finding, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Workload;

/// One finding for each workload of the stack whose pods are refused.
pub(super) fn findings(snap: &Snapshot, check: CheckId) -> Vec<Finding> {
    let workloads = snap.workloads.items().unwrap_or_default().iter();
    let short = workloads.filter(|w| {
        snap.scope.is_judged(&w.metadata.namespace)
            && w.ready() < w.desired()
            && w.metadata.deletion_timestamp.is_none()
    });
    let of_workloads = short.filter(|w| lacks_pods(snap, w)).filter_map(|w| finding(snap, w, check));
    let of_jobs = open_jobs(snap);
    of_workloads.chain(of_jobs.iter().filter_map(|job| finding(snap, job, check))).collect()
}

/// Jobs of the stack without a pod, as workloads that want one: Helm waits for those of its hooks.
fn open_jobs(snap: &Snapshot) -> Vec<Workload> {
    let jobs = snap.jobs.items().unwrap_or_default().iter().filter(|j| snap.scope.is_stack(&j.metadata.namespace));
    let none = jobs.filter(|j| {
        let status = &j.status;
        status.succeeded + status.active + status.failed == 0 && status.completion_time.is_none() && !j.spec.suspend
    });
    none.map(|j| Workload { kind: "Job".to_owned(), metadata: j.metadata.clone(), ..Workload::default() }).collect()
}

/// Fewer pods exist than it wants; those that exist are another matter.
fn lacks_pods(snap: &Snapshot, workload: &Workload) -> bool {
    let meta = &workload.metadata;
    if !snap.pods.covers(&meta.namespace) {
        return true;
    }
    snap.pods_of_workload(workload).count() < workload.desired() as usize
}

fn finding(snap: &Snapshot, workload: &Workload, check: CheckId) -> Option<Finding> {
    // A Deployment whose pods are not refused any more says so, while the event stays for an hour.
    if workload.kind == "Deployment" && !workload.status.conditions.is_empty() && condition(workload).is_none() {
        return None;
    }
    let event = event(snap, workload);
    let meta = &workload.metadata;
    let (namespace, name) = (&meta.namespace, &meta.name);
    let left = || {
        // With the events gone, the ranges still say what they refuse.
        let all = limit_range::left_by(snap, namespace, &workload.spec.template.spec);
        (!all.is_empty()).then(|| all.iter().map(Bound::text).collect::<Vec<_>>().join(", "))
    };
    let said = condition(workload).or(event.map(|e| e.message.as_str())).map(str::to_owned).or_else(left)?;
    let message = said.as_str();
    // Which quota is missing is told elsewhere.
    if quota_scope::is_lacking(message) {
        return None;
    }
    let is_left = event.is_none() && condition(workload).is_none();
    let refusal = if is_left { Refusal::LimitRange } else { Refusal::of(message) };
    let owner = workload.reference();
    let range = Range::of(snap, workload, message, refusal);
    let quota = Quota::of(message).map(|q| q.now(snap, namespace));
    let why = match (refusal, &quota) {
        (Refusal::LimitRange, _) if range.first.is_some() => range.text(),
        (Refusal::Quota, Some(quota)) => format!("ResourceQuota {} is used up ({})", quota.name, quota.text()),
        (Refusal::LongName, _) => format!(
            "{} has {} characters, and names in labels and of volumes may have 63",
            long_name(message),
            long_name(message).chars().count()
        ),
        _ => shorten(message.lines().next().unwrap_or_default(), 300),
    };
    let text = format!(
        "{owner} has {} of {} pods, and the API server refuses to make more: {why}",
        workload.ready(),
        workload.desired()
    );
    let target = workload.kubectl_name();
    let way = way(snap, workload, message, refusal, quota.as_ref(), &range);
    let mut finding = Finding::new(check, Severity::Error, owner.clone(), text)
        .fix(Fix::of(snap, &owner, namespace, way))
        .breaks(owner.clone());
    finding.key = format!("{} {}", owner.key(), finding.variant);
    finding = range.tell(finding);
    finding = webhooks::blamed(snap, message).into_iter().fold(finding, Finding::depends_on);
    finding = denied::read(message).map(|d| d.reference(snap)).into_iter().fold(finding, Finding::depends_on);
    if api_storage::is_full(message) {
        finding = finding.depends_on(api_storage::reference(snap));
    }
    if let Some(quota) = &quota {
        let used_up = ResourceRef::kubernetes("", "ResourceQuota", namespace, &quota.name);
        let text = format!(
            "ResourceQuota {namespace}/{} is used up, and the API server refuses pods of several workloads",
            quota.name
        );
        finding = finding.cause(Cause::resource(used_up, text));
    }
    if let Some(text) = condition(workload) {
        finding = finding.evidence(
            Evidence::new(
                format!("{} {namespace}/{name}, condition ReplicaFailure", workload.kind),
                text,
                "kubectl describe {{ target }} -n {{ namespace }}",
            )
            .with("namespace", namespace)
            .with("target", &target),
        );
    }
    if let Some(event) = event {
        let object = &event.involved_object;
        finding = finding.evidence(
            Evidence::new(
                format!(
                    "event FailedCreate of {} {namespace}/{} (seen {} times)",
                    object.kind,
                    object.name,
                    event.times()
                ),
                event.message.trim(),
                "kubectl get events -n {{ namespace }} --field-selector reason=FailedCreate",
            )
            .with("namespace", namespace),
        );
    }
    Some(finding)
}

fn way(
    snap: &Snapshot,
    workload: &Workload,
    message: &str,
    refusal: Refusal,
    quota: Option<&Quota>,
    range: &Range<'_>,
) -> Way {
    let kept = || Kept { managed: managed_by(&workload.metadata), owner_name: workload.metadata.name.clone() };
    match refusal {
        Refusal::Quota => Way::Quota {
            quota: quota.map(|q| q.name.clone()).unwrap_or_default(),
            hard: quota.and_then(Quota::patch),
            kept: kept(),
        },
        Refusal::MustSpecify => {
            let custom = operator_owner(&workload.metadata);
            Way::QuotaMustSpecify {
                is_job: workload.kind == "Job",
                custom: custom.map(|(kind, _)| kind),
                custom_name: custom.map(|(_, name)| name.to_owned()),
                kept: kept(),
            }
        }
        Refusal::PodSecurity => Way::PodSecurity { managed: kept().managed },
        Refusal::LimitRange => range.way(snap, workload, kept()),
        Refusal::PriorityClass => Way::PriorityClass {
            priority_class: between(message, "no PriorityClass with name ", " ").to_owned(),
            kept: kept(),
        },
        Refusal::RuntimeClass => Way::RuntimeClass(kept()),
        Refusal::ServiceAccount => {
            Way::ServiceAccount { account: workload.spec.template.spec.account().to_owned(), kept: kept() }
        }
        Refusal::LongName => Way::LongName {
            long: long_name(message).to_owned(),
            operated: workload.metadata.controller().is_some_and(|o| crd_of(&o.kind).is_some()),
            stateful: workload.kind == "StatefulSet",
            owner_name: workload.metadata.controller().map(|o| o.name.clone()).unwrap_or_default(),
            managed: kept().managed,
        },
        Refusal::Invalid => {
            let custom = operator_owner(&workload.metadata);
            Way::Invalid {
                field: between(message, "is invalid: ", ": ").to_owned(),
                custom: custom.map(|(kind, _)| kind),
                custom_name: custom.map(|(_, name)| name.to_owned()),
                kept: kept(),
            }
        }
        Refusal::Other => Way::Refused,
    }
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    text.split_once(start).map_or("", |(_, rest)| rest.split(end).next().unwrap_or_default())
}
