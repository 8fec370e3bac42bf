//! Nothing secret leaves: every string that came from outside is masked before it reaches a report, once, for every
//! output and every check.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::model::{Finding, Gap, Outcome, Params, ResourceRef, Signal};
use crate::text::redact::mask;

/// A finding before its commands are rendered: what the templates then say is masked, too, and their own text stays.
pub(super) fn finding(finding: &mut Finding) {
    finding.message = mask(&finding.message);
    params(&mut finding.params);
    if let Some(cause) = &mut finding.cause {
        cause.message = mask(&cause.message);
    }
    for location in &mut finding.locations {
        location.excerpt = mask(&location.excerpt);
    }
    for evidence in &mut finding.evidence {
        evidence.source = mask(&evidence.source);
        evidence.value = mask(&evidence.value);
        params(&mut evidence.params);
    }
}

/// The URLs that a linked finding is about: until then they are what links it.
pub(super) fn resources(finding: &mut Finding) {
    let broken = finding.breaks.iter_mut().flatten();
    let all = finding.subjects.iter_mut().chain(broken).chain(&mut finding.depends_on).chain(&mut finding.fix_needs);
    for resource in all {
        if let ResourceRef::ScrapeUrl { url } = resource {
            *url = mask(url);
        }
    }
}

/// Signals: what systems say is quoted in them. Many say the same, and are masked as one.
pub(super) fn signals(all: &mut [Signal]) {
    let seen: RefCell<HashMap<String, String>> = RefCell::default();
    let mask = |text: &str| {
        if let Some(known) = seen.borrow().get(text) {
            return known.clone();
        }
        let masked = mask(text);
        seen.borrow_mut().insert(text.to_owned(), masked.clone());
        masked
    };
    for signal in all {
        for text in [&mut signal.title, &mut signal.text, &mut signal.next] {
            *text = mask(text);
        }
        signal.evidence.source = mask(&signal.evidence.source);
        signal.evidence.value = mask(&signal.evidence.value);
        signal.evidence.params.change_texts(&mask);
        for resource in std::iter::once(&mut signal.subject).chain(&mut signal.about) {
            if let ResourceRef::ScrapeUrl { url } = resource {
                *url = mask(url);
            }
        }
    }
}

/// What could not be seen: error bodies echo the request, plugins print their environment.
pub(super) fn gap(gap: Gap) -> Gap {
    Gap { what: mask(&gap.what), message: mask(&gap.message), hint: mask(&gap.hint), ..gap }
}

/// How a check ended.
pub(super) fn outcome(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::NotEvaluated(found) => Outcome::NotEvaluated(gap(found)),
        Outcome::NotApplicable(why) => Outcome::NotApplicable(mask(&why)),
        Outcome::Failed(bug) => Outcome::Failed(mask(&bug)),
        other => other,
    }
}

fn params(params: &mut Params) {
    params.change_texts(&mask);
}
