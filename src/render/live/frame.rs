//! One picture of a watch: how it stands, what to do first, what changed; as much as the window holds.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use owo_colors::Style;

use super::clip::clip;
use super::{LogLine, clock, log_line, one_line, place};
use crate::history::{Board, Tracked, lasted};
use crate::model::Report;
use crate::render::layout::Page;
use crate::render::table::{dim, of, plain};
use crate::render::view::{Brief, Entry, First, Verdict, View};
use crate::render::words;
use crate::term::sanitize;

/// Rows that the log of changes has at least, where the window has room for it.
const LOG: usize = 6;

/// What a frame is made of.
pub struct Frame<'a> {
    /// What stands.
    pub board: &'a Board,
    /// The last report that could be made.
    pub report: Option<&'a Report>,
    /// What is being done now: `next look in 12s`, `waiting for 3 of 59 answers: …`.
    pub doing: &'a str,
    /// When AWS was asked, where that is some time ago.
    pub aws: Option<Timestamp>,
    /// The changes so far.
    pub log: &'a [LogLine],
    /// Time between two looks.
    pub every: Duration,
    /// Now.
    pub now: Timestamp,
    /// Of the person who looks.
    pub zone: &'a TimeZone,
    /// With colours.
    pub color: bool,
    /// Columns and rows.
    pub size: (usize, usize),
}

