//! What the controller itself says: it does not make or change the load balancer, and why.

use serde_json::json;

use super::IngressBroken;
use super::fix::{Controller, Fix, Installed, NAME, Object};
use super::unreached;
use crate::checks::support::seen::{event_evidence, log_evidence};
use crate::domain::aws::balancer::{self, FREE_ADDRESSES, INTERNAL_TAG, PUBLIC_TAG, Refusal, Taken};
use crate::domain::aws::denied::Denied;
use crate::domain::aws::identity::Identity;
use crate::domain::kubernetes::arguments::flag;
use crate::domain::kubernetes::ingress::{self, Said};
use crate::domain::kubernetes::service_port::is_headless;
use crate::domain::kubernetes::webhooks;
use crate::model::{Cause, Evidence, Finding, Placeholder, ResourceRef, Severity};
use crate::snapshot::aws::Subnet;
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

/// An object and what is said of it.
struct Told<'a> {
    snap: &'a Snapshot,
    object: Object<'a>,
    said: &'a Said<'a>,
}

impl Told<'_> {
    fn evidence(&self) -> Evidence {
        match self.said {
            Said::Event(event) => event_evidence(event),
            Said::Log(log, line, _) => log_evidence(&log.namespace, &log.pod, &log.container, false, line.trim()),
        }
    }

    /// The fix, the end of the sentence, and what several objects may share.
    fn explain(&self, refusal: &Refusal) -> (Fix, String, Option<Cause>) {
        let of = self.object.common(self.snap).with_binding(self.binding());
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
                let region = arn.split(':').nth(3).filter(|r| !r.is_empty());
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
                (Fix::NodePort { of: self.object.kept(of), annotation: self.object.target_type() }, why, None)
            }
            Refusal::OutsideVpc => {
                let why = "its targets are pods, whose addresses are not the VPC's: the network plugin keeps them in an overlay".to_owned();
                let annotation = self.object.target_type();
                (Fix::InstanceTargets { of: self.object.kept(of), annotation, services: self.portless() }, why, None)
            }
            Refusal::SecurityGroups(groups) if groups.is_empty() => {
                let cluster = Identity::of(self.snap).cluster.unwrap_or("<cluster-name>").to_owned();
                let interface = balancer::interface(self.said.message()).unwrap_or_default().to_owned();
                let whose = if interface.is_empty() { "a target".to_owned() } else { interface.clone() };
                let why = format!("no security group of {whose} carries the tag kubernetes.io/cluster/{cluster}");
                let group = Placeholder::new("security-group-id").how("one of the groups that the first step shows");
                let cause = Cause::keyed("no group", format!("{why}: load balancers cannot be opened to the targets"));
                (Fix::NoGroup { of, interface, group, cluster }, why, Some(cause))
            }
            Refusal::SecurityGroups(groups) => {
                let cluster = Identity::of(self.snap).cluster.unwrap_or("<cluster-name>").to_owned();
                let whose = balancer::interface(self.said.message()).unwrap_or("a target");
                let why = format!(
                    "several security groups of {whose} carry the tag kubernetes.io/cluster/{cluster} ({})",
                    groups.join(", ")
                );
                let group = Placeholder::new("security-group-id")
                    .how("the group that the cluster did not make itself")
                    .candidates(groups.iter().filter(|g| Some(*g) != self.own_group().as_ref()).cloned());
                let cause =
                    Cause::keyed(groups.join(","), format!("{why}: load balancers cannot be opened to the targets"));
                (Fix::SecurityGroups { of, group, groups: groups.clone(), cluster }, why, Some(cause))
            }
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

    /// The TargetGroupBinding that it is said of; empty where it is said of another object.
    fn binding(&self) -> &str {
        match self.said {
            Said::Event(event) if event.involved_object.kind == "TargetGroupBinding" => &event.involved_object.name,
            _ => "",
        }
    }

    /// What the controller was started with.
    fn given(&self, name: &str) -> Option<&str> {
        let containers = &ingress::controller(self.snap)?.spec.template.spec.containers;
        containers.iter().find_map(|c| flag(c, name))
    }

    /// The cluster's name that the controller was given, and the cluster's, where that is another.
    fn wrong_name(&self) -> Option<(&str, &str)> {
        let own = Identity::of(self.snap).cluster?;
        self.given("cluster-name").filter(|given| *given != own).map(|given| (given, own))
    }

    /// What the controller was given, where that is another cluster or VPC.
    fn arguments_evidence(&self) -> Option<Evidence> {
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

    /// The security group that EKS made for the cluster.
    fn own_group(&self) -> Option<String> {
        let cluster = self.snap.eks_cluster().ok()?;
        Some(cluster.resources_vpc_config.cluster_security_group_id.clone()).filter(|g| !g.is_empty())
    }

    /// Services that it leads to and that have no node port.
    fn portless(&self) -> Vec<String> {
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

    /// The VPC that the controller was given, and the cluster's, where that is another.
    fn wrong_vpc(&self) -> Option<(String, String)> {
        let own = &self.snap.eks_cluster().ok()?.resources_vpc_config.vpc_id;
        let given = self.given("aws-vpc-id").filter(|g| !g.is_empty())?;
        (!own.is_empty() && given != own).then(|| (given.to_owned(), own.clone()))
    }

    /// It looks for subnets in a VPC that is not the cluster's.
    fn other_vpc(&self, given: &str, own: String) -> (Fix, String, Option<Cause>) {
        let why = format!(
            "its controller runs with --aws-vpc-id {given}, and the cluster lies in {own}: it looks for subnets in another VPC"
        );
        let about = format!(
            "the AWS Load Balancer Controller runs with --aws-vpc-id {given}, and the cluster lies in {own}: it finds no subnets"
        );
        let fix = Fix::Vpc { of: self.object.common(self.snap), by: Installed::found(self.snap), vpc: own };
        (fix, why, Some(Cause::keyed("vpc", about)))
    }

    /// Why subnets that carry the tag are not taken.
    fn unfit(&self, tagged: &[&Subnet], tag: &str) -> String {
        let own = Identity::of(self.snap).cluster.map(|c| format!("kubernetes.io/cluster/{c}"));
        let of_cluster = |s: &&Subnet| s.tags.iter().any(|t| t.key.starts_with("kubernetes.io/cluster/"));
        let of_own = |s: &&Subnet| s.tags.iter().any(|t| Some(&t.key) == own.as_ref());
        let full = |s: &&Subnet| s.available_ip_address_count.is_some_and(|n| n < FREE_ADDRESSES);
        if tagged.iter().all(|s| of_cluster(s) && !of_own(s)) {
            format!("the subnets with the tag {tag} are tagged for another cluster")
        } else if tagged.iter().all(full) {
            format!("the subnets with the tag {tag} have fewer than {FREE_ADDRESSES} free addresses")
        } else {
            format!("its controller takes none of the subnets with the tag {tag}")
        }
    }

    /// It takes the subnets for those of another cluster.
    fn other_name(&self, given: &str, own: &str, effect: &str) -> (Fix, String, Option<Cause>) {
        let given = if given.is_empty() { "nothing" } else { given };
        let why = format!("its controller runs with --cluster-name {given}, and the cluster is {own}: {effect}");
        let about =
            format!("the AWS Load Balancer Controller runs with --cluster-name {given}, and the cluster is {own}");
        let (of, by) = (self.object.common(self.snap), Installed::found(self.snap));
        (Fix::ClusterName { of, by, cluster: own.to_owned() }, why, Some(Cause::keyed("cluster-name", about)))
    }

    fn subnets(&self) -> (Fix, String, Option<Cause>) {
        if let Some((given, own)) = self.wrong_vpc() {
            return self.other_vpc(&given, own);
        }
        if let Some((given, own)) = self.wrong_name() {
            return self.other_name(given, own, "it takes the subnets for another cluster's");
        }
        let internal = self.object.is_internal();
        let tag = if internal { INTERNAL_TAG } else { PUBLIC_TAG };
        let kind = if internal { "internal" } else { "internet-facing" };
        let known = balancer::subnets(self.snap, internal).unwrap_or_default();
        let zones = |all: &[&Subnet]| {
            let mut zones: Vec<&str> = all.iter().map(|s| s.availability_zone.as_str()).collect();
            zones.sort_unstable();
            zones.dedup();
            zones.len()
        };
        let why = match (self.object.annotated("subnets"), known.tagged.as_slice()) {
            (Some(named), _) => format!("the subnets that it names ({named}) are not two zones' of this VPC"),
            (None, []) => {
                format!("no subnet of the VPC carries the tag {tag}=1, by which an {kind} load balancer finds them")
            }
            (None, tagged) if zones(tagged) < 2 => {
                format!("the subnets with the tag {tag} lie in one zone only, and an {kind} load balancer wants two")
            }
            (None, tagged) => self.unfit(tagged, tag),
        };
        let missing = known.fit.iter().filter(|s| !known.tagged.iter().any(|t| t.subnet_id == s.subnet_id));
        let subnets: Vec<String> = missing.map(|s| s.subnet_id.clone()).collect();
        let fix = Fix::Subnets {
            of: self.object.common(self.snap),
            tag,
            subnets,
            annotation: self.object.annotation("subnets"),
        };
        let about = format!("{why}: the stack's load balancers are not made");
        (fix, why, Some(Cause::keyed(format!("subnets {tag}"), about)))
    }

    fn subnets_evidence(&self, refusal: &Refusal) -> Option<Evidence> {
        if !matches!(refusal, Refusal::Subnets | Refusal::SubnetFull(_)) {
            return None;
        }
        let all = self.snap.subnets().ok()?;
        let line = |s: &Subnet| {
            let tags: Vec<&str> =
                s.tags.iter().map(|t| t.key.as_str()).filter(|k| k.starts_with("kubernetes.io/")).collect();
            let free = s.available_ip_address_count.map_or_else(|| "?".to_owned(), |n| n.to_string());
            let tags = if tags.is_empty() { "no kubernetes.io tag".to_owned() } else { tags.join(", ") };
            format!("{} {}: {tags}; {free} free addresses", s.subnet_id, s.availability_zone)
        };
        let vpc = all.first().map(|s| s.vpc_id.clone()).unwrap_or_default();
        Some(
            Evidence::new(
                "ec2:DescribeSubnets, tags",
                all.iter().map(line).collect::<Vec<_>>().join("\n"),
                "aws ec2 describe-subnets --filters Name=vpc-id,Values={{ vpc }} --query 'Subnets[].[SubnetId,AvailabilityZone,Tags]'",
            )
            .with("vpc", vpc),
        )
    }

    /// A security group takes no more rules: mostly the Ingress itself admits too many networks.
    fn rules(&self) -> (Fix, String, Option<Cause>) {
        let annotation = match self.object {
            Object::Ingress(_) => self.object.annotation("inbound-cidrs"),
            Object::Service(_) => "service.beta.kubernetes.io/load-balancer-source-ranges".to_owned(),
        };
        let listed = self.object.meta().annotations.get(&annotation).map(|v| v.split(',').count());
        let own = match self.object {
            Object::Service(service) => service.spec.load_balancer_source_ranges.len(),
            Object::Ingress(_) => 0,
        };
        let count = listed.unwrap_or(own);
        let asked = match (listed, count) {
            (_, 0) => String::new(),
            (Some(_), n) => format!(": it admits {n} networks ({annotation}), one rule for each of them and each port"),
            (None, n) => {
                format!(": it admits {n} networks (loadBalancerSourceRanges), one rule for each of them and each port")
            }
        };
        let why = format!("a security group takes no more rules{asked}");
        let lists = match self.object {
            Object::Ingress(_) => self.object.annotation("security-group-prefix-lists"),
            Object::Service(_) => "service.beta.kubernetes.io/aws-load-balancer-security-group-prefix-lists".to_owned(),
        };
        let groups = self.object.annotation("security-groups");
        let networks = if listed.is_some() { annotation } else { String::new() };
        let of = self.object.kept(self.object.common(self.snap));
        (Fix::Rules { of, networks, count, lists, groups }, why, None)
    }

    /// It names security groups that the controller does not find.
    fn no_such_groups(&self, names: &[String]) -> (Fix, String, Option<Cause>) {
        let own = self.snap.eks_cluster().map(|c| c.resources_vpc_config.vpc_id.clone()).unwrap_or_default();
        let groups = self.snap.security_groups.as_deref().unwrap_or_default();
        let same = groups.iter().filter(|g| names.contains(&g.group_name));
        let by_name: Vec<&str> = same.map(|g| g.group_id.as_str()).collect();
        let list = names.join(", ");
        let noun = if names.len() == 1 { "security group" } else { "security groups" };
        let by_tag = match (names.iter().all(|n| n.starts_with("sg-")), by_name.as_slice()) {
            (true, _) => String::new(),
            (false, []) => "; a name means the tag Name of a group, not its group name".to_owned(),
            (false, ids) => {
                format!("; it looks for the tag Name, and {} has that as its group name alone", ids.join(", "))
            }
        };
        let place = if own.is_empty() { String::new() } else { format!(" in VPC {own}") };
        let why = format!("its controller does not find {noun} {list}{place}{by_tag}");
        let group = Placeholder::new("security-group-id")
            .how("the id of the group that the first step shows")
            .candidates(by_name.iter().map(|id| (*id).to_owned()));
        let annotation = self.object.annotation("security-groups");
        let given = self.object.annotated("security-groups").unwrap_or_default().split(',').map(str::trim);
        let others =
            given.filter(|g| !g.is_empty() && !names.iter().any(|n| n == g)).map(|g| format!(",{g}")).collect();
        let of = self.object.kept(self.object.common(self.snap));
        (Fix::NoSuchGroups { of, annotation, names: names.to_vec(), vpc: own, group, others }, why, None)
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
                of: self.object.common(self.snap),
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

    /// The ServiceAccount of the controller.
    fn account(&self) -> String {
        let own = ingress::controller(self.snap).and_then(|w| w.spec.template.spec.service_account_name.clone());
        own.unwrap_or_else(|| NAME.to_owned())
    }

    fn hosts(&self) -> Vec<String> {
        let Object::Ingress(one) = self.object else { return Vec::new() };
        let of_tls = one.spec.tls.iter().flat_map(|t| t.hosts.clone());
        of_tls.chain(one.spec.rules.iter().filter_map(|r| r.host.clone())).collect()
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

/// The first line of a message, cut to what a sentence holds.
fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().chars().take(300).collect()
}
