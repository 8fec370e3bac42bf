//! Manifests that need something of the cluster that it does not have.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::written;
use crate::checks::{Check, check};
use crate::domain::aws::ebs;
use crate::domain::manifests::cluster::{Lacks, Need, needs};
use crate::domain::manifests::given::objects;
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, Severity};
use crate::snapshot::Snapshot;

check! {
    /// See the check's page.
    ManifestCluster {
        id: "manifest-cluster", suite: Manifests, severity: Error,
        title: "manifests need what the cluster does not have",
        requires: [Manifests],
        uses: [
            Crds, ApiServices, StorageClasses, CsiDrivers, CsiNodes, LimitRanges, ResourceQuotas, Nodes, NodeMakers, Namespaces,
            Pods, Workloads,
        ],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    file: String,
    piped: bool,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    Kind { group: String, brings: &'static str },
    Version { group: String, served: String },
    Driver { driver: String, ebs: bool },
    Bound { namespace: String },
    Quota { namespace: String, quota: String },
    Room,
}

impl Check for ManifestCluster {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.manifests()?;
        if objects(snap).next().is_none() {
            return Ok(Diagnosis::NotApplicable("no manifest was given (-f)".into()));
        }
        match needs(snap) {
            (found, Some(gap)) if found.is_empty() => Err(gap),
            (found, _) => Ok(Diagnosis::Findings(found.iter().map(finding).collect())),
        }
    }
}

fn finding(need: &Need<'_>) -> Finding {
    let problems = [need.problem.clone()];
    let made = written::of_object(&ManifestCluster::META, need.file, need.object, &problems, "")
        // What is wrong by itself is corrected first: then the cluster may have it. What the cluster lacks explains nothing else
        // that it lacks.
        .breaks_nothing()
        .depends_on(written::place(need.file, &need.problem));
    // What is used, and the nodes that there are, may change until it is applied.
    let (severity, way) = match &need.lacks {
        Lacks::Kind { group, brings } => (Severity::Error, Way::Kind { group: group.clone(), brings }),
        Lacks::Version { group, served } => {
            (Severity::Error, Way::Version { group: group.clone(), served: served.clone() })
        }
        Lacks::Driver(driver) => {
            let ebs = ebs::DRIVER == driver;
            (Severity::Error, Way::Driver { driver: driver.clone(), ebs })
        }
        Lacks::Bound(namespace) => (Severity::Error, Way::Bound { namespace: namespace.clone() }),
        Lacks::Quota { namespace, quota } => {
            (Severity::Warning, Way::Quota { namespace: namespace.clone(), quota: quota.clone() })
        }
        Lacks::Room => (Severity::Warning, Way::Room),
    };
    // Amounts change from one look to the next.
    let what = match &need.lacks {
        Lacks::Quota { quota, .. } => format!("quota {quota}"),
        Lacks::Room => "room".to_owned(),
        _ => need.problem.path.clone(),
    };
    let key = format!("{} {what}", made.key);
    Finding { severity, ..made.key(key) }.fix(Fix {
        file: need.file.path.clone(),
        piped: need.file.path == written::PIPED,
        way,
    })
}
