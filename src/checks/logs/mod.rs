//! Log agents, Loki and Elasticsearch.

mod log_agent;
mod loki;

use crate::checks::Check;

/// The checks of this suite.
pub(super) const CHECKS: &[&dyn Check] = &[&log_agent::LogAgent, &loki::Loki];
