//! Why a program of the stack ended, by what its log says last. Text in, class and details out.

mod agents;
mod alertmanager;
mod cache;
mod cloud;
mod common;
mod config;
mod flags;
mod grafana;
mod known;
mod loki;
mod metadata;
mod nginx;
mod operator;
mod panic;
mod processes;
mod prometheus;
mod reason;
mod store_start;
mod unreached;

use crate::domain::kubernetes::forbidden::{Account, Act};
use crate::domain::kubernetes::starting::says_failure;
use crate::domain::text::api_error::Thing;
use crate::domain::text::log_line::{Level, Line};
use crate::domain::text::object_store::StoreFailure;
use crate::domain::text::redact::redact;
use crate::domain::text::shorten::shorten;
use crate::domain::text::stack;
use crate::model::Program;
use crate::text::pattern::pattern;

/// Lines from the end that are looked at: older ones are not about the end.
const LAST: usize = 400;
/// Lines of a log that are shown where its reason is not known.
const SHOWN: usize = 5;

/// What made a program end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// The configuration file is refused.
    Config,
    /// A rule file is refused.
    Rules,
    /// A notification template is refused.
    Template,
    /// The configuration file is not there.
    ConfigMissing,
    /// A directory lies where the configuration file should be.
    ConfigDirectory,
    /// A configuration or rule file may not be read.
    Unreadable,
    /// The web configuration file is missing or wrong.
    WebConfig,
    /// Configuration or flags that agent mode does not take.
    Agent,
    /// No AWS credentials for SigV4.
    Credentials,
    /// The data directory may not be written.
    Permission,
    /// The init container that changes the owner of the data fails.
    Chown,
    /// The volume is read-only.
    ReadOnly,
    /// Another process holds the data directory.
    Lock,
    /// No space is left.
    DiskFull,
    /// The write-ahead log is damaged.
    Wal,
    /// Loki's log of its own index is damaged.
    IndexLog,
    /// A block is damaged.
    Block,
    /// A newer version wrote the data.
    NewerData,
    /// A file of the head's chunks is damaged.
    HeadChunks,
    /// Alertmanager's notification log or silences are damaged.
    State,
    /// A command-line argument is wrong.
    Flag,
    /// The port is taken.
    Port,
    /// The address or port may not be used.
    Bind,
    /// The agent of Pod Identity is to listen on an address of IPv6, and its node has none.
    AgentAddress,
    /// The configuration names a variable of the environment that is not set.
    Variable,
    /// Alertmanager finds no address for its cluster.
    Cluster,
    /// Two datasources are marked as default.
    SecondDefault,
    /// A provisioning file is refused.
    Provisioning,
    /// A plugin cannot be installed.
    Plugin,
    /// A variable is given as a value and as a file.
    TwoSources,
    /// grafana.ini or an environment variable is refused.
    Ini,
    /// The migration of the database fails.
    Migration,
    /// The SQLite database is locked.
    DatabaseLocked,
    /// The SQLite database is damaged.
    DatabaseDamaged,
    /// The database cannot be reached.
    Database,
    /// A CustomResourceDefinition is missing or too old.
    CrdMissing,
    /// The ServiceAccount lacks a right.
    Forbidden,
    /// The certificate of the webhook is missing or wrong.
    Webhook,
    /// The API server cannot be reached.
    ApiServer,
    /// The node lets no more files be watched (inotify).
    Inotify,
    /// The node lets a process map too few areas of memory (Elasticsearch, OpenSearch).
    MapCount,
    /// A setting of the node's kernel may not be written or read.
    Kernel,
    /// The packet filter of the node does not take the rules of a mesh, or nobody has written them.
    PacketFilter,
    /// Thanos asks for external labels that tell this Prometheus from others.
    ExternalLabels,
    /// The metadata of the instance cannot be read.
    Metadata,
    /// It has no token of its ServiceAccount.
    NoToken,
    /// It cannot start another thread or process.
    Processes,
    /// The kernel maps no more memory for it.
    MemoryMap,
    /// The disk gives errors.
    Device,
    /// A ring of Loki, Mimir or Tempo finds no address to give to the others.
    Memberlist,
    /// Its image is built for another processor than the node's.
    Architecture,
    /// Something that it needs at its start does not answer.
    Unreached,
    /// Its object store answers, and refuses it.
    Store,
    /// Its copy of what it watches in the API server is not filled in time.
    Cache,
    /// An API of AWS answers that something is not there or too much.
    Cloud,
    /// Thanos asks Prometheus to leave its blocks as they are.
    Compaction,
    /// It panics: a bug of its own.
    Panic,
}

impl Class {
    /// The files of the configuration are at fault.
    pub(crate) fn is_configuration(self) -> bool {
        matches!(self, Self::Config | Self::Rules | Self::Template | Self::Agent)
    }

