//! Alerts reach nobody: routes to receivers that send nothing, silences and intervals without end.

mod hours;
mod inhibited;
mod relabelled;
mod shadowed;
mod silences;

use std::collections::{BTreeMap, BTreeSet};

use crate::checks::{Check, check};
use crate::domain::alertmanager::config::{config_source, loaded};
use crate::domain::alertmanager::labels::{Common, Origin};
use crate::domain::alertmanager::pods::alertmanager_pods;
use crate::domain::alertmanager::tree::{LONG, Labels, Muted, Sink, Tree, is_about_one_alert, proves_alerting};
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::owner::{operator_resource, workload_name};
use crate::domain::kubernetes::proxy;
use crate::lint::alertmanager::matcher::{Matcher, Op};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;

check! {
    /// See the check's page.
    AlertsMuted {
        id: "alerts-muted", suite: Alerting, severity: Error,
        title: "alerts reach nobody",
        requires: [AlertmanagerStatus, AlertmanagerSilences, PrometheusConfig],
        uses: [AlertmanagerAlerts, PrometheusAlerts, Pods, ConfigMaps, Workloads, MonitoringResources],
    }
}

/// Names of receivers that are there to send nothing, as charts have them.
const PLACEHOLDERS: &[&str] = &["null", "default-receiver", "blackhole", "devnull", "dev-null", "none", "noop"];
/// Words for the kind of an environment.
const ENVIRONMENTS: &[&str] = &["env", "environment", "stage", "deployment_environment"];

impl Check for AlertsMuted {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        if snap.alertmanager_status.is_err()
            && snap.scope.alertmanager.is_none()
            && snap.pods().is_ok()
            && alertmanager_pods(snap).is_empty()
        {
            return Ok(Diagnosis::NotApplicable("no Alertmanager in the stack".into()));
        }
        let view = View::new(snap);
        let mut findings: Vec<Finding> = view.silences();
        findings.extend(view.inhibited());
        if let Some(tree) = &view.tree {
            findings.extend(view.routes(tree));
            let muted = tree.muted(snap.collected_at);
            findings.extend(muted.iter().map(|m| view.interval(tree, m)));
            findings.extend(view.muted_now(tree, &muted));
            findings.extend(view.shadowed(tree));
        }
        if findings.is_empty() && view.tree.is_none() {
            snap.alertmanager_status()?;
        }
        Ok(Diagnosis::Findings(findings))
    }
}

struct View<'a> {
    snap: &'a Snapshot,
    common: Common<'a>,
    tree: Option<Tree>,
    /// Text of the configuration, for line numbers.
    config: Option<&'a str>,
}

/// A firing alert that someone should hear of.
struct Lost {
    name: String,
    labels: Labels,
}

impl<'a> View<'a> {
    fn new(snap: &'a Snapshot) -> Self {
        let config = loaded(snap);
        Self { snap, common: Common::of(snap), tree: config.and_then(Tree::read), config }
    }

    /// Firing alerts all of whose receivers send nothing.
    fn lost(&self, tree: &Tree) -> Vec<Lost> {
        let mut heard = BTreeSet::new();
        let mut unheard = BTreeSet::new();
        for group in self.snap.alertmanager_alerts.iter().flatten() {
            let to = if tree.sends(&group.receiver.name) { &mut heard } else { &mut unheard };
            to.extend(group.alerts.iter().filter(|a| a.status.state != "suppressed").map(|a| a.labels.clone()));
        }
        unheard.into_iter().filter(|labels| !heard.contains(labels) && matters(labels)).map(lost).collect()
    }

    fn routes(&self, tree: &Tree) -> Vec<Finding> {
        let known = &self.common.labels;
        let sinks = tree.sinks(known);
        if !sinks.is_empty() {
            return sinks.iter().map(|sink| self.sink(tree, sink)).collect();
        }
        if !tree.may_notify(known) {
            return self.nobody(tree).into_iter().collect();
        }
        match self.namespaces(tree) {
            Some(found) => vec![found],
            None => self.unrouted(tree),
        }
    }

