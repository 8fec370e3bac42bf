//! A dashboard asks for a datasource that Grafana does not have.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::checks::support::grafana::{Grafana, KeptIn, in_dashboard, named_in, none_runs, place_in, running};
use crate::checks::{Check, check};
use crate::domain::grafana::dashboards::{self, Dashboard, text_of};
use crate::domain::grafana::provisioned::{self, Instance};
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, Severity};
use crate::snapshot::Snapshot;

/// Datasources that every Grafana has, and words that stand for one.
const BUILT_IN: &[&str] = &["", "grafana", "default", "__expr__", "-100"];

/// The keys of what names a datasource: of its object, or itself by its name.
const REFERS: &[&str] = &["uid", "datasource"];

check! {
    /// See the check's page.
    DashboardDatasource {
        id: "dashboard-datasource", suite: Grafana, severity: Error,
        title: "a dashboard asks for a datasource that does not exist",
        requires: [ConfigMaps, Workloads],
        uses: [Services, GrafanaDatasources, GrafanaDashboards],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    dashboard: String,
    /// The references as they are written.
    written: Vec<String>,
    /// What replaces all of them in the file; empty where that is not known of each.
    sed: Vec<String>,
    /// The first one as it should be.
    excerpt: Option<Value>,
    #[serde(flatten)]
    kept_in: KeptIn,
    #[serde(flatten)]
    grafana: Grafana,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    Placeholder,
    Unknown {
        /// The datasources that there are.
        existing: String,
    },
}

impl Check for DashboardDatasource {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let Some(instances) = running(snap)? else { return Ok(none_runs()) };
        let all = dashboards::with_word(snap, &instances, &["\"datasource\""]);
        let findings = all.iter().filter_map(|d| of(&Known::of(snap, &instances, d.instance), d)).collect();
        Ok(Diagnosis::Findings(findings))
    }
}

/// A datasource that there is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Existing {
    uid: String,
    name: String,
    kind: String,
    is_default: bool,
}

/// The datasources of one Grafana.
struct Known {
    all: Vec<Existing>,
    /// Nothing is missing in the list.
    complete: bool,
}

impl Known {
    fn of(snap: &Snapshot, instances: &[Instance<'_>], instance: Instance<'_>) -> Self {
        let mut all: Vec<Existing> = provisioned::datasources(snap, instance)
            .into_iter()
            .map(|d| Existing { uid: d.uid, name: d.name, kind: d.kind, is_default: d.is_default })
            .collect();
        let is_asked = provisioned::asked(snap, instances).is_some_and(|i| i.reference() == instance.reference());
        let by_api = snap.grafana_datasources().ok().filter(|_| is_asked);
        for ds in by_api.into_iter().flatten() {
            // Grafana's own word on the uid counts.
            all.retain(|d| d.name != ds.name);
            let (uid, name, kind) = (ds.uid.clone(), ds.name.clone(), ds.kind.clone());
            all.push(Existing { uid, name, kind, is_default: ds.is_default });
        }
        // What Grafana is provisioned with may be on its way into the list.
        let complete = by_api.is_some() && snap.config_maps.covers(instance.namespace());
        Self { all, complete }
    }

    fn has(&self, reference: &str) -> bool {
        self.all.iter().any(|d| d.uid == reference || d.name == reference)
    }

    /// The datasource of a type that is meant: the default, or the only one.
    fn of_kind(&self, kind: &str) -> Option<&Existing> {
        let of_kind: Vec<&Existing> = self.all.iter().filter(|d| d.kind == kind).collect();
        of_kind.iter().find(|d| d.is_default).copied().or(match of_kind.as_slice() {
            [only] => Some(only),
            _ => None,
        })
    }
}

/// A reference to a datasource that leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Lost {
    /// As written: `${DS_PROMETHEUS}`, a uid or a name.
    written: String,
    kind: String,
    placeholder: bool,
}

fn of(known: &Known, dashboard: &Dashboard<'_>) -> Option<Finding> {
    let mut lost: BTreeMap<Lost, BTreeSet<String>> = BTreeMap::new();
    for (place, value) in references(dashboard) {
        let (written, kind) = match value {
            Value::String(name) => (name.clone(), String::new()),
            object => (text_of(object, "uid"), text_of(object, "type")),
        };
        let Some(found) = judge(known, dashboard, &written, &kind) else { continue };
        lost.entry(found).or_default().insert(place);
    }
    if lost.is_empty() {
        return None;
    }
    Some(finding(known, dashboard, &lost))
}

