//! The datasources of a Grafana: those that it is provisioned with, and those that only its API shows.

use crate::domain::grafana::provisioned::{self, Datasource, Instance};
use crate::domain::grafana::url::Written;
use crate::snapshot::Snapshot;

/// What is provisioned, and what Grafana has besides.
pub(crate) fn all<'a>(snap: &'a Snapshot, instances: &[Instance<'a>]) -> Vec<Datasource<'a>> {
    let mut all: Vec<Datasource<'a>> = instances.iter().flat_map(|i| provisioned::datasources(snap, *i)).collect();
    let Some(instance) = provisioned::asked(snap, instances) else { return all };
    let known = snap.grafana_datasources().map(Vec::as_slice).unwrap_or_default();
    for ds in known {
        let org = ds.org_id.max(1);
        let same = |d: &&mut Datasource<'_>| {
            d.name == ds.name && d.org == org && d.instance.reference() == instance.reference()
        };
        match all.iter_mut().find(same) {
            Some(file) => file.uid.clone_from(&ds.uid),
            None => all.push(Datasource {
                instance,
                file: None,
                name: ds.name.clone(),
                kind: ds.kind.clone(),
                uid: ds.uid.clone(),
                url: ds.url.clone(),
                direct: ds.access == "direct",
                org,
                is_default: ds.is_default,
            }),
        }
    }
    all
}

/// Types of datasources that Grafana brings along.
const BUILT_IN: &[&str] = &[
    "alertmanager",
    "cloudwatch",
    "dashboard",
    "elasticsearch",
    "grafana",
    "grafana-azure-monitor-datasource",
    "grafana-postgresql-datasource",
    "grafana-pyroscope-datasource",
    "grafana-testdata-datasource",
    "graphite",
    "influxdb",
    "jaeger",
    "loki",
    "mixed",
    "mssql",
    "mysql",
    "opentsdb",
    "parca",
    "postgres",
    "prometheus",
    "stackdriver",
    "tempo",
    "testdata",
    "zipkin",
];

/// Its plugin is part of Grafana.
pub(crate) fn is_built_in(kind: &str) -> bool {
    BUILT_IN.contains(&kind)
}

/// What Grafana itself says of the datasource.
pub(crate) fn health<'a>(snap: &'a Snapshot, datasource: &Datasource<'_>) -> Option<(&'a str, &'a str)> {
    let instances = provisioned::instances(snap).ok()?;
    if provisioned::asked(snap, &instances)?.reference() != datasource.instance.reference() {
        return None;
    }
    let all = snap.grafana_datasource_health().ok()?;
    all.iter()
        .find(|h| h.uid == datasource.uid && !h.status.is_empty())
        .map(|h| (h.status.as_str(), h.message.as_str()))
}

/// A URL without the login it may hold.
pub(crate) fn shown_url(url: &str) -> String {
    match Written::parse(url) {
        Some(written) if url.contains('@') => written.text(),
        _ if url.is_empty() => "(none)".to_owned(),
        _ => url.to_owned(),
    }
}
