//! Loki and the programs that read their configuration as it does (Mimir, Tempo): a configuration that is refused.

use crate::domain::crash::{Class, Crash, Detail};
use crate::domain::text::log_line::Line;
use crate::text::pattern::pattern;

/// Fields that newer versions no longer know, and what took their place.
const GONE: &[(&str, &str)] = &[
    ("shared_store", "take it out; the compactor names its store as delete_request_store"),
    ("shared_store_key_prefix", "take it out; use path_prefix of the index section"),
    ("enforce_metric_name", "take it out: metric names are no longer checked"),
    ("max_transfer_retries", "take it out: ingesters keep their data in the write-ahead log"),
    ("max_look_back_period", "use limits_config.max_query_lookback"),
    ("fifocache", "it is called embedded_cache now"),
    ("enable_fifocache", "it is called embedded_cache.enabled now"),
    ("split_queries_by_interval", "it belongs into limits_config now"),
    ("ruler_evaluation_delay_duration", "take it out, or use the ruler's own settings"),
    ("unordered_writes", "take it out where this version no longer has it: lines may come out of order"),
];

/// Reads a whole log: the refusal may take several lines.
pub(crate) fn read(text: &str) -> Option<Crash> {
    fields(text).or_else(|| loading(text)).or_else(|| text.lines().rev().find_map(line))
}

/// `failed parsing config: F: parsing time "0" as …`, and `msg="error loading config" filename=F err=…` of old versions.
fn loading(text: &str) -> Option<Crash> {
    let found = pattern!(r"failed parsing config: (/[^\s:]+): ([^\n]+)")
        .captures(text)
        .map(|c| (c[1].to_owned(), c[2].to_owned()));
    let old = || {
        let line = text.lines().rev().find(|l| l.contains("error loading config"))?;
        let parsed = Line::parse(line);
        Some((parsed.get("filename").to_owned(), parsed.err)).filter(|(file, err)| !file.is_empty() && !err.is_empty())
    };
    let (file, reason) = found.or_else(old)?;
    let advice = match reason.as_str() {
        r if r.contains("parsing time") && r.contains("2006-01-02") => {
            "`from` of each period in schema_config is a date in quotes, such as \"2024-04-01\"."
        }
        _ => "",
    };
    let reason = reason.split(" Use `-config.expand-env").next().unwrap_or_default().trim_end_matches('.');
    Some(Crash::new(Class::Config, reason).file(file).advice(advice))
}

/// `failed parsing config: F: yaml: unmarshal errors:`, and a line for each field.
fn fields(text: &str) -> Option<Crash> {
    let found =
        pattern!(r"failed (?:parsing config|to parse configFile):? (?:failed to parse configFile )?([^\s:]+): yaml: ([^\n]*)((?:\n\s*line \d+: [^\n]*)*)").captures(text)?;
    let all: Vec<(usize, String, String)> = pattern!(r"line (\d+): field (\S+) not found in type (\S+?)\.?(?:\s|$)")
        .captures_iter(&found[3])
        .filter_map(|c| Some((c[1].parse().ok()?, c[2].to_owned(), c[3].to_owned())))
        .collect();
    let Some((line, name, _)) = all.first().cloned() else {
        let crash = Crash { line: line_of(&found[2]), ..Crash::new(Class::Config, &found[2]) };
        return Some(
            crash
                .file(&found[1])
                .advice("The file is not valid YAML there, or a value has another type than its field."),
        );
    };
    let says = all.iter().map(|(_, name, kept)| format!("field {name} not found in {kept}")).collect::<Vec<_>>();
    let advice = all.iter().map(|(_, name, _)| advice(name)).collect::<Vec<_>>().join(" ");
    let crash = Crash { line: Some(line), ..Crash::new(Class::Config, says.join(", ")) };
    Some(crash.file(&found[1]).what(name).advice(advice))
}

fn line_of(text: &str) -> Option<usize> {
    pattern!(r"line (\d+)").captures(text)?[1].parse().ok()
}

fn advice(name: &str) -> String {
    match GONE.iter().find(|(gone, _)| *gone == name) {
        Some((_, why)) => format!("{name}: {why}."),
        None => {
            format!("{name}: this version has no such field there; take it out, or correct its name and indentation.")
        }
    }
}

