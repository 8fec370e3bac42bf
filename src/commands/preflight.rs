//! `kdoctor preflight`: judge manifests and Helm values, before they are applied.

use anyhow::bail;
use jiff::Timestamp;

use super::output::Outputs;
use super::run::{self, Aim, selected, wait_for};
use crate::checks::Check;
use crate::cli::{Preflight, SelectArgs, SourceArgs};
use crate::collect::Plan;
use crate::collect::manifests::{self, Read};
use crate::diagnose;
use crate::model::{Fact, Report};
use crate::snapshot::Snapshot;
use crate::term::Printer;

/// Runs the command; returns the exit code.
///
/// # Errors
/// What kept kdoctor from doing its job.
pub(super) fn run(args: &Preflight, printer: &Printer) -> anyhow::Result<u8> {
    let outputs = Outputs::new(&args.result)?;
    let files = Files {
        source: &args.source,
        select: &args.select,
        against_cluster: args.against_cluster,
        include_cluster: args.include_cluster,
        kubernetes_version: args.kubernetes_version.as_deref(),
    };
    // What is wrong with the choice of checks is said before anything is read.
    files.checks()?;
    let given: Vec<String> = args.filename.iter().chain(&args.files).cloned().collect();
    let read = run::read(&given)?.map(|read| read.for_chart(args.chart.as_deref()));
    outputs.finish(&report(&files, read.as_ref(), printer)?, read.as_ref(), printer)
}

/// How files are judged.
pub(super) struct Files<'a> {
    /// The cluster, where one is asked.
    pub(super) source: &'a SourceArgs,
    /// Which checks.
    pub(super) select: &'a SelectArgs,
    /// The cluster is asked although no flag names it.
    pub(super) against_cluster: bool,
    /// What the cluster has anyway counts.
    pub(super) include_cluster: bool,
    /// The version that they are for.
    pub(super) kubernetes_version: Option<&'a str>,
}

impl Files<'_> {
    fn asks_cluster(&self) -> bool {
        let source = self.source;
        self.against_cluster || !source.is_live() || source.context.is_some() || source.kubeconfig.is_some()
    }

    fn checks(&self) -> anyhow::Result<Vec<&'static dyn Check>> {
        let cluster = self.asks_cluster();
        let mut checks = selected(self.select)?;
        checks.retain(|c| judges_files(*c, cluster));
        if checks.is_empty() {
            bail!("none of the chosen checks can judge manifests{}", if cluster { "" } else { " without a cluster" });
        }
        Ok(checks)
    }
}

/// The report on files that were read, or on those of a bundle.
///
/// # Errors
/// What kept kdoctor from it.
pub(super) fn report(files: &Files<'_>, read: Option<&Read>, printer: &Printer) -> anyhow::Result<Report> {
    let source = files.source;
    let checks = files.checks()?;
    if let Some(read) = read.filter(|r| !r.holds_something()) {
        bail!("{}", nothing_in(read, &[]));
    }
    let listing = read.map(Read::listing);
    if !files.asks_cluster() {
        let now = source.now.unwrap_or_else(Timestamp::now);
        let mut snap = manifests::alone(listing.unwrap_or_default(), now);
        files.kubernetes_version.map(str::to_owned).into_iter().for_each(|v| snap.set_kubernetes_version(v));
        let mut report = source.settings.grades.run_files(&mut snap, &checks, false);
        some_is_judged(&report, read)?;
        diagnose::mute(&mut report, &source.settings.mutes);
        return Ok(report);
    }
    let aim = Aim::Files { cluster_too: files.include_cluster };
    let plan = Plan {
        manifests: listing,
        before_install: true,
        kubernetes_version: files.kubernetes_version.map(str::to_owned),
        ..Plan::new(diagnose::facts_of(&checks), Timestamp::default())
    };
    let report = wait_for(run::run(source, plan, None, &checks, aim, None, printer))?.report;
    if report.target.manifests.as_ref().is_none_or(|m| m.files == 0) && read.is_none() {
        bail!("the bundle holds no manifests; give them with -f");
    }
    some_is_judged(&report, read)?;
    Ok(report)
}

/// Files that no check is about are no pass; what is found in them all the same is said.
fn some_is_judged(report: &Report, read: Option<&Read>) -> anyhow::Result<()> {
    let others = report.target.manifests.as_ref().filter(|m| m.files == 0).map_or(&[][..], |m| &m.others);
    match read {
        Some(read) if report.findings.is_empty() && !others.is_empty() => bail!("{}", nothing_in(read, others)),
        _ => Ok(()),
    }
}

/// True for a check that judges files; with a cluster beside them, for one that has an eye on both.
fn judges_files(check: &dyn Check, cluster: bool) -> bool {
    let meta = check.meta();
    let reads = meta.requires.iter().chain(meta.uses).any(|f| *f == Fact::Manifests);
    check.judge(&Snapshot::empty(Timestamp::default())).is_some() || (cluster && reads)
}

/// Files that a message names at most.
const NAMED: usize = 10;

/// Files were read and nothing in them is for a cluster: that is no pass. `others`: what they are instead.
fn nothing_in(read: &Read, others: &[(String, &'static str)]) -> String {
    let faults: Vec<String> = read.faults.iter().map(|f| format!("\nkdoctor: {f}")).collect();
    let listing = read.listing();
    let render = listing.gaps().iter().find(|g| !g.hint.is_empty()).map(|g| format!("; {}", g.hint));
    let kustomize =
        if read.has_kustomization() { "; build it first: kubectl kustomize DIR | kdoctor preflight -f -" } else { "" };
    let mut told: Vec<String> =
        others.iter().take(NAMED).map(|(path, what)| format!("\nkdoctor: {path} is not judged: {what}")).collect();
    if let Some(more) = others.len().checked_sub(NAMED + 1) {
        told.push(format!("\nkdoctor: and {} more", more + 1));
    }
    format!(
        "no manifest, Helm values or configuration in the files that were given: nothing was judged{}{kustomize}{}{}",
        render.unwrap_or_default(),
        told.concat(),
        faults.concat()
    )
}
