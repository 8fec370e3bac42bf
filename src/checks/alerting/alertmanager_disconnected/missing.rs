//! Alerts that fire for long, and that the Alertmanager they are sent to does not have, although nothing fails any more.

use std::collections::BTreeSet;

use super::prometheus::Prometheus;
use super::{Known, finding};
use crate::checks::support::scrape::api_evidence;
use crate::domain::alertmanager::tree::proves_alerting;
use crate::domain::kubernetes::proxy;
use crate::domain::prometheus::running_config;
use crate::domain::prometheus::targets::Address;
use crate::lint::yaml::Node;
use crate::model::{Evidence, Finding, Severity};
use crate::snapshot::Snapshot;

/// Seconds that an alert fires before it must have arrived: Prometheus sends each again every minute.
const PATIENCE: i64 = 600;

/// The finding, where Alertmanager has none of the alerts that fire.
pub(super) fn finding(snap: &Snapshot, known: &Known) -> Option<Finding> {
    let at = snap.scope.alertmanager.as_ref()?;
    let old = |at: jiff::Timestamp| snap.seconds_since(at) > PATIENCE;
    let firing = snap.prometheus_alerts().ok()?.iter().filter(|a| a.state == "firing" && a.active_at.is_some_and(old));
    let firing: BTreeSet<&str> = firing.map(|a| a.name()).filter(|n| !n.is_empty() && !proves_alerting(n)).collect();
    if firing.is_empty() {
        return None;
    }
    let groups = snap.alertmanager_alerts().ok()?;
    let held: BTreeSet<&str> =
        groups.iter().flat_map(|g| &g.alerts).filter_map(|a| a.labels.get("alertname")).map(String::as_str).collect();
    if firing.iter().any(|name| held.contains(name)) {
        return None;
    }
    if is_relabelled(snap) || !known.active.iter().any(|url| is_asked(snap, url)) {
        return None;
    }
    let names = firing.iter().copied().collect::<Vec<_>>().join(", ");
    let message = format!(
        "Alertmanager {}/{} has none of the alerts that fire in Prometheus for ten minutes and more ({names}), and no current error says why",
        at.namespace, at.service
    );
    let pod = finding::pod(snap, None);
    let path = proxy::of_component(at, "/api/v2/alerts");
    let held = if held.is_empty() { "no alert".to_owned() } else { held.into_iter().collect::<Vec<_>>().join(", ") };
    let made = finding::new(snap, pod, Severity::Warning, message)
        .key("missing")
        .evidence(api_evidence(snap, "Prometheus /api/v1/alerts".into(), format!("{names} fire"), "/api/v1/alerts"))
        .evidence(
            Evidence::new("Alertmanager /api/v2/alerts", held, "kubectl get --raw {{ path }}").with("path", &path),
        );
    let made = finding::depends_on_alertmanager(snap, made);
    Some(made.fix(Prometheus { snap, pod }.fix(|of| of.missing(path))))
}

/// Rules between both may drop or rename alerts: then nobody knows what should be there.
fn is_relabelled(snap: &Snapshot) -> bool {
    let Some(root) = running_config::document(snap) else { return true };
    let rules = root.at(&["alerting", "alert_relabel_configs"]).and_then(Node::items);
    rules.is_some_and(|rules| !rules.is_empty())
}

/// The Alertmanager behind a URL that Prometheus posts to is the one that was asked what it has.
fn is_asked(snap: &Snapshot, url: &str) -> bool {
    let Some((at, host)) = snap.scope.alertmanager.as_ref().zip(Address::parse(url).map(|a| a.host)) else {
        return false;
    };
    let service = |s: &crate::snapshot::kubernetes::Service| {
        s.metadata.namespace == at.namespace && s.metadata.name == at.service
    };
    if snap.service_by_host(&host).is_some_and(service) {
        return true;
    }
    let Some(pod) = snap.pod_by_ip(&host) else { return false };
    let own = snap.services.find(&at.namespace, &at.service).ok().flatten();
    own.is_some_and(|s| snap.pods_of_service(s).any(|p| p.metadata.name == pod.metadata.name))
}
