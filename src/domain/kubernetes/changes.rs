//! Who changed an object, when, and what of it: from its managed fields, the revisions of a Deployment, the revisions of
//! its Helm release, and the times that AWS gives.

use jiff::Timestamp;

use crate::domain::kubernetes::differs::{Differs, differs};
use crate::domain::kubernetes::managed;
use crate::model::ResourceRef;
use crate::snapshot::Snapshot;
use crate::snapshot::aws::{UpdateError, UpdateParam, Updated};
use crate::snapshot::kubernetes::{Meta, Object, ReplicaSet, Written, annotation};

/// Seconds within which writes belong to one change, and after its creation still to that.
const TOGETHER: i64 = 120;

/// A change.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    /// What was changed.
    pub(crate) resource: ResourceRef,
    /// When.
    pub(crate) at: Timestamp,
    /// What of it.
    pub(crate) what: What,
    /// Who, where it is known.
    pub(crate) by: Option<String>,
}

/// What was changed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum What {
    /// The pod template of a Deployment; what differs from the revision before, as far as it is read.
    Template { revision: String, differs: Vec<Differs> },
    /// Fields of the object: what the writer owns of it, the first ones, and how many.
    Fields { fields: Vec<String>, count: usize },
    /// A revision of its Helm release.
    Release { name: String, namespace: String, revision: u32, status: String },
    /// The add-on of EKS, nobody knows in what.
    Addon { version: String },
    /// An update by EKS of an add-on or a node group: to what, whether it came to its end, and what it failed for.
    Update { kind: String, id: String, to: Vec<String>, status: String, error: Option<String> },
    /// It was made, in a place that was there long before.
    Made,
}

/// All changes of an object that are known, the newest first.
pub(crate) fn of(snap: &Snapshot, resource: &ResourceRef) -> Vec<Change> {
    let mut all = match resource {
        ResourceRef::Aws(_) => {
            let updates = updates(snap, resource);
            if updates.is_empty() { addon(snap, resource) } else { updates }
        }
        ResourceRef::Kubernetes { .. } => match meta_of(snap, resource) {
            Some(meta) => of_object(snap, resource, meta),
            None => Vec::new(),
        },
        _ => Vec::new(),
    };
    all.sort_by_key(|c| std::cmp::Reverse(c.at));
    all
}

fn of_object(snap: &Snapshot, resource: &ResourceRef, meta: &Meta) -> Vec<Change> {
    let mut all: Vec<Change> = template(snap, resource).into_iter().collect();
    let made = meta.creation_timestamp;
    for written in &meta.managed_fields {
        let Some(at) = written.at else { continue };
        // What made it is no change of it.
        if made.is_some_and(|m| (at.as_second() - m.as_second()).abs() <= TOGETHER) {
            continue;
        }
        match all.iter_mut().find(|c| near(c.at, at)) {
            Some(known) => {
                known.by.get_or_insert_with(|| written.manager.clone());
            }
            None => all.push(fields(resource, written, at)),
        }
    }
    all.extend(release(snap, resource, meta));
    if let Some(at) = made.filter(|_| tells_by_being_there(resource)) {
        let by = meta.managed_fields.iter().find(|w| w.at.is_some_and(|t| near(t, at))).map(|w| w.manager.clone());
        all.push(Change { resource: resource.clone(), at, what: What::Made, by });
    }
    all
}

fn near(a: Timestamp, b: Timestamp) -> bool {
    (a.as_second() - b.as_second()).abs() <= TOGETHER
}

fn fields(resource: &ResourceRef, written: &Written, at: Timestamp) -> Change {
    let what = What::Fields { fields: written.fields.clone(), count: written.count };
    Change { resource: resource.clone(), at, what, by: Some(written.manager.clone()) }
}

/// Objects that change what others do by being made.
fn tells_by_being_there(resource: &ResourceRef) -> bool {
    let kinds = [
        "NetworkPolicy",
        "ResourceQuota",
        "ValidatingWebhookConfiguration",
        "MutatingWebhookConfiguration",
        "PrometheusRule",
        "ServiceMonitor",
        "PodMonitor",
        "AlertmanagerConfig",
    ];
    kinds.contains(&resource.kind_label().as_str())
}

