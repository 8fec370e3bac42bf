//! `kdoctor preflight`: judge manifests and Helm values, before they are applied.

use anyhow::bail;
use jiff::Timestamp;

use super::output::Outputs;
use super::run::{self, Aim, selected, wait_for};
use crate::checks::Check;
use crate::cli::Preflight;
use crate::collect::Plan;
use crate::collect::manifests::{self, Read};
use crate::diagnose;
use crate::model::Fact;
use crate::snapshot::Snapshot;
use crate::term::Printer;

/// Runs the command; returns the exit code.
///
/// # Errors
/// What kept kdoctor from doing its job.
pub(super) fn run(args: &Preflight, printer: &Printer) -> anyhow::Result<u8> {
    let source = &args.source;
    let cluster = args.against_cluster || !source.is_live() || source.context.is_some() || source.kubeconfig.is_some();
    let mut checks = selected(&args.select)?;
    checks.retain(|c| judges_files(*c, cluster));
    if checks.is_empty() {
        bail!("none of the chosen checks can judge manifests{}", if cluster { "" } else { " without a cluster" });
    }
    let outputs = Outputs::new(&args.result)?;
    let read = run::read(&args.filename)?;
    if let Some(read) = read.as_ref().filter(|r| !r.holds_something()) {
        bail!("{}", nothing_in(read));
    }
    let listing = read.as_ref().map(Read::listing);
    if !cluster {
        let now = source.now.unwrap_or_else(Timestamp::now);
        let mut snap = manifests::alone(listing.unwrap_or_default(), now);
        let mut report = source.settings.grades.run_files(&mut snap, &checks, false);
        diagnose::mute(&mut report, &source.settings.mutes);
        return outputs.finish(&report, read.as_ref(), printer);
    }
    let aim = Aim::Files { cluster_too: args.include_cluster };
    let plan = Plan {
        manifests: listing,
        before_install: true,
        ..Plan::new(diagnose::facts_of(&checks), Timestamp::default())
    };
    let report = wait_for(run::run(source, plan, None, &checks, aim, printer))?.report;
    if report.target.manifests.is_none() && read.is_none() {
        bail!("the bundle holds no manifests; give them with -f");
    }
    outputs.finish(&report, read.as_ref(), printer)
}

/// True for a check that judges files; with a cluster beside them, for one that has an eye on both.
fn judges_files(check: &dyn Check, cluster: bool) -> bool {
    let meta = check.meta();
    let reads = meta.requires.iter().chain(meta.uses).any(|f| *f == Fact::Manifests);
    check.judge(&Snapshot::empty(Timestamp::default())).is_some() || (cluster && reads)
}

/// Files were read and nothing in them is for a cluster: that is no pass.
fn nothing_in(read: &Read) -> String {
    let faults: Vec<String> = read.faults.iter().map(|f| format!("\nkdoctor: {f}")).collect();
    let listing = read.listing();
    let render = listing.gaps().iter().find(|g| g.hint.contains("helm template")).map(|g| format!("; {}", g.hint));
    let kustomize =
        if read.has_kustomization() { "; build it first: kubectl kustomize DIR | kdoctor preflight -f -" } else { "" };
    format!(
        "no manifest, Helm values or configuration in the files that were given: nothing was judged{}{kustomize}{}",
        render.unwrap_or_default(),
        faults.concat()
    )
}
