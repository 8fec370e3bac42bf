//! What every object has.

use super::annotation::is_kept;
use super::written::{Written, by_people};
use super::{
    ConfigMap, CsiDriver, CsiNode, NetworkPolicy, Node, PersistentVolume, PersistentVolumeClaim, Pod, PodMetrics,
    PodOnNode, ResourceQuota, Service, ServiceAccount, StorageClass, VolumeAttachment, Workload,
};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// Strings by name: labels, annotations, selectors.
pub type Map = BTreeMap<String, String>;

pub(super) fn null_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(d: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(d)?.unwrap_or_default())
}

/// `metadata`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    pub name: String,
    #[serde(deserialize_with = "null_default")]
    pub namespace: String,
    pub uid: String,
    #[serde(deserialize_with = "null_default")]
    pub labels: Map,
    #[serde(deserialize_with = "keep_known_annotations")]
    pub annotations: Map,
    #[serde(deserialize_with = "null_default")]
    pub owner_references: Vec<OwnerReference>,
    pub creation_timestamp: Option<Timestamp>,
    pub deletion_timestamp: Option<Timestamp>,
    #[serde(deserialize_with = "null_default")]
    pub finalizers: Vec<String>,
    pub generation: Option<i64>,
    /// What people and their tools wrote, and when.
    #[serde(deserialize_with = "by_people")]
    pub managed_fields: Vec<Written>,
}

fn keep_known_annotations<'de, D: Deserializer<'de>>(d: D) -> Result<Map, D::Error> {
    let mut all: Map = null_default(d)?;
    all.retain(|name, _| is_kept(name));
    Ok(all)
}

impl Meta {
    /// The controller's owner reference.
    pub fn controller(&self) -> Option<&OwnerReference> {
        self.owner_references.iter().find(|o| o.controller)
    }

    /// A label's value.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.get(name).map(String::as_str)
    }
}

/// `metadata.ownerReferences[]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OwnerReference {
    pub kind: String,
    pub name: String,
    pub controller: bool,
}

/// Anything with `metadata`.
pub trait Object {
    /// Its metadata.
    fn meta(&self) -> &Meta;

    /// Namespace and name of what it is about, by which it is looked up: mostly itself.
    fn key(&self) -> (&str, &str) {
        (&self.meta().namespace, &self.meta().name)
    }

    /// It is about itself.
    const IS_KEYED_BY_NAME: bool = true;
}

objects!(
    Pod,
    PersistentVolumeClaim,
    PersistentVolume,
    StorageClass,
    CsiDriver,
    Node,
    Service,
    Workload,
    ConfigMap,
    ServiceAccount,
    NetworkPolicy,
    ResourceQuota,
    VolumeAttachment,
    CsiNode,
    ObjectName,
    PodOnNode,
    PodMetrics
);

/// An object of which only the metadata is read.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ObjectName {
    pub metadata: Meta,
}

/// `status.conditions[]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    #[serde(rename = "type")]
    pub kind: String,
    pub status: String,
    pub reason: Option<String>,
    pub message: Option<String>,
    pub last_transition_time: Option<Timestamp>,
    /// When it was written last; of nodes alone.
    pub last_heartbeat_time: Option<Timestamp>,
    /// Of which generation of its object it speaks, where that is told.
    pub observed_generation: Option<i64>,
}

/// A reference to an object.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ObjectReference {
    #[serde(rename = "apiVersion", deserialize_with = "null_default")]
    pub api_version: String,
    pub kind: String,
    pub namespace: String,
    pub name: String,
    pub uid: Option<String>,
}

/// `status` of which only the phase is read.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PhaseOnly {
    pub phase: String,
}
