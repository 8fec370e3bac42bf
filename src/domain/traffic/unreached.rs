//! Parts of the stack whose API gives no answer: which way was tried, and what came back.

use std::net::IpAddr;

use crate::domain::kubernetes::network_policy::{self, Direction, Policies};
use crate::domain::kubernetes::nodes::dead_nodes;
use crate::domain::prometheus::wal;
use crate::domain::text::dial;
use crate::domain::traffic::attempts::is_silence;
use crate::model::{Gap, GapCause, Program, ResourceRef};
use crate::snapshot::kubernetes::Pod;
use crate::snapshot::{Component, Snapshot};

/// Seconds that new pods have to become ready.
const STARTING: i64 = 300;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Why {
    /// The Service has pods, and none is ready.
    NoReadyPod,
    /// Connections to pods that are ready are dropped.
    Silence,
    /// Nothing listens on the pod's port.
    Refused,
    /// The URL that the user gave is not reached; the cluster was not asked.
    Given,
}

/// A part that was asked in vain.
#[derive(Debug, Clone)]
pub(crate) struct Unreached<'a> {
    pub(crate) program: Program,
    /// The Service through which it is asked; absent where a URL was given and no Service was found.
    pub(crate) at: Option<&'a Component>,
    pub(crate) why: Why,
    /// The first call in vain.
    pub(crate) gap: &'a Gap,
    /// The pods behind the Service.
    pub(crate) pods: Vec<&'a Pod>,
    /// Where the connection ended, as far as the answer says.
    pub(crate) address: Option<(IpAddr, u16)>,
    /// The URL that the user gave.
    pub(crate) url: Option<&'a str>,
}

impl Unreached<'_> {
    /// Policies that isolate its pods: what a node or the control plane sends passes them by an `ipBlock` at best.
    pub(crate) fn policies(&self, snap: &Snapshot) -> Vec<ResourceRef> {
        let policies = Policies::of(snap);
        let mut all: Vec<ResourceRef> = Vec::new();
        for policy in self.pods.iter().flat_map(|p| policies.isolating(p, Direction::Ingress)) {
            let reference = network_policy::reference(policy);
            if !all.contains(&reference) {
                all.push(reference);
            }
        }
        all
    }

    /// What would explain it: its Service, its pods with what they hang on, their nodes, the address that is not reached.
    pub(crate) fn hangs_on(&self, snap: &Snapshot) -> Vec<ResourceRef> {
        let mut all = Vec::new();
        all.extend(self.at.map(|at| ResourceRef::service(&at.namespace, &at.service)));
        all.extend(self.address.map(|(ip, _)| ResourceRef::kubernetes("", "Endpoint", "", ip.to_string())));
        for pod in &self.pods {
            all.push(ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name));
            all.push(snap.owner_ref(pod));
            all.extend(pod.status.pod_ip.as_deref().map(|ip| ResourceRef::kubernetes("", "Endpoint", "", ip)));
        }
        all.extend(dead_nodes(snap, self.pods.iter().copied()));
        all
    }
}

/// What was asked of one part.
struct Asked<'a> {
    program: Program,
    word: &'static str,
    at: Option<&'a Component>,
    answered: bool,
    gaps: Vec<&'a Gap>,
}

/// The parts that were asked and did not answer.
pub(crate) fn unreached(snap: &Snapshot) -> Vec<Unreached<'_>> {
    asked(snap).into_iter().filter_map(|asked| judge(snap, &asked)).collect()
}

/// The first reason why nobody can say whether a part answers: it was not asked, or without the right to.
pub(crate) fn unknown(snap: &Snapshot) -> Option<&Gap> {
    let silent = asked(snap).into_iter().filter(|a| a.at.is_some() && !a.answered);
    silent.filter(|a| judge(snap, a).is_none()).find_map(|a| a.gaps.first().copied())
}

fn asked(snap: &Snapshot) -> [Asked<'_>; 3] {
    macro_rules! of {
        ($program:ident, $word:literal, $at:expr, $($fact:ident),*) => {{
            let answered = [$(snap.$fact.is_ok()),*].contains(&true);
            let gaps = [$(snap.$fact.as_ref().err()),*].into_iter().flatten().collect();
            Asked { program: Program::$program, word: $word, at: $at.as_ref(), answered, gaps }
        }};
    }
    [
        of!(
            Prometheus,
            "prometheus",
            snap.scope.prometheus,
            prometheus_targets,
            prometheus_config,
            prometheus_rules,
            prometheus_runtime,
            prometheus_ready
        ),
        of!(Alertmanager, "alertmanager", snap.scope.alertmanager, alertmanager_status, alertmanager_silences),
        of!(Grafana, "grafana", snap.scope.grafana, grafana_health, grafana_datasources),
    ]
}

fn judge<'a>(snap: &'a Snapshot, asked: &Asked<'a>) -> Option<Unreached<'a>> {
    let tried = || asked.gaps.iter().copied().filter(|g| !g.is_not_collected());
    let in_vain = |g: &Gap| matches!(g.cause, GapCause::Unreachable | GapCause::Timeout);
    let gap = tried().next()?;
    // A refusal, an error page or a request to log in is an answer, or says nothing of the way.
    if asked.answered || !tried().all(in_vain) {
        return None;
    }
    let url = snap.scope.given.get(asked.word).map(String::as_str);
    let service = asked.at.and_then(|at| snap.services.find(&at.namespace, &at.service).ok().flatten());
    let pods: Vec<&Pod> = service.map(|s| snap.pods_of_service(s).collect()).unwrap_or_default();
    let address = tried().find_map(|g| dial::unanswered(&g.message));
    let why = if url.is_some() { Why::Given } else { why(snap, gap, &pods)? };
    Some(Unreached { program: asked.program, at: asked.at, why, gap, pods, address, url })
}

