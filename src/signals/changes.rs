//! What was changed on the chain of each root shortly before it was first seen. A change is a hint, never a cause by itself.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::domain::aws::identity::Identity;
use crate::domain::kubernetes::changes::{self, What};
use crate::domain::kubernetes::mounts::{self, Holder};
use crate::domain::kubernetes::{differs, env_key, owner};
use crate::domain::text::shorten::shorten;
use crate::model::{AwsResource, Change, Evidence, Fact, Finding, Report, ResourceRef, RootGroup, Signal};
use crate::snapshot::Snapshot;
use crate::text::redact::mask;

/// Facts that only tell of changes: what is missing of them leaves no check without an answer.
pub const FACTS: &[Fact] = &[Fact::ReplicaSets, Fact::EksUpdates];

/// Seconds before the first symptom in which a change is worth a line.
const BEFORE: i64 = 2 * 3600;
/// Seconds after it: clocks differ, and controllers write what they began before.
const AFTER: i64 = 60;
/// Changes that are shown of one root.
const SHOWN: usize = 3;
/// Seconds for which a namespace was there before something in it is news.
const SETTLED: i64 = 6 * 3600;

/// Fills in [`Finding::changes`] of the roots.
pub fn add(snap: &Snapshot, report: &mut Report) {
    for at in 0..report.roots.len() {
        let group = &report.roots[at];
        let seen = first_seen(snap, at, &report.signals);
        let mut found: Vec<changes::Change> = Vec::new();
        for resource in chain(snap, &report.findings, group) {
            for change in changes::of(snap, &resource) {
                let is_new = !found.iter().any(|f| same(f, &change));
                if is_new && is_near(snap, &change, seen.at) {
                    found.push(change);
                }
            }
        }
        // The last one before is the likeliest to matter.
        found.sort_by_key(|c| std::cmp::Reverse(c.at));
        found.truncate(SHOWN);
        let root = &mut report.findings[group.root];
        let news = found.iter().filter(|c| !(is_told(root, c) && c.by.is_none()));
        root.changes = news.map(|c| shown(snap, c, &seen, is_told(root, c))).collect();
    }
}

/// What differs in the revision stands in the root's own evidence: who made it is all that is left to say.
fn is_told(root: &Finding, change: &changes::Change) -> bool {
    let What::Template { revision, .. } = &change.what else { return false };
    let source = changes::source(&change.resource, &format!("revision {revision}"));
    root.evidence.iter().any(|e| e.source == source)
}

/// When a root was first seen, and what that time is.
struct Seen {
    at: Timestamp,
    what: &'static str,
}

fn first_seen(snap: &Snapshot, root: usize, signals: &[Signal]) -> Seen {
    let own = signals.iter().filter(|s| s.explained_by == Some(root)).filter_map(|s| s.since).min();
    match own {
        Some(at) => Seen { at, what: "before it was first seen" },
        None => Seen { at: snap.collected_at, what: "before this look" },
    }
}

/// What the root is about and depends on, what must be right before, and who owns these.
fn chain(snap: &Snapshot, findings: &[Finding], group: &RootGroup) -> Vec<ResourceRef> {
    let own = std::iter::once(group.root).chain(group.prerequisites.iter().copied()).map(|at| &findings[at]);
    let near = own.flat_map(|f| f.subjects.iter().chain(&f.depends_on));
    let explained = group.explains.iter().flat_map(|at| &findings[*at].subjects);
    let mut seen: BTreeSet<ResourceRef> = BTreeSet::new();
    let mut all = Vec::new();
    let files = read_by(snap, &findings[group.root]);
    for resource in near.chain(explained).chain(&files) {
        for one in [Some(resource.clone()), owner_of(snap, resource)].into_iter().flatten() {
            let above = maker_of(snap, &one);
            for one in [Some(one), above].into_iter().flatten() {
                if seen.insert(one.clone()) {
                    all.push(one);
                }
            }
        }
    }
    all
}

