//! Writes the findings of endpoints: one of those that are missing, one of each that is broken.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::node_group::{Again, again};
use crate::checks::support::place::region;
use crate::checks::support::traffic::evidence;
use crate::domain::aws::endpoints::{self, Cause};
use crate::domain::traffic::closed_vpc::{ClosedVpc, Lack, lost_nodes};
use crate::model::{CheckId, Evidence, Finding, Placeholder, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::aws::{Nodegroup, VpcEndpoint};

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
pub(super) enum Fix {
    Missing {
        #[serde(flatten)]
        common: Common,
        interfaces: Vec<String>,
        gateways: Vec<String>,
        subnets: Vec<String>,
        group: Placeholder,
        tables: Vec<String>,
        has_gateway: bool,
        others: String,
    },
    PrivateDns {
        #[serde(flatten)]
        common: Common,
        endpoint: String,
    },
    RouteTables {
        #[serde(flatten)]
        common: Common,
        endpoint: String,
        tables: Vec<String>,
    },
    ClosedGroup {
        #[serde(flatten)]
        common: Common,
        group: String,
        source: String,
    },
    State {
        #[serde(flatten)]
        common: Common,
        endpoint: String,
    },
    Policy {
        #[serde(flatten)]
        common: Common,
        endpoint: String,
        bucket: String,
    },
}

/// What all fixes name.
#[derive(Clone, Serialize, JsonSchema)]
pub(super) struct Common {
    vpc: String,
    cluster: String,
    /// Node groups that failed to be created.
    failed_groups: Vec<Again>,
}

pub(super) struct Writer<'a> {
    snap: &'a Snapshot,
    closed: &'a ClosedVpc<'a>,
}

const SHOW: &str = "aws ec2 describe-vpc-endpoints --filters Name=vpc-id,Values={{ vpc }} --query 'VpcEndpoints[].[ServiceName,VpcEndpointType,State,PrivateDnsEnabled]' --output table";

impl<'a> Writer<'a> {
    pub(super) fn new(snap: &'a Snapshot, closed: &'a ClosedVpc<'a>) -> Self {
        Self { snap, closed }
    }

    pub(super) fn findings(&self, id: CheckId, loud: &[&Lack<'a>], quiet: &[&Lack<'a>]) -> Vec<Finding> {
        let (missing, broken): (Vec<&Lack<'_>>, Vec<&Lack<'_>>) = loud.iter().partition(|l| l.fault == Cause::Missing);
        let mut all: Vec<Finding> = broken.iter().map(|l| self.broken(id, l)).collect();
        if !missing.is_empty() {
            all.push(self.missing(id, &missing, quiet));
        }
        all
    }

    fn missing(&self, id: CheckId, lacks: &[&Lack<'_>], quiet: &[&Lack<'_>]) -> Finding {
        let names: Vec<String> = lacks.iter().map(|l| self.service_name(l.need.service)).collect();
        let why: Vec<String> = lacks.iter().map(|l| format!("{}: {}", l.need.service, l.need.why)).collect();
        let (noun, are) = if names.len() == 1 { ("endpoint", "is") } else { ("endpoints", "are") };
        let message = format!(
            "VPC {} has no way to the internet, and its {noun} {} {are} missing ({})",
            self.closed.vpc,
            names.join(", "),
            why.join("; ")
        );
        let is_gateway = |l: &&&Lack<'_>| l.need.service == "s3";
        let name = |l: &&Lack<'_>| self.service_name(l.need.service);
        let others: Vec<String> = quiet
            .iter()
            .filter(|l| l.fault == Cause::Missing)
            .map(|l| format!("{} ({})", l.need.service, l.need.why))
            .collect();
        let fix = Fix::Missing {
            common: self.common(),
            interfaces: lacks.iter().filter(|l| !is_gateway(l)).map(name).collect(),
            gateways: lacks.iter().filter(is_gateway).map(name).collect(),
            subnets: self.subnets(),
            group: self.group(),
            tables: self.closed.tables.iter().map(|t| (*t).to_owned()).collect(),
            has_gateway: self.closed.has_gateway,
            others: others.join(", "),
        };
        let subject = ResourceRef::aws("ec2", "vpc-endpoint", &names[0]);
        let made = Finding::new(id, Severity::Error, subject, message).key("missing");
        let made = names
            .iter()
            .map(|n| ResourceRef::aws("ec2", "vpc-endpoint", n))
            .fold(made, |m, r| m.also(r.clone()).breaks(r));
        self.with_victims(made, lacks).fix(fix)
    }

