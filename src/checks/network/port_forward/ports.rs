//! Where the programs of the stack listen, and what their Services say of it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Part;
use crate::checks::support::seen::service_evidence;
use crate::domain::kubernetes::own_address::set_port;
use crate::domain::kubernetes::service_port::named;
use crate::model::Evidence;
use crate::snapshot::kubernetes::Pod;

/// Where a program is known to listen: by its flags or environment, or by a probe that succeeds.
pub(super) fn listens_on(pod: &Pod) -> Option<u16> {
    let container = pod.spec.containers.iter().find(|c| c.program().is_some())?;
    let probe = || {
        let probe = container.readiness_probe.as_ref().filter(|_| pod.is_ready())?;
        let port = probe.http_get.as_ref().map(|h| &h.port).or(probe.tcp_socket.as_ref().map(|t| &t.port))?;
        match port {
            Value::Number(n) => n.as_u64().and_then(|n| u16::try_from(n).ok()),
            Value::String(name) => named(pod, name),
            _ => None,
        }
    };
    set_port(container).or_else(probe)
}

/// The ports that its containers declare.
pub(super) fn declared(pod: &Pod) -> BTreeSet<u16> {
    pod.all_containers().flat_map(|c| &c.ports).map(|p| p.container_port).collect()
}

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
