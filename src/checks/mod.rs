//! The checks: pure functions over a snapshot, one file each, listed by suite.

pub mod access;
pub mod alerting;
pub mod grafana;
pub mod logs;
pub mod manifests;
pub mod network;
pub mod nodes;
pub mod operator;
pub mod pipeline;
pub mod scrape;
pub mod storage;
pub(crate) mod support;
pub mod workload;

use crate::model::{CheckMeta, Diagnosis, Gap, Suite};
use crate::snapshot::Snapshot;

/// One diagnostic check.
pub trait Check: Send + Sync {
    /// What it is.
    fn meta(&self) -> &'static CheckMeta;

    /// What it says of a snapshot.
    ///
    /// # Errors
    /// The gap, if something it needs could not be seen.
    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap>;

    /// What it says of files before they are applied, with or without a look at a cluster; `None` from a check that does
    /// not judge files.
    fn judge(&self, _snap: &Snapshot) -> Option<Result<Diagnosis, Gap>> {
        None
    }
}

/// Declares a check: its type and its metadata. Its page is found by its suite and id. `fix` names the type of its fixes,
/// whose variants and fields a test holds against the page.
macro_rules! check {
    (
        $(#[$doc:meta])*
        $name:ident {
            id: $id:literal, suite: $suite:ident, severity: $severity:ident,
            title: $title:literal,
            requires: [$($need:ident),* $(,)?],
            uses: [$($use:ident),* $(,)?],
            fix: $fix:ty $(,)?
        }
    ) => {
        $(#[$doc])*
        pub(super) struct $name;

        impl $name {
            /// What it is.
            const META: $crate::model::CheckMeta = $crate::model::CheckMeta {
                id: $crate::model::CheckId($id),
                suite: $crate::model::Suite::$suite,
                title: $title,
                severity: $crate::model::Severity::$severity,
                requires: &[$($crate::model::Fact::$need),*],
                uses: &[$($crate::model::Fact::$use),*],
                fix: || schemars::schema_for!($fix),
            };
        }

        impl $crate::model::FixValues for $fix {}
    };
}
pub(crate) use check;

/// Every check in the order in which they are listed.
pub fn registry() -> Vec<&'static dyn Check> {
    [
        storage::CHECKS,
        workload::CHECKS,
        scrape::CHECKS,
        operator::CHECKS,
        grafana::CHECKS,
        alerting::CHECKS,
        logs::CHECKS,
        network::CHECKS,
        pipeline::CHECKS,
        nodes::CHECKS,
        access::CHECKS,
        manifests::CHECKS,
    ]
    .concat()
}

/// Ids that checks had before, with those of now.
const RENAMED: &[(&str, &str)] = &[("ebs-csi-addon-degraded", "addon-degraded")];

/// The id of now for one that may be of before.
pub fn current(id: &str) -> &str {
    RENAMED.iter().find(|(old, _)| *old == id).map_or(id, |(_, now)| now)
}

/// A check by its id, also by one that it had before.
pub fn find(id: &str) -> Option<&'static dyn Check> {
    registry().into_iter().find(|c| c.meta().id.0 == current(id))
}

/// Words that `--only` and `--skip` take: check ids and suites.
pub fn selectors() -> Vec<&'static str> {
    let ids = registry().into_iter().map(|c| c.meta().id.0);
    Suite::ALL.iter().map(|s| s.as_str()).chain(ids).chain(RENAMED.iter().map(|(old, _)| *old)).collect()
}

/// The checks that `only` (all where empty) and `skip` leave. Both hold ids or suites that are known to exist.
pub fn select(only: &[String], skip: &[String]) -> Vec<&'static dyn Check> {
    let named =
        |list: &[String], meta: &CheckMeta| list.iter().any(|w| current(w) == meta.id.0 || w == meta.suite.as_str());
    registry().into_iter().filter(|c| (only.is_empty() || named(only, c.meta())) && !named(skip, c.meta())).collect()
}
