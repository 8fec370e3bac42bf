//! `kubectl port-forward` to a part of the stack drops, or cannot work.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use regex::Regex;
use serde_json::{Value, json};

use crate::checks::support::probes;
use crate::checks::{Check, check};
use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::forwarding::way_round;
use crate::domain::kubernetes::nodes::{KUBELET_PORT, not_ready};
use crate::domain::kubernetes::service_port::{self, is_headless, named, reached};
use crate::domain::text::windows::RECENT;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, Program, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Node, Pod, Service, ServicePort};
use crate::snapshot::probe::{Probe, Trial, Verdict};

check! {
    /// See the check's page.
    PortForward {
        id: "port-forward", suite: Network, severity: Warning,
        title: "kubectl port-forward to the stack drops or cannot work",
        requires: [Services, Pods, Nodes],
        uses: [Events, ComponentLogs, CrashLogs, Probes],
    }
}

/// A Service of the stack with its pods.
struct Part<'a> {
    service: &'a Service,
    pods: Vec<&'a Pod>,
    program: Program,
}

impl Check for PortForward {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.services()?;
        snap.pods()?;
        snap.nodes()?;
        let parts = parts(snap);
        if parts.is_empty() {
            return Ok(Diagnosis::NotApplicable("no Service of the stack leads to a pod".into()));
        }
        let mut findings: Vec<Finding> = parts.iter().flat_map(wrong_ports).collect();
        findings.extend(reported(snap, &parts));
        // A way that was tried and works is no wrong one; one that fails is seen, and not only concluded.
        findings.retain(|f| !tried(snap, f).any(|p| matches!(p.verdict, Verdict::Answered(_))));
        for finding in &mut findings {
            let seen: Vec<Evidence> =
                tried(snap, finding).filter(|p| p.verdict != Verdict::NotTried).map(probes::evidence).collect();
            finding.evidence.extend(seen);
        }
        findings.extend(unreachable_nodes(snap, &parts));
        findings.extend(restarted(snap, &parts));
        Ok(Diagnosis::Findings(findings))
    }
}

/// Port-forwards that were tried on the pod and the port that a finding calls wrong.
fn tried<'a>(snap: &'a Snapshot, finding: &Finding) -> impl Iterator<Item = &'a Probe> {
    let text = |name: &str| finding.params.values().get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (namespace, pod) = (text("namespace"), text("pod_name"));
    let wrong = finding.params.values().get("wrong_port").and_then(Value::as_u64);
    let all = snap.probes.items().unwrap_or_default().iter();
    all.filter(move |p| {
        let port = match p.trial {
            Trial::PortForward { port } => Some(u64::from(port)),
            _ => None,
        };
        p.namespace == namespace && p.pod == pod && port.is_some() && port == wrong
    })
}

fn parts(snap: &Snapshot) -> Vec<Part<'_>> {
    let services = snap.services.items().unwrap_or_default().iter();
    let of_stack = services.filter(|s| snap.scope.is_stack(&s.metadata.namespace));
    of_stack
        .filter_map(|service| {
            let pods: Vec<&Pod> = snap.pods_of_service(service).collect();
            let program = pods.first()?.spec.containers.iter().find_map(Container::program)?;
            Some(Part { service, pods, program })
        })
        .collect()
}

/// The port that people use on their own machine.
fn local_port(program: Program) -> u16 {
    match program {
        Program::Prometheus => 9090,
        Program::Alertmanager => 9093,
        Program::Grafana => 3000,
    }
}

/// Where a program is known to listen: by its flags or environment, or by a probe that succeeds.
fn listens_on(pod: &Pod) -> Option<u16> {
    let container = pod.spec.containers.iter().find(|c| c.program().is_some())?;
    let mut addresses = arguments::flags(container, "web.listen-address");
    let flag = addresses.find_map(|a| a.rsplit(':').next()?.parse().ok());
    let grafana = || {
        let port = container.env.iter().find(|e| e.name == "GF_SERVER_HTTP_PORT")?;
        port.value.as_deref()?.parse().ok()
    };
    let probe = || {
        let probe = container.readiness_probe.as_ref().filter(|_| pod.is_ready())?;
        let port = probe.http_get.as_ref().map(|h| &h.port).or(probe.tcp_socket.as_ref().map(|t| &t.port))?;
        match port {
            Value::Number(n) => n.as_u64().and_then(|n| u16::try_from(n).ok()),
            Value::String(name) => named(pod, name),
            _ => None,
        }
    };
    flag.or_else(grafana).or_else(probe)
}

