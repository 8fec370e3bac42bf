//! What is said and shown of a datasource, whatever is wrong with it.

use super::GrafanaDatasource;
use super::fix::{End, Fix, Way};
use crate::checks::support::grafana::{SHOW_API, in_datasource};
use crate::domain::grafana::datasources::shown_url;
use crate::domain::grafana::provisioned::Datasource;
use crate::domain::grafana::url::{self, Written};
use crate::model::{Evidence, Finding, Program, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Service;

/// Lines of Grafana's log that are shown.
const LOG_LINES: usize = 2;
/// Characters of a log line that are shown.
const LOG_WIDTH: usize = 300;

pub(super) fn start(datasource: &Datasource<'_>, severity: Severity, message: String) -> Finding {
    let subject = datasource.reference();
    Finding::new(GrafanaDatasource::META.id, severity, subject.clone(), message)
        .breaks(subject.clone())
        .key(format!("{} {}", subject.key(), datasource.org))
        .evidence(written_evidence(datasource))
}

fn written_evidence(datasource: &Datasource<'_>) -> Evidence {
    let url = shown_url(&datasource.url);
    let value = format!("{}: type {}, url {url}", datasource.name, datasource.kind);
    in_datasource(datasource, value)
}

/// The Service that the URL names, where it exists.
pub(super) fn behind<'a>(snap: &'a Snapshot, datasource: &Datasource<'_>) -> Option<&'a Service> {
    let written = Written::parse(&datasource.url)?;
    url::service_behind(snap, datasource.instance.namespace(), &written).ok().flatten()
}

/// Adds what Grafana says, and the values of the page.
pub(super) fn finish(
    snap: &Snapshot,
    mut made: Finding,
    datasource: &Datasource<'_>,
    end: End,
    way: Way,
    ill: Option<&str>,
) -> Finding {
    if let Some(message) = ill {
        let path = format!("/api/datasources/uid/{}/health", datasource.uid);
        let shown = Evidence::new(format!("grafana {path}"), message, SHOW_API);
        made = made.evidence(shown.with("path", format!("<grafana-url>{path}")));
    }
    if let Some(logged) = logged(snap, datasource) {
        made = made.evidence(logged);
    }
    if let Some(file) = datasource.file.filter(|_| way.changes()) {
        made = made.also(file.config_map.reference());
    }
    made.fix(Fix::of(datasource, end, way))
}

/// Lines of Grafana's log that speak of the datasource's host.
fn logged(snap: &Snapshot, datasource: &Datasource<'_>) -> Option<Evidence> {
    let host = Written::parse(&datasource.url)?.host;
    let quoted = [format!("//{host}:"), format!("//{host}/"), format!("lookup {host}")];
    let is_about = |l: &&str| {
        let failed = l.contains("level=error") || l.contains("level=warn") || l.contains("\"level\":\"error\"");
        failed && quoted.iter().any(|q| l.contains(q.as_str()))
    };
    let logs = snap.logs_of(Program::Grafana).ok()?;
    let log = logs
        .into_iter()
        .find(|l| l.namespace == datasource.instance.namespace() && l.text.lines().any(|line| is_about(&line)))?;
    let lines: Vec<String> =
        log.text.lines().filter(|l| is_about(l)).map(|l| l.chars().take(LOG_WIDTH).collect()).collect();
    let shown = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
    let source = format!("log of container {} of Pod {}/{}", log.container, log.namespace, log.pod);
    let show = "kubectl logs -n {{ namespace }} {{ pod }} -c {{ container }} --tail=200";
    Some(
        Evidence::new(source, shown, show)
            .with("namespace", &log.namespace)
            .with("pod", &log.pod)
            .with("container", &log.container),
    )
}
