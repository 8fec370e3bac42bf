//! What objects of the files hold as texts: Helm values of an Argo CD Application, of a ConfigMap that a HelmRelease names,
//! patches of Kustomize, Alertmanager's configuration in a Secret.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::patch::{self, entry, mapping};
use super::{BLANK, Fault};
use crate::lint::yaml::{Node, Value};
use crate::lint::{Place, web, within};
use crate::snapshot::manifests::{Holds, Inside, Manifest, ManifestFile};

/// Keys under which a ConfigMap holds values where nothing else is said.
const VALUES_KEY: &str = "values.yaml";

/// Reads them; what is no YAML is a fault of the file.
pub(super) fn read(files: &mut [ManifestFile]) -> Vec<Fault> {
    let wanted: Vec<(String, String)> = files.iter().flat_map(|f| &f.objects).flat_map(values_from).collect();
    let mut faults = Vec::new();
    for file in files {
        let mut patches = Vec::new();
        let mut inside = Vec::new();
        for (at, object) in file.objects.iter().enumerate() {
            let mut reader = Reader { file, at, patches: &mut patches, inside: &mut inside, faults: &mut faults };
            reader.object(object, &wanted);
        }
        file.inside.extend(inside);
        file.objects.extend(patches);
    }
    faults
}

/// Name and key of each ConfigMap that a release takes its values from.
fn values_from(object: &Manifest) -> Vec<(String, String)> {
    let list = match object.kind.as_str() {
        "HelmRelease" => object.node.at(&["spec", "valuesFrom"]),
        _ => None,
    };
    let of_map = |from: &&Node| from.get("kind").and_then(Node::as_str) == Some("ConfigMap");
    let named = list.and_then(Node::items).unwrap_or_default().iter().filter(of_map).filter_map(|from| {
        let key = from.get("valuesKey").and_then(Node::as_str).unwrap_or(VALUES_KEY);
        // One value of a text is no document.
        let whole = from.get("targetPath").is_none();
        whole.then_some((from.get("name")?.as_str()?.to_owned(), key.to_owned()))
    });
    named.collect()
}

struct Reader<'a> {
    file: &'a ManifestFile,
    /// Number of the object.
    at: usize,
    patches: &'a mut Vec<Manifest>,
    inside: &'a mut Vec<Inside>,
    faults: &'a mut Vec<Fault>,
}

