//! A Fargate profile takes a pod that asks for what Fargate does not have.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::checks::support::place::Place;
use crate::checks::support::severity::severity_of;
use crate::checks::{Check, check};
use crate::domain::kubernetes::owner::Target;
use crate::domain::kubernetes::unschedulable::{self, OfFargate, unscheduled};
use crate::domain::text::shorten::shorten;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Node, Pod};

/// The label with which EKS says which profile took a pod.
const PROFILE: &str = "eks.amazonaws.com/fargate-profile";

check! {
    /// See the check's page.
    FargateUnfit {
        id: "fargate-unfit", suite: Workload, severity: Error,
        title: "a Fargate profile takes a pod that Fargate cannot run",
        requires: [Pods],
        uses: [Nodes, Workloads, Events, FargateProfiles, EksCluster],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    namespace: String,
    pod: String,
    owner: String,
    has_rollout: bool,
    managed: String,
    /// What is patched; nothing where the pods' annotations cannot be changed in place.
    patched: Option<String>,
    profile: String,
    cluster: String,
    /// What is not supported, as Fargate says it.
    wants: String,
    /// Leaves the pods to the nodes of EC2.
    patch: String,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    Nodes,
    NoNodes {
        /// Those of the profile; empty where it was not seen.
        subnets: Vec<String>,
    },
    TooLarge,
    Quota,
    Blocked,
    Capacity {
        subnets: Vec<String>,
    },
    Role {
        role: String,
        /// The cluster knows the map aws-auth alone, and no access entries.
        old_mode: bool,
    },
}

impl Check for FargateUnfit {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let mut all: BTreeMap<ResourceRef, Vec<(&Pod, String)>> = BTreeMap::new();
        for pod in snap.pods()?.iter().filter(|p| unschedulable::concerns(snap, p)) {
            let said = unscheduled(snap, pod).filter(|m| unschedulable::is_of_fargate(m));
            if let Some(message) = said {
                all.entry(snap.owner_ref(pod)).or_default().push((pod, message));
            }
        }
        Ok(Diagnosis::Findings(all.into_iter().map(|(owner, pods)| finding(snap, &owner, &pods)).collect()))
    }
}

fn finding(snap: &Snapshot, owner: &ResourceRef, pods: &[(&Pod, String)]) -> Finding {
    let (pod, message) = &pods[0];
    let meta = &pod.metadata;
    let why = OfFargate::read(message).unwrap_or(OfFargate::Unsupported);
    let wants = unschedulable::unsupported(message).to_owned();
    let profile = meta.label(PROFILE).unwrap_or("<profile>").to_owned();
    let reason = match why {
        OfFargate::Quota => format!("a quota of the account is used up ({wants})"),
        OfFargate::Capacity => format!("AWS has no room for them in the zones of its subnets now ({wants})"),
        OfFargate::Blocked => format!("AWS launches no pods of Fargate for this account ({wants})"),
        OfFargate::Role => format!("its pod execution role cannot be used ({})", shorten(&wants, 240)),
        OfFargate::Unsupported | OfFargate::TooLarge => wants.clone(),
    };
    let text = format!("Fargate profile {profile} takes the pods of {owner}, and Fargate does not run them: {reason}");
    let severity = severity_of(snap, pod, Severity::Error);
    let mut made = Finding::new(FargateUnfit::META.id, severity, owner.clone(), text)
        .key(format!("{} {profile}", owner.key()))
        .breaks(owner.clone())
        .evidence(
            Evidence::new(
                format!("Pod {}/{}, condition PodScheduled", meta.namespace, meta.name),
                message.clone(),
                "kubectl describe pod {{ pod }} -n {{ namespace }}",
            )
            .with("namespace", &meta.namespace)
            .with("pod", &meta.name),
        );
    for (pod, _) in pods {
        let own = ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name);
        made = made.also(own.clone()).breaks(own);
        // A claim that waits for the pod waits as long as this.
        let claims = pod.claims().map(|c| unschedulable::consumer(&pod.metadata.namespace, c));
        made = claims.fold(made, Finding::breaks);
    }
    let nodes = snap.nodes.items().unwrap_or_default();
    let Place { cluster, .. } = Place::of(snap);
    let target = Target::of(snap, pod);
    let (patched, patch) = patch(&target);
    let own_profile = profile.clone();
    made.fix(Fix {
        namespace: meta.namespace.clone(),
        pod: meta.name.clone(),
        owner: owner.kubectl_name(),
        has_rollout: target.has_rollout,
        managed: target.managed_by,
        patched,
        profile,
        cluster,
        wants,
        patch,
        way: way(snap, why, &own_profile, nodes),
    })
}

