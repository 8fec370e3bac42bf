//! Why a program of the stack ended, by what its log says last. Text in, class and details out.

mod agents;
mod alertmanager;
mod cache;
mod certificate;
mod class;
mod cloud;
mod common;
mod config;
mod flags;
mod gpu;
mod grafana;
mod known;
mod last;
mod loki;
mod metadata;
mod nginx;
mod node_kernel;
mod operator;
mod panic;
mod processes;
mod prometheus;
mod reason;
mod store_start;
mod thanos;
mod unreached;
mod working;

use crate::domain::text::log_line::{Level, Line};
use crate::model::Program;
pub(crate) use class::{Class, Crash, Detail};
pub(crate) use flags::usage_of;
pub(crate) use grafana::provisioned;
use last::{is_consequence, last_loud_lines, said};
pub(crate) use last::{is_usage, last_lines, telling};
pub(crate) use unreached::{name_backend, name_service};
pub(crate) use working::still_at;

/// Lines from the end that are looked at: older ones are not about the end.
const LAST: usize = 400;

/// Why a program ended, by its last log. `None` where the log does not say.
pub(crate) fn classify(program: Option<Program>, text: &str) -> Option<Crash> {
    if let Some(crash) = of_several_lines(program, text) {
        return Some(crash);
    }
    let lines: Vec<Line<'_>> =
        text.lines().filter(|l| !l.trim().is_empty()).map(Line::parse).filter(|l| l.level != Level::Info).collect();
    let lines = &lines[lines.len().saturating_sub(LAST)..];
    let read = |line: &Line<'_>| {
        let found = match program {
            Some(Program::Prometheus) => prometheus::read(line),
            Some(Program::Alertmanager) => alertmanager::read(line),
            Some(Program::Grafana) => grafana::read(line),
            None => operator::read(line),
        };
        // What a warning or another program says of disks and ports did not end this one.
        let own = line.level != Level::Warning && !line.is_of_others();
        let crash = found.or_else(|| flags::read(line)).or_else(|| common::read(line).filter(|_| own))?;
        Some(Crash { said: said(line), ..crash })
    };
    // What is said last ended it; a panic itself before what led to it.
    let is_panic = |l: &Line<'_>| l.raw.starts_with("panic:") || l.raw.starts_with("fatal error:");
    let panic = lines.iter().rposition(is_panic).unwrap_or(lines.len());
    let last = lines[panic..].iter().find_map(read).or_else(|| lines.iter().rev().find_map(read));
    let Some(last) = last else {
        // A file that a warning speaks of was done without.
        let own: Vec<&str> = lines.iter().filter(|l| l.level != Level::Warning).map(|l| l.raw).collect();
        let of_config = || program.is_none().then(|| config::read(&own.join("\n"))).flatten();
        return needed(lines)
            .or_else(|| cloud::read(text))
            .or_else(|| cache::read(text))
            .or_else(of_config)
            .or_else(|| panic::read(text));
    };
    if last.class != Class::Rules {
        return Some(last);
    }
    // Of several complaints about one file, the first leads to the others.
    let same = |c: &Crash| c.class == last.class && c.file == last.file;
    lines.iter().find_map(|line| read(line).filter(same)).or(Some(last))
}

/// What a line says that a program cannot do which goes on: use its volume, or reach and trust what it needs.
pub(crate) fn of_line(line: &Line<'_>) -> Option<Crash> {
    let own = |c: &Crash| matches!(c.class, Class::DiskFull | Class::ReadOnly | Class::Permission);
    let found = common::read(line).filter(own).or_else(|| certificate::read(line)).or_else(|| unreached::read(line))?;
    Some(Crash { said: said(line), ..found })
}

/// What it needed and did not reach, by its last words: what failed on the way did not end it.
fn needed(lines: &[Line<'_>]) -> Option<Crash> {
    let telling = lines.iter().rev().filter(|l| !is_consequence(l.raw)).take(2);
    let read = |line: &Line<'_>| certificate::read(line).or_else(|| unreached::read(line));
    telling.into_iter().find_map(|line| Some(Crash { said: said(line), ..read(line)? }))
}

/// What the exit code of a program says, where its log does not.
pub(crate) fn by_exit_code(text: &str, code: i32) -> Option<Crash> {
    unreached::curl(text, code).or_else(|| panic::by_signal(text, code))
}

/// What only several lines together say.
fn of_several_lines(program: Option<Program>, text: &str) -> Option<Crash> {
    if let Some(crash) = processes::read(text).or_else(|| node_kernel::read(text)) {
        return Some(crash);
    }
    let crash = match program {
        Some(Program::Prometheus) => prometheus::bus_error(text).or_else(|| prometheus::agent_feature(text)),
        None => loki::read(text)
            .or_else(|| agents::read(text))
            .or_else(|| config::mysql(text))
            .or_else(|| nginx::read(text))
            .or_else(|| store_start::read(text))
            .or_else(|| thanos::read(text))
            .or_else(|| metadata::read(text))
            .or_else(|| gpu::read(text))
            .or_else(|| unreached::driver(text))
            .or_else(|| operator::without_server(text))
            .or_else(|| operator::lost_lease(text)),
        Some(_) => None,
    }?;
    let said = match crash.said.is_empty() {
        true => last_lines(text).join("\n"),
        false => crash.said.clone(),
    };
    Some(Crash { said, ..crash })
}

#[cfg(test)]
mod tests;
