//! Host names that stand for Services of the cluster.

/// A host of a URL that is a cluster DNS name: `<service>[.<namespace>[.svc[.<zone>]]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServiceHost {
    /// Service name.
    pub(crate) service: String,
    /// Namespace.
    pub(crate) namespace: String,
}

impl ServiceHost {
    /// Reads a host as a Service's DNS name, as a pod in `own_namespace` resolves it. `None` for addresses and for names
    /// outside the cluster.
    pub(crate) fn parse(host: &str, own_namespace: &str) -> Option<Self> {
        let host = host.trim_end_matches('.');
        if host.is_empty() || host.parse::<std::net::IpAddr>().is_ok() || host == "localhost" {
            return None;
        }
        let parts: Vec<&str> = host.split('.').collect();
        let (service, namespace) = match parts.as_slice() {
            [service] => (*service, own_namespace),
            // Two labels are a Service and its namespace, or a public domain such as example.com; resolved by the
            // caller, who knows the namespaces.
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
