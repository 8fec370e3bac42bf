//! An eye on the pods of a Service: what became of the one that connections go to, and which is next.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use k8s_openapi::api::core::v1;
use kube::Api;
use kube::api::ListParams;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{Line, Notice, PAUSE, Target, as_read, cut, is_unauthorized, nodes, said, within};
use crate::domain::kubernetes::forwarding::{self, Fate};
use crate::domain::kubernetes::service_port;
use crate::snapshot::Component;
use crate::snapshot::kubernetes::{Node, Pod, Service};

/// How often the pods are looked at.
const POLL: Duration = Duration::from_secs(2);
/// Pods of one Service that are read at most.
const PODS: u32 = 100;

/// Keeps an eye on the pods of the Service.
pub(super) struct Lookout {
    pub(super) line: Arc<Line>,
    pub(super) at: Component,
    pub(super) target: watch::Sender<Option<Arc<Target>>>,
    pub(super) notices: UnboundedSender<Notice>,
    pub(super) wake: Arc<Notify>,
    pub(super) told: Option<Fate>,
    pub(super) is_blind: bool,
    pub(super) is_alone: bool,
}

/// What a look sees.
struct Seen {
    service: Service,
    pods: Vec<Pod>,
    nodes: Vec<Node>,
}

impl Lookout {
    /// Looks until it is dropped.
    pub(super) async fn watch(mut self) {
        loop {
            match self.look().await {
                Ok(seen) => {
                    if std::mem::take(&mut self.is_blind) {
                        self.say(Notice::Sees);
                    }
                    self.judge(&seen);
                }
                Err(error) => self.cannot(&error).await,
            }
            // Who cannot be asked is asked less often: each time may take a login.
            let pause = if self.is_blind { (POLL, POLL * 2) } else { (PAUSE, POLL) };
            tokio::time::sleep(pause.0).await;
            let _ = timeout(pause.1, self.wake.notified()).await;
        }
    }

    fn say(&self, notice: Notice) {
        // Nobody listens any more when the program ends.
        let _ = self.notices.send(notice);
    }

    async fn cannot(&mut self, error: &kube::Error) {
        let mut said = said(error);
        if is_unauthorized(error)
            && let Err(why) = self.line.renew().await
        {
            said = why.to_string();
        }
        if !std::mem::replace(&mut self.is_blind, true) {
            self.say(Notice::Blind(said));
        }
    }

    async fn look(&self) -> Result<Seen, kube::Error> {
        let client = self.line.client().await;
        let wait = self.line.options.timeout;
        let services: Api<v1::Service> = Api::namespaced(client.clone(), &self.at.namespace);
        let service: Service = as_read(&within(wait, services.get(&self.at.service)).await?)?;
        let labels: Vec<String> = service.spec.selector.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let pods: Api<v1::Pod> = Api::namespaced(client.clone(), &self.at.namespace);
        let wanted = ListParams::default().labels(&labels.join(",")).limit(PODS);
        // A Service without a selector selects nothing, and not everything.
        let pods: Vec<Pod> = if labels.is_empty() {
            Vec::new()
        } else {
            let list = within(wait, pods.list(&wanted)).await?;
            list.items.iter().map(as_read).collect::<Result<_, _>>()?
        };
        let current = self.target.borrow().clone();
        let is_well =
            current.is_some_and(|t| pods.iter().any(|p| p.metadata.uid == t.pod.metadata.uid && p.is_ready()));
        let nodes = if is_well { Vec::new() } else { nodes(&client, wait).await };
        Ok(Seen { service, pods, nodes })
    }

    /// Says what became of the pod, and leads to another one where there is one.
    fn judge(&mut self, seen: &Seen) {
        let current = self.target.borrow().clone();
        let fate = current.as_ref().and_then(|t| forwarding::fate(&t.pod, &seen.pods, &seen.nodes));
        if let (Some(current), Some(fate)) = (&current, &fate) {
            if fate.ends_connections() {
                current.dead.cancel();
            }
            if self.told.as_ref() != Some(fate) {
                self.told = Some(fate.clone());
                self.say(Notice::Lost { pod: current.pod.metadata.name.clone(), fate: fate.clone() });
                if let Fate::NodeLost { node, message } = fate {
                    self.say(Notice::Cut(cut(&seen.nodes, node, message, current)));
                }
            }
        }
        let next = forwarding::choose(&seen.pods, &seen.nodes, current.as_ref().map(|t| &t.pod));
        let Some((pod, port)) = next.and_then(|pod| Some((pod, port_of(&seen.service, &self.at, pod)?))) else {
            self.target.send_replace(None);
            if !std::mem::replace(&mut self.is_alone, true) {
                self.say(Notice::Nobody);
            }
            return;
        };
        self.is_alone = false;
        let is_same = current.as_ref().is_some_and(|t| t.pod.metadata.uid == pod.metadata.uid && t.port == port);
        let is_back = is_same && fate.is_none() && self.told.is_some();
        let is_dead = current.as_ref().is_some_and(|t| t.dead.is_cancelled());
        let runs = pod.status.container_statuses.iter().all(|s| s.state.running.is_some());
        // A container that is still down is waited for: it is the same end.
        if is_same && !is_back && !(is_dead && runs) {
            return;
        }
        self.told = None;
        let target = Target { pod: pod.clone(), port, dead: CancellationToken::new(), told: AtomicBool::new(false) };
        self.target.send_replace(Some(Arc::new(target)));
        self.say(Notice::To { pod: pod.metadata.name.clone(), port, ready: pod.is_ready() });
    }
}

fn port_of(service: &Service, at: &Component, pod: &Pod) -> Option<u16> {
    service_port::target(service_port::find(service, at.port)?.1, pod)
}
