//! Which fix mends what the operator refuses.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::Left;
use crate::checks::support::operator::{Loaded, Operator, Server, StackRelease};
use crate::checks::support::origin::path_of_key;
use crate::domain::kubernetes::json_patch;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::prometheus::operator::log::{self, Cause};
use crate::domain::prometheus::operator::selection::{self, Kind};
use crate::domain::text::between::between;
use crate::domain::text::redact::redact;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Monitor, MonitoringResource};

/// The Secret of the token that a monitor names instead of a file.
const TOKEN: &str = "metrics-token";

/// See the page's fixes: those of objects that are left out, then those of servers that are not written.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
pub(super) enum Fix {
    FileAccess {
        #[serde(flatten)]
        object: Object,
        /// A ServiceAccount to be made, and the Secret of its token.
        account: String,
        token: &'static str,
        /// Names the Secret instead of the files.
        patch: Option<String>,
        #[serde(flatten)]
        loaded: Loaded,
    },
    Missing {
        #[serde(flatten)]
        object: Object,
        #[serde(flatten)]
        source: Source,
        #[serde(flatten)]
        operator: Operator,
        #[serde(flatten)]
        loaded: Loaded,
    },
    Key {
        #[serde(flatten)]
        object: Object,
        #[serde(flatten)]
        source: Source,
        key: String,
        #[serde(flatten)]
        operator: Operator,
        #[serde(flatten)]
        loaded: Loaded,
    },
    Rule {
        #[serde(flatten)]
        object: Object,
        text: String,
        /// The server that would load it, where it is known.
        server: Option<String>,
        server_kind: Option<String>,
        server_namespace: Option<String>,
        #[serde(flatten)]
        loaded: Loaded,
    },
    Object {
        #[serde(flatten)]
        object: Object,
        text: String,
        #[serde(flatten)]
        operator: Operator,
        #[serde(flatten)]
        loaded: Loaded,
    },
    ServerSecret {
        #[serde(flatten)]
        server: Server,
        text: String,
        #[serde(flatten)]
        source: Source,
        waits: Option<String>,
    },
    Alertmanager {
        server_kind: String,
        server_namespace: String,
        server_managed: String,
        #[serde(flatten)]
        stack: StackRelease,
        text: String,
        config_secret: String,
        /// The JSONPath of the configuration in it.
        config_path: &'static str,
        waits: Option<String>,
    },
    Unseen {
        #[serde(flatten)]
        server: Server,
        set: String,
        /// The labels that it lacks.
        labels: Vec<String>,
        waits: Option<String>,
    },
    Additional {
        #[serde(flatten)]
        server: Server,
        text: String,
        /// The Secret of the additional scrape configuration, its key, and the JSONPath of that.
        extra_secret: Option<String>,
        extra_key: Option<String>,
        extra_path: Option<String>,
        waits: Option<String>,
    },
    Server {
        #[serde(flatten)]
        server: Server,
        text: String,
        #[serde(flatten)]
        operator: Operator,
        waits: Option<String>,
    },
}

/// The object that is left out.
#[derive(Serialize, JsonSchema)]
pub(super) struct Object {
    kind: &'static str,
    /// Its kind as kubectl takes it.
    resource: &'static str,
    object: String,
    namespace: String,
    managed: String,
}

/// The Secret or the ConfigMap that something is to be taken from.
#[derive(Serialize, JsonSchema)]
pub(super) struct Source {
    /// Its kind as kubectl takes it.
    source: &'static str,
    source_name: String,
}

impl Source {
    /// Of what a reason says is not there.
    fn of(reason: &Cause) -> Option<Self> {
        let (source, name) = match reason {
            Cause::SecretMissing { name } => ("secret", name),
            Cause::ConfigMapMissing { name } => ("configmap", name),
            Cause::KeyMissing { kind, name, .. } => (if *kind == "Secret" { "secret" } else { "configmap" }, name),
            _ => return None,
        };
        Some(Self { source, source_name: name.clone() })
    }
}

