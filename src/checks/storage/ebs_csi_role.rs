//! The IAM role of the EBS CSI controller is absent, cannot be assumed, or lacks permissions.

use serde_json::{Value, json};

use crate::checks::support::addon;
use crate::checks::support::place::Place;
use crate::checks::support::seen::event_evidence;
use crate::checks::{Check, check};
use crate::domain::aws::ebs;
use crate::domain::aws::trust::{self, Mismatch};
use crate::domain::kubernetes::claims::{self, ProvisioningFault, iam_errors};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::aws::{Cluster, Role};
use crate::snapshot::kubernetes::{Pod, ROLE_ANNOTATION};
use crate::snapshot::{Platform, Snapshot};

check! {
    /// See the check's page.
    EbsCsiRole {
        id: "ebs-csi-role", suite: Storage, severity: Error,
        title: "the IAM role of the EBS CSI controller does not work",
        requires: [EksCluster, ServiceAccounts, PodIdentityAssociations, IamRoles, Workloads],
        uses: [Events, Pods, StorageClasses, PersistentVolumeClaims, EksAddons, EksNodegroups],
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
        let account = arn.split(':').nth(4).unwrap_or_default();
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
            "{} of the controller's pods were made before {} was given role {arn}: they run without it",
            without.len(),
            self.who()
        );
        let evidence = Evidence::new(
            format!("env AWS_ROLE_ARN of pods {}", without.join(", ")),
            format!("absent, or another role than {arn}"),
            "kubectl get pods -n {{ namespace }} -o custom-columns=NAME:.metadata.name,ENV:.spec.containers[*].env[*].name",
        );
        Ok(Some(self.finding(arn, "restart", message).evidence(evidence.with("namespace", &self.namespace))))
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
            "kubectl get serviceaccount -n {{ namespace }} {{ name }} -o yaml",
        );
        let good = self.good_role(arn);
        self.finding(arn, "annotation", message)
            .param("role", good.rsplit('/').next().unwrap_or(&good))
            .param("good_role", &good)
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
        const AGENT: &str = "eks-pod-identity-agent";
        let snap = self.snap;
        let addons = snap.eks_addons().ok()?;
        let auto_mode = self.cluster.compute_config.as_ref().and_then(|c| c.enabled).unwrap_or(false);
        let daemon =
            snap.workloads.items().ok()?.iter().any(|w| w.kind == "DaemonSet" && w.metadata.name.contains(AGENT));
        let there = auto_mode || daemon || addons.iter().any(|a| a.addon_name == AGENT);
        // Only a refused call shows that the controller has no other credentials.
        if there || !snap.workloads.covers(ebs::NAMESPACE) || iam_errors(snap).is_empty() {
            return None;
        }
        let message = format!(
            "{} gets role {arn} through EKS Pod Identity, and the add-on {AGENT} is not installed: no pod gets credentials",
            self.who()
        );
        let evidence = Evidence::new(
            "eks:ListAddons",
            addons.iter().map(|a| a.addon_name.as_str()).collect::<Vec<_>>().join(", "),
            "aws eks list-addons --cluster-name {{ cluster }} --region {{ region }}",
        );
        let evidence = evidence.with("cluster", &self.cluster.name).with("region", &self.place.region);
        Some(self.finding(arn, "agent", message).evidence(evidence))
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
            let of_addon = ebs::addon(self.snap).and_then(|a| a.service_account_role_arn.as_deref());
            if let Some(other) = of_addon.filter(|other| *other != arn) {
                let message =
                    format!("{} asks for role {arn}, which does not exist; the add-on was given {other}", self.who());
                return Ok(Some(self.annotation_finding(arn, message)));
            }
            let message = format!("the role {arn} of {} does not exist", self.who());
            return Ok(Some(self.finding(arn, "role-absent", message)));
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
        let own = if pod_identity { self.session_statement() } else { self.trust_statement() };
        self.finding(&role.arn, if pod_identity { "trust-pod-identity" } else { "trust" }, message)
            .evidence(evidence.with("role", &role.name))
            .param("denied", if mismatch.part == "Deny" { mismatch.found.as_str() } else { "" })
            .param("added_trust", trust::with_statement(&role.trust_policy, own).to_string())
    }

    /// The policy that admits the controller and nobody else.
    fn trust_policy(&self) -> String {
        json!({"Version": "2012-10-17", "Statement": [self.trust_statement()]}).to_string()
    }

    /// The statement that admits the controller and nobody else.
    fn trust_statement(&self) -> Value {
        let issuer = self.cluster.issuer_host_path();
        let condition = json!({format!("{issuer}:aud"): "sts.amazonaws.com", format!("{issuer}:sub"): self.subject()});
        json!({
            "Effect": "Allow",
            "Principal": {"Federated": self.place.provider_arn(issuer)},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": condition},
        })
    }

    /// The same for Pod Identity, whose sessions carry these tags.
    fn session_statement(&self) -> Value {
        json!({
            "Effect": "Allow",
            "Principal": {"Service": "pods.eks.amazonaws.com"},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
            "Condition": {"StringEquals": {
                "aws:RequestTag/eks-cluster-arn": self.cluster.arn,
                "aws:RequestTag/kubernetes-namespace": self.namespace,
                "aws:RequestTag/kubernetes-service-account": self.account,
            }},
        })
    }

    /// What the driver may do with a key: no more than EBS asks of it. A policy names keys, not aliases.
    fn kms_policy(&self, key: Option<&str>) -> String {
        let place = |id: &str| {
            format!("arn:{}:kms:{}:{}:key/{id}", self.place.partition, self.place.region, self.place.account)
        };
        let alias = key.and_then(|k| Some(format!("alias/{}", k.split_once("alias/")?.1)));
        let resource = match key {
            Some(_) if alias.is_some() => place("*"),
            Some(arn) if arn.starts_with("arn:") => arn.to_owned(),
            Some(id) => place(id),
            None => "<kms-key-arn>".to_owned(),
        };
        let via = format!("ec2.{}.{}", self.place.region, self.place.dns_suffix());
        let mut condition = json!({"StringEquals": {"kms:ViaService": via}});
        if let Some(alias) = alias {
            condition["ForAnyValue:StringEquals"] = json!({"kms:ResourceAliases": alias});
        }
        let mut granting = condition.clone();
        granting["Bool"] = json!({"kms:GrantIsForAWSResource": "true"});
        let uses = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncrypt*"];
        json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": uses, "Resource": resource, "Condition": condition},
            {"Effect": "Allow", "Action": "kms:CreateGrant", "Resource": resource, "Condition": granting},
        ]})
        .to_string()
    }

    /// The session that Pod Identity opens for the controller.
    fn session(&self) -> trust::Session<'_> {
        trust::Session {
            cluster_arn: &self.cluster.arn,
            cluster: &self.cluster.name,
            account: self.cluster.account().unwrap_or_default(),
            namespace: &self.namespace,
            service_account: &self.account,
        }
    }

    fn judge_permissions(&self, role: &Role) -> Result<Option<Finding>, Gap> {
        if let Some(finding) = self.refused_by_policy(role) {
            return Ok(Some(finding));
        }
        // What volumes need beside these two is reported once EC2 refuses it.
        let refused = iam_errors(self.snap).iter().any(|(_, e)| !is_credentials(e));
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
                Ok(Some(self.finding(&role.arn, "policy", message).evidence(attached_evidence(role))))
            }
            None => Err(Gap::new(
                "iam:ListAttachedRolePolicies",
                crate::model::GapCause::NotCollected,
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
                return Some(
                    self.finding(&role.arn, "policy-deny", message)
                        .param("policy", policy)
                        .evidence(attached_evidence(role)),
                );
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
        Some(self.finding(&role.arn, "boundary", message).param("policy", boundary).evidence(attached_evidence(role)))
    }

    /// A key can also be granted by its own policy, which cannot be seen: an error, or a claim that nobody can provision
    /// while IAM grants nothing, tells that it is not.
    fn judge_kms(&self, role: &Role) -> Option<Finding> {
        const KMS: &[&str] = &["kms:CreateGrant", "kms:Decrypt", "kms:GenerateDataKeyWithoutPlaintext"];
        let lacking: Vec<&str> = KMS.iter().copied().filter(|a| may(role, a) == Some(false)).collect();
        let errors = iam_errors(self.snap);
        let kms = errors.iter().find(|(_, e)| ProvisioningFault::classify(&e.message) == ProvisioningFault::Kms);
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
        let variant = if lacking.is_empty() { "kms-key-policy" } else { "kms" };
        let mut finding = self.finding(&role.arn, variant, message).evidence(attached_evidence(role));
        if let Some(key) = key {
            finding = finding.param("kms_policy", self.kms_policy(Some(&key))).param("kms_key", key);
        }
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
        let keyed = |c: &&crate::snapshot::kubernetes::PersistentVolumeClaim| {
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

    /// Without a role of its own the controller may still work: with the nodes' role, or with keys from a Secret. Only a
    /// refused call proves that it does not.
    fn judge_node_role(&self) -> Result<Option<Finding>, Gap> {
        let errors = iam_errors(self.snap);
        let fault = |e: &crate::snapshot::kubernetes::Event| ProvisioningFault::classify(&e.message);
        // A key that cannot be used says nothing about the role.
        let Some((_, event)) = errors.iter().find(|(_, e)| fault(e) != ProvisioningFault::Kms) else { return Ok(None) };
        let roles = self.snap.iam_roles()?;
        let nodes = self.snap.eks_nodegroups.iter().flatten().filter_map(|n| roles.get(&n.node_role));
        let able = nodes.filter_map(|r| r.as_ref().ok()?.as_ref()).any(|r| may(r, "ec2:CreateVolume") == Some(true));
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
            .param("kept_values", addon::kept_values(ebs::addon(self.snap)))
            .param("policy", "")
            .param("good_role", role_arn)
            .param("kms_key", "<kms-key-arn>")
            .param("kms_policy", self.kms_policy(None))
            .param("pvc_namespace", self.snap.scope.stack.first().cloned().unwrap_or_default());
        if !matches!(variant, "trust-pod-identity" | "agent") {
            finding = finding.fix_needs(ResourceRef::aws("iam", "oidc-provider", issuer));
        }
        if !matches!(variant, "no-role" | "kms" | "kms-key-policy")
            && let Some((_, event)) = iam_errors(self.snap).first()
        {
            finding = finding.evidence(event_evidence(event));
        }
        finding
    }
}

/// What the driver calls for each volume. Without others (snapshots, resizing) volumes still come up.
const NEEDED: &[&str] = &[
    "ec2:CreateVolume",
    "ec2:AttachVolume",
    "ec2:DetachVolume",
    "ec2:CreateTags",
    "ec2:DescribeVolumes",
    "ec2:DescribeInstances",
];

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

fn is_credentials(event: &crate::snapshot::kubernetes::Event) -> bool {
    ProvisioningFault::classify(&event.message) == ProvisioningFault::Credentials
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
fn may(role: &Role, action: &str) -> Option<bool> {
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
