//! What Alertmanager's configuration says of a receiver: hosts, channels, files with secrets, and where all that is mounted
//! from.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::domain::alertmanager::pods::alertmanager_pods;
use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::host::{Place, place};
use crate::domain::kubernetes::mounts::{self, Origin};
use crate::domain::kubernetes::owner::{self, Target, operator_resource};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Pod};

/// The hosts of integrations that have one of their own.
const KNOWN_HOSTS: &[(&str, &str)] = &[
    ("slack", "hooks.slack.com"),
    ("pagerduty", "events.pagerduty.com"),
    ("opsgenie", "api.opsgenie.com"),
    ("telegram", "api.telegram.org"),
    ("pushover", "api.pushover.net"),
    ("victorops", "alert.victorops.com"),
    ("webex", "webexapis.com"),
    ("wechat", "qyapi.weixin.qq.com"),
    ("discord", "discord.com"),
];

/// Alertmanager's configuration.
pub(crate) struct Config(Value);

impl Config {
    /// The configuration that Alertmanager runs with; where its API could not be asked, the one in the file that it mounts.
    pub(crate) fn of(snap: &Snapshot) -> Option<Self> {
        serde_saphyr::from_str::<Value>(loaded(snap)?).ok().filter(Value::is_object).map(Self)
    }

    /// The configuration in the ConfigMap that Alertmanager mounts: its API hides URLs that hold tokens.
    pub(crate) fn in_file(snap: &Snapshot) -> Option<Self> {
        serde_saphyr::from_str::<Value>(file(snap)?).ok().filter(Value::is_object).map(Self)
    }

    /// One integration of a receiver: `slack_configs[0]`.
    pub(crate) fn integration(&self, receiver: &str, kind: &str, index: usize) -> Option<&Value> {
        let receivers = self.0.get("receivers")?.as_array()?;
        let found = receivers.iter().find(|r| r.get("name").and_then(Value::as_str) == Some(receiver))?;
        found.get(format!("{kind}_configs"))?.get(index)
    }

    /// A setting of an integration, else the global one of the name that Alertmanager falls back to.
    pub(crate) fn setting<'a>(&'a self, entry: Option<&'a Value>, name: &str, global: &str) -> Option<&'a str> {
        let own = entry.and_then(|e| e.get(name)).and_then(Value::as_str);
        own.or_else(|| self.0.get("global")?.get(global)?.as_str()).filter(|v| !v.is_empty())
    }

    /// Sends through an HTTP proxy that the configuration names.
    fn has_proxy(&self, entry: &Value) -> bool {
        let of = |parent: &Value| {
            let http = parent.get("http_config")?;
            let named = http.get("proxy_url").and_then(Value::as_str).is_some_and(|p| !p.is_empty());
            let from_env = http.get("proxy_from_environment").and_then(Value::as_bool).unwrap_or(false);
            Some(named || from_env)
        };
        of(entry).or_else(|| of(self.0.get("global")?)).unwrap_or(false)
    }

