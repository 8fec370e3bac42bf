//! The IAM role of the EBS CSI controller is absent, cannot be assumed, or lacks permissions.

mod documents;
mod fix;
mod permissions;

use crate::checks::support::place::Place;
use crate::checks::support::seen::event_evidence;
use crate::checks::{Check, check};
use crate::domain::aws::addon::{POD_IDENTITY_AGENT, lacks_agent};
use crate::domain::aws::ebs;
use crate::domain::aws::trust::{self, Mismatch};
use crate::domain::kubernetes::claims::{ProvisioningCause, iam_errors};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, GapCause, ResourceRef, Severity};
use crate::snapshot::aws::arn;
use crate::snapshot::aws::{Cluster, Role};
use crate::snapshot::kubernetes::{Event, Pod, ROLE_ANNOTATION};
use crate::snapshot::{Platform, Snapshot};
use fix::{Fix, Way};
use permissions::may;

check! {
    /// See the check's page.
    EbsCsiRole {
        id: "ebs-csi-role", suite: Storage, severity: Error,
        title: "the IAM role of the EBS CSI controller does not work",
        requires: [EksCluster, ServiceAccounts, PodIdentityAssociations, IamRoles, Workloads],
        uses: [Events, Pods, StorageClasses, PersistentVolumeClaims, EksAddons, EksNodegroups],
        fix: Fix,
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
            Credentials::PodIdentity(arn) => match controller.agent_missing(&arn) {
                Some(finding) => Some(finding),
                None => controller.judge_role(&arn, true)?,
            },
            Credentials::Irsa(arn) => controller.judge_irsa(&arn)?,
            Credentials::AddonOnly(arn) => controller.annotation_lost(&arn),
            Credentials::Node => controller.judge_node_role()?,
        };
        Ok(Diagnosis::Findings(finding.into_iter().collect()))
    }
}

/// Where the controller's credentials come from.
enum Credentials {
    PodIdentity(String),
    Irsa(String),
    /// The add-on was given a role, and its ServiceAccount does not carry it any more.
    AddonOnly(String),
    /// No role of its own: the node's, through IMDS.
    Node,
}

