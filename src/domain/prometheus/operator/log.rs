//! What the operator's log says: objects that it leaves out, servers whose configuration it cannot write.
//!
//! The wording changed: `skipping servicemonitor` with the object under its kind until 0.84, `skipping object` with `kind` and
//! `object` since; `Sync "ns/name" failed` by klog, by logfmt and by JSON. Each reconciliation says again what is still wrong,
//! so that a later one without the complaint ends it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::prometheus::operator::deployment::is_operator;
use crate::domain::prometheus::operator::selection::Kind;
use crate::domain::text::log_line::Line;
use crate::snapshot::kubernetes::Container;
use crate::snapshot::monitoring::ContainerLog;
use crate::snapshot::{Fetched, Snapshot};
use crate::text::pattern::pattern;

/// Seconds that a reconciliation takes at most: what it complains of stands within these after its begin.
const ONE_SYNC: i64 = 60;

/// Why the operator refuses an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It names a file of Prometheus' pod, which the server forbids: the field.
    FileAccess(&'static str),
    /// A Secret that it names does not exist.
    SecretMissing { name: String },
    /// A ConfigMap that it names does not exist.
    ConfigMapMissing { name: String },
    /// A Secret or ConfigMap that it names has no such key: kind, name, key.
    KeyMissing { kind: &'static str, name: String, key: String },
    /// A rule that does not parse.
    Rule,
    /// Anything else.
    Other,
}

/// An object that the operator leaves out.
#[derive(Debug, Clone)]
pub(crate) struct Refused<'a> {
    pub(crate) kind: Kind,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) reason: Cause,
    /// The operator's words.
    pub(crate) text: String,
    /// The first and last time within the log that was read.
    pub(crate) first: Option<Timestamp>,
    pub(crate) last: Option<Timestamp>,
    /// The server that does without: namespace and name.
    pub(crate) server: Option<(String, String)>,
    /// Where it was read, and the line.
    pub(crate) log: &'a ContainerLog,
    pub(crate) line: &'a str,
}

/// A server whose reconciliation fails: nothing of it is written.
#[derive(Debug, Clone)]
pub(crate) struct SyncFailed<'a> {
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// `Prometheus`, `Alertmanager` …, where the log says it.
    pub(crate) kind: Option<&'static str>,
    pub(crate) text: String,
    pub(crate) first: Option<Timestamp>,
    pub(crate) last: Option<Timestamp>,
    /// How often within the log that was read.
    pub(crate) times: usize,
    pub(crate) log: &'a ContainerLog,
    pub(crate) line: &'a str,
}

/// What stands in the logs of the operators.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said<'a> {
    pub(crate) refused: Vec<Refused<'a>>,
    pub(crate) failed: Vec<SyncFailed<'a>>,
}

/// Logs of the operators' containers, the current ones.
///
/// # Errors
/// The gap, if no log could be read.
pub(crate) fn logs(snap: &Snapshot) -> Fetched<Vec<&ContainerLog>> {
    Ok(snap.part_logs()?.iter().filter(|l| is_of_operator(l)).collect())
}

/// By its image, or by its words: the chart names the container after itself, and the image may be a copy under another name.
fn is_of_operator(log: &ContainerLog) -> bool {
    let container = Container { image: log.image.clone(), ..Container::default() };
    let by_text = || log.text.contains("component=prometheus") && log.text.contains("operator.go");
    !log.previous && (is_operator(&container) || log.container.ends_with("prometheus-operator") || by_text())
}

/// What is still wrong by the logs.
///
/// # Errors
/// The gap, if no log could be read.
pub(crate) fn said(snap: &Snapshot) -> Fetched<Said<'_>> {
    let mut said = Said::default();
    for log in logs(snap)? {
        read(log, snap.collected_at, &mut said);
    }
    said.refused.sort_by(|a, b| (a.kind, &a.namespace, &a.name).cmp(&(b.kind, &b.namespace, &b.name)));
    said.failed.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    Ok(said)
}

