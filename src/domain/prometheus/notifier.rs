//! What Prometheus' log says of the alerts that it could not hand over to an Alertmanager, in the wording of 2.x and 3.x.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::prometheus::targets::Address;
use crate::domain::text::log_line::Line;
use crate::domain::text::send_error::SendFailure;
use crate::model::Program;
use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::ContainerLog;

/// Seconds for which lines count at all.
const RECENT: i64 = 3600;
/// Alerts that fire are sent again each minute: an error that did not come again for so long is over.
const AGAIN: i64 = 300;

/// Where an Alertmanager's container log comes from, or Prometheus': namespace, pod, container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) namespace: String,
    pub(crate) pod: String,
    pub(crate) container: String,
}

impl Place {
    pub(crate) fn of(log: &ContainerLog) -> Self {
        Self { namespace: log.namespace.clone(), pod: log.pod.clone(), container: log.container.clone() }
    }
}

/// One Alertmanager to which one Prometheus cannot send.
#[derive(Debug, Clone)]
pub(crate) struct Failing {
    /// The URL that alerts are posted to.
    pub(crate) url: String,
    /// Alerts in the attempts that failed within the hour, each attempt counted.
    pub(crate) alerts: u64,
    pub(crate) since: Option<Timestamp>,
    pub(crate) last: Option<Timestamp>,
    pub(crate) failure: SendFailure,
    /// The last error.
    pub(crate) error: String,
    /// The line with it.
    pub(crate) line: String,
    pub(crate) at: Place,
}

/// Alerts that Prometheus threw away because its queue was full.
#[derive(Debug, Clone)]
pub(crate) struct Overflow {
    pub(crate) alerts: u64,
    pub(crate) last: Option<Timestamp>,
    pub(crate) line: String,
    pub(crate) at: Place,
}

/// What could not be delivered, as far as it still is so.
#[derive(Debug, Clone, Default)]
pub(crate) struct Undelivered {
    pub(crate) failing: Vec<Failing>,
    pub(crate) overflows: Vec<Overflow>,
}

/// Reads the logs of all Prometheus containers.
///
/// # Errors
/// The gap, if no log could be read.
pub(crate) fn undelivered(snap: &Snapshot) -> Result<Undelivered, crate::model::Gap> {
    let mut found = Undelivered::default();
    for log in snap.logs_of(Program::Prometheus)? {
        let mut failing: BTreeMap<String, Failing> = BTreeMap::new();
        let mut overflow: Option<Overflow> = None;
        for raw in log.text.lines().filter(|l| l.contains("lert")) {
            let line = Line::parse(raw);
            if line.is_older(snap.collected_at, RECENT) {
                continue;
            }
            if line.msg.starts_with("Error sending alert") {
                attempt(&mut failing, log, &line);
            } else if line.msg.contains("dropping alerts") {
                let alerts = line.get("num_dropped").parse().unwrap_or(1) + overflow.map_or(0, |o| o.alerts);
                overflow = Some(Overflow { alerts, last: line.at, line: line.raw.to_owned(), at: Place::of(log) });
            }
        }
        found.failing.extend(failing.into_values().filter(|f| goes_on(snap, f.since, f.last)));
        found.overflows.extend(overflow.filter(|o| goes_on(snap, None, o.last)));
    }
    Ok(found)
}

fn attempt(failing: &mut BTreeMap<String, Failing>, log: &ContainerLog, line: &Line<'_>) {
    // At shutdown and on a reload what is being sent is broken off.
    if line.err.ends_with("context canceled") || line.err.is_empty() {
        return;
    }
    let url = line.get("alertmanager").to_owned();
    let alerts: u64 = line.get("count").parse().unwrap_or(1);
    let before = failing.remove(&url);
    let made = Failing {
        alerts: alerts + before.as_ref().map_or(0, |b| b.alerts),
        since: before.as_ref().and_then(|b| b.since).or(line.at),
        last: line.at,
        failure: SendFailure::classify(&line.err),
        error: line.err.clone(),
        line: line.raw.to_owned(),
        at: Place::of(log),
        url: url.clone(),
    };
    failing.insert(url, made);
}

