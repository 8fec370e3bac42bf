//! Whether Loki deletes what it is told to keep for a time only.

use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::mounts::{self, Mounts, Origin, Seen};
use crate::domain::kubernetes::store::Store;
use crate::lint::yaml::{self, Node};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{ConfigMap, Container, PersistentVolumeClaim, Pod};

/// A Loki on a disk of its own that deletes nothing, although a time is set.
#[derive(Debug)]
pub(crate) struct Unenforced<'a> {
    pub(crate) pod: &'a Pod,
    pub(crate) map: &'a ConfigMap,
    pub(crate) key: &'a str,
    /// `limits_config.retention_period`.
    pub(crate) period: String,
    /// Where its chunks are.
    pub(crate) claim: Option<&'a PersistentVolumeClaim>,
}

/// One for each configuration. A bucket may have a lifecycle of its own, so only Lokis that keep their chunks on a disk
/// are told.
pub(crate) fn unenforced(snap: &Snapshot) -> Vec<Unenforced<'_>> {
    let pods = snap.pods.items().unwrap_or_default().iter().filter(|p| p.status.phase == "Running");
    let mut found: Vec<Unenforced<'_>> = Vec::new();
    for pod in pods {
        let containers = pod.spec.containers.iter().filter(|c| Store::of_image(&c.image) == Some(Store::Loki));
        for container in containers {
            let Some(made) = of_container(snap, pod, container) else { continue };
            let is_known = |f: &Unenforced<'_>| {
                f.map.metadata.namespace == made.map.metadata.namespace && f.map.metadata.name == made.map.metadata.name
            };
            if !found.iter().any(is_known) {
                found.push(made);
            }
        }
    }
    found
}

fn of_container<'a>(snap: &'a Snapshot, pod: &'a Pod, container: &'a Container) -> Option<Unenforced<'a>> {
    if arguments::has_flag(container, "compactor.retention-enabled") {
        return None;
    }
    let Seen::File(file) = Mounts::of_pod(snap, pod, container).look(arguments::flag(container, "config.file")?) else {
        return None;
    };
    let (period, folder) = unenforced_in(&yaml::document(file.text).ok().flatten()?)?;
    let origin = mounts::origin(snap, pod, container, &folder);
    let is_claim = matches!(origin, Origin::Claim { .. });
    let claim = mounts::claim(snap, &pod.metadata.namespace, &origin).filter(|_| is_claim);
    Some(Unenforced { pod, map: file.map, key: file.key, period, claim })
}

/// The period and the folder of the chunks, where nothing enforces it.
fn unenforced_in(config: &Node) -> Option<(String, String)> {
    let text = |path: &[&str]| config.at(path).and_then(Node::as_str);
    let is_on = |path: &[&str]| config.at(path).is_some_and(Node::is_true);
    let period = text(&["limits_config", "retention_period"]).filter(|p| !matches!(*p, "0" | "0s" | "0h" | "0d"))?;
    if is_on(&["compactor", "retention_enabled"]) || is_on(&["table_manager", "retention_deletes_enabled"]) {
        return None;
    }
    let schemas = config.at(&["schema_config", "configs"]).and_then(Node::items)?;
    let store = schemas.last()?.get("object_store").and_then(Node::as_str)?;
    let folder = text(&["common", "storage", "filesystem", "chunks_directory"])
        .or_else(|| text(&["storage_config", "filesystem", "directory"]))
        .or_else(|| text(&["common", "path_prefix"]))
        .unwrap_or("/loki");
    (store == "filesystem").then(|| (period.to_owned(), folder.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(String, String)> {
        unenforced_in(&yaml::document(text).expect("YAML").expect("a document"))
    }

    const BASE: &str = "common: {path_prefix: /var/loki}\nlimits_config: {retention_period: 168h}\nschema_config: {configs: [{object_store: filesystem}]}\n";

    #[test]
    fn a_period_alone_deletes_nothing() {
        assert_eq!(read(BASE), Some(("168h".into(), "/var/loki".into())));
        for quiet in [
            format!("{BASE}compactor: {{retention_enabled: true}}\n"),
            format!("{BASE}table_manager: {{retention_deletes_enabled: true}}\n"),
            BASE.replace("168h", "0s"),
            BASE.replace("filesystem", "s3"),
            BASE.replace("retention_period: 168h", ""),
        ] {
            assert_eq!(read(&quiet), None, "{quiet}");
        }
    }
}
