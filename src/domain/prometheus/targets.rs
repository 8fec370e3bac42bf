//! Scrape targets: their URL taken apart, the Service and Pod behind them, and the commands that show them again.

use url::Url;

use crate::domain::kubernetes::leaving;
use crate::domain::kubernetes::nodes::KUBELET_PORT;
use crate::domain::kubernetes::proxy;
use crate::domain::kubernetes::service_host::{ServiceHost, in_cluster};
use crate::domain::prometheus::scrape_error::ScrapeFailure;
use crate::model::Gap;
use crate::snapshot::kubernetes::{Node, Pod, Service};
use crate::snapshot::monitoring::ScrapeTarget;
use crate::snapshot::{Platform, Snapshot};

/// A scrape URL, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// `http` or `https`.
    pub(crate) scheme: String,
    /// DNS name or address, without brackets.
    pub(crate) host: String,
    /// Port, the scheme's own where the URL names none.
    pub(crate) port: u16,
    /// Path with query.
    pub(crate) path: String,
}

impl Address {
    /// Takes a URL apart.
    pub(crate) fn parse(url: &str) -> Option<Self> {
        let url = Url::parse(url).ok()?;
        Some(Self {
            scheme: url.scheme().to_owned(),
            host: url.host_str()?.trim_matches(['[', ']']).to_owned(),
            port: url.port_or_known_default()?,
            path: url[url::Position::BeforePath..url::Position::AfterQuery].to_owned(),
        })
    }

    /// The path without its query.
    pub(crate) fn bare_path(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }

    /// `host:port` as a static target is written.
    pub(crate) fn host_port(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// A target that Prometheus fails to scrape.
#[derive(Debug, Clone)]
pub(crate) struct Down<'a> {
    /// The target.
    pub(crate) target: &'a ScrapeTarget,
    /// Why.
    pub(crate) failure: ScrapeFailure,
    /// Its URL; absent where it cannot be read as one.
    pub(crate) address: Option<Address>,
}

impl Down<'_> {
    /// Where the failure came after a redirect: the URL that it speaks of. Go names the last URL it asked.
    pub(crate) fn redirected_to(&self) -> Option<String> {
        let (asked, _) = self.target.last_error.strip_prefix("Get \"")?.split_once("\": ")?;
        let (asked_at, own) = (Address::parse(asked)?, self.address.as_ref()?);
        let same = (&asked_at.scheme, &asked_at.host, asked_at.port, asked_at.bare_path())
            == (&own.scheme, &own.host, own.port, own.bare_path());
        (!same).then(|| asked.to_owned())
    }

    /// The host and port it is scraped at.
    pub(crate) fn host_port(&self) -> String {
        self.address.as_ref().map_or_else(|| self.target.scrape_url.clone(), Address::host_port)
    }
}

/// All active targets; none where Prometheus could not be asked.
pub(crate) fn all(snap: &Snapshot) -> &[ScrapeTarget] {
    snap.prometheus_targets.as_ref().map(Vec::as_slice).unwrap_or_default()
}

/// Targets with health `down`. `unknown` means that they were not scraped yet.
///
/// # Errors
/// The gap, if Prometheus could not be asked.
pub(crate) fn down(snap: &Snapshot) -> Result<Vec<Down<'_>>, Gap> {
    let mut down: Vec<Down<'_>> = snap
        .prometheus_targets()?
        .iter()
        .filter(|t| t.health == "down")
        .map(|target| Down { target, failure: failure(snap, target), address: Address::parse(&target.scrape_url) })
        .collect();
    down.sort_by(|a, b| (a.target.job(), &a.target.scrape_url).cmp(&(b.target.job(), &b.target.scrape_url)));
    Ok(down)
}

