//! Words and values of fixes that change a memory limit.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::domain::kubernetes::owner::Target;
use crate::domain::prometheus::memory::{Measured, Meter, Proposal, exact};
use crate::model::Program;
use crate::snapshot::kubernetes::{Container, Pod};
use crate::snapshot::{Snapshot, format_bytes};

/// Where a container's limit is set, and to what.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Limits {
    namespace: String,
    container: String,
    target: String,
    /// kubectl can set it on the target.
    in_place: bool,
    /// The operator's resource that makes the container, and its patch.
    custom: Option<&'static str>,
    custom_name: Option<String>,
    custom_patch: String,
    managed_by: String,
    /// The value of the chart.
    values_path: String,
    limit: String,
    request: String,
}

impl Limits {
    /// As they are proposed for a container.
    pub(crate) fn of(
        snap: &Snapshot,
        target: &Target<'_>,
        pod: &Pod,
        container: &Container,
        proposal: &Proposal,
    ) -> Self {
        Self {
            namespace: pod.metadata.namespace.clone(),
            container: container.name.clone(),
            target: target.name.clone(),
            in_place: target.in_place() && !is_init(pod, container),
            custom: target.custom.filter(|_| is_main(container)).map(|(kind, _)| kind),
            custom_name: target.custom.map(|(_, name)| name.to_owned()),
            custom_patch: json!({"spec": {"resources": resources(proposal)}}).to_string(),
            managed_by: target.managed_by.clone(),
            values_path: target.values_path(snap, &container.name, "resources"),
            limit: exact(proposal.limit),
            request: exact(proposal.request),
        }
    }
}

/// What a container gets.
pub(crate) fn resources(proposal: &Proposal) -> Value {
    json!({"limits": {"memory": exact(proposal.limit)}, "requests": {"memory": exact(proposal.request)}})
}

/// It runs before the others.
pub(crate) fn is_init(pod: &Pod, container: &Container) -> bool {
    pod.spec.init_containers.iter().any(|c| c.name == container.name)
}

/// The resources of the operator's resource are those of this container.
pub(crate) fn is_main(container: &Container) -> bool {
    matches!(container.program(), Some(Program::Prometheus | Program::Alertmanager))
}

/// The measurements in words.
pub(crate) fn measured_words(measured: &Measured) -> Option<String> {
    let mut words = Vec::new();
    words.extend(measured.now.map(|(value, meter)| {
        let by = match meter {
            Meter::MetricsApi => "metrics API",
            Meter::Cadvisor => "container_memory_working_set_bytes",
            Meter::Process => "process_resident_memory_bytes",
        };
        format!("{} now ({by})", format_bytes(value))
    }));
    words.extend(measured.peak.map(|peak| format!("{} at most within a day", format_bytes(peak))));
    words.extend(measured.series.map(|series| format!("{series} series in the head")));
    (!words.is_empty()).then(|| words.join(", "))
}
