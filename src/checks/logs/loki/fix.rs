//! What lets Loki, Mimir or Tempo keep what it gets, and what its commands hold.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::words::{gone, is_of_sts, limit, rule_folder};
use crate::checks::logs::loki::way::{Change, Way};
use crate::checks::support::configuration::Configuration;
use crate::checks::support::volume::Larger;
use crate::domain::aws::denied::{By, Denied};
use crate::domain::aws::identity::Identity;
use crate::domain::kubernetes::endpoints::probe_port;
use crate::domain::kubernetes::mounts::{self, Origin};
use crate::domain::kubernetes::owner::Target;
use crate::domain::kubernetes::store::Store;
use crate::domain::kubernetes::{arguments, own_store, proxy};
use crate::domain::loki::kafka::Kafka;
use crate::domain::loki::ring::{Slip, majority};
use crate::domain::loki::store_log::{self, Cause, Failing, QueryLimit};
use crate::domain::text::log_line::Line;
use crate::domain::text::message_size;
use crate::domain::text::object_store::StoreFailure;
use crate::domain::text::redact::redact;
use crate::model::ResourceRef;
use crate::snapshot::Snapshot;
use crate::snapshot::aws::arn;
use crate::snapshot::kubernetes::{Container, Pod, ServiceAccount};
use crate::text::pattern::pattern;

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fix {
    namespace: String,
    owner: String,
    container: String,
    #[serde(flatten)]
    way: Way,
}

impl Fix {
    pub(super) fn of(
        snap: &Snapshot,
        failing: &Failing,
        pod: Option<&Pod>,
        owner: &ResourceRef,
        (slip, group): (Option<Slip>, &[Failing]),
    ) -> Self {
        let container = pod.and_then(|p| p.spec.containers.iter().find(|c| c.name == failing.container));
        Self {
            namespace: failing.namespace.clone(),
            owner: owner.kubectl_name(),
            container: failing.container.clone(),
            way: Case { snap, failing, pod, container }.way(slip, group),
        }
    }
}

/// Bytes of a MiB.
const MIB: u64 = 1 << 20;
/// What gRPC takes unless it is told otherwise.
const MESSAGE: u64 = 4 * MIB;

/// What one of its containers says.
struct Case<'a> {
    snap: &'a Snapshot,
    failing: &'a Failing,
    pod: Option<&'a Pod>,
    container: Option<&'a Container>,
}

impl<'a> Case<'a> {
    /// The page on which it shows the members of its ring.
    fn ring_path(&self) -> Option<String> {
        let pod = self.pod?;
        let probe = self.container?.readiness_probe.as_ref()?.http_get.as_ref()?;
        let port = u16::try_from(probe_port(self.container?, &probe.port)?).ok()?;
        let path = if self.failing.store == Store::Loki { "/ring" } else { "/ingester/ring" };
        Some(proxy::of_pod(&pod.metadata.namespace, "http", &pod.metadata.name, port, path))
    }

    /// Ingesters run in it, too; who only passes on what they answer gains nothing by a new start.
    fn is_ingester(&self) -> bool {
        let targets = self.container.and_then(|c| arguments::flag(c, "target"));
        targets
            .is_none_or(|t| t.split(',').any(|t| matches!(t, "all" | "write" | "ingester" | "scalable-single-binary")))
    }

    /// A pod that nobody makes again.
    fn is_bare(&self) -> bool {
        self.pod.is_none_or(|p| p.metadata.controller().is_none())
    }

