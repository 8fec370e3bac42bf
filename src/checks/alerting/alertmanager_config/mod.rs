//! Alertmanager's configuration is invalid, or was not taken over.

mod retention;
mod words;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use words::{advice, corrected, masked, meant, undefined};

use crate::checks::support::helm;
use crate::checks::support::written::{self, Corrected};
use crate::checks::{Check, check};
use crate::domain::alertmanager::config::{Source, config_source, is_silent, keeper};
use crate::domain::alertmanager::load::{Refusal, refusal};
use crate::domain::alertmanager::pods::alertmanager_pods;
use crate::domain::alertmanager::templates::template_files;
use crate::domain::kubernetes::chart::{Installed, release_of};
use crate::domain::kubernetes::image::tag_of;
use crate::domain::kubernetes::owner::{operator_resource, workload_name};
use crate::domain::kubernetes::proxy;
use crate::domain::manifests::written::Dialect;
use crate::domain::text::redact::redact;
use crate::lint::Problem;
use crate::lint::alertmanager as lint;
use crate::lint::alertmanager::Version;
use crate::lint::frame;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, GapCause, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{ConfigMap, Container, Pod};

check! {
    /// See the check's page.
    AlertmanagerConfig {
        id: "alertmanager-config", suite: Alerting, severity: Error,
        title: "Alertmanager's configuration is invalid or was not taken over",
        requires: [Pods, ConfigMaps],
        uses: [ComponentLogs, CrashLogs, AlertmanagerMetrics, AlertmanagerStatus, MonitoringResources, EksAddons, Workloads],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    namespace: String,
    /// Empty where none is known.
    pod: String,
    container: String,
    workload: String,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    #[serde(rename = "configmap")]
    ConfigMap {
        #[serde(flatten)]
        held: Held,
        key: String,
        managed: String,
        problem: String,
        place: String,
        advice: String,
        /// The line at fault, and what it should be: empty where that cannot be told.
        line: String,
        corrected: String,
    },
    Key {
        source: String,
        key: String,
        /// The keys that there are.
        there: String,
    },
    Receiver {
        #[serde(flatten)]
        refused: Refused,
        receiver: String,
        /// Nothing is to be sent by it.
        silent_receiver: bool,
        #[serde(flatten)]
        release: helm::Release,
    },
    Refused {
        #[serde(flatten)]
        refused: Refused,
        why: String,
    },
    Retention {
        receiver: String,
        kept: String,
        /// What has to be kept.
        needed: String,
        argument: String,
        patch: String,
        /// The operator's resource; empty where none makes the pod.
        operator_name: String,
        managed: String,
    },
    File(Corrected),
}

/// The object that holds a configuration.
#[derive(Serialize, JsonSchema)]
struct Held {
    source: String,
    /// The key as JSONPath takes it.
    key_path: String,
}

/// A configuration that Alertmanager refuses, and who keeps it.
#[derive(Serialize, JsonSchema)]
struct Refused {
    #[serde(flatten)]
    held: Held,
    key: String,
    is_secret: bool,
    managed: String,
    /// The operator makes the pod.
    operator: bool,
}

impl Fix {
    fn of_file(lines: Corrected) -> Self {
        let none = String::new;
        Self { namespace: none(), pod: none(), container: none(), workload: none(), way: Way::File(lines) }
    }
}

/// Problems that one finding shows.
const SHOWN: usize = 5;

/// The pods that read one configuration.
struct Reading<'a> {
    source: Source,
    pods: Vec<(&'a Pod, &'a Container)>,
}

impl Check for AlertmanagerConfig {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn judge(&self, snap: &Snapshot) -> Option<Result<Diagnosis, Gap>> {
        Some(written::judge(snap, Dialect::Alertmanager, &Self::META, Fix::of_file))
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.pods()?;
        let mut findings: Vec<Finding> = retention::forgets(snap).into_iter().collect();
        let readings = readings(snap);
        if readings.is_empty() && findings.is_empty() {
            return elsewhere(snap);
        }
        let mut gap = None;
        for ((namespace, _), reading) in readings {
            match Subject::new(snap, &namespace, &reading).findings() {
                Ok(found) => findings.extend(found),
                Err(missing) => gap = gap.or(Some(missing)),
            }
        }
        match gap {
            Some(gap) if findings.is_empty() => Err(gap),
            _ => Ok(Diagnosis::Findings(findings)),
        }
    }
}

