//! Pods and their controllers.

mod capacity;
mod detail;
mod not_created;
pub(super) mod pod_pending;
mod unschedulable;

use super::Check;

/// The checks of this suite.
pub(super) const CHECKS: &[&dyn Check] = &[&pod_pending::PodPending];
