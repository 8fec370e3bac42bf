//! Values of fixes that say what refuses a scrape, and who Prometheus is.

use crate::domain::prometheus::authorizer::Guard;
use crate::domain::prometheus::targets::{self, Address};
use crate::model::Params;
use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::ScrapeTarget;

/// Values for the fixes of 401 and 403: `guard` (null: the application decides), `can_i`, `guard_path`, and who
/// Prometheus is: `account`, `account_namespace`, `account_user`, `role`.
pub(crate) fn set_params(snap: &Snapshot, target: &ScrapeTarget, address: Option<&Address>, params: &mut Params) {
    let guard = address.map_or(Guard::Application, |a| Guard::of(snap, target, a));
    let path = address.map_or("/metrics", Address::bare_path);
    params.set("guard", guard.word());
    params.set("can_i", guard.asks(path));
    params.set("guard_path", path);
    let pod = targets::prometheus_pod(snap);
    // The admission controller fills in `default` where a pod names none.
    let account = pod.map(|p| p.spec.service_account_name.as_deref().unwrap_or("default"));
    let namespace = pod.map(|p| p.metadata.namespace.as_str());
    let (account, namespace) = (account.unwrap_or("<service-account>"), namespace.unwrap_or("<namespace>"));
    params.set("account_known", pod.is_some());
    params.set("account", account);
    params.set("account_namespace", namespace);
    params.set("account_user", format!("system:serviceaccount:{namespace}:{account}"));
    params.set("role", format!("{account}-scrape"));
}
