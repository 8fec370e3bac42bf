//! What Argo CD and Flux do not manage to bring into the cluster, in their own words.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::json;

use crate::domain::kubernetes::called::is_of_monitoring;
use crate::domain::kubernetes::helm_words::{self, Refusal};
use crate::domain::kubernetes::stored_version;
use crate::domain::text::between::between;
use crate::domain::text::windows::RECENT;
use crate::model::ResourceRef;
use crate::snapshot::kubernetes::{Destination, GitOpsObject, Pod, SyncedResource};
use crate::snapshot::{Snapshot, journal};
use crate::text::pattern::pattern;

/// Why it does not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// Client-side apply keeps the whole object in an annotation, which is too small for it.
    TooLong,
    /// A definition is to lose a version in which objects were once written.
    StoredVersion,
    /// A field that cannot be changed was changed.
    Immutable,
    /// The kind is not there yet.
    NoKind,
    /// A hook's job failed.
    Hook,
    /// The manifests could not be made: repository, chart, values.
    Source,
    /// The chart has no such version.
    NoVersion,
    /// The chart asks for another version of Kubernetes.
    KubeVersion,
    /// Nobody has a key by which the secrets of the repository are decrypted.
    Decrypt,
    /// Another field manager holds a field.
    Conflict,
    /// The API server or a webhook refuses it.
    Refused,
    /// The project of Argo CD does not admit the repository, the kind or the place.
    Project,
    /// Argo CD cannot read what is in the cluster.
    Live,
    /// The cluster does not know a field.
    NoField,
    /// Argo CD compares by a schema that lacks a field.
    Schema,
    /// The sync waits for a hook that does not end.
    HookWaits,
    /// The sync waits for an object that Argo CD does not take for healthy.
    Unhealthy,
    /// It is synced again and again, and still differs.
    Fight,
    /// Two applications have the same object.
    Shared,
    /// Flux has given up.
    Stalled,
    /// Another error.
    Other,
}

/// Times that Argo CD has synced the same revision by itself, from which on something changes it back.
const FIGHT: u64 = 5;
/// Seconds for which a sync may wait for a hook: pulling an image and making certificates is done long before.
const HOOK: i64 = 1800;

impl Cause {
    /// By the words of the API server, of Helm or of the controller; `None` where something is only not ready yet.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let has = |parts: &[&str]| parts.iter().any(|p| text.contains(p));
        Some(if has(&["metadata.annotations: Too long"]) {
            Self::TooLong
        } else if stored_version::read(text).is_some() {
            Self::StoredVersion
        } else if has(&[
            "not permitted in project",
            "do not match any of the allowed destinations in project",
            "references project",
        ]) {
            Self::Project
        } else if has(&["field not declared in schema"]) && has(&["structured merge diff", "typed value"]) {
            Self::Schema
        } else if no_field(text).is_some() {
            Self::NoField
        } else if has(&["Failed to load live state", "failed to load initial state of resource"]) {
            Self::Live
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
        } else if has(&["sops", "SOPS"]) && has(&["ecrypt", "data key"]) {
            Self::Decrypt
        } else if no_version(text).is_some() {
            Self::NoVersion
        } else if kube_version(text).is_some() {
            Self::KubeVersion
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

/// The kind and the field that the cluster does not know, in the words of kubectl and of the API server.
pub(crate) fn no_field(text: &str) -> Option<(String, String)> {
    helm_words::read(text).into_iter().find_map(|refusal| match refusal {
        Refusal::UnknownField { kind, field } => Some((kind, field)),
        _ => None,
    })
}

/// The version of Kubernetes that the chart asks for, and the one that is there.
pub(crate) fn kube_version(text: &str) -> Option<(String, String)> {
    helm_words::read(text).into_iter().find_map(|refusal| match refusal {
        Refusal::KubeVersion { wanted, has } => Some((wanted, has)),
        _ => None,
    })
}

/// The chart and the version that its repository does not have, in the words of Flux and of Argo CD.
pub(crate) fn no_version(text: &str) -> Option<(&str, &str)> {
    let words = pattern!(
        r#"no '([^']+)' chart with version matching '([^']+)' found|chart \\*"([^"\\]+)\\*" (?:version|matching) \\*"?([^"\\ ]+)\\*"? not found"#
    );
    let found = words.captures(text)?;
    let either = |first: usize, second: usize| found.get(first).or(found.get(second)).map(|m| m.as_str());
    either(1, 3).zip(either(2, 4))
}

/// What fails to be brought.
#[derive(Debug)]
pub(crate) struct Failing<'a> {
    pub(crate) object: &'a GitOpsObject,
    pub(crate) fault: Cause,
    pub(crate) text: String,
    /// The object that is refused, where one is named.
    pub(crate) resource: Option<&'a SyncedResource>,
}

impl Failing<'_> {
    /// It was tried within so many seconds: Flux tries a Kustomization at each interval, Argo CD says when it did.
    pub(crate) fn is_of_now(&self, snap: &Snapshot, window: i64) -> bool {
        match self.object.kind.as_str() {
            "Kustomization" => true,
            "Application" => {
                let ended = self.object.status.operation_state.finished_at;
                ended.is_some_and(|t| snap.seconds_since(t) <= window)
            }
            _ => false,
        }
    }
}

/// All that concern the stack and fail, and what such an object waits for.
pub(crate) fn failing(snap: &Snapshot) -> Vec<Failing<'_>> {
    let all = snap.git_ops.items().unwrap_or_default().iter();
    let awaited = awaited(snap);
    let concerns = |o: &&GitOpsObject| is_of_stack(snap, o) || awaited.contains(&identity(o));
    all.filter(|o| !o.spec.suspend).filter(concerns).filter_map(|o| of(snap, o)).collect()
}

