//! What Argo CD and Flux do not manage to bring into the cluster, in their own words.

use serde_json::json;

use crate::model::ResourceRef;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{GitOpsObject, SyncedResource};

/// Why it does not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// Client-side apply keeps the whole object in an annotation, which is too small for it.
    TooLong,
    /// A field that cannot be changed was changed.
    Immutable,
    /// The kind is not there yet.
    NoKind,
    /// A hook's job failed.
    Hook,
    /// The manifests could not be made: repository, chart, values.
    Source,
    /// Another field manager holds a field.
    Conflict,
    /// The API server or a webhook refuses it.
    Refused,
    /// Another error.
    Other,
}

impl Fault {
    /// By the words of the API server, of Helm or of the controller; `None` where something is only not ready yet.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let has = |parts: &[&str]| parts.iter().any(|p| text.contains(p));
        Some(if has(&["metadata.annotations: Too long"]) {
            Self::TooLong
        } else if has(&["field is immutable", "updates to statefulset spec for fields other than", "spec is immutable"])
        {
            Self::Immutable
        } else if has(&[
            "no matches for kind",
            "ensure CRDs are installed first",
            "could not find the requested resource",
        ]) {
            Self::NoKind
        } else if has(&[
            "backoff limit",
            "hook failed",
            "hooks failed",
            "pre-upgrade",
            "post-upgrade",
            "pre-install",
            "post-install",
        ]) {
            Self::Hook
        } else if has(&[
            "timed out waiting for the condition",
            "context deadline exceeded",
            "timeout waiting for",
            "health check failed",
        ]) {
            return None;
        } else if has(&[
            "failed to generate manifest",
            "Manifest generation error",
            "helm template",
            "authentication required",
            "repository not found",
            "chart not found",
            "failed to download chart",
            "failed to fetch",
            "kustomize build failed",
            "execution error at",
            "parse error at",
        ]) {
            Self::Source
        } else if has(&["conflict with \"", "conflicts with \"", "Apply failed with"]) {
            Self::Conflict
        } else if has(&["denied the request", "is forbidden", "is invalid", "failed calling webhook"]) {
            Self::Refused
        } else {
            Self::Other
        })
    }
}

/// What fails to be brought.
#[derive(Debug)]
pub(crate) struct Failing<'a> {
    pub(crate) object: &'a GitOpsObject,
    pub(crate) fault: Fault,
    pub(crate) text: String,
    /// The object that is refused, where one is named.
    pub(crate) resource: Option<&'a SyncedResource>,
}

/// All that concern the stack and fail.
pub(crate) fn failing(snap: &Snapshot) -> Vec<Failing<'_>> {
    let all = snap.git_ops.items().unwrap_or_default().iter();
    all.filter(|o| snap.scope.is_stack(home(o)) && !o.spec.suspend).filter_map(of).collect()
}

/// Where its objects lie.
pub(crate) fn home(object: &GitOpsObject) -> &str {
    match object.kind.as_str() {
        "Application" => &object.spec.destination.namespace,
        _ => object.spec.target_namespace.as_deref().unwrap_or(&object.metadata.namespace),
    }
}

/// It, for the graph of causes.
pub(crate) fn reference(object: &GitOpsObject) -> ResourceRef {
    reference_of(&object.kind, &object.metadata.namespace, &object.metadata.name)
}

/// The same by its names.
pub(crate) fn reference_of(kind: &str, namespace: &str, name: &str) -> ResourceRef {
    ResourceRef::kubernetes(group(kind), kind, namespace, name)
}

/// Its API group.
fn group(kind: &str) -> &'static str {
    match kind {
        "Application" => "argoproj.io",
        "Kustomization" => "kustomize.toolkit.fluxcd.io",
        _ => "helm.toolkit.fluxcd.io",
    }
}

/// As kubectl takes it: `applications.argoproj.io`.
pub(crate) fn resource(object: &GitOpsObject) -> String {
    resource_of(&object.kind)
}

/// The same of its kind.
pub(crate) fn resource_of(kind: &str) -> String {
    format!("{}s.{}", kind.to_ascii_lowercase(), group(kind))
}

