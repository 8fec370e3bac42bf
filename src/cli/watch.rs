//! Options of `kdoctor watch`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::values::parse_span;
use super::{ScopeArgs, SelectArgs, SourceArgs};
use crate::diagnose::FailOn;

/// Options of `kdoctor watch`.
#[derive(Debug, Args)]
#[command(
    mut_arg("from", |arg| arg.hide(true)),
    mut_arg("demo", |arg| arg.hide(true)),
    after_help = "On a terminal it is a live view: q ends it, r looks at once. Elsewhere, and with --plain, each change is a line \
    with its time. A look that fails resolves nothing: \"cannot see\" and \"out of sight\" say what is not known.\n\n\
    The command of --exec is run by sh, 30 s at most, when a root cause appears, changes or is resolved, and when sight is \
    lost or back. It gets KDOCTOR_NEW, KDOCTOR_RESOLVED and KDOCTOR_OPEN (numbers of root causes), KDOCTOR_TEXT (the lines) and \
    on its standard input a JSON document.\n\n\
    Exit code: 0 nothing at or above --fail-on at the end · 1 something is · 2 kdoctor could not look · 130 interrupted"
)]
pub struct Watch {
    /// Time between two looks: 15s, 1m
    #[arg(short, long, value_name = "TIME", default_value = "15s", value_parser = parse_span, help_heading = "Watch")]
    pub interval: Duration,
    /// End with 0 as soon as nothing is found at or above --fail-on
    #[arg(long, help_heading = "Watch")]
    pub until_resolved: bool,
    /// End after this time: 90s, 10m, 2h; with 1 where something is found then
    #[arg(long = "for", value_name = "TIME", value_parser = parse_span, help_heading = "Watch")]
    pub span: Option<Duration>,
    /// What counts as found
    #[arg(long, value_enum, default_value = "error", help_heading = "Watch")]
    pub fail_on: FailOn,
    /// Ring the terminal's bell on a change
    #[arg(long, help_heading = "Watch")]
    pub bell: bool,
    /// Run this command on a change, see below
    #[arg(long, value_name = "COMMAND", help_heading = "Watch")]
    pub exec: Option<String>,
    /// Lines instead of a live view
    #[arg(long, help_heading = "Watch")]
    pub plain: bool,
    /// Write the transcript to this file instead of the state folder; what stands in it stays
    #[arg(long, value_name = "FILE", conflicts_with = "no_transcript", help_heading = "Watch")]
    pub transcript: Option<PathBuf>,
    /// Keep no transcript (kdoctor transcript last prints it)
    #[arg(long, help_heading = "Watch")]
    pub no_transcript: bool,
    /// Which namespaces.
    #[command(flatten)]
    pub scope: ScopeArgs,
    /// Which checks.
    #[command(flatten)]
    pub select: SelectArgs,
    /// Where to look.
    #[command(flatten)]
    pub source: SourceArgs,
}
