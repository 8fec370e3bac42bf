//! What a node's container runtime meets when it begins a container or a sandbox: its innermost words, without the layers around
//! them, and whether the node is at fault or what the pod asks for.

/// Layers of which each says only that the next one failed.
const LAYERS: &[&str] = &[
    "failed to create containerd task: ",
    "failed to create shim task: ",
    "failed to create shim: ",
    "failed to start shim: ",
    "OCI runtime create failed: ",
    "OCI runtime error: ",
    "runc create failed: ",
    "runc did not terminate successfully: ",
    "unable to start container process: ",
    "error during container init: ",
];

/// Words of what the pod itself asks for: a program, a user, a mount, a limit.
const OF_POD: &[&str] = &[
    "exec: ",
    "executable file not found",
    "exec format error",
    "permission denied",
    "operation not permitted",
    "OOM-killed",
    "memory limit too low",
    // The kernel ends its first process where the limit of memory is lower than that needs.
    "init-p: ",
    "mounting",
    "mount ",
    "mountpoint",
    "chdir",
    "not a directory",
    "rootfs",
    "apparmor",
    "capabilit",
    "invalid argument",
    "cpu.cfs",
    "cpuset",
    "setgroups",
    "user: ",
    "hostname",
    "sysctl",
    "device ",
    "nvidia",
    "no space left",
    "resource temporarily unavailable",
    "too many open files",
];

/// What is known of an error of the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Known {
    /// The kernel takes no more compiled filters.
    Filters,
    /// The process that holds the sandbox has ended.
    Sandbox,
    /// The kernel does not freeze a control group.
    Freezer,
    /// Nothing.
    Nothing,
}

impl Known {
    fn of(said: &str) -> Self {
        let has = |part: &str| said.contains(part);
        if has("seccomp") && has("errno 524") {
            Self::Filters
        } else if has("namespace path: lstat /proc/") && has("no such file") {
            Self::Sandbox
        } else if has("unable to freeze") {
            Self::Freezer
        } else {
            Self::Nothing
        }
    }

    /// What it means, as the end of a sentence.
    pub(crate) fn meaning(self) -> Option<&'static str> {
        match self {
            Self::Filters => {
                Some("the kernel of the node has no memory left for compiled filters (net.core.bpf_jit_limit)")
            }
            Self::Sandbox => {
                Some("the process that holds the pod's sandbox has ended, and its containers cannot join it")
            }
            Self::Freezer => Some("the kernel of the node does not stop the processes of a control group"),
            Self::Nothing => None,
        }
    }
}

/// The innermost words of an error of the runtime that lies with the node, and what is known of it. `None` where the pod asks for
/// something that the runtime does not do, or where no runtime speaks.
pub(crate) fn of_node(message: &str) -> Option<(&str, Known)> {
    let said = innermost(message)?;
    let known = Known::of(said);
    let own = known != Known::Nothing || !OF_POD.iter().any(|w| said.contains(w));
    own.then_some((said, known))
}

/// What stands behind the last layer.
pub(crate) fn innermost(message: &str) -> Option<&str> {
    let last = LAYERS.iter().filter_map(|layer| message.rfind(layer).map(|at| at + layer.len())).max()?;
    let said = message[last..].lines().next().unwrap_or_default().trim();
    let said = said.strip_suffix(": unknown").unwrap_or(said);
    (!said.is_empty()).then_some(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_nodes_are_told_from_those_of_pods() {
        let runc = "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: ";
        for (text, wanted) in [
            (
                "unable to start container process: unable to init seccomp: error loading seccomp filter into kernel: error loading seccomp filter: errno 524: unknown",
                Some(Known::Filters),
            ),
            (
                "unable to create new parent process: namespace path: lstat /proc/0/ns/ipc: no such file or directory: unknown",
                Some(Known::Sandbox),
            ),
            (
                "unable to start container process: error during container init: error setting cgroup config for procHooks process: unable to freeze: unknown",
                Some(Known::Freezer),
            ),
            (
                "unable to start container process: waiting for init preliminary setup: EOF: unknown",
                Some(Known::Nothing),
            ),
            (
                "unable to start container process: error during container init: exec: \"/go-runner\": stat /go-runner: no such file or directory: unknown",
                None,
            ),
            ("unable to start container process: container init was OOM-killed (memory limit too low?): unknown", None),
            (
                "unable to start container process: waiting for init preliminary setup: read init-p: connection reset by peer: unknown",
                None,
            ),
        ] {
            assert_eq!(of_node(&format!("{runc}{text}")).map(|(_, known)| known), wanted, "{text}");
        }
        let waits = format!("{runc}unable to start container process: waiting: EOF: unknown");
        let (said, _) = of_node(&waits).expect("it is the node's");
        assert_eq!(said, "waiting: EOF");
        assert_eq!(of_node("failed to assign an IP address to container"), None);
    }
}
