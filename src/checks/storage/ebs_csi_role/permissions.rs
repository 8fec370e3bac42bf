//! What the role of the controller may do.

use super::Controller;
use super::fix::Way;
use crate::checks::support::seen::event_evidence;
use crate::domain::aws::trust;
use crate::domain::kubernetes::claims::{self, ProvisioningCause, iam_errors};
use crate::model::{Evidence, Finding, Gap, GapCause, ResourceRef, Severity};
use crate::snapshot::aws::Role;
use crate::snapshot::kubernetes::PersistentVolumeClaim;

/// What the driver calls for each volume. Without others (snapshots, resizing) volumes still come up.
const NEEDED: &[&str] = &[
    "ec2:CreateVolume",
    "ec2:AttachVolume",
    "ec2:DetachVolume",
    "ec2:CreateTags",
    "ec2:DescribeVolumes",
    "ec2:DescribeInstances",
];

impl Controller<'_> {
    /// What the role may do, and with the class's key.
    pub(super) fn judge_permissions(&self, role: &Role) -> Result<Option<Finding>, Gap> {
        if let Some(finding) = self.refused_by_policy(role) {
            return Ok(Some(finding));
        }
        // What volumes need beside these two is reported once EC2 refuses it.
        let refused = iam_errors(self.snap).iter().any(|(_, e)| !super::is_credentials(e));
        let needed = if refused { NEEDED } else { &NEEDED[..2] };
        let lacking = needed.iter().map(|action| may(role, action).map(|may| (!may).then_some(*action)));
        let lacking: Option<Vec<&str>> =
            lacking.collect::<Option<Vec<_>>>().map(|all| all.into_iter().flatten().collect());
        match lacking.as_deref() {
            Some([]) => Ok(self.judge_kms(role)),
            Some(actions) => {
                let what = if actions.contains(&"ec2:CreateVolume") { "create volumes" } else { "manage volumes" };
                let message = format!(
                    "role {} of {} may not {what}: no policy allows {}",
                    role.name,
                    self.who(),
                    actions.join(", ")
                );
                Ok(Some(self.finding(&role.arn, self.policy(), message).evidence(attached_evidence(role))))
            }
            None => Err(Gap::new(
                "iam:ListAttachedRolePolicies",
                GapCause::NotCollected,
                format!("the policies of role {} could not all be read", role.name),
            )
            .hint("allow iam:ListAttachedRolePolicies, iam:ListRolePolicies, iam:GetRolePolicy, iam:GetPolicy and iam:GetPolicyVersion")),
        }
    }

    /// A policy that denies, or a permissions boundary that does not allow: more policies do not help.
    fn refused_by_policy(&self, role: &Role) -> Option<Finding> {
        let inline = role.inline_policies.iter().flatten().map(|(name, d)| (name.as_str(), d));
        let managed = role.managed_documents.iter().map(|(arn, d)| (arn.as_str(), d));
        for action in NEEDED {
            let mut all = inline.clone().chain(managed.clone());
            if let Some((policy, _)) = all.find(|(_, d)| trust::denies(d, action)) {
                let message = format!("policy {policy} of role {} denies {action}", role.name);
                let way = Way::PolicyDeny { policy: policy.to_owned() };
                return Some(self.finding(&role.arn, way, message).evidence(attached_evidence(role)));
            }
        }
        let boundary = role.permissions_boundary.as_deref()?;
        let document = role.managed_documents.get(boundary)?;
        let lacking: Vec<&str> = NEEDED.iter().copied().filter(|a| !trust::allows(document, a)).collect();
        if lacking.is_empty() {
            return None;
        }
        let message =
            format!("the permissions boundary {boundary} of role {} does not allow {}", role.name, lacking.join(", "));
        let way = Way::Boundary { policy: boundary.to_owned() };
        Some(self.finding(&role.arn, way, message).evidence(attached_evidence(role)))
    }

    /// A key can also be granted by its own policy, which cannot be seen: an error, or a claim that nobody can provision
    /// while IAM grants nothing, tells that it is not.
    fn judge_kms(&self, role: &Role) -> Option<Finding> {
        const KMS: &[&str] = &["kms:CreateGrant", "kms:Decrypt", "kms:GenerateDataKeyWithoutPlaintext"];
        let lacking: Vec<&str> = KMS.iter().copied().filter(|a| may(role, a) == Some(false)).collect();
        let errors = iam_errors(self.snap);
        let kms = errors.iter().find(|(_, e)| ProvisioningCause::classify(&e.message) == ProvisioningCause::Kms);
        let (claim, event) = match kms {
            Some((claim, event)) => (claim.clone(), Some(*event)),
            None if lacking.is_empty() => return None,
            None => (self.waiting_for_key()?, None),
        };
        let (class, key, encrypted) = self.class_of(&claim)?;
        if key.is_none() && !encrypted {
            return None;
        }
        let which = key.as_deref().map_or_else(
            || format!("the account's default key for EBS, with which StorageClass {class} encrypts"),
            |key| format!("the KMS key {key} of StorageClass {class}"),
        );
        let iam = if lacking.is_empty() {
            "its IAM policies allow it, so the key's own policy does not".to_owned()
        } else {
            format!(
                "its IAM policies do not allow {} (what the key's own policy grants cannot be seen)",
                lacking.join(", ")
            )
        };
        let verb = if event.is_some() { "cannot" } else { "may not" };
        let message = format!("role {} {verb} use {which}: {iam}", role.name);
        let way = if lacking.is_empty() { self.kms_key_policy(&role.arn, key, event) } else { self.kms(key, event) };
        let mut finding = self.finding(&role.arn, way, message).evidence(attached_evidence(role));
        match event {
            Some(event) => Some(finding.evidence(event_evidence(event))),
            None => {
                finding.severity = Severity::Warning;
                Some(finding)
            }
        }
    }

    /// A claim that the provisioner has been asked for, whose class names a key.
    fn waiting_for_key(&self) -> Option<ResourceRef> {
        let claims = claims::pending(self.snap).ok()?;
        let asked = claims.into_iter().filter(|c| claims::is_asked_for(self.snap, c));
        let keyed = |c: &&PersistentVolumeClaim| {
            claims::class_of(self.snap, c).ok().flatten().is_some_and(|class| class.parameters.contains_key("kmsKeyId"))
        };
        asked.filter(keyed).map(|c| ResourceRef::pvc(&c.metadata.namespace, &c.metadata.name)).next()
    }

    /// Name and KMS key of the class of a claim, and whether it encrypts.
    fn class_of(&self, claim: &ResourceRef) -> Option<(String, Option<String>, bool)> {
        let claims = self.snap.persistent_volume_claims().ok()?;
        let claim = claims.iter().find(|c| ResourceRef::pvc(&c.metadata.namespace, &c.metadata.name) == *claim)?;
        let class = claims::class_of(self.snap, claim).ok()??;
        let encrypted = class.parameters.get("encrypted").is_some_and(|v| v == "true");
        Some((class.metadata.name.clone(), class.parameters.get("kmsKeyId").cloned(), encrypted))
    }
}

