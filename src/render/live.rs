//! What a watch shows: lines for a log, and frames for a terminal.

mod clip;
mod frame;

pub use frame::Frame;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use owo_colors::Style;

use super::layout::Page;
pub use super::table::severity;
use super::view::{Verdict, View};
use super::words::{self, counted};
use crate::history::{Event, PastFinding, lasted};
use crate::model::{Report, Severity};
use crate::term::sanitize;

/// Symptoms of one round that have lines of their own.
const SYMPTOMS: usize = 3;

/// A change in one line.
#[derive(Debug, Clone)]
pub struct LogLine {
    /// When.
    pub at: Timestamp,
    /// What; without line breaks.
    pub text: String,
    /// How it is meant.
    pub tone: Tone,
}

/// How a line is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Something is wrong.
    Bad(Severity),
    /// Something is well again.
    Good,
    /// Something is not known.
    Unknown,
    /// Neither.
    Plain,
}

impl Tone {
    fn style(self) -> Style {
        match self {
            Self::Bad(severity) => super::table::of(severity),
            Self::Good => Style::new().green(),
            Self::Unknown => Style::new().yellow(),
            Self::Plain => Style::new(),
        }
    }
}

/// The lines that tell what a round brought: each root in one, of many symptoms their number.
pub fn event_lines(at: Timestamp, events: &[Event]) -> Vec<LogLine> {
    let is_symptom = |e: &&Event| e.finding().is_some_and(|f| !f.root);
    let mut lines: Vec<LogLine> = events.iter().filter(|e| !is_symptom(e)).map(|e| line(at, e)).collect();
    let mut words: Vec<&'static str> = Vec::new();
    for event in events.iter().filter(is_symptom) {
        let word = word(event);
        if !words.contains(&word) {
            words.push(word);
        }
    }
    for word_of in words {
        let all: Vec<&Event> = events.iter().filter(is_symptom).filter(|e| word(e) == word_of).collect();
        if all.len() <= SYMPTOMS && word_of != "open" {
            lines.extend(all.into_iter().map(|e| line(at, e)));
            continue;
        }
        let checks: Vec<String> = all.iter().filter_map(|e| e.finding()).map(|f| f.check.clone()).collect();
        let text = format!("{word_of} {}: {}", words::plural(all.len(), "symptom"), counted(&checks));
        lines.push(LogLine { at, text: sanitize(&text), tone: tone(all[0]) });
    }
    lines
}

/// The cluster and the namespaces of the stack: `flash-tickets-eks · namespace monitoring`.
pub fn place(report: &Report) -> String {
    let target = &report.target;
    // A context may be an ARN, whose end is the name.
    let cluster = target.cluster.as_ref().or(target.context.as_ref());
    let cluster = cluster.map(|c| c.rsplit('/').next().unwrap_or(c));
    let word = if target.namespaces.len() == 1 { "namespace" } else { "namespaces" };
    let namespaces = (!target.namespaces.is_empty()).then(|| format!("{word} {}", target.namespaces.join(", ")));
    sanitize(&cluster.map(str::to_owned).into_iter().chain(namespaces).collect::<Vec<_>>().join(" · "))
}

/// How a report stands, as a line.
pub fn verdict_line(at: Timestamp, report: &Report) -> LogLine {
    let Verdict { mark, text, level } = View { report, verbose: false }.verdict();
    LogLine { at, text: sanitize(&format!("{mark} {text}")), tone: level.map_or(Tone::Good, Tone::Bad) }
}

fn word(event: &Event) -> &'static str {
    match event {
        Event::Open(_) => "open",
        Event::New(_) => "new",
        Event::Resolved(..) => "resolved",
        Event::Changed(..) => "changed",
        Event::Hidden(..) => "out of sight",
        Event::Back(_) => "seen again",
        Event::Blind(_) => "cannot see",
        Event::Sees(_) => "can see again",
    }
}

