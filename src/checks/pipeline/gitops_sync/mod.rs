//! Argo CD or Flux does not manage to bring the stack's objects into the cluster.

mod unfetched;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::checks::support::pipeline::{release_ref, sync_evidence};
use crate::checks::{Check, check};
use crate::domain::kubernetes::flux_source;
use crate::domain::kubernetes::gitops::{self, Cause, Failing};
use crate::domain::kubernetes::not_served::{self, Asked};
use crate::domain::kubernetes::stored_version;
use crate::domain::kubernetes::webhooks;
use crate::domain::manifests::cluster::bringer;
use crate::domain::prometheus::operator::crd_of;
use crate::domain::text::redact::redact;
use crate::domain::text::shorten::shorten;
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::SyncedResource;

/// Longest part of a message that is shown in the sentence.
const QUOTED: usize = 260;
/// What makes Argo CD apply on the server's side.
const SERVER_SIDE: &str = "ServerSideApply=true";

check! {
    /// See the check's page.
    GitOpsSync {
        id: "gitops-sync", suite: Pipeline, severity: Warning,
        title: "Argo CD or Flux does not bring the stack up to date",
        requires: [GitOps],
        uses: [Crds, ApiServices, FluxSources, Pods, Jobs, Webhooks, Events, MonitoringResources],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    /// `applications.argoproj.io`.
    resource: String,
    /// `kustomization`, `helmrelease` or `source`, as flux takes it; empty of Argo CD.
    flux: String,
    name: String,
    namespace: String,
    /// Starts another sync of Argo CD.
    sync_patch: String,
    #[serde(flatten)]
    way: Way,
}

/// What keeps it from syncing.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    TooLong {
        patch: String,
    },
    StoredVersion {
        crd: String,
        version: String,
    },
    Immutable {
        /// The object, as kubectl takes it; empty where none is named.
        object: String,
        object_namespace: String,
        /// Its pods can stay: it takes them on again when it is recreated.
        keeps_pods: bool,
        /// It can be deleted with its pods: they are recreated with it.
        takes_pods: bool,
        /// It holds data, and is never deleted for this.
        claim: bool,
    },
    Hook {
        home: String,
    },
    Source,
    Unfetched(unfetched::Fetched),
    KubeVersion {
        wanted: String,
        has: String,
        patch: String,
    },
    Project {
        /// Its project; where it names none it is `default`.
        project: String,
    },
    Schema {
        field: String,
        /// A kind of the Prometheus operator.
        operator: bool,
    },
    NoField {
        kind: String,
        field: String,
        /// A kind of the Prometheus operator.
        operator: bool,
    },
    Live {
        /// The CRD whose objects cannot be read; empty where none is named.
        crd: String,
    },
    NoVersion {
        chart: String,
        version: String,
        patch: String,
    },
    Decrypt {
        /// The Secret with the keys; empty where none is named.
        secret: String,
        /// It is AWS that refuses the key.
        by_aws: bool,
        /// Those for whom it was encrypted, as far as they are named.
        recipients: String,
        /// The name under which a further key is put into the Secret; empty where nobody knows what kind of key it is.
        key_name: &'static str,
    },
    Unserved {
        kind: String,
        /// `external-secrets.io/v1beta1`.
        api_version: String,
        /// The kind's definition; empty for a kind that Kubernetes itself had.
        crd: String,
        /// The version of Kubernetes with which it went: `1.25`, and what took its place.
        removed: String,
        instead: &'static str,
    },
    NoKind {
        kind: String,
        /// A kind of the Prometheus operator.
        operator: bool,
        /// Who brings it; empty where that is not known.
        brings: &'static str,
        api_group: String,
    },
    HookWaits {
        home: String,
        job: String,
        /// The Job is gone.
        gone: bool,
    },
    Unhealthy {
        /// What it waits for, as kubectl takes it.
        object: String,
        object_namespace: String,
        kind: String,
        /// A kind of the Prometheus operator whose status says nothing.
        untold: bool,
    },
    Fight {
        /// The first object that differs, as kubectl takes it.
        object: String,
        object_namespace: String,
    },
    Shared,
    Stalled,
    Other,
}

