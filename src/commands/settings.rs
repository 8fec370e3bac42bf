//! Fills in what the command line does not say from `kdoctor.toml`: flags go before variables, variables before the file.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::ArgMatches;
use clap::parser::ValueSource;

use crate::checks;
use crate::cli::{Cli, Parts, Settings, parse_timeout};
use crate::config::{self, Config, Known};
use crate::diagnose::Grades;
use crate::term::{Printer, sanitize};

/// Reads the settings, where the command takes some and there are any.
///
/// # Errors
/// The file is not there, or something in it is wrong.
pub(super) fn settle(cli: &mut Cli, matches: &ArgMatches, printer: &Printer) -> anyhow::Result<()> {
    let (file, none) = (cli.config.clone(), cli.no_config);
    let Some(parts) = cli.command.parts().filter(|_| !none) else { return Ok(()) };
    let Some(path) = file.map_or_else(nearest, |file| Ok(Some(file)))? else { return Ok(()) };
    let ids: Vec<&str> = checks::registry().iter().map(|check| check.meta().id.0).collect();
    let known = Known { checks: &ids, selectors: &checks::selectors(), timeout: parse_timeout };
    let config = match config::load(&path, known) {
        Ok(config) => config,
        Err(wrong) => bail!("{}", wrong.join("\nkdoctor: ")),
    };
    printer.stderr(&format!("kdoctor: settings of {}", sanitize(&path.display().to_string())));
    // Of a command with commands of its own the innermost has the flags.
    let mut of_command = matches.subcommand().map(|(_, of_command)| of_command);
    while let Some((_, inner)) = of_command.and_then(ArgMatches::subcommand) {
        of_command = Some(inner);
    }
    apply(config, parts, |flag| of_command.and_then(|m| m.value_source(flag)) == Some(ValueSource::CommandLine));
    Ok(())
}

/// The nearest file, as a path from here where it lies here.
fn nearest() -> anyhow::Result<Option<PathBuf>> {
    let here = std::env::current_dir().context("the working folder cannot be told (--no-config reads no settings)")?;
    let found = config::find(&here);
    Ok(found.map(|path| path.strip_prefix(&here).map_or_else(|_| path.clone(), ToOwned::to_owned)))
}

/// `given`: a flag stands on the command line.
fn apply(config: Config, parts: Parts<'_>, given: impl Fn(&str) -> bool) {
    let source = parts.source;
    let read_only = config.read_only.unwrap_or(false);
    source.settings = Settings {
        grades: Grades::new(config.severity),
        mutes: config.mutes,
        read_only,
        thresholds: config.thresholds,
    };
    // Of a bundle the file says nothing: that is of whatever cluster it was captured from.
    if parts.asks_cluster {
        fill(&mut source.context, config.context);
        fill(&mut source.cluster_name, config.cluster_name);
        fill(&mut source.region, config.region);
        fill(&mut source.profile, config.profile);
        fill(&mut source.prometheus_url, config.prometheus_url);
        fill(&mut source.alertmanager_url, config.alertmanager_url);
        fill(&mut source.grafana_url, config.grafana_url);
        source.timeout = config.timeout.filter(|_| !given("timeout")).unwrap_or(source.timeout);
        if let Some(scope) = parts.scope
            && scope.namespace.is_none()
            && !scope.all_namespaces
        {
            scope.namespace = config.namespace;
            scope.all_namespaces = config.all_namespaces.unwrap_or(false);
        }
    }
    if let Some(select) = parts.select
        && select.only.is_empty()
        && select.skip.is_empty()
    {
        (select.only, select.skip) = (config.only, config.skip);
    }
    if let Some(result) = parts.result {
        result.fail_on = config.fail_on.filter(|_| !given("fail_on")).unwrap_or(result.fail_on);
        result.strict |= config.strict.unwrap_or(false);
    }
}

fn fill<T>(of_flag: &mut Option<T>, of_file: Option<T>) {
    if of_flag.is_none() {
        *of_flag = of_file;
    }
}
