//! The files that a container of Prometheus sees: ConfigMaps by their mounts. What comes from elsewhere (Secrets, volumes,
//! the image) is not known, and said to be so.

use crate::snapshot::kubernetes::{ConfigMap, Container, NamedSource, PodSpec, Program, Volume, Workload};
use crate::snapshot::{Snapshot, owner_of};

/// A container of Prometheus and the workload that it belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Server<'a> {
    /// The workload.
    pub(super) workload: &'a Workload,
    /// The container.
    pub(super) container: &'a Container,
}

/// The servers of the stack.
pub(super) fn servers(snap: &Snapshot) -> Vec<Server<'_>> {
    let workloads = snap.workloads.items().unwrap_or_default().iter();
    let of_stack = workloads.filter(|w| snap.scope.is_stack(&w.metadata.namespace));
    of_stack
        .flat_map(|workload| {
            let containers = workload.spec.template.spec.containers.iter();
            containers
                .filter(|c| c.program() == Some(Program::Prometheus))
                .map(move |container| Server { workload, container })
        })
        .collect()
}

impl<'a> Server<'a> {
    /// Words of its command line; those of a shell's script too.
    fn words(self) -> impl Iterator<Item = &'a str> {
        let all = self.container.command.iter().chain(&self.container.args);
        all.flat_map(|w| w.split_whitespace()).map(|w| w.trim_matches(['"', '\'']))
    }

    /// The value of a flag.
    fn flag(self, name: &str) -> Option<&'a str> {
        let mut words = self.words();
        while let Some(word) = words.next() {
            let Some(rest) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else { continue };
            match rest.strip_prefix(name) {
                Some("") => return words.next(),
                Some(value) if value.starts_with('=') => return value.strip_prefix('='),
                _ => {}
            }
        }
        None
    }

    /// True if a flag is there.
    pub(super) fn has_flag(self, name: &str) -> bool {
        self.words().any(|w| w.trim_start_matches('-').split('=').next() == Some(name) && !w.ends_with("=false"))
    }

    /// The configuration file: the flag's, or the image's default. `None` where a value is only known at run time.
    pub(super) fn config_file(self) -> Option<String> {
        let path = self.flag("config.file").unwrap_or("/etc/prometheus/prometheus.yml");
        (path.starts_with('/') && !path.contains('$')).then(|| clean(path))
    }

    /// It runs in agent mode.
    pub(super) fn is_agent(self) -> bool {
        self.has_flag("agent") || self.flag("enable-feature").is_some_and(|f| f.split(',').any(|f| f == "agent"))
    }

    /// Major and minor by the image's tag, else by what Prometheus says where it is the only one.
    pub(super) fn version(self, snap: &Snapshot) -> Option<(u16, u16)> {
        let image = self.container.image.split('@').next().unwrap_or_default();
        let tag = image.rsplit('/').next().and_then(|i| i.split_once(':')).map(|(_, tag)| tag);
        let said = || match servers(snap).len() {
            1 => snap.prometheus_runtime().ok().and_then(|r| numbers(&r.version)),
            _ => None,
        };
        tag.and_then(numbers).or_else(said)
    }

    /// `deployment/prometheus`, as kubectl takes it.
    pub(super) fn target(self) -> String {
        format!("{}/{}", self.workload.kind.to_lowercase(), self.workload.metadata.name)
    }

    /// Its namespace.
    pub(super) fn namespace(self) -> &'a str {
        &self.workload.metadata.namespace
    }

    /// The operator's resource that it is made from.
    pub(super) fn operator_resource(self) -> Option<&'a str> {
        owner_of(&self.workload.metadata).filter(|(kind, _)| *kind == "Prometheus").map(|(_, name)| name)
    }

    /// A side-car reloads it when its files change.
    pub(super) fn reloads(self) -> bool {
        let mut containers = self.workload.spec.template.spec.containers.iter();
        containers.any(|c| c.name.contains("reload") || c.image.contains("reload"))
    }

    /// What it mounts.
    pub(super) fn mounts(self, snap: &'a Snapshot) -> Mounts<'a> {
        Mounts::of(snap, self.namespace(), &self.workload.spec.template.spec, self.container)
    }
}

