//! An object store that runs in the cluster itself (MinIO and the like): who asks it, and the Job that was to make its buckets.

use crate::domain::kubernetes::image::base_of;
use crate::domain::kubernetes::mounts::Mounts;
use crate::domain::kubernetes::service_host::{self, ServiceHost};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Job, Pod};
use crate::text::pattern::pattern;

/// The Service that the files of a container name as the endpoint of its object store, in Loki's, Mimir's, Tempo's and Thanos'
/// words. Nothing where they name several.
pub(crate) fn of(snap: &Snapshot, pod: &Pod, container: &Container) -> Option<ServiceHost> {
    let named = pattern!(r#"(?m)^\s*endpoint:\s*["']?(?:https?://)?([A-Za-z0-9.-]+)(?::\d+)?/?["']?\s*$"#);
    let mut hosts: Vec<String> = Vec::new();
    for file in Mounts::of_pod(snap, pod, container).files() {
        hosts.extend(named.captures_iter(file.text).map(|found| found[1].to_owned()));
    }
    // Addresses are where receivers of Tempo listen.
    hosts.retain(|h| h != "localhost" && h.parse::<std::net::IpAddr>().is_err());
    hosts.sort();
    hosts.dedup();
    let [host] = hosts.as_slice() else { return None };
    let service = service_host::in_cluster(snap, host, &pod.metadata.namespace)?;
    snap.services.find(&service.namespace, &service.service).ok().flatten().map(|_| service)
}

/// The Job that makes the buckets of a store, where it has failed: by MinIO's client, or by its name.
pub(crate) fn failed_maker<'a>(snap: &'a Snapshot, store: &ServiceHost) -> Option<&'a Job> {
    let makes = |job: &Job| {
        let by_client = job.spec.template.spec.containers.iter().any(|c| base_of(&c.image) == "mc");
        by_client || job.metadata.name.contains("bucket")
    };
    let failed = |job: &Job| job.status.conditions.iter().any(|c| c.kind == "Failed" && c.status == "True");
    let jobs = snap.jobs.items().unwrap_or_default().iter().filter(|j| j.metadata.namespace == store.namespace);
    // A later one made good.
    let newest = jobs.filter(|j| makes(j)).max_by_key(|j| j.metadata.creation_timestamp)?;
    failed(newest).then_some(newest)
}
