//! Pods that no policy selects, where the VPC CNI cuts off such pods.

use std::collections::{BTreeMap, BTreeSet};

use super::fix::{Fix, Way, ingress_manifests};
use crate::checks::support::traffic::evidence;
use crate::domain::kubernetes::network_policy::{Direction, Policies};
use crate::domain::traffic::blocked::Blocked;
use crate::domain::traffic::flows::Flow;
use crate::model::{CheckId, Evidence, Finding, ResourceRef, Severity};
use crate::snapshot::Snapshot;

/// Connections that are shown at most.
const SHOWN: usize = 2;

/// Failing connections to pods that no policy selects for what comes in.
pub(super) fn cut_off<'a>(policies: &Policies<'a>, flows: &[Flow<'a>]) -> Vec<Flow<'a>> {
    let is_alone = |flow: &&Flow<'a>| {
        let mut pods = flow.to.ends.iter().filter_map(|e| e.peer.pod).filter(|p| !p.spec.host_network).peekable();
        pods.peek().is_some() && pods.all(|p| policies.isolating(p, Direction::Ingress).is_empty())
    };
    flows.iter().filter(is_alone).cloned().collect()
}

/// One finding for each sender and namespace that it does not reach.
pub(super) fn findings(id: CheckId, snap: &Snapshot, flows: Vec<Flow<'_>>) -> Vec<Finding> {
    let mut groups: BTreeMap<(ResourceRef, String), Vec<Flow<'_>>> = BTreeMap::new();
    for flow in flows {
        let Some(pod) = flow.to.ends.iter().find_map(|e| e.peer.pod) else { continue };
        groups.entry((snap.owner_ref(flow.from), pod.metadata.namespace.clone())).or_default().push(flow);
    }
    groups.into_iter().map(|((from, namespace), flows)| finding(id, snap, &from, &namespace, flows)).collect()
}

fn finding(id: CheckId, snap: &Snapshot, from: &ResourceRef, namespace: &str, flows: Vec<Flow<'_>>) -> Finding {
    let group = Blocked { direction: Direction::Ingress, policies: Vec::new(), flows, except: None };
    let owners: BTreeSet<ResourceRef> = group
        .flows
        .iter()
        .flat_map(|f| f.to.ends.iter().filter_map(|e| e.peer.pod))
        .map(|p| snap.owner_ref(p))
        .collect();
    let to: Vec<String> = owners.iter().map(ToString::to_string).collect();
    let symptoms: BTreeSet<&str> = group.flows.iter().map(|f| f.symptom.as_str()).collect();
    let symptoms = Vec::from_iter(symptoms).join(", ");
    let message = format!(
        "no NetworkPolicy selects {}, and the VPC CNI runs in strict mode, in which such pods get nothing: {from} does not reach them ({symptoms})",
        to.join(", ")
    );
    let mut owners = owners.into_iter();
    let subject = owners.next().unwrap_or_else(|| ResourceRef::namespace(namespace));
    let mut made =
        Finding::new(id, Severity::Error, subject, message).key(format!("strict/{namespace}/{}", from.key()));
    made = owners.fold(made, Finding::also);
    made = group.flows.iter().flat_map(|f| &f.breaks).cloned().fold(made, Finding::breaks);
    made = made.evidence_all(group.flows.iter().take(SHOWN).map(|f| evidence(snap, &f.seen)));
    made = made
        .evidence(Evidence::new(
            "DaemonSet kube-system/aws-node env",
            "NETWORK_POLICY_ENFORCING_MODE=strict",
            "kubectl get daemonset aws-node -n kube-system -o jsonpath='{.spec.template.spec.containers[*].env[?(@.name==\"NETWORK_POLICY_ENFORCING_MODE\")].value}{\"\\n\"}'",
        ))
        .evidence(
            Evidence::new(
                format!("NetworkPolicies of namespace {namespace}"),
                "none selects these pods",
                "kubectl get networkpolicy -n {{ namespace }}",
            )
            .with("namespace", namespace),
        );
    let manifests = ingress_manifests(snap, &group);
    made.fix(Fix::of(snap, &group, namespace, manifests, Way::Strict))
}
