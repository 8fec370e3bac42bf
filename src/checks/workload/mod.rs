//! Pods and their controllers.

mod capacity;
mod config_error;
pub(crate) mod crash;
mod crash_loop;
mod detail;
mod image;
mod image_pull;
mod memory;
mod memory_headroom;
pub(crate) mod node_not_ready;
mod not_created;
mod oom_killed;
mod pod_pending;
mod pull_reason;
mod start_fault;
#[cfg(test)]
mod testing;
pub(crate) mod unschedulable;
mod wal;

use super::Check;

/// The checks of this suite.
pub(super) const CHECKS: &[&dyn Check] = &[
    &pod_pending::PodPending,
    &node_not_ready::NodeNotReady,
    &crash_loop::CrashLoop,
    &oom_killed::OomKilled,
    &memory_headroom::MemoryHeadroom,
    &image_pull::ImagePull,
    &config_error::ConfigError,
];
