//! Parse, run, exit.

use std::process::ExitCode;

use kdoctor::{cli, commands};

fn main() -> ExitCode {
    match cli::parse() {
        Ok(cli) => commands::run(cli),
        Err(wrong) => commands::refuse(&wrong),
    }
}
