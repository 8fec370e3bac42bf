//! What Grafana is provisioned with: the ConfigMaps that it mounts or that its side-cars load, and what stands in them.

use crate::domain::grafana::ini;
use crate::domain::kubernetes::index::selects;
use crate::domain::kubernetes::mounts::Mounts;
use crate::model::{Program, ResourceRef};
use crate::snapshot::kubernetes::{ConfigMap, Container, Pod, Workload};
use crate::snapshot::{Fetched, Snapshot};
use crate::text::digest;
use crate::text::near::{is_slip, near};
use serde_json::Value;

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `provisioning/datasources/*.yaml`.
    Datasources,
    /// Dashboards' JSON.
    Dashboards,
    /// `provisioning/alerting/*.yaml`.
    Alerting,
}

impl Kind {
    /// Grafana looks for such files there.
    fn is_read_at(self, path: &str) -> bool {
        match self {
            // Providers name any folder, so dashboards may be mounted anywhere.
            Self::Dashboards => true,
            other => path.contains(&format!("/provisioning/{}/", other.folder())),
        }
    }

    fn folder(self) -> &'static str {
        match self {
            Self::Datasources => "datasources",
            Self::Dashboards => "dashboards",
            Self::Alerting => "alerting",
        }
    }

    /// The side-car's label where its variables do not say it, as the charts set it.
    fn label(self) -> &'static str {
        match self {
            Self::Datasources => "grafana_datasource",
            Self::Dashboards => "grafana_dashboard",
            Self::Alerting => "grafana_alert",
        }
    }
}

/// A workload that runs Grafana.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Instance<'a> {
    /// The workload.
    pub(crate) workload: &'a Workload,
    /// Its Grafana container.
    pub(crate) container: &'a Container,
}

/// The Grafanas of the stack that are meant to run, the one that is asked first.
///
/// # Errors
/// The gap, if no workload could be read.
pub(crate) fn instances(snap: &Snapshot) -> Fetched<Vec<Instance<'_>>> {
    let asked = snap.scope.grafana.as_ref().map(|g| g.namespace.as_str());
    let mut all: Vec<Instance<'_>> = snap
        .workloads()?
        .iter()
        .filter(|w| snap.scope.is_stack(&w.metadata.namespace) && w.desired() > 0)
        .filter_map(|workload| {
            let containers = &workload.spec.template.spec.containers;
            let container = containers.iter().find(|c| c.program() == Some(Program::Grafana))?;
            Some(Instance { workload, container })
        })
        .collect();
    all.sort_by_key(|i| (Some(i.namespace()) != asked, i.workload.metadata.name.clone()));
    Ok(all)
}

/// The Grafana whose API is asked.
pub(crate) fn asked<'a>(snap: &Snapshot, instances: &[Instance<'a>]) -> Option<Instance<'a>> {
    let at = snap.scope.grafana.as_ref()?;
    let service = snap.services.find(&at.namespace, &at.service).ok().flatten()?;
    let behind = |i: &&Instance<'a>| {
        let labels = &i.workload.spec.template.metadata.labels;
        i.namespace() == at.namespace && selects(&service.spec.selector, labels)
    };
    instances.iter().find(behind).copied()
}

/// Something that was not read may set it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotKnown;

/// A side-car that writes ConfigMaps with a label into Grafana's folders (kiwigrid/k8s-sidecar).
struct Sidecar<'a> {
    label: &'a str,
    value: Option<&'a str>,
    /// Namespaces that it watches; `None`: all.
    namespaces: Option<Vec<&'a str>>,
    /// It goes on watching, and does not only run before Grafana starts.
    watches: bool,
    /// The container that asks Grafana to load its files again when it has changed one.
    reloader: Option<&'a str>,
}

