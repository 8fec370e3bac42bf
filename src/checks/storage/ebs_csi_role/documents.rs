//! The policies that a working role has.

use serde_json::{Value, json};

use super::Controller;
use crate::domain::aws::trust;

impl Controller<'_> {
    /// The policy that admits the controller and nobody else.
    pub(super) fn trust_policy(&self) -> String {
        trust::document(self.trust_statement())
    }

    /// The statement that admits the controller and nobody else.
    pub(super) fn trust_statement(&self) -> Value {
        let issuer = self.cluster.issuer_host_path();
        trust::irsa_statement(&self.place.provider_arn(issuer), issuer, &self.namespace, &self.account)
    }

    /// The same for Pod Identity.
    pub(super) fn session_statement(&self) -> Value {
        trust::session_statement(&self.session())
    }

    /// What the driver may do with a key: no more than EBS asks of it. A policy names keys, not aliases.
    pub(super) fn kms_policy(&self, key: Option<&str>) -> String {
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
    pub(super) fn session(&self) -> trust::Session<'_> {
        trust::Session {
            cluster_arn: &self.cluster.arn,
            cluster: &self.cluster.name,
            account: self.cluster.account().unwrap_or_default(),
            namespace: &self.namespace,
            service_account: &self.account,
        }
    }
}