/// The fix of an object that is left out.
pub(super) fn object(snap: &Snapshot, left: &Left<'_>) -> Fix {
    let meta = left.meta;
    let object = Object {
        kind: left.kind.as_str(),
        resource: left.kind.kubectl(),
        object: meta.name.clone(),
        namespace: meta.namespace.clone(),
        managed: managed_by(meta),
    };
    let loaded = || Loaded::of(snap, left.kind, &meta.namespace, &meta.name);
    let text = left.text.trim().to_owned();
    let operator = Operator::of(snap);
    match (&left.reason, Source::of(&left.reason)) {
        (Cause::KeyMissing { key, .. }, Some(source)) => {
            Fix::Key { object, source, key: key.clone(), operator, loaded: loaded() }
        }
        (_, Some(source)) => Fix::Missing { object, source, operator, loaded: loaded() },
        (Cause::FileAccess(_), None) => Fix::FileAccess {
            object,
            account: format!("{}-scrape", meta.name),
            token: TOKEN,
            patch: monitor(snap, left).and_then(|m| file_patch(m, &left.reason)),
            loaded: loaded(),
        },
        (Cause::Rule, None) => {
            let server = selected_by(snap, left);
            Fix::Rule {
                object,
                text,
                server: server.map(|s| s.metadata.name.clone()),
                server_kind: server.map(|s| s.kind.to_ascii_lowercase()),
                server_namespace: server.map(|s| s.metadata.namespace.clone()),
                loaded: loaded(),
            }
        }
        _ => Fix::Object { object, text, operator, loaded: loaded() },
    }
}

/// The server that leaves it out, where that is said.
fn selected_by<'a>(snap: &'a Snapshot, left: &Left<'_>) -> Option<&'a MonitoringResource> {
    let (namespace, name) = left.server.as_ref()?;
    let mut all = selection::all_servers(snap).unwrap_or_default().into_iter();
    all.find(|s| s.metadata.namespace == *namespace && s.metadata.name == *name)
}

fn monitor<'a>(snap: &'a Snapshot, left: &Left<'_>) -> Option<&'a Monitor> {
    let all = snap.monitors.items().ok()?.iter().filter(|m| m.kind == left.kind.as_str());
    all.into_iter().find(|m| m.metadata.namespace == left.meta.namespace && m.metadata.name == left.meta.name)
}

/// A JSON patch that takes the files out of a monitor's endpoints and names a Secret instead.
fn file_patch(monitor: &Monitor, reason: &Cause) -> Option<String> {
    let Cause::FileAccess(field) = reason else { return None };
    let list = if monitor.kind == "PodMonitor" { "podMetricsEndpoints" } else { "endpoints" };
    let mut operations = Vec::new();
    for (at, endpoint) in monitor.spec.endpoints.iter().enumerate() {
        let base = format!("/spec/{list}/{at}");
        if let Some(file) = endpoint.bearer_token_file.as_deref().filter(|_| *field == "bearerTokenFile") {
            operations.extend(json_patch::take(&format!("{base}/bearerTokenFile"), file));
            let value = json!({"credentials": {"name": TOKEN, "key": "token"}});
            operations.push(json_patch::add(&format!("{base}/authorization"), value));
        }
        let tls = endpoint.tls_config.as_ref();
        for (name, file) in [
            ("caFile", tls.and_then(|t| t.ca_file.as_deref())),
            ("certFile", tls.and_then(|t| t.cert_file.as_deref())),
            ("keyFile", tls.and_then(|t| t.key_file.as_deref())),
        ] {
            let gone = file.map(|file| json_patch::take(&format!("{base}/tlsConfig/{name}"), file));
            operations.extend(gone.into_iter().flatten());
        }
        if tls.is_some_and(|t| t.ca_file.is_some()) {
            // The token's Secret holds the cluster's CA too.
            let value = json!({"secret": {"name": TOKEN, "key": "ca.crt"}});
            operations.push(json_patch::add(&format!("{base}/tlsConfig/ca"), value));
        }
    }
    (!operations.is_empty()).then(|| json_patch::text(operations))
}

