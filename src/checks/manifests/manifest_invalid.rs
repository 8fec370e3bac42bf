//! A manifest holds what the API server refuses.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::written::{self, Corrected};
use crate::checks::{Check, check};
use crate::domain::manifests::given::Parts;
use crate::lint::{Problem, kubernetes};
use crate::model::{CheckMeta, Diagnosis, Gap};
use crate::snapshot::Snapshot;
use crate::snapshot::manifests::{BLANK, Manifest};

check! {
    /// See the check's page.
    ManifestInvalid {
        id: "manifest-invalid", suite: Manifests, severity: Error,
        title: "a manifest holds what the API server refuses",
        requires: [Manifests],
        uses: [],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    File {
        #[serde(flatten)]
        lines: Corrected,
    },
}

impl Check for ManifestInvalid {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn judge(&self, snap: &Snapshot) -> Option<Result<Diagnosis, Gap>> {
        Some(self.diagnose(snap))
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let parts = Parts::of(snap);
        written::each_object(snap, |file, object| {
            let problems = problems(snap, object, parts.holds(file));
            problems.first()?;
            let found = written::of_object(&Self::META, file, object, &problems, ": the API server refuses it");
            Some(found.fix(Fix::File { lines: Corrected::new(file, "", &problems, "") }))
        })
    }
}

/// `part`: it may be laid over another manifest.
fn problems(snap: &Snapshot, object: &Manifest, part: bool) -> Vec<Problem> {
    let mut problems: Vec<Problem> = kubernetes::lint(&object.node, part);
    // What was blanked out is of no type.
    problems.retain(|p| !p.message.contains(BLANK));
    problems.extend(removed(snap, object));
    for problem in &mut problems {
        // Whoever reads of a type wants to know of which field.
        let names_it = ["unknown field", "the key"].iter().any(|w| problem.message.starts_with(w));
        if !names_it && problem.path != "apiVersion" {
            problem.message = format!("{}: {}", problem.path, problem.message);
        }
    }
    problems.sort_by_key(|p| p.place);
    problems
}

/// A version of an API that the cluster, or any that is still supported, does not serve.
fn removed(snap: &Snapshot, object: &Manifest) -> Option<Problem> {
    let removed = kubernetes::removed(&object.api_version, &object.kind)?;
    if minor(snap).is_some_and(|minor| minor < removed.since) {
        return None;
    }
    let place = object.node.get("apiVersion").map_or(object.place(), |n| n.place);
    let message = format!("{} {} is not served since Kubernetes 1.{}", object.api_version, object.kind, removed.since);
    let instead = Some(removed.instead).filter(|i| !i.is_empty());
    Some(Problem::new(place, "apiVersion", message).instead(instead))
}

/// Minor version of the cluster that was looked at.
fn minor(snap: &Snapshot) -> Option<u16> {
    let version = snap.target.kubernetes_version.as_deref()?;
    let digits: String = version.split('.').nth(1)?.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}
