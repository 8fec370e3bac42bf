//! Init containers that others put into pods, and what keeps them waiting: the agent of Vault, the helper of Velero,
//! a side-car that watches.

use crate::domain::kubernetes::image::base_of;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Pod, annotation};
use crate::text::pattern::pattern;

/// Why such a container does not come to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Helper {
    /// Vault refuses its agent.
    Vault {
        /// ServiceAccount of the pod.
        account: String,
        /// What the pod's annotation names; empty where it has none.
        role: String,
        /// `kubernetes`: where the method is mounted.
        mount: String,
        /// What it may not read; empty where the login is refused.
        path: String,
        /// What Vault says: `permission denied`.
        says: String,
    },
    /// Velero's helper waits for the file that its node agent writes once a volume is restored.
    Velero {
        /// Namespace of Velero.
        velero: String,
        /// Name of the Restore; empty where the pod does not tell it.
        restore: String,
        node: String,
        /// No pod of the agent is on the node.
        absent: bool,
    },
    /// The side-car that writes ConfigMaps into files, told to go on watching.
    Watcher {
        /// Its METHOD; empty where it has none.
        method: String,
    },
}

impl Helper {
    /// In words.
    pub(crate) fn says(&self) -> String {
        match self {
            Self::Vault { path, role, account, says, .. } if path.is_empty() => {
                let role = if role.is_empty() { String::new() } else { format!(" for role {role}") };
                format!("Vault refuses its login{role} as ServiceAccount {account} ({says})")
            }
            Self::Vault { path, says, .. } => format!("Vault does not give it {path} ({says})"),
            Self::Velero { node, absent: true, .. } => {
                format!("it waits for Velero to restore its volume, and Velero's node agent has no pod on node {node}")
            }
            Self::Velero { .. } => "it waits for Velero's node agent to restore its volume".to_owned(),
            Self::Watcher { method } if method.is_empty() => {
                "it watches its ConfigMaps and never ends (it has no METHOD, and LIST alone ends)".to_owned()
            }
            Self::Watcher { method } => {
                format!("it watches its ConfigMaps and never ends (METHOD={method}, and LIST alone ends)")
            }
        }
    }
}

/// What the log of an init container says of it.
pub(crate) fn read(snap: &Snapshot, pod: &Pod, container: &Container, text: &str) -> Option<Helper> {
    vault(pod, text).or_else(|| velero(snap, pod, container, text)).or_else(|| watcher(container))
}

/// The last error of Vault's answer: its URL, its code, and the sentence below it.
fn vault(pod: &Pod, text: &str) -> Option<Helper> {
    let answer = pattern!(
        r"URL: (?:PUT|POST|GET) \S+?/v1/(\S+)\s+\|?\s*Code: (?:403|400|404)\. Errors:\s+(?:\|\s*)*\* ([^\n]+)",
    );
    let found = answer.captures_iter(text).last()?;
    // It went on after that.
    let (_, after) = text.split_at(found.get(0)?.end());
    if after.contains("authentication successful") || after.contains("rendered ") {
        return None;
    }
    let path = found[1].to_owned();
    let login = path.strip_prefix("auth/").and_then(|p| p.strip_suffix("/login")).map(str::to_owned);
    let role = pod.metadata.annotations.get(annotation::VAULT_ROLE).cloned().unwrap_or_default();
    Some(Helper::Vault {
        account: pod.spec.account().to_owned(),
        role,
        mount: login.clone().unwrap_or_else(|| {
            let path = pod.metadata.annotations.get(annotation::VAULT_AUTH_PATH).map_or("", String::as_str);
            let mount = path.trim_matches('/').trim_start_matches("auth/");
            if mount.is_empty() { "kubernetes" } else { mount }.to_owned()
        }),
        path: if login.is_some() { String::new() } else { path },
        says: found[2].trim().to_owned(),
    })
}

/// `Not found: /restores/data/.velero/8f2c…`, again and again.
fn velero(snap: &Snapshot, pod: &Pod, container: &Container, text: &str) -> Option<Helper> {
    let waits = text
        .lines()
        .rev()
        .find(|l| !l.trim().is_empty())
        .is_some_and(|l| l.contains("Not found: /restores/") && l.contains("/.velero/"));
    if !waits || !container.image.contains("velero") {
        return None;
    }
    let node = pod.spec.node_name.clone()?;
    let is_agent = |p: &&Pod| {
        p.spec
            .containers
            .iter()
            .any(|c| matches!(c.name.as_str(), "node-agent" | "restic") && c.image.contains("velero"))
    };
    let agents: Vec<&Pod> = snap.pods.items().unwrap_or_default().iter().filter(is_agent).collect();
    // In a namespace that could not be read they are not seen: the one that has some is the one.
    let first = agents.first();
    Some(Helper::Velero {
        velero: first.map_or_else(|| "velero".to_owned(), |p| p.metadata.namespace.clone()),
        restore: pod.metadata.label("velero.io/restore-name").unwrap_or_default().to_owned(),
        absent: first.is_some() && !agents.iter().any(|p| p.spec.node_name.as_deref() == Some(node.as_str())),
        node,
    })
}

