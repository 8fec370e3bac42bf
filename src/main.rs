//! Parse, run, exit.

use std::process::ExitCode;

use kdoctor::{cli, commands};

fn main() -> ExitCode {
    if let Some(code) = commands::start() {
        return code;
    }
    match cli::parse() {
        Ok((cli, matches)) => commands::run(cli, &matches),
        Err(wrong) => {
            let arguments: Vec<String> = std::env::args_os().map(|a| a.to_string_lossy().into_owned()).collect();
            commands::refuse(&wrong, &arguments)
        }
    }
}
