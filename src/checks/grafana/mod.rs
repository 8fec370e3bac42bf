//! Checks of Grafana: its datasources and dashboards.

mod container_insights_metric;
mod dashboard_datasource;
mod dashboard_missing_metric;
mod grafana_admin_password;
mod grafana_alerting;
mod grafana_database;
mod grafana_datasource;
mod grafana_default_datasource;
mod grafana_default_password;
mod grafana_part_failing;
mod grafana_provisioning;
mod grafana_sidecar;
mod grafana_sub_path;

use crate::checks::Check;

/// The suite's checks in the order in which they are listed.
pub(super) const CHECKS: &[&dyn Check] = &[
    &grafana_datasource::GrafanaDatasource,
    &grafana_default_datasource::GrafanaDefaultDatasource,
    &grafana_database::GrafanaDatabase,
    &grafana_admin_password::GrafanaAdminPassword,
    &grafana_alerting::GrafanaAlerting,
    &grafana_part_failing::GrafanaPartFailing,
    &grafana_sub_path::GrafanaSubPath,
    &grafana_sidecar::GrafanaSidecar,
    &grafana_provisioning::GrafanaProvisioning,
    &dashboard_datasource::DashboardDatasource,
    &dashboard_missing_metric::DashboardMissingMetric,
    &container_insights_metric::ContainerInsightsMetric,
    &grafana_default_password::GrafanaDefaultPassword,
];
