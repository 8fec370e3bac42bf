//! Dashboards: those in ConfigMaps that Grafana loads, and those that only its API shows.

use serde_json::Value;

use crate::domain::grafana::provisioned::{self, File, Instance, Kind};
use crate::model::ResourceRef;
use crate::snapshot::Snapshot;

/// A dashboard.
#[derive(Debug, Clone)]
pub(crate) struct Dashboard<'a> {
    /// Which Grafana shows it.
    pub(crate) instance: Instance<'a>,
    /// Where it is provisioned; absent where only the API shows it.
    pub(crate) file: Option<File<'a>>,
    /// Title, or the name of its file.
    pub(crate) title: String,
    /// Empty where it has none of its own.
    pub(crate) uid: String,
    /// Its JSON.
    pub(crate) json: Value,
}

/// The dashboards that hold one of these words. A file that is no JSON is none.
pub(crate) fn with_word<'a>(snap: &'a Snapshot, instances: &[Instance<'a>], words: &[&str]) -> Vec<Dashboard<'a>> {
    let has_word = |text: &str| words.iter().any(|w| text.contains(w));
    let files: Vec<File<'a>> = instances.iter().flat_map(|i| i.files(snap, Kind::Dashboards)).collect();
    let mut all: Vec<Dashboard<'a>> = files.iter().filter(|f| has_word(f.text)).filter_map(|f| of_file(*f)).collect();
    let Some(instance) = provisioned::asked(snap, instances) else { return all };
    for found in snap.grafana_dashboards().map(Vec::as_slice).unwrap_or_default() {
        let (title, uid) = (text_of(&found.dashboard, "title"), text_of(&found.dashboard, "uid"));
        let quoted = |text: &str| format!("\"{text}\"");
        let in_file = files.iter().any(|f| {
            (!uid.is_empty() && f.text.contains(&quoted(&uid)))
                || (found.meta.provisioned && f.text.contains(&quoted(&title)))
        });
        if !in_file && has_word(&found.dashboard.to_string()) {
            all.push(Dashboard { instance, file: None, title, uid, json: found.dashboard.clone() });
        }
    }
    all
}

fn of_file(file: File<'_>) -> Option<Dashboard<'_>> {
    let json: Value = serde_json::from_str(file.text).ok()?;
    // The API's own form wraps it.
    let json = match json.get("dashboard") {
        Some(inner) if inner.is_object() => inner.clone(),
        _ => json,
    };
    let title = Some(text_of(&json, "title")).filter(|t| !t.is_empty()).unwrap_or_else(|| file.key.to_owned());
    Some(Dashboard { instance: file.instance, file: Some(file), title, uid: text_of(&json, "uid"), json })
}

/// A string of an object; empty where there is none.
pub(crate) fn text_of(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

impl Dashboard<'_> {
    /// Its panels, those of rows and collapsed rows included.
    pub(crate) fn panels(&self) -> Vec<&Value> {
        let mut all = Vec::new();
        collect(&self.json, 0, &mut all);
        all
    }

    /// As a resource.
    pub(crate) fn reference(&self) -> ResourceRef {
        ResourceRef::Dashboard { name: if self.uid.is_empty() { self.title.clone() } else { self.uid.clone() } }
    }

    /// What has to change: the ConfigMap that holds it, or the dashboard itself.
    pub(crate) fn subject(&self) -> ResourceRef {
        self.file.map_or_else(|| self.reference(), |f| f.config_map.reference())
    }
}

fn collect<'v>(value: &'v Value, depth: usize, all: &mut Vec<&'v Value>) {
    // Rows hold panels; nothing nests deeper.
    if depth > 3 {
        return;
    }
    for key in ["panels", "rows"] {
        for panel in value.get(key).and_then(Value::as_array).into_iter().flatten() {
            if panel.get("targets").is_some() || panel.get("datasource").is_some() {
                all.push(panel);
            }
            collect(panel, depth + 1, all);
        }
    }
}
