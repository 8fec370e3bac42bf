//! What people already have: a dump of `kubectl cluster-info dump`, a support bundle of troubleshoot.sh, a must-gather of
//! OpenShift. Their files are put where a bundle has them; what they do not hold was not collected.

mod must_gather;

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::header::{FORMAT, Header, HeaderTarget, Scope, Tool};
use super::tree::Tree;

/// Where troubleshoot.sh keeps what the API server said.
const RESOURCES: &str = "cluster-resources/";
/// Fields that tell when something was: the last of them is when the whole was taken.
const TIMES: &[&str] = &[
    "creationTimestamp",
    "eventTime",
    "firstTimestamp",
    "lastHeartbeatTime",
    "lastTimestamp",
    "lastTransitionTime",
    "startedAt",
    "finishedAt",
];

/// Lists of a namespace in a dump, with their API.
const OF_DUMP: &[(&str, &str)] = &[
    ("pods", "api/v1"),
    ("services", "api/v1"),
    ("events", "api/v1"),
    ("deployments", "apis/apps/v1"),
    ("daemonsets", "apis/apps/v1"),
    ("replicasets", "apis/apps/v1"),
];

/// Folders of a support bundle, one list a namespace: folder, API, resource.
const OF_NAMESPACES: &[(&str, &str, &str)] = &[
    ("pods", "api/v1", "pods"),
    ("services", "api/v1", "services"),
    ("events", "api/v1", "events"),
    ("pvcs", "api/v1", "persistentvolumeclaims"),
    ("resource-quota", "api/v1", "resourcequotas"),
    ("serviceaccounts", "api/v1", "serviceaccounts"),
    ("deployments", "apis/apps/v1", "deployments"),
    ("statefulsets", "apis/apps/v1", "statefulsets"),
    ("daemonsets", "apis/apps/v1", "daemonsets"),
    ("replicasets", "apis/apps/v1", "replicasets"),
    // Where some versions put them by mistake.
    ("statefulsets-errors.json", "apis/apps/v1", "replicasets"),
    ("jobs", "apis/batch/v1", "jobs"),
    ("cronjobs", "apis/batch/v1", "cronjobs"),
    ("ingress", "apis/networking.k8s.io/v1", "ingresses"),
    ("network-policy", "apis/networking.k8s.io/v1", "networkpolicies"),
    ("pod-disruption-budgets", "apis/policy/v1", "poddisruptionbudgets"),
];

/// Files of a support bundle, one list each: file, API, resource.
const OF_CLUSTER: &[(&str, &str, &str)] = &[
    ("nodes", "api/v1", "nodes"),
    ("namespaces", "api/v1", "namespaces"),
    ("namespace", "api/v1", "namespaces"),
    ("pvs", "api/v1", "persistentvolumes"),
    ("storage-classes", "apis/storage.k8s.io/v1", "storageclasses"),
    ("custom-resource-definitions", "apis/apiextensions.k8s.io/v1", "customresourcedefinitions"),
];

/// Files that were put where a bundle has them.
pub(super) struct Foreign {
    /// By their names in a bundle.
    pub(super) files: HashMap<String, Vec<u8>>,
    /// What is known of the whole.
    pub(super) header: Header,
}

/// Reads a tree that another program wrote; `None` where it is of no known one.
pub(super) fn read(tree: &Tree) -> Option<Foreign> {
    let names = tree.below("");
    let mut found = Mapped { tree, files: HashMap::new(), latest: None };
    let tool = if let Some(top) = top_of_support_bundle(&names) {
        found.support_bundle(&names, &top);
        "troubleshoot.sh"
    } else if let Some(top) = must_gather::top(&names) {
        found.must_gather(&names, &top);
        "must-gather"
    } else {
        let top = top_of_dump(&names)?;
        found.dump(&names, &top);
        "kubectl cluster-info dump"
    };
    // Without any time nothing can be said to be late.
    let collected_at = found.latest.unwrap_or(Timestamp::UNIX_EPOCH);
    let header = Header {
        format: FORMAT,
        collected_at,
        target: HeaderTarget::default(),
        tool: Some(Tool { name: tool.into(), version: String::new() }),
        scope: Some(Scope { namespace: found.stack(), ..Scope::default() }),
        entries: BTreeMap::new(),
    };
    Some(Foreign { files: found.files, header })
}

/// The folder above `cluster-resources`, with the slash at its end.
fn top_of_support_bundle(names: &[String]) -> Option<String> {
    let at_top = |name: &String| name.starts_with(RESOURCES).then(String::new);
    let below = |name: &String| name.find(&format!("/{RESOURCES}")).map(|at| name[..=at].to_owned());
    names.iter().find_map(|name| at_top(name).or_else(|| below(name)))
}

