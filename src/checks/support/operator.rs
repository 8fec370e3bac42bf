//! Values and words of the operator's servers that several checks share.

use crate::checks::support::scrape;
use crate::domain::kubernetes::managed::{managed_by, release};
use crate::domain::kubernetes::selector::{Unmet, Wanted};
use crate::domain::prometheus::operator::chain;
use crate::domain::prometheus::operator::deployment;
use crate::domain::prometheus::operator::selection::Kind;
use crate::model::{Params, ResourceRef};
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

/// What meets a requirement, as `kubectl label` takes it: `key`, and `value` or null where the label has to go.
pub(crate) fn label_values(unmet: &[Unmet]) -> Vec<serde_json::Value> {
    let of = |u: &Unmet| {
        let value = u.value().or(matches!(u.wanted, Wanted::Present).then_some("true"));
        serde_json::json!({"key": u.key, "value": value})
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

/// `server_kind`, `server`, `server_namespace`, `server_managed`; `release`, `release_namespace`, `chart_version` where
/// kube-prometheus-stack made it.
pub(crate) fn server_params(params: &mut Params, server: &MonitoringResource) {
    let meta = &server.metadata;
    params.set("server_kind", server.kind.to_ascii_lowercase());
    params.set("server", &meta.name);
    params.set("server_namespace", &meta.namespace);
    params.set("server_managed", managed_by(meta));
    let chart = meta.label("helm.sh/chart").or(meta.label("chart"));
    let version = chart.and_then(|c| c.strip_prefix("kube-prometheus-stack-"));
    let release = release(meta).filter(|_| version.is_some());
    params.set("release", release.map(|(name, _)| name));
    params.set("release_namespace", release.map(|(_, namespace)| namespace));
    params.set("chart_version", version);
}

/// `operator`, `operator_namespace`: the operator's Deployment, the first where several are.
pub(crate) fn operator_params(params: &mut Params, snap: &Snapshot) {
    let operators = deployment::operators(snap);
    let meta = operators.first().map(|o| &o.workload.metadata);
    params.set("operator", meta.map_or("<operator-deployment>", |m| m.name.as_str()));
    params.set("operator_namespace", meta.map_or("<operator-namespace>", |m| m.namespace.as_str()));
}

/// `verify_path` or `verify_url`: what shows in Prometheus' API that an object was taken.
pub(crate) fn loaded_params(params: &mut Params, snap: &Snapshot, kind: Kind, namespace: &str, name: &str) {
    let path = match kind {
        Kind::PrometheusRule => "/api/v1/rules".to_owned(),
        Kind::AlertmanagerConfig => String::new(),
        _ => {
            let job = chain::job_names(kind, namespace, name, 0).into_iter().next().unwrap_or_default();
            let query: String = url::form_urlencoded::byte_serialize(job.as_bytes()).collect();
            format!("/api/v1/targets?state=active&scrapePool={query}")
        }
    };
    let all = scrape::api_params(snap, &path);
    let value = |name: &str| all.values().get(name).cloned().unwrap_or_default();
    let known = !path.is_empty();
    params.set("verify_path", if known { value("api_path") } else { serde_json::Value::Null });
    params.set("verify_url", if known { value("api_url") } else { serde_json::Value::Null });
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
        let word = server.kind.to_ascii_lowercase();
        let services =
            snap.services.items().unwrap_or_default().iter().filter(|s| s.metadata.namespace == meta.namespace);
        let in_front = services.filter(|s| {
            let selector = &s.spec.selector;
            selector.get(&word) == Some(&meta.name)
                || selector.get("operator.prometheus.io/name") == Some(&meta.name)
                || selector.get("app.kubernetes.io/instance") == Some(&meta.name)
                || s.metadata.name == format!("{word}-operated")
        });
        all.extend(in_front.map(|s| ResourceRef::service(&s.metadata.namespace, &s.metadata.name)));
    }
    all
}
