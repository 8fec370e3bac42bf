//! One line of a log: logfmt, JSON, klog, or plain text.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::snapshot::monitoring::ContainerLog;
use serde_json::Value;

use crate::text::pattern::pattern;

/// How bad a line says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// Debug and info.
    Info,
    /// A warning.
    Warning,
    /// An error, a panic, a fatal error.
    Error,
    /// The line does not say: plain text.
    Unknown,
}

/// Names under which JSON lines have their level.
pub(crate) const LEVELS: [&str; 8] = ["level", "lvl", "severity", "levelname", "log.level", "@level", "@l", "loglevel"];
/// And their text.
const JSON_TEXTS: [&str; 2] = ["message", "@message"];
/// Fields that hold the error, each by its logger: Go's, ECS', Node's, and `failure`, Chromium's `net::ERR_…` for a page that it
/// did not get.
const ERRORS: &[&str] =
    &["err", "error", "error.message", "err.message", "exception", "exc_info", "reason", "details", "failure"];

/// A line, taken apart.
#[derive(Debug, Clone)]
pub(crate) struct Line<'a> {
    /// As it was written.
    pub(crate) raw: &'a str,
    /// When; `None` where it does not say, or not with a date.
    pub(crate) at: Option<Timestamp>,
    /// How bad.
    pub(crate) level: Level,
    /// The message; of plain text the whole line.
    pub(crate) msg: String,
    /// The error; empty where there is none.
    pub(crate) err: String,
    fields: BTreeMap<String, String>,
}

impl<'a> Line<'a> {
    /// Takes a line apart.
    pub(crate) fn parse(raw: &'a str) -> Self {
        let klog = pattern!(r"^([IWEF])\d{4} [\d:.]+\s+\d+ [^\s\]]+\] (.*)$");
        let text = raw.trim();
        if let Some(found) = klog.captures(said(text)) {
            let level = match &found[1] {
                "I" => Level::Info,
                "W" => Level::Warning,
                _ => Level::Error,
            };
            let err = fields(&found[2]).remove("err").unwrap_or_default();
            return Self { raw: text, at: None, level, msg: found[2].to_owned(), err, fields: BTreeMap::new() };
        }
        let all = fields(text);
        let is_json = text.starts_with('{');
        let known = ["level", "lvl", "msg", "err", "error", "caller", "log.level"];
        let known_of_json = || is_json && LEVELS.iter().chain(&JSON_TEXTS).any(|k| all.contains_key(*k));
        if !known.iter().any(|k| all.contains_key(*k)) && !known_of_json() {
            let level = if text.starts_with("panic:") { Level::Error } else { Level::Unknown };
            return Self {
                raw: text,
                at: None,
                level,
                msg: text.to_owned(),
                err: String::new(),
                fields: BTreeMap::new(),
            };
        }
        let get = |names: &[&str]| names.iter().find_map(|n| all.get(*n)).cloned().unwrap_or_default();
        let level = match is_json {
            true => level_of_json(&all),
            false => level_of(&get(&["level", "lvl", "log.level"])).unwrap_or(Level::Unknown),
        };
        let at = moment(&get(&["ts", "time", "t", "@timestamp", "timestamp"]));
        let (msg, err) = (get(&["msg", "message", "@message", "event"]), get(ERRORS));
        Self { raw: text, at, level, msg, err, fields: all }
    }

    /// The same, as if it were an error.
    pub(crate) fn as_error(&self) -> Self {
        Self { level: Level::Error, ..self.clone() }
    }

    /// A field by name; empty where there is none.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    /// When it was written: by its field, by klog's short time, by a full time that it begins with, or by the time of Go's log.
    pub(crate) fn written_at(&self, now: Timestamp) -> Option<Timestamp> {
        let full = || full_time(self.raw, now);
        self.at.or_else(|| klog_time(self.raw, now)).or_else(full).or_else(|| go_time(self.raw, now))
    }

    /// It says that it was written more than so many seconds ago.
    pub(crate) fn is_older(&self, now: Timestamp, seconds: i64) -> bool {
        self.written_at(now).is_some_and(|at| now.as_second() - at.as_second() > seconds)
    }

