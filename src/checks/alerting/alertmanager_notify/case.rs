//! What is known of a group of failed notifications.

use crate::domain::alertmanager::bridge;
use crate::domain::alertmanager::config::{Config, known_host};
use crate::domain::alertmanager::group::Group;
use crate::domain::alertmanager::notify_error::{self, Cause};
use crate::domain::alertmanager::pods::alertmanager_pods;
use crate::domain::aws::placement::Placement;
use crate::domain::kubernetes::host::{Place, is_public, place};
use crate::domain::kubernetes::network_policy::egress_policies;
use crate::domain::text::log_line::Line;
use crate::domain::text::redact::redact;
use crate::domain::text::shorten::shorten;
use crate::domain::traffic::flows;
use crate::model::{Finding, Program, ResourceRef};
use crate::snapshot::kubernetes::{Container, Pod};
use crate::snapshot::monitoring::ContainerLog;
use crate::snapshot::{Platform, Snapshot};

/// Longest part of what a receiver says itself that is quoted.
const QUOTED: usize = 240;

/// Everything about one group that its finding needs.
pub(super) struct Case<'a> {
    pub(super) snap: &'a Snapshot,
    pub(super) group: &'a Group,
    pub(super) pod: Option<&'a Pod>,
    pub(super) container: Option<&'a Container>,
    pub(super) config: Option<Config>,
    pub(super) host: Option<String>,
    pub(super) place: Option<Place>,
}

impl<'a> Case<'a> {
    pub(super) fn new(snap: &'a Snapshot, group: &'a Group) -> Self {
        let sample = &group.sample;
        let pods = snap.pods().unwrap_or_default();
        let pod = pods.iter().find(|p| p.metadata.name == sample.pod && p.metadata.namespace == sample.namespace);
        let container = pod.and_then(|p| p.spec.containers.iter().find(|c| c.program() == Some(Program::Alertmanager)));
        let config = Config::of(snap);
        let entry = config.as_ref().and_then(|c| c.integration(&sample.receiver, &sample.integration, sample.index));
        // A mail server's answer holds links that are not its own.
        let speaks = sample.integration != "email" || sample.cause.contains("lookup ");
        let host = notify_error::host(&sample.cause)
            .filter(|_| speaks)
            .or_else(|| config.as_ref()?.host(entry, &sample.integration))
            .or_else(|| {
                let file = Config::in_file(snap)?;
                let entry = file.integration(&sample.receiver, &sample.integration, sample.index)?;
                file.host(Some(entry), &sample.integration)
            })
            .or_else(|| known_host(&sample.integration));
        let dialled = notify_error::address(&sample.cause);
        let place = match (&host, dialled) {
            (Some(host), _) if place(snap, host, &sample.namespace) != Place::Public => {
                Some(place(snap, host, &sample.namespace))
            }
            // A public name that resolves to a private address does not need the internet.
            (_, Some(ip)) if !is_public(ip) => Some(place(snap, &ip.to_string(), &sample.namespace)),
            (Some(_), _) | (None, Some(_)) => Some(Place::Public),
            (None, None) => None,
        };
        Self { snap, group, pod, container, config, host, place }
    }

    fn entry(&self) -> Option<&serde_json::Value> {
        let sample = &self.group.sample;
        let config = self.config.as_ref()?;
        let named = config.integration(&sample.receiver, &sample.integration, sample.index);
        named.or_else(|| config.integration_to(self.host.as_deref().filter(|_| sample.receiver.is_empty())?))
    }

    /// The proxy that stands between Alertmanager and the receiver, where the connection itself fails.
    pub(super) fn suspect(&self) -> Option<&str> {
        let fails = matches!(self.group.reason, Cause::Timeout | Cause::Refused | Cause::NoRoute | Cause::Redirect);
        let proxy = self.config.as_ref()?.proxy(self.entry(), self.container)?;
        (fails && !matches!(self.place, Some(Place::Cluster(_)))).then_some(proxy)
    }

    /// Host of the proxy.
    pub(super) fn proxy_host(&self) -> Option<String> {
        let proxy = self.suspect()?;
        let url = if proxy.contains("://") { proxy.to_owned() } else { format!("http://{proxy}") };
        url::Url::parse(&url).ok()?.host_str().map(str::to_owned)
    }

    pub(super) fn setting(&self, name: &str, global: &str) -> Option<&str> {
        self.config.as_ref()?.setting(self.entry(), name, global)
    }