    fn broken(&self, id: CheckId, lack: &Lack<'_>) -> Finding {
        let name = self.service_name(lack.need.service);
        let endpoint = lack.fault.id().unwrap_or_default().to_owned();
        let common = self.common();
        let (what, fix) = match &lack.fault {
            Cause::State { state, .. } => (format!("is {state}"), Fix::State { common, endpoint: endpoint.clone() }),
            Cause::NoPrivateDns { .. } => (
                "has no private DNS: its name leads to the internet".to_owned(),
                Fix::PrivateDns { common, endpoint: endpoint.clone() },
            ),
            Cause::NotInTables { tables, .. } => {
                let tables: Vec<String> = tables.iter().map(|t| (*t).to_owned()).collect();
                let what = format!("has no route in {} of the nodes' subnets", tables.join(", "));
                (what, Fix::RouteTables { common, endpoint: endpoint.clone(), tables })
            }
            Cause::Policy { bucket, .. } => (
                format!("has a policy that does not let nodes read {bucket}"),
                Fix::Policy { common, endpoint: endpoint.clone(), bucket: bucket.clone() },
            ),
            Cause::Closed { group, source, .. } => (
                format!("does not admit TCP 443 from the nodes: its security group {group} lacks a rule for {source}"),
                Fix::ClosedGroup { common, group: (*group).to_owned(), source: (*source).to_owned() },
            ),
            Cause::Missing => ("is missing".to_owned(), Fix::State { common, endpoint: endpoint.clone() }),
        };
        let vpc = self.closed.vpc;
        let message = match self.closed.is_open {
            true => format!(
                "endpoint {endpoint} takes the name of {name} in VPC {vpc}, whatever other way there is, and {what} ({})",
                lack.need.why
            ),
            false => format!(
                "VPC {vpc} has no way to the internet, and endpoint {endpoint} of {name} {what} ({})",
                lack.need.why
            ),
        };
        let made = Finding::new(id, Severity::Error, ResourceRef::aws("ec2", "vpc-endpoint", &endpoint), message)
            .key(lack.need.service)
            .breaks(ResourceRef::aws("ec2", "vpc-endpoint", &name));
        self.with_victims(made, &[lack]).fix(fix)
    }

    /// Evidence, and what does not work for it.
    fn with_victims(&self, mut made: Finding, lacks: &[&Lack<'_>]) -> Finding {
        let nodes_need_it = lacks.iter().any(|l| l.need.of_nodes);
        let endpoints = self.snap.vpc_endpoints.iter().flatten();
        let have: Vec<&str> = endpoints.map(|e: &VpcEndpoint| e.service_name.as_str()).collect();
        let seen = Evidence::new(
            format!("endpoints of {}", self.closed.vpc),
            if have.is_empty() { "none".to_owned() } else { have.join(", ") },
            SHOW,
        );
        made = made.evidence(seen.with("vpc", self.closed.vpc));
        for lack in lacks {
            for (at, (seen, breaks)) in lack.seen.iter().enumerate() {
                if at < 2 {
                    made = made.evidence(evidence(self.snap, seen));
                }
                made = breaks.iter().cloned().fold(made, Finding::breaks);
            }
        }
        if nodes_need_it {
            for node in lost_nodes(self.snap, self.closed) {
                made = made.breaks(ResourceRef::node(&node.metadata.name));
            }
            for group in self.lost_groups() {
                made = made.breaks(ResourceRef::aws("eks", "nodegroup", &group.nodegroup_name));
            }
        }
        made
    }

    fn lost_groups(&self) -> impl Iterator<Item = &'a Nodegroup> {
        self.snap.eks_nodegroups.iter().flatten().filter(|g| g.join_failure().is_some())
    }

    fn service_name(&self, service: &str) -> String {
        endpoints::service_name(&region(self.snap), service)
    }

    fn common(&self) -> Common {
        Common {
            vpc: self.closed.vpc.to_owned(),
            cluster: self.snap.eks_cluster.as_ref().map(|c| c.name.clone()).unwrap_or_default(),
            failed_groups: again(self.snap, self.lost_groups()),
        }
    }

    /// One subnet of the nodes in each zone: an endpoint takes no second one.
    fn subnets(&self) -> Vec<String> {
        let mut zones = std::collections::BTreeSet::new();
        let all = self.snap.subnets.iter().flatten().filter(|s| self.closed.subnets.contains(s.subnet_id.as_str()));
        all.filter(|s| zones.insert(s.availability_zone.as_str())).map(|s| s.subnet_id.clone()).collect()
    }

    /// A group that admits 443 from the nodes: those of endpoints that are there, else the cluster's.
    fn group(&self) -> Placeholder {
        let endpoints = self.snap.vpc_endpoints.iter().flatten().filter(|e| e.state == "available");
        let mut known: Vec<&str> = endpoints.flat_map(|e| &e.groups).map(|g| g.group_id.as_str()).collect();
        known.sort_unstable();
        known.dedup();
        let of_cluster =
            self.snap.eks_cluster.as_ref().map(|c| c.resources_vpc_config.cluster_security_group_id.as_str());
        let candidates: Vec<&str> =
            if known.is_empty() { of_cluster.into_iter().filter(|g| !g.is_empty()).collect() } else { known };
        Placeholder::new("security-group-id").how("a group that admits TCP 443 from the nodes").candidates(candidates)
    }
}