impl Check for GitOpsSync {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        if snap.git_ops()?.is_empty() {
            return Ok(Diagnosis::NotApplicable("neither Argo CD nor Flux brings objects here".into()));
        }
        let found = gitops::failing(snap);
        let sources = unfetched::findings(snap, &found);
        Ok(Diagnosis::Findings(found.iter().map(|f| finding(snap, f)).chain(sources).collect()))
    }
}

fn finding(snap: &Snapshot, failing: &Failing<'_>) -> Finding {
    let object = failing.object;
    let (namespace, name) = (&object.metadata.namespace, &object.metadata.name);
    let text = redact(&failing.text.split_whitespace().collect::<Vec<_>>().join(" "));
    let why = match failing.fault {
        Cause::TooLong => {
            "client-side apply keeps a copy of the object in an annotation, and this object is too large for that"
        }
        Cause::StoredVersion => "a definition is to lose a version in which objects were once written",
        Cause::Immutable => "a field that cannot be changed is changed",
        Cause::NoKind if unserved(snap, failing).is_some() => {
            "a kind is there, but not in the version that the manifests name"
        }
        Cause::NoKind if gone(&failing.text).is_some() => {
            "the manifests name a version of a kind that Kubernetes has removed"
        }
        Cause::NoKind => "a kind is not there yet",
        Cause::NoVersion => "the chart has no such version",
        Cause::KubeVersion => "the chart is not made for this version of Kubernetes",
        Cause::Decrypt => "its secrets cannot be decrypted",
        Cause::Hook => "a job of a hook failed",
        Cause::Source => "its manifests cannot be made",
        Cause::Conflict => "another field manager holds a field",
        Cause::Refused => "an object is refused",
        Cause::Project => "its project does not admit it",
        Cause::NoField => "the cluster does not know a field of it",
        Cause::Schema => "Argo CD cannot compare it, for the schema that it knows lacks a field",
        Cause::Live => "Argo CD cannot read what is in the cluster",
        Cause::HookWaits => "the sync waits for a hook that does not end",
        Cause::Unhealthy => "the sync waits for an object that Argo CD does not take for healthy",
        Cause::Fight => "something changes it back",
        Cause::Shared => "two applications have the same object, and each writes over the other's",
        Cause::Stalled => "Flux has used up its tries and makes no more, although all that runs there is ready",
        Cause::Other => "it fails",
    };
    let message = format!(
        "{} {namespace}/{name} does not bring namespace {} up to date, and what is changed in its repository does not arrive: {why}: {}",
        object.kind,
        gitops::place(snap, object),
        shorten(&text, QUOTED)
    );
    let message = match &gitops::waiting_for(snap, object)[..] {
        [] => message,
        [only] => format!("{message}; {} {} waits for it", only.kind, only.metadata.name),
        [first, more @ ..] => {
            format!("{message}; {} {} and {} more wait for it", first.kind, first.metadata.name, more.len())
        }
    };
    let subject = gitops::reference(object);
    let resource = gitops::resource(object);
    let seen = sync_evidence(object, shorten(&text, 600));
    let mut made = Finding::new(GitOpsSync::META.id, Severity::Warning, subject.clone(), message)
        .key(format!("{} {:?}", subject.key(), failing.fault).to_ascii_lowercase())
        // A check that knows the refusal better says that it does not come.
        .depends_on(subject.clone())
        .breaks(subject)
        .evidence(seen)
        .fix(fix(snap, failing, resource));
    if object.kind == "HelmRelease" {
        let (home, release) = gitops::release(object);
        made = made.depends_on(release_ref(&home, &release));
        // What Helm was refused says why.
        made = made.depends_on(ResourceRef::kubernetes("helm.sh", "HelmOperation", &home, &release));
    }
    if let Some(of) = unfetched::source(snap, failing) {
        made = made.depends_on(flux_source::reference(of.source));
    }
    // A webhook that cannot be called, or a conversion, says more.
    made = webhooks::blamed(snap, &failing.text).into_iter().fold(made, Finding::depends_on);
    if failing.fault == Cause::Live
        && let Some(crd) = unread(&failing.text)
    {
        made = made.depends_on(ResourceRef::crd(&crd));
    }
    if let Some(refused) = failing.resource {
        let of = ResourceRef::kubernetes(&refused.group, &refused.kind, &refused.namespace, &refused.name);
        made = made.depends_on(of);
        // What the operator makes of it is what is not ready.
        if crd_of(&refused.kind).is_some() && failing.fault == Cause::Unhealthy {
            let set = format!("{}-{}", refused.kind.to_ascii_lowercase(), refused.name);
            made = made.depends_on(ResourceRef::workload("StatefulSet", &refused.namespace, &set));
        }
    }
    made
}