    /// Speaks of what another program said: a receiver, a peer, a target. Its disks and ports are not this program's.
    pub(crate) fn is_of_others(&self) -> bool {
        let component = self.get("component");
        let others = ["remote", "notifier", "rule manager", "scrape manager", "discovery manager", "web"];
        others.iter().any(|o| component.starts_with(o)) || self.text().contains("server returned HTTP status")
    }

    /// Holds words of others without saying them: a record of what was done, or of a query and what that looked for.
    pub(crate) fn is_record(&self) -> bool {
        let names_query = || self.raw.match_indices("query=").any(|(at, _)| !self.raw[..at].ends_with(['?', '&']));
        self.level == Level::Info || names_query() || !self.get("query").is_empty()
    }

    /// The same for people: of a structured line of klog the message and the error as they are meant, and its other fields
    /// behind a point.
    pub(crate) fn plainly(&self) -> String {
        let Some(quoted) = self.msg.strip_prefix('"').filter(|_| !self.err.is_empty()) else { return self.text() };
        let (message, rest) = unquote(quoted);
        let others = fields(rest).into_iter().filter(|(key, _)| key != "err");
        let others: Vec<String> = others.map(|(key, value)| format!("{key}={value:?}")).collect();
        let behind = if others.is_empty() { String::new() } else { format!(" · {}", others.join(" ")) };
        format!("{message}: {}{behind}", self.err)
    }

    /// Message and error in one text, to search in.
    pub(crate) fn text(&self) -> String {
        match (self.msg.as_str(), self.err.as_str()) {
            (msg, "") => msg.to_owned(),
            ("", err) => err.to_owned(),
            (msg, err) => format!("{msg}: {err}"),
        }
    }
}

/// When a line was written, in any of the forms in which lines say it.
pub(crate) fn written_at(raw: &str, now: Timestamp) -> Option<Timestamp> {
    Line::parse(raw).written_at(now)
}

/// Seconds since a line was written; nothing where it has no time.
pub(crate) fn age(raw: &str, now: Timestamp) -> Option<i64> {
    written_at(raw, now).map(|at| now.as_second() - at.as_second())
}

/// It says that it was written within so many seconds.
pub(crate) fn is_within(raw: &str, now: Timestamp, seconds: i64) -> bool {
    age(raw, now).is_some_and(|age| age <= seconds)
}

/// It says that it was written more than so many seconds ago.
pub(crate) fn is_older(raw: &str, now: Timestamp, seconds: i64) -> bool {
    Line::parse(raw).is_older(now, seconds)
}

/// A line is of now: within so many seconds, or of a container that failed and does not say when. Of a log that goes on,
/// the line must say when it was written.
pub(crate) fn is_now(log: &ContainerLog, line: &str, now: Timestamp, window: i64) -> bool {
    let age = match log.previous {
        true => Line::parse(line).at.map(|at| now.as_second() - at.as_second()),
        false => age(line, now),
    };
    age.map_or(log.previous, |seconds| seconds <= window)
}

/// A full time that a line begins with: `2026-11-21T02:50:00.412Z`, `[2026-11-21T02:50:00,412]` of Java's loggers, which keep
/// UTC where they name no zone, and `2026-11-21 02:50:00 +0000` of Fluentd.
fn full_time(line: &str, now: Timestamp) -> Option<Timestamp> {
    let time = pattern!(
        r"^\s*\[?(\d{4}-\d\d-\d\d)(?:(T)| )(\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?(?: ?(Z|[+-]\d\d:?\d\d))?[\],\s]"
    );
    let padded = format!("{} ", line.get(..64).unwrap_or(line));
    let found = time.captures(&padded)?;
    let zone = match (found.get(5).map(|z| z.as_str()), found.get(2)) {
        (Some("Z"), _) | (None, Some(_)) => "Z".to_owned(),
        (Some(zone), _) => format!("{}:{}", &zone[..3], zone[3..].trim_start_matches(':')),
        // With a blank between them it is the program's own clock, of whatever zone.
        (None, None) => return None,
    };
    let part = found.get(4).map(|f| format!(".{}", f.as_str())).unwrap_or_default();
    let at: Timestamp = format!("{}T{}{part}{zone}", &found[1], &found[3]).parse().ok()?;
    // What lies ahead is of another zone.
    (found.get(5).is_some() || at.as_second() <= now.as_second() + 60).then_some(at)
}

