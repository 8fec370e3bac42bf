//! What gives a Service its endpoints back.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::checks::support::back::Back;
use crate::checks::support::origin::ChangeJob;
use crate::checks::support::probes::readiness_path;
use crate::domain::kubernetes::arguments::flag;
use crate::domain::kubernetes::endpoints::{self, Cause, Difference};
use crate::domain::kubernetes::last_revision::LastRevision;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::owner::Target;
use crate::domain::kubernetes::tools;
use crate::domain::prometheus::operator::front;
use crate::domain::prometheus::origin;
use crate::domain::prometheus::ports::PortCause;
use crate::domain::prometheus::targets::Down;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Pod, Service};

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fix {
    namespace: String,
    /// The label of the slices of its endpoints.
    slice_selector: String,
    /// It is the job that has to be changed.
    changes_job: bool,
    #[serde(flatten)]
    change: ChangeJob,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    NotReady {
        workload: Option<String>,
        pod: Option<String>,
        /// Its first container that is not ready; none before it runs.
        container: Option<String>,
        has_run: bool,
        crashed: bool,
        /// The readiness probe in words, and its URL through the API server.
        probe: Option<String>,
        probe_path: Option<String>,
        /// The program that the readiness probe runs and that the image lacks, and whether an operator lets it ask so because
        /// the server listens on its own loopback.
        probe_lacks: Option<String>,
        image: String,
        listens_local: bool,
        /// Where the control plane of the mesh is whose side-car alone is not ready.
        mesh: Option<String>,
        #[serde(flatten)]
        back: Box<Back>,
    },
    Pending {
        pod: Option<String>,
    },
    ScaledToZero {
        workload: Option<String>,
    },
    NoPods {
        workload: Option<String>,
    },
    SelectorMismatch {
        name: String,
        selector: String,
        service_managed_by: String,
        workload: Option<String>,
        patch: String,
        patch_back: String,
    },
    NoWorkload {
        name: String,
        service_managed_by: String,
        /// The operator's resource that its pods are made from.
        server_kind: Option<String>,
        server: Option<String>,
        /// The Prometheus that sends its alerts to the Service.
        sender: Option<String>,
    },
    PortAdd {
        name: String,
        service_managed_by: String,
        patch: Option<String>,
    },
    PortScraped {
        name: String,
        job: String,
        old_target: String,
        new_target: String,
    },
    PortTarget {
        name: String,
        service_managed_by: String,
        patch: Option<String>,
        workload: Option<String>,
    },
}

impl Fix {
    fn of(service: &Service, change: ChangeJob, way: Way) -> Self {
        let meta = &service.metadata;
        Self {
            namespace: meta.namespace.clone(),
            slice_selector: format!("kubernetes.io/service-name={}", meta.name),
            changes_job: matches!(way, Way::PortScraped { .. }),
            change,
            way,
        }
    }

    /// No pod is ready, for a reason.
    pub(super) fn endpoints(
        snap: &Snapshot,
        service: &Service,
        reason: &Cause<'_>,
        last: Option<&(&Pod, LastRevision)>,
    ) -> Self {
        let workload = || {
            let named = reason.workload().map(|w| w.kubectl_name());
            named.or_else(|| origin::workload_behind(snap, service))
        };
        let (name, service_managed_by) = (service.metadata.name.clone(), managed_by(&service.metadata));
        let pod = reason.pods().first().copied();
        let way = match reason {
            Cause::NotReady(_) => {
                let back = last.map(|(pod, last)| Back::of(snap, pod, &Target::of(snap, pod), Some(last)));
                not_ready(snap, pod, workload(), back.unwrap_or_default())
            }
            Cause::Pending(_) => Way::Pending { pod: pod.map(|p| p.metadata.name.clone()) },
            Cause::ScaledToZero(_) => Way::ScaledToZero { workload: workload() },
            Cause::NoPods(_) => Way::NoPods { workload: workload() },
            Cause::Mismatch(_, differences) => Way::SelectorMismatch {
                name,
                selector: endpoints::selector(service),
                service_managed_by,
                workload: workload(),
                patch: selector_patch(differences, |d| d.found.clone()),
                patch_back: selector_patch(differences, |d| Some(d.wanted.clone())),
            },
            Cause::NoWorkload => {
                let server = front::servers_behind(snap, service).into_iter().next();
                Way::NoWorkload {
                    name,
                    service_managed_by,
                    server_kind: server.map(|s| s.kind.to_ascii_lowercase()),
                    server: server.map(|s| s.metadata.name.clone()),
                    sender: front::sender(snap, service).map(|s| s.reference().to_string()),
                }
            }
        };
        Self::of(service, ChangeJob::of(snap, ""), way)
    }

    /// A port leads nowhere.
    pub(super) fn port(snap: &Snapshot, service: &Service, fault: &PortCause, down: &Down<'_>) -> Self {
        let (name, service_managed_by) = (service.metadata.name.clone(), managed_by(&service.metadata));
        let patch = fault.patch(service);
        let job = down.target.job();
        let way = match fault {
            PortCause::NotOffered { declared: true, .. } => Way::PortAdd { name, service_managed_by, patch },
            PortCause::NotOffered { offered, .. } => {
                let port = match offered.as_slice() {
                    [one] => one.to_string(),
                    _ => "<port of the metrics>".to_owned(),
                };
                let host = down.address.as_ref().map_or("<host>", |a| a.host.as_str());
                let (old_target, new_target) = (down.host_port(), format!("{host}:{port}"));
                Way::PortScraped { name, job: job.to_owned(), old_target, new_target }
            }
            PortCause::NoSuchTarget { .. } => {
                let workload = origin::workload_behind(snap, service);
                Way::PortTarget { name, service_managed_by, patch, workload }
            }
        };
        Self::of(service, ChangeJob::of(snap, job), way)
    }
}

/// The first pod, its container that is not ready, and the URL of its readiness probe.
fn not_ready(snap: &Snapshot, pod: Option<&Pod>, workload: Option<String>, back: Back) -> Way {
    // What an init container waits for, no readiness probe tells.
    let created = pod.filter(|p| !endpoints::is_being_created(p));
    let pod_runs = created.filter(|p| endpoints::running_init(p).is_none());
    let container = pod_runs.and_then(endpoints::unready_container);
    let status = container.and_then(|c| pod?.status.container_statuses.iter().find(|s| s.name == c.name));
    let probe_path = container.zip(pod).and_then(|(container, pod)| readiness_path(pod, container));
    Way::NotReady {
        workload,
        pod: pod.map(|p| p.metadata.name.clone()),
        container: container.map(|c| c.name.clone()),
        has_run: created.is_some(),
        crashed: status.is_some_and(|s| s.restart_count > 0),
        probe: container.and_then(endpoints::probe_words),
        probe_path,
        probe_lacks: pod_runs.and_then(|p| tools::missing_of_probe(snap, p)),
        image: container.map(|c| c.image.clone()).unwrap_or_default(),
        listens_local: container
            .and_then(|c| flag(c, "web.listen-address"))
            .is_some_and(|a| a.starts_with("127.0.0.1:")),
        mesh: pod.and_then(endpoints::mesh_of),
        back: Box::new(back),
    }
}

/// A merge patch of the selector; a label without a value is taken out.
fn selector_patch(differences: &[Difference], value: impl Fn(&Difference) -> Option<String>) -> String {
    let selector: Map<String, Value> = differences.iter().map(|d| (d.key.clone(), Value::from(value(d)))).collect();
    serde_json::json!({"spec": {"selector": selector}}).to_string()
}
