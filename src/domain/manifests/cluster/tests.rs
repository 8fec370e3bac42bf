//! What the files need of a cluster.

use serde_json::{Value, json};

use super::*;
use crate::domain::testing::snapshot;
use crate::lint::yaml;
use crate::snapshot::Listing;

fn with(text: &str) -> Snapshot {
    let mut file = ManifestFile::new("k8s/x.yaml", text);
    for document in yaml::documents(text).expect("is YAML") {
        file.add(document, false);
    }
    let mut snap = snapshot(json!({}));
    snap.manifests = Listing::cluster(vec![file]);
    for list in ["crds", "apis", "classes", "drivers", "nodes", "ranges", "quotas"] {
        set(&mut snap, list, json!([]));
    }
    snap.node_makers = Listing::cluster(Vec::new());
    snap.namespaces = Listing::cluster(Vec::new());
    snap
}

fn set(snap: &mut Snapshot, list: &str, value: Value) {
    macro_rules! read {
        ($field:ident) => {
            snap.$field = Listing::cluster(serde_json::from_value(value).expect("is a list"))
        };
    }
    match list {
        "crds" => read!(crds),
        "classes" => read!(storage_classes),
        "drivers" => read!(csi_drivers),
        "nodes" => read!(nodes),
        "ranges" => read!(limit_ranges),
        "apis" => read!(api_services),
        _ => read!(resource_quotas),
    }
}

fn told(snap: &Snapshot) -> Vec<String> {
    let (found, unseen) = needs(snap);
    assert_eq!(unseen, None);
    found.into_iter().map(|n| format!("{}: {}", n.problem.place, n.problem.message)).collect()
}

fn named(name: &str) -> Value {
    json!([{"metadata": {"name": name}}])
}

const MONITOR: &str =
    "apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata: {name: a, namespace: shop}\n";

#[test]
fn a_kind_needs_its_definition() {
    let mut snap = with(MONITOR);
    let found = told(&snap);
    assert!(found.len() == 1 && found[0].starts_with("2:7: the cluster has no kind ServiceMonitor"), "{found:?}");
    set(&mut snap, "crds", named("servicemonitors.monitoring.coreos.com"));
    assert_eq!(told(&snap), [] as [&str; 0]);
    let served = |version: &str| json!([{"metadata": {"name": "a"}, "spec": {"group": "monitoring.coreos.com", "version": version}}]);
    set(&mut snap, "apis", served("v1"));
    assert_eq!(told(&snap), [] as [&str; 0]);
    set(&mut snap, "apis", served("v1alpha1"));
    let found = told(&snap);
    assert!(found[0].starts_with("1:13: the cluster does not serve monitoring.coreos.com/v1: "), "{found:?}");
    // A chart, or the files themselves, may bring it; of other groups nothing is known.
    let release = "---\napiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: a}\n";
    assert_eq!(told(&with(&format!("{MONITOR}{release}"))), [] as [&str; 0]);
    let own = "---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: servicemonitors.monitoring.coreos.com}\n";
    assert_eq!(told(&with(&format!("{MONITOR}{own}"))), [] as [&str; 0]);
    assert_eq!(
        told(&with("apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\nmetadata: {name: a}\n")),
        [] as [&str; 0]
    );
    // `helm template` leaves out what an operator's chart has in crds/.
    let rendered = format!("# Source: kps/templates/a.yaml\n{MONITOR}");
    let operator = "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: o}\nspec: {template: {spec: {containers: [{name: o, image: 'q/prometheus-operator:v0.80.0'}]}}}\n";
    assert_eq!(told(&with(&format!("{rendered}{operator}"))), [] as [&str; 0]);
    assert_eq!(told(&with(&rendered)).len(), 1);
    let mut unseen = with(MONITOR);
    unseen.crds = Listing::missing(crate::snapshot::not_collected(crate::model::Fact::Crds));
    let (found, gap) = needs(&unseen);
    assert!(found.is_empty() && gap.is_some());
}

