//! The objects of the files, and which of them are whole.

use std::collections::BTreeSet;

use crate::lint::yaml::Node;
use crate::snapshot::Snapshot;
use crate::snapshot::manifests::{Manifest, ManifestFile};

/// What Kustomize calls its own file.
pub(crate) const KUSTOMIZATIONS: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// All objects with their files, in order.
pub(crate) fn objects(snap: &Snapshot) -> impl Iterator<Item = (&ManifestFile, &Manifest)> {
    let files = snap.manifests.items().unwrap_or_default().iter();
    files.flat_map(|file| file.objects.iter().map(move |object| (file, object)))
}

/// Encrypted by SOPS: what it holds is decrypted when it is applied, and what SOPS notes of itself beside it goes with that.
pub(crate) fn is_encrypted(node: &Node) -> bool {
    node.get("sops").is_some_and(|noted| noted.get("mac").is_some())
}

/// Which files may be laid over others, and need not be whole: those beside or below a kustomization.
pub(crate) struct Parts<'a>(BTreeSet<&'a str>);

impl<'a> Parts<'a> {
    /// Of all files.
    pub(crate) fn of(snap: &'a Snapshot) -> Self {
        let files = snap.manifests.items().unwrap_or_default().iter().map(|f| split(&f.path));
        Self(files.filter(|(_, name)| KUSTOMIZATIONS.contains(name)).map(|(folder, _)| folder).collect())
    }

    /// True for a file that may be a part.
    pub(crate) fn holds(&self, file: &ManifestFile) -> bool {
        let mut folder = split(&file.path).0;
        loop {
            if self.0.contains(folder) {
                return true;
            }
            match folder.rsplit_once('/') {
                Some((above, _)) => folder = above,
                None if folder.is_empty() => return false,
                // A path without a folder lies below where one is called from.
                None => folder = "",
            }
        }
    }
}

/// Folder and name of a path.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// Two manifests that may land in one namespace.
pub(crate) fn may_meet(one: &Manifest, other: &Manifest) -> bool {
    one.namespace.is_empty() || other.namespace.is_empty() || one.namespace == other.namespace
}

/// Labels of an object with a word in their names, and their values: what tells a side-car which ConfigMaps are for it.
pub(crate) fn labels_with<'a>(object: &'a Manifest, word: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let all = object.node.at(&["metadata", "labels"]).and_then(Node::entries).unwrap_or_default().iter();
    let named = all.filter(move |(key, _)| key.as_str().is_some_and(|k| k.contains(word)));
    named.map(|(key, value)| (key.as_str().unwrap_or_default(), value.as_str().unwrap_or_default()))
}

/// The object as people write it: `monitoring/prometheus`, or the name where the manifest leaves the namespace open.
pub(crate) fn full_name(object: &Manifest) -> String {
    match (object.namespace.as_str(), object.name.as_str()) {
        ("", "") => "without a name".to_owned(),
        ("", name) => name.to_owned(),
        (namespace, name) => format!("{namespace}/{name}"),
    }
}
