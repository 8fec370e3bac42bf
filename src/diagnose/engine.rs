//! Runs checks and finishes their findings: outcome, commands, fingerprint, order.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::{Grades, beside, correlate, exec, kept, logs, redact, rollout};
use crate::checks::Check;
use crate::model::{CheckMeta, CheckRun, Diagnosis, Fact, Finding, Gap, Outcome, Report, Severity, Stats};
use crate::snapshot::{Listing, Platform, Snapshot, journal};
use crate::text::digest;
use crate::{pages, signals};

/// The facts that these checks need or use, those that signals are read from, and those that tell of changes.
pub fn facts(checks: &[&dyn Check]) -> BTreeSet<Fact> {
    judged(checks).into_iter().chain(signals::CHANGE_FACTS.iter().copied()).collect()
}

/// The facts without which something is not answered.
fn judged(checks: &[&dyn Check]) -> BTreeSet<Fact> {
    facts_of(checks).into_iter().chain(signals::FACTS.iter().copied()).collect()
}

/// The facts that these checks need or use, and no others.
pub fn facts_of(checks: &[&dyn Check]) -> BTreeSet<Fact> {
    checks.iter().flat_map(|c| c.meta().requires.iter().chain(c.meta().uses)).copied().collect()
}

/// Diagnoses a snapshot, and says which signals its root causes explain.
pub fn run(snap: &Snapshot, checks: &[&dyn Check]) -> Report {
    run_graded(snap, checks, &Grades::default())
}

pub(super) fn run_graded(snap: &Snapshot, checks: &[&dyn Check], grades: &Grades) -> Report {
    let mut report = run_each(snap, checks, Aim::Cluster, &BTreeSet::new(), grades);
    report.gaps = gaps(snap, &judged(checks)).into_iter().map(redact::gap).collect();
    beside::tell(snap, &mut report);
    report.signals = signals::read(snap);
    redact::signals(&mut report.signals);
    signals::explain(snap, &mut report.signals, &report.findings, &report.roots);
    signals::add_changes(snap, &mut report);
    let changed = report.findings.iter_mut().flat_map(|f| &mut f.changes).map(|c| &mut c.evidence);
    for evidence in report.signals.iter_mut().map(|s| &mut s.evidence).chain(changed) {
        // A template that fails is a bug of ours; the signal is worth more than its command.
        evidence.reproduce = pages::command(evidence.reproduce_template, &evidence.params).unwrap_or_default();
    }
    report
}

/// Runs checks over a snapshot without a look at signals: a part of the checks cannot tell what is unexplained.
pub fn run_checks(snap: &Snapshot, checks: &[&dyn Check]) -> Report {
    run_checks_graded(snap, checks, &Grades::default())
}

pub(super) fn run_checks_graded(snap: &Snapshot, checks: &[&dyn Check], grades: &Grades) -> Report {
    run_each(snap, checks, Aim::Cluster, &BTreeSet::new(), grades)
}

/// Judges files before they are applied: what they bring counts, and not what the cluster has anyway, unless that is asked
/// for. A check that does not judge files looks at the cluster, with them in mind.
pub fn run_files(snap: &mut Snapshot, checks: &[&dyn Check], cluster_too: bool) -> Report {
    run_files_graded(snap, checks, cluster_too, &Grades::default())
}

pub(super) fn run_files_graded(
    snap: &mut Snapshot,
    checks: &[&dyn Check],
    cluster_too: bool,
    grades: &Grades,
) -> Report {
    // Without a cluster beside them all that is found is of the files.
    let own = (!cluster_too && !snap.files_alone).then(|| {
        let files = std::mem::replace(&mut snap.manifests, Listing::cluster(Vec::new()));
        let before: Vec<Finding> = run_all(snap, checks, Aim::Files).into_iter().flat_map(|r| r.findings).collect();
        snap.manifests = files;
        before.into_iter().map(|f| f.fingerprint).collect()
    });
    run_each(snap, checks, Aim::Files, &own.unwrap_or_default(), grades)
}

/// What is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aim {
    Cluster,
    Files,
}

