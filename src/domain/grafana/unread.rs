//! Datasources of files that a Grafana has not read since they were there.

use jiff::Timestamp;

use crate::domain::grafana::provision_log;
use crate::domain::grafana::provisioned::{self, Datasource, Instance};
use crate::domain::kubernetes::image::base_of;
use crate::domain::text::log_line::{Line, written_at};
use crate::model::Program;
use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::ContainerLog;

/// Seconds within which a file that was just written may yet be read.
const SETTLES: i64 = 600;
/// Seconds for which lines about a datasource that is not there count.
const RECENT: i64 = 3600;

/// What a Grafana lacks, and why.
pub(crate) struct Unread<'a> {
    pub(crate) datasources: Vec<Datasource<'a>>,
    pub(crate) why: Why<'a>,
}

/// How it is known that Grafana has not read the files.
pub(crate) struct Why<'a> {
    pub(crate) words: String,
    pub(crate) line: Option<(&'a ContainerLog, &'a str)>,
}

/// Grafana was asked for a datasource that it does not have.
pub(crate) fn is_of_missing(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["data source not found", "datasource not found", "unable to find datasource"].iter().any(|w| text.contains(w))
}

/// The datasources with which the Grafana whose API was asked is provisioned, and that it does not have.
pub(crate) fn lacking<'a>(snap: &'a Snapshot, instances: &[Instance<'a>]) -> Vec<Datasource<'a>> {
    let Some(instance) = provisioned::asked(snap, instances) else { return Vec::new() };
    let known = snap.grafana_datasources().map(Vec::as_slice);
    let Ok(known) = known else { return Vec::new() };
    let org = known.first().map_or(1, |d| d.org_id.max(1));
    let is_there = |d: &Datasource<'_>| known.iter().any(|k| k.name == d.name || k.uid == d.uid);
    let is_settled = |d: &Datasource<'_>| d.file.is_some_and(|f| snap.age_seconds(&f.config_map.metadata) > SETTLES);
    let written = |d: &Datasource<'_>| !d.name.is_empty() && !d.name.contains('$');
    let all = provisioned::datasources(snap, instance).into_iter();
    all.filter(|d| d.org == org && written(d) && !is_there(d) && is_settled(d)).collect()
}

/// What the Grafana whose API was asked is provisioned with and does not have. What its list alone lacks may have been taken out
/// by hand: it counts where a side-car wrote the file after the start and nobody asked for it to be read, or where Grafana itself
/// misses a datasource.
pub(crate) fn find<'a>(snap: &'a Snapshot, instances: &[Instance<'a>]) -> Option<Unread<'a>> {
    let instance = provisioned::asked(snap, instances)?;
    let known = snap.grafana_datasources().ok()?;
    let missed = lacking(snap, instances);
    if missed.is_empty() || is_told(snap, instance) {
        return None;
    }
    let late: Vec<Datasource<'a>> = missed.iter().filter(|d| wrote_late(snap, d).is_some()).cloned().collect();
    if let Some((first, (log, line))) = late.first().and_then(|d| Some((d, wrote_late(snap, d)?))) {
        let key = first.file.map_or("the file", |f| f.key);
        let words = format!(
            "side-car {} wrote {key} after Grafana had started, and nobody has asked Grafana to load it",
            log.container
        );
        return Some(Unread { datasources: late, why: Why { words, line: Some((log, line)) } });
    }
    let (log, line) = misses(snap, instance)?;
    let words = "its log says that a datasource is not found".to_owned();
    known.is_empty().then_some(Unread { datasources: missed, why: Why { words, line: Some((log, line)) } })
}

/// Another reason was said why the files are not taken: they are refused, or who is to ask for them is.
fn is_told(snap: &Snapshot, instance: Instance<'_>) -> bool {
    let refused = provision_log::refusals(snap).unwrap_or_default();
    let of_files = |said: &provision_log::Said<'_>| matches!(said.refusal, provision_log::Refusal::File { .. });
    let own = instance.pods(snap);
    let is_own = |log: &&ContainerLog| own.iter().any(|p| log.is_of(&p.metadata));
    let part = snap.part_logs().map(Vec::as_slice).unwrap_or_default().iter().filter(is_own);
    let grafana = snap.logs_of(Program::Grafana).unwrap_or_default();
    let says = |log: &ContainerLog, words: &[&str]| words.iter().any(|w| log.text.contains(w));
    refused.iter().any(of_files)
        || grafana.into_iter().any(|l| says(l, &["marked as default"]))
        || part.filter(|l| is_sidecar(l)).any(|l| says(l, &["Response: 4", "Response: 5", "is forbidden", "ERROR"]))
}

fn is_sidecar(log: &ContainerLog) -> bool {
    !log.previous && base_of(&log.image).contains("k8s-sidecar")
}

/// The line with which a side-car wrote the file, later than Grafana began to serve and with no request to Grafana since.
fn wrote_late<'a>(snap: &'a Snapshot, datasource: &Datasource<'a>) -> Option<(&'a ContainerLog, &'a str)> {
    let file = datasource.file?;
    let began = began(snap, datasource.instance)?;
    let own = datasource.instance.pods(snap);
    let logs = snap.part_logs().ok()?.iter().filter(|l| is_sidecar(l) && own.iter().any(|p| l.is_of(&p.metadata)));
    logs.filter_map(|log| {
        let end = format!("/datasources/{}", file.key);
        let mut lines = log.text.lines();
        let line = lines.by_ref().find(|l| l.contains("Writing ") && l.contains(&end))?;
        let at = written_at(line, snap.collected_at)?;
        let is_late = at > began && snap.seconds_since(at) > SETTLES;
        (is_late && !lines.any(|l| l.contains("Response: 200") || l.contains("Writing ") && l.contains(&end)))
            .then_some((log, line))
    })
    .next()
}

/// When the Grafana that runs began to serve.
fn began(snap: &Snapshot, instance: Instance<'_>) -> Option<Timestamp> {
    let own = instance.pods(snap);
    let logs = snap.logs_of(Program::Grafana).ok()?;
    let own = logs.into_iter().filter(|l| !l.previous && own.iter().any(|p| l.is_of(&p.metadata)));
    let listens = own.flat_map(|l| l.text.lines()).filter(|l| l.contains("HTTP Server Listen"));
    listens.filter_map(|l| written_at(l, snap.collected_at)).max()
}

/// Grafana looks for a datasource that it does not have.
fn misses<'a>(snap: &'a Snapshot, instance: Instance<'a>) -> Option<(&'a ContainerLog, &'a str)> {
    let own = instance.pods(snap);
    let logs = snap.logs_of(Program::Grafana).ok()?;
    let own = logs.into_iter().filter(|l| !l.previous && own.iter().any(|p| l.is_of(&p.metadata)));
    own.filter_map(|log| {
        let mut lines = log.text.lines().filter(|l| is_of_missing(l));
        let line = lines.next_back().filter(|l| !Line::parse(l).is_older(snap.collected_at, RECENT))?;
        Some((log, line))
    })
    .next()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::grafana::provisioned::instances;
    use crate::domain::testing::grafana::{datasource_map, grafana, snapshot};
    use crate::domain::testing::{pod, service};

    const MISSES: &str = "logger=context userId=1 t=2026-11-21T01:55:00Z level=error msg=\"Request Completed\" method=POST path=/api/ds/query status=404 error=\"data source not found\"\n";
    const REFUSED: &str = "logger=provisioning t=2026-11-21T01:00:00Z level=error msg=\"Only one datasource per organization can be marked as default\"\n";

    fn with(text: &str, created: &str) -> Option<String> {
        let mut map = datasource_map("- {name: Prometheus, uid: prometheus, type: prometheus, access: proxy}");
        map["metadata"]["creationTimestamp"] = json!(created);
        let mut snap = snapshot(json!({"workloads": [grafana(json!({}))], "config_maps": [map],
            "services": [service("monitoring", "grafana", &[80])], "pods": [pod("monitoring", "grafana", true)]}));
        *snap.grafana_datasources = Ok(Vec::new());
        *snap.component_logs = Ok(vec![ContainerLog {
            namespace: "monitoring".into(),
            pod: "grafana-5d9-abcde".into(),
            container: "grafana".into(),
            program: Some(Program::Grafana),
            text: text.into(),
            ..ContainerLog::default()
        }]);
        let all = instances(&snap).expect("read");
        find(&snap, &all).map(|u| u.why.words)
    }

    #[test]
    fn an_empty_list_counts_where_grafana_misses_a_datasource() {
        let old = "2026-11-20T00:00:00Z";
        assert_eq!(with(MISSES, old).as_deref(), Some("its log says that a datasource is not found"));
        assert_eq!(with("", old), None, "it may have been taken out by hand");
        assert_eq!(with(MISSES, "2026-11-21T01:55:00Z"), None, "the file has only just come");
        assert_eq!(with(&format!("{REFUSED}{MISSES}"), old), None, "it is told why");
    }
}
