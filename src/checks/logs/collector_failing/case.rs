//! What the pods of one collector say of one exporter, and whom they mean.

use super::CollectorFailing;
use crate::checks::support::behind::depends_on_service;
use crate::checks::support::seen::log_evidence;
use crate::domain::kubernetes::mounts::Mounts;
use crate::domain::kubernetes::owner::keeper;
use crate::domain::kubernetes::service_host::{ServiceHost, asked};
use crate::domain::loki::store_log;
use crate::domain::prometheus::collector_log::{self, Cause, Failing, is_cloudwatch_agent};
use crate::domain::prometheus::targets::Address;
use crate::model::{Finding, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Pod, Service};

/// What the pods of one collector say of one exporter.
pub(super) struct Case<'a> {
    pub(super) snap: &'a Snapshot,
    all: &'a [Failing<'a>],
    pub(super) last: &'a Failing<'a>,
    pub(super) pod: &'a Pod,
    pub(super) container: &'a Container,
    /// ConfigMap and key with the configuration.
    pub(super) file: Option<(String, String)>,
    /// The file belongs to somebody.
    pub(super) file_managed_by: String,
    pub(super) target: Option<(String, Option<u16>)>,
}

impl<'a> Case<'a> {
    pub(super) fn new(snap: &'a Snapshot, all: &'a [Failing<'a>]) -> Option<Self> {
        let last = all.iter().max_by_key(|f| f.last)?;
        let pod = snap.pods.find(&last.log.namespace, &last.log.pod).ok().flatten()?;
        let container = pod.spec.containers.iter().find(|c| c.name == last.log.container)?;
        let files = Mounts::of_pod(snap, pod, container).files();
        let file = files.iter().find(|f| f.text.contains("exporters:"));
        let configured = file.and_then(|f| collector_log::configured(f.text, &last.component));
        Some(Self {
            snap,
            all,
            last,
            pod,
            container,
            target: configured.filter(|_| last.trouble != Cause::Allocator).or_else(|| address(last)),
            file: file.map(|f| (f.map.metadata.name.clone(), f.key.to_owned())),
            file_managed_by: file.map(|f| keeper(&f.map.metadata)).unwrap_or_default(),
        })
    }

    /// Without its fix.
    pub(super) fn finding(&self) -> Finding {
        let owner = self.snap.owner_ref(self.pod);
        let log = self.last.log;
        let times: usize = self.all.iter().map(|f| f.times).sum();
        let lost: u64 = self.all.iter().map(|f| f.lost).sum();
        let effect = match lost {
            0 => format!("({times} lines within 15 minutes)"),
            _ => format!("({lost} items were thrown away within an hour)"),
        };
        let is_agent = is_cloudwatch_agent(&self.container.image);
        let program = if is_agent { "CloudWatch agent" } else { "OpenTelemetry Collector" };
        let message = format!("{program} ({} in {}): {} {effect}", owner.kubectl_name(), log.namespace, self.what());
        let severity = match self.last.trouble {
            Cause::Rate | Cause::Full | Cause::Size | Cause::Refused | Cause::Scrape => Severity::Warning,
            _ => Severity::Error,
        };
        let made = Finding::new(CollectorFailing::META.id, severity, owner.clone(), message)
            .key(format!("{} {} {:?}", owner.key(), self.last.component, self.last.trouble))
            .evidence(log_evidence(&log.namespace, &log.pod, &log.container, false, &self.last.line))
            .breaks(owner.clone());
        self.depends_on(made)
    }

    /// `host:port`.
    pub(super) fn place(&self) -> String {
        match &self.target {
            Some((host, Some(port))) => format!("{host}:{port}"),
            Some((host, None)) => host.clone(),
            None => "its backend".to_owned(),
        }
    }

    pub(super) fn host(&self) -> String {
        self.target.as_ref().map_or_else(|| "<host>".to_owned(), |(host, _)| host.clone())
    }

    /// The Service that the address names, whether it is there or not.
    pub(super) fn named(&self) -> Option<ServiceHost> {
        asked(self.snap, &self.target.as_ref()?.0, &self.pod.metadata.namespace)
    }

    pub(super) fn service(&self) -> Option<&'a Service> {
        let named = self.named()?;
        self.snap.services.find(&named.namespace, &named.service).ok().flatten()
    }

    /// Where the socket of the container runtime is mounted into its container.
    pub(super) fn socket(&self) -> Option<&'a str> {
        let mut paths = self.container.volume_mounts.iter().map(|m| m.mount_path.as_str());
        paths.find(|p| {
            p.contains("containerd")
                || p.ends_with("dockershim.sock")
                || matches!(p.trim_end_matches('/'), "/run" | "/var/run")
        })
    }

    pub(super) fn account(&self) -> &'a str {
        self.pod.spec.account()
    }

    fn depends_on(&self, finding: Finding) -> Finding {
        if self.last.trouble == Cause::Denied {
            let account = ResourceRef::service_account(&self.pod.metadata.namespace, self.account());
            return finding.depends_on(account);
        }
        let of_backend = [
            Cause::Name,
            Cause::Unreached,
            Cause::Server,
            Cause::Rate,
            Cause::Full,
            Cause::Path,
            Cause::Queue,
            Cause::Allocator,
        ];
        // What Tempo says of its own limits is the deeper word.
        let is_limit = self.last.trouble == Cause::Refused && store_log::trace_limit(&self.last.error).is_some();
        let is_of_backend = is_limit || of_backend.contains(&self.last.trouble);
        let Some(named) = self.named().filter(|_| is_of_backend) else { return finding };
        depends_on_service(self.snap, finding, &named.namespace, &named.service)
    }
}

/// Who was asked: the URL says more than the DNS server beside it.
fn address(last: &Failing<'_>) -> Option<(String, Option<u16>)> {
    let of_url = || {
        let url = last.error.split(['"', '\\', ' ']).find(|w| w.contains("://"))?;
        Address::parse(url).map(|a| (a.host, Some(a.port)))
    };
    let asked = (last.trouble == Cause::Allocator).then(of_url).flatten();
    asked.or_else(|| collector_log::host(&last.error))
}
