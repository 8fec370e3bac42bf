//! Why an image could not be pulled: the words of kubelet, containerd and the registries, taken apart.

use crate::domain::kubernetes::image::Image;

/// Why an image could not be pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// The reference is not one.
    InvalidName,
    /// `imagePullPolicy: Never`, and the node does not have it.
    NeverPulled,
    /// The registry counts pulls, and there were too many.
    RateLimit,
    /// The registry does not have the repository or the tag.
    NotFound,
    /// The repository does not exist, or the registry does not say so to strangers.
    Denied,
    /// Credentials are missing or refused.
    Unauthorized,
    /// No build for the node's architecture.
    Platform,
    /// It is stored in a format that the node's runtime does not take any more.
    Format,
    /// The registry's name does not resolve.
    Dns,
    /// The registry's certificate is not accepted, or it does not speak TLS.
    Tls,
    /// A page for people comes in place of the registry's answer: of a proxy, a login, or a web server.
    Page,
    /// No answer from the registry.
    Network,
    /// The registry answered with a fault of its own.
    Server,
    /// The node's disk is full.
    Disk,
    /// The node's runtime does not find a layer that it takes for unpacked.
    Layers,
    /// The kubelet starts only so many pulls at once, and has more to do.
    Kubelet,
    /// Something else.
    Other,
}

/// What a registry of ECR says of a login that is older than twelve hours.
const EXPIRED: &str = "authorization token has expired";

impl Cause {
    /// What the reason is about: the image itself, or its registry and so all images from there.
    pub(crate) fn concerns(self, image: &str) -> String {
        match self {
            Self::InvalidName
            | Self::NeverPulled
            | Self::NotFound
            | Self::Denied
            | Self::Platform
            | Self::Format
            | Self::Layers
            | Self::Kubelet => image.to_owned(),
            _ => Image::parse(image).map_or_else(|| image.to_owned(), |i| i.host),
        }
    }

    /// Reads the kubelet's reason and message.
    pub(crate) fn of(reason: &str, message: &str) -> Self {
        match reason {
            "InvalidImageName" => return Self::InvalidName,
            "ErrImageNeverPull" => return Self::NeverPulled,
            _ => {}
        }
        let text = message.to_ascii_lowercase();
        let has = |parts: &[&str]| parts.iter().any(|p| text.contains(p));
        if has(&["couldn't parse image", "invalid reference format", "failed to apply default image tag"]) {
            return Self::InvalidName;
        }
        if has(&["toomanyrequests", "too many requests", "pull rate limit", "status code 429", "rate exceeded"]) {
            return Self::RateLimit;
        }
        if has(&["pull qps exceeded"]) {
            return Self::Kubelet;
        }
        if has(&["no space left on device"]) {
            return Self::Disk;
        }
        // A page that tells of a fault of the registry's own is its answer.
        let page = ["media type text/html", "content type text/html", "invalid character '<' looking for beginning"];
        if has(&page) && !has(&["http 5", "status code 5"]) {
            return Self::Page;
        }
        // What is not found is a layer in the runtime's own store, and not the image.
        let layer = ["extraction snapshot", "parent snapshot", "missing parent"];
        if has(&layer) && has(&["not found", "does not exist"]) {
            return Self::Layers;
        }
        // Schema 1 of Docker's manifests: refused by containerd 2.1 and later, and by Docker.
        if has(&["distribution.manifest.v1+", "manifest version 2, schema 1 support"]) {
            return Self::Format;
        }
        if has(&[
            "no match for platform",
            "no matching manifest for",
            "no image found in manifest list",
            "no image found in image index",
            "does not match the specified platform",
        ]) {
            return Self::Platform;
        }
        if has(&["no such host", "server misbehaving", "temporary failure in name resolution"])
            || (has(&["lookup "]) && has(&["timeout", "refused", "unreachable"]))
        {
            return Self::Dns;
        }
        if has(&[
            "x509:",
            "certificate",
            "server gave http response",
            "first record does not look like a tls",
            "remote error: tls",
            "tls: failed",
            "tls: handshake failure",
        ]) {
            return Self::Tls;
        }
        if let Some(reason) = Self::of_answer(&text) {
            return reason;
        }
        let silent = [
            "i/o timeout",
            "deadline exceeded",
            "timeout",
            "timed out",
            "no route to host",
            "network is unreachable",
            "connection refused",
            "connection reset",
            "unexpected eof",
            "eof",
        ];
        if has(&silent) { Self::Network } else { Self::Other }
    }