/// A file that Grafana loads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct File<'a> {
    /// Which Grafana.
    pub(crate) instance: Instance<'a>,
    /// The ConfigMap that holds it.
    pub(crate) config_map: &'a ConfigMap,
    /// Its key there.
    pub(crate) key: &'a str,
    /// Its text.
    pub(crate) text: &'a str,
    /// A side-car brings changes into the pod without a restart.
    pub(crate) reloads: bool,
    /// The side-car that then asks Grafana to load them.
    pub(crate) reloader: Option<&'a str>,
}

impl<'a> Instance<'a> {
    /// Namespace.
    pub(crate) fn namespace(&self) -> &'a str {
        &self.workload.metadata.namespace
    }

    /// `deployment/grafana`, as kubectl names it.
    pub(crate) fn kubectl_name(&self) -> String {
        self.workload.kubectl_name()
    }

    /// The workload as a resource.
    pub(crate) fn reference(&self) -> ResourceRef {
        self.workload.reference()
    }

    /// Its pods.
    pub(crate) fn pods(&self, snap: &'a Snapshot) -> Vec<&'a Pod> {
        snap.pods_of_workload(self.workload).collect()
    }

    /// A setting of grafana.ini, by the environment or by a file that is mounted; `Err` where something that was not read may
    /// set it.
    ///
    /// # Errors
    /// Nothing is known of it.
    pub(crate) fn setting(&self, snap: &'a Snapshot, section: &str, key: &str) -> Result<Option<&'a str>, NotKnown> {
        let name = format!("GF_{}_{}", section, key).to_ascii_uppercase().replace(['.', '-'], "_");
        if let Some(set) = self.container.env.iter().find(|e| e.name == name) {
            return set.value.as_deref().map(Some).ok_or(NotKnown);
        }
        let mounts = Mounts::of(snap, self.workload, self.container);
        let files = mounts.files();
        let text = files.iter().filter(|f| f.key.ends_with(".ini")).find_map(|f| ini::value(f.text, section, key));
        // A file of its own name, or variables of a whole ConfigMap or Secret, could say anything.
        let reads_file =
            files.iter().any(|f| f.key == "grafana.ini") || self.container.env("GF_PATHS_CONFIG").is_none();
        match text {
            Some(text) => Ok(Some(text)),
            None if reads_file && self.container.env_from.is_empty() => Ok(None),
            None => Err(NotKnown),
        }
    }

    /// A key of a section of grafana.ini that is nearly called so, and that Grafana does not know: the ConfigMap, and how it is
    /// written there.
    pub(crate) fn slip(&self, snap: &'a Snapshot, section: &str, key: &str) -> Option<(&'a ConfigMap, &'a str)> {
        let mounts = Mounts::of(snap, self.workload, self.container);
        let files = mounts.files().into_iter().filter(|f| f.key.ends_with(".ini"));
        let written = files.flat_map(|f| ini::keys(f.text, section).into_iter().map(move |word| (f.map, word)));
        written.into_iter().find(|(_, word)| is_slip(word, key, 1))
    }

    /// The files of a kind that it loads, by ConfigMap and key.
    pub(crate) fn files(&self, snap: &'a Snapshot, kind: Kind) -> Vec<File<'a>> {
        let maps = snap.config_maps.items().unwrap_or_default();
        let mut mounted = Mounts::of(snap, self.workload, self.container).files();
        mounted.retain(|f| kind.is_read_at(&f.path) && is_file_of(kind, &f.path, f.text));
        let sidecars = self.sidecars(kind);
        let mut found: Vec<File<'a>> = Vec::new();
        for map in maps {
            let watched = sidecars.iter().find(|s| s.loads(map, self.namespace()));
            for (key, text) in &map.data {
                let is_mounted = mounted.iter().any(|f| std::ptr::eq(f.map, map) && f.key == key);
                if is_mounted || (watched.is_some() && is_file_of(kind, key, text)) {
                    let reloads = watched.is_some_and(|s| s.watches);
                    let reloader = watched.and_then(|s| s.reloader);
                    found.push(File { instance: *self, config_map: map, key, text, reloads, reloader });
                }
            }
        }
        found.sort_by_key(|f| (f.config_map.metadata.namespace.as_str(), f.config_map.metadata.name.as_str(), f.key));
        found
    }

    /// What of ConfigMaps comes into its folders under a name, whatever it holds: the map, its key and the text.
    pub(crate) fn keyed(&self, snap: &'a Snapshot, kind: Kind, name: &str) -> Vec<(&'a ConfigMap, &'a str, &'a str)> {
        let mounted = Mounts::of(snap, self.workload, self.container).files();
        let sidecars = self.sidecars(kind);
        let maps = snap.config_maps.items().unwrap_or_default().iter();
        let loaded = maps.filter(|map| {
            sidecars.iter().any(|s| s.loads(map, self.namespace()))
                || mounted.iter().any(|f| std::ptr::eq(f.map, *map) && f.key == name)
        });
        let of_key = loaded.filter_map(|map| Some((map, map.data.get_key_value(name)?)));
        of_key.map(|(map, (key, text))| (map, key.as_str(), text.as_str())).collect()
    }

    /// The side-car that writes files of a kind.
    pub(crate) fn sidecar_name(&self, kind: Kind) -> Option<&'a str> {
        let spec = &self.workload.spec.template.spec;
        let mut all = spec.containers.iter().chain(&spec.init_containers);
        all.find(|c| sidecar(c, true, kind).is_some()).map(|c| c.name.as_str())
    }

    fn sidecars(&self, kind: Kind) -> Vec<Sidecar<'a>> {
        let spec = &self.workload.spec.template.spec;
        let before = spec.init_containers.iter().map(|c| (c, c.restart_policy.as_deref() == Some("Always")));
        let beside = spec.containers.iter().map(|c| (c, true));
        let mut all: Vec<Sidecar<'a>> =
            beside.chain(before).filter_map(|(c, watches)| sidecar(c, watches, kind)).collect();
        all.sort_by_key(|s| !s.watches);
        all
    }
}

