//! A ruler beside Prometheus (Loki's, Mimir's, Thanos', vmalert) hands its alerts to no Alertmanager.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::helm::Release;
use crate::checks::support::seen::line_evidence;
use crate::checks::{Check, check};
use crate::domain::alertmanager::old_api::{self, Posted};
use crate::domain::kubernetes::chart::release_of;
use crate::domain::kubernetes::mounts::{self, Origin};
use crate::domain::kubernetes::owner::Target;
use crate::domain::kubernetes::{arguments, proxy, service_host};
use crate::domain::prometheus::notifier::api_of;
use crate::domain::prometheus::ruler_log::{Failing, Ruler, undelivered};
use crate::domain::prometheus::targets::Address;
use crate::domain::text::redact::redact;
use crate::domain::text::send_error::SendFailure;
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, Program, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Pod, Service};

check! {
    /// See the check's page.
    RulerDisconnected {
        id: "ruler-disconnected", suite: Alerting, severity: Error,
        title: "a ruler beside Prometheus hands its alerts to no Alertmanager",
        requires: [PartLogs],
        uses: [Pods, Services, Workloads, ConfigMaps, ComponentLogs],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    ruler: &'static str,
    owner: String,
    namespace: String,
    pod: String,
    container: String,
    /// A sentence, without its full stop.
    detail: String,
    #[serde(flatten)]
    way: Way,
}

/// What is to be done.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    /// The URL is wrong, and this is the right one.
    Url {
        url: String,
        right: String,
        /// Where the API server asks it.
        status_path: String,
        /// Empty where a file says it.
        argument: &'static str,
        config_map: Option<String>,
        managed: String,
        #[serde(flatten)]
        release: Release,
    },
    /// It speaks a version of the API that this Alertmanager has no more.
    OldApi {
        host_port: String,
        /// By what it names its Alertmanagers; empty where its configuration does.
        argument: &'static str,
        /// `host:port` with the prefix, as Thanos' configuration takes it.
        scheme: String,
        path_prefix: String,
        #[serde(flatten)]
        release: Release,
    },
    /// Somebody does, and only Alertmanager says so.
    Client {
        port: u16,
    },
    Server {
        host_port: String,
        am_namespace: String,
        am_service: String,
    },
}

impl Check for RulerDisconnected {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let posted = old_api::posted(snap);
        let pods = snap.pods()?.iter().filter(|p| !p.is_finished());
        if posted.is_empty() && !pods.flat_map(|p| &p.spec.containers).any(|c| Ruler::of_image(&c.image).is_some()) {
            return Ok(Diagnosis::NotApplicable("no ruler beside Prometheus in the namespaces that were read".into()));
        }
        // Replicas say the same of one Alertmanager.
        let mut groups: BTreeMap<(String, String), Vec<Failing<'_>>> = BTreeMap::new();
        for failing in undelivered(snap)? {
            let case = Case::new(snap, &failing);
            groups.entry((case.owner().key(), case.at())).or_default().push(failing);
        }
        let findings = groups.values().filter_map(|all| {
            let times = all.iter().map(|f| f.times).sum();
            Some(Case::new(snap, all.last()?).finding(times))
        });
        let mut findings: Vec<Finding> = findings.collect();
        // Who says so of itself is known.
        let is_known = groups.values().flatten().any(|f| Case::new(snap, f).is_old_api()) || by_prometheus(snap);
        if !is_known {
            findings.extend(posted.iter().map(|p| of_unknown(snap, p)));
        }
        Ok(Diagnosis::Findings(findings))
    }
}

/// Prometheus itself posts to version 1, and has a check of its own.
fn by_prometheus(snap: &Snapshot) -> bool {
    let logs = snap.logs_of(Program::Prometheus).unwrap_or_default();
    logs.iter().any(|l| l.text.contains("/api/v1/alerts") && l.text.contains("410 Gone"))
}

