//! Writes the finding of a trouble: message and evidence.

use std::collections::BTreeSet;

use crate::checks::support::amtool::Amtool;
use crate::checks::support::traffic;
use crate::domain::alertmanager::pods::alertmanager_pods;
use crate::domain::aws::network_acl::FINAL_RULE;
use crate::domain::aws::routing::{Cause, Family, target};
use crate::domain::aws::vpc_cni::EXTERNAL_SNAT;
use crate::domain::traffic::public_subnet::named;
use crate::domain::traffic::survey::{self, Affected, Survey};
use crate::model::{CheckId, Evidence, Finding, ResourceRef, Severity};
use crate::snapshot::aws::{Cluster, NatGateway, Nodegroup, RouteTable, Subnet};
use crate::snapshot::kubernetes::{Container, Pod};

/// Symptoms that are shown at most.
const MAX_SYMPTOMS: usize = 3;

/// Writes findings.
pub(super) struct Writer<'a> {
    pub(super) survey: &'a Survey<'a>,
    pub(super) cluster: &'a Cluster,
}

impl<'a> Writer<'a> {
    /// The finding of one trouble.
    pub(super) fn finding(
        &self,
        id: CheckId,
        severity: Severity,
        trouble: &survey::Cause,
        affected: &Affected<'a>,
    ) -> Finding {
        let subject = self.subject(trouble);
        let wanted = self.only_wanted(affected);
        let who = wanted.first().map(|_| format!("Alertmanager is to reach {}: ", few(&wanted))).unwrap_or_default();
        let message = format!("{who}{}: {}", cut_off(&affected.subnets), self.because(trouble));
        let key = format!("{}/{}", subject.key(), self.key(trouble));
        let mut finding = Finding::new(id, severity, subject, message).key(key);
        for subnet in &affected.subnets {
            finding = finding.breaks(ResourceRef::aws("ec2", "subnet", &subnet.subnet_id));
        }
        for group in self.cut_off_groups(affected) {
            finding = finding.breaks(ResourceRef::aws("eks", "nodegroup", &group.nodegroup_name));
        }
        self.evidence(finding, trouble, affected).fix(self.fix(trouble, affected))
    }

