//! `kubectl port-forward` to a part of the stack drops, or cannot work.

mod fix;
mod ports;
#[cfg(test)]
mod tests;
mod unreached;
mod wrong;

use std::collections::BTreeMap;

use crate::checks::{Check, check};
use crate::domain::text::windows::RECENT;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, Program, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Pod, Service};
use fix::Fix;

check! {
    /// See the check's page.
    PortForward {
        id: "port-forward", suite: Network, severity: Warning,
        title: "kubectl port-forward to the stack drops or cannot work",
        requires: [Services, Pods, Nodes],
        uses: [Events, ComponentLogs, CrashLogs, Probes],
        fix: Fix,
    }
}

/// A Service of the stack with its pods.
struct Part<'a> {
    service: &'a Service,
    pods: Vec<&'a Pod>,
    program: Program,
}

impl Check for PortForward {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.services()?;
        snap.pods()?;
        snap.nodes()?;
        let parts = parts(snap);
        if parts.is_empty() {
            return Ok(Diagnosis::NotApplicable("no Service of the stack leads to a pod".into()));
        }
        let mut findings = wrong::findings(snap, &parts);
        findings.extend(unreached::findings(snap, &parts));
        findings.extend(restarted(snap, &parts));
        Ok(Diagnosis::Findings(findings))
    }
}

fn parts(snap: &Snapshot) -> Vec<Part<'_>> {
    let services = snap.services.items().unwrap_or_default().iter();
    let of_stack = services.filter(|s| snap.scope.is_stack(&s.metadata.namespace));
    of_stack
        .filter_map(|service| {
            let pods: Vec<&Pod> = snap.pods_of_service(service).collect();
            let program = pods.first()?.spec.containers.iter().find_map(Container::program)?;
            Some(Part { service, pods, program })
        })
        .collect()
}

/// Pods that are well again after a restart: a port-forward that was open then is dead.
fn restarted(snap: &Snapshot, parts: &[Part<'_>]) -> Vec<Finding> {
    let mut found: BTreeMap<&str, Finding> = BTreeMap::new();
    for part in parts {
        for pod in part.pods.iter().filter(|p| p.is_ready()) {
            let main = pod.spec.containers.iter().find(|c| c.program().is_some()).map(|c| c.name.as_str());
            let status = pod.status.container_statuses.iter().find(|s| Some(s.name.as_str()) == main);
            let Some(ended) = status.and_then(|s| s.last_state.terminated.as_ref()) else { continue };
            let Some(at) = ended.finished_at else { continue };
            let ago = snap.seconds_since(at);
            if !(0..=RECENT).contains(&ago) {
                continue;
            }
            let (namespace, name) = (&pod.metadata.namespace, &pod.metadata.name);
            let message = format!(
                "pod {namespace}/{name} restarted {} minutes ago ({}) and is ready again: a kubectl port-forward that was open then lost its connection",
                ago / 60,
                ended.reason
            );
            let seen = Evidence::new(
                format!("Pod {namespace}/{name} status"),
                format!("last state: {} with exit code {} at {at:.0}", ended.reason, ended.exit_code),
                "kubectl describe pod {{ pod }} -n {{ namespace }}",
            )
            .with("namespace", namespace)
            .with("pod", name);
            let made = Finding::new(PortForward::META.id, Severity::Info, ResourceRef::pod(namespace, name), message)
                .evidence(seen)
                .key("restarted")
                .fix(Fix::restarted(part, pod));
            found.entry(name).or_insert(made);
        }
    }
    found.into_values().collect()
}
