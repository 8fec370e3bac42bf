//! One crash with all that is known of it: what fills its file, what the file says now, which argument is meant.

use serde_json::Value;

use crate::checks::workload::crash_loop::cause::Cause;
use crate::checks::workload::crash_loop::clue::Clue;
use crate::checks::workload::crash_loop::datasources;
use crate::checks::workload::crash_loop::failing::Failing;
use crate::domain::aws::credentials;
use crate::domain::aws::ebs;
use crate::domain::aws::endpoints;
use crate::domain::aws::identity::Identity;
use crate::domain::aws::placement::Placement;
use crate::domain::aws::vpc_cni;
use crate::domain::crash::{Class, Crash, Detail, is_usage, last_lines, telling};
use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::chart::{Installed, release_of};
use crate::domain::kubernetes::cluster_dns;
use crate::domain::kubernetes::foundation;
use crate::domain::kubernetes::image::base_of;
use crate::domain::kubernetes::listening::Elsewhere;
use crate::domain::kubernetes::mounts::{self, Mounts, Origin};
use crate::domain::kubernetes::network_policy::egress_policies;
use crate::domain::kubernetes::nodes::KUBELET_PORT;
use crate::domain::kubernetes::own_store;
use crate::domain::kubernetes::owner::{Target, operator_resource, workload};
use crate::domain::kubernetes::runtime_error;
use crate::domain::kubernetes::service_host::in_cluster;
use crate::domain::kubernetes::starting::says_failure;
use crate::domain::kubernetes::volumes;
use crate::domain::kubernetes::webhooks;
use crate::domain::prometheus::operator;
use crate::domain::prometheus::operator::deployment::{Operator, operators};
use crate::domain::text::log_line::{Level, Line};
use crate::domain::traffic::attempts;
use crate::lint::{Place, frame};
use crate::model::{Evidence, Finding, Location, Program, ResourceRef};
use crate::snapshot::kubernetes::{Container, Node, Pod, Volume};
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
            name_service(snap, pod, crash);
            name_processor(snap, pod, crash);
            name_operator(snap, pod, container, crash);
            name_holder(snap, pod, container, crash);
        }
        let clue = Clue::of(snap, failing);
        Self { snap, failing, target: Target::of(snap, pod), crash, origin, text, is_corrected, clue }
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

    /// Why it ends, in one sentence.
    pub(super) fn sentence(&self) -> String {
        match (&self.failing.cause, &self.crash) {
            (_, Some(crash)) => {
                let mut text = crash.sentence();
                if crash.class == Class::Device && on_network(self) {
                    let text_of_disk = text.replacen("the disk gives errors: ", "", 1);
                    text = format!("the network file system that its data lies on gives errors: {text_of_disk}");
                }
                if let (true, Origin::ConfigMap { name, .. }) = (self.is_corrected, &self.origin) {
                    text.push_str(&format!(
                        "; ConfigMap {name} no longer holds it, but the pod still has the old file"
                    ));
                } else if let Some(missing) = self.missing_key() {
                    text.push_str(&format!("; {missing}"));
                }
                text
            }
            (Cause::Probe(said), _) if self.loses_probes() => format!(
                "the kubelet ends it because {said}; the pod has security groups of its own, and the VPC CNI is not set up to let probes through to such pods"
            ),
            (Cause::Probe(said), _) if self.asks_for_a_login().is_some() => format!(
                "the kubelet ends it because its probe brings no login, and the program asks everybody for one ({said})"
            ),
            (Cause::Probe(said), _) => match self.listens_to_itself() {
                Some(address) => format!(
                    "the kubelet ends it because it answers its probe on {address} only, which nobody outside the container reaches ({said})"
                ),
                None => {
                    let more = self.listens_elsewhere().map(|e| e.words()).or_else(|| self.last_words());
                    let more = more.map(|m| format!("; {m}")).unwrap_or_default();
                    format!("the kubelet ends it because {said}{more}")
                }
            },
            (Cause::Hook(said), _) => format!("the kubelet ends it because its postStart hook fails: {said}"),
            (Cause::Ends(..), _) => "it comes to its end without an error: its command does not stay up".to_owned(),
            (Cause::Unread(gap), _) => format!("its log could not be read ({gap})"),
            (Cause::Unknown(..), _) if self.log().any(is_usage) => {
                "it prints how it is used and ends: it lacks an argument or a variable, or gets one that it does not take".to_owned()
            }
            (Cause::Unknown(lines, _), _) => match telling(lines) {
                Some(line) if self.never_began() => match self.runtime() {
                    Some((said, known)) => {
                        let meaning = known.meaning().map(|m| format!(": {m}")).unwrap_or_default();
                        format!("the container runtime of its node fails ({said}){meaning}")
                    }
                    None => format!("the container runtime refuses it: {line}"),
                },
                Some(line) if Line::parse(&line).level == Level::Warning => {
                    format!("its log ends without an error, with the warning: {line}")
                }
                Some(line) => format!("its log ends with: {line}"),
                None if self.log().next().is_none() => "its last log is not to be had".to_owned(),
                None => "its log is empty".to_owned(),
            },
            (Cause::Said(..), None) => String::new(),
        }
    }

    /// The runtime ended it before its program began: what is said of it is the runtime's word, and no log.
    pub(super) fn never_began(&self) -> bool {
        let ended = self.failing.status.ended();
        ended.is_some_and(|t| matches!(t.reason.as_str(), "StartError" | "ContainerCannotRun"))
    }

    /// What the runtime met, where that lies with the node.
    pub(super) fn runtime(&self) -> Option<(&'a str, runtime_error::Known)> {
        let ended = self.failing.status.ended().filter(|_| self.never_began())?;
        runtime_error::of_node(ended.message.as_deref()?)
    }

    /// `ConfigMap x has no key y`, where a file is missing because of that.
    fn missing_key(&self) -> Option<String> {
        let crash = self.crash.as_ref()?;
        if !matches!(crash.class, Class::ConfigMissing | Class::ConfigDirectory | Class::WebConfig) {
            return None;
        }
        let (map, text) = mounts::config_map(self.snap, self.namespace(), &self.origin)?;
        let Origin::ConfigMap { name, key } = &self.origin else { return None };
        if text.is_some() || key.is_empty() {
            return None;
        }
        let keys: Vec<&str> = map.data.keys().map(String::as_str).collect();
        Some(format!("ConfigMap {name} has no key {key} (it has {})", keys.join(", ")))
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
        // Who connects and waits for the answer has a slow program before it.
        let silent = said.contains("dial tcp") && ["i/o timeout", "timed out"].iter().any(|w| said.contains(w));
        silent && vpc_cni::loses_probes(self.snap, self.failing.pod)
    }

    /// The port of its probe, which is answered by a question for a login.
    pub(super) fn asks_for_a_login(&self) -> Option<String> {
        let Cause::Probe(said) = &self.failing.cause else { return None };
        said.ends_with("statuscode: 401").then(|| self.probed_port()).flatten()
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

    /// What it complains of in the end, where its probe ends it: `its log ends with: …`.
    fn last_words(&self) -> Option<String> {
        let text = self.log().find(|text| !text.trim().is_empty())?;
        let last = telling(&last_lines(text)).filter(|line| says_failure(line))?;
        Some(format!("its log ends with: {last}"))
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

    /// The finding with its causes and its place.
    pub(super) fn finish(&self, made: Finding) -> Finding {
        self.excerpt(self.depends_on(made))
    }

    fn depends_on(&self, mut made: Finding) -> Finding {
        let namespace = self.namespace();
        if self.times_out() {
            for policy in egress_policies(self.snap, self.failing.pod) {
                made = made.depends_on(policy);
            }
        }
        if matches!(self.failing.cause, Cause::Probe(_)) {
            made = made.depends_on(attempts::probed(self.failing.pod));
        }
        // Credentials that do not work are told of by the ServiceAccount that has them.
        let unsaid = self.failing.cause.class().is_none() && foundation::is_part(self.failing.pod);
        let by_store = self.failing.cause.class() == Some(Class::Store);
        if unsaid || by_store || self.is_about_credentials() {
            let account = self.failing.pod.spec.account();
            made = made.depends_on(ResourceRef::service_account(namespace, account));
            if self.failing.pod.spec.containers.iter().any(|c| c.image.contains("ebs-csi-driver")) {
                made = made.depends_on(ebs::credentials_ref(self.snap));
            }
        }
        // The VPC CNI waits for EC2, and keeps what it meets in a log of the node.
        if unsaid && self.failing.container.image.contains("amazon-k8s-cni") {
            let region = Identity::of(self.snap).region.unwrap_or_default();
            for service in ["ec2", "sts"] {
                let name = endpoints::service_name(region, service);
                made = made.depends_on(ResourceRef::aws("ec2", "vpc-endpoint", name));
            }
        }
        let Some(class) = self.failing.cause.class() else { return made };
        if class == Class::Store
            && let Some(store) = own_store::of(self.snap, self.failing.pod, self.failing.container)
        {
            made = made.depends_on(ResourceRef::service(&store.namespace, &store.service));
            if let Some(job) = own_store::failed_maker(self.snap, &store) {
                made = made.depends_on(ResourceRef::kubernetes(
                    "batch",
                    "Job",
                    &job.metadata.namespace,
                    &job.metadata.name,
                ));
            }
        }
        if matches!(class, Class::Unreached | Class::Plugin | Class::Database) {
            made = self.unreached(made);
        }
        match &self.origin {
            Origin::ConfigMap { name, .. } => made = made.depends_on(ResourceRef::config_map(namespace, name)),
            Origin::Secret { name, .. } => {
                made = made.depends_on(ResourceRef::kubernetes("", "Secret", namespace, name));
            }
            Origin::Claim { name, .. } => made = made.depends_on(ResourceRef::pvc(namespace, name)),
            Origin::Volume | Origin::Image => {}
        }
        if class.is_configuration() {
            if let Some(operator) = self.target.operator_ref(namespace) {
                made = made.depends_on(operator);
            }
            if let Some((namespace, name)) = self.rule_object() {
                made = made.depends_on(ResourceRef::kubernetes(
                    "monitoring.coreos.com",
                    "PrometheusRule",
                    namespace,
                    name,
                ));
            }
        }
        // Addresses of Services lead somewhere by kube-proxy, on each node by its own.
        if class == Class::ApiServer {
            let node = &self.failing.pod.spec.node_name;
            if let Some(name) = node {
                made = made.depends_on(ResourceRef::node(name));
            }
            let here = self.snap.pods.items().unwrap_or_default().iter().filter(|p| p.spec.node_name == *node);
            let proxies = here.filter(|p| p.spec.containers.iter().any(|c| c.image.contains("kube-proxy")));
            for proxy in proxies.filter(|p| p.metadata.name != self.failing.pod.metadata.name) {
                made = made.depends_on(ResourceRef::pod(&proxy.metadata.namespace, &proxy.metadata.name));
            }
        }
        if class == Class::CrdMissing {
            for plural in operator::RESOURCES {
                made = made.depends_on(ResourceRef::crd(&format!("{plural}.monitoring.coreos.com")));
            }
        }
        // What makes the certificate is a program of its own.
        if class == Class::Webhook {
            for pod in webhooks::beside(self.snap, self.failing.pod).filter(|p| !p.is_ready()) {
                made = made.depends_on(ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name));
            }
        }
        if class == Class::Forbidden {
            let account = self.failing.pod.spec.account();
            made = made.depends_on(ResourceRef::service_account(namespace, account));
        }
        if class == Class::SecondDefault {
            for source in datasources::defaults(self.snap) {
                made = made.depends_on(ResourceRef::config_map(&source.namespace, &source.map));
            }
        }
        made
    }

    /// Its log says that AWS gives it no credentials, or denies what they are used for.
    fn is_about_credentials(&self) -> bool {
        self.log().any(|text| text.lines().any(|l| credentials::Fault::read(l).is_some()))
    }

    /// What would explain that something is not reached: its Service and pods, the DNS, the way out of the pod's subnet.
    fn unreached(&self, mut made: Finding) -> Finding {
        let said = self.crash.as_ref().map(|c| format!("{} {}", c.reason, c.said)).unwrap_or_default();
        let (host, port) = self.crash.as_ref().and_then(Crash::unreached).unzip();
        let is_it = |n: &&Node| n.internal_ip() == host;
        if port.flatten() == Some("10250")
            && let Some(node) = host.and_then(|_| self.snap.nodes.items().ok()?.iter().find(is_it))
        {
            return made.depends_on(ResourceRef::port(&node.metadata.name, KUBELET_PORT));
        }
        if let Some(service) = host.and_then(|h| self.snap.service_by_host(h)) {
            return made.depends_on(ResourceRef::service(&service.metadata.namespace, &service.metadata.name));
        }
        if let Some(pod) = host.and_then(|h| self.snap.pod_by_ip(h)) {
            return made.depends_on(ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name));
        }
        if said.contains("DNS") || said.contains("lookup ") {
            made = made.depends_on(ResourceRef::service("kube-system", "kube-dns"));
        }
        if let Some(subnet) = Placement::new(self.snap).of_pod(self.failing.pod) {
            made = made.depends_on(ResourceRef::aws("ec2", "subnet", subnet));
        }
        made
    }

    /// Texts of the logs of the container that ended.
    fn log(&self) -> impl Iterator<Item = &'a str> {
        let (meta, container) = (&self.failing.pod.metadata, &self.failing.container.name);
        let logs = self.snap.crash_logs().map(Vec::as_slice).unwrap_or_default().iter();
        let own = logs.filter(|l| l.namespace == meta.namespace && l.pod == meta.name && l.container == *container);
        own.map(|l| &*l.text)
    }

    /// Its log says that a connection got no answer.
    fn times_out(&self) -> bool {
        self.log().any(|text| text.contains("i/o timeout"))
    }

    /// The place in the file, as it is now.
    fn excerpt(&self, made: Finding) -> Finding {
        let (Some(crash), Some(text)) = (&self.crash, self.text) else { return made };
        let (Some(line), Origin::ConfigMap { name, key }, false) = (crash.line, &self.origin, self.is_corrected) else {
            return made;
        };
        let written = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        let column = written.chars().take_while(|c| c.is_whitespace()).count() + 1;
        let shown = frame(text, Place { line, column });
        if shown.is_empty() {
            return made;
        }
        let source = format!("ConfigMap {}/{name}, {key} line {line}", self.namespace());
        let show = "kubectl get configmap {{ name }} -n {{ namespace }} -o yaml";
        let place = Location::object(ResourceRef::config_map(self.namespace(), name));
        let made = made.location(place.field(format!("data[{key}]")).at(line, Some(column)).excerpt(&shown));
        made.evidence(Evidence::new(source, shown, show).with("name", name).with("namespace", self.namespace()))
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

/// What fills the file or directory that a crash is about. Names the file where the log does not.
fn origin(snap: &Snapshot, pod: &Pod, container: &Container, crash: &mut Crash) -> Origin {
    let program = container.program();
    if crash.class == Class::Template {
        return template(snap, pod, container, crash);
    }
    // Flags that agent mode refuses stand in no file.
    let in_file = crash.class.is_configuration() && (crash.class != Class::Agent || crash.what.is_some());
    let is_configuration = in_file
        || crash.class == Class::Ini && crash.file.is_some()
        || matches!(crash.class, Class::ConfigMissing | Class::ConfigDirectory | Class::Unreadable | Class::WebConfig);
    if is_configuration {
        let usual = match program {
            Some(Program::Alertmanager) => "/etc/alertmanager/alertmanager.yml",
            Some(Program::Grafana) => "/etc/grafana/grafana.ini",
            Some(Program::Prometheus) => "/etc/prometheus/prometheus.yml",
            None => "",
        };
        let flags = ["config.file", "promscrape.config", "config", "receive.hashrings-file"];
        let named = flags.iter().find_map(|f| arguments::flag(container, f));
        let other = || arguments::other_config_file(container, &crash.said).filter(|_| program.is_none());
        let named = named.or_else(other).unwrap_or(usual);
        if named.is_empty() && crash.file.is_none() {
            return Origin::Image;
        }
        let file = crash.file.get_or_insert_with(|| named.to_owned());
        return mounts::origin(snap, pod, container, file);
    }
    if crash.class == Class::Provisioning {
        return provisioning(snap, pod, container, crash);
    }
    if crash.class.is_storage() {
        let usual = data_path(pod, container);
        let of_data = mounts::origin(snap, pod, container, usual);
        // Another volume than that of the data can be meant, but the path of the data is what commands need.
        return match &crash.file {
            Some(file)
                if !file.starts_with(usual)
                    && matches!(mounts::origin(snap, pod, container, file), Origin::Claim { .. }) =>
            {
                let mount = mounts::mount_of(container, file).map_or(usual, |m| m.mount_path.as_str());
                mounts::origin(snap, pod, container, mount)
            }
            _ => of_data,
        };
    }
    Origin::Image
}

/// Where Grafana's provisioning files lie.
const PROVISIONING: &str = "/etc/grafana/provisioning/";

/// What fills a provisioning file, which Grafana names without its folder.
fn provisioning(snap: &Snapshot, pod: &Pod, container: &Container, crash: &mut Crash) -> Origin {
    let Some(name) = crash.file.clone() else { return Origin::Image };
    if name.starts_with('/') {
        return mounts::origin(snap, pod, container, &name);
    }
    let files = Mounts::of_pod(snap, pod, container).files();
    let end = format!("/{name}");
    let mut same = files.iter().filter(|f| f.path.starts_with(PROVISIONING) && f.path.ends_with(&end));
    match (same.next(), same.next()) {
        (Some(file), None) => {
            crash.file = Some(file.path.clone());
            Origin::ConfigMap { name: file.map.metadata.name.clone(), key: file.key.to_owned() }
        }
        _ => Origin::Image,
    }
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

/// The folder in which a program keeps its data.
pub(super) fn data_path<'a>(pod: &Pod, container: &'a Container) -> &'a str {
    match container.program() {
        Some(Program::Prometheus) => arguments::flag(container, "storage.tsdb.path").unwrap_or("/prometheus"),
        Some(Program::Alertmanager) => arguments::flag(container, "storage.path").unwrap_or("/alertmanager"),
        None => match base_of(&container.image) {
            "loki" => chosen_path(pod, container).unwrap_or("/var/loki"),
            "mimir" => chosen_path(pod, container).unwrap_or("/data"),
            "tempo" => chosen_path(pod, container).unwrap_or("/var/tempo"),
            "thanos" => chosen_path(pod, container).unwrap_or("/var/thanos"),
            _ => "/var/lib/grafana",
        },
        _ => "/var/lib/grafana",
    }
}

