//! What the import dialogue of Grafana would have filled in, and nobody does where a dashboard is provisioned.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::dashboards::{Dashboard, text_of};

impl Dashboard<'_> {
    /// `__inputs`: what the dialogue would have asked for, by name, with its plug-in.
    pub(crate) fn inputs(&self) -> BTreeMap<String, String> {
        inputs(&self.json)
    }

    /// The name in a reference that only the dialogue fills in.
    pub(crate) fn left_by_import<'t>(&self, written: &'t str) -> Option<&'t str> {
        left_by_import(&self.json, written)
    }
}

/// `__inputs` of a dashboard.
fn inputs(dashboard: &Value) -> BTreeMap<String, String> {
    let list = dashboard.get("__inputs").and_then(Value::as_array).into_iter().flatten();
    list.filter(|i| text_of(i, "type") == "datasource").map(|i| (text_of(i, "name"), text_of(i, "pluginId"))).collect()
}

/// The name in a reference of a dashboard that only the dialogue fills in.
pub(crate) fn left_by_import<'t>(dashboard: &Value, written: &'t str) -> Option<&'t str> {
    let name = variable_of(written)?;
    // Other variables may be made by a plug-in or a library panel.
    let by_import = name.starts_with("DS_") || inputs(dashboard).contains_key(name);
    (by_import && !variables(dashboard).contains(name)).then_some(name)
}

fn variables(dashboard: &Value) -> BTreeSet<String> {
    let list = dashboard.pointer("/templating/list").and_then(Value::as_array).into_iter().flatten();
    list.map(|v| text_of(v, "name")).collect()
}

/// The name in `$NAME`, `${NAME}` or `${NAME:format}`.
fn variable_of(text: &str) -> Option<&str> {
    let rest = text.strip_prefix('$')?;
    let rest = rest.strip_prefix('{').map_or(Some(rest), |r| r.strip_suffix('}'))?;
    let name = rest.split(':').next()?;
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    is_name.then_some(name)
}
