//! What a watch knows after several rounds: since when each finding stands, and what it has lost sight of. A round that
//! failed and a check that could not look resolve nothing.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::past::{Past, PastFinding};

/// What stands, round after round.
#[derive(Debug, Default)]
pub struct Board {
    entries: Vec<Tracked>,
    blind: Option<Blind>,
    seen_at: Option<Timestamp>,
}

/// A finding that stands.
#[derive(Debug, Clone)]
pub struct Tracked {
    /// As it was said last.
    pub finding: PastFinding,
    /// When it was first seen; `None`: it was there when the watch began.
    pub since: Option<Timestamp>,
    /// Its check cannot look any more: whether it stands still is not known.
    pub hidden: Option<Hidden>,
    without: BTreeSet<String>,
}

/// Since when a finding is out of sight, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hidden {
    /// The first round that could not look.
    pub since: Timestamp,
    /// What it could not see.
    pub why: String,
}

/// Since when nothing is seen at all, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blind {
    /// The first round that failed.
    pub since: Timestamp,
    /// What the last one said.
    pub why: String,
}

/// What a round brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It stood when the watch began.
    Open(PastFinding),
    /// It was not there before.
    New(PastFinding),
    /// It is gone; after so many seconds, where it began in this watch.
    Resolved(PastFinding, Option<i64>),
    /// It is said otherwise: now, and before.
    Changed(PastFinding, PastFinding),
    /// Its check cannot look any more, and why.
    Hidden(PastFinding, String),
    /// It was out of sight, and is there still.
    Back(PastFinding),
    /// The round failed.
    Blind(String),
    /// The first round that succeeded again, after so many seconds.
    Sees(i64),
}

impl Event {
    /// The finding that it is about.
    pub fn finding(&self) -> Option<&PastFinding> {
        match self {
            Self::Open(f)
            | Self::New(f)
            | Self::Resolved(f, _)
            | Self::Changed(f, _)
            | Self::Hidden(f, _)
            | Self::Back(f) => Some(f),
            Self::Blind(_) | Self::Sees(_) => None,
        }
    }
}

impl Board {
    /// What stands: what the last round found in its order, then what is out of sight.
    pub fn entries(&self) -> &[Tracked] {
        &self.entries
    }

    /// The finding of this id.
    pub fn entry(&self, id: &str) -> Option<&Tracked> {
        self.entries.iter().find(|e| e.finding.id == id)
    }

    /// Since when nothing is seen.
    pub fn blind(&self) -> Option<&Blind> {
        self.blind.as_ref()
    }

    /// When a round succeeded last.
    pub fn seen_at(&self) -> Option<Timestamp> {
        self.seen_at
    }

    /// A round that succeeded.
    pub fn saw(&mut self, at: Timestamp, now: &Past) -> Vec<Event> {
        let mut events = Vec::new();
        if let Some(blind) = self.blind.take() {
            events.push(Event::Sees(seconds(blind.since, at)));
        }
        let is_first = self.seen_at.replace(at).is_none();
        let mut before = std::mem::take(&mut self.entries);
        for finding in &now.findings {
            if self.entry(&finding.id).is_some() {
                continue;
            }
            let was = before.iter().position(|e| e.finding.id == finding.id).map(|at| before.remove(at));
            events.extend(event(was.as_ref(), finding, is_first));
            let since = was.map_or((!is_first).then_some(at), |w| w.since);
            self.entries.push(Tracked { finding: finding.clone(), since, hidden: None, without: now.without(finding) });
        }
        for mut gone in before {
            let Some(why) = now.hides(&gone.finding, &gone.without) else {
                events.push(Event::Resolved(gone.finding, gone.since.map(|since| seconds(since, at))));
                continue;
            };
            if gone.hidden.is_none() {
                events.push(Event::Hidden(gone.finding.clone(), why.clone()));
            }
            let since = gone.hidden.map_or(at, |h| h.since);
            gone.hidden = Some(Hidden { since, why });
            self.entries.push(gone);
        }
        events
    }

    /// A round that failed: what stood stands, as far as anybody knows.
    pub fn failed(&mut self, at: Timestamp, why: &str) -> Option<Event> {
        let since = self.blind.as_ref().map(|b| b.since);
        self.blind = Some(Blind { since: since.unwrap_or(at), why: why.to_owned() });
        since.is_none().then(|| Event::Blind(why.to_owned()))
    }
}

