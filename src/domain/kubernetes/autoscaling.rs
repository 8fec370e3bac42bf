//! HorizontalPodAutoscalers: whether one can scale, and what it would want.

use crate::domain::kubernetes::index::{group_of, owner_of};
use crate::model::ResourceRef;
use crate::snapshot::kubernetes::{Autoscaler, Condition, Pod, ServiceReference};
use crate::snapshot::{Snapshot, parse_quantity};
use crate::text::pattern::pattern;
use k8s_openapi::api::autoscaling::v2::{MetricSpec, MetricStatus, MetricTarget, MetricValueStatus};

/// The API of metrics of something else than pods.
const EXTERNAL: &str = "v1beta1.external.metrics.k8s.io";
/// Seconds that metrics of new pods take to come.
const WARMING_UP: i64 = 180;
/// Seconds in which what it scales is made beside it, of one installation.
const MADE_TOGETHER: i64 = 60;
/// Seconds from which on looking back before scaling up is long: load that lasts so long has to be served.
const LONG_WINDOW: u32 = 900;
/// How far a metric may be off its target before the controller acts, as its default has it.
const TOLERANCE: f64 = 0.1;

/// Why an autoscaler does not do its work.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Stuck {
    /// The API that gives the metric is not there or does not answer.
    Api(&'static str),
    /// The API answers without values for its pods.
    NoValues,
    /// A container does not say what it requests, so there is no percentage.
    NoRequest { resource: String, container: Option<String>, pod: Option<String> },
    /// It scales by a container that its pods do not have.
    NoContainer { container: String },
    /// The API is there, and its adapter does not know the metric.
    NoMetric { metric: String, external: bool },
    /// What it scales does not exist.
    NoTarget,
    /// Another autoscaler scales the same pods.
    Ambiguous,
    /// What it scales has a selector that is none.
    Selector,
    /// At its maximum, and the metric is above its target.
    AtMax(Need),
    /// Its own rules forbid it to scale up (`behavior.scaleUp.selectPolicy: Disabled`), and the metric is above its target.
    Disabled(Need),
    /// It waits so many seconds before it scales up (`behavior.scaleUp.stabilizationWindowSeconds`), and the metric is above
    /// its target.
    Slow(Need, u32),
    /// Something else, as the condition says.
    Other,
}

/// What the formula asks for: ceil(current × metric ÷ target).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Need {
    /// `cpu`, or the name of another metric.
    pub(crate) metric: String,
    /// Value of now, as kubectl shows it.
    pub(crate) value: String,
    /// The target.
    pub(crate) target: String,
    /// Replicas of now.
    pub(crate) replicas: u32,
    /// Replicas that the formula gives.
    pub(crate) desired: u32,
}

/// What keeps an autoscaler from its work, with the condition that says so.
pub(crate) fn stuck<'a>(snap: &Snapshot, hpa: &'a Autoscaler) -> Option<(Stuck, &'a Condition)> {
    let condition = |kind: &str, status: &str| {
        let mut all = hpa.status.conditions.iter();
        all.find(|c| c.kind == kind && c.status == status)
    };
    let lasts = |c: &&Condition| {
        // Nothing has to warm up where there is nothing to scale.
        let is_absent = c.reason.as_deref() == Some("FailedGetScale")
            && c.message.as_deref().is_some_and(|m| m.contains("not found"));
        let grace = if is_absent { MADE_TOGETHER } else { WARMING_UP };
        c.last_transition_time.is_none_or(|t| snap.seconds_since(t) >= grace)
    };
    if let Some(able) = condition("AbleToScale", "False").filter(lasts)
        && able.reason.as_deref() != Some("BackoffBoth")
    {
        let is_target = able.reason.as_deref() == Some("FailedGetScale");
        return Some((if is_target { Stuck::NoTarget } else { Stuck::Other }, able));
    }
    if let Some(active) = condition("ScalingActive", "False").filter(lasts) {
        // Zero replicas switch an autoscaler off: that is how one does it on purpose.
        return (active.reason.as_deref() != Some("ScalingDisabled")).then(|| (inactive(active), active));
    }
    let waits = condition("AbleToScale", "True").filter(|c| c.reason.as_deref() == Some("ScaleUpStabilized"));
    if let (Some(waits), Some(seconds)) = (waits.filter(lasts), waiting(hpa)) {
        return Some((Stuck::Slow(need(hpa, 0)?, seconds), waits));
    }
    let limited = condition("ScalingLimited", "True").filter(lasts)?;
    match limited.reason.as_deref() {
        Some("TooManyReplicas") => Some((Stuck::AtMax(need(hpa, hpa.spec.max_replicas)?), limited)),
        Some("ScaleUpLimit") if may_not_grow(hpa) => Some((Stuck::Disabled(need(hpa, 0)?), limited)),
        _ => None,
    }
}

