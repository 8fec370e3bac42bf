//! Two Alertmanagers that have become one: the address of a pod that is gone was given to a pod of the other.

use std::collections::BTreeSet;

use crate::checks::support::amtool::Amtool;
use crate::domain::alertmanager::members;
use crate::domain::kubernetes::owner::Target;
use crate::model::{Evidence, Finding, ResourceRef, Severity};
use crate::snapshot::Snapshot;

use super::{AlertmanagerCluster, Fix, Way};

/// A finding where the cluster of the stack's Alertmanager has members of another one.
pub(super) fn finding(snap: &Snapshot) -> Option<Finding> {
    let members = members::members(snap).filter(|m| snap.scope.is_stack(&m.asked.metadata.namespace))?;
    let strangers = members.strangers(snap);
    let others: BTreeSet<&ResourceRef> = strangers.iter().map(|s| &s.owner).collect();
    let (first, rest) = (others.first()?, others.len() - 1);
    let (namespace, pod) = (&members.asked.metadata.namespace, &members.asked.metadata.name);
    let target = Target::of(snap, members.asked);
    let owner = target.owner.clone();
    let pods: Vec<String> =
        strangers.iter().map(|s| format!("{}/{}", s.pod.metadata.namespace, s.pod.metadata.name)).collect();
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    let message = format!(
        "{owner} forms one cluster with {first}{more}, which nobody made its peer: they share silences and the \
         log of notifications, so that each may mute the other's"
    );
    let of_operator = target.custom.is_some();
    let label = format!("{namespace}/{}", if of_operator { target.operator_name() } else { owner_name(&owner) });
    let (patched, patch) = target.patched(&serde_json::json!({"clusterLabel": label}), &serde_json::Value::Null);
    let fix = Fix {
        amtool: Amtool::of(members.asked, members.container),
        owner: owner.kubectl_name(),
        port: "9094".to_owned(),
        way: Way::Merged {
            patched: patched.filter(|_| of_operator).unwrap_or_default(),
            patch,
            label,
            managed: target.managed_by.clone(),
        },
    };
    let evidence = Evidence::new(
        format!("Alertmanager /api/v2/status of pod {namespace}/{pod}, cluster.peers"),
        format!("among its members: {}", pods.join(", ")),
        "kubectl get pods -n {{ namespace }} {{ pod }} -o wide",
    )
    .with("namespace", namespace)
    .with("pod", pod);
    let key = format!("{} merged", owner.key());
    let made = Finding::new(AlertmanagerCluster::META.id, Severity::Warning, owner, message)
        .also_all(others.into_iter().cloned())
        .evidence(evidence)
        .key(key)
        .fix(fix);
    Some(made.breaks_nothing())
}

fn owner_name(owner: &ResourceRef) -> &str {
    match owner {
        ResourceRef::Kubernetes { name, .. } => name,
        _ => "alertmanager",
    }
}
