//! The fixes, and what they name.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::aws::identity::Identity;
use crate::domain::kubernetes::chart::release_of;
use crate::domain::kubernetes::ingress;
use crate::domain::kubernetes::managed::managed_by;
use crate::model::{Evidence, Placeholder, ResourceRef};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Ingress, LoadBalancerStatus, Meta, Service, Workload};
use crate::snapshot::monitoring::ContainerLog;

/// The controller, and its ServiceAccount, as its chart calls both.
pub(super) const NAME: &str = "aws-load-balancer-controller";

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
pub(super) enum Fix {
    Class {
        #[serde(flatten)]
        of: Kept,
        patch: String,
    },
    Backend {
        #[serde(flatten)]
        of: Kept,
        service: String,
    },
    Controller {
        #[serde(flatten)]
        of: Common,
        #[serde(flatten)]
        by: Controller,
        scaled_to_zero: bool,
    },
    NoController {
        #[serde(flatten)]
        of: Common,
        cluster: String,
        vpc: String,
    },
    Subnets {
        #[serde(flatten)]
        of: Common,
        tag: &'static str,
        subnets: Vec<String>,
        annotation: String,
    },
    ClusterName {
        #[serde(flatten)]
        of: Common,
        #[serde(flatten)]
        by: Installed,
        cluster: String,
    },
    Vpc {
        #[serde(flatten)]
        of: Common,
        #[serde(flatten)]
        by: Installed,
        vpc: String,
    },
    SubnetFull {
        #[serde(flatten)]
        of: Common,
        annotation: String,
    },
    NameTaken {
        #[serde(flatten)]
        of: Kept,
        taken: String,
        /// A load balancer has the name; else a target group.
        balancer: bool,
        annotation: String,
    },
    Quota {
        #[serde(flatten)]
        of: Common,
        /// As the quotas of AWS call it.
        service: &'static str,
        /// An ALB, which serves several Ingresses.
        alb: bool,
    },
    Certificate {
        #[serde(flatten)]
        of: Kept,
        host: String,
        annotation: String,
    },
    Group {
        #[serde(flatten)]
        of: Common,
    },
    Denied {
        #[serde(flatten)]
        of: Common,
        role: Placeholder,
        policy: String,
        policy_name: String,
    },
    Credentials {
        #[serde(flatten)]
        of: Common,
        #[serde(flatten)]
        by: Controller,
        account: String,
        cluster: String,
    },
    NodePort {
        #[serde(flatten)]
        of: Kept,
        annotation: String,
        /// All nodes are of Fargate, where node ports lead nowhere.
        fargate: bool,
    },
    Protocol {
        #[serde(flatten)]
        of: Kept,
        target_kind: &'static str,
        target_name: String,
        annotation: String,
        protocol: &'static str,
        /// An annotation that the controller does not read, as kubectl takes it away; empty where there is none.
        strange: String,
        pod: String,
    },
    ProxyProtocol {
        #[serde(flatten)]
        of: Common,
        /// The Service whose load balancer sends to nginx; empty where it is none.
        service: String,
        config_map: String,
        /// Who keeps the Service and the ConfigMap.
        managed: String,
    },
    InstanceTargets {
        #[serde(flatten)]
        of: Kept,
        annotation: String,
        /// Services without node ports.
        services: Vec<String>,
    },
    NoGroup {
        #[serde(flatten)]
        of: Common,
        /// The network interface that the controller looked at; empty where it does not say.
        interface: String,
        group: Placeholder,
        cluster: String,
    },
    SecurityGroups {
        #[serde(flatten)]
        of: Common,
        group: Placeholder,
        groups: Vec<String>,
        cluster: String,
    },
    Rules {
        #[serde(flatten)]
        of: Kept,
        /// The annotation with which networks are admitted, and how many it names; empty where there is none.
        networks: String,
        count: usize,
        /// The annotation that names lists of networks.
        lists: String,
        groups: String,
    },
    NoSuchGroups {
        #[serde(flatten)]
        of: Kept,
        annotation: String,
        names: Vec<String>,
        vpc: String,
        group: Placeholder,
        /// The groups that it names besides, each after a comma.
        others: String,
    },
    Address {
        #[serde(flatten)]
        of: Kept,
        address: bool,
    },
    Region {
        #[serde(flatten)]
        of: Common,
        #[serde(flatten)]
        by: Installed,
    },
    Firewalls {
        #[serde(flatten)]
        of: Common,
        #[serde(flatten)]
        by: Installed,
        host: String,
        /// Ingresses that ask for what it could not reach.
        users: Vec<String>,
    },
    Unreached {
        #[serde(flatten)]
        of: Common,
        #[serde(flatten)]
        by: Controller,
        host: String,
        /// Somebody else answers, or opens TLS.
        stranger: bool,
        /// The name is not found, or not told.
        unresolved: bool,
    },
    Look {
        #[serde(flatten)]
        of: Common,
        #[serde(flatten)]
        by: Controller,
    },
    HealthPath {
        #[serde(flatten)]
        of: Kept,
        target_kind: &'static str,
        target_name: String,
        annotation: String,
        path: Placeholder,
    },
    TargetTimeout {
        #[serde(flatten)]
        of: Common,
        groups: Vec<String>,
        port: String,
        node_group: Placeholder,
        admitted: bool,
    },
    TargetFailed {
        #[serde(flatten)]
        of: Common,
        pod: String,
    },
    RouterHeader {
        #[serde(flatten)]
        of: Routed,
    },
    RouterBody {
        #[serde(flatten)]
        of: Routed,
    },
    RouterSlow {
        #[serde(flatten)]
        of: Routed,
    },
    RouterRefused {
        #[serde(flatten)]
        of: Common,
        service: String,
        /// The workload whose pod was asked.
        owner: String,
        /// Who keeps the Service as it is.
        managed: String,
        /// Leads the port to where the pod listens; absent where that is not known.
        patch: Option<String>,
    },
    Record {
        #[serde(flatten)]
        of: Kept,
        host: String,
        /// Id of the hosted zone; empty where it is not told.
        zone: String,
        /// Another record has the name.
        taken: bool,
        no_zone: bool,
        writer: String,
        writer_namespace: String,
    },
}

