//! A Deployment, StatefulSet or DaemonSet: wanted → the chain of the pod that fares worst.

use super::build::{Builder, Claims, broken, idle, right};
use super::{pod, shown};
use crate::model::ResourceRef;
use crate::snapshot::kubernetes::{Pod, Workload};

/// The chain of a workload.
pub(super) fn chain(b: &mut Builder<'_>, workload: &Workload) {
    let snap = b.snap;
    let meta = &workload.metadata;
    let mut pods: Vec<&Pod> = snap.pods_of_workload(workload).collect();
    pods.sort_by_key(|p| (progress(p), p.metadata.name.clone()));
    let is_on = workload.desired() > 0;
    match pods.first() {
        Some(worst) => {
            if pods.len() > 1 {
                let ready = pods.iter().filter(|p| p.is_ready()).count();
                b.note(format!("pod {}, one of {}; {ready} ready", worst.metadata.name, pods.len()));
            } else {
                b.note(format!("pod {}", worst.metadata.name));
            }
            pod::chain(b, worst);
        }
        None if is_on && snap.pods.covers(&meta.namespace) => pod::missing(b, workload),
        None => {
            let about: Vec<ResourceRef> = vec![workload.reference()];
            b.link("pods", about, Claims::Of(&["monitoring-components"]), || {
                snap.pods.covered(&meta.namespace)?;
                let kind = workload.kind.to_ascii_lowercase();
                Ok(idle("it wants no pod").with(shown::object(&kind, meta)))
            });
            return;
        }
    }
    let own = vec![workload.reference()];
    b.link("replicas", own, Claims::Of(&["monitoring-components"]), || {
        let (ready, wanted) = (workload.ready(), workload.desired());
        let text = format!("{ready} of {} ready", pod::pods(wanted));
        let waits = pods.first().is_some_and(|p| !p.is_ready() && pod::is_young(snap, p));
        Ok(match ready < wanted {
            true if waits => idle(text),
            true => broken(text),
            false => right(text),
        })
    });
}

/// How far a pod has come.
fn progress(pod: &Pod) -> u8 {
    match () {
        () if pod.is_ready() => 4,
        () if pod.spec.node_name.is_none() => 0,
        () if pod.status.container_statuses.iter().any(|s| s.state.running.is_none()) => 1,
        () => 2,
    }
}
