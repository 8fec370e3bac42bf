//! Rules that Prometheus, or its operator, refuses.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::edits::edits;
use crate::checks::support::faulty_file::{self, Holder, headline, sentence};
use crate::checks::support::scrape::Api;
use crate::checks::support::written::{self, Corrected};
use crate::checks::{Check, check};
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::mounts::{File, Mounts};
use crate::domain::kubernetes::owner::operator_owner;
use crate::domain::manifests::written::Dialect;
use crate::domain::prometheus::operator::deployment;
use crate::domain::prometheus::operator::selection::{self, Kind};
use crate::domain::prometheus::recorded::named_files;
use crate::domain::prometheus::server::{Server, servers};
use crate::domain::prometheus::server_state::{State, state};
use crate::domain::text::redact::redact;
use crate::domain::text::shorten::shorten;
use crate::lint::rules::promql::NOT_SWITCHED_ON;
use crate::lint::rules::{Features, Options, is_logql, is_rules, lint, load};
use crate::lint::{Problem, Version};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::PrometheusRule;

check! {
    /// See the check's page.
    RuleInvalid {
        id: "rule-invalid", suite: Scrape, severity: Error,
        title: "rules are not valid, so that they do not load",
        requires: [ConfigMaps, Workloads],
        uses: [PrometheusRuleObjects, OtherServers, Namespaces, MonitoringResources, Pods, CrashLogs, ComponentLogs, PrometheusRuntime, PrometheusMetrics],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    ConfigMap {
        #[serde(flatten)]
        holder: Holder,
        /// The lines as they should be.
        edits: String,
        crashes: bool,
    },
    Object {
        rule: String,
        rule_namespace: String,
        managed_by: String,
        problems: Vec<String>,
        /// Something in it is read where experimental functions are switched on.
        experimental: bool,
        /// The operator reads them where its server does.
        operator_reads: bool,
        #[serde(flatten)]
        api: Api,
    },
    File(Corrected),
}

impl Check for RuleInvalid {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn judge(&self, snap: &Snapshot) -> Option<Result<Diagnosis, Gap>> {
        Some(written::judge(snap, Dialect::Rules, &Self::META, Fix::File))
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let unread = snap.config_maps().err().or(snap.workloads().err());
        let servers = servers(snap);
        let mut findings: Vec<Finding> = Vec::new();
        for server in &servers {
            for finding in of_files(snap, *server) {
                if !findings.iter().any(|f| f.subject() == finding.subject() && f.key == finding.key) {
                    findings.push(finding);
                }
            }
        }
        let objects = snap.prometheus_rule_objects.items().unwrap_or_default();
        if servers.is_empty() && objects.is_empty() {
            return Ok(Diagnosis::NotApplicable(
                "no Prometheus among the stack's workloads, and no PrometheusRule".into(),
            ));
        }
        // Without a Prometheus of the operator the objects are for another program that has a dialect of its own.
        let resources = snap.monitoring_resources.items().unwrap_or_default();
        let objects = if resources.iter().any(|r| r.kind == "Prometheus") { objects } else { &[] };
        let readers = Readers::of(snap, &servers);
        let judged = objects.iter().filter(|object| is_ours(snap, object));
        findings.extend(judged.filter_map(|object| of_object(object, readers, Api::of(snap, "/api/v1/rules"))));
        // What was found of the objects holds, whatever of the files was read.
        if let Some(gap) = unread.filter(|_| findings.is_empty()) {
            return Err(gap);
        }
        // The operator's files were left out, so without the objects nothing was judged.
        if findings.is_empty() && servers.iter().any(|s| s.operator_resource().is_some()) {
            snap.prometheus_rule_objects.items()?;
        }
        Ok(Diagnosis::Findings(findings))
    }
}

/// Who reads a PrometheusRule: the operator with its own parser, then the server.
#[derive(Clone, Copy)]
struct Readers {
    operator: Options,
    /// Where the operator is known, what it takes may be refused all the same.
    server: Option<Options>,
    version: Option<Version>,
    /// The operator reads experimental functions where its server does.
    operator_reads: bool,
}

impl Readers {
    fn of(snap: &Snapshot, servers: &[Server<'_>]) -> Self {
        let mut operated = servers.iter().filter(|s| s.operator_resource().is_some());
        let server = match (operated.next(), operated.next()) {
            (Some(one), None) => Some(*one),
            _ => None,
        };
        let version = server.and_then(|s| s.version(snap));
        let features = server.map(Server::promql_features);
        let of_server = Options { version, resource: true, features };
        let operators = deployment::operators(snap);
        let Some(of_operator) = operators.first().and_then(deployment::Operator::version) else {
            return Self { operator: of_server, server: None, version, operator_reads: true };
        };
        let parser = deployment::promql_of(of_operator);
        let experimental = of_operator >= deployment::READS_EXPERIMENTAL;
        let features = if experimental { features } else { Some(Features::default()) };
        Self {
            operator: Options { version: parser, resource: true, features },
            server: Some(of_server),
            version,
            operator_reads: experimental,
        }
    }
}

/// Of the stack, or selected by some server: others may be for programs with a dialect of their own.
fn is_ours(snap: &Snapshot, object: &PrometheusRule) -> bool {
    let by = || selection::selecting(snap, Kind::PrometheusRule, &object.metadata);
    snap.scope.namespaces().contains(&object.metadata.namespace) || by().is_ok_and(|servers| !servers.is_empty())
}

fn of_files(snap: &Snapshot, server: Server<'_>) -> Vec<Finding> {
    let mounts = server.mounts(snap);
    let state = state(snap, server);
    let version = server.version(snap);
    let files = rule_files(server, &mounts).into_iter();
    // The operator writes these ConfigMaps from PrometheusRules, which are looked at themselves.
    let own = files.filter(|f| operator_owner(&f.map.metadata).is_none());
    let options = Options { version, features: Some(server.promql_features()), ..Options::default() };
    own.filter_map(|file| {
        let problems = of_text(file.text, options);
        (!problems.is_empty()).then(|| of_file(server, &state, &file, &problems, options))
    })
    .collect()
}

/// What is wrong with a file, with the rule that it is about.
fn of_text(text: &str, options: Options) -> Vec<Problem> {
    let mut problems = lint(text, options);
    for problem in &mut problems {
        let rule = faulty_file::rule_of(text, problem).unwrap_or_default();
        problem.message.insert_str(0, &rule);
    }
    problems
}

/// The files that `rule_files` names; where the configuration is not known, those that look like rules.
fn rule_files<'a>(server: Server<'_>, mounts: &Mounts<'a>) -> Vec<File<'a>> {
    named_files(server, mounts).unwrap_or_else(|| mounts.files().into_iter().filter(|f| is_rules(f.text)).collect())
}

fn of_file(server: Server<'_>, state: &State, file: &File<'_>, problems: &[Problem], options: Options) -> Finding {
    let meta = &file.map.metadata;
    let who = server.target();
    let consequence = match state {
        _ if load(problems) => format!("{who} loads them, and they fail each time they are evaluated"),
        State::Crashing(_) => format!("{who} does not start with it"),
        State::ReloadFailed(_) => format!("the last reload failed and {who} runs with the rules from before"),
        State::Running => format!("{who} still runs with what it loaded before; the next reload or restart will fail"),
        State::Unknown => format!("{who} will not start with it"),
    };
    let severity = if state.is_broken() { Severity::Error } else { Severity::Warning };
    let message =
        format!("{}, in ConfigMap {}/{}: {consequence}", headline(file.key, problems), meta.namespace, meta.name);
    let subject = file.map.reference();
    let mut finding = Finding::new(RuleInvalid::META.id, severity, subject, message)
        .key(format!("{}/{} {}", meta.namespace, meta.name, file.key))
        .fix(Fix::ConfigMap {
            holder: Holder::of(server, Some(file.map), file.key),
            edits: edits(file.text, problems, &|copy, _| Some(of_text(copy, options))),
            crashes: matches!(state, State::Crashing(_)),
        });
    finding.evidence.extend(faulty_file::evidence(file, problems));
    if !state.is_broken() {
        finding.breaks = Some(Vec::new());
    }
    finding
}

fn of_object(object: &PrometheusRule, readers: Readers, api: Api) -> Option<Finding> {
    let meta = &object.metadata;
    if object.spec.is_null() || meta.deletion_timestamp.is_some() {
        return None;
    }
    // JSON is YAML: one reader for both.
    let text = object.spec.to_string();
    if is_logql(&text) {
        return None;
    }
    let by_operator = lint(&text, readers.operator);
    let is_taken = by_operator.is_empty();
    let problems = match readers.server.filter(|s| is_taken && *s != readers.operator) {
        Some(server) => lint(&text, server),
        None => by_operator,
    };
    let first = problems.first()?;
    let say = |problem: &Problem| {
        let sentence = sentence(problem);
        let field = problem.path.rsplit('.').next().unwrap_or_default();
        let sentence = sentence.strip_prefix(&format!("{field}: ")).unwrap_or(&sentence);
        let rule = faulty_file::rule_of(&text, problem).unwrap_or_default();
        format!("spec.{}: {rule}{sentence}", problem.path)
    };
    let written = |problem: &Problem| faulty_file::expression_of(&text, problem).map(|e| shorten(&redact(&e), 400));
    let more = if problems.len() > 1 { format!("; {} more problems", problems.len() - 1) } else { String::new() };
    let message = format!(
        "PrometheusRule {}/{}, {}{more}: {}",
        meta.namespace,
        meta.name,
        say(first),
        if load(&problems) {
            "it is loaded, and the rule fails each time it is evaluated".to_owned()
        } else {
            consequence(is_taken && readers.server.is_some(), readers.version)
        }
    );
    let experimental = problems.iter().any(|p| p.message.contains(NOT_SWITCHED_ON));
    let lines: Vec<String> = problems.iter().take(10).map(say).collect();
    let first_written = written(first).map(|expression| format!("expr: {expression}"));
    let subject = ResourceRef::kubernetes("monitoring.coreos.com", "PrometheusRule", &meta.namespace, &meta.name);
    let evidence = Evidence::new(
        format!("PrometheusRule {}/{}", meta.namespace, meta.name),
        lines.iter().cloned().chain(first_written).collect::<Vec<_>>().join("\n"),
        "kubectl get prometheusrule {{ rule }} -n {{ namespace }} -o yaml",
    );
    Some(
        Finding::new(RuleInvalid::META.id, Severity::Error, subject, message)
            .fix(Fix::Object {
                rule: meta.name.clone(),
                rule_namespace: meta.namespace.clone(),
                managed_by: managed_by(meta),
                problems: lines,
                experimental,
                operator_reads: readers.operator_reads,
                api,
            })
            .evidence(evidence.with("rule", &meta.name).with("namespace", &meta.namespace)),
    )
}

/// What comes of it: who refuses the object, and what is lost with it.
fn consequence(is_taken: bool, version: Option<Version>) -> String {
    if !is_taken {
        return "the operator skips it, so that none of its rules is loaded".to_owned();
    }
    let server =
        version.map_or_else(|| "Prometheus".to_owned(), |(major, minor)| format!("Prometheus {major}.{minor}"));
    format!("the operator takes it, and {server} refuses its file: nothing new of the configuration is loaded with it")
}
