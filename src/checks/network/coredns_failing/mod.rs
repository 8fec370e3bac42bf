//! CoreDNS itself says what it does not manage: its servers do not answer, it forwards to itself, its file is wrong.

mod fix;
mod place;
#[cfg(test)]
mod tests;
mod unready;

use std::collections::BTreeSet;

use crate::checks::support::seen::line_evidence;
use crate::checks::{Check, check};
use crate::domain::aws::resolver::{self, Resolver};
use crate::domain::kubernetes::cluster_dns::NAMESPACE;
use crate::domain::kubernetes::coredns_log::{Cause, Upstream, api_failures, faults};
use crate::domain::text::log_line::is_older;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, GapCause, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;
use crate::snapshot::monitoring::ContainerLog;
use fix::{Fix, Names};

/// Look-ups that get no answer, from which on it is no lost packet.
const OFTEN: usize = 5;
/// The same, from which on it is more than a nuisance.
const MANY: usize = 20;
/// Failures to reach the API, from which on it is more than its start or an update of the API server.
const CUT_OFF: usize = 2;
/// Seconds after which a line that says when it was written is of before.
const BEFORE: i64 = 900;

check! {
    /// See the check's page.
    CorednsFailing {
        id: "coredns-failing", suite: Network, severity: Error,
        title: "CoreDNS gets no answers, or does not work",
        requires: [PartLogs],
        uses: [Pods, Workloads, Nodes, EksCluster, EksAddons, Vpcs, Events, ConfigMaps],
        fix: Fix,
    }
}

impl Check for CorednsFailing {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let logs: Vec<&ContainerLog> = snap.part_logs()?.iter().filter(|l| is_dns(l) && !l.previous).collect();
        if logs.is_empty() {
            return match unready::finding(snap) {
                Some(found) => Ok(Diagnosis::Findings(vec![found])),
                None => unread(snap),
            };
        }
        let mut seen: Vec<Seen<'_>> = Vec::new();
        for log in logs {
            let now = |line: &str| !is_older(line, snap.collected_at, BEFORE);
            for (fault, line) in faults(&log.text).into_iter().filter(|(_, line)| now(line)) {
                match seen.iter_mut().find(|s| s.is_same(&fault)) {
                    Some(known) => known.add(fault, log),
                    None => seen.push(Seen { fault, line, logs: vec![log] }),
                }
            }
        }
        let of_log = seen.iter().filter_map(|s| finding(snap, s));
        Ok(Diagnosis::Findings(of_log.chain(unready::finding(snap)).collect()))
    }
}

/// Without a log nothing is known of a CoreDNS that runs.
fn unread(snap: &Snapshot) -> Result<Diagnosis, Gap> {
    let mut pods = snap.pods()?.iter().filter(|p| p.metadata.namespace == NAMESPACE && !p.is_finished());
    let serves = |p: &&Pod| p.spec.containers.iter().any(|c| is_image(&c.image));
    if let Some(pod) = pods.find(serves) {
        let what = format!("log of {NAMESPACE}/{}", pod.metadata.name);
        return Err(Gap::new(what, GapCause::NotCollected, "no log of CoreDNS was read"));
    }
    snap.pods.covered(NAMESPACE)?;
    Ok(Diagnosis::NotApplicable(format!("no CoreDNS runs in {NAMESPACE}")))
}

/// The log of CoreDNS or of its cache on a node.
fn is_dns(log: &ContainerLog) -> bool {
    log.namespace == NAMESPACE && is_image(&log.image)
}

fn is_image(image: &str) -> bool {
    image.contains("coredns") || image.contains("k8s-dns-node-cache")
}

/// A fault and the logs that say so.
struct Seen<'a> {
    fault: Cause,
    line: &'a str,
    logs: Vec<&'a ContainerLog>,
}

impl<'a> Seen<'a> {
    fn is_same(&self, other: &Cause) -> bool {
        match (&self.fault, other) {
            (Cause::Upstream(a), Cause::Upstream(b)) => a.server == b.server,
            (a, b) => a == b,
        }
    }

    fn add(&mut self, other: Cause, log: &'a ContainerLog) {
        self.logs.push(log);
        if let (Cause::Upstream(own), Cause::Upstream(other)) = (&mut self.fault, other) {
            own.count += other.count;
            own.refuses &= other.refuses;
            own.names.extend(other.names);
        }
    }
}

