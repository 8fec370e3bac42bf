//! Ports that nothing listens on: those of a Service, and those that somebody asked a pod for.

use std::collections::BTreeMap;

use serde_json::Value;

use super::fix::Fix;
use super::ports::ports_evidence;
use super::{Part, PortForward};
use crate::checks::support::probes;
use crate::domain::kubernetes::own_address::{declared, listens_on};
use crate::domain::kubernetes::service_port::{self, is_headless, named, reached};
use crate::domain::text::windows::RECENT;
use crate::model::{Evidence, Finding, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;
use crate::snapshot::probe::{Probe, Trial, Verdict};
use crate::text::pattern::pattern;

/// A port that is called wrong, and where it can be tried.
struct Wrong {
    finding: Finding,
    namespace: String,
    pod: String,
    port: Option<u16>,
}

impl Wrong {
    fn of(finding: Finding, pod: &Pod, port: Option<u16>) -> Self {
        Self { finding, namespace: pod.metadata.namespace.clone(), pod: pod.metadata.name.clone(), port }
    }

    /// Port-forwards that were tried on it.
    fn tried<'a>(&'a self, snap: &'a Snapshot) -> impl Iterator<Item = &'a Probe> {
        let all = snap.probes.items().unwrap_or_default().iter().filter(|p| p.verdict != Verdict::NotTried);
        all.filter(|p| {
            let port = match p.trial {
                Trial::PortForward { port } => Some(port),
                _ => None,
            };
            p.namespace == self.namespace && p.pod == self.pod && port.is_some() && port == self.port
        })
    }
}

/// Findings of ports that nothing listens on.
pub(super) fn findings(snap: &Snapshot, parts: &[Part<'_>]) -> Vec<Finding> {
    let mut all: Vec<Wrong> = parts.iter().flat_map(of_service).collect();
    all.extend(reported(snap, parts));
    // A way that was tried and works is no wrong one; one that fails is seen, and not only concluded.
    all.retain(|w| !w.tried(snap).any(|p| matches!(p.verdict, Verdict::Answered(_))));
    let seen = |wrong: Wrong| {
        let seen: Vec<Evidence> = wrong.tried(snap).map(probes::evidence).collect();
        wrong.finding.evidence_all(seen)
    };
    all.into_iter().map(seen).collect()
}

/// Ports of a Service that lead to where nothing listens.
fn of_service(part: &Part<'_>) -> Vec<Wrong> {
    let Some(pod) = part.pods.iter().find(|p| p.is_ready()) else { return Vec::new() };
    let ports = service_port::tcp(part.service);
    ports.filter_map(|(patch_at, port)| {
        let (namespace, name) = (&part.service.metadata.namespace, &part.service.metadata.name);
        let owner = format!("Service {namespace}/{name}");
        let message = match &port.target_port {
            // Past a headless Service nobody asks for the name.
            Value::String(wanted) if !is_headless(part.service) && part.pods.iter().all(|p| named(p, wanted).is_none()) => format!(
                "port {} of {owner} leads to a container port named {wanted}, which no container of its pods has: nothing answers at it, and kubectl port-forward svc/{name} {} fails",
                port.port,
                port.port
            ),
            Value::Number(_) => {
                let (target, listens) = (reached(part.service, port.port, pod)?, listens_on(pod)?);
                // Ports need not be declared; side-cars have ports of their own.
                if target == listens || declared(pod).contains(&target) || pod.spec.containers.len() > 1 {
                    return None;
                }
                format!(
                    "port {} of {owner} leads to port {target} of its pods, where nothing listens; {} listens on {listens}",
                    port.port, pod.metadata.name
                )
            }
            _ => return None,
        };
        let subject = ResourceRef::service(namespace, name);
        let finding = Finding::new(PortForward::META.id, Severity::Warning, subject.clone(), message)
            .evidence(ports_evidence(part, pod))
            .depends_on(subject)
            .key(format!("port/{}", port.port))
            .fix(Fix::target_port(part, pod, port, patch_at));
        Some(Wrong::of(finding, pod, reached(part.service, port.port, pod)))
    })
    .collect()
}

/// What kubectl, the kubelet or the container runtime says of a port-forward that failed: the remote port.
fn failed_forward(text: &str) -> Option<u16> {
    if !(text.contains("forward") || text.contains("inside namespace")) {
        return None;
    }
    let words = pattern!(
        r"forwarding \d+ -> (\d+)|error forwarding port (\d+)|failed to connect to localhost:(\d+) inside namespace|forward port (\d+)"
    );
    let found = words.captures(text)?;
    (1..=4).find_map(|at| found.get(at)).and_then(|m| m.as_str().parse().ok())
}

/// Port-forwards that events say failed: mostly the Service's port asked of a pod.
fn reported(snap: &Snapshot, parts: &[Part<'_>]) -> Vec<Wrong> {
    let mut found: BTreeMap<(String, u16), Wrong> = BTreeMap::new();
    for event in snap.events.items().unwrap_or_default() {
        let old = !event.is_within(RECENT, snap.collected_at);
        let Some(remote) = failed_forward(&event.message).filter(|_| !old) else { continue };
        let object = &event.involved_object;
        let of_pod = |part: &&Part<'_>| {
            part.service.metadata.namespace == object.namespace
                && part.pods.iter().any(|p| p.metadata.name == object.name && p.is_ready())
        };
        // The Service that has this port, or else any of the pod.
        let mut of_pod: Vec<&Part<'_>> = parts.iter().filter(of_pod).collect();
        of_pod.sort_by_key(|part| !part.service.spec.ports.iter().any(|p| p.port == remote));
        let Some(part) = of_pod.first() else { continue };
        let Some(pod) = part.pods.iter().find(|p| p.metadata.name == object.name) else { continue };
        let port = part.service.spec.ports.iter().find(|p| p.port == remote);
        let listens =
            port.and_then(|p| reached(part.service, p.port, pod)).or_else(|| listens_on(pod)).filter(|t| *t != remote);
        let Some(listens) = listens else { continue };
        let (namespace, name) = (&object.namespace, &object.name);
        let what = match port {
            Some(_) => format!("that is the port of Service {namespace}/{}", part.service.metadata.name),
            None => "nothing listens there".to_owned(),
        };
        let message = format!(
            "kubectl port-forward to pod {namespace}/{name} on port {remote} is refused: {what}; the container listens on {listens}"
        );
        let seen = Evidence::new(
            format!("event of pod {namespace}/{name}"),
            event.message.clone(),
            "kubectl get events -n {{ namespace }} --field-selector {{ selector }}",
        )
        .with("namespace", namespace)
        .with("selector", format!("involvedObject.name={name}"));
        let made = || {
            let finding =
                Finding::new(PortForward::META.id, Severity::Warning, ResourceRef::pod(namespace, name), message)
                    .evidence(seen)
                    .evidence(ports_evidence(part, pod))
                    // The pod itself is well.
                    .breaks_nothing()
                    .key(format!("forward/{remote}"))
                    .fix(Fix::service_port(part, pod, port));
            Wrong::of(finding, pod, Some(remote))
        };
        found.entry((name.clone(), remote)).or_insert_with(made);
    }
    found.into_values().collect()
}