impl Reader<'_> {
    fn object(&mut self, object: &Manifest, wanted: &[(String, String)]) {
        match (object.group(), object.kind.as_str()) {
            ("argoproj.io", "Application") => self.application(object.node.get("spec"), "spec"),
            ("argoproj.io", "ApplicationSet") => {
                self.application(object.node.at(&["spec", "template", "spec"]), "spec.template.spec");
            }
            ("helm.cattle.io", "HelmChart" | "HelmChartConfig") => {
                self.values(object.node.at(&["spec", "valuesContent"]), "spec.valuesContent".to_owned());
            }
            ("", "ConfigMap") => {
                for (_, key) in wanted.iter().filter(|(name, _)| *name == object.name) {
                    self.values(object.node.at(&["data", key]), format!("data.{key}"));
                }
            }
            ("kustomize.config.k8s.io", _) => self.kustomization(&object.node),
            _ => {}
        }
    }

    fn application(&mut self, spec: Option<&Node>, path: &str) {
        let Some(spec) = spec else { return };
        if let Some(source) = spec.get("source") {
            self.helm(source.get("helm"), format!("{path}.source.helm"));
        }
        for (at, source) in spec.get("sources").and_then(Node::items).unwrap_or_default().iter().enumerate() {
            self.helm(source.get("helm"), format!("{path}.sources[{at}].helm"));
        }
    }

    fn helm(&mut self, helm: Option<&Node>, path: String) {
        let Some(helm) = helm else { return };
        self.values(helm.get("values"), format!("{path}.values"));
        if let Some(object) = helm.get("valuesObject").filter(|v| v.entries().is_some()) {
            self.keep(object.clone(), format!("{path}.valuesObject"));
        }
        let parameters = helm.get("parameters").and_then(Node::items).unwrap_or_default();
        let mut root: Option<Node> = None;
        for parameter in parameters {
            let (Some(name), Some(value)) = (parameter.get("name").and_then(Node::as_str), parameter.get("value"))
            else {
                continue;
            };
            let root = root.get_or_insert_with(|| mapping(parameter.place));
            // Helm's own escapes and lists are left alone.
            if !name.contains(['\\', '[', '{']) {
                set(root, &name.split('.').collect::<Vec<_>>(), value);
            }
        }
        if let Some(root) = root {
            self.keep(root, format!("{path}.parameters"));
        }
    }

    fn keep(&mut self, node: Node, path: String) {
        self.inside.push(Inside { object: self.at, path, node, holds: Holds::Values });
    }

    /// A text with values.
    fn values(&mut self, node: Option<&Node>, path: String) {
        let Some((node, text)) = node.and_then(|n| Some((n, n.as_str()?))) else { return };
        match within::documents(&self.file.text, text, node.place) {
            Ok(documents) => {
                for mut document in documents.into_iter().filter(|d| d.entries().is_some()) {
                    super::secrets::blank(&mut document, super::secrets::Hide::Values, &mut Vec::new());
                    self.keep(document, path.clone());
                }
            }
            // A generator fills it in.
            Err(_) if text.contains("{{") => {}
            Err(problem) => self.fault(problem.place, format!("{path}: {}", problem.message)),
        }
    }

    fn kustomization(&mut self, node: &Node) {
        for (at, chart) in node.get("helmCharts").and_then(Node::items).unwrap_or_default().iter().enumerate() {
            if let Some(values) = chart.get("valuesInline").filter(|v| v.entries().is_some()) {
                self.keep(values.clone(), format!("helmCharts[{at}].valuesInline"));
            }
        }
        let patches = node.get("patches").and_then(Node::items).unwrap_or_default();
        let json = node.get("patchesJson6902").and_then(Node::items).unwrap_or_default();
        let inline = patches.iter().chain(json).filter_map(|p| Some((p.get("patch")?, p.get("target"))));
        let older = node.get("patchesStrategicMerge").and_then(Node::items).unwrap_or_default();
        let older = older.iter().filter(|p| p.as_str().is_some_and(|t| t.contains('\n'))).map(|p| (p, None));
        for (patch, target) in inline.chain(older) {
            let text = patch.as_str().unwrap_or_default();
            match within::documents(&self.file.text, text, patch.place) {
                Ok(documents) => documents.into_iter().for_each(|document| self.patch(document, target)),
                Err(problem) => self.fault(problem.place, format!("a patch is {}", problem.message)),
            }
        }
    }

    /// A patch: a part of an object, or operations on one.
    fn patch(&mut self, document: Node, target: Option<&Node>) {
        if !patch::is_operations(&document) {
            self.patches.extend(Manifest::of(document));
            return;
        }
        match patch::part(&document, target) {
            Ok(part) => self.patches.extend(part),
            Err(problem) => self.fault(problem.place, problem.message),
        }
    }

    fn fault(&mut self, place: Place, message: String) {
        self.faults.push(Fault { path: self.file.path.clone(), place: Some(place), message });
    }
}

/// Files and folders beside it that a kustomization names.
pub(super) fn local_files(kustomization: &Node) -> Vec<(Place, String)> {
    let lists = ["resources", "components", "bases", "crds", "patchesStrategicMerge"];
    let listed = lists.iter().flat_map(|list| kustomization.get(list).and_then(Node::items).unwrap_or_default());
    let patches = kustomization.get("patches").and_then(Node::items).unwrap_or_default();
    let maps = kustomization.get("configMapGenerator").and_then(Node::items).unwrap_or_default();
    let generated = maps.iter().flat_map(|map| map.get("files").and_then(Node::items).unwrap_or_default());
    let named = listed.chain(patches.iter().filter_map(|p| p.get("path"))).chain(generated);
    let local = named.filter_map(|node| {
        let text = node.as_str()?;
        // `key=path`
        let path = text.rsplit_once('=').map_or(text, |(_, path)| path);
        is_local(text).then(|| (node.place, path.to_owned()))
    });
    local.collect()
}

/// No URL, no Git repository, no patch in its place.
fn is_local(path: &str) -> bool {
    let remote = ["://", "?ref=", "git@", ".git", "//", "\n", "{{", "${", "*"];
    let first = path.trim_start_matches("./").split('/').next().unwrap_or_default();
    let is_file = [".yaml", ".yml", ".json"].iter().any(|e| path.ends_with(e));
    // `github.com/org/repository/path` begins with a host.
    let host = first.contains('.') && first != ".." && path.contains('/') && !first.starts_with('.');
    !path.is_empty() && !remote.iter().any(|sign| path.contains(sign)) && (is_file || !host)
}

