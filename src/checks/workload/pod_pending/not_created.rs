//! Pods that a workload wants and the API server refuses to make: quota, limit ranges, admission.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::domain::kubernetes::api_storage;
use crate::domain::kubernetes::denied;
use crate::domain::kubernetes::limit_range::{self, Bound, Side};
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::owner::{Settable, has_rollout, is_settable, operator_owner};
use crate::domain::kubernetes::unschedulable::RECENT;
use crate::domain::kubernetes::webhooks;
use crate::domain::text::shorten::shorten;
use crate::model::{Cause, CheckId, Evidence, Finding, ResourceRef, Severity};
use crate::snapshot::kubernetes::{Event, LimitRange, Workload};
use crate::snapshot::{Snapshot, format_cpu, journal, parse_quantity};

/// Why the API server refuses a pod.
fn variant_of(message: &str) -> &'static str {
    let has = |part: &str| message.contains(part);
    if has("exceeded quota") {
        "quota"
    } else if has("failed quota") || has("must specify") {
        "quota-must-specify"
    } else if has("violates PodSecurity") {
        "pod-security"
    } else if has("per Container is") || has("per Pod is") || has("limit to request ratio per ") {
        "limit-range"
    } else if has("no PriorityClass with name") {
        "priority-class"
    } else if has("RuntimeClass \"") && has("not found") {
        "runtime-class"
    } else if has("service account") || has("serviceaccount") {
        "service-account"
    } else {
        "refused"
    }
}

/// One finding for each workload of the stack whose pods are refused.
pub(super) fn findings(snap: &Snapshot, check: CheckId) -> Vec<Finding> {
    let workloads = snap.workloads.items().unwrap_or_default().iter();
    let short = workloads.filter(|w| {
        snap.scope.is_judged(&w.metadata.namespace)
            && w.ready() < w.desired()
            && w.metadata.deletion_timestamp.is_none()
    });
    let of_workloads = short.filter(|w| lacks_pods(snap, w)).filter_map(|w| finding(snap, w, check));
    let of_jobs = open_jobs(snap);
    of_workloads.chain(of_jobs.iter().filter_map(|job| finding(snap, job, check))).collect()
}

/// Jobs of the stack without a pod, as workloads that want one: Helm waits for those of its hooks.
fn open_jobs(snap: &Snapshot) -> Vec<Workload> {
    let jobs = snap.jobs.items().unwrap_or_default().iter().filter(|j| snap.scope.is_stack(&j.metadata.namespace));
    let none = jobs.filter(|j| {
        let status = &j.status;
        status.succeeded + status.active + status.failed == 0 && status.completion_time.is_none() && !j.spec.suspend
    });
    none.map(|j| Workload { kind: "Job".to_owned(), metadata: j.metadata.clone(), ..Workload::default() }).collect()
}

/// Fewer pods exist than it wants; those that exist are another matter.
fn lacks_pods(snap: &Snapshot, workload: &Workload) -> bool {
    let meta = &workload.metadata;
    if !snap.pods.covers(&meta.namespace) {
        return true;
    }
    snap.pods_of_workload(workload).count() < workload.desired() as usize
}

/// What the controllers said of it: the newest event of the workload, or of the ReplicaSets of a Deployment.
fn event<'a>(snap: &'a Snapshot, workload: &Workload) -> Option<&'a Event> {
    let meta = &workload.metadata;
    let is_own = |e: &&Event| {
        let object = &e.involved_object;
        let set = |name: &str| {
            let hash = name.strip_prefix(meta.name.as_str()).and_then(|rest| rest.strip_prefix('-'));
            hash.is_some_and(|hash| !hash.is_empty() && !hash.contains('-'))
        };
        object.namespace == meta.namespace
            && match (workload.kind.as_str(), object.kind.as_str()) {
                ("Deployment", "ReplicaSet") => set(&object.name),
                (kind, other) => kind == other && object.name == meta.name,
            }
    };
    let recent = |e: &&Event| e.last_seen().is_none_or(|t| snap.collected_at.as_second() - t.as_second() <= RECENT);
    let events = snap.events.items().unwrap_or_default().iter();
    let failed = events.filter(|e| e.reason == "FailedCreate").filter(is_own).filter(recent);
    // One refusal may be a race with a deletion; the controllers try again and again.
    failed.filter(|e| e.times() > 1).max_by_key(|e| e.last_seen())
}

