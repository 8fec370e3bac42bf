//! The stack runs, and its APIs give no answer.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::place::Place;
use crate::checks::{Check, check};
use crate::domain::kubernetes::proxy;
use crate::domain::prometheus::wal;
use crate::domain::traffic::unreached::{self, Unreached, Why};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::{Platform, Snapshot, journal};

const SHOW: &str = "{% if path %}kubectl get --raw {{ path }}{% else %}curl -sv {{ url }}{% endif %}";

check! {
    /// See the check's page.
    MonitoringUnreachable {
        id: "monitoring-unreachable", suite: Pipeline, severity: Error,
        title: "the stack runs and its APIs give no answer",
        requires: [Services, Pods],
        uses: [PrometheusTargets, PrometheusConfig, PrometheusRules, PrometheusRuntime, PrometheusReady, AlertmanagerStatus, AlertmanagerSilences, GrafanaHealth, GrafanaDatasources, ComponentLogs, NetworkPolicies, Namespaces, Nodes, EksCluster],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    NotReady {
        namespace: String,
        pods: Vec<String>,
        path: String,
    },
    Silent(Way),
    Isolated {
        namespace: String,
        /// The options that name the local ports of `kdoctor connect`.
        urls: Vec<String>,
        policies: Vec<String>,
        /// What answers at the first of them, and through the API server.
        answer: String,
        path: String,
    },
    Refused {
        namespace: String,
        service: String,
        pod: String,
        port: u16,
        path: String,
    },
    Url {
        name: String,
        part: String,
        url: String,
    },
}

/// Where the connections end, and another way there.
#[derive(Debug, Clone, Serialize, JsonSchema)]
struct Way {
    namespace: String,
    service: String,
    port: u16,
    local: String,
    part: String,
    path: String,
    cluster: String,
    pods: Vec<String>,
}

impl Check for MonitoringUnreachable {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let scope = &snap.scope;
        if scope.prometheus.is_none() && scope.alertmanager.is_none() && scope.grafana.is_none() {
            return Ok(Diagnosis::NotApplicable("no Service of Prometheus, Alertmanager or Grafana was found".into()));
        }
        // What is not answered is what it is about: the gaps are read one by one, and said below.
        let all = journal::aside(|| unreached::unreached(snap));
        // Whether one that is not ready still replays its log, its own log says.
        for pod in all.iter().filter(|u| u.why == Why::NoReadyPod).flat_map(|u| &u.pods) {
            wal::is_replaying(snap, pod);
        }
        let findings: Vec<Finding> = groups(snap, &all).iter().map(|group| finding(snap, group)).collect();
        match journal::aside(|| unreached::unknown(snap)) {
            Some(gap) if findings.is_empty() => Err(gap.clone()),
            _ => Ok(Diagnosis::Findings(findings)),
        }
    }
}

/// Those with one reason, together: what drops the connections to one drops those to the others. Pods that are not ready
/// have reasons of their own.
fn groups<'u, 'a>(snap: &Snapshot, all: &'u [Unreached<'a>]) -> Vec<Vec<&'u Unreached<'a>>> {
    let mut groups: Vec<Vec<&Unreached<'_>>> = Vec::new();
    for one in all {
        let alike = |g: &Vec<&Unreached<'_>>| {
            one.why == Why::Silence && g[0].why == one.why && g[0].policies(snap) == one.policies(snap)
        };
        match groups.iter_mut().find(|g| alike(g)) {
            Some(group) => group.push(one),
            None => groups.push(vec![one]),
        }
    }
    groups
}

fn subject(one: &Unreached<'_>) -> ResourceRef {
    match one.at {
        Some(at) => ResourceRef::service(&at.namespace, &at.service),
        None => ResourceRef::kubernetes("", "Service", "", one.program.name()),
    }
}

