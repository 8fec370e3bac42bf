//! The live source: Kubernetes through kube, the applications through the API server's proxy, a port-forward or a URL,
//! AWS through its SDK. Only `GET`s are sent (a port-forward opens a connection, nothing else), and commands in containers
//! only for active probes.

mod connect;
mod credentials;
mod exec;
mod forward;
mod tunnel;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderValue;
use http_body_util::{BodyExt, Limited};
use kube::client::Body;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::Value;
use url::Url;

use super::source::{App, FetchError, Known, Request, Source, error_from_document, http_error};
use crate::domain::kubernetes::proxy;
use crate::model::{Gap, GapCause};
use crate::snapshot::Component;
pub use connect::{ConnectError, ConnectOptions, contexts};
use credentials::Credentials;
pub(crate) use tunnel::{Cut, Notice};
pub use tunnel::{Line, Tunnel};

/// Bytes of one answer that are read at most: a page of 500 large objects is below 50 MB.
const MAX_ANSWER: usize = 256 << 20;
/// The same, of a program of the stack: ten thousand targets are 20 MB.
const MAX_APP_ANSWER: usize = 64 << 20;
/// Bytes of a log's end that are kept at most.
pub(crate) const LOG_BYTES: usize = 64 << 10;
/// Bytes of a log that are asked for at most. The kubelet counts them from the first of the last lines on: a limit that
/// these lines exceed would cut off the newest.
const LOG_ANSWER: usize = 1 << 20;
/// Lines of a log's end that are read at most.
pub(crate) const LOG_LINES: usize = 400;
/// Bytes of a scrape URL's answer that are read at most: enough to see what it is.
const PEEK_BYTES: usize = 4 << 10;
/// Times that a throttled or failed call is sent again.
const RETRIES: u32 = 3;
/// What must be escaped in a path that is built from names.
const PATH: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'?').add(b'`').add(b'{').add(b'}');

/// A running cluster.
pub struct Live {
    client: kube::Client,
    http: reqwest::Client,
    timeout: Duration,
    known: Known,
    prometheus_url: Option<Url>,
    alertmanager_url: Option<Url>,
    grafana_url: Option<Url>,
    /// `Bearer …`, marked as sensitive; for Grafana alone.
    grafana_token: Option<HeaderValue>,
    credentials: Credentials,
    /// The service proxy does not work here; the port-forward does.
    forward: AtomicBool,
    #[cfg(feature = "aws")]
    aws: Option<crate::collect::aws::live::AwsClient>,
}

struct Answer {
    status: u16,
    retry_after: Option<Duration>,
    body: Vec<u8>,
}

