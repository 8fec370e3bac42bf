//! A NetworkPolicy drops what the stack needs.

mod fix;
mod strict;

use std::collections::BTreeMap;

use fix::Fix;

use crate::checks::{Check, check};
use crate::domain::aws::vpc_cni;
use crate::domain::kubernetes::arguments::has_flag;
use crate::domain::kubernetes::network_policy::{Block, Direction, Policies, reference};
use crate::domain::traffic::blocked::{Blocked, Engine, blocks};
use crate::domain::traffic::flows::{self, Map};
use crate::model::{CheckMeta, Diagnosis, Gap, ResourceRef};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;

check! {
    /// See the check's page.
    NetworkPolicyBlocks {
        id: "network-policy-blocks", suite: Network, severity: Error,
        title: "a NetworkPolicy drops what the stack needs",
        requires: [NetworkPolicies, Pods],
        uses: [ConfigMaps, Crds, PrometheusTargets, Namespaces, Services, Workloads, Nodes, ComponentLogs, CrashLogs, PartLogs, AlertmanagerStatus, EksCluster, Subnets],
        fix: Fix,
    }
}

impl Check for NetworkPolicyBlocks {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let all = snap.network_policies()?;
        snap.pods()?;
        let engine = engine(snap);
        let is_strict = engine == Engine::VpcCni && vpc_cni::is_strict(snap);
        if all.is_empty() && !is_strict {
            // Which namespaces beyond the stack's own matter, its targets say.
            snap.prometheus_targets()?;
            return Ok(Diagnosis::NotApplicable("no NetworkPolicy in the namespaces of the stack".into()));
        }
        let map = Map::new(snap, engine == Engine::VpcCni);
        let by_address = engine == Engine::Other && knows_hosts_by_address(snap);
        let policies = Policies::of(snap).except_wins(engine == Engine::VpcCni).hosts_by_address(by_address);
        let flows = flows::failing(snap, &map)?;
        let refuted: Vec<Key> = flows::working(snap, &map)
            .iter()
            .flat_map(|(from, to)| blocks(&policies, from, to).into_iter().map(|b| key(snap, from, &b)))
            .collect();
        let mut groups: BTreeMap<Key, Blocked<'_>> = BTreeMap::new();
        let alone = if is_strict { strict::cut_off(&policies, &flows) } else { Vec::new() };
        for flow in flows {
            for block in blocks(&policies, flow.from, &flow.to) {
                let key = key(snap, flow.from, &block);
                // What the same policies should drop arrives: they are not enforced, or not as they read.
                if refuted.contains(&key) {
                    continue;
                }
                let (direction, except) = (block.direction, block.except);
                let new = || Blocked { direction, policies: block.policies, flows: Vec::new(), except };
                groups.entry(key).or_insert_with(new).flows.push(flow.clone());
            }
        }
        let findings = groups.into_values().map(|group| fix::finding(Self::META.id, snap, engine, &map, &group));
        let strict = strict::findings(Self::META.id, snap, alone);
        Ok(Diagnosis::Findings(findings.chain(strict).collect()))
    }
}

/// Which policies drop it, on which side, and whose connection it is.
type Key = (Direction, Vec<ResourceRef>, ResourceRef);

fn key(snap: &Snapshot, from: &Pod, block: &Block<'_>) -> Key {
    (block.direction, block.policies.iter().map(|p| reference(p)).collect(), snap.owner_ref(from))
}

/// Who enforces policies, as far as the pods and namespaces tell.
fn engine(snap: &Snapshot) -> Engine {
    const OTHERS: &[&str] =
        &["calico", "tigera", "cilium", "antrea", "kube-router", "weave-net", "canal", "kube-network-policies"];
    let is_other = |name: &str| OTHERS.iter().any(|o| name.starts_with(o));
    let pods = snap.pods.items().unwrap_or_default();
    let agents = pods.iter().flat_map(|p| &p.spec.containers).filter(|c| c.name == "aws-eks-nodeagent");
    let mut states = agents.map(|c| has_flag(c, "enable-network-policy"));
    let (first, any) = (states.clone().next(), states.any(|on| on));
    let Ok(namespaces) = snap.namespaces() else { return if any { Engine::VpcCni } else { Engine::Other } };
    let other =
        namespaces.iter().any(|n| is_other(&n.metadata.name)) || pods.iter().any(|p| is_other(&p.metadata.name));
    match first {
        Some(_) if any => Engine::VpcCni,
        Some(_) if !other => Engine::Off,
        _ => Engine::Other,
    }
}

/// Calico or Cilium runs: they know pods on the network of their node by their addresses alone.
fn knows_hosts_by_address(snap: &Snapshot) -> bool {
    let pods = snap.pods.items().unwrap_or_default().iter().filter(|p| p.spec.host_network && !p.is_finished());
    let mut containers = pods.flat_map(|p| &p.spec.containers);
    containers.any(|c| matches!(c.name.as_str(), "calico-node" | "cilium-agent"))
}

#[cfg(test)]
mod tests;
