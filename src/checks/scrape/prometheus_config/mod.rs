//! The configuration of Prometheus is one that it does not load, or one with which it does nothing.

mod named;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::edits::edits;
use crate::checks::support::faulty_file::{self, Holder, headline, job_of};
use crate::checks::support::origin::path_of_key;
use crate::checks::support::written::{self, Corrected};
use crate::checks::{Check, check};
use crate::domain::kubernetes::mounts::{self, File, Seen};
use crate::domain::manifests::written::Dialect;
use crate::domain::prometheus::server::{Server, servers};
use crate::domain::prometheus::server_state::{State, state};
use crate::lint::prometheus::{Options, is_config, lint};
use crate::lint::yaml::{self, Node};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::ConfigMap;
use crate::text::pattern::pattern;

check! {
    /// See the check's page.
    PrometheusConfig {
        id: "prometheus-config", suite: Scrape, severity: Error,
        title: "Prometheus does not load its configuration, or it has nothing to do",
        requires: [ConfigMaps, Workloads],
        uses: [Pods, CrashLogs, ComponentLogs, PrometheusRuntime, PrometheusMetrics, PrometheusRules, MonitoringResources],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    #[serde(flatten)]
    holder: Holder,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    Invalid {
        /// The lines as they should be.
        edits: String,
        crashes: bool,
        /// It can be told to reload over HTTP.
        lifecycle: bool,
    },
    Missing(Absent),
    Directory(Absent),
    NoJobs,
    RuleFiles {
        /// The patterns that name nothing.
        names: Vec<String>,
    },
    FileMissing {
        names: Vec<String>,
    },
    ReloadFailed(Unloaded),
    File(Corrected),
}

/// A file that is not where it is read.
#[derive(Serialize, JsonSchema)]
struct Absent {
    path: Option<String>,
    /// Keys of the ConfigMap.
    names: Vec<String>,
    /// The one that holds the configuration.
    meant: Option<String>,
}

/// What is known of a configuration that was not taken.
#[derive(Serialize, JsonSchema)]
struct Unloaded {
    container: String,
    operator_resource: Option<String>,
    /// The Secret with scrape configuration that people add as text, empty where there is none.
    additional: String,
    additional_key: String,
    additional_path: String,
    /// What the error shows of it.
    camel_case: bool,
    empty_duration: bool,
}

impl Check for PrometheusConfig {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn judge(&self, snap: &Snapshot) -> Option<Result<Diagnosis, Gap>> {
        Some(written::judge(snap, Dialect::Prometheus, &Self::META, |lines| Fix {
            holder: Holder::default(),
            way: Way::File(lines),
        }))
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.config_maps()?;
        snap.workloads()?;
        let servers = servers(snap);
        if servers.is_empty() {
            return Ok(Diagnosis::NotApplicable("no Prometheus among the stack's workloads".into()));
        }
        let mut findings: Vec<Finding> = Vec::new();
        for server in servers {
            for finding in examine(snap, server) {
                // Two servers that read one file have one fault.
                if !findings.iter().any(|f| f.subject() == finding.subject() && f.key == finding.key) {
                    findings.push(finding);
                }
            }
        }
        Ok(Diagnosis::Findings(findings))
    }
}

fn examine(snap: &Snapshot, server: Server<'_>) -> Vec<Finding> {
    let mounts = server.mounts(snap);
    let state = state(snap, server);
    let seen = server.config_file().map_or(Seen::Unknown, |path| mounts.look(path));
    let mut is_template = false;
    let file = match seen {
        Seen::File(file) => Some(file),
        // Where the kubelet cannot even mount it, config-error says so.
        Seen::Missing(_) | Seen::Directory(_) if cannot_start(snap, server) => return Vec::new(),
        Seen::Missing(map) => return Vec::from_iter(absent(server, &state, map, Way::Missing)),
        Seen::Directory(map) => return Vec::from_iter(absent(server, &state, map, Way::Directory)),
        // Made from a ConfigMap by another container of the pod.
        Seen::Unknown => {
            is_template = true;
            template_of(snap, server)
        }
    };
    let Some(file) = file else { return not_loaded(snap, server, &state, None).into_iter().collect() };
    let options = Options { version: server.version(snap), agent: server.is_agent() };
    // A reloader fills in `$(NAME)`.
    let filled_in = |l: &str| l.contains("$(") || is_template && holds_placeholder(l);
    let known = |line: usize| !file.text.lines().nth(line - 1).is_some_and(filled_in);
    let problems: Vec<_> = lint(file.text, options).into_iter().filter(|p| known(p.place.line)).collect();
    if !problems.is_empty() {
        return vec![invalid(server, &state, &file, &problems, options)];
    }
    let mut findings: Vec<Finding> = not_loaded(snap, server, &state, Some(&file)).into_iter().collect();
    if let Ok(root) = yaml::document(file.text) {
        findings.extend(idle(server, &file, root.as_ref()));
        if let Some(root) = root {
            findings.extend(named::no_rules(snap, server, &mounts, &file, &root));
            findings.extend(named::missing_files(server, &mounts, &file, &root));
        }
    }
    findings
}

/// A pod of the workload whose container was never made.
fn cannot_start(snap: &Snapshot, server: Server<'_>) -> bool {
    let pods = snap.pods_of_workload(server.workload);
    let mut states = pods.flat_map(|p| &p.status.container_statuses).filter(|s| s.name == server.container.name);
    states.any(|s| {
        let waits = s.state.waiting.as_ref().map_or("", |w| w.reason.as_str());
        let ended = s.ended().map_or("", |t| t.reason.as_str());
        matches!(waits, "RunContainerError" | "CreateContainerError" | "CreateContainerConfigError")
            || matches!(ended, "StartError" | "ContainerCannotRun")
    })
}

/// What another container of the pod fills in before Prometheus reads it: `${X}`, `$X`, `{{x}}`, `__X__`, `<X>`, `@X@`.
fn holds_placeholder(line: &str) -> bool {
    let placeholder = pattern!(r"\$\{|\$[A-Z_]{2,}|\{\{|__[A-Z][A-Z0-9_]*__|<[A-Z][A-Z0-9_]*>|@[A-Z][A-Z0-9_]*@");
    placeholder.is_match(line)
}

/// The one configuration that the pod's other containers mount.
fn template_of<'a>(snap: &'a Snapshot, server: Server<'a>) -> Option<File<'a>> {
    let spec = &server.workload.spec.template.spec;
    let all = spec.init_containers.iter().chain(&spec.containers);
    let mut found: Vec<File<'a>> = all
        .flat_map(|container| Server { container, ..server }.mounts(snap).files())
        .filter(|f| is_config(f.text))
        .collect();
    found.dedup_by(|a, b| a.map.metadata.name == b.map.metadata.name && a.key == b.key);
    if found.len() == 1 { found.pop() } else { None }
}

/// What a fault of the configuration does now.
fn consequence(server: Server<'_>, state: &State) -> String {
    let who = server.target();
    match state {
        State::Crashing(_) => format!("{who} does not start with it"),
        State::ReloadFailed(_) => format!("the last reload failed and {who} runs with the configuration from before"),
        State::Running => format!("{who} still runs with what it loaded before; the next reload or restart will fail"),
        State::Unknown => format!("{who} will not start with it"),
    }
}

fn new(severity: Severity, subject: ResourceRef, message: String) -> Finding {
    Finding::new(PrometheusConfig::META.id, severity, subject, message)
}

fn invalid(
    server: Server<'_>,
    state: &State,
    file: &File<'_>,
    problems: &[crate::lint::Problem],
    options: Options,
) -> Finding {
    let severity = if state.is_broken() { Severity::Error } else { Severity::Warning };
    let meta = &file.map.metadata;
    let job = problems.first().and_then(|p| job_of(file.text, p)).map_or(String::new(), |j| format!(" (job {j})"));
    let message = format!(
        "{}{job}, in ConfigMap {}/{}: {}",
        headline(file.key, problems),
        meta.namespace,
        meta.name,
        consequence(server, state)
    );
    let way = Way::Invalid {
        edits: edits(file.text, problems, &|copy, _| Some(lint(copy, options))),
        crashes: matches!(state, State::Crashing(_)),
        lifecycle: server.has_flag("web.enable-lifecycle"),
    };
    let mut finding = new(severity, file.map.reference(), message)
        .key(format!("{}/{} {} invalid", meta.namespace, meta.name, file.key))
        .fix(Fix { holder: Holder::of(server, Some(file.map), file.key), way });
    finding.evidence.extend(faulty_file::evidence(file, problems));
    if let State::Crashing(Some(error)) | State::ReloadFailed(Some(error)) = state {
        finding.evidence.push(log_evidence(server, state, error));
    }
    if !state.is_broken() {
        // Nothing stands still yet.
        finding.breaks = Some(Vec::new());
    }
    finding
}

fn log_evidence(server: Server<'_>, state: &State, error: &str) -> Evidence {
    let previous = matches!(state, State::Crashing(_));
    let template = if previous {
        "kubectl logs -n {{ namespace }} {{ reader }} -c {{ container }} --previous --tail=20"
    } else {
        "kubectl logs -n {{ namespace }} {{ reader }} -c {{ container }} --since=24h"
    };
    Evidence::new(format!("log of {} -c {}", server.target(), server.container.name), error, template)
        .with("namespace", server.namespace())
        .with("reader", server.target())
        .with("container", &server.container.name)
}

/// The mounts do not put the file where it is read.
fn absent(server: Server<'_>, state: &State, map: Option<&ConfigMap>, way: fn(Absent) -> Way) -> Option<Finding> {
    // It did read a file when it started: an empty ConfigMap does not tell why.
    if matches!(state, State::Running) && map.is_none_or(|m| m.data.is_empty()) {
        return None;
    }
    let path = server.config_file().unwrap_or_default();
    // The key that holds the configuration.
    let mut configs = map.iter().flat_map(|m| &m.data).filter(|(_, text)| is_config(text)).map(|(key, _)| key.clone());
    let way = way(Absent {
        path: server.config_file().map(str::to_owned),
        meant: configs.next().filter(|_| configs.next().is_none()),
        names: map.map(|m| m.data.keys().cloned().collect()).unwrap_or_default(),
    });
    let what = if matches!(way, Way::Directory(_)) { "is a directory" } else { "does not exist" };
    let held = match map {
        Some(map) => {
            let keys: Vec<&str> = map.data.keys().map(String::as_str).collect();
            let keys = if keys.is_empty() { "no keys".to_owned() } else { keys.join(", ") };
            format!("ConfigMap {}/{} has {keys}", map.metadata.namespace, map.metadata.name)
        }
        None => "the mounted ConfigMap is not there".to_owned(),
    };
    let message =
        format!("--config.file={path} of {} {} {what} by its mounts: {held}", server.target(), server.container.name);
    let running = matches!(state, State::Running);
    let severity = if running { Severity::Warning } else { Severity::Error };
    let subject = map.map_or_else(|| server.workload.reference(), ConfigMap::reference);
    let mounts: Vec<String> = server
        .container
        .volume_mounts
        .iter()
        .map(|m| format!("{} ← volume {} subPath {}", m.mount_path, m.name, m.sub_path.as_deref().unwrap_or("-")))
        .collect();
    let evidence = Evidence::new(
        format!(
            "{} in namespace {}, volumeMounts of container {}",
            server.target(),
            server.namespace(),
            server.container.name
        ),
        mounts.join("\n"),
        "kubectl get {{ reader }} -n {{ namespace }} -o yaml",
    );
    let key = path.rsplit('/').next().unwrap_or_default().to_owned();
    let mut finding = new(severity, subject, message)
        .fix(Fix { holder: Holder::of(server, map, &key), way })
        .evidence(evidence.with("reader", server.target()).with("namespace", server.namespace()));
    finding.key = format!("{} {}", server.target(), finding.variant);
    if running {
        finding.breaks = Some(Vec::new());
    }
    Some(finding)
}

/// Prometheus refused a reload, and the file that can be seen does not say why.
fn not_loaded(snap: &Snapshot, server: Server<'_>, state: &State, file: Option<&File<'_>>) -> Option<Finding> {
    let State::ReloadFailed(error) = state else { return None };
    let said = error.clone().unwrap_or_else(|| "see its log".to_owned());
    let first = said.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    let message = format!(
        "the last reload of {}'s configuration failed: {first}; it runs with the configuration from before",
        server.target()
    );
    let subject = match (file, server.operator_resource()) {
        (_, Some(name)) => ResourceRef::kubernetes("monitoring.coreos.com", "Prometheus", server.namespace(), name),
        (Some(file), None) => file.map.reference(),
        (None, None) => server.workload.reference(),
    };
    let (additional, additional_key) = additional(snap, server);
    let way = Way::ReloadFailed(Unloaded {
        container: server.container.name.clone(),
        operator_resource: server.operator_resource().map(str::to_owned),
        additional,
        additional_path: format!("jsonpath={}", path_of_key(&additional_key)),
        additional_key,
        camel_case: first.contains("Labels not found") || first.contains("Label not found"),
        empty_duration: first.contains("empty duration string"),
    });
    let holder = Holder::of(server, file.map(|f| f.map), file.map_or("prometheus.yml", |f| f.key));
    let key = format!("{} reload failed", subject.key());
    let mut finding = new(Severity::Error, subject, message)
        .key(key)
        .fix(Fix { holder, way })
        .evidence(log_evidence(server, state, &said));
    // Rules that do not load are the rules' fault.
    for file in rule_maps(server, &first) {
        finding = finding.depends_on(file);
    }
    Some(finding.breaks_nothing())
}

/// The Secret with scrape configuration that people add as text, which the operator passes on unread: name and key.
fn additional(snap: &Snapshot, server: Server<'_>) -> (String, String) {
    let all = snap.monitoring_resources.items().unwrap_or_default().iter();
    let own = all.filter(|r| r.metadata.namespace == server.namespace() && r.kind == "Prometheus");
    let mut own = own.filter(|r| server.operator_resource() == Some(r.metadata.name.as_str()));
    let selector = own.find_map(|r| r.spec.additional_scrape_configs.as_ref());
    selector.map_or_else(Default::default, |s| (s.name.clone(), s.key.clone()))
}

/// ConfigMaps that the workload mounts, where the error is of a rule.
fn rule_maps(server: Server<'_>, error: &str) -> Vec<ResourceRef> {
    let of_rule = error.contains("group \"") || error.contains("rulefmt") || error.contains("groupname");
    let maps = mounts::config_maps(&server.workload.spec.template.spec).filter(|_| of_rule);
    maps.map(|m| ResourceRef::config_map(server.namespace(), m.name)).collect()
}

/// A configuration without a job: Prometheus starts, and gathers nothing.
fn idle(server: Server<'_>, file: &File<'_>, root: Option<&Node>) -> Option<Finding> {
    let has = |name: &str| {
        root.and_then(|r| r.get(name)).is_some_and(|n| !n.is_null() && n.items().is_none_or(|i| !i.is_empty()))
    };
    let sections = ["scrape_configs", "scrape_config_files", "remote_read", "otlp"];
    let receives = ["web.enable-remote-write-receiver", "web.enable-otlp-receiver"].iter().any(|f| server.has_flag(f));
    if sections.iter().any(|s| has(s)) || receives {
        return None;
    }
    let what = if root.is_none() { "is empty" } else { "has no scrape_configs" };
    let meta = &file.map.metadata;
    let message = format!(
        "{} of ConfigMap {}/{} {what}: {} starts without complaint and scrapes nothing",
        file.key,
        meta.namespace,
        meta.name,
        server.target()
    );
    let head: Vec<&str> = file.text.lines().take(5).collect();
    let finding = new(Severity::Error, file.map.reference(), message)
        .key(format!("{}/{} {} no-jobs", meta.namespace, meta.name, file.key))
        .fix(Fix { holder: Holder::of(server, Some(file.map), file.key), way: Way::NoJobs })
        .evidence(
            Evidence::new(
                format!("ConfigMap {}/{}, key {}", meta.namespace, meta.name, file.key),
                head.join("\n"),
                "kubectl get configmap {{ config_map }} -n {{ config_namespace }} -o yaml",
            )
            .with("config_map", &meta.name)
            .with("config_namespace", &meta.namespace),
        );
    Some(finding.breaks_nothing())
}
