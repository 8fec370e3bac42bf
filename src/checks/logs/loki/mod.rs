//! Loki, Mimir or Tempo does not keep what it gets: its object store, its disk, its ring.

mod fix;
#[cfg(test)]
mod tests;
mod way;
mod words;

use std::collections::BTreeMap;

use crate::checks::{Check, check};
use crate::domain::kubernetes::arguments::flag;
use crate::domain::kubernetes::image::base_of;
use crate::domain::kubernetes::store::Store;
use crate::domain::loki::kafka::Kafka;
use crate::domain::loki::ring;
use crate::domain::loki::store_log::{self, Cause, Failing};
use crate::domain::text::object_store::StoreFailure;
use crate::domain::text::redact::redact;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;
use fix::Fix;
use words::{block_list, forgets, more, words};

check! {
    /// See the check's page.
    Loki {
        id: "loki", suite: Logs, severity: Error,
        title: "Loki (Mimir, Tempo) does not keep what it gets",
        requires: [Pods],
        uses: [PartLogs, Workloads, PersistentVolumeClaims, StorageClasses, ServiceAccounts, ConfigMaps, Services, Jobs, Nodes],
        fix: Fix,
    }
}

impl Check for Loki {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let mut containers = snap.pods()?.iter().flat_map(|p| &p.spec.containers);
        if !containers.any(|c| Store::of_image(&c.image).is_some()) {
            return Ok(Diagnosis::NotApplicable(
                "no Loki, Mimir or Tempo runs in the namespaces that were read".into(),
            ));
        }
        // Its parts fail at the same store: one finding for each namespace and trouble.
        let mut groups: BTreeMap<(String, Cause), Vec<Failing>> = BTreeMap::new();
        for failing in store_log::failing(snap)? {
            groups.entry((failing.namespace.clone(), failing.trouble)).or_default().push(failing);
        }
        // Who only cleans up once in a quarter of an hour: whether that matters is told by those who query.
        groups.retain(|(_, cause), group| {
            *cause != Cause::BlockList || group.iter().any(|f| !f.text.contains(store_log::CLEANS))
        });
        let deeper = deeper(snap, &groups);
        // Who renews it says why it does not.
        let says = |f: &&Failing| (f.text.contains(store_log::CLEANS), f.times);
        let findings = groups.iter().filter_map(|((namespace, cause), group)| {
            let made = finding(snap, group.iter().max_by_key(says)?, group);
            let why = deeper.get(namespace).filter(|_| *cause == Cause::BlockList).into_iter().flatten();
            Some(why.cloned().fold(made, Finding::depends_on))
        });
        Ok(Diagnosis::Findings(findings.collect()))
    }
}

/// A store that refuses Mimir's compactor, or a disk of it that is full, leaves the list of blocks as it was: who fails so, by
/// namespace.
fn deeper(snap: &Snapshot, groups: &BTreeMap<(String, Cause), Vec<Failing>>) -> BTreeMap<String, Vec<ResourceRef>> {
    let mut found: BTreeMap<String, Vec<ResourceRef>> = BTreeMap::new();
    for ((namespace, cause), group) in groups {
        if matches!(cause, Cause::Store(_) | Cause::Key | Cause::KeyOff | Cause::DiskFull | Cause::DiskReadOnly) {
            let own = group.iter().filter(|f| f.store == Store::Mimir);
            let pods = own.filter_map(|f| snap.pods.find(&f.namespace, &f.pod).ok().flatten());
            found.entry(namespace.clone()).or_default().extend(pods.map(|p| snap.owner_ref(p)));
        }
    }
    found
}

fn is_cache(pod: &Pod) -> bool {
    pod.spec.containers.iter().any(|c| base_of(&c.image) == "memcached")
}

/// The pods that compact, and renew the list of blocks, whether they are well or not.
fn compactors<'a>(snap: &'a Snapshot, failing: &'a Failing) -> impl Iterator<Item = &'a Pod> {
    let near = snap.pods().unwrap_or_default().iter();
    near.filter(|p| p.metadata.namespace == failing.namespace).filter(|p| {
        let mut own = p.spec.containers.iter().filter(|c| Store::of_image(&c.image) == Some(failing.store));
        own.any(|c| {
            flag(c, "target").is_none_or(|t| t.split(',').any(|t| matches!(t, "compactor" | "backend" | "all")))
        })
    })
}

