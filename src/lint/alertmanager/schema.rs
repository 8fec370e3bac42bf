//! The fields that Alertmanager's configuration knows, what each holds, and since which 0.x version.

use std::collections::BTreeSet;

/// The newest minor version whose fields are listed.
pub(super) const NEWEST: u16 = 34;

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// Any scalar, taken as text.
    Text,
    /// `true`, `false` and the other words of YAML 1.1.
    Bool,
    /// A whole number.
    Int,
    /// A whole number, not negative.
    Natural,
    /// A number.
    Float,
    /// A duration as Prometheus writes it: `5m`, `1d`.
    Duration,
    /// A duration as Go writes it: `1.5h`; no days.
    GoDuration,
    /// The same, and never a bare number.
    GoDurationText,
    /// An `http` or `https` URL.
    Url,
    /// The same, or `<secret>`.
    SecretUrl,
    /// The same, or a template that yields one.
    TemplateUrl,
    /// Any URL.
    AnyUrl,
    /// `host:port`.
    HostPort,
    /// `TLS12` and the like.
    TlsVersion,
    /// A list of texts.
    Texts,
    /// Texts by key.
    TextMap,
    /// Values of any kind by key.
    AnyMap,
    /// Values of any kind by key; before 0.30 only texts.
    Details,
    /// Lists of texts by key.
    ListMap,
    /// Headers by name, each with `values`, `secrets`, `files`.
    Headers,
    /// Label values by label name.
    LabelMap,
    /// Regular expressions by label name.
    RegexMap,
    /// A list of matchers.
    Matchers,
    /// The name of a time zone.
    Location,
    /// A list of ranges of weekdays.
    Weekdays,
    /// A list of ranges of days of the month.
    DaysOfMonth,
    /// A list of ranges of months.
    Months,
    /// A list of ranges of years.
    Years,
    /// Anything.
    Any,
    /// A mapping.
    Object(&'static Type),
    /// A list of mappings.
    Objects(&'static Type),
    /// A text or a mapping.
    TextOr(&'static Type),
}

use Kind::*;

/// One field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// First minor version (of 0.x) that knows it; where it came between two versions that were looked at, the earlier.
    pub(super) since: u16,
}

/// A mapping with its fields.
#[derive(Debug)]
pub(super) struct Type {
    pub(super) fields: &'static [Field],
}

impl Type {
    /// Adds the names of its fields and of those within them.
    pub(super) fn names(&'static self, all: &mut BTreeSet<&'static str>) {
        for field in self.fields {
            // Routes hold routes.
            let is_new = all.insert(field.name);
            match field.kind {
                Object(of) | Objects(of) | TextOr(of) if is_new || !std::ptr::eq(of, self) => of.names(all),
                Headers => HEADER.names(all),
                _ => {}
            }
        }
    }
}

const fn field(name: &'static str, kind: Kind, since: u16) -> Field {
    Field { name, kind, since }
}

/// `values`, `secrets` and `files` of a header.
pub(super) static HEADER: Type =
    Type { fields: &[field("values", Texts, 28), field("secrets", Texts, 28), field("files", Texts, 28)] };

pub(super) static CONFIG: Type = Type {
    fields: &[
        field("global", Object(&GLOBAL_CONFIG), 0),
        field("route", Object(&ROUTE), 0),
        field("inhibit_rules", Objects(&INHIBIT_RULE), 0),
        field("receivers", Objects(&RECEIVER), 0),
        field("templates", Texts, 0),
        field("mute_time_intervals", Objects(&TIME_INTERVAL), 21),
        field("time_intervals", Objects(&TIME_INTERVAL), 24),
        field("tracing", Object(&TRACING_CONFIG), 29),
        field("event_recorder", Object(&EVENT_RECORDER), 33),
    ],
};

static GLOBAL_CONFIG: Type = Type {
    fields: &[
        field("resolve_timeout", Duration, 0),
        field("http_config", Object(&HTTP_CLIENT_CONFIG), 0),
        field("smtp_from", Text, 0),
        field("smtp_hello", Text, 0),
        field("smtp_smarthost", HostPort, 0),
        field("smtp_auth_username", Text, 0),
        field("smtp_auth_password", Text, 0),
        field("smtp_auth_secret", Text, 0),
        field("smtp_auth_identity", Text, 0),
        field("smtp_require_tls", Bool, 0),
        field("slack_api_url", SecretUrl, 0),
        field("pagerduty_url", Url, 0),
        field("opsgenie_api_url", Url, 0),
        field("opsgenie_api_key", Text, 0),
        field("wechat_api_url", Url, 0),
        field("wechat_api_secret", Text, 0),
        field("wechat_api_corp_id", Text, 0),
        field("victorops_api_url", Url, 0),
        field("victorops_api_key", Text, 0),
        field("slack_api_url_file", Text, 21),
        field("opsgenie_api_key_file", Text, 24),
        field("telegram_api_url", Url, 24),
        field("smtp_auth_password_file", Text, 25),
        field("victorops_api_key_file", Text, 25),
        field("webex_api_url", Url, 25),
        field("jira_api_url", Url, 28),
        field("smtp_tls_config", Object(&TLS_CONFIG), 28),
        field("rocketchat_api_url", Url, 28),
        field("rocketchat_token", Text, 28),
        field("rocketchat_token_file", Text, 28),
        field("rocketchat_token_id", Text, 28),
        field("rocketchat_token_id_file", Text, 28),
        field("slack_app_token", Text, 29),
        field("slack_app_token_file", Text, 29),
        field("slack_app_url", Url, 29),
        field("smtp_auth_secret_file", Text, 31),
        field("smtp_force_implicit_tls", Bool, 31),
        field("wechat_api_secret_file", Text, 31),
        field("telegram_bot_token", Text, 31),
        field("telegram_bot_token_file", Text, 31),
        field("mattermost_webhook_url", SecretUrl, 32),
        field("mattermost_webhook_url_file", Text, 32),
    ],
};

static ROUTE: Type = Type {
    fields: &[
        field("receiver", Text, 0),
        field("group_by", Texts, 0),
        field("match", LabelMap, 0),
        field("match_re", RegexMap, 0),
        field("continue", Bool, 0),
        field("routes", Objects(&ROUTE), 0),
        field("group_wait", Duration, 0),
        field("group_interval", Duration, 0),
        field("repeat_interval", Duration, 0),
        field("matchers", Matchers, 21),
        field("mute_time_intervals", Texts, 21),
        field("active_time_intervals", Texts, 24),
        field("labels", TextMap, 34),
    ],
};

static INHIBIT_RULE: Type = Type {
    fields: &[
        field("source_match", LabelMap, 0),
        field("source_match_re", RegexMap, 0),
        field("target_match", LabelMap, 0),
        field("target_match_re", RegexMap, 0),
        field("equal", Texts, 0),
        field("source_matchers", Matchers, 21),
        field("target_matchers", Matchers, 21),
        field("name", Text, 29),
    ],
};

static RECEIVER: Type = Type {
    fields: &[
        field("name", Text, 0),
        field("email_configs", Objects(&EMAIL_CONFIG), 0),
        field("pagerduty_configs", Objects(&PAGERDUTY_CONFIG), 0),
        field("slack_configs", Objects(&SLACK_CONFIG), 0),
        field("webhook_configs", Objects(&WEBHOOK_CONFIG), 0),
        field("opsgenie_configs", Objects(&OPSGENIE_CONFIG), 0),
        field("wechat_configs", Objects(&WECHAT_CONFIG), 0),
        field("pushover_configs", Objects(&PUSHOVER_CONFIG), 0),
        field("victorops_configs", Objects(&VICTOR_OPS_CONFIG), 0),
        field("sns_configs", Objects(&SNS_CONFIG), 21),
        field("telegram_configs", Objects(&TELEGRAM_CONFIG), 24),
        field("discord_configs", Objects(&DISCORD_CONFIG), 25),
        field("webex_configs", Objects(&WEBEX_CONFIG), 25),
        field("msteams_configs", Objects(&MSTEAMS_CONFIG), 26),
        field("msteamsv2_configs", Objects(&MSTEAMSV2_CONFIG), 28),
        field("jira_configs", Objects(&JIRA_CONFIG), 28),
        field("rocketchat_configs", Objects(&ROCKETCHAT_CONFIG), 28),
        field("incidentio_configs", Objects(&INCIDENTIO_CONFIG), 29),
        field("mattermost_configs", Objects(&MATTERMOST_CONFIG), 29),
        field("labels", TextMap, 33),
    ],
};

static EMAIL_CONFIG: Type = Type {
    fields: &[
        field("send_resolved", Bool, 0),
        field("to", Text, 0),
        field("from", Text, 0),
        field("hello", Text, 0),
        field("smarthost", HostPort, 0),
        field("auth_username", Text, 0),
        field("auth_password", Text, 0),
        field("auth_secret", Text, 0),
        field("auth_identity", Text, 0),
        field("headers", TextMap, 0),
        field("html", Text, 0),
        field("text", Text, 0),
        field("require_tls", Bool, 0),
        field("tls_config", Object(&TLS_CONFIG), 0),
        field("auth_password_file", Text, 25),
        field("threading", Object(&THREADING_CONFIG), 29),
        field("auth_secret_file", Text, 31),
        field("force_implicit_tls", Bool, 31),
    ],
};

static PAGERDUTY_CONFIG: Type = Type {
    fields: &[
        field("send_resolved", Bool, 0),
        field("http_config", Object(&HTTP_CLIENT_CONFIG), 0),
        field("service_key", Text, 0),
        field("routing_key", Text, 0),
        field("url", Url, 0),
        field("client", Text, 0),
        field("client_url", Text, 0),
        field("description", Text, 0),
        field("details", Details, 0),
        field("images", Objects(&PAGERDUTY_IMAGE), 0),
        field("links", Objects(&PAGERDUTY_LINK), 0),
        field("severity", Text, 0),
        field("class", Text, 0),
        field("component", Text, 0),
        field("group", Text, 0),
        field("service_key_file", Text, 25),
        field("routing_key_file", Text, 25),
        field("source", Text, 25),
        field("timeout", GoDuration, 29),
    ],
};

static PAGERDUTY_LINK: Type = Type { fields: &[field("href", Text, 0), field("text", Text, 0)] };

static PAGERDUTY_IMAGE: Type = Type { fields: &[field("src", Text, 0), field("alt", Text, 0), field("href", Text, 0)] };

static SLACK_ACTION: Type = Type {
    fields: &[
        field("type", Text, 0),
        field("text", Text, 0),
        field("url", Text, 0),
        field("style", Text, 0),
        field("name", Text, 0),
        field("value", Text, 0),
        field("confirm", Object(&SLACK_CONFIRMATION_FIELD), 0),
    ],
};

static SLACK_CONFIRMATION_FIELD: Type = Type {
    fields: &[
        field("text", Text, 0),
        field("title", Text, 0),
        field("ok_text", Text, 0),
        field("dismiss_text", Text, 0),
    ],
};

static SLACK_FIELD: Type =
    Type { fields: &[field("title", Text, 0), field("value", Text, 0), field("short", Bool, 0)] };

static SLACK_CONFIG: Type = Type {
    fields: &[
        field("send_resolved", Bool, 0),
        field("http_config", Object(&HTTP_CLIENT_CONFIG), 0),
        field("api_url", SecretUrl, 0),
        field("channel", Text, 0),
        field("username", Text, 0),
        field("color", Text, 0),
        field("title", Text, 0),
        field("title_link", Text, 0),
        field("pretext", Text, 0),
        field("text", Text, 0),
        field("fields", Objects(&SLACK_FIELD), 0),
        field("short_fields", Bool, 0),
        field("footer", Text, 0),
        field("fallback", Text, 0),
        field("callback_id", Text, 0),
        field("icon_emoji", Text, 0),
        field("icon_url", Text, 0),
        field("image_url", Text, 0),
        field("thumb_url", Text, 0),
        field("link_names", Bool, 0),
        field("mrkdwn_in", Texts, 0),
        field("actions", Objects(&SLACK_ACTION), 0),
        field("api_url_file", Text, 21),
        field("app_token", Text, 29),
        field("app_token_file", Text, 29),
        field("app_url", Url, 29),
        field("timeout", GoDuration, 29),
        field("message_text", Text, 31),
        field("update_message", Bool, 32),
    ],
};

static WEBHOOK_CONFIG: Type = Type {
    fields: &[
        field("send_resolved", Bool, 0),
        field("http_config", Object(&HTTP_CLIENT_CONFIG), 0),
        field("url", TemplateUrl, 0),
        field("max_alerts", Natural, 21),
        field("url_file", Text, 26),
        field("timeout", GoDuration, 28),
        field("payload", Any, 32),
    ],
};

static WECHAT_CONFIG: Type = Type {
    fields: &[
        field("send_resolved", Bool, 0),
        field("http_config", Object(&HTTP_CLIENT_CONFIG), 0),
        field("api_secret", Text, 0),
        field("corp_id", Text, 0),
        field("message", Text, 0),
        field("api_url", Url, 0),
        field("to_user", Text, 0),
        field("to_party", Text, 0),
        field("to_tag", Text, 0),
        field("agent_id", Text, 0),
        field("message_type", Text, 21),
        field("api_secret_file", Text, 31),
    ],
};

static OPSGENIE_CONFIG: Type = Type {
    fields: &[
        field("send_resolved", Bool, 0),
        field("http_config", Object(&HTTP_CLIENT_CONFIG), 0),
        field("api_key", Text, 0),
        field("api_url", Url, 0),
        field("message", Text, 0),
        field("description", Text, 0),
        field("source", Text, 0),
        field("details", TextMap, 0),
        field("responders", Objects(&OPSGENIE_RESPONDER), 0),
        field("tags", Text, 0),
        field("note", Text, 0),
        field("priority", Text, 0),
        field("api_key_file", Text, 24),
        field("entity", Text, 24),
        field("actions", Text, 24),
        field("update_alerts", Bool, 24),
    ],
};

static OPSGENIE_RESPONDER: Type = Type {
    fields: &[field("id", Text, 0), field("name", Text, 0), field("username", Text, 0), field("type", Text, 0)],
};

static VICTOR_OPS_CONFIG: Type = Type {
    fields: &[
        field("send_resolved", Bool, 0),
        field("http_config", Object(&HTTP_CLIENT_CONFIG), 0),
        field("api_key", Text, 0),
        field("api_url", Url, 0),
        field("routing_key", Text, 0),
        field("message_type", Text, 0),
        field("state_message", Text, 0),
        field("entity_display_name", Text, 0),
        field("monitoring_tool", Text, 0),
        field("custom_fields", TextMap, 0),
        field("api_key_file", Text, 21),
    ],
};

static PUSHOVER_CONFIG: Type = Type {
    fields: &[
        field("send_resolved", Bool, 0),
        field("http_config", Object(&HTTP_CLIENT_CONFIG), 0),
        field("user_key", Text, 0),
        field("token", Text, 0),
        field("title", Text, 0),
        field("message", Text, 0),
        field("url", Text, 0),
        field("url_title", Text, 0),
        field("sound", Text, 0),
        field("priority", Text, 0),
        field("retry", GoDurationText, 0),
        field("expire", GoDurationText, 0),
        field("html", Bool, 0),
        field("user_key_file", Text, 26),
        field("token_file", Text, 26),
        field("device", Text, 26),
        field("ttl", GoDurationText, 27),
        field("monospace", Bool, 29),
    ],
};

static BASIC_AUTH: Type = Type {
    fields: &[
        field("username", Text, 0),
        field("password", Text, 0),
        field("password_file", Text, 0),
        field("username_file", Text, 27),
        field("username_ref", Text, 28),
        field("password_ref", Text, 28),
    ],
};

static HTTP_CLIENT_CONFIG: Type = Type {
    fields: &[
        field("basic_auth", Object(&BASIC_AUTH), 0),
        field("bearer_token", Text, 0),
        field("bearer_token_file", Text, 0),
        field("proxy_url", AnyUrl, 0),
        field("tls_config", Object(&TLS_CONFIG), 0),
        field("authorization", Object(&AUTHORIZATION), 21),
        field("oauth2", Object(&OAUTH2), 21),
        field("follow_redirects", Bool, 21),
        field("enable_http2", Bool, 25),
        field("http_headers", Headers, 28),
        field("no_proxy", Text, 26),
        field("proxy_from_environment", Bool, 26),
        field("proxy_connect_header", ListMap, 26),
    ],
};

static TLS_CONFIG: Type = Type {
    fields: &[
        field("ca_file", Text, 0),
        field("cert_file", Text, 0),
        field("key_file", Text, 0),
        field("server_name", Text, 0),
        field("insecure_skip_verify", Bool, 0),
        field("min_version", TlsVersion, 25),
        field("max_version", TlsVersion, 25),
        field("ca", Text, 26),
        field("cert", Text, 26),
        field("key", Text, 26),
        field("ca_ref", Text, 28),
        field("cert_ref", Text, 28),
        field("key_ref", Text, 28),
    ],
};

static SNS_CONFIG: Type = Type {
    fields: &[
        field("send_resolved", Bool, 0),
        field("http_config", Object(&HTTP_CLIENT_CONFIG), 21),
        field("api_url", Text, 21),
        field("sigv4", Object(&SIGV4_CONFIG), 21),
        field("topic_arn", Text, 21),
        field("phone_number", Text, 21),
        field("target_arn", Text, 21),
        field("subject", Text, 21),
        field("message", Text, 21),
        field("attributes", TextMap, 21),
        field("use_aws_http_client", Bool, 33),
    ],
};

static TIME_RANGES: Type = Type {
    fields: &[
        field("times", Objects(&TIME_RANGE), 21),
        field("weekdays", Weekdays, 21),
        field("days_of_month", DaysOfMonth, 21),
        field("months", Months, 21),
        field("years", Years, 21),
        field("location", Location, 25),
    ],
};

static TIME_RANGE: Type = Type { fields: &[field("start_time", Text, 21), field("end_time", Text, 21)] };

static AUTHORIZATION: Type = Type {
    fields: &[
        field("type", Text, 21),
        field("credentials", Text, 21),
        field("credentials_file", Text, 21),
        field("credentials_ref", Text, 28),
    ],
};

static OAUTH2: Type = Type {
    fields: &[
        field("client_id", Text, 21),
        field("client_secret", Text, 21),
        field("client_secret_file", Text, 21),
        field("scopes", Texts, 21),
        field("token_url", Text, 21),
        field("endpoint_params", TextMap, 21),
        field("tls_config", Object(&TLS_CONFIG), 24),
        field("proxy_url", AnyUrl, 25),
        field("client_secret_ref", Text, 28),
        field("client_certificate_key_id", Text, 29),
        field("client_certificate_key", Text, 29),
        field("client_certificate_key_file", Text, 29),
        field("client_certificate_key_ref", Text, 29),
        field("grant_type", Text, 29),
        field("signature_algorithm", Text, 29),
        field("iss", Text, 29),
        field("audience", Text, 29),
        field("claims", AnyMap, 29),
        field("no_proxy", Text, 26),
        field("proxy_from_environment", Bool, 26),
        field("proxy_connect_header", ListMap, 26),
    ],
};

static SIGV4_CONFIG: Type = Type {
    fields: &[
        field("region", Text, 21),
        field("access_key", Text, 21),
        field("secret_key", Text, 21),
        field("profile", Text, 21),
        field("role_arn", Text, 21),
        field("use_fips_sts_endpoint", Bool, 28),
        field("service_name", Text, 29),
        field("external_id", Text, 31),
    ],
};

static TIME_INTERVAL: Type =
    Type { fields: &[field("name", Text, 24), field("time_intervals", Objects(&TIME_RANGES), 24)] };

static TELEGRAM_CONFIG: Type = Type {
    fields: &[
        field("send_resolved", Bool, 0),
        field("http_config", Object(&HTTP_CLIENT_CONFIG), 24),
        field("api_url", Url, 24),
        field("bot_token", Text, 24),
        field("chat_id", Int, 24),
        field("message", Text, 24),
        field("disable_notifications", Bool, 24),
        field("parse_mode", Text, 24),
        field("bot_token_file", Text, 26),
        field("message_thread_id", Int, 28),
        field("chat_id_file", Text, 31),
    ],
};

static WEBEX_CONFIG: Type = Type {
    fields: &[
        field("send_resolved", Bool, 0),
        field("http_config", Object(&HTTP_CLIENT_CONFIG), 25),
        field("api_url", Url, 25),
        field("message", Text, 25),
        field("room_id", Text, 25),
    ],
};

static DISCORD_CONFIG: Type = Type {
    fields: &[
        field("send_resolved", Bool, 0),
        field("http_config", Object(&HTTP_CLIENT_CONFIG), 25),
        field("webhook_url", SecretUrl, 25),
        field("title", Text, 25),
        field("message", Text, 25),
        field("webhook_url_file", Text, 27),
        field("content", Text, 28),
        field("username", Text, 28),
        field("avatar_url", Text, 28),
    ],
};

static MSTEAMS_CONFIG: Type = Type {
    fields: &[
        field("send_resolved", Bool, 0),
        field("http_config", Object(&HTTP_CLIENT_CONFIG), 26),
        field("webhook_url", SecretUrl, 26),
        field("title", Text, 26),
        field("text", Text, 26),
        field("webhook_url_file", Text, 27),
        field("summary", Text, 27),
    ],
};

static MSTEAMSV2_CONFIG: Type = Type {
    fields: &[
        field("send_resolved", Bool, 0),
        field("http_config", Object(&HTTP_CLIENT_CONFIG), 28),
        field("webhook_url", SecretUrl, 28),
        field("webhook_url_file", Text, 28),
        field("title", Text, 28),
        field("text", Text, 28),
    ],
};

static JIRA_CONFIG: Type = Type {
    fields: &[
        field("send_resolved", Bool, 0),
        field("http_config", Object(&HTTP_CLIENT_CONFIG), 28),
        field("api_url", Url, 28),
        field("project", Text, 28),
        field("summary", TextOr(&JIRA_FIELD_CONFIG), 28),
        field("description", TextOr(&JIRA_FIELD_CONFIG), 28),
        field("labels", Texts, 28),
        field("priority", Text, 28),
        field("issue_type", Text, 28),
        field("reopen_transition", Text, 28),
        field("resolve_transition", Text, 28),
        field("wont_fix_resolution", Text, 28),
        field("reopen_duration", Duration, 28),
        field("fields", AnyMap, 28),
        field("api_type", Text, 29),
    ],
};

static ROCKETCHAT_ATTACHMENT_FIELD: Type =
    Type { fields: &[field("short", Bool, 28), field("title", Text, 28), field("value", Text, 28)] };

static ROCKETCHAT_ATTACHMENT_ACTION: Type = Type {
    fields: &[
        field("type", Text, 28),
        field("text", Text, 28),
        field("url", Text, 28),
        field("imageurl", Text, 28),
        field("iswebview", Bool, 28),
        field("webviewheightratio", Text, 28),
        field("msg", Text, 28),
        field("msginchatwindow", Bool, 28),
        field("msgprocessingtype", Text, 28),
    ],
};

static ROCKETCHAT_CONFIG: Type = Type {
    fields: &[
        field("send_resolved", Bool, 0),
        field("http_config", Object(&HTTP_CLIENT_CONFIG), 28),
        field("api_url", Url, 28),
        field("token_id", Text, 28),
        field("token_id_file", Text, 28),
        field("token", Text, 28),
        field("token_file", Text, 28),
        field("channel", Text, 28),
        field("color", Text, 28),
        field("title", Text, 28),
        field("title_link", Text, 28),
        field("text", Text, 28),
        field("fields", Objects(&ROCKETCHAT_ATTACHMENT_FIELD), 28),
        field("short_fields", Bool, 28),
        field("emoji", Text, 28),
        field("icon_url", Text, 28),
        field("image_url", Text, 28),
        field("thumb_url", Text, 28),
        field("link_names", Bool, 28),
        field("actions", Objects(&ROCKETCHAT_ATTACHMENT_ACTION), 28),
    ],
};

static THREADING_CONFIG: Type = Type { fields: &[field("enabled", Bool, 29), field("thread_by_date", Text, 29)] };

static INCIDENTIO_CONFIG: Type = Type {
    fields: &[
        field("send_resolved", Bool, 0),
        field("http_config", Object(&HTTP_CLIENT_CONFIG), 29),
        field("url", Url, 29),
        field("url_file", Text, 29),
        field("alert_source_token", Text, 29),
        field("alert_source_token_file", Text, 29),
        field("max_alerts", Natural, 29),
        field("timeout", GoDuration, 29),
    ],
};

static JIRA_FIELD_CONFIG: Type = Type { fields: &[field("template", Text, 29), field("enable_update", Bool, 29)] };

static MATTERMOST_PRIORITY: Type = Type {
    fields: &[
        field("priority", Text, 29),
        field("requested_ack", Bool, 29),
        field("persistent_notifications", Bool, 29),
    ],
};

static MATTERMOST_PROPS: Type = Type { fields: &[field("card", Text, 29)] };

static MATTERMOST_FIELD: Type =
    Type { fields: &[field("title", Text, 29), field("value", Text, 29), field("short", Bool, 29)] };

static MATTERMOST_ATTACHMENT: Type = Type {
    fields: &[
        field("fallback", Text, 29),
        field("color", Text, 29),
        field("pretext", Text, 29),
        field("text", Text, 29),
        field("author_name", Text, 29),
        field("author_link", Text, 29),
        field("author_icon", Text, 29),
        field("title", Text, 29),
        field("title_link", Text, 29),
        field("fields", Objects(&MATTERMOST_FIELD), 29),
        field("thumb_url", Text, 29),
        field("footer", Text, 29),
        field("footer_icon", Text, 29),
        field("image_url", Text, 29),
    ],
};

static MATTERMOST_CONFIG: Type = Type {
    fields: &[
        field("send_resolved", Bool, 0),
        field("http_config", Object(&HTTP_CLIENT_CONFIG), 29),
        field("webhook_url", SecretUrl, 29),
        field("webhook_url_file", Text, 29),
        field("channel", Text, 29),
        field("username", Text, 29),
        field("text", Text, 29),
        field("icon_url", Text, 29),
        field("icon_emoji", Text, 29),
        field("attachments", Objects(&MATTERMOST_ATTACHMENT), 29),
        field("type", Text, 29),
        field("props", Object(&MATTERMOST_PROPS), 29),
        field("priority", Object(&MATTERMOST_PRIORITY), 29),
        field("fallback", Text, 32),
        field("color", Text, 32),
        field("pretext", Text, 32),
        field("author_name", Text, 32),
        field("author_link", Text, 32),
        field("author_icon", Text, 32),
        field("title", Text, 32),
        field("title_link", Text, 32),
        field("fields", Objects(&MATTERMOST_FIELD), 32),
        field("thumb_url", Text, 32),
        field("footer", Text, 32),
        field("footer_icon", Text, 32),
        field("image_url", Text, 32),
    ],
};

static TRACING_CONFIG: Type = Type {
    fields: &[
        field("client_type", Text, 29),
        field("endpoint", Text, 29),
        field("sampling_fraction", Float, 29),
        field("insecure", Bool, 29),
        field("tls_config", Object(&TLS_CONFIG), 29),
        field("headers", Headers, 29),
        field("compression", Text, 29),
        field("timeout", Duration, 29),
    ],
};

static EVENT_RECORDER: Type = Type {
    fields: &[
        field("file_outputs", Objects(&FILE_OUTPUT_CONFIG), 33),
        field("webhook_outputs", Objects(&WEBHOOK_OUTPUT_CONFIG), 33),
        field("kafka_outputs", Objects(&KAFKA_OUTPUT_CONFIG), 33),
        field("stdout_outputs", Objects(&STDOUT_OUTPUT_CONFIG), 34),
    ],
};

static FILE_OUTPUT_CONFIG: Type = Type { fields: &[field("path", Text, 33)] };

static KAFKA_OUTPUT_CONFIG: Type = Type {
    fields: &[
        field("brokers", Texts, 33),
        field("topic", Text, 33),
        field("client_id", Text, 33),
        field("format", Text, 33),
        field("acks", Text, 33),
        field("compression", Text, 33),
        field("buffer_size", Int, 33),
        field("tls_config", Object(&TLS_CONFIG), 33),
    ],
};

static WEBHOOK_OUTPUT_CONFIG: Type = Type {
    fields: &[
        field("url", SecretUrl, 33),
        field("http_config", Object(&HTTP_CLIENT_CONFIG), 33),
        field("timeout", Duration, 33),
        field("workers", Int, 33),
        field("max_retries", Int, 33),
        field("retry_backoff", Duration, 33),
        field("batch", Bool, 34),
        field("batch_max_events", Int, 34),
        field("batch_max_bytes", Int, 34),
        field("batch_flush_interval", Duration, 34),
    ],
};

static STDOUT_OUTPUT_CONFIG: Type = Type { fields: &[] };
