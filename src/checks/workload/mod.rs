//! Pods and their controllers.

mod capacity;
pub(crate) mod crash;
mod crash_loop;
mod detail;
pub(crate) mod mounts;
mod not_created;
pub(crate) mod pod_pending;
pub(crate) mod target;
mod unschedulable;

use super::Check;

/// The checks of this suite.
pub(super) const CHECKS: &[&dyn Check] = &[&pod_pending::PodPending, &crash_loop::CrashLoop];
