//! What lets a volume come up, and what its commands hold.

use schemars::JsonSchema;
use serde::Serialize;

use super::Case;
use crate::checks::support::addon;
use crate::checks::support::claims::LostVolume;
use crate::checks::support::place::Place;
use crate::domain::aws::addon::with_values;
use crate::domain::aws::ebs;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::owner::has_rollout;
use crate::model::ResourceRef;
use crate::snapshot::kubernetes::{PersistentVolume, Pod};

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fix {
    namespace: String,
    target: String,
    has_rollout: bool,
    #[serde(flatten)]
    way: Way,
}

impl Fix {
    pub(super) fn of(case: &Case<'_>, owner: &ResourceRef, way: Way) -> Self {
        Self {
            namespace: case.pod.metadata.namespace.clone(),
            target: owner.kubectl_name(),
            has_rollout: has_rollout(case.snap, owner),
            way,
        }
    }
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
pub(super) enum Way {
    RollingUpdate {
        node: String,
        holder: String,
        #[serde(flatten)]
        workload: Workload,
    },
    Replicas(Workload),
    Shared(Held),
    Ending {
        holder: String,
        /// It should have ended.
        overdue: bool,
    },
    DeadNode {
        holder: String,
        holder_node: String,
    },
    StaleAttachment {
        attachments: Vec<String>,
        has_attachments: bool,
        holder_node: String,
        holder_instance: Option<String>,
        #[serde(flatten)]
        volume: Ebs,
    },
    Held(Held),
    Limit {
        node: String,
        pod: String,
        cluster: String,
        region: String,
        /// The add-on's configuration that leaves room for volumes of others, and the options that keep its role.
        addon_values: Option<String>,
        kept_role: Vec<String>,
    },
    Gone {
        pod: String,
        #[serde(flatten)]
        lost: LostVolume,
        #[serde(flatten)]
        ebs: Ebs,
    },
    NodePlugin {
        node: String,
    },
    Iam {
        pod: String,
    },
    Kms(Ebs),
    Timeout(Ebs),
    FileSystem {
        pod: String,
        claim: String,
        /// The owner can be scaled to 0.
        scalable: bool,
        #[serde(flatten)]
        ebs: Ebs,
    },
    Mount {
        node: String,
        pod: String,
    },
}

/// The workload of the pods, and who keeps it.
#[derive(Serialize, JsonSchema)]
pub(super) struct Workload {
    owner: String,
    managed: String,
}

impl Workload {
    pub(super) fn of(case: &Case<'_>) -> Self {
        let managed = case.workload().map(|w| managed_by(&w.metadata)).unwrap_or_default();
        Self { owner: short_name(&case.snap.owner_ref(case.pod)), managed }
    }
}

/// A claim that another pod holds; empty where none is seen to.
#[derive(Serialize, JsonSchema)]
pub(super) struct Held {
    claim: String,
    holder: String,
}

impl Held {
    pub(super) fn by(case: &Case<'_>, holder: Option<&Pod>) -> Self {
        Self { claim: case.claim.clone(), holder: holder.map(|p| p.metadata.name.clone()).unwrap_or_default() }
    }
}

/// A volume of EBS.
#[derive(Serialize, JsonSchema)]
pub(super) struct Ebs {
    volume_id: String,
    region: String,
}

impl Ebs {
    pub(super) fn of(case: &Case<'_>) -> Self {
        Self {
            volume_id: case.volume.and_then(PersistentVolume::ebs_id).unwrap_or("<volume-id>").to_owned(),
            region: Place::of(case.snap).region,
        }
    }
}

impl Way {
    /// The volume is attached where no pod uses it.
    pub(super) fn stale(case: &Case<'_>) -> Self {
        let attachments = case.attachments();
        let holder_node = attachments.first().map(|a| a.spec.node_name.clone()).unwrap_or_default();
        let node = case.snap.nodes.named(&holder_node).ok().flatten();
        Self::StaleAttachment {
            attachments: attachments.iter().map(|a| a.metadata.name.clone()).collect(),
            has_attachments: !attachments.is_empty(),
            holder_instance: node.and_then(|n| n.instance_id()).map(str::to_owned),
            holder_node,
            volume: Ebs::of(case),
        }
    }

    /// The node takes no more volumes.
    pub(super) fn limit(case: &Case<'_>) -> Self {
        let Place { cluster, region, .. } = Place::of(case.snap);
        let addon = ebs::addon(case.snap);
        let reserved = serde_json::json!({"node": {"reservedVolumeAttachments": 4}});
        Self::Limit {
            node: case.node.to_owned(),
            pod: case.pod.metadata.name.clone(),
            cluster,
            region,
            addon_values: addon.and_then(|a| with_values(Some(a), &reserved)),
            kept_role: addon::kept_role(addon),
        }
    }

    /// EC2 does not know the volume any more.
    pub(super) fn gone(case: &Case<'_>) -> Self {
        let meta = &case.pod.metadata;
        Self::Gone {
            pod: meta.name.clone(),
            lost: LostVolume::of(case.snap, &meta.namespace, &case.claim, case.volume),
            ebs: Ebs::of(case),
        }
    }

    /// The file system on it cannot be mounted.
    pub(super) fn file_system(case: &Case<'_>) -> Self {
        let scalable = match case.snap.owner_ref(case.pod) {
            ResourceRef::Kubernetes { kind, .. } => matches!(kind.as_str(), "Deployment" | "StatefulSet"),
            _ => false,
        };
        Self::FileSystem {
            pod: case.pod.metadata.name.clone(),
            claim: case.claim.clone(),
            scalable,
            ebs: Ebs::of(case),
        }
    }
}

fn short_name(owner: &ResourceRef) -> String {
    match owner {
        ResourceRef::Kubernetes { name, .. } => name.clone(),
        other => other.name(),
    }
}
