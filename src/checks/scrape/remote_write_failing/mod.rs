//! Samples do not arrive where Prometheus writes them to.

mod amp;
mod fix;
#[cfg(test)]
mod tests;
mod wal;
mod ways;
mod words;

use crate::checks::support::scrape::api_evidence;
use crate::checks::{Check, check};
use crate::domain::aws::placement::Placement;
use crate::domain::kubernetes::host::{Place as HostPlace, place};
use crate::domain::kubernetes::network_policy;
use crate::domain::kubernetes::node_clock;
use crate::domain::kubernetes::service_host;
use crate::domain::prometheus::remote_write::answer::{self, Cause, Receiver, is_page_of_proxy};
use crate::domain::prometheus::remote_write::collector::COLLECTOR;
use crate::domain::prometheus::remote_write::config::{Configured, Origin};
use crate::domain::prometheus::remote_write::queue::Queue;
use crate::domain::prometheus::remote_write::{self, Failing};
use crate::domain::prometheus::server::servers;
use crate::domain::prometheus::targets::{self, Address};
use crate::domain::text::message_size;
use crate::domain::text::redact::redact;
use crate::domain::text::send_error::SendFailure;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, Program, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;
use fix::Fix;

check! {
    /// See the check's page.
    RemoteWriteFailing {
        id: "remote-write-failing", suite: Scrape, severity: Error,
        title: "samples do not arrive where Prometheus writes them to",
        requires: [ComponentLogs],
        uses: [
            PrometheusMetrics, PrometheusConfig, Pods, Services, Workloads, ConfigMaps, MonitoringResources, ServiceAccounts,
            PartLogs, PodIdentityAssociations, NetworkPolicies, Namespaces, Nodes, Instances, Subnets, Ingresses, VpcEndpoints,
        ],
        fix: Fix,
    }
}

const SHOW_LOG: &str = "kubectl logs -n {{ namespace }} {{ pod }} -c {{ container }} --since=1h";

impl Check for RemoteWriteFailing {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let logs = snap.logs_of(Program::Prometheus)?;
        if logs.is_empty() && servers(snap).is_empty() && remote_write::agents(snap).is_empty() {
            return Ok(Diagnosis::NotApplicable("no Prometheus in the stack".into()));
        }
        let mut all = remote_write::failing(snap)?;
        // Replicas fail alike: the one that said so last stands for them.
        all.sort_by(|a, b| (&a.url, b.last).cmp(&(&b.url, a.last)));
        let mut findings: Vec<Finding> = Vec::new();
        for group in all.chunk_by(|a, b| a.url == b.url) {
            let lost = group.iter().map(|f| f.lost).sum();
            let mut case = Case::new(snap, &group[0], lost);
            case.others = others(snap, &case, group);
            findings.push(case.finding());
        }
        findings.extend(behind(snap, &all));
        findings.extend(wal::all(snap));
        Ok(Diagnosis::Findings(findings))
    }
}

/// Everything about one remote write that fails.
struct Case<'a> {
    snap: &'a Snapshot,
    failing: &'a Failing,
    lost: u64,
    reason: Cause,
    receiver: Receiver,
    pod: Option<&'a Pod>,
    configured: Configured<'a>,
    address: Option<Address>,
    /// Other workloads that write there, and are refused for the same reason.
    others: Vec<Other>,
}

/// A workload that writes to the same place.
struct Other {
    owner: ResourceRef,
    by: &'static str,
}

impl<'a> Case<'a> {
    fn new(snap: &'a Snapshot, failing: &'a Failing, lost: u64) -> Self {
        let pod = snap.pods.find(&failing.at.namespace, &failing.at.pod).ok().flatten();
        let pod = pod.or_else(|| targets::prometheus_pod(snap));
        Self {
            reason: Cause::of(&failing.failure, &failing.error),
            receiver: Receiver::of(&failing.url, failing.failure.body()),
            configured: Configured::of(snap, pod, &failing.url),
            address: Address::parse(&failing.url),
            others: Vec::new(),
            snap,
            failing,
            lost,
            pod,
        }
    }

    fn finding(&self) -> Finding {
        let at = &self.failing.at;
        let writes = match self.failing.by {
            "Prometheus" => format!("Prometheus' remote write to {}", self.target()),
            // Its log names no URL, and only which of its exporters or remote writes it is.
            by if self.address.is_none() => format!("the remote write of {by} ({})", self.target()),
            by => format!("the remote write of {by} to {}", self.target()),
        };
        let message = format!("{writes} fails: {}{}; {}", self.why(), words::others(self), self.effect());
        let mut made = Finding::new(RemoteWriteFailing::META.id, self.severity(), self.subject(), message)
            .key(self.target())
            .evidence(
                Evidence::new(format!("log of pod {}/{}", at.namespace, at.pod), self.line(), SHOW_LOG)
                    .with("namespace", &at.namespace)
                    .with("pod", &at.pod)
                    .with("container", &at.container),
            );
        made = made.also_all(self.others.iter().map(|o| o.owner.clone()));
        made.breaks = Some(Vec::new());
        if let Some(seen) = self.queue_evidence() {
            made = made.evidence(seen);
        }
        made.evidence.extend(amp::evidence(self));
        self.depends_on(made).fix(Fix::of(self))
    }

    /// An exporter of the OpenTelemetry Collector writes.
    fn is_of_collector(&self) -> bool {
        self.failing.by == COLLECTOR
    }

    /// The page that nginx or a load balancer answers by itself: the receivers answer in plain text.
    fn is_answered_by_proxy(&self) -> bool {
        is_page_of_proxy(self.failing.failure.body())
    }