/// `v2.53.5`, `3.5.0-distroless` → 2.53, 3.5.
fn numbers(text: &str) -> Option<(u16, u16)> {
    let mut parts = text.trim_start_matches('v').split(['.', '-', '+']);
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next()?.parse().ok()?;
    (2..100).contains(&major).then_some((major, minor))
}

/// Without double slashes and `.`.
fn clean(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty() && *p != ".").collect();
    format!("/{}", parts.join("/"))
}

/// A file of a ConfigMap at its place.
#[derive(Debug, Clone)]
pub(super) struct File<'a> {
    /// Where the container sees it.
    pub(super) path: String,
    /// The ConfigMap.
    pub(super) map: &'a ConfigMap,
    /// Its key.
    pub(super) key: &'a str,
    /// Its content.
    pub(super) text: &'a str,
}

/// What is known of a path.
#[derive(Debug, Clone)]
pub(super) enum Seen<'a> {
    /// A file of a ConfigMap.
    File(File<'a>),
    /// The mounted ConfigMaps do not have it; one of them, if there is one.
    Missing(Option<&'a ConfigMap>),
    /// There is a directory.
    Directory(Option<&'a ConfigMap>),
    /// It comes from elsewhere.
    Unknown,
}

#[derive(Debug)]
struct Entry<'a> {
    path: &'a str,
    map: &'a ConfigMap,
    key: &'a str,
}

#[derive(Debug)]
struct Mount<'a> {
    path: String,
    sub_path: Option<String>,
    entries: Vec<Entry<'a>>,
    /// All that is in it is among the entries.
    complete: bool,
    /// A ConfigMap of it, for naming it.
    map: Option<&'a ConfigMap>,
}

/// The mounts of a container.
#[derive(Debug)]
pub(super) struct Mounts<'a>(Vec<Mount<'a>>);

impl<'a> Mounts<'a> {
    fn of(snap: &'a Snapshot, namespace: &str, spec: &'a PodSpec, container: &'a Container) -> Self {
        let mounts = container.volume_mounts.iter().map(|mount| {
            let volume = spec.volumes.iter().find(|v| v.name == mount.name);
            let Content { entries, complete, map } = volume.map(|v| content(snap, namespace, v)).unwrap_or_default();
            Mount {
                path: clean(&mount.mount_path),
                sub_path: mount.sub_path.as_deref().filter(|s| !s.is_empty()).map(|s| s.trim_matches('/').to_owned()),
                map,
                entries,
                complete,
            }
        });
        Self(mounts.collect())
    }

    /// What is at a path.
    pub(super) fn look(&self, path: &str) -> Seen<'a> {
        let path = clean(path);
        let below = |m: &&Mount<'a>| path == m.path || path.starts_with(&format!("{}/", m.path.trim_end_matches('/')));
        let Some(mount) = self.0.iter().filter(below).max_by_key(|m| m.path.len()) else { return Seen::Unknown };
        let rest = path[mount.path.len()..].trim_start_matches('/');
        let inside = match (&mount.sub_path, rest) {
            (None, rest) => rest.to_owned(),
            (Some(sub), "") => sub.clone(),
            (Some(sub), rest) => format!("{sub}/{rest}"),
        };
        if let Some(entry) = mount.entries.iter().find(|e| e.path == inside) {
            return match entry.map.data.get(entry.key) {
                Some(text) => Seen::File(File { path, map: entry.map, key: entry.key, text }),
                None => Seen::Unknown,
            };
        }
        let is_directory = inside.is_empty() || mount.entries.iter().any(|e| e.path.starts_with(&format!("{inside}/")));
        match (is_directory, rest.is_empty(), mount.complete) {
            (true, ..) => Seen::Directory(mount.map),
            // The kubelet makes an empty directory of a subPath that is not there.
            (false, true, true) => Seen::Directory(mount.map),
            (false, false, true) => Seen::Missing(mount.map),
            _ => Seen::Unknown,
        }
    }

    /// Every file of a ConfigMap that it sees.
    pub(super) fn files(&self) -> Vec<File<'a>> {
        let mut all = Vec::new();
        for mount in &self.0 {
            for entry in &mount.entries {
                let path = match &mount.sub_path {
                    None => format!("{}/{}", mount.path, entry.path),
                    Some(sub) if sub == entry.path => mount.path.clone(),
                    Some(sub) => match entry.path.strip_prefix(&format!("{sub}/")) {
                        Some(rest) => format!("{}/{rest}", mount.path),
                        None => continue,
                    },
                };
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
    pub(super) fn matching(&self, pattern: &str) -> Option<Vec<File<'a>>> {
        let pattern = clean(pattern);
        let (folder, name) = pattern.rsplit_once('/')?;
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
        let known = match self.look(if folder.is_empty() { "/" } else { folder }) {
            Seen::Directory(_) => self.complete(folder),
            Seen::Missing(_) => true,
            _ => false,
        };
        (known || !files.is_empty()).then_some(files)
    }

    /// Nothing else than the known entries is in a folder.
    fn complete(&self, folder: &str) -> bool {
        let below = |m: &&Mount<'a>| folder == m.path || folder.starts_with(&format!("{}/", m.path));
        let inside = |m: &Mount<'a>| m.path.starts_with(&format!("{folder}/")) && !m.complete;
        self.0.iter().filter(below).max_by_key(|m| m.path.len()).is_some_and(|m| m.complete)
            && !self.0.iter().any(inside)
    }
}

