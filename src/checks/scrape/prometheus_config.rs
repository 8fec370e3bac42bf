//! The configuration of Prometheus is one that it does not load, or one with which it does nothing.

use std::sync::OnceLock;

use regex::Regex;

use crate::checks::support::edits::edits;
use crate::checks::support::faulty_file::{self, headline, job_of};
use crate::checks::support::written;
use crate::checks::{Check, check};
use crate::domain::kubernetes::mounts::{self, File, Mounts, Seen};
use crate::domain::manifests::written::Dialect;
use crate::domain::prometheus::server::{Server, servers};
use crate::domain::prometheus::server_state::{State, state};
use crate::lint::prometheus::{Options, is_config, lint};
use crate::lint::rules::is_rules;
use crate::lint::yaml::{self, Node};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::ConfigMap;

check! {
    /// See the check's page.
    PrometheusConfig {
        id: "prometheus-config", suite: Scrape, severity: Error,
        title: "Prometheus does not load its configuration, or it has nothing to do",
        requires: [ConfigMaps, Workloads],
        uses: [Pods, CrashLogs, ComponentLogs, PrometheusRuntime, PrometheusMetrics, PrometheusRules, MonitoringResources],
    }
}

impl Check for PrometheusConfig {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn judge(&self, snap: &Snapshot) -> Option<Result<Diagnosis, Gap>> {
        Some(written::judge(snap, Dialect::Prometheus, &Self::META))
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
        Seen::Missing(map) => return Vec::from_iter(absent(server, &state, map, "missing")),
        Seen::Directory(map) => return Vec::from_iter(absent(server, &state, map, "directory")),
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
            findings.extend(no_rules(snap, server, &mounts, &file, &root));
            findings.extend(missing_files(server, &mounts, &file, &root));
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
    static PLACEHOLDER: OnceLock<Regex> = OnceLock::new();
    let placeholder = PLACEHOLDER.get_or_init(|| {
        Regex::new(r"\$\{|\$[A-Z_]{2,}|\{\{|__[A-Z][A-Z0-9_]*__|<[A-Z][A-Z0-9_]*>|@[A-Z][A-Z0-9_]*@")
            .expect("the pattern is fixed")
    });
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

fn new(server: Server<'_>, severity: Severity, subject: ResourceRef, message: String) -> Finding {
    Finding::new(PrometheusConfig::META.id, severity, subject, message)
        .param("edits", "")
        .param("container", &server.container.name)
        .param("image", &server.container.image)
        .param("error", "")
        .param("names", Vec::<String>::new())
        .param("path", server.config_file())
        .param("crashes", false)
        .param("meant", None::<String>)
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
    let mut finding = new(server, severity, file.map.reference(), message)
        .key(format!("{} invalid", file.key))
        .fix("invalid")
        .param("edits", edits(file.text, problems, &|copy, _| Some(lint(copy, options))))
        .param("crashes", matches!(state, State::Crashing(_)));
    finding.evidence.extend(faulty_file::evidence(file, problems));
    if let State::Crashing(Some(error)) | State::ReloadFailed(Some(error)) = state {
        finding.evidence.push(log_evidence(server, state, error));
    }
    if !state.is_broken() {
        // Nothing stands still yet.
        finding.breaks = Some(Vec::new());
    }
    faulty_file::set_params(&mut finding.params, server, Some(file.map), file.key);
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
fn absent(server: Server<'_>, state: &State, map: Option<&ConfigMap>, variant: &'static str) -> Option<Finding> {
    // It did read a file when it started: an empty ConfigMap does not tell why.
    if matches!(state, State::Running) && map.is_none_or(|m| m.data.is_empty()) {
        return None;
    }
    let path = server.config_file().unwrap_or_default();
    let what = match variant {
        "directory" => "is a directory",
        _ => "does not exist",
    };
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
    // The key that holds the configuration.
    let mut configs = map.iter().flat_map(|m| &m.data).filter(|(_, text)| is_config(text)).map(|(key, _)| key.clone());
    let meant = configs.next().filter(|_| configs.next().is_none());
    let mut finding = new(server, severity, subject, message)
        .key(format!("{} {variant}", server.target()))
        .fix(variant)
        .param("meant", meant)
        .param("names", map.map(|m| m.data.keys().cloned().collect::<Vec<_>>()).unwrap_or_default())
        .evidence(evidence.with("reader", server.target()).with("namespace", server.namespace()));
    if running {
        finding.breaks = Some(Vec::new());
    }
    faulty_file::set_params(&mut finding.params, server, map, &key);
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
    let mut finding = new(server, Severity::Error, subject, message)
        .key("reload failed")
        .fix("reload-failed")
        .param("error", &first)
        .evidence(log_evidence(server, state, &said));
    finding.params.set("camel_case", first.contains("Labels not found") || first.contains("Label not found"));
    finding.params.set("empty_duration", first.contains("empty duration string"));
    let (secret, key) = additional(snap, server);
    finding.params.set("additional_path", format!("jsonpath={{.data.{}}}", key.replace('.', "\\.")));
    finding.params.set("additional", secret);
    finding.params.set("additional_key", key);
    // Rules that do not load are the rules' fault.
    for file in rule_maps(server, &first) {
        finding = finding.depends_on(file);
    }
    finding.breaks = Some(Vec::new());
    faulty_file::set_params(&mut finding.params, server, file.map(|f| f.map), file.map_or("prometheus.yml", |f| f.key));
    Some(finding)
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
    let mut finding = new(server, Severity::Error, file.map.reference(), message)
        .key(format!("{} no-jobs", file.key))
        .fix("no-jobs")
        .evidence(
            Evidence::new(
                format!("ConfigMap {}/{}, key {}", meta.namespace, meta.name, file.key),
                head.join("\n"),
                "kubectl get configmap {{ config_map }} -n {{ config_namespace }} -o yaml",
            )
            .with("config_map", &meta.name)
            .with("config_namespace", &meta.namespace),
        );
    finding.breaks = Some(Vec::new());
    faulty_file::set_params(&mut finding.params, server, Some(file.map), file.key);
    Some(finding)
}

/// Patterns of `rule_files` that name nothing: Prometheus says nothing and loads no rule of them.
fn no_rules(snap: &Snapshot, server: Server<'_>, mounts: &Mounts<'_>, file: &File<'_>, root: &Node) -> Option<Finding> {
    let folder = file.path.rsplit_once('/').map_or("", |(dir, _)| dir);
    let patterns: Vec<String> = root
        .get("rule_files")?
        .items()?
        .iter()
        .filter_map(Node::as_str)
        .map(|p| if p.starts_with('/') { p.to_owned() } else { format!("{folder}/{p}") })
        .collect();
    let found: Vec<(&String, Option<usize>)> =
        patterns.iter().map(|p| (p, mounts.matching(p).map(|f| f.len()))).collect();
    let none = !found.is_empty() && found.iter().all(|(_, n)| *n == Some(0));
    // Charts name files that are optional; one that is named in full is meant.
    let named = |p: &str| !p.contains('*') && (p.ends_with(".yml") || p.ends_with(".yaml"));
    // A pattern waits for rules that may come; it is at fault where there are rules that it does not find.
    let unread = if none { unread_rules(snap, server) } else { None };
    let missing: Vec<&String> =
        found.iter().filter(|(p, n)| *n == Some(0) && (unread.is_some() || named(p))).map(|(p, _)| *p).collect();
    let first = missing.first()?;
    let loaded = snap.prometheus_rules().ok().map(Vec::len);
    // It has rules from somewhere.
    if none && loaded.is_some_and(|n| n > 0) {
        return None;
    }
    // Rules that are there, and none of them loaded: no alert can fire.
    let severity = if none && unread.is_some() { Severity::Error } else { Severity::Warning };
    let loads = if none { "loads 0 rules" } else { "loads no rules from there" };
    let unread =
        unread.map_or(String::new(), |m| format!("; ConfigMap {}/{} has rules", m.metadata.namespace, m.metadata.name));
    let meta = &file.map.metadata;
    let message = format!(
        "rule_files of {} (ConfigMap {}/{}) names {first}, which no mounted ConfigMap has: {} gives no error and {loads}{unread}",
        file.key,
        meta.namespace,
        meta.name,
        server.target()
    );
    let there: Vec<String> = mounts.files().into_iter().map(|f| f.path).collect();
    let mut finding = new(server, severity, file.map.reference(), message)
        .key(format!("{} rule-files", file.key))
        .fix("rule-files")
        .param("names", &missing)
        .evidence(
            Evidence::new(
                format!("files of ConfigMaps in {} -c {}", server.target(), server.container.name),
                there.join("\n"),
                "kubectl get {{ reader }} -n {{ namespace }} -o yaml",
            )
            .with("reader", server.target())
            .with("namespace", server.namespace()),
        );
    finding.breaks = Some(Vec::new());
    faulty_file::set_params(&mut finding.params, server, Some(file.map), file.key);
    Some(finding)
}

/// A ConfigMap beside the server that has rules.
fn unread_rules<'a>(snap: &'a Snapshot, server: Server<'_>) -> Option<&'a ConfigMap> {
    let maps = snap.config_maps.items().unwrap_or_default().iter();
    let mut beside = maps.filter(|m| m.metadata.namespace == server.namespace());
    beside.find(|m| m.data.values().any(|text| is_rules(text)))
}

/// Certificates, tokens and passwords that the configuration names and no mount has.
fn missing_files(server: Server<'_>, mounts: &Mounts<'_>, file: &File<'_>, root: &Node) -> Option<Finding> {
    let folder = file.path.rsplit_once('/').map_or("", |(dir, _)| dir);
    let mut named = Vec::new();
    files_of(root, &mut named);
    let missing = named.into_iter().find(|(_, node)| {
        let path = node.as_str().unwrap_or_default();
        let path = if path.starts_with('/') { path.to_owned() } else { format!("{folder}/{path}") };
        matches!(mounts.look(&path), Seen::Missing(_))
    });
    let (field, node) = missing?;
    let path = node.as_str().unwrap_or_default();
    let meta = &file.map.metadata;
    let message = format!(
        "{} line {} (ConfigMap {}/{}): {field} names {path}, which no mounted volume of {} has",
        file.key,
        node.place.line,
        meta.namespace,
        meta.name,
        server.target()
    );
    let problem = crate::lint::Problem::new(node.place, field, format!("{field} {path} is not mounted"));
    let mut finding = new(server, Severity::Error, file.map.reference(), message)
        .key(format!("{} {field} {path}", file.key))
        .fix("file-missing")
        .param("names", [path]);
    finding.evidence.extend(faulty_file::evidence(file, &[problem]));
    finding.breaks = Some(Vec::new());
    faulty_file::set_params(&mut finding.params, server, Some(file.map), file.key);
    Some(finding)
}

/// Fields that name a file which is read when it is used.
fn files_of<'a>(node: &'a Node, into: &mut Vec<(&'a str, &'a Node)>) {
    let names = [
        "ca_file",
        "cert_file",
        "key_file",
        "credentials_file",
        "bearer_token_file",
        "password_file",
        "username_file",
        "client_secret_file",
    ];
    for (key, value) in node.entries().unwrap_or_default() {
        match key.as_str() {
            Some(name) if names.contains(&name) && value.as_str().is_some_and(|v| !v.is_empty()) => {
                into.push((name, value))
            }
            _ => files_of(value, into),
        }
    }
    for item in node.items().unwrap_or_default() {
        files_of(item, into);
    }
}
