//! Parse, run, exit.

use std::process::ExitCode;

use clap::Parser;
use kdoctor::cli::Cli;
use kdoctor::commands;

fn main() -> ExitCode {
    // Wrong usage exits with 2, as clap does by itself.
    commands::run(Cli::parse())
}
