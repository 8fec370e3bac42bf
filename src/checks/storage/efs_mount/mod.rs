//! A file system of EFS is not mounted on the pod's node, or gives no answer any more.

mod hangs;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::instance::Instance;
use crate::checks::support::seen::event_evidence;
use crate::checks::{Check, check};
use crate::domain::aws::csi_node;
use crate::domain::aws::denied::Denied;
use crate::domain::aws::efs::{self, Cause};
use crate::domain::aws::placement::Placement;
use crate::domain::kubernetes::scheduling;
use crate::domain::text::windows::RECENT;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, Placeholder, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Event, Node, PersistentVolume, Pod};

check! {
    /// See the check's page.
    EfsMount {
        id: "efs-mount", suite: Storage, severity: Error,
        title: "a file system of EFS cannot be mounted",
        requires: [Pods, Events, PersistentVolumes],
        uses: [Nodes, Instances, EksCluster, PersistentVolumeClaims, Workloads],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Name {
        #[serde(flatten)]
        of: OfSystem,
        vpc: Placeholder,
        subnet: Placeholder,
        /// The role that may not look the address up either.
        denied: Option<String>,
    },
    Timeout {
        #[serde(flatten)]
        of: OfSystem,
        node_groups: Placeholder,
    },
    Denied {
        #[serde(flatten)]
        of: OfSystem,
    },
    Path {
        #[serde(flatten)]
        of: OfSystem,
        volume: String,
    },
    Driver {
        #[serde(flatten)]
        of: Of,
        node: String,
    },
    Hangs {
        #[serde(flatten)]
        of: Of,
        node: String,
        container: String,
        /// Where it is mounted.
        path: String,
        /// The driver's pods have a network each.
        own_network: bool,
        /// Something makes the pod again.
        owned: bool,
        #[serde(flatten)]
        instance: Instance,
    },
}

/// The pod that waits.
#[derive(Serialize, JsonSchema)]
struct Of {
    namespace: String,
    pod: String,
}

/// The file system and the pod that waits for it.
#[derive(Serialize, JsonSchema)]
struct OfSystem {
    #[serde(flatten)]
    of: Of,
    file_system: String,
}

impl Check for EfsMount {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.events()?;
        let volumes = snap.persistent_volumes()?;
        let is_efs = |v: &PersistentVolume| v.spec.csi.as_ref().is_some_and(|c| c.driver == efs::DRIVER);
        if !volumes.iter().any(is_efs) {
            return Ok(Diagnosis::NotApplicable("no volume of EFS".into()));
        }
        let mut groups: BTreeMap<(String, Cause), Vec<Waits<'_>>> = BTreeMap::new();
        for pod in snap.pods()?.iter().filter(|p| snap.scope.is_stack(&p.metadata.namespace)) {
            let Some(waits) = waits(snap, pod, volumes) else { continue };
            groups.entry((waits.file_system().to_owned(), waits.fault)).or_default().push(waits);
        }
        let mut found: Vec<Finding> = groups.values().map(|all| finding(snap, all)).collect();
        found.extend(hangs::findings(snap, volumes));
        Ok(Diagnosis::Findings(found))
    }
}

/// A pod that waits for a file system.
struct Waits<'a> {
    pod: &'a Pod,
    volume: &'a PersistentVolume,
    event: &'a Event,
    fault: Cause,
}

impl<'a> Waits<'a> {
    /// Where the name does not resolve, the driver asks EFS for the address: who may not, a role or a caller.
    fn denied_lookup(&self) -> Option<String> {
        let denied = Denied::read(&self.event.message)?;
        denied.action.as_deref().filter(|a| a.ends_with(":DescribeMountTargets"))?;
        denied.role().map(str::to_owned).or(denied.caller)
    }

    fn file_system(&self) -> &'a str {
        efs::file_system(self.volume.spec.csi.as_ref().map_or("", |c| c.volume_handle.as_str()))
    }
}

fn waits<'a>(snap: &'a Snapshot, pod: &'a Pod, volumes: &'a [PersistentVolume]) -> Option<Waits<'a>> {
    if pod.status.phase != "Pending" || pod.spec.node_name.is_none() || pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let of_claim = |claim: &str| {
        volumes.iter().find(|v| {
            let bound = v.spec.claim_ref.as_ref();
            bound.is_some_and(|r| r.name == claim && r.namespace == pod.metadata.namespace)
                && v.spec.csi.as_ref().is_some_and(|c| c.driver == efs::DRIVER)
        })
    };
    let own: Vec<&PersistentVolume> = pod.claims().filter_map(of_claim).collect();
    let events = snap.events_about("Pod", &pod.metadata, RECENT);
    let mounts = events.into_iter().filter(|e| e.reason == "FailedMount");
    let mut best: Option<Waits<'a>> = None;
    for event in mounts {
        let named = own.iter().find(|v| event.message.contains(&v.metadata.name));
        let Some(volume) = named.or(own.first().filter(|_| own.len() == 1)).copied() else { continue };
        let Some(fault) = Cause::classify(&event.message) else { continue };
        if best.as_ref().is_none_or(|b| b.fault.weight() < fault.weight()) {
            best = Some(Waits { pod, volume, event, fault });
        }
    }
    best
}

