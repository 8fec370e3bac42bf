//! Pods of other namespaces that meet what a finding of the stack quotes.

use std::collections::{BTreeSet, HashMap};

use crate::domain::text::shape::shape;
use crate::model::{Evidence, Finding};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Event;

/// Seconds within which an event is of now.
const RECENT: i64 = 1800;
/// Pods that are named at most.
const NAMED: usize = 3;

/// What an event says, whichever pod it is of: its reason, and its message without names and numbers.
type Said = (String, String);

/// Namespace and name of a pod.
type Place<'a> = (&'a str, &'a str);

/// What events of now say, with the pods of which they say it.
pub(crate) struct Met<'a>(HashMap<Said, BTreeSet<Place<'a>>>);

impl<'a> Met<'a> {
    /// Of the pods that do not get on.
    pub(crate) fn of(snap: &'a Snapshot) -> Self {
        let mut met: HashMap<Said, BTreeSet<Place<'a>>> = HashMap::new();
        let is_of_now =
            |e: &&Event| e.kind == "Warning" && e.last_seen().is_some_and(|t| snap.seconds_since(t) <= RECENT);
        for event in snap.events.items().unwrap_or_default().iter().filter(is_of_now) {
            let (namespace, name) = (event.involved_object.namespace.as_str(), event.involved_object.name.as_str());
            let pod = snap.pods.find(namespace, name);
            // One that is gone or well by now tells nothing; of namespaces that were not read the event alone is known.
            let over = matches!(pod, Ok(None)) || matches!(pod, Ok(Some(p)) if p.is_ready() || p.is_finished());
            if event.involved_object.kind == "Pod" && !over {
                met.entry(said(&event.reason, &event.message, namespace, name)).or_default().insert((namespace, name));
            }
        }
        Self(met)
    }

    /// The pods of other namespaces of which the same is said as a finding quotes.
    pub(crate) fn elsewhere(&self, finding: &Finding) -> Option<Evidence> {
        let quoted: Vec<(Said, String)> = finding.evidence.iter().filter_map(quoted).collect();
        let own: BTreeSet<&str> = quoted.iter().map(|(_, namespace)| namespace.as_str()).collect();
        quoted.iter().find_map(|(said, _)| {
            let other = |(namespace, name): &&Place<'_>| !own.contains(namespace) && !named(finding, name);
            let there: Vec<Place<'_>> = self.0.get(said)?.iter().filter(other).copied().collect();
            (!there.is_empty()).then(|| seen(&said.0, &there))
        })
    }
}

/// The same of two pods is the same text: their names are no part of it.
fn said(reason: &str, message: &str, namespace: &str, name: &str) -> Said {
    let message = message.trim().replace(name, "<pod>");
    let message = message.replace(&format!("_{namespace}\""), "_<namespace>\"");
    let message = message.strip_prefix("(combined from similar events): ").unwrap_or(&message);
    (reason.to_owned(), shape(message))
}

/// What an evidence says that is an event of a pod, and the namespace of the pod.
pub(crate) fn quoted(evidence: &Evidence) -> Option<(Said, String)> {
    let (reason, _) = evidence.source.strip_prefix("event ")?.split_once(" of Pod ")?;
    let value = |name: &str| evidence.params.values().get(name)?.as_str();
    let (namespace, name) = (value("namespace")?, value("name")?);
    let message = evidence.value.rsplit_once(" (seen ").map_or(evidence.value.as_str(), |(message, _)| message);
    Some((said(reason, message, namespace, name), namespace.to_owned()))
}

/// It is known already.
fn named(finding: &Finding, name: &str) -> bool {
    finding.subjects.iter().any(|s| s.key().ends_with(name)) || finding.evidence.iter().any(|e| e.source.contains(name))
}

fn seen(reason: &str, pods: &[Place<'_>]) -> Evidence {
    let names: Vec<String> = pods.iter().take(NAMED).map(|(namespace, name)| format!("{namespace}/{name}")).collect();
    let more = if pods.len() > NAMED { format!(" and {} more", pods.len() - NAMED) } else { String::new() };
    let say = if pods.len() == 1 { "1 pod has".to_owned() } else { format!("{} pods have", pods.len()) };
    Evidence::new(
        format!("events {reason} of pods of other namespaces"),
        format!("{say} the same: {}{more}", names.join(", ")),
        "kubectl get events -A --field-selector reason={{ reason }}",
    )
    .with("reason", reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_of_two_pods_is_the_same() {
        let message = |name: &str, namespace: &str, id: &str| {
            format!(
                "(combined from similar events): Failed create pod sandbox: rpc error: code = Unknown desc = failed to set up sandbox container \"{id}\" network for pod \"{name}\": NetworkPlugin cni failed to set up pod \"{name}_{namespace}\" network: add cmd: failed to assign an IP address to container"
            )
        };
        let ids = [
            "0703ca3865ec9c499bb090209d4438d401322a242aecf175b0b9e4cb770254fb",
            "8a03ca3865ec9c499bb090209d4438d401322a242aecf175b0b9e4cb77025400",
        ];
        let one = said(
            "FailedCreatePodSandBox",
            &message("grafana-785d9795dc-tq9wx", "monitoring", ids[0]),
            "monitoring",
            "grafana-785d9795dc-tq9wx",
        );
        let other = said(
            "FailedCreatePodSandBox",
            &message("pay-5c69c69b5d-m2k7d", "shop", ids[1]),
            "shop",
            "pay-5c69c69b5d-m2k7d",
        );
        assert_eq!(one, other);
        let evidence = Evidence::new(
            "event FailedCreatePodSandBox of Pod shop/pay-5c69c69b5d-m2k7d",
            format!("{} (seen 7 times)", message("pay-5c69c69b5d-m2k7d", "shop", ids[1])),
            "",
        )
        .with("namespace", "shop")
        .with("name", "pay-5c69c69b5d-m2k7d");
        assert_eq!(quoted(&evidence), Some((one, "shop".to_owned())));
        assert!(seen("FailedMount", &[("a", "b"), ("c", "d")]).value.starts_with("2 pods have the same: a/b, c/d"));
    }
}
