//! Where Grafana keeps users, sessions and what is made in it: in a file of its own, or on a database server.

use crate::domain::grafana::ini;
use crate::domain::grafana::part_log::{self, Part};
use crate::domain::kubernetes::mounts::Mounts;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Workload};

/// The folder of its data.
pub(crate) fn folder(container: &Container) -> &str {
    container.env("GF_PATHS_DATA").unwrap_or("/var/lib/grafana")
}

/// Its environment, its configuration or its log says so; variables out of a whole Secret could.
pub(crate) fn may_be_on_server(snap: &Snapshot, workload: &Workload, container: &Container) -> bool {
    let set = |name: &str| container.env.iter().any(|e| e.name == name);
    let shared = |text: &str| {
        let mut named = ["type", "url"].into_iter().filter_map(|key| ini::value(text, "database", key));
        named.any(|value| ["mysql", "postgres"].iter().any(|t| value.contains(t)))
    };
    ["GF_DATABASE_URL", "GF_DATABASE_HOST", "GF_DATABASE_TYPE"].into_iter().any(set)
        || !container.env_from.is_empty()
        || Mounts::of(snap, workload, container).files().iter().any(|f| f.key.ends_with(".ini") && shared(f.text))
        || says_so(snap, workload)
}

/// Its log quotes a server that takes no more connections: a file has none to give.
fn says_so(snap: &Snapshot, workload: &Workload) -> bool {
    let own: Vec<&str> = snap.pods_of_workload(workload).map(|p| p.metadata.name.as_str()).collect();
    let all = part_log::failing(snap).unwrap_or_default();
    all.iter().any(|s| {
        s.part == Part::Database && s.log.namespace == workload.metadata.namespace && own.contains(&s.log.pod.as_str())
    })
}
