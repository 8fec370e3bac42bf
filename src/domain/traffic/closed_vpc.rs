//! A VPC whose nodes have no way to the internet by design, and what was seen to fail for want of an AWS API.

use std::collections::BTreeSet;

use crate::domain::aws::endpoints::{self, Cause, Need};
use crate::domain::aws::interface::Interfaces;
use crate::domain::aws::placement::Placement;
use crate::domain::aws::routing::{self, Family, Network};
use crate::domain::kubernetes::ingress;
use crate::domain::text::log_line;
use crate::domain::text::windows::RECENT;
use crate::domain::traffic::seen::Seen;
use crate::model::{Gap, ResourceRef};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Node, ObjectReference};
use crate::text::pattern::pattern;

/// The nodes' part of a VPC without a way out.
pub(crate) struct ClosedVpc<'a> {
    pub(crate) vpc: &'a str,
    /// The nodes' subnets without a default route.
    pub(crate) subnets: BTreeSet<&'a str>,
    pub(crate) tables: BTreeSet<&'a str>,
    /// The VPC has an internet gateway: a NAT gateway would be another way.
    pub(crate) has_gateway: bool,
    /// It has a way out: only an endpoint that takes an API's name, and lets nobody in, shuts that API off.
    pub(crate) is_open: bool,
}

/// An API whose endpoint is missing or broken.
pub(crate) struct Lack<'a> {
    pub(crate) need: Need,
    pub(crate) fault: Cause<'a>,
    /// What was seen to fail over it; empty where only nodes do not join.
    pub(crate) seen: Vec<(Seen, Vec<ResourceRef>)>,
}

/// The nodes' subnets, if none of them has a default route and the VPC has no gateway for one, or endpoints show that it
/// is meant so.
///
/// # Errors
/// The gap, if the VPC's routing could not be read.
pub(crate) fn of(snap: &Snapshot) -> Result<Option<ClosedVpc<'_>>, Gap> {
    let cluster = snap.eks_cluster()?;
    let net = Network::of(snap)?;
    let subnets = node_subnets(snap)?;
    let mut tables = BTreeSet::new();
    for subnet in &subnets {
        let Some(table) = net.table_of(subnet) else { return Ok(None) };
        let closed = |family| matches!(net.way(table, family), Err(routing::Cause::NoRoute));
        if !closed(Family::V4) || (cluster.kubernetes_network_config.ip_family == "ipv6" && !closed(Family::V6)) {
            return Ok(None);
        }
        tables.insert(table.route_table_id.as_str());
    }
    let interfaces = snap.vpc_endpoints.iter().flatten().any(|e| e.vpc_endpoint_type == "Interface");
    let has_gateway = net.attached_gateway().is_some();
    let closed = !subnets.is_empty() && (!has_gateway || interfaces);
    Ok(closed.then_some(ClosedVpc { vpc: net.vpc, subnets, tables, has_gateway, is_open: false }))
}

/// The same of a VPC that has a way out.
///
/// # Errors
/// The gap, if the VPC's routing could not be read.
pub(crate) fn open(snap: &Snapshot) -> Result<ClosedVpc<'_>, Gap> {
    let net = Network::of(snap)?;
    let subnets = node_subnets(snap)?;
    let tables = subnets.iter().filter_map(|s| net.table_of(s)).map(|t| t.route_table_id.as_str()).collect();
    Ok(ClosedVpc { vpc: net.vpc, subnets, tables, has_gateway: true, is_open: true })
}

/// Subnets with nodes, and those of node groups whose instances do not join.
fn node_subnets(snap: &Snapshot) -> Result<BTreeSet<&str>, Gap> {
    let place = Placement::new(snap);
    let mut found: BTreeSet<&str> = snap.nodes()?.iter().filter_map(|n| place.of_node(n)).collect();
    let groups = snap.eks_nodegroups.iter().flatten();
    found.extend(groups.filter(|g| g.join_failure().is_some()).flat_map(|g| &g.subnets).map(String::as_str));
    Ok(found)
}

/// Nodes that are not Ready in these subnets.
pub(crate) fn lost_nodes<'a>(snap: &'a Snapshot, closed: &ClosedVpc<'_>) -> Vec<&'a Node> {
    let place = Placement::new(snap);
    let nodes = snap.nodes.items().unwrap_or_default().iter();
    nodes.filter(|n| !n.is_ready() && place.of_node(n).is_some_and(|s| closed.subnets.contains(s))).collect()
}

