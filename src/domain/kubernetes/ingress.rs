//! Ingresses and Services of type LoadBalancer: who serves them, where they lead, and what their controller says.

use crate::domain::kubernetes::image::Image;
use crate::domain::text::log_line::Line;
use crate::domain::text::windows::RECENT;
use crate::model::ResourceRef;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Backend, Ingress, IngressClass, LoadBalancerStatus, Meta, Pod, Service, Workload};
use crate::snapshot::monitoring::ContainerLog;

/// The `spec.controller` of IngressClasses that the AWS Load Balancer Controller serves.
const ALB: &str = "ingress.k8s.aws/alb";
/// The same of EKS Auto Mode, which runs outside of the cluster.
const AUTO_MODE: &str = "eks.amazonaws.com/alb";
/// The image of the AWS Load Balancer Controller.
const IMAGE: &str = "aws-load-balancer-controller";
/// Parts of the images of programs that route by host.
const ROUTERS: &[&str] =
    &["ingress", "traefik", "envoy", "contour", "haproxy", "kong", "proxyv2", "gateway", "emissary", "apisix"];
/// A backend that is an action in an annotation, and no Service.
const ACTION: &str = "use-annotation";

/// Who makes the load balancer of an Ingress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Served<'a> {
    /// The AWS Load Balancer Controller.
    Alb,
    /// EKS Auto Mode.
    AutoMode,
    /// Another controller, by its `spec.controller`; empty where only an annotation names the class.
    Other(&'a str),
    /// The class that it names does not exist.
    NoSuchClass(&'a str),
    /// It names no class, and none is the default.
    NoClass,
}

/// Who serves an Ingress; `None` where the classes could not be read.
pub(crate) fn served<'a>(snap: &'a Snapshot, ingress: &'a Ingress) -> Option<Served<'a>> {
    let classes = snap.ingress_classes.items().ok()?;
    let by_spec = ingress.spec.ingress_class_name.is_some();
    let class = match ingress.class() {
        Some(name) => match classes.iter().find(|c| c.metadata.name == name) {
            Some(class) => class,
            None if by_spec => return Some(Served::NoSuchClass(name)),
            // An annotation needs no object.
            None if name == "alb" => return Some(Served::Alb),
            None => return Some(Served::Other("")),
        },
        None => match classes.iter().find(|c| c.is_default()) {
            Some(class) => class,
            None => return Some(Served::NoClass),
        },
    };
    Some(of_controller(class))
}

fn of_controller(class: &IngressClass) -> Served<'_> {
    match class.spec.controller.as_str() {
        ALB => Served::Alb,
        AUTO_MODE => Served::AutoMode,
        other => Served::Other(other),
    }
}

/// An Ingress as a resource.
pub(crate) fn reference(meta: &Meta) -> ResourceRef {
    ResourceRef::kubernetes("networking.k8s.io", "Ingress", &meta.namespace, &meta.name)
}

/// The Services that an Ingress leads to, each once and in order.
pub(crate) fn backends(ingress: &Ingress) -> Vec<&Backend> {
    let paths = ingress.spec.rules.iter().filter_map(|r| r.http.as_ref()).flat_map(|h| &h.paths).map(|p| &p.backend);
    let mut all: Vec<&Backend> = Vec::new();
    for backend in ingress.spec.default_backend.iter().chain(paths) {
        let Some(service) = &backend.service else { continue };
        let is_action = service.port.name.as_deref() == Some(ACTION);
        let known = all.iter().filter_map(|b| b.service.as_ref()).any(|s| {
            s.name == service.name && s.port.name == service.port.name && s.port.number == service.port.number
        });
        if !is_action && !known {
            all.push(backend);
        }
    }
    all
}

/// The annotations that name certificates, of an Ingress and of a Service.
const CERTIFICATES: &[&str] =
    &["alb.ingress.kubernetes.io/certificate-arn", "service.beta.kubernetes.io/aws-load-balancer-ssl-cert"];

/// The ARNs of the certificates of ACM that an Ingress or a Service names.
pub(crate) fn certificates_of(meta: &Meta) -> impl Iterator<Item = &str> {
    let named = CERTIFICATES.iter().filter_map(|name| meta.annotations.get(*name));
    named.flat_map(|arns| arns.split(',')).map(str::trim).filter(|arn| arn.contains(":acm:"))
}

/// Those that the stack's load balancers are to show.
pub(crate) fn certificates(snap: &Snapshot) -> Vec<&str> {
    let ingresses = of_stack(snap).map(|i| &i.metadata);
    ingresses.chain(balanced(snap).map(|s| &s.metadata)).flat_map(certificates_of).collect()
}

