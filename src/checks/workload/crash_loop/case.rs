//! One crash with all that is known of it: what fills its file, what the file says now, which argument is meant.

use serde_json::{Value, json};

use crate::checks::support::named::Named;
use crate::checks::workload::crash_loop::cause::Cause;
use crate::checks::workload::crash_loop::clue::Clue;
use crate::checks::workload::crash_loop::failing::Failing;
use crate::checks::workload::crash_loop::naming::{
    argument_with, name_argument, name_holder, name_instance, name_operator, name_processor,
};
use crate::checks::workload::crash_loop::origin::{complete, origin};
use crate::domain::aws::vpc_cni;
use crate::domain::crash::{self, Class, Crash, Detail};
use crate::domain::kubernetes::chart::{Installed, release_of};
use crate::domain::kubernetes::listening::Elsewhere;
use crate::domain::kubernetes::mounts::{self, Origin};
use crate::domain::kubernetes::own_address;
use crate::domain::kubernetes::owner::{Target, workload};
use crate::domain::kubernetes::volumes;
use crate::model::Program;
use crate::snapshot::kubernetes::Node;
use crate::snapshot::{Snapshot, journal};
use crate::text::near::near;

/// Everything about one crash that its finding needs.
pub(super) struct Case<'a> {
    pub(super) snap: &'a Snapshot,
    pub(super) failing: &'a Failing<'a>,
    pub(super) target: Target<'a>,
    pub(super) crash: Option<Crash>,
    /// What fills the file or directory that the crash is about.
    pub(super) origin: Origin,
    /// The text of that file as it is now.
    pub(super) text: Option<&'a str>,
    /// The ConfigMap no longer holds what the log complains of.
    pub(super) is_corrected: bool,
    /// What there is to say where nobody reads its words.
    pub(super) clue: Clue,
}

/// A path that a probe asks for in vain.
pub(super) struct ProbePath {
    pub(super) asked: String,
    /// Where its flags make it answer, and the path of the probe there; `None` where that is not known.
    pub(super) prefix: Option<String>,
    pub(super) meant: Option<String>,
}

impl<'a> Case<'a> {
    pub(super) fn new(snap: &'a Snapshot, failing: &'a Failing<'a>) -> Self {
        let (pod, container) = (failing.pod, failing.container);
        let mut crash = match &failing.cause {
            Cause::Said(crash, _) => Some(Crash::clone(crash)),
            _ => None,
        };
        let origin = crash.as_mut().map_or(Origin::Image, |crash| origin(snap, pod, container, crash));
        let text = mounts::config_map(snap, &pod.metadata.namespace, &origin).and_then(|(_, text)| text);
        let mut is_corrected = false;
        if let (Some(crash), Some(text)) = (&mut crash, text) {
            is_corrected = complete(crash, text);
        }
        if let Some(crash) = &mut crash {
            name_argument(crash, container);
            name_instance(snap, pod, crash);
            crash::name_service(snap, pod, crash);
            crash::name_backend(snap, pod, crash);
            name_processor(snap, pod, crash);
            name_operator(snap, pod, container, crash);
            name_holder(snap, pod, container, crash);
        }
        let clue = Clue::of(snap, failing);
        Self { snap, failing, target: Target::of(snap, pod), crash, origin, text, is_corrected, clue }
    }

    /// What its words name that is set for it.
    pub(super) fn named(&self) -> Named {
        self.clue.named(self.snap, self.failing, &self.target)
    }

