//! Strict readers of the files of the stack: text in, problems with their place out. No snapshot, no I/O.

pub mod alertmanager;
mod frame;
pub(crate) mod go;
mod helm;
pub mod kubernetes;
pub mod operator;
pub mod prometheus;
pub(crate) mod promql;
pub mod rules;
mod strict;
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

    /// Says what was meant.
    #[must_use]
    pub fn instead(mut self, meant: Option<impl Into<String>>) -> Self {
        self.instead = meant.map(Into::into);
        self
    }
}

/// True where something puts another text there before the program sees it.
pub(crate) fn is_filled_in(text: &str) -> bool {
    text.contains(['$', '{'])
}
