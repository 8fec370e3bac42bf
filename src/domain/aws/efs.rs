//! EFS: what the driver says where a file system cannot be mounted.

/// The driver's name.
pub(crate) const DRIVER: &str = "efs.csi.aws.com";

/// Why a file system is not mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
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

impl Cause {
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

/// What keeps the driver from making a volume, which is an access point of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Unmade {
    /// The file system has as many access points as it may have.
    AccessPoints,
    /// A parameter of the class is refused, and EFS does not say which.
    Parameter,
    /// The file system that the class names is not there.
    NoFileSystem,
}

impl Unmade {
    /// Reads the provisioner's error.
    pub(crate) fn read(message: &str) -> Option<Self> {
        let has = |parts: &[&str]| parts.iter().any(|p| message.contains(p));
        if has(&["AccessPointLimitExceeded", "maximum number of access points"]) {
            return Some(Self::AccessPoints);
        }
        if has(&["FileSystemNotFound", "File System does not exist"]) {
            return Some(Self::NoFileSystem);
        }
        (message.contains("access point") && has(&["ValidationException", "BadRequest"])).then_some(Self::Parameter)
    }
}

/// What EFS may not take of a class's parameters: what is refused for certain comes first. Some versions of the driver put
/// the path together of them as they are, others clean it. It adds to what the driver said, and does not replace it.
pub(crate) fn misfit(parameters: &std::collections::BTreeMap<String, String>) -> Option<String> {
    let of = |name: &str| parameters.get(name).map(|v| v.trim());
    if of("fileSystemId").is_none_or(str::is_empty) {
        return Some("it names no fileSystemId".to_owned());
    }
    let octal = |v: &&str| !v.is_empty() && v.len() <= 4 && v.bytes().all(|b| (b'0'..=b'7').contains(&b));
    if let Some(perms) = of("directoryPerms").filter(|p| !octal(p)) {
        return Some(format!("directoryPerms {perms} is no octal mode, such as 700"));
    }
    let base = of("basePath").filter(|b| b.len() > 1 && b.ends_with('/'));
    base.filter(|_| of("ensureUniqueDirectory") != Some("true")).map(|base| {
        format!("basePath {base} ends in a slash: older drivers make a path with two of it, which EFS refuses")
    })
}

/// The file system's id of a volume handle: `fs-1::fsap-2`, `fs-1:/path`.
pub(crate) fn file_system(handle: &str) -> &str {
    handle.split(':').next().unwrap_or(handle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_it_from_making_a_volume() {
        for (text, wanted) in [
            (
                "Failed to create access point: AccessPointLimitExceeded: You have reached the maximum number of access points",
                Some(Unmade::AccessPoints),
            ),
            ("Failed to create access point: ValidationException: \n\tstatus code: 400", Some(Unmade::Parameter)),
            (
                "rpc error: code = InvalidArgument desc = File System does not exist: Resource was not found",
                Some(Unmade::NoFileSystem),
            ),
            ("Failed to create access point: AccessPointAlreadyExists: ", None),
            ("could not create volume in EC2: ValidationException", None),
        ] {
            assert_eq!(Unmade::read(text), wanted, "{text}");
        }
        let class =
            |pairs: &[(&str, &str)]| misfit(&pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect());
        let slash = ("basePath", "/data/");
        assert!(class(&[("fileSystemId", "fs-1"), slash]).is_some_and(|m| m.contains("two")));
        assert_eq!(class(&[("fileSystemId", "fs-1"), slash, ("ensureUniqueDirectory", "true")]), None);
        assert_eq!(class(&[("fileSystemId", "fs-1"), ("basePath", "/")]), None, "the root");
        assert!(class(&[("basePath", "/data")]).is_some_and(|m| m.contains("fileSystemId")));
        assert!(class(&[("fileSystemId", "fs-1"), ("directoryPerms", "rwx")]).is_some());
        assert_eq!(class(&[("fileSystemId", "fs-1"), ("basePath", "/data"), ("directoryPerms", "0700")]), None);
    }

    #[test]
    fn the_drivers_words() {
        for (text, wanted) in [
            (
                "Output: Failed to resolve \"fs-0a1.efs.us-east-1.amazonaws.com\" - check that your file system ID is correct",
                Some(Cause::Name),
            ),
            ("mount.nfs4: Connection timed out", Some(Cause::Timeout)),
            ("rpc error: code = DeadlineExceeded desc = context deadline exceeded", Some(Cause::Timeout)),
            ("mount.nfs4: access denied by server while mounting 127.0.0.1:/", Some(Cause::Denied)),
            (
                "mount.nfs4: mounting 127.0.0.1:/grafana failed, reason given by server: No such file or directory",
                Some(Cause::Path),
            ),
            ("driver name efs.csi.aws.com not found in the list of registered CSI drivers", Some(Cause::Driver)),
            ("configmap \"x\" not found", None),
        ] {
            assert_eq!(Cause::classify(text), wanted, "{text}");
        }
        assert_eq!(file_system("fs-0a1::fsap-0b2"), "fs-0a1");
    }
}
