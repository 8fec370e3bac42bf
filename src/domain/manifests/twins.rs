//! Dashboards of the files with one uid: Grafana then writes none of those that one provider brings.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::given::{Parts, labels_with};
use crate::lint::yaml::Node;
use crate::lint::{Place, within};
use crate::snapshot::Snapshot;
use crate::snapshot::manifests::{Manifest, ManifestFile};

/// A dashboard with a uid that another one has, too.
#[derive(Debug)]
pub(crate) struct Twin<'a> {
    /// Where it stands.
    pub(crate) file: &'a ManifestFile,
    /// The ConfigMap.
    pub(crate) object: &'a Manifest,
    /// The key in its data.
    pub(crate) key: &'a str,
    /// Its title.
    pub(crate) title: String,
    /// Where its uid stands.
    pub(crate) place: Place,
}

/// Where dashboards come from that one Grafana gets: folder of the files, namespace, labels of its side-car.
type Source<'a> = (&'a str, &'a str, BTreeSet<(&'a str, &'a str)>);

/// Dashboards by the uid that they share: those that one side-car hands to one Grafana, in files of one folder.
pub(crate) fn twins(snap: &Snapshot) -> Vec<(String, Vec<Twin<'_>>)> {
    let parts = Parts::of(snap);
    let mut all: BTreeMap<(Source<'_>, String), Vec<Twin<'_>>> = BTreeMap::new();
    // An overlay may take one of two.
    for (file, object) in snap.manifest_objects("", "ConfigMap").filter(|(file, _)| !parts.holds(file)) {
        let marks: BTreeSet<(&str, &str)> = labels_with(object, "dashboard").collect();
        if marks.is_empty() {
            continue;
        }
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (key, value) in object.node.get("data").and_then(Node::entries).unwrap_or_default() {
            let (Some(key), Some(text)) = (key.as_str().filter(|k| k.ends_with(".json")), value.as_str()) else {
                continue;
            };
            let Ok(json) = serde_json::from_str::<Json>(text) else { continue };
            let word = |key: &str| json.get(key).and_then(Json::as_str).unwrap_or_default();
            let uid = word("uid");
            if uid.is_empty() {
                continue;
            }
            let at = text.find(&format!("\"{uid}\"")).unwrap_or_default();
            let place = within::of_byte(&file.text, text, value.place, at).unwrap_or(value.place);
            let twin = Twin { file, object, key, title: word("title").to_owned(), place };
            all.entry(((folder, object.namespace.as_str(), marks.clone()), uid.to_owned())).or_default().push(twin);
        }
    }
    // The same object twice is another matter: the later one replaces the first.
    let differ =
        |list: &[Twin<'_>]| list.iter().map(|t| (t.object.name.as_str(), t.key)).collect::<BTreeSet<_>>().len() > 1;
    all.into_iter().filter(|(_, list)| differ(list)).map(|((_, uid), list)| (uid, list)).collect()
}
