//! Strict readers of the files of the stack: text in, problems with their place out. No snapshot, no I/O.

pub mod alertmanager;
pub mod charts;
pub(crate) mod dashboard;
mod frame;
pub(crate) mod go;
mod helm;
pub mod kubernetes;
pub mod operator;
pub mod prometheus;
pub(crate) mod promql;
pub mod rules;
mod strict;
pub mod web;
pub(crate) mod within;
pub mod yaml;

use std::fmt;

use crate::text::redact::mask_value_of;

pub use frame::frame;
pub use strict::Version;

/// A place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Place {
    /// The place of a byte of a text.
    pub(crate) fn of_byte(text: &str, at: usize) -> Self {
        let before = text.get(..at).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
        Self { line, column }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Something the program that reads the file would refuse, or silently not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// Path of the node: `scrape_configs[2].static_configs`; empty for the file as a whole.
    pub path: String,
    /// What is wrong, in words that need no other line: "unknown field `metric_path`".
    pub message: String,
    /// What was meant, where that can be told: `metrics_path`.
    pub instead: Option<String>,
    /// Where in the value the program points at, where that is another place.
    pub at: Option<Box<Place>>,
}

impl Problem {
    /// A problem at a place.
    pub fn new(place: Place, path: impl Into<String>, message: impl Into<String>) -> Self {
        let path = path.into();
        let message = mask_value_of(&path, &message.into());
        Self { place, path, message, instead: None, at: None }
    }

    /// Says where the fault is in the value.
    #[must_use]
    pub fn pointing(mut self, at: Option<Place>) -> Self {
        self.at = at.map(Box::new);
        self
    }

    /// Where a caret belongs.
    pub fn caret(&self) -> Place {
        self.at.as_deref().copied().unwrap_or(self.place)
    }

    /// True where the text is not YAML: its places are those of the reader.
    pub(crate) fn is_of_yaml(&self) -> bool {
        self.message.starts_with("not valid YAML")
    }

    /// Says what was meant.
    #[must_use]
    pub fn instead(mut self, meant: Option<impl Into<String>>) -> Self {
        self.instead = meant.map(Into::into);
        self
    }
}

/// A text with another line in place of one.
pub(crate) fn with_line(text: &str, number: usize, line: &str) -> String {
    let mut copy = String::with_capacity(text.len() + line.len());
    for (at, old) in text.split_inclusive('\n').enumerate() {
        if at + 1 == number {
            copy.push_str(line);
            copy.push_str(if old.ends_with('\n') { "\n" } else { "" });
        } else {
            copy.push_str(old);
        }
    }
    copy
}

/// True where something puts another text there before the program sees it.
pub(crate) fn is_filled_in(text: &str) -> bool {
    // Nothing takes a command's result: `$(date)` is the name of a variable to Kustomize, `$(rm -r x)` is none.
    let is_command = text.split_once("$(").is_some_and(|(_, rest)| {
        !rest.split_once(')').is_some_and(|(name, _)| name.chars().all(|c| c.is_alphanumeric() || "_.-/:".contains(c)))
    });
    text.contains(['$', '{']) && !is_command && !text.contains(|c: char| c.is_control())
}
