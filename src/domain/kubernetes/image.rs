//! Image names, and the registries that need something of their own.

use crate::text::near::is_slip;

/// The parts of an image reference, as the container runtime reads them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Image {
    /// `docker.io`, `quay.io`, `<account>.dkr.ecr.<region>.amazonaws.com`.
    pub(crate) host: String,
    /// Repository with its path: `prom/prometheus`, `library/nginx`.
    pub(crate) repository: String,
    /// Tag; `latest` where neither tag nor digest is given.
    pub(crate) tag: String,
    /// Digest, where one is given.
    pub(crate) digest: Option<String>,
    /// The host is written out.
    explicit: bool,
}

/// The last part of the repository in a reference, whether or not the rest of it is well written: `prometheus`.
pub(crate) fn base_of(reference: &str) -> &str {
    last(reference).split(':').next().unwrap_or_default()
}

/// The tag in a reference: `v3.1.0`.
pub(crate) fn tag_of(reference: &str) -> Option<&str> {
    last(reference).split_once(':').map(|(_, tag)| tag)
}

/// A version: major, minor, patch.
pub(crate) type Version = (u16, u16, u16);

/// `v0.93.1`, `0.93.1-rc.0` → 0.93.1.
pub(crate) fn version(text: &str) -> Option<Version> {
    let mut parts = text.trim_start_matches('v').split(['.', '-', '+', '_']);
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next()?.parse().ok()?;
    let patch = parts.next().and_then(|p| p.parse().ok()).unwrap_or(0);
    Some((major, minor, patch))
}

/// Name and tag. A digest has a colon too, and so has a registry with a port.
fn last(reference: &str) -> &str {
    let written = reference.split('@').next().unwrap_or_default();
    written.rsplit('/').next().unwrap_or_default()
}

