//! What objects of the files name of other objects, beside labels and volumes: ports of Services and containers, service
//! accounts, keys of values, files of ConfigMaps, the servers that select monitors.

use super::given::{full_name, may_meet};
use super::references::{SLIP, is_meant};
use super::values;
use crate::lint::yaml::Node;
use crate::lint::{Problem, is_filled_in};
use crate::snapshot::Snapshot;
use crate::snapshot::manifests::Manifest;
use crate::text::near::{suggest, typo};

/// What the files have that others name.
pub(crate) struct Links<'a> {
    accounts: Vec<&'a Manifest>,
    services: Vec<&'a Manifest>,
    maps: Vec<&'a Manifest>,
    servers: Vec<Server<'a>>,
}

/// A Prometheus that selects monitors and rules by their labels.
struct Server<'a> {
    name: String,
    /// By field: `serviceMonitorSelector`.
    selectors: Vec<(&'static str, Vec<(&'a str, &'a str)>)>,
}

/// Kinds that a Prometheus selects, and the fields that do it.
const SELECTED: [(&str, &str); 4] = [
    ("ServiceMonitor", "serviceMonitorSelector"),
    ("PodMonitor", "podMonitorSelector"),
    ("Probe", "probeSelector"),
    ("PrometheusRule", "ruleSelector"),
];

impl<'a> Links<'a> {
    /// Of all files.
    pub(crate) fn of(snap: &'a Snapshot) -> Self {
        let all = |kind: &'static str| snap.manifest_objects("", kind).map(|(_, o)| o).collect();
        let operated = snap.manifest_objects("monitoring.coreos.com", "Prometheus");
        let mut servers: Vec<Server<'a>> = operated.filter_map(|(_, o)| Server::of(o)).collect();
        for file in snap.manifests.items().unwrap_or_default() {
            servers.extend(values::embedded(file).filter_map(|v| Server::of_chart(v.object?, v.node)));
        }
        Self { accounts: all("ServiceAccount"), services: all("Service"), maps: all("ConfigMap"), servers }
    }

