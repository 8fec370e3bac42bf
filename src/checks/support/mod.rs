//! What several checks say alike: evidence and values of fixes.

pub(crate) mod addon;
pub(crate) mod amtool;
pub(crate) mod authorizer;
pub(crate) mod behind;
pub(crate) mod beside;
pub(crate) mod claims;
pub(crate) mod configuration;
pub(crate) mod data;
pub(crate) mod edits;
pub(crate) mod faulty_file;
pub(crate) mod grafana;
pub(crate) mod helm;
pub(crate) mod host_network;
pub(crate) mod instance;
pub(crate) mod kept;
pub(crate) mod memory;
pub(crate) mod moved;
pub(crate) mod node_group;
pub(crate) mod node_pool;
pub(crate) mod operator;
pub(crate) mod origin;
pub(crate) mod pipeline;
pub(crate) mod place;
pub(crate) mod probes;
pub(crate) mod rollout;
pub(crate) mod rule;
pub(crate) mod scrape;
pub(crate) mod seen;
pub(crate) mod services;
pub(crate) mod severity;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod traffic;
pub(crate) mod unselected;
pub(crate) mod volume;
pub(crate) mod written;
