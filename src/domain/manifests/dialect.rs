//! Whose configuration a document is: that of Prometheus, of its rules, of Alertmanager, or something else.

use crate::lint::yaml::{self, Node};
use crate::lint::{prometheus, rules, web};

/// What reads a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Prometheus, as its main configuration.
    Prometheus,
    /// Prometheus, as a rule file.
    Rules,
    /// Alertmanager.
    Alertmanager,
    /// The web server of any of them, or of an exporter.
    Web,
    /// Grafana, as a dashboard.
    Dashboard,
}

/// Whose configuration a text is that stands under a key; `of_dashboards`: among dashboards.
pub(super) fn dialect_of_text(key: &str, text: &str, of_dashboards: bool) -> Option<Dialect> {
    if key.ends_with(".json") {
        // What is no JSON is known by where it lies.
        let has = |words: &[&str]| words.iter().all(|word| text.contains(word));
        let is_dashboard = of_dashboards || has(&["\"panels\"", "\"schemaVersion\"", "\"title\""]);
        return is_dashboard.then_some(Dialect::Dashboard);
    }
    match yaml::document(text) {
        Ok(root) => named(key, &root?),
        // What is no YAML is known by its first words.
        Err(_) if !(key.ends_with(".yml") || key.ends_with(".yaml") || key.ends_with(".rules")) => None,
        Err(_) if prometheus::is_config(text) => Some(Dialect::Prometheus),
        Err(_) if rules::is_rules(text) => Some(Dialect::Rules),
        Err(_) if web::resembles(text) => Some(Dialect::Web),
        Err(_) => {
            let has = |section: &str| text.lines().any(|l| l.starts_with(section));
            (has("route:") && has("receivers:")).then_some(Dialect::Alertmanager)
        }
    }
}

/// Whose configuration a document is that has a name.
pub(super) fn named(name: &str, root: &Node) -> Option<Dialect> {
    if web::is_config(root, name) {
        Some(Dialect::Web)
    } else if name.ends_with(".json") && is_dashboard(root) {
        Some(Dialect::Dashboard)
    } else {
        dialect_of(root)
    }
}

/// What is meant to be a dashboard; the API's own form wraps it.
fn is_dashboard(root: &Node) -> bool {
    let root = root.get("dashboard").unwrap_or(root);
    let panels = ["panels", "rows"].iter().any(|key| root.get(key).and_then(Node::items).is_some());
    panels && ["schemaVersion", "templating", "title"].iter().any(|key| root.get(key).is_some())
}

/// Sections of programs whose files resemble those of Prometheus: Promtail, vmagent, rule tests, the OpenTelemetry
/// collector, Mimir's rule files.
const FOREIGN: &[&str] = &[
    "clients",
    "positions",
    "server",
    "tests",
    "modules",
    "service",
    "exporters",
    "processors",
    "namespace",
    "metrics",
    "apiVersion",
    "kind",
];
/// Fields of a job that only VictoriaMetrics reads.
const OF_VICTORIA_METRICS: &[&str] = &[
    "stream_parse",
    "no_stale_markers",
    "scrape_align_interval",
    "scrape_offset",
    "disable_keepalive",
    "series_limit",
];

/// Whose configuration a file is.
pub(crate) fn of_whole_file(path: &str, root: &Node) -> Option<Dialect> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let named = name == "prometheus.yml" && root.get("global").is_some_and(has_plain_keys) && has_own_sections(root);
    self::named(name, root).or(named.then_some(Dialect::Prometheus))
}

