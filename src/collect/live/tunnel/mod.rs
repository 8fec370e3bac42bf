//! Local ports that lead to the pods of a Service, and stay open whatever becomes of the pods.

mod carrier;
mod lookout;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use carrier::Carrier;
use k8s_openapi::api::core::v1;
use kube::Api;
use kube::api::ListParams;
use lookout::Lookout;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Notify, RwLock, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{ConnectError, ConnectOptions, Live, chain};
use crate::domain::kubernetes::forwarding::{self, Fate};
use crate::snapshot::Component;
use crate::snapshot::kubernetes::{Node, Pod};

/// Pause between two looks at least, whoever asks for one.
const PAUSE: Duration = Duration::from_millis(200);

/// The way to a cluster, recreated where its credentials expire.
pub struct Line {
    options: ConnectOptions,
    client: RwLock<kube::Client>,
}

impl Line {
    /// The way that `live` goes.
    pub fn new(live: &Live, options: ConnectOptions) -> Self {
        Self { options, client: RwLock::new(live.client.clone()) }
    }

    async fn client(&self) -> kube::Client {
        self.client.read().await.clone()
    }

    /// Reads the kubeconfig again, and makes new credentials.
    async fn renew(&self) -> Result<(), ConnectError> {
        let live = Live::connect(self.options.clone()).await?;
        *self.client.write().await = live.client;
        Ok(())
    }
}

/// What there is to say of a tunnel.
#[derive(Debug, Clone)]
pub(crate) enum Notice {
    /// Connections go to this pod from now on.
    To {
        /// Its name.
        pod: String,
        /// The port that it is asked at.
        port: u16,
        /// It is ready.
        ready: bool,
    },
    /// What became of the pod that they went to.
    Lost {
        /// Its name.
        pod: String,
        /// What became of it.
        fate: Fate,
    },
    /// No pod of the Service runs.
    Nobody,
    /// The cluster cannot be asked.
    Blind(String),
    /// It can be asked again.
    Sees,
    /// A connection was refused in the pod.
    Refused {
        /// Its name.
        pod: String,
        /// What the other side says.
        said: String,
    },
    /// The API server does not reach the kubelet of the pod's node, or the node is lost.
    Cut(Cut),
}

/// A way that is cut off, and what one needs to go round it.
#[derive(Debug, Clone)]
pub(crate) struct Cut {
    /// The node.
    pub(crate) node: String,
    /// What the API server says of it.
    pub(crate) said: String,
    /// The node itself is not ready.
    pub(crate) is_lost: bool,
    /// An instance that reaches the pod.
    pub(crate) instance: Option<String>,
    /// The pod's address.
    pub(crate) pod_ip: Option<String>,
    /// The pod's port.
    pub(crate) port: u16,
}

/// The pod that connections go to.
struct Target {
    pod: Pod,
    port: u16,
    /// Its connections are dead.
    dead: CancellationToken,
    /// It was said already that it cannot be reached.
    told: AtomicBool,
}

/// A local port that leads to a Service.
pub struct Tunnel {
    at: Component,
    listener: TcpListener,
}

impl Tunnel {
    /// Listens on the first of these ports that is free; 0 is any.
    ///
    /// # Errors
    /// None of them is, or the address is not of this machine.
    pub async fn open(at: Component, address: IpAddr, ports: &[u16]) -> io::Result<Self> {
        let mut last = io::Error::from(io::ErrorKind::AddrInUse);
        for port in ports {
            match TcpListener::bind(SocketAddr::new(address, *port)).await {
                Ok(listener) => return Ok(Self { at, listener }),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The socket is broken.
    pub fn local(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Carries connections until it is dropped.
    pub(crate) async fn serve(self, line: Arc<Line>, notices: UnboundedSender<Notice>) {
        let (target, seen) = watch::channel(None);
        let wake = Arc::new(Notify::new());
        let lookout = Lookout {
            line: Arc::clone(&line),
            at: self.at.clone(),
            target,
            notices: notices.clone(),
            wake: Arc::clone(&wake),
            told: None,
            is_blind: false,
            is_alone: false,
        };
        let carry = async {
            loop {
                let Ok((stream, _)) = self.listener.accept().await else {
                    // Out of file descriptors, or a connection that went away: the port stays.
                    tokio::time::sleep(PAUSE).await;
                    continue;
                };
                let carrier = Carrier {
                    line: Arc::clone(&line),
                    namespace: self.at.namespace.clone(),
                    target: seen.clone(),
                    notices: notices.clone(),
                    wake: Arc::clone(&wake),
                };
                tokio::spawn(carrier.carry(stream));
            }
        };
        tokio::join!(lookout.watch(), carry);
    }
}

fn cut(nodes: &[Node], node: &str, said: &str, target: &Target) -> Cut {
    Cut {
        node: node.to_owned(),
        said: said.to_owned(),
        is_lost: nodes.iter().any(|n| n.metadata.name == node && !n.is_ready()),
        instance: forwarding::way_round(nodes, Some(node)).map(str::to_owned),
        pod_ip: target.pod.status.pod_ip.clone(),
        port: target.port,
    }
}

/// All nodes; none where they may not be listed: they only explain.
async fn nodes(client: &kube::Client, wait: Duration) -> Vec<Node> {
    let nodes: Api<v1::Node> = Api::all(client.clone());
    let list = within(wait, nodes.list(&ListParams::default())).await;
    list.map(|l| l.items.iter().filter_map(|n| as_read(n).ok()).collect()).unwrap_or_default()
}

/// The same object as everywhere else, for the same answer.
fn as_read<T: DeserializeOwned>(object: &impl Serialize) -> Result<T, kube::Error> {
    let value = serde_json::to_value(object).map_err(kube::Error::SerdeError)?;
    serde_json::from_value(value).map_err(kube::Error::SerdeError)
}

async fn within<T>(wait: Duration, call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, kube::Error> {
    timeout(wait, call).await.unwrap_or_else(|_| Err(failed("no answer within --timeout")))
}

fn failed(text: &str) -> kube::Error {
    kube::Error::Service(Box::new(io::Error::other(text.to_owned())))
}

/// What went wrong, in the API server's words where it has some.
fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        other => chain(other),
    }
}

/// The credentials are refused, or cannot be made.
fn is_unauthorized(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Auth(_)) || status(error) == Some(401)
}

/// The HTTP status of a refusal; of an upgrade only its number is told.
fn status(error: &kube::Error) -> Option<u16> {
    if let kube::Error::Api(status) = error {
        return Some(status.code);
    }
    let text = chain(error);
    let numbers = text.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok());
    numbers.into_iter().find(|code| matches!(code, 401 | 403 | 404))
}
