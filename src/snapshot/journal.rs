//! What was looked at and could not be seen. Every accessor of the snapshot that meets a gap leaves a note here, so that
//! a check cannot say that all is well on something that it looked at in vain, however it took the gap.

use std::cell::RefCell;

use indexmap::IndexSet;

use crate::model::Gap;

thread_local! {
    /// Notes of the check that this thread runs; `None` where nobody asked for them.
    static NOTES: RefCell<Option<IndexSet<Gap>>> = const { RefCell::new(None) };
}

/// Does something, and says which gaps it met, in the order in which it met them, each once. What is done must not panic.
pub fn watched<R>(work: impl FnOnce() -> R) -> (R, Vec<Gap>) {
    let before = NOTES.replace(Some(IndexSet::new()));
    let result = work();
    (result, NOTES.replace(before).unwrap_or_default().into_iter().collect())
}

/// A look whose gaps decide nothing: what it adds is told beside a verdict and never changes it. The reason belongs into
/// a comment of the caller.
pub fn aside<R>(look: impl FnOnce() -> R) -> R {
    let notes = NOTES.take();
    let result = look();
    NOTES.replace(notes);
    result
}

/// Notes a gap that somebody met.
pub(crate) fn note(gap: &Gap) {
    NOTES.with_borrow_mut(|notes| {
        if let Some(notes) = notes.as_mut().filter(|all| !all.contains(gap)) {
            notes.insert(gap.clone());
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::GapCause;

    #[test]
    fn what_is_met_is_noted_once_and_only_while_watched() {
        let gap = |what: &str| Gap::new(what, GapCause::Timeout, "");
        note(&gap("before"));
        let ((), met) = watched(|| {
            note(&gap("one"));
            aside(|| note(&gap("beside")));
            note(&gap("one"));
            note(&gap("two"));
        });
        assert_eq!(met, [gap("one"), gap("two")]);
    }
}
