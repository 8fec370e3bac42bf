//! Writes the finding of a group of failed notifications.

use super::case::Case;
use super::fix::Fix;
use crate::checks::support::probes;
use crate::checks::support::seen::line_evidence;
use crate::domain::alertmanager::group::Group;
use crate::domain::aws::placement::Placement;
use crate::domain::kubernetes::probes::of_host;
use crate::domain::kubernetes::proxy;
use crate::domain::text::redact::redact;
use crate::model::{CheckId, Evidence, Finding, Program, ResourceRef, Severity};
use crate::snapshot::Snapshot;

/// The finding of a group.
pub(super) fn finding(id: CheckId, snap: &Snapshot, at: &Placement<'_>, group: &Group) -> Finding {
    let case = Case::new(snap, group);
    let receiver = case.receiver();
    let severity = if group.lost > 0 { Severity::Error } else { Severity::Warning };
    let subject = ResourceRef::Receiver { name: receiver.clone() };
    let sample = &group.sample;
    let key = format!("{receiver}/{}/{:?}", sample.integration, group.reason);
    let template =
        "kubectl logs -n {{ namespace }} {{ pod }}{% if container %} -c {{ container }}{% endif %} --since=1h";
    let seen =
        Evidence::new(format!("log of pod {}/{}", sample.namespace, sample.pod), redact(&sample.cause), template)
            .with("namespace", &sample.namespace)
            .with("pod", &sample.pod)
            .with("container", case.container.map_or("", |c| c.name.as_str()));
    let bridge = case.bridge();
    let mut message = case.message(&receiver);
    if let Some(said) = case.bridge_says() {
        message.push_str(&format!("; it says itself: {said}"));
    }
    let mut finding = Finding::new(id, severity, subject, message).evidence(seen).key(key);
    if let Some((log, line)) = bridge {
        finding = finding.evidence(line_evidence(log, line));
    }
    if let Some(seen) = counters(snap, &sample.integration) {
        finding = finding.evidence(seen);
    }
    for probe in case.host.iter().flat_map(|host| of_host(snap, Program::Alertmanager, host)) {
        finding = finding.evidence(probes::evidence(probe));
    }
    case.depends_on(finding, at).fix(Fix::of(&case))
}

/// Alertmanager's counters of an integration, as a second witness.
fn counters(snap: &Snapshot, integration: &str) -> Option<Evidence> {
    let of = |name: &str| -> f64 {
        let all = snap.alertmanager_metrics.iter().flatten();
        all.filter(|s| s.name == name && s.labels.get("integration").is_some_and(|i| i == integration))
            .map(|s| s.value)
            .sum()
    };
    let (all, failed) = (of("alertmanager_notifications_total"), of("alertmanager_notifications_failed_total"));
    let at = snap.scope.alertmanager.as_ref()?;
    let path = proxy::of_component(at, "/metrics");
    let value = format!("{integration}: {failed} of {all} since start");
    let seen = Evidence::new("alertmanager_notifications_failed_total", value, "kubectl get --raw {{ path }}");
    (failed > 0.0).then(|| seen.with("path", path))
}
