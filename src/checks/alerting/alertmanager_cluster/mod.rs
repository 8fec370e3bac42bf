//! Alertmanager does not find its peers: each replica notifies by itself, and silences are not shared.

mod merged;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::amtool::Amtool;
use crate::checks::{Check, check};
use crate::domain::alertmanager::members;
use crate::domain::alertmanager::pods::alertmanager_pods;
use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::network_policy::{Policies, Protocol, reference};
use crate::domain::kubernetes::service_host::in_cluster;
use crate::domain::text::log_line::Line;
use crate::domain::text::windows::RECENT;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, Program, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;

check! {
    /// See the check's page.
    AlertmanagerCluster {
        id: "alertmanager-cluster", suite: Alerting, severity: Warning,
        title: "Alertmanager does not find its peers, or finds those of others",
        requires: [ComponentLogs],
        uses: [AlertmanagerMetrics, AlertmanagerStatus, Workloads, MonitoringResources, Pods, Services, NetworkPolicies, Namespaces],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    #[serde(flatten)]
    amtool: Amtool,
    /// What makes the pod: it is there once the pod was replaced.
    owner: String,
    port: String,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    Resolve {
        service: String,
        service_missing: bool,
        /// The label of the slices of its endpoints.
        slice_selector: String,
        /// A StatefulSet makes the pod: its pods have names of their own.
        stateful: bool,
    },
    Reach,
    Merged {
        /// The operator's resource, as kubectl takes it; empty where no operator makes the pods.
        patched: String,
        patch: String,
        label: String,
        managed: String,
    },
}

/// A replica that fails to reach a peer.
struct Lonely {
    container: String,
    peer: String,
    why: String,
    line: String,
    at: Option<Timestamp>,
}

/// Seconds after its start in which the others may not be there yet: pods of a StatefulSet come one after another.
const FIRST: i64 = 180;

impl Check for AlertmanagerCluster {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let mut found: BTreeMap<(String, String), Lonely> = BTreeMap::new();
        for log in snap.logs_of(Program::Alertmanager)? {
            let pod = snap.pod_of_log(log);
            if pod.is_some_and(|p| is_off(p, &log.container)) {
                continue;
            }
            let started = pod.and_then(|p| started(p, &log.container)).filter(|_| !log.previous);
            let mut state = None;
            for line in log.text.lines() {
                let line = Line::parse(line);
                let old = |t: Timestamp| snap.seconds_since(t) > RECENT;
                // What it said before its last start is told of another process.
                if line.at.is_some_and(|t| old(t) || started.is_some_and(|s| t < s)) {
                    continue;
                }
                match told(&line) {
                    Some(Told::Failed(peer, why)) => {
                        let container = log.container.clone();
                        state = Some(Lonely { container, peer, why, line: line.raw.to_owned(), at: line.at });
                    }
                    Some(Told::Joined) => state = None,
                    None => {}
                }
            }
            if let Some(lonely) = state {
                found.insert((log.namespace.clone(), log.pod.clone()), lonely);
            }
        }
        let pods = alertmanager_pods(snap);
        let running = |(ns, name): &(String, String)| {
            pods.iter().find(|(p, _)| p.metadata.namespace == *ns && p.metadata.name == *name).map(|(p, _)| *p)
        };
        // The counter of the one that was asked tells that it has all the others by now.
        let joined = counted(snap).is_some_and(|n| n > 1.0 && n >= pods.len() as f64);
        // And its status, which of them.
        let seen = members::members(snap);
        let among = |pod: &Pod| {
            let owner = snap.owner_ref(pod);
            let mut own = pods.iter().filter(|(p, _)| snap.owner_ref(p) == owner);
            seen.as_ref().is_some_and(|seen| seen.are_several() && own.all(|(p, _)| seen.has(p)))
        };
        let alone = found.iter().filter_map(|(key, lonely)| Some((running(key)?, lonely)));
        let alone = alone.filter(|(pod, lonely)| !joined && !among(pod) && !came_later(snap, pod, lonely));
        // What keeps the replicas of one workload apart is one cause.
        type Apart<'a> = BTreeMap<(ResourceRef, bool, String), Vec<(&'a Pod, &'a Lonely)>>;
        let mut apart = Apart::new();
        for (pod, lonely) in alone {
            let key = (snap.owner_ref(pod), lonely.is_unresolved(), lonely.service(snap, pod));
            apart.entry(key).or_default().push((pod, lonely));
        }
        let findings = apart.iter().map(|((owner, _, service), all)| finding(snap, owner, service, all));
        // One alone has its cluster switched off, or nobody to share anything with.
        let merged = (pods.len() > 1).then(|| merged::finding(snap)).flatten();
        Ok(Diagnosis::Findings(findings.chain(merged).collect()))
    }
}

