//! What the objects themselves show: a class that is not there, Services and ports that do not exist, no controller.

use serde_json::json;

use super::IngressBroken;
use super::fix::Fix;
use super::object::{Controller, Object, object_evidence};
use crate::domain::aws::identity::Identity;
use crate::domain::kubernetes::ingress::{self, Served};
use crate::domain::text::windows::RECENT;
use crate::model::{Cause, Evidence, Finding, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{BackendService, Ingress, Service, Workload};
use crate::text::near::near_name;

/// Seconds that a load balancer takes to be made.
const MAKING: i64 = 600;

pub(super) fn findings(snap: &Snapshot) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    for one in ingress::of_stack(snap) {
        found.extend(class(snap, one));
        found.extend(ingress::backends(one).iter().filter_map(|b| backend(snap, one, b.service.as_ref()?)));
    }
    found.extend(controller_down(snap));
    found
}

/// Nobody serves the class that it names, or it names none and has no address.
fn class(snap: &Snapshot, one: &Ingress) -> Option<Finding> {
    // Someone serves it.
    if ingress::has_address(&one.status.load_balancer) || snap.age_seconds(&one.metadata) < MAKING {
        return None;
    }
    let object = Object::Ingress(one);
    let classes: Vec<&str> = snap.ingress_classes.items().ok()?.iter().map(|c| c.metadata.name.as_str()).collect();
    let there =
        if classes.is_empty() { "the cluster has none".to_owned() } else { format!("there is {}", classes.join(", ")) };
    let message = match ingress::served(snap, one)? {
        Served::NoSuchClass(name) => {
            format!("{} is served by nobody: its class {name} does not exist ({there})", object.words())
        }
        Served::NoClass => {
            format!("{} is served by nobody: it names no class, and none is the default ({there})", object.words())
        }
        _ => return None,
    };
    let class = if let [one] = classes.as_slice() { one } else { "<class>" };
    let patch = json!({"spec": {"ingressClassName": class}}).to_string();
    let shown = one.class().map_or_else(|| "none".to_owned(), str::to_owned);
    Some(
        Finding::new(IngressBroken::META.id, Severity::Error, object.reference(), message)
            .key(object.key("class"))
            .fix(Fix::Class { of: object.kept(object.common()), patch })
            .evidence(object_evidence(object, "class", shown))
            .evidence(Evidence::new("IngressClasses of the cluster", there, "kubectl get ingressclasses")),
    )
}

/// A Service or a port that it leads to and that does not exist.
fn backend(snap: &Snapshot, one: &Ingress, backend: &BackendService) -> Option<Finding> {
    let namespace = &one.metadata.namespace;
    let (message, service) = match snap.services.find(namespace, &backend.name).ok()? {
        None => {
            let all = snap.services.items().unwrap_or_default().iter();
            let here: Vec<&str> =
                all.filter(|s| s.metadata.namespace == *namespace).map(|s| s.metadata.name.as_str()).collect();
            let near = near_name(&backend.name, here).map(|n| format!("; {n} does")).unwrap_or_default();
            (format!("leads to Service {}, which does not exist in namespace {namespace}{near}", backend.name), None)
        }
        Some(service) => (format!("leads to {}", missing_port(service, backend)?), Some(service)),
    };
    let object = Object::Ingress(one);
    let shown = service.map_or_else(|| "no such Service".to_owned(), ports);
    let evidence = Evidence::new(
        format!("Service {namespace}/{}", backend.name),
        shown,
        "kubectl get services -n {{ namespace }}",
    )
    .with("namespace", namespace);
    Some(
        Finding::new(
            IngressBroken::META.id,
            Severity::Error,
            object.reference(),
            format!("{} {message}", object.words()),
        )
        .key(object.key(&format!("backend {}", backend.name)))
        .fix(Fix::Backend { of: object.kept(object.common()), service: backend.name.clone() })
        .evidence(evidence),
    )
}

/// The port of a Service that a backend names and the Service does not have.
fn missing_port(service: &Service, backend: &BackendService) -> Option<String> {
    // An ExternalName has no ports of its own.
    if service.spec.external_name.is_some() {
        return None;
    }
    let wanted = match (backend.port.number, backend.port.name.as_deref()) {
        (Some(number), _) if service.spec.ports.iter().all(|p| p.port != number) => format!("port {number}"),
        (None, Some(name)) if service.spec.ports.iter().all(|p| p.name.as_deref() != Some(name)) => {
            format!("port {name}")
        }
        _ => return None,
    };
    Some(format!("{wanted} of Service {}, which has {}", service.metadata.name, ports(service)))
}

