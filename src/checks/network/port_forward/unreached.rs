//! Nodes whose kubelet the API server does not reach.

use super::fix::Fix;
use super::{Part, PortForward};
use crate::domain::kubernetes::nodes::{KUBELET_PORT, not_ready};
use crate::model::{Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;

/// Nodes with pods of the stack whose kubelet the API server does not reach: no logs, no exec, no port-forward.
pub(super) fn findings(snap: &Snapshot, parts: &[Part<'_>]) -> Vec<Finding> {
    let gaps: Vec<&Gap> =
        [&snap.component_logs, &snap.crash_logs].into_iter().filter_map(|f| f.as_ref().err()).collect();
    let mut findings = Vec::new();
    for node in snap.nodes.items().unwrap_or_default() {
        let name = &node.metadata.name;
        let here: Vec<(&Part<'_>, &Pod)> = parts
            .iter()
            .filter_map(|p| Some((p, *p.pods.iter().find(|pod| pod.spec.node_name.as_ref() == Some(name))?)))
            .collect();
        let Some((part, pod)) = here.first() else { continue };
        let refused = node.internal_ip().and_then(|ip| {
            let address = format!("{ip}:{KUBELET_PORT}");
            let says = |g: &&&Gap| g.message.contains(&format!("dial tcp {address}"));
            gaps.iter().find(says).copied()
        });
        let (why, seen) = match (refused, not_ready(node)) {
            (Some(gap), _) => (
                "the API server does not reach its kubelet on port 10250".to_owned(),
                Evidence::new(
                    gap.what.clone(),
                    gap.message.clone(),
                    "kubectl logs -n {{ namespace }} {{ pod }} --tail=1",
                )
                .with("namespace", &pod.metadata.namespace)
                .with("pod", &pod.metadata.name),
            ),
            (None, Some(c)) => {
                let words = c.message.as_deref().or(c.reason.as_deref()).unwrap_or_default();
                let value = format!("Ready={} {words}", c.status);
                (format!("it is not ready ({})", value.trim()), node_evidence(name, &value))
            }
            _ => continue,
        };
        let services: Vec<String> =
            here.iter().map(|(p, _)| format!("{}/{}", p.service.metadata.namespace, p.service.metadata.name)).collect();
        let message = format!(
            "kubectl port-forward to Services {} cannot work: their pods run on node {name}, and {why}",
            services.join(", ")
        );
        let subject = ResourceRef::node(name);
        let made = Finding::new(PortForward::META.id, Severity::Warning, subject.clone(), message)
            .evidence(seen)
            .depends_on(subject)
            .depends_on(ResourceRef::port(name, KUBELET_PORT))
            // What else is wrong with the node is another check's to say.
            .breaks_nothing()
            .key("node")
            .fix(Fix::node(snap, part, pod, node, refused.is_some()));
        findings.push(made);
    }
    findings
}

fn node_evidence(name: &str, value: &str) -> Evidence {
    Evidence::new(format!("Node {name} status.conditions"), value, "kubectl describe node {{ node }}")
        .with("node", name)
}
