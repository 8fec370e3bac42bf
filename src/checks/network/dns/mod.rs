//! The cluster's DNS does not answer the stack.

mod evidence;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::network::dns::evidence::{Failure, How, failures};
use crate::checks::support::addon;
use crate::checks::{Check, check};
use crate::domain::kubernetes::cluster_dns::{APP, NAMESPACE, service};
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::network_policy::{Direction, Policies, egress_policies, reference};
use crate::domain::prometheus::targets;
use crate::domain::traffic::dns_path::{Closed, closed};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Meta, Pod, Service, Workload};

check! {
    /// See the check's page.
    Dns {
        id: "dns", suite: Network, severity: Error,
        title: "the cluster's DNS does not answer",
        requires: [PrometheusTargets],
        uses: [ComponentLogs, CrashLogs, PartLogs, Probes, AlertmanagerStatus, Pods, Services, Workloads, EndpointSlices, NetworkPolicies, Nodes, EksCluster, EksAddons, Instances, SecurityGroups, Subnets],
        fix: Fix,
    }
}

/// Labels (`k8s-app`) of what runs on each node and leads look-ups to the servers: the cache of the node, and kube-proxy or what
/// stands in its place.
const ON_THE_WAY: &[&str] = &["node-local-dns", "kube-proxy", "cilium"];

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    /// A pod that cannot look up names, none where none is known, and a name that it asked for.
    pod_namespace: Option<String>,
    pod: Option<String>,
    container: Option<String>,
    host: String,
    /// What serves the names; none where it was not seen.
    workload: Option<String>,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    SecurityGroup {
        group: String,
        source: String,
        udp: bool,
        tcp: bool,
    },
    NoEndpoints {
        addon: bool,
        managed_by: String,
        scaled_to_zero: bool,
    },
    Upstream,
    Other {
        /// The field selector of the pods on its node.
        node_field: Option<String>,
        /// Policies that select it for what goes out.
        policies: BTreeSet<String>,
        policy_namespace: Option<String>,
    },
}

impl Check for Dns {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let failures = failures(snap)?;
        if failures.is_empty() {
            return Ok(Diagnosis::Findings(Vec::new()));
        }
        let server = Server::of(snap);
        if server.is_down(snap) {
            return Ok(Diagnosis::Findings(vec![down(snap, &server, &failures)]));
        }
        let mut found = Vec::new();
        let mut behind: BTreeMap<(String, String), (Closed<'_>, Vec<Failure<'_>>)> = BTreeMap::new();
        let mut others = Vec::new();
        for failure in failures {
            let way = failure.pod.filter(|_| failure.how == How::Silent);
            match way.and_then(|pod| closed(snap, pod, &server.ready)) {
                Some(way) => {
                    let key = (way.group.to_owned(), way.source.to_owned());
                    behind.entry(key).or_insert_with(|| (way, Vec::new())).1.push(failure);
                }
                None => others.push(failure),
            }
        }
        found.extend(behind.values().map(|(way, failures)| shut_out(snap, &server, way, failures)));
        if !others.is_empty() {
            found.push(unexplained(snap, &server, &others));
        }
        Ok(Diagnosis::Findings(found))
    }
}

/// What serves the cluster's names, as far as it was seen.
struct Server<'a> {
    service: Option<&'a Service>,
    workload: Option<&'a Workload>,
    pods: Vec<&'a Pod>,
    ready: Vec<&'a Pod>,
}

