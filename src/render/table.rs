//! The report for people: the verdict, each root cause with its fix, what could not be seen, the count.

mod changes;
mod pieces;
mod rest;
mod roots;
mod why;

pub use why::why;

pub(super) use changes::heading;
pub use changes::{changes_text, severity};
use owo_colors::Style;

pub use pieces::Pieces;

use super::layout::Page;
use super::view::{Verdict, View};
use crate::model::{Report, Severity};
use crate::term::Printer;

/// How to print.
#[derive(Debug, Clone)]
pub struct TableOptions {
    color: bool,
    width: Option<usize>,
    verbose: bool,
    short: bool,
}

impl TableOptions {
    /// As the printer's stdout wants it.
    pub fn new(printer: &Printer, verbose: bool) -> Self {
        Self { color: printer.color, width: printer.width, verbose, short: false }
    }

    /// The overview alone.
    #[must_use]
    pub fn short(mut self, short: bool) -> Self {
        self.short = short;
        self
    }
}

/// The report as text.
pub fn table(report: &Report, options: &TableOptions) -> String {
    let view = View { report, verbose: options.verbose };
    let mut out = Out { page: Page::new(options.color, options.width), view, is_whole: true };
    out.verdict();
    if options.short {
        out.overview(true);
        out.open_titles();
        return out.page.finish();
    }
    if report.roots.len() > 1 {
        out.overview(false);
    }
    let (told, rest) = view.roots();
    for (number, group) in told {
        out.root(number, group);
    }
    out.rest_of_roots(&rest);
    out.unexplained();
    out.notes();
    out.unseen();
    out.runs();
    out.page.blank();
    out.page.paragraph(0, "", &view.counts(), dim());
    out.page.finish()
}

struct Out<'a> {
    page: Page,
    view: View<'a>,
    /// The details follow the overview.
    is_whole: bool,
}

pub(crate) fn plain() -> Style {
    Style::new()
}

pub(crate) fn dim() -> Style {
    Style::new().dimmed()
}

pub(crate) fn bold() -> Style {
    Style::new().bold()
}

pub(crate) fn cyan() -> Style {
    Style::new().cyan()
}

pub(super) fn of(severity: Severity) -> Style {
    match severity {
        Severity::Error => Style::new().red().bold(),
        Severity::Warning => Style::new().yellow().bold(),
        Severity::Info => Style::new().blue().bold(),
    }
}

impl Out<'_> {
    fn verdict(&mut self) {
        let Verdict { mark, text, level } = self.view.verdict();
        let style = level.map_or_else(|| Style::new().green().bold(), of);
        self.page.paragraph(0, &format!("{mark} "), &text, style);
        self.page.paragraph(2, "", &self.view.place().join(" · "), dim());
    }
}
