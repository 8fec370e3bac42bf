//! What is said of a container that is not started, and where it was seen.

use super::case::Case;
use super::stops::Stop;
use crate::domain::kubernetes::mounts::Holder;
use crate::domain::kubernetes::runtime_error;
use crate::domain::kubernetes::start_error::{Cause, NodeLimit};
use crate::domain::text::shorten::shorten;
use crate::model::{Evidence, Finding};

impl Case<'_> {
    pub(super) fn why(&self) -> String {
        let named = |holder: Holder| {
            let name = self.holder.as_ref().map_or("<unknown>", |(_, n)| n.as_str());
            format!("{} {}/{name}", holder.kind(), self.pod.metadata.namespace)
        };
        match &self.fault {
            Cause::Missing { holder, .. } => {
                let near = self.near().map(|n| format!("; {n} does, and is likely meant")).unwrap_or_default();
                let issued = match (self.certificate(), self.has_cert_manager()) {
                    (Some((namespace, name)), Some(false)) => {
                        format!(
                            ": cert-manager, which is to make it (Certificate {namespace}/{name}), is not installed"
                        )
                    }
                    (Some((namespace, name)), _) => {
                        format!(": cert-manager is to make it, by Certificate {namespace}/{name}")
                    }
                    (None, _) => String::new(),
                };
                format!("{} does not exist{near}{issued}", named(*holder))
            }
            Cause::MissingKey { holder, key, .. } => {
                let keys = self.keys();
                let has = if keys.is_empty() { String::new() } else { format!("; it has {}", keys.join(", ")) };
                format!("{} has no key {key}{has}", named(*holder))
            }
            Cause::MountType { path } => {
                let at = path.as_deref().or(self.whole_volume_on_file().map(|m| m.mount_path.as_str()));
                let at = at.map(|p| format!(" at {p}")).unwrap_or_default();
                match self.whole_volume_on_file() {
                    Some(mount) => {
                        format!("volume {} is mounted as a whole onto a file{at}; it lacks a subPath", mount.name)
                    }
                    None => format!("a directory is mounted onto a file{at}, or a file onto a directory"),
                }
            }
            Cause::Root { user: Some(user) } => {
                format!("runAsNonRoot is set, and the image names its user ({user}) without a number")
            }
            Cause::Root { user: None } => "runAsNonRoot is set, and the image runs as root".into(),
            Cause::SubPath { volume } => {
                let path = self.sub_path(volume).map(|p| format!(" {p}")).unwrap_or_default();
                format!("the kubelet cannot make its subPath{path} in volume {volume}")
            }
            Cause::Profile { kind, name } => {
                let node = self.pod.spec.node_name.as_deref().unwrap_or("<node>");
                format!("node {node} does not have the {kind} profile {name} that it names")
            }
            Cause::Propagation { path } => {
                let node = self.pod.spec.node_name.as_deref().unwrap_or("<node>");
                format!(
                    "{path} of node {node} is not a shared mount, and it is to be mounted so that what is mounted below it later is seen (mountPropagation)"
                )
            }
            Cause::NodeFolder { path } => {
                let node = self.pod.spec.node_name.as_deref().unwrap_or("<node>");
                let system = self.snap.nodes.named(node).ok().flatten().map(|n| n.status.node_info.os_image.as_str());
                let system = system.filter(|s| !s.is_empty()).map(|s| format!(" ({s})")).unwrap_or_default();
                let which =
                    self.folder(path).map(|v| format!("volume {v} is")).unwrap_or_else(|| "it mounts".to_owned());
                format!(
                    "{which} {path} of node {node}, which is not there, and the node's system{system} lets nobody make it: its root is read-only"
                )
            }
            Cause::Command { name: Some(name) } => format!("the image has no program {name} that can be run"),
            Cause::Command { name: None } => "the image does not have the program that it should run".into(),
            Cause::WorkDir { path } => {
                format!("its image begins in {path}, a folder that its user may not enter")
            }
            Cause::Layers => {
                let node = self.pod.spec.node_name.as_deref().unwrap_or("<node>");
                format!("node {node} has its image {} only in part, and does not fetch the rest", self.container.image)
            }
            Cause::Limit(limit) => {
                let node = self.pod.spec.node_name.as_deref().unwrap_or("<node>");
                let what = match limit {
                    NodeLimit::Keys => "keys (kernel.keys.maxkeys), of which each container takes one",
                    NodeLimit::Processes => "processes and threads",
                    NodeLimit::Cgroups => "control groups",
                    NodeLimit::Watches => "watches of files (fs.inotify.max_user_watches)",
                };
                let bound = if *limit == NodeLimit::Processes { ", or podPidsLimit leaves the pod none" } else { "" };
                format!("the kernel of node {node} has no more {what}{bound}")
            }
            Cause::Slow => {
                let node = self.pod.spec.node_name.as_deref().unwrap_or("<node>");
                format!("the container runtime of node {node} does not get it made in time")
            }
            Cause::Volume { name } => {
                let node = self.pod.spec.node_name.as_deref().unwrap_or("<node>");
                match self.pod.spec.volumes.iter().any(|v| v.name == *name) {
                    true => format!(
                        "the kubelet of node {node} has lost its volume {name}: the pod names it, and the kubelet no longer counts it among those that it mounted for the pod"
                    ),
                    false => format!("it mounts a volume {name}, which its pod does not name"),
                }
            }
            Cause::Other => self.refused(),
        }
    }

    /// What the runtime meets, in its innermost words.
    fn refused(&self) -> String {
        let node = self.pod.spec.node_name.as_deref().unwrap_or("<node>");
        match (runtime_error::of_node(&self.said), runtime_error::innermost(&self.said)) {
            (Some((said, known)), _) => {
                let meaning = known.meaning().map(|m| format!(" ({m})")).unwrap_or_default();
                format!("the container runtime of node {node} fails to start it: {}{meaning}", shorten(said, 200))
            }
            (None, Some(said)) => format!("the runtime refuses it: {}", shorten(said, 200)),
            (None, None) => "the runtime refuses it".into(),
        }
    }

    /// The ConfigMaps that exist.
    pub(super) fn listed(&self, made: Finding, holder: Holder) -> Finding {
        if holder == Holder::Secret || !matches!(self.fault, Cause::Missing { .. }) {
            return made;
        }
        let namespace = &self.pod.metadata.namespace;
        let Ok(all) = self.snap.config_maps.items() else { return made };
        let names: Vec<&str> = all
            .iter()
            .filter(|m| m.metadata.namespace == *namespace && m.metadata.name != "kube-root-ca.crt")
            .map(|m| m.metadata.name.as_str())
            .take(12)
            .collect();
        if names.is_empty() {
            return made;
        }
        let seen = Evidence::new(
            format!("ConfigMaps in namespace {namespace}"),
            names.join(", "),
            "kubectl get configmaps -n {{ namespace }}",
        );
        made.evidence(seen.with("namespace", namespace))
    }
}

pub(super) fn said(stop: &Stop<'_>) -> Evidence {
    let meta = &stop.pod.metadata;
    let (source, show) = match stop.source {
        "event" => (
            format!("Event FailedMount of Pod {}/{}", meta.namespace, meta.name),
            "kubectl get events -n {{ namespace }} --field-selector {{ field }}",
        ),
        "volume" => (
            format!("Pod {}/{} spec.volumes", meta.namespace, meta.name),
            "kubectl get pod {{ pod }} -n {{ namespace }} -o jsonpath='{.spec.volumes}{\"\\n\"}'",
        ),
        _ => (
            format!("Pod {}/{}, container {}", meta.namespace, meta.name, stop.container.name),
            "kubectl describe pod {{ pod }} -n {{ namespace }}",
        ),
    };
    Evidence::new(source, stop.said.clone(), show)
        .with("namespace", &meta.namespace)
        .with("pod", &meta.name)
        .with("field", format!("involvedObject.name={},reason=FailedMount", meta.name))
}
