//! A container of the stack is not started because its configuration does not fit.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::checks::support::severity::severity_of;
use crate::checks::{Check, check};
use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::image::base_of;
use crate::domain::kubernetes::managed::{managed_by, release};
use crate::domain::kubernetes::mounts::{self, Holder, Origin};
use crate::domain::kubernetes::owner::{Settable, Target, in_scope, others_ready, workload};
use crate::domain::kubernetes::start_error::Fault;
use crate::domain::text::windows::{GRACE, RECENT};
use crate::model::{Cause, CheckMeta, Diagnosis, Evidence, Finding, Gap, Program, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{
    ConfigMap, Container, ContainerStatus, EnvVar, Event, KeyRef, Pod, Volume, VolumeMount,
};

/// Seconds after which the kubelet has tried a mount again, and said so.
const ATTEMPT: i64 = 150;
/// Pods of kube-system that belong to it.
const SYSTEM: &[&str] = &["metrics-server", "ebs-csi-", "coredns-", "aws-node-"];

check! {
    /// See the check's page.
    ConfigError {
        id: "config-error", suite: Workload, severity: Error,
        title: "a container is not started for its configuration",
        requires: [Pods],
        uses: [Events, ConfigMaps, Workloads, MonitoringResources, EksAddons],
    }
}

impl Check for ConfigError {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let mut groups: BTreeMap<(ResourceRef, Fault), Vec<Stop<'_>>> = BTreeMap::new();
        let mut untold = false;
        for pod in snap.pods()?.iter().filter(|p| in_scope(snap, p, SYSTEM) && !p.is_finished()) {
            let stops = stops(snap, pod);
            untold |= stops.is_empty() && is_in_the_making(snap, pod);
            for stop in stops {
                groups.entry((snap.owner_ref(pod), stop.fault.clone())).or_default().push(stop);
            }
        }
        let findings: Vec<Finding> =
            groups.into_values().map(|stops| Writer::new(snap, &stops[0]).finding(&stops)).collect();
        match snap.events() {
            // What keeps a pod in the making stands in its events.
            Err(gap) if untold && findings.is_empty() => Err(gap),
            _ => Ok(Diagnosis::Findings(findings)),
        }
    }
}

/// A container that is not started.
struct Stop<'a> {
    pod: &'a Pod,
    container: &'a Container,
    fault: Fault,
    /// What was said, and by whom.
    said: String,
    source: &'static str,
}

fn stops<'a>(snap: &'a Snapshot, pod: &'a Pod) -> Vec<Stop<'a>> {
    // A Secret that an operator makes comes a moment after the pod.
    let young = pod.metadata.creation_timestamp.is_some() && snap.age_seconds(&pod.metadata) < GRACE;
    let mut found: Vec<Stop<'a>> = pod.statuses().filter(|_| !young).filter_map(|s| of_status(pod, s)).collect();
    if found.is_empty() && is_in_the_making(snap, pod) {
        found.extend(of_events(snap, pod).or_else(|| of_volumes(snap, pod)));
    }
    found
}

/// A container that the kubelet refuses to make, or that the runtime refuses to start.
fn of_status<'a>(pod: &'a Pod, status: &ContainerStatus) -> Option<Stop<'a>> {
    let container = pod.all_containers().find(|c| c.name == status.name)?;
    let waiting = status.state.waiting.as_ref()?;
    let is_refused =
        matches!(waiting.reason.as_str(), "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError");
    if is_refused {
        let said = waiting.message.clone().unwrap_or_default();
        let fault = Fault::of(&said)?;
        return Some(Stop { pod, container, fault, said, source: "waits" });
    }
    // Between two attempts the container's last end has the runtime's word.
    let end = status.last_state.terminated.as_ref()?;
    let said = end.message.clone().filter(|_| matches!(end.reason.as_str(), "StartError" | "ContainerCannotRun"))?;
    let fault = Fault::of(&said).filter(|f| matches!(f, Fault::MountType { .. }))?;
    Some(Stop { pod, container, fault, said, source: "ended" })
}

