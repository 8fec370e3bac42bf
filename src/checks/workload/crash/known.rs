//! Names that the programs know: fields of their files and flags, to say what was meant.

use strsim::damerau_levenshtein;

/// What is known of a flag that a program refuses.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Flag {
    /// It has another name now.
    Successor(&'static str),
    /// It was removed; why that is no loss.
    Gone(&'static str),
    /// A flag of almost the same name.
    Near(&'static str),
    /// Nothing.
    Unknown,
}

/// Flags with another name now.
const RENAMED: &[(&str, &str)] = &[
    ("storage.tsdb.retention", "storage.tsdb.retention.time"),
    ("storage.local.retention", "storage.tsdb.retention.time"),
    ("storage.local.path", "storage.tsdb.path"),
    ("query.staleness-delta", "query.lookback-delta"),
    ("cluster.peers", "cluster.peer"),
    ("mesh.peer", "cluster.peer"),
    ("mesh.listen-address", "cluster.listen-address"),
];

/// Flags that were removed.
const GONE: &[(&str, &str)] = &[
    ("alertmanager.timeout", "it had no effect; set timeout in alerting.alertmanagers of the configuration."),
    ("alertmanager.url", "Alertmanagers are set in alerting.alertmanagers of the configuration."),
    ("storage.tsdb.allow-overlapping-blocks", "overlapping blocks are always allowed now."),
    ("storage.local.memory-chunks", "the storage of 2.0 and later sizes itself."),
    ("storage.local.target-heap-size", "the storage of 2.0 and later sizes itself."),
    ("storage.remote.timeout", "remote_write and remote_read are set in the configuration."),
];

const FLAGS: &[&str] = &[
    "agent",
    "alertmanager.notification-queue-capacity",
    "alerts.gc-interval",
    "auto-gomemlimit",
    "auto-gomaxprocs",
    "cluster.advertise-address",
    "cluster.gossip-interval",
    "cluster.label",
    "cluster.listen-address",
    "cluster.peer",
    "cluster.peer-timeout",
    "cluster.pushpull-interval",
    "cluster.reconnect-interval",
    "cluster.reconnect-timeout",
    "cluster.settle-timeout",
    "config.auto-reload-interval",
    "config.file",
    "data.maintenance-interval",
    "data.retention",
    "enable-feature",
    "log.format",
    "log.level",
    "query.lookback-delta",
    "query.max-concurrency",
    "query.max-samples",
    "query.timeout",
    "rules.alert.for-grace-period",
    "rules.alert.for-outage-tolerance",
    "rules.alert.resend-delay",
    "rules.max-concurrent-evals",
    "storage.agent.path",
    "storage.agent.retention.max-time",
    "storage.agent.retention.min-time",
    "storage.agent.wal-compression",
    "storage.path",
    "storage.remote.flush-deadline",
    "storage.remote.read-concurrent-limit",
    "storage.remote.read-sample-limit",
    "storage.tsdb.head-chunks-write-queue-size",
    "storage.tsdb.max-block-duration",
    "storage.tsdb.min-block-duration",
    "storage.tsdb.no-lockfile",
    "storage.tsdb.path",
    "storage.tsdb.retention.size",
    "storage.tsdb.retention.time",
    "storage.tsdb.wal-compression",
    "storage.tsdb.wal-segment-size",
    "web.config.file",
    "web.console.libraries",
    "web.console.templates",
    "web.cors.origin",
    "web.enable-admin-api",
    "web.enable-lifecycle",
    "web.enable-otlp-receiver",
    "web.enable-remote-write-receiver",
    "web.external-url",
    "web.get-concurrency",
    "web.listen-address",
    "web.max-connections",
    "web.page-title",
    "web.read-timeout",
    "web.route-prefix",
    "web.timeout",
    "web.user-assets",
];

/// What is known of a flag, without its dashes.
pub(super) fn flag(name: &str) -> Flag {
    if let Some((_, new)) = RENAMED.iter().find(|(old, _)| *old == name) {
        return Flag::Successor(new);
    }
    if let Some((_, why)) = GONE.iter().find(|(old, _)| *old == name) {
        return Flag::Gone(why);
    }
    nearest(name, FLAGS).map_or(Flag::Unknown, Flag::Near)
}

/// Top-level keys of prometheus.yml.
pub(super) const PROMETHEUS_TOP: &[&str] = &[
    "global",
    "runtime",
    "alerting",
    "rule_files",
    "scrape_config_files",
    "scrape_configs",
    "storage",
    "tracing",
    "otlp",
    "remote_write",
    "remote_read",
];

/// Fields of prometheus.yml below the top level.
pub(super) const PROMETHEUS: &[&str] = &[
    "action",
    "alert_relabel_configs",
    "alertmanagers",
    "always_scrape_classic_histograms",
    "api_version",
    "authorization",
    "basic_auth",
    "batch_send_deadline",
    "bearer_token",
    "bearer_token_file",
    "body_size_limit",
    "ca_file",
    "capacity",
    "cert_file",
    "consul_sd_configs",
    "convert_classic_histograms_to_nhcb",
    "credentials",
    "credentials_file",
    "dns_sd_configs",
    "ec2_sd_configs",
    "enable_compression",
    "evaluation_interval",
    "external_labels",
    "fallback_scrape_protocol",
    "file_sd_configs",
    "filters",
    "follow_redirects",
    "headers",
    "honor_labels",
    "honor_timestamps",
    "host",
    "http_sd_configs",
    "insecure_skip_verify",
    "job_name",
    "key_file",
    "keep_dropped_targets",
    "kubeconfig_file",
    "kubernetes_sd_configs",
    "label_limit",
    "label_name_length_limit",
    "label_value_length_limit",
    "labels",
    "max_backoff",
    "max_samples_per_send",
    "max_shards",
    "metadata_config",
    "metric_name_escaping_scheme",
    "metric_name_validation_scheme",
    "metric_relabel_configs",
    "metrics_path",
    "min_backoff",
    "min_shards",
    "modulus",
    "name",
    "names",
    "namespaces",
    "native_histogram_bucket_limit",
    "oauth2",
    "own_namespace",
    "params",
    "password",
    "password_file",
    "path_prefix",
    "port",
    "proxy_url",
    "query_log_file",
    "queue_config",
    "refresh_interval",
    "regex",
    "region",
    "relabel_configs",
    "remote_timeout",
    "replacement",
    "role",
    "role_arn",
    "rule_query_offset",
    "sample_limit",
    "scheme",
    "scrape_classic_histograms",
    "scrape_failure_log_file",
    "scrape_interval",
    "scrape_protocols",
    "scrape_timeout",
    "selectors",
    "send_exemplars",
    "send_native_histograms",
    "separator",
    "server",
    "server_name",
    "services",
    "sigv4",
    "source_labels",
    "static_configs",
    "target_label",
    "target_limit",
    "targets",
    "timeout",
    "tls_config",
    "track_timestamps_staleness",
    "type",
    "url",
    "username",
    "write_relabel_configs",
];

/// Fields of a rule file.
pub(super) const RULES: &[&str] = &[
    "alert",
    "annotations",
    "expr",
    "for",
    "groups",
    "interval",
    "keep_firing_for",
    "labels",
    "limit",
    "name",
    "query_offset",
    "record",
    "rules",
];

/// Fields of alertmanager.yml.
pub(super) const ALERTMANAGER: &[&str] = &[
    "actions",
    "active_time_intervals",
    "api_key",
    "api_secret",
    "api_url",
    "api_url_file",
    "app_token",
    "attributes",
    "auth_identity",
    "auth_password",
    "auth_password_file",
    "auth_username",
    "authorization",
    "basic_auth",
    "bot_token",
    "bot_token_file",
    "channel",
    "chat_id",
    "color",
    "continue",
    "corp_id",
    "credentials",
    "credentials_file",
    "days_of_month",
    "description",
    "details",
    "discord_configs",
    "email_configs",
    "end_time",
    "equal",
    "expire",
    "fallback",
    "fields",
    "footer",
    "from",
    "global",
    "group_by",
    "group_interval",
    "group_wait",
    "headers",
    "hello",
    "html",
    "http_config",
    "icon_emoji",
    "icon_url",
    "image_url",
    "incidentio_configs",
    "inhibit_rules",
    "jira_configs",
    "link_names",
    "location",
    "match",
    "match_re",
    "matchers",
    "max_alerts",
    "message",
    "months",
    "msteams_configs",
    "msteamsv2_configs",
    "mute_time_intervals",
    "name",
    "opsgenie_api_key",
    "opsgenie_api_url",
    "opsgenie_configs",
    "pagerduty_configs",
    "pagerduty_url",
    "parse_mode",
    "password",
    "pretext",
    "priority",
    "proxy_url",
    "pushover_configs",
    "receiver",
    "receivers",
    "repeat_interval",
    "require_tls",
    "resolve_timeout",
    "retry",
    "rocketchat_configs",
    "room_id",
    "route",
    "routes",
    "routing_key",
    "routing_key_file",
    "send_resolved",
    "service_key",
    "service_key_file",
    "severity",
    "short_fields",
    "sigv4",
    "slack_api_url",
    "slack_api_url_file",
    "slack_configs",
    "smarthost",
    "smtp_auth_identity",
    "smtp_auth_password",
    "smtp_auth_password_file",
    "smtp_auth_secret",
    "smtp_auth_username",
    "smtp_from",
    "smtp_hello",
    "smtp_require_tls",
    "smtp_smarthost",
    "smtp_tls_config",
    "sns_configs",
    "source_match",
    "source_match_re",
    "source_matchers",
    "start_time",
    "subject",
    "tags",
    "target_match",
    "target_match_re",
    "target_matchers",
    "telegram_api_url",
    "telegram_configs",
    "templates",
    "text",
    "time_intervals",
    "times",
    "title",
    "title_link",
    "tls_config",
    "to",
    "token",
    "topic_arn",
    "tracing",
    "url",
    "url_file",
    "user_key",
    "username",
    "victorops_api_key",
    "victorops_api_url",
    "victorops_configs",
    "webex_configs",
    "webhook_configs",
    "webhook_url",
    "webhook_url_file",
    "wechat_configs",
    "weekdays",
    "years",
];

/// Fields that came with a version.
const SINCE: &[(&str, &str)] = &[
    ("scrape_protocols", "Prometheus 2.49"),
    ("keep_dropped_targets", "Prometheus 2.47"),
    ("scrape_config_files", "Prometheus 2.43"),
    ("scrape_classic_histograms", "Prometheus 2.45"),
    ("track_timestamps_staleness", "Prometheus 2.48"),
    ("enable_compression", "Prometheus 2.49"),
    ("fallback_scrape_protocol", "Prometheus 3.0"),
    ("always_scrape_classic_histograms", "Prometheus 3.0"),
    ("metric_name_validation_scheme", "Prometheus 3.0"),
    ("metric_name_escaping_scheme", "Prometheus 3.4"),
    ("otlp", "Prometheus 2.55"),
    ("rule_query_offset", "Prometheus 2.53"),
    ("query_offset", "Prometheus 2.53"),
    ("keep_firing_for", "Prometheus 2.42"),
    ("msteams_configs", "Alertmanager 0.26"),
    ("discord_configs", "Alertmanager 0.25"),
    ("webex_configs", "Alertmanager 0.25"),
    ("msteamsv2_configs", "Alertmanager 0.28"),
    ("jira_configs", "Alertmanager 0.28"),
    ("rocketchat_configs", "Alertmanager 0.28"),
    ("incidentio_configs", "Alertmanager 0.29"),
    ("active_time_intervals", "Alertmanager 0.24"),
    ("time_intervals", "Alertmanager 0.24"),
];

/// The version since which a field exists, where that is later than what is in common use.
pub(super) fn since(field: &str) -> Option<&'static str> {
    SINCE.iter().find(|(name, _)| *name == field).map(|(_, version)| *version)
}

/// The known name that was meant: the same in another spelling (`sourceLabels`), else one or two letters away.
pub(super) fn nearest(word: &str, names: &[&'static str]) -> Option<&'static str> {
    let plain = |w: &str| w.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_ascii_lowercase();
    let stem = |w: &str| plain(w).trim_end_matches('s').to_owned();
    let same = |n: &&&'static str| plain(n) == plain(word) || stem(n) == stem(word);
    if let Some(found) = names.iter().find(same) {
        return Some(found);
    }
    let most = match word.len() {
        0..=3 => return None,
        4..=5 => 1,
        _ => 2,
    };
    let distance = |n: &&&'static str| damerau_levenshtein(&plain(n), &plain(word));
    let mut near: Vec<&&'static str> = names.iter().filter(|n| distance(n) <= most).collect();
    near.sort_by_key(|n| distance(n));
    match near.as_slice() {
        [one] => Some(one),
        // Two that are as near say nothing.
        [one, other, ..] if distance(one) < distance(other) => Some(one),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_was_meant_only_where_that_is_clear() {
        let near = |word| nearest(word, PROMETHEUS);
        assert_eq!(near("metric_path"), Some("metrics_path"));
        assert_eq!(near("sourceLabels"), Some("source_labels"));
        assert_eq!(near("static_config"), Some("static_configs"));
        assert_eq!(near("scrape_intervall"), Some("scrape_interval"));
        assert_eq!(near("something_else"), None);
        assert_eq!(nearest("fors", RULES), Some("for"));
        assert_eq!(nearest("reciever", ALERTMANAGER), Some("receiver"));
        assert_eq!(flag("storage.tsdb.retention"), Flag::Successor("storage.tsdb.retention.time"));
        assert_eq!(flag("storage.tsdb.retension.time"), Flag::Near("storage.tsdb.retention.time"));
    }
}
