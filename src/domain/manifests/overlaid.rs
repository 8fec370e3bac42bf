//! What other files of the set put in place of a part of an object: patches of Kustomize, manifests that are laid over it, and
//! replacements.

use regex::Regex;

use super::given::{KUSTOMIZATIONS, Parts, may_meet, objects};
use crate::lint::yaml::Node;
use crate::snapshot::Snapshot;
use crate::snapshot::manifests::Manifest;

/// Everything of the set that changes objects before they are applied.
pub(crate) struct Overlaid<'a> {
    /// What may be laid over another manifest, with whether a kustomization holds it as a patch.
    parts: Vec<(&'a Manifest, bool)>,
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
    pub(crate) fn of(snap: &'a Snapshot, reach: &Parts<'_>) -> Self {
        let mut parts = Vec::new();
        let mut replaced = Vec::new();
        for (file, object) in objects(snap) {
            let name = file.path.rsplit('/').next().unwrap_or(&file.path);
            let of_kustomize = object.group() == "kustomize.config.k8s.io";
            if of_kustomize {
                let list = object.node.get("replacements").and_then(Node::items).unwrap_or_default();
                replaced.extend(list.iter().flat_map(targets));
            } else if KUSTOMIZATIONS.contains(&name) || reach.holds(file) {
                parts.push((object, KUSTOMIZATIONS.contains(&name)));
            }
        }
        Self { parts, replaced }
    }

    /// True where something else of the set says what stands at a path of an object.
    pub(crate) fn covers(&self, object: &Manifest, path: &str) -> bool {
        let steps = steps(path);
        let by_part = |(part, is_patch): &(&Manifest, bool)| {
            // Of two copies of an object neither is laid over the other.
            let is_other = !std::ptr::eq(*part, object) && (*is_patch || part.node.entries() != object.node.entries());
            is_other
                && part.kind == object.kind
                && (part.group() == object.group() || *is_patch)
                && named(&part.name, &object.name)
                && may_meet(part, object)
                && holds(&part.node, &steps)
        };
        let by_replacement = |target: &Target<'_>| {
            let keys: Vec<&str> = steps.iter().copied().filter(|s| !is_number(s)).collect();
            target.kind.is_none_or(|kind| kind == object.kind)
                && target.name.is_none_or(|name| named(name, &object.name))
                && (target.paths.is_empty() || target.paths.iter().any(|path| keys.starts_with(path)))
        };
        self.parts.iter().any(by_part) || self.replaced.iter().any(by_replacement)
    }
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
fn named(pattern: &str, name: &str) -> bool {
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
    use crate::snapshot::manifests::ManifestFile;

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
        let overlaid = Overlaid::of(&snap, &Parts::of(&snap));
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
        let other = (
            "over/pvc.yaml",
            "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: b}\nspec: {accessModes: [ReadWriteOnce]}\n",
        );
        let replacement = (
            "over/kustomization.yaml",
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nreplacements:\n- source: {kind: ConfigMap}\n  targets:\n  - select: {kind: PersistentVolumeClaim}\n    fieldPaths: [spec.accessModes.0]\n",
        );
        let path = "spec.accessModes[0]";
        assert!(!covers(&[base, kustomization], path));
        assert!(covers(&[base, kustomization, patch], path));
        assert!(covers(&[base, kustomization, ("over/kustomization.yaml", kustomization.1), laid_over], path));
        assert!(!covers(&[base, kustomization, ("over/kustomization.yaml", kustomization.1), other], path));
        assert!(covers(&[base, kustomization, replacement], path));
        assert!(!covers(&[base, kustomization, replacement], "spec.resources"));
    }

    #[test]
    fn paths_have_steps() {
        assert_eq!(steps("spec.rules[0].host"), ["spec", "rules", "0", "host"]);
        assert_eq!(steps("metadata.annotations.[a.b/c]"), ["metadata", "annotations", "a.b/c"]);
    }
}
