//! One connection to a pod.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use k8s_openapi::api::core::v1;
use kube::Api;
use kube::api::LogParams;
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::{Line, Notice, Target, cut, failed, is_unauthorized, nodes, said, status, within};
use crate::domain::kubernetes::forwarding;

/// How long a connection waits for a pod that runs.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long the kubelet's reason for a failure is waited for.
const COMPLAINT: Duration = Duration::from_millis(500);

/// One connection.
pub(super) struct Carrier {
    pub(super) line: Arc<Line>,
    pub(super) namespace: String,
    pub(super) target: watch::Receiver<Option<Arc<Target>>>,
    pub(super) notices: UnboundedSender<Notice>,
    pub(super) wake: Arc<Notify>,
}

impl Carrier {
    /// Carries it to its end.
    pub(super) async fn carry(mut self, mut stream: TcpStream) {
        let waiting = timeout(PATIENCE, self.target.wait_for(Option::is_some)).await;
        let Some(target) = waiting.ok().and_then(Result::ok).and_then(|t| t.clone()) else { return };
        let opened = match self.open(&target).await {
            // The credentials may just have expired: again, with new ones.
            Err(error) if is_unauthorized(&error) && self.line.renew().await.is_ok() => self.open(&target).await,
            other => other,
        };
        let (mut pod, complaint) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                let why = match status(&error) {
                    // The upgrade hides whose right is missing; which one is known.
                    Some(403) => format!(
                        "forbidden: it takes the verbs get and create on pods/portforward in namespace {}",
                        self.namespace
                    ),
                    _ => said(&error),
                };
                self.explain(&target, Some(&why)).await;
                return;
            }
        };
        let carried = tokio::select! {
            carried = copy_bidirectional(&mut stream, &mut pod) => carried,
            () = target.dead.cancelled() => return,
        };
        drop(pod);
        let complaint = timeout(COMPLAINT, complaint).await.ok().flatten();
        match (complaint, carried) {
            (Some(said), _) => self.explain(&target, Some(&said)).await,
            // Asked and not answered: the one who asked may have gone, or the way may be cut off.
            (None, Ok((1.., 0)) | Err(_)) => self.explain(&target, None).await,
            (None, Ok(_)) => {}
        }
    }

    async fn open(
        &self,
        target: &Target,
    ) -> Result<(tokio::io::DuplexStream, impl Future<Output = Option<String>> + use<>), kube::Error> {
        let pods: Api<v1::Pod> = Api::namespaced(self.line.client().await, &self.namespace);
        let ports = [target.port];
        let forward = pods.portforward(&target.pod.metadata.name, &ports);
        let mut forwarder = within(self.line.options.timeout, forward).await?;
        let complaint = forwarder.take_error(target.port);
        let stream = forwarder.take_stream(target.port).ok_or_else(|| failed("port-forward: no stream"))?;
        let complaint = async move {
            match complaint {
                Some(complaint) => complaint.await,
                None => None,
            }
        };
        Ok((stream, complaint))
    }

    /// Says once of a pod why it is not reached. An upgrade to a WebSocket may hide what the API server says of the kubelet;
    /// a log is asked for the same way, and shows it.
    async fn explain(&self, target: &Target, why: Option<&str>) {
        self.wake.notify_one();
        if target.told.swap(true, Ordering::Relaxed) {
            return;
        }
        let name = &target.pod.metadata.name;
        let client = self.line.client().await;
        let wait = self.line.options.timeout;
        let log = async {
            let pods: Api<v1::Pod> = Api::namespaced(client.clone(), &self.namespace);
            let container = target.pod.spec.containers.first().map(|c| c.name.clone());
            let last_line =
                LogParams { container, tail_lines: Some(1), limit_bytes: Some(200), ..LogParams::default() };
            within(wait, pods.logs(name, &last_line)).await.err().map(|e| said(&e))
        };
        let is_cut = |text: &String| forwarding::is_kubelet_unreached(text);
        let cut_off = match why.map(str::to_owned).filter(is_cut) {
            Some(text) => Some(text),
            None => log.await.filter(is_cut),
        };
        let notice = match (cut_off, &target.pod.spec.node_name, why) {
            (Some(text), Some(node), _) => Notice::Cut(cut(&nodes(&client, wait).await, node, &text, target)),
            (_, _, Some(why)) => Notice::Refused { pod: name.clone(), said: why.to_owned() },
            (_, _, None) => {
                target.told.store(false, Ordering::Relaxed);
                return;
            }
        };
        let _ = self.notices.send(notice);
    }
}
