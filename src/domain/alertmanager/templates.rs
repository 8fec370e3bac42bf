//! Template files that a configuration names.

use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::mounts::Mounts;
use crate::lint::alertmanager as lint;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{ConfigMap, Container, Pod};

/// ConfigMaps, keys and texts of the template files that a configuration names, as far as they can be seen.
pub(crate) fn template_files<'a>(
    snap: &'a Snapshot,
    at: Option<(&'a Pod, &'a Container)>,
    config: &str,
) -> Vec<(&'a ConfigMap, &'a str, &'a str)> {
    let Some((pod, container)) = at else { return Vec::new() };
    let Ok(Some(root)) = lint::read(config) else { return Vec::new() };
    let globs = root.get("templates").and_then(crate::lint::yaml::Node::items).unwrap_or_default();
    let mut found: Vec<(&ConfigMap, &str, &str)> = Vec::new();
    let mounts = Mounts::of_pod(snap, pod, container);
    let folder = arguments::config_file(container).and_then(|path| path.rsplit_once('/')).map_or("", |(dir, _)| dir);
    for glob in globs.iter().filter_map(|g| g.as_str()) {
        let glob = if glob.starts_with('/') { glob.to_owned() } else { format!("{folder}/{glob}") };
        let files = mounts.matching(&glob).unwrap_or_default().into_iter();
        found.extend(files.map(|f| (f.map, f.key, f.text)).filter(|f| !f.1.ends_with(".yml")));
    }
    found.dedup_by_key(|(map, key, _)| (map.metadata.name.as_str(), *key));
    found
}
