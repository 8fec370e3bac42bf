//! Texts that stand inside of another document, with places of the file.

use super::yaml::{self, Node, Value};
use super::{Place, Problem};

/// Where a text inside of a document begins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Start {
    /// Its lines are lines of the file.
    Block {
        /// Lines of the file before its first.
        before: usize,
        /// Columns before its first.
        indent: usize,
    },
    /// It is folded or quoted: only where it begins is known.
    Point(Place),
}

impl Start {
    /// Of a text that a node at `place` of the file holds.
    pub(crate) fn of(file: &str, text: &str, place: Place) -> Self {
        let Some((at, first)) = text.lines().enumerate().find(|(_, l)| !l.trim().is_empty()) else {
            return Self::Point(place);
        };
        let near = file.lines().enumerate().skip(place.line.saturating_sub(1)).take(at + 3);
        let indent = |line: &str| line.strip_suffix(first).filter(|i| i.chars().all(|c| c == ' ')).map(str::len);
        let found = near.filter_map(|(number, line)| Some((number.checked_sub(at)?, indent(line)?))).next();
        found.map_or(Self::Point(place), |(before, indent)| Self::Block { before, indent })
    }

    /// The place in the file of a place in the text.
    pub(crate) fn place(self, file: &str, text: &str, place: Place) -> Place {
        match self {
            Self::Point(start) => start,
            Self::Block { before, indent } => {
                let line = before + place.line;
                let same = file.lines().nth(line - 1).map(str::trim) == text.lines().nth(place.line - 1).map(str::trim);
                let end = text.lines().count() < place.line;
                if same || end {
                    Place { line, column: place.column + indent }
                } else {
                    Place { line: before, column: 1 }
                }
            }
        }
    }
}

/// The place in a file of a byte of the text that a node at `place` holds; `None` where it is folded or escaped.
pub(crate) fn of_byte(file: &str, text: &str, place: Place, byte: usize) -> Option<Place> {
    let inner = Place::of_byte(text, byte);
    if !text.trim_end().contains('\n') {
        let raw = file.lines().nth(place.line.checked_sub(1)?)?;
        let from = raw.char_indices().nth(place.column.checked_sub(1)?)?.0;
        let quote = usize::from(raw[from..].starts_with(['"', '\'']));
        if raw[from + quote..].starts_with(text.trim_end()) {
            return Some(Place { line: place.line, column: place.column + quote + inner.column - 1 });
        }
    }
    match Start::of(file, text, place) {
        start @ Start::Block { .. } => Some(start.place(file, text, inner)),
        Start::Point(_) => None,
    }
}

/// Reads a text that a node at `place` of a file holds: its nodes have places of the file.
///
/// # Errors
/// The fault, if the text is not YAML.
pub(crate) fn documents(file: &str, text: &str, place: Place) -> Result<Vec<Node>, Problem> {
    let start = Start::of(file, text, place);
    match yaml::documents(text) {
        Ok(mut all) => {
            all.iter_mut().for_each(|node| shift(node, &|inner| start.place(file, text, inner)));
            Ok(all)
        }
        Err((_, mut problem)) => {
            problem.place = start.place(file, text, problem.place);
            Err(problem)
        }
    }
}

fn shift(node: &mut Node, to: &dyn Fn(Place) -> Place) {
    node.place = to(node.place);
    match &mut node.value {
        Value::Scalar { .. } => {}
        Value::Sequence(items) => items.iter_mut().for_each(|item| shift(item, to)),
        Value::Mapping(entries) => entries.iter_mut().for_each(|(key, value)| {
            shift(key, to);
            shift(value, to);
        }),
    }
}
