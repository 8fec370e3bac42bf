//! What Kubernetes objects mean: owners, Services, mounts, arguments, scheduling, images, volumes, policies.

pub(crate) mod arguments;
pub(crate) mod capacity;
pub(crate) mod claim_templates;
pub(crate) mod claims;
pub(crate) mod cluster_dns;
pub(crate) mod endpoints;
pub(crate) mod host;
pub(crate) mod image;
pub(crate) mod index;
pub(crate) mod managed;
pub(crate) mod mounts;
pub(crate) mod network_policy;
pub(crate) mod nodes;
pub(crate) mod owner;
pub(crate) mod probes;
pub(crate) mod program;
pub(crate) mod proxy;
pub(crate) mod pull_error;
pub(crate) mod scheduling;
pub(crate) mod service_host;
pub(crate) mod service_port;
pub(crate) mod start_error;
pub(crate) mod unschedulable;
pub(crate) mod volumes;