/// The folder that a flag of Thanos names, else where the pod's claim is: that path is everybody's own choice.
fn chosen_path<'a>(pod: &Pod, container: &'a Container) -> Option<&'a str> {
    let flags = ["data-dir", "tsdb.path"].iter().find_map(|name| arguments::flag(container, name));
    let is_claim = |name: &str| {
        let lasts = |v: &Volume| v.persistent_volume_claim.is_some() || v.ephemeral.is_some();
        pod.spec.volumes.iter().any(|v| v.name == name && lasts(v))
    };
    let mount = || container.volume_mounts.iter().find(|m| is_claim(&m.name)).map(|m| m.mount_path.as_str());
    flags.filter(|path| path.starts_with('/')).or_else(mount)
}

/// A template is named without its directory.
fn template(snap: &Snapshot, pod: &Pod, container: &Container, crash: &Crash) -> Origin {
    let Some(file) = &crash.file else { return Origin::Image };
    let all = container
        .volume_mounts
        .iter()
        .map(|m| mounts::origin(snap, pod, container, &format!("{}/{file}", m.mount_path)));
    let holds =
        |o: &Origin| mounts::config_map(snap, &pod.metadata.namespace, o).is_some_and(|(_, text)| text.is_some());
    all.clone().find(holds).or_else(|| all.clone().find(|o| !matches!(o, Origin::Image))).unwrap_or(Origin::Image)
}