/// The pod that a target was found by ends, or its node is taken away: the target goes with it, a moment later.
pub(crate) fn is_leaving(snap: &Snapshot, target: &ScrapeTarget) -> bool {
    let Some(address) = Address::parse(&target.scrape_url) else { return false };
    let label = |name: &str| discovered(target, &address, name).unwrap_or_default();
    let (namespace, name) = (label("__meta_kubernetes_namespace"), label("__meta_kubernetes_pod_name"));
    let pod = if name.is_empty() { None } else { snap.pods.find(&namespace, &name).ok().flatten() };
    pod.is_some_and(|pod| leaving::pod(snap, pod))
}

/// The failure, corrected by what the URL answers: 2.x says the same of a page of JSON and of metrics with a bad line.
fn failure(snap: &Snapshot, target: &ScrapeTarget) -> ScrapeFailure {
    let failure = ScrapeFailure::classify(&target.last_error);
    let undeclared = !target.last_error.contains("Content-Type");
    if failure == ScrapeFailure::NotMetrics && undeclared && answer(snap, &target.scrape_url).is_some_and(is_exposition)
    {
        return ScrapeFailure::BadLine;
    }
    failure
}

/// The begin of what a scrape URL answered when asked through the API server.
pub(crate) fn answer<'a>(snap: &'a Snapshot, url: &str) -> Option<&'a str> {
    snap.target_answers().ok()?.iter().find(|a| a.url == url).map(|a| a.body.as_str())
}

/// True for a body that begins like the text exposition format: comments, then `name{labels} value`.
pub(crate) fn is_exposition(body: &str) -> bool {
    let mut lines = body.lines().map(str::trim).filter(|l| !l.is_empty());
    lines.next().is_some_and(|line| {
        if line.starts_with("# HELP ") || line.starts_with("# TYPE ") {
            return true;
        }
        let name_end = line.find(['{', ' ']).unwrap_or(line.len());
        let is_name = |n: &str| {
            n.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | ':'))
                && n.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))
        };
        let rest = line[name_end..].rsplit_once('}').map_or(&line[name_end..], |(_, rest)| rest);
        is_name(&line[..name_end]) && rest.split_whitespace().next().is_some_and(|v| v.parse::<f64>().is_ok())
    })
}

/// The Service that a DNS name stands for, if it is a name of the cluster. A public domain may have the same form.
pub(crate) fn cluster_host(snap: &Snapshot, host: &str) -> Option<ServiceHost> {
    let own =
        snap.scope.prometheus.as_ref().map(|p| p.namespace.as_str()).or(snap.scope.stack.first().map(String::as_str));
    in_cluster(snap, host, own.unwrap_or_default())
}

/// The Service behind a target, whether it exists or not: by the URL's host, else by what discovery says.
pub(crate) fn service_of(snap: &Snapshot, target: &ScrapeTarget, address: &Address) -> Option<(String, String)> {
    if let Some(service) = snap.service_by_host(&address.host) {
        return Some((service.metadata.namespace.clone(), service.metadata.name.clone()));
    }
    if let Some(host) = cluster_host(snap, &address.host) {
        return Some((host.namespace, host.service));
    }
    let label = |name: &str| discovered(target, address, name);
    let name = label("__meta_kubernetes_service_name")
        .or_else(|| label("__meta_kubernetes_endpointslice_label_kubernetes_io_service_name"))?;
    Some((label("__meta_kubernetes_namespace")?, name))
}

/// The Service object behind a target.
pub(crate) fn existing_service_of<'a>(
    snap: &'a Snapshot,
    target: &ScrapeTarget,
    address: &Address,
) -> Option<&'a Service> {
    let (namespace, name) = service_of(snap, target, address)?;
    snap.services.find(&namespace, &name).ok().flatten()
}

/// The port of a Service behind which a target lies: its own, or the one that discovery found the pod's port by.
pub(crate) fn service_port(service: &Service, target: &ScrapeTarget, address: &Address) -> Option<u16> {
    let ports = &service.spec.ports;
    if ports.iter().any(|p| p.port == address.port) {
        return Some(address.port);
    }
    let names = ["__meta_kubernetes_endpointslice_port_name", "__meta_kubernetes_endpoint_port_name"];
    let named = names.iter().find_map(|n| target.discovered_labels.get(*n));
    let by_name = ports.iter().find(|p| named.is_some() && p.name.as_ref() == named);
    let by_number = || ports.iter().find(|p| p.target_port.as_u64() == Some(u64::from(address.port)));
    by_name.or_else(by_number).map(|p| p.port)
}

