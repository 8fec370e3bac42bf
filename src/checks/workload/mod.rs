//! Pods and their controllers.

mod config_error;
mod crash_loop;
mod fargate_unfit;
mod image_cache;
mod image_pull;
mod job_failed;
mod memory_headroom;
pub(crate) mod node_not_ready;
mod oom_killed;
mod other_system;
mod pod_not_ending;
mod pod_pending;
mod pod_refused;
mod program_failing;
mod quota_scope;
mod reloaded_again;
mod rollout_stuck;
mod secret_not_made;
mod start_blocked;
mod update_held;
mod vpa_evicts;

use crate::checks::Check;

/// The checks of this suite.
pub(super) const CHECKS: &[&dyn Check] = &[
    &pod_pending::PodPending,
    &fargate_unfit::FargateUnfit,
    &quota_scope::QuotaScope,
    &start_blocked::StartBlocked,
    &pod_refused::PodRefused,
    &pod_not_ending::PodNotEnding,
    &node_not_ready::NodeNotReady,
    &crash_loop::CrashLoop,
    &oom_killed::OomKilled,
    &memory_headroom::MemoryHeadroom,
    &image_pull::ImagePull,
    &config_error::ConfigError,
    &image_cache::ImageCache,
    &other_system::OtherSystem,
    &update_held::UpdateHeld,
    &rollout_stuck::RolloutStuck,
    &program_failing::ProgramFailing,
    &secret_not_made::SecretNotMade,
    &vpa_evicts::VpaEvicts,
    &reloaded_again::ReloadedAgain,
    &job_failed::JobFailed,
];
