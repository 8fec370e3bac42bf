//! A VPC without a way to the internet lacks an endpoint of an AWS API that the cluster needs.

mod fix;

use crate::checks::{Check, check};
use crate::domain::traffic::closed_vpc::{self, lacks};
use crate::model::{CheckMeta, Diagnosis, Gap};
use crate::snapshot::{Platform, Snapshot, journal};

check! {
    /// See the check's page.
    VpcEndpointMissing {
        id: "vpc-endpoint-missing", suite: Network, severity: Error,
        title: "an endpoint of an AWS API is missing in a VPC without internet",
        requires: [EksCluster, Nodes, Subnets, RouteTables, NatGateways, InternetGateways, VpcEndpoints],
        uses: [EksNodegroups, SecurityGroups, Instances, Pods, PersistentVolumeClaims, Ingresses, Services, Events, Workloads, PartLogs, CrashLogs, ComponentLogs],
        fix: fix::Fix,
    }
}

impl Check for VpcEndpointMissing {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        if snap.platform == Platform::Other {
            return Ok(Diagnosis::NotApplicable("not on EKS".into()));
        }
        let closed = match closed_vpc::of(snap)? {
            Some(closed) => closed,
            // Beside another way an endpoint does harm only where there is one, and mostly there is none.
            None if journal::aside(|| snap.vpc_endpoints().is_ok_and(|all| !all.is_empty())) => closed_vpc::open(snap)?,
            None => return Ok(Diagnosis::NotApplicable("the nodes have a way to the internet".into())),
        };
        let lacks = lacks(snap, &closed)?;
        let Some(first) = lacks.first() else { return Ok(Diagnosis::Findings(Vec::new())) };
        let writer = fix::Writer::new(snap, &closed);
        // What was seen to fail is told apart from what is only needed; without the former all are.
        let told = first.seen.is_empty();
        let (loud, quiet): (Vec<_>, Vec<_>) =
            lacks.iter().partition(|l| !l.seen.is_empty() || (told && l.need.of_nodes));
        Ok(Diagnosis::Findings(writer.findings(Self::META.id, &loud, &quiet)))
    }
}

#[cfg(test)]
mod tests;