/// Targets of other jobs that have exactly the labels of this one: their samples are the same series.
pub(crate) fn twins<'a>(snap: &'a Snapshot, target: &ScrapeTarget) -> Vec<&'a ScrapeTarget> {
    let same = |t: &&ScrapeTarget| {
        t.labels == target.labels
            && !t.labels.is_empty()
            && (t.job(), t.scrape_url.as_str()) != (target.job(), target.scrape_url.as_str())
    };
    all(snap).iter().filter(same).collect()
}

/// The Pod behind a target, by discovery or by its address.
pub(crate) fn pod_of(snap: &Snapshot, target: &ScrapeTarget, address: &Address) -> Option<(String, String)> {
    let label = |name: &str| discovered(target, address, name);
    if let (Some(namespace), Some(pod)) = (label("__meta_kubernetes_namespace"), label("__meta_kubernetes_pod_name")) {
        return Some((namespace, pod));
    }
    snap.pod_by_ip(&address.host).map(|p| (p.metadata.namespace.clone(), p.metadata.name.clone()))
}

/// The Node behind a target of the kubelet or of another agent that discovery found by its node.
pub(crate) fn node_of(target: &ScrapeTarget, address: &Address) -> Option<String> {
    let label = |name: &str| discovered(target, address, name);
    label("__meta_kubernetes_node_name").or_else(|| {
        ["endpointslice", "endpoint"].iter().find_map(|role| {
            let kind = label(&format!("__meta_kubernetes_{role}_address_target_kind"))?;
            (kind == "Node").then(|| label(&format!("__meta_kubernetes_{role}_address_target_name"))).flatten()
        })
    })
}

/// The node behind a target that is not there any more, and whose address no node has. Whoever lists nodes for Prometheus still
/// names it.
pub(crate) fn gone_node(snap: &Snapshot, target: &ScrapeTarget, address: &Address) -> Option<String> {
    let name = node_of(target, address)?;
    let nodes = snap.nodes.items().ok().filter(|nodes| snap.nodes.is_whole() && !nodes.is_empty())?;
    let is_it = |n: &Node| n.metadata.name == name || n.status.addresses.iter().any(|a| a.address == address.host);
    (!nodes.iter().any(is_it)).then_some(name)
}

/// A label of service discovery, unless relabelling sent the scrape to another host (blackbox_exporter, proxies).
fn discovered(target: &ScrapeTarget, address: &Address, name: &str) -> Option<String> {
    let found = Address::parse(&format!("http://{}", target.discovered_labels.get("__address__")?))?;
    let pod = target.discovered_labels.get("__meta_kubernetes_pod_ip");
    (found.host == address.host || pod == Some(&address.host))
        .then(|| target.discovered_labels.get(name).cloned())
        .flatten()
        .filter(|v| !v.is_empty())
}

/// A part of the control plane that EKS runs out of reach: nothing there can be scraped.
pub(crate) fn is_hidden_control_plane(snap: &Snapshot, target: &ScrapeTarget, address: &Address) -> bool {
    if snap.platform != Platform::Eks || address.path.starts_with("/apis/metrics.eks.amazonaws.com/") {
        return false;
    }
    // A second scheduler or an etcd of one's own runs in a pod.
    if pod_of(snap, target, address).is_some() {
        return false;
    }
    let service = service_of(snap, target, address);
    let in_system = service.as_ref().is_some_and(|(namespace, _)| namespace == "kube-system");
    let names = target.job().split('/').chain(service.as_ref().map(|(_, name)| name.as_str()));
    names.into_iter().any(|n| is_control_plane_name(n) || (in_system && n == "etcd"))
}

