//! Alertmanagers that Prometheus knows and cannot send to.

use super::{Known, finding};
use crate::domain::alertmanager::pods::alertmanager_pods;
use crate::domain::kubernetes::network_policy::{self, Direction, Policies};
use crate::domain::kubernetes::service_host;
use crate::domain::prometheus::notifier::{self, Failing, Overflow, Undelivered};
use crate::domain::prometheus::targets::Address;
use crate::domain::text::redact::redact;
use crate::domain::text::send_error::SendFailure;
use crate::domain::traffic::flows;
use crate::model::{Evidence, Finding, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Pod, Service};

const SHOW_LOG: &str = "kubectl logs -n {{ namespace }} {{ pod }} -c {{ container }} --since=1h";

/// One finding for each Alertmanager, whichever replica of Prometheus says so; a full queue alone is one as well.
pub(super) fn findings(snap: &Snapshot, known: &Known, all: &Undelivered) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut urls: Vec<&str> = all.failing.iter().map(|f| f.url.as_str()).collect();
    urls.sort_unstable();
    urls.dedup();
    for url in &urls {
        let of_url: Vec<&Failing> = all.failing.iter().filter(|f| f.url == *url).collect();
        // The latest attempt says what is wrong now.
        let Some(latest) = of_url.iter().copied().max_by_key(|f| f.last) else { continue };
        let alerts = of_url.iter().map(|f| f.alerts).sum();
        found.push(of_one(snap, known, latest, alerts, &urls, &all.overflows));
    }
    if found.is_empty() {
        found.extend(all.overflows.first().map(|o| full_queue(snap, o)));
    }
    found
}

/// Everything about one Alertmanager that does not take alerts.
struct Case<'a> {
    snap: &'a Snapshot,
    failing: &'a Failing,
    address: Option<Address>,
    /// Its Service, where the host names one that exists.
    service: Option<&'a Service>,
    /// Its pod, where the host is the pod's address.
    pod: Option<&'a Pod>,
}

fn of_one(
    snap: &Snapshot,
    known: &Known,
    failing: &Failing,
    alerts: u64,
    failing_urls: &[&str],
    overflows: &[Overflow],
) -> Finding {
    let case = Case::new(snap, failing);
    let others = known.active.iter().filter(|url| !failing_urls.contains(&url.as_str())).count();
    let queued: u64 = overflows.iter().map(|o| o.alerts).sum();
    let lost = if queued > 0 { format!("; its queue is full, and {queued} more were dropped") } else { String::new() };
    let (severity, effect) = match others {
        0 => (
            Severity::Error,
            format!("{alerts} alert notifications failed within the hour{lost}{}", known.firing_words()),
        ),
        1 => (Severity::Warning, "the other Alertmanager still gets the alerts".to_owned()),
        n => (Severity::Warning, format!("{n} other Alertmanagers still get the alerts")),
    };
    let message = format!("Prometheus cannot send alerts to Alertmanager {}: {}; {effect}", case.at(), case.why());
    let at = &failing.at;
    let mut made = finding::new(snap, finding::pod(snap, Some((&at.namespace, &at.pod))), severity, message)
        .key(case.at())
        .evidence(log_evidence(at, &failing.line));
    if others > 0 {
        let list = known.active.iter().map(|url| redact(url)).collect::<Vec<_>>().join(", ");
        made = made.evidence(finding::list_evidence(snap, list));
    }
    let variant = case.variant();
    case.set(&mut made, variant);
    case.depends_on(made).fix(variant)
}

fn log_evidence(at: &notifier::Place, line: &str) -> Evidence {
    Evidence::new(format!("log of pod {}/{}", at.namespace, at.pod), redact(line), SHOW_LOG)
        .with("namespace", &at.namespace)
        .with("pod", &at.pod)
        .with("container", &at.container)
}

fn full_queue(snap: &Snapshot, overflow: &Overflow) -> Finding {
    let message = format!(
        "Prometheus drops alerts: its notification queue is full ({} dropped within the hour), because no Alertmanager takes them fast enough",
        overflow.alerts
    );
    let at = &overflow.at;
    let made = finding::new(snap, finding::pod(snap, Some((&at.namespace, &at.pod))), Severity::Error, message)
        .key("queue")
        .evidence(log_evidence(at, &overflow.line));
    finding::depends_on_alertmanager(snap, made).fix("queue")
}

