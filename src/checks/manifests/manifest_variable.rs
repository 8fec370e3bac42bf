//! A variable that something should have replaced before the manifest is applied.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::written;
use crate::checks::{Check, check};
use crate::domain::manifests::given;
use crate::lint::Problem;
use crate::lint::yaml::{Node, Value, join};
use crate::model::{CheckMeta, Diagnosis, Finding, Gap};
use crate::snapshot::Snapshot;
use crate::snapshot::manifests::{Manifest, ManifestFile};
use crate::text::pattern::pattern;

check! {
    /// See the check's page.
    ManifestVariable {
        id: "manifest-variable", suite: Manifests, severity: Error,
        title: "a manifest holds a variable that nothing replaced",
        requires: [Manifests],
        uses: [],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Replace { file: String, variables: Vec<String>, list: String, piped: bool },
}

impl Check for ManifestVariable {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn judge(&self, snap: &Snapshot) -> Option<Result<Diagnosis, Gap>> {
        Some(self.diagnose(snap))
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        // Flux replaces variables when it applies.
        let flux = given::objects(snap)
            .any(|(_, o)| o.group() == "kustomize.toolkit.fluxcd.io" && o.node.at(&["spec", "postBuild"]).is_some());
        if flux {
            return Ok(Diagnosis::NotApplicable("a Flux Kustomization replaces variables when it applies".into()));
        }
        written::each_object(snap, finding)
    }
}

fn finding(file: &ManifestFile, object: &Manifest) -> Option<Finding> {
    if is_filled_in(object) {
        return None;
    }
    let mut problems = Vec::new();
    walk(&object.node, "", &mut problems);
    let later = filled_in_later(object);
    problems.retain(|p| !names(&p.message).iter().all(|name| later.contains(&name.as_str())));
    problems.first()?;
    let mut variables: Vec<String> = problems.iter().flat_map(|p| names(&p.message)).collect();
    variables.sort();
    variables.dedup();
    let fix = Fix::Replace {
        file: file.path.clone(),
        list: variables.iter().map(|n| format!("${n}")).collect::<Vec<_>>().join(" "),
        variables,
        piped: file.path == written::PIPED,
    };
    Some(written::of_object(&ManifestVariable::META, file, object, &problems, ": it is applied as it stands").fix(fix))
}

/// A template of OpenShift, whose parameters are filled in before it is applied; what has no name is no object of a cluster.
/// Datasources of the Grafana operator's first version go to Grafana as they stand, which knows variables of its environment.
fn is_filled_in(object: &Manifest) -> bool {
    let unnamed = object.name.is_empty() && object.node.at(&["metadata", "generateName"]).is_none();
    unnamed && !KUSTOMIZE.contains(&object.group())
        || matches!((object.group(), object.kind.as_str()), ("template.openshift.io", "Template"))
        || object.group() == "integreatly.org"
}

/// Keys of Secrets and ConfigMaps by which the Grafana operator fills in a datasource.
fn filled_in_later(object: &Manifest) -> Vec<&str> {
    if object.group() != "grafana.integreatly.org" {
        return Vec::new();
    }
    let from = object.node.at(&["spec", "valuesFrom"]).and_then(Node::items).unwrap_or_default();
    let sources = from.iter().filter_map(|f| f.get("valueFrom")).flat_map(|v| v.entries().unwrap_or_default());
    sources.filter_map(|(_, source)| source.get("key").and_then(Node::as_str)).collect()
}

/// `$CERT_ARN` and `${CERT_ARN}`: capitals, as variables of the environment are.
fn names(text: &str) -> Vec<String> {
    let variable = pattern!(r"\$\{([A-Z][A-Z0-9_]*)\}|\$([A-Z][A-Z0-9_]+)\b");
    variable.captures_iter(text).filter_map(|c| c.get(1).or(c.get(2))).map(|m| m.as_str().to_owned()).collect()
}

/// Keys below which such words are for a shell, a template, a regular expression or another program.
const ELSEWHERE: &[&str] = &[
    "data",
    "binaryData",
    "stringData",
    "command",
    "args",
    "env",
    "groups",
    "rules",
    "relabelings",
    "metricRelabelings",
    "relabelConfigs",
    "metricRelabelConfigs",
    "config",
    "values",
    "valuesObject",
    "helm",
    "description",
    "script",
    "template",
    "templates",
    "rawConfig",
    "annotationTemplate",
    "lifecycle",
    "exec",
    "dashboard",
    "json",
    "subPathExpr",
];
/// Groups of kinds that need no name.
const KUSTOMIZE: [&str; 1] = ["kustomize.config.k8s.io"];
/// Annotations whose values are for another program.
const OF_TOOLS: &[&str] =
    &["kubectl.kubernetes.io/", "checksum/", "nginx.ingress.kubernetes.io/", "vault.hashicorp.com/"];

fn walk(node: &Node, path: &str, problems: &mut Vec<Problem>) {
    match &node.value {
        Value::Scalar { text, .. } => {
            for name in names(text) {
                let message = format!("the variable ${{{name}}} was not replaced");
                problems.push(Problem::new(node.place, path, message));
            }
        }
        Value::Sequence(items) => {
            for (at, item) in items.iter().enumerate() {
                walk(item, &format!("{path}[{at}]"), problems);
            }
        }
        Value::Mapping(entries) => {
            for (key, value) in entries {
                let Some(key) = key.as_str() else { continue };
                let of_pod_template = key == "template" && value.get("spec").is_some();
                let elsewhere = ELSEWHERE.contains(&key) && !of_pod_template;
                // The rules of an Ingress are its hosts and paths.
                let hosts = key == "rules" && value.items().is_some_and(|i| i.iter().any(|r| r.get("http").is_some()));
                if (elsewhere && !hosts) || OF_TOOLS.iter().any(|tool| key.starts_with(tool)) {
                    continue;
                }
                walk(value, &join(path, key), problems);
            }
        }
    }
}
