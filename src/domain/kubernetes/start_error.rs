//! Why a container is not started: the kubelet's and the runtime's words, taken apart.

use crate::domain::kubernetes::mounts::Holder;
use crate::domain::text::between::between;

/// What keeps a container from being started.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// A ConfigMap or Secret does not exist.
    Missing { holder: Holder, name: String },
    /// It exists and lacks a key; without a name, it is the one of a volume.
    MissingKey { holder: Holder, name: Option<String>, volume: Option<String>, key: String },
    /// A file and a directory do not fit each other.
    MountType { path: Option<String> },
    /// The kubelet cannot make the subPath of a mount in its volume.
    SubPath { volume: String },
    /// The image would run as root, or as a user that has only a name, and the pod forbids it.
    Root { user: Option<String> },
    /// The node lacks the seccomp or AppArmor profile that the container names.
    Profile { kind: &'static str, name: String },
    /// A path of the node is to be mounted so that later mounts below it are seen, and the node does not share them.
    Propagation { path: String },
    /// A folder of the node that is to be mounted is not there, and the node's system lets nobody make it.
    NodeFolder { path: String },
    /// The program is not in the image.
    Command { name: Option<String> },
    /// The user of the container may not enter the folder in which the image begins.
    WorkDir { path: String },
    /// The node knows the image, and some of its layers are not there.
    Layers,
    /// The node's kernel has no more of something that each container takes.
    Limit(NodeLimit),
    /// The kubelet does not know a volume of the pod as mounted, which it is to mount into the container.
    Volume { name: String },
    /// The runtime does not get the container made in time.
    Slow,
    /// Something else.
    Other,
}

/// What a kernel can run out of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum NodeLimit {
    /// Keys of the keyring: one for each container.
    Keys,
    /// Processes and threads.
    Processes,
    /// Control groups: those of containers that ended may be left over.
    Cgroups,
    /// Watches of files (inotify), which the runtime sets on the group of each container.
    Watches,
}

impl NodeLimit {
    fn of(message: &str) -> Option<Self> {
        let has = |part: &str| message.contains(part);
        if has("session key") && has("quota exceeded") {
            return Some(Self::Keys);
        }
        // Writing into one that exists fails likewise where a number of processors is wrong.
        if has("mkdir /sys/fs/cgroup") && has("no space left on device") {
            return Some(Self::Cgroups);
        }
        let watches = has("inotify_add_watch") || has("inotify watch");
        if (watches && has("no space left on device")) || (has("inotify") && has("too many open files")) {
            return Some(Self::Watches);
        }
        let forks = ["fork/exec", "clone(", "failed to create new OS thread", "pthread_create"].iter().any(|f| has(f));
        let full = has("resource temporarily unavailable") || has("Resource temporarily unavailable");
        (forks && full).then_some(Self::Processes)
    }
}

impl Cause {
    /// Reads a message. `None` where it tells of nothing that stays: caches that are not filled yet, objects that the
    /// kubelet has not seen yet.
    pub(crate) fn of(message: &str) -> Option<Self> {
        let has = |part: &str| message.contains(part);
        if has("not registered")
            || has("failed to sync")
            || has("have not yet been read")
            || has("already exists")
            || has("is reserved for")
        {
            return None;
        }
        if let Some(fault) = Self::of_profile(message) {
            return Some(fault);
        }
        if let Some(path) = unshared(message) {
            return Some(Self::Propagation { path });
        }
        if let Some(path) = unmade(message) {
            return Some(Self::NodeFolder { path });
        }
        if let Some(limit) = NodeLimit::of(message) {
            return Some(Self::Limit(limit));
        }
        if let Some(path) = unentered(message) {
            return Some(Self::WorkDir { path });
        }
        if has("content digest ") && has("not found") {
            return Some(Self::Layers);
        }
        if let Some(name) = between(message, "cannot find volume \"", "\"").filter(|_| has("to mount into container")) {
            return Some(Self::Volume { name: name.to_owned() });
        }
        if has("runAsNonRoot") {
            let user = between(message, "non-numeric user (", ")").map(str::to_owned);
            return Some(Self::Root { user });
        }
        if let Some(volume) = between(message, "subPath for volumeMount \"", "\"")
            .or_else(|| between(message, "subPath directory for volumeMount \"", "\""))
        {
            return Some(Self::SubPath { volume: volume.to_owned() });
        }
        let of_type =
            ["Are you trying to mount a directory onto a file", "not a directory", "is a directory", "subPath"];
        if of_type.iter().any(|t| has(t)) && (has("mount") || has("subPath")) {
            return Some(Self::MountType { path: mount_target(message) });
        }
        if let Some(fault) = Self::of_key(message).or_else(|| Self::of_object(message)) {
            return Some(fault);
        }
        let no_program =
            has("executable file not found") || (has("exec: \"") && (has("no such file") || has("permission denied")));
        if no_program {
            let name = between(message, "exec: \"", "\"").map(str::to_owned);
            return Some(Self::Command { name });
        }
        Some(if has("deadline exceeded") { Self::Slow } else { Self::Other })
    }

