//! One look at a cluster or a bundle: what is wanted, and the report of it.

use std::sync::Arc;

use super::last;
use super::run::{self, selected, wait_for};
use crate::cli::{Monitoring, ProbeMode, ScopeArgs, SelectArgs, SourceArgs};
use crate::collect::manifests::Read;
use crate::collect::memory::Memory;
use crate::model::Report;
use crate::term::Printer;

/// What is looked at, and how.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// Where to look.
    pub(super) source: &'a SourceArgs,
    /// Which namespaces.
    pub(super) scope: &'a ScopeArgs,
    /// Which checks.
    pub(super) select: &'a SelectArgs,
    /// Who allows probes.
    pub(super) probe: Option<ProbeMode>,
    /// Files that are judged, too.
    pub(super) read: Option<&'a Read>,
    /// What is known from the look before, for who looks again.
    pub(super) memory: Option<&'a Arc<Memory>>,
}

impl<'a> Wanted<'a> {
    /// Without probes and files.
    pub(super) fn new(source: &'a SourceArgs, scope: &'a ScopeArgs, select: &'a SelectArgs) -> Self {
        Self { source, scope, select, probe: None, read: None, memory: None }
    }

    /// As the flags say it, without files.
    pub(super) fn of(args: &'a Monitoring) -> Self {
        Self { probe: args.probe, ..Self::new(&args.source, &args.scope, &args.select) }
    }
}

/// The report of a run.
///
/// # Errors
/// What kept kdoctor from it.
pub(super) fn report(wanted: &Wanted<'_>, printer: &Printer) -> anyhow::Result<Report> {
    let checks = selected(wanted.select)?;
    let (facts, aim) = run::aim(wanted.select, &checks);
    let mut plan = run::plan(facts, wanted.scope.namespace.as_deref(), wanted.scope.all_namespaces);
    plan.manifests = wanted.read.map(Read::listing);
    let run = wait_for(run::run(wanted.source, plan, wanted.probe, &checks, aim, wanted.memory, printer))?;
    // Nobody completes a command or reads a start page in a pipeline.
    if printer.can_ask() {
        last::keep(&run.report, wanted.source);
    }
    Ok(run.report)
}
