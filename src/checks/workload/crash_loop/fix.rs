//! The fix of a crash: which section of the page, and its values.

use crate::checks::support::helm::set_release;
use crate::checks::workload::crash_loop::Failing;
use crate::checks::workload::crash_loop::cause::Cause;
use crate::domain::alertmanager::config::is_silent;
use crate::domain::crash::{Class, Crash};
use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::chart::{Installed, release_of};
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::mounts::{self, Origin};
use crate::domain::kubernetes::network_policy::egress_policies;
use crate::domain::kubernetes::owner::{Target, workload};
use crate::lint::{Place, frame, yaml};
use crate::model::{Evidence, Finding, Program, ResourceRef};
use crate::snapshot::kubernetes::{Container, Pod};
use crate::snapshot::{Snapshot, format_bytes, parse_quantity};

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

/// Everything about one crash that its finding needs.
pub(super) struct Case<'a> {
    snap: &'a Snapshot,
    failing: &'a Failing<'a>,
    target: Target<'a>,
    crash: Option<Crash>,
    /// What fills the file or directory that the crash is about.
    origin: Origin,
    /// The text of that file as it is now.
    text: Option<&'a str>,
    /// The ConfigMap no longer holds what the log complains of.
    is_corrected: bool,
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
        }
        Self { snap, failing, target: Target::of(snap, pod), crash, origin, text, is_corrected }
    }

    fn namespace(&self) -> &'a str {
        &self.failing.pod.metadata.namespace
    }

    /// Why it ends, in one sentence.
    pub(super) fn sentence(&self) -> String {
        match (&self.failing.cause, &self.crash) {
            (_, Some(crash)) => {
                let mut text = crash.sentence();
                if let (true, Origin::ConfigMap { name, .. }) = (self.is_corrected, &self.origin) {
                    text.push_str(&format!(
                        "; ConfigMap {name} no longer holds it, but the pod still has the old file"
                    ));
                } else if let Some(missing) = self.missing_key() {
                    text.push_str(&format!("; {missing}"));
                }
                text
            }
            (Cause::Probe(said), _) => format!("the kubelet ends it because {said}"),
            (Cause::Ends(..), _) => "it comes to its end without an error: its command does not stay up".to_owned(),
            (Cause::Unread(gap), _) => format!("its log could not be read ({gap})"),
            (Cause::Unknown(lines, _), _) => match lines.last() {
                Some(line) => format!("its log ends with: {line}"),
                None => "its log is empty".to_owned(),
            },
            (Cause::Said(..), None) => String::new(),
        }
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

    fn variant(&self) -> &'static str {
        let Some(crash) = &self.crash else {
            return match self.failing.cause {
                Cause::Probe(_) => "probe",
                Cause::Ends(..) => "ends",
                _ => "other",
            };
        };
        match crash.class {
            Class::Config | Class::Rules | Class::Template | Class::Agent => self.configuration_variant(crash),
            Class::ConfigMissing => "config-missing",
            Class::ConfigDirectory => "config-directory",
            Class::Unreadable => "unreadable",
            Class::WebConfig => "web-config",
            Class::Credentials => "credentials",
            Class::Permission => "permission",
            Class::Chown => "chown",
            Class::ReadOnly => "read-only",
            Class::Lock => "lock",
            Class::DiskFull => "disk-full",
            Class::Wal => "wal",
            Class::Block => "block",
            Class::HeadChunks => "head-chunks",
            Class::State => "state",
            Class::Flag => "flag",
            Class::Port => "port",
            Class::Bind => "bind",
            Class::Cluster => "cluster",
            Class::SecondDefault => "second-default",
            Class::Provisioning => "provisioning",
            Class::Plugin => "plugin",
            Class::Ini => "ini",
            Class::Migration => "migration",
            Class::DatabaseLocked => "database-locked",
            Class::Database => "database",
            Class::CrdMissing => "crd-missing",
            Class::Forbidden => "forbidden",
            Class::Webhook => "webhook",
            Class::ApiServer => "api-server",
            Class::Inotify => "inotify",
            Class::ExternalLabels => "external-labels",
        }
    }

    fn configuration_variant(&self, crash: &Crash) -> &'static str {
        let operated = !self.target.operator_kind().is_empty();
        match &self.origin {
            _ if crash.class == Class::Agent && crash.what.is_none() => "flag",
            Origin::ConfigMap { .. } if self.is_corrected => "config-corrected",
            Origin::ConfigMap { name, .. } if operated && name.contains("-rulefiles-") => "rules-operator",
            Origin::ConfigMap { .. } => "config",
            _ if operated && crash.reason.contains("empty duration string") => "config-crds",
            Origin::Volume | Origin::Secret { .. } if operated => "config-operator",
            Origin::Secret { .. } => "config-secret",
            _ => "config-other",
        }
    }

    /// The finding with its causes, its fix and all values.
    pub(super) fn finish(self, made: Finding, pod: &Pod) -> Finding {
        let made = self.depends_on(made);
        let made = self.excerpt(made);
        let variant = self.variant();
        let made = self.common(made, pod);
        let made = self.file_params(made);
        let made = self.volume_params(made, pod);
        let made = self.grafana_params(made);
        made.fix(variant)
    }

    fn depends_on(&self, mut made: Finding) -> Finding {
        let namespace = self.namespace();
        if self.times_out() {
            for policy in egress_policies(self.snap, self.failing.pod) {
                made = made.depends_on(policy);
            }
        }
        let Some(class) = self.failing.cause.class() else { return made };
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
        if class == Class::SecondDefault {
            for source in default_datasources(self.snap) {
                made = made.depends_on(ResourceRef::config_map(&source.namespace, &source.map));
            }
        }
        made
    }

    /// Its log says that a connection got no answer.
    fn times_out(&self) -> bool {
        let meta = &self.failing.pod.metadata;
        let logs = self.snap.crash_logs().map(Vec::as_slice).unwrap_or_default();
        logs.iter()
            .filter(|l| {
                l.namespace == meta.namespace && l.pod == meta.name && l.container == self.failing.container.name
            })
            .any(|l| l.text.contains("i/o timeout"))
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
        made.evidence(Evidence::new(source, shown, show).with("name", name).with("namespace", self.namespace()))
    }

    fn common(&self, made: Finding, pod: &Pod) -> Finding {
        let target = &self.target;
        let previous = match &self.failing.cause {
            Cause::Said(_, previous) | Cause::Ends(_, previous) | Cause::Unknown(_, previous) => *previous,
            Cause::Probe(_) | Cause::Unread(_) => true,
        };
        let crash = self.crash.as_ref();
        made.param("namespace", self.namespace())
            .param("pod", &pod.metadata.name)
            .param("container", &self.failing.container.name)
            .param("previous", previous)
            .param("owner", &target.name)
            .param("rolls", target.rolls)
            .param("stateful", target.stateful)
            .param("replicas", target.replicas)
            .param("operator_kind", target.operator_kind())
            .param("operator_name", target.operator_name())
            .param("operated", !target.operator_kind().is_empty())
            .param("operator_down", r#"{"spec":{"replicas":0}}"#)
            .param("operator_up", format!(r#"{{"spec":{{"replicas":{}}}}}"#, target.replicas))
            .param("managed", &target.managed_by)
            .param("advice", crash.map_or("", |c| c.advice.as_str()))
            .param("reason", crash.map_or("", |c| c.reason.as_str()))
            .param("what", crash.and_then(|c| c.what.as_deref()).unwrap_or("<name>"))
            .param("instead", crash.and_then(|c| c.instead.as_deref()).unwrap_or_default())
            .param("account", pod.spec.service_account_name.as_deref().unwrap_or("default"))
            .param("crds", crds(self.snap))
            .param("user", self.user(pod))
            .param("can_i", self.can_i())
            .param("is_port_shared", pod.spec.host_network)
            .param("node", pod.spec.node_name.as_deref().unwrap_or("<node>"))
            .param("labels_patch", r#"{"spec":{"externalLabels":{"cluster":"<cluster>"}}}"#)
    }

    /// The user that lacks a right, as the API server names it.
    fn user(&self, pod: &Pod) -> String {
        let said = self.crash.as_ref().and_then(|c| c.reason.strip_prefix("ServiceAccount ")?.split(' ').next());
        let own = pod.spec.service_account_name.as_deref().unwrap_or("default");
        match said.and_then(|s| s.split_once('/')) {
            Some((namespace, name)) => format!("system:serviceaccount:{namespace}:{name}"),
            None => format!("system:serviceaccount:{}:{own}", self.namespace()),
        }
    }

    /// `get pods`: the right that is missing, as kubectl auth can-i takes it.
    fn can_i(&self) -> Vec<String> {
        let words =
            self.crash.as_ref().filter(|c| c.class == Class::Forbidden).and_then(|c| c.reason.split_once(" may not "));
        words.map_or_else(Vec::new, |(_, rest)| rest.split(' ').map(str::to_owned).collect())
    }

    fn file_params(&self, made: Finding) -> Finding {
        let crash = self.crash.as_ref();
        let file = crash.and_then(|c| c.file.as_deref()).unwrap_or("<file>");
        let (map, key) = match &self.origin {
            Origin::ConfigMap { name, key } | Origin::Secret { name, key } => (name.as_str(), key.as_str()),
            _ => ("<configmap>", file.rsplit('/').next().unwrap_or(file)),
        };
        let is_map = matches!(self.origin, Origin::ConfigMap { .. });
        let map_meta = mounts::config_map(self.snap, self.namespace(), &self.origin).map(|(map, _)| &map.metadata);
        let (new_key, new_value) = self.new_line();
        let receiver = crash.filter(|c| c.reason.contains("undefined receiver")).and_then(|c| c.what.clone());
        let (rule_namespace, rule_name) =
            self.rule_object().unwrap_or_else(|| (self.namespace().to_owned(), "<name>".to_owned()));
        let (additional, additional_key) = self.additional();
        let mut made = made;
        set_release(&mut made.params, self.release().as_ref());
        let arg = self.argument();
        let field = self.operator_field(&arg.1);
        let (arg_name, arg_value) = arg.1.trim_start_matches('-').split_once('=').unwrap_or_default();
        let (arg_name, arg_value) = (arg_name.to_owned(), arg_value.to_owned());
        made.param("file", file)
            .param("file_name", file.rsplit('/').next().unwrap_or(file))
            .param("line", crash.and_then(|c| c.line).map_or_else(String::new, |l| format!(" line {l}")))
            .param("is_map", is_map)
            .param("is_secret", matches!(self.origin, Origin::Secret { .. }))
            .param("map", map)
            .param("key", key)
            .param("key_path", format!("jsonpath={{.data.{}}}", key.replace('.', "\\.")))
            .param("map_managed", map_meta.map(managed_by).unwrap_or_default())
            .param("new_key", new_key)
            .param("new_value", new_value)
            .param("has_receiver", receiver.is_some())
            .param("silent_receiver", receiver.as_deref().is_none_or(is_silent))
            .param("receiver", receiver.unwrap_or_default())
            .param("rule_namespace", rule_namespace)
            .param("rule_name", rule_name)
            .param("additional", additional)
            .param("additional_path", format!("jsonpath={{.data.{}}}", additional_key.replace('.', "\\.")))
            .param("additional_key", additional_key)
            .param("field", field.as_ref().map_or("", |f| f.0.as_str()))
            .param("field_value", field.as_ref().map_or("", |f| f.1.as_str()))
            .param("arg_name", arg_name)
            .param("arg_value", arg_value)
            .param("old_arg", arg.0)
            .param("new_arg", arg.1)
    }

    /// The line as it has to be, as key and value; empty where that cannot be told.
    fn new_line(&self) -> (String, String) {
        let none = (String::new(), String::new());
        let Some(crash) = &self.crash else { return none };
        let (Some(what), Some(instead)) = (&crash.what, &crash.instead) else { return none };
        let plain = instead.split_once(": ");
        if let Some((key, value)) = plain {
            return (key.to_owned(), value.to_owned());
        }
        let (Some(text), Some(line)) = (self.text, crash.line) else {
            // A field whose value is not known.
            let is_field = crash.reason.contains("not found");
            return if is_field { (instead.clone(), String::new()) } else { none };
        };
        let written = text.lines().nth(line.saturating_sub(1)).unwrap_or_default().trim().trim_start_matches("- ");
        let Some((key, value)) = written.split_once(':').filter(|_| written.contains(what.as_str())) else {
            return none;
        };
        let value = value.split(" #").next().unwrap_or_default().trim();
        // More than one plain value is better edited by hand.
        if value.starts_with(['[', '{', '|', '>', '&', '*']) {
            return none;
        }
        let new = |part: &str| part.trim_matches(['"', '\'']).replace(what.as_str(), instead);
        let key = if key.trim() == what { instead.clone() } else { key.trim().to_owned() };
        (key, new(value))
    }

    /// The PrometheusRule behind a file of the operator: `<namespace>-<name>-<uid>.yaml`.
    fn rule_object(&self) -> Option<(String, String)> {
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

    /// Has a rollout stop the old pod first; empty where it does so already.
    fn recreate_patch(&self) -> &'static str {
        match workload(self.snap, &self.target.owner) {
            Some(w) if w.kind == "Deployment" && w.spec.strategy.kind.as_deref() != Some("Recreate") => {
                r#"{"spec":{"strategy":{"type":"Recreate","rollingUpdate":null}}}"#
            }
            _ => "",
        }
    }

    /// The Helm release whose values hold Alertmanager's configuration.
    fn release(&self) -> Option<Installed> {
        let resources = self.snap.monitoring_resources.items().unwrap_or_default().iter();
        let mut same = resources.filter(|r| {
            r.kind == "Alertmanager"
                && r.metadata.namespace == self.namespace()
                && r.metadata.name == self.target.operator_name()
        });
        release_of(self.snap, &same.next()?.metadata)
    }

    /// The Secret of additional scrape configurations that the operator's resource names.
    fn additional(&self) -> (String, String) {
        let resources = self.snap.monitoring_resources.items().unwrap_or_default().iter();
        let mut same = resources
            .filter(|r| r.metadata.namespace == self.namespace() && r.metadata.name == self.target.operator_name());
        let selector = same.find_map(|r| r.spec.additional_scrape_configs.as_ref());
        selector.map_or_else(Default::default, |s| (s.name.clone(), s.key.clone()))
    }

    /// The argument that is refused, and as it has to be.
    fn argument(&self) -> (String, String) {
        let none = (String::new(), String::new());
        let Some(crash) = self.crash.as_ref().filter(|c| matches!(c.class, Class::Flag | Class::Port | Class::Bind))
        else {
            return none;
        };
        let Some(what) = crash.what.as_deref() else { return none };
        let old = argument_with(self.failing.container, what).unwrap_or(what);
        let new = match &crash.instead {
            Some(new) => old.replacen(what, new, 1),
            // One dash too few.
            None if crash.reason.contains("unknown short flag") => format!("--{}", old.trim_start_matches('-')),
            None => String::new(),
        };
        (old.to_owned(), new)
    }

    /// The field of the operator's resource from which it makes an argument, and the value.
    fn operator_field(&self, argument: &str) -> Option<(String, String)> {
        if self.target.operator_kind().is_empty() {
            return None;
        }
        let (name, value) = argument.trim_start_matches('-').split_once('=')?;
        let field = OPERATOR_FIELDS.iter().find(|(flag, _)| *flag == name)?.1;
        Some((field.to_owned(), value.to_owned()))
    }

    fn volume_params(&self, made: Finding, pod: &Pod) -> Finding {
        let (namespace, container) = (self.namespace(), self.failing.container);
        let claim = mounts::claim(self.snap, namespace, &self.origin);
        let name = match &self.origin {
            Origin::Claim { name, .. } => name.as_str(),
            _ => "",
        };
        let bytes = claim.and_then(|c| c.spec.resources.requests.get("storage")).and_then(|q| parse_quantity(q));
        let class_name = claim.and_then(|c| c.class()).unwrap_or_default();
        let class = self.snap.storage_classes.find("", class_name).ok().flatten();
        let bigger = bytes.map_or_else(|| "<size>".to_owned(), |b| format_bytes(b * 2.0));
        // A fifth stays free for the write-ahead log and for compaction; where the class allows it, of the size that the
        // step before gives it.
        let expandable = class.is_some_and(|c| c.allow_volume_expansion == Some(true));
        let room = bytes.map(|b| if expandable { b * 2.0 } else { b });
        let retention = room
            .map_or_else(|| "<size>GB".to_owned(), |b| format!("{}GB", (b * 0.8 / 1_073_741_824.0).floor().max(1.0)));
        let (uid, gid) = ids(container);
        let context = serde_json::json!({"runAsUser": uid, "runAsGroup": gid, "runAsNonRoot": true, "fsGroup": gid});
        let patch = match self.target.operator_kind() {
            "" => serde_json::json!({"spec": {"template": {"spec": {"securityContext": context}}}}),
            _ => serde_json::json!({"spec": {"securityContext": context}}),
        };
        let inits = pod.spec.init_containers.iter().position(|c| c.name == container.name).unwrap_or(0);
        let remove =
            serde_json::json!([{"op": "remove", "path": format!("/spec/template/spec/initContainers/{inits}")}]);
        let data = data_path(container);
        let mount = mounts::mount_of(container, data);
        let inside = |file: &str| format!("{}/{file}", data.trim_end_matches('/')).trim_end_matches('/').to_owned();
        let damaged = self.damaged();
        let group = pod.spec.security_context.as_ref().and_then(|c| c.fs_group);
        let read_only = self
            .crash
            .as_ref()
            .and_then(|c| c.file.as_deref())
            .and_then(|f| mounts::mount_of(container, f))
            .is_some_and(|m| m.read_only);
        made.param("claim", name)
            .param("has_claim", !name.is_empty())
            .param("size", claim.and_then(|c| c.spec.resources.requests.get("storage")).map_or("", String::as_str))
            .param("bigger_patch", format!(r#"{{"spec":{{"resources":{{"requests":{{"storage":"{bigger}"}}}}}}}}"#))
            .param("storage_class", class_name)
            .param("expandable", expandable)
            .param("not_expandable", class.is_some_and(|c| c.allow_volume_expansion != Some(true)))
            .param("retention", &retention)
            .param("retention_arg", format!("--storage.tsdb.retention.size={retention}"))
            .param("retention_patch", format!(r#"{{"spec":{{"retentionSize":"{retention}"}}}}"#))
            .param("is_prometheus", container.program() == Some(Program::Prometheus))
            .param(
                "is_grafana",
                container.program() == Some(Program::Grafana)
                    || pod.spec.containers.iter().any(|c| c.program() == Some(Program::Grafana)),
            )
            .param("patch", patch.to_string())
            .param("uid", uid)
            .param("gid", gid)
            .param("has_group", group.is_some())
            .param("group", group.unwrap_or_default())
            .param("remove_patch", remove.to_string())
            .param("recreate_patch", self.recreate_patch())
            .param("mounted_read_only", read_only)
            .param("repair", format!("{}-repair", self.target.name.rsplit('/').next().unwrap_or_default()))
            .param("repair_image", "busybox:1.36")
            .param("mount_path", mount.map_or(data, |m| m.mount_path.as_str()))
            .param("sub_path", mount.and_then(|m| m.sub_path.as_deref()).unwrap_or_default())
            .param("damaged", inside(&damaged))
            .param("moved", format!("{}.broken", inside(&damaged)))
            .param("look", format!("for f in {}/*/index; do echo \"$f $(od -An -tx1 -N4 \"$f\")\"; done", inside("")))
    }

    /// What on the volume is damaged, relative to the data directory.
    fn damaged(&self) -> String {
        let Some(crash) = &self.crash else { return String::new() };
        match crash.class {
            Class::Wal => "wal".to_owned(),
            Class::HeadChunks => "chunks_head".to_owned(),
            Class::Block => crash.what.clone().unwrap_or_else(|| "<block>".to_owned()),
            Class::State => crash.what.clone().unwrap_or_else(|| "nflog".to_owned()),
            _ => String::new(),
        }
    }

    fn grafana_params(&self, made: Finding) -> Finding {
        let is_it = self.crash.as_ref().is_some_and(|c| c.class == Class::SecondDefault);
        let all = if is_it { default_datasources(self.snap) } else { Vec::new() };
        // The stack's own datasource stays the default.
        let second = all.iter().find(|d| d.kind != "prometheus").or(all.last());
        let others: Vec<String> =
            all.iter().map(|d| format!("{} ({}, in ConfigMap {}/{})", d.name, d.kind, d.namespace, d.map)).collect();
        made.param("datasource", second.map_or("<datasource>", |d| d.name.as_str()))
            .param("datasource_map", second.map_or("<configmap>", |d| d.map.as_str()))
            .param("datasource_namespace", second.map_or(self.namespace(), |d| d.namespace.as_str()))
            .param("default_datasources", others.join(", "))
    }
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
        || matches!(crash.class, Class::ConfigMissing | Class::ConfigDirectory | Class::Unreadable | Class::WebConfig);
    if is_configuration {
        let usual = match program {
            Some(Program::Alertmanager) => "/etc/alertmanager/alertmanager.yml",
            Some(Program::Grafana) => "/etc/grafana/grafana.ini",
            _ => "/etc/prometheus/prometheus.yml",
        };
        let named = arguments::flag(container, "config.file").unwrap_or(usual);
        let file = crash.file.get_or_insert_with(|| named.to_owned());
        return mounts::origin(snap, pod, container, file);
    }
    if crash.class.is_storage() {
        let usual = data_path(container);
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

/// The folder in which a program keeps its data.
fn data_path(container: &Container) -> &str {
    match container.program() {
        Some(Program::Prometheus) => arguments::flag(container, "storage.tsdb.path").unwrap_or("/prometheus"),
        Some(Program::Alertmanager) => arguments::flag(container, "storage.path").unwrap_or("/alertmanager"),
        _ => "/var/lib/grafana",
    }
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
    let of_file = matches!(crash.class, Class::Config | Class::Agent) && !crash.reason.contains("Kubernetes object");
    if !of_file {
        return false;
    }
    let is_comment = |l: &str| l.trim_start().starts_with('#');
    let hits: Vec<usize> =
        text.lines().enumerate().filter(|(_, l)| l.contains(what) && !is_comment(l)).map(|(at, _)| at + 1).collect();
    match (crash.line, hits.as_slice()) {
        (_, []) => return !crash.reason.contains("URL"),
        // A file that changed since then has its line elsewhere.
        (Some(line), [one]) if line != *one => crash.line = Some(*one),
        (None, [one]) => crash.line = Some(*one),
        // A name that is used and not defined stands where it is used.
        (None, [first, ..]) if crash.reason.contains("used in route") => crash.line = Some(*first),
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

/// User and group of the program's image.
fn ids(container: &Container) -> (i64, i64) {
    match container.program() {
        Some(Program::Grafana) => (472, 472),
        None if container.image.contains("grafana") || container.name.contains("chown") => (472, 472),
        _ => (65534, 65534),
    }
}

/// Where the CRDs of the operator that runs here are.
fn crds(snap: &Snapshot) -> String {
    let containers = snap.pods().unwrap_or_default().iter().flat_map(|p| &p.spec.containers);
    let version = containers.filter_map(|c| {
        let image = c.image.split('@').next()?.rsplit('/').next()?;
        image.strip_prefix("prometheus-operator:")
    });
    let version = version.map(str::to_owned).next().unwrap_or_else(|| "v<version>".to_owned());
    format!(
        "https://github.com/prometheus-operator/prometheus-operator/releases/download/{version}/stripped-down-crds.yaml"
    )
}

/// A datasource that is marked as default.
struct DefaultDatasource {
    namespace: String,
    map: String,
    name: String,
    kind: String,
}

/// Provisioned datasources that are marked as default, by ConfigMap.
fn default_datasources(snap: &Snapshot) -> Vec<DefaultDatasource> {
    let maps = snap.config_maps.items().unwrap_or_default().iter();
    let mut found = Vec::new();
    for map in maps.filter(|m| snap.scope.is_stack(&m.metadata.namespace)) {
        for text in map.data.values().filter(|t| t.contains("isDefault")) {
            for document in yaml::documents(text).unwrap_or_default() {
                let all = document.get("datasources").and_then(yaml::Node::items).unwrap_or_default();
                for item in all {
                    let value = |name: &str| item.get(name).and_then(yaml::Node::as_str).unwrap_or_default().to_owned();
                    if value("isDefault") == "true" {
                        found.push(DefaultDatasource {
                            namespace: map.metadata.namespace.clone(),
                            map: map.metadata.name.clone(),
                            name: value("name"),
                            kind: value("type"),
                        });
                    }
                }
            }
        }
    }
    found
}
