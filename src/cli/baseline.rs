//! `kdoctor baseline`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{ScopeArgs, SelectArgs, SourceArgs};

/// What is done with a baseline.
#[derive(Debug, Subcommand)]
pub enum Baseline {
    /// Write what is found now into a file: `--baseline FILE` lets a run fail only on what is not in it
    Write(Box<Write>),
}

/// Options of `kdoctor baseline write`.
#[derive(Debug, Args)]
pub struct Write {
    /// The file; one that is there is replaced
    #[arg(value_name = "FILE", default_value = "kdoctor-baseline.json")]
    pub file: PathBuf,
    /// Files that are judged, as `preflight` takes them; without any, what `monitoring` finds (repeat)
    #[arg(short, long, value_name = "FILE|DIR|-", help_heading = "What to look at")]
    pub filename: Vec<String>,
    /// Of files: also what is wrong with them and the cluster together
    #[arg(long, requires = "filename", help_heading = "What to look at")]
    pub against_cluster: bool,
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