/// What starts another sync of an Application of Argo CD, with its own options.
pub(crate) fn sync_patch(options: &[String]) -> String {
    let operation = json!({"initiatedBy": {"username": "kubectl"}, "sync": {"syncOptions": options}});
    json!({"operation": operation}).to_string()
}

fn of(object: &GitOpsObject) -> Option<Failing<'_>> {
    if object.metadata.deletion_timestamp.is_some() {
        return None;
    }
    match object.kind.as_str() {
        "Application" => of_argo(object),
        _ => of_flux(object),
    }
}

fn of_argo(object: &GitOpsObject) -> Option<Failing<'_>> {
    const BAD: &[&str] = &["ComparisonError", "InvalidSpecError", "SyncError"];
    let state = &object.status.operation_state;
    let failed = matches!(state.phase.as_str(), "Failed" | "Error") && object.status.sync.status != "Synced";
    let refused = |r: &&SyncedResource| r.status == "SyncFailed" || matches!(r.hook_phase.as_str(), "Failed" | "Error");
    let resource = state.sync_result.resources.iter().filter(|_| failed).find(refused);
    let condition = object.status.conditions.iter().find(|c| BAD.contains(&c.kind.as_str()));
    let told = condition.and_then(|c| c.message.clone());
    let text = match (resource, failed) {
        (Some(resource), _) if !resource.message.is_empty() => resource.message.clone(),
        (_, true) if !state.message.is_empty() => state.message.clone(),
        _ => told?,
    };
    let hook = resource.is_some_and(|r| !r.hook_phase.is_empty() && r.status != "SyncFailed");
    let source = condition.is_some_and(|c| c.kind == "ComparisonError") && !failed;
    let fault = match Fault::of(&text) {
        _ if hook => Fault::Hook,
        Some(Fault::Other) if source => Fault::Source,
        fault => fault?,
    };
    Some(Failing { object, fault, text, resource })
}

fn of_flux(object: &GitOpsObject) -> Option<Failing<'_>> {
    let ready = object.status.conditions.iter().find(|c| c.kind == "Ready" && c.status == "False")?;
    let reason = ready.reason.as_deref().unwrap_or_default();
    // What waits for another one, or for pods, fails with them.
    if matches!(reason, "DependencyNotReady" | "HealthCheckFailed" | "Progressing" | "ProgressingWithRetry") {
        return None;
    }
    let text = ready.message.clone()?;
    let fault = match Fault::of(&text)? {
        Fault::Other if matches!(reason, "ArtifactFailed" | "SourceNotReady" | "BuildFailed") => Fault::Source,
        fault => fault,
    };
    Some(Failing { object, fault, text, resource: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_failed_sync() {
        for (text, fault) in [
            (
                "CustomResourceDefinition.apiextensions.k8s.io \"prometheuses.monitoring.coreos.com\" is invalid: metadata.annotations: Too long: may not be more than 262144 bytes",
                Some(Fault::TooLong),
            ),
            (
                "StatefulSet.apps \"loki\" is invalid: spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals' are forbidden",
                Some(Fault::Immutable),
            ),
            (
                "resource mapping not found for name: \"x\" namespace: \"\" from \"/dev/shm/1\": no matches for kind \"ServiceMonitor\" in version \"monitoring.coreos.com/v1\" ensure CRDs are installed first",
                Some(Fault::NoKind),
            ),
            ("Job has reached the specified backoff limit", Some(Fault::Hook)),
            (
                "Failed to load target state: failed to generate manifest for source 1 of 1: rpc error: code = Unknown desc = authentication required",
                Some(Fault::Source),
            ),
            (
                "Helm upgrade failed for release monitoring/kps with chart kube-prometheus-stack@79.5.0: context deadline exceeded",
                None,
            ),
            ("admission webhook \"validate.kyverno.svc-fail\" denied the request", Some(Fault::Refused)),
            ("something else", Some(Fault::Other)),
        ] {
            assert_eq!(Fault::of(text), fault, "{text}");
        }
    }
}
