//! What the files hold that the user is about to apply.

pub(crate) mod alerts;
pub(crate) mod balancer;
pub(crate) mod brought_roles;
pub(crate) mod certificates;
pub(crate) mod charts;
pub(crate) mod cluster;
pub(crate) mod content;
pub(crate) mod copy;
pub(crate) mod dialect;
pub(crate) mod given;
pub(crate) mod grafana;
pub(crate) mod included;
pub(crate) mod lasting;
pub(crate) mod links;
pub(crate) mod namespaces;
pub(crate) mod overlaid;
pub(crate) mod references;
pub(crate) mod requests;
pub(crate) mod retention;
pub(crate) mod roles;
pub(crate) mod together;
pub(crate) mod twins;
pub(crate) mod values;
pub(crate) mod written;
