//! What gets an image pulled, and what its commands hold.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::case::{Case, Cause};
use super::registry::Ecr;
use super::way::{SetImage, Way};
use crate::checks::support::addon;
use crate::checks::support::instance::Instance;
use crate::domain::aws::placement::Placement;
use crate::domain::kubernetes::image::Image;
use crate::domain::kubernetes::owner::{self, Settable};
use crate::domain::kubernetes::proxy;
use crate::domain::kubernetes::proxy_log::is_proxy_container;
use crate::domain::kubernetes::{managed, pull_error};
use crate::model::Program;
use crate::snapshot::Platform;
use crate::snapshot::kubernetes::Node;

/// A part of the cluster, the add-on of EKS that brings it, and its container.
const PROXY: &str = "kube-proxy";

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fix {
    namespace: String,
    target: String,
    has_rollout: bool,
    #[serde(flatten)]
    way: Way,
}

impl Fix {
    /// The fix of a case; other pods of the workload may run another image.
    pub(super) fn of(case: &Case<'_>, cause: Cause, replaced: bool) -> Self {
        Self {
            namespace: case.pod.metadata.namespace.clone(),
            target: case.target.name.clone(),
            has_rollout: case.target.has_rollout,
            way: case.way(cause, replaced),
        }
    }
}