/// Seconds for which it looks back before it scales up, where that is long: without a rule it does not look back at all.
fn waiting(hpa: &Autoscaler) -> Option<u32> {
    let rules = hpa.spec.behavior.as_ref()?.scale_up.as_ref()?;
    let seconds = u32::try_from(rules.stabilization_window_seconds?).ok()?;
    (seconds >= LONG_WINDOW).then_some(seconds)
}

/// Its rules let it add no pod.
fn may_not_grow(hpa: &Autoscaler) -> bool {
    let rules = hpa.spec.behavior.as_ref().and_then(|b| b.scale_up.as_ref());
    rules.is_some_and(|r| r.select_policy.as_deref() == Some("Disabled"))
}

fn inactive(condition: &Condition) -> Stuck {
    let message = condition.message.as_deref().unwrap_or_default();
    let has = |part: &str| message.contains(part);
    match condition.reason.as_deref().unwrap_or_default() {
        "InvalidSelector" => return Stuck::Selector,
        "AmbiguousSelector" => return Stuck::Ambiguous,
        _ => {}
    }
    if has("missing request for") {
        return request(message);
    }
    if let Some(found) = no_metric(message).or_else(|| no_container(message)) {
        return found;
    }
    let silent = has("the server could not find the requested resource")
        || has("unable to handle the request")
        || has("the server is currently unable")
        || has("no custom metrics API")
        || has("no external metrics API")
        // The group is registered, and none of its versions answers.
        || has("no known available metric versions found")
        || has("ServiceUnavailable")
        || has("service unavailable");
    if silent {
        let external = has("external.metrics.k8s.io") || has("external metric");
        let custom = has("custom.metrics.k8s.io") || has("custom metric") || has("unable to get metric ");
        return Stuck::Api(match (external, custom) {
            (true, _) => "v1beta1.external.metrics.k8s.io",
            (_, true) => "v1beta1.custom.metrics.k8s.io",
            _ => super::api_services::METRICS,
        });
    }
    if has("no metrics returned from") || has("did not receive metrics for") || has("no matching metrics found") {
        return Stuck::NoValues;
    }
    Stuck::Other
}

/// `the server could not find the metric http_requests_per_second for pods`; `no metrics returned from external metrics API`.
fn no_metric(message: &str) -> Option<Stuck> {
    let external = message.contains("external metric");
    let (_, rest) = message.split_once("could not find the metric ")?;
    let metric = rest.split_whitespace().next()?.trim_end_matches([',', ';', ':']).to_owned();
    Some(Stuck::NoMetric { metric, external })
}

/// `container app not present in metrics for pod shop/web-5d9-abcde`.
fn no_container(message: &str) -> Option<Stuck> {
    let found = pattern!(r"container (\S+) not present in metrics for pod").captures(message)?;
    Some(Stuck::NoContainer { container: found[1].to_owned() })
}

