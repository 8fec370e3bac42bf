//! Pods of one workload run different images under one tag: nodes keep what they pulled first.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::{Check, check};
use crate::domain::kubernetes::image::Image;
use crate::domain::kubernetes::owner::Target;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Pod};

check! {
    /// See the check's page.
    ImageCache {
        id: "image-cache", suite: Workload, severity: Warning,
        title: "pods of one workload run different images under one tag",
        requires: [Pods],
        uses: [Nodes, Workloads, MonitoringResources],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Pin {
        namespace: String,
        target: String,
        pinned: String,
        repository: String,
        in_place: bool,
        managed: String,
        nodes: Vec<String>,
    },
}

/// One container of a workload: what its pods say they pulled.
type Pulled<'a> = Vec<(&'a Pod, &'a Container, &'a str)>;

impl Check for ImageCache {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let mut groups: BTreeMap<(ResourceRef, &str, &str), Pulled<'_>> = BTreeMap::new();
        for pod in snap.pods()?.iter().filter(|p| snap.scope.is_stack(&p.metadata.namespace) && !p.is_finished()) {
            for container in pod.spec.containers.iter().filter(|c| keeps_cached(c)) {
                if let Some(digest) = digest_of(pod, container) {
                    let key = (snap.owner_ref(pod), container.name.as_str(), container.image.as_str());
                    groups.entry(key).or_default().push((pod, container, digest));
                }
            }
        }
        let differ = groups.into_iter().filter(|(_, all)| {
            let digests: BTreeSet<&str> = all.iter().map(|(.., digest)| *digest).collect();
            digests.len() > 1 && one_architecture(snap, all)
        });
        Ok(Diagnosis::Findings(differ.map(|((owner, ..), all)| finding(snap, owner, &all)).collect()))
    }
}

/// What a node has under this name it does not pull again.
fn keeps_cached(container: &Container) -> bool {
    let Some(image) = Image::parse(&container.image).filter(|i| i.digest.is_none()) else { return false };
    match container.image_pull_policy.as_deref() {
        Some(policy) => policy != "Always",
        None => image.tag != "latest",
    }
}

/// The digest of the repository that was pulled; the id of a configuration differs by architecture and says nothing.
fn digest_of<'a>(pod: &'a Pod, container: &Container) -> Option<&'a str> {
    let status = pod.statuses().find(|s| s.name == container.name)?;
    status.image_id.rsplit_once('@').map(|(_, digest)| digest)
}

/// Images of several architectures can have digests of their own.
fn one_architecture(snap: &Snapshot, all: &Pulled<'_>) -> bool {
    let nodes = all.iter().filter_map(|(pod, ..)| snap.node_of(pod));
    let kinds: BTreeSet<&str> = nodes.map(|n| n.status.node_info.architecture.as_str()).collect();
    kinds.len() <= 1
}

fn finding(snap: &Snapshot, owner: ResourceRef, all: &Pulled<'_>) -> Finding {
    let (_, container, _) = all[0];
    // The youngest pod pulled last, or found the newest on its node.
    let newest = all.iter().max_by_key(|(pod, ..)| (pod.metadata.creation_timestamp, &pod.metadata.name));
    let wanted = newest.map_or("", |(.., digest)| *digest);
    let stale: Vec<&(&Pod, &Container, &str)> = all.iter().filter(|(.., digest)| *digest != wanted).collect();
    let nodes: BTreeSet<&str> = stale.iter().filter_map(|(pod, ..)| pod.spec.node_name.as_deref()).collect();
    let message = format!(
        "{owner} runs {} different images as {} (container {}): the tag was moved, and nodes keep what they pulled before (imagePullPolicy {})",
        all.iter().map(|(.., digest)| *digest).collect::<BTreeSet<_>>().len(),
        container.image,
        container.name,
        container.image_pull_policy.as_deref().unwrap_or("IfNotPresent")
    );
    let lines: Vec<String> = all
        .iter()
        .take(6)
        .map(|(pod, _, digest)| {
            format!("{} on {}: {digest}", pod.metadata.name, pod.spec.node_name.as_deref().unwrap_or("no node"))
        })
        .collect();
    let namespace = &all[0].0.metadata.namespace;
    let seen = Evidence::new(
        format!("imageID of container {} of {owner}", container.name),
        lines.join("\n"),
        "kubectl get pods -n {{ namespace }} -o custom-columns='POD:.metadata.name,NODE:.spec.nodeName,IMAGE:.status.containerStatuses[*].imageID'",
    );
    let target = Target::of(snap, all[0].0);
    let repository = Image::parse(&container.image).map_or_else(|| container.image.clone(), |i| i.name());
    let fix = Fix::Pin {
        namespace: namespace.clone(),
        target: owner.kubectl_name(),
        pinned: format!("{}={repository}@{wanted}", container.name),
        repository: repository.clone(),
        in_place: target.in_place() && target.managed_by.is_empty(),
        managed: target.managed_by.clone(),
        nodes: nodes.into_iter().map(str::to_owned).collect(),
    };
    Finding::new(ImageCache::META.id, Severity::Warning, owner.clone(), message)
        .key(format!("{} {}", owner.key(), container.name))
        .breaks_nothing()
        .evidence(seen.with("namespace", namespace))
        .fix(fix)
}