/// Finds the line of what is wrong, where the log does not say it. True if the text no longer holds what is wrong.
fn complete(crash: &mut Crash, text: &str) -> bool {
    let Some(what) = crash.what.as_deref().filter(|w| w.len() > 1) else { return false };
    let of_file = matches!(crash.class, Class::Config | Class::Agent) && crash.detail != Detail::KubernetesObject;
    if !of_file {
        return false;
    }
    let is_comment = |l: &str| l.trim_start().starts_with('#');
    let hits: Vec<usize> =
        text.lines().enumerate().filter(|(_, l)| l.contains(what) && !is_comment(l)).map(|(at, _)| at + 1).collect();
    match (crash.line, hits.as_slice()) {
        (_, []) => return !matches!(crash.detail, Detail::Url | Detail::MayLack),
        // A file that changed since then has its line elsewhere.
        (Some(line), [one]) if line != *one => crash.line = Some(*one),
        (None, [one]) => crash.line = Some(*one),
        // A name that is used and not defined stands where it is used.
        (None, [first, ..]) if matches!(crash.detail, Detail::UndefinedReceiver | Detail::Undefined) => {
            crash.line = Some(*first)
        }
        _ => {}
    }
    false
}

/// Says which argument holds a refused value.
fn name_argument(crash: &mut Crash, container: &Container) {
    let bare = |argument: &str| argument.split_once('=').map_or("", |(_, value)| value).to_owned();
    let mut quoted = arguments::quoted(container).filter(|(_, meant)| crash.reason.contains(&bare(meant)));
    if let (Class::Flag | Class::ConfigMissing | Class::Cluster, Some((argument, meant))) = (crash.class, quoted.next())
    {
        crash.reason = format!("{argument} is given with its quotes: {}", crash.reason);
        (crash.class, crash.what, crash.instead) = (Class::Flag, Some(argument.to_owned()), Some(meant));
        crash.advice = "No shell reads the arguments of a container: quotes inside an argument are part of its value. In YAML quote the whole argument, or nothing.".to_owned();
        return;
    }
    if crash.class != Class::Flag {
        return;
    }
    let Some(what) = crash.what.as_deref().filter(|w| !w.starts_with('-')) else { return };
    if let Some(argument) = argument_with(container, what).filter(|a| *a != what) {
        crash.reason = format!("{argument}: {}", crash.reason);
    }
}

