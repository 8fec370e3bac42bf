//! What was seen to fail, and where it stands.

use crate::snapshot::monitoring::ContainerLog;
use crate::snapshot::probe::Probe;

/// An observation of a connection that fails.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seen {
    /// A target's error.
    Target {
        /// Scrape job.
        job: String,
        /// Scrape URL.
        url: String,
        /// What Prometheus says.
        error: String,
    },
    /// A line of a container's log; may hold secrets.
    Log {
        /// Namespace of the pod.
        namespace: String,
        /// The pod.
        pod: String,
        /// The container; empty where the pod has one.
        container: String,
        /// The log of the container that ended before.
        previous: bool,
        /// The line.
        line: String,
    },
    /// An event about a pod; may hold secrets.
    Event {
        /// Namespace of the pod.
        namespace: String,
        /// The pod.
        pod: String,
        /// Its message.
        message: String,
    },
    /// An event about any object; may hold secrets.
    ObjectEvent {
        /// Kind of the object.
        kind: String,
        /// Namespace of the object.
        namespace: String,
        /// Its name.
        name: String,
        /// The message.
        message: String,
    },
    /// An APIService that is not available.
    ApiService {
        /// Its name.
        name: String,
        /// What its condition says.
        message: String,
    },
    /// A request that the API server could not pass on.
    Proxy {
        /// What was asked.
        what: String,
        /// What the API server said.
        message: String,
    },
    /// A health issue of a node group.
    NodeGroup {
        /// Name of the group.
        group: String,
        /// Code of the issue.
        code: String,
        /// What EKS says.
        message: String,
    },
    /// What was tried from inside a pod.
    Probe(Box<Probe>),
}

impl Seen {
    /// A line of a container's log.
    pub(crate) fn line(log: &ContainerLog, line: impl Into<String>) -> Self {
        Self::Log {
            namespace: log.namespace.clone(),
            pod: log.pod.clone(),
            container: log.container.clone(),
            previous: log.previous,
            line: line.into(),
        }
    }
}
