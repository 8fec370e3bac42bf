//! Which files one kustomization puts together.

use std::collections::{BTreeMap, BTreeSet};

use super::given::{KUSTOMIZATIONS, objects};
use super::overlaid::plain;
use crate::lint::yaml::Node;
use crate::snapshot::Snapshot;
use crate::snapshot::manifests::{Manifest, ManifestFile};

/// Kustomizations that contain others, at most so deep.
const DEPTH: usize = 16;

/// The files that each kustomization of the set leads to.
pub(crate) struct Together {
    sets: Vec<BTreeSet<String>>,
    /// Flux or Argo CD is told what else goes into the same cluster.
    applied: bool,
}

impl Together {
    /// Of all files.
    pub(crate) fn of(snap: &Snapshot) -> Self {
        let all: BTreeMap<String, &Manifest> = objects(snap)
            .filter(|(file, object)| object.group() == "kustomize.config.k8s.io" && is_kustomization(file))
            .map(|(file, object)| (plain("", folder(file)), object))
            .collect();
        let sets = all.keys().map(|folder| {
            let mut found = BTreeSet::new();
            collect(&all, folder, 0, &mut found);
            found
        });
        let appliers = ["Application", "ApplicationSet", "GitRepository", "HelmRelease"];
        let applied = objects(snap)
            .any(|(_, o)| appliers.contains(&o.kind.as_str()) || o.group() == "kustomize.toolkit.fluxcd.io");
        Self { sets: sets.collect(), applied }
    }

    /// Two files that kustomizations name, and no one names both: nothing of the set says that both are applied.
    pub(crate) fn are_apart(&self, one: &ManifestFile, other: &ManifestFile) -> bool {
        let (one, other) = (plain("", &one.path), plain("", &other.path));
        let named = |path: &String| self.sets.iter().any(|set| set.contains(path));
        !self.applied
            && named(&one)
            && named(&other)
            && !self.sets.iter().any(|set| set.contains(&one) && set.contains(&other))
    }
}

fn folder(file: &ManifestFile) -> &str {
    file.path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn is_kustomization(file: &ManifestFile) -> bool {
    KUSTOMIZATIONS.contains(&file.path.rsplit('/').next().unwrap_or_default())
}

fn collect(all: &BTreeMap<String, &Manifest>, folder: &str, depth: usize, found: &mut BTreeSet<String>) {
    let Some(object) = all.get(folder).filter(|_| depth < DEPTH) else { return };
    for key in ["resources", "bases", "components", "patchesStrategicMerge"] {
        let named = object.node.get(key).and_then(Node::items).unwrap_or_default();
        for path in named.iter().filter_map(Node::as_str).map(|path| plain(folder, path)) {
            if all.contains_key(&path) {
                collect(all, &path, depth + 1, found)
            } else {
                found.insert(path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::yaml;
    use crate::snapshot::Listing;

    fn apart(files: &[(&str, &str)], one: &str, other: &str) -> bool {
        let read = |(path, text): &(&str, &str)| {
            let mut file = ManifestFile::new(*path, *text);
            for document in yaml::documents(text).expect("is YAML") {
                file.add(document, true);
            }
            file
        };
        let mut snap = Snapshot::empty("2026-11-21T00:00:00Z".parse().expect("a time"));
        snap.manifests = Listing::cluster(files.iter().map(read).collect());
        let together = Together::of(&snap);
        let file = |path: &str| ManifestFile::new(path, "");
        together.are_apart(&file(one), &file(other))
    }

    #[test]
    fn what_no_kustomization_puts_together_is_apart() {
        let list = |resources: &str| {
            format!("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [{resources}]\n")
        };
        let (a, b) = (list("svc.yaml"), list("svc.yaml"));
        let both = list("../a, ../b");
        let set = [("a/kustomization.yaml", a.as_str()), ("b/kustomization.yaml", b.as_str())];
        assert!(apart(&set, "a/svc.yaml", "b/svc.yaml"));
        assert!(!apart(&set, "a/svc.yaml", "c/svc.yaml"), "nobody knows of the other");
        let above = [set[0], set[1], ("all/kustomization.yaml", both.as_str())];
        assert!(!apart(&above, "a/svc.yaml", "b/svc.yaml"));
        let flux =
            "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: a}\nspec: {path: ./a}\n";
        let applied = [set[0], set[1], ("flux.yaml", flux)];
        assert!(!apart(&applied, "a/svc.yaml", "b/svc.yaml"), "each may be applied");
    }
}
