//! A container of the stack is not started because its configuration does not fit.

mod case;
mod fix;
mod held;
mod stops;
#[cfg(test)]
mod tests;
mod way;
mod words;

use std::collections::BTreeMap;

use crate::checks::support::severity::severity_of;
use crate::checks::{Check, check};
use crate::domain::kubernetes::owner::{in_scope, others_ready};
use crate::domain::kubernetes::start_error;
use crate::domain::kubernetes::{foundation, webhooks};
use crate::model::{Cause, CheckMeta, Diagnosis, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;
use case::Case;
use fix::Fix;
use stops::{Stop, is_in_the_making, stops};
use words::said;

/// Pods of kube-system that belong to it.
const SYSTEM: &[&str] = &["metrics-server", "ebs-csi-", "coredns-", "aws-node-"];

check! {
    /// See the check's page.
    ConfigError {
        id: "config-error", suite: Workload, severity: Error,
        title: "a container is not started for its configuration",
        requires: [Pods],
        uses: [Events, ConfigMaps, Workloads, MonitoringResources, EksAddons, Nodes, PersistentVolumeClaims, PersistentVolumes, Webhooks, Services, EndpointSlices, Crds],
        fix: Fix,
    }
}

impl Check for ConfigError {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let mut groups: BTreeMap<(ResourceRef, start_error::Cause), Vec<Stop<'_>>> = BTreeMap::new();
        let mut untold = false;
        let is_below = |p: &Pod| foundation::is_part(p) && p.metadata.deletion_timestamp.is_none();
        let concerns =
            |p: &&Pod| !p.is_finished() && (in_scope(snap, p, SYSTEM) || is_below(p) || webhooks::is_needed(snap, p));
        for pod in snap.pods()?.iter().filter(concerns) {
            let stops = stops(snap, pod);
            untold |= stops.is_empty() && is_in_the_making(snap, pod);
            for stop in stops {
                groups.entry((snap.owner_ref(pod), stop.fault.clone())).or_default().push(stop);
            }
        }
        let findings: Vec<Finding> =
            groups.into_values().map(|stops| Case::new(snap, &stops[0]).finding(&stops)).collect();
        match snap.events() {
            // What keeps a pod in the making stands in its events.
            Err(gap) if untold && findings.is_empty() => Err(gap),
            _ => Ok(Diagnosis::Findings(findings)),
        }
    }
}

impl<'a> Case<'a> {
    fn finding(&self, stops: &[Stop<'a>]) -> Finding {
        let pods: Vec<&Pod> = stops.iter().map(|s| s.pod).collect();
        let owner = &self.target.owner;
        let replaced = others_ready(self.snap, owner, &pods);
        let who = format!("container {} of {owner}", self.container.name);
        let severity = if replaced { Severity::Warning } else { Severity::Error };
        let severity = severity_of(self.snap, self.pod, severity);
        let mut made =
            Finding::new(ConfigError::META.id, severity, owner.clone(), format!("{who} cannot start: {}", self.why()))
                .fix(Fix::of(self))
                .evidence(said(&stops[0]));
        let holder = self.holder.as_ref().map_or("", |(_, name)| name);
        made.key = format!("{} {} {holder}", owner.key(), made.variant);
        if let Some((holder, name)) = &self.holder {
            let held = ResourceRef::kubernetes("", holder.kind(), &self.pod.metadata.namespace, name);
            // Who was to make it, and does not, is deeper.
            made = made.also(held.clone()).depends_on(held);
            made = self.listed(made, *holder);
            let object = format!("{} {}/{name}", holder.kind(), self.pod.metadata.namespace);
            let text = format!("several containers cannot start: {}", self.why());
            let key = format!("{} {object} {}", made.variant, self.why());
            made = made.cause(Cause::keyed(key, text));
        }
        for pod in &pods {
            let reference = ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name);
            made = made.breaks(reference.clone());
            if reference != *owner {
                made = made.also(reference);
            }
        }
        if !replaced {
            made = made.breaks(owner.clone());
        }
        made
    }
}
