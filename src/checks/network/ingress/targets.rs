//! Targets of a load balancer that it sends nothing to, and why.

use super::IngressBroken;
use super::fix::Fix;
use super::object::{Object, object_evidence};
use super::sent;
use crate::checks::support::seen::log_evidence;
use crate::domain::aws::balancer::TargetCause;
use crate::domain::aws::firewall::{Firewall, Verdict};
use crate::domain::aws::interface::{Interface, Interfaces};
use crate::domain::aws::placement::Placement;
use crate::domain::kubernetes::ingress::{self, Served};
use crate::domain::kubernetes::network_policy::Protocol;
use crate::domain::kubernetes::{endpoints, index, service_port};
use crate::domain::text::log_line::Line;
use crate::model::{Evidence, Finding, Placeholder, Program, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::aws::{TargetGroup, TargetHealth};
use crate::snapshot::kubernetes::{Pod, Service};

/// The annotation that sets the path of a health check, without its prefix.
const PATH: &str = "healthcheck-path";

/// Lines of a log from which on a load balancer asks again and again.
const OFTEN: usize = 3;

pub(super) fn findings(snap: &Snapshot) -> Vec<Finding> {
    match snap.target_groups() {
        Ok(groups) => groups.iter().filter_map(|group| unhealthy(snap, group)).collect(),
        Err(_) => ingress::of_stack(snap).filter_map(|i| redirected(snap, Object::Ingress(i))).collect(),
    }
}

/// The object whose load balancer a target group belongs to.
fn object_of<'a>(snap: &'a Snapshot, group: &TargetGroup) -> Option<Object<'a>> {
    let balancers = snap.load_balancers().map(Vec::as_slice).unwrap_or_default();
    let own = balancers.iter().filter(|b| group.load_balancer_arns.contains(&b.load_balancer_arn));
    let names: Vec<String> = own.map(|b| b.dns_name.to_ascii_lowercase()).collect();
    let has_name = |o: &Object<'_>| {
        let mut hosts = o.status().ingress.iter().filter_map(|a| a.hostname.as_deref());
        hosts.any(|h| names.contains(&h.to_ascii_lowercase()))
    };
    let all = ingress::of_stack(snap).map(Object::Ingress).chain(ingress::balanced(snap).map(Object::Service));
    all.into_iter().find(has_name)
}

/// The Service behind a target: of an address by its pod, of an instance by the node port.
fn service_of<'a>(
    snap: &'a Snapshot,
    object: Object<'a>,
    health: &TargetHealth,
) -> Option<(&'a Service, Option<&'a Pod>)> {
    let pod = snap.pod_by_ip(&health.target.id);
    let namespace = &object.meta().namespace;
    let candidates: Vec<&Service> = match object {
        Object::Service(service) => vec![service],
        Object::Ingress(one) => {
            let names = ingress::backends(one).into_iter().filter_map(|b| b.service.as_ref());
            names.filter_map(|s| snap.services.find(namespace, &s.name).ok().flatten()).collect()
        }
    };
    let by_pod = |s: &&Service| pod.is_some_and(|p| index::selects(&s.spec.selector, &p.metadata.labels));
    let by_port =
        |s: &&Service| s.spec.ports.iter().any(|p| p.node_port.is_some() && p.node_port == health.target.port);
    let service = candidates.iter().find(|s| by_pod(s)).or_else(|| candidates.iter().find(|s| by_port(s)))?;
    Some((service, pod.or_else(|| snap.pods_of_service(service).next())))
}