    /// What kept a container from beginning that ended before its program ran, by the reason and message of its end. Where
    /// nothing is told, it is an end like others.
    pub(crate) fn of_end(reason: &str, message: &str) -> Option<Self> {
        let never_ran = matches!(reason, "StartError" | "ContainerCannotRun");
        let fault = Self::of(message).filter(|_| never_ran)?;
        matches!(fault, Self::MountType { .. } | Self::WorkDir { .. }).then_some(fault)
    }

    /// The name of the container is held by an attempt of before, which has not come to its end. `of` says nothing of it: it
    /// passes, unless it goes on.
    pub(crate) fn is_held(message: &str) -> bool {
        message.contains("failed to reserve container name")
    }

    /// `cannot load seccomp profile "/var/lib/kubelet/seccomp/x.json"`, `apparmor profile not found x`.
    fn of_profile(message: &str) -> Option<Self> {
        if let Some(path) = between(message, "cannot load seccomp profile \"", "\"") {
            return Some(Self::Profile { kind: "seccomp", name: path.to_owned() });
        }
        let name = message.split_once("apparmor profile not found ")?.1.split([':', ' ', '"']).next()?;
        Some(Self::Profile { kind: "AppArmor", name: name.to_owned() })
    }

    /// `couldn't find key k in ConfigMap ns/name`, `references non-existent secret key: k`.
    fn of_key(message: &str) -> Option<Self> {
        if let Some((key, rest)) = message.split_once("couldn't find key ").and_then(|(_, r)| r.split_once(" in ")) {
            let holder = if rest.starts_with("Secret") { Holder::Secret } else { Holder::ConfigMap };
            let place = rest.split_whitespace().nth(1)?;
            let name = place.rsplit('/').next()?.trim_matches(['"', '.', ',', ':']).to_owned();
            return Some(Self::MissingKey {
                holder,
                name: Some(name),
                volume: None,
                key: key.trim_matches('"').to_owned(),
            });
        }
        let volume = between(message, "volume \"", "\"").map(str::to_owned);
        for (words, holder) in
            [("non-existent config key: ", Holder::ConfigMap), ("non-existent secret key: ", Holder::Secret)]
        {
            if let Some((_, key)) = message.split_once(words) {
                let key = key.split([' ', ',', '\n']).next()?.to_owned();
                return Some(Self::MissingKey { holder, name: None, volume, key });
            }
        }
        None
    }

    /// `configmap "name" not found`.
    fn of_object(message: &str) -> Option<Self> {
        for (word, holder) in [("configmap", Holder::ConfigMap), ("secret", Holder::Secret)] {
            for start in [format!("{word} \""), format!("{word}s \"")] {
                if let Some((name, after)) = message.split_once(start.as_str()).and_then(|(_, r)| r.split_once('"'))
                    && after.trim_start().starts_with("not found")
                {
                    let name = name.rsplit('/').next().unwrap_or(name).to_owned();
                    return Some(Self::Missing { holder, name });
                }
            }
        }
        None
    }
}

/// `path "/" is mounted on "/" but it is not a shared or slave mount`; Docker writes it without quotes.
fn unshared(message: &str) -> Option<String> {
    let (before, _) =
        message.split_once("but it is not a shared").or_else(|| message.split_once("but it is not shared"))?;
    let mount = before.rsplit_once(" is mounted on ")?.0;
    let path = mount.rsplit(' ').next().unwrap_or(mount);
    Some(path.trim_matches(['"', '\\']).to_owned())
}

