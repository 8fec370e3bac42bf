//! What brings the stack from a repository: applications of Argo CD, Kustomizations and HelmReleases of Flux.

use jiff::Timestamp;
use serde::Deserialize;

use super::meta::null_default;
use super::{Condition, Meta};

/// Application (`argoproj.io`), Kustomization (`kustomize.toolkit.fluxcd.io`) or HelmRelease (`helm.toolkit.fluxcd.io`).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct GitOpsObject {
    /// Set by the collector.
    #[serde(skip)]
    pub kind: String,
    pub metadata: Meta,
    pub spec: GitOpsSpec,
    pub status: GitOpsStatus,
}

/// `spec` of any of them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GitOpsSpec {
    /// Of an Application.
    #[serde(deserialize_with = "null_default")]
    pub project: String,
    pub destination: Destination,
    pub sync_policy: SyncPolicy,
    /// Of Flux' kinds: where the objects lie, if not beside it.
    pub target_namespace: Option<String>,
    /// Of a HelmRelease.
    pub release_name: Option<String>,
    /// Of a HelmRelease: the chart.
    #[serde(deserialize_with = "null_default")]
    pub chart: ChartTemplate,
    /// Of an Application with one source, and with several.
    #[serde(deserialize_with = "null_default")]
    pub source: ChartSource,
    #[serde(deserialize_with = "null_default")]
    pub sources: Vec<ChartSource>,
    /// Of a Kustomization: the folder of the repository.
    pub path: Option<String>,
    /// Of a Kustomization: how its secrets are decrypted.
    #[serde(deserialize_with = "null_default")]
    pub decryption: Decryption,
    /// Of a Kustomization: where it is fetched.
    #[serde(deserialize_with = "null_default")]
    pub source_ref: SourceRef,
    /// Of a HelmRelease without a template of its chart: where the chart is.
    #[serde(deserialize_with = "null_default")]
    pub chart_ref: SourceRef,
    /// Of Flux' kinds, where the objects go into another cluster.
    pub kube_config: Option<Unread>,
    pub suspend: bool,
}

/// `spec.destination` of an Application.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Destination {
    #[serde(deserialize_with = "null_default")]
    pub namespace: String,
    /// URL of the cluster's API server.
    #[serde(deserialize_with = "null_default")]
    pub server: String,
    /// The name of the cluster, in place of its URL.
    #[serde(deserialize_with = "null_default")]
    pub name: String,
}

/// `spec.chart` of a HelmRelease.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ChartTemplate {
    #[serde(deserialize_with = "null_default")]
    pub spec: ChartSource,
}

/// `spec.chart.spec` of a HelmRelease, `spec.source` of an Application.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ChartSource {
    #[serde(deserialize_with = "null_default")]
    pub chart: String,
    /// Of a HelmRelease.
    #[serde(rename = "sourceRef", deserialize_with = "null_default")]
    pub source_ref: SourceRef,
}

/// A source of Flux, as what uses it names it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SourceRef {
    #[serde(deserialize_with = "null_default")]
    pub kind: String,
    #[serde(deserialize_with = "null_default")]
    pub name: String,
    /// Beside what uses it, where it is empty.
    #[serde(deserialize_with = "null_default")]
    pub namespace: String,
}

/// GitRepository, HelmRepository, OCIRepository, Bucket or HelmChart (`source.toolkit.fluxcd.io`).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct FluxSource {
    /// Set by the collector.
    #[serde(skip)]
    pub kind: String,
    pub metadata: Meta,
    pub spec: FluxSourceSpec,
    pub status: FluxSourceStatus,
}

/// `spec` of any of them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FluxSourceSpec {
    #[serde(deserialize_with = "null_default")]
    pub url: String,
    /// The Secret with the login.
    #[serde(deserialize_with = "null_default")]
    pub secret_ref: Named,
    /// Of a HelmChart: the repository that it lies in.
    #[serde(deserialize_with = "null_default")]
    pub source_ref: SourceRef,
    pub suspend: bool,
}

