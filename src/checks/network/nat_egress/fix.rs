//! What gives pods their way to the internet, and what its commands hold.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::writer::Writer;
use crate::checks::support::addon;
use crate::checks::support::node_group::{Again, again};
use crate::domain::aws::addon::with_values;
use crate::domain::aws::network_acl::{Dropped, Packet, free_numbers};
use crate::domain::aws::routing::{Cause, Family, Network};
use crate::domain::aws::vpc_cni::EXTERNAL_SNAT;
use crate::domain::traffic::survey::{self, Affected};
use crate::snapshot::aws::NatGateway;

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fix {
    cluster: String,
    vpc: String,
    /// The routes are what was wrong.
    routed: bool,
    /// What sends out may be given a proxy in place of a route.
    through_proxy: bool,
    /// Node groups that failed for it and do not recover by themselves.
    failed_groups: Vec<Again>,
    /// A pod of Alertmanager to try the way from, empty where none is, and a URL on the internet.
    pod: String,
    namespace: String,
    container: String,
    test_url: String,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    CreateRoute(ToNat),
    CreateNat {
        rtb: String,
        dest: String,
        others: String,
        /// There is a default route, which leads elsewhere.
        replace: bool,
        /// Elastic IP addresses of the account, where that comes near the quota, and one that nothing uses.
        taken: usize,
        spare: Option<String>,
        public_subnet: String,
        no_public_subnet: bool,
    },
    ClosedVpc {
        rtb: String,
    },
    ReplaceRoute(ToNat),
    NatPending {
        nat: String,
    },
    NatInPrivate {
        rtb: String,
        nat_table: String,
        gateway: String,
    },
    AttachGateway {
        gateway: String,
        gateway_table: String,
        dest: String,
        v6: bool,
        /// The gateway that is attached to the VPC.
        other: Option<String>,
    },
    RestoreTarget {
        rtb: String,
        dest: String,
        target: String,
        nat: Option<String>,
    },
    IgwNoPublicIp {
        /// Subnets that give new instances no public address.
        unmapped: Vec<String>,
        node: String,
        instance: String,
        nodes_text: String,
    },
    ExternalSnat {
        /// The add-on's configuration sets it; else it was set on the DaemonSet.
        configured: bool,
        /// A NAT gateway that works, outside of the table.
        nat: Option<String>,
        rtb: String,
        dest: String,
        /// The subnets that the table routes.
        subnets: String,
        values: Option<String>,
        kept_role: Vec<String>,
    },
    Nacl {
        acl: String,
        vpc_cidr: String,
        v6: bool,
        out: Option<Entry>,
        answer: Option<Entry>,
        into_nat: Option<Entry>,
        back: Option<Entry>,
    },
    SecurityGroup {
        group: String,
    },
    CreateEigw {
        rtb: String,
        dest: String,
        replace: bool,
        eigw: Option<String>,
    },
}

/// A default route to a NAT gateway that is there.
#[derive(Serialize, JsonSchema)]
struct ToNat {
    rtb: String,
    dest: String,
    nat: String,
    /// The zone of the gateway, where other zones go through it, and the other subnets of the table.
    zones: String,
    others: String,
}

/// An entry of a network ACL that lets something pass.
#[derive(Serialize, JsonSchema)]
struct Entry {
    number: u32,
    /// The command: it is made, or takes the place of the rule that denies.
    verb: &'static str,
}

impl<'a> Writer<'a> {
    /// The fix of a trouble.
    pub(super) fn fix(&self, trouble: &survey::Cause, affected: &Affected<'a>) -> Fix {
        let ids = affected.subnets.iter().map(|s| s.subnet_id.as_str());
        let mut hosts = ids.filter_map(|id| self.survey.demands.of(id)).flat_map(|d| &d.wanted);
        let host = hosts.next().map_or("checkip.amazonaws.com", String::as_str);
        let (namespace, pod, container) = self.alertmanager(affected);
        let way = self.way(trouble, affected);
        Fix {
            through_proxy: matches!(way, Way::ClosedVpc { .. }),
            cluster: self.cluster.name.clone(),
            vpc: self.survey.net.vpc.to_owned(),
            routed: matches!(trouble, survey::Cause::Routing { .. }),
            failed_groups: again(self.survey.snap, self.cut_off_groups(affected)),
            pod: pod.to_owned(),
            namespace: namespace.to_owned(),
            container: container.to_owned(),
            test_url: format!("https://{host}/"),
            way,
        }
    }