fn way(snap: &Snapshot, why: OfFargate, profile: &str, nodes: &[Node]) -> Way {
    let known = snap.fargate_profiles.iter().flatten().find(|p| p.fargate_profile_name == profile);
    let subnets = || known.map(|p| p.subnets.clone()).unwrap_or_default();
    match why {
        OfFargate::TooLarge => Way::TooLarge,
        OfFargate::Blocked => Way::Blocked,
        OfFargate::Quota => Way::Quota,
        OfFargate::Capacity => Way::Capacity { subnets: subnets() },
        OfFargate::Role => {
            let arn = known.map(|p| p.pod_execution_role_arn.clone()).filter(|r| !r.is_empty());
            let old_mode = snap.eks_cluster().is_ok_and(|c| c.access_config.authentication_mode == "CONFIG_MAP");
            Way::Role { role: arn.unwrap_or_else(|| "<pod-execution-role-arn>".to_owned()), old_mode }
        }
        OfFargate::Unsupported if nodes.iter().any(|n: &Node| !n.is_fargate()) => Way::Nodes,
        OfFargate::Unsupported => Way::NoNodes { subnets: subnets() },
    }
}

/// What is patched, and the patch.
fn patch(target: &Target<'_>) -> (Option<String>, String) {
    let metadata = json!({"annotations": {"eks.amazonaws.com/compute-type": "ec2"}});
    target.patched(&json!({"podMetadata": metadata}), &json!({"metadata": metadata}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing::snapshot;

    #[test]
    fn the_scheduler_of_fargate_has_several_reasons() {
        for (message, why) in [
            ("Pod not supported on Fargate: fields not supported: HostNetwork", Some(OfFargate::Unsupported)),
            (
                "Your AWS account has reached the limit on the number of Fargate pods it can run concurrently",
                Some(OfFargate::Quota),
            ),
            (
                "Fargate capacity is unavailable at this time. Please try again later or in a different availability zone",
                Some(OfFargate::Capacity),
            ),
            (
                "Misconfigured Fargate Profile: fargate profile fp-default blocked for new launches due to: Pod execution role is not found in auth config or does not have all required permissions for launching fargate pods.",
                Some(OfFargate::Role),
            ),
            ("Your pod's cpu/memory requirements exceed the max Fargate configuration", Some(OfFargate::TooLarge)),
            ("Your AWS account is currently blocked and thus cannot launch any Fargate pods", Some(OfFargate::Blocked)),
            ("Pod provisioning timed out (will retry) for pod: monitoring/grafana", None),
            ("0/2 nodes are available: 2 Insufficient memory.", None),
        ] {
            assert_eq!(OfFargate::read(message), why, "{message}");
        }
    }

    #[test]
    fn what_cannot_be_patched_is_not() {
        let of = |labels: serde_json::Value, kind: &str, name: &str| {
            let snap = snapshot(json!({}));
            let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "m", "labels": labels,
                "ownerReferences": [{"apiVersion": "v1", "kind": kind, "name": name, "controller": true}]}}))
            .expect("a pod");
            patch(&Target::of(&snap, &pod))
        };
        assert_eq!(of(json!({}), "Job", "backup").0, None);
        let (patched, what) = of(json!({}), "StatefulSet", "loki");
        assert_eq!(patched.as_deref(), Some("statefulset/loki"));
        assert!(what.contains("template"), "{what}");
        let (patched, what) = of(json!({"prometheus": "k8s"}), "StatefulSet", "prometheus-k8s");
        assert_eq!(patched.as_deref(), Some("prometheus/k8s"));
        assert!(what.contains("podMetadata"), "{what}");
    }
}
