//! A certificate that was renewed while the program that shows it ran: it still shows the one of before.

use jiff::Timestamp;

use crate::domain::kubernetes::mounts::{Holder, sources};
use crate::domain::text::tls_error::TlsCause;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Pod, SecretMaker};

/// A program with a certificate of before.
#[derive(Debug)]
pub(crate) struct OldCertificate<'a> {
    /// The pod that shows it.
    pub(crate) pod: &'a Pod,
    /// Its container.
    pub(crate) container: &'a str,
    /// The Certificate of cert-manager that fills the Secret.
    pub(crate) certificate: &'a SecretMaker,
    /// Since when the Secret has another.
    pub(crate) renewed: Timestamp,
    /// Since when the container runs.
    pub(crate) started: Timestamp,
    /// The file is mounted by `subPath`, and is never written again.
    pub(crate) sub_path: bool,
}

/// Where somebody says that what is shown at `address` (an IP and a port) has expired: whose pod it is, where its Secret holds a
/// certificate that is valid and was made since the container began.
pub(crate) fn held<'a>(snap: &'a Snapshot, address: &str, says: &str) -> Option<OldCertificate<'a>> {
    if TlsCause::read(says) != Some(TlsCause::Expired) {
        return None;
    }
    let (host, port) = address.rsplit_once(':')?;
    let pod = snap.pod_by_ip(host.trim_matches(['[', ']']))?;
    let port: u16 = port.parse().ok()?;
    let all = pod.spec.containers.iter();
    let own: Vec<&Container> = all.clone().filter(|c| c.ports.iter().any(|p| p.container_port == port)).collect();
    // Not every port that is listened on is named.
    let asked = if own.is_empty() { all.collect() } else { own };
    asked.into_iter().find_map(|container| of_container(snap, pod, container))
}

fn of_container<'a>(snap: &'a Snapshot, pod: &'a Pod, container: &'a Container) -> Option<OldCertificate<'a>> {
    let status = pod.status.container_statuses.iter().find(|s| s.name == container.name)?;
    let started = status.state.running.as_ref()?.started_at?;
    let namespace = &pod.metadata.namespace;
    let certificates = || {
        let all = snap.secret_makers.items().unwrap_or_default().iter();
        all.filter(|m| m.kind == "Certificate" && m.metadata.namespace == *namespace)
    };
    pod.spec.volumes.iter().find_map(|volume| {
        let mount = container.volume_mounts.iter().find(|m| m.name == volume.name)?;
        sources(volume).into_iter().filter(|s| s.holder == Holder::Secret).find_map(|source| {
            let certificate = certificates().find(|c| c.secret() == Some(source.name))?;
            let renewed = certificate.status.not_before.filter(|made| *made > started)?;
            let valid = certificate.status.not_after.is_some_and(|end| end > snap.collected_at);
            valid.then(|| OldCertificate {
                pod,
                container: &container.name,
                certificate,
                renewed,
                started,
                sub_path: mount.sub_path.as_deref().is_some_and(|p| !p.is_empty()),
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::testing::snapshot;
    use crate::snapshot::Listing;

    const SAYS: &str = "tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2026-11-21T02:00:00Z is after 2026-11-20T22:00:00Z";

    fn is_held(renewed: &str, says: &str) -> bool {
        let pod = json!({"metadata": {"name": "store-0", "namespace": "monitoring"},
            "spec": {"containers": [{"name": "store", "image": "thanos", "volumeMounts": [{"name": "tls", "mountPath": "/tls"}]}],
                "volumes": [{"name": "tls", "secret": {"secretName": "store-tls"}}]},
            "status": {"phase": "Running", "podIP": "10.0.0.1", "containerStatuses": [
                {"name": "store", "state": {"running": {"startedAt": "2026-09-01T00:00:00Z"}}}]}});
        let mut snap = snapshot(json!({"pods": [pod]}));
        let certificate = json!({"metadata": {"name": "store", "namespace": "monitoring"}, "spec": {"secretName": "store-tls"},
            "status": {"notBefore": renewed, "notAfter": "2027-01-19T22:00:00Z"}});
        let mut certificate: SecretMaker = serde_json::from_value(certificate).expect("a certificate");
        certificate.kind = "Certificate".into();
        snap.secret_makers = Listing::cluster(vec![certificate]);
        held(&snap, "10.0.0.1:10901", says).is_some()
    }

    #[test]
    fn only_what_was_renewed_since_is_old() {
        assert!(is_held("2026-10-21T22:00:00Z", SAYS));
        assert!(!is_held("2026-08-21T22:00:00Z", SAYS), "it began with this one");
        assert!(!is_held("2026-10-21T22:00:00Z", "x509: certificate signed by unknown authority"));
    }
}
