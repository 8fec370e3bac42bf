//! What Karpenter says of its NodePools elsewhere than in their conditions: in its log, and in events of claims that are gone.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::Value;

use crate::domain::aws::node_pool::{Cause, Launch, Stuck, asked_of, pool_reference};
use crate::domain::kubernetes::unschedulable::concerns;
use crate::model::ResourceRef;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Condition, Event, NodeMaker};
use crate::snapshot::monitoring::ContainerLog;

/// Seconds for which a refused launch is of now: it is tried again within minutes.
const RETRIED: i64 = 900;

/// Karpenter's controller, by its image.
pub(crate) fn is_controller(image: &str) -> bool {
    image.contains("karpenter/controller")
}

/// What the controller said last of an object, as an error: the log, its line, and the error in it. Source: the JSON of
/// controller-runtime, which names the object by its kind.
pub(crate) fn controller_error<'a>(
    snap: &'a Snapshot,
    object: &NodeMaker,
) -> Option<(&'a ContainerLog, &'a str, String)> {
    let logs = snap.part_logs.iter().flatten().filter(|l| is_controller(&l.image) && !l.previous);
    let error = |line: &str| {
        let json: Value = serde_json::from_str(line.trim()).ok()?;
        let at = json.get("time").and_then(Value::as_str).and_then(|t| t.parse::<jiff::Timestamp>().ok());
        if at.is_some_and(|t| snap.seconds_since(t) > RETRIED) {
            return None;
        }
        let is_error = json.get("level")?.as_str()?.eq_ignore_ascii_case("error");
        let named = match json.get(&object.kind)? {
            Value::String(text) => text.contains(&format!("name:{}]", object.metadata.name)),
            other => other.get("name")?.as_str()? == object.metadata.name,
        };
        (is_error && named).then(|| json.get("error")?.as_str().map(str::to_owned))?
    };
    logs.into_iter().find_map(|log| {
        let (line, error) = log.text.lines().rev().find_map(|line| Some((line, error(line)?)))?;
        Some((log, line, error))
    })
}

/// Launches that were refused, by events of claims that are gone: each is tried anew, under another name.
pub(crate) fn of_events(snap: &Snapshot) -> Vec<Stuck<'_>> {
    let all = snap.node_makers.items().unwrap_or_default();
    let events = snap.events_of_nodes().filter(|e| is_refused_launch(e));
    let mut refused: Vec<(&NodeMaker, &Event)> = Vec::new();
    for event in events.filter(|e| e.is_within(RETRIED, snap.collected_at)) {
        let Some(pool) = pool_of_claim(all, &event.involved_object.name) else { continue };
        match refused.iter_mut().find(|(known, _)| known.metadata.name == pool.metadata.name) {
            Some(known) if known.1.last_seen() < event.last_seen() => known.1 = event,
            Some(_) => {}
            None => refused.push((pool, event)),
        }
    }
    if refused.is_empty() {
        return Vec::new();
    }
    // AWS refuses launches all the time: it matters to those who wait for a node of this pool.
    let pods = snap.pods.items().unwrap_or_default().iter();
    let waited: BTreeSet<&str> = pods.filter(|p| concerns(snap, p)).flat_map(|p| asked_of(snap, p)).collect();
    // One launch that is refused is followed by another, of another type or in another zone.
    let overtaken = |pool: &NodeMaker, event: &Event| {
        let launched = |c: &NodeMaker| {
            let launched = c.condition("Launched").filter(|l| l.status == "True");
            launched.is_some_and(|l| l.last_transition_time >= event.last_seen())
        };
        all.iter().any(|c| c.kind == "NodeClaim" && c.pool() == Some(pool.metadata.name.as_str()) && launched(c))
    };
    refused.retain(|(pool, event)| waited.contains(pool.metadata.name.as_str()) && !overtaken(pool, event));
    refused.into_iter().map(|(pool, event)| of_event(pool, event)).collect()
}

fn of_event<'a>(pool: &'a NodeMaker, event: &'a Event) -> Stuck<'a> {
    let condition = Condition {
        kind: "Launched".to_owned(),
        status: "False".to_owned(),
        reason: Some(event.reason.clone()),
        message: Some(event.message.clone()),
        ..Condition::default()
    };
    Stuck {
        fault: Cause::Launch { why: Launch::read(&event.message) },
        object: pool,
        condition: Cow::Owned(condition),
        event: Some(event),
        pools: vec![pool.metadata.name.as_str()],
    }
}

fn is_refused_launch(event: &Event) -> bool {
    event.involved_object.kind == "NodeClaim"
        && matches!(event.reason.as_str(), "InsufficientCapacityError" | "LaunchFailed" | "FailedLaunch")
}

/// The NodePool of a claim that may be gone.
pub(crate) fn of_claim_named(snap: &Snapshot, claim: &str) -> Option<ResourceRef> {
    let all = snap.node_makers.items().unwrap_or_default();
    pool_of_claim(all, claim).map(|p| pool_reference(&p.metadata.name))
}

/// The NodePool whose claim has this name, by the claim or, once that is gone, by the way it is named: pool and five characters.
pub(crate) fn pool_of_claim<'a>(all: &'a [NodeMaker], claim: &str) -> Option<&'a NodeMaker> {
    let there = all.iter().find(|o| o.kind == "NodeClaim" && o.metadata.name == claim).and_then(NodeMaker::pool);
    let named = || claim.rsplit_once('-').filter(|(_, end)| end.len() == 5).map(|(pool, _)| pool);
    let name = there.or_else(named)?;
    all.iter().find(|o| o.kind == "NodePool" && o.metadata.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_that_is_gone_is_its_pools_by_its_name() {
        let pool = |name: &str| NodeMaker {
            kind: "NodePool".to_owned(),
            metadata: crate::snapshot::kubernetes::Meta { name: name.to_owned(), ..Default::default() },
            ..NodeMaker::default()
        };
        let all = [pool("default"), pool("default-arm")];
        let of = |claim: &str| pool_of_claim(&all, claim).map(|p| p.metadata.name.as_str());
        assert_eq!(of("default-wdftd"), Some("default"));
        assert_eq!(of("default-arm-x2k9d"), Some("default-arm"));
        assert_eq!(of("other-x2k9d"), None);
        assert_eq!(of("default-arm"), None);
    }
}
