use serde_json::json;

use super::*;
use crate::checks::support::testing::{findings, steps};
use crate::domain::testing::snapshot;
use crate::snapshot::Listing;
use crate::snapshot::kubernetes::Workload;

#[test]
fn the_near_name_is_put_in_unless_another_autoscaler_scales_it() {
    let deployment = |name: &str| json!({"metadata": {"name": name, "namespace": "monitoring"}});
    let hpa = |name: &str, target: &str, able: &str| {
        json!({"metadata": {"name": name, "namespace": "monitoring"}, "spec": {"maxReplicas": 3,
            "scaleTargetRef": {"kind": "Deployment", "name": target}}, "status": {"conditions": [{"type": "AbleToScale",
            "status": able, "reason": "FailedGetScale", "message": format!("deployments.apps {target:?} not found")}]}})
    };
    let told = |autoscalers: serde_json::Value| {
        let mut snap = snapshot(json!({"workloads": [deployment("prometheus-adapter"), deployment("grafana")]}));
        snap.autoscalers = Listing::cluster(serde_json::from_value(autoscalers).expect("autoscalers"));
        steps(&findings(&HpaStuck, &snap)[0])
    };
    let wrong = hpa("a", "prometheus-adaptor", "False");
    let patch = "--type=merge -p '{\"spec\":{\"scaleTargetRef\":{\"name\":\"prometheus-adapter\"}}}'";
    let named = told(json!([wrong]));
    assert!(named.contains(patch) && !named.contains("kubectl edit"), "{named}");
    let taken = told(json!([wrong, hpa("b", "prometheus-adapter", "True")]));
    assert!(!taken.contains("kubectl patch") && taken.contains("kubectl edit hpa"), "{taken}");
}

#[test]
fn what_keda_keeps_is_patched_at_its_scaled_object() {
    let hpa =
        |meta: serde_json::Value| -> Autoscaler { serde_json::from_value(json!({"metadata": meta})).expect("is one") };
    let own = hpa(json!({"name": "web"}));
    assert_eq!(max_patch(&own, 9), r#"{"spec":{"maxReplicas":9}}"#);
    assert_eq!(grow_patch(&own), r#"{"spec":{"behavior":{"scaleUp":{"selectPolicy":"Max"}}}}"#);
    let kept = hpa(json!({"name": "keda-hpa-web"}));
    assert_eq!(scaled_object(&kept), Some("web"));
    assert_eq!(max_patch(&kept, 9), r#"{"spec":{"maxReplicaCount":9}}"#);
    assert!(grow_patch(&kept).contains("horizontalPodAutoscalerConfig"));
    let renamed =
        hpa(json!({"name": "mine", "ownerReferences": [{"kind": "ScaledObject", "name": "web", "controller": true}]}));
    assert_eq!(scaled_object(&renamed), Some("web"));
}

#[test]
fn a_container_that_was_put_into_the_pods_is_none_that_is_misspelt() {
    let hpa = json!({"metadata": {"name": "web", "namespace": "monitoring"}, "spec": {"maxReplicas": 3,
        "scaleTargetRef": {"kind": "StatefulSet", "name": "web"},
        "metrics": [{"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "proxy",
            "target": {"type": "Utilization", "averageUtilization": 60}}}]},
        "status": {"conditions": [{"type": "ScalingActive", "status": "False", "reason": "FailedGetContainerResourceMetric",
            "message": "the HPA was unable to compute the replica count: failed to get cpu utilization: container proxy not present in metrics for pod monitoring/web-0"}]}});
    let of = |containers: serde_json::Value| {
        let set = json!({"metadata": {"name": "web", "namespace": "monitoring"}, "spec": {"template": {"spec": {"containers": [{"name": "app"}]}}}});
        let pod = json!({"metadata": {"name": "web-0", "namespace": "monitoring",
            "ownerReferences": [{"kind": "StatefulSet", "name": "web", "controller": true}]},
            "spec": {"containers": containers}});
        let mut snap = snapshot(json!({"pods": [pod]}));
        let set: Workload = serde_json::from_value(set).expect("a workload");
        snap.workloads = Listing::cluster(vec![Workload { kind: "StatefulSet".into(), ..set }]);
        snap.autoscalers = Listing::cluster(serde_json::from_value(json!([hpa])).expect("autoscalers"));
        findings(&HpaStuck, &snap).remove(0)
    };
    let wrong = of(json!([{"name": "app"}]));
    assert_eq!(wrong.variant, "no-container");
    assert!(steps(&wrong).contains(r#""op":"test""#), "{}", steps(&wrong));
    assert_eq!(of(json!([{"name": "app"}, {"name": "proxy"}])).variant, "look");
}
