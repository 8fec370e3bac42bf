//! What Grafana is provisioned with, its dashboards, and where a datasource URL leads.

pub(crate) mod dashboards;
pub(crate) mod database;
pub(crate) mod datasources;
pub(crate) mod fetched;
pub(crate) mod import;
pub(crate) mod ini;
pub(crate) mod old_labels;
pub(crate) mod panel;
pub(crate) mod part_log;
pub(crate) mod provision_log;
pub(crate) mod provisioned;
pub(crate) mod unread;
pub(crate) mod url;
