//! A call of kubectl: its verb, its objects, and which cluster it goes to.

use crate::pages::Call;

/// Flags of kubectl that take the next word as their value.
const WITH_VALUE: &[&str] = &[
    "-n",
    "--namespace",
    "-f",
    "--filename",
    "-k",
    "--kustomize",
    "-o",
    "--output",
    "--context",
    "--kubeconfig",
    "-l",
    "--selector",
    "--type",
    "-p",
    "--patch",
    "--patch-file",
    "-c",
    "--container",
    "--containers",
    "--replicas",
    "--timeout",
    "--image",
    "--for",
    "--grace-period",
    "--field-selector",
    "--overrides",
    "--subresource",
    "-e",
    "--env",
    "--cluster",
    "--user",
    "-s",
    "--server",
    "--current-replicas",
    "--name",
    "--port",
    "--target-port",
    "--token",
    "--as",
    "--since",
    "--tail",
    "--sort-by",
    "--to-revision",
    "--from",
    "--restart",
    "--field-manager",
    "-r",
    "--revision",
    "--max",
    "--min",
    "--cpu-percent",
    "--duration",
    "--pod-selector",
    "--cascade",
    "--requests",
    "--limits",
    "--request-timeout",
    "--as-group",
    "--as-uid",
    "--certificate-authority",
    "--client-certificate",
    "--client-key",
    "--tls-server-name",
    "--cache-dir",
    "-v",
    "--v",
    "--from-literal",
    "--from-file",
    "--from-env-file",
];

/// A call of kubectl, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kubectl {
    /// `apply`, `rollout restart`.
    pub(super) verb: String,
    /// What stands behind it: `pvc data`, `deployment/web`.
    pub(super) objects: Vec<String>,
    /// The namespace, where one is given.
    pub(super) namespace: Option<String>,
    /// Flags that say which cluster.
    pub(super) cluster: Vec<String>,
    /// The labels by which objects are chosen.
    selector: Option<String>,
    /// All flags.
    flags: Vec<String>,
}

/// Verbs with a word of their own behind them.
const DOUBLE: &[&str] = &["rollout", "set", "create", "auth", "config", "top", "certificate"];

/// Verbs that only look: whatever stands behind them, or only with their second word.
const LOOKING: &[&str] = &[
    "get",
    "describe",
    "logs",
    "top",
    "explain",
    "api-resources",
    "api-versions",
    "version",
    "wait",
    "events",
    "diff",
    "cluster-info",
    "options",
    "completion",
    "rollout status",
    "rollout history",
    "auth can-i",
    "auth whoami",
    "config view",
    "config current-context",
    "config get-contexts",
];

/// Whether a word asks for a dry run, or switches it off; `None`: it is about something else.
pub(super) fn dry_run(word: &str) -> Option<bool> {
    match word.strip_prefix("--dry-run")? {
        "" => Some(true),
        rest => rest.strip_prefix('=').map(|value| ["client", "server", "true"].contains(&value)),
    }
}

impl Kubectl {
    /// `None` for another program.
    pub(super) fn of(call: &Call) -> Option<Self> {
        if call.program.rsplit('/').next() != Some("kubectl") {
            return None;
        }
        let (mut words, mut flags, mut cluster) = (Vec::new(), Vec::<String>::new(), Vec::new());
        let (mut namespace, mut selector) = (None, None);
        let mut rest = call.arguments.iter();
        while let Some(word) = rest.next() {
            if word == "--" {
                break;
            }
            if !word.starts_with('-') || word == "-" {
                words.push(word.clone());
                continue;
            }
            let (flag, value) = match word.split_once('=') {
                Some((flag, value)) => (flag, Some(value.to_owned())),
                None if WITH_VALUE.contains(&word.as_str()) => (word.as_str(), rest.next().cloned()),
                None => (word.as_str(), None),
            };
            match flag {
                "-n" | "--namespace" => namespace.clone_from(&value),
                "-l" | "--selector" => selector.clone_from(&value),
                // The last one counts; one that is switched off is none.
                "--dry-run" if dry_run(word) == Some(false) => {
                    flags.retain(|f| f != "--dry-run");
                    continue;
                }
                "--context"
                | "--kubeconfig"
                | "--cluster"
                | "--user"
                | "-s"
                | "--server"
                | "--as"
                | "--as-group"
                | "--as-uid"
                | "--certificate-authority"
                | "--client-certificate"
                | "--client-key"
                | "--tls-server-name"
                | "--token" => {
                    cluster.push(format!("{flag}={}", value.as_deref().unwrap_or_default()));
                }
                _ => {}
            }
            flags.push(flag.to_owned());
        }
        let mut words = words.into_iter();
        let mut verb = words.next().unwrap_or_default();
        if DOUBLE.contains(&verb.as_str())
            && let Some(second) = words.next()
        {
            verb = format!("{verb} {second}");
        }
        // What is set stands behind the objects: `release=web`, `release-`.
        let sets = ["label", "annotate", "taint"].contains(&verb.as_str()) || verb.starts_with("set ");
        let objects = words.filter(|w| !(sets && (w.contains('=') || w.ends_with('-')))).collect();
        Some(Self { verb, objects, namespace, cluster, selector, flags })
    }

    pub(super) fn has(&self, flags: &[&str]) -> bool {
        self.flags.iter().any(|f| flags.contains(&f.as_str()))
    }

    /// It only looks.
    pub(super) fn looks(&self) -> bool {
        let first = self.verb.split(' ').next().unwrap_or_default();
        LOOKING.contains(&first) || LOOKING.contains(&self.verb.as_str()) || self.has(&["--dry-run"])
    }

    /// It wants the terminal for itself.
    pub(super) fn takes_terminal(&self) -> bool {
        let shell = self.has(&["-it", "-ti", "-t", "--tty"]);
        self.verb == "edit" || (shell && ["exec", "run", "attach", "debug"].contains(&self.verb.as_str()))
    }

    /// `deployment/web in namespace shop`.
    pub(super) fn shown(&self) -> String {
        let with = self.selector.as_ref().map(|s| format!(" with {s}")).unwrap_or_default();
        let objects = format!("{}{with}", self.objects.join(" "));
        match &self.namespace {
            Some(namespace) if !objects.is_empty() => format!("{objects} in namespace {namespace}"),
            Some(namespace) => format!("objects in namespace {namespace}"),
            None if objects.is_empty() => "objects".to_owned(),
            None => objects,
        }
    }

    /// Names alone: `pvc data` is `data`, `deployment/web` is `web`.
    pub(super) fn names(&self) -> Vec<String> {
        // A pod, or a node: no kind stands before its name.
        if self.objects.iter().any(|o| o.contains('/')) || ["exec", "drain", "debug"].contains(&self.verb.as_str()) {
            return self.objects.iter().map(|o| o.rsplit('/').next().unwrap_or(o).to_owned()).collect();
        }
        self.objects.iter().skip(1).cloned().collect()
    }
}