fn fix(snap: &Snapshot, failing: &Failing<'_>, resource: String) -> Fix {
    let object = failing.object;
    let mut options = object.spec.sync_policy.sync_options.clone();
    if failing.fault == Cause::TooLong && !options.iter().any(|o| o == SERVER_SIDE) {
        options.push(SERVER_SIDE.to_owned());
    }
    Fix {
        resource,
        flux: match object.kind.as_str() {
            "Kustomization" => "kustomization",
            "HelmRelease" => "helmrelease",
            _ => "",
        }
        .to_owned(),
        name: object.metadata.name.clone(),
        namespace: object.metadata.namespace.clone(),
        sync_patch: gitops::sync_patch(&options),
        way: way(snap, failing, &options),
    }
}

fn way(snap: &Snapshot, failing: &Failing<'_>, options: &[String]) -> Way {
    let refused = failing.resource;
    match failing.fault {
        Cause::TooLong => Way::TooLong { patch: json!({"spec": {"syncPolicy": {"syncOptions": options}}}).to_string() },
        Cause::StoredVersion => {
            let stored = stored_version::read(&failing.text);
            let (crd, version) = stored.map(|s| (s.crd, s.version)).unwrap_or_default();
            Way::StoredVersion { crd, version }
        }
        Cause::Immutable => Way::Immutable {
            object: refused.map(|r| format!("{}/{}", r.kind.to_ascii_lowercase(), r.name)).unwrap_or_default(),
            object_namespace: refused.map(|r| r.namespace.clone()).unwrap_or_default(),
            keeps_pods: refused.is_some_and(|r| r.kind == "StatefulSet"),
            // What cannot be changed of a Deployment is its selector: the new one would leave the pods of before running.
            takes_pods: refused.is_some_and(|r| matches!(r.kind.as_str(), "Deployment" | "DaemonSet" | "Job")),
            claim: refused.is_some_and(|r| r.kind == "PersistentVolumeClaim")
                || failing.text.contains("PersistentVolumeClaim \""),
        },
        Cause::Hook => Way::Hook { home: gitops::home(failing.object).to_owned() },
        Cause::Source => Way::Source,
        Cause::Project => Way::Project { project: failing.object.spec.project.clone() },
        Cause::Schema => {
            let field = failing.text.split(": field not declared in schema").next().unwrap_or_default();
            let operator = failing.text.contains("monitoring.coreos.com");
            Way::Schema { field: field.rsplit([' ', ':']).next().unwrap_or_default().to_owned(), operator }
        }
        Cause::NoField => {
            let (kind, field) = gitops::no_field(&failing.text).unwrap_or_default();
            Way::NoField { operator: crd_of(&kind).is_some(), kind, field }
        }
        Cause::Live => Way::Live { crd: unread(&failing.text).unwrap_or_default() },
        Cause::NoVersion => no_version(failing),
        Cause::KubeVersion => {
            let (wanted, has) = gitops::kube_version(&failing.text).unwrap_or_default();
            Way::KubeVersion { wanted, has, patch: version_patch(failing) }
        }
        Cause::Decrypt => decrypt(failing),
        Cause::NoKind if unserved(snap, failing).or_else(|| gone(&failing.text)).is_some() => {
            let asked = Asked::read(&failing.text).unwrap_or_default();
            Way::Unserved {
                crd: unserved(snap, failing).unwrap_or_default(),
                removed: gone(&failing.text).unwrap_or_default(),
                instead: asked.removed().map_or("", |removed| removed.instead),
                api_version: asked.api_version(),
                kind: asked.kind,
            }
        }
        Cause::NoKind => Way::NoKind {
            kind: failing.text.split("kind \"").nth(1).and_then(|t| t.split('"').next()).unwrap_or_default().to_owned(),
            operator: failing.text.contains("monitoring.coreos.com"),
            api_group: Asked::read(&failing.text)
                .map(|a| a.group)
                .filter(|g| !g.is_empty())
                .unwrap_or_else(|| "<group>".to_owned()),
            brings: Asked::read(&failing.text).and_then(|a| bringer(&a.group)).unwrap_or_default(),
        },
        Cause::HookWaits => {
            let job = refused.filter(|r| r.kind == "Job");
            let gone = job.is_some_and(|j| matches!(snap.jobs.find(&j.namespace, &j.name), Ok(None)));
            let job = job.map(|j| j.name.clone()).unwrap_or_default();
            Way::HookWaits { home: gitops::home(failing.object).to_owned(), job, gone }
        }
        Cause::Unhealthy => Way::Unhealthy {
            object: refused.map(differing).unwrap_or_default(),
            object_namespace: refused.map(|r| r.namespace.clone()).unwrap_or_default(),
            kind: refused.map(|r| r.kind.clone()).unwrap_or_default(),
            untold: refused.is_some_and(|r| is_untold(snap, r)),
        },
        Cause::Fight => Way::Fight {
            object: refused.map(differing).unwrap_or_default(),
            object_namespace: refused.map(|r| r.namespace.clone()).unwrap_or_default(),
        },
        Cause::Shared => Way::Shared,
        Cause::Stalled => Way::Stalled,
        _ => Way::Other,
    }
}