impl Lonely {
    fn host(&self) -> &str {
        self.peer.rsplit_once(':').map_or(self.peer.as_str(), |(host, _)| host)
    }

    /// The name of the peer does not lead to an address.
    fn is_unresolved(&self) -> bool {
        self.why.contains("no such host") || self.why.contains("resolve")
    }

    /// The Service that gives the peer its name, `pod-0.service`; empty where the peer is an address.
    fn service(&self, snap: &Snapshot, pod: &Pod) -> String {
        let host = self.host();
        if host.parse::<IpAddr>().is_ok() {
            return String::new();
        }
        let named = in_cluster(snap, host, &pod.metadata.namespace).map(|s| s.service);
        named.unwrap_or_else(|| host.split('.').nth(1).unwrap_or(host).to_owned())
    }

    /// In words.
    fn because(&self) -> &'static str {
        if self.is_unresolved() { "its name does not resolve" } else { "it cannot be reached" }
    }
}

/// The cluster is switched off: it has no peers to find.
fn is_off(pod: &Pod, container: &str) -> bool {
    let container = pod.spec.containers.iter().find(|c| c.name == container);
    container.is_some_and(|c| arguments::flag(c, "cluster.listen-address") == Some(""))
}

/// The peer was not there yet when this one started, and is now, behind the Service that gives it its name: each quarter of
/// a minute it is looked for again, and only what fails is told.
fn came_later(snap: &Snapshot, pod: &Pod, lonely: &Lonely) -> bool {
    let mut words = lonely.host().split('.');
    let (Some(peer), Some(service)) = (words.next(), words.next()) else { return false };
    let namespace = &pod.metadata.namespace;
    let began = started(pod, &lonely.container).zip(lonely.at);
    let at_start = began.is_some_and(|(s, at)| (0..FIRST).contains(&(at.as_second() - s.as_second())));
    let settled = lonely.at.is_some_and(|at| snap.seconds_since(at) > FIRST);
    let serves = |p: &Pod| p.metadata.name == peer && p.is_ready();
    let behind = || {
        let service = snap.services.find(namespace, service).ok().flatten();
        service.is_some_and(|s| snap.pods_of_service(s).any(serves))
    };
    at_start && settled && behind()
}

/// When a container was last started.
fn started(pod: &Pod, container: &str) -> Option<Timestamp> {
    let status = pod.status.container_statuses.iter().find(|s| s.name == container)?;
    status.state.running.as_ref()?.started_at
}

enum Told {
    Failed(String, String),
    Joined,
}

/// What a line says of the cluster.
fn told(line: &Line<'_>) -> Option<Told> {
    let text = line.text();
    let of_cluster =
        line.get("component") == "cluster" || text.contains("gossip mesh") || text.contains("join cluster");
    if !of_cluster {
        return None;
    }
    if text.contains("peer joined") || (text.contains("refresh") && line.get("result") == "success") {
        return Some(Told::Joined);
    }
    if line.err.is_empty() {
        return None;
    }
    let why = line.err.split("* ").nth(1).unwrap_or(&line.err).lines().next().unwrap_or_default().trim();
    let named = match why.strip_prefix("Failed to resolve ").or(why.strip_prefix("Failed to join ")) {
        Some(rest) => rest.split(": ").next().unwrap_or_default(),
        None => line.get("addr"),
    };
    (!named.is_empty()).then(|| Told::Failed(named.to_owned(), why.to_owned()))
}

