//! What an image is known to hold beside its program: which commands `kubectl exec` finds in it.

use super::image::{Version, base_of, tag_of, version};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Pod};
use crate::text::pattern::pattern;

/// What people can run in a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tools {
    /// BusyBox, or nobody knows better: sh, ls, wget and nslookup.
    BusyBox,
    /// A distribution with a shell, but neither wget nor nslookup.
    Shell,
    /// Nothing but the program (distroless, scratch).
    None,
}

/// Nothing is in them, in any version that is met.
const BARE: &[&str] = &[
    "amazon-k8s-cni",
    "aws-ebs-csi-driver",
    "aws-load-balancer-controller",
    "aws-network-policy-agent",
    "cert-manager-cainjector",
    "cert-manager-controller",
    "cert-manager-webhook",
    "cloudwatch-agent",
    "cluster-autoscaler",
    "coredns",
    "csi-attacher",
    "csi-node-driver-registrar",
    "csi-provisioner",
    "csi-resizer",
    "csi-snapshotter",
    "eks-pod-identity-agent",
    "external-dns",
    "external-secrets",
    "fluent-bit",
    "kube-rbac-proxy",
    "kube-state-metrics",
    "livenessprobe",
    "metrics-server",
    "opentelemetry-collector",
    "opentelemetry-collector-contrib",
    "opentelemetry-collector-k8s",
    "prometheus-adapter",
    "prometheus-config-reloader",
    "prometheus-operator",
    "pyroscope",
    "redis_exporter",
];

/// Nothing is in them since a version. Loki since 3.2 and Tempo since 2.8 were built on distroless with BusyBox in it before.
const BARE_SINCE: &[(&str, Version)] = &[
    ("loki", (3, 5, 8)),
    ("loki-canary", (3, 5, 8)),
    ("mimir", (2, 13, 0)),
    ("mimir-distroless", (0, 0, 0)),
    ("tempo", (2, 9, 3)),
    ("tempo-query", (2, 9, 3)),
];

/// Built on Debian, Ubuntu or Amazon Linux.
const WITH_SHELL: &[&str] =
    &["agent", "alloy", "aws-for-fluent-bit", "elasticsearch", "fluentd", "opensearch", "promtail"];

impl Container {
    /// Its image is known to have neither wget nor nslookup.
    pub(crate) fn lacks_wget(&self) -> bool {
        of(&self.image) != Tools::BusyBox
    }

    /// Its image is known to have nothing but its program: no sh, ls or df either.
    pub(crate) fn lacks_shell(&self) -> bool {
        of(&self.image) == Tools::None
    }
}

/// The program that the readiness probe of a pod runs and that its container lacks, by what the kubelet says now.
pub(crate) fn missing_of_probe(snap: &Snapshot, pod: &Pod) -> Option<String> {
    const NOW: i64 = 10 * 60;
    let events = snap.events_about("Pod", &pod.metadata, NOW);
    events.iter().filter(|e| e.reason == "Unhealthy").find_map(|e| missing_program(&e.message))
}

