//! The alerting rules of files that bring a Prometheus of their own.

use std::collections::BTreeMap;

use super::charts::{self, charts_of};
use super::values::{self, Values};
use super::written::{Dialect, all};
use crate::lint::go::duration;
use crate::lint::yaml::Node;
use crate::model::Program;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Workload;
use crate::snapshot::manifests::{Manifest, ManifestFile};
use crate::snapshot::monitoring::{Rule, RuleGroup};

/// A Prometheus that the files bring.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Brought<'a> {
    /// The file that holds it.
    pub(crate) file: &'a ManifestFile,
    /// The resource of the operator, or the workload; none for a configuration as a file.
    pub(crate) object: Option<&'a Manifest>,
}

impl Brought<'_> {
    /// It is a resource of the operator.
    pub(crate) fn is_operated(&self) -> bool {
        self.object.is_some_and(|object| object.group() == "monitoring.coreos.com")
    }

    /// Labels that its selector of rules wants.
    pub(crate) fn rule_labels(&self) -> Vec<(String, String)> {
        let wanted = self.object.and_then(|o| o.node.at(&["spec", "ruleSelector", "matchLabels"]));
        let pairs = wanted.and_then(Node::entries).unwrap_or_default().iter();
        pairs.filter_map(|(k, v)| Some((k.as_str()?.to_owned(), v.as_str()?.to_owned()))).collect()
    }
}

/// The first Prometheus of the files: without one they add rules to what a cluster has.
pub(crate) fn server(snap: &Snapshot) -> Option<Brought<'_>> {
    let operated = snap.manifest_objects("monitoring.coreos.com", "Prometheus");
    let kinds = ["Deployment", "StatefulSet"].into_iter().flat_map(|kind| snap.manifest_objects("apps", kind));
    let runs = |object: &Manifest| {
        let workload = object.as_object::<Workload>();
        let containers = workload.map(|w| w.spec.template.spec.containers).unwrap_or_default();
        containers.iter().any(|c| c.program() == Some(Program::Prometheus))
    };
    let of_object = operated.chain(kinds.filter(|(_, object)| runs(object)));
    let mut found = of_object.map(|(file, object)| Brought { file, object: Some(object) });
    found.next().or_else(|| {
        // A configuration that names files of rules is that of a server, whoever starts it.
        let whole = all(snap, Dialect::Prometheus).into_iter().find(|w| {
            let names = |d: Node| d.get("rule_files").and_then(Node::items).is_some_and(|i| !i.is_empty());
            w.object.is_none() && w.field.is_empty() && w.document().is_some_and(names)
        })?;
        Some(Brought { file: whole.file, object: None })
    })
}

/// A chart of the files brings rules of its own.
pub(crate) fn are_of_a_chart(snap: &Snapshot) -> bool {
    let charts = charts::files(snap);
    let brings = |file: &ManifestFile, values: &Values<'_>| {
        charts_of(snap, &charts, file, values).iter().any(|(chart, _)| chart == "kube-prometheus-stack")
    };
    let files = snap.manifests.items().unwrap_or_default();
    files.iter().any(|file| values::all(file).any(|values| brings(file, &values)))
        || charts_installed(snap).any(|chart| chart.contains("kube-prometheus") || chart.contains("prometheus-rules"))
}

/// Charts that releases, applications and kustomizations of the files install, also those without values.
fn charts_installed(snap: &Snapshot) -> impl Iterator<Item = &str> {
    const LISTS: [&[&str]; 3] = [&["spec", "sources"], &["spec", "template", "spec", "sources"], &["helmCharts"]];
    const PATHS: [&[&str]; 5] = [
        &["spec", "chart", "spec", "chart"],
        &["spec", "chartRef", "name"],
        &["spec", "source", "chart"],
        &["spec", "template", "spec", "source", "chart"],
        &["spec", "chart"],
    ];
    let files = snap.manifests.items().unwrap_or_default().iter();
    let objects = files.flat_map(|file| &file.objects).filter(|o| {
        matches!(o.kind.as_str(), "HelmRelease" | "Application" | "ApplicationSet" | "HelmChart" | "Kustomization")
    });
    objects.flat_map(|o| {
        let named = PATHS.iter().filter_map(|path| o.node.at(path).and_then(Node::as_str));
        let items = LISTS.iter().flat_map(|path| o.node.at(path).and_then(Node::items).unwrap_or_default());
        named.chain(items.filter_map(|item| item.get("chart").or(item.get("name"))?.as_str()))
    })
}

/// The rules of the files, as a server tells them.
pub(crate) fn groups(snap: &Snapshot) -> Vec<RuleGroup> {
    let mut found = Vec::new();
    for written in all(snap, Dialect::Rules) {
        let Some(root) = written.document() else { continue };
        for group in root.get("groups").and_then(Node::items).unwrap_or_default() {
            let rules = group.get("rules").and_then(Node::items).unwrap_or_default();
            found.push(RuleGroup {
                name: group.get("name").and_then(Node::as_str).unwrap_or_default().to_owned(),
                file: written.file.path.clone(),
                rules: rules.iter().filter_map(rule).collect(),
                ..RuleGroup::default()
            });
        }
    }
    found
}

fn rule(node: &Node) -> Option<Rule> {
    let text = |key: &str| node.get(key).and_then(Node::as_str);
    let (kind, name) =
        text("alert").map(|name| ("alerting", name)).or_else(|| text("record").map(|name| ("recording", name)))?;
    let labels = node.get("labels").and_then(Node::entries).unwrap_or_default().iter();
    let labels: BTreeMap<String, String> =
        labels.filter_map(|(k, v)| Some((k.as_str()?.to_owned(), v.as_str()?.to_owned()))).collect();
    let seconds = text("for").and_then(|t| duration(t).ok()).map_or(0.0, |ms| ms as f64 / 1000.0);
    let (name, kind, query) = (name.to_owned(), kind.to_owned(), text("expr")?.to_owned());
    Some(Rule { name, kind, query, duration: seconds, labels, ..Rule::default() })
}