/// `status` of any of them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct FluxSourceStatus {
    #[serde(deserialize_with = "null_default")]
    pub conditions: Vec<Condition>,
}

/// `spec.decryption` of a Kustomization.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Decryption {
    #[serde(deserialize_with = "null_default")]
    pub secret_ref: Named,
}

/// What is named and nothing more.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Named {
    #[serde(deserialize_with = "null_default")]
    pub name: String,
}

/// What is there, and is not read.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Unread {}

/// `status.inventory` of a Kustomization: what it has brought.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Inventory {
    #[serde(deserialize_with = "null_default")]
    pub entries: Vec<InventoryEntry>,
}

/// `status.inventory.entries[]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct InventoryEntry {
    /// `namespace_name_group_kind`.
    pub id: String,
}

/// `spec.syncPolicy` of an Application.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncPolicy {
    #[serde(deserialize_with = "null_default")]
    pub sync_options: Vec<String>,
    /// It syncs by itself.
    pub automated: Option<Automated>,
}

/// `spec.syncPolicy.automated` of an Application.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Automated {
    /// It syncs what differs although the revision is the one that was synced; without it each revision is synced once.
    #[serde(deserialize_with = "null_default")]
    pub self_heal: bool,
    /// `false` switches it off, since Argo CD 3.1.
    pub enabled: Option<bool>,
}

/// `status` of any of them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GitOpsStatus {
    /// Those of Argo CD have no status: that they are there is what they say.
    #[serde(deserialize_with = "null_default")]
    pub conditions: Vec<Condition>,
    pub sync: SyncStatus,
    pub operation_state: OperationState,
    /// Of an Application: what it holds, and whether that is in sync.
    #[serde(deserialize_with = "null_default")]
    pub resources: Vec<SyncedResource>,
    /// Of a Kustomization.
    #[serde(deserialize_with = "null_default")]
    pub inventory: Inventory,
}

/// `status.sync` of an Application.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SyncStatus {
    /// `Synced`, `OutOfSync` or `Unknown`.
    pub status: String,
    /// What it was compared with.
    #[serde(deserialize_with = "null_default")]
    pub revision: String,
}

/// `status.operationState` of an Application: the last sync.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OperationState {
    pub phase: String,
    #[serde(deserialize_with = "null_default")]
    pub message: String,
    pub sync_result: SyncResult,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    #[serde(deserialize_with = "null_default")]
    pub operation: Operation,
}

/// `status.operationState.operation` of an Application: what was asked for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Operation {
    #[serde(deserialize_with = "null_default")]
    pub sync: SyncAsked,
}

/// `status.operationState.operation.sync`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncAsked {
    /// Times that Argo CD has synced the same by itself.
    pub auto_heal_attempts_count: u64,
}

/// `status.operationState.syncResult`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SyncResult {
    #[serde(deserialize_with = "null_default")]
    pub resources: Vec<SyncedResource>,
}

/// `status.operationState.syncResult.resources[]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncedResource {
    #[serde(deserialize_with = "null_default")]
    pub group: String,
    pub kind: String,
    #[serde(deserialize_with = "null_default")]
    pub namespace: String,
    pub name: String,
    #[serde(deserialize_with = "null_default")]
    pub status: String,
    /// Of a hook.
    #[serde(deserialize_with = "null_default")]
    pub hook_phase: String,
    #[serde(deserialize_with = "null_default")]
    pub message: String,
    /// Of what an Application holds.
    #[serde(deserialize_with = "null_default")]
    pub health: Health,
}

/// `status.resources[].health` of an Application.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Health {
    /// `Healthy`, `Progressing`, `Degraded`, `Suspended`, `Missing` or `Unknown`.
    #[serde(deserialize_with = "null_default")]
    pub status: String,
    #[serde(deserialize_with = "null_default")]
    pub message: String,
}

objects!(GitOpsObject, FluxSource);