    /// What the registry answered.
    fn of_answer(text: &str) -> Option<Self> {
        let has = |parts: &[&str]| parts.iter().any(|p| text.contains(p));
        // Docker Hub does not tell a stranger a private repository from none at all.
        if has(&["pull access denied", "repository does not exist or may require", "insufficient_scope"])
            && !has(&["no basic auth credentials", EXPIRED])
        {
            return Some(Self::Denied);
        }
        if has(&[
            "no basic auth credentials",
            "unauthorized",
            "authentication required",
            EXPIRED,
            "not authorized to perform",
            "accessdenied",
            "403 forbidden",
            "401 unauthorized",
            "failed to fetch anonymous token",
            "denied:",
            "invalid username",
            "incorrect username or password",
            "requested access to the resource is denied",
        ]) {
            return Some(Self::Unauthorized);
        }
        if has(&["500 internal", "502 bad", "503 service", "504 gateway", "unexpected status code 5"]) {
            return Some(Self::Server);
        }
        has(&[
            "not found",
            "notfound",
            "manifest unknown",
            "manifest_unknown",
            "name unknown",
            "name_unknown",
            "does not exist",
        ])
        .then_some(Self::NotFound)
    }

    /// The mirror that containerd asked instead of the registry: it names the registry in the query (`?ns=docker.io`).
    pub(crate) fn mirror(text: &str) -> Option<&str> {
        let urls = text.split('"').filter(|part| part.starts_with("http"));
        let mut asked = urls.filter(|url| url.contains("?ns=") || url.contains("&ns="));
        asked.next()?.split_once("://")?.1.split('/').next()
    }

    /// The host that was asked last, which may be another one than that of the image: registries lead on to where the parts lie.
    pub(crate) fn asked(text: &str) -> Option<&str> {
        let (_, request) = text.rsplit_once("failed to do request: ")?;
        let url = request.split('"').map(|part| part.trim_end_matches('\\')).find(|part| part.starts_with("http"))?;
        url.split_once("://")?.1.split(['/', '?']).next().filter(|host| !host.is_empty())
    }

    /// The login that was sent was good once: that of a pull secret, since the kubelet renews its own.
    pub(crate) fn is_expired(text: &str) -> bool {
        text.to_ascii_lowercase().contains(EXPIRED)
    }

