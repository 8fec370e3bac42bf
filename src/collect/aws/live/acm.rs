//! ACM: certificates of load balancers.

use aws_sdk_acm::Client;
use aws_sdk_acm::types;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{document, explain, required};
use crate::collect::source::{AwsCall, FetchError};
use crate::snapshot::aws::{Certificate, DomainValidation, ValidationRecord};

pub(super) async fn send(client: &Client, call: &AwsCall) -> Result<Value, FetchError> {
    let AwsCall::DescribeCertificate { arn } = call else {
        unreachable!("only ACM calls are sent here: {call:?}");
    };
    let answer = client.describe_certificate().certificate_arn(arn).send().await.map_err(|e| explain(call, &e))?;
    let found = required(call, "Certificate", answer.certificate)?;
    document(call, json!({"Certificate": certificate(found)}))
}

fn certificate(found: types::CertificateDetail) -> Certificate {
    let text = |named: Option<&str>| named.unwrap_or_default().to_owned();
    Certificate {
        status: text(found.status.as_ref().map(types::CertificateStatus::as_str)),
        failure_reason: found.failure_reason.map(|r| r.as_str().to_owned()),
        kind: text(found.r#type.as_ref().map(types::CertificateType::as_str)),
        not_after: found.not_after.and_then(|t| Timestamp::from_second(t.secs()).ok()),
        domain_validation_options: found
            .domain_validation_options
            .unwrap_or_default()
            .into_iter()
            .map(|option| DomainValidation {
                validation_status: text(option.validation_status.as_ref().map(types::DomainStatus::as_str)),
                resource_record: option.resource_record.map(|record| ValidationRecord {
                    name: record.name,
                    kind: record.r#type.as_str().to_owned(),
                    value: record.value,
                }),
                domain_name: option.domain_name,
            })
            .collect(),
        certificate_arn: found.certificate_arn.unwrap_or_default(),
        domain_name: found.domain_name.unwrap_or_default(),
        subject_alternative_names: found.subject_alternative_names.unwrap_or_default(),
    }
}
