//! What lets a container start, and what its commands hold.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::case::Case;
use super::held::{config_map, env_of, volume_of, wanted_keys};
use crate::checks::support::helm;
use crate::checks::workload::config_error::way::{Made, OnNode, Relieved, Way};
use crate::domain::grafana::database;
use crate::domain::kubernetes::image::base_of;
use crate::domain::kubernetes::managed::release;
use crate::domain::kubernetes::mounts::{self, Holder, Origin};
use crate::domain::kubernetes::owner::{Settable, keeper, workload};
use crate::domain::kubernetes::start_error::{Cause, NodeLimit};
use crate::domain::kubernetes::{chart, env_key, nodes, runtime_error};
use crate::model::Program;
use crate::snapshot::kubernetes::{Container, Node};

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fix {
    namespace: String,
    target: String,
    has_rollout: bool,
    #[serde(flatten)]
    way: Way,
}

impl Fix {
    pub(super) fn of(case: &Case<'_>) -> Self {
        Self {
            namespace: case.pod.metadata.namespace.clone(),
            target: case.target.name.clone(),
            has_rollout: case.target.has_rollout,
            way: case.way(),
        }
    }
}

impl Case<'_> {
    fn keeps_login(&self, key: &str) -> bool {
        let mut env = self.container.env.iter().filter(|e| e.name == "GF_SECURITY_ADMIN_PASSWORD");
        let path = database::folder(self.container);
        env.any(|e| env_key::of_secret(e).is_some_and(|from| from.key == key))
            && matches!(mounts::origin(self.snap, self.pod, self.container, path), Origin::Claim { .. })
    }

    fn way(&self) -> Way {
        let pod = self.pod.metadata.name.clone();
        let container = self.container.name.clone();
        let image = self.container.image.clone();
        let in_place = self.target.in_place();
        let managed_by = self.target.managed_by.clone();
        match &self.fault {
            Cause::Missing { .. } if self.certificate().is_some() => {
                let (namespace, certificate) = self.certificate().unwrap_or_default();
                Way::Issued {
                    name: self.name(),
                    certificate: certificate.to_owned(),
                    certificate_namespace: namespace.to_owned(),
                    absent: self.has_cert_manager() == Some(false),
                    managed_by,
                }
            }
            Cause::Missing { .. } if self.is_of_admission() => {
                Way::Admission { name: self.name(), part_of: self.release(), home: self.home() }
            }
            Cause::Missing { .. } if self.made_by_operator() => Way::OperatorMade {
                name: self.name(),
                operator: self.operator(),
                custom: self.target.custom.map(|(kind, _)| kind),
                custom_name: self.custom_name(),
            },
            Cause::Missing { holder: Holder::ConfigMap, .. } => match self.near() {
                Some(near) => Way::ConfigMapName {
                    name: self.name(),
                    near: near.to_owned(),
                    near_patch: self.near_patch(),
                    in_place,
                    custom: self.target.custom.map(|(kind, _)| kind),
                    custom_name: self.custom_name(),
                    managed_by,
                },
                None => Way::ConfigMap(self.made()),
            },
            Cause::Missing { holder: Holder::Secret, .. } => Way::Secret(self.made()),
            Cause::MissingKey { holder: Holder::ConfigMap, key, .. } => self.config_map_key(key),
            Cause::MissingKey { holder: Holder::Secret, key, .. } => {
                let keeps_login = self.keeps_login(key);
                Way::SecretKey { name: self.name(), key: key.clone(), managed_by, keeps_login }
            }
            Cause::MountType { .. } if self.whole_volume_on_file().is_some() => {
                Way::SubPath { pod, in_place, sub_path_patch: self.sub_path_patch(), managed_by }
            }
            Cause::MountType { .. } => Way::MountType { pod, container, mounts: self.mounts(), in_place, managed_by },
            Cause::Root { user } => Way::Root {
                pod,
                image,
                user: user.clone(),
                in_place,
                root_patch: self.root_patch(false),
                custom: self.target.custom.map(|(kind, _)| kind),
                custom_name: self.custom_name(),
                custom_root_patch: self.root_patch(true),
                managed_by,
            },
            Cause::SubPath { volume } => Way::SubPathRefused {
                node: self.node(),
                sub_path: self.sub_path(volume).map(str::to_owned),
                claim: self.claim_of(volume),
            },
            Cause::Profile { kind, name } => Way::Profile {
                node: self.node(),
                profile: name.clone(),
                is_seccomp: *kind == "seccomp",
                in_place,
                managed_by,
            },
            Cause::Propagation { path } => Way::Propagation {
                path: path.clone(),
                node: self.node(),
                is_node_exporter: image.contains("node-exporter") || image.contains("node_exporter"),
                in_place,
                managed_by,
            },
            Cause::NodeFolder { path } => Way::NodeFolder {
                pod,
                path: path.clone(),
                volume: self.folder(path).map(str::to_owned),
                in_place,
                managed_by,
            },
            Cause::WorkDir { path } => {
                let spec = json!({"containers": [{"name": container, "workingDir": "/"}]});
                let folder_patch = json!({"spec": {"template": {"spec": spec}}}).to_string();
                let is_init = self.pod.spec.init_containers.iter().any(|c| c.name == container);
                Way::WorkDir {
                    pod,
                    container,
                    path: path.clone(),
                    in_place: in_place && !is_init,
                    folder_patch,
                    managed_by,
                }
            }
            Cause::Command { .. } => {
                Way::Command { pod, container, image, command: self.container.command.join(" "), in_place }
            }
            // Amazon Linux 2 has crictl, Amazon Linux 2023 nerdctl. What runs of the image goes on.
            Cause::Layers => {
                let image = if is_plain(&image) { image } else { "<image>".to_owned() };
                Way::Layers(self.on_node(&format!(
                    "if command -v crictl; then crictl rmi '{image}'; else nerdctl -n k8s.io image rm --force '{image}'; fi"
                )))
            }
            Cause::Limit(limit) => Way::NodeLimit {
                on: self.on_node(match limit {
                    NodeLimit::Keys => "sysctl kernel.keys.maxkeys kernel.keys.maxbytes && cat /proc/key-users",
                    NodeLimit::Processes => "sysctl kernel.pid_max kernel.threads-max && ps -eLf | wc -l",
                    NodeLimit::Watches => "sysctl fs.inotify.max_user_watches fs.inotify.max_user_instances && find /proc/[0-9]*/fd -lname anon_inode:inotify 2>/dev/null | cut -d/ -f3 | sort | uniq -c | sort -rn | head",
                    NodeLimit::Cgroups => "find /sys/fs/cgroup -type d | wc -l && cat /proc/cgroups",
                }),
                keys: *limit == NodeLimit::Keys,
                cgroups: *limit == NodeLimit::Cgroups,
                watches: *limit == NodeLimit::Watches,
            },
            // Containers go on while it starts again.
            Cause::Slow => Way::Slow(self.on_node("systemctl restart containerd")),
            Cause::Volume { name } => {
                let OnNode { node, instance, commands, .. } = self.on_node("systemctl restart kubelet");
                Way::VolumeLost {
                    pod,
                    node,
                    volume: name.clone(),
                    replaced: self.pod.metadata.controller().is_some(),
                    relieved: Relieved { instance, commands },
                }
            }
            Cause::Other => Way::Other {
                pod,
                node: self.node(),
                elsewhere: runtime_error::of_node(&self.said).is_some() && nodes::can_move(self.snap, self.pod),
            },
        }
    }

    /// What is run on the pod's node, and whether the pod could go to another one.
    fn on_node(&self, command: &str) -> OnNode {
        let node = self.snap.node_of(self.pod);
        OnNode {
            pod: self.pod.metadata.name.clone(),
            node: self.node(),
            instance: node.and_then(Node::shell_instance).map(str::to_owned),
            commands: json!({"commands": [command]}).to_string(),
            elsewhere: nodes::can_move(self.snap, self.pod),
        }
    }

    /// The name of the object that it is about.
    fn name(&self) -> String {
        self.holder.as_ref().map(|(_, name)| name.clone()).unwrap_or_default()
    }

    /// The Secret of an admission webhook's certificate.
    fn is_of_admission(&self) -> bool {
        matches!(&self.fault, Cause::Missing { holder: Holder::Secret, name } if name.ends_with("-admission"))
    }

    fn custom_name(&self) -> Option<String> {
        self.target.custom.map(|(_, name)| name.to_owned())
    }

    fn node(&self) -> String {
        self.pod.spec.node_name.as_deref().unwrap_or("<node>").to_owned()
    }

    /// The claim behind a volume.
    fn claim_of(&self, volume: &str) -> Option<String> {
        let volume = self.pod.spec.volumes.iter().find(|v| v.name == volume)?;
        volume.persistent_volume_claim.as_ref().map(|c| c.claim_name.clone())
    }

    fn made(&self) -> Made {
        let (holder, name) = self.holder.clone().unwrap_or((Holder::ConfigMap, String::new()));
        let keys = wanted_keys(self.snap, self.pod, holder, &name);
        // Files that are not there stop the command; a value in its place would be taken as it stands.
        let mut flags: Vec<String> = keys.iter().map(|k| format!("--from-file={k}")).collect();
        if flags.is_empty() {
            flags.push(format!("--from-file={name}/"));
        }
        Made { name, keys, flags, managed_by: self.target.managed_by.clone() }
    }

    fn config_map_key(&self, key: &str) -> Way {
        let map = config_map(self.snap, self.pod, &self.fault);
        Way::ConfigMapKey {
            name: self.name(),
            key: key.to_owned(),
            near_key: self.near_key().map(str::to_owned),
            key_patch: self.key_patch(),
            in_place: self.target.in_place(),
            rolls: self.target.settable != Settable::No,
            map_managed_by: map.map(|m| keeper(&m.metadata)).unwrap_or_default(),
        }
    }

    /// A patch of the workload that names the ConfigMap that is likely meant.
    fn near_patch(&self) -> Option<String> {
        let (near, (holder, name)) = (self.near()?, self.holder.as_ref()?);
        if let Some(volume) = volume_of(self.pod, *holder, name) {
            // Of a projected volume the list of its sources would be replaced.
            volume.config_map.as_ref()?;
            let volume = json!({"name": volume.name, "configMap": {"name": near}});
            return Some(json!({"spec": {"template": {"spec": {"volumes": [volume]}}}}).to_string());
        }
        let env: Vec<Value> = env_of(self.container, *holder, name)
            .map(|(e, k)| json!({"name": e.name, "valueFrom": {"configMapKeyRef": {"name": near, "key": k.key}}}))
            .collect();
        (!env.is_empty()).then(|| self.container_patch(json!({"name": self.container.name, "env": env})))
    }

    /// A patch of the workload that names the key that is likely meant.
    fn key_patch(&self) -> Option<String> {
        let Cause::MissingKey { key, .. } = &self.fault else { return None };
        let (near, (_, name)) = (self.near_key()?, self.holder.as_ref()?);
        let mut env = env_of(self.container, Holder::ConfigMap, name).filter(|(_, k)| k.key == *key);
        if let Some((var, _)) = env.next() {
            let env = json!([{"name": var.name, "valueFrom": {"configMapKeyRef": {"name": name, "key": near}}}]);
            return Some(self.container_patch(json!({"name": self.container.name, "env": env})));
        }
        let volume = volume_of(self.pod, Holder::ConfigMap, name)?;
        let mount =
            self.container.volume_mounts.iter().find(|m| m.name == volume.name && m.sub_path.as_ref() == Some(key))?;
        let mount = json!({"mountPath": mount.mount_path, "name": mount.name, "subPath": near});
        Some(self.container_patch(json!({"name": self.container.name, "volumeMounts": [mount]})))
    }

    fn container_patch(&self, container: Value) -> String {
        let init = self.pod.spec.init_containers.iter().any(|c| c.name == self.container.name);
        let list = if init { "initContainers" } else { "containers" };
        json!({"spec": {"template": {"spec": {list: [container]}}}}).to_string()
    }

    fn sub_path_patch(&self) -> Option<String> {
        let mount = self.whole_volume_on_file()?;
        let file = mount.mount_path.rsplit('/').next()?;
        let mount = json!({"mountPath": mount.mount_path, "name": mount.name, "subPath": file});
        Some(self.container_patch(json!({"name": self.container.name, "volumeMounts": [mount]})))
    }

    /// A user without rights, as the images of the programs have it: for a template, or for the operator's resource.
    fn root_patch(&self, custom: bool) -> Option<String> {
        let id = match self.container.program()? {
            Program::Prometheus | Program::Alertmanager => 65534,
            Program::Grafana => 472,
        };
        let context =
            json!({"securityContext": {"runAsUser": id, "runAsGroup": id, "fsGroup": id, "runAsNonRoot": true}});
        let spec = if custom { context } else { json!({"template": {"spec": context}}) };
        Some(json!({"spec": spec}).to_string())
    }

    /// Mounts of the container in words: path, volume, subPath.
    fn mounts(&self) -> String {
        let all = self.container.volume_mounts.iter().map(|m| match &m.sub_path {
            Some(sub) => format!("{} from {} subPath {sub}", m.mount_path, m.name),
            None => format!("{} from {}", m.mount_path, m.name),
        });
        all.collect::<Vec<_>>().join("; ")
    }

    /// The operator's workload: `deployment/name` and its namespace.
    fn operator(&self) -> Option<Vec<String>> {
        let workloads = self.snap.workloads.items().unwrap_or_default().iter();
        let is_operator = |c: &Container| base_of(&c.image) == "prometheus-operator";
        let mut found = workloads.filter(|w| w.spec.template.spec.containers.iter().any(is_operator));
        let operator = found.next()?;
        Some(vec![operator.kubectl_name(), "-n".into(), operator.metadata.namespace.clone()])
    }

    /// The release that is rolled out again.
    fn home(&self) -> helm::Release {
        let known = workload(self.snap, &self.target.owner).and_then(|w| chart::release_of(self.snap, &w.metadata));
        helm::Release::of(known.as_ref())
    }

    /// Helm release and namespace of the workload.
    fn release(&self) -> Option<Vec<String>> {
        let workload = workload(self.snap, &self.target.owner)?;
        let (release, namespace) = release(&workload.metadata)?;
        Some(vec![release.to_owned(), "-n".into(), namespace.to_owned()])
    }
}

/// A name that stands in the command of another shell as it is.
fn is_plain(image: &str) -> bool {
    image.chars().all(|c| c.is_ascii_alphanumeric() || "./:@_-".contains(c))
}
