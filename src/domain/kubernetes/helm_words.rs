//! What Helm says when an installation or upgrade is refused: in a record of its output, or in the events of a controller
//! that runs it.

use std::sync::OnceLock;

use regex::Regex;

use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Event;

/// Seconds for which an event tells of now.
const RECENT: i64 = 3600;

/// Why Helm, or the API server that it asks, refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A field of an object that is there cannot be changed.
    Immutable { kind: String, name: String, field: String },
    /// An object of another release, or of none, has the name: its namespace, the release that it says it is of, and the one
    /// that wants it.
    Owned { kind: String, name: String, namespace: String, by: Option<String>, wanted: Option<String> },
    /// The cluster does not know a kind: with its version.
    NoKind { kind: String, version: String },
    /// The CRD, or the API, does not know a field.
    UnknownField { kind: String, field: String },
    /// An annotation of a CRD is too long for a client-side apply.
    TooLong { name: String },
    /// A job that runs before or after did not end well.
    Hook { kind: &'static str, name: Option<String> },
    /// A release of the name is there.
    NameInUse,
}

/// Where it was said.
#[derive(Debug, Clone)]
pub(crate) enum Told<'a> {
    /// A record of Helm's output: file and line.
    Record(&'a str, usize),
    /// An event of a controller that runs Helm.
    Event(&'a Event),
}

fn captures<'t>(cell: &'static OnceLock<Option<Regex>>, pattern: &str, text: &'t str) -> Option<regex::Captures<'t>> {
    cell.get_or_init(|| Regex::new(pattern).ok()).as_ref()?.captures(text)
}

/// What a text says that Helm was refused.
pub(crate) fn read(text: &str) -> Option<Refusal> {
    let text = text.replace("\\\"", "\"");
    owned(&text)
        .or_else(|| immutable(&text))
        .or_else(|| no_kind(&text))
        .or_else(|| unknown_field(&text))
        .or_else(|| too_long(&text))
        .or_else(|| hook(&text))
        .or_else(|| text.contains("cannot re-use a name that is still in use").then_some(Refusal::NameInUse))
}

/// `ServiceAccount "x" in namespace "n" exists and cannot be imported into the current release: invalid ownership metadata …`.
fn owned(text: &str) -> Option<Refusal> {
    static OWNED: OnceLock<Option<Regex>> = OnceLock::new();
    static BY: OnceLock<Option<Regex>> = OnceLock::new();
    static WANTED: OnceLock<Option<Regex>> = OnceLock::new();
    let pattern = r#"(\w+) "([^"]+)" in namespace "([^"]*)" exists and cannot be imported into the current release"#;
    let found = captures(&OWNED, pattern, text)?;
    let by = r#""meta\.helm\.sh/release-name" must equal "[^"]*": current value is "([^"]+)""#;
    let wanted = r#""meta\.helm\.sh/release-name" must (?:equal|be set to) "([^"]+)""#;
    Some(Refusal::Owned {
        kind: found[1].to_owned(),
        name: found[2].to_owned(),
        namespace: found[3].to_owned(),
        by: captures(&BY, by, text).map(|c| c[1].to_owned()),
        wanted: captures(&WANTED, wanted, text).map(|c| c[1].to_owned()),
    })
}

/// `cannot patch "x" with kind DaemonSet: … is invalid: spec.selector: Invalid value: …: field is immutable`; `… updates to
/// statefulset spec for fields other than … are forbidden`.
fn immutable(text: &str) -> Option<Refusal> {
    static OBJECT: OnceLock<Option<Regex>> = OnceLock::new();
    static FIELD: OnceLock<Option<Regex>> = OnceLock::new();
    let fixed =
        text.contains("field is immutable") || text.contains("updates to statefulset spec for fields other than");
    let found = captures(&OBJECT, r#"cannot patch "([^"]+)" with kind (\w+)"#, text).filter(|_| fixed)?;
    let field = captures(&FIELD, r"is invalid: (spec[\w.\[\]]*): ", text)
        .map_or_else(|| "spec".to_owned(), |c| c[1].to_owned());
    Some(Refusal::Immutable { kind: found[2].to_owned(), name: found[1].to_owned(), field })
}

/// `no matches for kind "PodSecurityPolicy" in version "policy/v1beta1"`.
fn no_kind(text: &str) -> Option<Refusal> {
    static KIND: OnceLock<Option<Regex>> = OnceLock::new();
    let found = captures(&KIND, r#"no matches for kind "(\w+)" in (?:version|group) "([^"]+)""#, text)?;
    Some(Refusal::NoKind { kind: found[1].to_owned(), version: found[2].to_owned() })
}

/// `ValidationError(Prometheus.spec): unknown field "shards" in …`; `Prometheus in version "v1" cannot be handled …: strict
/// decoding error: unknown field "spec.x"`.
fn unknown_field(text: &str) -> Option<Refusal> {
    static OLD: OnceLock<Option<Regex>> = OnceLock::new();
    static NEW: OnceLock<Option<Regex>> = OnceLock::new();
    let of = |c: regex::Captures<'_>| Refusal::UnknownField { kind: c[1].to_owned(), field: c[2].to_owned() };
    let old = captures(&OLD, r#"ValidationError\((\w+)[^)]*\): unknown field "([^"]+)""#, text).map(of);
    let new = r#"(\w+) in version "[^"]+" cannot be handled as a \w+: strict decoding error: unknown field "([^"]+)""#;
    old.or_else(|| captures(&NEW, new, text).map(of))
}

/// `CustomResourceDefinition "x" is invalid: metadata.annotations: Too long: must have at most 262144 bytes`.
fn too_long(text: &str) -> Option<Refusal> {
    static LONG: OnceLock<Option<Regex>> = OnceLock::new();
    let pattern = r#"CustomResourceDefinition(?:\.\S+)? "([^"]+)" is invalid: metadata\.annotations: Too long"#;
    captures(&LONG, pattern, text).map(|c| Refusal::TooLong { name: c[1].to_owned() })
}

/// `pre-upgrade hooks failed: …`, `failed pre-install: …`, with the job where it is named.
fn hook(text: &str) -> Option<Refusal> {
    static JOB: OnceLock<Option<Regex>> = OnceLock::new();
    let kinds =
        ["pre-install", "pre-upgrade", "post-install", "post-upgrade", "pre-rollback", "post-rollback", "pre-delete"];
    let kind = kinds
        .into_iter()
        .find(|k| text.contains(&format!("{k} hooks failed")) || text.contains(&format!("failed {k}")))?;
    let name =
        captures(&JOB, r#"\bjob(?:s\.batch)? "?([a-z0-9][a-z0-9.-]+)"? (?:failed|not ready|already exists)"#, text);
    Some(Refusal::Hook { kind, name: name.map(|c| c[1].to_owned()) })
}

/// The refusals that are told of, each once.
pub(crate) fn all(snap: &Snapshot) -> Vec<(Refusal, String, Told<'_>)> {
    let mut found: Vec<(Refusal, String, Told<'_>)> = Vec::new();
    let mut all = Vec::new();
    for file in snap.manifests.items().unwrap_or_default() {
        all.extend(file.errors.iter().map(|e| (e.message.as_str(), Told::Record(&file.path, e.line))));
    }
    let recent = |e: &&Event| e.is_within(RECENT, snap.collected_at);
    let by_helm = |e: &&Event| matches!(e.involved_object.kind.as_str(), "HelmRelease" | "HelmChart" | "Application");
    let events = snap.events.items().unwrap_or_default().iter().filter(recent).filter(by_helm);
    all.extend(events.map(|e| (e.message.as_str(), Told::Event(e))));
    for (text, told) in all {
        let Some(refusal) = read(text) else { continue };
        if !found.iter().any(|(other, ..)| *other == refusal) {
            found.push((refusal, text.to_owned(), told));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_words_of_helm() {
        let selector = r#"Error: UPGRADE FAILED: cannot patch "obs-node-exporter" with kind DaemonSet: DaemonSet.apps "obs-node-exporter" is invalid: spec.selector: Invalid value: v1.LabelSelector{}: field is immutable"#;
        let expected = Refusal::Immutable {
            kind: "DaemonSet".into(),
            name: "obs-node-exporter".into(),
            field: "spec.selector".into(),
        };
        assert_eq!(read(selector), Some(expected));
        let set = r#"Error: UPGRADE FAILED: cannot patch "loki" with kind StatefulSet: StatefulSet.apps "loki" is invalid: spec: Forbidden: updates to statefulset spec for fields other than 'replicas' are forbidden"#;
        let expected = Refusal::Immutable { kind: "StatefulSet".into(), name: "loki".into(), field: "spec".into() };
        assert_eq!(read(set), Some(expected));
        let owned = r#"Error: INSTALLATION FAILED: Unable to continue with install: ServiceAccount "op" in namespace "monitoring" exists and cannot be imported into the current release: invalid ownership metadata; annotation validation error: key "meta.helm.sh/release-name" must equal "obs": current value is "stack""#;
        let expected = Refusal::Owned {
            kind: "ServiceAccount".into(),
            name: "op".into(),
            namespace: "monitoring".into(),
            by: Some("stack".into()),
            wanted: Some("obs".into()),
        };
        assert_eq!(read(owned), Some(expected));
        let kind = r#"Error: INSTALLATION FAILED: unable to build kubernetes objects from release manifest: resource mapping not found for name: "x" namespace: "" from "": no matches for kind "PodSecurityPolicy" in version "policy/v1beta1""#;
        assert_eq!(
            read(kind),
            Some(Refusal::NoKind { kind: "PodSecurityPolicy".into(), version: "policy/v1beta1".into() })
        );
        let field = r#"Error: UPGRADE FAILED: error validating "": error validating data: ValidationError(Prometheus.spec): unknown field "shards" in com.coreos.monitoring.v1.Prometheus.spec"#;
        assert_eq!(read(field), Some(Refusal::UnknownField { kind: "Prometheus".into(), field: "shards".into() }));
        let long = r#"The CustomResourceDefinition "prometheuses.monitoring.coreos.com" is invalid: metadata.annotations: Too long: must have at most 262144 bytes"#;
        assert_eq!(read(long), Some(Refusal::TooLong { name: "prometheuses.monitoring.coreos.com".into() }));
        let hook = "Error: UPGRADE FAILED: pre-upgrade hooks failed: timed out waiting for the condition";
        assert_eq!(read(hook), Some(Refusal::Hook { kind: "pre-upgrade", name: None }));
        assert_eq!(read("deployment.apps/web configured"), None);
    }
}
