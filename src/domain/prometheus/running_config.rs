//! The configuration that Prometheus runs with: by its API, else the file in the ConfigMap that it mounts.

use crate::domain::kubernetes::mounts::Seen;
use crate::domain::prometheus::server::servers;
use crate::lint::yaml::{self, Node};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::ConfigMap;

/// The configuration as a document; `None` where it cannot be seen or read.
pub(crate) fn document(snap: &Snapshot) -> Option<Node> {
    let running = snap.prometheus_config().ok().map(String::as_str).filter(|t| !t.trim().is_empty());
    yaml::document(running.or_else(|| in_file(snap).map(|(_, _, text)| text))?).ok()?
}

/// The ConfigMap, its key and its text, where Prometheus mounts one.
pub(crate) fn in_file(snap: &Snapshot) -> Option<(&ConfigMap, &str, &str)> {
    servers(snap).into_iter().find_map(|server| match server.mounts(snap).look(server.config_file()?) {
        Seen::File(file) => Some((file.map, file.key, file.text)),
        _ => None,
    })
}
