//! An OpenTelemetry Collector does not pass on what it gets, or does not take it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::behind::depends_on_service;
use crate::checks::support::place::Place;
use crate::checks::support::seen::log_evidence;
use crate::checks::{Check, check};
use crate::domain::aws::credentials;
use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::image::{base_of, tag_of};
use crate::domain::kubernetes::mounts::Mounts;
use crate::domain::kubernetes::owner::{Target, keeper, operator_owner, workload};
use crate::domain::kubernetes::service_host::{ServiceHost, asked};
use crate::domain::loki::store_log;
use crate::domain::prometheus::collector_log::{self, Cause, Failing, is_cloudwatch_agent, is_collector};
use crate::domain::prometheus::targets::Address;
use crate::domain::text::redact::redact;
use crate::domain::text::shorten::shorten;
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, Program, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Node, Pod, Service};

check! {
    /// See the check's page.
    CollectorFailing {
        id: "collector-failing", suite: Logs, severity: Error,
        title: "an OpenTelemetry Collector loses what it gets",
        requires: [Pods],
        uses: [PartLogs, Services, ConfigMaps, Workloads, ServiceAccounts, Nodes, Instances],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
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
enum Way {
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

impl Check for CollectorFailing {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let mut containers = snap.pods()?.iter().flat_map(|p| &p.spec.containers);
        if !containers.any(|c| is_collector(&c.image) || is_cloudwatch_agent(&c.image)) {
            return Ok(Diagnosis::NotApplicable(
                "no OpenTelemetry Collector or CloudWatch agent runs in the namespaces that were read".into(),
            ));
        }
        // Pods of one workload say the same.
        let mut groups: BTreeMap<(String, String, Cause), Vec<Failing<'_>>> = BTreeMap::new();
        for failing in collector_log::failing(snap)? {
            let pod = snap.pods.find(&failing.log.namespace, &failing.log.pod).ok().flatten();
            let owner = pod.map_or_else(|| failing.log.pod.clone(), |p| snap.owner_ref(p).key());
            groups.entry((owner, failing.component.clone(), failing.trouble)).or_default().push(failing);
        }
        Ok(Diagnosis::Findings(groups.values().filter_map(|g| Some(Case::new(snap, g)?.finding())).collect()))
    }
}

/// What the pods of one collector say of one exporter.
struct Case<'a> {
    snap: &'a Snapshot,
    all: &'a [Failing<'a>],
    last: &'a Failing<'a>,
    pod: &'a Pod,
    container: &'a Container,
    /// ConfigMap and key with the configuration.
    file: Option<(String, String)>,
    /// The file belongs to somebody.
    file_managed_by: String,
    target: Option<(String, Option<u16>)>,
}

