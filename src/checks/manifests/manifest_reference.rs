//! Objects of the files that do not find each other.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::written::{self, Corrected};
use crate::checks::{Check, check};
use crate::domain::manifests::balancer::Behind;
use crate::domain::manifests::charts;
use crate::domain::manifests::given::Parts;
use crate::domain::manifests::grafana::Grafana;
use crate::domain::manifests::links::Links;
use crate::domain::manifests::namespaces::Namespaces;
use crate::domain::manifests::references::References;
use crate::domain::manifests::values::{self, Values};
use crate::lint::Problem;
use crate::model::{CheckMeta, Diagnosis, Finding, Gap};
use crate::snapshot::Snapshot;
use crate::snapshot::manifests::ManifestFile;
use crate::text::near::near;

check! {
    /// See the check's page.
    ManifestReference {
        id: "manifest-reference", suite: Manifests, severity: Warning,
        title: "manifests that belong together do not find each other",
        requires: [Manifests],
        uses: [Namespaces],
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

/// Files that a kustomization names and that are not there.
fn absent<'a>(snap: &'a Snapshot, file: &'a ManifestFile) -> impl Iterator<Item = Problem> + 'a {
    let folder = file.path.rsplit_once('/').map_or(".", |(folder, _)| folder);
    let files = snap.manifests.items().unwrap_or_default().iter();
    let beside: Vec<&str> = files.filter_map(|f| f.path.strip_prefix(folder)?.strip_prefix('/')).collect();
    file.absent.iter().map(move |(place, path)| {
        let message = format!("there is no {path} in {folder}: kustomize ends with an error");
        Problem::new(*place, "resources", message).instead(near(path, beside.iter().copied()))
    })
}

impl Check for ManifestReference {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn judge(&self, snap: &Snapshot) -> Option<Result<Diagnosis, Gap>> {
        Some(self.diagnose(snap))
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let (parts, references, links) = (Parts::of(snap), References::of(snap), Links::of(snap));
        let charts = charts::files(snap);
        let mut of_values: Vec<Finding> = Vec::new();
        for file in snap.manifests.items().unwrap_or_default() {
            of_values.extend(values::all(file).filter_map(|values| misspelt(snap, &charts, file, &values)));
        }
        let (grafana, behind, namespaces) = (Grafana::of(snap), Behind::of(snap), Namespaces::of(snap));
        let of_objects = written::each_object(snap, |file, object| {
            // What Kustomize puts together may find each other yet.
            let mut problems = Vec::new();
            if !parts.holds(file) {
                problems.extend(references.broken(object));
                problems.extend(links.broken(object));
                problems.extend(grafana.broken(file, object));
                problems.extend(behind.broken(object));
                problems.extend(namespaces.slip(file, object));
                problems.sort_by_key(|p| p.place);
            }
            if object.group() == "kustomize.config.k8s.io" {
                problems.extend(absent(snap, file));
            }
            problems.first()?;
            let found = written::of_object(&Self::META, file, object, &problems, "");
            Some(found.fix(Fix::File { lines: Corrected::new(file, "", &problems, "", &written::still_read(file)) }))
        })?;
        Ok(match of_objects {
            Diagnosis::Findings(found) => Diagnosis::Findings(found.into_iter().chain(of_values).collect()),
            Diagnosis::NotApplicable(_) if values::any(snap) => Diagnosis::Findings(of_values),
            other => other,
        })
    }
}

/// Keys of Helm values that their chart does not have.
fn misspelt(snap: &Snapshot, charts: &[&ManifestFile], file: &ManifestFile, values: &Values<'_>) -> Option<Finding> {
    let problems = charts::misspelt(snap, charts, file, values);
    problems.first()?;
    let so = ": Helm leaves it out without a word";
    let found = written::of_values(&ManifestReference::META, file, values, &problems, so);
    let lines = Corrected::new(file, values.path, &problems, "", &written::still_read(file));
    Some(found.fix(Fix::File { lines }))
}
