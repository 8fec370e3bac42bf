//! The fix of a webhook that cannot be called: by who keeps it, and by what is wrong.

use serde::Serialize;

use super::{Group, WebhookBroken, is_installed, told_evidence};
use crate::checks::support::helm::set_release;
use crate::domain::aws::interface::Interfaces;
use crate::domain::kubernetes::chart::release_named;
use crate::domain::kubernetes::endpoints::Reason;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::releases::Release;
use crate::domain::kubernetes::webhook_call::{CallFault, FailedCall};
use crate::domain::kubernetes::webhooks::{self, Fault, Told};
use crate::model::{Finding, ResourceRef, Severity};
use crate::snapshot::kubernetes::{Meta, WebhookConfiguration};
use crate::snapshot::{Platform, Snapshot};

/// A change of one configuration: its kind and name as kubectl takes them, and a JSON patch.
#[derive(Debug, Serialize)]
struct Patch {
    kind: String,
    name: String,
    patch: String,
}

/// Chooses the fix and sets its values.
pub(super) fn set(snap: &Snapshot, group: &Group<'_>, release: Option<&Release>, made: Finding) -> Finding {
    let variant = variant(group, release);
    let service = group.hooks[0].service();
    let (namespace, name) = service.map_or(("", ""), |s| (s.namespace.as_str(), s.name.as_str()));
    let configurations = group.configurations();
    let of_kind = |kind: &str| -> Vec<String> {
        configurations.iter().filter(|c| c.kind_label() == kind).map(ResourceRef::name).collect()
    };
    let first = &group.hooks[0].configuration.metadata;
    let workload = workload(snap, group);
    let target_port = target_port(snap, group);
    let cluster = snap.eks_cluster().ok();
    let named = release.filter(|_| is_installed(release));
    // cert-manager fills in what the chart's hooks do elsewhere.
    let by_hooks = named.filter(|_| variant != "certificate" || !is_injected(first));
    let home = by_hooks.map(|r| release_named(snap, &r.name, r.namespace.as_deref().unwrap_or(namespace)));
    let mut made = made;
    set_release(&mut made.params, home.as_ref());
    made.fix(variant)
        .param("namespace", namespace)
        .param("service", name)
        .param("slice_selector", format!("kubernetes.io/service-name={name}"))
        .param("port", service.and_then(|s| s.port).unwrap_or(443))
        .param("validating", of_kind("ValidatingWebhookConfiguration"))
        .param("mutating", of_kind("MutatingWebhookConfiguration"))
        .param("ignore", policies(group, "Ignore"))
        .param("strict", policies(group, "Fail"))
        .param("managed_by", managed_by(first))
        .param("release", release.map(|r| r.name.as_str()).unwrap_or_default())
        .param("release_namespace", release.and_then(|r| r.namespace.as_deref()).unwrap_or(namespace))
        .param("installed", is_installed(release))
        .param("workload", workload.as_ref().map(ResourceRef::kubectl_name).unwrap_or_default())
        .param("injected", is_injected(first))
        .param("node_group", node_group(snap, group).unwrap_or_else(|| "<node-security-group>".into()))
        .param("target_port", target_port.map(|p| p.to_string()).unwrap_or_else(|| "<container-port>".into()))
        .param("is_eks", snap.platform == Platform::Eks)
        .param("cluster", snap.target.cluster.as_deref().unwrap_or("<cluster>"))
        .param("region", snap.target.region.as_deref().unwrap_or("<region>"))
        .param(
            "cluster_group",
            cluster.map_or("<cluster-security-group>", |c| c.resources_vpc_config.cluster_security_group_id.as_str()),
        )
        .param("ports", ports(&group.fault))
        .param("probe", snap.scope.stack.first().filter(|_| group.hooks.iter().any(super::guards_operator)))
}

/// The security group in front of the pods that serve it, where it is one.
fn node_group(snap: &Snapshot, group: &Group<'_>) -> Option<String> {
    let called = group.hooks[0].service()?;
    let service = snap.services.find(&called.namespace, &called.name).ok()??;
    let interface = Interfaces::new(snap).of_pod(snap.pods_of_service(service).next()?)?;
    interface.groups.first().map(|g| (*g).to_owned()).filter(|_| interface.groups.len() == 1)
}

/// cert-manager fills in the CA bundle.
fn is_injected(meta: &Meta) -> bool {
    meta.annotations.keys().any(|k| k.starts_with("cert-manager.io/inject-ca"))
}

