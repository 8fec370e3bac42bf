//! A file system of EFS that is mounted gives no answer any more: the driver's pod, through which its requests go, was replaced.

use super::{EfsMount, Fix, Of};
use crate::checks::support::instance::Instance;
use crate::checks::support::seen::event_evidence;
use crate::domain::aws::{csi_node, efs};
use crate::domain::kubernetes::endpoints::unready_container;
use crate::domain::text::windows::RECENT;
use crate::domain::traffic::attempts::is_silence;
use crate::model::{Evidence, Finding, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Event, Node, PersistentVolume, Pod};

/// Seconds after the driver's new pod within which a program that waits for the file system is found out.
const FOLLOWS: i64 = 1800;
/// The same where the driver's pods are on the node's network, which seldom breaks a mount.
const FOLLOWS_ON_HOST: i64 = 300;
/// Seconds before it: the old pod ended first.
const ENDS: i64 = 120;
/// Seconds since which a probe has got no answer, if it still gets none.
const STILL: i64 = 600;

pub(super) fn findings(snap: &Snapshot, volumes: &[PersistentVolume]) -> Vec<Finding> {
    let pods = snap.pods.items().unwrap_or_default().iter();
    let own = pods.filter(|p| snap.scope.is_stack(&p.metadata.namespace));
    own.filter_map(|pod| Hangs::of(snap, pod, volumes)).map(|h| h.finding(snap)).collect()
}

/// A pod whose program waits for the file system.
struct Hangs<'a> {
    pod: &'a Pod,
    container: &'a Container,
    volume: &'a PersistentVolume,
    node: &'a Node,
    /// The driver's pod on its node.
    driver: &'a Pod,
    event: &'a Event,
    /// Minutes since the driver's pod began.
    minutes: i64,
}

impl<'a> Hangs<'a> {
    fn of(snap: &'a Snapshot, pod: &'a Pod, volumes: &'a [PersistentVolume]) -> Option<Self> {
        if pod.status.phase != "Running" || pod.is_ready() || pod.metadata.deletion_timestamp.is_some() {
            return None;
        }
        let container = unready_container(pod)?;
        let volume = volumes.iter().find(|v| mounts(pod, container, v))?;
        let node = snap.node_of(pod).filter(|n| n.is_ready())?;
        let set = csi_node::daemon_set(snap, efs::DRIVER)?;
        let here = |p: &&Pod| p.spec.node_name == pod.spec.node_name && p.is_ready();
        let driver = snap.pods_of_workload(set).find(here)?;
        let began = driver.metadata.creation_timestamp?;
        let made = pod.metadata.creation_timestamp?;
        // It answered until then.
        let unready = pod.condition("Ready")?.last_transition_time?.as_second();
        let after = unready - began.as_second();
        let follows = if driver.spec.host_network { FOLLOWS_ON_HOST } else { FOLLOWS };
        if made >= began || !(-ENDS..=follows).contains(&after) {
            return None;
        }
        let events = snap.events_about("Pod", &pod.metadata, RECENT).into_iter();
        let mut silent = events.filter(|e| e.reason == "Unhealthy" && is_silence(&e.message));
        let event = silent.find(|e| e.is_within(STILL, snap.collected_at))?;
        let minutes = snap.seconds_since(began) / 60;
        Some(Self { pod, container, volume, node, driver, event, minutes })
    }

    fn finding(&self, snap: &Snapshot) -> Finding {
        let Self { pod, container, volume, node, driver, event, minutes } = self;
        let (namespace, name) = (&pod.metadata.namespace, &pod.metadata.name);
        let id = efs::file_system(volume.spec.csi.as_ref().map_or("", |c| c.volume_handle.as_str()));
        let own_network = !driver.spec.host_network;
        let how = if own_network {
            "that pod has a network of its own, and what was mounted through the one before it hangs for good"
        } else {
            "what was mounted through the one before it hangs, if that one was not on the node's network"
        };
        let message = format!(
            "file system {id} of EFS seems to hang in pod {namespace}/{name}: container {} has given its probes no answer since the EFS CSI driver's pod on node {} was replaced {minutes} minutes ago ({}): {how}",
            container.name, node.metadata.name, driver.metadata.name
        );
        let subject = ResourceRef::pod(namespace, name);
        let driven = Evidence::new(
            format!("Pod {}/{}", driver.metadata.namespace, driver.metadata.name),
            format!(
                "made {minutes} minutes ago, after pod {name}; hostNetwork {}",
                if own_network { "is not set" } else { "true" }
            ),
            "kubectl get pods -n {{ namespace }} -o wide --field-selector spec.nodeName={{ node }}",
        )
        .with("namespace", &driver.metadata.namespace)
        .with("node", &node.metadata.name);
        Finding::new(EfsMount::META.id, Severity::Error, subject.clone(), message)
            .key(format!("{id} hangs {}", snap.owner_ref(pod).key()))
            .breaks(subject)
            .breaks(snap.owner_ref(pod))
            .depends_on(ResourceRef::node(&node.metadata.name))
            .fix(Fix::Hangs {
                of: Of { namespace: namespace.clone(), pod: name.clone() },
                node: node.metadata.name.clone(),
                container: container.name.clone(),
                path: path(pod, container, volume).unwrap_or_default().to_owned(),
                own_network,
                owned: pod.metadata.controller().is_some(),
                instance: Instance::of(node),
            })
            .evidence(driven)
            .evidence(event_evidence(event))
    }
}

/// Where a container has a volume of EFS.
fn path<'p>(pod: &Pod, container: &'p Container, volume: &PersistentVolume) -> Option<&'p str> {
    volume.spec.csi.as_ref().filter(|c| c.driver == efs::DRIVER)?;
    let bound = volume.spec.claim_ref.as_ref().filter(|r| r.namespace == pod.metadata.namespace)?;
    let is_it = |name: &str| {
        let mut all = pod.spec.volumes.iter().filter(|v| v.name == name);
        all.any(|v| v.persistent_volume_claim.as_ref().is_some_and(|c| c.claim_name == bound.name))
    };
    container.volume_mounts.iter().find(|m| is_it(&m.name)).map(|m| m.mount_path.as_str())
}

fn mounts(pod: &Pod, container: &Container, volume: &PersistentVolume) -> bool {
    path(pod, container, volume).is_some()
}
