//! Which way out each reason has.

use serde_json::json;

use super::fix::{Change, Service, Way};
use super::{Case, amp, words};
use crate::domain::kubernetes::owner::Target;
use crate::domain::kubernetes::{ingress, service_host};
use crate::domain::prometheus::remote_write::answer::{Cause, Receiver};
use crate::domain::text::redact::redact;
use crate::domain::text::send_error::SendFailure;
use crate::model::ResourceRef;
use crate::snapshot::kubernetes;

impl Case<'_> {
    /// The URL without what is secret in it.
    pub(super) fn shown_url(&self) -> String {
        // An agent's log may name none.
        let unknown = self.address.is_none() && self.failing.by != "Prometheus";
        if unknown { "<url>".to_owned() } else { redact(&self.failing.url) }
    }

    fn service(&self) -> Service {
        let host = self.address.as_ref().map_or("", |a| a.host.as_str());
        let found = service_host::in_cluster(self.snap, host, &self.failing.at.namespace);
        let (service, service_namespace) = found.map(|s| (s.service, s.namespace)).unzip();
        Service { service, service_namespace }
    }

    /// The Service of this cluster that it is to reach through a load balancer.
    pub(super) fn round_about(&self) -> Option<&kubernetes::Service> {
        ingress::behind_balancer(self.snap, &self.address.as_ref()?.host)
    }

    /// How it is asked from within the cluster.
    fn inside(&self) -> Option<String> {
        // A certificate is mostly the load balancer's.
        let address = self.address.as_ref().filter(|a| a.scheme == "http")?;
        let service = self.round_about().filter(|s| !ingress::routes_by_host(self.snap, s))?;
        let meta = &service.metadata;
        let path = redact(&address.path);
        Some(format!("{}://{}.{}.svc:{}{path}", address.scheme, meta.name, meta.namespace, address.port))
    }

    pub(super) fn way(&self) -> Way {
        if let Some(way) = amp::way(self) {
            return way;
        }
        let (url, pod) = (self.shown_url(), self.failing.at.pod.clone());
        let (receiver, detail) = (self.receiver.words().to_owned(), words::detail(self));
        let change = || Change::of(self, false);
        match &self.reason {
            Cause::Tenant => Way::Tenant { url, receiver, change: change() },
            Cause::Credential | Cause::Denied { .. } | Cause::Unsigned | Cause::Signature => {
                Way::Credential { receiver, detail, of_receiver: self.of_receiver(), change: change() }
            }
            Cause::NoAwsCredentials => amp::no_role(self),
            Cause::Path => {
                let path = self.receiver.path().unwrap_or("<path>").to_owned();
                Way::Path { url, receiver, path, change: change() }
            }
            Cause::ReceiverOff => self.receiver_off(),
            Cause::OutOfOrder | Cause::TooOld | Cause::Duplicate => self.out_of_order(receiver, detail),
            Cause::Future => Way::Future { receiver, detail },
            Cause::Protocol => Way::Protocol { url, receiver, detail, change: change() },
            Cause::RateLimit => Way::Rate { url, receiver, detail, pod, change: change() },
            Cause::SeriesLimit => Way::Series { receiver, detail, pod },
            Cause::Labels => Way::Labels { url, receiver, detail, change: change() },
            Cause::Names => Way::Names { url, receiver, detail, change: change() },
            Cause::Scheme => self.scheme_way(change()),
            Cause::TooLarge => Way::TooLarge { url, by_proxy: self.is_answered_by_proxy(), change: change() },
            Cause::Server(_) | Cause::Refused(_) => Way::Server { detail, service: self.service() },
            Cause::Transport => self.transport_way(url, pod, receiver, detail),
        }
    }

    /// Who writes what the receiver has already: a Grafana Agent that was left beside the Alloy that took its place is to go.
    fn out_of_order(&self, receiver: String, detail: String) -> Way {
        const OLD: &str = "Grafana Agent";
        let own = self.pod.map(|p| (self.snap.owner_ref(p), self.failing.by));
        let mut all: Vec<(ResourceRef, &str)> = self.others.iter().map(|o| (o.owner.clone(), o.by)).collect();
        let others: Vec<String> = all.iter().map(|(owner, _)| owner.kubectl_name()).collect();
        all.extend(own);
        let is_left = all.iter().any(|(_, by)| *by == "Alloy");
        let old = all.into_iter().find(|(_, by)| *by == OLD && is_left).map(|(owner, _)| owner);
        let (old_namespace, scales) = match &old {
            Some(ResourceRef::Kubernetes { kind, namespace, .. }) => {
                (namespace.clone(), matches!(kind.as_str(), "Deployment" | "StatefulSet"))
            }
            _ => (String::new(), false),
        };
        let old = old.map(|owner| owner.kubectl_name());
        Way::OutOfOrder { receiver, detail, others: others.join(", "), old, old_namespace, scales }
    }

    /// The Prometheus behind the Service that it writes to, where it was seen.
    fn receiver_off(&self) -> Way {
        let service = self.service();
        let found = service.service.as_deref().zip(service.service_namespace.as_deref());
        let found = found.and_then(|(name, namespace)| self.snap.services.find(namespace, name).ok().flatten());
        let pod = found.and_then(|s| self.snap.pods_of_service(s).next());
        let target = pod.map(|pod| Target::of(self.snap, pod));
        let patch = |on: bool| json!({"spec": {"enableRemoteWriteReceiver": on}}).to_string();
        let custom = target.as_ref().and_then(|t| t.custom);
        Way::ReceiverOff {
            resource: custom.map(|(kind, name)| format!("{kind}/{name}")),
            patch: patch(true),
            patch_back: patch(false),
            target: target.as_ref().filter(|t| t.custom.is_none() && t.in_place()).map(|t| t.name.clone()),
            managed_by: target.map(|t| t.managed_by).unwrap_or_default(),
            service,
        }
    }

    /// What a credential has to be there.
    fn of_receiver(&self) -> &'static str {
        match self.receiver {
            Receiver::GrafanaCloud => {
                "In Grafana Cloud the user name is the instance id of the stack's Prometheus (not of Loki, nor of the organisation), and the password a token of an access policy with scope metrics:write of that stack's region."
            }
            _ => "",
        }
    }

    /// The URL as it is written, and with a scheme.
    fn scheme_way(&self, change: Change) -> Way {
        let written = redact(&self.failing.url);
        // What comes first is taken for the scheme.
        let host = written.split(['/', ':']).next().unwrap_or_default();
        let within = service_host::in_cluster(self.snap, host, &self.failing.at.namespace).is_some();
        let scheme = if within { "http" } else { "https" };
        let meant = if written.contains("://") { "<url>".to_owned() } else { format!("{scheme}://{written}") };
        Way::Scheme { written, meant, change }
    }

    /// No answer came.
    fn transport_way(&self, url: String, pod: String, receiver: String, detail: String) -> Way {
        let change = || Change::of(self, false);
        match &self.failing.failure {
            SendFailure::NoSuchHost(_) => Way::Name {
                host: self.address.as_ref().map(|a| a.host.clone()).unwrap_or_default(),
                pod,
                service_namespace: self.service().service_namespace,
                change: change(),
            },
            SendFailure::UnknownAuthority
            | SendFailure::Tls
            | SendFailure::OtherName
            | SendFailure::Expired
            | SendFailure::ClientCertificate
            | SendFailure::PlainHttp => Way::Tls { url, detail, change: change() },
            SendFailure::Credentials => {
                Way::Credential { receiver, detail, of_receiver: self.of_receiver(), change: change() }
            }
            _ => Way::Unreachable {
                url,
                pod,
                proxy: self.configured.proxy.clone(),
                service_namespace: self.service().service_namespace,
                inside: self.inside().unwrap_or_default(),
            },
        }
    }
}