/// The object that is to be reached, and what shows that it is.
#[derive(Clone, Serialize, JsonSchema)]
pub(super) struct Common {
    namespace: String,
    /// `ingress` or `service`.
    kind: &'static str,
    name: String,
    region: String,
    /// The target group; empty where it is not known.
    target_group: String,
    /// The TargetGroupBinding that the controller speaks of; empty where it speaks of none.
    binding: String,
    /// The pod of ingress-nginx that speaks of it; empty where none does.
    router: String,
    router_namespace: String,
    router_container: String,
}

/// The same, with who keeps the object as it is.
#[derive(Clone, Serialize, JsonSchema)]
pub(super) struct Kept {
    #[serde(flatten)]
    of: Common,
    managed: String,
}

/// An option of ingress-nginx for this Ingress.
#[derive(Serialize, JsonSchema)]
pub(super) struct Routed {
    #[serde(flatten)]
    pub(super) of: Kept,
    /// The annotation, and what it is to be.
    pub(super) option: &'static str,
    pub(super) value: String,
}

/// The controller that makes load balancers, as commands name it.
#[derive(Serialize, JsonSchema)]
pub(super) struct Controller {
    pub(super) controller_namespace: String,
    controller: String,
}

impl Controller {
    pub(super) fn of(workload: &Workload) -> Self {
        Self { controller_namespace: workload.metadata.namespace.clone(), controller: workload.kubectl_name() }
    }

    /// The one that runs, or where it stands as its chart installs it.
    pub(super) fn found(snap: &Snapshot) -> Self {
        ingress::controller(snap).map_or_else(
            || Self { controller_namespace: "kube-system".to_owned(), controller: format!("deployment/{NAME}") },
            Self::of,
        )
    }
}

/// The controller, and the release that installs it; empty where none is known.
#[derive(Serialize, JsonSchema)]
pub(super) struct Installed {
    #[serde(flatten)]
    controller: Controller,
    release: String,
    version: String,
}

impl Installed {
    pub(super) fn found(snap: &Snapshot) -> Self {
        let release = ingress::controller(snap).and_then(|w| release_of(snap, &w.metadata));
        let (release, version) = release.map(|r| (r.release, r.version)).unwrap_or_default();
        Self { controller: Controller::found(snap), release, version }
    }
}

