//! What a running Grafana says of the files that it is provisioned with.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::domain::text::log_line::{Level, Line};
use crate::model::{Gap, Program};
use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::ContainerLog;

/// Seconds for which lines count: providers look at their files every 10 to 30 seconds.
const RECENT: i64 = 1800;

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
        if line.is_older(snap.collected_at, RECENT) {
            continue;
        }
        let Some(refusal) = refusal(&line) else { continue };
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
    found.retain(|refusal, said| !matches!(refusal, Refusal::Folder { .. }) || said.lasts(snap.collected_at));
    found.into_values().collect()
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
        let unused = "logger=provisioning.plugins t=2026-11-21T02:50:30Z level=error msg=\"Failed to read plugin provisioning files from directory\" path=/etc/grafana/provisioning/plugins error=\"open /etc/grafana/provisioning/plugins: no such file or directory\"\n";
        assert!(read(unused).is_empty(), "nothing is provisioned that way");
    }
}