    /// The processor of the pod's node, as Kubernetes calls it.
    pub(super) fn arch(&self) -> Option<&'a str> {
        self.snap.node_of(self.failing.pod).and_then(Node::architecture)
    }

    pub(super) fn namespace(&self) -> &'a str {
        &self.failing.pod.metadata.namespace
    }

    pub(super) fn pod_name(&self) -> String {
        self.failing.pod.metadata.name.clone()
    }

    pub(super) fn is_prometheus(&self) -> bool {
        self.failing.container.program() == Some(Program::Prometheus)
    }

    /// The container, or the pod whose init container it is.
    pub(super) fn is_grafana(&self) -> bool {
        let own = std::iter::once(self.failing.container);
        own.chain(&self.failing.pod.spec.containers).any(|c| c.program() == Some(Program::Grafana))
    }

    /// Has a rollout stop the old pod first; empty where it does so already.
    pub(super) fn recreate_patch(&self) -> &'static str {
        match workload(self.snap, &self.target.owner) {
            Some(w) if w.kind == "Deployment" && w.spec.strategy.kind.as_deref() != Some("Recreate") => {
                r#"{"spec":{"strategy":{"type":"Recreate","rollingUpdate":null}}}"#
            }
            _ => "",
        }
    }

    /// The Helm release whose values hold Alertmanager's configuration.
    pub(super) fn release(&self) -> Option<Installed> {
        let resources = self.snap.monitoring_resources.items().unwrap_or_default().iter();
        let mut same = resources.filter(|r| {
            r.kind == "Alertmanager"
                && r.metadata.namespace == self.namespace()
                && r.metadata.name == self.target.operator_name()
        });
        release_of(self.snap, &same.next()?.metadata)
    }

    /// The key of the ConfigMap that is meant where its subPath names one that is not there: the only one, or one of nearly the name.
    pub(super) fn meant_key(&self) -> Option<&'a str> {
        let (map, text) = mounts::config_map(self.snap, self.namespace(), &self.origin)?;
        let Origin::ConfigMap { key, .. } = &self.origin else { return None };
        let keys: Vec<&str> = map.data.keys().map(String::as_str).collect();
        if text.is_some() {
            return None;
        }
        match keys.as_slice() {
            [only] => Some(*only),
            _ => near(key, keys.iter().copied()),
        }
    }

    /// Its probe is never answered, as the VPC CNI leaves the kubelet's connections to such pods.
    pub(super) fn loses_probes(&self) -> bool {
        let Cause::Probe(said) = &self.failing.cause else { return false };
        // The kubelet's client tells the connection that comes to nothing in either way, by which of its clocks ends first.
        let silent =
            ["i/o timeout", "timed out", "deadline exceeded", "Client.Timeout"].iter().any(|w| said.contains(w));
        silent && vpc_cni::loses_probes(self.snap, self.failing.pod)
    }

    /// What it is still at each time that its probe ends it.
    pub(super) fn still_at(&self) -> Option<&'static str> {
        let Cause::Probe(_) = &self.failing.cause else { return None };
        self.log().find(|text| !text.trim().is_empty()).and_then(crash::still_at)
    }

    /// Gives it half an hour to start, by the same question as its liveness probe asks; empty where that is not known, or an operator
    /// makes the pod.
    pub(super) fn startup_patch(&self) -> String {
        let container = self.failing.container;
        let asked = container.liveness_probe.as_ref().and_then(|p| p.http_get.as_ref());
        let free = self.target.in_place() && container.startup_probe.is_none();
        let Some(asked) = asked.filter(|_| free) else { return String::new() };
        let over_tls = matches!(&self.failing.cause, Cause::Probe(said) if said.contains("https://"));
        let scheme = if over_tls { "HTTPS" } else { "HTTP" };
        let handler = json!({"path": asked.path, "port": asked.port, "scheme": scheme});
        let probe = json!({"httpGet": handler, "periodSeconds": 10, "failureThreshold": 180});
        json!({"spec": {"template": {"spec": {"containers": [{"name": container.name, "startupProbe": probe}]}}}})
            .to_string()
    }

    /// The port of its probe, which is answered by a question for a login.
    pub(super) fn asks_for_a_login(&self) -> Option<String> {
        let Cause::Probe(said) = &self.failing.cause else { return None };
        said.ends_with("statuscode: 401").then(|| self.probed_port()).flatten()
    }

    /// The path of its probe, which it answers with 404: it runs, and has no such path.
    pub(super) fn asks_for_no_path(&self) -> Option<ProbePath> {
        let Cause::Probe(said) = &self.failing.cause else { return None };
        let container = self.failing.container;
        let asked = container.liveness_probe.as_ref()?.http_get.as_ref()?.path.clone()?;
        if !said.ends_with("statuscode: 404") {
            return None;
        }
        let prefix = match container.program() {
            Some(Program::Prometheus | Program::Alertmanager) => own_address::prefix(container),
            _ => None,
        };
        // The same path below the prefix that its flags set, or above the one that they no longer set.
        let own = ["/-/healthy", "/-/ready"].into_iter().find(|own| asked.ends_with(own));
        let meant = prefix.as_ref().zip(own).map(|(prefix, own)| format!("{prefix}{own}")).filter(|m| *m != asked);
        Some(ProbePath { asked, prefix: prefix.filter(|_| meant.is_some()), meant })
    }

    /// The address of its own network alone on which it listens where its probe asks, by its own log.
    pub(super) fn listens_to_itself(&self) -> Option<String> {
        let Cause::Probe(said) = &self.failing.cause else { return None };
        let port = self.probed_port().filter(|p| p.parse::<u16>().is_ok())?;
        if !said.contains("connection refused") {
            return None;
        }
        let addresses = [format!("localhost:{port}"), format!("127.0.0.1:{port}")];
        let listens = |line: &&str| ["ndpoint", "isten", "tarting"].iter().any(|w| line.contains(w));
        let mut lines = self.log().flat_map(str::lines).filter(listens);
        lines.find_map(|line| addresses.iter().find(|a| line.contains(a.as_str())).cloned())
    }

    /// The ports at which it says that it listens, where its probe asks at another one and is refused.
    pub(super) fn listens_elsewhere(&self) -> Option<Elsewhere> {
        let Cause::Probe(said) = &self.failing.cause else { return None };
        // It only adds to what the probe met.
        journal::aside(|| Elsewhere::of(self.snap, self.failing.pod, &self.failing.container.name, said))
    }

    /// The port of its liveness probe, as a number where the container names it.
    fn probed_port(&self) -> Option<String> {
        let container = self.failing.container;
        let port = &container.liveness_probe.as_ref()?.http_get.as_ref()?.port;
        let name = match port {
            Value::Number(number) => return Some(number.to_string()),
            Value::String(name) => name,
            _ => return None,
        };
        let named = container.ports.iter().find(|p| p.name.as_ref() == Some(name));
        Some(named.map_or_else(|| name.clone(), |p| p.container_port.to_string()))
    }

    /// Texts of the logs of the container that ended.
    pub(super) fn log(&self) -> impl Iterator<Item = &'a str> {
        let (meta, container) = (&self.failing.pod.metadata, &self.failing.container.name);
        let logs = self.snap.crash_logs().map(Vec::as_slice).unwrap_or_default().iter();
        let own = logs.filter(|l| l.namespace == meta.namespace && l.pod == meta.name && l.container == *container);
        own.map(|l| &*l.text)
    }

    /// The PrometheusRule behind a file of the operator: `<namespace>-<name>-<uid>.yaml`.
    pub(super) fn rule_object(&self) -> Option<(String, String)> {
        let crash = self.crash.as_ref().filter(|c| c.class == Class::Rules)?;
        let Origin::ConfigMap { name, .. } = &self.origin else { return None };
        if self.target.operator_kind().is_empty() || !name.contains("-rulefiles-") {
            return None;
        }
        let file = crash.file.as_deref()?.rsplit('/').next()?.rsplit_once('.')?.0;
        // The uid has five parts.
        let uid = file.rmatch_indices('-').nth(4).map(|(at, _)| at).filter(|at| file.len() - at == 37);
        let file = uid.map_or(file, |at| &file[..at]);
        let stack = self.snap.scope.stack.iter();
        let found =
            stack.filter_map(|ns| Some((ns.clone(), file.strip_prefix(ns.as_str())?.strip_prefix('-')?.to_owned())));
        found
            .max_by_key(|(ns, _)| ns.len())
            .or_else(|| file.split_once('-').map(|(ns, n)| (ns.to_owned(), n.to_owned())))
    }

    /// The Secret of additional scrape configurations that the operator's resource names.
    pub(super) fn additional(&self) -> Option<(String, String)> {
        let resources = self.snap.monitoring_resources.items().unwrap_or_default().iter();
        let mut same = resources
            .filter(|r| r.metadata.namespace == self.namespace() && r.metadata.name == self.target.operator_name());
        let selector = same.find_map(|r| r.spec.additional_scrape_configs.as_ref());
        selector.map(|s| (s.name.clone(), s.key.clone()))
    }

    /// The argument that is refused, and as it has to be.
    pub(super) fn argument(&self) -> (Option<String>, Option<String>) {
        let of_argument = |c: &&Crash| matches!(c.class, Class::Flag | Class::Port | Class::Bind);
        let Some(crash) = self.crash.as_ref().filter(of_argument) else { return (None, None) };
        let Some(what) = crash.what.as_deref() else { return (None, None) };
        let old = argument_with(self.failing.container, what).unwrap_or(what);
        let new = match &crash.instead {
            Some(new) => Some(old.replacen(what, new, 1)),
            // One dash too few.
            None => (crash.detail == Detail::ShortFlag).then(|| format!("--{}", old.trim_start_matches('-'))),
        };
        (Some(old.to_owned()), new)
    }
}

