//! Findings of one check with one cause are one finding, about the cause, with one fix for all its victims.

use std::collections::BTreeSet;
use std::hash::Hash;

use indexmap::{IndexMap, IndexSet};

use crate::model::{Finding, FixOption, Remediation, ResourceRef, Step};

/// Findings with one fingerprint are one finding: what one says of subjects and causes, the other keeps. Each stands where
/// the first of its kind stood.
pub(super) fn merged(findings: Vec<Finding>) -> Vec<Finding> {
    let mut kinds: IndexMap<String, (Finding, Vec<Finding>)> = IndexMap::new();
    for finding in findings {
        match kinds.get_mut(&finding.fingerprint) {
            Some((_, others)) => others.push(finding),
            None => {
                kinds.insert(finding.fingerprint.clone(), (about_its_cause(finding), Vec::new()));
            }
        }
    }
    kinds.into_values().map(|(first, others)| one(first, others)).collect()
}

/// Makes the cause the main subject, where it is a resource. What it breaks stays: the cause and its victims.
fn about_its_cause(mut finding: Finding) -> Finding {
    let Some(subject) = finding.cause.as_ref().and_then(|c| c.subject.clone()) else { return finding };
    if let Some(breaks) = &mut finding.breaks {
        breaks.push(subject.clone());
    }
    finding.subjects.retain(|s| *s != subject);
    finding.subjects.insert(0, subject);
    finding
}

/// The first with all that the others say.
fn one(mut first: Finding, others: Vec<Finding>) -> Finding {
    if others.is_empty() {
        return first;
    }
    if first.breaks.is_some() || others.iter().any(|f| f.breaks.is_some()) {
        let broken: Vec<ResourceRef> =
            first.broken().iter().chain(others.iter().flat_map(|f| f.broken())).cloned().collect();
        first.breaks = Some(broken);
    }
    let mut fixes = Vec::new();
    let (mut more_subjects, mut more_evidence) = (Vec::new(), Vec::new());
    for finding in others {
        more_subjects.extend(finding.subjects);
        more_evidence.extend(finding.evidence);
        first.depends_on.extend(finding.depends_on);
        first.fix_needs.extend(finding.fix_needs);
        first.locations.extend(finding.locations);
        fixes.push(finding.remediation);
    }
    add(&mut first.subjects, more_subjects);
    add(&mut first.evidence, more_evidence);
    if let Some(cause) = &first.cause {
        first.message.clone_from(&cause.message);
        join(&mut first.remediation, fixes);
    }
    first
}

/// Joins the fixes of several victims: each step once, and none before what comes before it in one of them. What all end with,
/// such as a look at the whole, comes when all is done.
fn join(fix: &mut Remediation, others: Vec<Remediation>) {
    let (mut steps, mut verify, mut rollback) = (Vec::new(), Vec::new(), Vec::new());
    let mut options: Vec<(FixOption, Vec<Vec<Step>>)> =
        std::mem::take(&mut fix.options).into_iter().map(|o| (o, Vec::new())).collect();
    for other in others {
        steps.push(other.steps);
        verify.push(other.verify);
        rollback.push(other.rollback);
        for option in other.options {
            match options.iter_mut().find(|(o, _)| o.title == option.title) {
                Some((_, more)) => more.push(option.steps),
                None => options.push((option, Vec::new())),
            }
        }
    }
    in_order(&mut fix.steps, steps);
    in_order(&mut fix.verify, verify);
    in_order(&mut fix.rollback, rollback);
    for (mut option, more) in options {
        in_order(&mut option.steps, more);
        fix.options.push(option);
    }
}

/// One list of several: victim by victim, but what stands later in the list of another one waits for it. Where lists
/// contradict each other, the first is right.
fn in_order<T: Eq + Hash>(first: &mut Vec<T>, more: Vec<Vec<T>>) {
    if more.iter().all(Vec::is_empty) {
        return;
    }
    // Each by its number, in the order in which the lists name them.
    let mut all: IndexSet<T> = IndexSet::new();
    let mut number = |list: Vec<T>| -> Vec<usize> {
        let numbers: IndexSet<usize> = list.into_iter().map(|entry| all.insert_full(entry).0).collect();
        numbers.into_iter().collect()
    };
    let lists: Vec<Vec<usize>> = std::iter::once(std::mem::take(first)).chain(more).map(&mut number).collect();
    let mut all: Vec<Option<T>> = all.into_iter().map(Some).collect();
    // The lists that each stands in, and in how many of them behind something else.
    let mut within: Vec<Vec<usize>> = vec![Vec::new(); all.len()];
    let mut behind = vec![0_usize; all.len()];
    for (at, list) in lists.iter().enumerate() {
        for (place, entry) in list.iter().enumerate() {
            within[*entry].push(at);
            behind[*entry] += usize::from(place > 0);
        }
    }
    let mut free: BTreeSet<usize> = (0..all.len()).filter(|entry| behind[*entry] == 0).collect();
    let mut fronts = vec![0_usize; lists.len()];
    let mut lowest = 0;
    while first.len() < all.len() {
        while all.get(lowest).is_some_and(Option::is_none) {
            lowest += 1;
        }
        let next = free.pop_first().unwrap_or(lowest);
        first.extend(all[next].take());
        for at in &within[next] {
            let (list, front) = (&lists[*at], &mut fronts[*at]);
            if list.get(*front) != Some(&next) {
                continue;
            }
            while list.get(*front).is_some_and(|entry| all[*entry].is_none()) {
                *front += 1;
            }
            if let Some(freed) = list.get(*front) {
                behind[*freed] -= 1;
                if behind[*freed] == 0 {
                    free.insert(*freed);
                }
            }
        }
    }
}

/// Adds what is not there yet.
fn add<T: Eq + Hash>(to: &mut Vec<T>, more: Vec<T>) {
    if more.is_empty() {
        return;
    }
    let all: IndexSet<T> = std::mem::take(to).into_iter().chain(more).collect();
    *to = all.into_iter().collect();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(lists: &[&[&'static str]]) -> Vec<&'static str> {
        let mut lists = lists.iter().map(|l| l.to_vec());
        let mut first = lists.next().unwrap_or_default();
        in_order(&mut first, lists.collect());
        first
    }

    #[test]
    fn what_all_begin_and_end_with_stands_first_and_last() {
        assert_eq!(joined(&[&["root", "a", "all"], &["root", "b", "all"]]), ["root", "a", "b", "all"]);
        assert_eq!(joined(&[&["a", "all"], &["b", "more", "all"], &["c"]]), ["a", "b", "more", "all", "c"]);
        assert_eq!(joined(&[&["a"], &["a"]]), ["a"]);
        assert_eq!(joined(&[&[], &["b", "a", "b"]]), ["b", "a"]);
    }

    #[test]
    fn lists_that_contradict_each_other_end_nevertheless() {
        assert_eq!(joined(&[&["a", "b"], &["b", "a"]]), ["a", "b"]);
        assert_eq!(joined(&[&["a", "b", "c"], &["c", "a", "b"]]), ["a", "b", "c"]);
    }
}