    /// `host:port`, or the workspace.
    fn target(&self) -> String {
        self.address.as_ref().map_or_else(|| redact(&self.failing.url), Address::host_port)
    }

    /// The URL of a workspace holds no secret, and its path is what one looks at.
    fn line(&self) -> String {
        if self.receiver == Receiver::Amp { self.failing.line.clone() } else { redact(&self.failing.line) }
    }

    fn severity(&self) -> Severity {
        match self.reason {
            // The rest of the samples arrives.
            Cause::OutOfOrder
            | Cause::TooOld
            | Cause::Future
            | Cause::Duplicate
            | Cause::Labels
            | Cause::SeriesLimit => Severity::Warning,
            _ => Severity::Error,
        }
    }

    fn subject(&self) -> ResourceRef {
        match (&self.configured.origin, self.pod) {
            (Origin::Object { resource, .. }, _) => ResourceRef::kubernetes(
                "monitoring.coreos.com",
                &resource.kind,
                &resource.metadata.namespace,
                &resource.metadata.name,
            ),
            (_, Some(pod)) => self.snap.owner_ref(pod),
            (_, None) => ResourceRef::pod(&self.failing.at.namespace, &self.failing.at.pod),
        }
    }

    fn queue(&self) -> Option<Queue> {
        Queue::of(self.snap, &self.failing.name, &self.failing.url)
    }

    fn queue_evidence(&self) -> Option<Evidence> {
        let queue = self.queue()?;
        let mut words = Vec::new();
        words.extend(queue.never_sent().then(|| "nothing sent since Prometheus started".to_owned()));
        words.extend(queue.lag().map(|lag| format!("{lag:.0} s behind")));
        words.extend(queue.pending.map(|p| format!("{p:.0} samples pending")));
        let source = format!("prometheus_remote_storage_*{{remote_name={:?}}}", self.failing.name);
        (!words.is_empty()).then(|| api_evidence(self.snap, source, words.join(", "), "/metrics"))
    }

    /// The Service, the policies and the way out that would explain it.
    fn depends_on(&self, finding: Finding) -> Finding {
        let snap = self.snap;
        let host = self.address.as_ref().map_or("", |a| a.host.as_str());
        let mut all: Vec<ResourceRef> = Vec::new();
        let service = service_host::asked(snap, host, &self.failing.at.namespace);
        let answers_not = self.failing.failure.is_unreachable()
            || matches!(self.failing.failure, SendFailure::NoSuchHost(_))
            || matches!(self.reason, Cause::Server(_))
            // A part behind it says so, and not its gateway.
            || message_size::is_too_large(&self.failing.error);
        if let (Some(service), true) = (&service, answers_not) {
            all.push(ResourceRef::service(&service.namespace, &service.service));
            let found = snap.services.find(&service.namespace, &service.service).ok().flatten();
            let behind = found.into_iter().flat_map(|s| snap.pods_of_service(s));
            all.extend(behind.map(|pod| snap.owner_ref(pod)));
        }
        if self.failing.failure == SendFailure::Dns {
            all.push(ResourceRef::service("kube-system", "kube-dns"));
        }
        if matches!(self.failing.failure, SendFailure::Timeout | SendFailure::Dns | SendFailure::NoRoute) {
            all.extend(self.pod.map(|p| network_policy::egress_policies(snap, p)).unwrap_or_default());
            let outside = place(snap, host, &self.failing.at.namespace) == HostPlace::Public;
            all.extend(
                self.pod
                    .filter(|_| outside && self.configured.proxy.is_none())
                    .and_then(|p| Placement::new(snap).of_pod(p).map(|id| ResourceRef::aws("ec2", "subnet", id))),
            );
        }
        all.extend(amp::depends_on(self));
        // What is signed by a clock that is off is refused, whoever signs.
        if node_clock::is_refused(&self.failing.error) {
            all.push(ResourceRef::pod(&self.failing.at.namespace, &self.failing.at.pod));
        }
        all.into_iter().fold(finding, Finding::depends_on)
    }
}

/// The other workloads that write samples there of which the receiver takes one alone. Replicas of one Prometheus are one workload.
fn others(snap: &Snapshot, case: &Case<'_>, group: &[Failing]) -> Vec<Other> {
    if !matches!(case.reason, Cause::Duplicate | Cause::OutOfOrder) {
        return Vec::new();
    }
    let own = case.pod.map(|p| snap.owner_ref(p));
    let mut found: Vec<Other> = Vec::new();
    for failing in &group[1..] {
        let pod = snap.pods.find(&failing.at.namespace, &failing.at.pod).ok().flatten();
        let Some(owner) = pod.map(|p| snap.owner_ref(p)) else { continue };
        let same = Cause::of(&failing.failure, &failing.error) == case.reason;
        if same && own.as_ref() != Some(&owner) && found.iter().all(|o| o.owner != owner) {
            found.push(Other { owner, by: failing.by });
        }
    }
    found
}

/// Queues that cannot keep up although nothing fails.
fn behind(snap: &Snapshot, failing: &[Failing]) -> Vec<Finding> {
    let known = Queue::all(snap).into_iter().filter(|(_, url)| !failing.iter().any(|f| f.url == *url));
    let late = known.filter_map(|(name, url)| {
        let queue = Queue::of(snap, &name, &url).filter(|q| q.is_at_limit() && q.is_behind() == Some(true))?;
        Some(words::behind(snap, &name, &url, &queue))
    });
    late.collect()
}

/// The first part of a workspace's URL that is wrong, corrected.
fn corrected(case: &Case<'_>) -> Option<String> {
    answer::corrected(&case.failing.url).filter(|_| case.receiver == Receiver::Amp)
}
