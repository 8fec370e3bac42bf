//! A configuration in the ConfigMap that Prometheus does not run with, although it could.

use std::collections::BTreeSet;

use crate::domain::kubernetes::changes;
use crate::domain::kubernetes::mounts::{self, File, Mounts, Seen};
use crate::domain::prometheus::server::{Server, servers};
use crate::domain::prometheus::server_state::state;
use crate::lint::yaml::{self, Node};
use crate::snapshot::Snapshot;

/// Seconds that the kubelet and a reload may take.
const SETTLES: i64 = 600;

/// What differs, and why it stays so.
pub(crate) struct NotTaken<'a> {
    pub(crate) server: Server<'a>,
    pub(crate) file: File<'a>,
    /// Jobs of the file that do not run.
    pub(crate) missing: Vec<String>,
    /// Jobs that run, and that the file does not have any more.
    pub(crate) gone: Vec<String>,
    /// The file is mounted by `subPath`, which the kubelet never renews.
    pub(crate) by_sub_path: bool,
}

/// The one Prometheus of the stack, where its file has other jobs than it runs with.
pub(crate) fn find(snap: &Snapshot) -> Option<NotTaken<'_>> {
    let all = servers(snap);
    let [server] = all.as_slice() else { return None };
    // The operator's own files come with its reloader.
    if server.operator_resource().is_some() || state(snap, *server).is_broken() {
        return None;
    }
    let running = snap.prometheus_config().ok().map(String::as_str).filter(|t| !t.trim().is_empty())?;
    let path = server.config_file()?;
    let Seen::File(file) = server.mounts(snap).look(path) else { return None };
    if !is_mounted(snap, *server, path, &file) {
        return None;
    }
    let by_sub_path = mounts::mount_of(server.container, path).is_some_and(|m| m.sub_path.is_some());
    let (now, written) = (jobs(running)?, jobs(file.text)?);
    let missing: Vec<String> = written.difference(&now).cloned().collect();
    let gone: Vec<String> = now.difference(&written).cloned().collect();
    if missing.is_empty() && gone.is_empty() {
        return None;
    }
    let changed = changes::of(snap, &file.map.reference()).first().map(|c| c.at);
    let is_old = changed.map(|t| snap.seconds_since(t) >= SETTLES);
    // What a side-car takes over, or what was changed just now, comes by itself.
    let settles = !by_sub_path && (server.reloads() || is_old.is_none());
    (is_old != Some(false) && !settles).then_some(NotTaken { server: *server, file, missing, gone, by_sub_path })
}

/// The pods that run have the file of the template: one of before a rollout that hangs has another ConfigMap.
fn is_mounted(snap: &Snapshot, server: Server<'_>, path: &str, file: &File<'_>) -> bool {
    let mut ready = snap.pods_of_workload(server.workload).filter(|p| p.is_ready());
    ready.all(|pod| {
        let container = pod.spec.containers.iter().find(|c| c.name == server.container.name);
        container.is_some_and(|c| match Mounts::of_pod(snap, pod, c).look(path) {
            Seen::File(own) => own.map.reference() == file.map.reference(),
            _ => false,
        })
    })
}

/// The names of the jobs; `None` of what is no configuration, or names jobs elsewhere.
fn jobs(text: &str) -> Option<BTreeSet<String>> {
    let document = yaml::document(text).ok()??;
    if document.get("scrape_config_files").is_some() {
        return None;
    }
    let jobs = document.get("scrape_configs")?.items()?;
    Some(jobs.iter().filter_map(|j| j.get("job_name").and_then(Node::as_str).map(str::to_owned)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing::snapshot;
    use serde_json::json;

    #[test]
    fn a_pod_of_before_the_rollout_mounts_the_map_of_before() {
        let spec = |map: &str| {
            json!({"volumes": [{"name": "config", "configMap": {"name": map}}],
                "containers": [{"name": "prometheus", "image": "quay.io/prometheus/prometheus:v3.5.0",
                    "volumeMounts": [{"name": "config", "mountPath": "/etc/prometheus"}]}]})
        };
        let of = |running: &str| {
            let map = |name: &str| json!({"metadata": {"namespace": "monitoring", "name": name}, "data": {"prometheus.yml": "scrape_configs: []"}});
            let owner = json!([{"kind": "ReplicaSet", "name": "prometheus-5d4f8c7b9", "controller": true}]);
            let snap = snapshot(json!({
                "workloads": [{"metadata": {"namespace": "monitoring", "name": "prometheus"},
                    "spec": {"selector": {"matchLabels": {"app": "p"}},
                        "template": {"metadata": {"labels": {"app": "p"}}, "spec": spec("config-new")}}}],
                "pods": [{"metadata": {"namespace": "monitoring", "name": "prometheus-5d4f8c7b9-abcde", "labels": {"app": "p", "pod-template-hash": "5d4f8c7b9"}, "ownerReferences": owner},
                    "spec": spec(running), "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}],
                "config_maps": [map("config-new"), map("config-old")]}));
            let workload = &snap.workloads.items().expect("they were read")[0];
            let server = Server { workload, container: &workload.spec.template.spec.containers[0] };
            let path = "/etc/prometheus/prometheus.yml";
            let Seen::File(file) = server.mounts(&snap).look(path) else { panic!("the file is seen") };
            is_mounted(&snap, server, path, &file)
        };
        assert!(of("config-new"));
        assert!(!of("config-old"));
    }
}
