//! IAM: OIDC providers, roles and the policies on them.

use aws_sdk_iam::Client;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::{bad_answer, document, explain, required};
use crate::collect::source::{AwsCall, FetchError};
use crate::snapshot::aws::OidcProvider;

pub(super) async fn send(client: &Client, call: &AwsCall) -> Result<Value, FetchError> {
    match call {
        AwsCall::ListOpenIdConnectProviders => {
            let answer = client.list_open_id_connect_providers().send().await.map_err(|e| explain(call, &e))?;
            let found = answer.open_id_connect_provider_list.unwrap_or_default();
            let found: Vec<_> = found.into_iter().map(|p| json!({"Arn": p.arn})).collect();
            document(call, json!({"OpenIDConnectProviderList": found}))
        }
        AwsCall::GetOpenIdConnectProvider { arn } => {
            let request = client.get_open_id_connect_provider().open_id_connect_provider_arn(arn);
            let answer = request.send().await.map_err(|e| explain(call, &e))?;
            let url = required(call, "Url", answer.url)?;
            document(call, OidcProvider { arn: String::new(), url, client_id_list: answer.client_id_list })
        }
        AwsCall::GetPolicy { arn } => {
            let answer = client.get_policy().policy_arn(arn).send().await.map_err(|e| explain(call, &e))?;
            let policy = required(call, "Policy", answer.policy)?;
            document(call, json!({"Policy": {"Arn": policy.arn, "DefaultVersionId": policy.default_version_id}}))
        }
        AwsCall::GetPolicyVersion { arn, version } => {
            let request = client.get_policy_version().policy_arn(arn).version_id(version);
            let answer = request.send().await.map_err(|e| explain(call, &e))?;
            let version = required(call, "PolicyVersion", answer.policy_version)?;
            let policy = policy_document(call, &required(call, "Document", version.document)?)?;
            document(call, json!({"PolicyVersion": {"Document": policy, "VersionId": version.version_id}}))
        }
        _ => role(client, call).await,
    }
}

async fn role(client: &Client, call: &AwsCall) -> Result<Value, FetchError> {
    match call {
        AwsCall::GetRole { name } => {
            let answer = client.get_role().role_name(name).send().await.map_err(|e| explain(call, &e))?;
            let role = required(call, "Role", answer.role)?;
            let trust = required(call, "AssumeRolePolicyDocument", role.assume_role_policy_document)?;
            let trust = policy_document(call, &trust)?;
            let boundary = role.permissions_boundary.and_then(|b| b.permissions_boundary_arn);
            let boundary = boundary.map(|arn| json!({"PermissionsBoundaryArn": arn}));
            let role = json!({"RoleName": role.role_name, "Arn": role.arn, "AssumeRolePolicyDocument": trust,
                "PermissionsBoundary": boundary});
            document(call, json!({"Role": role}))
        }
        AwsCall::ListAttachedRolePolicies { role } => {
            let request = client.list_attached_role_policies().role_name(role);
            let found = list!(call, request).into_iter();
            let found: Vec<_> =
                found.map(|p| json!({"PolicyName": p.policy_name, "PolicyArn": p.policy_arn})).collect();
            document(call, json!({"AttachedPolicies": found}))
        }
        AwsCall::ListRolePolicies { role } => {
            let request = client.list_role_policies().role_name(role);
            document(call, json!({"PolicyNames": list!(call, request)}))
        }
        AwsCall::GetRolePolicy { role, policy } => {
            let request = client.get_role_policy().role_name(role).policy_name(policy);
            let answer = request.send().await.map_err(|e| explain(call, &e))?;
            let policy = policy_document(call, &answer.policy_document)?;
            let (role, name) = (answer.role_name, answer.policy_name);
            document(call, json!({"RoleName": role, "PolicyName": name, "PolicyDocument": policy}))
        }
        _ => unreachable!("only IAM calls are sent here: {call:?}"),
    }
}

/// A policy as JSON. IAM sends it URL-encoded; some emulators send it as it is.
fn policy_document(call: &AwsCall, text: &str) -> Result<Value, FetchError> {
    let no_policy = |reason: String| bad_answer(call, &format!("the policy document cannot be read: {reason}"));
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(|e| no_policy(e.to_string()));
    }
    let decoded = percent_decode_str(text).decode_utf8().map_err(|e| no_policy(e.to_string()))?;
    serde_json::from_str(&decoded).map_err(|e| no_policy(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::GapCause;

    fn call() -> AwsCall {
        AwsCall::GetRole { name: "r".into() }
    }

    #[test]
    fn decodes_policies() {
        // RFC 3986: a plus is a plus.
        let encoded = "%7B%22Version%22%3A%222012-10-17%22%2C%22Sid%22%3A%22a+b%20%2B%22%7D";
        let expected = json!({"Version": "2012-10-17", "Sid": "a+b +"});
        assert_eq!(policy_document(&call(), encoded).expect("encoded policy"), expected);
        let plain = policy_document(&call(), "{\"Sid\": \"100%25\"}").expect("plain policy");
        assert_eq!(plain, json!({"Sid": "100%25"}));
    }

    #[test]
    fn a_broken_policy_is_a_bad_answer() {
        for text in ["", "%7B", "%ff%fe", "<html>"] {
            match policy_document(&call(), text) {
                Err(FetchError::Gap(gap)) => assert_eq!(gap.cause, GapCause::BadAnswer, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }
}
