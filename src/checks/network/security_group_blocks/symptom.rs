//! The query of a symptom: what shows that it is over.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::kubernetes::proxy;
use crate::domain::prometheus::targets::prometheus_path;
use crate::domain::traffic::attempts::{Attempt, Party};
use crate::domain::traffic::seen::Seen;
use crate::snapshot::Snapshot;

/// Ways to see that a symptom is gone. Each names what survives the fix.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub(super) struct Queries {
    /// Path of the targets of the jobs, through the API server.
    targets: Vec<String>,
    api_services: Vec<String>,
    /// Workloads whose log is read: namespace and `deployment/name`.
    logs: Vec<Log>,
    /// Namespaces whose events show webhook calls.
    events: Vec<String>,
    /// Paths that the API server could not pass on.
    paths: Vec<String>,
    /// A pod whose log comes through the kubelet that is not reached.
    kubelet: Vec<Log>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
struct Log {
    namespace: String,
    name: String,
}

impl Queries {
    pub(super) fn of(snap: &Snapshot, attempts: &[Attempt<'_>]) -> Self {
        let mut all = Self::default();
        for attempt in attempts {
            all.add(snap, attempt);
        }
        all
    }

    /// All targets.
    pub(super) fn of_targets(snap: &Snapshot) -> Self {
        let path = prometheus_path(snap, "/api/v1/targets?state=active");
        Self { targets: path.into_iter().collect(), ..Self::default() }
    }

    /// Without the paths through the API server's proxy.
    pub(super) fn without_paths(self) -> Self {
        Self { paths: Vec::new(), ..self }
    }

    fn add(&mut self, snap: &Snapshot, attempt: &Attempt<'_>) {
        match &attempt.seen {
            Seen::Target { job, .. } => {
                let pool: String = url::form_urlencoded::byte_serialize(job.as_bytes()).collect();
                let path = prometheus_path(snap, &format!("/api/v1/targets?state=active&scrapePool={pool}"));
                push(&mut self.targets, path);
            }
            Seen::ApiService { name, .. } => push(&mut self.api_services, Some(name.clone())),
            Seen::ObjectEvent { namespace, .. } => push(&mut self.events, Some(namespace.clone())),
            Seen::Log { namespace, .. } => {
                let Party::Pod(pod) = attempt.from else { return };
                let log = Log { namespace: namespace.clone(), name: snap.owner_ref(pod).kubectl_name() };
                push(&mut self.logs, Some(log));
            }
            Seen::Proxy { what, message } if message.contains(":10250") || what.contains("/log") => {
                let pods = snap.pods.items().unwrap_or_default();
                let here = |p: &&crate::snapshot::kubernetes::Pod| {
                    p.status.host_ip.as_deref().is_some_and(|ip| message.contains(&format!("{ip}:10250")))
                };
                let log = pods
                    .iter()
                    .find(here)
                    .map(|p| Log { namespace: p.metadata.namespace.clone(), name: snap.owner_ref(p).kubectl_name() });
                push(&mut self.kubelet, log);
            }
            Seen::Proxy { what, .. } => push(&mut self.paths, proxy::of_call(&snap.scope, what)),
            Seen::Event { .. } | Seen::NodeGroup { .. } | Seen::Probe(_) => {}
        }
    }
}

/// The first two of each kind are enough.
fn push<T: PartialEq>(all: &mut Vec<T>, one: Option<T>) {
    if let Some(one) = one.filter(|o| !all.contains(o) && all.len() < 2) {
        all.push(one);
    }
}
