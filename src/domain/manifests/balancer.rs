//! Ingresses of the AWS Load Balancer Controller beside the Services and programs of the files, and admission webhooks beside
//! theirs.

use super::given::{full_name, may_meet};
use super::references::SLIP;
use crate::lint::Problem;
use crate::lint::kubernetes::balancer::{Annotations, path};
use crate::lint::yaml::Node;
use crate::snapshot::Snapshot;
use crate::snapshot::manifests::Manifest;
use crate::text::near::typo;

/// What the files have that Ingresses and webhooks lead to.
pub(crate) struct Behind<'a> {
    services: Vec<&'a Manifest>,
    workloads: Vec<&'a Manifest>,
    ingresses: Vec<&'a Manifest>,
    /// Some file lets people into Grafana without a login.
    anonymous: bool,
}

/// Programs that answer `/` with a redirection, and the path that they answer with 200.
const REDIRECT: &[(&str, &str, &str)] = &[
    ("grafana", "Grafana", "/api/health"),
    ("grafana-oss", "Grafana", "/api/health"),
    ("grafana-enterprise", "Grafana", "/api/health"),
    ("prometheus", "Prometheus", "/-/healthy"),
];

impl<'a> Behind<'a> {
    /// Of all files.
    pub(crate) fn of(snap: &'a Snapshot) -> Self {
        let all = |group: &'static str, kind: &'static str| snap.manifest_objects(group, kind).map(|(_, o)| o);
        let workloads = ["Deployment", "StatefulSet", "DaemonSet"].into_iter().flat_map(|kind| all("apps", kind));
        let files = snap.manifests.items().unwrap_or_default();
        let anonymous = files.iter().any(|f| f.text.contains("auth.anonymous") || f.text.contains("AUTH_ANONYMOUS"));
        Self {
            services: all("", "Service").collect(),
            workloads: workloads.collect(),
            ingresses: all("networking.k8s.io", "Ingress").collect(),
            anonymous,
        }
    }

