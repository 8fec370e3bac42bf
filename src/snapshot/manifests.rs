//! Manifests and Helm values: what the user is about to apply, or has applied. Secrets in them are blanked out when they
//! are read.

use regex::Regex;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};
use std::fmt;

use crate::lint::Place;
use crate::lint::yaml::{Node, Value};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::ConfigMap;
use crate::text::pattern::pattern;

/// What stands for a secret that was blanked out.
pub const BLANK: &str = "***";

/// One file.
#[derive(Debug, Clone)]
pub struct ManifestFile {
    /// As the user gave it, `-` for standard input; in a bundle relative to `manifests/`.
    pub path: String,
    /// Its text, secrets blanked out, for excerpts; places count in it.
    pub text: String,
    /// Its text as its program reads it, where it is a configuration of the stack: it is judged, and never shown.
    pub original: Original,
    /// Kubernetes objects, lists unfolded.
    pub objects: Vec<Manifest>,
    /// Mappings that are no Kubernetes objects: Helm values, mostly.
    pub values: Vec<Node>,
    /// What the objects hold as texts of their own, read.
    pub inside: Vec<Inside>,
    /// Local files that a kustomization names and that are not there, with the field that names them.
    pub absent: Vec<(Place, String)>,
    /// The chart that its values are for, where the user says it.
    pub chart: Option<String>,
    /// What `kubectl apply` complained of, if this is a record of its output.
    pub errors: Vec<ApplyError>,
    /// A script beside or above it replaces variables before it is applied.
    pub filled_in: bool,
    /// Values of Secrets that are not encoded as they have to be.
    pub(crate) not_encoded: Vec<NotEncoded>,
}

/// A value below `data` of a Secret that is no base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotEncoded {
    /// Name of the Secret.
    pub(crate) secret: String,
    /// Its key.
    pub(crate) key: String,
    /// Where.
    pub(crate) place: Place,
}

impl ManifestFile {
    /// A file of which nothing is read yet.
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        let (path, text) = (path.into(), text.into());
        let (original, objects, values, inside, absent, chart, errors, filled_in) = Default::default();
        let not_encoded = Vec::new();
        Self { path, text, original, objects, values, inside, absent, chart, errors, filled_in, not_encoded }
    }

    /// Sorts a document into the file; lists are unfolded.
    pub(crate) fn add(&mut self, document: Node, may_be_values: bool) {
        let is_list = document.get("kind").and_then(Node::as_str).is_some_and(|k| k.ends_with("List"));
        if is_list && let Some(items) = document.get("items").and_then(Node::items) {
            items.iter().for_each(|item| self.add(item.clone(), false));
        } else if is_patch(&document) {
            // Whoever makes a request of it knows what it is; a cluster does not.
            self.values.extend(Some(document).filter(|_| may_be_values));
        } else if let Some(object) = Manifest::of(document.clone()) {
            self.objects.push(object);
        } else if document.entries().is_some() && may_be_values {
            self.values.push(document);
        }
    }
}

/// A patch with the name of its target beside it (`kind`, `name`, `patch`), as tools of their own take it: no object.
fn is_patch(document: &Node) -> bool {
    let has = |key: &str| document.get(key).is_some();
    has("patch") && has("name") && !has("metadata") && !has("spec")
}

/// A text that may hold secrets: nothing prints it by accident.
#[derive(Clone, Default)]
pub struct Original(Option<String>);

impl Original {
    /// Keeps a text.
    pub(crate) fn keep(text: &str) -> Self {
        Self(Some(text.to_owned()))
    }

    /// The text, for a program's reader.
    pub(crate) fn judged(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl fmt::Debug for Original {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "kept" } else { "none" })
    }
}

/// A part of an object that is a document for another program.
#[derive(Debug, Clone, PartialEq)]
pub struct Inside {
    /// Number of the object in its file.
    pub object: usize,
    /// Where in it: `spec.source.helm.values`.
    pub path: String,
    /// What stands there, with places in the file.
    pub node: Node,
    /// Whom it is for.
    pub holds: Holds,
}

/// What a part of an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Helm values.
    Values,
    /// The configuration of Alertmanager, without its secrets.
    Alertmanager,
    /// A web configuration, without its secrets.
    Web,
}

/// A Kubernetes object of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// `apiVersion`.
    pub api_version: String,
    /// `kind`.
    pub kind: String,
    /// `metadata.namespace`; empty where the manifest leaves it to whoever applies it.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// All of it, with places.
    pub node: Node,
}

/// An error in a record of `kubectl apply` or `helm install`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplyError {
    /// Line of the record, from 1.
    pub line: usize,
    /// The file that was applied, where the record says it.
    pub file: Option<String>,
    /// The call of Helm that it answers, where the record shows it.
    pub helm: Option<HelmCall>,
    /// What the API server said, in one line.
    pub message: String,
}

/// A call of `helm install` or `helm upgrade`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelmCall {
    /// The release.
    pub release: String,
    /// Its namespace, where the call names it.
    pub namespace: Option<String>,
}

