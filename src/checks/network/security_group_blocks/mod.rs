//! A security group or a network ACL drops what the stack needs.

mod fix;
mod silent;
mod symptom;

use crate::checks::{Check, check};
use crate::domain::traffic::attempts::Attempt;
use crate::domain::traffic::other_nodes::other_nodes;
use crate::domain::traffic::shut::{Judged, judge};
use crate::model::{CheckMeta, Diagnosis, Gap, ResourceRef};
use crate::snapshot::{Platform, Snapshot};

check! {
    /// See the check's page.
    SecurityGroupBlocks {
        id: "security-group-blocks", suite: Network, severity: Error,
        title: "a security group drops what the stack needs",
        requires: [PrometheusTargets],
        uses: [ConfigMaps, SecurityGroups, Instances, Subnets, NetworkAcls, EksCluster, Nodes, Pods, Services, Events, ApiServices, Webhooks, PartLogs, ComponentLogs, CrashLogs, AlertmanagerStatus, GrafanaHealth, PrometheusConfig, NetworkPolicies, Namespaces, Workloads, SecurityGroupPolicies, ServiceAccounts, Vpcs],
        fix: fix::Fix,
    }
}

impl Check for SecurityGroupBlocks {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        if snap.platform == Platform::Other {
            return Ok(Diagnosis::NotApplicable("not on EKS".into()));
        }
        let id = Self::META.id;
        let (judged, unread) = match judge(snap) {
            Ok(judged) => (judged, None),
            Err(failed) => {
                let (gap, attempts) = *failed;
                (Judged { unknown: attempts, ..Judged::default() }, Some(gap))
            }
        };
        let mut findings: Vec<_> =
            judged.shut.iter().map(|(culprit, shut)| fix::finding(id, snap, culprit, shut)).collect();
        for pattern in other_nodes(snap) {
            let of_pattern = |a: &&Attempt<'_>| {
                pattern
                    .down
                    .iter()
                    .any(|d| a.breaks.contains(&ResourceRef::ScrapeUrl { url: d.target.scrape_url.clone() }))
            };
            let explained = judged.shut.values().flat_map(|s| &s.attempts).any(|a| of_pattern(&a));
            if !explained {
                let admitted = judged.open.iter().any(|a| of_pattern(&a));
                findings.push(fix::between_nodes(id, snap, &pattern, admitted, unread.as_ref()));
            }
        }
        findings.extend(silent::findings(id, snap, &judged));
        match unread {
            Some(gap) if findings.is_empty() => Err(gap),
            _ => Ok(Diagnosis::Findings(findings)),
        }
    }
}

#[cfg(test)]
mod tests;
