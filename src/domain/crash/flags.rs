//! Command-line arguments that a program refuses.

use std::collections::BTreeSet;

use crate::domain::crash::known::{self, Flag};
use crate::domain::crash::{Class, Crash, Detail};
use crate::domain::text::log_line::{Level, Line};
use crate::lint::go;
use crate::text::pattern::pattern;

/// Reads the words of kingpin (`prometheus: error: unknown long flag '--x'`), of Go's flag package and of cobra.
pub(crate) fn read(line: &Line<'_>) -> Option<Crash> {
    if line.level == Level::Info {
        return None;
    }
    let text = line.text();
    unknown(&text)
        .or_else(|| usage(&text))
        .or_else(|| value(&text))
        .or_else(|| address(&text))
        .or_else(|| external(&text))
}

/// What Go's flag package prints after an argument that it does not know: `Usage of /configmap-reload:` and the flags that
/// there are.
pub(crate) fn usage_of(text: &str) -> Option<(String, BTreeSet<&str>)> {
    let (_, rest) = text.split_once("Usage of ")?;
    let (program, list) = rest.split_once(":\n")?;
    let names = list.lines().filter_map(|l| l.strip_prefix("  -")).filter_map(|l| l.split_whitespace().next());
    let names: BTreeSet<&str> = names.collect();
    let program = program.rsplit('/').next().unwrap_or(program).trim();
    (!names.is_empty() && !program.is_empty()).then(|| (program.to_owned(), names))
}

fn flag(reason: &str) -> Crash {
    Crash::new(Class::Flag, reason)
}

fn unknown(text: &str) -> Option<Crash> {
    if let Some(found) = pattern!(r"unknown short flag '(-[^']*)'").captures(text) {
        let advice = "Flags are written with two dashes, as in --config.file=….";
        return Some(flag(&found[0]).what(&found[1]).detail(Detail::ShortFlag).advice(advice));
    }
    let found = pattern!(r"(?:unknown long flag '|flag provided but not defined: |unknown flag: )(-{1,2}[^\s',]+)")
        .captures(text)?;
    let name = found[1].trim_start_matches('-').split('=').next().unwrap_or_default();
    let crash = flag(found[0].trim_end_matches('\'')).what(format!("--{name}"));
    let crash = Crash { reason: format!("unknown flag --{name}"), ..crash };
    Some(match known::flag(name) {
        Flag::Successor(new) => {
            crash.instead(Some(format!("--{new}"))).advice(format!("--{name} is called --{new} now."))
        }
        Flag::Gone(why) => crash.advice(format!("--{name} was removed: {why}")),
        Flag::Near(near) => crash.instead(Some(format!("--{near}"))),
        Flag::Unknown => crash.advice("This version has no such flag: take it out, or use the version that has it."),
    })
}

