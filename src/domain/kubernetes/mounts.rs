//! The files that a container sees, and what fills them: ConfigMaps, Secrets and claims by their mounts. The content of
//! ConfigMaps is known; what comes from elsewhere (Secrets, volumes, the image) is not, and said to be so.

use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{
    ConfigMap, Container, KeyToPath, PersistentVolumeClaim, Pod, PodSpec, Volume, VolumeMount, Workload,
};

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
    let path = clean(path);
    let leading = container.volume_mounts.iter().filter(|m| below(&clean(&m.mount_path), &path).is_some());
    leading.max_by_key(|m| clean(&m.mount_path).len())
}

/// What fills a path of a container of a pod.
pub(crate) fn origin(snap: &Snapshot, pod: &Pod, container: &Container, path: &str) -> Origin {
    Mounts::of_pod(snap, pod, container).origin(path)
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

/// True if a ConfigMap has a key, of text or not.
pub(crate) fn has_key(map: &ConfigMap, key: &str) -> bool {
    map.data.contains_key(key) || map.binary_data.contains_key(key)
}

/// A kind of object that holds configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Holder {
    ConfigMap,
    Secret,
}

impl Holder {
    /// The kind.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }
}

/// One object of a volume.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) holder: Holder,
    pub(crate) name: &'a str,
    /// The pod starts without it.
    pub(crate) optional: bool,
    items: &'a [KeyToPath],
}

impl<'a> Source<'a> {
    /// The key of a file of the volume.
    fn key(&self, inside: &str) -> Option<String> {
        match self.items {
            [] => Some(inside.to_owned()),
            items => items.iter().find(|i| i.path.trim_matches('/') == inside).map(|i| i.key.clone()),
        }
    }

    /// Keys that the volume names.
    pub(crate) fn named_keys(&self) -> impl Iterator<Item = &'a str> {
        self.items.iter().map(|i| i.key.as_str())
    }
}

/// The ConfigMaps and Secrets of a volume, in their order: of two with one file, the later one's is there.
pub(crate) fn sources(volume: &Volume) -> Vec<Source<'_>> {
    let map = volume.config_map.as_ref().map(|s| (Holder::ConfigMap, s.name.as_str(), s.optional, &s.items));
    let secret = volume.secret.as_ref().map(|s| (Holder::Secret, s.secret_name.as_str(), s.optional, &s.items));
    let projected = volume.projected.iter().flat_map(|p| &p.sources).flat_map(|source| {
        let map = source.config_map.as_ref().map(|s| (Holder::ConfigMap, s));
        let secret = source.secret.as_ref().map(|s| (Holder::Secret, s));
        let both = map.into_iter().chain(secret);
        both.map(|(holder, s)| (holder, s.name.as_str(), s.optional, &s.items))
    });
    let all = map.into_iter().chain(secret).chain(projected);
    all.map(|(holder, name, optional, items)| Source { holder, name, optional, items }).collect()
}

/// The ConfigMaps that the volumes of a pod take files from.
pub(crate) fn config_maps(spec: &PodSpec) -> impl Iterator<Item = Source<'_>> {
    spec.volumes.iter().flat_map(sources).filter(|s| s.holder == Holder::ConfigMap && !s.name.is_empty())
}

/// True if a workload has a ConfigMap among its volumes.
pub(crate) fn reads(workload: &Workload, map: &ConfigMap) -> bool {
    workload.metadata.namespace == map.metadata.namespace
        && config_maps(&workload.spec.template.spec).any(|s| s.name == map.metadata.name)
}

/// A file of a ConfigMap at its place.
#[derive(Debug, Clone)]
pub(crate) struct File<'a> {
    /// Where the container sees it.
    pub(crate) path: String,
    /// The ConfigMap.
    pub(crate) map: &'a ConfigMap,
    /// Its key.
    pub(crate) key: &'a str,
    /// Its content.
    pub(crate) text: &'a str,
}

/// What is known of a path.
#[derive(Debug, Clone)]
pub(crate) enum Seen<'a> {
    /// A file of a ConfigMap.
    File(File<'a>),
    /// The mounted ConfigMaps do not have it; one of them, if there is one.
    Missing(Option<&'a ConfigMap>),
    /// There is a directory.
    Directory(Option<&'a ConfigMap>),
    /// It comes from elsewhere.
    Unknown,
}

/// A file of a volume.
#[derive(Debug)]
struct Entry<'a> {
    path: &'a str,
    map: &'a ConfigMap,
    key: &'a str,
}

/// What a volume holds of ConfigMaps.
#[derive(Debug, Default)]
struct Content<'a> {
    entries: Vec<Entry<'a>>,
    /// It may be a single file: the node's.
    may_be_file: bool,
    /// That is all that is in it.
    complete: bool,
}

