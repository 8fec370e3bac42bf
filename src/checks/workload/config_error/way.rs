//! The ways to let a container start, with the values of their pages.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::helm;

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
pub(super) enum Way {
    ConfigMapName {
        name: String,
        /// The ConfigMap that is likely meant, and the patch that names it.
        near: String,
        near_patch: Option<String>,
        in_place: bool,
        custom: Option<&'static str>,
        custom_name: Option<String>,
        managed_by: String,
    },
    ConfigMap(Made),
    Secret(Made),
    Admission {
        name: String,
        /// Name and namespace of the Helm release.
        part_of: Option<Vec<String>>,
        #[serde(flatten)]
        home: helm::Release,
    },
    Issued {
        name: String,
        certificate: String,
        certificate_namespace: String,
        /// cert-manager's kinds are not there.
        absent: bool,
        managed_by: String,
    },
    OperatorMade {
        name: String,
        /// The operator's workload and its namespace.
        operator: Option<Vec<String>>,
        custom: Option<&'static str>,
        custom_name: Option<String>,
    },
    ConfigMapKey {
        name: String,
        key: String,
        /// The key that is likely meant, and the patch that names it.
        near_key: Option<String>,
        key_patch: Option<String>,
        in_place: bool,
        rolls: bool,
        map_managed_by: String,
    },
    SecretKey {
        name: String,
        key: String,
        managed_by: String,
        /// It is Grafana's first password, and the database that keeps the one of now outlives its pods.
        keeps_login: bool,
    },
    SubPath {
        pod: String,
        in_place: bool,
        sub_path_patch: Option<String>,
        managed_by: String,
    },
    MountType {
        pod: String,
        container: String,
        /// In words: path, volume, subPath.
        mounts: String,
        in_place: bool,
        managed_by: String,
    },
    Root {
        pod: String,
        image: String,
        /// The user that the image names without a number.
        user: Option<String>,
        in_place: bool,
        root_patch: Option<String>,
        custom: Option<&'static str>,
        custom_name: Option<String>,
        custom_root_patch: Option<String>,
        managed_by: String,
    },
    Command {
        pod: String,
        container: String,
        image: String,
        /// Empty where the image's own is run.
        command: String,
        in_place: bool,
    },
    SubPathRefused {
        node: String,
        sub_path: Option<String>,
        claim: Option<String>,
    },
    Profile {
        node: String,
        profile: String,
        is_seccomp: bool,
        in_place: bool,
        managed_by: String,
    },
    Propagation {
        path: String,
        node: String,
        /// It is node-exporter, whose chart has a switch.
        is_node_exporter: bool,
        in_place: bool,
        managed_by: String,
    },
    NodeFolder {
        pod: String,
        path: String,
        /// The volume that is this folder, where it is known.
        volume: Option<String>,
        in_place: bool,
        managed_by: String,
    },
    WorkDir {
        pod: String,
        container: String,
        path: String,
        in_place: bool,
        /// Lets it begin at the root.
        folder_patch: String,
        managed_by: String,
    },
    Layers(OnNode),
    NodeLimit {
        #[serde(flatten)]
        on: OnNode,
        keys: bool,
        cgroups: bool,
        watches: bool,
    },
    Slow(OnNode),
    VolumeLost {
        pod: String,
        node: String,
        volume: String,
        /// Somebody makes the pod again.
        replaced: bool,
        #[serde(flatten)]
        relieved: Relieved,
    },
    Other {
        pod: String,
        node: String,
        /// The node is at fault, and another one could take the pod.
        elsewhere: bool,
    },
}

/// The node is at fault: its shell, and another node for the pod.
#[derive(Serialize, JsonSchema)]
pub(super) struct OnNode {
    pub(super) pod: String,
    pub(super) node: String,
    /// The instance of the node, where its shell can be reached, and what is run there.
    pub(super) instance: Option<String>,
    pub(super) commands: String,
    /// Another node could take the pod, and somebody makes it again.
    pub(super) elsewhere: bool,
}

/// What starts the kubelet of a node again.
#[derive(Serialize, JsonSchema)]
pub(super) struct Relieved {
    pub(super) instance: Option<String>,
    pub(super) commands: String,
}

/// A ConfigMap or a Secret that is made from files.
#[derive(Serialize, JsonSchema)]
pub(super) struct Made {
    pub(super) name: String,
    /// The keys that the pod wants of it, and the options that fill them.
    pub(super) keys: Vec<String>,
    pub(super) flags: Vec<String>,
    pub(super) managed_by: String,
}
