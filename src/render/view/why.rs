//! How a chain stands, in one line.

use super::Verdict;
use crate::model::{Chain, LinkState, Report, Severity};
use crate::render::words::{counted, plural};

/// The sign of a link.
pub(in crate::render) fn mark(state: LinkState) -> &'static str {
    match state {
        LinkState::Right => "✓",
        LinkState::Broken => "✗",
        LinkState::Unseen => "?",
        LinkState::Idle => "·",
    }
}

/// The first line.
pub(in crate::render) fn verdict_of(report: &Report, chain: &Chain) -> Verdict {
    let (unseen, idle) = (chain.count(LinkState::Unseen), chain.count(LinkState::Idle));
    let of_links = plural(chain.links.len(), "link");
    let (mark, text, level) = match chain.broken() {
        Some(link) => {
            let checks: Vec<String> =
                chain.roots.iter().map(|at| report.findings[report.roots[*at].root].check.to_string()).collect();
            let cause = match checks.len() {
                0 => "no known root cause".to_owned(),
                n => format!("{}: {}", plural(n, "root cause"), counted(&checks)),
            };
            ("✗", format!("broken at {:?}; {cause}", link.title).replace('"', ""), Some(Severity::Error))
        }
        None if unseen > 0 => {
            let text = format!("nothing broken in what could be seen; {unseen} of {of_links} could not be");
            ("?", text, Some(Severity::Warning))
        }
        None if idle > 0 => ("✓", format!("no link is broken; {idle} of {of_links} do not count now"), None),
        None => ("✓", format!("all {of_links} are right"), None),
    };
    Verdict { mark, text: format!("{}: {text}", chain.what), level }
}
