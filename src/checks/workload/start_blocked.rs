//! An init container or a side-car keeps the other containers of its pod from starting.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::severity::severity_of;
use crate::checks::{Check, check};
use crate::domain::crash::{last_lines, telling};
use crate::domain::kubernetes::init_helper::{self, Helper};
use crate::domain::kubernetes::owner::has_rollout;
use crate::domain::kubernetes::starting::{self, Held, Progress};
use crate::domain::text::shorten::shorten;
use crate::domain::text::windows::RECENT;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Pod, Service};
use crate::text::pattern::pattern;

check! {
    /// See the check's page.
    StartBlocked {
        id: "start-blocked", suite: Workload, severity: Error,
        title: "an init container or side-car keeps a pod from starting",
        requires: [Pods],
        uses: [CrashLogs, Events, Services, EndpointSlices, Workloads],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    namespace: String,
    pod: String,
    container: String,
    owner: String,
    has_rollout: bool,
    /// A Service that it asks and that has no ready pod.
    service: Option<String>,
    service_namespace: Option<String>,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    SideCar {
        /// Path of its startup probe's definition, for kubectl.
        probe_path: String,
    },
    /// It has no startup probe, and is started once this has ended.
    Hook {
        hook_path: String,
    },
    Init {
        command_path: String,
    },
    Vault {
        account: String,
        /// Role, as the pod names it; empty where that is not known.
        role: String,
        mount: String,
        /// The path that it may not read; empty where the login is refused.
        path: String,
    },
    Velero {
        velero: String,
        restore: String,
        node: String,
        /// The agent has no pod on the node.
        absent: bool,
    },
    Watcher {
        /// Empty where it has none.
        method: String,
    },
}

impl From<Helper> for Way {
    fn from(helper: Helper) -> Self {
        match helper {
            Helper::Vault { account, role, mount, path, .. } => Self::Vault { account, role, mount, path },
            Helper::Velero { velero, restore, node, absent, .. } => Self::Velero { velero, restore, node, absent },
            Helper::Watcher { method } => Self::Watcher { method },
        }
    }
}

impl Check for StartBlocked {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let mut all: BTreeMap<(ResourceRef, String), Vec<&Pod>> = BTreeMap::new();
        for pod in snap.pods()?.iter().filter(|p| snap.scope.is_judged(&p.metadata.namespace)) {
            // What exits with an error of its own is crash-looping, which is told elsewhere.
            let Some(held) = starting::stuck(snap, pod).filter(|h| !starting::failed_by_itself(h)) else { continue };
            all.entry((snap.owner_ref(pod), held.container.name.clone())).or_default().push(pod);
        }
        let findings = all.into_iter().filter_map(|((owner, _), pods)| finding(snap, &owner, &pods));
        Ok(Diagnosis::Findings(findings.collect()))
    }
}

