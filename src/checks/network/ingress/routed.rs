//! ingress-nginx does not let through what is asked or answered under a host of the stack, or does not wait for it.

use serde_json::json;

use super::IngressBroken;
use super::fix::{Fix, Routed};
use super::object::Object;
use crate::checks::support::seen::line_evidence;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::own_address::{declared, listens_on};
use crate::domain::kubernetes::{ingress, json_patch, service_port};
use crate::domain::traffic::router_log::{self, Cause, Failing};
use crate::model::{Finding, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::annotation::{NGINX_BODY, NGINX_BUFFER, NGINX_WAIT};
use crate::snapshot::kubernetes::{Container, Ingress, Meta, Pod, Service, ServicePort};

pub(super) fn findings(snap: &Snapshot) -> Vec<Finding> {
    router_log::failing(snap).into_iter().filter_map(|failing| of(snap, &failing)).collect()
}

/// The port of a Service by which an Ingress leads to a port of a pod, and its place in the Service's list.
fn led<'a>(
    snap: &'a Snapshot,
    ingress: &Ingress,
    pod: &Pod,
    port: u16,
) -> Option<(&'a Service, usize, &'a ServicePort)> {
    let named = ingress::backends(ingress).into_iter().filter_map(|b| b.service.as_ref());
    let mut all = named.filter_map(|s| snap.services.find(&ingress.metadata.namespace, &s.name).ok().flatten());
    all.find_map(|service| {
        let leads = |p: &ServicePort| service_port::target(p, pod) == Some(port);
        let (place, found) = service_port::tcp(service).find(|(_, p)| leads(p))?;
        snap.pods_of_service(service).any(|p| p.metadata.name == pod.metadata.name).then_some((service, place, found))
    })
}

/// One program is in the pod, and nobody beside it through whom requests are meant to go: past a proxy that asks for a login the
/// Service must not be led.
fn is_alone(pod: &Pod) -> bool {
    let helps = |c: &Container| ["reload", "sidecar"].iter().any(|w| c.image.contains(w) || c.name.contains(w));
    pod.spec.containers.iter().filter(|c| !helps(c)).count() == 1
}

/// The Service leads to a port of a ready pod at which nothing listens.
fn refused(snap: &Snapshot, failing: &Failing<'_>) -> Option<Finding> {
    let Failing { ingress, host, said, line, log, .. } = failing;
    let (pod, port) = failing.asked(snap)?;
    let (service, place, service_port) = led(snap, ingress, pod, port)?;
    let listens = listens_on(pod);
    // The kubelet asks there as well, and gets an answer.
    if listens == Some(port) {
        return None;
    }
    let declared = declared(pod);
    let only = if declared.len() == 1 && !declared.contains(&port) { declared.first().copied() } else { None };
    let right = listens.or(only).filter(|_| is_alone(pod));
    let object = Object::Ingress(ingress);
    let Meta { namespace, name, .. } = &service.metadata;
    let does = if listens.is_some() { "listens on" } else { "declares" };
    let elsewhere = right.map(|right| format!("; its pod {does} {right}")).unwrap_or_default();
    let message = format!(
        "{}: nginx answers {host} with 502: nothing listens on port {port}, to which port {} of Service {namespace}/{name} leads{elsewhere}, {} times in the last hour",
        object.words(),
        service_port.port,
        said.times
    );
    let target = format!("/spec/ports/{place}/targetPort");
    let patch = right.map(|right| {
        let set = json!({"op": "add", "path": target, "value": right});
        json_patch::text([json_patch::test(&format!("/spec/ports/{place}/port"), service_port.port), set])
    });
    let of = object.common().with_router(log);
    let fix = Fix::RouterRefused {
        of,
        service: name.clone(),
        owner: snap.owner_ref(pod).kubectl_name(),
        managed: managed_by(&service.metadata),
        patch,
    };
    Some(
        Finding::new(IngressBroken::META.id, Severity::Error, object.reference(), message)
            .key(object.key("refused"))
            .breaks_nothing()
            .depends_on(ResourceRef::service(namespace, name))
            .fix(fix)
            .evidence(line_evidence(log, line)),
    )
}

/// The option as it is set, or what holds without it.
fn told(option: &str, now: Option<&str>, usual: &str) -> String {
    now.map_or_else(|| format!("{usual} unless it is told otherwise"), |value| format!("{option} {value}"))
}

fn of(snap: &Snapshot, failing: &Failing<'_>) -> Option<Finding> {
    let Failing { trouble, ingress, host, said, line, log } = failing;
    let object = Object::Ingress(ingress);
    let set = |option: &str| ingress.metadata.annotations.get(option).map(|v| v.trim().to_owned());
    type Made = fn(Routed) -> Fix;
    let (key, made, option, value, answers): (_, Made, _, _, _) = match trouble {
        Cause::Header => {
            let now = set(NGINX_BUFFER);
            let because = format!(
                "502: the header of the answer (cookies, mostly those of a login) is longer than its buffer ({})",
                told("proxy-buffer-size", now.as_deref(), "4k")
            );
            let value = doubled(now.as_deref()).unwrap_or_else(|| "16k".to_owned());
            ("header", |of| Fix::RouterHeader { of }, NGINX_BUFFER, value, because)
        }
        Cause::Body => {
            let now = set(NGINX_BODY);
            let size = router_log::body(line);
            let of_size = size.map(|s| format!(" of {s} bytes")).unwrap_or_default();
            let because = format!(
                "413: a request{of_size} is larger than it lets through ({})",
                told("proxy-body-size", now.as_deref(), "1m")
            );
            let mebibytes = size.map_or(16, |s| s.saturating_mul(2).div_ceil(1 << 20));
            ("body", |of| Fix::RouterBody { of }, NGINX_BODY, format!("{mebibytes}m"), because)
        }
        Cause::Slow => {
            let now = set(NGINX_WAIT);
            let because = format!(
                "504: the answer takes longer than it waits ({})",
                told("proxy-read-timeout", now.as_deref(), "60 seconds")
            );
            let seconds = now
                .and_then(|v| v.trim_end_matches('s').parse::<u32>().ok())
                .map_or(300, |n| n.max(60).saturating_mul(2));
            ("slow", |of| Fix::RouterSlow { of }, NGINX_WAIT, seconds.to_string(), because)
        }
        Cause::Refused => return refused(snap, failing),
    };
    let message =
        format!("{}: nginx answers {host} with {answers}, {} times in the last hour", object.words(), said.times);
    let of = Routed { of: object.kept(object.common().with_router(log)), option, value };
    let finding = Finding::new(IngressBroken::META.id, Severity::Warning, object.reference(), message);
    Some(finding.key(object.key(key)).breaks_nothing().fix(made(of)).evidence(line_evidence(log, line)))
}

/// Twice a size as nginx writes it.
fn doubled(size: Option<&str>) -> Option<String> {
    let size = size?;
    let unit = size.find(|c: char| !c.is_ascii_digit()).unwrap_or(size.len());
    let (number, unit) = size.split_at(unit);
    Some(format!("{}{unit}", number.parse::<u64>().ok()?.checked_mul(2)?))
}
