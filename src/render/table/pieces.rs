//! Parts of the report, for somebody who goes through it one by one.

use std::collections::BTreeSet;

use super::{Out, TableOptions, View, dim};
use crate::model::{Finding, Report, RootGroup};
use crate::render::layout::Page;

/// The parts of one report. Roots go by their place in [`Report::roots`]; their number is one more.
pub struct Pieces<'a> {
    report: &'a Report,
    options: &'a TableOptions,
}

impl<'a> Pieces<'a> {
    /// The parts of this report, printed like this.
    pub fn new(report: &'a Report, options: &'a TableOptions) -> Self {
        Self { report, options }
    }

    fn out(&self) -> Out<'a> {
        let view = View { report: self.report, verbose: self.options.verbose };
        Out { page: Page::new(self.options.color, self.options.width), view, is_whole: false }
    }

    fn of(&self, root: usize, print: impl FnOnce(&mut Out<'a>, &'a RootGroup, &'a Finding)) -> String {
        let mut out = self.out();
        if let Some(group) = self.report.roots.get(root) {
            print(&mut out, group, &self.report.findings[group.root]);
        }
        out.page.finish()
    }

    /// The verdict, and each root cause with what to do first.
    pub fn overview(&self) -> String {
        let mut out = self.out();
        out.verdict();
        out.overview(false);
        out.open_titles();
        out.page.finish()
    }

    /// How it stands, in one line.
    pub fn verdict(&self) -> String {
        let mut out = self.out();
        out.verdict();
        out.page.finish()
    }

    /// A root cause in one line.
    pub fn line(&self, root: usize) -> String {
        let entry = self.out().view.entries().into_iter().find(|e| e.number == root + 1);
        match (entry, self.report.roots.get(root)) {
            (Some(entry), _) => format!("{}. {}: {}", entry.number, entry.check, entry.what),
            (None, Some(group)) => {
                let finding = &self.report.findings[group.root];
                format!("{}. {}: {}", root + 1, finding.check, finding.message)
            }
            (None, None) => String::new(),
        }
    }

    /// What is wrong, and what must be right before.
    pub fn head(&self, root: usize) -> String {
        self.of(root, |out, group, _| out.head(root + 1, group))
    }

    /// What was seen of it.
    pub fn evidence(&self, root: usize) -> String {
        self.of(root, |out, _, finding| out.evidence(finding))
    }

    /// What was changed shortly before; empty where nothing was.
    pub fn changes(&self, root: usize) -> String {
        self.of(root, |out, _, finding| out.changed(finding))
    }

    /// From the root to all that it explains, as a tree, and the signals in which it shows.
    pub fn chain(&self, root: usize) -> String {
        self.of(root, |out, group, _| {
            out.page.blank();
            let mut told = BTreeSet::from([group.root]);
            out.link(group.root, "");
            out.below(group, group.root, "", &mut told);
            out.seen_in(root);
        })
    }
}

impl Out<'_> {
    /// A finding on the chain: its check, and what it is about.
    fn link(&mut self, at: usize, before: &str) {
        let finding = &self.view.report.findings[at];
        let names = self.view.names(&finding.subjects);
        self.page.tagged(&format!("   {before}"), finding.check.0, super::of(finding.severity), &names);
    }

    fn below(&mut self, group: &RootGroup, parent: usize, indent: &str, told: &mut BTreeSet<usize>) {
        let links = &self.view.report.links;
        let is_below = |at: &usize| links.get(*at).is_some_and(|link| link.caused_by.contains(&parent));
        let children: Vec<usize> =
            group.explains.iter().copied().filter(is_below).filter(|at| told.insert(*at)).collect();
        for (number, child) in children.iter().enumerate() {
            let is_last = number + 1 == children.len();
            self.link(*child, &format!("{indent}{}", if is_last { "└─ " } else { "├─ " }));
            let deeper = format!("{indent}{}", if is_last { "   " } else { "│  " });
            self.below(group, *child, &deeper, told);
        }
        if parent == group.root {
            let left = group.explains.iter().filter(|at| !told.contains(at)).count();
            if left > 0 {
                self.page.line(3, &[(&format!("and {left} more by other ways"), dim())]);
            }
        }
    }
}
