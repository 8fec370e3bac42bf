//! The objects of the files, and which of them are whole.

use crate::snapshot::Snapshot;
use crate::snapshot::manifests::{Manifest, ManifestFile};

/// All objects with their files, in order.
pub(crate) fn objects(snap: &Snapshot) -> impl Iterator<Item = (&ManifestFile, &Manifest)> {
    let files = snap.manifests.items().unwrap_or_default().iter();
    files.flat_map(|file| file.objects.iter().map(move |object| (file, object)))
}

/// True for a file beside a kustomization: it may be laid over another one, and need not be whole.
pub(crate) fn is_part(snap: &Snapshot, file: &ManifestFile) -> bool {
    let folder = |path: &str| path.rsplit_once('/').map_or(String::new(), |(folder, _)| folder.to_owned());
    let is_kustomization =
        |f: &&ManifestFile| f.path.rsplit('/').next().is_some_and(|name| name.starts_with("kustomization."));
    let here = folder(&file.path);
    let mut all = snap.manifests.items().unwrap_or_default().iter().filter(is_kustomization);
    // A kustomization names the files of its folders, too.
    all.any(|f| here == folder(&f.path) || here.starts_with(&format!("{}/", folder(&f.path))))
}

/// Two manifests that may land in one namespace.
pub(crate) fn may_meet(one: &Manifest, other: &Manifest) -> bool {
    one.namespace.is_empty() || other.namespace.is_empty() || one.namespace == other.namespace
}

/// The object as people write it: `monitoring/prometheus`, or the name where the manifest leaves the namespace open.
pub(crate) fn full_name(object: &Manifest) -> String {
    match (object.namespace.as_str(), object.name.as_str()) {
        ("", "") => "without a name".to_owned(),
        ("", name) => name.to_owned(),
        (namespace, name) => format!("{namespace}/{name}"),
    }
}