impl<'a> Case<'a> {
    fn new(snap: &'a Snapshot, failing: &'a Failing) -> Self {
        let address = Address::parse(&failing.url);
        let host = address.as_ref().map_or("", |a| a.host.as_str());
        let named = service_host::in_cluster(snap, host, &failing.at.namespace);
        let service = named.and_then(|s| snap.services.find(&s.namespace, &s.service).ok().flatten());
        let service = service.or_else(|| snap.service_by_host(host));
        Self { snap, failing, service, pod: snap.pod_by_ip(host), address }
    }

    fn host(&self) -> &str {
        self.address.as_ref().map_or("", |a| a.host.as_str())
    }

    /// `host:port`.
    fn at(&self) -> String {
        self.address.as_ref().map_or_else(|| redact(&self.failing.url), Address::host_port)
    }

    fn why(&self) -> String {
        let at = self.at();
        let prefix = self.address.as_ref().map(|a| notifier::api_of(a).0.to_owned()).unwrap_or_default();
        match &self.failing.failure {
            SendFailure::NoSuchHost(host) if host.is_empty() => "its name does not resolve (no such host)".into(),
            SendFailure::NoSuchHost(host) => format!("the name {host} does not resolve (no such host)"),
            SendFailure::Dns => "DNS fails to look its name up".into(),
            SendFailure::Timeout => "it does not answer in time (timeout)".into(),
            SendFailure::NoRoute => "there is no route to it".into(),
            SendFailure::Refused if self.port_missing() => {
                format!("connection refused: its Service has no port {}", self.port())
            }
            SendFailure::Refused => format!("nothing listens at {at} (connection refused)"),
            SendFailure::Reset => "it closes the connection".into(),
            SendFailure::Expired => "its TLS certificate is expired, or not valid yet".into(),
            SendFailure::UnknownAuthority => {
                "its TLS certificate is signed by an authority that Prometheus does not know".into()
            }
            SendFailure::OtherName => "its TLS certificate is for other names than this one".into(),
            SendFailure::ClientCertificate => "it asks for a client certificate".into(),
            SendFailure::PlainHttp => "it speaks plain HTTP, and scheme https is configured".into(),
            SendFailure::Tls => "the TLS handshake fails".into(),
            SendFailure::Proxy => "the proxy on the way does not let it through".into(),
            SendFailure::Credentials | SendFailure::Signing => {
                format!("the credentials for it cannot be read ({})", redact(&self.failing.error))
            }
            SendFailure::Status { code: 410, .. } => {
                "it has no API v1 any more (410 Gone: removed in Alertmanager 0.27), and api_version v1 is configured"
                    .into()
            }
            SendFailure::Status { code: 404, .. } if self.expected_prefix().is_some_and(|p| p != prefix) => format!(
                "it answers 404: its API lies under {}, and {} is asked",
                shown(self.expected_prefix().unwrap_or_default()),
                shown(&prefix)
            ),
            SendFailure::Status { code: 404, .. } => {
                format!("it answers 404: its API does not lie under the path prefix {}", shown(&prefix))
            }
            SendFailure::Status { code: code @ (401 | 403), .. } => {
                format!("it answers {code}: Prometheus' credential is not accepted")
            }
            SendFailure::Status { code: 400, body } if body.is_empty() && self.scheme() == "http" => {
                "it answers 400: it takes HTTPS, or does not understand the alerts".into()
            }
            SendFailure::Status { code, .. } if *code >= 500 => {
                format!("it answers {code}: it, or a proxy before it, is not available")
            }
            SendFailure::Status { code, .. } => format!("it answers {code}"),
            SendFailure::Other => redact(&self.failing.error),
        }
    }

    fn scheme(&self) -> &str {
        self.address.as_ref().map_or("http", |a| a.scheme.as_str())
    }

    fn port(&self) -> u16 {
        self.address.as_ref().map_or(9093, |a| a.port)
    }

    /// The Service is there and has no such port.
    fn port_missing(&self) -> bool {
        self.service.is_some_and(|s| !s.spec.ports.is_empty() && !s.spec.ports.iter().any(|p| p.port == self.port()))
    }

    /// The prefix of Alertmanager's API by its arguments: `--web.route-prefix`, else the path of its external URL.
    fn expected_prefix(&self) -> Option<String> {
        let (pod, name) = alertmanager_pods(self.snap).into_iter().next()?;
        let container = pod.spec.containers.iter().find(|c| c.name == name)?;
        let flag = |name: &str| crate::domain::kubernetes::arguments::flag(container, name);
        let path = match (flag("web.route-prefix"), flag("web.external-url")) {
            (Some(prefix), _) => prefix.to_owned(),
            (None, Some(url)) => Address::parse(url)?.bare_path().to_owned(),
            (None, None) => String::new(),
        };
        Some(path.trim_end_matches('/').to_owned())
    }