/// Fields of the operator's resources that become arguments.
const OPERATOR_FIELDS: &[(&str, &str)] = &[
    ("storage.tsdb.retention.time", "retention"),
    ("storage.tsdb.retention.size", "retentionSize"),
    ("data.retention", "retention"),
    ("web.external-url", "externalUrl"),
    ("web.route-prefix", "routePrefix"),
    ("log.level", "logLevel"),
    ("log.format", "logFormat"),
];

/// The field of the operator's resources from which it makes an argument.
pub(super) fn operator_field(argument: &str) -> Option<&'static str> {
    OPERATOR_FIELDS.iter().find(|(flag, _)| *flag == argument).map(|(_, field)| *field)
}

/// The data lies on a file system that is reached over the network.
pub(super) fn on_network(case: &Case<'_>) -> bool {
    let Some(claim) = mounts::claim(case.snap, case.namespace(), &case.origin) else { return false };
    let class = claim.class().and_then(|name| case.snap.storage_classes.named(name).ok().flatten());
    let volume = claim.spec.volume_name.as_deref();
    let volume = volume.and_then(|name| case.snap.persistent_volumes.named(name).ok().flatten());
    let driver = volume.and_then(|v| v.spec.csi.as_ref()).map(|c| c.driver.as_str());
    [class.map(|c| c.provisioner.as_str()), driver].into_iter().flatten().any(volumes::is_network)
}
