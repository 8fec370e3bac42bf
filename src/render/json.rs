//! The JSON report.

mod document;
mod why;

use document::{
    Change, Document, Error, Evidence, Failure, Finding, GapRecord, Known, Location, Mute, Muted, NotJudged,
    OutOfSight, Placeholder, Remediation, Report, Run, SCHEMA_VERSION, Signal, Since, Step, Subject, Summary, Target,
    Tool,
};
pub use why::{why_json, why_schema};

use crate::history::{Changes, Lost, PastFinding};
use crate::model::{self, AwsResource, Gap, GapCause, Outcome, ResourceRef};
use crate::term::json_escaped;

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

fn not_judged((file, reason): &(String, &'static str)) -> NotJudged {
    NotJudged { file: file.clone(), reason }
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
            manifest_files: target.manifests.as_ref().map(|m| m.files),
            manifest_objects: target.manifests.as_ref().map(|m| m.objects),
            files_not_judged: target.manifests.iter().flat_map(|m| &m.others).map(not_judged).collect(),
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