/// The last attempt failed: it failed just now, or nothing was tried since. An alert that is over is still sent each minute
/// for a quarter of an hour: what failed for a moment only, as while both start, got through then.
fn goes_on(snap: &Snapshot, since: Option<Timestamp>, last: Option<Timestamp>) -> bool {
    let Some(last) = last else { return true };
    let silent = || snap.prometheus_alerts().is_ok_and(|all| !all.iter().any(|a| a.state == "firing"));
    let lasted = since.map_or(0, |since| last.as_second() - since.as_second());
    let age = snap.seconds_since(last);
    age <= AGAIN || (lasted >= AGAIN && age <= RECENT && silent())
}

/// The path that the API of Alertmanager lies under, and the API's version, by the URL that alerts are posted to.
pub(crate) fn api_of(address: &Address) -> (&str, &str) {
    let path = address.bare_path();
    for version in ["v2", "v1"] {
        if let Some(prefix) = path.strip_suffix(&format!("/api/{version}/alerts")) {
            return (prefix, version);
        }
    }
    (path, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::monitoring::FiringAlert;

    fn with(text: &str, firing: bool) -> Snapshot {
        let mut snap = Snapshot::empty("2026-11-21T03:00:00Z".parse().expect("a time"));
        let log = ContainerLog { program: Some(Program::Prometheus), text: text.into(), ..ContainerLog::default() };
        *snap.component_logs = Ok(vec![log]);
        let alert = FiringAlert { state: "firing".into(), ..FiringAlert::default() };
        *snap.prometheus_alerts = Ok(if firing { vec![alert] } else { Vec::new() });
        snap
    }

    const OLD: &str = r#"ts=2026-11-21T02:59:40.037Z caller=notifier.go:532 level=error component=notifier alertmanager=http://10.0.1.30:9093/api/v2/alerts count=3 msg="Error sending alert" err="Post \"http://10.0.1.30:9093/api/v2/alerts\": dial tcp 10.0.1.30:9093: connect: connection refused""#;
    const NEW: &str = r#"time=2026-11-21T02:59:50.689Z level=ERROR source=manager.go:476 msg="Error sending alerts" component=notifier alertmanager=http://10.0.1.30:9093/api/v2/alerts count=2 err="bad response status 404 Not Found""#;

    #[test]
    fn both_wordings_are_one_failure_of_one_alertmanager() {
        let found = undelivered(&with(&format!("{OLD}\n{NEW}\n"), true)).expect("a log").failing;
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].alerts, found[0].failure.status()), (5, Some(404)));
    }

    #[test]
    fn what_is_over_is_quiet() {
        let over = OLD.replace("02:59:40", "02:50:40");
        assert!(undelivered(&with(&over, true)).expect("a log").failing.is_empty());
        assert!(undelivered(&with(&over, false)).expect("a log").failing.is_empty(), "it got through the minute after");
        let long = format!("{}\n{over}\n", OLD.replace("02:59:40", "02:38:40"));
        assert!(undelivered(&with(&long, true)).expect("a log").failing.is_empty());
        assert_eq!(undelivered(&with(&long, false)).expect("a log").failing.len(), 1, "nothing was sent since");
        let shutdown = NEW.replace("bad response status 404 Not Found", "context canceled");
        assert!(undelivered(&with(&shutdown, true)).expect("a log").failing.is_empty());
    }

    #[test]
    fn a_full_queue_adds_up() {
        let line = r#"time=2026-11-21T02:59:50Z level=WARN msg="Alert notification queue full, dropping alerts" component=notifier num_dropped=5"#;
        let found = undelivered(&with(&format!("{line}\n{line}"), true)).expect("a log").overflows;
        assert_eq!(found[0].alerts, 10);
    }

    #[test]
    fn the_api_is_told_by_the_path() {
        let api = |url: &str| {
            let address = Address::parse(url).expect("a URL");
            let (prefix, version) = api_of(&address);
            (prefix.to_owned(), version.to_owned())
        };
        assert_eq!(api("http://am:9093/api/v2/alerts"), (String::new(), "v2".into()));
        assert_eq!(api("http://am:9093/x/api/v1/alerts"), ("/x".into(), "v1".into()));
    }
}