/// What a container reads that ends for a reason nobody knows: its pods' ConfigMaps.
fn read_by(snap: &Snapshot, root: &Finding) -> Vec<ResourceRef> {
    if root.check.0 != "crash-loop" || !matches!(root.variant, "other" | "ends") {
        return Vec::new();
    }
    let mut all = BTreeSet::new();
    for resource in root.broken() {
        let ResourceRef::Kubernetes { kind, namespace, name, .. } = &resource else { continue };
        let Some(pod) = snap.pods.find(namespace, name).ok().flatten().filter(|_| kind == "Pod") else { continue };
        let keys = pod.all_containers().flat_map(|c| env_key::all(c, Holder::ConfigMap));
        let keys = keys.map(|(_, key)| key.name.as_str());
        let whole = pod.all_containers().flat_map(|c| &c.env_from).filter_map(|e| e.config_map_ref.as_ref());
        let mounted = mounts::config_maps(&pod.spec).map(|s| s.name);
        let names = mounted.chain(keys).chain(whole.map(|s| s.name.as_str()));
        all.extend(names.map(|map| ResourceRef::config_map(namespace, map)));
    }
    all.into_iter().collect()
}

/// The workload of a pod.
fn owner_of(snap: &Snapshot, resource: &ResourceRef) -> Option<ResourceRef> {
    let ResourceRef::Kubernetes { kind, namespace, name, .. } = resource else { return None };
    let pod = snap.pods.find(namespace, name).ok().flatten().filter(|_| kind == "Pod")?;
    Some(snap.owner_ref(pod))
}

/// What something is made by: the operator's resource of a workload, the node group of a node.
fn maker_of(snap: &Snapshot, resource: &ResourceRef) -> Option<ResourceRef> {
    if let ResourceRef::Kubernetes { kind, name, .. } = resource
        && kind == "Node"
    {
        let node = snap.nodes.items().ok()?.iter().find(|n| n.metadata.name == *name)?;
        return Some(ResourceRef::aws("eks", "nodegroup", node.metadata.label("eks.amazonaws.com/nodegroup")?));
    }
    let workload = owner::workload(snap, resource)?;
    let (kind, name) = owner::operator_owner(&workload.metadata)?;
    let kind = if kind == "prometheus" { "Prometheus" } else { "Alertmanager" };
    Some(ResourceRef::kubernetes("monitoring.coreos.com", kind, &workload.metadata.namespace, name))
}

/// One revision of a release is one change, whichever of its objects tells of it.
fn same(a: &changes::Change, b: &changes::Change) -> bool {
    match (&a.what, &b.what) {
        (What::Release { .. }, What::Release { .. }) => a.what == b.what,
        _ => a.resource == b.resource && a.at == b.at,
    }
}

fn is_near(snap: &Snapshot, change: &changes::Change, seen: Timestamp) -> bool {
    let before = seen.as_second() - change.at.as_second();
    let is_news = match (&change.what, &change.resource) {
        (What::Made, ResourceRef::Kubernetes { namespace, .. }) => {
            // What belongs to no namespace is news in a cluster that was there before.
            let home = if namespace.is_empty() { "kube-system" } else { namespace.as_str() };
            let home = snap.namespaces.named(home).ok().flatten();
            let made = home.and_then(|n| n.metadata.creation_timestamp);
            made.is_some_and(|m| change.at.as_second() - m.as_second() >= SETTLED)
        }
        _ => true,
    };
    is_news && (-AFTER..=BEFORE).contains(&before)
}

fn shown(snap: &Snapshot, change: &changes::Change, seen: &Seen, is_told: bool) -> Change {
    let minutes = (seen.at.as_second() - change.at.as_second()).max(0) / 60;
    let when = match minutes {
        0 => "less than a minute".to_owned(),
        m if m < 120 => format!("{m} min"),
        m => format!("{} h", m / 60),
    };
    let by = change.by.as_ref().map(|by| format!(", by {by}")).unwrap_or_default();
    let what = match &change.what {
        What::Template { revision, .. } if is_told => format!("revision {revision} of {}", change.resource),
        _ => what(change),
    };
    let text = mask(&format!("{when} {}: {what}{by}", seen.what));
    Change { at: change.at, subject: change.resource.clone(), text, evidence: evidence(snap, change) }
}

