//! One Alertmanager that does not take alerts, and why.

use std::net::IpAddr;

use super::finding;
use crate::domain::alertmanager::pods::alertmanager_pods;
use crate::domain::kubernetes::network_policy::{self, Direction, Policies};
use crate::domain::kubernetes::own_address;
use crate::domain::kubernetes::service_host;
use crate::domain::prometheus::notifier::{self, Failing};
use crate::domain::prometheus::refused_alerts::{self, Refused};
use crate::domain::prometheus::targets::Address;
use crate::domain::text::redact::redact;
use crate::domain::text::send_error::SendFailure;
use crate::domain::traffic::flows;
use crate::model::{Finding, ResourceRef};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Pod, Service};

/// Everything about one Alertmanager that does not take alerts.
pub(super) struct Case<'a> {
    pub(super) snap: &'a Snapshot,
    pub(super) failing: &'a Failing,
    pub(super) address: Option<Address>,
    /// Its Service, where the host names one that exists.
    pub(super) service: Option<&'a Service>,
    /// Its pod, where the host is the pod's address.
    pub(super) pod: Option<&'a Pod>,
    /// What it says itself of the alerts that it refuses, and its pod.
    pub(super) refused: Option<(&'a Pod, Refused)>,
}

impl<'a> Case<'a> {
    pub(super) fn new(snap: &'a Snapshot, failing: &'a Failing) -> Self {
        let address = Address::parse(&failing.url);
        let host = address.as_ref().map_or("", |a| a.host.as_str());
        let named = service_host::in_cluster(snap, host, &failing.at.namespace);
        let service = named.and_then(|s| snap.services.find(&s.namespace, &s.service).ok().flatten());
        let service = service.or_else(|| snap.service_by_host(host));
        let mut case = Self { snap, failing, service, pod: snap.pod_by_ip(host), address, refused: None };
        if matches!(failing.failure, SendFailure::Status { code: 400, .. }) {
            let mut behind = alertmanager_pods(snap).into_iter().map(|(p, _)| p).filter(|p| case.is_behind(p));
            case.refused = behind.find_map(|p| Some((p, refused_alerts::by(snap, p)?)));
        }
        case
    }

    pub(super) fn host(&self) -> &str {
        self.address.as_ref().map_or("", |a| a.host.as_str())
    }

    /// `host:port`.
    pub(super) fn at(&self) -> String {
        self.address.as_ref().map_or_else(|| redact(&self.failing.url), Address::host_port)
    }

    pub(super) fn why(&self) -> String {
        let at = self.at();
        let prefix = self.address.as_ref().map(|a| notifier::api_of(a).0.to_owned()).unwrap_or_default();
        if let Some((_, refused)) = &self.refused {
            let all = if refused.is_external == Some(true) { ", and each alert gets this external label" } else { "" };
            return format!("it refuses alerts (400): {}{all}", redact(&refused.said));
        }
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
            SendFailure::Status { code: code @ (404 | 405), .. } => match self.expected_prefix() {
                Some(own) if own == prefix => format!(
                    "it answers {code}, although Alertmanager's API lies under {}, which is asked: something else answers there",
                    shown(&own)
                ),
                Some(own) => {
                    format!("it answers {code}: its API lies under {}, and {} is asked", shown(own), shown(&prefix))
                }
                None => format!("it answers {code}: its API does not lie under the path prefix {}", shown(&prefix)),
            },
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
    pub(super) fn port_missing(&self) -> bool {
        self.service.is_some_and(|s| !s.spec.ports.is_empty() && !s.spec.ports.iter().any(|p| p.port == self.port()))
    }

    /// The prefix of Alertmanager's API by its arguments: `--web.route-prefix`, else the path of its external URL.
    pub(super) fn expected_prefix(&self) -> Option<String> {
        let (_, container) = alertmanager_pods(self.snap).into_iter().find(|(p, _)| self.is_behind(p))?;
        own_address::prefix(container)
    }

    /// The prefix that is asked is the one that Alertmanager serves: what answers is another program.
    pub(super) fn is_another(&self) -> bool {
        let asked = self.address.as_ref().map(|a| notifier::api_of(a).0);
        asked.is_some_and(|asked| self.expected_prefix().as_deref() == Some(asked))
    }

    /// The address is that of the pod, or of a Service that selects it.
    fn is_behind(&self, pod: &Pod) -> bool {
        let meta = &pod.metadata;
        match (self.pod, self.service) {
            (Some(own), _) => (&own.metadata.namespace, &own.metadata.name) == (&meta.namespace, &meta.name),
            (None, Some(service)) => self
                .snap
                .pods_of_service(service)
                .any(|p| (&p.metadata.namespace, &p.metadata.name) == (&meta.namespace, &meta.name)),
            (None, None) => false,
        }
    }

    /// An address that is written down and that no pod and no Service of the cluster has.
    pub(super) fn is_stale(&self) -> bool {
        let is_address = self.host().parse::<IpAddr>().is_ok();
        is_address
            && self.pod.is_none()
            && self.service.is_none()
            && self.snap.pods.is_whole()
            && finding::alertmanager_service(self.snap).is_some()
    }

    /// The Service, the pods, and the policies that may keep them apart.
    pub(super) fn depends_on(&self, finding: Finding) -> Finding {
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
