//! What brings samples to where they are written, and what its commands hold.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Case, corrected};
use crate::domain::kubernetes::arguments::flag;
use crate::domain::kubernetes::json_patch;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::owner::{self, Target, keeper};
use crate::domain::prometheus::remote_write::config::Origin;
use crate::domain::prometheus::targets::prometheus_path;
use crate::domain::prometheus::tsdb;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;
use crate::snapshot::monitoring::ContainerLog;

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fix {
    namespace: String,
    /// Who writes.
    workload: String,
    container: String,
    /// It is no Prometheus, and has no API to be asked.
    agent: bool,
    /// What it is called.
    writer: &'static str,
    /// It is an exporter of a collector, whose settings have other names.
    collector: bool,
    /// The query for what fails, through the API server or at a URL.
    pending_path: Option<String>,
    pending_url: String,
    /// The query for what is refused or tried again, where that is what is wrong.
    refused: Option<Query>,
    /// The query for the age of the newest sample that was sent.
    sent: Query,
    #[serde(flatten)]
    way: Way,
}

/// A query of Prometheus, through the API server or at a URL.
#[derive(Serialize, JsonSchema)]
struct Query {
    path: Option<String>,
    url: String,
}

impl Query {
    fn of(snap: &Snapshot, path: &str) -> Self {
        Self { path: prometheus_path(snap, path), url: format!("<prometheus-url>{path}") }
    }
}

/// What a refusal that is tried again raises as well as one that is final. Of what is dropped, newer versions count what their own
/// rules drop too.
const FAILED: &str = "/api/v1/query?query=sum(rate(prometheus_remote_storage_samples_failed_total%5B5m%5D))%2Bsum(rate(prometheus_remote_storage_samples_retried_total%5B5m%5D))";
const SENT: &str = "/api/v1/query?query=time()-prometheus_remote_storage_queue_highest_sent_timestamp_seconds";

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
pub(super) enum Way {
    Forbidden {
        role: String,
        policy_arn: String,
        workspace: Option<String>,
    },
    /// A policy refuses that is none of the role's own.
    Elsewhere {
        role: String,
        region: String,
        of_endpoint: bool,
        of_boundary: bool,
        of_workspace: bool,
        /// The service's name of the endpoint, the endpoint, and its policy with the write added; empty where it could not be read.
        service: String,
        endpoint: String,
        policy: String,
        workspace_id: String,
    },
    Itself {
        role: String,
        region: String,
        /// The patch of the operator's resource that takes the role out.
        remove_role: Option<String>,
        #[serde(flatten)]
        change: Change,
    },
    NoRole {
        service_account: String,
        /// `eks.amazonaws.com/role-arn=…`
        annotation: String,
        policy_arn: String,
        has_role_arn: bool,
        has_annotation: bool,
    },
    Assume {
        role: String,
        wanted: String,
        policy_arn: String,
        /// The policy that lets the one role assume the other, and the filter of jq that makes the other trust it.
        policy: String,
        admit: String,
        #[serde(flatten)]
        change: Change,
    },
    Unsigned {
        url: String,
        region: String,
        #[serde(flatten)]
        change: Change,
    },
    Region {
        region: String,
        #[serde(flatten)]
        change: Change,
    },
    Url {
        right_url: String,
        replace_url: Option<String>,
        #[serde(flatten)]
        place: Place,
    },
    Tenant {
        url: String,
        receiver: String,
        #[serde(flatten)]
        change: Change,
    },
    Credential {
        receiver: String,
        detail: String,
        /// What is special to this receiver's credentials.
        of_receiver: &'static str,
        #[serde(flatten)]
        change: Change,
    },
    Path {
        url: String,
        receiver: String,
        path: String,
        #[serde(flatten)]
        change: Change,
    },
    ReceiverOff {
        /// The resource of the operator from which the receiving server is made, and the patch; nothing where there is none.
        resource: Option<String>,
        patch: String,
        patch_back: String,
        /// Else its workload.
        target: Option<String>,
        managed_by: String,
        #[serde(flatten)]
        service: Service,
    },
    OutOfOrder {
        receiver: String,
        detail: String,
        /// Other workloads that write there; empty where none is refused alike.
        others: String,
        /// The one that is to go, where one took the place of the other: as kubectl takes it, and its namespace.
        old: Option<String>,
        old_namespace: String,
        /// It can be set to no replicas.
        scales: bool,
    },
    Future {
        receiver: String,
        detail: String,
    },
    Protocol {
        url: String,
        receiver: String,
        detail: String,
        #[serde(flatten)]
        change: Change,
    },
    Rate {
        url: String,
        receiver: String,
        detail: String,
        pod: String,
        #[serde(flatten)]
        change: Change,
    },
    Series {
        receiver: String,
        detail: String,
        pod: String,
    },
    Labels {
        url: String,
        receiver: String,
        detail: String,
        #[serde(flatten)]
        change: Change,
    },
    Names {
        url: String,
        receiver: String,
        detail: String,
        #[serde(flatten)]
        change: Change,
    },
    Scheme {
        written: String,
        meant: String,
        #[serde(flatten)]
        change: Change,
    },
    TooLarge {
        url: String,
        /// A proxy before the receiver answers.
        by_proxy: bool,
        #[serde(flatten)]
        change: Change,
    },
    Server {
        detail: String,
        #[serde(flatten)]
        service: Service,
    },
    Name {
        host: String,
        pod: String,
        service_namespace: Option<String>,
        #[serde(flatten)]
        change: Change,
    },
    Unreachable {
        url: String,
        pod: String,
        proxy: Option<String>,
        service_namespace: Option<String>,
        /// The URL within the cluster, where it is asked through a load balancer of its own; empty else.
        inside: String,
    },
    Tls {
        url: String,
        detail: String,
        #[serde(flatten)]
        change: Change,
    },
    /// It cannot read on in its own log.
    Wal {
        pod: String,
        /// Its data lies in an emptyDir, which goes with the pod.
        empty_dir: bool,
    },
    Behind {
        /// The shards that would do.
        twice: f64,
    },
}

