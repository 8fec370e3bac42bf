//! Finds the monitoring stack: its namespaces and the Services of Prometheus, Alertmanager and Grafana.

use std::collections::{BTreeMap, BTreeSet};

use super::Plan;
use super::client::{Client, IfAbsent};
use crate::domain::kubernetes::called::{BESIDE, BESIDE_WORDS};
use crate::model::{Fact, Gap, Program};
use crate::snapshot::kubernetes::{Meta, MonitoringResource, Object, Service};
use crate::snapshot::{Component, Scope, Snapshot};

/// Where the stack is looked for if it is not found.
const DEFAULT_NAMESPACE: &str = "monitoring";

/// Words of the names of namespaces for it.
const STACK_WORDS: &[&str] = &["monitoring", "observability", "metrics", "prometheus", "grafana", "telemetry"];

/// What operators write on all that they make, whatever their resources are called (`app.kubernetes.io/managed-by`).
const MAKERS: &[&str] = &["opentelemetry-operator", "lokistack-controller", "tempo-operator"];
/// Stores of lines that are stores of other things too: they belong to the stack in a namespace for logging.
const STORES: &[&str] = &["elasticsearch", "opensearch"];
/// Words of the names of such namespaces.
const LOGGING: &[&str] =
    &["logging", "logs", "log", "elastic", "elasticsearch", "opensearch", "efk", "elk", "monitoring", "observability"];
/// Names of workloads that the stack hangs on, in namespaces that are not the stack's: what writes DNS records, what gives pods
/// their network, nodes and side-cars' identities, what routes requests to it
/// and makes its certificates, and what the API server asks before it takes
/// objects of the stack.
const GUESTS: &[&str] = &[
    "external-dns",
    "karpenter",
    "cluster-autoscaler",
    "aws-cluster-autoscaler",
    "aws-load-balancer-controller",
    "istiod",
    "linkerd-identity",
    "calico-node",
    "cilium",
    "kube-flannel",
    "kube-flannel-ds",
    "antrea-agent",
    "ingress-nginx",
    "ingress-nginx-controller",
    "nginx-ingress-controller",
    "cert-manager",
    "cert-manager-webhook",
    "external-secrets-webhook",
    "gatekeeper-controller-manager",
    "kyverno-admission-controller",
];
/// Namespaces that are read at most because of parts of the stack beside it.
const MAX_BESIDE: usize = 8;
/// Namespaces that are read at most because of guests: each of them tends to have one of its own.
const MAX_GUESTS: usize = 12;

/// A part of the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Prometheus,
    Alertmanager,
    Grafana,
}

/// Fills in the snapshot's scope.
pub(super) async fn find(client: &Client, plan: &Plan, snap: &mut Snapshot) {
    let mut parts: BTreeMap<String, BTreeSet<Part>> = BTreeMap::new();
    let mut note = |meta: &Meta| {
        if let Some(part) = part_of(meta) {
            parts.entry(meta.namespace.clone()).or_default().insert(part);
        }
    };
    snap.services.items().unwrap_or_default().iter().for_each(|s| note(s.meta()));
    snap.monitoring_resources.items().unwrap_or_default().iter().for_each(|r| note(r.meta()));
    let (workloads, mut gaps) = workloads(client, plan).await;
    if plan.namespace.is_none() {
        // A stack whose Services were never made is known by its workloads.
        workloads.iter().for_each(&mut note);
    }
    let discovered = match &plan.namespace {
        Some(namespace) => parts.contains_key(namespace),
        None => !parts.is_empty(),
    };
    let stack = match &plan.namespace {
        Some(namespace) => vec![namespace.clone()],
        None => stack_namespaces(parts, snap),
    };
    let beside = parts_beside(&workloads, &stack);
    let guests = guests_beside(&workloads, &stack, &beside);
    let services = snap.services.items().unwrap_or_default();
    let with_prefix = |kind: &str, found: Option<Component>| {
        let resources = snap.monitoring_resources.items().unwrap_or_default();
        found.map(|c| Component { prefix: route_prefix(resources, kind, &c.namespace), ..c })
    };
    let all = match &plan.beside {
        _ if plan.all_namespaces => every_namespace(snap, &workloads, &stack),
        Some(beside) => beside.iter().chain(&stack).cloned().collect(),
        None => BTreeSet::new(),
    };
    gaps.extend(snap.services.gaps().iter().chain(snap.monitoring_resources.gaps()).cloned());
    snap.scope = Scope {
        prometheus: with_prefix(
            "Prometheus",
            component(services, &stack, Part::Prometheus, Program::Prometheus.port()),
        ),
        alertmanager: with_prefix(
            "Alertmanager",
            component(services, &stack, Part::Alertmanager, Program::Alertmanager.port()),
        ),
        grafana: component(services, &stack, Part::Grafana, Program::Grafana.port()),
        stack,
        discovered,
        named: plan.namespace.is_some(),
        gaps,
        scraped: BTreeSet::new(),
        parts: beside,
        guests,
        all,
        given: client.source().known().urls,
    };
    snap.target.namespaces = snap.scope.stack.clone();
    snap.target.all_namespaces = plan.all_namespaces;
}