/// The operator that makes a container beside its server, where it is not the server itself; and whether it is known which one.
pub(super) fn operator_beside<'a>(
    snap: &'a Snapshot,
    pod: &Pod,
    container: &Container,
) -> Option<Option<Operator<'a>>> {
    operator_resource(snap, pod)?;
    // Others stand in the resource itself, with their arguments.
    if !["config-reloader", "configmap-reloader", "thanos-sidecar"].iter().any(|own| container.name.ends_with(own)) {
        return None;
    }
    let all = operators(snap);
    let mut own = all.into_iter().filter(|o| o.scope().holds(&pod.metadata.namespace));
    let first = own.next();
    Some(first.filter(|_| own.next().is_none()))
}

/// Says who else names a port that is taken: a pod in the network of its node, or another container of its own.
fn name_holder(snap: &Snapshot, pod: &Pod, container: &Container, crash: &mut Crash) {
    let port = crash.what.as_deref().and_then(|p| p.parse::<u16>().ok()).filter(|_| crash.class == Class::Port);
    let Some(port) = port else { return };
    let end = format!(":{port}");
    let listens = |c: &Container| {
        let declares = c.ports.iter().any(|p| p.container_port == port && p.protocol.as_deref() != Some("UDP"));
        // An address of a flag: what is called at such a port mostly has a name.
        let own = |a: &String| a.contains("listen") && a.ends_with(&end);
        declares || c.args.iter().chain(&c.command).any(own)
    };
    // Others are only named: who holds it may be no pod at all.
    let all = journal::aside(|| snap.pods.items().unwrap_or_default());
    let near = |p: &&Pod| {
        let other = p.metadata.name != pod.metadata.name || p.metadata.namespace != pod.metadata.namespace;
        let runs = !p.is_finished() && p.metadata.deletion_timestamp.is_none();
        let same = p.spec.node_name.is_some() && p.spec.node_name == pod.spec.node_name;
        pod.spec.host_network && other && runs && same
    };
    let has = |p: &&Pod| {
        let on_host = |c: &Container| c.ports.iter().any(|p| p.host_port == Some(port));
        p.spec.containers.iter().any(|c| on_host(c) || p.spec.host_network && listens(c))
    };
    if let Some(other) = all.iter().filter(near).find(has) {
        let (namespace, name) = (&other.metadata.namespace, &other.metadata.name);
        crash.reason.push_str(&format!("; pod {namespace}/{name} on the same node names that port, too"));
        return;
    }
    let beside = pod.spec.containers.iter().filter(|c| c.name != container.name).find(|c| listens(c));
    if let Some(other) = beside {
        crash.reason.push_str(&format!("; container {} of the same pod names that port, too", other.name));
    }
}