/// A pod with a node whose containers are being made for longer than that takes.
fn is_in_the_making(snap: &Snapshot, pod: &Pod) -> bool {
    let making = |s: &ContainerStatus| {
        s.state.waiting.as_ref().is_some_and(|w| matches!(w.reason.as_str(), "ContainerCreating" | "PodInitializing"))
    };
    let started = pod.statuses().any(|s| s.state.running.is_some() || s.state.terminated.is_some());
    pod.status.phase == "Pending"
        && pod.spec.node_name.is_some()
        && snap.age_seconds(&pod.metadata) >= GRACE
        && !started
        && pod.statuses().all(making)
}

/// A mount that fails, by the kubelet's events.
fn of_events<'a>(snap: &'a Snapshot, pod: &'a Pod) -> Option<Stop<'a>> {
    let events = snap.events_about("Pod", &pod.metadata, RECENT);
    let failed = events.into_iter().filter(|e| e.reason == "FailedMount" && e.message.contains("SetUp failed"));
    failed
        .filter_map(|e| {
            let fault = Fault::of(&e.message)?;
            let about_configuration = matches!(fault, Fault::Missing { .. } | Fault::MissingKey { .. });
            // It was made since: the kubelet tries again within two minutes.
            if !about_configuration || is_there(snap, pod, &fault) || may_be_over(snap, pod, &fault, e) {
                return None;
            }
            let container = container_of(pod, &fault).or(pod.spec.containers.first())?;
            Some(Stop { pod, container, fault, said: e.message.clone(), source: "event" })
        })
        .next()
}

/// A volume whose ConfigMap does not exist, where the events are gone.
fn of_volumes<'a>(snap: &'a Snapshot, pod: &'a Pod) -> Option<Stop<'a>> {
    let maps = mounts::config_maps(&pod.spec).filter(|m| !m.optional);
    let mut missing = maps.filter(|m| matches!(snap.config_maps.find(&pod.metadata.namespace, m.name), Ok(None)));
    let name = missing.next()?.name.to_owned();
    let said = format!("ConfigMap {name} does not exist");
    let fault = Fault::Missing { holder: Holder::ConfigMap, name };
    let container = container_of(pod, &fault).or(pod.spec.containers.first())?;
    Some(Stop { pod, container, fault, said, source: "volume" })
}

/// The ConfigMap that a fault is about, if it was read and exists.
fn config_map<'a>(snap: &'a Snapshot, pod: &Pod, fault: &Fault) -> Option<&'a ConfigMap> {
    let name = match fault {
        Fault::Missing { holder: Holder::ConfigMap, name } => name.clone(),
        Fault::MissingKey { holder: Holder::ConfigMap, .. } => holder_name(pod, fault)?,
        _ => return None,
    };
    snap.config_maps.find(&pod.metadata.namespace, &name).ok().flatten()
}

/// The object cannot be looked for, and the event is older than the kubelet's next attempt: it may have been made since.
fn may_be_over(snap: &Snapshot, pod: &Pod, fault: &Fault, event: &Event) -> bool {
    let is_map = matches!(fault, Fault::Missing { holder, .. } | Fault::MissingKey { holder, .. } if *holder == Holder::ConfigMap);
    let old = event.last_seen().is_some_and(|t| snap.collected_at.as_second() - t.as_second() > ATTEMPT);
    is_map && old && !snap.config_maps.covers(&pod.metadata.namespace)
}

fn is_there(snap: &Snapshot, pod: &Pod, fault: &Fault) -> bool {
    let map = config_map(snap, pod, fault);
    match fault {
        Fault::Missing { .. } => map.is_some(),
        Fault::MissingKey { key, .. } => map.is_some_and(|m| mounts::has_key(m, key)),
        _ => false,
    }
}

