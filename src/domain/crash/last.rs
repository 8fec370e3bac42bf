//! The last lines of a log: which of them tell why it ended.

use crate::domain::kubernetes::starting::says_failure;
use crate::domain::text::log_line::{Level, Line};
use crate::domain::text::redact::redact;
use crate::domain::text::shorten::shorten;
use crate::domain::text::stack;
use crate::text::pattern::pattern;

/// Lines of a log that are shown where its reason is not known.
const SHOWN: usize = 5;

/// Lines that only say that something else failed.
const CONSEQUENCES: &[&str] = &[
    // Fluent Bit
    "[lib] backend failed",
    "input initialization failed",
    "output initialization failed",
    "filter initialization failed",
    "failed initialize input",
    "failed initialize output",
    "failed to initialize filter",
    "could not load multiline parsers",
    "configuration file contains errors",
    "because it depends on",
    "failed services",
    "error running ",
    "context canceled",
    "shutting down",
    "Shutting down",
    "exiting",
    "gracefully",
    "stopped",
    "server closed",
    "run finished with error",
    "could not perform the initial load",
    "command failed",
    // Fluentd
    "exited unexpectedly with status",
    "finished unexpectedly with status",
    // Elasticsearch
    "did not exit normally",
];

/// What Fluent Bit and Fluentd write for information.
fn is_calm(line: &str) -> bool {
    pattern!(r"^\[?\d{4}[-/]\d\d[-/]\d\d [\d:. +-]{8,24}\]? \[ ?(?:info|debug|trace|help)\]").is_match(line)
}

pub(crate) fn is_consequence(line: &str) -> bool {
    CONSEQUENCES.iter().any(|c| line.contains(c))
}

/// The line that tells most of a few last ones: what only says that something else failed comes second.
pub(crate) fn telling(lines: &[String]) -> Option<String> {
    let told = |l: &&String| !is_consequence(l) && !stack::is_frame(l);
    let last = lines.iter().rev().find(told).or(lines.last())?;
    // A warning ends nothing where an error stands before it, or what failed in plain words.
    let level = |l: &&String| Line::parse(l).level;
    let error = || lines.iter().rev().find(|l| told(l) && level(l) == Level::Error);
    let plain = || lines.iter().rev().find(|l| told(l) && level(l) == Level::Unknown && says_failure(l));
    let line = if level(&last) == Level::Warning { error().or_else(plain).unwrap_or(last) } else { last };
    // What is written in fields is told without them where a stack would be part of it.
    let parsed = Line::parse(line);
    let line = match line.contains("\\n\\t/") && !parsed.err.is_empty() {
        true => stack::without(&parsed.text()).to_owned(),
        false => line.clone(),
    };
    // Go prints whole structures into errors: what failed stands behind the last of them.
    let short = match line.rsplit_once("} failed: ").or_else(|| line.rsplit_once("}} failed: ")) {
        Some((_, innermost)) if line.contains("&{") => innermost,
        _ => line.as_str(),
    };
    Some(shorten(short, 300))
}

/// The line as evidence, without what is secret.
pub(crate) fn said(line: &Line<'_>) -> String {
    redact(&stack::without_field(line.raw))
}

/// A log that ends in what the program prints of how it is used: what stands before that, and the usage.
fn usage_apart(text: &str) -> Option<(&str, &str)> {
    let at = pattern!(r"(?m)^(?:Usage of \S+:|[Uu]sage: ?\S*.*)$").find_iter(text).last()?.start();
    let (said, usage) = text.split_at(at);
    let is_part = |line: &str| {
        let plain = line.trim_end();
        plain.starts_with([' ', '\t', '-']) || plain.ends_with(':') || plain.starts_with("Use \"")
    };
    let rest: Vec<&str> = usage.lines().skip(1).filter(|line| !line.trim().is_empty()).collect();
    (!rest.is_empty() && rest.into_iter().all(is_part)).then_some((said, usage))
}

/// The log holds nothing but how the program is used.
pub(crate) fn is_usage(text: &str) -> bool {
    usage_apart(text).is_some_and(|(said, _)| said.trim().is_empty())
}

/// The last lines of a log that mean something, for a reader.
pub(crate) fn last_lines(text: &str) -> Vec<String> {
    last_told(text, true)
}

/// The same, without the warnings that stand behind all else: what a program only warned of did not end it.
pub(super) fn last_loud_lines(text: &str) -> Vec<String> {
    last_told(text, false)
}

fn last_told(text: &str, warned: bool) -> Vec<String> {
    // The stack of a panic says nothing to those who run the program.
    let before = text.find("\ngoroutine ").map_or(text, |at| &text[..at]);
    // Nor does what it prints of its arguments, where it says something before.
    let (before, _) = usage_apart(before).filter(|(said, _)| !said.trim().is_empty()).unwrap_or((before, ""));
    let told = stack::apart(before).into_iter().filter(|l| !l.trim().is_empty() && !stack::is_frame(l));
    let lines: Vec<Line<'_>> = told.map(Line::parse).collect();
    let is_loud = |l: &&Line<'_>| matches!(l.level, Level::Error | Level::Unknown) && !is_calm(l.raw);
    let mut loud: Vec<&Line<'_>> = lines.iter().filter(is_loud).collect();
    // A banner at its start says nothing of its end: what it did last says more.
    let is_calm_last = lines.last().is_some_and(|l| l.level == Level::Info || is_calm(l.raw));
    if is_calm_last && !loud.iter().any(|l| l.level == Level::Error || says_failure(l.raw)) {
        loud.clear();
    }
    if loud.is_empty() {
        loud.extend(&lines);
    } else if warned {
        loud.extend(last_warnings(&lines[lines.iter().rposition(|l| is_loud(&l)).map_or(0, |at| at + 1)..]));
    }
    loud[loud.len().saturating_sub(SHOWN)..].iter().map(|l| said(l)).collect()
}

/// The last different warnings of something that failed: so few that an error before them is still shown.
fn last_warnings<'a, 'b>(after: &'b [Line<'a>]) -> Vec<&'b Line<'a>> {
    const KEPT: usize = 2;
    let mut kept: Vec<&Line<'_>> = Vec::new();
    for line in after.iter().rev().filter(|l| l.level == Level::Warning && says_failure(&l.text())) {
        if kept.len() < KEPT && kept.iter().all(|k| k.text() != line.text()) {
            kept.push(line);
        }
    }
    kept.reverse();
    kept
}