    /// Alerts that fire now and end at a receiver without integrations, although others reach someone: one finding for
    /// each such receiver. A route for named alerts is a decision.
    fn unrouted(&self, tree: &Tree) -> Vec<Finding> {
        let mut by_receiver: BTreeMap<String, Vec<Lost>> = BTreeMap::new();
        let (relabelled, lost) = self.relabelled(tree, self.lost(tree));
        for lost in lost {
            let decided = tree.paths().into_iter().any(|(path, route)| {
                let value = |m: &Matcher| lost.labels.get(&m.name).map_or("", String::as_str);
                !tree.sends(&route.receiver)
                    && is_about_one_alert(&path)
                    && path.iter().all(|m| m.matches(value(m)) == Some(true))
            });
            let receiver = tree.receivers_of(&lost.labels).first().map(|r| (*r).to_owned());
            if let Some(receiver) = receiver.filter(|_| !decided) {
                by_receiver.entry(receiver).or_default().push(lost);
            }
        }
        let ends = by_receiver.iter().map(|(receiver, lost)| self.ends_at(tree, receiver, lost));
        relabelled.into_iter().chain(ends).collect()
    }

    fn ends_at(&self, tree: &Tree, receiver: &str, lost: &[Lost]) -> Finding {
        let names: BTreeSet<&str> = lost.iter().map(|l| l.name.as_str()).collect();
        let critical = lost.iter().any(|l| is_critical(&l.labels));
        // Where only lesser alerts end there, somebody may want it so.
        let severity = if critical { Severity::Warning } else { Severity::Info };
        let at_root = tree.root.receiver == receiver;
        let why = if at_root {
            format!("no route matches them, and the root route ends at receiver {receiver:?}, which has no integration")
        } else {
            format!("their route ends at receiver {receiver:?}, which has no integration")
        };
        let message = format!("{} and nobody is told: {why}", fire_now(&names));
        let taken = tree.paths().into_iter().filter(|(_, route)| route.receiver == receiver);
        let line = taken.map(|(_, route)| route.line).next_back().filter(|_| !at_root).unwrap_or(tree.root.line);
        let labels: Vec<String> =
            lost.first().map(|l| l.labels.iter().map(|(k, v)| format!("{k}={v}")).collect()).unwrap_or_default();
        let senders: Vec<&str> =
            tree.receivers.iter().filter(|(_, kinds)| !kinds.is_empty()).map(|(n, _)| n.as_str()).collect();
        let finding = Finding::new(AlertsMuted::META.id, severity, self.alertmanager(), message)
            .breaks(ResourceRef::Receiver { name: receiver.to_owned() })
            .key(format!("unrouted/{receiver}"))
            .evidence(self.alerts_seen(format!("{} → {receiver}", join(&names))))
            .evidence(self.route_seen(line, format!("→ receiver {receiver:?} without integrations")));
        self.params(finding)
            .fix("unrouted")
            .param("receiver", receiver)
            .param("labels", labels)
            .param("matcher", matcher(lost))
            .param("sender", if senders.len() == 1 { senders[0] } else { "<receiver>" })
            .param("senders", senders.join(", "))
    }