/// Alertmanager alone says that somebody posts to version 1 of its API.
fn of_unknown(snap: &Snapshot, posted: &Posted<'_>) -> Finding {
    let Posted { log, line, times } = posted;
    let pod = snap.pod_of_log(log);
    let owner = snap.owner_of_log(log);
    let message = format!(
        "somebody posts alerts to version 1 of the API of Alertmanager ({} in {}), which was removed in 0.27: {times} times within 15 minutes, and each was thrown away",
        owner.kubectl_name(),
        log.namespace
    );
    let container = pod.and_then(|p| p.spec.containers.iter().find(|c| c.name == log.container));
    let port = container.and_then(|c| c.ports.first()).map_or(9093, |p| p.container_port);
    Finding::new(RulerDisconnected::META.id, Severity::Warning, owner.clone(), message)
        .key(format!("{} old-api", owner.key()))
        .breaks_nothing()
        .evidence(line_evidence(log, line))
        .fix(Fix {
            ruler: "the client",
            owner: owner.kubectl_name(),
            namespace: log.namespace.clone(),
            pod: log.pod.clone(),
            container: log.container.clone(),
            detail: redact(line),
            way: Way::Client { port },
        })
}

/// Everything about one Alertmanager that a ruler cannot send to.
struct Case<'a> {
    snap: &'a Snapshot,
    failing: &'a Failing<'a>,
    pod: Option<&'a Pod>,
    address: Option<Address>,
    /// Namespace and name of the Service that the host means, whether it exists or not.
    named: Option<(String, String)>,
    service: Option<&'a Service>,
}

impl<'a> Case<'a> {
    fn new(snap: &'a Snapshot, failing: &'a Failing<'_>) -> Self {
        let address = Address::parse(&failing.url);
        let host = address.as_ref().map_or("", |a| a.host.as_str());
        let named = service_host::in_cluster(snap, host, &failing.log.namespace).map(|s| (s.namespace, s.service));
        let service = named.as_ref().and_then(|(ns, name)| snap.services.find(ns, name).ok().flatten());
        let pod = snap.pod_of_log(failing.log);
        Self { snap, failing, pod, address, named, service }
    }

    fn owner(&self) -> ResourceRef {
        self.snap.owner_of_log(self.failing.log)
    }

    /// `host:port`.
    fn at(&self) -> String {
        self.address.as_ref().map_or_else(|| redact(&self.failing.url), Address::host_port)
    }

    /// The Service is not there, or not at this port.
    fn leads_nowhere(&self) -> Option<String> {
        let (namespace, name) = self.named.as_ref()?;
        match (self.service, self.snap.services.find(namespace, name)) {
            (Some(service), _) => {
                let port = self.address.as_ref()?.port;
                let ports: Vec<u16> = service.spec.ports.iter().map(|p| p.port).collect();
                let have = ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
                (!ports.is_empty() && !ports.contains(&port))
                    .then(|| format!("Service {namespace}/{name} has no port {port} (it has {have})"))
            }
            (None, Ok(None)) => Some(format!("Service {namespace}/{name} does not exist")),
            (None, _) => None,
        }
    }

    /// Where the path is not the one that Alertmanager serves: what is asked and what it serves.
    fn other_prefix(&self) -> Option<(String, String)> {
        if self.failing.failure.status() != Some(404) {
            return None;
        }
        let asked = api_of(self.address.as_ref()?).0.to_owned();
        let served = self.snap.scope.alertmanager.as_ref()?.prefix.clone();
        (asked != served).then_some((asked, served))
    }

    /// Version 1 of the API is asked for, and the answer is that it is gone.
    fn is_old_api(&self) -> bool {
        self.failing.failure.status() == Some(410) && self.failing.error.contains("/api/v1/")
            || self.failing.error.contains("Alertmanager v1 API was deprecated")
    }

    fn why(&self) -> String {
        if let Some(why) = self.leads_nowhere() {
            return why;
        }
        if self.is_old_api() {
            return "it posts to version 1 of the API, which Alertmanager removed in 0.27 (410 Gone)".into();
        }
        let or_root = |prefix: String| if prefix.is_empty() { "/".to_owned() } else { prefix };
        match (&self.failing.failure, self.other_prefix()) {
            (_, Some((asked, served))) => {
                format!("it answers 404: its API lies under {}, and {} is asked", or_root(served), or_root(asked))
            }
            (SendFailure::NoSuchHost(host), _) => format!("the name {host} does not resolve"),
            (SendFailure::Timeout, _) => "it does not answer in time".into(),
            (SendFailure::Refused, _) => "nothing listens there (connection refused)".into(),
            (SendFailure::Status { code, .. }, _) => format!("it answers {code}"),
            _ => redact(&self.failing.error),
        }
    }