/// Members that the asked replica counts, itself among them.
fn counted(snap: &Snapshot) -> Option<f64> {
    snap.alertmanager_metrics().ok()?.iter().find(|s| s.name == "alertmanager_cluster_members").map(|s| s.value)
}

/// One finding about the replicas of a workload that one thing keeps apart.
fn finding(snap: &Snapshot, owner: &ResourceRef, service: &str, all: &[(&Pod, &Lonely)]) -> Finding {
    let (pod, lonely) = all[0];
    let namespace = &pod.metadata.namespace;
    let unresolved = lonely.is_unresolved();
    let way = if unresolved {
        Way::Resolve {
            service_missing: snap.services.find(namespace, service).is_ok_and(|s| s.is_none()),
            slice_selector: format!("kubernetes.io/service-name={service}"),
            stateful: owner.kind_label() == "StatefulSet",
            service: service.to_owned(),
        }
    } else {
        Way::Reach
    };
    let own = pod.spec.containers.iter().find(|c| c.name == lonely.container);
    let fix = Fix {
        amtool: Amtool::of_log(namespace, &pod.metadata.name, own.map(|c| (pod, c))),
        owner: owner.kubectl_name(),
        port: lonely.peer.rsplit_once(':').map_or("9094", |(_, port)| port).to_owned(),
        way,
    };
    let mut made = Finding::new(AlertmanagerCluster::META.id, Severity::Warning, owner.clone(), message(owner, all))
        .also_all(all.iter().map(|(p, _)| ResourceRef::pod(&p.metadata.namespace, &p.metadata.name)))
        .evidence_all(all.iter().map(|(p, lonely)| said(p, lonely)))
        .key(format!("{} {} {service}", owner.key(), if unresolved { "names" } else { "ways" }))
        .fix(fix);
    if !service.is_empty() {
        made = made.depends_on(ResourceRef::service(namespace, service));
    }
    if !unresolved {
        made = all.iter().fold(made, |made, (p, lonely)| made.depends_on_all(closing(snap, p, &lonely.peer)));
    }
    // It runs and notifies: nothing else is broken by it.
    made.breaks_nothing()
}

fn message(owner: &ResourceRef, all: &[(&Pod, &Lonely)]) -> String {
    let (pod, lonely) = all[0];
    if let [_] = all {
        let (namespace, name) = (&pod.metadata.namespace, &pod.metadata.name);
        return format!(
            "Alertmanager {namespace}/{name} runs alone: it does not join its peer {}, {} ({})",
            lonely.peer,
            lonely.because(),
            lonely.why
        );
    }
    let peers: BTreeSet<&str> = all.iter().map(|(_, l)| l.peer.as_str()).collect();
    let peers: Vec<&str> = peers.into_iter().collect();
    let (count, why) = (all.len(), &lonely.why);
    match peers.as_slice() {
        [peer] => {
            format!(
                "{count} replicas of Alertmanager ({owner}) do not join their peer {peer}, {} ({why})",
                lonely.because()
            )
        }
        _ => {
            let because = if lonely.is_unresolved() { "the names do not resolve" } else { "they cannot be reached" };
            format!(
                "{count} replicas of Alertmanager ({owner}) run alone, each by itself: they do not join their peers {}, {because} ({why})",
                peers.join(", ")
            )
        }
    }
}

/// The line of a replica's log.
fn said(pod: &Pod, lonely: &Lonely) -> Evidence {
    let (namespace, name) = (&pod.metadata.namespace, &pod.metadata.name);
    Evidence::new(
        format!("log of pod {namespace}/{name}"),
        lonely.line.clone(),
        "kubectl logs -n {{ namespace }} {{ pod }} -c {{ container }} --since=1h",
    )
    .with("namespace", namespace)
    .with("pod", name)
    .with("container", &lonely.container)
}