impl Frame<'_> {
    /// Its lines, none wider and not more than the window holds.
    pub fn lines(&self) -> Vec<String> {
        let (width, height) = self.size;
        let mut top = self.head();
        let foot = vec![String::new(), self.paint("q ends · r looks now", Style::new().dimmed())];
        let room = height.saturating_sub(top.len() + foot.len());
        let log = (self.log.len().max(1) + 2).min(LOG + 2).min(room / 2);
        let body = self.fitting_body(room.saturating_sub(log));
        let log = self.tail(room.saturating_sub(body.len()));
        top.extend(body);
        top.extend(log);
        top.extend(foot);
        top.truncate(height);
        top.iter().map(|line| clip(line, width)).collect()
    }

    fn paint(&self, text: &str, style: Style) -> String {
        Page::new(self.color, None).paint(text, style)
    }

    fn page(&self) -> Page {
        Page::new(self.color, Some(self.size.0))
    }

    /// Where it looks, how it looks, and how it stands.
    fn head(&self) -> Vec<String> {
        let mut page = self.page();
        let place = self.report.map(place).unwrap_or_default();
        let title = if place.is_empty() { "kdoctor watch".to_owned() } else { format!("kdoctor watch · {place}") };
        page.paragraph(0, "", &title, Style::new().bold());
        let seen =
            self.board.seen_at().map_or("nothing seen yet".to_owned(), |at| format!("as of {}", clock(at, self.zone)));
        let every = i64::try_from(self.every.as_secs()).unwrap_or(i64::MAX);
        let aws = self.aws.map_or(String::new(), |at| format!(" (AWS as of {})", clock(at, self.zone)));
        // One line: what is waited for changes, and nothing below it may move for that.
        page.line(0, &[(&format!("{seen}{aws} · every {} · {}", lasted(every), self.doing), dim())]);
        if let Some(blind) = self.board.blind() {
            let since = clock(blind.since, self.zone);
            let text = format!("cannot see since {since}: {}", one_line(&blind.why));
            page.paragraph(0, "! ", &text, Style::new().yellow().bold());
            if let (Some(at), true) = (self.board.seen_at(), !self.board.entries().is_empty()) {
                let text =
                    format!("what follows is as of {}; whether it still holds is not known", clock(at, self.zone));
                page.paragraph(2, "", &text, plain());
            }
        }
        if let Some(report) = self.report {
            let Verdict { mark, text, level } = View { report, verbose: false }.verdict();
            page.blank();
            let style = match (self.board.blind(), level) {
                (Some(_), _) => Style::new().dimmed(),
                (None, Some(level)) => of(level),
                (None, None) => Style::new().green().bold(),
            };
            page.paragraph(0, &format!("{mark} "), &text, style);
        }
        page.finish().lines().map(str::to_owned).collect()
    }

    /// What stands, all of it if possible: each in one line, and from the first one on in full as far as there is room.
    fn fitting_body(&self, room: usize) -> Vec<String> {
        let (full, brief) = (self.body(Some(self.size.0)), self.body(None));
        let mut left = room.saturating_sub(1 + full.len());
        let blocks = full.into_iter().zip(brief).map(|(full, brief)| {
            let more = full.len() - 1;
            if more <= left {
                left -= more;
                return full;
            }
            left = 0;
            brief.into_iter().take(1).collect()
        });
        fit(blocks.collect(), room)
    }

    /// Each root with what to do first, and what is out of sight. One block each.
    fn body(&self, width: Option<usize>) -> Vec<Vec<String>> {
        let mut blocks = Vec::new();
        if let Some(report) = self.report {
            let view = View { report, verbose: false };
            for (entry, (_, group)) in view.entries().into_iter().zip(view.roots().0) {
                let id = &report.findings[group.root].fingerprint;
                blocks.push(self.root(&entry, self.board.entry(id), width));
            }
            for rest in view.roots().1 {
                let mut page = Page::new(self.color, width);
                let tag = format!("{}[{}]", rest.severity, rest.check);
                page.tagged("+ ", &tag, of(rest.severity), &format!("{} more: {}", rest.count, rest.names));
                blocks.push(lines_of(page));
            }
        }
        for entry in self.board.entries() {
            if let Some(hidden) = &entry.hidden {
                let mut page = Page::new(self.color, width);
                let finding = &entry.finding;
                let tag = sanitize(&format!("{}[{}]", finding.severity, finding.check));
                let since = clock(hidden.since, self.zone);
                let text = format!("{} · out of sight since {since} ({})", words::line(&finding.message), hidden.why);
                page.tagged("? ", &tag, Style::new().yellow(), &text);
                blocks.push(lines_of(page));
            }
        }
        blocks
    }

    fn root(&self, entry: &Entry<'_>, tracked: Option<&Tracked>, width: Option<usize>) -> Vec<String> {
        let mut page = Page::new(self.color, width);
        let tag = format!("{}[{}]", entry.severity, entry.check);
        let explains = if entry.explains.is_empty() { String::new() } else { format!(" · {}", entry.explains) };
        let since = match tracked.map(|t| t.since) {
            Some(Some(since)) => {
                let age = lasted(self.now.as_second() - since.as_second());
                format!(" · since {} ({age})", clock(since, self.zone))
            }
            _ => String::new(),
        };
        let text = format!("{}{explains}{since}", entry.what);
        page.tagged(&format!("{}. ", entry.number), &tag, of(entry.severity), &text);
        match entry.first.as_ref().map(First::brief) {
            Some(Brief::Command(command, _)) => page.command(3, command, Style::new().cyan()),
            Some(Brief::Text(text) | Brief::Apply(text)) => page.paragraph(3, "→ ", &text, Style::new()),
            None => {}
        }
        lines_of(page)
    }

    /// The newest changes, the last one at the end.
    fn tail(&self, room: usize) -> Vec<String> {
        if room < 3 {
            return Vec::new();
        }
        let from = self.log.len().saturating_sub(room - 2);
        let title = match from {
            _ if self.log.is_empty() => "no change so far".to_owned(),
            0 => "changes".to_owned(),
            _ => format!("changes (the last {} of {})", self.log.len() - from, self.log.len()),
        };
        let mut lines = vec![String::new(), self.paint(&title, Style::new().bold())];
        lines.extend(self.log[from..].iter().map(|line| log_line(line, self.zone, self.color)));
        lines
    }
}

fn lines_of(page: Page) -> Vec<String> {
    page.finish().lines().map(str::to_owned).collect()
}

/// Whole blocks after an empty line, as many as there is room for; of the others their number.
fn fit(blocks: Vec<Vec<String>>, room: usize) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let count = blocks.len();
    for (at, block) in blocks.into_iter().enumerate() {
        let last = at + 1 == count;
        let needs = out.len() + block.len() + usize::from(at == 0) + usize::from(!last);
        if needs > room {
            if out.len() < room {
                out.push(format!("… {} more: a taller window shows them", count - at));
            }
            break;
        }
        if at == 0 {
            out.push(String::new());
        }
        out.extend(block);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_counted() {
        let blocks = || vec![vec!["a".to_owned(), "b".to_owned()]; 3];
        assert_eq!(fit(blocks(), 10).len(), 7);
        assert_eq!(fit(blocks(), 6), ["", "a", "b", "a", "b", "… 1 more: a taller window shows them"]);
        assert_eq!(fit(blocks(), 1), ["… 3 more: a taller window shows them"]);
        assert!(fit(blocks(), 0).is_empty());
    }
}
