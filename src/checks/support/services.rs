//! What the answers of the services mean: one sentence of advice for words that say more than their status.

/// Integration (empty: any), words of the answer, and what to do.
const KNOWN: &[(&str, &[&str], &str)] = &[
    (
        "telegram",
        &["upgraded to a supergroup"],
        "The group has become a supergroup, and has a new id, which begins with -100. Write that as chat_id.",
    ),
    (
        "telegram",
        &["chat not found", "bot was kicked", "bot is not a member", "need administrator rights"],
        "Add the bot to the chat (in a channel as an administrator), and write the chat's id as chat_id, a number: groups have negative ids, supergroups and channels begin with -100. Telegram's getUpdates shows the id once somebody has written there.",
    ),
    (
        "telegram",
        &["bot was blocked", "user is deactivated", "can't initiate conversation"],
        "A bot cannot begin a conversation: the person has to write to it first, and must not have blocked it.",
    ),
    (
        "telegram",
        &["can't parse entities", "Unsupported start tag", "Can't find end"],
        "A label or an annotation holds characters of the markup (<, &, _, *). Set parse_mode: '' for plain text, or escape them in the template.",
    ),
    (
        "telegram",
        &["message is too long"],
        "Telegram takes 4096 characters: shorten the template, or group fewer alerts.",
    ),
    (
        "opsgenie",
        &["Key format is not valid", "Could not authenticate", "api key is not", "API key"],
        "The key has to be that of an API integration of the team (Settings, Integrations, API), with the right to create. An account in the EU needs api_url: https://api.eu.opsgenie.com/.",
    ),
    (
        "opsgenie",
        &["should be one of [ P1", "\"priority\":"],
        "`priority` is P1 to P5. Map it from the label: priority: '{{ if eq .CommonLabels.severity \"critical\" }}P1{{ else }}P3{{ end }}'.",
    ),
    (
        "opsgenie",
        &["unexpected status code 422"],
        "422 is a field with a value that Opsgenie does not take: mostly `priority` (P1 to P5), a responder without type, or one that does not exist. The older `teams` is written as responders: [{name: …, type: team}].",
    ),
    (
        "discord",
        &["Unknown Webhook", "Invalid Webhook Token"],
        "The webhook was deleted: make a new one in the channel's settings (Integrations, Webhooks).",
    ),
    (
        "discord",
        &["embeds"],
        "Discord takes 256 characters of a title and 4096 of a text: shorten title and message, or group fewer alerts in one notification (group_by).",
    ),
    (
        "pagerduty",
        &["payload.severity"],
        "PagerDuty takes critical, error, warning and info only, and the label severity has another value. Map it in the receiver: severity: '{{ if eq .CommonLabels.severity \"critical\" }}critical{{ else }}warning{{ end }}'.",
    ),
    (
        "pagerduty",
        &["Invalid routing key", "routing key", "Unrecognized routing key", "routing_key"],
        "routing_key is the Integration Key of an Events API v2 integration of the service, 32 characters; an API key of the account or a key of Events API v1 (service_key) is another thing.",
    ),
    (
        "pagerduty",
        &["payload too large", "exceeds", "512 KB", "512KB"],
        "PagerDuty takes 512 KB: take firing and resolved out of details, or group fewer alerts.",
    ),
    (
        "email",
        &["SMTP not configured", "smtp options not configured"],
        "Grafana sends no mail unless [smtp] of grafana.ini says how: enabled: true, host (with its port), user, password (GF_SMTP_PASSWORD from a Secret; in the chart `smtp.existingSecret`), from_address. It is read when Grafana starts. Where nobody wants mail, the notification policies have to lead to another contact point: grafana-default-email is only the one that a new Grafana has.",
    ),
    (
        "email",
        &["SmtpClientAuthentication is disabled", "5.7.139"],
        "Microsoft 365 has SMTP AUTH switched off for the tenant or the mailbox: the password is not at fault. An administrator allows it for this mailbox (Set-CASMailbox -SmtpClientAuthenticationDisabled $false), or Alertmanager sends through a relay.",
    ),
    (
        "email",
        &["Username and Password not accepted", "BadCredentials", "Application-specific password required"],
        "Gmail takes no account password here: make an app password (the account needs two-step verification) and use that.",
    ),
    (
        "email",
        &["Must issue a STARTTLS", "5.7.0 Must issue"],
        "The server wants TLS before the login: require_tls: true, port 587.",
    ),
    (
        "email",
        &["Email address is not verified", "not verified"],
        "Amazon SES sends only for verified senders, and in its sandbox only to verified recipients: verify the domain of `from`, or ask for production access.",
    ),
    (
        "email",
        &["send as this sender", "SendAsDenied", "5.7.60", "Sender address rejected", "not owned by user"],
        "The login may not send as this sender: `from` has to be the login's own address, or one that it may send as.",
    ),
    (
        "email",
        &["elay access denied", "elaying denied", "elay not permitted", "nable to relay", "5.7.54"],
        "The server relays for known senders only: set auth_username and auth_password_file, or have it allow the address from which the cluster leaves (the NAT gateway's).",
    ),
    (
        "email",
        &["unencrypted connection"],
        "Alertmanager sends no password without TLS: require_tls: true, and a server that offers STARTTLS.",
    ),
    (
        "email",
        &["wrong host name"],
        "The password was not sent, and the login is not at fault: it is for the host of `smarthost`, and the connection was to another name. Old versions of Alertmanager say so of port 465, too.",
    ),
    (
        "email",
        &["454 4.7.0", "Temporary authentication failure"],
        "454 is temporary: the server could not look the login up, and has not refused it. Whoever runs the server finds the reason in its log; the login is right until 535 is said.",
    ),
    (
        "",
        &["invalid control character in URL"],
        "A line break is part of the value: it comes from `echo`, an editor, or a block of YAML. Write the file or key without one.",
    ),
    (
        "",
        &["unsupported protocol scheme", "missing protocol scheme", "no Host in request URL"],
        "The value is empty, or does not begin with https://: an empty key of a Secret, a variable that nobody filled in, or text that is encoded in base64 twice.",
    ),
    (
        "pagerduty",
        &["'event_type' is missing", "Service key can't be blank"],
        "Two interfaces are mixed: routing_key belongs to Events API v2 (https://events.pagerduty.com/v2/enqueue), service_key to v1 (https://events.pagerduty.com/generic/2010-04-15/create_event.json). Leave `url` and `pagerduty_url` out: Alertmanager takes the one that fits.",
    ),
    (
        "victorops",
        &["state_message"],
        "Splunk On-Call takes 20480 characters: shorten `state_message`, or group fewer alerts in one notification (group_by).",
    ),
    (
        "jira",
        &["issuetype", "issue type", "appropriate screen"],
        "Jira takes what the project has: `issue_type` has to be one of its types, by the name in its own language, and each field that is set (labels, priority, custom ones) has to be on the project's screen for new issues. Leave out what is not, or have it added there.",
    ),
    (
        "sns",
        &["Invalid parameter: TopicArn", "InvalidParameter: TopicArn"],
        "SNS is asked in the region of sigv4.region (or of api_url), and knows topics of that region alone: it has to be the fourth part of topic_arn (arn:aws:sns:<region>:<account>:<name>), which has to be whole.",
    ),
    (
        "sns",
        &["Invalid parameter: Subject", "InvalidParameter: Invalid parameter: Subject"],
        "A subject of SNS is plain ASCII in one line, at most 100 characters: shorten `subject`.",
    ),
    ("slack", &["no_text"], "The message renders to nothing: look at `text`, `title` and `fallback` of the receiver."),
    (
        "slack",
        &["invalid_blocks", "invalid_attachments", "invalid_payload"],
        "A template renders to something that is no valid message, mostly an unescaped quote or a line break in JSON, or an action without a URL.",
    ),
    (
        "webhook",
        &["unexpected status code 413"],
        "The message is too large for the receiver or a proxy before it: `max_alerts` of the webhook limits the alerts of one message, a narrower group_by makes smaller groups; or raise the limit there (nginx: client_max_body_size).",
    ),
    ("webhook", &["only GET allowed"], "Jiralert takes alerts at /alert; its other paths are for people."),
    (
        "webhook",
        &["unexpected status code 415"],
        "The receiver wants another content type than JSON: it is not made for Alertmanager's webhook.",
    ),
];

