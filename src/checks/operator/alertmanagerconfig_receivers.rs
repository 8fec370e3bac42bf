//! Receivers of an AlertmanagerConfig that no route uses, and routes that name a receiver which is not there.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::checks::{Check, check};
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::prometheus::operator::selection::{self, Kind};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::AlertmanagerConfigResource;
use crate::text::near::near;

check! {
    /// See the check's page.
    AlertmanagerConfigReceivers {
        id: "alertmanagerconfig-receivers", suite: Operator, severity: Error,
        title: "an AlertmanagerConfig's routes and receivers do not meet",
        requires: [MonitoringResources, AlertmanagerConfigResources],
        uses: [Namespaces, Workloads],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Unused { name: String, namespace: String, receivers: Vec<String>, without_route: bool, managed: String },
    Unknown { name: String, namespace: String, receiver: String, known: Vec<String>, meant: String, managed: String },
}

impl Check for AlertmanagerConfigReceivers {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        if selection::servers(snap, Kind::AlertmanagerConfig)?.is_empty() {
            return Ok(Diagnosis::NotApplicable("no Alertmanager of the Prometheus Operator".into()));
        }
        let mut findings = Vec::new();
        for config in snap.alertmanager_config_resources()? {
            // What nobody selects is another finding.
            if !selection::selecting(snap, Kind::AlertmanagerConfig, &config.metadata)?.is_empty() {
                findings.extend(judge(config));
            }
        }
        Ok(Diagnosis::Findings(findings))
    }
}

/// Names that a route and those below it send to.
fn named<'a>(route: &'a Value, out: &mut BTreeSet<&'a str>) {
    out.extend(route.get("receiver").and_then(Value::as_str).filter(|r| !r.is_empty()));
    for below in route.get("routes").and_then(Value::as_array).into_iter().flatten() {
        named(below, out);
    }
}

fn judge(config: &AlertmanagerConfigResource) -> Vec<Finding> {
    let known: BTreeSet<&str> =
        config.spec.receivers.iter().filter_map(|r| r.get("name").and_then(Value::as_str)).collect();
    let mut used = BTreeSet::new();
    named(&config.spec.route, &mut used);
    let mut found: Vec<Finding> =
        used.iter().filter(|name| !known.contains(*name)).map(|name| unknown(config, name, &known)).collect();
    // A slip of the pen is said once.
    let meant: BTreeSet<&str> = used.iter().filter_map(|name| near(name, known.iter().copied())).collect();
    let unused: Vec<&str> = known.iter().filter(|n| !used.contains(*n) && !meant.contains(*n)).copied().collect();
    if !unused.is_empty() {
        found.push(idle(config, &unused));
    }
    found
}

fn base(config: &AlertmanagerConfigResource, severity: Severity, message: String, value: String) -> Finding {
    let meta = &config.metadata;
    let reference = Kind::AlertmanagerConfig.reference(&meta.namespace, &meta.name);
    let seen = Evidence::new(
        format!("{reference} spec.route and spec.receivers"),
        value,
        "kubectl get alertmanagerconfig {{ name }} -n {{ namespace }} -o yaml",
    );
    Finding::new(AlertmanagerConfigReceivers::META.id, severity, reference, message)
        .evidence(seen.with("name", &meta.name).with("namespace", &meta.namespace))
}

fn unknown(config: &AlertmanagerConfigResource, receiver: &str, known: &BTreeSet<&str>) -> Finding {
    let meta = &config.metadata;
    let list = known.iter().copied().collect::<Vec<_>>().join(", ");
    let meant = near(receiver, known.iter().copied());
    let hint = meant.map(|m| format!(" ({m}?)")).unwrap_or_default();
    let message = format!(
        "AlertmanagerConfig {}/{} sends to a receiver {receiver} that it does not have{hint}: the operator leaves the object out",
        meta.namespace, meta.name
    );
    base(config, Severity::Error, message, format!("route names {receiver}; receivers: {list}"))
        .key(format!("unknown {}/{} {receiver}", meta.namespace, meta.name))
        .fix(Fix::Unknown {
            name: meta.name.clone(),
            namespace: meta.namespace.clone(),
            receiver: receiver.to_owned(),
            known: known.iter().map(|k| (*k).to_owned()).collect(),
            meant: meant.unwrap_or_default().to_owned(),
            managed: managed_by(meta),
        })
}

fn idle(config: &AlertmanagerConfigResource, unused: &[&str]) -> Finding {
    let meta = &config.metadata;
    let without_route = config.spec.route.is_null();
    let (noun, verb) = if unused.len() == 1 { ("receiver", "is") } else { ("receivers", "are") };
    let why = if without_route { ": it has no route at all" } else { "" };
    let message = format!(
        "{noun} {} of AlertmanagerConfig {}/{} {verb} used by no route, so that nothing is sent there{why}",
        unused.join(", "),
        meta.namespace,
        meta.name
    );
    base(config, Severity::Warning, message, format!("no route names {}", unused.join(", ")))
        .key(format!("unused {}/{}", meta.namespace, meta.name))
        .breaks_nothing()
        .fix(Fix::Unused {
            name: meta.name.clone(),
            namespace: meta.namespace.clone(),
            receivers: unused.iter().map(|r| (*r).to_owned()).collect(),
            without_route,
            managed: managed_by(meta),
        })
}
