//! A Kubernetes API server over HTTPS that answers from a bundle folder.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt;
use futures::future::BoxFuture;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::bundle::Files;
use super::changes::Changes;
use super::kube::{self, Failure};
use super::service_proxy::{Call, Proxies};
use super::streams::{self, Ran, Runner, Streaming};
use super::wire::{Ask, Fault, Handler, Recorded, Reply, Server};

/// How a server behaves.
#[derive(Clone)]
pub struct ServerOptions {
    /// The bundle folder.
    pub bundle: PathBuf,
    /// The bearer token that requests must carry; without one, every request is let in.
    pub token: Option<String>,
    /// Name of context and cluster in the kubeconfig: `test`, or an EKS ARN.
    pub context: String,
    /// Real HTTP servers behind the Service proxy.
    pub proxies: Proxies,
    /// Runs commands in containers; without it nobody may.
    pub runner: Option<Runner>,
    /// Who listens on a port of a pod that is forwarded to; other ports refuse.
    pub listeners: Vec<(String, u16, SocketAddr)>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// The bundle folder may change while the server runs.
    pub fresh: bool,
}

impl ServerOptions {
    /// A server without faults that answers from this folder.
    pub fn bundle(path: impl Into<PathBuf>) -> Self {
        Self {
            bundle: path.into(),
            token: None,
            context: "test".into(),
            proxies: Proxies::new(),
            runner: None,
            listeners: Vec::new(),
            faults: Vec::new(),
            fresh: false,
        }
    }

    /// The bundle folder changes while the server runs.
    pub fn fresh(mut self) -> Self {
        self.fresh = true;
        self
    }

    /// Requests must carry this bearer token.
    pub fn token(mut self, token: &str) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Names context and cluster of the kubeconfig.
    pub fn context(mut self, context: &str) -> Self {
        self.context = context.into();
        self
    }

    /// Names context and cluster as `aws eks update-kubeconfig` does.
    pub fn eks(self, region: &str, account: &str, cluster: &str) -> Self {
        self.context(&format!("arn:aws:eks:{region}:{account}:cluster/{cluster}"))
    }

    /// Sends one Service's proxy requests to a real server.
    pub fn proxy(mut self, namespace: &str, service: &str, url: &str) -> Self {
        self.proxies.insert((namespace.into(), service.into()), url.into());
        self
    }

    /// Runs commands in containers.
    pub fn runner(mut self, run: impl Fn(&str, &str, &[String]) -> Ran + Send + Sync + 'static) -> Self {
        self.runner = Some(Arc::new(run));
        self
    }

    /// Who listens on a port of pods whose name begins so.
    pub fn listener(mut self, pod: &str, port: u16, to: SocketAddr) -> Self {
        self.listeners.push((pod.into(), port, to));
        self
    }

    /// One more fault.
    pub fn fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }
}

/// A running server; ends when dropped.
pub struct ApiServer {
    /// Nothing while it is down.
    server: Option<Server>,
    addr: SocketAddr,
    faults: Vec<Fault>,
    tls: ServerConfig,
    handler: Arc<Kubernetes>,
    ca: String,
    token: String,
    context: String,
}

struct Kubernetes {
    files: Files,
    /// Of a folder that changes.
    changes: Option<Changes>,
    token: Option<String>,
    proxies: Proxies,
    client: reqwest::Client,
    runner: Option<Runner>,
    listeners: Vec<(String, u16, SocketAddr)>,
}

impl ApiServer {
    /// Starts on a free loopback port with a certificate authority of its own.
    pub fn start(options: ServerOptions) -> Self {
        let (ca, tls) = certificates();
        let client =
            reqwest::Client::builder().no_proxy().no_gzip().build().expect("a client without TLS can be built");
        let handler = Kubernetes {
            files: Files::open(&options.bundle).fresh(options.fresh),
            changes: options.fresh.then(Changes::default),
            token: options.token.clone(),
            proxies: options.proxies,
            client,
            runner: options.runner,
            listeners: options.listeners,
        };
        let handler = Arc::new(handler);
        let server = Server::local(Some(tls.clone()), options.faults.clone(), handler.clone());
        Self {
            addr: server.addr,
            server: Some(server),
            faults: options.faults,
            tls,
            handler,
            ca,
            token: options.token.unwrap_or_else(|| "test-token".into()),
            context: options.context,
        }
    }

    /// Goes down: whoever asks is refused, and every stream breaks.
    pub fn stop(&mut self) {
        self.server = None;
    }

    /// Comes up again, where it was and as the same one. The log of requests starts over, and nobody knows any more what
    /// changed before.
    pub fn start_again(&mut self) {
        self.handler.changes.iter().for_each(Changes::forget);
        let (tls, faults) = (self.tls.clone(), self.faults.clone());
        self.server = Some(Server::start(self.addr, Some(tls), faults, self.handler.clone()));
    }

