//! The IAM role of the EBS CSI controller is absent, cannot be assumed, or lacks permissions.

use serde_json::json;

use super::claims::{self, ProvisioningFault, event_evidence, iam_errors};
use super::ebs::{self, Place};
use super::trust::{self, Mismatch};
use crate::checks::{Check, check};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::aws::{Cluster, Role};
use crate::snapshot::kubernetes::ROLE_ANNOTATION;
use crate::snapshot::{Platform, Snapshot};

check! {
    /// See the check's page.
    EbsCsiRole {
        id: "ebs-csi-role", suite: Storage, page: "storage/ebs_csi_role.md", severity: Error,
        title: "the IAM role of the EBS CSI controller does not work",
        requires: [EksCluster, ServiceAccounts, PodIdentityAssociations, IamRoles, Workloads],
        uses: [Events, StorageClasses, PersistentVolumeClaims, EksAddons, EksNodegroups],
    }
}

impl Check for EbsCsiRole {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        if snap.platform == Platform::Other {
            return Ok(Diagnosis::NotApplicable("the cluster is not on EKS".into()));
        }
        let cluster = snap.eks_cluster()?;
        if ebs::controller(snap)?.is_none() && ebs::addon(snap).is_none() {
            return Ok(Diagnosis::NotApplicable("the EBS CSI driver is not installed".into()));
        }
        let controller = Controller::of(snap, cluster);
        let finding = match credentials(snap, &controller)? {
            Credentials::PodIdentity(arn) => controller.judge_role(&arn, true)?,
            Credentials::Irsa(arn) => controller.judge_role(&arn, false)?,
            Credentials::Node => controller.judge_node_role()?,
        };
        Ok(Diagnosis::Findings(finding.into_iter().collect()))
    }
}

/// Where the controller's credentials come from.
enum Credentials {
    PodIdentity(String),
    Irsa(String),
    /// No role of its own: the node's, through IMDS.
    Node,
}

/// Pod Identity wins over the annotation, as in the SDK's credential chain.
fn credentials(snap: &Snapshot, controller: &Controller<'_>) -> Result<Credentials, Gap> {
    let (namespace, name) = (&controller.namespace, &controller.account);
    let associations = snap.pod_identity_associations()?;
    let mine = associations.iter().find(|a| a.namespace == *namespace && a.service_account == *name);
    if let Some(association) = mine {
        let arn = association.role_arn.clone();
        return arn.map(Credentials::PodIdentity).ok_or_else(|| {
            Gap::new(
                "eks:DescribePodIdentityAssociation",
                crate::model::GapCause::NotCollected,
                format!("the role of association {} is not known", association.association_id),
            )
            .hint("allow eks:DescribePodIdentityAssociation")
        });
    }
    let account = snap.service_accounts.find(namespace, name)?;
    let annotated = account.and_then(|a| a.role_arn());
    // While an add-on is being made its ServiceAccount is not there yet, but EKS knows the role.
    let of_addon = ebs::addon(snap).and_then(|a| a.service_account_role_arn.clone());
    Ok(annotated.map(str::to_owned).or(of_addon).map_or(Credentials::Node, Credentials::Irsa))
}

struct Controller<'a> {
    snap: &'a Snapshot,
    cluster: &'a Cluster,
    place: Place,
    namespace: String,
    account: String,
}

impl<'a> Controller<'a> {
    fn of(snap: &'a Snapshot, cluster: &'a Cluster) -> Self {
        let (namespace, account) = ebs::service_account(snap);
        Self { snap, cluster, place: Place::of(snap), namespace, account }
    }

