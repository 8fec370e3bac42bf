//! The Prometheus that sends, the Alertmanager that is to get it, and what commands hold of both.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::alertmanager::pods::alertmanager_pods;
use crate::domain::kubernetes::owner::{self, Target, keeper};
use crate::domain::prometheus::running_config;
use crate::model::Program;
use crate::snapshot::kubernetes::Pod;
use crate::snapshot::{Component, Snapshot};

/// A change of Prometheus' configuration: the values of the shared steps `change-alerting`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Change {
    pub(super) namespace: String,
    pub(super) workload: String,
    /// The operator's resource that makes the configuration.
    pub(super) custom: Option<String>,
    pub(super) config_map: Option<String>,
    pub(super) managed_by: String,
    /// Something lets Prometheus read a new file.
    pub(super) reloads: bool,
    /// A step before has patched the resource.
    pub(super) is_patched: bool,
}

/// A change, with the key of the ConfigMap.
#[derive(Serialize, JsonSchema)]
pub(super) struct ChangeLine {
    pub(super) config_key: String,
    #[serde(flatten)]
    pub(super) change: Change,
}

/// The Service to name instead of what is configured.
#[derive(Serialize, JsonSchema)]
pub(super) struct Instead {
    pub(super) host_port: String,
    pub(super) am_namespace: String,
    pub(super) am_service: String,
    pub(super) am_port_name: String,
    pub(super) am_target: String,
    #[serde(flatten)]
    pub(super) change: ChangeLine,
}

/// The stack's Alertmanager.
#[derive(Serialize, JsonSchema)]
pub(super) struct Alertmanager {
    pub(super) am_namespace: String,
    pub(super) am_pod: String,
    pub(super) am_container: String,
}

/// The Prometheus that a finding is about.
pub(super) struct Prometheus<'a> {
    pub(super) snap: &'a Snapshot,
    pub(super) pod: Option<&'a Pod>,
}

impl<'a> Prometheus<'a> {
    pub(super) fn change(&self, is_patched: bool) -> Change {
        let target = self.pod.map(|p| Target::of(self.snap, p));
        let custom = self.custom();
        let file = running_config::in_file(self.snap);
        let managed_by = match (&custom, file) {
            (None, Some((map, _, _))) => keeper(&map.metadata),
            _ => target.as_ref().map(|t| t.managed_by.clone()).unwrap_or_default(),
        };
        Change {
            namespace: self.namespace(),
            workload: target.map_or_else(|| "<deployment or statefulset of Prometheus>".to_owned(), |t| t.name),
            custom,
            config_map: file.map(|(map, _, _)| map.metadata.name.clone()),
            managed_by,
            reloads: self.pod.is_some_and(|p| owner::reloads(&p.spec)),
            is_patched,
        }
    }

    pub(super) fn line(&self, is_patched: bool) -> ChangeLine {
        let config_key = running_config::in_file(self.snap).map_or("prometheus.yml", |(_, key, _)| key).to_owned();
        ChangeLine { config_key, change: self.change(is_patched) }
    }

    /// The operator's Prometheus.
    pub(super) fn custom(&self) -> Option<String> {
        let (kind, name) = Target::of(self.snap, self.pod?).custom?;
        (kind == "prometheus").then(|| name.to_owned())
    }

    pub(super) fn namespace(&self) -> String {
        self.pod.map_or("<namespace>", |p| p.metadata.namespace.as_str()).to_owned()
    }

    pub(super) fn container(&self) -> String {
        let all = self.pod.map(|p| p.spec.containers.as_slice()).unwrap_or_default();
        let own = all.iter().find(|c| c.program() == Some(Program::Prometheus));
        own.map_or("prometheus", |c| c.name.as_str()).to_owned()
    }

    pub(super) fn stack(&self) -> Option<&'a Component> {
        self.snap.scope.alertmanager.as_ref()
    }

    pub(super) fn am_namespace(&self) -> String {
        self.stack().map_or("<namespace>", |c| c.namespace.as_str()).to_owned()
    }

    pub(super) fn am_service(&self) -> String {
        self.stack().map_or("<alertmanager-service>", |c| c.service.as_str()).to_owned()
    }

    pub(super) fn am_target(&self) -> String {
        let named = self.stack().map(|c| format!("{}.{}.svc:{}", c.service, c.namespace, c.port));
        named.unwrap_or_else(|| "<alertmanager-service>.<namespace>.svc:9093".to_owned())
    }

    /// The name of its port, else the number.
    pub(super) fn am_port_name(&self) -> String {
        let port = self.stack().map_or(9093, |c| c.port);
        let service = super::finding::alertmanager_service(self.snap);
        let named = service.and_then(|s| s.spec.ports.iter().find(|p| p.port == port)).and_then(|p| p.name.clone());
        named.unwrap_or_else(|| port.to_string())
    }

    pub(super) fn alertmanager(&self) -> Alertmanager {
        let pod = alertmanager_pods(self.snap).into_iter().next();
        Alertmanager {
            am_namespace: self.am_namespace(),
            am_pod: pod.map_or("<alertmanager-pod>", |(p, _)| p.metadata.name.as_str()).to_owned(),
            am_container: pod.map_or("alertmanager", |(_, c)| c.name.as_str()).to_owned(),
        }
    }
}
