//! A volume that a pod brings itself cannot be set up: of the Secrets Store, of the host, over the network.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::kept::Kept;
use crate::checks::support::seen::event_evidence;
use crate::checks::{Check, check};
use crate::domain::aws::csi_node;
use crate::domain::aws::denied::Denied;
use crate::domain::kubernetes::mount_error::{self, Cause, Refused};
use crate::domain::kubernetes::owner::{Target, in_scope};
use crate::domain::kubernetes::system;
use crate::domain::text::shorten::shorten;
use crate::domain::text::windows::RECENT;
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Event, Pod};

/// Seconds within which the drivers of a new node start and are tried again.
const GRACE: i64 = 120;
/// Longest part of a message that is shown in the sentence.
const QUOTED: usize = 220;

check! {
    /// See the check's page.
    VolumeMount {
        id: "volume-mount", suite: Storage, severity: Error,
        title: "a volume that a pod brings itself cannot be mounted",
        requires: [Pods, Events],
        uses: [Workloads, MonitoringResources, Nodes],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    namespace: String,
    pod: String,
    volume: String,
    owner: String,
    has_rollout: bool,
    #[serde(flatten)]
    kept: Kept,
    #[serde(flatten)]
    way: Way,
}

/// What keeps the volume from the pod.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    NoClass {
        class: String,
        class_namespace: String,
    },
    NoProvider {
        provider: String,
        node_field: String,
    },
    NoRole {
        account: String,
    },
    NotFetched {
        account: String,
        /// Empty where nothing is said to be denied.
        action: String,
        role: String,
    },
    NoDriver {
        driver: String,
        node_field: String,
    },
    HostPath {
        path: String,
        node: String,
    },
    Other {
        node_field: String,
    },
}

/// A pod that waits for a volume.
struct Waits<'a> {
    pod: &'a Pod,
    event: &'a Event,
    refused: Refused<'a>,
}

impl Check for VolumeMount {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.events()?;
        let mut groups: BTreeMap<(ResourceRef, Cause), Vec<Waits<'_>>> = BTreeMap::new();
        for pod in snap.pods()?.iter().filter(|p| in_scope(snap, p, &[])) {
            if let Some(waits) = waits(snap, pod) {
                groups.entry((snap.owner_ref(pod), waits.refused.fault.clone())).or_default().push(waits);
            }
        }
        Ok(Diagnosis::Findings(groups.iter().map(|((owner, _), all)| finding(snap, owner, all)).collect()))
    }
}

fn waits<'a>(snap: &'a Snapshot, pod: &'a Pod) -> Option<Waits<'a>> {
    if pod.status.phase != "Pending" || pod.spec.node_name.is_none() || pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    if pod.metadata.creation_timestamp.is_some() && snap.age_seconds(&pod.metadata) < GRACE {
        return None;
    }
    if system::is_astray(snap, pod) {
        return None;
    }
    let events = snap.events_about("Pod", &pod.metadata, RECENT);
    events.into_iter().filter(|e| e.reason == "FailedMount").find_map(|event| {
        let refused = mount_error::read(&event.message)?;
        let volume = pod.spec.volumes.iter().find(|v| v.name == refused.volume)?;
        // Claims, and volumes of ConfigMaps and Secrets alone, are other checks' matter.
        let is_own = volume.persistent_volume_claim.is_none() && volume.config_map.is_none() && volume.secret.is_none();
        is_own.then_some(Waits { pod, event, refused })
    })
}

