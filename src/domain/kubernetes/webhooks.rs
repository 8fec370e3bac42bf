//! Admission webhooks: what serves each, whether it can answer, and which calls of it are known to have failed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::domain::kubernetes::endpoints;
use crate::domain::kubernetes::gitops;
use crate::domain::kubernetes::image::base_of;
use crate::domain::kubernetes::label_selector;
use crate::domain::kubernetes::not_created;
use crate::domain::kubernetes::recovered;
use crate::domain::kubernetes::webhook_call::{self, CallCause, FailedCall};
use crate::model::ResourceRef;
use crate::snapshot::aws::Addon;
use crate::snapshot::kubernetes::{
    Event, GitOpsObject, Map, Meta, Pod, PodSpec, Service, ServiceReference, Webhook, WebhookConfiguration,
};
use crate::snapshot::{Snapshot, journal};

/// API group of webhook configurations.
pub(crate) const GROUP: &str = "admissionregistration.k8s.io";
/// Seconds for which an event tells of now.
const RECENT: i64 = 3600;
/// Seconds that a job or an operator has to fill in the CA bundle of a new configuration.
const FILLING_IN: i64 = 600;

/// What is wrong with what a webhook calls.
#[derive(Debug, Clone)]
pub(crate) enum Cause<'a> {
    /// The Service does not exist.
    NoService,
    /// The Service does not have the port that is called.
    NoPort(&'a Service, u16),
    /// Nobody is ready behind the Service.
    NoEndpoints(&'a Service, endpoints::Cause<'a>),
    /// No CA bundle, and none is being filled in.
    NoBundle,
    /// The CA bundle is no certificate.
    BadBundle,
    /// All is there; the API server says that calls fail.
    Told(CallCause),
}

/// One webhook of a configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hook<'a> {
    /// The configuration.
    pub(crate) configuration: &'a WebhookConfiguration,
    /// Its place in `webhooks`.
    pub(crate) at: usize,
    /// The webhook.
    pub(crate) webhook: &'a Webhook,
}

impl<'a> Hook<'a> {
    /// The configuration as a resource.
    pub(crate) fn reference(&self) -> ResourceRef {
        reference(self.configuration)
    }

    /// The Service that is called; none where it is a URL.
    pub(crate) fn service(&self) -> Option<&'a ServiceReference> {
        self.webhook.client_config.service.as_ref()
    }

    /// What is wrong with what it calls, as far as objects say it.
    pub(crate) fn fault(&self, snap: &'a Snapshot) -> Option<Cause<'a>> {
        let called = self.service()?;
        let Ok(found) = snap.services.find(&called.namespace, &called.name) else { return None };
        let Some(service) = found else { return Some(Cause::NoService) };
        let port = called.port.unwrap_or(443);
        if service.spec.kind.as_deref() != Some("ExternalName") && service.spec.ports.iter().all(|p| p.port != port) {
            return Some(Cause::NoPort(service, port));
        }
        if !service.spec.selector.is_empty()
            && snap.pods.covers(&called.namespace)
            && matches!(snap.endpoints_of(service), Some((0, _)))
            && let Some(reason) = endpoints::Cause::of(snap, service)
        {
            return Some(Cause::NoEndpoints(service, reason));
        }
        self.bundle_fault(snap)
    }

    /// Nobody has filled its CA bundle in.
    fn lacks_bundle(&self, snap: &Snapshot) -> bool {
        matches!(self.bundle_fault(snap), Some(Cause::NoBundle | Cause::BadBundle))
    }

    /// An empty bundle stands for the system's own authorities, which sign no name of a Service.
    fn bundle_fault(&self, snap: &Snapshot) -> Option<Cause<'a>> {
        let bundle = self.webhook.client_config.ca_bundle.as_deref().unwrap_or_default();
        if bundle.is_empty() {
            let is_new = snap.age_seconds(&self.configuration.metadata) < FILLING_IN;
            return (!is_new).then_some(Cause::NoBundle);
        }
        // Recordings may leave out what the bundle holds; only text that cannot be PEM is a fault.
        let decoded = STANDARD.decode(bundle.trim()).ok()?;
        let is_pem = String::from_utf8(decoded).is_ok_and(|text| text.contains("BEGIN CERTIFICATE"));
        (!is_pem).then_some(Cause::BadBundle)
    }

    /// It is asked about objects of these labels' namespace.
    pub(crate) fn admits_namespace(&self, labels: &Map) -> bool {
        self.webhook.namespace_selector.as_ref().is_none_or(|s| label_selector::selects(s, labels))
    }

    /// It is asked about a resource of a group: `("", "pods")`.
    pub(crate) fn is_asked_about(&self, group: &str, resource: &str) -> bool {
        let has = |list: &[String], wanted: &str| list.iter().any(|l| l == "*" || l == "*/*" || l == wanted);
        self.webhook.rules.iter().any(|r| has(&r.api_groups, group) && has(&r.resources, resource))
    }
}

