//! Pods have no route to the internet.

mod fix;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::BTreeMap;

use crate::checks::{Check, check};
use crate::domain::alertmanager::pods::alertmanager_pods;
use crate::domain::aws::placement::Placement;
use crate::domain::aws::routing::{Cause, Family, Network};
use crate::domain::kubernetes::proxy_env::has_proxy;
use crate::domain::traffic::egress_demand::{Demand, Demands};
use crate::domain::traffic::survey::{self, Affected, Survey};
use crate::model::{CheckMeta, Diagnosis, Gap, Severity};
use crate::snapshot::kubernetes::Node;
use crate::snapshot::{Platform, Snapshot};
use fix::Fix;
use writer::Writer;

check! {
    /// See the check's page.
    NatEgress {
        id: "nat-egress", suite: Network, severity: Error,
        title: "pods have no route to the internet",
        requires: [EksCluster, Nodes, Subnets, RouteTables, NatGateways, InternetGateways],
        uses: [ConfigMaps, CrashLogs, Instances, NetworkAcls, SecurityGroups, Pods, Events, ComponentLogs, AlertmanagerStatus, EksNodegroups, Services, VpcEndpoints, Probes, Addresses, Workloads, EksAddons],
        fix: Fix,
    }
}

impl Check for NatEgress {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        if snap.platform == Platform::Other {
            return Ok(Diagnosis::NotApplicable("not on EKS".into()));
        }
        let cluster = snap.eks_cluster()?;
        let net = Network::of(snap)?;
        let at = Placement::new(snap);
        let subnets = node_subnets(snap, &at)?;
        if subnets.is_empty() {
            return Ok(Diagnosis::NotApplicable("no node runs in a subnet of the cluster's VPC".into()));
        }
        let demands = Demands::read(snap, &at);
        let family = if cluster.kubernetes_network_config.ip_family == "ipv6" { Family::V6 } else { Family::V4 };
        let survey = Survey { snap, at: &at, net, family, demands: &demands };
        let troubles = survey.run(&subnets)?;
        let writer = Writer { survey: &survey, cluster };
        let mut findings = Vec::new();
        let mut silent = false;
        for (trouble, affected) in &troubles {
            match severity(snap, &demands, trouble, affected) {
                Some(severity) => findings.push(writer.finding(Self::META.id, severity, trouble, affected)),
                None => silent = true,
            }
        }
        match demands.unknown {
            // Nothing is known to need the internet, but what would say so was not read.
            Some(gap) if silent && findings.is_empty() => Err(gap),
            _ => Ok(Diagnosis::Findings(findings)),
        }
    }
}

/// Subnets that hold nodes; those of the node groups where no node can be placed.
fn node_subnets<'a>(snap: &'a Snapshot, at: &Placement<'a>) -> Result<BTreeMap<&'a str, Vec<&'a Node>>, Gap> {
    snap.subnets()?;
    let mut found: BTreeMap<&str, Vec<&Node>> = BTreeMap::new();
    for node in snap.nodes()? {
        if let Some(subnet) = at.of_node(node) {
            found.entry(subnet).or_default().push(node);
        }
    }
    // A group whose instances do not join has no nodes to be placed by.
    let placed = !found.is_empty();
    if !placed {
        snap.eks_nodegroups()?;
    }
    let groups = snap.eks_nodegroups.iter().flatten();
    for subnet in groups.filter(|g| !placed || g.join_failure().is_some()).flat_map(|g| &g.subnets) {
        found.entry(subnet).or_default();
    }
    Ok(found)
}

/// How bad a trouble is: an error where something was seen to fail, a warning where something wants the internet or the
/// route shows that it was meant to be reached. `None`: a private network, as it may well be meant.
fn severity(snap: &Snapshot, demands: &Demands, trouble: &survey::Cause, affected: &Affected<'_>) -> Option<Severity> {
    let of_subnets: Vec<&Demand> = affected.subnets.iter().filter_map(|s| demands.of(&s.subnet_id)).collect();
    let fails = of_subnets.iter().any(|d| !d.symptoms.is_empty());
    if matches!(trouble, survey::Cause::Routing { fault: Cause::NatPending { .. }, .. }) {
        return Some(if fails { Severity::Warning } else { Severity::Info });
    }
    if fails {
        return Some(Severity::Error);
    }
    // What AWS shows of the way is wrong or not all, if the internet answers.
    if of_subnets.iter().any(|d| d.answered) {
        return None;
    }
    // With an egress proxy, a default route that leads nowhere may be what is left of older days.
    let proxied = alertmanager_pods(snap).iter().any(|(pod, _)| has_proxy(pod));
    let wanted = of_subnets.iter().any(|d| !d.wanted.is_empty());
    (wanted || (trouble.shows_intent() && !proxied)).then_some(Severity::Warning)
}