impl<'a> Server<'a> {
    fn of(snap: &'a Snapshot) -> Self {
        let own = |meta: &Meta| meta.namespace == NAMESPACE && meta.label("k8s-app") == Some(APP);
        let service = service(snap);
        let workloads = snap.workloads.items().unwrap_or_default().iter();
        let serves = |w: &&Workload| {
            let template = &w.spec.template.metadata;
            w.metadata.namespace == NAMESPACE && w.kind != "StatefulSet" && template.label("k8s-app") == Some(APP)
        };
        let pods: Vec<&Pod> =
            snap.pods.items().unwrap_or_default().iter().filter(|p| own(&p.metadata) && !p.is_finished()).collect();
        let stays = |p: &&&Pod| p.is_ready() && p.metadata.deletion_timestamp.is_none();
        let ready = pods.iter().filter(stays).copied().collect();
        let named = snap.workloads.find(NAMESPACE, "coredns").ok().flatten();
        Self { service, workload: workloads.into_iter().find(serves).or(named), pods, ready }
    }

    /// No pod is ready, and it is pods that should answer: nodes of EKS Auto Mode answer by themselves.
    fn is_down(&self, snap: &Snapshot) -> bool {
        if !snap.pods.covers(NAMESPACE) || (self.pods.is_empty() && self.workload.is_none()) {
            return false;
        }
        let ends = self.service.and_then(|s| snap.endpoints_of(s));
        self.ready.is_empty() || ends.is_some_and(|(ready, _)| ready == 0)
    }

    fn workload_ref(&self, snap: &Snapshot) -> ResourceRef {
        match (self.workload, self.pods.first()) {
            (Some(w), _) => ResourceRef::kubernetes("apps", &w.kind, NAMESPACE, &w.metadata.name),
            (None, Some(pod)) => snap.owner_ref(pod),
            (None, None) => ResourceRef::kubernetes("apps", "Deployment", NAMESPACE, "coredns"),
        }
    }

    fn service_ref(&self) -> ResourceRef {
        ResourceRef::service(NAMESPACE, self.service.map_or(APP, |s| &s.metadata.name))
    }

    fn counts(&self) -> String {
        format!("{} of {} pods with k8s-app={APP} ready", self.ready.len(), self.pods.len())
    }
}

fn down(snap: &Snapshot, server: &Server<'_>, failures: &[Failure<'_>]) -> Finding {
    let workload = server.workload_ref(snap);
    let off = server.workload.is_some_and(|w| w.desired() == 0);
    let why = match (off, server.pods.len()) {
        (true, _) => format!("{workload} is scaled to 0"),
        (false, 0) => format!("{workload} has no pod"),
        (false, n) if server.ready.is_empty() => format!("none of its {n} pods is ready"),
        (false, _) => "its Service has no ready endpoint".to_owned(),
    };
    let message = format!("{}: nobody answers behind {}, because {why}", symptom(failures), server.service_ref());
    let way = Way::NoEndpoints {
        addon: addon::named(snap, "coredns").is_some(),
        managed_by: server.workload.map(|w| managed_by(&w.metadata)).unwrap_or_default(),
        scaled_to_zero: off,
    };
    let mut made = made(snap, server, failures, server.service_ref(), message, way)
        .key("no-endpoints")
        .breaks(workload)
        // The add-on, or the pods' own faults, say more of it.
        .depends_on(ResourceRef::aws("eks", "addon", "coredns"));
    for pod in &server.pods {
        made = made.depends_on(ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name));
    }
    made
}

