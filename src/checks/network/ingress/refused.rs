//! What the controller itself says: it does not make or change the load balancer, and why.

use serde_json::json;

use super::fix::Fix;
use super::object::{Controller, Object};
use super::told::{Told, first_line};
use super::{IngressBroken, certificate, unreached};
use crate::domain::aws::balancer::{Refusal, Taken};
use crate::domain::aws::denied::Denied;
use crate::domain::aws::identity::Identity;
use crate::domain::kubernetes::ingress::{self, Said};
use crate::domain::kubernetes::webhooks;
use crate::model::{Cause, Finding, Placeholder, ResourceRef, Severity};
use crate::snapshot::aws::arn;
use crate::snapshot::{Snapshot, journal};

pub(super) fn findings(snap: &Snapshot) -> Vec<Finding> {
    let ingresses = ingress::of_stack(snap).map(Object::Ingress);
    let all = ingresses.chain(ingress::balanced(snap).map(Object::Service));
    all.filter_map(|object| {
        let said = ingress::refused(snap, object.kind(), object.meta())?;
        finding(snap, object, &said)
    })
    .collect()
}

fn finding(snap: &Snapshot, object: Object<'_>, said: &Said<'_>) -> Option<Finding> {
    let refusal = Refusal::classify(said.message());
    // The objects show these themselves.
    if matches!(refusal, Refusal::Class | Refusal::Backend) {
        return None;
    }
    if matches!(&refusal, Refusal::Certificate(arn) if certificate::tells(snap, arn)) {
        return None;
    }
    let told = Told { snap, object, said };
    let (fix, why, cause) = told.explain(&refusal);
    let effect = match ingress::has_address(object.status()) {
        true => "its load balancer is not brought up to date",
        false => "it has no load balancer",
    };
    let message = format!("{}: {effect}, because {why}", object.words());
    let mut made = Finding::new(IngressBroken::META.id, Severity::Error, object.reference(), message)
        .key(object.key(&kind(&refusal)))
        .breaks(object.reference())
        .evidence(told.evidence())
        .fix(fix);
    if let Some(cause) = cause {
        made = made.cause(cause);
    }
    for resource in told.depends_on(&refusal) {
        made = made.depends_on(resource);
    }
    if let Some(evidence) = told.subnets_evidence(&refusal) {
        made = made.evidence(evidence);
    }
    // It only shows what the sentence says.
    if let Some(evidence) = journal::aside(|| told.arguments_evidence()) {
        made = made.evidence(evidence);
    }
    Some(made)
}

/// The kind of a refusal, without what it names.
fn kind(refusal: &Refusal) -> String {
    format!("{refusal:?}").split(['(', ' ']).next().unwrap_or_default().to_ascii_lowercase()
}

