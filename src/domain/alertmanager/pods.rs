//! The pods that run Alertmanager.

use crate::model::Program;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;

/// Alertmanager's pods in the stack's namespaces, with the name of the container; finished ones left out.
pub(crate) fn alertmanager_pods(snap: &Snapshot) -> Vec<(&Pod, &str)> {
    let pods = snap.pods().unwrap_or_default().iter();
    let pods = pods.filter(|p| snap.scope.is_stack(&p.metadata.namespace) && !p.is_finished());
    pods.filter_map(|pod| {
        let container = pod.spec.containers.iter().find(|c| c.program() == Some(Program::Alertmanager))?;
        Some((pod, container.name.as_str()))
    })
    .collect()
}