/// What a volume holds.
#[derive(Debug, Default)]
struct Content<'a> {
    entries: Vec<Entry<'a>>,
    /// That is all.
    complete: bool,
    map: Option<&'a ConfigMap>,
}

fn content<'a>(snap: &'a Snapshot, namespace: &str, volume: &'a Volume) -> Content<'a> {
    if let Some(source) = &volume.config_map {
        return of_map(snap, namespace, source);
    }
    let Some(projected) = &volume.projected else { return Content::default() };
    let mut all = Content { complete: true, ..Content::default() };
    for source in &projected.sources {
        let of_it = source.config_map.as_ref().map(|map| of_map(snap, namespace, map)).unwrap_or_default();
        all.entries.extend(of_it.entries);
        all.complete &= of_it.complete;
        all.map = all.map.or(of_it.map);
    }
    all
}

fn of_map<'a>(snap: &'a Snapshot, namespace: &str, source: &'a NamedSource) -> Content<'a> {
    match snap.config_maps.find(namespace, &source.name) {
        Ok(Some(map)) => {
            let has = |key: &str| map.data.contains_key(key) || map.binary_data.contains_key(key);
            let keys = map.data.keys().chain(map.binary_data.keys());
            let entries = if source.items.is_empty() {
                keys.map(|key| Entry { path: key, map, key }).collect()
            } else {
                let items = source.items.iter().filter(|i| has(&i.key));
                items.map(|i| Entry { path: i.path.trim_matches('/'), map, key: &i.key }).collect()
            };
            Content { entries, complete: true, map: Some(map) }
        }
        // Optional, and not there: an empty folder. Else the pod does not start, which is another fault.
        Ok(None) => Content { complete: source.optional, ..Content::default() },
        Err(_) => Content::default(),
    }
}

