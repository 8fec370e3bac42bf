//! One root cause: its evidence, its chain, its page, what changed before it, its steps, and whether it is resolved.

use std::time::{Duration, Instant};

use super::deeds::{Mark, StepId};
use super::manner::{self, Manner};
use super::process::Way;
use super::sequence::Sequence;
use super::session::{Companion, HELP};
use super::tools::{self, Missing};
use super::verify::{self, Became, Fate};
use super::{MayRun, Stop, waiting};
use crate::model::{Risk, Step};
use crate::pages;
use crate::render::{Pieces, bold, cyan, dim, plain};

/// How long it is waited between two looks.
const BETWEEN: Duration = Duration::from_secs(15);

/// What can be asked of a root cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    Steps,
    Evidence,
    Chain,
    Changes,
    Page,
    Verify,
    Undo,
    Back,
    Quit,
}

impl Companion<'_> {
    /// Talks about one root cause until the person goes back.
    pub(super) fn about_root(&mut self, root: usize) -> Result<(), Stop> {
        let fingerprint = self.fingerprint(root);
        if let Some(check) = self.check(root) {
            self.record.note(&format!("chose root cause {}: {check}", root + 1));
        }
        if let Some(root) = self.place_of(&fingerprint) {
            self.talk.say(&format!("\n{}\n", Pieces::new(&self.report, &self.table()).head(root)))?;
        }
        loop {
            // Another look may have given it another number, or none.
            let Some(root) = self.place_of(&fingerprint) else { return Ok(()) };
            let (asks, choices): (Vec<Ask>, Vec<String>) = self.asks(root).into_iter().unzip();
            let question = self.check(root).map_or(String::new(), |check| format!("{}. {check}:", root + 1));
            let Some(chosen) = self.talk.choose(&question, &choices, HELP)? else { return Ok(()) };
            match asks[chosen] {
                Ask::Steps => {
                    let mut sequence = Sequence::of_fix(&self.report, &self.report.roots[root]);
                    sequence.resume(|label, step| {
                        self.mark(&StepId::new(&fingerprint, label, &step.command)).is_some_and(Mark::is_well)
                    });
                    if self.walk(&fingerprint, sequence)? {
                        self.after(&fingerprint)?;
                    }
                }
                Ask::Undo => self.undo(&fingerprint)?,
                Ask::Verify => self.verify(&fingerprint)?,
                Ask::Page => self.explain(root)?,
                Ask::Back => return Ok(()),
                Ask::Quit => return Err(Stop::Quit),
                Ask::Evidence | Ask::Chain | Ask::Changes => {
                    let part = self.part(root, asks[chosen]);
                    self.talk.say(&format!("{part}\n"))?;
                }
            }
        }
    }

    fn asks(&self, root: usize) -> Vec<(Ask, String)> {
        let group = &self.report.roots[root];
        let own = &self.report.findings[group.root];
        let verify = self.report.verification(group).len();
        let mut asks = vec![
            (Ask::Steps, format!("steps: {}", own.remediation.title)),
            (Ask::Evidence, "evidence: what was seen".to_owned()),
            (Ask::Chain, "chain: what it explains".to_owned()),
        ];
        if !own.changes.is_empty() {
            asks.push((Ask::Changes, "before: what was changed shortly before".to_owned()));
        }
        asks.push((Ask::Page, format!("page: kdoctor explain {}", own.check)));
        if verify > 0 {
            asks.push((Ask::Verify, "verify: is it resolved?".to_owned()));
        }
        if !own.remediation.rollback.is_empty() {
            asks.push((Ask::Undo, "undo: the way back".to_owned()));
        }
        let elsewhere = if self.report.roots.len() > 1 { "other root causes" } else { "the whole report" };
        asks.push((Ask::Back, format!("back: {elsewhere}")));
        asks.push((Ask::Quit, "quit".to_owned()));
        asks
    }

    fn part(&self, root: usize, ask: Ask) -> String {
        let table = self.table();
        let pieces = Pieces::new(&self.report, &table);
        match ask {
            Ask::Chain => pieces.chain(root),
            Ask::Changes => pieces.changes(root),
            _ => pieces.evidence(root),
        }
    }

    fn explain(&mut self, root: usize) -> Result<(), Stop> {
        let Some(check) = self.check(root) else { return Ok(()) };
        match self.host.page(check) {
            Ok(page) => self.talk.say(&page),
            Err(error) => self.complain(&format!("{error:#}")),
        }
    }

    /// Behind the last step: is it resolved?
    fn after(&mut self, fingerprint: &str) -> Result<(), Stop> {
        if !self.is_live() {
            let mut page = self.page();
            page.blank();
            page.line(2, &[("That was the last step.", bold())]);
            page.paragraph(2, "", "Here it ends: what was recorded cannot be looked at again.", dim());
            return self.talk.say(&page.finish());
        }
        self.verify(fingerprint)
    }

    /// Runs what shows that the fix worked, and looks again.
    fn verify(&mut self, fingerprint: &str) -> Result<(), Stop> {
        let Some(root) = self.place_of(fingerprint) else { return Ok(()) };
        let steps: Vec<Step> = self.report.verification(&self.report.roots[root]).into_iter().cloned().collect();
        let mut page = self.page();
        page.blank();
        page.line(2, &[("verify", bold())]);
        for step in &steps {
            page.paragraph(4, "· ", &step.text, plain());
            page.command(6, &step.command, cyan());
        }
        page.blank();
        self.talk.say(&page.finish())?;
        if self.options.may_run == MayRun::Yes {
            self.run_verification(fingerprint, &steps)?;
        }
        if !self.is_live() {
            return Ok(());
        }
        self.until_resolved(fingerprint)
    }

    fn run_verification(&mut self, fingerprint: &str, steps: &[Step]) -> Result<(), Stop> {
        let fits = |s: &&Step| s.kind.is_shell() && s.risk == Risk::ReadOnly && manner::of(&s.command) == Manner::Plain;
        let (steps, lacking): (Vec<&Step>, Vec<&Step>) =
            steps.iter().filter(fits).partition(|step| lack(&step.command).is_none());
        for step in lacking {
            let why = lack(&step.command).unwrap_or_default();
            self.complain(&format!("not run: {} ({why})", step.text))?;
        }
        if steps.is_empty() {
            return Ok(());
        }
        let question = match steps.len() {
            1 => "Run this command? It only looks.".to_owned(),
            n => format!("Run these {n} commands? They only look."),
        };
        if !self.talk.confirm(&question)? {
            self.record.note("verification was not run");
            return Ok(());
        }
        for (number, step) in steps.iter().enumerate() {
            let label = format!("verify {} of {}", number + 1, steps.len());
            let id = StepId::new(fingerprint, &label, &step.command);
            let finished = self.run_shown(&id, &step.command, Risk::ReadOnly)?;
            if finished.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// Looks again, once or until it is resolved.
    fn until_resolved(&mut self, fingerprint: &str) -> Result<(), Stop> {
        loop {
            let patience = self.options.patience.as_secs();
            let limit = if patience < 120 { format!("{patience} s") } else { format!("{} min", patience / 60) };
            let choices = [
                "look again now".to_owned(),
                format!("wait until it is resolved: a look every {} s, for {limit} at most", BETWEEN.as_secs()),
                "back".to_owned(),
            ];
            match self.talk.choose("Is it resolved?", &choices, HELP)? {
                Some(0) => {
                    let fates = self.look_and_tell()?;
                    if is_over(&fates, fingerprint) {
                        return Ok(());
                    }
                }
                Some(1) => {
                    let fates = self.wait(fingerprint)?;
                    self.tell(&fates)?;
                    if is_over(&fates, fingerprint) {
                        return Ok(());
                    }
                }
                _ => return Ok(()),
            }
        }
    }

    /// Looks again and again, until it is resolved or the time is over; gives what became of everything since the begin.
    fn wait(&mut self, fingerprint: &str) -> Result<Vec<Fate>, Stop> {
        let (start, before) = (Instant::now(), self.report.clone());
        loop {
            let has_looked = self.look_again()?.is_some();
            let mut fates = verify::compare(&before, &self.report);
            if has_looked && is_over(&fates, fingerprint) {
                return Ok(fates);
            }
            if !has_looked {
                let unseen = || Became::Unknown("the last look failed".to_owned());
                fates.iter_mut().for_each(|fate| fate.became = unseen());
            }
            let own = fates.iter().find(|f| f.fingerprint == fingerprint);
            let is_known = own.is_some_and(|fate| !matches!(fate.became, Became::Unknown(_)));
            let is_now = own.map_or(String::new(), Fate::told);
            let waited = start.elapsed();
            let mut page = self.page();
            page.paragraph(2, "· ", &format!("after {} s: {is_now}", waited.as_secs()), dim());
            self.talk.say(&page.finish())?;
            if waited + BETWEEN > self.options.patience {
                let told = if is_known { "it is not resolved yet" } else { "whether it is resolved is not known" };
                self.complain(&format!("the time is over: {told}"))?;
                self.record.note("waited until the time was over");
                return Ok(fates);
            }
            waiting::pause(BETWEEN, self.talk.printer().progress && self.talk.draws());
        }
    }

    fn undo(&mut self, fingerprint: &str) -> Result<(), Stop> {
        if let Some(sequence) = self.rollback(fingerprint) {
            self.walk(fingerprint, sequence)?;
        }
        Ok(())
    }

    /// The way back from a fix, which is taken from now on.
    pub(super) fn rollback(&self, fingerprint: &str) -> Option<Sequence> {
        let sequence = Sequence::of_rollback(&self.root_of(fingerprint)?.remediation);
        self.record.note("undoes the fix");
        Some(sequence)
    }

    /// How commands of this risk are run.
    pub(super) fn way(&self, command: &str, risk: Risk) -> Way {
        let takes_terminal = manner::of(command) == Manner::Terminal;
        // Whatever changes something is left to end by itself.
        let limit = (risk == Risk::ReadOnly).then_some(self.options.patience);
        Way { limit, takes_terminal, progress: self.talk.printer().progress && self.talk.draws() }
    }
}

/// What a command lacks to be run: a value that is open, a tool that is not there.
fn lack(command: &str) -> Option<String> {
    if let Some(name) = pages::names(command, pages::Language::Shell).first() {
        return Some(format!("<{name}> has no value"));
    }
    tools::missing(command).first().map(Missing::told)
}

fn is_over(fates: &[Fate], fingerprint: &str) -> bool {
    fates.iter().any(|fate| fate.fingerprint == fingerprint && fate.became == Became::Resolved)
}
