//! Objects of the operator that no server selects: how the checks of each kind say it.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::operator::{
    self, Label, Loaded, Operator, Server, StackRelease, found_text, labels, server_text,
};
use crate::domain::kubernetes::managed::{managed_by, release};
use crate::domain::kubernetes::selector::{self, Unmet};
use crate::domain::prometheus::operator::chain::{self, End};
use crate::domain::prometheus::operator::selection::{self, Broken, Kind, Unselected};
use crate::lint::yaml::Value;
use crate::model::{CheckId, Diagnosis, Evidence, Finding, FixValues, Gap, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Meta, MonitoringResource};

/// Objects named in a message at most.
const NAMED: usize = 5;

/// Values of the shared steps `unselected`.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Selection {
    resource: &'static str,
    objects: Vec<Unread>,
    /// Labels of theirs are wrong.
    relabel: bool,
    objects_managed: String,
    object_namespace: String,
    namespace_labels: Vec<Label>,
    /// Makes selectors that are absent select everything.
    patch: Option<String>,
    not_watched: bool,
    #[serde(flatten)]
    server: Server,
    #[serde(flatten)]
    stack: StackRelease,
    #[serde(flatten)]
    operator: Operator,
    /// The chart's value that makes the selector ask for no label, or the patch where no chart sets it.
    widen_set: Option<String>,
    widen_patch: Option<String>,
    quoted: Option<Quoted>,
}

/// An object that no server selects.
#[derive(Serialize, JsonSchema)]
struct Unread {
    name: String,
    namespace: String,
    labels: Vec<Label>,
    managed: String,
}

/// Everything that no server selects, of these kinds: one finding for each link that is broken, with the fix that is made of
/// how its first object could be selected and of what shows that it was.
pub(crate) fn diagnose<F: FixValues>(
    snap: &Snapshot,
    check: CheckId,
    kinds: &[Kind],
    fix: impl Fn(Selection, &MonitoringResource, Loaded) -> F,
) -> Result<Diagnosis, Gap> {
    let mut findings = Vec::new();
    let mut any_server = false;
    for (at, kind) in kinds.iter().enumerate() {
        any_server |= !selection::servers(snap, *kind)?.is_empty();
        // The first kind is the one that matters; the others are rare, and older clusters do not know them.
        if at > 0 && selection::objects(snap, *kind).is_err() {
            continue;
        }
        let unselected = selection::unselected(snap, *kind)?;
        for group in groups(&unselected) {
            let quoted = quoted_false(snap, *kind);
            let made = finding(snap, check, *kind, &group, quoted.as_ref());
            let Meta { namespace, name, .. } = group[0].object;
            let loaded = Loaded::of(snap, *kind, namespace, name);
            findings.push(made.fix(fix(Selection::of(snap, *kind, &group, quoted), group[0].nearest.server, loaded)));
        }
    }
    if !any_server {
        return Ok(Diagnosis::NotApplicable("no server of the Prometheus Operator could select them".into()));
    }
    Ok(Diagnosis::Findings(findings))
}

