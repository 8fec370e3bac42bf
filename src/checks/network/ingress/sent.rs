//! What a load balancer sends to pods does not fit them: it speaks another protocol than they do, or sends to instances, and
//! there are none.

use super::IngressBroken;
use super::fix::Fix;
use super::object::{Object, object_evidence};
use crate::domain::kubernetes::arguments::flag;
use crate::domain::kubernetes::image::base_of;
use crate::domain::kubernetes::ingress::{self, Served};
use crate::domain::kubernetes::{endpoints, service_port};
use crate::model::{Evidence, Finding, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{BackendService, Ingress, Node, Pod, Probe, Service};

/// The annotation that says in which protocol pods are asked.
const PROTOCOL: &str = "backend-protocol";

pub(super) fn findings(snap: &Snapshot) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    for one in ingress::of_stack(snap) {
        found.extend(mismatches(snap, one).iter().map(Mismatch::finding));
        found.extend(without_instances(snap, Object::Ingress(one)));
    }
    found.extend(ingress::balanced(snap).filter_map(|s| without_instances(snap, Object::Service(s))));
    found
}

/// A Service whose pods speak another protocol than they are asked in.
pub(super) struct Mismatch<'a> {
    one: &'a Ingress,
    pub(super) service: &'a Service,
    pod: &'a Pod,
    port: u16,
    speaks: &'static str,
    /// The annotation stands on the Service, where it goes before that of the Ingress.
    on_service: bool,
}

/// Those of an Ingress that gets an ALB.
pub(super) fn mismatches<'a>(snap: &'a Snapshot, one: &'a Ingress) -> Vec<Mismatch<'a>> {
    if !matches!(ingress::served(snap, one), Some(Served::Alb | Served::AutoMode)) {
        return Vec::new();
    }
    let named = ingress::backends(one).into_iter().filter_map(|b| b.service.as_ref());
    let mut found: Vec<Mismatch<'_>> = Vec::new();
    for backend in named {
        if let Some(made) = mismatch(snap, one, backend)
            && found.iter().all(|m| m.service.metadata.name != made.service.metadata.name)
        {
            found.push(made);
        }
    }
    found
}

fn mismatch<'a>(snap: &'a Snapshot, one: &'a Ingress, backend: &BackendService) -> Option<Mismatch<'a>> {
    let service = snap.services.find(&one.metadata.namespace, &backend.name).ok()??;
    let named = |p: &crate::snapshot::kubernetes::ServicePort| match backend.port.number {
        Some(number) => p.port == number,
        None => p.name == backend.port.name,
    };
    let led = service.spec.ports.iter().find(|p| named(p))?;
    let pod = snap.pods_of_service(service).find(|p| p.is_ready())?;
    let port = service_port::target(led, pod)?;
    let speaks = speaks(pod, port)?;
    let object = Object::Ingress(one);
    let own = service.metadata.annotations.get(&object.annotation(PROTOCOL)).map(String::as_str);
    let asked = own.or(object.annotated(PROTOCOL)).unwrap_or("HTTP");
    if asked.eq_ignore_ascii_case(speaks) || !matches!(asked, "HTTP" | "HTTPS") || is_well(snap, object, pod) {
        return None;
    }
    Some(Mismatch { one, service, pod, port, speaks, on_service: own.is_some() })
}

/// The protocol in which a ready pod answers at a port: that in which the kubelet asks there. Argo CD's server takes both at one.
fn speaks(pod: &Pod, port: u16) -> Option<&'static str> {
    if pod.spec.containers.iter().any(|c| base_of(&c.image).contains("argocd")) {
        return None;
    }
    let asks_there = |probe: &Option<Probe>, container| {
        let http = probe.as_ref()?.http_get.as_ref()?;
        let asked = endpoints::probe_port(container, &http.port).and_then(|p| u16::try_from(p).ok())?;
        (asked == port).then(|| http.scheme.clone())
    };
    let scheme = pod.spec.containers.iter().find_map(|c| asks_there(&c.readiness_probe, c))?;
    match scheme.as_deref() {
        Some("HTTPS") => Some("HTTPS"),
        None | Some("" | "HTTP") => Some("HTTP"),
        Some(_) => None,
    }
}

/// The load balancer gets the answers that it wants from this pod, or by its node, in the protocol in which it passes requests on.
fn is_well(snap: &Snapshot, object: Object<'_>, pod: &Pod) -> bool {
    let own: Vec<&str> = object.status().ingress.iter().filter_map(|a| a.hostname.as_deref()).collect();
    let balancers = snap.load_balancers.iter().flatten().filter(|b| own.contains(&b.dns_name.as_str()));
    let arns: Vec<&str> = balancers.map(|b| b.load_balancer_arn.as_str()).collect();
    let node = snap.node_of(pod).and_then(Node::instance_id);
    let leads_here = |id: &str| Some(id) == pod.status.pod_ip.as_deref() || Some(id) == node;
    snap.target_groups.iter().flatten().any(|group| {
        let is_of = group.load_balancer_arns.iter().any(|a| arns.contains(&a.as_str()));
        let is_same = !group.protocol.is_empty() && group.protocol == group.health_check_protocol;
        is_of
            && is_same
            && group.health.iter().flatten().any(|h| leads_here(&h.target.id) && h.target_health.state == "healthy")
    })
}

