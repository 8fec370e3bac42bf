//! Where a host of a URL lies: in the cluster, in a private network, or on the internet.

use std::net::IpAddr;

use crate::domain::kubernetes::service_host::{ServiceHost, in_cluster};
use crate::snapshot::Snapshot;

/// Where a host lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A Service of this cluster.
    Cluster(ServiceHost),
    /// A private address, or a name that only a private DNS knows.
    Private,
    /// The internet.
    Public,
}

/// Endings of names that are not delegated on the internet.
const PRIVATE_SUFFIXES: &[&str] =
    &[".internal", ".local", ".lan", ".corp", ".home", ".intranet", ".localdomain", ".arpa"];

/// Where `host` lies, as a pod in `own_namespace` resolves it.
pub(crate) fn place(snap: &Snapshot, host: &str, own_namespace: &str) -> Place {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    if let Ok(ip) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        let service = snap.service_by_host(&ip.to_string());
        return match service {
            Some(s) => Place::Cluster(ServiceHost {
                service: s.metadata.name.clone(),
                namespace: s.metadata.namespace.clone(),
            }),
            None if is_public(ip) => Place::Public,
            None => Place::Private,
        };
    }
    if host == "localhost" {
        return Place::Private;
    }
    if let Some(service) = in_cluster(snap, &host, own_namespace) {
        return Place::Cluster(service);
    }
    // A name without a dot is one of a network of one's own.
    if !host.contains('.') {
        return Place::Private;
    }
    if PRIVATE_SUFFIXES.iter().any(|s| host.ends_with(s)) { Place::Private } else { Place::Public }
}

/// True for an address of the internet.
pub(crate) fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            let carrier_grade = a == 100 && (64..128).contains(&b);
            let reserved = a == 0 || a >= 240 || (a == 198 && (b & 0xfe) == 18);
            !(ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_multicast()
                || ip.is_broadcast()
                || ip.is_documentation()
                || carrier_grade
                || reserved)
        }
        // Global unicast is 2000::/3.
        IpAddr::V6(ip) => ip.segments()[0] & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::snapshot::Listing;

    #[test]
    fn tells_the_cluster_from_private_networks_and_the_internet() {
        let mut snap = Snapshot::empty(Timestamp::UNIX_EPOCH);
        let services = serde_json::json!([{"metadata": {"name": "hook", "namespace": "ops"}, "spec": {"clusterIP": "172.20.4.4"}}]);
        snap.services = Listing::cluster(serde_json::from_value(services).expect("services"));
        let hook = Place::Cluster(ServiceHost { service: "hook".into(), namespace: "ops".into() });
        for host in ["hook.ops", "hook.ops.svc.cluster.local", "172.20.4.4"] {
            assert_eq!(place(&snap, host, "monitoring"), hook, "{host}");
        }
        for host in ["hooks.slack.com", "example.com", "a.b.svc.example.com", "3.68.175.98", "2606:4700::1111"] {
            assert_eq!(place(&snap, host, "monitoring"), Place::Public, "{host}");
        }
        for host in
            ["10.0.1.30", "relay.corp", "ip-10-0-0-1.eu-west-1.compute.internal", "localhost", "169.254.169.254"]
        {
            assert_eq!(place(&snap, host, "monitoring"), Place::Private, "{host}");
        }
    }
}
