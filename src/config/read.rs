//! Reads `kdoctor.toml` and names the place of everything that is wrong in it.

use std::ops::Range;
use std::time::Duration;

use clap::ValueEnum;
use jiff::civil::Date;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use url::Url;

use super::{Config, Known};
use crate::diagnose::{FailOn, Mute};
use crate::model::Severity;
use crate::text::near::suggest;

/// Keys at the top.
const KEYS: &[&str] = &[
    "namespace",
    "all-namespaces",
    "context",
    "cluster-name",
    "region",
    "profile",
    "prometheus-url",
    "alertmanager-url",
    "grafana-url",
    "timeout",
    "only",
    "skip",
    "fail-on",
    "strict",
    "read-only",
    "severity",
    "thresholds",
    "mute",
];
/// Keys of the bounds.
const THRESHOLDS: &[&str] = &["memory-percent", "metric-series", "volume-days"];
/// Keys of a mute.
const MUTE_KEYS: &[&str] = &["check", "subject", "reason", "until"];
/// Severities, as an error names them.
const SEVERITIES: [Severity; 3] = [Severity::Error, Severity::Warning, Severity::Info];

type Value<'a> = Spanned<DeValue<'a>>;

/// A file while it is read.
struct Reader<'a> {
    text: &'a str,
    name: &'a str,
    known: Known<'a>,
    wrong: Vec<(usize, String)>,
}

/// Reads a text.
///
/// # Errors
/// All that is wrong with it, in its order.
pub(super) fn parse(text: &str, name: &str, known: Known<'_>) -> Result<Config, Vec<String>> {
    let mut reader = Reader { text, name, known, wrong: Vec::new() };
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        reader.say(error.span().unwrap_or(0..0), error.message().to_owned());
    }
    // What is no TOML is not judged as settings, too.
    let config = if reader.wrong.is_empty() { reader.config(document.get_ref()) } else { Config::default() };
    if reader.wrong.is_empty() { Ok(config) } else { Err(reader.told()) }
}

impl<'a> Reader<'a> {
    fn say(&mut self, at: Range<usize>, message: impl Into<String>) {
        self.wrong.push((at.start, message.into()));
    }

    /// `kdoctor.toml:3:7: message`.
    fn told(mut self) -> Vec<String> {
        self.wrong.sort();
        self.wrong.dedup();
        let told = self.wrong.iter().map(|(at, message)| {
            let (line, column) = self.place(*at);
            format!("{}:{line}:{column}: {message}", self.name)
        });
        told.collect()
    }

    /// Line and column.
    fn place(&self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (line, column)
    }

