//! An Ingress or a Service of type LoadBalancer, and the controller that makes load balancers, as the fixes name them.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::kubernetes::chart::release_of;
use crate::domain::kubernetes::ingress;
use crate::domain::kubernetes::managed::managed_by;
use crate::model::{Evidence, ResourceRef};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Ingress, LoadBalancerStatus, Meta, Service, Workload};
use crate::snapshot::monitoring::ContainerLog;

/// The controller, and its ServiceAccount, as its chart calls both.
pub(super) const NAME: &str = "aws-load-balancer-controller";

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

    pub(super) fn common(self) -> Common {
        let meta = self.meta();
        Common {
            namespace: meta.namespace.clone(),
            kind: if matches!(self, Self::Ingress(_)) { "ingress" } else { "service" },
            name: meta.name.clone(),
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

/// The object that is to be reached, and what shows that it is.
#[derive(Clone, Serialize, JsonSchema)]
pub(super) struct Common {
    namespace: String,
    /// `ingress` or `service`.
    kind: &'static str,
    name: String,
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