/// The policies that keep it from its peer, which are told of by themselves.
fn closing(snap: &Snapshot, pod: &Pod, peer: &str) -> Vec<ResourceRef> {
    let Some((host, port)) = peer.rsplit_once(':') else { return Vec::new() };
    let named = host.split('.').next().unwrap_or_default();
    let by_name = || snap.pods.find(&pod.metadata.namespace, named).ok().flatten();
    let Some(other) = snap.pod_by_ip(host).or_else(by_name) else { return Vec::new() };
    let block = port.parse().ok().and_then(|p| Policies::of(snap).between(pod, other, Protocol::Tcp, p));
    block.map(|b| b.policies.into_iter().map(reference).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::checks::support::testing::findings;
    use crate::domain::testing::snapshot;
    use crate::snapshot::monitoring::ContainerLog;

    #[test]
    fn both_wordings_name_the_peer() {
        for raw in [
            r#"time=2026-11-21T03:14:04.326Z level=WARN source=cluster.go:271 msg="failed to join cluster" component=cluster err="1 error occurred:\n\t* Failed to resolve am-1.am:9094: lookup am-1.am on 172.20.0.10:53: no such host\n\n""#,
            r#"ts=2026-11-21T03:14:19.184Z caller=cluster.go:471 level=warn component=cluster msg=refresh result=failure addr=am-1.am:9094 err="1 error occurred:\n\t* Failed to resolve am-1.am:9094: lookup am-1.am on 172.20.0.10:53: no such host\n\n""#,
            r#"ts=2026-11-21T03:14:19.184Z caller=cluster.go:471 level=warn component=cluster msg=reconnect result=failure peer=X addr=am-1.am:9094 err="dial tcp 10.0.0.9:9094: i/o timeout""#,
        ] {
            assert!(matches!(told(&Line::parse(raw)), Some(Told::Failed(peer, _)) if peer == "am-1.am:9094"), "{raw}");
        }
    }

    #[test]
    fn replicas_that_one_thing_keeps_apart_are_one_finding() {
        let of = |peers: [(&str, &str); 2]| {
            let pod = |name: &str| {
                json!({"metadata": {"name": name, "namespace": "monitoring",
                        "ownerReferences": [{"kind": "StatefulSet", "name": "am", "controller": true}]},
                    "spec": {"containers": [{"name": "alertmanager", "image": "prom/alertmanager:v0.28.1"}]},
                    "status": {"phase": "Running", "containerStatuses": [
                        {"name": "alertmanager", "ready": true, "state": {"running": {"startedAt": "2026-11-21T01:50:00Z"}}}]}})
            };
            let mut snap = snapshot(json!({"pods": peers.map(|(name, _)| pod(name))}));
            *snap.component_logs = Ok(Vec::from(peers.map(|(name, peer)| ContainerLog {
                namespace: "monitoring".into(),
                pod: name.into(),
                container: "alertmanager".into(),
                program: Some(Program::Alertmanager),
                text: FAILED.replace("am-1.am", peer).into(),
                ..ContainerLog::default()
            })));
            findings(&AlertmanagerCluster, &snap)
        };
        let apart = of([("am-0", "am-1.am"), ("am-1", "am-0.am")]);
        assert_eq!(apart.len(), 1);
        assert!(apart[0].message.contains("2 replicas") && apart[0].message.contains("am-0.am:9094, am-1.am:9094"));
        assert_eq!((apart[0].subjects.len(), apart[0].evidence.len()), (3, 2), "the workload and its pods");
        let gone = of([("am-0", "am-2.am"), ("am-1", "am-2.am")]);
        assert!(gone[0].message.contains("do not join their peer am-2.am:9094"), "{}", gone[0].message);
        assert_eq!(of([("am-0", "am-1.am"), ("am-1", "am-0.other")]).len(), 2, "names of two Services");
    }

    const FAILED: &str = r#"time=2026-11-21T01:50:04.326Z level=WARN msg="failed to join cluster" component=cluster err="1 error occurred:\n\t* Failed to resolve am-1.am:9094: lookup am-1.am on 172.20.0.10:53: no such host\n\n""#;

    fn failed() -> ContainerLog {
        ContainerLog {
            namespace: "monitoring".into(),
            pod: "am-0".into(),
            container: "alertmanager".into(),
            program: Some(Program::Alertmanager),
            text: FAILED.into(),
            ..ContainerLog::default()
        }
    }

    fn said(arg: &str, started: &str) -> usize {
        let mut snap = snapshot(json!({"pods": [{"metadata": {"name": "am-0", "namespace": "monitoring"},
            "spec": {"containers": [{"name": "alertmanager", "image": "prom/alertmanager:v0.28.1", "args": [arg]}]},
            "status": {"phase": "Running", "containerStatuses": [
                {"name": "alertmanager", "ready": true, "state": {"running": {"startedAt": started}}}]}}]}));
        *snap.component_logs = Ok(vec![failed()]);
        findings(&AlertmanagerCluster, &snap).len()
    }

    #[test]
    fn a_cluster_that_is_off_and_what_was_said_before_the_last_start_are_quiet() {
        let peer = "--cluster.peer=am-1.am:9094";
        assert_eq!(said(peer, "2026-11-21T01:50:00Z"), 1);
        assert_eq!(said(peer, "2026-11-21T01:55:00Z"), 0, "another process said it");
        assert_eq!(said("--cluster.listen-address=", "2026-11-21T01:50:00Z"), 0, "it is switched off");
    }

    #[test]
    fn a_peer_that_came_later_was_found() {
        let with = |service: serde_json::Value| {
            let pod = |name: &str, started: &str| {
                json!({"metadata": {"name": name, "namespace": "monitoring", "labels": {"app": "am"}},
                    "spec": {"containers": [{"name": "alertmanager", "image": "prom/alertmanager:v0.28.1"}]},
                    "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}], "containerStatuses": [
                        {"name": "alertmanager", "ready": true, "state": {"running": {"startedAt": started}}}]}})
            };
            let mut snap = snapshot(json!({"services": [service],
                "pods": [pod("am-0", "2026-11-21T01:50:00Z"), pod("am-1", "2026-11-21T01:50:20Z")]}));
            *snap.component_logs = Ok(vec![failed()]);
            findings(&AlertmanagerCluster, &snap).len()
        };
        let service = |app: &str| json!({"metadata": {"name": "am", "namespace": "monitoring"}, "spec": {"selector": {"app": app}}});
        assert_eq!(with(service("am")), 0);
        assert_eq!(with(service("other")), 1, "the name is that of another Service's pods");
    }

    #[test]
    fn a_policy_that_closes_the_way_is_the_reason() {
        let replica = |name: &str, ip: &str| {
            json!({"metadata": {"name": name, "namespace": "monitoring", "labels": {"app": "am"}},
                "spec": {"containers": [{"name": "alertmanager", "image": "prom/alertmanager:v0.28.1"}]},
                "status": {"phase": "Running", "podIP": ip}})
        };
        let with = |port: u16| {
            let policy = json!({"metadata": {"name": "am", "namespace": "monitoring"}, "spec": {
                "podSelector": {"matchLabels": {"app": "am"}}, "policyTypes": ["Ingress"],
                "ingress": [{"ports": [{"port": port, "protocol": "TCP"}]}]}});
            let snap = snapshot(json!({"pods": [replica("am-0", "10.0.0.1"), replica("am-1", "10.0.0.2")],
                "network_policies": [policy]}));
            let pod = &snap.pods.items().expect("pods")[0];
            closing(&snap, pod, "10.0.0.2:9094").len()
        };
        assert_eq!((with(9093), with(9094)), (1, 0));
    }

    #[test]
    fn waiting_and_settling_are_no_faults() {
        for raw in [
            r#"level=info component=cluster msg="Waiting for gossip to settle..." interval=2s"#,
            r#"level=info component=cluster msg="gossip settled; proceeding" elapsed=10s"#,
            r#"level=error component=dispatcher msg="Notify for alerts failed" err="Post x: no such host""#,
        ] {
            assert!(told(&Line::parse(raw)).is_none(), "{raw}");
        }
    }
}