/// A Deployment says so in its conditions as well.
fn condition(workload: &Workload) -> Option<&str> {
    let failure = workload.status.conditions.iter().find(|c| c.kind == "ReplicaFailure" && c.status == "True")?;
    failure.message.as_deref()
}

fn finding(snap: &Snapshot, workload: &Workload, check: CheckId) -> Option<Finding> {
    // A Deployment whose pods are not refused any more says so, while the event stays for an hour.
    if workload.kind == "Deployment" && !workload.status.conditions.is_empty() && condition(workload).is_none() {
        return None;
    }
    let event = event(snap, workload);
    let meta = &workload.metadata;
    let (namespace, name) = (&meta.namespace, &meta.name);
    let left = || {
        // With the events gone, the ranges still say what they refuse; where they cannot be read, nobody said that they do.
        let all = journal::aside(|| limit_range::left_by(snap, namespace, &workload.spec.template.spec));
        (!all.is_empty()).then(|| all.iter().map(Bound::text).collect::<Vec<_>>().join(", "))
    };
    let said = condition(workload).or(event.map(|e| e.message.as_str())).map(str::to_owned).or_else(left)?;
    let message = said.as_str();
    let variant = if event.is_none() && condition(workload).is_none() { "limit-range" } else { variant_of(message) };
    let owner = workload.reference();
    let range = Range::of(snap, workload, message, variant);
    let quota = Quota::of(message).map(|q| q.now(snap, namespace));
    let why = match (variant, &quota) {
        ("limit-range", _) if range.first.is_some() => range.text(),
        ("quota", Some(quota)) => format!("ResourceQuota {} is used up ({})", quota.name, quota.text()),
        _ => shorten(message.lines().next().unwrap_or_default(), 300),
    };
    let text = format!(
        "{owner} has {} of {} pods, and the API server refuses to make more: {why}",
        workload.ready(),
        workload.desired()
    );
    let target = workload.kubectl_name();
    let mut finding = Finding::new(check, Severity::Error, owner.clone(), text)
        .key(format!("{} {variant}", owner.key()))
        .breaks(owner)
        .fix(variant)
        .param("namespace", namespace)
        .param("owner", &target)
        .param("owner_name", name)
        .param("priority_class", between(message, "no PriorityClass with name ", " "))
        .param("is_job", workload.kind == "Job")
        .param("account", workload.spec.template.spec.account())
        .param("rolls", workload.kind != "Job")
        .param("has_rollout", has_rollout(snap, &workload.reference()))
        .param("managed", managed_by(meta))
        .param("quota", quota.as_ref().map_or("", |q| q.name.as_str()))
        .param("hard", quota.as_ref().and_then(Quota::patch).unwrap_or_default());
    finding = range.tell(finding, snap, workload);
    finding = webhooks::blamed(snap, message).into_iter().fold(finding, Finding::depends_on);
    finding = denied::read(message).map(|d| d.reference(snap)).into_iter().fold(finding, Finding::depends_on);
    if api_storage::is_full(message) {
        finding = finding.depends_on(api_storage::reference(snap));
    }
    if let Some(quota) = &quota {
        let used_up = ResourceRef::kubernetes("", "ResourceQuota", namespace, &quota.name);
        let text = format!(
            "ResourceQuota {namespace}/{} is used up, and the API server refuses pods of several workloads",
            quota.name
        );
        finding = finding.cause(Cause::resource(used_up, text));
    }
    if let Some(text) = condition(workload) {
        finding = finding.evidence(
            Evidence::new(
                format!("{} {namespace}/{name}, condition ReplicaFailure", workload.kind),
                text,
                "kubectl describe -n {{ namespace }} {{ target }}",
            )
            .with("namespace", namespace)
            .with("target", &target),
        );
    }
    if let Some(event) = event {
        let object = &event.involved_object;
        finding = finding.evidence(
            Evidence::new(
                format!(
                    "event FailedCreate of {} {namespace}/{} (seen {} times)",
                    object.kind,
                    object.name,
                    event.times()
                ),
                event.message.trim(),
                "kubectl get events -n {{ namespace }} --field-selector reason=FailedCreate",
            )
            .with("namespace", namespace),
        );
    }
    Some(finding)
}

/// The LimitRange that refuses a workload's pods.
struct Range<'a> {
    bounds: Vec<Bound>,
    /// The first range that sets one of the bounds, with the path of that bound.
    first: Option<(&'a LimitRange, String)>,
    /// A patch for it that lets these pods pass.
    patch: Vec<Value>,
}

