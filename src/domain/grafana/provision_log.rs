//! What a running Grafana says of the files that it is provisioned with.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::domain::text::log_line::{Level, Line};
use crate::model::{Gap, Program};
use crate::snapshot::monitoring::ContainerLog;
use crate::snapshot::{Snapshot, journal};

/// Seconds for which lines count: providers look at their files every 10 to 30 seconds.
const RECENT: i64 = 1800;
/// The same for what is read once, when Grafana is told to: it stays as it is until it is told again,
/// which only the side-car that tells it says.
const TOLD: i64 = 6 * 3600;

/// Lines about a folder that is not there, up to which it may be made yet.
const LOOKS: usize = 3;
/// Seconds from the first of them to the last, up to which it may be made yet.
const STARTS: i64 = 60;
/// Seconds after the last of them from which on it was made meanwhile, unless the provider looks more seldom.
const MADE: i64 = 120;

/// A file or a group of files that Grafana does not take.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Refusal {
    /// A dashboard's file cannot be read, or is refused as a whole.
    Dashboard { file: String },
    /// A dashboard cannot be written to the database.
    NotSaved { file: String },
    /// The folder that a provider of dashboards names is not there.
    Folder { path: String, provider: String },
    /// Providers whose dashboards are not written, because some are there twice.
    Duplicates,
    /// A file of datasources or of alerting is refused when Grafana is told to read it again: the rest of it is not read.
    File { kind: &'static str },
    /// A plugin that something needs is not there.
    Plugin { id: String },
}

/// What was said of one refusal.
#[derive(Debug, Clone)]
pub(crate) struct Said<'a> {
    pub(crate) refusal: Refusal,
    pub(crate) log: &'a ContainerLog,
    pub(crate) error: String,
    pub(crate) line: String,
    /// Ids or titles that are there twice.
    pub(crate) twice: BTreeSet<String>,
    /// Names of providers that have them.
    pub(crate) providers: BTreeSet<String>,
    times: usize,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

impl Said<'_> {
    /// It is said for longer than a start takes, and still. Each look is told by two lines.
    fn lasts(&self, now: Timestamp) -> bool {
        let (Some(first), Some(last)) = (self.first, self.last) else { return false };
        let lasted = last.as_second() - first.as_second();
        let waits = i64::try_from(self.times.div_ceil(2)).unwrap_or(i64::MAX) - 1;
        let interval = lasted / waits.max(1);
        self.times > LOOKS && lasted >= STARTS && now.as_second() - last.as_second() <= MADE.max(2 * interval)
    }
}

/// What the logs of the stack's Grafanas say.
///
/// # Errors
/// The gap, if no log could be read.
pub(crate) fn refusals(snap: &Snapshot) -> Result<Vec<Said<'_>>, Gap> {
    let logs = snap.logs_of(Program::Grafana)?;
    Ok(logs.into_iter().filter(|l| !l.previous).flat_map(|log| of_log(snap, log)).collect())
}

fn of_log<'a>(snap: &Snapshot, log: &'a ContainerLog) -> Vec<Said<'a>> {
    let mut found: BTreeMap<Refusal, Said<'a>> = BTreeMap::new();
    for line in log.text.lines().map(Line::parse) {
        if line.is_older(snap.collected_at, TOLD) {
            continue;
        }
        if let Some(kind) = taken(&line) {
            found.remove(&Refusal::File { kind });
        }
        let Some(refusal) = refusal(&line) else { continue };
        if !matches!(refusal, Refusal::File { .. }) && line.is_older(snap.collected_at, RECENT) {
            continue;
        }
        let said = found.entry(refusal.clone()).or_insert_with(|| Said {
            refusal,
            log,
            error: String::new(),
            line: String::new(),
            twice: BTreeSet::new(),
            providers: BTreeSet::new(),
            times: 0,
            first: None,
            last: None,
        });
        said.times += 1;
        said.first = said.first.or(line.at);
        said.last = line.at.or(said.last);
        line.raw.clone_into(&mut said.line);
        said.error.clone_from(&line.err);
        let named = [line.get("uid"), line.get("title")].into_iter().find(|n| !n.is_empty());
        said.twice.extend(named.map(str::to_owned));
        let providers = line.get("providers").trim_matches(['[', ']']).split(' ').chain([line.get("provider")]);
        said.providers.extend(providers.filter(|p| !p.is_empty()).map(str::to_owned));
    }
    // A folder may be made while Grafana starts, or since.
    found.retain(|refusal, said| match refusal {
        Refusal::Folder { .. } => said.lasts(snap.collected_at),
        Refusal::File { kind } => !is_told_again(snap, said, kind),
        _ => true,
    });
    found.into_values().collect()
}

