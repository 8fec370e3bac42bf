//! Scrape pools and targets that Prometheus cannot make. The configuration counts as loaded, and neither the active nor the
//! dropped targets show them: only the log says so.

use std::collections::BTreeMap;

use crate::domain::text::log_line::Line;
use crate::model::Program;
use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::ContainerLog;
use crate::text::pattern::pattern;

/// What cannot be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The HTTP client of the whole job: certificates, keys, a proxy; the error, and the file that it names.
    Client { error: String, file: Option<String> },
    /// A target, for its address; the file of its discovery, where it stands in one.
    Address { address: String, file: Option<String> },
}

/// One job and the line that says so.
#[derive(Debug)]
pub(crate) struct Failing<'a> {
    pub(crate) job: String,
    pub(crate) fault: Cause,
    pub(crate) log: &'a ContainerLog,
    pub(crate) line: &'a str,
}

/// What fails since the configuration was loaded last.
pub(crate) fn failing(snap: &Snapshot) -> Vec<Failing<'_>> {
    let logs = snap.logs_of(Program::Prometheus).unwrap_or_default();
    let mut all = Vec::new();
    for log in logs {
        let mut found: BTreeMap<String, Failing<'_>> = BTreeMap::new();
        for raw in log.text.lines() {
            let line = Line::parse(raw);
            if line.msg.starts_with("Loading configuration file") {
                found.clear();
                continue;
            }
            let Some(fault) = read(&line) else { continue };
            let job = line.get("scrape_pool").to_owned();
            if !job.is_empty() {
                found.insert(job.clone(), Failing { job, fault, log, line: raw });
            }
        }
        all.extend(found.into_values());
    }
    all
}

fn read(line: &Line<'_>) -> Option<Cause> {
    if line.msg.starts_with("error creating new scrape pool") {
        let error = line.err.strip_prefix("error creating HTTP client: ").unwrap_or(&line.err);
        return Some(Cause::Client { file: file(error), error: error.to_owned() });
    }
    if !line.msg.to_ascii_lowercase().starts_with("creating target") {
        return None;
    }
    let error = line.err.replace("\\\"", "\"");
    let (before, _) = error.rsplit_once("\" is not a valid hostname")?;
    let (place, address) = before.rsplit_once('"')?;
    let listed = pattern!(r"in group (/\S+):\d+: $").captures(place);
    Some(Cause::Address { address: address.to_owned(), file: listed.map(|found| found[1].to_owned()) })
}

/// The first file that an error names.
fn file(error: &str) -> Option<String> {
    let file = pattern!(r"(?:^|[ (])(/[^\s:)]+)");
    file.captures(error).map(|c| c[1].to_owned())
}

/// The Secret or ConfigMap that the operator made a file of: `secret_shop_client_ca.crt`, and older `0_shop_client_ca.crt`.
pub(crate) fn source(file: &str) -> Option<(String, String, String)> {
    let name = file.rsplit('/').next()?;
    let mut parts = name.splitn(4, '_').skip(1);
    Some((parts.next()?.to_owned(), parts.next()?.to_owned(), parts.next()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(log: &str) -> Vec<(String, Cause)> {
        let mut snap = Snapshot::empty("2026-11-21T03:00:00Z".parse().expect("a time"));
        let log = ContainerLog { program: Some(Program::Prometheus), text: log.into(), ..ContainerLog::default() };
        *snap.component_logs = Ok(vec![log]);
        failing(&snap).into_iter().map(|f| (f.job, f.fault)).collect()
    }

    #[test]
    fn what_cannot_be_made_is_read_until_the_next_load() {
        let pool = "time=2026-11-21T02:15:51Z level=ERROR source=manager.go:178 msg=\"error creating new scrape pool\" component=\"scrape manager\" err=\"error creating HTTP client: unable to use specified CA cert /etc/prometheus/certs/secret_shop_client_ca.crt\" scrape_pool=etcd\n";
        let file = "/etc/prometheus/certs/secret_shop_client_ca.crt".to_owned();
        let error = format!("unable to use specified CA cert {file}");
        assert_eq!(read_all(pool), [("etcd".to_owned(), Cause::Client { error, file: Some(file.clone()) })]);
        assert_eq!(source(&file), Some(("shop".to_owned(), "client".to_owned(), "ca.crt".to_owned())));
        let load = "time=2026-11-21T02:16:51Z level=INFO msg=\"Loading configuration file\" filename=/x\n";
        assert_eq!(read_all(&format!("{pool}{load}")), []);
        let target = "ts=2022-11-23T10:45:59Z caller=scrape.go:477 level=error component=\"scrape manager\" scrape_pool=tmp msg=\"Creating target failed\" err=\"instance 7 in group /etc/targets.json:0: \\\"http://proxy:8080/metrics\\\" is not a valid hostname\"\n";
        let address = "http://proxy:8080/metrics".to_owned();
        let file = Some("/etc/targets.json".to_owned());
        let fault = Cause::Address { address: address.clone(), file };
        assert_eq!(read_all(target), [("tmp".to_owned(), fault)]);
        let fault = Cause::Address { address, file: None };
        assert_eq!(read_all(&target.replace("/etc/targets.json:0", "0")), [("tmp".to_owned(), fault)]);
    }
}