    /// The proxy that an integration sends through: the one that is named, else that of the environment where it is asked for.
    pub(crate) fn proxy<'a>(&'a self, entry: Option<&'a Value>, container: Option<&'a Container>) -> Option<&'a str> {
        let own = entry.and_then(|e| e.get("http_config"));
        let http = own.or_else(|| self.0.get("global")?.get("http_config"))?;
        let named = http.get("proxy_url").and_then(Value::as_str).filter(|p| !p.is_empty());
        let from_env = http.get("proxy_from_environment").and_then(Value::as_bool).unwrap_or(false);
        let of_env = |c: &'a Container| ["HTTPS_PROXY", "https_proxy"].iter().find_map(|name| c.env(name));
        named.or_else(|| container.filter(|_| from_env).and_then(of_env))
    }

    /// An integration of a receiver in use that talks to this host: lines of old versions name neither.
    pub(crate) fn integration_to(&self, host: &str) -> Option<&Value> {
        let used = self.receivers_in_use();
        let receivers = self.0.get("receivers").and_then(Value::as_array).into_iter().flatten();
        let mut all = receivers
            .filter(|r| r.get("name").and_then(Value::as_str).is_some_and(|n| used.contains(n)))
            .flat_map(|r| r.as_object().into_iter().flatten())
            .filter_map(|(key, list)| Some((key.strip_suffix("_configs")?, list.as_array()?)))
            .flat_map(|(kind, list)| list.iter().map(move |entry| (kind, entry)));
        all.find(|(kind, entry)| self.host(Some(entry), kind).as_deref() == Some(host)).map(|(_, entry)| entry)
    }

    /// The one receiver in use that talks to this host.
    pub(crate) fn receiver_to(&self, host: &str) -> Option<&str> {
        let used = self.receivers_in_use();
        let talks = |receiver: &&Value| {
            let lists = receiver.as_object().into_iter().flatten();
            let mut all = lists.filter_map(|(key, list)| Some((key.strip_suffix("_configs")?, list.as_array()?)));
            all.any(|(kind, list)| list.iter().any(|entry| self.host(Some(entry), kind).as_deref() == Some(host)))
        };
        let receivers = self.0.get("receivers").and_then(Value::as_array).into_iter().flatten();
        let names = receivers.filter(talks).filter_map(|r| r.get("name").and_then(Value::as_str));
        let mut names = names.filter(|name| used.contains(*name));
        names.next().filter(|_| names.next().is_none())
    }

    /// The host that an integration talks to; `None` where the configuration hides it.
    pub(crate) fn host(&self, entry: Option<&Value>, kind: &str) -> Option<String> {
        let keys: &[(&str, &str)] = match kind {
            "slack" => &[("api_url", "slack_api_url")],
            "pagerduty" => &[("url", "pagerduty_url")],
            "opsgenie" => &[("api_url", "opsgenie_api_url")],
            "victorops" => &[("api_url", "victorops_api_url")],
            "wechat" => &[("api_url", "wechat_api_url")],
            "telegram" | "webex" => &[("api_url", "")],
            "email" => &[("smarthost", "smtp_smarthost")],
            _ => &[("url", ""), ("webhook_url", ""), ("api_url", "")],
        };
        let value = keys.iter().find_map(|(own, global)| self.setting(entry, own, global));
        match value {
            // Alertmanager hides URLs that hold tokens.
            Some(v) if v.contains("<secret>") => known_host(kind),
            Some(v) if kind == "email" => v.rsplit_once(':').map(|(host, _)| host.to_owned()),
            Some(v) => url::Url::parse(v).ok()?.host_str().map(str::to_owned),
            None => known_host(kind),
        }
    }

    /// Names of receivers that some route names.
    pub(crate) fn receivers_in_use(&self) -> BTreeSet<String> {
        let mut used = BTreeSet::new();
        if let Some(route) = self.0.get("route") {
            routed(route, &mut used);
        }
        used
    }

    /// Hosts on the internet that receivers in use talk to without a proxy.
    pub(crate) fn public_hosts(&self, snap: &Snapshot, namespace: &str) -> BTreeSet<String> {
        let used = self.receivers_in_use();
        let mut hosts = BTreeSet::new();
        for receiver in self.0.get("receivers").and_then(Value::as_array).into_iter().flatten() {
            if !receiver.get("name").and_then(Value::as_str).is_some_and(|n| used.contains(n)) {
                continue;
            }
            for (key, list) in receiver.as_object().into_iter().flatten() {
                let Some(kind) = key.strip_suffix("_configs") else { continue };
                let entries = list.as_array().into_iter().flatten().filter(|e| !self.has_proxy(e));
                hosts.extend(entries.filter_map(|e| self.host(Some(e), kind)));
            }
        }
        hosts.retain(|h| place(snap, h, namespace) == Place::Public);
        hosts
    }
}

/// The host that an integration talks to unless told otherwise.
pub(crate) fn known_host(kind: &str) -> Option<String> {
    KNOWN_HOSTS.iter().find(|(name, _)| *name == kind).map(|(_, host)| (*host).to_owned())
}

fn routed(route: &Value, used: &mut BTreeSet<String>) {
    used.extend(route.get("receiver").and_then(Value::as_str).map(str::to_owned));
    for child in route.get("routes").and_then(Value::as_array).into_iter().flatten() {
        routed(child, used);
    }
}

/// Where a file in a container comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    /// `secret` or `configmap`, as kubectl calls it.
    pub(crate) kind: &'static str,
    /// Its name.
    pub(crate) name: String,
    /// The key in it.
    pub(crate) key: String,
    /// Mounted as a single file (`subPath`): kubelet does not refresh it while the pod runs.
    pub(crate) fixed: bool,
}

/// The Secret or ConfigMap behind a path in a container, by its mounts.
pub(crate) fn source_of(snap: &Snapshot, pod: &Pod, container: &Container, path: &str) -> Option<Source> {
    let (kind, name, key) = match mounts::origin(snap, pod, container, path) {
        Origin::Secret { name, key } => ("secret", name, key),
        Origin::ConfigMap { name, key } => ("configmap", name, key),
        _ => return None,
    };
    let fixed = mounts::mount_of(container, path).is_some_and(|m| m.sub_path.is_some());
    (!name.is_empty()).then_some(Source { kind, name, key, fixed })
}

/// Where the configuration comes from. The operator builds what it mounts; one edits what it builds it from.
pub(crate) fn config_source(snap: &Snapshot, pod: &Pod, container: &Container) -> Option<Source> {
    if let Some((_, name)) = operator_resource(snap, pod) {
        let key = "alertmanager.yaml".to_owned();
        return Some(Source { kind: "secret", name: format!("alertmanager-{name}"), key, fixed: false });
    }
    source_of(snap, pod, container, arguments::config_file(container)?)
}

