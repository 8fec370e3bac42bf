//! Aggregated APIs: what serves each, and why it does not answer.

use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::endpoints;
use crate::domain::kubernetes::service_host::{self, ServiceHost};
use crate::model::ResourceRef;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{ApiService, Condition, ServiceReference};

/// The API of `kubectl top` and of autoscaling by CPU and memory.
pub(crate) const METRICS: &str = "v1beta1.metrics.k8s.io";
/// Seconds that a server has to come up.
const STARTING: i64 = 120;
/// Seconds in which the Service is made beside the APIService, of one installation.
const MADE_TOGETHER: i64 = 60;

/// Why an aggregated API does not answer.
#[derive(Debug, Clone)]
pub(crate) enum Cause<'a> {
    /// Its Service does not exist.
    NoService,
    /// Its Service does not have the port.
    NoPort,
    /// Nobody is ready behind its Service; why, where the pods could be read.
    NoEndpoints(Option<endpoints::Cause<'a>>),
    /// The API server gets no answer in time.
    Timeout,
    /// The address refuses connections.
    Refused,
    /// The certificate is not trusted.
    Certificate,
    /// It answers with an error.
    Status,
    /// Something else.
    Other,
}

/// An API that does not answer.
#[derive(Debug, Clone)]
pub(crate) struct Unavailable<'a> {
    /// The APIService.
    pub(crate) api: &'a ApiService,
    /// What serves it.
    pub(crate) service: &'a ServiceReference,
    /// Its condition.
    pub(crate) condition: &'a Condition,
    /// Why.
    pub(crate) fault: Cause<'a>,
}

impl Unavailable<'_> {
    /// What would explain it: the Service, its pods and their owner.
    pub(crate) fn depends_on(&self, snap: &Snapshot) -> Vec<ResourceRef> {
        let mut all = vec![ResourceRef::service(&self.service.namespace, &self.service.name)];
        if let Cause::NoEndpoints(Some(reason)) = &self.fault {
            all.extend(reason.pods().iter().map(|p| ResourceRef::pod(&p.metadata.namespace, &p.metadata.name)));
            all.extend(reason.owners(snap));
        }
        all
    }
}

/// The namespace of what serves an API is being deleted, or is gone: nobody will make its Service again.
pub(crate) fn left_behind(snap: &Snapshot, service: &ServiceReference) -> bool {
    match snap.namespaces.named(&service.namespace) {
        Ok(Some(namespace)) => namespace.is_terminating(),
        Ok(None) => true,
        Err(_) => false,
    }
}

/// The Service of the Prometheus that prometheus-adapter asks, where that serves an API.
pub(crate) fn prometheus_of(snap: &Snapshot, name: &str) -> Option<ServiceHost> {
    let api = snap.api_services.items().unwrap_or_default().iter().find(|a| a.metadata.name == name)?;
    let served = api.spec.service.as_ref()?;
    let service = snap.services.find(&served.namespace, &served.name).ok().flatten()?;
    let mut containers = snap.pods_of_service(service).flat_map(|p| &p.spec.containers);
    let url = containers.find_map(|c| arguments::flag(c, "prometheus-url"))?;
    service_host::in_cluster(snap, url::Url::parse(url).ok()?.host_str()?, &served.namespace)
}

/// An APIService as a resource.
pub(crate) fn reference(name: &str) -> ResourceRef {
    ResourceRef::kubernetes("apiregistration.k8s.io", "APIService", "", name)
}

/// The APIs of others than the API server itself that do not answer.
pub(crate) fn unavailable(snap: &Snapshot) -> Vec<Unavailable<'_>> {
    let all = snap.api_services.items().unwrap_or_default().iter();
    all.filter(|a| a.metadata.deletion_timestamp.is_none()).filter_map(|api| state(snap, api)).collect()
}

fn state<'a>(snap: &'a Snapshot, api: &'a ApiService) -> Option<Unavailable<'a>> {
    let service = api.spec.service.as_ref()?;
    let condition = api.available().filter(|c| c.status != "True")?;
    let fault = fault(snap, service, condition);
    // A Service that does not exist does not start either.
    let grace = if matches!(fault, Cause::NoService) { MADE_TOGETHER } else { STARTING };
    let since = condition.last_transition_time.map_or(grace, |t| snap.seconds_since(t));
    (since >= grace).then_some(Unavailable { api, service, condition, fault })
}

/// By the reason and the words of the condition.
fn fault<'a>(snap: &'a Snapshot, service: &ServiceReference, condition: &Condition) -> Cause<'a> {
    let message = condition.message.as_deref().unwrap_or_default();
    let has = |part: &str| message.contains(part);
    match condition.reason.as_deref().unwrap_or_default() {
        "ServiceNotFound" => Cause::NoService,
        "ServicePortError" => Cause::NoPort,
        "MissingEndpoints" | "EndpointsNotFound" => {
            let found = snap.services.find(&service.namespace, &service.name).ok().flatten();
            let found = found.filter(|_| snap.pods.covers(&service.namespace));
            Cause::NoEndpoints(found.and_then(|s| endpoints::Cause::of(snap, s)))
        }
        _ if has("x509") || has("tls:") => Cause::Certificate,
        _ if has("connection refused") => Cause::Refused,
        _ if has("deadline exceeded") || has("timeout") || has("Client.Timeout") || has("request canceled") => {
            Cause::Timeout
        }
        _ if has("no route to host") => Cause::Timeout,
        _ if has("bad status from") => Cause::Status,
        _ => Cause::Other,
    }
}

/// The APIService of a group and version as discovery names them: `metrics.k8s.io/v1beta1`.
pub(crate) fn of_group_version(text: &str) -> Option<ResourceRef> {
    let (group, version) = text.split_once('/')?;
    let is_version = version.starts_with('v') && version.chars().nth(1).is_some_and(|c| c.is_ascii_digit());
    (is_version && group.contains('.')).then(|| reference(&format!("{version}.{group}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::testing::snapshot;
    use crate::snapshot::Listing;

    #[test]
    fn a_service_that_does_not_exist_is_told_after_a_minute_and_one_that_starts_after_two() {
        let told = |reason: &str, since: &str| {
            let mut snap = snapshot(json!({}));
            let api = json!([{"metadata": {"name": "v1beta1.custom.metrics.k8s.io"}, "spec": {"group": "custom.metrics.k8s.io",
                "version": "v1beta1", "service": {"namespace": "monitoring", "name": "adapter"}}, "status": {"conditions": [
                {"type": "Available", "status": "False", "reason": reason, "lastTransitionTime": since}]}}]);
            snap.api_services = Listing::cluster(serde_json::from_value(api).expect("an APIService"));
            !unavailable(&snap).is_empty()
        };
        assert!(!told("ServiceNotFound", "2026-11-21T01:59:30Z"));
        assert!(told("ServiceNotFound", "2026-11-21T01:58:50Z"));
        assert!(!told("MissingEndpoints", "2026-11-21T01:58:50Z"));
        assert!(told("MissingEndpoints", "2026-11-21T01:57:50Z"));
    }
}