impl<'a> Content<'a> {
    /// A ConfigMap of it, for naming it.
    fn map(&self) -> Option<&'a ConfigMap> {
        self.entries.first().map(|e| e.map)
    }
}

/// The mounts of a container.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mounts<'a> {
    snap: &'a Snapshot,
    namespace: &'a str,
    spec: &'a PodSpec,
    container: &'a Container,
}

impl<'a> Mounts<'a> {
    /// Those of a container of a pod.
    pub(crate) fn of_pod(snap: &'a Snapshot, pod: &'a Pod, container: &'a Container) -> Self {
        Self { snap, namespace: &pod.metadata.namespace, spec: &pod.spec, container }
    }

    /// Those of a container of a workload's pods.
    pub(crate) fn of(snap: &'a Snapshot, workload: &'a Workload, container: &'a Container) -> Self {
        Self { snap, namespace: &workload.metadata.namespace, spec: &workload.spec.template.spec, container }
    }

    /// The volume of a mount.
    fn volume(&self, mount: &VolumeMount) -> Option<&'a Volume> {
        self.spec.volumes.iter().find(|v| v.name == mount.name)
    }

    /// What fills a path.
    pub(crate) fn origin(&self, path: &str) -> Origin {
        let Some(mount) = mount_of(self.container, path) else { return Origin::Image };
        let Some(volume) = self.volume(mount) else { return Origin::Image };
        let inside = inside(mount, below(&clean(&mount.mount_path), &clean(path)).unwrap_or_default());
        if let Some(claim) = &volume.persistent_volume_claim {
            return Origin::Claim { name: claim.claim_name.clone(), path: inside };
        }
        let all = sources(volume);
        let filling = all.iter().rev().filter_map(|s| Some((s, s.key(&inside)?)));
        // A source that names the file is meant, then one that is known to have it, then one that may have it.
        let rank = |(source, key): &(&Source<'_>, String)| match self.has(source, key) {
            _ if !source.items.is_empty() => 0,
            Some(true) => 1,
            None => 2,
            Some(false) => 3,
        };
        let (source, key) = match (filling.min_by_key(rank), all.as_slice()) {
            (Some((source, key)), _) => (*source, key),
            // The one object of the volume does not have the file.
            (None, [one]) if volume.projected.is_none() => (*one, inside),
            (None, _) => return Origin::Volume,
        };
        let name = source.name.to_owned();
        match source.holder {
            Holder::ConfigMap => Origin::ConfigMap { name, key },
            Holder::Secret => Origin::Secret { name, key },
        }
    }

    /// Whether an object has a key, where that is known.
    fn has(&self, source: &Source<'_>, key: &str) -> Option<bool> {
        match source.holder {
            Holder::ConfigMap => {
                let map = self.snap.config_maps.find(self.namespace, source.name).ok()?;
                Some(map.is_some_and(|m| has_key(m, key)))
            }
            Holder::Secret => None,
        }
    }

    /// What is at a path.
    pub(crate) fn look(&self, path: &str) -> Seen<'a> {
        let path = clean(path);
        let Some(mount) = mount_of(self.container, &path) else { return Seen::Unknown };
        let content = self.content(mount);
        let rest = below(&clean(&mount.mount_path), &path).unwrap_or_default();
        let inside = inside(mount, rest);
        if let Some(entry) = content.entries.iter().rev().find(|e| e.path == inside) {
            return match entry.map.data.get(entry.key) {
                Some(text) => Seen::File(File { path, map: entry.map, key: entry.key, text }),
                None => Seen::Unknown,
            };
        }
        let is_directory = inside.is_empty() || content.entries.iter().any(|e| below(&inside, e.path).is_some());
        match (is_directory, rest.is_empty(), content.complete) {
            (true, ..) if content.may_be_file => Seen::Unknown,
            (true, ..) => Seen::Directory(content.map()),
            // The kubelet makes an empty directory of a subPath that is not there.
            (false, true, true) => Seen::Directory(content.map()),
            (false, false, true) => Seen::Missing(content.map()),
            _ => Seen::Unknown,
        }
    }

    /// Every file of a ConfigMap that it sees.
    pub(crate) fn files(&self) -> Vec<File<'a>> {
        let mut all = Vec::new();
        for mount in &self.container.volume_mounts {
            let sub = sub_path(mount);
            for entry in self.content(mount).entries {
                let Some(rest) = below(sub, entry.path) else { continue };
                let path = format!("{}/{rest}", mount.mount_path);
                if let Seen::File(file) = self.look(&path) {
                    all.push(file);
                }
            }
        }
        all.sort_by(|a, b| a.path.cmp(&b.path));
        all.dedup_by(|a, b| a.path == b.path);
        all
    }

    /// Files that a pattern of `rule_files` names; `None` where its folder is not known.
    pub(crate) fn matching(&self, pattern: &str) -> Option<Vec<File<'a>>> {
        let pattern = clean(pattern);
        let (folder, name) = pattern.rsplit_once('/')?;
        if folder.contains(['*', '?', '[']) {
            // Which folders there are is not known.
            let files: Vec<File<'a>> = self.files().into_iter().filter(|f| matches_path(&pattern, &f.path)).collect();
            return (!files.is_empty()).then_some(files);
        }
        if !name.contains(['*', '?', '[']) {
            return match self.look(&pattern) {
                Seen::File(file) => Some(vec![file]),
                Seen::Missing(_) => Some(Vec::new()),
                _ => None,
            };
        }
        let of_folder =
            |f: &File<'_>| f.path.rsplit_once('/').is_some_and(|(dir, file)| dir == folder && matches(name, file));
        let files: Vec<File<'a>> = self.files().into_iter().filter(of_folder).collect();
        let known = match self.look(folder) {
            Seen::Directory(_) => self.is_complete(folder),
            Seen::Missing(_) => true,
            _ => false,
        };
        (known || !files.is_empty()).then_some(files)
    }

    /// Nothing else than the known entries is in a folder.
    fn is_complete(&self, folder: &str) -> bool {
        let complete = |m: &VolumeMount| self.content(m).complete;
        let is_in = |m: &VolumeMount| below(folder, &clean(&m.mount_path)).is_some_and(|rest| !rest.is_empty());
        mount_of(self.container, folder).is_some_and(complete)
            && self.container.volume_mounts.iter().filter(|m| is_in(m)).all(complete)
    }

    /// What the volume of a mount holds.
    fn content(&self, mount: &VolumeMount) -> Content<'a> {
        let Some(volume) = self.volume(mount) else { return Content { may_be_file: true, ..Content::default() } };
        let all = sources(volume);
        // Parts of a projected volume that are neither ConfigMap nor Secret are not kept.
        let parts = volume.projected.as_ref().map_or(1, |p| p.sources.len());
        let is_known = !all.is_empty() || volume.projected.is_some();
        let is_folder = is_known || volume.empty_dir.is_some() || volume.persistent_volume_claim.is_some();
        let mut content =
            Content { entries: Vec::new(), may_be_file: !is_folder, complete: is_known && all.len() >= parts };
        for source in all {
            content.complete &= self.add(source, &mut content.entries);
        }
        content
    }

    /// Adds the files of a source; true if those are all.
    fn add(&self, source: Source<'a>, entries: &mut Vec<Entry<'a>>) -> bool {
        if source.holder != Holder::ConfigMap {
            return false;
        }
        match self.snap.config_maps.find(self.namespace, source.name) {
            Ok(Some(map)) => {
                if source.items.is_empty() {
                    let keys = map.data.keys().chain(map.binary_data.keys());
                    entries.extend(keys.map(|key| Entry { path: key, map, key }));
                } else {
                    let items = source.items.iter().filter(|i| has_key(map, &i.key));
                    entries.extend(items.map(|i| Entry { path: i.path.trim_matches('/'), map, key: &i.key }));
                }
                true
            }
            // Optional, and not there: no files. Else the pod does not start, which is another fault.
            Ok(None) => source.optional,
            Err(_) => false,
        }
    }
}

