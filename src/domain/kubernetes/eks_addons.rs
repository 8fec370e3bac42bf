//! Which workloads the add-ons of EKS bring.

/// Add-ons with the namespace and names of their workloads, as far as these are always the same.
pub(crate) const WORKLOADS: &[(&str, &str, &[&str])] = &[
    ("aws-ebs-csi-driver", "kube-system", &["ebs-csi-controller", "ebs-csi-node"]),
    ("vpc-cni", "kube-system", &["aws-node"]),
    ("coredns", "kube-system", &["coredns"]),
    ("kube-proxy", "kube-system", &["kube-proxy"]),
    ("eks-pod-identity-agent", "kube-system", &["eks-pod-identity-agent"]),
    ("metrics-server", "kube-system", &["metrics-server"]),
    ("snapshot-controller", "kube-system", &["snapshot-controller"]),
    ("aws-efs-csi-driver", "kube-system", &["efs-csi-controller", "efs-csi-node"]),
    ("aws-fsx-csi-driver", "kube-system", &["fsx-csi-controller", "fsx-csi-node"]),
    ("aws-mountpoint-s3-csi-driver", "kube-system", &["s3-csi-controller", "s3-csi-node"]),
    ("eks-node-monitoring-agent", "kube-system", &["eks-node-monitoring-agent"]),
    (
        "amazon-cloudwatch-observability",
        "amazon-cloudwatch",
        &["amazon-cloudwatch-observability-controller-manager", "cloudwatch-agent", "fluent-bit"],
    ),
    ("aws-guardduty-agent", "amazon-guardduty", &["aws-guardduty-agent"]),
    ("kube-state-metrics", "kube-state-metrics", &["kube-state-metrics"]),
    ("prometheus-node-exporter", "prometheus-node-exporter", &["prometheus-node-exporter"]),
];

/// The add-on that would bring a pod, by the namespace and the beginning of its name; whether the cluster has it is not said.
pub(crate) fn of_pod(namespace: &str, pod: &str) -> Option<&'static str> {
    let begins = |workload: &&str| pod.strip_prefix(*workload).is_some_and(|rest| rest.starts_with('-'));
    let brings = |(_, own, workloads): &&(&str, &str, &[&str])| *own == namespace && workloads.iter().any(begins);
    WORKLOADS.iter().find(brings).map(|(addon, ..)| *addon)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_of_the_add_on_of_its_namespace() {
        assert_eq!(of_pod("kube-system", "kube-proxy-x2x9k"), Some("kube-proxy"));
        assert_eq!(of_pod("kube-system", "efs-csi-node-windows-abcde"), Some("aws-efs-csi-driver"));
        assert_eq!(of_pod("amazon-cloudwatch", "fluent-bit-abcde"), Some("amazon-cloudwatch-observability"));
        assert_eq!(of_pod("logging", "fluent-bit-abcde"), None);
        assert_eq!(of_pod("kube-system", "corednsx-1"), None);
    }
}
