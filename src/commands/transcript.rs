//! `kdoctor transcript`: what was done and seen before: with the companion, and in watches.

use crate::cli::Transcript;
use crate::companion::transcript;
use crate::term::{Printer, sanitize, sanitize_lines};

/// Transcripts that are listed.
const LISTED: usize = 20;

/// Lists the transcripts, or prints one.
///
/// # Errors
/// There is no such transcript, or it cannot be read.
pub(super) fn run(args: &Transcript, printer: &Printer) -> anyhow::Result<u8> {
    let all = transcript::all()?;
    if let Some(name) = &args.name {
        let kept = transcript::find(all, name)?;
        printer.stdout(&format!("{}\n", sanitize_lines(&transcript::read(&kept.path)?)))?;
        return Ok(0);
    }
    let mut out = String::new();
    for kept in all.iter().take(LISTED) {
        out.push_str(&format!(
            "{}\n    {} · {}\n",
            sanitize(&kept.name),
            sanitize(&kept.about),
            sanitize(&kept.ending)
        ));
    }
    if all.len() > LISTED {
        out.push_str(&format!("and {} more\n", all.len() - LISTED));
    }
    if all.is_empty() {
        out.push_str("there is no transcript yet: kdoctor fix, monitoring -i and watch write them\n");
    } else {
        out.push_str(&format!("kept in {}\n", sanitize(&transcript::folder()?.display().to_string())));
    }
    printer.stdout(&out)?;
    Ok(0)
}