    fn config(&mut self, table: &DeTable<'_>) -> Config {
        let mut config = Config::default();
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "namespace" => config.namespace = self.word(value),
                "all-namespaces" => config.all_namespaces = self.flag(value),
                "context" => config.context = self.word(value),
                "cluster-name" => config.cluster_name = self.word(value),
                "region" => config.region = self.word(value),
                "profile" => config.profile = self.word(value),
                "prometheus-url" => config.prometheus_url = self.url(value),
                "alertmanager-url" => config.alertmanager_url = self.url(value),
                "grafana-url" => config.grafana_url = self.url(value),
                "timeout" => config.timeout = self.timeout(value),
                "only" => config.only = self.selectors(value),
                "skip" => config.skip = self.selectors(value),
                "fail-on" => config.fail_on = self.fail_on(value),
                "strict" => config.strict = self.flag(value),
                "read-only" => config.read_only = self.flag(value),
                "severity" => self.severities(value, &mut config),
                "thresholds" => self.thresholds(value, &mut config),
                "mute" => self.mutes(value, &mut config),
                "language" => self.say(key.span(), "kdoctor speaks only English: leave \"language\" out"),
                other => self.unknown(key.span(), other, KEYS),
            }
        }
        if config.namespace.is_some() && config.all_namespaces == Some(true) {
            // One of them would be without effect, and nobody would see which.
            self.wrong.push((0, "namespace and all-namespaces exclude each other".into()));
        }
        config
    }

    fn unknown(&mut self, at: Range<usize>, key: &str, known: &[&str]) {
        let hint = match suggest(&key.replace('_', "-"), known.iter().copied()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("there are: {}", known.join(", ")),
        };
        self.say(at, format!("{key:?} is no setting; {hint}"));
    }

    fn wants<T>(&mut self, value: &Value<'_>, what: &str) -> Option<T> {
        let found = value.get_ref().type_str();
        self.say(value.span(), format!("must be {what}, and is of type {found}"));
        None
    }

    fn word(&mut self, value: &Value<'_>) -> Option<String> {
        match value.get_ref().as_str() {
            Some("") => {
                self.say(value.span(), "must not be empty");
                None
            }
            Some(word) => Some(word.to_owned()),
            None => self.wants(value, "a text in quotes"),
        }
    }

    fn flag(&mut self, value: &Value<'_>) -> Option<bool> {
        let flag = value.get_ref().as_bool();
        if flag.is_none() { self.wants(value, "true or false") } else { flag }
    }

    fn url(&mut self, value: &Value<'_>) -> Option<Url> {
        let word = self.word(value)?;
        match Url::parse(&word) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.password().is_none() => Some(url),
            Ok(url) if url.password().is_some() => {
                self.say(value.span(), "a password does not belong into a file: give the URL by its variable");
                None
            }
            Ok(_) => {
                self.say(value.span(), "must begin with http:// or https://");
                None
            }
            Err(error) => {
                self.say(value.span(), format!("is no URL: {error}"));
                None
            }
        }
    }

    fn timeout(&mut self, value: &Value<'_>) -> Option<Duration> {
        let word = self.word(value)?;
        (self.known.timeout)(&word).map_err(|error| self.say(value.span(), error)).ok()
    }

    fn fail_on(&mut self, value: &Value<'_>) -> Option<FailOn> {
        let word = self.word(value)?;
        let all: Vec<String> = FailOn::value_variants()
            .iter()
            .filter_map(|level| Some(level.to_possible_value()?.get_name().to_owned()))
            .collect();
        let found = FailOn::from_str(&word, false).ok();
        if found.is_none() {
            self.unlisted(value.span(), &word, &all.iter().map(String::as_str).collect::<Vec<_>>());
        }
        found
    }

    fn severity(&mut self, value: &Value<'_>) -> Option<Severity> {
        let word = self.word(value)?;
        let found = SEVERITIES.into_iter().find(|s| s.as_str() == word);
        if found.is_none() {
            self.unlisted(value.span(), &word, &SEVERITIES.map(Severity::as_str));
        }
        found
    }

    fn unlisted(&mut self, at: Range<usize>, word: &str, known: &[&str]) {
        self.say(at, format!("{word:?} is not one of {}", known.join(", ")));
    }

    /// A word that is among the known ones.
    fn named(&mut self, value: &Value<'_>, known: &[&str], what: &str) -> Option<String> {
        let word = self.word(value)?;
        if known.contains(&word.as_str()) {
            return Some(word);
        }
        self.no_such(value.span(), &word, known, what);
        None
    }

    fn no_such(&mut self, at: Range<usize>, word: &str, known: &[&str], what: &str) {
        let hint = match suggest(word, known.iter().copied()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => "kdoctor list shows all".to_owned(),
        };
        self.say(at, format!("no {what} is called {word:?}; {hint}"));
    }

    fn selectors(&mut self, value: &Value<'_>) -> Vec<String> {
        let known = self.known.selectors;
        let Some(items) = value.get_ref().as_array() else {
            return self.wants(value, "a list: [\"storage\", \"pod-pending\"]").unwrap_or_default();
        };
        items.iter().filter_map(|item| self.named(item, known, "check or suite")).collect()
    }

    fn severities(&mut self, value: &Value<'_>, config: &mut Config) {
        let Some(table) = value.get_ref().as_table() else {
            return self.wants(value, "a table: [severity]").unwrap_or_default();
        };
        for (check, value) in table {
            let name = check.get_ref().as_ref();
            if !self.known.checks.contains(&name) {
                self.no_such(check.span(), name, self.known.checks, "check");
            }
            if let Some(severity) = self.severity(value) {
                config.severity.insert(name.to_owned(), severity);
            }
        }
    }

    fn thresholds(&mut self, value: &Value<'_>, config: &mut Config) {
        let Some(table) = value.get_ref().as_table() else {
            return self.wants(value, "a table: [thresholds]").unwrap_or_default();
        };
        for (key, value) in table {
            let known = &mut config.thresholds;
            match key.get_ref().as_ref() {
                "memory-percent" => {
                    known.memory_share = self.number(value, 1, 100).map_or(known.memory_share, |n| n as f64 / 100.0);
                }
                "metric-series" => {
                    known.metric_series =
                        self.number(value, 1, 1_000_000_000).map_or(known.metric_series, i64::unsigned_abs);
                }
                "volume-days" => known.volume_days = self.number(value, 1, 3650).unwrap_or(known.volume_days),
                other => self.unknown(key.span(), other, THRESHOLDS),
            }
        }
    }

    /// A whole number within these bounds.
    fn number(&mut self, value: &Value<'_>, least: i64, most: i64) -> Option<i64> {
        let DeValue::Integer(number) = value.get_ref() else { return self.wants(value, "a whole number") };
        let read = i64::from_str_radix(&number.as_str().replace('_', ""), number.radix()).ok();
        let found = read.filter(|n| (least..=most).contains(n));
        if found.is_none() {
            self.say(value.span(), format!("must be from {least} to {most}"));
        }
        found
    }

    fn mutes(&mut self, value: &Value<'_>, config: &mut Config) {
        let Some(items) = value.get_ref().as_array() else {
            return self.wants(value, "a list of tables: [[mute]]").unwrap_or_default();
        };
        for item in items {
            let mute = self.mute(item);
            config.mutes.extend(mute);
        }
    }

    fn mute(&mut self, value: &Value<'_>) -> Option<Mute> {
        let Some(table) = value.get_ref().as_table() else { return self.wants(value, "a table: [[mute]]") };
        let (mut check, mut subject, mut reason, mut until) = (None, None, None, None);
        let mut given = Vec::new();
        for (key, value) in table {
            given.push(key.get_ref().as_ref());
            match key.get_ref().as_ref() {
                "check" => check = self.named(value, self.known.checks, "check"),
                "subject" => subject = self.word(value),
                "reason" => reason = self.word(value).filter(|reason| !reason.trim().is_empty()),
                "until" => until = self.date(value),
                other => self.unknown(key.span(), other, MUTE_KEYS),
            }
        }
        for needed in ["check", "subject", "reason"] {
            if !given.contains(&needed) {
                self.say(value.span(), format!("a mute needs a {needed}"));
            }
        }
        let place = format!("{}:{}", self.name, self.place(value.span().start).0);
        Some(Mute { check: check?, subject: subject?, reason: reason?, until, place })
    }

    /// `2026-12-31`, with or without quotes.
    fn date(&mut self, value: &Value<'_>) -> Option<Date> {
        let text = match value.get_ref() {
            DeValue::Datetime(date) => date.to_string(),
            DeValue::String(text) => text.to_string(),
            _ => return self.wants(value, "a day: 2026-12-31"),
        };
        let date = text.parse::<Date>().ok().filter(|_| text.len() == 10);
        if date.is_none() {
            self.say(value.span(), format!("{text:?} is no day; write 2026-12-31"));
        }
        date
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known<'static> {
        Known {
            checks: &["pod-pending", "alert-coverage"],
            selectors: &["pod-pending", "alert-coverage", "storage"],
            timeout: |text| {
                if text == "20s" { Ok(Duration::from_secs(20)) } else { Err(format!("{text:?} is not a time")) }
            },
        }
    }

    fn wrong(text: &str) -> Vec<String> {
        parse(text, "k.toml", known()).err().unwrap_or_default()
    }

    #[test]
    fn all_settings_are_read() {
        let text = r#"
namespace = "observability"
context = "prod"
prometheus-url = "https://prometheus.example.org/x"
timeout = "20s"
only = ["storage"]
fail-on = "warning"
strict = true
read-only = true
[severity]
alert-coverage = "warning"
[[mute]]
check = "pod-pending"
subject = "Deployment batch/*"
reason = "scaled by hand"
until = 2026-12-31
"#;
        let config = parse(text, "k.toml", known()).expect("it is right");
        assert_eq!(config.namespace.as_deref(), Some("observability"));
        assert_eq!(config.timeout, Some(Duration::from_secs(20)));
        assert_eq!((config.fail_on, config.strict, config.read_only), (Some(FailOn::Warning), Some(true), Some(true)));
        assert_eq!(config.severity["alert-coverage"], Severity::Warning);
        let mute = &config.mutes[0];
        assert_eq!((mute.place.as_str(), mute.subject.as_str()), ("k.toml:12", "Deployment batch/*"));
        assert_eq!(mute.until.map(|d| d.to_string()).as_deref(), Some("2026-12-31"));
    }

    #[test]
    fn what_is_wrong_has_its_place_and_a_near_name() {
        assert_eq!(
            wrong("\nnamespce = \"a\"\n"),
            ["k.toml:2:1: \"namespce\" is no setting; did you mean \"namespace\"?"]
        );
        assert_eq!(wrong("fail_on = \"error\""), ["k.toml:1:1: \"fail_on\" is no setting; did you mean \"fail-on\"?"]);
        assert_eq!(
            wrong("only = [\"storag\"]"),
            ["k.toml:1:9: no check or suite is called \"storag\"; did you mean \"storage\"?"]
        );
        assert_eq!(wrong("strict = \"yes\""), ["k.toml:1:10: must be true or false, and is of type string"]);
        assert_eq!(wrong("read-only = 1"), ["k.toml:1:13: must be true or false, and is of type integer"]);
        assert_eq!(
            wrong("fail-on = \"fatal\""),
            ["k.toml:1:11: \"fatal\" is not one of error, signal, warning, never"]
        );
        assert_eq!(wrong("grafana-url = \"http://a:b@c\"").len(), 1);
        assert_eq!(
            wrong("[severity]\npod-pendin = \"info\"\nalert-coverage = \"off\""),
            [
                "k.toml:2:1: no check is called \"pod-pendin\"; did you mean \"pod-pending\"?",
                "k.toml:3:18: \"off\" is not one of error, warning, info",
            ]
        );
    }

    #[test]
    fn bounds_are_read_and_one_language_is_spoken() {
        let text = "[thresholds]\nmemory-percent = 90\nmetric-series = 200_000\nvolume-days = 7\n";
        let known = parse(text, "k.toml", known()).expect("it is right").thresholds;
        assert_eq!((known.memory_share, known.metric_series, known.volume_days), (0.9, 200_000, 7));
        assert_eq!(wrong("[thresholds]\nmemory-percent = 120\n"), ["k.toml:2:18: must be from 1 to 100"]);
        assert_eq!(
            wrong("[thresholds]\nmemory-percent = 0.9\n"),
            ["k.toml:2:18: must be a whole number, and is of type float"]
        );
        assert_eq!(
            wrong("[thresholds]\nvolume_days = 3\n"),
            ["k.toml:2:1: \"volume_days\" is no setting; did you mean \"volume-days\"?"]
        );
        assert_eq!(wrong("language = \"de\"\n"), ["k.toml:1:1: kdoctor speaks only English: leave \"language\" out"]);
    }

    #[test]
    fn a_mute_needs_a_reason() {
        assert_eq!(
            wrong("[[mute]]\ncheck = \"pod-pending\"\nsubject = \"*\"\n"),
            ["k.toml:1:1: a mute needs a reason"]
        );
        assert_eq!(
            wrong("[[mute]]\ncheck = \"pod-pending\"\nsubject = \"*\"\nreason = \"\"\n"),
            ["k.toml:4:10: must not be empty"]
        );
        let day = |until: &str| {
            wrong(&format!("mute = [{{check = \"pod-pending\", subject = \"*\", reason = \"r\", until = {until}}}]"))
        };
        assert_eq!(day("2026-12-31"), [] as [&str; 0]);
        assert_eq!(day("\"2026-12-31\""), [] as [&str; 0]);
        for bad in ["2026-12-31T00:00:00Z", "\"soon\"", "\"2026-13-01\"", "3"] {
            assert_eq!(day(bad).len(), 1, "{bad}");
        }
    }

    #[test]
    fn broken_files_are_named_by_their_place_and_never_end_in_a_panic() {
        for (text, place) in [
            ("a = ", "k.toml:1:"),
            ("[severity\n", "k.toml:1:"),
            ("x = 1\nx = 2\n", "k.toml:2:"),
            ("\u{feff}a", "k.toml:1:"),
        ] {
            let told = wrong(text);
            assert!(told.first().is_some_and(|t| t.starts_with(place)), "{text:?}: {told:?}");
        }
        for text in [
            "mute = 1",
            "[mute]\ncheck = 1",
            "mute = [1]",
            "severity = []",
            "only = 3",
            "timeout = 3",
            "namespace = \"\"",
        ] {
            assert!(!wrong(text).is_empty(), "{text}");
        }
    }
}
