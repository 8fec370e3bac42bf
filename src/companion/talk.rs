//! The talk with the person: what is said, and what is asked. Two manners: prompts with arrow keys, or numbered lists and
//! whole lines, for screen readers and terminals without a cursor.

use std::fmt;
use std::io::{self, BufRead, Write};

use inquire::ui::{Attributes, Color, RenderConfig, StyleSheet, Styled};
use inquire::validator::{StringValidator, Validation};
use inquire::{Confirm, InquireError, Password, PasswordDisplayMode, Select, Text};
use termimad::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use termimad::crossterm::terminal::{disable_raw_mode, enable_raw_mode};

use super::Stop;
use crate::term::{Printer, sanitize};

/// Lines of a list that are shown at once.
const PAGE: usize = 12;
/// Columns that a list needs for itself.
const MARGIN: usize = 6;

/// How it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// With arrow keys.
    Keys,
    /// By numbers and whole lines: nothing moves the cursor.
    Lines,
}

/// Says and asks.
pub(super) struct Talk<'a> {
    printer: &'a Printer,
    manner: Manner,
}

/// One of several things to choose from.
struct Choice {
    at: usize,
    text: String,
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Why an answer cannot be taken; fine where it can.
pub(super) trait Fits: Fn(&str) -> Result<(), String> + Clone + 'static {}

impl<F: Fn(&str) -> Result<(), String> + Clone + 'static> Fits for F {}

impl<'a> Talk<'a> {
    pub(super) fn new(printer: &'a Printer, manner: Manner) -> Self {
        Self { printer, manner }
    }

    /// As the terminal is now.
    pub(super) fn printer(&self) -> Printer {
        self.printer.resized()
    }

    /// Something may be drawn over: a line that tells that one waits.
    pub(super) fn draws(&self) -> bool {
        self.manner == Manner::Keys
    }

    /// Says something that is laid out already.
    pub(super) fn say(&self, text: &str) -> Result<(), Stop> {
        self.printer.stdout(text).map_err(|error| Stop::Failed(error.into()))
    }

    /// Which of them; `None`: none of them, but back.
    pub(super) fn choose(&self, question: &str, choices: &[String], help: &str) -> Result<Option<usize>, Stop> {
        let width = self.printer().width.unwrap_or(80).saturating_sub(MARGIN);
        let all = choices.iter().enumerate().map(|(at, text)| Choice { at, text: cut(&sanitize(text), width) });
        let all: Vec<Choice> = all.collect();
        if self.manner == Manner::Lines {
            return self.choose_by_number(question, &all);
        }
        // What begins with the letters that are typed comes before what only holds them.
        let scorer = |input: &str, choice: &Choice, text: &str, at: usize| {
            let begins = text.to_lowercase().starts_with(&input.to_lowercase());
            let score = Select::<Choice>::DEFAULT_SCORER(input, choice, text, at);
            if begins { Some(10_000 - i64::try_from(at).unwrap_or(0)) } else { score }
        };
        let question = &sanitize(question);
        // The answer stands behind the question, on one line.
        let left = width.saturating_sub(textwrap::core::display_width(question));
        let short = |chosen: inquire::list_option::ListOption<&Choice>| cut(&chosen.value.text, left.max(PAGE));
        let select = Select::new(question, all)
            .with_formatter(&short)
            .with_page_size(PAGE)
            .with_help_message(help)
            .with_scorer(&scorer)
            .with_render_config(self.look());
        answered(select.prompt()).map(|choice| choice.map(|c| c.at))
    }

    fn choose_by_number(&self, question: &str, all: &[Choice]) -> Result<Option<usize>, Stop> {
        loop {
            let mut text = format!("{}\n", sanitize(question));
            for choice in all {
                text.push_str(&format!("  {}: {}\n", choice.at + 1, choice.text));
            }
            self.say(&text)?;
            let Some(answer) = self.line("number, or the beginning of it (nothing: back)")? else { return Ok(None) };
            let begins = |c: &&Choice| c.text.to_lowercase().starts_with(&answer.to_lowercase());
            let found: Vec<&Choice> = match answer.parse::<usize>() {
                Ok(number) => all.iter().filter(|c| c.at + 1 == number).collect(),
                Err(_) => all.iter().filter(begins).collect(),
            };
            match found.first() {
                Some(first) => return Ok(Some(first.at)),
                None => self.say("that is not one of them\n")?,
            }
        }
    }

    /// True only for an explicit yes.
    pub(super) fn confirm(&self, question: &str) -> Result<bool, Stop> {
        if self.manner == Manner::Lines {
            let answer = self.line(&format!("{question} y or N"))?.unwrap_or_default();
            return Ok(matches!(answer.to_lowercase().as_str(), "y" | "yes"));
        }
        let question = &sanitize(question);
        let confirm = Confirm::new(question).with_default(false).with_error_message("y or n");
        let confirm = confirm.with_render_config(self.look());
        answered(confirm.prompt()).map(|yes| yes.unwrap_or(false))
    }

