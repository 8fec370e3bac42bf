//! What the report for people tells beside the root causes.

use owo_colors::Style;

use super::{Out, bold, dim, of, plain};
use crate::model::{Outcome, Severity, Signal, SignalKind};
use crate::render::view::OpenSignals;
use crate::render::words::plural;

impl Out<'_> {
    /// Signals without a known cause, by their titles alone.
    pub(super) fn open_titles(&mut self) {
        let OpenSignals { shown, more } = self.view.unexplained();
        // Without a root cause the first line names them.
        if shown.is_empty() || self.view.report.roots.is_empty() {
            return;
        }
        let titles: Vec<&str> = shown.iter().map(|s| s.title.as_str()).collect();
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        self.page.blank();
        let lead = self.page.paint("unexplained ", of(Severity::Warning));
        self.page.paragraph(0, &lead, &format!("{}{rest}", titles.join(" · ")), plain());
    }

    /// What no root explains, with the command that shows it and where to look next.
    pub(super) fn unexplained(&mut self) {
        let OpenSignals { shown, more } = self.view.unexplained();
        if shown.is_empty() {
            return;
        }
        self.page.blank();
        self.page.line(0, &[("unexplained", of(Severity::Warning))]);
        for signal in shown {
            self.signal(signal);
        }
        if more > 0 {
            self.page.line(2, &[(&format!("· {more} more with --verbose"), dim())]);
        }
    }

    fn signal(&mut self, signal: &Signal) {
        let since = signal.since.map_or(String::new(), |t| format!(", since {}", t.strftime("%Y-%m-%d %H:%M UTC")));
        let about = match signal.kind {
            SignalKind::Alert | SignalKind::Log => format!(" ({})", signal.subject),
            _ => String::new(),
        };
        self.page.paragraph(2, "· ", &format!("{}{about}{since}", signal.title), plain());
        if !signal.text.is_empty() {
            self.page.paragraph(4, "", &signal.text, dim());
        }
        self.page.command(4, &signal.evidence.reproduce, dim());
        if !signal.next.is_empty() {
            self.page.paragraph(4, "→ ", &signal.next, dim());
        }
    }

    /// What is only worth knowing.
    pub(super) fn notes(&mut self) {
        let notes = self.view.notes();
        if notes.is_empty() {
            return;
        }
        self.page.blank();
        self.page.line(0, &[("worth knowing", bold())]);
        for note in notes {
            self.page.paragraph(2, "· ", &note, plain());
        }
    }

    /// What could not be seen, with the checks that it kept from a verdict.
    pub(super) fn unseen(&mut self) {
        let unseen = self.view.unseen();
        if unseen.is_empty() {
            return;
        }
        self.page.blank();
        self.page.line(0, &[("could not be seen", of(Severity::Warning))]);
        for one in unseen {
            self.page.paragraph(2, "· ", &one.text, plain());
            if !one.checks.is_empty() {
                self.page.paragraph(4, "not evaluated: ", &one.checks, plain());
            }
            if !one.hint.is_empty() {
                self.page.paragraph(4, "→ ", &one.hint, dim());
            }
        }
    }

    /// How every check ended.
    pub(super) fn runs(&mut self) {
        if !self.view.verbose {
            return;
        }
        self.page.blank();
        self.page.line(0, &[("checks", bold())]);
        for run in &self.view.report.runs {
            let (mark, text, style) = match &run.outcome {
                Outcome::Pass => ("✓ ", String::new(), Style::new().green()),
                Outcome::Findings(n) => ("✗ ", format!(": {}", plural(*n, "finding")), of(run.check.severity)),
                Outcome::NotApplicable(why) => ("- ", format!(": does not apply, {why}"), dim()),
                Outcome::NotEvaluated(gap) => ("? ", format!(": {gap}"), of(Severity::Warning)),
                Outcome::Failed(bug) => ("! ", format!(": {bug}"), of(Severity::Error)),
            };
            self.page.paragraph(2, mark, &format!("{}{text}", run.check.id), style);
        }
    }
}
