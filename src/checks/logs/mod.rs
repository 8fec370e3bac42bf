//! Log agents, collectors, Loki and Elasticsearch.

mod collector_failing;
mod log_agent;
mod loki;
mod loki_retention;
mod search_engine;
mod store_gateway;

use crate::checks::Check;

/// The checks of this suite.
pub(super) const CHECKS: &[&dyn Check] = &[
    &collector_failing::CollectorFailing,
    &log_agent::LogAgent,
    &loki::Loki,
    &loki_retention::LokiRetention,
    &search_engine::SearchEngine,
    &store_gateway::StoreGateway,
];
