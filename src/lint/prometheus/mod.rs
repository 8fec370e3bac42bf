//! The main configuration of Prometheus, as strict as `promtool check config`. What only the file system or a Secret
//! shows (rule files, certificates, files of file_sd) is left to the caller.

mod clouds;
mod discovery;
mod global;
mod http;
pub(crate) mod relabel;
mod remote;
mod scrape;

pub(super) use http::tls_version;

pub(crate) use super::strict::NEWEST;
use super::strict::{Fault, Kind, Object, Schema, Strict, Version, field};
use super::yaml::{Node, document};
use super::{Problem, helm};

/// Who reads the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Major and minor, where they are known: an unknown version takes what any version takes.
    pub version: Option<Version>,
    /// Prometheus runs in agent mode.
    pub agent: bool,
}

/// The top level.
static CONFIG: Schema = Schema {
    what: "the configuration's top level",
    fields: &[&[
        field("global", Kind::Struct(&global::GLOBAL)),
        field("runtime", Kind::Struct(&global::RUNTIME)).since(2, 53),
        field("alerting", Kind::Struct(&scrape::ALERTING)),
        field("rule_files", Kind::List(&Kind::Word(glob))),
        field("scrape_config_files", Kind::List(&Kind::Word(glob_of_jobs))).since(2, 43),
        field("scrape_configs", Kind::Items(&scrape::SCRAPE, "scrape config section")),
        field("storage", Kind::Struct(&global::STORAGE)),
        field("tracing", Kind::Struct(&global::TRACING)),
        field("remote_write", Kind::Items(&remote::WRITE, "remote write config section")),
        field("remote_read", Kind::Items(&remote::READ, "remote read config section")),
        field("otlp", Kind::Struct(&global::OTLP)).since(2, 54),
    ]],
    hints: &[
        ("groups", "rules belong in a file of their own that rule_files names"),
        ("alertmanagers", "it belongs under alerting:"),
        ("scrape_interval", "it belongs under global:"),
        ("scrape_timeout", "it belongs under global:"),
        ("evaluation_interval", "it belongs under global:"),
        ("external_labels", "it belongs under global:"),
        ("job_name", "it belongs in the list scrape_configs:"),
        ("static_configs", "it belongs in a job of scrape_configs:"),
        ("relabel_configs", "it belongs in a job of scrape_configs:"),
        ("apiVersion", "this is a Kubernetes manifest, not the configuration file of Prometheus"),
        ("kind", "this is a Kubernetes manifest, not the configuration file of Prometheus"),
        ("metadata", "this is a Kubernetes manifest, not the configuration file of Prometheus"),
        ("spec", "this is a Kubernetes manifest, not the configuration file of Prometheus"),
        ("route", "this is a section of Alertmanager's configuration"),
        ("receivers", "this is a section of Alertmanager's configuration"),
        ("inhibit_rules", "this is a section of Alertmanager's configuration"),
    ],
    check: None,
};

/// What is wrong with a configuration; nothing for a valid one. An empty file is valid.
pub fn lint(text: &str, options: Options) -> Vec<Problem> {
    let root = match document(text) {
        Ok(Some(root)) => root,
        Ok(None) => return Vec::new(),
        Err(problem) => return helm::explain(text, false, vec![problem]),
    };
    helm::explain(text, false, lint_node(&root, options))
}

/// The same for a configuration that stands inside of another document.
pub fn lint_node(root: &Node, options: Options) -> Vec<Problem> {
    let mut strict = Strict::new(options.version);
    if let Some(global) = root.get("global")
        && options.version.is_none_or(|v| v >= (3, 0))
    {
        strict.legacy_names = global.get("metric_name_validation_scheme").and_then(Node::as_str) == Some("legacy");
    }
    strict.read(root, Kind::Struct(&CONFIG), "");
    if let Some(config) = Object::of(root) {
        scrape::jobs(&mut strict, &config);
        remote::names(&mut strict, &config);
        if options.agent {
            agent(&mut strict, &config);
        }
    }
    strict.finish()
}

/// True for a section of the top level.
pub(crate) fn has_section(name: &str) -> bool {
    CONFIG.find(name).is_some()
}

/// True for a key that a section, or an item of it, may have.
pub(crate) fn knows(section: &str, key: &str) -> bool {
    let schema = CONFIG.find(section).and_then(super::strict::Field::schema);
    schema.is_some_and(|s| s.find(key).is_some())
}

/// True if a text is meant to be the main configuration: one of its sections stands at the top.
pub fn is_config(text: &str) -> bool {
    let sections = ["global", "scrape_configs", "rule_files", "alerting", "remote_write", "scrape_config_files"];
    let starts =
        |line: &str| sections.iter().any(|s| line.strip_prefix(s).is_some_and(|r| r.trim_start().starts_with(':')));
    // Alertmanager's has `global:` too.
    text.lines().any(starts) && !text.lines().any(|l| l.starts_with("route:") || l.starts_with("receivers:"))
}

/// `[^*]*(\*[^/]*)?`: a star only in the last part.
fn glob(_: &Strict, text: &str) -> Fault {
    early_star(text).then(|| (format!("invalid rule file path {text:?}: a * may stand in the file's name only"), None))
}

fn glob_of_jobs(_: &Strict, text: &str) -> Fault {
    let message = || format!("invalid scrape config file path {text:?}: a * may stand in the file's name only");
    early_star(text).then(|| (message(), None))
}

fn early_star(text: &str) -> bool {
    text.find('*').is_some_and(|star| text[star..].contains('/'))
}

fn agent(strict: &mut Strict, config: &Object<'_>) {
    for name in ["alerting", "rule_files", "remote_read"] {
        let set = config.get(name).is_some_and(|n| !n.items().is_some_and(<[_]>::is_empty));
        if set {
            strict.report(config.key_place(name), name, format!("field {name} is not allowed in agent mode"));
        }
    }
}
