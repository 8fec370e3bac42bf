//! The fixes of what Helm was refused, and the release that they are about.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::kubernetes::helm_words::{self, Refusal, Told};
use crate::domain::kubernetes::{gitops, index};
use crate::model::ResourceRef;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::HelmRelease;

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
pub(super) enum Fix {
    Immutable {
        target: String,
        kind: String,
        namespace: String,
        field: String,
        /// Pods and claims stay where it is deleted with `--cascade=orphan`.
        stateful: bool,
        /// What happens where it is deleted; empty where that may cost more than the upgrade is worth.
        deleted: &'static str,
        #[serde(flatten)]
        release: Of,
    },
    Claim {
        claim: String,
        namespace: String,
        #[serde(flatten)]
        release: Of,
    },
    Forced {
        #[serde(flatten)]
        release: Of,
    },
    Owned {
        kind: String,
        name: String,
        namespace: String,
        by: String,
        #[serde(flatten)]
        release: Of,
    },
    Crds {
        #[serde(flatten)]
        release: Of,
    },
    RemovedApi {
        kind: String,
        version: String,
        #[serde(flatten)]
        release: Of,
    },
    ForeignKind {
        kind: String,
        version: String,
        group: String,
        /// The kind's definition, which has other versions; empty where it is not installed.
        crd: String,
        /// By now it is there, in that version.
        served: bool,
        /// The definition was made after Helm had asked.
        since: bool,
        of_cert_manager: bool,
        #[serde(flatten)]
        release: Of,
    },
    Hook {
        hook: String,
        job: String,
        /// The release was to be removed.
        removal: bool,
        #[serde(flatten)]
        release: Of,
    },
    Quota {
        quota: String,
        namespace: String,
        key: String,
        patch: String,
        managed_by: String,
        #[serde(flatten)]
        release: Of,
    },
    NameInUse {
        #[serde(flatten)]
        release: Of,
    },
    AtWork {
        #[serde(flatten)]
        release: Of,
    },
    NoDeployed {
        /// Helm's records were read, and none of them is deployed.
        forget: bool,
        #[serde(flatten)]
        release: Of,
    },
    RecordTooLarge {
        #[serde(flatten)]
        release: Of,
    },
    Conflict {
        target: String,
        namespace: String,
        manager: String,
        field: String,
        #[serde(flatten)]
        release: Of,
    },
    Doubled {
        target: String,
        namespace: String,
        entries: Vec<String>,
        #[serde(flatten)]
        release: Of,
    },
    NoValue {
        value: String,
        #[serde(flatten)]
        release: Of,
    },
    NotText {
        field: String,
        #[serde(flatten)]
        release: Of,
    },
    LongName {
        name: String,
        #[serde(flatten)]
        release: Of,
    },
    Schema {
        faults: String,
        #[serde(flatten)]
        release: Of,
    },
    KubeVersion {
        wanted: String,
        has: String,
        #[serde(flatten)]
        release: Of,
    },
    Dependencies {
        names: String,
        #[serde(flatten)]
        release: Of,
    },
    Template {
        file: String,
        says: String,
        #[serde(flatten)]
        release: Of,
    },
    StoredVersion {
        crd: String,
        version: String,
        #[serde(flatten)]
        release: Of,
    },
    Invalid {
        /// Kind and field, as `kubectl explain` takes them; empty where the field is none of a path.
        explained: String,
        field: String,
        says: String,
        /// A port of nodes, or another field that the type of a Service excludes.
        of_type: bool,
        #[serde(flatten)]
        release: Of,
    },
    Escalates {
        who: String,
        /// `User`, or `ServiceAccount`.
        who_kind: &'static str,
        who_name: String,
        who_namespace: String,
        /// `clusterroles` or `roles`, or those of the bindings.
        resource: String,
        /// `escalate` for a role, `bind` for a binding.
        verb: &'static str,
        object: String,
        /// The role that is made, or that a binding leads to.
        role: String,
        /// Namespace of the role; empty for one of the cluster.
        namespace: String,
        /// What it lacks, the first of it.
        lacks: String,
        #[serde(flatten)]
        release: Of,
    },
    Rights {
        who: String,
        verb: String,
        resource: String,
        namespace: String,
        #[serde(flatten)]
        release: Of,
    },
}

/// The release that was to be installed or upgraded, and Flux' HelmRelease, where that does it.
#[derive(Serialize, JsonSchema)]
pub(super) struct Of {
    release: String,
    release_namespace: String,
    flux: String,
    flux_namespace: String,
}

/// Which release was to be installed or upgraded, and where.
pub(super) struct Place {
    pub(super) name: Option<String>,
    pub(super) home: String,
    /// Namespace and name of Flux' HelmRelease.
    flux: Option<(String, String)>,
    /// When it was said last; a record of Helm's output does not say.
    pub(super) at: Option<Timestamp>,
}

