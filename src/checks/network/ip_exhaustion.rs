//! Pods that get no address: the subnet of their node has none left.

use std::collections::{BTreeMap, BTreeSet};

use crate::checks::support::place::Place;
use crate::checks::{Check, check};
use crate::domain::aws::placement::Placement;
use crate::domain::text::windows::{GRACE, RECENT};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::aws::Subnet;
use crate::snapshot::kubernetes::{Event, Node, Pod};

/// With so few addresses left a node gets neither another interface with a few warm addresses nor a prefix (/28).
const FEW: u32 = 16;

check! {
    /// See the check's page.
    IpExhaustion {
        id: "ip-exhaustion", suite: Network, severity: Error,
        title: "pods get no IP address",
        requires: [Pods, Events],
        uses: [Nodes, Subnets, Instances, Workloads, EksCluster],
    }
}

impl Check for IpExhaustion {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.events()?;
        let place = Placement::new(snap);
        // With custom networking pods have subnets of their own, which an ENIConfig names.
        let own_subnets = cni_env(snap, "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG").as_deref() == Some("true");
        let mut groups: BTreeMap<Option<&str>, Vec<(&Pod, &Event)>> = BTreeMap::new();
        for pod in snap.pods()?.iter().filter(|p| waits(snap, p)) {
            let Some(event) = refused(snap, pod) else { continue };
            let subnet = if own_subnets { None } else { place.of_pod(pod) };
            groups.entry(subnet).or_default().push((pod, event));
        }
        let findings = groups.into_iter().map(|(subnet, pods)| finding(snap, subnet, &pods));
        Ok(Diagnosis::Findings(findings.collect()))
    }
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

/// A variable of the VPC CNI.
fn cni_env(snap: &Snapshot, name: &str) -> Option<String> {
    let workloads = snap.workloads.items().unwrap_or_default().iter();
    let mut env = workloads
        .filter(|w| w.metadata.name == "aws-node")
        .flat_map(|w| &w.spec.template.spec.containers)
        .flat_map(|c| &c.env);
    env.find(|e| e.name == name).and_then(|e| e.value.clone())
}

fn finding(snap: &Snapshot, subnet: Option<&str>, pods: &[(&Pod, &Event)]) -> Finding {
    let subnets = snap.subnets.as_deref().unwrap_or_default();
    let known = subnet.and_then(|id| subnets.iter().find(|s| s.subnet_id == id));
    let left = known.and_then(|s| s.available_ip_address_count);
    let nodes: BTreeSet<&str> = pods.iter().filter_map(|(p, _)| p.spec.node_name.as_deref()).collect();
    let nodes: Vec<&str> = nodes.into_iter().collect();
    let (pod, event) = pods[0];
    let who = match pods {
        [_] => format!("pod {}/{} gets no IP address", pod.metadata.namespace, pod.metadata.name),
        many => format!("{} pods get no IP address", many.len()),
    };
    let exhausted = left.is_some_and(|n| n <= FEW);
    let (variant, why) = match (known, left) {
        (Some(s), Some(n)) if exhausted => (
            "subnet",
            format!(
                "subnet {} ({}, {}) of node {} has {n} left",
                s.subnet_id,
                s.cidr_block,
                s.availability_zone,
                nodes.join(", ")
            ),
        ),
        (Some(s), Some(n)) => {
            ("node", format!("node {} gives none, although its subnet {} has {n} left", nodes.join(", "), s.subnet_id))
        }
        _ => ("node", format!("node {} has none to give", nodes.join(", "))),
    };
    let subject = match (exhausted, subnet) {
        (true, Some(id)) => ResourceRef::aws("ec2", "subnet", id),
        _ => ResourceRef::kubernetes("", "Node", "", nodes.first().copied().unwrap_or_default()),
    };
    let free = subnets
        .iter()
        .filter(|s| s.available_ip_address_count.is_some_and(|n| n > FEW) && Some(s.subnet_id.as_str()) != subnet);
    let others: Vec<String> = free.map(|s| format!("{} in {}", s.subnet_id, s.availability_zone)).collect();
    let region = Place::of(snap).region;
    let owner = snap.owner_ref(pod);
    let here = if others.is_empty() { Vec::new() } else { nodes_to_avoid(snap, subnet, &nodes) };
    let set = |name: &str| cni_env(snap, name).is_some_and(|v| v != "0");
    let mut finding = Finding::new(IpExhaustion::META.id, Severity::Error, subject.clone(), format!("{who}: {why}"))
        .breaks(subject)
        .fix(variant)
        .param("namespace", &pod.metadata.namespace)
        .param("pods", replaced(snap, pods))
        .param("owner", owner.kubectl_name())
        .param("rolls", !owner.kubectl_name().starts_with("pod/"))
        .param("here", here)
        .param("node", nodes.first().copied().unwrap_or_default())
        .param("subnet", subnet.unwrap_or_default())
        .param("others", others.join(", "))
        .param("warm", !(set("WARM_IP_TARGET") || set("MINIMUM_IP_TARGET")))
        .param("region", &region)
        .param("vpc", known.map_or("<vpc-id>", |s| s.vpc_id.as_str()))
        .evidence(event_evidence(pod, event));
    for (pod, _) in pods {
        let found = ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name);
        finding = finding.breaks(found).breaks(snap.owner_ref(pod));
    }
    if !subnets.is_empty() {
        finding = finding.evidence(subnet_evidence(subnets, known, &region));
    }
    finding
}

