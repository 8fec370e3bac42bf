//! What keeps a claim from the volumes that there are, and from those that its class makes.

use crate::domain::aws::ebs;
use crate::domain::kubernetes::scheduling;
use crate::model::Evidence;
use crate::snapshot::kubernetes::{Node, PersistentVolume, PersistentVolumeClaim, StorageClass, annotation};
use crate::snapshot::{Snapshot, parse_quantity};

/// A mode for several nodes that EBS cannot serve (raw block volumes of io1 and io2 can).
pub(super) fn shared_mode(claim: &PersistentVolumeClaim, class: &StorageClass) -> Option<String> {
    let ebs = ebs::serves(&class.provisioner) || class.provisioner == ebs::AUTO_MODE;
    let block = claim.spec.volume_mode.as_deref() == Some("Block");
    let mode = claim.spec.access_modes.iter().find(|m| matches!(m.as_str(), "ReadWriteMany" | "ReadOnlyMany"));
    mode.filter(|_| ebs && !block).cloned()
}

/// The zones of a class's `allowedTopologies`.
fn zones_of(class: &StorageClass) -> Vec<&str> {
    let terms = class.allowed_topologies.iter().flat_map(|t| t.match_label_expressions.iter().flatten());
    terms.filter(|r| scheduling::is_zone_label(&r.key)).flat_map(|r| r.values.iter().map(String::as_str)).collect()
}

/// Where a class makes volumes, and where the nodes are.
pub(super) fn topology_evidence(snap: &Snapshot, class: Option<&StorageClass>) -> Vec<Evidence> {
    let mut all = Vec::new();
    if let Some(class) = class.filter(|c| !zones_of(c).is_empty()) {
        let name = &class.metadata.name;
        let mode = if class.waits_for_consumer() { "WaitForFirstConsumer" } else { "Immediate" };
        let value = format!("allowedTopologies: {}; volumeBindingMode {mode}", zones_of(class).join(", "));
        let show = "kubectl get storageclass {{ name }} -o yaml";
        all.push(Evidence::new(format!("StorageClass {name}"), value, show).with("name", name));
    }
    let nodes = snap.nodes.items().unwrap_or_default().iter().filter(|n| !n.is_fargate());
    let nodes: Vec<String> = nodes
        .take(20)
        .map(|n| format!("{} in {}", n.metadata.name, scheduling::zone(n).unwrap_or("no zone")))
        .collect();
    if !nodes.is_empty() {
        let show = "kubectl get nodes -L topology.kubernetes.io/zone";
        all.push(Evidence::new("nodes and their zones", nodes.join("\n"), show));
    }
    all
}

/// `allowedTopologies` that no node meets.
pub(super) fn unreachable_topology(snap: &Snapshot, class: &StorageClass) -> Option<String> {
    let zones = zones_of(class);
    let all: Vec<&Node> = snap.nodes.items().ok()?.iter().filter(|n| !n.is_fargate()).collect();
    let present = scheduling::zones(all.into_iter());
    if zones.is_empty() || present.is_empty() || zones.iter().any(|z| present.contains(z)) {
        return None;
    }
    let present = present.into_iter().collect::<Vec<_>>().join(", ");
    Some(format!("only in {}, and the nodes are in {present}", zones.join(", ")))
}

/// A volume that the claim names: why it does not bind.
pub(super) fn named_volume(snap: &Snapshot, claim: &PersistentVolumeClaim, name: &str) -> String {
    let volume = match snap.persistent_volumes.named(name) {
        Ok(Some(volume)) => volume,
        Ok(None) => return format!("PersistentVolume {name}, which does not exist"),
        Err(_) => return format!("PersistentVolume {name}, which does not exist or is taken"),
    };
    match misfit(claim, volume) {
        Some(why) => format!("PersistentVolume {name}, which does not fit: {why}"),
        None => format!("PersistentVolume {name}, which is {}", volume.status.phase),
    }
}

/// The volume that was a former claim's of the same name, and that would bind if it were free: the one that the claim names, or
/// one made by hand. What keeps it is the former claim's uid.
pub(super) fn former<'a>(snap: &'a Snapshot, claim: &PersistentVolumeClaim) -> Option<&'a PersistentVolume> {
    let named = claim.spec.volume_name.as_deref().filter(|v| !v.is_empty());
    let volumes = snap.persistent_volumes.items().unwrap_or_default().iter();
    let meant = |v: &&PersistentVolume| match named {
        Some(name) => v.metadata.name == name,
        None => !v.metadata.annotations.contains_key(annotation::PROVISIONED_BY),
    };
    let own = |v: &&PersistentVolume| {
        let reserved = v.spec.claim_ref.as_ref().filter(|r| r.namespace == claim.metadata.namespace);
        let reserved = reserved.filter(|r| r.name == claim.metadata.name).and_then(|r| r.uid.as_deref());
        // Of the others the driver takes the disk away.
        let retained = v.spec.persistent_volume_reclaim_policy.as_deref() == Some("Retain");
        let stays = retained && v.metadata.deletion_timestamp.is_none();
        stays
            && v.status.phase == "Released"
            && reserved.is_some_and(|uid| !uid.is_empty() && uid != claim.metadata.uid)
    };
    let mut all = volumes.filter(meant).filter(own).filter(|v| shape_misfit(claim, v).is_none());
    // Of two nobody but their owner knows which holds the data.
    let one = all.next()?;
    all.next().is_none().then_some(one)
}

