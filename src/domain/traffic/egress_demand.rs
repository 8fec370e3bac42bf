//! Who wants to reach the internet, and who was seen to fail: notifications and image pulls, by subnet.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::domain::alertmanager::config::Config;
use crate::domain::alertmanager::log::{RECENT, recent_failures};
use crate::domain::alertmanager::notify_error::{self, Cause};
use crate::domain::alertmanager::pods::alertmanager_pods;
use crate::domain::aws::placement::Placement;
use crate::domain::crash::{self, Class};
use crate::domain::kubernetes::host::{Place, is_public, place};
use crate::domain::kubernetes::probes;
use crate::domain::kubernetes::proxy_env::has_proxy;
use crate::domain::traffic::seen::Seen;
use crate::domain::traffic::{attempts, closed_vpc};
use crate::model::{Gap, Program};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;
use crate::snapshot::probe::{Trial, Verdict};

/// What is known of one subnet's wish for the internet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Demand {
    /// Hosts on the internet that something there is configured to talk to.
    pub(crate) wanted: BTreeSet<String>,
    /// What was seen to fail there, the first of each kind.
    pub(crate) symptoms: Vec<Seen>,
    /// Addresses that connections failed for.
    pub(crate) addresses: BTreeSet<IpAddr>,
    /// A host on the internet answered something there, be it a refusal: the way is open.
    pub(crate) answered: bool,
}

/// The demand of all subnets.
#[derive(Debug, Default)]
pub(crate) struct Demands {
    by_subnet: BTreeMap<String, Demand>,
    /// Alertmanager runs, but neither its log nor its configuration could be read: whether it needs the internet is open.
    pub(crate) unknown: Option<Gap>,
}

impl Demands {
    /// Reads demand and symptoms.
    pub(crate) fn read(snap: &Snapshot, at: &Placement<'_>) -> Self {
        let mut demands = Self::default();
        demands.notifications(snap, at);
        demands.image_pulls(snap, at);
        demands.starts(snap, at);
        demands.probes(snap, at);
        demands.node_groups(snap);
        demands
    }

    /// Instances that never became nodes: without VPC endpoints they need the internet for EKS, ECR and EC2.
    fn node_groups(&mut self, snap: &Snapshot) {
        if has_endpoints_for_nodes(snap) || is_closed(snap) {
            return;
        }
        for group in snap.eks_nodegroups.iter().flatten() {
            let Some(issue) = group.join_failure() else { continue };
            let seen = Seen::NodeGroup {
                group: group.nodegroup_name.clone(),
                code: issue.code.clone(),
                message: issue.message.clone(),
            };
            for subnet in &group.subnets {
                self.entry(subnet).symptoms.push(seen.clone());
            }
        }
    }

    /// The demand of one subnet.
    pub(crate) fn of(&self, subnet: &str) -> Option<&Demand> {
        self.by_subnet.get(subnet)
    }

    fn entry(&mut self, subnet: &str) -> &mut Demand {
        self.by_subnet.entry(subnet.to_owned()).or_default()
    }

    fn notifications(&mut self, snap: &Snapshot, at: &Placement<'_>) {
        let pods = alertmanager_pods(snap);
        // Who sends through a proxy does not need a route of its own.
        let direct: Vec<&Pod> = pods.iter().map(|(pod, _)| *pod).filter(|p| !has_proxy(p)).collect();
        if !direct.is_empty()
            && let (Err(gap), Err(_)) = (snap.component_logs(), snap.alertmanager_status())
        {
            self.unknown = Some(gap);
        }
        let config = Config::of(snap);
        for pod in &direct {
            let Some(subnet) = at.of_pod(pod) else { continue };
            if let Some(config) = &config {
                let hosts = config.public_hosts(snap, &pod.metadata.namespace);
                self.entry(subnet).wanted.extend(hosts);
            }
        }
        let mut seen = BTreeSet::new();
        for failure in recent_failures(snap) {
            let reason = Cause::classify(&failure.cause, &failure.integration);
            let pod =
                direct.iter().find(|p| p.metadata.name == failure.pod && p.metadata.namespace == failure.namespace);
            let Some(subnet) = pod.and_then(|p| at.of_pod(p)) else { continue };
            let address = notify_error::address(&failure.cause);
            let entry =
                config.as_ref().and_then(|c| c.integration(&failure.receiver, &failure.integration, failure.index));
            let host = notify_error::host(&failure.cause)
                .or_else(|| config.as_ref()?.host(entry, &failure.integration))
                .or_else(|| crate::domain::alertmanager::config::known_host(&failure.integration));
            let public = host.as_deref().is_some_and(|h| place(snap, h, &failure.namespace) == Place::Public);
            if public && matches!(reason, Cause::Auth | Cause::Channel | Cause::Payload | Cause::RateLimit) {
                self.entry(subnet).answered = true;
            }
            if !reason.may_be_egress() || !public || address.is_some_and(|a| !is_public(a)) {
                continue;
            }
            self.entry(subnet).addresses.extend(address);
            if seen.insert((failure.receiver.clone(), reason, subnet.to_owned())) {
                self.entry(subnet).symptoms.push(Seen::Log {
                    namespace: failure.namespace.clone(),
                    pod: failure.pod.clone(),
                    container: String::new(),
                    previous: false,
                    line: format!("receiver {}: {}", failure.receiver, failure.cause),
                });
            }
        }
    }

