//! Templates that receivers use and no file defines: some integrations send the message without them, and say nothing.

use std::collections::BTreeSet;

use super::fix::Fix;
use crate::domain::alertmanager::config::Config;
use crate::domain::alertmanager::group::Group;
use crate::domain::alertmanager::notify_error::Cause;
use crate::domain::alertmanager::pods::alertmanager_pods;
use crate::domain::alertmanager::templates::template_files;
use crate::domain::kubernetes::proxy;
use crate::lint::alertmanager as lint;
use crate::lint::yaml::Node;
use crate::model::{CheckId, Evidence, Finding, ResourceRef, Severity};
use crate::snapshot::Snapshot;

/// Receivers in use whose settings name a template that is not defined; those that already failed for it are left out.
pub(super) fn undefined(id: CheckId, snap: &Snapshot, groups: &[Group]) -> Vec<Finding> {
    find(id, snap, groups).unwrap_or_default()
}

fn find(id: CheckId, snap: &Snapshot, groups: &[Group]) -> Option<Vec<Finding>> {
    let text = &snap.alertmanager_status.as_ref().ok()?.config.original;
    let root = lint::read(text).ok()??;
    let (pod, container) = alertmanager_pods(snap).into_iter().next()?;
    let files = template_files(snap, Some((pod, container)), text);
    // Files that cannot be seen may define anything.
    let globs = root.get("templates").and_then(Node::items).unwrap_or_default();
    if globs.len() > files.len() {
        return None;
    }
    let defined: BTreeSet<String> = files.iter().flat_map(|(_, _, text)| lint::defined_templates(text)).collect();
    let used = Config::of(snap)?.receivers_in_use();
    let failed = |receiver: &str| groups.iter().any(|g| g.reason == Cause::Template && g.sample.receiver == receiver);
    let mut found: Vec<Finding> = Vec::new();
    for (receiver, path, name) in lint::used_templates(&root) {
        let told = found.iter().any(|f| f.key == format!("{receiver}/template/{name}"));
        if told || defined.contains(&name) || !used.contains(&receiver) || failed(&receiver) {
            continue;
        }
        let setting = path.split_once('.').map_or(path.as_str(), |(_, setting)| setting);
        let nowhere = match globs.is_empty() {
            true => "which nothing defines: the configuration has no `templates:`",
            false => "which no file under `templates:` defines",
        };
        let detail = format!("{setting} uses template {name:?}, {nowhere}");
        let message =
            format!("receiver {receiver}: {detail}; its notifications are not sent, or are empty from there on");
        let url = snap.scope.alertmanager.as_ref().map(|c| proxy::of_component(c, "/api/v2/status"));
        let mut finding = Finding::new(id, Severity::Error, ResourceRef::Receiver { name: receiver.clone() }, message)
            .key(format!("{receiver}/template/{name}"))
            .fix(Fix::template(snap, pod, &container.name, (receiver.as_str(), name.as_str()), &detail));
        if let Some(path) = url {
            finding = finding.evidence(
                Evidence::new("Alertmanager's configuration", detail, "kubectl get --raw {{ path }}")
                    .with("path", path),
            );
        }
        found.push(finding);
    }
    Some(found)
}
