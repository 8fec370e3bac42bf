//! Which fix mends what the operator refuses.

use serde_json::json;

use super::{Left, shared};
use crate::checks::support::operator;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::prometheus::operator::log::{self, Reason};
use crate::domain::prometheus::operator::selection::{self, Kind};
use crate::model::Finding;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Monitor, MonitoringResource};

/// The Secret of the token that a monitor names instead of a file.
const TOKEN: &str = "metrics-token";

/// The fix of an object that is left out.
pub(super) fn object(snap: &Snapshot, made: Finding, left: &Left<'_>) -> Finding {
    let meta = left.meta;
    let server = left.server.as_ref().and_then(|(namespace, name)| {
        selection::all_servers(snap)
            .unwrap_or_default()
            .into_iter()
            .find(|s| s.metadata.namespace == *namespace && s.metadata.name == *name)
    });
    let variant = match &left.reason {
        Reason::FileAccess(_) => "file-access",
        Reason::SecretMissing { .. } | Reason::ConfigMapMissing { .. } => "missing",
        Reason::KeyMissing { .. } => "key",
        Reason::Rule => "rule",
        Reason::Other => "object",
    };
    let (source, name, key) = match &left.reason {
        Reason::SecretMissing { name } => ("secret", name.as_str(), ""),
        Reason::ConfigMapMissing { name } => ("configmap", name.as_str(), ""),
        Reason::KeyMissing { kind, name, key } => {
            (if *kind == "Secret" { "secret" } else { "configmap" }, name.as_str(), key.as_str())
        }
        _ => ("", "", ""),
    };
    let monitor = monitor(snap, left);
    let mut made = shared(snap, made, server)
        .fix(variant)
        .param("kind", left.kind.as_str())
        .param("resource", left.kind.kubectl())
        .param("object", &meta.name)
        .param("namespace", &meta.namespace)
        .param("managed", managed_by(meta))
        .param("text", left.text.trim())
        .param("source", source)
        .param("source_name", name)
        .param("key", key)
        .param("patch", monitor.and_then(|m| file_patch(m, &left.reason)))
        .param("token", TOKEN)
        .param("account", format!("{}-scrape", meta.name))
        .param("server_known", server.is_some());
    operator::loaded_params(&mut made.params, snap, left.kind, &meta.namespace, &meta.name);
    made
}

fn monitor<'a>(snap: &'a Snapshot, left: &Left<'_>) -> Option<&'a Monitor> {
    let all = snap.monitors.items().ok()?.iter().filter(|m| m.kind == left.kind.as_str());
    all.into_iter().find(|m| m.metadata.namespace == left.meta.namespace && m.metadata.name == left.meta.name)
}

/// A JSON patch that takes the files out of a monitor's endpoints and names a Secret instead.
fn file_patch(monitor: &Monitor, reason: &Reason) -> Option<String> {
    let Reason::FileAccess(field) = reason else { return None };
    let list = if monitor.kind == "PodMonitor" { "podMetricsEndpoints" } else { "endpoints" };
    let mut operations = Vec::new();
    for (at, endpoint) in monitor.spec.endpoints.iter().enumerate() {
        let base = format!("/spec/{list}/{at}");
        if *field == "bearerTokenFile" && endpoint.bearer_token_file.is_some() {
            operations.push(json!({"op": "remove", "path": format!("{base}/bearerTokenFile")}));
            let value = json!({"credentials": {"name": TOKEN, "key": "token"}});
            operations.push(json!({"op": "add", "path": format!("{base}/authorization"), "value": value}));
        }
        let tls = endpoint.tls_config.as_ref();
        for (name, there) in [
            ("caFile", tls.is_some_and(|t| t.ca_file.is_some())),
            ("certFile", tls.is_some_and(|t| t.cert_file.is_some())),
            ("keyFile", tls.is_some_and(|t| t.key_file.is_some())),
        ] {
            if there {
                operations.push(json!({"op": "remove", "path": format!("{base}/tlsConfig/{name}")}));
            }
        }
        if tls.is_some_and(|t| t.ca_file.is_some()) {
            // The token's Secret holds the cluster's CA too.
            let value = json!({"secret": {"name": TOKEN, "key": "ca.crt"}});
            operations.push(json!({"op": "add", "path": format!("{base}/tlsConfig/ca"), "value": value}));
        }
    }
    (!operations.is_empty()).then(|| serde_json::Value::Array(operations).to_string())
}

/// The words speak of Alertmanager's configuration.
pub(super) fn is_of_config(text: &str) -> bool {
    ["provision alertmanager configuration", "initialize from", "config from Secret"].iter().any(|w| text.contains(w))
}

/// The fix of a server that is not written.
pub(super) fn server(snap: &Snapshot, made: Finding, server: &MonitoringResource, text: &str) -> Finding {
    let kind = if server.kind == "Alertmanager" { Kind::AlertmanagerConfig } else { Kind::ServiceMonitor };
    let of_config = server.kind == "Alertmanager" && is_of_config(text);
    let reason = log::reason(kind, text);
    let additional = server.kind != "Alertmanager" && text.contains("additional");
    let variant = match (&reason, of_config, additional) {
        (Reason::SecretMissing { .. } | Reason::ConfigMapMissing { .. } | Reason::KeyMissing { .. }, ..) => {
            "server-secret"
        }
        (_, true, _) => "alertmanager",
        (_, _, true) => "additional",
        _ => "server",
    };
    let meta = &server.metadata;
    let (source, name, key) = match &reason {
        Reason::ConfigMapMissing { name } => ("configmap", name.clone(), String::new()),
        Reason::SecretMissing { name } => ("secret", name.clone(), String::new()),
        Reason::KeyMissing { kind, name, key } => {
            (if *kind == "Secret" { "secret" } else { "configmap" }, name.clone(), key.clone())
        }
        _ => ("secret", String::new(), String::new()),
    };
    let default = if server.kind == "Alertmanager" { format!("alertmanager-{}", meta.name) } else { String::new() };
    let config = server.spec.config_secret.clone().unwrap_or(default);
    let extra = server.spec.additional_scrape_configs.as_ref().map(|s| (s.name.clone(), s.key.clone()));
    shared(snap, made, Some(server))
        .fix(variant)
        .param("text", text.trim())
        .param("source", source)
        .param("source_name", name)
        .param("key", key)
        .param("config_secret", config)
        .param("config_path", "{.data.alertmanager\\.yaml}")
        .param("extra_secret", extra.as_ref().map(|(name, _)| name.as_str()))
        .param("extra_path", extra.as_ref().map(|(_, key)| format!("{{.data.{}}}", key.replace('.', "\\."))))
        .param("values", operator::values_base(server))
}
