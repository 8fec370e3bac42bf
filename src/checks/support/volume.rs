//! Volumes that hold the data of a program: made larger, or mended from a pod of their own.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::kubernetes::mounts::{self, Origin};
use crate::domain::kubernetes::owner::Target;
use crate::domain::prometheus::tsdb;
use crate::model::Program;
use crate::snapshot::kubernetes::{Container, PersistentVolumeClaim, Pod};
use crate::snapshot::{Snapshot, format_bytes, parse_quantity};

/// A claim of twice the size, where its class lets it grow.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Larger {
    /// What it has now; empty where that is not known.
    size: String,
    bigger_patch: String,
    expandable: bool,
}

impl Larger {
    pub(crate) fn of(snap: &Snapshot, namespace: &str, origin: &Origin) -> Self {
        Self::of_claim(snap, mounts::claim(snap, namespace, origin))
    }

    /// Of a claim, where one is known.
    pub(crate) fn of_claim(snap: &Snapshot, claim: Option<&PersistentVolumeClaim>) -> Self {
        let bigger = bytes(claim).map_or_else(|| "<size>".to_owned(), |b| format_bytes(b * 2.0));
        Self {
            size: requested(claim).cloned().unwrap_or_default(),
            bigger_patch: format!(r#"{{"spec":{{"resources":{{"requests":{{"storage":"{bigger}"}}}}}}}}"#),
            expandable: expands(snap, claim) == Some(true),
        }
    }
}

/// A volume that is full: a larger claim, or less data.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Full {
    /// None where the data lies on no claim.
    claim: Option<String>,
    storage_class: String,
    /// Its class is known not to let it grow.
    not_expandable: bool,
    retention_arg: String,
    retention_patch: String,
    #[serde(flatten)]
    larger: Larger,
}

impl Full {
    pub(crate) fn of(snap: &Snapshot, namespace: &str, origin: &Origin) -> Self {
        let claim = mounts::claim(snap, namespace, origin);
        let larger = Larger::of(snap, namespace, origin);
        // Where the class allows it, of the size that the step before gives it.
        let room = bytes(claim).map(|b| if larger.expandable { b * 2.0 } else { b });
        let retention = room.map_or_else(|| "<size>GB".to_owned(), tsdb::size_limit);
        Self {
            claim: claim_name(origin),
            storage_class: claim.and_then(|c| c.class()).unwrap_or_default().to_owned(),
            not_expandable: expands(snap, claim) == Some(false),
            retention_arg: format!("--storage.tsdb.retention.size={retention}"),
            retention_patch: format!(r#"{{"spec":{{"retentionSize":"{retention}"}}}}"#),
            larger,
        }
    }
}

fn requested(claim: Option<&PersistentVolumeClaim>) -> Option<&String> {
    claim?.spec.resources.requests.get("storage")
}

fn bytes(claim: Option<&PersistentVolumeClaim>) -> Option<f64> {
    requested(claim).and_then(|q| parse_quantity(q))
}

/// Whether the class of a claim lets it grow, where that is known.
fn expands(snap: &Snapshot, claim: Option<&PersistentVolumeClaim>) -> Option<bool> {
    let class = snap.storage_classes.find("", claim?.class()?).ok()??;
    Some(class.allow_volume_expansion == Some(true))
}

fn claim_name(origin: &Origin) -> Option<String> {
    match origin {
        Origin::Claim { name, .. } => Some(name.clone()),
        _ => None,
    }
}

/// What is damaged is moved aside from a pod of its own: the values of `data-stopped` and `data-started`, and the names that
/// both need.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Repair {
    pod: String,
    operated: bool,
    operator_kind: &'static str,
    operator_name: String,
    operator_down: &'static str,
    operator_up: String,
    replicas: u32,
    /// None where the data lies on no claim: then nothing can be mended.
    claim: Option<String>,
    repair: String,
    /// The server's own image, where it has a shell: it is on the node already.
    repair_image: String,
    /// As whom the server runs, where it is nobody who may do all.
    run_as_user: Option<i64>,
    fs_group: Option<i64>,
    mount_path: String,
    sub_path: String,
}

impl Repair {
    /// Of the data of a container, below `data`.
    pub(crate) fn of(target: &Target<'_>, pod: &Pod, container: &Container, origin: &Origin, data: &str) -> Self {
        let mount = mounts::mount_of(container, data);
        let context = pod.spec.security_context.as_ref();
        let own = matches!(container.program(), Some(Program::Prometheus | Program::Alertmanager))
            && !container.lacks_shell();
        let run_as_user = context.and_then(|c| c.run_as_user).filter(|user| own && *user != 0);
        Self {
            pod: pod.metadata.name.clone(),
            operated: !target.operator_kind().is_empty(),
            operator_kind: target.operator_kind(),
            operator_name: target.operator_name().to_owned(),
            operator_down: r#"{"spec":{"replicas":0}}"#,
            operator_up: operator_up(target),
            replicas: target.replicas,
            claim: claim_name(origin),
            repair: format!("{}-repair", target.name.rsplit('/').next().unwrap_or_default()),
            repair_image: if own { container.image.clone() } else { "busybox:1.36".to_owned() },
            run_as_user,
            fs_group: context.and_then(|c| c.fs_group).filter(|_| run_as_user.is_some()),
            mount_path: mount.map_or(data, |m| m.mount_path.as_str()).to_owned(),
            sub_path: mount.and_then(|m| m.sub_path.clone()).unwrap_or_default(),
        }
    }
}

/// Patch of the operator's resource that starts its replicas again.
pub(crate) fn operator_up(target: &Target<'_>) -> String {
    format!(r#"{{"spec":{{"replicas":{}}}}}"#, target.replicas)
}
