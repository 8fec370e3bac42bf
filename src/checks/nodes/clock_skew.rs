//! The clock of a node is off.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::seen::line_evidence;
use crate::checks::{Check, check};
use crate::domain::kubernetes::node_clock::{self, Off};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Condition;

check! {
    /// See the check's page.
    ClockSkew {
        id: "clock-skew", suite: Nodes, severity: Error,
        title: "the clock of a node is off",
        requires: [Nodes, PrometheusAlerts],
        uses: [PrometheusRules, ComponentLogs, PartLogs, CrashLogs, Pods],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Synchronize {
        node: String,
        /// Its EC2 instance; empty where it has none that commands reach.
        instance: String,
        /// Pods there that sign requests.
        namespace: String,
        pods: Vec<String>,
        /// The node is there afterwards.
        stays: bool,
    },
    Replace {
        node: String,
        fargate: bool,
        /// Karpenter or EKS Auto Mode made it.
        karpenter: bool,
        instance: String,
        namespace: String,
        pods: Vec<String>,
        stays: bool,
    },
}

impl Check for ClockSkew {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.nodes()?;
        let all = node_clock::all(snap);
        if all.is_empty() {
            snap.prometheus_alerts()?;
        }
        Ok(Diagnosis::Findings(all.iter().map(|off| finding(snap, off)).collect()))
    }
}

fn finding(snap: &Snapshot, off: &Off<'_>) -> Finding {
    let name = &off.node.metadata.name;
    let by = match off.seconds {
        Some(s) if s < 0 => format!(" by {} (it is behind)", duration(-s)),
        Some(s) => format!(" by {} (it is ahead)", duration(s)),
        None => String::new(),
    };
    let follows = match off.refused.as_slice() {
        [] => match off.early.first() {
            Some((pod, ..)) => format!(
                ": pod {}/{} takes certificates that are valid for not yet valid",
                pod.metadata.namespace, pod.metadata.name
            ),
            None => String::new(),
        },
        [(pod, ..)] => format!(": AWS refuses what pod {}/{} signs there", pod.metadata.namespace, pod.metadata.name),
        many => format!(": AWS refuses what {} pods sign there", many.len()),
    };
    let severity = if off.refused.is_empty() && off.early.is_empty() { Severity::Warning } else { Severity::Error };
    let own = ResourceRef::node(name);
    // That nothing sets it says not yet that it is off.
    let only_unset = off.alerts.is_empty() && off.refused.is_empty();
    let message = match off.unset {
        Some(condition) if only_unset => format!("nothing sets the clock of node {name} ({})", said(condition)),
        _ => format!("the clock of node {name} is off{by}{follows}"),
    };
    // The node is Ready, and takes pods; what its time breaks are the requests that are signed there.
    let key = format!("{} clock", own.key());
    let mut made = Finding::new(ClockSkew::META.id, severity, own, message).key(key).breaks_nothing();
    if let Some(condition) = off.unset {
        let shown = Evidence::new(
            format!("Node {name}, condition {}", condition.kind),
            said(condition),
            "kubectl describe node {{ node }}",
        );
        made = made.evidence(shown.with("node", name));
    }
    for alert in &off.alerts {
        let said = ["description", "summary"].iter().find_map(|k| alert.annotations.get(*k)).cloned();
        made = made.evidence(
            Evidence::new(
                format!("alert {}", alert.name()),
                said.unwrap_or_else(|| "it fires".to_owned()),
                "kubectl describe node {{ node }}",
            )
            .with("node", name),
        );
    }
    for (pod, log, line) in off.refused.iter().chain(&off.early) {
        let owner = snap.owner_ref(pod);
        made = made
            .also(owner.clone())
            .breaks(owner)
            .breaks(ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name))
            .evidence(line_evidence(log, line.trim()));
    }
    made.fix(fix(off))
}

/// A condition as its agent says it.
fn said(condition: &Condition) -> String {
    let parts = [condition.reason.as_deref(), condition.message.as_deref()];
    parts.into_iter().flatten().filter(|p| !p.is_empty()).collect::<Vec<_>>().join(": ")
}

fn fix(off: &Off<'_>) -> Fix {
    let affected = || off.refused.iter().chain(&off.early);
    let first = affected().next().map(|(pod, ..)| *pod);
    let namespace = first.map(|p| p.metadata.namespace.clone()).unwrap_or_default();
    let same = affected().filter(|(p, ..)| p.metadata.namespace == namespace);
    let pods = same.map(|(p, ..)| p.metadata.name.clone()).collect();
    let (node, instance) = (off.node.metadata.name.clone(), off.node.instance_id().unwrap_or_default().to_owned());
    if !off.node.is_sealed() {
        return Fix::Synchronize { node, instance, namespace, pods, stays: true };
    }
    let (fargate, karpenter) = (off.node.is_fargate(), off.node.is_karpenter());
    Fix::Replace { node, fargate, karpenter, instance, namespace, pods, stays: false }
}

fn duration(seconds: i64) -> String {
    match seconds {
        s if s < 120 => format!("{s} seconds"),
        s => format!("{} minutes", s / 60),
    }
}
