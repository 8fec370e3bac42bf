//! What is said of notifications that fail.

use serde_json::Value;

use super::case::Case;
use crate::checks::support::services::{self, OwnForm};
use crate::domain::alertmanager::notify_error::Cause;
use crate::domain::kubernetes::host::Place;
use crate::domain::text::redact::redact;
use crate::domain::text::windows::minute;

impl Case<'_> {
    pub(super) fn message(&self, receiver: &str) -> String {
        let group = self.group;
        let integration = match group.sample.integration.as_str() {
            "" => String::new(),
            name => format!(" ({name})"),
        };
        let count = match group.lost {
            0 => "attempts fail and are retried".to_owned(),
            1 => "1 notification was lost in the last hour".to_owned(),
            n => format!("{n} notifications were lost in the last hour"),
        };
        let last = group.last.map(|t| format!(", last at {}", minute(t))).unwrap_or_default();
        format!("receiver {receiver}{integration}: {}; {count}{last}", self.why())
    }

    fn why(&self) -> String {
        let host = self.host_name();
        let detail = self.detail();
        match self.group.reason {
            _ if self.suspect().is_some() => {
                let how = match self.group.reason {
                    Cause::Timeout => "timeout",
                    Cause::Refused => "refused or closed",
                    Cause::Redirect => "redirected",
                    _ => "no route",
                };
                let proxy = redact(self.suspect().unwrap_or_default());
                format!("{host} cannot be reached through the proxy {proxy}, which its configuration names ({how})")
            }
            Cause::Timeout if self.is_shut() => format!(
                "{host} cannot be reached at port 25 (timeout), which AWS keeps shut for what its instances send to the internet"
            ),
            Cause::Timeout => format!("{host} cannot be reached (timeout)"),
            Cause::NoSuchHost if self.is_foreign() => {
                format!(
                    "the name {host}, which is not Slack's, does not resolve: a proxy redirects there, or the URL is wrong"
                )
            }
            Cause::NoSuchHost => format!("the name {host} does not resolve (no such host)"),
            Cause::Dns => format!("DNS fails to look up {host}"),
            Cause::NoRoute => format!("there is no route to {host}"),
            Cause::Refused => format!("{host} refuses or closes the connection"),
            Cause::Certificate => format!("the TLS certificate of {host} is not accepted"),
            Cause::PlainHttp if self.is_mail() => {
                format!("{host} does not begin with TLS, which Alertmanager expects there from the first byte")
            }
            Cause::PlainHttp => format!("{host} speaks plain HTTP where HTTPS is expected"),
            Cause::Proxy => "the egress proxy does not let it through".to_owned(),
            Cause::Redirect => format!("{host} sends the request elsewhere ({detail})"),
            Cause::Auth => format!("{host} answers, but does not accept the credential ({detail})"),
            Cause::Channel if self.group.sample.integration == "telegram" => {
                format!("Telegram does not let the bot write to the chat ({detail})")
            }
            Cause::Channel => format!("Slack does not accept the channel ({detail})"),
            Cause::Policy => {
                format!("Slack knows the app and the channel, and the workspace's rules do not let it post ({detail})")
            }
            Cause::Retired => format!(
                "{host} does not take messages any more ({detail}): Microsoft has retired the connectors of Teams"
            ),
            Cause::OldCard => format!(
                "{host} is a workflow of Teams, which does not take the cards of msteams_configs ({detail}): it wants those of msteamsv2_configs"
            ),
            Cause::Payload => match self.own_form() {
                Some(form) => format!(
                    "{} takes messages of its own form, and webhook_configs sends Alertmanager's ({detail})",
                    form.service
                ),
                None => format!("{host} refuses the message ({detail})"),
            },
            Cause::NotFound => format!("{host} answers, but knows no such path ({detail})"),
            Cause::RateLimit => format!("{host} limits the rate ({detail})"),
            Cause::Server => format!("{host} answers with a server error ({detail})"),
            Cause::StartTls => format!("{host} offers no working STARTTLS"),
            Cause::Unsent => format!("Alertmanager does not give its password to {host} ({detail})"),
            Cause::AwsCredentials => format!("Alertmanager has no valid AWS credentials ({detail})"),
            Cause::AwsDenied if is_of_key(&self.group.sample.cause) => {
                format!("its AWS role may not use the key that encrypts the topic ({detail})")
            }
            Cause::AwsDenied => format!("its AWS role may not send it ({detail})"),
            Cause::Template => format!("its notification template does not work ({detail})"),
            Cause::Url => format!("what it has as URL is none ({})", innermost(&self.group.sample.cause)),
            Cause::File => format!("a file with its URL or key cannot be read ({detail})"),
            Cause::Other => format!("it fails ({detail})"),
        }
    }

    /// Who was sent a webhook's message and takes another. What stands in between in the cluster translates itself.
    pub(super) fn own_form(&self) -> Option<OwnForm> {
        let between = matches!(self.place, Some(Place::Cluster(_)));
        let sample = &self.group.sample;
        services::own_form(&sample.integration, &sample.cause).filter(|_| !between)
    }

    /// The essential part of the cause.
    pub(super) fn detail(&self) -> String {
        let cause = redact(&self.group.sample.cause);
        let marks = ["unexpected status code ", "error response from Slack: ", "auth: ", "> "];
        // A hidden part of a link in a mail server's answer ends like a template's place.
        let marks = if self.is_mail() { &marks[..3] } else { &marks[..] };
        let from = marks.iter().find_map(|m| cause.rfind(m).map(|at| at + m.len())).unwrap_or(0);
        let mut detail = essential(&cause[from..]);
        if let Some((at, _)) = detail.char_indices().nth(100) {
            detail.truncate(at);
            detail.push('…');
        }
        detail
    }
}

