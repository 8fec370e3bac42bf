//! Checks of Grafana: its datasources and dashboards.

use super::Check;

/// The suite's checks in the order in which they are listed.
pub(super) const CHECKS: &[&dyn Check] = &[];