fn declared(pod: &Pod) -> BTreeSet<u16> {
    pod.all_containers().flat_map(|c| &c.ports).map(|p| p.container_port).collect()
}

/// Ports of a Service that lead to where nothing listens.
fn wrong_ports(part: &Part<'_>) -> Vec<Finding> {
    let Some(pod) = part.pods.iter().find(|p| p.is_ready()) else { return Vec::new() };
    let ports = service_port::tcp(part.service);
    ports.filter_map(|(patch_at, port)| {
        let (namespace, name) = (&part.service.metadata.namespace, &part.service.metadata.name);
        let owner = format!("Service {namespace}/{name}");
        let message = match &port.target_port {
            // Past a headless Service nobody asks for the name.
            Value::String(wanted) if !is_headless(part.service) && part.pods.iter().all(|p| named(p, wanted).is_none()) => format!(
                "port {} of {owner} leads to a container port named {wanted}, which no container of its pods has: kubectl port-forward svc/{name} fails",
                port.port
            ),
            Value::Number(_) => {
                let (target, listens) = (reached(part.service, port.port, pod)?, listens_on(pod)?);
                // Ports need not be declared; side-cars have ports of their own.
                if target == listens || declared(pod).contains(&target) || pod.spec.containers.len() > 1 {
                    return None;
                }
                format!(
                    "port {} of {owner} leads to port {target} of its pods, where nothing listens; {} listens on {listens}",
                    port.port, pod.metadata.name
                )
            }
            _ => return None,
        };
        let right = listens_on(pod).or_else(|| declared(pod).first().copied());
        let patch = json!([{"op": "replace", "path": format!("/spec/ports/{patch_at}/targetPort"), "value": right}]);
        let subject = ResourceRef::service(namespace, name);
        let made = Finding::new(PortForward::META.id, Severity::Warning, subject.clone(), message)
            .evidence(ports_evidence(part, pod))
            .depends_on(subject)
            .key(format!("port/{}", port.port))
            .fix("target-port")
            .param("patch", patch.to_string())
            .param("wrong_port", reached(part.service, port.port, pod))
            .param("right", right);
        Some(commands(made, part, pod, Some(port)))
    })
    .collect()
}

fn ports_evidence(part: &Part<'_>, pod: &Pod) -> Evidence {
    let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    let ports = part.service.spec.ports.iter().map(|p| format!("{} → {}", p.port, text(&p.target_port)));
    let containers = pod.all_containers().flat_map(|c| &c.ports);
    let containers: Vec<String> = containers
        .map(|p| match &p.name {
            Some(name) => format!("{} ({name})", p.container_port),
            None => p.container_port.to_string(),
        })
        .collect();
    let meta = &part.service.metadata;
    let value = format!("ports {}; containers declare {}", ports.collect::<Vec<_>>().join(", "), containers.join(", "));
    Evidence::new(
        format!("Service {}/{} spec.ports", meta.namespace, meta.name),
        value,
        "kubectl get service -n {{ namespace }} {{ name }} -o yaml",
    )
    .with("namespace", &meta.namespace)
    .with("name", &meta.name)
}