/// Puts a value where `a.b.c` says.
fn set(node: &mut Node, path: &[&str], value: &Node) {
    let Value::Mapping(entries) = &mut node.value else { return };
    let Some((first, rest)) = path.split_first() else { return };
    let own = entry(entries, first, value.place);
    match rest {
        [] => *own = value.clone(),
        rest => set(own, rest, value),
    }
}

/// Configurations in Secrets, before their data is blanked out: of them only what has no secret is kept.
pub(super) fn secrets(file: &str, documents: &[Node]) -> Vec<(String, Inside)> {
    let is_secret = |d: &&Node| d.get("kind").and_then(Node::as_str) == Some("Secret") && d.get("apiVersion").is_some();
    let mut found = Vec::new();
    for document in documents.iter().filter(is_secret) {
        let name = document.at(&["metadata", "name"]).and_then(Node::as_str).unwrap_or_default();
        for part in ["stringData", "data"] {
            for (key, value) in document.get(part).and_then(Node::entries).unwrap_or_default() {
                let (Some(key), Some(text)) = (key.as_str(), value.as_str()) else { continue };
                let Some(mut node) = configuration(file, key, text, value.place, part == "data") else { continue };
                let holds = if ALERTMANAGER.contains(&key) {
                    censor(&mut node, false);
                    Holds::Alertmanager
                } else if web::is_config(&node, key) {
                    censor_web(&mut node);
                    Holds::Web
                } else {
                    continue;
                };
                let inside = Inside { object: 0, path: format!("{part}.{key}"), node, holds };
                found.push((name.to_owned(), inside));
            }
        }
    }
    found
}

/// Keys under which Alertmanager's configuration stands.
const ALERTMANAGER: [&str; 2] = ["alertmanager.yaml", "alertmanager.yml"];

fn configuration(file: &str, key: &str, text: &str, place: Place, encoded: bool) -> Option<Node> {
    if !(key.ends_with(".yaml") || key.ends_with(".yml")) {
        return None;
    }
    let documents = if encoded {
        let bytes = STANDARD.decode(text.split_whitespace().collect::<String>()).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        // Of what is encoded only the beginning has a place.
        within::documents("", &text, place)
    } else {
        within::documents(file, text, place)
    };
    documents.ok()?.into_iter().next().filter(|d| d.entries().is_some())
}

/// Fields whose values say how alerts are led, and to whom by name.
const OPEN: &[&str] = &[
    "receiver",
    "name",
    "group_by",
    "group_wait",
    "group_interval",
    "repeat_interval",
    "resolve_timeout",
    "matchers",
    "match",
    "match_re",
    "source_matchers",
    "source_match",
    "source_match_re",
    "target_matchers",
    "target_match",
    "target_match_re",
    "equal",
    "continue",
    "mute_time_intervals",
    "active_time_intervals",
    "time_intervals",
    "send_resolved",
    "templates",
];

/// Leaves the keys, and the values of fields that hold no secret.
fn censor(node: &mut Node, open: bool) {
    match &mut node.value {
        Value::Scalar { .. } if open => {}
        Value::Scalar { text, plain: true } if is_setting(text) => {}
        Value::Scalar { text, plain } if !text.is_empty() => {
            // A URL stays one: what is left must be as valid as what was there.
            let kept = if text.starts_with("http") { "https://redacted.invalid" } else { BLANK };
            (*text, *plain) = (kept.to_owned(), false);
        }
        Value::Scalar { .. } => {}
        Value::Sequence(items) => items.iter_mut().for_each(|item| censor(item, open)),
        Value::Mapping(entries) => {
            for (key, value) in entries {
                let own = key.as_str().is_some_and(|k| OPEN.contains(&k));
                censor(value, open || own);
            }
        }
    }
}

/// Leaves what is no secret of a web configuration, and hashes as right or wrong as they are.
fn censor_web(node: &mut Node) {
    let Value::Mapping(sections) = &mut node.value else { return };
    for (section, value) in sections {
        let users = section.as_str() == Some("basic_auth_users");
        let Value::Mapping(entries) = &mut value.value else { continue };
        for (key, value) in entries {
            let inline = ["key", "cert", "client_ca"].contains(&key.as_str().unwrap_or_default());
            match &mut value.value {
                Value::Scalar { text, .. } if users => *text = web::censored(text),
                Value::Scalar { text, .. } if inline => BLANK.clone_into(text),
                _ => {}
            }
        }
    }
}

/// A switch, a small number or a time.
fn is_setting(text: &str) -> bool {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    matches!(text, "true" | "false" | "yes" | "no" | "null")
        || (text.len() <= 5 && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}
