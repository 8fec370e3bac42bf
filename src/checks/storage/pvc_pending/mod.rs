//! A claim of the stack is Pending: why, from its spec, its class and what the provisioner said.

mod cause;
mod fix;
mod misfit;

use std::collections::BTreeMap;

use fix::{Case, Fix};
use misfit::{topology_evidence, unfit_evidence};

use crate::checks::storage::pvc_pending::cause::{
    Cause, Refusal, by_events, cause, consumers, first_line, may_want_encryption, refused,
};
use crate::checks::support::claims::claim_evidence;
use crate::checks::support::seen::event_evidence;
use crate::checks::{Check, check};
use crate::domain::aws::csi_driver::{self, Controller};
use crate::domain::aws::denied::Denied;
use crate::domain::aws::efs::{self, Unmade};
use crate::domain::aws::endpoints;
use crate::domain::aws::identity::Identity;
use crate::domain::aws::placement::Placement;
use crate::domain::aws::{csi_node, ebs};
use crate::domain::kubernetes::claims::{self, missing_snapshot, provisioning_error, unready_snapshot};
use crate::domain::kubernetes::snapshots;
use crate::domain::kubernetes::unschedulable;
use crate::domain::text::api_host::ApiHost;
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::kubernetes::{PersistentVolumeClaim, StorageClass, annotation};
use crate::snapshot::{Snapshot, journal};

check! {
    /// See the check's page.
    PvcPending {
        id: "pvc-pending", suite: Storage, severity: Error,
        title: "a PersistentVolumeClaim of the stack is Pending",
        requires: [PersistentVolumeClaims, StorageClasses],
        uses: [EksAddons, Events, Pods, PersistentVolumes, CsiDrivers, CsiNodes, EksCluster, Nodes, ResourceQuotas, Workloads, ServiceAccounts, PodIdentityAssociations, Instances, Subnets],
        fix: Fix,
    }
}

/// Claims that wait for one thing: the cause, and what tells two of one kind apart.
type Family<'a> = (Cause, Option<String>, Option<&'a str>);

impl Check for PvcPending {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let mut groups: BTreeMap<Family<'_>, Vec<&PersistentVolumeClaim>> = BTreeMap::new();
        let mut unknown: Option<Gap> = None;
        for claim in claims::pending(snap)? {
            let mut kept_by = None;
            let (cause, class) = match claims::class_of(snap, claim) {
                Ok(class) => {
                    // What the nodes say only tells claims apart that wait for different ones.
                    kept_by = class.and_then(|c| journal::aside(|| csi_node::keeps_waiting(snap, claim, c)));
                    (cause(snap, claim, class)?, class.map(|c| c.metadata.name.clone()))
                }
                // Whoever may not list the classes still sees what the events say.
                Err(gap) => match by_events(snap, claim) {
                    Some(cause) => (cause, None),
                    None => {
                        unknown.get_or_insert(gap);
                        continue;
                    }
                },
            };
            groups.entry((cause, class, kept_by)).or_default().push(claim);
        }
        if let Some(gap) = unknown.filter(|_| groups.is_empty()) {
            return Err(gap);
        }
        for claim in claims::lost(snap)? {
            let volume = claim.spec.volume_name.clone().unwrap_or_default();
            groups.entry((Cause::Lost(volume), claim.class().map(str::to_owned), None)).or_default().push(claim);
        }
        Ok(Diagnosis::Findings(
            groups
                .into_iter()
                .map(|((cause, class, kept_by), claims)| {
                    let mut made = finding(snap, &cause, class, &claims);
                    if let Some(node) = kept_by {
                        made.key.push_str(&format!(" {node}"));
                    }
                    made
                })
                .collect(),
        ))
    }
}