fn sidecar<'a>(container: &'a Container, watches: bool, kind: Kind) -> Option<Sidecar<'a>> {
    let word = kind.folder().trim_end_matches('s');
    let label = container.env("LABEL");
    let is_meant = match (container.env("FOLDER"), label) {
        (Some(folder), _) if folder.contains(word) => true,
        (_, Some(label)) => label.contains(word),
        (Some(_), None) => false,
        (None, None) => container.image.contains("k8s-sidecar") && container.name.contains(word),
    };
    let is_sidecar = label.is_some() || container.image.contains("sidecar");
    if !is_meant || !is_sidecar || container.env("RESOURCE") == Some("secret") {
        return None;
    }
    let namespaces = match container.env("NAMESPACE").filter(|n| !n.is_empty()) {
        Some("ALL") => None,
        Some(list) => Some(list.split(',').map(str::trim).collect()),
        None => Some(Vec::new()),
    };
    // A label that comes from elsewhere is not the usual one.
    let is_elsewhere = |name: &str| {
        container.env(name).is_none()
            && (container.env.iter().any(|e| e.name == name) || !container.env_from.is_empty())
    };
    if is_elsewhere("LABEL")
        || label.is_some() && container.env.iter().any(|e| e.name == "LABEL_VALUE" && e.value.is_none())
    {
        return None;
    }
    let value = container.env("LABEL_VALUE").filter(|v| !v.is_empty());
    let asks = watches && container.env("REQ_URL").is_some_and(|url| !url.is_empty());
    let reloader = asks.then_some(container.name.as_str());
    Some(Sidecar { label: label.unwrap_or(kind.label()), value, namespaces, watches, reloader })
}

