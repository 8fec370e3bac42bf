//! What lets it bring the objects, by what keeps it from that.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::domain::kubernetes::gitops::{self, Cause, Failing};
use crate::domain::kubernetes::not_served::{self, Asked};
use crate::domain::kubernetes::stored_version;
use crate::domain::manifests::cluster::bringer;
use crate::domain::prometheus::operator::crd_of;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::SyncedResource;

/// What makes Argo CD apply on the server's side.
const SERVER_SIDE: &str = "ServerSideApply=true";

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fix {
    /// `applications.argoproj.io`.
    pub(super) resource: String,
    /// `kustomization`, `helmrelease` or `source`, as flux takes it; empty of Argo CD.
    pub(super) flux: String,
    pub(super) name: String,
    pub(super) namespace: String,
    /// Starts another sync of Argo CD.
    pub(super) sync_patch: String,
    #[serde(flatten)]
    pub(super) way: Way,
}

/// What keeps it from syncing.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
pub(super) enum Way {
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
    Unfetched(Fetched),
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

impl Fix {
    /// What fixes it; `resource` is the kind of the object as kubectl takes it.
    pub(super) fn of(snap: &Snapshot, failing: &Failing<'_>, resource: String) -> Self {
        let object = failing.object;
        let mut options = object.spec.sync_policy.sync_options.clone();
        if failing.fault == Cause::TooLong && !options.iter().any(|o| o == SERVER_SIDE) {
            options.push(SERVER_SIDE.to_owned());
        }
        Self {
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
}

/// A repository that is not fetched.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fetched {
    /// What keeps it, in a word.
    pub(super) why: &'static str,
    /// As `flux reconcile source` takes its kind.
    pub(super) source: &'static str,
    /// The Secret that it names; empty where it names none.
    pub(super) secret: String,
    /// Host and port of its URL, where it has them.
    pub(super) host: String,
    pub(super) port: String,
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
pub(super) fn unserved(snap: &Snapshot, failing: &Failing<'_>) -> Option<String> {
    let asked = Asked::read(&failing.text)?;
    let mut all = snap.crds.items().unwrap_or_default().iter().map(|c| &c.metadata);
    let own = all.find(|m| not_served::defines(&m.name, &asked.group, &asked.kind))?;
    // One that was made since has nothing to do with it.
    let failed = gitops::failed_at(failing.object);
    let was_there = own.creation_timestamp.zip(failed).is_none_or(|(made, failed)| made < failed);
    was_there.then(|| own.name.clone())
}

/// The version of Kubernetes that removed a kind of its own.
pub(super) fn gone(text: &str) -> Option<String> {
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
pub(super) fn unread(text: &str) -> Option<String> {
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
