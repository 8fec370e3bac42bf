//! Where a Prometheus in agent mode writes to, which is what can be asked instead.

use crate::domain::prometheus::server::Server;
use crate::domain::text::redact::redact;
use crate::lint::yaml::{self, Node};
use crate::snapshot::Snapshot;

/// The URLs of its remote writes, by the ConfigMap that it mounts; none where that was not read, or an operator makes it.
pub(super) fn writes_to(snap: &Snapshot, server: Server<'_>) -> Vec<String> {
    let urls = || {
        let path = server.config_file()?;
        let files = server.mounts(snap).files();
        let file = files.iter().find(|f| f.path == path)?;
        let document = yaml::document(file.text).ok()??;
        let writes = document.get("remote_write")?.items()?;
        Some(writes.iter().filter_map(|w| w.get("url").and_then(Node::as_str)).map(redact).collect())
    };
    urls().unwrap_or_default()
}
