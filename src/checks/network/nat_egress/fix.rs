//! Writes the finding of a trouble: message, evidence, and the fix with its values.

use std::collections::BTreeSet;

use serde_json::json;

use crate::checks::support::addon;
use crate::checks::support::node_group::again;
use crate::domain::alertmanager::pods::alertmanager_pods;
use crate::domain::aws::addon::with_values;
use crate::domain::aws::network_acl::{FINAL_RULE, Packet, free_numbers};
use crate::domain::aws::routing::{Family, Fault, Network, target};
use crate::domain::aws::vpc_cni::EXTERNAL_SNAT;
use crate::domain::traffic::public_subnet::named;
use crate::domain::traffic::survey::{Affected, Survey, Trouble};
use crate::model::{CheckId, Evidence, Finding, ResourceRef, Severity};
use crate::snapshot::aws::{Cluster, NatGateway, Nodegroup, RouteTable, Subnet};

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
        trouble: &Trouble,
        affected: &Affected<'a>,
    ) -> Finding {
        let subject = self.subject(trouble);
        let message = format!("{}: {}", cut_off(&affected.subnets), self.because(trouble));
        let key = format!("{}/{}", subject.key(), self.key(trouble));
        let mut finding = Finding::new(id, severity, subject, message).key(key);
        for subnet in &affected.subnets {
            finding = finding.breaks(ResourceRef::aws("ec2", "subnet", &subnet.subnet_id));
        }
        for group in self.cut_off_groups(affected) {
            finding = finding.breaks(ResourceRef::aws("eks", "nodegroup", &group.nodegroup_name));
        }
        let finding = self.evidence(finding, trouble, affected);
        let finding = self.common(finding, affected);
        match trouble {
            Trouble::Routing { fault, table, family } => self.routing_fix(finding, fault, table, *family, affected),
            Trouble::NoPublicAddress { .. } => self.address_fix(finding, affected),
            Trouble::ExternalSnat { .. } => self.snat_fix(finding),
            Trouble::Acl { .. } => self.acl_fix(finding, trouble),
            Trouble::SecurityGroup { groups } => {
                let group = groups.first().cloned().unwrap_or_default();
                finding.fix("security-group").param("group", group)
            }
        }
    }

    /// What the add-on's configuration sets changes with it; what was set on the DaemonSet by hand would be preserved.
    fn snat_fix(&self, finding: Finding) -> Finding {
        let cni = addon::named(self.survey.snap, "vpc-cni");
        let configured = cni.and_then(|a| a.configuration_values.as_deref()).is_some_and(|v| v.contains(EXTERNAL_SNAT));
        let values = cni.and_then(|a| with_values(Some(a), &json!({"env": {EXTERNAL_SNAT: "false"}})));
        finding
            .fix("external-snat")
            .param("addon", cni.is_some())
            .param("by_hand", !configured)
            .param("values", values)
            .param("kept_role", addon::kept_role(cni))
    }

    /// Node groups in these subnets whose instances do not join.
    fn cut_off_groups<'s>(&'s self, affected: &'s Affected<'a>) -> impl Iterator<Item = &'s Nodegroup> {
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
    fn subject(&self, trouble: &Trouble) -> ResourceRef {
        match trouble {
            Trouble::Routing { fault: Fault::NatStranded { nat, .. } | Fault::NatPending { nat }, .. } => {
                self.resource("natgateway", nat)
            }
            Trouble::Routing { fault: Fault::GatewayGone { table, .. }, .. } => self.resource("route-table", table),
            Trouble::Routing { table, .. } | Trouble::NoPublicAddress { table, .. } => {
                self.resource("route-table", table)
            }
            Trouble::ExternalSnat { .. } => ResourceRef::workload("DaemonSet", "kube-system", "aws-node"),
            Trouble::Acl { acl, .. } => self.resource("network-acl", acl),
            Trouble::SecurityGroup { groups } => {
                self.resource("security-group", groups.first().map_or("<security-group-id>", String::as_str))
            }
        }
    }

    /// Tells apart two findings on one resource.
    fn key(&self, trouble: &Trouble) -> String {
        match trouble {
            Trouble::Routing { fault: Fault::NatStranded { .. } | Fault::GatewayGone { .. }, table, .. } => {
                table.clone()
            }
            Trouble::Routing { .. } => "default-route".into(),
            Trouble::NoPublicAddress { .. } => "public-address".into(),
            Trouble::ExternalSnat { table, .. } => format!("external-snat {table}"),
            Trouble::Acl { nat_side, vpc_cidr, .. } => format!("{nat_side}/{vpc_cidr}"),
            Trouble::SecurityGroup { .. } => "egress-443".into(),
        }
    }

    fn because(&self, trouble: &Trouble) -> String {
        match trouble {
            Trouble::Routing { fault, table, family } => self.because_of_routing(fault, table, *family),
            Trouble::NoPublicAddress { gateway, table } => format!(
                "route table {} leads straight to internet gateway {gateway}, but the nodes have no public IP address",
                self.survey.named_table(table)
            ),
            Trouble::ExternalSnat { gateway, table } => format!(
                "aws-node runs with {EXTERNAL_SNAT}=true, so that pods keep their private addresses, and route table {} leads straight to internet gateway {gateway}, which passes public ones only",
                self.survey.named_table(table)
            ),
            Trouble::Acl { acl, dropped, nat_side, .. } => {
                let rule =
                    |n: u32| if n == FINAL_RULE { "its final deny rule".to_owned() } else { format!("rule {n}") };
                let all: Vec<String> =
                    dropped.iter().map(|d| format!("{} ({})", d.packet.words(), rule(d.rule))).collect();
                let whose = if *nat_side { "the NAT gateway's subnet" } else { "these subnets" };
                format!("network ACL {acl} of {whose} drops {}", all.join(" and "))
            }
            Trouble::SecurityGroup { groups } => {
                let all: Vec<&str> = groups.iter().map(String::as_str).collect();
                format!("no security group of the nodes ({}) allows outbound TCP 443 to the internet", all.join(", "))
            }
        }
    }

    fn because_of_routing(&self, fault: &Fault, table: &str, family: Family) -> String {
        let anywhere = family.anywhere();
        let named = self.survey.named_table(table);
        match fault {
            Fault::NoRoute => match self.survey.nat_for(&[]) {
                Some(nat) if family == Family::V4 => {
                    format!(
                        "route table {named} has no {anywhere} route, while NAT gateway {} is available",
                        nat.nat_gateway_id
                    )
                }
                _ => format!("route table {named} has no {anywhere} route"),
            },
            Fault::Blackhole { target } => {
                format!("the {anywhere} route of route table {named} is a blackhole: {target} is gone")
            }
            Fault::NatGone { nat, state } => {
                let why = self.survey.nat(nat).and_then(failure).map(|f| format!(" ({f})")).unwrap_or_default();
                let state = if state == "blackhole" { "gone (the route is a blackhole)" } else { state };
                format!("the {anywhere} route of route table {named} leads to NAT gateway {nat}, which is {state}{why}")
            }
            Fault::NatPending { nat } => {
                format!("NAT gateway {nat}, where route table {named} leads, is still being made")
            }
            Fault::NatStranded { nat, nat_subnet, nat_table, via } => {
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
            Fault::NatPrivate { nat } => {
                format!(
                    "the {anywhere} route of route table {named} leads to NAT gateway {nat}, which is private: it has no public address"
                )
            }
            Fault::GatewayGone { gateway, table } => format!(
                "the {anywhere} route of route table {} leads to internet gateway {gateway}, which is not attached to VPC {}",
                self.survey.named_table(table),
                self.survey.net.vpc
            ),
        }
    }

    fn evidence(&self, finding: Finding, trouble: &Trouble, affected: &Affected<'a>) -> Finding {
        let mut finding = finding;
        if let Trouble::Routing { table, .. }
        | Trouble::NoPublicAddress { table, .. }
        | Trouble::ExternalSnat { table, .. } = trouble
        {
            let routes = self.survey.table(table).map(routes).unwrap_or_default();
            let template = "aws ec2 describe-route-tables{% if region %} --region {{ region }}{% endif %} --filters Name=vpc-id,Values={{ vpc }} Name=route-table-id,Values={{ rtb }} --query 'RouteTables[].Routes[]'";
            let seen = Evidence::new(format!("routes of {table}"), routes, template);
            finding = finding
                .evidence(seen.with("region", self.region()).with("vpc", self.survey.net.vpc).with("rtb", table));
        }
        if let Trouble::Acl { acl, dropped, .. } = trouble {
            let rules: Vec<String> =
                dropped.iter().map(|d| format!("rule {} drops {}", d.rule, d.packet.words())).collect();
            let template = "aws ec2 describe-network-acls{% if region %} --region {{ region }}{% endif %} --network-acl-ids {{ acl }}";
            let seen = Evidence::new(format!("network ACL {acl}"), rules.join("; "), template);
            finding = finding.evidence(seen.with("region", self.region()).with("acl", acl));
        }
        if let Trouble::SecurityGroup { groups } = trouble {
            let template = "aws ec2 describe-security-groups{% if region %} --region {{ region }}{% endif %} --group-ids {{ groups }} --query 'SecurityGroups[].IpPermissionsEgress'";
            let seen = Evidence::new(
                "outbound rules of the nodes' security groups",
                "none reaches the internet on TCP 443",
                template,
            );
            finding = finding.evidence(seen.with("region", self.region()).with("groups", groups));
        }
        let demands: Vec<_> = affected.subnets.iter().filter_map(|s| self.survey.demands.of(&s.subnet_id)).collect();
        let symptoms = demands.iter().flat_map(|d| &d.symptoms).take(MAX_SYMPTOMS);
        let fails = symptoms.clone().next().is_some();
        finding =
            symptoms.fold(finding, |f, s| f.evidence(crate::checks::support::traffic::evidence(self.survey.snap, s)));
        let wanted: BTreeSet<&str> = demands.iter().flat_map(|d| &d.wanted).map(String::as_str).collect();
        if !fails && !wanted.is_empty() {
            let hosts: Vec<&str> = wanted.into_iter().collect();
            finding = finding.evidence(self.receivers(&hosts, affected));
        }
        match self.endpoints() {
            Some(seen) => finding.evidence(seen),
            None => finding,
        }
    }

    /// Hosts on the internet that Alertmanager is configured to send to.
    fn receivers(&self, hosts: &[&str], affected: &Affected<'a>) -> Evidence {
        let (namespace, pod, container) = self.alertmanager(affected);
        let template = "{% if pod %}kubectl exec -n {{ namespace }} {{ pod }} -c {{ container }} -- amtool config show --alertmanager.url=http://localhost:9093{% endif %}";
        Evidence::new("Alertmanager's receivers", format!("send to {}", hosts.join(", ")), template)
            .with("namespace", namespace)
            .with("pod", pod)
            .with("container", container)
    }

    /// Namespace, name and container of an Alertmanager pod in these subnets; empty where none is.
    fn alertmanager(&self, affected: &Affected<'a>) -> (&'a str, &'a str, &'a str) {
        let here = |subnet: &str| affected.subnets.iter().any(|s| s.subnet_id == subnet);
        let pods = alertmanager_pods(self.survey.snap);
        let there = pods.into_iter().find(|(pod, _)| self.survey.at.of_pod(pod).is_some_and(here));
        there.map_or(("", "", ""), |(p, c)| (p.metadata.namespace.as_str(), p.metadata.name.as_str(), c))
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
        let template = "aws ec2 describe-vpc-endpoints{% if region %} --region {{ region }}{% endif %} --filters Name=vpc-id,Values={{ vpc }} --query 'VpcEndpoints[].ServiceName'";
        let value = format!("{}: these AWS APIs work without a route to the internet", names.join(", "));
        let seen = Evidence::new("VPC interface endpoints", value, template);
        (!names.is_empty()).then(|| seen.with("region", self.region()).with("vpc", self.survey.net.vpc))
    }

    /// Values that every fix and the verification read.
    fn common(&self, finding: Finding, affected: &Affected<'a>) -> Finding {
        let ids: Vec<&str> = affected.subnets.iter().map(|s| s.subnet_id.as_str()).collect();
        let hosts = ids.iter().filter_map(|id| self.survey.demands.of(id)).flat_map(|d| &d.wanted);
        let host = hosts.into_iter().next().map_or("checkip.amazonaws.com", String::as_str);
        let (namespace, pod, container) = self.alertmanager(affected);
        finding
            .param("region", self.region())
            .param("vpc", self.survey.net.vpc)
            .param("subnets", ids)
            .param("pod", pod)
            .param("namespace", namespace)
            .param("container", container)
            .param("test_url", format!("https://{host}/"))
            .param("cluster", &self.cluster.name)
            .param("failed_groups", again(self.survey.snap, self.cut_off_groups(affected)))
    }

    fn routing_fix(
        &self,
        finding: Finding,
        fault: &Fault,
        table: &str,
        family: Family,
        affected: &Affected<'a>,
    ) -> Finding {
        let route_table = self.survey.table(table);
        let dest = route_table.map_or(family.anywhere(), |t| Network::default_destination(t, family));
        let nat = self.survey.nat_for(&affected.subnets);
        let finding = finding
            .param("rtb", table)
            .param("dest", dest)
            .param("others", self.survey.others(route_table, affected).join(", "))
            .param("zones", self.survey.zones(nat, affected))
            .param("replace", *fault != Fault::NoRoute);
        if family == Family::V6 && !matches!(fault, Fault::GatewayGone { .. }) {
            return finding.fix("create-eigw").param("eigw", self.survey.egress_only_gateway().unwrap_or_default());
        }
        match fault {
            Fault::NatPending { nat } => finding.fix("nat-pending").param("nat", nat),
            Fault::GatewayGone { gateway, table } => {
                let v6 = family == Family::V6;
                let other = self.survey.net.attached_gateway().unwrap_or_default();
                finding
                    .fix("attach-gateway")
                    .param("gateway", gateway)
                    .param("other", other)
                    .param("gateway_table", table)
                    .param("v6", v6)
            }
            Fault::Blackhole { target } => finding
                .fix("restore-target")
                .param("target", target)
                .param("nat", nat.map_or("", |n| n.nat_gateway_id.as_str())),
            Fault::NatStranded { nat_table, .. } if nat.is_none() && self.survey.can_become_public(nat_table) => {
                finding
                    .fix("nat-in-private")
                    .param("nat_table", nat_table)
                    .param("gateway", self.survey.net.attached_gateway().unwrap_or_default())
            }
            _ => match nat {
                Some(nat) if *fault == Fault::NoRoute => finding.fix("create-route").param("nat", &nat.nat_gateway_id),
                Some(nat) => finding.fix("replace-route").param("nat", &nat.nat_gateway_id),
                // Without an internet gateway a NAT gateway leads nowhere.
                None if *fault == Fault::NoRoute && self.survey.net.attached_gateway().is_none() => {
                    finding.fix("closed-vpc")
                }
                None => {
                    let subnet = self.survey.public_subnet(affected);
                    finding
                        .fix("create-nat")
                        .param("taken", self.addresses())
                        .param("spare", self.spare_address())
                        .param("public_subnet", subnet.unwrap_or("<public-subnet-id>"))
                        .param("no_public_subnet", subnet.is_none())
                }
            },
        }
    }

    /// How many elastic IP addresses the account has, where that comes near the default quota of five.
    fn addresses(&self) -> usize {
        const QUOTA: usize = 5;
        let all = self.survey.snap.addresses.as_ref().map_or(0, Vec::len);
        if all >= QUOTA { all } else { 0 }
    }

    /// An elastic IP address that nothing uses.
    fn spare_address(&self) -> String {
        let all = self.survey.snap.addresses.iter().flatten();
        let spare = all.filter(|a| a.association_id.is_none()).map(|a| a.allocation_id.clone()).next();
        spare.unwrap_or_default()
    }

    fn address_fix(&self, finding: Finding, affected: &Affected<'a>) -> Finding {
        let unmapped: Vec<&str> =
            affected.subnets.iter().filter(|s| !s.map_public_ip_on_launch).map(|s| s.subnet_id.as_str()).collect();
        let node = affected.nodes.first();
        let instance = node.and_then(|n| n.instance_id()).unwrap_or("<instance-id>");
        let names: Vec<&str> = affected.nodes.iter().map(|n| n.metadata.name.as_str()).collect();
        finding
            .fix("igw-no-public-ip")
            .param("unmapped", unmapped)
            .param("node", node.map_or("<node-name>", |n| n.metadata.name.as_str()))
            .param("instance", instance)
            .param("nodes_text", names.join(", "))
    }

    fn acl_fix(&self, finding: Finding, trouble: &Trouble) -> Finding {
        let Trouble::Acl { acl, dropped, vpc_cidr, family, .. } = trouble else { return finding };
        let found = self.survey.snap.network_acls().ok().and_then(|all| all.iter().find(|a| a.network_acl_id == *acl));
        let numbers = found.map(|a| free_numbers(a, dropped)).unwrap_or_default();
        let mut finding =
            finding.fix("nacl").param("acl", acl).param("vpc_cidr", vpc_cidr).param("v6", *family == Family::V6);
        let names = [
            (Packet::Out, "out_rule", "out_verb"),
            (Packet::Answer, "answer_rule", "answer_verb"),
            (Packet::IntoNat, "into_rule", "into_verb"),
            (Packet::BackToNodes, "back_rule", "back_verb"),
        ];
        for (packet, rule, verb) in names {
            let at = dropped.iter().position(|d| d.packet == packet);
            let free = at.and_then(|i| numbers.get(i).copied().flatten());
            // Without a number before it, the rule itself has to change.
            let number = free.or(at.map(|i| dropped[i].rule)).map(|n| n.to_string()).unwrap_or_default();
            let word = if free.is_some() { "create-network-acl-entry" } else { "replace-network-acl-entry" };
            finding = finding.param(rule, number).param(verb, word);
        }
        finding
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