/// The APIs that are needed and not reached, those that were seen to fail first. Empty where nothing fails.
///
/// # Errors
/// The gap, if the endpoints could not be read.
pub(crate) fn lacks<'a>(snap: &'a Snapshot, closed: &ClosedVpc<'a>) -> Result<Vec<Lack<'a>>, Gap> {
    let endpoints = snap.vpc_endpoints()?;
    let interfaces = Interfaces::new(snap);
    let nodes: Vec<_> = snap.nodes.items().unwrap_or_default().iter().filter_map(|n| interfaces.of_node(n)).collect();
    let symptoms = symptoms(snap);
    let joins = snap.eks_nodegroups.iter().flatten().any(|g| g.join_failure().is_some());
    let mut needs = endpoints::required(snap);
    needs.extend(
        symptoms
            .iter()
            .filter_map(|s| other_need(s.service))
            .filter(|n| !needs.iter().any(|m| m.service == n.service))
            .collect::<Vec<_>>(),
    );
    let mut found: Vec<Lack<'a>> = needs
        .into_iter()
        .filter_map(|need| {
            let fault = endpoints::fault(snap, endpoints, need.service, &nodes, &closed.tables)?;
            // Without private DNS the API's own name leads past the endpoint.
            if closed.is_open && !matches!(fault, Cause::Closed { .. }) {
                return None;
            }
            let of_need = symptoms.iter().filter(|s| s.service == need.service);
            let seen: Vec<(Seen, Vec<ResourceRef>)> = of_need.map(|s| (s.seen.clone(), s.breaks.clone())).collect();
            Some(Lack { need, fault, seen })
        })
        .collect();
    let fails = |l: &Lack<'_>| !l.seen.is_empty() || (joins && l.need.of_nodes);
    if !found.iter().any(fails) {
        return Ok(Vec::new());
    }
    found.sort_by_key(|l| (l.seen.is_empty(), !l.need.of_nodes, l.need.service));
    Ok(found)
}

struct Symptom {
    service: &'static str,
    seen: Seen,
    breaks: Vec<ResourceRef>,
}

/// What events and logs say of AWS APIs that do not answer.
fn symptoms(snap: &Snapshot) -> Vec<Symptom> {
    let mut all: Vec<Symptom> = Vec::new();
    let mut push = |symptom: Symptom| {
        if all.iter().filter(|s| s.service == symptom.service).count() < 8 {
            all.push(symptom);
        }
    };
    for event in snap.events.items().unwrap_or_default() {
        let object = &event.involved_object;
        let old = !event.is_within(RECENT, snap.collected_at);
        if object.kind != "Pod" {
            let service = failing_service(&event.message).filter(|_| !old);
            let Some((service, waiting)) = service.and_then(|s| Some((s, waiting(snap, object)?))) else { continue };
            let seen = Seen::ObjectEvent {
                kind: object.kind.clone(),
                namespace: object.namespace.clone(),
                name: object.name.clone(),
                message: event.message.clone(),
            };
            push(Symptom { service, seen, breaks: vec![waiting] });
            continue;
        }
        // What failed before a node was lost is of now as long as the pod waits.
        let Some(pod) = snap.pods.find(&object.namespace, &object.name).ok().flatten() else { continue };
        let waits = pod.status.phase == "Pending" || !pod.is_ready();
        let Some(service) = failing_service(&event.message).filter(|_| !old || waits) else {
            continue;
        };
        let breaks = vec![ResourceRef::pod(&object.namespace, &object.name), snap.owner_ref(pod)];
        let seen = Seen::Event {
            namespace: object.namespace.clone(),
            pod: object.name.clone(),
            message: event.message.clone(),
        };
        push(Symptom { service, seen, breaks });
    }
    let logs = snap
        .part_logs
        .iter()
        .flatten()
        .chain(snap.crash_logs.iter().flatten())
        .chain(snap.component_logs.iter().flatten());
    for log in logs {
        let Some(pod) = snap.pod_of_log(log) else { continue };
        let mut known = BTreeSet::new();
        for line in log.text.lines().rev() {
            let age = log_line::age(line, snap.collected_at);
            let old = age.map_or(!log.previous && pod.is_ready(), |seconds| seconds > RECENT);
            let waits = || (log.container == "aws-node" && !pod.is_ready() && waits_for_ipamd(line)).then_some("ec2");
            let service = failing_service(line).or_else(waits);
            let Some(service) = service.filter(|s| !old && known.insert(*s)) else { continue };
            let breaks = vec![ResourceRef::pod(&log.namespace, &log.pod), snap.owner_ref(pod)];
            push(Symptom { service, seen: Seen::line(log, line), breaks });
        }
    }
    all
}

