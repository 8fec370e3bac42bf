//! A manifest holds what the API server refuses.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::written::{self, Corrected};
use crate::checks::{Check, check};
use crate::domain::kubernetes::skew;
use crate::domain::manifests::content::{Charts, Content};
use crate::domain::manifests::given::Parts;
use crate::domain::manifests::overlaid::Overlaid;
use crate::domain::manifests::{grafana, requests, values};
use crate::lint::operator::{self, Refused};
use crate::lint::{Problem, kubernetes};
use crate::model::{CheckMeta, Diagnosis, Finding, Gap};
use crate::snapshot::Snapshot;
use crate::snapshot::manifests::{BLANK, Manifest, ManifestFile};

check! {
    /// See the check's page.
    ManifestInvalid {
        id: "manifest-invalid", suite: Manifests, severity: Error,
        title: "a manifest holds what the API server refuses",
        requires: [Manifests],
        uses: [KubernetesVersion],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    File {
        #[serde(flatten)]
        lines: Corrected,
    },
}

impl Check for ManifestInvalid {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn judge(&self, snap: &Snapshot) -> Option<Result<Diagnosis, Gap>> {
        Some(self.diagnose(snap))
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.manifests()?;
        let parts = Parts::of(snap);
        let overlaid = Overlaid::of(snap);
        let files = snap.manifests.items().unwrap_or_default();
        let charts = Charts::of(files);
        let of_values = files.iter().flat_map(|file| values_of(file, &charts)).collect::<Vec<_>>();
        let of_objects = written::each_object(snap, |file, object| {
            let part = parts.holds(file);
            let (mut found, so) = problems(snap, object, part);
            found.extend(not_encoded(file, object));
            found.sort_by_key(|p| p.place);
            // A field that is not known stays where it is; a value is what the last one says.
            found.retain(|p| p.message.contains(UNKNOWN) || !(part && overlaid.covers(object, &p.path)));
            found.first()?;
            let again = written::of_copy(file, object, |copy| problems(snap, copy, part).0);
            let lines = Corrected::new(file, "", &found, "", &again);
            Some(written::of_object(&Self::META, file, object, &found, so).fix(Fix::File { lines }))
        })?;
        Ok(match of_objects {
            Diagnosis::Findings(found) => Diagnosis::Findings(found.into_iter().chain(of_values).collect()),
            Diagnosis::NotApplicable(_) if values::any(snap) => Diagnosis::Findings(of_values),
            other => other,
        })
    }
}

/// How the message on a field begins that a kind does not have.
const UNKNOWN: &str = "unknown field";
/// Values below `data` of a Secret that are no base64. Their text is not shown.
fn not_encoded<'a>(file: &'a ManifestFile, object: &'a Manifest) -> impl Iterator<Item = Problem> + 'a {
    let own = file.not_encoded.iter().filter(|n| object.kind == "Secret" && n.secret == object.name);
    own.filter(|n| object.node.at(&["data", &n.key]).is_some_and(|value| value.place == n.place)).map(|n| {
        let message = format!("the value of {:?} is no base64: text goes below stringData", n.key);
        Problem::new(n.place, format!("data.{}", n.key), message)
    })
}

const BY_SERVER: &str = ": the API server refuses it";
const BY_OPERATOR: &str = ": the operator leaves it out";
const BY_BALANCER: &str = ": the load balancer controller does not take it";

/// What is wrong with Helm values: keys that come twice, and what the chart hands on as it is.
fn values_of(file: &ManifestFile, charts: &Charts<'_>) -> Vec<Finding> {
    // What another program reads is judged as its configuration, or not at all.
    let are_values = charts.content(file) == Content::Values;
    values::all(file)
        .filter_map(|values| {
            let of_grafana = values.object.is_none() && grafana::holds_datasources(values.node);
            let is_text = values.is_text && (values.object.is_some() || are_values || of_grafana);
            let mut problems = if is_text { kubernetes::doubled(values.node, values.path) } else { Vec::new() };
            let twice = !problems.is_empty();
            let mut by_operator = false;
            for (spec, path) in values::server_specs(&values) {
                let found = operator::lint_values(spec, &path);
                by_operator |= found.iter().any(|(by, _)| *by == Refused::ByOperator);
                problems.extend(found.into_iter().map(|(_, p)| p));
            }
            tell_field(&mut problems);
            problems.sort_by_key(|p| p.place);
            problems.first()?;
            let so = match (twice, by_operator) {
                (true, _) if of_grafana => ": Grafana takes the last, or does not load the file",
                (true, _) => ": Helm silently takes the last",
                (_, true) => BY_OPERATOR,
                _ => ": the API server refuses what the chart makes of it, or leaves it out",
            };
            let found = if of_grafana {
                written::of_file(&ManifestInvalid::META, file, &problems, so)
            } else {
                written::of_values(&ManifestInvalid::META, file, &values, &problems, so)
            };
            let lines = Corrected::new(file, values.path, &problems, "", &written::still_read(file));
            Some(found.fix(Fix::File { lines }))
        })
        .collect()
}

/// Whoever reads of a type wants to know of which field.
fn tell_field(problems: &mut [Problem]) {
    for problem in problems {
        let names_it = ["unknown field", "the key"].iter().any(|w| problem.message.starts_with(w));
        if !names_it && problem.path != "apiVersion" {
            problem.message = format!("{}: {}", problem.path, problem.message);
        }
    }
}

/// What is wrong with an object, and what follows; `part`: it may be laid over another manifest.
fn problems(snap: &Snapshot, object: &Manifest, part: bool) -> (Vec<Problem>, &'static str) {
    let mut problems: Vec<Problem> = kubernetes::lint(&object.node, part);
    let all_twice = problems.iter().all(|p| p.message.ends_with(kubernetes::TWICE)) && !problems.is_empty();
    let own = operator::lint(&object.node);
    let of_balancer = kubernetes::balancer::lint(&object.node);
    let by_server = own.iter().any(|(by, _)| *by == Refused::ByServer);
    let so = match (problems.is_empty(), all_twice, own.is_empty()) {
        (_, true, true) => ": kubectl refuses it, and Helm silently takes the last",
        (true, _, false) if !by_server => BY_OPERATOR,
        (true, _, true) if !of_balancer.is_empty() => BY_BALANCER,
        _ => BY_SERVER,
    };
    problems.extend(own.into_iter().map(|(_, p)| p));
    problems.extend(of_balancer);
    problems.extend(requests::above_limits(object));
    // What was blanked out is of no type.
    problems.retain(|p| !p.message.contains(BLANK));
    problems.extend(removed(snap, object));
    tell_field(&mut problems);
    problems.sort_by_key(|p| p.place);
    (problems, so)
}

/// A version of an API that the cluster, or any that is still supported, does not serve.
fn removed(snap: &Snapshot, object: &Manifest) -> Option<Problem> {
    let removed = kubernetes::removed(&object.api_version, &object.kind)?;
    if skew::of_server(snap).is_some_and(|minor| minor < removed.since) {
        return None;
    }
    let place = object.node.get("apiVersion").map_or(object.place(), |n| n.place);
    let message = format!("{} {} is not served since Kubernetes 1.{}", object.api_version, object.kind, removed.since);
    let instead = Some(removed.instead).filter(|i| !i.is_empty());
    Some(Problem::new(place, "apiVersion", message).instead(instead))
}