/// `2026/11/21 03:20:49`, as Go's own log writes it, and Fluent Bit in brackets; containers mostly keep UTC. What lies ahead is
/// of another zone: when it was written is not known.
fn go_time(line: &str, now: Timestamp) -> Option<Timestamp> {
    let line = line.trim_start();
    let (date, rest) = line.strip_prefix('[').unwrap_or(line).split_at_checked(10)?;
    let time = rest.strip_prefix(' ')?.get(..8)?;
    let is_date = date.as_bytes()[4] == b'/' && date.as_bytes()[7] == b'/';
    let at: Timestamp = is_date.then(|| format!("{}T{time}Z", date.replace('/', "-")).parse().ok()).flatten()?;
    (at.as_second() <= now.as_second() + 60).then_some(at)
}

/// A line without the complaint that glog puts before each one of a program that has not read its flags.
fn said(line: &str) -> &str {
    line.strip_prefix("logging before flag.Parse: ").unwrap_or(line)
}

/// klog's `E1121 03:20:49.826213`: month and day without the year; containers mostly keep UTC.
fn klog_time(line: &str, now: Timestamp) -> Option<Timestamp> {
    let stamp = pattern!(r"^[IWEF](\d\d)(\d\d) (\d\d):(\d\d):(\d\d)\.\d+ ");
    let found = stamp.captures(said(line))?;
    let number = |at: usize| found[at].parse::<i8>().ok();
    let year = now.to_zoned(TimeZone::UTC).year();
    let of_year = |year: i16| {
        let time = DateTime::new(year, number(1)?, number(2)?, number(3)?, number(4)?, number(5)?, 0).ok()?;
        time.to_zoned(TimeZone::UTC).ok().map(|z| z.timestamp())
    };
    // What lies more than a day ahead was written last year.
    of_year(year).filter(|t| t.as_second() <= now.as_second() + 86_400).or_else(|| of_year(year - 1))
}

/// The fields of a line, logfmt or JSON.
pub(crate) fn fields(line: &str) -> BTreeMap<String, String> {
    let line = line.trim();
    if line.starts_with('{') {
        let object: BTreeMap<String, serde_json::Value> = serde_json::from_str(line).unwrap_or_default();
        return object.into_iter().flat_map(|(key, value)| of_value(key, value)).collect();
    }
    let mut found = BTreeMap::new();
    let mut rest = line;
    while let Some((key, after)) = rest.split_once('=') {
        let key = key.rsplit(' ').next().unwrap_or(key);
        let (value, left) = match after.strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => match after.split_once(' ') {
                Some((value, left)) => (value.to_owned(), left),
                None => (after.to_owned(), ""),
            },
        };
        found.entry(key.to_owned()).or_insert(value);
        rest = left;
    }
    found
}

/// What a value of a JSON line holds as text; of an object its members, each by its path: `error.message`.
fn of_value(key: String, value: Value) -> Vec<(String, String)> {
    match value {
        Value::String(text) => vec![(key, text)],
        Value::Number(number) => vec![(key, number.to_string())],
        Value::Object(members) => {
            let texts = members.into_iter().filter_map(|(name, v)| Some((name, v.as_str()?.to_owned())));
            texts.map(|(name, text)| (format!("{key}.{name}"), text)).collect()
        }
        Value::Null | Value::Bool(_) | Value::Array(_) => Vec::new(),
    }
}

/// How bad a JSON line says it is. Klog's have no level: information has a verbosity, and what has none and an error failed.
fn level_of_json(all: &BTreeMap<String, String>) -> Level {
    // Google's loggers shout their severity; that of an alert that is passed on is whispered.
    let is_level = |name: &str, value: &str| {
        name != "severity" || value.chars().all(char::is_uppercase) || level_of(value) == Some(Level::Info)
    };
    let of = |name: &&str| all.get(*name).filter(|value| is_level(name, value));
    if let Some(level) = LEVELS.iter().find_map(of) {
        return level_of(level).unwrap_or(Level::Unknown);
    }
    let has = |key: &str| all.contains_key(key);
    match (has("caller"), has("v"), has("err")) {
        (true, true, _) => Level::Info,
        (true, false, true) => Level::Error,
        _ => Level::Unknown,
    }
}

