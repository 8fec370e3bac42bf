//! Where Flux fetches what it brings, and why that fails.

use crate::domain::kubernetes::gitops::Failing;
use crate::model::ResourceRef;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{FluxSource, SourceRef};

const GROUP: &str = "source.toolkit.fluxcd.io";

/// Why a source cannot be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// The SSH server has another key than the one that Flux was given, or none is given.
    HostKey,
    /// The login is refused, or there is none.
    Login,
    /// The repository, branch, tag or artifact is not there.
    NotFound,
    /// The certificate is not trusted.
    Certificate,
    /// The name does not resolve, or nobody answers.
    Unreached,
    /// The Secret that it names is not there, or lacks a key.
    Secret,
    /// Another error.
    Other,
}

impl Why {
    /// By the words of Flux' source controller.
    pub(crate) fn of(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        let has = |parts: &[&str]| parts.iter().any(|p| text.contains(p));
        if has(&["knownhosts: key", "key mismatch", "key is unknown", "unknown host key", "host key"]) {
            Self::HostKey
        } else if has(&["failed to get secret", "secrets \"", "invalid auth secret", "secret data"]) {
            Self::Secret
        } else if has(&["x509", "tls: failed to verify"]) {
            Self::Certificate
        } else if has(&[
            "authentication required",
            "unauthorized",
            "authorization failed",
            "unable to authenticate",
            "permission denied",
            "forbidden",
            "denied",
            // Not the same digits in a digest or a port.
            " 401",
            " 403",
        ]) {
            Self::Login
        } else if has(&["no such host", "i/o timeout", "deadline exceeded", "connection refused", "connection reset"]) {
            Self::Unreached
        } else if has(&["not found", "no match found", "couldn't find remote ref", "manifest_unknown", " 404"]) {
            Self::NotFound
        } else {
            Self::Other
        }
    }

    /// In words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::HostKey => "the server shows another host key than the one that Flux knows",
            Self::Login => "its login is refused",
            Self::NotFound => "what it names is not there",
            Self::Certificate => "its certificate is not trusted",
            Self::Unreached => "it cannot be reached",
            Self::Secret => "the Secret that it names is not as it has to be",
            Self::Other => "fetching fails",
        }
    }
}

/// A source that cannot be fetched.
#[derive(Debug)]
pub(crate) struct Unfetched<'a> {
    /// The source.
    pub(crate) source: &'a FluxSource,
    /// Why.
    pub(crate) why: Why,
    /// What it says.
    pub(crate) text: &'a str,
}

/// The source from which what fails is fetched, where that is what fails: of a chart, the repository that it lies in.
pub(crate) fn unfetched<'a>(snap: &'a Snapshot, failing: &Failing<'_>) -> Option<Unfetched<'a>> {
    let object = failing.object;
    let spec = &object.spec;
    let named = [&spec.source_ref, &spec.chart_ref, &spec.chart.spec.source_ref];
    let named = named.into_iter().find(|r| !r.name.is_empty())?;
    let mut source = find(snap, named, &object.metadata.namespace)?;
    // `chartRef` names a chart, and the chart its repository.
    if source.kind == "HelmChart"
        && let Some(repository) = find(snap, &source.spec.source_ref, &source.metadata.namespace)
        && fault(repository).is_some()
    {
        source = repository;
    }
    let text = fault(source)?;
    Some(Unfetched { source, why: Why::of(text), text })
}

/// What a source says that is not ready and is not only at work.
fn fault(source: &FluxSource) -> Option<&str> {
    let ready = source.status.conditions.iter().find(|c| c.kind == "Ready" && c.status == "False")?;
    let at_work = matches!(ready.reason.as_deref(), Some("Progressing" | "ProgressingWithRetry"));
    ready.message.as_deref().filter(|_| !at_work && !source.spec.suspend)
}

fn find<'a>(snap: &'a Snapshot, named: &SourceRef, beside: &str) -> Option<&'a FluxSource> {
    let namespace = if named.namespace.is_empty() { beside } else { named.namespace.as_str() };
    let all = snap.flux_sources.items().unwrap_or_default();
    all.iter().find(|s| s.kind == named.kind && s.metadata.name == named.name && s.metadata.namespace == namespace)
}

/// It, for the graph of causes.
pub(crate) fn reference(source: &FluxSource) -> ResourceRef {
    ResourceRef::kubernetes(GROUP, &source.kind, &source.metadata.namespace, &source.metadata.name)
}

/// As kubectl takes its kind: `gitrepositories.source.toolkit.fluxcd.io`.
pub(crate) fn resource(source: &FluxSource) -> String {
    let kind = source.kind.to_ascii_lowercase();
    let plural = kind.strip_suffix('y').map_or_else(|| format!("{kind}s"), |stem| format!("{stem}ies"));
    format!("{plural}.{GROUP}")
}

/// As `flux reconcile source` takes its kind.
pub(crate) fn flux_kind(source: &FluxSource) -> &'static str {
    match source.kind.as_str() {
        "GitRepository" => "git",
        "HelmRepository" => "helm",
        "OCIRepository" => "oci",
        "HelmChart" => "chart",
        _ => "bucket",
    }
}

/// The host of its URL, with its port where it has one: `ssh://git@git.example.com:2222/x` gives `git.example.com` and `2222`.
pub(crate) fn host(url: &str) -> Option<(String, Option<u16>)> {
    let url = url::Url::parse(url).ok()?;
    Some((url.host_str()?.to_owned(), url.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_source_controller() {
        for (text, why) in [
            (
                "failed to checkout and determine revision: unable to clone 'ssh://git@g/x': ssh: handshake failed: knownhosts: key mismatch",
                Why::HostKey,
            ),
            (
                "failed to checkout and determine revision: unable to list remote for 'https://g/x': authentication required: Repository not found.",
                Why::Login,
            ),
            ("failed to get secret 'flux-system/git': secrets \"git\" not found", Why::Secret),
            ("failed to fetch Helm repository index: 404 Not Found", Why::NotFound),
            (
                "failed to fetch Helm repository index: failed to cache index to temporary file: Get \"https://charts.x/index.yaml\": dial tcp: lookup charts.x on 172.20.0.10:53: no such host",
                Why::Unreached,
            ),
            (
                "failed to checkout: Get \"https://g/x\": tls: failed to verify certificate: x509: certificate signed by unknown authority",
                Why::Certificate,
            ),
            ("failed to copy artifact sha256:a4010403f404", Why::Other),
            ("reference 'refs/heads/main' couldn't find remote ref", Why::NotFound),
        ] {
            assert_eq!(Why::of(text), why, "{text}");
        }
    }

    #[test]
    fn hosts_of_urls() {
        assert_eq!(host("ssh://git@git.example.com:2222/a/b"), Some(("git.example.com".into(), Some(2222))));
        assert_eq!(host("https://charts.example.com"), Some(("charts.example.com".into(), None)));
        assert_eq!(host("git@github.com"), None);
    }
}