/// An operator's log would hold what was complained of at a time, or a later reconciliation that passed: it begins before,
/// or begins a reconciliation after it.
pub(crate) fn covers(snap: &Snapshot, at: Timestamp) -> bool {
    let written = |raw: &str| Line::parse(raw).written_at(snap.collected_at);
    let begins_before = |log: &ContainerLog| log.text.lines().find_map(written).is_some_and(|t| t <= at);
    let syncs_after = |raw: &str| {
        let line = Line::parse(raw);
        server_of_sync(&line.msg).is_some() && line.written_at(snap.collected_at).is_some_and(|t| t > at)
    };
    let covers = |log: &&ContainerLog| begins_before(log) || log.text.lines().any(syncs_after);
    logs(snap).unwrap_or_default().iter().any(covers)
}

/// Namespace and name of `ns/name`.
fn key(text: &str) -> Option<(String, String)> {
    let (namespace, name) = text.trim_matches(['"', '\\']).split_once('/')?;
    Some((namespace.to_owned(), name.to_owned()))
}

fn read<'a>(log: &'a ContainerLog, now: Timestamp, said: &mut Said<'a>) {
    let mut refused: BTreeMap<(Kind, String, String), Refused<'a>> = BTreeMap::new();
    let mut failed: BTreeMap<(String, String), SyncFailed<'a>> = BTreeMap::new();
    let mut syncs: BTreeMap<(String, String), (Timestamp, &'static str)> = BTreeMap::new();
    let mut rule_errors: BTreeMap<(String, String), String> = BTreeMap::new();
    for raw in log.text.lines() {
        let line = Line::parse(raw);
        let at = line.written_at(now);
        if let (Some(kind), Some(server), Some(at)) = (server_of_sync(&line.msg), key(line.get("key")), at) {
            syncs.insert(server, (at, kind));
        } else if line.msg == "invalid rule" && !line.err.is_empty() {
            let object = (line.get("prometheusrule-namespace").to_owned(), line.get("prometheusrule").to_owned());
            rule_errors.insert(object, line.err.clone());
        } else if let Some((kind, namespace, name)) = skipped(&line) {
            let id = (kind, namespace.clone(), name.clone());
            let detail = rule_errors.get(&(namespace.clone(), name.clone())).filter(|_| line.err == "invalid rule");
            let text = detail.cloned().unwrap_or_else(|| line.err.clone());
            let first = refused.get(&id).map_or(at, |r| r.first);
            let reason = reason(kind, &text);
            let server = server_of(&line);
            let made = Refused { kind, namespace, name, reason, text, first, last: at, server, log, line: raw };
            refused.insert(id, made);
        } else if let Some((server, text)) = sync_failed(&line) {
            let before = failed.get(&server).map(|f| (f.first, f.times));
            let (first, times) = before.unwrap_or((at, 0));
            let (namespace, name) = server.clone();
            let made =
                SyncFailed { namespace, name, kind: None, text, first, last: at, times: times + 1, log, line: raw };
            failed.insert(server, made);
        }
    }
    let later = |last: Option<Timestamp>, server: Option<&(String, String)>| {
        let newest = match server {
            Some(server) => syncs.get(server).map(|(at, _)| *at),
            None => syncs.values().map(|(at, _)| *at).min(),
        };
        newest.zip(last).is_some_and(|(sync, last)| sync.as_second() > last.as_second() + ONE_SYNC)
    };
    said.refused.extend(refused.into_values().filter(|r| !later(r.last, r.server.as_ref())));
    said.failed.extend(failed.into_iter().filter(|(server, f)| !later(f.last, Some(server))).map(|(server, f)| {
        let kind = syncs.get(&server).map(|(_, kind)| *kind);
        SyncFailed { kind, ..f }
    }));
}

/// A log without what an operator complained of and does no longer: later reconciliations passed without it. Any other log
/// as it is.
pub(crate) fn without_the_past<'a>(snap: &Snapshot, log: &'a ContainerLog, text: Cow<'a, str>) -> Cow<'a, str> {
    if !is_of_operator(log) {
        return text;
    }
    let mut said = Said::default();
    read(log, snap.collected_at, &mut said);
    let is_refused = |kind: Kind, namespace: &str, name: &str| {
        said.refused.iter().any(|r| r.kind == kind && r.namespace == namespace && r.name == name)
    };
    let stands = |raw: &&str| {
        let line = Line::parse(raw);
        if line.msg == "invalid rule" {
            let object = (line.get("prometheusrule-namespace"), line.get("prometheusrule"));
            return is_refused(Kind::PrometheusRule, object.0, object.1);
        }
        if let Some((kind, namespace, name)) = skipped(&line) {
            return is_refused(kind, &namespace, &name);
        }
        let Some(((namespace, name), _)) = sync_failed(&line) else { return true };
        said.failed.iter().any(|f| f.namespace == namespace && f.name == name)
    };
    Cow::Owned(text.lines().filter(stands).collect::<Vec<_>>().join("\n"))
}

