//! `kdoctor fix` and `kdoctor monitoring -i`: through the fix of a root cause with the companion.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::bail;

use super::look::{self, Wanted};
use super::output::Outputs;
use super::run::{lists_demos, read};
use crate::cli::{CompanionArgs, Fix, Format, Monitoring, SourceArgs};
use crate::collect::memory::{AWS_KEEP, Memory};
use crate::companion::{self, Companion, Ended, Host, Manner, MayRun, Options, Reach};
use crate::diagnose::{self, FailOn};
use crate::model::{CheckId, Report};
use crate::pages::Invocation;
use crate::render::{Pieces, TableOptions};
use crate::term::{Printer, interrupt, sanitize_lines};
use crate::text::redact::mask;
use crate::{checks, commands::explain, pages};

/// The variable that takes running away.
const READ_ONLY: &str = "KDOCTOR_READ_ONLY";

/// Looks at the same again, and knows the pages.
struct Again<'a> {
    wanted: Wanted<'a>,
    /// Files that are judged, too: read at each look.
    files: &'a [String],
    /// What of them could not be read at the last look.
    faults: Vec<String>,
    printer: &'a Printer,
    /// The lists of the last look: of the next one only what changed is fetched. What AWS said holds for a moment, unless
    /// something was done there.
    memory: Arc<Memory>,
}

impl<'a> Again<'a> {
    fn new(wanted: Wanted<'a>, files: &'a [String], printer: &'a Printer) -> Self {
        Self { wanted, files, faults: Vec::new(), printer, memory: Arc::new(Memory::new(AWS_KEEP)) }
    }
}

impl Host for Again<'_> {
    /// What is run later goes to the cluster that was looked at, whatever has become the current context since.
    fn look(&mut self, reach: Reach) -> anyhow::Result<Report> {
        if reach == Reach::Beyond {
            self.memory.forget_aws();
        }
        let read = read(self.files)?;
        self.faults = read.iter().flat_map(|r| &r.faults).map(ToString::to_string).collect();
        let wanted = Wanted { read: read.as_ref(), memory: Some(&self.memory), ..self.wanted };
        let mut report = look::report(&wanted, self.printer)?;
        if self.wanted.source.is_live() {
            let context = report.target.context.clone();
            pages::apply(&mut report, &Invocation { context, ..Invocation::default() });
        }
        Ok(report)
    }

    fn page(&self, check: CheckId) -> anyhow::Result<String> {
        match checks::find(check.0) {
            Some(check) => explain::page(check.meta(), &self.printer.resized()),
            None => bail!("there is no check {check}"),
        }
    }
}

/// Runs `kdoctor fix`; returns the exit code.
///
/// # Errors
/// There is no terminal, no such root cause, or what kept kdoctor from looking.
pub(super) fn run(args: &Fix, printer: &Printer) -> anyhow::Result<u8> {
    if lists_demos(&args.source, printer)? {
        return Ok(0);
    }
    needs_terminal("kdoctor fix", printer)?;
    let wanted = Wanted::new(&args.source, &args.scope, &args.select);
    let quiet = quiet(&args.companion, printer);
    let mut host = Again::new(wanted, &[], &quiet);
    let report = host.look(Reach::Beyond)?;
    let how = args.root.as_ref().map_or_else(|| "kdoctor fix".to_owned(), |root| format!("kdoctor fix {root}"));
    let meant = args.root.as_deref().map(|word| companion::meant(&report, word)).transpose()?;
    // The only one needs no choice.
    let roots = meant.or_else(|| (report.roots.len() == 1).then(|| vec![0]));
    match &roots {
        Some(_) => printer.stdout(&Pieces::new(&report, &TableOptions::new(printer, false)).verdict())?,
        None => overview(&report, printer)?,
    }
    if report.roots.is_empty() {
        return Ok(diagnose::exit_code(&report, &BTreeSet::new(), FailOn::Error, false));
    }
    let ended = talk(&mut host, report, roots, &args.companion, &how, printer)?;
    if ended.is_interrupted {
        return Ok(interrupt::INTERRUPTED);
    }
    Ok(diagnose::exit_code(&ended.report, &BTreeSet::new(), FailOn::Error, false))
}

