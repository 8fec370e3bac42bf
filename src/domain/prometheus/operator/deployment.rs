//! The operator itself: its Deployments, their version and the namespaces that each watches.

use std::collections::BTreeSet;

use crate::domain::kubernetes::arguments;
pub(crate) use crate::domain::kubernetes::image::{Version, version};
use crate::domain::kubernetes::image::{base_of, tag_of};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Workload};

/// Namespaces that an operator watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All but these.
    AllBut(BTreeSet<String>),
    /// These alone.
    Only(BTreeSet<String>),
}

impl Scope {
    /// Whether a namespace is watched.
    pub(crate) fn holds(&self, namespace: &str) -> bool {
        match self {
            Self::AllBut(denied) => !denied.contains(namespace),
            Self::Only(allowed) => allowed.contains(namespace),
        }
    }
}

/// A Deployment that runs the operator.
#[derive(Debug, Clone)]
pub(crate) struct Operator<'a> {
    pub(crate) workload: &'a Workload,
    pub(crate) container: &'a Container,
}

impl Operator<'_> {
    /// By the image's tag, else by the tag of the reloader that it sets beside each server.
    pub(crate) fn version(&self) -> Option<Version> {
        let of_image = version_of_image(&self.container.image);
        of_image.or_else(|| arguments::flag(self.container, "prometheus-config-reloader").and_then(version_of_image))
    }

    /// Where it looks for monitors and rules.
    pub(crate) fn scope(&self) -> Scope {
        scope(self.container, None)
    }

    /// Where it looks for servers of a kind.
    pub(crate) fn servers_scope(&self, kind: &str) -> Scope {
        let flag = match kind {
            "Alertmanager" => "alertmanager-instance-namespaces",
            "ThanosRuler" => "thanos-ruler-instance-namespaces",
            _ => "prometheus-instance-namespaces",
        };
        scope(self.container, Some(flag))
    }

    /// It takes only servers with certain labels, or with its own id.
    pub(crate) fn is_picky(&self) -> bool {
        let flags = ["controller-id", "prometheus-instance-selector", "alertmanager-instance-selector"];
        flags.iter().any(|f| arguments::flag(self.container, f).is_some_and(|v| !v.is_empty()))
    }

    /// Replicas that it wants, none of which is ready.
    pub(crate) fn is_down(&self) -> bool {
        self.workload.desired() == 0 || self.workload.ready() == 0
    }
}

fn list(container: &Container, flag: &str) -> BTreeSet<String> {
    let values = arguments::flags(container, flag).flat_map(|v| v.split(','));
    values.map(str::trim).filter(|v| !v.is_empty() && !v.contains('$')).map(str::to_owned).collect()
}

fn scope(container: &Container, instances: Option<&str>) -> Scope {
    let own = instances.map(|flag| list(container, flag)).filter(|l| !l.is_empty());
    let allowed = own.unwrap_or_else(|| list(container, "namespaces"));
    if allowed.is_empty() { Scope::AllBut(list(container, "deny-namespaces")) } else { Scope::Only(allowed) }
}

/// The operators among the workloads that were read.
pub(crate) fn operators(snap: &Snapshot) -> Vec<Operator<'_>> {
    let workloads = snap.workloads.items().unwrap_or_default().iter().filter(|w| w.kind == "Deployment");
    let mut found: Vec<Operator<'_>> = workloads
        .filter_map(|workload| {
            let container = workload.spec.template.spec.containers.iter().find(|c| is_operator(c))?;
            Some(Operator { workload, container })
        })
        .collect();
    found.sort_by_key(|o| (&o.workload.metadata.namespace, &o.workload.metadata.name));
    found
}

/// By its image, whose copies keep the last part of the name, or by a flag that nothing else has. The webhook and the reloader
/// have names of their own.
pub(crate) fn is_operator(container: &Container) -> bool {
    base_of(&container.image).ends_with("prometheus-operator")
        || arguments::flag(container, "prometheus-config-reloader").is_some()
}

