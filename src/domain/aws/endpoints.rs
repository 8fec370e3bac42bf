//! VPC endpoints: which AWS APIs a cluster without a way to the internet needs, and what is wrong with each one's endpoint.

use std::collections::BTreeSet;

use crate::domain::aws::firewall::{Barrier, Firewall, Verdict};
use crate::domain::aws::interface::Interface;
use crate::domain::aws::trust;
use crate::domain::kubernetes::network_policy::Protocol;
use crate::snapshot::Snapshot;
use crate::snapshot::aws::VpcEndpoint;

/// An API by the last part of its endpoint's service name, with who needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Need {
    pub(crate) service: &'static str,
    pub(crate) why: &'static str,
    /// Nodes do not become Ready without it.
    pub(crate) of_nodes: bool,
}

const fn need(service: &'static str, why: &'static str, of_nodes: bool) -> Need {
    Need { service, why, of_nodes }
}

const EC2: Need = need("ec2", "the VPC CNI attaches network interfaces with it", true);
const ECR_API: Need = need("ecr.api", "nodes get their ECR pull token from it", true);
const ECR_DKR: Need = need("ecr.dkr", "images come from it", true);
const S3: Need = need("s3", "the layers of ECR's images lie there", true);
const STS: Need = need("sts", "IAM roles of service accounts are assumed with it", true);
/// What the rest of a cluster may need, by a part of a workload's name or image.
const PARTS: &[(&[&str], Need)] = &[
    (
        &["aws-load-balancer-controller"],
        need("elasticloadbalancing", "the AWS Load Balancer Controller calls it", false),
    ),
    (&["cluster-autoscaler"], need("autoscaling", "the cluster autoscaler calls it", false)),
    (&["eks-pod-identity-agent"], need("eks-auth", "the Pod Identity agent gets credentials from it", false)),
    (&["karpenter"], need("eks", "Karpenter looks the cluster up with it", false)),
    (&["karpenter"], need("sqs", "Karpenter reads interruptions from it", false)),
    (&["cloudwatch-agent", "amazon-cloudwatch"], need("monitoring", "the CloudWatch agent sends metrics to it", false)),
    (&["fluent-bit", "cloudwatch-agent", "amazon-cloudwatch"], need("logs", "logs are sent to it", false)),
    (&["aws-efs-csi-driver", "efs-csi"], need("elasticfilesystem", "the EFS CSI driver calls it", false)),
];

/// What this cluster needs.
pub(crate) fn required(snap: &Snapshot) -> Vec<Need> {
    let mut all = vec![EC2, ECR_API, ECR_DKR, S3, STS];
    let workloads = snap.workloads.items().unwrap_or_default();
    let runs = |part: &str| {
        workloads.iter().any(|w| {
            w.metadata.name.contains(part)
                || w.spec
                    .template
                    .spec
                    .containers
                    .iter()
                    .any(|c| c.image.split(':').next().unwrap_or_default().contains(part))
        })
    };
    all.extend(PARTS.iter().filter(|(parts, _)| parts.iter().any(|p| runs(p))).map(|(_, need)| *need));
    all
}

/// What is wrong with the endpoint of an API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cause<'a> {
    /// There is none.
    Missing,
    /// It is not `available`.
    State { id: &'a str, state: &'a str },
    /// Its name resolves to the public API.
    NoPrivateDns { id: &'a str },
    /// A gateway endpoint that these tables of the nodes' subnets have no route to.
    NotInTables { id: &'a str, tables: Vec<&'a str> },
    /// Its policy does not allow to read the bucket where ECR keeps layers.
    Policy { id: &'a str, bucket: String },
    /// Its groups do not admit 443 from the nodes.
    Closed { id: &'a str, group: &'a str, source: &'a str },
}

impl<'a> Cause<'a> {
    /// The endpoint, where there is one.
    pub(crate) fn id(&self) -> Option<&'a str> {
        match self {
            Self::Missing => None,
            Self::State { id, .. }
            | Self::NoPrivateDns { id }
            | Self::NotInTables { id, .. }
            | Self::Policy { id, .. }
            | Self::Closed { id, .. } => Some(id),
        }
    }
}

/// Judges an API's endpoint for nodes with these interfaces, in subnets with these route tables.
pub(crate) fn fault<'a>(
    snap: &'a Snapshot,
    endpoints: &'a [VpcEndpoint],
    service: &str,
    nodes: &[Interface<'a>],
    tables: &BTreeSet<&'a str>,
) -> Option<Cause<'a>> {
    let of_service: Vec<&VpcEndpoint> = endpoints.iter().filter(|e| is_of(e, service)).collect();
    let faults: Vec<Option<Cause<'a>>> =
        of_service.iter().map(|e| of_endpoint(snap, e, nodes, tables).or_else(|| shut_bucket(e, service))).collect();
    match faults.iter().any(Option::is_none) {
        _ if of_service.is_empty() => Some(Cause::Missing),
        // One that works is enough.
        true => None,
        false => faults.into_iter().flatten().next(),
    }
}

