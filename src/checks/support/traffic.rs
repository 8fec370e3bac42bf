//! Connections that fail, as evidence.

use crate::checks::support::{probes, scrape};
use crate::domain::text::redact::redact;
use crate::domain::traffic::seen::Seen;
use crate::model::Evidence;
use crate::snapshot::Snapshot;

const SHOW_LOG: &str = "kubectl logs -n {{ namespace }} {{ pod }}{% if container %} -c {{ container }}{% endif %}{% if previous %} --previous{% endif %} --tail=200";
const SHOW_GROUP: &str = "aws eks describe-nodegroup{% if region %} --region {{ region }}{% endif %} --cluster-name {{ cluster }} --nodegroup-name {{ group }} --query nodegroup.health";

/// What was seen, with the command that shows it again.
pub(crate) fn evidence(snap: &Snapshot, seen: &Seen) -> Evidence {
    match seen {
        Seen::Target { job, url, error } => scrape::errors_evidence(snap, job, &[(url, error)]),
        Seen::Log { namespace, pod, container, previous, line } => {
            Evidence::new(format!("log of pod {namespace}/{pod}"), redact(line), SHOW_LOG)
                .with("namespace", namespace)
                .with("pod", pod)
                .with("container", container)
                .with("previous", previous)
        }
        Seen::Event { namespace, pod, message } => Evidence::new(
            format!("event of pod {namespace}/{pod}"),
            redact(message),
            "kubectl describe pod -n {{ namespace }} {{ pod }}",
        )
        .with("namespace", namespace)
        .with("pod", pod),
        Seen::NodeGroup { group, code, message } => {
            let cluster = snap.eks_cluster().ok();
            Evidence::new(format!("EKS node group {group} health"), format!("{code}: {message}"), SHOW_GROUP)
                .with("region", cluster.and_then(|c| c.region()).unwrap_or_default())
                .with("cluster", cluster.map(|c| c.name.as_str()).unwrap_or_default())
                .with("group", group)
        }
        Seen::Probe(probe) => probes::evidence(probe),
    }
}
