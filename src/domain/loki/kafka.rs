//! The Kafka through which Mimir and its kin write what they get, where it runs in the cluster.

use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::mounts::Mounts;
use crate::domain::kubernetes::service_host::{self, ServiceHost};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Pod, Volume};
use crate::text::pattern::pattern;

/// Its Service, and the pods behind it.
pub(crate) struct Kafka<'a> {
    pub(crate) service: ServiceHost,
    pub(crate) pods: Vec<&'a Pod>,
}

impl<'a> Kafka<'a> {
    /// The one that the files of a container name.
    pub(crate) fn of(snap: &'a Snapshot, pod: &Pod, container: &Container) -> Option<Self> {
        let named = pattern!(r#"(?m)^ *kafka: *\n(?: +[^\n]*\n){0,12}? +address: *["']?([A-Za-z0-9.-]+?)\.?:\d+"#);
        let flag = arguments::flag(container, "ingest-storage.kafka.address");
        let given = flag.and_then(|f| Some(f.rsplit_once(':')?.0.trim_end_matches('.').to_owned()));
        let in_file = || {
            let of_pod = Mounts::of_pod(snap, pod, container);
            of_pod.files().iter().find_map(|f| Some(named.captures(f.text)?[1].to_owned()))
        };
        let host = given.or_else(in_file)?;
        let service = service_host::in_cluster(snap, &host, &pod.metadata.namespace)?;
        let found = snap.services.find(&service.namespace, &service.service).ok().flatten()?;
        let pods = snap.pods_of_service(found).collect();
        Some(Self { service, pods })
    }

    /// It keeps its topics in folders that end with its pods.
    pub(crate) fn forgets(&self) -> bool {
        let lasts = |v: &Volume| v.persistent_volume_claim.is_some() || v.ephemeral.is_some();
        !self.pods.is_empty() && self.pods.iter().all(|p| !p.spec.volumes.iter().any(lasts))
    }
}
