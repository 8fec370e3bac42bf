//! Host names that stand for Services of the cluster.

use std::net::IpAddr;

use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Service;
use crate::text::near;

/// A host of a URL that is a cluster DNS name: `<service>[.<namespace>[.svc[.<zone>]]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServiceHost {
    /// Service name.
    pub(crate) service: String,
    /// Namespace.
    pub(crate) namespace: String,
}

impl ServiceHost {
    /// Reads a host as a Service's DNS name, by its form alone: [`in_cluster`] says whether it is one.
    fn parse(host: &str, own_namespace: &str) -> Option<Self> {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let host = host.as_str();
        if host.is_empty() || host.parse::<std::net::IpAddr>().is_ok() || host == "localhost" {
            return None;
        }
        let parts: Vec<&str> = host.split('.').collect();
        let (service, namespace) = match parts.as_slice() {
            [service] => (*service, own_namespace),
            // Two labels are a Service and its namespace, or a public domain such as example.com.
            [service, namespace] => (*service, *namespace),
            [service, namespace, "svc", ..] => (*service, *namespace),
            // <pod>.<service>.<namespace>.svc…: a pod of a headless Service.
            [_, service, namespace, "svc", ..] => (*service, *namespace),
            _ => return None,
        };
        (!service.is_empty() && !namespace.is_empty())
            .then(|| Self { service: service.to_owned(), namespace: namespace.to_owned() })
    }
}

/// The Service that a host stands for as a pod in `own_namespace` resolves it, whether it exists or not; `None` for
/// addresses and for names outside the cluster. A public domain may have the same form.
pub(crate) fn in_cluster(snap: &Snapshot, host: &str, own_namespace: &str) -> Option<ServiceHost> {
    let service = ServiceHost::parse(host, own_namespace)?;
    let lives = |namespace: &str| has_services(snap, namespace);
    let labels: Vec<&str> = host.trim_end_matches('.').split('.').collect();
    // `svc` follows Service and namespace, which may be called so themselves.
    let is_cluster_name = match (2..labels.len()).find(|at| labels[*at].eq_ignore_ascii_case("svc")) {
        None if labels.len() == 1 => !is_node(snap, host),
        None => lives(&service.namespace),
        // Behind `svc` comes nothing or the cluster's zone, whose usual name is cluster.local.
        Some(at) => {
            let zone = labels[at + 1..].join(".").to_ascii_lowercase();
            matches!(zone.as_str(), "" | "cluster.local") || lives(&service.namespace)
        }
    };
    is_cluster_name.then_some(service)
}

/// The Service that a host names, or whose address it is: programs say where they dialled, too.
pub(crate) fn asked(snap: &Snapshot, host: &str, own_namespace: &str) -> Option<ServiceHost> {
    in_cluster(snap, host, own_namespace).or_else(|| {
        host.parse::<IpAddr>().ok()?;
        let meta = &snap.service_by_host(host)?.metadata;
        Some(ServiceHost { service: meta.name.clone(), namespace: meta.namespace.clone() })
    })
}

/// True where some Service is known to live in the namespace.
pub(crate) fn has_services(snap: &Snapshot, namespace: &str) -> bool {
    snap.services.items().unwrap_or_default().iter().any(|s| s.metadata.namespace == namespace)
}

