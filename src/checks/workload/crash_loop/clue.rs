//! What is known of an end that nobody has a reader for: what its words name and where that is set, and what was changed before
//! it began.

use crate::checks::support::back::{self, Back};
use crate::checks::support::named::{Named, places};
use crate::checks::workload::crash_loop::cause::Cause;
use crate::checks::workload::crash_loop::failing::Failing;
use crate::domain::crash::{Class, Crash, Detail, telling};
use crate::domain::kubernetes::last_revision::{self, LastRevision};
use crate::domain::kubernetes::owner::Target;
use crate::domain::kubernetes::settings::{self, Setting};
use crate::domain::text::log_line::Line;
use crate::model::Evidence;
use crate::snapshot::{Snapshot, journal};
use crate::text::pattern::pattern;

/// What there is.
#[derive(Default)]
pub(super) struct Clue {
    named: Vec<Setting>,
    /// What it is set to, where that is not part of what is said.
    value: Option<String>,
    last: Option<LastRevision>,
}

impl Clue {
    pub(super) fn of(snap: &Snapshot, failing: &Failing<'_>) -> Self {
        let is_panic = failing.cause.class() == Some(Class::Panic);
        let is_unknown = matches!(failing.cause, Cause::Unknown(..) | Cause::Ends(..) | Cause::Probe(_));
        if let Cause::Said(crash, _) = &failing.cause
            && matches!(crash.class, Class::Unreached | Class::Certificate | Class::Cloud)
        {
            // It only adds to what is told.
            let (named, value) = journal::aside(|| meant(snap, failing, crash));
            return Self { named, value, last: None };
        }
        let of_version = failing.cause.is_of_version();
        if !is_unknown && !is_panic && !of_version {
            return Self::default();
        }
        // Both only add to what is told.
        let named = journal::aside(|| match &failing.cause {
            Cause::Unknown(lines, _) => named(snap, failing, lines),
            _ => Vec::new(),
        });
        let last = journal::aside(|| last_revision::of(snap, failing.pod));
        // What a version does not know another may: only a new image of that very container speaks for it.
        let last = last.filter(|l| !of_version || l.has_new_image_of(&failing.container.name));
        Self { named, value: None, last }
    }

    /// Both as the end of a sentence; empty where there is neither.
    pub(super) fn words(&self) -> String {
        let mut text = String::new();
        if !self.named.is_empty() {
            let value = self.value.as_ref().map(|v| format!(" ({v})")).unwrap_or_default();
            text.push_str(&format!("; it names {}{value}", places(&self.named)));
        }
        if let Some(last) = &self.last {
            text.push_str(&format!("; {}", back::words(last)));
        }
        text
    }

    /// The change, as evidence.
    pub(super) fn evidence(&self) -> Option<Evidence> {
        back::evidence(self.last.as_ref()?)
    }

    pub(super) fn named(&self, snap: &Snapshot, failing: &Failing<'_>, target: &Target<'_>) -> Named {
        Named::of(snap, failing.pod, target, &self.named)
    }

    pub(super) fn back(&self, snap: &Snapshot, failing: &Failing<'_>, target: &Target<'_>) -> Back {
        Back::of(snap, failing.pod, target, self.last.as_ref())
    }
}

/// What a program did not reach, or did not find in AWS: where the address stands, or what is set of that kind, with its value.
fn meant(snap: &Snapshot, failing: &Failing<'_>, crash: &Crash) -> (Vec<Setting>, Option<String>) {
    let of = |value: &str| settings::holding(snap, failing.pod, failing.container, value);
    if let Some((host, _)) = crash.unreached() {
        return (of(host), None);
    }
    let quoted = pattern!(r#"["'`]([\w./:-]{3,120})["'`]|name: ([\w./-]{3,120})"#).captures_iter(&crash.reason);
    let told = quoted.filter_map(|c| c.get(1).or(c.get(2))).map(|m| of(m.as_str().trim_end_matches('.')));
    if let Some(named) = told.into_iter().find(|all| !all.is_empty()) {
        return (named, None);
    }
    let Detail::Absent(thing) = &crash.detail else { return (Vec::new(), None) };
    match settings::about(failing.container, thing.words) {
        // An argument is told with its value.
        Some((setting @ Setting::Argument { .. }, _)) => (vec![setting], None),
        Some((setting, value)) => (vec![setting], value),
        None => (Vec::new(), None),
    }
}

/// By the line that tells most, read in its fields, else as it stands.
fn named(snap: &Snapshot, failing: &Failing<'_>, lines: &[String]) -> Vec<Setting> {
    let Some(line) = telling(lines) else { return Vec::new() };
    let of = |text: &str| settings::named(snap, failing.pod, failing.container, text);
    let read = of(&Line::parse(&line).text());
    if read.is_empty() { of(&line) } else { read }
}
