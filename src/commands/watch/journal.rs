//! The transcript of a watch: what was found at first, what came and went with its evidence, and what became of each root
//! cause.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::companion::{Record, Wanted};
use crate::history::{Event, PastFinding, lasted};
use crate::model::Report;
use crate::render::live::event_lines;
use crate::render::{Pieces, TableOptions};
use crate::term::{Printer, interrupt};

/// Changes that are written with their evidence; those after them have a line each: a watch may run for weeks.
const IN_FULL: usize = 1000;

/// The transcript of one watch.
pub(super) struct Journal {
    wanted: Wanted,
    /// None before the first look that saw something: nobody knows of which cluster it is.
    record: Option<Record>,
    /// What was told before that.
    early: Vec<String>,
    /// Changes that are written in full.
    written: usize,
    roots: Roots,
}

/// The root causes of a watch, in the order in which they appeared; the thread that hears of Ctrl-C reads them, too.
#[derive(Clone, Default)]
struct Roots(Arc<Mutex<Vec<Root>>>);

/// What became of a root cause.
struct Root {
    id: String,
    what: String,
    /// None: it stood when the watch began.
    since: Option<Timestamp>,
    fate: Fate,
}

enum Fate {
    Stands,
    OutOfSight,
    Explained,
    Resolved(Timestamp, Option<i64>),
}

impl Journal {
    /// A transcript that is yet to begin.
    pub(super) fn new(wanted: Wanted) -> Self {
        Self { wanted, record: None, early: Vec::new(), written: 0, roots: Roots::default() }
    }

    /// Begins it with the first report.
    ///
    /// # Errors
    /// The file that was asked for cannot be written.
    pub(super) fn begin(&mut self, report: &Report, printer: &Printer) -> anyhow::Result<()> {
        let record = Record::open(&self.wanted, report, |why| printer.stderr(&format!("kdoctor: {why}")))?;
        record.begin(report, "kdoctor watch", "What changed");
        for line in std::mem::take(&mut self.early) {
            record.note_with(&format!("before the first look: {line}"), &[]);
        }
        let (last, roots, printer) = (record.clone(), self.roots.clone(), printer.clone());
        interrupt::on_leave(move || {
            if let Some(how) = end(&last, &roots, true) {
                printer.stderr(&how);
            }
        });
        self.record = Some(record);
        Ok(())
    }

    /// A line of its own.
    pub(super) fn note(&self, line: &str) {
        if let Some(record) = &self.record {
            record.note_with(line, &[]);
        }
    }

    /// What a look brought. What stood at first is in the report that the transcript begins with.
    pub(super) fn took(&mut self, at: Timestamp, events: &[Event], report: Option<&Report>) {
        self.roots.took(at, events);
        let is_news = |e: &&Event| !matches!(e, Event::Open(_));
        let news: Vec<Event> = events.iter().filter(is_news).cloned().collect();
        let Some(record) = &self.record else {
            self.early.extend(event_lines(at, &news).into_iter().map(|line| line.text));
            return;
        };
        let shows = |e: &Event| matches!(e, Event::New(_) | Event::Changed(..)) && e.finding().is_some_and(|f| f.root);
        let (shown, told): (Vec<Event>, Vec<Event>) = news.into_iter().partition(shows);
        for event in shown {
            let evidence = report.zip(event.finding()).map(|(report, finding)| seen(report, finding));
            let evidence = evidence.filter(|_| self.written < IN_FULL).unwrap_or_default();
            self.written += 1;
            for line in event_lines(at, &[event]) {
                record.note_with(&line.text, &[("text", &evidence)]);
            }
        }
        for line in event_lines(at, &told) {
            record.note_with(&line.text, &[]);
        }
    }

    /// Ends it; says how it is read.
    pub(super) fn end(&self, is_interrupted: bool) -> Option<String> {
        end(self.record.as_ref()?, &self.roots, is_interrupted)
    }
}

fn end(record: &Record, roots: &Roots, is_interrupted: bool) -> Option<String> {
    if !record.finish(&roots.summary(), is_interrupted) {
        return None;
    }
    match record.failure() {
        Some(why) => Some(format!("kdoctor: the transcript is not whole: {why}")),
        None => record.how_to_read().map(|how| format!("transcript: {how}")),
    }
}