fn finding(snap: &Snapshot, owner: &ResourceRef, pods: &[&Pod]) -> Option<Finding> {
    let pod = *pods.first()?;
    let held = starting::stuck(snap, pod)?;
    let (meta, name) = (&pod.metadata, &held.container.name);
    let said = log_of(snap, pod, name);
    let probe = failed_probe(snap, pod);
    let lines = said.as_deref().map(last_lines).unwrap_or_default();
    let service = said.as_deref().and_then(|text| asked_in_vain(snap, pod, text));
    let helper = init_helper::read(snap, pod, held.container, said.as_deref().unwrap_or_default());
    let is_endless = matches!(helper, Some(Helper::Watcher { .. }));
    let progress = match (held.side_car, &said) {
        (true, _) => Progress::Fails,
        // What it writes as things change brings it no nearer to an end.
        _ if is_endless => Progress::Unknown,
        (false, Some(text)) => starting::progress(text, snap.collected_at),
        (false, None) => Progress::Unknown,
    };
    let probed = held.container.startup_probe.is_some();
    let what = match (held.side_car, &probe) {
        (true, Some(probe)) => format!("side-car {name} does not start ({probe})"),
        (true, None) if probed => format!("side-car {name} runs, and its startup probe has not passed yet"),
        (true, None) => format!("side-car {name} runs, and has not started: its postStart hook has not ended"),
        (false, _) => init(&held, progress, snap),
    };
    // Of what stands on several lines, the last one that is a sentence, or tells of a failure in two words.
    let words = |l: &String| l.split_whitespace().filter(|w| w.chars().any(char::is_alphabetic)).count();
    let fails = |l: &str| starting::says_failure(l) && !l.trim_end().ends_with(':');
    let line = lines.iter().rev().find(|l| words(l) > 2 || (words(l) == 2 && fails(l)));
    let line = line.map(|l| l.trim_start_matches(['|', '*', ' ']).to_owned());
    let line = line.or_else(|| telling(&lines)).map(|l| shorten(&l, 200));
    let why = match (&service, line) {
        _ if helper.is_some() => helper.as_ref().map(|h| format!(": {}", h.says())).unwrap_or_default(),
        (Some(service), _) => format!(
            ": it asks Service {}/{}, which has no ready pod",
            service.metadata.namespace, service.metadata.name
        ),
        (None, Some(line)) => format!(": its log says: {line}"),
        (None, None) => String::new(),
    };
    let which = match pods {
        [_] => format!("pod {}/{}", meta.namespace, meta.name),
        many => format!("{} pods of {owner}", many.len()),
    };
    let severity = match (progress, severity_of(snap, pod, Severity::Error)) {
        (Progress::Works, _) => Severity::Info,
        (Progress::Unknown, Severity::Error) if !is_endless => Severity::Warning,
        (_, severity) => severity,
    };
    let mut made = Finding::new(
        StartBlocked::META.id,
        severity,
        owner.clone(),
        format!("{what}, and the other containers of {which} wait for it{why}"),
    )
    .key(format!("{} {name}", owner.key()))
    .breaks(owner.clone());
    for pod in pods {
        let own = ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name);
        made = made.also(own.clone()).breaks(own);
    }
    if let Some(service) = service {
        made = made.depends_on(ResourceRef::service(&service.metadata.namespace, &service.metadata.name));
        made = made.depends_on_all(snap.pods_of_service(service).map(|p| snap.owner_ref(p)));
    }
    let about = |e: Evidence| e.with("namespace", &meta.namespace).with("pod", &meta.name).with("container", name);
    let restarts = held.status.restart_count;
    let state = match restarts {
        0 => "running, not started".to_owned(),
        n => format!("running, not started, {n} restarts"),
    };
    let source = format!("Pod {}/{}, {name}", meta.namespace, meta.name);
    made = made.evidence(about(Evidence::new(source, state, "kubectl describe pod {{ pod }} -n {{ namespace }}")));
    if !lines.is_empty() {
        let show = "kubectl logs -n {{ namespace }} {{ pod }} -c {{ container }} --tail=50";
        let source = format!("log of {name} of Pod {}/{}", meta.namespace, meta.name);
        made = made.evidence(about(Evidence::new(source, lines.join("\n"), show)));
    }
    let path = |field: &str| format!("jsonpath={{.spec.initContainers[?(@.name==\"{name}\")].{field}}}");
    Some(made.fix(Fix {
        namespace: meta.namespace.clone(),
        pod: meta.name.clone(),
        container: name.clone(),
        owner: owner.kubectl_name(),
        has_rollout: has_rollout(snap, owner),
        service: service.map(|s| s.metadata.name.clone()),
        service_namespace: service.map(|s| s.metadata.namespace.clone()),
        way: match (held.side_car, helper) {
            (true, _) if probed || probe.is_some() => Way::SideCar { probe_path: path("startupProbe") },
            (true, _) => Way::Hook { hook_path: path("lifecycle.postStart") },
            (false, Some(helper)) => helper.into(),
            (false, None) => Way::Init { command_path: path("command") },
        },
    }))
}