/// `*` and `?` of a file's name; other signs of a glob match anything.
fn matches(pattern: &str, name: &str) -> bool {
    if pattern.contains('[') {
        return true;
    }
    let escaped = regex::escape(pattern).replace(r"\*", ".*").replace(r"\?", ".");
    regex::Regex::new(&format!("^{escaped}$")).is_ok_and(|r| r.is_match(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::scrape::testing::snapshot;
    use serde_json::{Value, json};

    fn snap(args: Value, volumes: Value, mounts: Value) -> Snapshot {
        snapshot(json!({
            "config_maps": [
                {"metadata": {"namespace": "monitoring", "name": "config"}, "data": {"prometheus.yml": "a", "b.rules": "b"}},
                {"metadata": {"namespace": "monitoring", "name": "rules"}, "data": {"x.yml": "x", "y.yaml": "y"}}],
            "workloads": [{"metadata": {"namespace": "monitoring", "name": "prometheus"}, "spec": {"template": {"spec": {
                "volumes": volumes,
                "containers": [{"name": "main", "image": "quay.io/prometheus/prometheus:v2.53.5@sha256:0", "args": args, "volumeMounts": mounts}]}}}}],
        }))
    }

    fn volumes() -> Value {
        json!([{"name": "c", "configMap": {"name": "config"}}, {"name": "r", "configMap": {"name": "rules"}},
            {"name": "s", "secret": {"secretName": "s"}}, {"name": "gone", "configMap": {"name": "gone"}}])
    }

    #[test]
    fn reads_the_command_line() {
        let snap =
            snap(json!(["--config.file", "/etc//p/prometheus.yml", "--web.enable-lifecycle"]), json!([]), json!([]));
        let server = servers(&snap)[0];
        assert_eq!(server.config_file().as_deref(), Some("/etc/p/prometheus.yml"));
        assert!(server.has_flag("web.enable-lifecycle") && !server.is_agent());
        assert_eq!(server.version(&snap), Some((2, 53)));
    }

    #[test]
    fn finds_files_by_their_mounts() {
        let mounts = json!([{"name": "c", "mountPath": "/etc/prometheus"}, {"name": "r", "mountPath": "/etc/prometheus/rules/"},
            {"name": "s", "mountPath": "/etc/prometheus/tls"}, {"name": "gone", "mountPath": "/gone"}]);
        let snap = snap(json!([]), volumes(), mounts);
        let mounts = servers(&snap)[0].mounts(&snap);
        assert!(matches!(mounts.look("/etc/prometheus/prometheus.yml"), Seen::File(f) if f.text == "a"));
        assert!(matches!(mounts.look("/etc/prometheus/rules/x.yml"), Seen::File(f) if f.key == "x.yml"));
        assert!(matches!(mounts.look("/etc/prometheus/prometheus.yaml"), Seen::Missing(Some(_))));
        assert!(matches!(mounts.look("/etc/prometheus/tls/ca.crt"), Seen::Unknown));
        assert!(matches!(mounts.look("/gone/x"), Seen::Unknown));
        assert!(matches!(mounts.look("/var/run/x"), Seen::Unknown));
        let named = |pattern: &str| mounts.matching(pattern).map(|f| f.len());
        assert_eq!(named("/etc/prometheus/rules/*.yml"), Some(1));
        assert_eq!(named("/etc/prometheus/rules/*.json"), Some(0));
        assert_eq!(named("/etc/prometheus/alerts/*.yml"), Some(0));
        assert_eq!(named("/etc/prometheus/tls/*.yml"), None);
        assert_eq!(named("/data/*.yml"), None);
    }

    #[test]
    fn a_sub_path_that_is_not_there_is_a_directory() {
        let mounts = json!([{"name": "c", "mountPath": "/etc/prometheus/prometheus.yml", "subPath": "prometheus.yaml"},
            {"name": "c", "mountPath": "/etc/p.yml", "subPath": "prometheus.yml"}]);
        let snap = snap(json!([]), volumes(), mounts);
        let mounts = servers(&snap)[0].mounts(&snap);
        assert!(matches!(mounts.look("/etc/prometheus/prometheus.yml"), Seen::Directory(Some(_))));
        assert!(matches!(mounts.look("/etc/p.yml"), Seen::File(_)));
        assert!(matches!(mounts.look("/etc/prometheus/rules.yml"), Seen::Unknown));
    }

    #[test]
    fn items_rename_keys() {
        let volumes = json!([{"name": "c", "projected": {"sources": [
            {"configMap": {"name": "config", "items": [{"key": "prometheus.yml", "path": "main.yml"}]}}, {"configMap": {"name": "rules"}}]}}]);
        let snap = snap(json!([]), volumes, json!([{"name": "c", "mountPath": "/p"}]));
        let mounts = servers(&snap)[0].mounts(&snap);
        assert!(matches!(mounts.look("/p/main.yml"), Seen::File(f) if f.key == "prometheus.yml"));
        assert!(matches!(mounts.look("/p/prometheus.yml"), Seen::Missing(_)));
        assert_eq!(mounts.files().len(), 3);
    }
}
