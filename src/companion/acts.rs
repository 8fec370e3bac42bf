//! What is done with a step without running it: copied, edited, looked at by a dry run.

use owo_colors::Style;

use super::session::Companion;
use super::work::Work;
use super::{Stop, clipboard, dry_run, editor, effect, process};
use crate::model::Risk;
use crate::render::{bold, dim, plain};

impl Companion<'_> {
    /// Hands it to the clipboard.
    pub(super) fn copy(&mut self, work: &Work) -> Result<(), Stop> {
        let between = clipboard::Between::detect();
        let terminal = clipboard::sequence(&work.command, between);
        let desktop = clipboard::desktop(&work.command);
        if let Some(sequence) = &terminal {
            // It is for the terminal itself, which shows nothing of it.
            self.talk.say(sequence)?;
        }
        let how = match (desktop, terminal.is_some()) {
            (Some(tool), _) => format!("copied, by {tool}"),
            (None, true) => "handed to the terminal's clipboard; where it has none, take it from here:".to_owned(),
            (None, false) => "too long for the terminal's clipboard; take it from here:".to_owned(),
        };
        let mut page = self.page();
        page.paragraph(2, "· ", &how, dim());
        if desktop.is_none() {
            // As one piece, so that it can be marked and copied.
            page.excerpt(0, &self.record.clean_values(&work.command), plain());
        }
        page.blank();
        self.record.note_with(&format!("{}: copied", work.label), &[("sh", &work.command)]);
        self.talk.say(&page.finish())
    }

    /// Opens it in the editor; true where it was changed.
    pub(super) fn edit(&mut self, work: &mut Work) -> Result<bool, Stop> {
        match editor::edit(&work.command) {
            Ok(None) => {
                self.complain("nothing was changed")?;
                Ok(false)
            }
            Ok(Some(edited)) => {
                work.risk = effect::risk(&edited, work.risk.max(Risk::Change));
                work.command = edited;
                work.is_edited = true;
                self.record.note_with(&format!("{}: edited", work.label), &[("sh", &work.command)]);
                Ok(true)
            }
            Err(error) => {
                self.complain(&format!("{error:#}"))?;
                Ok(false)
            }
        }
    }

    /// Shows what it would change.
    pub(super) fn diff(&mut self, work: &Work) -> Result<(), Stop> {
        let dry = match dry_run::of(&work.command) {
            Ok(dry) => dry,
            Err(why) => return self.complain(&format!("no dry run: {why}")),
        };
        let mut page = self.page();
        page.blank();
        page.paragraph(2, "· ", "asks the API server; nothing is changed by it", dim());
        page.blank();
        if work.is_edited {
            // What a person wrote may do more than is read from its words.
            page.command(4, &self.record.clean_values(&dry.command), plain());
        }
        self.talk.say(&page.finish())?;
        if work.is_edited && !self.talk.confirm("The command was edited. Run it with these flags?")? {
            return self.complain("not asked");
        }
        let limit = self.options.patience;
        let mut is_interrupted = false;
        let asked = dry_run::ask(&dry, |command| {
            let captured = process::capture(command, limit)?;
            is_interrupted |= captured.is_interrupted;
            Ok(captured)
        });
        if is_interrupted {
            self.record.note(&format!("{}: the dry run was interrupted", work.label));
            return Err(Stop::Interrupted);
        }
        let shown = match asked {
            Ok(shown) => shown,
            Err(why) => {
                self.record.note_with(&format!("{}: the dry run failed", work.label), &[("text", &why)]);
                return self.complain(&format!("the dry run failed: {why}"));
            }
        };
        let mut page = self.page();
        if !shown.words.is_empty() {
            page.verbatim(4, &self.record.clean(&shown.words), plain(), 40);
        }
        let mut written = shown.words.clone();
        for change in &shown.changes {
            page.line(2, &[(&crate::term::sanitize(&self.record.clean_values(&change.object)), bold())]);
            if change.diff.is_empty() {
                page.line(4, &[("nothing changes", dim())]);
            }
            for line in change.diff.lines() {
                page.excerpt(4, &self.record.clean_values(line), diff_style(line));
            }
            written.push_str(&format!("{}\n{}\n", change.object, change.diff));
        }
        page.blank();
        self.record.note_with(&format!("{}: looked at what it would change", work.label), &[("diff", &written)]);
        self.talk.say(&page.finish())
    }
}

fn diff_style(line: &str) -> Style {
    match line.chars().next() {
        Some('+') => Style::new().green(),
        Some('-') => Style::new().red(),
        Some('@') => Style::new().cyan(),
        _ => plain(),
    }
}