/// No object that holds the configuration: there is no Alertmanager, or something in the pod writes the file.
fn elsewhere(snap: &Snapshot) -> Result<Diagnosis, Gap> {
    let Some((pod, _)) = alertmanager_pods(snap).into_iter().next() else {
        return Ok(Diagnosis::NotApplicable("no Alertmanager pod in the stack".into()));
    };
    let mut samples = snap.alertmanager_metrics.iter().flatten();
    if samples.any(|s| s.name == "alertmanager_config_last_reload_successful" && s.value != 0.0) {
        return Ok(Diagnosis::Findings(Vec::new()));
    }
    let what = format!("configuration of pod {}/{}", pod.metadata.namespace, pod.metadata.name);
    Err(Gap::new(what, GapCause::NotCollected, "its file is mounted from neither a ConfigMap nor a Secret"))
}

/// Alertmanager's pods by the object that holds their configuration.
fn readings(snap: &Snapshot) -> BTreeMap<(String, String), Reading<'_>> {
    let mut found: BTreeMap<(String, String), Reading<'_>> = BTreeMap::new();
    for (pod, container) in alertmanager_pods(snap) {
        let Some(source) = config_source(snap, pod, container) else { continue };
        let key = (pod.metadata.namespace.clone(), format!("{}/{}/{}", source.kind, source.name, source.key));
        found.entry(key).or_insert_with(|| Reading { source, pods: Vec::new() }).pods.push((pod, container));
    }
    found
}

/// One configuration with all that is known of it.
struct Subject<'a> {
    snap: &'a Snapshot,
    namespace: &'a str,
    reading: &'a Reading<'a>,
    version: Option<Version>,
    refusal: Option<Refusal>,
    /// `alertmanager_config_last_reload_successful`.
    loaded: Option<bool>,
}

impl<'a> Subject<'a> {
    fn new(snap: &'a Snapshot, namespace: &'a str, reading: &'a Reading<'a>) -> Self {
        // A file that is not there is a fault of the mount, not of the configuration.
        let unread = |r: &Refusal| {
            ["no such file or directory", "is a directory", "permission denied"].iter().any(|w| r.why.ends_with(w))
        };
        let refusal = reading.pods.iter().find_map(|(pod, _)| refusal(snap, pod)).filter(|r| !unread(r));
        let samples = snap.alertmanager_metrics.iter().flatten();
        let mut samples = samples.filter(|s| s.name == "alertmanager_config_last_reload_successful");
        let running = snap.alertmanager_status.iter().map(|s| s.version_info.version.as_str());
        let images = reading.pods.iter().filter_map(|(_, c)| tag_of(&c.image));
        // What the pod's image is comes first: the API may be answered by a replica of an older image.
        let version = images.chain(running).find_map(Version::parse);
        Self { snap, namespace, reading, version, refusal, loaded: samples.next().map(|s| s.value != 0.0) }
    }

    fn findings(&self) -> Result<Vec<Finding>, Gap> {
        let source = &self.reading.source;
        if source.kind != "configmap" {
            return self.unseen();
        }
        let Some(map) = self.snap.config_maps.find(self.namespace, &source.name)? else {
            // A pod whose ConfigMap is missing does not start: that is another check's finding.
            return Ok(Vec::new());
        };
        let Some(text) = map.data.get(&source.key) else { return Ok(self.no_key(map).into_iter().collect()) };
        let mut verdict = lint::check(text, self.version);
        if self.is_refused() {
            // Alertmanager itself says that something is wrong: then this is it.
            verdict.refused.append(&mut verdict.doubtful);
        }
        let mut found = Vec::new();
        if let Some(first) = verdict.refused.first() {
            found.push(self.invalid(map, &source.key, text, first, &verdict.refused));
        }
        found.extend(self.templates(text));
        if found.is_empty() && self.is_refused() {
            found.extend(self.refused());
        }
        if let Some(first) = verdict.at_send.first() {
            found.push(self.at_send(map, text, first, verdict.at_send.len()));
        }
        Ok(found)
    }

