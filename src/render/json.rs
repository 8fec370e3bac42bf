//! The JSON report: frozen types of their own, `schema_version` 1. Fields are added, never changed or removed.

mod why;

use schemars::JsonSchema;
use serde::Serialize;

pub use why::{why_json, why_schema};

use crate::history::{Changes, Lost, PastFinding};
use crate::model::{self, AwsResource, Gap, GapCause, Outcome, ResourceRef};
use crate::term::json_escaped;

/// Version of these types.
const SCHEMA_VERSION: u32 = 1;

/// What kdoctor writes to stdout: a report, or why there is none.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
enum Document {
    /// A report.
    Report(Box<Report>),
    /// kdoctor could not do its job; the exit code is 2.
    Failure(Failure),
}

/// Why there is no report.
#[derive(Debug, Serialize, JsonSchema)]
struct Failure {
    /// Version of this format: 1.
    schema_version: u32,
    /// What made the document.
    tool: Tool,
    /// What went wrong.
    error: Error,
}

/// What kept kdoctor from doing its job.
#[derive(Debug, Serialize, JsonSchema)]
struct Error {
    /// What went wrong.
    message: String,
    /// What to do about it; may be empty.
    hint: String,
}

/// A report of kdoctor.
#[derive(Debug, Serialize, JsonSchema)]
struct Report {
    /// Version of this format: 1.
    schema_version: u32,
    /// What made the report.
    tool: Tool,
    /// What was looked at.
    target: Target,
    /// When it was looked at, RFC 3339.
    collected_at: String,
    /// Counts.
    summary: Summary,
    /// All findings: each root followed by what belongs to it, worst first.
    findings: Vec<Finding>,
    /// What the systems themselves say is wrong: alerts, events, conditions, errors in logs.
    signals: Vec<Signal>,
    /// What became of each mute of `kdoctor.toml`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    mutes: Vec<Mute>,
    /// How each check ended.
    runs: Vec<Run>,
    /// What could not be seen.
    gaps: Vec<GapRecord>,
    /// With `--since`: what changed since that report.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Since>,
    /// Files that were given and could not be read: the exit code is 2, whatever the others hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Error>,
}

/// What changed since a report of before.
#[derive(Debug, Serialize, JsonSchema)]
struct Since {
    /// When that report was made, RFC 3339.
    collected_at: String,
    /// Findings that it does not have.
    appeared: Vec<Known>,
    /// Its findings that are gone.
    resolved: Vec<Known>,
    /// Findings that it has, too.
    unchanged: Vec<Known>,
    /// Its findings that were not found again by checks that could not look: nobody knows whether they are gone.
    out_of_sight: Vec<OutOfSight>,
}

/// A finding of either report, in short.
#[derive(Debug, Serialize, JsonSchema)]
struct Known {
    /// Its id.
    id: String,
    /// Its check.
    check: String,
    /// `error`, `warning` or `info`.
    severity: String,
    /// What is wrong.
    message: String,
    /// Nothing else explains it.
    root: bool,
}

/// A finding whose check could not look.
#[derive(Debug, Serialize, JsonSchema)]
struct OutOfSight {
    /// The finding.
    #[serde(flatten)]
    finding: Known,
    /// What could not be seen.
    why: String,
}

/// What made the report.
#[derive(Debug, Serialize, JsonSchema)]
struct Tool {
    /// `kdoctor`.
    name: &'static str,
    /// Its version.
    version: &'static str,
}

/// What was looked at.
#[derive(Debug, Serialize, JsonSchema)]
struct Target {
    /// `eks`, `kubernetes` or empty where it could not be told.
    platform: String,
    /// kubeconfig context.
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<String>,
    /// EKS cluster name.
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<String>,
    /// AWS region.
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    /// AWS account id.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    /// Version of the API server.
    #[serde(skip_serializing_if = "Option::is_none")]
    kubernetes_version: Option<String>,
    /// Namespaces of the monitoring stack.
    namespaces: Vec<String>,
    /// Files with manifests or Helm values that were read.
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest_files: Option<usize>,
    /// Kubernetes objects in them.
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest_objects: Option<usize>,
}

