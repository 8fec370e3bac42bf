//! A route that repeats less often than Alertmanager remembers: it is told again too soon.

use super::AlertmanagerConfig;
use super::fix::{Fix, Way};
use crate::domain::alertmanager::pods::alertmanager_pods;
use crate::domain::alertmanager::repeat::{KEPT, forgotten};
use crate::domain::kubernetes::owner::{Target, workload_name};
use crate::domain::kubernetes::{arguments, proxy};
use crate::model::{Evidence, Finding, Severity};
use crate::snapshot::Snapshot;

/// What the running configuration repeats, against `--data.retention`.
pub(super) fn forgets(snap: &Snapshot) -> Option<Finding> {
    let (pod, container) = alertmanager_pods(snap).into_iter().next()?;
    let config = snap.alertmanager_status.as_ref().ok()?.config.original.as_str();
    let kept = arguments::flag(container, "data.retention").unwrap_or(KEPT);
    let found = forgotten(config, kept)?;
    let target = Target::of(snap, pod);
    let subject = snap.owner_ref(pod);
    let message = format!(
        "receiver {} is to be told again of an alert that lasts after {} (repeat_interval), and Alertmanager forgets after {kept} (--data.retention) that it was told: it is told again then",
        found.receiver, found.repeat
    );
    let seen = Evidence::new(
        format!("arguments of container {}", container.name),
        match arguments::has_flag(container, "data.retention") {
            true => format!("--data.retention={kept}"),
            false => format!("no --data.retention: {kept} by default"),
        },
        "kubectl get pod {{ pod }} -n {{ namespace }} -o jsonpath='{.spec.containers[*].args}'",
    )
    .with("namespace", &pod.metadata.namespace)
    .with("pod", &pod.metadata.name);
    let status = snap.scope.alertmanager.as_ref().map(|at| proxy::of_component(at, "/api/v2/status"));
    let repeats = Evidence::new(
        format!("configuration of Alertmanager, line {}", found.line),
        format!("repeat_interval: {}", found.repeat),
        "kubectl get --raw {{ path }}",
    )
    .with("path", status.unwrap_or_else(|| "<path>".to_owned()));
    let mut made = Finding::new(AlertmanagerConfig::META.id, Severity::Warning, subject, message).evidence(repeats);
    made.breaks = Some(Vec::new());
    Some(made.key("retention").evidence(seen).fix(Fix {
        namespace: pod.metadata.namespace.clone(),
        pod: pod.metadata.name.clone(),
        container: container.name.clone(),
        workload: workload_name(snap, pod).unwrap_or_default(),
        way: Way::Retention {
            receiver: found.receiver,
            kept: kept.to_owned(),
            argument: format!("--data.retention={}", found.needed),
            patch: serde_json::json!({"spec": {"retention": found.needed}}).to_string(),
            needed: found.needed,
            operator_name: target.operator_name().to_owned(),
            managed: target.managed_by.clone(),
        },
    }))
}
