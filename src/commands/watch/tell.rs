//! What a look brought is told: on the terminal, in the transcript, to the command of `--exec`.

use std::io::Write as _;

use jiff::Timestamp;

use super::hook::Hook;
use super::{LOG, Session};
use crate::collect::live::ConnectError;
use crate::commands::run::{Run, Unasked};
use crate::history::{Event, Past, lasted};
use crate::model::GapCause;
use crate::render::live::{LogLine, Tone, event_lines, log_line, place, verdict_line};
use crate::term::sanitize;
use crate::text::redact::mask;

impl Session<'_> {
    /// What came of a look.
    pub(super) fn take(&mut self, result: anyhow::Result<Run>) -> anyhow::Result<()> {
        let at = Timestamp::now();
        let is_first = self.board.seen_at().is_none();
        let events = match result {
            Ok(run) => {
                let events = self.board.saw(at, &Past::of(&run.report));
                if is_first {
                    let every = lasted(i64::try_from(self.args.interval.as_secs()).unwrap_or(i64::MAX));
                    let aws = if self.memory.aws_age().is_some() { " (AWS once a minute at most)" } else { "" };
                    let text = format!("watching {}, every {every}{aws}", place(&run.report));
                    self.say(LogLine { at, text, tone: Tone::Plain })?;
                    self.journal.begin(&run.report, self.printer)?;
                }
                self.report = Some(run.report);
                events
            }
            Err(error) if is_first && is_misuse(&error) => return Err(error),
            Err(error) => Vec::from_iter(self.board.failed(at, &mask(&format!("{error:#}")))),
        };
        for line in event_lines(at, &events) {
            self.say(line)?;
        }
        self.journal.took(at, &events, self.report.as_ref());
        if self.board.blind().is_none()
            && let Some(verdict) = self.report.as_ref().map(|report| verdict_line(at, report))
            && verdict.text != self.verdict
        {
            self.verdict.clone_from(&verdict.text);
            self.say(verdict)?;
        }
        if is_first && self.board.seen_at().is_some() {
            self.before = self.log.len();
        }
        if events.iter().any(is_change) {
            self.ring();
            if let (Some(hook), Some(report)) = (&self.hook, &self.report) {
                hook.call(at, &events, &self.board, report);
            }
        }
        for failure in self.hook.iter_mut().flat_map(Hook::failures).collect::<Vec<_>>() {
            let text = sanitize(&mask(&failure));
            self.journal.note(&text);
            self.say(LogLine { at, text, tone: Tone::Unknown })?;
        }
        Ok(())
    }

    /// Keeps a line; without a screen it is printed at once.
    fn say(&mut self, line: LogLine) -> anyhow::Result<()> {
        if self.screen.is_none() {
            self.printer.stdout(&format!("{}\n", log_line(&line, &self.zone, self.printer.color)))?;
        }
        if self.log.len() == LOG {
            self.log.remove(0);
            self.before = self.before.saturating_sub(1);
        }
        self.log.push(line);
        Ok(())
    }

    fn ring(&self) {
        if self.args.bell {
            // A terminal that is gone rings no bell.
            let _ = std::io::stderr().write_all(b"\x07");
        }
    }
}

/// A root came, went or changed, or sight was lost or is back. What stood at the beginning is no change.
fn is_change(event: &Event) -> bool {
    !matches!(event, Event::Open(_)) && event.finding().is_none_or(|f| f.root)
}

/// An error that no waiting mends: a context that does not exist, a namespace that holds nothing.
fn is_misuse(error: &anyhow::Error) -> bool {
    match (error.downcast_ref::<ConnectError>(), error.downcast_ref::<Unasked>()) {
        (Some(ConnectError::Token { .. }), _) => false,
        (Some(_), _) => true,
        (None, Some(Unasked(gap))) => gap.cause == GapCause::NotConfigured,
        (None, None) => false,
    }
}
