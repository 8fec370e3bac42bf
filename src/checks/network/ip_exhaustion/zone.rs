//! Subnets of pods that lie in another zone than their node: no interface of the node can have an address of them.

use crate::domain::aws::vpc_cni;
use crate::domain::kubernetes::scheduling;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{EniConfig, Pod};

/// What gives pods of a node subnets of their own, and none in its zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Far {
    /// As people call it, and as kubectl takes it.
    pub(super) kind: &'static str,
    pub(super) resource: &'static str,
    pub(super) name: String,
    /// The subnets that it gives, with their zones.
    pub(super) given: Vec<(String, String)>,
    /// The zone of the node.
    pub(super) zone: String,
    /// The pool whose nodes are of the class; none where an ENIConfig is meant.
    pub(super) pool: Option<String>,
}

impl Far {
    /// `subnet-1 (eu-west-1a)`.
    pub(super) fn given(&self) -> String {
        self.given.iter().map(|(id, zone)| format!("{id} ({zone})")).collect::<Vec<_>>().join(", ")
    }
}

/// The ENIConfig of a node: the one that its label names, mostly its zone's.
pub(super) fn eni_config<'a>(snap: &'a Snapshot, pod: &Pod) -> Option<&'a EniConfig> {
    let configs = snap.eni_configs.items().ok()?;
    configs.iter().find(|c| Some(c.metadata.name.as_str()) == config_name(snap, pod))
}

/// The name of the ENIConfig that a pod's node wants.
pub(super) fn config_name<'a>(snap: &'a Snapshot, pod: &Pod) -> Option<&'a str> {
    let node = snap.node_of(pod)?;
    node.metadata.label("k8s.amazonaws.com/eniConfig").or_else(|| scheduling::zone(node))
}

/// Its node wants an ENIConfig that does not exist.
pub(super) fn lacks_config(snap: &Snapshot, pod: &Pod) -> bool {
    snap.eni_configs.items().is_ok() && config_name(snap, pod).is_some() && eni_config(snap, pod).is_none()
}

/// Of the node of a pod. `None` where the zones are not known, or one of the subnets lies in the node's.
pub(super) fn far(snap: &Snapshot, pod: &Pod) -> Option<Far> {
    let node = snap.node_of(pod)?;
    let zone = scheduling::zone(node)?.to_owned();
    let found = match node.metadata.label("eks.amazonaws.com/nodeclass") {
        Some(name) => {
            let all = snap.node_makers.items().unwrap_or_default();
            let class = all.iter().find(|o| o.kind == "NodeClass" && o.metadata.name == name)?;
            let given = class.status.pod_subnets.iter().map(|s| (s.id.clone(), s.zone.clone())).collect();
            let pool = node.metadata.label("karpenter.sh/nodepool").map(str::to_owned);
            let resource = "nodeclasses.eks.amazonaws.com";
            Far { kind: "NodeClass", resource, name: name.to_owned(), given, zone, pool }
        }
        None if vpc_cni::is_on(snap, vpc_cni::CUSTOM_NETWORK) => {
            let config = eni_config(snap, pod)?;
            let subnet = snap.subnets.iter().flatten().find(|s| s.subnet_id == config.spec.subnet)?;
            let given = vec![(subnet.subnet_id.clone(), subnet.availability_zone.clone())];
            let name = config.metadata.name.clone();
            Far { kind: "ENIConfig", resource: "eniconfigs.crd.k8s.amazonaws.com", name, given, zone, pool: None }
        }
        None => return None,
    };
    let is_known = !found.given.is_empty() && found.given.iter().all(|(_, zone)| !zone.is_empty());
    (is_known && found.given.iter().all(|(_, zone)| *zone != found.zone)).then_some(found)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::snapshot::Listing;
    use crate::snapshot::kubernetes::NodeMaker;

    fn with(pod_subnets: Value) -> Option<Far> {
        let mut snap = Snapshot::empty("2026-11-21T03:00:00Z".parse().expect("a time"));
        let node = json!({"metadata": {"name": "n", "labels": {"topology.kubernetes.io/zone": "eu-west-1c",
            "eks.amazonaws.com/nodeclass": "obs", "karpenter.sh/nodepool": "obs"}}});
        snap.nodes = Listing::cluster(serde_json::from_value(json!([node])).expect("nodes"));
        let class = json!({"metadata": {"name": "obs"}, "status": {"podSubnets": pod_subnets}});
        let class: NodeMaker = serde_json::from_value(class).expect("a class");
        snap.node_makers = Listing::cluster(vec![NodeMaker { kind: "NodeClass".into(), ..class }]);
        let pod = json!({"metadata": {"name": "p", "namespace": "monitoring"}, "spec": {"nodeName": "n"}});
        far(&snap, &serde_json::from_value(pod).expect("a pod"))
    }

    #[test]
    fn only_subnets_of_other_zones_alone_are_far() {
        let other = with(json!([{"id": "subnet-1", "zone": "eu-west-1a"}])).expect("is far");
        assert_eq!((other.given().as_str(), other.zone.as_str()), ("subnet-1 (eu-west-1a)", "eu-west-1c"));
        let both = json!([{"id": "subnet-1", "zone": "eu-west-1a"}, {"id": "subnet-2", "zone": "eu-west-1c"}]);
        assert_eq!(with(both), None);
        assert_eq!(with(json!([])), None, "pods share the node's subnets");
        assert_eq!(with(Value::Null), None);
        assert_eq!(with(json!([{"id": "subnet-1"}])), None, "the zone is not told");
    }
}