fn finding(snap: &Snapshot, cause: &Cause, class: Option<String>, claims: &[&PersistentVolumeClaim]) -> Finding {
    let refs: Vec<ResourceRef> =
        claims.iter().map(|c| ResourceRef::pvc(&c.metadata.namespace, &c.metadata.name)).collect();
    let first = claims[0];
    let mut why = explain(cause);
    if let (Cause::ProvisioningFailed(_), Some(event)) = (cause, provisioning_error(snap, first)) {
        why = format!("provisioning fails: {}", first_line(&event.message));
    }
    if let (Cause::ProvisioningFailed(Refusal::FileSystem(unmade)), Some(object)) =
        (cause, class_object(snap, class.as_deref()))
    {
        let id = object.parameters.get("fileSystemId").map_or("", String::as_str);
        match (unmade, efs::misfit(&object.parameters)) {
            (Unmade::AccessPoints, _) => {
                why =
                    format!("file system {id} of EFS has as many access points as it may have, and each volume is one")
            }
            (Unmade::NoFileSystem, _) => {
                why = format!("file system {id}, which its class {} names, is not there", object.metadata.name)
            }
            (Unmade::Parameter, Some(misfit)) => {
                let said = why.trim_end_matches([' ', ':']);
                why = format!("{said}; its class {} may be why: {misfit}", object.metadata.name)
            }
            (Unmade::Parameter, None) => {}
        }
    }
    if claims.len() > 1 {
        why = of_several(&why);
    }
    let severity = if *cause == Cause::NoConsumer { Severity::Info } else { Severity::Error };
    let phase = &first.status.phase;
    let who = match claims {
        [one] => format!("PersistentVolumeClaim {}/{} is {phase}", one.metadata.namespace, one.metadata.name),
        many => format!("{} PersistentVolumeClaims are {phase}", many.len()),
    };
    let said = provisioning_error(snap, first).map(|e| e.message.as_str()).unwrap_or_default();
    let denied = Denied::read(said);
    if let (Cause::ProvisioningFailed(Refusal::Stranger), Some((api, lost))) = (cause, ApiHost::lost(said)) {
        why = format!("the driver does not reach {} ({}): it {}", api.title(), api.host, lost.words());
    }
    if let (Cause::ProvisioningFailed(Refusal::Source), Some(name)) = (cause, missing_snapshot(said)) {
        why = format!(
            "it is to be made from VolumeSnapshot {name}, and namespace {} has none of that name (a snapshot can be used \
             in its own namespace alone)",
            first.metadata.namespace
        );
    }
    if let (Cause::ProvisioningFailed(Refusal::Source), Some(name)) = (cause, unready_snapshot(said)) {
        let nobody = "; nothing does that: no snapshot controller is there, neither as an add-on of EKS nor in the namespaces that were read";
        let nobody = if snapshots::lacks_controller(snap) { nobody } else { "" };
        why = format!("it is to be made from VolumeSnapshot {name}, which is not ready to be used{nobody}");
    }
    if *cause == Cause::ProvisioningFailed(Refusal::Throttled) {
        why = "EC2 takes no more calls from this account for the moment, and the driver tries again, later each time"
            .into();
    }
    if *cause == Cause::ProvisioningFailed(Refusal::Denied) {
        why = format!("a policy denies the driver {}", refused(denied.as_ref(), said));
        if let Some(plain) = class_object(snap, class.as_deref()).filter(|c| may_want_encryption(denied.as_ref(), c)) {
            why = format!(
                "{why}; its class {} asks for volumes without encryption, which such policies mostly deny",
                plain.metadata.name
            );
        }
    }
    let names: Vec<&str> = claims
        .iter()
        .filter(|c| c.metadata.namespace == first.metadata.namespace)
        .map(|c| c.metadata.name.as_str())
        .collect();
    let owner_key =
        names.iter().map(|n| n.trim_end_matches(|c: char| c.is_ascii_digit())).collect::<Vec<_>>().join(",");
    let mut finding = Finding::new(PvcPending::META.id, severity, refs[0].clone(), format!("{who}: {why}"))
        .also_all(refs)
        .fix(Fix::of(Case { snap, claims, class: class.as_deref(), denied }, cause))
        .evidence(claim_evidence(first));
    finding.key = format!(
        "{}/{owner_key} {} {}",
        first.metadata.namespace,
        finding.variant,
        class.as_deref().or(first.class()).unwrap_or("")
    );
    let consumers = claims.iter().map(|c| unschedulable::consumer(&c.metadata.namespace, &c.metadata.name));
    finding = finding.depends_on_all(consumers);
    // In a VPC without a way out, the endpoint that is missing is the cause.
    if let Some((api, _)) = ApiHost::lost(said) {
        let region = api.region.as_deref().or(Identity::of(snap).region).unwrap_or_default();
        let endpoint = endpoints::service_name(region, &api.service);
        finding = finding.depends_on(ResourceRef::aws("ec2", "vpc-endpoint", endpoint));
    }
    for resource in depends_on(snap, cause, claims, class_object(snap, class.as_deref())) {
        finding = finding.depends_on(resource);
    }
    if matches!(cause, Cause::NoStaticVolume(_)) {
        finding = unfit_evidence(snap, first).into_iter().fold(finding, Finding::evidence);
    }
    if matches!(cause, Cause::Topology(_) | Cause::ProvisioningFailed(Refusal::Topology)) {
        for evidence in topology_evidence(snap, class_object(snap, class.as_deref())) {
            finding = finding.evidence(evidence);
        }
    }
    let telling = |e: &&&crate::snapshot::kubernetes::Event| match cause {
        // What was said when it was made has nothing to do with it.
        Cause::Lost(_) => e.reason == "ClaimLost",
        _ => matches!(
            e.reason.as_str(),
            "ProvisioningFailed"
                | "ExternalProvisioning"
                | "FailedBinding"
                | "WaitForFirstConsumer"
                | "WaitForPodScheduled"
        ),
    };
    let events = claims::events(snap, first);
    let shown = provisioning_error(snap, first).or_else(|| events.iter().find(telling).copied());
    if let Some(event) = shown {
        finding = finding.evidence(event_evidence(event));
    }
    finding
}

