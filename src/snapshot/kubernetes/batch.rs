//! Namespaces, ReplicaSets, Jobs and CronJobs: what stands above pods and beside workloads.

use jiff::Timestamp;
use serde::Deserialize;

use super::meta::null_default;
use super::{Condition, Meta, PodTemplate};

/// Namespace.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Namespace {
    pub metadata: Meta,
    pub spec: NamespaceSpec,
    pub status: NamespaceStatus,
}

/// `spec` of a Namespace.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct NamespaceSpec {
    #[serde(deserialize_with = "null_default")]
    pub finalizers: Vec<String>,
}

/// `status` of a Namespace.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct NamespaceStatus {
    pub phase: String,
    #[serde(deserialize_with = "null_default")]
    pub conditions: Vec<Condition>,
}

impl Namespace {
    /// It is being deleted.
    pub fn is_terminating(&self) -> bool {
        self.status.phase == "Terminating" || self.metadata.deletion_timestamp.is_some()
    }
}

/// ReplicaSet.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ReplicaSet {
    pub metadata: Meta,
    pub spec: ReplicaSetSpec,
    pub status: ReplicaSetStatus,
}

/// `spec` of a ReplicaSet.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ReplicaSetSpec {
    pub replicas: Option<u32>,
    pub template: PodTemplate,
}

/// `status` of a ReplicaSet.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReplicaSetStatus {
    pub replicas: u32,
    pub ready_replicas: u32,
    pub available_replicas: u32,
    #[serde(deserialize_with = "null_default")]
    pub conditions: Vec<Condition>,
}

/// Job.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Job {
    pub metadata: Meta,
    pub spec: JobSpec,
    pub status: JobStatus,
}

/// `spec` of a Job.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JobSpec {
    pub completions: Option<u32>,
    pub backoff_limit: Option<u32>,
    pub suspend: bool,
    pub template: PodTemplate,
}

/// `status` of a Job.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JobStatus {
    pub active: u32,
    pub succeeded: u32,
    pub failed: u32,
    pub start_time: Option<Timestamp>,
    pub completion_time: Option<Timestamp>,
    #[serde(deserialize_with = "null_default")]
    pub conditions: Vec<Condition>,
}

/// CronJob.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct CronJob {
    pub metadata: Meta,
    pub spec: CronJobSpec,
    pub status: CronJobStatus,
}

/// `spec` of a CronJob.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CronJobSpec {
    pub schedule: String,
    pub suspend: bool,
    pub job_template: JobTemplate,
}

/// `spec.jobTemplate` of a CronJob.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct JobTemplate {
    pub spec: JobTemplateSpec,
}

/// `spec.jobTemplate.spec` of a CronJob.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct JobTemplateSpec {
    pub template: PodTemplate,
}

/// `status` of a CronJob.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CronJobStatus {
    pub last_schedule_time: Option<Timestamp>,
    pub last_successful_time: Option<Timestamp>,
}

objects!(Namespace, ReplicaSet, Job, CronJob);
