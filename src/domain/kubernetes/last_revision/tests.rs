//! Tests of [`super`].

use super::*;
use crate::snapshot::Listing;
use serde_json::{Value, json};

const DAY: &str = "2026-11-20T02:00:00Z";
const NOW: &str = "2026-11-21T02:30:00Z";

fn set(name: &str, revision: &str, made: &str, image: &str, ready: u32, restarted: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "n", "creationTimestamp": made,
            "annotations": {"deployment.kubernetes.io/revision": revision},
            "ownerReferences": [{"kind": "Deployment", "name": "d", "controller": true}]},
        "spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": restarted}},
            "spec": {"containers": [{"name": "c", "image": image}]}}},
        "status": {"readyReplicas": ready}})
}

fn found(sets: Vec<Value>, conditions: Value) -> Option<(String, String, Ran, Vec<String>)> {
    let mut snap = Snapshot::empty("2026-11-21T03:00:00Z".parse().expect("a time"));
    let deployment = json!({"metadata": {"name": "d", "namespace": "n", "creationTimestamp": "2026-11-01T00:00:00Z"},
        "status": {"conditions": conditions}});
    let deployment: Workload = serde_json::from_value(deployment).expect("a workload");
    snap.workloads = Listing::cluster(vec![Workload { kind: "Deployment".into(), ..deployment }]);
    snap.replica_sets = Listing::cluster(serde_json::from_value(Value::Array(sets)).expect("ReplicaSets"));
    let pod = json!({"metadata": {"name": "d-new-x", "namespace": "n", "labels": {"pod-template-hash": "new"},
        "ownerReferences": [{"kind": "ReplicaSet", "name": "d-new", "controller": true}]}});
    let pod: Pod = serde_json::from_value(pod).expect("a pod");
    let last = of(&snap, &pod)?;
    let differs = last.differs.iter().map(ToString::to_string).collect();
    Some((last.revision, last.before, last.ran, differs))
}

#[test]
fn where_pods_of_before_fail_as_well_it_is_not_the_revision() {
    let mut old = set("d-old", "7", DAY, "a:1", 0, "");
    let new = set("d-new", "8", NOW, "a:2", 0, "");
    assert!(found(vec![new.clone(), old.clone()], lost(NOW)).is_some());
    old["status"]["replicas"] = json!(1);
    assert_eq!(found(vec![new, old], lost(NOW)), None);
}

fn lost(at: &str) -> Value {
    json!([{"type": "Available", "status": "False", "lastTransitionTime": at},
        {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated", "message": "ReplicaSet \"d-new\" is progressing."}])
}

#[test]
fn what_ran_or_failed_before_is_not_told() {
    let ran = json!([{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable",
        "message": "ReplicaSet \"d-new\" has successfully progressed."}]);
    let two = |ready: u32| vec![set("d-new", "8", NOW, "a:2", ready, ""), set("d-old", "7", DAY, "a:1", 0, "")];
    assert_eq!(found(two(0), ran), None, "it was complete once");
    assert_eq!(found(two(1), lost(NOW)), None, "one of its pods is ready");
    assert_eq!(found(two(0), lost(DAY)), None, "it was gone a day before");
    assert_eq!(found(two(0), json!([])), None, "nobody knows");
    assert_eq!(found(vec![set("d-new", "1", NOW, "a:2", 0, "")], lost(NOW)), None, "the first");
    let restarted = vec![set("d-new", "8", NOW, "a:1", 0, NOW), set("d-old", "7", DAY, "a:1", 1, "")];
    assert_eq!(found(restarted, lost(NOW)), None, "a restart changes nothing");
    let old = vec![set("d-other", "9", NOW, "a:3", 0, ""), set("d-new", "8", DAY, "a:2", 0, "")];
    assert_eq!(found(old, lost(NOW)), None, "the pod is of an older revision");
}

