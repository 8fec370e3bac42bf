//! Prometheus' data goes with its pod.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::claims::{Served, block_class};
use crate::checks::{Check, check};
use crate::domain::kubernetes::chart::chart_of;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::mounts;
use crate::domain::kubernetes::nodes;
use crate::domain::prometheus::running_config::sends_on;
use crate::domain::prometheus::server::{Server, servers};
use crate::domain::prometheus::tsdb::{Intake, Place, Retention, data_path, place};
use crate::domain::text::windows::minute;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, Placeholder, ResourceRef, Severity};
use crate::snapshot::kubernetes::{Container, Meta, MonitoringResource, Pod, PodSpec, Workload};
use crate::snapshot::{Snapshot, format_bytes, journal};

check! {
    /// See the check's page.
    PrometheusPersistence {
        id: "prometheus-persistence", suite: Storage, severity: Warning,
        title: "Prometheus' data goes with its pod",
        requires: [Workloads],
        uses: [
            Pods, StorageClasses, PersistentVolumeClaims, Events, PrometheusMetrics, PrometheusConfig, PrometheusRuntime,
            MonitoringResources, Services, ConfigMaps, Nodes,
        ],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Operator {
        #[serde(flatten)]
        at: At,
        object: String,
        patch: String,
    },
    Chart {
        #[serde(flatten)]
        at: At,
        size: String,
    },
    Claim {
        #[serde(flatten)]
        at: At,
        claim: String,
        size: String,
        path: String,
        container: String,
        /// The emptyDir that is mounted there; none where nothing is.
        volume: Option<String>,
        /// A Deployment starts the new pod before the old one ends, unless told otherwise.
        rolls: bool,
    },
}

/// What all fixes name.
#[derive(Serialize, JsonSchema)]
struct At {
    namespace: String,
    owner: String,
    managed_by: String,
    class: Placeholder,
    class_seen: bool,
    /// Classes whose claims are not provisioned now, where the claim may be of one of them.
    stuck: String,
}

/// Where a container writes that has no volume there.
const IN_CONTAINER: &str = "the container's own file system";
/// Seconds for which a pod must have been young beside its workload for data to be lost: a block is made every two hours.
const LOST: i64 = 3 * 3600;
/// The reason in the status of a pod that the kubelet evicted.
const EVICTED: &str = "Evicted";

impl Check for PrometheusPersistence {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.workloads()?;
        let all = servers(snap);
        if all.is_empty() {
            return Ok(Diagnosis::NotApplicable("no Prometheus in the stack".into()));
        }
        // An agent keeps nothing, and what is sent on or uploaded lasts elsewhere.
        let keeps = |s: &Server<'_>| !s.is_agent() && s.workload.desired() > 0 && !lasts_elsewhere(snap, s);
        Ok(Diagnosis::Findings(all.into_iter().filter(keeps).filter_map(|s| finding(snap, s)).collect()))
    }
}

fn lasts_elsewhere(snap: &Snapshot, server: &Server<'_>) -> bool {
    let thanos = server.workload.spec.template.spec.containers.iter().any(|c| c.image.contains("thanos"));
    thanos || sends_on(snap, *server)
}

fn finding(snap: &Snapshot, server: Server<'_>) -> Option<Finding> {
    let pods: Vec<&Pod> = snap.pods_of_workload(server.workload).collect();
    let spec = pods.first().map_or(&server.workload.spec.template.spec, |p| &p.spec);
    let container = spec.containers.iter().find(|c| c.name == server.container.name)?;
    let path = data_path(&server);
    // A claim template becomes a volume of the pod only.
    if pods.is_empty() && server.workload.kind == "StatefulSet" {
        return None;
    }
    let (on, limit) = match place(&spec.volumes, container, path) {
        Place::EmptyDir(limit) => ("an emptyDir", limit),
        Place::Container => (IN_CONTAINER, None),
        Place::Claim(_) | Place::Other => return None,
    };
    let kept = Retention::of_server(snap, server).seconds;
    let lost = lost(snap, server.workload, &pods);
    let days = kept.map_or_else(|| "its".to_owned(), |s| format!("{} of", time(s)));
    let now = lost
        .as_ref()
        .map(|began| format!("; the pod is new since {began}, and what an earlier pod held is gone"))
        .unwrap_or_default();
    // An emptyDir outlives its containers; what a container writes elsewhere does not outlive it.
    let goes = match on {
        IN_CONTAINER => "with the container, at each restart (out of memory, a failed probe) and with the pod",
        _ => "with the pod, at each eviction, node change or update",
    };
    let message = format!(
        "{} in {} keeps {days} data in {on} ({path}): they go {goes}{now}",
        server.target(),
        server.namespace()
    );
    let severity = if lost.is_some() { Severity::Warning } else { Severity::Info };
    let seen = match limit {
        Some(bytes) => format!("{path}: {on}, sizeLimit {}", format_bytes(bytes)),
        None => format!("{path}: {on}"),
    };
    let show = "kubectl get {{ owner }} -n {{ namespace }} -o yaml";
    let seen = Evidence::new(format!("volumes of {}", server.workload.reference()), seen, show)
        .with("namespace", server.namespace())
        .with("owner", server.target());
    let mut made = Finding::new(PrometheusPersistence::META.id, severity, server.workload.reference(), message)
        .key(format!("{} data", server.workload.reference().key()))
        .breaks_nothing()
        .evidence(seen)
        .fix(fix(snap, server, path, empty_dir(spec, container, path)));
    // Where nothing was lost the data lies where it lies, whatever ails it.
    if lost.is_some() {
        made = made.depends_on_all(replaced(snap, server.workload));
    }
    Some(made)
}

