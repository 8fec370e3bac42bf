//! Why a notification failed, told from Alertmanager's error in the wording of its versions.

use std::net::IpAddr;

use crate::domain::text::tls_error::TlsCause;

/// The family of a failed notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// No answer: `context deadline exceeded`, `i/o timeout`.
    Timeout,
    /// The name does not exist.
    NoSuchHost,
    /// DNS itself failed.
    Dns,
    /// `no route to host`, `network is unreachable`.
    NoRoute,
    /// Refused or reset by who is there.
    Refused,
    /// Certificate not trusted, expired, for another name.
    Certificate,
    /// One side speaks TLS, the other does not.
    PlainHttp,
    /// The egress proxy refused or could not be reached.
    Proxy,
    /// Sent elsewhere: a login page, a redirect loop.
    Redirect,
    /// The credential is wrong or revoked (401, 403, `invalid_token`, `no_service`, routing key, SMTP 535).
    Auth,
    /// The channel does not exist, is archived, or the app is not in it.
    Channel,
    /// The workspace does not let the app post: its administrators decide, not the channel's name.
    Policy,
    /// A webhook of Teams' connectors, which Microsoft has retired.
    Retired,
    /// A workflow of Teams got the card of a connector.
    OldCard,
    /// The message was refused (400 and the like).
    Payload,
    /// The path does not exist there (404).
    NotFound,
    /// Too many messages.
    RateLimit,
    /// The other side failed (5xx).
    Server,
    /// The SMTP server offers no STARTTLS, or it failed.
    StartTls,
    /// The password was not sent: the connection has no TLS, or goes to another name than it is for.
    Unsent,
    /// No usable AWS credentials.
    AwsCredentials,
    /// The AWS identity is known, and may not publish.
    AwsDenied,
    /// The notification template does not work.
    Template,
    /// A file with a URL or key cannot be read.
    File,
    /// What is configured as URL is none: empty, without a scheme, with a line break.
    Url,
    /// Anything else.
    Other,
}

/// Words of Slack's answers that mean: this webhook or token is not valid any more.
const SLACK_AUTH: &[&str] = &[
    "invalid_token",
    "no_service",
    "no_team",
    "no_active_hooks",
    "team_disabled",
    "token_revoked",
    "token_expired",
    "account_inactive",
    "invalid_auth",
    "not_authed",
    "user_not_found",
    "missing_scope",
];
/// … the channel is the problem.
const SLACK_CHANNEL: &[&str] = &["channel_not_found", "channel_is_archived", "is_archived", "not_in_channel"];
/// … the workspace's administrators have restricted who may post.
const SLACK_POLICY: &[&str] = &[
    "action_prohibited",
    "posting_to_general_channel_denied",
    "channel_is_limited_access",
    "restricted_action",
    "team_access_not_granted",
    "ekm_access_denied",
    "org_login_required",
];
/// … the message is the problem.
const SLACK_PAYLOAD: &[&str] =
    &["invalid_payload", "no_text", "invalid_blocks", "invalid_attachments", "too_many_attachments", "msg_too_long"];

impl Cause {
    /// Reads the cause of a failure of an integration.
    pub(crate) fn classify(cause: &str, integration: &str) -> Self {
        let has = |part: &str| cause.contains(part);
        let any = |parts: &[&str]| parts.iter().any(|p| cause.contains(p));
        if has("template:") && any(&["executing", "not defined", "unexpected", "function"]) {
            return Self::Template;
        }
        if has("open ") && any(&["no such file or directory", "permission denied"]) {
            return Self::File;
        }
        if any(&[
            "invalid control character in URL",
            "unsupported protocol scheme",
            "missing protocol scheme",
            "first path segment in URL cannot contain colon",
            "no Host in request URL",
        ]) {
            return Self::Url;
        }
        if has("proxyconnect") || status(cause) == Some(407) || has("Proxy Authentication Required") {
            return Self::Proxy;
        }
        if let Some(reason) = Self::of_answer(cause, integration) {
            return reason;
        }
        if let Some(reason) = Self::of_mail(cause, integration) {
            return reason;
        }
        Self::of_tls(cause).or_else(|| Self::of_transport(cause)).unwrap_or_else(|| Self::of_aws(cause))
    }

