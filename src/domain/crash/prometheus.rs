//! Prometheus, 2.x and 3.x.

use crate::domain::crash::reason::{self, File};
use crate::domain::crash::{Class, Crash, common};
use crate::domain::text::disk_error::DiskError;
use crate::domain::text::log_line::{Level, Line};
use crate::domain::text::redact::redact;
use crate::text::pattern::pattern;

/// Reads a line of Prometheus' log.
pub(crate) fn read(line: &Line<'_>) -> Option<Crash> {
    if line.level == Level::Warning {
        return None;
    }
    let text = line.text();
    // These lines only say that another one said why.
    if text.ends_with("previous rule set restored") || text.contains("one or more errors occurred while applying") {
        return None;
    }
    agent(&text)
        .or_else(|| credentials(line, &text))
        .or_else(|| rules(line, &text))
        .or_else(|| config(line, &text))
        .or_else(|| web(line, &text))
        .or_else(|| storage(line, &text))
}

/// A write into a file that is mapped into memory: where the disk has no block for it, the kernel ends the program with
/// SIGBUS, and no error names the disk.
pub(crate) fn bus_error(text: &str) -> Option<Crash> {
    let signal = text.lines().find(|l| l.contains("signal SIGBUS"))?;
    let writes = ["NewActiveQueryTracker", "ActiveQueryTracker", "query_logger.go"];
    if !writes.iter().any(|w| text.contains(w)) {
        return None;
    }
    let reason = "SIGBUS as it writes queries.active: most likely no space is left on its volume (Prometheus maps that file into memory, so the kernel ends it instead of reporting an error)";
    Some(Crash { said: redact(signal), ..Crash::new(Class::DiskFull, reason) })
}