/// Goes on from the report of `kdoctor monitoring -i`.
///
/// # Errors
/// As [`run`], or the report could not be written.
pub(super) fn from_report(
    wanted: &Wanted<'_>,
    args: &Monitoring,
    outputs: &Outputs<'_>,
    printer: &Printer,
) -> anyhow::Result<u8> {
    needs_terminal("--interactive", printer)?;
    let to_stdout = |w: &&crate::cli::Wanted| w.file.is_none() && w.format != Format::Table;
    if args.result.output.iter().any(|w| to_stdout(&w)) {
        bail!("--interactive talks on stdout: give other formats a file (--output json=report.json)");
    }
    let quiet = quiet(&args.companion, printer);
    let mut host = Again::new(*wanted, &args.filename, &quiet);
    let report = host.look(Reach::Beyond)?;
    if args.result.verbose || args.result.output.iter().any(|w| w.file.is_some()) {
        outputs.finish(&report, wanted.read, printer)?;
    } else {
        overview(&report, printer)?;
        for fault in &host.faults {
            printer.stderr(&format!("kdoctor: {}", sanitize_lines(&mask(fault))));
        }
    }
    let code = |report: &Report, host: &Again<'_>| match host.faults.is_empty() {
        true => outputs.code(report),
        false => super::UNABLE,
    };
    if report.roots.is_empty() {
        return Ok(code(&report, &host));
    }
    let ended = talk(&mut host, report, None, &args.companion, "kdoctor monitoring -i", printer)?;
    if ended.is_interrupted {
        return Ok(interrupt::INTERRUPTED);
    }
    Ok(code(&ended.report, &host))
}

/// Flags of the companion without it.
///
/// # Errors
/// One of them was given.
pub(super) fn is_unused(args: &CompanionArgs) -> anyhow::Result<()> {
    let given = [
        (args.read_only, "--read-only"),
        (args.transcript.is_some(), "--transcript"),
        (args.no_transcript, "--no-transcript"),
        (args.plain, "--plain"),
    ];
    match given.into_iter().find(|(given, _)| *given) {
        Some((_, flag)) => bail!("{flag} goes with --interactive"),
        None => Ok(()),
    }
}

fn needs_terminal(what: &str, printer: &Printer) -> anyhow::Result<()> {
    if !printer.can_talk() {
        bail!("{what} asks, and there is no terminal to ask on; kdoctor monitoring prints all steps");
    }
    Ok(())
}

/// For screen readers no line is drawn again and again.
fn quiet(args: &CompanionArgs, printer: &Printer) -> Printer {
    Printer { progress: printer.progress && !args.plain, ..printer.clone() }
}

fn overview(report: &Report, printer: &Printer) -> anyhow::Result<()> {
    let table = TableOptions::new(printer, false);
    printer.stdout(&format!("{}\n", Pieces::new(report, &table).overview()))?;
    Ok(())
}

fn talk(
    host: &mut Again<'_>,
    report: Report,
    roots: Option<Vec<usize>>,
    args: &CompanionArgs,
    how: &str,
    printer: &Printer,
) -> anyhow::Result<Ended> {
    let options = options(host.wanted.source, args);
    let mut companion = Companion::new(printer, options, host, report);
    let transcript = companion::Wanted::of(args.transcript.as_deref(), args.no_transcript);
    companion.transcript(&transcript, how)?;
    companion.run(roots)
}

fn options(source: &SourceArgs, args: &CompanionArgs) -> Options {
    let is_set = |value: std::ffi::OsString| !["", "0", "false", "no"].iter().any(|no| value.eq_ignore_ascii_case(no));
    let may_run = match () {
        () if source.demo.is_some() => MayRun::No("this is a demo, there is no cluster behind it".to_owned()),
        () if source.from.is_some() => {
            MayRun::No("a bundle shows a cluster as it was, and nobody knows which one it is now".to_owned())
        }
        () if args.read_only => MayRun::No("--read-only".to_owned()),
        () if std::env::var_os(READ_ONLY).is_some_and(is_set) => MayRun::No(format!("{READ_ONLY} is set")),
        () if source.settings.read_only => MayRun::No("the settings say read-only (kdoctor.toml)".to_owned()),
        () => MayRun::Yes,
    };
    let is_dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
    let manner = if args.plain || is_dumb { Manner::Lines } else { Manner::Keys };
    Options { may_run, manner, patience: args.patience, is_live: source.is_live() }
}