    /// What was tried from inside Alertmanager's pod just now.
    fn probes(&mut self, snap: &Snapshot, at: &Placement<'_>) {
        for probe in probes::of(snap, Program::Alertmanager) {
            let pods = snap.pods().unwrap_or_default();
            let pod = pods.iter().find(|p| p.metadata.name == probe.pod && p.metadata.namespace == probe.namespace);
            let Some(subnet) = pod.filter(|p| !has_proxy(p)).and_then(|p| at.of_pod(p)) else { continue };
            let Some(host) = probe.host() else { continue };
            if !matches!(probe.trial, Trial::Http { .. }) || place(snap, &host, &probe.namespace) != Place::Public {
                continue;
            }
            match probe.verdict {
                Verdict::Answered(_) | Verdict::TlsFailed => self.entry(subnet).answered = true,
                Verdict::TimedOut => self.entry(subnet).symptoms.push(Seen::Probe(Box::new(probe.clone()))),
                _ => {}
            }
        }
    }

    fn image_pulls(&mut self, snap: &Snapshot, at: &Placement<'_>) {
        let pods = snap.pods().unwrap_or_default();
        let mut seen = BTreeSet::new();
        let closed = is_closed(snap);
        for event in snap.events().unwrap_or_default() {
            // Where there is no way out by design, AWS' own registry is reached through endpoints.
            if closed && event.message.contains(".amazonaws.com") {
                continue;
            }
            let old = !event.is_within(RECENT, snap.collected_at);
            if old || event.involved_object.kind != "Pod" || !is_pull_timeout(&event.message) {
                continue;
            }
            let address = notify_error::address(&event.message);
            let host = notify_error::host(&event.message);
            let object = &event.involved_object;
            let public = host.as_deref().is_none_or(|h| place(snap, h, &object.namespace) == Place::Public);
            if !public || address.is_some_and(|a| !is_public(a)) || (host.is_none() && address.is_none()) {
                continue;
            }
            let pod = pods.iter().find(|p| p.metadata.name == object.name && p.metadata.namespace == object.namespace);
            let Some(subnet) = pod.and_then(|p| at.of_pod(p)) else { continue };
            self.entry(subnet).addresses.extend(address);
            if seen.insert((host, subnet.to_owned())) {
                self.entry(subnet).symptoms.push(Seen::Event {
                    namespace: object.namespace.clone(),
                    pod: object.name.clone(),
                    message: event.message.clone(),
                });
            }
        }
    }
}

impl Demands {
    /// Programs that end because a host on the internet gives no answer.
    fn starts(&mut self, snap: &Snapshot, at: &Placement<'_>) {
        let pods = snap.pods.items().unwrap_or_default();
        for log in snap.crash_logs.iter().flatten() {
            let Some(crash) = crash::classify(log.program, &log.text) else { continue };
            let silent = attempts::is_silence(&crash.said) && matches!(crash.class, Class::Unreached | Class::Plugin);
            let Some(host) = notify_error::host(&crash.said).filter(|_| silent) else { continue };
            let address = notify_error::address(&crash.said);
            if place(snap, &host, &log.namespace) != Place::Public || address.is_some_and(|a| !is_public(a)) {
                continue;
            }
            let pod = pods.iter().find(|p| log.is_of(&p.metadata));
            let Some(subnet) = pod.filter(|p| !has_proxy(p)).and_then(|p| at.of_pod(p)) else { continue };
            let demand = self.entry(subnet);
            demand.addresses.extend(address);
            demand.symptoms.push(Seen::line(log, crash.said));
        }
    }
}

fn is_closed(snap: &Snapshot) -> bool {
    snap.vpc_endpoints.is_ok() && closed_vpc::of(snap).is_ok_and(|c| c.is_some())
}

/// Interface endpoints with which nodes join without any way to the internet.
fn has_endpoints_for_nodes(snap: &Snapshot) -> bool {
    let available = |suffix: &str| {
        let all = snap.vpc_endpoints.iter().flatten();
        all.filter(|e| e.state == "available").any(|e| e.service_name.ends_with(suffix))
    };
    [".ec2", ".ecr.api", ".ecr.dkr", ".s3"].iter().all(|s| available(s))
}

/// A pull that got no answer; refused, unauthorised or unknown images had one.
fn is_pull_timeout(message: &str) -> bool {
    message.contains("pull")
        && [
            "i/o timeout",
            "context deadline exceeded",
            "network is unreachable",
            "no route to host",
            "TLS handshake timeout",
        ]
        .iter()
        .any(|t| message.contains(t))
}