impl Told<'_> {
    /// The fix, the end of the sentence, and what several objects may share.
    fn explain(&self, refusal: &Refusal) -> (Fix, String, Option<Cause>) {
        let of = self.object.common().with_binding(self.binding());
        let said = self.said.message();
        let named = self.wrong_name().filter(|(given, _)| said.contains(&format!("kubernetes.io/cluster/{given} ")));
        if let (Refusal::SecurityGroups(_), Some((given, own))) = (refusal, named) {
            return self.other_name(given, own, "it looks for security groups of another cluster");
        }
        match refusal {
            Refusal::Subnets => self.subnets(),
            Refusal::SubnetFull(full) => {
                let why = format!("{} has fewer than 8 free addresses", full.join(", "));
                let annotation = self.object.annotation("subnets");
                let about = format!("{why}: load balancers of the stack cannot be made there");
                (Fix::SubnetFull { of, annotation }, why, Some(Cause::keyed(full.join(","), about)))
            }
            Refusal::NoCertificate(host) => {
                let why = format!("ACM has no certificate for {host} in this region");
                let annotation = self.object.annotation("certificate-arn");
                (Fix::Certificate { of: self.object.kept(of), host: host.clone(), annotation }, why, None)
            }
            Refusal::Certificate(arn) => {
                let region = arn::region(arn);
                let own = Identity::of(self.snap).region;
                let elsewhere = region.zip(own).filter(|(a, b)| a != b);
                let why = match elsewhere {
                    Some((there, here)) => {
                        format!(
                            "the certificate {arn} lies in {there}, and the load balancer in {here} takes only its own region's"
                        )
                    }
                    None => format!("the certificate {arn} does not exist or is not issued"),
                };
                let host = self.hosts().first().cloned().unwrap_or_else(|| "<host>".to_owned());
                let annotation = self.object.annotation("certificate-arn");
                (Fix::Certificate { of: self.object.kept(of), host, annotation }, why, None)
            }
            Refusal::Group(what) => {
                let group = self.object.annotated("group.name").unwrap_or("<group>");
                let why = format!("the Ingresses of group {group} contradict each other ({what})");
                let about = format!("{why}: none of them gets its load balancer");
                let cause = (group != "<group>").then(|| Cause::keyed(format!("group {group}"), about));
                (Fix::Group { of }, why, cause)
            }
            Refusal::Denied => self.denied(),
            Refusal::Credentials => {
                let (by, account) = (Controller::found(self.snap), self.account());
                let why = "its controller gets no AWS credentials".to_owned();
                let cluster = Identity::of(self.snap).cluster.unwrap_or("<cluster-name>").to_owned();
                let cause = Cause::keyed(
                    "credentials",
                    format!(
                        "the AWS Load Balancer Controller gets no AWS credentials (ServiceAccount {}/{account})",
                        by.controller_namespace
                    ),
                );
                (Fix::Credentials { of, by, account, cluster }, why, Some(cause))
            }
            Refusal::NodePort => {
                let why = "its targets are instances, and its Service has no node port".to_owned();
                (
                    Fix::NodePort { of: self.object.kept(of), annotation: self.object.target_type(), fargate: false },
                    why,
                    None,
                )
            }
            Refusal::OutsideVpc => {
                let why = "its targets are pods, whose addresses are not the VPC's: the network plugin keeps them in an overlay".to_owned();
                let annotation = self.object.target_type();
                (Fix::InstanceTargets { of: self.object.kept(of), annotation, services: self.portless() }, why, None)
            }
            Refusal::SecurityGroups(groups) => self.groups(of, groups),
            Refusal::NameTaken(what, taken) => {
                let balancer = *what == Taken::Balancer;
                let kind = if balancer { "load balancer" } else { "target group" };
                let why = format!("a {kind} named {taken} exists in this account and region, which is not its own");
                let annotation = self.object.annotation("load-balancer-name");
                (Fix::NameTaken { of: self.object.kept(of), taken: taken.clone(), balancer, annotation }, why, None)
            }
            Refusal::Webhook(name) => {
                let why = format!("webhook {name}, which is asked about what its controller writes, cannot be called");
                (Fix::Look { of, by: Controller::found(self.snap) }, why, None)
            }
            Refusal::Unreached(api, lost) => unreached::explain(self.snap, self.object, api, lost),
            Refusal::NoSuchGroups(names) => self.no_such_groups(names),
            Refusal::Address => {
                let asked = match self.object {
                    Object::Service(service) => service.spec.load_balancer_ip.as_deref().unwrap_or_default(),
                    Object::Ingress(_) => "",
                };
                let what = if asked.is_empty() { String::new() } else { format!(" {asked}") };
                let why = format!(
                    "it asks for an address of its own (spec.loadBalancerIP{what}), which a load balancer of AWS does not take"
                );
                (Fix::Address { of: self.object.kept(of), address: !asked.is_empty() }, why, None)
            }
            Refusal::Rules => self.rules(),
            Refusal::Quota => {
                let said = self.said.message();
                let service = if said.contains("SecurityGroup") { "vpc" } else { "elasticloadbalancing" };
                let told = first_line(said);
                let told = told.split_once("due to ").map_or(told.as_str(), |(_, rest)| rest);
                let why = format!("a quota of the account is used up ({told})");
                (Fix::Quota { of, service, alb: matches!(self.object, Object::Ingress(_)) }, why, None)
            }
            Refusal::Other | Refusal::Class | Refusal::Backend => {
                (Fix::Look { of, by: Controller::found(self.snap) }, first_line(self.said.message()), None)
            }
        }
    }

    fn denied(&self) -> (Fix, String, Option<Cause>) {
        let denied = Denied::read(self.said.message());
        let action = denied.as_ref().and_then(|d| d.action.clone()).unwrap_or_else(|| "<action>".to_owned());
        let role = denied.as_ref().and_then(Denied::role).map(str::to_owned);
        let who =
            role.clone().map_or_else(|| "its controller's role".to_owned(), |r| format!("role {r} of its controller"));
        let why = format!("{who} may not {action}");
        let cause = Cause::keyed(
            format!("denied {action}"),
            format!(
                "{}: the stack's load balancers are not made or changed",
                why.replacen("its controller", "the AWS Load Balancer Controller", 1)
            ),
        );
        let placeholder =
            Placeholder::new("role-name").how("the role in the controller's ServiceAccount").candidates(role);
        (
            Fix::Denied {
                of: self.object.common(),
                role: placeholder,
                policy_name: format!("allow-{}", action.replace(':', "-")),
                policy: json!({"Version": "2012-10-17",
                    "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]})
                .to_string(),
            },
            why,
            Some(cause),
        )
    }

    fn depends_on(&self, refusal: &Refusal) -> Vec<ResourceRef> {
        if let Refusal::Webhook(_) = refusal {
            return webhooks::blamed(self.snap, self.said.message());
        }
        if let Refusal::Unreached(api, _) = refusal {
            return unreached::depends_on(self.snap, api);
        }
        if !matches!(refusal, Refusal::Denied | Refusal::Credentials) {
            return Vec::new();
        }
        let role = Denied::read(self.said.message()).and_then(|d| d.role().map(str::to_owned));
        let namespace = Controller::found(self.snap).controller_namespace;
        let mut all = vec![ResourceRef::service_account(&namespace, &self.account())];
        all.extend(role.map(|r| ResourceRef::aws("iam", "role", r)));
        all
    }
}
