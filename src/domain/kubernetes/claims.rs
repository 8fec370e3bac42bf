//! Pending claims: which there are, what they ask for, what the cluster said about them.

use crate::domain::text::api_host::ApiHost;
use crate::domain::text::windows::GRACE;
pub(crate) use crate::domain::text::windows::RECENT;
use crate::model::{Gap, ResourceRef};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Event, PersistentVolumeClaim, Pod, StorageClass, Workload, annotation};

/// Claims of the stack that have been Pending for longer than provisioning takes.
pub(crate) fn pending(snap: &Snapshot) -> Result<Vec<&PersistentVolumeClaim>, Gap> {
    let claims = snap.persistent_volume_claims()?.iter();
    Ok(claims
        .filter(|c| snap.scope.is_judged(&c.metadata.namespace) && c.metadata.deletion_timestamp.is_none())
        .filter(|c| c.status.phase == "Pending" && snap.age_seconds(&c.metadata) >= GRACE)
        .collect())
}

/// Claims of the stack that were bound to a volume which does not exist any more.
pub(crate) fn lost(snap: &Snapshot) -> Result<Vec<&PersistentVolumeClaim>, Gap> {
    let claims = snap.persistent_volume_claims()?.iter();
    let of_stack = claims.filter(|c| snap.scope.is_stack(&c.metadata.namespace));
    Ok(of_stack.filter(|c| c.status.phase == "Lost" && c.metadata.deletion_timestamp.is_none()).collect())
}

/// The class a claim uses: named, or the default one. `Ok(None)` means that there is none.
pub(crate) fn class_of<'a>(snap: &'a Snapshot, claim: &PersistentVolumeClaim) -> Result<Option<&'a StorageClass>, Gap> {
    let classes = snap.storage_classes()?;
    Ok(match claim.class() {
        Some("") => None,
        Some(name) => classes.iter().find(|c| c.metadata.name == name),
        None => classes.iter().find(|c| c.is_default()),
    })
}

/// Workloads that mount a claim, or whose template made it.
pub(crate) fn users<'a>(snap: &'a Snapshot, claim: &PersistentVolumeClaim) -> Vec<&'a Workload> {
    let mounts = |w: &Workload| {
        let volumes = w.spec.template.spec.volumes.iter();
        volumes.filter_map(|v| v.persistent_volume_claim.as_ref()).any(|c| c.claim_name == claim.metadata.name)
    };
    beside(snap, claim).filter(|w| template_of(w, &claim.metadata.name).is_some() || mounts(w)).collect()
}

/// The StatefulSet that made a claim, and the template in it.
pub(crate) fn maker<'a>(
    snap: &'a Snapshot,
    claim: &PersistentVolumeClaim,
) -> Option<(&'a Workload, &'a PersistentVolumeClaim)> {
    beside(snap, claim).find_map(|w| Some((w, template_of(w, &claim.metadata.name)?)))
}

/// A StatefulSet makes the claim again once it is gone. Where none was read, the names tell it: `<template>-<pod>`.
pub(crate) fn is_made_again(snap: &Snapshot, claim: &PersistentVolumeClaim) -> bool {
    let (namespace, name) = (&claim.metadata.namespace, &claim.metadata.name);
    let of_set = |p: &Pod| p.metadata.controller().is_some_and(|o| o.kind == "StatefulSet");
    let is_named = |p: &Pod| name.strip_suffix(&p.metadata.name).is_some_and(|template| template.ends_with('-'));
    if snap.workloads.covers(namespace) {
        return maker(snap, claim).is_some();
    }
    let mut pods = snap.pods.items().unwrap_or_default().iter().filter(|p| p.metadata.namespace == *namespace);
    pods.any(|p| of_set(p) && is_named(p) && p.claims().any(|c| c == name))
}

fn beside<'a>(snap: &'a Snapshot, claim: &PersistentVolumeClaim) -> impl Iterator<Item = &'a Workload> {
    let all = snap.workloads.items().unwrap_or_default().iter();
    all.filter(|w| w.metadata.namespace == claim.metadata.namespace)
}

/// The template that a StatefulSet made a claim from, by the names: `<template>-<set>-<number>`.
pub(crate) fn template_of<'a>(set: &'a Workload, claim: &str) -> Option<&'a PersistentVolumeClaim> {
    set.spec.volume_claim_templates.iter().find(|t| {
        let rest = claim.strip_prefix(&format!("{}-{}-", t.metadata.name, set.metadata.name));
        rest.is_some_and(|ordinal| !ordinal.is_empty() && ordinal.bytes().all(|b| b.is_ascii_digit()))
    })
}