    /// `https://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("https://{}", self.addr)
    }

    /// The authority's certificate as PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca
    }

    /// Every request so far, in order of arrival.
    pub fn requests(&self) -> Vec<Recorded> {
        self.server.as_ref().map(Server::requests).unwrap_or_default()
    }

    /// How often this path was asked for, whatever the query.
    pub fn count(&self, path: &str) -> usize {
        self.requests().iter().filter(|r| r.path() == path).count()
    }

    /// Requests that a read-only tool must not make: anything but GET, and Secrets with their data.
    pub fn trespasses(&self) -> Vec<Recorded> {
        let bad = |r: &Recorded| {
            let secret = r.path().split('/').any(|part| part == "secrets") && !r.path().contains("/proxy/");
            // The first media type decides: a later one is a fallback that a server may choose.
            let all_metadata = r.accept.split(',').all(|a| a.contains("as=PartialObjectMetadata"));
            r.method() != "GET" || (secret && !all_metadata)
        };
        self.requests().into_iter().filter(bad).collect()
    }

    /// Writes `<dir>/kubeconfig` with the right token.
    pub fn kubeconfig(&self, dir: &Path) -> PathBuf {
        self.kubeconfig_as(dir, &self.token)
    }

    /// Writes `<dir>/kubeconfig` with any token.
    pub fn kubeconfig_as(&self, dir: &Path, token: &str) -> PathBuf {
        let (name, url, ca) = (&self.context, self.url(), STANDARD.encode(&self.ca));
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: {name}\npreferences: {{}}\n\
             clusters:\n- name: {name}\n  cluster:\n    server: {url}\n    certificate-authority-data: {ca}\n\
             contexts:\n- name: {name}\n  context:\n    cluster: {name}\n    user: {name}\n\
             users:\n- name: {name}\n  user:\n    token: {token}\n"
        );
        let path = dir.join("kubeconfig");
        std::fs::write(&path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        path
    }
}

impl Handler for Kubernetes {
    fn answer(&self, ask: Ask) -> BoxFuture<'_, Reply> {
        async move {
            if let Some(token) = &self.token
                && ask.header("authorization") != Some(&format!("Bearer {token}"))
            {
                return Failure::new(401, "Unauthorized").reply();
            }
            if ask.method != "GET" {
                return Failure::new(405, "the server does not allow this method on the requested resource").reply();
            }
            if let Some(call) = Call::parse(&ask) {
                return call.answer(&self.files, &self.proxies, &self.client, &ask).await;
            }
            let reply = kube::answer(&self.files, &ask);
            let reply = match &self.changes {
                Some(changes) => changes.answer(&ask, reply),
                None => reply,
            };
            if reply.content_type == "application/json" { reply.gzip_for(&ask) } else { reply }
        }
        .boxed()
    }

    fn stream(&self, ask: &Ask) -> Option<Streaming> {
        let parts = ask.parts();
        let ["api", "v1", "namespaces", namespace, "pods", pod, verb] =
            parts.iter().map(String::as_str).collect::<Vec<_>>()[..]
        else {
            return None;
        };
        match verb {
            "exec" => {
                let run = self.runner.as_ref()?;
                Some(Streaming::Exec(run(namespace, pod, &streams::params(ask, "command"))))
            }
            "portforward" => {
                let port = streams::params(ask, "ports").first()?.parse().ok()?;
                let listener = self.listeners.iter().find(|(name, number, _)| pod.starts_with(name) && *number == port);
                Some(Streaming::Forward { port, to: listener.map(|(_, _, to)| *to) })
            }
            _ => None,
        }
    }

    fn refusal(&self, _ask: &Ask, status: u16, reason: &str, message: &str) -> Reply {
        Failure { reason: reason.into(), ..Failure::new(status, message) }.reply()
    }
}

/// The authority's certificate as PEM, and a server identity for 127.0.0.1 signed by it.
fn certificates() -> (String, ServerConfig) {
    let key = || KeyPair::generate().expect("a key can be generated");
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    ca.distinguished_name.push(DnType::CommonName, "kubernetes");
    let ca = CertifiedIssuer::self_signed(ca, key()).expect("the authority's parameters are valid");

    let names = ["127.0.0.1", "localhost", "kubernetes"].map(str::to_owned);
    let mut leaf = CertificateParams::new(names).expect("the names are valid");
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.distinguished_name.push(DnType::CommonName, "kube-apiserver");
    let leaf_key = key();
    let leaf = leaf.signed_by(&leaf_key, &ca).expect("the server's parameters are valid");

    // Named, because a process may hold two TLS providers and then has no default one.
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider knows TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::Pkcs8(leaf_key.serialize_der().into()))
        .expect("the key belongs to the certificate");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    (ca.pem(), config)
}