/// `exec: "sh": executable file not found in $PATH`; with a path, `stat /bin/sh: no such file or directory`.
fn missing_program(message: &str) -> Option<String> {
    let named = pattern!(r#"exec: "([^"]+)": (?:executable file not found|stat [^:]+: no such file or directory)"#);
    let is_readiness = message.starts_with("Readiness probe");
    named.captures(message).filter(|_| is_readiness).map(|found| found[1].to_owned())
}

fn of(image: &str) -> Tools {
    let (base, tag) = (base_of(image), tag_of(image).unwrap_or_default());
    let tagged = |part: &str| tag.split(['-', '.', '_']).any(|word| word == part);
    let path = image.split('@').next().unwrap_or_default();
    if ["debug", "dev", "alpine", "busybox"].into_iter().any(tagged) || base.ends_with("-alpine") {
        return Tools::BusyBox;
    }
    if tagged("distroless") || tagged("scratch") || base.ends_with("-distroless") {
        return Tools::None;
    }
    // Hardened images, whatever they hold.
    if ["cgr.dev/", "dhi.io/"].iter().any(|host| path.starts_with(host)) || path.contains("/chainguard/") {
        return Tools::None;
    }
    // A version that is not written is a new one.
    let since = BARE_SINCE.iter().find(|(name, _)| *name == base);
    if BARE.contains(&base) || since.is_some_and(|(_, since)| version(tag).is_none_or(|v| v >= *since)) {
        return Tools::None;
    }
    let distribution = ["ubuntu", "debian", "ubi8", "ubi9", "photon", "rhel8", "rhel9"].into_iter().any(tagged);
    let vendor = path.split('/').any(|part| {
        part.starts_with("bitnami")
            || matches!(part, "registry.redhat.io" | "openshift" | "openshift4" | "openshift-release-dev")
    });
    if distribution || vendor || WITH_SHELL.contains(&base) { Tools::Shell } else { Tools::BusyBox }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_that_cannot_run_names_its_program() {
        let errored = "Readiness probe errored and resulted in unknown state: rpc error: code = Unknown desc = failed to exec in container: failed to start exec \"3a\": OCI runtime exec failed: exec failed: unable to start container process: exec: \"sh\": executable file not found in $PATH: unknown";
        assert_eq!(missing_program(errored).as_deref(), Some("sh"));
        let older = "Readiness probe failed: OCI runtime exec failed: exec failed: container_linux.go:380: starting container process caused: exec: \"/bin/grpc_health_probe\": stat /bin/grpc_health_probe: no such file or directory: unknown";
        assert_eq!(missing_program(older).as_deref(), Some("/bin/grpc_health_probe"));
        assert_eq!(
            missing_program("Readiness probe failed: cat: can't open '/tmp/ready': No such file or directory"),
            None
        );
        assert_eq!(missing_program(&errored.replace("Readiness", "Liveness")), None);
    }

    #[test]
    fn images_are_known_by_name_tag_and_registry() {
        for image in [
            "quay.io/prometheus/prometheus:v3.10.0-distroless",
            "quay.io/prometheus-operator/prometheus-operator:v0.86.1",
            "registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.17.0",
            "docker.io/grafana/loki:3.5.8",
            "grafana/tempo:2.10.0",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com/mirror/loki@sha256:00",
            "grafana/mimir:2.17.1",
            "grafana/grafana:13.3.0-distroless-slim",
            "victoriametrics/victoria-metrics:v1.130.0-scratch",
            "cgr.dev/chainguard/prometheus:latest",
            "602401143452.dkr.ecr.eu-west-1.amazonaws.com/eks/coredns:v1.11.4-eksbuild.2",
        ] {
            assert_eq!(of(image), Tools::None, "{image}");
        }
        for image in [
            "quay.io/prometheus/prometheus:v3.5.0",
            "prom/alertmanager:v0.28.1",
            "grafana/grafana:12.3.0",
            "grafana/loki:2.9.10",
            "grafana/loki:3.1.1",
            "grafana/loki:3.5.7",
            "grafana/tempo:2.7.2",
            "grafana/tempo:2.9.2",
            "grafana/mimir-alpine:2.17.1",
            "quay.io/thanos/thanos:v0.39.2",
            "cgr.dev/chainguard/prometheus:latest-dev",
            "fluent/fluent-bit:4.1.0-debug",
            "example.org/unknown:1",
            "",
        ] {
            assert_eq!(of(image), Tools::BusyBox, "{image}");
        }
        for image in [
            "grafana/grafana:12.3.0-ubuntu",
            "docker.io/bitnamilegacy/prometheus:3.5.0-debian-12-r0",
            "grafana/alloy:v1.11.0",
            "registry.redhat.io/openshift4/ose-prometheus-rhel9:v4.18",
        ] {
            assert_eq!(of(image), Tools::Shell, "{image}");
        }
    }
}