/// The provisioner's turn has come: the scheduler has chosen a node, or the class does not wait for one; or it says so itself.
pub(crate) fn is_asked_for(snap: &Snapshot, claim: &PersistentVolumeClaim) -> bool {
    // Of a class that is missing, Kubernetes itself says ProvisioningFailed.
    let tried = |message: &str| message.starts_with("failed to provision volume");
    claim.metadata.annotations.contains_key(annotation::SELECTED_NODE)
        || events(snap, claim).iter().any(|e| {
            e.reason == "ExternalProvisioning" || (e.reason == "ProvisioningFailed" && tried(e.message.trim()))
        })
}

/// The claim names no volume of its own.
pub(crate) fn is_unbound(claim: &PersistentVolumeClaim) -> bool {
    claim.spec.volume_name.as_deref().unwrap_or_default().is_empty()
}

/// The class that would make a good default: one of the driver `own`, gp3 first, that provisions by itself.
pub(crate) fn candidate<'a>(classes: &'a [StorageClass], own: &str) -> Option<&'a str> {
    let of_driver = || classes.iter().filter(|c| c.provisioner == own);
    let gp3 = || of_driver().find(|c| c.parameters.get("type").is_none_or(|t| t == "gp3"));
    let other = || classes.iter().find(|c| c.provisioner.contains(".csi.") && !c.provisioner.contains("efs"));
    let chosen =
        of_driver().find(|c| c.metadata.name == "gp3").or_else(gp3).or_else(|| of_driver().next()).or_else(other);
    chosen.map(|c| c.metadata.name.as_str())
}

/// Classes need not exist where a volume that was made by hand carries their name.
pub(crate) fn has_static_volume(snap: &Snapshot, claim: &PersistentVolumeClaim, class: &str) -> bool {
    let volumes = snap.persistent_volumes.items().unwrap_or_default();
    let reserved = |v: &crate::snapshot::kubernetes::PersistentVolume| {
        // A Released volume was a former claim's of this name; it binds to nobody.
        let free = !matches!(v.status.phase.as_str(), "Released" | "Failed");
        let own = v.spec.claim_ref.as_ref().is_some_and(|r| {
            r.namespace == claim.metadata.namespace
                && r.name == claim.metadata.name
                && r.uid.as_deref().is_none_or(|uid| uid.is_empty() || uid == claim.metadata.uid)
        });
        free && own
    };
    volumes.iter().any(reserved) || has_available_volume(snap, class)
}

/// A volume made by hand that carries this class name is free.
pub(crate) fn has_available_volume(snap: &Snapshot, class: &str) -> bool {
    let volumes = snap.persistent_volumes.items().unwrap_or_default();
    volumes.iter().any(|v| v.status.phase == "Available" && v.spec.storage_class_name.as_deref() == Some(class))
}

/// Events about a claim, newest first.
pub(crate) fn events<'a>(snap: &'a Snapshot, claim: &PersistentVolumeClaim) -> Vec<&'a Event> {
    snap.events_about("PersistentVolumeClaim", &claim.metadata, RECENT)
}

/// The provisioning error of a claim that says most: the newest, unless it says only that time ran out or that something
/// failed, and another one says why. A class that was missing and exists now is history.
pub(crate) fn provisioning_error<'a>(snap: &'a Snapshot, claim: &PersistentVolumeClaim) -> Option<&'a Event> {
    let failed = |e: &&Event| {
        e.reason == "ProvisioningFailed" && !(e.message.contains("storageclass") && e.message.contains("not found"))
    };
    let all: Vec<&Event> = events(snap, claim).into_iter().filter(failed).collect();
    let telling = all.iter().find(|e| {
        !matches!(ProvisioningCause::classify(&e.message), ProvisioningCause::Other | ProvisioningCause::Timeout)
    });
    telling.or(all.first()).copied()
}

/// The last word on a claim, where it is that the claim's class does not exist. For where the classes cannot be read.
pub(crate) fn class_not_found<'a>(snap: &'a Snapshot, claim: &PersistentVolumeClaim) -> Option<&'a Event> {
    let class = claim.class().filter(|c| !c.is_empty())?;
    let last = events(snap, claim).into_iter().find(|e| e.reason == "ProvisioningFailed")?;
    let says = last.message.contains("storageclass") && last.message.contains("not found");
    (says && last.message.contains(&format!("\"{class}\""))).then_some(last)
}

