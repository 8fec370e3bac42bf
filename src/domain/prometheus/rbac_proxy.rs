//! What kube-rbac-proxy in front of a target asks the API server: whether the path may be read, or what its file names
//! instead.

use crate::domain::kubernetes::{arguments, mounts};
use crate::lint::yaml::{self, Node};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Pod};

/// What it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The path that is scraped.
    Path,
    /// What `resourceAttributes` of its file name.
    Resource(Attributes),
    /// What a file says that is not seen, or that goes by the request.
    Hidden(String),
}

/// A part of the API, as `resourceAttributes` name it; empty where they do not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    /// Its API group.
    pub(crate) group: String,
    /// The resource, with its subresource.
    pub(crate) resource: String,
    /// The one object.
    pub(crate) name: String,
    /// Its namespace.
    pub(crate) namespace: String,
}

impl Attributes {
    /// As `kubectl auth can-i get` takes them.
    pub(crate) fn asks(&self) -> Vec<String> {
        let (resource, part) = self.resource.split_once('/').unwrap_or((&self.resource, ""));
        let group = if self.group.is_empty() { String::new() } else { format!(".{}", self.group) };
        let name = if self.name.is_empty() { String::new() } else { format!("/{}", self.name) };
        let mut all = vec![format!("{resource}{group}{name}")];
        all.extend((!part.is_empty()).then(|| format!("--subresource={part}")));
        all.extend((!self.namespace.is_empty()).then(|| format!("--namespace={}", self.namespace)));
        all
    }

    /// In words.
    pub(crate) fn words(&self) -> String {
        let of = if self.name.is_empty() { String::new() } else { format!(" of {}", self.name) };
        let within =
            if self.namespace.is_empty() { String::new() } else { format!(" in namespace {}", self.namespace) };
        format!("{}{of}{within}", self.resource)
    }
}

/// True for a container that is kube-rbac-proxy.
pub(crate) fn is_it(container: &Container) -> bool {
    container.name.contains("kube-rbac-proxy") || container.image.contains("kube-rbac-proxy")
}

/// What the one at a port of a pod asks for.
pub(crate) fn asked(snap: &Snapshot, pod: &Pod, port: u16) -> Asked {
    let proxies: Vec<&Container> = pod.spec.containers.iter().filter(|c| is_it(c)).collect();
    let listens = |c: &&&Container| c.ports.iter().any(|p| p.container_port == port);
    let Some(proxy) = proxies.iter().find(listens).or(proxies.first()) else { return Asked::Path };
    let Some(file) = arguments::flag(proxy, "config-file") else { return Asked::Path };
    let origin = mounts::origin(snap, pod, proxy, file);
    let text = mounts::config_map(snap, &pod.metadata.namespace, &origin).and_then(|(_, text)| text);
    text.and_then(of_file).unwrap_or_else(|| Asked::Hidden(file.to_owned()))
}

fn of_file(text: &str) -> Option<Asked> {
    let document = yaml::document(text).ok()?;
    let authorization = document.as_ref().and_then(|d| d.get("authorization"));
    if authorization.is_some_and(|a| a.get("rewrites").is_some()) {
        return None;
    }
    let Some(named) = authorization.and_then(|a| a.get("resourceAttributes")) else { return Some(Asked::Path) };
    let of = |key: &str| named.get(key).and_then(Node::as_str).unwrap_or_default().to_owned();
    let (resource, part) = (of("resource"), of("subresource"));
    let resource = if part.is_empty() { resource } else { format!("{resource}/{part}") };
    Some(Asked::Resource(Attributes { group: of("apiGroup"), resource, name: of("name"), namespace: of("namespace") }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_asks_for_stands_in_its_file() {
        let named = "authorization:\n  resourceAttributes:\n    namespace: monitoring\n    apiVersion: v1\n    resource: services\n    subresource: node-exporter\n    name: node-exporter\n";
        let found = Attributes {
            group: String::new(),
            resource: "services/node-exporter".into(),
            name: "node-exporter".into(),
            namespace: "monitoring".into(),
        };
        assert_eq!(of_file(named), Some(Asked::Resource(found.clone())));
        let asks = ["services/node-exporter", "--subresource=node-exporter", "--namespace=monitoring"];
        assert_eq!(found.asks(), asks);
        assert_eq!(found.words(), "services/node-exporter of node-exporter in namespace monitoring");
        assert_eq!(of_file("authorization:\n  static:\n  - path: /metrics\n"), Some(Asked::Path));
        let by_request = "authorization:\n  rewrites:\n    byQueryParameter: {name: namespace}\n  resourceAttributes: {resource: pods, namespace: '{{ .Value }}'}\n";
        assert_eq!(of_file(by_request), None);
    }
}
