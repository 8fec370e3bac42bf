//! Data that should last and goes with its pod, in files that are about to be applied.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::written::{self, Corrected, still_read};
use crate::checks::{Check, check};
use crate::domain::manifests::lasting::{self, Fleeting, Holder, Shape};
use crate::lint::Problem;
use crate::model::{CheckMeta, Diagnosis, Finding, Gap};
use crate::snapshot::Snapshot;

check! {
    /// See the check's page.
    ManifestPersistence {
        id: "manifest-persistence", suite: Manifests, severity: Info,
        title: "data that should last goes with its pod",
        requires: [Manifests],
        uses: [],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Volume {
        #[serde(flatten)]
        lines: Corrected,
        /// A claim template of the operator's resource.
        operator: bool,
        /// The same in the values of kube-prometheus-stack, for each of its two.
        stack: bool,
        stack_alertmanager: bool,
        /// Switches of other charts.
        server: bool,
        persistence: bool,
        /// A workload that mounts it.
        workload: bool,
    },
}

impl Check for ManifestPersistence {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn judge(&self, snap: &Snapshot) -> Option<Result<Diagnosis, Gap>> {
        Some(self.diagnose(snap))
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        if snap.manifests()?.is_empty() {
            return Ok(Diagnosis::NotApplicable("no manifest was given (-f)".into()));
        }
        Ok(Diagnosis::Findings(lasting::of(snap).iter().map(finding).collect()))
    }
}

fn finding(fleeting: &Fleeting<'_>) -> Finding {
    let file = fleeting.file;
    let mut problems: Vec<Problem> = fleeting.problems.iter().map(|(_, p)| p.clone()).collect();
    problems.sort_by_key(|p| p.place);
    let (made, field) = match &fleeting.holder {
        Holder::Object(object) => (written::of_object(&ManifestPersistence::META, file, object, &problems, ""), ""),
        Holder::Values(values) => {
            (written::of_values(&ManifestPersistence::META, file, values, &problems, ""), values.path)
        }
    };
    let is = |shape: Shape| fleeting.problems.iter().any(|(s, _)| *s == shape);
    made.fix(Fix::Volume {
        lines: Corrected::new(file, field, &problems, "", &still_read(file)),
        operator: is(Shape::Operator),
        stack: is(Shape::Stack),
        stack_alertmanager: is(Shape::StackAlertmanager),
        server: is(Shape::Server),
        persistence: is(Shape::Persistence),
        workload: is(Shape::Workload),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::yaml;
    use crate::model::Severity;
    use crate::snapshot::Listing;
    use crate::snapshot::manifests::ManifestFile;

    #[test]
    fn it_is_information_with_the_place_and_what_to_write() {
        let text = "prometheus:\n  prometheusSpec:\n    retention: 10d\n";
        let mut file = ManifestFile::new("values.yaml", text);
        file.values = yaml::documents(text).expect("is YAML");
        let mut snap = Snapshot::empty("2026-11-21T00:00:00Z".parse().expect("a time"));
        snap.manifests = Listing::cluster(vec![file]);
        let judged = ManifestPersistence.judge(&snap).expect("it judges files").expect("they are there");
        let Diagnosis::Findings(found) = judged else { panic!("{judged:?}") };
        let [found] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(found.severity, Severity::Info);
        assert!(found.message.contains("without storageSpec, Prometheus keeps what it collects"), "{}", found.message);
        assert_eq!(found.locations[0].line, Some(3));
    }
}
