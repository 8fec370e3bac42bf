//! Changes of the configuration do not take effect: what runs refuses to load it again.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::seen::line_evidence;
use crate::checks::{Check, check};
use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::owner::{Target, workload};
use crate::domain::prometheus::operator;
use crate::domain::prometheus::reloader::{self, Refusal, Refused};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, Program, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Pod};

check! {
    /// See the check's page.
    ReloadRefused {
        id: "reload-refused", suite: Scrape, severity: Warning,
        title: "changes of the configuration are not loaded",
        requires: [Pods],
        uses: [PartLogs, Workloads, MonitoringResources, Crds],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Lifecycle {
        #[serde(flatten)]
        at: At,
        patch: String,
        patched: bool,
    },
    Login {
        #[serde(flatten)]
        at: At,
        operator: String,
        strategy: String,
    },
    Path {
        #[serde(flatten)]
        at: At,
        prefix: String,
        asks: String,
    },
    Variable {
        #[serde(flatten)]
        at: At,
        variable: String,
        reference: String,
        /// Where it may stand: kinds that the API server has.
        kinds: String,
    },
}

/// What all fixes name.
#[derive(Serialize, JsonSchema)]
struct At {
    namespace: String,
    owner: String,
    container: String,
    managed_by: String,
}

impl Check for ReloadRefused {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let reloads =
            |p: &Pod| p.spec.containers.iter().any(|c| c.name.contains("reload") || c.image.contains("reload"));
        if !snap.pods()?.iter().any(reloads) {
            return Ok(Diagnosis::NotApplicable("no side-car reloads a configuration".into()));
        }
        let findings = reloader::refused(snap)?.into_iter().filter_map(|r| finding(snap, &r));
        Ok(Diagnosis::Findings(findings.collect()))
    }
}

/// The program that the side-car reloads.
fn program(pod: &Pod) -> Option<&Container> {
    pod.spec.containers.iter().find(|c| matches!(c.program(), Some(Program::Prometheus | Program::Alertmanager)))
}

fn finding(snap: &Snapshot, refused: &Refused<'_>) -> Option<Finding> {
    let log = refused.log;
    let pod = snap.pod_of_log(log)?;
    let program = program(pod)?;
    let name = if program.program() == Some(Program::Alertmanager) { "Alertmanager" } else { "Prometheus" };
    let target = Target::of(snap, pod);
    let why = match refused.refusal {
        Refusal::LifecycleOff => "its lifecycle API is switched off (403)".to_owned(),
        Refusal::Login => "it asks for a login (401), which the side-car does not have".to_owned(),
        Refusal::Path => {
            "it has no such path (404): it runs with another path prefix than the side-car asks for".to_owned()
        }
        Refusal::Variable => {
            let variable = reloader::variable(&refused.text).unwrap_or_default();
            format!("it refers to $({variable}), and the side-car has no environment variable {variable}")
        }
    };
    let until = match refused.refusal {
        Refusal::Variable => "it runs with the old one, whatever else is changed",
        _ => "until its next restart it runs with the old one",
    };
    let message = format!(
        "side-car {} cannot make {name} ({}) load its changed configuration: {why}; {until}",
        log.container, target.name
    );
    let resource = target.operator_ref(&log.namespace);
    let owner = snap.owner_ref(pod);
    let key = format!("{} {:?}", owner.key(), refused.refusal);
    let made = Finding::new(ReloadRefused::META.id, Severity::Warning, owner, message)
        .key(key)
        .breaks_nothing()
        .depends_on(ResourceRef::pod(&log.namespace, &log.pod))
        .evidence(line_evidence(log, &refused.text))
        .evidence(arguments_seen(pod, program))
        .fix(fix(snap, refused, pod, program, &target));
    // Nothing new reaches the server.
    Some(match resource {
        Some(resource) if refused.refusal == Refusal::Variable => made.breaks(resource),
        _ => made,
    })
}

