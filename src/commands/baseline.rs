//! `kdoctor baseline write`: what is found now, as a file that later runs do not fail on.

use anyhow::Context;
use serde_json::json;

use super::look::{Wanted, report};
use super::preflight::{self, Files};
use super::{output, run};
use crate::cli::Write;
use crate::history::{Past, SCHEMA_VERSION};
use crate::model::Report;
use crate::term::{Printer, sanitize};

/// Runs the command; the exit code is 0 whatever was found.
///
/// # Errors
/// What kept kdoctor from its job, or the file from being written.
pub(super) fn write(args: &Write, printer: &Printer) -> anyhow::Result<u8> {
    output::can_hold(&args.file)?;
    let read = run::read(&args.filename)?;
    let report = match &read {
        Some(read) => {
            let files = Files {
                source: &args.source,
                select: &args.select,
                against_cluster: args.against_cluster,
                include_cluster: false,
                kubernetes_version: None,
            };
            preflight::report(&files, Some(read), printer)?
        }
        None => report(&Wanted::new(&args.source, &args.scope, &args.select), printer)?,
    };
    let faults = read.map_or_else(Vec::new, |read| read.faults);
    output::write(&args.file, &text(&report)?)?;
    for fault in &faults {
        printer.stderr(&format!("kdoctor: {}", sanitize(&fault.to_string())));
    }
    let count = match report.counted().count() {
        1 => "1 finding".to_owned(),
        n => format!("{n} findings"),
    };
    let name = args.file.display().to_string();
    printer
        .stderr(&format!("kdoctor: {count} in {}; --baseline {0} lets a run fail on new ones only", sanitize(&name)));
    // What was not read is not in it.
    Ok(if faults.is_empty() { 0 } else { super::UNABLE })
}

/// What a reader of a pull request wants to see of each finding, in an order that makes for small changes.
fn text(report: &Report) -> anyhow::Result<String> {
    let past = Past::of(report);
    let muted: Vec<&str> =
        report.findings.iter().filter(|f| f.muted.is_some()).map(|f| f.fingerprint.as_str()).collect();
    let mut findings: Vec<_> = past.findings.iter().filter(|f| !muted.contains(&f.id.as_str())).collect();
    findings.sort_by(|a, b| (&a.check, &a.message, &a.id).cmp(&(&b.check, &b.message, &b.id)));
    let document = json!({
        "schema_version": SCHEMA_VERSION,
        "collected_at": past.collected_at,
        "findings": findings,
    });
    Ok(format!("{}\n", serde_json::to_string_pretty(&document).context("the baseline could not be made")?))
}
