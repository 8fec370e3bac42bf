//! The result of a run: findings, how they hang together, and what could not be seen.

use jiff::Timestamp;

use super::{CheckMeta, Finding, Gap, Outcome, Remediation, Severity, Signal, Step};

/// What was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Target {
    /// `eks`, `kubernetes`; empty where it could not be told.
    pub platform: String,
    /// kubeconfig context.
    pub context: Option<String>,
    /// EKS cluster name.
    pub cluster: Option<String>,
    /// AWS region.
    pub region: Option<String>,
    /// AWS account id.
    pub account: Option<String>,
    /// Kubernetes version as the API server prints it.
    pub kubernetes_version: Option<String>,
    /// Namespaces of the monitoring stack.
    pub namespaces: Vec<String>,
    /// Storage, workloads and network were judged in every namespace.
    pub all_namespaces: bool,
    /// Manifests that were read, where some were given.
    pub manifests: Option<ManifestCount>,
}

/// How much of manifests was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ManifestCount {
    /// Files with objects, configurations or Helm values.
    pub files: usize,
    /// Kubernetes objects in them.
    pub objects: usize,
    /// Files that are a configuration of the stack.
    pub configurations: usize,
    /// Files of Helm values.
    pub values: usize,
    /// Files that were read and that no check is about, each with what it is.
    pub others: Vec<(String, &'static str)>,
    /// Files and folders that could not be judged.
    pub unread: usize,
}

/// How one check ended.
#[derive(Debug, Clone)]
pub struct CheckRun {
    /// The check.
    pub check: CheckMeta,
    /// How it ended.
    pub outcome: Outcome,
    /// What it looked at, or cannot do without, and could not see.
    pub unseen: Vec<Gap>,
}

/// A finding's place in the cause graph. Numbers are indexes into [`Report::findings`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Linked {
    /// Findings that explain this one.
    pub caused_by: Vec<usize>,
    /// Findings whose fix needs this one fixed first.
    pub needed_by: Vec<usize>,
}

/// One root cause with what it explains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootGroup {
    /// The finding that nothing else explains.
    pub root: usize,
    /// Findings that must be fixed before the root's fix can work, in order.
    pub prerequisites: Vec<usize>,
    /// Findings that the root explains, near ones first.
    pub explains: Vec<usize>,
}

/// What became of a mute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MuteState {
    /// It mutes something.
    Used,
    /// There is nothing that it would mute.
    Unused,
    /// Its last day is over.
    Expired,
    /// Its check did not run, or could not be evaluated.
    NotJudged,
}

impl MuteState {
    /// The word used in outputs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::Unused => "unused",
            Self::Expired => "expired",
            Self::NotJudged => "not-judged",
        }
    }
}

/// A mute, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MuteRecord {
    /// The check.
    pub check: String,
    /// The pattern of subjects.
    pub subject: String,
    /// Why.
    pub reason: String,
    /// The last day, `2026-12-31`.
    pub until: Option<String>,
    /// Where it is written: `kdoctor.toml:12`.
    pub place: String,
    /// Findings that it is about.
    pub findings: usize,
    /// What became of it.
    pub state: MuteState,
}

/// Numbers of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Calls made.
    pub calls: usize,
    /// Milliseconds from start to report; absent offline, so that reports stay comparable.
    pub elapsed_ms: Option<u64>,
}

/// The result of a run.
#[derive(Debug, Clone)]
pub struct Report {
    /// What was looked at.
    pub target: Target,
    /// When it was looked at; the only clock.
    pub collected_at: Timestamp,
    /// All findings in a fixed order.
    pub findings: Vec<Finding>,
    /// Each finding's place in the cause graph, by the same index.
    pub links: Vec<Linked>,
    /// Root causes, worst first.
    pub roots: Vec<RootGroup>,
    /// Root causes of which nothing is left that is not muted.
    pub muted_roots: Vec<RootGroup>,
    /// What became of each mute.
    pub mutes: Vec<MuteRecord>,
    /// What the systems themselves say is wrong, those of weight first.
    pub signals: Vec<Signal>,
    /// How each check ended, in the order of the registry.
    pub runs: Vec<CheckRun>,
    /// What could not be seen.
    pub gaps: Vec<Gap>,
    /// Numbers of the run.
    pub stats: Stats,
}

impl Report {
    /// The findings that count: nobody has accepted them.
    pub fn counted(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|f| f.muted.is_none())
    }

    /// How many findings somebody has accepted.
    pub fn muted(&self) -> usize {
        self.findings.len() - self.counted().count()
    }

    /// The worst severity of what counts.
    pub fn worst(&self) -> Option<Severity> {
        self.counted().map(|f| f.severity).max()
    }

    /// The fixes that a root takes: those of what must be right before, deepest first, then its own.
    pub fn fixes(&self, group: &RootGroup) -> Vec<&Remediation> {
        let order = group.prerequisites.iter().chain(std::iter::once(&group.root));
        order.map(|at| &self.findings[*at].remediation).collect()
    }

    /// What shows that the fixes of a root worked, each thing once: two of them may end with the same look.
    pub fn verification(&self, group: &RootGroup) -> Vec<&Step> {
        let mut all: Vec<&Step> = Vec::new();
        for step in self.fixes(group).into_iter().flat_map(|f| &f.verify) {
            let last = all.iter().position(|s| s.command == step.command && s.text == step.text);
            if let Some(last) = last {
                // It can hold only when all of them are done.
                all.remove(last);
            }
            all.push(step);
        }
        all
    }

    /// How many findings have this severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.counted().filter(|f| f.severity == severity).count()
    }
}