/// Containers of what it scales, by its template.
pub(crate) fn containers<'a>(snap: &'a Snapshot, hpa: &Autoscaler) -> Vec<&'a str> {
    let target = &hpa.spec.scale_target_ref;
    let mut all = snap.workloads.items().unwrap_or_default().iter();
    let own = all.find(|w| {
        w.kind == target.kind && w.metadata.namespace == hpa.metadata.namespace && w.metadata.name == target.name
    });
    own.map(|w| w.spec.template.spec.containers.iter().map(|c| c.name.as_str()).collect()).unwrap_or_default()
}

/// Containers of what it scales that do not say how much of a resource they request.
pub(crate) fn without_request<'a>(snap: &'a Snapshot, hpa: &Autoscaler, resource: &str) -> Vec<&'a str> {
    let target = &hpa.spec.scale_target_ref;
    let mut all = snap.workloads.items().unwrap_or_default().iter();
    let own = all.find(|w| {
        w.kind == target.kind && w.metadata.namespace == hpa.metadata.namespace && w.metadata.name == target.name
    });
    let containers = own.map(|w| w.spec.template.spec.containers.as_slice()).unwrap_or_default().iter();
    // A limit without a request is a request, too.
    let asks = |c: &crate::snapshot::kubernetes::Container| {
        c.resources.requests.contains_key(resource) || c.resources.limits.contains_key(resource)
    };
    containers.filter(|c| !asks(c)).map(|c| c.name.as_str()).collect()
}

/// `missing request for cpu in container web of Pod web-5d9-abcde`.
fn request(message: &str) -> Stuck {
    let request = pattern!(r"missing request for (\S+?)(?: in container (\S+) of Pod (\S+))?(?:[,;\s]|$)");
    let found = request.captures(message);
    let part = |at: usize| found.as_ref().and_then(|f| f.get(at)).map(|m| m.as_str().to_owned());
    Stuck::NoRequest { resource: part(1).unwrap_or_else(|| "cpu".to_owned()), container: part(2), pod: part(3) }
}

/// The metric that asks for most, if it asks for more than so many.
fn need(hpa: &Autoscaler, most: u32) -> Option<Need> {
    let replicas = hpa.status.current_replicas.unwrap_or(hpa.status.desired_replicas);
    let needs = hpa.spec.metrics.iter().filter_map(|spec| need_of(spec, &hpa.status.current_metrics, replicas));
    needs.filter(|n| n.desired > most.max(replicas)).max_by_key(|n| n.desired)
}

fn need_of(spec: &MetricSpec, current: &[MetricStatus], replicas: u32) -> Option<Need> {
    let (metric, target) = target_of(spec)?;
    let value = current.iter().find_map(|status| value_of(spec, status))?;
    let (ratio, value, wanted) = ratio(target, value, replicas)?;
    if ratio <= 1.0 + TOLERANCE {
        return None;
    }
    // A count of pods is small: the product fits.
    let desired = (f64::from(replicas) * ratio).ceil() as u32;
    Some(Need { metric, value, target: wanted, replicas, desired })
}

fn target_of(spec: &MetricSpec) -> Option<(String, &MetricTarget)> {
    if let Some(m) = &spec.resource {
        return Some((m.name.clone(), &m.target));
    }
    if let Some(m) = &spec.container_resource {
        return Some((format!("{} of container {}", m.name, m.container), &m.target));
    }
    if let Some(m) = &spec.pods {
        return Some((m.metric.name.clone(), &m.target));
    }
    if let Some(m) = &spec.object {
        return Some((m.metric.name.clone(), &m.target));
    }
    spec.external.as_ref().map(|m| (m.metric.name.clone(), &m.target))
}