/// Someone gave it an address.
pub(crate) fn has_address(status: &LoadBalancerStatus) -> bool {
    status.ingress.iter().any(|a| a.hostname.is_some() || a.ip.is_some())
}

/// The Deployment of the AWS Load Balancer Controller, among the namespaces that were read.
pub(crate) fn controller(snap: &Snapshot) -> Option<&Workload> {
    let is_it = |w: &&Workload| {
        let images = w.spec.template.spec.containers.iter().filter_map(|c| Image::parse(&c.image));
        images.into_iter().any(|i| i.base() == IMAGE)
    };
    snap.workloads.items().unwrap_or_default().iter().find(is_it)
}

/// The pods of the controller that are there.
pub(crate) fn controller_pods<'a>(snap: &'a Snapshot, controller: &Workload) -> Vec<&'a Pod> {
    snap.pods_of_workload(controller).filter(|p| p.metadata.deletion_timestamp.is_none()).collect()
}

/// What the controller says of an object that it does not manage to serve.
#[derive(Debug, Clone)]
pub(crate) enum Said<'a> {
    /// An event.
    Event(&'a crate::snapshot::kubernetes::Event),
    /// A line of its log, with the message.
    Log(&'a ContainerLog, &'a str, String),
}

impl Said<'_> {
    /// The message.
    pub(crate) fn message(&self) -> &str {
        match self {
            Self::Event(event) => &event.message,
            Self::Log(_, _, message) => message,
        }
    }
}

/// Reasons of events that say why a load balancer is not made or changed.
const FAILED: &[&str] = &["FailedBuildModel", "FailedDeployModel", "FailedAddFinalizer", "SyncLoadBalancerFailed"];
/// Reasons of events that say that it was.
const DONE: &[&str] = &["SuccessfullyReconciled", "EnsuredLoadBalancer"];

/// What is said last of an Ingress or a Service, if it is a failure.
pub(crate) fn refused<'a>(snap: &'a Snapshot, kind: &str, meta: &Meta) -> Option<Said<'a>> {
    let events = snap.events_about(kind, meta, RECENT);
    let last = events.iter().find(|e| FAILED.contains(&e.reason.as_str()) || DONE.contains(&e.reason.as_str()));
    match last {
        Some(event) if FAILED.contains(&event.reason.as_str()) => Some(Said::Event(event)),
        Some(_) => binding_refused(snap, kind, meta),
        None => logged(snap, |line| line.get("name") == meta.name && line.get("namespace") == meta.namespace)
            .or_else(|| binding_refused(snap, kind, meta)),
    }
}

/// What is said last of the registration of its targets, if it is a failure: the controller speaks of the
/// TargetGroupBinding then, whose name begins with those of the namespace and of the Service.
fn binding_refused<'a>(snap: &'a Snapshot, kind: &str, meta: &Meta) -> Option<Said<'a>> {
    let services: Vec<&str> = match kind {
        "Ingress" => {
            let ingress = snap.ingresses.find(&meta.namespace, &meta.name).ok().flatten()?;
            backends(ingress).into_iter().filter_map(|b| b.service.as_ref()).map(|s| s.name.as_str()).collect()
        }
        _ => vec![&meta.name],
    };
    let prefixes: Vec<String> = services.iter().map(|s| binding_prefix(&meta.namespace, s)).collect();
    let is_own = |name: &str| prefixes.iter().any(|p| name.starts_with(p.as_str()));
    let now = snap.collected_at.as_second();
    let events = snap.events.items().unwrap_or_default().iter().filter(|e| {
        let object = &e.involved_object;
        object.kind == "TargetGroupBinding"
            && object.namespace == meta.namespace
            && is_own(&object.name)
            && e.last_seen().is_some_and(|t| now - t.as_second() <= RECENT)
    });
    match events.max_by_key(|e| e.last_seen()) {
        Some(event) if event.kind == "Warning" => Some(Said::Event(event)),
        Some(_) => None,
        None => logged(snap, |line| is_own(line.get("name")) && line.get("namespace") == meta.namespace),
    }
}

/// What the names of the TargetGroupBindings of a Service begin with.
fn binding_prefix(namespace: &str, service: &str) -> String {
    let short = |name: &str| name.chars().filter(char::is_ascii_alphanumeric).take(8).collect::<String>();
    format!("k8s-{}-{}-", short(namespace), short(service))
}

