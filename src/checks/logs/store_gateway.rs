//! The gateway before Loki, Mimir or Tempo does not pass on what it gets.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::behind::depends_on_service;
use crate::checks::support::configuration::Configuration;
use crate::checks::support::seen::line_evidence;
use crate::checks::{Check, check};
use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::mounts::{Mounts, Seen};
use crate::domain::kubernetes::network_policy;
use crate::domain::kubernetes::owner::Target;
use crate::domain::kubernetes::service_host::{ServiceHost, in_cluster};
use crate::domain::kubernetes::store::Store;
use crate::domain::loki::gateway_log::{self, Cause, Failing, store_behind};
use crate::domain::text::redact::redact;
use crate::lint::yaml::{self, Node};
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Pod, Service};

check! {
    /// See the check's page.
    StoreGateway {
        id: "store-gateway", suite: Logs, severity: Error,
        title: "the gateway before Loki (Mimir, Tempo) does not pass on what it gets",
        requires: [Pods],
        uses: [PartLogs, Workloads, Services, ConfigMaps, NetworkPolicies, Namespaces],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    namespace: String,
    owner: String,
    container: String,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    Name {
        host: String,
        #[serde(flatten)]
        change: Configuration,
    },
    Resolver {
        host: String,
        resolver: String,
        managed_by: String,
    },
    Upstream {
        place: String,
        service: Option<String>,
        service_namespace: Option<String>,
        /// The port on which the store listens by its own configuration, where that is another.
        listens: Option<u16>,
    },
    Slow {
        #[serde(flatten)]
        change: Configuration,
    },
    Body {
        now: String,
        #[serde(flatten)]
        change: Configuration,
    },
    Login {
        user: String,
        file: String,
    },
}

/// Ports of gRPC and of agents that bring traces: who is asked there is not asked by HTTP.
const OF_OTHERS: &[u16] = &[4317, 4318, 9095, 9096, 9411, 14250, 14268];

impl Check for StoreGateway {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let mut all = snap.pods()?.iter().flat_map(|p| p.spec.containers.iter().map(move |c| (p, c)));
        if !all.any(|(pod, container)| store_behind(pod, container).is_some()) {
            return Ok(Diagnosis::NotApplicable("no gateway of Loki, Mimir or Tempo runs".into()));
        }
        // Replicas say the same.
        let mut groups: BTreeMap<(String, Cause), Vec<Failing<'_>>> = BTreeMap::new();
        for failing in gateway_log::failing(snap)? {
            let Some(pod) = snap.pod_of_log(failing.log) else { continue };
            groups.entry((snap.owner_ref(pod).key(), failing.trouble)).or_default().push(failing);
        }
        Ok(Diagnosis::Findings(groups.values().filter_map(|group| Some(Case::new(snap, group)?.finding())).collect()))
    }
}

/// What the pods of one gateway say of one trouble.
struct Case<'a> {
    snap: &'a Snapshot,
    said: &'a Failing<'a>,
    times: usize,
    pod: &'a Pod,
    /// Text of nginx.conf; empty where it was not seen.
    config: &'a str,
    config_map: String,
    /// Host and port that were to be asked.
    upstream: Option<(String, Option<u16>)>,
}

