//! An autoscaler that cannot scale, or has nothing left to add.

mod fix;
mod pods;
mod scaled;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::checks::pipeline::hpa_stuck::fix::{Fix, Way, behavior_patch, grow_patch, max_patch, target_patch};
use crate::checks::support::behind::depends_on_service;
use crate::checks::{Check, check};
use crate::domain::kubernetes::api_services::{self, METRICS};
use crate::domain::kubernetes::autoscaling::{self, Stuck, named, scaled_object};
use crate::domain::kubernetes::json_patch;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::prometheus::adapter_rules;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Autoscaler, Condition, Pod, ServiceReference};
use crate::text::near;

check! {
    /// See the check's page.
    HpaStuck {
        id: "hpa-stuck", suite: Pipeline, severity: Warning,
        title: "a HorizontalPodAutoscaler cannot do its work",
        requires: [Autoscalers],
        uses: [ApiServices, Workloads, Pods, PrometheusMetricNames, ConfigMaps, ScaledObjects, Events, Services],
        fix: Fix,
    }
}

impl Check for HpaStuck {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let mut findings = Vec::new();
        let mut by_api: BTreeMap<&'static str, Vec<(&Autoscaler, &Condition)>> = BTreeMap::new();
        for hpa in snap.autoscalers()?.iter().filter(|h| h.metadata.deletion_timestamp.is_none()) {
            let Some((stuck, condition)) = autoscaling::stuck(snap, hpa) else { continue };
            match stuck {
                Stuck::Api(api) => by_api.entry(api).or_default().push((hpa, condition)),
                other => findings.push(finding(snap, hpa, &other, condition)),
            }
        }
        findings.extend(by_api.into_iter().map(|(api, all)| without_api(snap, api, &all)));
        findings.extend(scaled::all(snap));
        Ok(Diagnosis::Findings(findings))
    }
}

fn evidence(hpa: &Autoscaler, condition: &Condition) -> Evidence {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let value =
        format!("{} {} ({}): {}", condition.kind, condition.status, text(&condition.reason), text(&condition.message));
    Evidence::new(
        format!("HorizontalPodAutoscaler {}", named(hpa)),
        value,
        "kubectl describe hpa {{ name }} -n {{ namespace }}",
    )
    .with("namespace", &hpa.metadata.namespace)
    .with("name", &hpa.metadata.name)
}

fn base(hpa: &Autoscaler, way: Way, message: String) -> Finding {
    let fix = Fix { resource: "hpa", namespace: hpa.metadata.namespace.clone(), name: hpa.metadata.name.clone(), way };
    let made = Finding::new(HpaStuck::META.id, Severity::Warning, autoscaling::reference(hpa), message);
    // KEDA makes one of each ScaledObject, and keeps it.
    let scaled = scaled_object(hpa)
        .map(|name| ResourceRef::kubernetes("keda.sh", "ScaledObject", &hpa.metadata.namespace, name));
    scaled.into_iter().fold(made, Finding::depends_on).fix(fix)
}

/// All that wait for one API.
fn without_api(snap: &Snapshot, api: &'static str, all: &[(&Autoscaler, &Condition)]) -> Finding {
    let names: Vec<String> = all.iter().map(|(h, _)| named(h)).collect();
    let (noun, verb) =
        if names.len() == 1 { ("HorizontalPodAutoscaler", "gets") } else { ("HorizontalPodAutoscalers", "get") };
    let known = snap.api_services.named(api);
    let state = match known {
        Ok(None) => "does not exist",
        _ => "does not answer",
    };
    let message = format!("{noun} {} {verb} no metrics: APIService {api} {state}", names.join(", "));
    let way = if api == METRICS { Way::MetricsApi { api } } else { Way::CustomApi };
    let mut made = base(all[0].0, way, message).key(api).depends_on(api_services::reference(api));
    for (hpa, condition) in all {
        made = made.also(autoscaling::reference(hpa)).evidence(evidence(hpa, condition));
    }
    made
}