impl Live {
    /// Sends a `GET` to the API server; throttled and failed calls again, after the time the server asks for.
    async fn get(&self, uri: &str, request: &Request) -> Result<Vec<u8>, FetchError> {
        let mut attempt = 0;
        loop {
            let answer = self.send(uri, request).await?;
            if answer.status < 400 || is_datasource_health(request, &answer.body) {
                return Ok(answer.body);
            }
            // A kubelet that does not answer for one log does not answer for the next attempt either.
            let is_log = matches!(request, Request::Log { .. });
            let transient = match answer.status {
                429 => true,
                500 | 502 | 503 | 504 => !is_log && !is_final(&answer),
                _ => false,
            };
            if !transient || attempt == RETRIES {
                return Err(status_error(request, &answer));
            }
            let backoff = Duration::from_millis(200) * 2_u32.pow(attempt);
            let wait = answer.retry_after.unwrap_or(backoff);
            // The deadline of the call is the caller's; waiting beyond it would only turn "throttled" into "timeout".
            if wait >= self.timeout {
                return Err(status_error(request, &answer));
            }
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    async fn send(&self, uri: &str, request: &Request) -> Result<Answer, FetchError> {
        let bad = |error: &dyn std::fmt::Display| {
            FetchError::Gap(Gap::new(request.label(), GapCause::BadAnswer, error.to_string()))
        };
        let message = http::Request::get(uri)
            .header(http::header::ACCEPT, accept(request))
            .body(Body::empty())
            .map_err(|e| bad(&e))?;
        let response = self.client.send(message).await.map_err(|e| transport_error(request, &e))?;
        let status = response.status().as_u16();
        let retry_after = response
            .headers()
            .get(http::header::RETRY_AFTER)
            .and_then(|v| v.to_str().ok()?.trim().parse().ok())
            .map(Duration::from_secs);
        let limit = match request {
            Request::Service { .. } => PEEK_BYTES,
            Request::App { .. } => MAX_APP_ANSWER,
            _ => MAX_ANSWER,
        };
        let body =
            read_body(response.into_body(), limit, matches!(request, Request::Service { .. })).await.map_err(|e| {
                FetchError::Gap(Gap::new(request.label(), GapCause::BadAnswer, format!("the answer broke off: {e}")))
            })?;
        Ok(Answer { status, retry_after, body })
    }

    async fn app(&self, request: &Request) -> Result<Vec<u8>, FetchError> {
        let Request::App { app, at, path, query } = request else { unreachable!("called for applications only") };
        let url = match app {
            App::Prometheus => &self.prometheus_url,
            App::Alertmanager => &self.alertmanager_url,
            App::Grafana => &self.grafana_url,
        };
        // Only what lies behind its login is asked with the token.
        let token = self.grafana_token.as_ref().filter(|_| *app == App::Grafana && path != "/api/health");
        if let Some(base) = url {
            return self.by_url(base, path, query, request, token).await;
        }
        let Some(at) = at else {
            let gap =
                Gap::new(request.label(), GapCause::NotConfigured, format!("no {} Service was found", app.as_str()));
            return Err(FetchError::Gap(gap.hint(format!("give --{}-url or -n NAMESPACE", app.as_str()))));
        };
        let target = with_query(&format!("{}{path}", at.prefix), query);
        // Through the service proxy the Authorization header is the API server's own.
        if token.is_some() || self.forward.load(Ordering::Relaxed) {
            return self.forwarded(at, &target, request, token).await;
        }
        let uri = proxy_uri(at, &target);
        // Half of the time is left for the other way: where the API server cannot reach the pod, this call hangs.
        let by_proxy = tokio::time::timeout(self.timeout / 2, self.get(&uri, request)).await.unwrap_or_else(|_| {
            let message = "the API server's service proxy did not answer";
            Err(FetchError::Gap(Gap::new(request.label(), GapCause::Timeout, message).hint("raise --timeout")))
        });
        let error = match by_proxy {
            Ok(body) => return Ok(body),
            Err(error) => error,
        };
        // The API server may lack the right or the way to the pod; a port-forward goes through the kubelet.
        let FetchError::Gap(gap) = &error else { return Err(error) };
        let no_way = matches!(gap.cause, GapCause::Forbidden { .. } | GapCause::Unreachable | GapCause::Timeout)
            && !gap.message.contains("no endpoints available");
        if !no_way {
            return Err(error);
        }
        let forwarded = tokio::time::timeout(self.timeout / 5 * 2, self.forwarded(at, &target, request, None)).await;
        match forwarded {
            Ok(Ok(body)) => {
                self.forward.store(true, Ordering::Relaxed);
                Ok(body)
            }
            Ok(Err(FetchError::Gap(second))) => Err(FetchError::Gap(with_second_way(gap.clone(), &second.message))),
            Ok(Err(_)) => Err(error),
            Err(_) => Err(FetchError::Gap(with_second_way(gap.clone(), "no answer"))),
        }
    }

    async fn by_url(
        &self,
        base: &Url,
        path: &str,
        query: &str,
        request: &Request,
        token: Option<&HeaderValue>,
    ) -> Result<Vec<u8>, FetchError> {
        let mut url = base.clone();
        url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
        url.set_query((!query.is_empty()).then_some(query));
        // It is sent to nobody, and errors would show it.
        url.set_fragment(None);
        let gap = |cause, error: &reqwest::Error| {
            let hint = format!("check the URL {}", display_url(base));
            FetchError::Gap(Gap::new(request.label(), cause, chain(error)).hint(hint))
        };
        let mut message = self.http.get(url);
        if let Some(token) = token {
            message = message.header(http::header::AUTHORIZATION, token);
        }
        let mut response = message.send().await.map_err(|e| match chain(&e) {
            _ if e.is_timeout() => gap(GapCause::Timeout, &e),
            text if is_untrusted(&text) => {
                let message = format!("the certificate of {} does not verify: {text}", display_url(base));
                let hint = "it is not signed by an authority that this machine trusts, or is for another name";
                FetchError::Gap(Gap::new(request.label(), GapCause::Unreachable, message).hint(hint))
            }
            _ => gap(GapCause::Unreachable, &e),
        })?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|e| gap(GapCause::BadAnswer, &e))? {
            body.extend_from_slice(&part);
            if body.len() > MAX_APP_ANSWER {
                let message = format!("the answer is larger than {} MiB", MAX_APP_ANSWER >> 20);
                return Err(FetchError::Gap(Gap::new(request.label(), GapCause::BadAnswer, message)));
            }
        }
        answered(request, status, body, token.is_some())
    }

    async fn forwarded(
        &self,
        at: &Component,
        target: &str,
        request: &Request,
        token: Option<&HeaderValue>,
    ) -> Result<Vec<u8>, FetchError> {
        let fail = |message: String| FetchError::Gap(Gap::new(request.label(), GapCause::Unreachable, message));
        let (status, body) = forward::get(&self.client, at, target, token).await.map_err(fail)?;
        answered(request, status, body, token.is_some())
    }

    #[cfg(feature = "aws")]
    async fn aws(&self, call: &crate::collect::source::AwsCall) -> Result<Vec<u8>, FetchError> {
        let Some(aws) = &self.aws else {
            let gap = Gap::new(call.iam_action(), GapCause::NotConfigured, "no selected check needs AWS");
            return Err(FetchError::Gap(gap));
        };
        let document = aws.call(call).await?;
        Ok(document.to_string().into_bytes())
    }

    #[cfg(not(feature = "aws"))]
    async fn aws(&self, call: &crate::collect::source::AwsCall) -> Result<Vec<u8>, FetchError> {
        let gap = Gap::new(call.iam_action(), GapCause::NotConfigured, "this kdoctor was built without AWS support");
        Err(FetchError::Gap(gap.hint("build it with the default features")))
    }

    async fn ask(&self, request: &Request) -> Result<Vec<u8>, FetchError> {
        match request {
            Request::Kubernetes { path, query, .. } => self.get(&with_query(path, query), request).await,
            Request::Log { namespace, pod, container, previous } => {
                let (namespace, pod, container) = (escape(namespace), escape(pod), escape(container));
                let uri = format!(
                    "/api/v1/namespaces/{namespace}/pods/{pod}/log?container={container}&previous={previous}\
                     &tailLines={LOG_LINES}&limitBytes={LOG_ANSWER}"
                );
                self.get(&uri, request).await
            }
            Request::App { .. } => self.app(request).await,
            Request::Service { namespace, service, scheme, port, path } => {
                let (namespace, service) = (escape(namespace), escape(service));
                let path = utf8_percent_encode(path, CONTROLS).to_string();
                let uri = proxy::of_service(&namespace, scheme, &service, *port, &path);
                self.get(&uri, request).await
            }
            Request::Exec { namespace, pod, container, command } => {
                exec::run(&self.client, namespace, pod, container, command).await.map_err(|e| e.into_error(request))
            }
            Request::PortForward { namespace, pod, port } => {
                let fail = |message: String| FetchError::Gap(Gap::new(request.label(), GapCause::Unreachable, message));
                let host = format!("{pod}.{namespace}");
                let (status, _) =
                    forward::through(&self.client, namespace, pod, *port, &host, "/", None).await.map_err(fail)?;
                Ok(serde_json::json!({"status": status}).to_string().into_bytes())
            }
            Request::Aws(call) => self.aws(call).await,
        }
    }
}

/// What the port-forward said, where both ways are closed; who lacks a right is told that alone.
fn with_second_way(mut gap: Gap, second: &str) -> Gap {
    if !matches!(gap.cause, GapCause::Forbidden { .. }) {
        gap.message = format!("{}; by port-forward: {}", gap.message, second.trim_start_matches("port-forward: "));
    }
    gap
}

/// The answer of an application that was reached without the API server's proxy.
fn answered(request: &Request, status: u16, body: Vec<u8>, with_token: bool) -> Result<Vec<u8>, FetchError> {
    if status < 400 || is_datasource_health(request, &body) {
        return Ok(body);
    }
    if with_token && matches!(status, 401 | 403) {
        let message = format!("Grafana refused the token with HTTP {status}");
        let hint = "--grafana-token must be the token of a service account with the role Admin, not expired";
        return Err(FetchError::Gap(Gap::new(request.label(), GapCause::Unauthorized, message).hint(hint)));
    }
    Err(status_error(request, &Answer { status, retry_after: None, body }))
}

/// Grafana says with an error status, 400 or 503 by its version, that a datasource does not work: that is an answer.
fn is_datasource_health(request: &Request, body: &[u8]) -> bool {
    let Request::App { app: App::Grafana, path, .. } = request else { return false };
    path.starts_with("/api/datasources/uid/")
        && path.ends_with("/health")
        && serde_json::from_slice::<Value>(body)
            .is_ok_and(|v| v.get("status").is_some_and(Value::is_string) && v.get("kind").is_none())
}

/// An error that a retry cannot cure: the Service has no ready pod, or the API server has no way to it.
fn is_final(answer: &Answer) -> bool {
    let text = String::from_utf8_lossy(&answer.body[..answer.body.len().min(2000)]);
    text.contains("no endpoints available") || text.contains("error trying to reach service")
}

/// Reads a body up to `limit` bytes; beyond it, cuts (`peek`) or fails.
async fn read_body(
    mut body: Body,
    limit: usize,
    peek: bool,
) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
    if !peek {
        return Ok(Limited::new(body, limit).collect().await?.to_bytes().to_vec());
    }
    let mut out = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            out.extend_from_slice(&data);
        }
        if out.len() >= limit {
            out.truncate(limit);
            break;
        }
    }
    Ok(out)
}

