//! EFS: what the driver says where a file system cannot be mounted.

/// The driver's name.
pub(crate) const DRIVER: &str = "efs.csi.aws.com";

/// Why a file system is not mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// Its name does not resolve: no mount target in the zone, no DNS in the VPC, or a wrong id.
    Name,
    /// Its mount target does not answer on 2049.
    Timeout,
    /// EFS refuses the client: access point, policy of the file system, IAM.
    Denied,
    /// The path, or the access point, does not exist.
    Path,
    /// The driver does not run on the node.
    Driver,
}

impl Fault {
    /// Reads the kubelet's message with the driver's in it; `None` where it is not told.
    pub(crate) fn classify(message: &str) -> Option<Self> {
        let has = |parts: &[&str]| parts.iter().any(|p| message.contains(p));
        if has(&["not found in the list of registered CSI drivers"]) {
            return Some(Self::Driver);
        }
        if has(&[
            "Failed to resolve",
            "Name or service not known",
            "does not exist in the DNS",
            "mount target for this",
        ]) {
            return Some(Self::Name);
        }
        if has(&["access denied by server", "AccessDenied", "Permission denied", "not authorized to perform"]) {
            return Some(Self::Denied);
        }
        if has(&[
            "No such file or directory",
            "AccessPointNotFound",
            "access point does not exist",
            "FileSystemNotFound",
        ]) {
            return Some(Self::Path);
        }
        has(&["timed out", "DeadlineExceeded", "Connection reset by peer", "no route to host", "Connection refused"])
            .then_some(Self::Timeout)
    }

    /// What says more wins: a timeout may follow from anything.
    pub(crate) fn weight(self) -> u8 {
        if self == Self::Timeout { 0 } else { 1 }
    }
}

/// The file system's id of a volume handle: `fs-1::fsap-2`, `fs-1:/path`.
pub(crate) fn file_system(handle: &str) -> &str {
    handle.split(':').next().unwrap_or(handle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drivers_words() {
        for (text, wanted) in [
            (
                "Output: Failed to resolve \"fs-0a1.efs.us-east-1.amazonaws.com\" - check that your file system ID is correct",
                Some(Fault::Name),
            ),
            ("mount.nfs4: Connection timed out", Some(Fault::Timeout)),
            ("rpc error: code = DeadlineExceeded desc = context deadline exceeded", Some(Fault::Timeout)),
            ("mount.nfs4: access denied by server while mounting 127.0.0.1:/", Some(Fault::Denied)),
            (
                "mount.nfs4: mounting 127.0.0.1:/grafana failed, reason given by server: No such file or directory",
                Some(Fault::Path),
            ),
            ("driver name efs.csi.aws.com not found in the list of registered CSI drivers", Some(Fault::Driver)),
            ("configmap \"x\" not found", None),
        ] {
            assert_eq!(Fault::classify(text), wanted, "{text}");
        }
        assert_eq!(file_system("fs-0a1::fsap-0b2"), "fs-0a1");
    }
}