/// How long an init container has been at it.
fn init(held: &Held<'_>, progress: Progress, snap: &Snapshot) -> String {
    let name = &held.container.name;
    let since = held.status.running_since().map(|t| snap.seconds_since(t) / 60);
    let long = since.map(|m| format!(" for {m} minutes")).unwrap_or_default();
    match progress {
        Progress::Works => format!("init container {name} has been at work{long}, and still is"),
        Progress::Fails => format!("init container {name} runs and does not come to its end"),
        Progress::Unknown => format!("init container {name} has been running{long}"),
    }
}

/// What it wrote, the newest log that is had.
fn log_of(snap: &Snapshot, pod: &Pod, container: &str) -> Option<String> {
    let logs = snap.crash_logs().map(Vec::as_slice).unwrap_or_default().iter();
    let own = logs.filter(|l| l.is_of(&pod.metadata) && l.container == container);
    own.filter(|l| !l.text.trim().is_empty()).min_by_key(|l| l.previous).map(|l| (*l.text).to_owned())
}

/// What the kubelet says of its startup probe.
fn failed_probe(snap: &Snapshot, pod: &Pod) -> Option<String> {
    let told = snap.events_about("Pod", &pod.metadata, RECENT);
    let event = told.iter().find(|e| e.reason == "Unhealthy" && e.message.starts_with("Startup probe failed"))?;
    let first = event.message.lines().next().unwrap_or_default().trim().trim_end_matches(':');
    Some(format!("{first}, {} times", event.times()))
}

/// A Service that its log says it cannot reach, by address or name, and behind which no pod is ready. One that leads to
/// pods of its own workload has none because they wait for this.
fn asked_in_vain<'a>(snap: &'a Snapshot, pod: &Pod, text: &str) -> Option<&'a Service> {
    let host = pattern!(r"\b(\d+\.\d+\.\d+\.\d+|[a-z0-9-]+\.[a-z0-9-]+\.svc[a-z0-9.-]*)(?::\d+)?\b");
    let mut known: BTreeSet<&str> = BTreeSet::new();
    let lines = text.lines().rev().filter(|l| !l.trim().is_empty()).take(40).filter(|l| starting::says_failure(l));
    let owner = snap.owner_ref(pod);
    let own = |service: &Service| snap.pods_of_service(service).any(|p| snap.owner_ref(p) == owner);
    for line in lines {
        for found in host.captures_iter(line) {
            let Some(name) = found.get(1).map(|m| m.as_str()).filter(|n| known.insert(*n)) else { continue };
            let Some(service) = snap.service_by_host(name) else { continue };
            let covered = snap.pods.covers(&service.metadata.namespace) && !service.spec.selector.is_empty();
            if covered
                && !service.spec.publish_not_ready_addresses
                && !own(service)
                && !snap.pods_of_service(service).any(Pod::is_ready)
            {
                return Some(service);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing::{pod, service, snapshot};
    use serde_json::json;

    #[test]
    fn what_it_asks_is_another_program() {
        let mut late = service("monitoring", "peers", &[80]);
        late["spec"]["publishNotReadyAddresses"] = json!(true);
        let snap = snapshot(json!({
            "services": [service("monitoring", "web", &[80]), service("monitoring", "istiod", &[80]), late],
            "pods": [pod("monitoring", "web", false), pod("monitoring", "istiod", false)]}));
        let own = &snap.pods.items().expect("pods")[0];
        let asked = |line: &str| asked_in_vain(&snap, own, line).map(|s| s.metadata.name.as_str());
        assert_eq!(asked("dial istiod.monitoring.svc:15012: connection refused"), Some("istiod"));
        assert_eq!(asked("dial web.monitoring.svc:80: connection refused"), None, "its own");
        assert_eq!(asked("dial peers.monitoring.svc:80: connection refused"), None, "of pods that are not ready");
        assert_eq!(asked("discovery address istiod.monitoring.svc:15012"), None, "no failure");
    }
}
