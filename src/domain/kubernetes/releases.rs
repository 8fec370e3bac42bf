//! Helm releases: which one an object is of, and whether that one is installed.

use crate::domain::kubernetes::managed;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{HelmRelease, Meta, Object};

/// Whether a release is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// A revision of it is kept.
    Installed,
    /// No revision of it is kept, and nothing that it made runs.
    Gone,
    /// Could not be told, or others than Helm keep it.
    Unknown,
}

/// The release of an object.
#[derive(Debug, Clone)]
pub(crate) struct Release {
    /// Name.
    pub(crate) name: String,
    /// Namespace, where the object says it.
    pub(crate) namespace: Option<String>,
    /// Whether it is there.
    pub(crate) presence: Presence,
}

impl Release {
    /// Known to be gone.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.presence, Presence::Gone)
    }
}

/// The release that an object says it is of. `home` is where what serves it should run, for objects without a namespace.
pub(crate) fn of(snap: &Snapshot, meta: &Meta, home: &str) -> Option<Release> {
    let annotated = managed::release(meta).map(|(name, namespace)| (name.to_owned(), Some(namespace.to_owned())));
    let (name, namespace) = annotated.or_else(|| labelled(meta).map(|name| (name.to_owned(), None)))?;
    let place = namespace.clone().filter(|n| !n.is_empty()).unwrap_or_else(|| home.to_owned());
    // `helm template` gives the labels, too; only an installation annotates.
    let by_others = namespace.is_none() || is_of_gitops(meta);
    let presence = presence(snap, &name, &place, by_others);
    Some(Release { name, namespace: namespace.filter(|n| !n.is_empty()), presence })
}

/// No revision of a release of this name is kept in any namespace. It says nothing where not all could be read, and little
/// where others than Helm bring objects.
pub(crate) fn is_kept_nowhere(snap: &Snapshot, name: &str) -> bool {
    snap.helm_releases.is_whole() && !snap.helm_releases.items().unwrap_or_default().iter().any(|r| r.name == name)
}

/// The name that charts put into labels.
pub(crate) fn labelled(meta: &Meta) -> Option<&str> {
    let by_helm = matches!(meta.label("heritage"), Some("Helm" | "Tiller"))
        || meta.label("app.kubernetes.io/managed-by") == Some("Helm");
    by_helm.then(|| kin_label(meta)).flatten()
}

/// The label that all objects of a release share.
pub(crate) fn kin_label(meta: &Meta) -> Option<&str> {
    meta.label("app.kubernetes.io/instance").or(meta.label("release"))
}

/// Argo CD and Flux render charts without keeping releases, or keep them in their own way.
pub(crate) fn is_of_gitops(meta: &Meta) -> bool {
    let keys = meta.labels.keys().chain(meta.annotations.keys());
    keys.into_iter().any(|k| k.starts_with("argocd.argoproj.io/") || k.contains("toolkit.fluxcd.io/"))
}

fn presence(snap: &Snapshot, name: &str, namespace: &str, by_others: bool) -> Presence {
    let kept = snap.helm_releases.items().unwrap_or_default().iter();
    let revisions = kept.filter(|r| r.name == name && r.metadata.namespace == namespace);
    if let Some(newest) = revisions.max_by_key(|r| r.revision) {
        return if newest.status == "uninstalled" { Presence::Gone } else { Presence::Installed };
    }
    if by_others || lives(snap, name, namespace) {
        return Presence::Unknown;
    }
    let no_namespace = matches!(snap.namespaces.named(namespace), Ok(None));
    let is_read = snap.helm_releases.covers(namespace) && snap.services.covers(namespace);
    if is_read || no_namespace { Presence::Gone } else { Presence::Unknown }
}

/// Something that a release made still works: a Service or a Deployment of it. StatefulSets and claims outlive one.
fn lives(snap: &Snapshot, name: &str, namespace: &str) -> bool {
    let is_kin = |meta: &Meta| {
        meta.namespace == namespace
            && (kin_label(meta) == Some(name) || managed::release(meta).is_some_and(|(of, _)| of == name))
    };
    let services = snap.services.items().unwrap_or_default().iter();
    let workloads = snap.workloads.items().unwrap_or_default().iter().filter(|w| w.kind == "Deployment");
    services.map(Object::meta).chain(workloads.map(Object::meta)).any(is_kin)
}

/// An object says that it is of this release.
pub(crate) fn is_of(meta: &Meta, name: &str, namespace: &str) -> bool {
    match managed::release(meta) {
        Some((of, home)) => of == name && home == namespace,
        None => meta.namespace == namespace && labelled(meta) == Some(name),
    }
}

/// The newest revision before this one that was deployed.
pub(crate) fn last_deployed<'a>(all: &'a [HelmRelease], release: &HelmRelease) -> Option<&'a HelmRelease> {
    let same = |r: &&HelmRelease| r.name == release.name && r.metadata.namespace == release.metadata.namespace;
    let before = all.iter().filter(same).filter(|r| r.revision < release.revision);
    // What was replaced by a later one was deployed once, too. Below one that failed the last that did not is `deployed`; below one that
    // is itself, such a mark was left behind.
    before
        .filter(|r| matches!(r.status.as_str(), "deployed" | "superseded"))
        .max_by_key(|r| (release.status != "deployed" && r.status == "deployed", r.revision))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Listing;

    #[test]
    fn the_revision_before_is_the_one_to_go_back_to() {
        let made = |revision: u32, status: &str| HelmRelease {
            name: "stack".into(),
            revision,
            status: status.into(),
            ..HelmRelease::default()
        };
        let back = |status: &str, before: &[(u32, &str)]| {
            let all: Vec<HelmRelease> = before.iter().map(|(revision, status)| made(*revision, status)).collect();
            last_deployed(&all, &made(10, status)).map(|r| r.revision)
        };
        assert_eq!(back("deployed", &[(1, "deployed"), (9, "superseded")]), Some(9));
        assert_eq!(back("failed", &[(7, "superseded"), (8, "deployed"), (9, "failed")]), Some(8));
        assert_eq!(back("failed", &[(9, "failed")]), None);
    }

    #[test]
    fn nothing_is_kept_only_where_all_was_read() {
        let mut snap = Snapshot::empty("2026-11-21T02:00:00Z".parse().expect("a time"));
        assert!(!is_kept_nowhere(&snap, "prometheus"));
        snap.helm_releases = Listing::cluster(Vec::new());
        assert!(is_kept_nowhere(&snap, "prometheus"));
    }
}