/// `known`: fingerprints of findings that do not count.
fn run_each(snap: &Snapshot, checks: &[&dyn Check], aim: Aim, known: &BTreeSet<String>, grades: &Grades) -> Report {
    let mut findings = Vec::new();
    let mut runs = Vec::new();
    for (check, ran) in checks.iter().zip(run_all(snap, checks, aim)) {
        let Ran { mut outcome, findings: mut found, unseen } = ran;
        found.retain(|f| !known.contains(&f.fingerprint));
        if found.is_empty() && matches!(outcome, Outcome::Findings(_)) {
            outcome = Outcome::Pass;
        }
        runs.push(CheckRun { check: *check.meta(), outcome: redact::outcome(outcome), unseen });
        found.iter_mut().for_each(|f| grades.apply(f));
        findings.extend(found);
    }
    let (mut findings, links, roots) = correlate::link(findings);
    findings.iter_mut().for_each(redact::resources);
    // Nobody who gives files alone expects a cluster to be seen.
    let facts = if snap.files_alone { BTreeSet::from([Fact::Manifests]) } else { facts_of(checks) };
    Report {
        target: snap.target.clone(),
        collected_at: snap.collected_at,
        findings,
        links,
        roots,
        muted_roots: Vec::new(),
        mutes: Vec::new(),
        signals: Vec::new(),
        gaps: gaps(snap, &facts).into_iter().map(redact::gap).collect(),
        runs,
        stats: Stats::default(),
    }
}

/// Runs checks side by side, and says what came of each in their order: none depends on what another one found.
fn run_all(snap: &Snapshot, checks: &[&dyn Check], aim: Aim) -> Vec<Ran> {
    /// Bytes of a worker's stack: as many as a program's first thread has. Expressions and dashboards may nest deep.
    const STACK: usize = 8 << 20;
    static POOL: LazyLock<Option<ThreadPool>> =
        LazyLock::new(|| ThreadPoolBuilder::new().stack_size(STACK).build().ok());
    let one = |check: &&dyn Check| run_one(*check, snap, aim);
    match POOL.as_ref() {
        Some(pool) => pool.install(|| checks.par_iter().map(one).collect()),
        // No more threads may be begun here.
        None => checks.iter().map(one).collect(),
    }
}

/// What came of one check.
struct Ran {
    outcome: Outcome,
    findings: Vec<Finding>,
    /// Everything that it could not see.
    unseen: Vec<Gap>,
}

impl Ran {
    fn without_findings(outcome: Outcome, unseen: Vec<Gap>) -> Self {
        Self { outcome, findings: Vec::new(), unseen }
    }
}

fn run_one(check: &dyn Check, snap: &Snapshot, aim: Aim) -> Ran {
    let meta = check.meta();
    // A bug in one check must not hide what the others found.
    let (result, met) = journal::watched(|| {
        catch_unwind(AssertUnwindSafe(|| {
            let judged = if aim == Aim::Files { check.judge(snap) } else { None };
            match judged {
                // Files that could not be read are said beside the verdict on those that could.
                Some(result) => (result, &[][..]),
                None => (check.diagnose(snap), meta.requires),
            }
        }))
    });
    let (diagnosis, required) = match result {
        Ok((Ok(diagnosis), required)) => (diagnosis, required),
        Ok((Err(gap), required)) => {
            let unseen = all_unseen(snap, required, met.into_iter().chain([gap.clone()]));
            return Ran::without_findings(Outcome::NotEvaluated(gap), unseen);
        }
        Err(_) => {
            let outcome = Outcome::Failed("the check panicked; please report it".into());
            return Ran::without_findings(outcome, Vec::new());
        }
    };
    let mut met = in_vain(snap, met);
    met.extend(unsearched(snap, meta));
    let all = all_unseen(snap, required, met.iter().cloned());
    let mut findings = match diagnosis {
        Diagnosis::NotApplicable(why) => {
            // "Nothing here that I am about" needs a look at everything, too.
            let unseen = missing(snap, required, snap.platform == Platform::Other);
            let unseen = unseen.or_else(|| met.into_iter().next());
            let outcome = unseen.map_or(Outcome::NotApplicable(why), Outcome::NotEvaluated);
            return Ran::without_findings(outcome, all);
        }
        Diagnosis::Findings(findings) => findings,
    };
    let unseen: Vec<Gap> = met.iter().cloned().map(redact::gap).collect();
    findings.iter_mut().for_each(|f| f.unseen.clone_from(&unseen));
    if let Err(bug) = finish(meta, &mut findings) {
        return Ran::without_findings(Outcome::Failed(bug), all);
    }
    for finding in &mut findings {
        // Before other notes are added, which may speak of who keeps something else.
        kept::tell(snap, finding);
        rollout::guard(snap, finding);
        logs::widen(snap, finding);
        exec::equip(snap, finding);
    }
    let faults = findings.iter().filter(|f| f.severity > Severity::Info).count();
    let outcome = match (faults, missing(snap, required, false).or_else(|| met.into_iter().next())) {
        // Nothing wrong in what was seen says nothing about the rest.
        (0, Some(gap)) => Outcome::NotEvaluated(gap),
        (0, None) if findings.is_empty() => Outcome::Pass,
        _ => Outcome::Findings(findings.len()),
    };
    Ran { outcome, findings, unseen: all }
}