fn finding(snap: &Snapshot, seen: &Seen<'_>) -> Option<Finding> {
    let first = *seen.logs.first()?;
    let pod = snap.pods.find(&first.namespace, &first.pod).ok().flatten();
    let workload = pod.map_or_else(|| ResourceRef::workload("Deployment", NAMESPACE, "coredns"), |p| snap.owner_ref(p));
    let names = Names::of(snap, &workload);
    let (fix, why, severity, key) = match &seen.fault {
        Cause::Upstream(upstream) if upstream.count < OFTEN || upstream.names.is_empty() => return None,
        Cause::Upstream(upstream) => {
            let (fix, why) = silent(snap, upstream, &names);
            // CoreDNS does not say when: a few of them may be all that were lost in weeks.
            let many = upstream.refuses || upstream.count >= MANY;
            let severity = if many { Severity::Error } else { Severity::Warning };
            (fix, why, severity, format!("upstream {}", upstream.server))
        }
        Cause::Loop => (
            Fix::Loop { of: names.kept() },
            "forwards look-ups to itself: the server that its Corefile forwards to is CoreDNS again".to_owned(),
            Severity::Error,
            "loop".to_owned(),
        ),
        Cause::NoServers => (
            Fix::NoServers { of: names.kept(), node: pod.and_then(|p| p.spec.node_name.clone()).unwrap_or_default() },
            "does not start: its Corefile forwards to the servers of the node's /etc/resolv.conf, and that names none"
                .to_owned(),
            Severity::Error,
            "no-servers".to_owned(),
        ),
        Cause::Corefile { line, text } => {
            let at = line.map(|l| format!(" line {l}")).unwrap_or_default();
            (
                Fix::Corefile { of: names.kept() },
                format!("does not read its Corefile:{at} {text}"),
                Severity::Error,
                "corefile".to_owned(),
            )
        }
        Cause::Forbidden => (
            Fix::Forbidden { of: names.workload() },
            "may not read Services and endpoints: names of the cluster do not resolve".to_owned(),
            Severity::Error,
            "forbidden".to_owned(),
        ),
        Cause::Api if !is_cut_off(snap, seen) => return None,
        Cause::Api => (
            Fix::Api { of: names.workload() },
            "does not reach the cluster's API: names of the cluster do not resolve, or to old addresses".to_owned(),
            Severity::Warning,
            "api".to_owned(),
        ),
        Cause::TooMany => (
            Fix::TooMany { of: names.kept() },
            "forwards as many look-ups at once as it may (max_concurrent): others are refused".to_owned(),
            Severity::Warning,
            "max-concurrent".to_owned(),
        ),
    };
    let mut made = Finding::new(CorednsFailing::META.id, severity, workload.clone(), format!("{workload} {why}"))
        .key(key)
        .breaks(workload)
        .fix(fix)
        .evidence(line_evidence(first, seen.line));
    made.locations.extend(pod.and_then(|p| place::of(snap, p, &seen.fault)));
    let pods = dns_pods(snap, seen);
    if !pods.is_empty() {
        made = made.evidence(where_they_run(&pods));
    }
    if matches!(seen.fault, Cause::Api) {
        let nodes = pods.iter().filter_map(|p| p.spec.node_name.as_deref());
        made = nodes.fold(made, |made, n| made.depends_on(ResourceRef::node(n)));
    }
    Some(made)
}

/// It goes on without the API, or does not become ready without it.
fn is_cut_off(snap: &Snapshot, seen: &Seen<'_>) -> bool {
    let ready = |l: &&ContainerLog| snap.pod_of_log(l).is_none_or(|p| p.is_ready());
    seen.logs.iter().any(|l| !ready(l) || api_failures(&l.text) >= CUT_OFF)
}

/// The pods of the workload that says so.
fn dns_pods<'a>(snap: &'a Snapshot, seen: &Seen<'a>) -> Vec<&'a Pod> {
    let Some(first) = seen.logs.first().and_then(|l| snap.pod_of_log(l)) else {
        return Vec::new();
    };
    let own = snap.owner_ref(first);
    let pods = snap.pods.items().unwrap_or_default().iter();
    pods.filter(|p| !p.is_finished() && p.metadata.deletion_timestamp.is_none() && snap.owner_ref(p) == own).collect()
}

fn where_they_run(pods: &[&Pod]) -> Evidence {
    let line = |p: &&Pod| format!("{} on {}", p.metadata.name, p.spec.node_name.as_deref().unwrap_or("no node"));
    Evidence::new(
        "pods of CoreDNS",
        pods.iter().map(line).collect::<Vec<_>>().join("\n"),
        "kubectl get pods -n kube-system -l k8s-app=kube-dns -o wide",
    )
}