/// `--enable-feature=agent`, which is a warning since Prometheus 3; what belongs to agent mode alone ends the server then.
pub(crate) fn agent_feature(text: &str) -> Option<Crash> {
    let ended = text.lines().find(|l| l.contains("can only be used in agent mode"))?;
    let warned = pattern!(r#"Unknown option for --enable-feature"? option=agent\b"#).is_match(text);
    let reason = format!("since Prometheus 3.0 --enable-feature=agent makes no agent of it: {}", ended.trim());
    warned.then(|| {
        let crash = Crash::new(Class::Flag, reason).what("--enable-feature=agent").instead(Some("--agent"));
        Crash { said: redact(ended), ..crash.advice("Agent mode is --agent since 3.0; the other flags stay.") }
    })
}

fn agent(text: &str) -> Option<Crash> {
    let found = pattern!(r"(field \S+ is not allowed in agent mode)|(?i)(.*can ?not be used in agent mode.*|.*only be used in (?:agent|server) mode.*|.*are only valid in (?:agent|server) mode.*)").find(text)?;
    let field = pattern!(r"field (\S+) is not allowed").captures(text).map(|c| c[1].to_owned());
    let advice = match field {
        Some(_) => {
            "Agent mode takes no rule_files, alerting and remote_read: take them out, or run without agent mode."
        }
        None => "Take the named flags out, or run without (or with) agent mode.",
    };
    let crash = Crash::new(Class::Agent, found.as_str()).advice(advice);
    Some(Crash { what: field, ..crash })
}

fn credentials(line: &Line<'_>, text: &str) -> Option<Crash> {
    // Service discovery retries without them; only what is applied at the start ends the program.
    if !text.contains("SigV4")
        && !line.msg.starts_with("Failed to apply configuration")
        && !text.contains("error loading config")
    {
        return None;
    }
    let found = pattern!(r"(?s)(could not get SigV4 credentials.*|NoCredentialProviders.*|failed to refresh cached credentials.*|.*no EC2 IMDS role found.*)").find(text)?;
    Some(Crash::new(Class::Credentials, found.as_str()))
}

/// `parse rules from file "F" (pattern: "P"): F: 6:15: group "G", rule 1, "N": could not parse expression: 1:44: parse error: …`
fn rules(line: &Line<'_>, text: &str) -> Option<Crash> {
    let about = text.contains("loading groups failed")
        || text.contains("parse rules from file")
        || text.contains("rule file patterns");
    if !about {
        return None;
    }
    let error =
        match pattern!(r#"(?s)^parse rules from file "[^"]*"(?: \(pattern: "[^"]*"\))?: (.*)$"#).captures(&line.err) {
            Some(found) => found.get(1).map_or("", |m| m.as_str()).to_owned(),
            None => line.err.clone(),
        };
    let (file, rest) = match pattern!(r"(?s)^(/[^\n]*?): (.*)$").captures(&error) {
        Some(found) => (found[1].to_owned(), found[2].to_owned()),
        None => (line.get("file").to_owned(), error),
    };
    // Prometheus 3 joins all complaints about all files by newlines.
    let next = rest.find(&format!("\n{file}: ")).unwrap_or(rest.len());
    let rest = if file.is_empty() { rest.as_str() } else { &rest[..next] };
    if rest.contains("permission denied") {
        return Some(Crash::new(Class::Unreadable, rest).file(file));
    }
    let found =
        pattern!(r#"(?s)^((?:\d+:\d+: )*)(?:group "([^"]*)", rule (\d+)(?:, "([^"]*)")?: )?(.*)$"#).captures(rest)?;
    let part = |n: usize| found.get(n).map_or("", |m| m.as_str());
    let mut crash = reason::read(Class::Rules, File::Rules, part(5)).file(file);
    let place = part(1).split(':').next().and_then(|n| n.trim().parse().ok()).filter(|n| *n > 0);
    crash.line = crash.line.or(place);
    if let Some(repeated) = pattern!(r#"groupname: "([^"]+)" is repeated"#).captures(part(5)) {
        crash.group = Some(repeated[1].to_owned());
    }
    if !part(2).is_empty() {
        crash.group = Some(part(2).to_owned());
        crash.rule = Some(if part(4).is_empty() { part(3).to_owned() } else { part(4).to_owned() });
    }
    if let Some(in_field) = pattern!(r#"^(annotation|label) "([^"]+)": (template: .*)$"#).captures(part(5)) {
        crash.what = Some(format!("{} {}", &in_field[1], &in_field[2]));
    }
    Some(crash)
}

fn config(line: &Line<'_>, text: &str) -> Option<Crash> {
    let loading = line.msg.starts_with("Error loading config") || text.contains("couldn't load configuration");
    let applying = line.msg.starts_with("Failed to apply configuration");
    let parsed = pattern!(r"(?s)parsing YAML file ([^\s:]+): (.*)$").captures(text);
    if let Some(found) = parsed {
        return Some(reason::read(Class::Config, File::Prometheus, &found[2]).file(&found[1]));
    }
    if applying {
        return Some(reason::read(Class::Config, File::Prometheus, &line.err));
    }
    if !loading {
        return None;
    }
    let named = pattern!(r"--config\.file=\\?.?([^\s)\x22\\]+)").captures(text).map(|c| c[1].to_owned());
    let file = Some(line.get("file").to_owned()).filter(|f| !f.is_empty()).or(named);
    Some(unreadable(&line.err, File::Prometheus).maybe_file(file))
}

/// A configuration file that could not even be read, or is refused as a whole.
pub(crate) fn unreadable(error: &str, kind: File) -> Crash {
    let path = common::path(error).map(str::to_owned);
    let class = match error {
        e if e.contains("no such file or directory")
            && pattern!(r"^(?:open|read|stat) /\S+: no such file").is_match(e.trim_start_matches("yaml: ")) =>
        {
            Class::ConfigMissing
        }
        e if e.contains("is a directory") => Class::ConfigDirectory,
        e if e.contains("permission denied") => Class::Unreadable,
        e => return reason::read(Class::Config, kind, e),
    };
    Crash::new(class, error).maybe_file(path)
}

fn web(line: &Line<'_>, text: &str) -> Option<Crash> {
    let about = text.to_ascii_lowercase();
    (about.contains("web configuration file") || about.contains("web config")).then(|| {
        let error = if line.err.is_empty() { text } else { &line.err };
        Crash::new(Class::WebConfig, error).maybe_file(common::path(error))
    })
}

/// `opening storage failed: …`
fn storage(line: &Line<'_>, text: &str) -> Option<Crash> {
    let opening = text.contains("opening storage failed") || line.msg == "Fatal error" || line.msg.is_empty();
    let has = |words: &[&str]| words.iter().any(|w| text.contains(w));
    // A full disk, a permission or a read-only volume is what it is, whichever file it happens to hit: the lock is then
    // nobody's.
    if matches!(DiskError::read(text), Some(DiskError::Full | DiskError::Denied | DiskError::ReadOnly)) {
        return None;
    }
    if has(&["cannot allocate memory"]) {
        return Some(Crash::new(
            Class::MemoryMap,
            format!("the kernel maps no more memory for it: {}", after_opening(text)),
        ));
    }
    if has(&["input/output error"]) {
        return Some(Crash::new(Class::Device, format!("the disk gives errors: {}", after_opening(text))));
    }
    if has(&["lock DB directory", "resource temporarily unavailable"]) {
        return Some(Crash::new(Class::Lock, after_opening(text)));
    }
    if !opening {
        return None;
    }
    if has(&["unknown index file version", "invalid chunk format version", "unexpected meta file version"]) {
        let block = pattern!(r"\b([0-9A-HJKMNP-TV-Z]{26})\b").captures(text).map(|c| c[1].to_owned());
        let reason = format!("a newer version wrote what it finds: {}", after_opening(text));
        return Some(Crash { what: block, ..Crash::new(Class::NewerData, reason) });
    }
    let file = pattern!(r"(/\S+?)(?: at \d+)?:").captures(text).map(|c| c[1].to_owned());
    let block = pattern!(r"\b([0-9A-HJKMNP-TV-Z]{26})\b").captures(text).map(|c| c[1].to_owned());
    let reason = after_opening(text);
    if has(&["chunks_head", "head chunk"]) {
        return Some(Crash::new(Class::HeadChunks, format!("damaged file of head chunks: {reason}")).maybe_file(file));
    }
    if let Some(block) = block {
        return Some(Crash::new(Class::Block, format!("damaged block: {reason}")).what(block).maybe_file(file));
    }
    if has(&[
        "segments are not sequential",
        "corruption in segment",
        "corruption after",
        "WAL",
        "checkpoint",
        "unexpected first record",
        "unexpected full record",
        "unexpected last record",
        "unexpected middle record",
        "/wal/",
    ]) {
        let advice = if has(&["not sequential"]) { "A segment between the first and the last is missing." } else { "" };
        return Some(
            Crash::new(Class::Wal, format!("damaged write-ahead log (WAL): {reason}")).maybe_file(file).advice(advice),
        );
    }
    if has(&[
        "corrupted block",
        "invalid magic number",
        "invalid checksum",
        "unexpected checksum",
        "invalid size",
        "invalid chunk",
        "read TOC",
        "open block",
    ]) {
        return Some(Crash::new(Class::Block, format!("damaged block: {reason}")).maybe_file(file));
    }
    None
}

fn after_opening(text: &str) -> &str {
    match text.split_once("opening storage failed: ") {
        Some((_, rest)) => rest,
        None => text.trim_start_matches("Fatal error: "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bus_error_on_the_query_log_is_a_full_disk() {
        let log = "unexpected fault address 0x7f2c07c61000\nfatal error: fault\n[signal SIGBUS: bus error code=0x2 addr=0x7f2c07c61000 pc=0x4698e2]\n\ngoroutine 1 [running]:\ngithub.com/prometheus/prometheus/promql.NewActiveQueryTracker({0x7ffd72b9b18b, 0xb}, 0x14)\n";
        assert_eq!(bus_error(log).map(|c| c.class), Some(Class::DiskFull));
        assert!(
            bus_error(&log.replace("NewActiveQueryTracker", "memmove")).is_none(),
            "a device that fails looks the same"
        );
    }

    #[test]
    fn data_of_a_newer_version_is_not_damaged() {
        let of = |err: &str| {
            let line = format!(
                "ts=2026-11-21T03:19:27.109Z caller=main.go:1127 level=error err=\"opening storage failed: {err}\""
            );
            read(&Line::parse(&line)).map(|c| c.class)
        };
        let block = "reloadBlocks: corrupted block 01M8KXJ5ZKPGR8MAVRJYWXQZ0J:";
        assert_eq!(of(&format!("{block} unknown index file version 3")), Some(Class::NewerData));
        assert_eq!(of(&format!("{block} invalid chunk format version 2")), Some(Class::NewerData));
        assert_eq!(of(&format!("{block} invalid magic number bd40dd")), Some(Class::Block));
    }

    #[test]
    fn the_feature_flag_of_agent_mode_is_a_flag_now() {
        let only = "The following flag(s) can only be used in agent mode: [\"--storage.agent.path\"]\n";
        let warned = "time=2026-11-21T02:50:12Z level=WARN source=main.go:279 msg=\"Unknown option for --enable-feature\" option=agent\n";
        let found = agent_feature(&format!("{warned}{only}")).expect("a crash");
        assert_eq!((found.class, found.instead.as_deref()), (Class::Flag, Some("--agent")));
        assert!(agent_feature(only).is_none(), "nobody asked for agent mode");
    }

    #[test]
    fn a_full_disk_is_no_foreign_lock() {
        let class = |err: &str| {
            let line = format!("ts=2026-11-21T03:19:27.109Z level=error err=\"opening storage failed: {err}\"");
            let line = Line::parse(&line);
            read(&line).or_else(|| common::read(&line)).map(|c| c.class)
        };
        assert_eq!(class("lock DB directory: open /data/lock: no space left on device"), Some(Class::DiskFull));
        assert_eq!(class("lock DB directory: resource temporarily unavailable"), Some(Class::Lock));
        assert_eq!(class("lock DB directory: open /data/lock: permission denied"), Some(Class::Permission));
    }
}
