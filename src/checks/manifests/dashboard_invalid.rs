//! A dashboard in the files that Grafana does not load, or whose queries are not whole.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::written::{self, Corrected};
use crate::checks::{Check, check};
use crate::domain::manifests::given::full_name;
use crate::domain::manifests::twins::{Twin, twins};
use crate::domain::manifests::written::Dialect;
use crate::lint::Problem;
use crate::model::{CheckMeta, Diagnosis, Finding, Gap};
use crate::snapshot::Snapshot;

check! {
    /// See the check's page.
    DashboardInvalid {
        id: "dashboard-invalid", suite: Manifests, severity: Error,
        title: "Grafana does not load a dashboard of the files, or a panel of it shows an error",
        requires: [Manifests],
        uses: [],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    File(Corrected),
}

impl Check for DashboardInvalid {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn judge(&self, snap: &Snapshot) -> Option<Result<Diagnosis, Gap>> {
        Some(self.diagnose(snap))
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        Ok(match written::judge(snap, Dialect::Dashboard, &Self::META, Fix::File)? {
            Diagnosis::Findings(mut found) => {
                found.extend(twins(snap).iter().filter_map(|(uid, all)| shared(uid, all)));
                Diagnosis::Findings(found)
            }
            other => other,
        })
    }
}

/// Dashboards that share a uid.
fn shared(uid: &str, all: &[Twin<'_>]) -> Option<Finding> {
    let (last, before) = all.split_last()?;
    let others: Vec<String> =
        before.iter().map(|t| format!("{:?} ({} of ConfigMap {})", t.title, t.key, full_name(t.object))).collect();
    let message = format!("dashboard {:?} has the uid {uid} of {}", last.title, others.join(", "));
    let problem = Problem::new(last.place, format!("data.{}", last.key), message);
    let so = ": Grafana loads neither, and writes no dashboard of their provider any more";
    let problems = [problem];
    let made = written::of_object(&DashboardInvalid::META, last.file, last.object, &problems, so);
    let again = written::still_read(last.file);
    let lines = Corrected::new(last.file, &format!("data.{}", last.key), &problems, "", &again);
    Some(made.key(format!("{} {uid}", last.file.path)).fix(Fix::File(lines)))
}