/// The class of the claims, where it can be read.
fn class_object<'a>(snap: &'a Snapshot, class: Option<&str>) -> Option<&'a StorageClass> {
    snap.storage_classes.named(class?).ok().flatten()
}

/// The controller of a class's driver; where the class cannot be read, that of EBS.
fn controller_of(class: Option<&StorageClass>) -> Option<&'static Controller> {
    csi_driver::controller(class.map_or(ebs::DRIVER, |c| c.provisioner.as_str()))
}

/// The same of several claims.
fn of_several(why: &str) -> String {
    let words = [
        ("its StorageClass", "their StorageClass"),
        (
            "its class binds when its pod is scheduled, and the pod is not",
            "their class binds when their pods are scheduled, and they are not",
        ),
        ("its class binds when a pod uses it, and none does", "their class binds when a pod uses them, and none does"),
        ("its class", "their class"),
        ("it names", "they name"),
        ("it takes", "they take"),
        ("it asks", "they ask"),
        ("a volume for it", "volumes for them"),
    ];
    words
        .iter()
        .find(|(one, _)| why.contains(one))
        .map_or_else(|| why.to_owned(), |(one, many)| why.replacen(one, many, 1))
}

fn explain(cause: &Cause) -> String {
    match cause {
        Cause::ClassMissing(name) => format!("its StorageClass {name} does not exist"),
        Cause::NoDefaultClass => "it names no StorageClass and the cluster has no default one".into(),
        Cause::NoStaticVolume(misfits) => {
            let general = "it takes only a volume made by hand, and none that fits is Available";
            if misfits.is_empty() { general.into() } else { format!("{general} ({misfits})") }
        }
        Cause::VolumeNotAvailable(volume) => format!("it asks for {volume}"),
        Cause::AccessMode(mode) => {
            format!("it asks for {mode}, and an EBS volume can be attached to one node only")
        }
        Cause::Topology(text) => {
            format!("its class makes volumes {text}: no node is there now that its pod could be given")
        }
        Cause::WaitsForPod => "its class binds when its pod is scheduled, and the pod is not".into(),
        Cause::NoConsumer => "its class binds when a pod uses it, and none does yet; this is normal".into(),
        Cause::ProvisioningFailed(_) => "provisioning fails".into(),
        Cause::Lost(volume) => format!("it was bound to PersistentVolume {volume}, which does not exist any more"),
        Cause::NotProvisioned(provisioner) => {
            format!("the provisioner {provisioner} has not made a volume for it")
        }
    }
}