/// An init container of the side-car's image that is not one which runs beside the others.
fn watcher(container: &Container) -> Option<Helper> {
    // A command of its own, or an environment that is not seen here, may make it end.
    let ends = container.restart_policy.is_some()
        || !base_of(&container.image).contains("k8s-sidecar")
        || !container.command.is_empty()
        || !container.env_from.is_empty();
    let said = container.env.iter().find(|e| e.name == "METHOD");
    // What comes from elsewhere is not known.
    let method = said.map_or(Some(""), |e| e.value.as_deref())?;
    (!ends && method != "LIST").then(|| Helper::Watcher { method: method.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Listing;
    use serde_json::json;

    const REFUSED: &str = "2026-11-21T02:27:50.563Z [INFO]  agent.auth.handler: authenticating\n2026-11-21T02:27:50.570Z [ERROR] agent.auth.handler: error authenticating:\n  error=\n  | Error making API request.\n  | \n  | URL: PUT http://vault.vault.svc:8200/v1/auth/kubernetes/login\n  | Code: 403. Errors:\n  | \n  | * permission denied\n   backoff=4m48.9s\n";

    fn pod(name: &str, node: &str, container: &str, image: &str) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": name, "namespace": "m", "annotations": {"vault.hashicorp.com/role": "grafana"}},
            "spec": {"serviceAccountName": "g", "nodeName": node, "containers": [{"name": container, "image": image}]}}))
        .expect("a pod")
    }

    fn said(text: &str) -> Option<String> {
        let (snap, pod) = (Snapshot::empty(jiff::Timestamp::UNIX_EPOCH), pod("g", "a", "grafana", "grafana"));
        read(&snap, &pod, &pod.spec.containers[0], text).map(|h| h.says())
    }

    #[test]
    fn vault_says_why_it_refuses() {
        let login = "Vault refuses its login for role grafana as ServiceAccount g (permission denied)";
        assert_eq!(said(REFUSED).as_deref(), Some(login));
        let path = REFUSED.replace("PUT", "GET").replace("auth/kubernetes/login", "secret/data/grafana");
        assert_eq!(said(&path).as_deref(), Some("Vault does not give it secret/data/grafana (permission denied)"));
        let later =
            format!("{REFUSED}2026-11-21T02:29:50.570Z [INFO]  agent.auth.handler: authentication successful\n");
        assert_eq!(said(&later), None, "it went on");
    }

    #[test]
    fn velero_needs_its_agent_on_the_node() {
        let text = "Not found: /restores/storage/.velero/8f2c\nNot found: /restores/storage/.velero/8f2c\n";
        let own = pod("g", "b", "restore-wait", "velero/velero-restore-helper:v1.12.3");
        let of = |agent: &str| {
            let mut snap = Snapshot::empty(jiff::Timestamp::UNIX_EPOCH);
            snap.pods = Listing::cluster(vec![pod("agent", agent, "node-agent", "velero/velero:v1.12.3")]);
            read(&snap, &own, &own.spec.containers[0], text)
        };
        assert!(matches!(of("a"), Some(Helper::Velero { absent: true, .. })));
        assert!(matches!(of("b"), Some(Helper::Velero { absent: false, .. })));
    }

    #[test]
    fn a_side_car_that_watches_does_not_end() {
        let of = |more: serde_json::Value| {
            let mut container = json!({"name": "init", "image": "quay.io/kiwigrid/k8s-sidecar:2.1.1"});
            container.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
            watcher(&serde_json::from_value(container).expect("a container"))
        };
        let method = |value: &str| json!({"env": [{"name": "METHOD", "value": value}]});
        assert_eq!(of(method("WATCH")), Some(Helper::Watcher { method: "WATCH".into() }));
        assert_eq!(of(json!({})), Some(Helper::Watcher { method: String::new() }));
        assert_eq!(of(method("LIST")), None);
        assert_eq!(of(json!({"restartPolicy": "Always"})), None, "it runs beside the others");
    }
}