/// Every namespace, as far as it is known: by the list of them, or by what is in them.
fn every_namespace(snap: &Snapshot, workloads: &[Meta], stack: &[String]) -> BTreeSet<String> {
    let named = snap.namespaces.items().unwrap_or_default().iter().map(|n| &n.metadata.name);
    let with_services = snap.services.items().unwrap_or_default().iter().map(|s| &s.metadata.namespace);
    let with_workloads = workloads.iter().map(|w| &w.namespace);
    named.chain(with_services).chain(with_workloads).chain(stack).cloned().collect()
}

/// Metadata of all workloads, and what of them could not be read.
async fn workloads(client: &Client, plan: &Plan) -> (Vec<Meta>, Vec<Gap>) {
    if plan.namespace.is_some() && !plan.wants(Fact::PartLogs) && !plan.all_namespaces {
        return (Vec::new(), Vec::new());
    }
    let list = |resource: &'static str| async move {
        client.cluster_names(&format!("/apis/apps/v1/{resource}"), IfAbsent::Gap).await
    };
    let (deployments, sets, daemons) = futures::join!(list("deployments"), list("statefulsets"), list("daemonsets"));
    let lists = [&deployments, &sets, &daemons];
    let gaps = lists.iter().flat_map(|l| l.gaps()).cloned().collect();
    (lists.into_iter().flat_map(|l| l.items().unwrap_or_default()).map(|w| w.metadata.clone()).collect(), gaps)
}

/// Namespaces outside of the stack in which another operator, an agent, a collector or a store of its data runs.
fn parts_beside(workloads: &[Meta], stack: &[String]) -> BTreeSet<String> {
    let is_part = |meta: &&Meta| {
        let label = meta.label("app.kubernetes.io/name").or(meta.label("k8s-app")).or(meta.label("app"));
        let has = |word: &&str| meta.name.contains(*word) || label.is_some_and(|l| l == *word);
        // An exporter sits beside what it measures.
        let has_word = || meta.name.split('-').any(|word| BESIDE_WORDS.contains(&word));
        let is_store = || {
            let by_label = meta.label("common.k8s.elastic.co/type") == Some("elasticsearch");
            (by_label || STORES.iter().any(has)) && meta.namespace.split('-').any(|w| LOGGING.contains(&w))
        };
        let is_made = || meta.label("app.kubernetes.io/managed-by").is_some_and(|by| MAKERS.contains(&by));
        BESIDE.iter().any(has) || is_made() || !meta.name.ends_with("-exporter") && (has_word() || is_store())
    };
    let outside = |n: &&String| !stack.contains(n) && *n != "kube-system";
    let namespaces = workloads.iter().filter(is_part).map(|m| &m.namespace).filter(outside);
    namespaces.cloned().collect::<BTreeSet<_>>().into_iter().take(MAX_BESIDE).collect()
}

/// Namespaces outside of all these that hold a program which the stack hangs on.
fn guests_beside(workloads: &[Meta], stack: &[String], parts: &BTreeSet<String>) -> BTreeSet<String> {
    let is_guest = |meta: &&Meta| {
        let labels = ["app.kubernetes.io/name", "k8s-app", "app"].into_iter().filter_map(|l| meta.label(l));
        let has = |name: &str| GUESTS.contains(&name);
        has(&meta.name) || meta.name.contains("external-dns") || labels.into_iter().any(has)
    };
    let known = |n: &&String| stack.contains(n) || parts.contains(*n) || *n == "kube-system";
    let namespaces = workloads.iter().filter(is_guest).map(|m| &m.namespace).filter(|n| !known(n));
    namespaces.cloned().collect::<BTreeSet<_>>().into_iter().take(MAX_GUESTS).collect()
}

