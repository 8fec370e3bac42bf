//! The HTTP side shared by the test servers: a server on its own thread, a request log, and faults.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::streams::{self, Streaming};

/// What a captive portal, a gateway or a login proxy answers.
const PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body><form action=\"/login\">\
                    <input name=\"user\"><input name=\"password\" type=\"password\"></form></body></html>\n";
/// Bytes per chunk of a dripping body.
const DRIP: usize = 16;

/// A request as a handler sees it.
#[derive(Debug, Clone)]
pub struct Ask {
    /// `GET`.
    pub method: String,
    /// The path as sent, percent-encoded.
    pub path: String,
    /// The query as sent, without the question mark.
    pub query: String,
    /// Headers.
    pub headers: HeaderMap,
    /// The body, whole.
    pub body: Vec<u8>,
}

impl Ask {
    /// The first value of a query parameter, decoded.
    pub fn param(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(self.query.as_bytes()).find(|(k, _)| k == name).map(|(_, v)| v.into_owned())
    }

    /// The parts of the path, each decoded.
    pub fn parts(&self) -> Vec<String> {
        let decode = |part: &str| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned();
        self.path.trim_matches('/').split('/').map(decode).collect()
    }

    /// A header as text, or nothing.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// `path?query`; of a form, its fields are the query.
    pub fn target(&self) -> String {
        let form = self.header("content-type").is_some_and(|t| t.starts_with("application/x-www-form-urlencoded"));
        let query = if form { String::from_utf8_lossy(&self.body).into_owned() } else { self.query.clone() };
        if query.is_empty() { self.path.clone() } else { format!("{}?{query}", self.path) }
    }
}

/// An answer, before faults.
#[derive(Debug, Clone)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// `application/json`.
    pub content_type: String,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body, whole.
    pub body: Vec<u8>,
}

impl Reply {
    /// An answer of some type.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, content_type: content_type.to_owned(), headers: Vec::new(), body: body.into() }
    }

    /// A JSON answer.
    pub fn json(status: u16, value: &serde_json::Value) -> Self {
        Self::new(status, "application/json", value.to_string())
    }

    /// A plain text answer.
    pub fn text(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::new(status, "text/plain; charset=utf-8", body)
    }

    /// With one more header.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Compressed, if the client takes it.
    pub fn gzip_for(mut self, ask: &Ask) -> Self {
        if ask.header("accept-encoding").is_some_and(|e| e.contains("gzip")) {
            let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            io::Write::write_all(&mut packer, &self.body).expect("a Vec takes every byte");
            self.body = packer.finish().expect("a Vec takes every byte");
            self.headers.push(("content-encoding", "gzip".into()));
        }
        self
    }
}

/// What goes wrong.
#[derive(Debug, Clone)]
pub enum Action {
    /// Refused, in the error format of the service: Kubernetes `reason`, AWS error code.
    Status {
        /// HTTP status.
        code: u16,
        /// `TooManyRequests`, `AccessDenied`.
        reason: String,
        /// For people.
        message: String,
        /// Header `Retry-After`, seconds.
        retry_after: Option<u32>,
    },
    /// The right answer, late.
    Delay(Duration),
    /// The right answer, 16 bytes at a time.
    DripBody {
        /// Pause before each chunk.
        chunk_ms: u64,
    },
    /// A web page instead of an API answer: with 200 a login page, with 404 or 502 a gateway's error page.
    Garbage(u16),
    /// Half of the right answer, then the connection closes.
    Truncate,
    /// `410 Expired`, for requests with a continue token only.
    ExpireContinue,
    /// No answer, ever.
    Hang,
}

impl Action {
    /// A refusal without `Retry-After`.
    pub fn status(code: u16, reason: &str, message: &str) -> Self {
        Self::Status { code, reason: reason.into(), message: message.into(), retry_after: None }
    }

    /// `429 Too Many Requests` as API priority and fairness answers it.
    pub fn too_many_requests(retry_after: u32) -> Self {
        Self::Status {
            code: 429,
            reason: "TooManyRequests".into(),
            message: "Too many requests, please try again later.".into(),
            retry_after: Some(retry_after),
        }
    }
}

/// Something that goes wrong with some requests.
#[derive(Debug, Clone)]
pub struct Fault {
    /// Start of `path?query` up to the end of a path part (`/api/v1/pods` is not `/api/v1/podtemplates`), or an AWS
    /// action such as `Action=DescribeSubnets`.
    pub path_prefix: String,
    /// Only the n-th matching request, from 1; `None` is every one.
    pub nth: Option<usize>,
    /// What happens.
    pub action: Action,
}