/// An object of the Prometheus operator that is there, and of which nobody has said how it is.
fn is_untold(snap: &Snapshot, resource: &SyncedResource) -> bool {
    let all = snap.monitoring_resources.items().unwrap_or_default();
    let mut own = all.iter().filter(|o| o.kind == resource.kind && o.metadata.name == resource.name);
    let own = own.find(|o| o.metadata.namespace == resource.namespace);
    resource.group == "monitoring.coreos.com" && own.is_some_and(|o| o.status.conditions.is_empty())
}

/// The definition of the kind that is asked for in vain: it was there, and does not have that version.
fn unserved(snap: &Snapshot, failing: &Failing<'_>) -> Option<String> {
    let asked = Asked::read(&failing.text)?;
    let mut all = snap.crds.items().unwrap_or_default().iter().map(|c| &c.metadata);
    let own = all.find(|m| not_served::defines(&m.name, &asked.group, &asked.kind))?;
    // One that was made since has nothing to do with it.
    let failed = gitops::failed_at(failing.object);
    let was_there = own.creation_timestamp.zip(failed).is_none_or(|(made, failed)| made < failed);
    was_there.then(|| own.name.clone())
}

/// The version of Kubernetes that removed a kind of its own.
fn gone(text: &str) -> Option<String> {
    Asked::read(text)?.removed().map(|removed| format!("1.{}", removed.since))
}

/// Its secrets cannot be decrypted: who lacks which key.
fn decrypt(failing: &Failing<'_>) -> Way {
    let recipients = recipients(&failing.text);
    let by_aws = ["AccessDenied", "kms:", "KMS"].iter().any(|w| failing.text.contains(w));
    // Flux tells keys of age and of PGP apart by the end of the name: with a wrong one it can decrypt nothing any more.
    let of_age = recipients.iter().any(|r| r.starts_with("age1"));
    Way::Decrypt {
        secret: failing.object.spec.decryption.secret_ref.name.clone(),
        by_aws,
        recipients: recipients.join(", "),
        key_name: if of_age { "added.agekey" } else { "" },
    }
}

