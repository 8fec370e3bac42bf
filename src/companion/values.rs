//! Asks for the values that only the person can know, and puts them into the command.

use super::Stop;
use super::session::{Companion, HELP};
use super::work::Work;
use crate::model::Placeholder;
use crate::pages;
use crate::render::{bold, cyan, dim};
use crate::text::credential::is_like_credential;

impl Companion<'_> {
    /// Fills in what is open; `again`: also what was chosen before. True where the command changed.
    pub(super) fn fill(&mut self, fingerprint: &str, work: &mut Work, again: bool) -> Result<bool, Stop> {
        let mut command = work.step.command.clone();
        let placeholders = work.step.placeholders.clone();
        for placeholder in &placeholders {
            let key = (fingerprint.to_owned(), placeholder.name.clone());
            let known = self.values.get(&key).filter(|_| !again).cloned();
            let count = pages::wanted(&command, &placeholder.name);
            let values = match known {
                Some(values) => values,
                None => match self.ask_values(placeholder, count)? {
                    Some(values) => values,
                    None => continue,
                },
            };
            match pages::fill(&command, work.language(), &placeholder.name, &values) {
                Ok(filled) => {
                    command = filled;
                    if !is_secret(&placeholder.name) {
                        self.record.note(&format!("{}: <{}> is {}", work.label, placeholder.name, values.join(", ")));
                    }
                    self.values.insert(key, values);
                }
                Err(why) => self.complain(&why)?,
            }
        }
        let changed = command != work.command;
        work.command = command;
        Ok(changed)
    }

    /// A value for each place of a list; `None` where one of them is left open.
    fn ask_values(&mut self, placeholder: &Placeholder, count: usize) -> Result<Option<Vec<String>>, Stop> {
        let mut page = self.page();
        page.line(2, &[(&format!("<{}>", placeholder.name), bold()), (" has to be chosen", dim())]);
        if !placeholder.how.is_empty() {
            page.line(4, &[("how to find it:", dim())]);
            page.command(6, &placeholder.how, cyan());
        }
        self.talk.say(&page.finish())?;
        let mut values = Vec::new();
        for number in 1..=count.max(1) {
            let of = if count > 1 { format!(" ({number} of {count})") } else { String::new() };
            match self.ask_value(placeholder, &of)? {
                Some(value) => {
                    if is_secret(&placeholder.name) {
                        self.record.keep_secret(&value);
                    }
                    values.push(value);
                }
                None => return Ok(None),
            }
        }
        Ok(Some(values))
    }

    fn ask_value(&mut self, placeholder: &Placeholder, of: &str) -> Result<Option<String>, Stop> {
        let question = format!("<{}>{of}:", placeholder.name);
        let candidates = &placeholder.candidates;
        if !candidates.is_empty() {
            let mut choices = candidates.clone();
            choices.push("another value".to_owned());
            choices.push("leave it open".to_owned());
            match self.talk.choose(&question, &choices, HELP)? {
                Some(at) if at < candidates.len() => return Ok(Some(candidates[at].clone())),
                Some(at) if at == candidates.len() => {}
                _ => return Ok(None),
            }
        }
        let fits = |text: &str| if text.is_empty() { Ok(()) } else { pages::judge(text) };
        let help = "nothing or Esc: it stays open";
        let value = match is_secret(&placeholder.name) {
            true => self.talk.secret(&question, help, fits)?,
            false => self.talk.text(&question, help, fits)?,
        };
        Ok(value.map(|v| v.trim().to_owned()).filter(|v| !v.is_empty()))
    }
}

/// Nobody else may read what is typed for it: the name says so, or a secret stood there.
fn is_secret(name: &str) -> bool {
    name == "redacted" || is_like_credential(name)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn pages_below(folder: &Path, all: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                pages_below(&path, all);
            } else {
                all.push(std::fs::read_to_string(path).expect("a page"));
            }
        }
    }

    #[test]
    fn the_names_that_pages_ask_for_are_shown_as_they_are_typed() {
        let mut all = Vec::new();
        pages_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("checks"), &mut all);
        let names: Vec<String> = all.iter().flat_map(|page| pages::names(page, pages::Language::File)).collect();
        assert!(names.iter().any(|name| name == "secret-name"), "{names:?}");
        let hidden: Vec<&String> = names.iter().filter(|name| is_secret(name)).collect();
        assert!(hidden.is_empty(), "a page asks where a secret is, never for it: {hidden:?}");
        assert!(is_secret("redacted") && is_secret("password"));
    }
}
