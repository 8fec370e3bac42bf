//! Grafana's administrator has a password that everybody knows.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::{Check, check};
use crate::domain::kubernetes::managed::{managed_by, release};
use crate::domain::manifests::values::{self, Values};
use crate::lint::yaml::{Node, Value};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, Location, Program, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{DEFAULT_PASSWORDS, Workload};
use crate::snapshot::manifests::ManifestFile;

check! {
    /// See the check's page.
    GrafanaDefaultPassword {
        id: "grafana-default-password", suite: Grafana, severity: Warning,
        title: "Grafana's administrator has a password that everybody knows",
        requires: [Workloads],
        uses: [Manifests],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Values { file: String, line: usize, key: String, namespace: String },
    Workload { namespace: String, target: String, container: String, managed: String, release: String },
}

/// What sets the password of the user admin at the first start.
const VARIABLE: &str = "GF_SECURITY_ADMIN_PASSWORD";

impl Check for GrafanaDefaultPassword {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn judge(&self, snap: &Snapshot) -> Option<Result<Diagnosis, Gap>> {
        Some(self.diagnose(snap))
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let workloads = snap.workloads()?.iter().filter(|w| snap.scope.is_stack(&w.metadata.namespace));
        let mut findings: Vec<Finding> = workloads.filter_map(of_workload).collect();
        for file in snap.manifests.items().unwrap_or_default() {
            findings.extend(values::all(file).flat_map(|values| of_values(snap, file, values)));
        }
        Ok(Diagnosis::Findings(findings))
    }
}

/// The variable stands in the pod template, as it is.
fn of_workload(workload: &Workload) -> Option<Finding> {
    let containers = workload.spec.template.spec.containers.iter();
    let (container, password) = containers
        .filter(|c| c.program() == Some(Program::Grafana))
        .find_map(|c| Some((c, c.env(VARIABLE).filter(|p| DEFAULT_PASSWORDS.contains(p))?)))?;
    let meta = &workload.metadata;
    let message = format!(
        "{} sets the password of Grafana's user admin to {password}, which stands in every document",
        workload.reference()
    );
    let seen = Evidence::new(
        format!("{} {VARIABLE}", workload.reference()),
        password,
        "kubectl get {{ target }} -n {{ namespace }} -o jsonpath='{.spec.template.spec.containers[*].env}'",
    );
    let fix = Fix::Workload {
        namespace: meta.namespace.clone(),
        target: workload.kubectl_name(),
        container: container.name.clone(),
        managed: managed_by(meta),
        release: release(meta).map(|(name, _)| name.to_owned()).unwrap_or_default(),
    };
    Some(
        Finding::new(GrafanaDefaultPassword::META.id, Severity::Warning, workload.reference(), message)
            .key(workload.reference().key())
            .breaks_nothing()
            .evidence(seen.with("target", workload.kubectl_name()).with("namespace", &meta.namespace))
            .fix(fix),
    )
}

/// `adminPassword` in Helm values, at the top or below `grafana`.
fn of_values(snap: &Snapshot, file: &ManifestFile, values: Values<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    look(values.node, values.path, &mut |path, node| {
        let Some(password) = node.as_str().filter(|p| DEFAULT_PASSWORDS.contains(p)) else { return };
        let namespace = snap.scope.stack.first().cloned().unwrap_or_else(|| "monitoring".to_owned());
        let message = format!(
            "{}:{}: {path} is {password}, the password of Grafana's user admin that stands in every document",
            file.path, node.place.line
        );
        let reference = ResourceRef::kubernetes("", "Values", "", &file.path);
        let seen = Evidence::new(
            format!("{}:{}", file.path, node.place.line),
            format!("{path}: {password}"),
            "grep -n adminPassword {{ path }}",
        );
        let fix = Fix::Values { file: file.path.clone(), line: node.place.line, key: path.to_owned(), namespace };
        found.push(
            Finding::new(GrafanaDefaultPassword::META.id, Severity::Warning, reference, message)
                .key(format!("{} {path}", file.path))
                .breaks_nothing()
                .location(Location::file(&file.path).field(path).at(node.place.line, Some(node.place.column)))
                .evidence(seen.with("path", &file.path))
                .fix(fix),
        );
    });
    found
}

/// Calls `say` for each value of the key, with its path.
fn look(node: &Node, path: &str, say: &mut dyn FnMut(&str, &Node)) {
    let Value::Mapping(entries) = &node.value else { return };
    for (key, value) in entries {
        let key = key.as_str().unwrap_or_default();
        let below = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        if key == "adminPassword" {
            say(&below, value);
        } else {
            look(value, &below, say);
        }
    }
}