fn event(was: Option<&Tracked>, finding: &PastFinding, is_first: bool) -> Option<Event> {
    match was {
        None if is_first => Some(Event::Open(finding.clone())),
        None => Some(Event::New(finding.clone())),
        Some(was) if was.hidden.is_some() => Some(Event::Back(finding.clone())),
        Some(was) if differs(&was.finding, finding) => Some(Event::Changed(finding.clone(), was.finding.clone())),
        Some(_) => None,
    }
}

/// Another severity, another place in the graph, or other words. Numbers grow with every round: they are no change.
fn differs(a: &PastFinding, b: &PastFinding) -> bool {
    let words = |f: &PastFinding| f.message.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
    a.severity != b.severity || a.root != b.root || words(a) != words(b)
}

fn seconds(from: Timestamp, to: Timestamp) -> i64 {
    to.as_second() - from.as_second()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::past::testing::past;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).expect("a time")
    }

    fn words(events: &[Event]) -> Vec<String> {
        let id = |f: &PastFinding| f.id.clone();
        let word = |e: &Event| match e {
            Event::Open(f) => format!("open {}", id(f)),
            Event::New(f) => format!("new {}", id(f)),
            Event::Resolved(f, after) => format!("resolved {} {after:?}", id(f)),
            Event::Changed(f, _) => format!("changed {}", id(f)),
            Event::Hidden(f, why) => format!("hidden {}: {why}", id(f)),
            Event::Back(f) => format!("back {}", id(f)),
            Event::Blind(why) => format!("blind: {why}"),
            Event::Sees(after) => format!("sees after {after}"),
        };
        events.iter().map(word).collect()
    }

    #[test]
    fn findings_come_and_go_with_their_times() {
        let mut board = Board::default();
        let found = |list: &[(&str, &str, bool)]| past(list, &[("c", "findings", &[])]);
        assert_eq!(words(&board.saw(at(0), &found(&[("c", "a", true)]))), ["open a"]);
        assert_eq!(words(&board.saw(at(15), &found(&[("c", "a", true), ("c", "b", true)]))), ["new b"]);
        assert_eq!(words(&board.saw(at(30), &found(&[("c", "a", false), ("c", "b", true)]))), ["changed a"]);
        let gone = past(&[], &[("c", "pass", &[])]);
        assert_eq!(words(&board.saw(at(200), &gone)), ["resolved a None", "resolved b Some(185)"]);
        assert!(board.entries().is_empty());
    }

    #[test]
    fn what_cannot_be_seen_is_not_resolved() {
        let mut board = Board::default();
        let found = past(&[("c", "a", true)], &[("c", "findings", &[])]);
        board.saw(at(0), &found);
        assert_eq!(board.failed(at(15), "unreachable").map(|e| words(&[e])), Some(vec!["blind: unreachable".into()]));
        assert_eq!(board.failed(at(30), "unreachable"), None, "it is said once");
        assert_eq!(board.entries().len(), 1);
        let unseen = past(&[], &[("c", "not_evaluated", &["GET /pods"])]);
        assert_eq!(words(&board.saw(at(45), &unseen)), ["sees after 30", "hidden a: not seen: GET /pods"]);
        assert_eq!(words(&board.saw(at(60), &unseen)), Vec::<String>::new());
        assert_eq!(board.entry("a").and_then(|e| e.hidden.clone()).map(|h| h.since), Some(at(45)));
        assert_eq!(words(&board.saw(at(75), &found)), ["back a"]);
        board.saw(at(90), &unseen);
        let gone = past(&[], &[("c", "pass", &[])]);
        assert_eq!(words(&board.saw(at(105), &gone)), ["resolved a None"]);
    }

    #[test]
    fn numbers_that_grow_are_no_change() {
        let mut board = Board::default();
        let said = |message: &str| {
            let mut past = past(&[("c", "a", true)], &[("c", "findings", &[])]);
            past.findings[0].message = message.to_owned();
            past
        };
        board.saw(at(0), &said("restarted 4 times in 9 minutes"));
        assert_eq!(board.saw(at(15), &said("restarted 5 times in 10 minutes")), []);
        assert_eq!(board.entries()[0].finding.message, "restarted 5 times in 10 minutes");
        assert_eq!(words(&board.saw(at(30), &said("is out of memory"))), ["changed a"]);
    }
}
