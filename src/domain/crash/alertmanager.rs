//! Alertmanager, 0.2x and 0.3x.

use crate::domain::crash::prometheus::unreadable;
use crate::domain::crash::reason::{self, File};
use crate::domain::crash::{Class, Crash};
use crate::domain::text::log_line::{Level, Line};
use crate::text::pattern::pattern;

/// Reads a line of Alertmanager's log.
pub(crate) fn read(line: &Line<'_>) -> Option<Crash> {
    if line.level == Level::Warning {
        return None;
    }
    let text = line.text();
    let message = line.msg.to_ascii_lowercase();
    let file = Some(line.get("file")).filter(|f| !f.is_empty());
    if let Some(found) = pattern!(r"(?s)failed to parse templates: (.*)$").captures(&text) {
        return Some(template(&found[1]));
    }
    if message.contains("loading configuration file") || message.contains("change subscribers failed") {
        return Some(unreadable(&line.err, File::Alertmanager).maybe_file(file));
    }
    if let Some(found) = pattern!(r"(?s)(?:parsing YAML file|couldn't load configuration)[^:]*: (.*)$").captures(&text)
    {
        return Some(unreadable(&found[1], File::Alertmanager).maybe_file(file));
    }
    // Some lines hold nothing but the error.
    if pattern!(r#"^(?:undefined (?:receiver|time interval|mute time interval) "|no routes? provided|root route must|missing name in receiver)"#).is_match(&text) {
        return Some(reason::read(Class::Config, File::Alertmanager, &text).maybe_file(file));
    }
    if message.contains("gossip mesh") && line.level == Level::Error || text.contains("get final advertise address") {
        let advice =
            "Set --cluster.advertise-address=$(POD_IP):9094, or --cluster.listen-address= for a single replica.";
        return Some(Crash::new(Class::Cluster, &line.err).advice(advice));
    }
    state(&text)
}

/// `template: flash.tmpl:1: function "x" not defined`
fn template(error: &str) -> Crash {
    let crash = reason::read(Class::Template, File::Alertmanager, error);
    match pattern!(r"(?s)^template: ([^:]+):(\d+)(?::\d+)?: (.*)$").captures(error) {
        Some(found) => {
            let crash = Crash { reason: found[3].to_owned(), line: found[2].parse().ok(), ..crash };
            crash.file(&found[1])
        }
        None => crash,
    }
}

/// Files in which Alertmanager keeps what it sent and what is silenced.
fn state(text: &str) -> Option<Crash> {
    let lower = text.to_ascii_lowercase();
    let file = match () {
        () if lower.contains("silence") => "silences",
        () if lower.contains("meshentry") || lower.contains("notification log") || lower.contains("nflog") => "nflog",
        // Old versions say nothing but what the decoder said.
        () if lower.starts_with("proto: ") || lower == "unexpected eof" => "",
        () => return None,
    };
    let damaged = [
        "proto: ",
        "unexpected eof",
        "wire type",
        "wiretype",
        "illegal tag",
        "invalid wire-format",
        "corrupt",
        "bad snapshot",
    ];
    damaged.iter().any(|w| lower.contains(w)).then(|| {
        if file.is_empty() {
            let advice = "The log does not say which of the two files is damaged: the one that ends in the middle of an entry. Move nflog first: it is only the memory of what was sent. If the same error comes again, it is silences.";
            return Crash::new(Class::State, format!("a file of its state is damaged (nflog or silences): {text}")).what("nflog").advice(advice);
        }
        let reason = format!("corrupted {file} file: {text}");
        Crash::new(Class::State, reason).what(file)
    })
}