/// The folder that holds `nodes.json` and namespaces with their pods.
fn top_of_dump(names: &[String]) -> Option<String> {
    let mut tops: Vec<&str> = names.iter().filter_map(|n| n.strip_suffix("nodes.json")).collect();
    tops.retain(|top| top.is_empty() || top.ends_with('/'));
    let has_pods = |top: &&str| {
        let inside = names.iter().filter_map(|n| n.strip_prefix(top)?.strip_suffix("/pods.json"));
        inside.into_iter().any(|namespace| !namespace.contains('/'))
    };
    tops.into_iter().find(has_pods).map(str::to_owned)
}

struct Mapped<'a> {
    tree: &'a Tree,
    files: HashMap<String, Vec<u8>>,
    latest: Option<Timestamp>,
}

impl Mapped<'_> {
    fn json(&self, name: &str) -> Option<Value> {
        serde_json::from_slice(&self.tree.raw(name).ok()??).ok()
    }

    fn text(&self, name: &str) -> Option<String> {
        Some(String::from_utf8_lossy(&self.tree.raw(name).ok()??).into_owned())
    }

    fn dump(&mut self, names: &[String], top: &str) {
        for name in names {
            let Some(inside) = name.strip_prefix(top) else { continue };
            match inside.split('/').collect::<Vec<_>>().as_slice() {
                ["nodes.json"] => self.list(name, "api/v1", "nodes", None),
                [namespace, file] => {
                    let of_file = |(kind, _): &&(&str, &str)| file.strip_suffix(".json") == Some(*kind);
                    if let Some((kind, api)) = OF_DUMP.iter().find(of_file) {
                        self.list(name, api, kind, Some(namespace));
                    }
                }
                [namespace, pod, "logs.txt"] => {
                    let text = self.text(name).unwrap_or_default();
                    self.dumped_logs(namespace, pod, &text);
                }
                _ => {}
            }
        }
    }

    /// The logs of a pod's containers, one after another between lines that name them.
    fn dumped_logs(&mut self, namespace: &str, pod: &str, text: &str) {
        let mut container = None;
        let mut lines = Vec::new();
        for line in text.lines() {
            let begins = line.strip_prefix("==== START logs for container ").and_then(|rest| rest.split(' ').next());
            if let Some(name) = begins {
                (container, lines) = (Some(name.to_owned()), Vec::new());
            } else if line.starts_with("==== END logs for container ") {
                if let Some(container) = container.take() {
                    self.log(namespace, pod, &format!("{container}.log"), &lines);
                }
            } else {
                lines.push(line);
            }
        }
    }

    fn log(&mut self, namespace: &str, pod: &str, file: &str, lines: &[&str]) {
        let place = format!("kubernetes/api/v1/namespaces/{namespace}/pods/{pod}/log/{file}");
        let refused = ["Request log error: ", "Create log error: "];
        match lines.first().and_then(|first| refused.iter().find_map(|said| first.strip_prefix(said))) {
            Some(said) => self.refused(&place, said),
            None => {
                self.files.insert(place, lines.iter().flat_map(|line| [line, "\n"]).collect::<String>().into_bytes());
            }
        }
    }

    fn support_bundle(&mut self, names: &[String], top: &str) {
        for name in names {
            let Some(inside) = name.strip_prefix(top) else { continue };
            if inside == "cluster-info/cluster_version.json" {
                let version = self.json(name).and_then(|mut version| Some(version.get_mut("info")?.take()));
                let version = version.map(|info| info.to_string().into_bytes());
                self.files.extend(version.map(|info| ("kubernetes/version.json".to_owned(), info)));
            }
            if let Some(inside) = inside.strip_prefix(RESOURCES) {
                self.resource(name, inside);
            }
        }
    }

    /// A file below `cluster-resources`.
    fn resource(&mut self, name: &str, inside: &str) {
        match inside.split('/').collect::<Vec<_>>().as_slice() {
            ["groups.json"] => {
                let groups = self.json(name).filter(Value::is_array);
                let groups = groups.map(|groups| json!({ "groups": groups }).to_string().into_bytes());
                self.files.extend(groups.map(|groups| ("kubernetes/apis.json".to_owned(), groups)));
            }
            ["pods", "logs", namespace, pod, file] => {
                let text = self.text(name).unwrap_or_default();
                let lines: Vec<&str> = text.lines().collect();
                if let Some(container) = file.strip_suffix("-logs-errors.log") {
                    let place = format!("kubernetes/api/v1/namespaces/{namespace}/pods/{pod}/log/{container}.log");
                    self.refused(&place, text.trim());
                } else if let Some(container) = file.strip_suffix("-previous.log") {
                    self.log(namespace, pod, &format!("{container}.previous.log"), &lines);
                } else if file.ends_with(".log") {
                    self.log(namespace, pod, file, &lines);
                }
            }
            ["custom-resources", definition, file] => {
                if let (Some(namespace), Some((kind, group))) = (file.strip_suffix(".json"), definition.split_once('.'))
                {
                    self.custom(name, kind, group, namespace);
                }
            }
            [folder, file] => {
                let of_folder = OF_NAMESPACES.iter().find(|(known, ..)| known == folder);
                if let (Some((_, api, kind)), Some(namespace)) = (of_folder, file.strip_suffix(".json")) {
                    self.list(name, api, kind, Some(namespace));
                }
            }
            [file] => {
                let bare = file.strip_suffix(".json").unwrap_or(file);
                if let Some((_, api, kind)) = OF_CLUSTER.iter().find(|(known, ..)| *known == bare) {
                    self.list(name, api, kind, None);
                } else if let Some(folder) = bare.strip_suffix("-errors") {
                    self.errors(name, folder);
                }
            }
            _ => {}
        }
    }

    /// Custom resources, in the version in which they were sent.
    fn custom(&mut self, name: &str, kind: &str, group: &str, namespace: &str) {
        let Some(list) = self.json(name) else { return };
        let items = list.as_array().or_else(|| list.get("items")?.as_array());
        let version = items.and_then(|items| items.first()?.get("apiVersion")?.as_str());
        if let Some(version) = version.and_then(|api| api.strip_prefix(group)?.strip_prefix('/')) {
            let api = format!("apis/{group}/{version}");
            self.listed(list, &api, kind, Some(namespace));
        }
    }

    fn list(&mut self, name: &str, api: &str, kind: &str, namespace: Option<&str>) {
        if let Some(document) = self.json(name) {
            self.listed(document, api, kind, namespace);
        }
    }

    /// A list, as the server sends it; one of another version of the API is of no use.
    fn listed(&mut self, mut document: Value, api: &str, kind: &str, namespace: Option<&str>) {
        if document.is_array() {
            // Of namespaces only those that were asked for: that is not the list of all.
            if kind == "namespaces" {
                return;
            }
            document = json!({ "items": document });
        }
        let wanted = api.strip_prefix("apis/").or(api.strip_prefix("api/")).unwrap_or(api);
        let of = |value: &Value| value.get("apiVersion").and_then(Value::as_str).map(|sent| sent == wanted);
        let Some(items) = document.get("items").filter(|items| items.is_array() || items.is_null()) else { return };
        let first = items.as_array().and_then(|items| of(items.first()?));
        if of(&document).or(first) == Some(false) {
            return;
        }
        self.times(&document);
        let place = match namespace {
            Some(namespace) => format!("kubernetes/{api}/namespaces/{namespace}/{kind}.json"),
            None => format!("kubernetes/{api}/{kind}.json"),
        };
        self.files.entry(place).or_insert_with(|| document.to_string().into_bytes());
    }

    /// `{"namespace": "why"}`, or a list of reasons.
    fn errors(&mut self, name: &str, folder: &str) {
        match self.json(name) {
            Some(Value::Object(reasons)) => {
                let Some((_, api, kind)) = OF_NAMESPACES.iter().find(|(known, ..)| *known == folder) else { return };
                for (namespace, reason) in &reasons {
                    let said = reason.as_str().unwrap_or_default();
                    self.refused(&format!("kubernetes/{api}/namespaces/{namespace}/{kind}"), said);
                }
            }
            Some(Value::Array(reasons)) => {
                let Some((_, api, kind)) = OF_CLUSTER.iter().find(|(known, ..)| *known == folder) else { return };
                if let Some(said) = reasons.first().and_then(Value::as_str) {
                    self.refused(&format!("kubernetes/{api}/{kind}"), said);
                }
            }
            _ => {}
        }
    }

    fn refused(&mut self, place: &str, said: &str) {
        let cause = if said.contains("forbidden") { "forbidden" } else { "bad-answer" };
        let document = json!({"cause": cause, "message": said}).to_string();
        self.files.insert(format!("{place}.error.json"), document.into_bytes());
    }

    /// The last time of which a list speaks.
    fn times(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.times(item)),
            Value::Object(fields) => {
                for (key, value) in fields {
                    match value {
                        Value::String(text) if TIMES.contains(&key.as_str()) => {
                            self.latest = self.latest.max(text.parse().ok());
                        }
                        _ => self.times(value),
                    }
                }
            }
            _ => {}
        }
    }

    /// The namespace in which Prometheus runs, where it is not the usual one: no list of the whole cluster tells it.
    fn stack(&self) -> Option<String> {
        let of_pods = |name: &String| {
            let namespace = name.strip_prefix("kubernetes/api/v1/namespaces/")?.strip_suffix("/pods.json")?;
            Some(namespace.to_owned())
        };
        let mut namespaces: Vec<String> = self.files.keys().filter_map(of_pods).collect();
        namespaces.sort();
        if namespaces.iter().any(|namespace| namespace == "monitoring") {
            return None;
        }
        let runs = |namespace: &String| {
            let list = self.files.get(&format!("kubernetes/api/v1/namespaces/{namespace}/pods.json"));
            list.is_some_and(|list| {
                let text = String::from_utf8_lossy(list);
                ["/prometheus:", "/prometheus@", "/grafana:"].iter().any(|image| text.contains(image))
            })
        };
        namespaces.into_iter().find(runs)
    }
}
