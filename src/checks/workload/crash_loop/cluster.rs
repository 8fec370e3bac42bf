//! The fixes of what the Kubernetes API or another program of the stack does not take.

use crate::checks::workload::crash_loop::outer_values::{ApiGone, CrdMissing, ExternalLabels, NoToken, Outgrown};
use serde_json::{Value, json};

use crate::checks::support::back;
use crate::checks::support::kept::Kept;
use crate::checks::support::place::Place;
use crate::checks::workload::crash_loop::case::Case;
use crate::checks::workload::crash_loop::values::newer_image;
use crate::checks::workload::crash_loop::way::Way;
use crate::domain::crash::{Class, Crash, Detail};
use crate::domain::kubernetes::image::{base_of, tag_of};
use crate::domain::kubernetes::mounts::Origin;
use crate::domain::kubernetes::owner;
use crate::domain::prometheus::operator::deployment;
use crate::domain::prometheus::operator::selection::GROUP;
use crate::snapshot::kubernetes::{MonitoringSpec, annotation};
use crate::snapshot::{Platform, Snapshot, journal};

/// The group of snapshots of volumes, and the add-on of EKS that brings its kinds.
const SNAPSHOTS: &str = "snapshot.storage.k8s.io";
const SNAPSHOT_ADDON: &str = "snapshot-controller";

/// The Kubernetes API, and rights.
pub(super) fn cluster(case: &Case<'_>, crash: &Crash) -> Way {
    let pod = case.pod_name();
    let account = case.failing.pod.spec.account();
    match crash.class {
        Class::Credentials => Way::Credentials { account: account.to_owned(), pod },
        Class::CrdMissing if crash.is_of_server() => api_gone(case, crash),
        Class::CrdMissing => {
            let group = crash.group().unwrap_or_default().to_owned();
            // Where no group is told, only programs of the operator's own world mean its kinds.
            let own = group == GROUP || (group.is_empty() && asks_for_monitors(&case.failing.container.image));
            let Place { cluster, .. } = Place::of(case.snap);
            let addon = if group == SNAPSHOTS && case.snap.platform == Platform::Eks { SNAPSHOT_ADDON } else { "" };
            Way::CrdMissing(CrdMissing {
                addon,
                cluster,
                crds: if own { crds(case.snap) } else { String::new() },
                vpc_cni: case.failing.container.image.contains("aws-network-policy-agent"),
                kind: match &crash.what {
                    Some(what) if !own => what.split('.').next().unwrap_or(what).to_owned(),
                    what => what.clone().unwrap_or_default(),
                },
                group: if own { String::new() } else { group },
                pod,
            })
        }
        Class::Forbidden => {
            let (namespace, account, can_i) = match &crash.detail {
                Detail::Denied(own, act) => (own.namespace.as_str(), own.name.as_str(), act.asked()),
                _ => (case.namespace(), account, Vec::new()),
            };
            Way::Forbidden { can_i, user: format!("system:serviceaccount:{namespace}:{account}"), pod }
        }
        Class::Webhook => {
            let ours = ["prometheus-operator", "kube-webhook-certgen"];
            let secret = match &case.origin {
                Origin::Secret { name, .. } => Some(name.clone()),
                _ => None,
            };
            Way::Webhook { ours: ours.contains(&base_of(&case.failing.container.image)), secret, pod }
        }
        Class::NoToken => Way::NoToken(NoToken {
            patch: r#"{"spec":{"template":{"spec":{"automountServiceAccountToken":true}}}}"#,
            account: account.to_owned(),
            pod,
            kept: Kept::of(&case.target),
        }),
        Class::Outgrown => {
            let container = case.failing.container;
            Way::Outgrown(Outgrown {
                container: container.name.clone(),
                newer_image: newer_image(&container.image, "<image>"),
                pod,
                kept: Kept::of(&case.target),
            })
        }
        Class::Compaction => Way::Compaction {
            operator_kind: case.target.operator_kind().to_owned(),
            operator_name: case.target.operator_name().to_owned(),
        },
        Class::ExternalLabels => external_labels(case),
        _ => Way::ApiServer { pod },
    }
}