/// The newest revision of a Deployment, where it is not the first.
fn template(snap: &Snapshot, resource: &ResourceRef) -> Option<Change> {
    let ResourceRef::Kubernetes { kind, namespace, name, .. } = resource else { return None };
    if kind != "Deployment" {
        return None;
    }
    let own = revisions(snap, namespace, name)?;
    let [newest, before, ..] = own.as_slice() else { return None };
    let at = newest.metadata.creation_timestamp?;
    // Going back takes up an old ReplicaSet: nobody knows when.
    if before.metadata.creation_timestamp.is_some_and(|t| t > at) {
        return None;
    }
    let what = What::Template {
        revision: revision(newest).to_string(),
        differs: differs(&before.spec.template.spec, &newest.spec.template.spec),
    };
    Some(Change { resource: resource.clone(), at, what, by: None })
}

/// The ReplicaSets of a Deployment, the newest revision first.
pub(crate) fn revisions<'a>(snap: &'a Snapshot, namespace: &str, name: &str) -> Option<Vec<&'a ReplicaSet>> {
    let is_own = |set: &&ReplicaSet| {
        let owner = set.metadata.controller();
        set.metadata.namespace == namespace && owner.is_some_and(|o| o.kind == "Deployment" && o.name == name)
    };
    let mut own: Vec<&ReplicaSet> = snap.replica_sets.items().ok()?.iter().filter(is_own).collect();
    own.sort_by_key(|set| std::cmp::Reverse(revision(set)));
    Some(own)
}

/// The number of a revision; 0 where it is not told.
pub(crate) fn revision(set: &ReplicaSet) -> u64 {
    let text = set.metadata.annotations.get(annotation::REVISION);
    text.and_then(|r| r.parse().ok()).unwrap_or_default()
}

/// The newest revision of the Helm release of an object, where it is not the first.
fn release(snap: &Snapshot, resource: &ResourceRef, meta: &Meta) -> Option<Change> {
    let (name, namespace) = managed::release(meta)?;
    let all = snap.helm_releases.items().ok()?.iter();
    let newest = all.filter(|r| r.name == name && r.metadata.namespace == namespace).max_by_key(|r| r.revision)?;
    if newest.revision < 2 {
        return None;
    }
    let what = What::Release {
        name: name.to_owned(),
        namespace: namespace.to_owned(),
        revision: newest.revision,
        status: newest.status.clone(),
    };
    Some(Change { resource: resource.clone(), at: newest.changed_at?, what, by: None })
}

/// Where a revision is told of: `Deployment m/web, revision 8`.
pub(crate) fn source(workload: &ResourceRef, revision: &str) -> String {
    format!("{workload}, {revision}")
}

/// When EKS last changed an add-on.
fn addon(snap: &Snapshot, resource: &ResourceRef) -> Vec<Change> {
    let ResourceRef::Aws(aws) = resource else { return Vec::new() };
    let addons = snap.eks_addons().ok().into_iter().flatten();
    let own = addons.filter(|a| aws.service == "eks" && aws.kind == "addon" && a.addon_name == aws.id);
    own.filter_map(|a| {
        let at = a.modified_at.as_deref()?.parse().ok()?;
        Some(Change {
            resource: resource.clone(),
            at,
            what: What::Addon { version: a.addon_version.clone() },
            by: None,
        })
    })
    .collect()
}

/// Updates by EKS of an add-on or a node group.
fn updates(snap: &Snapshot, resource: &ResourceRef) -> Vec<Change> {
    let ResourceRef::Aws(aws) = resource else { return Vec::new() };
    let is_own = |of: &Updated| match (of, aws.kind.as_str()) {
        (Updated::Addon(name), "addon") | (Updated::Nodegroup(name), "nodegroup") => {
            aws.service == "eks" && *name == aws.id
        }
        _ => false,
    };
    let own = snap.eks_updates.iter().flatten().filter(|u| u.of.as_ref().is_some_and(is_own));
    own.filter_map(|u| {
        // What a group or an add-on is configured with can be long, and hold anything: only versions are told.
        let told = |p: &&UpdateParam| p.kind.ends_with("Version") && !p.value.is_empty();
        let error = |e: &UpdateError| format!("{}: {}", e.error_code, e.error_message);
        let what = What::Update {
            kind: u.kind.clone(),
            id: u.id.clone(),
            to: u.params.iter().filter(told).map(|p| format!("{} {}", p.kind, p.value)).collect(),
            status: u.status.clone(),
            error: u.errors.first().map(error),
        };
        Some(Change { resource: resource.clone(), at: u.created_at.as_deref()?.parse().ok()?, what, by: None })
    })
    .collect()
}