/// The commands that work: to the Service by its port, to the pod by the container's.
fn commands(finding: Finding, part: &Part<'_>, pod: &Pod, port: Option<&ServicePort>) -> Finding {
    let meta = &part.service.metadata;
    let local = local_port(part.program);
    let main = part
        .service
        .spec
        .ports
        .iter()
        .find(|p| reached(part.service, p.port, pod).is_some_and(|t| Some(t) == listens_on(pod)));
    let port = port.or(main).or(part.service.spec.ports.first());
    let of_pod = listens_on(pod).or_else(|| reached(part.service, port?.port, pod)).unwrap_or(local);
    let of_service = port.map_or(of_pod, |p| p.port);
    finding
        .param("namespace", &meta.namespace)
        .param("service", format!("svc/{}", meta.name))
        .param("service_name", &meta.name)
        .param("pod", format!("pod/{}", pod.metadata.name))
        .param("pod_name", &pod.metadata.name)
        .param("service_ports", format!("{local}:{of_service}"))
        .param("pod_ports", format!("{local}:{of_pod}"))
        .param("service_port", of_service)
        .param("container_port", of_pod)
        .param("local", local)
}

/// What kubectl, the kubelet or the container runtime says of a port-forward that failed: the remote port.
fn failed_forward(text: &str) -> Option<u16> {
    static WORDS: OnceLock<Regex> = OnceLock::new();
    let words = WORDS.get_or_init(|| {
        Regex::new(r"forwarding \d+ -> (\d+)|error forwarding port (\d+)|failed to connect to localhost:(\d+) inside namespace|forward port (\d+)")
            .expect("the pattern is fixed")
    });
    let found = words.captures(text)?;
    (1..=4).find_map(|at| found.get(at)).and_then(|m| m.as_str().parse().ok())
}

/// Port-forwards that events say failed: mostly the Service's port asked of a pod.
fn reported(snap: &Snapshot, parts: &[Part<'_>]) -> Vec<Finding> {
    let mut found: BTreeMap<(String, u16), Finding> = BTreeMap::new();
    for event in snap.events.items().unwrap_or_default() {
        let old = event.last_seen().is_some_and(|t| snap.collected_at.as_second() - t.as_second() > RECENT);
        let Some(remote) = failed_forward(&event.message).filter(|_| !old) else { continue };
        let object = &event.involved_object;
        let of_pod = |part: &&Part<'_>| {
            part.service.metadata.namespace == object.namespace
                && part.pods.iter().any(|p| p.metadata.name == object.name && p.is_ready())
        };
        // The Service that has this port, or else any of the pod.
        let mut of_pod: Vec<&Part<'_>> = parts.iter().filter(of_pod).collect();
        of_pod.sort_by_key(|part| !part.service.spec.ports.iter().any(|p| p.port == remote));
        let Some(part) = of_pod.first() else { continue };
        let Some(pod) = part.pods.iter().find(|p| p.metadata.name == object.name) else { continue };
        let port = part.service.spec.ports.iter().find(|p| p.port == remote);
        let listens =
            port.and_then(|p| reached(part.service, p.port, pod)).or_else(|| listens_on(pod)).filter(|t| *t != remote);
        let Some(listens) = listens else { continue };
        let (namespace, name) = (&object.namespace, &object.name);
        let what = match port {
            Some(_) => format!("that is the port of Service {namespace}/{}", part.service.metadata.name),
            None => "nothing listens there".to_owned(),
        };
        let message = format!(
            "kubectl port-forward to pod {namespace}/{name} on port {remote} is refused: {what}; the container listens on {listens}"
        );
        let seen = Evidence::new(
            format!("event of pod {namespace}/{name}"),
            event.message.clone(),
            "kubectl get events -n {{ namespace }} --field-selector {{ selector }}",
        )
        .with("namespace", namespace)
        .with("selector", format!("involvedObject.name={name}"));
        let made = Finding::new(PortForward::META.id, Severity::Warning, ResourceRef::pod(namespace, name), message)
            .evidence(seen)
            .evidence(ports_evidence(part, pod))
            // The pod itself is well.
            .breaks_nothing()
            .key(format!("forward/{remote}"))
            .param("wrong_port", remote)
            .fix("service-port");
        found.entry((name.clone(), remote)).or_insert_with(|| commands(made, part, pod, port));
    }
    found.into_values().collect()
}

