//! A file of datasources lies in Grafana's folder, and Grafana has not read it: it does so when it starts, or when it is told to.

use super::GrafanaDatasource;
use super::fix::{End, Fix, Way};
use crate::checks::support::grafana::{SHOW_API, in_file, list, reload};
use crate::checks::support::seen::line_evidence;
use crate::domain::grafana::provisioned::Instance;
use crate::domain::grafana::unread::{self, Unread};
use crate::model::{Evidence, Finding, Severity};
use crate::snapshot::Snapshot;

/// One finding for the Grafana that was asked: what it lacks has one cause.
pub(super) fn find(snap: &Snapshot, instances: &[Instance<'_>]) -> Option<Finding> {
    let Unread { datasources, why } = unread::find(snap, instances)?;
    let first = datasources.first()?;
    let names = datasources.iter().map(|d| d.name.as_str()).collect::<Vec<_>>().join(", ");
    let instance = first.instance;
    let has = has(snap);
    let message = format!(
        "Grafana ({}) does not have datasource {names}, with which it is provisioned: {}; it reads such files when it starts and when it is told to, and has not since",
        instance.kubectl_name(),
        why.words
    );
    let made = Finding::new(GrafanaDatasource::META.id, Severity::Error, first.reference(), message)
        .key(format!("{} unread", instance.reference().key()))
        .evidence(
            Evidence::new("grafana /api/datasources", has, SHOW_API).with("path", "<grafana-url>/api/datasources"),
        )
        .evidence_all(first.file.map(|file| in_file(&file, format!("datasource {names}"))))
        .evidence_all(why.line.map(|(log, line)| line_evidence(log, line)));
    let made = datasources.iter().fold(made, |made, d| made.also(d.reference()).breaks(d.reference()));
    let pod = instance.pods(snap).first().copied();
    let container = pod.map(|p| (p, instance.container));
    let (reload, listing) = (reload(container, "datasources"), list(container, "datasources"));
    let way = Way::Unread { reload, listing, sidecar: first.file.is_some_and(|f| f.reloads) };
    Some(made.fix(Fix::of(first, End::of(snap, first, None), way)))
}

/// What the API lists.
fn has(snap: &Snapshot) -> String {
    let known = snap.grafana_datasources().map(Vec::as_slice).unwrap_or_default();
    let names = known.iter().map(|d| d.name.as_str()).collect::<Vec<_>>().join(", ");
    if names.is_empty() { "no datasource".to_owned() } else { names }
}