/// Name of the object that a fault is about.
fn holder_name(pod: &Pod, fault: &Fault) -> Option<String> {
    match fault {
        Fault::Missing { name, .. } | Fault::MissingKey { name: Some(name), .. } => Some(name.clone()),
        Fault::MissingKey { holder, name: None, volume: Some(volume), key } => {
            let all = mounts::sources(pod.spec.volumes.iter().find(|v| v.name == *volume)?);
            let mut same = all.iter().filter(|s| s.holder == *holder);
            let naming = same.clone().find(|s| s.named_keys().any(|k| k == key));
            naming.or_else(|| same.next()).or(all.first()).map(|s| s.name.to_owned())
        }
        _ => None,
    }
}

/// The volume that mounts an object.
fn volume_of<'a>(pod: &'a Pod, holder: Holder, name: &str) -> Option<&'a Volume> {
    pod.spec.volumes.iter().find(|v| mounts::sources(v).iter().any(|s| s.holder == holder && s.name == name))
}

/// References to an object in a container's environment.
fn env_of<'a>(
    container: &'a Container,
    holder: Holder,
    name: &'a str,
) -> impl Iterator<Item = (&'a EnvVar, &'a KeyRef)> {
    container.env.iter().filter_map(move |e| {
        let from = e.value_from.as_ref()?;
        let key = match holder {
            Holder::ConfigMap => from.config_map_key_ref.as_ref(),
            Holder::Secret => from.secret_key_ref.as_ref(),
        };
        key.filter(|k| k.name == name).map(|k| (e, k))
    })
}

/// The container that uses an object.
fn container_of<'a>(pod: &'a Pod, fault: &Fault) -> Option<&'a Container> {
    let (Fault::Missing { holder, .. } | Fault::MissingKey { holder, .. }) = fault else { return None };
    let name = holder_name(pod, fault)?;
    let volume = volume_of(pod, *holder, &name);
    pod.spec.containers.iter().find(|c| {
        let mounts = volume.is_some_and(|v| c.volume_mounts.iter().any(|m| m.name == v.name));
        mounts || env_of(c, *holder, &name).next().is_some()
    })
}