/// What is refused after the file was read.
fn line(text: &str) -> Option<Crash> {
    let found =
        pattern!(r#"(?:msg="validating config" err=|error validating config: |invalid )"?([^\n]*)"#).captures(text)?;
    let said = found[0].replace("msg=\"validating config\" err=", "").replace("\\n", " ");
    let said = said.trim_matches('"').trim();
    let has = |words: &str| said.contains(words);
    let known: &[(&[&str], &str, &str)] = &[
        (
            &["Structured Metadata", "schema_config"],
            "allow_structured_metadata",
            "Add a period to schema_config that begins tomorrow, with store tsdb and schema v13; until then set limits_config.allow_structured_metadata: false. Never change a period that has begun: its data could no longer be read.",
        ),
        (
            &["delete-request-store", "delete_request_store"],
            "retention_enabled",
            "Set compactor.delete_request_store to the object store of schema_config (s3, gcs, azure, filesystem).",
        ),
        (
            &["schema config", "schema_config", "period config"],
            "schema_config",
            "Correct schema_config: each period has from, store, object_store, schema and index (24h for tsdb and boltdb-shipper).",
        ),
    ];
    let about = said.contains("CONFIG ERROR") || text.contains("validating config") || has("invalid compactor config");
    if !about {
        return None;
    }
    let crash = Crash::new(Class::Config, said);
    Some(match known.iter().find(|(words, ..)| words.iter().any(|w| has(w))) {
        // Where a setting is not in the file, its default is what is refused.
        Some((_, what, advice)) => crash.what(*what).detail(Detail::MayLack).advice(*advice),
        None => crash.advice("Correct the section that the message names."),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_are_gone_are_all_named() {
        let log = "failed parsing config: /etc/loki/config/config.yaml: yaml: unmarshal errors:\n  line 20: field enforce_metric_name not found in type validation.plain\n  line 31: field shared_store not found in type compactor.Config. Use `-config.expand-env=true` flag if you want to expand environment variables in your config file\n";
        let crash = read(log).expect("a crash");
        assert_eq!((crash.class, crash.line), (Class::Config, Some(20)));
        assert!(
            crash.reason.contains("enforce_metric_name") && crash.reason.contains("shared_store"),
            "{}",
            crash.reason
        );
        assert!(crash.advice.contains("delete_request_store"), "{}", crash.advice);
    }

    #[test]
    fn a_value_of_another_form() {
        let old = r#"level=error ts=2026-11-21T02:53:27Z caller=main.go:46 msg="error loading config" filename=/etc/loki/loki.yaml err="parsing time \"0\" as \"2006-01-02\": cannot parse \"0\" as \"2006\"""#;
        let new = "failed parsing config: /etc/loki/loki.yaml: parsing time \"0\" as \"2006-01-02\": cannot parse \"0\" as \"2006\". Use `-config.expand-env=true` flag if you want to expand environment variables in your config file\n";
        for log in [old, new] {
            let crash = read(log).expect("a crash");
            assert_eq!((crash.class, crash.file.as_deref()), (Class::Config, Some("/etc/loki/loki.yaml")));
            assert!(
                crash.reason.starts_with("parsing time \"0\"") && !crash.reason.contains("expand-env"),
                "{}",
                crash.reason
            );
            assert!(crash.advice.contains("schema_config"));
        }
    }

    #[test]
    fn what_is_refused_later_is_told_too() {
        let schema = r#"level=error ts=2026-11-21T02:52:00Z caller=main.go:70 msg="validating config" err="CONFIG ERROR: schema v13 is required to store Structured Metadata and use native OTLP ingestion, your schema version is v12.""#;
        let crash = read(schema).expect("a crash");
        assert!(crash.reason.starts_with("CONFIG ERROR: schema v13"), "{}", crash.reason);
        assert!(crash.advice.contains("schema v13"), "{}", crash.advice);
        assert_eq!(crash.detail, Detail::MayLack, "structured metadata is on where the file does not speak of it");
        let compactor = r#"level=error ts=2026-11-21T02:52:00Z caller=log.go:216 msg="validating config" err="invalid compactor config: compactor.delete-request-store should be configured when retention is enabled""#;
        assert!(read(compactor).expect("a crash").advice.contains("delete_request_store"));
        assert!(read("level=error msg=\"invalid request\" err=\"x\"").is_none());
    }
}