fn finding(snap: &Snapshot, hpa: &Autoscaler, stuck: &Stuck, condition: &Condition) -> Finding {
    let of = autoscaling::target(hpa);
    let name = format!("HorizontalPodAutoscaler {}", named(hpa));
    let told = condition.message.clone().unwrap_or_default();
    let unknown = matches!(stuck, Stuck::NoMetric { external: true, .. } | Stuck::NoValues | Stuck::Other);
    if let Some(other) = autoscaling::other_adapter(snap, hpa).filter(|_| unknown) {
        return other_adapter(snap, hpa, other).evidence(evidence(hpa, condition));
    }
    if let Some(pod) = autoscaling::stranger(snap, hpa, stuck) {
        return pods::of_another(snap, hpa, stuck, pod).evidence(evidence(hpa, condition));
    }
    let made = match stuck {
        Stuck::AtMax(need) => base(
            hpa,
            Way::AtMax {
                metric: need.metric.clone(),
                desired: need.desired,
                patch: max_patch(hpa, need.desired),
                patch_back: max_patch(hpa, hpa.spec.max_replicas),
                scaled_object: scaled_object(hpa).map(str::to_owned),
                managed_by: managed_by(&hpa.metadata),
            },
            format!(
                "{name} is at its maximum of {} replicas while {} is at {} of {}: ceil({} × {} ÷ {}) = {} are wanted",
                hpa.spec.max_replicas,
                need.metric,
                need.value,
                need.target,
                need.replicas,
                need.value,
                need.target,
                need.desired
            ),
        ),
        Stuck::Disabled(need) => base(
            hpa,
            Way::Disabled {
                patch: grow_patch(hpa),
                scaled_object: scaled_object(hpa).map(str::to_owned),
                managed_by: managed_by(&hpa.metadata),
            },
            format!(
                "{name} may not scale up: its behavior.scaleUp.selectPolicy is Disabled, while {} is at {} of {}, for which {} replicas are wanted instead of {}",
                need.metric,
                need.value,
                need.target,
                need.desired.min(hpa.spec.max_replicas),
                need.replicas
            ),
        ),
        Stuck::Slow(need, seconds) => base(
            hpa,
            Way::Slow {
                window: format!("{} minutes", seconds / 60),
                patch: behavior_patch(hpa, &serde_json::json!({"stabilizationWindowSeconds": 0})),
                scaled_object: scaled_object(hpa).map(str::to_owned),
                managed_by: managed_by(&hpa.metadata),
            },
            format!(
                "{name} does not scale up yet: {} is at {} of {}, for which {} replicas are wanted instead of {}, and its behavior.scaleUp.stabilizationWindowSeconds lets it follow only what was asked for during the last {} minutes",
                need.metric,
                need.value,
                need.target,
                need.desired.min(hpa.spec.max_replicas),
                need.replicas,
                seconds / 60
            ),
        ),
        Stuck::NoRequest { resource, container, .. } => {
            let lacking = autoscaling::without_request(snap, hpa, resource);
            let containers: Vec<&str> = match container.as_deref() {
                Some(one) if lacking.is_empty() => vec![one],
                _ => lacking,
            };
            let (place, verb) = match containers.as_slice() {
                [] => (of.to_string(), "has"),
                [one] => (format!("container {one} of {of}"), "has"),
                many => (format!("containers {} of {of}", many.join(", ")), "have"),
            };
            let containers = if containers.is_empty() { vec!["<container>"] } else { containers };
            let way = Way::NoRequest {
                containers: containers.into_iter().map(str::to_owned).collect(),
                request: format!("{resource}={}", if resource == "memory" { "<memory>" } else { "<cpu>" }),
                target: of.kubectl_name(),
                in_place: matches!(hpa.spec.scale_target_ref.kind.as_str(), "Deployment" | "StatefulSet"),
                managed_by: managed_by(&hpa.metadata),
            };
            base(
                hpa,
                way,
                format!(
                    "{name} cannot scale by {resource}: {place} {verb} no {resource} request, so there is no percentage of it"
                ),
            )
        }
        Stuck::NoContainer { container } => no_container(snap, hpa, container, &told),
        Stuck::NoMetric { metric, external } => no_metric(snap, hpa, metric, *external),
        Stuck::NoTarget => {
            let kind = hpa.spec.scale_target_ref.kind.to_ascii_lowercase();
            let near = near(snap, hpa);
            let meant = meant(snap, hpa, &near);
            let way = Way::NoTarget {
                kind,
                patch: target_patch(&meant),
                patch_back: target_patch(&hpa.spec.scale_target_ref.name),
                meant,
                near,
                managed_by: managed_by(&hpa.metadata),
            };
            base(hpa, way, format!("{name} finds nothing to scale: {of}: {told}"))
        }
        Stuck::Ambiguous => {
            base(hpa, Way::Ambiguous, format!("{name} does nothing: other autoscalers scale the same pods: {told}"))
        }
        Stuck::NoValues => match autoscaling::unready(snap, hpa).as_slice() {
            [] => base(
                hpa,
                Way::NoValues { pod: String::new(), crashed: false },
                format!("{name} gets no values for the pods of {of}: {told}"),
            )
            .depends_on(of.clone())
            .depends_on(api_services::reference(METRICS)),
            unready => pods::none_ready(snap, hpa, unready),
        },
        Stuck::Selector | Stuck::Other | Stuck::Api(_) => {
            base(hpa, Way::Look, format!("{name} cannot scale {of}: {told}"))
        }
    };
    made.evidence(evidence(hpa, condition))
}

