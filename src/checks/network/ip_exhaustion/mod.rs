//! Pods that get no address: the subnet of their node has none left.

mod branch;
mod cause;
mod fix;
mod zone;

use std::collections::{BTreeMap, BTreeSet};

use crate::checks::network::ip_exhaustion::cause::{Waiting, Why, words};
use crate::checks::network::ip_exhaustion::fix::{Fix, fix};
use crate::checks::network::ip_exhaustion::zone::eni_config;
use crate::checks::support::seen::event_quote;
use crate::checks::{Check, check};
use crate::domain::aws::placement::Placement;
use crate::domain::aws::vpc_cni;
use crate::domain::text::windows::{GRACE, RECENT};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::aws::Subnet;
use crate::snapshot::kubernetes::{Event, Pod};

/// With no more left it is used up: single addresses come and go with pods that end.
const NONE: u32 = 2;

check! {
    /// See the check's page.
    IpExhaustion {
        id: "ip-exhaustion", suite: Network, severity: Error,
        title: "pods get no IP address",
        requires: [Pods],
        uses: [Events, Nodes, Subnets, Instances, Workloads, EksAddons, EksCluster, EniConfigs, NodeMakers, PartLogs],
        fix: Fix,
    }
}

impl Check for IpExhaustion {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let place = Placement::new(snap);
        // With custom networking pods have subnets of their own, which an ENIConfig names.
        let own_subnets = vpc_cni::is_on(snap, vpc_cni::CUSTOM_NETWORK);
        let mut groups: BTreeMap<Option<&str>, Vec<Waiting<'_>>> = BTreeMap::new();
        let mut unknown = None;
        for pod in snap.pods()?.iter().filter(|p| waits(snap, p) && branch::said(snap, p).is_none()) {
            let subnet = match own_subnets {
                true => eni_config(snap, pod).map(|c| c.spec.subnet.as_str()),
                false => place.of_pod(pod),
            };
            let event = refused(snap, pod);
            if event.is_none() {
                let Err(gap) = snap.events.covered(&pod.metadata.namespace) else { continue };
                // Where nothing can be read of the pod, a subnet without any address tells enough.
                if !subnet.is_some_and(|id| is_used_up(snap, id)) {
                    unknown.get_or_insert(gap);
                    continue;
                }
            }
            groups.entry(subnet).or_default().push((pod, event));
        }
        let branches = branch::findings(snap);
        match unknown {
            Some(gap) if groups.is_empty() && branches.is_empty() => Err(gap),
            _ => {
                let of_subnets = groups.into_iter().map(|(s, pods)| finding(snap, s, &pods));
                Ok(Diagnosis::Findings(of_subnets.chain(branches).collect()))
            }
        }
    }
}

/// The subnet has no address left to speak of.
fn is_used_up(snap: &Snapshot, id: &str) -> bool {
    let mut all = snap.subnets.iter().flatten();
    all.any(|s| s.subnet_id == id && s.available_ip_address_count.is_some_and(|n| n <= NONE))
}

/// A pod that has a node and no address.
fn waits(snap: &Snapshot, pod: &Pod) -> bool {
    pod.status.phase == "Pending"
        && pod.spec.node_name.is_some()
        && pod.status.pod_ip.is_none()
        && !pod.spec.host_network
        && pod.metadata.deletion_timestamp.is_none()
        && snap.age_seconds(&pod.metadata) >= GRACE
}

/// The CNI says that it has no address.
fn refused<'a>(snap: &'a Snapshot, pod: &Pod) -> Option<&'a Event> {
    let events = snap.events_about("Pod", &pod.metadata, RECENT).into_iter();
    let mut sandbox = events.filter(|e| e.reason == "FailedCreatePodSandBox");
    sandbox.find(|e| {
        let has = |part: &str| e.message.contains(part);
        has("failed to assign an IP address")
            || has("InsufficientFreeAddressesInSubnet")
            || has("InsufficientCidrBlocks")
    })
}

fn finding(snap: &Snapshot, subnet: Option<&str>, pods: &[Waiting<'_>]) -> Finding {
    let subnets = snap.subnets.as_deref().unwrap_or_default();
    let known = subnet.and_then(|id| subnets.iter().find(|s| s.subnet_id == id));
    let nodes: BTreeSet<&str> = pods.iter().filter_map(|(p, _)| p.spec.node_name.as_deref()).collect();
    let nodes: Vec<&str> = nodes.into_iter().collect();
    // One of the pods that are far from their subnets stands for all.
    let far = pods.iter().enumerate().find_map(|(at, (pod, _))| Some((at, zone::far(snap, pod)?)));
    let (at, far) = far.map_or((0, None), |(at, far)| (at, Some(far)));
    let mut sorted = pods.to_vec();
    sorted.swap(0, at);
    let pods = sorted.as_slice();
    let (pod, event) = pods[0];
    let who = match pods {
        [_] => format!("pod {}/{} gets no IP address", pod.metadata.namespace, pod.metadata.name),
        many => format!("{} pods get no IP address", many.len()),
    };
    let why = Why::of(snap, known, pods, far);
    let words = words(snap, &why, known, &nodes, pod);
    let by_subnet = matches!(why, Why::Subnet | Why::Fragmented);
    let subject = match subnet.filter(|_| by_subnet) {
        Some(id) => ResourceRef::aws("ec2", "subnet", id),
        None => ResourceRef::node(nodes.first().copied().unwrap_or_default()),
    };
    let mut finding = Finding::new(IpExhaustion::META.id, Severity::Error, subject.clone(), format!("{who}: {words}"))
        .breaks(subject)
        .fix(fix(snap, &why, known, &nodes, pods));
    if let Some(event) = event {
        finding = finding.evidence(event_quote(event, event.message.trim()));
    }
    for (pod, _) in pods {
        let found = ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name);
        finding = finding.breaks(found).breaks(snap.owner_ref(pod));
    }
    if why == Why::Node {
        let cni = ResourceRef::workload("DaemonSet", "kube-system", "aws-node");
        finding = finding.depends_on(cni);
    }
    if !subnets.is_empty() {
        finding = finding.evidence(subnet_evidence(subnets, known));
    }
    finding
}

/// The subnets next to each other: an average hides one that is used up.
fn subnet_evidence(subnets: &[Subnet], own: Option<&Subnet>) -> Evidence {
    let line = |s: &Subnet| {
        let left = s.available_ip_address_count.map_or_else(|| "?".to_owned(), |n| n.to_string());
        let mark = if own.is_some_and(|o| o.subnet_id == s.subnet_id) { ", the pods' nodes" } else { "" };
        format!("{} {} {}: {left} free addresses{mark}", s.subnet_id, s.availability_zone, s.cidr_block)
    };
    Evidence::new(
        "ec2:DescribeSubnets, AvailableIpAddressCount",
        subnets.iter().map(line).collect::<Vec<_>>().join("\n"),
        "aws ec2 describe-subnets --filters Name=vpc-id,Values={{ vpc }} --query 'Subnets[].[SubnetId,AvailabilityZone,CidrBlock,AvailableIpAddressCount]' --output table",
    )
    .with("vpc", subnets.first().map_or("", |s| s.vpc_id.as_str()))
}