/// Why no side-car loads a file that looks as if one should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Passed {
    /// The label is there, with another value than the side-car asks for.
    Value { has: String },
    /// The label is right, and the side-car does not look into this namespace.
    Namespace { watches: Vec<String> },
    /// Another label that resembles the one that is asked for.
    Label { has: String },
    /// The side-car writes it, and Grafana reads no files of that name: its keys, and as they should be.
    Ending { keys: Vec<(String, String)> },
}

/// A file that a side-car passes by.
#[derive(Debug, Clone)]
pub(crate) struct PassedBy<'a> {
    pub(crate) config_map: &'a ConfigMap,
    pub(crate) key: &'a str,
    pub(crate) why: Passed,
    /// The label that the side-car asks for, and its value where it asks for one.
    pub(crate) label: &'a str,
    pub(crate) value: Option<&'a str>,
}

impl<'a> Instance<'a> {
    /// Files of a kind that carry a side-car's label, or nearly, and that none loads.
    pub(crate) fn passed_by(&self, snap: &'a Snapshot, kind: Kind) -> Vec<PassedBy<'a>> {
        let sidecars = self.sidecars(kind);
        let loaded = self.files(snap, kind);
        let mut found = Vec::new();
        for map in snap.config_maps.items().unwrap_or_default() {
            if let Some(sidecar) = sidecars.iter().find(|s| s.loads(map, self.namespace())) {
                let keys = misnamed(kind, map);
                let Some((key, _)) = keys.first().and_then(|(key, _)| map.data.get_key_value(key.as_str())) else {
                    continue;
                };
                let why = Passed::Ending { keys };
                found.push(PassedBy { config_map: map, key, why, label: sidecar.label, value: sidecar.value });
                continue;
            }
            // A second Grafana may have a side-car of its own for it.
            if loaded.iter().any(|f| std::ptr::eq(f.config_map, map)) {
                continue;
            }
            let Some((key, _)) = map.data.iter().find(|(key, text)| is_file_of(kind, key, text)) else { continue };
            let why = sidecars.iter().find_map(|s| Some((s, s.passes(map, self.namespace())?)));
            let Some((sidecar, why)) = why else { continue };
            found.push(PassedBy { config_map: map, key, why, label: sidecar.label, value: sidecar.value });
        }
        found
    }
}

impl Sidecar<'_> {
    fn loads(&self, map: &ConfigMap, own: &str) -> bool {
        let label = map.metadata.label(self.label);
        self.reaches(map, own) && label.is_some() && self.value.is_none_or(|value| label == Some(value))
    }

    fn reaches(&self, map: &ConfigMap, own: &str) -> bool {
        let namespace = map.metadata.namespace.as_str();
        match &self.namespaces {
            None => true,
            Some(list) if list.is_empty() => namespace == own,
            Some(list) => list.contains(&namespace),
        }
    }

    /// Why it does not load a file that looks as if it should.
    fn passes(&self, map: &ConfigMap, own: &str) -> Option<Passed> {
        let Some(has) = map.metadata.label(self.label) else {
            let labels = map.metadata.labels.keys().map(String::as_str);
            let near = near(self.label, labels.filter(|l| !l.contains("kubernetes.io/")))?;
            return self.reaches(map, own).then(|| Passed::Label { has: near.to_owned() });
        };
        if self.value.is_some_and(|value| value != has) {
            // `false` and `0` say that it is not meant to be loaded.
            let meant = !matches!(has, "" | "0" | "false" | "no" | "disabled");
            return meant.then(|| Passed::Value { has: has.to_owned() });
        }
        let watched = self.namespaces.as_deref().unwrap_or_default();
        let watches =
            if watched.is_empty() { vec![own.to_owned()] } else { watched.iter().map(|n| (*n).to_owned()).collect() };
        (!self.reaches(map, own)).then_some(Passed::Namespace { watches })
    }
}

