//! The EBS CSI driver: who needs it, whether it is there, with which service account it runs.

use crate::domain::kubernetes::claims;
use crate::model::{Gap, ResourceRef};
use crate::snapshot::Snapshot;
use crate::snapshot::aws::Addon;
use crate::snapshot::kubernetes::{PersistentVolumeClaim, StorageClass, Workload};

/// The driver's name, and the provisioner of its classes.
pub(crate) const DRIVER: &str = "ebs.csi.aws.com";
/// Provisioner of EKS Auto Mode's own block storage.
pub(crate) const AUTO_MODE: &str = "ebs.csi.eks.amazonaws.com";
/// The in-tree plugin; since Kubernetes 1.23 its calls are migrated to the driver.
pub(crate) const IN_TREE: &str = "kubernetes.io/aws-ebs";
/// Name of the EKS add-on.
pub(crate) const ADDON: &str = "aws-ebs-csi-driver";
/// The managed policy that is made for its role.
pub(crate) const POLICY: &str = "service-role/AmazonEBSCSIDriverPolicy";
/// Namespace and ServiceAccount of the controller, in the add-on and in the chart.
pub(crate) const NAMESPACE: &str = "kube-system";
const SERVICE_ACCOUNT: &str = "ebs-csi-controller-sa";

/// True for a provisioner that the driver serves.
pub(crate) fn serves(provisioner: &str) -> bool {
    matches!(provisioner, DRIVER | IN_TREE)
}

/// The driver that serves a provisioner: calls of the in-tree plugin are migrated.
pub(crate) fn driver_of(provisioner: &str) -> &str {
    if serves(provisioner) { DRIVER } else { provisioner }
}

/// Pending claims that only the driver can provision, with the class that says so.
///
/// A claim without a class, and one whose class does not exist, need the driver too where the cluster has no class of
/// another kind: putting the class right would leave them Pending.
pub(crate) fn pending_claims(snap: &Snapshot) -> Result<Vec<&PersistentVolumeClaim>, Gap> {
    let classes = match snap.storage_classes() {
        Ok(classes) => classes,
        // An event names the driver that is waited for.
        Err(gap) => {
            let waits = |c: &&PersistentVolumeClaim| claims::awaited_provisioner(snap, c) == Some(DRIVER);
            let told: Vec<_> = claims::pending(snap)?.into_iter().filter(waits).collect();
            return if told.is_empty() { Err(gap) } else { Ok(told) };
        }
    };
    let only_ebs = !classes.is_empty() && classes.iter().all(|c| serves(&c.provisioner));
    let mut found = Vec::new();
    for claim in claims::pending(snap)? {
        let needs = match claims::class_of(snap, claim)? {
            Some(class) => serves(&class.provisioner),
            None => claim.class() != Some("") && only_ebs,
        };
        if needs {
            found.push(claim);
        }
    }
    Ok(found)
}

/// Claims of the stack that are bound to a volume of the driver: without it they cannot be attached again.
pub(crate) fn bound_claims(snap: &Snapshot) -> Vec<&PersistentVolumeClaim> {
    let classes = snap.storage_classes.items().unwrap_or_default();
    let is_ebs = |c: &PersistentVolumeClaim| {
        classes
            .iter()
            .any(|class: &StorageClass| Some(class.metadata.name.as_str()) == c.class() && serves(&class.provisioner))
    };
    let claims = snap.persistent_volume_claims.items().unwrap_or_default().iter();
    claims.filter(|c| snap.scope.is_judged(&c.metadata.namespace) && c.status.phase == "Bound" && is_ebs(c)).collect()
}

/// The controller's workload: the add-on's and the chart's name, or any that runs the driver's image as controller.
pub(crate) fn controller(snap: &Snapshot) -> Result<Option<&Workload>, Gap> {
    let is_controller = |w: &&Workload| {
        let images = || w.spec.template.spec.containers.iter().map(|c| c.image.as_str());
        w.kind != "DaemonSet"
            && (w.metadata.name == "ebs-csi-controller" || images().any(|i| i.contains("ebs-csi-driver")))
    };
    let found = snap.workloads()?.iter().find(is_controller);
    if found.is_none() && !snap.workloads.covers(NAMESPACE) {
        return Err(snap
            .workloads
            .gaps()
            .first()
            .cloned()
            .unwrap_or_else(|| crate::snapshot::not_collected(crate::model::Fact::Workloads)));
    }
    Ok(found)
}

/// EKS Auto Mode provides block storage: EKS says so, or its driver and its nodes are there.
pub(crate) fn is_auto_mode(snap: &Snapshot) -> bool {
    if let Ok(cluster) = snap.eks_cluster() {
        return cluster.auto_mode_storage();
    }
    let nodes = snap.nodes.items().unwrap_or_default();
    snap.csi_drivers.named(AUTO_MODE).is_ok_and(|d| d.is_some()) && nodes.iter().any(|n| n.is_auto_mode())
}

/// The EKS add-on, if EKS could be asked and has it.
pub(crate) fn addon(snap: &Snapshot) -> Option<&Addon> {
    snap.eks_addons().ok()?.iter().find(|a| a.addon_name == ADDON)
}

/// True where the driver can be served by nothing: no controller, no add-on. A CSIDriver object alone serves nothing
/// (uninstalling the chart leaves it), but then the controller may run where it was not looked for: only volumes that
/// nobody works on prove that it does not.
pub(crate) fn is_missing(snap: &Snapshot) -> Result<bool, Gap> {
    let registered = snap.csi_drivers.named(DRIVER).map(|d| d.is_some());
    if controller(snap)?.is_some() || addon(snap).is_some() {
        return Ok(false);
    }
    if registered == Ok(false) {
        return Ok(true);
    }
    let worked_on = |claim: &PersistentVolumeClaim| {
        claims::events(snap, claim)
            .iter()
            .any(|e| matches!(e.reason.as_str(), "Provisioning" | "ProvisioningFailed" | "ProvisioningSucceeded"))
    };
    // Only a claim whose turn it is proves anything: asked for, and nobody took it up.
    let pending = pending_claims(snap)?;
    let proved = pending.iter().any(|c| claims::is_asked_for(snap, c)) && !pending.iter().any(|c| worked_on(c));
    match registered {
        Err(gap) if !proved => Err(gap),
        _ => Ok(proved),
    }
}

/// The ServiceAccount the controller runs with.
pub(crate) fn service_account(snap: &Snapshot) -> (String, String) {
    let controller = controller(snap).ok().flatten();
    let name = controller.and_then(|c| c.spec.template.spec.service_account_name.clone());
    let namespace = controller.map_or(NAMESPACE, |c| c.metadata.namespace.as_str());
    (namespace.to_owned(), name.unwrap_or_else(|| SERVICE_ACCOUNT.to_owned()))
}

/// What a broken role breaks: the driver's calls. Claims whose errors speak of IAM depend on it.
pub(crate) fn credentials_ref(snap: &Snapshot) -> ResourceRef {
    let (namespace, name) = service_account(snap);
    ResourceRef::service_account(&namespace, &name)
}

/// A name for the driver's role: as AWS' documentation has it, made unique by the cluster, within IAM's 64 characters.
pub(crate) fn role_name(cluster: &str) -> String {
    let name: String = format!("AmazonEKS_EBS_CSI_DriverRole_{cluster}");
    name.chars().filter(|c| c.is_ascii_alphanumeric() || "+=,.@-_".contains(*c)).take(64).collect()
}
