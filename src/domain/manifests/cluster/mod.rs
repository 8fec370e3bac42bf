//! What manifests need of the cluster that they are for, and what of it is not there.

mod kinds;
mod room;
#[cfg(test)]
mod tests;

use super::given::objects;
use crate::domain::aws::{csi_node, ebs};
use crate::lint::Problem;
use crate::lint::yaml::{Node, Value, join};
use crate::model::Gap;
use crate::snapshot::Snapshot;
use crate::snapshot::manifests::{Manifest, ManifestFile};
pub(crate) use kinds::bringer;

/// What is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lacks {
    /// The CustomResourceDefinition of its kind, with who brings it.
    Kind {
        /// API group.
        group: String,
        /// In words.
        brings: &'static str,
    },
    /// The version in which it is written, with those of the group that are served.
    Version {
        /// API group.
        group: String,
        /// `v1, v1alpha1`.
        served: String,
    },
    /// The driver of its StorageClass.
    Driver(String),
    /// A LimitRange of its namespace does not let its containers be.
    Bound(String),
    /// What is left of a ResourceQuota.
    Quota {
        /// Of the namespace.
        namespace: String,
        /// The quota.
        quota: String,
    },
    /// A node that is large enough for a pod.
    Room,
}

/// Something that an object needs.
pub(crate) struct Need<'a> {
    /// The file.
    pub(crate) file: &'a ManifestFile,
    /// The object.
    pub(crate) object: &'a Manifest,
    /// What is not there.
    pub(crate) lacks: Lacks,
    /// Where it is asked for.
    pub(crate) problem: Problem,
}

/// All that the files need in vain, and what had to be seen of the cluster for it and could not.
pub(crate) fn needs(snap: &Snapshot) -> (Vec<Need<'_>>, Option<Gap>) {
    let mut found = Vec::new();
    let mut unseen = None;
    for part in [kinds::of(snap), drivers(snap), room::bounds(snap), room::sizes(snap), room::quotas(snap)] {
        match part {
            Ok(needs) => found.extend(needs),
            Err(gap) => unseen = unseen.or(Some(gap)),
        }
    }
    found.sort_by(|a, b| (&a.file.path, a.problem.place).cmp(&(&b.file.path, b.problem.place)));
    (found, unseen)
}

/// Something of the files that brings more than is written in them: charts, and manifests of elsewhere.
fn installs_more(snap: &Snapshot) -> bool {
    objects(snap).any(|(_, object)| match object.kind.as_str() {
        "HelmRelease" | "HelmChart" | "Application" | "ApplicationSet" | "Subscription" | "GitRepository" => true,
        "Kustomization" => {
            let remote = |n: &Node| n.as_str().is_some_and(|text| text.contains("://") || text.contains("?ref="));
            object.node.get("helmCharts").is_some()
                || object.node.get("resources").and_then(Node::items).is_some_and(|all| all.iter().any(remote))
                || object.group() == "kustomize.toolkit.fluxcd.io"
        }
        _ => false,
    })
}

/// Classes of the files whose driver does not run, and claims of classes of the cluster that have none.
fn drivers(snap: &Snapshot) -> Result<Vec<Need<'_>>, Gap> {
    let mut asked: Vec<(&ManifestFile, &Manifest, &Node, String, String)> = Vec::new();
    let made: Vec<&str> =
        snap.manifest_objects("storage.k8s.io", "StorageClass").map(|(_, o)| o.name.as_str()).collect();
    for (file, object) in objects(snap) {
        if object.kind == "StorageClass" && object.group() == "storage.k8s.io" {
            if let Some((node, name)) = object.node.get("provisioner").and_then(|n| Some((n, n.as_str()?))) {
                asked.push((file, object, node, name.to_owned(), "provisioner".to_owned()));
            }
        } else if has_claims(object) {
            let mut classes = Vec::new();
            classes_in(&object.node, "", &mut classes);
            for (node, name, path) in classes.into_iter().filter(|(_, name, _)| !made.contains(name)) {
                if let Some(class) = snap.storage_classes.named(name)? {
                    asked.push((file, object, node, class.provisioner.clone(), path));
                }
            }
        }
    }
    let brought: Vec<&str> =
        snap.manifest_objects("storage.k8s.io", "CSIDriver").map(|(_, o)| o.name.as_str()).collect();
    let mut found = Vec::new();
    if asked.is_empty() || installs_more(snap) {
        return Ok(found);
    }
    for (file, object, node, provisioner, path) in asked {
        let driver = ebs::driver_of(&provisioner).to_owned();
        // What is no CSI driver registers nowhere.
        let is_driver = csi_node::is_driver(snap, &driver) || ebs::serves(&provisioner);
        if !is_driver || brought.contains(&driver.as_str()) {
            continue;
        }
        if snap.csi_drivers.named(&driver)?.is_some() || csi_node::is_registered(snap, &driver) {
            continue;
        }
        let message = format!("no CSI driver {driver} is installed in the cluster: its claims stay Pending");
        let problem = Problem::new(node.place, path, message);
        found.push(Need { file, object, lacks: Lacks::Driver(driver), problem });
    }
    Ok(found)
}

/// Kinds that make claims.
fn has_claims(object: &Manifest) -> bool {
    matches!(
        (object.group(), object.kind.as_str()),
        ("", "PersistentVolumeClaim")
            | ("apps", "StatefulSet")
            | ("monitoring.coreos.com", "Prometheus" | "Alertmanager")
    )
}

/// Classes that an object names.
fn classes_in<'a>(node: &'a Node, path: &str, found: &mut Vec<(&'a Node, &'a str, String)>) {
    match &node.value {
        Value::Scalar { .. } => {}
        Value::Sequence(items) => {
            for (at, item) in items.iter().enumerate() {
                classes_in(item, &format!("{path}[{at}]"), found);
            }
        }
        Value::Mapping(entries) => {
            // A claim that names its volume needs no class.
            let bound = node.get("volumeName").is_some();
            for (key, value) in entries {
                let Some(key) = key.as_str() else { continue };
                let path = join(path, key);
                match (key, value.as_str()) {
                    ("storageClassName", Some(name)) if !name.is_empty() && !bound => found.push((value, name, path)),
                    _ => classes_in(value, &path, found),
                }
            }
        }
    }
}