/// Keys as Prometheus writes them, and not as charts do (`imageRegistry`).
fn has_plain_keys(node: &Node) -> bool {
    let plain = |k: &Node| k.as_str().is_some_and(|k| k.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
    node.entries().is_some_and(|e| e.iter().all(|(k, _)| plain(k)))
}

/// Whose configuration a document is; `None` for anything else, Helm values first of all.
fn dialect_of(root: &Node) -> Option<Dialect> {
    let has = |key: &str| root.get(key).is_some();
    if FOREIGN.iter().any(|key| has(key)) {
        return None;
    }
    let items = |key: &str| root.get(key).and_then(Node::items);
    let is_receiver = |r: &Node| r.entries().is_some_and(|e| e.iter().any(|(k, _)| is_integration(k)));
    if of_events(root) {
        return None;
    }
    let routes = root.get("route").is_some_and(|r| r.get("receiver").is_some() || r.get("routes").is_some());
    if routes && items("receivers").is_some() || items("receivers").is_some_and(|r| r.iter().any(is_receiver)) {
        return Some(Dialect::Alertmanager);
    }
    // Others have groups of rules, too: policies of who may call whom.
    let is_rule = |r: &Node| ["alert", "record", "expr"].iter().any(|key| r.get(key).is_some());
    let of_rules = |rules: &[Node]| rules.is_empty() || rules.iter().any(is_rule);
    if items("groups").is_some_and(|all| all.iter().any(|g| g.get("rules").and_then(Node::items).is_some_and(of_rules)))
    {
        return Some(Dialect::Rules);
    }
    let jobs = items("scrape_configs");
    let foreign = |job: &Node| OF_VICTORIA_METRICS.iter().any(|key| job.get(key).is_some());
    if jobs.is_some_and(|jobs| jobs.iter().any(foreign)) {
        return None;
    }
    let times = ["scrape_interval", "evaluation_interval", "scrape_timeout", "external_labels"];
    let global = root.get("global").is_some_and(|g| times.iter().any(|key| g.get(key).is_some()));
    let lists = items("rule_files").is_some() || items("scrape_config_files").is_some();
    let sections = || has_own_sections(root) && entries(root).iter().any(|(k, v)| is_section(k, v));
    (jobs.is_some() || lists || global || sections()).then_some(Dialect::Prometheus)
}

fn entries(node: &Node) -> &[(Node, Node)] {
    node.entries().unwrap_or_default()
}

/// Nothing at the top that Prometheus does not have.
fn has_own_sections(root: &Node) -> bool {
    entries(root).iter().all(|(key, _)| key.as_str().is_some_and(prometheus::has_section))
}

/// A section as only Prometheus has it. Charts and other programs have `storage`, `tracing` and `global` of their own.
fn is_section(key: &Node, value: &Node) -> bool {
    let Some(section) = key.as_str() else { return false };
    let known = |node: &Node| node.entries().map(|e| e.iter().filter(|(k, _)| knows(section, k)).count());
    let all = entries(value).len();
    match section {
        "remote_write" | "remote_read" => {
            value.items().is_some_and(|items| items.iter().any(|i| i.is_null() || known(i).is_some_and(|n| n > 0)))
        }
        "tracing" => {
            value.get("sampling_fraction").is_some() || (value.get("endpoint").is_some() && known(value) == Some(all))
        }
        "alerting" | "otlp" | "runtime" | "storage" | "global" => known(value).is_some_and(|n| n > 0),
        _ => false,
    }
}

fn knows(section: &str, key: &Node) -> bool {
    key.as_str().is_some_and(|key| prometheus::knows(section, key))
}

/// The exporter of Kubernetes' events has routes and receivers, too: its routes drop and match by lists, where those of
/// Alertmanager match by a mapping and begin with a receiver, and its receivers are of one kind each.
pub(super) fn of_events(root: &Node) -> bool {
    fn by_lists(route: &Node, depth: usize) -> bool {
        let list = |key: &str| route.get(key).and_then(Node::items);
        let below = || list("routes").unwrap_or_default().iter().any(|r| by_lists(r, depth + 1));
        list("drop").is_some() || list("match").is_some() || (depth < ROUTES && below())
    }
    let receivers = root.get("receivers").and_then(Node::items).unwrap_or_default();
    let of_alerts = receivers.iter().any(|r| entries(r).iter().any(|(key, _)| is_integration(key)));
    let begins = |route: &Node| route.get("receiver").is_none() && by_lists(route, 0);
    !of_alerts && root.get("route").is_some_and(begins)
}

/// Depth of routes below routes at most.
const ROUTES: usize = 16;

fn is_integration(key: &Node) -> bool {
    key.as_str().is_some_and(|k| k.ends_with("_configs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_of_prometheus_are_told_from_those_of_others() {
        let of = |path: &str, text: &str| {
            of_whole_file(path, &yaml::document(text).expect("is YAML").expect("is not empty"))
        };
        for own in [
            "remote_write: [{url: http://x}]",
            "remote_write:\n  -\n",
            "remote_read: [{name: x}]",
            "otlp: {promote_resource_attributes: [a]}",
            "storage: {tsdb: {retention: {time: 1d}}}",
            "tracing: {sampling_fraction: 1}",
            "alerting: {alertmanagers: [{}]}",
            "global: {query_log_file: x}",
        ] {
            assert_eq!(of("x.yml", own), Some(Dialect::Prometheus), "{own}");
        }
        for other in [
            "storage: {trace: {backend: s3}}",
            "storage: {type: s3}",
            "tracing: {enabled: true, endpoint: x}",
            "tracing: {endpoint: x, insecure: true}\nserver: {}",
            "global: {imageRegistry: x}",
            "global: {resolve_timeout: 5m}",
            "remote_write: {url: x}",
            "remote_write: [{url: x}]\nimage: {tag: a}",
            "alerting: {enabled: true}",
            "otlp: {grpc: {endpoint: x}}",
        ] {
            assert_eq!(of("x.yml", other), None, "{other}");
        }
        for events in [
            "logLevel: error\nroute: {routes: [{match: [{receiver: dump}]}]}\nreceivers: [{name: dump, stdout: {}}]",
            "route: {drop: [{type: Normal}], match: [{receiver: a}]}\nreceivers: [{name: a, webhook: {endpoint: x}}]",
            "route: {routes: [{drop: [{reason: Pulled}]}]}\nreceivers: [{name: a}]",
        ] {
            assert_eq!(of("config.yaml", events), None, "{events}");
        }
        for alerts in [
            "route: {receiver: a, routes: [{match: {severity: x}}]}\nreceivers: [{name: a, slack_config: {}}]",
            "route: {receiver: a, routes: [{match: [{severity: x}]}]}\nreceivers: [{name: a, slack_configs: []}]",
            "logLevel: debug\nroute: {receiver: a}\nreceivers: [{name: a}]",
            "route: {receiver: a, routes: [{match: [{severity: x}], receiver: a}]}\nreceivers: [{name: a}]",
        ] {
            assert_eq!(of("config.yaml", alerts), Some(Dialect::Alertmanager), "{alerts}");
        }
        assert_eq!(of("a/prometheus.yml", "global: {nonexistent_field: x}"), Some(Dialect::Prometheus));
        assert_eq!(of("a/prometheus.yml", "global: {imageRegistry: x}"), None);
    }
}