/// A level by its word, or by the number that pino and bunyan (30 is information) or syslog (6 is) give it.
fn level_of(word: &str) -> Option<Level> {
    Some(match word.to_ascii_lowercase().as_str() {
        "debug" | "info" | "dbug" | "trace" | "information" | "informational" | "notice" | "verbose" => Level::Info,
        "warn" | "warning" => Level::Warning,
        "error" | "eror" | "err" | "crit" | "critical" | "fatal" | "panic" | "dpanic" | "severe" | "alert"
        | "emerg" => Level::Error,
        number => match number.parse::<u32>().ok()? {
            5..=7 | 10..=30 => Level::Info,
            4 | 31..=40 => Level::Warning,
            0..=3 | 41..=60 => Level::Error,
            _ => return None,
        },
    })
}

/// A time as a line has it: written out, or as seconds, milliseconds or nanoseconds since 1970.
fn moment(text: &str) -> Option<Timestamp> {
    if let Ok(at) = text.replacen(',', ".", 1).parse() {
        return Some(at);
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let number: i64 = whole.parse().ok()?;
    match whole.len() {
        10 => {
            let nanos: i32 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
            Timestamp::new(number, nanos).ok()
        }
        13 => Timestamp::from_millisecond(number).ok(),
        19 => Timestamp::from_nanosecond(number.into()).ok(),
        _ => None,
    }
}

/// A Go-quoted string up to its closing quote, and what follows.
fn unquote(text: &str) -> (String, &str) {
    let mut out = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (out, &text[at + 1..]),
            '\\' => match letters.next().map(|(_, l)| l) {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some(other) => out.push(other),
                None => break,
            },
            other => out.push(other),
        }
    }
    (out, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_of_go_itself_says_when() {
        let now: Timestamp = "2026-11-21T03:00:00Z".parse().expect("a time");
        assert_eq!(age("2026/11/21 02:52:17 Ignoring, HTTP credential provider", now), Some(463));
        assert_eq!(age("2026/11/21T02:52:17 x", now), None);
        assert_eq!(age("short", now), None);
        for line in [
            "[2026/11/21 02:52:17] [ warn] [engine] failed to flush chunk",
            "[2026/11/21 02:52:17.123456789] [error] [output:es:es.0] x",
            "2026-11-21 02:52:17 +0000 [warn]: #0 failed to flush the buffer",
            "2026-11-21 10:52:17 +0800 [warn]: #0 failed to flush the buffer",
            "[2026-11-21T02:52:17,000][WARN ][o.e.c.c.ClusterFormationFailureHelper] x",
            "{\"type\": \"server\", \"timestamp\": \"2026-11-21T02:52:17,000Z\", \"level\": \"WARN\", \"message\": \"x\"}",
            "{\"timestamp\": \"2026-11-21T10:52:17,000+08:00\", \"level\": \"WARN\"}",
            "2026-11-21T02:52:17.000000Z ERROR sink{x}: vector",
        ] {
            assert_eq!(age(line, now), Some(463), "{line}");
        }
        assert_eq!(age("2026-11-21 02:52:17 of no zone", now), None);
        assert_eq!(age("logging before flag.Parse: E1121 02:52:17.871589      11 memcache.go:147] x", now), Some(463));
    }

    #[test]
    fn reads_each_format() {
        let parts = |raw: &str| {
            let line = Line::parse(raw);
            (line.level, line.msg.clone(), line.err.clone(), line.at.is_some())
        };
        let slog =
            r#"time=2026-11-21T03:20:33.335Z level=ERROR source=main.go:1373 msg="Fatal error" err="opening \"x\": y""#;
        assert_eq!(parts(slog), (Level::Error, "Fatal error".into(), r#"opening "x": y"#.into(), true));
        let json = r#"{"caller":"main.go:1","err":"a\nb","level":"warn","msg":"m","ts":"2026-11-21T03:20:48.835Z"}"#;
        assert_eq!(parts(json), (Level::Warning, "m".into(), "a\nb".into(), true));
        let klog = "E1121 03:20:33.335000       1 reflector.go:150] pkg/a.go:1: failed to list *v1.Pod: x is forbidden";
        let early = format!("logging before flag.Parse: {klog}");
        assert_eq!(parts(&early), parts(klog));
        assert_eq!(
            parts(klog),
            (Level::Error, "pkg/a.go:1: failed to list *v1.Pod: x is forbidden".into(), String::new(), false)
        );
        let elastic = r#"{"@timestamp":"2026-11-21T03:20:48.835Z", "log.level":"ERROR", "message":"fatal exception while booting Elasticsearch", "error.message":"failed to obtain node locks"}"#;
        assert_eq!(
            parts(elastic),
            (
                Level::Error,
                "fatal exception while booting Elasticsearch".into(),
                "failed to obtain node locks".into(),
                true
            )
        );
        let zap = r#"{"level":"error","ts":1763695248.8351,"logger":"controller","msg":"m","error":"e","attempt":3}"#;
        assert_eq!(parts(zap), (Level::Error, "m".into(), "e".into(), true));
        assert_eq!(Line::parse(zap).at, "2025-11-21T03:20:48.8351Z".parse().ok());
        assert_eq!(Line::parse(zap).get("attempt"), "3");
        let klog_json = r#"{"ts":1763695248835.1,"caller":"cache/reflector.go:1","msg":"m","err":"e"}"#;
        assert_eq!(parts(klog_json), (Level::Error, "m".into(), "e".into(), true));
        assert_eq!(parts(&klog_json.replace("\"err\"", "\"v\":0,\"err\"")).0, Level::Info);
        let pino = r#"{"level":50,"time":1763695248835,"msg":"m","error":{"message":"e","code":"E1"}}"#;
        assert_eq!(parts(pino), (Level::Error, "m".into(), "e".into(), true));
        let python = r#"{"severity":"ERROR","timestamp":"2026-11-21T03:20:48Z","message":"m","exc_info":"e"}"#;
        assert_eq!(parts(python), (Level::Error, "m".into(), "e".into(), true));
        let ecs = r#"{"@timestamp":"2026-11-21T03:20:48.835+00:00","message":"Unable to connect","log":{"level":"ERROR"},"error":{"message":"connect ECONNREFUSED 10.0.0.1:9200"}}"#;
        let refused = "connect ECONNREFUSED 10.0.0.1:9200".to_owned();
        assert_eq!(parts(ecs), (Level::Error, "Unable to connect".into(), refused, true));
        let axios = r#"{"level":50,"time":1795231248835,"err":{"type":"AxiosError","message":"Request failed with status code 404"},"msg":"posting failed"}"#;
        let not_found = "Request failed with status code 404".to_owned();
        assert_eq!(parts(axios), (Level::Error, "posting failed".into(), not_found, true));
        assert_eq!(parts(r#"{"level":40,"err":null,"msg":"again"}"#).0, Level::Warning);
        assert_eq!(Line::parse(axios).at, "2026-11-21T03:20:48.835Z".parse().ok());
        let early = r#"{"level":"error","ts":1795231248.835,"msg":"x"}"#;
        assert_eq!(Line::parse(early).at, "2026-11-21T03:20:48.835Z".parse().ok());
        let chromium = r#"{"failure":"net::ERR_NAME_NOT_RESOLVED","level":"error","message":"Browser request failed","url":"http://g/"}"#;
        assert_eq!(parts(chromium).2, "net::ERR_NAME_NOT_RESOLVED");
        assert_eq!(parts(r#"{"severity":"ERROR","message":"x"}"#).0, Level::Error);
        assert_eq!(parts(r#"{"severity":"critical","message":"an alert"}"#).0, Level::Unknown);
        let plain = "Error parsing command line arguments: unexpected storage.tsdb.retention.time=15d";
        assert_eq!(parts(plain), (Level::Unknown, plain.into(), String::new(), false));
    }
}