/// What keeps the volumes made by hand from a claim, those first that come nearest.
pub(super) fn misfits(snap: &Snapshot, claim: &PersistentVolumeClaim) -> String {
    let told = unfit(snap, claim).into_iter().map(|(v, why)| format!("{}: {why}", v.metadata.name));
    told.collect::<Vec<_>>().join("; ")
}

/// The first volumes that were made by hand, with what keeps the claim from each.
pub(super) fn unfit<'a>(snap: &'a Snapshot, claim: &PersistentVolumeClaim) -> Vec<(&'a PersistentVolume, String)> {
    let volumes = snap.persistent_volumes.items().unwrap_or_default().iter();
    // Volumes that a provisioner made belong to their claims.
    let by_hand = volumes
        .filter(|v| v.status.phase != "Bound" && !v.metadata.annotations.contains_key(annotation::PROVISIONED_BY));
    let same_class = |v: &&PersistentVolume| {
        v.spec.storage_class_name.as_deref().unwrap_or_default() == claim.class().unwrap_or_default()
    };
    let mut all: Vec<&PersistentVolume> = by_hand.collect();
    all.sort_by_key(|v| (!same_class(v), v.metadata.name.clone()));
    all.into_iter().take(3).filter_map(|v| Some((v, misfit(claim, v)?))).collect()
}

/// The volumes that do not fit, as evidence.
pub(super) fn unfit_evidence(snap: &Snapshot, claim: &PersistentVolumeClaim) -> Vec<Evidence> {
    let of = |(volume, why): (&PersistentVolume, String)| {
        let (name, spec) = (&volume.metadata.name, &volume.spec);
        let size = spec.capacity.get("storage").map_or("", String::as_str);
        let value = format!("{size}, {}, {}: {why}", spec.access_modes.join(", "), volume.status.phase);
        Evidence::new(format!("PersistentVolume {name}"), value, "kubectl get pv {{ name }} -o yaml").with("name", name)
    };
    unfit(snap, claim).into_iter().map(of).collect()
}

/// Which attribute of a volume does not fit a claim; `None` if it would bind.
fn misfit(claim: &PersistentVolumeClaim, volume: &PersistentVolume) -> Option<String> {
    if let Some(why) = shape_misfit(claim, volume) {
        return Some(why);
    }
    let other = volume.spec.claim_ref.as_ref();
    let other = other.filter(|r| r.namespace != claim.metadata.namespace || r.name != claim.metadata.name);
    if let Some(other) = other {
        return Some(format!("it is reserved for claim {}/{}", other.namespace, other.name));
    }
    let phase = volume.status.phase.as_str();
    matches!(phase, "Released" | "Failed").then(|| format!("it is {phase}, with the data of a former claim"))
}

/// The same, whoever has the volume.
fn shape_misfit(claim: &PersistentVolumeClaim, volume: &PersistentVolume) -> Option<String> {
    let spec = &volume.spec;
    let (wanted, has) = (claim.class().unwrap_or_default(), spec.storage_class_name.as_deref().unwrap_or_default());
    if wanted != has {
        let or_none = |name: &str| if name.is_empty() { "none".to_owned() } else { name.to_owned() };
        return Some(format!("its class is {}, not {}", or_none(has), or_none(wanted)));
    }
    if let Some(mode) = claim.spec.access_modes.iter().find(|m| !spec.access_modes.contains(m)) {
        return Some(format!("its access mode is {}, not {mode}", spec.access_modes.join(", ")));
    }
    let size = |map: &crate::snapshot::kubernetes::Map| map.get("storage").cloned().unwrap_or_default();
    let (asked, capacity) = (size(&claim.spec.resources.requests), size(&spec.capacity));
    if let (Some(a), Some(c)) = (parse_quantity(&asked), parse_quantity(&capacity))
        && a > c
    {
        return Some(format!("its size is {capacity}, less than {asked}"));
    }
    let mode = |m: &Option<String>| m.clone().unwrap_or_else(|| "Filesystem".into());
    if mode(&claim.spec.volume_mode) != mode(&spec.volume_mode) {
        return Some(format!("its volume mode is {}, not {}", mode(&spec.volume_mode), mode(&claim.spec.volume_mode)));
    }
    let labels = claim.spec.selector.as_ref().and_then(|s| s.match_labels.as_ref());
    let lacking = labels.iter().flat_map(|l| l.iter()).find(|(k, v)| volume.metadata.labels.get(*k) != Some(v));
    lacking.map(|(key, value)| format!("it lacks the label {key}={value} that the claim selects"))
}
