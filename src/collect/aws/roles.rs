//! IAM roles that the stack uses, with their policies.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use serde::Deserialize;
use serde_json::Value;

use super::ask::{field, list};
use crate::collect::Plan;
use crate::collect::client::Client;
use crate::collect::source::{AwsCall, FetchError};
use crate::domain::manifests::roles;
use crate::model::{Fact, Gap, GapCause};
use crate::snapshot::aws::{Role, arn};
use crate::snapshot::{Fetched, Reading, Snapshot};

/// Roles that are read at most.
const MAX_ROLES: usize = 24;

/// Reads the roles that the EBS CSI driver and the ServiceAccounts in scope may run with.
pub(in crate::collect) async fn roles(client: &Client, plan: &Plan, snap: &mut Snapshot) {
    if !plan.wants(Fact::IamRoles) {
        return;
    }
    // Without the cluster nothing of AWS could be asked.
    if let Err(gap) = snap.eks_cluster() {
        *snap.iam_roles = Err(gap);
        return;
    }
    let own = snap.target.account.clone();
    let nobody = snap.caller_identity.as_ref().err().filter(|g| !g.is_not_collected()).cloned();
    let arns = role_arns(snap);
    let reads = arns.into_iter().map(|arn| {
        let (own, nobody) = (own.clone(), nobody.clone());
        async move {
            let (role, mut gaps) = match (read_role(client, &arn, own.as_deref()).await, nobody) {
                // Of another account it would look absent, too.
                (Ok((None, _)), Some(gap)) => (Err(gap), Vec::new()),
                (Ok((role, gaps)), _) => (Ok(role), gaps),
                (Err(gap), _) => (Err(gap), Vec::new()),
            };
            gaps.extend(role.as_ref().err().cloned());
            ((arn, role), gaps)
        }
    });
    let (roles, gaps): (BTreeMap<_, _>, Vec<_>) = join_all(reads).await.into_iter().unzip();
    snap.iam_roles = Reading::with_holes(Ok(roles), gaps.into_iter().flatten().collect());
}

/// The driver's own roles and those that files name, then those of the nodes and of other ServiceAccounts as far as the limit goes.
fn role_arns(snap: &Snapshot) -> BTreeSet<String> {
    let accounts = snap.service_accounts.items().unwrap_or_default().iter();
    let annotated = accounts
        .filter(|a| a.metadata.namespace == "kube-system" && a.metadata.name.contains("ebs-csi"))
        .filter_map(|a| a.role_arn().map(str::to_owned));
    let addons = snap.eks_addons.iter().flatten();
    let of_addons =
        addons.filter(|a| a.addon_name == "aws-ebs-csi-driver").filter_map(|a| a.service_account_role_arn.clone());
    let associations = snap.pod_identity_associations.iter().flatten();
    let of_identity = associations.filter_map(|a| a.role_arn.clone());
    let of_nodes = snap.eks_nodegroups.iter().flatten().map(|n| n.node_role.clone());
    let others = snap.service_accounts.items().unwrap_or_default().iter().filter_map(|a| a.role_arn());
    let of_files = roles::of(snap).into_iter().map(|asked| asked.arn.to_owned());
    let all = annotated.chain(of_addons).chain(of_files).chain(of_identity).chain(of_nodes);
    let all = all.chain(others.map(str::to_owned));
    let mut arns = BTreeSet::new();
    for arn in all.filter(|a| a.contains(":role/")) {
        if arns.len() < MAX_ROLES {
            arns.insert(arn);
        }
    }
    arns
}

