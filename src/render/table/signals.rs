//! Signals in the report for people: those that a root explains, and those that nothing explains.

use super::{Out, bold, dim, of, plain, plural};
use crate::model::{Severity, Signal, SignalKind, Weight};

/// Signals that are shown without `--verbose`.
const SHOWN: usize = 10;
/// Signals beneath a root without `--verbose`.
const BENEATH: usize = 6;
/// Signals in the first line.
const NAMED: usize = 3;

impl Out<'_> {
    /// What is wrong and unexplained.
    pub(super) fn open(&self) -> Vec<&Signal> {
        self.report.signals.iter().filter(|s| s.is_open()).collect()
    }

    /// `no known cause for 2 signals: alert X, 14 errors in the log of prometheus-0`.
    pub(super) fn no_cause(&self) -> String {
        let open = self.open();
        let names: Vec<&str> = open.iter().take(NAMED).map(|s| s.title.as_str()).collect();
        let more = open.len().saturating_sub(NAMED);
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("no known cause for {}: {}{rest}", plural(open.len(), "signal"), names.join(", "))
    }

    /// The signals that a root explains: they show that it is the right one.
    pub(super) fn seen_in(&mut self, root: usize) {
        let signals = self.report.signals.iter();
        let mut titles: Vec<&str> = Vec::new();
        for signal in signals.filter(|s| s.explained_by == Some(root) && s.weight > Weight::Nothing) {
            if !titles.contains(&signal.title.as_str()) {
                titles.push(&signal.title);
            }
        }
        if titles.is_empty() {
            return;
        }
        let max = if self.verbose { usize::MAX } else { BENEATH };
        let more = titles.len().saturating_sub(max);
        titles.truncate(max);
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        self.page.blank();
        let seen = self.page.paint("seen in ", bold());
        self.page.paragraph(3, &seen, &format!("{}{rest}", titles.join(" · ")), plain());
    }

    /// What no root explains, with the command that shows it and where to look next.
    pub(super) fn unexplained(&mut self) {
        let open: Vec<Signal> = self.open().into_iter().cloned().collect();
        if open.is_empty() {
            return;
        }
        self.page.blank();
        self.page.line(0, &[("unexplained", of(Severity::Warning))]);
        let max = if self.verbose { usize::MAX } else { SHOWN };
        for signal in open.iter().take(max) {
            self.signal(signal);
        }
        if open.len() > max {
            let more = format!("· {} more with --verbose", open.len() - max);
            self.page.line(2, &[(&more, dim())]);
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
        if !signal.evidence.reproduce.is_empty() {
            self.page.command(4, &signal.evidence.reproduce, dim());
        }
        if !signal.next.is_empty() {
            self.page.paragraph(4, "→ ", &signal.next, dim());
        }
    }

    /// Signals of no weight that say why: one line each; with `--verbose` all.
    pub(super) fn notes_of_signals(&self) -> Vec<String> {
        let unexplained = self.report.signals.iter().filter(|s| s.weight == Weight::Note && s.explained_by.is_none());
        let told = unexplained.filter(|s| self.verbose || (s.kind == SignalKind::Alert && !s.next.is_empty()));
        let mut lines: Vec<String> = Vec::new();
        for signal in told {
            let why = if signal.next.is_empty() { &signal.text } else { &signal.next };
            let line = if why.is_empty() { signal.title.clone() } else { format!("{}: {why}", signal.title) };
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        lines
    }
}