/// The service of an endpoint as it is asked for: in China all but S3 have another prefix.
pub(crate) fn service_name(region: &str, service: &str) -> String {
    let china = region.starts_with("cn-") && service != "s3";
    format!("{}com.amazonaws.{region}.{service}", if china { "cn." } else { "" })
}

/// `com.amazonaws.eu-west-1.ecr.api` is the endpoint of `ecr.api`.
pub(crate) fn is_of(endpoint: &VpcEndpoint, service: &str) -> bool {
    let mut parts = endpoint.service_name.splitn(2, "amazonaws.");
    let rest = parts.nth(1).and_then(|r| r.split_once('.')).map(|(_, rest)| rest);
    rest == Some(service)
}

/// The policy of an endpoint of S3, where it does not let layers of ECR's images through.
fn shut_bucket<'a>(endpoint: &'a VpcEndpoint, service: &str) -> Option<Cause<'a>> {
    if service != "s3" {
        return None;
    }
    let policy: serde_json::Value = serde_json::from_str(endpoint.policy_document.as_deref()?).ok()?;
    let region = endpoint.service_name.rsplit('.').nth(1)?;
    let bucket = format!("prod-{region}-starport-layer-bucket");
    let object = format!("arn:aws:s3:::{bucket}/x");
    let china = region.starts_with("cn-");
    let open = china || trust::allows_on(&policy, "s3:GetObject", &object);
    (!open).then_some(Cause::Policy { id: &endpoint.vpc_endpoint_id, bucket })
}

fn of_endpoint<'a>(
    snap: &'a Snapshot,
    endpoint: &'a VpcEndpoint,
    nodes: &[Interface<'a>],
    tables: &BTreeSet<&'a str>,
) -> Option<Cause<'a>> {
    let id = endpoint.vpc_endpoint_id.as_str();
    if !endpoint.state.eq_ignore_ascii_case("available") {
        return Some(Cause::State { id, state: &endpoint.state });
    }
    if endpoint.vpc_endpoint_type == "Gateway" {
        let lacking: Vec<&str> =
            tables.iter().filter(|t| !endpoint.route_table_ids.iter().any(|r| r == *t)).copied().collect();
        return (!lacking.is_empty()).then_some(Cause::NotInTables { id, tables: lacking });
    }
    // The gateway endpoint of S3 needs no private DNS, and an interface endpoint of it mostly has none.
    if endpoint.private_dns_enabled == Some(false) {
        return Some(Cause::NoPrivateDns { id });
    }
    let firewall = Firewall::of(snap).ok()?;
    let subnets = snap.subnets.iter().flatten().filter(|s| endpoint.subnet_ids.contains(&s.subnet_id));
    let networks: Vec<ipnet::IpNet> = subnets.filter_map(|s| s.cidr_block.parse().ok()).collect();
    let own = Interface {
        groups: endpoint.groups.iter().map(|g| g.group_id.as_str()).collect(),
        addresses: Vec::new(),
        networks,
        subnet: None,
        instance: None,
        control_plane: false,
    };
    if own.groups.is_empty() {
        return None;
    }
    nodes.iter().find_map(|node| match firewall.verdict(node, &own, Protocol::Tcp, 443) {
        Verdict::Blocked(all) => all.into_iter().find_map(|b| match b {
            Barrier::Ingress { group, source } => Some(Cause::Closed { id, group, source }),
            _ => None,
        }),
        _ => None,
    })
}
