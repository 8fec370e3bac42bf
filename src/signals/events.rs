//! Warning events of the last hour about what is not well now, those that say the same together.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::conditions::SCALING;
use super::pods::is_starting;
use super::{around, is_ours, seconds_ago};
use crate::domain::aws::node_pool_said;
use crate::domain::kubernetes::recovered;
use crate::domain::kubernetes::unschedulable::{concerns, for_fargate};
use crate::domain::prometheus::operator::log;
use crate::domain::prometheus::operator::selection::{self, Kind};
use crate::domain::text::passing::is_of_the_asker;
use crate::domain::text::redact::redact;
use crate::domain::text::shape::shape;
use crate::model::{Counted, Evidence, ResourceRef, Signal, SignalKind, Weight};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Autoscaler, DisruptionBudget, Event, Meta, Pod, Workload};

/// Seconds within which an event is of now.
const RECENT: i64 = 3600;
/// Seconds within which an event about something whose state cannot be looked up weighs.
const FRESH: i64 = 1800;

/// Reads them.
pub(super) fn read(snap: &Snapshot) -> Vec<Signal> {
    let mut groups: BTreeMap<(String, String, String), Vec<&Event>> = BTreeMap::new();
    // Many events are about one object, and say one thing.
    let (mut owners, mut shapes) = (HashMap::new(), HashMap::new());
    for event in snap.events.items().unwrap_or_default() {
        let recent = event.last_seen().is_some_and(|t| seconds_ago(snap, t) <= RECENT);
        if event.kind != "Warning" || !recent {
            continue;
        }
        let owner = owners.entry(object(event)).or_insert_with(|| owner(snap, event).key());
        let shape = shapes.entry(event.message.as_str()).or_insert_with_key(|message| shape(message));
        groups.entry((owner.clone(), event.reason.clone(), shape.clone())).or_default().push(event);
    }
    let logged = Logged::new();
    let mut masked = HashMap::new();
    groups.into_values().filter_map(|events| signal(snap, events, &logged, &mut masked)).collect()
}

fn pod<'a>(snap: &'a Snapshot, event: &Event) -> Option<&'a Pod> {
    let object = &event.involved_object;
    let pod = snap.pods.find(&object.namespace, &object.name).ok().flatten().filter(|_| object.kind == "Pod")?;
    event.is_of(&pod.metadata.uid).then_some(pod)
}

/// What tells one object of events from another.
fn object(event: &Event) -> (&str, &str, &str, Option<&str>) {
    let object = &event.involved_object;
    (&object.kind, &object.namespace, &object.name, object.uid.as_deref())
}

fn subject(event: &Event) -> ResourceRef {
    let object = &event.involved_object;
    let group = match object.kind.as_str() {
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" => "apps",
        "Job" | "CronJob" => "batch",
        "Ingress" => "networking.k8s.io",
        "HorizontalPodAutoscaler" => "autoscaling",
        "ScaledObject" => "keda.sh",
        "NodeClaim" | "NodePool" => "karpenter.sh",
        // Of kinds that operators bring.
        _ => object.api_version.split_once('/').map_or("", |(group, _)| group),
    };
    let namespace = if object.kind == "Node" { "" } else { &object.namespace };
    ResourceRef::kubernetes(group, &object.kind, namespace, &object.name)
}

fn owner(snap: &Snapshot, event: &Event) -> ResourceRef {
    if let Some(pod) = pod(snap, event) {
        return snap.owner_ref(pod);
    }
    let object = &event.involved_object;
    let all = snap.workloads.items().unwrap_or_default().iter().filter(|w| w.kind == "Deployment");
    let made = |w: &&Workload| {
        w.metadata.namespace == object.namespace && object.name.starts_with(&format!("{}-", w.metadata.name))
    };
    // The longest name: `web-api-5d9f` is of `web-api`, not of `web`.
    let of_set = all.filter(made).max_by_key(|w| w.metadata.name.len()).filter(|_| object.kind == "ReplicaSet");
    of_set.map_or_else(|| subject(event), Workload::reference)
}