/// The driver that an event of a claim waits for.
pub(crate) fn awaited_provisioner<'a>(snap: &'a Snapshot, claim: &PersistentVolumeClaim) -> Option<&'a str> {
    let waits = events(snap, claim).into_iter().find(|e| e.reason == "ExternalProvisioning")?;
    // 'ebs.csi.aws.com' since 1.26, "ebs.csi.aws.com" before.
    let (_, rest) = waits.message.split_once("provisioner ")?;
    let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    rest[1..].split(quote).next().filter(|name| !name.is_empty())
}

/// What an error of the provisioner says of the cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ProvisioningCause {
    /// The driver's role could not be assumed, or there are no credentials.
    Credentials,
    /// The role lacks a permission.
    Permission,
    /// A policy denies it, whatever the role is allowed: of the organization, of the boundary, of an endpoint.
    Denied,
    /// The key may not be used by the role.
    Kms,
    /// The key is disabled, about to be deleted, or gone.
    Key,
    /// The snapshot or volume that it is to be made from is missing or not ready.
    Source,
    /// The zone does not have the volume type, or does not exist.
    Zone,
    /// The API of the cloud takes no more calls of the account for the moment.
    Throttled,
    /// A limit or quota is reached.
    Quota,
    /// The driver cannot share a volume between nodes.
    AccessMode,
    /// A parameter or size that the volume type does not take.
    Parameter,
    /// No node, or no zone, where the class may make a volume.
    Topology,
    /// Somebody else answers in the place of the API of the cloud, or opens TLS on the way to it.
    Stranger,
    /// The driver's controller does not answer, or the API of the cloud.
    Timeout,
    /// Something else.
    Other,
}

/// AWS takes no more calls of the account for the moment, says an error of a driver.
pub(crate) fn is_throttled(message: &str) -> bool {
    ["RequestLimitExceeded", "api error Throttling", "ThrottlingException", "Throttling: Rate exceeded"]
        .iter()
        .any(|word| message.contains(word))
}

/// The snapshot that a claim is to be made from, where none of that name is in the claim's namespace:
/// `error getting snapshot db-1 from api server: volumesnapshots.snapshot.storage.k8s.io "db-1" not found`.
pub(crate) fn missing_snapshot(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("volumesnapshots.snapshot.storage.k8s.io \"")?;
    let (name, rest) = rest.split_once('"')?;
    rest.starts_with(" not found").then_some(name)
}

/// The snapshot that a claim is to be made from, where it is there and cannot be used yet: `snapshot db-1 is not Ready`,
/// `snapshot db-1 not bound`.
pub(crate) fn unready_snapshot(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("DataSource Type VolumeSnapshot by Name ")?;
    let (name, why) = rest.split_once(": ")?;
    [" is not Ready", " not bound"].iter().any(|w| why.contains(w)).then_some(name)
}

