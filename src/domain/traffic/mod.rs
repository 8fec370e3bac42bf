//! Who talks to whom: connections that fail, what the stack needs to reach, what lies between.

pub(crate) mod attempts;
pub(crate) mod beyond;
pub(crate) mod blocked;
pub(crate) mod closed_vpc;
pub(crate) mod dns_path;
pub(crate) mod egress_demand;
pub(crate) mod flows;
pub(crate) mod local_only;
pub(crate) mod loopback;
pub(crate) mod misled;
pub(crate) mod other_nodes;
pub(crate) mod public_subnet;
pub(crate) mod router_log;
pub(crate) mod seen;
pub(crate) mod service_network;
pub(crate) mod shut;
pub(crate) mod silent_node;
pub(crate) mod survey;
pub(crate) mod unreached;