/// `masked` holds what events say without what is secret in it: many say the same.
fn signal<'a>(
    snap: &'a Snapshot,
    mut events: Vec<&'a Event>,
    logged: &Logged<'a>,
    masked: &mut HashMap<&'a str, String>,
) -> Option<Signal> {
    events.sort_by_key(|e| std::cmp::Reverse(e.last_seen()));
    let newest = *events.first()?;
    let said = masked.entry(newest.message.as_str()).or_insert_with_key(|message| redact(message)).clone();
    let weighs = events.iter().any(|e| weigh(snap, e, logged) == Weight::Weighs);
    let weight = if weighs { Weight::Weighs } else { Weight::Note };
    let times: u32 = events.iter().map(|e| e.times()).sum();
    let object = &newest.involved_object;
    let evidence = Evidence::new(
        format!("event {} of {} {}/{}", newest.reason, object.kind, object.namespace, object.name),
        said.as_str(),
        "kubectl get events -n {{ namespace }} --field-selector involvedObject.name={{ name }}",
    )
    .with("namespace", if object.namespace.is_empty() { "default" } else { &object.namespace })
    .with("name", &object.name);
    let names: BTreeSet<&str> = events.iter().map(|e| e.involved_object.name.as_str()).collect();
    // Once for each of them says nothing more.
    let count = if times as usize > names.len() { times as usize } else { 1 };
    let mut objects = HashSet::new();
    let of_each = events.iter().filter(|e| objects.insert(self::object(e)));
    let about: Vec<ResourceRef> = of_each.flat_map(|e| concerned(snap, e)).collect();
    let owner = owner(snap, newest);
    let place = format!("event {} of {}", newest.reason, whose(&events, &owner));
    let judges = if object.kind == "HorizontalPodAutoscaler" { SCALING } else { &[] };
    Some(
        Signal::counting(SignalKind::Event, owner, Counted::Events { count, place }, evidence)
            .explained_by_checks(judges)
            .text(said)
            .since(events.iter().filter_map(|e| e.first_timestamp.or(e.event_time)).min())
            .weight(weight)
            .about(about),
    )
}

/// What an event is about, with what its object hangs on.
fn concerned(snap: &Snapshot, event: &Event) -> Vec<ResourceRef> {
    if let Some(pod) = pod(snap, event) {
        return around(snap, pod);
    }
    let claim = Some(&event.involved_object).filter(|o| o.kind == "NodeClaim");
    let pool = claim.and_then(|o| node_pool_said::of_claim_named(snap, &o.name));
    std::iter::once(subject(event)).chain(pool).collect()
}

/// `Pod web-0`; where the events are of several objects of one owner, `2 Pods of deployment/web`.
fn whose(events: &[&Event], owner: &ResourceRef) -> String {
    let objects: BTreeSet<(&str, &str)> =
        events.iter().map(|e| (e.involved_object.kind.as_str(), e.involved_object.name.as_str())).collect();
    let mut kinds: Vec<&str> = objects.iter().map(|(kind, _)| *kind).collect();
    kinds.dedup();
    match (events.first(), kinds.as_slice()) {
        (Some(newest), [_]) if objects.len() == 1 => {
            format!("{} {}", newest.involved_object.kind, newest.involved_object.name)
        }
        (_, [kind]) => format!(
            "{} {kind}{} of {}",
            objects.len(),
            if kind.ends_with('s') { "es" } else { "s" },
            owner.kubectl_name()
        ),
        _ => format!("{} objects of {}", objects.len(), owner.kubectl_name()),
    }
}

/// It gets its metrics and may change its target.
fn scales(scaler: &Autoscaler) -> bool {
    let is_true = |kind: &str| scaler.status.conditions.iter().any(|c| c.kind == kind && c.status == "True");
    is_true("AbleToScale") && is_true("ScalingActive")
}

/// Its pods could be counted: whether that leaves room for an eviction is no fault of its own.
fn is_counted(budget: &DisruptionBudget) -> bool {
    let allowed = budget.status.conditions.iter().find(|c| c.kind == "DisruptionAllowed");
    allowed.is_some_and(|c| c.reason.as_deref() != Some("SyncFailed"))
}