    fn way(&self, trouble: &survey::Cause, affected: &Affected<'a>) -> Way {
        match trouble {
            survey::Cause::Routing { fault, table, family } => self.routing(fault, table, *family, affected),
            survey::Cause::NoPublicAddress { .. } => addresses(affected),
            survey::Cause::ExternalSnat { table, .. } => self.external_snat(table, affected),
            survey::Cause::Acl { acl, dropped, vpc_cidr, family, .. } => self.acl(acl, dropped, vpc_cidr, *family),
            survey::Cause::SecurityGroup { groups } => {
                Way::SecurityGroup { group: groups.first().cloned().unwrap_or_default() }
            }
        }
    }

    fn routing(&self, fault: &Cause, table: &str, family: Family, affected: &Affected<'a>) -> Way {
        let route_table = self.survey.table(table);
        let rtb = table.to_owned();
        let dest = route_table.map_or(family.anywhere(), |t| Network::default_destination(t, family)).to_owned();
        let nat = self.survey.nat_for(&affected.subnets);
        let nat_id = nat.map(|n| n.nat_gateway_id.clone());
        let gateway = || self.survey.net.attached_gateway().map(str::to_owned);
        let replace = *fault != Cause::NoRoute;
        match fault {
            Cause::GatewayGone { gateway: gone, table } => Way::AttachGateway {
                gateway: gone.clone(),
                gateway_table: table.clone(),
                dest,
                v6: family == Family::V6,
                other: gateway(),
            },
            _ if family == Family::V6 => {
                let eigw = self.survey.egress_only_gateway().map(str::to_owned);
                Way::CreateEigw { rtb, dest, replace, eigw }
            }
            Cause::NatPending { nat } => Way::NatPending { nat: nat.clone() },
            Cause::Blackhole { target } => Way::RestoreTarget { rtb, dest, target: target.clone(), nat: nat_id },
            Cause::NatStranded { nat_table, .. } if nat.is_none() && self.survey.can_become_public(nat_table) => {
                Way::NatInPrivate { rtb, nat_table: nat_table.clone(), gateway: gateway().unwrap_or_default() }
            }
            _ => match nat {
                Some(nat) if replace => Way::ReplaceRoute(self.to_nat(rtb, dest, nat, affected)),
                Some(nat) => Way::CreateRoute(self.to_nat(rtb, dest, nat, affected)),
                // Without an internet gateway a NAT gateway leads nowhere.
                None if !replace && gateway().is_none() => Way::ClosedVpc { rtb },
                None => self.create_nat(rtb, dest, replace, affected),
            },
        }
    }

    fn to_nat(&self, rtb: String, dest: String, nat: &NatGateway, affected: &Affected<'a>) -> ToNat {
        ToNat {
            nat: nat.nat_gateway_id.clone(),
            zones: self.survey.zones(Some(nat), affected),
            others: self.others(&rtb, affected),
            rtb,
            dest,
        }
    }

    /// Other subnets that the table routes.
    fn others(&self, table: &str, affected: &Affected<'a>) -> String {
        self.survey.others(self.survey.table(table), affected).join(", ")
    }

    fn create_nat(&self, rtb: String, dest: String, replace: bool, affected: &Affected<'a>) -> Way {
        let subnet = self.survey.public_subnet(affected);
        Way::CreateNat {
            others: self.others(&rtb, affected),
            rtb,
            dest,
            replace,
            taken: self.taken_addresses(),
            spare: self.spare_address(),
            public_subnet: subnet.unwrap_or("<public-subnet-id>").to_owned(),
            no_public_subnet: subnet.is_none(),
        }
    }