impl Manifest {
    /// The object that a node holds; `None` where it says neither `apiVersion` nor `kind`.
    pub fn of(node: Node) -> Option<Self> {
        let text = |path: &[&str]| node.at(path).and_then(Node::as_str).unwrap_or_default().to_owned();
        let (api_version, kind) = (text(&["apiVersion"]), text(&["kind"]));
        if api_version.is_empty() || kind.is_empty() {
            return None;
        }
        let (namespace, name) = (text(&["metadata", "namespace"]), text(&["metadata", "name"]));
        Some(Self { api_version, kind, namespace, name, node })
    }

    /// Where it begins.
    pub fn place(&self) -> Place {
        self.node.place
    }

    /// API group; empty for core.
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    /// As the object that the API server would make of it; `None` where it has other types in its fields.
    pub fn as_object<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_value(json(&self.node)).ok()
    }
}

impl Snapshot {
    /// The objects of one kind in the files that were given. Empty where none were; see [`Snapshot::manifests`].
    pub fn manifest_objects<'a>(
        &'a self,
        group: &'a str,
        kind: &'a str,
    ) -> impl Iterator<Item = (&'a ManifestFile, &'a Manifest)> {
        let files = self.manifests.items().unwrap_or_default().iter();
        let all = files.flat_map(|file| file.objects.iter().map(move |object| (file, object)));
        all.filter(move |(_, object)| object.kind == kind && object.group() == group)
    }

    /// The ConfigMaps in the files that were given, with the file and the manifest of each.
    pub fn manifest_config_maps(&self) -> Vec<(&ManifestFile, &Manifest, ConfigMap)> {
        let all = self.manifest_objects("", "ConfigMap");
        all.filter_map(|(file, object)| Some((file, object, object.as_object()?))).collect()
    }
}

/// A node as JSON, plain scalars typed as the API server's YAML reader does.
fn json(node: &Node) -> Json {
    match &node.value {
        Value::Scalar { .. } if node.is_null() => Json::Null,
        Value::Scalar { text, plain: true } => typed(text),
        Value::Scalar { text, plain: false } => Json::String(text.clone()),
        Value::Sequence(items) => Json::Array(items.iter().map(json).collect()),
        Value::Mapping(entries) => {
            let key = |k: &Node| k.as_str().unwrap_or_default().to_owned();
            Json::Object(entries.iter().map(|(k, v)| (key(k), json(v))).collect::<Map<_, _>>())
        }
    }
}

fn typed(text: &str) -> Json {
    match text {
        "true" | "True" | "TRUE" => return Json::Bool(true),
        "false" | "False" | "FALSE" => return Json::Bool(false),
        _ => {}
    }
    if let Ok(number) = text.parse::<i64>() {
        return number.into();
    }
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
    let number = text.parse::<f64>().ok().filter(|n| numeric && n.is_finite()).and_then(serde_json::Number::from_f64);
    number.map_or_else(|| Json::String(text.to_owned()), Json::Number)
}

/// Errors in a record of the output of kubectl or Helm.
pub fn apply_errors(text: &str) -> Vec<ApplyError> {
    let mut found: Vec<ApplyError> = Vec::new();
    let mut applied: Option<String> = None;
    let mut helm: Option<HelmCall> = None;
    let mut open = false;
    for (at, line) in text.lines().enumerate() {
        let line = line.trim_end();
        // Several faults of one object follow as a list; what Go prints of a list stands on lines of its own.
        let printed = line.starts_with("[map[") || line.starts_with(" doesn't match $setElementOrder");
        let of_schema = found.last().is_some_and(|e| e.message.contains("specifications of the schema(s)"));
        let printed = printed || (of_schema && (line.trim_start().starts_with("- ") || is_key_alone(line)));
        let listed = line.trim_start().strip_prefix("* ");
        let more = listed.or_else(|| printed.then(|| line.trim_start())).filter(|_| open);
        if let (Some(more), Some(last)) = (more, found.last_mut()) {
            last.message.push(' ');
            last.message.push_str(more);
            continue;
        }
        if let Some(file) = file_of_command(line) {
            applied = Some(file);
        }
        helm = helm_call(line).or(helm);
        open = is_error(line);
        if open {
            let named = named_file().captures(line).map(|c| c[1].to_owned());
            let file = named.or_else(|| applied.clone()).filter(|f| f != "-");
            let helm = helm.clone().filter(|_| line.contains(" FAILED: "));
            found.push(ApplyError { line: at + 1, file, helm, message: line.trim_start().to_owned() });
        }
    }
    found
}

/// `grafana:`, as Helm writes the chart whose values are wrong.
fn is_key_alone(line: &str) -> bool {
    line.strip_suffix(':').is_some_and(|name| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    })
}

fn is_error(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("Error")
        || line.starts_with("error:")
        || line.contains(" is invalid:")
        || line.starts_with("unable to recognize")
        || line.contains(" FAILED: ")
}

