//! Fields of custom resources that were applied and are not there: the API server drops what the schema of the kind does not
//! know, and says so only to who asks for it (`kubectl apply --validate=strict`). What kubectl and Argo CD applied stands in an
//! annotation.

use serde::Deserialize;
use serde_json::Value;

use super::annotation::LAST_APPLIED;
use super::{ConfigStatus, Dropped, Monitor};
use crate::lint::operator::{Refused, lint};
use crate::lint::yaml;

/// A ServiceMonitor or PodMonitor as it was sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawMonitor {
    metadata: Value,
    spec: Value,
    status: ConfigStatus,
}

impl TryFrom<RawMonitor> for Monitor {
    type Error = serde_json::Error;

    fn try_from(raw: RawMonitor) -> Result<Self, Self::Error> {
        let object = |value: Value| if value.is_null() { Value::Object(serde_json::Map::new()) } else { value };
        Ok(Self {
            kind: String::new(),
            dropped: dropped(&raw.metadata, &raw.spec),
            metadata: serde_json::from_value(object(raw.metadata))?,
            spec: serde_json::from_value(object(raw.spec))?,
            status: raw.status,
        })
    }
}

/// Slips in the names of fields of the manifest that was applied last, where they are not there.
fn dropped(metadata: &Value, spec: &Value) -> Vec<Dropped> {
    let applied = metadata.get("annotations").and_then(|a| a.get(LAST_APPLIED)).and_then(Value::as_str);
    let Some(Ok(Some(manifest))) = applied.map(yaml::document) else { return Vec::new() };
    let slips = lint(&manifest).into_iter().filter(|(by, _)| *by == Refused::ByServer).map(|(_, problem)| problem);
    let unknown = slips.filter(|p| p.message.starts_with("unknown field"));
    let lost = unknown.filter_map(|p| Some(Dropped { meant: p.instead?, path: p.path }));
    // The right name may have been written since, by other means.
    let right = |d: &Dropped| d.path.rsplit_once('.').map(|(above, _)| format!("{above}.{}", d.meant));
    lost.filter(|d| at(spec, &d.path).is_none() && right(d).is_none_or(|path| at(spec, &path).is_none())).collect()
}

/// The value at `spec.endpoints[0].port`.
fn at<'v>(spec: &'v Value, path: &str) -> Option<&'v Value> {
    let mut value = spec;
    for part in path.strip_prefix("spec.")?.split('.') {
        let (name, places) = part.split_once('[').unwrap_or((part, ""));
        value = value.get(name)?;
        for place in places.split('[').filter(|p| !p.is_empty()) {
            value = value.get(place.trim_end_matches(']').parse::<usize>().ok()?)?;
        }
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn monitor(applied: &Value, live: &Value) -> Monitor {
        let manifest = json!({"apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor",
            "metadata": {"name": "web", "namespace": "shop"}, "spec": applied});
        let object = json!({"metadata": {"name": "web", "namespace": "shop",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": manifest.to_string()}}, "spec": live});
        serde_json::from_value(object).expect("a monitor")
    }

    #[test]
    fn a_slip_that_was_dropped_is_kept() {
        let applied = json!({"selector": {}, "endpoints": [{"port": "http", "metricRelabeling": []}]});
        let live = json!({"selector": {}, "endpoints": [{"port": "http"}]});
        let made = monitor(&applied, &live);
        let expected = Dropped { path: "spec.endpoints[0].metricRelabeling".into(), meant: "metricRelabelings".into() };
        assert_eq!((made.dropped, made.metadata.name.as_str()), (vec![expected], "web"));
    }

    #[test]
    fn what_was_taken_out_later_or_is_nothing_of_ours_is_not() {
        let live = json!({"selector": {}, "endpoints": [{"port": "http"}]});
        let known = json!({"selector": {}, "endpoints": [{"port": "http", "honorLabels": true}]});
        assert_eq!(monitor(&known, &live).dropped, []);
        let newer = json!({"selector": {}, "endpoints": [{"port": "http", "somethingNew": true}]});
        assert_eq!(monitor(&newer, &live).dropped, []);
        let without: Monitor = serde_json::from_value(json!({"metadata": {"name": "web"}, "spec": live})).expect("one");
        assert_eq!((without.dropped, without.spec.endpoints.len()), (Vec::new(), 1));
    }
}
