//! Pods of a StatefulSet that keep a template which was changed since: why it does not replace them, and what differs.

use crate::domain::kubernetes::differs::{self, Differs, Part, differs};
use crate::domain::kubernetes::owner;
use crate::domain::kubernetes::skew;
use crate::model::ResourceRef;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Pod, Workload};

/// The label with the revision that a pod was made from.
const REVISION: &str = "controller-revision-hash";
/// Seconds for which a pod may be not ready while an update goes on.
const PATIENCE: i64 = 300;

/// Why the pods are not replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// `updateStrategy: OnDelete`.
    OnDelete,
    /// `updateStrategy.rollingUpdate.partition` leaves out the pods below this number.
    Partition(u64),
    /// An update waits for the very pod that does not become ready: with `podManagementPolicy: OrderedReady`, and from
    /// Kubernetes 1.35 on with `Parallel`, too.
    NotReady,
}

/// Pods that do not work and keep an older template.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    pub(crate) set: &'a Workload,
    pub(crate) pods: Vec<&'a Pod>,
    pub(crate) hold: Hold,
    /// What the template has now and the first of the pods has not.
    pub(crate) differs: Vec<Differs>,
}

impl Held<'_> {
    /// The lowest number of these pods.
    pub(crate) fn first_ordinal(&self) -> u64 {
        self.pods.iter().filter_map(|pod| ordinal(pod)).min().unwrap_or_default()
    }
}

/// The pods of a StatefulSet that do not work and that it does not replace by its present template.
pub(crate) fn of<'a>(snap: &'a Snapshot, set: &'a Workload) -> Option<Held<'a>> {
    let newest = set.status.update_revision.as_deref().filter(|_| set.kind == "StatefulSet")?;
    let seen = set.status.observed_generation >= set.metadata.generation;
    let is_old = |p: &&Pod| {
        p.metadata.label(REVISION).is_some_and(|own| own != newest) && p.metadata.deletion_timestamp.is_none()
    };
    let pods: Vec<&Pod> =
        snap.pods_of_workload(set).filter(is_old).filter(|p| is_unready(snap, p)).filter(|_| seen).collect();
    let hold = pods.iter().find_map(|p| hold(snap, set, p))?;
    let pods: Vec<&Pod> = pods.into_iter().filter(|p| self::hold(snap, set, p) == Some(hold)).collect();
    // Injected side-cars, tokens, claims and variables are in each pod and in no template.
    let is_of_template = |d: &Differs| matches!(&d.part, Part::Container { is_init: false, field, .. } if *field != differs::Field::Variables);
    let all = differs(&pods.first()?.spec, &set.spec.template.spec).into_iter();
    let differs: Vec<Differs> = all.filter(is_of_template).collect();
    (!differs.is_empty()).then_some(Held { set, pods, hold, differs })
}

/// The number of a pod of a StatefulSet.
fn ordinal(pod: &Pod) -> Option<u64> {
    pod.metadata.name.rsplit('-').next()?.parse().ok()
}

/// Why a StatefulSet does not replace a pod of it.
fn hold(snap: &Snapshot, set: &Workload, pod: &Pod) -> Option<Hold> {
    let strategy = &set.spec.update_strategy;
    if strategy.kind.as_deref() == Some("OnDelete") {
        return Some(Hold::OnDelete);
    }
    let partition = strategy.rolling_update.partition.unwrap_or_default();
    if ordinal(pod).is_some_and(|n| n < partition) {
        return Some(Hold::Partition(partition));
    }
    is_ordered(snap, set).then_some(Hold::NotReady)
}

/// An update of the StatefulSet waits for a pod that does not become ready, so that the pod has to be deleted.
pub(crate) fn is_ordered(snap: &Snapshot, set: &Workload) -> bool {
    set.spec.pod_management_policy.as_deref().is_none_or(|p| p == "OrderedReady") || counts_unready(snap)
}

/// Since 1.35 (MaxUnavailableStatefulSet) an update counts a pod that is not ready as the one that may be missing, whatever the
/// policy, and waits for it.
fn counts_unready(snap: &Snapshot) -> bool {
    skew::of_server(snap).is_some_and(|minor| minor >= 35)
}

fn is_unready(snap: &Snapshot, pod: &Pod) -> bool {
    let ready = pod.condition("Ready").or(pod.condition("PodScheduled"));
    let since = ready.filter(|c| c.status == "False").and_then(|c| c.last_transition_time);
    !pod.is_ready() && since.is_some_and(|t| snap.seconds_since(t) >= PATIENCE)
}