    /// A line of text that fits; `None`: back.
    pub(super) fn text(&self, question: &str, help: &str, fits: impl Fits) -> Result<Option<String>, Stop> {
        if self.manner == Manner::Lines {
            return self.until_it_fits(fits, || self.line(&format!("{question} ({help})")));
        }
        let question = &sanitize(question);
        let text = Text::new(question).with_help_message(help).with_validator(validator(fits));
        answered(text.with_render_config(self.look()).prompt())
    }

    /// The same of what nobody may read over the person's shoulder.
    pub(super) fn secret(&self, question: &str, help: &str, fits: impl Fits) -> Result<Option<String>, Stop> {
        if self.manner == Manner::Lines {
            return self.until_it_fits(fits, || self.unseen_line(&format!("{question} (not shown; {help})")));
        }
        let question = &sanitize(question);
        let password = Password::new(question)
            .with_display_mode(PasswordDisplayMode::Masked)
            .without_confirmation()
            .with_help_message(help)
            .with_validator(validator(fits));
        answered(password.with_render_config(self.look()).prompt())
    }

    /// Asks again, and says why, until the answer fits.
    fn until_it_fits(
        &self,
        fits: impl Fits,
        ask: impl Fn() -> Result<Option<String>, Stop>,
    ) -> Result<Option<String>, Stop> {
        loop {
            let Some(answer) = ask()? else { return Ok(None) };
            match fits(&answer) {
                Ok(()) => return Ok(Some(answer)),
                Err(why) => self.say(&format!("{why}\n"))?,
            }
        }
    }

    fn ask(&self, question: &str) -> Result<(), Stop> {
        let asked = write!(io::stderr(), "{}: ", sanitize(question)).and_then(|()| io::stderr().flush());
        asked.map_err(|error| Stop::Failed(error.into()))
    }

    /// A line of the terminal as it is; `None` where it is empty.
    fn line(&self, question: &str) -> Result<Option<String>, Stop> {
        self.ask(question)?;
        let mut answer = String::new();
        match io::stdin().lock().read_line(&mut answer) {
            Ok(0) => Err(Stop::Quit),
            Ok(_) => Ok(Some(answer.trim().to_owned()).filter(|a| !a.is_empty())),
            Err(error) => Err(Stop::Failed(error.into())),
        }
    }

    /// A line that is not shown; `None` where it is empty.
    fn unseen_line(&self, question: &str) -> Result<Option<String>, Stop> {
        self.ask(question)?;
        let failed = |error: io::Error| Stop::Failed(error.into());
        enable_raw_mode().map_err(failed)?;
        let typed = unseen();
        disable_raw_mode().map_err(failed)?;
        self.say("\n")?;
        typed
    }

    fn look(&self) -> RenderConfig<'static> {
        let plain = RenderConfig::empty()
            .with_prompt_prefix(Styled::new("?"))
            .with_answered_prompt_prefix(Styled::new("·"))
            .with_highlighted_option_prefix(Styled::new("❯"))
            .with_canceled_prompt_indicator(Styled::new("back"));
        if !self.printer.color {
            return plain;
        }
        let cyan = StyleSheet::new().with_fg(Color::DarkCyan);
        RenderConfig {
            prompt_prefix: Styled::new("?").with_fg(Color::DarkCyan),
            highlighted_option_prefix: Styled::new("❯").with_fg(Color::DarkCyan),
            selected_option: Some(cyan.with_attr(Attributes::BOLD)),
            answer: cyan,
            ..plain
        }
    }
}

/// What fits, as prompts take it.
fn validator(fits: impl Fits) -> impl StringValidator {
    move |text: &str| match fits(text) {
        Ok(()) => Ok(Validation::Valid),
        Err(why) => Ok(Validation::Invalid(why.into())),
    }
}

/// What is typed up to Enter, in raw mode: nothing of it is shown. `None` after Esc, or where it is empty.
fn unseen() -> Result<Option<String>, Stop> {
    let mut typed = String::new();
    loop {
        let Event::Key(key) = event::read().map_err(|error| Stop::Failed(error.into()))? else { continue };
        if key.kind == KeyEventKind::Release {
            continue;
        }
        let with_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if with_control => return Err(Stop::Interrupted),
            KeyCode::Char('d') if with_control => return Err(Stop::Quit),
            KeyCode::Enter => return Ok(Some(typed.trim().to_owned()).filter(|t| !t.is_empty())),
            KeyCode::Esc => return Ok(None),
            KeyCode::Backspace => _ = typed.pop(),
            KeyCode::Char(letter) if !with_control => typed.push(letter),
            _ => {}
        }
    }
}

/// Esc is back, Ctrl-C is the end.
fn answered<T>(result: Result<T, InquireError>) -> Result<Option<T>, Stop> {
    match result {
        Ok(answer) => Ok(Some(answer)),
        Err(InquireError::OperationCanceled) => Ok(None),
        Err(InquireError::OperationInterrupted) => Err(Stop::Interrupted),
        Err(error) => Err(Stop::Failed(error.into())),
    }
}

/// One line of at most `width` columns.
fn cut(text: &str, width: usize) -> String {
    if textwrap::core::display_width(text) <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    for letter in text.chars() {
        if textwrap::core::display_width(&out) + 2 > width {
            break;
        }
        out.push(letter);
    }
    format!("{}…", out.trim_end())
}