/// Kind, namespace and name.
type Identity<'a> = (&'a str, &'a str, &'a str);

fn identity(object: &GitOpsObject) -> Identity<'_> {
    (&object.kind, &object.metadata.namespace, &object.metadata.name)
}

/// The object of Flux that another one waits for by its own word: `dependency 'flux-system/infra' is not ready`.
fn waits_for(object: &GitOpsObject) -> Option<Identity<'_>> {
    let ready = object.status.conditions.iter().find(|c| c.kind == "Ready" && c.status == "False")?;
    let text = ready.message.as_deref().filter(|_| ready.reason.as_deref() == Some("DependencyNotReady"))?;
    let (namespace, name) = between(text, "dependency '", "'")?.split_once('/')?;
    Some((&object.kind, namespace, name))
}

/// All that objects of the stack wait for, and what those wait for in turn.
fn awaited(snap: &Snapshot) -> BTreeSet<Identity<'_>> {
    let all = snap.git_ops.items().unwrap_or_default().iter().filter(|o| !o.spec.suspend);
    let waiting: BTreeMap<Identity<'_>, Identity<'_>> =
        all.clone().filter_map(|o| Some((identity(o), waits_for(o)?))).collect();
    let mut found = BTreeSet::new();
    for object in all.filter(|o| waiting.contains_key(&identity(o)) && is_of_stack(snap, o)) {
        let mut next = waiting.get(&identity(object));
        while let Some(of) = next.filter(|of| found.insert(**of)) {
            next = waiting.get(of);
        }
    }
    found
}

/// The Application that has an object and may not bring it, as the settings of Argo CD exclude its kind: `Resource /Endpoints x is
/// excluded in the settings`.
pub(crate) fn excluding<'a>(
    snap: &'a Snapshot,
    kinds: &[&str],
    namespace: &str,
    name: &str,
) -> Option<&'a GitOpsObject> {
    let excluded = pattern!(r"^Resource [\w.-]*/(\w+) (\S+) is excluded in the settings");
    let is_it = |text: &str| {
        let Some(found) = excluded.captures(text) else { return false };
        kinds.contains(&&found[1]) && (&found[2] == name || found[2].starts_with(&format!("{name}-")))
    };
    let all = snap.git_ops.items().unwrap_or_default().iter().filter(|o| o.kind == "Application");
    let mut own = all.filter(|o| goes_here(o) != Some(false) && o.spec.destination.namespace == namespace);
    own.find(|o| {
        let warned = o.status.conditions.iter().filter(|c| c.kind == "ExcludedResourceWarning");
        warned.filter_map(|c| c.message.as_deref()).any(is_it)
    })
}

/// Objects of the stack that wait for this one.
pub(crate) fn waiting_for<'a>(snap: &'a Snapshot, object: &GitOpsObject) -> Vec<&'a GitOpsObject> {
    let all = snap.git_ops.items().unwrap_or_default().iter();
    all.filter(|o| !o.spec.suspend && waits_for(o) == Some(identity(object)) && is_of_stack(snap, o)).collect()
}