    /// The URL of the stack's Alertmanager, as rulers take it: without the path of the API.
    fn right(&self) -> Option<String> {
        let at = self.snap.scope.alertmanager.as_ref()?;
        Some(format!("{}://{}.{}.svc:{}{}", at.scheme, at.service, at.namespace, at.port, at.prefix))
    }

    fn finding(&self, times: usize) -> Finding {
        let Failing { ruler, log, line, .. } = self.failing;
        let owner = self.owner();
        let message = format!(
            "{} ({} in {}) cannot send alerts to Alertmanager {}: {}; {times} attempts failed within 15 minutes, and nobody is told",
            ruler.name(),
            owner.kubectl_name(),
            log.namespace,
            self.at(),
            self.why()
        );
        let key = format!("{} {}", owner.key(), self.at());
        let mut made = Finding::new(RulerDisconnected::META.id, Severity::Error, owner, message)
            .key(key)
            .breaks_nothing()
            .evidence(line_evidence(log, line))
            .fix(self.fix());
        if let Some((namespace, name)) = &self.named {
            made = made.depends_on(ResourceRef::service(namespace, name));
        }
        for pod in self.service.into_iter().flat_map(|s| self.snap.pods_of_service(s)) {
            made = made.depends_on(self.snap.owner_ref(pod));
        }
        made
    }

    fn fix(&self) -> Fix {
        let log = self.failing.log;
        let right = self.right();
        let is_wrong = self.leads_nowhere().is_some()
            || self.other_prefix().is_some()
            || matches!(self.failing.failure, SendFailure::NoSuchHost(_));
        let way = match right.filter(|_| is_wrong) {
            Some(right) => self.url(right),
            // Mimir speaks version 2 alone, and knows no such field.
            None if self.is_old_api() && self.failing.ruler != Ruler::Mimir => self.old_api(),
            None => {
                let (am_namespace, am_service) = self.named.clone().unwrap_or_default();
                Way::Server { host_port: self.at(), am_namespace, am_service }
            }
        };
        Fix {
            ruler: self.failing.ruler.name(),
            owner: self.owner().kubectl_name(),
            namespace: log.namespace.clone(),
            pod: log.pod.clone(),
            container: log.container.clone(),
            detail: redact(&self.failing.error),
            way,
        }
    }

    fn old_api(&self) -> Way {
        let target = self.pod.map(|p| Target::of(self.snap, p));
        let release = target.as_ref().and_then(|t| release_of(self.snap, t.meta));
        let prefix = self.address.as_ref().map_or("", |a| api_of(a).0);
        Way::OldApi {
            host_port: self.at(),
            argument: self.failing.ruler.argument().unwrap_or_default(),
            scheme: self.address.as_ref().map_or_else(|| "http".to_owned(), |a| a.scheme.clone()),
            path_prefix: if prefix.is_empty() { "/".to_owned() } else { prefix.to_owned() },
            release: Release::of(release.as_ref()),
        }
    }

    fn url(&self, right: String) -> Way {
        let at = self.snap.scope.alertmanager.as_ref();
        let status_path = at.map(|at| proxy::of_component(at, "/api/v2/status")).unwrap_or_default();
        let container = self.pod.and_then(|p| p.spec.containers.iter().find(|c| c.name == self.failing.log.container));
        let argument = self.failing.ruler.argument().unwrap_or_default();
        let file = container.and_then(|c| arguments::flag(c, "config.file"));
        let origin = self.pod.zip(container).zip(file).map(|((p, c), file)| mounts::origin(self.snap, p, c, file));
        let config_map = match origin {
            Some(Origin::ConfigMap { name, .. }) if argument.is_empty() => Some(name),
            _ => None,
        };
        let target = self.pod.map(|p| Target::of(self.snap, p));
        let release = target.as_ref().and_then(|t| release_of(self.snap, t.meta));
        let managed = if release.is_some() { String::new() } else { target.map(|t| t.managed_by).unwrap_or_default() };
        let url = self
            .address
            .as_ref()
            .map_or_else(|| redact(&self.failing.url), |a| format!("{}://{}{}", a.scheme, a.host_port(), api_of(a).0));
        Way::Url { url, right, status_path, argument, config_map, managed, release: Release::of(release.as_ref()) }
    }
}