    /// The volume or what lies on it is at fault.
    pub(crate) fn is_storage(self) -> bool {
        use Class::{
            Block, Chown, DatabaseLocked, Device, DiskFull, HeadChunks, IndexLog, Lock, NewerData, Permission,
            ReadOnly, State, Wal,
        };
        matches!(
            self,
            Permission
                | Chown
                | ReadOnly
                | Lock
                | DiskFull
                | Wal
                | IndexLog
                | Block
                | NewerData
                | HeadChunks
                | State
                | DatabaseLocked
                | Device
        )
    }
}

/// What is known of a fault beyond its class, where its fix depends on it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Detail {
    /// Nothing.
    #[default]
    None,
    /// A duration is empty.
    EmptyDuration,
    /// A receiver is used and not defined.
    UndefinedReceiver,
    /// Another name is used in a route and not defined.
    Undefined,
    /// A field that the section does not have.
    UnknownField,
    /// The file holds a whole object of Kubernetes.
    KubernetesObject,
    /// A URL is refused: what is named may stand in the file in another form.
    Url,
    /// What is named is lacking, or may stand in the file in another form.
    MayLack,
    /// A flag with one dash.
    ShortFlag,
    /// A right that is missing, and the ServiceAccount that lacks it.
    Denied(Account, Act),
    /// It still waited when it was ended: no signal and no probe tells more.
    Waits,
    /// The image starts this program, which knows none of the container's arguments.
    OtherProgram(String),
    /// How its object store refuses it.
    Store(StoreFailure),
    /// The resource, as kubectl takes it, of which it was reading objects.
    About(String),
    /// The API by which it was about to make something is not served.
    OldApi,
    /// What is not there.
    Absent(Thing),
}

/// Why a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Crash {
    /// What kind of fault.
    pub(crate) class: Class,
    /// What is known beyond that.
    pub(crate) detail: Detail,
    /// The file or directory that it is about.
    pub(crate) file: Option<String>,
    /// Line in the file.
    pub(crate) line: Option<usize>,
    /// Group of rules.
    pub(crate) group: Option<String>,
    /// Rule: its name.
    pub(crate) rule: Option<String>,
    /// The field, flag, value, name or port that is wrong.
    pub(crate) what: Option<String>,
    /// What was meant.
    pub(crate) instead: Option<String>,
    /// What the program says, in one sentence.
    pub(crate) reason: String,
    /// What to do about it, in one sentence; empty where the class says it all.
    pub(crate) advice: String,
    /// The line that says so.
    pub(crate) said: String,
}

impl Crash {
    /// The host that is not reached, and its port where that is said.
    pub(crate) fn unreached(&self) -> Option<(&str, Option<&str>)> {
        let host = self.what.as_deref().filter(|_| self.class == Class::Unreached)?;
        Some(host.rsplit_once(':').map_or((host, None), |(name, port)| (name, Some(port))))
    }

    fn new(class: Class, reason: impl AsRef<str>) -> Self {
        Self {
            class,
            detail: Detail::None,
            file: None,
            line: None,
            group: None,
            rule: None,
            what: None,
            instead: None,
            reason: redact(reason.as_ref()),
            advice: String::new(),
            said: String::new(),
        }
    }

    fn file(mut self, file: impl Into<String>) -> Self {
        self.file = Some(file.into()).filter(|f| !f.is_empty());
        self
    }

    fn maybe_file(mut self, file: Option<impl Into<String>>) -> Self {
        self.file = file.map(Into::into).filter(|f| !f.is_empty()).or(self.file);
        self
    }

    fn what(mut self, what: impl Into<String>) -> Self {
        self.what = Some(what.into());
        self
    }

    fn instead(mut self, instead: Option<impl Into<String>>) -> Self {
        self.instead = instead.map(Into::into);
        self
    }

    fn detail(mut self, detail: Detail) -> Self {
        self.detail = detail;
        self
    }

    fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = advice.into();
        self
    }

    /// Place, reason and proposal in one sentence.
    pub(crate) fn sentence(&self) -> String {
        // Most errors of the operating system name the file themselves.
        let named = |file: &&String| !self.reason.contains(file.as_str());
        let mut text = self.file.as_ref().filter(named).cloned().unwrap_or_default();
        if let Some(line) = self.line {
            text = format!("{text} line {line}").trim_start().to_owned();
        }
        match (&self.group, &self.rule) {
            (Some(group), Some(rule)) => text = format!("{text} (group {group}, rule {rule})"),
            (Some(group), None) => text = format!("{text} (group {group})"),
            _ => {}
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&self.reason);
        match &self.instead {
            Some(instead) => format!("{text} ({instead}?)"),
            None => text,
        }
    }
}