/// The labels that the operator gives by itself are switched off, or there is no operator.
fn external_labels(case: &Case<'_>) -> Way {
    let (kind, name) = (case.target.operator_kind(), case.target.operator_name());
    let resource = owner::resource(case.snap, kind, &case.failing.pod.metadata.namespace, name);
    let cleared: Vec<&str> = resource.map(|r| cleared(&r.spec)).unwrap_or_default();
    let fields: serde_json::Map<String, Value> = cleared.iter().map(|f| ((*f).to_owned(), Value::Null)).collect();
    let patch = match fields.is_empty() {
        true => json!({"spec": {"externalLabels": {"cluster": "<cluster>"}}}),
        false => json!({"spec": fields}),
    };
    Way::ExternalLabels(ExternalLabels {
        operator_kind: kind.to_owned(),
        operator_name: name.to_owned(),
        cleared: cleared.join(" and "),
        labels_patch: patch.to_string(),
    })
}

/// The fields by which the operator's own external labels are switched off.
fn cleared(spec: &MonitoringSpec) -> Vec<&'static str> {
    let empty = |name: &Option<String>| name.as_deref() == Some("");
    let all = [
        ("replicaExternalLabelNameClear", spec.replica_external_label_name_clear),
        ("replicaExternalLabelName", empty(&spec.replica_external_label_name)),
        ("prometheusExternalLabelNameClear", spec.prometheus_external_label_name_clear),
        ("prometheusExternalLabelName", empty(&spec.prometheus_external_label_name)),
    ];
    all.into_iter().filter(|(_, is_off)| *is_off).map(|(field, _)| field).collect()
}

/// The API that it asks for is not served: no CRD brings it.
fn api_gone(case: &Case<'_>, crash: &Crash) -> Way {
    let container = case.failing.container;
    let newer = format!("{}={}", container.name, newer_image(&container.image, "<image>"));
    Way::ApiGone(ApiGone {
        group: crash.group().unwrap_or_default().to_owned(),
        version: case.snap.target.kubernetes_version.clone().unwrap_or_default(),
        image: container.image.clone(),
        newer: if case.target.in_place() && !back::is_remade(&case.target) { newer } else { String::new() },
        kept: Kept::of(&case.target),
    })
}

/// What an image is made for lives on the kinds of the Prometheus operator.
fn asks_for_monitors(image: &str) -> bool {
    let base = base_of(image);
    ["prometheus", "alertmanager", "grafana", "alloy", "target-allocator", "targetallocator", "victoria"]
        .iter()
        .any(|part| base.contains(part))
}

/// Where the CRDs of the operator that runs here are. Those of a version that has no such file, or that is older than what is
/// there, are not applied: that would take fields away.
pub(super) fn crds(snap: &Snapshot) -> String {
    const SINCE: deployment::Version = (0, 60, 0);
    let own = deployment::operators(snap).iter().find_map(deployment::Operator::version);
    // It only says what is not to be done.
    let there = journal::aside(|| {
        let all = snap.crds.items().unwrap_or_default().iter();
        all.filter_map(|c| deployment::version(c.metadata.annotations.get(annotation::OPERATOR_VERSION)?)).max()
    });
    if own.is_some_and(|own| own < SINCE || there.is_some_and(|there| there > own)) {
        return String::new();
    }
    let containers = snap.pods().unwrap_or_default().iter().flat_map(|p| &p.spec.containers);
    let mut versions =
        containers.filter(|c| base_of(&c.image) == "prometheus-operator").filter_map(|c| tag_of(&c.image));
    let version = versions.next().unwrap_or("v<version>");
    format!(
        "https://github.com/prometheus-operator/prometheus-operator/releases/download/{version}/stripped-down-crds.yaml"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_name_is_no_label() {
        let spec = |value: Value| -> MonitoringSpec { serde_json::from_value(value).expect("a spec") };
        assert!(cleared(&spec(json!({"replicaExternalLabelName": "replica"}))).is_empty());
        let off = spec(json!({"replicaExternalLabelNameClear": true, "prometheusExternalLabelName": ""}));
        assert_eq!(cleared(&off), ["replicaExternalLabelNameClear", "prometheusExternalLabelName"]);
    }
}
