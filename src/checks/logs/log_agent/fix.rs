//! What brings log lines to their store, and what its commands hold.

use schemars::JsonSchema;
use serde::Serialize;

use super::Case;
use crate::checks::support::configuration::Configuration;
use crate::checks::support::place::Place;
use crate::domain::kubernetes::mounts;
use crate::domain::kubernetes::owner::Target;
use crate::domain::kubernetes::store::Store;
use crate::domain::kubernetes::{arguments, proxy};
use crate::domain::loki::reason::{Cause, Misfit, misfit, wants_tls};
use crate::domain::text::redact::redact;

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fix {
    namespace: String,
    owner: String,
    container: String,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    Tenant {
        agent: &'static str,
        /// `host:port` of the store.
        place: String,
        config_key: String,
        #[serde(flatten)]
        change: Configuration,
    },
    Credential {
        detail: String,
        #[serde(flatten)]
        change: Configuration,
    },
    Labels {
        agent: &'static str,
        config_key: String,
        /// There is no label at all.
        lacks: bool,
        #[serde(flatten)]
        change: Configuration,
    },
    Late,
    Old {
        pod: String,
        #[serde(flatten)]
        loki: OfLoki,
    },
    New {
        agent: &'static str,
        detail: String,
        #[serde(flatten)]
        change: Configuration,
    },
    Structured {
        detail: String,
        #[serde(flatten)]
        loki: OfLoki,
        #[serde(flatten)]
        change: Configuration,
    },
    Product {
        agent: &'static str,
        detail: String,
        /// The image that runs.
        image: String,
        #[serde(flatten)]
        change: Configuration,
    },
    Limits {
        detail: String,
        /// It is Pyroscope that limits.
        profiles: bool,
        /// Loki's own page of its configuration, where its Service is known.
        config_path: Option<String>,
    },
    Size {
        detail: String,
        pod: String,
        #[serde(flatten)]
        change: Configuration,
    },
    LabelLimit {
        detail: String,
        #[serde(flatten)]
        change: Configuration,
    },
    Path {
        service_namespace: Option<String>,
        #[serde(flatten)]
        change: Configuration,
    },
    IndexReadOnly(Engine),
    Index {
        agent: &'static str,
        detail: String,
        /// The field that does not fit; empty where the search engine does not say it.
        field: String,
        /// It is a group of fields there.
        grouped: bool,
        /// There are too many fields.
        total: bool,
        #[serde(flatten)]
        change: Configuration,
    },
    Shards {
        detail: String,
        indices_path: String,
        #[serde(flatten)]
        store: Engine,
    },
    TypeName {
        agent: &'static str,
        config_key: String,
        #[serde(flatten)]
        change: Configuration,
    },
    Name {
        host: String,
    },
    Unreachable {
        detail: String,
        service: Option<String>,
        service_namespace: Option<String>,
        /// The store, where it is outside of the cluster; empty else.
        outside: String,
        port: u16,
        pod: String,
        /// The setting that bounds what waits on the node's disk, where it is missing; empty else.
        unbounded: &'static str,
    },
    Tls {
        detail: String,
        #[serde(flatten)]
        change: Configuration,
    },
    Scheme {
        agent: &'static str,
        detail: String,
        /// The store's port speaks TLS.
        wants_tls: bool,
        config_key: String,
        #[serde(flatten)]
        change: Configuration,
    },
    Files {
        detail: String,
    },
    Watches {
        detail: String,
        node: String,
    },
    Unreadable {
        detail: String,
        managed_by: String,
    },
    LogFolder {
        detail: String,
        managed_by: String,
    },
    NoFiles {
        detail: String,
        pod: String,
        /// `system:serviceaccount:logging:promtail`
        account_user: String,
        #[serde(flatten)]
        change: Configuration,
    },
    Metadata {
        detail: String,
        account_user: String,
        account_binding: String,
        /// The name of the role that is made, and of its binding.
        reader: String,
        managed_by: String,
    },
    Denied {
        detail: String,
        account: String,
        role: Option<String>,
        account_read: bool,
        to_cloudwatch: bool,
        policy_arn: String,
    },
    Overload {
        detail: String,
        service_namespace: Option<String>,
        health_path: String,
    },
    Paused {
        agent: &'static str,
        config_key: String,
        #[serde(flatten)]
        change: Configuration,
    },
    Unsigned {
        agent: &'static str,
        detail: String,
        config_key: String,
        #[serde(flatten)]
        change: Configuration,
    },
    Group {
        detail: String,
        /// As the configuration names it.
        group: String,
        region: String,
        #[serde(flatten)]
        change: Configuration,
    },
    Throttled {
        detail: String,
        #[serde(flatten)]
        change: Configuration,
    },
    Kubelet {
        detail: String,
        /// It lives in the network of its node.
        host_network: bool,
        #[serde(flatten)]
        change: Configuration,
    },
    Buffer {
        detail: String,
        /// It is the filter that asks the API server about pods, and not an output.
        of_filter: bool,
        /// The plugin of the output, where it is known.
        plugin: String,
        #[serde(flatten)]
        change: Configuration,
    },
    Loopback {
        detail: String,
        plugin: String,
        config_key: String,
        #[serde(flatten)]
        change: Configuration,
    },
    Parser {
        detail: String,
        #[serde(flatten)]
        change: Configuration,
    },
    Reload {
        detail: String,
        #[serde(flatten)]
        change: Configuration,
    },
    Refused {
        agent: &'static str,
        detail: String,
        service_namespace: Option<String>,
    },
    Unsaid {
        agent: &'static str,
        to_loki: bool,
        #[serde(flatten)]
        change: Configuration,
    },
}

