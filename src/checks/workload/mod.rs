//! Pods and their controllers.

mod capacity;
mod config_error;
mod image;
mod image_pull;
mod memory;
mod memory_headroom;
mod oom_killed;
mod pod_pending;
mod pull_reason;
mod start_fault;
mod target;
#[cfg(test)]
mod testing;
mod unschedulable;
mod wal;

use super::Check;

/// The checks of this suite.
pub(super) const CHECKS: &[&dyn Check] = &[
    &pod_pending::PodPending,
    &oom_killed::OomKilled,
    &memory_headroom::MemoryHeadroom,
    &image_pull::ImagePull,
    &config_error::ConfigError,
];