/// Metadata-only lists are a tenth of the size.
fn accept(request: &Request) -> &'static str {
    match request {
        // The changes of a list are objects.
        Request::Kubernetes { metadata_only: true, .. } if request.is_watch() => {
            "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
        }
        // A server that cannot leave the data out must refuse.
        Request::Kubernetes { metadata_only: true, path, .. } if path.ends_with("/secrets") => {
            "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
        }
        Request::Kubernetes { metadata_only: true, .. } => {
            "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1, application/json"
        }
        Request::Kubernetes { .. } => "application/json",
        _ => "application/json, */*",
    }
}

fn with_query(path: &str, query: &str) -> String {
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

fn escape(name: &str) -> String {
    utf8_percent_encode(name, PATH).to_string()
}

fn proxy_uri(at: &Component, target: &str) -> String {
    let (ns, service, scheme, port) = (escape(&at.namespace), escape(&at.service), at.scheme, at.port);
    proxy::of_service(&ns, scheme, &service, port, target)
}

/// A URL without what may be secret in it: a login, whose name alone can be a token, a query and a fragment.
fn display_url(url: &Url) -> String {
    let mut url = url.clone();
    if url.password().is_some() || !url.username().is_empty() {
        // Both fail only for URLs that cannot have a login.
        let _ = url.set_password(None);
        let _ = url.set_username("***");
    }
    // Neither is asked with.
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

/// What libraries say of their own layers before they come to the cause.
const LAYERS: &[&str] =
    &["ServiceError: ", "client error (Connect): ", "client error (SendRequest): ", "tcp connect error: "];

/// An error with its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    plainly(&text)
}

/// `Connection refused`, without the layers through which it came and its number; what the API server says, without the
/// object that holds it.
fn plainly(text: &str) -> String {
    let text = &match text.split_once(" (Status {") {
        Some((said, _)) => said.trim_start_matches("ApiError: ").to_owned(),
        None => text.to_owned(),
    };
    let text = LAYERS.iter().fold(text.to_owned(), |text, layer| text.replace(layer, ""));
    match text.split_once(" (os error ") {
        Some((said, number)) if number.ends_with(')') => said.to_owned(),
        _ => text,
    }
}

/// The other side's certificate is not to be trusted: no network path is at fault.
fn is_untrusted(text: &str) -> bool {
    text.contains("invalid peer certificate") || text.contains("certificate verify failed")
}

fn transport_error(request: &Request, error: &kube::Error) -> FetchError {
    let text = chain(error);
    let (cause, hint) = match error {
        kube::Error::Auth(_) => (
            GapCause::Unauthorized,
            "the credential plugin of the kubeconfig failed: log in again, then try kubectl version",
        ),
        _ if is_untrusted(&text) => {
            let message = format!("the certificate of the API server does not verify: {text}");
            let hint = "the kubeconfig's certificate-authority-data is of another cluster or old, or a proxy answers with \
                        a certificate of its own: aws eks update-kubeconfig writes the right one";
            return FetchError::Gap(Gap::new(request.label(), GapCause::Unreachable, message).hint(hint));
        }
        _ if text.contains("timed out") || text.contains("deadline") => {
            (GapCause::Timeout, "raise --timeout, or check the network path to the API server (VPN, private endpoint)")
        }
        _ => (GapCause::Unreachable, "check the network path to the API server (VPN, private endpoint, proxy)"),
    };
    FetchError::Gap(Gap::new(request.label(), cause, text).hint(hint))
}

fn status_error(request: &Request, answer: &Answer) -> FetchError {
    let document: Option<Value> = serde_json::from_slice(&answer.body).ok();
    match document {
        Some(document) if document.get("kind").and_then(Value::as_str) == Some("Status") => {
            error_from_document(request, &document)
        }
        _ => http_error(request, answer.status, "", &String::from_utf8_lossy(&answer.body)),
    }
}

#[async_trait]
impl Source for Live {
    async fn fetch(&self, request: &Request) -> Result<Vec<u8>, FetchError> {
        self.ask(request).await.map_err(|error| self.credentials.hide(error))
    }

    fn deadline(&self) -> Duration {
        self.timeout
    }

    fn known(&self) -> Known {
        self.known.clone()
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::{display_url, plainly};

    #[test]
    fn what_may_be_secret_in_a_url_is_not_shown() {
        let shown = |url: &str| display_url(&Url::parse(url).expect("a URL"));
        for secret in ["https://hush@h:9/a", "https://u:hush@h:9/a", "https://h:9/a?key=hush", "https://h:9/a#hush"] {
            assert!(!shown(secret).contains("hush"), "{}", shown(secret));
        }
        assert_eq!(shown("https://h:9/a"), "https://h:9/a");
    }

    #[test]
    fn what_went_wrong_is_said_without_the_layers_it_came_through() {
        let text = "ServiceError: client error (Connect): tcp connect error: Connection refused (os error 111)";
        assert_eq!(plainly(text), "Connection refused");
        let refused =
            "ApiError: error dialing backend: no route: InternalError (Status { status: Some(Failure), code: 500 })";
        assert_eq!(plainly(refused), "error dialing backend: no route: InternalError");
        assert_eq!(plainly("invalid peer certificate: UnknownIssuer"), "invalid peer certificate: UnknownIssuer");
    }
}