/// `spec.routePrefix` of the operator's resource in a namespace, without the slash at its end.
fn route_prefix(resources: &[MonitoringResource], kind: &str, namespace: &str) -> String {
    let mine = resources.iter().find(|r| r.kind == kind && r.metadata.namespace == namespace);
    mine.and_then(|r| r.spec.route_prefix.as_deref()).unwrap_or_default().trim_end_matches('/').to_owned()
}

/// Namespaces with parts of the stack, those with most parts first.
fn stack_namespaces(mut parts: BTreeMap<String, BTreeSet<Part>>, snap: &Snapshot) -> Vec<String> {
    // Charts put Services for the control plane's metrics there; a stack is not there unless it is nowhere else.
    let system = parts.remove("kube-system");
    let mut found: Vec<(String, BTreeSet<Part>)> = parts.into_iter().collect();
    // Sample add-ons bring a Prometheus and a Grafana; whoever runs an Alertmanager is on call for it.
    found.sort_by_key(|(name, parts)| {
        let alerts = parts.contains(&Part::Alertmanager);
        (std::cmp::Reverse(parts.len()), !alerts, name != DEFAULT_NAMESPACE, name.clone())
    });
    if found.is_empty() {
        let system = system.map(|_| "kube-system".to_owned());
        let named = || meant_for_a_stack(snap).unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
        return vec![system.unwrap_or_else(named)];
    }
    found.into_iter().map(|(name, _)| name).collect()
}

/// Where nothing of a stack runs: the namespace that is named for one, as where an installation failed at its first object.
fn meant_for_a_stack(snap: &Snapshot) -> Option<String> {
    let names: Vec<&str> = snap.namespaces.items().ok()?.iter().map(|n| n.metadata.name.as_str()).collect();
    let has_word = |name: &&&str| name.split('-').any(|word| STACK_WORDS.contains(&word));
    let found = names.iter().find(|n| **n == DEFAULT_NAMESPACE).or_else(|| names.iter().find(has_word));
    found.map(|n| (*n).to_owned())
}

/// Which part of the stack an object is, by the labels and names that charts, the operator and plain manifests use.
fn part_of(meta: &Meta) -> Option<Part> {
    let by_word = |word: &str| match word {
        "prometheus" => Some(Part::Prometheus),
        "alertmanager" => Some(Part::Alertmanager),
        "grafana" => Some(Part::Grafana),
        _ => None,
    };
    let component = meta.label("app.kubernetes.io/component").or(meta.label("component"));
    let is_main =
        component.is_none_or(|c| matches!(c, "prometheus" | "server" | "alertmanager" | "grafana" | "monitoring"));
    if !is_main {
        return None;
    }
    for label in ["app.kubernetes.io/name", "app", "k8s-app"] {
        let Some(value) = meta.label(label) else { continue };
        let value = value.strip_prefix("kube-prometheus-stack-").unwrap_or(value);
        let value = value.strip_prefix("prometheus-operator-").unwrap_or(value);
        if let Some(part) = by_word(value) {
            return Some(part);
        }
    }
    let name = meta.name.as_str();
    let name = ["-operated", "-server", "-k8s", "-main", "-service", "-svc"]
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix))
        .unwrap_or(name);
    by_word(name.rsplit('-').next().unwrap_or(name))
}

/// The Service through which a part is asked.
fn component(services: &[Service], stack: &[String], part: Part, usual_port: u16) -> Option<Component> {
    let rank = |s: &&Service| {
        let namespace = stack.iter().position(|n| *n == s.metadata.namespace).unwrap_or(usize::MAX);
        let headless = s.spec.cluster_ip.as_deref() == Some("None");
        let usual = s.spec.ports.iter().any(|p| p.port == usual_port);
        (namespace, !usual, headless, s.metadata.name.clone())
    };
    let service = services
        .iter()
        .filter(|s| stack.contains(&s.metadata.namespace) && part_of(&s.metadata) == Some(part))
        .filter(|s| s.spec.kind.as_deref() != Some("ExternalName"))
        .min_by_key(rank)?;
    let ports = &service.spec.ports;
    let named = |names: &[&str]| ports.iter().find(|p| p.name.as_deref().is_some_and(|n| names.contains(&n)));
    let port = ports
        .iter()
        .find(|p| p.port == usual_port)
        .or_else(|| named(&["http-web", "web", "http", "https", "service", "grafana"]))
        .or(ports.first())?;
    let https = port.port == 443 || port.name.as_deref().is_some_and(|n| n.starts_with("https"));
    Some(Component {
        namespace: service.metadata.namespace.clone(),
        service: service.metadata.name.clone(),
        port: port.port,
        scheme: if https { "https" } else { "http" },
        prefix: String::new(),
    })
}

