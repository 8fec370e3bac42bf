//! Configurations in the files that were given, judged before they are applied.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::edits::{Again, SHOWN, edits};
use crate::checks::support::faulty_file::{self, headline, job_of, rule_of};
use crate::domain::manifests::copy;
use crate::domain::manifests::given;
use crate::domain::manifests::values::Values;
use crate::domain::manifests::written::{self, Dialect, Readers, Written};
use crate::domain::prometheus::server::{Server, numbers};
use crate::lint::yaml::Node;
use crate::lint::{Place, Problem, alertmanager, dashboard, frame, kubernetes, prometheus, rules};
use crate::model::{
    CheckMeta, Diagnosis, Evidence, Finding, FixValues, Gap, GapCause, Location, Program, ResourceRef, Severity,
};
use crate::snapshot::Snapshot;
use crate::snapshot::manifests::{BLANK, Manifest, ManifestFile};
use crate::text::redact::mask_file;

/// The path of what came on standard input.
pub(crate) const PIPED: &str = "-";

/// What a program refuses of its configurations in the files; `fix` corrects the lines.
///
/// # Errors
/// The gap, if no file could be read.
pub(crate) fn judge<F: FixValues>(
    snap: &Snapshot,
    dialect: Dialect,
    meta: &'static CheckMeta,
    fix: fn(Corrected) -> F,
) -> Result<Diagnosis, Gap> {
    snap.manifests()?;
    let all = written::all(snap, dialect);
    if all.is_empty() {
        return Ok(Diagnosis::NotApplicable(format!("{} in the files", none_of(dialect))));
    }
    let readers = readers(snap);
    let found: Vec<Finding> = all.iter().filter_map(|written| finding(written, readers, meta, fix)).collect();
    if dialect == Dialect::Prometheus
        && found.is_empty()
        && let Some((major, minor)) = readers.prometheus.filter(|version| *version > prometheus::NEWEST)
    {
        let known = format!("{}.{}", prometheus::NEWEST.0, prometheus::NEWEST.1);
        let message = format!("it is newer than {known}, the newest known here: unknown fields are not judged");
        let hint = "promtool of that version knows them: promtool check config FILE";
        return Err(Gap::new(format!("Prometheus {major}.{minor}"), GapCause::Truncated, message).hint(hint));
    }
    Ok(Diagnosis::Findings(found))
}

fn none_of(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Prometheus => "no configuration of Prometheus",
        Dialect::Rules => "no rules",
        Dialect::Alertmanager => "no configuration of Alertmanager",
        Dialect::Web => "no web configuration",
        Dialect::Dashboard => "no dashboard",
    }
}

/// The versions that the workloads of the files, or of the cluster, run; unknown where they differ.
fn readers(snap: &Snapshot) -> Readers {
    let workloads = snap.workloads.items().unwrap_or_default();
    let containers = workloads.iter().flat_map(|w| w.spec.template.spec.containers.iter().map(move |c| (w, c)));
    let (mut versions, mut alertmanagers, mut agent) = (Vec::new(), Vec::new(), false);
    let mut features = Vec::new();
    for (workload, container) in containers {
        match container.program() {
            Some(Program::Prometheus) => {
                let server = Server { workload, container };
                versions.push(server.version(snap));
                agent |= server.is_agent();
                features.push(Some(server.promql_features()));
            }
            Some(Program::Alertmanager) => {
                let tag = container.image.rsplit(['/', ':']).next().unwrap_or_default();
                alertmanagers.push(alertmanager::Version::parse(tag));
            }
            _ => {}
        }
    }
    for (_, object) in snap.manifest_objects("monitoring.coreos.com", "Prometheus") {
        let spec = object.node.get("spec");
        let text = |key: &str| spec.and_then(|s| s.get(key)).and_then(Node::as_str);
        versions.push(text("version").or_else(|| text("image")?.rsplit(':').next()).and_then(numbers));
        let listed = spec.and_then(|s| s.get("enableFeatures")).and_then(Node::items).unwrap_or_default();
        let on = |name: &str| listed.iter().any(|f| f.as_str() == Some(name));
        // More arguments may switch more on.
        features.push(spec.is_some_and(|s| s.get("additionalArgs").is_none()).then(|| rules::Features {
            experimental_functions: on("promql-experimental-functions"),
            duration_expressions: on("promql-duration-expr"),
        }));
    }
    versions.dedup();
    alertmanagers.dedup();
    features.dedup();
    Readers {
        prometheus: only(&versions),
        alertmanager: only(&alertmanagers),
        agent: agent && versions.len() == 1,
        features: only(&features),
    }
}