/// The metadata of a resource, where it was read.
pub(crate) fn meta_of<'a>(snap: &'a Snapshot, resource: &ResourceRef) -> Option<&'a Meta> {
    fn find<'a, T: Object>(all: &'a [T], namespace: &str, name: &str) -> Option<&'a Meta> {
        all.iter().map(Object::meta).find(|m| m.namespace == namespace && m.name == name)
    }
    let ResourceRef::Kubernetes { kind, namespace, name, .. } = resource else { return None };
    match kind.as_str() {
        "Deployment" | "StatefulSet" | "DaemonSet" => {
            let mut all = snap.workloads.items().ok()?.iter();
            all.find(|w| w.kind == *kind && w.metadata.namespace == *namespace && w.metadata.name == *name)
                .map(|w| &w.metadata)
        }
        "Prometheus" | "Alertmanager" | "PrometheusAgent" | "ThanosRuler" => {
            let others = snap.other_servers.items().unwrap_or_default();
            let mut all = snap.monitoring_resources.items().unwrap_or_default().iter().chain(others);
            all.find(|r| r.kind == *kind && r.metadata.namespace == *namespace && r.metadata.name == *name)
                .map(|r| &r.metadata)
        }
        "ServiceMonitor" | "PodMonitor" => {
            let mut all = snap.monitors.items().ok()?.iter();
            all.find(|m| m.kind == *kind && m.metadata.namespace == *namespace && m.metadata.name == *name)
                .map(|m| &m.metadata)
        }
        "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration" => {
            let mut all = snap.webhooks.items().ok()?.iter();
            all.find(|w| w.kind == *kind && w.metadata.name == *name).map(|w| &w.metadata)
        }
        "PrometheusRule" => {
            let mut all = snap.prometheus_rule_names.items().ok()?.iter().map(|r| &r.metadata);
            all.find(|m| m.namespace == *namespace && m.name == *name)
        }
        "ConfigMap" => find(snap.config_maps.items().ok()?, namespace, name),
        "Service" => find(snap.services.items().ok()?, namespace, name),
        "ServiceAccount" => find(snap.service_accounts.items().ok()?, namespace, name),
        "NetworkPolicy" => find(snap.network_policies.items().ok()?, namespace, name),
        "ResourceQuota" => find(snap.resource_quotas.items().ok()?, namespace, name),
        "PersistentVolumeClaim" => find(snap.persistent_volume_claims.items().ok()?, namespace, name),
        "StorageClass" => find(snap.storage_classes.items().ok()?, namespace, name),
        "HorizontalPodAutoscaler" => find(snap.autoscalers.items().ok()?, namespace, name),
        "Node" => find(snap.nodes.items().ok()?, namespace, name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn updates_of_eks_tell_more_than_the_time_of_the_last_one() {
        let mut snap = Snapshot::empty("2026-11-21T12:00:00Z".parse().expect("a time"));
        let addon = json!([{"addonName": "vpc-cni", "addonVersion": "v1.20.0", "modifiedAt": "2026-11-21T11:40:00Z"}]);
        *snap.eks_addons = Ok(serde_json::from_value(addon).expect("add-ons"));
        let vpc_cni = ResourceRef::aws("eks", "addon", "vpc-cni");
        let kinds =
            |snap: &Snapshot, of: &ResourceRef| super::of(snap, of).into_iter().map(|c| c.what).collect::<Vec<_>>();
        assert_eq!(kinds(&snap, &vpc_cni), [What::Addon { version: "v1.20.0".into() }]);
        let update: crate::snapshot::aws::Update = serde_json::from_value(json!({"id": "1", "status": "Failed", "type": "VersionUpdate",
            "params": [{"type": "Version", "value": "1.33"}, {"type": "ReleaseVersion", "value": "1.33.0-20251001"}, {"type": "LabelsToAdd", "value": "{}"}],
            "createdAt": "2026-11-21T11:30:00.5+00:00",
            "errors": [{"errorCode": "PodEvictionFailure", "errorMessage": "Reached max retries", "resourceIds": ["n"]}]}))
        .expect("an update");
        let of = Some(Updated::Nodegroup("db".to_owned()));
        *snap.eks_updates = Ok(vec![crate::snapshot::aws::Update { of, ..update }]);
        let told = What::Update {
            kind: "VersionUpdate".into(),
            id: "1".into(),
            to: vec!["Version 1.33".into(), "ReleaseVersion 1.33.0-20251001".into()],
            status: "Failed".into(),
            error: Some("PodEvictionFailure: Reached max retries".into()),
        };
        assert_eq!(kinds(&snap, &ResourceRef::aws("eks", "nodegroup", "db")), [told]);
        assert_eq!(kinds(&snap, &vpc_cni).len(), 1, "another's update is not its own");
    }
}
