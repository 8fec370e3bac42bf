//! What brings alerts to an Alertmanager, and what its commands hold.

use schemars::JsonSchema;
use serde::Serialize;

use super::case::Case;
use super::prometheus::{Alertmanager, Change, ChangeLine, Instead, Prometheus};
use crate::domain::kubernetes::endpoints;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::owner::Target;
use crate::domain::prometheus::operator::front;
use crate::domain::prometheus::targets::prometheus_path;
use crate::domain::text::redact::redact;
use crate::domain::text::send_error::SendFailure;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Service;

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fix {
    /// The Alertmanagers that Prometheus knows, and the errors of the last minutes: through the API server or at a URL.
    list_path: Option<String>,
    list_url: String,
    errors_path: Option<String>,
    errors_url: String,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
pub(super) enum Way {
    NotConfigured {
        am_namespace: String,
        am_service: String,
        am_target: String,
        am_prefix: String,
        /// The patch that names it in the operator's resource.
        patch: Option<String>,
        #[serde(flatten)]
        change: ChangeLine,
    },
    NotInstalled,
    NotFound {
        /// What is looked for.
        wanted: Option<String>,
        am_namespace: String,
        patch: Option<String>,
        namespace: String,
        custom: Option<String>,
        config_map: Option<String>,
        workload: String,
        container: String,
    },
    NoPod {
        am_namespace: String,
        /// The labels of the pods behind its Service.
        am_labels: String,
        /// The operator's Alertmanager that makes them, and who keeps it.
        server: Option<String>,
        managed: String,
        /// What switches it off, and the patch that lets it have pods again.
        off: Option<&'static str>,
        patch: Option<&'static str>,
    },
    Relabelled(Change),
    AlertRelabel {
        rule: String,
        #[serde(flatten)]
        change: Change,
    },
    Name {
        host: String,
        #[serde(flatten)]
        instead: Instead,
    },
    Unreachable {
        host: String,
        host_port: String,
        url: String,
        am_namespace: String,
        /// The label of the slices of its Service, where it is one.
        am_selector: Option<String>,
        namespace: String,
        pod: String,
        container: String,
    },
    Port {
        host_port: String,
        am_namespace: String,
        am_service: String,
        /// The ports that the Service has.
        right: String,
        #[serde(flatten)]
        change: Change,
    },
    Stale(Instead),
    Path {
        am_namespace: String,
        /// Its pod, where the address leads to one that was read.
        am_pod: Option<String>,
        path_prefix: String,
        #[serde(flatten)]
        change: ChangeLine,
    },
    /// The path is right, and what answers is no Alertmanager.
    Another {
        host_port: String,
        url: String,
        am_namespace: String,
        am_target: String,
        namespace: String,
        pod: String,
        container: String,
    },
    ApiVersion(ChangeLine),
    Credential {
        detail: String,
        #[serde(flatten)]
        change: ChangeLine,
    },
    Authority {
        detail: String,
        am_namespace: String,
        #[serde(flatten)]
        change: ChangeLine,
    },
    Expired {
        am_namespace: String,
    },
    ServerName {
        detail: String,
        #[serde(flatten)]
        change: ChangeLine,
    },
    ClientCertificate(ChangeLine),
    PlainHttp(ChangeLine),
    Server {
        detail: String,
        host_port: String,
        am_target: String,
        #[serde(flatten)]
        alertmanager: Alertmanager,
    },
    /// Alertmanager says what is wrong with them.
    Refused {
        said: String,
        label: Option<String>,
        is_external: bool,
        /// Prometheus' configuration was not read.
        is_unknown: bool,
        /// The alerts as Prometheus has them, through the API server.
        alerts_path: Option<String>,
        #[serde(flatten)]
        alertmanager: Alertmanager,
        #[serde(flatten)]
        change: Change,
    },
    Queue(Alertmanager),
    Missing {
        namespace: String,
        workload: String,
        container: String,
        am_namespace: String,
        /// What Alertmanager has, through the API server.
        held_path: String,
    },
}

impl Way {
    /// No pod behind Alertmanager's Service is ready.
    pub(super) fn no_pod(snap: &Snapshot, service: &Service) -> Self {
        let server = front::servers_behind(snap, service).into_iter().find(|s| s.kind == "Alertmanager");
        let (off, patch) = match server.map(|s| &s.spec) {
            Some(spec) if spec.replicas == Some(0) => (Some("spec.replicas is 0"), Some(r#"{"spec":{"replicas":1}}"#)),
            Some(spec) if spec.paused => (Some("spec.paused is true"), Some(r#"{"spec":{"paused":false}}"#)),
            _ => (None, None),
        };
        Self::NoPod {
            am_namespace: service.metadata.namespace.clone(),
            am_labels: endpoints::selector(service),
            server: server.map(|s| s.metadata.name.clone()),
            managed: server.map(|s| managed_by(&s.metadata)).unwrap_or_default(),
            off,
            patch,
        }
    }
}

impl Prometheus<'_> {
    /// The fix of a way.
    pub(super) fn fix(&self, way: impl FnOnce(&Self) -> Way) -> Fix {
        const LIST: &str = "/api/v1/alertmanagers";
        const ERRORS: &str =
            "/api/v1/query?query=sum%20by%20(alertmanager)%20(increase(prometheus_notifications_errors_total%5B5m%5D))";
        Fix {
            list_path: prometheus_path(self.snap, LIST),
            list_url: format!("<prometheus-url>{LIST}"),
            errors_path: prometheus_path(self.snap, ERRORS),
            errors_url: format!("<prometheus-url>{ERRORS}"),
            way: way(self),
        }
    }
}

impl Case<'_> {
    /// What has to be done that it takes alerts.
    pub(super) fn way(&self, of: &Prometheus<'_>) -> Way {
        let detail = redact(&self.failing.error);
        let am_namespace = self.service.map_or_else(|| of.am_namespace(), |s| s.metadata.namespace.clone());
        let line = || of.line(false);
        if let Some((pod, refused)) = &self.refused {
            let change = of.change(false);
            let is_external = refused.is_external == Some(true);
            return Way::Refused {
                said: redact(&refused.said),
                label: refused.label.clone(),
                is_external,
                is_unknown: refused.is_external.is_none(),
                alerts_path: prometheus_path(of.snap, "/api/v1/alerts"),
                alertmanager: Alertmanager {
                    am_namespace: pod.metadata.namespace.clone(),
                    am_pod: pod.metadata.name.clone(),
                    am_container: refused.container.clone(),
                },
                // Only an external label stands in Prometheus' own configuration.
                change: if is_external {
                    change
                } else {
                    Change { custom: None, config_map: None, managed_by: String::new(), ..change }
                },
            };
        }
        match &self.failing.failure {
            SendFailure::NoSuchHost(_) => Way::Name { host: self.host().to_owned(), instead: self.instead(of) },
            SendFailure::Expired => Way::Expired { am_namespace },
            SendFailure::UnknownAuthority | SendFailure::Tls => Way::Authority { detail, am_namespace, change: line() },
            SendFailure::OtherName => Way::ServerName { detail, change: line() },
            SendFailure::ClientCertificate => Way::ClientCertificate(line()),
            SendFailure::PlainHttp => Way::PlainHttp(line()),
            SendFailure::Credentials | SendFailure::Status { code: 401 | 403, .. } => {
                Way::Credential { detail, change: line() }
            }
            SendFailure::Status { code: 410, .. } => Way::ApiVersion(line()),
            SendFailure::Status { code: 404 | 405, .. } if self.is_another() => Way::Another {
                host_port: self.at(),
                url: redact(&self.failing.url),
                am_namespace,
                am_target: of.am_target(),
                namespace: of.namespace(),
                pod: of.pod.map_or("<prometheus-pod>", |p| p.metadata.name.as_str()).to_owned(),
                container: of.container(),
            },
            SendFailure::Status { code: 404 | 405, .. } => {
                let own = self.expected_prefix();
                Way::Path {
                    am_namespace,
                    am_pod: own.is_some().then(|| of.alertmanager().am_pod),
                    path_prefix: match own.as_deref() {
                        None => "<prefix>".to_owned(),
                        Some("") => "/".to_owned(),
                        Some(own) => own.to_owned(),
                    },
                    change: line(),
                }
            }
            SendFailure::Refused if self.port_missing() => self.port_way(of, am_namespace),
            SendFailure::Status { .. } | SendFailure::Signing | SendFailure::Other => Way::Server {
                detail,
                host_port: self.at(),
                am_target: of.am_target(),
                alertmanager: Alertmanager { am_namespace, ..of.alertmanager() },
            },
            SendFailure::Refused | SendFailure::Timeout | SendFailure::NoRoute if self.is_stale() => {
                Way::Stale(self.instead(of))
            }
            _ => Way::Unreachable {
                host: self.host().to_owned(),
                host_port: self.at(),
                url: redact(&self.failing.url),
                am_namespace,
                am_selector: self.service.map(|s| format!("kubernetes.io/service-name={}", s.metadata.name)),
                namespace: of.namespace(),
                pod: of.pod.map_or("<prometheus-pod>", |p| p.metadata.name.as_str()).to_owned(),
                container: of.container(),
            },
        }
    }

    fn port_way(&self, of: &Prometheus<'_>, am_namespace: String) -> Way {
        let ports: Vec<String> = self.service.iter().flat_map(|s| &s.spec.ports).map(|p| p.port.to_string()).collect();
        Way::Port {
            host_port: self.at(),
            am_namespace,
            am_service: self.service.map_or_else(|| of.am_service(), |s| s.metadata.name.clone()),
            right: ports.join(", "),
            change: of.change(false),
        }
    }

    fn instead(&self, of: &Prometheus<'_>) -> Instead {
        Instead {
            host_port: self.at(),
            am_namespace: of.am_namespace(),
            am_service: of.am_service(),
            am_port_name: of.am_port_name(),
            am_target: of.am_target(),
            change: of.line(false),
        }
    }
}

impl Prometheus<'_> {
    /// Nothing fails, and the alerts are not there.
    pub(super) fn missing(&self, held_path: String) -> Way {
        let target = self.pod.map(|p| Target::of(self.snap, p).name);
        Way::Missing {
            namespace: self.namespace(),
            workload: target.unwrap_or_else(|| "<deployment or statefulset of Prometheus>".to_owned()),
            container: self.container(),
            am_namespace: self.stack().map_or("<namespace>", |at| at.namespace.as_str()).to_owned(),
            held_path,
        }
    }

    pub(super) fn not_configured(&self, patch: Option<String>) -> Way {
        Way::NotConfigured {
            am_namespace: self.am_namespace(),
            am_service: self.am_service(),
            am_target: self.am_target(),
            am_prefix: self.stack().map_or("", |c| c.prefix.as_str()).to_owned(),
            change: self.line(self.custom().is_some() && patch.is_some()),
            patch,
        }
    }

    pub(super) fn not_found(&self, wanted: Option<String>, patch: Option<String>) -> Way {
        let Change { namespace, workload, custom, config_map, .. } = self.change(false);
        let (am_namespace, container) = (self.am_namespace(), self.container());
        Way::NotFound { wanted, am_namespace, patch, namespace, custom, config_map, workload, container }
    }
}
