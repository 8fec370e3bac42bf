//! ScaledObjects of which KEDA makes no autoscaler.

use super::HpaStuck;
use super::fix::{Fix, Way};
use crate::checks::support::seen::event_evidence;
use crate::domain::kubernetes::index::group_of;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::text::redact::redact;
use crate::domain::text::shorten::shorten;
use crate::domain::text::windows::RECENT;
use crate::model::{Evidence, Finding, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Condition, Event, ScaledObject};
use crate::text::pattern::pattern;

/// Seconds that KEDA may take for one that was made just now.
const SETTLING: i64 = 180;
/// Characters of its words that are shown.
const WIDTH: usize = 260;

/// Those that are not ready.
pub(super) fn all(snap: &Snapshot) -> Vec<Finding> {
    let objects = snap.scaled_objects.items().unwrap_or_default().iter();
    let age = |o: &ScaledObject| o.metadata.creation_timestamp.map_or(SETTLING, |t| snap.seconds_since(t));
    let old = objects.filter(|o| age(o) >= SETTLING);
    old.filter_map(|object| finding(snap, object, object.not_ready()?)).collect()
}

/// What keeps KEDA from it.
#[derive(Debug, Default, PartialEq)]
struct Why {
    words: String,
    /// Who scales the same workload already, as kubectl takes it: kind and name.
    other: Vec<String>,
    /// It scales what is not there.
    no_target: bool,
    /// A TriggerAuthentication or ClusterTriggerAuthentication that is not there.
    authentication: String,
}

fn finding(snap: &Snapshot, object: &ScaledObject, ready: &Condition) -> Option<Finding> {
    let (namespace, name) = (&object.metadata.namespace, &object.metadata.name);
    // What its triggers get no answer to is said of Prometheus or of what else they ask: the autoscaler is there.
    if ready.reason.as_deref().is_some_and(|r| r != "ScaledObjectCheckFailed") {
        return None;
    }
    let event = told(snap, object);
    let said = ready.message.clone().unwrap_or_default();
    let text = redact(&event.map_or_else(|| said.clone(), |e| e.message.clone())).to_string();
    let target = &object.spec.scale_target_ref;
    let of = ResourceRef::kubernetes(group_of(target.kind()), target.kind(), namespace, &target.name);
    let why = why(&text, &said, &of, is_there(snap, object));
    let message =
        format!("ScaledObject {namespace}/{name} scales nothing, for KEDA makes no autoscaler of it: {}", why.words);
    let subject = ResourceRef::kubernetes("keda.sh", "ScaledObject", namespace, name);
    let way = Way::ScaledObject {
        other: why.other,
        target: if why.no_target { of.kubectl_name() } else { String::new() },
        authentication: why.authentication,
        keda_namespace: keda_namespace(snap),
        managed_by: managed_by(&object.metadata),
    };
    let seen = Evidence::new(
        format!("ScaledObject {namespace}/{name}"),
        format!("Ready False ({}): {}", ready.reason.clone().unwrap_or_default(), redact(&said)),
        "kubectl describe scaledobject {{ name }} -n {{ namespace }}",
    );
    let fix = Fix { resource: "scaledobject", namespace: namespace.clone(), name: name.clone(), way };
    let made = Finding::new(HpaStuck::META.id, Severity::Warning, subject.clone(), message)
        .key(format!("{namespace}/{name} scaled-object"))
        // What asks Prometheus by it, and finds none there, says more.
        .depends_on(subject)
        .depends_on(of)
        .evidence(seen.with("namespace", namespace).with("name", name))
        .fix(fix);
    Some(event.map(event_evidence).into_iter().fold(made, Finding::evidence))
}

/// The last event that says more than the condition.
fn told<'a>(snap: &'a Snapshot, object: &ScaledObject) -> Option<&'a Event> {
    let events = snap.events.items().unwrap_or_default().iter();
    let own = events.filter(|e| {
        let about = &e.involved_object;
        about.kind == "ScaledObject"
            && (&about.namespace, &about.name) == (&object.metadata.namespace, &object.metadata.name)
            && e.kind == "Warning"
            && e.is_within(RECENT, snap.collected_at)
    });
    let is_general = |e: &Event| GENERAL.iter().any(|g| e.message.trim_end_matches('.') == *g);
    own.max_by_key(|e| (!is_general(e), e.last_seen()))
}

/// What KEDA says where its log has the reason.
const GENERAL: &[&str] = &[
    "ScaledObject doesn't have correct scaleTargetRef specification",
    "ScaledObject doesn't have correct triggers specification",
    "Failed to ensure HPA is correctly created for ScaledObject",
    "ScaledObject check failed",
];

/// Whether what it scales is there, as far as that was read.
fn is_there(snap: &Snapshot, object: &ScaledObject) -> Option<bool> {
    let (target, namespace) = (&object.spec.scale_target_ref, &object.metadata.namespace);
    if !matches!(target.kind(), "Deployment" | "StatefulSet") || !snap.workloads.covers(namespace) {
        return None;
    }
    let mut own = snap.workloads.items().ok()?.iter();
    Some(own.any(|w| w.metadata.namespace == *namespace && w.kind == target.kind() && w.metadata.name == target.name))
}

