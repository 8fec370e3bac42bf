//! A variable that something should have replaced before the manifest is applied.

use std::cell::Cell;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::written;
use crate::checks::{Check, check};
use crate::domain::manifests::given::{self, Parts};
use crate::domain::manifests::overlaid::Overlaid;
use crate::domain::manifests::values::{self, Values};
use crate::lint::yaml::{Node, Value, join};
use crate::lint::{Place, Problem};
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, GapCause};
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
    Replace { file: String, variables: Vec<String>, list: String, piped: bool, values: bool },
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
        let replaced = Replaced {
            overlaid: Overlaid::of(snap),
            reach: Parts::of(snap),
            by_flux: given::objects(snap).any(|(_, o)| o.group().ends_with(".toolkit.fluxcd.io")),
        };
        let left = Cell::new(None);
        let found = written::each_object(snap, |file, object| finding(&replaced, &left, file, object))?;
        let files = snap.manifests.items().unwrap_or_default().iter();
        let of_values: Vec<Finding> = files.flat_map(|file| in_values(&replaced, file)).collect();
        match (found, left.take()) {
            (Diagnosis::Findings(some), Some(gap)) if some.is_empty() && of_values.is_empty() => Err(gap),
            (Diagnosis::Findings(some), _) => Ok(Diagnosis::Findings(some.into_iter().chain(of_values).collect())),
            (Diagnosis::NotApplicable(_), _) if values::any(snap) => Ok(Diagnosis::Findings(of_values)),
            (other, _) => Ok(other),
        }
    }
}

/// What replaces variables before an object is applied.
struct Replaced<'a> {
    overlaid: Overlaid<'a>,
    reach: Parts<'a>,
    /// Flux applies the set, and where it is told what to replace is not in it.
    by_flux: bool,
}

/// A variable that stands in an object.
struct Met {
    name: String,
    /// `${NAME}`, which is all that Flux replaces.
    braced: bool,
    place: Place,
    path: String,
}

impl Met {
    fn problem(&self) -> Problem {
        Problem::new(self.place, self.path.as_str(), format!("the variable ${{{}}} was not replaced", self.name))
    }
}

fn finding(
    replaced: &Replaced<'_>,
    left: &Cell<Option<Gap>>,
    file: &ManifestFile,
    object: &Manifest,
) -> Option<Finding> {
    if is_filled_in(object) || file.filled_in {
        return None;
    }
    let mut met = Vec::new();
    walk(&object.node, "", &mut met);
    let later = filled_in_later(object);
    met.retain(|m| !later.contains(&m.name.as_str()) && !replaced.overlaid.covers(object, &m.path));
    if replaced.by_flux && replaced.reach.holds(file) && met.iter().any(|m| m.braced) {
        met.retain(|m| !m.braced);
        let message = "it holds variables, and the Flux Kustomization that may replace them is not among the files";
        let hint =
            "give its file too (-f), or judge what it makes: flux build kustomization NAME | kdoctor preflight -f -";
        left.set(Some(Gap::new(file.path.clone(), GapCause::Unreadable, message).hint(hint)));
    }
    met.first()?;
    let problems: Vec<Problem> = met.iter().map(Met::problem).collect();
    let so = ": it is applied as it stands";
    Some(written::of_object(&ManifestVariable::META, file, object, &problems, so).fix(replace(file, met, false)))
}

/// Replacing what was met; `values`: in a file for Helm, and not for kubectl.
fn replace(file: &ManifestFile, met: Vec<Met>, values: bool) -> Fix {
    let mut variables: Vec<String> = met.into_iter().map(|m| m.name).collect();
    variables.sort();
    variables.dedup();
    Fix::Replace {
        file: file.path.clone(),
        list: variables.iter().map(|n| format!("${n}")).collect::<Vec<_>>().join(" "),
        variables,
        piped: file.path == written::PIPED,
        values,
    }
}

