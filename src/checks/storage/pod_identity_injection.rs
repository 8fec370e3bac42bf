//! Pods of a ServiceAccount with a Pod Identity association run without its credentials.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::place::Place;
use crate::checks::support::seen::event_evidence;
use crate::checks::{Check, check};
use crate::domain::kubernetes::claims::iam_errors;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::aws::PodIdentityAssociation;
use crate::snapshot::kubernetes::Pod;
use crate::snapshot::{Platform, Snapshot};

/// What the Pod Identity webhook of the control plane puts into each container.
const INJECTED: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";

check! {
    /// See the check's page.
    PodIdentityInjection {
        id: "pod-identity-injection", suite: Storage, severity: Error,
        title: "pods run without their Pod Identity credentials",
        requires: [Pods, PodIdentityAssociations],
        uses: [EksCluster, EksAddons, Events, PersistentVolumeClaims, StorageClasses],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Recreate { namespace: String, account: String, pods: Vec<String> },
}

impl Check for PodIdentityInjection {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        if snap.platform == Platform::Other {
            return Ok(Diagnosis::NotApplicable("the cluster is not on EKS".into()));
        }
        let associations = snap.pod_identity_associations()?;
        if associations.is_empty() {
            snap.pods()?;
            return Ok(Diagnosis::NotApplicable("the cluster has no Pod Identity association".into()));
        }
        let mut findings = Vec::new();
        for association in associations {
            findings.extend(judge(snap, association)?);
        }
        Ok(Diagnosis::Findings(findings))
    }
}

fn judge(snap: &Snapshot, association: &PodIdentityAssociation) -> Result<Option<Finding>, Gap> {
    let mine = |p: &&Pod| {
        p.metadata.namespace == association.namespace
            && p.spec.service_account_name.as_deref() == Some(association.service_account.as_str())
            && !p.is_finished()
            && p.metadata.deletion_timestamp.is_none()
            // Fargate has no Pod Identity.
            && !p.spec.node_name.as_deref().is_some_and(|n| n.starts_with("fargate-"))
    };
    let pods: Vec<&Pod> = snap.pods()?.iter().filter(mine).collect();
    let (with, without): (Vec<&Pod>, Vec<&Pod>) = pods.into_iter().partition(|p| is_injected(p));
    let driver = association.service_account.contains("ebs-csi");
    let refused = driver && !iam_errors(snap).is_empty();
    // A program may bring credentials of its own. That others of the same account have them, or that AWS refuses the
    // calls, shows that the webhook left these out.
    if without.is_empty() || (with.is_empty() && !refused) {
        return Ok(None);
    }
    Ok(Some(finding(snap, association, &with, &without)))
}

fn is_injected(pod: &Pod) -> bool {
    pod.spec.containers.iter().flat_map(|c| &c.env).any(|e| e.name == INJECTED)
}

fn finding(snap: &Snapshot, association: &PodIdentityAssociation, with: &[&Pod], without: &[&Pod]) -> Finding {
    let PodIdentityAssociation { namespace, service_account, association_id, .. } = association;
    let place = Place::of(snap);
    let owner = snap.owner_ref(without[0]);
    let message = format!(
        "{} of {} pods of ServiceAccount {namespace}/{service_account} run without {INJECTED}, although Pod Identity association {association_id} exists: they fall back to the node's role",
        without.len(),
        without.len() + with.len()
    );
    let mut finding = Finding::new(PodIdentityInjection::META.id, Severity::Error, owner.clone(), message)
        .key(format!("{namespace}/{service_account}"))
        .breaks(owner)
        .breaks(ResourceRef::service_account(namespace, service_account))
        .fix(Fix::Recreate {
            namespace: namespace.clone(),
            account: service_account.clone(),
            pods: without.iter().map(|p| p.metadata.name.clone()).collect(),
        });
    for pod in without {
        finding = finding.breaks(ResourceRef::pod(namespace, &pod.metadata.name)).evidence(
            Evidence::new(
                format!("Pod {namespace}/{}, env of its containers", pod.metadata.name),
                format!("no {INJECTED}"),
                "kubectl get pod {{ pod }} -n {{ namespace }} -o jsonpath='{.spec.containers[*].env[*].name}'",
            )
            .with("namespace", namespace)
            .with("pod", &pod.metadata.name),
        );
    }
    if !with.is_empty() {
        let others: Vec<&str> = with.iter().map(|p| p.metadata.name.as_str()).collect();
        finding = finding.evidence(
            Evidence::new(
                format!("other pods of ServiceAccount {namespace}/{service_account}"),
                format!("{} have it", others.join(", ")),
                "kubectl get pods -n {{ namespace }}",
            )
            .with("namespace", namespace),
        );
    }
    finding = finding.evidence(
        Evidence::new(
            format!("eks:DescribePodIdentityAssociation {association_id}"),
            association.role_arn.as_deref().unwrap_or("exists"),
            "aws eks describe-pod-identity-association --cluster-name {{ cluster }} --association-id {{ association }}",
        )
        .with("cluster", &place.cluster)
        .with("association", association_id),
    );
    if let Some((_, event)) = iam_errors(snap).first() {
        finding = finding.evidence(event_evidence(event));
    }
    finding
}
