//! Why a Service has no ready endpoint, read from its pods and from the workloads that should make them.

use crate::domain::kubernetes::index::selects;
use crate::domain::kubernetes::mesh::Mesh;
use crate::domain::kubernetes::starting;
use crate::model::ResourceRef;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, ContainerStatus, Pod, Service, Workload};
use crate::text::near;

/// Why nobody answers behind a Service.
#[derive(Debug, Clone)]
pub(crate) enum Cause<'a> {
    /// Pods run, and none is ready.
    NotReady(Vec<&'a Pod>),
    /// Pods wait for a node.
    Pending(Vec<&'a Pod>),
    /// The workload is scaled to zero.
    ScaledToZero(&'a Workload),
    /// The workload wants pods, and there is none.
    NoPods(&'a Workload),
    /// A workload looks like the one that is meant, and its labels differ.
    Mismatch(&'a Workload, Vec<Difference>),
    /// Nothing carries these labels.
    NoWorkload,
}

/// A label that a Service asks for and a workload does not have so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Label.
    pub(crate) key: String,
    /// What the Service asks for.
    pub(crate) wanted: String,
    /// What the workload's pods have.
    pub(crate) found: Option<String>,
}

impl<'a> Cause<'a> {
    /// The reason for a Service without a ready endpoint; `None` where a pod is ready, so that the list of endpoints is
    /// about to change.
    pub(crate) fn of(snap: &'a Snapshot, service: &'a Service) -> Option<Self> {
        let all: Vec<&Pod> = snap.pods_of_service(service).collect();
        let staying: Vec<&Pod> = all.iter().copied().filter(|p| p.metadata.deletion_timestamp.is_none()).collect();
        let pods = if staying.is_empty() { all } else { staying };
        if pods.is_empty() {
            return Some(Self::without_pods(snap, service));
        }
        if pods.iter().any(|p| p.is_ready()) {
            return None;
        }
        let waits = |p: &&Pod| p.status.phase == "Pending" && p.spec.node_name.is_none();
        Some(if pods.iter().all(waits) { Self::Pending(pods) } else { Self::NotReady(pods) })
    }

    fn without_pods(snap: &'a Snapshot, service: &'a Service) -> Self {
        let workloads: Vec<&Workload> = snap
            .workloads
            .items()
            .unwrap_or_default()
            .iter()
            .filter(|w| w.metadata.namespace == service.metadata.namespace)
            .collect();
        let mut selected =
            workloads.iter().filter(|w| selects(&service.spec.selector, &w.spec.template.metadata.labels));
        // Of several, one that wants pods says more than one that is off.
        if let Some(workload) = selected.clone().find(|w| w.desired() > 0) {
            return Self::NoPods(workload);
        }
        if let Some(workload) = selected.next() {
            return Self::ScaledToZero(workload);
        }
        mismatch(snap, service, &workloads).unwrap_or(Self::NoWorkload)
    }

    /// The pods behind the Service.
    pub(crate) fn pods(&self) -> &[&'a Pod] {
        match self {
            Self::NotReady(pods) | Self::Pending(pods) => pods,
            _ => &[],
        }
    }

    /// The workload that the reason is about.
    pub(crate) fn workload(&self) -> Option<&'a Workload> {
        match self {
            Self::ScaledToZero(w) | Self::NoPods(w) | Self::Mismatch(w, _) => Some(w),
            _ => None,
        }
    }

    /// The owners of the pods, or the workload: each once, in order.
    pub(crate) fn owners(&self, snap: &Snapshot) -> Vec<ResourceRef> {
        let mut owners: Vec<ResourceRef> = self.pods().iter().map(|p| snap.owner_ref(p)).collect();
        owners.extend(self.workload().map(Workload::reference));
        owners.sort();
        owners.dedup();
        owners
    }

    /// The reason in a word: Services with the same one are told of together.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::NotReady(_) => "not-ready",
            Self::Pending(_) => "pending",
            Self::ScaledToZero(_) => "scaled-to-zero",
            Self::NoPods(_) => "no-pods",
            Self::Mismatch(..) => "selector-mismatch",
            Self::NoWorkload => "no-workload",
        }
    }

    /// The reason as the end of a sentence.
    pub(crate) fn words(&self, snap: &Snapshot, service: &Service) -> String {
        let owner = self.owners(snap).first().map(ToString::to_string).unwrap_or_default();
        let of = |pods: &[&Pod]| match (pods.len(), owner.starts_with("Pod ")) {
            (_, true) => owner.clone(),
            (1, false) => format!("the pod of {owner}"),
            (count, false) => format!("{count} pods of {owner}"),
        };
        let named = |w: &Workload| format!("{} {}", w.kind, w.metadata.name);
        match self {
            Self::NotReady(pods) => {
                let detail = pods.iter().find_map(|p| trouble(snap, p)).map(|t| format!(" ({t})")).unwrap_or_default();
                let verb = if pods.len() == 1 { "is" } else { "are" };
                format!("{} {verb} not ready{detail}", of(pods))
            }
            Self::Pending(pods) if pods.len() == 1 => format!("{} waits for a node", of(pods)),
            Self::Pending(pods) => format!("{} wait for a node", of(pods)),
            Self::ScaledToZero(w) => format!("{} is scaled to 0", named(w)),
            Self::NoPods(w) => format!("{} wants {} pods and has none", named(w), w.desired()),
            Self::Mismatch(w, differences) => {
                let each = differences.iter().map(|d| match &d.found {
                    Some(found) => format!("{}={} where the pods have {found}", d.key, d.wanted),
                    None => format!("{}={} which the pods do not have", d.key, d.wanted),
                });
                format!("it selects {}, those of {}", each.collect::<Vec<_>>().join(" and "), named(w))
            }
            Self::NoWorkload => format!("no pod has the labels {}", selector(service)),
        }
    }
}

