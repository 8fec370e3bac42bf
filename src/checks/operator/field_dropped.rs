//! A monitor was applied with a misspelt field, which the API server dropped without a word.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::{Check, check};
use crate::domain::kubernetes::managed::managed_by;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Monitor;

check! {
    /// See the check's page.
    FieldDropped {
        id: "field-dropped", suite: Operator, severity: Warning,
        title: "a field of a monitor is misspelt, and was dropped",
        requires: [Monitors],
        uses: [],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Spell {
        /// As kubectl calls its kind.
        kind: String,
        namespace: String,
        name: String,
        /// `field → meant`.
        slips: Vec<String>,
        managed: String,
    },
}

impl Check for FieldDropped {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let all = snap.monitors()?.iter();
        let lost = all.filter(|m| !m.dropped.is_empty() && m.metadata.deletion_timestamp.is_none());
        Ok(Diagnosis::Findings(lost.map(finding).collect()))
    }
}

/// Fields by which a monitor finds its targets.
const FINDS: &[&str] =
    &["selector", "namespaceSelector", "endpoints", "podMetricsEndpoints", "port", "portNumber", "targetPort"];

fn finding(monitor: &Monitor) -> Finding {
    let (namespace, name) = (&monitor.metadata.namespace, &monitor.metadata.name);
    let subject = ResourceRef::kubernetes("monitoring.coreos.com", &monitor.kind, namespace, name);
    let paths: Vec<&str> = monitor.dropped.iter().map(|d| d.path.as_str()).collect();
    let meant: Vec<&str> = monitor.dropped.iter().map(|d| d.meant.as_str()).collect();
    let (was, it) = if paths.len() == 1 { ("is", "it") } else { ("are", "them") };
    let message = format!(
        "{} {namespace}/{name} was applied with {}, which its CRD does not know: the API server dropped {it}, and what {was} meant ({}) does not hold",
        monitor.kind,
        paths.join(", "),
        meant.join(", ")
    );
    let kind = monitor.kind.to_ascii_lowercase();
    let seen = Evidence::new(
        format!("{} {namespace}/{name}, as it was applied last", monitor.kind),
        paths.join(", "),
        "kubectl apply view-last-applied {{ kind }} {{ name }} -n {{ namespace }}",
    );
    let slips = monitor.dropped.iter().map(|d| format!("{} → {}", d.path, d.meant)).collect();
    // Of targets that are not there only what finds them can be the cause.
    let finds = monitor.dropped.iter().any(|d| FINDS.contains(&d.meant.as_str()));
    let made = Finding::new(FieldDropped::META.id, Severity::Warning, subject, message);
    let made = if finds { made } else { made.breaks_nothing() };
    made.evidence(seen.with("kind", &kind).with("namespace", namespace).with("name", name)).fix(Fix::Spell {
        kind,
        namespace: namespace.clone(),
        name: name.clone(),
        slips,
        managed: managed_by(&monitor.metadata),
    })
}