/// The words speak of Alertmanager's configuration.
fn is_of_config(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["alertmanager config", "initialize from", "config from secret", "undefined receiver"]
        .iter()
        .any(|w| text.contains(w))
}

/// `statefulsets.apps "x" already exists`: since 0.85 the operator sees only StatefulSets with its labels, and tries to make
/// anew one that lost them. Its name, and the labels that it lacks.
fn unseen(snap: &Snapshot, server: &MonitoringResource, text: &str) -> Option<(String, Vec<String>)> {
    let set = between(text, "statefulsets.apps \"", "\" already exists")?;
    let workloads = snap.workloads.items().unwrap_or_default().iter();
    let mut own = workloads.filter(|w| w.kind == "StatefulSet" && w.metadata.namespace == server.metadata.namespace);
    let found = own.find(|w| w.metadata.name == set)?;
    let mut wanted = vec![("managed-by", "prometheus-operator".to_owned())];
    if let "Prometheus" | "PrometheusAgent" = server.kind.as_str() {
        let is_number = |shard: &&str| !shard.is_empty() && shard.bytes().all(|b| b.is_ascii_digit());
        let shard = set.rsplit_once("-shard-").map(|(_, shard)| shard).filter(is_number).unwrap_or("0");
        let mode = if server.kind == "Prometheus" { "server" } else { "agent" };
        wanted.push(("operator.prometheus.io/name", server.metadata.name.clone()));
        wanted.push(("operator.prometheus.io/shard", shard.to_owned()));
        wanted.push(("operator.prometheus.io/mode", mode.to_owned()));
    }
    let lacks = |(name, value): &(&str, String)| found.metadata.label(name) != Some(value.as_str());
    let labels: Vec<String> = wanted.into_iter().filter(lacks).map(|(name, value)| format!("{name}={value}")).collect();
    (!labels.is_empty()).then(|| (set.to_owned(), labels))
}

/// The resource as `kubectl wait` takes it, where its operator writes whether it could reconcile it.
fn waits(server: &MonitoringResource) -> Option<String> {
    let written = server.status.conditions.iter().any(|c| c.kind == "Reconciled");
    written.then(|| format!("{}/{}", server.kind.to_ascii_lowercase(), server.metadata.name))
}

/// The fix of a server that is not written.
pub(super) fn server(snap: &Snapshot, server: &MonitoringResource, text: &str) -> Fix {
    let is_alertmanager = server.kind == "Alertmanager";
    let kind = if is_alertmanager { Kind::AlertmanagerConfig } else { Kind::ServiceMonitor };
    let reason = log::reason(kind, text);
    let meta = &server.metadata;
    let (named, said, waits) = (Server::of(server), redact(text.trim()), waits(server));
    if let Some(source) = Source::of(&reason) {
        return Fix::ServerSecret { server: named, text: said, source, waits };
    }
    if let Some((set, labels)) = unseen(snap, server, text) {
        return Fix::Unseen { server: named, set, labels, waits };
    }
    if is_alertmanager && is_of_config(text) {
        return Fix::Alertmanager {
            server_kind: server.kind.to_ascii_lowercase(),
            server_namespace: meta.namespace.clone(),
            server_managed: managed_by(meta),
            stack: StackRelease::of(server),
            text: said,
            config_secret: server.spec.config_secret.clone().unwrap_or_else(|| format!("alertmanager-{}", meta.name)),
            config_path: "{.data.alertmanager\\.yaml}",
            waits,
        };
    }
    if !is_alertmanager && text.contains("additional") {
        let extra = server.spec.additional_scrape_configs.as_ref();
        return Fix::Additional {
            server: named,
            text: said,
            extra_secret: extra.map(|s| s.name.clone()),
            extra_key: extra.map(|s| s.key.clone()),
            extra_path: extra.map(|s| path_of_key(&s.key)),
            waits,
        };
    }
    Fix::Server { server: named, text: said, operator: Operator::of(snap), waits }
}