/// `key=value,key=value`.
pub(crate) fn selector(service: &Service) -> String {
    let pairs: Vec<String> = service.spec.selector.iter().map(|(k, v)| format!("{k}={v}")).collect();
    pairs.join(",")
}

/// A workload that the Service nearly selects. It must not already have another Service: then this one is meant for
/// something else that is not there (a canary, the other colour).
fn mismatch<'a>(snap: &Snapshot, service: &Service, workloads: &[&'a Workload]) -> Option<Cause<'a>> {
    let name = service.metadata.name.as_str();
    let is_served = |w: &Workload| {
        snap.services.items().unwrap_or_default().iter().any(|s| {
            s.metadata.namespace == w.metadata.namespace && selects(&s.spec.selector, &w.spec.template.metadata.labels)
        })
    };
    let candidate = |w: &&'a Workload| {
        let differences = differences(service, w);
        let one_of_many = differences.len() == 1 && service.spec.selector.len() > 1;
        let near_value = differences
            .iter()
            .all(|d| d.found.as_ref().is_some_and(|f| near::same_service(f, &d.wanted) || near::typo(f, &d.wanted, 2)));
        let rank = if w.metadata.name == name {
            0
        } else if is_served(w) {
            return None;
        } else if one_of_many && (near_value || near::same_service(&w.metadata.name, name)) {
            1
        } else if near_value {
            2
        } else if one_of_many {
            3
        } else {
            return None;
        };
        Some((rank, *w, differences))
    };
    let mut found: Vec<_> = workloads.iter().filter(|w| w.desired() > 0).filter_map(candidate).collect();
    found.sort_by_key(|(rank, ..)| *rank);
    let best = found.first()?.0;
    let alone = found.iter().filter(|(rank, ..)| *rank == best).count() == 1;
    let (_, workload, differences) = found.into_iter().next()?;
    alone.then_some(Cause::Mismatch(workload, differences))
}

fn differences(service: &Service, workload: &Workload) -> Vec<Difference> {
    let labels = &workload.spec.template.metadata.labels;
    service
        .spec
        .selector
        .iter()
        .filter(|(key, wanted)| labels.get(*key) != Some(wanted))
        .map(|(key, wanted)| Difference { key: key.clone(), wanted: wanted.clone(), found: labels.get(key).cloned() })
        .collect()
}