    fn is_refused(&self) -> bool {
        self.refusal.is_some() || self.loaded == Some(false)
    }

    /// The configuration is in a Secret, which is never read: Alertmanager's log and metrics speak for it.
    fn unseen(&self) -> Result<Vec<Finding>, Gap> {
        if self.is_refused() {
            return Ok(self.refused().into_iter().collect());
        }
        let said = |pod: &Pod| self.snap.component_logs.iter().flatten().any(|l| l.is_of(&pod.metadata));
        if self.loaded.is_some() || self.reading.pods.iter().any(|(pod, _)| said(pod)) {
            return Ok(Vec::new());
        }
        let what = format!("Secret {}/{}", self.namespace, self.reading.source.name);
        Err(Gap::new(
            what,
            GapCause::NotCollected,
            "Secrets are never read, and neither log nor metrics of Alertmanager are there",
        ))
    }

    fn holder(&self) -> ResourceRef {
        let source = &self.reading.source;
        match source.kind {
            "configmap" => ResourceRef::config_map(self.namespace, &source.name),
            _ => ResourceRef::kubernetes("", "Secret", self.namespace, &source.name),
        }
    }

    /// What distinguishes a finding from others of this holder, and from those of other holders.
    fn key(&self, what: &str) -> String {
        format!("{} {what}", self.holder().key())
    }

    /// A finding about the holder of the configuration.
    fn finding(&self, severity: Severity, message: String) -> Finding {
        let holder = self.holder();
        let mut finding = Finding::new(AlertmanagerConfig::META.id, severity, holder.clone(), message).breaks(holder);
        let operator = self.reading.pods.first().and_then(|(pod, _)| operator_resource(self.snap, pod));
        if let Some((_, name)) = operator {
            finding =
                finding.breaks(ResourceRef::kubernetes("monitoring.coreos.com", "Alertmanager", self.namespace, name));
        }
        if let Some(refusal) = &self.refusal
            && let Some((pod, container)) = self.reading.pods.first()
        {
            let previous = if refusal.previous { " before its last restart" } else { "" };
            let template = "kubectl logs -n {{ namespace }} {{ pod }} -c {{ container }} --tail=50{% if previous %} --previous{% endif %}";
            let last = refusal.at.map(|t| format!(" (at {t:.0})")).unwrap_or_default();
            finding = finding.evidence(
                Evidence::new(
                    format!("log of pod {}/{}{previous}", self.namespace, pod.metadata.name),
                    format!("{}{last}", redact(&refusal.why)),
                    template,
                )
                .with("namespace", self.namespace)
                .with("pod", &pod.metadata.name)
                .with("container", &container.name)
                .with("previous", refusal.previous),
            );
        }
        if self.loaded == Some(false) {
            let (path, known) = self.metrics_path();
            if known {
                finding = finding.evidence(
                    Evidence::new("alertmanager_config_last_reload_successful", "0", "kubectl get --raw {{ path }}")
                        .with("path", path),
                );
            }
        }
        finding
    }

    fn metrics_path(&self) -> (String, bool) {
        let at = self.snap.scope.alertmanager.as_ref();
        let path = at.map(|c| proxy::of_component(c, "/metrics"));
        (path.clone().unwrap_or_default(), path.is_some())
    }

    fn fix(&self, way: Way) -> Fix {
        let first = self.reading.pods.first();
        Fix {
            namespace: self.namespace.to_owned(),
            pod: first.map(|(pod, _)| pod.metadata.name.clone()).unwrap_or_default(),
            container: first.map_or("alertmanager", |(_, c)| c.name.as_str()).to_owned(),
            workload: first.and_then(|(pod, _)| workload_name(self.snap, pod)).unwrap_or_default(),
            way,
        }
    }