    /// Node groups in these subnets whose instances do not join.
    pub(super) fn cut_off_groups<'s>(&'s self, affected: &'s Affected<'a>) -> impl Iterator<Item = &'s Nodegroup> {
        let here = move |g: &&Nodegroup| g.subnets.iter().any(|s| affected.subnets.iter().any(|a| a.subnet_id == *s));
        let groups = self.survey.snap.eks_nodegroups.iter().flatten();
        groups.filter(|g| g.join_failure().is_some()).filter(here)
    }

    fn region(&self) -> &str {
        self.cluster.region().or(self.survey.snap.target.region.as_deref()).unwrap_or_default()
    }

    fn resource(&self, kind: &str, id: &str) -> ResourceRef {
        let account = self.cluster.account().or(self.survey.snap.target.account.as_deref());
        match (self.region(), account) {
            ("", _) | (_, None) => ResourceRef::aws("ec2", kind, id),
            (region, Some(account)) => {
                let arn = format!("arn:{}:ec2:{region}:{account}:{kind}/{id}", self.cluster.partition());
                ResourceRef::aws_arn("ec2", kind, id, arn)
            }
        }
    }

    /// What has to change.
    fn subject(&self, trouble: &survey::Cause) -> ResourceRef {
        match trouble {
            survey::Cause::Routing { fault: Cause::NatStranded { nat, .. } | Cause::NatPending { nat }, .. } => {
                self.resource("natgateway", nat)
            }
            survey::Cause::Routing { fault: Cause::GatewayGone { table, .. }, .. } => {
                self.resource("route-table", table)
            }
            survey::Cause::Routing { table, .. } | survey::Cause::NoPublicAddress { table, .. } => {
                self.resource("route-table", table)
            }
            survey::Cause::ExternalSnat { .. } => ResourceRef::workload("DaemonSet", "kube-system", "aws-node"),
            survey::Cause::Acl { acl, .. } => self.resource("network-acl", acl),
            survey::Cause::SecurityGroup { groups } => {
                self.resource("security-group", groups.first().map_or("<security-group-id>", String::as_str))
            }
        }
    }

    /// Tells apart two findings on one resource.
    fn key(&self, trouble: &survey::Cause) -> String {
        match trouble {
            survey::Cause::Routing { fault: Cause::NatStranded { .. } | Cause::GatewayGone { .. }, table, .. } => {
                table.clone()
            }
            survey::Cause::Routing { .. } => "default-route".into(),
            survey::Cause::NoPublicAddress { .. } => "public-address".into(),
            survey::Cause::ExternalSnat { table, .. } => format!("external-snat {table}"),
            survey::Cause::Acl { nat_side, vpc_cidr, .. } => format!("{nat_side}/{vpc_cidr}"),
            survey::Cause::SecurityGroup { .. } => "egress-443".into(),
        }
    }

    fn because(&self, trouble: &survey::Cause) -> String {
        match trouble {
            survey::Cause::Routing { fault, table, family } => self.because_of_routing(fault, table, *family),
            survey::Cause::NoPublicAddress { gateway, table } => format!(
                "route table {} leads straight to internet gateway {gateway}, but the nodes have no public IP address",
                self.survey.named_table(table)
            ),
            survey::Cause::ExternalSnat { gateway, table } => format!(
                "aws-node runs with {EXTERNAL_SNAT}=true, so that pods keep their private addresses, and route table {} leads straight to internet gateway {gateway}, which passes public ones only",
                self.survey.named_table(table)
            ),
            survey::Cause::Acl { acl, dropped, nat_side, .. } => {
                let rule =
                    |n: u32| if n == FINAL_RULE { "its final deny rule".to_owned() } else { format!("rule {n}") };
                let all: Vec<String> =
                    dropped.iter().map(|d| format!("{} ({})", d.packet.words(), rule(d.rule))).collect();
                let whose = if *nat_side { "the NAT gateway's subnet" } else { "these subnets" };
                format!("network ACL {acl} of {whose} drops {}", all.join(" and "))
            }
            survey::Cause::SecurityGroup { groups } => {
                let all: Vec<&str> = groups.iter().map(String::as_str).collect();
                format!("no security group of the nodes ({}) allows outbound TCP 443 to the internet", all.join(", "))
            }
        }
    }

    fn because_of_routing(&self, fault: &Cause, table: &str, family: Family) -> String {
        let anywhere = family.anywhere();
        let named = self.survey.named_table(table);
        match fault {
            Cause::NoRoute => match self.survey.nat_for(&[]) {
                Some(nat) if family == Family::V4 => {
                    format!(
                        "route table {named} has no {anywhere} route, while NAT gateway {} is available",
                        nat.nat_gateway_id
                    )
                }
                _ => format!("route table {named} has no {anywhere} route"),
            },
            Cause::Blackhole { target } => {
                // A transit gateway may be there, and this VPC not attached to it any more.
                let or = if target.starts_with("tgw-") { ", or not attached to this VPC any more" } else { "" };
                format!("the {anywhere} route of route table {named} is a blackhole: {target} is gone{or}")
            }
            Cause::NatGone { nat, state } => {
                let why = self.survey.nat(nat).and_then(failure).map(|f| format!(" ({f})")).unwrap_or_default();
                let state = if state == "blackhole" { "gone (the route is a blackhole)" } else { state };
                format!("the {anywhere} route of route table {named} leads to NAT gateway {nat}, which is {state}{why}")
            }
            Cause::NatPending { nat } => {
                format!("NAT gateway {nat}, where route table {named} leads, is still being made")
            }
            Cause::NatStranded { nat, nat_subnet, nat_table, via } => {
                let leads = match via {
                    Some(via) if via == nat => "routes back to the NAT gateway itself".to_owned(),
                    Some(via) => format!("routes to {via}"),
                    None => format!("has no {anywhere} route"),
                };
                format!(
                    "NAT gateway {nat} lies in subnet {nat_subnet}, which is not public: its route table {} {leads}",
                    self.survey.named_table(nat_table)
                )
            }
            Cause::NatPrivate { nat } => {
                format!(
                    "the {anywhere} route of route table {named} leads to NAT gateway {nat}, which is private: it has no public address"
                )
            }
            Cause::GatewayGone { gateway, table } => format!(
                "the {anywhere} route of route table {} leads to internet gateway {gateway}, which is not attached to VPC {}",
                self.survey.named_table(table),
                self.survey.net.vpc
            ),
        }
    }

    fn evidence(&self, finding: Finding, trouble: &survey::Cause, affected: &Affected<'a>) -> Finding {
        let mut finding = finding;
        if let survey::Cause::Routing { table, .. }
        | survey::Cause::NoPublicAddress { table, .. }
        | survey::Cause::ExternalSnat { table, .. } = trouble
        {
            let routes = self.survey.table(table).map(routes).unwrap_or_default();
            let template = "aws ec2 describe-route-tables --filters Name=vpc-id,Values={{ vpc }} Name=route-table-id,Values={{ rtb }} --query 'RouteTables[].Routes[]'";
            let seen = Evidence::new(format!("routes of {table}"), routes, template);
            finding = finding.evidence(seen.with("vpc", self.survey.net.vpc).with("rtb", table));
        }
        if let survey::Cause::ExternalSnat { .. } = trouble {
            let template =
                "kubectl get daemonset aws-node -n kube-system -o jsonpath='{.spec.template.spec.containers[*].env}'";
            finding = finding.evidence(Evidence::new(
                "DaemonSet kube-system/aws-node, environment",
                format!("{EXTERNAL_SNAT}=true"),
                template,
            ));
        }
        if let survey::Cause::Acl { acl, dropped, .. } = trouble {
            let rules: Vec<String> =
                dropped.iter().map(|d| format!("rule {} drops {}", d.rule, d.packet.words())).collect();
            let template = "aws ec2 describe-network-acls --network-acl-ids {{ acl }}";
            let seen = Evidence::new(format!("network ACL {acl}"), rules.join("; "), template);
            finding = finding.evidence(seen.with("acl", acl));
        }
        if let survey::Cause::SecurityGroup { groups } = trouble {
            let template = "aws ec2 describe-security-groups --group-ids {{ groups }} --query 'SecurityGroups[].IpPermissionsEgress'";
            let seen = Evidence::new(
                "outbound rules of the nodes' security groups",
                "none reaches the internet on TCP 443",
                template,
            );
            finding = finding.evidence(seen.with("groups", groups));
        }
        let demands: Vec<_> = affected.subnets.iter().filter_map(|s| self.survey.demands.of(&s.subnet_id)).collect();
        let symptoms = demands.iter().flat_map(|d| &d.symptoms).take(MAX_SYMPTOMS);
        finding = symptoms.fold(finding, |f, s| f.evidence(traffic::evidence(self.survey.snap, s)));
        let wanted = self.only_wanted(affected);
        if !wanted.is_empty() {
            finding = finding.evidence(self.receivers(&wanted, affected));
        }
        match self.endpoints() {
            Some(seen) => finding.evidence(seen),
            None => finding,
        }
    }

    /// Hosts on the internet that Alertmanager is configured to send to, where nothing was seen to fail yet.
    fn only_wanted(&self, affected: &Affected<'a>) -> Vec<&'a str> {
        let demands = || affected.subnets.iter().filter_map(|s| self.survey.demands.of(&s.subnet_id));
        if demands().any(|d| !d.symptoms.is_empty()) {
            return Vec::new();
        }
        let hosts: BTreeSet<&str> = demands().flat_map(|d| &d.wanted).map(String::as_str).collect();
        hosts.into_iter().collect()
    }

    /// Hosts on the internet that Alertmanager is configured to send to.
    fn receivers(&self, hosts: &[&str], affected: &Affected<'a>) -> Evidence {
        let (title, value) = ("Alertmanager's receivers", format!("send to {}", hosts.join(", ")));
        match self.alertmanager_in(affected) {
            Some((pod, container)) => Amtool::of(pod, container).config_seen(title, value),
            None => Evidence::new(title, value, ""),
        }
    }

    /// Namespace, name and container of an Alertmanager pod in these subnets; empty where none is.
    pub(super) fn alertmanager(&self, affected: &Affected<'a>) -> (&'a str, &'a str, &'a str) {
        let there = self.alertmanager_in(affected);
        there.map_or(("", "", ""), |(p, c)| (p.metadata.namespace.as_str(), p.metadata.name.as_str(), c.name.as_str()))
    }

    fn alertmanager_in(&self, affected: &Affected<'a>) -> Option<(&'a Pod, &'a Container)> {
        let here = |subnet: &str| affected.subnets.iter().any(|s| s.subnet_id == subnet);
        let pods = alertmanager_pods(self.survey.snap);
        pods.into_iter().find(|(pod, _)| self.survey.at.of_pod(pod).is_some_and(here))
    }

    /// Interface endpoints explain why AWS's own APIs and images still work.
    fn endpoints(&self) -> Option<Evidence> {
        let all = self.survey.snap.vpc_endpoints().ok()?;
        let mut names: Vec<&str> = all
            .iter()
            .filter(|e| e.vpc_endpoint_type == "Interface" && e.state == "available")
            .filter_map(|e| e.service_name.splitn(4, '.').nth(3))
            .collect();
        names.sort_unstable();
        names.dedup();
        let template = "aws ec2 describe-vpc-endpoints --filters Name=vpc-id,Values={{ vpc }} --query 'VpcEndpoints[].ServiceName'";
        let value = format!("{}: these AWS APIs work without a route to the internet", names.join(", "));
        let seen = Evidence::new("VPC interface endpoints", value, template);
        (!names.is_empty()).then(|| seen.with("vpc", self.survey.net.vpc))
    }
}

