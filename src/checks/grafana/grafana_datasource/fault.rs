//! What is said of a URL's fault, what of it was seen, and what would explain it.

use crate::checks::support::behind::depends_on_service;
use crate::checks::support::seen::service_evidence;
use crate::domain::grafana::provisioned::Datasource;
use crate::domain::grafana::url::{self, Written};
use crate::domain::kubernetes::endpoints::Cause;
use crate::model::{Evidence, Finding, ResourceRef};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Service;

/// What would explain the fault. Where another name is meant, the missing one explains nothing.
pub(super) fn depend(snap: &Snapshot, made: Finding, fault: &url::Cause<'_>, meant: Option<&Written>) -> Finding {
    match fault {
        url::Cause::UnknownService(host) if meant.is_none() => {
            made.depends_on(ResourceRef::service(&host.namespace, &host.service))
        }
        url::Cause::NoEndpoints(service, reason) => depend_with_reason(snap, made, service, reason.as_ref()),
        _ => made,
    }
}

pub(super) fn depend_with_reason(
    snap: &Snapshot,
    made: Finding,
    service: &Service,
    reason: Option<&Cause<'_>>,
) -> Finding {
    let made = depends_on_service(snap, made, &service.metadata.namespace, &service.metadata.name);
    reason.map(|r| r.owners(snap)).unwrap_or_default().into_iter().fold(made, Finding::depends_on)
}

pub(super) fn fault_words(snap: &Snapshot, datasource: &Datasource<'_>, fault: &url::Cause<'_>) -> String {
    let port = Written::parse(&datasource.url).map_or(0, |w| w.port);
    let named = |s: &Service| format!("Service {}/{}", s.metadata.namespace, s.metadata.name);
    match fault {
        url::Cause::NoUrl => "has no URL".to_owned(),
        url::Cause::Loopback => {
            format!(
                "names Grafana's own container, {}, where nothing listens on port {port}",
                datasource.instance.reference()
            )
        }
        url::Cause::UnknownService(host) => {
            format!("names Service {}/{}, which does not exist", host.namespace, host.service)
        }
        url::Cause::Port(service) => {
            let ports: Vec<String> = url::offered(service).iter().map(u16::to_string).collect();
            format!("asks {} on port {port}, and it offers {}", named(service), ports.join(", "))
        }
        url::Cause::Scheme(service) => {
            let (asked, served) = schemes(datasource);
            format!("asks {} on port {port} for {asked}, and {served} is served there", named(service))
        }
        url::Cause::Prefix(service, prefix) => {
            let prefix = if prefix.is_empty() { "/" } else { prefix };
            let asked = Written::parse(&datasource.url).map(|w| w.path).filter(|p| !p.is_empty());
            format!("asks {} for {}, and it serves {prefix}", named(service), asked.as_deref().unwrap_or("/"))
        }
        url::Cause::Agent(service, _) => format!(
            "asks {}, a Prometheus in agent mode: it sends on what it scrapes, keeps nothing and answers no query",
            named(service)
        ),
        url::Cause::NoEndpoints(service, reason) => {
            let words = reason.as_ref().map(|r| format!(": {}", r.words(snap, service))).unwrap_or_default();
            format!("leads to {}, which has no ready endpoint{words}", named(service))
        }
    }
}

pub(super) fn schemes(datasource: &Datasource<'_>) -> (&'static str, &'static str) {
    match Written::parse(&datasource.url) {
        Some(w) if w.scheme == "https" => ("https", "http"),
        _ => ("http", "https"),
    }
}

pub(super) fn fault_evidence(fault: &url::Cause<'_>, datasource: &Datasource<'_>) -> Evidence {
    let service = match fault {
        url::Cause::NoUrl | url::Cause::Loopback => {
            let spec = &datasource.instance.workload.spec.template.spec;
            let listed: Vec<String> = spec
                .containers
                .iter()
                .map(|c| {
                    let ports: Vec<String> = c.ports.iter().map(|p| p.container_port.to_string()).collect();
                    format!("{} [{}]", c.name, ports.join(" "))
                })
                .collect();
            let source = format!("{} containers and ports", datasource.instance.reference());
            let show = "kubectl get {{ grafana }} -n {{ namespace }} -o yaml";
            return Evidence::new(source, listed.join(", "), show)
                .with("grafana", datasource.instance.kubectl_name())
                .with("namespace", datasource.instance.namespace());
        }
        url::Cause::UnknownService(host) => {
            let (source, value) =
                (format!("Services of namespace {}", host.namespace), format!("no Service {}", host.service));
            return Evidence::new(source, value, "kubectl get service -n {{ namespace }}")
                .with("namespace", &host.namespace);
        }
        url::Cause::Agent(_, server) => {
            let all = server.container.command.iter().chain(&server.container.args);
            let said: Vec<&str> = all.map(String::as_str).filter(|a| a.contains("agent")).collect();
            let show =
                "kubectl get {{ target }} -n {{ namespace }} -o jsonpath='{.spec.template.spec.containers[*].args}'";
            return Evidence::new(format!("arguments of {}", server.workload.reference()), said.join(" "), show)
                .with("target", server.target())
                .with("namespace", server.namespace());
        }
        url::Cause::NoEndpoints(service, _) => {
            let meta = &service.metadata;
            let show = "kubectl get endpointslices -n {{ namespace }} -l {{ selector }}";
            return Evidence::new(
                format!("EndpointSlices of Service {}/{}", meta.namespace, meta.name),
                "0 ready",
                show,
            )
            .with("namespace", &meta.namespace)
            .with("selector", format!("kubernetes.io/service-name={}", meta.name));
        }
        url::Cause::Port(service) | url::Cause::Scheme(service) | url::Cause::Prefix(service, _) => service,
    };
    let ports = service.spec.ports.iter().map(|p| match &p.target_port {
        serde_json::Value::Null => p.port.to_string(),
        target => format!("{} → {}", p.port, target.as_str().map_or_else(|| target.to_string(), str::to_owned)),
    });
    let value = match fault {
        url::Cause::Prefix(_, prefix) => {
            format!("flags set path prefix {:?}", if prefix.is_empty() { "/" } else { prefix })
        }
        _ => format!("port {}", ports.collect::<Vec<_>>().join(", ")),
    };
    service_evidence(service, "", value)
}