/// What all of them are, where it is known.
fn only<T: Copy>(all: &[Option<T>]) -> Option<T> {
    if let [one] = all { *one } else { None }
}

fn finding<F: FixValues>(
    written: &Written<'_>,
    readers: Readers,
    meta: &'static CheckMeta,
    fix: fn(Corrected) -> F,
) -> Option<Finding> {
    let file = written.file;
    let problems = written.problems(readers);
    problems.first()?;
    let whole = written.object.is_none() && written.field.is_empty();
    let tool = if whole { tool(written.dialect) } else { "" };
    let again = |text: &str, at: Place| written.again(text, at, readers);
    let so = format!(": {}", consequence(written, &problems));
    let broken = written.dialect != Dialect::Dashboard || !dashboard::loads(&problems);
    let severity = if broken { Severity::Error } else { Severity::Warning };
    let finding = of_written(meta, severity, written, &problems, &so);
    Some(finding.fix(fix(Corrected::new(file, &written.field, &problems, tool, &again))))
}

/// A finding about a configuration; `so` says what follows from the problems.
pub(crate) fn of_written(
    meta: &'static CheckMeta,
    severity: Severity,
    written: &Written<'_>,
    problems: &[Problem],
    so: &str,
) -> Finding {
    let file = written.file;
    let whole = written.object.is_none() && written.field.is_empty();
    let first = problems.first();
    let job = first.and_then(|first| job_of(&file.text, first)).filter(|_| whole);
    let job = job.map_or(String::new(), |j| format!(" (job {j})"));
    let holder = match written.object {
        // Of what an object holds for a chart the path says more than the object.
        Some(object) if object.name.is_empty() => format!(", in the Helm values {}", written.field),
        Some(object) => format!(", in {} {}", object.kind, given::full_name(object)),
        None if whole => String::new(),
        None => format!(", in the Helm values {}", written.field),
    };
    let source = first.map_or(String::new(), |first| source_of(file, first.place.line));
    let headline = headline(shown_path(&file.path), problems);
    let message = format!("{headline}{job}{holder}{source}{so}");
    let subject = match written.object {
        Some(o) if o.name.is_empty() => ResourceRef::file(&file.path, &written.field),
        Some(o) => ResourceRef::kubernetes(o.group(), &o.kind, &o.namespace, &o.name),
        None => ResourceRef::file(&file.path, &written.field),
    };
    let finding = Finding::new(meta.id, severity, subject, message).key(format!("{} {}", file.path, written.field));
    located(finding, file, &written.field, problems)
}

/// What stands at the place of a problem: where two checks find fault with it, the file is right or wrong there once.
pub(crate) fn place(file: &ManifestFile, problem: &Problem) -> ResourceRef {
    ResourceRef::file(&file.path, format!("at {}", problem.place))
}

