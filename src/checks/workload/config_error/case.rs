//! What is known of a container that is not started.

use super::held::{closest, config_map, holder_name, wanted_keys};
use super::stops::Stop;
use crate::domain::kubernetes::mounts::{self, Holder, Origin};
use crate::domain::kubernetes::owner::Target;
use crate::domain::kubernetes::start_error::Cause;
use crate::domain::kubernetes::webhooks;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Pod, Volume, VolumeMount, annotation};

/// One container that is not started, and what is known of it.
pub(super) struct Case<'a> {
    pub(super) snap: &'a Snapshot,
    pub(super) pod: &'a Pod,
    pub(super) container: &'a Container,
    pub(super) fault: Cause,
    /// What was said of it.
    pub(super) said: String,
    pub(super) holder: Option<(Holder, String)>,
    pub(super) target: Target<'a>,
}

impl<'a> Case<'a> {
    pub(super) fn new(snap: &'a Snapshot, stop: &Stop<'a>) -> Self {
        let fault = match &stop.fault {
            // A subPath that names no key becomes a directory.
            Cause::MountType { path } => sub_path_fault(snap, stop.pod, stop.container, path.as_deref()),
            other => other.clone(),
        };
        let holder = match &fault {
            Cause::Missing { holder, .. } | Cause::MissingKey { holder, .. } => {
                holder_name(stop.pod, &fault).map(|name| (*holder, name))
            }
            _ => None,
        };
        Self {
            snap,
            pod: stop.pod,
            container: stop.container,
            holder,
            fault,
            said: stop.said.clone(),
            target: Target::of(snap, stop.pod),
        }
    }

    /// Keys of the ConfigMap.
    pub(super) fn keys(&self) -> Vec<&'a str> {
        let map = config_map(self.snap, self.pod, &self.fault);
        map.map(|m| m.data.keys().map(String::as_str).collect()).unwrap_or_default()
    }

    /// The ConfigMap that is likely meant.
    pub(super) fn near(&self) -> Option<&'a str> {
        let Cause::Missing { holder: Holder::ConfigMap, name } = &self.fault else { return None };
        let all = self.snap.config_maps.items().ok()?.iter();
        let wanted = wanted_keys(self.snap, self.pod, Holder::ConfigMap, name);
        let here = all.filter(|m| m.metadata.namespace == self.pod.metadata.namespace);
        // A ConfigMap without the key would not help.
        let fit = here.filter(|m| wanted.iter().all(|k| m.data.contains_key(k)));
        closest(name, fit.map(|m| m.metadata.name.as_str()))
    }

    /// The key that is likely meant.
    pub(super) fn near_key(&self) -> Option<&'a str> {
        let Cause::MissingKey { key, .. } = &self.fault else { return None };
        closest(key, self.keys().into_iter())
    }

    /// Objects that the Prometheus Operator makes for its own resources.
    pub(super) fn made_by_operator(&self) -> bool {
        let (Some((kind, custom)), Some((_, name))) = (self.target.custom, &self.holder) else { return false };
        let start = format!("{kind}-{custom}");
        let rest = name.strip_prefix(&start);
        rest.is_some_and(|r| {
            r.is_empty()
                || ["-rulefiles-", "-tls-assets", "-web-config", "-generated", "-thanos-"]
                    .iter()
                    .any(|m| r.starts_with(m))
        })
    }

    /// The Secret holds the certificate of a webhook that the pod serves, and cert-manager is to make it: namespace and name of its
    /// Certificate, as the webhook's configuration names them.
    pub(super) fn certificate(&self) -> Option<(&'a str, &'a str)> {
        let Cause::Missing { holder: Holder::Secret, name } = &self.fault else { return None };
        if !["cert", "tls"].iter().any(|word| name.contains(word)) {
            return None;
        }
        let serves = |hook: &webhooks::Hook<'a>| {
            let called = hook.service()?;
            let service = self.snap.services.find(&called.namespace, &called.name).ok().flatten()?;
            let mut pods = self.snap.pods_of_service(service);
            pods.find(|p| p.metadata.uid == self.pod.metadata.uid).map(|_| ())
        };
        let mut own = webhooks::all(self.snap).filter(|hook| serves(hook).is_some());
        own.find_map(|hook| hook.configuration.metadata.annotations.get(annotation::INJECT_CA)?.split_once('/'))
    }

    /// The cluster knows cert-manager's kinds; `None` where that could not be read.
    pub(super) fn has_cert_manager(&self) -> Option<bool> {
        let all = self.snap.crds.items().ok()?;
        Some(all.iter().any(|c| c.metadata.name == "certificates.cert-manager.io"))
    }

    /// A mount of a whole volume at a path that looks like a file.
    pub(super) fn whole_volume_on_file(&self) -> Option<&'a VolumeMount> {
        let Cause::MountType { path } = &self.fault else { return None };
        let looks_like_file = |p: &str| {
            p.rsplit('/').next().is_some_and(|last| {
                last.rsplit_once('.').is_some_and(|(stem, end)| !stem.is_empty() && (2..=5).contains(&end.len()))
            })
        };
        self.container.volume_mounts.iter().find(|m| {
            m.sub_path.is_none() && looks_like_file(&m.mount_path) && path.as_ref().is_none_or(|p| *p == m.mount_path)
        })
    }

    /// The volume of the pod that is a folder of the node.
    pub(super) fn folder(&self, path: &str) -> Option<&'a str> {
        let own = |v: &&Volume| v.host_path.as_ref().is_some_and(|h| h.path.trim_end_matches('/') == path);
        self.pod.spec.volumes.iter().find(own).map(|v| v.name.as_str())
    }

    /// The subPath of a volume that the container mounts.
    pub(super) fn sub_path(&self, volume: &str) -> Option<&str> {
        self.container.volume_mounts.iter().filter(|m| m.name == volume).find_map(|m| m.sub_path.as_deref())
    }
}

/// The key that a subPath names and a ConfigMap lacks, where that is why the mount fails.
fn sub_path_fault(snap: &Snapshot, pod: &Pod, container: &Container, path: Option<&str>) -> Cause {
    let mut mounts = container.volume_mounts.iter().filter(|m| path.is_none_or(|p| p == m.mount_path));
    let missing = mounts.find_map(|mount| {
        mount.sub_path.as_ref()?;
        let origin = mounts::origin(snap, pod, container, &mount.mount_path);
        let (map, _) = mounts::config_map(snap, &pod.metadata.namespace, &origin)?;
        let Origin::ConfigMap { name, key } = origin else { return None };
        let volume = Some(mount.name.clone());
        let is_missing = !mounts::has_key(map, &key);
        is_missing.then_some(Cause::MissingKey { holder: Holder::ConfigMap, name: Some(name), volume, key })
    });
    missing.unwrap_or_else(|| Cause::MountType { path: path.map(str::to_owned) })
}