    /// What an HTTP answer says.
    fn of_answer(cause: &str, integration: &str) -> Option<Self> {
        let any = |parts: &[&str]| parts.iter().any(|p| cause.contains(p));
        if integration == "slack" || integration == "mattermost" {
            let words = [
                (SLACK_POLICY, Self::Policy),
                (SLACK_AUTH, Self::Auth),
                (SLACK_CHANNEL, Self::Channel),
                (SLACK_PAYLOAD, Self::Payload),
            ];
            if let Some((_, reason)) = words.iter().find(|(words, _)| any(words)) {
                return Some(*reason);
            }
        }
        if integration == "telegram" {
            return Some(Self::of_telegram(cause)).filter(|r| *r != Self::Other);
        }
        if integration == "discord" && any(&["Unknown Webhook", "Invalid Webhook Token"]) {
            return Some(Self::Auth);
        }
        if integration == "sns" {
            // The SDK's status stands in one line with the error's code, which says more.
            return None;
        }
        let status = status(cause)?;
        // A workflow is alive: it only does not take the cards that the connectors took.
        let workflow = any(&["TriggerInputSchemaMismatch", "logic.azure.com", "powerplatform.com"]);
        if integration == "msteams" && workflow && status == 400 {
            return Some(Self::OldCard);
        }
        if integration == "msteams"
            && !workflow
            && (matches!(status, 400 | 403 | 404 | 410) || any(&["O365ConnectorDeprecation"]))
        {
            return Some(Self::Retired);
        }
        Some(match status {
            300..=399 => Self::Redirect,
            401 | 403 => Self::Auth,
            429 => Self::RateLimit,
            404 | 405 | 410 => Self::NotFound,
            // Another path of the same host, which takes no messages.
            400..=499 if any(&["only GET allowed", "only POST allowed", "ethod not allowed", "ethod Not Allowed"]) => {
                Self::NotFound
            }
            400..=499
                if any(&[
                    "Key format is not valid",
                    "Could not authenticate",
                    "routing key",
                    "routing_key",
                    "Invalid token",
                    "invalid token",
                    "api key",
                    "API key",
                    "apiKey",
                    "Unauthorized",
                ]) =>
            {
                Self::Auth
            }
            // Version 1 of PagerDuty's API calls the key so; one that is missing there was meant for version 2.
            400..=499 if integration == "pagerduty" && cause.contains("Service key") && !cause.contains("be blank") => {
                Self::Auth
            }
            400..=499 => Self::Payload,
            500..=599 => Self::Server,
            _ => Self::Other,
        })
    }

    /// Telegram's own words, with its code in parentheses.
    fn of_telegram(cause: &str) -> Self {
        let any = |parts: &[&str]| parts.iter().any(|p| cause.contains(p));
        if any(&["Unauthorized (401)", "Not Found (404)"]) {
            return Self::Auth;
        }
        if any(&["chat not found", "bot was", "bot is not", "supergroup", "user is deactivated", "rights", "initiate"])
        {
            return Self::Channel;
        }
        if any(&["Too Many Requests", "(429)", "retry after"]) {
            return Self::RateLimit;
        }
        if any(&["Bad Request", "(400)"]) { Self::Payload } else { Self::Other }
    }

    fn of_mail(cause: &str, integration: &str) -> Option<Self> {
        let any = |parts: &[&str]| parts.iter().any(|p| cause.contains(p));
        if integration != "email" {
            return None;
        }
        let of_certificate = |fault| !matches!(fault, TlsCause::PlainHttp | TlsCause::Other);
        if TlsCause::read(cause).is_some_and(of_certificate) || any(&["x509:"]) {
            return Some(Self::Certificate);
        }
        if any(&["530 5.7.0 Must issue a STARTTLS"]) || !any(&["530 "]) && any(&["STARTTLS", "starttls", "startTLS"]) {
            return Some(Self::StartTls);
        }
        let too_much = [
            "Too many login attempts",
            "Too many messages",
            "sending quota exceeded",
            "user sending quota",
            "sending limit",
            "sending rate exceeded",
            "Throttling failure",
            "421 4.7.",
            "450 4.2.1",
            "550 5.4.5",
        ];
        if any(&too_much) {
            return Some(Self::RateLimit);
        }
        if any(&["wrong host name", "unencrypted connection"]) {
            return Some(Self::Unsent);
        }
        if any(&["auth: ", "Auth auth", "535 ", "534 ", "530 ", "unknown auth mechanism"]) {
            return Some(Self::Auth);
        }
        any(&["550 ", "551 ", "553 ", "554 ", "RCPT", "rcpt", "501 "]).then_some(Self::Payload)
    }