    /// How many elastic IP addresses the account has, where that comes near the default quota of five.
    fn taken_addresses(&self) -> usize {
        const QUOTA: usize = 5;
        let all = self.survey.snap.addresses.as_ref().map_or(0, Vec::len);
        if all >= QUOTA { all } else { 0 }
    }

    /// An elastic IP address that nothing uses.
    fn spare_address(&self) -> Option<String> {
        let mut all = self.survey.snap.addresses.iter().flatten();
        all.find(|a| a.association_id.is_none()).map(|a| a.allocation_id.clone()).filter(|id| !id.is_empty())
    }

    /// What the add-on's configuration sets changes with it; what was set on the DaemonSet by hand would be preserved.
    fn external_snat(&self, table: &str, affected: &Affected<'a>) -> Way {
        let cni = addon::named(self.survey.snap, "vpc-cni");
        let configured = cni.and_then(|a| a.configuration_values.as_deref()).is_some_and(|v| v.contains(EXTERNAL_SNAT));
        let elsewhere = |nat: &&NatGateway| {
            let own = self.survey.net.table_of(&nat.subnet_id);
            own.is_some_and(|t| t.route_table_id != table)
        };
        let known = self.survey.table(table);
        let routed = affected.subnets.iter().map(|s| s.subnet_id.clone());
        let subnets: Vec<String> = routed.chain(self.survey.others(known, affected)).collect();
        Way::ExternalSnat {
            configured,
            nat: self.survey.nat_for(&affected.subnets).filter(elsewhere).map(|n| n.nat_gateway_id.clone()),
            rtb: table.to_owned(),
            dest: known.map_or(Family::V4.anywhere(), |t| Network::default_destination(t, Family::V4)).to_owned(),
            subnets: subnets.join(", "),
            values: cni
                .filter(|_| configured)
                .and_then(|a| with_values(Some(a), &json!({"env": {EXTERNAL_SNAT: "false"}}))),
            kept_role: addon::kept_role(cni),
        }
    }

    fn acl(&self, acl: &str, dropped: &[Dropped], vpc_cidr: &str, family: Family) -> Way {
        let found = self.survey.snap.network_acls().ok().and_then(|all| all.iter().find(|a| a.network_acl_id == acl));
        let numbers = found.map(|a| free_numbers(a, dropped)).unwrap_or_default();
        let entry = |packet: Packet| {
            let at = dropped.iter().position(|d| d.packet == packet)?;
            Some(match numbers.get(at).copied().flatten() {
                Some(number) => Entry { number, verb: "create-network-acl-entry" },
                // Without a number before it, the rule itself has to change.
                None => Entry { number: dropped[at].rule, verb: "replace-network-acl-entry" },
            })
        };
        Way::Nacl {
            acl: acl.to_owned(),
            vpc_cidr: vpc_cidr.to_owned(),
            v6: family == Family::V6,
            out: entry(Packet::Out),
            answer: entry(Packet::Answer),
            into_nat: entry(Packet::IntoNat),
            back: entry(Packet::BackToNodes),
        }
    }
}

fn addresses(affected: &Affected<'_>) -> Way {
    let node = affected.nodes.first();
    let names: Vec<&str> = affected.nodes.iter().map(|n| n.metadata.name.as_str()).collect();
    let unmapped = affected.subnets.iter().filter(|s| !s.map_public_ip_on_launch);
    Way::IgwNoPublicIp {
        unmapped: unmapped.map(|s| s.subnet_id.clone()).collect(),
        node: node.map_or("<node-name>", |n| n.metadata.name.as_str()).to_owned(),
        instance: node.and_then(|n| n.instance_id()).unwrap_or("<instance-id>").to_owned(),
        nodes_text: names.join(", "),
    }
}
