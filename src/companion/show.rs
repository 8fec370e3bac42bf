//! Shows a step: its text, its command, what that does, its risk, and what it takes.

use owo_colors::Style;

use super::effect::{self, Effect};
use super::session::Companion;
use super::tools;
use super::work::Work;
use super::{MayRun, Stop};
use crate::model::{Risk, Step};
use crate::render::{Page, bold, cyan, dim, plain};

/// What is said where nobody here knows what a command does.
const UNJUDGED: &str = "what it changes is not known here: judge it yourself";

impl Companion<'_> {
    pub(super) fn say_note(&mut self, step: &Step) -> Result<(), Stop> {
        let mut page = self.page();
        page.blank();
        page.paragraph(2, "note: ", &step.text, plain());
        self.talk.say(&page.finish())
    }

    /// A step as a whole: its text, its command, what it does, its risk, and what it takes.
    pub(super) fn show(&mut self, fingerprint: &str, work: &Work) -> Result<(), Stop> {
        let mut page = self.page();
        page.blank();
        let mark = self.mark(&work.id(fingerprint));
        let before = mark.map_or(String::new(), |mark| format!(" · {} {}", mark.sign(), mark.word()));
        let (label, risk) = (capital(&work.label), format!(" · {}", work.risk.as_str()));
        page.line(2, &[(&label, bold()), (&risk, risk_style(work.risk)), (&before, dim())]);
        page.paragraph(2, "", &work.step.text, plain());
        page.blank();
        self.command(&mut page, work);
        page.blank();
        self.talk.say(&page.finish())
    }

    pub(super) fn show_command(&mut self, work: &Work) -> Result<(), Stop> {
        let mut page = self.page();
        page.blank();
        self.command(&mut page, work);
        page.blank();
        self.talk.say(&page.finish())
    }

    fn command(&self, page: &mut Page, work: &Work) {
        let shown = self.record.clean_values(&work.command);
        if !work.step.kind.is_shell() {
            page.excerpt(4, &shown, cyan());
            return;
        }
        page.command(4, &shown, cyan());
        page.blank();
        let effects = effect::all(&work.command);
        let is_unknown = effects.iter().any(|effect| matches!(effect, Effect::Unknown(_)));
        for effect in effects {
            let text = match effect {
                Effect::Changes(text) | Effect::Interrupts(text) | Effect::Deletes(text, _) | Effect::Unknown(text) => {
                    text
                }
                Effect::Looks => continue,
            };
            page.paragraph(2, "· ", &self.record.clean_values(&text), dim());
        }
        let meaning = if is_unknown && work.risk == Risk::Change { UNJUDGED } else { meaning(work.risk) };
        page.paragraph(2, "· ", meaning, dim());
        for tool in tools::missing(&work.command) {
            let from = if tool.source.is_empty() { String::new() } else { format!(": {}", tool.source) };
            let sign = page.paint("! ", Style::new().yellow());
            page.paragraph(2, &sign, &format!("{}{from}", tool.told()), plain());
        }
        if let Some(why) = self.cannot_run(work).filter(|_| self.options.may_run == MayRun::Yes) {
            page.paragraph(2, "· ", &format!("not run from here: {why}"), dim());
        }
    }
}

fn meaning(risk: Risk) -> &'static str {
    match risk {
        Risk::ReadOnly => "it only looks",
        Risk::Change => "it changes configuration; nothing stops working meanwhile",
        Risk::Disruptive => "it interrupts a running component for a moment",
        Risk::Destructive => "it deletes for good: there is no way back",
    }
}

pub(super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

fn risk_style(risk: Risk) -> Style {
    match risk {
        Risk::ReadOnly | Risk::Change => dim(),
        Risk::Disruptive => Style::new().yellow(),
        Risk::Destructive => Style::new().red().bold(),
    }
}