/// Keys that hold a file of a kind under a name that Grafana does not read, and the names that it would.
fn misnamed(kind: Kind, map: &ConfigMap) -> Vec<(String, String)> {
    let ending = match kind {
        Kind::Dashboards => "json",
        Kind::Datasources | Kind::Alerting => "yaml",
    };
    let holds = |text: &str| match kind {
        Kind::Dashboards => {
            let is_object = text.trim_start().starts_with('{');
            is_object && (text.contains("\"panels\"") || text.contains("\"rows\""))
        }
        Kind::Datasources => text.lines().any(|l| l.starts_with("datasources:")),
        // A rule's file of Prometheus looks alike.
        Kind::Alerting => false,
    };
    let wrong = map.data.iter().filter(|(key, text)| !is_file_of(kind, key, text) && holds(text));
    let named = wrong.map(|(key, _)| {
        let base = key.rsplit_once('.').map_or(key.as_str(), |(base, _)| base);
        let short = format!("{base}.{ending}");
        let right = if map.data.contains_key(&short) { format!("{key}.{ending}") } else { short };
        (key.clone(), right)
    });
    named.collect()
}

fn is_file_of(kind: Kind, key: &str, text: &str) -> bool {
    match kind {
        Kind::Dashboards => key.ends_with(".json") && (text.contains("\"panels\"") || text.contains("\"rows\"")),
        Kind::Datasources => is_yaml(key) && text.contains("datasources"),
        Kind::Alerting => is_yaml(key) && text.contains("groups"),
    }
}

fn is_yaml(key: &str) -> bool {
    // Grafana reads no other files.
    key.ends_with(".yaml") || key.ends_with(".yml")
}

/// A datasource, as provisioned or as Grafana has it.
#[derive(Debug, Clone)]
pub(crate) struct Datasource<'a> {
    /// Which Grafana.
    pub(crate) instance: Instance<'a>,
    /// Where it is provisioned; absent where it was made by hand or in a Secret.
    pub(crate) file: Option<File<'a>>,
    pub(crate) name: String,
    pub(crate) kind: String,
    /// As given, or as Grafana makes it of the name.
    pub(crate) uid: String,
    pub(crate) url: String,
    /// The browser asks it, not Grafana.
    pub(crate) direct: bool,
    pub(crate) org: i64,
    pub(crate) is_default: bool,
}

impl Datasource<'_> {
    /// As a resource.
    pub(crate) fn reference(&self) -> ResourceRef {
        ResourceRef::Datasource { namespace: self.instance.namespace().to_owned(), name: self.name.clone() }
    }
}

/// The datasources in the files that a Grafana loads. A file that is no YAML holds none.
pub(crate) fn datasources<'a>(snap: &'a Snapshot, instance: Instance<'a>) -> Vec<Datasource<'a>> {
    let files = instance.files(snap, Kind::Datasources);
    files.into_iter().flat_map(datasources_of).collect()
}

