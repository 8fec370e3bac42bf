//! Log lines do not arrive: what the agents say of the store that they send to.

mod config;
mod fix;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeMap;
use std::path::Path;

use crate::checks::support::behind::depends_on_service;
use crate::checks::support::seen::line_evidence;
use crate::checks::{Check, check};
use crate::domain::kubernetes::network_policy;
use crate::domain::kubernetes::nodes::node_disk;
use crate::domain::kubernetes::proxy;
use crate::domain::kubernetes::service_host::asked;
use crate::domain::loki::agent::Agent;
use crate::domain::loki::agent_log::{self, Failing};
use crate::domain::loki::reason::Cause;
use crate::domain::text::log_line::{Level, Line};
use crate::domain::text::redact::redact;
use crate::domain::traffic::flows;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;
use crate::snapshot::monitoring::ContainerLog;
use fix::Fix;

check! {
    /// See the check's page.
    LogAgent {
        id: "log-agent", suite: Logs, severity: Warning,
        title: "log lines do not arrive in their store",
        requires: [Pods],
        uses: [PartLogs, Workloads, Services, ConfigMaps, NetworkPolicies, Namespaces, ServiceAccounts],
        fix: Fix,
    }
}

/// Labels that tell the streams of pods apart.
const DISTINCT: &[&str] =
    &["pod", "pod_name", "filename", "instance", "container_id", "kubernetes_pod_name", "path", "host_path"];

/// Bytes of an answer that Fluent Bit's outputs for search engines read, and those of all others.
const OF_SEARCH: u64 = 512_000;
const OF_OUTPUT: u64 = 4_096;

impl Check for LogAgent {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let mut containers = snap.pods()?.iter().flat_map(|p| &p.spec.containers);
        if !containers.any(|c| Agent::of_image(&c.image).is_some()) {
            return Ok(Diagnosis::NotApplicable("no log agent runs in the namespaces that were read".into()));
        }
        // Pods of one DaemonSet say the same: one finding for each of its reasons.
        let mut groups: BTreeMap<(String, Cause), Vec<Failing>> = BTreeMap::new();
        for failing in agent_log::failing(snap)? {
            let pod = snap.pods.find(&failing.namespace, &failing.pod).ok().flatten();
            let owner = pod.map_or_else(|| ResourceRef::pod(&failing.namespace, &failing.pod), |p| snap.owner_ref(p));
            groups.entry((owner.key(), failing.reason)).or_default().push(failing);
        }
        Ok(Diagnosis::Findings(groups.values().filter_map(|group| Some(Case::new(snap, group)?.finding())).collect()))
    }
}

/// What the pods of one agent say of one reason.
struct Case<'a> {
    snap: &'a Snapshot,
    all: &'a [Failing],
    last: &'a Failing,
    pod: Option<&'a Pod>,
    target: Option<(String, Option<u16>)>,
    config: config::Config,
    /// Why lines do not arrive, and who says so: the agent, or the store where the agent does not print the answer.
    reason: Cause,
    text: String,
    /// The store's own line, where that says why.
    store: Option<(&'a ContainerLog, &'a str)>,
}

impl<'a> Case<'a> {
    fn new(snap: &'a Snapshot, all: &'a [Failing]) -> Option<Self> {
        let last = all.iter().max_by_key(|f| f.last)?;
        let pod = snap.pods.find(&last.namespace, &last.pod).ok().flatten();
        let config = config::Config::of(snap, pod, &last.container, last.agent, last.output.as_deref());
        let target = all.iter().find_map(|f| agent_log::target(&f.text)).or_else(|| config.target());
        let (reason, text) = (last.reason, last.text.clone());
        let case = Self { snap, all, last, pod, target, config, reason, text, store: None };
        Some(match case.said_by_store() {
            Some((reason, text, log, line)) => Self { reason, text, store: Some((log, line)), ..case },
            None => case,
        })
    }

    /// What the store behind the agent's address says of lines that it refuses, where the agent does not.
    fn said_by_store(&self) -> Option<(Cause, String, &'a ContainerLog, &'a str)> {
        let (namespace, name) = self.service().filter(|_| self.reason == Cause::Refused)?;
        let service = self.snap.services.find(&namespace, &name).ok().flatten()?;
        let pods: Vec<&Pod> = self.snap.pods_of_service(service).collect();
        let of_store = |log: &&ContainerLog| !log.previous && pods.iter().any(|p| log.is_of(&p.metadata));
        let logs = self.snap.part_logs().ok()?.iter().filter(of_store);
        let lines = logs.flat_map(|log| log.text.lines().map(move |raw| (log, Line::parse(raw))));
        let lines = lines.filter(|(_, l)| matches!(l.level, Level::Warning | Level::Error));
        let recent = lines.filter(|(_, l)| !l.is_older(self.snap.collected_at, agent_log::LOST));
        let refusals = recent.filter_map(|(log, line)| {
            let text = line.text();
            Some((Cause::of(&text).filter(|r| r.is_of_lines())?, text, log, line.raw))
        });
        refusals.last()
    }

