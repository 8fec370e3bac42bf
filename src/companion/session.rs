//! One talk, from the report to the last answer: which root cause, and what of it.

use std::collections::BTreeMap;

use owo_colors::Style;

use super::deeds::{Mark, StepId};
use super::record::{Record, Wanted};
use super::talk::Talk;
use super::verify::{self, Became, Fate};
use super::{Host, MayRun, Options, Reach, Stop};
use crate::model::{CheckId, Finding, Report, RootGroup};
use crate::render::{Page, Pieces, TableOptions, dim, plain, table};
use crate::term::{Printer, interrupt};

/// How the talk ended.
#[derive(Debug)]
pub struct Ended {
    /// The last report.
    pub report: Report,
    /// Ctrl-C ended it.
    pub is_interrupted: bool,
}

/// One talk.
pub struct Companion<'a> {
    pub(super) talk: Talk<'a>,
    pub(super) options: Options,
    pub(super) host: &'a mut dyn Host,
    pub(super) report: Report,
    pub(super) record: Record,
    /// What was done with which step.
    pub(super) marks: BTreeMap<StepId, Mark>,
    /// How far what was done so far reaches.
    pub(super) reach: Reach,
    /// Values that were chosen, by the root's fingerprint and the placeholder's name.
    pub(super) values: BTreeMap<(String, String), Vec<String>>,
}

impl<'a> Companion<'a> {
    /// A talk about this report.
    pub fn new(printer: &'a Printer, options: Options, host: &'a mut dyn Host, report: Report) -> Self {
        let talk = Talk::new(printer, options.manner);
        let (marks, values) = (BTreeMap::new(), BTreeMap::new());
        Self { talk, options, host, report, record: Record::default(), marks, reach: Reach::Cluster, values }
    }

    /// Keeps a transcript; `how`: the command that began it.
    ///
    /// # Errors
    /// The file that was asked for cannot be written.
    pub fn transcript(&mut self, wanted: &Wanted, how: &str) -> anyhow::Result<()> {
        let printer = self.talk.printer();
        self.record = Record::open(wanted, &self.report, |why| printer.stderr(&format!("kdoctor: {why}")))?;
        self.record.begin(&self.report, how, "What was done");
        Ok(())
    }

    /// Talks until it is enough; `roots`: begins with one of these.
    ///
    /// # Errors
    /// The terminal failed.
    pub fn run(mut self, roots: Option<Vec<usize>>) -> anyhow::Result<Ended> {
        let (record, printer) = (self.record.clone(), self.talk.printer());
        interrupt::on_leave(move || {
            let summary = farewell(&record, true, printer.width);
            printer.stderr(&summary);
        });
        let stop = match self.talk_about(roots) {
            Ok(()) => Stop::Quit,
            Err(stop) => stop,
        };
        let is_interrupted = matches!(stop, Stop::Interrupted);
        let printer = self.talk.printer();
        printer.stderr(&farewell(&self.record, is_interrupted, printer.width));
        match stop {
            Stop::Failed(error) => Err(error),
            _ => Ok(Ended { report: self.report, is_interrupted }),
        }
    }

    fn talk_about(&mut self, roots: Option<Vec<usize>>) -> Result<(), Stop> {
        if let MayRun::No(why) = &self.options.may_run {
            let mut page = self.page();
            page.blank();
            page.paragraph(0, "", &format!("Nothing is run from here: {why}."), dim());
            self.talk.say(&page.finish())?;
        }
        match roots.as_deref() {
            Some([only]) => self.about_root(*only)?,
            Some(several) => {
                if let Some(at) = self.choose_of(several)? {
                    self.about_root(at)?;
                }
            }
            None => {}
        }
        self.menu()
    }

    /// Which root cause; the whole report; again.
    fn menu(&mut self) -> Result<(), Stop> {
        loop {
            let count = self.report.roots.len();
            let mut choices: Vec<String> = (0..count).map(|at| self.line_of(at)).collect();
            let report = choices.len();
            choices.push("report: all of it".to_owned());
            if self.is_live() {
                choices.push("look again".to_owned());
            }
            choices.push("quit".to_owned());
            let question = if count == 0 { "No root cause is left. What next?" } else { "Which root cause?" };
            match self.talk.choose(question, &choices, HELP)? {
                None => return Ok(()),
                Some(at) if at < count => self.about_root(at)?,
                Some(at) if at == report => self.talk.say(&table(&self.report, &self.table()))?,
                Some(at) if at + 1 == choices.len() => return Ok(()),
                Some(_) => {
                    self.look_and_tell()?;
                }
            }
        }
    }