    fn way(&self, slip: Option<Slip>, group: &[Failing]) -> Way {
        let failing = self.failing;
        let program = failing.store.name();
        let detail = said(&failing.text);
        let config_path = || self.path("/config");
        let change = || self.change();
        match slip {
            Some(Slip::TooFew { factor, .. }) => {
                return Way::TooFew { detail, factor, majority: majority(factor), change: change() };
            }
            Some(Slip::Loopback { field }) => return Way::Loopback { detail, address_field: field, change: change() },
            None => {}
        }
        match failing.trouble {
            Cause::Store(StoreFailure::Denied) => Way::Denied {
                program,
                account: self.account().to_owned(),
                role: self.role(),
                partition: Identity::of(self.snap).partition.to_owned(),
                bucket: "<bucket>",
            },
            Cause::Store(StoreFailure::Credentials) => Way::Credentials {
                program,
                detail,
                account: self.account().to_owned(),
                role: self.role(),
                account_read: self.snap.service_accounts.find(&failing.namespace, self.account()).is_ok(),
                managed_by: self.managed_by(),
            },
            Cause::Store(StoreFailure::Bucket) => self.bucket(detail),
            Cause::Store(StoreFailure::Endpoint) => Way::Endpoint { detail, change: change() },
            Cause::Store(StoreFailure::Unreachable) => Way::Store { program, of_sts: is_of_sts(&failing.text), detail },
            Cause::Key => self.key(detail),
            Cause::KeyOff => self.key_off(detail),
            Cause::Gone => Way::Gone { program, detail },
            Cause::Slow => Way::Slow { detail, config_path: config_path() },
            Cause::Flush => self.flush(detail),
            Cause::Blocks => Way::Blocks { detail },
            Cause::Period => Way::Period { time: time_of(&failing.text), detail, change: change() },
            Cause::IndexGateway => Way::IndexGateway { detail },
            Cause::RuleFolder => {
                let folder = rule_folder(&failing.text).unwrap_or("<folder>").to_owned();
                Way::RuleFolder {
                    program,
                    detail,
                    tenant: folder.rsplit('/').next().unwrap_or_default().to_owned(),
                    folder,
                    managed_by: self.managed_by(),
                }
            }
            Cause::Cache => Way::Cache { detail, too_large: failing.text.contains("too large") },
            Cause::DiskFull => self.disk_full(),
            Cause::DiskReadOnly => Way::ReadOnly { program, detail },
            Cause::Ring => self.ring(detail),
            Cause::Stopping => {
                Way::Stopping { detail, ring_path: self.ring_path(), rolls: !self.is_bare() && self.is_ingester() }
            }
            Cause::Generator => Way::Generator { detail, runs: self.has_generator(), change: change() },
            Cause::LocalBlocks => {
                Way::LocalBlocks { detail, overrides_path: self.path("/status/config"), change: change() }
            }
            Cause::Message => {
                let size = message_size::sizes(&failing.text).map_or(MESSAGE, |(size, _)| size);
                // Whole MiB, and room for what grows.
                let message_bytes = (size * 2).div_ceil(MIB) * MIB;
                Way::Message { detail, message_bytes, change: change() }
            }
            Cause::Scheduler => Way::Scheduler { detail },
            Cause::Members => Way::Members { detail, managed_by: self.managed_by() },
            Cause::Compactor => Way::Compactor { detail, pod: failing.pod.clone() },
            Cause::BlockList => {
                let is_own = failing.text.contains(store_log::CLEANS);
                Way::BlockList { detail, compactor: is_own.then(|| failing.pod.clone()), change: change() }
            }
            Cause::Topic | Cause::Broker => self.kafka(detail, group),
            Cause::Compactors => Way::Compactors { detail, ring_path: self.path("/compactor/ring"), change: change() },
            Cause::Streams => Way::Streams {
                countless: store_log::countless_labels(&failing.text).join(", "),
                labels_path: self.path("/loki/api/v1/labels"),
                change: change(),
            },
            Cause::StreamRate => Way::StreamRate { detail, config_path: config_path(), change: change() },
            Cause::QueryLimit => {
                let (limit_field, limit_new) = self.limit();
                Way::QueryLimit { detail, config_path: config_path(), limit_field, limit_new, change: change() }
            }
            Cause::Rate => Way::Rate { detail, config_path: config_path(), change: change() },
            Cause::Traces => {
                let (limit_field, limit_new) = self.limit();
                let overrides_path = self.path("/status/config");
                Way::Traces { detail, overrides_path, limit_field, limit_new, change: change() }
            }
            Cause::Queries => Way::Queries { config_path: config_path(), change: change() },
        }
    }