fn finding(snap: &Snapshot, all: &[Waits<'_>]) -> Finding {
    let first = &all[0];
    let id = first.file_system();
    let nodes: BTreeSet<&str> = all.iter().filter_map(|w| w.pod.spec.node_name.as_deref()).collect();
    let node = nodes.first().copied().unwrap_or_default();
    let found = snap.nodes.items().unwrap_or_default().iter().find(|n| n.metadata.name == node);
    let zone = found.and_then(scheduling::zone).map(|z| format!(" in {z}")).unwrap_or_default();
    let why = match first.fault {
        Cause::Name => {
            let asked = first.denied_lookup().map(|role| {
                format!("; nor may {role} ask EFS for its address (elasticfilesystem:DescribeMountTargets), which the driver then tries")
            });
            format!(
                "its name does not resolve on node {node}: it has no mount target{zone}, the VPC's DNS is off, or its id is of another region{}",
                asked.unwrap_or_default()
            )
        }
        Cause::Timeout => format!("its mount target does not answer node {node}{zone} on TCP 2049"),
        Cause::Denied => "EFS refuses the node: by its access point, its policy, or the driver's role".to_owned(),
        Cause::Path => "the path or access point that the volume names does not exist in it".to_owned(),
        Cause::Driver => format!("the EFS CSI driver does not run on node {node}"),
    };
    let who = match all {
        [one] => format!("pod {}/{} waits for it", one.pod.metadata.namespace, one.pod.metadata.name),
        many => format!("{} pods wait for it", many.len()),
    };
    let subject = ResourceRef::aws("efs", "file-system", id);
    let mut made = Finding::new(
        EfsMount::META.id,
        Severity::Error,
        subject.clone(),
        format!("file system {id} of EFS is not mounted: {why}; {who}"),
    )
    .key(format!("{id} {:?}", first.fault).to_ascii_lowercase())
    .breaks(subject)
    .fix(fix(snap, first, found))
    .evidence(event_evidence(first.event))
    .evidence(
        Evidence::new(
            format!("PersistentVolume {}", first.volume.metadata.name),
            format!("volumeHandle {}", first.volume.spec.csi.as_ref().map_or("", |c| c.volume_handle.as_str())),
            "kubectl get pv {{ name }} -o yaml",
        )
        .with("name", &first.volume.metadata.name),
    );
    for waits in all {
        let (namespace, name) = (&waits.pod.metadata.namespace, &waits.pod.metadata.name);
        made = made.breaks(ResourceRef::pod(namespace, name)).breaks(snap.owner_ref(waits.pod));
        let claim = waits.volume.spec.claim_ref.as_ref().map(|r| ResourceRef::pvc(&r.namespace, &r.name));
        made = claim.into_iter().fold(made, Finding::breaks);
    }
    for node in nodes {
        made = made.depends_on(ResourceRef::node(node));
        if first.fault == Cause::Driver {
            // Why the driver is not there is another check's matter.
            made = made.depends_on(csi_node::reference(node));
        }
    }
    made
}

fn fix(snap: &Snapshot, waits: &Waits<'_>, node: Option<&Node>) -> Fix {
    let pod = Of { namespace: waits.pod.metadata.namespace.clone(), pod: waits.pod.metadata.name.clone() };
    if waits.fault == Cause::Driver {
        return Fix::Driver { of: pod, node: waits.pod.spec.node_name.clone().unwrap_or_default() };
    }
    let of = OfSystem { of: pod, file_system: waits.file_system().to_owned() };
    let place = Placement::new(snap);
    let instance = node.and_then(|n| place.instance(n));
    match waits.fault {
        Cause::Name => {
            let vpc = snap.eks_cluster().ok().map(|c| c.resources_vpc_config.vpc_id.clone());
            let subnet = node.and_then(|n| place.of_node(n)).map(str::to_owned);
            Fix::Name {
                of,
                vpc: Placeholder::new("vpc-id").candidates(vpc),
                subnet: Placeholder::new("subnet-id").how("a subnet in the node's zone").candidates(subnet),
                denied: waits.denied_lookup(),
            }
        }
        Cause::Timeout => {
            let groups = instance.map(|i| i.security_groups.iter().map(|g| g.group_id.clone()).collect::<Vec<_>>());
            let own = snap.eks_cluster().ok().map(|c| c.resources_vpc_config.cluster_security_group_id.clone());
            let groups = groups.unwrap_or_else(|| own.into_iter().collect());
            let node_groups =
                Placeholder::new("node-security-group").how("a group that the nodes have").candidates(groups);
            Fix::Timeout { of, node_groups }
        }
        Cause::Denied => Fix::Denied { of },
        Cause::Path | Cause::Driver => Fix::Path { of, volume: waits.volume.metadata.name.clone() },
    }
}