impl ProvisioningCause {
    /// Reads an error message of external-provisioner with the AWS error in it.
    pub(crate) fn classify(message: &str) -> Self {
        let has = |parts: &[&str]| parts.iter().any(|p| message.contains(p));
        if ApiHost::lost(message).is_some_and(|(_, lost)| lost.is_stranger()) {
            return Self::Stranger;
        }
        if has(&["KMSInvalidState", "is pending deletion", "DisabledException", "InvalidKmsKey", "key is disabled"])
            || (has(&[":key/"]) && has(&["does not exist", "is disabled"]))
        {
            return Self::Key;
        }
        if has(&[
            "explicit deny",
            "service control policy",
            "permissions boundary",
            "endpoint policy",
            "TagPolicyViolation",
        ]) {
            return Self::Denied;
        }
        if has(&["KMS", "kms:", "IdempotentParameterMismatch", "InvalidVolume.NotFound"]) {
            return Self::Kms;
        }
        if has(&[
            "DataSource Type",
            "InvalidSnapshot",
            "volumesnapshot",
            "VolumeSnapshot",
            "snapshots.snapshot.storage",
        ]) {
            return Self::Source;
        }
        if has(&[
            "UnknownVolumeType",
            "InsufficientVolumeCapacity",
            "InvalidZone.NotFound",
            "is not available in the zone",
            "not available in the selected",
        ]) {
            return Self::Zone;
        }
        // Who is not reached refused nothing: the role may well be right.
        if has(&["https://sts."]) && has(&["dial tcp", "i/o timeout", "no such host", "Client.Timeout"]) {
            return Self::Timeout;
        }
        if has(&[
            "AssumeRoleWithWebIdentity",
            "WebIdentityErr",
            "failed to retrieve credentials",
            "NoCredentialProviders",
            "InvalidIdentityToken",
            "no EC2 IMDS role found",
            "failed to refresh cached credentials",
            "ExpiredToken",
        ]) {
            return Self::Credentials;
        }
        if has(&[
            "UnauthorizedOperation",
            "AccessDenied",
            "Access Denied",
            "is not authorized to perform",
            "You are not authorized",
        ]) {
            return Self::Permission;
        }
        if has(&[
            "only supports SINGLE_NODE_WRITER",
            "MULTI_NODE",
            "multi-node",
            "access mode",
            "AccessMode",
            "Volume capabilities not supported",
        ]) {
            return Self::AccessMode;
        }
        // It passes, and no quota of volumes is in the way.
        if is_throttled(message) {
            return Self::Throttled;
        }
        if has(&["exceeded quota", "LimitExceeded", "Quota", "quota"]) {
            return Self::Quota;
        }
        if has(&[
            "error generating accessibility requirements",
            "no topology key found",
            "does not satisfy",
            "is not in allowed topologies",
            "no available volume zone",
        ]) {
            return Self::Topology;
        }
        if has(&[
            "InvalidParameterValue",
            "InvalidParameterCombination",
            "Invalid parameter",
            "InvalidArgument",
            "InvalidParameterDependency",
            "UnknownParameter",
            "invalid VolumeParameters",
            "cannot parse",
            "OutOfRange",
            "iops",
            "IOPS",
        ]) {
            return Self::Parameter;
        }
        if has(&[
            "DeadlineExceeded",
            "context deadline exceeded",
            "RequestCanceled",
            "timed out",
            "i/o timeout",
            "connection refused",
        ]) {
            return Self::Timeout;
        }
        Self::Other
    }

    /// True for faults that lie in the driver's IAM role.
    pub(crate) fn is_iam(self) -> bool {
        matches!(self, Self::Credentials | Self::Permission | Self::Kms)
    }
}

