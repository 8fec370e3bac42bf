//! What the kubelet says when it cannot set up a volume that a pod brings itself: of the Secrets Store, of the host, over the
//! network.

use crate::domain::kubernetes::start_error;
use crate::domain::text::between::between;
use crate::text::pattern::pattern;

/// Why it is not set up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// The SecretProviderClass does not exist: namespace and name.
    NoClass(String, String),
    /// The provider of the Secrets Store does not run on the node.
    NoProvider(String),
    /// The pod's ServiceAccount has no IAM role.
    NoRole,
    /// The provider may not read the secret, or the secret is not there.
    NotFetched,
    /// The driver does not run on the node.
    NoDriver(String),
    /// What lies at the host's path is not what the pod asks for.
    HostPath(String),
    /// Another error.
    Other,
}

/// A volume that is not set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused<'a> {
    /// The volume's name in the pod.
    pub(crate) volume: &'a str,
    pub(crate) fault: Cause,
    /// The innermost words.
    pub(crate) text: &'a str,
}

/// Reads a FailedMount; `None` where it tells of nothing that stays (objects and caches that the kubelet has not seen yet), or
/// of a ConfigMap or Secret that is not there, which [`start_error`] reads.
pub(crate) fn read(message: &str) -> Option<Refused<'_>> {
    let set_up = pattern!(r#"(?s)MountVolume\.SetUp failed for volume "([^"]+)" : (.*)"#);
    let found = set_up.captures(message)?;
    let (volume, text) = (found.get(1)?.as_str(), found.get(2)?.as_str().trim());
    if text.contains("not registered") || text.contains("failed to sync") {
        return None;
    }
    let fault = fault(text);
    let is_object = |f| matches!(f, start_error::Cause::Missing { .. } | start_error::Cause::MissingKey { .. });
    if fault == Cause::Other && start_error::Cause::of(message).is_some_and(is_object) {
        return None;
    }
    Some(Refused { volume, fault, text: innermost(text) })
}

fn fault(text: &str) -> Cause {
    let has = |parts: &[&str]| parts.iter().any(|p| text.contains(p));
    if let Some((namespace, name)) = between(text, "failed to get secretproviderclass ", ", error:")
        .and_then(|c| c.split_once('/'))
        .filter(|_| text.contains("not found"))
    {
        return Cause::NoClass(namespace.to_owned(), name.to_owned());
    }
    if let Some(provider) = between(text, "error connecting to provider \"", "\"") {
        return Cause::NoProvider(provider.to_owned());
    }
    if has(&["An IAM role must be associated with service account"]) {
        return Cause::NoRole;
    }
    if has(&["failed to mount secrets store objects"]) {
        return Cause::NotFetched;
    }
    if text.contains("not found in the list of registered CSI drivers") {
        return Cause::NoDriver(between(text, "driver name ", " not found").unwrap_or_default().to_owned());
    }
    if let Some(rest) = text.strip_prefix("hostPath type check failed: ") {
        return Cause::HostPath(rest.split(' ').next().unwrap_or_default().to_owned());
    }
    Cause::Other
}

/// Without the wrapping of gRPC and of the driver.
fn innermost(text: &str) -> &str {
    let text = text.rsplit_once("desc = ").map_or(text, |(_, rest)| rest);
    text.rsplit_once(", err: ").map_or(text, |(_, rest)| rest).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kubelets_words() {
        let start = "MountVolume.SetUp failed for volume \"secrets\" : ";
        let rpc = "rpc error: code = Unknown desc = ";
        let store = "failed to mount secrets store objects for pod monitoring/grafana-0, err: ";
        for (told, fault) in [
            (
                format!("{rpc}failed to get secretproviderclass monitoring/grafana, error: SecretProviderClass.secrets-store.csi.x-k8s.io \"grafana\" not found"),
                Some(Cause::NoClass("monitoring".into(), "grafana".into())),
            ),
            (
                format!("{rpc}{store}error connecting to provider \"aws\": provider not found: provider \"aws\""),
                Some(Cause::NoProvider("aws".into())),
            ),
            (
                format!("{rpc}{store}{rpc}ap-northeast-2: An IAM role must be associated with service account grafana (namespace: monitoring)"),
                Some(Cause::NoRole),
            ),
            (
                format!("{rpc}{store}{rpc}Failed to fetch secret from all regions. Verify secret exists and required permissions are granted for: prod/grafana"),
                Some(Cause::NotFetched),
            ),
            (
                "kubernetes.io/csi: mounter.SetUpAt failed to get CSI client: driver name secrets-store.csi.k8s.io not found in the list of registered CSI drivers".into(),
                Some(Cause::NoDriver("secrets-store.csi.k8s.io".into())),
            ),
            ("hostPath type check failed: /var/log/journal is not a directory".into(), Some(Cause::HostPath("/var/log/journal".into()))),
            ("object \"monitoring\"/\"kube-root-ca.crt\" not registered".into(), None),
            ("failed to sync configmap cache: timed out waiting for the condition".into(), None),
        ] {
            assert_eq!(read(&format!("{start}{told}")).map(|r| r.fault), fault, "{told}");
        }
        assert_eq!(read("Unable to attach or mount volumes: unmounted volumes=[secrets]"), None);
    }
}
