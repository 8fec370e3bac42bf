//! The cluster's DNS: where it is and what serves it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Pod, Service, Workload};

pub(crate) const NAMESPACE: &str = "kube-system";

/// The label that the Service `kube-dns` selects by, whatever the server is called.
pub(crate) const APP: &str = "kube-dns";

/// The Service whose address the pods' resolv.conf names.
pub(crate) fn service(snap: &Snapshot) -> Option<&Service> {
    let by_name = snap.services.find(NAMESPACE, APP).ok().flatten();
    let labelled = |s: &&Service| s.metadata.namespace == NAMESPACE && s.metadata.label("k8s-app") == Some(APP);
    by_name.or_else(|| snap.services.items().unwrap_or_default().iter().find(labelled))
}

/// The Service that pods ask, by whatever name: that of the chart of CoreDNS is called after its release.
pub(crate) fn serving(snap: &Snapshot) -> Option<&Service> {
    let serves = |s: &&Service| s.metadata.namespace == NAMESPACE && s.spec.ports.iter().any(|p| p.port == 53);
    service(snap).or_else(|| snap.services.items().unwrap_or_default().iter().find(serves))
}

/// All addresses at which the cluster's DNS answers: of its Service in both families, of other Services beside it that
/// serve DNS, and of the caches on the nodes.
pub(crate) fn addresses(snap: &Snapshot) -> BTreeSet<IpAddr> {
    let serves = |s: &&Service| s.metadata.namespace == NAMESPACE && s.spec.ports.iter().any(|p| p.port == 53);
    let beside = snap.services.items().unwrap_or_default().iter().filter(serves);
    let of_services = service(snap).into_iter().chain(beside);
    let of_services = of_services.flat_map(|s| s.spec.cluster_ips.iter().chain(&s.spec.cluster_ip));
    let caches = snap.workloads.items().unwrap_or_default().iter().filter(|w| is_cache(w));
    let arguments = caches.flat_map(|w| &w.spec.template.spec.containers).flat_map(|c| c.command.iter().chain(&c.args));
    // `-localip 169.254.20.10,172.20.0.10`
    let of_caches = arguments.flat_map(|a| a.rsplit('=').next().unwrap_or(a).split(','));
    of_services.map(String::as_str).chain(of_caches).filter_map(|ip| ip.trim().parse().ok()).collect()
}

/// A pod behind that Service.
pub(crate) fn is_server(pod: &Pod) -> bool {
    pod.metadata.namespace == NAMESPACE && pod.metadata.label("k8s-app") == Some(APP)
}

/// NodeLocal DNSCache.
fn is_cache(workload: &Workload) -> bool {
    let name = workload.metadata.name.replace('-', "");
    workload.kind == "DaemonSet" && name.contains("nodelocaldns")
}

/// A Corefile has a plugin, at the beginning of a line.
pub(crate) fn has_plugin(corefile: &str, plugin: &str) -> bool {
    corefile.lines().any(|line| line.split_whitespace().next() == Some(plugin))
}