/// The nodes of a subnet, where others could take the pods; empty where there are none.
fn nodes_to_avoid<'a>(snap: &'a Snapshot, subnet: Option<&str>, known: &[&'a str]) -> Vec<&'a str> {
    let place = Placement::new(snap);
    let all = snap.nodes.items().unwrap_or_default();
    let is_here =
        |n: &Node| known.contains(&n.metadata.name.as_str()) || subnet.is_some() && place.of_node(n) == subnet;
    let takes = |n: &&Node| !n.is_fargate() && n.is_ready() && !n.spec.unschedulable;
    if !all.iter().any(|n| takes(&n) && !is_here(n)) {
        return Vec::new();
    }
    all.iter().filter(|n| is_here(n)).map(|n| n.metadata.name.as_str()).collect()
}

/// The pods that somebody makes anew.
fn replaced<'a>(snap: &Snapshot, pods: &[(&'a Pod, &Event)]) -> Vec<&'a str> {
    let namespace = &pods[0].0.metadata.namespace;
    let own = pods.iter().map(|(p, _)| *p).filter(|p| p.metadata.namespace == *namespace);
    own.filter(|p| !snap.owner_ref(p).kubectl_name().starts_with("pod/")).map(|p| p.metadata.name.as_str()).collect()
}

fn event_evidence(pod: &Pod, event: &Event) -> Evidence {
    let name = format!("{}/{}", pod.metadata.namespace, pod.metadata.name);
    Evidence::new(
        format!("event {} of Pod {name} (seen {} times)", event.reason, event.times()),
        event.message.trim(),
        "kubectl get events -n {{ namespace }} --field-selector involvedObject.name={{ pod }}",
    )
    .with("namespace", &pod.metadata.namespace)
    .with("pod", &pod.metadata.name)
}

/// The subnets next to each other: an average hides one that is used up.
fn subnet_evidence(subnets: &[Subnet], own: Option<&Subnet>, region: &str) -> Evidence {
    let line = |s: &Subnet| {
        let left = s.available_ip_address_count.map_or_else(|| "?".to_owned(), |n| n.to_string());
        let mark = if own.is_some_and(|o| o.subnet_id == s.subnet_id) { ", the pods' nodes" } else { "" };
        format!("{} {} {}: {left} free addresses{mark}", s.subnet_id, s.availability_zone, s.cidr_block)
    };
    Evidence::new(
        "ec2:DescribeSubnets, AvailableIpAddressCount",
        subnets.iter().map(line).collect::<Vec<_>>().join("\n"),
        "aws ec2 describe-subnets --filters Name=vpc-id,Values={{ vpc }} --query 'Subnets[].[SubnetId,AvailabilityZone,CidrBlock,AvailableIpAddressCount]' --region {{ region }} --output table",
    )
    .with("region", region)
    .with("vpc", subnets.first().map_or("", |s| s.vpc_id.as_str()))
}
