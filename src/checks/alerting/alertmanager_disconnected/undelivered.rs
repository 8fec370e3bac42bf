//! Alertmanagers that Prometheus knows and cannot send to.

use super::case::Case;
use super::fix::Way;
use super::prometheus::Prometheus;
use super::{Known, finding};
use crate::domain::prometheus::notifier::{self, Failing, Overflow, Undelivered};
use crate::domain::text::redact::redact;
use crate::model::{Evidence, Finding, Severity};
use crate::snapshot::Snapshot;

const SHOW_LOG: &str = "kubectl logs -n {{ namespace }} {{ pod }} -c {{ container }} --since=1h";

/// One finding for each Alertmanager, whichever replica of Prometheus says so; a full queue alone is one as well.
pub(super) fn findings(snap: &Snapshot, known: &Known, all: &Undelivered) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut urls: Vec<&str> = all.failing.iter().map(|f| f.url.as_str()).collect();
    urls.sort_unstable();
    urls.dedup();
    for url in &urls {
        let of_url: Vec<&Failing> = all.failing.iter().filter(|f| f.url == *url).collect();
        // The latest attempt says what is wrong now.
        let Some(latest) = of_url.iter().copied().max_by_key(|f| f.last) else { continue };
        let alerts = of_url.iter().map(|f| f.alerts).sum();
        found.push(of_one(snap, known, latest, alerts, &urls, &all.overflows));
    }
    if found.is_empty() {
        found.extend(all.overflows.first().map(|o| full_queue(snap, o)));
    }
    found
}

fn of_one(
    snap: &Snapshot,
    known: &Known,
    failing: &Failing,
    alerts: u64,
    failing_urls: &[&str],
    overflows: &[Overflow],
) -> Finding {
    let case = Case::new(snap, failing);
    let others = known.active.iter().filter(|url| !failing_urls.contains(&url.as_str())).count();
    let queued: u64 = overflows.iter().map(|o| o.alerts).sum();
    let lost = if queued > 0 { format!("; its queue is full, and {queued} more were dropped") } else { String::new() };
    // What is right of a batch is taken.
    let some_only = case.refused.as_ref().is_some_and(|(_, r)| r.is_external != Some(true));
    let (severity, effect) = match others {
        _ if some_only => (Severity::Warning, "it takes the others of the same batch".to_owned()),
        0 => (
            Severity::Error,
            format!("{alerts} alert notifications failed within the hour{lost}{}", known.firing_words()),
        ),
        1 => (Severity::Warning, "the other Alertmanager still gets the alerts".to_owned()),
        n => (Severity::Warning, format!("{n} other Alertmanagers still get the alerts")),
    };
    let message = format!("Prometheus cannot send alerts to Alertmanager {}: {}; {effect}", case.at(), case.why());
    let at = &failing.at;
    let pod = finding::pod(snap, Some((&at.namespace, &at.pod)));
    let mut made = finding::new(snap, pod, severity, message).key(case.at()).evidence(log_evidence(at, &failing.line));
    if let Some((pod, refused)) = &case.refused {
        let place = notifier::Place {
            namespace: pod.metadata.namespace.clone(),
            pod: pod.metadata.name.clone(),
            container: refused.container.clone(),
        };
        made = made.evidence(log_evidence(&place, &refused.line));
    }
    if others > 0 {
        let list = known.active.iter().map(|url| redact(url)).collect::<Vec<_>>().join(", ");
        made = made.evidence(finding::list_evidence(snap, list));
    }
    case.depends_on(made).fix(Prometheus { snap, pod }.fix(|of| case.way(of)))
}

fn log_evidence(at: &notifier::Place, line: &str) -> Evidence {
    Evidence::new(format!("log of pod {}/{}", at.namespace, at.pod), redact(line), SHOW_LOG)
        .with("namespace", &at.namespace)
        .with("pod", &at.pod)
        .with("container", &at.container)
}

fn full_queue(snap: &Snapshot, overflow: &Overflow) -> Finding {
    let message = format!(
        "Prometheus drops alerts: its notification queue is full ({} dropped within the hour), because no Alertmanager takes them fast enough",
        overflow.alerts
    );
    let at = &overflow.at;
    let pod = finding::pod(snap, Some((&at.namespace, &at.pod)));
    let made =
        finding::new(snap, pod, Severity::Error, message).key("queue").evidence(log_evidence(at, &overflow.line));
    finding::depends_on_alertmanager(snap, made).fix(Prometheus { snap, pod }.fix(|of| Way::Queue(of.alertmanager())))
}
