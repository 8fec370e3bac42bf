//! The proxy that a container's environment sends its requests through, and the names that go past it. Source:
//! golang.org/x/net/http/httpproxy, whose rules curl and most programs share.

use std::net::IpAddr;

use crate::snapshot::kubernetes::{Container, EnvVar, Pod};

/// The proxy for a URL's host; `None` where it is asked directly.
pub(crate) fn for_host<'a>(container: &'a Container, scheme: &str, host: &str) -> Option<&'a str> {
    let variable = if scheme == "https" { "HTTPS_PROXY" } else { "HTTP_PROXY" };
    let proxy = value(container, variable).filter(|v| !v.is_empty())?;
    (!goes_past(no_proxy(container)?, host)).then_some(proxy)
}

/// What NO_PROXY holds; `None` where it comes from a ConfigMap or a Secret, or may.
pub(crate) fn no_proxy(container: &Container) -> Option<&str> {
    let is_it = |e: &&EnvVar| e.name.eq_ignore_ascii_case("NO_PROXY");
    let mut written = container.env.iter().filter(is_it).peekable();
    if written.peek().is_none() {
        return container.env_from.is_empty().then_some("");
    }
    if written.any(|e| e.value_from.is_some()) {
        return None;
    }
    Some(value(container, "NO_PROXY").unwrap_or_default())
}

fn value<'a>(container: &'a Container, name: &str) -> Option<&'a str> {
    let mut own = container.env.iter().filter(|e| e.name.eq_ignore_ascii_case(name));
    own.find_map(|e| e.value.as_deref())
}

/// An entry of NO_PROXY names the host: itself, a domain that it lies in, or a network.
fn goes_past(no_proxy: &str, host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let address: Option<IpAddr> = host.parse().ok();
    if host == "localhost" || address.is_some_and(|ip| ip.is_loopback()) {
        return true;
    }
    no_proxy.split(',').map(|e| e.trim().to_ascii_lowercase()).filter(|e| !e.is_empty()).any(|entry| {
        if entry == "*" {
            return true;
        }
        if let (Some(ip), Ok(net)) = (address, entry.parse::<ipnet::IpNet>()) {
            return net.contains(&ip);
        }
        let entry = entry.split(':').next().unwrap_or_default();
        let domain = entry.trim_start_matches('*').trim_start_matches('.');
        let within = host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
        within || (host == domain && !entry.starts_with('.'))
    })
}

/// Sends its HTTPS through a proxy from its environment.
pub(crate) fn has_proxy(pod: &Pod) -> bool {
    let env = pod.spec.containers.iter().flat_map(|c| &c.env);
    env.into_iter().any(|e| {
        matches!(e.name.to_ascii_uppercase().as_str(), "HTTPS_PROXY" | "ALL_PROXY")
            && e.value.as_deref().is_none_or(|v| !v.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_go_past_by_their_domain() {
        let of = |no_proxy: &str, host: &str| {
            let container: Container = serde_json::from_value(json!({"name": "grafana", "image": "grafana", "env": [
                {"name": "http_proxy", "value": "http://proxy:3128"}, {"name": "NO_PROXY", "value": no_proxy}]}))
            .expect("a container");
            for_host(&container, "http", host).is_some()
        };
        assert!(of("localhost,127.0.0.1", "prometheus.monitoring.svc"));
        assert!(!of("localhost,.svc", "prometheus.monitoring.svc"));
        assert!(of(".svc", "prometheus.monitoring"), "the short name has another domain");
        assert!(!of("monitoring", "prometheus.monitoring"));
        assert!(!of("10.0.0.0/8", "10.0.1.2") && of("172.20.0.0/16", "10.0.1.2"));
        assert!(!of("*", "example.com") && !of("", "localhost"));
    }

    #[test]
    fn a_list_that_cannot_be_read_says_nothing() {
        let container: Container = serde_json::from_value(json!({"name": "grafana", "image": "grafana", "env": [
            {"name": "HTTP_PROXY", "value": "http://proxy:3128"},
            {"name": "NO_PROXY", "valueFrom": {"configMapKeyRef": {"name": "proxy", "key": "no"}}}]}))
        .expect("a container");
        assert_eq!(for_host(&container, "http", "prometheus.monitoring"), None);
        let container: Container = serde_json::from_value(json!({"name": "grafana", "image": "grafana",
            "env": [{"name": "HTTP_PROXY", "value": "http://proxy:3128"}], "envFrom": [{"configMapRef": {"name": "proxy"}}]}))
        .expect("a container");
        assert_eq!(for_host(&container, "http", "prometheus.monitoring"), None);
    }
}
