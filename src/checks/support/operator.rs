//! Values and words of the operator's servers that several checks share.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::scrape::Api;
use crate::domain::kubernetes::managed::{managed_by, release};
use crate::domain::kubernetes::selector::{Unmet, Wanted};
use crate::domain::prometheus::operator::chain;
use crate::domain::prometheus::operator::deployment;
use crate::domain::prometheus::operator::front;
use crate::domain::prometheus::operator::selection::Kind;
use crate::model::ResourceRef;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{MonitoringResource, Pod};

/// `Prometheus monitoring/k8s`.
pub(crate) fn server_text(server: &MonitoringResource) -> String {
    format!("{} {}/{}", server.kind, server.metadata.namespace, server.metadata.name)
}

/// What an object has where a selector wants something else: `release=prom, no label team`.
pub(crate) fn found_text(unmet: &[Unmet]) -> String {
    let of = |u: &Unmet| u.found.as_ref().map_or_else(|| format!("no label {}", u.key), |v| format!("{}={v}", u.key));
    unmet.iter().map(of).collect::<Vec<_>>().join(", ")
}

/// A label as `kubectl label` takes it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Label {
    key: String,
    /// None where the label has to go.
    value: Option<String>,
}

/// What meets the requirements.
pub(crate) fn labels(unmet: &[Unmet]) -> Vec<Label> {
    let of = |u: &Unmet| {
        let value = u.value().or(matches!(u.wanted, Wanted::Present).then_some("true"));
        Label { key: u.key.clone(), value: value.map(str::to_owned) }
    };
    unmet.iter().map(of).collect()
}

/// One line: what a program said over several.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Where kube-prometheus-stack keeps a server's spec in its values.
pub(crate) fn values_base(server: &MonitoringResource) -> &'static str {
    match server.kind.as_str() {
        "Alertmanager" => "alertmanager.alertmanagerSpec",
        "ThanosRuler" => "thanosRuler.thanosRulerSpec",
        _ => "prometheus.prometheusSpec",
    }
}

/// One operation of a JSON patch that makes a selector select everything. A merge would keep what stands there.
pub(crate) fn add_patch(field: &str) -> String {
    format!("{{\"op\":\"add\",\"path\":\"/spec/{field}\",\"value\":{{}}}}")
}

/// A server as commands name it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Server {
    server_kind: String,
    server: String,
    server_namespace: String,
    /// Who keeps it; empty where nobody does.
    server_managed: String,
}

impl Server {
    /// Of the operator's resource.
    pub(crate) fn of(server: &MonitoringResource) -> Self {
        let meta = &server.metadata;
        Self {
            server_kind: server.kind.to_ascii_lowercase(),
            server: meta.name.clone(),
            server_namespace: meta.namespace.clone(),
            server_managed: managed_by(meta),
        }
    }
}

/// The release of kube-prometheus-stack that made a server; none where something else did.
#[derive(Serialize, JsonSchema)]
pub(crate) struct StackRelease {
    release: Option<String>,
    release_namespace: Option<String>,
    chart_version: Option<String>,
}

impl StackRelease {
    /// Of the operator's resource.
    pub(crate) fn of(server: &MonitoringResource) -> Self {
        let meta = &server.metadata;
        let chart = meta.label("helm.sh/chart").or(meta.label("chart"));
        let version = chart.and_then(|c| c.strip_prefix("kube-prometheus-stack-"));
        let (release, release_namespace) = release(meta).filter(|_| version.is_some()).unzip();
        Self {
            release: release.map(str::to_owned),
            release_namespace: release_namespace.map(str::to_owned),
            chart_version: version.map(str::to_owned),
        }
    }
}

/// The operator's Deployment, the first where several are.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Operator {
    operator: String,
    operator_namespace: String,
}

impl Operator {
    /// Of the cluster.
    pub(crate) fn of(snap: &Snapshot) -> Self {
        let operators = deployment::operators(snap);
        let meta = operators.first().map(|o| &o.workload.metadata);
        Self {
            operator: meta.map_or("<operator-deployment>", |m| m.name.as_str()).to_owned(),
            operator_namespace: meta.map_or("<operator-namespace>", |m| m.namespace.as_str()).to_owned(),
        }
    }
}

/// What shows in Prometheus' API that an object was taken; none for what Prometheus does not load.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Loaded {
    /// Through the API server.
    verify_path: Option<String>,
    verify_url: Option<String>,
}

impl Loaded {
    /// Of an object.
    pub(crate) fn of(snap: &Snapshot, kind: Kind, namespace: &str, name: &str) -> Self {
        let path = match kind {
            Kind::AlertmanagerConfig => return Self { verify_path: None, verify_url: None },
            Kind::PrometheusRule => "/api/v1/rules".to_owned(),
            _ => {
                let job = chain::job_names(kind, namespace, name, 0).into_iter().next().unwrap_or_default();
                let query: String = url::form_urlencoded::byte_serialize(job.as_bytes()).collect();
                format!("/api/v1/targets?state=active&scrapePool={query}")
            }
        };
        let Api { api_path, api_url } = Api::of(snap, &path);
        Self { verify_path: api_path, verify_url: Some(api_url) }
    }
}

/// `-0`, or `-shard-1-0`: a pod of the set itself, and not of another one whose name begins alike.
fn is_ordinal(rest: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let Some(rest) = rest.strip_prefix('-') else { return false };
    let sharded = rest.strip_prefix("shard-").and_then(|r| r.split_once('-'));
    number(rest) || sharded.is_some_and(|(shard, pod)| number(shard) && number(pod))
}

/// The servers, their StatefulSets and pods, and the Services in front of them.
pub(crate) fn broken(snap: &Snapshot, servers: &[&MonitoringResource]) -> Vec<ResourceRef> {
    let mut all = Vec::new();
    for server in servers {
        let (meta, set) = (&server.metadata, server.set_name());
        all.push(server.reference());
        all.push(ResourceRef::kubernetes("apps", "StatefulSet", &meta.namespace, &set));
        let pods = snap.pods.items().unwrap_or_default().iter();
        let of_set = |p: &&Pod| {
            p.metadata.namespace == meta.namespace && p.metadata.name.strip_prefix(&set).is_some_and(is_ordinal)
        };
        all.extend(pods.filter(of_set).map(|p| ResourceRef::pod(&p.metadata.namespace, &p.metadata.name)));
        let services = snap.services.items().unwrap_or_default().iter();
        let in_front = services.filter(|s| front::is_before(s, server));
        all.extend(in_front.map(|s| ResourceRef::service(&s.metadata.namespace, &s.metadata.name)));
    }
    all
}