/// Why a program ended, by its last log. `None` where the log does not say.
pub(crate) fn classify(program: Option<Program>, text: &str) -> Option<Crash> {
    if let Some(crash) = of_several_lines(program, text) {
        return Some(crash);
    }
    let lines: Vec<Line<'_>> =
        text.lines().filter(|l| !l.trim().is_empty()).map(Line::parse).filter(|l| l.level != Level::Info).collect();
    let lines = &lines[lines.len().saturating_sub(LAST)..];
    let read = |line: &Line<'_>| {
        let found = match program {
            Some(Program::Prometheus) => prometheus::read(line),
            Some(Program::Alertmanager) => alertmanager::read(line),
            Some(Program::Grafana) => grafana::read(line),
            None => operator::read(line),
        };
        // What a warning or another program says of disks and ports did not end this one.
        let own = line.level != Level::Warning && !line.is_of_others();
        let crash = found.or_else(|| flags::read(line)).or_else(|| common::read(line).filter(|_| own))?;
        Some(Crash { said: said(line), ..crash })
    };
    // What is said last ended it; a panic itself before what led to it.
    let is_panic = |l: &Line<'_>| l.raw.starts_with("panic:") || l.raw.starts_with("fatal error:");
    let panic = lines.iter().rposition(is_panic).unwrap_or(lines.len());
    let last = lines[panic..].iter().find_map(read).or_else(|| lines.iter().rev().find_map(read));
    let Some(last) = last else {
        // A file that a warning speaks of was done without.
        let own: Vec<&str> = lines.iter().filter(|l| l.level != Level::Warning).map(|l| l.raw).collect();
        let of_config = || program.is_none().then(|| config::read(&own.join("\n"))).flatten();
        return needed(lines)
            .or_else(|| cloud::read(text))
            .or_else(|| cache::read(text))
            .or_else(of_config)
            .or_else(|| panic::read(text));
    };
    if last.class != Class::Rules {
        return Some(last);
    }
    // Of several complaints about one file, the first leads to the others.
    let same = |c: &Crash| c.class == last.class && c.file == last.file;
    lines.iter().find_map(|line| read(line).filter(same)).or(Some(last))
}

