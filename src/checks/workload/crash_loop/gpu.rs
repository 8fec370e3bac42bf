//! Who measures GPUs of NVIDIA and finds no driver: the node has none, its image has no driver, or the container is not given it.

use crate::checks::workload::crash_loop::outer_values::Gpu;
use serde_json::json;

use crate::checks::support::kept::Kept;
use crate::checks::support::node_group;
use crate::checks::support::place::Place;
use crate::checks::workload::crash_loop::case::Case;
use crate::checks::workload::crash_loop::values::node;
use crate::checks::workload::crash_loop::way::Way;
use crate::domain::aws::gpu;
use crate::snapshot::aws::Nodegroup;
use crate::snapshot::journal;
use crate::snapshot::kubernetes::Node;

const TYPE: &str = "node.kubernetes.io/instance-type";
const GROUP: &str = "eks.amazonaws.com/nodegroup";

/// Why the driver's library is not in the container.
pub(super) enum Lacks<'a> {
    /// The node has no GPU of NVIDIA: its instance type.
    Gpu(&'a str),
    /// The image of its node group has no driver: the group, and the AMI type that has it.
    Driver(&'a Nodegroup, &'static str),
    /// As far as is known the node has both, and the container is not started with NVIDIA's runtime.
    Runtime,
}

impl<'a> Lacks<'a> {
    pub(super) fn of(case: &Case<'a>) -> Self {
        // It only tells more of what the log says.
        journal::aside(|| {
            let Some(node) = case.snap.node_of(case.failing.pod) else { return Self::Runtime };
            let kind = node.metadata.label(TYPE).unwrap_or_default();
            // Only of instances of EC2 the type tells which GPU there is: elsewhere any machine may have one.
            if !kind.is_empty() && node.instance_id().is_some() && !gpu::has_nvidia(kind) {
                return Self::Gpu(kind);
            }
            let group = node
                .metadata
                .label(GROUP)
                .and_then(|name| case.snap.eks_nodegroups.iter().flatten().find(|g| g.nodegroup_name == name));
            match group.and_then(|g| Some((g, gpu::with_driver(&g.ami_type)?))) {
                Some((group, image)) => Self::Driver(group, image),
                None => Self::Runtime,
            }
        })
    }

    /// As the end of a sentence.
    pub(super) fn words(&self, case: &Case<'_>) -> String {
        let node = node(case);
        match self {
            Self::Gpu(kind) => format!("node {node} is {kind}, which has no GPU of NVIDIA"),
            Self::Driver(group, _) => format!(
                "node {node} is of node group {}, whose image ({}) has no driver of NVIDIA",
                group.nodegroup_name, group.ami_type
            ),
            Self::Runtime => "the container is not started with NVIDIA's runtime, or the node has no driver".to_owned(),
        }
    }
}

/// What gives it the driver, or takes it off the node.
pub(super) fn way(case: &Case<'_>) -> Way {
    let lacks = Lacks::of(case);
    let nodes = journal::aside(|| case.snap.nodes.items().unwrap_or_default());
    let kind = |n: &'_ Node| n.metadata.label(TYPE).filter(|t| gpu::has_nvidia(t)).map(str::to_owned);
    let mut kinds: Vec<String> = nodes.iter().filter_map(kind).collect();
    kinds.sort();
    kinds.dedup();
    let term = json!([{"matchExpressions": [{"key": TYPE, "operator": "In", "values": kinds}]}]);
    let affinity =
        json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": term}}});
    let affinity = json!({"spec": {"template": {"spec": {"affinity": affinity}}}}).to_string();
    let create = match &lacks {
        Lacks::Driver(group, image) => {
            // Its launch template names no image, as the group has a type of EKS: what else it sets stays.
            let mut like = Nodegroup { ami_type: (*image).to_owned(), ..(*group).clone() };
            let own = journal::aside(|| case.snap.node_of(case.failing.pod)).and_then(|n| n.metadata.label(TYPE));
            if like.instance_types.is_empty() && like.launch_template.is_none() {
                like.instance_types.extend(own.map(str::to_owned));
            }
            let name = format!("{}-nvidia", group.nodegroup_name);
            node_group::create(&like, &Place::of(case.snap), &name, &group.subnets)
        }
        _ => Vec::new(),
    };
    Way::Gpu(Gpu {
        node: node(case),
        without: matches!(lacks, Lacks::Gpu(_)),
        affinity: if matches!(lacks, Lacks::Gpu(_)) && !kinds.is_empty() { affinity } else { String::new() },
        create,
        runtime: matches!(lacks, Lacks::Runtime),
        kept: Kept::of(&case.target),
    })
}