    /// A label that all alerts have leads to a receiver that sends nothing.
    fn sink(&self, tree: &Tree, sink: &Sink) -> Finding {
        let snap = self.snap;
        let matcher = &sink.decided[0];
        let label = matcher.name.as_str();
        let value = self.common.labels.get(label).map_or("", String::as_str);
        let which = if sink.conditions.is_empty() {
            "all alerts of Prometheus".to_owned()
        } else {
            format!("alerts of Prometheus with {}", show(&sink.conditions))
        };
        let lost = self.lost(tree);
        let firing = lost.iter().filter(|l| l.labels.get(label).map(String::as_str) == Some(value));
        let names: BTreeSet<&str> = firing.map(|l| l.name.as_str()).collect();
        let now = if names.is_empty() {
            String::new()
        } else {
            format!("; firing now, and nobody is told: {}", join(&names))
        };
        let message = format!(
            "{which} reach nobody: {} {label}={value:?} takes route {} to receiver {:?}, which has no integration{now}",
            if self.common.origin.is_some() { "the external label" } else { "the label" },
            show(&sink.decided),
            sink.receiver
        );
        let subject = self.subject(&sink.receiver);
        // Nothing at all is told, and there is something to tell.
        let severity =
            if sink.conditions.is_empty() && !names.is_empty() { Severity::Error } else { Severity::Warning };
        let mut finding = Finding::new(AlertsMuted::META.id, severity, subject, message)
            .breaks(ResourceRef::Receiver { name: sink.receiver.clone() })
            .key(format!("label/{label}"));
        if let Some(seen) = self.label_seen(label, value) {
            finding = finding.evidence(seen);
        }
        finding = finding.evidence(self.route_seen(
            sink.line,
            format!("{} → receiver {:?} without integrations", show(&sink.decided), sink.receiver),
        ));
        if !names.is_empty() {
            finding = finding.evidence(self.alerts_seen(format!("{} → {}", join(&names), sink.receiver)));
        }
        let in_file = self.common.in_file(label).filter(|v| v != value);
        let meant = self.meant(tree, label, value);
        let others = tree.values_that_notify(label, &self.common.labels);
        let variant = match &self.common.origin {
            Some(Origin::File { .. }) if in_file.is_some() => "reload",
            Some(Origin::File { .. }) => "label",
            Some(Origin::Object { .. }) => "label-operator",
            Some(Origin::Unknown) | None => "label-unknown",
        };
        let (map, key, workload, managed) = match &self.common.origin {
            Some(Origin::File { map, key, pod }) => {
                let workload = workload_name(snap, pod).unwrap_or_default();
                (map.metadata.name.clone(), key.clone(), workload, managed_by(&map.metadata))
            }
            _ => (String::new(), String::new(), String::new(), String::new()),
        };
        let (namespace, object) = match &self.common.origin {
            Some(Origin::File { map, .. }) => (map.metadata.namespace.clone(), String::new()),
            Some(Origin::Object { namespace, name }) => (namespace.clone(), name.clone()),
            _ => (self.alertmanager_namespace(), String::new()),
        };
        let reach = {
            let mut other = self.common.labels.clone();
            other.remove(label);
            if !meant.is_empty() {
                other.insert(label.to_owned(), meant.clone());
            }
            tree.reachable(&other).into_iter().collect::<Vec<_>>().join(", ")
        };
        self.params(finding)
            .fix(variant)
            .param("prometheus_namespace", namespace)
            .param("map", map)
            .param("key", key)
            .param("object", object)
            .param("workload", workload)
            .param("managed", managed)
            .param("label", label)
            .param("value", value)
            .param("pair", format!("{label}={value}"))
            .param("meant", &meant)
            .param("named", !others.is_empty())
            .param("others", others.join(", "))
            .param("reach", reach)
            .param("route", show(&sink.decided))
            .param("receiver", &sink.receiver)
            .param("in_file", in_file.unwrap_or_default())
            .param("test", if meant.is_empty() { "severity=critical".to_owned() } else { format!("{label}={meant}") })
    }

    /// The value that the label should have; empty where nothing tells.
    fn meant(&self, tree: &Tree, label: &str, value: &str) -> String {
        let works = |candidate: &str| {
            let mut other = self.common.labels.clone();
            other.insert(label.to_owned(), candidate.to_owned());
            candidate != value && tree.may_notify(&other) && tree.sinks(&other).is_empty()
        };
        let named = tree.values_that_notify(label, &self.common.labels);
        let production = |v: &&String| v.starts_with("prod") || v.starts_with("prd") || v.as_str() == "live";
        if let Some(value) = named.iter().find(production).or_else(|| named.first().filter(|_| named.len() == 1)) {
            return value.clone();
        }
        let usual = if value.len() > 5 && label == "environment" { "production" } else { "prod" };
        if named.is_empty() && ENVIRONMENTS.contains(&label) && works(usual) { usual.to_owned() } else { String::new() }
    }

    fn subject(&self, receiver: &str) -> ResourceRef {
        match &self.common.origin {
            Some(Origin::File { map, .. }) => map.reference(),
            Some(Origin::Object { namespace, name }) => {
                ResourceRef::kubernetes("monitoring.coreos.com", "Prometheus", namespace, name)
            }
            _ => ResourceRef::Receiver { name: receiver.to_owned() },
        }
    }