/// What a pod of the workload was taken away for: it was evicted, or its node is down. Whatever else ails the workload takes no
/// pod away.
fn replaced(snap: &Snapshot, workload: &Workload) -> Vec<ResourceRef> {
    let own = workload.reference();
    let all = snap.pods.items().unwrap_or_default().iter().filter(|p| snap.owner_ref(p) == own);
    let (gone, there): (Vec<&Pod>, Vec<&Pod>) = all.partition(|p| p.is_finished());
    let evicted = gone.into_iter().filter(|p| p.status.reason.as_deref() == Some(EVICTED));
    let evicted = evicted.map(|p| ResourceRef::pod(&p.metadata.namespace, &p.metadata.name));
    // A node that was not seen explains nothing.
    let dead = journal::aside(|| nodes::dead_nodes(snap, there.into_iter()));
    evicted.chain(dead).collect()
}

/// `10 days`, `24 hours`.
fn time(seconds: f64) -> String {
    if seconds >= 2.0 * 86_400.0 {
        return format!("{:.0} days", seconds / 86_400.0);
    }
    format!("{:.0} hours", seconds / 3600.0)
}

/// Since when the data starts over, where the workload is much older than the oldest pod that runs (a younger one may be a replica
/// that was added): where none does, why not comes first.
fn lost(snap: &Snapshot, workload: &Workload, pods: &[&Pod]) -> Option<String> {
    let pod = pods.iter().filter(|p| p.is_ready()).min_by_key(|p| p.metadata.creation_timestamp)?;
    let (of_pod, of_workload) = (snap.age_seconds(&pod.metadata), snap.age_seconds(&workload.metadata));
    let is_new = of_workload - of_pod > LOST && of_pod < 2 * 86_400;
    let began = pod.metadata.creation_timestamp.filter(|_| is_new)?;
    Some(minute(began))
}

/// The emptyDir that is mounted at a path.
fn empty_dir(spec: &PodSpec, container: &Container, path: &str) -> Option<String> {
    let mount = mounts::mount_of(container, path)?;
    spec.volumes.iter().find(|v| v.name == mount.name && v.empty_dir.is_some()).map(|v| v.name.clone())
}

fn fix(snap: &Snapshot, server: Server<'_>, path: &str, volume: Option<String>) -> Fix {
    let wanted = Intake::of(snap)
        .zip(Retention::of_server(snap, server).seconds)
        .map(|(intake, seconds)| intake.bytes(seconds) * 1.5 / 1_073_741_824.0);
    let size = format!("{}Gi", wanted.unwrap_or(50.0).ceil().max(10.0));
    let class = block_class(snap);
    let mut stuck = Served::of(snap).stuck;
    stuck.retain(|s| class.value().is_none_or(|c| c == s));
    let at = At {
        namespace: server.namespace().to_owned(),
        owner: server.target(),
        managed_by: managed_by(changed(snap, server)),
        class_seen: class.value().is_some(),
        class: class.clone(),
        stuck: stuck.join(", "),
    };
    if let Some(object) = server.operator_resource() {
        let spec = serde_json::json!({"accessModes": ["ReadWriteOnce"], "storageClassName": class.shown(), "resources": {"requests": {"storage": size}}});
        // The operator takes an emptyDir before a claim.
        let storage = serde_json::json!({"emptyDir": null, "ephemeral": null, "volumeClaimTemplate": {"spec": spec}});
        let patch = serde_json::json!({"spec": {"storage": storage}}).to_string();
        return Fix::Operator { at, object: object.to_owned(), patch };
    }
    if chart_of(&server.workload.metadata).as_deref() == Some("prometheus") {
        return Fix::Chart { at, size };
    }
    let claim = format!("{}-data", server.workload.metadata.name);
    let (container, rolls) = (server.container.name.clone(), server.workload.kind == "Deployment");
    Fix::Claim { at, claim, size, path: path.to_owned(), container, volume, rolls }
}