/// The kind of the server whose reconciliation begins.
fn server_of_sync(message: &str) -> Option<&'static str> {
    Some(match message {
        "sync prometheus" => "Prometheus",
        "sync prometheusagent" => "PrometheusAgent",
        "sync alertmanager" => "Alertmanager",
        "sync thanos-ruler" => "ThanosRuler",
        _ => return None,
    })
}

/// The object of a line `skipping …`.
fn skipped(line: &Line<'_>) -> Option<(Kind, String, String)> {
    let what = line.msg.strip_prefix("skipping ")?;
    let (kind, object) = match what {
        "object" => (Kind::parse(line.get("kind"))?, line.get("object")),
        kind => {
            let kind = Kind::parse(kind.split_whitespace().next()?)?;
            (kind, line.get(&kind.as_str().to_ascii_lowercase()))
        }
    };
    // A PrometheusRule is named without its namespace, which stands beside it.
    let (namespace, name) = key(object).unwrap_or_else(|| (line.get("namespace").to_owned(), object.to_owned()));
    (!name.is_empty() && !line.err.is_empty()).then_some((kind, namespace, name))
}

/// The server that a line is about.
fn server_of(line: &Line<'_>) -> Option<(String, String)> {
    let named = |field: &str| Some(line.get(field)).filter(|n| !n.is_empty());
    let name = ["prometheus", "alertmanager", "prometheusagent", "thanosruler"].into_iter().find_map(named);
    key(line.get("key")).or_else(|| Some((line.get("namespace").to_owned(), name?.to_owned())))
}

/// Server and reason of a line that says that a reconciliation failed.
fn sync_failed(line: &Line<'_>) -> Option<((String, String), String)> {
    let pattern = pattern!(r#"(?is)\bsync \\*"([^"\\]+)\\*" failed: (.+)$"#);
    let text = line.text();
    let found = pattern.captures(&text).or_else(|| pattern.captures(line.raw))?;
    // Two writers at once: the next try takes the newer object.
    let reason = found[2].trim_end_matches('"').to_owned();
    let passing = ["the object has been modified", "try again", "context canceled", "etcdserver: request timed out"];
    (!passing.iter().any(|p| reason.contains(p))).then_some((key(&found[1])?, reason))
}

/// What the operator's words mean.
pub(crate) fn reason(kind: Kind, text: &str) -> Cause {
    let keys = [
        pattern!(r#"key "([^"]+)" in (secret|configmap) "?([^"\s]+)"? not found"#),
        pattern!(r#"key "?([^"\s]+)"? could not be found in (secret|configmap) "?([^"\s]+)"?"#),
    ];
    let gone =
        pattern!(r#"(?:unable to get|failed to get)? ?\b(secrets?|configmaps?) "?([^"\s:]+)"?(?:: [^:]*)? not found"#);
    let bare = |name: &str| name.rsplit('/').next().unwrap_or(name).to_owned();
    if text.contains("which Prometheus specification prohibits") {
        let field = if text.contains("tls config") { "tlsConfig" } else { "bearerTokenFile" };
        return Cause::FileAccess(field);
    }
    if let Some(found) = keys.iter().find_map(|pattern| pattern.captures(text)) {
        let kind = if &found[2] == "secret" { "Secret" } else { "ConfigMap" };
        return Cause::KeyMissing { kind, name: bare(&found[3]), key: found[1].to_owned() };
    }
    if let Some(found) = gone.captures(text) {
        let name = bare(&found[2]);
        let secret = found[1].starts_with("secret");
        return if secret { Cause::SecretMissing { name } } else { Cause::ConfigMapMissing { name } };
    }
    if kind == Kind::PrometheusRule { Cause::Rule } else { Cause::Other }
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