impl Place {
    /// By the words, by the object that does it, or the one release that failed or hangs.
    pub(super) fn of(snap: &Snapshot, refusal: &Refusal, told: &Told<'_>) -> Self {
        let object = match told {
            Told::Event(event) => helm_words::object_of(snap, event),
            Told::Status(object) => Some(*object),
            Told::Record(..) => None,
        };
        let known = match told {
            _ if object.is_some() => object.map(gitops::release).map(|(namespace, name)| (name, namespace)),
            Told::Event(event) => Some((event.involved_object.name.clone(), event.involved_object.namespace.clone())),
            Told::Record(path, line) => {
                called(snap, path, *line).or_else(|| hooked(snap, refusal)).or_else(|| open_release(snap))
            }
            Told::Status(_) => None,
        };
        let stack = || snap.scope.stack.first().cloned().unwrap_or_default();
        let home = known.as_ref().map_or_else(stack, |(_, namespace)| namespace.clone());
        let wanted = match refusal {
            Refusal::Owned { wanted, .. } => wanted.clone(),
            Refusal::RecordTooLarge { release } => release.clone(),
            Refusal::NoDeployed { release } => Some(release.clone()),
            _ => None,
        };
        let flux = object.map(|o| (o.metadata.namespace.clone(), o.metadata.name.clone()));
        let at = match told {
            Told::Event(event) => event.last_seen(),
            Told::Status(object) => gitops::failed_at(object),
            Told::Record(..) => None,
        };
        Self { name: wanted.or(known.map(|(name, _)| name)), home, flux, at }
    }

    pub(super) fn release(&self) -> Of {
        let release = self.name.clone().unwrap_or_else(|| "<release>".to_owned());
        let (flux_namespace, flux) = self.flux.clone().unwrap_or_default();
        Of { release, release_namespace: self.home.clone(), flux, flux_namespace }
    }

    pub(super) fn object(&self, kind: &str, name: &str) -> ResourceRef {
        ResourceRef::kubernetes(group_of(kind), kind, self.namespace_of(kind), name)
    }

    /// Where its objects of a kind lie; empty for those that lie in no namespace.
    pub(super) fn namespace_of(&self, kind: &str) -> String {
        if is_of_cluster(kind) { String::new() } else { self.home.clone() }
    }
}

/// The release of the call that a record shows before an error: name and namespace.
fn called(snap: &Snapshot, path: &str, line: usize) -> Option<(String, String)> {
    let file = snap.manifests.items().unwrap_or_default().iter().find(|f| f.path == path)?;
    let call = file.errors.iter().find(|e| e.line == line)?.helm.as_ref()?;
    let stack = || snap.scope.stack.first().cloned();
    Some((call.release.clone(), call.namespace.clone().or_else(stack)?))
}

/// The one release that failed or hangs and begins the name of the hook's job, wherever it is: name and namespace.
fn hooked(snap: &Snapshot, refusal: &Refusal) -> Option<(String, String)> {
    let Refusal::Hook { name: Some(job), .. } = refusal else { return None };
    let newest = HelmRelease::newest(snap.helm_releases.items().unwrap_or_default()).into_iter();
    let own = |r: &&HelmRelease| job.strip_prefix(r.name.as_str()).is_some_and(|rest| rest.starts_with('-'));
    let open: Vec<&HelmRelease> = newest.filter(|r| r.status != "deployed").filter(own).collect();
    let longest = open.iter().map(|r| r.name.len()).max()?;
    let mut nearest = open.iter().filter(|r| r.name.len() == longest);
    let one = nearest.next()?;
    nearest.next().is_none().then(|| (one.name.clone(), one.metadata.namespace.clone()))
}

/// The one release of the stack's namespaces that failed or hangs: name and namespace.
fn open_release(snap: &Snapshot) -> Option<(String, String)> {
    let newest = HelmRelease::newest(snap.helm_releases.items().unwrap_or_default()).into_iter();
    let mut open = newest.filter(|r| r.status != "deployed" && snap.scope.is_stack(&r.metadata.namespace));
    let one = open.next()?;
    open.next().is_none().then(|| (one.name.clone(), one.metadata.namespace.clone()))
}

/// What becomes of an object that is deleted, so that an upgrade makes it again.
pub(super) fn deleted(kind: &str) -> &'static str {
    match kind {
        "Deployment" | "DaemonSet" | "ReplicaSet" | "Job" => "its pods end, and the upgrade recreates it",
        "RoleBinding" | "ClusterRoleBinding" => "until the upgrade recreates it, nobody has the rights that it gives",
        "StorageClass" => "claims and volumes that were made with it stay as they are",
        "ConfigMap" => "running pods keep what they have, and the upgrade recreates it",
        _ => "",
    }
}

/// Kinds that lie in no namespace.
fn is_of_cluster(kind: &str) -> bool {
    matches!(
        kind,
        "ClusterRole"
            | "ClusterRoleBinding"
            | "StorageClass"
            | "PersistentVolume"
            | "PriorityClass"
            | "CustomResourceDefinition"
            | "MutatingWebhookConfiguration"
            | "ValidatingWebhookConfiguration"
            | "APIService"
            | "CSIDriver"
            | "Namespace"
    )
}

pub(super) fn group_of(kind: &str) -> &'static str {
    match kind {
        "HelmRelease" => "helm.sh",
        "ClusterRole" | "ClusterRoleBinding" | "Role" | "RoleBinding" => "rbac.authorization.k8s.io",
        "StorageClass" => "storage.k8s.io",
        "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration" => "admissionregistration.k8s.io",
        kind => index::group_of(kind),
    }
}
