//! Data that should last, and that the files keep where it goes with its pod.

mod charts;
#[cfg(test)]
mod tests;

use super::charts::files as chart_files;
use super::given::Parts;
use super::overlaid::Overlaid;
use super::values::{self, Values};
use super::written::{Dialect, all};
use crate::domain::grafana::{database, ini};
use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::image::base_of;
use crate::domain::kubernetes::mounts::mount_of;
use crate::domain::prometheus::server::Server;
use crate::domain::prometheus::tsdb::{Place, data_path, place};
use crate::lint::yaml::{self, Node, join};
use crate::lint::{self, Problem};
use crate::model::Program;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Volume, Workload};
use crate::snapshot::manifests::{Manifest, ManifestFile};

/// Where such data is written down.
pub(crate) enum Holder<'a> {
    /// In an object.
    Object(&'a Manifest),
    /// In Helm values.
    Values(Values<'a>),
}

/// Where a volume is asked for, as the page shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Shape {
    /// `spec.storage` of a Prometheus or an Alertmanager of the operator.
    Operator,
    /// `prometheus.prometheusSpec` of kube-prometheus-stack.
    Stack,
    /// `alertmanager.alertmanagerSpec` of kube-prometheus-stack.
    StackAlertmanager,
    /// `server.persistentVolume` of the chart prometheus.
    Server,
    /// `persistence` of other charts.
    Persistence,
    /// A workload of its own.
    Workload,
}

/// Data that goes with its pod.
pub(crate) struct Fleeting<'a> {
    /// The file.
    pub(crate) file: &'a ManifestFile,
    /// What in it.
    pub(crate) holder: Holder<'a>,
    /// Where, and what is lost.
    pub(crate) problems: Vec<(Shape, Problem)>,
}

/// All of the files.
pub(crate) fn of(snap: &Snapshot) -> Vec<Fleeting<'_>> {
    let set = Set {
        parts: Parts::of(snap),
        overlaid: Overlaid::of(snap),
        charts: chart_files(snap),
        sends_on: all(snap, Dialect::Prometheus)
            .iter()
            .any(|w| w.document().is_some_and(|d| d.get("remote_write").is_some())),
        snap,
    };
    let mut found = Vec::new();
    for file in snap.manifests.items().unwrap_or_default() {
        for object in &file.objects {
            let problems = set.of_object(file, object);
            if !problems.is_empty() {
                found.push(Fleeting { file, holder: Holder::Object(object), problems });
            }
        }
        for values in values::all(file) {
            let problems = set.of_values(file, &values);
            if !problems.is_empty() {
                found.push(Fleeting { file, holder: Holder::Values(values), problems });
            }
        }
    }
    found
}

struct Set<'a> {
    snap: &'a Snapshot,
    parts: Parts<'a>,
    overlaid: Overlaid<'a>,
    charts: Vec<&'a ManifestFile>,
    /// Some configuration of the set sends its samples on.
    sends_on: bool,
}

/// What goes, in a volume that ends with the pod.
fn lost(program: &str, data: &str, on: &str) -> String {
    format!("{program} keeps {data} in {on}, which goes with the pod: at each eviction, node change or update")
}

const SAMPLES: &str = "what it collects";
const SILENCES: &str = "its silences, and what it has notified of,";
const BOARDS: &str = "its users, and what they make in it,";
const LOGS: &str = "the logs";
const EMPTY_DIR: &str = "an emptyDir";

impl<'a> Set<'a> {
    fn of_object(&self, file: &'a ManifestFile, object: &'a Manifest) -> Vec<(Shape, Problem)> {
        match (object.group(), object.kind.as_str()) {
            ("monitoring.coreos.com", "Prometheus" | "Alertmanager") => {
                self.of_custom(file, object).into_iter().map(|p| (Shape::Operator, p)).collect()
            }
            ("apps", "Deployment" | "StatefulSet") => {
                self.of_workload(file, object).into_iter().map(|p| (Shape::Workload, p)).collect()
            }
            _ => Vec::new(),
        }
    }