/// A server that does not answer: the VPC's resolver, or another one.
fn silent(snap: &Snapshot, upstream: &Upstream, names: &Names) -> (Fix, String) {
    let what = match upstream.refuses {
        true => "is refused by",
        false => "gets no answer from",
    };
    let asked = some(&upstream.names);
    let times = upstream.count;
    match resolver::of(snap, upstream.server) {
        Resolver::Vpc if forwarded(&upstream.names).is_some() => {
            let domain = forwarded(&upstream.names).unwrap_or_default();
            let why = format!(
                "{what} the VPC resolver {} for names of {domain} alone ({times} look-ups: {asked}): where names of one domain fail alone, the resolver mostly forwards them, by a rule of Route 53, to servers that do not answer",
                upstream.server
            );
            (names.forwarded(domain, upstream.server.to_string()), why)
        }
        Resolver::Vpc => {
            let pods: Vec<&Pod> = snap
                .pods
                .items()
                .unwrap_or_default()
                .iter()
                .filter(|p| p.metadata.namespace == NAMESPACE && p.metadata.label("k8s-app") == Some("kube-dns"))
                .filter(|p| p.is_ready() && p.metadata.deletion_timestamp.is_none())
                .collect();
            let nodes: BTreeSet<&str> = pods.iter().filter_map(|p| p.spec.node_name.as_deref()).collect();
            let crowded = nodes.len() == 1 && snap.nodes().is_ok_and(|n| n.iter().filter(|n| n.is_ready()).count() > 1);
            let place = match (pods.len(), nodes.first()) {
                (1, Some(node)) if crowded => format!("; its only pod runs on node {node}"),
                (n, Some(node)) if crowded => format!("; all its {n} pods run on the same node, {node}"),
                _ => String::new(),
            };
            let why = format!(
                "{what} the VPC resolver {} ({times} look-ups: {asked}){place}; a network interface may send it 1024 packets a second, what is above is dropped",
                upstream.server
            );
            (names.vpc_resolver(crowded, nodes.first().copied().unwrap_or_default()), why)
        }
        Resolver::Other => {
            let why = format!("{what} the server {} that it forwards to ({times} look-ups: {asked})", upstream.server);
            (Fix::Upstream { of: names.kept(), server: upstream.server.to_string() }, why)
        }
    }
}

/// Domains that the VPC resolver answers itself, and ends that many have in common.
const ANSWERED: &[&str] =
    &["amazonaws.com", "amazonaws.com.cn", "api.aws", "on.aws", "compute.internal", "ec2.internal", "cluster.local"];
/// Second labels below which a country gives out names: these have nothing else in common.
const REGISTRIES: &[&str] = &["ac", "co", "com", "edu", "gov", "net", "or", "org"];
/// The last labels of names that nobody but a network of one's own has.
const PRIVATE: &[&str] = &["internal", "local", "corp", "lan", "home", "intra", "intranet", "private"];

/// The domain that all names are of, where that is no accident: where the resolver is asked for too much, it leaves out what comes, and
/// not one domain alone.
fn forwarded(names: &BTreeSet<String>) -> Option<String> {
    let labels =
        |name: &str| -> Vec<String> { name.trim_end_matches('.').rsplit('.').map(str::to_ascii_lowercase).collect() };
    let mut all = names.iter().map(|n| labels(n));
    let first = all.next()?;
    let same =
        |a: Vec<String>, b: Vec<String>| a.into_iter().zip(b).take_while(|(a, b)| a == b).map(|(a, _)| a).collect();
    let mut common: Vec<String> = all.fold(first.clone(), same);
    if names.len() == 1 {
        common.pop();
    }
    let is_private = common.first().is_some_and(|l| PRIVATE.contains(&l.as_str()));
    let enough = if is_private {
        common.len() >= 2 || names.len() > 1 && !common.is_empty()
    } else {
        let needed = if common.get(1).is_some_and(|l| REGISTRIES.contains(&l.as_str())) { 3 } else { 2 };
        common.len() >= needed && names.len() > 2
    };
    common.reverse();
    let domain = common.join(".");
    let answered = ANSWERED.iter().any(|own| domain == *own || domain.ends_with(&format!(".{own}")));
    (enough && !answered).then_some(domain)
}

/// The first names, and how many more there are.
fn some(names: &BTreeSet<String>) -> String {
    const SHOWN: usize = 2;
    let shown: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more names", shown.join(", ")),
    }
}
