//! Reports of before, as JSON: what is new, what is gone, and what is known already.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;

use anyhow::{Context, bail};

use super::look::{Wanted, report};
use crate::bundle;
use crate::cli::{Diff, Monitoring, Output};
use crate::history::{Changes, Past, PastFinding};
use crate::term::{Printer, sanitize};

/// A larger file is no report.
const MAX_REPORT: u64 = 256 << 20;

/// Reads a report.
///
/// # Errors
/// The file is none.
pub(super) fn read(path: &Path) -> anyhow::Result<Past> {
    let name = path.display();
    let meta = std::fs::metadata(path).with_context(|| format!("{name} cannot be read"))?;
    if !meta.is_file() || meta.len() > MAX_REPORT {
        bail!("{name} is no JSON report (kdoctor monitoring --output json={name})");
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("{name} cannot be read"))?;
    Past::parse(&text).with_context(|| format!("{name} is no JSON report (kdoctor monitoring --output json={name})"))
}

/// Ids of the findings of a report: what does not fail a run any more.
///
/// # Errors
/// The file is no report.
pub(super) fn known(path: &Path) -> anyhow::Result<BTreeSet<String>> {
    Ok(read(path)?.findings.into_iter().map(|f| f.id).collect())
}

/// Runs `kdoctor diff`; 1 where something appeared.
///
/// # Errors
/// One of the two is neither a report nor a bundle.
pub(super) fn diff(args: &Diff, printer: &Printer) -> anyhow::Result<u8> {
    let changes = Changes::between(&of(&args.old, printer)?, &of(&args.new, printer)?);
    let text = match args.output {
        Output::Json => format!("{}\n", serde_json::to_string_pretty(&changes)?),
        Output::Table | Output::Markdown => told(&changes),
    };
    printer.stdout(&text).context("the changes could not be written")?;
    Ok(u8::from(!changes.appeared.is_empty()))
}

fn told(changes: &Changes) -> String {
    let mut out = format!("{} → {}\n", sanitize(&changes.old), sanitize(&changes.new));
    let lists = [("new", &changes.appeared), ("resolved", &changes.resolved), ("unchanged", &changes.unchanged)];
    for (title, list) in lists {
        out.push_str(&format!("\n{title}: {}\n", list.len()));
        out.extend(list.iter().map(|finding| line(finding, "")));
    }
    if !changes.out_of_sight.is_empty() {
        out.push_str(&format!("\nout of sight, so perhaps there still: {}\n", changes.out_of_sight.len()));
        out.extend(changes.out_of_sight.iter().map(|lost| line(&lost.finding, &format!(" ({})", lost.why))));
    }
    out
}

fn line(finding: &PastFinding, after: &str) -> String {
    let symptom = if finding.root { "" } else { " (a symptom)" };
    let (check, message) = (sanitize(&finding.check), sanitize(&finding.message));
    format!("- {}[{check}]{symptom} {message}{}\n", sanitize(&finding.severity), sanitize(after))
}

/// A report, or the report of a bundle.
fn of(path: &Path, printer: &Printer) -> anyhow::Result<Past> {
    if !bundle::may_be_bundle(path) {
        return read(path);
    }
    let args = Monitoring::of_words([OsStr::new("--from"), path.as_os_str()])?;
    Ok(Past::of(&report(&Wanted::of(&args), printer)?))
}
