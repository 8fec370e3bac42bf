//! Something uses IAM roles for service accounts, and IAM does not know the cluster's issuer.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::addon;
use crate::checks::support::place::Place;
use crate::checks::{Check, check};
use crate::domain::aws::addon::POD_IDENTITY_AGENT;
use crate::domain::aws::ebs;
use crate::domain::aws::oidc_provider::{self, AUDIENCE, Cause};
use crate::domain::kubernetes::claims::iam_errors;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::aws::Cluster;
use crate::snapshot::aws::arn;
use crate::snapshot::kubernetes::{ROLE_ANNOTATION, ServiceAccount};
use crate::snapshot::{Platform, Snapshot};

check! {
    /// See the check's page.
    OidcProviderMissing {
        id: "oidc-provider-missing", suite: Storage, severity: Error,
        title: "the cluster's OIDC issuer has no IAM OIDC provider",
        requires: [EksCluster, IamOidcProviders, ServiceAccounts],
        uses: [Pods, EksAddons, PodIdentityAssociations, PersistentVolumeClaims, StorageClasses, CsiDrivers, Workloads, Events],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Create {
        cluster: String,
        #[serde(flatten)]
        waiting: Waiting,
    },
    OtherUrl {
        cluster: String,
        #[serde(flatten)]
        waiting: Waiting,
    },
    Audience {
        provider_arn: String,
        #[serde(flatten)]
        waiting: Waiting,
    },
}

/// Claims that become Bound once the driver's role works.
#[derive(Serialize, JsonSchema)]
struct Waiting {
    pvc_namespace: String,
    pvcs: Vec<String>,
}

impl Waiting {
    fn of(snap: &Snapshot) -> Self {
        let claims = ebs::pending_claims(snap).unwrap_or_default();
        let namespace = claims.first().map(|c| c.metadata.namespace.clone()).unwrap_or_default();
        let own = claims.iter().filter(|c| c.metadata.namespace == namespace);
        Self { pvcs: own.map(|c| c.metadata.name.clone()).collect(), pvc_namespace: namespace }
    }
}

impl Check for OidcProviderMissing {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        if snap.platform == Platform::Other {
            return Ok(Diagnosis::NotApplicable("the cluster is not on EKS".into()));
        }
        let cluster = snap.eks_cluster()?;
        let issuer = cluster.issuer_host_path();
        if issuer.is_empty() {
            return Ok(Diagnosis::NotApplicable("the cluster has no OIDC issuer".into()));
        }
        let users = users(snap)?;
        let driver = needs_driver(snap);
        if users.is_empty() && !driver {
            return Ok(Diagnosis::NotApplicable("nothing uses IAM roles for service accounts".into()));
        }
        let fault = oidc_provider::fault(issuer, snap.iam_oidc_providers()?);
        if fault.is_some() && !driver {
            // A leftover annotation is no fault where Pod Identity serves the account.
            snap.pod_identity_associations()?;
        }
        Ok(Diagnosis::Findings(fault.map(|fault| finding(snap, cluster, &fault, &users)).into_iter().collect()))
    }
}

/// ServiceAccounts that ask for a role and do not get it from Pod Identity.
fn users(snap: &Snapshot) -> Result<Vec<&ServiceAccount>, Gap> {
    let associations = snap.pod_identity_associations.as_deref().unwrap_or_default();
    let associated = |a: &ServiceAccount| associations.iter().any(|p| p.is_of(&a.metadata.namespace, &a.metadata.name));
    let annotated = |a: &&ServiceAccount| a.role_arn().is_some();
    // A role of another account trusts a provider of that account, which cannot be seen from here.
    let own = snap.eks_cluster().ok().and_then(|c| c.account().map(str::to_owned));
    let here = |a: &&ServiceAccount| {
        let of_role = a.role_arn().and_then(arn::account);
        of_role.is_none() || own.is_none() || of_role == own.as_deref()
    };
    let accounts = snap.service_accounts()?.iter().filter(annotated).filter(here).filter(|a| is_used(snap, a));
    Ok(accounts.filter(|a| !associated(a)).collect())
}

