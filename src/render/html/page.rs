//! What the page says: the same as the other reports for people, in fields for its template.

use serde::Serialize;

use super::graph::Graph;
use crate::history::{Changes, PastFinding};
use crate::model::{
    CheckRun, Finding, FixOption, Outcome, Placeholder, Remediation, Risk, RootGroup, Severity, Signal, Step, StepKind,
};
use crate::render::table::heading;
use crate::render::view::View;

/// All of the page.
#[derive(Serialize)]
pub(super) struct Page {
    mark: &'static str,
    verdict: String,
    /// `error`, `warning`, `info`, or `well`.
    level: &'static str,
    place: Vec<String>,
    roots: Vec<Root>,
    rest: Vec<String>,
    open: Vec<Open>,
    more_open: usize,
    notes: Vec<String>,
    unseen: Vec<Unseen>,
    runs: Vec<Run>,
    since: Option<Since>,
    counts: String,
}

/// What changed since another report.
#[derive(Serialize)]
struct Since {
    heading: String,
    /// `new`, `resolved` or `out of sight`, and the finding.
    lines: Vec<(&'static str, String)>,
}

#[derive(Serialize)]
struct Root {
    number: usize,
    severity: &'static str,
    check: String,
    about: String,
    message: String,
    needs: Vec<String>,
    evidence: Vec<Seen>,
    more_evidence: usize,
    without: Option<String>,
    explains: String,
    victims: Vec<(String, String)>,
    seen_in: String,
    changes: Vec<Change>,
    graph: Option<Graph>,
    fix: String,
    parts: Vec<Part>,
    verify: Vec<Shown>,
    rollback: Vec<Shown>,
}

#[derive(Serialize)]
struct Seen {
    source: String,
    value: String,
    reproduce: String,
}

#[derive(Serialize)]
struct Change {
    text: String,
    reproduce: String,
}

/// Steps that follow each other, and ways to choose one from after them.
#[derive(Serialize)]
struct Part {
    /// The number of its first step.
    start: usize,
    steps: Vec<Shown>,
    options: Vec<Way>,
}

#[derive(Serialize)]
struct Way {
    letter: char,
    title: String,
    steps: Vec<Shown>,
}

#[derive(Serialize)]
struct Shown {
    /// Empty for what only looks.
    risk: &'static str,
    /// `command`, `manifest`, `edit` or `note`.
    kind: &'static str,
    text: String,
    command: String,
    to_fill: Vec<ToFill>,
}

#[derive(Serialize)]
struct ToFill {
    name: String,
    how: String,
    candidates: String,
}

#[derive(Serialize)]
struct Open {
    title: String,
    text: String,
    reproduce: String,
    next: String,
}

#[derive(Serialize)]
struct Unseen {
    text: String,
    checks: String,
    hint: String,
}

#[derive(Serialize)]
struct Run {
    check: String,
    suite: &'static str,
    outcome: &'static str,
    reason: String,
}

impl Page {
    pub(super) fn of(view: View<'_>, changes: Option<&Changes>) -> Self {
        let verdict = view.verdict();
        let (told, rest) = view.roots();
        let open = view.unexplained();
        Self {
            mark: verdict.mark,
            verdict: verdict.text,
            level: verdict.level.map_or("well", Severity::as_str),
            place: view.place(),
            roots: told.into_iter().map(|(number, group)| root(view, number, group)).collect(),
            rest: rest.iter().map(|r| format!("{}[{}]: {} more: {}", r.severity, r.check, r.count, r.names)).collect(),
            more_open: open.more,
            open: open.shown.into_iter().map(signal).collect(),
            notes: view.notes(),
            unseen: view
                .unseen()
                .into_iter()
                .map(|u| Unseen { text: u.text, checks: u.checks, hint: u.hint })
                .collect(),
            runs: view.report.runs.iter().map(run).collect(),
            since: changes.map(since),
            counts: view.counts(),
        }
    }
}

fn since(changes: &Changes) -> Since {
    let told = |finding: &PastFinding| {
        let symptom = if finding.root { "" } else { "a symptom: " };
        format!("{}[{}] {symptom}{}", finding.severity, finding.check, finding.message)
    };
    let appeared = changes.appeared.iter().map(|f| ("new", told(f)));
    let resolved = changes.resolved.iter().map(|f| ("resolved", told(f)));
    let lost = changes.out_of_sight.iter().map(|l| ("out of sight", format!("{} ({})", told(&l.finding), l.why)));
    Since { heading: heading(changes), lines: appeared.chain(resolved).chain(lost).collect() }
}

fn root(view: View<'_>, number: usize, group: &RootGroup) -> Root {
    let report = view.report;
    let finding = &report.findings[group.root];
    let (evidence, more_evidence) = view.evidence(finding);
    let explained = view.explained(group);
    let fixes = report.fixes(group);
    let own = &finding.remediation;
    let need = |at: &usize| {
        let need = &report.findings[*at];
        format!("{} ({})", need.message, need.check)
    };
    Root {
        number,
        severity: finding.severity.as_str(),
        check: finding.check.to_string(),
        about: view.names(&finding.subjects),
        message: format!("{}{}", finding.message, view.accepted(finding)),
        needs: group.prerequisites.iter().map(need).collect(),
        evidence: evidence
            .into_iter()
            .map(|s| Seen { source: s.source.to_owned(), value: s.value, reproduce: s.reproduce.to_owned() })
            .collect(),
        more_evidence,
        without: view.judged_without(finding),
        explains: explained.as_ref().map(|e| e.counts.clone()).unwrap_or_default(),
        victims: explained.into_iter().flat_map(|e| e.by_check).map(|(c, names)| (c.to_string(), names)).collect(),
        seen_in: view.seen_in(number - 1),
        changes: changes(finding),
        graph: Graph::of(report, group),
        fix: own.title.clone(),
        parts: parts(&fixes),
        verify: report.verification(group).into_iter().map(step).collect(),
        rollback: steps(&own.rollback),
    }
}

/// The fixes in their order; the numbers of their steps go on.
fn parts(fixes: &[&Remediation]) -> Vec<Part> {
    let mut start = 1;
    let mut parts = Vec::new();
    for fix in fixes.iter().filter(|f| !f.steps.is_empty() || !f.options.is_empty()) {
        parts.push(Part { start, steps: steps(&fix.steps), options: ways(&fix.options) });
        start += fix.steps.len();
    }
    parts
}

fn changes(finding: &Finding) -> Vec<Change> {
    let all = finding.changes.iter();
    all.map(|c| Change { text: c.text.clone(), reproduce: c.evidence.reproduce.clone() }).collect()
}

fn ways(options: &[FixOption]) -> Vec<Way> {
    let lettered = ('a'..='z').zip(options);
    lettered.map(|(letter, o)| Way { letter, title: o.title.clone(), steps: steps(&o.steps) }).collect()
}

fn steps(steps: &[Step]) -> Vec<Shown> {
    steps.iter().map(step).collect()
}

fn step(step: &Step) -> Shown {
    let looks = step.risk == Risk::ReadOnly || step.kind == StepKind::Note;
    Shown {
        risk: if looks { "" } else { step.risk.as_str() },
        kind: step.kind.as_str(),
        text: step.text.clone(),
        command: step.command.clone(),
        to_fill: step.placeholders.iter().map(to_fill).collect(),
    }
}

fn to_fill(placeholder: &Placeholder) -> ToFill {
    ToFill {
        name: placeholder.name.clone(),
        how: placeholder.how.clone(),
        candidates: placeholder.candidates.join(", "),
    }
}

fn signal(signal: &Signal) -> Open {
    Open {
        title: signal.title.clone(),
        text: signal.text.clone(),
        reproduce: signal.evidence.reproduce.clone(),
        next: signal.next.clone(),
    }
}

fn run(run: &CheckRun) -> Run {
    let (outcome, reason) = match &run.outcome {
        Outcome::Pass => ("passed", String::new()),
        Outcome::Findings(_) => ("with findings", String::new()),
        Outcome::NotApplicable(why) => ("not applicable", why.clone()),
        Outcome::NotEvaluated(gap) => ("not evaluated", gap.to_string()),
        Outcome::Failed(bug) => ("failed", bug.clone()),
    };
    Run { check: run.check.id.to_string(), suite: run.check.suite.as_str(), outcome, reason }
}