    fn of_custom(&self, file: &'a ManifestFile, object: &'a Manifest) -> Option<Problem> {
        let spec = object.node.get("spec")?;
        let (program, data) = match object.kind.as_str() {
            "Prometheus" if !sends(spec) => ("Prometheus", SAMPLES),
            "Alertmanager" if alone(spec) => ("Alertmanager", SILENCES),
            _ => return None,
        };
        if self.overlaid.covers(object, "spec.storage") {
            return None;
        }
        let at = storage(spec, "storage", "spec", !self.parts.holds(file))?;
        Some(at.problem(program, data))
    }

    fn of_workload(&self, file: &'a ManifestFile, object: &'a Manifest) -> Option<Problem> {
        let workload = Workload { kind: object.kind.clone(), ..object.as_object()? };
        // What overlays mount is theirs.
        let part = self.parts.holds(file);
        let spec = &workload.spec.template.spec;
        if workload.spec.replicas == Some(0) || (part && self.overlaid.covers(object, "spec.template.spec.volumes")) {
            return None;
        }
        for (number, container) in spec.containers.iter().enumerate() {
            let Some((program, data, path)) = self.keeps(&workload, container) else { continue };
            let node = object.node.at(&["spec", "template", "spec"])?;
            let (on, at, field) = match place(&spec.volumes, container, &path) {
                Place::EmptyDir(_) => {
                    let name = &mount_of(container, &path)?.name;
                    let volumes = node.get("volumes").and_then(Node::items)?;
                    let is_it = |v: &Node| v.get("name").and_then(Node::as_str) == Some(name);
                    let at = volumes.iter().position(is_it)?;
                    (EMPTY_DIR, &volumes[at], format!("spec.template.spec.volumes[{at}]"))
                }
                Place::Container if !part => {
                    let at = node.get("containers").and_then(Node::items)?.get(number)?;
                    ("the container's own file system", at, format!("spec.template.spec.containers[{number}]"))
                }
                _ => continue,
            };
            return Some(Problem::new(at.place, field, format!("{} ({path})", lost(program, data, on))));
        }
        None
    }

    /// What a container keeps that should last, and where.
    fn keeps(&self, workload: &Workload, container: &Container) -> Option<(&'static str, &'static str, String)> {
        let containers = &workload.spec.template.spec.containers;
        if base_of(&container.image) == "loki" {
            return self.chunks(workload, container).map(|path| ("Loki", LOGS, path));
        }
        match container.program()? {
            Program::Prometheus => {
                let server = Server { workload, container };
                // Others keep what is uploaded or sent on.
                let elsewhere = self.sends_on || containers.iter().any(|c| c.image.contains("thanos"));
                let by_operator = workload.spec.template.metadata.labels.contains_key("operator.prometheus.io/name");
                (!elsewhere && !by_operator && !server.is_agent())
                    .then(|| ("Prometheus", SAMPLES, data_path(&server).to_owned()))
            }
            Program::Alertmanager if workload.spec.replicas.unwrap_or(1) <= 1 => {
                let path = arguments::flag(container, "storage.path");
                Some(("Alertmanager", SILENCES, path.unwrap_or("/alertmanager").to_owned()))
            }
            Program::Grafana => {
                let set = |name: &str| container.env.iter().any(|e| e.name.starts_with(name));
                let on_server = set("GF_DATABASE_") || !container.env_from.is_empty() || self.has_database();
                // What is provisioned is there again after each start.
                let provisioned = container.volume_mounts.iter().any(|m| m.mount_path.contains("dashboards"))
                    || containers.iter().any(|c| c.image.contains("k8s-sidecar"));
                (!on_server && !provisioned).then(|| ("Grafana", BOARDS, database::folder(container).to_owned()))
            }
            Program::Alertmanager => None,
        }
    }