/// Adds the places of problems in a file, with what stands there.
fn located(mut finding: Finding, file: &ManifestFile, field: &str, problems: &[Problem]) -> Finding {
    // What runs goes on with what it has.
    finding.breaks = Some(problems.iter().map(|p| place(file, p)).collect());
    for problem in problems.iter().take(SHOWN) {
        let line = file.text.lines().nth(problem.place.line.saturating_sub(1)).unwrap_or_default();
        let parts = [field, problem.path.as_str()];
        let path = parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join(".");
        let place = Location::file(&file.path).field(path);
        finding.locations.push(place.at(problem.place.line, Some(problem.place.column)).excerpt(mask_file(line)));
        let source = format!("{}:{}: {}", shown_path(&file.path), problem.place, problem.message);
        let near = format!("{},{}p", problem.place.line.saturating_sub(2).max(1), problem.place.line + 2);
        let template = if file.path == PIPED { "" } else { "sed -n {{ lines }} {{ file }}" };
        let shown = Evidence::new(source, frame(&file.text, problem.caret()), template);
        finding.evidence.push(shown.with("lines", near).with("file", &file.path));
    }
    finding
}

/// What a check of manifests says of each object of the files.
///
/// # Errors
/// The gap, if no file could be read.
pub(crate) fn each_object(
    snap: &Snapshot,
    judge: impl Fn(&ManifestFile, &Manifest) -> Option<Finding>,
) -> Result<Diagnosis, Gap> {
    snap.manifests()?;
    if given::objects(snap).next().is_none() {
        return Ok(Diagnosis::NotApplicable("no manifest was given (-f)".into()));
    }
    let readable = given::objects(snap).filter(|(_, object)| !given::is_encrypted(&object.node));
    Ok(Diagnosis::Findings(readable.filter_map(|(file, object)| judge(file, object)).collect()))
}

/// A finding about an object of a file; `so` says what follows from the problems.
pub(crate) fn of_object(
    meta: &'static CheckMeta,
    file: &ManifestFile,
    object: &Manifest,
    problems: &[Problem],
    so: &str,
) -> Finding {
    let (kind, name) = (&object.kind, given::full_name(object));
    let source = problems.first().map_or(String::new(), |first| source_of(file, first.place.line));
    // A kustomization has no name: its file says which it is.
    let holder = if object.name.is_empty() { String::new() } else { format!(", in {kind} {name}") };
    let message = format!("{}{holder}{source}{so}", headline(shown_path(&file.path), problems));
    let subject = ResourceRef::kubernetes(object.group(), kind, &object.namespace, &object.name);
    let finding = Finding::new(meta.id, meta.severity, subject, message).key(format!("{} {kind} {name}", file.path));
    located(finding, file, "", problems)
}

/// A finding about a file as a whole; `so` says what follows from the problems.
pub(crate) fn of_file(meta: &'static CheckMeta, file: &ManifestFile, problems: &[Problem], so: &str) -> Finding {
    let message = format!("{}{so}", headline(shown_path(&file.path), problems));
    let finding = Finding::new(meta.id, meta.severity, ResourceRef::file(&file.path, ""), message).key(&file.path);
    located(finding, file, "", problems)
}

/// A finding about Helm values; `so` says what follows from the problems.
pub(crate) fn of_values(
    meta: &'static CheckMeta,
    file: &ManifestFile,
    values: &Values<'_>,
    problems: &[Problem],
    so: &str,
) -> Finding {
    let (subject, holder) = match values.object.filter(|o| !o.name.is_empty()) {
        Some(object) => {
            let subject = ResourceRef::kubernetes(object.group(), &object.kind, &object.namespace, &object.name);
            (subject, format!("in the Helm values of {} {}", object.kind, given::full_name(object)))
        }
        None => (ResourceRef::file(&file.path, values.path), "in Helm values".to_owned()),
    };
    let message = format!("{}, {holder}{so}", headline(shown_path(&file.path), problems));
    let finding = Finding::new(meta.id, meta.severity, subject, message).key(format!("{} {}", file.path, values.path));
    located(finding, file, "", problems)
}

/// For problems of several objects together: a copy has to be readable, and its objects no worse by themselves.
pub(crate) fn still_read(file: &ManifestFile) -> impl Fn(&str, Place) -> Option<Vec<Problem>> + '_ {
    let faults = |file: &ManifestFile| file.objects.iter().flat_map(|o| kubernetes::lint(&o.node, true)).count();
    move |text, at| {
        let before = copy::reread(file, &file.text, at)?;
        let after = copy::reread(file, text, at)?;
        (faults(&after) <= faults(&before) && after.objects.len() == before.objects.len()).then(Vec::new)
    }
}