    fn variant(&self) -> &'static str {
        match &self.failing.failure {
            SendFailure::NoSuchHost(_) => "name",
            SendFailure::Expired => "expired",
            SendFailure::UnknownAuthority | SendFailure::Tls => "authority",
            SendFailure::OtherName => "server-name",
            SendFailure::ClientCertificate => "client-certificate",
            SendFailure::PlainHttp => "plain-http",
            SendFailure::Credentials | SendFailure::Status { code: 401 | 403, .. } => "credential",
            SendFailure::Status { code: 410, .. } => "api-version",
            SendFailure::Status { code: 404 | 405, .. } => "path",
            SendFailure::Refused if self.port_missing() => "port",
            SendFailure::Status { .. } | SendFailure::Signing | SendFailure::Other => "server",
            SendFailure::Refused if self.is_stale() => "stale",
            SendFailure::Timeout | SendFailure::NoRoute if self.is_stale() => "stale",
            _ => "unreachable",
        }
    }

    /// An address that is written down and that no pod and no Service of the cluster has.
    fn is_stale(&self) -> bool {
        let is_address = self.host().parse::<std::net::IpAddr>().is_ok();
        is_address
            && self.pod.is_none()
            && self.service.is_none()
            && self.snap.pods.is_whole()
            && finding::alertmanager_service(self.snap).is_some()
    }

    fn set(&self, made: &mut Finding, variant: &str) {
        let prefix = self.expected_prefix();
        let service = self.service.map(|s| &s.metadata);
        let ports: Vec<String> = self.service.iter().flat_map(|s| &s.spec.ports).map(|p| p.port.to_string()).collect();
        let changes = [
            "name",
            "authority",
            "server-name",
            "client-certificate",
            "plain-http",
            "credential",
            "api-version",
            "path",
            "port",
            "stale",
        ];
        let values = [
            ("url", redact(&self.failing.url)),
            ("host", self.host().to_owned()),
            ("host_port", self.at()),
            ("detail", redact(&self.failing.error)),
            ("path_prefix", prefix.filter(|p| !p.is_empty()).unwrap_or_else(|| "/".into())),
            ("right", ports.join(", ")),
        ];
        for (name, value) in values {
            made.params.set(name, value);
        }
        if let Some(service) = service {
            made.params.set("has_service", true);
            made.params.set("am_namespace", &service.namespace);
            made.params.set("am_service", &service.name);
            made.params.set("am_selector", format!("kubernetes.io/service-name={}", service.name));
        }
        made.params.set("changes_config", changes.contains(&variant));
    }

    /// The Service, the pods, and the policies that may keep them apart.
    fn depends_on(&self, finding: Finding) -> Finding {
        let snap = self.snap;
        let mut all: Vec<ResourceRef> = vec![flows::handover(&self.failing.url)];
        if let Some(service) = service_host::in_cluster(snap, self.host(), &self.failing.at.namespace) {
            all.push(ResourceRef::service(&service.namespace, &service.service));
        }
        all.extend(self.service.map(|s| ResourceRef::service(&s.metadata.namespace, &s.metadata.name)));
        let behind: Vec<&Pod> = match (self.pod, self.service) {
            (Some(pod), _) => vec![pod],
            (None, Some(service)) => snap.pods_of_service(service).collect(),
            (None, None) => Vec::new(),
        };
        for pod in &behind {
            all.extend([ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name), snap.owner_ref(pod)]);
        }
        if self.failing.failure == SendFailure::Dns {
            all.push(ResourceRef::service("kube-system", "kube-dns"));
        }
        if matches!(self.failing.failure, SendFailure::Timeout | SendFailure::Dns | SendFailure::NoRoute) {
            let own = snap.pods.find(&self.failing.at.namespace, &self.failing.at.pod).ok().flatten();
            all.extend(own.map(|p| network_policy::egress_policies(snap, p)).unwrap_or_default());
            let ingress = |p: &&Pod| Policies::of(snap).isolating(p, Direction::Ingress);
            all.extend(behind.iter().flat_map(ingress).map(network_policy::reference));
        }
        all.into_iter().fold(finding, Finding::depends_on)
    }
}

fn shown(prefix: impl AsRef<str>) -> String {
    let prefix = prefix.as_ref();
    if prefix.is_empty() { "/".to_owned() } else { prefix.to_owned() }
}
