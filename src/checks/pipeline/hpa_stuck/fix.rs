//! What lets an autoscaler scale.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::kubernetes::autoscaling::scaled_object;
use crate::snapshot::kubernetes::Autoscaler;

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fix {
    /// As kubectl calls what it is about: `hpa` or `scaledobject`.
    pub(super) resource: &'static str,
    pub(super) namespace: String,
    pub(super) name: String,
    #[serde(flatten)]
    pub(super) way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
pub(super) enum Way {
    MetricsApi {
        api: &'static str,
    },
    CustomApi,
    NoRequest {
        containers: Vec<String>,
        /// `cpu=<cpu>`.
        request: String,
        target: String,
        /// kubectl can set it.
        in_place: bool,
        managed_by: String,
    },
    /// It names a container that its pods do not have.
    NoContainer {
        container: String,
        containers: Vec<String>,
        /// The one that is meant; empty where several may be.
        meant: String,
        patch: String,
        patch_back: String,
        managed_by: String,
    },
    /// The selector of what it scales catches a pod of somebody else.
    OtherPod {
        pod: String,
        /// `statefulset/web-db`; empty where nobody owns it.
        owner: String,
        /// It has ended, and was made by a test of a Helm release.
        of_test: bool,
        finished: bool,
        target: String,
        /// The labels by which the target takes its pods, where they are known.
        selector: String,
        managed_by: String,
    },
    NoMetric {
        metric: String,
        /// Where the API lists its metrics.
        path: String,
        /// One that Prometheus has, and whose name begins alike; empty where there is none.
        series: String,
        stem: String,
        external: bool,
    },
    /// Of KEDA and of another one, one serves the API, and the autoscaler is the other's.
    OtherAdapter {
        served_by: String,
        served_namespace: String,
        for_keda: bool,
        /// Who keeps the registration.
        registered_by: String,
    },
    NoTarget {
        kind: String,
        near: Vec<String>,
        /// The one whose name is nearest; empty where none is, or several are.
        meant: String,
        patch: String,
        patch_back: String,
        managed_by: String,
    },
    Ambiguous,
    NoValues {
        /// One of its pods, where none of them is ready; empty otherwise.
        pod: String,
        /// It has ended before.
        crashed: bool,
    },
    AtMax {
        metric: String,
        desired: u32,
        patch: String,
        patch_back: String,
        /// KEDA's, which writes the autoscaler.
        scaled_object: Option<String>,
        managed_by: String,
    },
    Disabled {
        patch: String,
        scaled_object: Option<String>,
        managed_by: String,
    },
    /// More replicas are wanted than its rules for scaling up let it have soon.
    Slow {
        /// How long it waits before it scales up at all.
        window: String,
        patch: String,
        scaled_object: Option<String>,
        managed_by: String,
    },
    /// KEDA makes no autoscaler of a ScaledObject.
    ScaledObject {
        /// Who scales the same workload, kind and name; empty where it is nobody.
        other: Vec<String>,
        /// What it is to scale and is not there.
        target: String,
        /// A TriggerAuthentication that is not there.
        authentication: String,
        keda_namespace: String,
        managed_by: String,
    },
    Look,
}

/// For the ScaledObject where there is one, else for the autoscaler.
pub(super) fn max_patch(hpa: &Autoscaler, replicas: u32) -> String {
    let field = if scaled_object(hpa).is_some() { "maxReplicaCount" } else { "maxReplicas" };
    serde_json::json!({"spec": {field: replicas}}).to_string()
}

/// The same, to let it scale up.
pub(super) fn grow_patch(hpa: &Autoscaler) -> String {
    behavior_patch(hpa, &serde_json::json!({"selectPolicy": "Max"}))
}

/// Another rule for scaling up.
pub(super) fn behavior_patch(hpa: &Autoscaler, up: &serde_json::Value) -> String {
    let behavior = serde_json::json!({"behavior": {"scaleUp": up}});
    let spec = match scaled_object(hpa) {
        Some(_) => serde_json::json!({"advanced": {"horizontalPodAutoscalerConfig": behavior}}),
        None => behavior,
    };
    serde_json::json!({ "spec": spec }).to_string()
}

pub(super) fn target_patch(name: &str) -> String {
    serde_json::json!({"spec": {"scaleTargetRef": {"name": name}}}).to_string()
}