    /// What an Ingress or a webhook says that does not go with what it leads to.
    pub(crate) fn broken(&self, object: &Manifest) -> Vec<Problem> {
        match (object.group(), object.kind.as_str()) {
            ("networking.k8s.io", "Ingress") => self.ingress(object),
            ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration") => {
                self.webhooks(object)
            }
            _ => Vec::new(),
        }
    }

    fn ingress(&self, ingress: &Manifest) -> Vec<Problem> {
        let Some(own) = Annotations::of(&ingress.node).filter(|a| !a.is_empty()) else { return Vec::new() };
        let mut found: Vec<Problem> = self.scheme(ingress, &own).into_iter().collect();
        for service in self.backends(ingress) {
            let of_service = Annotations::of_service(&service.node);
            let said = |name: &str| of_service.text(name).or_else(|| own.text(name));
            found.extend(of_instance(&own, service, said("target-type")));
            if of_service.node("healthcheck-path").or(of_service.node("success-codes")).is_none() {
                found.extend(self.health_check(ingress, &own, service));
            }
        }
        found
    }

    /// Services of the files that an Ingress leads to, each once.
    fn backends(&self, ingress: &Manifest) -> Vec<&'a Manifest> {
        let rules = ingress.node.at(&["spec", "rules"]).and_then(Node::items).unwrap_or_default();
        let paths = rules.iter().flat_map(|r| r.at(&["http", "paths"]).and_then(Node::items).unwrap_or_default());
        let default = ingress.node.at(&["spec", "defaultBackend", "service", "name"]);
        let named = paths.filter_map(|p| p.at(&["backend", "service", "name"])).chain(default);
        let names: Vec<&str> = named.filter_map(Node::as_str).collect();
        let is_led_to = |s: &&&Manifest| names.contains(&s.name.as_str()) && may_meet(s, ingress);
        self.services.iter().filter(is_led_to).copied().collect()
    }

    /// Ingresses of one group have one load balancer, and that one scheme.
    fn scheme(&self, ingress: &Manifest, own: &Annotations<'_>) -> Option<Problem> {
        let (group, scheme) = (own.text("group.name")?, own.text("scheme")?);
        // The first of them is right, whoever it is.
        let before = self.ingresses.iter().take_while(|o| !std::ptr::eq(**o, ingress));
        let other = before.filter_map(|other| {
            let theirs = Annotations::of(&other.node)?;
            let differs = theirs.text("group.name") == Some(group) && theirs.text("scheme")? != scheme;
            differs.then_some((*other, theirs.text("scheme")?))
        });
        let (other, theirs) = other.into_iter().next()?;
        let message = format!(
            "conflicting scheme in group {group}: {scheme} here, and {theirs} in Ingress {}; the group gets no load balancer",
            full_name(other)
        );
        Some(Problem::new(own.node("scheme")?.place, path("scheme"), message))
    }

    /// A program that redirects what the load balancer asks for.
    fn health_check(&self, ingress: &Manifest, own: &Annotations<'_>, service: &Manifest) -> Option<Problem> {
        let asked = own.text("healthcheck-path");
        let plain = own.node("success-codes").is_none() || own.text("success-codes") == Some("200");
        let grpc = own.text("backend-protocol-version") == Some("GRPC");
        let unknown = own.node("healthcheck-path").is_some() && asked.is_none();
        if asked.is_some_and(|p| p != "/") || !plain || grpc || unknown {
            return None;
        }
        let (program, right) = self.workloads_of(service).find_map(|w| redirects(w))?;
        if program == "Grafana" && self.anonymous {
            return None;
        }
        let at = own.node("healthcheck-path");
        let annotations = ingress.node.at(&["metadata", "annotations"])?;
        let message = format!(
            "the load balancer asks {program} for / and takes 200 alone, and {program} answers with a redirection: no target gets healthy (healthcheck-path: {right})"
        );
        let place = at.map_or(annotations.place, |node| node.place);
        Some(Problem::new(place, path("healthcheck-path"), message).instead(at.map(|_| right)))
    }

    /// Workloads whose pods a Service selects.
    fn workloads_of<'s>(&'s self, service: &'s Manifest) -> impl Iterator<Item = &'a Manifest> + 's {
        let selector = service.node.at(&["spec", "selector"]).and_then(Node::entries).unwrap_or_default();
        let selects = move |workload: &&&'a Manifest| {
            let labels = workload.node.at(&["spec", "template", "metadata", "labels"]);
            let has = |(k, v): &(Node, Node)| {
                let label = k.as_str().and_then(|k| labels?.get(k)?.as_str());
                label.is_some() && label == v.as_str()
            };
            !selector.is_empty() && may_meet(workload, service) && selector.iter().all(has)
        };
        self.workloads.iter().filter(selects).copied()
    }

    fn webhooks(&self, object: &Manifest) -> Vec<Problem> {
        let hooks = object.node.get("webhooks").and_then(Node::items).unwrap_or_default();
        hooks.iter().enumerate().filter_map(|(at, hook)| self.webhook(hook, &format!("webhooks[{at}]"))).collect()
    }

    fn webhook(&self, hook: &Node, path: &str) -> Option<Problem> {
        let called = hook.at(&["clientConfig", "service"])?;
        let name = called.get("name")?;
        let (wanted, namespace) = (name.as_str()?, called.get("namespace")?.as_str()?);
        let near = |s: &&&Manifest| s.namespace.is_empty() || s.namespace == namespace;
        let path = format!("{path}.clientConfig.service");
        let Some(service) = self.services.iter().filter(near).find(|s| s.name == wanted) else {
            let meant = self.services.iter().filter(near).find(|s| typo(wanted, &s.name, SLIP))?;
            let message = format!("the files hold no Service {wanted}, which the API server is to call");
            return Some(Problem::new(name.place, format!("{path}.name"), message).instead(Some(&meant.name)));
        };
        let ports = service.node.at(&["spec", "ports"]).and_then(Node::items).unwrap_or_default();
        let there: Vec<&str> = ports.iter().filter_map(|p| p.get("port").and_then(Node::as_str)).collect();
        let port = called.get("port").and_then(Node::as_str).unwrap_or("443");
        if !there.is_empty() && !there.contains(&port) {
            let place = called.get("port").unwrap_or(name).place;
            let message = format!(
                "Service {} has no port {port}, which the API server is to call (it has {})",
                full_name(service),
                there.join(", ")
            );
            let only = there.first().copied().filter(|_| there.len() == 1 && called.get("port").is_some());
            return Some(Problem::new(place, format!("{path}.port"), message).instead(only));
        }
        self.workloads_of(service).next().and_then(|workload| guards_itself(hook, name, workload, &path))
    }
}