/// An Ingress, or a Service of type LoadBalancer.
#[derive(Clone, Copy)]
pub(super) enum Object<'a> {
    Ingress(&'a Ingress),
    Service(&'a Service),
}

impl<'a> Object<'a> {
    pub(super) fn meta(self) -> &'a Meta {
        match self {
            Self::Ingress(ingress) => &ingress.metadata,
            Self::Service(service) => &service.metadata,
        }
    }

    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Ingress(_) => "Ingress",
            Self::Service(_) => "Service",
        }
    }

    pub(super) fn status(self) -> &'a LoadBalancerStatus {
        match self {
            Self::Ingress(ingress) => &ingress.status.load_balancer,
            Self::Service(service) => &service.status.load_balancer,
        }
    }

    pub(super) fn reference(self) -> ResourceRef {
        let meta = self.meta();
        match self {
            Self::Ingress(_) => ingress::reference(meta),
            Self::Service(_) => ResourceRef::service(&meta.namespace, &meta.name),
        }
    }

    /// What tells its findings from those of others.
    pub(super) fn key(self, what: &str) -> String {
        format!("{} {what}", self.reference().key())
    }

    /// As it stands in a sentence.
    pub(super) fn words(self) -> String {
        format!("{} {}/{}", self.kind(), self.meta().namespace, self.meta().name)
    }

    /// The name of an annotation that its controller reads.
    pub(super) fn annotation(self, name: &str) -> String {
        match self {
            Self::Ingress(_) => format!("alb.ingress.kubernetes.io/{name}"),
            Self::Service(_) => format!("service.beta.kubernetes.io/aws-load-balancer-{name}"),
        }
    }

    /// The annotation that says what the targets are.
    pub(super) fn target_type(self) -> String {
        self.annotation(if matches!(self, Self::Ingress(_)) { "target-type" } else { "nlb-target-type" })
    }

    /// The value of such an annotation.
    pub(super) fn annotated(self, name: &str) -> Option<&'a str> {
        self.meta().annotations.get(&self.annotation(name)).map(String::as_str)
    }

    /// Only the VPC reaches its load balancer. Controllers make internal ones unless they are told otherwise; the cloud
    /// provider's Services face the internet.
    pub(super) fn is_internal(self) -> bool {
        match self {
            Self::Ingress(_) => self.annotated("scheme") != Some("internet-facing"),
            Self::Service(service) => match (self.annotated("scheme"), self.annotated("internal")) {
                (Some(scheme), _) => scheme != "internet-facing",
                (None, Some(internal)) => internal != "false",
                (None, None) => service.spec.load_balancer_class.is_some(),
            },
        }
    }

    pub(super) fn common(self, snap: &Snapshot) -> Common {
        let meta = self.meta();
        Common {
            namespace: meta.namespace.clone(),
            kind: if matches!(self, Self::Ingress(_)) { "ingress" } else { "service" },
            name: meta.name.clone(),
            region: Identity::of(snap).region.unwrap_or_default().to_owned(),
            target_group: String::new(),
            binding: String::new(),
            router: String::new(),
            router_namespace: String::new(),
            router_container: String::new(),
        }
    }
}

impl Object<'_> {
    pub(super) fn kept(self, of: Common) -> Kept {
        Kept { of, managed: managed_by(self.meta()) }
    }
}

impl Common {
    pub(super) fn with_group(self, arn: &str) -> Self {
        Self { target_group: arn.to_owned(), ..self }
    }

    pub(super) fn with_router(self, log: &ContainerLog) -> Self {
        let (router, router_namespace) = (log.pod.clone(), log.namespace.clone());
        Self { router, router_namespace, router_container: log.container.clone(), ..self }
    }

    pub(super) fn with_binding(self, name: &str) -> Self {
        Self { binding: name.to_owned(), ..self }
    }
}

/// An object as evidence: one part of it.
pub(super) fn object_evidence(object: Object<'_>, part: &str, value: String) -> Evidence {
    let meta = object.meta();
    Evidence::new(
        format!("{}, {part}", object.words()),
        value,
        "kubectl get {{ kind }} {{ name }} -n {{ namespace }} -o yaml",
    )
    .with("kind", object.kind().to_ascii_lowercase())
    .with("namespace", &meta.namespace)
    .with("name", &meta.name)
}
