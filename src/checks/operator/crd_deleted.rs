//! A CustomResourceDefinition of the stack is being deleted, and with it all its objects.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::{Check, check};
use crate::domain::prometheus::operator::deployment::{self, Operator, version_text};
use crate::domain::prometheus::operator::selection::GROUP;
use crate::domain::text::windows::minute;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::ObjectName;

check! {
    /// See the check's page.
    CrdDeleted {
        id: "crd-deleted", suite: Operator, severity: Error,
        title: "a CRD of the stack is being deleted, with all its objects",
        requires: [Crds],
        uses: [Workloads],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Restore {
        /// `servicemonitors.monitoring.coreos.com`.
        crd: String,
        plural: String,
        /// Where the definition of the operator that runs is.
        url: String,
    },
}

impl Check for CrdDeleted {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let end = format!(".{GROUP}");
        let going = snap.crds()?.iter().filter(|c| c.metadata.deletion_timestamp.is_some());
        let own = going.filter_map(|c| Some((c, c.metadata.name.strip_suffix(end.as_str())?)));
        Ok(Diagnosis::Findings(own.map(|(crd, plural)| finding(snap, crd, plural)).collect()))
    }
}

fn finding(snap: &Snapshot, crd: &ObjectName, plural: &str) -> Finding {
    let name = &crd.metadata.name;
    let since = crd.metadata.deletion_timestamp.map(minute);
    let message = format!(
        "CustomResourceDefinition {name} was deleted ({}) and waits until all its objects are gone: each object without a finalizer is deleted, and none can be made",
        since.unwrap_or_default()
    );
    let subject = ResourceRef::crd(name);
    let at = crd.metadata.deletion_timestamp.map(|t| t.to_string()).unwrap_or_default();
    let seen = Evidence::new(
        format!("CustomResourceDefinition {name} metadata"),
        format!("deletionTimestamp {at}; finalizers {}", crd.metadata.finalizers.join(", ")),
        "kubectl get crd {{ name }} -o jsonpath='{.metadata.deletionTimestamp} {.metadata.finalizers}{\"\\n\"}'",
    );
    Finding::new(CrdDeleted::META.id, Severity::Error, subject.clone(), message)
        .breaks(subject)
        .evidence(seen.with("name", name))
        .fix(Fix::Restore { crd: name.clone(), plural: plural.to_owned(), url: url(snap, plural) })
}

/// The file of one definition, of the operator's version.
fn url(snap: &Snapshot, plural: &str) -> String {
    let version = deployment::operators(snap).iter().find_map(Operator::version);
    let version = version.map_or_else(|| "<version>".to_owned(), version_text);
    format!(
        "https://raw.githubusercontent.com/prometheus-operator/prometheus-operator/v{version}/example/prometheus-operator-crd/{GROUP}_{plural}.yaml"
    )
}
