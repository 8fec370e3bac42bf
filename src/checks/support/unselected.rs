//! Objects of the operator that no server selects: how the checks of each kind say it.

use crate::checks::support::operator::{self, found_text, server_text};
use crate::domain::kubernetes::managed::{managed_by, release};
use crate::domain::kubernetes::selector::{self, Unmet};
use crate::domain::prometheus::operator::chain::{self, End};
use crate::domain::prometheus::operator::selection::{self, Broken, Kind, Unselected};
use crate::lint::yaml::Value;
use crate::model::{CheckId, Diagnosis, Evidence, Finding, Gap, Params, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::MonitoringResource;

/// Objects named in a message at most.
const NAMED: usize = 5;

/// Everything that no server selects, of these kinds: one finding for each link that is broken.
pub(crate) fn diagnose(snap: &Snapshot, check: CheckId, kinds: &[Kind]) -> Result<Diagnosis, Gap> {
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
            findings.push(finding(snap, check, *kind, &group));
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

fn finding(snap: &Snapshot, check: CheckId, kind: Kind, group: &[&Unselected<'_>]) -> Finding {
    let first = group[0];
    let server = first.nearest.server;
    let refs = |one: &Unselected<'_>| kind.reference(&one.object.namespace, &one.object.name);
    let who = names(kind, group);
    let verb = if group.len() == 1 { "is" } else { "are" };
    let by = kind.servers().join(" or ");
    let quoted = quoted_false(snap, kind);
    let slip =
        quoted.as_ref().map(|q| format!("; {} in {} is the string \"false\", which counts as true", q.key, q.file));
    let message = format!("{who} {verb} selected by no {by}: {}{}", why(kind, group), slip.unwrap_or_default());
    let mut made = Finding::new(check, severity(snap, kind, group), refs(first), message)
        .also_all(group.iter().skip(1).map(|one| refs(one)))
        .key(format!("{} {} {}", kind.as_str(), server.reference().key(), link_key(first)))
        .fix("select");
    made.evidence.push(selector_seen(kind, server));
    made.evidence.extend(group.iter().take(NAMED).map(|one| object_seen(kind, one)));
    made.evidence.extend(first.nearest.broken.iter().filter_map(|b| namespace_seen(first, b)));
    made.evidence.extend(quoted.as_ref().map(Quoted::seen));
    set_params(&mut made.params, snap, kind, group, quoted.as_ref());
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
struct Quoted {
    key: String,
    file: String,
    line: usize,
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

fn set_params(params: &mut Params, snap: &Snapshot, kind: Kind, group: &[&Unselected<'_>], quoted: Option<&Quoted>) {
    let first = group[0];
    let server = first.nearest.server;
    let objects: Vec<serde_json::Value> = group
        .iter()
        .map(|one| {
            let labels = one.nearest.broken.iter().find_map(|b| match b {
                Broken::Labels(unmet) => Some(operator::label_values(unmet)),
                _ => None,
            });
            let meta = one.object;
            serde_json::json!({
                "name": meta.name, "namespace": meta.namespace, "labels": labels.unwrap_or_default(), "managed": managed_by(meta)
            })
        })
        .collect();
    let managed: std::collections::BTreeSet<String> =
        group.iter().map(|one| managed_by(one.object)).filter(|m| !m.is_empty()).collect();
    let namespace_labels = first.nearest.broken.iter().find_map(|b| match b {
        Broken::NamespaceLabels(unmet) => Some(operator::label_values(unmet)),
        _ => None,
    });
    let mut patches = Vec::new();
    if first.nearest.broken.contains(&Broken::NoSelector) {
        patches.push(operator::add_patch(kind.field()));
    }
    if first.nearest.broken.contains(&Broken::OwnNamespace) {
        patches.push(operator::add_patch(kind.namespace_field()));
    }
    let has_labels = first.nearest.broken.iter().any(|b| matches!(b, Broken::Labels(_)));
    params.set("kind", kind.as_str());
    params.set("resource", kind.kubectl());
    params.set("objects", objects);
    params.set("relabel", has_labels);
    params.set("objects_managed", managed.into_iter().collect::<Vec<_>>().join(", "));
    params.set("object_namespace", &first.object.namespace);
    params.set("namespace_labels", namespace_labels.unwrap_or_default());
    params.set("patch", (!patches.is_empty()).then(|| format!("[{}]", patches.join(","))));
    params.set("not_watched", first.nearest.broken.contains(&Broken::NotWatched));
    params.set("field", kind.field());
    operator::server_params(params, server);
    operator::operator_params(params, snap);
    operator::loaded_params(params, snap, kind, &first.object.namespace, &first.object.name);
    // The chart sets the selector to its release's label unless this value is false.
    let (labels, _) = kind.selectors(&server.spec);
    let by_chart = release(&server.metadata).is_some_and(|(release, _)| {
        labels.is_some_and(|l| selector::text(l) == format!("release={release}"))
            && server.metadata.label("chart").is_some_and(|c| c.starts_with("kube-prometheus-stack"))
    });
    let value = format!("{}.{}NilUsesHelmValues", operator::values_base(server), kind.field());
    params.set("widen_set", (by_chart && has_labels).then_some(value));
    params.set("widen_patch", (!by_chart && has_labels).then(|| format!("[{}]", operator::add_patch(kind.field()))));
    params.set("quoted_key", quoted.map(|q| q.key.as_str()));
    params.set("quoted_file", quoted.map(|q| q.file.as_str()));
    params.set("quoted_line", quoted.map(|q| q.line));
}