    /// Nothing in the tree leads to a receiver that sends.
    fn nobody(&self, tree: &Tree) -> Option<Finding> {
        let lost = self.lost(tree);
        let names: BTreeSet<&str> = lost.iter().map(|l| l.name.as_str()).collect();
        let senders: Vec<&str> =
            tree.receivers.iter().filter(|(_, kinds)| !kinds.is_empty()).map(|(n, _)| n.as_str()).collect();
        let untouched = tree.receivers.keys().all(|name| PLACEHOLDERS.contains(&name.as_str()));
        let severity = match (senders.is_empty(), untouched) {
            // What a chart installs: nobody has said yet who wants to be told.
            (true, true) if names.is_empty() => return None,
            (true, true) => Severity::Info,
            _ => Severity::Warning,
        };
        let root = &tree.root.receiver;
        let why = if senders.is_empty() {
            format!("none of Alertmanager's receivers ({}) has an integration", quoted(tree.receivers.keys()))
        } else {
            format!(
                "the root route ends at receiver {root:?} without integration, and no route leads to {}",
                senders.join(", ")
            )
        };
        let now = if names.is_empty() { String::new() } else { format!("; firing now: {}", join(&names)) };
        let finding = Finding::new(
            AlertsMuted::META.id,
            severity,
            self.alertmanager(),
            format!("alerts reach nobody: {why}{now}"),
        )
        .breaks(ResourceRef::Receiver { name: root.clone() })
        .key("nobody")
        .evidence(self.route_seen(tree.root.line, format!("root route → receiver {root:?}")));
        let sender = senders.first().map_or("<receiver>", |s| *s).to_owned();
        Some(
            self.params(finding)
                .fix("nobody")
                .param("receiver", root)
                .param("sender", sender)
                .param("any_sender", !senders.is_empty()),
        )
    }

