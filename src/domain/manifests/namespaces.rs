//! Namespaces that differ by a letter from the one in which all else of a file is.

use std::collections::{BTreeMap, BTreeSet};

use super::given::objects;
use super::references::is_near;
use crate::lint::Problem;
use crate::snapshot::manifests::{Manifest, ManifestFile};
use crate::snapshot::{Snapshot, journal};

/// So many objects of a file tell where it belongs.
const MANY: usize = 3;

/// The namespaces of all files.
pub(crate) struct Namespaces<'a> {
    by_file: BTreeMap<&'a str, BTreeMap<&'a str, usize>>,
    /// Objects of all files by their namespace.
    all: BTreeMap<&'a str, usize>,
    /// Namespaces that the files make, and those that are there.
    made: BTreeSet<&'a str>,
}

impl<'a> Namespaces<'a> {
    /// Of all files.
    pub(crate) fn of(snap: &'a Snapshot) -> Self {
        // Without a cluster the files alone tell.
        let there = journal::aside(|| snap.namespaces.items().unwrap_or_default());
        let made = there.iter().map(|n| n.metadata.name.as_str()).collect();
        let mut found = Self { by_file: BTreeMap::new(), all: BTreeMap::new(), made };
        for (file, object) in objects(snap) {
            if object.kind == "Namespace" && object.group().is_empty() {
                found.made.insert(&object.name);
            }
            if !object.namespace.is_empty() {
                *found.by_file.entry(&file.path).or_default().entry(&object.namespace).or_default() += 1;
                *found.all.entry(&object.namespace).or_default() += 1;
            }
        }
        found
    }

    /// An object that is alone in its namespace, and beside objects of one that is called nearly so.
    pub(crate) fn slip(&self, file: &ManifestFile, object: &Manifest) -> Option<Problem> {
        let own = object.namespace.as_str();
        if own.is_empty() || self.all.get(own) != Some(&1) || self.made.contains(own) {
            return None;
        }
        let beside = self.by_file.get(file.path.as_str())?;
        let (meant, _) = beside.iter().find(|(other, count)| **count >= MANY && is_near(own, other))?;
        let node = object.node.at(&["metadata", "namespace"])?;
        let message =
            format!("nothing else of the files is in namespace {own}, and what stands beside it is in {meant}");
        Some(Problem::new(node.place, "metadata.namespace", message).instead(Some(*meant)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::yaml;
    use crate::snapshot::Listing;

    fn slips(namespaces: &[&str], more: &str) -> Vec<Option<String>> {
        let map = |(at, namespace): (usize, &&str)| {
            format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a{at}, namespace: {namespace}}}\n---\n")
        };
        let text = namespaces.iter().enumerate().map(map).collect::<String>() + more;
        let mut file = ManifestFile::new("x.yaml", &text);
        for document in yaml::documents(&text).expect("is YAML") {
            file.add(document, false);
        }
        let mut snap = Snapshot::empty("2026-11-21T00:00:00Z".parse().expect("a time"));
        snap.manifests = Listing::cluster(vec![file]);
        let all = Namespaces::of(&snap);
        objects(&snap).filter_map(|(file, object)| all.slip(file, object)).map(|p| p.instead).collect()
    }

    #[test]
    fn one_that_differs_by_a_letter_is_a_slip() {
        assert_eq!(slips(&["shop", "shop", "shop", "shpo"], ""), [Some("shop".to_owned())]);
        assert_eq!(slips(&["shop", "shop", "shop", "shopp"], ""), [Some("shop".to_owned())]);
        let made = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shopp}\n";
        assert_eq!(slips(&["shop", "shop", "shop", "shopp"], made), []);
        for quiet in [
            &["shop", "shop", "shopp"][..],
            &["shop", "shop", "shop", "shopp", "shopp"],
            &["team1", "team1", "team1", "team2"],
            &["shop", "shop", "shop", "kube-system"],
            &["dev", "dev", "dev", "de"],
            &["team-a", "team-a", "team-a", "team-b"],
            &["x-tenant-a", "x-tenant-a", "x-tenant-a", "y-tenant-a"],
            &["test", "test", "test", "tests"],
            &["teama", "teama", "teama", "teamb"],
        ] {
            assert_eq!(slips(quiet, ""), [], "{quiet:?}");
        }
    }
}