/// What it needed and did not reach, by its last words: what failed on the way did not end it.
fn needed(lines: &[Line<'_>]) -> Option<Crash> {
    let telling = lines.iter().rev().filter(|l| !is_consequence(l.raw)).take(2);
    telling.into_iter().find_map(|line| Some(Crash { said: said(line), ..unreached::read(line)? }))
}

pub(crate) use flags::usage_of;
pub(crate) use grafana::provisioned;

/// What the exit code of a program says, where its log does not.
pub(crate) fn by_exit_code(text: &str, code: i32) -> Option<Crash> {
    unreached::curl(text, code).or_else(|| panic::by_signal(text, code))
}

/// Lines that only say that something else failed.
const CONSEQUENCES: &[&str] = &[
    // Fluent Bit
    "[lib] backend failed",
    "input initialization failed",
    "output initialization failed",
    "filter initialization failed",
    "failed initialize input",
    "failed initialize output",
    "failed to initialize filter",
    "could not load multiline parsers",
    "configuration file contains errors",
    "because it depends on",
    "failed services",
    "error running ",
    "context canceled",
    "shutting down",
    "Shutting down",
    "exiting",
    "gracefully",
    "stopped",
    "server closed",
    "run finished with error",
    "could not perform the initial load",
    "command failed",
    // Fluentd
    "exited unexpectedly with status",
    "finished unexpectedly with status",
    // Elasticsearch
    "did not exit normally",
];

/// What Fluent Bit and Fluentd write for information.
fn is_calm(line: &str) -> bool {
    pattern!(r"^\[?\d{4}[-/]\d\d[-/]\d\d [\d:. +-]{8,24}\]? \[ ?(?:info|debug|trace|help)\]").is_match(line)
}

fn is_consequence(line: &str) -> bool {
    CONSEQUENCES.iter().any(|c| line.contains(c))
}

/// The line that tells most of a few last ones: what only says that something else failed comes second.
pub(crate) fn telling(lines: &[String]) -> Option<String> {
    let told = |l: &&String| !is_consequence(l) && !stack::is_frame(l);
    let last = lines.iter().rev().find(told).or(lines.last())?;
    // A warning ends nothing where an error stands before it, or what failed in plain words.
    let level = |l: &&String| Line::parse(l).level;
    let error = || lines.iter().rev().find(|l| told(l) && level(l) == Level::Error);
    let plain = || lines.iter().rev().find(|l| told(l) && level(l) == Level::Unknown && says_failure(l));
    let line = if level(&last) == Level::Warning { error().or_else(plain).unwrap_or(last) } else { last };
    // What is written in fields is told without them where a stack would be part of it.
    let parsed = Line::parse(line);
    let line = match line.contains("\\n\\t/") && !parsed.err.is_empty() {
        true => stack::without(&parsed.text()).to_owned(),
        false => line.clone(),
    };
    // Go prints whole structures into errors: what failed stands behind the last of them.
    let short = match line.rsplit_once("} failed: ").or_else(|| line.rsplit_once("}} failed: ")) {
        Some((_, innermost)) if line.contains("&{") => innermost,
        _ => line.as_str(),
    };
    Some(shorten(short, 300))
}

/// What only several lines together say.
fn of_several_lines(program: Option<Program>, text: &str) -> Option<Crash> {
    if let Some(crash) = processes::read(text) {
        return Some(crash);
    }
    let crash = match program {
        Some(Program::Prometheus) => prometheus::bus_error(text).or_else(|| prometheus::agent_feature(text)),
        None => loki::read(text)
            .or_else(|| agents::read(text))
            .or_else(|| config::mysql(text))
            .or_else(|| nginx::read(text))
            .or_else(|| store_start::read(text))
            .or_else(|| metadata::read(text))
            .or_else(|| unreached::driver(text))
            .or_else(|| operator::without_server(text))
            .or_else(|| operator::lost_lease(text)),
        Some(_) => None,
    }?;
    let said = match crash.said.is_empty() {
        true => last_lines(text).join("\n"),
        false => crash.said.clone(),
    };
    Some(Crash { said, ..crash })
}

/// The line as evidence, without what is secret.
fn said(line: &Line<'_>) -> String {
    redact(&stack::without_field(line.raw))
}

/// A log that ends in what the program prints of how it is used: what stands before that, and the usage.
fn usage_apart(text: &str) -> Option<(&str, &str)> {
    let at = pattern!(r"(?m)^(?:Usage of \S+:|[Uu]sage: ?\S*.*)$").find_iter(text).last()?.start();
    let (said, usage) = text.split_at(at);
    let is_part = |line: &str| {
        let plain = line.trim_end();
        plain.starts_with([' ', '\t', '-']) || plain.ends_with(':') || plain.starts_with("Use \"")
    };
    let rest: Vec<&str> = usage.lines().skip(1).filter(|line| !line.trim().is_empty()).collect();
    (!rest.is_empty() && rest.into_iter().all(is_part)).then_some((said, usage))
}

/// The log holds nothing but how the program is used.
pub(crate) fn is_usage(text: &str) -> bool {
    usage_apart(text).is_some_and(|(said, _)| said.trim().is_empty())
}

/// The last lines of a log that mean something, for a reader.
pub(crate) fn last_lines(text: &str) -> Vec<String> {
    last_told(text, true)
}

/// The same, without the warnings that stand behind all else: what a program only warned of did not end it.
fn last_loud_lines(text: &str) -> Vec<String> {
    last_told(text, false)
}

fn last_told(text: &str, warned: bool) -> Vec<String> {
    // The stack of a panic says nothing to those who run the program.
    let before = text.find("\ngoroutine ").map_or(text, |at| &text[..at]);
    // Nor does what it prints of its arguments, where it says something before.
    let (before, _) = usage_apart(before).filter(|(said, _)| !said.trim().is_empty()).unwrap_or((before, ""));
    let told = stack::apart(before).into_iter().filter(|l| !l.trim().is_empty() && !stack::is_frame(l));
    let lines: Vec<Line<'_>> = told.map(Line::parse).collect();
    let is_loud = |l: &&Line<'_>| matches!(l.level, Level::Error | Level::Unknown) && !is_calm(l.raw);
    let mut loud: Vec<&Line<'_>> = lines.iter().filter(is_loud).collect();
    // A banner at its start says nothing of its end: what it did last says more.
    let is_calm_last = lines.last().is_some_and(|l| l.level == Level::Info || is_calm(l.raw));
    if is_calm_last && !loud.iter().any(|l| l.level == Level::Error || says_failure(l.raw)) {
        loud.clear();
    }
    if loud.is_empty() {
        loud.extend(&lines);
    } else if warned {
        loud.extend(last_warnings(&lines[lines.iter().rposition(|l| is_loud(&l)).map_or(0, |at| at + 1)..]));
    }
    loud[loud.len().saturating_sub(SHOWN)..].iter().map(|l| said(l)).collect()
}

/// The last different warnings of something that failed: so few that an error before them is still shown.
fn last_warnings<'a, 'b>(after: &'b [Line<'a>]) -> Vec<&'b Line<'a>> {
    const KEPT: usize = 2;
    let mut kept: Vec<&Line<'_>> = Vec::new();
    for line in after.iter().rev().filter(|l| l.level == Level::Warning && says_failure(&l.text())) {
        if kept.len() < KEPT && kept.iter().all(|k| k.text() != line.text()) {
            kept.push(line);
        }
    }
    kept.reverse();
    kept
}

#[cfg(test)]
mod tests;
