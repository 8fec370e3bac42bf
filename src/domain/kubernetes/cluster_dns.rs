//! The cluster's DNS: where it is and what serves it.

use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Service;

pub(crate) const NAMESPACE: &str = "kube-system";

/// The label that the Service `kube-dns` selects by, whatever the server is called.
pub(crate) const APP: &str = "kube-dns";

/// The Service whose address the pods' resolv.conf names.
pub(crate) fn service(snap: &Snapshot) -> Option<&Service> {
    let by_name = snap.services.find(NAMESPACE, APP).ok().flatten();
    let labelled = |s: &&Service| s.metadata.namespace == NAMESPACE && s.metadata.label("k8s-app") == Some(APP);
    by_name.or_else(|| snap.services.items().unwrap_or_default().iter().find(labelled))
}