fn tone(event: &Event) -> Tone {
    match event {
        Event::Open(f) | Event::New(f) | Event::Changed(f, _) | Event::Back(f) => {
            severity(&f.severity).map_or(Tone::Plain, Tone::Bad)
        }
        Event::Resolved(..) | Event::Sees(_) => Tone::Good,
        Event::Hidden(..) | Event::Blind(_) => Tone::Unknown,
    }
}

fn line(at: Timestamp, event: &Event) -> LogLine {
    let named = |f: &PastFinding| {
        let symptom = if f.root { "" } else { "symptom " };
        format!("{symptom}{}[{}] {}", f.severity, f.check, words::line(&f.message))
    };
    let word = word(event);
    let text = match event {
        Event::Open(f) | Event::New(f) | Event::Back(f) => format!("{word} {}", named(f)),
        Event::Resolved(f, Some(after)) => format!("{word} {} after {}", named(f), lasted(*after)),
        Event::Resolved(f, None) => format!("{word} {}", named(f)),
        Event::Changed(f, before) => format!("{word} {}{}", named(f), changed(f, before)),
        Event::Hidden(f, why) => format!("{word} {} ({why})", named(f)),
        Event::Blind(why) => format!("{word}: {}; what was found before is not resolved by that", one_line(why)),
        Event::Sees(after) => format!("{word} after {}", lasted(*after)),
    };
    LogLine { at, text: sanitize(&text), tone: tone(event) }
}

/// What changed of a finding beside its words.
fn changed(now: &PastFinding, before: &PastFinding) -> String {
    let mut parts = Vec::new();
    if now.severity != before.severity {
        parts.push(format!("was {}", before.severity));
    }
    match (before.root, now.root) {
        (true, false) => parts.push("was a root cause".to_owned()),
        (false, true) => parts.push("is a root cause now".to_owned()),
        _ => {}
    }
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

/// An error's first line: hints stand below it.
fn one_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default().trim()
}

/// `10:12:03`.
fn clock(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string()
}

/// A line of the log, with its time.
pub fn log_line(line: &LogLine, zone: &TimeZone, color: bool) -> String {
    let page = Page::new(color, None);
    format!(
        "{} {}",
        page.paint(&clock(line.at, zone), Style::new().dimmed()),
        page.paint(&line.text, line.tone.style())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(check: &str, root: bool) -> PastFinding {
        let text = serde_json::json!({"id": check, "check": check, "severity": "error", "message": "it is wrong", "root": root});
        serde_json::from_value(text).expect("a finding")
    }

    fn said(events: &[Event]) -> Vec<String> {
        let at = Timestamp::UNIX_EPOCH;
        event_lines(at, events).iter().map(|l| log_line(l, &TimeZone::UTC, false)).collect()
    }

    #[test]
    fn a_round_is_told_in_lines_and_many_symptoms_in_one() {
        let mut events = vec![
            Event::New(finding("pvc-pending", true)),
            Event::Resolved(finding("target-down", true), Some(185)),
            Event::Resolved(finding("pod-pending", false), None),
            Event::Blind("the cluster cannot be asked: timeout\n  check the network".into()),
        ];
        events.extend((0..5).map(|_| Event::New(finding("pod-pending", false))));
        assert_eq!(
            said(&events),
            [
                "00:00:00 new error[pvc-pending] it is wrong",
                "00:00:00 resolved error[target-down] it is wrong after 3m",
                "00:00:00 cannot see: the cluster cannot be asked: timeout; what was found before is not resolved by that",
                "00:00:00 resolved symptom error[pod-pending] it is wrong",
                "00:00:00 new 5 symptoms: pod-pending (5)",
            ]
        );
    }

    #[test]
    fn a_change_says_what_was_before() {
        let mut before = finding("pod-pending", true);
        before.severity = "warning".into();
        let lines = said(&[Event::Changed(finding("pod-pending", false), before)]);
        assert_eq!(lines, ["00:00:00 changed symptom error[pod-pending] it is wrong (was warning, was a root cause)"]);
    }
}