/// Counts.
#[derive(Debug, Serialize, JsonSchema)]
struct Summary {
    /// Root causes.
    roots: usize,
    /// Findings of severity error.
    errors: usize,
    /// Findings of severity warning.
    warnings: usize,
    /// Findings of severity info.
    infos: usize,
    /// Signals that say that something is wrong and that no root cause explains.
    unexplained: usize,
    /// Findings that are muted; the numbers above are without them.
    muted: usize,
    /// Checks that passed.
    passed: usize,
    /// Checks with findings.
    failed: usize,
    /// Checks without a subject here.
    not_applicable: usize,
    /// Checks that could not see what they need, and checks that failed themselves.
    not_evaluated: usize,
}

/// One fault.
#[derive(Debug, Serialize, JsonSchema)]
struct Finding {
    /// Fingerprint: the same fault has the same id in every run.
    id: String,
    /// Check.
    check: String,
    /// Suite.
    suite: String,
    /// `error`, `warning` or `info`.
    severity: String,
    /// What is broken.
    subject: Subject,
    /// All that is broken in this way, the subject first.
    subjects: Vec<Subject>,
    /// What is wrong, in one sentence.
    message: String,
    /// Somebody has accepted it: it does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    muted: Option<Muted>,
    /// Nothing else explains it: fix this one.
    root: bool,
    /// Ids of the findings that this root explains.
    explains: Vec<String>,
    /// Ids of the findings that explain this one.
    caused_by: Vec<String>,
    /// Ids of the findings whose fix needs this one fixed first; its steps are part of theirs.
    needed_by: Vec<String>,
    /// What was seen.
    evidence: Vec<Evidence>,
    /// What its check looked at and could not see: with it the finding might read otherwise.
    judged_without: Vec<GapRecord>,
    /// Places where the fault is written.
    locations: Vec<Location>,
    /// Of a root: what was changed on its chain shortly before it was first seen, the last one first. A hint where to look,
    /// and no cause by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    changes: Vec<Change>,
    /// How to fix it.
    remediation: Remediation,
}

/// Why a finding does not count.
#[derive(Debug, Serialize, JsonSchema)]
struct Muted {
    /// Why.
    reason: String,
    /// The last day on which it does not, `2026-12-31`.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
}

/// A mute, and what became of it.
#[derive(Debug, Serialize, JsonSchema)]
struct Mute {
    /// The check.
    check: String,
    /// The pattern of subjects.
    subject: String,
    /// Why.
    reason: String,
    /// The last day, `2026-12-31`.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    /// Where it is written: file and line.
    place: String,
    /// Findings that it is about.
    findings: usize,
    /// `used`, `unused`, `expired` (its last day is over: what it is about counts again) or `not-judged` (its check did not
    /// run, or could not be evaluated).
    state: String,
}

/// A change.
#[derive(Debug, Serialize, JsonSchema)]
struct Change {
    /// When, RFC 3339.
    at: String,
    /// What was changed.
    subject: Subject,
    /// How long before, of what and by whom.
    text: String,
    /// Where it was read.
    evidence: Evidence,
}

/// A resource.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
enum Subject {
    /// A Kubernetes object.
    Kubernetes {
        /// Kind.
        kind: String,
        /// API group, empty for core.
        group: String,
        /// Namespace, empty for cluster-scoped kinds.
        namespace: String,
        /// Name.
        name: String,
    },
    /// An AWS resource.
    Aws {
        /// Service as in an ARN.
        service: String,
        /// Resource type as in an ARN.
        kind: String,
        /// Name or id.
        id: String,
        /// ARN where known.
        #[serde(skip_serializing_if = "Option::is_none")]
        arn: Option<String>,
    },
    /// A part of the monitoring: scrape job, scrape URL, receiver.
    Monitoring {
        /// `ScrapeJob`, `ScrapeUrl` or `Receiver`.
        kind: String,
        /// Name.
        name: String,
    },
    /// A file that was given, or a field of it.
    File {
        /// The file as it was given.
        path: String,
        /// Path of the field; empty for the whole file.
        field: String,
    },
}

