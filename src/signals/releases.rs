//! Helm releases that failed or hang.

use super::{is_ours, seconds_ago};
use crate::model::{Evidence, ResourceRef, Signal, SignalKind};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::HelmRelease;

/// Seconds that an installation may take.
const PATIENCE: i64 = 900;

/// Reads them.
pub(super) fn read(snap: &Snapshot) -> Vec<Signal> {
    let newest = HelmRelease::newest(snap.helm_releases.items().unwrap_or_default());
    newest.into_iter().filter(|r| is_ours(snap, &r.metadata.namespace)).filter_map(|r| signal(snap, r)).collect()
}

fn signal(snap: &Snapshot, release: &HelmRelease) -> Option<Signal> {
    let hangs = release.status.starts_with("pending-") || release.status == "uninstalling";
    let over = release.changed_at.is_some_and(|t| seconds_ago(snap, t) > PATIENCE);
    if release.status != "failed" && !(hangs && over) {
        return None;
    }
    let namespace = &release.metadata.namespace;
    let evidence = Evidence::new(
        format!("Helm release {namespace}/{}, revision {}: status", release.name, release.revision),
        release.status.clone(),
        "helm history -n {{ namespace }} {{ name }}",
    )
    .with("namespace", namespace)
    .with("name", &release.name);
    let subject = ResourceRef::kubernetes("helm.sh", "Helm release", namespace, &release.name);
    let title = format!("Helm release {namespace}/{} {}", release.name, release.status);
    Some(Signal::new(SignalKind::Release, subject, title, evidence).since(release.changed_at).explained_by_checks(&[
        "helm-release-stuck",
        "helm-refused",
        "gitops-sync",
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signals::testing::snapshot;
    use crate::snapshot::Listing;

    #[test]
    fn a_release_may_take_its_time_and_must_not_hang() {
        let release = |status: &str, at: &str| {
            let mut snap = snapshot();
            let mut release = HelmRelease { name: "stack".into(), status: status.into(), ..HelmRelease::default() };
            release.metadata.namespace = "monitoring".into();
            release.changed_at = at.parse().ok();
            snap.helm_releases = Listing::cluster(vec![release]);
            read(&snap).len()
        };
        assert_eq!(release("pending-upgrade", "2026-11-21T02:55:00Z"), 0);
        assert_eq!(release("pending-upgrade", "2026-11-21T01:55:00Z"), 1);
        assert_eq!(release("failed", "2026-11-21T02:59:00Z"), 1);
        assert_eq!(release("deployed", "2026-11-01T02:55:00Z"), 0);
    }
}