impl<'a> Case<'a> {
    fn new(snap: &'a Snapshot, all: &'a [Failing<'a>]) -> Option<Self> {
        let said = all.iter().max_by_key(|f| f.said.times)?;
        let pod = snap.pod_of_log(said.log)?;
        let container = pod.spec.containers.iter().find(|c| c.name == said.log.container)?;
        let file = match Mounts::of_pod(snap, pod, container).look("/etc/nginx/nginx.conf") {
            Seen::File(file) => Some(file),
            _ => None,
        };
        Some(Self {
            snap,
            said,
            times: all.iter().map(|f| f.said.times).sum(),
            pod,
            config: file.as_ref().map_or("", |f| f.text),
            config_map: file.map(|f| f.map.metadata.name.clone()).unwrap_or_default(),
            upstream: gateway_log::upstream(said.line),
        })
    }

    fn finding(&self) -> Finding {
        let log = self.said.log;
        let owner = self.snap.owner_ref(self.pod);
        let message = format!(
            "the gateway before {} ({} in {}) {} ({} requests within 15 minutes)",
            self.said.store.name(),
            owner.kubectl_name(),
            log.namespace,
            self.what(),
            self.times
        );
        let severity = match self.said.trouble {
            Cause::Slow | Cause::Body | Cause::Login => Severity::Warning,
            _ => Severity::Error,
        };
        let made = Finding::new(StoreGateway::META.id, severity, owner.clone(), message)
            .key(format!("{} {:?}", owner.key(), self.said.trouble))
            .evidence(line_evidence(log, self.said.line))
            .breaks(owner.clone());
        self.depends_on(made).fix(Fix {
            namespace: log.namespace.clone(),
            owner: owner.kubectl_name(),
            container: log.container.clone(),
            way: self.way(),
        })
    }

    fn host(&self) -> &str {
        self.upstream.as_ref().map_or("<host>", |(host, _)| host)
    }

    /// The Service as people know it, else host and port.
    fn place(&self) -> String {
        let port = self.upstream.as_ref().and_then(|(_, port)| *port);
        let host = match self.service() {
            Some(service) => format!("Service {}/{}", service.metadata.namespace, service.metadata.name),
            None => self.host().to_owned(),
        };
        port.map_or_else(|| host.clone(), |port| format!("{host}, port {port}"))
    }

    fn what(&self) -> String {
        let line = self.said.line;
        match self.said.trouble {
            Cause::Name => format!("does not find {}: there is no such name", self.host()),
            Cause::Resolver => format!(
                "does not find {}: the DNS server that its configuration names{} {}",
                self.host(),
                self.resolver().map(|r| format!(" ({r})")).unwrap_or_default(),
                if line.contains("(110:") { "does not answer" } else { "answers with an error" }
            ),
            Cause::Unreached => match self.listens() {
                Some(port) => {
                    format!("does not reach {}: {} listens on {port} there", self.place(), self.said.store.name())
                }
                None => format!("does not reach {}{}", self.place(), errno(line)),
            },
            Cause::Slow => format!("gives up before {} has its answer (504)", self.place()),
            Cause::Body => format!(
                "takes no requests that are larger than {} (413)",
                gateway_log::directive(self.config, "client_max_body_size").unwrap_or("1m, nginx's default")
            ),
            Cause::Login => match gateway_log::user(line) {
                Some(user) if line.contains("password mismatch") => {
                    format!("refuses user {} (401): the password is not the one that it knows", redact(user))
                }
                Some(user) => format!("refuses user {} (401): it knows no such user", redact(user)),
                None => "refuses requests without a login (401)".to_owned(),
            },
        }
    }

    fn resolver(&self) -> Option<&str> {
        gateway_log::directive(self.config, "resolver")
    }

    fn named(&self) -> Option<ServiceHost> {
        in_cluster(self.snap, self.host(), &self.pod.metadata.namespace)
    }

    /// The Service that was asked, by its name or its address.
    fn service(&self) -> Option<&'a Service> {
        if let Some(named) = self.named() {
            return self.snap.services.find(&named.namespace, &named.service).ok().flatten();
        }
        let mut all = self.snap.services.items().unwrap_or_default().iter();
        all.find(|s| s.spec.cluster_ips.iter().chain(&s.spec.cluster_ip).any(|ip| ip == self.host()))
    }

