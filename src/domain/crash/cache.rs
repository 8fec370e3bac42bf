//! A controller that ends because its copy of what it watches in the API server is not filled in time.

use crate::domain::crash::{Class, Crash, last_loud_lines};
use crate::lint::kubernetes::removed;
use crate::text::pattern::pattern;

/// Reads a whole log, in the words of client-go and controller-runtime. Where the API server says itself that it is forbidden, or that it
/// does not serve the kind, that is told instead.
pub(crate) fn read(text: &str) -> Option<Crash> {
    last_loud_lines(text).iter().rev().find_map(|line| {
        let lower = line.to_ascii_lowercase();
        let has = |parts: &[&str]| parts.iter().any(|p| lower.contains(p));
        let kind =
            pattern!(r"failed to sync \*(v\d\w*)\.([A-Z]\w+)|synced for Kind \*(v\d\w*)\.([A-Z]\w+)").captures(line);
        if has(&["timeout exceeded while configuring informers"]) {
            return Some(of_alloy(line));
        }
        let late = has(&["timed out waiting for cache", "unable to sync cache", "failed to sync cache"])
            || has(&["caches to sync", "cache to sync"])
                && has(&["timed out", "failed to wait", "unable to", "could not wait"]);
        if kind.is_none() && !late {
            return None;
        }
        let kind = kind.and_then(|c| {
            let (version, kind) = (c.get(1).or(c.get(3))?.as_str(), c.get(2).or(c.get(4))?.as_str());
            Some((kind.to_owned(), resource(version, kind)))
        });
        let what = kind.as_ref().map(|(kind, _)| format!(" of {kind} objects")).unwrap_or_default();
        let reason = format!(
            "its copy{what} is not filled in time: it may not list them, or the API server does not answer soon enough"
        );
        let crash = Crash::new(Class::Cache, reason);
        let crash = if let Some((_, resource)) = kind { crash.what(resource) } else { crash };
        Some(Crash { said: line.clone(), ..crash })
    })
}

/// Kinds that components of Alloy watch, as kubectl takes them.
const WATCHED: &[(&str, &str)] = &[
    ("loki.source.podlogs", "podlogs.monitoring.grafana.com"),
    ("loki.source.kubernetes_events", "events"),
    ("prometheus.operator.servicemonitors", "servicemonitors.monitoring.coreos.com"),
    ("prometheus.operator.podmonitors", "podmonitors.monitoring.coreos.com"),
    ("prometheus.operator.probes", "probes.monitoring.coreos.com"),
    ("prometheus.operator.scrapeconfigs", "scrapeconfigs.monitoring.coreos.com"),
    ("mimir.rules.kubernetes", "prometheusrules.monitoring.coreos.com"),
    ("loki.rules.kubernetes", "prometheusrules.monitoring.coreos.com"),
];

/// Alloy gives its components a minute for their copies, and does not start without one.
fn of_alloy(line: &str) -> Crash {
    let found = WATCHED.iter().find(|(component, _)| line.contains(component));
    let (component, resource) = found.copied().unwrap_or(("one of its components", ""));
    let reason = format!(
        "{component} gets no copy of what it watches in time: the kind is not served, it may not list it, or the API server does not answer soon enough"
    );
    let crash = Crash::new(Class::Cache, reason);
    let crash = if resource.is_empty() { crash } else { crash.what(resource) };
    Crash { said: line.to_owned(), ..crash }
}

/// As kubectl takes it: `endpointslices.discovery.k8s.io`.
fn resource(version: &str, kind: &str) -> String {
    let small = kind.to_ascii_lowercase();
    let plural = match small.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o']) => format!("{stem}ies"),
        _ if small.ends_with(['s', 'x']) && !small.ends_with("endpoints") => format!("{small}es"),
        _ if small.ends_with('s') => small,
        _ => format!("{small}s"),
    };
    let group = match kind {
        "EndpointSlice" => Some("discovery.k8s.io"),
        "Ingress" | "IngressClass" | "NetworkPolicy" => Some("networking.k8s.io"),
        "Lease" => Some("coordination.k8s.io"),
        _ => removed::group_of(version, kind),
    };
    group.filter(|g| !g.is_empty()).map_or_else(|| plural.clone(), |g| format!("{plural}.{g}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controllers_that_wait_for_their_copies() {
        for (line, what) in [
            (
                "time=\"2026-11-21T02:50:00Z\" level=fatal msg=\"failed to sync *v1.EndpointSlice: context deadline exceeded\"",
                Some("endpointslices.discovery.k8s.io"),
            ),
            (
                "time=\"2026-11-21T02:50:00Z\" level=fatal msg=\"failed to sync *v1.Ingress: context deadline exceeded with timeout 1m0s\"",
                Some("ingresses.networking.k8s.io"),
            ),
            (
                "time=\"2026-11-21T02:50:00Z\" level=fatal msg=\"failed to sync cache: timed out waiting for the condition\"",
                None,
            ),
            (
                r#"{"level":"error","msg":"Could not wait for Cache to sync","error":"failed to wait for ingress caches to sync: timed out waiting for cache to be synced for Kind *v1.Service"}"#,
                Some("services"),
            ),
        ] {
            let crash = read(line).expect(line);
            assert_eq!((crash.class, crash.what.as_deref()), (Class::Cache, what), "{line}");
        }
        let alloy = "ts=2026-11-21T02:50:00Z level=error msg=\"failed to evaluate config\" node=loki.source.podlogs.default err=\"building component: failed to configure informers: Timeout exceeded while configuring informers. Check the connection to the Kubernetes API is stable and that Alloy has appropriate RBAC permissions\"";
        let crash = read(alloy).expect("a crash");
        assert_eq!(crash.what.as_deref(), Some("podlogs.monitoring.grafana.com"));
        assert!(crash.reason.starts_with("loki.source.podlogs gets no copy"), "{}", crash.reason);
        assert!(read("level=fatal msg=\"failed to sync configmap cache: timed out\"").is_none());
        assert!(read("panic: timed out waiting for the condition").is_none());
    }
}
