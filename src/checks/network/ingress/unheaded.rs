//! ingress-nginx waits for a header of the PROXY protocol that its load balancer does not send.

use super::IngressBroken;
use super::fix::Fix;
use super::object::Object;
use crate::checks::support::seen::line_evidence;
use crate::domain::kubernetes::arguments::flag;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::{index, ingress};
use crate::domain::traffic::router_log::{self, Unheaded};
use crate::model::{Evidence, Finding, Severity};
use crate::snapshot::kubernetes::{Ingress, Pod, Service};
use crate::snapshot::{Platform, Snapshot};

/// Annotations by which a load balancer is told to send it.
const SENDS: &[&str] = &["aws-load-balancer-proxy-protocol", "proxy_protocol_v2.enabled=true"];
/// As its chart calls the ConfigMap.
const CONFIG_MAP: &str = "ingress-nginx-controller";

pub(super) fn findings(snap: &Snapshot) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    for unheaded in router_log::unheaded(snap) {
        let made = of(snap, &unheaded);
        // Several pods of it say the same.
        found.extend(made.filter(|m| found.iter().all(|f| f.key != m.key)));
    }
    found
}

fn of(snap: &Snapshot, unheaded: &Unheaded<'_>) -> Option<Finding> {
    let Unheaded { said, line, log } = unheaded;
    let pod = snap.pod_of_log(log)?;
    let services = balanced(snap, pod)?;
    // Somebody else asks without it.
    if services.iter().any(|s| sends(s)) {
        return None;
    }
    // How others are told is not known here.
    let service = services.first().filter(|_| snap.platform == Platform::Eks);
    let mut own = ingress::of_stack(snap).filter(|i| router_log::serves(snap, i));
    let first: &Ingress = own.next()?;
    let object = Object::Ingress(first);
    let unable = service.is_some_and(|s| is_of_cloud(s));
    let by = service.map_or_else(
        || "whoever asks it sends none".to_owned(),
        |s| {
            let why = if unable {
                " (an NLB of the cloud provider, which does not heed aws-load-balancer-proxy-protocol)"
            } else {
                ""
            };
            format!("the load balancer of Service {}/{} sends none{why}", s.metadata.namespace, s.metadata.name)
        },
    );
    let message = format!(
        "{}: nginx waits for a header of the PROXY protocol (use-proxy-protocol), and {by}: requests are refused, {} times in the last hour",
        object.words(),
        said.times
    );
    let config_map = pod.spec.containers.iter().find_map(|c| flag(c, "configmap"));
    let config_map = config_map.and_then(|name| name.rsplit('/').next()).unwrap_or(CONFIG_MAP);
    let fix = Fix::ProxyProtocol {
        of: object.common().with_router(log),
        service: service.map(|s| s.metadata.name.clone()).unwrap_or_default(),
        unable,
        config_map: config_map.to_owned(),
        managed: service.map(|s| managed_by(&s.metadata)).unwrap_or_default(),
    };
    let made = Finding::new(IngressBroken::META.id, Severity::Error, object.reference(), message)
        .key(format!("unheaded {}", log.namespace))
        .fix(fix)
        .evidence(line_evidence(log, line));
    let made = own.fold(made, |made, i| made.also(ingress::reference(&i.metadata)));
    let evidence = service.map(|s| {
        Evidence::new(
            format!("Service {}/{}, annotations", s.metadata.namespace, s.metadata.name),
            if unable {
                "aws-load-balancer-type is nlb, and no loadBalancerClass is set: an NLB that is not the AWS Load Balancer Controller's"
            } else {
                "none has its load balancer send the PROXY protocol"
            },
            "kubectl get service {{ name }} -n {{ namespace }} -o yaml",
        )
        .with("name", &s.metadata.name)
        .with("namespace", &s.metadata.namespace)
    });
    Some(made.evidence_all(evidence))
}

/// The Services of type LoadBalancer that lead to a pod; `None` where those of its namespace were not read.
fn balanced<'a>(snap: &'a Snapshot, pod: &Pod) -> Option<Vec<&'a Service>> {
    let namespace = &pod.metadata.namespace;
    let all = snap.services.items().ok().filter(|_| snap.services.covers(namespace))?.iter();
    let own = all.filter(|s| s.metadata.namespace == *namespace && s.spec.kind.as_deref() == Some("LoadBalancer"));
    Some(own.filter(|s| index::selects(&s.spec.selector, &pod.metadata.labels)).collect())
}

/// An NLB that the cloud provider of Kubernetes makes: it knows the annotation for the header with a Classic Load Balancer alone,
/// and attributes of target groups since late versions.
fn is_of_cloud(service: &Service) -> bool {
    Object::Service(service).annotated("type") == Some("nlb") && service.spec.load_balancer_class.is_none()
}

fn sends(service: &Service) -> bool {
    if is_of_cloud(service) {
        return false;
    }
    service.metadata.annotations.iter().any(|(key, value)| SENDS.iter().any(|s| key.contains(s) || value.contains(s)))
}
