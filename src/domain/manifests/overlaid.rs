//! What other files of the set put in place of a part of an object: patches of Kustomize, manifests that are laid over it, and
//! replacements.

use std::collections::BTreeSet;

use regex::Regex;

use super::given::{KUSTOMIZATIONS, may_meet, objects};
use crate::lint::yaml::Node;
use crate::snapshot::Snapshot;
use crate::snapshot::manifests::{Manifest, ManifestFile};

/// Everything of the set that changes objects before they are applied.
pub(crate) struct Overlaid<'a> {
    /// Patches: those in a kustomization, and those in files that one names.
    patches: Vec<&'a Manifest>,
    replaced: Vec<Target<'a>>,
}

/// Fields that a replacement fills in.
struct Target<'a> {
    kind: Option<&'a str>,
    name: Option<&'a str>,
    /// Keys of each path; empty where they are not known.
    paths: Vec<Vec<&'a str>>,
}

impl<'a> Overlaid<'a> {
    /// Of all files.
    pub(crate) fn of(snap: &'a Snapshot) -> Self {
        let (mut named, mut replaced) = (BTreeSet::new(), Vec::new());
        for (file, object) in objects(snap).filter(|(_, object)| object.group() == OF_KUSTOMIZE) {
            let list = |key: &str| object.node.get(key).and_then(Node::items).unwrap_or_default().iter();
            replaced.extend(list("replacements").flat_map(targets));
            let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let with_path = list("patches").chain(list("patchesJson6902")).filter_map(|p| p.get("path")?.as_str());
            let paths = with_path.chain(list("patchesStrategicMerge").filter_map(Node::as_str));
            named.extend(paths.map(|path| plain(folder, path)));
        }
        let is_patch = |file: &ManifestFile| {
            KUSTOMIZATIONS.contains(&file.path.rsplit('/').next().unwrap_or_default())
                || named.contains(&plain("", &file.path))
        };
        let patches = objects(snap).filter(|(file, object)| object.group() != OF_KUSTOMIZE && is_patch(file));
        Self { patches: patches.map(|(_, object)| object).collect(), replaced }
    }

    /// True where something else of the set says what stands at a path of an object. What an object is called stays, and what
    /// a patch says is its own word.
    pub(crate) fn covers(&self, object: &Manifest, path: &str) -> bool {
        let steps = steps(path);
        let is_own = matches!(steps.as_slice(), [] | ["apiVersion" | "kind"] | ["metadata", "name" | "namespace"]);
        if is_own || self.patches.iter().any(|patch| std::ptr::eq(*patch, object)) {
            return false;
        }
        let by_patch = |patch: &&Manifest| {
            patch.kind == object.kind
                && may_meet(patch, object)
                && holds(&patch.node, &steps)
                && fits(&patch.name, &object.name)
        };
        let by_replacement = |target: &Target<'_>| {
            let keys: Vec<&str> = steps.iter().copied().filter(|s| !is_number(s)).collect();
            target.kind.is_none_or(|kind| kind == object.kind)
                && target.name.is_none_or(|name| fits(name, &object.name))
                && (target.paths.is_empty() || target.paths.iter().any(|path| keys.starts_with(path)))
        };
        self.patches.iter().any(by_patch) || self.replaced.iter().any(by_replacement)
    }
}

/// The group of Kustomize's own file.
const OF_KUSTOMIZE: &str = "kustomize.config.k8s.io";

/// A path without `.` and `..`, as far as it does not lead out of what was given.
pub(super) fn plain(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

/// The targets of a replacement; one that stands in a file of its own may have any.
fn targets(replacement: &Node) -> Vec<Target<'_>> {
    let Some(list) = replacement.get("targets").and_then(Node::items) else {
        return vec![Target { kind: None, name: None, paths: Vec::new() }];
    };
    let of = |target| {
        let text = |key: &str| Node::at(target, &["select", key]).and_then(Node::as_str);
        let paths = target.get("fieldPaths").and_then(Node::items).unwrap_or_default();
        let paths = paths.iter().filter_map(Node::as_str).map(|p| {
            let keys = steps(p).into_iter().filter(|s| !is_number(s) && *s != "*");
            keys.collect::<Vec<_>>()
        });
        Target { kind: text("kind"), name: text("name"), paths: paths.collect() }
    };
    list.iter().map(of).collect()
}