/// One observation.
#[derive(Debug, Serialize, JsonSchema)]
struct Evidence {
    /// Where it was read.
    source: String,
    /// What was seen.
    value: String,
    /// A read-only command that shows it again.
    reproduce: String,
}

/// A place in a file or an object.
#[derive(Debug, Serialize, JsonSchema)]
struct Location {
    /// Path of the file, as it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    /// The object, where it is not a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<Subject>,
    /// Path of the field; empty where unknown.
    field: String,
    /// Line in the file, or in the text that the field holds, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    /// Column in that line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
    /// What stands there.
    excerpt: String,
}

/// A fix.
#[derive(Debug, Serialize, JsonSchema)]
struct Remediation {
    /// What it is, in a few words.
    title: String,
    /// Steps in order; those of findings that have to be fixed first, with the first of their options, come before the
    /// finding's own. Steps that name an `option` are alternatives: after the common ones, choose one option's.
    steps: Vec<Step>,
    /// Read-only steps that show that it worked.
    verify: Vec<Step>,
    /// Steps that undo it.
    rollback: Vec<Step>,
}

/// A value that only the user can know.
#[derive(Debug, Serialize, JsonSchema)]
struct Placeholder {
    /// It stands in the command as `<name>`.
    name: String,
    /// How to find it: a command or a sentence; may be empty.
    how: String,
    /// Values that it may have; may be empty.
    candidates: Vec<String>,
}

/// One step.
#[derive(Debug, Serialize, JsonSchema)]
struct Step {
    /// `command`, `manifest`, `edit` or `note`.
    kind: String,
    /// `read-only`, `change`, `disruptive` or `destructive`.
    risk: String,
    /// What the step does and why.
    text: String,
    /// A complete POSIX shell command (command, manifest); the new lines of a file (edit); empty (note).
    command: String,
    /// The way that it is a step of, where there are several to choose from.
    #[serde(skip_serializing_if = "Option::is_none")]
    option: Option<String>,
    /// The check whose fix it belongs to.
    check: String,
    /// Values of the command that have to be filled in.
    placeholders: Vec<Placeholder>,
}

/// What a system says is wrong.
#[derive(Debug, Serialize, JsonSchema)]
struct Signal {
    /// `alert`, `pod`, `condition`, `health`, `release`, `scrape`, `server`, `event` or `log`.
    kind: String,
    /// What it is about.
    subject: Subject,
    /// A few words.
    title: String,
    /// What it says, in the system's own words where it has some.
    text: String,
    /// Since when, RFC 3339, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    /// `weighs`: something is wrong now; `note`: worth a line; `nothing`: meant to be so, or over.
    weight: String,
    /// Id of the root finding that explains it; absent where nothing does.
    #[serde(skip_serializing_if = "Option::is_none")]
    explained_by: Option<String>,
    /// Where it was seen.
    evidence: Evidence,
    /// Where to look next; empty where the command of the evidence says it all.
    next: String,
}

/// How one check ended.
#[derive(Debug, Serialize, JsonSchema)]
struct Run {
    /// Check.
    check: String,
    /// Suite.
    suite: String,
    /// `pass`, `findings`, `not_applicable`, `not_evaluated` or `failed`.
    outcome: String,
    /// Why; empty for `pass` and `findings`.
    reason: String,
    /// The calls whose answers it lacked, whatever it made of that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unseen: Vec<String>,
}

