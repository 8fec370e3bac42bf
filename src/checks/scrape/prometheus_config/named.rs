//! Files that the configuration names and no mount has.

use super::{Fix, Way, new};
use crate::checks::support::faulty_file::{self, Holder};
use crate::domain::kubernetes::mounts::{File, Mounts, Seen};
use crate::domain::prometheus::server::Server;
use crate::lint::rules::is_rules;
use crate::lint::yaml::Node;
use crate::model::{Evidence, Finding, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::ConfigMap;

/// Patterns of `rule_files` that name nothing: Prometheus says nothing and loads no rule of them.
pub(super) fn no_rules(
    snap: &Snapshot,
    server: Server<'_>,
    mounts: &Mounts<'_>,
    file: &File<'_>,
    root: &Node,
) -> Option<Finding> {
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
    let way = Way::RuleFiles { names: missing.into_iter().cloned().collect() };
    let finding = new(severity, file.map.reference(), message)
        .key(format!("{}/{} {} rule-files", meta.namespace, meta.name, file.key))
        .fix(Fix { holder: Holder::of(server, Some(file.map), file.key), way })
        .evidence(
            Evidence::new(
                format!("files of ConfigMaps in {} -c {}", server.target(), server.container.name),
                there.join("\n"),
                "kubectl get {{ reader }} -n {{ namespace }} -o yaml",
            )
            .with("reader", server.target())
            .with("namespace", server.namespace()),
        );
    Some(finding.breaks_nothing())
}

/// A ConfigMap beside the server that has rules.
fn unread_rules<'a>(snap: &'a Snapshot, server: Server<'_>) -> Option<&'a ConfigMap> {
    let maps = snap.config_maps.items().unwrap_or_default().iter();
    let mut beside = maps.filter(|m| m.metadata.namespace == server.namespace());
    beside.find(|m| m.data.values().any(|text| is_rules(text)))
}

/// Certificates, tokens and passwords that the configuration names and no mount has.
pub(super) fn missing_files(server: Server<'_>, mounts: &Mounts<'_>, file: &File<'_>, root: &Node) -> Option<Finding> {
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
    let way = Way::FileMissing { names: vec![path.to_owned()] };
    let finding = new(Severity::Error, file.map.reference(), message)
        .key(format!("{}/{} {} {field} {path}", meta.namespace, meta.name, file.key))
        .fix(Fix { holder: Holder::of(server, Some(file.map), file.key), way })
        .evidence_all(faulty_file::evidence(file, &[problem]));
    Some(finding.breaks_nothing())
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
