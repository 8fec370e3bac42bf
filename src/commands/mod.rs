//! The subcommands, one file each.

mod access;
mod explain;
mod fix;
mod list;
mod monitoring;
mod output;
mod past;
mod permissions;
mod preflight;
mod run;
mod transcript;

use std::process::ExitCode;

use clap::CommandFactory;

use crate::cli::{Cli, Command};
use crate::term::{Printer, interrupt, sanitize_lines};
use crate::text::redact::mask;

/// kdoctor could not do its job: usage, no cluster, an unreadable bundle.
const UNABLE: u8 = 2;

/// Runs a command and turns its result into an exit code.
pub fn run(cli: Cli) -> ExitCode {
    interrupt::watch();
    let printer = Printer::detect(cli.no_color, false);
    let is_json = cli.is_json();
    let result = match cli.command {
        Command::Monitoring(args) => monitoring::run(&args, &printer),
        Command::Fix(args) => fix::run(&args, &printer),
        Command::Preflight(args) => preflight::run(&args, &printer),
        Command::Diff(args) => past::diff(&args, &printer),
        Command::List(args) => list::run(&args, &printer),
        Command::Explain(args) => explain::run(&args, &printer),
        Command::Access(args) => access::run(&args, &printer),
        Command::Permissions(args) => permissions::run(&args, &printer),
        Command::Transcript(args) => transcript::run(&args, &printer),
        Command::Completions { shell } => completions(shell, &printer),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let text = format!("{error:#}");
            fail(&text, is_json, &printer);
            printer.stderr(&format!("kdoctor: {}", sanitize_lines(&text)));
            ExitCode::from(UNABLE)
        }
    }
}

/// Says what is wrong with the command line; asked for help, gives it. Values are repeated without their secrets.
pub fn refuse(error: &clap::Error, arguments: &[String]) -> ExitCode {
    let text = error.render().to_string();
    let printer = Printer::detect(true, true);
    if error.use_stderr() {
        fail(text.trim_start_matches("error: "), Cli::ask_for_json(arguments), &printer);
    }
    if !error.use_stderr() || mask(&text) == text {
        // As clap does it, with colours. Wrong usage exits with 2.
        error.exit();
    }
    printer.stderr(text.trim_end());
    ExitCode::from(UNABLE)
}

/// A program that reads JSON gets JSON also where there is no report.
fn fail(text: &str, is_json: bool, printer: &Printer) {
    if is_json
        && let Ok(document) = crate::render::json_failure(&mask(text))
        && let Err(error) = printer.stdout(&document)
    {
        printer.stderr(&format!("kdoctor: {error}"));
    }
}

fn completions(shell: clap_complete::Shell, printer: &Printer) -> anyhow::Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "kdoctor", &mut script);
    printer.stdout(&String::from_utf8_lossy(&script))?;
    Ok(0)
}