    /// Every route that sends asks for a namespace: the operator's routes for AlertmanagerConfig objects.
    fn namespaces(&self, tree: &Tree) -> Option<Finding> {
        if tree.sends(&tree.root.receiver) {
            return None;
        }
        let paths = tree.paths();
        let sending = paths.iter().filter(|(path, route)| tree.sends(&route.receiver) && !is_about_one_alert(path));
        let sending: Vec<_> = sending.collect();
        let asked = |path: &[Matcher]| {
            path.iter()
                .find(|m| m.name == "namespace" && matches!(m.op, Op::Equal | Op::Regex))
                .map(|m| m.value.clone())
        };
        let namespaces: Option<BTreeSet<String>> = sending.iter().map(|(path, _)| asked(path)).collect();
        let namespaces = namespaces.filter(|n| !n.is_empty())?;
        let lost = self.lost(tree);
        let names: BTreeSet<&str> = lost.iter().map(|l| l.name.as_str()).collect();
        let severity = if names.is_empty() { Severity::Info } else { Severity::Warning };
        let without: BTreeSet<&str> =
            lost.iter().filter(|l| !l.labels.contains_key("namespace")).map(|l| l.name.as_str()).collect();
        let listed = namespaces.iter().cloned().collect::<Vec<_>>().join(", ");
        let now = match (names.is_empty(), without.is_empty()) {
            (true, _) => String::new(),
            (false, true) => format!("; firing now, and nobody is told: {}", join(&names)),
            (false, false) => format!(
                "; firing now, and nobody is told: {} ({} without a namespace label)",
                join(&names),
                join(&without)
            ),
        };
        let message = format!(
            "only alerts with namespace={listed} reach someone: each route to a receiver with an integration asks for it, and the root route ends at receiver {:?} without integration{now}",
            tree.root.receiver
        );
        let (namespace, object) = self.object();
        let subject = match &object {
            Some(name) => ResourceRef::kubernetes("monitoring.coreos.com", "Alertmanager", &namespace, name),
            None => self.alertmanager(),
        };
        let line = sending.first().map_or(1, |(_, route)| route.line);
        let mut finding = Finding::new(AlertsMuted::META.id, severity, subject, message)
            .breaks(ResourceRef::Receiver { name: tree.root.receiver.clone() })
            .key("namespace")
            .evidence(
                self.route_seen(
                    line,
                    sending
                        .iter()
                        .take(3)
                        .map(|(path, r)| format!("{} → {}", show(path), r.receiver))
                        .collect::<Vec<_>>()
                        .join("; "),
                ),
            );
        if !names.is_empty() {
            finding = finding.evidence(self.alerts_seen(format!("{} → {}", join(&names), tree.root.receiver)));
        }
        Some(
            self.params(finding)
                .fix("namespace")
                .param("object", object.clone().unwrap_or_else(|| "<alertmanager>".to_owned()))
                .param("object_namespace", namespace)
                .param("strategy", r#"{"spec":{"alertmanagerConfigMatcherStrategy":{"type":"None"}}}"#)
                .param(
                    "operated",
                    object.is_some() || sending.iter().any(|(_, r)| r.receiver.matches('/').count() >= 2),
                )
                .param("namespaces", listed),
        )
    }

    /// The Alertmanager object of the operator.
    fn object(&self) -> (String, Option<String>) {
        let pod = alertmanager_pods(self.snap).into_iter().next().map(|(pod, _)| pod);
        let name = pod.and_then(|p| operator_resource(self.snap, p)).map(|(_, name)| name.to_owned());
        (self.alertmanager_namespace(), name)
    }

    fn interval(&self, tree: &Tree, muted: &Muted) -> Finding {
        let which = if muted.matchers.is_empty() {
            "all alerts".to_owned()
        } else {
            format!("alerts with {}", show(&muted.matchers))
        };
        let how = if muted.mutes {
            format!("mute_time_intervals: {:?} holds without a break for the next {LONG} days", muted.interval)
        } else {
            format!("active_time_intervals: {:?} does not begin within the next {LONG} days", muted.interval)
        };
        let suppressed = self.snap.alertmanager_alerts.iter().flatten().flat_map(|g| &g.alerts);
        let by_api = suppressed.clone().filter(|a| a.status.muted_by.contains(&muted.interval));
        let by_config = suppressed.filter(|a| {
            let value = |m: &Matcher| a.labels.get(&m.name).map_or("", String::as_str);
            muted.matchers.iter().all(|m| m.matches(value(m)) == Some(true))
                && tree.receivers_of(&a.labels).contains(&muted.receiver.as_str())
        });
        let names: BTreeSet<&str> =
            by_api.chain(by_config).filter_map(|a| a.labels.get("alertname")).map(String::as_str).collect();
        let now = if names.is_empty() { String::new() } else { format!("; firing now: {}", join(&names)) };
        let message = format!("{which} for receiver {} are muted by {how}{now}", muted.receiver);
        let mut finding = Finding::new(
            AlertsMuted::META.id,
            Severity::Warning,
            ResourceRef::Receiver { name: muted.receiver.clone() },
            message,
        )
        .breaks(ResourceRef::Receiver { name: format!("{} ({})", muted.receiver, muted.interval) })
        .key(format!("interval/{}/{}", muted.interval, show(&muted.matchers)))
        .evidence(self.route_seen(muted.line, how));
        if !names.is_empty() {
            finding = finding.evidence(self.alerts_seen(join(&names)));
        }
        self.params(finding)
            .fix("interval")
            .param("interval", &muted.interval)
            .param("mutes", muted.mutes)
            .param("receiver", &muted.receiver)
    }

    /// The workload of Alertmanager, else its Service.
    fn alertmanager(&self) -> ResourceRef {
        if let Some((pod, _)) = alertmanager_pods(self.snap).into_iter().next() {
            return self.snap.owner_ref(pod);
        }
        let at = self.snap.scope.alertmanager.as_ref();
        at.map_or_else(
            || ResourceRef::Receiver { name: "alertmanager".into() },
            |c| ResourceRef::service(&c.namespace, &c.service),
        )
    }

    fn alertmanager_namespace(&self) -> String {
        let pod = alertmanager_pods(self.snap).into_iter().next().map(|(pod, _)| pod.metadata.namespace.clone());
        let service = || self.snap.scope.alertmanager.as_ref().map(|c| c.namespace.clone());
        pod.or_else(service).unwrap_or_else(|| "<namespace>".to_owned())
    }

    /// Path of Alertmanager's API through the API server.
    fn path(&self, api: &str) -> String {
        self.snap.scope.alertmanager.as_ref().map_or_else(
            || format!("/api/v1/namespaces/<namespace>/services/<alertmanager-service>:9093/proxy{api}"),
            |c| proxy::of_component(c, api),
        )
    }

    fn route_seen(&self, line: usize, value: String) -> Evidence {
        let text = self.config.and_then(|c| c.lines().nth(line.saturating_sub(1))).unwrap_or_default().trim();
        let value = if text.is_empty() { value } else { format!("{value} (line {line}: {text})") };
        Evidence::new("Alertmanager's configuration, route", value, "kubectl get --raw {{ path }}")
            .with("path", self.path("/api/v2/status"))
    }

    fn alerts_seen(&self, value: String) -> Evidence {
        Evidence::new("Alertmanager, alerts by receiver", value, "kubectl get --raw {{ path }}")
            .with("path", self.path("/api/v2/alerts/groups"))
    }

    fn label_seen(&self, label: &str, value: &str) -> Option<Evidence> {
        let shown = format!("global.external_labels.{label}: {value}");
        match self.common.origin.as_ref()? {
            Origin::File { map, key, .. } => Some(
                Evidence::new(
                    format!("ConfigMap {}/{}, {key}", map.metadata.namespace, map.metadata.name),
                    shown,
                    "kubectl get configmap {{ name }} -n {{ namespace }} -o yaml",
                )
                .with("name", &map.metadata.name)
                .with("namespace", &map.metadata.namespace),
            ),
            Origin::Object { namespace, name } => Some(
                Evidence::new(
                    format!("Prometheus {namespace}/{name}, spec.externalLabels"),
                    shown,
                    "kubectl get prometheus {{ name }} -n {{ namespace }} -o yaml",
                )
                .with("name", name)
                .with("namespace", namespace),
            ),
            Origin::Unknown => {
                let at = self.snap.scope.prometheus.as_ref()?;
                let path = proxy::of_component(at, "/api/v1/status/config");
                Some(
                    Evidence::new("Prometheus, status/config", shown, "kubectl get --raw {{ path }}")
                        .with("path", path),
                )
            }
        }
    }

    /// What every fix needs to ask Alertmanager.
    fn params(&self, finding: Finding) -> Finding {
        let pod = alertmanager_pods(self.snap).into_iter().next();
        let source = pod.and_then(|(pod, name)| {
            let container = pod.spec.containers.iter().find(|c| c.name == name)?;
            config_source(self.snap, pod, container)
        });
        let owner = pod.and_then(|(pod, _)| workload_name(self.snap, pod)).unwrap_or_default();
        finding
            .param("am_namespace", self.alertmanager_namespace())
            .param("am_pod", pod.map_or("<alertmanager-pod>", |(pod, _)| pod.metadata.name.as_str()))
            .param("am_container", pod.map_or("alertmanager", |(_, name)| name))
            .param("am_workload", owner)
            .param("config_kind", source.as_ref().map_or("", |s| s.kind))
            .param("config_name", source.as_ref().map_or("", |s| s.name.as_str()))
            .param("config_key", source.as_ref().map_or("alertmanager.yml", |s| s.key.as_str()))
            .param("am_operator", pod.is_some_and(|(pod, _)| operator_resource(self.snap, pod).is_some()))
            .param("url", self.url())
            .param("alerts_path", self.path("/api/v2/alerts/groups"))
    }

    fn url(&self) -> String {
        let prefix = self.snap.scope.alertmanager.as_ref().map_or("", |c| c.prefix.as_str());
        format!("http://localhost:9093{prefix}")
    }
}

/// An alert that someone wants to hear of: not one that proves alerting, not one that only informs.
fn matters(labels: &Labels) -> bool {
    let name = labels.get("alertname").map_or("", String::as_str);
    let severity = labels.get("severity").map_or("", String::as_str);
    !proves_alerting(name) && !matches!(severity, "none" | "info")
}

fn is_critical(labels: &Labels) -> bool {
    labels.get("severity").is_some_and(|s| matches!(s.as_str(), "critical" | "page" | "emergency" | "disaster"))
}

fn lost(labels: Labels) -> Lost {
    Lost { name: labels.get("alertname").cloned().unwrap_or_else(|| "an alert without a name".into()), labels }
}

fn show(matchers: &[Matcher]) -> String {
    matchers.iter().map(Matcher::to_string).collect::<Vec<_>>().join(", ")
}

/// A matcher for all of them: their severity, else their names.
fn matcher(lost: &[Lost]) -> String {
    let severities: BTreeSet<&str> = lost.iter().map(|l| l.labels.get("severity").map_or("", String::as_str)).collect();
    match severities.first() {
        Some(one) if severities.len() == 1 && !one.is_empty() => format!("severity = {one:?}"),
        _ => {
            let names: BTreeSet<&str> = lost.iter().map(|l| l.name.as_str()).collect();
            format!("alertname =~ {:?}", names.into_iter().collect::<Vec<_>>().join("|"))
        }
    }
}

fn quoted<'s>(names: impl Iterator<Item = &'s String>) -> String {
    names.map(|n| format!("{n:?}")).collect::<Vec<_>>().join(", ")
}

/// The first few names.
fn join(names: &BTreeSet<&str>) -> String {
    let first: Vec<&str> = names.iter().take(5).copied().collect();
    let more =
        if names.len() > first.len() { format!(" and {} more", names.len() - first.len()) } else { String::new() };
    format!("{}{more}", first.join(", "))
}

/// `A fires now`, `A, B fire now`.
fn fire_now(names: &BTreeSet<&str>) -> String {
    format!("{} {} now", join(names), if names.len() == 1 { "fires" } else { "fire" })
}

#[cfg(test)]
mod tests;
