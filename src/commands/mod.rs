//! The subcommands, one file each.

mod access;
mod baseline;
mod capture;
mod complete;
mod connect;
mod explain;
mod fix;
mod last;
mod list;
mod look;
mod monitoring;
mod output;
mod past;
mod permissions;
mod preflight;
mod run;
mod settings;
mod start;
mod transcript;
mod watch;
mod why;

use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{ArgMatches, CommandFactory};

use crate::cli::{self, Cli, Command};
use crate::term::{Printer, interrupt, sanitize_lines};
use crate::text::redact::mask;

/// kdoctor could not do its job: usage, no cluster, an unreadable bundle.
const UNABLE: u8 = 2;

/// Runs a command and turns its result into an exit code.
pub fn run(mut cli: Cli, matches: &ArgMatches) -> ExitCode {
    interrupt::watch();
    let printer = Printer::detect(cli.no_color, false);
    let is_json = cli.is_json();
    let settled = settings::settle(&mut cli, matches, &printer);
    match settled.and_then(|()| obey(cli.command, &printer)) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let text = format!("{error:#}");
            fail(&text, is_json, &printer);
            printer.stderr(&format!("kdoctor: {}", sanitize_lines(&text)));
            ExitCode::from(UNABLE)
        }
    }
}

fn obey(command: Command, printer: &Printer) -> anyhow::Result<u8> {
    match command {
        Command::Monitoring(args) => monitoring::run(&args, printer),
        Command::Fix(args) => fix::run(&args, printer),
        Command::Connect(args) => connect::run(&args, printer),
        Command::Watch(args) => watch::run(&args, printer),
        Command::Preflight(args) => preflight::run(&args, printer),
        Command::Capture(args) => capture::run(&args, printer),
        Command::Why(args) => why::run(&args, printer),
        Command::Baseline(cli::Baseline::Write(args)) => baseline::write(&args, printer),
        Command::Diff(args) => past::diff(&args, printer),
        Command::List(args) => list::run(&args, printer),
        Command::Explain(args) => explain::run(&args, printer),
        Command::Access(args) => access::run(&args, printer),
        Command::Permissions(args) => permissions::run(&args, printer),
        Command::Transcript(args) => transcript::run(&args, printer),
        Command::Completions { shell } => completions(shell, printer),
        Command::Man { folder } => man(&folder, printer),
        Command::Complete { words } => complete::run(&words, printer),
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
    if is_json && let Ok(document) = crate::render::json_failure(&mask(text)) {
        // Whoever cannot be written to is told what is wrong on the other stream.
        let _ = printer.stdout(&document);
    }
}

/// What `kdoctor` alone shows at a terminal; `None` elsewhere, where it is wrong usage.
pub fn start() -> Option<ExitCode> {
    let is_alone = std::env::args_os().len() == 1;
    if !is_alone || !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return None;
    }
    interrupt::watch();
    let printer = Printer::detect(false, false);
    match start::run(&cli::program(), &printer) {
        Ok(code) => Some(ExitCode::from(code)),
        Err(error) => {
            printer.stderr(&format!("kdoctor: {error:#}"));
            Some(ExitCode::from(UNABLE))
        }
    }
}

fn completions(shell: clap_complete::Shell, printer: &Printer) -> anyhow::Result<u8> {
    if let Some(script) = complete::script(shell) {
        printer.stdout(script)?;
        return Ok(0);
    }
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "kdoctor", &mut script);
    printer.stdout(&String::from_utf8_lossy(&script))?;
    Ok(0)
}

/// Writes a page for each command into a folder.
fn man(folder: &Path, printer: &Printer) -> anyhow::Result<u8> {
    std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let count = write_pages(&shown(Cli::command()), folder)
        .with_context(|| format!("{} cannot be written to", folder.display()))?;
    printer.stderr(&format!(
        "kdoctor: {count} pages in {}; man -l {}",
        folder.display(),
        folder.join("kdoctor.1").display()
    ));
    Ok(0)
}

/// The command with its subcommands by their full names, without those that are hidden.
fn shown(mut command: clap::Command) -> clap::Command {
    command = command.disable_help_subcommand(true);
    command.build();
    command
}

fn write_pages(command: &clap::Command, folder: &Path) -> std::io::Result<usize> {
    let mut page = Vec::new();
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    clap_mangen::Man::new(command.clone()).title(name.as_str()).render(&mut page)?;
    std::fs::write(folder.join(format!("{name}.1")), page)?;
    let subcommands = command.get_subcommands().filter(|c| !c.is_hide_set());
    subcommands.map(|sub| write_pages(sub, folder)).try_fold(1, |count, below| Ok(count + below?))
}