/// What would explain it.
fn depends_on(
    snap: &Snapshot,
    cause: &Cause,
    claims: &[&PersistentVolumeClaim],
    class: Option<&StorageClass>,
) -> Vec<ResourceRef> {
    // Where the class cannot be read, it is most likely of EBS.
    let provisioner = class.map_or(ebs::DRIVER, |c| c.provisioner.as_str());
    let is_ebs = ebs::serves(provisioner);
    match cause {
        Cause::ClassMissing(name) => vec![ResourceRef::storage_class(name)],
        // With a default class it would still wait for the driver, where the cluster has no other.
        Cause::NoDefaultClass => vec![ResourceRef::default_storage_class(), ResourceRef::csi_driver(ebs::DRIVER)],
        // The driver may be absent, or not run on the node that was chosen.
        Cause::NotProvisioned(provisioner) => {
            let driver = ebs::driver_of(provisioner);
            let chosen = claims.iter().filter_map(|c| c.metadata.annotations.get(annotation::SELECTED_NODE));
            let nodes = chosen.map(|node| csi_node::reference(node));
            nodes.chain([ResourceRef::csi_driver(driver)]).collect()
        }
        // The driver may not run on the node that the volume is for.
        Cause::ProvisioningFailed(Refusal::Topology) => {
            let nodes = claims
                .iter()
                .filter_map(|c| provisioning_error(snap, c))
                .filter_map(|e| csi_node::named_in(&e.message));
            nodes.map(csi_node::reference).collect()
        }
        Cause::ProvisioningFailed(Refusal::Silent) => {
            let driver = ebs::driver_of(provisioner);
            let mut all = vec![ResourceRef::csi_driver(driver)];
            let said: Vec<&str> =
                claims.iter().filter_map(|c| provisioning_error(snap, c)).map(|e| e.message.as_str()).collect();
            // What the controller does not reach lies behind its subnet, or behind a name.
            if said.iter().any(|m| m.contains("dial tcp") || m.contains("Client.Timeout")) {
                let place = Placement::new(snap);
                let pods = csi_driver::controller(provisioner).map(|c| c.pods(snap)).unwrap_or_default();
                let subnets = pods.into_iter().filter_map(|p| place.of_pod(p));
                all.extend(subnets.map(|subnet| ResourceRef::aws("ec2", "subnet", subnet)));
            }
            if said.iter().any(|m| m.contains("lookup ")) {
                all.push(ResourceRef::service(ebs::NAMESPACE, "kube-dns"));
            }
            all
        }
        Cause::ProvisioningFailed(Refusal::Iam) => {
            let account = match csi_driver::controller(provisioner) {
                _ if is_ebs => Some(ebs::credentials_ref(snap)),
                controller => {
                    controller.map(|c| c.account(snap)).map(|(ns, name)| ResourceRef::service_account(&ns, &name))
                }
            };
            let mut all: Vec<ResourceRef> = account.into_iter().collect();
            if let Ok(cluster) = snap.eks_cluster() {
                all.push(ResourceRef::aws("iam", "oidc-provider", cluster.issuer_host_path()));
            }
            all
        }
        Cause::WaitsForPod => {
            let pods = claims.iter().flat_map(|c| consumers(snap, c).unwrap_or_default());
            pods.map(|p| ResourceRef::pod(&p.metadata.namespace, &p.metadata.name)).collect()
        }
        _ => Vec::new(),
    }
}