    fn of_tls(cause: &str) -> Option<Self> {
        let any = |parts: &[&str]| parts.iter().any(|p| cause.contains(p));
        match TlsCause::read(cause) {
            Some(TlsCause::PlainHttp) => Some(Self::PlainHttp),
            Some(TlsCause::Other) | None => {
                any(&["x509:", "certificate", "tls: handshake failure", "remote error: tls"])
                    .then_some(Self::Certificate)
            }
            Some(_) => Some(Self::Certificate),
        }
    }

    fn of_transport(cause: &str) -> Option<Self> {
        let any = |parts: &[&str]| parts.iter().any(|p| cause.contains(p));
        if any(&["no such host"]) {
            return Some(Self::NoSuchHost);
        }
        let lookup_failed = cause.contains("lookup ") && any(&["timeout", "refused", "unreachable", "no route"]);
        if lookup_failed || any(&["server misbehaving", "Temporary failure in name resolution"]) {
            return Some(Self::Dns);
        }
        if any(&["no route to host", "network is unreachable"]) {
            return Some(Self::NoRoute);
        }
        if any(&["connection refused", "connection reset", "broken pipe", "unexpected EOF"]) || cause.ends_with("EOF") {
            return Some(Self::Refused);
        }
        if any(&["stopped after"]) && any(&["redirects"]) {
            return Some(Self::Redirect);
        }
        let timeouts = [
            "context deadline exceeded",
            "i/o timeout",
            "Client.Timeout",
            "TLS handshake timeout",
            "connection timed out",
        ];
        any(&timeouts).then_some(Self::Timeout)
    }

    fn of_aws(cause: &str) -> Self {
        let words = [
            "NoCredentialProviders",
            "get credentials",
            "refresh cached credentials",
            "InvalidClientTokenId",
            "ExpiredToken",
            "SignatureDoesNotMatch",
            "AssumeRole",
        ];
        let denied = ["AccessDenied", "AuthorizationError", "is not authorized to perform", "KMSAccessDenied"];
        if denied.iter().any(|w| cause.contains(w)) && !cause.contains("AssumeRole") {
            return Self::AwsDenied;
        }
        if cause.contains("Throttl") {
            return Self::RateLimit;
        }
        if ["InvalidParameter", "InvalidArn"].iter().any(|w| cause.contains(w)) {
            return Self::Payload;
        }
        if ["NotFound", "NonExistentTopic"].iter().any(|w| cause.contains(w)) {
            return Self::NotFound;
        }
        if words.iter().any(|w| cause.contains(w)) { Self::AwsCredentials } else { Self::Other }
    }

    /// Failures that a missing way to the internet can cause.
    pub(crate) fn may_be_egress(self) -> bool {
        matches!(self, Self::Timeout | Self::NoSuchHost | Self::Dns | Self::NoRoute)
    }

    /// Failures that a Service without endpoints, or that does not exist, can cause.
    pub(crate) fn may_be_service(self) -> bool {
        self.may_be_egress() || matches!(self, Self::Refused | Self::Server)
    }
}

/// The HTTP status that was answered.
pub(crate) fn status(cause: &str) -> Option<u16> {
    let at = ["unexpected status code ", "status code: ", "StatusCode: ", "status code "];
    at.iter().find_map(|words| {
        let rest = cause.split_once(words)?.1;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    })
}

/// The host that was asked, from `lookup <host>`, or the URL of the request.
pub(crate) fn host(cause: &str) -> Option<String> {
    if let Some((_, rest)) = cause.split_once("lookup ") {
        let name = rest.split([' ', ':']).next().unwrap_or_default().trim_end_matches('.');
        return (!name.is_empty()).then(|| name.to_owned());
    }
    let (_, rest) = cause.split_once("://")?;
    let authority = rest.split(['/', '"', '?', ' ']).next()?;
    let host = authority.rsplit('@').next()?.split(':').next()?;
    (!host.is_empty()).then(|| host.to_owned())
}

/// Scheme, host and port of the URL that an error names: `https://id.corp:8443/`.
pub(crate) fn origin(cause: &str) -> Option<String> {
    let (before, rest) = cause.split_once("://")?;
    let scheme = ["https", "http"].into_iter().find(|s| before.ends_with(s))?;
    let authority = rest.split(['/', '"', '\\', '?', ' ']).next()?;
    let host = authority.rsplit('@').next().filter(|h| !h.is_empty())?;
    Some(format!("{scheme}://{host}/"))
}