/// What keeps a pod from being ready, in a few words: what its container waits for, what its probe met.
pub(crate) fn trouble(snap: &Snapshot, pod: &Pod) -> Option<String> {
    if let Some(init) = running_init(pod) {
        return Some(format!("init container {init} runs and does not come to its end, which the others wait for"));
    }
    if let Some(held) = starting::held(pod).filter(|h| h.side_car) {
        return Some(format!("side-car {} has not started, which the others wait for", held.container.name));
    }
    if is_being_created(pod) {
        return Some("none of its containers has started: ContainerCreating".to_owned());
    }
    let statuses = pod.status.init_container_statuses.iter().chain(&pod.status.container_statuses);
    let waiting = statuses.filter(|s| !s.ready).find_map(|s| s.state.waiting.as_ref()).map(|w| w.reason.clone());
    if let Some(reason) = waiting.filter(|r| !r.is_empty() && r != "PodInitializing" && r != "ContainerCreating") {
        return Some(reason);
    }
    let of_mesh = mesh_of(pod).map(|_| format!("only the side-car {} of its mesh is not: ", Mesh::Istio.sidecar()));
    if let Some(event) = unhealthy(snap, pod) {
        return Some(format!("{}{event}", of_mesh.unwrap_or_default()));
    }
    unready_container(pod).and_then(probe_words).map(|p| format!("readiness probe {p}"))
}

/// The namespace of the mesh's control plane, where nothing of a pod but the mesh's side-car is not ready. It is ready once the
/// control plane has given it a configuration.
pub(crate) fn mesh_of(pod: &Pod) -> Option<String> {
    let unready: Vec<&str> =
        pod.status.container_statuses.iter().filter(|s| !s.ready).map(|s| s.name.as_str()).collect();
    let side_car = Mesh::Istio.sidecar();
    if unready != [side_car] {
        return None;
    }
    let proxy = pod.spec.containers.iter().find(|c| c.name == side_car)?;
    // `istiod.istio-system.svc:15012`
    let namespace =
        proxy.env("CA_ADDR").filter(|a| a.contains(".svc")).and_then(|a| a.split('.').nth(1)).filter(|n| !n.is_empty());
    Some(namespace.unwrap_or("istio-system").to_owned())
}

/// The init container that the pod's containers wait for.
pub(crate) fn running_init(pod: &Pod) -> Option<&str> {
    starting::held(pod).filter(|held| !held.side_car).map(|held| held.container.name.as_str())
}

/// It has a node, and waits there for its volumes, its network or its images: nothing of it has run yet.
pub(crate) fn is_being_created(pod: &Pod) -> bool {
    let status = &pod.status;
    let mut all = status.init_container_statuses.iter().chain(&status.container_statuses).peekable();
    let held = |s: &ContainerStatus| {
        let reason = s.state.waiting.as_ref().map(|w| w.reason.as_str());
        s.restart_count == 0 && matches!(reason, Some("ContainerCreating" | "PodInitializing"))
    };
    pod.spec.node_name.is_some() && all.peek().is_some() && all.all(held)
}

/// The newest event of a failed readiness probe, of the last hour.
pub(crate) fn unhealthy(snap: &Snapshot, pod: &Pod) -> Option<String> {
    let events = snap.events_about("Pod", &pod.metadata, 3600);
    let mut probes = events.iter().filter(|e| e.reason == "Unhealthy" && e.message.starts_with("Readiness"));
    probes.next().map(|e| e.message.lines().next().unwrap_or_default().to_owned())
}

/// The first container that is not ready, with a readiness probe if there is such a one.
pub(crate) fn unready_container(pod: &Pod) -> Option<&Container> {
    let unready = |c: &&Container| pod.status.container_statuses.iter().any(|s| s.name == c.name && !s.ready);
    let mut containers = pod.spec.containers.iter().filter(unready);
    containers.clone().find(|c| c.readiness_probe.is_some()).or_else(|| containers.next())
}

/// `GET :8080/ready`, `TCP :8080`, `exec`, `gRPC`.
pub(crate) fn probe_words(container: &Container) -> Option<String> {
    let probe = container.readiness_probe.as_ref()?;
    if let Some(http) = &probe.http_get {
        return Some(format!("GET :{}{}", port_words(&http.port), http.path.as_deref().unwrap_or("/")));
    }
    if let Some(tcp) = &probe.tcp_socket {
        return Some(format!("TCP :{}", port_words(&tcp.port)));
    }
    Some(if probe.exec.is_some() { "exec".into() } else { "gRPC".into() })
}

fn port_words(port: &serde_json::Value) -> String {
    port.as_str().map_or_else(|| port.to_string(), str::to_owned)
}

/// What a probe's port is on the container: a number, or the name of a declared port.
pub(crate) fn probe_port(container: &Container, port: &serde_json::Value) -> Option<u64> {
    let named = |name: &str| container.ports.iter().find(|p| p.name.as_deref() == Some(name));
    port.as_u64().or_else(|| named(port.as_str()?).map(|p| u64::from(p.container_port)))
}
