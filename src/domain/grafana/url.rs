//! Where a datasource's URL leads, as Grafana's pod resolves it.

use url::{Position, Url};

use crate::domain::grafana::provisioned::{Datasource, Instance};
use crate::domain::kubernetes::endpoints::{self, probe_port};
use crate::domain::kubernetes::own_address;
use crate::domain::kubernetes::service_host::{self, ServiceHost};
use crate::domain::kubernetes::service_port::{self, is_headless};
use crate::domain::kubernetes::store::Store;
use crate::domain::prometheus::server::{Server, servers};
use crate::domain::text::windows::STARTING;
use crate::model::{Gap, Program};
use crate::snapshot::kubernetes::{Container, Pod, Service};
use crate::snapshot::{Component, Snapshot};
use crate::text::near;

/// Names of programs that speak Prometheus' API beside Prometheus itself.
const OTHER_BACKENDS: &[&str] = &["thanos", "mimir", "cortex", "victoria", "vmselect", "vmsingle", "promxy"];

/// A URL, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) scheme: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Path without the slash at its end.
    pub(crate) path: String,
    /// The URL ends in a slash.
    pub(crate) slash: bool,
    /// The URL holds a user name or password.
    pub(crate) has_login: bool,
}

impl Written {
    /// Takes a datasource's URL apart; `None` where it is none or holds a placeholder that Grafana fills in.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() || text.contains(['$', '{', '<']) {
            return None;
        }
        let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let url = Url::parse(&with_scheme).ok().filter(|u| matches!(u.scheme(), "http" | "https"))?;
        Some(Self {
            scheme: url.scheme().to_owned(),
            host: url.host_str()?.trim_matches(['[', ']']).to_owned(),
            port: url.port_or_known_default()?,
            path: url[Position::BeforePath..Position::AfterPath].trim_end_matches('/').to_owned(),
            slash: text.ends_with('/'),
            has_login: !url.username().is_empty() || url.password().is_some(),
        })
    }

    /// As text, without the login it may hold.
    pub(crate) fn text(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let usual = matches!((self.scheme.as_str(), self.port), ("http", 80) | ("https", 443));
        let port = if usual { String::new() } else { format!(":{}", self.port) };
        let login = if self.has_login { "***@" } else { "" };
        let slash = if self.slash { "/" } else { "" };
        format!("{}://{login}{host}{port}{}{slash}", self.scheme, self.path)
    }

    fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// The same for another Service, its name written as the old one was.
    fn at(&self, service: &Service, port: u16, own: &str) -> Self {
        let meta = &service.metadata;
        let labels: Vec<&str> = self.host.trim_end_matches('.').split('.').collect();
        let is_name = self.host.parse::<std::net::IpAddr>().is_err() && !self.is_loopback();
        let zone = (2..labels.len()).find(|at| is_name && labels[*at] == "svc").map(|at| labels[at..].join("."));
        let host = match zone {
            Some(zone) => format!("{}.{}.{zone}", meta.name, meta.namespace),
            None if labels.len() == 1 && meta.namespace == own => meta.name.clone(),
            None => format!("{}.{}", meta.name, meta.namespace),
        };
        Self { host, port, ..self.clone() }
    }
}

/// Why a URL does not lead anywhere.
#[derive(Debug, Clone)]
pub(crate) enum Cause<'a> {
    /// There is no URL.
    NoUrl,
    /// Grafana's own container is asked.
    Loopback,
    /// The Service does not exist.
    UnknownService(ServiceHost),
    /// The Service does not offer the port.
    Port(&'a Service),
    /// The other scheme is served.
    Scheme(&'a Service),
    /// Prometheus or Alertmanager serves another path prefix.
    Prefix(&'a Service, String),
    /// A Prometheus in agent mode: it sends on what it scrapes, and answers no query.
    Agent(&'a Service, Server<'a>),
    /// Nobody is ready behind the Service.
    NoEndpoints(&'a Service, Option<endpoints::Cause<'a>>),
}

/// A fault with the URL that is meant, where it is known.
#[derive(Debug, Clone)]
pub(crate) struct Verdict<'a> {
    pub(crate) fault: Cause<'a>,
    pub(crate) meant: Option<Written>,
}

/// The Service behind a URL.
pub(crate) fn service_behind<'a>(snap: &'a Snapshot, own: &str, written: &Written) -> Result<Option<&'a Service>, Gap> {
    if written.host.parse::<std::net::IpAddr>().is_ok() {
        let services = snap.services()?;
        return Ok(services.iter().find(|s| s.spec.cluster_ip.as_deref() == Some(&written.host)));
    }
    let Some(host) = service_host::in_cluster(snap, &written.host, own) else { return Ok(None) };
    snap.services.find(&host.namespace, &host.service)
}

