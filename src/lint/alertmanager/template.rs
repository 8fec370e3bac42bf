//! The functions that Alertmanager adds to Go's templates, by version.

use super::Version;
use crate::lint::Problem;
use crate::lint::go::template::{self, Names, Unknown};

/// With the first minor version that knows them.
const FUNCTIONS: &[(&str, u16)] = &[
    ("toUpper", 0),
    ("toLower", 0),
    ("title", 0),
    ("join", 0),
    ("match", 0),
    ("safeHtml", 0),
    ("reReplaceAll", 0),
    ("stringSlice", 0),
    ("trimSpace", 26),
    ("date", 28),
    ("tz", 28),
    ("since", 28),
    ("humanizeDuration", 28),
    ("safeUrl", 29),
    ("urlUnescape", 29),
    ("toJson", 29),
    ("list", 32),
    ("append", 32),
    ("dict", 32),
    ("now", 33),
    ("routeLabels", 34),
    ("toDate", 34),
    ("mustToDate", 34),
];

/// What is wrong with a template, and whether a newer Alertmanager may know better.
pub(super) struct Fault {
    /// Its place is that in the template.
    pub(super) problem: Problem,
    pub(super) doubtful: bool,
    /// A function that is not known is all that is wrong.
    pub(super) only_unknown: bool,
}

/// Reads a template.
///
/// # Errors
/// The first fault, at which Go stops.
pub(super) fn parse(text: &str, version: Option<Version>) -> Result<Names, Fault> {
    let all: Vec<&str> = FUNCTIONS.iter().map(|(name, _)| *name).collect();
    let known = FUNCTIONS.iter().filter(|(_, since)| version.is_none_or(|v| v.knows(*since)));
    let known: Vec<&str> = known.map(|(name, _)| *name).collect();
    template::parse(text, &known, &["$"]).map_err(|fault| {
        let mut message = format!("template: {}", fault.message);
        let mut meant = None;
        let mut doubtful = false;
        if let Some(Unknown::Function(name)) = &fault.unknown {
            match FUNCTIONS.iter().find(|(known, _)| known == name) {
                Some((_, since)) => message.push_str(&format!(": only Alertmanager 0.{since} and later know it")),
                None => {
                    meant = fault.unknown.as_ref().and_then(|u| u.meant(&all, &[]));
                    doubtful = meant.is_none() && version.is_none_or(Version::is_newer_than_known);
                }
            }
        }
        let only_unknown = matches!(fault.unknown, Some(Unknown::Function(_)));
        Fault { problem: Problem::new(fault.place, "", message).instead(meant), doubtful, only_unknown }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_function_that_was_meant() {
        let fault = |text, version| parse(text, Version::parse(version)).expect_err("is broken");
        let upper = fault("{{ .Status | upperCase }}", "");
        assert_eq!((upper.problem.instead.as_deref(), upper.doubtful), (Some("toUpper"), false));
        assert!(fault("{{ somethingNew . }}", "").doubtful);
        assert!(!fault("{{ somethingNew . }}", "0.27.0").doubtful);
        let json = fault("{{ toJson . }}", "v0.27.0");
        assert!(json.problem.message.contains("only Alertmanager 0.29 and later"), "{:?}", json.problem);
    }
}
