//! Log lines do not arrive: what the agents say of the store that they send to.

mod config;

use std::collections::BTreeMap;

use crate::checks::support::behind::depends_on_service;
use crate::checks::{Check, check};
use crate::domain::aws::identity::Identity;
use crate::domain::kubernetes::network_policy;
use crate::domain::kubernetes::owner::Target;
use crate::domain::kubernetes::service_host::in_cluster;
use crate::domain::loki::agent::Agent;
use crate::domain::loki::agent_log::{self, Failing};
use crate::domain::loki::reason::Reason;
use crate::domain::text::redact::redact;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;

check! {
    /// See the check's page.
    LogAgent {
        id: "log-agent", suite: Logs, severity: Warning,
        title: "log lines do not arrive in their store",
        requires: [Pods],
        uses: [PartLogs, Workloads, Services, ConfigMaps, NetworkPolicies, Namespaces, ServiceAccounts],
    }
}

/// Labels that tell the streams of pods apart.
const DISTINCT: &[&str] =
    &["pod", "pod_name", "filename", "instance", "container_id", "kubernetes_pod_name", "path", "host_path"];

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
        let mut groups: BTreeMap<(String, Reason), Vec<Failing>> = BTreeMap::new();
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
}

impl<'a> Case<'a> {
    fn new(snap: &'a Snapshot, all: &'a [Failing]) -> Option<Self> {
        let last = all.iter().max_by_key(|f| f.last)?;
        let pod = snap.pods.find(&last.namespace, &last.pod).ok().flatten();
        let config = config::Config::of(snap, pod, &last.container, last.agent);
        let target = all.iter().find_map(|f| agent_log::target(&f.text)).or_else(|| config.target());
        Some(Self { snap, all, last, pod, target, config })
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
            None if self.last.text.contains("cloudwatch") => "CloudWatch Logs".to_owned(),
            None if self.last.text.contains("firehose") => "Firehose".to_owned(),
            None => "the store".to_owned(),
        }
    }

    /// Lines of several pods share one stream: its labels name none.
    fn shares_streams(&self) -> bool {
        match self.all.iter().find_map(|f| agent_log::stream(&f.text)) {
            Some(stream) => !DISTINCT.iter().any(|l| stream.contains(&format!("{l}="))),
            None => self.config.names_no_pod(self.last.agent),
        }
    }

    /// What it cannot do.
    fn fails(&self) -> String {
        match self.last.reason {
            Reason::Watches | Reason::Unreadable => "cannot read all lines".to_owned(),
            Reason::Metadata => "sends lines without the labels of their pods".to_owned(),
            Reason::Paused => "reads faster than it sends".to_owned(),
            _ => format!("cannot deliver to {}", self.place()),
        }
    }

    fn finding(&self) -> Finding {
        let last = self.last;
        let severity = if last.reason.stops_all() { Severity::Error } else { Severity::Warning };
        let owner = self.owner();
        let times: usize = self.all.iter().map(|f| f.times).sum();
        let effect = match last.reason {
            Reason::Watches | Reason::Unreadable => "lines of some pods are not sent",
            Reason::Metadata => "lines cannot be found by pod or namespace",
            Reason::Paused => "lines come late, and are lost when their file is rotated before",
            _ if self.all.iter().any(|f| f.lost) => "lines are thrown away",
            _ => "lines wait, and are lost when the buffer is full",
        };
        let message = format!(
            "{} ({}) {}: {}; {effect} ({times} times in {} of its pods' logs)",
            last.agent.words(),
            owner.kubectl_name(),
            self.fails(),
            self.why(),
            self.all.len()
        );
        let show = "kubectl logs -n {{ namespace }} {{ pod }} -c {{ container }} --since=1h";
        let mut made =
            Finding::new(LogAgent::META.id, severity, owner, message).key(format!("{:?}", last.reason)).evidence(
                Evidence::new(format!("log of pod {}/{}", last.namespace, last.pod), redact(&last.text), show)
                    .with("namespace", &last.namespace)
                    .with("pod", &last.pod)
                    .with("container", &last.container),
            );
        made.evidence.extend(self.config.evidence(&last.namespace));
        made.breaks = Some(Vec::new());
        self.set(&mut made);
        self.depends_on(made).fix(self.variant())
    }

    fn why(&self) -> String {
        let stream =
            || self.all.iter().find_map(|f| agent_log::stream(&f.text)).map(|s| format!(" {s}")).unwrap_or_default();
        match self.last.reason {
            Reason::Tenant => "it wants a tenant, and the agent names none (no org id)".into(),
            Reason::Credential => "it does not accept the agent's credential".into(),
            Reason::Order if self.shares_streams() => format!(
                "lines come too late for their stream (entry too far behind, out of order): the stream's labels{} do not tell the pods apart, so that lines of several pods share one stream",
                stream()
            ),
            Reason::Order => {
                format!("lines come too late for their stream{} (entry too far behind, out of order)", stream())
            }
            Reason::TooOld => "lines are older than it takes at all".into(),
            Reason::Rate => "it limits the rate (429)".into(),
            Reason::Streams => "the limit of streams, or of a stream's rate, is reached".into(),
            Reason::Size => "lines or requests are too large".into(),
            Reason::Labels => "it refuses the labels of streams".into(),
            Reason::Path => "it knows no such path (404)".into(),
            Reason::IndexReadOnly => "its indices are read-only, mostly because its disk is nearly full".into(),
            Reason::Mapping => "fields do not fit the index's mapping".into(),
            Reason::Shards => "it has as many shards as it may have".into(),
            Reason::TypeName => "it knows no document types any more (_type)".into(),
            Reason::Name => "the name does not resolve".into(),
            Reason::Unreachable => "it cannot be reached".into(),
            Reason::Tls => "TLS fails".into(),
            Reason::Server => "it answers with a server error (5xx)".into(),
            Reason::Files => "the agent cannot use its own files".into(),
            Reason::Watches => "the node watches no more files for it (inotify); no disk is full".into(),
            Reason::Unreadable => "it may not read the log files of the node (permission denied)".into(),
            Reason::Metadata => format!(
                "the API server does not tell it which pod a line is from (403): ServiceAccount {} may not read pods and namespaces",
                self.account()
            ),
            Reason::Denied => format!("{} may not write there (access denied)", self.identity()),
            Reason::Overload => {
                "it takes no more for now: its queues or its memory are full (rejected execution)".into()
            }
            Reason::Paused => "the memory of an input is full, so that it pauses again and again".into(),
            Reason::Unsaid => "chunks are not taken, again and again, and the log does not say why".into(),
        }
    }

    fn variant(&self) -> &'static str {
        match self.last.reason {
            Reason::Tenant => "tenant",
            Reason::Credential => "credential",
            Reason::Order if self.shares_streams() => "labels",
            Reason::Order => "late",
            Reason::TooOld => "old",
            Reason::Rate | Reason::Streams => "limits",
            Reason::Size => "size",
            Reason::Labels => "label-limit",
            Reason::Path => "path",
            Reason::IndexReadOnly => "index-read-only",
            Reason::Mapping => "index",
            Reason::Shards => "shards",
            Reason::TypeName => "type-name",
            Reason::Name => "name",
            Reason::Unreachable | Reason::Server => "unreachable",
            Reason::Tls => "tls",
            Reason::Files => "files",
            Reason::Watches => "watches",
            Reason::Unreadable => "unreadable",
            Reason::Denied => "denied",
            Reason::Metadata => "metadata",
            Reason::Overload => "overload",
            Reason::Paused => "paused",
            Reason::Unsaid => "unsaid",
        }
    }

    fn account(&self) -> &'a str {
        self.pod.map_or("default", |p| p.spec.account())
    }

    /// CloudWatch Logs knows who writes, and does not let it.
    fn is_denied_by_cloudwatch(&self) -> bool {
        let has = |words: &[&str]| words.iter().any(|w| self.last.text.contains(w));
        has(&["AccessDeniedException", "is not authorized to perform"])
            && has(&["cloudwatch", "CloudWatch", "LogStream", "LogGroup", "PutLogEvents", "logs:"])
    }

    /// The role that the ServiceAccount names.
    fn role(&self) -> Option<&'a str> {
        self.snap.service_accounts.find(&self.last.namespace, self.account()).ok().flatten()?.role_name()
    }

    /// As whom it writes to AWS.
    fn identity(&self) -> String {
        match self.role() {
            Some(role) => format!("its role {role}"),
            None => format!("its AWS identity (ServiceAccount {} names no role, so it is the node's)", self.account()),
        }
    }

    fn set(&self, made: &mut Finding) {
        let last = self.last;
        let service = self.service();
        let target = self.pod.map(|p| Target::of(self.snap, p));
        let texts = [
            ("namespace", last.namespace.clone()),
            ("pod", last.pod.clone()),
            ("container", last.container.clone()),
            ("owner", self.owner().kubectl_name()),
            ("agent", last.agent.word().to_owned()),
            ("place", self.place()),
            ("host", self.target.as_ref().map_or_else(|| "<host>".to_owned(), |(h, _)| h.clone())),
            ("detail", redact(&last.text)),
            ("account", self.account().to_owned()),
            ("account_binding", format!("{}:{}", last.namespace, self.account())),
            ("reader", format!("{}-{}-reader", last.namespace, self.account())),
            ("account_user", format!("system:serviceaccount:{}:{}", last.namespace, self.account())),
            ("role", self.role().unwrap_or_default().to_owned()),
            ("node", self.pod.and_then(|p| p.spec.node_name.clone()).unwrap_or_else(|| "<node>".to_owned())),
            ("config_kind", self.config.kind.to_owned()),
            ("config_name", self.config.name.clone()),
            ("config_key", self.config.key.clone()),
            ("service", service.as_ref().map_or_else(String::new, |(_, name)| name.clone())),
            ("service_namespace", service.as_ref().map_or_else(String::new, |(ns, _)| ns.clone())),
            (
                "config_path",
                service.as_ref().map_or_else(String::new, |(ns, name)| {
                    format!("/api/v1/namespaces/{ns}/services/{name}:3100/proxy/config")
                }),
            ),
            ("health_path", self.elastic_path("/_cluster/health?pretty")),
            ("indices_path", self.elastic_path("/_cat/indices?v&s=index")),
            ("service_target", service.as_ref().map_or_else(String::new, |(_, name)| format!("service/{name}"))),
            ("managed_by", target.map(|t| t.managed_by).unwrap_or_default()),
        ];
        for (name, value) in texts {
            made.params.set(name, value);
        }
        let of_store = [
            "overload",
            "limits",
            "old",
            "index-read-only",
            "index",
            "shards",
            "unreachable",
            "name",
            "files",
            "late",
            "watches",
            "unreadable",
            "denied",
            "metadata",
        ];
        made.params.set("changes_config", !of_store.contains(&self.variant()));
        made.params.set("to_cloudwatch", self.is_denied_by_cloudwatch());
        let partition = Identity::of(self.snap).partition;
        made.params.set("policy_arn", format!("arn:{partition}:iam::aws:policy/CloudWatchAgentServerPolicy"));
    }

    /// The Service of the host.
    fn service(&self) -> Option<(String, String)> {
        let (host, _) = self.target.as_ref()?;
        let named = in_cluster(self.snap, host, &self.last.namespace)?;
        Some((named.namespace, named.service))
    }

    /// A path of Elasticsearch behind the Service, through the API server; empty where no Service is known.
    fn elastic_path(&self, path: &str) -> String {
        let Some(((namespace, name), (_, port))) = self.service().zip(self.target.as_ref()) else {
            return String::new();
        };
        format!("/api/v1/namespaces/{namespace}/services/{name}:{}/proxy{path}", port.unwrap_or(9200))
    }

    fn depends_on(&self, finding: Finding) -> Finding {
        if matches!(self.last.reason, Reason::Credential | Reason::Denied | Reason::Metadata) {
            // In AWS it is the ServiceAccount that gives one.
            let account = self.pod.map(|p| {
                let name = p.spec.account();
                ResourceRef::service_account(&p.metadata.namespace, name)
            });
            return account.into_iter().fold(finding, Finding::depends_on);
        }
        let of_store = [
            Reason::Unreachable,
            Reason::Name,
            Reason::Server,
            Reason::Path,
            // What Loki itself says of its limits is the deeper word.
            Reason::Rate,
            Reason::Streams,
            Reason::Overload,
            Reason::Unsaid,
        ];
        if !of_store.contains(&self.last.reason) {
            return finding;
        }
        let made = match self.service() {
            Some((namespace, name)) => depends_on_service(self.snap, finding, &namespace, &name),
            None => finding,
        };
        let policies = self.pod.map(|p| network_policy::egress_policies(self.snap, p)).unwrap_or_default();
        policies.into_iter().fold(made, Finding::depends_on)
    }
}

#[cfg(test)]
mod tests;
