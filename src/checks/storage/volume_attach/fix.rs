//! What lets a volume come up, and what its commands hold.

use schemars::JsonSchema;
use serde::Serialize;

use super::case::Case;
use crate::checks::support::addon;
use crate::checks::support::claims::LostVolume;
use crate::checks::support::place::Place;
use crate::domain::aws::addon::with_values;
use crate::domain::aws::xfs::{self, Newer};
use crate::domain::aws::{csi_node, ebs};
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::nodes;
use crate::domain::kubernetes::owner::{Target, has_rollout};
use crate::domain::text::between::between;
use crate::model::ResourceRef;
use crate::snapshot::kubernetes::{Node, PersistentVolume, Pod};

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
        /// The add-on's configuration that leaves room for volumes of others, and the options that keep its role.
        addon_values: Option<String>,
        kept_role: Vec<String>,
    },
    Stuck {
        pod: String,
        node: String,
        /// The instance of the node.
        instance: String,
        /// Another node could take the pod, and somebody makes it again.
        elsewhere: bool,
        #[serde(flatten)]
        volume: Ebs,
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
        /// The owner can be scaled to 0; the operator's resource instead, where it is of one.
        scalable: bool,
        operator_kind: &'static str,
        operator_name: String,
        replicas: u32,
        #[serde(flatten)]
        ebs: Ebs,
    },
    /// The driver makes file systems that the node's kernel does not know.
    NewFileSystem {
        pod: String,
        needs: String,
        /// Nodes whose kernel knows them.
        nodes: Vec<String>,
        /// The driver's minor version of 1.
        driver: u16,
    },
    Throttled {
        pod: String,
    },
    Bucket {
        pod: String,
        bucket: String,
        /// Whose role is used: the pod's own ServiceAccount, or the driver's.
        account_namespace: String,
        account: String,
    },
    MountpointPod {
        pod: String,
        /// Mountpoint's pod; empty where it is not named.
        helper: String,
        node: String,
    },
    Helper {
        pod: String,
    },
    NoInstance(NoInstance),
    NoDevice {
        pod: String,
        node: String,
        driver_namespace: String,
        driver_pod: String,
        #[serde(flatten)]
        ebs: Ebs,
    },
    Ownership {
        pod: String,
        operator_kind: &'static str,
        operator_name: String,
        managed: String,
    },
    OtherZone {
        pod: String,
        volume: String,
        /// What tells the scheduler its zone; none where the PersistentVolume names one.
        patch: Option<String>,
        #[serde(flatten)]
        ebs: Ebs,
    },
    Mount {
        pod: String,
        /// The driver's pod on the node, with its namespace; empty where it is not known.
        driver_namespace: String,
        driver_pod: String,
    },
}

/// The ServiceAccount of Mountpoint's driver, as its chart and the EKS add-on name it.
const BUCKET_ACCOUNT: (&str, &str) = ("kube-system", "s3-csi-driver-sa");

impl Way {
    /// The pod of Mountpoint that the driver waits for.
    pub(super) fn mountpoint(case: &Case<'_>) -> Self {
        Self::MountpointPod {
            pod: case.pod.metadata.name.clone(),
            helper: between(case.event.map_or(case.message.as_str(), |e| &e.message), "Mountpoint Pod \"", "\"")
                .unwrap_or_default()
                .to_owned(),
            node: case.pod.spec.node_name.clone().unwrap_or_default(),
        }
    }

    /// A bucket of S3, by the attributes of its PersistentVolume.
    pub(super) fn bucket(case: &Case<'_>) -> Self {
        let attributes = case.volume.and_then(|v| v.spec.csi.as_ref()).map(|c| &c.volume_attributes);
        let of = |key: &str| attributes.and_then(|a| a.get(key)).cloned();
        let own = of("authenticationSource").as_deref() == Some("pod");
        let (account_namespace, account) = match own {
            true => (case.pod.metadata.namespace.clone(), case.pod.spec.account().to_owned()),
            false => (BUCKET_ACCOUNT.0.to_owned(), BUCKET_ACCOUNT.1.to_owned()),
        };
        let bucket = of("bucketName").unwrap_or_else(|| "<bucket>".to_owned());
        Self::Bucket { pod: case.pod.metadata.name.clone(), bucket, account_namespace, account }
    }
}

/// An instance that EC2 does not tell the driver of.
#[derive(Serialize, JsonSchema)]
pub(super) struct NoInstance {
    node: String,
    instance: String,
    region: String,
    /// The region that the controller is told, where it is another one; and where that is kept.
    asked: Option<String>,
    controller: String,
    controller_namespace: String,
    managed: String,
    #[serde(skip)]
    is_known: bool,
}

impl NoInstance {
    pub(super) fn of(case: &Case<'_>, instance: String) -> Self {
        let region = Place::of(case.snap).region;
        let controller = ebs::controller(case.snap).ok().flatten();
        let plugin = controller.and_then(|w| w.spec.template.spec.containers.iter().find(|c| c.name == "ebs-plugin"));
        let told = plugin.and_then(|c| c.env.iter().find(|e| e.name == "AWS_REGION")).and_then(|e| e.value.clone());
        let instances = case.snap.instances.as_deref().unwrap_or_default();
        Self {
            node: case.node.to_owned(),
            is_known: instances.iter().any(|i| i.instance_id == instance),
            instance,
            asked: told.filter(|t| !t.is_empty() && *t != region && !region.starts_with('<')),
            region,
            controller: controller.map(|w| w.metadata.name.clone()).unwrap_or_default(),
            controller_namespace: controller.map(|w| w.metadata.namespace.clone()).unwrap_or_default(),
            managed: controller.map(|w| managed_by(&w.metadata)).unwrap_or_default(),
        }
    }