/// The advice for an answer; empty where its family says it all.
pub(crate) fn advice(integration: &str, cause: &str) -> &'static str {
    let found = KNOWN
        .iter()
        .find(|(of, words, _)| (of.is_empty() || *of == integration) && words.iter().any(|w| cause.contains(w)));
    found.map_or("", |(.., advice)| *advice)
}

/// A service that takes messages of its own form, and was sent those of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OwnForm {
    pub(crate) service: &'static str,
    /// What Alertmanager calls those who send it, and the setting of the URL there; empty where it has none.
    pub(crate) configs: &'static str,
    pub(crate) url: &'static str,
    pub(crate) advice: &'static str,
}

const OWN_FORMS: &[(&[&str], OwnForm)] = &[
    (
        &["Summary or Text is required", "Bad payload received by generic incoming webhook"],
        OwnForm {
            service: "Teams",
            configs: "msteamsv2_configs",
            url: "webhook_url",
            advice: "Alertmanager has it since 0.28. Microsoft has retired the connectors whose URLs answer so: in Teams make a workflow (\"Post to a channel when a webhook request is received\"), and take its URL.",
        },
    ),
    (
        &["Cannot send an empty message"],
        OwnForm {
            service: "Discord",
            configs: "discord_configs",
            url: "webhook_url",
            advice: "Alertmanager has it since 0.25.",
        },
    ),
    (
        &["no_text", "missing_text_or_fallback_or_attachments"],
        OwnForm { service: "Slack", configs: "slack_configs", url: "api_url", advice: "" },
    ),
    (
        &["Invalid JSON payload received. Unknown name"],
        OwnForm {
            service: "Google Chat",
            configs: "",
            url: "",
            advice: "Alertmanager has no receiver for it: a program in between has to translate (calert is one), and the webhook's URL is to be that program's.",
        },
    ),
];

/// Who was sent a webhook's message, by what it answers.
pub(crate) fn own_form(integration: &str, cause: &str) -> Option<OwnForm> {
    let found = OWN_FORMS.iter().find(|(words, _)| words.iter().any(|w| cause.contains(w)));
    found.filter(|_| integration == "webhook").map(|(_, form)| *form)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_one_service_are_not_anothers() {
        assert!(advice("telegram", "telegram: Bad Request: chat not found (400)").contains("chat_id"));
        assert!(advice("email", "*email.loginAuth auth: 535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant").contains("SMTP AUTH"));
        let priority = r#"unexpected status code 422: {"message":"Request body is not processable.","errors":{"priority":"should be one of [ P1, P2, P3, P4, P5 ]"}}"#;
        assert!(advice("opsgenie", priority).starts_with("`priority` is P1 to P5"));
        let form = |integration: &str, cause: &str| own_form(integration, cause).map(|f| f.configs);
        assert_eq!(
            form("webhook", "unexpected status code 400: Summary or Text is required."),
            Some("msteamsv2_configs")
        );
        assert_eq!(form("slack", "unexpected status code 400: no_text"), None);
        assert!(advice("webhook", "chat not found").is_empty());
        assert!(advice("slack", "context deadline exceeded").is_empty());
    }
}
