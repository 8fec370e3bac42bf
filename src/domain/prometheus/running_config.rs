//! The configuration that Prometheus runs with: by its API, else the file in the ConfigMap that it mounts.

use crate::domain::kubernetes::mounts::Seen;
use crate::domain::prometheus::operator::chain;
use crate::domain::prometheus::server::{Server, servers};
use crate::domain::prometheus::targets::prometheus_pod;
use crate::lint::yaml::{self, Node};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::ConfigMap;

/// The configuration as a document; `None` where it cannot be seen or read.
pub(crate) fn document(snap: &Snapshot) -> Option<Node> {
    let running = snap.prometheus_config().ok().map(String::as_str).filter(|t| !t.trim().is_empty());
    yaml::document(running.or_else(|| in_file(snap).map(|(_, _, text)| text))?).ok()?
}

/// A server sends its samples to another one as well. The API tells the configuration of the server that was asked alone:
/// of others the operator's resource says it, or the file that they mount.
pub(crate) fn sends_on(snap: &Snapshot, server: Server<'_>) -> bool {
    let has = |text: &str| text.lines().any(|l| l.starts_with("remote_write:"));
    if servers(snap).len() < 2 || is_asked(snap, server) {
        return snap.prometheus_config().is_ok_and(|text| has(text));
    }
    if let Some(name) = server.operator_resource() {
        let all = snap.monitoring_resources.items().unwrap_or_default().iter();
        let mut own = all.filter(|r| {
            r.kind == "Prometheus" && r.metadata.namespace == server.namespace() && r.metadata.name == name
        });
        return own.any(|r| !r.spec.remote_write.is_empty());
    }
    let file = server.config_file().map(|path| server.mounts(snap).look(path));
    matches!(file, Some(Seen::File(file)) if has(file.text))
}

/// It is the server that was asked: by the resource that the operator makes it from, which shards have in common, else by its
/// pod.
fn is_asked(snap: &Snapshot, server: Server<'_>) -> bool {
    if let Some((name, asked)) = server.operator_resource().zip(chain::answering(snap)) {
        return asked.metadata.namespace == server.namespace() && asked.metadata.name == name;
    }
    let Some(asked) = prometheus_pod(snap) else { return false };
    let mut own = snap.pods_of_workload(server.workload);
    own.any(|p| p.metadata.namespace == asked.metadata.namespace && p.metadata.name == asked.metadata.name)
}

/// The ConfigMap, its key and its text, where Prometheus mounts one.
pub(crate) fn in_file(snap: &Snapshot) -> Option<(&ConfigMap, &str, &str)> {
    servers(snap).into_iter().find_map(|server| match server.mounts(snap).look(server.config_file()?) {
        Seen::File(file) => Some((file.map, file.key, file.text)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::testing::snapshot;
    use crate::snapshot::Listing;
    use crate::snapshot::kubernetes::MonitoringResource;

    /// What the server that was asked says of itself says nothing of another one.
    #[test]
    fn each_server_has_a_configuration_of_its_own() {
        let server = |name: &str| {
            json!({"metadata": {"namespace": "monitoring", "name": name, "ownerReferences": [{"apiVersion": "monitoring.coreos.com/v1",
                    "kind": "Prometheus", "name": name, "controller": true}]},
                "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": {"metadata": {"labels": {"app": name}},
                    "spec": {"containers": [{"name": "prometheus", "image": "prom/prometheus:v3.5.0"}]}}}})
        };
        let seen = |names: &[&str]| {
            let mut snap = snapshot(json!({"workloads": names.iter().map(|n| server(n)).collect::<Vec<_>>()}));
            *snap.prometheus_config = Ok("remote_write:\n- url: http://x\n".into());
            snap
        };
        let alone = seen(&["a"]);
        assert!(sends_on(&alone, servers(&alone)[0]));
        // Which of the two was asked is not known.
        let mut both = seen(&["a", "b"]);
        assert!(servers(&both).iter().all(|s| !sends_on(&both, *s)));
        let resource: MonitoringResource = serde_json::from_value(json!({
            "metadata": {"namespace": "monitoring", "name": "b"}, "spec": {"remoteWrite": [{"url": "http://x"}]}}))
        .expect("a Prometheus");
        both.monitoring_resources =
            Listing::cluster(vec![MonitoringResource { kind: "Prometheus".into(), ..resource }]);
        let sending: Vec<&str> = servers(&both)
            .into_iter()
            .filter(|s| sends_on(&both, *s))
            .map(|s| s.workload.metadata.name.as_str())
            .collect();
        assert_eq!(sending, ["b"]);
    }
}