    fn held(&self, source: &str) -> Held {
        Held { source: source.to_owned(), key_path: self.reading.source.key.replace('.', "\\.") }
    }

    /// Who keeps the object that holds the configuration.
    fn managed(&self) -> String {
        let first = self.reading.pods.first();
        first.map(|(pod, _)| keeper(self.snap, pod, Some(&self.reading.source))).unwrap_or_default()
    }

    /// The fix of a line in a ConfigMap.
    fn edit(&self, source: &str, key: &str, text: &str, first: &Problem, problem: String) -> Fix {
        let (line, corrected) = corrected(text, first);
        self.fix(Way::ConfigMap {
            held: self.held(source),
            key: key.to_owned(),
            managed: self.managed(),
            problem,
            place: format!("line {}", first.place.line),
            advice: advice(first),
            line,
            corrected,
        })
    }

    /// The Helm release that brought the operator's resource, whose values hold the configuration.
    fn release(&self) -> Option<Installed> {
        let (pod, _) = self.reading.pods.first()?;
        let (_, name) = operator_resource(self.snap, pod)?;
        let mut all = self.snap.monitoring_resources.items().unwrap_or_default().iter();
        let own =
            all.find(|r| r.kind == "Alertmanager" && r.metadata.namespace == self.namespace && r.metadata.name == name);
        release_of(self.snap, &own?.metadata)
    }