/// Everything that a check could not see: what it met, and the gaps of what it cannot do without. Each once.
fn all_unseen(snap: &Snapshot, required: &[Fact], met: impl Iterator<Item = Gap>) -> Vec<Gap> {
    let needed = required.iter().flat_map(|fact| snap.gaps_of_whole(*fact)).cloned();
    let mut all: Vec<Gap> = Vec::new();
    for gap in met.chain(needed).map(redact::gap) {
        if !all.contains(&gap) {
            all.push(gap);
        }
    }
    all
}

/// The first gap among the facts that the check cannot do without; those of AWS do not count off EKS. Of several logs the
/// check meets those that it reads: one of another program takes nothing from its verdict.
fn missing(snap: &Snapshot, required: &[Fact], off_eks: bool) -> Option<Gap> {
    let mut required = required.iter().filter(|f| !off_eks || !f.is_aws());
    required.find_map(|fact| snap.gaps_of_whole(*fact).first().map(|g| (*g).clone()))
}

/// The gaps that a check met while it judged, required or not: on what it could not see it cannot say that all is
/// well. A gap of something that the cluster cannot have is none. Where nobody knows where the stack is, no check looked
/// at it.
fn in_vain(snap: &Snapshot, met: Vec<Gap>) -> Vec<Gap> {
    if snap.files_alone {
        return Vec::new();
    }
    let nowhere = snap.gaps_of_nothing();
    met.into_iter().filter(|gap| !nowhere.contains(&gap)).chain(snap.scope.unknown().cloned()).collect()
}

/// Where parts run beside the stack, the lists of all workloads tell: without them nobody knows what a check that reads such
/// parts did not see. Whoever names a namespace asks for no others.
fn unsearched(snap: &Snapshot, meta: &CheckMeta) -> Vec<Gap> {
    let reads_parts = meta.requires.iter().chain(meta.uses).any(|f| *f == Fact::PartLogs);
    if !reads_parts || snap.scope.named || snap.files_alone {
        return Vec::new();
    }
    snap.scope.gaps.iter().filter(|g| g.what.contains("/apis/apps/v1/")).cloned().collect()
}

/// Renders the commands and sets the fingerprint.
fn finish(meta: &CheckMeta, findings: &mut [Finding]) -> Result<(), String> {
    for finding in findings {
        redact::finding(finding);
        pages::finish(meta, finding)?;
        let identity = match &finding.cause {
            Some(cause) => cause.key.clone(),
            None if finding.key.is_empty() => finding.subject().key(),
            None => finding.key.clone(),
        };
        finding.fingerprint = fingerprint(meta.id.0, &identity);
    }
    Ok(())
}

/// 16 hexadecimal digits of SHA-256 over the check and the identity.
fn fingerprint(check: &str, identity: &str) -> String {
    digest::short(format!("{check}\n{identity}"))
}

/// Everything that is missing of these facts, each thing once.
fn gaps(snap: &Snapshot, facts: &BTreeSet<Fact>) -> Vec<Gap> {
    let mut all: Vec<Gap> = Vec::new();
    for gap in facts.iter().flat_map(|f| snap.gaps_of(*f)).chain(&snap.scope.gaps) {
        if !all.contains(gap) {
            all.push(gap.clone());
        }
    }
    all
}
