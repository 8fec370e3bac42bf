//! An Ingress or a load balancer of the stack does not lead to its pods.

mod certificate;
mod fix;
mod groups;
mod names;
mod object;
mod objects;
mod refused;
mod routed;
mod sent;
mod subnets;
mod targets;
#[cfg(test)]
mod tests;
mod told;
mod unheaded;
mod unreached;

use crate::checks::{Check, check};
use crate::domain::kubernetes::ingress;
use crate::model::{CheckMeta, Diagnosis, Gap};
use crate::snapshot::Snapshot;
use fix::Fix;

check! {
    /// See the check's page.
    IngressBroken {
        id: "ingress", suite: Network, severity: Error,
        title: "an Ingress or load balancer does not lead to its pods",
        requires: [Ingresses, Services],
        uses: [IngressClasses, Events, Pods, Workloads, PartLogs, CrashLogs, ComponentLogs, TargetGroups, LoadBalancers, EksCluster, Subnets, RouteTables, NatGateways, InternetGateways, Nodes, Instances, SecurityGroups, NetworkAcls, SecurityGroupPolicies, ServiceAccounts, Webhooks, AcmCertificates],
        fix: Fix,
    }
}

impl Check for IngressBroken {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.ingresses()?;
        snap.services()?;
        if ingress::of_stack(snap).next().is_none() && ingress::balanced(snap).next().is_none() {
            return Ok(Diagnosis::NotApplicable("the stack has no Ingress and no Service of type LoadBalancer".into()));
        }
        let mut found = objects::findings(snap);
        found.extend(refused::findings(snap));
        found.extend(certificate::findings(snap));
        found.extend(sent::findings(snap));
        found.extend(targets::findings(snap));
        found.extend(names::findings(snap));
        found.extend(routed::findings(snap));
        found.extend(unheaded::findings(snap));
        Ok(Diagnosis::Findings(found))
    }
}