/// Something that could not be seen.
#[derive(Debug, Serialize, JsonSchema)]
struct GapRecord {
    /// The call.
    what: String,
    /// `forbidden`, `unauthorized`, `unreachable`, `timeout`, `bad-answer`, `throttled`, `not-configured`,
    /// `not-collected`, `truncated` or `unreadable`.
    cause: String,
    /// The missing permission, for `forbidden`.
    #[serde(skip_serializing_if = "Option::is_none")]
    permission: Option<String>,
    /// What the other side said.
    message: String,
    /// What to do about it.
    hint: String,
}

/// The report as JSON text, with what went wrong beside it.
///
/// # Errors
/// Never in practice: all fields are plain data.
pub fn json(report: &model::Report, went_wrong: Option<&str>) -> Result<String, serde_json::Error> {
    json_since(report, went_wrong, None)
}

/// The same with what changed since a report of before.
///
/// # Errors
/// Never in practice: all fields are plain data.
pub fn json_since(
    report: &model::Report,
    went_wrong: Option<&str>,
    changes: Option<&Changes>,
) -> Result<String, serde_json::Error> {
    let beside = |report: Report| Report { error: went_wrong.map(error), since: changes.map(since), ..report };
    text(&Document::Report(Box::new(beside(convert(report)))))
}

/// What is written where there is no report. What stands on lines of its own below the first is the hint.
///
/// # Errors
/// Never in practice: all fields are plain data.
pub fn json_failure(went_wrong: &str) -> Result<String, serde_json::Error> {
    text(&Document::Failure(Failure { schema_version: SCHEMA_VERSION, tool: tool(), error: error(went_wrong) }))
}

fn text(document: &Document) -> Result<String, serde_json::Error> {
    let mut text = json_escaped(&serde_json::to_string_pretty(document)?);
    text.push('\n');
    Ok(text)
}

fn tool() -> Tool {
    Tool { name: "kdoctor", version: env!("CARGO_PKG_VERSION") }
}

fn error(went_wrong: &str) -> Error {
    let (message, hint) = went_wrong.trim().split_once('\n').unwrap_or((went_wrong.trim(), ""));
    let hint: Vec<&str> = hint.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    Error { message: message.trim().to_owned(), hint: hint.join("\n") }
}

/// The JSON Schema of what is written.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Document).to_value()
}

fn convert(report: &model::Report) -> Report {
    let target = report.target.clone();
    Report {
        schema_version: SCHEMA_VERSION,
        tool: tool(),
        target: Target {
            platform: target.platform,
            context: target.context,
            cluster: target.cluster,
            region: target.region,
            account: target.account,
            kubernetes_version: target.kubernetes_version,
            namespaces: target.namespaces,
            manifest_files: target.manifests.map(|m| m.files),
            manifest_objects: target.manifests.map(|m| m.objects),
        },
        collected_at: report.collected_at.to_string(),
        summary: summary(report),
        findings: (0..report.findings.len()).map(|at| finding(report, at)).collect(),
        signals: report.signals.iter().map(|s| signal(report, s)).collect(),
        mutes: report.mutes.iter().map(mute).collect(),
        runs: report.runs.iter().map(run).collect(),
        gaps: report.gaps.iter().map(gap).collect(),
        since: None,
        error: None,
    }
}

fn since(changes: &Changes) -> Since {
    let all = |findings: &[PastFinding]| findings.iter().map(known).collect();
    let lost = |lost: &Lost| OutOfSight { finding: known(&lost.finding), why: lost.why.clone() };
    Since {
        collected_at: changes.old.clone(),
        appeared: all(&changes.appeared),
        resolved: all(&changes.resolved),
        unchanged: all(&changes.unchanged),
        out_of_sight: changes.out_of_sight.iter().map(lost).collect(),
    }
}

fn known(finding: &PastFinding) -> Known {
    Known {
        id: finding.id.clone(),
        check: finding.check.clone(),
        severity: finding.severity.clone(),
        message: finding.message.clone(),
        root: finding.root,
    }
}