/// What was seen of a root cause, and what was changed shortly before.
fn seen(report: &Report, finding: &PastFinding) -> String {
    let place = report.roots.iter().position(|g| report.findings[g.root].fingerprint == finding.id);
    let Some(place) = place else { return String::new() };
    let table = TableOptions::new(&Printer::plain(), false);
    let pieces = Pieces::new(report, &table);
    format!("{}{}", pieces.evidence(place), pieces.changes(place)).trim_end().trim_start_matches('\n').to_owned()
}

impl Roots {
    fn inner(&self) -> MutexGuard<'_, Vec<Root>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn took(&self, at: Timestamp, events: &[Event]) {
        let mut roots = self.inner();
        for event in events {
            let Some(finding) = event.finding() else { continue };
            let known = roots.iter_mut().rev().find(|r| r.id == finding.id && !matches!(r.fate, Fate::Resolved(..)));
            let fate = match event {
                Event::Resolved(_, after) => Fate::Resolved(at, *after),
                Event::Hidden(..) => Fate::OutOfSight,
                _ if finding.root => Fate::Stands,
                _ => Fate::Explained,
            };
            match known {
                Some(root) => root.fate = fate,
                None if finding.root && matches!(fate, Fate::Stands) => {
                    let since = (!matches!(event, Event::Open(_))).then_some(at);
                    let what = format!("{}[{}] {}", finding.severity, finding.check, finding.message);
                    roots.push(Root { id: finding.id.clone(), what, since, fate });
                }
                None => {}
            }
        }
    }

    /// A line for each.
    fn summary(&self) -> String {
        let roots = self.inner();
        if roots.is_empty() {
            return "no root cause was seen".to_owned();
        }
        roots.iter().map(Root::told).collect::<Vec<_>>().join("\n")
    }
}

impl Root {
    fn told(&self) -> String {
        let clock = |at: Timestamp| at.strftime("%H:%M:%S UTC").to_string();
        let since = self.since.map_or("from the beginning".to_owned(), |at| format!("since {}", clock(at)));
        let (sign, fate) = match &self.fate {
            Fate::Stands => ("✗", "still there".to_owned()),
            Fate::OutOfSight => ("?", "out of sight".to_owned()),
            Fate::Explained => ("–", "another root cause explains it now".to_owned()),
            Fate::Resolved(at, after) => {
                let after = after.map_or(String::new(), |seconds| format!(" after {}", lasted(seconds)));
                ("✓", format!("resolved {}{after}", clock(*at)))
            }
        };
        format!("{sign} {} ({since}; {fate})", self.what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(id: &str, root: bool) -> PastFinding {
        let text =
            serde_json::json!({"id": id, "check": "pvc-pending", "severity": "error", "message": id, "root": root});
        serde_json::from_value(text).expect("a finding")
    }

    #[test]
    fn the_summary_says_what_became_of_each_root_cause() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        let roots = Roots::default();
        assert_eq!(roots.summary(), "no root cause was seen");
        roots.took(at(0), &[Event::Open(finding("a", true)), Event::Open(finding("symptom", false))]);
        roots.took(at(15), &[Event::New(finding("b", true)), Event::New(finding("c", true))]);
        roots.took(at(30), &[Event::Resolved(finding("b", true), Some(15)), Event::Blind("timeout".into())]);
        let hidden = Event::Hidden(finding("c", true), "timeout".into());
        roots.took(at(45), &[hidden, Event::New(finding("b", true))]);
        let lines = [
            "✗ error[pvc-pending] a (from the beginning; still there)",
            "✓ error[pvc-pending] b (since 00:00:15 UTC; resolved 00:00:30 UTC after 15s)",
            "? error[pvc-pending] c (since 00:00:15 UTC; out of sight)",
            "✗ error[pvc-pending] b (since 00:00:45 UTC; still there)",
        ];
        assert_eq!(roots.summary(), lines.join("\n"));
        roots.took(at(60), &[Event::Changed(finding("a", false), finding("a", true))]);
        assert!(roots.summary().contains("a (from the beginning; another root cause explains it now)"));
    }
}