/// A role, if it exists, and what of it could not be read.
async fn read_role(client: &Client, arn: &str, own_account: Option<&str>) -> Fetched<(Option<Role>, Vec<Gap>)> {
    let account = arn::account(arn);
    if let (Some(own), Some(account)) = (own_account, account)
        && own != account
    {
        // Seen from here it would look absent: IAM answers for the caller's account only.
        let message = format!("role {arn} belongs to another account than the credentials ({own})");
        return Err(Gap::new("iam:GetRole", GapCause::NotConfigured, message));
    }
    let name = arn.rsplit('/').next().unwrap_or(arn).to_owned();
    let role: Value = match field(client, AwsCall::GetRole { name: name.clone() }, "Role").await {
        Ok(role) => role,
        Err(FetchError::NotFound(_)) => return Ok((None, Vec::new())),
        Err(error) => return Err(error.into_gap("iam:GetRole")),
    };
    let trust_policy = role.get("AssumeRolePolicyDocument").filter(|d| d.is_object()).cloned();
    let trust_policy = trust_policy.ok_or_else(|| {
        Gap::new("iam:GetRole", GapCause::BadAnswer, format!("the answer for {arn} has no trust policy"))
    })?;
    let (attached, inline) = futures::join!(attached_policies(client, &name), inline_policies(client, &name));
    let boundary = role.pointer("/PermissionsBoundary/PermissionsBoundaryArn").and_then(Value::as_str);
    let to_read = attached.iter().flatten().map(String::as_str).chain(boundary).filter(|a| !is_aws_managed(a));
    let mut managed_documents = BTreeMap::new();
    let mut gaps: Vec<Gap> = [attached.as_ref().err(), inline.as_ref().err()].into_iter().flatten().cloned().collect();
    for document in join_all(to_read.map(|a| managed_document(client, a))).await {
        match document {
            Ok((arn, text)) => {
                managed_documents.insert(arn, text);
            }
            Err(gap) => gaps.push(gap),
        }
    }
    let role = Role {
        name,
        arn: arn.to_owned(),
        trust_policy,
        attached_policies: attached.ok(),
        inline_policies: inline.ok(),
        permissions_boundary: boundary.map(str::to_owned),
        managed_documents,
    };
    Ok((Some(role), gaps))
}

fn is_aws_managed(policy_arn: &str) -> bool {
    arn::account(policy_arn) == Some("aws")
}

async fn attached_policies(client: &Client, role: &str) -> Fetched<Vec<String>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Attached {
        policy_arn: String,
    }
    let call = AwsCall::ListAttachedRolePolicies { role: role.to_owned() };
    let found: Vec<Attached> = list(client, call, "AttachedPolicies").await?;
    Ok(found.into_iter().map(|a| a.policy_arn).collect())
}

async fn inline_policies(client: &Client, role: &str) -> Fetched<BTreeMap<String, Value>> {
    let names: Vec<String> = list(client, AwsCall::ListRolePolicies { role: role.to_owned() }, "PolicyNames").await?;
    let reads = names.into_iter().map(|policy| async move {
        let call = AwsCall::GetRolePolicy { role: role.to_owned(), policy: policy.clone() };
        let document = field::<Value>(client, call, "PolicyDocument").await;
        match document.map_err(|e| e.into_gap("iam:GetRolePolicy"))? {
            document if document.is_object() => Ok((policy, document)),
            _ => Err(Gap::new("iam:GetRolePolicy", GapCause::BadAnswer, format!("policy {policy} is no document"))),
        }
    });
    join_all(reads).await.into_iter().collect()
}

async fn managed_document(client: &Client, arn: &str) -> Fetched<(String, Value)> {
    let lacks =
        |what: &str, field: &str| Gap::new(what, GapCause::BadAnswer, format!("the answer for {arn} has no {field}"));
    let policy: Value = field(client, AwsCall::GetPolicy { arn: arn.to_owned() }, "Policy")
        .await
        .map_err(|e| e.into_gap("iam:GetPolicy"))?;
    let version = policy.get("DefaultVersionId").and_then(Value::as_str);
    let version = version.ok_or_else(|| lacks("iam:GetPolicy", "DefaultVersionId"))?.to_owned();
    let call = AwsCall::GetPolicyVersion { arn: arn.to_owned(), version };
    let version: Value = field(client, call, "PolicyVersion").await.map_err(|e| e.into_gap("iam:GetPolicyVersion"))?;
    let document =
        version.get("Document").filter(|d| d.is_object()).ok_or_else(|| lacks("iam:GetPolicyVersion", "Document"))?;
    Ok((arn.to_owned(), document.clone()))
}