/// True if some claim's provisioning fails for IAM reasons now.
pub(crate) fn iam_errors(snap: &Snapshot) -> Vec<(ResourceRef, &Event)> {
    let claims = pending(snap).unwrap_or_default();
    let errors = claims.iter().filter_map(|c| {
        let event = provisioning_error(snap, c)?;
        let fault = ProvisioningCause::classify(&event.message);
        fault.is_iam().then(|| (ResourceRef::pvc(&c.metadata.namespace, &c.metadata.name), event))
    });
    errors.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::testing::snapshot;
    use crate::snapshot::Listing;

    fn parsed<T: serde::de::DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).expect("an object")
    }

    fn claim(name: &str) -> PersistentVolumeClaim {
        parsed(json!({"metadata": {"namespace": "monitoring", "name": name}}))
    }

    #[test]
    fn the_snapshot_that_is_not_in_the_namespace() {
        let said = "error getting handle for DataSource Type VolumeSnapshot by Name db-1: error getting snapshot db-1 from \
                    api server: volumesnapshots.snapshot.storage.k8s.io \"db-1\" not found";
        assert_eq!(missing_snapshot(said), Some("db-1"));
        let forbidden = "volumesnapshots.snapshot.storage.k8s.io \"db-1\" is forbidden: User cannot get resource";
        assert_eq!(missing_snapshot(forbidden), None);
        let unready =
            "error getting handle for DataSource Type VolumeSnapshot by Name db-1: snapshot db-1 is not Ready";
        assert_eq!((unready_snapshot(unready), missing_snapshot(unready)), (Some("db-1"), None));
        assert_eq!(unready_snapshot(said), None);
    }

    #[test]
    fn a_claim_is_made_again_by_a_template_alone() {
        let set = json!({"metadata": {"namespace": "monitoring", "name": "db"},
            "spec": {"volumeClaimTemplates": [{"metadata": {"name": "data"}}],
                "template": {"spec": {"volumes": [{"name": "own", "persistentVolumeClaim": {"claimName": "by-hand"}}]}}}});
        let set: Workload = Workload { kind: "StatefulSet".to_owned(), ..parsed(set) };
        let mut snap = snapshot(json!({}));
        snap.workloads = Listing::cluster(vec![set]);
        assert!(is_made_again(&snap, &claim("data-db-0")));
        assert!(!is_made_again(&snap, &claim("data-db-x")));
        assert!(!is_made_again(&snap, &claim("by-hand")), "it only mounts this one");
        assert_eq!(users(&snap, &claim("by-hand")).len(), 1);
        // StatefulSets cannot be read: the pod and the names tell.
        let pod = json!({"metadata": {"namespace": "monitoring", "name": "db-0",
                "ownerReferences": [{"kind": "StatefulSet", "name": "db", "controller": true}]},
            "spec": {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data-db-0"}},
                {"name": "own", "persistentVolumeClaim": {"claimName": "by-hand"}}]}});
        snap = snapshot(json!({}));
        snap.workloads = Snapshot::empty(snap.collected_at).workloads;
        snap.pods = Listing::cluster(vec![parsed(pod)]);
        assert!(is_made_again(&snap, &claim("data-db-0")));
        assert!(!is_made_again(&snap, &claim("by-hand")));
    }

    #[test]
    fn tells_the_provisioning_faults_apart() {
        let cases = [
            (
                "could not create volume in EC2: UnauthorizedOperation: You are not authorized to perform this operation.",
                ProvisioningCause::Permission,
            ),
            (
                "rpc error: code = Internal desc = WebIdentityErr: failed to retrieve credentials\ncaused by: AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity",
                ProvisioningCause::Credentials,
            ),
            (
                "operation error EC2: CreateVolume, get identity: get credentials: failed to refresh cached credentials, no EC2 IMDS role found",
                ProvisioningCause::Credentials,
            ),
            (
                "api error VolumeLimitExceeded: You have exceeded your maximum gp3 storage limit",
                ProvisioningCause::Quota,
            ),
            (
                "could not create volume in EC2: operation error EC2: CreateVolume, exceeded maximum number of attempts, 50, https response error StatusCode: 503, api error RequestLimitExceeded: Request limit exceeded.",
                ProvisioningCause::Throttled,
            ),
            ("Client.IdempotentParameterMismatch: resource already deleted", ProvisioningCause::Kms),
            ("rpc error: code = DeadlineExceeded desc = context deadline exceeded", ProvisioningCause::Timeout),
            (
                "rpc error: code = InvalidArgument desc = Volume capabilities MULTI_NODE_MULTI_WRITER not supported. Only AccessModes[ReadWriteOnce] supported.",
                ProvisioningCause::AccessMode,
            ),
            (
                "could not create volume in EC2: InvalidParameterValue: Volume iops of 100 is too low; minimum is 3000",
                ProvisioningCause::Parameter,
            ),
            (
                "error generating accessibility requirements: no topology key found on CSINode ip-10-0-1-1",
                ProvisioningCause::Topology,
            ),
            ("rpc error: code = Unknown desc = something else", ProvisioningCause::Other),
            (
                "rpc error: code = Unauthenticated desc = Access Denied. Please ensure you have the right AWS permissions: Access denied",
                ProvisioningCause::Permission,
            ),
            (
                "get identity: get credentials: failed to refresh cached credentials, failed to retrieve credentials, operation error STS: AssumeRoleWithWebIdentity, request send failed, Post \"https://sts.eu-west-1.amazonaws.com/\": dial tcp 1.2.3.4:443: i/o timeout",
                ProvisioningCause::Timeout,
            ),
            (
                "api error TagPolicyViolation: The tag policy does not allow the specified value for the following tag key: 'env'.",
                ProvisioningCause::Denied,
            ),
            (
                "operation error EC2: CreateVolume, request send failed, Post \"https://ec2.us-east-1.amazonaws.com/\": tls: failed to verify certificate: x509: certificate is valid for *.wpengine.com, not ec2.us-east-1.amazonaws.com",
                ProvisioningCause::Stranger,
            ),
            (
                "failed to refresh cached credentials, operation error STS: AssumeRoleWithWebIdentity, Post \"https://sts.us-east-1.amazonaws.com/\": x509: certificate signed by unknown authority",
                ProvisioningCause::Stranger,
            ),
            (
                "List Access Points failed: RequestCanceled: request context canceled\ncaused by: context canceled",
                ProvisioningCause::Timeout,
            ),
            (
                "could not create volume in EC2: InvalidParameterDependency: The parameter KmsKeyId requires the parameter Encrypted to be set.",
                ProvisioningCause::Parameter,
            ),
        ];
        for (message, fault) in cases {
            assert_eq!(ProvisioningCause::classify(message), fault, "{message}");
        }
    }
}