    fn owner(&self) -> ResourceRef {
        let last = self.last;
        self.pod.map_or_else(|| ResourceRef::pod(&last.namespace, &last.pod), |p| self.snap.owner_ref(p))
    }

    /// `host:port`.
    fn place(&self) -> String {
        match &self.target {
            Some((host, Some(port))) => format!("{host}:{port}"),
            Some((host, None)) => host.clone(),
            None if self.text.contains("cloudwatch") => "CloudWatch Logs".to_owned(),
            None if self.text.contains("firehose") => "Firehose".to_owned(),
            None => "the store".to_owned(),
        }
    }

    /// It sends to its own pod, because nobody tells it another host.
    fn sends_to_itself(&self) -> bool {
        let alone = self.pod.is_some_and(|p| p.spec.containers.len() == 1);
        let loopback = ["127.0.0.1", "localhost"].iter().any(|l| self.text.contains(l));
        self.reason == Cause::Unreachable && alone && loopback && self.config.lacks_host()
    }

    /// The answer that is too large is the API server's: what it tells of a pod.
    fn is_of_filter(&self) -> bool {
        agent_log::buffer(&self.text).is_none_or(|max| max != OF_SEARCH && max > OF_OUTPUT)
    }

    /// Lines of several pods share one stream: its labels name none.
    fn shares_streams(&self) -> bool {
        match agent_log::stream(&self.text).or_else(|| self.all.iter().find_map(|f| agent_log::stream(&f.text))) {
            Some(stream) => !DISTINCT.iter().any(|l| stream.contains(&format!("{l}="))),
            None => self.config.names_no_pod(self.last.agent),
        }
    }

    fn finding(&self) -> Finding {
        let last = self.last;
        let severity = if self.reason.stops_all() { Severity::Error } else { Severity::Warning };
        let owner = self.owner();
        let times: usize = self.all.iter().map(|f| f.times).sum();
        let effect = match self.reason {
            Cause::Watches | Cause::Unreadable => "lines of some pods are not sent",
            Cause::NoFiles => "no line is sent, and it is never ready",
            Cause::Buffer if !self.is_of_filter() => "what the store answers is not known, and lines may be sent twice",
            Cause::Metadata | Cause::Kubelet | Cause::Buffer => "lines cannot be found by pod or namespace",
            Cause::Parser => "lines are sent as they are, without their fields and mostly without their own time",
            Cause::Reload => "what was changed is not in force",
            Cause::Paused => "lines come late, and are lost when their file is rotated before",
            Cause::Rate if last.of_profiles() => "profiles are lost",
            _ if self.all.iter().any(|f| f.lost) => "lines are thrown away",
            _ if self.fills_disk() => {
                "lines wait in files on the disk of their node, of which nothing says how large they may grow"
            }
            _ => "lines wait, and are lost when the buffer is full",
        };
        let message = format!(
            "{} ({}) {}: {}; {effect} ({} in {} of its pods' logs)",
            last.agent.words(),
            owner.kubectl_name(),
            self.fails(),
            self.why(),
            if times == 1 { "once".to_owned() } else { format!("{times} times") },
            self.all.len()
        );
        let show = "kubectl logs -n {{ namespace }} {{ pod }} -c {{ container }} --since=1h";
        let key = format!("{} {:?}", owner.key(), self.reason);
        let mut made = Finding::new(LogAgent::META.id, severity, owner, message).key(key).evidence(
            Evidence::new(format!("log of pod {}/{}", last.namespace, last.pod), redact(&last.text), show)
                .with("namespace", &last.namespace)
                .with("pod", &last.pod)
                .with("container", &last.container),
        );
        made.evidence.extend(self.store.map(|(log, line)| line_evidence(log, line)));
        // What is wrong with the labels stands in a filter, and not in the output.
        if !matches!(self.reason, Cause::Metadata | Cause::Kubelet | Cause::Buffer | Cause::Parser) {
            made.evidence.extend(self.config.evidence(&last.namespace));
        }
        made.breaks = Some(Vec::new());
        if self.fills_disk() {
            let pods = self.all.iter().filter_map(|f| self.snap.pods.find(&f.namespace, &f.pod).ok().flatten());
            made = pods.filter_map(|p| p.spec.node_name.as_deref()).map(node_disk).fold(made, Finding::breaks);
        }
        self.depends_on(made).fix(Fix::of(self))
    }

