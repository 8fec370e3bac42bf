//! Pods and their controllers.

mod pod_pending;

use super::Check;

/// The checks of this suite.
pub(super) const CHECKS: &[&dyn Check] = &[&pod_pending::PodPending, ];