/// The last part of a chain of errors, which names no URL.
fn innermost(cause: &str) -> &str {
    cause.rsplit(": ").next().unwrap_or(cause).trim()
}

/// It is KMS that refuses, and not the topic.
pub(super) fn is_of_key(cause: &str) -> bool {
    ["KMSAccessDenied", "AWSKMS", "kms:"].iter().any(|w| cause.contains(w))
}

/// What a service answers in JSON, down to what is wrong: `422: priority should be one of [ P1, … ]`.
fn essential(answer: &str) -> String {
    let read = || {
        let (before, _) = answer.split_once('{')?;
        let body: Value = serde_json::Deserializer::from_str(&answer[before.len()..]).into_iter().next()?.ok()?;
        let said = wrong(body.get("errors")?).or_else(|| wrong(body.get("message")?))?;
        Some(format!("{before}{said}"))
    };
    read().unwrap_or_else(|| answer.to_owned())
}

fn wrong(errors: &Value) -> Option<String> {
    let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    let said: Vec<String> = match errors {
        Value::Object(fields) => fields.iter().map(|(name, why)| format!("{name} {}", text(why))).collect(),
        Value::Array(all) => all.iter().map(text).collect(),
        Value::String(one) => vec![one.clone()],
        _ => Vec::new(),
    };
    (!said.is_empty()).then(|| said.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_answer_in_json_what_is_wrong_is_told() {
        let opsgenie = r#"422: {"message":"Request body is not processable. Please check the errors.","errors":{"priority":"should be one of [ P1, P2 ]"},"took":0.005}"#;
        assert_eq!(essential(opsgenie), "422: priority should be one of [ P1, P2 ]");
        let pagerduty = r#"400: {"status":"invalid event","message":"Event object is invalid","errors":["Length of 'routing_key' is incorrect"]}"#;
        assert_eq!(essential(pagerduty), "400: Length of 'routing_key' is incorrect");
        assert_eq!(essential("404: no_service"), "404: no_service");
        assert_eq!(essential(r#"400: {"embeds": ["0"]}"#), r#"400: {"embeds": ["0"]}"#);
    }
}