fn unhealthy(snap: &Snapshot, group: &TargetGroup) -> Option<Finding> {
    let object = object_of(snap, group)?;
    let bad = group.health.iter().flatten().filter(|h| h.target_health.state == "unhealthy");
    let bad: Vec<&TargetHealth> = bad.collect();
    let all = group.health.iter().flatten().count();
    let first = *bad.first()?;
    let state = &first.target_health;
    let fault =
        TargetCause::of(state.reason.as_deref().unwrap_or_default(), state.description.as_deref().unwrap_or_default())?;
    let (service, pod) = service_of(snap, object, first)?;
    // What it speaks and the pod does not is told as such; where it gets no answer at all, that comes first.
    if let Object::Ingress(one) = object
        && !matches!(fault, TargetCause::Timeout)
        && sent::mismatches(snap, one).iter().any(|m| m.service.metadata.name == service.metadata.name)
    {
        return None;
    }
    let path = group.health_check_path.as_deref().unwrap_or("/");
    let wanted = group.matcher.as_ref().and_then(|m| m.http_code.as_deref()).unwrap_or("200");
    let port = health_port(group, first);
    let why = match &fault {
        TargetCause::Codes(codes) => {
            let answer = if codes.is_empty() { "another status" } else { codes };
            let set = match (of_service(object, service), object.annotated(PATH)) {
                (Some(own), Some(other)) if own == path && own != other => format!(
                    " (annotation {} of Service {} wins over the {other} that the Ingress has)",
                    object.annotation(PATH),
                    service.metadata.name
                ),
                _ => String::new(),
            };
            format!("its health check asks GET {path}{set} and wants {wanted}, and the answer is {answer}")
        }
        TargetCause::Timeout => format!("its health check of port {port} gets no answer"),
        TargetCause::Failed => {
            format!("its health check of port {port} gets no connection, or an answer that is no HTTP")
        }
    };
    let message = format!("{}: {}: {why}", object.words(), unhealthy_words(bad.len(), all, &group.target_group_name));
    let own = ResourceRef::aws("elasticloadbalancing", "targetgroup", &group.target_group_name);
    let told = [state.reason.as_deref(), state.description.as_deref()].into_iter().flatten();
    let mut made = Finding::new(IngressBroken::META.id, Severity::Error, object.reference(), message)
        .key(object.key(&format!("target {}", service.metadata.name)))
        .breaks(object.reference())
        .breaks(own)
        .fix(fix(snap, object, group, &fault, (service, pod), &port))
        .evidence(
            Evidence::new(
                format!("health of the targets of {}", group.target_group_name),
                told.collect::<Vec<_>>().join(": "),
                "aws elbv2 describe-target-health --target-group-arn {{ arn }}",
            )
            .with("arn", &group.target_group_arn),
        )
        .evidence(
            Evidence::new(
                format!("health check of {}", group.target_group_name),
                format!("{} {path} on port {port}, healthy on {wanted}", group.health_check_protocol),
                "aws elbv2 describe-target-groups --target-group-arns {{ arn }}",
            )
            .with("arn", &group.target_group_arn),
        );
    // A pod that is not ready says more of it.
    for pod in bad.iter().filter_map(|h| snap.pod_by_ip(&h.target.id)).filter(|p| !p.is_ready()) {
        made = made.depends_on(ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name));
    }
    if fault == TargetCause::Timeout {
        let balancers = snap.load_balancers().map(Vec::as_slice).unwrap_or_default().iter();
        let own = balancers.filter(|b| group.load_balancer_arns.contains(&b.load_balancer_arn));
        for id in own.flat_map(|b| &b.security_groups) {
            made = made.depends_on(ResourceRef::aws("ec2", "security-group", id));
        }
    }
    Some(made)
}

/// `2 of 3 targets of k8s-web are unhealthy`.
fn unhealthy_words(bad: usize, all: usize, group: &str) -> String {
    match (bad, all) {
        (_, 1) => format!("the only target of {group} is unhealthy"),
        (1, _) => format!("1 of {all} targets of {group} is unhealthy"),
        _ => format!("{bad} of {all} targets of {group} are unhealthy"),
    }
}

/// The port that the health check asks.
fn health_port(group: &TargetGroup, health: &TargetHealth) -> String {
    let own = health.target.port.or(group.port).map(|p| p.to_string()).unwrap_or_default();
    if matches!(group.health_check_port.as_str(), "" | "traffic-port") { own } else { group.health_check_port.clone() }
}

fn fix(
    snap: &Snapshot,
    object: Object<'_>,
    group: &TargetGroup,
    fault: &TargetCause,
    (service, pod): (&Service, Option<&Pod>),
    port: &str,
) -> Fix {
    let of = object.common().with_group(&group.target_group_arn);
    match fault {
        TargetCause::Codes(_) => health_path(object, (service, pod), &group.target_group_arn),
        TargetCause::Timeout => {
            let balancers = snap.load_balancers().map(Vec::as_slice).unwrap_or_default().iter();
            let own = balancers.filter(|b| group.load_balancer_arns.contains(&b.load_balancer_arn));
            let groups: Vec<String> = own.flat_map(|b| b.security_groups.clone()).collect();
            let node_group = Placeholder::new("node-security-group")
                .how("a group that the pod's node has")
                .candidates(pod.map(|p| node_groups(snap, p)).unwrap_or_default());
            let admitted = pod.is_some_and(|p| admitted(snap, &groups, p, port));
            Fix::TargetTimeout { of, groups, port: port.to_owned(), node_group, admitted }
        }
        TargetCause::Failed => {
            let pod = pod.map(|p| p.metadata.name.clone()).unwrap_or_default();
            Fix::TargetFailed { of, pod }
        }
    }
}

/// True if the security groups are known to let a load balancer through to a pod.
fn admitted(snap: &Snapshot, groups: &[String], pod: &Pod, port: &str) -> bool {
    let (Ok(firewall), Ok(port)) = (Firewall::of(snap), port.parse()) else { return false };
    let from = Interface {
        groups: groups.iter().map(String::as_str).collect(),
        addresses: Vec::new(),
        networks: Vec::new(),
        subnet: None,
        instance: None,
        control_plane: false,
    };
    let to = Interfaces::new(snap).of_pod(pod);
    to.is_some_and(|to| firewall.verdict(&from, &to, Protocol::Tcp, port) == Verdict::Passes)
}

