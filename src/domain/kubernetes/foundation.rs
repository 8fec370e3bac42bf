//! What every stack stands on: the pods that give nodes their network, names, volumes, credentials and metrics.

use crate::snapshot::kubernetes::Pod;

/// Parts of names of images and whole names of containers.
const PARTS: &[&str] = &[
    "amazon-k8s-cni",
    "aws-ebs-csi-driver",
    "aws-efs-csi-driver",
    "aws-network-policy-agent",
    "calico-node",
    "cilium",
    "coredns",
    "eks-pod-identity-agent",
    "k8s-dns-node-cache",
    "kube-proxy",
    "metrics-server",
];

/// Repositories whose images are meant by their whole name.
const REPOSITORIES: &[&str] = &["calico/node", "cilium/cilium"];

/// True for a pod of the cluster's own network, DNS, storage, credentials or metrics.
pub(crate) fn is_part(pod: &Pod) -> bool {
    let of = |image: &str, name: &str| {
        let repository = image.split('@').next().unwrap_or_default();
        let last = repository.rsplit('/').next().unwrap_or_default();
        let last = last.split(':').next().unwrap_or_default();
        PARTS.iter().any(|p| last == *p || name == *p) || REPOSITORIES.iter().any(|r| repository.contains(r))
    };
    pod.spec.containers.iter().any(|c| of(&c.image, &c.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn parts_are_known_by_their_images() {
        let of = |name: &str, image: &str| {
            let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "kube-system"},
                "spec": {"containers": [{"name": name, "image": image}]}}))
            .expect("a pod");
            is_part(&pod)
        };
        assert!(of("aws-node", "602401143452.dkr.ecr.eu-west-1.amazonaws.com/amazon-k8s-cni:v1.21.1-eksbuild.3"));
        assert!(of("ebs-plugin", "public.ecr.aws/ebs-csi-driver/aws-ebs-csi-driver:v1.54.0@sha256:0a"));
        assert!(of("metrics-server", "registry.example.com/mirror/ms:1"));
        assert!(of("calico-node", "docker.io/calico/node:v3.28.0"));
        assert!(!of("cluster-autoscaler", "registry.k8s.io/autoscaling/cluster-autoscaler:v1.33.0"));
    }
}