/// Loki behind the address, and where its configuration lies; empty where it is not in the cluster.
#[derive(Serialize, JsonSchema, Default)]
struct OfLoki {
    loki: String,
    loki_namespace: String,
    /// The kind, as kubectl takes it, and the name of what holds its configuration.
    loki_holder: &'static str,
    loki_config: String,
    loki_managed_by: String,
}

/// The Service of the store; none where it is not in the cluster.
#[derive(Serialize, JsonSchema)]
struct Engine {
    service_namespace: Option<String>,
    /// `service/NAME`.
    service_target: Option<String>,
}

impl Fix {
    pub(super) fn of(case: &Case<'_>) -> Self {
        Self {
            namespace: case.last.namespace.clone(),
            owner: case.owner().kubectl_name(),
            container: case.last.container.clone(),
            way: case.way(),
        }
    }
}

impl Case<'_> {
    fn way(&self) -> Way {
        let (agent, detail, pod) = (self.last.agent.word(), redact(&self.text), self.last.pod.clone());
        let (service_namespace, service) = self.service().unzip();
        let config_key = || self.config.key.clone();
        let change = || self.change();
        match self.reason {
            Cause::Tenant => Way::Tenant { agent, place: self.place(), config_key: config_key(), change: change() },
            Cause::Credential => Way::Credential { detail, change: change() },
            Cause::Order if self.shares_streams() => {
                Way::Labels { agent, config_key: config_key(), lacks: false, change: change() }
            }
            Cause::NoLabels => Way::Labels { agent, config_key: config_key(), lacks: true, change: change() },
            Cause::Order => Way::Late,
            Cause::TooOld => Way::Old { pod, loki: self.of_loki() },
            Cause::TooNew => Way::New { agent, detail, change: change() },
            Cause::Structured => Way::Structured { detail, loki: self.of_loki(), change: change() },
            Cause::Product => Way::Product { agent, detail, image: self.image(), change: change() },
            Cause::Rate | Cause::Streams => {
                let profiles = self.last.of_profiles();
                Way::Limits { detail, profiles, config_path: self.config_path().filter(|_| !profiles) }
            }
            Cause::Size => Way::Size { detail, pod, change: change() },
            Cause::Labels => Way::LabelLimit { detail, change: change() },
            Cause::Path => Way::Path { service_namespace, change: change() },
            Cause::IndexReadOnly => Way::IndexReadOnly(self.store()),
            Cause::Mapping => {
                let misfit = misfit(&self.text);
                let field = match misfit {
                    Some(Misfit::Object(field) | Misfit::Type { field, .. }) => field.to_owned(),
                    _ => String::new(),
                };
                let grouped = matches!(misfit, Some(Misfit::Object(_)));
                let total = matches!(misfit, Some(Misfit::Total(_)));
                Way::Index { agent, detail, field, grouped, total, change: change() }
            }
            Cause::Shards => {
                let indices_path = self.elastic_path("/_cat/indices?v&s=index");
                Way::Shards { detail, indices_path, store: self.store() }
            }
            Cause::TypeName => Way::TypeName { agent, config_key: config_key(), change: change() },
            Cause::Name => {
                let host = self.target.as_ref().map_or("<host>", |(host, _)| host).to_owned();
                Way::Name { host }
            }
            Cause::Unreachable if self.sends_to_itself() => {
                let plugin = self.config.plugin.clone();
                Way::Loopback { detail, plugin, config_key: config_key(), change: change() }
            }
            Cause::Unreachable | Cause::Server => {
                let (outside, port) = self.target.clone().filter(|_| service.is_none()).unwrap_or_default();
                Way::Unreachable {
                    detail,
                    service,
                    service_namespace,
                    outside,
                    port: port.unwrap_or(443),
                    pod,
                    unbounded: if self.fills_disk() { self.config.unbounded.unwrap_or_default() } else { "" },
                }
            }
            Cause::Tls => Way::Tls { detail, change: change() },
            Cause::Scheme => {
                let wants_tls = wants_tls(&self.text);
                Way::Scheme { agent, detail, wants_tls, config_key: config_key(), change: change() }
            }
            Cause::Files => Way::Files { detail },
            Cause::Watches => Way::Watches { detail, node: self.node() },
            Cause::Unreadable => Way::Unreadable { detail, managed_by: self.managed_by() },
            Cause::NoFiles if !self.sees_logs() => Way::LogFolder { detail, managed_by: self.managed_by() },
            Cause::NoFiles => Way::NoFiles {
                detail,
                pod,
                account_user: format!("system:serviceaccount:{}:{}", self.last.namespace, self.account()),
                change: self.change(),
            },
            Cause::Metadata => self.metadata(detail),
            Cause::Denied => self.denied(detail),
            Cause::Overload => {
                let health_path = self.elastic_path("/_cluster/health?pretty");
                Way::Overload { detail, service_namespace, health_path }
            }
            Cause::Paused => Way::Paused { agent, config_key: config_key(), change: change() },
            Cause::Unsigned => Way::Unsigned { agent, detail, config_key: config_key(), change: change() },
            Cause::Group => Way::Group {
                detail,
                group: self.config.literal("log_group_name").unwrap_or("<log-group>").to_owned(),
                region: self.config.literal("region").unwrap_or("<region>").to_owned(),
                change: change(),
            },
            Cause::Throttled => Way::Throttled { detail, change: change() },
            Cause::Kubelet => {
                Way::Kubelet { detail, host_network: self.pod.is_some_and(|p| p.spec.host_network), change: change() }
            }
            Cause::Buffer => {
                let plugin = Some(self.config.plugin.clone()).filter(|p| !p.is_empty());
                let plugin = plugin.unwrap_or_else(|| "<output>".to_owned());
                Way::Buffer { detail, of_filter: self.is_of_filter(), plugin, change: change() }
            }
            Cause::Parser => Way::Parser { detail, change: change() },
            Cause::Reload => Way::Reload { detail, change: change() },
            Cause::Refused => Way::Refused { agent, detail, service_namespace },
            Cause::Unsaid => Way::Unsaid { agent, to_loki: self.config.is_to_loki(), change: change() },
        }
    }

    fn managed_by(&self) -> String {
        self.pod.map(|p| Target::of(self.snap, p).managed_by).unwrap_or_default()
    }

    fn change(&self) -> Configuration {
        Configuration {
            config_kind: self.config.kind,
            config_name: self.config.name.clone(),
            managed_by: self.managed_by(),
            ..Configuration::default()
        }
    }

    fn image(&self) -> String {
        let container = self.pod.and_then(|p| p.spec.containers.iter().find(|c| c.name == self.last.container));
        container.map_or_else(|| "<image>".to_owned(), |c| c.image.clone())
    }

    fn node(&self) -> String {
        self.pod.and_then(|p| p.spec.node_name.clone()).unwrap_or_else(|| "<node>".to_owned())
    }

    fn config_path(&self) -> Option<String> {
        let (namespace, name) = self.service()?;
        Some(proxy::of_service(&namespace, self.scheme(), &name, 3100, "/config"))
    }

    fn store(&self) -> Engine {
        let (service_namespace, name) = self.service().unzip();
        // Without a selector nobody can be reached through it.
        let target = service_namespace.as_deref().zip(name.as_deref()).and_then(|(namespace, name)| {
            self.snap.services.find(namespace, name).ok().flatten().filter(|s| !s.spec.selector.is_empty())
        });
        let service_target = target.map(|s| format!("service/{}", s.metadata.name));
        Engine { service_namespace, service_target }
    }

    /// The Loki behind the Service: one of its pods, and the file that it is started with.
    fn of_loki(&self) -> OfLoki {
        let Some((namespace, name)) = self.service() else { return OfLoki::default() };
        let service = self.snap.services.find(&namespace, &name).ok().flatten();
        let mut pods = service.into_iter().flat_map(|s| self.snap.pods_of_service(s));
        let found = pods.find_map(|p| {
            let container = p.spec.containers.iter().find(|c| Store::of_image(&c.image) == Some(Store::Loki))?;
            Some((p, container))
        });
        let Some((pod, container)) = found else { return OfLoki::default() };
        let file = arguments::flag(container, "config.file").unwrap_or("/etc/loki/config/config.yaml");
        let origin = mounts::origin(self.snap, pod, container, file);
        let Configuration { config_kind, config_name, managed_by, .. } =
            Configuration::of(Some(origin), Target::of(self.snap, pod).managed_by);
        OfLoki {
            loki: self.snap.owner_ref(pod).kubectl_name(),
            loki_namespace: namespace,
            loki_holder: config_kind,
            loki_config: config_name,
            loki_managed_by: managed_by,
        }
    }

    fn metadata(&self, detail: String) -> Way {
        let (namespace, account) = (&self.last.namespace, self.account());
        Way::Metadata {
            detail,
            account_user: format!("system:serviceaccount:{namespace}:{account}"),
            account_binding: format!("{namespace}:{account}"),
            reader: format!("{namespace}-{account}-reader"),
            managed_by: self.managed_by(),
        }
    }

    fn denied(&self, detail: String) -> Way {
        Way::Denied {
            detail,
            account: self.account().to_owned(),
            role: self.role().map(str::to_owned),
            account_read: self.is_account_read(),
            to_cloudwatch: self.is_denied_by_cloudwatch(),
            policy_arn: Place::of(self.snap).policy_arn("CloudWatchAgentServerPolicy"),
        }
    }
}
