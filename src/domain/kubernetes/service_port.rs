//! Which port of a pod is behind a port of a Service.

use serde_json::Value;

use crate::snapshot::kubernetes::{Container, Pod, Service, ServicePort};

/// A headless Service has no address of its own: its name stands for those of its pods.
pub(crate) fn is_headless(service: &Service) -> bool {
    service.spec.cluster_ip.as_deref() == Some("None")
}

/// The TCP ports of a Service with their places in its list. Everything that the stack asks is asked by TCP; a Service may
/// have the same number for UDP.
pub(crate) fn tcp(service: &Service) -> impl Iterator<Item = (usize, &ServicePort)> {
    let ports = service.spec.ports.iter().enumerate();
    ports.filter(|(_, p)| matches!(p.protocol.as_deref(), None | Some("TCP" | "")))
}

/// The port that a number names, and its place in the Service's list.
pub(crate) fn find(service: &Service, port: u16) -> Option<(usize, &ServicePort)> {
    tcp(service).find(|(_, p)| p.port == port)
}

/// The port of a pod that a client of the Service reaches who names `port`, by the Service's name or address. Past a
/// headless Service everyone reaches the pod at the named port, whatever the Service lists. kubectl port-forward does
/// the same. `None`: the Service does not offer the port, or the pod has none of the name.
pub(crate) fn reached(service: &Service, port: u16, pod: &Pod) -> Option<u16> {
    if is_headless(service) {
        return Some(port);
    }
    target(find(service, port)?.1, pod)
}

/// The port of a pod that a port of a Service means: what its endpoints carry, and where the API server's proxy goes.
pub(crate) fn target(port: &ServicePort, pod: &Pod) -> Option<u16> {
    match &port.target_port {
        Value::String(name) => named(pod, name),
        // Unset and 0 mean the same number.
        Value::Number(number) if number.as_u64() != Some(0) => number.as_u64().and_then(|n| u16::try_from(n).ok()),
        _ => Some(port.port),
    }
}

/// The TCP port of a name that the containers of a pod have. Init containers have none, unless they stay.
pub(crate) fn named(pod: &Pod, name: &str) -> Option<u16> {
    let stays = |c: &&Container| c.restart_policy.as_deref() == Some("Always");
    let containers = pod.spec.containers.iter().chain(pod.spec.init_containers.iter().filter(stays));
    let mut ports = containers.flat_map(|c| &c.ports);
    let is_tcp = |protocol: Option<&str>| matches!(protocol, None | Some("TCP" | ""));
    ports.find(|p| p.name.as_deref() == Some(name) && is_tcp(p.protocol.as_deref())).map(|p| p.container_port)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service(cluster_ip: &str, ports: Value) -> Service {
        serde_json::from_value(json!({"metadata": {"name": "s"}, "spec": {"clusterIP": cluster_ip, "ports": ports}}))
            .expect("a Service")
    }

    fn pod() -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": {
            "initContainers": [{"name": "i", "ports": [{"name": "http", "containerPort": 1}]},
                {"name": "side", "restartPolicy": "Always", "ports": [{"name": "side", "containerPort": 7}]}],
            "containers": [{"name": "c", "ports": [
                {"name": "http", "containerPort": 53, "protocol": "UDP"}, {"name": "http", "containerPort": 8080}]}]
        }}))
        .expect("a pod")
    }

    #[test]
    fn a_port_is_unset_zero_a_number_or_a_name() {
        for (target, expected) in [
            (json!(null), Some(80)),
            (json!(0), Some(80)),
            (json!(9090), Some(9090)),
            (json!("http"), Some(8080)),
            (json!("side"), Some(7)),
            (json!("gone"), None),
            (json!(70000), None),
        ] {
            let service = service("10.0.0.1", json!([{"port": 80, "targetPort": target}]));
            assert_eq!(reached(&service, 80, &pod()), expected, "{target}");
        }
    }

    #[test]
    fn udp_ports_are_others() {
        let both = service(
            "10.0.0.1",
            json!([
                {"port": 53, "protocol": "UDP", "targetPort": 1053}, {"port": 53, "protocol": "TCP", "targetPort": 2053}
            ]),
        );
        assert_eq!(reached(&both, 53, &pod()), Some(2053));
        assert_eq!(reached(&service("10.0.0.1", json!([{"port": 53, "protocol": "UDP"}])), 53, &pod()), None);
        assert_eq!(find(&both, 53).map(|(at, _)| at), Some(1));
    }

    #[test]
    fn a_headless_service_has_no_ports_of_its_own() {
        let headless = service("None", json!([{"port": 80, "targetPort": 8080}]));
        assert_eq!((reached(&headless, 80, &pod()), reached(&headless, 8080, &pod())), (Some(80), Some(8080)));
        assert_eq!(target(&headless.spec.ports[0], &pod()), Some(8080));
    }
}