impl Image {
    /// Takes a reference apart; `None` where it is not one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.to_owned())),
            None => (text, None),
        };
        let (rest, tag) = match rest.rsplit_once(':') {
            Some((rest, tag)) if !tag.contains('/') => (rest, Some(tag)),
            _ => (rest, None),
        };
        if tag.is_some_and(str::is_empty) || digest.as_ref().is_some_and(|d| !d.contains(':')) {
            return None;
        }
        let is_host = |part: &str| part.contains(['.', ':']) || part == "localhost";
        let (host, path, explicit) = match rest.split_once('/') {
            Some((host, path)) if is_host(host) => (host, path, true),
            _ => ("docker.io", rest, false),
        };
        let host = if host == "index.docker.io" { "docker.io" } else { host };
        let valid = |part: &str| {
            !part.is_empty()
                && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-'))
        };
        if !path.split('/').all(valid) {
            return None;
        }
        let repository =
            if host == "docker.io" && !path.contains('/') { format!("library/{path}") } else { path.to_owned() };
        let tag = tag.unwrap_or(if digest.is_some() { "" } else { "latest" });
        Some(Self { host: host.to_owned(), repository, tag: tag.to_owned(), digest, explicit })
    }

    /// The repository with another tag, written as this one is.
    pub(crate) fn with_tag(&self, tag: &str) -> String {
        format!("{}:{tag}", self.name())
    }

    /// Host and repository as they are written.
    pub(crate) fn name(&self) -> String {
        let path = self.repository.strip_prefix("library/").filter(|_| self.host == "docker.io");
        let path = path.unwrap_or(&self.repository);
        if self.explicit { format!("{}/{path}", self.host) } else { path.to_owned() }
    }

    /// Tag or digest, as it follows the repository.
    pub(crate) fn version(&self) -> String {
        match &self.digest {
            Some(digest) if self.tag.is_empty() => format!("@{digest}"),
            Some(digest) => format!(":{}@{digest}", self.tag),
            None => format!(":{}", self.tag),
        }
    }

    /// The last part of the repository: `prometheus`.
    pub(crate) fn base(&self) -> &str {
        self.repository.rsplit('/').next().unwrap_or_default()
    }

    /// The private registry of Amazon ECR that it lies in.
    pub(crate) fn ecr(&self) -> Option<Ecr<'_>> {
        let (account, rest) = self.host.split_once('.')?;
        let rest = rest.strip_prefix("dkr.ecr.").or_else(|| rest.strip_prefix("dkr-ecr."))?;
        let rest = rest.strip_prefix("fips.").unwrap_or(rest);
        let (region, domain) = rest.split_once('.')?;
        let known = matches!(domain, "amazonaws.com" | "amazonaws.com.cn" | "on.aws" | "on.amazonwebservices.com.cn");
        let number = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
        (known && number).then_some(Ecr { account, region })
    }

    /// Where a registry or catalogue that was closed has moved.
    pub(crate) fn retired(&self) -> Option<Retired> {
        let moved = |host: &str, repository: &str| format!("{host}/{repository}{}", self.version());
        match (self.host.as_str(), self.repository.as_str()) {
            ("docker.io" | "public.ecr.aws" | "quay.io", path) if path.starts_with("bitnami/") => {
                // The archive is frozen and has versions only.
                let name = format!("bitnamilegacy/{}", self.base());
                let old = self.tag != "latest" && self.digest.is_none();
                let image = if old { moved("docker.io", &name) } else { format!("docker.io/{name}:<tag>") };
                Some(Retired {
                    image,
                    why: "Bitnami took its catalogue off the public registries in August and September 2025; what was there is kept in docker.io/bitnamilegacy",
                })
            }
            ("k8s.gcr.io", path) => Some(Retired {
                image: moved("registry.k8s.io", path),
                why: "k8s.gcr.io is frozen and closed in favour of registry.k8s.io",
            }),
            ("gcr.io" | "eu.gcr.io" | "us.gcr.io", path) if path.starts_with("google_containers/") => Some(Retired {
                image: moved("registry.k8s.io", path.trim_start_matches("google_containers/")),
                why: "gcr.io/google_containers is closed in favour of registry.k8s.io",
            }),
            _ => None,
        }
    }

    /// The same image in a registry that does not count pulls.
    pub(crate) fn mirror(&self) -> Option<String> {
        let version = self.version();
        match (self.host.as_str(), self.repository.as_str()) {
            ("docker.io", path) if path.starts_with("prom/") => {
                Some(format!("quay.io/prometheus/{}{version}", self.base()))
            }
            ("docker.io", path) if path.starts_with("library/") => {
                Some(format!("public.ecr.aws/docker/{path}{version}"))
            }
            ("docker.io", "kiwigrid/k8s-sidecar" | "thanosio/thanos") => {
                let organisation = if self.base() == "thanos" { "thanos" } else { "kiwigrid" };
                Some(format!("quay.io/{organisation}/{}{version}", self.base()))
            }
            _ => None,
        }
    }

    /// What was meant, where the name or the tag has a slip that is known of the programs of a stack.
    pub(crate) fn likely(&self) -> Option<String> {
        let known = |path: &&&str| is_slip(path, &self.repository, 2);
        if self.host == "docker.io"
            && let Some(path) = DOCKER_HUB.iter().find(known)
        {
            return Some(format!("{path}{}", self.version()));
        }
        if self.digest.is_some() {
            return None;
        }
        // Prometheus' tags begin with v, Grafana's do not.
        let number = |tag: &str| tag.starts_with(|c: char| c.is_ascii_digit()) && tag.contains('.');
        let wants_v = matches!(
            self.repository.split('/').next(),
            Some("prom" | "prometheus" | "kube-state-metrics" | "prometheus-operator")
        ) || self.repository == "metrics-server/metrics-server";
        if wants_v && number(&self.tag) {
            return Some(self.with_tag(&format!("v{}", self.tag)));
        }
        let bare = self.tag.strip_prefix('v').filter(|t| number(t));
        bare.filter(|_| {
            self.host == "docker.io"
                && matches!(
                    self.repository.as_str(),
                    "grafana/grafana" | "grafana/grafana-oss" | "grafana/grafana-enterprise"
                )
        })
        .map(|tag| self.with_tag(tag))
    }
}

/// Repositories of a stack's programs on Docker Hub.
const DOCKER_HUB: &[&str] = &[
    "prom/prometheus",
    "prom/alertmanager",
    "prom/node-exporter",
    "prom/blackbox-exporter",
    "prom/pushgateway",
    "grafana/grafana",
    "grafana/grafana-oss",
    "grafana/loki",
    "grafana/promtail",
    "grafana/tempo",
];