/// The text of the configuration that Alertmanager runs with, else of the file that it mounts.
pub(crate) fn loaded(snap: &Snapshot) -> Option<&str> {
    let running = snap.alertmanager_status.as_ref().ok().map(|s| s.config.original.as_str());
    running.filter(|t| !t.is_empty()).or_else(|| file(snap))
}

/// The text of the configuration in the ConfigMap that Alertmanager mounts.
pub(crate) fn file(snap: &Snapshot) -> Option<&str> {
    let (pod, container) = alertmanager_pods(snap).into_iter().next()?;
    let source = config_source(snap, pod, container).filter(|s| s.kind == "configmap")?;
    let map = snap.config_maps.find(&pod.metadata.namespace, &source.name).ok()??;
    map.data.get(&source.key).map(String::as_str)
}

/// Who keeps the configuration as it is: its ConfigMap, else what makes the pod; empty where nobody does.
pub(crate) fn keeper(snap: &Snapshot, pod: &Pod, source: Option<&Source>) -> String {
    let source = source.filter(|s| s.kind == "configmap");
    let map = source.and_then(|s| snap.config_maps.find(&pod.metadata.namespace, &s.name).ok().flatten());
    let of_map = map.map(|m| owner::keeper(&m.metadata)).filter(|m| !m.is_empty());
    of_map.unwrap_or_else(|| Target::of(snap, pod).managed_by)
}

/// A receiver that is meant to send nothing.
pub(crate) fn is_silent(receiver: &str) -> bool {
    let name = receiver.to_ascii_lowercase();
    ["null", "blackhole", "black-hole", "devnull", "dev-null", "noop", "none", "silence"]
        .iter()
        .any(|w| name.contains(w))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::snapshot::monitoring::{AlertmanagerConfig, AlertmanagerStatus};

    fn snapshot(config: &str) -> Snapshot {
        let mut snap = Snapshot::empty(Timestamp::UNIX_EPOCH);
        let config = AlertmanagerConfig { original: config.into() };
        *snap.alertmanager_status = Ok(AlertmanagerStatus { config, ..AlertmanagerStatus::default() });
        snap
    }

    fn hosts(config: &str) -> Vec<String> {
        let snap = snapshot(config);
        Config::of(&snap).expect("a configuration").public_hosts(&snap, "monitoring").into_iter().collect()
    }

    #[test]
    fn names_the_public_hosts_of_receivers_in_use() {
        let found = hosts(
            "global:\n  slack_api_url: <secret>\nroute:\n  receiver: a\n  routes:\n    - receiver: b\nreceivers:\n  - name: a\n    slack_configs:\n      - channel: '#a'\n    webhook_configs:\n      - url: http://hook.ops.svc:80/\n      - url: https://hook.example.org/x\n  - name: b\n    email_configs:\n      - smarthost: smtp.example.org:587\n  - name: unused\n    pagerduty_configs:\n      - routing_key: <secret>\n",
        );
        assert_eq!(found, ["hook.example.org", "hooks.slack.com", "smtp.example.org"]);
    }

    #[test]
    fn receivers_behind_a_proxy_or_with_hidden_urls_do_not_count() {
        let proxied = "global:\n  http_config:\n    proxy_url: http://proxy:3128\nroute:\n  receiver: a\nreceivers:\n  - name: a\n    slack_configs:\n      - api_url_file: /x\n";
        assert!(hosts(proxied).is_empty());
        let hidden = "route:\n  receiver: a\nreceivers:\n  - name: a\n    webhook_configs:\n      - url: <secret>\n";
        assert!(hosts(hidden).is_empty());
    }

    #[test]
    fn finds_the_secret_behind_a_file() {
        let pod: Pod = serde_json::from_value(serde_json::json!({"spec": {
            "volumes": [{"name": "c", "configMap": {"name": "am-config"}}, {"name": "s", "secret": {"secretName": "am-slack"}}],
            "containers": [{"name": "alertmanager", "volumeMounts": [
                {"name": "c", "mountPath": "/etc/alertmanager"}, {"name": "s", "mountPath": "/etc/alertmanager/secrets"}]}]}}))
        .expect("a pod");
        let container = &pod.spec.containers[0];
        let snap = &Snapshot::empty(Timestamp::UNIX_EPOCH);
        let slack = source_of(snap, &pod, container, "/etc/alertmanager/secrets/url").expect("a source");
        assert_eq!((slack.kind, slack.name.as_str(), slack.key.as_str()), ("secret", "am-slack", "url"));
        let config = config_source(snap, &pod, container).expect("a source");
        assert_eq!(
            (config.kind, config.name.as_str(), config.key.as_str()),
            ("configmap", "am-config", "alertmanager.yml")
        );
        assert_eq!(source_of(snap, &pod, container, "/data/x"), None);
    }
}