fn what(change: &changes::Change) -> String {
    let of = &change.resource;
    match &change.what {
        What::Template { revision, differs } => match differs::words(differs) {
            Some(words) => format!("revision {revision} of {of}: {words}"),
            None => format!("revision {revision} of {of}, in something that is not read here"),
        },
        What::Fields { fields, count } => {
            let shown: Vec<&str> = fields.iter().take(3).map(String::as_str).collect();
            let more = if *count > shown.len() { format!(" and {} more", count - shown.len()) } else { String::new() };
            format!("{of} was written ({}{more})", shown.join(", "))
        }
        What::Release { name, namespace, revision, status } => {
            format!("revision {revision} of Helm release {namespace}/{name} ({status})")
        }
        What::Addon { version } => format!("{of} was changed (now {version})"),
        What::Update { kind, to, status, error, .. } => {
            let to = if to.is_empty() { String::new() } else { format!(" to {}", to.join(", ")) };
            let error = error.as_ref().map(|e| format!(" ({})", shorten(e, 200))).unwrap_or_default();
            let end = match status.as_str() {
                "Successful" => String::new(),
                "InProgress" => ", still in progress".to_owned(),
                other => format!(", which ended as {other}{error}"),
            };
            format!("{kind} of {of}{to}{end}")
        }
        What::Made => format!("{of} was made"),
    }
}

/// Of an add-on or a node group of EKS.
fn of_aws(snap: &Snapshot, change: &changes::Change, aws: &AwsResource) -> Evidence {
    let place = Identity::of(snap);
    let command = match &change.what {
        What::Update { .. } => {
            "aws eks describe-update --name {{ cluster }} {{ option }} {{ name }} --update-id {{ id }}"
        }
        _ if aws.kind == "addon" => "aws eks describe-addon --cluster-name {{ cluster }} --addon-name {{ name }}",
        _ => "",
    };
    let id = if let What::Update { id, .. } = &change.what { id.as_str() } else { "" };
    let option = if aws.kind == "addon" { "--addon-name" } else { "--nodegroup-name" };
    Evidence::new(change.resource.to_string(), change.at.to_string(), command)
        .with("cluster", place.cluster.unwrap_or("<cluster-name>"))
        .with("name", &aws.id)
        .with("option", option)
        .with("id", id)
}

fn evidence(snap: &Snapshot, change: &changes::Change) -> Evidence {
    let (namespace, name) = match &change.resource {
        ResourceRef::Kubernetes { namespace, name, .. } => (namespace.as_str(), name.as_str()),
        ResourceRef::Aws(aws) => return of_aws(snap, change, aws),
        other => return Evidence::new(other.to_string(), change.at.to_string(), ""),
    };
    let source = change.resource.to_string();
    let evidence = match &change.what {
        What::Template { revision, .. } => Evidence::new(
            source,
            change.at.to_string(),
            "kubectl rollout history {{ target }} {{ revision|arguments }} -n {{ namespace }}",
        )
        .with("revision", format!("--revision={revision}")),
        What::Release { name, namespace, .. } => {
            Evidence::new(source, change.at.to_string(), "helm history {{ release }} -n {{ release_namespace }}")
                .with("release", name)
                .with("release_namespace", namespace)
        }
        _ => Evidence::new(
            source,
            change.at.to_string(),
            "kubectl get {{ target }}{% if namespace %} -n {{ namespace }}{% endif %} -o yaml --show-managed-fields",
        ),
    };
    evidence.with("namespace", namespace).with("name", name).with("target", change.resource.kubectl_name())
}