/// Targets are ports of nodes, and the Service has none.
fn of_instance(own: &Annotations<'_>, service: &Manifest, target: Option<&str>) -> Option<Problem> {
    let kind = service.node.at(&["spec", "type"]).and_then(Node::as_str).unwrap_or("ClusterIP");
    let node = own.node("target-type").filter(|_| target == Some("instance") && kind == "ClusterIP")?;
    let message = format!(
        "targets of type instance need a Service of type NodePort or LoadBalancer, and {} is of type ClusterIP",
        full_name(service)
    );
    Some(Problem::new(node.place, path("target-type"), message).instead(Some("ip")))
}

/// The program of a workload that redirects `/`, and the path to ask for.
fn redirects(workload: &Manifest) -> Option<(&'static str, &'static str)> {
    let containers = workload.node.at(&["spec", "template", "spec", "containers"])?.items()?;
    containers.iter().find_map(|container| {
        let image = container.get("image").and_then(Node::as_str)?;
        let name = image.rsplit('/').next()?.split([':', '@']).next()?;
        let (_, program, path) = REDIRECT.iter().find(|(base, ..)| *base == name)?;
        // Under another path it answers otherwise.
        let words = ["args", "command"].iter().flat_map(|k| container.get(k).and_then(Node::items).unwrap_or_default());
        let moved =
            words.filter_map(Node::as_str).any(|a| a.contains("web.external-url") || a.contains("web.route-prefix"));
        let variables = container.get("env").and_then(Node::items).unwrap_or_default();
        let sub_path = variables.iter().filter_map(|v| v.get("name")?.as_str()).any(|n| n.starts_with("GF_SERVER_"));
        (!moved && !sub_path).then_some((*program, *path))
    })
}

/// A webhook without which no pod is made, and whose own pods are among those.
fn guards_itself(hook: &Node, name: &Node, workload: &Manifest, path: &str) -> Option<Problem> {
    let selects = ["namespaceSelector", "objectSelector", "matchConditions"].iter().any(|key| {
        let node = hook.get(key);
        node.is_some_and(|n| n.entries().is_some_and(|e| !e.is_empty()) || n.items().is_some_and(|i| !i.is_empty()))
    });
    let fails = hook.get("failurePolicy").and_then(Node::as_str).unwrap_or("Fail") == "Fail";
    let has = |rule: &Node, key: &str, words: &[&str]| {
        let items = rule.get(key).and_then(Node::items).unwrap_or_default();
        items.iter().filter_map(Node::as_str).any(|i| words.contains(&i))
    };
    let rules = hook.get("rules").and_then(Node::items).unwrap_or_default();
    let of_pods = rules.iter().any(|r| {
        has(r, "apiGroups", &["", "*"])
            && has(r, "resources", &["pods", "*", "*/*"])
            && has(r, "operations", &["CREATE", "*"])
            && r.get("scope").and_then(Node::as_str) != Some("Cluster")
    });
    let message = format!(
        "it is asked for each new pod, those of {} {} themselves among them, and refuses all while none of these is ready (failurePolicy Fail without a selector)",
        workload.kind,
        full_name(workload)
    );
    (fails && of_pods && !selects).then(|| Problem::new(name.place, path, message))
}
