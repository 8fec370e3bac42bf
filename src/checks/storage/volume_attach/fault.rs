//! What an event says of a volume that does not come up.

use crate::domain::kubernetes::claims::{ProvisioningCause, is_throttled};

/// Why Mountpoint does not mount a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum BucketCause {
    /// Nobody gives it credentials.
    Credentials,
    /// It may not list the bucket, or use its key.
    Denied,
    /// The bucket does not exist, or lies in another region.
    Missing,
    /// Mountpoint's own pod on the node does not run: no room, evicted, not made.
    NoPod,
    /// Something else.
    Other,
}

impl BucketCause {
    /// Reads the words of Mountpoint, where they are its.
    fn read(message: &str) -> Option<Self> {
        let has = |parts: &[&str]| parts.iter().any(|p| message.contains(p));
        if !has(&[
            "Failed to create S3 client",
            "mount-s3",
            "Mountpoint Pod",
            "MountpointS3PodAttachment",
            "ListObjectsV2 failed",
        ]) {
            return None;
        }
        if has(&["No signing credentials", "AssumeRoleWithWebIdentity", "failed to retrieve credentials"]) {
            return Some(Self::Credentials);
        }
        if has(&["AccessDenied", "Access Denied", "Forbidden", "not authorized"]) {
            return Some(Self::Denied);
        }
        let missing = ["NoSuchBucket", "bucket does not exist", "PermanentRedirect", "AuthorizationHeaderMalformed"];
        if has(&missing) {
            return Some(Self::Missing);
        }
        let no_pod =
            ["ountpoint pod not found", "is not in 'Running' status", "find corresponding MountpointS3PodAttachment"];
        Some(if has(&no_pod) { Self::NoPod } else { Self::Other })
    }
}

/// Why a volume does not come up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cause {
    /// It is attached to another node.
    MultiAttach,
    /// The node takes no more volumes.
    Limit,
    /// It stays in attaching.
    Stuck,
    /// It does not exist in EC2 any more.
    Gone,
    /// The driver does not run on the node.
    NodePlugin,
    /// EC2 refuses the driver's call.
    Iam,
    /// The driver's controller does not answer.
    Timeout,
    /// Its file system is damaged, or not the one that is expected.
    FileSystem,
    /// Kubernetes takes it for attached, and the node has no device of it.
    NoDevice,
    /// The kubelet still gives its files to the pod's group, one after the other.
    Ownership,
    /// The key that encrypts it cannot be used.
    Kms,
    /// EC2 does not tell the driver of the node's instance.
    NoInstance,
    /// It lies in another zone than the node.
    OtherZone,
    /// EC2 takes no more calls of the account for the moment.
    Throttled,
    /// A bucket of S3 cannot be mounted.
    Bucket(BucketCause),
    /// The node has no program that mounts such file systems.
    Helper,
    /// Mounting fails otherwise.
    Mount,
}

impl Cause {
    /// Reads a message of the attach-detach controller or of the kubelet, with the driver's error in it.
    pub(super) fn classify(message: &str) -> Self {
        let has = |parts: &[&str]| parts.iter().any(|p| message.contains(p));
        if let Some(fault) = BucketCause::read(message) {
            return Self::Bucket(fault);
        }
        if is_throttled(message) {
            return Self::Throttled;
        }
        if has(&[
            "Multi-Attach error",
            "is already exclusively attached",
            "VolumeInUse",
            "is already attached to an instance",
        ]) {
            return Self::MultiAttach;
        }
        if has(&[
            "AttachmentLimitExceeded",
            "maximum number of attachments",
            "exceed max volume count",
            "attachment limit",
            "Maximum number of volumes",
        ]) {
            return Self::Limit;
        }
        if has(&["InvalidVolume.ZoneMismatch", "is not in the same availability zone as instance"]) {
            return Self::OtherZone;
        }
        if instance(message).is_some() && has(&["not found", "InvalidInstanceID"]) {
            return Self::NoInstance;
        }
        if has(&["InvalidVolume.NotFound", "does not exist in AWS"]) || is_gone(message) {
            return Self::Gone;
        }
        if has(&[
            "not found in the list of registered CSI drivers",
            "does not contain driver",
            "no such file or directory\" transport",
            "csinode",
            "CSINode",
        ]) {
            return Self::NodePlugin;
        }
        if has(&["KMS", "kms:", "CustomerKeyHasBeenRevoked"]) {
            return Self::Kms;
        }
        if matches!(
            ProvisioningCause::classify(message),
            ProvisioningCause::Credentials | ProvisioningCause::Permission
        ) {
            return Self::Iam;
        }
        if has(&[
            "but was attaching",
            "is still attaching",
            "still being attached",
            "in attaching state",
            "state attaching",
        ]) {
            return Self::Stuck;
        }
        // Where the source is a server, no file system is damaged.
        if has(&["/sbin/mount.<type> helper program", "need to run helper program"]) || from_server(message) {
            return Self::Helper;
        }
        if has(&["no device path for device", "Failed to find device path"]) {
            return Self::NoDevice;
        }
        if has(&["Setting volume ownership for"]) {
            return Self::Ownership;
        }
        if has(&["wrong fs type", "bad superblock", "fsck", "tructure needs cleaning", "unknown filesystem", "corrupt"])
        {
            return Self::FileSystem;
        }
        if message.contains("AttachVolume")
            && has(&["timed out", "DeadlineExceeded", "context deadline exceeded", "external-attacher", "dial tcp"])
        {
            return Self::Timeout;
        }
        if has(&["Unable to attach or mount volumes", "timed out waiting for the condition"])
            && !message.contains("MountVolume")
        {
            return Self::Timeout;
        }
        Self::Mount
    }