/// The value of a metric, where the status is of the same.
fn value_of<'s>(spec: &MetricSpec, status: &'s MetricStatus) -> Option<&'s MetricValueStatus> {
    if let (Some(a), Some(b)) = (&spec.resource, &status.resource) {
        return (a.name == b.name).then_some(&b.current);
    }
    if let (Some(a), Some(b)) = (&spec.container_resource, &status.container_resource) {
        return (a.name == b.name && a.container == b.container).then_some(&b.current);
    }
    if let (Some(a), Some(b)) = (&spec.pods, &status.pods) {
        return (a.metric.name == b.metric.name).then_some(&b.current);
    }
    if let (Some(a), Some(b)) = (&spec.object, &status.object) {
        return (a.metric.name == b.metric.name).then_some(&b.current);
    }
    let (a, b) = (spec.external.as_ref()?, status.external.as_ref()?);
    (a.metric.name == b.metric.name).then_some(&b.current)
}

/// Metric ÷ target, and both as they are shown.
fn ratio(target: &MetricTarget, value: &MetricValueStatus, replicas: u32) -> Option<(f64, String, String)> {
    if let (Some(wanted), Some(now)) = (target.average_utilization, value.average_utilization) {
        return (wanted > 0).then(|| (f64::from(now) / f64::from(wanted), format!("{now}%"), format!("{wanted}%")));
    }
    let number =
        |q: &k8s_openapi::apimachinery::pkg::api::resource::Quantity| parse_quantity(&q.0).filter(|n| *n > 0.0);
    if let (Some(wanted), Some(now)) = (&target.average_value, &value.average_value) {
        return Some((number(now)? / number(wanted)?, now.0.clone(), wanted.0.clone()));
    }
    if let (Some(wanted), Some(now)) = (&target.value, &value.value) {
        return Some((number(now)? / number(wanted)?, now.0.clone(), wanted.0.clone()));
    }
    // An average over the replicas, of which only the whole is told.
    let (wanted, now) = (target.average_value.as_ref()?, value.value.as_ref()?);
    let ratio = number(now)? / f64::from(replicas.max(1)) / number(wanted)?;
    Some((ratio, now.0.clone(), format!("{} a pod", wanted.0)))
}

/// What an autoscaler scales, as a resource.
pub(crate) fn target(hpa: &Autoscaler) -> ResourceRef {
    let target = &hpa.spec.scale_target_ref;
    ResourceRef::kubernetes(group_of(&target.kind), &target.kind, &hpa.metadata.namespace, &target.name)
}

/// A pod says why an autoscaler gets no value: that which the complaint names, or one of those that are to have values.
pub(crate) fn is_about(snap: &Snapshot, hpa: &Autoscaler, stuck: &Stuck, pod: &Pod) -> bool {
    let is_near = pod.metadata.namespace == hpa.metadata.namespace;
    is_near
        && match stuck {
            Stuck::NoRequest { pod: Some(named), .. } => pod.metadata.name == *named,
            Stuck::NoValues => snap.owner_ref(pod) == target(hpa),
            _ => false,
        }
}

/// The pod that a complaint names, where it is none of those that are scaled: their selector catches it as well.
pub(crate) fn stranger<'a>(snap: &'a Snapshot, hpa: &Autoscaler, stuck: &Stuck) -> Option<&'a Pod> {
    let mut pods = snap.pods.items().unwrap_or_default().iter();
    let named = pods.find(|p| matches!(stuck, Stuck::NoRequest { .. }) && is_about(snap, hpa, stuck, p))?;
    // A pod that another kind owns in between (a Rollout's ReplicaSet) is not told by its owner's name.
    let is_plain = matches!(hpa.spec.scale_target_ref.kind.as_str(), "Deployment" | "StatefulSet");
    (is_plain && snap.owner_ref(named) != target(hpa)).then_some(named)
}

/// The pods that are to have values, where each of them is not ready.
pub(crate) fn unready<'a>(snap: &'a Snapshot, hpa: &Autoscaler) -> Vec<&'a Pod> {
    let pods = snap.pods.items().unwrap_or_default().iter();
    let own: Vec<&Pod> = pods.filter(|p| !p.is_finished() && is_about(snap, hpa, &Stuck::NoValues, p)).collect();
    if own.iter().all(|p| !p.is_ready()) { own } else { Vec::new() }
}

