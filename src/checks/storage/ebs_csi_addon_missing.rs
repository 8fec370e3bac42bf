//! Claims need the EBS CSI driver, and nothing serves it.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::addon;
use crate::checks::support::claims::claim_evidence;
use crate::checks::support::place::Place;
use crate::checks::support::seen::event_evidence;
use crate::checks::{Check, check};
use crate::domain::aws::addon::POD_IDENTITY_AGENT;
use crate::domain::aws::ebs;
use crate::domain::kubernetes::claims::events;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::kubernetes::PersistentVolumeClaim;
use crate::snapshot::{Platform, Snapshot};

check! {
    /// See the check's page.
    EbsCsiAddonMissing {
        id: "ebs-csi-addon-missing", suite: Storage, severity: Error,
        title: "the EBS CSI driver is not installed",
        requires: [PersistentVolumeClaims, StorageClasses, CsiDrivers, Workloads],
        uses: [Events, Nodes, EksCluster, EksAddons, IamOidcProviders, Pods],
        fix: Fix,
    }
}

/// See the page's fixes: which one is it, by what the cluster is.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Addon {
        #[serde(flatten)]
        role: Role,
        /// Whether the issuer is registered could not be seen.
        oidc_unknown: bool,
        #[serde(flatten)]
        claims: Claims,
    },
    PodIdentity {
        #[serde(flatten)]
        role: Role,
        #[serde(flatten)]
        claims: Claims,
    },
    AutoMode {
        #[serde(flatten)]
        claims: Claims,
    },
    Helm {
        #[serde(flatten)]
        claims: Claims,
    },
}

/// Claims of one namespace that show whether the fix worked.
#[derive(Serialize, JsonSchema)]
struct Claims {
    pvc_namespace: String,
    pvcs: Vec<String>,
}

impl Claims {
    fn of(claims: &[&PersistentVolumeClaim]) -> Self {
        let namespace = claims.first().map_or("", |c| c.metadata.namespace.as_str());
        let here = claims.iter().filter(|c| c.metadata.namespace == namespace);
        Self { pvc_namespace: namespace.to_owned(), pvcs: here.map(|c| c.metadata.name.clone()).collect() }
    }
}

/// The add-on and the role that its controller runs with.
#[derive(Serialize, JsonSchema)]
struct Role {
    cluster: String,
    role: String,
    role_arn: String,
    policy_arn: String,
    /// A CSIDriver object of an earlier installation is in the way.
    registered: bool,
}

impl Role {
    fn of(snap: &Snapshot, place: &Place) -> Self {
        let role = ebs::role_name(&place.cluster);
        Self {
            cluster: place.cluster.clone(),
            role_arn: place.role_arn(&role),
            policy_arn: place.policy_arn(ebs::POLICY),
            role,
            registered: snap.csi_drivers.named(ebs::DRIVER).is_ok_and(|d| d.is_some()),
        }
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
        // There the class is what is wrong, and not that the driver is missing.
        if !ebs::is_missing(snap)? || (ebs::is_auto_mode(snap) && !pending.is_empty()) {
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
        (0, 1) => "1 bound volume cannot be attached again".to_owned(),
        (0, n) => format!("{n} bound volumes cannot be attached again"),
        (1, _) => "1 PersistentVolumeClaim waits for it".to_owned(),
        (n, _) => format!("{n} PersistentVolumeClaims wait for it"),
    };
    let of = if on_eks { format!(" on cluster {}", place.cluster) } else { String::new() };
    let message = format!("the EBS CSI driver ({}) is not installed{of}: {what}", ebs::DRIVER);
    let shown = if pending.is_empty() { bound } else { pending };
    let fix = fix(snap, on_eks, &place, Claims::of(shown));
    let by_irsa = matches!(fix, Fix::Addon { .. });
    let mut finding = Finding::new(EbsCsiAddonMissing::META.id, severity, subject.clone(), message)
        .breaks(subject)
        .breaks(ResourceRef::csi_driver(ebs::DRIVER))
        .fix(fix)
        .evidence(driver_evidence(snap))
        .evidence(controller_evidence());
    if let Ok(cluster) = snap.eks_cluster() {
        if by_irsa {
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
fn fix(snap: &Snapshot, on_eks: bool, place: &Place, claims: Claims) -> Fix {
    if !on_eks {
        return Fix::Helm { claims };
    }
    if ebs::is_auto_mode(snap) {
        return Fix::AutoMode { claims };
    }
    // With the agent in place no OIDC provider is needed at all.
    let role = Role::of(snap, place);
    if addon::named(snap, POD_IDENTITY_AGENT).is_some() {
        return Fix::PodIdentity { role, claims };
    }
    Fix::Addon { role, oidc_unknown: snap.iam_oidc_providers().is_err(), claims }
}

fn driver_evidence(snap: &Snapshot) -> Evidence {
    let Ok(drivers) = snap.csi_drivers.items() else {
        return Evidence::new("CSIDrivers of the cluster", "they cannot be listed", "kubectl get csidrivers");
    };
    let names: Vec<&str> = drivers.iter().map(|d| d.metadata.name.as_str()).collect();
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
    Evidence::new("eks:ListAddons", value, "aws eks list-addons --cluster-name {{ cluster }}").with("cluster", cluster)
}