/// A private registry of Amazon ECR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ecr<'a> {
    pub(crate) account: &'a str,
    pub(crate) region: &'a str,
}

/// An image of a registry that was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Retired {
    /// Where it is now.
    pub(crate) image: String,
    /// What happened.
    pub(crate) why: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Image {
        Image::parse(text).unwrap_or_else(|| panic!("{text} is an image"))
    }

    #[test]
    fn a_port_and_a_digest_are_no_tag() {
        let of = |reference| (base_of(reference), tag_of(reference));
        assert_eq!(of("quay.io:443/x/alertmanager:v0.25.0@sha256:1"), ("alertmanager", Some("v0.25.0")));
        assert_eq!(of("quay.io:443/thanos/thanos@sha256:1"), ("thanos", None));
        assert_eq!(of("prom/alertmanager"), ("alertmanager", None));
    }

    #[test]
    fn takes_references_apart_as_the_runtime_does() {
        for (text, host, repository, tag) in [
            ("nginx", "docker.io", "library/nginx", "latest"),
            ("prom/prometheus:v3.5.0", "docker.io", "prom/prometheus", "v3.5.0"),
            ("quay.io/prometheus/prometheus:v3.5.0@sha256:00", "quay.io", "prometheus/prometheus", "v3.5.0"),
            ("localhost:5000/a/b", "localhost:5000", "a/b", "latest"),
            ("registry.corp:8443/x@sha256:11", "registry.corp:8443", "x", ""),
        ] {
            let image = parse(text);
            assert_eq!((image.host.as_str(), image.repository.as_str(), image.tag.as_str()), (host, repository, tag));
        }
        for text in ["prom/prometheus:", "Prom/prometheus:v1", "prom//prometheus", "https://quay.io/x", "a b"] {
            assert_eq!(Image::parse(text), None, "{text}");
        }
    }

    #[test]
    fn knows_registries_of_ecr() {
        let image = parse("339712948064.dkr.ecr.ap-northeast-2.amazonaws.com/tools/grafana:12");
        assert_eq!(image.ecr(), Some(Ecr { account: "339712948064", region: "ap-northeast-2" }));
        assert_eq!(parse("public.ecr.aws/x/y:1").ecr(), None);
        assert_eq!(parse("quay.io/x/y:1").ecr(), None);
    }

    #[test]
    fn knows_what_was_closed_and_where_it_went() {
        let now = |text: &str| parse(text).retired().map(|r| r.image);
        assert_eq!(
            now("public.ecr.aws/bitnami/metrics-server:0.4.2-debian-10-r30").as_deref(),
            Some("docker.io/bitnamilegacy/metrics-server:0.4.2-debian-10-r30")
        );
        assert_eq!(now("bitnami/kubectl:latest").as_deref(), Some("docker.io/bitnamilegacy/kubectl:<tag>"));
        assert_eq!(
            now("k8s.gcr.io/kube-state-metrics/kube-state-metrics:v2.3.0").as_deref(),
            Some("registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.3.0")
        );
        assert_eq!(now("docker.io/bitnamilegacy/kubectl:1.33"), None);
        assert_eq!(now("prom/prometheus:v3.5.0"), None);
    }

    #[test]
    fn proposes_only_what_is_known() {
        let likely = |text: &str| parse(text).likely();
        assert_eq!(likely("prom/prometheus:3.5.0").as_deref(), Some("prom/prometheus:v3.5.0"));
        assert_eq!(likely("grafana/grafana:v12.1.0").as_deref(), Some("grafana/grafana:12.1.0"));
        assert_eq!(likely("prom/promethues:v3.5.0").as_deref(), Some("prom/prometheus:v3.5.0"));
        assert_eq!(
            likely("quay.io/prometheus/alertmanager:0.28.1").as_deref(),
            Some("quay.io/prometheus/alertmanager:v0.28.1")
        );
        assert_eq!(likely("prom/prometheus:v99.0.0"), None);
        assert_eq!(likely("shop/api:1.2"), None);
        assert_eq!(parse("prom/prometheus:v3.5.0").mirror().as_deref(), Some("quay.io/prometheus/prometheus:v3.5.0"));
    }
}