impl<'a> Range<'a> {
    fn of(snap: &'a Snapshot, workload: &Workload, message: &str, variant: &str) -> Self {
        let namespace = &workload.metadata.namespace;
        let mut bounds = if variant == "limit-range" { limit_range::bounds(message) } else { Vec::new() };
        if bounds.is_empty() && variant == "limit-range" {
            bounds = journal::aside(|| limit_range::left_by(snap, namespace, &workload.spec.template.spec));
        }
        // The message says what is refused; which object does it sharpens the fix.
        let of = |b: &Bound| journal::aside(|| limit_range::of_bound(snap, namespace, b));
        let first = bounds.iter().find_map(of);
        let own = |r: &LimitRange| first.as_ref().is_some_and(|(f, _)| f.metadata.name == r.metadata.name);
        let patch = bounds.iter().filter_map(|b| {
            let (range, path) = of(b)?;
            let asked = b.asked.as_ref().filter(|_| own(range))?;
            Some(json!({"op": "replace", "path": path, "value": asked}))
        });
        let patch = patch.collect();
        Self { bounds, first, patch }
    }

    fn text(&self) -> String {
        let said: Vec<String> = self.bounds.iter().map(Bound::text).collect();
        let name = self.first.as_ref().map_or("a LimitRange", |(r, _)| r.metadata.name.as_str());
        format!("LimitRange {name} does not allow it ({})", said.join("; "))
    }

    /// What each container would have to ask for: `-c prometheus --limits=memory=2Gi`.
    fn changes(&self, workload: &Workload) -> Vec<String> {
        let spec = &workload.spec.template.spec;
        let mut of: BTreeMap<&str, BTreeMap<&str, Vec<String>>> = BTreeMap::new();
        for bound in self.bounds.iter().filter(|b| b.per == "Container") {
            for container in limit_range::leaving(spec, bound) {
                let flag = if bound.side == Side::Max { "limits" } else { "requests" };
                let set = of.entry(&container.name).or_default();
                set.entry(flag).or_default().push(format!("{}={}", bound.resource, bound.bound));
                // A request above its limit would be refused in turn.
                let request = container.resources.requests.get(&bound.resource).and_then(|r| parse_quantity(r));
                let above = request.zip(parse_quantity(&bound.bound)).is_some_and(|(r, b)| r > b);
                if bound.side == Side::Max && above {
                    set.entry("requests").or_default().push(format!("{}={}", bound.resource, bound.bound));
                }
                // Nor may the limit stay below the request that is raised.
                let limit = container.resources.limits.get(&bound.resource).and_then(|l| parse_quantity(l));
                let below = limit.zip(parse_quantity(&bound.bound)).is_some_and(|(l, b)| l < b);
                if bound.side == Side::Min && below {
                    set.entry("limits").or_default().push(format!("{}={}", bound.resource, bound.bound));
                }
            }
        }
        let flags = |(container, set): (&str, BTreeMap<&str, Vec<String>>)| {
            let each = set.into_iter().map(|(flag, values)| format!("--{flag}={}", values.join(",")));
            format!("-c {container} {}", each.collect::<Vec<_>>().join(" "))
        };
        of.into_iter().map(flags).collect()
    }

    fn tell(&self, mut finding: Finding, snap: &Snapshot, workload: &Workload) -> Finding {
        let custom = operator_owner(&workload.metadata);
        finding = finding
            .param("range", self.first.as_ref().map_or("", |(r, _)| r.metadata.name.as_str()))
            .param("range_patch", if self.patch.is_empty() { String::new() } else { json!(self.patch).to_string() })
            .param("changes", self.changes(workload))
            .param("settable", is_settable(snap, &workload.reference()) == Settable::Yes)
            .param("custom", custom.map_or("", |(kind, _)| kind))
            .param("custom_name", custom.map_or("", |(_, name)| name));
        let Some((range, _)) = &self.first else { return finding };
        let meta = &range.metadata;
        let text = format!("LimitRange {}/{} refuses the pods of several workloads", meta.namespace, meta.name);
        let said: Vec<String> = self.bounds.iter().map(Bound::text).collect();
        let seen = Evidence::new(
            format!("LimitRange {}/{}", meta.namespace, meta.name),
            said.join("; "),
            "kubectl describe limitrange -n {{ namespace }} {{ name }}",
        );
        let seen = seen.with("namespace", &meta.namespace).with("name", &meta.name);
        finding.cause(Cause::resource(limit_range::reference(range), text)).evidence(seen)
    }
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    text.split_once(start).map_or("", |(_, rest)| rest.split(end).next().unwrap_or_default())
}

