//! `kdoctor monitoring`: collect, diagnose, report.

use jiff::Timestamp;

use super::output::Outputs;
use super::run::{self, Aim, selected, some_of, wait_for};
use crate::cli::Monitoring;
use crate::collect::Plan;
use crate::collect::manifests::{self, Read};
use crate::model::{Fact, Report};
use crate::term::Printer;
use crate::{diagnose, render};

/// Runs the command; returns the exit code.
///
/// # Errors
/// What kept kdoctor from doing its job.
pub(super) fn run(args: &Monitoring, printer: &Printer) -> anyhow::Result<u8> {
    if args.source.demo.as_deref() == Some("list") {
        printer.stdout(&run::demo_list()?)?;
        return Ok(0);
    }
    let outputs = Outputs::new(&args.result)?;
    let read = (!args.filename.is_empty()).then(|| manifests::read(&args.filename));
    some_of(read.as_ref())?;
    let report = report(args, read.as_ref(), printer)?;
    outputs.finish(&report, read.as_ref(), printer)
}

/// The report of a run.
fn report(args: &Monitoring, read: Option<&Read>, printer: &Printer) -> anyhow::Result<Report> {
    let checks = selected(&args.select)?;
    // Whoever asks for some checks asks for nothing else.
    let (facts, aim) = if args.select.only.is_empty() {
        (diagnose::facts(&checks), Aim::Everything)
    } else {
        (diagnose::facts_of(&checks), Aim::Checks)
    };
    let mut plan = Plan::new(facts, Timestamp::default());
    if args.all_namespaces {
        plan.facts.insert(Fact::Namespaces);
    }
    plan.namespace.clone_from(&args.namespace);
    plan.all_namespaces = args.all_namespaces;
    plan.manifests = read.map(Read::listing);
    let run = wait_for(run::run(&args.source, plan, args.probe, &checks, aim, printer))?;
    Ok(run.report)
}

/// The same as JSON.
pub(super) fn json_of(args: &Monitoring, printer: &Printer) -> anyhow::Result<String> {
    let report = report(args, None, printer)?;
    Ok(render::json(&report, None)?)
}
