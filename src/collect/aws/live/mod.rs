//! Asks AWS itself, and answers in the shape the AWS CLI prints.

/// Joins the pages of a list that is XML, whose root the SDK checks: there no list is an empty list.
macro_rules! list {
    ($call:expr, $request:expr) => {
        $request
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<_>, _>>()
            .await
            .map_err(|e| crate::collect::aws::live::errors::explain($call, &e))?
    };
}

mod acm;
mod config;
mod ec2;
mod eks;
mod elbv2;
mod errors;
mod iam;
mod whole;

use std::time::Duration;

use aws_config::SdkConfig;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::collect::source::{AwsCall, FetchError};
use crate::model::{Gap, GapCause};
use errors::{bad_answer, explain};

use whole::Whole;

pub(crate) use config::Chain;
pub(crate) use errors::{LOG_IN, chain_text, find};

/// The AWS services that hold facts about a cluster.
#[derive(Debug)]
pub struct AwsClient {
    has_region: bool,
    acm: aws_sdk_acm::Client,
    eks: aws_sdk_eks::Client,
    ec2: aws_sdk_ec2::Client,
    elbv2: aws_sdk_elasticloadbalancingv2::Client,
    iam: aws_sdk_iam::Client,
    sts: aws_sdk_sts::Client,
    /// The gap that every call shares, once the first call found that there are no credentials.
    no_credentials: OnceCell<Option<Gap>>,
}

/// A client by the standard chain: environment, profile files, SSO, container and instance roles. A `profile` given
/// here wins over credentials in the environment. Asks nothing yet: what is wrong shows at the first call.
pub async fn connect(profile: Option<&str>, region: Option<&str>, timeout: Duration) -> AwsClient {
    let chain = Chain { profile, profile_wins: true, region, timeout };
    AwsClient::new(&chain.load().await)
}

impl AwsClient {
    fn new(config: &SdkConfig) -> Self {
        Self {
            has_region: config.region().is_some(),
            acm: aws_sdk_acm::Client::new(config),
            eks: aws_sdk_eks::Client::new(config),
            ec2: aws_sdk_ec2::Client::from_conf(aws_sdk_ec2::config::Builder::from(config).interceptor(Whole).build()),
            elbv2: aws_sdk_elasticloadbalancingv2::Client::from_conf(
                aws_sdk_elasticloadbalancingv2::config::Builder::from(config).interceptor(Whole).build(),
            ),
            iam: aws_sdk_iam::Client::from_conf(aws_sdk_iam::config::Builder::from(config).interceptor(Whole).build()),
            sts: aws_sdk_sts::Client::from_conf(aws_sdk_sts::config::Builder::from(config).interceptor(Whole).build()),
            no_credentials: OnceCell::new(),
        }
    }

    /// Asks one thing; pages are joined.
    ///
    /// # Errors
    /// `NotFound` only where the service itself says so by its documented error code, a gap for everything else.
    pub async fn call(&self, call: &AwsCall) -> Result<Value, FetchError> {
        if !self.has_region {
            let gap = Gap::new(call.iam_action(), GapCause::NotConfigured, "no AWS region is set");
            return Err(FetchError::Gap(gap.hint("pass --region, set AWS_REGION, or give the profile a region")));
        }
        // Away from AWS, looking for credentials takes seconds and fails each time again. So the first call goes alone,
        // and if it finds none, no other call looks again.
        let mut first = None;
        let look = async || {
            let answer = self.send(call).await;
            let gap = missing_credentials(&answer);
            first = Some(answer);
            gap
        };
        let missing = self.no_credentials.get_or_init(look).await;
        match (first, missing) {
            (Some(answer), _) => answer,
            (None, Some(gap)) => Err(FetchError::Gap(Gap { what: call.iam_action(), ..gap.clone() })),
            (None, None) => self.send(call).await,
        }
    }

    async fn send(&self, call: &AwsCall) -> Result<Value, FetchError> {
        match call.cli_name().0 {
            "eks" => eks::send(&self.eks, call).await,
            "ec2" => ec2::send(&self.ec2, call).await,
            "iam" => iam::send(&self.iam, call).await,
            "acm" => acm::send(&self.acm, call).await,
            "elbv2" => elbv2::send(&self.elbv2, call).await,
            _ => self.caller_identity(call).await,
        }
    }

    async fn caller_identity(&self, call: &AwsCall) -> Result<Value, FetchError> {
        let answer = self.sts.get_caller_identity().send().await.map_err(|e| explain(call, &e))?;
        let arn = required(call, "Arn", answer.arn)?;
        document(call, json!({"UserId": answer.user_id, "Account": answer.account, "Arn": arn}))
    }
}

fn missing_credentials(answer: &Result<Value, FetchError>) -> Option<Gap> {
    match answer {
        Err(FetchError::Gap(gap)) if gap.cause == GapCause::NotConfigured => Some(gap.clone()),
        _ => None,
    }
}

/// What an answer must hold to be one: an empty JSON object from whatever answered is no proof of absence.
fn required<T>(call: &AwsCall, field: &str, value: Option<T>) -> Result<T, FetchError> {
    value.ok_or_else(|| bad_answer(call, &format!("the answer holds no {field}")))
}

/// As JSON without the fields that were not in the answer: the AWS CLI leaves them out too.
fn document(call: &AwsCall, value: impl Serialize) -> Result<Value, FetchError> {
    let mut value = serde_json::to_value(value).map_err(|e| bad_answer(call, &chain_text(&e)))?;
    drop_nulls(&mut value);
    Ok(value)
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
