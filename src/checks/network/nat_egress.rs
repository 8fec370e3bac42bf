//! Pods have no route to the internet.

use crate::checks::{Check, check};
use crate::model::{CheckMeta, Diagnosis, Gap};
use crate::snapshot::Snapshot;

check! {
    /// See the check's page.
    NatEgress {
        id: "nat-egress", suite: Network, page: "network/nat_egress.md", severity: Error,
        title: "pods have no route to the internet",
        requires: [EksCluster, Nodes, Subnets, RouteTables, NatGateways, InternetGateways],
        uses: [Instances, NetworkAcls, SecurityGroups, Pods, Events, AlertmanagerLogs, AlertmanagerStatus, EksNodegroups, Workloads, VpcEndpoints],
    }
}

impl Check for NatEgress {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, _snap: &Snapshot) -> Result<Diagnosis, Gap> {
        Ok(Diagnosis::NotApplicable("not built yet".into()))
    }
}
