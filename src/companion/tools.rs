//! The tools that a command takes: which are not there, and how one gets them.

use std::ffi::OsStr;

use super::process;
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

/// The tools of a command that are not on this path.
pub(super) fn missing(command: &str, path: Option<&OsStr>) -> Vec<Missing> {
    let mut all: Vec<Missing> = Vec::new();
    for call in pages::calls(command) {
        // What a variable holds, or the command itself defines, cannot be looked for.
        let is_plain = call.program.chars().all(|c| c.is_ascii_alphanumeric() || "._/+-".contains(c));
        if call.is_of_the_shell() || !is_plain || all.iter().any(|m| m.name == call.program) {
            continue;
        }
        if process::find(&call.program, path).is_none() {
            let source = SOURCES.iter().find(|(name, _)| *name == call.program).map_or("", |(_, source)| source);
            all.push(Missing { name: call.program, source });
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_named_once_with_where_it_comes_from() {
        let found = missing("eksctl a && eksctl b; cd x; $TOOL y", Some(OsStr::new("/nowhere")));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].name, "eksctl");
        assert!(found[0].source.contains("eksctl.io"));
        let path = std::env::var_os("PATH");
        assert!(missing("sh -c true | cat", path.as_deref()).is_empty());
    }
}