    /// The port of the store's own configuration, where the Service leads to another.
    fn listens(&self) -> Option<u16> {
        // Ports of gRPC and of traces are others than that of HTTP.
        let asked = self.upstream.as_ref()?.1.filter(|port| !OF_OTHERS.contains(port))?;
        let service = self.service()?;
        let port = service.spec.ports.iter().find(|p| p.port == asked)?;
        let target = match &port.target_port {
            serde_json::Value::Number(number) => u16::try_from(number.as_u64()?).ok()?,
            serde_json::Value::Null => asked,
            _ => return None,
        };
        let mut members =
            self.snap.pods_of_service(service).flat_map(|p| p.spec.containers.iter().map(move |c| (p, c)));
        let (pod, container) = members.find(|(_, c)| Store::of_image(&c.image) == Some(self.said.store))?;
        let own = http_port(self.snap, pod, container)?;
        (own != target).then_some(own)
    }

    fn change(&self) -> Configuration {
        Configuration::of_map(self.config_map.clone(), Target::of(self.snap, self.pod).managed_by)
    }

    fn way(&self) -> Way {
        let host = self.host().to_owned();
        match self.said.trouble {
            Cause::Name => Way::Name { host, change: self.change() },
            Cause::Resolver => {
                let resolver = self.resolver().unwrap_or("<resolver>").to_owned();
                Way::Resolver { host, resolver, managed_by: self.change().managed_by }
            }
            Cause::Unreached => {
                let found = self.service().map(|s| (s.metadata.name.clone(), s.metadata.namespace.clone()));
                let (service, service_namespace) = found.unzip();
                Way::Upstream { place: self.place(), service, service_namespace, listens: self.listens() }
            }
            Cause::Slow => Way::Slow { change: self.change() },
            Cause::Body => {
                let now = gateway_log::directive(self.config, "client_max_body_size").unwrap_or("1m").to_owned();
                Way::Body { now, change: self.change() }
            }
            Cause::Login => Way::Login {
                user: gateway_log::user(self.said.line).map_or_else(|| "<user>".to_owned(), redact),
                file: gateway_log::directive(self.config, "auth_basic_user_file").unwrap_or("<file>").to_owned(),
            },
        }
    }

    fn depends_on(&self, finding: Finding) -> Finding {
        let policies = || network_policy::egress_policies(self.snap, self.pod).into_iter();
        match self.said.trouble {
            Cause::Resolver => {
                let made = finding.depends_on(ResourceRef::service("kube-system", "kube-dns"));
                policies().fold(made, Finding::depends_on)
            }
            Cause::Unreached | Cause::Slow => match self.service() {
                Some(service) => {
                    let meta = &service.metadata;
                    let made = depends_on_service(self.snap, finding, &meta.namespace, &meta.name);
                    policies().fold(made, Finding::depends_on)
                }
                None => finding,
            },
            _ => finding,
        }
    }
}

/// ` (111: Connection refused)`.
fn errno(line: &str) -> String {
    let inner = line.split_once(" failed (").or_else(|| line.split_once(" timed out (")).map(|(_, rest)| rest);
    inner.and_then(|i| i.split_once(')')).map(|(why, _)| format!(" ({why})")).unwrap_or_default()
}

