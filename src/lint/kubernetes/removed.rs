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
    (
        "rbac.authorization.k8s.io/v1beta1",
        &["Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"],
        22,
        "rbac.authorization.k8s.io/v1",
    ),
    (
        "admissionregistration.k8s.io/v1beta1",
        &["ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"],
        22,
        "admissionregistration.k8s.io/v1",
    ),
    ("apiextensions.k8s.io/v1beta1", &["CustomResourceDefinition"], 22, "apiextensions.k8s.io/v1"),
    ("apiregistration.k8s.io/v1beta1", &["APIService"], 22, "apiregistration.k8s.io/v1"),
    ("storage.k8s.io/v1beta1", &["StorageClass", "CSIDriver", "CSINode", "VolumeAttachment"], 22, "storage.k8s.io/v1"),
    ("scheduling.k8s.io/v1beta1", &["PriorityClass"], 22, "scheduling.k8s.io/v1"),
    ("coordination.k8s.io/v1beta1", &["Lease"], 22, "coordination.k8s.io/v1"),
    ("batch/v1beta1", &["CronJob"], 25, "batch/v1"),
    ("discovery.k8s.io/v1beta1", &["EndpointSlice"], 25, "discovery.k8s.io/v1"),
    ("events.k8s.io/v1beta1", &["Event"], 25, "events.k8s.io/v1"),
    ("policy/v1beta1", &["PodDisruptionBudget"], 25, "policy/v1"),
    ("policy/v1beta1", &["PodSecurityPolicy"], 25, ""),
    ("node.k8s.io/v1beta1", &["RuntimeClass"], 25, "node.k8s.io/v1"),
    ("autoscaling/v2beta1", &["HorizontalPodAutoscaler"], 25, "autoscaling/v2"),
    ("autoscaling/v2beta2", &["HorizontalPodAutoscaler"], 26, "autoscaling/v2"),
    ("storage.k8s.io/v1beta1", &["CSIStorageCapacity"], 27, "storage.k8s.io/v1"),
    (
        "flowcontrol.apiserver.k8s.io/v1beta2",
        &["FlowSchema", "PriorityLevelConfiguration"],
        29,
        "flowcontrol.apiserver.k8s.io/v1",
    ),
    (
        "flowcontrol.apiserver.k8s.io/v1beta3",
        &["FlowSchema", "PriorityLevelConfiguration"],
        32,
        "flowcontrol.apiserver.k8s.io/v1",
    ),
];

/// Versions of Kubernetes' own kinds that programs of today ask for: version, kind, and the minor that has them first.
const ADDED: &[(&str, &str, u16)] = &[
    ("v1", "Ingress", 19),
    ("v1", "CronJob", 21),
    ("v1", "EndpointSlice", 21),
    ("v1", "PodDisruptionBudget", 21),
    ("v2", "HorizontalPodAutoscaler", 23),
    ("v1", "FlowSchema", 29),
    ("v1", "PriorityLevelConfiguration", 29),
    ("v1", "ValidatingAdmissionPolicy", 30),
    ("v1", "ValidatingAdmissionPolicyBinding", 30),
    ("v1", "ServiceCIDR", 33),
    ("v1", "VolumeAttributesClass", 34),
    ("v1", "DeviceClass", 34),
    ("v1", "ResourceClaim", 34),
    ("v1", "ResourceSlice", 34),
];

/// Minor of Kubernetes 1 from which on a kind of its own has this version.
pub fn added(version: &str, kind: &str) -> Option<u16> {
    ADDED.iter().find(|(v, k, _)| *v == version && *k == kind).map(|(.., since)| *since)
}

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