/// Which section of the page.
fn variant(group: &Group<'_>, release: Option<&Release>) -> &'static str {
    let is_gone = release.is_some_and(Release::is_gone);
    let absent = matches!(group.fault, Fault::NoService | Fault::Told(CallFault::NoService));
    match &group.fault {
        _ if is_gone => "leftover",
        _ if absent && is_installed(release) => "service-lost",
        _ if absent => "service-unknown",
        Fault::NoEndpoints(_, Reason::ScaledToZero(_)) => "scaled-to-zero",
        Fault::NoEndpoints(..) | Fault::Told(CallFault::NoEndpoints | CallFault::Refused) => "no-endpoints",
        Fault::NoPort(..) | Fault::Told(CallFault::NoPort) => "port",
        Fault::NoBundle | Fault::BadBundle => "certificate",
        Fault::Told(fault) if fault.is_tls() => "certificate",
        Fault::Told(CallFault::Timeout) => "timeout",
        _ => "look",
    }
}

/// The workload that serves it.
fn workload(snap: &Snapshot, group: &Group<'_>) -> Option<ResourceRef> {
    if let Fault::NoEndpoints(_, reason) = &group.fault {
        return reason.owners(snap).into_iter().next();
    }
    let called = group.hooks[0].service()?;
    let service = snap.services.find(&called.namespace, &called.name).ok()??;
    snap.pods_of_service(service).next().map(|p| snap.owner_ref(p))
}

/// The container's port behind the one that is called.
fn target_port(snap: &Snapshot, group: &Group<'_>) -> Option<u64> {
    let called = group.hooks[0].service()?;
    let service = snap.services.find(&called.namespace, &called.name).ok()??;
    let port = service.spec.ports.iter().find(|p| p.port == called.port.unwrap_or(443))?;
    if let Some(number) = port.target_port.as_u64() {
        return Some(number);
    }
    let wanted = port.target_port.as_str()?;
    let pod = snap.pods_of_service(service).next()?;
    let mut ports = pod.spec.containers.iter().flat_map(|c| &c.ports);
    ports.find(|p| p.name.as_deref() == Some(wanted)).map(|p| u64::from(p.container_port))
}

fn ports(fault: &Fault<'_>) -> Vec<String> {
    match fault {
        Fault::NoPort(service, _) => service.spec.ports.iter().map(|p| p.port.to_string()).collect(),
        _ => Vec::new(),
    }
}

/// JSON patches that set the policy of every strict webhook of the group.
fn policies(group: &Group<'_>, policy: &str) -> Vec<Patch> {
    let mut all: Vec<(&WebhookConfiguration, Vec<serde_json::Value>)> = Vec::new();
    for hook in group.hooks.iter().filter(|h| h.webhook.blocks()) {
        let path = format!("/webhooks/{}/failurePolicy", hook.at);
        // The order of webhooks may have changed since: another one's policy must not be touched.
        let name = format!("/webhooks/{}/name", hook.at);
        let operations = [
            serde_json::json!({"op": "test", "path": name, "value": hook.webhook.name}),
            serde_json::json!({"op": "add", "path": path, "value": policy}),
        ];
        match all.iter_mut().find(|(c, _)| webhooks::reference(c) == hook.reference()) {
            Some((_, own)) => own.extend(operations),
            None => all.push((hook.configuration, operations.to_vec())),
        }
    }
    let patch = |(configuration, operations): (&WebhookConfiguration, Vec<serde_json::Value>)| Patch {
        kind: configuration.kind.to_ascii_lowercase(),
        name: configuration.metadata.name.clone(),
        patch: serde_json::Value::Array(operations).to_string(),
    };
    all.into_iter().map(patch).collect()
}

/// A webhook of which only the API server's words are known.
pub(super) fn unread(name: &str, calls: &[&(FailedCall, Told<'_>)]) -> Finding {
    let (call, _) = calls[0];
    let (namespace, service) = call.service.clone().unwrap_or_default();
    let subject = if service.is_empty() { webhooks::named(name) } else { ResourceRef::service(&namespace, &service) };
    let message = format!("the API server cannot call webhook {name} and refuses what it guards: {}", call.text);
    let mut made = Finding::new(WebhookBroken::META.id, Severity::Error, subject.clone(), message)
        .key(format!("webhook {name}"))
        .breaks(webhooks::named(name))
        .depends_on(subject)
        .fix("unread")
        .param("webhook", name)
        .param("namespace", &namespace)
        .param("service", &service)
        .param("probe", false)
        .param("slice_selector", format!("kubernetes.io/service-name={service}"));
    for (call, told) in calls.iter().take(3) {
        made = made.evidence(told_evidence(call, told));
    }
    made
}
