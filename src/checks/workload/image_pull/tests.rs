use serde_json::{Value, json};

use super::*;
use crate::checks::support::testing::applicable as findings;
use crate::domain::testing::workload::{event, pod, snapshot};
use crate::snapshot::aws::{Cluster, Nodegroup, VpcEndpoint};
use crate::snapshot::{Listing, Platform};

fn waiting(image: &str, reason: &str, message: &str) -> Value {
    let mut made = pod(json!({"name": "prometheus", "state": {"waiting": {"reason": reason, "message": message}}}));
    made["spec"]["containers"][0]["image"] = json!(image);
    made["status"]["phase"] = json!("Pending");
    made
}

fn only(snap: &Snapshot) -> Finding {
    let mut all = findings(&ImagePull, snap);
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

const NOT_FOUND: &str = "rpc error: code = NotFound desc = failed to pull and unpack image: not found";

#[test]
fn other_waits_and_pods_that_go_are_left_alone() {
    let quiet = [waiting("a/b:1", "ContainerCreating", ""), waiting("a/b:1", "CrashLoopBackOff", "back-off")];
    assert!(findings(&ImagePull, &snapshot(Value::from(quiet.to_vec()))).is_empty());
    let mut going = waiting("a/b:1", "ErrImagePull", NOT_FOUND);
    going["metadata"]["deletionTimestamp"] = json!("2026-11-21T11:59:00Z");
    assert!(findings(&ImagePull, &snapshot(json!([going]))).is_empty());
    let mut elsewhere = waiting("a/b:1", "ErrImagePull", NOT_FOUND);
    elsewhere["metadata"]["namespace"] = json!("shop");
    assert!(findings(&ImagePull, &snapshot(json!([elsewhere]))).is_empty());
    let mut young = waiting("a/b:1", "ErrImagePull", "dial tcp 1.2.3.4:443: i/o timeout");
    young["metadata"]["creationTimestamp"] = json!("2026-11-21T11:59:30Z");
    assert!(findings(&ImagePull, &snapshot(json!([young]))).is_empty());
}

#[test]
fn the_event_tells_what_an_old_kubelets_back_off_does_not() {
    let back_off =
        waiting("prom/prometheus:3.5.0", "ImagePullBackOff", "Back-off pulling image \"prom/prometheus:3.5.0\"");
    let mut snap = snapshot(json!([back_off]));
    assert_eq!(only(&snap).variant, "other");
    snap.events = Listing::cluster(vec![event(
        "Failed",
        &format!("Failed to pull image \"prom/prometheus:3.5.0\": {NOT_FOUND}"),
    )]);
    let found = only(&snap);
    assert_eq!(found.variant, "not-found");
    assert_eq!(found.params.values()["image"], "prom/prometheus:v3.5.0");
}

#[test]
fn a_closed_catalogue_is_named_even_without_a_word_of_the_runtime() {
    let gone = waiting("public.ecr.aws/bitnami/prometheus:2.50.1", "ImagePullBackOff", "Back-off pulling image");
    let found = only(&snapshot(json!([gone])));
    assert_eq!(found.variant, "retired");
    assert!(found.params.values()["image"].as_str().is_some_and(|i| i.starts_with("docker.io/bitnamilegacy/")));
    let limited = waiting("bitnami/prometheus:2.50.1", "ErrImagePull", "429 Too Many Requests - toomanyrequests");
    assert_eq!(only(&snapshot(json!([limited]))).variant, "rate-limit");
}

fn on_eks(message: &str, image: &str) -> Snapshot {
    let mut snap = snapshot(json!([waiting(image, "ErrImagePull", message)]));
    snap.platform = Platform::Eks;
    let arn = "arn:aws:eks:eu-west-1:111122223333:cluster/c".to_owned();
    *snap.eks_cluster = Ok(Cluster { arn, ..Cluster::default() });
    let node_role = "arn:aws:iam::111122223333:role/path/ng-role".to_owned();
    *snap.eks_nodegroups = Ok(vec![Nodegroup { node_role, ..Nodegroup::default() }]);
    snap
}

#[test]
fn ecr_is_a_matter_of_the_nodes_role_or_of_the_other_account() {
    let refused = "pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials";
    let own = only(&on_eks(refused, "111122223333.dkr.ecr.eu-west-1.amazonaws.com/obs/prometheus:v3"));
    assert_eq!((own.variant, &own.params.values()["node_role"]), ("ecr-auth", &json!("ng-role")));
    let other = only(&on_eks("403 Forbidden", "444455556666.dkr.ecr.us-east-1.amazonaws.com/obs/prometheus:v3"));
    assert_eq!((other.variant, &other.params.values()["region"]), ("ecr-other-account", &json!("us-east-1")));
    let mut snap = on_eks(refused, "111122223333.dkr.ecr.eu-west-1.amazonaws.com/obs/prometheus:v3");
    snap.platform = Platform::Other;
    assert_eq!(only(&snap).variant, "ecr-token");
}

#[test]
fn a_registry_of_others_is_asked_for_the_image_and_not_listed() {
    let said = |account: &str| {
        let image = format!("{account}.dkr.ecr.eu-west-1.amazonaws.com/eks/kube-proxy:v1.36.99-eksbuild.2");
        let found = only(&on_eks(NOT_FOUND, &image));
        assert_eq!(found.variant, "ecr-not-found");
        found.params.values()["another"].clone()
    };
    assert_eq!((said("111122223333"), said("602401143452")), (json!(false), json!(true)));
}

#[test]
fn in_a_private_vpc_the_missing_endpoint_is_named() {
    let silent =
        "Head \"https://111122223333.dkr.ecr.eu-west-1.amazonaws.com/v2/x\": dial tcp 3.3.3.3:443: i/o timeout";
    let mut snap = on_eks(silent, "111122223333.dkr.ecr.eu-west-1.amazonaws.com/obs/prometheus:v3");
    assert_eq!(only(&snap).variant, "network");
    let endpoint = |service: &str| VpcEndpoint {
        service_name: format!("com.amazonaws.eu-west-1.{service}"),
        state: "available".into(),
        ..VpcEndpoint::default()
    };
    *snap.vpc_endpoints = Ok(vec![endpoint("ecr.dkr"), endpoint("s3")]);
    let found = only(&snap);
    assert_eq!(found.variant, "ecr-endpoints");
    assert!(found.message.ends_with("com.amazonaws.eu-west-1.ecr.api"), "{}", found.message);
}

#[test]
fn the_nodes_architecture_is_named() {
    let found =
        only(&snapshot(json!([waiting("shop/x:1", "ErrImagePull", "no match for platform in manifest: not found")])));
    assert_eq!(found.variant, "platform");
    assert!(found.message.contains("no build for arm64, the architecture of node node-a"), "{}", found.message);
}

#[test]
fn while_the_old_pods_serve_it_is_a_warning_with_a_way_back() {
    let bad = waiting("prom/prometheus:v99", "ErrImagePull", NOT_FOUND);
    let mut good = pod(json!({"name": "prometheus", "ready": true}));
    good["metadata"]["name"] = json!("prom-6d5f9c7b8-ready");
    good["status"]["conditions"] = json!([{"type": "Ready", "status": "True"}]);
    let found = only(&snapshot(json!([bad, good])));
    assert_eq!(found.severity, Severity::Warning);
    assert_eq!(found.params.values()["running"], "prom/prometheus:v3.5.0");
    assert!(!found.broken().contains(&ResourceRef::kubernetes("apps", "Deployment", "monitoring", "prom")));
}

#[test]
fn a_pull_through_cache_takes_nothing_in_for_a_role_that_may_only_pull() {
    let image = |repository: &str| format!("111122223333.dkr.ecr.eu-west-1.amazonaws.com/{repository}:v3");
    let found = only(&on_eks(NOT_FOUND, &image("docker-hub/grafana/grafana")));
    assert_eq!((found.variant, &found.params.values()["prefix"]), ("ecr-cached", &json!("docker-hub")));
    let policy = found.params.values()["import_policy"].as_str().expect("a policy");
    assert!(policy.contains("arn:aws:ecr:eu-west-1:111122223333:repository/docker-hub/*"), "{policy}");
    assert_eq!(only(&on_eks(NOT_FOUND, &image("obs/prometheus"))).variant, "ecr-not-found");
}

#[test]
fn a_cache_that_leads_on_to_where_the_image_comes_from() {
    let asked = |host: &str| {
        let said = format!(
            "failed to copy: httpReadSeeker: failed open: failed to do request: Get \"https://{host}/v2/data?verify=1\": dial tcp 104.16.101.215:443: i/o timeout"
        );
        only(&on_eks(&said, "111122223333.dkr.ecr.eu-west-1.amazonaws.com/docker-hub/grafana/grafana:v3"))
    };
    let found = asked("production.cloudflare.docker.com");
    assert_eq!(found.variant, "ecr-led-on");
    assert!(found.message.contains("redirects the node to production.cloudflare.docker.com"), "{}", found.message);
    let own = asked("prod-eu-west-1-starport-layer-bucket.s3.eu-west-1.amazonaws.com");
    assert_eq!(own.variant, "network");
}