fn finding(snap: &Snapshot, owner: &ResourceRef, all: &[Waits<'_>]) -> Finding {
    let first = &all[0];
    let node = first.pod.spec.node_name.as_deref().unwrap_or_default();
    let volume = first.refused.volume;
    let why = match &first.refused.fault {
        Cause::NoClass(namespace, name) => {
            format!("SecretProviderClass {namespace}/{name}, which volume {volume} names, does not exist")
        }
        Cause::NoProvider(provider) => {
            format!("the provider {provider} of the Secrets Store does not run on node {node} (volume {volume})")
        }
        Cause::NoRole => format!(
            "its ServiceAccount {} has no IAM role with which the Secrets Store could fetch volume {volume}",
            first.pod.spec.account()
        ),
        Cause::NoDriver(driver) => format!("CSI driver {driver} does not run on node {node} (volume {volume})"),
        Cause::HostPath(path) => {
            format!(
                "{path} on node {node} is not what its volume {volume} asks for: {}",
                shorten(first.refused.text, QUOTED)
            )
        }
        Cause::NotFetched => {
            format!("the Secrets Store does not get volume {volume}: {}", shorten(first.refused.text, QUOTED))
        }
        Cause::Other => format!("its volume {volume} is not set up: {}", shorten(first.refused.text, QUOTED)),
    };
    let message = format!("the pods of {owner} do not start: {why}");
    let subject = match &first.refused.fault {
        Cause::NoClass(namespace, name) => {
            ResourceRef::kubernetes("secrets-store.csi.x-k8s.io", "SecretProviderClass", namespace, name)
        }
        _ => owner.clone(),
    };
    let mut made = Finding::new(VolumeMount::META.id, Severity::Error, subject, message)
        .also(owner.clone())
        .key(format!("{} {volume}", owner.key()))
        .breaks(owner.clone())
        .depends_on(ResourceRef::node(node))
        .evidence(event_evidence(first.event))
        .fix(fix(snap, first));
    if matches!(first.refused.fault, Cause::NoDriver(_)) {
        made = made.depends_on(csi_node::reference(node));
    }
    for waits in all {
        made = made.breaks(ResourceRef::pod(&waits.pod.metadata.namespace, &waits.pod.metadata.name));
    }
    made
}

fn fix(snap: &Snapshot, waits: &Waits<'_>) -> Fix {
    let target = Target::of(snap, waits.pod);
    Fix {
        namespace: waits.pod.metadata.namespace.clone(),
        pod: waits.pod.metadata.name.clone(),
        volume: waits.refused.volume.to_owned(),
        kept: Kept::of(&target),
        owner: target.name,
        has_rollout: target.has_rollout,
        way: way(waits),
    }
}

fn way(waits: &Waits<'_>) -> Way {
    let node = waits.pod.spec.node_name.clone().unwrap_or_default();
    let node_field = format!("spec.nodeName={node}");
    let account = waits.pod.spec.account().to_owned();
    match waits.refused.fault.clone() {
        Cause::NoClass(class_namespace, class) => Way::NoClass { class, class_namespace },
        Cause::NoProvider(provider) => Way::NoProvider { provider, node_field },
        Cause::NoRole => Way::NoRole { account },
        Cause::NotFetched => {
            let denied = Denied::read(&waits.event.message);
            let role = denied.as_ref().and_then(Denied::role).unwrap_or_default().to_owned();
            let action = denied.and_then(|d| d.action).unwrap_or_default();
            Way::NotFetched { account, action, role }
        }
        Cause::NoDriver(driver) => Way::NoDriver { driver, node_field },
        Cause::HostPath(path) => Way::HostPath { path, node },
        Cause::Other => Way::Other { node_field },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::checks::support::testing::findings;
    use crate::domain::testing::snapshot;

    #[test]
    fn a_driver_of_a_new_node_may_take_a_moment() {
        let message = "MountVolume.SetUp failed for volume \"secrets\" : kubernetes.io/csi: mounter.SetUpAt failed to get CSI client: driver name secrets-store.csi.k8s.io not found in the list of registered CSI drivers";
        let made = |at: &str| {
            snapshot(json!({
                "pods": [{"metadata": {"name": "grafana-x", "namespace": "monitoring", "creationTimestamp": at},
                    "spec": {"nodeName": "n1", "containers": [{"name": "grafana"}],
                        "volumes": [{"name": "secrets", "csi": {"driver": "secrets-store.csi.k8s.io"}}]},
                    "status": {"phase": "Pending"}}],
                "events": [{"reason": "FailedMount", "message": message, "lastTimestamp": "2026-11-21T01:59:50Z",
                    "involvedObject": {"kind": "Pod", "namespace": "monitoring", "name": "grafana-x"}}]}))
        };
        assert!(findings(&VolumeMount, &made("2026-11-21T01:59:20Z")).is_empty());
        assert_eq!(findings(&VolumeMount, &made("2026-11-21T01:50:00Z")).len(), 1);
    }
}
