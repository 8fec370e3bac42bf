//! The instance behind a node, as commands name it.

use schemars::JsonSchema;
use serde::Serialize;

use crate::snapshot::kubernetes::Node;

/// The instance behind a node, and what replaces it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Instance {
    /// None where EKS does not let people at it.
    instance: Option<String>,
    /// The same, where an Auto Scaling group replaces it.
    scaled: Option<String>,
    group: Option<String>,
    /// Karpenter or EKS Auto Mode replaces the node.
    karpenter: bool,
    /// The node itself is broken, and another one takes its place.
    replaced: bool,
}

impl Instance {
    /// Of a node that is not at fault itself: what it suffers from would go to the next one with its pods.
    pub(crate) fn kept(self) -> Self {
        Self { replaced: false, ..self }
    }

    /// Of a node.
    pub(crate) fn of(node: &Node) -> Self {
        let karpenter = node.is_karpenter();
        let id = node.instance_id().map(str::to_owned);
        Self {
            instance: id.clone().filter(|_| !node.is_auto_mode()),
            scaled: id.filter(|_| !karpenter),
            group: node.metadata.label("eks.amazonaws.com/nodegroup").map(str::to_owned),
            karpenter,
            replaced: true,
        }
    }
}