/// What it brings lies in the stack's namespaces, or is a part of a stack by its name or its chart: a Loki in a namespace of its
/// own. What goes into another cluster is none of this one's.
fn is_of_stack(snap: &Snapshot, object: &GitOpsObject) -> bool {
    let spec = &object.spec;
    let charts = [&spec.chart.spec, &spec.source].into_iter().chain(&spec.sources).map(|s| s.chart.as_str());
    let mut names = charts.chain([object.metadata.name.as_str()]).chain(spec.path.as_deref());
    let of_stack = |namespace: &str| snap.scope.is_stack(namespace);
    match goes_here(object) {
        Some(false) => false,
        None => of_stack(home(object)),
        Some(true) => of_stack(home(object)) || held(object).any(of_stack) || names.any(is_of_monitoring),
    }
}

/// An Argo CD or a Flux of one cluster serves others, too. `None`: the URL may be this cluster's, too.
fn goes_here(object: &GitOpsObject) -> Option<bool> {
    let Destination { server, name, .. } = &object.spec.destination;
    if object.spec.kube_config.is_some() {
        return Some(false);
    }
    match (server.as_str(), name.as_str()) {
        ("", name) => Some(matches!(name, "" | "in-cluster")),
        (url, _) => url.starts_with("https://kubernetes.default").then_some(true),
    }
}

/// Namespaces of what a Kustomization has brought before, or fails at now (`ExternalSecret/monitoring/oauth dry-run failed`).
fn held(object: &GitOpsObject) -> impl Iterator<Item = &str> {
    let brought = object.status.inventory.entries.iter().filter_map(|e| e.id.split('_').next());
    let said = object.status.conditions.iter().filter(|c| c.kind == "Ready").filter_map(|c| c.message.as_deref());
    let named = said.filter_map(|text| match text.split(' ').next()?.split('/').collect::<Vec<_>>()[..] {
        [_, namespace, _] => Some(namespace),
        _ => None,
    });
    brought.chain(named).filter(|namespace| !namespace.is_empty())
}

/// When it last failed, as far as it says so.
pub(crate) fn failed_at(object: &GitOpsObject) -> Option<Timestamp> {
    let ready = object.status.conditions.iter().find(|c| c.kind == "Ready").and_then(|c| c.last_transition_time);
    let state = &object.status.operation_state;
    ready.or(state.finished_at).or(state.started_at)
}

/// The namespace that is not brought up to date; where it brings objects of several, one of the stack's.
pub(crate) fn place<'a>(snap: &Snapshot, object: &'a GitOpsObject) -> &'a str {
    let home = home(object);
    if snap.scope.is_stack(home) || object.kind != "Kustomization" {
        return home;
    }
    held(object).find(|namespace| snap.scope.is_stack(namespace)).unwrap_or(home)
}

/// Where its objects lie.
pub(crate) fn home(object: &GitOpsObject) -> &str {
    match object.kind.as_str() {
        "Application" => &object.spec.destination.namespace,
        _ => object.spec.target_namespace.as_deref().unwrap_or(&object.metadata.namespace),
    }
}

/// The release that a HelmRelease makes: namespace and name.
pub(crate) fn release(object: &GitOpsObject) -> (String, String) {
    let name = object.spec.release_name.clone().unwrap_or_else(|| match &object.spec.target_namespace {
        Some(target) => format!("{target}-{}", object.metadata.name),
        None => object.metadata.name.clone(),
    });
    (home(object).to_owned(), name)
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

fn of<'a>(snap: &Snapshot, object: &'a GitOpsObject) -> Option<Failing<'a>> {
    if object.metadata.deletion_timestamp.is_some() {
        return None;
    }
    match object.kind.as_str() {
        "Application" => of_argo(object).or_else(|| waits(snap, object)).or_else(|| fights(snap, object)),
        _ => of_flux(object).or_else(|| stalled(snap, object)),
    }
}