/// A target's name is a pattern, anchored; without one every name fits.
fn fits(pattern: &str, name: &str) -> bool {
    pattern.is_empty() || pattern == name || Regex::new(&format!("^(?:{pattern})$")).is_ok_and(|p| p.is_match(name))
}

/// `spec.rules[0].host` by its steps. A key in brackets may have dots.
fn steps(path: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        rest = rest.trim_start_matches('.');
        let (step, after) = match rest.strip_prefix('[') {
            Some(inner) => inner.split_once(']').unwrap_or((inner, "")),
            None => {
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                rest.split_at(end)
            }
        };
        if !step.is_empty() {
            found.push(step);
        }
        rest = after;
    }
    found
}

fn is_number(step: &str) -> bool {
    !step.is_empty() && step.bytes().all(|b| b.is_ascii_digit())
}

/// True where a part says something at a path. Which item of a list it means is not told.
fn holds(node: &Node, steps: &[&str]) -> bool {
    let Some((step, rest)) = steps.split_first() else { return true };
    match node.items() {
        Some(items) if is_number(step) => items.iter().any(|item| holds(item, rest)),
        Some(_) => false,
        // Keys of annotations have dots, which a path does not tell from its own.
        None => (1..=steps.len()).any(|n| node.get(&steps[..n].join(".")).is_some_and(|v| holds(v, &steps[n..]))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::yaml;
    use crate::snapshot::Listing;

    fn snap(files: &[(&str, &str)]) -> Snapshot {
        let read = |(path, text): &(&str, &str)| {
            let mut file = ManifestFile::new(*path, *text);
            for document in yaml::documents(text).expect("is YAML") {
                file.add(document, false);
            }
            file
        };
        let mut snap = Snapshot::empty("2026-11-21T00:00:00Z".parse().expect("a time"));
        snap.manifests = Listing::cluster(files.iter().map(read).collect());
        snap
    }

    fn covers(files: &[(&str, &str)], path: &str) -> bool {
        let snap = snap(files);
        let overlaid = Overlaid::of(&snap);
        let (_, object) = objects(&snap).next().expect("is there");
        overlaid.covers(object, path)
    }

    #[test]
    fn what_an_overlay_says_is_not_the_bases_word() {
        let base = (
            "base/pvc.yaml",
            "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: a}\nspec: {accessModes: [FROM_OVERLAY]}\n",
        );
        let kustomization =
            ("base/kustomization.yaml", "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n");
        let patch = (
            "over/kustomization.yaml",
            "apiVersion: v1\nkind: PersistentVolumeClaim\nspec: {accessModes: [ReadWriteOnce]}\n",
        );
        let laid_over = (
            "over/pvc.yaml",
            "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: a}\nspec: {accessModes: [ReadWriteOnce]}\n",
        );
        let listed = (
            "over/kustomization.yaml",
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [../base]\npatches: [{path: ./pvc.yaml}]\n",
        );
        let other = (laid_over.0, laid_over.1.replace("{name: a}", "{name: b}"));
        let replacement = (
            "over/kustomization.yaml",
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nreplacements:\n- source: {kind: ConfigMap}\n  targets:\n  - select: {kind: PersistentVolumeClaim}\n    fieldPaths: [spec.accessModes.0]\n",
        );
        let path = "spec.accessModes[0]";
        assert!(!covers(&[base, kustomization], path));
        assert!(covers(&[base, kustomization, patch], path));
        assert!(covers(&[base, kustomization, listed, laid_over], path));
        assert!(!covers(&[base, kustomization, laid_over], path), "nothing says that it is a patch");
        assert!(!covers(&[laid_over, listed, base], path), "a patch has the last word");
        assert!(!covers(&[base, kustomization, listed, (other.0, &other.1)], path));
        assert!(!covers(&[base, kustomization, listed, laid_over], "apiVersion"));
        assert!(covers(&[base, kustomization, replacement], path));
        assert!(!covers(&[base, kustomization, replacement], "spec.resources"));
    }

    #[test]
    fn paths_have_steps() {
        assert_eq!(steps("spec.rules[0].host"), ["spec", "rules", "0", "host"]);
        assert_eq!(steps("metadata.annotations.[a.b/c]"), ["metadata", "annotations", "a.b/c"]);
    }
}
