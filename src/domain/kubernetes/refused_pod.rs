//! Pods that a node's kubelet does not take, though they were bound to it: why, in its own words.

use crate::domain::text::between::between;
use crate::snapshot::kubernetes::Pod;

/// Why a kubelet refuses a pod.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Refusal {
    /// The node has less of a resource left than the pod asks for: `cpu`, `memory`, `pods`.
    Room(String),
    /// The node's labels do not fit the pod's selector (any more).
    Labels,
    /// A kernel setting that the kubelet does not let pods make.
    Sysctl(String),
    /// An AppArmor profile that cannot be enforced; empty where it is not named.
    AppArmor(String),
    /// The kubelet cannot write its own state: the node's disk is full, or broken and read-only.
    Disk {
        /// It is full, and works.
        full: bool,
    },
    /// Ports of the node, devices, processors of one socket.
    Other,
}

/// Reads the status of a pod. `None` where no kubelet refused it: it ran, was evicted, or ended with its node.
pub(crate) fn of(pod: &Pod) -> Option<Refusal> {
    let status = &pod.status;
    let reason = status.reason.as_deref()?;
    let message = said(pod);
    // The kubelet leaves such a pod pending: the profile may be loaded yet.
    if reason == "AppArmor" && matches!(status.phase.as_str(), "Pending" | "Failed") {
        let profile = between(message, "profile \"", "\"").unwrap_or_default();
        return Some(Refusal::AppArmor(profile.to_owned()));
    }
    if status.phase != "Failed" || pod.statuses().any(|s| s.ended().is_some()) {
        return None;
    }
    if let Some(resource) = reason.strip_prefix("OutOf") {
        return Some(Refusal::Room(resource.to_owned()));
    }
    Some(match reason {
        "NodeAffinity" | "MatchNodeSelector" | "NodeName" | "PodOSSelectorNodeLabelDoesNotMatch" => Refusal::Labels,
        "SysctlForbidden" => {
            let name = between(message, "forbidden sysctl: \"", "\"").unwrap_or_default();
            Refusal::Sysctl(name.to_owned())
        }
        "UnexpectedAdmissionError" if disk(message).is_some() => Refusal::Disk { full: disk(message) == Some(true) },
        "NodePorts"
        | "HostPortConflict"
        | "UnexpectedAdmissionError"
        | "TopologyAffinityError"
        | "PodOSNotSupported" => Refusal::Other,
        _ => return None,
    })
}

/// What a file system says that takes no writes; true where it is only full.
fn disk(message: &str) -> Option<bool> {
    let said = message.to_ascii_lowercase();
    let says = |words: &str| said.contains(words);
    if says("no space left on device") {
        return Some(true);
    }
    ["read-only file system", "input/output error", "structure needs cleaning"].iter().any(|w| says(w)).then_some(false)
}

/// What the kubelet said, without the words that every refusal begins with.
pub(crate) fn said(pod: &Pod) -> &str {
    let message = pod.status.message.as_deref().unwrap_or_default().trim();
    let short = message.strip_prefix("Pod was rejected: ").or_else(|| message.strip_prefix("Pod "));
    short.unwrap_or(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(phase: &str, reason: &str, message: &str) -> Pod {
        let status = json!({"phase": phase, "reason": reason, "message": message});
        serde_json::from_value(json!({"metadata": {"name": "x", "namespace": "n"}, "status": status})).expect("a pod")
    }

    #[test]
    fn reads_why_a_kubelet_refused() {
        let room = pod("Failed", "OutOfcpu", "Pod was rejected: Node didn't have enough resource: cpu, requested: 500");
        assert_eq!(of(&room), Some(Refusal::Room("cpu".into())));
        assert_eq!(said(&room), "Node didn't have enough resource: cpu, requested: 500");
        let older = pod("Failed", "SysctlForbidden", "forbidden sysctl: \"net.core.somaxconn\" not allowlisted");
        assert_eq!(of(&older), Some(Refusal::Sysctl("net.core.somaxconn".into())));
        let profile = pod("Pending", "AppArmor", "Cannot enforce AppArmor: profile \"k8s-grafana\" is not loaded");
        assert_eq!(of(&profile), Some(Refusal::AppArmor("k8s-grafana".into())));
    }

    #[test]
    fn a_disk_that_takes_no_writes_is_told_from_devices() {
        let refused = |said: &str| {
            of(&pod(
                "Failed",
                "UnexpectedAdmissionError",
                &format!("Pod was rejected: Update plugin resources failed due to {said}, which is unexpected"),
            ))
        };
        let file = "failed to write checkpoint file \"kubelet_internal_checkpoint\": open /var/lib/kubelet/x";
        assert_eq!(refused(&format!("{file}: read-only file system")), Some(Refusal::Disk { full: false }));
        assert_eq!(refused(&format!("{file}: no space left on device")), Some(Refusal::Disk { full: true }));
        assert_eq!(refused("requested number of devices unavailable for nvidia.com/gpu"), Some(Refusal::Other));
    }

    #[test]
    fn pods_that_ended_were_taken() {
        for reason in ["Evicted", "Terminated", "NodeShutdown", "DeadlineExceeded"] {
            assert_eq!(of(&pod("Failed", reason, "")), None, "{reason}");
        }
        assert_eq!(of(&pod("Running", "OutOfcpu", "")), None);
    }
}
