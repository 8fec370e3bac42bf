//! Connections that fail, as evidence.

use crate::checks::support::{probes, scrape, seen};
use crate::domain::aws::identity::Identity;
use crate::domain::kubernetes::proxy;
use crate::domain::text::redact::redact;
use crate::domain::traffic::seen::Seen;
use crate::model::Evidence;
use crate::snapshot::Snapshot;

const SHOW_GROUP: &str =
    "aws eks describe-nodegroup --cluster-name {{ cluster }} --nodegroup-name {{ group }} --query nodegroup.health";

/// What was seen, with the command that shows it again.
pub(crate) fn evidence(snap: &Snapshot, what: &Seen) -> Evidence {
    match what {
        Seen::Target { job, url, error } => scrape::errors_evidence(snap, job, &[(url, error)]),
        Seen::Log { namespace, pod, container, previous, line } => {
            seen::log_evidence(namespace, pod, container, *previous, line)
        }
        Seen::Event { namespace, pod, message } => Evidence::new(
            format!("event of pod {namespace}/{pod}"),
            redact(message),
            "kubectl describe pod {{ pod }} -n {{ namespace }}",
        )
        .with("namespace", namespace)
        .with("pod", pod),
        Seen::ObjectEvent { kind, namespace, name, message } => Evidence::new(
            format!("event of {kind} {namespace}/{name}"),
            redact(message),
            "kubectl get events -n {{ namespace }} --field-selector {{ selector }}",
        )
        .with("namespace", namespace)
        .with("selector", format!("involvedObject.kind={kind},involvedObject.name={name}")),
        Seen::ApiService { name, message } => Evidence::new(
            format!("APIService {name} condition Available"),
            message.clone(),
            "kubectl get apiservice {{ name }} -o yaml",
        )
        .with("name", name),
        Seen::Proxy { what, message } => {
            Evidence::new(what.clone(), message.clone(), "{% if path %}kubectl get --raw {{ path }}{% endif %}")
                .with("path", proxy::of_call(&snap.scope, what).unwrap_or_default())
        }
        Seen::NodeGroup { group, code, message } => {
            let known = Identity::of(snap);
            Evidence::new(format!("EKS node group {group} health"), format!("{code}: {message}"), SHOW_GROUP)
                .with("cluster", known.cluster.unwrap_or_default())
                .with("group", group)
        }
        Seen::Probe(probe) => probes::evidence(probe),
    }
}