fn finding(snap: &Snapshot, group: &[&Unreached<'_>]) -> Finding {
    let first = group[0];
    let policies = if first.why == Why::Silence { first.policies(snap) } else { Vec::new() };
    // Whoever closes a namespace or mistypes a URL has no broken stack for it.
    let severity = match first.why {
        Why::Given => Severity::Warning,
        Why::Silence if !policies.is_empty() => Severity::Warning,
        _ => Severity::Error,
    };
    let mut made =
        Finding::new(MonitoringUnreachable::META.id, severity, subject(first), message(snap, group, &policies))
            .also_all(group.iter().map(|one| subject(one)))
            .breaks_nothing()
            .key(format!("{:?} {}", first.why, subject(first).key()));
    for one in group {
        made = made.evidence(evidence(one));
        if first.why != Why::Given {
            made = one.hangs_on(snap).into_iter().fold(made, Finding::depends_on);
        }
    }
    for policy in &policies {
        let seen = "selects the pods, and no rule of it admits the API server";
        let source = format!("NetworkPolicy {}", policy.name());
        let shown = Evidence::new(source, seen, "kubectl get networkpolicy {{ policy }} -n {{ namespace }} -o yaml");
        let namespace = first.at.map_or("", |at| at.namespace.as_str());
        made = made.evidence(shown.with("policy", bare(policy)).with("namespace", namespace));
    }
    made = policies.iter().cloned().fold(made, Finding::depends_on);
    made.fix(fix(snap, group, &policies))
}

fn message(snap: &Snapshot, group: &[&Unreached<'_>], policies: &[ResourceRef]) -> String {
    let first = group[0];
    let names: Vec<&str> = group.iter().map(|one| one.program.name()).collect();
    let (who, verb) = match names.as_slice() {
        [one] => ((*one).to_owned(), ("runs", "does")),
        [before @ .., last] => (format!("{} and {last}", before.join(", ")), ("run", "do")),
        [] => (String::new(), ("runs", "does")),
    };
    match first.why {
        Why::NoReadyPod => {
            let pods: Vec<String> = first.pods.iter().map(|p| p.metadata.name.clone()).collect();
            format!("{who} cannot be asked: none of its pods is ready ({})", pods.join(", "))
        }
        Why::Refused => format!(
            "{who} cannot be asked: its pod is ready, and nothing listens on the port that its Service leads to ({})",
            end(first)
        ),
        Why::Given => format!(
            "the URL given for {who} is not reached ({}): what depends on it was not judged, and the cluster was not asked for it",
            first.url.unwrap_or_default()
        ),
        Why::Silence if !policies.is_empty() => {
            let names: Vec<String> = policies.iter().map(ResourceRef::name).collect();
            let isolate = match names.as_slice() {
                [one] => format!("NetworkPolicy {one} isolates"),
                many => format!("NetworkPolicies {} isolate", many.join(", ")),
            };
            format!(
                "{who} {} and {} not answer the API server's proxy: {isolate} {} pods, and what the control plane sends is not admitted",
                verb.0,
                verb.1,
                if group.len() == 1 { "its" } else { "their" }
            )
        }
        Why::Silence => {
            let place = match snap.platform {
                Platform::Eks => "a security group, a network ACL or the nodes' network",
                _ => "a firewall or the nodes' network",
            };
            format!(
                "{who} {} and {} not answer: connections of the API server to {} time out, so {place} drops them",
                verb.0,
                verb.1,
                group.iter().map(|one| end(one)).collect::<Vec<_>>().join(", ")
            )
        }
    }
}

/// The address, or the Service where it is not told.
fn end(one: &Unreached<'_>) -> String {
    match (one.address, one.at) {
        (Some((ip, port)), _) => std::net::SocketAddr::new(ip, port).to_string(),
        (None, Some(at)) => format!("{}/{}:{}", at.namespace, at.service, at.port),
        (None, None) => one.program.name().to_owned(),
    }
}

/// Which way was tried, and what answered.
fn evidence(one: &Unreached<'_>) -> Evidence {
    let api_path = one.gap.what.split_once(' ').map_or("", |(_, path)| path);
    let path = one.at.filter(|_| one.url.is_none()).map(|at| proxy::of_component(at, api_path));
    let way = if one.url.is_some() { "at the URL given" } else { "through the API server's proxy" };
    Evidence::new(format!("{} {way}", one.gap.what), format!("{}: {}", one.gap.cause.as_str(), one.gap.message), SHOW)
        .with("path", path.unwrap_or_default())
        .with("url", one.url.unwrap_or_default())
}

/// Where `kdoctor connect` opens a port to it, unless that is taken.
fn connected(one: &Unreached<'_>) -> Option<String> {
    let at = one.at?;
    Some(format!("{}://localhost:{}{}", at.scheme, one.program.port(), at.prefix))
}

fn fix(snap: &Snapshot, group: &[&Unreached<'_>], policies: &[ResourceRef]) -> Fix {
    let one = group[0];
    let part = one.program.name().to_ascii_lowercase();
    let Some(at) = one.at.filter(|_| one.why != Why::Given) else {
        return Fix::Url { name: one.program.name().to_owned(), part, url: one.url.unwrap_or_default().to_owned() };
    };
    let api_path = one.gap.what.split_once(' ').map_or("", |(_, path)| path);
    let path = proxy::of_component(at, api_path);
    let pods: Vec<String> = one.pods.iter().map(|p| p.metadata.name.clone()).collect();
    let namespace = at.namespace.clone();
    match one.why {
        Why::NoReadyPod => Fix::NotReady { namespace, pods, path },
        Why::Refused => Fix::Refused {
            namespace,
            service: at.service.clone(),
            pod: pods.into_iter().next().unwrap_or_default(),
            port: one.address.map_or(at.port, |(_, port)| port),
            path,
        },
        Why::Silence | Why::Given => {
            let known = Place::of(snap);
            let on_eks = snap.platform == Platform::Eks;
            let way = Way {
                namespace,
                service: format!("service/{}", at.service),
                port: at.port,
                local: format!("{}://localhost:{}{}", at.scheme, at.port, at.prefix),
                part,
                path,
                cluster: if on_eks { known.cluster } else { String::new() },
                pods,
            };
            match policies {
                [] => Fix::Silent(way),
                _ => {
                    let url = |u: &&Unreached<'_>| {
                        Some([format!("--{}-url", u.program.name().to_ascii_lowercase()), connected(u)?])
                    };
                    Fix::Isolated {
                        answer: format!("{}{api_path}", connected(one).unwrap_or(way.local)),
                        namespace: way.namespace,
                        urls: group.iter().filter_map(url).flatten().collect(),
                        policies: policies.iter().map(bare).collect(),
                        path: way.path,
                    }
                }
            }
        }
    }
}

/// The name without the namespace.
fn bare(resource: &ResourceRef) -> String {
    match resource {
        ResourceRef::Kubernetes { name, .. } => name.clone(),
        other => other.name(),
    }
}
