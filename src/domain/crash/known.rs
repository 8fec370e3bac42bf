//! Names that the programs know: fields of their files and flags, to say what was meant.

use crate::text::near::near;

/// What is known of a flag that a program refuses.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Flag {
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
pub(crate) fn flag(name: &str) -> Flag {
    if let Some((_, new)) = RENAMED.iter().find(|(old, _)| *old == name) {
        return Flag::Successor(new);
    }
    if let Some((_, why)) = GONE.iter().find(|(old, _)| *old == name) {
        return Flag::Gone(why);
    }
    near(name, FLAGS.iter().copied()).map_or(Flag::Unknown, Flag::Near)
}

/// Top-level keys of prometheus.yml.
pub(crate) const PROMETHEUS_TOP: &[&str] = &[
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
pub(crate) const PROMETHEUS: &[&str] = &[
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
pub(crate) const RULES: &[&str] = &[
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

/// Fields that came with a version.
const SINCE: &[(&str, &str)] = &[
    ("scrape_protocols", "Prometheus 2.49"),
    ("keep_dropped_targets", "Prometheus 2.47"),
    ("scrape_config_files", "Prometheus 2.43"),
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

/// Fields that have another name in newer versions: the name, the versions that know it, and what the newer ones call it.
const RENAMED_FIELDS: &[(&str, &str, &str)] =
    &[("scrape_classic_histograms", "Prometheus 2.45 to 2.55", "always_scrape_classic_histograms")];

/// The versions that know a field under a name that newer ones do not, and its newer name.
pub(crate) fn renamed(field: &str) -> Option<(&'static str, &'static str)> {
    RENAMED_FIELDS.iter().find(|(name, ..)| *name == field).map(|(_, versions, successor)| (*versions, *successor))
}

/// The version since which a field exists, where that is later than what is in common use.
pub(crate) fn since(field: &str) -> Option<&'static str> {
    SINCE.iter().find(|(name, _)| *name == field).map(|(_, version)| *version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_was_meant_only_where_that_is_clear() {
        let prometheus = |word| near(word, PROMETHEUS.iter().copied());
        assert_eq!(prometheus("metric_path"), Some("metrics_path"));
        assert_eq!(prometheus("sourceLabels"), Some("source_labels"));
        assert_eq!(prometheus("static_config"), Some("static_configs"));
        assert_eq!(prometheus("scrape_intervall"), Some("scrape_interval"));
        assert_eq!(prometheus("something_else"), None);
        assert_eq!(near("fors", RULES.iter().copied()), Some("for"));
        assert_eq!(near("reciever", crate::lint::alertmanager::field_names()), Some("receiver"));
        assert_eq!(renamed("scrape_classic_histograms").map(|r| r.1), Some("always_scrape_classic_histograms"));
        assert!(since("scrape_classic_histograms").is_none(), "no newer version knows it");
        assert_eq!(flag("storage.tsdb.retention"), Flag::Successor("storage.tsdb.retention.time"));
        assert_eq!(flag("storage.tsdb.retension.time"), Flag::Near("storage.tsdb.retention.time"));
    }
}
