//! Why a pod's sandbox is not made: the words of the kubelet, the container runtime and the network plugins.

use crate::domain::kubernetes::runtime_error::{self, Known};

/// What keeps a pod from its sandbox, that is its network and the container that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// The network plugin on the node does not answer, or is not set up.
    Plugin,
    /// The program of the network plugin is not on the node.
    Binary,
    /// The network plugin answers, and has no address left to give on this node.
    NoAddress,
    /// The cluster's API does not know the token any more that the network plugin keeps on the node.
    Token,
    /// The image of the sandbox (pause) cannot be pulled.
    Image,
    /// The container runtime of the node fails.
    Runtime(Known),
    /// Something else.
    Other,
}

impl Cause {
    /// Reads the message of a FailedCreatePodSandBox event. `None` where another check is about it, or where it passes:
    /// addresses that are used up, names that a sandbox of before still holds.
    pub(crate) fn read(message: &str) -> Option<Self> {
        let has = |parts: &[&str]| parts.iter().any(|p| message.contains(p));
        if has(&["failed to assign an IP address", "InsufficientFreeAddresses", "InsufficientCidrBlocks"]) {
            return None;
        }
        if is_echo(message) || has(&["pod is terminated", "not found: not found", "context canceled", "no such pod"]) {
            return None;
        }
        if has(&["sandbox image", "pause:", "pause image"]) {
            return Some(Self::Image);
        }
        if has(&["failed to find plugin", "executable file not found in $PATH", "no such plugin"]) {
            return Some(Self::Binary);
        }
        // Cilium and Calico; those of the VPC CNI are told by the subnets.
        let used_up = [
            "No more IPs available",
            "CIDR ranges are exhausted",
            "range is full",
            "no IP addresses available in range set",
            "Assigned 0 out of 1 requested IPv4 addresses",
            "No IPs available",
        ];
        if has(&used_up) {
            return Some(Self::NoAddress);
        }
        // Calico, Multus, and other plugins that ask the API themselves.
        let told = message.trim_end();
        if told.ends_with(": Unauthorized") || told.contains(": Unauthorized,") || told.contains("is unauthorized:") {
            return Some(Self::Token);
        }
        let plugin = [
            "127.0.0.1:50051",
            // The agent of its network policies, in the same pod.
            "127.0.0.1:50052",
            "AddNetwork gRPC call",
            "cni plugin not initialized",
            "cni config uninitialized",
            "no networks found in",
            "No CNI configuration file",
            "/var/lib/calico/nodename",
            "unable to connect to Cilium",
            "Unable to create endpoint",
            "/run/flannel/subnet.env",
            "dial unix /var/run/",
            "dial unix /run/",
        ];
        if has(&plugin) {
            return Some(Self::Plugin);
        }
        Some(runtime_error::of_node(message).map_or(Self::Other, |(_, known)| Self::Runtime(known)))
    }
}

/// The plugin that did not do its part: `plugin type="calico" failed (add)`; of old kubelets and of Docker nothing says it.
pub(crate) fn plugin(message: &str) -> Option<&str> {
    let (_, rest) = message.rsplit_once("plugin type=\"")?;
    rest.split('"').next().filter(|name| !name.is_empty())
}

/// An earlier try still holds the name: it hangs, or has not been taken away yet.
pub(crate) fn is_echo(message: &str) -> bool {
    message.contains("is reserved for")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_runtimes_and_plugins() {
        for (message, wanted) in [
            (
                r#"Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "2f": plugin type="aws-cni" name="aws-cni" failed (add): add cmd: Error received from AddNetwork gRPC call: rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:50051: connect: connection refused""#,
                Some(Cause::Plugin),
            ),
            (
                r#"Failed create pod sandbox: rpc error: code = Unknown desc = [failed to set up sandbox container "f9" network for pod "grafana-0": networkPlugin cni failed to set up pod "grafana-0_monitoring" network: rpc error: code = Unavailable desc = all SubConns are in TransientFailure, latest connection error: connection error: desc = "transport: Error while dialing dial tcp 127.0.0.1:50051: connect: connection refused"]"#,
                Some(Cause::Plugin),
            ),
            (
                r#"Failed to create pod sandbox: rpc error: code = Unknown desc = failed to get sandbox image "602401143452.dkr.ecr.us-west-2.amazonaws.com/eks/pause:3.5": failed to pull image: dial tcp 52.94.1.1:443: i/o timeout"#,
                Some(Cause::Image),
            ),
            (
                r#"plugin type="aws-cni" name="aws-cni" failed (add): add cmd: failed to setup network policy: rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:50052: connect: connection refused""#,
                Some(Cause::Plugin),
            ),
            (
                r#"plugin type="aws-cni" failed (add): failed to find plugin "aws-cni" in path [/opt/cni/bin]"#,
                Some(Cause::Binary),
            ),
            (
                r#"failed to setup network for sandbox "a": plugin type="aws-cni" name="aws-cni" failed (add): add cmd: failed to assign an IP address to container"#,
                None,
            ),
            (
                r#"plugin type="cilium-cni" name="cilium" failed (add): unable to allocate IP via local cilium agent: [POST /ipam][502] postIpamFailure "No more IPs available""#,
                Some(Cause::NoAddress),
            ),
            (
                r#"plugin type="cilium-cni" failed (add): unable to allocate IP via local cilium agent: [POST /ipam][502] postIpamFailure "all CIDR ranges are exhausted""#,
                Some(Cause::NoAddress),
            ),
            (
                r#"plugin type="calico" failed (add): error adding host side routes: failed to request IPv4 addresses: Assigned 0 out of 1 requested IPv4 addresses; No more free affine blocks and strict affinity enabled"#,
                Some(Cause::NoAddress),
            ),
            (
                r#"plugin type="calico" failed (add): error getting ClusterInformation: connection is unauthorized: Unauthorized"#,
                Some(Cause::Token),
            ),
            (
                r#"plugin type="multus" name="multus-cni-network" failed (add): Multus: [monitoring/grafana-0/4573f52c]: error waiting for pod: Unauthorized"#,
                Some(Cause::Token),
            ),
            (
                "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: unable to init seccomp: error loading seccomp filter into kernel: error loading seccomp filter: errno 524: unknown",
                Some(Cause::Runtime(Known::Filters)),
            ),
            (r#"failed to reserve sandbox name "x": name "x" is reserved for "y""#, None),
        ] {
            assert_eq!(Cause::read(message), wanted, "{message}");
        }
    }
}