/// Everything in the dashboard that names a datasource, with where it stands.
fn references<'d>(dashboard: &'d Dashboard<'_>) -> Vec<(String, &'d Value)> {
    let mut all = Vec::new();
    for panel in dashboard.panels() {
        let place = format!("panel \"{}\"", text_of(panel, "title"));
        all.extend(panel.get("datasource").map(|d| (place.clone(), d)));
        for target in panel.get("targets").and_then(Value::as_array).into_iter().flatten() {
            all.extend(target.get("datasource").map(|d| (place.clone(), d)));
        }
    }
    for variable in dashboard.json.pointer("/templating/list").and_then(Value::as_array).into_iter().flatten() {
        all.extend(variable.get("datasource").map(|d| (format!("variable {}", text_of(variable, "name")), d)));
    }
    all.retain(|(_, value)| value.is_string() || value.is_object());
    all
}

fn judge(known: &Known, dashboard: &Dashboard<'_>, written: &str, kind: &str) -> Option<Lost> {
    if written.contains('$') {
        let name = dashboard.left_by_import(written)?;
        let by_input = dashboard.inputs().remove(name).filter(|k| !k.is_empty());
        let by_name = || name.trim_start_matches("DS_").to_lowercase().replace('_', "-");
        let kind = by_input.or(Some(kind.to_owned()).filter(|k| !k.is_empty())).unwrap_or_else(by_name);
        return Some(Lost { written: written.to_owned(), kind, placeholder: true });
    }
    let is_special =
        BUILT_IN.contains(&written) || written.starts_with("--") || matches!(kind, "datasource" | "__expr__");
    let is_lost = known.complete && !is_special && !known.has(written) && !written.contains('[');
    is_lost.then(|| Lost { written: written.to_owned(), kind: kind.to_owned(), placeholder: false })
}

fn finding(known: &Known, dashboard: &Dashboard<'_>, lost: &BTreeMap<Lost, BTreeSet<String>>) -> Finding {
    let names: Vec<&str> = lost.keys().map(|l| l.written.as_str()).collect();
    let is_placeholder = lost.keys().all(|l| l.placeholder);
    let why = if is_placeholder { "which only the import dialogue fills in" } else { "which Grafana does not have" };
    let message = format!("dashboard {} asks for datasource {}, {why}", dashboard.title, names.join(" and "));
    let mut made = Finding::new(DashboardDatasource::META.id, Severity::Error, dashboard.subject(), message);
    let mut excerpt = None;
    let mut sed: Vec<String> = Vec::new();
    for (reference, places) in lost {
        let listed: Vec<&str> = places.iter().map(String::as_str).collect();
        made = made.evidence(in_dashboard(dashboard, format!("{} in {}", reference.written, listed.join(", "))));
        made.locations.extend(place_in(dashboard, REFERS, &reference.written));
        let meant = known.of_kind(&reference.kind);
        if let (true, Some(meant)) = (reference.placeholder, meant) {
            sed.extend(["-e".to_owned(), replacement(&reference.written, &meant.uid)]);
        }
        let uid = meant.map_or("<uid of the datasource>", |d| d.uid.as_str());
        excerpt.get_or_insert_with(|| serde_json::json!({"datasource": {"type": reference.kind, "uid": uid}}));
    }
    // A replacement of a part would leave the rest as it is.
    let whole = sed.len() == 2 * lost.len();
    let existing: Vec<String> = known.all.iter().map(|d| format!("{} ({}, uid {})", d.name, d.kind, d.uid)).collect();
    named_in(dashboard, made).fix(Fix {
        dashboard: dashboard.title.clone(),
        written: names.into_iter().map(str::to_owned).collect(),
        sed: if whole { sed } else { Vec::new() },
        excerpt,
        kept_in: KeptIn::of(dashboard.file),
        grafana: Grafana::of(dashboard.instance),
        way: if is_placeholder { Way::Placeholder } else { Way::Unknown { existing: existing.join("; ") } },
    })
}