/// What is wrong with a datasource's URL; `None` where nothing is, or where it leads out of the cluster.
///
/// # Errors
/// A gap, if what it takes to tell was not read.
pub(crate) fn judge<'a>(snap: &'a Snapshot, datasource: &Datasource<'a>) -> Result<Option<Verdict<'a>>, Gap> {
    let (instance, kind) = (datasource.instance, datasource.kind.as_str());
    let own = instance.namespace();
    if datasource.direct {
        return Ok(None);
    }
    if datasource.url.trim().is_empty() {
        return Ok(no_url(snap, kind, own));
    }
    let Some(written) = Written::parse(&datasource.url) else { return Ok(None) };
    if written.is_loopback() {
        let is_own =
            instance.workload.spec.template.spec.host_network || served_beside(snap, instance, kind, written.port);
        let verdict = || {
            let meant = usual(snap, kind, &written).map(|(service, port)| {
                let path = component(snap, kind).map(|c| c.prefix.clone()).unwrap_or_default();
                Written { path, ..written.at(service, port, own) }
            });
            Verdict { fault: Cause::Loopback, meant }
        };
        return Ok((!is_own).then(verdict));
    }
    let Some(service) = service_behind(snap, own, &written)? else {
        let unknown = service_host::in_cluster(snap, &written.host, own);
        return Ok(unknown.map(|host| unknown_service(snap, kind, &written, host, own)));
    };
    if service.spec.kind.as_deref() == Some("ExternalName") {
        return Ok(external_name(snap, service, kind, &written, own));
    }
    Ok(of_service(snap, service, kind, &written))
}

fn no_url<'a>(snap: &'a Snapshot, kind: &str, own: &str) -> Option<Verdict<'a>> {
    // The others have defaults of their own, or take the URL from elsewhere.
    if kind != "prometheus" {
        return None;
    }
    let blank = Written {
        scheme: "http".into(),
        host: String::new(),
        port: 80,
        path: String::new(),
        slash: false,
        has_login: false,
    };
    let meant = usual(snap, kind, &blank).map(|(service, port)| blank.at(service, port, own));
    Some(Verdict { fault: Cause::NoUrl, meant })
}

/// A Service that only stands for another name: one of the cluster must exist, others are out of reach.
fn external_name<'a>(
    snap: &'a Snapshot,
    service: &'a Service,
    kind: &str,
    written: &Written,
    own: &str,
) -> Option<Verdict<'a>> {
    let name = service.spec.external_name.as_deref()?;
    let host = service_host::in_cluster(snap, name, &service.metadata.namespace)?;
    match snap.services.find(&host.namespace, &host.service).ok()? {
        None => Some(unknown_service(snap, kind, written, host, own)),
        Some(behind) if behind.spec.kind.as_deref() == Some("ExternalName") => None,
        Some(behind) => of_service(snap, behind, kind, written),
    }
}

/// Another container of the pod may listen there; one that declares no ports may listen on any.
fn served_beside(snap: &Snapshot, instance: Instance<'_>, kind: &str, port: u16) -> bool {
    let own = instance.container.ports.iter().any(|p| p.container_port == port);
    let spec = &instance.workload.spec.template.spec;
    let others = spec.containers.iter().chain(&spec.init_containers);
    let mut others = others.filter(|c| c.name != instance.container.name && !c.image.contains("k8s-sidecar"));
    let of_kind = |c: &Container| c.program() == Some(Program::Prometheus) && kind == "prometheus";
    // Init containers that end cannot serve.
    let runs = |c: &Container| {
        c.restart_policy.as_deref() == Some("Always") || spec.containers.iter().any(|o| o.name == c.name)
    };
    // Webhooks add side-cars to the pod that its template does not have.
    let injected = || {
        let pods = instance.pods(snap);
        let mut added = pods.into_iter().flat_map(|p| &p.spec.containers);
        added.any(|c| {
            !spec.containers.iter().any(|o| o.name == c.name)
                && (c.ports.is_empty() || c.ports.iter().any(|p| p.container_port == port))
        })
    };
    own || injected()
        || others
            .any(|c| runs(c) && (c.ports.is_empty() || of_kind(c) || c.ports.iter().any(|p| p.container_port == port)))
}