/// The Service through which Loki is asked, wherever it runs: its gateway, or else what listens on its own port. The stack's
/// namespaces come first.
pub(super) fn loki(services: &[Service], stack: &[String]) -> Option<Component> {
    let is_loki = |s: &&Service| {
        let name = s.metadata.name.as_str();
        let label = s.metadata.label("app.kubernetes.io/name").or(s.metadata.label("app"));
        let component = s.metadata.label("app.kubernetes.io/component").unwrap_or_default();
        let called = name == "loki" || name.ends_with("-loki") || name.ends_with("loki-gateway");
        let helper =
            ["memberlist", "canary", "cache", "headless"].iter().any(|w| name.contains(w) || component.contains(w));
        (called || (label == Some("loki") && name.contains("loki")))
            && !helper
            && s.spec.kind.as_deref() != Some("ExternalName")
    };
    let rank = |s: &&Service| {
        let namespace = stack.iter().position(|n| *n == s.metadata.namespace).unwrap_or(usize::MAX);
        let gateway = s.metadata.name.ends_with("loki-gateway");
        let own = s.spec.ports.iter().any(|p| p.port == 3100);
        (namespace, !gateway, !own, s.spec.cluster_ip.as_deref() == Some("None"), s.metadata.name.clone())
    };
    let service = services.iter().filter(is_loki).min_by_key(rank)?;
    let ports = &service.spec.ports;
    let port = ports.iter().find(|p| p.port == 3100).or(ports.first())?;
    Some(Component {
        namespace: service.metadata.namespace.clone(),
        service: service.metadata.name.clone(),
        port: port.port,
        scheme: if port.port == 443 { "https" } else { "http" },
        prefix: String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing::snapshot;

    fn named(name: &str, labels: &[(&str, &str)]) -> Meta {
        Meta {
            name: name.into(),
            labels: labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            ..Meta::default()
        }
    }

    #[test]
    fn tells_the_stack_from_its_helpers() {
        for (name, labels, part) in [
            ("prometheus", &[][..], Some(Part::Prometheus)),
            (
                "prom-server",
                &[("app.kubernetes.io/name", "prometheus"), ("app.kubernetes.io/component", "server")],
                Some(Part::Prometheus),
            ),
            ("x-kube-prom-prometheus", &[("app", "kube-prometheus-stack-prometheus")], Some(Part::Prometheus)),
            ("x-grafana", &[("app.kubernetes.io/name", "grafana")], Some(Part::Grafana)),
            ("alertmanager-operated", &[("operated-alertmanager", "true")], Some(Part::Alertmanager)),
            ("x-prometheus-node-exporter", &[("app.kubernetes.io/name", "prometheus-node-exporter")], None),
            ("prometheus-pushgateway", &[("app", "prometheus"), ("component", "pushgateway")], None),
            ("kube-prometheus-stack-operator", &[("app", "kube-prometheus-stack-operator")], None),
            ("prometheus-adapter", &[], None),
        ] {
            assert_eq!(part_of(&named(name, labels)), part, "{name}");
        }
    }

    #[test]
    fn a_collector_is_known_by_the_operator_that_made_it() {
        let made = |by: &str| Meta {
            namespace: "telemetry".into(),
            ..named("flash-collector", &[("app.kubernetes.io/managed-by", by)])
        };
        assert!(parts_beside(&[made("opentelemetry-operator")], &[]).contains("telemetry"));
        assert!(parts_beside(&[made("Helm")], &[]).is_empty());
    }

    #[test]
    fn collectors_and_stores_of_other_namespaces_are_looked_at() {
        let of =
            |namespace: &str, name: &str| Meta { namespace: namespace.into(), name: name.into(), ..Meta::default() };
        let made = |namespace: &str, name: &str, by: &str| {
            let labels = [("app.kubernetes.io/managed-by".to_owned(), by.to_owned())].into_iter().collect();
            Meta { labels, ..of(namespace, name) }
        };
        let all = [
            of("observability", "otel-gateway"),
            of("shop", "hotel-api"),
            of("shop", "orders-prom-exporter"),
            of("edge", "edge-prom"),
            of("jobs", "temporal-frontend"),
            of("vm", "vmagent-main"),
            of("monitoring", "thanos-query"),
            of("cluster-logging", "elasticsearch-master"),
            of("catalogs", "elasticsearch-products"),
            made("telemetry", "shop-collector", "opentelemetry-operator"),
            made("debts", "debt-collector", "Helm"),
        ];
        let found = parts_beside(&all, &["monitoring".to_owned()]);
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            ["cluster-logging", "edge", "observability", "telemetry", "vm"]
        );
    }

    #[test]
    fn what_writes_names_makes_no_part_of_its_namespace() {
        let of =
            |namespace: &str, name: &str| Meta { namespace: namespace.into(), name: name.into(), ..Meta::default() };
        let all = [
            of("dns", "external-dns"),
            of("calico-system", "calico-node"),
            of("karpenter", "karpenter"),
            of("kube-system", "external-dns"),
        ];
        let stack = ["monitoring".to_owned()];
        let parts = parts_beside(&all, &stack);
        assert!(parts.is_empty(), "{parts:?}");
        let guests = guests_beside(&all, &stack, &parts);
        assert_eq!(guests.into_iter().collect::<Vec<_>>(), ["calico-system", "dns", "karpenter"]);
        // What makes nodes, and what gives side-cars their identity.
        let all = [of("karpenter", "karpenter"), of("linkerd", "linkerd-identity"), of("shop", "karpenter-dashboard")];
        let guests = guests_beside(&all, &stack, &BTreeSet::new());
        assert_eq!(guests.into_iter().collect::<Vec<_>>(), ["karpenter", "linkerd"]);
    }

    #[test]
    fn loki_is_asked_at_its_gateway_or_its_own_port() {
        let service = |namespace: &str, name: &str, port: u16| -> Service {
            let object = serde_json::json!({"metadata": {"namespace": namespace, "name": name}, "spec": {"ports": [{"port": port}]}});
            serde_json::from_value(object).expect("a Service")
        };
        let found = |all: &[Service]| {
            loki(all, &["obs".to_owned()]).map(|c| format!("{}/{}:{}", c.namespace, c.service, c.port))
        };
        let beside = [
            service("logs", "loki-memberlist", 7946),
            service("logs", "loki-canary", 3500),
            service("logs", "loki", 3100),
        ];
        assert_eq!(found(&beside).as_deref(), Some("logs/loki:3100"));
        let gateway = [service("obs", "loki", 3100), service("obs", "loki-gateway", 80), service("logs", "loki", 3100)];
        assert_eq!(found(&gateway).as_deref(), Some("obs/loki-gateway:80"));
        assert_eq!(found(&[service("obs", "grafana", 80), service("obs", "promtail", 3101)]), None);
    }

    #[test]
    fn the_namespace_with_most_parts_comes_first() {
        let parts = BTreeMap::from([
            ("tools".to_owned(), BTreeSet::from([Part::Grafana])),
            ("obs".to_owned(), BTreeSet::from([Part::Prometheus, Part::Alertmanager])),
            ("kube-system".to_owned(), BTreeSet::from([Part::Prometheus])),
        ]);
        let with = |names: &[&str]| {
            let namespaces: Vec<_> = names.iter().map(|n| serde_json::json!({"metadata": {"name": n}})).collect();
            snapshot(serde_json::json!({"namespaces": namespaces}))
        };
        assert_eq!(stack_namespaces(parts, &with(&["monitoring"])), ["obs", "tools"]);
        let none = |names: &[&str]| stack_namespaces(BTreeMap::new(), &with(names));
        assert_eq!(none(&["default", "shop"]), ["monitoring"]);
        assert_eq!(none(&["default", "observability"]), ["observability"]);
        assert_eq!(none(&["prometheus", "monitoring"]), ["monitoring"]);
    }
}
