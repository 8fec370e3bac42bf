//! The chain of one thing as Markdown.

use super::escape::{code, prose, text};
use super::{MarkdownOptions, Out, View};
use crate::model::{Chain, Link, LinkState, Report};
use crate::render::view::{mark, verdict_of};

/// The chain as Markdown.
pub fn why_markdown(report: &Report, chain: &Chain, options: MarkdownOptions) -> String {
    let mut out = Out { text: String::new(), view: View { report, verbose: options.verbose } };
    let verdict = verdict_of(report, chain);
    out.paragraph(&format!("## {} {}", verdict.mark, text(&verdict.text)));
    if !chain.note.is_empty() {
        out.paragraph(&text(&chain.note));
    }
    let place = out.view.place().join(" · ");
    out.paragraph(&text(&place));
    out.text.push('\n');
    for link in &chain.links {
        out.chain_link(link);
    }
    for (number, at) in chain.roots.iter().enumerate() {
        out.root(number + 1, &report.roots[*at]);
    }
    if !chain.beside.is_empty() {
        out.paragraph("### Also found about it");
        out.text.push('\n');
        for at in &chain.beside {
            let finding = &report.findings[*at];
            out.item(&format!("- {}: {}", code(&finding.check.to_string()), prose(&finding.message)));
        }
    }
    out.text
}

impl Out<'_> {
    fn chain_link(&mut self, link: &Link) {
        let said = match (&link.gap, link.text.as_str()) {
            (Some(gap), "") => format!("not seen: {gap}"),
            (Some(gap), said) => format!("{said}; not seen: {gap}"),
            (None, said) => said.to_owned(),
        };
        self.item(&format!("- {} **{}** {}", mark(link.state), text(&link.title), text(&said)));
        for at in &link.findings {
            let finding = &self.view.report.findings[*at];
            self.item(&format!("  - {}: {}", code(&finding.check.to_string()), prose(&finding.message)));
        }
        let sight_ends =
            link.state == LinkState::Unseen || (link.state == LinkState::Broken && link.findings.is_empty());
        let command = link.evidence.as_ref().map(|e| e.reproduce.as_str()).filter(|c| sight_ends && !c.is_empty());
        if let Some(command) = command {
            self.item(&format!("  - {}", code(command)));
        }
    }
}