/// `waiting for completion of hook batch/Job/x`, or `waiting for healthy state of apps/Deployment/x and 2 more resources`, for
/// long.
fn waits<'a>(snap: &Snapshot, object: &'a GitOpsObject) -> Option<Failing<'a>> {
    let state = &object.status.operation_state;
    let begun = state.started_at.filter(|_| state.phase == "Running")?;
    let mut since = begun;
    let (fault, resource) = if state.message.contains("waiting for completion of hook") {
        let hook = state.sync_result.resources.iter().find(|r| r.hook_phase == "Running");
        // Its wave may have come long after the sync began.
        // Only when it began to wait; whether the Job is there is looked at where that is told.
        let made = journal::aside(|| {
            let hook = hook.filter(|h| h.kind == "Job")?;
            snap.jobs.find(&hook.namespace, &hook.name).ok().flatten()?.metadata.creation_timestamp
        });
        since = made.map_or(begun, |made| made.max(begun));
        (Cause::HookWaits, hook)
    } else {
        let (_, awaited) = state.message.split_once("waiting for healthy state of ")?;
        let awaited = awaited.split([' ', ',']).next().unwrap_or_default();
        let is_it = |r: &&SyncedResource| awaited == format!("{}/{}/{}", r.group, r.kind, r.name);
        let waited = object.status.resources.iter().find(is_it);
        (Cause::Unhealthy, Some(waited.filter(|r| r.health.status != "Healthy")?))
    };
    let minutes = snap.seconds_since(since) / 60;
    if minutes < HOOK / 60 {
        return None;
    }
    let says = resource.map(|r| r.health.message.as_str()).filter(|m| !m.is_empty() && fault == Cause::Unhealthy);
    let says = says.map(|m| format!(" ({m})")).unwrap_or_default();
    let text = format!("{} for {minutes} minutes{says}", state.message);
    Some(Failing { object, fault, text, resource })
}

/// Times within the last hour that Argo CD began to sync the revision that it has, by itself.
fn syncs_begun(snap: &Snapshot, object: &GitOpsObject) -> u64 {
    let revision = object.status.sync.revision.as_str();
    let begun = format!("Initiated automated sync to '{revision}'");
    let told = snap.events_about("Application", &object.metadata, RECENT).into_iter();
    let same = told.filter(|e| e.reason == "OperationStarted" && !revision.is_empty() && e.message.contains(&begun));
    same.map(|e| u64::from(e.times_within(RECENT, snap.collected_at))).sum()
}

/// Argo CD puts back by itself what differs, and did so lately. Without selfHeal it syncs each revision once, and without a policy
/// when somebody asks for it: what differs stays so until then. What heals once in a while adds up, too; a fight goes on.
fn heals_now(snap: &Snapshot, object: &GitOpsObject) -> bool {
    let heals = object.spec.sync_policy.automated.as_ref().is_some_and(|a| a.self_heal && a.enabled != Some(false));
    let state = &object.status.operation_state;
    let ended = state.finished_at.or(state.started_at);
    heals && ended.is_some_and(|t| snap.seconds_since(t) <= RECENT)
}

/// Only its events tell how often it is synced: versions of before do not count, and it still differs.
pub(crate) fn counts_in_events(snap: &Snapshot, object: &GitOpsObject) -> bool {
    let status = &object.status;
    object.kind == "Application"
        && status.sync.status == "OutOfSync"
        && status.operation_state.phase == "Succeeded"
        && status.operation_state.operation.sync.auto_heal_attempts_count == 0
        && heals_now(snap, object)
}

/// Two applications have one object; or each sync succeeds, and what was synced differs again.
fn fights<'a>(snap: &Snapshot, object: &'a GitOpsObject) -> Option<Failing<'a>> {
    let status = &object.status;
    if status.sync.status != "OutOfSync" || status.operation_state.phase != "Succeeded" {
        return None;
    }
    let shared = status.conditions.iter().find(|c| c.kind == "SharedResourceWarning");
    if let Some(text) = shared.and_then(|c| c.message.clone()) {
        return Some(Failing { object, fault: Cause::Shared, text, resource: None });
    }
    if !heals_now(snap, object) {
        return None;
    }
    let differ: Vec<&SyncedResource> = status.resources.iter().filter(|r| r.status == "OutOfSync").collect();
    let first = differ.first().copied()?;
    let counted = status.operation_state.operation.sync.auto_heal_attempts_count;
    let times = if counted == 0 { syncs_begun(snap, object) } else { counted };
    if times < FIGHT {
        return None;
    }
    let names: Vec<String> = differ.iter().take(3).map(|r| named(r)).collect();
    let more = differ.len().saturating_sub(names.len());
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let text = format!("synced {times} times in a row without an error, and {}{more} still differ", names.join(", "));
    Some(Failing { object, fault: Cause::Fight, text, resource: Some(first) })
}

