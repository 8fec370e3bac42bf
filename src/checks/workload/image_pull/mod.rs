//! The image of a container of the stack cannot be pulled.

mod case;
mod fix;
mod registry;
#[cfg(test)]
mod tests;
mod way;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use crate::checks::support::severity::severity_of;
use crate::checks::{Check, check};
use crate::domain::aws::endpoints;
use crate::domain::aws::placement::Placement;
use crate::domain::kubernetes::held_update::{self, Field};
use crate::domain::kubernetes::image::Image;
use crate::domain::kubernetes::owner::{in_scope, others_ready};
use crate::domain::kubernetes::pull_error;
use crate::domain::kubernetes::{foundation, system, webhooks};
use crate::domain::text::windows::{GRACE, RECENT};
use crate::model::{self, CheckMeta, Diagnosis, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Event, Pod, Waiting};
use case::Case;
use fix::Fix;

/// Pods of kube-system that belong to it, beside those known by their images.
const SYSTEM: &[&str] = &["metrics-server", "ebs-csi-", "coredns-", "aws-node-"];

check! {
    /// See the check's page.
    ImagePull {
        id: "image-pull", suite: Workload, severity: Error,
        title: "the image of a container cannot be pulled",
        requires: [Pods],
        uses: [Events, Nodes, Workloads, MonitoringResources, EksCluster, EksNodegroups, EksAddons, VpcEndpoints, Subnets, Instances, ReplicaSets, KubernetesVersion, Webhooks, Services, EndpointSlices],
        fix: Fix,
    }
}

impl Check for ImagePull {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let mut groups: BTreeMap<(ResourceRef, String, pull_error::Cause), Vec<Failure<'_>>> = BTreeMap::new();
        for pod in snap.pods()?.iter().filter(|p| concerns(snap, p)) {
            for failure in failures(snap, pod) {
                let key = (snap.owner_ref(pod), failure.reason.concerns(&failure.container.image), failure.reason);
                groups.entry(key).or_default().push(failure);
            }
        }
        let findings = groups.into_values().map(|failures| Case::new(snap, &failures).finding(&failures));
        Ok(Diagnosis::Findings(findings.collect()))
    }
}

fn concerns(snap: &Snapshot, pod: &Pod) -> bool {
    let below = || foundation::is_part(pod) || webhooks::is_needed(snap, pod);
    let in_scope = in_scope(snap, pod, SYSTEM) || (pod.metadata.deletion_timestamp.is_none() && below());
    in_scope && !pod.is_finished() && !system::is_astray(snap, pod)
}

/// A container whose image could not be pulled.
struct Failure<'a> {
    pod: &'a Pod,
    container: &'a Container,
    reason: pull_error::Cause,
    /// What the kubelet said.
    said: String,
}

fn failures<'a>(snap: &'a Snapshot, pod: &'a Pod) -> Vec<Failure<'a>> {
    let of = |name: &str, waiting: &Waiting| {
        let container = pod.all_containers().find(|c| c.name == name)?;
        let pulls =
            ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"];
        if !pulls.contains(&waiting.reason.as_str()) {
            return None;
        }
        let said = detail(snap, pod, container, waiting);
        let reason = pull_error::Cause::of(&waiting.reason, &said);
        let passes = matches!(
            reason,
            pull_error::Cause::Network
                | pull_error::Cause::Dns
                | pull_error::Cause::Server
                | pull_error::Cause::Kubelet
                | pull_error::Cause::Other
        );
        let young = snap.age_seconds(&pod.metadata) < GRACE && pod.metadata.creation_timestamp.is_some();
        (!(passes && young)).then_some(Failure { pod, container, reason, said })
    };
    pod.statuses().filter_map(|s| of(&s.name, s.state.waiting.as_ref()?)).collect()
}

/// What the kubelet says of the failure: the container's state, or the event of the last attempt.
fn detail(snap: &Snapshot, pod: &Pod, container: &Container, waiting: &Waiting) -> String {
    let message = waiting.message.as_deref().unwrap_or_default();
    // Before 1.30 the back-off says only which image it is.
    let bare = message.is_empty() || (message.starts_with("Back-off pulling image") && !message.contains("Err"));
    if !bare {
        return message.to_owned();
    }
    let events = snap.events_about("Pod", &pod.metadata, RECENT);
    let about = |e: &&&Event| {
        e.message.starts_with("Failed to pull image") && e.message.contains(&format!("\"{}\"", container.image))
    };
    events.iter().find(about).map_or_else(|| message.to_owned(), |e| e.message.clone())
}

impl<'a> Case<'a> {
    fn finding(&self, failures: &[Failure<'a>]) -> Finding {
        let pods: Vec<&Pod> = failures.iter().map(|f| f.pod).collect();
        let owner = &self.target.owner;
        let replaced = others_ready(self.snap, owner, &pods);
        let passes = self.reason == pull_error::Cause::Kubelet;
        let severity = if replaced || passes { Severity::Warning } else { Severity::Error };
        let severity = severity_of(self.snap, self.pod, severity);
        let cause = self.cause();
        let mut made = Finding::new(ImagePull::META.id, severity, owner.clone(), self.message(cause))
            .fix(Fix::of(self, cause, replaced))
            .evidence(self.seen(&failures[0]));
        made.key = format!("{} {} {}", owner.key(), self.container.name, made.variant);
        // A registry refuses all who come with the same credentials, or counts them together.
        let shared = matches!(
            self.reason,
            pull_error::Cause::Unauthorized
                | pull_error::Cause::RateLimit
                | pull_error::Cause::Dns
                | pull_error::Cause::Tls
                | pull_error::Cause::Page
                | pull_error::Cause::Network
        );
        if let Some(image) = self.image.as_ref().filter(|_| shared) {
            let key = format!("{} {} {}", made.variant, image.host, self.pod.metadata.namespace);
            let text = self.message(cause).split_once(": ").map_or_else(String::new, |(_, why)| format!(": {why}"));
            made = made.cause(model::Cause::keyed(
                key,
                format!("images of several workloads cannot be pulled from {}{text}", image.host),
            ));
        }
        let others: BTreeSet<&str> = failures.iter().map(|f| f.container.image.as_str()).collect();
        if others.len() > 1 {
            made.message = format!("{}; so do {} other images of it from there", made.message, others.len() - 1);
        }
        if let Some(event) = self.missing_secret() {
            made = made.evidence(event);
        }
        for pod in &pods {
            let reference = ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name);
            made = made.breaks(reference.clone());
            if reference != *owner {
                made = made.also(reference);
            }
            made = held_update::outdated(self.snap, pod, Field::Image).into_iter().fold(made, Finding::depends_on);
        }
        if !replaced {
            made = made.breaks(owner.clone());
        }
        if self.reason.may_be_egress() {
            let at = Placement::new(self.snap);
            let subnets: BTreeSet<&str> = pods.iter().filter_map(|p| at.of_pod(p)).collect();
            made = subnets.into_iter().fold(made, |f, id| f.depends_on(ResourceRef::aws("ec2", "subnet", id)));
        }
        // In a VPC without a way out, the endpoint that is missing is the cause.
        if let Some(ecr) = self.image.as_ref().and_then(Image::ecr) {
            for service in ["ecr.api", "ecr.dkr", "s3"] {
                let name = endpoints::service_name(ecr.region, service);
                made = made.depends_on(ResourceRef::aws("ec2", "vpc-endpoint", name));
            }
        }
        made
    }
}
