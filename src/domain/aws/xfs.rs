//! File systems that the EBS CSI driver makes with the tools of its own image, and kernels that are older than those.

use crate::domain::aws::{csi_node, ebs};
use crate::domain::kubernetes::skew;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Node, PersistentVolume};

/// From which minor version of the driver on its file systems of XFS need which kernel.
const NEED: &[(u16, (u16, u16))] = &[(49, (5, 19)), (23, (5, 10))];

/// A driver that makes file systems which a node does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Newer {
    /// The driver's minor version of 1.
    pub(crate) driver: u16,
    /// The first kernel that knows what it makes.
    pub(crate) needs: (u16, u16),
    /// The node's own.
    pub(crate) kernel: String,
}

/// `(5, 4)` of `5.4.0-1113-aws-fips`.
pub(crate) fn kernel(version: &str) -> Option<(u16, u16)> {
    let mut parts = version.split(['.', '-', '+']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// The driver's file systems of XFS are newer than the node's kernel, and this volume has one.
pub(crate) fn newer(snap: &Snapshot, node: &Node, volume: &PersistentVolume) -> Option<Newer> {
    let csi = volume.spec.csi.as_ref().filter(|c| c.driver == ebs::DRIVER)?;
    csi.fs_type.as_deref().filter(|f| f.eq_ignore_ascii_case("xfs"))?;
    let daemons = csi_node::daemon_set(snap, ebs::DRIVER)?;
    let containers = &daemons.spec.template.spec.containers;
    // An option makes them as older tools did.
    if containers.iter().flat_map(|c| &c.args).any(|a| a.contains("legacy-xfs") && !a.ends_with("=false")) {
        return None;
    }
    let driver = containers
        .iter()
        .filter(|c| c.image.contains("ebs-csi-driver"))
        .find_map(|c| skew::minor_of_image(&c.image))?;
    let (_, needs) = NEED.iter().find(|(from, _)| driver >= *from)?;
    let version = &node.status.node_info.kernel_version;
    (kernel(version)? < *needs).then(|| Newer { driver, needs: *needs, kernel: version.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Listing;
    use crate::snapshot::kubernetes::Workload;
    use serde_json::json;

    fn of(tag: &str, args: &[&str], kernel: &str, fs: &str) -> Option<(u16, u16)> {
        let mut snap = Snapshot::empty(jiff::Timestamp::UNIX_EPOCH);
        let set = json!({"metadata": {"name": "ebs-csi-node", "namespace": "kube-system"}, "spec": {"template": {"spec": {
            "containers": [{"name": "ebs-plugin", "image": format!("public.ecr.aws/ebs-csi-driver/aws-ebs-csi-driver:{tag}"), "args": args}]}}}});
        let set = Workload { kind: "DaemonSet".into(), ..serde_json::from_value(set).expect("a DaemonSet") };
        snap.workloads = Listing::cluster(vec![set]);
        let node = json!({"metadata": {"name": "n"}, "status": {"nodeInfo": {"kernelVersion": kernel}}});
        let volume = json!({"metadata": {"name": "v"}, "spec": {"csi": {"driver": "ebs.csi.aws.com", "volumeHandle": "vol-1", "fsType": fs}}});
        let (node, volume) =
            (serde_json::from_value(node).expect("a node"), serde_json::from_value(volume).expect("a volume"));
        newer(&snap, &node, &volume).map(|n| n.needs)
    }

    #[test]
    fn drivers_and_kernels() {
        assert_eq!(of("v1.33.0", &["node"], "5.4.0-1113-aws-fips", "xfs"), Some((5, 10)));
        assert_eq!(of("v1.54.0", &["node"], "5.10.245-241.976.amzn2.x86_64", "xfs"), Some((5, 19)));
        assert_eq!(of("v1.48.0", &["node"], "5.10.245-241.976.amzn2.x86_64", "xfs"), None);
        assert_eq!(of("v1.54.0", &["node"], "6.1.158-178.288.amzn2023.x86_64", "xfs"), None);
        assert_eq!(of("v1.54.0", &["node", "--legacy-xfs=true"], "5.4.0", "xfs"), None);
        assert_eq!(of("v1.54.0", &["node"], "5.4.0", "ext4"), None);
        assert_eq!(of("v1.54.0", &["node"], "", "xfs"), None, "nobody knows the kernel");
    }
}
