//! Lines of a log in which a program complains, whatever format it writes, and what of them is one complaint.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::text::log_line::{Level, Line, written_at};
use crate::domain::text::shape::shape;
use crate::text::pattern::pattern;

/// What a line says, and how loud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Complaint {
    /// When; `None` where the line does not say.
    pub(crate) at: Option<Timestamp>,
    /// Message and error.
    pub(crate) text: String,
    /// An error; else a warning that carries one.
    pub(crate) is_error: bool,
}

/// Reads a line; `None` where it complains of nothing: information, warnings without an error, plain text.
pub(crate) fn complaint(raw: &str, now: Timestamp) -> Option<Complaint> {
    let line = Line::parse(raw);
    let (is_error, text) = match line.level {
        Level::Error => (true, line.plainly()),
        Level::Warning if !line.err.is_empty() => (false, line.plainly()),
        Level::Warning => (false, answered(&line.msg)?),
        Level::Unknown => match columns(line.raw).or_else(|| bracketed(line.raw)) {
            Some(text) => (true, text),
            None => (false, troubled(line.raw)?),
        },
        Level::Info => return None,
    };
    let at = said_at(&line, now);
    Some(Complaint { at, text, is_error })
}

/// When a line was written, in any form that a line begins with.
pub(crate) fn said_at(line: &Line<'_>, now: Timestamp) -> Option<Timestamp> {
    line.written_at(now).or_else(|| leading_time(line.raw))
}

/// A request that the program itself could not answer, as Loki, Mimir and Tempo log them: `POST /loki/api/v1/push (500) 52.5ms
/// Response: \"…\" ws: false; …`.
fn answered(message: &str) -> Option<String> {
    let request = pattern!(r#"^([A-Z]{3,7} /\S*) \((5\d\d)\) \S+(?: Response: "(.*?)(?:\\n)*"(?: ws: |\s*$))?"#);
    let found = request.captures(message)?;
    let said = found.get(3).map_or("", |m| m.as_str()).trim();
    let said = said.strip_prefix("rpc error: code = Unknown desc = ").unwrap_or(said);
    let path = found[1].split('?').next().unwrap_or_default();
    Some(if said.is_empty() { format!("{path}: {}", &found[2]) } else { format!("{path}: {}: {said}", &found[2]) })
}

/// `[ERROR] plugin/errors: …` of CoreDNS, `[2026/11/21 02:00:00] [error] [output…] …` of fluent-bit, `ERROR: …`, `2026-…
/// ERROR …`, panics and Python's last line.
fn bracketed(text: &str) -> Option<String> {
    let level = pattern!(
        r"^(?:\[?[\dT:./, Z+-]{8,40}\]?\s*)?(?:\[\s*(?i:error|fatal|critical|panic)\s*\]|(?:ERROR|FATAL|CRITICAL)\b|\d{4}-[^ ]+ E!|E!|panic:|fatal error:)[:\s]*(.*)$"
    );
    let found = level.captures(text.trim())?;
    Some(found[1].trim().to_owned()).filter(|t| !t.is_empty())
}

/// What zap writes for people, as the OpenTelemetry Collector does: time, level, perhaps where in the program, message and
/// fields, with tabs between them.
fn columns(text: &str) -> Option<String> {
    let mut columns = text.trim().split('\t');
    let time = columns.next()?;
    let dated = time.len() >= 19 && time.as_bytes()[..4].iter().all(u8::is_ascii_digit) && time.as_bytes()[10] == b'T';
    if !dated || !matches!(columns.next()?, "error" | "ERROR" | "fatal" | "FATAL" | "dpanic" | "panic") {
        return None;
    }
    let mut rest = columns.skip_while(|c| c.split_once(".go:").is_some_and(|(_, line)| line.parse::<u32>().is_ok()));
    let message = rest.next().filter(|m| !m.is_empty())?;
    let fields = rest.last().and_then(|f| serde_json::from_str::<serde_json::Value>(f).ok());
    let cause = fields.as_ref().and_then(|f| f["error"].as_str());
    Some(cause.map_or_else(|| message.to_owned(), |cause| format!("{message}: {cause}")))
}

/// A warning of Fluent Bit or Fluentd that something failed: `[ warn] [engine] failed to flush chunk`, `[warn]: #0 …
/// error_class=…`.
fn troubled(text: &str) -> Option<String> {
    let warning = pattern!(r"^\[?\d{4}[-/]\d\d[-/]\d\d [\d:. +-]{8,24}\]? \[ ?warn\]:? (.*)$");
    let found = warning.captures(text.trim())?;
    let said = found[1].trim();
    (said.contains("failed") || said.contains("error_class=")).then(|| said.to_owned())
}

/// A date and a time at the start of plain text, in UTC.
fn leading_time(text: &str) -> Option<Timestamp> {
    let time = pattern!(r"^\[?(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d:\d\d:\d\d)");
    let found = time.captures(text.trim())?;
    format!("{}-{}-{}T{}Z", &found[1], &found[2], &found[3], &found[4]).parse().ok()
}

/// Seconds since a line was written, also by a clock that names no zone: containers mostly keep UTC. Nothing where it has no
/// time, or one that lies ahead and so is of another zone.
pub(crate) fn age(raw: &str, now: Timestamp) -> Option<i64> {
    let at = written_at(raw, now).or_else(|| leading_time(raw))?;
    Some(now.as_second() - at.as_second()).filter(|age| *age >= -60)
}

/// Complaints of one log that say the same.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    /// What they have in common: the message without its variable parts.
    pub(crate) key: String,
    /// The newest of them, as it was written.
    pub(crate) text: String,
    /// How many lines.
    pub(crate) count: usize,
    /// The first and the last time, where the lines say.
    pub(crate) first: Option<Timestamp>,
    pub(crate) last: Option<Timestamp>,
    /// At least one is an error, not a warning that carries one.
    pub(crate) is_error: bool,
    /// Lines of the log after the last of them.
    pub(crate) lines_since: usize,
}

