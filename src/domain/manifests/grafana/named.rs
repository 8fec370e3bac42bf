//! What datasources and dashboards of the files name, and the files do not have.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::{Closed, Listed, lists, name_of};
use crate::domain::grafana::import;
use crate::domain::grafana::url::Written;
use crate::domain::manifests::given::{self, full_name, may_meet};
use crate::domain::manifests::references::SLIP;
use crate::lint::yaml::Node;
use crate::lint::{Problem, within};
use crate::snapshot::Snapshot;
use crate::snapshot::manifests::{Manifest, ManifestFile};
use crate::text::near::typo;

/// What the files have that datasources and dashboards name.
pub(crate) struct Grafana<'a> {
    lists: Vec<Listed<'a>>,
    services: Vec<&'a Manifest>,
    /// Something fills in what the import dialogue would have.
    filled_in: bool,
    closed: Option<Closed<'a>>,
}

impl<'a> Grafana<'a> {
    /// Of all files.
    pub(crate) fn of(snap: &'a Snapshot) -> Self {
        let lists = lists(snap);
        let services = snap.manifest_objects("", "Service").map(|(_, o)| o).collect();
        let filled_in = given::objects(snap).any(|(_, o)| {
            o.group() == "grafana.integreatly.org"
                || (o.group() == "kustomize.toolkit.fluxcd.io" && o.node.at(&["spec", "postBuild"]).is_some())
        });
        let closed = Closed::of(snap, &lists);
        Self { lists, services, filled_in, closed }
    }

    /// What a ConfigMap with datasources or dashboards names and the files do not have.
    pub(crate) fn broken(&self, file: &ManifestFile, object: &Manifest) -> Vec<Problem> {
        if object.kind != "ConfigMap" || !object.group().is_empty() {
            return Vec::new();
        }
        let own = self.lists.iter().filter(|l| l.object.is_some_and(|o| std::ptr::eq(o, object)));
        let mut found: Vec<Problem> =
            own.flat_map(|l| l.items.iter().filter_map(|item| self.url(object, item, &l.field))).collect();
        self.dashboards(file, object, &mut found);
        found
    }

    /// The URL of a datasource: a Service of the files that lacks the port, or that is nearly called so.
    fn url(&self, object: &Manifest, item: &Node, field: &str) -> Option<Problem> {
        let node = item.get("url")?;
        let written = Written::parse(node.as_str()?)?;
        let labels: Vec<&str> = written.host.trim_end_matches('.').split('.').collect();
        let (name, namespace) = match labels.as_slice() {
            [name] => (*name, object.namespace.as_str()),
            [name, namespace] => (*name, *namespace),
            [name, namespace, "svc", ..] => (*name, *namespace),
            _ => return None,
        };
        // Of a name with one dot only a Service with that namespace tells that it is none of the world.
        let near = |s: &&&Manifest| s.namespace == namespace || (labels.len() == 1 && may_meet(s, object));
        let path = format!("{field}.url");
        let of = name_of(item);
        let Some(service) = self.services.iter().filter(near).find(|s| s.name == name) else {
            let meant = self.services.iter().filter(near).find(|s| typo(name, &s.name, SLIP))?;
            let message = format!("the files hold no Service {name}, which datasource {of} asks");
            let instead = node.as_str()?.replacen(name, &meant.name, 1);
            return Some(Problem::new(node.place, path, message).instead(Some(instead)));
        };
        let text = |key: &str| service.node.at(&["spec", key]).and_then(Node::as_str);
        if text("clusterIP") == Some("None") || text("type") == Some("ExternalName") {
            return None;
        }
        let ports = service.node.at(&["spec", "ports"]).and_then(Node::items)?;
        let there: Vec<&str> = ports.iter().filter_map(|p| p.get("port").and_then(Node::as_str)).collect();
        let port = written.port.to_string();
        if there.is_empty() || there.contains(&port.as_str()) {
            return None;
        }
        let message = format!(
            "Service {} has no port {port}, which datasource {of} asks (it has {})",
            full_name(service),
            there.join(", ")
        );
        let only = if let [one] = there.as_slice() { one.parse().ok() } else { None };
        let instead = only.filter(|_| !written.has_login).map(|port| Written { port, ..written.clone() }.text());
        Some(Problem::new(node.place, path, message).instead(instead))
    }

    fn dashboards(&self, file: &ManifestFile, object: &Manifest, found: &mut Vec<Problem>) {
        let labelled = given::labels_with(object, "dashboard").next().is_some();
        let closed = self
            .closed
            .as_ref()
            .filter(|c| c.maps.contains(&object.name.as_str()) && may_meet(c.workload, object) && !self.filled_in);
        if self.filled_in || !(labelled || closed.is_some()) {
            return;
        }
        for (key, value) in object.node.get("data").and_then(Node::entries).unwrap_or_default() {
            let (Some(key), Some(text)) = (key.as_str(), value.as_str()) else { continue };
            if !key.ends_with(".json") || !text.contains("\"datasource\"") {
                continue;
            }
            let Ok(json) = serde_json::from_str::<Json>(text) else { continue };
            let json = json.get("dashboard").filter(|d| d.is_object()).unwrap_or(&json);
            let mut named = BTreeMap::new();
            references(json, 0, &mut named);
            for (written, kind) in named {
                let Some(why) = self.lost(json, closed, written, kind) else { continue };
                let at = text.find(&format!("\"{written}\"")).map_or(0, |at| at + 1);
                let place = within::of_byte(&file.text, text, value.place, at).unwrap_or(value.place);
                let title = json.get("title").and_then(Json::as_str).unwrap_or(key);
                let message = format!("dashboard {title:?} asks for datasource {written}, {why}");
                found.push(Problem::new(place, format!("data.{key}"), message));
            }
        }
    }

    /// Why a reference leads nowhere.
    fn lost(&self, json: &Json, closed: Option<&Closed<'_>>, written: &str, kind: &str) -> Option<String> {
        if written.contains('$') {
            import::left_by_import(json, written)?;
            return Some("which only the import dialogue fills in".to_owned());
        }
        let closed = closed?;
        let special = ["", "grafana", "default", "__expr__", "-100"].contains(&written)
            || written.starts_with("--")
            || written.contains('[');
        if special || closed.known.contains(written) || !closed.kinds.contains(kind) {
            return None;
        }
        let known: Vec<&str> = closed.known.iter().map(String::as_str).collect();
        Some(format!(
            "which {} {} is not provisioned with, and it keeps none that are made by hand (it has {})",
            closed.workload.kind,
            full_name(closed.workload),
            known.join(", ")
        ))
    }
}

/// Uids and names of datasources in a dashboard, with their types.
fn references<'j>(json: &'j Json, depth: usize, found: &mut BTreeMap<&'j str, &'j str>) {
    if depth > 12 {
        return;
    }
    match json {
        Json::Array(items) => items.iter().for_each(|item| references(item, depth + 1, found)),
        Json::Object(entries) => {
            for (key, value) in entries {
                match (key.as_str(), value) {
                    // Annotations and inputs are filled in by Grafana.
                    ("annotations" | "__inputs" | "__requires", _) => {}
                    ("datasource", Json::String(name)) => {
                        found.insert(name, "");
                    }
                    ("datasource", Json::Object(one)) => {
                        let text = |key: &str| one.get(key).and_then(Json::as_str).unwrap_or_default();
                        found.insert(text("uid"), text("type"));
                    }
                    _ => references(value, depth + 1, found),
                }
            }
        }
        _ => {}
    }
}
