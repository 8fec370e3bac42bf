//! A fact as it was read: there, missing, or there with holes; and a text of which only its reader learns that it is not.

use std::ops::{Deref, DerefMut};

use super::{Fetched, journal};
use crate::model::Gap;

/// A fact. Whoever looks at it and meets a gap leaves a note in the [`journal`].
#[derive(Debug, Clone)]
pub struct Reading<T> {
    value: Fetched<T>,
    holes: Vec<Gap>,
}

impl<T> Reading<T> {
    /// What was read, without that which these gaps are about: one of several documents behind the fact.
    pub fn with_holes(value: Fetched<T>, holes: Vec<Gap>) -> Self {
        Self { value, holes }
    }

    /// The same, without that which these gaps are about as well.
    pub fn lacking(mut self, gaps: impl IntoIterator<Item = Gap>) -> Self {
        self.holes.extend(gaps);
        self
    }

    /// Everything that is missing of it.
    pub fn gaps(&self) -> impl Iterator<Item = &Gap> {
        self.value.as_ref().err().into_iter().chain(&self.holes)
    }
}

impl<T> Reading<Vec<T>> {
    /// What several documents gave together; missing where none of them could be read.
    pub fn of_parts(parts: Vec<T>, mut gaps: Vec<Gap>) -> Self {
        if parts.is_empty() && !gaps.is_empty() {
            return Self { value: Err(gaps.remove(0)), holes: gaps };
        }
        Self::with_holes(Ok(parts), gaps)
    }
}

/// A text that may not have been read. Whoever looks at it then leaves a note in the [`journal`]; who looks at another
/// text of the same fact does not.
#[derive(Debug, Clone, Default)]
pub struct Text {
    text: String,
    unread: Option<Gap>,
}

impl Text {
    /// A text that could not be read.
    pub fn unread(gap: Gap) -> Self {
        Self { text: String::new(), unread: Some(gap) }
    }

    /// Why it could not be read.
    pub fn gap(&self) -> Option<&Gap> {
        self.unread.as_ref()
    }
}

impl<T: Into<String>> From<T> for Text {
    fn from(text: T) -> Self {
        Self { text: text.into(), unread: None }
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.unread.iter().for_each(journal::note);
        &self.text
    }
}

impl<T> From<Fetched<T>> for Reading<T> {
    fn from(value: Fetched<T>) -> Self {
        Self { value, holes: Vec::new() }
    }
}

impl<T> Deref for Reading<T> {
    type Target = Fetched<T>;

    fn deref(&self) -> &Fetched<T> {
        self.gaps().for_each(journal::note);
        &self.value
    }
}

impl<T> DerefMut for Reading<T> {
    fn deref_mut(&mut self) -> &mut Fetched<T> {
        &mut self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::GapCause;

    #[test]
    fn only_who_looks_meets_what_is_missing() {
        let gap = |what: &str| Gap::new(what, GapCause::Timeout, "");
        let texts: Reading<Vec<Text>> = Reading::with_holes(Ok(vec!["a".into(), Text::unread(gap("b"))]), Vec::new());
        let look = |at: usize| journal::watched(|| texts.as_ref().map(|t| t[at].len())).1;
        assert_eq!(look(0), []);
        assert_eq!(look(1), [gap("b")]);
        let parts = Reading::of_parts(vec![1], vec![gap("c")]);
        assert_eq!(journal::watched(|| parts.is_ok()), (true, vec![gap("c")]));
        let none: Reading<Vec<u8>> = Reading::of_parts(Vec::new(), vec![gap("c"), gap("d")]);
        assert!(none.is_err() && none.gaps().count() == 2);
    }
}
