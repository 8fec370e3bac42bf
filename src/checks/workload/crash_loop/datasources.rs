//! Provisioned datasources that are marked as default.

use crate::lint::yaml;
use crate::snapshot::Snapshot;

/// A datasource that is marked as default.
pub(super) struct DefaultSource {
    pub(super) namespace: String,
    pub(super) map: String,
    pub(super) name: String,
    pub(super) kind: String,
}

/// Those of the stack's ConfigMaps.
pub(super) fn defaults(snap: &Snapshot) -> Vec<DefaultSource> {
    let maps = snap.config_maps.items().unwrap_or_default().iter();
    let mut found = Vec::new();
    for map in maps.filter(|m| snap.scope.is_stack(&m.metadata.namespace)) {
        for text in map.data.values().filter(|t| t.contains("isDefault")) {
            for document in yaml::documents(text).unwrap_or_default() {
                let all = document.get("datasources").and_then(yaml::Node::items).unwrap_or_default();
                for item in all {
                    let value = |name: &str| item.get(name).and_then(yaml::Node::as_str).unwrap_or_default().to_owned();
                    if value("isDefault") == "true" {
                        found.push(DefaultSource {
                            namespace: map.metadata.namespace.clone(),
                            map: map.metadata.name.clone(),
                            name: value("name"),
                            kind: value("type"),
                        });
                    }
                }
            }
        }
    }
    found
}
