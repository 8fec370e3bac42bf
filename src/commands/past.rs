//! Reports of before, as JSON: what is new, what is gone, and what is known already.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, bail};
use clap::Parser;
use serde::{Deserialize, Serialize};

use super::monitoring;
use crate::cli::{Cli, Command, Diff, Output};
use crate::term::{Printer, sanitize};

/// A larger file is no report.
const MAX_REPORT: u64 = 256 << 20;

/// What is read of a report.
#[derive(Deserialize)]
struct Past {
    schema_version: u32,
    collected_at: String,
    findings: Vec<PastFinding>,
}

/// What is read of a finding.
#[derive(Debug, Clone, Deserialize, Serialize)]
struct PastFinding {
    id: String,
    check: String,
    severity: String,
    message: String,
    root: bool,
}

fn read(path: &Path) -> anyhow::Result<Past> {
    let name = path.display();
    let meta = std::fs::metadata(path).with_context(|| format!("{name} cannot be read"))?;
    if !meta.is_file() || meta.len() > MAX_REPORT {
        bail!("{name} is no JSON report (kdoctor monitoring --output json={name})");
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("{name} cannot be read"))?;
    parse(&text).with_context(|| format!("{name} is no JSON report (kdoctor monitoring --output json={name})"))
}

fn parse(text: &str) -> anyhow::Result<Past> {
    let past: Past = serde_json::from_str(text)?;
    if past.schema_version != 1 {
        bail!("schema_version {} is not known here", past.schema_version);
    }
    Ok(past)
}

/// Ids of the findings of a report: what does not fail a run any more.
///
/// # Errors
/// The file is no report.
pub(super) fn known(path: &Path) -> anyhow::Result<BTreeSet<String>> {
    Ok(read(path)?.findings.into_iter().map(|f| f.id).collect())
}

/// What changed between two reports.
#[derive(Serialize)]
struct Changes {
    old: String,
    new: String,
    appeared: Vec<PastFinding>,
    resolved: Vec<PastFinding>,
    unchanged: Vec<PastFinding>,
}

/// Runs `kdoctor diff`; 1 where something appeared.
///
/// # Errors
/// One of the two is neither a report nor a bundle.
pub(super) fn diff(args: &Diff, printer: &Printer) -> anyhow::Result<u8> {
    let (old, new) = (of(&args.old, printer)?, of(&args.new, printer)?);
    let ids = |past: &Past| past.findings.iter().map(|f| f.id.clone()).collect::<BTreeSet<String>>();
    let (before, after) = (ids(&old), ids(&new));
    let pick = |past: &Past, wanted: &dyn Fn(&str) -> bool| -> Vec<PastFinding> {
        // One finding may stand twice where a bundle was put together by hand.
        let all: BTreeMap<&str, &PastFinding> =
            past.findings.iter().filter(|f| wanted(&f.id)).map(|f| (f.id.as_str(), f)).collect();
        let mut all: Vec<PastFinding> = all.into_values().cloned().collect();
        all.sort_by(|a, b| (!a.root, &a.check, &a.message).cmp(&(!b.root, &b.check, &b.message)));
        all
    };
    let changes = Changes {
        appeared: pick(&new, &|id| !before.contains(id)),
        resolved: pick(&old, &|id| !after.contains(id)),
        unchanged: pick(&new, &|id| before.contains(id)),
        old: old.collected_at,
        new: new.collected_at,
    };
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
        for finding in list {
            let symptom = if finding.root { "" } else { " (a symptom)" };
            let (check, message) = (sanitize(&finding.check), sanitize(&finding.message));
            out.push_str(&format!("- {}[{check}]{symptom} {message}\n", sanitize(&finding.severity)));
        }
    }
    out
}

/// A report, or the report of a bundle.
fn of(path: &Path, printer: &Printer) -> anyhow::Result<Past> {
    if !path.is_dir() {
        return read(path);
    }
    let words: [&std::ffi::OsStr; 4] = ["kdoctor".as_ref(), "monitoring".as_ref(), "--from".as_ref(), path.as_os_str()];
    let Command::Monitoring(args) = Cli::try_parse_from(words)?.command else {
        bail!("{} is no bundle", path.display())
    };
    parse(&monitoring::json_of(&args, printer)?)
}