/// A name that charts give to what serves the metrics of scheduler, controller manager or etcd.
pub(crate) fn is_control_plane_name(name: &str) -> bool {
    ["kube-scheduler", "kube-controller-manager", "kube-etcd"]
        .iter()
        .any(|part| name.strip_suffix(part).is_some_and(|before| before.is_empty() || before.ends_with('-')))
}

/// A part that no target can be there of: of the control plane, which EKS runs out of reach, or one that nodes of EKS Auto Mode run
/// as services of their own, by the name that charts give to what serves its metrics.
pub(crate) fn is_out_of_reach(snap: &Snapshot, name: &str) -> bool {
    snap.platform == Platform::Eks && (is_control_plane_name(name) || is_of_auto_nodes(snap, name))
}

/// DNS and kube-proxy, where only nodes of EKS Auto Mode are there: they have no pods of them.
pub(crate) fn is_of_auto_nodes(snap: &Snapshot, name: &str) -> bool {
    let ends = |part: &&str| name.strip_suffix(*part).is_some_and(|b| b.is_empty() || b.ends_with('-'));
    let Some(part) = ["coredns", "kube-dns", "kube-proxy"].into_iter().find(|p| ends(p)) else { return false };
    let mut nodes = snap.nodes.items().unwrap_or_default().iter().peekable();
    let is_part = |p: &Pod| {
        p.metadata.namespace == "kube-system"
            && (p.metadata.label("k8s-app") == Some(if part == "coredns" { "kube-dns" } else { part }))
    };
    nodes.peek().is_some()
        && nodes.all(|n| n.is_auto_mode())
        && snap.pods.covers("kube-system")
        && !snap.pods.items().unwrap_or_default().iter().any(is_part)
}

/// What the API server's proxy calls a path of Prometheus.
pub(crate) fn prometheus_path(snap: &Snapshot, path: &str) -> Option<String> {
    snap.scope.prometheus.as_ref().map(|p| proxy::of_component(p, path))
}

/// What the API server's proxy calls the URL of a target; absent where neither Service nor Pod is known.
pub(crate) fn answer_path(snap: &Snapshot, target: &ScrapeTarget, address: &Address) -> Option<String> {
    let Address { scheme, port, path, .. } = address;
    let by_service = existing_service_of(snap, target, address)
        .filter(|s| !s.spec.selector.is_empty() && s.spec.ports.iter().any(|p| p.port == *port));
    let is_service_host = snap.service_by_host(&address.host).is_some();
    if let Some(service) = by_service.filter(|_| is_service_host) {
        let (namespace, name) = (&service.metadata.namespace, &service.metadata.name);
        return Some(proxy::of_service(namespace, scheme, name, *port, path));
    }
    // The kubelet wants credentials, which the API server has.
    if let Some(node) = node_of(target, address).filter(|_| *port == KUBELET_PORT) {
        return Some(proxy::of_node(&node, path));
    }
    let (namespace, pod) = pod_of(snap, target, address)?;
    Some(proxy::of_pod(&namespace, scheme, &pod, *port, path))
}