/// A claim that has no volume yet, or what has no load balancer yet.
fn waiting(snap: &Snapshot, object: &ObjectReference) -> Option<ResourceRef> {
    let (namespace, name) = (object.namespace.as_str(), object.name.as_str());
    match object.kind.as_str() {
        "PersistentVolumeClaim" => {
            let claim = snap.persistent_volume_claims.find(namespace, name).ok()??;
            (claim.status.phase == "Pending").then(|| ResourceRef::pvc(namespace, name))
        }
        "Ingress" => {
            let ingress = snap.ingresses.find(namespace, name).ok()??;
            let waits = !ingress::has_address(&ingress.status.load_balancer);
            waits.then(|| ingress::reference(&ingress.metadata))
        }
        "Service" => {
            let service = snap.services.find(namespace, name).ok()??;
            let waits = service.spec.kind.as_deref() == Some("LoadBalancer")
                && !ingress::has_address(&service.status.load_balancer);
            waits.then(|| ResourceRef::service(namespace, name))
        }
        _ => None,
    }
}

/// The VPC CNI's daemon does not come up: it asks EC2 first, and keeps what it meets in a log of the node.
fn waits_for_ipamd(line: &str) -> bool {
    line.contains("Retrying waiting for IPAM-D")
}

/// The API that a text says does not answer.
fn failing_service(text: &str) -> Option<&'static str> {
    // Without the API that gives the token, the registry is asked without one.
    if text.contains(".dkr.ecr.") && text.contains("no basic auth credentials") {
        return Some("ecr.api");
    }
    // The policy of the endpoint decides about the bucket where ECR keeps layers.
    if text.contains("starport-layer-bucket") && text.contains("403") {
        return Some("s3");
    }
    let silent = [
        "i/o timeout",
        "context deadline exceeded",
        "Client.Timeout",
        "connect timeout",
        "Connect timeout",
        "Could not connect to the endpoint URL",
        "request canceled while waiting",
        "timed out",
        "network is unreachable",
    ];
    if !silent.iter().any(|s| text.contains(s)) {
        return None;
    }
    let host = pattern!(r"([a-z0-9][a-z0-9.-]*)\.amazonaws\.com");
    // An image's name says where it comes from, the URL what was asked.
    let hosts = || host.captures_iter(text).filter_map(|c| c.get(1));
    let asked = hosts().find(|m| text[..m.start()].ends_with("://")).and_then(|m| service_of(m.as_str()));
    asked.or_else(|| hosts().find_map(|m| service_of(m.as_str())))
}

/// The API behind a host: `api.ecr.eu-west-1`, `123456789012.dkr.ecr.eu-west-1`, `sts.eu-west-1`.
fn service_of(host: &str) -> Option<&'static str> {
    const FIRST: &[&str] = &[
        "sts",
        "ec2",
        "eks",
        "eks-auth",
        "elasticloadbalancing",
        "autoscaling",
        "logs",
        "monitoring",
        "sqs",
        "ssm",
        "elasticfilesystem",
        "kms",
        "secretsmanager",
        "aps-workspaces",
    ];
    if host.contains("dkr.ecr.") {
        return Some("ecr.dkr");
    }
    if host.contains("api.ecr.") || host.starts_with("ecr.") {
        return Some("ecr.api");
    }
    if host.contains("starport-layer-bucket") || host.split('.').any(|p| p == "s3") {
        return Some("s3");
    }
    let first = host.split('.').next()?;
    FIRST.iter().find(|s| **s == first).copied()
}

/// APIs that nothing but a failure tells of.
fn other_need(service: &'static str) -> Option<Need> {
    Some(Need { service, why: "it was asked and did not answer", of_nodes: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_api_that_does_not_answer() {
        for (text, wanted) in [
            (
                "failed pulling image \"602401143452.dkr.ecr.eu-west-1.amazonaws.com/eks/pause:3.5\": no basic auth credentials",
                Some("ecr.api"),
            ),
            (
                "Head \"https://602401143452.dkr.ecr.eu-west-1.amazonaws.com/v2/eks/coredns/manifests/v1\": dial tcp 3.1.1.1:443: i/o timeout",
                Some("ecr.dkr"),
            ),
            (
                "Get \"https://prod-eu-west-1-starport-layer-bucket.s3.eu-west-1.amazonaws.com/x\": dial tcp 52.1.1.1:443: i/o timeout",
                Some("s3"),
            ),
            (
                "RequestError: send request failed caused by: Post \"https://sts.eu-west-1.amazonaws.com/\": dial tcp 1.2.3.4:443: i/o timeout",
                Some("sts"),
            ),
            ("Post \"https://ec2.eu-west-1.amazonaws.com/\": context deadline exceeded", Some("ec2")),
            (
                "unexpected status code https://prod-eu-west-1-starport-layer-bucket.s3.eu-west-1.amazonaws.com/x: 403 Forbidden",
                Some("s3"),
            ),
            ("Post \"https://ec2.eu-west-1.amazonaws.com/\": 403 UnauthorizedOperation", None),
            ("Post \"https://hooks.slack.com/x\": context deadline exceeded", None),
        ] {
            assert_eq!(failing_service(text), wanted, "{text}");
        }
    }
}