/// `a, b and 3 more`.
fn few(hosts: &[&str]) -> String {
    match hosts {
        [a, b, rest @ ..] if !rest.is_empty() => format!("{a}, {b} and {} more", rest.len()),
        all => all.join(", "),
    }
}

/// `subnets a (name), b (name) cannot reach the internet`.
fn cut_off(subnets: &[&Subnet]) -> String {
    let names: Vec<String> = subnets.iter().map(|s| named(&s.subnet_id, &s.tags)).collect();
    match names.as_slice() {
        [one] => format!("pods in subnet {one} cannot reach the internet"),
        all => format!("pods in subnets {} cannot reach the internet", all.join(", ")),
    }
}

fn failure(nat: &NatGateway) -> Option<String> {
    let code = nat.failure_code.as_deref()?;
    Some(match nat.failure_message.as_deref() {
        Some(message) if !message.is_empty() => format!("{code}: {message}"),
        _ => code.to_owned(),
    })
}

fn routes(table: &RouteTable) -> String {
    let one = |r: &crate::snapshot::aws::Route| {
        let to = [&r.destination_cidr_block, &r.destination_ipv6_cidr_block, &r.destination_prefix_list_id];
        let to = to.into_iter().find_map(|d| d.as_deref()).unwrap_or("?");
        let state = if r.state == "blackhole" { " (blackhole)" } else { "" };
        format!("{to} → {}{state}", target(r))
    };
    table.routes.iter().map(one).collect::<Vec<_>>().join(", ")
}
