//! Why a claim is Pending.

use crate::checks::storage::pvc_pending::misfit::{misfits, named_volume, shared_mode, unreachable_topology};

use crate::domain::aws::denied::{By, Denied};
use crate::domain::aws::ebs;
use crate::domain::aws::efs::Unmade;
use crate::domain::kubernetes::claims::{self, ProvisioningCause, provisioning_error};
use crate::domain::text::shorten::shorten;
use crate::model::Gap;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{PersistentVolumeClaim, Pod, StorageClass};

/// Why the provisioner makes no volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Refusal {
    AccessMode,
    Denied,
    /// The driver's credentials or permissions.
    Iam,
    Key,
    Parameter,
    Silent,
    /// Somebody else answers where the API of AWS should.
    Stranger,
    Other,
    Quota,
    Source,
    /// EC2 takes no more calls for the moment.
    Throttled,
    Topology,
    Zone,
    /// The file system of EFS takes no further volume.
    FileSystem(Unmade),
}

impl Refusal {
    fn of(message: &str) -> Self {
        if let Some(unmade) = Unmade::read(message) {
            return Self::FileSystem(unmade);
        }
        match ProvisioningCause::classify(message) {
            ProvisioningCause::AccessMode => Self::AccessMode,
            ProvisioningCause::Parameter => Self::Parameter,
            ProvisioningCause::Topology => Self::Topology,
            ProvisioningCause::Stranger => Self::Stranger,
            ProvisioningCause::Timeout => Self::Silent,
            ProvisioningCause::Credentials | ProvisioningCause::Permission | ProvisioningCause::Kms => Self::Iam,
            ProvisioningCause::Denied => Self::Denied,
            ProvisioningCause::Key => Self::Key,
            ProvisioningCause::Source => Self::Source,
            ProvisioningCause::Zone => Self::Zone,
            ProvisioningCause::Throttled => Self::Throttled,
            ProvisioningCause::Quota => Self::Quota,
            ProvisioningCause::Other => Self::Other,
        }
    }
}

/// Why a claim is Pending.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cause {
    /// It names a class that does not exist.
    ClassMissing(String),
    /// It names no class, and there is no default one.
    NoDefaultClass,
    /// It asks for a hand-made volume, and there is none that fits: what each lacks.
    NoStaticVolume(String),
    /// It names a volume that does not exist, is taken, or does not fit: which, and why.
    VolumeNotAvailable(String),
    /// It wants to be shared by nodes, which its driver cannot.
    AccessMode(String),
    /// Its class makes volumes only in zones where no node is.
    Topology(String),
    /// Its pod has to be scheduled first, and is not.
    WaitsForPod,
    /// No pod uses it, and its class waits for one.
    NoConsumer,
    /// The provisioner says why.
    ProvisioningFailed(Refusal),
    /// The provisioner has not answered.
    NotProvisioned(String),
    /// It was bound to a volume that is gone.
    Lost(String),
}

pub(super) fn cause(
    snap: &Snapshot,
    claim: &PersistentVolumeClaim,
    class: Option<&StorageClass>,
) -> Result<Cause, Gap> {
    if let Some(volume) = claim.spec.volume_name.as_deref().filter(|v| !v.is_empty()) {
        return Ok(Cause::VolumeNotAvailable(named_volume(snap, claim, volume)));
    }
    let Some(class) = class else {
        return Ok(match claim.class() {
            Some("") => Cause::NoStaticVolume(misfits(snap, claim)),
            // A class that only volumes made by hand carry needs no object.
            Some(name) if claims::has_static_volume(snap, claim, name) => Cause::NoStaticVolume(misfits(snap, claim)),
            Some(name) => Cause::ClassMissing(name.to_owned()),
            None => Cause::NoDefaultClass,
        });
    };
    if let Some(event) = provisioning_error(snap, claim) {
        return Ok(Cause::ProvisioningFailed(Refusal::of(&event.message)));
    }
    // The scheduler has chosen a node: the provisioner is next.
    let provisioning = claims::is_asked_for(snap, claim);
    if class.waits_for_consumer() && !provisioning {
        let consumers = consumers(snap, claim)?;
        if consumers.is_empty() {
            return Ok(Cause::NoConsumer);
        }
        // The scheduler gives a pod no node that its volume could not be made for. Where nothing waits for a pod, the volume
        // is made in those zones, nodes or not.
        if let Some(text) = unreachable_topology(snap, class) {
            return Ok(Cause::Topology(text));
        }
        return Ok(Cause::WaitsForPod);
    }
    if class.provisioner == "kubernetes.io/no-provisioner" {
        return Ok(Cause::NoStaticVolume(misfits(snap, claim)));
    }
    if let Some(mode) = shared_mode(claim, class) {
        return Ok(Cause::AccessMode(mode));
    }
    Ok(Cause::NotProvisioned(class.provisioner.clone()))
}

