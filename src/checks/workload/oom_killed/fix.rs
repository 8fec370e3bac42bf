//! What a container that is killed for its memory gets, or its node.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::checks::support::addon::{kept_role, named};
use crate::checks::support::memory::{Limits, is_init, is_main, resources};
use crate::domain::aws::addon::with_values;
use crate::domain::kubernetes::owner::{Settable, Target};
use crate::domain::kubernetes::{json_patch, limit_range};
use crate::domain::prometheus::memory::{Proposal, exact, limit_of, request_of, sensible};
use crate::domain::prometheus::oom::Kill;
use crate::model::Program;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, LimitRange, Pod};

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
pub(super) enum Fix {
    Raise {
        #[serde(flatten)]
        limits: Limits,
        pod: String,
        /// Nobody can set it.
        fixed: bool,
        has_rollout: bool,
        /// It replayed its write-ahead log.
        wal: bool,
        /// The patch where only a patch can set it.
        patch: Option<String>,
        /// The operator's resource makes the container, and has no field for it.
        custom_side: bool,
        /// The StatefulSet does not replace a pod that is not ready.
        stuck: bool,
        #[serde(flatten)]
        addon: Addon,
        #[serde(flatten)]
        java: Java,
        #[serde(flatten)]
        ranges: Ranges,
    },
    NoRoom {
        #[serde(flatten)]
        limits: Limits,
        fit: String,
        wal: bool,
        is_prometheus: bool,
        #[serde(flatten)]
        java: Java,
        #[serde(flatten)]
        ranges: Ranges,
    },
    Node {
        namespace: String,
        node: String,
        target: String,
        /// Who used most; none where that is not known.
        container: Option<String>,
        /// What it is to ask for, where it asks for less than it takes.
        request: Option<String>,
        in_place: bool,
        custom: Option<&'static str>,
        custom_name: Option<String>,
        managed_by: String,
        evicted: Vec<String>,
    },
    Watch {
        namespace: String,
        pod: String,
    },
}

/// A Java that does not see the limit.
#[derive(Serialize, JsonSchema)]
pub(super) struct Java {
    /// Its version; empty where it sees the limit, or there is none.
    java: String,
    /// What it may take of the limit.
    heap: String,
}

impl Java {
    /// Of a container with this limit.
    pub(super) fn of(version: Option<&str>, limit: f64) -> Self {
        const MIB: f64 = 1_048_576.0;
        Self { java: version.unwrap_or_default().to_owned(), heap: format!("-Xmx{:.0}m", (limit * 0.7 / MIB).floor()) }
    }
}

/// LimitRanges of the namespace; empty where there is none.
#[derive(Serialize, JsonSchema)]
pub(super) struct Ranges {
    /// The one that the limit comes from.
    given_by: String,
    /// The one that allows less than is proposed, and what raises it.
    ceiling: String,
    ceiling_patch: String,
    /// Those that would refuse the pod all the same.
    also_refused: String,
}

impl Ranges {
    /// The one that gives the limit, and the one that is below what is proposed, with the path of its maximum.
    pub(super) fn of(
        given: Option<&LimitRange>,
        ceiling: Option<(&LimitRange, String)>,
        also: Vec<String>,
        proposal: &Proposal,
    ) -> Self {
        let raised = ceiling.as_ref().map(|(range, path)| limit_range::set(range, path, &exact(proposal.limit)));
        Self {
            given_by: given.map(|r| r.metadata.name.clone()).unwrap_or_default(),
            ceiling: ceiling.map(|(range, _)| range.metadata.name.clone()).unwrap_or_default(),
            ceiling_patch: raised.map(json_patch::text).unwrap_or_default(),
            also_refused: also.join(", "),
        }
    }
}

/// The EKS add-on that keeps a container.
#[derive(Serialize, JsonSchema)]
pub(super) struct Addon {
    addon: Option<&'static str>,
    addon_values: Option<String>,
    kept_role: Vec<String>,
    cluster: String,
}

