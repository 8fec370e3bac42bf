//! Alertmanager and its receivers.

mod alertmanager_notify;
pub(crate) mod config;
mod fix;
pub(crate) mod log;
pub(crate) mod reason;

use super::Check;

/// The checks of this suite.
pub(super) const CHECKS: &[&dyn Check] = &[&alertmanager_notify::AlertmanagerNotify];