/// The API of external metrics is somebody else's.
fn other_adapter(snap: &Snapshot, hpa: &Autoscaler, other: &ServiceReference) -> Finding {
    const API: &str = "v1beta1.external.metrics.k8s.io";
    let for_keda = scaled_object(hpa).is_some();
    let served = format!("{}/{}", other.namespace, other.name);
    let (whose, by) = if for_keda { ("KEDA's", "not by KEDA") } else { ("not KEDA's", "which is KEDA's") };
    let message = format!(
        "HorizontalPodAutoscaler {} is {whose} and gets no value: the API of external metrics is served by Service {served}, {by}, and a cluster has one such API",
        named(hpa)
    );
    let api = snap.api_services.named(API).ok().flatten();
    let way = Way::OtherAdapter {
        served_by: other.name.clone(),
        served_namespace: other.namespace.clone(),
        for_keda,
        registered_by: api.map(|a| managed_by(&a.metadata)).unwrap_or_default(),
    };
    let seen =
        Evidence::new(format!("APIService {API}"), format!("Service {served}"), "kubectl get apiservice {{ api }}");
    base(hpa, way, message).evidence(seen.with("api", API))
}

/// The container that it scales by is not one of its pods', or gives no values. What is put into the pods when they are made (a
/// side-car of a mesh) does not stand in their template.
fn no_container(snap: &Snapshot, hpa: &Autoscaler, container: &str, told: &str) -> Finding {
    let (name, of) = (format!("HorizontalPodAutoscaler {}", named(hpa)), autoscaling::target(hpa));
    let containers = autoscaling::containers(snap, hpa);
    let has = |p: &Pod| p.all_containers().any(|c| c.name == container);
    let is_injected = snap.pods.items().unwrap_or_default().iter().any(|p| snap.owner_ref(p) == of && has(p));
    if containers.is_empty() || containers.contains(&container) || is_injected {
        return base(hpa, Way::Look, format!("{name} cannot scale {of}: {told}"));
    }
    let mut metrics = hpa.spec.metrics.iter().map(|m| m.container_resource.as_ref());
    let at = metrics.position(|of| of.is_some_and(|of| of.container == container));
    let meant = match containers.as_slice() {
        [only] => Some(*only),
        _ => near::near(container, containers.iter().copied()),
    };
    let patch = |from: &str, to: &str| {
        let path = format!("/spec/metrics/{}/containerResource/container", at.unwrap_or_default());
        // Whoever changed the list meanwhile is not to have another metric changed.
        json_patch::text(json_patch::swap(&path, from, to))
    };
    let meant = meant.filter(|_| at.is_some() && scaled_object(hpa).is_none()).unwrap_or_default();
    let way = Way::NoContainer {
        container: container.to_owned(),
        containers: containers.iter().map(|c| (*c).to_owned()).collect(),
        patch: patch(container, meant),
        patch_back: patch(meant, container),
        meant: meant.to_owned(),
        managed_by: managed_by(&hpa.metadata),
    };
    let message = format!(
        "{name} scales by container {container}, which the pods of {of} do not have (they have {})",
        containers.join(", ")
    );
    base(hpa, way, message)
}