fn shut_out(snap: &Snapshot, server: &Server<'_>, way: &Closed<'_>, failures: &[Failure<'_>]) -> Finding {
    let protocols = way.protocols.join(" and ").replace("udp", "UDP").replace("tcp", "TCP");
    let message = format!(
        "{}: security group {} of the nodes that run CoreDNS ({}) does not admit {protocols} 53 from security group {} of the pods' nodes ({})",
        symptom(failures),
        way.group,
        way.server_nodes.join(", "),
        way.source,
        nodes(failures).join(", "),
    );
    let show = "aws ec2 describe-security-groups --group-ids {{ group }} --query 'SecurityGroups[].IpPermissions'";
    let rules = Evidence::new(format!("security group {} IpPermissions", way.group), way.rules.clone(), show)
        .with("group", way.group);
    let subject = ResourceRef::aws("ec2", "security-group", way.group);
    let way_in = Way::SecurityGroup {
        group: way.group.to_owned(),
        source: way.source.to_owned(),
        udp: way.protocols.contains(&"udp"),
        tcp: way.protocols.contains(&"tcp"),
    };
    made(snap, server, failures, subject, message, way_in)
        .key(format!("{} {}", way.group, way.source))
        .depends_on(ResourceRef::aws("ec2", "security-group", way.group))
        .evidence(rules)
}

/// The servers are ready, and no security group is in the way as far as is known.
fn unexplained(snap: &Snapshot, server: &Server<'_>, failures: &[Failure<'_>]) -> Finding {
    let answers = failures.iter().all(|f| f.how == How::Answered);
    let how = match (answers, server.pods.is_empty()) {
        (true, _) => "the servers answer, but with an error (SERVFAIL)".to_owned(),
        (false, true) => "no server of it is seen as a pod".to_owned(),
        (false, false) => format!("although {}", server.counts()),
    };
    let message = format!("{}: {how}", symptom(failures));
    let workload = server.workload_ref(snap);
    let way = if answers { Way::Upstream } else { way_there(snap, failures) };
    let mut made = made(snap, server, failures, workload.clone(), message, way)
        // What its own log says is deeper, and who leads the way to it.
        .depends_on(workload.clone())
        .depends_on(ResourceRef::workload("DaemonSet", "kube-system", "kube-proxy"))
        // The cache on each node, where there is one: pods ask it, and not CoreDNS.
        .depends_on(ResourceRef::workload("DaemonSet", "kube-system", "node-local-dns"))
        .breaks(workload);
    made.key = made.variant.to_owned();
    made.severity = severity(snap, failures);
    for pod in failures.iter().filter_map(|f| f.pod) {
        made = egress_policies(snap, pod).into_iter().fold(made, Finding::depends_on);
        // On the other nodes it may be well.
        made = made.depends_on_all(on_the_way(snap, pod));
    }
    let policies = Policies::of(snap);
    for pod in &server.pods {
        let isolating = policies.isolating(pod, Direction::Ingress);
        made = isolating.into_iter().map(reference).fold(made, Finding::depends_on);
        if !pod.is_ready() {
            made = made.depends_on(ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name));
        }
    }
    made
}

/// Pods on a pod's node that lead it to the servers, or answer in their place, and are not ready.
fn on_the_way(snap: &Snapshot, pod: &Pod) -> Vec<ResourceRef> {
    let node = pod.spec.node_name.as_deref().filter(|n| !n.is_empty());
    let leads = |p: &&Pod| ON_THE_WAY.contains(&p.metadata.label("k8s-app").unwrap_or_default());
    let here = |p: &&Pod| node.is_some() && p.spec.node_name.as_deref() == node && p.metadata.namespace == NAMESPACE;
    let all = snap.pods.items().unwrap_or_default().iter().filter(here).filter(leads);
    let down = all.filter(|p| !p.is_ready() && !p.is_finished());
    down.map(|p| ResourceRef::pod(&p.metadata.namespace, &p.metadata.name)).collect()
}