    /// It is sent by mail.
    pub(super) fn is_mail(&self) -> bool {
        self.group.sample.integration == "email"
    }

    /// `host:port` of the mail server.
    pub(super) fn smarthost(&self) -> String {
        let named = self.setting("smarthost", "smtp_smarthost").map(str::to_owned);
        named.unwrap_or_else(|| format!("{}:587", self.host.as_deref().unwrap_or("<smtp-host>")))
    }

    /// Mail to port 25 of a host outside, which AWS lets no instance reach unless AWS has lifted that for the account.
    pub(super) fn is_shut(&self) -> bool {
        let outside = matches!(self.place, Some(Place::Public) | None);
        self.group.reason == Cause::Timeout
            && self.snap.platform == Platform::Eks
            && outside
            && self.is_mail()
            && self.smarthost().ends_with(":25")
    }

    pub(super) fn receiver(&self) -> String {
        let sample = &self.group.sample;
        // Lines of old versions name no receiver.
        let by_host = || {
            let config = self.config.as_ref()?;
            config.receiver_to(self.host.as_deref()?).map(str::to_owned)
        };
        let named = Some(sample.receiver.clone()).filter(|n| !n.is_empty());
        let kind = || Some(sample.integration.clone()).filter(|n| !n.is_empty());
        named.or_else(by_host).or_else(kind).unwrap_or_else(|| "<receiver>".to_owned())
    }

    /// The receiver speaks to Slack, or to what takes its format.
    pub(super) fn is_slack(&self) -> bool {
        self.group.sample.integration == "slack"
    }

    /// Slack was meant, but another host was asked.
    pub(super) fn is_foreign(&self) -> bool {
        self.is_slack() && self.host.as_deref().is_some_and(|h| !h.ends_with("slack.com"))
    }

    pub(super) fn host_name(&self) -> &str {
        self.host.as_deref().unwrap_or("the receiver's host")
    }

    /// What a receiver in the cluster says itself, where it answers that it has failed.
    pub(super) fn bridge(&self) -> Option<(&ContainerLog, &str)> {
        match &self.place {
            Some(Place::Cluster(s)) if self.group.reason == Cause::Server => {
                bridge::complaint(self.snap, &s.namespace, &s.service)
            }
            _ => None,
        }
    }

    /// The same, as a quotation.
    pub(super) fn bridge_says(&self) -> Option<String> {
        let (_, line) = self.bridge()?;
        Some(shorten(&redact(&Line::parse(line).text()), QUOTED))
    }

    /// The way out of the subnets of all Alertmanager pods that say so, or the Service that is asked.
    pub(super) fn depends_on(&self, finding: Finding, at: &Placement<'_>) -> Finding {
        if let Some(host) = self.proxy_host() {
            return match place(self.snap, &host, &self.group.sample.namespace) {
                Place::Cluster(s) => finding.depends_on(ResourceRef::service(&s.namespace, &s.service)),
                _ => finding,
            };
        }
        let finding = match self.pod.filter(|_| matches!(self.group.reason, Cause::Timeout | Cause::Dns)) {
            Some(pod) => egress_policies(self.snap, pod).into_iter().fold(finding, Finding::depends_on),
            None => finding,
        };
        let finding = match (&self.group.reason, self.pod) {
            (Cause::Dns, pod) => {
                // Whom it asks may be another than the cluster's DNS.
                let way = pod.and_then(|p| flows::connection(&self.snap.owner_ref(p), &self.group.sample.cause));
                let finding = finding.depends_on(ResourceRef::service("kube-system", "kube-dns"));
                way.into_iter().fold(finding, Finding::depends_on)
            }
            _ => finding,
        };
        match &self.place {
            Some(Place::Cluster(service)) if self.group.reason.may_be_service() => {
                finding.depends_on(ResourceRef::service(&service.namespace, &service.service))
            }
            Some(Place::Public) | None if self.group.reason.may_be_egress() => {
                let pods = alertmanager_pods(self.snap).into_iter().map(|(pod, _)| pod);
                let said =
                    |p: &&Pod| self.group.pods.contains(&(p.metadata.namespace.clone(), p.metadata.name.clone()));
                let subnets = pods.filter(said).filter_map(|p| at.of_pod(p));
                subnets.fold(finding, |f, s| f.depends_on(ResourceRef::aws("ec2", "subnet", s)))
            }
            _ => finding,
        }
    }
}