/// Some pod or workload runs as the account; true where neither could be read.
fn is_used(snap: &Snapshot, account: &ServiceAccount) -> bool {
    let (namespace, name) = (&account.metadata.namespace, account.metadata.name.as_str());
    if !snap.pods.covers(namespace) && !snap.workloads.covers(namespace) {
        return true;
    }
    let by_pod = snap
        .pods
        .items()
        .unwrap_or_default()
        .iter()
        .any(|p| p.metadata.namespace == *namespace && p.spec.service_account_name.as_deref() == Some(name));
    by_pod
        || snap.workloads.items().unwrap_or_default().iter().any(|w| {
            w.metadata.namespace == *namespace && w.spec.template.spec.service_account_name.as_deref() == Some(name)
        })
}

/// The EBS CSI driver has to be installed, and the way to do it is IRSA.
fn needs_driver(snap: &Snapshot) -> bool {
    let agent = addon::named(snap, POD_IDENTITY_AGENT).is_some();
    let auto_mode = snap.eks_cluster().is_ok_and(Cluster::auto_mode_storage);
    let waiting = ebs::pending_claims(snap).is_ok_and(|claims| !claims.is_empty());
    !agent && !auto_mode && waiting && ebs::is_missing(snap).unwrap_or(false)
}

fn finding(snap: &Snapshot, cluster: &Cluster, fault: &Cause, users: &[&ServiceAccount]) -> Finding {
    let place = Place::of(snap);
    let issuer = cluster.issuer_host_path();
    let arn = place.provider_arn(issuer);
    let subject = ResourceRef::aws_arn("iam", "oidc-provider", issuer, &arn);
    let who = match users {
        [] => "the EBS CSI driver's role needs it".to_owned(),
        [one] => format!("ServiceAccount {}/{} needs it for its role", one.metadata.namespace, one.metadata.name),
        [first, rest @ ..] => format!(
            "ServiceAccount {}/{} and {} more need it for their roles",
            first.metadata.namespace,
            first.metadata.name,
            rest.len()
        ),
    };
    let name = cluster.name.clone();
    let waiting = Waiting::of(snap);
    let (fix, message) = match fault {
        Cause::Absent => {
            let message = format!("the OIDC issuer of cluster {name} has no IAM OIDC provider: {who}");
            (Fix::Create { cluster: name, waiting }, message)
        }
        Cause::OtherUrl => {
            let message =
                format!("the IAM OIDC provider is registered under another URL than the issuer {issuer}: {who}");
            (Fix::OtherUrl { cluster: name, waiting }, message)
        }
        Cause::NoAudience(arn) => {
            let message = format!("the IAM OIDC provider of cluster {name} lacks the audience {AUDIENCE}: {who}");
            (Fix::Audience { provider_arn: arn.clone(), waiting }, message)
        }
    };
    let mut finding = Finding::new(OidcProviderMissing::META.id, Severity::Error, subject.clone(), message)
        .breaks(subject)
        .fix(fix)
        .evidence(
            Evidence::new(
                "eks:DescribeCluster, identity.oidc.issuer",
                &cluster.identity.oidc.issuer,
                "aws eks describe-cluster --name {{ cluster }} --query cluster.identity.oidc.issuer --output text",
            )
            .with("cluster", &cluster.name),
        )
        .evidence(Evidence::new(
            "iam:ListOpenIDConnectProviders",
            providers_text(snap),
            "aws iam list-open-id-connect-providers",
        ));
    if let Some((_, event)) = iam_errors(snap).first() {
        finding = finding.evidence(crate::checks::support::seen::event_evidence(event));
    }
    for user in users {
        let role = user.role_arn().unwrap_or_default();
        let evidence = Evidence::new(
            format!("ServiceAccount {}/{}, annotation {ROLE_ANNOTATION}", user.metadata.namespace, user.metadata.name),
            role,
            "kubectl get serviceaccount {{ name }} -n {{ namespace }} -o yaml",
        );
        finding = finding
            .breaks(ResourceRef::service_account(&user.metadata.namespace, &user.metadata.name))
            .evidence(evidence.with("namespace", &user.metadata.namespace).with("name", &user.metadata.name));
    }
    finding
}

fn providers_text(snap: &Snapshot) -> String {
    let providers = snap.iam_oidc_providers.as_deref().unwrap_or_default();
    if providers.is_empty() {
        return "none in this account".into();
    }
    providers.iter().map(|p| p.arn.as_str()).collect::<Vec<_>>().join("\n")
}