/// Says whose arguments these are, where the operator writes them for another image than its own version has.
fn name_operator(snap: &Snapshot, pod: &Pod, container: &Container, crash: &mut Crash) {
    if crash.class != Class::Flag {
        return;
    }
    if let Some(Some(operator)) = operator_beside(snap, pod, container) {
        let (by, image) = (&operator.container.image, &container.image);
        crash.reason = format!(
            "{}; the operator ({by}) writes the arguments of this container, whose image is {image}",
            crash.reason
        );
    }
}

/// Says which processor the program is not built for.
fn name_processor(snap: &Snapshot, pod: &Pod, crash: &mut Crash) {
    if crash.class != Class::Architecture {
        return;
    }
    let what = crash.what.as_deref().unwrap_or_default();
    let arch = snap.node_of(pod).and_then(Node::architecture).unwrap_or("the processor");
    let node = pod.spec.node_name.as_deref().unwrap_or_default();
    crash.reason = format!("{what} is not built for {arch} of node {node} (exec format error)");
}

/// Says that a name is not found because there is no Service of that name, and which one was meant where that is known.
fn name_service(snap: &Snapshot, pod: &Pod, crash: &mut Crash) {
    let asked = crash.unreached().map(|(host, _)| host).filter(|_| crash.reason.contains("is not found in the DNS"));
    let Some(named) = asked.and_then(|host| in_cluster(snap, host, &pod.metadata.namespace)) else { return };
    if !matches!(snap.services.find(&named.namespace, &named.service), Ok(None)) {
        return;
    }
    let of_dns = cluster_dns::serving(snap).filter(|_| named.namespace == cluster_dns::NAMESPACE);
    let instead = of_dns.map(|s| format!(": the cluster's DNS is Service {}", s.metadata.name)).unwrap_or_default();
    crash.reason = format!("{}; namespace {} has no Service {}{instead}", crash.reason, named.namespace, named.service);
}