impl Case<'_> {
    fn way(&self, cause: Cause, replaced: bool) -> Way {
        let back = self.target.in_place() && replaced && self.is_of_template();
        let running = || self.running().filter(|_| back).map(str::to_owned);
        let current = || self.container.image.clone();
        let pod = || self.pod.metadata.name.clone();
        let rolls = self.target.settable != Settable::No;
        let Ecr { account, region, repository, .. } = self.ecr();
        let ecr = || self.ecr();
        match cause {
            Cause::Retired => self.retired(),
            Cause::MetricsServer => self.metrics_server(),
            Cause::Rewritten => {
                let rewritten = self.rewritten.as_ref();
                let (policy_rule, policy) = rewritten.and_then(|r| r.rule.clone()).unwrap_or_default();
                let written = rewritten.map(|r| r.written.clone()).unwrap_or_default();
                Way::Rewritten { current: current(), written, policy, policy_rule, rolls }
            }
            Cause::NotFound => {
                Way::NotFound { repository_url: self.repository_url(), running: running(), set: self.set_image() }
            }
            Cause::EcrNotFound => Way::EcrNotFound { running: running(), set: self.set_image(), ecr: ecr() },
            Cause::EcrCached => Way::EcrCached {
                running: running(),
                set: self.set_image(),
                prefix: self.cache_prefix().unwrap_or_default().to_owned(),
                node_role: self.node_role().unwrap_or("<node-role>").to_owned(),
                import_policy: self.import_policy(),
                fargate: self.node.is_some_and(Node::is_fargate),
                ecr: ecr(),
            },
            Cause::EcrLedOn => Way::EcrLedOn {
                current: current(),
                registry: self.host().to_owned(),
                asked: self.led_on().unwrap_or_default().to_owned(),
                node: self.node_name().to_owned(),
                ecr: ecr(),
            },
            Cause::InvalidName => Way::InvalidName { current: current(), running: running(), set: self.set_image() },
            Cause::Never => self.never(),
            Cause::RateLimit => Way::RateLimit {
                known: self.wanted().is_some(),
                rolls,
                server: self.server(),
                set: self.set_image(),
                login: self.login(),
            },
            Cause::Unauthorized => Way::Unauthorized {
                hub: self.host() == "docker.io",
                current: current(),
                repository,
                repository_url: self.repository_url(),
                rolls,
                server: self.server(),
                login: self.login(),
            },
            Cause::EcrAuth => Way::EcrAuth {
                node_role: self.node_role().unwrap_or("<node-role>").to_owned(),
                pull_policy: self.pull_policy(),
                secret: self.login().secret,
                has_secret: self.login().has_secret,
                fargate: self.node.is_some_and(Node::is_fargate),
                ecr: ecr(),
            },
            Cause::EcrOtherAccount => Way::EcrOtherAccount {
                own_account: self.cluster_account().unwrap_or("<account>").to_owned(),
                account,
                region,
                repository,
                repository_policy: self.repository_policy(),
                current: current(),
                node_role: self.node_role().unwrap_or("<node-role>").to_owned(),
                pull_policy: self.pull_policy(),
            },
            Cause::EcrToken => Way::EcrToken { region, host: self.host().to_owned(), login: self.login() },
            Cause::Platform => self.platform(running()),
            Cause::Format => Way::Format {
                repository_url: self.repository_url(),
                source: format!("docker://{}", self.container.image),
                set: self.set_image(),
            },
            Cause::Dns => Way::Dns {
                host: self.host().to_owned(),
                current: current(),
                eks: self.snap.platform == Platform::Eks,
                vpc: self.vpc(),
            },
            Cause::Network => Way::Network {
                host: self.asked.as_deref().unwrap_or_else(|| self.host()).to_owned(),
                node: self.node_name().to_owned(),
                pod: pod(),
                subnet: Placement::new(self.snap).of_pod(self.pod).map(str::to_owned),
            },
            Cause::Mirror => Way::Mirror {
                host: self.host().to_owned(),
                mirror: self.mirror.clone().unwrap_or_default(),
                node: self.node_name().to_owned(),
                instance: self.node.and_then(Node::shell_instance).map(str::to_owned),
                show_hosts: self.show_hosts(),
            },
            Cause::EcrEndpoints => self.ecr_endpoints(region),
            Cause::Tls => Way::Tls { host: self.host().to_owned() },
            Cause::Html => Way::Html {
                host: self.asked_host().to_owned(),
                node: self.node_name().to_owned(),
                instance: self.node.and_then(Node::shell_instance).map(str::to_owned),
                show_way: self.show_way(),
            },
            Cause::Server => Way::Server {
                host: self.host().to_owned(),
                pod: pod(),
                image: self.wanted(),
                container: self.container.name.clone(),
                in_place: self.target.in_place(),
            },
            Cause::Disk => Way::Disk { node: self.node_name().to_owned() },
            Cause::Layers => match self.node {
                Some(node) => Way::Layers {
                    node: self.node_name().to_owned(),
                    field: format!("spec.nodeName={}", self.node_name()),
                    instance: Instance::of(node),
                },
                None => Way::Other { pod: pod() },
            },
            Cause::PullRate => Way::PullRate { configuration: proxy::of_node(self.node_name(), "/configz") },
            Cause::Other => Way::Other { pod: pod() },
        }
    }

    /// The image to use instead, where one is known.
    fn wanted(&self) -> Option<String> {
        if let Some(retired) = &self.retired {
            return Some(retired.image.clone());
        }
        match self.reason {
            pull_error::Cause::RateLimit | pull_error::Cause::Server | pull_error::Cause::Network => {
                self.image.as_ref().and_then(Image::mirror)
            }
            // The name is right.
            pull_error::Cause::Format => None,
            _ => self.proposed(),
        }
    }

    /// The container is the one for which the operator's resource is.
    fn is_main(&self) -> bool {
        matches!(self.container.program(), Some(Program::Prometheus | Program::Alertmanager))
            || self.target.custom.is_some_and(|(kind, _)| kind == self.container.name)
    }

    fn custom(&self) -> Option<&'static str> {
        self.target.custom.filter(|_| self.is_main()).map(|(kind, _)| kind)
    }

    fn custom_name(&self) -> Option<String> {
        self.target.custom.map(|(_, name)| name.to_owned())
    }

    /// kube-proxy's is one, too: going back to the image that it gives lasts.
    fn addon(&self) -> &'static str {
        let is_proxy = is_proxy_container(&self.container.name, &self.container.image);
        let of_proxy = || addon::named(self.snap, PROXY).filter(|_| is_proxy).map(|_| PROXY);
        self.target.addon.or_else(of_proxy).unwrap_or_default()
    }

    fn set_image(&self) -> SetImage {
        let image = self.wanted().unwrap_or_else(|| "<image>".to_owned());
        let waits = self.target.stateful && self.target.in_place();
        SetImage {
            container: self.container.name.clone(),
            waiting_pod: if waits { self.pod.metadata.name.clone() } else { String::new() },
            in_place: self.target.in_place(),
            custom: self.custom(),
            custom_name: self.custom_name(),
            custom_patch: json!({"spec": {"image": image}}).to_string(),
            custom_side: self.target.custom.is_some() && !self.is_main(),
            fixed: self.target.settable == Settable::No,
            job: self.target.name.starts_with("job/"),
            managed_by: self.target.managed_by.clone(),
            values_path: self.target.values_path(self.snap, &self.container.name, "image"),
            addon: self.addon(),
            image,
        }
    }

    fn why_retired(&self) -> String {
        self.retired.as_ref().map(|r| r.why.to_owned()).unwrap_or_default()
    }

    fn retired(&self) -> Way {
        let image = self.image.as_ref();
        Way::Retired {
            why: self.why_retired(),
            bitnami: image.is_some_and(|i| i.repository.starts_with("bitnami/")),
            kubectl_image: image.is_some_and(|i| i.base() == "kubectl"),
            set: self.set_image(),
        }
    }

    fn metrics_server(&self) -> Way {
        let workload = owner::workload(self.snap, &self.target.owner);
        let release = workload.and_then(|w| managed::release(&w.metadata));
        Way::MetricsServer {
            why: self.why_retired(),
            image: self.wanted().unwrap_or_default(),
            release: release.map(|(name, namespace)| vec![name.into(), "-n".into(), namespace.into()]),
            cluster: self.snap.target.cluster.as_deref().unwrap_or("<cluster>").to_owned(),
        }
    }

    fn never(&self) -> Way {
        let container = json!({"name": self.container.name, "imagePullPolicy": "IfNotPresent"});
        Way::Never {
            in_place: self.target.in_place(),
            policy_patch: json!({"spec": {"template": {"spec": {self.list(): [container]}}}}).to_string(),
            custom: self.custom(),
            custom_name: self.custom_name(),
            managed_by: self.target.managed_by.clone(),
        }
    }

    fn platform(&self, running: Option<String>) -> Way {
        let other = self.other_arch();
        let patch = |arch: &str| {
            json!({"spec": {"template": {"spec": {"nodeSelector": {"kubernetes.io/arch": arch}}}}}).to_string()
        };
        Way::Platform {
            current: self.container.image.clone(),
            container: self.container.name.clone(),
            arch: if self.arch().is_empty() { "the node's architecture" } else { self.arch() }.to_owned(),
            arch_patch: other.map(patch),
            other_arch: other.map(str::to_owned),
            in_place: self.target.in_place(),
            custom: self.custom(),
            custom_name: self.custom_name(),
            running,
        }
    }

    fn ecr_endpoints(&self, region: String) -> Way {
        let (interfaces, gateways) = self.missing_endpoints().into_iter().partition(|s| !s.ends_with(".s3"));
        let cluster = self.snap.eks_cluster.as_ref().ok();
        let vpc = cluster.map(|c| &c.resources_vpc_config);
        Way::EcrEndpoints {
            interfaces,
            gateways,
            region,
            vpc: self.vpc(),
            subnets: vpc.map(|v| v.subnet_ids.clone()).unwrap_or_default(),
            group: vpc.map_or("<security-group>", |v| v.cluster_security_group_id.as_str()).to_owned(),
        }
    }

    fn list(&self) -> &'static str {
        let init = self.pod.spec.init_containers.iter().any(|c| c.name == self.container.name);
        if init { "initContainers" } else { "containers" }
    }
}