/// What the answer says, where the pods are not simply on their way.
fn why(snap: &Snapshot, gap: &Gap, pods: &[&Pod]) -> Option<Why> {
    // What the API server's proxy says counts; a port-forward is another way.
    let said = gap.message.split("; by port-forward: ").next().unwrap_or_default();
    let starting = |p: &&Pod| snap.age_seconds(&p.metadata) < STARTING || wal::is_replaying(snap, p);
    if pods.is_empty() || pods.iter().all(starting) {
        return None;
    }
    if said.contains("no endpoints available") {
        return (!pods.iter().any(|p| p.is_ready())).then_some(Why::NoReadyPod);
    }
    if said.contains("connection refused") {
        return Some(Why::Refused);
    }
    // What the API server answers for itself (a leader that changed, an overload) is no answer of its proxy.
    let by_proxy = said.contains("error trying to reach service");
    let hangs = gap.cause == GapCause::Timeout || (by_proxy && (is_silence(said) || dial::unanswered(said).is_some()));
    hangs.then_some(Why::Silence)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::testing::snapshot;
    use crate::snapshot::Listing;

    const DROPPED: &str = "error trying to reach service: dial tcp 10.0.1.9:9090: i/o timeout";

    fn asked_in_vain(ready: bool, created: &str, cause: GapCause, said: &str) -> Snapshot {
        let status = if ready { "True" } else { "False" };
        let pod = json!({"metadata": {"namespace": "monitoring", "name": "prometheus-0", "labels": {"app": "prometheus"},
                "creationTimestamp": created},
            "spec": {"containers": [{"name": "prometheus"}]},
            "status": {"phase": "Running", "podIP": "10.0.1.9", "conditions": [{"type": "Ready", "status": status}]}});
        let service = json!({"metadata": {"namespace": "monitoring", "name": "prometheus"},
            "spec": {"selector": {"app": "prometheus"}, "ports": [{"port": 9090}]}});
        let mut snap = snapshot(json!({"pods": [pod], "services": [service]}));
        let gap = Gap::new("prometheus /api/v1/targets", cause, said);
        *snap.prometheus_targets = Err(gap.clone());
        *snap.prometheus_rules = Err(gap);
        snap
    }

    fn why_of(snap: &Snapshot) -> Option<Why> {
        unreached(snap).first().map(|u| u.why)
    }

    const OLD: &str = "2026-11-20T02:00:00Z";

    #[test]
    fn tells_a_dropped_connection_from_pods_that_are_not_ready() {
        assert_eq!(why_of(&asked_in_vain(true, OLD, GapCause::Unreachable, DROPPED)), Some(Why::Silence));
        let hangs = asked_in_vain(true, OLD, GapCause::Timeout, "the API server's service proxy did not answer");
        assert_eq!(why_of(&hangs), Some(Why::Silence));
        let none = "no endpoints available for service \"prometheus:http\"";
        assert_eq!(why_of(&asked_in_vain(false, OLD, GapCause::Unreachable, none)), Some(Why::NoReadyPod));
        let closed = "error trying to reach service: dial tcp 10.0.1.9:9090: connect: connection refused";
        assert_eq!(why_of(&asked_in_vain(true, OLD, GapCause::Unreachable, closed)), Some(Why::Refused));
        let all = asked_in_vain(true, OLD, GapCause::Unreachable, DROPPED);
        let hangs_on = unreached(&all)[0].hangs_on(&all);
        assert!(hangs_on.contains(&ResourceRef::kubernetes("", "Endpoint", "", "10.0.1.9")), "{hangs_on:?}");
    }

    #[test]
    fn a_refusal_an_answer_and_a_start_are_none_of_it() {
        let forbidden = GapCause::Forbidden { permission: "get services/proxy".into() };
        assert_eq!(why_of(&asked_in_vain(true, OLD, forbidden, "forbidden")), None);
        let leader = "etcdserver: leader changed";
        assert_eq!(why_of(&asked_in_vain(true, OLD, GapCause::Unreachable, leader)), None);
        let starting = asked_in_vain(false, "2026-11-21T01:58:00Z", GapCause::Unreachable, "no endpoints available");
        assert_eq!(why_of(&starting), None);
        let mut answered = asked_in_vain(true, OLD, GapCause::Unreachable, DROPPED);
        *answered.prometheus_config = Ok(String::new());
        assert_eq!(why_of(&answered), None);
        let mut gone = asked_in_vain(true, OLD, GapCause::Unreachable, "no endpoints available");
        gone.pods = Listing::cluster(Vec::new());
        assert_eq!(why_of(&gone), None);
    }

    #[test]
    fn a_url_that_was_given_is_another_matter() {
        let mut snap = asked_in_vain(true, OLD, GapCause::Unreachable, "connection refused");
        snap.scope.given.insert("prometheus", "http://localhost:9090/".into());
        assert_eq!(why_of(&snap), Some(Why::Given));
    }
}