/// For problems of an object by itself: what `judge` says of its copy.
pub(crate) fn of_copy<'a>(
    file: &'a ManifestFile,
    object: &'a Manifest,
    judge: impl Fn(&Manifest) -> Vec<Problem> + 'a,
) -> impl Fn(&str, Place) -> Option<Vec<Problem>> + 'a {
    move |text, at| {
        let copy = copy::reread(file, text, at)?;
        copy.objects.iter().find(|o| o.place() == object.place()).map(&judge)
    }
}

/// Values of the fix that corrects the lines of a file: the steps of `file-corrected` and `file-judged`.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Corrected {
    file: String,
    field: String,
    edits: String,
    problems: Vec<String>,
    tool: &'static str,
    piped: bool,
}

impl Corrected {
    /// Of the field of a file, or of the whole file where it is empty; `tool` names its program's own checker.
    pub(crate) fn new(
        file: &ManifestFile,
        field: &str,
        problems: &[Problem],
        tool: &'static str,
        again: Again<'_>,
    ) -> Self {
        Self {
            file: shown_path(&file.path).to_owned(),
            field: field.to_owned(),
            edits: edits(&file.text, &visible(file, problems), again),
            problems: problems.iter().take(SHOWN).map(|p| said(&file.text, p)).collect(),
            tool,
            piped: file.path == PIPED,
        }
    }
}

/// Problems of lines that are shown as they are: what is blanked out cannot be written again.
fn visible(file: &ManifestFile, problems: &[Problem]) -> Vec<Problem> {
    let line = |p: &Problem| file.text.lines().nth(p.place.line.saturating_sub(1)).unwrap_or_default();
    problems.iter().filter(|p| !line(p).contains(BLANK)).cloned().collect()
}

/// A path as people read it.
fn shown_path(path: &str) -> &str {
    if path == PIPED { "standard input" } else { path }
}

/// The file of a chart that a line of its rendered text comes from, as `helm template` says above it.
fn source_of(file: &ManifestFile, line: usize) -> String {
    let before = file.text.lines().take(line).collect::<Vec<_>>();
    let document = before.iter().rposition(|l| l.starts_with("---")).unwrap_or_default();
    let source = before[document..].iter().find_map(|l| l.strip_prefix("# Source: "));
    source.map_or(String::new(), |source| format!(", from {}", source.trim()))
}

/// A problem in one line, for the page.
fn said(text: &str, problem: &Problem) -> String {
    let rule = rule_of(text, problem).unwrap_or_default();
    format!("line {}: {rule}{}", problem.place.line, faulty_file::sentence(problem))
}

fn consequence(written: &Written<'_>, problems: &[Problem]) -> &'static str {
    if rules::load(problems) {
        return "Prometheus loads it, and the rule fails each time it is evaluated";
    }
    match (written.dialect, written.object.map(|o| o.kind.as_str())) {
        (Dialect::Rules, Some("PrometheusRule")) => {
            "the operator or its webhook refuses the object, so that none of its rules is loaded"
        }
        (Dialect::Prometheus | Dialect::Rules, _) => "Prometheus does not load it",
        (Dialect::Alertmanager, _) => "Alertmanager does not load it, or fails when it sends",
        (Dialect::Dashboard, _) if dashboard::loads(problems) => "the panel shows an error",
        (Dialect::Dashboard, _) => "Grafana does not load it",
        (Dialect::Web, _) => "a program does not start with it, and one that runs refuses each request",
    }
}

/// The program's own checker for a whole file, as the page names it.
fn tool(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Prometheus => "config",
        Dialect::Rules => "rules",
        Dialect::Alertmanager => "alertmanager",
        // It wants to read the certificates as well, which are elsewhere.
        Dialect::Web => "",
        Dialect::Dashboard => "",
    }
}