/// The object that is changed: the operator's resource where it was read, else the workload.
fn changed<'a>(snap: &'a Snapshot, server: Server<'a>) -> &'a Meta {
    let objects = journal::aside(|| snap.monitoring_resources.items().unwrap_or_default()).iter();
    let own = |r: &&MonitoringResource| {
        r.kind == "Prometheus"
            && r.metadata.namespace == server.namespace()
            && server.operator_resource() == Some(r.metadata.name.as_str())
    };
    objects.filter(own).map(|r| &r.metadata).next().unwrap_or(&server.workload.metadata)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::snapshot;
    use crate::snapshot::Listing;
    use crate::snapshot::monitoring::PrometheusRuntime;

    fn with(volume: Value, pod_made: &str) -> Snapshot {
        let spec = json!({
            "containers": [{"name": "prometheus", "image": "prom/prometheus:v3.5.0", "args": [], "volumeMounts": [{"name": "d", "mountPath": "/prometheus"}]}],
            "volumes": [volume]});
        snapshot(json!({
            "workloads": [{"metadata": {"namespace": "monitoring", "name": "prometheus", "creationTimestamp": "2026-10-01T00:00:00Z", "labels": {}},
                "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "p"}}, "template": {"metadata": {"labels": {"app": "p"}}, "spec": spec}}}],
            "pods": [{"metadata": {"namespace": "monitoring", "name": "prometheus-1", "creationTimestamp": pod_made, "labels": {"app": "p"},
                    "ownerReferences": [{"kind": "Deployment", "name": "prometheus", "controller": true}]},
                "spec": spec, "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}]}))
    }

    #[test]
    fn a_claim_and_what_is_sent_on_are_quiet() {
        let claim = json!({"name": "d", "persistentVolumeClaim": {"claimName": "data"}});
        assert!(findings(&PrometheusPersistence, &with(claim, "2026-11-01T00:00:00Z")).is_empty());
        let mut sent = with(json!({"name": "d", "emptyDir": {}}), "2026-11-01T00:00:00Z");
        *sent.prometheus_config = Ok("remote_write:\n- url: http://x\n".into());
        assert!(findings(&PrometheusPersistence, &sent).is_empty());
    }

    #[test]
    fn data_that_was_lost_weighs_more_than_data_that_could_be() {
        let empty = || json!({"name": "d", "emptyDir": {}});
        let old = findings(&PrometheusPersistence, &with(empty(), "2026-11-01T00:00:00Z"));
        assert_eq!(old[0].severity, Severity::Info);
        let new = findings(&PrometheusPersistence, &with(empty(), "2026-11-21T01:00:00Z"));
        assert_eq!(new[0].severity, Severity::Warning);
        assert!(new[0].message.contains("new since 2026-11-21 01:00 UTC"), "{}", new[0].message);
        let told = steps(&new[0]);
        assert!(told.contains("prometheus-data") && told.contains("- name: d"), "{told}");
        assert!(!told.contains("mountPath"), "it is mounted: {told}");
    }

    /// A resolver that the pod asks in vain, a slow query: nothing of that takes a pod away.
    #[test]
    fn depends_on_what_took_its_pod_away_alone() {
        let depends = |made: &str, reason: &str| {
            let mut snap = with(json!({"name": "d", "emptyDir": {}}), made);
            let gone = json!({"metadata": {"namespace": "monitoring", "name": "prometheus-0", "creationTimestamp": "2026-11-02T00:00:00Z",
                "labels": {"app": "p"}, "ownerReferences": [{"kind": "Deployment", "name": "prometheus", "controller": true}]},
                "status": {"phase": "Failed", "reason": reason}});
            let mut pods = snap.pods.items().expect("read").to_vec();
            pods.push(serde_json::from_value(gone).expect("a pod"));
            snap.pods = Listing::cluster(pods);
            findings(&PrometheusPersistence, &snap)[0].depends_on.clone()
        };
        let lately = "2026-11-21T01:00:00Z";
        assert_eq!(depends(lately, "Evicted"), [ResourceRef::pod("monitoring", "prometheus-0")]);
        assert_eq!(depends(lately, "Shutdown"), []);
        assert_eq!(depends("2026-11-01T00:00:00Z", "Evicted"), [], "nothing was lost");
    }

    #[test]
    fn a_replica_that_was_added_has_lost_nothing() {
        let mut snap = with(json!({"name": "d", "emptyDir": {}}), "2026-11-21T01:00:00Z");
        let mut pods = snap.pods.items().expect("read").to_vec();
        let mut older = pods[0].clone();
        older.metadata.name = "prometheus-0".into();
        older.metadata.creation_timestamp = "2026-11-01T00:00:00Z".parse().ok();
        pods.push(older);
        snap.pods = Listing::cluster(pods);
        assert_eq!(findings(&PrometheusPersistence, &snap)[0].severity, Severity::Info);
    }

    #[test]
    fn a_pod_that_does_not_run_has_other_worries() {
        let mut snap = with(json!({"name": "d", "emptyDir": {}}), "2026-11-21T01:00:00Z");
        let mut pods = snap.pods.items().expect("read").to_vec();
        pods[0].status.conditions.clear();
        snap.pods = Listing::cluster(pods);
        assert_eq!(findings(&PrometheusPersistence, &snap)[0].severity, Severity::Info);
    }

    #[test]
    fn a_class_that_was_not_seen_is_not_named() {
        let mut snap = with(json!({"name": "d", "emptyDir": {}}), "2026-11-01T00:00:00Z");
        let unseen = steps(&findings(&PrometheusPersistence, &snap)[0]);
        assert!(unseen.contains("kubectl get storageclass") && unseen.contains("<storage-class>"), "{unseen}");
        let class = json!({"metadata": {"name": "fast"}, "provisioner": "ebs.csi.aws.com"});
        snap.storage_classes = Listing::cluster(vec![serde_json::from_value(class).expect("a class")]);
        let seen = steps(&findings(&PrometheusPersistence, &snap)[0]);
        assert!(seen.contains("fast") && !seen.contains("kubectl get storageclass"), "{seen}");
    }

    #[test]
    fn what_no_volume_holds_goes_with_the_container() {
        let other = findings(
            &PrometheusPersistence,
            &with(json!({"name": "d", "persistentVolumeClaim": {"claimName": "x"}}), "2026-11-01T00:00:00Z"),
        );
        assert!(other.is_empty());
        let mut snap = with(json!({"name": "d", "emptyDir": {}}), "2026-11-01T00:00:00Z");
        let emptied = &findings(&PrometheusPersistence, &snap)[0].message;
        assert!(emptied.contains("they go with the pod"), "{emptied}");
        let spec = json!({"containers": [{"name": "prometheus", "image": "prom/prometheus:v3.5.0", "args": []}]});
        let spec: PodSpec = serde_json::from_value(spec).expect("a spec");
        let mut workload = snap.workloads.items().expect("read")[0].clone();
        workload.spec.template.spec = spec.clone();
        let mut pod = snap.pods.items().expect("read")[0].clone();
        pod.spec = spec;
        snap.workloads = Listing::cluster(vec![workload]);
        snap.pods = Listing::cluster(vec![pod]);
        let bare = &findings(&PrometheusPersistence, &snap)[0].message;
        assert!(bare.contains("at each restart"), "{bare}");
    }

    #[test]
    fn a_class_that_serves_no_claim_is_named() {
        let mut snap = with(json!({"name": "d", "emptyDir": {}}), "2026-11-01T00:00:00Z");
        let claim = json!({"metadata": {"namespace": "monitoring", "name": "a", "uid": "u", "creationTimestamp": "2026-11-20T00:00:00Z",
            "annotations": {"volume.kubernetes.io/selected-node": "n"}}, "spec": {"storageClassName": "slow"}, "status": {"phase": "Pending"}});
        snap.persistent_volume_claims = Listing::cluster(vec![serde_json::from_value(claim).expect("a claim")]);
        let told = steps(&findings(&PrometheusPersistence, &snap)[0]);
        assert!(told.contains("Claims of class slow are Pending, and none is Bound"), "{told}");
    }

    #[test]
    fn tells_what_the_server_itself_says_it_keeps() {
        let mut snap = with(json!({"name": "d", "emptyDir": {}}), "2026-11-01T00:00:00Z");
        let storage_retention = "24h".to_owned();
        *snap.prometheus_runtime = Ok(PrometheusRuntime { storage_retention, ..PrometheusRuntime::default() });
        let message = &findings(&PrometheusPersistence, &snap)[0].message;
        assert!(message.contains("keeps 24 hours of data"), "{message}");
    }
}
