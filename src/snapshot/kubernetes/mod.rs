//! Kubernetes objects, cut to the fields that some check reads. Field names and meaning are the API's own.

#![allow(missing_docs, reason = "fields are the API fields of the same name")]

mod admission;
pub mod annotation;
mod batch;
mod config;
mod dropped;
mod event;
mod gateway;
mod git_ops;
mod helm;
mod ingress;
mod issuing;
mod meta;
mod node;
mod node_maker;
mod operated;
mod operator;
mod pod;
mod policy;
mod scaled_object;
mod scaling;
mod secret_maker;
mod service;
mod storage;
mod vpc_cni;
mod workload;
mod written;

pub use admission::*;
pub use batch::*;
pub use config::{ConfigMap, ROLE_ANNOTATION, ServiceAccount};
pub use event::{Event, EventSeries};
pub use gateway::{
    AllowedRoutes, BackendRef, GatewayObject, GatewaySpec, GatewayStatus, Listener, ListenerStatus, ListenerTls,
    ParentRef, ParentStatus, RouteNamespaces, RouteRule,
};
pub use git_ops::{
    ChartSource, ChartTemplate, Decryption, Destination, FluxSource, FluxSourceSpec, FluxSourceStatus, GitOpsObject,
    GitOpsSpec, GitOpsStatus, Inventory, InventoryEntry, Named, Operation, OperationState, SourceRef, SyncAsked,
    SyncPolicy, SyncResult, SyncStatus, SyncedResource, Unread,
};
pub use helm::HelmRelease;
pub use ingress::*;
pub use issuing::{IssuerRef, Issuing, IssuingSpec, IssuingStatus};
pub use meta::{Condition, Map, Meta, Object, ObjectName, ObjectReference, OwnerReference, PhaseOnly};
pub use node::{Node, NodeAddress, NodeInfo, NodeSpec, NodeStatus};
pub use node_maker::{NodeClassRef, NodeMaker, NodeMakerSpec, NodeMakerStatus, NodeTemplate, NodeTemplateSpec};
pub use operated::{Operated, OperatedSecret, OperatedSpec, OperatedStatus, OperatedStorage};
pub use operator::*;
pub use pod::{
    ClaimSource, Container, ContainerPort, ContainerRequests, ContainerSecurity, ContainerState, ContainerStatus,
    ContainerUsage, DEFAULT_PASSWORDS, DnsConfig, EnvFrom, EnvSource, EnvVar, HttpGet, KeyRef, KeyToPath, NamedSource,
    Pod, PodMetrics, PodOnNode, PodOnNodeSpec, PodSecurityContext, PodSpec, PodStatus, PortOnly, Probe,
    ProjectedSource, ProjectedSources, ReadinessGate, Resources, Running, SecretSource, Terminated, Volume,
    VolumeMount, Waiting,
};
pub use policy::{
    CalicoPolicy, CiliumPolicy, LimitItem, LimitRange, LimitRangeSpec, NetworkPolicy, PolicyOrigin, QuotaStatus,
    ResourceQuota,
};
pub use scaled_object::{ScaledObject, ScaledObjectSpec, ScaledObjectStatus, ScaledTarget};
pub use scaling::*;
pub use secret_maker::{
    AwsProvider, MadeSecret, Provider, SealedTemplate, SecretMaker, SecretMakerSpec, SecretMakerStatus, StoreRef,
};
pub use service::{
    Endpoint, EndpointConditions, EndpointPort, EndpointSlice, Service, ServicePort, ServiceSpec, ServiceStatus,
};
pub use storage::{
    AttachmentError, AttachmentSource, AttachmentSpec, AttachmentStatus, AwsVolume, ClaimRef, ClaimSpec, ClaimStatus,
    CsiDriver, CsiNode, CsiNodeDriver, CsiNodeSpec, CsiVolume, PersistentVolume, PersistentVolumeClaim, StorageClass,
    VolumeAttachment, VolumeCount, VolumeNodeAffinity, VolumeSpec,
};
pub use vpc_cni::*;
pub use workload::{PodTemplate, RollingUpdate, Strategy, Workload, WorkloadSpec, WorkloadStatus};
pub use written::Written;