/// Keys that a pod wants of an object: by its environment, by its volume, by subPath, by the name of its configuration
/// file.
fn wanted_keys(snap: &Snapshot, pod: &Pod, holder: Holder, name: &str) -> Vec<String> {
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
fn closest<'a>(name: &str, others: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_ascii_lowercase().replace(['-', '_', '.'], "");
    let words = |text: &str| text.split(['-', '_', '.']).map(str::to_owned).collect::<Vec<_>>();
    let rank = |other: &str| {
        if plain(other) == plain(name) {
            return Some(0);
        }
        if name.len() > 4 && crate::text::near::is_slip(name, other, 2) {
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

struct Writer<'a> {
    snap: &'a Snapshot,
    pod: &'a Pod,
    container: &'a Container,
    fault: Fault,
    holder: Option<(Holder, String)>,
    target: Target<'a>,
}

impl<'a> Writer<'a> {
    fn new(snap: &'a Snapshot, stop: &Stop<'a>) -> Self {
        let fault = match &stop.fault {
            // A subPath that names no key becomes a directory.
            Fault::MountType { path } => sub_path_fault(snap, stop.pod, stop.container, path.as_deref()),
            other => other.clone(),
        };
        let holder = match &fault {
            Fault::Missing { holder, .. } | Fault::MissingKey { holder, .. } => {
                holder_name(stop.pod, &fault).map(|name| (*holder, name))
            }
            _ => None,
        };
        Self { snap, pod: stop.pod, container: stop.container, holder, fault, target: Target::of(snap, stop.pod) }
    }

    fn finding(&self, stops: &[Stop<'a>]) -> Finding {
        let pods: Vec<&Pod> = stops.iter().map(|s| s.pod).collect();
        let owner = &self.target.owner;
        let replaced = others_ready(self.snap, owner, &pods);
        let variant = self.variant();
        let who = format!("container {} of {owner}", self.container.name);
        let severity = if replaced { Severity::Warning } else { Severity::Error };
        let severity = severity_of(self.snap, self.pod, severity);
        let mut made =
            Finding::new(ConfigError::META.id, severity, owner.clone(), format!("{who} cannot start: {}", self.why()))
                .key(format!("{} {variant} {}", owner.key(), self.holder.as_ref().map_or("", |(_, n)| n)))
                .fix(variant)
                .evidence(said(&stops[0]));
        if let Some((holder, name)) = &self.holder {
            let held = ResourceRef::kubernetes("", holder.kind(), &self.pod.metadata.namespace, name);
            // Who was to make it, and does not, is deeper.
            made = made.also(held.clone()).depends_on(held);
            made = self.listed(made, *holder);
            let object = format!("{} {}/{name}", holder.kind(), self.pod.metadata.namespace);
            let text = format!("several containers cannot start: {}", self.why());
            made = made.cause(Cause::keyed(format!("{variant} {object} {}", self.why()), text));
        }
        for pod in &pods {
            let reference = ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name);
            made = made.breaks(reference.clone());
            if reference != *owner {
                made = made.also(reference);
            }
        }
        if !replaced {
            made = made.breaks(owner.clone());
        }
        self.params(made)
    }

    fn variant(&self) -> &'static str {
        match &self.fault {
            Fault::Missing { holder: Holder::ConfigMap, .. } => match (self.made_by_operator(), self.near()) {
                (true, _) => "operator-made",
                (_, Some(_)) => "config-map-name",
                _ => "config-map",
            },
            Fault::Missing { holder: Holder::Secret, name } if name.ends_with("-admission") => "admission",
            Fault::Missing { holder: Holder::Secret, .. } if self.made_by_operator() => "operator-made",
            Fault::Missing { holder: Holder::Secret, .. } => "secret",
            Fault::MissingKey { holder: Holder::ConfigMap, .. } => "config-map-key",
            Fault::MissingKey { holder: Holder::Secret, .. } => "secret-key",
            Fault::MountType { .. } if self.whole_volume_on_file().is_some() => "sub-path",
            Fault::MountType { .. } => "mount-type",
            Fault::Root { .. } => "root",
            Fault::SubPath { .. } => "sub-path-refused",
            Fault::Profile { .. } => "profile",
            Fault::Command { .. } => "command",
            Fault::Other => "other",
        }
    }

    fn why(&self) -> String {
        let named = |holder: Holder| {
            let name = self.holder.as_ref().map_or("<unknown>", |(_, n)| n.as_str());
            format!("{} {}/{name}", holder.kind(), self.pod.metadata.namespace)
        };
        match &self.fault {
            Fault::Missing { holder, .. } => {
                let near = self.near().map(|n| format!("; {n} does, and is likely meant")).unwrap_or_default();
                format!("{} does not exist{near}", named(*holder))
            }
            Fault::MissingKey { holder, key, .. } => {
                let keys = self.keys();
                let has = if keys.is_empty() { String::new() } else { format!("; it has {}", keys.join(", ")) };
                format!("{} has no key {key}{has}", named(*holder))
            }
            Fault::MountType { path } => {
                let at = path.as_deref().or(self.whole_volume_on_file().map(|m| m.mount_path.as_str()));
                let at = at.map(|p| format!(" at {p}")).unwrap_or_default();
                match self.whole_volume_on_file() {
                    Some(mount) => {
                        format!("volume {} is mounted as a whole onto a file{at}; it lacks a subPath", mount.name)
                    }
                    None => format!("a directory is mounted onto a file{at}, or a file onto a directory"),
                }
            }
            Fault::Root { user: Some(user) } => {
                format!("runAsNonRoot is set, and the image names its user ({user}) without a number")
            }
            Fault::Root { user: None } => "runAsNonRoot is set, and the image runs as root".into(),
            Fault::SubPath { volume } => {
                let path = self.sub_path(volume).map(|p| format!(" {p}")).unwrap_or_default();
                format!("the kubelet cannot make its subPath{path} in volume {volume}")
            }
            Fault::Profile { kind, name } => {
                let node = self.pod.spec.node_name.as_deref().unwrap_or("<node>");
                format!("node {node} does not have the {kind} profile {name} that it names")
            }
            Fault::Command { name: Some(name) } => format!("the image has no program {name} that can be run"),
            Fault::Command { name: None } => "the image does not have the program that it should run".into(),
            Fault::Other => "the runtime refuses it".into(),
        }
    }

    /// Keys of the ConfigMap.
    fn keys(&self) -> Vec<&'a str> {
        let map = config_map(self.snap, self.pod, &self.fault);
        map.map(|m| m.data.keys().map(String::as_str).collect()).unwrap_or_default()
    }

    /// The ConfigMap that is likely meant.
    fn near(&self) -> Option<&'a str> {
        let Fault::Missing { holder: Holder::ConfigMap, name } = &self.fault else { return None };
        let all = self.snap.config_maps.items().ok()?.iter();
        let wanted = wanted_keys(self.snap, self.pod, Holder::ConfigMap, name);
        let here = all.filter(|m| m.metadata.namespace == self.pod.metadata.namespace);
        // A ConfigMap without the key would not help.
        let fit = here.filter(|m| wanted.iter().all(|k| m.data.contains_key(k)));
        closest(name, fit.map(|m| m.metadata.name.as_str()))
    }

    /// The key that is likely meant.
    fn near_key(&self) -> Option<&'a str> {
        let Fault::MissingKey { key, .. } = &self.fault else { return None };
        closest(key, self.keys().into_iter())
    }

    /// Objects that the Prometheus Operator makes for its own resources.
    fn made_by_operator(&self) -> bool {
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

    /// A mount of a whole volume at a path that looks like a file.
    fn whole_volume_on_file(&self) -> Option<&'a VolumeMount> {
        let Fault::MountType { path } = &self.fault else { return None };
        let looks_like_file = |p: &str| {
            p.rsplit('/').next().is_some_and(|last| {
                last.rsplit_once('.').is_some_and(|(stem, end)| !stem.is_empty() && (2..=5).contains(&end.len()))
            })
        };
        self.container.volume_mounts.iter().find(|m| {
            m.sub_path.is_none() && looks_like_file(&m.mount_path) && path.as_ref().is_none_or(|p| *p == m.mount_path)
        })
    }

    /// The ConfigMaps that exist.
    fn listed(&self, made: Finding, holder: Holder) -> Finding {
        if holder == Holder::Secret || !matches!(self.fault, Fault::Missing { .. }) {
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

    /// The volume whose subPath the kubelet cannot make.
    fn sub_volume(&self) -> &str {
        match &self.fault {
            Fault::SubPath { volume } => volume,
            _ => "",
        }
    }

    /// The subPath of a volume that the container mounts.
    fn sub_path(&self, volume: &str) -> Option<&str> {
        self.container.volume_mounts.iter().filter(|m| m.name == volume).find_map(|m| m.sub_path.as_deref())
    }

    /// The claim behind that volume; empty where it is none.
    fn sub_claim(&self) -> &str {
        let volume = self.pod.spec.volumes.iter().find(|v| v.name == self.sub_volume());
        volume.and_then(|v| v.persistent_volume_claim.as_ref()).map_or("", |c| c.claim_name.as_str())
    }

    /// Kind and name of the profile that the node lacks.
    fn profile(&self) -> (&str, &str) {
        match &self.fault {
            Fault::Profile { kind, name } => (kind, name),
            _ => ("", ""),
        }
    }

    fn params(&self, made: Finding) -> Finding {
        let meta = &self.pod.metadata;
        let (holder, name) = self.holder.clone().unwrap_or((Holder::ConfigMap, String::new()));
        let key = match &self.fault {
            Fault::MissingKey { key, .. } => key.as_str(),
            _ => "",
        };
        let keys = wanted_keys(self.snap, self.pod, holder, &name);
        // Files that are not there stop the command; a value in its place would be taken as it stands.
        let mut flags: Vec<String> = keys.iter().map(|k| format!("--from-file={k}")).collect();
        if flags.is_empty() {
            flags.push(format!("--from-file={name}/"));
        }
        let map = config_map(self.snap, self.pod, &self.fault);
        made.param("namespace", &meta.namespace)
            .param("pod", &meta.name)
            .param("container", &self.container.name)
            .param("image", &self.container.image)
            .param("command", self.container.command.join(" "))
            .param("target", &self.target.name)
            .param("in_place", self.target.in_place())
            .param("rolls", self.target.settable != Settable::No)
            .param("has_rollout", self.target.has_rollout)
            .param("custom", self.target.custom.map(|(kind, _)| kind))
            .param("custom_name", self.target.custom.map(|(_, name)| name))
            .param("managed_by", &self.target.managed_by)
            .param("map_managed_by", map.map(|m| managed_by(&m.metadata)).unwrap_or_default())
            .param("name", &name)
            .param("key", key)
            .param("near", self.near())
            .param("near_key", self.near_key())
            .param("near_patch", self.near_patch())
            .param("key_patch", self.key_patch())
            .param("flags", flags)
            .param("keys", keys)
            .param("mounts", self.mounts())
            .param("operator", self.operator())
            .param("root_patch", self.root_patch(false))
            .param("custom_root_patch", self.root_patch(true))
            .param("sub_path_patch", self.sub_path_patch())
            .param(
                "user",
                match &self.fault {
                    Fault::Root { user } => user.clone(),
                    _ => None,
                },
            )
            .param("part_of", self.release())
            .param("node", self.pod.spec.node_name.as_deref().unwrap_or("<node>"))
            .param("sub_volume", self.sub_volume())
            .param("sub_path", self.sub_path(self.sub_volume()).unwrap_or_default())
            .param("claim", self.sub_claim())
            .param("profile", self.profile().1)
            .param("is_seccomp", self.profile().0 == "seccomp")
    }

    /// A patch of the workload that names the ConfigMap that is likely meant.
    fn near_patch(&self) -> Option<String> {
        let (near, (holder, name)) = (self.near()?, self.holder.as_ref()?);
        if let Some(volume) = volume_of(self.pod, *holder, name) {
            // Of a projected volume the list of its sources would be replaced.
            volume.config_map.as_ref()?;
            let volume = json!({"name": volume.name, "configMap": {"name": near}});
            return Some(json!({"spec": {"template": {"spec": {"volumes": [volume]}}}}).to_string());
        }
        let env: Vec<Value> = env_of(self.container, *holder, name)
            .map(|(e, k)| json!({"name": e.name, "valueFrom": {"configMapKeyRef": {"name": near, "key": k.key}}}))
            .collect();
        (!env.is_empty()).then(|| self.container_patch(json!({"name": self.container.name, "env": env})))
    }

    /// A patch of the workload that names the key that is likely meant.
    fn key_patch(&self) -> Option<String> {
        let Fault::MissingKey { key, .. } = &self.fault else { return None };
        let (near, (_, name)) = (self.near_key()?, self.holder.as_ref()?);
        let mut env = env_of(self.container, Holder::ConfigMap, name).filter(|(_, k)| k.key == *key);
        if let Some((var, _)) = env.next() {
            let env = json!([{"name": var.name, "valueFrom": {"configMapKeyRef": {"name": name, "key": near}}}]);
            return Some(self.container_patch(json!({"name": self.container.name, "env": env})));
        }
        let volume = volume_of(self.pod, Holder::ConfigMap, name)?;
        let mount =
            self.container.volume_mounts.iter().find(|m| m.name == volume.name && m.sub_path.as_ref() == Some(key))?;
        let mount = json!({"mountPath": mount.mount_path, "name": mount.name, "subPath": near});
        Some(self.container_patch(json!({"name": self.container.name, "volumeMounts": [mount]})))
    }

    fn container_patch(&self, container: Value) -> String {
        let init = self.pod.spec.init_containers.iter().any(|c| c.name == self.container.name);
        let list = if init { "initContainers" } else { "containers" };
        json!({"spec": {"template": {"spec": {list: [container]}}}}).to_string()
    }

    fn sub_path_patch(&self) -> Option<String> {
        let mount = self.whole_volume_on_file()?;
        let file = mount.mount_path.rsplit('/').next()?;
        let mount = json!({"mountPath": mount.mount_path, "name": mount.name, "subPath": file});
        Some(self.container_patch(json!({"name": self.container.name, "volumeMounts": [mount]})))
    }

    /// A user without rights, as the images of the programs have it.
    fn root_patch(&self, custom: bool) -> Option<String> {
        let id = match self.container.program()? {
            Program::Prometheus | Program::Alertmanager => 65534,
            Program::Grafana => 472,
        };
        let context =
            json!({"securityContext": {"runAsUser": id, "runAsGroup": id, "fsGroup": id, "runAsNonRoot": true}});
        let spec = if custom { context } else { json!({"template": {"spec": context}}) };
        matches!(self.fault, Fault::Root { .. }).then(|| json!({"spec": spec}).to_string())
    }

    /// Mounts of the container in words: path, volume, subPath.
    fn mounts(&self) -> String {
        let all = self.container.volume_mounts.iter().map(|m| match &m.sub_path {
            Some(sub) => format!("{} from {} subPath {sub}", m.mount_path, m.name),
            None => format!("{} from {}", m.mount_path, m.name),
        });
        all.collect::<Vec<_>>().join("; ")
    }

    /// The operator's workload: `deployment/name` and its namespace.
    fn operator(&self) -> Option<Vec<String>> {
        let workloads = self.snap.workloads.items().unwrap_or_default().iter();
        let is_operator = |c: &Container| base_of(&c.image) == "prometheus-operator";
        let mut found = workloads.filter(|w| w.spec.template.spec.containers.iter().any(is_operator));
        let operator = found.next()?;
        Some(vec![operator.kubectl_name(), "-n".into(), operator.metadata.namespace.clone()])
    }

    /// Helm release and namespace of the workload.
    fn release(&self) -> Option<Vec<String>> {
        let workload = workload(self.snap, &self.target.owner)?;
        let (release, namespace) = release(&workload.metadata)?;
        Some(vec![release.to_owned(), "-n".into(), namespace.to_owned()])
    }
}

/// The key that a subPath names and a ConfigMap lacks, where that is why the mount fails.
fn sub_path_fault(snap: &Snapshot, pod: &Pod, container: &Container, path: Option<&str>) -> Fault {
    let mut mounts = container.volume_mounts.iter().filter(|m| path.is_none_or(|p| p == m.mount_path));
    let missing = mounts.find_map(|mount| {
        mount.sub_path.as_ref()?;
        let origin = mounts::origin(snap, pod, container, &mount.mount_path);
        let (map, _) = mounts::config_map(snap, &pod.metadata.namespace, &origin)?;
        let Origin::ConfigMap { name, key } = origin else { return None };
        let volume = Some(mount.name.clone());
        let is_missing = !mounts::has_key(map, &key);
        is_missing.then_some(Fault::MissingKey { holder: Holder::ConfigMap, name: Some(name), volume, key })
    });
    missing.unwrap_or_else(|| Fault::MountType { path: path.map(str::to_owned) })
}

fn said(stop: &Stop<'_>) -> Evidence {
    let meta = &stop.pod.metadata;
    let (source, show) = match stop.source {
        "event" => (
            format!("Event FailedMount of Pod {}/{}", meta.namespace, meta.name),
            "kubectl get events -n {{ namespace }} --field-selector {{ field }}",
        ),
        "volume" => (
            format!("Pod {}/{} spec.volumes", meta.namespace, meta.name),
            "kubectl get pod -n {{ namespace }} {{ pod }} -o jsonpath='{.spec.volumes}{\"\\n\"}'",
        ),
        _ => (
            format!("Pod {}/{}, container {}", meta.namespace, meta.name, stop.container.name),
            "kubectl describe pod -n {{ namespace }} {{ pod }}",
        ),
    };
    Evidence::new(source, stop.said.clone(), show)
        .with("namespace", &meta.namespace)
        .with("pod", &meta.name)
        .with("field", format!("involvedObject.name={},reason=FailedMount", meta.name))
}

#[cfg(test)]
mod tests;
