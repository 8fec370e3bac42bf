//! A manifest holds what the API server refuses.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::faulty_file::{self, headline};
use crate::checks::support::written::{self, shown_path};
use crate::checks::{Check, check};
use crate::domain::manifests::given;
use crate::lint::{Problem, kubernetes};
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::manifests::{BLANK, Manifest, ManifestFile};

check! {
    /// See the check's page.
    ManifestInvalid {
        id: "manifest-invalid", suite: Manifests, severity: Error,
        title: "a manifest holds what the API server refuses",
        requires: [Manifests],
        uses: [],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    File { file: String, field: String, edits: String, problems: Vec<String>, tool: String, piped: bool },
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
        if given::objects(snap).next().is_none() {
            return Ok(Diagnosis::NotApplicable("no manifest was given (-f)".into()));
        }
        let found = given::objects(snap).filter_map(|(file, object)| finding(snap, file, object));
        Ok(Diagnosis::Findings(found.collect()))
    }
}

fn finding(snap: &Snapshot, file: &ManifestFile, object: &Manifest) -> Option<Finding> {
    let mut problems: Vec<Problem> = kubernetes::lint(&object.node, given::is_part(snap, file));
    // What was blanked out is of no type.
    problems.retain(|p| !p.message.contains(BLANK));
    problems.extend(removed(snap, object));
    if problems.is_empty() {
        return None;
    }
    for problem in &mut problems {
        // Whoever reads of a type wants to know of which field.
        let names_it = ["unknown field", "the key"].iter().any(|w| problem.message.starts_with(w));
        if !names_it && problem.path != "apiVersion" {
            problem.message = format!("{}: {}", problem.path, problem.message);
        }
    }
    problems.sort_by_key(|p| p.place);
    let subject = ResourceRef::kubernetes(object.group(), &object.kind, &object.namespace, &object.name);
    let message = format!(
        "{}, in {} {}: the API server refuses it",
        headline(shown_path(&file.path), &problems),
        object.kind,
        given::full_name(object)
    );
    let fix = Fix::File {
        file: shown_path(&file.path).to_owned(),
        field: String::new(),
        edits: faulty_file::edits(&file.text, &problems),
        problems: problems.iter().take(written::SHOWN).map(|p| written::said(&file.text, p)).collect(),
        tool: String::new(),
        piped: file.path == written::PIPED,
    };
    let finding = Finding::new(ManifestInvalid::META.id, Severity::Error, subject, message)
        .key(format!("{} {} {}", file.path, object.kind, given::full_name(object)))
        .fix(fix);
    Some(written::located(finding, file, "", &problems))
}

/// A version of an API that the cluster, or any that is still supported, does not serve.
fn removed(snap: &Snapshot, object: &Manifest) -> Option<Problem> {
    let removed = kubernetes::removed(&object.api_version, &object.kind)?;
    if minor(snap).is_some_and(|minor| minor < removed.since) {
        return None;
    }
    let place = object.node.get("apiVersion").map_or(object.place(), |n| n.place);
    let message = format!("{} {} is not served since Kubernetes 1.{}", object.api_version, object.kind, removed.since);
    let instead = Some(removed.instead).filter(|i| !i.is_empty());
    Some(Problem::new(place, "apiVersion", message).instead(instead))
}

/// Minor version of the cluster that was looked at.
fn minor(snap: &Snapshot) -> Option<u16> {
    let version = snap.target.kubernetes_version.as_deref()?;
    let digits: String = version.split('.').nth(1)?.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}
