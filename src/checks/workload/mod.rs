//! Pods and their controllers.

mod capacity;
pub(super) mod pod_pending;
mod unschedulable;

use super::Check;

/// The checks of this suite.
pub(super) const CHECKS: &[&dyn Check] = &[&pod_pending::PodPending];
