//! A CustomResourceDefinition of the stack is being deleted, or was deleted and made again: all its objects go with it.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::{Check, check};
use crate::domain::prometheus::operator::deployment::{self, Operator, version_text};
use crate::domain::prometheus::operator::selection::GROUP;
use crate::domain::text::windows::{DAY, minute};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::kubernetes::{MonitoringResource, ObjectName};
use crate::snapshot::{Snapshot, journal};

check! {
    /// See the check's page.
    CrdDeleted {
        id: "crd-deleted", suite: Operator, severity: Error,
        title: "a CRD of the stack was deleted, with all its objects",
        requires: [Crds],
        uses: [Workloads, MonitoringResources],
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
    Recreated {
        crd: String,
        /// `ServiceMonitor`.
        kind: &'static str,
        /// When it was made, as kubectl shows it.
        made: String,
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
        let mut found: Vec<Finding> = own.map(|(crd, plural)| finding(snap, crd, plural)).collect();
        found.extend(snap.crds()?.iter().filter_map(|crd| recreated(snap, crd)));
        Ok(Diagnosis::Findings(found))
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

/// Kinds that every version of the operator has, and what each stack has of them: a definition that is younger than what it
/// belongs to was created again.
const OLD: &[(&str, &str)] =
    &[("servicemonitors", "ServiceMonitor"), ("podmonitors", "PodMonitor"), ("prometheusrules", "PrometheusRule")];
/// Seconds by which a resource has to be older than a definition: an installation makes all of them together.
const BEFORE: i64 = 3600;

/// A definition that was made within a day, while a server that selects its objects is much older.
fn recreated(snap: &Snapshot, crd: &ObjectName) -> Option<Finding> {
    let name = &crd.metadata.name;
    let plural = name.strip_suffix(GROUP)?.strip_suffix('.')?;
    let (_, kind) = OLD.iter().find(|(own, _)| *own == plural)?;
    let made = crd.metadata.creation_timestamp.filter(|_| crd.metadata.deletion_timestamp.is_none())?;
    // With all of them the server would have gone, too: it is one among others that stayed.
    let stayed = |c: &ObjectName| {
        let own = c.metadata.name.ends_with(&format!(".{GROUP}"));
        own && c.metadata.creation_timestamp.is_some_and(|at| made.as_second() - at.as_second() >= BEFORE)
    };
    if snap.seconds_since(made) > DAY || !snap.crds.items().unwrap_or_default().iter().any(stayed) {
        return None;
    }
    // Whether there is one decides nothing else.
    let servers = journal::aside(|| snap.monitoring_resources.items().unwrap_or_default());
    let is_older = |m: &&MonitoringResource| {
        let at = m.metadata.creation_timestamp.filter(|_| m.kind == "Prometheus");
        at.is_some_and(|at| made.as_second() - at.as_second() >= BEFORE)
    };
    let server = servers.iter().find(is_older)?;
    let since = server.metadata.creation_timestamp.map(minute).unwrap_or_default();
    let message = format!(
        "CustomResourceDefinition {name} was created again ({}), while Prometheus {}/{} has been there since {since}: with the earlier definition all its objects were deleted, in all namespaces, and only what was applied since then is back",
        minute(made),
        server.metadata.namespace,
        server.metadata.name
    );
    let subject = ResourceRef::crd(name);
    let seen = Evidence::new(
        format!("CustomResourceDefinition {name} metadata"),
        format!("creationTimestamp {made}"),
        "kubectl get crd {{ name }} -o jsonpath='{.metadata.creationTimestamp}{\"\\n\"}'",
    );
    let made_anew = Finding::new(CrdDeleted::META.id, Severity::Warning, subject, message)
        .key(format!("{name} recreated"))
        .evidence(seen.with("name", name))
        .fix(Fix::Recreated { crd: name.clone(), kind, made: made.to_string() });
    // What is there works.
    Some(made_anew.breaks_nothing())
}

/// The file of one definition, of the operator's version.
fn url(snap: &Snapshot, plural: &str) -> String {
    let version = deployment::operators(snap).iter().find_map(Operator::version);
    let version = version.map_or_else(|| "<version>".to_owned(), version_text);
    format!(
        "https://raw.githubusercontent.com/prometheus-operator/prometheus-operator/v{version}/example/prometheus-operator-crd/{GROUP}_{plural}.yaml"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::testing::findings;
    use crate::domain::testing::snapshot;
    use crate::snapshot::Listing;
    use serde_json::json;

    fn found(crd: &str, made: &str, server: &str) -> Vec<Finding> {
        beside(crd, made, server, server)
    }

    fn beside(crd: &str, made: &str, server: &str, other: &str) -> Vec<Finding> {
        let mut snap = snapshot(json!({}));
        let crds = json!([{"metadata": {"name": crd, "creationTimestamp": made}},
            {"metadata": {"name": "prometheuses.monitoring.coreos.com", "creationTimestamp": other}}]);
        snap.crds = Listing::cluster(serde_json::from_value(crds).expect("CRDs"));
        let own =
            json!({"metadata": {"namespace": "monitoring", "name": "k8s", "creationTimestamp": server}, "spec": {}});
        let own: MonitoringResource = serde_json::from_value(own).expect("a resource");
        let own = MonitoringResource { kind: "Prometheus".into(), ..own };
        snap.monitoring_resources = Listing::cluster(vec![own]);
        findings(&CrdDeleted, &snap)
    }

    #[test]
    fn a_definition_that_is_younger_than_its_server_was_created_again() {
        let now = snapshot(json!({})).collected_at;
        let at = |hours: i64| jiff::Timestamp::from_second(now.as_second() - hours * 3600).expect("a time").to_string();
        let monitors = "servicemonitors.monitoring.coreos.com";
        let again = found(monitors, &at(1), &at(700));
        assert!(again.len() == 1 && again[0].message.contains("was created again"), "{again:?}");
        assert!(found(monitors, &at(1), &at(1)).is_empty(), "one installation");
        assert!(
            beside(monitors, &at(1), &at(700), &at(1)).is_empty(),
            "all of them are young: it was brought from elsewhere"
        );
        assert!(found(monitors, &at(700), &at(720)).is_empty(), "long ago");
        assert!(found("scrapeconfigs.monitoring.coreos.com", &at(1), &at(700)).is_empty(), "a kind that came later");
    }
}
