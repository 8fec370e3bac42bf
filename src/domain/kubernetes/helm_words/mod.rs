//! What Helm says when an installation or upgrade is refused: in a record of its output, in the events of a controller that
//! runs it, or in the status that such a controller keeps.

mod read;

pub(crate) use read::read;

use crate::domain::kubernetes::recovered;
use crate::domain::kubernetes::stored_version::Stored;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Event, GitOpsObject};

/// Seconds for which an event tells of now.
const RECENT: i64 = 3600;

/// Why Helm, or the API server that it asks, refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A field of an object that is there cannot be changed; `forced`: Helm was to replace the object, not to change it.
    Immutable { kind: String, name: String, field: String, forced: bool },
    /// An object of another release, or of none, has the name: its namespace, the release that it says it is of, and the one
    /// that wants it.
    Owned { kind: String, name: String, namespace: String, by: Option<String>, wanted: Option<String> },
    /// The cluster does not know a kind: with its version.
    NoKind { kind: String, version: String },
    /// The CRD, or the API, does not know a field.
    UnknownField { kind: String, field: String },
    /// An annotation of a CRD is too long for a client-side apply.
    TooLong { name: String },
    /// What Helm keeps of the release is larger than a Secret may be.
    RecordTooLarge { release: Option<String> },
    /// Another program holds a field that Helm applies on the server's side.
    Conflict { kind: String, name: String, namespace: String, manager: String, field: String },
    /// A list has two entries of one name, which no patch can tell apart.
    Doubled { kind: String, name: String, entries: Vec<String> },
    /// A template reads a value that is not there.
    NoValue { value: String },
    /// A number or a truth value stands where a text belongs.
    NotText { field: String },
    /// The name that the chart makes of the release's is longer than names may be; empty where it is the release's own.
    LongName { kind: String, name: String },
    /// A job that runs before or after did not end well.
    Hook { kind: &'static str, name: Option<String> },
    /// A release of the name is there.
    NameInUse,
    /// A revision is pending: somebody's operation is at work, or was interrupted.
    AtWork,
    /// No revision was ever deployed, or none is kept.
    NoDeployed { release: String },
    /// Values that the chart's schema does not admit.
    Schema { faults: String },
    /// The chart asks for another version of Kubernetes.
    KubeVersion { wanted: String, has: String },
    /// Charts that it depends on are not there.
    MissingCharts { names: String },
    /// A template cannot be rendered, or what it renders is no YAML: its file, with the line where that is told.
    Template { file: String, says: String },
    /// A definition is to lose a version in which objects were once written.
    StoredVersion(Stored),
    /// The API server takes an object for invalid.
    Invalid { kind: String, name: String, field: String, says: String },
    /// A ResourceQuota of the namespace is used up: the object that was refused, the quota, and what of it, with how much.
    Quota { resource: String, name: String, quota: String, key: String, used: String, limited: String },
    /// Whoever runs Helm may not do it.
    Rights { who: String, verb: String, resource: String, namespace: String },
    /// Whoever runs Helm is to make a role that can do what he cannot do himself.
    Escalates { who: String, kind: String, name: String, lacks: Vec<String> },
}

/// Where it was said.
#[derive(Debug, Clone)]
pub(crate) enum Told<'a> {
    /// A record of Helm's output: file and line.
    Record(&'a str, usize),
    /// An event of a controller that runs Helm.
    Event(&'a Event),
    /// The status of Flux' HelmRelease.
    Status(&'a GitOpsObject),
}

/// The refusals that are told of, each once.
pub(crate) fn all(snap: &Snapshot) -> Vec<(Refusal, String, Told<'_>)> {
    let mut all: Vec<(&str, Told<'_>)> = Vec::new();
    for file in snap.manifests.items().unwrap_or_default() {
        all.extend(file.errors.iter().map(|e| (e.message.as_str(), Told::Record(&file.path, e.line))));
    }
    for object in releases(snap).iter().filter(|o| o.kind == "HelmRelease" && !o.spec.suspend) {
        let failed = |kind: &str| object.status.conditions.iter().find(|c| c.kind == kind && c.status == "False");
        // Ready says at last only that the retries are used up.
        let said = ["Ready", "Released"].into_iter().filter_map(failed).filter_map(|c| c.message.as_deref());
        all.extend(said.map(|text| (text, Told::Status(object))));
    }
    let recent = |e: &&Event| e.is_within(RECENT, snap.collected_at);
    let by_helm = |e: &&Event| matches!(e.involved_object.kind.as_str(), "HelmRelease" | "HelmChart" | "Application");
    let events = snap.events.items().unwrap_or_default().iter().filter(recent).filter(by_helm);
    all.extend(events.filter(|e| !recovered::is_done(snap, e)).map(|e| (e.message.as_str(), Told::Event(e))));
    let mut found: Vec<(Refusal, String, Told<'_>)> = Vec::new();
    for (text, told) in all {
        for refusal in read(text) {
            // Words that name no release are said of each that they are told of.
            let nameless = refusal == Refusal::AtWork;
            let same = |by: &Told<'_>| !nameless || about(by) == about(&told);
            if !found.iter().any(|(other, _, by)| *other == refusal && same(by)) {
                found.push((refusal, text.to_owned(), told.clone()));
            }
        }
    }
    found
}

/// Namespace and name of what it was said of; a record of Helm's output names none.
fn about<'t>(told: &'t Told<'_>) -> Option<(&'t str, &'t str)> {
    match told {
        Told::Record(..) => None,
        Told::Event(event) => Some((&event.involved_object.namespace, &event.involved_object.name)),
        Told::Status(object) => Some((&object.metadata.namespace, &object.metadata.name)),
    }
}

/// The HelmRelease that an event is about.
pub(crate) fn object_of<'a>(snap: &'a Snapshot, event: &Event) -> Option<&'a GitOpsObject> {
    let about = &event.involved_object;
    let same = |o: &&GitOpsObject| {
        o.kind == about.kind && o.metadata.namespace == about.namespace && o.metadata.name == about.name
    };
    releases(snap).iter().find(same)
}

/// Objects of Flux and Argo CD.
fn releases(snap: &Snapshot) -> &[GitOpsObject] {
    snap.git_ops.items().unwrap_or_default()
}

#[cfg(test)]
mod tests;