impl<'a> Case<'a> {
    fn new(snap: &'a Snapshot, all: &'a [Failing<'a>]) -> Option<Self> {
        let last = all.iter().max_by_key(|f| f.last)?;
        let pod = snap.pods.find(&last.log.namespace, &last.log.pod).ok().flatten()?;
        let container = pod.spec.containers.iter().find(|c| c.name == last.log.container)?;
        let files = Mounts::of_pod(snap, pod, container).files();
        let file = files.iter().find(|f| f.text.contains("exporters:"));
        let configured = file.and_then(|f| collector_log::configured(f.text, &last.component));
        Some(Self {
            snap,
            all,
            last,
            pod,
            container,
            target: configured.filter(|_| last.trouble != Cause::Allocator).or_else(|| address(last)),
            file: file.map(|f| (f.map.metadata.name.clone(), f.key.to_owned())),
            file_managed_by: file.map(|f| keeper(&f.map.metadata)).unwrap_or_default(),
        })
    }

    fn finding(&self) -> Finding {
        let owner = self.snap.owner_ref(self.pod);
        let log = self.last.log;
        let times: usize = self.all.iter().map(|f| f.times).sum();
        let lost: u64 = self.all.iter().map(|f| f.lost).sum();
        let effect = match lost {
            0 => format!("({times} lines within 15 minutes)"),
            _ => format!("({lost} items were thrown away within an hour)"),
        };
        let is_agent = is_cloudwatch_agent(&self.container.image);
        let program = if is_agent { "CloudWatch agent" } else { "OpenTelemetry Collector" };
        let message = format!("{program} ({} in {}): {} {effect}", owner.kubectl_name(), log.namespace, self.what());
        let severity = match self.last.trouble {
            Cause::Rate | Cause::Full | Cause::Size | Cause::Refused | Cause::Scrape => Severity::Warning,
            _ => Severity::Error,
        };
        let made = Finding::new(CollectorFailing::META.id, severity, owner.clone(), message)
            .key(format!("{} {} {:?}", owner.key(), self.last.component, self.last.trouble))
            .evidence(log_evidence(&log.namespace, &log.pod, &log.container, false, &self.last.line))
            .breaks(owner.clone());
        let target = Target::of(self.snap, self.pod);
        let managed_by = if target.managed_by.is_empty() { self.file_managed_by.clone() } else { target.managed_by };
        let (map, key) = self.file.clone().unwrap_or_default();
        self.depends_on(made).fix(Fix {
            namespace: log.namespace.clone(),
            owner: owner.kubectl_name(),
            pod: log.pod.clone(),
            container: log.container.clone(),
            component: self.last.component.clone(),
            detail: shorten(&redact(&self.last.error), 300),
            managed_by,
            map,
            key,
            changes_config: self.changes_config(),
            way: self.way(),
        })
    }

    /// `host:port`.
    fn place(&self) -> String {
        match &self.target {
            Some((host, Some(port))) => format!("{host}:{port}"),
            Some((host, None)) => host.clone(),
            None => "its backend".to_owned(),
        }
    }

    /// The Prometheus that is asked for its path of OTLP and runs without it.
    fn otlp_off(&self) -> Option<Way> {
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

    fn host(&self) -> String {
        self.target.as_ref().map_or_else(|| "<host>".to_owned(), |(host, _)| host.clone())
    }

    fn what(&self) -> String {
        let (exporter, place) = (&self.last.component, self.place());
        match self.last.trouble {
            Cause::Memory => "its memory_limiter refuses data: more memory is in use than it allows".to_owned(),
            Cause::Queue => {
                format!("the queue of exporter {exporter} is full: {place} takes less than what comes in")
            }
            Cause::Scrape => {
                let instance = Some(redact(&self.last.error)).filter(|i| !i.is_empty());
                let at = instance.map(|i| format!(" ({i})")).unwrap_or_default();
                format!("its prometheus receiver cannot scrape job {exporter}{at}")
            }
            Cause::Allocator => format!(
                "its prometheus receiver does not learn from the target allocator ({place}) what it is to scrape"
            ),
            Cause::Runtime => {
                let why = match self.socket() {
                    Some(path) => {
                        format!("the socket of the container runtime that is mounted ({path}) does not answer")
                    }
                    None => "no socket of containerd is mounted into its pods".to_owned(),
                };
                format!("Container Insights has no metrics of pods: {why}")
            }
            Cause::Instance => {
                let why = match credentials::out_of_reach(self.snap, self.pod) {
                    Some(instance) => format!(
                        ": the metadata of instance {} does not reach pods (off, or a hop limit of 1)",
                        instance.instance_id
                    ),
                    None if self.last.error.is_empty() => ": the instance has no tag that names one".to_owned(),
                    None => ": the metadata of the instance (169.254.169.254) is not read".to_owned(),
                };
                format!("Container Insights has no metrics at all: it does not know its cluster{why}")
            }
            Cause::Name => format!("exporter {exporter} cannot send: the name {} does not resolve", self.host()),
            Cause::Unreached => format!("exporter {exporter} does not reach {place}"),
            Cause::PlainText => format!("exporter {exporter} begins TLS, and {place} speaks plain text"),
            Cause::Tls => format!("exporter {exporter}: TLS to {place} fails"),
            Cause::Path if self.otlp_off().is_some() => {
                format!("exporter {exporter}: {place} is a Prometheus that is not told to take OTLP")
            }
            Cause::Path => format!("exporter {exporter}: {place} does not take such data (no such path or service)"),
            Cause::Credential => format!("exporter {exporter}: {place} does not accept its credential"),
            Cause::Denied => format!("exporter {exporter}: AWS does not let it write"),
            Cause::Size => format!("exporter {exporter}: its requests are larger than {place} takes"),
            Cause::Rate => format!("exporter {exporter}: {place} limits the rate"),
            Cause::Full => format!("exporter {exporter}: {place} does not keep up, and takes no more"),
            Cause::Server => format!("exporter {exporter}: {place} fails itself (5xx)"),
            Cause::Refused => format!("exporter {exporter}: {place} refuses the data"),
        }
    }

    /// The Service that the address names, whether it is there or not.
    fn named(&self) -> Option<ServiceHost> {
        asked(self.snap, &self.target.as_ref()?.0, &self.pod.metadata.namespace)
    }

    fn service(&self) -> Option<&'a Service> {
        let named = self.named()?;
        self.snap.services.find(&named.namespace, &named.service).ok().flatten()
    }

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

    /// Where the socket of the container runtime is mounted into its container.
    fn socket(&self) -> Option<&'a str> {
        let mut paths = self.container.volume_mounts.iter().map(|m| m.mount_path.as_str());
        paths.find(|p| {
            p.contains("containerd")
                || p.ends_with("dockershim.sock")
                || matches!(p.trim_end_matches('/'), "/run" | "/var/run")
        })
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

    fn account(&self) -> &'a str {
        self.pod.spec.account()
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

    fn depends_on(&self, finding: Finding) -> Finding {
        if self.last.trouble == Cause::Denied {
            let account = ResourceRef::service_account(&self.pod.metadata.namespace, self.account());
            return finding.depends_on(account);
        }
        let of_backend = [
            Cause::Name,
            Cause::Unreached,
            Cause::Server,
            Cause::Rate,
            Cause::Full,
            Cause::Path,
            Cause::Queue,
            Cause::Allocator,
        ];
        // What Tempo says of its own limits is the deeper word.
        let is_limit = self.last.trouble == Cause::Refused && store_log::trace_limit(&self.last.error).is_some();
        let is_of_backend = is_limit || of_backend.contains(&self.last.trouble);
        let Some(named) = self.named().filter(|_| is_of_backend) else { return finding };
        depends_on_service(self.snap, finding, &named.namespace, &named.service)
    }
}

/// Who was asked: the URL says more than the DNS server beside it.
fn address(last: &Failing<'_>) -> Option<(String, Option<u16>)> {
    let of_url = || {
        let url = last.error.split(['"', '\\', ' ']).find(|w| w.contains("://"))?;
        Address::parse(url).map(|a| (a.host, Some(a.port)))
    };
    let asked = (last.trouble == Cause::Allocator).then(of_url).flatten();
    asked.or_else(|| collector_log::host(&last.error))
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
    use serde_json::{Value, json};

    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::snapshot;
    use crate::snapshot::monitoring::ContainerLog;

    /// The fix of a collector with these resources whose memory_limiter refuses data.
    fn refusing(resources: &Value) -> String {
        let image = "otel/opentelemetry-collector-contrib:0.110.0";
        let mut snap = snapshot(json!({"pods": [{
            "metadata": {"namespace": "monitoring", "name": "otel-0"},
            "spec": {"containers": [{"name": "otel", "image": image, "resources": resources}]},
            "status": {"phase": "Running"}
        }]}));
        let line = "2026-11-21T01:58:45.501Z\twarn\tmemorylimiter.go:209\tMemory usage is above soft limit. Refusing data.\t{\"name\": \"memory_limiter\"}\n";
        *snap.part_logs = Ok(vec![ContainerLog {
            namespace: "monitoring".into(),
            pod: "otel-0".into(),
            container: "otel".into(),
            image: image.into(),
            text: line.repeat(3).into(),
            ..ContainerLog::default()
        }]);
        steps(&findings(&CollectorFailing, &snap)[0])
    }

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

    #[test]
    fn a_share_of_the_nodes_memory_is_no_bound() {
        let bound = refusing(&json!({"limits": {"memory": "512Mi"}}));
        assert!(bound.contains("limit is 512Mi") && !bound.contains("node's memory"), "{bound}");
        assert!(refusing(&json!({})).contains("give it one first"));
    }
}