/// Services that may be meant where the one that is asked does not exist, the likeliest first: of the same name elsewhere, of
/// nearly the same name, or with a word of it, as charts put their release before the program. They have to offer the port.
pub(crate) fn alike<'a>(snap: &'a Snapshot, asked: &ServiceHost, port: Option<u16>) -> Vec<&'a Service> {
    /// Words that say nothing of which program it is.
    const COMMON: &[&str] =
        &["main", "server", "service", "headless", "operated", "stack", "cluster", "release", "http"];
    /// So many are told.
    const TOLD: usize = 3;
    let words = |name: &'a str| name.split('-').filter(|w| w.len() >= 4 && !COMMON.contains(w));
    let rank = |service: &'a Service| {
        let (name, namespace) = (service.metadata.name.as_str(), service.metadata.namespace.as_str());
        let here = namespace == asked.namespace;
        Some(match name {
            _ if name == asked.service => 0,
            _ if here && (near::same_service(&asked.service, name) || near::typo(&asked.service, name, 1)) => 1,
            _ if here && words(name).any(|word| asked.service.split('-').any(|other| other == word)) => 2,
            _ => return None,
        })
    };
    let offers = |s: &&Service| port.is_none_or(|port| s.spec.ports.iter().any(|p| p.port == port));
    let all = snap.services.items().unwrap_or_default().iter().filter(offers);
    let mut ranked: Vec<(i32, &Service)> = all.filter_map(|s| Some((rank(s)?, s))).collect();
    ranked.sort_by_key(|(rank, service)| (*rank, service.metadata.name.len()));
    ranked.into_iter().map(|(_, service)| service).take(TOLD).collect()
}

/// Pods resolve the names of nodes, too.
fn is_node(snap: &Snapshot, host: &str) -> bool {
    let nodes = snap.nodes.items().unwrap_or_default();
    nodes.iter().any(|n| n.metadata.name == host || n.metadata.name.split('.').next() == Some(host))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::testing::snapshot;

    #[test]
    fn services_that_may_be_meant_come_by_name_word_and_port() {
        let snap = snapshot(json!({"services": [
            crate::domain::testing::service("monitoring", "kps-alertmanager", &[9093]),
            crate::domain::testing::service("monitoring", "alertmanager-operated", &[9093, 9094]),
            crate::domain::testing::service("monitoring", "kps-grafana", &[80]),
            crate::domain::testing::service("alerts", "alertmanager-main", &[9093])]}));
        let of = |name: &str, port: Option<u16>| {
            let asked = ServiceHost { service: name.into(), namespace: "monitoring".into() };
            let found = alike(&snap, &asked, port);
            found.iter().map(|s| s.metadata.name.clone()).collect::<Vec<_>>()
        };
        let all = ["alertmanager-main", "kps-alertmanager", "alertmanager-operated"];
        assert_eq!(of("alertmanager-main", Some(9093)), all);
        assert_eq!(of("alertmanager-main", Some(9094)), ["alertmanager-operated"]);
        assert_eq!(of("grafana", None), ["kps-grafana"]);
        assert!(of("prometheus-server", None).is_empty() && of("grafana", Some(3000)).is_empty());
    }

    #[test]
    fn reads_service_names_as_a_pod_resolves_them() {
        let parse = |h| ServiceHost::parse(h, "monitoring").map(|s| format!("{}/{}", s.namespace, s.service));
        assert_eq!(parse("api.shop.svc.cluster.local").as_deref(), Some("shop/api"));
        assert_eq!(parse("Api.Shop.SVC").as_deref(), Some("shop/api"));
        assert_eq!(parse("api.shop").as_deref(), Some("shop/api"));
        assert_eq!(parse("alertmanager").as_deref(), Some("monitoring/alertmanager"));
        assert_eq!(parse("web-0.web.shop.svc.cluster.local.").as_deref(), Some("shop/web"));
        assert_eq!(parse("hooks.slack.com"), None);
        assert_eq!(parse("10.0.0.1"), None);
        assert_eq!(parse("localhost"), None);
    }

    #[test]
    fn an_address_leads_to_its_service() {
        let service =
            json!({"metadata": {"namespace": "tracing", "name": "tempo"}, "spec": {"clusterIP": "172.20.5.23"}});
        let snap = snapshot(json!({"services": [service]}));
        let of = |host: &str| asked(&snap, host, "tracing").map(|s| format!("{}/{}", s.namespace, s.service));
        assert_eq!(of("172.20.5.23").as_deref(), Some("tracing/tempo"));
        assert_eq!(of("tempo").as_deref(), Some("tracing/tempo"));
        assert_eq!((of("172.20.5.24"), of("hooks.slack.com")), (None, None));
    }
}
