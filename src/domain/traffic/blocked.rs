//! Flows that NetworkPolicies drop.

use crate::domain::kubernetes::network_policy::{Block, Direction, Peer, Policies};
use crate::domain::traffic::flows::{Destination, End, Flow};
use crate::snapshot::kubernetes::{NetworkPolicy, Pod};

/// Who enforces policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    /// The agent of the VPC CNI.
    VpcCni,
    /// The agent is there and switched off, and no other plugin was seen.
    Off,
    /// Another plugin, or nobody knows.
    Other,
}

/// Flows that the same policies drop, from one workload.
pub(crate) struct Blocked<'a> {
    pub(crate) direction: Direction,
    pub(crate) policies: Vec<&'a NetworkPolicy>,
    pub(crate) flows: Vec<Flow<'a>>,
    /// The `except` that wins over the rule which admits them.
    pub(crate) except: Option<ipnet::IpNet>,
}

/// On each side, the policies that let none of the ends through.
pub(crate) fn blocks<'a>(policies: &Policies<'a>, from: &Pod, to: &Destination<'_>) -> Vec<Block<'a>> {
    let sender = || {
        let of_end = |end: &End<'_>| policies.block(Direction::Egress, from, &end.peer, to.protocol, end.port);
        to.ends.iter().map(of_end).collect::<Option<Vec<_>>>()?.into_iter().next()
    };
    let receiver = || {
        let of_end = |end: &End<'_>| {
            let here = Peer::pod(from);
            policies.block(Direction::Ingress, end.peer.pod?, &here, to.protocol, end.port)
        };
        to.ends.iter().map(of_end).collect::<Option<Vec<_>>>()?.into_iter().next()
    };
    sender().into_iter().chain(receiver()).collect()
}