/// The file of `kubectl apply -f FILE`, as a shell's trace or prompt shows it.
fn file_of_command(line: &str) -> Option<String> {
    let command = pattern!(r"kubectl\b.*\b(?:apply|create|replace)\b.*?(?:-f|--filename)[ =](\S+)");
    command.captures(line).map(|c| c[1].trim_matches(['"', '\'']).to_owned())
}

/// The release of `helm upgrade RELEASE CHART`, as a shell's trace or prompt shows it.
fn helm_call(line: &str) -> Option<HelmCall> {
    let command = pattern!(r"^(?:.*[$#%>+] *)?helm (?:.* )?(?:install|upgrade) (.*)$");
    let words = shlex::split(&command.captures(line)?[1])?;
    let mut names = Vec::new();
    let mut namespace = None;
    let mut rest = words.into_iter();
    while let Some(word) = rest.next() {
        match word.split_once('=') {
            Some(("-n" | "--namespace", value)) => namespace = Some(value.to_owned()),
            _ if matches!(word.as_str(), "-n" | "--namespace") => namespace = rest.next(),
            _ if SWITCHES.contains(&word.as_str()) => {}
            Some(_) if word.starts_with('-') => {}
            _ if word.starts_with('-') => drop(rest.next()),
            _ => names.push(word),
        }
    }
    // Of one name alone nobody knows whether it is the chart of a generated name.
    match names.as_slice() {
        [release, _chart] => Some(HelmCall { release: release.clone(), namespace }),
        _ => None,
    }
}

/// Flags of Helm without a value.
const SWITCHES: &[&str] = &[
    "-i",
    "--install",
    "--atomic",
    "--wait",
    "--wait-for-jobs",
    "--create-namespace",
    "--cleanup-on-fail",
    "--debug",
    "--dependency-update",
    "--devel",
    "--disable-openapi-validation",
    "--dry-run",
    "--force",
    "--no-hooks",
    "--render-subchart-notes",
    "--replace",
    "--reset-then-reuse-values",
    "--reset-values",
    "--reuse-values",
    "--rollback-on-failure",
    "--server-side",
    "--skip-crds",
    "--skip-schema-validation",
    "--take-ownership",
    "--verify",
];

/// The file that an error names: `error when creating "FILE":`.
fn named_file() -> &'static Regex {
    pattern!(r#"error when [a-z ]+"([^"]+)":"#)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::yaml;

    fn manifest(text: &str) -> Option<Manifest> {
        Manifest::of(yaml::document(text).expect("is YAML").expect("is there"))
    }

    #[test]
    fn a_manifest_becomes_the_object_it_means() {
        let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: n}\ndata:\n  x.yml: |\n    a: 1\n  y: \"2\"\n";
        let found = manifest(text).expect("is one");
        assert_eq!((found.group(), found.kind.as_str(), found.name.as_str()), ("", "ConfigMap", "a"));
        let map: ConfigMap = found.as_object().expect("has the types");
        assert_eq!((map.data["x.yml"].as_str(), map.data["y"].as_str()), ("a: 1\n", "2"));
        assert!(manifest("service: {type: NodePort}\n").is_none());
        assert!(manifest("apiVersion: 1\ndatasources: []\n").is_none());
        let mut file = ManifestFile::new("a.patch.yaml", "");
        let patch = "apiVersion: v1\nkind: Namespace\nname: a\npatch: '{}'\npatchType: merge\n";
        file.add(yaml::document(patch).expect("is YAML").expect("is there"), true);
        assert!(file.objects.is_empty(), "no object has its name at the top");
    }

    #[test]
    fn errors_of_kubectl_know_their_file() {
        let text = "$ kubectl apply -f k8s/a.yaml\ndeployment.apps/a created\nThe Service \"a\" is invalid: \n* spec.x: bad\n* spec.y: worse\nError from server (Invalid): error when creating \"k8s/b.yaml\": Service \"b\" is invalid: spec.z\n";
        let errors = apply_errors(text);
        let short: Vec<_> = errors.iter().map(|e| (e.line, e.file.as_deref())).collect();
        assert_eq!(short, [(3, Some("k8s/a.yaml")), (6, Some("k8s/b.yaml"))]);
        assert_eq!(errors[0].message, "The Service \"a\" is invalid: spec.x: bad spec.y: worse");
        let helm = "+ helm upgrade --install stack kps/kube-prometheus-stack --wait -f values.yaml -n obs\nError: UPGRADE FAILED: x\n";
        let call = HelmCall { release: "stack".into(), namespace: Some("obs".into()) };
        assert_eq!(apply_errors(helm)[0].helm, Some(call));
        assert_eq!(apply_errors("$ helm install --generate-name kps/x\nError: INSTALLATION FAILED: x\n")[0].helm, None);
        assert!(apply_errors("service/a unchanged\nconfigmap/errors created\n").is_empty());
    }
}
