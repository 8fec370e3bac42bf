//! Where the programs of the stack listen, and what their Services say of it.

use serde_json::Value;

use super::Part;
use crate::checks::support::seen::service_evidence;
use crate::model::Evidence;
use crate::snapshot::kubernetes::Pod;

/// The ports of the Service, and those that the containers declare.
pub(super) fn ports_evidence(part: &Part<'_>, pod: &Pod) -> Evidence {
    let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    let ports = part.service.spec.ports.iter().map(|p| format!("{} → {}", p.port, text(&p.target_port)));
    let containers = pod.all_containers().flat_map(|c| &c.ports);
    let containers: Vec<String> = containers
        .map(|p| match &p.name {
            Some(name) => format!("{} ({name})", p.container_port),
            None => p.container_port.to_string(),
        })
        .collect();
    let declared = if containers.is_empty() { "none".to_owned() } else { containers.join(", ") };
    let value = format!("ports {}; containers declare {declared}", ports.collect::<Vec<_>>().join(", "));
    service_evidence(part.service, "spec.ports", value)
}
