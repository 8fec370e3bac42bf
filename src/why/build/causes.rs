//! Walks the report's graph of causes for a chain.

use std::collections::{BTreeSet, VecDeque};

use crate::model::Report;

/// What explains a finding, in any number of steps.
fn ancestors(report: &Report, from: usize) -> Vec<usize> {
    let mut all: Vec<usize> = Vec::new();
    let mut open = vec![from];
    while let Some(at) = open.pop() {
        for cause in report.links.get(at).into_iter().flat_map(|l| &l.caused_by) {
            if !all.contains(cause) {
                all.push(*cause);
                open.push(*cause);
            }
        }
    }
    all
}

/// The findings with what explains them, near ones first, up to the roots.
pub(super) fn with_causes(report: &Report, direct: &[usize]) -> Vec<usize> {
    // What another one of them explains comes before it.
    let mut order: Vec<usize> = direct.to_vec();
    order.sort_by_key(|at| direct.iter().filter(|other| ancestors(report, **other).contains(at)).count());
    let mut found: Vec<usize> = Vec::new();
    let mut open = VecDeque::from(order);
    while let Some(at) = open.pop_front() {
        if !found.contains(&at) {
            found.push(at);
            open.extend(report.links.get(at).into_iter().flat_map(|l| &l.caused_by).copied());
        }
    }
    found
}

/// What is told at a link: its findings and what explains them, without what breaks another link and what lies behind that.
pub(super) fn told_here(report: &Report, direct: &[usize], elsewhere: &BTreeSet<usize>) -> Vec<usize> {
    let all = with_causes(report, direct);
    let other: Vec<usize> = all.iter().copied().filter(|at| elsewhere.contains(at) && !direct.contains(at)).collect();
    let behind: BTreeSet<usize> = other.iter().flat_map(|at| ancestors(report, *at)).chain(other.clone()).collect();
    all.into_iter().filter(|at| direct.contains(at) || !behind.contains(at)).collect()
}

/// The root causes among findings, or those whose fix they are a part of.
pub(super) fn roots_of(report: &Report, findings: &[usize]) -> Vec<usize> {
    let holds = |at: &usize| {
        report.roots.iter().position(|g| g.root == *at).or_else(|| {
            let is_top = report.links.get(*at).is_none_or(|l| l.caused_by.is_empty());
            report.roots.iter().position(|g| is_top && g.prerequisites.contains(at))
        })
    };
    findings.iter().filter_map(holds).collect()
}