#[test]
fn a_class_needs_its_driver() {
    let class =
        "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: fast}\nprovisioner: ebs.csi.aws.com\n";
    let mut snap = with(class);
    assert!(told(&snap)[0].starts_with("4:14: no CSI driver ebs.csi.aws.com is installed"), "{:?}", told(&snap));
    set(&mut snap, "drivers", named("ebs.csi.aws.com"));
    assert_eq!(told(&snap), [] as [&str; 0]);
    let mut registered = with(class);
    let node =
        json!([{"metadata": {"name": "n"}, "spec": {"drivers": [{"name": "ebs.csi.aws.com", "nodeID": "i-0"}]}}]);
    registered.csi_nodes = Listing::cluster(serde_json::from_value(node).expect("a node"));
    assert_eq!(told(&registered), [] as [&str; 0], "it runs, without an object of its own");
    assert_eq!(told(&with(&class.replace("ebs.csi.aws.com", "rancher.io/local-path"))), [] as [&str; 0]);
    let claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: a}\nspec: {storageClassName: gp3}\n";
    let mut claimed = with(claim);
    assert_eq!(told(&claimed), [] as [&str; 0], "another check says that the class is not there");
    set(&mut claimed, "classes", json!([{"metadata": {"name": "gp3"}, "provisioner": "ebs.csi.aws.com"}]));
    assert_eq!(told(&claimed).len(), 1);
}

fn deployment(replicas: u32, resources: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: a, namespace: shop}}\nspec:\n  replicas: {replicas}\n  template:\n    spec:\n      containers:\n      - name: a\n        image: a\n        resources: {resources}\n"
    )
}

#[test]
fn containers_stay_within_the_limits_of_their_namespace() {
    let mut snap = with(&deployment(1, "{limits: {memory: 4Gi}}"));
    let range = |max: &str| json!([{"metadata": {"name": "r", "namespace": "shop"}, "spec": {"limits": [{"type": "Container", "max": {"memory": max}}]}}]);
    set(&mut snap, "ranges", range("2Gi"));
    let found = told(&snap);
    assert!(
        found.len() == 1 && found[0].contains("maximum memory per Container is 2Gi, but limit is 4Gi"),
        "{found:?}"
    );
    assert!(found[0].starts_with("11:"), "{found:?}");
    set(&mut snap, "ranges", range("8Gi"));
    assert_eq!(told(&snap), [] as [&str; 0]);
}

#[test]
fn what_a_quota_leaves_is_enough() {
    let quota = |used: &str, more: Value| {
        let mut quota = json!({"metadata": {"name": "q", "namespace": "shop"}, "status": {"hard": {"requests.memory": "8Gi"}, "used": {"requests.memory": used}}});
        quota["spec"] = more;
        json!([quota])
    };
    let mut snap = with(&deployment(3, "{requests: {memory: 1Gi}}"));
    set(&mut snap, "quotas", quota("6Gi", json!({})));
    let found = told(&snap);
    assert!(
        found.len() == 1
            && found[0].contains("leaves 2Gi of requests.memory (6Gi of 8Gi are used), and the files ask for 3Gi more"),
        "{found:?}"
    );
    set(&mut snap, "quotas", quota("5Gi", json!({})));
    assert_eq!(told(&snap), [] as [&str; 0]);
    set(&mut snap, "quotas", quota("6Gi", json!({"scopes": ["BestEffort"]})));
    assert_eq!(told(&snap), [] as [&str; 0], "it may be about other pods");
    // It is there already, and has its part.
    set(&mut snap, "quotas", quota("6Gi", json!({})));
    let there = yaml::document(&deployment(2, "{requests: {memory: 1Gi}}")).expect("is YAML").expect("is there");
    let workload: crate::snapshot::kubernetes::Workload =
        Manifest::of(there).expect("is one").as_object().expect("is one");
    snap.workloads =
        Listing::cluster(vec![crate::snapshot::kubernetes::Workload { kind: "Deployment".into(), ..workload }]);
    assert_eq!(told(&snap), [] as [&str; 0]);
}

#[test]
fn a_pod_needs_a_node_that_is_large_enough() {
    let node = |labels: Value| json!([{"metadata": {"name": "n", "labels": labels}, "status": {"allocatable": {"cpu": "2", "memory": "7Gi"}, "conditions": [{"type": "Ready", "status": "True"}]}}]);
    let mut snap = with(&deployment(1, "{requests: {memory: 16Gi}}"));
    set(&mut snap, "nodes", node(json!({})));
    let found = told(&snap);
    assert!(found.len() == 1 && found[0].contains("asks for 16Gi of memory"), "{found:?}");
    set(&mut snap, "nodes", node(json!({"karpenter.sh/nodepool": "default"})));
    assert_eq!(told(&snap), [] as [&str; 0], "others are made for it");
    let mut small = with(&deployment(1, "{requests: {memory: 4Gi}}"));
    set(&mut small, "nodes", node(json!({})));
    assert_eq!(told(&small), [] as [&str; 0]);
}
