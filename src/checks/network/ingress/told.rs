//! An object and what its controller says of it.

use super::fix::Fix;
use super::object::{Installed, NAME, Object};
use crate::checks::support::seen::{event_evidence, log_evidence};
use crate::domain::aws::identity::Identity;
use crate::domain::kubernetes::arguments::flag;
use crate::domain::kubernetes::ingress::{self, Said};
use crate::domain::kubernetes::service_port::is_headless;
use crate::domain::text::shorten::shorten;
use crate::model::{Cause, Evidence};
use crate::snapshot::Snapshot;

/// An object and what is said of it.
pub(super) struct Told<'a> {
    pub(super) snap: &'a Snapshot,
    pub(super) object: Object<'a>,
    pub(super) said: &'a Said<'a>,
}

impl Told<'_> {
    pub(super) fn evidence(&self) -> Evidence {
        match self.said {
            Said::Event(event) => event_evidence(event),
            Said::Log(log, line, _) => log_evidence(&log.namespace, &log.pod, &log.container, false, line.trim()),
        }
    }

    /// The TargetGroupBinding that it is said of; empty where it is said of another object.
    pub(super) fn binding(&self) -> &str {
        match self.said {
            Said::Event(event) if event.involved_object.kind == "TargetGroupBinding" => &event.involved_object.name,
            _ => "",
        }
    }

    /// What the controller was started with.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        let containers = &ingress::controller(self.snap)?.spec.template.spec.containers;
        containers.iter().find_map(|c| flag(c, name))
    }

    /// What the controller was given, where that is another cluster or VPC.
    pub(super) fn arguments_evidence(&self) -> Option<Evidence> {
        let name = self.wrong_name().map(|(given, _)| format!("--cluster-name={given}"));
        let vpc = self.wrong_vpc().map(|(given, _)| format!("--aws-vpc-id={given}"));
        let given: Vec<String> = name.into_iter().chain(vpc).collect();
        let controller = ingress::controller(self.snap).filter(|_| !given.is_empty())?;
        let show =
            "kubectl get {{ workload }} -n {{ namespace }} -o jsonpath='{.spec.template.spec.containers[*].args}'";
        let evidence = Evidence::new(format!("arguments of {}", controller.reference()), given.join(" "), show)
            .with("workload", controller.kubectl_name())
            .with("namespace", &controller.metadata.namespace);
        Some(evidence)
    }

    /// The cluster's name that the controller was given, and the cluster's, where that is another.
    pub(super) fn wrong_name(&self) -> Option<(&str, &str)> {
        let own = Identity::of(self.snap).cluster?;
        self.given("cluster-name").filter(|given| *given != own).map(|given| (given, own))
    }

    /// It takes the subnets for those of another cluster.
    pub(super) fn other_name(&self, given: &str, own: &str, effect: &str) -> (Fix, String, Option<Cause>) {
        let given = if given.is_empty() { "nothing" } else { given };
        let why = format!("its controller runs with --cluster-name {given}, and the cluster is {own}: {effect}");
        let about =
            format!("the AWS Load Balancer Controller runs with --cluster-name {given}, and the cluster is {own}");
        let (of, by) = (self.object.common(), Installed::found(self.snap));
        (Fix::ClusterName { of, by, cluster: own.to_owned() }, why, Some(Cause::keyed("cluster-name", about)))
    }

    /// Services that it leads to and that have no node port.
    pub(super) fn portless(&self) -> Vec<String> {
        let Object::Ingress(one) = self.object else { return Vec::new() };
        let named = ingress::backends(one).into_iter().filter_map(|b| b.service.as_ref());
        let services = named.filter_map(|s| self.snap.services.find(&one.metadata.namespace, &s.name).ok().flatten());
        let mut names: Vec<String> = services
            .filter(|s| s.spec.ports.iter().any(|p| p.node_port.is_none()))
            // A headless Service can have none, and another type is there for its own reason.
            .filter(|s| !is_headless(s) && s.spec.kind.as_deref().is_none_or(|kind| kind == "ClusterIP"))
            .map(|s| s.metadata.name.clone())
            .collect();
        names.dedup();
        names
    }

    /// The ServiceAccount of the controller.
    pub(super) fn account(&self) -> String {
        let own = ingress::controller(self.snap).and_then(|w| w.spec.template.spec.service_account_name.clone());
        own.unwrap_or_else(|| NAME.to_owned())
    }

    pub(super) fn hosts(&self) -> Vec<String> {
        let Object::Ingress(one) = self.object else { return Vec::new() };
        let of_tls = one.spec.tls.iter().flat_map(|t| t.hosts.clone());
        of_tls.chain(one.spec.rules.iter().filter_map(|r| r.host.clone())).collect()
    }
}

/// The first line of a message, cut to what a sentence holds.
pub(super) fn first_line(message: &str) -> String {
    shorten(message.lines().next().unwrap_or_default(), 300)
}
