//! What the configuration of the collector, its backend or AWS has to change.

use schemars::JsonSchema;
use serde::Serialize;

use super::case::Case;
use crate::checks::support::place::Place;
use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::image::{base_of, tag_of};
use crate::domain::kubernetes::owner::{Target, operator_owner, workload};
use crate::domain::prometheus::collector_log::Cause;
use crate::domain::prometheus::targets::Address;
use crate::domain::text::redact::redact;
use crate::domain::text::shorten::shorten;
use crate::model::Program;
use crate::snapshot::kubernetes::{Node, Service};

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fix {
    namespace: String,
    owner: String,
    pod: String,
    container: String,
    component: String,
    detail: String,
    managed_by: String,
    map: String,
    key: String,
    /// The fix is a change of the configuration.
    changes_config: bool,
    #[serde(flatten)]
    way: Way,
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
pub(super) enum Way {
    Memory {
        limit: String,
    },
    Queue,
    Scrape {
        host: String,
        port: String,
    },
    Allocator {
        host: String,
    },
    Name {
        host: String,
        /// Services of that namespace that have the port, as `host:port`.
        meant: Vec<String>,
    },
    Unreached {
        host: String,
        service: Option<String>,
        service_namespace: Option<String>,
        /// The connection is refused: it got there.
        refused: bool,
    },
    Runtime {
        mounted: bool,
        /// Where containerd listens on such a node.
        socket: &'static str,
    },
    Instance {
        instance: String,
        cluster: String,
        /// The metadata of the instance is not read.
        unread: bool,
    },
    PlainText,
    Tls,
    /// It is a Prometheus that is not told to take OTLP.
    OtlpOff {
        server: String,
        server_namespace: String,
        /// The flag of its version.
        flag: &'static str,
        /// The operator's resource that the server is made from.
        resource: Option<String>,
        server_managed_by: String,
    },
    Path {
        /// The store behind the address is a Loki that knows no OTLP.
        old_loki: bool,
    },
    Credential,
    Denied {
        account: String,
        role: String,
    },
    Size,
    Rate,
    Store {
        host: String,
        service_namespace: Option<String>,
    },
}

impl Fix {
    pub(super) fn of(case: &Case<'_>) -> Self {
        let log = case.last.log;
        let target = Target::of(case.snap, case.pod);
        let managed_by = if target.managed_by.is_empty() { case.file_managed_by.clone() } else { target.managed_by };
        let (map, key) = case.file.clone().unwrap_or_default();
        Self {
            namespace: log.namespace.clone(),
            owner: case.snap.owner_ref(case.pod).kubectl_name(),
            pod: log.pod.clone(),
            container: log.container.clone(),
            component: case.last.component.clone(),
            detail: shorten(&redact(&case.last.error), 300),
            managed_by,
            map,
            key,
            changes_config: case.changes_config(),
            way: case.way(),
        }
    }
}

impl Case<'_> {
    fn way(&self) -> Way {
        let service = self.service().map(|s| (s.metadata.name.clone(), s.metadata.namespace.clone()));
        let (service, service_namespace) = service.unzip();
        match self.last.trouble {
            Cause::Memory => {
                Way::Memory { limit: self.container.resources.limits.get("memory").cloned().unwrap_or_default() }
            }
            Cause::Queue => Way::Queue,
            Cause::Scrape => {
                let (host, port) = endpoint(&self.last.error);
                Way::Scrape { host, port }
            }
            Cause::Allocator => Way::Allocator { host: self.host() },
            Cause::Name => Way::Name { host: self.host(), meant: self.meant() },
            Cause::Unreached => Way::Unreached {
                host: self.place(),
                service,
                service_namespace,
                refused: self.last.error.contains("connection refused"),
            },
            Cause::Runtime => {
                let bottlerocket = self.snap.node_of(self.pod).is_some_and(Node::is_bottlerocket);
                Way::Runtime {
                    mounted: self.socket().is_some(),
                    socket: if bottlerocket { "/run/dockershim.sock" } else { "/run/containerd/containerd.sock" },
                }
            }
            Cause::Instance => self.instance(),
            Cause::PlainText => Way::PlainText,
            Cause::Tls => Way::Tls,
            Cause::Path => self.otlp_off().unwrap_or_else(|| Way::Path { old_loki: self.is_old_loki() }),
            Cause::Credential => Way::Credential,
            Cause::Denied => self.denied(),
            Cause::Size => Way::Size,
            Cause::Rate => Way::Rate,
            Cause::Full | Cause::Server | Cause::Refused => Way::Store { host: self.place(), service_namespace },
        }
    }

    /// What the others need is elsewhere: a restart would only throw the queue away.
    fn changes_config(&self) -> bool {
        use Cause::{Credential, Memory, Name, Path, PlainText, Queue, Scrape, Size};
        let here = matches!(self.last.trouble, Memory | Queue | Name | PlainText | Path | Credential | Size | Scrape);
        here && !(self.last.trouble == Path && self.otlp_off().is_some())
    }

    fn instance(&self) -> Way {
        let node = self.snap.node_of(self.pod);
        let place = Place::of(self.snap);
        Way::Instance {
            instance: node.and_then(Node::instance_id).unwrap_or("<instance-id>").to_owned(),
            cluster: place.cluster,
            unread: !self.last.error.is_empty(),
        }
    }

    fn denied(&self) -> Way {
        let account = self.snap.service_accounts.find(&self.pod.metadata.namespace, self.account()).ok().flatten();
        let role = account.and_then(|a| a.role_name()).unwrap_or_default();
        Way::Denied { account: self.account().to_owned(), role: role.to_owned() }
    }

    /// Services of the namespace that is named, with the port that is asked for.
    fn meant(&self) -> Vec<String> {
        let Some((named, port)) = self.named().zip(self.target.as_ref().and_then(|(_, port)| *port)) else {
            return Vec::new();
        };
        let services = self.snap.services.items().unwrap_or_default().iter();
        let has = |s: &&Service| s.metadata.namespace == named.namespace && s.spec.ports.iter().any(|p| p.port == port);
        services.filter(has).map(|s| format!("{}.{}.svc:{port}", s.metadata.name, s.metadata.namespace)).collect()
    }

    /// Loki takes OTLP since 3.0.
    fn is_old_loki(&self) -> bool {
        let Some(service) = self.service() else { return false };
        let mut images = self.snap.pods_of_service(service).flat_map(|p| &p.spec.containers).map(|c| c.image.as_str());
        let is_old = |tag: &str| ["1.", "v1.", "2."].iter().any(|old| tag.starts_with(old));
        images.any(|image| base_of(image) == "loki" && tag_of(image).is_some_and(is_old))
    }

    /// The Prometheus that is asked for its path of OTLP and runs without it.
    pub(super) fn otlp_off(&self) -> Option<Way> {
        let service = self.service().filter(|_| self.last.error.contains("/api/v1/otlp"))?;
        let pod = self.snap.pods_of_service(service).next()?;
        let container = pod.spec.containers.iter().find(|c| c.program() == Some(Program::Prometheus))?;
        let told = arguments::has_flag(container, "web.enable-otlp-receiver")
            || arguments::flags(container, "enable-feature").any(|f| f.contains("otlp-write-receiver"));
        if told {
            return None;
        }
        // Prometheus 3 has a flag of its own for what was a feature flag of 2.47 and later.
        let is_old = tag_of(&container.image).is_some_and(|t| t.trim_start_matches('v').starts_with("2."));
        let target = Target::of(self.snap, pod);
        let owner = self.snap.owner_ref(pod);
        let made_from = workload(self.snap, &owner).and_then(|w| operator_owner(&w.metadata));
        Some(Way::OtlpOff {
            server: owner.kubectl_name(),
            server_namespace: pod.metadata.namespace.clone(),
            flag: if is_old { "--enable-feature=otlp-write-receiver" } else { "--web.enable-otlp-receiver" },
            resource: made_from.filter(|(kind, _)| *kind == "prometheus").map(|(_, name)| name.to_owned()),
            server_managed_by: target.managed_by,
        })
    }
}

