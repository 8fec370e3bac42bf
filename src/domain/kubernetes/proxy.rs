//! Paths of the API server's proxy, which `kubectl get --raw` takes. The scheme is part of them: without it the API
//! server speaks plain HTTP, and whoever serves HTTPS answers 400.

use std::fmt::Display;

use crate::snapshot::{Component, Scope};

/// A path of a part of the stack, below the prefix that it serves.
pub(crate) fn of_component(at: &Component, path: &str) -> String {
    of_service(&at.namespace, at.scheme, &at.service, at.port, &format!("{}{path}", at.prefix))
}

/// The path of a call that names its part of the stack: `prometheus /api/v1/targets`.
pub(crate) fn of_call(scope: &Scope, call: &str) -> Option<String> {
    let (part, path) = call.split_once(' ')?;
    let at = match part {
        "prometheus" => scope.prometheus.as_ref()?,
        "alertmanager" => scope.alertmanager.as_ref()?,
        "grafana" => scope.grafana.as_ref()?,
        _ => return None,
    };
    Some(of_component(at, path))
}

/// A path of a Service.
pub(crate) fn of_service(namespace: &str, scheme: &str, service: &str, port: impl Display, path: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/services/{scheme}:{service}:{port}/proxy{}", with_slash(path))
}

/// A path of a pod.
pub(crate) fn of_pod(namespace: &str, scheme: &str, pod: &str, port: u16, path: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/pods/{scheme}:{pod}:{port}/proxy{}", with_slash(path))
}

/// A path of a node's kubelet.
pub(crate) fn of_node(node: &str, path: &str) -> String {
    format!("/api/v1/nodes/{node}/proxy{}", with_slash(path))
}

fn with_slash(path: &str) -> String {
    if path.is_empty() || path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_and_the_prefix_are_part_of_the_path() {
        let at = Component {
            namespace: "obs".into(),
            service: "alertmanager".into(),
            port: 9093,
            scheme: "https",
            prefix: "/am".into(),
        };
        let path = of_component(&at, "/api/v2/status");
        assert_eq!(path, "/api/v1/namespaces/obs/services/https:alertmanager:9093/proxy/am/api/v2/status");
        assert_eq!(of_pod("a", "http", "p-0", 80, "m"), "/api/v1/namespaces/a/pods/http:p-0:80/proxy/m");
    }
}