    /// A grafana.ini of the set names a server.
    fn has_database(&self) -> bool {
        let on_server = |text: &str| {
            let named = ["type", "url", "host"].into_iter().filter_map(|key| ini::value(text, "database", key));
            named.into_iter().any(|value| !value.is_empty() && value != "sqlite3")
        };
        self.snap.manifest_objects("", "ConfigMap").any(|(_, map)| {
            let data = map.node.get("data").and_then(Node::entries).unwrap_or_default();
            data.iter().any(|(key, value)| {
                key.as_str().is_some_and(|k| k.ends_with(".ini")) && value.as_str().is_some_and(on_server)
            })
        })
    }

    /// The folder of the chunks of a Loki that keeps them in files.
    fn chunks(&self, workload: &Workload, container: &Container) -> Option<String> {
        let mounted = |v: &&Volume| container.volume_mounts.iter().any(|m| m.name == v.name);
        let volumes = workload.spec.template.spec.volumes.iter().filter(mounted);
        let names: Vec<&str> = volumes.filter_map(|v| Some(v.config_map.as_ref()?.name.as_str())).collect();
        let maps = self.snap.manifest_objects("", "ConfigMap").filter(|(_, map)| names.contains(&map.name.as_str()));
        let texts = maps.flat_map(|(_, map)| map.node.get("data").and_then(Node::entries).unwrap_or_default());
        let mut configs = texts.filter_map(|(_, text)| yaml::document(text.as_str()?).ok()?);
        let config = configs.find(|c| c.get("schema_config").is_some())?;
        in_files(&config)
    }
}

/// Where nothing asks for a volume.
struct At {
    place: lint::Place,
    path: String,
    on: &'static str,
    /// The key that is not there.
    lacks: Option<&'static str>,
}

impl At {
    fn problem(self, program: &str, data: &str) -> Problem {
        let lost = lost(program, data, self.on);
        let said = self.lacks.map_or_else(|| lost.clone(), |key| format!("without {key}, {lost}"));
        Problem::new(self.place, self.path, said)
    }
}

/// A spec that asks for an emptyDir, or, where it says all, for nothing.
fn storage(spec: &Node, key: &'static str, path: &str, whole: bool) -> Option<At> {
    let field = join(path, key);
    // What does not run keeps nothing.
    if spec.get("replicas").and_then(Node::as_str) == Some("0") {
        return None;
    }
    let Some(storage) = spec.get(key).filter(|s| !s.is_null() && s.entries().is_none_or(|e| !e.is_empty())) else {
        return whole.then_some(At { place: spec.place, path: field, on: EMPTY_DIR, lacks: Some(key) });
    };
    // The operator takes an emptyDir before a claim.
    let named = [("emptyDir", EMPTY_DIR), ("ephemeral", "an ephemeral volume")];
    let (kind, on) = named.into_iter().find(|(kind, _)| storage.get(kind).is_some_and(|n| !n.is_null()))?;
    Some(At { place: storage.get(kind)?.place, path: join(&field, kind), on, lacks: None })
}

/// What a Prometheus measured lasts elsewhere.
fn sends(spec: &Node) -> bool {
    let filled = |key: &str| spec.get(key).is_some_and(|n| n.items().is_none_or(|i| !i.is_empty()) && !n.is_null());
    filled("remoteWrite") || spec.get("thanos").is_some_and(|t| t.get("objectStorageConfig").is_some())
}

/// One Alertmanager: several tell each other what they know.
fn alone(spec: &Node) -> bool {
    spec.get("replicas").and_then(Node::as_str).is_none_or(|n| n == "1")
}

/// The folder of the chunks, where the configuration of Loki keeps them in files.
fn in_files(config: &Node) -> Option<String> {
    let periods = config.at(&["schema_config", "configs"]).and_then(Node::items)?;
    if periods.last()?.get("object_store").and_then(Node::as_str) != Some("filesystem") {
        return None;
    }
    let paths: [&[&str]; 2] =
        [&["storage_config", "filesystem", "directory"], &["common", "storage", "filesystem", "chunks_directory"]];
    let named = paths.iter().find_map(|path| config.at(path).and_then(Node::as_str));
    let prefix = || config.at(&["common", "path_prefix"]).and_then(Node::as_str);
    let folder = named.or_else(prefix)?;
    (!folder.contains(['$', '{'])).then(|| folder.to_owned())
}
