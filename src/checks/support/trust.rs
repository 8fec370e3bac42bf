//! What to do where TLS fails with something that a program needs.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::checks::support::kept::Kept;
use crate::checks::support::named::Named;
use crate::domain::crash::{Crash, Detail};
use crate::domain::kubernetes::owner::Target;
use crate::domain::kubernetes::service_host::{ServiceHost, asked};
use crate::domain::text::tls_error::TlsCause;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Pod};

/// Go and OpenSSL read all certificates of these folders; a further one adds to those of the image.
const FOLDERS: &str = "/etc/ssl/certs:/etc/extra-ca";

/// Values of the page.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Certificate {
    /// `plain`, `client`, `expired`, `early`, `authority` or `name`.
    fault: &'static str,
    /// It is the API server of the cluster, which every pod is given the CA of.
    api_server: bool,
    host: String,
    /// Host and port; empty where there is no certificate to look at.
    host_port: String,
    reader_namespace: String,
    /// The Service behind the host, where it is one of the cluster.
    service: String,
    service_namespace: String,
    /// Mounts the CA and has a program of Go read it; empty where its log is not of Go, an operator keeps the pod, or it is the
    /// API server that is not trusted.
    trust_patch: String,
    container: String,
    pod: String,
    #[serde(flatten)]
    named: Named,
    #[serde(flatten)]
    kept: Kept,
}

impl Certificate {
    /// `named` is where the address stands.
    pub(crate) fn of(
        snap: &Snapshot,
        (pod, container): (&Pod, &Container),
        target: &Target<'_>,
        crash: &Crash,
        named: Named,
    ) -> Self {
        let (host, port) = crash.unreached().unwrap_or_default();
        let meta = &pod.metadata;
        let service = asked(snap, host, &meta.namespace);
        let is_api = |s: &ServiceHost| s.namespace == "default" && s.service == "kubernetes";
        let api_server = service.as_ref().is_some_and(is_api);
        let service = service.filter(|s| !is_api(s));
        let is_go = crash.said.contains("x509:");
        let is_init = pod.spec.init_containers.iter().any(|c| c.name == container.name);
        let patch = || {
            let list = if is_init { "initContainers" } else { "containers" };
            let own = json!({
                "name": container.name,
                "env": [{"name": "SSL_CERT_DIR", "value": FOLDERS}],
                "volumeMounts": [{"name": "extra-ca", "mountPath": "/etc/extra-ca", "readOnly": true}],
            });
            let spec = json!({"volumes": [{"name": "extra-ca", "configMap": {"name": "extra-ca"}}], list: [own]});
            json!({"spec": {"template": {"spec": spec}}}).to_string()
        };
        let fault = match crash.detail {
            Detail::Tls(TlsCause::PlainHttp) => "plain",
            Detail::Tls(TlsCause::ClientCertificate) => "client",
            Detail::Tls(TlsCause::Expired) => "expired",
            Detail::Tls(TlsCause::NotYetValid) => "early",
            Detail::Tls(TlsCause::OtherName) => "name",
            _ => "authority",
        };
        let port = port.unwrap_or("443");
        // The address itself is right where its certificate is not.
        let named = match fault {
            "plain" | "name" => named,
            _ => Named::default(),
        };
        Self {
            fault,
            api_server,
            host: host.to_owned(),
            host_port: if fault == "plain" { String::new() } else { format!("{host}:{port}") },
            reader_namespace: meta.namespace.clone(),
            service: service.as_ref().map(|s| s.service.clone()).unwrap_or_default(),
            service_namespace: service.map(|s| s.namespace).unwrap_or_default(),
            trust_patch: if is_go && !api_server && target.in_place() { patch() } else { String::new() },
            container: container.name.clone(),
            pod: meta.name.clone(),
            named,
            kept: Kept::of(target),
        }
    }
}