    /// As the end of a sentence.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::InvalidName => "it is not a valid image name",
            Self::NeverPulled => "imagePullPolicy is Never, and the node does not have it",
            Self::RateLimit => "the registry's rate limit is reached",
            Self::NotFound => "the registry does not have it",
            Self::Denied => "the repository does not exist, or it is private and no credentials were given",
            Self::Unauthorized => "the registry refuses the credentials, or none were given",
            Self::Platform => "it has no build for the node's architecture",
            Self::Format => {
                "it is stored in a format that the node's runtime does not take any more (schema 1 of Docker's manifests)"
            }
            Self::Dns => "the name of the registry does not resolve",
            Self::Tls => "the TLS connection to the registry fails",
            Self::Page => {
                "a page for people (HTML) comes in place of the registry's answer: of a proxy, a login, or a web server that is no registry"
            }
            Self::Network => "the registry cannot be reached",
            Self::Server => "the registry has a fault of its own",
            Self::Disk => "the node's disk is full",
            Self::Layers => {
                "the node's runtime has lost a layer that it takes for unpacked: its store on the node is damaged"
            }
            Self::Kubelet => {
                "the kubelet of its node starts only so many pulls in a second, and had more to do; it tries again by itself"
            }
            Self::Other => "the pull failed",
        }
    }

    /// The way to the registry, or what answers there, and not the image.
    pub(crate) fn is_of_the_way(self) -> bool {
        matches!(self, Self::Dns | Self::Tls | Self::Page | Self::Network | Self::Server | Self::Unauthorized)
    }

    /// Failures that a missing way to the registry can cause.
    pub(crate) fn may_be_egress(self) -> bool {
        matches!(self, Self::Network | Self::Dns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_that_was_asked_last() {
        let led_on = r#"failed to copy: httpReadSeeker: failed open: failed to do request: Get "https://production.cloudflare.docker.com/registry-v2/data?verify=1": dial tcp 104.16.101.215:443: i/o timeout"#;
        assert_eq!(Cause::asked(led_on), Some("production.cloudflare.docker.com"));
        let own = r#"failed to do request: Head \"https://registry-1.docker.io/v2/grafana/grafana/manifests/12.1.0\": dial tcp: i/o timeout"#;
        assert_eq!(Cause::asked(own), Some("registry-1.docker.io"));
        assert_eq!(Cause::asked("failed to resolve reference: not found"), None);
    }

    #[test]
    fn a_mirror_names_the_registry_that_it_stands_for() {
        let asked = r#"failed to do request: Head "https://mirror.corp.internal:5000/v2/grafana/grafana/manifests/12.1.0?ns=docker.io": dial tcp 10.200.9.9:5000: connect: connection refused"#;
        assert_eq!(Cause::mirror(asked), Some("mirror.corp.internal:5000"));
        let own = r#"failed to do request: Head "https://registry-1.docker.io/v2/grafana/grafana/manifests/12.1.0": dial tcp: i/o timeout"#;
        assert_eq!(Cause::mirror(own), None);
    }

    #[test]
    fn tells_the_reasons_apart_in_the_words_of_runtimes_and_registries() {
        let cases = [
            (r#"Failed to pull image "quay.io/prometheus/prometheus:v3.5.0": pull QPS exceeded"#, Cause::Kubelet),
            (
                r#"Failed to pull image "bitnami/kubectl:latest": rpc error: code = NotFound desc = failed to pull and unpack image "docker.io/bitnami/kubectl:latest": failed to resolve reference "docker.io/bitnami/kubectl:latest": docker.io/bitnami/kubectl:latest: not found"#,
                Cause::NotFound,
            ),
            (
                r#"Back-off pulling image "prom/prometheus:v9": ErrImagePull: rpc error: code = NotFound desc = failed to pull and unpack image: manifest unknown"#,
                Cause::NotFound,
            ),
            (
                r#"failed to resolve reference "docker.io/shop/x:1": pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed"#,
                Cause::Denied,
            ),
            (
                r#"failed to resolve reference "1.dkr.ecr.eu-west-1.amazonaws.com/x:1": pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials"#,
                Cause::Unauthorized,
            ),
            (
                r#"unexpected status from HEAD request to https://1.dkr.ecr.eu-west-1.amazonaws.com/v2/x/manifests/1: 403 Forbidden"#,
                Cause::Unauthorized,
            ),
            (
                r#"failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://ghcr.io/token: 403 Forbidden"#,
                Cause::Unauthorized,
            ),
            (
                "failed to copy: httpReadSeeker: failed open: unexpected status code https://registry-1.docker.io/v2/grafana/grafana/manifests/sha256:1: 429 Too Many Requests - Server message: toomanyrequests: You have reached your unauthenticated pull rate limit.",
                Cause::RateLimit,
            ),
            (
                r#"failed to do request: Head "https://registry-1.docker.io/v2/prom/prometheus/manifests/v2.53.5": dial tcp 3.94.224.37:443: i/o timeout"#,
                Cause::Network,
            ),
            (
                r#"failed to do request: Head "https://quay.io/v2/": dial tcp: lookup quay.io on 10.0.0.2:53: no such host"#,
                Cause::Dns,
            ),
            (
                r#"failed to do request: Head "https://quay.io/v2/": dial tcp: lookup quay.io on 10.0.0.2:53: read udp 10.0.1.9:4->10.0.0.2:53: i/o timeout"#,
                Cause::Dns,
            ),
            (
                r#"failed to do request: Head "https://registry.corp/v2/": tls: failed to verify certificate: x509: certificate signed by unknown authority"#,
                Cause::Tls,
            ),
            (r#"Head "https://registry.corp:5000/v2/": http: server gave HTTP response to HTTPS client"#, Cause::Tls),
            (r#"failed to do request: Head "https://quay.io/v2/": net/http: TLS handshake timeout"#, Cause::Network),
            ("failed to pull and unpack image: no match for platform in manifest: not found", Cause::Platform),
            (
                r#"failed to pull and unpack image "quay.io/x/y:v0.0.1": not implemented: media type "application/vnd.docker.distribution.manifest.v1+prettyjws" is no longer supported since containerd v2.1, please rebuild the image as "application/vnd.docker.distribution.manifest.v2+json" or "application/vnd.oci.image.manifest.v1+json""#,
                Cause::Format,
            ),
            (
                "Error response from daemon: [DEPRECATION NOTICE] Docker Image Format v1 and Docker Image manifest version 2, schema 1 support is disabled by default and will be removed in an upcoming release.",
                Cause::Format,
            ),
            (
                "write /var/lib/containerd/io.containerd.content.v1.content/ingest/x: no space left on device",
                Cause::Disk,
            ),
            ("unexpected status from HEAD request to https://quay.io/v2/x: 502 Bad Gateway", Cause::Server),
            (
                r#"failed to resolve reference "quay.io/x/y:v1": unexpected media type text/html for sha256:0a1b: not found"#,
                Cause::Page,
            ),
            (
                "Error response from daemon: error parsing HTTP 403 response body: invalid character '<' looking for beginning of value: \"<html>Access to this site is blocked\"",
                Cause::Page,
            ),
            (
                "error parsing HTTP 503 response body: invalid character '<' looking for beginning of value: \"<html><title>503 Service Temporarily Unavailable\"",
                Cause::Server,
            ),
            (
                "rpc error: code = NotFound desc = failed to pull and unpack image \"docker.io/grafana/grafana:13.2.0\": failed to prepare extraction snapshot \"extract-79-7389 sha256:9281\": parent snapshot sha256:0b16 does not exist: not found",
                Cause::Layers,
            ),
            ("context canceled", Cause::Other),
        ];
        for (message, reason) in cases {
            assert_eq!(Cause::of("ErrImagePull", message), reason, "{message}");
        }
        assert_eq!(Cause::of("InvalidImageName", ""), Cause::InvalidName);
        assert_eq!(
            Cause::of("ErrImageNeverPull", "Container image is not present with pull policy of Never"),
            Cause::NeverPulled
        );
    }
}
