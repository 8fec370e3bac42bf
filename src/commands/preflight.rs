//! `kdoctor preflight`: judge manifests and Helm values, before they are applied.

use anyhow::bail;
use jiff::Timestamp;

use super::INTERRUPTED;
use super::monitoring::{diagnose, finish, interruptible, selected, some_of};
use crate::cli::Preflight;
use crate::collect::Plan;
use crate::collect::manifests::{self, Read};
use crate::diagnose;
use crate::model::{CheckMeta, Fact};
use crate::term::Printer;

/// Runs the command; returns the exit code.
///
/// # Errors
/// What kept kdoctor from doing its job.
pub(super) fn run(args: &Preflight, printer: &Printer) -> anyhow::Result<u8> {
    let source = &args.source;
    let cluster = args.against_cluster
        || source.from.is_some()
        || source.demo.is_some()
        || source.context.is_some()
        || source.kubeconfig.is_some();
    let mut checks = selected(&args.select)?;
    checks.retain(|c| judges_manifests(c.meta(), cluster));
    if checks.is_empty() {
        bail!("none of the chosen checks can judge manifests{}", if cluster { "" } else { " without a cluster" });
    }
    let read = (!args.filename.is_empty()).then(|| manifests::read(&args.filename));
    some_of(read.as_ref())?;
    let listing = read.as_ref().map(Read::listing);
    if !cluster {
        let now = source.now.unwrap_or_else(Timestamp::now);
        let snap = manifests::alone(listing.unwrap_or_default(), now);
        return finish(&diagnose::run_checks(&snap, &checks), &args.result, read.as_ref(), printer);
    }
    let plan = Plan {
        manifests: listing,
        before_install: true,
        ..Plan::new(diagnose::facts_of(&checks), Timestamp::default())
    };
    let Some(report) = interruptible(diagnose(source, plan, None, &checks, false, printer))? else {
        printer.stderr("kdoctor: interrupted");
        return Ok(INTERRUPTED);
    };
    if report.target.manifests.is_none() && read.is_none() {
        bail!("the bundle holds no manifests; give them with -f");
    }
    finish(&report, &args.result, read.as_ref(), printer)
}

/// True for a check that reads manifests and, without a cluster, needs nothing else than they give.
fn judges_manifests(meta: &CheckMeta, cluster: bool) -> bool {
    let reads = meta.requires.iter().chain(meta.uses).any(|f| *f == Fact::Manifests);
    reads && (cluster || meta.requires.iter().all(|f| manifests::GIVEN.contains(f)))
}