fn ports(service: &Service) -> String {
    let one = |p: &crate::snapshot::kubernetes::ServicePort| match p.name.as_deref() {
        Some(name) => format!("{} ({name})", p.port),
        None => p.port.to_string(),
    };
    let all: Vec<String> = service.spec.ports.iter().map(one).collect();
    if all.is_empty() { "no port".to_owned() } else { format!("port {}", all.join(", ")) }
}

/// Objects of the stack that wait for the AWS Load Balancer Controller.
fn waiting(snap: &Snapshot) -> Vec<Object<'_>> {
    let open = |o: &Object<'_>| !ingress::has_address(o.status()) && snap.age_seconds(o.meta()) >= MAKING;
    let ingresses = ingress::of_stack(snap).filter(|i| ingress::served(snap, i) == Some(Served::Alb));
    let is_its = |s: &&Service| {
        let annotated = Object::Service(s).annotated("type");
        s.spec.load_balancer_class.as_deref() == Some("service.k8s.aws/nlb")
            || annotated.is_some_and(|t| matches!(t, "external" | "nlb-ip"))
    };
    let services = ingress::balanced(snap).filter(is_its);
    ingresses.map(Object::Ingress).chain(services.map(Object::Service)).filter(open).collect()
}

/// The controller does not run, or is not there at all.
fn controller_down(snap: &Snapshot) -> Vec<Finding> {
    let waiting = waiting(snap);
    if waiting.is_empty() || !snap.workloads.covers("kube-system") {
        return Vec::new();
    }
    match ingress::controller(snap) {
        Some(controller) => down(snap, controller, &waiting),
        None => absent(snap, &waiting),
    }
}

fn down(snap: &Snapshot, controller: &Workload, waiting: &[Object<'_>]) -> Vec<Finding> {
    let pods = ingress::controller_pods(snap, controller);
    if !snap.pods.covers(&controller.metadata.namespace) || pods.iter().any(|p| p.is_ready()) {
        return Vec::new();
    }
    let own = controller.reference();
    let why = match (controller.desired(), pods.len()) {
        (0, _) => "is scaled to 0".to_owned(),
        (_, 0) => "has no pod".to_owned(),
        (_, n) => format!("has no ready pod of {n}"),
    };
    let found = waiting.iter().map(|object| {
        let message = format!("{} has no address: {own}, which makes its load balancer, {why}", object.words());
        let about = format!("{own} {why}: nothing makes the load balancers that the stack asks for");
        let made = Finding::new(IngressBroken::META.id, Severity::Error, object.reference(), message)
            .key(object.key("controller"))
            .cause(Cause::resource(own.clone(), about))
            .breaks(object.reference())
            .breaks(own.clone())
            .fix(Fix::Controller {
                of: object.common(),
                by: Controller::of(controller),
                scaled_to_zero: controller.desired() == 0,
            })
            .evidence(
                Evidence::new(
                    format!("pods of {own}"),
                    why.clone(),
                    "kubectl get pods -n {{ namespace }} -l app.kubernetes.io/name=aws-load-balancer-controller -o wide",
                )
                .with("namespace", &controller.metadata.namespace),
            );
        pods.iter().fold(made, |made, p| made.depends_on(ResourceRef::pod(&p.metadata.namespace, &p.metadata.name)))
    });
    found.collect()
}

/// Of namespaces that were not read nobody knows: this is said only where no trace of it is seen.
fn absent(snap: &Snapshot, waiting: &[Object<'_>]) -> Vec<Finding> {
    let traces = |o: &Object<'_>| {
        !snap.events_about(o.kind(), o.meta(), RECENT).is_empty()
            || o.meta().finalizers.iter().any(|f| f.contains("k8s.aws"))
    };
    let found = waiting.iter().filter(|o| !traces(o)).map(|object| {
        let message = format!(
            "{} has no address, and no AWS Load Balancer Controller is seen that would make its load balancer",
            object.words()
        );
        let about = "no AWS Load Balancer Controller is seen: nothing makes the load balancers that the stack asks for";
        let vpc = snap.eks_cluster().map(|c| c.resources_vpc_config.vpc_id.clone()).unwrap_or_default();
        Finding::new(IngressBroken::META.id, Severity::Warning, object.reference(), message)
            .key(object.key("no-controller"))
            .cause(Cause::keyed("no controller", about))
            .fix(Fix::NoController {
                of: object.common(),
                cluster: Identity::of(snap).cluster.unwrap_or("<cluster-name>").to_owned(),
                region: Identity::of(snap).region.unwrap_or_default().to_owned(),
                vpc,
            })
            .evidence(object_evidence(*object, "status.loadBalancer", "no address".to_owned()))
            .evidence(Evidence::new(
                "Deployments of kube-system",
                "none runs the image aws-load-balancer-controller",
                "kubectl get deployments -A -l app.kubernetes.io/name=aws-load-balancer-controller",
            ))
    });
    found.collect()
}