impl Mismatch<'_> {
    fn finding(&self) -> Finding {
        let Self { one, service, pod, port, speaks, on_service } = self;
        let object = Object::Ingress(one);
        let annotation = object.annotation(PROTOCOL);
        let (sends, answer) = if *speaks == "HTTP" { ("HTTPS", "502") } else { ("HTTP", "400") };
        let told = if *speaks == "HTTP" { format!(" ({annotation})") } else { String::new() };
        // What is meant for it, and written otherwise.
        let strange = one.metadata.annotations.keys().find(|k| is_strange(k, &annotation)).filter(|_| !on_service);
        let unread = strange.map(|k| format!("; annotation {k} is none that its controller reads")).unwrap_or_default();
        let message = format!(
            "{}: its load balancer asks the pods of Service {} in {sends}{told}, and they speak {speaks} on port {port}, in which their readiness probe asks them: requests are answered with {answer}{unread}",
            object.words(),
            service.metadata.name
        );
        let (target_kind, target_name) = match on_service {
            true => ("service", service.metadata.name.clone()),
            false => ("ingress", one.metadata.name.clone()),
        };
        let holder = if *on_service { Object::Service(service) } else { object };
        let fix = Fix::Protocol {
            of: holder.kept(object.common()),
            target_kind,
            target_name,
            annotation,
            protocol: speaks,
            strange: strange.map(|k| format!("{k}-")).unwrap_or_default(),
            pod: pod.metadata.name.clone(),
        };
        Finding::new(IngressBroken::META.id, Severity::Error, object.reference(), message)
            .key(object.key(&format!("protocol {}", service.metadata.name)))
            .fix(fix)
            .evidence(object_evidence(holder, "annotations", format!("pods are asked in {sends}")))
            .evidence(
                Evidence::new(
                    format!("Pod {}/{}, readiness probe", pod.metadata.namespace, pod.metadata.name),
                    format!("asks port {port} in {speaks}, and the pod is ready"),
                    "kubectl get pod {{ pod }} -n {{ namespace }} -o yaml",
                )
                .with("pod", &pod.metadata.name)
                .with("namespace", &pod.metadata.namespace),
            )
    }
}

/// The same annotation with something else before its name: misspelt, or one of another controller.
fn is_strange(key: &str, annotation: &str) -> bool {
    key != annotation && key.rsplit('/').next() == annotation.rsplit('/').next()
}

/// Targets are instances, and all nodes are of Fargate: nothing is ever registered.
fn without_instances(snap: &Snapshot, object: Object<'_>) -> Option<Finding> {
    let name = object.target_type();
    let services: Vec<&Service> = match object {
        Object::Ingress(one) => {
            let class =
                snap.ingress_classes.items().ok()?.iter().find(|c| Some(c.metadata.name.as_str()) == one.class());
            // Parameters of a class may say it for all of its Ingresses.
            let has_parameters = class.is_some_and(|c| !c.spec.parameters.is_empty());
            if ingress::served(snap, one) != Some(Served::Alb) || has_parameters {
                return None;
            }
            let named = ingress::backends(one).into_iter().filter_map(|b| b.service.as_ref());
            named.filter_map(|s| snap.services.find(&one.metadata.namespace, &s.name).ok().flatten()).collect()
        }
        Object::Service(service) => {
            let is_its = service.spec.load_balancer_class.as_deref() == Some("service.k8s.aws/nlb")
                || object.annotated("type") == Some("external");
            if !is_its {
                return None;
            }
            vec![service]
        }
    };
    let nodes = snap.nodes.items().ok()?;
    if nodes.is_empty() || !nodes.iter().all(|n| n.is_fargate()) || !ingress::has_address(object.status()) {
        return None;
    }
    let by_default =
        ingress::controller(snap)?.spec.template.spec.containers.iter().find_map(|c| flag(c, "default-target-type"));
    let type_of = |s: &Service| {
        let set = s.metadata.annotations.get(&name).or(object.meta().annotations.get(&name));
        set.map(String::as_str).or(by_default).unwrap_or("instance") == "instance"
    };
    let waits = |s: &&Service| type_of(s) && snap.pods_of_service(s).any(Pod::is_ready);
    let service = services.into_iter().find(waits)?;
    let message = format!(
        "{}: its load balancer sends to instances ({name} is instance unless it is told otherwise), and all nodes are of Fargate, which are none: no target is registered, and requests are answered with 503",
        object.words()
    );
    let on_service = service.metadata.annotations.contains_key(&name);
    let holder = if on_service { Object::Service(service) } else { object };
    Some(
        Finding::new(IngressBroken::META.id, Severity::Error, object.reference(), message)
            .key(object.key("instances"))
            .breaks(object.reference())
            .depends_on(ResourceRef::service(&service.metadata.namespace, &service.metadata.name))
            .fix(Fix::NodePort { of: holder.kept(holder.common()), annotation: name.clone(), fargate: true })
            .evidence(object_evidence(holder, "annotations", format!("no {name}=ip")))
            .evidence(Evidence::new("nodes of the cluster", "all of Fargate", "kubectl get nodes -o wide")),
    )
}