/// The chart has no such version: what names another.
fn no_version(failing: &Failing<'_>) -> Way {
    let (chart, version) = gitops::no_version(&failing.text).unwrap_or_default();
    Way::NoVersion { chart: chart.to_owned(), version: version.to_owned(), patch: version_patch(failing) }
}

/// What names another version of the chart; empty where nobody knows here which source it is.
fn version_patch(failing: &Failing<'_>) -> String {
    let named = json!("<version>");
    let spec = &failing.object.spec;
    match failing.object.kind.as_str() {
        "HelmRelease" if spec.chart.spec.chart.is_empty() => String::new(),
        "HelmRelease" => json!({"spec": {"chart": {"spec": {"version": named}}}}).to_string(),
        // In a repository of Git the field is a revision of that.
        _ if !spec.sources.is_empty() || spec.source.chart.is_empty() => String::new(),
        _ => json!({"spec": {"source": {"targetRevision": named}}}).to_string(),
    }
}

/// Public keys of age and keys of KMS that an error of SOPS names.
fn recipients(text: &str) -> Vec<String> {
    let words = text.split_whitespace().map(|w| w.trim_end_matches(':'));
    let is_key = |w: &&str| w.starts_with("age1") || w.starts_with("arn:aws") && w.contains(":kms:");
    let mut found: Vec<String> = words.filter(is_key).map(str::to_owned).collect();
    found.dedup();
    found
}

/// `failed to load initial state of resource AlertmanagerConfig.monitoring.coreos.com: …`.
fn unread(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("initial state of resource ")?;
    let (kind, group) = rest.split([':', ' ']).next()?.split_once('.')?;
    let of_operator = crd_of(kind).filter(|name| name.ends_with(group));
    Some(of_operator.unwrap_or_else(|| format!("{}s.{group}", kind.to_ascii_lowercase())))
}

/// `servicemonitor.monitoring.coreos.com/name`.
fn differing(resource: &SyncedResource) -> String {
    let kind = resource.kind.to_ascii_lowercase();
    // kubectl takes the kind with its group after it, but not the group of the core.
    let group = if resource.group.is_empty() { String::new() } else { format!(".{}", resource.group) };
    format!("{kind}{group}/{}", resource.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::snapshot;
    use crate::snapshot::Listing;
    use crate::snapshot::kubernetes::GitOpsObject;

    fn synced(kind: &str) -> String {
        let refused = json!({"group": "apps", "kind": kind, "namespace": "monitoring", "name": "grafana",
            "status": "SyncFailed", "message": "spec.selector: Invalid value: {}: field is immutable"});
        let object = json!({"metadata": {"name": "stack", "namespace": "argocd"},
            "spec": {"destination": {"namespace": "monitoring"}},
            "status": {"sync": {"status": "OutOfSync"},
                "operationState": {"phase": "Failed", "syncResult": {"resources": [refused]}}}});
        let mut object: GitOpsObject = serde_json::from_value(object).expect("an application");
        object.kind = "Application".into();
        let mut snap = snapshot(json!({}));
        snap.git_ops = Listing::cluster(vec![object]);
        steps(&findings(&GitOpsSync, &snap)[0])
    }

    #[test]
    fn only_a_stateful_set_takes_its_pods_on_again() {
        let text = synced("StatefulSet");
        assert!(text.contains("kubectl delete statefulset/grafana -n monitoring --cascade=orphan"), "{text}");
        let text = synced("Deployment");
        assert!(text.contains("kubectl delete deployment/grafana -n monitoring"), "{text}");
        assert!(!text.contains("orphan"), "pods of the old selector would run beside the new ones: {text}");
        assert!(!synced("Service").contains("kubectl delete"), "nobody knows what hangs on it");
        let text = synced("PersistentVolumeClaim");
        assert!(text.contains("never deleted for this") && !text.contains("Delete the object"), "{text}");
    }
}