/// A configuration as a resource.
pub(crate) fn reference(configuration: &WebhookConfiguration) -> ResourceRef {
    ResourceRef::kubernetes(GROUP, &configuration.kind, "", &configuration.metadata.name)
}

/// All webhooks of all configurations.
pub(crate) fn all(snap: &Snapshot) -> impl Iterator<Item = Hook<'_>> {
    let configurations = snap.webhooks.items().unwrap_or_default().iter();
    let staying = configurations.filter(|c| c.metadata.deletion_timestamp.is_none());
    staying.flat_map(|configuration| {
        let hooks = configuration.webhooks.iter().enumerate();
        hooks.map(move |(at, webhook)| Hook { configuration, at, webhook })
    })
}

/// Where a failed call was told.
#[derive(Debug, Clone)]
pub(crate) enum Told<'a> {
    /// An event.
    Event(&'a Event),
    /// A condition of a workload: `ReplicaFailure`.
    Condition(ResourceRef),
    /// A record of kubectl's or Helm's output: file and line.
    Record(&'a str, usize),
    /// A condition of a Namespace that is being deleted.
    Namespace(&'a str),
    /// The log of a container: namespace, pod, container.
    Log(&'a str, &'a str, &'a str),
    /// The health of an EKS add-on.
    Addon(&'a Addon),
    /// What Argo CD or Flux keeps of its last try.
    Sync(&'a GitOpsObject),
}

/// Every failed call that was told, the newest of a kind first.
pub(crate) fn failed_calls(snap: &Snapshot) -> Vec<(FailedCall, Told<'_>)> {
    let mut found = Vec::new();
    let is_recent = |e: &&Event| e.is_within(RECENT, snap.collected_at);
    let events = snap.events.items().unwrap_or_default().iter().filter(is_recent);
    let told = events.filter_map(|e| Some((webhook_call::read(&e.message)?, e)));
    let mut told: Vec<_> = told.filter(|(_, event)| !recovered::is_done(snap, event)).collect();
    told.sort_by_key(|(_, event)| std::cmp::Reverse(event.last_seen()));
    found.extend(told.into_iter().map(|(call, event)| (call, Told::Event(event))));
    for workload in snap.workloads.items().unwrap_or_default() {
        let call = not_created::condition(workload).and_then(webhook_call::read);
        found.extend(call.map(|call| (call, Told::Condition(workload.reference()))));
    }
    for namespace in snap.namespaces.items().unwrap_or_default() {
        let failures = namespace.status.conditions.iter().filter(|c| c.status == "True");
        let calls = failures.filter_map(|c| webhook_call::read(c.message.as_deref()?));
        found.extend(calls.map(|call| (call, Told::Namespace(&namespace.metadata.name))));
    }
    found.extend(recorded_calls(snap));
    for log in snap.part_logs.as_ref().map(Vec::as_slice).unwrap_or_default().iter().filter(|l| !l.previous) {
        // The last one counts: what was mended since is not repeated.
        let call = log.text.lines().rev().take(200).find_map(webhook_call::read);
        found.extend(call.map(|call| (call, Told::Log(&log.namespace, &log.pod, &log.container))));
    }
    // What is tried again and again says how it is now.
    for failing in gitops::failing(snap).into_iter().filter(|f| f.is_of_now(snap, RECENT)) {
        found.extend(webhook_call::read(&failing.text).map(|call| (call, Told::Sync(failing.object))));
    }
    for addon in addons(snap) {
        let calls = addon.health.issues.iter().filter_map(|i| webhook_call::read(&i.message));
        found.extend(calls.map(|call| (call, Told::Addon(addon))));
    }
    found
}

/// Those that records of kubectl's or Helm's output tell of.
pub(crate) fn recorded_calls(snap: &Snapshot) -> impl Iterator<Item = (FailedCall, Told<'_>)> {
    snap.manifests.items().unwrap_or_default().iter().flat_map(|file| {
        let calls = file.errors.iter().filter_map(|e| Some((webhook_call::read(&e.message)?, e.line)));
        calls.map(|(call, line)| (call, Told::Record(&file.path, line)))
    })
}

/// The add-ons of EKS. They only add to what the cluster itself tells: where nobody may ask AWS anything, a webhook is judged
/// by the cluster.
fn addons(snap: &Snapshot) -> &[Addon] {
    let look = || snap.eks_addons.as_deref().unwrap_or_default();
    if journal::aside(|| snap.caller_identity.is_ok()) { look() } else { journal::aside(look) }
}

/// A webhook of which only the name is known.
pub(crate) fn named(webhook: &str) -> ResourceRef {
    ResourceRef::kubernetes(GROUP, "Webhook", "", webhook)
}

/// The configurations whose webhook a text says could not be called: what the failure that it tells of depends on. Where
/// they were not read, the webhook by its name.
pub(crate) fn blamed(snap: &Snapshot, text: &str) -> Vec<ResourceRef> {
    let Some(call) = webhook_call::read(text) else { return Vec::new() };
    let mut blamed: Vec<ResourceRef> = all(snap).filter(|h| is_called(h, &call)).map(|h| h.reference()).collect();
    blamed.dedup();
    if blamed.is_empty() {
        blamed.push(named(&call.webhook));
    }
    blamed
}

/// The call was one of this webhook.
pub(crate) fn is_called(hook: &Hook<'_>, call: &FailedCall) -> bool {
    let same_service = match (hook.service(), &call.service) {
        (Some(own), Some((namespace, name))) => own.namespace == *namespace && own.name == *name,
        _ => true,
    };
    hook.webhook.name == call.webhook && same_service
}

/// The annotation by which cert-manager's CA injector fills a bundle in begins so.
const INJECTED: &str = "cert-manager.io/inject-ca";
/// cert-manager's CA injector, by its image.
const INJECTOR: &str = "cert-manager-cainjector";

/// cert-manager fills in the CA bundle.
pub(crate) fn is_injected(meta: &Meta) -> bool {
    meta.annotations.keys().any(|k| k.starts_with(INJECTED))
}

/// Pods of cert-manager's CA injector.
pub(crate) fn injectors(snap: &Snapshot) -> impl Iterator<Item = &Pod> {
    let pods = snap.pods.items().unwrap_or_default().iter();
    pods.filter(|p| is_injector(&p.spec) && p.metadata.deletion_timestamp.is_none())
}

/// A pod of cert-manager's CA injector.
pub(crate) fn is_injector(spec: &PodSpec) -> bool {
    spec.containers.iter().any(|c| base_of(&c.image) == INJECTOR)
}

/// A pod that is not ready and on which requests of the API server wait, wherever it runs: it serves a strict webhook that
/// nobody else answers for, it belongs to the program that does (what makes the webhook's certificate), or it is to fill in
/// the CA bundle that a strict webhook lacks.
pub(crate) fn is_needed(snap: &Snapshot, pod: &Pod) -> bool {
    if pod.is_ready() || pod.is_finished() || pod.metadata.deletion_timestamp.is_some() {
        return false;
    }
    // It only widens the look.
    journal::aside(|| {
        let injects = is_injector(&pod.spec);
        all(snap).filter(|h| h.webhook.blocks()).any(|hook| {
            let Some(called) = hook.service() else { return false };
            if injects && is_injected(&hook.configuration.metadata) && hook.lacks_bundle(snap) {
                return true;
            }
            if called.namespace != pod.metadata.namespace {
                return false;
            }
            let Some(Cause::NoEndpoints(service, _)) = hook.fault(snap) else { return false };
            snap.pods_of_service(service).any(|p| p.metadata.name == pod.metadata.name || is_of_one_program(p, pod))
        })
    })
}

/// Other pods of the program that a pod belongs to, of other workloads than its own.
pub(crate) fn beside<'a>(snap: &'a Snapshot, pod: &'a Pod) -> impl Iterator<Item = &'a Pod> {
    let own = snap.owner_ref(pod);
    let pods = snap.pods.items().unwrap_or_default().iter();
    pods.filter(move |p| {
        p.metadata.namespace == pod.metadata.namespace && is_of_one_program(p, pod) && snap.owner_ref(p) != own
    })
}

/// Two pods of one namespace run one image. That they belong to one installation is not enough: a release can be a whole stack.
fn is_of_one_program(pod: &Pod, other: &Pod) -> bool {
    let image = |p: &Pod| p.spec.containers.first().map(|c| base_of(&c.image).to_owned());
    image(pod).is_some() && image(pod) == image(other)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::snapshot::Listing;

    fn of<T: serde::de::DeserializeOwned>(value: Value) -> Listing<T> {
        Listing::cluster(serde_json::from_value(value).expect("test data"))
    }

    fn pod(namespace: &str, name: &str, app: &str, image: &str, ready: &str) -> Value {
        json!({"metadata": {"namespace": namespace, "name": name, "labels": {"app": app}},
            "spec": {"containers": [{"name": "c", "image": image}]},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]}})
    }

    /// Whether each of three pods is needed: what serves the webhook, what makes its certificate, and a stranger.
    fn needed(policy: &str, ready: &str) -> Vec<bool> {
        let mut snap = Snapshot::empty("2026-11-21T03:00:00Z".parse().expect("a time"));
        let image = "ghcr.io/external-secrets/external-secrets:v0.14.3";
        let stranger = pod("secrets", "other", "other", "registry/other:1", "False");
        let all = json!([
            pod("secrets", "hook", "hook", image, ready),
            pod("secrets", "certs", "certs", image, "False"),
            stranger
        ]);
        snap.pods = of(all);
        snap.services = of(json!([{"metadata": {"namespace": "secrets", "name": "hook"},
            "spec": {"selector": {"app": "hook"}, "ports": [{"port": 443}]}}]));
        let target = json!({"kind": "Pod", "namespace": "secrets", "name": "hook"});
        snap.endpoint_slices = of(
            json!([{"metadata": {"namespace": "secrets", "name": "hook-1", "labels": {"kubernetes.io/service-name": "hook"}},
            "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": ready == "True"}, "targetRef": target}]}]),
        );
        snap.webhooks = of(json!([{"kind": "ValidatingWebhookConfiguration", "metadata": {"name": "w"},
            "webhooks": [{"name": "a.b.c", "failurePolicy": policy,
                "clientConfig": {"caBundle": "LS0t", "service": {"namespace": "secrets", "name": "hook"}}}]}]));
        snap.pods.items().expect("pods").iter().map(|p| is_needed(&snap, p)).collect()
    }

    #[test]
    fn pods_behind_a_strict_webhook_that_nobody_answers_for_are_needed() {
        assert_eq!(needed("Fail", "False"), [true, true, false]);
        assert_eq!(needed("Ignore", "False"), [false; 3], "what it guards passes");
        assert_eq!(needed("Fail", "True"), [false; 3], "somebody answers");
    }
}