    /// What it cannot deliver waits in files on its node, without a limit.
    fn fills_disk(&self) -> bool {
        let waits =
            matches!(self.reason, Cause::Unreachable | Cause::Name | Cause::Server | Cause::Overload | Cause::Tls);
        waits && self.config.unbounded.is_some() && !self.all.iter().any(|f| f.lost)
    }

    /// Its container has the folder of the node's pod logs; so it is where nobody knows, and beside a program it reads that
    /// one's own files.
    fn sees_logs(&self) -> bool {
        let is_of_node = |p: &Pod| self.snap.owner_ref(p).kind_label() == "DaemonSet";
        if !self.pod.is_some_and(is_of_node) {
            return true;
        }
        let container = self.pod.and_then(|p| p.spec.containers.iter().find(|c| c.name == self.last.container));
        container.is_none_or(|c| {
            c.volume_mounts.iter().any(|m| Path::new("/var/log/pods").starts_with(m.mount_path.trim_end_matches('/')))
        })
    }

    fn account(&self) -> &'a str {
        self.pod.map_or("default", |p| p.spec.account())
    }

    /// CloudWatch Logs knows who writes, and does not let it.
    fn is_denied_by_cloudwatch(&self) -> bool {
        let has = |words: &[&str]| words.iter().any(|w| self.text.contains(w));
        has(&["AccessDeniedException", "is not authorized to perform"])
            && has(&["cloudwatch", "CloudWatch", "LogStream", "LogGroup", "PutLogEvents", "logs:"])
    }

    /// The role that the ServiceAccount names.
    fn role(&self) -> Option<&'a str> {
        self.snap.service_accounts.find(&self.last.namespace, self.account()).ok().flatten()?.role_name()
    }

    /// That it names no role was seen.
    fn is_account_read(&self) -> bool {
        self.snap.service_accounts.find(&self.last.namespace, self.account()).is_ok()
    }

    /// As whom it writes to AWS.
    fn identity(&self) -> String {
        match self.role() {
            Some(role) => format!("its role {role}"),
            None if self.is_account_read() => {
                format!("its AWS identity (ServiceAccount {} names no role, so it is the node's)", self.account())
            }
            None => "its AWS identity".to_owned(),
        }
    }

    /// The Service of the host.
    fn service(&self) -> Option<(String, String)> {
        let (host, _) = self.target.as_ref()?;
        let named = asked(self.snap, host, &self.last.namespace)?;
        Some((named.namespace, named.service))
    }

    /// The scheme by which the agent asks.
    fn scheme(&self) -> &'static str {
        if self.last.text.contains("https://") { "https" } else { "http" }
    }

    /// A path of Elasticsearch behind the Service, through the API server; empty where no Service is known.
    fn elastic_path(&self, path: &str) -> String {
        let Some(((namespace, name), (_, port))) = self.service().zip(self.target.as_ref()) else {
            return String::new();
        };
        proxy::of_service(&namespace, self.scheme(), &name, port.unwrap_or(9200), path)
    }

    fn depends_on(&self, finding: Finding) -> Finding {
        if matches!(self.reason, Cause::Credential | Cause::Denied | Cause::Metadata) {
            // In AWS it is the ServiceAccount that gives one.
            let account = self.pod.map(|p| {
                let name = p.spec.account();
                ResourceRef::service_account(&p.metadata.namespace, name)
            });
            return account.into_iter().fold(finding, Finding::depends_on);
        }
        let of_store = [
            Cause::Unreachable,
            Cause::Name,
            Cause::Server,
            Cause::Path,
            // What Loki itself says of its limits is the deeper word.
            Cause::Rate,
            Cause::Streams,
            Cause::Overload,
            // A gateway may take less than the store.
            Cause::Size,
            Cause::Refused,
            Cause::Unsaid,
        ];
        if !of_store.contains(&self.reason) || self.sends_to_itself() {
            return finding;
        }
        let made = match self.service() {
            Some((namespace, name)) => depends_on_service(self.snap, finding, &namespace, &name),
            None => finding,
        };
        // Who is asked for the store's address, or what lies on the way to it.
        let way = flows::connection(&self.owner(), &self.text);
        let dns = self.text.contains("lookup ").then(|| ResourceRef::service("kube-system", "kube-dns"));
        let policies = self.pod.map(|p| network_policy::egress_policies(self.snap, p)).unwrap_or_default();
        policies.into_iter().chain(way).chain(dns).fold(made, Finding::depends_on)
    }
}
