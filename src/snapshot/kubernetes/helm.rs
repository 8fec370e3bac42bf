//! Helm releases, by the labels of the objects that keep them: what is in those objects is never read.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Meta, Object, ObjectName};

/// One revision of a Helm release.
#[derive(Debug, Clone, Default)]
pub struct HelmRelease {
    /// Metadata of the Secret or ConfigMap that keeps it.
    pub metadata: Meta,
    /// `Secret` or `ConfigMap`.
    pub kept_in: &'static str,
    /// Name of the release.
    pub name: String,
    /// Number of the revision.
    pub revision: u32,
    /// `deployed`, `failed`, `pending-install`, `pending-upgrade`, `pending-rollback`, `uninstalling`, `superseded`.
    pub status: String,
    /// When it got this status, or was made.
    pub changed_at: Option<Timestamp>,
}

impl HelmRelease {
    /// Reads a Secret's or ConfigMap's labels; `None` where Helm did not write it.
    pub fn of(object: ObjectName, kept_in: &'static str) -> Option<Self> {
        let metadata = object.metadata;
        if metadata.label("owner") != Some("helm") {
            return None;
        }
        let (name, status) = (metadata.label("name")?.to_owned(), metadata.label("status")?.to_owned());
        let revision = metadata.label("version")?.parse().ok()?;
        let seconds = |label: &str| metadata.label(label)?.parse::<i64>().ok();
        // Some versions of Helm hand the labels of one revision on to the next: none is older than its object.
        let labels = [seconds("modifiedAt"), seconds("createdAt")].into_iter().flatten();
        let changed_at = labels.filter_map(|s| Timestamp::from_second(s).ok()).chain(metadata.creation_timestamp).max();
        Some(Self { name, revision, status, changed_at, kept_in, metadata })
    }

    /// The newest revision of each release, by namespace and name.
    pub fn newest(all: &[Self]) -> Vec<&Self> {
        let mut newest: BTreeMap<(&str, &str), &Self> = BTreeMap::new();
        for release in all {
            let entry = newest.entry((&release.metadata.namespace, &release.name)).or_insert(release);
            if release.revision > entry.revision {
                *entry = release;
            }
        }
        newest.into_values().collect()
    }
}

impl Object for HelmRelease {
    fn meta(&self) -> &Meta {
        &self.metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(labels: &[(&str, &str)]) -> ObjectName {
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        ObjectName { metadata: Meta { namespace: "monitoring".into(), labels, ..Meta::default() } }
    }

    #[test]
    fn the_newest_revision_speaks_for_its_release() {
        let revision =
            |version, status| object(&[("owner", "helm"), ("name", "stack"), ("version", version), ("status", status)]);
        let all = [revision("9", "superseded"), revision("10", "pending-upgrade")];
        let all: Vec<HelmRelease> = all.into_iter().filter_map(|o| HelmRelease::of(o, "Secret")).collect();
        let newest = HelmRelease::newest(&all);
        assert_eq!(newest.len(), 1);
        assert_eq!((newest[0].revision, newest[0].status.as_str()), (10, "pending-upgrade"));
        assert!(HelmRelease::of(object(&[("app", "x")]), "Secret").is_none());
    }
}