/// The port that a store's file sets for its HTTP API; the default where the file does not speak of it.
fn http_port(snap: &Snapshot, pod: &Pod, container: &Container) -> Option<u16> {
    if let Some(flag) = arguments::flag(container, "server.http-listen-port") {
        return flag.parse().ok();
    }
    let path = arguments::flag(container, "config.file")?;
    let Seen::File(file) = Mounts::of_pod(snap, pod, container).look(path) else { return None };
    let config = yaml::document(file.text).ok().flatten()?;
    // What the file takes from the environment is not known.
    let set = config.at(&["server", "http_listen_port"]).and_then(Node::as_str)?;
    set.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::snapshot;
    use crate::snapshot::Listing;
    use crate::snapshot::monitoring::ContainerLog;

    fn with(message: &str, minutes: &[u8]) -> Snapshot {
        let labels = json!({"app.kubernetes.io/name": "loki", "app.kubernetes.io/component": "gateway"});
        let mut snap = snapshot(json!({
            "pods": [
                {"metadata": {"namespace": "loki", "name": "gw-1", "labels": labels},
                 "spec": {"containers": [{"name": "nginx", "image": "nginxinc/nginx-unprivileged:1.27", "volumeMounts": [{"name": "c", "mountPath": "/etc/nginx"}]}],
                    "volumes": [{"name": "c", "configMap": {"name": "gw"}}]},
                 "status": {"phase": "Running"}},
                {"metadata": {"namespace": "loki", "name": "loki-0", "labels": {"app": "loki"}},
                 "spec": {"containers": [{"name": "loki", "image": "grafana/loki:3.0.0", "args": ["-config.file=/etc/loki/config.yaml"], "volumeMounts": [{"name": "c", "mountPath": "/etc/loki"}]}],
                    "volumes": [{"name": "c", "configMap": {"name": "loki"}}]},
                 "status": {"phase": "Running"}},
            ],
            "config_maps": [
                {"metadata": {"namespace": "loki", "name": "gw"}, "data": {"nginx.conf": "http {\n  resolver kube-dns.kube-system.svc;\n}\n"}},
                {"metadata": {"namespace": "loki", "name": "loki"}, "data": {"config.yaml": "server:\n  http_listen_port: 8080\n"}},
            ],
        }));
        let service = json!([{"metadata": {"namespace": "loki", "name": "loki"}, "spec": {"clusterIP": "172.20.77.40", "selector": {"app": "loki"}, "ports": [{"port": 3100, "targetPort": 3100}]}}]);
        snap.services = Listing::cluster(serde_json::from_value(service).expect("services"));
        let line = |m: &u8| format!("2026/11/21 01:{m}:00 [error] 10#10: *42 {message}, client: 10.0.1.1\n");
        *snap.part_logs = Ok(vec![ContainerLog {
            namespace: "loki".into(),
            pod: "gw-1".into(),
            container: "nginx".into(),
            image: "nginxinc/nginx-unprivileged:1.27".into(),
            text: minutes.iter().map(line).collect::<String>().into(),
            ..ContainerLog::default()
        }]);
        snap
    }

    const REFUSED: &str = "connect() failed (111: Connection refused) while connecting to upstream, upstream: \"http://172.20.77.40:3100/x\"";

    #[test]
    fn what_has_passed_is_quiet() {
        assert_eq!(findings(&StoreGateway, &with(REFUSED, &[52, 55, 58])).len(), 1);
        assert!(findings(&StoreGateway, &with(REFUSED, &[58, 58, 58])).is_empty(), "a pod is replaced");
        assert!(findings(&StoreGateway, &with(REFUSED, &[46, 48, 50])).is_empty(), "it is there again");
    }

    #[test]
    fn a_store_that_listens_elsewhere_is_told() {
        let found = findings(&StoreGateway, &with(REFUSED, &[52, 55, 58]));
        let said = &found[0].message;
        assert!(said.contains("Service loki/loki, port 3100: Loki listens on 8080"), "{said}");
        assert!(steps(&found[0]).contains("8080"), "{}", steps(&found[0]));
    }

    #[test]
    fn each_trouble_has_a_fix() {
        for (message, variant) in [
            ("loki.loki.svc could not be resolved (110: Operation timed out)", "resolver"),
            ("lokki.loki.svc could not be resolved (3: Host not found)", "name"),
            (REFUSED, "upstream"),
            ("upstream timed out (110: x) while reading response header from upstream", "slow"),
            ("client intended to send too large body: 1572864 bytes", "body"),
            ("user \"g\" was not found in \"/etc/nginx/secrets/.htpasswd\"", "login"),
        ] {
            assert_eq!(findings(&StoreGateway, &with(message, &[52, 55, 58]))[0].variant, variant, "{message}");
        }
    }
}
