//! Where a file of a container comes from: the volume that is mounted there, and what fills it.

use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{ConfigMap, Container, KeyToPath, PersistentVolumeClaim, Pod, Volume, VolumeMount};

/// What fills a file or directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A key of a ConfigMap.
    ConfigMap {
        /// Its name.
        name: String,
        /// The key of the file.
        key: String,
    },
    /// A key of a Secret.
    Secret {
        /// Its name.
        name: String,
        /// The key of the file.
        key: String,
    },
    /// A PersistentVolumeClaim.
    Claim {
        /// Its name.
        name: String,
        /// The path inside the volume.
        path: String,
    },
    /// Another volume: written by a container of the pod, or by the node.
    Volume,
    /// No volume: the image.
    Image,
}

/// The mount that a path lies on: the longest one that leads to it.
pub(crate) fn mount_of<'a>(container: &'a Container, path: &str) -> Option<&'a VolumeMount> {
    let below = |m: &&VolumeMount| relative(&m.mount_path, path).is_some();
    container.volume_mounts.iter().filter(below).max_by_key(|m| m.mount_path.trim_end_matches('/').len())
}

/// `path` as seen from `base`; empty for `base` itself.
fn relative<'a>(base: &str, path: &'a str) -> Option<&'a str> {
    let rest = path.strip_prefix(base.trim_end_matches('/'))?;
    match rest.strip_prefix('/') {
        Some(rest) => Some(rest.trim_end_matches('/')),
        None => rest.is_empty().then_some(""),
    }
}

/// What fills a path of a container.
pub(crate) fn origin(pod: &Pod, container: &Container, path: &str) -> Origin {
    let Some(mount) = mount_of(container, path) else { return Origin::Image };
    let Some(volume) = pod.spec.volumes.iter().find(|v| v.name == mount.name) else { return Origin::Image };
    let below = relative(&mount.mount_path, path).unwrap_or_default();
    let inside = match (mount.sub_path.as_deref().unwrap_or_default().trim_matches('/'), below) {
        ("", below) => below.to_owned(),
        (sub, "") => sub.to_owned(),
        (sub, below) => format!("{sub}/{below}"),
    };
    of_volume(volume, &inside)
}

fn of_volume(volume: &Volume, inside: &str) -> Origin {
    let name = |name: &str| name.to_owned();
    if let Some(source) = &volume.config_map {
        return Origin::ConfigMap { name: name(&source.name), key: key(&source.items, inside) };
    }
    if let Some(source) = &volume.secret {
        return Origin::Secret { name: name(&source.secret_name), key: key(&source.items, inside) };
    }
    if let Some(source) = &volume.persistent_volume_claim {
        return Origin::Claim { name: name(&source.claim_name), path: inside.to_owned() };
    }
    let sources = volume.projected.iter().flat_map(|p| &p.sources);
    let maps = sources.clone().filter_map(|s| s.config_map.as_ref()).map(|s| (s, true));
    let secrets = sources.filter_map(|s| s.secret.as_ref()).map(|s| (s, false));
    let all: Vec<_> = maps.chain(secrets).collect();
    // A source that names the file is meant; without items each of its keys is a file.
    let named = all.iter().find(|(s, _)| s.items.iter().any(|i| i.path == inside));
    match named.or(all.iter().find(|(s, _)| s.items.is_empty())) {
        Some((source, true)) => Origin::ConfigMap { name: name(&source.name), key: key(&source.items, inside) },
        Some((source, false)) => Origin::Secret { name: name(&source.name), key: key(&source.items, inside) },
        None => Origin::Volume,
    }
}

fn key(items: &[KeyToPath], inside: &str) -> String {
    items.iter().find(|i| i.path == inside).map_or(inside, |i| i.key.as_str()).to_owned()
}

/// The ConfigMap behind an origin, and the text of the file, where it was read.
pub(crate) fn config_map<'a>(
    snap: &'a Snapshot,
    namespace: &str,
    origin: &Origin,
) -> Option<(&'a ConfigMap, Option<&'a str>)> {
    let Origin::ConfigMap { name, key } = origin else { return None };
    let map = snap.config_maps.find(namespace, name).ok().flatten()?;
    Some((map, map.data.get(key).map(String::as_str)))
}

/// The claim behind an origin, where it was read.
pub(crate) fn claim<'a>(snap: &'a Snapshot, namespace: &str, origin: &Origin) -> Option<&'a PersistentVolumeClaim> {
    let Origin::Claim { name, .. } = origin else { return None };
    snap.persistent_volume_claims.find(namespace, name).ok().flatten()
}

/// A flag's value among the arguments of a container: `--name=value`, or `--name value`.
pub(crate) fn argument<'a>(container: &'a Container, name: &str) -> Option<&'a str> {
    let all: Vec<&str> = container.command.iter().chain(&container.args).map(String::as_str).collect();
    all.iter().enumerate().find_map(|(at, word)| {
        let rest = word.trim_start_matches('-').strip_prefix(name).filter(|_| word.starts_with('-'))?;
        match rest.strip_prefix('=') {
            Some(value) => Some(value.trim_matches(['"', '\''])),
            None if rest.is_empty() => all.get(at + 1).copied(),
            None => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod() -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": {
            "containers": [{"name": "c", "args": ["--storage.tsdb.path=/data", "--log.level", "debug"], "volumeMounts": [
                {"name": "config", "mountPath": "/etc/prometheus/prometheus.yml", "subPath": "main.yml"},
                {"name": "rules", "mountPath": "/etc/prometheus/rules/"},
                {"name": "both", "mountPath": "/etc/prometheus/more"},
                {"name": "data", "mountPath": "/data", "subPath": "prometheus-db"}]}],
            "volumes": [
                {"name": "config", "configMap": {"name": "conf"}},
                {"name": "rules", "configMap": {"name": "rules", "items": [{"key": "k", "path": "a/b.yml"}]}},
                {"name": "both", "projected": {"sources": [
                    {"secret": {"name": "s", "items": [{"key": "x", "path": "x.yml"}]}}, {"configMap": {"name": "m"}}]}},
                {"name": "data", "persistentVolumeClaim": {"claimName": "claim"}}]}}))
        .expect("is a pod")
    }

    #[test]
    fn files_come_from_the_longest_mount() {
        let pod = pod();
        let of = |path: &str| origin(&pod, &pod.spec.containers[0], path);
        let map = |name: &str, key: &str| Origin::ConfigMap { name: name.into(), key: key.into() };
        assert_eq!(of("/etc/prometheus/prometheus.yml"), map("conf", "main.yml"));
        assert_eq!(of("/etc/prometheus/rules/a/b.yml"), map("rules", "k"));
        assert_eq!(of("/etc/prometheus/more/x.yml"), Origin::Secret { name: "s".into(), key: "x".into() });
        assert_eq!(of("/etc/prometheus/more/y.yml"), map("m", "y.yml"));
        assert_eq!(of("/data/wal"), Origin::Claim { name: "claim".into(), path: "prometheus-db/wal".into() });
        assert_eq!(of("/etc/prometheus"), Origin::Image);
        assert_eq!(argument(&pod.spec.containers[0], "storage.tsdb.path"), Some("/data"));
        assert_eq!(argument(&pod.spec.containers[0], "log.level"), Some("debug"));
        assert_eq!(argument(&pod.spec.containers[0], "storage.tsdb"), None);
    }
}
