//! Claims, volumes, classes, CSI drivers and attachments.

use super::annotation;
use super::meta::null_default;
use super::{Condition, Map, Meta, Resources};
use k8s_openapi::api::core::v1::{NodeSelector, TopologySelectorTerm};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::Deserialize;

/// PersistentVolumeClaim.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PersistentVolumeClaim {
    pub metadata: Meta,
    pub spec: ClaimSpec,
    pub status: ClaimStatus,
}

/// `spec` of a PersistentVolumeClaim.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimSpec {
    pub storage_class_name: Option<String>,
    pub volume_name: Option<String>,
    pub access_modes: Vec<String>,
    pub resources: Resources,
    pub selector: Option<LabelSelector>,
    pub volume_mode: Option<String>,
}

/// `status` of a PersistentVolumeClaim or, without conditions, of a PersistentVolume.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ClaimStatus {
    pub phase: String,
    #[serde(deserialize_with = "null_default")]
    pub capacity: Map,
    #[serde(deserialize_with = "null_default")]
    pub conditions: Vec<Condition>,
}

impl PersistentVolumeClaim {
    /// The class it names: the spec's, or the pre-1.6 annotation that the API still honours. `Some("")` asks for no class.
    pub fn class(&self) -> Option<&str> {
        self.metadata
            .annotations
            .get(annotation::CLAIM_CLASS)
            .or(self.spec.storage_class_name.as_ref())
            .map(String::as_str)
    }
}

/// PersistentVolume.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PersistentVolume {
    pub metadata: Meta,
    pub spec: VolumeSpec,
    pub status: ClaimStatus,
}

/// `spec` of a PersistentVolume.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VolumeSpec {
    pub storage_class_name: Option<String>,
    pub capacity: Map,
    pub access_modes: Vec<String>,
    pub claim_ref: Option<ClaimRef>,
    pub csi: Option<CsiVolume>,
    pub aws_elastic_block_store: Option<AwsVolume>,
    pub volume_mode: Option<String>,
    pub node_affinity: Option<VolumeNodeAffinity>,
    /// What becomes of the volume when its claim is deleted: `Delete` or `Retain`.
    pub persistent_volume_reclaim_policy: Option<String>,
}

/// `spec.claimRef`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ClaimRef {
    pub namespace: String,
    pub name: String,
    pub uid: Option<String>,
}

/// `spec.csi`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CsiVolume {
    pub driver: String,
    pub volume_handle: String,
    /// The file system that the driver makes on it and mounts.
    pub fs_type: Option<String>,
    #[serde(deserialize_with = "null_default")]
    pub volume_attributes: Map,
}

/// `spec.awsElasticBlockStore`: the in-tree way to name an EBS volume.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct AwsVolume {
    /// `vol-0123`, or `aws://zone/vol-0123`.
    #[serde(rename = "volumeID")]
    pub volume_id: String,
}

impl PersistentVolume {
    /// Id of the EBS volume behind it.
    pub fn ebs_id(&self) -> Option<&str> {
        let handle = self.spec.csi.as_ref().map(|c| c.volume_handle.as_str());
        let handle = handle.or(self.spec.aws_elastic_block_store.as_ref().map(|v| v.volume_id.as_str()))?;
        handle.rsplit('/').next().filter(|id| id.starts_with("vol-"))
    }
}

/// `spec.nodeAffinity`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct VolumeNodeAffinity {
    pub required: Option<NodeSelector>,
}

/// StorageClass.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StorageClass {
    pub metadata: Meta,
    pub provisioner: String,
    pub parameters: Map,
    pub volume_binding_mode: Option<String>,
    pub reclaim_policy: Option<String>,
    #[serde(deserialize_with = "null_default")]
    pub allowed_topologies: Vec<TopologySelectorTerm>,
    pub allow_volume_expansion: Option<bool>,
}

impl StorageClass {
    /// Marked as the cluster's default.
    pub fn is_default(&self) -> bool {
        [annotation::DEFAULT_CLASS, annotation::DEFAULT_CLASS_BETA]
            .iter()
            .any(|k| self.metadata.annotations.get(*k).is_some_and(|v| v == "true"))
    }

    /// Binds when a pod that uses the claim is scheduled.
    pub fn waits_for_consumer(&self) -> bool {
        self.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer")
    }
}

/// CSIDriver.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct CsiDriver {
    pub metadata: Meta,
}

/// VolumeAttachment: a volume that the attach-detach controller wants on a node.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct VolumeAttachment {
    pub metadata: Meta,
    pub spec: AttachmentSpec,
    pub status: AttachmentStatus,
}

/// `spec` of a VolumeAttachment.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AttachmentSpec {
    pub attacher: String,
    pub node_name: String,
    pub source: AttachmentSource,
}

/// `spec.source`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AttachmentSource {
    pub persistent_volume_name: Option<String>,
}

/// `status` of a VolumeAttachment.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AttachmentStatus {
    pub attached: bool,
    pub attach_error: Option<AttachmentError>,
}

/// `status.attachError`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct AttachmentError {
    pub message: String,
}

/// CSINode: which drivers run on a node.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct CsiNode {
    pub metadata: Meta,
    pub spec: CsiNodeSpec,
}

/// `spec` of a CSINode.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct CsiNodeSpec {
    #[serde(deserialize_with = "null_default")]
    pub drivers: Vec<CsiNodeDriver>,
}

/// `spec.drivers[]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct CsiNodeDriver {
    pub name: String,
    pub allocatable: Option<VolumeCount>,
}

/// `allocatable` of a driver on a node.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct VolumeCount {
    pub count: Option<usize>,
}
