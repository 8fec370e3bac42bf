//! Whether Alertmanager keeps an alert that it holds to itself: silences, inhibition, time intervals.

use std::collections::BTreeSet;

use super::build::{Seen, broken, idle, right};
use super::shown;
use super::words::{count, few};
use crate::model::Evidence;
use crate::snapshot::monitoring::Alert;
use crate::snapshot::{Fetched, Snapshot};

const NAMES: usize = 3;

/// Names by which a finding would speak of what mutes these alerts: the silences and intervals, else the alert itself.
pub(super) fn names(alert: &str, held: &[&Alert]) -> Vec<String> {
    let by = held.iter().flat_map(|a| a.status.silenced_by.iter().chain(&a.status.muted_by));
    let by: Vec<String> = by.cloned().collect();
    if by.is_empty() { vec![alert.to_owned()] } else { by }
}

/// Whether all of these alerts are kept from their receivers, and by what.
pub(super) fn of(snap: &Snapshot, held: &[&Alert]) -> Fetched<Seen> {
    snap.alertmanager_alerts()?;
    if held.is_empty() {
        return Ok(idle("there is nothing to mute"));
    }
    let mute = |a: &&&Alert| {
        let status = &a.status;
        status.state == "suppressed" || !(status.silenced_by.is_empty() && status.muted_by.is_empty())
    };
    let muted: Vec<&Alert> = held.iter().filter(mute).copied().collect();
    let Some(first) = muted.first() else {
        return Ok(right("no silence, no inhibition and no time interval holds it back"));
    };
    let (why, evidence) = reason(snap, first);
    let text = if muted.len() == held.len() {
        why
    } else {
        format!("{} of {}: {why}", muted.len(), count(held.len(), "alert"))
    };
    // Some of them still reach somebody.
    Ok(if muted.len() == held.len() { broken(text) } else { right(text) }.with(evidence))
}

fn reason(snap: &Snapshot, alert: &Alert) -> (String, Evidence) {
    let status = &alert.status;
    if let Some(id) = status.silenced_by.first() {
        return (silence(snap, id), shown::api(snap.scope.alertmanager.as_ref(), "/api/v2/silences"));
    }
    let groups = shown::api(snap.scope.alertmanager.as_ref(), "/api/v2/alerts/groups");
    if !status.inhibited_by.is_empty() {
        let names = inhibitors(snap, &status.inhibited_by);
        return (format!("inhibited, because {names} fires"), groups);
    }
    if !status.muted_by.is_empty() {
        let names = few(status.muted_by.iter().map(String::as_str), NAMES);
        return (format!("muted now by the time interval {names}"), groups);
    }
    ("suppressed; Alertmanager does not say by what".to_owned(), groups)
}

fn silence(snap: &Snapshot, id: &str) -> String {
    let all = snap.alertmanager_silences.as_ref().map(Vec::as_slice).unwrap_or_default();
    let Some(silence) = all.iter().find(|s| s.id == id) else { return format!("silence {id}") };
    let by = if silence.created_by.is_empty() { String::new() } else { format!(" by {}", silence.created_by) };
    let comment = if silence.comment.is_empty() { String::new() } else { format!(" ({:?})", silence.comment) };
    format!("silence {id}{by}{comment} until {}", silence.ends_at)
}

fn inhibitors(snap: &Snapshot, fingerprints: &[String]) -> String {
    let all = snap.alertmanager_alerts.iter().flatten().flat_map(|g| &g.alerts);
    let names: BTreeSet<&str> = all
        .filter(|a| fingerprints.contains(&a.fingerprint))
        .filter_map(|a| a.labels.get("alertname"))
        .map(String::as_str)
        .collect();
    if names.is_empty() { "another alert".to_owned() } else { few(names, NAMES) }
}