fn of_service<'a>(snap: &'a Snapshot, service: &'a Service, kind: &str, written: &Written) -> Option<Verdict<'a>> {
    let pods: Vec<&Pod> = snap.pods_of_service(service).collect();
    if !offers(service, &pods, written.port) {
        let meant =
            port_meant(snap, service, &pods, kind, written.port).map(|port| Written { port, ..written.clone() });
        return Some(Verdict { fault: Cause::Port(service), meant });
    }
    if let Some(reason) = without_endpoints(snap, service) {
        return Some(Verdict { fault: Cause::NoEndpoints(service, reason), meant: None });
    }
    let target = target_port(service, &pods, written.port);
    if let Some(served) = target.and_then(|t| served_scheme(&pods, t)).filter(|s| *s != written.scheme) {
        let meant = Some(Written { scheme: served.to_owned(), ..written.clone() });
        return Some(Verdict { fault: Cause::Scheme(service), meant });
    }
    if let Some(agent) = agent(snap, &pods).filter(|_| kind == "prometheus") {
        return Some(Verdict { fault: Cause::Agent(service, agent), meant: None });
    }
    let prefix = served_prefix(&pods, kind)?;
    (prefix != written.path).then(|| Verdict {
        meant: Some(Written { path: prefix.clone(), ..written.clone() }),
        fault: Cause::Prefix(service, prefix),
    })
}

/// The ports that a Service offers.
pub(crate) fn offered(service: &Service) -> Vec<u16> {
    service_port::tcp(service).map(|(_, p)| p.port).collect()
}

fn offers(service: &Service, pods: &[&Pod], port: u16) -> bool {
    if offered(service).contains(&port) {
        return true;
    }
    // A headless Service's name is that of its pods: whatever they listen on is reached.
    is_headless(service) && {
        let mut declared = pods.iter().flat_map(|p| p.all_containers()).flat_map(|c| &c.ports).peekable();
        declared.peek().is_none() || declared.any(|p| p.container_port == port)
    }
}

/// The number behind a Service's port, which is the same on all of its pods mostly.
fn target_port(service: &Service, pods: &[&Pod], port: u16) -> Option<u16> {
    pods.iter().find_map(|pod| service_port::reached(service, port, pod))
}

/// The port of the Service that is meant: the one that leads to the written port, else the usual or only one.
fn port_meant(snap: &Snapshot, service: &Service, pods: &[&Pod], kind: &str, written: u16) -> Option<u16> {
    let ports = offered(service);
    if let Some(port) = ports.iter().find(|p| target_port(service, pods, **p) == Some(written)) {
        return Some(*port);
    }
    let component = component(snap, kind).filter(|c| {
        c.namespace == service.metadata.namespace && c.service == service.metadata.name && ports.contains(&c.port)
    });
    let usual = usual_port(kind).filter(|p| ports.contains(p));
    match ports.as_slice() {
        [only] => Some(*only),
        _ => component.map(|c| c.port).or(usual),
    }
}

fn usual_port(kind: &str) -> Option<u16> {
    match kind {
        "prometheus" => Some(Program::Prometheus.port()),
        "alertmanager" => Some(Program::Alertmanager.port()),
        "loki" => Some(Store::Loki.port()),
        _ => None,
    }
}

/// Why nobody is ready behind a Service: `Some(None)` where its endpoints are kept by hand. `None`: somebody is, or will
/// be in a moment, or the endpoints were not read.
fn without_endpoints<'a>(snap: &'a Snapshot, service: &'a Service) -> Option<Option<endpoints::Cause<'a>>> {
    let (ready, _) = snap.endpoints_of(service)?;
    if ready > 0 || service.spec.publish_not_ready_addresses {
        return None;
    }
    if service.spec.selector.is_empty() {
        return Some(None);
    }
    if !snap.pods.covers(&service.metadata.namespace) {
        return Some(None);
    }
    let reason = endpoints::Cause::of(snap, service)?;
    let starting = |p: &&Pod| p.metadata.creation_timestamp.is_some() && snap.age_seconds(&p.metadata) < STARTING;
    let pods = reason.pods();
    (pods.is_empty() || !pods.iter().all(starting)).then_some(Some(reason))
}

/// The scheme that a port serves, by the readiness probe that a ready pod passes there.
fn served_scheme(pods: &[&Pod], port: u16) -> Option<&'static str> {
    let ready = pods.iter().filter(|p| p.is_ready());
    ready.flat_map(|p| &p.spec.containers).find_map(|container| {
        let probe = container.readiness_probe.as_ref()?.http_get.as_ref()?;
        if probe_port(container, &probe.port)? != u64::from(port) {
            return None;
        }
        Some(if probe.scheme.as_deref() == Some("HTTPS") { "https" } else { "http" })
    })
}

/// All pods are those of a Prometheus in agent mode.
fn agent<'a>(snap: &'a Snapshot, pods: &[&Pod]) -> Option<Server<'a>> {
    let is_of = |pod: &Pod, server: &Server<'_>| {
        snap.pods_of_workload(server.workload).any(|own| own.metadata.uid == pod.metadata.uid)
    };
    let (first, rest) = pods.split_first()?;
    let server = servers(snap).into_iter().find(|server| server.is_agent() && is_of(first, server))?;
    rest.iter().all(|pod| is_of(pod, &server)).then_some(server)
}

