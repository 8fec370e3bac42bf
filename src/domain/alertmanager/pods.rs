//! The pods that run Alertmanager.

use crate::model::Program;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Pod};

/// Alertmanager's pods in the stack's namespaces, with its container; finished ones left out.
pub(crate) fn alertmanager_pods(snap: &Snapshot) -> Vec<(&Pod, &Container)> {
    let pods = snap.pods().unwrap_or_default().iter();
    let pods = pods.filter(|p| snap.scope.is_stack(&p.metadata.namespace) && !p.is_finished());
    let own = |c: &&Container| c.program() == Some(Program::Alertmanager);
    pods.filter_map(|pod| Some((pod, pod.spec.containers.iter().find(own)?))).collect()
}