/// Pod Identity wins over the annotation: the webhook puts in one or the other.
fn credentials(snap: &Snapshot, controller: &Controller<'_>) -> Result<Credentials, Gap> {
    let (namespace, name) = (&controller.namespace, &controller.account);
    let associations = snap.pod_identity_associations()?;
    let mine = associations.iter().find(|a| a.is_of(namespace, name));
    if let Some(association) = mine {
        let arn = association.role_arn.clone();
        return arn.map(Credentials::PodIdentity).ok_or_else(|| {
            Gap::new(
                "eks:DescribePodIdentityAssociation",
                GapCause::NotCollected,
                format!("the role of association {} is not known", association.association_id),
            )
            .hint("allow eks:DescribePodIdentityAssociation")
        });
    }
    let account = snap.service_accounts.find(namespace, name)?;
    let annotated = account.and_then(|a| a.role_arn()).map(str::to_owned);
    // While an add-on is being made its ServiceAccount is not there yet, but EKS knows the role.
    let of_addon = ebs::addon(snap).and_then(|a| a.service_account_role_arn.clone());
    Ok(match (annotated, of_addon) {
        (Some(arn), _) => Credentials::Irsa(arn),
        (None, Some(arn)) if account.is_some() && ebs::controller(snap)?.is_some() => Credentials::AddonOnly(arn),
        (None, Some(arn)) => Credentials::Irsa(arn),
        (None, None) => Credentials::Node,
    })
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

    /// The controller's pods.
    fn pods(&self) -> Vec<&'a Pod> {
        let pods = self.snap.pods.items().unwrap_or_default().iter();
        let mine = pods.filter(|p| {
            p.metadata.namespace == self.namespace
                && p.spec.service_account_name.as_deref() == Some(self.account.as_str())
                && !p.is_finished()
        });
        mine.collect()
    }

    /// Pods that were not given `arn` when they were made.
    fn pods_without(&self, arn: &str) -> Vec<&'a str> {
        let has = |p: &Pod| {
            let mut env = p.spec.containers.iter().flat_map(|c| &c.env);
            env.any(|e| e.name == "AWS_ROLE_ARN" && e.value.as_deref().is_none_or(|v| v == arn))
        };
        self.pods().into_iter().filter(|p| !has(p)).map(|p| p.metadata.name.as_str()).collect()
    }

    /// IRSA: the annotation is a role's ARN, of this account; the role is right; the pods were made with it.
    fn judge_irsa(&self, arn: &str) -> Result<Option<Finding>, Gap> {
        if !is_role_arn(arn) {
            let message =
                format!("the annotation {ROLE_ANNOTATION} of {} is {arn}, which is no ARN of a role", self.who());
            return Ok(Some(self.annotation_finding(arn, message)));
        }
        let account = arn::account(arn).unwrap_or_default();
        let refused = iam_errors(self.snap).iter().any(|(_, e)| is_credentials(e));
        if self.cluster.account().is_some_and(|own| own != account) && refused {
            let message = format!(
                "{} asks for role {arn} of account {account}, the cluster is in account {}, and AWS refuses it",
                self.who(),
                self.place.account
            );
            return Ok(Some(self.annotation_finding(arn, message)));
        }
        if let Some(finding) = self.judge_role(arn, false)? {
            return Ok(Some(finding));
        }
        let without = self.pods_without(arn);
        // Only a refused call shows that they need it.
        if iam_errors(self.snap).is_empty() || without.is_empty() {
            return Ok(None);
        }
        let message = format!(
            "{} of the controller's pods {} without role {arn} of {}: pods get it only when they are made",
            without.len(),
            if without.len() == 1 { "runs" } else { "run" },
            self.who()
        );
        let evidence = Evidence::new(
            format!("env AWS_ROLE_ARN of pods {}", without.join(", ")),
            format!("absent, or another role than {arn}"),
            "kubectl get pods -n {{ namespace }} -o custom-columns='NAME:.metadata.name,ENV:.spec.containers[*].env[*].name'",
        );
        Ok(Some(self.finding(arn, Way::Restart, message).evidence(evidence.with("namespace", &self.namespace))))
    }

    /// The role to name instead: the add-on's, else one in this account.
    fn good_role(&self, wrong: &str) -> String {
        let of_addon = ebs::addon(self.snap).and_then(|a| a.service_account_role_arn.clone());
        let own = || own_role(&self.place, wrong, &ebs::role_name(&self.cluster.name));
        of_addon.filter(|arn| arn != wrong && is_role_arn(arn)).unwrap_or_else(own)
    }

    fn annotation_finding(&self, arn: &str, message: String) -> Finding {
        let account = self.snap.service_accounts.find(&self.namespace, &self.account).ok().flatten();
        let annotated = account.and_then(|a| a.role_arn());
        let evidence = Evidence::new(
            format!("{}, annotation {ROLE_ANNOTATION}", self.who()),
            annotated.unwrap_or("absent"),
            "kubectl get serviceaccount {{ name }} -n {{ namespace }} -o yaml",
        );
        self.finding(arn, self.annotation(self.good_role(arn)), message)
            .evidence(evidence.with("namespace", &self.namespace).with("name", &self.account))
    }

    /// The add-on has a role that its ServiceAccount lost. Pods that were made before still have it.
    fn annotation_lost(&self, arn: &str) -> Option<Finding> {
        let without = self.pods_without(arn);
        if without.is_empty() && iam_errors(self.snap).is_empty() {
            return None;
        }
        let message = format!(
            "{} lacks the annotation {ROLE_ANNOTATION}, although the add-on was given role {arn}: its pods run without it",
            self.who()
        );
        Some(self.annotation_finding(arn, message))
    }

    /// Pod Identity needs its agent on the nodes; Auto Mode has it built in.
    fn agent_missing(&self, arn: &str) -> Option<Finding> {
        let snap = self.snap;
        // Only a refused call shows that the controller has no other credentials.
        if !lacks_agent(snap) || iam_errors(snap).is_empty() {
            return None;
        }
        let message = format!(
            "{} gets role {arn} through EKS Pod Identity, and the add-on {POD_IDENTITY_AGENT} is not installed: no pod gets credentials",
            self.who()
        );
        let evidence = Evidence::new(
            "eks:ListAddons",
            snap.eks_addons.iter().flatten().map(|a| a.addon_name.as_str()).collect::<Vec<_>>().join(", "),
            "aws eks list-addons --cluster-name {{ cluster }}",
        );
        let evidence = evidence.with("cluster", &self.cluster.name);
        Some(self.finding(arn, self.agent(), message).evidence(evidence))
    }

    fn judge_role(&self, arn: &str, pod_identity: bool) -> Result<Option<Finding>, Gap> {
        let Some(read) = self.snap.iam_roles()?.get(arn) else {
            return Err(Gap::new("iam:GetRole", GapCause::NotCollected, format!("role {arn} was not read")));
        };
        let Some(role) = read.as_ref().map_err(Clone::clone)? else {
            let of_addon = ebs::addon(self.snap).and_then(|a| a.service_account_role_arn.as_deref());
            if let Some(other) = of_addon.filter(|other| *other != arn) {
                let message =
                    format!("{} asks for role {arn}, which does not exist; the add-on was given {other}", self.who());
                return Ok(Some(self.annotation_finding(arn, message)));
            }
            let message = format!("the role {arn} of {} does not exist", self.who());
            let missing = Evidence::new(
                format!("iam:GetRole {}", role_name(arn)),
                "NoSuchEntity: there is no such role",
                "aws iam get-role --role-name {{ role }}",
            );
            return Ok(Some(
                self.finding(arn, self.role_absent(), message).evidence(missing.with("role", role_name(arn))),
            ));
        };
        let issuer = self.cluster.issuer_host_path();
        let mismatch = if pod_identity {
            trust::pod_identity(&role.trust_policy, &self.session())
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
        let message =
            format!("the trust policy of role {} does not admit {}: {}", role.name, self.who(), mismatch.words());
        let evidence = Evidence::new(
            format!("iam:GetRole {}, AssumeRolePolicyDocument", role.name),
            format!("found    {}\nexpected {}", mismatch.found, mismatch.expected),
            "aws iam get-role --role-name {{ role }} --query Role.AssumeRolePolicyDocument",
        );
        self.finding(&role.arn, self.trust(role, mismatch, pod_identity), message)
            .evidence(evidence.with("role", &role.name))
    }

    /// Without a role of its own the controller may still work: with the nodes' role, or with keys from a Secret. Only a
    /// refused call proves that it does not.
    fn judge_node_role(&self) -> Result<Option<Finding>, Gap> {
        let errors = iam_errors(self.snap);
        let fault = |e: &Event| ProvisioningCause::classify(&e.message);
        // A key that cannot be used says nothing about the role.
        let Some((_, event)) = errors.iter().find(|(_, e)| fault(e) != ProvisioningCause::Kms) else { return Ok(None) };
        let roles = self.snap.iam_roles()?;
        let nodes = self.snap.eks_nodegroups.iter().flatten().filter_map(|n| roles.get(&n.node_role));
        let able = nodes.filter_map(|r| r.as_ref().ok()?.as_ref()).any(|r| may(r, "ec2:CreateVolume") == Some(true));
        // The node's role would do, but only if the controller gets at it: "no EC2 IMDS role found" says that it does not.
        if able && fault(event) == ProvisioningCause::Permission {
            return Ok(None);
        }
        let message = format!("{} has no IAM role: its calls to EC2 are refused", self.who());
        let role = ebs::role_name(&self.cluster.name);
        let arn = self.place.role_arn(&role);
        let evidence = Evidence::new(
            self.who(),
            format!("no annotation {ROLE_ANNOTATION}, no Pod Identity association"),
            "kubectl get serviceaccount {{ name }} -n {{ namespace }} -o yaml",
        );
        let finding = self
            .finding(&arn, self.no_role(&arn), message)
            .evidence(event_evidence(event))
            .evidence(evidence.with("namespace", &self.namespace).with("name", &self.account));
        Ok(Some(finding))
    }

    fn finding(&self, role_arn: &str, way: Way, message: String) -> Finding {
        let subject = ResourceRef::aws_arn("iam", "role", role_name(role_arn), role_arn);
        let by_oidc = !matches!(way, Way::TrustPodIdentity(_) | Way::Agent { .. });
        let told = matches!(way, Way::NoRole { .. } | Way::Kms { .. } | Way::KmsKeyPolicy { .. });
        let mut finding = Finding::new(EbsCsiRole::META.id, Severity::Error, subject.clone(), message)
            .breaks(subject)
            .breaks(ResourceRef::service_account(&self.namespace, &self.account))
            .fix(Fix::of(self, role_arn, way));
        finding.key = format!("{role_arn} {}", finding.variant);
        if by_oidc {
            finding = finding.fix_needs(ResourceRef::aws("iam", "oidc-provider", self.cluster.issuer_host_path()));
        }
        match iam_errors(self.snap).first() {
            Some((_, event)) if !told => finding.evidence(event_evidence(event)),
            _ => finding,
        }
    }
}