/// The address that was dialled, from `dial tcp <address>:<port>`.
pub(crate) fn address(cause: &str) -> Option<IpAddr> {
    let (_, rest) = cause.split_once("dial tcp ")?;
    let socket = rest.split(' ').next()?.trim_end_matches(':');
    socket.parse::<std::net::SocketAddr>().ok().map(|s| s.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_keeps_scheme_and_port_and_no_login() {
        let of = |text: &str| origin(text);
        let plain = r#"Post "http://u:p@id.corp:8080/token?x=1": dial tcp: lookup id.corp: no such host"#;
        assert_eq!(of(plain).as_deref(), Some("http://id.corp:8080/"));
        assert_eq!(of(r#"Post \"https://id.corp/token\": EOF"#).as_deref(), Some("https://id.corp/"));
        assert_eq!(of("dial tcp: lookup id.corp: no such host"), None);
    }

    #[test]
    fn tells_the_families_in_the_wording_of_every_version() {
        let cases = [
            ("slack", r#"Post "<redacted>": context deadline exceeded"#, Cause::Timeout),
            ("slack", "context deadline exceeded", Cause::Timeout),
            (
                "slack",
                r#"Post "https://hooks.slack.com/services/R": dial tcp 3.68.175.98:443: i/o timeout"#,
                Cause::Timeout,
            ),
            (
                "slack",
                r#"Post "<redacted>": dial tcp: lookup hooks.slack.com on 172.20.0.10:53: no such host"#,
                Cause::NoSuchHost,
            ),
            (
                "slack",
                r#"Post "<redacted>": dial tcp: lookup hooks.slack.com on 172.20.0.10:53: server misbehaving"#,
                Cause::Dns,
            ),
            (
                "slack",
                "dial tcp: lookup hooks.slack.com on 172.20.0.10:53: read udp 10.0.1.9:4->172.20.0.10:53: i/o timeout",
                Cause::Dns,
            ),
            ("slack", r#"Post "<redacted>": dial tcp 10.0.1.30:443: connect: connection refused"#, Cause::Refused),
            ("webhook", "unexpected status code 400: http://jiralert:9097/alerts: only GET allowed", Cause::NotFound),
            (
                "pagerduty",
                r#"unexpected status code 400: {"status":"invalid event","message":"Event object is invalid","errors":["Length of 'routing_key' is incorrect (should be 32 characters)"]}"#,
                Cause::Auth,
            ),
            (
                "pagerduty",
                "unexpected status code 400: Event object is invalid: Service key is the wrong length (should be 32 characters),Service key can't contain line feeds",
                Cause::Auth,
            ),
            (
                "pagerduty",
                "unexpected status code 400: Event object is invalid: Service key can't be blank",
                Cause::Payload,
            ),
            ("slack", r##"channel "#a": unexpected status code 404: no_service"##, Cause::Auth),
            ("slack", r##"channel "#a": unexpected status code 404: no_team"##, Cause::Auth),
            ("slack", r##"channel "#monitoring": unexpected status code 403: invalid_token"##, Cause::Auth),
            ("slack", r##"channel "#a": unexpected status code 400: invalid_payload"##, Cause::Payload),
            ("slack", r##"channel "#a": unexpected status code 400: channel_not_found"##, Cause::Channel),
            ("slack", r##"channel "#a": unexpected status code 410: channel_is_archived"##, Cause::Channel),
            ("slack", r##"channel "#a": error response from Slack: channel_not_found"##, Cause::Channel),
            ("slack", r##"channel "#a": unexpected status code 429: rate_limited"##, Cause::RateLimit),
            (
                "slack",
                r##"channel "#a": unexpected status code 503: <html><body>503 Service Unavailable</body></html>"##,
                Cause::Server,
            ),
            ("slack", r#"Post "<redacted>": tls: first record does not look like a TLS handshake"#, Cause::PlainHttp),
            ("slack", r#"Post "<redacted>": x509: certificate signed by unknown authority"#, Cause::Certificate),
            ("slack", r#"Post "<redacted>": proxyconnect tcp: dial tcp 10.0.0.9:3128: i/o timeout"#, Cause::Proxy),
            (
                "slack",
                r#"template: :1:12: executing "" at <{{template "slack.flash.text" .}}>: template "slack.flash.text" not defined"#,
                Cause::Template,
            ),
            ("slack", "open /etc/alertmanager/secrets/slack-webhook/url: no such file or directory", Cause::File),
            (
                "webhook",
                "unexpected status code 404: http://hook.ops.svc.cluster.local:5001/alert: 404 page not found\n",
                Cause::NotFound,
            ),
            ("webhook", "unexpected status code 500: java.lang.NullPointerException\n", Cause::Server),
            ("webhook", "unexpected status code 302: http://x", Cause::Redirect),
            ("pagerduty", "unexpected status code 400: Event object is invalid: Invalid routing key", Cause::Auth),
            ("opsgenie", "unexpected status code 422: {\"message\":\"Key format is not valid!\"}", Cause::Auth),
            ("telegram", "telegram: Bad Request: chat not found (400)", Cause::Channel),
            ("telegram", "telegram: Unauthorized (401)", Cause::Auth),
            ("telegram", "telegram: Bad Request: can't parse entities: x (400)", Cause::Payload),
            ("telegram", "Post \"https://api.telegram.org/\": context deadline exceeded", Cause::Timeout),
            ("email", "send STARTTLS command: x509: certificate signed by unknown authority", Cause::Certificate),
            ("email", "*smtp.plainAuth auth: wrong host name", Cause::Unsent),
            ("email", "*smtp.plainAuth auth: unencrypted connection", Cause::Unsent),
            ("email", "530 5.7.0 Must issue a STARTTLS command first", Cause::StartTls),
            ("email", "*email.loginAuth auth: 535 5.7.8 Error: authentication failed: UGFzc3dvcmQ6", Cause::Auth),
            (
                "email",
                "establish connection to server: dial tcp 10.0.1.30:587: connect: connection refused",
                Cause::Refused,
            ),
            (
                "email",
                r#"'require_tls' is true (default) but "smtp:25" does not advertise the STARTTLS extension"#,
                Cause::StartTls,
            ),
            ("sns", "NoCredentialProviders: no valid providers in chain. Deprecated.", Cause::AwsCredentials),
            (
                "sns",
                "operation error SNS: Publish, get identity: get credentials: failed to refresh cached credentials, no EC2 IMDS role found",
                Cause::AwsCredentials,
            ),
            (
                "sns",
                "AuthorizationError: User: arn:aws:sts::111122223333:assumed-role/am/1 is not authorized to perform: SNS:Publish on resource: arn:aws:sns:eu-west-1:111122223333:alerts\n\tstatus code: 403, request id: x",
                Cause::AwsDenied,
            ),
            (
                "sns",
                "operation error SNS: Publish, https response error StatusCode: 404, RequestID: x, NotFound: Topic does not exist",
                Cause::NotFound,
            ),
            ("slack", r##"channel "#a": unexpected status code 403: action_prohibited"##, Cause::Policy),
            ("slack", r##"channel "#a": unexpected status code 404: no_active_hooks"##, Cause::Auth),
            ("msteams", "unexpected status code 410: https://x.webhook.office.com/webhookb2/x: Gone", Cause::Retired),
            ("msteams", "unexpected status code 429: x", Cause::RateLimit),
            (
                "msteams",
                r#"unexpected status code 400: https://prod-12.koreacentral.logic.azure.com:443/workflows/x: {"error":{"code":"TriggerInputSchemaMismatch"}}"#,
                Cause::OldCard,
            ),
            ("msteams", "unexpected status code 401: https://prod-12.koreacentral.logic.azure.com:443/x", Cause::Auth),
            (
                "msteamsv2",
                r#"Post "<redacted>": parse "https://prod-12.westeurope.logic.azure.com:443/x\n": net/url: invalid control character in URL"#,
                Cause::Url,
            ),
            ("webhook", r#"Post "<redacted>": unsupported protocol scheme """#, Cause::Url),
            ("webhook", "something new", Cause::Other),
        ];
        for (integration, cause, reason) in cases {
            assert_eq!(Cause::classify(cause, integration), reason, "{cause}");
        }
    }

    #[test]
    fn finds_the_host_and_the_address() {
        assert_eq!(
            host(r#"Post "https://u:p@hooks.slack.com:443/services/X": EOF"#).as_deref(),
            Some("hooks.slack.com")
        );
        assert_eq!(host("dial tcp: lookup a.example on 10.0.0.2:53: no such host").as_deref(), Some("a.example"));
        assert_eq!(host(r#"Post "<redacted>": EOF"#), None);
        assert_eq!(address("dial tcp 3.68.175.98:443: i/o timeout"), "3.68.175.98".parse().ok());
        assert_eq!(address("dial tcp [2600::1]:443: i/o timeout"), "2600::1".parse().ok());
    }
}