/// The path prefix that Prometheus or Alertmanager serves, by their flags.
fn served_prefix(pods: &[&Pod], kind: &str) -> Option<String> {
    let program = match kind {
        "prometheus" => Program::Prometheus,
        "alertmanager" => Program::Alertmanager,
        _ => return None,
    };
    let container = pods.iter().flat_map(|p| &p.spec.containers).find(|c| c.program() == Some(program))?;
    own_address::prefix(container)
}

fn component<'a>(snap: &'a Snapshot, kind: &str) -> Option<&'a Component> {
    match kind {
        "prometheus" => snap.scope.prometheus.as_ref(),
        "alertmanager" => snap.scope.alertmanager.as_ref(),
        _ => None,
    }
}

/// The Service that a datasource of this type usually means: the stack's own.
fn usual<'a>(snap: &'a Snapshot, kind: &str, written: &Written) -> Option<(&'a Service, u16)> {
    if OTHER_BACKENDS.iter().any(|b| written.host.contains(b)) {
        return None;
    }
    if let Some(at) = component(snap, kind) {
        return Some((snap.services.find(&at.namespace, &at.service).ok().flatten()?, at.port));
    }
    let port = usual_port(kind).filter(|_| kind == "loki")?;
    let services = snap.services.items().unwrap_or_default().iter();
    let mut found = services.filter(|s| {
        let name = s.metadata.name.as_str();
        let named = name == kind || name.ends_with(&format!("-{kind}")) || name.ends_with(&format!("{kind}-gateway"));
        named && !is_headless(s) && offered(s).contains(&port)
    });
    let first = found.next()?;
    found.next().is_none().then_some((first, port))
}

fn unknown_service<'a>(snap: &'a Snapshot, kind: &str, written: &Written, host: ServiceHost, own: &str) -> Verdict<'a> {
    let meant = named_alike(snap, kind, written, &host).or_else(|| usual(snap, kind, written));
    let meant = meant.map(|(service, port)| written.at(service, port, own));
    Verdict { fault: Cause::UnknownService(host), meant }
}

/// A Service of nearly this name here, or of the same name elsewhere, that offers the port.
fn named_alike<'a>(
    snap: &'a Snapshot,
    kind: &str,
    written: &Written,
    host: &ServiceHost,
) -> Option<(&'a Service, u16)> {
    let exists = service_host::has_services(snap, &host.namespace);
    let own = component(snap, kind);
    let rank = |s: &Service| {
        let (namespace, name) = (s.metadata.namespace.as_str(), s.metadata.name.as_str());
        // Of several it is the stack's own that is meant.
        let is_own = own.is_some_and(|c| c.namespace == namespace && c.service == name);
        let rank = if name == host.service {
            if near::same_namespace(&host.namespace, namespace, exists) { 0 } else { 1 }
        } else if namespace != host.namespace {
            return None;
        } else if near::same_service(&host.service, name) {
            2
        } else if near::typo(&host.service, name, 2) {
            3
        } else {
            return None;
        };
        Some((!is_own, rank))
    };
    let usable = |s: &Service| {
        let pods: Vec<&Pod> = snap.pods_of_service(s).collect();
        if offers(s, &pods, written.port) {
            return Some(written.port);
        }
        offered(s).into_iter().find(|p| target_port(s, &pods, *p) == Some(written.port))
    };
    let services = snap.services.items().unwrap_or_default().iter();
    let mut ranked: Vec<((bool, i32), &Service, u16)> =
        services.filter_map(|s| Some((rank(s)?, s, usable(s)?))).collect();
    ranked.sort_by_key(|(rank, ..)| *rank);
    let (best, service, port) = ranked.first()?;
    (ranked.iter().filter(|(rank, ..)| rank == best).count() == 1).then_some((*service, *port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_written_again_as_it_was() {
        for text in ["http://prometheus:9090", "https://p.ns.svc.cluster.local/x/", "http://[::1]:9090"] {
            assert_eq!(Written::parse(text).expect("a URL").text(), text);
        }
        assert_eq!(Written::parse("prometheus:9090").expect("a URL").text(), "http://prometheus:9090");
        assert_eq!(Written::parse("http://me:s3cret@p/").expect("a URL").text(), "http://***@p/");
        for text in ["http://$HOST:9090", "${URL}", "", "{{ .Values.url }}", "ftp://x"] {
            assert_eq!(Written::parse(text), None, "{text}");
        }
    }
}