#[test]
fn a_daemon_set_is_told_by_its_pods() {
    let mut snap = Snapshot::empty("2026-11-21T03:00:00Z".parse().expect("a time"));
    let set = json!({"metadata": {"name": "d", "namespace": "n"}});
    let set: Workload = serde_json::from_value(set).expect("a workload");
    snap.workloads = Listing::cluster(vec![Workload { kind: "DaemonSet".into(), ..set }]);
    let pod = |name: &str, generation: &str, image: &str, ready: &str, restarted: &str| {
        json!({"metadata": {"name": name, "namespace": "n", "creationTimestamp": NOW,
                "annotations": {"kubectl.kubernetes.io/restartedAt": restarted},
                "labels": {"controller-revision-hash": generation, "pod-template-generation": generation},
                "ownerReferences": [{"kind": "DaemonSet", "name": "d", "controller": true}]},
            "spec": {"volumes": [{"name": format!("kube-api-access-{name}")}], "containers": [{"name": "c", "image": image}]},
            "status": {"conditions": [{"type": "Ready", "status": ready}]}})
    };
    let mut found = |pods: Value| {
        snap.pods = Listing::cluster(serde_json::from_value(pods).expect("pods"));
        let failing = snap.pods.items().expect("were read")[0].clone();
        of(&snap, &failing).map(|last| (last.ran, last.differs.iter().map(ToString::to_string).collect::<Vec<_>>()))
    };
    let old = pod("b", "1", "a:1", "True", "");
    let image = vec!["image of container c a:1 → a:2".to_owned()];
    assert_eq!(found(json!([pod("a", "2", "a:2", "False", ""), old])), Some((Ran::Runs(1), image)));
    assert_eq!(found(json!([pod("a", "1", "a:1", "False", ""), old])), None, "of one revision");
    assert_eq!(found(json!([pod("a", "2", "a:1", "False", NOW), old])), None, "a restart changes nothing");
    let well = pod("c", "2", "a:2", "True", "");
    assert_eq!(found(json!([pod("a", "2", "a:2", "False", ""), old, well])), None, "one of its pods is ready");
    assert_eq!(found(json!([pod("a", "0", "a:2", "False", ""), old])), None, "of an older revision");
}

#[test]
fn of_several_upgrades_the_one_before_the_first_that_failed_is_gone_back_to() {
    let time = |text: &str| text.parse::<Timestamp>().expect("a time");
    let mut snap = Snapshot::empty(time("2026-11-21T03:00:00Z"));
    let release = |revision, status: &str, at: &str| HelmRelease {
        metadata: Meta { namespace: "n".into(), creation_timestamp: Some(time(at)), ..Meta::default() },
        name: "r".into(),
        revision,
        status: status.into(),
        ..HelmRelease::default()
    };
    let day = "2026-11-20T02:00:00Z";
    snap.helm_releases = Listing::cluster(vec![
        release(5, "superseded", day),
        release(6, "superseded", "2026-11-21T02:00:00Z"),
        release(7, "deployed", NOW),
    ]);
    let deployment = json!({"metadata": {"name": "d", "namespace": "n", "annotations": {
        "meta.helm.sh/release-name": "r", "meta.helm.sh/release-namespace": "n"}}});
    let deployment: Workload = serde_json::from_value(deployment).expect("a workload");
    snap.workloads = Listing::cluster(vec![Workload { kind: "Deployment".into(), ..deployment }]);
    let pod = json!({"metadata": {"name": "d-new-x", "namespace": "n", "labels": {"pod-template-hash": "new"},
        "ownerReferences": [{"kind": "ReplicaSet", "name": "d-new", "controller": true}]}});
    let pod: Pod = serde_json::from_value(pod).expect("a pod");
    let back = |first: &str| {
        let last = LastRevision {
            workload: snap.owner_ref(&pod),
            revision: "8".into(),
            before: "6".into(),
            hash: String::new(),
            at: time("2026-11-21T02:30:05Z"),
            first: time(first),
            differs: Vec::new(),
            sums: Vec::new(),
            ran: Ran::Runs(1),
        };
        last.helm(&snap, &Target::of(&snap, &pod)).map(|back| back.revision)
    };
    assert_eq!(back("2026-11-21T02:30:05Z"), Some(6), "the only try");
    assert_eq!(back("2026-11-21T02:00:05Z"), Some(5), "the second try");
}

#[test]
fn a_revision_that_never_ran_is_told_with_what_differs() {
    let image = vec!["image of container c a:1 → a:2".to_owned()];
    let two = |ready: u32| vec![set("d-new", "8", NOW, "a:2", 0, ""), set("d-old", "7", DAY, "a:1", ready, "")];
    let told = |ran: Ran| Some(("8".to_owned(), "7".to_owned(), ran, image.clone()));
    assert_eq!(found(two(2), json!([])), told(Ran::Runs(2)));
    assert_eq!(found(two(0), lost(NOW)), told(Ran::Until));
    // Several tries: the one that runs is gone back to.
    let mut tries = two(1);
    tries.insert(0, set("d-try", "6", DAY, "a:9", 0, ""));
    assert_eq!(found(tries, json!([])), told(Ran::Runs(1)));
    // One that was made while it was lost is no way back.
    let made = "2026-11-21T02:29:00Z";
    let mut tries = two(0);
    tries[0]["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = json!("9");
    tries.push(set("d-try", "8", made, "a:9", 0, ""));
    let back = found(tries, lost("2026-11-21T02:29:10Z")).map(|(new, before, ..)| (new, before));
    assert_eq!(back, Some(("9".to_owned(), "7".to_owned())));
    assert_eq!(found(two(0), lost("2026-11-21T02:59:59Z")).map(|(_, before, ..)| before).as_deref(), Some("7"));
}