/// A sed command that replaces a placeholder wherever it stands.
fn replacement(written: &str, uid: &str) -> String {
    let pattern = written.replace('$', "[$]").replace('.', "[.]");
    let with: String =
        uid.chars().flat_map(|c| [Some('\\').filter(|_| "&\\/".contains(c)), Some(c)]).flatten().collect();
    match written.ends_with('}') {
        true => format!("s/{pattern}/{with}/g"),
        // `$NAME` must not match the begin of `$NAME_2`.
        false => format!("s/{pattern}\\([^A-Za-z0-9_]\\)/{with}\\1/g"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::grafana::{dashboard_map, datasource_map, grafana, snapshot};
    use crate::domain::testing::service;
    use crate::snapshot::grafana;
    use serde_json::json;

    const DATASOURCES: &str = "- {name: Prometheus, type: prometheus, uid: prom-1, isDefault: true}\n\
        - {name: Second, type: prometheus, uid: prom-2}\n- {name: Loki, type: loki}";

    fn snap(dashboard: &Value) -> Snapshot {
        snapshot(json!({
            "workloads": [grafana(json!({}))],
            "services": [service("monitoring", "grafana", &[3000])],
            "config_maps": [dashboard_map(dashboard), datasource_map(DATASOURCES)],
        }))
    }

    fn board(datasource: Value) -> Value {
        json!({"title": "Registry", "uid": "reg", "panels": [{"title": "Hits", "datasource": datasource, "targets": []}]})
    }

    fn of(dashboard: &Value) -> Vec<Finding> {
        findings(&DashboardDatasource, &snap(dashboard))
    }

    #[test]
    fn variables_and_built_in_datasources_are_quiet() {
        for quiet in [
            json!("$datasource"),
            json!({"uid": "${datasource}"}),
            json!("-- Mixed --"),
            json!(null),
            json!({"uid": "grafana"}),
        ] {
            assert_eq!(of(&board(quiet)), []);
        }
        // A variable may have the name of a placeholder.
        let mut own = board(json!({"type": "prometheus", "uid": "${DS_PROMETHEUS}"}));
        own["templating"] = json!({"list": [{"name": "DS_PROMETHEUS", "type": "datasource", "query": "prometheus"}]});
        assert_eq!(of(&own), []);
        // Without Grafana's own list nobody knows what else there is.
        assert_eq!(of(&board(json!({"type": "prometheus", "uid": "made-by-hand"}))), []);
    }

    #[test]
    fn placeholders_of_the_import_are_replaced_by_the_default_of_their_type() {
        let mut exported = board(json!({"type": "prometheus", "uid": "${DS_PROMETHEUS}"}));
        exported["__inputs"] = json!([{"name": "DS_PROMETHEUS", "type": "datasource", "pluginId": "prometheus"}]);
        let found = of(&exported);
        assert_eq!(found[0].variant, "placeholder");
        let text = steps(&found[0]);
        assert!(text.contains("sed -e 's/[$]{DS_PROMETHEUS}/prom-1/g'"), "{text}");
        assert!(text.contains("\"uid\": \"prom-1\""), "{text}");
        let place = &found[0].locations[0];
        assert_eq!((place.field.as_str(), place.line), ("data[board.json]", Some(1)));
        let loki = of(&board(json!("${DS_LOKI}")));
        assert!(steps(&loki[0]).contains("P8E80F9AEF21F6940"), "{}", steps(&loki[0]));
        let unknown = of(&board(json!("${DS_INFLUXDB}")));
        assert!(!steps(&unknown[0]).contains("sed -e"), "{}", steps(&unknown[0]));
    }

    #[test]
    fn an_unknown_uid_counts_where_grafana_gave_its_list() {
        let mut with_list = snap(&board(json!({"type": "prometheus", "uid": "gone"})));
        let known = |name: &str, uid: &str| grafana::Datasource {
            name: name.into(),
            uid: uid.into(),
            kind: "prometheus".into(),
            ..grafana::Datasource::default()
        };
        *with_list.grafana_datasources = Ok(vec![known("Prometheus", "prom-1")]);
        assert_eq!(findings(&DashboardDatasource, &with_list)[0].variant, "unknown");
        *with_list.grafana_datasources = Ok(vec![known("gone", "other")]);
        assert_eq!(findings(&DashboardDatasource, &with_list), []);
    }
}