/// The newest error of the controller's log that a line belongs to, of the last hour.
fn logged<'a>(snap: &'a Snapshot, belongs: impl Fn(&Line<'_>) -> bool) -> Option<Said<'a>> {
    let logs = snap.part_logs.iter().flatten().filter(|l| !l.previous && l.image.contains(IMAGE));
    for log in logs {
        for raw in log.text.lines().rev().filter(|l| l.contains("rror")) {
            let line = Line::parse(raw);
            if line.is_older(snap.collected_at, RECENT) || line.err.is_empty() || !belongs(&line) {
                continue;
            }
            return Some(Said::Log(log, raw, line.err));
        }
    }
    None
}

/// The Services of the stack that want a load balancer.
pub(crate) fn balanced(snap: &Snapshot) -> impl Iterator<Item = &Service> {
    let all = snap.services.items().unwrap_or_default().iter();
    all.filter(|s| s.spec.kind.as_deref() == Some("LoadBalancer") && snap.scope.is_stack(&s.metadata.namespace))
        .filter(|s| s.metadata.deletion_timestamp.is_none())
}

/// The Service of this cluster whose load balancer has a name or address.
pub(crate) fn behind_balancer<'a>(snap: &'a Snapshot, host: &str) -> Option<&'a Service> {
    let has = |s: &&Service| {
        let mut all = s.status.load_balancer.ingress.iter().flat_map(|a| [a.hostname.as_deref(), a.ip.as_deref()]);
        all.any(|h| h.is_some_and(|h| h.eq_ignore_ascii_case(host)))
    };
    snap.services.items().unwrap_or_default().iter().find(has)
}

/// Its pods choose where a request goes by the host of it, as controllers of Ingresses and gateways do: by another name one
/// gets nothing, or something else.
pub(crate) fn routes_by_host(snap: &Snapshot, service: &Service) -> bool {
    let addresses = |status: &LoadBalancerStatus| -> Vec<String> {
        status.ingress.iter().flat_map(|a| [a.hostname.clone(), a.ip.clone()]).flatten().collect()
    };
    let own = addresses(&service.status.load_balancer);
    let publishes = |i: &Ingress| addresses(&i.status.load_balancer).iter().any(|a| own.contains(a));
    let is_router = |image: &str| ROUTERS.iter().any(|part| image.contains(part));
    snap.ingresses.items().unwrap_or_default().iter().any(publishes)
        || snap.pods_of_service(service).flat_map(|p| &p.spec.containers).any(|c| is_router(&c.image))
}

/// Ingresses of the stack.
pub(crate) fn of_stack(snap: &Snapshot) -> impl Iterator<Item = &Ingress> {
    let all = snap.ingresses.items().unwrap_or_default().iter();
    all.filter(|i| snap.scope.is_stack(&i.metadata.namespace) && i.metadata.deletion_timestamp.is_none())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::testing::snapshot;
    use crate::snapshot::Listing;

    fn ingress(spec: serde_json::Value, annotations: serde_json::Value) -> Ingress {
        serde_json::from_value(json!({"metadata": {"name": "g", "namespace": "monitoring", "annotations": annotations},
            "spec": spec}))
        .expect("an Ingress")
    }

    #[test]
    fn what_publishes_its_address_for_ingresses_routes_by_host() {
        let mut snap = snapshot(json!({}));
        let balancer = json!({"loadBalancer": {"ingress": [{"hostname": "x.elb.amazonaws.com"}]}});
        let of = |status: serde_json::Value| -> Service {
            serde_json::from_value(json!({"metadata": {"name": "s", "namespace": "n"}, "status": status}))
                .expect("a Service")
        };
        assert!(!routes_by_host(&snap, &of(balancer.clone())));
        let mut published = ingress(json!({}), json!({}));
        published.status = serde_json::from_value(balancer.clone()).expect("a status");
        snap.ingresses = Listing::cluster(vec![published]);
        assert!(routes_by_host(&snap, &of(balancer)));
        assert!(!routes_by_host(&snap, &of(json!({}))));
    }

    #[test]
    fn a_class_by_annotation_needs_no_object() {
        let mut snap = snapshot(json!({}));
        snap.ingress_classes = Listing::cluster(Vec::new());
        let by_annotation = ingress(json!({}), json!({"kubernetes.io/ingress.class": "alb"}));
        assert_eq!(served(&snap, &by_annotation), Some(Served::Alb));
        assert_eq!(
            served(&snap, &ingress(json!({"ingressClassName": "alb"}), json!({}))),
            Some(Served::NoSuchClass("alb"))
        );
        assert_eq!(served(&snap, &ingress(json!({}), json!({}))), Some(Served::NoClass));
    }

    #[test]
    fn actions_are_no_backends() {
        let paths = json!({"rules": [{"http": {"paths": [
            {"path": "/", "backend": {"service": {"name": "ssl-redirect", "port": {"name": "use-annotation"}}}},
            {"path": "/", "backend": {"service": {"name": "grafana", "port": {"number": 80}}}},
            {"path": "/x", "backend": {"service": {"name": "grafana", "port": {"number": 80}}}}]}}]});
        assert_eq!(backends(&ingress(paths, json!({}))).len(), 1);
    }
}
