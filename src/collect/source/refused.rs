//! Errors of a source: as they come from the outside, and as a capture keeps them.

use serde_json::{Value, json};

use super::FetchError;
use crate::collect::source::request::{App, AwsCall, Request};
use crate::model::{Gap, GapCause};

/// Reads an error document: a Kubernetes Status, or `{code, message}` of a bundle's `.error.json`.
pub(crate) fn error_from_document(request: &Request, document: &Value) -> FetchError {
    let text = |key: &str| document.get(key).and_then(Value::as_str).unwrap_or_default();
    let message = text("message").to_owned();
    // Written by hand, a number may be a text.
    let as_number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
    let number = |key: &str| document.get(key).and_then(as_number);
    let reason = [text("reason"), text("code")].into_iter().find(|r| !r.is_empty()).unwrap_or_default();
    let status = number("code").or_else(|| number("status")).or_else(|| number("statusCode"));
    if let Some(error) = captured_error(request, document) {
        return error;
    }
    match request {
        Request::Aws(call) => aws_error(call, if reason.is_empty() { code_of(status) } else { reason }, &message),
        _ => http_error(request, status.and_then(|s| u16::try_from(s).ok()).unwrap_or(0), reason, &message),
    }
}

/// The code that a status alone stands for. That something does not exist is never told by a status: a proxy or a wrong
/// endpoint says 404 as well.
fn code_of(status: Option<u64>) -> &'static str {
    match status {
        Some(401) => "UnrecognizedClientException",
        Some(403) => "AccessDenied",
        Some(429) => "Throttling",
        _ => "",
    }
}

/// An error as a capture keeps it; [`error_from_document`] reads it.
pub(crate) fn error_document(request: &Request, error: &FetchError) -> Value {
    let gap = match error {
        FetchError::NotFound(message) => return json!({"cause": "not-found", "message": message}),
        FetchError::Expired(message) => return json!({"cause": "expired", "message": message}),
        FetchError::Gap(gap) => gap,
    };
    let mut document = json!({"cause": gap.cause.as_str(), "message": gap.message});
    if let GapCause::Forbidden { permission } = &gap.cause {
        document["permission"] = permission.as_str().into();
    }
    if !gap.hint.is_empty() {
        document["hint"] = gap.hint.as_str().into();
    }
    if gap.what != request.label() {
        document["what"] = gap.what.as_str().into();
    }
    document
}

/// `{cause, message, hint}`.
fn captured_error(request: &Request, document: &Value) -> Option<FetchError> {
    let text = |key: &str| document.get(key).and_then(Value::as_str);
    let message = text("message").unwrap_or_default().to_owned();
    let cause = match text("cause")? {
        "not-found" => return Some(FetchError::NotFound(message)),
        "expired" => return Some(FetchError::Expired(message)),
        "forbidden" => {
            GapCause::Forbidden { permission: text("permission").map_or_else(|| permission_of(request), str::to_owned) }
        }
        word => GapCause::of_word(word)?,
    };
    let what = text("what").map_or_else(|| request.label(), str::to_owned);
    Some(FetchError::Gap(Gap::new(what, cause, message).hint(text("hint").unwrap_or_default())))
}

/// An AWS error by its code, as the services name them.
pub(crate) fn aws_error(call: &AwsCall, code: &str, message: &str) -> FetchError {
    let what = call.iam_action();
    let told = if code.is_empty() { message.to_owned() } else { format!("{code}: {message}") };
    match code {
        "ResourceNotFoundException" | "NoSuchEntity" | "NoSuchEntityException" => FetchError::NotFound(message.into()),
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" | "Client.UnauthorizedOperation" => {
            let hint = format!("allow {what} for the identity that runs kdoctor");
            FetchError::Gap(Gap::new(&what, GapCause::Forbidden { permission: what.clone() }, message).hint(hint))
        }
        "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "AuthFailure"
        | "RequestExpired"
        | "SignatureDoesNotMatch"
        | "InvalidSignatureException" => FetchError::Gap(
            Gap::new(&what, GapCause::Unauthorized, told)
                .hint("log in again (aws sso login, or refresh the credentials of the profile)"),
        ),
        "Throttling" | "ThrottlingException" | "RequestLimitExceeded" | "TooManyRequestsException" => {
            FetchError::Gap(Gap::new(&what, GapCause::Throttled, told).hint("run it again later"))
        }
        _ => FetchError::Gap(Gap::new(&what, GapCause::BadAnswer, told)),
    }
}

