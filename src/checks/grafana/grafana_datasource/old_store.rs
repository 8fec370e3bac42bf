//! Grafana's test of a datasource fails, and the datasource does not: the store is older than what it is tested with.
//!
//! Grafana asks Loki for `vector(1)+vector(1)`, which Loki knows since 2.7. An older one answers 400, and answers everything else.

use super::finding::{behind, finish, start};
use super::fix::{End, Way};
use super::health::told;
use crate::domain::grafana::datasources::{health, shown_url};
use crate::domain::grafana::provisioned::Datasource;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::owner;
use crate::domain::text::log_line::{Level, Line};
use crate::model::{Finding, Program, Severity};
use crate::snapshot::{Snapshot, journal};

/// Seconds for which a test that failed counts: nobody tests again what he has given up.
const RECENT: i64 = 3600;

/// By what Grafana says of it when it is asked.
pub(super) fn of_health(snap: &Snapshot, datasource: &Datasource<'_>, answer: &str) -> Option<Finding> {
    let told = told(snap, datasource, answer);
    let is_it = datasource.kind == "loki" && is_refused_test(told.as_deref().unwrap_or(answer));
    is_it.then(|| finding(snap, datasource, Some(answer)))
}

/// By its log, where nobody could ask it.
pub(super) fn of_log(snap: &Snapshot, datasource: &Datasource<'_>) -> Option<Finding> {
    if datasource.kind != "loki" || health(snap, datasource).is_some() {
        return None;
    }
    // Without the log there is only less to be said.
    let logs = journal::aside(|| snap.logs_of(Program::Grafana).ok())?;
    let mut lines = logs
        .into_iter()
        .filter(|l| l.namespace == datasource.instance.namespace())
        .flat_map(|l| l.text.lines())
        .map(Line::parse);
    let is_same = |said: &str, own: &str| !own.is_empty() && said == own;
    let is_test = |l: &Line<'_>| {
        l.level == Level::Error
            && (is_same(l.get("dsUID"), &datasource.uid) || is_same(l.get("dsName"), &datasource.name))
            && l.raw.contains("checkHealth")
            && is_refused_test(&l.err)
            && !l.is_older(snap.collected_at, RECENT)
    };
    lines.any(|l| is_test(&l)).then(|| finding(snap, datasource, None))
}

/// `parse error at line 1, col 1: syntax error: unexpected IDENTIFIER`: the very first word of the test is not known.
fn is_refused_test(text: &str) -> bool {
    text.contains("parse error at line 1, col 1: syntax error: unexpected IDENTIFIER")
}

fn finding(snap: &Snapshot, datasource: &Datasource<'_>, answer: Option<&str>) -> Finding {
    let name = datasource.reference().name();
    let text = format!(
        "the test of datasource {name} ({}) fails, and its queries work: Grafana tests it with vector(1)+vector(1), which Loki knows since 2.7, and this one is older",
        shown_url(&datasource.url)
    );
    let mut made = start(datasource, Severity::Warning, text);
    // Nothing else fails for it.
    made.breaks = Some(Vec::new());
    // Which image runs there is only shown.
    let pod = journal::aside(|| behind(snap, datasource).and_then(|s| snap.pods_of_service(s).next()));
    let of_loki = pod.and_then(|p| p.spec.containers.iter().find(|c| c.image.contains("loki")));
    let workload = pod.and_then(|p| journal::aside(|| owner::workload(snap, &snap.owner_ref(p))));
    let way = Way::OldStore {
        image: of_loki.map(|c| c.image.clone()).unwrap_or_default(),
        store: workload.map_or_else(|| "<workload of Loki>".to_owned(), |w| w.kubectl_name()),
        store_namespace: pod.map_or_else(|| "<namespace of Loki>".to_owned(), |p| p.metadata.namespace.clone()),
        managed_by: workload.map(|w| managed_by(&w.metadata)).unwrap_or_default(),
    };
    finish(snap, made, datasource, End::of(snap, datasource, None), way, answer)
}