/// Host and port of a target, whose `instance` is its address, a URL, or whatever relabelling made of it.
fn endpoint(instance: &str) -> (String, String) {
    if let Some(address) = Some(instance).filter(|i| i.contains("://")).and_then(Address::parse) {
        return (address.host, address.port.to_string());
    }
    let is_host = |host: &str| !host.contains(':') || host.starts_with('[') && host.ends_with(']');
    let split = instance.rsplit_once(':').filter(|(host, port)| is_host(host) && port.parse::<u16>().is_ok());
    let (host, port) = split.unwrap_or((instance, "<port>"));
    let host = host.trim_matches(['[', ']']);
    (if host.is_empty() { "<host>" } else { host }.to_owned(), port.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_an_address_a_url_or_a_name() {
        for (instance, host, port) in [
            ("10.0.1.5:10250", "10.0.1.5", "10250"),
            ("[fd00::1]:9113", "fd00::1", "9113"),
            ("fd00::1", "fd00::1", "<port>"),
            ("http://web.shop.svc:8080/metrics", "web.shop.svc", "8080"),
            ("https://example.com/health", "example.com", "443"),
            ("node-1", "node-1", "<port>"),
            ("", "<host>", "<port>"),
        ] {
            assert_eq!(endpoint(instance), (host.to_owned(), port.to_owned()), "{instance}");
        }
    }
}
