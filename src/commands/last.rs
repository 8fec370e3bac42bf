//! The last report at this terminal: its verdict and its root causes in a file of the state folder, for the start page and
//! for completions. What goes wrong with it costs nothing but these.

use std::io::Write;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::cli::SourceArgs;
use crate::companion::transcript;
use crate::model::{Report, ResourceRef};
use crate::render::live::verdict_line;
use crate::text::redact::mask;
use crate::why::Kind;

/// Version of the file.
const VERSION: u32 = 1;
/// A larger file is not ours.
const MAX: u64 = 1 << 20;
/// Things that are kept.
const THINGS: usize = 200;

/// What is kept of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Last {
    version: u32,
    /// Of which cluster or bundle it is.
    of: String,
    /// When it was made.
    pub(super) at: jiff::Timestamp,
    /// How it stood.
    pub(super) verdict: String,
    /// Its root causes: the check, and what is wrong.
    pub(super) roots: Vec<(String, String)>,
    /// What its findings are about, as `kdoctor why` takes it.
    pub(super) things: Vec<String>,
}

impl Last {
    fn of(report: &Report, of: String) -> Self {
        let finding = |at: usize| &report.findings[at];
        let root = |g: &crate::model::RootGroup| (finding(g.root).check.to_string(), mask(&finding(g.root).message));
        let mut things: Vec<String> =
            report.findings.iter().flat_map(|f| &f.subjects).filter_map(thing).map(|t| mask(&t)).collect();
        things.sort();
        things.dedup();
        things.truncate(THINGS);
        let at = report.collected_at;
        let verdict = verdict_line(at, report).text;
        Self { version: VERSION, of, at, verdict, roots: report.roots.iter().map(root).collect(), things }
    }

    /// One root cause, found when time began.
    #[cfg(test)]
    pub(super) fn sample(verdict: &str) -> Self {
        let roots = vec![("pvc-pending".to_owned(), "3 claims are Pending".to_owned())];
        let (at, verdict) = (jiff::Timestamp::UNIX_EPOCH, verdict.to_owned());
        Self { version: VERSION, of: cluster("prod"), at, verdict, roots, things: vec!["pvc/data".to_owned()] }
    }

    /// It is of the same cluster or bundle.
    pub(super) fn is_of(&self, of: &str) -> bool {
        self.of == of
    }
}

/// A resource as `kdoctor why` takes it.
fn thing(resource: &ResourceRef) -> Option<String> {
    let (kind, name) = match resource {
        ResourceRef::Kubernetes { kind, name, .. } => match kind.as_str() {
            "Pod" => (Kind::Pod, name),
            "Service" => (Kind::Service, name),
            "PersistentVolumeClaim" => (Kind::Claim, name),
            "Node" => (Kind::Node, name),
            "Deployment" => (Kind::Deployment, name),
            "StatefulSet" => (Kind::StatefulSet, name),
            "DaemonSet" => (Kind::DaemonSet, name),
            _ => return None,
        },
        ResourceRef::ScrapeJob { job } => (Kind::Target, job),
        ResourceRef::Receiver { name } => (Kind::Receiver, name),
        ResourceRef::Datasource { name, .. } => (Kind::Datasource, name),
        _ => return None,
    };
    (!name.is_empty()).then(|| format!("{}/{name}", kind.word()))
}

/// The name of a live cluster, by its context.
pub(super) fn cluster(context: &str) -> String {
    format!("context {context}")
}

/// The name of a bundle, by its path as it was typed.
pub(super) fn bundle(path: &str) -> String {
    let whole = std::fs::canonicalize(path).unwrap_or_else(|_| PathBuf::from(path));
    format!("bundle {}", whole.display())
}

/// The name of a demo.
pub(super) fn demo(name: &str) -> String {
    format!("demo {name}")
}

fn path() -> anyhow::Result<PathBuf> {
    Ok(transcript::state()?.join("last-report.json"))
}

/// Keeps it.
pub(super) fn keep(report: &Report, source: &SourceArgs) {
    let of = match (&source.demo, &source.from) {
        (Some(name), _) => demo(name),
        (None, Some(path)) => bundle(&path.to_string_lossy()),
        (None, None) => cluster(report.target.context.as_deref().unwrap_or_default()),
    };
    // Nobody asked for it: that it is not there is seen by nobody.
    let _ = write(&Last::of(report, of));
}

fn write(last: &Last) -> anyhow::Result<()> {
    let path = path()?;
    let folder = path.parent().unwrap_or(&path);
    transcript::make_folder(folder)?;
    // Whole or not at all, and for its owner alone.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&serde_json::to_vec(last)?)?;
    file.persist(&path)?;
    Ok(())
}

/// The last one, where there is one that can be read.
pub(super) fn read() -> Option<Last> {
    let path = path().ok()?;
    if std::fs::metadata(&path).ok()?.len() > MAX {
        return None;
    }
    let last: Last = serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?;
    (last.version == VERSION).then_some(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_named_as_they_are_asked_for() {
        assert_eq!(thing(&ResourceRef::pod("m", "prometheus-0")).as_deref(), Some("pod/prometheus-0"));
        assert_eq!(thing(&ResourceRef::ScrapeJob { job: "flash-api".into() }).as_deref(), Some("target/flash-api"));
        assert_eq!(thing(&ResourceRef::Receiver { name: String::new() }), None);
        assert!(bundle("/no/such/place").ends_with(" /no/such/place"));
    }
}