/// Annotations that controllers of AWS read, whose values no chart changes and no program behind them replaces.
const OF_AWS: &[&str] =
    &["alb.ingress.kubernetes.io/", "service.beta.kubernetes.io/aws-load-balancer-", "eks.amazonaws.com/"];

/// Of Helm values only these annotations can be told: what else stands in them may be for a shell or a program.
fn in_values(replaced: &Replaced<'_>, file: &ManifestFile) -> Vec<Finding> {
    if file.filled_in || replaced.by_flux {
        return Vec::new();
    }
    let of_one = |values: Values<'_>| {
        let mut met = Vec::new();
        annotations(values.node, values.path, &mut met);
        met.first()?;
        let problems: Vec<Problem> = met.iter().map(Met::problem).collect();
        let so = ": Helm hands it on as it stands";
        let found = written::of_values(&ManifestVariable::META, file, &values, &problems, so);
        Some(found.fix(replace(file, met, values.object.is_none())))
    };
    values::all(file).filter_map(of_one).collect()
}

fn annotations(node: &Node, path: &str, met: &mut Vec<Met>) {
    match &node.value {
        Value::Scalar { .. } => {}
        Value::Sequence(items) => {
            for (at, item) in items.iter().enumerate() {
                annotations(item, &format!("{path}[{at}]"), met);
            }
        }
        Value::Mapping(entries) => {
            for (key, value) in entries {
                let Some(key) = key.as_str() else { continue };
                let path = join(path, key);
                if OF_AWS.iter().any(|prefix| key.starts_with(prefix)) {
                    walk(value, &path, met);
                } else {
                    annotations(value, &path, met);
                }
            }
        }
    }
}

/// A template of OpenShift, whose parameters are filled in before it is applied; what has no name is no object of a cluster.
/// Datasources of the Grafana operator's first version go to Grafana as they stand, which knows variables of its environment.
fn is_filled_in(object: &Manifest) -> bool {
    let unnamed = object.name.is_empty() && object.node.at(&["metadata", "generateName"]).is_none();
    unnamed && !KUSTOMIZE.contains(&object.group())
        // Its older form has no group.
        || matches!((object.group(), object.kind.as_str()), ("template.openshift.io" | "", "Template"))
        || object.group() == "integreatly.org"
        // Components of Dapr, which reads variables of its environment.
        || (object.group() == "dapr.io" && object.kind == "Component")
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
fn names(text: &str) -> impl Iterator<Item = (String, bool)> {
    let variable = pattern!(r"\$\{([A-Z][A-Z0-9_]*)\}|\$([A-Z][A-Z0-9_]+)\b");
    variable.captures_iter(text).filter_map(|c| {
        let name = c.get(1).or(c.get(2))?;
        Some((name.as_str().to_owned(), c.get(1).is_some()))
    })
}

/// Lines of which some are for a shell, which has variables of its own: manifests inside of another kind.
fn holds_script(text: &str) -> bool {
    text.contains('\n') && pattern!(r"(?m)^\s*#!|/bin/(?:ba|a|da)?sh\b").is_match(text)
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
    // What a patch of Kustomize writes is judged as a part of its target.
    "patch",
    "patchesStrategicMerge",
];
/// Groups of kinds that need no name.
const KUSTOMIZE: [&str; 1] = ["kustomize.config.k8s.io"];
/// Annotations whose values are for another program.
const OF_TOOLS: &[&str] =
    &["kubectl.kubernetes.io/", "checksum/", "nginx.ingress.kubernetes.io/", "vault.hashicorp.com/"];

fn walk(node: &Node, path: &str, met: &mut Vec<Met>) {
    match &node.value {
        Value::Scalar { text, .. } if holds_script(text) => {}
        Value::Scalar { text, .. } => {
            met.extend(names(text).map(|(name, braced)| Met {
                name,
                braced,
                place: node.place,
                path: path.to_owned(),
            }));
        }
        Value::Sequence(items) => {
            for (at, item) in items.iter().enumerate() {
                walk(item, &format!("{path}[{at}]"), met);
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
                walk(value, &join(path, key), met);
            }
        }
    }
}