/// Those that the same link of the same server keeps out.
fn groups<'a, 'b>(all: &'b [Unselected<'a>]) -> Vec<Vec<&'b Unselected<'a>>> {
    let mut groups: Vec<(String, Vec<&Unselected<'a>>)> = Vec::new();
    for one in all {
        let key = format!("{} {}", one.nearest.server.reference().key(), link_key(one));
        match groups.iter_mut().find(|(k, _)| *k == key) {
            Some((_, group)) => group.push(one),
            None => groups.push((key, vec![one])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

fn link_key(one: &Unselected<'_>) -> String {
    let of = |broken: &Broken| match broken {
        Broken::NoSelector => "absent".to_owned(),
        Broken::Labels(unmet) => wanted(unmet),
        Broken::OwnNamespace => "own namespace".to_owned(),
        Broken::NamespaceLabels(_) => format!("namespace {}", one.object.namespace),
        Broken::NotWatched => "not watched".to_owned(),
    };
    one.nearest.broken.iter().map(of).collect::<Vec<_>>().join(" and ")
}

/// `release=stack, team`.
fn wanted(unmet: &[Unmet]) -> String {
    unmet.iter().map(Unmet::to_string).collect::<Vec<_>>().join(", ")
}

fn finding(snap: &Snapshot, check: CheckId, kind: Kind, group: &[&Unselected<'_>], quoted: Option<&Quoted>) -> Finding {
    let first = group[0];
    let server = first.nearest.server;
    let refs = |one: &Unselected<'_>| kind.reference(&one.object.namespace, &one.object.name);
    let who = names(kind, group);
    let verb = if group.len() == 1 { "is" } else { "are" };
    let by = kind.servers().join(" or ");
    let slip = quoted.map(|q| format!("; {} in {} is the string \"false\", which counts as true", q.key, q.file));
    let message = format!("{who} {verb} selected by no {by}: {}{}", why(kind, group), slip.unwrap_or_default());
    let mut made = Finding::new(check, severity(snap, kind, group), refs(first), message)
        .also_all(group.iter().skip(1).map(|one| refs(one)))
        .key(format!("{} {} {}", kind.as_str(), server.reference().key(), link_key(first)));
    made.evidence.push(selector_seen(kind, server));
    made.evidence.extend(group.iter().take(NAMED).map(|one| object_seen(kind, one)));
    made.evidence.extend(first.nearest.broken.iter().filter_map(|b| namespace_seen(first, b)));
    made.evidence.extend(quoted.map(Quoted::seen));
    made
}

fn names(kind: Kind, group: &[&Unselected<'_>]) -> String {
    let name = |one: &&Unselected<'_>| format!("{}/{}", one.object.namespace, one.object.name);
    let shown: Vec<String> = group.iter().take(NAMED).map(name).collect();
    match group.len() {
        1 => format!("{} {}", kind.as_str(), shown[0]),
        n if n > NAMED => format!("{n} {}s ({} and {} more)", kind.as_str(), shown.join(", "), n - NAMED),
        n => format!("{n} {}s ({})", kind.as_str(), shown.join(", ")),
    }
}

fn why(kind: Kind, group: &[&Unselected<'_>]) -> String {
    let first = group[0];
    let server = server_text(first.nearest.server);
    let of = |broken: &Broken| match broken {
        Broken::NoSelector => format!("{server} has no {}, and an absent selector selects nothing", kind.field()),
        Broken::Labels(unmet) => {
            let alike = group.iter().all(|one| one.nearest.broken == first.nearest.broken);
            let verb = if group.len() == 1 { "it has" } else { "they have" };
            let found = if alike { format!("{verb} {}", found_text(unmet)) } else { "their labels differ".to_owned() };
            format!("{server} wants {} ({}), and {found}", wanted(unmet), kind.field())
        }
        Broken::OwnNamespace => format!(
            "{server} has no {}, so that it looks at its own namespace {} only",
            kind.namespace_field(),
            first.nearest.server.metadata.namespace
        ),
        Broken::NamespaceLabels(unmet) => format!(
            "{server} wants namespaces with {} ({}), and namespace {} has {}",
            wanted(unmet),
            kind.namespace_field(),
            first.object.namespace,
            found_text(unmet)
        ),
        Broken::NotWatched => format!("no operator watches namespace {}", first.object.namespace),
    };
    first.nearest.broken.iter().map(of).collect::<Vec<_>>().join("; ")
}

/// Loud where one link is broken; who is out by labels and by namespace, among several servers, may be so on purpose.
fn severity(snap: &Snapshot, kind: Kind, group: &[&Unselected<'_>]) -> Severity {
    let first = group[0];
    let meant = first.nearest.broken.len() == 1 || first.servers == 1;
    if group.iter().all(|one| is_idle(snap, kind, one)) {
        return Severity::Info;
    }
    match (meant, first.nearest.broken.len()) {
        (true, 1) => Severity::Error,
        (true, _) => Severity::Warning,
        _ => Severity::Info,
    }
}

/// Nothing runs that it would find: an application at zero, or a control plane that is not ours.
fn is_idle(snap: &Snapshot, kind: Kind, one: &Unselected<'_>) -> bool {
    if !matches!(kind, Kind::ServiceMonitor | Kind::PodMonitor) {
        return false;
    }
    let monitors = snap.monitors.items().unwrap_or_default();
    let same = |m: &&crate::snapshot::kubernetes::Monitor| {
        m.kind == kind.as_str() && m.metadata.namespace == one.object.namespace && m.metadata.name == one.object.name
    };
    let Some(monitor) = monitors.iter().find(same) else { return false };
    let ends = monitor.spec.endpoints.iter().map(|e| chain::walk(snap, one.nearest.server, monitor, e));
    ends.clone().next().is_some() && ends.into_iter().all(|end| matches!(end, End::NoEndpoints(_) | End::NoPod))
}

fn selector_seen(kind: Kind, server: &MonitoringResource) -> Evidence {
    let (labels, namespaces) = kind.selectors(&server.spec);
    let show = |field: &str, selector: Option<&_>| match selector.map(selector::text) {
        None => format!("{field}: absent"),
        Some(text) if text.is_empty() => format!("{field}: {{}}"),
        Some(text) => format!("{field}: {text}"),
    };
    let value = format!("{}\n{}", show(kind.field(), labels), show(kind.namespace_field(), namespaces));
    Evidence::new(
        server_text(server),
        value,
        "kubectl get {{ kind }} {{ name }} -n {{ namespace }} -o jsonpath={{ path }}",
    )
    .with("kind", server.kind.to_ascii_lowercase())
    .with("name", &server.metadata.name)
    .with("namespace", &server.metadata.namespace)
    .with("path", format!("{{.spec.{}}} {{.spec.{}}}", kind.field(), kind.namespace_field()))
}

fn object_seen(kind: Kind, one: &Unselected<'_>) -> Evidence {
    let meta = one.object;
    let labels: Vec<String> = meta.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let value = if labels.is_empty() { "no label".to_owned() } else { labels.join(", ") };
    Evidence::new(
        format!("{} {}/{} metadata.labels", kind.as_str(), meta.namespace, meta.name),
        value,
        "kubectl get {{ kind }} {{ name }} -n {{ namespace }} --show-labels",
    )
    .with("kind", kind.kubectl())
    .with("name", &meta.name)
    .with("namespace", &meta.namespace)
}

fn namespace_seen(one: &Unselected<'_>, broken: &Broken) -> Option<Evidence> {
    let Broken::NamespaceLabels(unmet) = broken else { return None };
    let namespace = &one.object.namespace;
    let seen = Evidence::new(
        format!("Namespace {namespace} metadata.labels"),
        found_text(unmet),
        "kubectl get namespace {{ namespace }} --show-labels",
    );
    Some(seen.with("namespace", namespace))
}

/// `…NilUsesHelmValues: "false"` in a values file: a template takes any text but the empty one for true.
#[derive(Serialize, JsonSchema)]
struct Quoted {
    key: String,
    file: String,
    line: usize,
    #[serde(skip)]
    text: String,
}

impl Quoted {
    fn seen(&self) -> Evidence {
        Evidence::new(
            format!("{} line {}", self.file, self.line),
            format!("{}: {:?} is a string", self.key, self.text),
            "grep -n {{ key }} {{ file }}",
        )
        .with("key", &self.key)
        .with("file", &self.file)
    }
}

fn quoted_false(snap: &Snapshot, kind: Kind) -> Option<Quoted> {
    let key = format!("{}NilUsesHelmValues", kind.field());
    snap.manifests.items().unwrap_or_default().iter().find_map(|file| {
        let value = file.values.iter().find_map(|v| v.at(&["prometheus", "prometheusSpec", &key]))?;
        match &value.value {
            Value::Scalar { text, plain: false } if text.eq_ignore_ascii_case("false") => {
                Some(Quoted { key: key.clone(), file: file.path.clone(), line: value.place.line, text: text.clone() })
            }
            _ => None,
        }
    })
}

impl Selection {
    fn of(snap: &Snapshot, kind: Kind, group: &[&Unselected<'_>], quoted: Option<Quoted>) -> Self {
        let first = group[0];
        let server = first.nearest.server;
        let broken = &first.nearest.broken;
        let managed: BTreeSet<String> =
            group.iter().map(|one| managed_by(one.object)).filter(|m| !m.is_empty()).collect();
        let namespace_labels = broken.iter().find_map(|b| match b {
            Broken::NamespaceLabels(unmet) => Some(labels(unmet)),
            _ => None,
        });
        let absent = [(Broken::NoSelector, kind.field()), (Broken::OwnNamespace, kind.namespace_field())];
        let patches: Vec<String> =
            absent.iter().filter(|(b, _)| broken.contains(b)).map(|(_, field)| operator::add_patch(field)).collect();
        let relabel = broken.iter().any(|b| matches!(b, Broken::Labels(_)));
        let by_chart = is_of_chart(kind, server);
        let value = format!("{}.{}NilUsesHelmValues", operator::values_base(server), kind.field());
        Self {
            resource: kind.kubectl(),
            objects: group.iter().map(|one| Unread::of(one)).collect(),
            relabel,
            objects_managed: managed.into_iter().collect::<Vec<_>>().join(", "),
            object_namespace: first.object.namespace.clone(),
            namespace_labels: namespace_labels.unwrap_or_default(),
            patch: (!patches.is_empty()).then(|| format!("[{}]", patches.join(","))),
            not_watched: broken.contains(&Broken::NotWatched),
            server: Server::of(server),
            stack: StackRelease::of(server),
            operator: Operator::of(snap),
            widen_set: (by_chart && relabel).then_some(value),
            widen_patch: (!by_chart && relabel).then(|| format!("[{}]", operator::add_patch(kind.field()))),
            quoted,
        }
    }
}

/// The chart sets the selector to its release's label unless a value of it is false.
fn is_of_chart(kind: Kind, server: &MonitoringResource) -> bool {
    let (labels, _) = kind.selectors(&server.spec);
    release(&server.metadata).is_some_and(|(release, _)| {
        labels.is_some_and(|l| selector::text(l) == format!("release={release}"))
            && server.metadata.label("chart").is_some_and(|c| c.starts_with("kube-prometheus-stack"))
    })
}

impl Unread {
    fn of(one: &Unselected<'_>) -> Self {
        let wrong = one.nearest.broken.iter().find_map(|b| match b {
            Broken::Labels(unmet) => Some(labels(unmet)),
            _ => None,
        });
        let meta = one.object;
        Self {
            name: meta.name.clone(),
            namespace: meta.namespace.clone(),
            labels: wrong.unwrap_or_default(),
            managed: managed_by(meta),
        }
    }
}
