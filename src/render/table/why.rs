//! The chain of one thing for people: each link with its sign, and the fix of the root.

use owo_colors::Style;

use super::{Out, TableOptions, bold, dim, of, plain};
use crate::model::{Chain, Link, LinkState, Report, Severity};
use crate::render::layout::Page;
use crate::render::view::{Verdict, View, mark, verdict_of};
use crate::render::words;

/// Columns of a message in the chain.
const BECAUSE: usize = 120;
/// Findings that are told beside the chain without `--verbose`.
const BESIDE: usize = 4;

/// The chain as text.
pub fn why(report: &Report, chain: &Chain, options: &TableOptions) -> String {
    let view = View { report, verbose: options.verbose };
    let mut out = Out { page: Page::new(options.color, options.width), view, is_whole: false };
    out.chain_verdict(chain);
    out.links(chain);
    out.chain_roots(chain);
    out.beside(chain);
    out.page.finish()
}

fn style(state: LinkState) -> Style {
    match state {
        LinkState::Right => Style::new().green(),
        LinkState::Broken => of(Severity::Error),
        LinkState::Unseen => of(Severity::Warning),
        LinkState::Idle => dim(),
    }
}

impl Out<'_> {
    fn chain_verdict(&mut self, chain: &Chain) {
        let Verdict { mark, text, level } = verdict_of(self.view.report, chain);
        let style = level.map_or_else(|| Style::new().green().bold(), of);
        self.page.paragraph(0, &format!("{mark} "), &text, style);
        if !chain.note.is_empty() {
            self.page.paragraph(2, "", &chain.note, plain());
        }
        self.page.paragraph(2, "", &self.view.place().join(" · "), dim());
    }

    fn links(&mut self, chain: &Chain) {
        self.page.blank();
        let width = chain.links.iter().map(|l| l.title.chars().count()).max().unwrap_or(0);
        for link in &chain.links {
            self.chain_link(chain, link, width);
        }
    }

    fn chain_link(&mut self, chain: &Chain, link: &Link, width: usize) {
        let own = style(link.state);
        let sign = format!("{} ", mark(link.state));
        let title = format!("{:width$}  ", link.title);
        let indent = 2 + 2 + width + 2;
        let named = if link.state == LinkState::Idle { dim() } else { bold() };
        let text = match (&link.gap, link.text.as_str()) {
            (Some(gap), "") => format!("not seen: {gap}"),
            (_, text) => words::line(text),
        };
        let told = if link.state == LinkState::Idle { dim() } else { plain() };
        self.page.row(2, &[(&sign, own), (&title, named)], &text, told);
        if let Some(gap) = &link.gap {
            if !link.text.is_empty() {
                self.page.paragraph(indent, "", &format!("not seen: {gap}"), dim());
            }
            if !gap.hint.is_empty() {
                self.page.paragraph(indent, "→ ", &gap.hint, dim());
            }
        }
        self.because(chain, link, indent);
        let is_explained = chain.links.iter().take_while(|l| *l != link).any(|l| !l.findings.is_empty());
        let sight_ends = link.state == LinkState::Unseen
            || (link.state == LinkState::Broken && link.findings.is_empty() && !is_explained);
        if let Some(evidence) = link.evidence.as_ref().filter(|_| sight_ends || self.view.verbose) {
            self.page.command(indent, &evidence.reproduce, dim());
        }
    }

    /// What is known of a break, up to the root.
    fn because(&mut self, chain: &Chain, link: &Link, indent: usize) {
        let report = self.view.report;
        for at in &link.findings {
            let finding = &report.findings[*at];
            let root = chain.roots.iter().position(|r| report.roots[*r].root == *at);
            let is_root = root.map_or(String::new(), |n| match chain.roots.len() {
                1 => " (the root cause)".to_owned(),
                _ => format!(" (root cause {})", n + 1),
            });
            // What the link says already is not said again, and the root is told below.
            let is_said = finding.message.contains(&link.text);
            let said = if is_said { String::new() } else { format!(": {}", words::within(&finding.message, BECAUSE)) };
            let lead = format!("{}← ", " ".repeat(indent));
            let tag = finding.check.to_string();
            let tag = if is_said { tag } else { format!("{tag}:") };
            let text = format!("{}{is_root}", said.trim_start_matches(": "));
            self.page.tagged(&lead, &tag, of(finding.severity), text.trim_start());
        }
    }

    fn chain_roots(&mut self, chain: &Chain) {
        let report = self.view.report;
        for (number, at) in chain.roots.iter().enumerate() {
            let group = &report.roots[*at];
            if self.view.verbose {
                self.root(number + 1, group);
                continue;
            }
            let finding = &report.findings[group.root];
            self.page.blank();
            self.headline(&format!("{}. ", number + 1), finding);
            self.page.paragraph(3, "", &finding.message, plain());
            for need in &group.prerequisites {
                let need = &report.findings[*need];
                self.page.paragraph(3, "first needed: ", &format!("{} ({})", need.message, need.check), plain());
            }
            self.fix(group);
        }
    }

    fn beside(&mut self, chain: &Chain) {
        if chain.beside.is_empty() {
            return;
        }
        self.page.blank();
        self.page.line(0, &[("also found about it", bold()), (" (kdoctor monitoring has the fix)", dim())]);
        let shown = if self.view.verbose { chain.beside.len() } else { BESIDE };
        for at in chain.beside.iter().take(shown) {
            let finding = &self.view.report.findings[*at];
            let tag = format!("{}:", finding.check);
            self.page.tagged("  · ", &tag, of(finding.severity), &words::line(&finding.message));
        }
        let more = chain.beside.len().saturating_sub(shown);
        if more > 0 {
            self.page.line(2, &[(&format!("· {more} more with --verbose"), dim())]);
        }
    }
}