    /// The region in which the driver asks, if it is not the cluster's.
    pub(super) fn asks_elsewhere(&self) -> Option<&str> {
        self.asked.as_deref()
    }

    /// EC2 tells kdoctor of it.
    pub(super) fn is_known(&self) -> bool {
        self.is_known
    }

    pub(super) fn region(&self) -> &str {
        &self.region
    }
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
}

impl Ebs {
    pub(super) fn of(case: &Case<'_>) -> Self {
        Self { volume_id: case.volume.and_then(PersistentVolume::ebs_id).unwrap_or("<volume-id>").to_owned() }
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
        let Place { cluster, .. } = Place::of(case.snap);
        let addon = ebs::addon(case.snap);
        let reserved = serde_json::json!({"node": {"reservedVolumeAttachments": 4}});
        Self::Limit {
            node: case.node.to_owned(),
            pod: case.pod.metadata.name.clone(),
            cluster,
            addon_values: addon.and_then(|a| with_values(Some(a), &reserved)),
            kept_role: addon::kept_role(addon),
        }
    }

    /// EC2 does not finish attaching it.
    pub(super) fn stuck(case: &Case<'_>) -> Self {
        let node = case.snap.nodes.named(case.node).ok().flatten();
        let instance = node.and_then(Node::instance_id).map_or_else(|| "<instance-id>".to_owned(), str::to_owned);
        Self::Stuck {
            pod: case.pod.metadata.name.clone(),
            node: case.node.to_owned(),
            instance,
            elsewhere: nodes::can_move(case.snap, case.pod),
            volume: Ebs::of(case),
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

    /// The node does not know what the driver makes.
    pub(super) fn newer(case: &Case<'_>, newer: &Newer) -> Self {
        let knows = |n: &&Node| {
            n.is_ready() && xfs::kernel(&n.status.node_info.kernel_version).is_some_and(|k| k >= newer.needs)
        };
        let nodes = case.snap.nodes.items().unwrap_or_default().iter().filter(knows);
        Self::NewFileSystem {
            pod: case.pod.metadata.name.clone(),
            needs: format!("{}.{}", newer.needs.0, newer.needs.1),
            nodes: nodes.map(|n| n.metadata.name.clone()).collect(),
            driver: newer.driver,
        }
    }

    /// The volume lies in another zone, and nothing tells the scheduler.
    pub(super) fn other_zone(case: &Case<'_>) -> Self {
        let zone = serde_json::json!({"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["<availability-zone>"]});
        let affinity = serde_json::json!({"required": {"nodeSelectorTerms": [{"matchExpressions": [zone]}]}});
        Self::OtherZone {
            pod: case.pod.metadata.name.clone(),
            volume: case.volume.map_or("<volume>", |v| v.metadata.name.as_str()).to_owned(),
            patch: (!case.names_zone()).then(|| serde_json::json!({"spec": {"nodeAffinity": affinity}}).to_string()),
            ebs: Ebs::of(case),
        }
    }

    /// The node lacks what EC2 or Kubernetes take for attached.
    pub(super) fn no_device(case: &Case<'_>) -> Self {
        let driver = driver_pod(case);
        Self::NoDevice {
            pod: case.pod.metadata.name.clone(),
            node: case.node.to_owned(),
            driver_namespace: driver.map(|p| p.metadata.namespace.clone()).unwrap_or_default(),
            driver_pod: driver.map(|p| p.metadata.name.clone()).unwrap_or_default(),
            ebs: Ebs::of(case),
        }
    }

    /// The files of a large volume are given to the pod's group one after the other.
    pub(super) fn ownership(case: &Case<'_>) -> Self {
        let target = Target::of(case.snap, case.pod);
        Self::Ownership {
            pod: case.pod.metadata.name.clone(),
            operator_kind: target.operator_kind(),
            operator_name: target.operator_name().to_owned(),
            managed: target.managed_by.clone(),
        }
    }

    /// The kubelet and the driver on the node say more.
    pub(super) fn mount(case: &Case<'_>) -> Self {
        let pod = driver_pod(case);
        Self::Mount {
            pod: case.pod.metadata.name.clone(),
            driver_namespace: pod.map(|p| p.metadata.namespace.clone()).unwrap_or_default(),
            driver_pod: pod.map(|p| p.metadata.name.clone()).unwrap_or_default(),
        }
    }

    /// The file system on it cannot be mounted.
    pub(super) fn file_system(case: &Case<'_>) -> Self {
        let scalable = match case.snap.owner_ref(case.pod) {
            ResourceRef::Kubernetes { kind, .. } => matches!(kind.as_str(), "Deployment" | "StatefulSet"),
            _ => false,
        };
        let target = Target::of(case.snap, case.pod);
        Self::FileSystem {
            operator_kind: target.operator_kind(),
            operator_name: target.operator_name().to_owned(),
            replicas: target.replicas,
            pod: case.pod.metadata.name.clone(),
            claim: case.claim.clone(),
            scalable,
            ebs: Ebs::of(case),
        }
    }
}

/// The pod of the volume's driver on the node.
fn driver_pod<'a>(case: &Case<'a>) -> Option<&'a Pod> {
    let driver = case.volume.and_then(|v| v.spec.csi.as_ref()).map(|c| c.driver.as_str()).unwrap_or_default();
    let daemons = csi_node::daemon_set(case.snap, driver)?;
    let mut own = case.snap.pods.items().unwrap_or_default().iter();
    own.find(|p| p.spec.node_name.as_deref() == Some(case.node) && case.snap.owner_ref(p) == daemons.reference())
}

fn short_name(owner: &ResourceRef) -> String {
    match owner {
        ResourceRef::Kubernetes { name, .. } => name.clone(),
        other => other.name(),
    }
}