impl Fault {
    /// A fault of every matching request.
    pub fn on(path_prefix: &str, action: Action) -> Self {
        Self { path_prefix: path_prefix.into(), nth: None, action }
    }

    /// A fault of the first matching request only.
    pub fn first(path_prefix: &str, action: Action) -> Self {
        Self { nth: Some(1), ..Self::on(path_prefix, action) }
    }

    fn matches(&self, ask: &Ask, key: &str) -> bool {
        let fits = |text: &str| {
            text.strip_prefix(&self.path_prefix).is_some_and(|rest| {
                rest.is_empty() || rest.starts_with(['/', '?', '&']) || self.path_prefix.ends_with(['/', '=', '?'])
            })
        };
        (fits(&ask.target()) || fits(key))
            && (!matches!(self.action, Action::ExpireContinue) || ask.param("continue").is_some())
    }
}

/// One request that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// `GET /api/v1/pods?limit=500`; of a form, its fields are the query.
    pub line: String,
    /// Status of the answer; nothing while it is being made, or if there is none.
    pub status: Option<u16>,
    /// The `Accept` header.
    pub accept: String,
    /// The `User-Agent` header.
    pub agent: String,
}

impl Recorded {
    /// `GET`.
    pub fn method(&self) -> &str {
        self.line.split(' ').next().unwrap_or_default()
    }

    /// `/api/v1/pods`.
    pub fn path(&self) -> &str {
        self.line.split([' ', '?']).nth(1).unwrap_or_default()
    }
}

/// What a server does with a request.
pub trait Handler: Send + Sync + 'static {
    /// The right answer.
    fn answer(&self, ask: Ask) -> BoxFuture<'_, Reply>;
    /// A refusal in the service's own format.
    fn refusal(&self, ask: &Ask, status: u16, reason: &str, message: &str) -> Reply;
    /// A stream that this request wants to upgrade to.
    fn stream(&self, _ask: &Ask) -> Option<Streaming> {
        None
    }
    /// Another name of the request that faults may use.
    fn key(&self, _ask: &Ask) -> String {
        String::new()
    }
}

struct Shared {
    handler: Arc<dyn Handler>,
    faults: Vec<(Fault, AtomicUsize)>,
    log: Arc<Mutex<Vec<Recorded>>>,
}

/// A server on a free loopback port with its own thread; ends when dropped.
pub struct Server {
    /// Where it listens.
    pub addr: SocketAddr,
    log: Arc<Mutex<Vec<Recorded>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts on `bind`, with TLS if `tls` is given.
    pub fn start(bind: SocketAddr, tls: Option<ServerConfig>, faults: Vec<Fault>, handler: Arc<dyn Handler>) -> Self {
        let listener = std::net::TcpListener::bind(bind).unwrap_or_else(|e| panic!("cannot listen on {bind}: {e}"));
        listener.set_nonblocking(true).expect("a socket can be non-blocking");
        let addr = listener.local_addr().expect("a bound socket has an address");
        let log = Arc::<Mutex<Vec<Recorded>>>::default();
        let faults = faults.into_iter().map(|f| (f, AtomicUsize::new(0))).collect();
        let shared = Arc::new(Shared { handler, faults, log: log.clone() });
        let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .expect("a runtime can start");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("the listener is non-blocking");
                tokio::select! {
                    () = accept(listener, acceptor, shared) => {}
                    _ = stopped => {}
                }
            });
            // Requests that hang must not keep the test waiting.
            runtime.shutdown_background();
        });
        Self { addr, log, stop: Some(stop), thread: Some(thread) }
    }

    /// Starts on a free port of 127.0.0.1.
    pub fn local(tls: Option<ServerConfig>, faults: Vec<Fault>, handler: Arc<dyn Handler>) -> Self {
        Self::start(SocketAddr::from(([127, 0, 0, 1], 0)), tls, faults, handler)
    }

    /// Every request so far, in order of arrival.
    pub fn requests(&self) -> Vec<Recorded> {
        self.log.lock().expect("no holder of the lock panics").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: tokio::net::TcpListener, acceptor: Option<TlsAcceptor>, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (acceptor, shared) = (acceptor.clone(), shared.clone());
        tokio::spawn(async move {
            match acceptor {
                None => serve(stream, shared).await,
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, shared).await;
                    }
                }
            }
        });
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S, shared: Arc<Shared>) {
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move { Ok::<_, Infallible>(shared.respond(request).await) }
    });
    // An error here is a client that went away, or a fault at work.
    let _ =
        auto::Builder::new(TokioExecutor::new()).serve_connection_with_upgrades(TokioIo::new(stream), service).await;
}

type Body = BoxBody<Bytes, io::Error>;