/// `failed to mkdir "/containers": mkdir /containers: read-only file system`; Docker: `error while creating mount source path
/// '/containers': mkdir /containers: read-only file system`.
fn unmade(message: &str) -> Option<String> {
    let plain = message.replace('\\', "");
    let told = between(&plain, "failed to mkdir \"", "\"").or_else(|| between(&plain, "mount source path '", "'"))?;
    let refused = ["read-only file system", "operation not permitted"];
    refused.iter().any(|r| plain.contains(r)).then(|| told.trim_end_matches('/').to_owned())
}

/// `chdir to cwd ("/home/nonroot") set in config.json failed: permission denied`; Docker writes the quotes with backslashes.
fn unentered(message: &str) -> Option<String> {
    let plain = message.replace('\\', "");
    let (path, rest) = plain.split_once("chdir to cwd (\"")?.1.split_once("\")")?;
    rest.contains("permission denied").then(|| path.to_owned())
}

/// Where in the container something was to be mounted: `to rootfs at "/etc/prometheus/prometheus.yml"`.
fn mount_target(message: &str) -> Option<String> {
    let plain = message.replace("\\\"", "\"");
    ["rootfs at \"", "mountpoint \"", "to rootfs \""].iter().find_map(|start| {
        let path = between(&plain, start, "\"")?;
        // Older runtimes name the container's root first.
        path.starts_with('/').then(|| path.rsplit_once("/rootfs/").map_or(path.to_owned(), |(_, p)| format!("/{p}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_words_of_kubelet_and_runtime() {
        let missing = |holder, name: &str| Some(Cause::Missing { holder, name: name.into() });
        assert_eq!(Cause::of(r#"secret "grafana-admin" not found"#), missing(Holder::Secret, "grafana-admin"));
        let mount = r#"MountVolume.SetUp failed for volume "config" : configmap "prometheus-config" not found"#;
        assert_eq!(Cause::of(mount), missing(Holder::ConfigMap, "prometheus-config"));
        let key = |holder, name: Option<&str>, volume: Option<&str>, key: &str| {
            Some(Cause::MissingKey {
                holder,
                name: name.map(Into::into),
                volume: volume.map(Into::into),
                key: key.into(),
            })
        };
        assert_eq!(
            Cause::of("couldn't find key admin-password in Secret monitoring/grafana"),
            key(Holder::Secret, Some("grafana"), None, "admin-password")
        );
        assert_eq!(
            Cause::of("couldn't find key LEVEL in ConfigMap obs/env"),
            key(Holder::ConfigMap, Some("env"), None, "LEVEL")
        );
        assert_eq!(
            Cause::of(
                r#"MountVolume.SetUp failed for volume "c" : configmap references non-existent config key: prometheus.yml"#
            ),
            key(Holder::ConfigMap, None, Some("c"), "prometheus.yml")
        );
        let root =
            r#"container has runAsNonRoot and image will run as root (pod: "g_monitoring(1)", container: grafana)"#;
        assert_eq!(Cause::of(root), Some(Cause::Root { user: None }));
        let named =
            "container has runAsNonRoot and image has non-numeric user (nobody), cannot verify user is non-root";
        assert_eq!(Cause::of(named), Some(Cause::Root { user: Some("nobody".into()) }));
        let runc = r#"failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: error mounting "/var/lib/kubelet/pods/1/volume-subpaths/config/prometheus/0" to rootfs at "/etc/prometheus/prometheus.yml": mount src=/x, dst=/etc/prometheus/prometheus.yml: not a directory: unknown: Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type"#;
        assert_eq!(Cause::of(runc), Some(Cause::MountType { path: Some("/etc/prometheus/prometheus.yml".into()) }));
        for shared in [
            r#"failed to generate container "14" spec: failed to generate spec: path "/" is mounted on "/" but it is not a shared or slave mount"#,
            r#"failed to start container "node-exporter": Error response from daemon: path / is mounted on / but it is not a shared or slave mount"#,
        ] {
            assert_eq!(Cause::of(shared), Some(Cause::Propagation { path: "/".into() }), "{shared}");
        }
        for cwd in [
            r#"runc create failed: unable to start container process: chdir to cwd ("/home/nonroot") set in config.json failed: permission denied: unknown"#,
            r#"starting container process caused "chdir to cwd (\\"/home/nonroot\\") set in config.json failed: permission denied": unknown"#,
        ] {
            assert_eq!(Cause::of(cwd), Some(Cause::WorkDir { path: "/home/nonroot".into() }), "{cwd}");
        }
        for unmade in [
            r#"failed to generate container "9a0c" spec: failed to generate spec: failed to mkdir "/containers": mkdir /containers: read-only file system"#,
            r#"failed to generate container "4580" spec: failed to apply OCI options: failed to mkdir \"/containers/\": mkdir /containers: operation not permitted"#,
            "Error response from daemon: error while creating mount source path '/containers': mkdir /containers: read-only file system",
        ] {
            assert_eq!(Cause::of(unmade), Some(Cause::NodeFolder { path: "/containers".into() }), "{unmade}");
        }
        let gone = r#"chdir to cwd ("/data") set in config.json failed: no such file or directory: unknown"#;
        assert_eq!(Cause::of_end("StartError", gone), None, "it is none of its rights");
        let quota = r#"failed to write "0-7" to /sys/fs/cgroup/cpuset/kubepods/x/cpuset.cpus: no space left on device"#;
        assert_eq!(Cause::of(quota), Some(Cause::Other));
        let pulled = "failed to clone repository: resource temporarily unavailable";
        assert_eq!(Cause::of(pulled), Some(Cause::Other));
        let exec = r#"exec: "promethues": executable file not found in $PATH: unknown"#;
        assert_eq!(Cause::of(exec), Some(Cause::Command { name: Some("promethues".into()) }));
        let sub_path = r#"failed to create subPath directory for volumeMount "storage" of container "grafana""#;
        assert_eq!(Cause::of(sub_path), Some(Cause::SubPath { volume: "storage".into() }));
        let seccomp = r#"failed to create containerd container: cannot load seccomp profile "/var/lib/kubelet/seccomp/x.json": open /var/lib/kubelet/seccomp/x.json: no such file or directory"#;
        let path = "/var/lib/kubelet/seccomp/x.json".to_owned();
        assert_eq!(Cause::of(seccomp), Some(Cause::Profile { kind: "seccomp", name: path }));
        assert_eq!(Cause::of("failed to sync configmap cache: timed out waiting for the condition"), None);
        assert_eq!(Cause::of(r#"MountVolume.SetUp failed for volume "x" : object "n"/"y" not registered"#), None);
        assert_eq!(Cause::of("context deadline exceeded"), Some(Cause::Slow));
        let held =
            r#"failed to reserve container name "grafana_g-0_m_1_0": name "grafana_g-0_m_1_0" is reserved for "6a37""#;
        assert!(Cause::of(held).is_none() && Cause::is_held(held));
        let layers = "failed to create containerd container: error unpacking image: failed to extract layer sha256:fc: failed to get reader from content store: content digest sha256:14: not found";
        assert_eq!(Cause::of(layers), Some(Cause::Layers));
        let keys = "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: unable to join session keyring: unable to create session key: disk quota exceeded: unknown";
        assert_eq!(Cause::of(keys), Some(Cause::Limit(NodeLimit::Keys)));
        let watches = "failed to create shim task: OCI runtime create failed: runc create failed: error adding pid 21443 to cgroups: failed to add inotify watch for /sys/fs/cgroup/kubepods.slice: inotify_add_watch: no space left on device: unknown";
        assert_eq!(Cause::of(watches), Some(Cause::Limit(NodeLimit::Watches)));
        let groups = "OCI runtime create failed: runc create failed: unable to apply cgroup configuration: mkdir /sys/fs/cgroup/memory/kubepods/x: no space left on device: unknown";
        assert_eq!(Cause::of(groups), Some(Cause::Limit(NodeLimit::Cgroups)));
        let processes = "OCI runtime create failed: runc create failed: unable to start container process: unable to start init: fork/exec /proc/self/fd/6: resource temporarily unavailable: unknown";
        assert_eq!(Cause::of(processes), Some(Cause::Limit(NodeLimit::Processes)));
        assert_eq!(Cause::of("failed to create shim task: something new"), Some(Cause::Other));
    }
}