    /// What an object names and the files do not have as it is named.
    pub(crate) fn broken(&self, object: &Manifest) -> Vec<Problem> {
        match (object.group(), object.kind.as_str()) {
            ("apps", "Deployment" | "StatefulSet" | "DaemonSet") => self.workload(object),
            ("networking.k8s.io", "Ingress") => self.ingress(object),
            ("helm.toolkit.fluxcd.io", "HelmRelease") => self.release(object),
            ("monitoring.coreos.com", _) => self.unselected(object).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    fn workload(&self, object: &Manifest) -> Vec<Problem> {
        let Some(pod) = object.node.at(&["spec", "template", "spec"]) else { return Vec::new() };
        let path = "spec.template.spec";
        let mut found: Vec<Problem> = self.account(object, pod, path).into_iter().collect();
        for (at, container) in pod.get("containers").and_then(Node::items).unwrap_or_default().iter().enumerate() {
            let path = format!("{path}.containers[{at}]");
            found.extend(probes(container, &path));
            found.extend(self.files(object, pod, container, &path));
        }
        found
    }

    fn account(&self, object: &Manifest, pod: &Node, path: &str) -> Option<Problem> {
        let node = pod.get("serviceAccountName")?;
        let name = node.as_str()?;
        let there: Vec<&str> = self.accounts.iter().filter(|a| may_meet(a, object)).map(|a| a.name.as_str()).collect();
        if there.contains(&name) {
            return None;
        }
        let meant = there.iter().find(|a| is_meant(name, a, **a == object.name))?;
        let message = format!("the files hold no ServiceAccount {name}");
        Some(Problem::new(node.place, format!("{path}.serviceAccountName"), message).instead(Some(*meant)))
    }

    /// Files in the arguments that a mounted ConfigMap of the files does not have.
    fn files(&self, object: &Manifest, pod: &Node, container: &Node, path: &str) -> Vec<Problem> {
        let arguments = container.get("args").and_then(Node::items).unwrap_or_default();
        let named = arguments.iter().enumerate().filter_map(|(at, node)| {
            let (flag, file) = node.as_str()?.split_once('=')?;
            (flag.ends_with("file") && file.starts_with('/')).then_some((at, node, file))
        });
        let wrong = named.filter_map(|(at, node, file)| {
            let (map, key) = self.mounted(object, pod, container, file)?;
            let keys: Vec<&str> = ["data", "binaryData"]
                .iter()
                .flat_map(|part| map.node.get(part).and_then(Node::entries).unwrap_or_default())
                .filter_map(|(k, _)| k.as_str())
                .collect();
            if keys.contains(&key) || keys.is_empty() {
                return None;
            }
            let name = full_name(map);
            let message =
                format!("{file} is not there: ConfigMap {name} has no key {key:?} (it has {})", keys.join(", "));
            let meant = suggest(key, keys.iter().copied()).map(|k| node.as_str().unwrap_or_default().replace(key, k));
            Some(Problem::new(node.place, format!("{path}.args[{at}]"), message).instead(meant))
        });
        wrong.collect()
    }

    /// The ConfigMap of the files that is mounted where a file is, and the key that the file is of.
    fn mounted<'f>(
        &self,
        object: &Manifest,
        pod: &Node,
        container: &Node,
        file: &'f str,
    ) -> Option<(&'a Manifest, &'f str)> {
        let mounts = container.get("volumeMounts").and_then(Node::items)?;
        let under = |mount: &Node| {
            let at = mount.get("mountPath")?.as_str()?.trim_end_matches('/');
            let rest = file.strip_prefix(at)?.strip_prefix('/')?;
            (mount.get("subPath").is_none() && !rest.contains('/')).then_some(rest)
        };
        // The innermost mount is the one that is seen; one inside of another may bring any file.
        let mut over = mounts.iter().filter_map(|m| Some((m, under(m)?)));
        let (mount, key) = over.next().filter(|_| over.next().is_none())?;
        let name = mount.get("name")?.as_str()?;
        let volumes = pod.get("volumes").and_then(Node::items)?;
        let volume = volumes.iter().find(|v| v.get("name").and_then(Node::as_str) == Some(name))?;
        let source = volume.get("configMap").filter(|s| s.get("items").is_none())?;
        let wanted = source.get("name")?.as_str()?;
        let map = self.maps.iter().find(|m| m.name == wanted && may_meet(m, object))?;
        Some((map, key))
    }

    fn ingress(&self, ingress: &Manifest) -> Vec<Problem> {
        let mut found = Vec::new();
        let rules = ingress.node.at(&["spec", "rules"]).and_then(Node::items).unwrap_or_default();
        for (number, rule) in rules.iter().enumerate() {
            let paths = rule.at(&["http", "paths"]).and_then(Node::items).unwrap_or_default();
            for (at, entry) in paths.iter().enumerate() {
                let path = format!("spec.rules[{number}].http.paths[{at}].backend.service");
                found.extend(entry.at(&["backend", "service"]).and_then(|s| self.backend(ingress, s, &path)));
            }
        }
        let default = ingress.node.at(&["spec", "defaultBackend", "service"]);
        found.extend(default.and_then(|s| self.backend(ingress, s, "spec.defaultBackend.service")));
        found
    }

    fn backend(&self, ingress: &Manifest, backend: &Node, path: &str) -> Option<Problem> {
        let name = backend.get("name")?;
        let wanted = name.as_str()?;
        let near = |s: &&&Manifest| may_meet(s, ingress);
        let Some(service) = self.services.iter().filter(near).find(|s| s.name == wanted) else {
            let meant = self.services.iter().filter(near).find(|s| typo(wanted, &s.name, SLIP))?;
            let message = format!("the files hold no Service {wanted}");
            return Some(Problem::new(name.place, format!("{path}.name"), message).instead(Some(&meant.name)));
        };
        let ports = service.node.at(&["spec", "ports"]).and_then(Node::items)?;
        let key = if backend.at(&["port", "name"]).is_some() { "name" } else { "number" };
        let port = backend.at(&["port", key])?;
        // The load balancer controller's own actions stand where a port is.
        let wanted = port.as_str().filter(|p| *p != "use-annotation")?;
        let field = if key == "name" { "name" } else { "port" };
        let there: Vec<&str> = ports.iter().filter_map(|p| p.get(field).and_then(Node::as_str)).collect();
        if there.contains(&wanted) || there.is_empty() {
            return None;
        }
        let message = format!("Service {} has no port {wanted} (it has {})", full_name(service), there.join(", "));
        let only = if let [one] = there.as_slice() { Some(*one) } else { suggest(wanted, there.iter().copied()) };
        Some(Problem::new(port.place, format!("{path}.port.{key}"), message).instead(only))
    }

    /// Values from a ConfigMap of the files that does not have the key.
    fn release(&self, release: &Manifest) -> Vec<Problem> {
        let sources = release.node.at(&["spec", "valuesFrom"]).and_then(Node::items).unwrap_or_default();
        let wrong = sources.iter().enumerate().filter_map(|(at, source)| {
            let optional = source.get("optional").is_some_and(Node::is_true);
            let of_map = source.get("kind").and_then(Node::as_str) == Some("ConfigMap");
            let name = source.get("name").filter(|_| of_map && !optional)?;
            let map = self.maps.iter().find(|m| Some(m.name.as_str()) == name.as_str() && may_meet(m, release))?;
            let node = source.get("valuesKey");
            let key = node.and_then(Node::as_str).unwrap_or("values.yaml");
            let data = map.node.get("data")?;
            let keys: Vec<&str> = data.entries()?.iter().filter_map(|(k, _)| k.as_str()).collect();
            if keys.contains(&key) {
                return None;
            }
            let message = format!("ConfigMap {} has no key {key:?} (it has {})", full_name(map), keys.join(", "));
            let place = node.unwrap_or(name).place;
            let meant = node.and_then(|_| suggest(key, keys.iter().copied()));
            Some(Problem::new(place, format!("spec.valuesFrom[{at}].valuesKey"), message).instead(meant))
        });
        wrong.collect()
    }

    /// A monitor or rule that no Prometheus of the files selects by its labels.
    fn unselected(&self, object: &Manifest) -> Option<Problem> {
        let (_, field) = SELECTED.iter().find(|(kind, _)| *kind == object.kind)?;
        let labels = object.node.at(&["metadata", "labels"]);
        let has = |(key, value): &(&str, &str)| labels.and_then(|l| l.get(key)).and_then(Node::as_str) == Some(*value);
        let mut asked = Vec::new();
        for server in &self.servers {
            // A server that says nothing of this kind may select all of it.
            let (_, wanted) = server.selectors.iter().find(|(of, _)| of == field)?;
            if wanted.iter().all(has) {
                return None;
            }
            let wanted: Vec<String> = wanted.iter().map(|(k, v)| format!("{k}={v}")).collect();
            asked.push(format!("{} wants {}", server.name, wanted.join(",")));
        }
        let first = asked.first()?;
        let more = if asked.len() > 1 { format!(" and {} more", asked.len() - 1) } else { String::new() };
        let message = format!("no Prometheus of the files selects it by its labels: {first}{more}");
        let place = labels.map_or(object.place(), |l| l.place);
        Some(Problem::new(place, "metadata.labels", message))
    }
}

impl<'a> Server<'a> {
    /// `None` where it selects by more than labels.
    fn of(object: &'a Manifest) -> Option<Self> {
        let spec = object.node.get("spec")?;
        let selectors = SELECTED.iter().filter_map(|(_, field)| Some((*field, pairs(spec.get(field)?)?)));
        Some(Self { name: format!("Prometheus {}", full_name(object)), selectors: selectors.collect() })
    }