    fn subject(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.account)
    }

    fn judge_role(&self, arn: &str, pod_identity: bool) -> Result<Option<Finding>, Gap> {
        let Some(read) = self.snap.iam_roles()?.get(arn) else {
            return Err(Gap::new(
                "iam:GetRole",
                crate::model::GapCause::NotCollected,
                format!("role {arn} was not read"),
            ));
        };
        let Some(role) = read.as_ref().map_err(Clone::clone)? else {
            let message = format!("the role {arn} of {} does not exist", self.who());
            return Ok(Some(self.finding(arn, "role-absent", message)));
        };
        let issuer = self.cluster.issuer_host_path();
        let mismatch = if pod_identity {
            trust::pod_identity(&role.trust_policy)
        } else {
            trust::irsa(&role.trust_policy, &self.place.provider_arn(issuer), issuer, &self.subject())
        };
        if let Some(mismatch) = mismatch {
            return Ok(Some(self.trust_finding(role, &mismatch, pod_identity)));
        }
        self.judge_permissions(role)
    }

    fn who(&self) -> String {
        format!("ServiceAccount {}/{}", self.namespace, self.account)
    }

    fn trust_finding(&self, role: &Role, mismatch: &Mismatch, pod_identity: bool) -> Finding {
        let message = format!(
            "the trust policy of role {} does not admit {}: {} is {}, must be {}",
            role.name,
            self.who(),
            mismatch.part,
            if mismatch.found.is_empty() { "absent" } else { &mismatch.found },
            mismatch.expected
        );
        let evidence = Evidence::new(
            format!("iam:GetRole {}, AssumeRolePolicyDocument", role.name),
            format!("found    {}\nexpected {}", mismatch.found, mismatch.expected),
            "aws iam get-role --role-name {{ role }} --query Role.AssumeRolePolicyDocument",
        );
        self.finding(&role.arn, if pod_identity { "trust-pod-identity" } else { "trust" }, message)
            .evidence(evidence.with("role", &role.name))
    }

    /// The policy that admits the controller and nobody else.
    fn trust_policy(&self) -> String {
        let issuer = self.cluster.issuer_host_path();
        let condition = json!({format!("{issuer}:aud"): "sts.amazonaws.com", format!("{issuer}:sub"): self.subject()});
        json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Principal": {"Federated": self.place.provider_arn(issuer)},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": condition},
        }]})
        .to_string()
    }

    fn judge_permissions(&self, role: &Role) -> Result<Option<Finding>, Gap> {
        match may_create_volumes(role) {
            Some(true) => Ok(self.judge_kms(role)),
            Some(false) => {
                let message = format!(
                    "role {} of {} may not create volumes: no policy allows ec2:CreateVolume",
                    role.name,
                    self.who()
                );
                let attached = role.attached_policies.as_deref().unwrap_or_default();
                let seen = if attached.is_empty() { "no managed policy attached".into() } else { attached.join("\n") };
                let evidence = Evidence::new(
                    format!("iam:ListAttachedRolePolicies {}", role.name),
                    seen,
                    "aws iam list-attached-role-policies --role-name {{ role }}",
                );
                Ok(Some(self.finding(&role.arn, "policy", message).evidence(evidence.with("role", &role.name))))
            }
            None => Err(Gap::new(
                "iam:ListAttachedRolePolicies",
                crate::model::GapCause::NotCollected,
                format!("the policies of role {} could not all be read", role.name),
            )
            .hint("allow iam:ListAttachedRolePolicies, iam:ListRolePolicies, iam:GetRolePolicy, iam:GetPolicy and iam:GetPolicyVersion")),
        }
    }

    /// A key can also be granted by its own policy, so only an error tells that it is not.
    fn judge_kms(&self, role: &Role) -> Option<Finding> {
        let errors = iam_errors(self.snap);
        let (claim, event) =
            errors.iter().find(|(_, e)| ProvisioningFault::classify(&e.message) == ProvisioningFault::Kms)?;
        let class = self.class_of(claim)?;
        let key = class.1.clone()?;
        let message = format!("role {} cannot use the KMS key {key} of StorageClass {}", role.name, class.0);
        Some(self.finding(&role.arn, "kms", message).param("kms_key", key).evidence(event_evidence(event)))
    }

    /// Name and KMS key of the class of a claim.
    fn class_of(&self, claim: &ResourceRef) -> Option<(String, Option<String>)> {
        let claims = self.snap.persistent_volume_claims().ok()?;
        let claim = claims.iter().find(|c| ResourceRef::pvc(&c.metadata.namespace, &c.metadata.name) == *claim)?;
        let class = claims::class_of(self.snap, claim).ok()??;
        Some((class.metadata.name.clone(), class.parameters.get("kmsKeyId").cloned()))
    }

    /// Without a role of its own the controller may still work: with the nodes' role, or with keys from a Secret. Only a
    /// refused call proves that it does not.
    fn judge_node_role(&self) -> Result<Option<Finding>, Gap> {
        let errors = iam_errors(self.snap);
        let fault = |e: &crate::snapshot::kubernetes::Event| ProvisioningFault::classify(&e.message);
        // A key that cannot be used says nothing about the role.
        let Some((_, event)) = errors.iter().find(|(_, e)| fault(e) != ProvisioningFault::Kms) else { return Ok(None) };
        let roles = self.snap.iam_roles()?;
        let nodes = self.snap.eks_nodegroups.iter().flatten().filter_map(|n| roles.get(&n.node_role));
        let able = nodes.filter_map(|r| r.as_ref().ok()?.as_ref()).any(|r| may_create_volumes(r) == Some(true));
        // The node's role would do, but only if the controller gets at it: "no EC2 IMDS role found" says that it does not.
        if able && fault(event) == ProvisioningFault::Permission {
            return Ok(None);
        }
        let message = format!("{} has no IAM role: its calls to EC2 are refused", self.who());
        let role = ebs::role_name(&self.cluster.name);
        let arn = self.place.role_arn(&role);
        let evidence = Evidence::new(
            self.who(),
            format!("no annotation {ROLE_ANNOTATION}, no Pod Identity association"),
            "kubectl get serviceaccount -n {{ namespace }} {{ name }} -o yaml",
        );
        let finding = self
            .finding(&arn, "no-role", message)
            .evidence(event_evidence(event))
            .evidence(evidence.with("namespace", &self.namespace).with("name", &self.account));
        Ok(Some(finding))
    }

    fn finding(&self, role_arn: &str, variant: &'static str, message: String) -> Finding {
        let name = role_arn.rsplit('/').next().unwrap_or(role_arn);
        let issuer = self.cluster.issuer_host_path();
        let subject = ResourceRef::aws_arn("iam", "role", name, role_arn);
        let mut finding = Finding::new(EbsCsiRole::META.id, Severity::Error, subject.clone(), message)
            .breaks(subject)
            .breaks(ResourceRef::service_account(&self.namespace, &self.account))
            .fix(variant)
            .key(format!("{role_arn} {variant}"))
            .param("role", name)
            .param("role_arn", role_arn)
            .param("policy_arn", self.place.policy_arn())
            .param("trust_policy", self.trust_policy())
            .param("namespace", &self.namespace)
            .param("account", &self.account)
            .param("cluster", &self.cluster.name)
            .param("region", &self.place.region)
            .param("is_addon", ebs::addon(self.snap).is_some())
            .param("kms_key", "<kms-key-arn>")
            .param("pvc_namespace", self.snap.scope.stack.first().cloned().unwrap_or_default());
        if variant != "trust-pod-identity" {
            finding = finding.fix_needs(ResourceRef::aws("iam", "oidc-provider", issuer));
        }
        if variant != "no-role"
            && let Some((_, event)) = iam_errors(self.snap).first()
        {
            finding = finding.evidence(event_evidence(event));
        }
        finding
    }
}

/// Whether some policy of the role allows `ec2:CreateVolume`; `None` where not all could be read.
fn may_create_volumes(role: &Role) -> Option<bool> {
    let attached = role.attached_policies.as_deref();
    let known = [
        "AmazonEBSCSIDriverPolicy",
        "AmazonEBSCSIDriverPolicyV2",
        "AdministratorAccess",
        "PowerUserAccess",
        "AmazonEC2FullAccess",
    ];
    let by_name = |arn: &String| arn.contains(":aws:policy/") && known.contains(&arn.rsplit('/').next().unwrap_or(""));
    let documents = role.managed_documents.values().chain(role.inline_policies.iter().flat_map(|p| p.values()));
    if attached.is_some_and(|a| a.iter().any(by_name))
        || documents.clone().any(|d| trust::allows(d, "ec2:CreateVolume"))
    {
        return Some(true);
    }
    // Other AWS-managed policies (nodes, CNI, registry) do not allow it; customer-managed ones must have been read.
    let read = |arn: &String| arn.contains(":aws:policy/") || role.managed_documents.contains_key(arn);
    let all_read = attached.is_some_and(|a| a.iter().all(read)) && role.inline_policies.is_some();
    all_read.then_some(false)
}
