//! Claims need the EBS CSI driver, and nothing serves it.

use crate::checks::support::claims::{claim_evidence, event_evidence};
use crate::checks::{Check, check};
use crate::domain::aws::ebs::{self, Place};
use crate::domain::kubernetes::claims::events;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::kubernetes::PersistentVolumeClaim;
use crate::snapshot::{Platform, Snapshot};

check! {
    /// See the check's page.
    EbsCsiAddonMissing {
        id: "ebs-csi-addon-missing", suite: Storage, page: "storage/ebs_csi_addon_missing.md", severity: Error,
        title: "the EBS CSI driver is not installed",
        requires: [PersistentVolumeClaims, StorageClasses, CsiDrivers, Workloads],
        uses: [Events, EksCluster, EksAddons, IamOidcProviders],
    }
}

impl Check for EbsCsiAddonMissing {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let pending = ebs::pending_claims(snap)?;
        let bound = ebs::bound_claims(snap);
        if pending.is_empty() && bound.is_empty() {
            return Ok(Diagnosis::NotApplicable("no volume of the stack needs EBS".into()));
        }
        if !ebs::is_missing(snap)? {
            return Ok(Diagnosis::Findings(Vec::new()));
        }
        Ok(Diagnosis::Findings(vec![finding(snap, &pending, &bound)]))
    }
}

fn finding(snap: &Snapshot, pending: &[&PersistentVolumeClaim], bound: &[&PersistentVolumeClaim]) -> Finding {
    let place = Place::of(snap);
    let severity = if pending.is_empty() { Severity::Warning } else { Severity::Error };
    let on_eks = snap.platform != Platform::Other;
    let subject = if on_eks {
        // add-ons that do not exist have no ARN
        ResourceRef::aws("eks", "addon", ebs::ADDON)
    } else {
        ResourceRef::csi_driver(ebs::DRIVER)
    };
    let what = match (pending.len(), bound.len()) {
        (0, n) => format!("{n} bound volumes cannot be attached again"),
        (1, _) => "1 PersistentVolumeClaim waits for it".to_owned(),
        (n, _) => format!("{n} PersistentVolumeClaims wait for it"),
    };
    let of = if on_eks { format!(" on cluster {}", place.cluster) } else { String::new() };
    let message = format!("the EBS CSI driver ({}) is not installed{of}: {what}", ebs::DRIVER);
    let variant = variant(snap, on_eks);
    let role = ebs::role_name(&place.cluster);
    let shown = if pending.is_empty() { bound } else { pending };
    let mut finding = Finding::new(EbsCsiAddonMissing::META.id, severity, subject.clone(), message)
        .breaks(subject)
        .breaks(ResourceRef::csi_driver(ebs::DRIVER))
        .fix(variant)
        .param("role_arn", place.role_arn(&role))
        .param("role", role)
        .param("policy_arn", place.policy_arn())
        .param("pvc_namespace", shown.first().map_or("", |c| c.metadata.namespace.as_str()))
        .param("pvcs", names_in_first_namespace(shown))
        .param("has_pending", !pending.is_empty())
        .param("oidc_unknown", snap.iam_oidc_providers().is_err())
        .param("registered", snap.csi_drivers.named(ebs::DRIVER).is_ok_and(|d| d.is_some()))
        .param("cluster", place.cluster)
        .param("region", place.region)
        .evidence(driver_evidence(snap))
        .evidence(controller_evidence());
    if let Ok(cluster) = snap.eks_cluster() {
        if variant == "addon" {
            let id = cluster.issuer_host_path();
            finding = finding.fix_needs(ResourceRef::aws("iam", "oidc-provider", id));
        }
        finding = finding.evidence(addon_evidence(snap, &cluster.name));
    }
    if let Some(claim) = shown.first() {
        let waiting = events(snap, claim).into_iter().find(|e| e.reason == "ExternalProvisioning");
        finding = finding.evidence(waiting.map_or_else(|| claim_evidence(claim), event_evidence));
    }
    finding
}

/// Which way to install it fits this cluster.
fn variant(snap: &Snapshot, on_eks: bool) -> &'static str {
    if !on_eks {
        return "helm";
    }
    if snap.eks_cluster().is_ok_and(|c| c.auto_mode_storage()) {
        return "auto-mode";
    }
    let agent = |name: &str| snap.eks_addons().is_ok_and(|all| all.iter().any(|a| a.addon_name == name));
    // With the agent in place no OIDC provider is needed at all.
    if agent("eks-pod-identity-agent") { "pod-identity" } else { "addon" }
}

fn names_in_first_namespace(claims: &[&PersistentVolumeClaim]) -> Vec<String> {
    let first = claims.first().map(|c| c.metadata.namespace.as_str());
    claims.iter().filter(|c| Some(c.metadata.namespace.as_str()) == first).map(|c| c.metadata.name.clone()).collect()
}

fn driver_evidence(snap: &Snapshot) -> Evidence {
    let names: Vec<&str> =
        snap.csi_drivers.items().unwrap_or_default().iter().map(|d| d.metadata.name.as_str()).collect();
    let value = match names.as_slice() {
        [] => "none is registered".to_owned(),
        names if names.contains(&ebs::DRIVER) => format!("{} is registered, but nothing answers for it", ebs::DRIVER),
        names => format!("{} is not among them: {}", ebs::DRIVER, names.join(", ")),
    };
    Evidence::new("CSIDrivers of the cluster", value, "kubectl get csidrivers")
}

fn controller_evidence() -> Evidence {
    Evidence::new(
        "workloads of kube-system",
        "no ebs-csi-controller Deployment",
        "kubectl get deployments -n kube-system -l app.kubernetes.io/name=aws-ebs-csi-driver",
    )
}

fn addon_evidence(snap: &Snapshot, cluster: &str) -> Evidence {
    let value = match snap.eks_addons() {
        Ok(addons) => {
            let names: Vec<&str> = addons.iter().map(|a| a.addon_name.as_str()).collect();
            format!("add-ons: {}", if names.is_empty() { "none".to_owned() } else { names.join(", ") })
        }
        Err(gap) => format!("not known: {gap}"),
    };
    Evidence::new("eks:ListAddons", value, "aws eks list-addons --cluster-name {{ cluster }} --region {{ region }}")
        .with("cluster", cluster)
        .with("region", Place::of(snap).region)
}