/// What a fault of a pod may come from: the field of its template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Image,
    Limits,
    Any,
}

/// The old revision of a pod that is held at it, where its present template has another value for what the fault comes from.
pub(crate) fn outdated(snap: &Snapshot, pod: &Pod, field: Field) -> Option<ResourceRef> {
    let set = owner::workload(snap, &snap.owner_ref(pod))?;
    let held = of(snap, set)?;
    let word = match field {
        Field::Image => "image of ",
        Field::Limits => "limits of ",
        Field::Any => "",
    };
    let is_it = held.pods.iter().any(|p| p.metadata.name == pod.metadata.name);
    let mended = held.differs.iter().any(|d| d.field.contains(word));
    (is_it && mended).then(|| revision(pod))?
}

/// The revision that a pod was made from.
pub(crate) fn revision(pod: &Pod) -> Option<ResourceRef> {
    let hash = pod.metadata.label(REVISION)?;
    Some(ResourceRef::kubernetes("apps", "ControllerRevision", &pod.metadata.namespace, hash))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Listing;
    use serde_json::{Value, json};

    fn held(spec: Value, pod_image: &str, ready: &str) -> Option<(Hold, Vec<String>)> {
        held_on("v1.34.2-eks-3025e55", spec, pod_image, ready)
    }

    fn held_on(version: &str, spec: Value, pod_image: &str, ready: &str) -> Option<(Hold, Vec<String>)> {
        let mut snap = Snapshot::empty("2026-11-21T03:00:00Z".parse().expect("is a time"));
        snap.set_kubernetes_version(version.to_owned());
        let container = |image: &str| json!([{"name": "loki", "image": image}]);
        let mut set = json!({"metadata": {"name": "loki", "namespace": "n", "uid": "s"},
            "spec": {"template": {"spec": {"containers": container("loki:2")}}}, "status": {"updateRevision": "loki-2"}});
        set["spec"].as_object_mut().expect("is a map").extend(spec.as_object().expect("is a map").clone());
        let mut set: Workload = serde_json::from_value(set).expect("a workload");
        set.kind = "StatefulSet".into();
        let owner = json!([{"kind": "StatefulSet", "name": "loki", "uid": "s", "controller": true}]);
        let pod = json!({"metadata": {"name": "loki-0", "namespace": "n", "ownerReferences": owner,
                "labels": {"controller-revision-hash": "loki-1"}},
            "spec": {"containers": container(pod_image)},
            "status": {"conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": "2026-11-21T02:00:00Z"}]}});
        snap.pods = Listing::cluster(vec![serde_json::from_value(pod).expect("a pod")]);
        snap.workloads = Listing::cluster(vec![set.clone()]);
        of(&snap, &set).map(|h| (h.hold, h.differs.into_iter().map(|d| d.field).collect()))
    }

    #[test]
    fn a_broken_pod_of_an_old_template_is_held() {
        let image = vec!["image of container loki".to_owned()];
        assert_eq!(held(json!({}), "loki:1", "False"), Some((Hold::NotReady, image.clone())));
        let on_delete = json!({"updateStrategy": {"type": "OnDelete"}});
        assert_eq!(held(on_delete, "loki:1", "False"), Some((Hold::OnDelete, image.clone())));
        let partition = json!({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}});
        assert_eq!(held(partition, "loki:1", "False"), Some((Hold::Partition(2), image)));
    }

    #[test]
    fn pods_that_work_or_are_replaced_anyway_are_not() {
        assert_eq!(held(json!({"updateStrategy": {"type": "OnDelete"}}), "loki:1", "True"), None);
        assert_eq!(held(json!({"podManagementPolicy": "Parallel"}), "loki:1", "False"), None);
        assert_eq!(held(json!({}), "loki:2", "False"), None);
    }

    #[test]
    fn from_1_35_on_pods_of_parallel_sets_are_held_too() {
        let of = |version: &str| held_on(version, json!({"podManagementPolicy": "Parallel"}), "loki:1", "False");
        assert!(of("v1.35.0").is_some_and(|(hold, _)| hold == Hold::NotReady) && of("v1.36.2-eks-3025e55").is_some());
        assert_eq!((of("v1.34.9"), of("")), (None, None));
    }
}
