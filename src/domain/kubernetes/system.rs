//! The operating system of nodes, and pods that are on nodes of another one than they are made for.

use crate::domain::kubernetes::scheduling;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Node, Pod};

/// The labels that say which system a node runs.
const LABELS: &[&str] = &["kubernetes.io/os", "beta.kubernetes.io/os"];
/// The system that only what is made for it runs on.
const WINDOWS: &str = "windows";

/// The node runs Windows.
pub(crate) fn is_windows(node: &Node) -> bool {
    LABELS.iter().any(|l| node.metadata.label(l) == Some(WINDOWS))
        || node.status.node_info.os_image.starts_with("Windows")
}

/// Somebody meant the pod for Windows: it asks for such nodes, tolerates their taint by name, or its image says so.
fn is_for_windows(pod: &Pod) -> bool {
    let spec = &pod.spec;
    let selected = spec.node_selector.iter().any(|(key, value)| key.contains(WINDOWS) || value.contains(WINDOWS));
    let terms = scheduling::required_affinity(pod).map(|s| s.node_selector_terms.as_slice()).unwrap_or_default();
    let mut asked = terms.iter().flat_map(|t| t.match_expressions.iter().flatten());
    let affine = asked.any(|r| {
        r.operator == "In" && (r.key.contains(WINDOWS) || r.values.iter().flatten().any(|v| v.contains(WINDOWS)))
    });
    let tolerated = spec.tolerations.iter().any(|t| {
        t.value.as_deref() == Some(WINDOWS) || t.key.as_deref().is_some_and(|k| k == "os" || k.contains(WINDOWS))
    });
    selected || affine || tolerated || spec.containers.iter().any(|c| c.image.contains(WINDOWS))
}

/// The pod is on a node of Windows, and nothing says that it was meant to be: nearly all images are made for Linux.
pub(crate) fn is_astray(snap: &Snapshot, pod: &Pod) -> bool {
    let node = snap.node_of(pod);
    node.is_some_and(is_windows) && !is_for_windows(pod) && !pod.is_ready()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing::workload::{pod, snapshot};
    use crate::snapshot::Listing;
    use serde_json::json;

    #[test]
    fn only_what_was_not_meant_for_windows_is_astray() {
        let mut snap = snapshot(json!([]));
        let with = |os: &str| {
            let node = json!([{"metadata": {"name": "node-a", "labels": {"kubernetes.io/os": os}}}]);
            Listing::cluster(serde_json::from_value(node).expect("nodes"))
        };
        let made = |more: serde_json::Value| -> Pod {
            let mut object = pod(json!({"name": "prometheus", "ready": false}));
            for (key, value) in more.as_object().into_iter().flatten() {
                object["spec"][key] = value.clone();
            }
            serde_json::from_value(object).expect("a pod")
        };
        snap.nodes = with("windows");
        assert!(is_astray(&snap, &made(json!({}))));
        assert!(!is_astray(&snap, &made(json!({"nodeSelector": {"kubernetes.io/os": "windows"}}))));
        let image = json!([{"name": "c", "image": "ghcr.io/prometheus-community/windows-exporter:0.31.3"}]);
        assert!(!is_astray(&snap, &made(json!({"containers": image}))));
        snap.nodes = with("linux");
        assert!(!is_astray(&snap, &made(json!({}))));
    }
}