fn attached_evidence(role: &Role) -> Evidence {
    let mut seen: Vec<String> = role.attached_policies.iter().flatten().cloned().collect();
    seen.extend(role.inline_policies.iter().flat_map(|p| p.keys()).map(|name| format!("inline policy {name}")));
    seen.extend(role.permissions_boundary.iter().map(|arn| format!("permissions boundary {arn}")));
    let seen = if seen.is_empty() { "no policy at all".into() } else { seen.join("\n") };
    let source = format!("iam:ListAttachedRolePolicies {}", role.name);
    Evidence::new(source, seen, "aws iam list-attached-role-policies --role-name {{ role }}").with("role", &role.name)
}

/// Whether some policy of the role allows an action; `None` where not all could be read.
pub(super) fn may(role: &Role, action: &str) -> Option<bool> {
    let attached = role.attached_policies.as_deref();
    let for_ec2 = ["AmazonEBSCSIDriverPolicy", "AmazonEBSCSIDriverPolicyV2", "AmazonEC2FullAccess"];
    let for_all = ["AdministratorAccess", "PowerUserAccess"];
    let by_name = |arn: &String| {
        let name = arn.rsplit('/').next().unwrap_or("");
        let known = for_all.contains(&name) || (action.starts_with("ec2:") && for_ec2.contains(&name));
        arn.contains(":aws:policy/") && known
    };
    let of_role = role.managed_documents.iter().filter(|(arn, _)| attached.is_some_and(|a| a.contains(arn)));
    let documents = of_role.map(|(_, d)| d).chain(role.inline_policies.iter().flat_map(|p| p.values()));
    if attached.is_some_and(|a| a.iter().any(by_name)) || documents.clone().any(|d| trust::allows(d, action)) {
        return Some(true);
    }
    // Other AWS-managed policies (nodes, CNI, registry) do not allow it; customer-managed ones must have been read.
    let read = |arn: &String| arn.contains(":aws:policy/") || role.managed_documents.contains_key(arn);
    let all_read = attached.is_some_and(|a| a.iter().all(read)) && role.inline_policies.is_some();
    all_read.then_some(false)
}