/// An HTTP error by its status.
pub(crate) fn http_error(request: &Request, status: u16, reason: &str, message: &str) -> FetchError {
    let what = request.label();
    let one_line = message.lines().next().unwrap_or_default().chars().take(300).collect::<String>();
    let gap = |cause, hint: &str| FetchError::Gap(Gap::new(&what, cause, one_line.clone()).hint(hint));
    // Without a reason it is Grafana that speaks, not the API server.
    if matches!(request, Request::App { app: App::Grafana, .. }) && matches!((status, reason), (401 | 403, "")) {
        return gap(
            GapCause::NotConfigured,
            "set KDOCTOR_GRAFANA_TOKEN, or give --grafana-token, with that of a service account of role Admin",
        );
    }
    match (status, reason) {
        (404, _) | (0, "NotFound") => FetchError::NotFound(one_line),
        (410, _) | (0, "Expired" | "Gone") => FetchError::Expired(one_line),
        (403, _) | (0, "Forbidden") => {
            let permission = permission_of(request);
            let hint = format!("grant {permission} to the identity that runs kdoctor");
            gap(GapCause::Forbidden { permission }, &hint)
        }
        (401, _) | (0, "Unauthorized") => {
            gap(GapCause::Unauthorized, "the credentials were refused: log in again, or choose another --context")
        }
        (429, _) | (0, "TooManyRequests") => {
            gap(GapCause::Throttled, "the API server is overloaded: run it again later")
        }
        (504, _) | (0, "Timeout") => gap(GapCause::Timeout, "raise --timeout"),
        (502 | 503, _) => gap(GapCause::Unreachable, ""),
        _ if status > 0 => {
            let message = format!("HTTP {status}: {one_line}");
            FetchError::Gap(Gap::new(&what, GapCause::BadAnswer, message))
        }
        _ => FetchError::Gap(Gap::new(&what, GapCause::BadAnswer, one_line)),
    }
}

/// The RBAC permission that a request takes, in words: `list pods in namespace monitoring`.
pub(super) fn permission_of(request: &Request) -> String {
    let in_namespace = |ns: &str| format!(" in namespace {ns}");
    match request {
        Request::Kubernetes { path, .. } => {
            let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
            let (group, rest) = match parts.as_slice() {
                ["api", _, rest @ ..] => ("", rest),
                ["apis", group, _, rest @ ..] => (*group, rest),
                other => ("", other),
            };
            let (place, rest) = match rest {
                ["namespaces", ns, rest @ ..] if !rest.is_empty() => (in_namespace(ns), rest),
                rest => (" at cluster scope".to_owned(), rest),
            };
            let resource = rest.first().copied().unwrap_or("?");
            let group = if group.is_empty() { String::new() } else { format!(".{group}") };
            let verb = if rest.len() > 1 { "get" } else { "list" };
            format!("{verb} {resource}{group}{place}")
        }
        Request::Log { namespace, .. } => format!("get pods/log{}", in_namespace(namespace)),
        Request::Exec { namespace, .. } => format!("create pods/exec{}", in_namespace(namespace)),
        Request::PortForward { namespace, .. } => format!("create pods/portforward{}", in_namespace(namespace)),
        Request::App { at: Some(at), .. } => format!("get services/proxy{}", in_namespace(&at.namespace)),
        Request::Service { namespace, .. } => format!("get services/proxy{}", in_namespace(namespace)),
        Request::App { app, .. } => format!("access to {}", app.as_str()),
        Request::Aws(call) => call.iam_action(),
    }
}