/// Nodes with pods of the stack whose kubelet the API server does not reach: no logs, no exec, no port-forward.
fn unreachable_nodes(snap: &Snapshot, parts: &[Part<'_>]) -> Vec<Finding> {
    let gaps: Vec<&Gap> =
        [&snap.component_logs, &snap.crash_logs].into_iter().filter_map(|f| f.as_ref().err()).collect();
    let mut findings = Vec::new();
    for node in snap.nodes.items().unwrap_or_default() {
        let name = &node.metadata.name;
        let here: Vec<(&Part<'_>, &Pod)> = parts
            .iter()
            .filter_map(|p| Some((p, *p.pods.iter().find(|pod| pod.spec.node_name.as_ref() == Some(name))?)))
            .collect();
        let Some((part, pod)) = here.first() else { continue };
        let refused = node.internal_ip().and_then(|ip| {
            let address = format!("{ip}:{KUBELET_PORT}");
            let says = |g: &&&Gap| g.message.contains(&format!("dial tcp {address}"));
            gaps.iter().find(says).copied()
        });
        let (why, seen) = match (refused, not_ready(node)) {
            (Some(gap), _) => (
                "the API server does not reach its kubelet on port 10250".to_owned(),
                Evidence::new(
                    gap.what.clone(),
                    gap.message.clone(),
                    "kubectl logs -n {{ namespace }} {{ pod }} --tail=1",
                )
                .with("namespace", &pod.metadata.namespace)
                .with("pod", &pod.metadata.name),
            ),
            (None, Some(c)) => {
                let words = c.message.as_deref().or(c.reason.as_deref()).unwrap_or_default();
                let value = format!("Ready={} {words}", c.status);
                (format!("it is not ready ({})", value.trim()), node_evidence(name, &value))
            }
            _ => continue,
        };
        let services: Vec<String> =
            here.iter().map(|(p, _)| format!("{}/{}", p.service.metadata.namespace, p.service.metadata.name)).collect();
        let message = format!(
            "kubectl port-forward to Services {} cannot work: their pods run on node {name}, and {why}",
            services.join(", ")
        );
        let subject = ResourceRef::node(name);
        let made = Finding::new(PortForward::META.id, Severity::Warning, subject.clone(), message)
            .evidence(seen)
            .depends_on(subject)
            .depends_on(ResourceRef::port(name, KUBELET_PORT))
            // What else is wrong with the node is another check's to say.
            .breaks_nothing()
            .key("node")
            .fix("node")
            .param("node", name)
            .param("region", snap.target.region.as_deref().unwrap_or_default());
        findings.push(commands(through_another(snap, node, pod, made, refused.is_some()), part, pod, None));
    }
    findings
}

fn node_evidence(name: &str, value: &str) -> Evidence {
    Evidence::new(format!("Node {name} status.conditions"), value, "kubectl describe node {{ node }}")
        .with("node", name)
}

/// A way through another node: Session Manager forwards to any host that the node reaches.
fn through_another(snap: &Snapshot, node: &Node, pod: &Pod, finding: Finding, refused: bool) -> Finding {
    let nodes = snap.nodes.items().unwrap_or_default();
    let other = way_round(nodes, Some(&node.metadata.name)).filter(|i| Some(*i) != node.instance_id());
    let port = listens_on(pod).or_else(|| declared(pod).first().copied()).unwrap_or(3000);
    let forward = json!({
        "host": [pod.status.pod_ip.as_deref().unwrap_or("<pod-ip>")], "portNumber": [port.to_string()], "localPortNumber": [port.to_string()]
    });
    finding
        .param("instance", other)
        .param("own_instance", node.instance_id().filter(|_| refused))
        .param("forward", forward.to_string())
}

/// Pods that are well again after a restart: a port-forward that was open then is dead.
fn restarted(snap: &Snapshot, parts: &[Part<'_>]) -> Vec<Finding> {
    let mut found: BTreeMap<&str, Finding> = BTreeMap::new();
    for part in parts {
        for pod in part.pods.iter().filter(|p| p.is_ready()) {
            let main = pod.spec.containers.iter().find(|c| c.program().is_some()).map(|c| c.name.as_str());
            let status = pod.status.container_statuses.iter().find(|s| Some(s.name.as_str()) == main);
            let Some(ended) = status.and_then(|s| s.last_state.terminated.as_ref()) else { continue };
            let Some(at) = ended.finished_at else { continue };
            let ago = snap.collected_at.as_second() - at.as_second();
            if !(0..=RECENT).contains(&ago) {
                continue;
            }
            let (namespace, name) = (&pod.metadata.namespace, &pod.metadata.name);
            let message = format!(
                "pod {namespace}/{name} restarted {} minutes ago ({}) and is ready again: a kubectl port-forward that was open then lost its connection",
                ago / 60,
                ended.reason
            );
            let seen = Evidence::new(
                format!("Pod {namespace}/{name} status"),
                format!("last state: {} with exit code {} at {at:.0}", ended.reason, ended.exit_code),
                "kubectl describe pod -n {{ namespace }} {{ pod }}",
            )
            .with("namespace", namespace)
            .with("pod", name);
            let made = Finding::new(PortForward::META.id, Severity::Info, ResourceRef::pod(namespace, name), message)
                .evidence(seen)
                .key("restarted")
                .fix("restarted");
            found.entry(name).or_insert_with(|| commands(made, part, pod, None));
        }
    }
    found.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::snapshot;

    /// Grafana behind port 80, on a node that is well.
    fn grafana(target: Value) -> Value {
        json!({
            "services": [{"metadata": {"namespace": "monitoring", "name": "loki-grafana"},
                "spec": {"selector": {"app": "grafana"}, "ports": [{"port": 80, "targetPort": target}]}}],
            "pods": [{
                "metadata": {"namespace": "monitoring", "name": "loki-grafana-0", "labels": {"app": "grafana"}},
                "spec": {"nodeName": "node-1", "containers": [{"name": "grafana", "image": "grafana/grafana:11.0.0",
                    "ports": [{"name": "grafana", "containerPort": 3000}], "readinessProbe": {"httpGet": {"path": "/api/health", "port": 3000}}}]},
                "status": {"phase": "Running", "podIP": "10.0.2.7", "conditions": [{"type": "Ready", "status": "True"}],
                    "containerStatuses": [{"name": "grafana", "ready": true, "restartCount": 1, "lastState": {"terminated":
                        {"reason": "OOMKilled", "exitCode": 137, "finishedAt": "2026-11-20T20:00:00Z"}}}]}
            }],
            "nodes": [
                {"metadata": {"name": "node-1"}, "spec": {"providerID": "aws:///z/i-1"}, "status": {"conditions": [{"type": "Ready", "status": "True"}],
                    "addresses": [{"type": "InternalIP", "address": "10.0.2.1"}]}},
                {"metadata": {"name": "node-2"}, "spec": {"providerID": "aws:///z/i-2"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
            ]
        })
    }

    fn found(objects: &Value) -> Vec<Finding> {
        findings(&PortForward, &read(objects))
    }

    fn read(objects: &Value) -> Snapshot {
        let mut snap = snapshot(objects.clone());
        snap.nodes =
            crate::snapshot::Listing::cluster(serde_json::from_value(objects["nodes"].clone()).expect("nodes"));
        snap
    }

    #[test]
    fn ports_that_differ_are_no_fault() {
        for target in [json!("grafana"), json!(3000)] {
            assert_eq!(found(&grafana(target)), []);
        }
        // Ports need not be declared.
        let mut undeclared = grafana(json!(3000));
        undeclared["pods"][0]["spec"]["containers"][0]["ports"] = json!([]);
        assert_eq!(found(&undeclared), []);
    }

    #[test]
    fn a_target_port_that_no_container_has() {
        let all = found(&grafana(json!("http")));
        assert_eq!(all.len(), 1);
        assert!(all[0].message.contains("named http"), "{}", all[0].message);
        assert!(
            steps(&all[0]).contains("kubectl port-forward -n monitoring pod/loki-grafana-0 3000:3000"),
            "{}",
            steps(&all[0])
        );
        let all = found(&grafana(json!(8080)));
        assert!(all[0].message.contains("listens on 3000"), "{}", all[0].message);
        let mut unready = grafana(json!("http"));
        unready["pods"][0]["status"]["conditions"][0]["status"] = json!("False");
        assert_eq!(found(&unready), [], "then other checks speak");
    }

    #[test]
    fn the_services_port_asked_of_a_pod() {
        let mut objects = grafana(json!(3000));
        let text = "an error occurred forwarding 3001 -> 80: error forwarding port 80 to pod c765c0df8a19, uid : failed to execute portforward in network namespace \"/var/run/netns/cni-f2eb\": failed to connect to localhost:80 inside namespace, IPv4: dial tcp4 127.0.0.1:80: connect: connection refused";
        let event = |text: &str| {
            json!({"metadata": {"namespace": "monitoring", "name": "e"}, "message": text, "lastTimestamp": "2026-11-21T01:55:00Z",
            "involvedObject": {"kind": "Pod", "namespace": "monitoring", "name": "loki-grafana-0"}})
        };
        objects["events"] = json!([event(text)]);
        let all = found(&objects);
        assert_eq!(all.len(), 1);
        let fix = steps(&all[0]);
        assert!(fix.contains("kubectl port-forward -n monitoring svc/loki-grafana 3000:80"), "{fix}");
        assert!(fix.contains("kubectl port-forward -n monitoring pod/loki-grafana-0 3000:3000"), "{fix}");
        // The right port: what was wrong is over.
        objects["events"] = json!([event(&text.replace("80", "3000"))]);
        assert_eq!(found(&objects), []);
    }

    #[test]
    fn a_headless_service_is_gone_past() {
        let mut objects = grafana(json!("http"));
        objects["services"][0]["spec"]["clusterIP"] = json!("None");
        assert_eq!(found(&objects), [], "kubectl asks the pod for the port itself");
    }

    #[test]
    fn what_was_tried_counts_more_than_what_is_concluded() {
        let objects = grafana(json!(8080));
        let mut snap = read(&objects);
        let probe = |verdict: Verdict| Probe {
            program: Program::Grafana,
            namespace: "monitoring".into(),
            pod: "loki-grafana-0".into(),
            container: String::new(),
            trial: Trial::PortForward { port: 8080 },
            verdict,
            said: String::new(),
            command: vec!["kubectl".into()],
        };
        snap.probes = crate::snapshot::Listing::cluster(vec![probe(Verdict::Answered(Some(200)))]);
        assert_eq!(findings(&PortForward, &snap), []);
        snap.probes = crate::snapshot::Listing::cluster(vec![probe(Verdict::Refused)]);
        let all = findings(&PortForward, &snap);
        assert!(all[0].evidence.iter().any(|e| e.value.contains("refused")), "{all:?}");
    }

    #[test]
    fn a_recent_restart_is_worth_a_line() {
        let mut objects = grafana(json!(3000));
        objects["pods"][0]["status"]["containerStatuses"][0]["lastState"]["terminated"]["finishedAt"] =
            json!("2026-11-21T01:50:00Z");
        let all = found(&objects);
        assert_eq!((all.len(), all[0].severity), (1, Severity::Info));
        assert!(all[0].message.contains("10 minutes ago"), "{}", all[0].message);
    }

    #[test]
    fn a_node_that_is_not_reached_is_gone_round() {
        let mut objects = grafana(json!(3000));
        let mut snap = read(&objects);
        *snap.component_logs = Err(Gap::new(
            "GET /api/v1/namespaces/monitoring/pods/loki-grafana-0/log",
            crate::model::GapCause::BadAnswer,
            "Get \"https://10.0.2.1:10250/containerLogs/monitoring/loki-grafana-0/grafana\": dial tcp 10.0.2.1:10250: i/o timeout",
        ));
        let all = findings(&PortForward, &snap);
        assert_eq!(all.len(), 1);
        assert!(all[0].message.contains("port 10250"), "{}", all[0].message);
        let fix = steps(&all[0]);
        assert!(
            fix.contains(
                "aws ssm start-session --target i-2 --document-name AWS-StartPortForwardingSessionToRemoteHost"
            ),
            "{fix}"
        );
        objects["nodes"][0]["status"]["conditions"][0] =
            json!({"type": "Ready", "status": "Unknown", "message": "Kubelet stopped posting node status."});
        assert!(found(&objects)[0].message.contains("Kubelet stopped posting"));
    }
}