/// The name in the ARN of a role.
fn role_name(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

fn is_role_arn(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    matches!(parts.as_slice(), ["arn", _, "iam", "", account, role]
        if account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()) && role.starts_with("role/") && role.len() > 5)
}

/// A role of this account: with the path and name of the one that is wrong, where it is one, else of the usual name.
fn own_role(place: &Place, wrong: &str, usual: &str) -> String {
    let named = wrong.split_once(":role/").filter(|_| is_role_arn(wrong));
    place.role_arn(named.map_or(usual, |(_, name)| name))
}

fn is_credentials(event: &Event) -> bool {
    ProvisioningCause::classify(&event.message) == ProvisioningCause::Credentials
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_a_role_from_a_slip() {
        assert!(is_role_arn("arn:aws:iam::111122223333:role/ebs"));
        assert!(is_role_arn("arn:aws-cn:iam::111122223333:role/path/ebs"));
        for slip in [
            "ebs",
            "arn:aws:iam::111122223333:policy/ebs",
            "arn:aws:iam:111122223333:role/ebs",
            "arn:aws:iam::1:role/x",
            "arn:aws:iam::<ACCOUNT_ID>:role/x",
        ] {
            assert!(!is_role_arn(slip), "{slip}");
        }
    }

    #[test]
    fn the_role_of_this_account_keeps_its_path() {
        let place = Place {
            cluster: "shop".into(),
            region: "eu-west-1".into(),
            account: "111122223333".into(),
            partition: "aws".into(),
        };
        let own = |wrong: &str| own_role(&place, wrong, "usual");
        assert_eq!(own("arn:aws:iam::999988887777:role/eks/ebs"), "arn:aws:iam::111122223333:role/eks/ebs");
        assert_eq!(own("ebs"), "arn:aws:iam::111122223333:role/usual");
    }
}