/// `ServiceMonitor monitoring/x`.
fn named(resource: &SyncedResource) -> String {
    let SyncedResource { kind, namespace, name, .. } = resource;
    if namespace.is_empty() { format!("{kind} {name}") } else { format!("{kind} {namespace}/{name}") }
}

/// Flux tries no more, although all that runs there is ready: what it waited for is over.
fn stalled<'a>(snap: &Snapshot, object: &'a GitOpsObject) -> Option<Failing<'a>> {
    let condition = |kind: &str, status: &str| {
        let mut all = object.status.conditions.iter();
        all.find(|c| c.kind == kind && c.status == status)
    };
    let ready = condition("Ready", "False")?;
    condition("Stalled", "True").filter(|c| c.reason.as_deref() == Some("RetriesExceeded"))?;
    if !snap.pods.covers(home(object)) {
        return None;
    }
    let pods = snap.pods.items().unwrap_or_default().iter().filter(|p| p.metadata.namespace == home(object));
    let mut at_work = pods.filter(|p| !p.is_finished()).peekable();
    if at_work.peek().is_none() || !at_work.all(Pod::is_ready) {
        return None;
    }
    let text = ready.message.clone()?;
    Some(Failing { object, fault: Cause::Stalled, text, resource: None })
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
    let fault = match Cause::of(&text) {
        _ if hook => Cause::Hook,
        Some(Cause::Other) if source => Cause::Source,
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
    let fault = match Cause::of(&text)? {
        Cause::Other if matches!(reason, "ArtifactFailed" | "SourceNotReady" | "BuildFailed") => Cause::Source,
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
                Some(Cause::TooLong),
            ),
            (
                "StatefulSet.apps \"loki\" is invalid: spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals' are forbidden",
                Some(Cause::Immutable),
            ),
            (
                "resource mapping not found for name: \"x\" namespace: \"\" from \"/dev/shm/1\": no matches for kind \"ServiceMonitor\" in version \"monitoring.coreos.com/v1\" ensure CRDs are installed first",
                Some(Cause::NoKind),
            ),
            (
                "CustomResourceDefinition.apiextensions.k8s.io \"helmreleases.helm.toolkit.fluxcd.io\" is invalid: status.storedVersions[0]: Invalid value: \"v2beta2\": missing from spec.versions",
                Some(Cause::StoredVersion),
            ),
            ("Job has reached the specified backoff limit", Some(Cause::Hook)),
            (
                "Failed to load target state: failed to generate manifest for source 1 of 1: rpc error: code = Unknown desc = authentication required",
                Some(Cause::Source),
            ),
            (
                "Helm upgrade failed for release monitoring/kps with chart kube-prometheus-stack@79.5.0: context deadline exceeded",
                None,
            ),
            ("admission webhook \"validate.kyverno.svc-fail\" denied the request", Some(Cause::Refused)),
            ("application repo https://charts.example is not permitted in project 'platform'", Some(Cause::Project)),
            (
                "resource apiextensions.k8s.io:CustomResourceDefinition is not permitted in project platform",
                Some(Cause::Project),
            ),
            (
                "Failed to compare desired state to live state: failed to calculate diff: error calculating structured merge diff: error building typed value from config resource: .spec.automountServiceAccountToken: field not declared in schema",
                Some(Cause::Schema),
            ),
            (
                "HelmChart 'flux-system/loki-loki' is not ready: invalid chart reference: failed to get chart version for remote reference: no 'loki' chart with version matching '6.99.0' found",
                Some(Cause::NoVersion),
            ),
            (
                "Failed to load target state: failed to generate manifest for source 1 of 1: rpc error: code = Unknown desc = error fetching chart: failed to fetch chart: `helm pull --destination /tmp/1 --version 6.99.0 loki` failed exit status 1: Error: chart \"loki\" version \"6.99.0\" not found in https://grafana.github.io/helm-charts repository",
                Some(Cause::NoVersion),
            ),
            (
                "decryption failed for 'grafana-oauth.yaml': cannot get sops data key: failed to get the data key required to decrypt the SOPS file.",
                Some(Cause::Decrypt),
            ),
            ("something else", Some(Cause::Other)),
        ] {
            assert_eq!(Cause::of(text), fault, "{text}");
        }
    }
}
