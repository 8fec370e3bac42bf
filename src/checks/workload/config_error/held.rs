//! ConfigMaps and Secrets that a pod names, and the keys that it wants of them.

use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::env_key;
use crate::domain::kubernetes::mounts::{self, Holder, Origin};
use crate::domain::kubernetes::start_error::Cause;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{ConfigMap, Container, EnvVar, KeyRef, Pod, Volume};
use crate::text::near;

/// The ConfigMap that a fault is about, if it was read and exists.
pub(super) fn config_map<'a>(snap: &'a Snapshot, pod: &Pod, fault: &Cause) -> Option<&'a ConfigMap> {
    let name = match fault {
        Cause::Missing { holder: Holder::ConfigMap, name } => name.clone(),
        Cause::MissingKey { holder: Holder::ConfigMap, .. } => holder_name(pod, fault)?,
        _ => return None,
    };
    snap.config_maps.find(&pod.metadata.namespace, &name).ok().flatten()
}

/// Name of the object that a fault is about.
pub(super) fn holder_name(pod: &Pod, fault: &Cause) -> Option<String> {
    match fault {
        Cause::Missing { name, .. } | Cause::MissingKey { name: Some(name), .. } => Some(name.clone()),
        Cause::MissingKey { holder, name: None, volume: Some(volume), key } => {
            let all = mounts::sources(pod.spec.volumes.iter().find(|v| v.name == *volume)?);
            let mut same = all.iter().filter(|s| s.holder == *holder);
            let naming = same.clone().find(|s| s.named_keys().any(|k| k == key));
            naming.or_else(|| same.next()).or(all.first()).map(|s| s.name.to_owned())
        }
        _ => None,
    }
}

/// The volume that mounts an object.
pub(super) fn volume_of<'a>(pod: &'a Pod, holder: Holder, name: &str) -> Option<&'a Volume> {
    pod.spec.volumes.iter().find(|v| mounts::sources(v).iter().any(|s| s.holder == holder && s.name == name))
}

/// References to an object in a container's environment.
pub(super) fn env_of<'a>(
    container: &'a Container,
    holder: Holder,
    name: &'a str,
) -> impl Iterator<Item = (&'a EnvVar, &'a KeyRef)> {
    env_key::all(container, holder).filter(move |(_, key)| key.name == name)
}

/// The container that uses an object.
pub(super) fn container_of<'a>(pod: &'a Pod, fault: &Cause) -> Option<&'a Container> {
    let (Cause::Missing { holder, .. } | Cause::MissingKey { holder, .. }) = fault else { return None };
    let name = holder_name(pod, fault)?;
    let volume = volume_of(pod, *holder, &name);
    pod.spec.containers.iter().find(|c| {
        let mounts = volume.is_some_and(|v| c.volume_mounts.iter().any(|m| m.name == v.name));
        mounts || env_of(c, *holder, &name).next().is_some()
    })
}

/// Keys that a pod wants of an object: by its environment, by its volume, by subPath, by the name of its configuration
/// file.
pub(super) fn wanted_keys(snap: &Snapshot, pod: &Pod, holder: Holder, name: &str) -> Vec<String> {
    let mut keys: Vec<String> =
        pod.all_containers().flat_map(|c| env_of(c, holder, name)).map(|(_, k)| k.key.clone()).collect();
    if let Some(volume) = volume_of(pod, holder, name) {
        let same = mounts::sources(volume).into_iter().filter(|s| s.holder == holder && s.name == name);
        keys.extend(same.flat_map(|s| s.named_keys().map(str::to_owned).collect::<Vec<_>>()));
        for container in pod.all_containers() {
            let single = container.volume_mounts.iter().filter(|m| m.name == volume.name && m.sub_path.is_some());
            let config = arguments::flag(container, "config.file");
            let paths = single.map(|m| m.mount_path.as_str()).chain(config);
            let filled = paths.filter_map(|path| match (mounts::origin(snap, pod, container, path), holder) {
                (Origin::ConfigMap { name: own, key }, Holder::ConfigMap) if own == name => Some(key),
                (Origin::Secret { name: own, key }, Holder::Secret) if own == name => Some(key),
                _ => None,
            });
            // A path below a key is no key.
            keys.extend(filled.filter(|key| !key.is_empty() && !key.contains('/')));
        }
    }
    keys.sort();
    keys.dedup();
    keys
}

/// The name that is likely meant: the only one that differs by a slip, or by a word more or less.
pub(super) fn closest<'a>(name: &str, others: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_ascii_lowercase().replace(['-', '_', '.'], "");
    let words = |text: &str| text.split(['-', '_', '.']).map(str::to_owned).collect::<Vec<_>>();
    let rank = |other: &str| {
        if plain(other) == plain(name) {
            return Some(0);
        }
        if name.len() > 4 && near::is_slip(name, other, 2) {
            return Some(1);
        }
        let (a, b) = (words(name), words(other));
        let (short, long) = if a.len() <= b.len() { (&a, &b) } else { (&b, &a) };
        (short.len() > 1 && long.len() - short.len() <= 2 && short.iter().all(|w| long.contains(w))).then_some(2)
    };
    let mut found: Vec<(u8, &str)> = others.filter(|o| *o != name).filter_map(|o| Some((rank(o)?, o))).collect();
    found.sort_unstable();
    let (best, meant) = *found.first()?;
    (found.iter().filter(|(r, _)| *r == best).count() == 1).then_some(meant)
}
