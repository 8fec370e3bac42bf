//! What removed Helm releases left behind, as far as the snapshot shows it.

use std::collections::BTreeMap;

use crate::domain::kubernetes::claims::template_of;
use crate::domain::kubernetes::mounts;
use crate::domain::kubernetes::releases;
use crate::domain::kubernetes::webhooks;
use crate::domain::kubernetes::webhooks::Hook;
use crate::model::ResourceRef;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{ConfigMap, Meta, PersistentVolume, PersistentVolumeClaim, Workload};

/// What one release left behind.
#[derive(Debug, Default)]
pub(crate) struct Leftover<'a> {
    /// Name of the release.
    pub(crate) name: String,
    /// Its namespace.
    pub(crate) namespace: String,
    /// Workloads that go on running, or try to.
    pub(crate) workloads: Vec<&'a Workload>,
    /// Claims of its StatefulSets.
    pub(crate) claims: Vec<&'a PersistentVolumeClaim>,
    /// Released volumes of its claims.
    pub(crate) volumes: Vec<&'a PersistentVolume>,
    /// ConfigMaps.
    pub(crate) config_maps: Vec<&'a ConfigMap>,
    /// Webhook configurations.
    pub(crate) hooks: Vec<Hook<'a>>,
}

/// The releases that are gone and of which something is left, by namespace and name.
pub(crate) fn all(snap: &Snapshot) -> Vec<Leftover<'_>> {
    let mut found: BTreeMap<(String, String), Leftover<'_>> = BTreeMap::new();
    for workload in snap.workloads.items().unwrap_or_default() {
        if let Some(key) = gone(snap, &workload.metadata, &workload.metadata.namespace) {
            entry(&mut found, key).workloads.push(workload);
        }
    }
    for map in snap.config_maps.items().unwrap_or_default() {
        if let Some(key) = gone(snap, &map.metadata, &map.metadata.namespace) {
            entry(&mut found, key).config_maps.push(map);
        }
    }
    for hook in webhooks::all(snap) {
        let home = hook.service().map_or("", |s| s.namespace.as_str());
        if let Some(key) = gone(snap, &hook.configuration.metadata, home) {
            entry(&mut found, key).hooks.push(hook);
        }
    }
    let mut all: Vec<Leftover<'_>> = found.into_values().collect();
    for left in &mut all {
        left.claims = claims(snap, left);
        left.volumes = volumes(snap, left);
        let rules = rule_files(snap, left);
        left.config_maps.extend(rules);
    }
    all
}

fn entry<'m, 'a>(
    found: &'m mut BTreeMap<(String, String), Leftover<'a>>,
    key: (String, String),
) -> &'m mut Leftover<'a> {
    let (namespace, name) = key.clone();
    found.entry(key).or_insert_with(|| Leftover { name, namespace, ..Leftover::default() })
}

/// Namespace and name of the release of an object, where that release is gone.
fn gone(snap: &Snapshot, meta: &Meta, home: &str) -> Option<(String, String)> {
    if meta.deletion_timestamp.is_some() || meta.controller().is_some() {
        return None;
    }
    let release = releases::of(snap, meta, home).filter(releases::Release::is_gone)?;
    Some((release.namespace.unwrap_or_else(|| home.to_owned()), release.name))
}

/// The ConfigMaps into which the Prometheus operator wrote the rules of a StatefulSet that is left.
fn rule_files<'a>(snap: &'a Snapshot, left: &Leftover<'a>) -> Vec<&'a ConfigMap> {
    let is_read = |map: &ConfigMap| {
        left.workloads.iter().any(|w| {
            let name = map.metadata.name.strip_prefix(w.metadata.name.as_str());
            name.is_some_and(|rest| rest.starts_with("-rulefiles-")) && mounts::reads(w, map)
        })
    };
    let maps = snap.config_maps.items().unwrap_or_default().iter();
    let made = maps.filter(|m| {
        let meta = &m.metadata;
        let by_operator = meta.label("managed-by").or(meta.label("app.kubernetes.io/managed-by"));
        by_operator == Some("prometheus-operator") && meta.deletion_timestamp.is_none() && meta.controller().is_none()
    });
    made.filter(|m| is_read(m)).collect()
}

fn claims<'a>(snap: &'a Snapshot, left: &Leftover<'_>) -> Vec<&'a PersistentVolumeClaim> {
    let all = snap.persistent_volume_claims.items().unwrap_or_default().iter();
    all.filter(|c| c.metadata.namespace == left.namespace)
        .filter(|c| {
            left.workloads.iter().any(|w| template_of(w, &c.metadata.name).is_some())
                || releases::is_of(&c.metadata, &left.name, &left.namespace)
        })
        .collect()
}

fn volumes<'a>(snap: &'a Snapshot, left: &Leftover<'_>) -> Vec<&'a PersistentVolume> {
    let all = snap.persistent_volumes.items().unwrap_or_default().iter().filter(|v| v.status.phase == "Released");
    all.filter(|v| {
        v.spec.claim_ref.as_ref().is_some_and(|c| {
            let of_release = is_named_after(snap, &c.name, left);
            c.namespace == left.namespace
                && (of_release || left.workloads.iter().any(|w| template_of(w, &c.name).is_some()))
        })
    })
    .collect()
}

/// A claim bears the name of the release, and nothing that lives bears a longer part of it: `web-api-data` may be of `web`, but
/// is of `web-api` where that is there.
fn is_named_after(snap: &Snapshot, claim: &str, left: &Leftover<'_>) -> bool {
    let bears = |name: &str| claim == name || claim.strip_prefix(name).is_some_and(|rest| rest.starts_with('-'));
    let here = |namespace: &str| namespace == left.namespace;
    let releases = snap.helm_releases.items().unwrap_or_default().iter().map(|r| (&r.metadata.namespace, &r.name));
    let services = snap.services.items().unwrap_or_default().iter().map(|s| (&s.metadata.namespace, &s.metadata.name));
    let is_left = |w: &&Workload| left.workloads.iter().any(|l| l.reference() == w.reference());
    let workloads = snap.workloads.items().unwrap_or_default().iter().filter(|w| !is_left(w));
    let workloads = workloads.map(|w| (&w.metadata.namespace, &w.metadata.name));
    let claims = snap.persistent_volume_claims.items().unwrap_or_default().iter();
    let claims = claims.map(|c| (&c.metadata.namespace, &c.metadata.name));
    let mut living = releases.chain(services).chain(workloads).chain(claims);
    bears(&left.name) && !living.any(|(namespace, name)| here(namespace) && bears(name))
}

/// The release that is gone and whose StatefulSet a claim belongs to: what asks for its class.
pub(crate) fn release_of_claim(snap: &Snapshot, claim: &PersistentVolumeClaim) -> Option<(String, String)> {
    let sets = snap.workloads.items().unwrap_or_default().iter();
    let mut own = sets
        .filter(|w| w.metadata.namespace == claim.metadata.namespace && template_of(w, &claim.metadata.name).is_some());
    own.find_map(|set| gone(snap, &set.metadata, &set.metadata.namespace))
}

/// The same for the StatefulSet itself.
pub(crate) fn release_of_owner(snap: &Snapshot, owner: &ResourceRef) -> Option<(String, String)> {
    let mut sets = snap.workloads.items().unwrap_or_default().iter();
    let own = sets.find(|w| w.reference() == *owner)?;
    gone(snap, &own.metadata, &own.metadata.namespace)
}
