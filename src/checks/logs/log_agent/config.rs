//! The configuration of a log agent: which object holds it, and what it says of outputs.

use crate::domain::kubernetes::mounts::{self, Holder, Mounts};
use crate::domain::loki::agent::Agent;
use crate::domain::loki::agent_log;
use crate::model::Evidence;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Pod};

/// Where the output is configured.
#[derive(Debug, Clone, Default)]
pub(super) struct Config {
    /// `configmap` or `secret`, as kubectl calls it; empty where it is not known.
    pub(super) kind: &'static str,
    pub(super) name: String,
    /// The file with the output, where it was seen.
    pub(super) key: String,
    /// The part of it that speaks of the output.
    output: String,
    /// The plugin of the output that was asked for by name, whose part it is.
    pub(super) plugin: String,
    /// The setting that would bound what waits on the node's disk, where nothing does.
    pub(super) unbounded: Option<&'static str>,
}

impl Config {
    /// The configuration of an agent's container.
    pub(super) fn of(snap: &Snapshot, pod: Option<&Pod>, container: &str, agent: Agent, named: Option<&str>) -> Self {
        let Some(pod) = pod else { return Self::default() };
        let Some(container) = pod.spec.containers.iter().find(|c| c.name == container) else { return Self::default() };
        let files = Mounts::of_pod(snap, pod, container).files();
        let sections = |f: &mounts::File<'_>| {
            let output = section(f.text, named?)?.to_owned();
            Some((f.map.metadata.name.clone(), f.key.to_owned(), output))
        };
        let unbounded = unbounded(&files, agent).filter(|_| writes_to_node(pod, container));
        if let Some((name, key, output)) = files.iter().find_map(sections) {
            let plugin = named.and_then(|n| n.split('.').next()).unwrap_or_default().to_owned();
            return Self { kind: "configmap", name, key, output, plugin, unbounded };
        }
        if let Some((file, output)) = files.iter().find_map(|f| Some((f, output(f.text, agent)?))) {
            let (name, key) = (file.map.metadata.name.clone(), file.key.to_owned());
            let output = output.to_owned();
            return Self { kind: "configmap", name, key, output, plugin: String::new(), unbounded };
        }
        let mounted = |name: &str| container.volume_mounts.iter().any(|m| m.name == name);
        let volumes = pod.spec.volumes.iter().filter(|v| v.projected.is_none() && mounted(&v.name));
        let first = volumes.flat_map(mounts::sources).find(|s| s.name != "kube-root-ca.crt");
        first.map_or_else(Self::default, |s| Self { kind: word(s.holder), name: s.name.to_owned(), ..Self::default() })
    }

    /// What the output says of a key.
    pub(super) fn value(&self, key: &str) -> Option<&str> {
        let pairs = self.output.lines().map(str::trim).filter_map(|l| l.split_once([' ', '\t', ':']));
        let mut named = pairs.filter(|(k, _)| k.eq_ignore_ascii_case(key)).map(|(_, v)| v.trim());
        named.next().map(|v| v.trim_matches(['"', '\''])).filter(|v| !v.is_empty())
    }

    /// The same, where it is no variable that the agent fills in.
    pub(super) fn literal(&self, key: &str) -> Option<&str> {
        self.value(key).filter(|v| !v.contains(['$', '{', '#']))
    }

    /// The host that the output names.
    pub(super) fn target(&self) -> Option<(String, Option<u16>)> {
        let port = self.value("port").and_then(|p| p.parse().ok());
        let url = || ["endpoint", "url"].iter().find_map(|key| self.value(key)).and_then(agent_log::target);
        self.value("host").map(|h| (h.to_owned(), port)).or_else(url)
    }

    /// The output is one that needs a host and has none: Fluent Bit then sends to 127.0.0.1.
    pub(super) fn lacks_host(&self) -> bool {
        HOSTED.contains(&self.plugin.as_str()) && self.value("host").is_none() && self.value("upstream").is_none()
    }

    /// Nothing in the output's labels names the pod. Only Fluent Bit is told by its configuration: the others take their
    /// labels from relabelling.
    pub(super) fn names_no_pod(&self, agent: Agent) -> bool {
        let lower = self.output.to_ascii_lowercase();
        agent == Agent::FluentBit
            && lower.contains("loki")
            && !lower.contains("pod_name")
            && !lower.contains("filename")
    }

    /// The first output writes to Loki.
    pub(super) fn is_to_loki(&self) -> bool {
        let words = self.output.to_ascii_lowercase();
        let name = words.lines().map(str::trim).find(|l| l.starts_with("name ") || l.starts_with("@type "));
        name.is_some_and(|l| l.contains("loki"))
    }

    /// What it says of the output.
    pub(super) fn evidence(&self, namespace: &str) -> Option<Evidence> {
        const SHOWN: usize = 12;
        let lines: Vec<&str> =
            self.output.lines().map(str::trim_end).filter(|l| !l.trim().is_empty()).take(SHOWN).collect();
        let secret = ["passw", "token", "secret", "api_key"];
        let shown: Vec<&str> =
            lines.into_iter().filter(|l| !secret.iter().any(|s| l.to_ascii_lowercase().contains(s))).collect();
        (!shown.is_empty()).then(|| {
            let show = "kubectl get configmap {{ name }} -n {{ namespace }} -o yaml";
            Evidence::new(format!("ConfigMap {namespace}/{}, {}", self.name, self.key), shown.join("\n"), show)
                .with("namespace", namespace)
                .with("name", &self.name)
        })
    }
}