fn summary(report: &model::Report) -> Summary {
    let runs = |wanted: fn(&Outcome) -> bool| report.runs.iter().filter(|r| wanted(&r.outcome)).count();
    Summary {
        roots: report.roots.len(),
        errors: report.count(model::Severity::Error),
        warnings: report.count(model::Severity::Warning),
        infos: report.count(model::Severity::Info),
        unexplained: report.signals.iter().filter(|s| s.is_open()).count(),
        muted: report.muted(),
        passed: runs(|o| matches!(o, Outcome::Pass)),
        failed: runs(|o| matches!(o, Outcome::Findings(_))),
        not_applicable: runs(|o| matches!(o, Outcome::NotApplicable(_))),
        not_evaluated: runs(|o| matches!(o, Outcome::NotEvaluated(_) | Outcome::Failed(_))),
    }
}

fn finding(report: &model::Report, at: usize) -> Finding {
    let found = &report.findings[at];
    let links = &report.links[at];
    let group = report.roots.iter().chain(&report.muted_roots).find(|g| g.root == at);
    let ids = |list: &[usize]| list.iter().map(|i| report.findings[*i].fingerprint.clone()).collect();
    let suite = report.runs.iter().find(|r| r.check.id == found.check).map_or("", |r| r.check.suite.as_str());
    Finding {
        id: found.fingerprint.clone(),
        check: found.check.to_string(),
        suite: suite.to_owned(),
        severity: found.severity.to_string(),
        subject: subject(found.subject()),
        subjects: found.subjects.iter().map(subject).collect(),
        message: found.message.clone(),
        muted: found.muted.as_ref().map(|m| Muted { reason: m.reason.clone(), until: m.until.clone() }),
        root: group.is_some(),
        explains: group.map_or_else(Vec::new, |g| ids(&g.explains)),
        caused_by: ids(&links.caused_by),
        needed_by: ids(&links.needed_by),
        evidence: found.evidence.iter().map(evidence).collect(),
        judged_without: found.unseen.iter().map(gap).collect(),
        locations: found.locations.iter().map(location).collect(),
        changes: found.changes.iter().map(change).collect(),
        remediation: remediation(report, group, found),
    }
}

/// A finding's fix; that of a root with what must be right before.
fn remediation(report: &model::Report, group: Option<&model::RootGroup>, found: &model::Finding) -> Remediation {
    let own = &found.remediation;
    let first: Vec<&model::Finding> =
        group.map_or_else(Vec::new, |g| g.prerequisites.iter().map(|at| &report.findings[*at]).collect());
    let before = first.iter().flat_map(|f| {
        let option = f.remediation.options.first();
        f.remediation.steps.iter().chain(option.into_iter().flat_map(|o| &o.steps))
    });
    Remediation {
        title: own.title.clone(),
        steps: before.chain(&own.steps).map(step).chain(own.options.iter().flat_map(of_option)).collect(),
        verify: group
            .map_or_else(|| own.verify.iter().collect(), |g| report.verification(g))
            .into_iter()
            .map(step)
            .collect(),
        rollback: own.rollback.iter().map(step).collect(),
    }
}

fn location(location: &model::Location) -> Location {
    let (file, object) = match &location.place {
        model::Place::File(path) => (Some(path.clone()), None),
        model::Place::Object(object) => (None, Some(subject(object))),
    };
    Location {
        file,
        object,
        field: location.field.clone(),
        line: location.line,
        column: location.column,
        excerpt: location.excerpt.clone(),
    }
}

fn of_option(option: &model::FixOption) -> impl Iterator<Item = Step> {
    option.steps.iter().map(|s| Step { option: Some(option.title.clone()), ..step(s) })
}

