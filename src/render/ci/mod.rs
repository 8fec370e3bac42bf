//! The report in the languages of CI systems.

mod annotations;
mod gitlab;
mod junit;
mod sarif;

use std::collections::BTreeSet;

use crate::model::{Finding, Location, Place, Report, Severity};
use crate::term::{sanitize, sanitize_lines};

pub use annotations::github;
pub use gitlab::gitlab;
pub use junit::junit;
pub use sarif::{Rule, sarif};

/// The first place of a finding in a file that was given: path, line and column. What came on standard input has none.
fn in_file(finding: &Finding) -> Option<(&str, &Location)> {
    finding.locations.iter().find_map(|location| match &location.place {
        Place::File(path) if path != "-" => Some((path.trim_start_matches("./"), location)),
        _ => None,
    })
}

/// The findings that nothing else explains, worst first, and those that a root needs to be fixed before.
fn roots(report: &Report) -> impl Iterator<Item = &Finding> {
    let numbers = report.roots.iter().flat_map(|g| g.prerequisites.iter().copied().chain([g.root]));
    // Two roots may need the same first.
    let mut seen = BTreeSet::new();
    let findings = numbers.filter(move |at| seen.insert(*at)).map(|at| &report.findings[at]);
    findings.filter(|f| f.muted.is_none())
}

/// The commands of a fix, one a line, for messages of plain text.
fn commands(finding: &Finding) -> String {
    let fix = &finding.remediation;
    let first = fix.options.first().map(|o| o.steps.as_slice()).unwrap_or_default();
    let steps = fix.steps.iter().chain(first).filter(|s| s.kind.is_shell() && !s.command.is_empty());
    steps.map(|s| s.command.as_str()).collect::<Vec<_>>().join("\n")
}

/// The finding with what mends it, as plain text.
fn told(finding: &Finding) -> String {
    let message = sanitize(&finding.message);
    match (finding.remediation.title.as_str(), sanitize_lines(&commands(finding))) {
        ("", _) => message,
        (title, commands) if commands.is_empty() => format!("{message}\nfix: {title}"),
        (title, commands) => format!("{message}\nfix: {title}\n{commands}"),
    }
}

/// True for a finding at or above the severity that fails the run.
fn fails(finding: &Finding, from: Option<Severity>) -> bool {
    from.is_some_and(|from| finding.severity >= from)
}