/// The pods behind the Service through which Prometheus is asked: Prometheus itself.
pub(crate) fn prometheus_pod(snap: &Snapshot) -> Option<&Pod> {
    let Some(component) = &snap.scope.prometheus else {
        // Where not all Services could be read, its own may be among the others.
        snap.services.is_whole();
        return None;
    };
    let service = snap.services.find(&component.namespace, &component.service).ok().flatten()?;
    snap.pods_of_service(service).next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing::{service, snapshot, target};
    use serde_json::json;

    #[test]
    fn takes_urls_apart() {
        let a = Address::parse("http://web.shop.svc:8080/metrics?format=prometheus").expect("is a URL");
        assert_eq!((a.host.as_str(), a.port, a.path.as_str()), ("web.shop.svc", 8080, "/metrics?format=prometheus"));
        assert_eq!(Address::parse("https://[fd00::1]/m").map(|a| a.host_port()).as_deref(), Some("[fd00::1]:443"));
        assert_eq!(Address::parse("not a url"), None);
    }

    #[test]
    fn a_public_domain_is_no_service() {
        let snap = snapshot(json!({"services": [service("shop", "web", &[80])]}));
        let is = |host: &str| cluster_host(&snap, host).is_some();
        assert!(is("api.shop") && is("api.shop.svc.cluster.local") && is("api.gone.svc.cluster.local") && is("api"));
        assert!(!is("example.com") && !is("shop.example.com") && !is("api.eu.svc.example.com") && !is("10.0.0.1"));
        assert!(is("svc.shop.svc.cluster.local") && !is("svc.example.com"));
        assert!(is("api.shop.svc.corp.internal"), "another zone, but a namespace of this cluster");
    }

    #[test]
    fn discovery_labels_of_a_probed_service_are_not_the_scraped_one() {
        let mut snap = snapshot(json!({"services": [
            service("shop", "web", &[80]), service("monitoring", "blackbox", &[9115])
        ]}));
        *snap.prometheus_targets = Ok(vec![target(json!({
            "scrapeUrl": "http://blackbox.monitoring.svc:9115/probe?target=web.shop.svc%3A80", "health": "down",
            "discoveredLabels": {"__address__": "web.shop.svc:80", "__meta_kubernetes_namespace": "shop", "__meta_kubernetes_service_name": "web"}
        }))]);
        let down = down(&snap).expect("targets are there");
        let address = down[0].address.clone().expect("is a URL");
        assert_eq!(service_of(&snap, down[0].target, &address), Some(("monitoring".into(), "blackbox".into())));
    }

    #[test]
    fn a_node_that_is_gone_has_no_name_and_no_address_left() {
        let gone = |name: &str, nodes: serde_json::Value| {
            let target = target(json!({
                "scrapeUrl": "https://10.0.9.9:10250/metrics", "health": "down",
                "discoveredLabels": {"__address__": "10.0.9.9:10250", "__meta_kubernetes_node_name": name}
            }));
            let mut snap = snapshot(json!({}));
            snap.nodes = crate::snapshot::Listing::cluster(serde_json::from_value(nodes).expect("nodes"));
            let address = Address::parse(&target.scrape_url).expect("a URL");
            gone_node(&snap, &target, &address)
        };
        let node = |name: &str, address: &str| json!({"metadata": {"name": name}, "status": {"addresses": [{"type": "InternalIP", "address": address}]}});
        assert_eq!(gone("b", json!([node("a", "10.0.1.1")])).as_deref(), Some("b"));
        assert_eq!(gone("a", json!([node("a", "10.0.1.1")])), None, "it has another address, and is there");
        assert_eq!(gone("b", json!([node("a", "10.0.9.9")])), None, "another one has the address");
        assert_eq!(gone("b", json!([])), None, "nobody has seen the nodes");
    }

    #[test]
    fn a_redirect_is_told_by_the_url_of_the_error() {
        let of = |error: &str| {
            let target =
                target(json!({"scrapeUrl": "http://10.1.0.16:3000/metrics", "lastError": error, "health": "down"}));
            Down { target: &target, failure: ScrapeFailure::Other, address: Address::parse(&target.scrape_url) }
                .redirected_to()
        };
        assert_eq!(
            of(r#"Get "https://10.1.0.16:3000/metrics": http: server gave HTTP response to HTTPS client"#).as_deref(),
            Some("https://10.1.0.16:3000/metrics")
        );
        assert_eq!(of(r#"Get "http://10.1.0.16:3000/metrics": EOF"#), None);
    }

    #[test]
    fn an_exposition_is_told_by_its_first_line() {
        for body in ["# HELP up x\n", "up 1\n", "a_b{c=\"d e\"} 3e4 1700000000\n", "\n# TYPE x counter\n"] {
            assert!(is_exposition(body), "{body}");
        }
        for body in ["{\"status\":\"ok\"}", "OK\n", "queue length\n", "<html>", "", "status: ok"] {
            assert!(!is_exposition(body), "{body}");
        }
    }
}