/// `exceeded quota: compute, requested: limits.memory=2Gi, used: limits.memory=3Gi, limited: limits.memory=4Gi`.
struct Quota {
    name: String,
    /// Resource, requested, used, limited, as written.
    exceeded: Vec<(String, String, String, String)>,
}

impl Quota {
    fn of(message: &str) -> Option<Self> {
        let rest = message.split_once("exceeded quota: ")?.1;
        let (name, rest) = rest.split_once(", requested: ")?;
        let (requested, rest) = rest.split_once(", used: ")?;
        let (used, limited) = rest.split_once(", limited: ")?;
        let pairs = |text: &str| -> Vec<(String, String)> {
            let all = text.trim().split(',').filter_map(|pair| pair.split_once('='));
            all.map(|(k, v)| (k.trim().to_owned(), v.trim().trim_end_matches('.').to_owned())).collect()
        };
        let value = |all: &[(String, String)], key: &str| {
            all.iter().find(|(k, _)| k == key).map(|(_, v)| v.clone()).unwrap_or_default()
        };
        let (used, limited) = (pairs(used), pairs(limited));
        let exceeded = pairs(requested)
            .into_iter()
            .map(|(key, asked)| (key.clone(), asked, value(&used, &key), value(&limited, &key)))
            .collect();
        Some(Self { name: name.trim().to_owned(), exceeded })
    }

    /// What is used and allowed now: the message is of the moment when a pod was refused.
    fn now(mut self, snap: &Snapshot, namespace: &str) -> Self {
        let mut all = snap.resource_quotas.items().unwrap_or_default().iter();
        let own = all.find(|q| q.metadata.namespace == namespace && q.metadata.name == self.name);
        for (key, _, used, limit) in &mut self.exceeded {
            let status = own.map(|q| &q.status);
            for (value, read) in [(used, status.map(|s| &s.used)), (limit, status.map(|s| &s.hard))] {
                if let Some(read) = read.and_then(|map| map.get(key)) {
                    value.clone_from(read);
                }
            }
        }
        self
    }

    fn text(&self) -> String {
        let each = self.exceeded.iter();
        let each = each.map(|(key, asked, used, limit)| format!("{key}: {asked} more than {used} of {limit}"));
        each.collect::<Vec<_>>().join("; ")
    }

    /// A merge patch that makes room for one more pod.
    fn patch(&self) -> Option<String> {
        let mut hard = serde_json::Map::new();
        for (key, asked, used, limit) in &self.exceeded {
            let sum = parse_quantity(asked)? + parse_quantity(used)?;
            // There is room by now.
            if parse_quantity(limit).is_some_and(|limit| sum <= limit) {
                continue;
            }
            let text = match key.as_str() {
                key if key.ends_with("memory") || key.ends_with("storage") => whole_bytes(sum),
                key if key.ends_with("cpu") => format_cpu(sum),
                _ => format!("{}", sum.ceil()),
            };
            hard.insert(key.clone(), text.into());
        }
        (!hard.is_empty()).then(|| serde_json::json!({"spec": {"hard": hard}}).to_string())
    }
}

/// Bytes in whole Mi or Gi, never less than asked for.
fn whole_bytes(bytes: f64) -> String {
    let mi = (bytes / 1_048_576.0).ceil();
    if mi % 1024.0 == 0.0 { format!("{}Gi", mi / 1024.0) } else { format!("{mi}Mi") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_quota_lacks() {
        let message = "pods \"grafana-0\" is forbidden: exceeded quota: compute, requested: limits.memory=2Gi,pods=1, used: limits.memory=3Gi,pods=10, limited: limits.memory=4Gi,pods=10";
        assert_eq!(variant_of(message), "quota");
        let quota = Quota::of(message).expect("a quota");
        assert_eq!(quota.name, "compute");
        assert_eq!(quota.patch().as_deref(), Some(r#"{"spec":{"hard":{"limits.memory":"5Gi","pods":"11"}}}"#));
        assert_eq!(variant_of("pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\""), "pod-security");
        assert_eq!(
            variant_of("error looking up service account monitoring/x: serviceaccount \"x\" not found"),
            "service-account"
        );
    }
}
