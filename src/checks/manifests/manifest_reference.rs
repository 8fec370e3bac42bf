//! Objects of the files that do not find each other.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::written::{self, Corrected};
use crate::checks::{Check, check};
use crate::domain::manifests::given::Parts;
use crate::domain::manifests::references::References;
use crate::model::{CheckMeta, Diagnosis, Gap};
use crate::snapshot::Snapshot;

check! {
    /// See the check's page.
    ManifestReference {
        id: "manifest-reference", suite: Manifests, severity: Warning,
        title: "manifests that belong together do not find each other",
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

impl Check for ManifestReference {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn judge(&self, snap: &Snapshot) -> Option<Result<Diagnosis, Gap>> {
        Some(self.diagnose(snap))
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let (parts, references) = (Parts::of(snap), References::of(snap));
        written::each_object(snap, |file, object| {
            // What Kustomize puts together may find each other yet.
            let problems = if parts.holds(file) { Vec::new() } else { references.broken(object) };
            problems.first()?;
            let found = written::of_object(&Self::META, file, object, &problems, "");
            Some(found.fix(Fix::File { lines: Corrected::new(file, "", &problems, "") }))
        })
    }
}
