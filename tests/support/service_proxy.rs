//! The API server's Service proxy: forwarded to a real HTTP server, or answered from a bundle.

use std::collections::HashMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::bundle::{Document, Files};
use super::kube::Failure;
use super::wire::{Ask, Reply};

/// What an expression keeps in a file name: RFC 3986's unreserved characters.
const FILE_NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Real HTTP servers (`http://127.0.0.1:port`) by namespace and Service (or pod).
pub type Proxies = HashMap<(String, String), String>;

/// A request through the proxy.
pub struct Call {
    /// `services` or `pods`.
    plural: String,
    namespace: String,
    /// `http:prometheus:9090` as sent.
    id: String,
    name: String,
    /// The path behind the proxy, as sent: `/api/v1/query`.
    path: String,
}

impl Call {
    /// The call in `/api/v1/namespaces/NS/services/[scheme:]NAME[:port]/proxy/…`, if it is one.
    pub fn parse(ask: &Ask) -> Option<Self> {
        let rest = ask.path.strip_prefix("/api/v1/namespaces/")?;
        let mut parts = rest.splitn(5, '/');
        let (namespace, plural, id, proxy) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if !matches!(plural, "services" | "pods") || proxy != "proxy" {
            return None;
        }
        let path = format!("/{}", parts.next().unwrap_or_default());
        let id = decode(id);
        let name = match id.split(':').collect::<Vec<_>>()[..] {
            [_, name, _] | [name, _] | [name] => name.to_owned(),
            _ => return None,
        };
        Some(Self { plural: plural.into(), namespace: namespace.into(), id, name, path })
    }

    /// The answer.
    pub async fn answer(&self, files: &Files, proxies: &Proxies, client: &reqwest::Client, ask: &Ask) -> Reply {
        match proxies.get(&(self.namespace.clone(), self.name.clone())) {
            Some(url) => self.forward(url, client, ask).await,
            None => self.recorded_answer(files, ask).unwrap_or_else(|failure| failure.reply()),
        }
    }

    async fn forward(&self, url: &str, client: &reqwest::Client, ask: &Ask) -> Reply {
        let query = if ask.query.is_empty() { String::new() } else { format!("?{}", ask.query) };
        let url = format!("{}{}{query}", url.trim_end_matches('/'), self.path);
        let mut request = client.get(url);
        // As a real server does, everything but the credentials goes through.
        for name in ["accept", "accept-encoding", "user-agent"] {
            if let Some(value) = ask.header(name) {
                request = request.header(name, value);
            }
        }
        let refused =
            |e: reqwest::Error| Failure::new(503, format!("error trying to reach service: {}", root_cause(&e))).reply();
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return refused(error),
        };
        let header = |name: &str| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
        let (kind, encoding, status) = (header("content-type"), header("content-encoding"), response.status());
        match response.bytes().await {
            Ok(body) => {
                let reply = Reply::new(status.as_u16(), &kind.unwrap_or_default(), body);
                encoding.into_iter().fold(reply, |r, e| r.header("content-encoding", e))
            }
            Err(error) => refused(error),
        }
    }

    fn recorded_answer(&self, files: &Files, ask: &Ask) -> Result<Reply, Failure> {
        let path = decode(&self.path);
        let exact = format!("kubernetes/api/v1/namespaces/{}/{}/{}/proxy{path}", self.namespace, self.plural, self.id);
        if let Some(document) = files.document(&exact) {
            return recorded(document);
        }
        let app = self.app(files)?;
        let no_endpoints = || Failure::new(503, format!("no endpoints available for service {:?}", self.id));
        let folder = app.ok_or_else(no_endpoints)?;
        let mut name = format!("{folder}{path}");
        if folder == "prometheus" && path == "/api/v1/query" {
            let expression = ask.param("query").unwrap_or_default();
            name = format!("{name}/{}", utf8_percent_encode(&expression, FILE_NAME));
        }
        match files.document(name.trim_end_matches('/')) {
            Some(document) => recorded(document),
            // A service that answered something has endpoints.
            None if answers(files, folder) => Ok(Reply::text(404, "404 page not found\n")),
            None => Err(no_endpoints()),
        }
    }

    /// The bundle folder that holds this service's answers, if it is one of the three.
    fn app(&self, files: &Files) -> Result<Option<&'static str>, Failure> {
        let services = files.answer("kubernetes/api/v1/services");
        let all = services.as_deref().and_then(|s| s["items"].as_array());
        let mine = |s: &&Value| s["metadata"]["name"] == *self.name && s["metadata"]["namespace"] == *self.namespace;
        let service = all.and_then(|all| all.iter().find(mine));
        if self.plural == "services" && all.is_some() && service.is_none() {
            return Err(Failure::new(404, format!("services {:?} not found", self.name)));
        }
        // Of kube-prometheus-stack, every Service has "prometheus" in its name; one of them serves 9090.
        let has_port = |number: u64| {
            let ports = service.and_then(|s| s["spec"]["ports"].as_array());
            ports.is_none_or(|ports| ports.iter().any(|p| p["port"] == number || p["targetPort"] == number))
        };
        Ok(match &self.name {
            name if name.contains("alertmanager") => Some("alertmanager"),
            name if name.contains("grafana") => Some("grafana"),
            name if name.contains("prometheus") && has_port(9090) => Some("prometheus"),
            _ => None,
        })
    }
}

/// A recorded answer; what is not JSON is kept as `{"status": N, "body": "text"}`.
fn recorded(document: Document) -> Result<Reply, Failure> {
    match document {
        Document::Refused(value) => Err(Failure::recorded(&value)),
        Document::Answer(value) => {
            let status = value["status"].as_u64().and_then(|n| u16::try_from(n).ok());
            Ok(match (status, value["body"].as_str()) {
                (Some(status), Some(body)) => Reply::text(status, body),
                _ => Reply::json(200, &value),
            })
        }
    }
}

/// Whether the folder holds any answer that is not a refusal.
fn answers(files: &Files, folder: &str) -> bool {
    files.names(folder).iter().any(|name| {
        let file = name.ends_with(".json") || name.ends_with(".json.gz");
        (file && !name.contains(".error.json")) || (!file && answers(files, &format!("{folder}/{name}")))
    })
}

fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn root_cause(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |e| e.source()).last().map(ToString::to_string).unwrap_or_default()
}