/// The security groups of a pod's node.
fn node_groups(snap: &Snapshot, pod: &Pod) -> Vec<String> {
    let instance = snap.node_of(pod).and_then(|n| Placement::new(snap).instance(n));
    instance.map(|i| i.security_groups.iter().map(|g| g.group_id.clone()).collect()).unwrap_or_default()
}

/// The annotation that sets the path: on the Ingress, or on the Service where the Ingress leads to several or where the Service has
/// one already, which wins.
fn health_path(object: Object<'_>, (service, pod): (&Service, Option<&Pod>), arn: &str) -> Fix {
    let path = pod.and_then(|p| answering(p, service));
    let path = Placeholder::new("path").how("a path that answers 200 without a login").candidates(path);
    let several = matches!(object, Object::Ingress(one) if ingress::backends(one).len() > 1);
    let (kind, name) = match object {
        Object::Ingress(one) if !several && of_service(object, service).is_none() => {
            ("ingress", one.metadata.name.clone())
        }
        _ => ("service", service.metadata.name.clone()),
    };
    let kept = if kind == "ingress" { object } else { Object::Service(service) };
    let also = matches!(object, Object::Ingress(one) if kind == "service" && one.metadata.annotations.contains_key(&object.annotation(PATH)));
    Fix::HealthPath {
        of: kept.kept(object.common().with_group(arn)),
        also,
        target_kind: kind,
        target_name: name,
        annotation: object.annotation(PATH),
        path,
    }
}

/// The path that an annotation of the Service sets, which wins over that of the Ingress.
fn of_service<'a>(object: Object<'_>, service: &'a Service) -> Option<&'a str> {
    let is_ingress = matches!(object, Object::Ingress(_));
    service.metadata.annotations.get(&object.annotation(PATH)).map(String::as_str).filter(|_| is_ingress)
}

/// A path that says that a pod is well: what its own readiness probe asks, else what its program is known to have.
fn answering(pod: &Pod, service: &Service) -> Option<String> {
    let reached: Vec<u16> = service.spec.ports.iter().filter_map(|p| service_port::target(p, pod)).collect();
    let probe = pod.spec.containers.iter().find_map(|c| {
        let http = c.readiness_probe.as_ref()?.http_get.as_ref()?;
        let port = endpoints::probe_port(c, &http.port).and_then(|p| u16::try_from(p).ok())?;
        http.path.clone().filter(|_| reached.contains(&port))
    });
    let known = pod.spec.containers.iter().find_map(|c| match c.program()? {
        Program::Grafana => Some("/api/health".to_owned()),
        Program::Prometheus | Program::Alertmanager => Some("/-/healthy".to_owned()),
    });
    probe.or(known)
}

/// Where nobody could ask the load balancer: it asks `/` and wants 200, and Grafana's log shows that it gets 302.
fn redirected(snap: &Snapshot, object: Object<'_>) -> Option<Finding> {
    let Object::Ingress(one) = object else { return None };
    if !matches!(ingress::served(snap, one)?, Served::Alb | Served::AutoMode) {
        return None;
    }
    let backend = ingress::backends(one).into_iter().find_map(|b| b.service.as_ref())?;
    let service = snap.services.find(&one.metadata.namespace, &backend.name).ok()??;
    let set = |name: &str| {
        let on_service = service.metadata.annotations.get(&object.annotation(name)).map(String::as_str);
        on_service.or(object.annotated(name))
    };
    if set("healthcheck-path").is_some_and(|p| p != "/") || set("success-codes").is_some_and(|c| c != "200") {
        return None;
    }
    let pod = snap.pods_of_service(service).next()?;
    let logs = snap.component_logs.iter().flatten();
    let log = logs.into_iter().find(|l| l.program == Some(Program::Grafana) && l.is_of(&pod.metadata))?;
    let asked = |l: &&str| {
        let line = Line::parse(l);
        line.get("path") == "/" && line.get("status") == "302" && line.get("method") == "GET"
    };
    let lines: Vec<&str> = log.text.lines().filter(asked).collect();
    let line = lines.last().filter(|_| lines.len() >= OFTEN)?;
    let message = format!(
        "{}: the load balancer's health check asks GET / and wants 200, and Grafana answers it with 302: its targets count as unhealthy",
        object.words()
    );
    Some(
        Finding::new(IngressBroken::META.id, Severity::Warning, object.reference(), message)
            .key(object.key(&format!("target {}", service.metadata.name)))
            .fix(health_path(object, (service, Some(pod)), ""))
            .evidence(object_evidence(object, "annotations", "no healthcheck-path, and no success-codes".to_owned()))
            .evidence(log_evidence(&log.namespace, &log.pod, &log.container, false, line)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_targets_as_people_do() {
        assert_eq!(unhealthy_words(1, 1, "web"), "the only target of web is unhealthy");
        assert_eq!(unhealthy_words(1, 2, "web"), "1 of 2 targets of web is unhealthy");
        assert_eq!(unhealthy_words(2, 2, "web"), "2 of 2 targets of web are unhealthy");
    }
}
