//! What is said of an image that cannot be pulled.

use super::Failure;
use super::case::{Case, Cause};
use crate::domain::kubernetes::pull_error;
use crate::domain::text::shorten::shorten;
use crate::model::Evidence;

/// Longest part of the runtime's message that is shown.
const QUOTED: usize = 640;

impl Case<'_> {
    pub(super) fn message(&self, cause: Cause) -> String {
        let who =
            format!("image {} of container {} in {}", self.container.image, self.container.name, self.target.owner);
        let why = match (cause, &self.retired) {
            (_, Some(retired)) => format!("{} (now {})", retired.why, retired.image),
            (Cause::EcrOtherAccount, _) => {
                format!("it lies in the registry of account {}, which refuses the cluster's nodes", self.account())
            }
            (Cause::EcrToken, _) if self.is_expired() => format!(
                "the login for Amazon ECR in its pull secret ({}) is older than twelve hours, and is sent instead of the node's own",
                self.secrets().join(", ")
            ),
            (Cause::Rewritten, _) => {
                let (written, by) = self.rewriter();
                format!("{}, and the template names {written}: {by} puts this one in its place", self.reason.words())
            }
            (Cause::Mirror, _) => {
                let host = self.image.as_ref().map_or("its registry", |i| i.host.as_str());
                let mirror = self.mirror.as_deref().unwrap_or_default();
                format!(
                    "the nodes ask mirror {mirror} for images of {host}, and {}",
                    self.reason.words().replacen("the registry", "it", 1)
                )
            }
            (Cause::EcrCached, _) => format!(
                "the registry does not have it; {}/ looks like the prefix of a pull-through cache, which fetches an image that it does not hold yet only for a role that may import (ecr:BatchImportUpstreamImage, which AmazonEC2ContainerRegistryReadOnly lacks)",
                self.cache_prefix().unwrap_or_default()
            ),
            (Cause::EcrLedOn, _) => {
                let asked = self.led_on().unwrap_or_default();
                format!(
                    "its cache in ECR does not hold it yet and redirects the node to {asked}, which the node does not reach"
                )
            }
            (Cause::EcrAuth, _) => "the node's IAM role may not pull from Amazon ECR".to_owned(),
            (Cause::EcrEndpoints, _) => {
                format!(
                    "the registry cannot be reached, and the VPC has no endpoint for {}",
                    self.missing_endpoints().join(", ")
                )
            }
            (Cause::Platform, _) => match self.arch() {
                "" => self.reason.words().to_owned(),
                arch => format!("it has no build for {arch}, the architecture of node {}", self.node_name()),
            },
            (Cause::NotFound, _) => match self.proposed() {
                Some(image) => format!("the registry does not have it; {image} is likely meant"),
                None => self.reason.words().to_owned(),
            },
            (Cause::Unauthorized, _) if self.missing_secret().is_some() => {
                format!("its pull secret ({}) cannot be read or does not exist", self.secrets().join(", "))
            }
            _ => self.reason.words().to_owned(),
        };
        format!("{who} cannot be pulled: {why}")
    }

    /// The image of the template, and who has changed it.
    fn rewriter(&self) -> (&str, String) {
        let Some(rewritten) = &self.rewritten else { return ("another", "something".to_owned()) };
        let by = match &rewritten.rule {
            Some((rule, policy)) => format!("rule {rule} of Kyverno policy {policy}"),
            None => "something on the pod's way in".to_owned(),
        };
        (&rewritten.written, by)
    }

    pub(super) fn seen(&self, failure: &Failure<'_>) -> Evidence {
        let meta = &failure.pod.metadata;
        let said =
            if failure.said.is_empty() { "the kubelet says no more, and its events are gone" } else { &failure.said };
        let short: String =
            if self.reason == pull_error::Cause::Other { shorten(said, QUOTED) } else { said.to_owned() };
        let source = format!("Pod {}/{}, container {}", meta.namespace, meta.name, failure.container.name);
        Evidence::new(source, short, "kubectl describe pod {{ pod }} -n {{ namespace }}")
            .with("namespace", &meta.namespace)
            .with("pod", &meta.name)
    }
}
