//! Who wrote which fields of an object, and when: `metadata.managedFields`.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Fields of one entry that are kept; a manifest as a whole has hundreds.
const KEPT: usize = 12;

/// The last write of one manager: the time is that of the last change, the fields are all that it owns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// `helm`, `kubectl-edit`, `argocd-controller` …
    pub manager: String,
    /// When it wrote last.
    pub at: Option<Timestamp>,
    /// What it owns outside of metadata and status: `spec.replicas`, `data.prometheus.yml`; the first ones.
    pub fields: Vec<String>,
    /// How many it owns.
    pub count: usize,
}

/// Parts of the cluster that write all the time what others want.
const CONTROLLERS: &[&str] = &[
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "cloud-controller-manager",
    "aws-cloud-controller-manager",
    "csi-provisioner",
    "csi-attacher",
    "PrometheusOperator",
    "cluster-autoscaler",
    "karpenter",
    "vpc-resource-controller",
    "kube-apiserver",
];

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Entry {
    manager: String,
    time: Option<Timestamp>,
    subresource: String,
    fields_v1: Value,
}

/// What people and their tools wrote; what the cluster's own parts and the status of an object say is left out.
pub(super) fn by_people<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Written>, D::Error> {
    let all: Option<Vec<Entry>> = Option::deserialize(d)?;
    let mut kept: Vec<Written> = Vec::new();
    for entry in all.unwrap_or_default() {
        if entry.subresource == "status" || CONTROLLERS.contains(&entry.manager.as_str()) {
            continue;
        }
        let mut written = Written { manager: entry.manager, at: entry.time, ..Written::default() };
        for (name, below) in entry.fields_v1.as_object().into_iter().flatten() {
            if let Some(name) = name.strip_prefix("f:").filter(|n| !matches!(*n, "metadata" | "status")) {
                paths(below, name, &mut written);
            }
        }
        if written.count > 0 {
            kept.push(written);
        }
    }
    Ok(kept)
}

/// The ends of the paths below a field.
fn paths(fields: &Value, path: &str, written: &mut Written) {
    let below = fields.as_object();
    let mut ends = true;
    for (name, more) in below.into_iter().flatten() {
        let next = match name.split_once(':') {
            Some(("f", field)) => format!("{path}.{field}"),
            Some(("k", key)) => format!("{path}[{}]", key_of(key)),
            // A whole list, or the object itself.
            _ => continue,
        };
        ends = false;
        paths(more, &next, written);
    }
    if ends {
        written.count += 1;
        if written.fields.len() < KEPT {
            written.fields.push(path.to_owned());
        }
    }
}

/// `{"name":"prometheus"}` → `prometheus`.
fn key_of(key: &str) -> String {
    let parsed: Option<Value> = serde_json::from_str(key).ok();
    let fields = parsed.as_ref().and_then(Value::as_object);
    let name = fields.and_then(|f| f.get("name").or_else(|| f.values().next()));
    name.map_or_else(String::new, |v| v.as_str().map_or_else(|| v.to_string(), str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::super::Meta;
    use serde_json::json;

    #[test]
    fn keeps_what_people_wrote_and_where() {
        let meta: Meta = serde_json::from_value(json!({"name": "x", "managedFields": [
            {"manager": "kubectl-set", "operation": "Update", "time": "2026-11-21T02:00:00Z", "fieldsV1": {
                "f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"prometheus\"}": {".": {}, "f:image": {}}}}}}}},
            {"manager": "kube-controller-manager", "time": "2026-11-21T02:01:00Z", "fieldsV1": {"f:spec": {"f:x": {}}}},
            {"manager": "helm", "subresource": "status", "fieldsV1": {"f:status": {}}},
            {"manager": "helm", "fieldsV1": {"f:metadata": {"f:labels": {"f:a": {}}}}}
        ]}))
        .expect("is metadata");
        assert_eq!(meta.managed_fields.len(), 1);
        assert_eq!(meta.managed_fields[0].fields, ["spec.template.spec.containers[prometheus].image"]);
        assert_eq!((meta.managed_fields[0].manager.as_str(), meta.managed_fields[0].count), ("kubectl-set", 1));
    }
}