    /// Kafka lacks the topic, or is away.
    fn kafka(&self, detail: String, group: &[Failing]) -> Way {
        let snap = self.snap;
        let kafka = self.pod.zip(self.container).and_then(|(p, c)| Kafka::of(snap, p, c));
        let pods = group.iter().filter_map(|f| snap.pods.find(&f.namespace, &f.pod).ok().flatten());
        let members: BTreeSet<String> = pods.map(|p| snap.owner_ref(p).kubectl_name()).collect();
        let owner = kafka.as_ref().and_then(|k| k.pods.first()).map(|p| snap.owner_ref(p).kubectl_name());
        let service = kafka.as_ref().map(|k| k.service.service.clone());
        if self.failing.trouble == Cause::Broker {
            let namespace = kafka.map_or_else(|| self.failing.namespace.clone(), |k| k.service.namespace);
            return Way::Broker { detail, service: service.unwrap_or_default(), kafka_namespace: namespace };
        }
        Way::Topic {
            program: self.failing.store.name(),
            detail,
            forgets: kafka.as_ref().is_some_and(Kafka::forgets),
            kafka: owner.unwrap_or_default(),
            kafka_namespace: kafka.map_or_else(|| self.failing.namespace.clone(), |k| k.service.namespace),
            members: members.into_iter().collect(),
        }
    }

    fn key(&self, detail: String) -> Way {
        let denied = Denied::read(&self.failing.text);
        let own = denied.as_ref().and_then(|d| d.role()).map(str::to_owned);
        let key = denied.as_ref().and_then(|d| d.resource.clone());
        Way::Key {
            program: self.failing.store.name(),
            detail,
            account: self.account().to_owned(),
            role: own.or_else(|| self.role()),
            key_region: key.as_deref().and_then(arn::region).map(str::to_owned),
            key: key.unwrap_or_else(|| "<key-arn>".to_owned()),
            of_key: denied.is_some_and(|d| d.by == By::ResourcePolicy),
        }
    }

    fn key_off(&self, detail: String) -> Way {
        let text = &self.failing.text;
        let named = pattern!(r"arn:[\w-]+:kms:[\w-]+:\d*:key/[\w-]+").find(text).map(|m| m.as_str().to_owned());
        Way::KeyOff {
            program: self.failing.store.name(),
            detail,
            key_region: named.as_deref().and_then(arn::region).map(str::to_owned),
            key: named.unwrap_or_else(|| "<key-arn>".to_owned()),
            deleting: text.contains("pending deletion"),
        }
    }

