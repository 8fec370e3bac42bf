//! Checks of Grafana: its datasources and dashboards.

mod grafana_datasource;
mod grafana_default_datasource;
mod provisioned;
#[cfg(test)]
mod testing;
mod url;

use super::Check;

/// The suite's checks in the order in which they are listed.
pub(super) const CHECKS: &[&dyn Check] =
    &[&grafana_datasource::GrafanaDatasource, &grafana_default_datasource::GrafanaDefaultDatasource];