    /// What follows from an invalid file.
    fn effect(&self) -> &'static str {
        let up = self.reading.pods.iter().any(|(pod, _)| pod.is_ready());
        if up {
            "Alertmanager goes on with the configuration it loaded before, and will not start again with this one"
        } else {
            "Alertmanager does not start with it"
        }
    }

    fn invalid(&self, map: &ConfigMap, key: &str, text: &str, first: &Problem, all: &[Problem]) -> Finding {
        let version = self.version.map(|v| format!(" {v}")).unwrap_or_default();
        let more = if all.len() > 1 { format!(" (and {} more)", all.len() - 1) } else { String::new() };
        let message = format!(
            "ConfigMap {}/{} holds a configuration that Alertmanager{version} refuses: {key}:{}: {}{}{more}; {}",
            self.namespace,
            map.metadata.name,
            first.place,
            redact(&first.message),
            meant(first),
            self.effect()
        );
        let mut finding = self.finding(Severity::Error, message).key(self.key(&format!("invalid/{key}")));
        for problem in all.iter().take(SHOWN) {
            finding = finding.evidence(self.shown(map, key, text, problem));
        }
        let problem = format!("{}{}", redact(&first.message), meant(first));
        finding.fix(self.edit(&map.metadata.name, key, text, first, problem))
    }

    fn shown(&self, map: &ConfigMap, key: &str, text: &str, problem: &Problem) -> Evidence {
        let template = "kubectl get configmap {{ name }} -n {{ namespace }} -o yaml";
        let lines: Vec<String> = frame(text, problem.place).lines().map(masked).collect();
        Evidence::new(
            format!("ConfigMap {}/{}, {key}:{}", self.namespace, map.metadata.name, problem.place),
            format!("{}{}\n{}", redact(&problem.message), meant(problem), lines.join("\n")),
            template,
        )
        .with("namespace", self.namespace)
        .with("name", &map.metadata.name)
    }

    /// The file is not there under the name that Alertmanager asks for.
    fn no_key(&self, map: &ConfigMap) -> Option<Finding> {
        let down = !self.reading.pods.iter().any(|(pod, _)| pod.is_ready());
        let key = &self.reading.source.key;
        if !down || key.is_empty() {
            return None;
        }
        let there: Vec<&str> = map.data.keys().map(String::as_str).collect();
        let message = format!(
            "ConfigMap {}/{} has no key {key}, which Alertmanager reads as its configuration; it has {}",
            self.namespace,
            map.metadata.name,
            if there.is_empty() { "no key at all".to_owned() } else { there.join(", ") }
        );
        let finding = self.finding(Severity::Error, message).key(self.key("key")).evidence(
            Evidence::new(
                format!("ConfigMap {}/{}, keys", self.namespace, map.metadata.name),
                there.join(", "),
                "kubectl describe configmap {{ name }} -n {{ namespace }}",
            )
            .with("namespace", self.namespace)
            .with("name", &map.metadata.name),
        );
        let (source, key) = (self.reading.source.name.clone(), key.clone());
        Some(finding.fix(self.fix(Way::Key { source, key, there: there.join(", ") })))
    }

    /// Template files of the configuration, where a ConfigMap holds them.
    fn templates(&self, config: &str) -> Vec<Finding> {
        let mut found = Vec::new();
        for (map, key, text) in template_files(self.snap, self.reading.pods.first().copied(), config) {
            let mut verdict = lint::check_template(text, self.version);
            if self.is_refused() {
                verdict.refused.append(&mut verdict.doubtful);
            }
            let Some(first) = verdict.refused.first() else { continue };
            let message = format!(
                "ConfigMap {}/{} holds the notification template {key}, which Alertmanager refuses: {key}:{}: {}{}; {}",
                self.namespace,
                map.metadata.name,
                first.place,
                first.message,
                meant(first),
                self.effect()
            );
            let problem = format!("{}{}", first.message, meant(first));
            let fix = self.edit(&map.metadata.name, key, text, first, problem);
            let holder = ResourceRef::config_map(self.namespace, &map.metadata.name);
            let mut finding = self.finding(Severity::Error, message).key(self.key(&format!("template/{key}")));
            finding.subjects = vec![holder.clone()];
            found.push(finding.breaks(holder).evidence(self.shown(map, key, text, first)).fix(fix));
        }
        found
    }

    /// Loads, but fails when it notifies.
    fn at_send(&self, map: &ConfigMap, text: &str, first: &Problem, count: usize) -> Finding {
        let more = if count > 1 { format!(" (and {} more)", count - 1) } else { String::new() };
        let key = &self.reading.source.key;
        let message = format!(
            "ConfigMap {}/{} loads, but notifications with it fail: {key}:{}, {}: {}{}{more}",
            self.namespace,
            map.metadata.name,
            first.place,
            first.path,
            first.message,
            meant(first)
        );
        let problem = format!("{}{}", first.message, meant(first));
        self.finding(Severity::Error, message)
            .key(self.key("template"))
            .evidence(self.shown(map, key, text, first))
            .fix(self.edit(&map.metadata.name, key, text, first, problem))
    }

    /// Alertmanager refused what this program cannot see, or sees nothing wrong with.
    fn refused(&self) -> Option<Finding> {
        let why = self.refusal.as_ref().map(|r| redact(&r.why)).unwrap_or_default();
        let because = if why.is_empty() { String::new() } else { format!(": {why}") };
        let up = self.reading.pods.iter().any(|(pod, _)| pod.is_ready());
        let what = if up {
            "the last reload failed and the configuration before it stays in force"
        } else {
            "it does not start"
        };
        let message = format!("Alertmanager refuses the configuration in {}, {what}{because}", self.holder());
        let source = &self.reading.source;
        let first = self.reading.pods.first();
        let refused = Refused {
            held: self.held(&source.name),
            key: source.key.clone(),
            is_secret: source.kind == "secret",
            managed: self.managed(),
            operator: first.is_some_and(|(pod, _)| operator_resource(self.snap, pod).is_some()),
        };
        let way = match undefined(&why) {
            Some(receiver) => Way::Receiver {
                refused,
                silent_receiver: is_silent(&receiver),
                receiver,
                release: helm::Release::of(self.release().as_ref()),
            },
            None if why.is_empty() => Way::Refused { refused, why: "the log says why".to_owned() },
            None => Way::Refused { refused, why },
        };
        Some(self.finding(Severity::Error, message).key(self.key("refused")).fix(self.fix(way)))
    }
}