/// What waits lies in files, and how much of it may is not set.
fn unbounded(files: &[mounts::File<'_>], agent: Agent) -> Option<&'static str> {
    let has = |word: &str| files.iter().any(|f| f.text.contains(word));
    match agent {
        Agent::FluentBit => {
            let setting = "storage.total_limit_size";
            (has("storage.path") && has("filesystem") && !has(setting)).then_some(setting)
        }
        Agent::Fluentd => {
            let setting = "total_limit_size";
            (has("<buffer") && has("@type file") && !has(setting)).then_some(setting)
        }
        _ => None,
    }
}

/// It has a folder of the node to write to, besides that of the logs.
fn writes_to_node(pod: &Pod, container: &Container) -> bool {
    let of_node = |name: &str| {
        let volume = pod.spec.volumes.iter().find(|v| v.name == name);
        volume.and_then(|v| v.host_path.as_ref()).is_some_and(|h| !h.path.trim_end_matches('/').ends_with("/log"))
    };
    container.volume_mounts.iter().any(|m| !m.read_only && of_node(&m.name))
}

/// Outputs that send to `Host`, which is the agent's own pod unless it is set.
const HOSTED: &[&str] = &["es", "opensearch", "loki", "http", "forward", "splunk", "tcp", "gelf", "influxdb"];

/// The part of a file that configures the output.
fn output(text: &str, agent: Agent) -> Option<&str> {
    let marks: &[&str] = match agent {
        Agent::Promtail => &["clients:"],
        Agent::Alloy => &["loki.write"],
        Agent::FluentBit => &["[OUTPUT]", "outputs:"],
        Agent::Fluentd => &["<match"],
        Agent::Vector => &["sinks:", "[sinks."],
    };
    let at = marks.iter().find_map(|m| text.find(m))?;
    Some(&text[at..])
}

/// The section of Fluent Bit's classic format that configures an output by its name: `es.1` is of plugin `es`, and mostly the second
/// of the file.
fn section<'a>(text: &'a str, named: &str) -> Option<&'a str> {
    const MARK: &str = "[OUTPUT]";
    let (plugin, number) = named.split_once('.')?;
    let starts: Vec<usize> = text.match_indices(MARK).map(|(at, _)| at).collect();
    let all: Vec<&str> = starts
        .iter()
        .map(|at| {
            let rest = &text[*at..];
            let end = rest[MARK.len()..].find("\n[").map_or(rest.len(), |e| MARK.len() + e);
            &rest[..end]
        })
        .collect();
    let is_of = |section: &&&str| {
        let names = section.lines().filter_map(|l| l.trim().split_once([' ', '\t']));
        names.into_iter().any(|(k, v)| k.eq_ignore_ascii_case("name") && v.trim() == plugin)
    };
    let by_number = number.parse::<usize>().ok().and_then(|n| all.get(n)).filter(|s| is_of(s));
    by_number.or_else(|| all.iter().find(is_of)).copied()
}

/// As kubectl calls it.
fn word(holder: Holder) -> &'static str {
    match holder {
        Holder::ConfigMap => "configmap",
        Holder::Secret => "secret",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_found_by_its_name() {
        let text = "[INPUT]\n    Name tail\n[OUTPUT]\n    Name cloudwatch\n    region x\n[OUTPUT]\n    Name            es\n    Host            \n    Port            443\n[FILTER]\n    Host no\n";
        let found = section(text, "es.1").expect("a section");
        assert!(found.contains("Port") && !found.contains("FILTER"), "{found}");
        let of = |output: &str, plugin: &str| Config {
            output: output.to_owned(),
            plugin: plugin.to_owned(),
            ..Config::default()
        };
        assert!(of(found, "es").lacks_host());
        assert!(!of("[OUTPUT]\n    Name es\n    Host search\n", "es").lacks_host());
        assert!(!of(found, "").lacks_host(), "it is not known which it is");
        assert!(section(text, "loki.0").is_none());
    }
}
