//! Objects of the files that do not find each other.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::faulty_file::{self, headline};
use crate::checks::support::written::{self, shown_path};
use crate::checks::{Check, check};
use crate::domain::manifests::{given, references};
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::manifests::{Manifest, ManifestFile};

check! {
    /// See the check's page.
    ManifestReference {
        id: "manifest-reference", suite: Manifests, severity: Warning,
        title: "manifests that belong together do not find each other",
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

impl Check for ManifestReference {
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
        // What Kustomize puts together may find each other yet.
        let whole = given::objects(snap).filter(|(file, _)| !given::is_part(snap, file));
        let found = whole.filter_map(|(file, object)| finding(snap, file, object));
        Ok(Diagnosis::Findings(found.collect()))
    }
}

fn finding(snap: &Snapshot, file: &ManifestFile, object: &Manifest) -> Option<Finding> {
    let problems = references::broken(snap, object);
    problems.first()?;
    let subject = ResourceRef::kubernetes(object.group(), &object.kind, &object.namespace, &object.name);
    let (kind, name) = (&object.kind, given::full_name(object));
    let message = format!("{}, in {kind} {name}", headline(shown_path(&file.path), &problems));
    let fix = Fix::File {
        file: shown_path(&file.path).to_owned(),
        field: String::new(),
        edits: faulty_file::edits(&file.text, &problems),
        problems: problems.iter().take(written::SHOWN).map(|p| written::said(&file.text, p)).collect(),
        tool: String::new(),
        piped: file.path == written::PIPED,
    };
    let finding = Finding::new(ManifestReference::META.id, Severity::Warning, subject, message)
        .key(format!("{} {kind} {name}", file.path))
        .fix(fix);
    Some(written::located(finding, file, "", &problems))
}