    fn choose_of(&mut self, roots: &[usize]) -> Result<Option<usize>, Stop> {
        let choices: Vec<String> = roots.iter().map(|at| self.line_of(*at)).collect();
        let chosen = self.talk.choose("Which of them?", &choices, HELP)?;
        Ok(chosen.and_then(|at| roots.get(at).copied()))
    }

    fn line_of(&self, at: usize) -> String {
        Pieces::new(&self.report, &self.table()).line(at)
    }

    /// Collects and diagnoses again, and says what became of the root causes.
    pub(super) fn look_again(&mut self) -> Result<Option<Vec<Fate>>, Stop> {
        let after = match self.host.look(self.reach) {
            Ok(after) => after,
            Err(error) => {
                self.complain(&format!("it could not be looked again: {error:#}"))?;
                self.record.note(&format!("tried to look again: {error:#}"));
                return Ok(None);
            }
        };
        let fates = verify::compare(&self.report, &after);
        self.report = after;
        Ok(Some(fates))
    }

    /// Looks again and says so.
    pub(super) fn look_and_tell(&mut self) -> Result<Vec<Fate>, Stop> {
        let fates = self.look_again()?;
        if let Some(fates) = &fates {
            self.tell(fates)?;
        }
        Ok(fates.unwrap_or_default())
    }

    /// Says what became of the root causes, and writes it down.
    pub(super) fn tell(&mut self, fates: &[Fate]) -> Result<(), Stop> {
        let mut page = self.page();
        page.blank();
        if fates.is_empty() {
            page.line(2, &[("nothing was wrong before, and nothing is now", plain())]);
        }
        for fate in fates {
            let style = match fate.became {
                Became::Resolved => Style::new().green(),
                Became::Failing(_) | Became::New(_) => Style::new().red(),
                Became::Unknown(_) => Style::new().yellow(),
            };
            let sign = page.paint(&format!("{} ", fate.sign()), style);
            page.paragraph(2, &sign, &fate.told(), plain());
        }
        page.blank();
        let lines: Vec<String> = fates.iter().map(|fate| format!("{} {}", fate.sign(), fate.told())).collect();
        self.record.note_with("looked again", &[("text", &lines.join("\n"))]);
        self.talk.say(&page.finish())
    }

    /// Facts can be collected again.
    pub(super) fn is_live(&self) -> bool {
        self.options.is_live
    }

    pub(super) fn page(&self) -> Page {
        let printer = self.talk.printer();
        Page::new(printer.color, printer.width)
    }

    pub(super) fn table(&self) -> TableOptions {
        TableOptions::new(&self.talk.printer(), false)
    }

    /// Something did not work.
    pub(super) fn complain(&self, what: &str) -> Result<(), Stop> {
        let mut page = self.page();
        let sign = page.paint("! ", Style::new().yellow());
        page.paragraph(2, &sign, &self.record.clean(what), plain());
        self.talk.say(&page.finish())
    }

    pub(super) fn fingerprint(&self, root: usize) -> String {
        self.finding(root).map(|finding| finding.fingerprint.clone()).unwrap_or_default()
    }

    pub(super) fn check(&self, root: usize) -> Option<CheckId> {
        self.finding(root).map(|finding| finding.check)
    }

    fn finding(&self, root: usize) -> Option<&Finding> {
        self.report.roots.get(root).map(|group| &self.report.findings[group.root])
    }

    /// Where the root with this fingerprint stands now.
    pub(super) fn place_of(&self, fingerprint: &str) -> Option<usize> {
        let is_it = |g: &RootGroup| self.report.findings[g.root].fingerprint == fingerprint;
        self.report.roots.iter().position(is_it)
    }

    /// The root with this fingerprint, if it is still one.
    pub(super) fn root_of(&self, fingerprint: &str) -> Option<&Finding> {
        self.finding(self.place_of(fingerprint)?)
    }
}

/// What is said below a list.
pub(super) const HELP: &str = "↑↓ or type to choose · Enter · Esc goes back";

/// What was done and what was not, and where it is written down.
fn farewell(record: &Record, is_interrupted: bool, width: Option<usize>) -> String {
    let summary = record.end(is_interrupted);
    let mut out = String::from("\n");
    if is_interrupted {
        out.push_str("kdoctor: interrupted\n");
    }
    let layout = textwrap::Options::new(width.unwrap_or(usize::MAX)).initial_indent("  ").subsequent_indent("    ");
    for line in summary.lines() {
        out.push_str(&format!("{}\n", textwrap::fill(&crate::term::sanitize(line), &layout)));
    }
    if let Some(why) = record.failure() {
        out.push_str(&format!("  the transcript is not whole: {why}\n"));
    } else if let Some(how) = record.how_to_read() {
        out.push_str(&format!("  transcript: {how}\n"));
    }
    out.truncate(out.trim_end().len());
    out
}
