//! The JSON report: frozen types of their own, `schema_version` 1. Fields are added, never changed or removed.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::{self, AwsResource, Gap, GapCause, Outcome, ResourceRef};

/// Version of these types.
const SCHEMA_VERSION: u32 = 1;

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
    /// How each check ended.
    runs: Vec<Run>,
    /// What could not be seen.
    gaps: Vec<GapRecord>,
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
    /// How to fix it.
    remediation: Remediation,
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

/// A fix.
#[derive(Debug, Serialize, JsonSchema)]
struct Remediation {
    /// What it is, in a few words.
    title: String,
    /// Steps in order.
    steps: Vec<Step>,
    /// Read-only steps that show that it worked.
    verify: Vec<Step>,
    /// Steps that undo it.
    rollback: Vec<Step>,
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
}

/// Something that could not be seen.
#[derive(Debug, Serialize, JsonSchema)]
struct GapRecord {
    /// The call.
    what: String,
    /// `forbidden`, `unauthorized`, `unreachable`, `timeout`, `bad-answer`, `throttled`, `not-configured`,
    /// `not-collected` or `truncated`.
    cause: String,
    /// The missing permission, for `forbidden`.
    #[serde(skip_serializing_if = "Option::is_none")]
    permission: Option<String>,
    /// What the other side said.
    message: String,
    /// What to do about it.
    hint: String,
}

/// The report as JSON text.
///
/// # Errors
/// Never in practice: all fields are plain data.
pub fn json(report: &model::Report) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(&convert(report))?;
    text.push('\n');
    Ok(text)
}

/// The JSON Schema of the report.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Report).to_value()
}

fn convert(report: &model::Report) -> Report {
    let target = report.target.clone();
    Report {
        schema_version: SCHEMA_VERSION,
        tool: Tool { name: "kdoctor", version: env!("CARGO_PKG_VERSION") },
        target: Target {
            platform: target.platform,
            context: target.context,
            cluster: target.cluster,
            region: target.region,
            account: target.account,
            kubernetes_version: target.kubernetes_version,
            namespaces: target.namespaces,
        },
        collected_at: report.collected_at.to_string(),
        summary: summary(report),
        findings: (0..report.findings.len()).map(|at| finding(report, at)).collect(),
        runs: report.runs.iter().map(run).collect(),
        gaps: report.gaps.iter().map(gap).collect(),
    }
}

fn summary(report: &model::Report) -> Summary {
    let runs = |wanted: fn(&Outcome) -> bool| report.runs.iter().filter(|r| wanted(&r.outcome)).count();
    Summary {
        roots: report.roots.len(),
        errors: report.count(model::Severity::Error),
        warnings: report.count(model::Severity::Warning),
        infos: report.count(model::Severity::Info),
        passed: runs(|o| matches!(o, Outcome::Pass)),
        failed: runs(|o| matches!(o, Outcome::Findings(_))),
        not_applicable: runs(|o| matches!(o, Outcome::NotApplicable(_))),
        not_evaluated: runs(|o| matches!(o, Outcome::NotEvaluated(_) | Outcome::Failed(_))),
    }
}

fn finding(report: &model::Report, at: usize) -> Finding {
    let found = &report.findings[at];
    let links = &report.links[at];
    let group = report.roots.iter().find(|g| g.root == at);
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
        root: group.is_some(),
        explains: group.map_or_else(Vec::new, |g| ids(&g.explains)),
        caused_by: ids(&links.caused_by),
        needed_by: ids(&links.needed_by),
        evidence: found
            .evidence
            .iter()
            .map(|e| Evidence { source: e.source.clone(), value: e.value.clone(), reproduce: e.reproduce.clone() })
            .collect(),
        remediation: Remediation {
            title: found.remediation.title.clone(),
            steps: found.remediation.steps.iter().map(step).collect(),
            verify: found.remediation.verify.iter().map(step).collect(),
            rollback: found.remediation.rollback.iter().map(step).collect(),
        },
    }
}

fn step(step: &model::Step) -> Step {
    Step {
        kind: step.kind.as_str().into(),
        risk: step.risk.as_str().into(),
        text: step.text.clone(),
        command: step.command.clone(),
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
