//! Nodes whose kubelet is further from the API server than Kubernetes supports.

use std::collections::BTreeMap;

use crate::domain::kubernetes::skew;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Node;

/// Minor versions that a kubelet may be older than the API server, since Kubernetes 1.28.
const BEHIND: u16 = 3;

/// What makes nodes, and of which their version is changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Maker {
    /// A managed node group.
    Group(String),
    /// A node pool of Karpenter or EKS Auto Mode.
    Pool(String),
    /// Fargate, which makes one for each pod: of the version that the control plane has at that time.
    Fargate,
    /// Somebody else.
    Other,
}

/// Nodes of one maker that are apart.
pub(crate) struct Apart<'a> {
    pub(crate) maker: Maker,
    /// The kubelets' minor version.
    pub(crate) minor: u16,
    pub(crate) nodes: Vec<&'a Node>,
}

/// Such nodes, and the minor version of the API server.
pub(crate) fn apart(snap: &Snapshot) -> Option<(u16, Vec<Apart<'_>>)> {
    let server = skew::of_server(snap)?;
    let mut all: BTreeMap<(Maker, u16), Vec<&Node>> = BTreeMap::new();
    for node in snap.nodes.items().ok()? {
        let Some(minor) = skew::minor(&node.status.node_info.kubelet_version) else { continue };
        if minor > server || minor + BEHIND < server {
            all.entry((maker(node), minor)).or_default().push(node);
        }
    }
    let all = all.into_iter().map(|((maker, minor), nodes)| Apart { maker, minor, nodes });
    Some((server, all.collect()))
}

fn maker(node: &Node) -> Maker {
    let label = |name: &str| node.metadata.label(name).map(str::to_owned);
    if node.is_fargate() {
        return Maker::Fargate;
    }
    if let Some(pool) = label("karpenter.sh/nodepool").or(label("karpenter.sh/provisioner-name")) {
        return Maker::Pool(pool);
    }
    label("eks.amazonaws.com/nodegroup").map_or(Maker::Other, Maker::Group)
}

/// The last minor version for which EKS makes images of Amazon Linux 2.
const LAST_OF_AL2: u16 = 32;

/// They run Amazon Linux 2, and this version of Kubernetes has no image of that.
pub(crate) fn needs_other_image(nodes: &[&Node], server: u16) -> bool {
    server > LAST_OF_AL2 && nodes.iter().all(|n| n.status.node_info.os_image == "Amazon Linux 2")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Listing;
    use serde_json::json;

    #[test]
    fn three_minors_behind_is_supported_and_four_are_not() {
        let node = |name: &str, version: &str| -> Node {
            serde_json::from_value(json!({"metadata": {"name": name, "labels": {"eks.amazonaws.com/nodegroup": "g"}},
                "status": {"nodeInfo": {"kubeletVersion": version}}}))
            .expect("a node")
        };
        let mut snap = Snapshot::empty("2026-11-21T03:00:00Z".parse().expect("is a time"));
        snap.set_kubernetes_version("v1.34.1-eks-1".to_owned());
        snap.nodes =
            Listing::cluster(vec![node("a", "v1.31.2-eks-1"), node("b", "v1.30.2-eks-1"), node("c", "v1.34.0")]);
        let (server, all) = apart(&snap).expect("a version");
        assert_eq!(server, 34);
        let [one] = all.as_slice() else { panic!("one group") };
        assert_eq!((one.minor, one.maker.clone()), (30, Maker::Group("g".to_owned())));
        assert_eq!(one.nodes.len(), 1);
    }

    #[test]
    fn nodes_of_fargate_are_nobodys_group() {
        let node = |value: serde_json::Value| -> Node { serde_json::from_value(value).expect("a node") };
        let fargate = node(json!({"metadata": {"name": "fargate-ip-10-0-1-9.ec2.internal"}}));
        assert_eq!(maker(&fargate), Maker::Fargate);
        assert_eq!(maker(&node(json!({"metadata": {"name": "ip-10-0-1-9"}}))), Maker::Other);
    }

    #[test]
    fn amazon_linux_2_ends_with_1_32() {
        let of = |image: &str| -> Node {
            serde_json::from_value(json!({"status": {"nodeInfo": {"osImage": image}}})).expect("a node")
        };
        let (old, new) = (of("Amazon Linux 2"), of("Amazon Linux 2023.8.20250707"));
        assert!(needs_other_image(&[&old], 33));
        assert!(!needs_other_image(&[&old], 32) && !needs_other_image(&[&new], 34));
    }
}
