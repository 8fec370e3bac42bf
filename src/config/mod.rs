//! `kdoctor.toml`: what a team asks for in every run, and which findings it has accepted.

mod read;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use crate::collect::files;
use crate::diagnose::{FailOn, Mute};
use crate::model::{Severity, Thresholds};

/// The name that is looked for.
pub const NAME: &str = "kdoctor.toml";
/// A larger file is none.
const MAX_FILE: u64 = 1 << 20;

/// What a file says. What it does not say is `None` or empty.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs, reason = "fields are the flags of the same name")]
pub struct Config {
    pub namespace: Option<String>,
    pub all_namespaces: Option<bool>,
    pub context: Option<String>,
    pub cluster_name: Option<String>,
    pub region: Option<String>,
    pub profile: Option<String>,
    pub prometheus_url: Option<Url>,
    pub alertmanager_url: Option<Url>,
    pub grafana_url: Option<Url>,
    pub timeout: Option<Duration>,
    pub only: Vec<String>,
    pub skip: Vec<String>,
    pub fail_on: Option<FailOn>,
    pub strict: Option<bool>,
    pub read_only: Option<bool>,
    /// Severities of checks, where they differ from those of the checks themselves.
    pub severity: BTreeMap<String, Severity>,
    /// Bounds of checks, where they differ from the usual ones.
    pub thresholds: Thresholds,
    /// Findings that are accepted.
    pub mutes: Vec<Mute>,
}

/// What a file may name.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Ids of checks.
    pub checks: &'a [&'a str],
    /// Ids of checks, and suites.
    pub selectors: &'a [&'a str],
    /// Reads a time as `--timeout` does.
    pub timeout: fn(&str) -> Result<Duration, String>,
}

/// The file in a folder, or in the nearest one above it.
pub fn find(from: &Path) -> Option<PathBuf> {
    from.ancestors().map(|folder| folder.join(NAME)).find(|path| path.is_file())
}

/// Reads a file.
///
/// # Errors
/// All that is wrong with it, each with its place.
pub fn load(path: &Path, known: Known<'_>) -> Result<Config, Vec<String>> {
    let name = path.display().to_string();
    let bytes = files::read(path, MAX_FILE).map_err(|e| vec![format!("{name}: {e}")])?;
    let text = String::from_utf8(bytes).map_err(|e| vec![format!("{name}: it is not UTF-8: {e}")])?;
    read::parse(&text, &name, known)
}