/// The workload that was meant, by its name. Not one that another autoscaler scales already.
fn meant(snap: &Snapshot, hpa: &Autoscaler, near: &[String]) -> String {
    let wanted = &hpa.spec.scale_target_ref;
    let others = snap.autoscalers.items().unwrap_or_default();
    let is_taken = |name: &str| {
        others.iter().any(|o| {
            let target = &o.spec.scale_target_ref;
            o.metadata.namespace == hpa.metadata.namespace && target.kind == wanted.kind && target.name == name
        })
    };
    let found = near::near(&wanted.name, near.iter().map(String::as_str));
    found.filter(|name| !is_taken(name)).unwrap_or_default().to_owned()
}

/// The adapter answers and does not know the metric: it has no rule for it, or Prometheus has no series.
fn no_metric(snap: &Snapshot, hpa: &Autoscaler, metric: &str, external: bool) -> Finding {
    let api = if external { "external.metrics.k8s.io" } else { "custom.metrics.k8s.io" };
    let stem = stem(metric);
    let known = snap.prometheus_metric_names().ok();
    let series: Vec<&str> = known
        .into_iter()
        .flatten()
        .filter(|n| *n == metric || n.starts_with(stem))
        .take(3)
        .map(String::as_str)
        .collect();
    let ruled = series.first().and_then(|name| adapter_rules::labels(snap, name));
    let why = match (known, series.as_slice()) {
        (None, _) => "its adapter has no rule for it, or Prometheus has no series for the rule".to_owned(),
        (Some(_), []) => {
            format!("Prometheus has no metric whose name begins with {stem}, so that its adapter has nothing to serve")
        }
        (Some(_), [name, ..]) if ruled.is_some() => {
            let labels = ruled.unwrap_or_default();
            let from = if labels.is_empty() { String::new() } else { format!(" from labels {}", labels.join(" and ")) };
            format!(
                "Prometheus has {name}, and the adapter's rule for it, which takes the objects of its values{from}, makes no {metric} of it for these pods"
            )
        }
        (Some(_), names) => {
            format!("Prometheus has {}, but its adapter has no rule that makes {metric} of it", names.join(", "))
        }
    };
    let way = Way::NoMetric {
        metric: metric.to_owned(),
        path: format!("/apis/{api}/v1beta1"),
        series: series.first().copied().unwrap_or_default().to_owned(),
        stem: stem.to_owned(),
        external,
    };
    let name = format!("v1beta1.{api}");
    let made = base(
        hpa,
        way,
        format!("HorizontalPodAutoscaler {} scales by {metric}, which the API {api} does not have: {why}", named(hpa)),
    )
    .depends_on(api_services::reference(&name));
    // Without an answer of Prometheus the adapter has nothing to serve.
    match api_services::prometheus_of(snap, &name).filter(|_| known.is_none()) {
        Some(asked) => depends_on_service(snap, made, &asked.namespace, &asked.service),
        None => made,
    }
}

/// The name without what adapters add: `http_requests_per_second` is made of `http_requests_total`.
fn stem(metric: &str) -> &str {
    let suffixes = ["_per_second", "_per_minute", "_rate", "_total", "_count", "_sum", "_bucket"];
    let mut stem = metric;
    while let Some(rest) = suffixes.iter().find_map(|s| stem.strip_suffix(s)).filter(|r| !r.is_empty()) {
        stem = rest;
    }
    stem
}

/// Workloads of the kind that is meant, in the same namespace.
fn near(snap: &Snapshot, hpa: &Autoscaler) -> Vec<String> {
    let kind = &hpa.spec.scale_target_ref.kind;
    let all = snap.workloads.items().unwrap_or_default().iter();
    all.filter(|w| w.kind == *kind && w.metadata.namespace == hpa.metadata.namespace)
        .map(|w| w.metadata.name.clone())
        .collect()
}
