//! The types of the report: frozen, `schema_version` 1. Fields are added, never changed or removed.

use schemars::JsonSchema;
use serde::Serialize;

/// Version of these types.
pub(super) const SCHEMA_VERSION: u32 = 1;

/// What kdoctor writes to stdout: a report, or why there is none.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Document {
    /// A report.
    Report(Box<Report>),
    /// kdoctor could not do its job; the exit code is 2.
    Failure(Failure),
}

/// Why there is no report.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Failure {
    /// Version of this format: 1.
    pub(super) schema_version: u32,
    /// What made the document.
    pub(super) tool: Tool,
    /// What went wrong.
    pub(super) error: Error,
}

/// What kept kdoctor from doing its job.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Error {
    /// What went wrong.
    pub(super) message: String,
    /// What to do about it; may be empty.
    pub(super) hint: String,
}

/// A report of kdoctor.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Report {
    /// Version of this format: 1.
    pub(super) schema_version: u32,
    /// What made the report.
    pub(super) tool: Tool,
    /// What was looked at.
    pub(super) target: Target,
    /// When it was looked at, RFC 3339.
    pub(super) collected_at: String,
    /// Counts.
    pub(super) summary: Summary,
    /// All findings: each root followed by what belongs to it, worst first.
    pub(super) findings: Vec<Finding>,
    /// What the systems themselves say is wrong: alerts, events, conditions, errors in logs.
    pub(super) signals: Vec<Signal>,
    /// What became of each mute of `kdoctor.toml`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) mutes: Vec<Mute>,
    /// How each check ended.
    pub(super) runs: Vec<Run>,
    /// What could not be seen.
    pub(super) gaps: Vec<GapRecord>,
    /// With `--since`: what changed since that report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) since: Option<Since>,
    /// Files that were given and could not be read: the exit code is 2, whatever the others hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<Error>,
}

/// What changed since a report of before.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Since {
    /// When that report was made, RFC 3339.
    pub(super) collected_at: String,
    /// Findings that it does not have.
    pub(super) appeared: Vec<Known>,
    /// Its findings that are gone.
    pub(super) resolved: Vec<Known>,
    /// Findings that it has, too.
    pub(super) unchanged: Vec<Known>,
    /// Its findings that were not found again by checks that could not look: nobody knows whether they are gone.
    pub(super) out_of_sight: Vec<OutOfSight>,
}

/// A finding of either report, in short.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Known {
    /// Its id.
    pub(super) id: String,
    /// Its check.
    pub(super) check: String,
    /// `error`, `warning` or `info`.
    pub(super) severity: String,
    /// What is wrong.
    pub(super) message: String,
    /// Nothing else explains it.
    pub(super) root: bool,
}

/// A finding whose check could not look.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct OutOfSight {
    /// The finding.
    #[serde(flatten)]
    pub(super) finding: Known,
    /// What could not be seen.
    pub(super) why: String,
}

/// What made the report.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Tool {
    /// `kdoctor`.
    pub(super) name: &'static str,
    /// Its version.
    pub(super) version: &'static str,
}

/// What was looked at.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Target {
    /// `eks`, `kubernetes` or empty where it could not be told.
    pub(super) platform: String,
    /// kubeconfig context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) context: Option<String>,
    /// EKS cluster name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cluster: Option<String>,
    /// AWS region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) region: Option<String>,
    /// AWS account id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) account: Option<String>,
    /// Version of the API server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kubernetes_version: Option<String>,
    /// Namespaces of the monitoring stack.
    pub(super) namespaces: Vec<String>,
    /// Files with manifests, configurations or Helm values that were read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) manifest_files: Option<usize>,
    /// Kubernetes objects in them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) manifest_objects: Option<usize>,
    /// Files that were read and that no check is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) files_not_judged: Vec<NotJudged>,
}

/// A file that no check is about.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct NotJudged {
    /// The file.
    pub(super) file: String,
    /// What it is.
    pub(super) reason: &'static str,
}

/// Counts.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Summary {
    /// Root causes.
    pub(super) roots: usize,
    /// Findings of severity error.
    pub(super) errors: usize,
    /// Findings of severity warning.
    pub(super) warnings: usize,
    /// Findings of severity info.
    pub(super) infos: usize,
    /// Signals that say that something is wrong and that no root cause explains.
    pub(super) unexplained: usize,
    /// Findings that are muted; the numbers above are without them.
    pub(super) muted: usize,
    /// Checks that passed.
    pub(super) passed: usize,
    /// Checks with findings.
    pub(super) failed: usize,
    /// Checks without a subject here.
    pub(super) not_applicable: usize,
    /// Checks that could not see what they need, and checks that failed themselves.
    pub(super) not_evaluated: usize,
}

/// One fault.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Finding {
    /// Fingerprint: the same fault has the same id in every run.
    pub(super) id: String,
    /// Check.
    pub(super) check: String,
    /// Suite.
    pub(super) suite: String,
    /// `error`, `warning` or `info`.
    pub(super) severity: String,
    /// What is broken.
    pub(super) subject: Subject,
    /// All that is broken in this way, the subject first.
    pub(super) subjects: Vec<Subject>,
    /// What is wrong, in one sentence.
    pub(super) message: String,
    /// Somebody has accepted it: it does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) muted: Option<Muted>,
    /// Nothing else explains it: fix this one.
    pub(super) root: bool,
    /// Ids of the findings that this root explains.
    pub(super) explains: Vec<String>,
    /// Ids of the findings that explain this one.
    pub(super) caused_by: Vec<String>,
    /// Ids of the findings whose fix needs this one fixed first; its steps are part of theirs.
    pub(super) needed_by: Vec<String>,
    /// What was seen.
    pub(super) evidence: Vec<Evidence>,
    /// What its check looked at and could not see: with it the finding might read otherwise.
    pub(super) judged_without: Vec<GapRecord>,
    /// Places where the fault is written.
    pub(super) locations: Vec<Location>,
    /// Of a root: what was changed on its chain shortly before it was first seen, the last one first. A hint where to look,
    /// and no cause by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) changes: Vec<Change>,
    /// How to fix it.
    pub(super) remediation: Remediation,
}