/// It scales by CPU or memory, and is not switched off: it needs the metrics API.
pub(crate) fn wants_metrics_api(hpa: &Autoscaler) -> bool {
    wants(hpa, "metrics.k8s.io")
}

/// It scales by what an API gives, and is not switched off.
pub(crate) fn wants(hpa: &Autoscaler, group: &str) -> bool {
    let is_of = |m: &MetricSpec| match group {
        "metrics.k8s.io" => m.resource.is_some() || m.container_resource.is_some(),
        "custom.metrics.k8s.io" => m.pods.is_some() || m.object.is_some(),
        "external.metrics.k8s.io" => m.external.is_some(),
        _ => false,
    };
    let is_off = hpa.status.conditions.iter().any(|c| c.reason.as_deref() == Some("ScalingDisabled"));
    hpa.spec.metrics.iter().any(is_of) && !is_off && hpa.metadata.deletion_timestamp.is_none()
}

/// The ScaledObject of KEDA that makes an autoscaler, and writes it back.
pub(crate) fn scaled_object(hpa: &Autoscaler) -> Option<&str> {
    let owner = owner_of(&hpa.metadata).filter(|(kind, _)| *kind == "ScaledObject").map(|(_, name)| name);
    owner.or_else(|| hpa.metadata.name.strip_prefix("keda-hpa-"))
}

/// Who serves the external metrics, where that is not who has those of an autoscaler: KEDA for an autoscaler of somebody
/// else, or somebody else for one of KEDA's. There is one such API in a cluster.
pub(crate) fn other_adapter<'a>(snap: &'a Snapshot, hpa: &Autoscaler) -> Option<&'a ServiceReference> {
    if !hpa.spec.metrics.iter().any(|m| m.external.is_some()) {
        return None;
    }
    let api = snap.api_services.named(EXTERNAL).ok()??;
    let service = api.spec.service.as_ref().filter(|_| api.available().is_some_and(|c| c.status == "True"))?;
    let of_keda = service.name.contains("keda") || service.namespace.contains("keda");
    (of_keda != scaled_object(hpa).is_some()).then_some(service)
}

/// `namespace/name`.
pub(crate) fn named(hpa: &Autoscaler) -> String {
    format!("{}/{}", hpa.metadata.namespace, hpa.metadata.name)
}