fn why(text: &str, said: &str, target: &ResourceRef, is_there: Option<bool>) -> Why {
    let other = pattern!(r"already managed by the (hpa|HPA|ScaledObject|scaledobject) '([^']+)'");
    if let Some(found) = other.captures(text) {
        let kind = if found[1].eq_ignore_ascii_case("hpa") { "hpa" } else { "scaledobject" };
        let called = if kind == "hpa" { "HorizontalPodAutoscaler" } else { "ScaledObject" };
        let words = format!("{called} {} scales {target} already", &found[2]);
        return Why { words, other: vec![kind.to_owned(), found[2].to_owned()], ..Why::default() };
    }
    let login = pattern!(r#"((?:Cluster)?TriggerAuthentication)(?:s?\.keda\.sh)? "([^"]+)" not found"#);
    if let Some(found) = login.captures(text) {
        let words = format!("its {} {} does not exist", &found[1], &found[2]);
        let authentication = format!("{} {}", found[1].to_ascii_lowercase(), &found[2]);
        return Why { words, authentication, ..Why::default() };
    }
    let absent = text.contains("Target resource doesn't exist");
    if is_there == Some(false) || (absent && is_there.is_none()) {
        return Why {
            words: format!("{target}, which it is to scale, does not exist"),
            no_target: true,
            ..Why::default()
        };
    }
    let words = match text == said {
        true => shorten(text, WIDTH),
        false => format!("{}: {}", said.trim_end_matches('.'), shorten(text, WIDTH)),
    };
    Why { words, ..Why::default() }
}

/// Where KEDA's operator runs.
fn keda_namespace(snap: &Snapshot) -> String {
    let mut all = snap.workloads.items().unwrap_or_default().iter();
    let own = all.find(|w| w.metadata.name == "keda-operator");
    own.map_or_else(|| "<keda-namespace>".to_owned(), |w| w.metadata.namespace.clone())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::HpaStuck;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::snapshot;
    use crate::snapshot::{Listing, Snapshot};

    fn with(ready: Value, event: Option<&str>) -> Snapshot {
        let of = json!({"kind": "ScaledObject", "namespace": "shop", "name": "web"});
        let events: Vec<Value> = event
            .iter()
            .map(|m| {
                json!({"metadata": {"namespace": "shop", "name": "e"}, "involvedObject": of, "type": "Warning",
                    "reason": "ScaledObjectCheckFailed", "message": m, "lastTimestamp": "2026-11-21T01:58:00Z"})
            })
            .collect();
        let target = json!({"kind": "Deployment", "metadata": {"namespace": "shop", "name": "web"}});
        let mut snap = snapshot(json!({"events": events, "workloads": [target]}));
        let object = json!({"metadata": {"namespace": "shop", "name": "web", "creationTimestamp": "2026-11-20T01:00:00Z"},
            "spec": {"scaleTargetRef": {"name": "web"}}, "status": {"conditions": [ready]}});
        snap.scaled_objects = Listing::cluster(vec![serde_json::from_value(object).expect("a ScaledObject")]);
        snap.autoscalers = Listing::cluster(Vec::new());
        snap
    }

    fn failed(message: &str) -> Value {
        json!({"type": "Ready", "status": "False", "reason": "ScaledObjectCheckFailed", "message": message})
    }

    #[test]
    fn whoever_scales_it_already_is_named() {
        let said = "ScaledObject doesn't have correct scaleTargetRef specification";
        let more = "the workload 'web' of type 'apps/v1.Deployment' is already managed by the hpa 'web-cpu'";
        let found = findings(&HpaStuck, &with(failed(said), Some(more)));
        assert!(found[0].message.contains("HorizontalPodAutoscaler web-cpu scales"), "{}", found[0].message);
        assert!(steps(&found[0]).contains("kubectl get hpa web-cpu -n shop"), "{}", steps(&found[0]));
    }

    #[test]
    fn the_event_says_more_than_the_condition() {
        let said = "Failed to ensure HPA is correctly created for ScaledObject";
        let more = "error getting scaler for trigger #0: TriggerAuthentication.keda.sh \"creds\" not found";
        let found = findings(&HpaStuck, &with(failed(said), Some(more)));
        assert!(found[0].message.ends_with("its TriggerAuthentication creds does not exist"), "{}", found[0].message);
        let invalid = "HorizontalPodAutoscaler.autoscaling \"keda-hpa-web\" is invalid: must be positive";
        let found = findings(&HpaStuck, &with(failed(said), Some(invalid)));
        assert!(found[0].message.contains("must be positive"), "{}", found[0].message);
    }

    #[test]
    fn ready_ones_and_triggers_that_get_no_answer_are_quiet() {
        let ready = json!({"type": "Ready", "status": "True", "reason": "ScaledObjectReady"});
        assert!(findings(&HpaStuck, &with(ready, None)).is_empty());
        let trigger = json!({"type": "Ready", "status": "False", "reason": "TriggerError",
            "message": "Triggers defined in ScaledObject are not working correctly"});
        assert!(findings(&HpaStuck, &with(trigger, None)).is_empty());
    }
}
