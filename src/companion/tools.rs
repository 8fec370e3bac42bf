//! The tools that a command takes: which are not there, and how one gets them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::pages;

/// Where a tool comes from.
const SOURCES: &[(&str, &str)] = &[
    ("kubectl", "https://kubernetes.io/docs/tasks/tools/ (brew install kubectl)"),
    ("aws", "https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html (brew install awscli)"),
    ("eksctl", "https://eksctl.io/installation/ (brew install eksctl)"),
    ("helm", "https://helm.sh/docs/intro/install/ (brew install helm)"),
    ("flux", "https://fluxcd.io/flux/installation/ (brew install fluxcd/tap/flux)"),
    ("argocd", "https://argo-cd.readthedocs.io/en/stable/cli_installation/ (brew install argocd)"),
    ("promtool", "it comes with Prometheus: https://prometheus.io/download/"),
    ("amtool", "it comes with Alertmanager: https://prometheus.io/download/"),
    ("cmctl", "https://cert-manager.io/docs/reference/cmctl/#installation (brew install cmctl)"),
    ("jq", "https://jqlang.org/download/ (brew install jq)"),
    ("curl", "https://curl.se/download.html"),
];

/// A tool that a command takes and that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Missing {
    pub(super) name: String,
    /// Where it comes from; empty where nobody here knows.
    pub(super) source: &'static str,
}

impl Missing {
    /// `helm is not on PATH`.
    pub(super) fn told(&self) -> String {
        format!("{} is not on PATH", self.name)
    }
}

/// The tools of a command that are not on the path.
pub(super) fn missing(command: &str) -> Vec<Missing> {
    missing_on(command, std::env::var_os("PATH").as_deref())
}

fn missing_on(command: &str, path: Option<&OsStr>) -> Vec<Missing> {
    let mut all: Vec<Missing> = Vec::new();
    for call in pages::calls(command) {
        // What a variable holds, or the command itself defines, cannot be looked for.
        let is_plain = call.program.chars().all(|c| c.is_ascii_alphanumeric() || "._/+-".contains(c));
        if call.is_of_the_shell() || !is_plain || all.iter().any(|m| m.name == call.program) {
            continue;
        }
        if find_on(&call.program, path).is_none() {
            let source = SOURCES.iter().find(|(name, _)| *name == call.program).map_or("", |(_, source)| source);
            all.push(Missing { name: call.program, source });
        }
    }
    all
}

/// Where a program is, as the shell looks for it.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    find_on(program, std::env::var_os("PATH").as_deref())
}

fn find_on(program: &str, path: Option<&OsStr>) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(|p| is_program(p));
    }
    std::env::split_paths(path?).map(|folder| folder.join(program)).find(|p| is_program(p))
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.is_file() || path.with_extension("exe").is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_named_once_with_where_it_comes_from() {
        let found = missing_on("eksctl a && eksctl b; cd x; $TOOL y", Some(OsStr::new("/nowhere")));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].name, "eksctl");
        assert!(found[0].source.contains("eksctl.io"));
        assert!(missing("sh -c true | cat").is_empty());
    }

    #[test]
    fn programs_are_found_as_the_shell_finds_them() {
        assert!(find("sh").is_some() && find_on("/bin/sh", None).is_some());
        assert!(find("no-such-program").is_none());
    }
}
