//! A report in the formats that were asked for, on stdout and in files.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, bail};

use super::UNABLE;
use super::past;
use crate::cli::{Format, ResultArgs, Wanted};
use crate::collect::manifests::Read;
use crate::history::{Changes, Past};
use crate::model::{MuteState, Report};
use crate::render::ci::{self, Rule};
use crate::term::{Printer, sanitize, sanitize_lines};
use crate::text::redact::mask;
use crate::{checks, diagnose, pages, render};

/// Where a report goes.
pub(super) struct Outputs<'a> {
    args: &'a ResultArgs,
    /// Findings of the baseline, which do not fail the run.
    known: BTreeSet<String>,
    /// The report that this one is compared with.
    before: Option<Past>,
}

impl<'a> Outputs<'a> {
    /// Reads the reports of before and looks at the files to be written, before anything is asked: a run takes its time.
    ///
    /// # Errors
    /// Two formats want one place, a file's folder is not there, or a report of before is none.
    pub(super) fn new(args: &'a ResultArgs) -> anyhow::Result<Self> {
        let mut places = BTreeSet::new();
        for wanted in &args.output {
            if places.insert(wanted.file.as_deref()) {
                continue;
            }
            match &wanted.file {
                None => bail!("two formats cannot share stdout: give one of them a file (--output sarif=out.sarif)"),
                Some(file) => bail!("two formats cannot share the file {}", file.display()),
            }
        }
        for file in places.into_iter().flatten() {
            can_hold(file)?;
        }
        let known = args.baseline.as_deref().map(past::known).transpose()?.unwrap_or_default();
        let before = args.since.as_deref().map(past::read).transpose()?;
        Ok(Self { args, known, before })
    }

    /// Writes the report, and what of the files could not be read; gives the exit code.
    ///
    /// # Errors
    /// Something could not be written; everything else is.
    pub(super) fn finish(&self, report: &Report, read: Option<&Read>, printer: &Printer) -> anyhow::Result<u8> {
        let faults = read.map_or(&[][..], |r| &r.faults);
        let mut texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
        if texts.is_empty() && diagnose::judged_nothing(report) {
            texts.push("not one check could be evaluated".to_owned());
        }
        let error = (!texts.is_empty()).then(|| mask(&texts.join("; ")));
        let changes = self.before.as_ref().map(|before| Changes::between(before, &Past::of(report)));
        let beside = Beside { error: error.as_deref(), changes: changes.as_ref() };
        let mut failed = None;
        for wanted in &self.args.output {
            if let Err(error) = self.write(report, wanted, &beside, printer) {
                failed = failed.or(Some(error));
            }
        }
        for fault in texts {
            printer.stderr(&format!("kdoctor: {}", sanitize_lines(&fault)));
        }
        tell_mutes(report, printer);
        let count = report.counted().filter(|f| self.known.contains(&f.fingerprint)).count();
        if count > 0 {
            let of = report.findings.len();
            printer.stderr(&format!("kdoctor: {count} of {of} findings stand in the baseline and do not fail the run"));
        }
        match failed {
            Some(error) => Err(error),
            None if !faults.is_empty() => Ok(UNABLE),
            None => Ok(self.code(report)),
        }
    }

    /// The exit code of a report.
    pub(super) fn code(&self, report: &Report) -> u8 {
        diagnose::exit_code(report, &self.known, self.args.fail_on, self.args.strict)
    }

    fn write(&self, report: &Report, wanted: &Wanted, beside: &Beside<'_>, printer: &Printer) -> anyhow::Result<()> {
        let text = text(report, wanted.format, self.args, beside, printer, wanted.file.is_some())?;
        match &wanted.file {
            Some(file) => write(file, &text),
            None => printer.stdout(&text).context("the report could not be written"),
        }
    }
}

/// A file can be made there, as far as one sees without making it.
pub(super) fn can_hold(file: &Path) -> anyhow::Result<()> {
    let folder = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    if !folder.is_dir() {
        bail!("{} cannot be written: there is no folder {}", file.display(), folder.display());
    }
    if file.is_dir() || file.file_name().is_none() {
        bail!("{} is a folder, not a file to write to", file.display());
    }
    Ok(())
}

/// Mutes that are of no use any more: whoever reads the file believes in them.
fn tell_mutes(report: &Report, printer: &Printer) {
    for mute in &report.mutes {
        let what = format!("{}: the mute of {} for {:?}", mute.place, mute.check, mute.subject);
        let told = match mute.state {
            MuteState::Used | MuteState::NotJudged => continue,
            MuteState::Unused => format!("{what} is about no finding: remove it"),
            MuteState::Expired => {
                let until = mute.until.as_deref().unwrap_or_default();
                let again = match mute.findings {
                    0 => "nothing is left that it was about: remove it".to_owned(),
                    1 => "the finding counts again".to_owned(),
                    n => format!("its {n} findings count again"),
                };
                format!("{what} ended on {until}; {again}")
            }
        };
        printer.stderr(&format!("kdoctor: {}", sanitize(&told)));
    }
}

/// What is told beside a report.
struct Beside<'a> {
    /// What went wrong.
    error: Option<&'a str>,
    /// What changed since a report of before.
    changes: Option<&'a Changes>,
}

fn text(
    report: &Report,
    format: Format,
    args: &ResultArgs,
    beside: &Beside<'_>,
    printer: &Printer,
    to_file: bool,
) -> anyhow::Result<String> {
    Ok(match format {
        Format::Table => {
            let plain = Printer::plain();
            let printer = if to_file { &plain } else { printer };
            let options = render::TableOptions::new(printer, args.verbose).short(args.short);
            let changes = beside.changes.map(|c| render::changes_text(c, &options)).unwrap_or_default();
            format!("{}{changes}", render::table(report, &options))
        }
        Format::Markdown => {
            let options = render::MarkdownOptions { verbose: args.verbose, short: args.short };
            let changes = beside.changes.map(render::changes_markdown).unwrap_or_default();
            format!("{}{changes}", render::markdown(report, options))
        }
        Format::Html => render::html(report, beside.changes, args.verbose)?,
        Format::Json => render::json_since(report, beside.error, beside.changes)?,
        Format::Sarif => ci::sarif(report, &rules(report)),
        Format::Junit => ci::junit(report, args.fail_on.threshold())?,
        Format::Github => ci::github(report),
        Format::Gitlab => ci::gitlab(report),
    })
}

/// The checks that ran, with their pages.
fn rules(report: &Report) -> Vec<Rule> {
    let ran = report.runs.iter().filter_map(|run| checks::find(run.check.id.0));
    ran.map(|check| {
        let meta = check.meta();
        let help = pages::of(meta).map(pages::readable).unwrap_or_default();
        Rule { id: meta.id.0, title: meta.title, suite: meta.suite.as_str(), severity: meta.severity, help }
    })
    .collect()
}

/// Writes a file as a whole: who reads it meanwhile sees the one of before.
pub(super) fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    if file.exists() && !file.is_file() {
        // A device or a pipe is written to, and not replaced.
        return std::fs::write(file, text).with_context(|| format!("{} cannot be written", file.display()));
    }
    let name = file.file_name().with_context(|| format!("{} is no file to write to", file.display()))?;
    let mut beside = name.to_os_string();
    beside.push(format!(".{}.tmp", std::process::id()));
    let beside = file.with_file_name(beside);
    let done = std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, file));
    if done.is_err() {
        // What is half written is of no use to anybody.
        let _ = std::fs::remove_file(&beside);
    }
    done.with_context(|| format!("{} cannot be written", file.display()))
}
