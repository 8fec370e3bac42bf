//! Findings of one check with one cause are one finding, about the cause, with one fix for all its victims.

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

/// Adds the steps that only other victims need.
fn join(fix: &mut Remediation, others: Vec<Remediation>) {
    let (mut steps, mut verify, mut rollback) = (Vec::new(), Vec::new(), Vec::new());
    let mut options: Vec<(FixOption, Vec<Step>)> =
        std::mem::take(&mut fix.options).into_iter().map(|o| (o, Vec::new())).collect();
    for other in others {
        steps.extend(other.steps);
        verify.extend(other.verify);
        rollback.extend(other.rollback);
        for option in other.options {
            match options.iter_mut().find(|(o, _)| o.title == option.title) {
                Some((_, more)) => more.extend(option.steps),
                None => options.push((option, Vec::new())),
            }
        }
    }
    add(&mut fix.steps, steps);
    add(&mut fix.verify, verify);
    add(&mut fix.rollback, rollback);
    for (mut option, more) in options {
        add(&mut option.steps, more);
        fix.options.push(option);
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
