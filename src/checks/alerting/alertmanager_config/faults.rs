//! What is wrong with a configuration.

use super::fix::{Refused, Way};
use super::subject::Subject;
use super::words::{masked, meant, undefined};
use crate::checks::support::helm;
use crate::domain::alertmanager::config::is_silent;
use crate::domain::alertmanager::templates::template_files;
use crate::domain::kubernetes::owner::operator_resource;
use crate::domain::text::redact::redact;
use crate::lint::alertmanager as lint;
use crate::lint::{Problem, frame};
use crate::model::{Evidence, Finding, Gap, GapCause, ResourceRef, Severity};
use crate::snapshot::kubernetes::{ConfigMap, Pod};

/// Problems that one finding shows.
const SHOWN: usize = 5;

impl Subject<'_> {
    pub(super) fn findings(&self) -> Result<Vec<Finding>, Gap> {
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
        let message = format!("Alertmanager refuses the configuration in {}, and {what}{because}", self.holder());
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