    /// The Prometheus of kube-prometheus-stack selects by the label of its release, unless its values say otherwise.
    fn of_chart(object: &'a Manifest, values: &'a Node) -> Option<Self> {
        let (chart, release) = match object.kind.as_str() {
            "HelmRelease" => {
                let spec = object.node.get("spec")?;
                let chart = spec.at(&["chart", "spec", "chart"])?.as_str()?;
                let own = spec.get("releaseName").and_then(Node::as_str);
                // Without a name of its own the namespace of the target may be part of it.
                let name = own.or_else(|| spec.get("targetNamespace").is_none().then_some(object.name.as_str()))?;
                (chart, name)
            }
            "Application" => {
                let source = object.node.at(&["spec", "source"])?;
                let own = source.at(&["helm", "releaseName"]).and_then(Node::as_str);
                (source.get("chart")?.as_str()?, own.unwrap_or(&object.name))
            }
            _ => return None,
        };
        let spec = values.at(&["prometheus", "prometheusSpec"]);
        if chart.rsplit('/').next() != Some("kube-prometheus-stack") || is_filled_in(release) {
            return None;
        }
        let selectors = SELECTED.iter().filter_map(|(_, field)| {
            if let Some(own) = spec.and_then(|s| s.get(field)).filter(|s| s.entries().is_some_and(|e| !e.is_empty())) {
                return pairs(own).map(|labels| (*field, labels));
            }
            let key = format!("{field}NilUsesHelmValues");
            let off = spec.and_then(|s| s.get(&key)).is_some_and(|v| v.as_str() == Some("false"));
            Some((*field, if off { Vec::new() } else { vec![("release", release)] }))
        });
        Some(Self {
            name: format!("the Prometheus of {} {}", object.kind, full_name(object)),
            selectors: selectors.collect(),
        })
    }
}

/// The labels of a selector; `None` where it has more.
fn pairs(selector: &Node) -> Option<Vec<(&str, &str)>> {
    let more = selector.get("matchExpressions").and_then(Node::items).is_some_and(|e| !e.is_empty());
    let entries = selector.get("matchLabels").and_then(Node::entries).unwrap_or_default();
    (!more).then(|| entries.iter().filter_map(|(k, v)| Some((k.as_str()?, v.as_str()?))).collect())
}

/// Probes that ask a port by a name that their container does not have.
fn probes(container: &Node, path: &str) -> Vec<Problem> {
    let ports = container.get("ports").and_then(Node::items).unwrap_or_default();
    let names: Vec<&str> = ports.iter().filter_map(|p| p.get("name").and_then(Node::as_str)).collect();
    let mut found = Vec::new();
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        for how in ["httpGet", "tcpSocket"] {
            let Some(node) = container.at(&[probe, how, "port"]) else { continue };
            let Some(name) = node.as_str().filter(|n| n.parse::<u16>().is_err() && !names.contains(n)) else {
                continue;
            };
            let there =
                if names.is_empty() { "none has a name".to_owned() } else { format!("it has {}", names.join(", ")) };
            let message = format!("its container has no port called {name:?} ({there}): the probe fails");
            let meant = suggest(name, names.iter().copied());
            found.push(Problem::new(node.place, format!("{path}.{probe}.{how}.port"), message).instead(meant));
        }
    }
    found
}