/// Says what keeps the pod from the metadata of its instance, where that is known.
fn name_instance(snap: &Snapshot, pod: &Pod, crash: &mut Crash) {
    if crash.class != Class::Metadata {
        return;
    }
    if let Some(instance) = credentials::out_of_reach(snap, pod) {
        let off = instance.metadata_options.as_ref().is_some_and(|o| o.http_endpoint.as_deref() == Some("disabled"));
        let why = if off { "it is turned off" } else { "its hop limit is 1, which ends before pods" };
        crash.reason = format!("{}: {why} (instance {})", crash.reason, instance.instance_id);
    }
}

/// The argument of a container that is, begins with or ends in a word.
fn argument_with<'a>(container: &'a Container, what: &str) -> Option<&'a str> {
    let all = container.command.iter().chain(&container.args).map(String::as_str);
    let ends = format!("={what}");
    let begins = format!("{what}=");
    let port = format!(":{what}");
    all.clone()
        .find(|a| *a == what || a.starts_with(&begins))
        .or_else(|| all.clone().find(|a| a.ends_with(&ends)))
        .or_else(|| all.clone().find(|a| a.starts_with('-') && a.ends_with(&port)))
        // `-config.file` is read as the short flags -c, -o …
        .or_else(|| all.clone().find(|a| what.len() == 2 && a.starts_with(what) && !a.starts_with("--")))
}