impl Shared {
    async fn respond(&self, request: Request<Incoming>) -> Response<Body> {
        let mut ask = Ask {
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            headers: request.headers().clone(),
            body: Vec::new(),
        };
        let upgrades = ask.header("upgrade").is_some_and(|u| u.eq_ignore_ascii_case("websocket"));
        let request = match self.handler.stream(&ask).filter(|_| upgrades) {
            Some(streaming) => {
                let line = format!("{} {}", ask.method, ask.target());
                let entry = Recorded {
                    line,
                    status: Some(101),
                    accept: String::new(),
                    agent: ask.header("user-agent").unwrap_or_default().to_owned(),
                };
                self.log.lock().expect("no holder of the lock panics").push(entry);
                return streams::accept(request, streaming, body_of(Vec::new(), None));
            }
            None => request,
        };
        ask.body = request.into_body().collect().await.map(|b| b.to_bytes().to_vec()).unwrap_or_default();
        let entry = Recorded {
            line: format!("{} {}", ask.method, ask.target()),
            status: None,
            accept: ask.header("accept").unwrap_or_default().to_owned(),
            agent: ask.header("user-agent").unwrap_or_default().to_owned(),
        };
        let place = {
            let mut log = self.log.lock().expect("no holder of the lock panics");
            log.push(entry);
            log.len() - 1
        };
        let (reply, shape) = self.outcome(ask).await;
        self.log.lock().expect("no holder of the lock panics")[place].status = Some(reply.status);
        let mut response = Response::builder().status(reply.status).header(CONTENT_TYPE, &reply.content_type);
        for (name, value) in &reply.headers {
            response = response.header(*name, value);
        }
        if matches!(shape, Some(Action::Truncate)) {
            response = response.header(CONTENT_LENGTH, reply.body.len());
        }
        response.body(body_of(reply.body, shape)).expect("test answers have valid headers")
    }

    /// The answer, and the fault that its body still has to suffer.
    async fn outcome(&self, ask: Ask) -> (Reply, Option<Action>) {
        let key = self.handler.key(&ask);
        let mut hit = None;
        for (fault, seen) in self.faults.iter().filter(|(f, _)| f.matches(&ask, &key)) {
            let count = seen.fetch_add(1, Ordering::Relaxed) + 1;
            if hit.is_none() && fault.nth.is_none_or(|n| n == count) {
                hit = Some(fault.action.clone());
            }
        }
        match hit {
            None => (self.handler.answer(ask).await, None),
            Some(Action::Hang) => std::future::pending().await,
            Some(Action::Delay(pause)) => {
                tokio::time::sleep(pause).await;
                (self.handler.answer(ask).await, None)
            }
            Some(Action::Garbage(status)) => (Reply::new(status, "text/html; charset=utf-8", PAGE), None),
            Some(Action::ExpireContinue) => {
                let message = "The provided continue parameter is too old to display a consistent list result. You can \
                               start a new list without the continue parameter.";
                (self.handler.refusal(&ask, 410, "Expired", message), None)
            }
            Some(Action::Status { code, reason, message, retry_after }) => {
                let reply = self.handler.refusal(&ask, code, &reason, &message);
                let seconds = retry_after.map(|s| s.to_string());
                (seconds.into_iter().fold(reply, |r, s| r.header("retry-after", s)), None)
            }
            Some(shape @ (Action::DripBody { .. } | Action::Truncate)) => (self.handler.answer(ask).await, Some(shape)),
        }
    }
}

fn body_of(bytes: Vec<u8>, shape: Option<Action>) -> Body {
    let bytes = Bytes::from(bytes);
    match shape {
        Some(Action::DripBody { chunk_ms }) => {
            let drops = stream::unfold(bytes, move |mut rest| async move {
                if rest.is_empty() {
                    return None;
                }
                tokio::time::sleep(Duration::from_millis(chunk_ms)).await;
                let drop = rest.split_to(DRIP.min(rest.len()));
                Some((Ok(Frame::data(drop)), rest))
            });
            BodyExt::boxed(StreamBody::new(drops))
        }
        Some(Action::Truncate) => {
            let half = bytes.slice(..bytes.len() / 2);
            let halves = stream::unfold(Some(half), |state| async move {
                match state {
                    Some(half) => Some((Ok(Frame::data(half)), None)),
                    None => {
                        // The first half must leave before the connection does.
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        Some((Err(io::Error::other("truncated by a fault")), None))
                    }
                }
            });
            BodyExt::boxed(StreamBody::new(halves))
        }
        _ => BodyExt::boxed(Full::new(bytes).map_err(|never| match never {})),
    }
}