/// What Grafana has read since: it says so of each datasource, and of the files of alerting.
fn taken(line: &Line<'_>) -> Option<&'static str> {
    let msg = line.msg.to_ascii_lowercase();
    let of_datasource =
        msg.ends_with("datasource from configuration") || msg.ends_with("datasource based on configuration");
    match () {
        () if of_datasource && line.level == Level::Info => Some("datasources"),
        () if msg == "finished to provision alerting" => Some("alerting"),
        () => None,
    }
}

/// The side-car has told Grafana to read the files again since, and it did: `Response: 200 OK`.
fn is_told_again(snap: &Snapshot, said: &Said<'_>, kind: &str) -> bool {
    let path = format!("/provisioning/{kind}/reload");
    let of_pod = |log: &&ContainerLog| (&log.namespace, &log.pod) == (&said.log.namespace, &said.log.pod);
    // It only tells that it is over.
    let logs = journal::aside(|| [snap.component_logs(), snap.part_logs()]).into_iter().flatten().flatten();
    let mut lines = logs.filter(of_pod).filter(|l| !l.previous).flat_map(|l| l.text.lines());
    lines.any(|raw| raw.contains(&path) && raw.contains("200 OK") && Line::parse(raw).at > said.last)
}

fn refusal(line: &Line<'_>) -> Option<Refusal> {
    if let Some(kind) = reloaded(line) {
        return Some(Refusal::File { kind });
    }
    let file = || line.get("file").to_owned();
    let of_dashboards = line.get("logger") == "provisioning.dashboard";
    match line.msg.trim() {
        "failed to load dashboard from" if of_dashboards => Some(Refusal::Dashboard { file: file() }),
        "failed to search for dashboards" | "Cannot read directory" if of_dashboards => {
            let path = line.err.strip_prefix("stat ").or(line.err.strip_prefix("open "))?;
            let path = path.strip_suffix(": no such file or directory")?.to_owned();
            Some(Refusal::Folder { path, provider: line.get("name").to_owned() })
        }
        "failed to save dashboard" if of_dashboards => Some(Refusal::NotSaved { file: file() }),
        "dashboards provisioning provider has no database write permissions because of duplicates"
        | "the same UID is used more than once"
        | "dashboard title is not unique in folder" => Some(Refusal::Duplicates),
        msg if msg.eq_ignore_ascii_case("plugin not found") || msg.starts_with("Could not find plugin definition") => {
            let id = ["pluginId", "pluginID", "plugin"].iter().map(|k| line.get(k)).find(|v| !v.is_empty())?;
            Some(Refusal::Plugin { id: id.to_owned() })
        }
        _ => None,
    }
}

/// What Grafana could not read again: `Datasource provisioning error: data source not found`.
fn reloaded(line: &Line<'_>) -> Option<&'static str> {
    let lower = line.err.to_ascii_lowercase();
    // Two defaults are a matter of their own.
    if line.level != Level::Error || lower.contains("marked as default") {
        return None;
    }
    let msg = line.msg.to_ascii_lowercase();
    match () {
        () if lower.contains("datasource provisioning error") || msg.starts_with("failed to provision data source") => {
            Some("datasources")
        }
        () if msg.starts_with("failed to provision alerting") || lower.contains("failure to provision alerting") => {
            Some("alerting")
        }
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(Refusal, Vec<String>)> {
        let mut snap = Snapshot::empty("2026-11-21T02:55:00Z".parse().expect("a time"));
        let log = ContainerLog { program: Some(Program::Grafana), text: text.into(), ..ContainerLog::default() };
        *snap.component_logs = Ok(vec![log]);
        let all = refusals(&snap).expect("a log");
        all.into_iter().map(|s| (s.refusal, s.twice.into_iter().collect())).collect()
    }

    #[test]
    fn tells_what_is_not_taken() {
        let log = "logger=provisioning.dashboard type=file name=sidecarProvider t=2026-11-21T02:50:28.773Z level=error msg=\"failed to load dashboard from \" file=/tmp/dashboards/ops.json error=\"invalid character '}' looking for beginning of object key string\"\n\
            logger=provisioning.dashboard t=2026-11-21T02:50:30Z level=warn msg=\"the same UID is used more than once\" orgId=1 uid=pS6ZuGV7z times=2 providers=\"[someProvider sidecarProvider]\"\n\
            logger=provisioning.dashboard t=2026-11-21T02:50:30Z level=warn msg=\"dashboards provisioning provider has no database write permissions because of duplicates\" provider=someProvider orgId=1\n";
        assert_eq!(
            read(log),
            [
                (Refusal::Dashboard { file: "/tmp/dashboards/ops.json".into() }, vec![]),
                (Refusal::Duplicates, vec!["pS6ZuGV7z".to_owned()]),
            ]
        );
        assert!(read(&log.replace("T02:50", "T01:50")).is_empty(), "it is over");
        let folder = "logger=provisioning.dashboard type=file name=default t=2026-11-21T02:50:30Z level=error msg=\"failed to search for dashboards\" error=\"stat /var/lib/grafana/dashboards/default: no such file or directory\"\n";
        let refusal =
            Refusal::Folder { path: "/var/lib/grafana/dashboards/default".into(), provider: "default".into() };
        let looks =
            |times: &[&str]| -> String { times.iter().map(|t| folder.replace("02:50:30", t).repeat(2)).collect() };
        assert_eq!(read(&looks(&["02:53:30", "02:54:00", "02:54:30"])), [(refusal.clone(), vec![])]);
        assert_eq!(
            read(&looks(&["02:40:00", "02:45:00", "02:50:00"])),
            [(refusal, vec![])],
            "it looks every 5 minutes"
        );
        assert!(read(&looks(&["02:54:30", "02:54:40", "02:54:50"])).is_empty(), "Grafana starts");
        assert!(read(&looks(&["02:50:00", "02:50:30", "02:51:00"])).is_empty(), "it was made since");
        assert!(read(folder).is_empty(), "it may be made yet");
        let again = "logger=context t=2026-11-21T02:50:30Z level=error msg=\"Request Completed\" method=POST path=/api/admin/provisioning/datasources/reload status=500 error=\"Datasource provisioning error: data source not found\"\n";
        assert_eq!(read(again), [(Refusal::File { kind: "datasources" }, vec![])]);
        assert!(
            read(
                &again
                    .replace("data source not found", "Only one datasource per organization can be marked as default")
            )
            .is_empty()
        );
        let before = again.replace("T02:50", "T00:50");
        assert_eq!(read(&before).len(), 1, "nobody has told it to read them again");
        let since = "logger=provisioning.datasources t=2026-11-21T01:10:00Z level=info msg=\"updating datasource from configuration\" name=x uid=y\n";
        assert!(read(&format!("{before}{since}")).is_empty(), "it was read since");
        let unused = "logger=provisioning.plugins t=2026-11-21T02:50:30Z level=error msg=\"Failed to read plugin provisioning files from directory\" path=/etc/grafana/provisioning/plugins error=\"open /etc/grafana/provisioning/plugins: no such file or directory\"\n";
        assert!(read(unused).is_empty(), "nothing is provisioned that way");
    }
}
