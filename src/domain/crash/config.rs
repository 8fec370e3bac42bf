//! A configuration file that a program refuses, in the words of programs that have no reader of their own: VictoriaMetrics,
//! Grafana Alloy, the OpenTelemetry Collector, and whatever reads YAML.

use crate::domain::crash::{Class, Crash, Detail};
use crate::domain::text::redact::redact;
use crate::domain::text::shorten::shorten;
use crate::text::pattern::pattern;

/// Reads a whole log: a refusal often takes several lines.
pub(crate) fn read(text: &str) -> Option<Crash> {
    alloy(text).or_else(|| variable(text)).or_else(|| collector(text)).or_else(|| vector(text)).or_else(|| yaml(text))
}

/// `Error: /etc/alloy/config.alloy:12:3: unrecognized attribute name "forward"`.
fn alloy(text: &str) -> Option<Crash> {
    let found = pattern!(r"(?m)^(?:Error: )?(/[\w./-]+\.(?:alloy|river|hcl)):(\d+):\d+: ([^\n]+)").captures(text)?;
    let crash = Crash { line: found[2].parse().ok(), ..Crash::new(Class::Config, &found[3]) };
    Some(Crash { said: redact(&found[0]), ..crash.file(&found[1]) })
}

/// mysqld_exporter, which says for information why it ends:
/// `msg="failed to validate config" section=client err="no user specified in section or parent"`, and then
/// `msg="Error parsing host config" file=.my.cnf err="no configuration found"`.
pub(super) fn mysql(text: &str) -> Option<Crash> {
    let found =
        pattern!(r#"Error parsing host config" file="?([^\s"]+)"? err="([^"\n]+)""#).captures_iter(text).last()?;
    let section =
        pattern!(r#"failed to validate config" section="?(\w+)"? err="([^"\n]+)""#).captures_iter(text).last();
    let reason = match &section {
        Some(section) => format!("section [{}]: {}", &section[1], &section[2]),
        None => found[2].to_owned(),
    };
    let advice = "mysqld_exporter 0.15 and later reads no DATA_SOURCE_NAME: user and host stand in section [client] of the file of `--config.my-cnf` (or in `--mysqld.username` and `--mysqld.address`), the password there or in MYSQLD_EXPORTER_PASSWORD.";
    let said = section.as_ref().map_or(&found[0], |section| &section[0]);
    Some(Crash { said: redact(said), ..Crash::new(Class::Config, reason).file(&found[1]).advice(advice) })
}

/// `environment variable "1" has invalid name: must match regex …`: the Collector reads each `${…}` of its file, those of
/// regular expressions too.
fn variable(text: &str) -> Option<Crash> {
    let found = pattern!(r#"environment variable "([^"\n]*)" has invalid name[^\n]*"#).captures(text)?;
    let name = &found[1];
    let is_group = !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
    let advice = if is_group {
        format!(
            "The OpenTelemetry Collector reads ${{…}} as a variable of its environment, in the replacements of a prometheus receiver too: write $${{{name}}} for the group of the regular expression, and so for every other one."
        )
    } else {
        format!("The name holds letters, digits and _ only: correct ${{{name}}}, or write $$ where a plain $ is meant.")
    };
    let crash = Crash::new(Class::Config, &found[0]).what(format!("${{{name}}}")).detail(Detail::MayLack);
    Some(Crash { said: redact(&found[0]), ..crash.advice(advice) })
}

/// Keys and components that the Collector had once: what holds them, their name, and what took their place.
const GONE: &[(&str, &str, &str)] = &[
    (
        "service.telemetry.metrics",
        "address",
        "Since 0.123 the key does nothing and since 0.128 it is refused: in place of `address: HOST:PORT` write `readers: [{pull: {exporter: {prometheus: {host: HOST, port: PORT}}}}]` (8888 mostly, which is what its ServiceMonitor scrapes), or leave it out and have the default.",
    ),
    (
        "extensions",
        "memory_ballast",
        "The image has no ballast, which newer versions dropped: take it out here and in service.extensions; the processor memory_limiter and the variable GOMEMLIMIT do its work.",
    ),
    (
        "exporters",
        "loki",
        "The image has no exporter loki, which newer versions dropped: Loki 3 takes OTLP itself. Use otlphttp with the endpoint http://LOKI:3100/otlp in its place, here and in the pipelines; labels are then those that Loki's limits_config.otlp_config names.",
    ),
    (
        "exporters",
        "jaeger",
        "The image has no exporter jaeger, which newer versions dropped: Jaeger takes OTLP itself. Use otlp with the endpoint JAEGER:4317 in its place, here and in the pipelines.",
    ),
    (
        "receivers",
        "opencensus",
        "The image has no receiver opencensus, which newer versions dropped: let its clients send OTLP, and take it out here and in the pipelines.",
    ),
];

/// What took the place of a key or component.
fn gone(place: &str, name: &str) -> &'static str {
    let found = GONE.iter().find(|(of, key, _)| place == *of && name.split('/').next() == Some(key));
    found.map_or("", |(.., advice)| advice)
}

/// `'service.telemetry.metrics' decoding failed due to the following error(s):`, and below it `'' has invalid keys: address`.
fn refused_key(text: &str) -> Option<Crash> {
    let found = pattern!(
        r"'([\w.:/\[\]-]+)':? decoding failed due to the following error\(s\):\s*\n\s*(?:\* )?'([^'\n]*)' has invalid keys: ([^\n]+)"
    )
    .captures_iter(text)
    .last()?;
    let place = [&found[1], &found[2]].into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join(".");
    let keys = found[3].trim();
    let first = keys.split(", ").next().unwrap_or(keys);
    let known = gone(&place, first);
    let advice = match known {
        "" => {
            "This version does not have the key, or has it elsewhere: the notes of its releases say what became of it."
        }
        known => known,
    };
    let crash = Crash::new(Class::Config, format!("{place} has no key {keys}")).what(first).advice(advice);
    Some(Crash { said: redact(&format!("'{place}' has invalid keys: {keys}")), ..crash })
}

/// `error decoding 'exporters': unknown type: "logging" for id: "logging" (valid values: […])`.
fn collector(text: &str) -> Option<Crash> {
    if let Some(crash) = refused_key(text) {
        return Some(crash);
    }
    let found = pattern!(r"(?m)^\s*(?:\* )?(?:Error: invalid configuration: )?(error decoding '[^']+': [^\n]+|'[\w.:/\[\]-]+' (?:has invalid keys|unknown type|the [\w-]+ (?:exporter|receiver|processor|extension|connector) has been)[^\n]+|(?:service|exporters|receivers|processors|connectors|extensions)::[^\n]+)")
        .captures_iter(text)
        .last()?;
    let kind = pattern!(r#"'(\w+)': unknown type: "([^"]+)""#).captures(&found[1]);
    let known = kind.map_or("", |c| gone(c.get(1).map_or("", |m| m.as_str()), c.get(2).map_or("", |m| m.as_str())));
    let gone = match &found[1] {
        _ if !known.is_empty() => known,
        f if f.contains("unknown type: \"logging\"") || f.contains("the logging exporter has been deprecated") => {
            "The exporter logging is called debug since 0.111: rename it below exporters and in each pipeline that names it, and write `verbosity: detailed` in place of `loglevel: debug`."
        }
        f if f.contains("which is not configured") => {
            "A pipeline names only what stands in exporters, receivers, processors and connectors: add it there, or take it out of the pipeline."
        }
        f if f.contains("unknown type") => {
            "The image does not have that component: use the contrib image or another component, or correct its name."
        }
        _ => "",
    };
    let crash = Crash::new(Class::Config, shorten(&found[1], 300)).advice(gone);
    Some(Crash { said: redact(found[0].trim()), ..crash })
}

/// `ERROR vector::cli: Configuration error. error=unknown field …`, and the place in the lines that follow.
fn vector(text: &str) -> Option<Crash> {
    let found = pattern!(r"(?m)ERROR vector\S*: Configuration error\. error=([^\n]+)((?:\n[^\n]*){0,3})")
        .captures_iter(text)
        .last()?;
    let place = pattern!(r"in `([^`]+)`").captures(&found[2]).map(|c| format!(" (in {})", &c[1])).unwrap_or_default();
    let file = pattern!(r#"paths=\["([^"]+)"#).captures(text).map(|c| c[1].to_owned());
    let crash = Crash::new(Class::Config, format!("{}{place}", shorten(&found[1], 300)));
    Some(Crash { said: redact(found[0].trim()), ..crash.maybe_file(file) })
}

/// An error of a YAML reader, with the file where one is named beside it.
fn yaml(text: &str) -> Option<Crash> {
    let found = pattern!(
        r"(?m)^([^\n]*?(?:cannot|could not|couldn't|[Ff]ailed|[Ee]rror|fatal|panic)[^\n]*?)yaml: (?:unmarshal errors:)?(?:\s|\\n)*(?:line (\d+): )?([^\n]+)"
    )
    .captures_iter(text)
    // What follows may stand on lines that are not of it.
    .filter(|c| &c[3] != "unmarshal errors:")
    .last()?;
    let file = pattern!(r#"(/[\w./-]+\.(?:ya?ml|json|toml|conf))"#).captures(&found[1]).map(|c| c[1].to_owned());
    let reason = found[3].split("; pass -").next().unwrap_or_default().trim_end_matches(['"', ' ']);
    // Of several faults on one escaped line, the first.
    let reason = reason.split("\\n").next().unwrap_or_default();
    let crash = Crash { line: found.get(2).and_then(|l| l.as_str().parse().ok()), ..Crash::new(Class::Config, reason) };
    let crash = crash.advice(super::reason::advice(reason, ""));
    Some(Crash { said: redact(found[0].trim()), ..crash.maybe_file(file) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_name_what_they_refuse() {
        let of = |text: &str| read(text).map(|c| (c.file.unwrap_or_default(), c.line, c.reason));
        assert_eq!(
            of(
                "2026-11-21T02:52:01.498Z\tfatal\tscraper.go:117\tcannot read \"/config/scrape.yml\": cannot unmarshal data: yaml: unmarshal errors:\n  line 14: field metric_path not found in type promscrape.ScrapeConfig; pass -promscrape.config.strictParse=false command-line flag\n"
            ),
            Some((
                "/config/scrape.yml".into(),
                Some(14),
                "field metric_path not found in type promscrape.ScrapeConfig".into()
            ))
        );
        assert_eq!(
            of("Error: /etc/alloy/config.alloy:12:3: unrecognized attribute name \"forward\"\n\n11 | x\n"),
            Some(("/etc/alloy/config.alloy".into(), Some(12), "unrecognized attribute name \"forward\"".into()))
        );
        let otel = "Error: failed to get config: cannot unmarshal the configuration:\n\nerror decoding 'exporters': unknown type: \"logging\" for id: \"logging\" (valid values: [debug otlp])\n2026/11/21 02:52:01 collector server run finished with error: failed to get config\n";
        assert!(read(otel).is_some_and(|c| c.class == Class::Config && c.advice.contains("debug")));
        for (said, wanted) in [
            ("'exporters' the logging exporter has been deprecated, use the debug exporter instead", "renam"),
            ("'exporters' unknown type: \"loki\" for id: \"loki\" (valid values: [debug nop otlp])", "contrib"),
        ] {
            let log = format!(
                "Error: failed to get config: cannot unmarshal the configuration: decoding failed due to the following error(s):\n\n{said}\n2026/11/21 02:52:01 collector server run finished with error: failed to get config: cannot unmarshal the configuration: decoding failed due to the following error(s):\n\n{said}\n"
            );
            let crash = read(&log).expect("a crash");
            assert!(crash.reason == said && crash.advice.contains(wanted), "{} {}", crash.reason, crash.advice);
        }
        let states = "E1121 02:53:50.110442       1 config.go:95] \"Failed to parse custom resource state metrics configuration\" err=\"yaml: unmarshal errors:\\n  line 12: field labelsFromPaths not found in type customresourcestate.Metric\"\nF1121 02:53:50.110442       1 main.go:60] Failed to run kube-state-metrics: yaml: unmarshal errors:\n";
        assert_eq!(read(states).and_then(|c| c.line), Some(12));
        let exporter = "level=error msg=\"failed to validate config\" section=client err=\"no user specified in section or parent\"\nlevel=info msg=\"Error parsing host config\" file=.my.cnf err=\"no configuration found\"\n";
        let crash = mysql(exporter).expect("a crash");
        assert_eq!(crash.file.as_deref(), Some(".my.cnf"));
        assert_eq!(crash.reason, "section [client]: no user specified in section or parent");
        let loki = read("Error: failed to get config: cannot unmarshal the configuration: decoding failed due to the following error(s):\n\n'exporters': unknown type: \"loki\" for id: \"loki\" (valid values: [debug otlp otlphttp])\n").or_else(|| read("error decoding 'exporters': unknown type: \"loki\" for id: \"loki\" (valid values: [debug otlp])\n"));
        assert!(loki.is_some_and(|c| c.advice.contains("/otlp")));
        for said in [
            "'service.telemetry.metrics' decoding failed due to the following error(s):\n\n'' has invalid keys: address",
            "error decoding 'service.telemetry.metrics': decoding failed due to the following error(s):\n\n'' has invalid keys: address",
        ] {
            let log = format!(
                "Error: failed to get config: cannot unmarshal the configuration: decoding failed due to the following error(s):\n\n{said}\n2026/11/21 02:52:01 collector server run finished with error: failed to get config: cannot unmarshal the configuration: decoding failed due to the following error(s):\n\n{said}\n"
            );
            let crash = read(&log).expect("a crash");
            assert_eq!(
                (crash.reason.as_str(), crash.what.as_deref()),
                ("service.telemetry.metrics has no key address", Some("address"))
            );
            assert!(crash.advice.contains("readers: ["), "{}", crash.advice);
        }
        let unknown = "Error: invalid configuration: service::pipelines::traces: references exporter \"otlp/jaeger\" which is not configured\n2026/11/21 02:52:01 collector server run finished with error: invalid configuration: x\n";
        assert!(read(unknown).is_some_and(|c| c.reason.starts_with("service::pipelines::traces: references")));
        let vector = "2026-11-21T02:52:01.114Z  INFO vector::app: Loading configs. paths=[\"/etc/vector\"]\n2026-11-21T02:52:01.118Z ERROR vector::cli: Configuration error. error=unknown field `endpont`, expected `endpoint`\n\nin `sinks.loki`\n";
        assert_eq!(
            of(vector),
            Some(("/etc/vector".into(), None, "unknown field `endpont`, expected `endpoint` (in sinks.loki)".into()))
        );
        let group = "Error: failed to get config: cannot resolve the configuration: environment variable \"1\" has invalid name: must match regex ^[a-zA-Z_][a-zA-Z0-9_]*$\n2026/11/21 02:50:11 collector server run finished with error: x\n";
        assert!(read(group).is_some_and(|c| c.advice.contains("write $${1}") && c.what.as_deref() == Some("${1}")));
        let escaped = r#"E1121 02:53:50.110442       1 main.go:52] "Failed to run" err="failed to parse Custom Resource State metrics: yaml: unmarshal errors:\n  line 15: cannot unmarshal !!map into []string\n  line 20: x""#;
        let crash = read(escaped).expect("a crash");
        assert_eq!((crash.line, crash.reason.as_str()), (Some(15), "cannot unmarshal !!map into []string"));
        assert!(crash.advice.contains("Write a list"), "{}", crash.advice);
        assert!(of("level=info msg=\"loaded yaml: line 3\"\n").is_none());
        assert!(of("Error: something else\n").is_none());
    }
}