/// Why a finding does not count.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Muted {
    /// Why.
    pub(super) reason: String,
    /// The last day on which it does not, `2026-12-31`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) until: Option<String>,
}

/// A mute, and what became of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Mute {
    /// The check.
    pub(super) check: String,
    /// The pattern of subjects.
    pub(super) subject: String,
    /// Why.
    pub(super) reason: String,
    /// The last day, `2026-12-31`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) until: Option<String>,
    /// Where it is written: file and line.
    pub(super) place: String,
    /// Findings that it is about.
    pub(super) findings: usize,
    /// `used`, `unused`, `expired` (its last day is over: what it is about counts again) or `not-judged` (its check did not
    /// run, or could not be evaluated).
    pub(super) state: String,
}

/// A change.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Change {
    /// When, RFC 3339.
    pub(super) at: String,
    /// What was changed.
    pub(super) subject: Subject,
    /// How long before, of what and by whom.
    pub(super) text: String,
    /// Where it was read.
    pub(super) evidence: Evidence,
}

/// A resource.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Subject {
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
pub(super) struct Evidence {
    /// Where it was read.
    pub(super) source: String,
    /// What was seen.
    pub(super) value: String,
    /// A read-only command that shows it again.
    pub(super) reproduce: String,
}

/// A place in a file or an object.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Location {
    /// Path of the file, as it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<String>,
    /// The object, where it is not a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) object: Option<Subject>,
    /// Path of the field; empty where unknown.
    pub(super) field: String,
    /// Line in the file, or in the text that the field holds, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) line: Option<usize>,
    /// Column in that line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) column: Option<usize>,
    /// What stands there.
    pub(super) excerpt: String,
}

/// A fix.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Remediation {
    /// What it is, in a few words.
    pub(super) title: String,
    /// Steps in order; those of findings that have to be fixed first, with the first of their options, come before the
    /// finding's own. Steps that name an `option` are alternatives: after the common ones, choose one option's.
    pub(super) steps: Vec<Step>,
    /// Read-only steps that show that it worked.
    pub(super) verify: Vec<Step>,
    /// Steps that undo it.
    pub(super) rollback: Vec<Step>,
}

/// A value that only the user can know.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Placeholder {
    /// It stands in the command as `<name>`.
    pub(super) name: String,
    /// How to find it: a command or a sentence; may be empty.
    pub(super) how: String,
    /// Values that it may have; may be empty.
    pub(super) candidates: Vec<String>,
}

/// One step.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Step {
    /// `command`, `manifest`, `edit` or `note`.
    pub(super) kind: String,
    /// `read-only`, `change`, `disruptive` or `destructive`.
    pub(super) risk: String,
    /// What the step does and why.
    pub(super) text: String,
    /// A complete POSIX shell command (command, manifest); the new lines of a file (edit); empty (note).
    pub(super) command: String,
    /// The way that it is a step of, where there are several to choose from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) option: Option<String>,
    /// The check whose fix it belongs to.
    pub(super) check: String,
    /// Values of the command that have to be filled in.
    pub(super) placeholders: Vec<Placeholder>,
}

/// What a system says is wrong.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Signal {
    /// `alert`, `pod`, `condition`, `health`, `release`, `scrape`, `server`, `event` or `log`.
    pub(super) kind: String,
    /// What it is about.
    pub(super) subject: Subject,
    /// A few words.
    pub(super) title: String,
    /// What it says, in the system's own words where it has some.
    pub(super) text: String,
    /// Since when, RFC 3339, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) since: Option<String>,
    /// `weighs`: something is wrong now; `note`: worth a line; `nothing`: meant to be so, or over.
    pub(super) weight: String,
    /// Id of the root finding that explains it; absent where nothing does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) explained_by: Option<String>,
    /// Where it was seen.
    pub(super) evidence: Evidence,
    /// Where to look next; empty where the command of the evidence says it all.
    pub(super) next: String,
}

/// How one check ended.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Run {
    /// Check.
    pub(super) check: String,
    /// Suite.
    pub(super) suite: String,
    /// `pass`, `findings`, `not_applicable`, `not_evaluated` or `failed`.
    pub(super) outcome: String,
    /// Why; empty for `pass` and `findings`.
    pub(super) reason: String,
    /// The calls whose answers it lacked, whatever it made of that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) unseen: Vec<String>,
}

/// Something that could not be seen.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct GapRecord {
    /// The call.
    pub(super) what: String,
    /// `forbidden`, `unauthorized`, `unreachable`, `timeout`, `bad-answer`, `throttled`, `not-configured`,
    /// `not-collected`, `truncated` or `unreadable`.
    pub(super) cause: String,
    /// The missing permission, for `forbidden`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) permission: Option<String>,
    /// What the other side said.
    pub(super) message: String,
    /// What to do about it.
    pub(super) hint: String,
}