fn arguments_seen(pod: &Pod, container: &Container) -> Evidence {
    let meta = &pod.metadata;
    let web: Vec<&str> = container.args.iter().map(String::as_str).filter(|a| a.contains("web.")).collect();
    let value = if web.is_empty() { "no --web.* argument".to_owned() } else { web.join(" ") };
    let source = format!("Pod {}/{}, arguments of container {}", meta.namespace, meta.name, container.name);
    Evidence::new(source, value, "kubectl get pod {{ pod }} -n {{ namespace }} -o yaml")
        .with("namespace", &meta.namespace)
        .with("pod", &meta.name)
}

fn fix(snap: &Snapshot, refused: &Refused<'_>, pod: &Pod, program: &Container, target: &Target<'_>) -> Fix {
    let log = refused.log;
    let at = At {
        namespace: log.namespace.clone(),
        owner: target.name.clone(),
        container: log.container.clone(),
        managed_by: target.managed_by.clone(),
    };
    match refused.refusal {
        Refusal::LifecycleOff => {
            let of = workload(snap, &target.owner);
            // Without a list of arguments there is nothing to add to.
            let patched = target.in_place() && of.is_some() && !program.args.is_empty();
            Fix::Lifecycle { at, patch: arguments::adding(of, &program.name, "--web.enable-lifecycle"), patched }
        }
        Refusal::Login => {
            let strategy = serde_json::json!({"spec": {"reloadStrategy": "ProcessSignal"}});
            let operator = if target.operator_kind() == "prometheus" { target.operator_name() } else { "" };
            Fix::Login { at, operator: operator.to_owned(), strategy: strategy.to_string() }
        }
        Refusal::Variable => {
            let variable = reloader::variable(&refused.text).unwrap_or_default().to_owned();
            Fix::Variable { at, reference: format!("$({variable})"), variable, kinds: operator::scraping(snap) }
        }
        Refusal::Path => {
            let prefix = arguments::flag(program, "web.route-prefix").unwrap_or("/").to_owned();
            let sidecar = pod.spec.containers.iter().find(|c| c.name == log.container);
            let asks = sidecar.and_then(|c| {
                ["reload-url", "webhook-url"].iter().find_map(|f| arguments::flag(c, f)).map(str::to_owned)
            });
            Fix::Path { at, prefix, asks: asks.unwrap_or_default() }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::snapshot;
    use crate::snapshot::monitoring::ContainerLog;

    fn with(code: &str) -> Snapshot {
        let mut snap = snapshot(json!({
            "pods": [{
                "metadata": {"namespace": "monitoring", "name": "prometheus-1", "ownerReferences": [{"kind": "Deployment", "name": "prometheus", "controller": true}]},
                "spec": {"containers": [
                    {"name": "configmap-reload", "image": "quay.io/prometheus-operator/prometheus-config-reloader:v0.80.0", "args": ["--reload-url=http://localhost:9090/-/reload"]},
                    {"name": "prometheus", "image": "prom/prometheus:v3.5.0", "args": ["--config.file=/etc/p.yml", "--web.route-prefix=/prom"]}]},
                "status": {"phase": "Running"}}],
            "workloads": [{"metadata": {"namespace": "monitoring", "name": "prometheus"}, "spec": {"template": {"spec": {"containers": [
                {"name": "configmap-reload"}, {"name": "prometheus", "args": ["--config.file=/etc/p.yml"]}]}}}}],
        }));
        let line = format!(
            "ts=2026-11-21T01:58:00Z level=error msg=\"function failed\" err=\"trigger reload: received non-200 response: {code}\"\n"
        );
        *snap.part_logs = Ok(vec![ContainerLog {
            namespace: "monitoring".into(),
            pod: "prometheus-1".into(),
            container: "configmap-reload".into(),
            text: line.repeat(3).into(),
            ..ContainerLog::default()
        }]);
        snap
    }

    #[test]
    fn each_refusal_has_its_fix() {
        assert!(findings(&ReloadRefused, &with("500 Internal Server Error")).is_empty());
        let off = findings(&ReloadRefused, &with("403 Forbidden"));
        assert!(steps(&off[0]).contains("/spec/template/spec/containers/1/args/-"), "{}", steps(&off[0]));
        assert_eq!(findings(&ReloadRefused, &with("401 Unauthorized"))[0].variant, "login");
        let path = findings(&ReloadRefused, &with("404 Not Found"));
        assert!(steps(&path[0]).contains("/prom"), "{}", steps(&path[0]));
    }
}