/// The complaints of a log, those that say the same together, the most frequent first.
pub(crate) fn groups(log: &str, now: Timestamp) -> Vec<Group> {
    let lines: Vec<&str> = log.lines().collect();
    let mut found: BTreeMap<String, Group> = BTreeMap::new();
    for (at, raw) in lines.iter().enumerate() {
        let Some(said) = complaint(raw, now) else { continue };
        let key = shape(&said.text);
        let group = found.entry(key.clone()).or_insert_with(|| Group {
            key,
            text: String::new(),
            count: 0,
            first: said.at,
            last: said.at,
            is_error: false,
            lines_since: 0,
        });
        group.count += 1;
        group.text = said.text;
        group.first = group.first.or(said.at);
        group.last = said.at.or(group.last);
        group.is_error |= said.is_error;
        group.lines_since = lines.len() - at - 1;
    }
    let mut groups: Vec<Group> = found.into_values().collect();
    groups.sort_by_key(|g| std::cmp::Reverse(g.count));
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-21T03:00:00Z".parse().expect("is a time")
    }

    #[test]
    fn reads_the_formats_of_the_parts_of_a_stack() {
        for (line, text) in [
            ("[ERROR] plugin/errors: 2 a.b. A: i/o timeout", Some("plugin/errors: 2 a.b. A: i/o timeout")),
            (
                "[2026/11/21 02:00:00] [error] [output:loki:loki.0] HTTP status=400 Not retrying.",
                Some("[output:loki:loki.0] HTTP status=400 Not retrying."),
            ),
            ("[2026/11/21 02:00:00] [ info] [engine] started", None),
            (
                "2026-11-21T02:00:00.123Z\terror\tinternal/queue_sender.go:128\tExporting failed. Dropping data.\t{\"kind\": \"exporter\", \"error\": \"no more retries left: rpc error\", \"dropped_items\": 24}",
                Some("Exporting failed. Dropping data.: no more retries left: rpc error"),
            ),
            ("2026-11-21T02:00:00.123Z\tinfo\tservice/service.go:193\tEverything is ready.", None),
            ("[2026/11/21 02:00:00] [ warn] [input] tail.0 paused (mem buf overlimit)", None),
            (
                "[2026/11/21 02:00:00] [ warn] [engine] failed to flush chunk 'a'",
                Some("[engine] failed to flush chunk 'a'"),
            ),
            (
                "2026-11-21 02:50:00 +0000 [warn]: #0 emit transaction failed: error_class=X error=\"full\"",
                Some("#0 emit transaction failed: error_class=X error=\"full\""),
            ),
            ("2026-11-21T02:00:00Z E! cannot push: denied", Some("cannot push: denied")),
            ("panic: runtime error: index out of range", Some("runtime error: index out of range")),
            (r#"level=info msg="all well" error="""#, None),
            (r#"level=warn msg="slow""#, None),
            (
                r#"level=warn ts=2026-11-21T02:41:40.5Z caller=logging.go:144 orgID=fake msg="POST /loki/api/v1/push (500) 52.593848ms Response: \"rpc error: code = Unknown desc = Ingester is shutting down\\n\" ws: false; Connection: close""#,
                Some("POST /loki/api/v1/push: 500: Ingester is shutting down"),
            ),
            (r#"level=warn msg="POST /loki/api/v1/push (429) 1.5ms Response: \"limit\" ws: false""#, None),
            (
                r#"level=warn msg="skipping servicemonitor" error="no such key""#,
                Some("skipping servicemonitor: no such key"),
            ),
            (r#"{"time":"2026-11-21T02:00:00Z","level":"ERROR","msg":"reload: 500"}"#, Some("reload: 500")),
            ("I1121 02:45:44.154686       1 a.go:1] fine", None),
            (
                r#"E1121 02:45:44.154686 1 s.go:149] "Failed to scrape node" err="Get \"https://10.0.1.11:10250/x\": EOF" node="a""#,
                Some(r#"Failed to scrape node: Get "https://10.0.1.11:10250/x": EOF · node="a""#),
            ),
            ("An error is not always one", None),
        ] {
            let said = complaint(line, now()).map(|c| c.text);
            let said = said.map(|t| t.strip_prefix("panic: ").map(str::to_owned).unwrap_or(t));
            assert_eq!(said.as_deref(), text, "{line}");
        }
    }

    #[test]
    fn one_complaint_is_counted_with_its_times() {
        let log = "E1121 02:45:44.154686       1 s.go:140] \"Failed to scrape node\" err=\"10.0.0.1\"\n\
                   I1121 02:46:00.000000       1 s.go:1] fine\n\
                   E1121 02:47:44.154686       1 s.go:140] \"Failed to scrape node\" err=\"10.0.0.2\"\n";
        let found = groups(log, now());
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].count, found[0].lines_since), (2, 0));
        assert_eq!(found[0].last.map(|t| t.to_string()).as_deref(), Some("2026-11-21T02:47:44Z"));
    }
}