fn finding(snap: &Snapshot, failing: &Failing, group: &[Failing]) -> Finding {
    let pod = snap.pods.find(&failing.namespace, &failing.pod).ok().flatten();
    let owner = pod.map_or_else(|| ResourceRef::pod(&failing.namespace, &failing.pod), |p| snap.owner_ref(p));
    let severity = if failing.trouble.is_mild() { Severity::Warning } else { Severity::Error };
    let times: usize = group.iter().map(|f| f.times).sum();
    let countless = store_log::countless_labels(&failing.text);
    let labels = match countless.is_empty() {
        true => String::new(),
        false => format!("; each value of label {} makes a stream of its own", countless.join(", ")),
    };
    let container = pod.and_then(|p| p.spec.containers.iter().find(|c| c.name == failing.container));
    let of_ring = matches!(failing.trouble, Cause::Ring | Cause::Scheduler | Cause::IndexGateway);
    let of_members = of_ring || failing.trouble == Cause::Generator;
    let slip = pod.zip(container).filter(|_| of_ring).and_then(|(p, c)| ring::slip(snap, p, c));
    let through = matches!(failing.trouble, Cause::Topic | Cause::Broker);
    let kafka = pod.zip(container).filter(|_| through).and_then(|(p, c)| Kafka::of(snap, p, c));
    let labels =
        labels + &more(snap, failing, slip.as_ref()) + &block_list(group) + &forgets(snap, failing, kafka.as_ref());
    let message = format!(
        "{} ({} in {}): {}{labels} ({times} lines within 15 minutes)",
        failing.store.name(),
        owner.kubectl_name(),
        failing.namespace,
        words(failing)
    );
    let show = "kubectl logs -n {{ namespace }} {{ pod }} -c {{ container }} --since=1h";
    let mut made = Finding::new(Loki::META.id, severity, owner.clone(), message)
        .key(format!("{} {:?}", failing.namespace, failing.trouble))
        .evidence(
            Evidence::new(format!("log of pod {}/{}", failing.namespace, failing.pod), redact(&failing.text), show)
                .with("namespace", &failing.namespace)
                .with("pod", &failing.pod)
                .with("container", &failing.container),
        );
    if through {
        let pods = group.iter().filter_map(|f| snap.pods.find(&f.namespace, &f.pod).ok().flatten());
        made = made.also_all(pods.map(|p| snap.owner_ref(p)));
        // What keeps Kafka from running is deeper, whatever its members say of it.
        for other in kafka.iter().flat_map(|k| &k.pods).filter(|p| !p.is_ready()) {
            made = made.depends_on(snap.owner_ref(other));
        }
        if let Some(service) = kafka.as_ref().filter(|_| failing.trouble == Cause::Broker).map(|k| &k.service) {
            made = made.depends_on(ResourceRef::service(&service.namespace, &service.service));
        }
    }
    if failing.trouble == Cause::BlockList {
        let pods = group.iter().filter_map(|f| snap.pods.find(&f.namespace, &f.pod).ok().flatten());
        made = made.also_all(pods.map(|p| snap.owner_ref(p)));
        for other in compactors(snap, failing).filter(|p| !p.is_ready()) {
            made = made.depends_on(snap.owner_ref(other));
        }
    }
    let account = pod.map_or("default", |p| p.spec.account()).to_owned();
    if matches!(failing.trouble, Cause::Store(StoreFailure::Credentials | StoreFailure::Denied) | Cause::Key) {
        made = made.depends_on(ResourceRef::service_account(&failing.namespace, &account));
    }
    // Why it ends says the same, of the end.
    let is_of_store = matches!(failing.trouble, Cause::Store(_) | Cause::Key | Cause::KeyOff);
    let ends = |p: &Pod| p.statuses().any(|s| s.state.waiting.as_ref().is_some_and(|w| w.reason == "CrashLoopBackOff"));
    if is_of_store && pod.is_some_and(ends) {
        made = made.depends_on(owner.clone());
    }
    // Members, or caches, that do not run explain it, or a part of it.
    let of_store = |p: &Pod| p.spec.containers.iter().any(|c| Store::of_image(&c.image) == Some(failing.store));
    let is_missed = |p: &Pod| match failing.trouble {
        Cause::Cache => is_cache(p),
        _ => of_members && p.metadata.name != failing.pod && of_store(p),
    };
    if of_members || failing.trouble == Cause::Cache {
        let near = snap.pods().unwrap_or_default().iter().filter(|p| p.metadata.namespace == failing.namespace);
        for other in near.filter(|p| !p.is_ready() && is_missed(p)) {
            made = made.depends_on(ResourceRef::pod(&other.metadata.namespace, &other.metadata.name));
            made = made.depends_on(snap.owner_ref(other));
        }
    }
    made.fix(Fix::of(snap, failing, pod, &owner, (slip, group)))
}