fn datasources_of(file: File<'_>) -> Vec<Datasource<'_>> {
    let Ok(document) = serde_saphyr::from_str::<Value>(file.text) else { return Vec::new() };
    let entries = document.get("datasources").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let read = |entry: &Value| {
        // Files of before apiVersion 1 have the same fields in snake case.
        let field = |names: [&str; 2]| names.iter().find_map(|n| entry.get(n)).cloned().unwrap_or(Value::Null);
        let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let name = text("name");
        let is_true = |v: &Value| v.as_bool() == Some(true) || v.as_str() == Some("true");
        let org = field(["orgId", "org_id"]);
        let org = org.as_i64().or_else(|| org.as_str()?.parse().ok()).filter(|o| *o > 0).unwrap_or(1);
        Datasource {
            instance: file.instance,
            file: Some(file),
            kind: text("type"),
            uid: Some(text("uid")).filter(|u| !u.is_empty()).unwrap_or_else(|| generated_uid(&name)),
            url: text("url"),
            direct: text("access") == "direct",
            org,
            is_default: is_true(&field(["isDefault", "is_default"])),
            name,
        }
    };
    entries.iter().filter(|e| e.is_object()).map(read).collect()
}

/// The uid that Grafana gives to a provisioned datasource without one.
pub(crate) fn generated_uid(name: &str) -> String {
    format!("P{}", digest::short(name).to_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing::grafana::{datasource_map, grafana, snapshot};
    use serde_json::json;

    fn names(objects: Value) -> Vec<String> {
        let snap = snapshot(objects);
        let instances = instances(&snap).expect("workloads were read");
        instances.iter().flat_map(|i| datasources(&snap, *i)).map(|d| d.name).collect()
    }

    fn map(namespace: &str, name: &str, labels: Value, key: &str) -> Value {
        let text = format!("apiVersion: 1\ndatasources:\n- name: {name}\n  type: prometheus\n");
        json!({"metadata": {"namespace": namespace, "name": name, "labels": labels}, "data": {key: text}})
    }

    #[test]
    fn mounted_files_count_where_grafana_looks() {
        let mut grafana = grafana(json!({}));
        let maps = json!([
            map("monitoring", "grafana-datasources", json!({}), "a.yaml"),
            map("monitoring", "not-mounted", json!({"grafana_datasource": "1"}), "a.yaml"),
            map("monitoring", "no-yaml", json!({}), "a.txt"),
        ]);
        assert_eq!(names(json!({"workloads": [grafana], "config_maps": maps})), ["grafana-datasources"]);
        let mounts = &mut grafana["spec"]["template"]["spec"]["containers"][0]["volumeMounts"];
        *mounts = json!([{"name": "datasources", "mountPath": "/etc/other"}]);
        assert!(names(json!({"workloads": [grafana], "config_maps": maps})).is_empty());
    }

    #[test]
    fn a_side_car_loads_by_label_in_the_namespaces_it_watches() {
        let sidecar = |env: Value| json!({"name": "grafana-sc-datasources", "image": "quay.io/kiwigrid/k8s-sidecar:1.28.0", "env": env});
        let maps = json!([
            map("monitoring", "own", json!({"grafana_datasource": "1"}), "a.yaml"),
            map("monitoring", "other-value", json!({"grafana_datasource": "no"}), "a.yaml"),
            map("tools", "elsewhere", json!({"grafana_datasource": "1"}), "a.yaml"),
        ]);
        let with = |env: Value| {
            let mut workload = grafana(json!({}));
            workload["spec"]["template"]["spec"]["volumes"] = json!([]);
            let containers = workload["spec"]["template"]["spec"]["containers"].as_array_mut().expect("a list");
            containers.push(sidecar(env));
            names(json!({"workloads": [workload], "config_maps": maps}))
        };
        let env = |name: &str, value: &str| json!({"name": name, "value": value});
        let folder = env("FOLDER", "/etc/grafana/provisioning/datasources");
        let label = env("LABEL", "grafana_datasource");
        assert_eq!(with(json!([folder, label, env("LABEL_VALUE", "1")])), ["own"]);
        assert_eq!(with(json!([folder, label])), ["other-value", "own"]);
        assert_eq!(
            with(json!([folder, label, env("LABEL_VALUE", "1"), env("NAMESPACE", "ALL")])),
            ["own", "elsewhere"]
        );
        assert!(with(json!([folder, env("LABEL", "my_datasource")])).is_empty());
    }

    #[test]
    fn uids_are_made_as_grafana_makes_them() {
        assert_eq!(generated_uid("Prometheus"), "PBFA97CFB590B2093");
        assert_eq!(generated_uid("Loki"), "P8E80F9AEF21F6940");
        let snap = snapshot(json!({
            "workloads": [grafana(json!({}))],
            "config_maps": [datasource_map("- {name: A, type: loki, orgId: 2, isDefault: true, access: direct}")],
        }));
        let all = datasources(&snap, instances(&snap).expect("read")[0]);
        assert_eq!((all[0].org, all[0].is_default, all[0].direct), (2, true, true));
    }
}