impl Addon {
    fn of(snap: &Snapshot, target: &Target<'_>, container: &Container, proposal: &Proposal) -> Self {
        Self {
            addon: target.addon,
            addon_values: target.addon.and_then(|_| addon_values(snap, target, &container.name, &resources(proposal))),
            kept_role: target.addon.map(|name| kept_role(named(snap, name))).unwrap_or_default(),
            cluster: snap.target.cluster.as_deref().unwrap_or("<cluster>").to_owned(),
        }
    }
}

impl Fix {
    /// Another limit; `wal` where the container was killed while it replayed its write-ahead log.
    pub(super) fn limit(
        snap: &Snapshot,
        target: &Target<'_>,
        kill: &Kill<'_>,
        proposal: &Proposal,
        wal: bool,
        (java, ranges): (Java, Ranges),
    ) -> Self {
        let (pod, container) = (kill.pod, kill.container);
        let limits = Limits::of(snap, target, pod, container, proposal);
        if proposal.fit.is_no() {
            let is_prometheus = container.program() == Some(Program::Prometheus);
            return Self::NoRoom { limits, fit: proposal.fit.words(), wal, is_prometheus, java, ranges };
        }
        let init = target.in_place() && is_init(pod, container);
        let list = if is_init(pod, container) { "initContainers" } else { "containers" };
        let own = json!({"name": container.name, "resources": resources(proposal)});
        let patch = json!({"spec": {"template": {"spec": {list: [own]}}}});
        Self::Raise {
            limits,
            pod: pod.metadata.name.clone(),
            fixed: target.settable == Settable::No,
            has_rollout: target.has_rollout,
            wal,
            patch: init.then(|| patch.to_string()),
            custom_side: target.custom.is_some() && !is_main(container),
            stuck: target.in_place() && target.name.starts_with("statefulset/") && !pod.is_ready(),
            addon: Addon::of(snap, target, container, proposal),
            java,
            ranges,
        }
    }

    /// A node without memory.
    pub(super) fn node(
        target: &Target<'_>,
        pod: &Pod,
        container: Option<&Container>,
        used: Option<f64>,
        node: &str,
        evicted: Vec<String>,
    ) -> Self {
        let asked = container.and_then(request_of).unwrap_or(0.0);
        // A request beyond the limit would be refused.
        let limit = container.and_then(limit_of).unwrap_or(f64::INFINITY);
        let request = used.map(|u| sensible(u * 1.1).min(limit)).filter(|r| *r > asked).map(exact);
        Self::Node {
            namespace: pod.metadata.namespace.clone(),
            node: node.to_owned(),
            target: target.name.clone(),
            container: container.map(|c| c.name.clone()),
            request,
            in_place: target.in_place() && container.is_some(),
            custom: target.custom.map(|(kind, _)| kind),
            custom_name: target.custom.map(|(_, name)| name.to_owned()),
            managed_by: target.managed_by.clone(),
            evicted,
        }
    }
}

/// Configuration of an EKS add-on that sets a container's resources; what it has already is kept.
fn addon_values(snap: &Snapshot, target: &Target<'_>, container: &str, resources: &Value) -> Option<String> {
    let addon = target.addon?;
    let on_nodes = target.name.starts_with("daemonset/");
    let values = match (addon, container) {
        ("coredns", "coredns") | ("metrics-server", "metrics-server") => json!({"resources": resources}),
        ("vpc-cni", "aws-node") => json!({"resources": resources}),
        ("vpc-cni", "aws-eks-nodeagent") => json!({"nodeAgent": {"resources": resources}}),
        ("aws-ebs-csi-driver", "ebs-plugin") if on_nodes => json!({"node": {"resources": resources}}),
        ("aws-ebs-csi-driver", "ebs-plugin") => json!({"controller": {"resources": resources}}),
        ("aws-ebs-csi-driver", side) => {
            let part = match side {
                "csi-provisioner" => "provisioner",
                "csi-attacher" => "attacher",
                "csi-snapshotter" => "snapshotter",
                "csi-resizer" => "resizer",
                _ => return None,
            };
            json!({"sidecars": {part: {"resources": resources}}})
        }
        _ => return None,
    };
    with_values(named(snap, addon), &values)
}
