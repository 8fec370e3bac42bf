//! Values of fixes that say what refuses a scrape, and who Prometheus is.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::prometheus::authorizer::{self, Guard};
use crate::domain::prometheus::rbac_proxy::{Asked, Attributes};
use crate::domain::prometheus::targets::{self, Address};
use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::ScrapeTarget;

/// Values for the fixes of 403: what checks the permission, and who Prometheus is for it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Authorizer {
    /// What checks the permission; none where the application decides.
    pub(crate) guard: Option<&'static str>,
    guard_path: String,
    can_i: Vec<String>,
    /// What it asks for instead of the path: group, resource with its part, object and namespace; empty where it does not.
    asked_group: String,
    asked_resource: String,
    asked_name: String,
    asked_namespace: String,
    /// The file that says what it asks for, where that is not known.
    asked_file: String,
    account_known: bool,
    account: String,
    account_namespace: String,
    pub(crate) account_user: String,
    role: String,
}

impl Authorizer {
    /// What refuses this target.
    pub(crate) fn of(snap: &Snapshot, target: &ScrapeTarget, address: Option<&Address>) -> Self {
        let guard = address.map_or(Guard::Application, |a| Guard::of(snap, target, a));
        let path = address.map_or("/metrics", Address::bare_path);
        let asked = address.map_or(Asked::Path, |a| authorizer::asked(snap, target, a));
        let (attributes, asked_file) = match asked {
            Asked::Path => (None, String::new()),
            Asked::Resource(attributes) => (Some(attributes), String::new()),
            Asked::Hidden(file) => (None, file),
        };
        let can_i = attributes.as_ref().map_or_else(|| guard.asks(path), Attributes::asks);
        let attributes = attributes.unwrap_or_default();
        let pod = targets::prometheus_pod(snap);
        // The admission controller fills in `default` where a pod names none.
        let account = pod.map(|p| p.spec.account());
        let account = account.unwrap_or("<service-account>");
        let namespace = pod.map_or("<namespace>", |p| p.metadata.namespace.as_str());
        Self {
            guard: guard.word(),
            can_i,
            asked_group: attributes.group,
            asked_resource: attributes.resource,
            asked_name: attributes.name,
            asked_namespace: attributes.namespace,
            asked_file,
            guard_path: path.to_owned(),
            account_known: pod.is_some(),
            account: account.to_owned(),
            account_namespace: namespace.to_owned(),
            account_user: format!("system:serviceaccount:{namespace}:{account}"),
            role: format!("{account}-scrape"),
        }
    }
}