/// What the operators' logs say, read once, and only where an event asks for it.
type Logged<'a> = OnceCell<log::Said<'a>>;

/// What the operator takes is there, and refused by its log, where that reaches back to the event: an event says only that it
/// once was.
fn is_refused<'a>(snap: &'a Snapshot, event: &Event, kind: Kind, logged: &Logged<'a>) -> bool {
    let object = &event.involved_object;
    let Ok(all) = selection::objects(snap, kind) else { return true };
    let is_it = |m: &&Meta| m.namespace == object.namespace && m.name == object.name && event.is_of(&m.uid);
    let is_there = all.iter().any(is_it);
    let refused = || &logged.get_or_init(|| log::said(snap).unwrap_or_default()).refused;
    is_there
        && (refused().iter().any(|r| r.kind == kind && r.namespace == object.namespace && r.name == object.name)
            || !event.last_seen().is_some_and(|at| log::covers(snap, at)))
}

/// Two controllers made the same at once, and one of them found it made.
fn is_race(event: &Event) -> bool {
    event.reason.starts_with("FailedToCreateEndpoint") && event.message.contains("already exists")
}

/// An event tells of the past; what its object is now says whether it matters.
fn weigh<'a>(snap: &'a Snapshot, event: &Event, logged: &Logged<'a>) -> Weight {
    let object = &event.involved_object;
    if !is_ours(snap, &object.namespace) && object.kind != "Node"
        || is_of_the_asker(&event.message, usize::try_from(event.times()).unwrap_or(usize::MAX))
        || is_race(event)
    {
        return Weight::Note;
    }
    let fresh = event.last_seen().is_some_and(|t| seconds_ago(snap, t) <= FRESH);
    let now = match object.kind.as_str() {
        "Pod" => match pod(snap, event) {
            Some(pod) => !pod.is_ready() && !pod.is_finished() && !is_starting(snap, pod) && !for_fargate(pod),
            // It is gone.
            None => return Weight::Note,
        },
        "Node" => {
            let node = snap.nodes.named(&object.name).ok().flatten();
            return if node.is_some_and(|n| !n.is_ready()) { Weight::Weighs } else { Weight::Note };
        }
        "PersistentVolumeClaim" => match snap.persistent_volume_claims.find(&object.namespace, &object.name) {
            // One that was deleted and made again has the name of the old one, not its history.
            Ok(claim) => claim.is_some_and(|c| c.status.phase != "Bound" && event.is_of(&c.metadata.uid)),
            Err(_) => fresh,
        },
        "HorizontalPodAutoscaler" => match snap.autoscalers.find(&object.namespace, &object.name) {
            Ok(scaler) => fresh && scaler.is_some_and(|s| event.is_of(&s.metadata.uid) && !scales(s)),
            Err(_) => fresh,
        },
        // One that is gone or has ended well has no trouble of now.
        "Job" => match snap.jobs.find(&object.namespace, &object.name) {
            Ok(job) => fresh && job.is_some_and(|j| event.is_of(&j.metadata.uid) && j.status.succeeded == 0),
            Err(_) => fresh,
        },
        "PodDisruptionBudget" => match snap.disruption_budgets.find(&object.namespace, &object.name) {
            Ok(budget) => fresh && budget.is_some_and(|b| event.is_of(&b.metadata.uid) && !is_counted(b)),
            Err(_) => fresh,
        },
        "Deployment" | "StatefulSet" | "DaemonSet" => {
            let all = snap.workloads.items().unwrap_or_default().iter();
            let own = all.filter(|w| w.kind == object.kind && w.metadata.namespace == object.namespace);
            own.filter(|w| w.metadata.name == object.name).any(|w| w.ready() < w.desired())
        }
        "ReplicaSet" => {
            let deployment = owner(snap, event);
            let all = snap.workloads.items().unwrap_or_default().iter();
            all.filter(|w| w.reference() == deployment).any(|w| w.ready() < w.desired())
        }
        // Launches are refused and tried again all the time: it matters where somebody waits for the node.
        "NodeClaim" | "NodePool" | "EC2NodeClass" | "NodeClass" => {
            fresh && snap.pods.items().unwrap_or_default().iter().any(|p| concerns(snap, p))
        }
        other => {
            fresh
                && !recovered::is_over(snap, event)
                && Kind::parse(other).is_none_or(|kind| is_refused(snap, event, kind, logged))
        }
    };
    if now { Weight::Weighs } else { Weight::Note }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signals::testing::snapshot;
    use crate::snapshot::Listing;
    use crate::snapshot::monitoring::ContainerLog;
    use serde_json::json;

    fn with(kind: &str, name: &str, at: &str, message: &str) -> Event {
        serde_json::from_value(json!({"metadata": {"name": name, "namespace": "monitoring"}, "type": "Warning",
            "reason": "Failed", "message": message, "lastTimestamp": at, "count": 4,
            "involvedObject": {"kind": kind, "namespace": "monitoring", "name": name}}))
        .expect("an event")
    }

    #[test]
    fn what_its_object_is_now_decides() {
        let mut snap = snapshot();
        snap.events = Listing::cluster(vec![
            with("Pod", "prometheus-0", "2026-11-21T02:50:00Z", "probe failed"),
            with("Pod", "gone-0", "2026-11-21T02:50:00Z", "probe failed"),
            with("Ingress", "web", "2026-11-21T02:50:00Z", "no subnets"),
            with("Ingress", "web", "2026-11-20T02:50:00Z", "too old"),
        ]);
        let found: Vec<(String, Weight)> = read(&snap).into_iter().map(|s| (s.title, s.weight)).collect();
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(found.iter().filter(|(_, w)| *w == Weight::Weighs).count(), 1);
        assert!(found.iter().any(|(t, w)| t == "event Failed of Ingress web (4 times)" && *w == Weight::Weighs));
    }

    #[test]
    fn a_launch_that_was_refused_weighs_where_a_pod_waits() {
        let mut snap = snapshot();
        let mut refused = with("NodeClaim", "default-wdftd", "2026-11-21T02:50:00Z", "insufficient capacity");
        refused.involved_object.namespace = String::new();
        snap.events = Listing::cluster(vec![refused]);
        assert_eq!(read(&snap)[0].weight, Weight::Note);
        let waits = json!([{"metadata": {"name": "prometheus-1", "namespace": "monitoring", "creationTimestamp": "2026-11-21T01:00:00Z"},
            "status": {"phase": "Pending"}}]);
        snap.pods = Listing::cluster(serde_json::from_value(waits).expect("pods"));
        assert_eq!(read(&snap)[0].weight, Weight::Weighs);
    }

    #[test]
    fn what_the_operator_refused_and_is_gone_is_a_note() {
        let mut snap = snapshot();
        snap.events = Listing::cluster(vec![with("PrometheusRule", "r", "2026-11-21T02:50:00Z", "invalid rule")]);
        assert_eq!(read(&snap)[0].weight, Weight::Weighs, "which rules there are was not read");
        let rule = json!([{"metadata": {"name": "r", "namespace": "monitoring"}}]);
        snap.prometheus_rule_names = Listing::cluster(serde_json::from_value(rule).expect("rules"));
        assert_eq!(read(&snap)[0].weight, Weight::Weighs);
        // A log says that it is well again only where it reaches back so far.
        let mut log = |text: &str| {
            *snap.part_logs = Ok(vec![ContainerLog {
                container: "prometheus-operator".into(),
                text: text.into(),
                ..ContainerLog::default()
            }]);
            read(&snap)[0].weight
        };
        let line = |at: &str, msg: &str| format!("ts={at} level=info msg=\"{msg}\" key=monitoring/k8s\n");
        assert_eq!(log(&line("2026-11-21T02:52:00Z", "other")), Weight::Weighs);
        assert_eq!(log(&line("2026-11-21T02:52:00Z", "sync prometheus")), Weight::Note);
        assert_eq!(log(&line("2026-11-21T02:40:00Z", "other")), Weight::Note);
        snap.prometheus_rule_names = Listing::cluster(Vec::new());
        assert_eq!(read(&snap)[0].weight, Weight::Note);
    }

    /// A list that was read and does not hold the object says that it is gone.
    #[test]
    fn events_of_what_is_gone_or_works_again_are_notes() {
        let mut snap = snapshot();
        let at = "2026-11-21T02:50:00Z";
        let kinds = ["PersistentVolumeClaim", "HorizontalPodAutoscaler", "PodDisruptionBudget"];
        snap.events = Listing::cluster(kinds.map(|kind| with(kind, "web", at, "failed")).to_vec());
        let weighing = |snap: &Snapshot| {
            let all = read(snap).into_iter().filter(|s| s.weight == Weight::Weighs);
            all.map(|s| s.title).collect::<Vec<_>>()
        };
        assert_eq!(weighing(&snap).len(), 3, "none of the lists was read");
        let named = |status: serde_json::Value| json!([{"metadata": {"name": "web", "namespace": "monitoring"}, "status": status}]);
        let condition =
            |kind: &str, status: &str, reason: &str| json!({"type": kind, "status": status, "reason": reason});
        let set = |snap: &mut Snapshot, claim, active: &str, counted: &str| {
            snap.persistent_volume_claims =
                Listing::cluster(serde_json::from_value(named(json!({"phase": claim}))).expect("claims"));
            let conditions = [condition("AbleToScale", "True", "x"), condition("ScalingActive", active, "x")];
            snap.autoscalers =
                Listing::cluster(serde_json::from_value(named(json!({"conditions": conditions}))).expect("scalers"));
            let conditions = [condition("DisruptionAllowed", "False", counted)];
            snap.disruption_budgets =
                Listing::cluster(serde_json::from_value(named(json!({"conditions": conditions}))).expect("budgets"));
        };
        set(&mut snap, "Pending", "False", "SyncFailed");
        assert_eq!(weighing(&snap).len(), 3);
        set(&mut snap, "Bound", "True", "InsufficientPods");
        assert_eq!(weighing(&snap), Vec::<String>::new());
        snap.persistent_volume_claims = Listing::cluster(Vec::new());
        snap.autoscalers = Listing::cluster(Vec::new());
        snap.disruption_budgets = Listing::cluster(Vec::new());
        assert_eq!(weighing(&snap), Vec::<String>::new());
    }

    /// One event of each pod is no event of one pod that came several times.
    #[test]
    fn events_of_several_pods_are_told_as_theirs() {
        let mut snap = snapshot();
        let pod = |name: &str| {
            json!({"metadata": {"name": name, "namespace": "monitoring", "ownerReferences": [
                {"kind": "StatefulSet", "name": "prometheus", "controller": true}]}, "status": {"phase": "Failed"}})
        };
        snap.pods =
            Listing::cluster(serde_json::from_value(json!([pod("prometheus-7"), pod("prometheus-8")])).expect("pods"));
        let once = |name: &str| Event { count: Some(1), ..with("Pod", name, "2026-11-21T02:50:00Z", "disk pressure") };
        snap.events = Listing::cluster(vec![once("prometheus-7"), once("prometheus-8")]);
        let found = read(&snap);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].title, "event Failed of 2 Pods of statefulset/prometheus");
    }

    #[test]
    fn events_that_say_the_same_are_one() {
        let mut snap = snapshot();
        snap.events = Listing::cluster(vec![
            with("Ingress", "web", "2026-11-21T02:50:00Z", "timeout after 10s from 10.0.0.1"),
            with("Ingress", "web", "2026-11-21T02:51:00Z", "timeout after 12s from 10.0.0.2"),
        ]);
        let found = read(&snap);
        assert_eq!(found.len(), 1);
        assert!(found[0].title.contains("(8 times)") && found[0].text.contains("12s"), "{:?}", found[0]);
    }

    #[test]
    fn the_times_of_several_objects_are_not_those_of_one() {
        let at = "2026-11-21T02:50:00Z";
        let (one, other) = (with("Pod", "web-a", at, "x"), with("Pod", "web-b", at, "x"));
        let owner = ResourceRef::workload("Deployment", "monitoring", "web");
        assert_eq!(whose(&[&one, &one], &owner), "Pod web-a");
        assert_eq!(whose(&[&one, &other], &owner), "2 Pods of deployment/web");
    }
}
