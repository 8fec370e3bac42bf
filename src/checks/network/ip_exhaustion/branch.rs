//! Pods with security groups of their own, which get no network interface for them: what the VPC resource controller says.

use std::collections::BTreeMap;

use super::fix::{Fix, Of};
use super::{IpExhaustion, waits};
use crate::checks::support::place::Place;
use crate::checks::support::seen::event_evidence;
use crate::domain::aws::denied::Denied;
use crate::domain::aws::vpc_cni;
use crate::domain::kubernetes::owner::has_rollout;
use crate::domain::text::shorten::shorten;
use crate::domain::text::windows::RECENT;
use crate::model::{Finding, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Event, Pod};

/// Longest part of its message that stands in the sentence.
const QUOTED: usize = 240;

/// What the controller says of a pod. The CNI then says no more than that it has no address.
pub(super) fn said<'a>(snap: &'a Snapshot, pod: &Pod) -> Option<&'a Event> {
    let events = snap.events_about("Pod", &pod.metadata, RECENT).into_iter();
    let mut own =
        events.filter(|e| matches!(e.reason.as_str(), "BranchAllocationFailed" | "BranchENIAnnotationFailed"));
    own.next()
}

/// The pods that wait for an interface, those of one owner together.
pub(super) fn findings(snap: &Snapshot) -> Vec<Finding> {
    let mut groups: BTreeMap<ResourceRef, Vec<(&Pod, &Event)>> = BTreeMap::new();
    for pod in snap.pods.items().unwrap_or_default().iter().filter(|p| waits(snap, p)) {
        let Some(event) = said(snap, pod) else { continue };
        groups.entry(snap.owner_ref(pod)).or_default().push((pod, event));
    }
    groups.into_iter().map(|(owner, all)| finding(snap, &owner, &all)).collect()
}

fn finding(snap: &Snapshot, owner: &ResourceRef, all: &[(&Pod, &Event)]) -> Finding {
    let (pod, event) = all[0];
    let who = match all {
        [_] => format!("pod {}/{} gets", pod.metadata.namespace, pod.metadata.name),
        many => format!("{} pods of {owner} get", many.len()),
    };
    let message = format!(
        "{who} no network interface of {} own, which {} by a SecurityGroupPolicy: {}",
        if all.len() == 1 { "its" } else { "their" },
        if all.len() == 1 { "it is to have" } else { "they are to have" },
        shorten(&event.message, QUOTED)
    );
    let reference = |p: &Pod| ResourceRef::pod(&p.metadata.namespace, &p.metadata.name);
    let mut made = Finding::new(IpExhaustion::META.id, Severity::Error, reference(pod), message)
        .key(format!("{} branch", owner.key()))
        .evidence(event_evidence(event))
        .breaks(owner.clone())
        .fix(fix(snap, owner, pod, event));
    for (pod, _) in all {
        made = made.also(reference(pod)).breaks(reference(pod));
    }
    made
}

fn fix(snap: &Snapshot, owner: &ResourceRef, pod: &Pod, event: &Event) -> Fix {
    let denied = Denied::read(&event.message).is_some();
    Fix::Branch {
        of: Of {
            namespace: pod.metadata.namespace.clone(),
            owner: owner.kubectl_name(),
            has_rollout: has_rollout(snap, owner),
        },
        pod: pod.metadata.name.clone(),
        unwritten: event.reason == "BranchENIAnnotationFailed",
        denied,
        no_group: event.message.contains("InvalidSecurityGroupID") || event.message.contains("InvalidGroup.NotFound"),
        role: Place::cluster_role(snap),
        policy_arn: Place::of(snap).policy_arn(vpc_cni::BRANCH_POLICY),
    }
}
