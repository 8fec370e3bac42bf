//! The fixes, and what they name.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::checks::support::addon;
use crate::domain::aws::addon::with_values;
use crate::domain::aws::identity::Identity;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::owner;
use crate::model::ResourceRef;
use crate::snapshot::Snapshot;
use crate::snapshot::aws::Addon;

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
pub(super) enum Fix {
    VpcResolver {
        #[serde(flatten)]
        of: InCluster,
        spread: String,
        /// Replicas to ask for: some more than now.
        replicas: u32,
        /// The add-on's configuration with so many; empty where what it has cannot be read.
        more: String,
        managed: String,
        /// All pods are on one node.
        crowded: bool,
        node: String,
    },
    /// The VPC resolver forwards a domain to servers that do not answer.
    Forwarded {
        #[serde(flatten)]
        of: Of,
        server: String,
        domain: String,
        /// As Route 53 writes it.
        rule_domain: String,
    },
    Upstream {
        #[serde(flatten)]
        of: Kept,
        server: String,
    },
    Loop {
        #[serde(flatten)]
        of: Kept,
    },
    NoServers {
        #[serde(flatten)]
        of: Kept,
        /// A node of its pods; empty where none is known.
        node: String,
    },
    Corefile {
        #[serde(flatten)]
        of: Kept,
    },
    Forbidden {
        #[serde(flatten)]
        of: Of,
    },
    Api {
        #[serde(flatten)]
        of: Of,
    },
    TooMany {
        #[serde(flatten)]
        of: Kept,
    },
    Ready {
        #[serde(flatten)]
        of: Kept,
        map: String,
        /// It takes a new Corefile by itself.
        reloads: bool,
        /// Who else keeps the ConfigMap.
        map_managed: String,
    },
}

/// The workload.
#[derive(Clone, Serialize, JsonSchema)]
pub(super) struct Of {
    /// `deployment/coredns`.
    workload: String,
}

/// The workload, and whether the EKS add-on keeps it.
#[derive(Clone, Serialize, JsonSchema)]
pub(super) struct Kept {
    #[serde(flatten)]
    of: Of,
    addon: bool,
}

/// The same, with the cluster.
#[derive(Clone, Serialize, JsonSchema)]
pub(super) struct InCluster {
    #[serde(flatten)]
    kept: Kept,
    cluster: String,
    /// The role that an update of the add-on repeats.
    kept_role: Vec<String>,
}

/// What the fixes name of CoreDNS and of its cluster.
pub(super) struct Names {
    cluster: InCluster,
    /// The add-on's configuration with the pods spread over nodes and zones; what is set stays.
    spread: String,
    replicas: u32,
    more: String,
    managed: String,
}

impl Names {
    pub(super) fn of(snap: &Snapshot, workload: &ResourceRef) -> Self {
        let addon = addon::named(snap, "coredns");
        let known = Identity::of(snap);
        let deployment = owner::workload(snap, workload);
        let managed = deployment.map(|w| managed_by(&w.metadata)).unwrap_or_default();
        let replicas = deployment.and_then(|w| w.spec.replicas).unwrap_or(2) + 2;
        let kept = Kept { of: Of { workload: workload.kubectl_name() }, addon: addon.is_some() };
        Self {
            cluster: InCluster {
                kept,
                cluster: known.cluster.unwrap_or("<cluster-name>").to_owned(),
                kept_role: addon::kept_role(addon),
            },
            spread: spread(addon),
            replicas,
            more: with_values(addon, &json!({"replicaCount": replicas})).unwrap_or_default(),
            managed: if addon.is_some() { String::new() } else { managed },
        }
    }

    pub(super) fn workload(&self) -> Of {
        self.cluster.kept.of.clone()
    }

    pub(super) fn kept(&self) -> Kept {
        self.cluster.kept.clone()
    }

    pub(super) fn in_cluster(&self) -> InCluster {
        self.cluster.clone()
    }

    pub(super) fn forwarded(&self, domain: String, server: String) -> Fix {
        let rule_domain = format!("{domain}.");
        Fix::Forwarded { of: self.workload(), server, domain, rule_domain }
    }

    pub(super) fn vpc_resolver(&self, crowded: bool, node: &str) -> Fix {
        Fix::VpcResolver {
            of: self.in_cluster(),
            spread: self.spread.clone(),
            replicas: self.replicas,
            more: self.more.clone(),
            managed: self.managed.clone(),
            crowded,
            node: node.to_owned(),
        }
    }
}

/// The add-on's configuration with a spread over nodes added; empty where what it has cannot be read, as an update replaces
/// all of it.
fn spread(addon: Option<&Addon>) -> String {
    let over = |key: &str| {
        json!({"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {"k8s-app": "kube-dns"}}})
    };
    let constraints = json!([over("kubernetes.io/hostname"), over("topology.kubernetes.io/zone")]);
    with_values(addon, &json!({"topologySpreadConstraints": constraints})).unwrap_or_default()
}
