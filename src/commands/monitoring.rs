//! `kdoctor monitoring`: collect, diagnose, report.

use super::fix;
use super::look::{Wanted, report};
use super::output::Outputs;
use super::run::{lists_demos, read};
use crate::cli::Monitoring;
use crate::term::Printer;

/// Runs the command; returns the exit code.
///
/// # Errors
/// What kept kdoctor from doing its job.
pub(super) fn run(args: &Monitoring, printer: &Printer) -> anyhow::Result<u8> {
    if lists_demos(&args.source, printer)? {
        return Ok(0);
    }
    let outputs = Outputs::new(&args.result)?;
    let files = read(&args.filename)?;
    let wanted = Wanted { read: files.as_ref(), ..Wanted::of(args) };
    if args.interactive {
        return fix::from_report(&wanted, args, &outputs, printer);
    }
    fix::is_unused(&args.companion)?;
    outputs.finish(&report(&wanted, printer)?, files.as_ref(), printer)
}
