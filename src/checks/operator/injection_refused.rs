//! Pods start without the instrumentation or the collector that they ask the OpenTelemetry operator for.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::checks::support::seen::line_evidence;
use crate::checks::{Check, check};
use crate::domain::kubernetes::image::base_of;
use crate::domain::kubernetes::injection::{self, LetIn, Part, Why};
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::owner::{Settable, is_settable, workload};
use crate::domain::text::log_line;
use crate::domain::text::windows::RECENT;
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;
use crate::snapshot::monitoring::ContainerLog;

check! {
    /// See the check's page.
    InjectionRefused {
        id: "injection-refused", suite: Operator, severity: Warning,
        title: "pods start without the instrumentation that they ask for",
        requires: [Pods],
        uses: [PartLogs, Workloads],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Name {
        namespace: String,
        /// The workload; empty where it is not known, or cannot be changed in place.
        target: String,
        /// `instrumentations.opentelemetry.io`.
        resource: &'static str,
        /// It is a collector that is to run beside the program.
        collector: bool,
        /// The annotation that asks for it.
        asks: String,
        /// Names the one that is to be used.
        patch: String,
        managed: String,
    },
}

/// Images of the operator, and of the one that AWS builds.
const OPERATORS: &[&str] = &["opentelemetry-operator", "adot-operator"];

/// Annotations that ask for an agent, and for a collector.
const INSTRUMENTS: &str = "instrumentation.opentelemetry.io/inject-";
const SIDECAR: &str = "sidecar.opentelemetry.io/inject";

impl Check for InjectionRefused {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let mut containers = snap.pods()?.iter().flat_map(|p| &p.spec.containers);
        if !containers.any(|c| OPERATORS.contains(&base_of(&c.image))) {
            return Ok(Diagnosis::NotApplicable(
                "no OpenTelemetry operator runs in the namespaces that were read".into(),
            ));
        }
        // Of what is said of pods of one name the last counts.
        let mut last: BTreeMap<(String, String, Part), (LetIn<'_>, &ContainerLog)> = BTreeMap::new();
        for log in snap.part_logs()?.iter().filter(|l| !l.previous) {
            for said in injection::let_in(log) {
                last.insert((said.namespace.clone(), said.pod.clone(), said.part), (said, log));
            }
        }
        Ok(Diagnosis::Findings(last.values().filter_map(|(said, log)| finding(snap, said, log)).collect()))
    }
}

fn finding(snap: &Snapshot, said: &LetIn<'_>, log: &ContainerLog) -> Option<Finding> {
    let pod = lacking(snap, said)?;
    let owner = pod.map_or_else(|| by_name(said), |p| snap.owner_ref(p));
    let (what, kind) = match said.part {
        Part::Instrumentation => ("the OpenTelemetry instrumentation", "Instrumentation"),
        Part::Collector => ("the OpenTelemetry collector beside them", "OpenTelemetryCollector"),
    };
    let namespace = &said.namespace;
    let why = match &said.why {
        Why::None => format!("namespace {namespace} has no {kind}, and no other one is named"),
        Why::Several => format!("namespace {namespace} has several objects of kind {kind}, and none is named"),
        Why::Missing(name) => format!("there is no {kind} {name}"),
    };
    let message = format!("pods of {owner} start without {what} that they ask for: {why}");
    Some(
        Finding::new(InjectionRefused::META.id, Severity::Warning, owner.clone(), message)
            .key(format!("{} {kind}", owner.key()))
            .evidence(line_evidence(log, said.line))
            .breaks_nothing()
            .fix(fix(snap, said, pod, &owner)),
    )
}

/// The pod, where it runs without what it asked for; `None` in it where its namespace is not read, and it was let in lately.
fn lacking<'a>(snap: &'a Snapshot, said: &LetIn<'_>) -> Option<Option<&'a Pod>> {
    // `api-` is the beginning of `api-x2k9z`, and not of `api-gateway-5c-x2k9z`.
    let is_named = |name: &str| {
        let rest = name.strip_prefix(&said.pod);
        rest.is_some_and(|rest| rest.is_empty() || (said.pod.ends_with('-') && !rest.contains('-')))
    };
    let is_it = |p: &&Pod| p.metadata.namespace == said.namespace && !said.pod.is_empty() && is_named(&p.metadata.name);
    let mut own = snap.pods.items().unwrap_or_default().iter().filter(is_it).peekable();
    if own.peek().is_some() {
        return own.find(|p| !has(p, said.part)).map(Some);
    }
    let lately = log_line::age(said.line, snap.collected_at).is_some_and(|age| age <= RECENT);
    (lately && !snap.pods.covers(&said.namespace)).then_some(None)
}

/// Whose pod it is, by its name alone: a Deployment's pods have the hash of their template in it.
fn by_name(said: &LetIn<'_>) -> ResourceRef {
    let name = said.pod.trim_end_matches('-');
    let deployment = said.pod.ends_with('-').then(|| name.rsplit_once('-')).flatten();
    let is_hash =
        |hash: &str| (8..=10).contains(&hash.len()) && hash.chars().all(|c| "bcdfghjklmnpqrstvwxz2456789".contains(c));
    match deployment.filter(|pair| is_hash(pair.1)) {
        Some((deployment, _)) => ResourceRef::workload("Deployment", &said.namespace, deployment),
        None => ResourceRef::pod(&said.namespace, name),
    }
}

/// The operator has put it in.
fn has(pod: &Pod, part: Part) -> bool {
    pod.all_containers().any(|c| match part {
        Part::Instrumentation => c.name.starts_with("opentelemetry-auto-instrumentation"),
        Part::Collector => c.name == "otc-container",
    })
}

fn fix(snap: &Snapshot, said: &LetIn<'_>, pod: Option<&Pod>, owner: &ResourceRef) -> Fix {
    let collector = said.part == Part::Collector;
    let prefix = if collector { SIDECAR } else { INSTRUMENTS };
    let asked = pod.and_then(|p| p.metadata.annotations.keys().find(|key| key.starts_with(prefix)));
    let unknown = if collector { SIDECAR.to_owned() } else { format!("{INSTRUMENTS}<language>") };
    let asks = asked.cloned().unwrap_or(unknown);
    let owned = workload(snap, owner);
    let annotations = json!({asks.as_str(): "<namespace>/<name>"});
    Fix::Name {
        namespace: said.namespace.clone(),
        // The template of a Job cannot be changed, and what an operator makes is made again from its own resource.
        target: if is_settable(snap, owner) == Settable::Yes { owner.kubectl_name() } else { String::new() },
        resource: if collector {
            "opentelemetrycollectors.opentelemetry.io"
        } else {
            "instrumentations.opentelemetry.io"
        },
        collector,
        patch: json!({"spec": {"template": {"metadata": {"annotations": annotations}}}}).to_string(),
        asks,
        managed: owned.map(|w| managed_by(&w.metadata)).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::snapshot;

    fn with(containers: &serde_json::Value) -> Snapshot {
        named("api-5c-x2k9z", containers)
    }

    fn named(pod: &str, containers: &serde_json::Value) -> Snapshot {
        let mut snap = snapshot(json!({"pods": [{
            "metadata": {"namespace": "shop", "name": pod,
                "annotations": {"instrumentation.opentelemetry.io/inject-java": "true"},
                "ownerReferences": [{"kind": "StatefulSet", "name": "api", "controller": true}]},
            "spec": {"containers": [{"name": "api", "image": "api:1"}], "initContainers": containers},
            "status": {"phase": "Running"}
        }, {
            "metadata": {"namespace": "otel", "name": "operator-0"},
            "spec": {"containers": [{"name": "manager", "image": "ghcr.io/open-telemetry/opentelemetry-operator:0.139.0"}]},
            "status": {"phase": "Running"}
        }]}));
        let line = r#"{"level":"ERROR","timestamp":"2026-11-21T01:31:43Z","message":"failed to select an OpenTelemetry Instrumentation instance for this pod","namespace":"shop","name":"","generateName":"api-5c-","error":"no OpenTelemetry Instrumentation instances available"}"#;
        *snap.part_logs = Ok(vec![ContainerLog { text: line.into(), ..ContainerLog::default() }]);
        snap
    }

    #[test]
    fn a_deployment_is_known_by_the_names_of_its_pods() {
        let of = |pod: &str| {
            by_name(&LetIn {
                part: Part::Instrumentation,
                why: Why::None,
                namespace: "shop".into(),
                pod: pod.into(),
                line: "",
            })
            .kubectl_name()
        };
        assert_eq!(of("flash-api-87f98f4bd-"), "deployment/flash-api");
        assert_eq!(of("nightly-report-"), "pod/nightly-report");
        assert_eq!(of("db-0"), "pod/db-0");
    }

    #[test]
    fn what_was_put_in_since_is_well() {
        let found = findings(&InjectionRefused, &with(&json!([])));
        assert!(found[0].message.contains("namespace shop has no Instrumentation"), "{}", found[0].message);
        assert!(steps(&found[0]).contains("inject-java"), "{}", steps(&found[0]));
        let since = with(&json!([{"name": "opentelemetry-auto-instrumentation-java", "image": "x"}]));
        assert!(findings(&InjectionRefused, &since).is_empty());
        let other = named("api-5c-gateway-7d-x2k9z", &json!([]));
        assert!(findings(&InjectionRefused, &other).is_empty(), "a pod of another workload");
    }
}