/// Whether some operator looks at a namespace. True where none was seen: then nobody knows.
pub(crate) fn watched(operators: &[Operator<'_>], namespace: &str) -> bool {
    operators.is_empty() || operators.iter().any(|o| o.scope().holds(namespace))
}

/// `quay.io/…/prometheus-operator:v0.93.1@sha256:…` → 0.93.1.
pub(crate) fn version_of_image(image: &str) -> Option<Version> {
    version(tag_of(image)?)
}

/// The PromQL that an operator's own parser reads: it is built with Prometheus' parser, of one minor version more with each
/// of its own since 0.79. Of what is not known the newest that it can be, so that nothing is called unknown to it that it
/// reads.
pub(crate) fn promql_of(version: Version) -> Option<(u16, u16)> {
    match version {
        v if v < (0, 48, 0) => Some((2, 25)),
        v if v < (0, 76, 0) => Some((2, 53)),
        v if v < (0, 79, 0) => Some((2, 55)),
        (0, minor, _) => Some((3, minor - 79)),
        _ => None,
    }
}

/// Since this version an operator reads experimental functions where its server does; before, it refuses all of them.
pub(crate) const READS_EXPERIMENTAL: Version = (0, 92, 0);

/// `0.93.1`.
pub(crate) fn version_text(version: Version) -> String {
    format!("{}.{}.{}", version.0, version.1, version.2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(image: &str, args: &[&str]) -> Container {
        Container {
            image: image.to_owned(),
            args: args.iter().map(|a| (*a).to_owned()).collect(),
            ..Container::default()
        }
    }

    #[test]
    fn knows_the_operator_by_its_image_or_its_flags() {
        assert!(is_operator(&container("quay.io/prometheus-operator/prometheus-operator:v0.93.1", &[])));
        assert!(is_operator(&container("registry/mirror/x@sha256:1", &["--prometheus-config-reloader=a:v0.70.0"])));
        assert!(!is_operator(&container("quay.io/prometheus-operator/prometheus-config-reloader:v0.93.1", &[])));
        assert!(!is_operator(&container("quay.io/prometheus-operator/admission-webhook:v0.93.1", &[])));
        assert!(!is_operator(&container("ghcr.io/open-telemetry/opentelemetry-operator:0.1.0", &[])));
    }

    #[test]
    fn reads_versions() {
        assert_eq!(version_of_image("q.io/a/prometheus-operator:v0.93.1@sha256:0"), Some((0, 93, 1)));
        assert_eq!(version_of_image("q.io:5000/a/prometheus-operator"), None);
        assert_eq!(version("0.45"), Some((0, 45, 0)));
        assert_eq!(version("main"), None);
    }

    #[test]
    fn knows_the_parser_that_an_operator_is_built_with() {
        assert_eq!(promql_of((0, 75, 2)), Some((2, 53)));
        assert_eq!(promql_of((0, 78, 1)), Some((2, 55)));
        assert_eq!(promql_of((0, 79, 0)), Some((3, 0)));
        assert_eq!(promql_of((0, 82, 0)), Some((3, 3)));
        assert!(promql_of((0, 93, 1)) >= Some((3, 13)));
        assert_eq!(promql_of((1, 0, 0)), None);
    }

    #[test]
    fn reads_the_namespaces_that_are_watched() {
        let only = container("x", &["--namespaces=a,b", "--namespaces=c"]);
        assert!(scope(&only, None).holds("c") && !scope(&only, None).holds("d"));
        let not = container("x", &["--deny-namespaces=d"]);
        assert!(scope(&not, None).holds("a") && !scope(&not, None).holds("d"));
        let own = container("x", &["--prometheus-instance-namespaces=m", "--namespaces=a"]);
        assert!(scope(&own, Some("prometheus-instance-namespaces")).holds("m"));
        assert!(scope(&container("x", &[]), None).holds("any"));
    }
}
