//! What rulers beside Prometheus (Loki's, Mimir's, Thanos', vmalert) say of the alerts that they could not hand over.

use std::collections::BTreeMap;

use crate::domain::kubernetes::image::base_of;
use crate::domain::text::lasting::{RECENT, SEVERAL};
use crate::domain::text::log_line::Line;
use crate::domain::text::send_error::SendFailure;
use crate::model::Gap;
use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::ContainerLog;

/// A program that evaluates rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ruler {
    Loki,
    Mimir,
    Thanos,
    Vmalert,
}

impl Ruler {
    /// By an image.
    pub(crate) fn of_image(image: &str) -> Option<Self> {
        match base_of(image) {
            "loki" | "enterprise-logs" => Some(Self::Loki),
            "mimir" | "enterprise-metrics" => Some(Self::Mimir),
            "thanos" => Some(Self::Thanos),
            "vmalert" => Some(Self::Vmalert),
            _ => None,
        }
    }

    /// In words.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Loki => "Loki's ruler",
            Self::Mimir => "Mimir's ruler",
            Self::Thanos => "Thanos' ruler",
            Self::Vmalert => "vmalert",
        }
    }

    /// The argument that names its Alertmanager; `None` where its configuration does.
    pub(crate) fn argument(self) -> Option<&'static str> {
        match self {
            Self::Loki | Self::Mimir => None,
            Self::Thanos => Some("--alertmanagers.url"),
            Self::Vmalert => Some("-notifier.url"),
        }
    }

    /// URL and error of a line that says so.
    fn failed(self, line: &Line<'_>) -> Option<(String, String)> {
        match self {
            Self::Loki | Self::Mimir if line.msg.starts_with("Error sending alert") => {
                Some((line.get("alertmanager").to_owned(), line.err.clone()))
            }
            Self::Thanos if line.msg == "sending alerts failed" => {
                // Its host alone is a field; the error of the request has the whole URL.
                let url = url_in(&line.err).unwrap_or_else(|| format!("http://{}", line.get("alertmanager")));
                Some((url, line.err.clone()))
            }
            Self::Vmalert => {
                let (_, rest) = line.raw.split_once("failed to send alerts to addr \"")?;
                let (url, error) = rest.split_once("\": ")?;
                Some((url.to_owned(), error.to_owned()))
            }
            _ => None,
        }
    }
}

/// One Alertmanager to which one ruler's pod cannot send.
#[derive(Debug, Clone)]
pub(crate) struct Failing<'a> {
    pub(crate) ruler: Ruler,
    pub(crate) log: &'a ContainerLog,
    /// The URL that alerts are posted to.
    pub(crate) url: String,
    pub(crate) times: usize,
    pub(crate) failure: SendFailure,
    pub(crate) error: String,
    pub(crate) line: String,
}

/// What the rulers fail to hand over now.
///
/// # Errors
/// The gap, if no log could be read.
pub(crate) fn undelivered(snap: &Snapshot) -> Result<Vec<Failing<'_>>, Gap> {
    let mut found = Vec::new();
    for log in snap.part_logs()?.iter().filter(|l| !l.previous) {
        let Some(ruler) = Ruler::of_image(&log.image) else { continue };
        let mut by_url: BTreeMap<String, Failing<'_>> = BTreeMap::new();
        for raw in log.text.lines().filter(|l| l.contains("sending alert") || l.contains("send alerts")) {
            let line = Line::parse(raw);
            if line.is_older(snap.collected_at, RECENT) {
                continue;
            }
            // What is sent as it ends, or reloads, is broken off.
            let Some((url, error)) = ruler.failed(&line).filter(|(_, e)| !e.ends_with("context canceled")) else {
                continue;
            };
            let times = by_url.get(&url).map_or(0, |f| f.times) + 1;
            let failure = SendFailure::classify(&error);
            let line = raw.to_owned();
            by_url.insert(url.clone(), Failing { ruler, log, url, times, failure, error, line });
        }
        found.extend(by_url.into_values().filter(|f| f.times >= SEVERAL));
    }
    Ok(found)
}

/// The first URL of a text.
fn url_in(text: &str) -> Option<String> {
    let at = text.find("http://").or_else(|| text.find("https://"))?;
    text[at..].split(['"', '\\', ' ']).next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(image: &str, line: &str, times: usize) -> Vec<(String, SendFailure)> {
        let mut snap = Snapshot::empty("2026-11-21T02:55:00Z".parse().expect("a time"));
        let text = format!("{line}\n").repeat(times);
        let log = ContainerLog { image: image.into(), text: text.into(), ..ContainerLog::default() };
        *snap.part_logs = Ok(vec![log]);
        undelivered(&snap).expect("a log").into_iter().map(|f| (f.url, f.failure)).collect()
    }

    #[test]
    fn each_ruler_is_understood() {
        let name = |host: &str| SendFailure::NoSuchHost(host.into());
        for (image, line, url, failure) in [
            (
                "docker.io/grafana/loki:3.3.2",
                r#"level=error ts=2026-11-21T02:50:21.113421Z caller=notifier.go:644 user=fake alertmanager=http://am.logging.svc:9093/api/v2/alerts count=2 msg="Error sending alerts" err="Post \"http://am.logging.svc:9093/api/v2/alerts\": dial tcp: lookup am.logging.svc on 172.20.0.10:53: no such host""#,
                "http://am.logging.svc:9093/api/v2/alerts",
                name("am.logging.svc"),
            ),
            (
                "quay.io/thanos/thanos:v0.37.2",
                r#"ts=2026-11-21T02:50:04.113Z caller=alert.go:424 level=warn component=alert msg="sending alerts failed" alertmanager=am:9093 alerts="[{\"labels\":{}}]" err="Post \"http://am:9093/api/v2/alerts\": dial tcp: lookup am on 172.20.0.10:53: no such host""#,
                "http://am:9093/api/v2/alerts",
                name("am"),
            ),
            (
                "docker.io/victoriametrics/vmalert:v1.102.1",
                "2026-11-21T02:50:01.412Z\terror\tVictoriaMetrics/app/vmalert/rule/group.go:375\tgroup \"g\": rule \"R\": failed to send alerts to addr \"http://am.vm.svc:9093/api/v2/alerts\": Post \"http://am.vm.svc:9093/api/v2/alerts\": dial tcp4: lookup am.vm.svc on 172.20.0.10:53: no such host",
                "http://am.vm.svc:9093/api/v2/alerts",
                name("am.vm.svc"),
            ),
        ] {
            assert_eq!(read(image, line, 3), [(url.to_owned(), failure)], "{line}");
            assert!(read(image, line, 2).is_empty(), "a hiccup");
            assert!(read(image, &line.replace("02:50", "02:10"), 9).is_empty(), "it is over");
            assert!(read("quay.io/prometheus/prometheus:v3.5.0", line, 9).is_empty(), "told elsewhere");
        }
    }
}