fn mute(mute: &model::MuteRecord) -> Mute {
    Mute {
        check: mute.check.clone(),
        subject: mute.subject.clone(),
        reason: mute.reason.clone(),
        until: mute.until.clone(),
        place: mute.place.clone(),
        findings: mute.findings,
        state: mute.state.as_str().to_owned(),
    }
}

fn change(change: &model::Change) -> Change {
    Change {
        at: change.at.to_string(),
        subject: subject(&change.subject),
        text: change.text.clone(),
        evidence: evidence(&change.evidence),
    }
}

fn evidence(e: &model::Evidence) -> Evidence {
    Evidence { source: e.source.clone(), value: e.value.clone(), reproduce: e.reproduce.clone() }
}

fn signal(report: &model::Report, signal: &model::Signal) -> Signal {
    let root = signal.explained_by.and_then(|at| report.roots.iter().chain(&report.muted_roots).nth(at));
    Signal {
        kind: signal.kind.as_str().into(),
        subject: subject(&signal.subject),
        title: signal.title.clone(),
        text: signal.text.clone(),
        since: signal.since.map(|t| t.to_string()),
        weight: signal.weight.as_str().into(),
        explained_by: root.map(|g| report.findings[g.root].fingerprint.clone()),
        evidence: evidence(&signal.evidence),
        next: signal.next.clone(),
    }
}

fn step(step: &model::Step) -> Step {
    Step {
        kind: step.kind.as_str().into(),
        risk: step.risk.as_str().into(),
        text: step.text.clone(),
        command: step.command.clone(),
        option: None,
        check: step.of.to_string(),
        placeholders: step
            .placeholders
            .iter()
            .map(|p| Placeholder { name: p.name.clone(), how: p.how.clone(), candidates: p.candidates.clone() })
            .collect(),
    }
}

fn subject(resource: &ResourceRef) -> Subject {
    let monitoring = |kind: &str, name: &str| Subject::Monitoring { kind: kind.into(), name: name.into() };
    match resource {
        ResourceRef::Kubernetes { group, kind, namespace, name } => Subject::Kubernetes {
            kind: kind.clone(),
            group: group.clone(),
            namespace: namespace.clone(),
            name: name.clone(),
        },
        ResourceRef::Aws(AwsResource { service, kind, id, arn }) => {
            Subject::Aws { service: service.clone(), kind: kind.clone(), id: id.clone(), arn: arn.clone() }
        }
        ResourceRef::ScrapeJob { job } => monitoring("ScrapeJob", job),
        ResourceRef::ScrapeUrl { url } => monitoring("ScrapeUrl", url),
        ResourceRef::Rule { .. } => monitoring("Rule", &resource.name()),
        ResourceRef::Receiver { name } => monitoring("Receiver", name),
        ResourceRef::Datasource { .. } => monitoring("Datasource", &resource.name()),
        ResourceRef::Dashboard { name } => monitoring("Dashboard", name),
        ResourceRef::File { path, field } => Subject::File { path: path.clone(), field: field.clone() },
    }
}

fn run(run: &model::CheckRun) -> Run {
    let reason = match &run.outcome {
        Outcome::NotApplicable(why) | Outcome::Failed(why) => why.clone(),
        Outcome::NotEvaluated(gap) => gap.to_string(),
        Outcome::Pass | Outcome::Findings(_) => String::new(),
    };
    Run {
        check: run.check.id.to_string(),
        suite: run.check.suite.to_string(),
        outcome: run.outcome.as_str().into(),
        reason,
        unseen: run.unseen.iter().map(|g| g.what.clone()).collect(),
    }
}

fn gap(gap: &Gap) -> GapRecord {
    let permission = match &gap.cause {
        GapCause::Forbidden { permission } => Some(permission.clone()),
        _ => None,
    };
    GapRecord {
        what: gap.what.clone(),
        cause: gap.cause.as_str().into(),
        permission,
        message: gap.message.clone(),
        hint: gap.hint.clone(),
    }
}