/// What may lie between a pod and the servers.
fn way_there(snap: &Snapshot, failures: &[Failure<'_>]) -> Way {
    let pods: Vec<&Pod> = failures.iter().filter_map(|f| f.pod).collect();
    let first = pods.first();
    let selected = pods.iter().flat_map(|p| egress_policies(snap, p));
    Way::Other {
        node_field: first.and_then(|p| p.spec.node_name.as_deref()).map(|n| format!("spec.nodeName={n}")),
        policies: selected.map(|p| p.name().rsplit('/').next().unwrap_or_default().to_owned()).collect(),
        policy_namespace: first.map(|p| p.metadata.namespace.clone()),
    }
}

/// One failed look-up may be a lost packet, and one name outside of the cluster may have servers that fail.
fn severity(snap: &Snapshot, failures: &[Failure<'_>]) -> Severity {
    let answered = failures.iter().all(|f| f.how == How::Answered);
    let hosts: BTreeSet<&str> = failures.iter().map(|f| f.host.as_str()).collect();
    let foreign = |host: &&str| targets::cluster_host(snap, host).is_none();
    let one_foreign = answered && hosts.len() == 1 && hosts.iter().all(foreign);
    if one_foreign || (failures.len() == 1 && failures[0].once) { Severity::Warning } else { Severity::Error }
}

fn made(
    snap: &Snapshot,
    server: &Server<'_>,
    failures: &[Failure<'_>],
    subject: ResourceRef,
    message: String,
    way: Way,
) -> Finding {
    const SHOWN: usize = 2;
    let pod = failures.iter().find_map(|f| f.pod);
    let host = failures.iter().map(|f| f.host.as_str()).find(|h| !h.is_empty());
    let workload = server.workload_ref(snap);
    let seen = server.workload.is_some() || !server.pods.is_empty();
    let fix = Fix {
        pod_namespace: pod.map(|p| p.metadata.namespace.clone()),
        pod: pod.map(|p| p.metadata.name.clone()),
        container: pod.and_then(|p| p.spec.containers.first()).map(|c| c.name.clone()),
        host: host.unwrap_or("kubernetes.default.svc.cluster.local").to_owned(),
        workload: seen.then(|| workload_path(&workload)),
        way,
    };
    let mut made = Finding::new(Dns::META.id, Severity::Error, subject, message)
        .fix(fix)
        .breaks(server.service_ref())
        .evidence_all(failures.iter().take(SHOWN).map(|f| f.seen.clone()));
    if seen {
        let show = "kubectl get pods -n kube-system -l k8s-app=kube-dns -o wide";
        made = made.evidence(Evidence::new(format!("pods of {workload}"), where_they_run(server), show));
    }
    made
}

fn workload_path(workload: &ResourceRef) -> String {
    match workload {
        ResourceRef::Kubernetes { kind, name, .. } => format!("{}/{name}", kind.to_lowercase()),
        other => other.name(),
    }
}

fn where_they_run(server: &Server<'_>) -> String {
    let mut lines = vec![server.counts()];
    lines.extend(server.pods.iter().map(|p| {
        let node = p.spec.node_name.as_deref().unwrap_or("no node");
        let state = if p.is_ready() { "ready" } else { "not ready" };
        format!("{} on {node}: {state}", p.metadata.name)
    }));
    lines.join("\n")
}

/// `2 pods (…) cannot look up names`.
fn symptom(failures: &[Failure<'_>]) -> String {
    let pods: BTreeSet<String> = failures
        .iter()
        .filter_map(|f| f.pod)
        .map(|p| format!("{}/{}", p.metadata.namespace, p.metadata.name))
        .collect();
    let pods: Vec<String> = pods.into_iter().collect();
    let hosts: BTreeSet<&str> = failures.iter().map(|f| f.host.as_str()).filter(|h| !h.is_empty()).collect();
    let who = match pods.as_slice() {
        [] => "the stack".to_owned(),
        [one] => format!("pod {one}"),
        many => format!("pods {}", many.join(", ")),
    };
    let what = match (hosts.first(), hosts.len()) {
        (None, _) => "names".to_owned(),
        (Some(first), 1) => (*first).to_owned(),
        (Some(first), n) => format!("{first} and {} more names", n - 1),
    };
    let how = match failures.first().map(|f| f.how) {
        Some(How::Silent) => "no answer",
        Some(How::Refused) => "refused",
        _ => "server error",
    };
    format!("{who} cannot look up {what} ({how})")
}

fn nodes(failures: &[Failure<'_>]) -> Vec<String> {
    let all: BTreeSet<&str> = failures.iter().filter_map(|f| f.pod?.spec.node_name.as_deref()).collect();
    all.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