/// `subPath` of a mount; empty for the whole volume.
fn sub_path(mount: &VolumeMount) -> &str {
    mount.sub_path.as_deref().unwrap_or_default().trim_matches('/')
}

/// The path in the volume for one below the mount.
fn inside(mount: &VolumeMount, rest: &str) -> String {
    match (sub_path(mount), rest) {
        ("", rest) => rest.to_owned(),
        (sub, "") => sub.to_owned(),
        (sub, rest) => format!("{sub}/{rest}"),
    }
}

/// `path` as seen from `base`; empty for `base` itself.
fn below<'a>(base: &str, path: &'a str) -> Option<&'a str> {
    let base = base.trim_end_matches('/');
    if base.is_empty() {
        return Some(path.trim_start_matches('/'));
    }
    let rest = path.strip_prefix(base)?;
    if rest.is_empty() { Some("") } else { rest.strip_prefix('/') }
}

/// Without double slashes, `.` and `..`.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|p| !p.is_empty() && *p != ".") {
        match part {
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// `*` and `?` of a file's name; other signs of a glob match anything.
fn matches(pattern: &str, name: &str) -> bool {
    if pattern.contains('[') {
        return true;
    }
    let escaped = regex::escape(pattern).replace(r"\*", ".*").replace(r"\?", ".");
    regex::Regex::new(&format!("^{escaped}$")).is_ok_and(|r| r.is_match(name))
}

/// The same for a path: each sign stands for parts of one folder's name.
fn matches_path(pattern: &str, path: &str) -> bool {
    let (wanted, parts) = (pattern.split('/'), path.split('/'));
    wanted.clone().count() == parts.clone().count() && wanted.zip(parts).all(|(wanted, part)| matches(wanted, part))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::snapshot::Listing;

    /// ConfigMaps `config` and `rules` of namespace `n`, and a workload with these volumes and mounts.
    fn snapshot(volumes: &Value, mounts: &Value) -> (Snapshot, Workload) {
        let mut snap = Snapshot::empty(jiff::Timestamp::UNIX_EPOCH);
        let maps = json!([
            {"metadata": {"namespace": "n", "name": "config"}, "data": {"prometheus.yml": "a", "b.rules": "b"}},
            {"metadata": {"namespace": "n", "name": "rules"}, "data": {"x.yml": "x", "y.yaml": "y"}}]);
        snap.config_maps = Listing::cluster(serde_json::from_value(maps).expect("are ConfigMaps"));
        let workload = json!({"metadata": {"namespace": "n", "name": "p"}, "spec": {"template": {"spec": {
            "volumes": volumes, "containers": [{"name": "c", "volumeMounts": mounts}]}}}});
        (snap, serde_json::from_value(workload).expect("is a workload"))
    }

    fn mounts<'a>((snap, workload): &'a (Snapshot, Workload)) -> Mounts<'a> {
        Mounts::of(snap, workload, &workload.spec.template.spec.containers[0])
    }

    #[test]
    fn finds_files_by_their_mounts() {
        let volumes = json!([{"name": "c", "configMap": {"name": "config"}}, {"name": "r", "configMap": {"name": "rules"}},
            {"name": "s", "secret": {"secretName": "s"}}, {"name": "gone", "configMap": {"name": "gone"}},
            {"name": "may", "configMap": {"name": "gone", "optional": true}},
            {"name": "host", "hostPath": {}}]);
        let at = json!([{"name": "c", "mountPath": "/etc/prometheus"}, {"name": "r", "mountPath": "/etc/prometheus/rules/"},
            {"name": "s", "mountPath": "/etc/prometheus/tls"}, {"name": "gone", "mountPath": "/gone"}, {"name": "may", "mountPath": "/may"},
            {"name": "host", "mountPath": "/host.yml"}]);
        let made = snapshot(&volumes, &at);
        let mounts = mounts(&made);
        assert!(matches!(mounts.look("/etc//prometheus/prometheus.yml"), Seen::File(f) if f.text == "a"));
        assert!(matches!(mounts.look("/etc/prometheus/x/../rules/x.yml"), Seen::File(f) if f.key == "x.yml"));
        assert!(matches!(mounts.look("/etc/prometheus/prometheus.yaml"), Seen::Missing(Some(_))));
        assert!(matches!(mounts.look("/etc/prometheus/tls/ca.crt"), Seen::Unknown));
        assert!(matches!(mounts.look("/gone/x"), Seen::Unknown));
        assert!(matches!(mounts.look("/may/x"), Seen::Missing(None)));
        assert!(matches!(mounts.look("/var/run/x"), Seen::Unknown));
        assert!(matches!(mounts.look("/host.yml"), Seen::Unknown));
        assert!(matches!(mounts.look("/etc/prometheus/tls"), Seen::Directory(None)));
        let named = |pattern: &str| mounts.matching(pattern).map(|f| f.len());
        assert_eq!(named("/etc/prometheus/rules/*.yml"), Some(1));
        assert_eq!(named("/etc/prometheus/rules/*.json"), Some(0));
        assert_eq!(named("/etc/prometheus/*/*.y*ml"), Some(2));
        assert_eq!(named("/etc/prometheus/*/*/*.yml"), None);
        assert_eq!(named("/etc/prometheus/alerts/*.yml"), Some(0));
        assert_eq!(named("/etc/prometheus/tls/*.yml"), None);
        assert_eq!(named("/data/*.yml"), None);
        assert_eq!(mounts.files().len(), 4);
    }

    #[test]
    fn a_sub_path_that_is_not_there_is_a_directory() {
        let at = json!([{"name": "c", "mountPath": "/etc/prometheus/prometheus.yml", "subPath": "prometheus.yaml"},
            {"name": "c", "mountPath": "/etc/p.yml", "subPath": "prometheus.yml"}]);
        let made = snapshot(&json!([{"name": "c", "configMap": {"name": "config"}}]), &at);
        let mounts = mounts(&made);
        assert!(matches!(mounts.look("/etc/prometheus/prometheus.yml"), Seen::Directory(Some(_))));
        assert!(matches!(mounts.look("/etc/p.yml"), Seen::File(_)));
        assert!(matches!(mounts.look("/etc/prometheus/rules.yml"), Seen::Unknown));
        assert_eq!(mounts.files().iter().map(|f| f.path.as_str()).collect::<Vec<_>>(), ["/etc/p.yml"]);
    }

    #[test]
    fn items_rename_keys() {
        let volumes = json!([{"name": "c", "projected": {"sources": [
            {"configMap": {"name": "config", "items": [{"key": "prometheus.yml", "path": "main.yml"}]}}, {"configMap": {"name": "rules"}}]}}]);
        let made = snapshot(&volumes, &json!([{"name": "c", "mountPath": "/p"}]));
        let mounts = mounts(&made);
        assert!(matches!(mounts.look("/p/main.yml"), Seen::File(f) if f.key == "prometheus.yml"));
        assert!(matches!(mounts.look("/p/prometheus.yml"), Seen::Missing(_)));
        assert_eq!(mounts.files().len(), 3);
        assert!(reads(&made.1, made.0.config_maps.items().expect("read").first().expect("config")));
    }

    #[test]
    fn the_longest_mount_names_what_fills_a_file() {
        let volumes = json!([
            {"name": "config", "configMap": {"name": "conf"}},
            {"name": "rules", "configMap": {"name": "rules", "items": [{"key": "k", "path": "a/b.yml"}]}},
            {"name": "both", "projected": {"sources": [
                {"secret": {"name": "s", "items": [{"key": "x", "path": "x.yml"}]}}, {"configMap": {"name": "gone"}}]}},
            {"name": "two", "projected": {"sources": [
                {"configMap": {"name": "config"}}, {"configMap": {"name": "rules"}}, {"secret": {"name": "s"}}]}},
            {"name": "data", "persistentVolumeClaim": {"claimName": "claim"}}, {"name": "tmp", "emptyDir": {}}]);
        let at = json!([
            {"name": "config", "mountPath": "/etc/prometheus/prometheus.yml", "subPath": "main.yml"},
            {"name": "rules", "mountPath": "/etc/prometheus/rules/"}, {"name": "both", "mountPath": "/etc/prometheus/more"},
            {"name": "two", "mountPath": "/two"}, {"name": "tmp", "mountPath": "/tmp"},
            {"name": "data", "mountPath": "/data", "subPath": "prometheus-db"}]);
        let made = snapshot(&volumes, &at);
        let of = |path: &str| mounts(&made).origin(path);
        let map = |name: &str, key: &str| Origin::ConfigMap { name: name.into(), key: key.into() };
        assert_eq!(of("/etc/prometheus/prometheus.yml"), map("conf", "main.yml"));
        assert_eq!(of("/etc/prometheus/rules/a/b.yml"), map("rules", "k"));
        assert_eq!(of("/etc/prometheus/rules/c.yml"), map("rules", "c.yml"));
        assert_eq!(of("/etc/prometheus/more/x.yml"), Origin::Secret { name: "s".into(), key: "x".into() });
        assert_eq!(of("/etc/prometheus/more/y.yml"), map("gone", "y.yml"));
        assert_eq!(of("/two/prometheus.yml"), map("config", "prometheus.yml"));
        assert_eq!(of("/two/x.yml"), map("rules", "x.yml"));
        assert_eq!(of("/two/z.yml"), Origin::Secret { name: "s".into(), key: "z.yml".into() });
        assert_eq!(of("/data/wal/"), Origin::Claim { name: "claim".into(), path: "prometheus-db/wal".into() });
        assert_eq!((of("/tmp/x"), of("/etc/prometheus")), (Origin::Volume, Origin::Image));
    }
}