/// The Service of a receiver in the cluster.
#[derive(Serialize, JsonSchema)]
pub(super) struct Service {
    pub(super) service: Option<String>,
    pub(super) service_namespace: Option<String>,
}

/// Where the remote write is configured, and how a change takes effect.
#[derive(Serialize, JsonSchema)]
pub(super) struct Place {
    object_kind: String,
    object: Option<String>,
    config_map: Option<String>,
    config_key: String,
    managed_by: String,
    /// Something lets Prometheus read a new file.
    reloads: bool,
    /// Its place in the list of the resource.
    #[serde(skip)]
    index: usize,
}

/// A change of the remote write: the values of the shared steps `change-remote-write`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Change {
    /// The URL, where it is wrong as well, and the patch that corrects it.
    right_url: Option<String>,
    replace_url: Option<String>,
    /// A step before has patched the resource.
    is_patched: bool,
    #[serde(flatten)]
    place: Place,
}

impl Place {
    pub(super) fn of(case: &Case<'_>) -> Self {
        let reloads = case.pod.is_some_and(|p| owner::reloads(&p.spec));
        let unknown = Self {
            object_kind: "prometheus".into(),
            object: None,
            config_map: None,
            config_key: String::new(),
            managed_by: String::new(),
            reloads,
            index: 0,
        };
        match &case.configured.origin {
            Origin::Object { resource, index } => Self {
                object_kind: resource.kind.to_ascii_lowercase(),
                object: Some(resource.metadata.name.clone()),
                managed_by: managed_by(&resource.metadata),
                index: *index,
                ..unknown
            },
            Origin::File { map, key, .. } => Self {
                config_map: Some(map.metadata.name.clone()),
                config_key: (*key).to_owned(),
                managed_by: keeper(&map.metadata),
                ..unknown
            },
            Origin::Unknown => Self {
                config_key: match case.failing.by {
                    "vmagent" => "vmagent's flags (`-remoteWrite.…`; what follows is how Prometheus writes it)".into(),
                    _ if case.is_of_collector() => "its configuration".into(),
                    _ => "prometheus.yml".into(),
                },
                managed_by: case.pod.map(|p| Target::of(case.snap, p).managed_by).unwrap_or_default(),
                ..unknown
            },
        }
    }