    fn account(&self) -> &'a str {
        self.pod.map_or("default", |p| p.spec.account())
    }

    fn role(&self) -> Option<String> {
        let found = self.snap.service_accounts.find(&self.failing.namespace, self.account()).ok().flatten();
        found.and_then(ServiceAccount::role_name).map(str::to_owned)
    }

    fn managed_by(&self) -> String {
        self.pod.map(|p| Target::of(self.snap, p).managed_by).unwrap_or_default()
    }

    /// The port of its API.
    fn port(&self) -> u16 {
        let ports = self.container.map(|c| c.ports.as_slice()).unwrap_or_default();
        let named = ports.iter().find(|p| matches!(p.name.as_deref(), Some("http-metrics" | "http")));
        named.map_or(self.failing.store.port(), |p| p.container_port)
    }

    /// A path of its API, through the API server.
    fn path(&self, path: &str) -> String {
        let Failing { namespace, pod, .. } = self.failing;
        let probe = self.container.and_then(|c| c.readiness_probe.as_ref()?.http_get.as_ref()?.scheme.as_deref());
        let scheme = if probe == Some("HTTPS") { "https" } else { "http" };
        proxy::of_pod(namespace, scheme, pod, self.port(), path)
    }

    /// The claim that one of its paths lies on.
    fn claim(&self) -> Option<Origin> {
        let (pod, container) = self.pod.zip(self.container)?;
        let paths = container.volume_mounts.iter().map(|m| m.mount_path.as_str());
        let mut origins = paths.map(|path| mounts::origin(self.snap, pod, container, path));
        origins.find(|o| matches!(o, Origin::Claim { .. }))
    }

    fn bucket(&self, detail: String) -> Way {
        let store = self.pod.zip(self.container).and_then(|(p, c)| own_store::of(self.snap, p, c));
        let job = store.as_ref().and_then(|s| own_store::failed_maker(self.snap, s));
        Way::Bucket {
            program: self.failing.store.name(),
            detail,
            job: job.map(|j| j.metadata.name.clone()).unwrap_or_default(),
            store_namespace: store.as_ref().map(|s| s.namespace.clone()).unwrap_or_default(),
            store: store.map(|s| s.service).unwrap_or_default(),
        }
    }

    fn disk_full(&self) -> Way {
        let namespace = &self.failing.namespace;
        let claim = self.claim();
        let claim = claim.as_ref().and_then(|o| mounts::claim(self.snap, namespace, o));
        Way::DiskFull {
            program: self.failing.store.name(),
            claim: claim.map(|c| c.metadata.name.clone()),
            larger: Larger::of_claim(self.snap, claim),
        }
    }

    fn flush(&self, detail: String) -> Way {
        let program = self.failing.store.name();
        let on_claim = self.claim().is_some();
        // What is on no claim is lost with a restart; Mimir has no such time.
        let configuration = match program {
            "Mimir" => Configuration::of(None, self.managed_by()),
            _ if !on_claim => Configuration::of(None, self.managed_by()),
            _ => self.change().configuration,
        };
        let config_path = self.path(if program == "Tempo" { "/status/config" } else { "/config" });
        Way::Flush { program, detail, config_path, on_claim, configuration }
    }

    fn ring(&self, detail: String) -> Way {
        let page = self.failing.store.ring_page();
        let address = self.pod.and_then(|p| p.status.pod_ip.as_deref()).unwrap_or("<pod-address>");
        Way::Ring {
            program: self.failing.store.name(),
            detail,
            ring_path: self.path(page),
            ring_url: format!("http://{address}:{}{page}", self.port()),
            gone: gone(self.snap, &self.failing.text).join(", "),
        }
    }

    /// Pods of Tempo that make metrics are there, whether they are well or not.
    fn has_generator(&self) -> bool {
        let pods = self.snap.pods.items().unwrap_or_default().iter();
        let mut near = pods.filter(|p| p.metadata.namespace == self.failing.namespace);
        near.any(|p| {
            let mut own = p.spec.containers.iter().filter(|c| Store::of_image(&c.image) == Some(self.failing.store));
            own.any(|c| arguments::flag(c, "target") == Some("metrics-generator"))
        })
    }

    fn limit(&self) -> (String, Value) {
        let limit = limit(self.failing);
        let field = limit.as_ref().map_or("", |l| l.field).to_owned();
        (field, limit.as_ref().map_or_else(|| "<limit>".into(), raised))
    }

    fn change(&self) -> Change {
        let container = self.pod.zip(self.container);
        let file = |c: &'a Container| arguments::flag(c, "config.file").unwrap_or("/etc/loki/config/config.yaml");
        let origin = container.map(|(p, c)| mounts::origin(self.snap, p, c, file(c)));
        let configuration = Configuration::of(origin, self.managed_by());
        Change { program: self.failing.store.name(), configuration }
    }
}

/// What a line says, without what stands around it.
fn said(line: &str) -> String {
    let text = Line::parse(line).text();
    redact(if text.is_empty() { line } else { &text })
}

/// A limit as high as what was asked for; twice what it is where that is not known. Numbers stay numbers: Loki takes no
/// text for them.
fn raised(limit: &QueryLimit) -> serde_json::Value {
    match (limit.asked.parse::<u64>(), limit.now.parse::<u64>()) {
        (Ok(asked), _) => asked.into(),
        (Err(_), Ok(now)) if limit.asked.is_empty() => (now * 2).into(),
        _ if limit.asked.is_empty() => "<limit>".into(),
        _ => limit.asked.clone().into(),
    }
}

/// The time in `no schema config found for time 1795230300`.
fn time_of(text: &str) -> String {
    let after = text.split_once("found for time ").map_or("", |(_, rest)| rest);
    let number: String = after.chars().take_while(char::is_ascii_digit).collect();
    if number.is_empty() { "<number>".to_owned() } else { number }
}