/// What the events say of a claim whose class cannot be read.
pub(super) fn by_events(snap: &Snapshot, claim: &PersistentVolumeClaim) -> Option<Cause> {
    if let Some(event) = provisioning_error(snap, claim) {
        return Some(Cause::ProvisioningFailed(Refusal::of(&event.message)));
    }
    if claims::class_not_found(snap, claim).is_some() {
        return Some(Cause::ClassMissing(claim.class().unwrap_or_default().to_owned()));
    }
    if let Some(provisioner) = claims::awaited_provisioner(snap, claim) {
        return Some(Cause::NotProvisioned(provisioner.to_owned()));
    }
    let events = claims::events(snap, claim);
    let says = |reason: &str, part: &str| events.iter().any(|e| e.reason == reason && e.message.contains(part));
    if says("FailedBinding", "no storage class is set") && claim.class().is_none() {
        return Some(Cause::NoDefaultClass);
    }
    says("WaitForPodScheduled", "").then_some(Cause::WaitsForPod)
}

/// What is refused, and by which kind of policy.
pub(super) fn refused(denied: Option<&Denied>, message: &str) -> String {
    let what = denied.and_then(|d| d.action.clone()).unwrap_or_else(|| "the call".to_owned());
    let by = match denied.map(|d| d.by) {
        Some(By::ControlPolicy) => "a service control policy of the organization",
        Some(By::Boundary) => "the permissions boundary of its role",
        Some(By::EndpointPolicy) => "the policy of the VPC endpoint",
        Some(By::ResourcePolicy) => "the policy of the resource",
        _ => return format!("{what} ({})", first_line(message)),
    };
    let on = denied.and_then(|d| d.resource.clone()).map(|r| format!(" on {r}")).unwrap_or_default();
    format!("{what}{on}: it is {by}")
}

/// A policy above all roles denies the making of volumes, and those of the class are not encrypted: policies of
/// organizations ask for that more than for anything else (`ec2:Encrypted`).
pub(super) fn may_want_encryption(denied: Option<&Denied>, class: &StorageClass) -> bool {
    let of_volumes = |d: &Denied| {
        matches!(d.by, By::ControlPolicy | By::Boundary | By::ExplicitDeny)
            && d.action.as_deref() == Some("ec2:CreateVolume")
            && d.resource.as_deref().is_none_or(|r| r.contains(":volume/"))
    };
    let plain = class.parameters.get("encrypted").is_none_or(|v| v != "true");
    ebs::serves(&class.provisioner) && plain && denied.is_some_and(of_volumes)
}

/// Pods that mount a claim and want to run.
pub(super) fn consumers<'a>(snap: &'a Snapshot, claim: &PersistentVolumeClaim) -> Result<Vec<&'a Pod>, Gap> {
    let namespace = &claim.metadata.namespace;
    // Pods that were not read may well use it.
    snap.pods.covered(namespace)?;
    let pods = snap.pods()?.iter().filter(|p| p.metadata.namespace == *namespace && !p.is_finished());
    Ok(pods.filter(|p| p.claims().any(|c| c == claim.metadata.name)).collect())
}

/// The first line, cut to what a sentence holds.
pub(super) fn first_line(message: &str) -> String {
    shorten(message.lines().next().unwrap_or_default(), 300)
}
