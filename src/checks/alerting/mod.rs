//! Alertmanager and its receivers.

mod alertmanager_notify;

use super::Check;

/// The checks of this suite.
pub(super) const CHECKS: &[&dyn Check] = &[&alertmanager_notify::AlertmanagerNotify];
