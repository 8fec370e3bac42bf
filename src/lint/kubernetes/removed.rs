//! Versions of APIs that newer API servers do not serve any more.

/// An API version that is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    /// Minor of Kubernetes 1 from which on it is not served.
    pub since: u16,
    /// What to write instead; empty where nothing took its place.
    pub instead: &'static str,
}

/// `apiVersion`, kinds (all where empty), minor, `apiVersion` of now.
const REMOVED: &[(&str, &[&str], u16, &str)] = &[
    ("extensions/v1beta1", &["Deployment", "DaemonSet", "ReplicaSet"], 16, "apps/v1"),
    ("extensions/v1beta1", &["NetworkPolicy"], 16, "networking.k8s.io/v1"),
    ("extensions/v1beta1", &["PodSecurityPolicy"], 16, ""),
    ("extensions/v1beta1", &["Ingress"], 22, "networking.k8s.io/v1"),
    ("apps/v1beta1", &[], 16, "apps/v1"),
    ("apps/v1beta2", &[], 16, "apps/v1"),
    ("networking.k8s.io/v1beta1", &["Ingress", "IngressClass"], 22, "networking.k8s.io/v1"),
    ("rbac.authorization.k8s.io/v1beta1", &[], 22, "rbac.authorization.k8s.io/v1"),
    (
        "admissionregistration.k8s.io/v1beta1",
        &["ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"],
        22,
        "admissionregistration.k8s.io/v1",
    ),
    ("apiextensions.k8s.io/v1beta1", &[], 22, "apiextensions.k8s.io/v1"),
    ("apiregistration.k8s.io/v1beta1", &[], 22, "apiregistration.k8s.io/v1"),
    ("storage.k8s.io/v1beta1", &["StorageClass", "CSIDriver", "CSINode", "VolumeAttachment"], 22, "storage.k8s.io/v1"),
    ("scheduling.k8s.io/v1beta1", &[], 22, "scheduling.k8s.io/v1"),
    ("coordination.k8s.io/v1beta1", &["Lease"], 22, "coordination.k8s.io/v1"),
    ("batch/v1beta1", &["CronJob"], 25, "batch/v1"),
    ("discovery.k8s.io/v1beta1", &["EndpointSlice"], 25, "discovery.k8s.io/v1"),
    ("events.k8s.io/v1beta1", &["Event"], 25, "events.k8s.io/v1"),
    ("policy/v1beta1", &["PodDisruptionBudget"], 25, "policy/v1"),
    ("policy/v1beta1", &["PodSecurityPolicy"], 25, ""),
    ("node.k8s.io/v1beta1", &["RuntimeClass"], 25, "node.k8s.io/v1"),
    ("autoscaling/v2beta1", &[], 25, "autoscaling/v2"),
    ("autoscaling/v2beta2", &[], 26, "autoscaling/v2"),
    ("storage.k8s.io/v1beta1", &["CSIStorageCapacity"], 27, "storage.k8s.io/v1"),
    ("flowcontrol.apiserver.k8s.io/v1beta2", &[], 29, "flowcontrol.apiserver.k8s.io/v1"),
    ("flowcontrol.apiserver.k8s.io/v1beta3", &[], 32, "flowcontrol.apiserver.k8s.io/v1"),
];

/// The group of a kind of which only the version is told, where one that was removed fits.
pub fn group_of(version: &str, kind: &str) -> Option<&'static str> {
    let groups = REMOVED.iter().filter(|(_, kinds, ..)| kinds.contains(&kind));
    groups.filter_map(|(api, ..)| api.split_once('/')).find(|(_, v)| *v == version).map(|(group, _)| group)
}

/// Whether an API version is one that was removed.
pub fn removed(api_version: &str, kind: &str) -> Option<Removed> {
    let found = REMOVED.iter().find(|(v, kinds, ..)| *v == api_version && (kinds.is_empty() || kinds.contains(&kind)));
    found.map(|(_, _, since, instead)| Removed { since: *since, instead })
}