    /// Its place in the list of the operator's resource, where it is in one.
    pub(super) fn index(&self) -> Option<usize> {
        self.object.as_ref().map(|_| self.index)
    }
}

impl Change {
    pub(super) fn of(case: &Case<'_>, is_patched: bool) -> Self {
        let place = Place::of(case);
        let right_url = corrected(case);
        let patch = right_url.as_deref().and_then(|url| replace_url(case, url));
        Self { right_url, replace_url: patch, is_patched, place }
    }
}

/// The patch of the operator's resource that sets the URL of one remote write.
pub(super) fn replace_url(case: &Case<'_>, url: &str) -> Option<String> {
    let Origin::Object { resource, index } = &case.configured.origin else { return None };
    let seen = resource.spec.remote_write.get(*index)?.url.as_str();
    Some(json_patch::text(json_patch::swap(&format!("/spec/remoteWrite/{index}/url"), seen, url)))
}

impl Fix {
    pub(super) fn of(case: &Case<'_>) -> Self {
        let at = &case.failing.at;
        Self {
            namespace: at.namespace.clone(),
            workload: case.pod.map_or_else(|| format!("pod/{}", at.pod), |p| Target::of(case.snap, p).name),
            container: at.container.clone(),
            agent: case.failing.by != "Prometheus",
            writer: case.failing.by,
            collector: case.is_of_collector(),
            pending_path: prometheus_path(case.snap, FAILED),
            pending_url: format!("<prometheus-url>{FAILED}"),
            refused: Some(Query::of(case.snap, FAILED)),
            sent: Query::of(case.snap, SENT),
            way: case.way(),
        }
    }

    /// The queue cannot keep up.
    pub(super) fn behind(snap: &Snapshot, pod: Option<&Pod>, twice: f64) -> Self {
        const SHARDS: &str =
            "/api/v1/query?query=prometheus_remote_storage_shards_desired%20%2F%20prometheus_remote_storage_shards_max";
        Self {
            namespace: pod.map_or("<namespace>", |p| p.metadata.namespace.as_str()).to_owned(),
            workload: pod.map_or_else(|| "<workload>".to_owned(), |p| snap.owner_ref(p).kubectl_name()),
            container: "prometheus".to_owned(),
            agent: false,
            writer: "Prometheus",
            collector: false,
            pending_path: prometheus_path(snap, SHARDS),
            pending_url: format!("<prometheus-url>{SHARDS}"),
            refused: None,
            sent: Query::of(snap, SENT),
            way: Way::Behind { twice },
        }
    }

    /// It cannot read on in its write-ahead log.
    pub(super) fn wal(snap: &Snapshot, pod: Option<&Pod>, log: &ContainerLog) -> Self {
        // How many segments lie between what is written and what is sent.
        const SEGMENTS: &str = "/api/v1/query?query=max(prometheus_tsdb_wal_segment_current)%20-%20min(prometheus_wal_watcher_current_segment)";
        Self {
            namespace: log.namespace.clone(),
            workload: pod.map_or_else(|| format!("pod/{}", log.pod), |p| Target::of(snap, p).name),
            container: log.container.clone(),
            agent: false,
            writer: "Prometheus",
            collector: false,
            pending_path: prometheus_path(snap, SEGMENTS),
            pending_url: format!("<prometheus-url>{SEGMENTS}"),
            refused: None,
            sent: Query::of(snap, SENT),
            way: Way::Wal { pod: log.pod.clone(), empty_dir: pod.is_some_and(|p| in_empty_dir(p, &log.container)) },
        }
    }
}

/// Whether a server's data lies in an emptyDir of its pod.
fn in_empty_dir(pod: &Pod, container: &str) -> bool {
    let own = pod.spec.containers.iter().find(|c| c.name == container);
    own.is_some_and(|c| {
        let path = flag(c, "storage.tsdb.path").unwrap_or("/prometheus");
        matches!(tsdb::place(&pod.spec.volumes, c, path), tsdb::Place::EmptyDir(_))
    })
}
