//! Root causes in the report for people: the overview, and each with its evidence, its victims and its fix.

use owo_colors::Style;

use super::{Out, bold, cyan, dim, of, plain};
use crate::model::{Finding, FixOption, Placeholder, Risk, RootGroup, Step, StepKind};
use crate::render::view::{Brief, First, Rest};
use crate::render::words;

/// Lines of one observation.
const EVIDENCE_LINES: usize = 8;
/// Candidates of a placeholder without `--verbose`.
const CANDIDATES: usize = 6;
/// Steps of one list without `--verbose`.
const STEPS: usize = 20;

impl Out<'_> {
    /// Each root cause in one line, with what to do first. `alone`: no details follow.
    pub(super) fn overview(&mut self, alone: bool) {
        let entries = self.view.entries();
        if entries.is_empty() {
            return;
        }
        self.page.blank();
        if !alone {
            self.page.line(0, &[("what to do first", bold())]);
        }
        for (at, entry) in entries.into_iter().enumerate() {
            if alone && at > 0 {
                self.page.blank();
            }
            let tag = format!("{}[{}]", entry.severity, entry.check);
            let explains = if entry.explains.is_empty() { String::new() } else { format!(" · {}", entry.explains) };
            let number = format!("{}. ", entry.number);
            self.page.tagged(&number, &tag, of(entry.severity), &format!("{}{explains}", entry.what));
            if let Some(first) = entry.first {
                self.first(&first, alone);
            }
        }
        let (_, rest) = self.view.roots();
        if alone {
            self.rest_of_roots(&rest);
        }
    }

    fn first(&mut self, first: &First<'_>, alone: bool) {
        let step = first.step;
        if let Some(option) = first.option {
            self.page.paragraph(3, "", &format!("one way: {}", option.title), dim());
        }
        if let Some(caution) = first.caution {
            self.page.paragraph(3, "", &words::line(caution), dim());
        }
        let warning = first.warning();
        if let Some((risk, what)) = &warning {
            self.page.tagged("   ", &format!("[{}]", risk.as_str()), risk_style(*risk), what);
        }
        if let Some(purpose) = first.purpose() {
            self.page.paragraph(3, "", purpose, plain());
        }
        if alone && step.kind.is_shell() {
            self.page.command(3, &step.command, cyan());
            for placeholder in &step.placeholders {
                self.placeholder(3, placeholder);
            }
            return;
        }
        match first.brief() {
            Brief::Command(command, more) => {
                self.page.command(3, command, cyan());
                if more > 0 {
                    let below = if self.is_whole { " below" } else { "" };
                    self.page.line(3, &[(&format!("… and {more} more{below}"), dim())]);
                }
            }
            Brief::Text(_) if warning.is_some() => {}
            Brief::Text(text) => self.page.paragraph(3, "→ ", &text, plain()),
            Brief::Apply(what) => {
                let below = if self.is_whole { " (in full below)" } else { "" };
                self.page.paragraph(3, "→ ", &format!("{what}{below}"), plain());
            }
        }
    }

    /// What is left of many root causes that are alike.
    pub(super) fn rest_of_roots(&mut self, rest: &[Rest]) {
        for of_check in rest {
            self.page.blank();
            let tag = format!("{}[{}]", of_check.severity, of_check.check);
            let text = format!("{} more: {} (--verbose shows all)", of_check.count, of_check.names);
            self.page.tagged("+ ", &tag, of(of_check.severity), &text);
        }
    }

    pub(super) fn root(&mut self, number: usize, group: &RootGroup) {
        let finding = &self.view.report.findings[group.root];
        self.page.blank();
        self.head(number, group);
        self.evidence(finding);
        self.explains(group);
        self.seen_in(number - 1);
        self.changed(finding);
        self.fix(group);
    }

    /// What is wrong, and what must be right before.
    pub(super) fn head(&mut self, number: usize, group: &RootGroup) {
        let report = self.view.report;
        let finding = &report.findings[group.root];
        self.headline(&format!("{number}. "), finding);
        let message = format!("{}{}", finding.message, self.view.accepted(finding));
        self.page.paragraph(3, "", &message, plain());
        for need in &group.prerequisites {
            let need = &report.findings[*need];
            self.page.paragraph(3, "first needed: ", &format!("{} ({})", need.message, need.check), plain());
        }
    }

    /// What was changed shortly before.
    pub(super) fn changed(&mut self, finding: &Finding) {
        if finding.changes.is_empty() {
            return;
        }
        self.page.blank();
        self.page.line(3, &[("changed shortly before", bold()), (", which need not be why", dim())]);
        for change in &finding.changes {
            self.page.paragraph(5, "· ", &change.text, plain());
            if !change.evidence.reproduce.is_empty() {
                self.page.command(7, &change.evidence.reproduce, dim());
            }
        }
    }

    pub(super) fn headline(&mut self, number: &str, finding: &Finding) {
        let tag = format!("{}[{}]", finding.severity, finding.check);
        let shown = self.view.names(&finding.subjects);
        self.page.line(0, &[(number, bold()), (&tag, of(finding.severity))]);
        self.page.paragraph(3, "", &shown, bold());
    }

    pub(super) fn evidence(&mut self, finding: &Finding) {
        let (seen, more) = self.view.evidence(finding);
        if seen.is_empty() {
            return;
        }
        self.page.blank();
        self.page.line(3, &[("why", bold())]);
        for one in seen {
            self.page.paragraph(5, "· ", one.source, plain());
            self.page.verbatim(7, &one.value, plain(), EVIDENCE_LINES);
            self.page.command(7, one.reproduce, dim());
        }
        if more > 0 {
            self.page.line(5, &[(&format!("· {more} more with --verbose"), dim())]);
        }
        if let Some(without) = self.view.judged_without(finding) {
            self.page.paragraph(5, "· ", &without, dim());
        }
    }

    fn explains(&mut self, group: &RootGroup) {
        let Some(explained) = self.view.explained(group) else { return };
        self.page.blank();
        let explains = self.page.paint("explains ", bold());
        self.page.paragraph(3, &explains, &explained.counts, plain());
        for (check, names) in explained.by_check {
            self.page.paragraph(5, &format!("{check}: "), &names, dim());
        }
    }

    pub(super) fn seen_in(&mut self, root: usize) {
        let titles = self.view.seen_in(root);
        if titles.is_empty() {
            return;
        }
        self.page.blank();
        let seen = self.page.paint("seen in ", bold());
        self.page.paragraph(3, &seen, &titles, plain());
    }

    /// The fix of a root. What must be right before comes first, as part of it.
    pub(super) fn fix(&mut self, group: &RootGroup) {
        let report = self.view.report;
        let fixes = report.fixes(group);
        let own = &report.findings[group.root].remediation;
        self.page.blank();
        self.page.paragraph(3, "", &format!("fix: {}", own.title), bold());
        let mut number = 0;
        for fix in &fixes {
            number = self.steps(5, number, &fix.steps);
            self.options(&fix.options, number > 0);
        }
        self.list("verify", &self.view.report.verification(group));
        self.list("undo", &own.rollback.iter().collect::<Vec<_>>());
    }

    /// Steps with numbers; gives the last one.
    fn steps(&mut self, indent: usize, before: usize, steps: &[Step]) -> usize {
        let max = if self.view.verbose { steps.len() } else { STEPS };
        for (at, step) in steps.iter().take(max).enumerate() {
            self.step(indent, &format!("{}. ", before + at + 1), step);
        }
        self.more_steps(indent, steps.len().saturating_sub(max));
        before + steps.len()
    }

    fn more_steps(&mut self, indent: usize, more: usize) {
        if more > 0 {
            self.page.line(indent, &[(&format!("· {more} more steps with --verbose"), dim())]);
        }
    }

    /// Ways to choose from, by letters; each has its own numbers.
    fn options(&mut self, options: &[FixOption], after: bool) {
        if options.is_empty() {
            return;
        }
        let lead = if after { "then one of these:" } else { "one of these:" };
        self.page.paragraph(5, "", lead, plain());
        for (letter, option) in ('a'..='z').zip(options) {
            self.page.paragraph(5, &format!("{letter}) "), &option.title, bold());
            self.steps(8, 0, &option.steps);
        }
    }

    fn list(&mut self, title: &str, steps: &[&Step]) {
        if steps.is_empty() {
            return;
        }
        self.page.blank();
        self.page.line(3, &[(title, bold())]);
        let max = if self.view.verbose { steps.len() } else { STEPS };
        for step in steps.iter().take(max) {
            self.step(5, "· ", step);
        }
        self.more_steps(5, steps.len().saturating_sub(max));
    }

    fn step(&mut self, indent: usize, mark: &str, step: &Step) {
        let risk = if step.risk == Risk::ReadOnly { String::new() } else { format!("[{}] ", step.risk.as_str()) };
        self.page.paragraph(indent, mark, &format!("{risk}{}", step.text), risk_style(step.risk));
        let indent = indent + textwrap::core::display_width(mark);
        match step.kind {
            StepKind::Note => {}
            StepKind::Edit => self.page.excerpt(indent, &step.command, cyan()),
            StepKind::Command | StepKind::Manifest => self.page.command(indent, &step.command, cyan()),
        }
        for placeholder in &step.placeholders {
            self.placeholder(indent, placeholder);
        }
    }

    /// What may stand in the place of `<name>`, where that is known.
    fn placeholder(&mut self, indent: usize, placeholder: &Placeholder) {
        let mark = format!("<{}>: ", placeholder.name);
        match (placeholder.candidates.as_slice(), placeholder.how.as_str()) {
            ([], "") => {}
            ([], how) => self.page.paragraph(indent, &mark, how, dim()),
            (candidates, _) => {
                let max = if self.view.verbose { candidates.len() } else { CANDIDATES };
                self.page.paragraph(indent, &mark, &format!("one of {}", words::few(candidates, max)), dim());
            }
        }
    }
}

pub(super) fn risk_style(risk: Risk) -> Style {
    match risk {
        Risk::ReadOnly | Risk::Change => plain(),
        Risk::Disruptive => Style::new().yellow(),
        Risk::Destructive => Style::new().red().bold(),
    }
}