/// An autoscaler as a resource.
pub(crate) fn reference(hpa: &Autoscaler) -> ResourceRef {
    ResourceRef::kubernetes("autoscaling", "HorizontalPodAutoscaler", &hpa.metadata.namespace, &hpa.metadata.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn hpa(now: i32, conditions: serde_json::Value) -> Autoscaler {
        serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "minReplicas": 2, "maxReplicas": 10,
                "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}]},
            "status": {"currentReplicas": 10, "desiredReplicas": 10, "conditions": conditions,
                "currentMetrics": [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": now, "averageValue": "90m"}}}]}
        }))
        .expect("an autoscaler")
    }

    fn snap() -> Snapshot {
        Snapshot::empty("2026-11-21T02:00:00Z".parse().expect("a time"))
    }

    #[test]
    fn at_its_maximum_it_is_stuck_only_above_the_target() {
        let limited = json!([{"type": "ScalingActive", "status": "True"}, {"type": "ScalingLimited", "status": "True", "reason": "TooManyReplicas"}]);
        let (found, _) = stuck(&snap(), &hpa(90, limited.clone())).expect("is stuck");
        let Stuck::AtMax(need) = found else { panic!("{found:?}") };
        assert_eq!((need.desired, need.value.as_str(), need.target.as_str()), (18, "90%", "50%"));
        assert!(stuck(&snap(), &hpa(54, limited)).is_none());
    }

    #[test]
    fn what_does_not_exist_is_told_after_a_minute() {
        let of = |reason: &str, message: &str, since: &str| {
            let able = json!([{"type": "AbleToScale", "status": "False", "reason": reason, "message": message,
                "lastTransitionTime": since}]);
            stuck(&snap(), &hpa(0, able)).map(|(s, _)| s)
        };
        let absent =
            "the HPA controller was unable to get the target's current scale: deployments.apps \"web\" not found";
        assert_eq!(of("FailedGetScale", absent, "2026-11-21T01:59:30Z"), None);
        assert_eq!(of("FailedGetScale", absent, "2026-11-21T01:58:50Z"), Some(Stuck::NoTarget));
        assert_eq!(of("FailedUpdateScale", "conflict", "2026-11-21T01:58:50Z"), None);
    }

    #[test]
    fn wants_the_api_of_its_metrics() {
        let mut hpa = hpa(0, json!([]));
        assert!(wants(&hpa, "metrics.k8s.io") && !wants(&hpa, "custom.metrics.k8s.io"));
        hpa.spec.metrics = serde_json::from_value(json!([{"type": "Pods", "pods": {"metric": {"name": "rps"},
            "target": {"type": "AverageValue", "averageValue": "5"}}}]))
        .expect("metrics");
        assert!(wants(&hpa, "custom.metrics.k8s.io") && !wants(&hpa, "external.metrics.k8s.io"));
        hpa.status.conditions =
            serde_json::from_value(json!([{"type": "ScalingActive", "status": "False", "reason": "ScalingDisabled"}]))
                .expect("conditions");
        assert!(!wants(&hpa, "custom.metrics.k8s.io"));
    }

    #[test]
    fn reads_why_it_is_not_active() {
        let of = |reason: &str, message: &str| {
            let conditions =
                json!([{"type": "ScalingActive", "status": "False", "reason": reason, "message": message}]);
            stuck(&snap(), &hpa(0, conditions)).map(|(s, _)| s)
        };
        let failed = "FailedGetResourceMetric";
        let prefix = "the HPA was unable to compute the replica count: failed to get cpu utilization: ";
        let api = format!(
            "{prefix}unable to get metrics for resource cpu: unable to fetch metrics from resource metrics API: the server could not find the requested resource (get pods.metrics.k8s.io)"
        );
        assert_eq!(of(failed, &api), Some(Stuck::Api("v1beta1.metrics.k8s.io")));
        let request = format!("{prefix}missing request for cpu in container web of Pod web-5d9-abcde");
        let expected = Stuck::NoRequest {
            resource: "cpu".into(),
            container: Some("web".into()),
            pod: Some("web-5d9-abcde".into()),
        };
        assert_eq!(of(failed, &request), Some(expected));
        let other = format!(
            "{prefix}failed to get cpu utilization: container app not present in metrics for pod shop/web-5d9-abcde"
        );
        assert_eq!(of(failed, &other), Some(Stuck::NoContainer { container: "app".into() }));
        let values =
            format!("{prefix}unable to get metrics for resource cpu: no metrics returned from resource metrics API");
        assert_eq!(of(failed, &values), Some(Stuck::NoValues));
        for (api, name) in
            [("custom", "v1beta1.custom.metrics.k8s.io"), ("external", "v1beta1.external.metrics.k8s.io")]
        {
            let dead = format!(
                "the HPA was unable to compute the replica count: unable to get metric rps: unable to fetch metrics from {api} metrics API: no known available metric versions found"
            );
            assert_eq!(of("FailedGetPodsMetric", &dead), Some(Stuck::Api(name)));
        }
        let custom = "the HPA was unable to compute the replica count: unable to get metric rps: unable to fetch metrics from custom metrics API: the server could not find the metric rps for pods";
        assert_eq!(of("FailedGetPodsMetric", custom), Some(Stuck::NoMetric { metric: "rps".into(), external: false }));
        assert_eq!(of("ScalingDisabled", "scaling is disabled since the replica count of the target is zero"), None);
    }
}
