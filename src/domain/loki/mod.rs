//! Log agents and the stores that they send to: what an agent's log says of lines that do not arrive.

pub(crate) mod agent;
pub(crate) mod agent_log;
pub(crate) mod engine_log;
pub(crate) mod gateway_log;
pub(crate) mod kafka;
pub(crate) mod reason;
pub(crate) mod retention;
pub(crate) mod ring;
pub(crate) mod store_log;