fn usage(text: &str) -> Option<Crash> {
    let text = text.trim_end_matches(", try --help");
    if let Some(found) = pattern!(r"flag '([^']+)' cannot be repeated").captures(text) {
        let reason = format!("flag --{} is given more than once", &found[1]);
        return Some(flag(&reason).what(format!("--{}", &found[1])).advice("Keep one of them."));
    }
    if let Some(found) = pattern!(r"expected argument for flag '(-{0,2}[^']+)'").captures(text) {
        return Some(flag(&found[0]).what(&found[1]).advice("Give it a value, as in --flag=value."));
    }
    if let Some(found) = pattern!(r"required flag (?:\(s\) )?[-']*([\w.-]+)'? (?:not provided|not set)").captures(text)
    {
        return Some(flag(&found[0]).what(format!("--{}", &found[1])));
    }
    if let Some(found) = pattern!(r"(?:arguments: |error: |^)unexpected (\S+)$").captures(text) {
        let word = &found[1];
        let meant = word.contains(['.', '=']).then(|| format!("--{}", word.trim_start_matches('-')));
        let reason = format!("unexpected argument {word}");
        return Some(
            flag(&reason)
                .what(word)
                .instead(meant)
                .advice("Arguments that are not flags are refused: it lacks its two dashes."),
        );
    }
    // Thanos 0.13 moved commands below another one.
    if let Some(found) = pattern!(r#"expected command but got "?([\w-]+)"?"#).captures(text) {
        let word = &found[1];
        let moved = matches!(word, "bucket" | "check");
        let advice = if moved {
            "Thanos has these commands below `tools` since 0.13: write `tools` before it, as an argument of its own."
        } else {
            "This version has no such command."
        };
        let reason = format!("it has no command {word}");
        let crash = flag(&reason).what(word).advice(advice);
        return Some(if moved { crash.detail(Detail::Below("tools")) } else { crash });
    }
    let found = pattern!(r#"invalid value "([^"]*)" for flag -{1,2}([\w.-]+): (.*)$"#).captures(text)?;
    Some(flag(&found[0]).what(format!("--{}", &found[2])))
}

/// A value that is refused; the message does not say of which flag.
fn value(text: &str) -> Option<Crash> {
    let said =
        pattern!(r"(?:Error parsing command ?line arguments|^\S+: error): (.*?)(?:, try --help)?$").captures(text)?;
    let said = said.get(1)?.as_str();
    if let Some(found) = pattern!(r"units: unknown unit ?(\S*) in (\S+)").captures(said) {
        let (unit, value) = (&found[1], &found[2]);
        let number = value.trim_end_matches(unit);
        let meant = match unit {
            "" => format!("{number}MB"),
            unit => format!("{number}{}B", unit.trim_end_matches(['i', 'b', 'B']).to_ascii_uppercase()),
        };
        let reason = if unit.is_empty() {
            format!("size {value} has no unit")
        } else {
            format!("unknown unit {unit} in {value}")
        };
        return Some(
            flag(&reason).what(value).instead(Some(meant)).advice("Sizes end in B, KB, MB, GB, TB, PB or EB."),
        );
    }
    if let Some((value, instead)) = duration(said) {
        return Some(
            flag(said)
                .what(value)
                .instead(instead)
                .advice("Durations are numbers with unit, such as 30s, 5m, 12h, 15d."),
        );
    }
    let quoted = pattern!(r#"(?:got|parsing|value) ["']([^"']+)["']"#).captures(said);
    let crash = flag(said);
    Some(match quoted {
        Some(found) => crash.what(&found[1]),
        None => crash,
    })
}

/// A refused duration, and what was meant.
pub(crate) fn duration(said: &str) -> Option<(String, Option<String>)> {
    let found = pattern!(
        r#"(?:not a valid duration string: "([^"]*)"|(?:unknown|missing) unit (?:"[^"]*" )?in duration "([^"]*)"|invalid duration "([^"]*)")"#
    )
    .captures(said)?;
    let value = found.get(1).or(found.get(2)).or(found.get(3))?.as_str();
    let parts = pattern!(r"^(\d+)\s*([a-zA-Z]+)$").captures(value);
    let meant = parts.and_then(|p| {
        let unit = go::unit(&p[2].to_ascii_lowercase())?;
        // Go's own durations, which some flags take, have no days.
        match (unit, said.contains("time: ")) {
            ("d", true) => Some(format!("{}h", p[1].parse::<u64>().ok()?.checked_mul(24)?)),
            ("w", true) => Some(format!("{}h", p[1].parse::<u64>().ok()?.checked_mul(168)?)),
            _ => Some(format!("{}{unit}", &p[1])),
        }
    });
    Some((value.to_owned(), meant))
}

/// `parse external URL "": address 9090: missing port in address`.
fn address(text: &str) -> Option<Crash> {
    let found = pattern!(r"address ([^\s:]+): missing port in address").captures(text)?;
    let value = &found[1];
    let meant = value.bytes().all(|b| b.is_ascii_digit()).then(|| format!("0.0.0.0:{value}"));
    Some(
        flag(&format!("address {value}: missing port in address (listen address without colon)"))
            .what(value)
            .instead(meant)
            .advice("The listen address is written as address:port, or :port."),
    )
}

/// `parse external URL "x:y": …` of Prometheus, `"x": invalid "" scheme, only 'http' and 'https' are supported` of
/// Alertmanager.
fn external(text: &str) -> Option<Crash> {
    let prometheus = pattern!(r#"parse external URL "((?:[^"\\]|\\.)*)": (.+)$"#).captures(text);
    let (value, why) = match &prometheus {
        Some(found) => (found[1].replace("\\\"", "\""), found[2].to_owned()),
        None => {
            let found = pattern!(r#""([^"]*)": (invalid "[^"]*" scheme, only 'http' and 'https' are supported)"#);
            let found = found.captures(text)?;
            (found[1].to_owned(), found[2].to_owned())
        }
    };
    Some(flag(&format!("the external URL {value} is refused: {why}")).what(value).advice(
        "--web.external-url takes a whole URL without quotes of its own, such as https://monitoring.example.com/prometheus.",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn external_urls_are_whole() {
        let of = |line: &str| read(&Line::parse(line)).map(|c| (c.class, c.what.unwrap_or_default()));
        let quoted = r#"parse external URL "\"https://p.example.com\"": URL must not begin or end with quotes"#;
        assert_eq!(of(quoted), Some((Class::Flag, "\"https://p.example.com\"".into())));
        let bare = r#"ts=2026-11-21T02:57:13Z caller=main.go:310 level=error msg="failed to determine external URL" err="\"am.example.com\": invalid \"\" scheme, only 'http' and 'https' are supported""#;
        assert_eq!(of(bare), Some((Class::Flag, "am.example.com".into())));
        let port = r#"parse external URL "": address 9090: missing port in address"#;
        assert_eq!(of(port), Some((Class::Flag, "9090".into())));
    }

    #[test]
    fn commands_of_thanos_that_lie_below_another_now() {
        let of = |line: &str| read(&Line::parse(line)).expect("a crash");
        let bucket = of(r#"thanos: error: expected command but got "bucket""#);
        assert_eq!((bucket.what.as_deref(), bucket.detail), (Some("bucket"), Detail::Below("tools")));
        let other = of(r#"thanos: error: expected command but got "serve""#);
        assert_eq!((other.what.as_deref(), other.detail), (Some("serve"), Detail::None));
    }
}
