//! Runs a step after a yes, and nothing but the command that was shown.

use super::deeds::{Mark, StepId};
use super::effect::{self, Effect};
use super::process;
use super::session::Companion;
use super::work::Work;
use super::{MayRun, Reach, Stop};
use crate::model::Risk;
use crate::render::{bold, dim, plain};

/// Names up to which all are typed; of more, their number.
const TYPED: usize = 3;

impl Companion<'_> {
    /// Asks, runs, and says how it ended. True where one can go on.
    pub(super) fn run_step(&mut self, fingerprint: &str, work: &Work) -> Result<bool, Stop> {
        if !self.allows(fingerprint, work)? {
            self.record.note_with(&format!("{}: not run, the answer was no", work.label), &[("sh", &work.command)]);
            self.complain("not run")?;
            return Ok(false);
        }
        let well = self.run_shown(&work.id(fingerprint), &work.command, work.risk)?;
        let mark = if well == Some(true) { Mark::Ran } else { Mark::Failed };
        self.marks.insert(work.id(fingerprint), mark);
        Ok(mark == Mark::Ran)
    }

    /// An explicit yes; for what deletes, the name of what is deleted.
    fn allows(&mut self, fingerprint: &str, work: &Work) -> Result<bool, Stop> {
        if work.risk < Risk::Destructive {
            if work.risk == Risk::Disruptive {
                let what = interrupts(&work.command).unwrap_or_else(|| work.step.text.clone());
                self.complain(&format!("this interrupts something: {what}"))?;
            }
            return self.talk.confirm("Run exactly this command?");
        }
        let wanted = self.name_to_type(fingerprint, &work.command);
        let mut page = self.page();
        let sign = page.paint("! ", owo_colors::Style::new().red().bold());
        page.paragraph(2, &sign, &format!("this deletes for good: {wanted}"), bold());
        self.talk.say(&page.finish())?;
        let right = wanted.clone();
        let fits = move |typed: &str| {
            let is_it = typed.split_whitespace().eq(right.split_whitespace());
            if is_it || typed.is_empty() { Ok(()) } else { Err(format!("type {right} to run it, or Esc to leave it")) }
        };
        let question = format!("Type {wanted} to run exactly this command:");
        let typed = self.talk.text(&question, "nothing or Esc: it is not run", fits)?;
        Ok(typed.is_some_and(|t| !t.is_empty() && t.split_whitespace().eq(wanted.split_whitespace())))
    }

    /// What has to be typed: the names of what is deleted, else of what the root cause is about.
    fn name_to_type(&self, fingerprint: &str, command: &str) -> String {
        let names = effect::destroyed(command);
        match names.len() {
            0 => self.subject(fingerprint),
            count if count <= TYPED => names.join(" "),
            count => format!("{count} objects"),
        }
    }

    fn subject(&self, fingerprint: &str) -> String {
        let name = self.root_of(fingerprint).map(|root| root.subject().name()).unwrap_or_default();
        match name.rsplit('/').next().map(str::trim) {
            Some(name) if !name.is_empty() => name.to_owned(),
            _ => "yes".to_owned(),
        }
    }

    /// Runs a command and shows what it prints; whether it went well, `None` where it could not be started.
    pub(super) fn run_shown(&mut self, id: &StepId, command: &str, risk: Risk) -> Result<Option<bool>, Stop> {
        // Whatever a menu offers: here it is decided.
        if self.options.may_run != MayRun::Yes {
            return Ok(None);
        }
        let way = self.way(command, risk);
        let mut page = self.page();
        page.blank();
        // It was shown as a whole before.
        let shown = self.record.clean_values(command);
        let first = shown.lines().next().unwrap_or_default();
        let more = if shown.lines().nth(1).is_some() { " …" } else { "" };
        page.paragraph(2, "$ ", &format!("{first}{more}"), dim());
        if way.takes_terminal {
            page.paragraph(2, "· ", "it takes the terminal; what it shows is not kept", dim());
        }
        self.talk.say(&page.finish())?;
        self.record.starts(id, command);
        let (record, talk) = (&self.record, &self.talk);
        let finished = process::run(command, way, |line| {
            // A terminal that is gone shows nothing; the command is not ended by that.
            let _ = talk.say(&format!("  │ {}\n", record.clean_values(line)));
        });
        let finished = match finished {
            Ok(finished) => finished,
            Err(error) => {
                self.complain(&format!("it could not be started: {error:#}"))?;
                return Ok(None);
            }
        };
        self.record.ran(id, command, risk, &finished);
        if risk != Risk::ReadOnly && !effect::stays_in_cluster(command) {
            self.reach = Reach::Beyond;
        }
        if finished.is_interrupted {
            return Err(Stop::Interrupted);
        }
        let seconds = finished.took.as_secs_f64();
        let told = format!("{}, {seconds:.1} s", finished.ending());
        let mut page = self.page();
        let sign = if finished.is_well() {
            page.paint("✓ ", owo_colors::Style::new().green())
        } else {
            page.paint("✗ ", owo_colors::Style::new().red())
        };
        page.paragraph(2, &sign, &told, plain());
        page.blank();
        self.talk.say(&page.finish())?;
        Ok(Some(finished.is_well()))
    }
}

/// What a command interrupts.
fn interrupts(command: &str) -> Option<String> {
    let all = effect::all(command).into_iter().filter_map(|effect| match effect {
        Effect::Interrupts(text) | Effect::Deletes(text, _) => Some(text),
        _ => None,
    });
    let all: Vec<String> = all.collect();
    (!all.is_empty()).then(|| all.join("; "))
}
