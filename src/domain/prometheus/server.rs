//! A container that runs Prometheus, and how it is told to run.

use crate::domain::kubernetes::image::tag_of;
use crate::domain::kubernetes::mounts::Mounts;
use crate::domain::kubernetes::{arguments, owner};
use crate::lint::rules::Features;
use crate::model::Program;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Workload};

/// A container of Prometheus and the workload that it belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Server<'a> {
    /// The workload.
    pub(crate) workload: &'a Workload,
    /// The container.
    pub(crate) container: &'a Container,
}

/// The servers of the stack.
pub(crate) fn servers(snap: &Snapshot) -> Vec<Server<'_>> {
    let workloads = snap.workloads.items().unwrap_or_default().iter();
    let of_stack = workloads.filter(|w| snap.scope.is_stack(&w.metadata.namespace));
    of_stack
        .flat_map(|workload| {
            let containers = workload.spec.template.spec.containers.iter();
            containers
                .filter(|c| c.program() == Some(Program::Prometheus))
                .map(move |container| Server { workload, container })
        })
        .collect()
}

impl<'a> Server<'a> {
    /// True if a flag is there.
    pub(crate) fn has_flag(self, name: &str) -> bool {
        arguments::has_flag(self.container, name)
    }

    /// The configuration file: the flag's, or the image's default. `None` where a value is only known at run time.
    pub(crate) fn config_file(self) -> Option<&'a str> {
        arguments::config_file(self.container)
    }

    /// It runs in agent mode: by its flag, or by the feature, which Prometheus passes over since 3.0.
    pub(crate) fn is_agent(self) -> bool {
        let mut features = arguments::flags(self.container, "enable-feature").flat_map(|f| f.split(','));
        let passed_over = || tag_of(&self.container.image).and_then(numbers).is_some_and(|(major, _)| major >= 3);
        self.has_flag("agent") || (features.any(|f| f == "agent") && !passed_over())
    }

    /// Which parts of PromQL its arguments switch on.
    pub(crate) fn promql_features(self) -> Features {
        let on = |name: &str| {
            arguments::flags(self.container, "enable-feature").flat_map(|f| f.split(',')).any(|f| f == name)
        };
        Features {
            experimental_functions: on("promql-experimental-functions"),
            duration_expressions: on("promql-duration-expr"),
        }
    }

    /// Major and minor by the image's tag, else by what Prometheus says where it is the only one.
    pub(crate) fn version(self, snap: &Snapshot) -> Option<(u16, u16)> {
        let said = || match servers(snap).len() {
            1 => snap.prometheus_runtime().ok().and_then(|r| numbers(&r.version)),
            _ => None,
        };
        tag_of(&self.container.image).and_then(numbers).or_else(said)
    }

    /// `deployment/prometheus`, as kubectl takes it.
    pub(crate) fn target(self) -> String {
        self.workload.kubectl_name()
    }

    /// Its namespace.
    pub(crate) fn namespace(self) -> &'a str {
        &self.workload.metadata.namespace
    }

    /// The operator's resource that it is made from.
    pub(crate) fn operator_resource(self) -> Option<&'a str> {
        owner::operator_owner(&self.workload.metadata).filter(|(kind, _)| *kind == "prometheus").map(|(_, name)| name)
    }

    /// A side-car reloads it when its files change.
    pub(crate) fn reloads(self) -> bool {
        owner::reloads(&self.workload.spec.template.spec)
    }

    /// What it mounts.
    pub(crate) fn mounts(self, snap: &'a Snapshot) -> Mounts<'a> {
        Mounts::of(snap, self.workload, self.container)
    }
}

/// `v2.53.5`, `3.5.0-distroless` → 2.53, 3.5.
pub(crate) fn numbers(text: &str) -> Option<(u16, u16)> {
    let mut parts = text.trim_start_matches('v').split(['.', '-', '+']);
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next()?.parse().ok()?;
    (2..100).contains(&major).then_some((major, minor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing::snapshot;
    use serde_json::json;

    #[test]
    fn reads_the_command_line() {
        let container = json!({"name": "main", "image": "quay.io/prometheus/prometheus:v2.53.5@sha256:0",
            "args": ["--config.file", "/etc/p/prometheus.yml", "--web.enable-lifecycle", "--enable-feature=a", "--enable-feature=b,agent"]});
        let workload = json!({"metadata": {"namespace": "monitoring", "name": "prometheus"},
            "spec": {"template": {"spec": {"containers": [container]}}}});
        let snap = snapshot(json!({"workloads": [workload]}));
        let server = servers(&snap)[0];
        assert_eq!(server.config_file(), Some("/etc/p/prometheus.yml"));
        assert!(server.has_flag("web.enable-lifecycle") && server.is_agent());
        assert_eq!(server.version(&snap), Some((2, 53)));
        assert_eq!(server.target(), "deployment/prometheus");
    }

    /// It only warns of the feature, and loads its rules.
    #[test]
    fn newer_versions_are_agents_by_their_flag_alone() {
        let is_agent = |tag: &str, argument: &str| {
            let container = json!({"name": "main", "image": format!("prom/prometheus:{tag}"), "args": [argument]});
            let workload = json!({"metadata": {"namespace": "monitoring", "name": "prometheus"},
                "spec": {"template": {"spec": {"containers": [container]}}}});
            let snap = snapshot(json!({"workloads": [workload]}));
            servers(&snap)[0].is_agent()
        };
        assert!(is_agent("v2.53.5", "--enable-feature=agent") && is_agent("v3.5.0", "--agent"));
        assert!(!is_agent("v3.5.0", "--enable-feature=agent"));
    }
}
