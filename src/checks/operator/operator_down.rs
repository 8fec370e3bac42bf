//! The operator does not run: what changes in its resources is not taken over.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::operator::server_text;
use crate::checks::{Check, check};
use crate::domain::kubernetes::managed::{managed_by, release};
use crate::domain::prometheus::operator::deployment::{self, Operator};
use crate::domain::prometheus::operator::selection;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::MonitoringResource;

check! {
    /// See the check's page.
    OperatorDown {
        id: "operator-down", suite: Operator, severity: Error,
        title: "the Prometheus Operator does not run",
        requires: [MonitoringResources, Workloads],
        uses: [OtherServers, Pods],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Scaled(Deployment),
    NotReady(Deployment),
    Absent {
        release: String,
        namespace: String,
        /// Of its chart, where a label says it.
        chart_version: Option<String>,
    },
}

/// The operator's Deployment.
#[derive(Serialize, JsonSchema)]
struct Deployment {
    operator: String,
    namespace: String,
    managed: String,
}

impl Check for OperatorDown {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let servers = selection::all_servers(snap)?;
        if servers.is_empty() {
            return Ok(Diagnosis::NotApplicable("no server of the Prometheus Operator".into()));
        }
        snap.workloads()?;
        let operators = deployment::operators(snap);
        if operators.is_empty() {
            return Ok(Diagnosis::Findings(absent(snap, &servers).into_iter().collect()));
        }
        // One that works is enough for what it watches; two are another check's matter.
        let served = |s: &&MonitoringResource| {
            operators.iter().any(|o| !o.is_down() && o.servers_scope(&s.kind).holds(&s.metadata.namespace))
        };
        let unserved: Vec<&MonitoringResource> = servers.into_iter().filter(|s| !served(s)).collect();
        let down = operators.iter().filter(|o| o.is_down());
        let findings = down
            .filter_map(|o| {
                let of_it: Vec<&MonitoringResource> = unserved
                    .iter()
                    .copied()
                    .filter(|s| o.servers_scope(&s.kind).holds(&s.metadata.namespace))
                    .collect();
                (!of_it.is_empty()).then(|| not_ready(snap, o, &of_it))
            })
            .collect();
        Ok(Diagnosis::Findings(findings))
    }
}

fn list(servers: &[&MonitoringResource]) -> String {
    servers.iter().map(|s| server_text(s)).collect::<Vec<_>>().join(", ")
}

fn not_ready(snap: &Snapshot, operator: &Operator<'_>, servers: &[&MonitoringResource]) -> Finding {
    let meta = &operator.workload.metadata;
    let off = operator.workload.desired() == 0;
    let state = if off {
        "is scaled to 0".to_owned()
    } else {
        format!("has no ready replica of {}", operator.workload.desired())
    };
    let message = format!(
        "the operator {}/{} {state}: nothing that changes in {} or in monitors and rules is taken over",
        meta.namespace,
        meta.name,
        list(servers)
    );
    let subject = operator.workload.reference();
    let deployment =
        Deployment { operator: meta.name.clone(), namespace: meta.namespace.clone(), managed: managed_by(meta) };
    let mut made = Finding::new(OperatorDown::META.id, Severity::Error, subject.clone(), message)
        .fix(if off { Fix::Scaled(deployment) } else { Fix::NotReady(deployment) })
        .evidence(
            Evidence::new(
                format!("Deployment {}/{}", meta.namespace, meta.name),
                format!("replicas {}, ready {}", operator.workload.desired(), operator.workload.ready()),
                "kubectl get deployment {{ name }} -n {{ namespace }}",
            )
            .with("name", &meta.name)
            .with("namespace", &meta.namespace),
        )
        .depends_on(subject);
    for pod in snap.pods_of_workload(operator.workload) {
        made = made.depends_on(ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name));
    }
    made
}

/// No operator where its release must have put one.
fn absent(snap: &Snapshot, servers: &[&MonitoringResource]) -> Option<Finding> {
    let server = servers.iter().find(|s| {
        let chart = s.metadata.label("chart").or(s.metadata.label("helm.sh/chart")).unwrap_or_default();
        let here = release(&s.metadata).is_some_and(|(_, namespace)| snap.workloads.covers(namespace));
        here && (chart.starts_with("kube-prometheus-stack-") || chart.starts_with("prometheus-operator-"))
    })?;
    let (release, namespace) = release(&server.metadata)?;
    let message = format!(
        "no operator runs in namespace {namespace}, where release {release} has its parts: nothing that changes in {} or in monitors and rules is taken over",
        list(servers)
    );
    let chart = server.metadata.label("chart").or(server.metadata.label("helm.sh/chart")).unwrap_or_default();
    let seen = Evidence::new(
        format!("Deployments of namespace {namespace}"),
        "none runs the Prometheus Operator",
        "kubectl get deployments -n {{ namespace }} -o wide",
    );
    Some(
        Finding::new(OperatorDown::META.id, Severity::Warning, server.reference(), message)
            .breaks(ResourceRef::kubernetes("apps", "Deployment", namespace, format!("{release}-operator")))
            .evidence(seen.with("namespace", namespace))
            .fix(Fix::Absent {
                release: release.to_owned(),
                namespace: namespace.to_owned(),
                chart_version: chart.rsplit_once('-').map(|(_, version)| version.to_owned()),
            }),
    )
}
