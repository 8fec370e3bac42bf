//! Tells apart what AWS refused, what AWS does not have, and what was not AWS that answered.

use std::error::Error;

use aws_config::imds::client::error::ImdsError;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_eks::config::http::HttpResponse;
use aws_sdk_eks::error::{ConnectorError, ProvideErrorMetadata, SdkError};

use crate::collect::source::{AwsCall, FetchError, aws_error};
use crate::model::{Gap, GapCause};

pub(crate) const LOG_IN: &str = "set AWS_PROFILE, --profile, or log in with aws sso login";
const LOG_IN_AGAIN: &str = "log in again (aws sso login, or refresh the credentials of the profile)";
const SLOW: &str = "raise --timeout, or check the network path to AWS";
const NO_WAY: &str =
    "check --region, AWS_ENDPOINT_URL, and the network, DNS, proxies and certificates on the way to AWS";
const LONGEST_MESSAGE: usize = 400;

/// Why a call got no answer.
pub(super) fn explain<E>(call: &AwsCall, error: &SdkError<E, HttpResponse>) -> FetchError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    if let Some(service) = error.as_service_error()
        && let Some(code) = service.code()
    {
        return aws_error(call, code, &one_line(service.message().unwrap_or_default()));
    }
    if let Some(response) = error.raw_response() {
        return not_aws(call, response, error);
    }
    if let Some(credentials) = find::<CredentialsError>(error) {
        return no_credentials(call, credentials);
    }
    let (cause, hint) = match error {
        SdkError::TimeoutError(_) => (GapCause::Timeout, SLOW),
        SdkError::DispatchFailure(e) if e.is_timeout() => (GapCause::Timeout, SLOW),
        SdkError::DispatchFailure(_) => (GapCause::Unreachable, NO_WAY),
        _ => (GapCause::BadAnswer, ""),
    };
    FetchError::Gap(Gap::new(call.iam_action(), cause, chain_text(error)).hint(hint))
}

/// An answer without an AWS error code: a proxy, a web page, or an emulator that does not know the operation. Its
/// status proves nothing: a 404 page is not AWS saying that a thing does not exist.
fn not_aws<E>(call: &AwsCall, response: &HttpResponse, error: &SdkError<E, HttpResponse>) -> FetchError
where
    E: Error + 'static,
{
    let status = response.status().as_u16();
    let kind = response.headers().get("content-type").map_or(String::new(), |kind| format!(" ({kind})"));
    let detail = chain_text(error);
    let message = format!("HTTP {status}{kind}: not an AWS answer to {}: {detail}", call.iam_action());
    let hint = "check AWS_ENDPOINT_URL and proxies: something on the way answered that is not this AWS API";
    FetchError::Gap(Gap::new(call.iam_action(), GapCause::BadAnswer, one_line(&message)).hint(hint))
}

/// An answer that AWS would not give.
pub(super) fn bad_answer(call: &AwsCall, message: &str) -> FetchError {
    let gap = Gap::new(call.iam_action(), GapCause::BadAnswer, format!("HTTP 200: {message}"));
    FetchError::Gap(gap.hint("check AWS_ENDPOINT_URL and proxies: something on the way answered that is not AWS"))
}

fn no_credentials(call: &AwsCall, error: &CredentialsError) -> FetchError {
    let transport = find::<ConnectorError>(error);
    // The instance's role is the last resort; other clouds have something else at its address that refuses to answer.
    let no_instance_role = find::<ImdsError>(error).is_some();
    let (cause, hint) = match error {
        CredentialsError::ProviderError(_) if no_instance_role => (GapCause::NotConfigured, LOG_IN),
        // SSO and roles are calls too.
        CredentialsError::ProviderError(_) if transport.is_some_and(ConnectorError::is_timeout) => {
            (GapCause::Timeout, SLOW)
        }
        CredentialsError::ProviderError(_) if transport.is_some_and(ConnectorError::is_io) => {
            (GapCause::Unreachable, NO_WAY)
        }
        // A provider is set up, and its session or keys were refused.
        CredentialsError::ProviderError(_) => (GapCause::Unauthorized, LOG_IN_AGAIN),
        _ => (GapCause::NotConfigured, LOG_IN),
    };
    FetchError::Gap(Gap::new(call.iam_action(), cause, chain_text(error)).hint(hint))
}

/// The first error of a type in the chain.
pub(crate) fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    std::iter::successors(Some(error), |&e| e.source()).find_map(|e| e.downcast_ref::<T>())
}

/// An error and all its sources in one line. Texts that a previous one already holds are left out.
pub(crate) fn chain_text(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for part in std::iter::successors(Some(error), |&e| e.source()) {
        let part = part.to_string();
        if text.is_empty() {
            text = part;
        } else if !text.contains(&part) {
            text = format!("{text}: {part}");
        }
    }
    one_line(&text)
}

/// On one line and no longer than a reader follows.
fn one_line(text: &str) -> String {
    // EC2 appends kilobytes that only another call decodes, the SDK how each provider was not set up.
    let noise = ["Encoded authorization failure message:", " Attempted:\n"];
    let end = noise.iter().filter_map(|n| text.find(n)).min().unwrap_or(text.len());
    let text = &text[..end];
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn joins_the_whole_chain_on_one_line() {
        let error = Outer(std::io::Error::other("connection\n refused"));
        assert_eq!(chain_text(&error), "outer: connection refused");
        assert!(find::<std::io::Error>(&error).is_some());
    }

    #[test]
    fn cuts_what_nobody_can_read() {
        let line = one_line("You are not authorized.  Encoded authorization failure message: x9Kf");
        assert_eq!(line, "You are not authorized.");
        assert_eq!(one_line(&"ä".repeat(1000)).chars().count(), LONGEST_MESSAGE + 1);
    }
}