    /// What is told of it: an event about attaching says more than the kubelet's "timed out".
    pub(super) fn weight(self) -> u8 {
        match self {
            Self::Timeout => 0,
            Self::Mount => 1,
            _ => 2,
        }
    }
}

/// A volume that the cloud does not know. Secrets and ConfigMaps that are missing are another matter.
fn is_gone(message: &str) -> bool {
    let at = message.find("vol-");
    at.is_some_and(|at| {
        let rest: String = message[at..].chars().take(60).collect();
        rest.contains("does not exist") || rest.contains("not found")
    })
}

/// `bad superblock on 10.0.0.5:/export`: a share of a server.
fn from_server(message: &str) -> bool {
    let source = message.split_once("bad superblock on ").and_then(|(_, rest)| rest.split([',', ' ']).next());
    source.is_some_and(|s| s.contains(":/") || s.starts_with("//"))
}

/// The instance that an error of the driver is about: `Instance "i-0a" not found`, `The instance ID 'i-0a' does not exist`.
pub(super) fn instance(message: &str) -> Option<&str> {
    let told = ["Instance \"", "instance ID '", "instance \""].iter().find_map(|w| message.split_once(w));
    let id = told?.1.split(['"', '\'', '\\']).next()?;
    id.starts_with("i-").then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_faults_apart() {
        let cases = [
            ("Multi-Attach error for volume \"pvc-1\" Volume is already used by pod(s) grafana-1", Cause::MultiAttach),
            (
                "AttachVolume.Attach failed for volume \"pvc-1\" : rpc error: code = Internal desc = Could not attach volume \"vol-1\" to node \"i-1\": attachment of disk \"vol-1\" failed, expected device to be attached but was attaching",
                Cause::Stuck,
            ),
            (
                "AttachVolume.Attach failed for volume \"pvc-1\" : rpc error: code = ResourceExhausted desc = operation error EC2: AttachVolume, api error AttachmentLimitExceeded: too many",
                Cause::Limit,
            ),
            (
                "AttachVolume.Attach failed for volume \"pvc-1\" : rpc error: code = Internal desc = api error InvalidVolume.NotFound: The volume 'vol-0a' does not exist.",
                Cause::Gone,
            ),
            (
                "AttachVolume.Attach failed for volume \"pvc-1\" : rpc error: code = NotFound desc = Volume vol-0a not found",
                Cause::Gone,
            ),
            (
                "AttachVolume.Attach failed for volume \"pvc-1\" : CSINode ip-10-0-1-1 does not contain driver ebs.csi.aws.com",
                Cause::NodePlugin,
            ),
            (
                "MountVolume.MountDevice failed for volume \"pvc-1\" : kubernetes.io/csi: attacher.MountDevice failed to create newCsiDriverClient: driver name ebs.csi.aws.com not found in the list of registered CSI drivers",
                Cause::NodePlugin,
            ),
            (
                "AttachVolume.Attach failed for volume \"pvc-1\" : rpc error: api error UnauthorizedOperation: You are not authorized",
                Cause::Iam,
            ),
            (
                "AttachVolume.Attach failed for volume \"pvc-1\" : rpc error: code = Internal desc = Could not attach volume \"vol-0a\" to node \"i-0a\": operation error EC2: AttachVolume, exceeded maximum number of attempts, 3, https response error StatusCode: 503, api error RequestLimitExceeded: Request limit exceeded.",
                Cause::Throttled,
            ),
            (
                "MountVolume.SetUp failed for volume \"s3-pv\" : rpc error: code = Internal desc = Could not mount \"data\": Mount failed: Failed to start service output: Error: Failed to create S3 client  Caused by: 0: initial ListObjectsV2 failed for bucket data in region us-east-1 1: Client error 2: No signing credentials available, see CRT debug logs",
                Cause::Bucket(BucketCause::Credentials),
            ),
            (
                "MountVolume.SetUp failed for volume \"s3-pv\" : rpc error: code = Internal desc = Could not mount \"data\": Failed to wait for Mountpoint Pod mp-7e to be ready: Mountpoint Pod mp-7e failed: Error: Failed to create S3 client Caused by: 0: initial ListObjectsV2 failed for bucket data in region eu-north-1 1: Client error 2: Forbidden: User: arn:aws:sts::1:assumed-role/r/s is not authorized to perform: s3:ListBucket",
                Cause::Bucket(BucketCause::Denied),
            ),
            (
                "MountVolume.SetUp failed for volume \"s3\": rpc error: code = Internal desc = Could not mount \"data\" at \"/var/lib/kubelet/pods/1/mount\": Failed to wait for Mountpoint Pod \"mp-46cdk\" to be ready: mppod/watcher: mountpoint pod not found. Seems like Mountpoint Pod is not in 'Running' status.",
                Cause::Bucket(BucketCause::NoPod),
            ),
            (
                "AttachVolume.Attach failed for volume \"pvc-1\" : timed out waiting for external-attacher of ebs.csi.aws.com CSI driver to attach volume vol-0a",
                Cause::Timeout,
            ),
            (
                "Unable to attach or mount volumes: unmounted volumes=[storage], unattached volumes=[], failed to process volumes=[]: timed out waiting for the condition",
                Cause::Timeout,
            ),
            (
                "MountVolume.MountDevice failed for volume \"pvc-1\" : mount failed: exit status 32 wrong fs type, bad option, bad superblock on /dev/nvme1n1",
                Cause::FileSystem,
            ),
            (
                "MountVolume.MountDevice failed for volume \"pvc-1\" : rpc error: code = NotFound desc = Failed to find device path /dev/xvdam. no device path for device \"/dev/xvdam\" volume \"vol-0a\" found",
                Cause::NoDevice,
            ),
            (
                "MountVolume.SetUp failed for volume \"pvc-1\" : applyFSGroup failed for vol vol-0a: lstat /var/lib/kubelet/pods/1/mount/db: structure needs cleaning",
                Cause::FileSystem,
            ),
            (
                "Setting volume ownership for 1/volumes/kubernetes.io~csi/pvc-1/mount is taking longer than expected, consider using OnRootMismatch - https://kubernetes.io/docs/",
                Cause::Ownership,
            ),
            (
                "MountVolume.SetUp failed for volume \"pvc-1\" : rpc error: code = Internal desc = Could not mount: already mounted or mount point busy",
                Cause::Mount,
            ),
            (
                "AttachVolume.Attach failed for volume \"pvc-1\" : rpc error: code = NotFound desc = Instance \"i-0a\" not found",
                Cause::NoInstance,
            ),
            (
                "AttachVolume.Attach failed for volume \"pvc-1\" : rpc error: code = Internal desc = api error InvalidVolume.ZoneMismatch: The volume 'vol-0a' is not in the same availability zone as instance 'i-0a'",
                Cause::OtherZone,
            ),
            (
                "MountVolume.SetUp failed for volume \"nfs\" : mount failed: exit status 32 Output: mount: /x: bad option; for several filesystems (e.g. nfs, cifs) you might need a /sbin/mount.<type> helper program.",
                Cause::Helper,
            ),
            (
                "MountVolume.SetUp failed for volume \"nfs\" : mount: wrong fs type, bad option, bad superblock on 10.0.0.5:/export, missing codepage or helper program",
                Cause::Helper,
            ),
        ];
        for (message, fault) in cases {
            assert_eq!(Cause::classify(message), fault, "{message}");
        }
    }
}
