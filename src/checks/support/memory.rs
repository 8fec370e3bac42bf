//! Words and values of fixes that change a memory limit.

use crate::checks::support::addon::{kept_role, named};
use crate::domain::aws::addon::with_values;
use crate::domain::kubernetes::owner::{Settable, Target};
use crate::domain::prometheus::memory::{Measured, Meter, Proposal, exact};
use crate::model::{Finding, Program};
use crate::snapshot::kubernetes::{Container, Pod};
use crate::snapshot::{Snapshot, format_bytes};

/// Values for the steps that set a limit.
pub(crate) fn with_change(
    snap: &Snapshot,
    made: Finding,
    target: &Target<'_>,
    pod: &Pod,
    container: &Container,
    proposal: &Proposal,
) -> Finding {
    let (limit, request) = (exact(proposal.limit), exact(proposal.request));
    let resources = serde_json::json!({"limits": {"memory": limit}, "requests": {"memory": request}});
    let is_init = pod.spec.init_containers.iter().any(|c| c.name == container.name);
    let main = matches!(container.program(), Some(Program::Prometheus | Program::Alertmanager));
    let list = if is_init { "initContainers" } else { "containers" };
    let patch =
        serde_json::json!({"spec": {"template": {"spec": {list: [{"name": container.name, "resources": resources}]}}}});
    let path = target.values_path(snap, &container.name, "resources");
    let cluster = snap.target.cluster.as_deref().unwrap_or("<cluster>");
    let configuration = target.addon.and_then(|addon| addon_values(snap, addon, &container.name, &resources));
    made.param("namespace", &pod.metadata.namespace)
        .param("pod", &pod.metadata.name)
        .param("container", &container.name)
        .param("target", &target.name)
        .param("in_place", target.in_place() && !is_init)
        .param("patch", (target.in_place() && is_init).then(|| patch.to_string()))
        .param("custom", target.custom.filter(|_| main).map(|(kind, _)| kind))
        .param("custom_name", target.custom.map(|(_, name)| name))
        .param("custom_patch", serde_json::json!({"spec": {"resources": resources}}).to_string())
        .param("custom_side", target.custom.is_some() && !main)
        .param("addon", target.addon)
        .param("addon_values", configuration)
        .param("kept_role", target.addon.map(|name| kept_role(named(snap, name))).unwrap_or_default())
        .param("cluster", cluster)
        .param("region", snap.target.region.as_deref().unwrap_or_default())
        .param("fixed", target.settable == Settable::No)
        .param("has_rollout", target.has_rollout)
        .param("stuck", target.in_place() && target.name.starts_with("statefulset/") && !pod.is_ready())
        .param("managed_by", &target.managed_by)
        .param("values_path", path)
        .param("limit", &limit)
        .param("request", &request)
        .param("fit", proposal.fit.words())
        .param("old", container.resources.limits.get("memory"))
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

/// Configuration of an EKS add-on that sets a container's resources; what it has already is kept.
fn addon_values(snap: &Snapshot, addon: &str, container: &str, resources: &serde_json::Value) -> Option<String> {
    let values = match (addon, container) {
        ("coredns", "coredns") | ("metrics-server", "metrics-server") => serde_json::json!({"resources": resources}),
        ("aws-ebs-csi-driver", "ebs-plugin") => serde_json::json!({"controller": {"resources": resources}}),
        ("aws-ebs-csi-driver", side) => {
            let part = match side {
                "csi-provisioner" => "provisioner",
                "csi-attacher" => "attacher",
                "csi-snapshotter" => "snapshotter",
                "csi-resizer" => "resizer",
                _ => return None,
            };
            serde_json::json!({"sidecars": {part: {"resources": resources}}})
        }
        _ => return None,
    };
    with_values(named(snap, addon), &values)
}
