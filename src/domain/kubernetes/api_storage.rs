//! The API server's own store, etcd, and that it is full: nothing can be written to the cluster any more.

use crate::domain::text::log_line::{Line, is_older};
use crate::model::ResourceRef;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Event;
use crate::snapshot::monitoring::ContainerLog;

/// What etcd answers to each write once it is full.
const WORDS: &[&str] = &["etcdserver: mvcc: database space exceeded", "etcdserver: no space"];
/// Seconds for which a line of a log or an event tells of now.
const NOW: i64 = 900;

/// A text says that the store is full.
pub(crate) fn is_full(text: &str) -> bool {
    WORDS.iter().any(|words| text.contains(words))
}

/// The store, for the graph of causes.
pub(crate) fn reference(snap: &Snapshot) -> ResourceRef {
    match snap.target.cluster.as_deref() {
        Some(cluster) => ResourceRef::aws("eks", "control-plane", cluster),
        None => ResourceRef::kubernetes("", "ComponentStatus", "", "etcd-0"),
    }
}

/// Who says so now.
#[derive(Debug)]
pub(crate) enum Said<'a> {
    Log(&'a ContainerLog, &'a str),
    Event(&'a Event),
}

/// Who says so now: logs first, each once.
pub(crate) fn said(snap: &Snapshot) -> Vec<Said<'_>> {
    let logs = snap.component_logs.iter().flatten().chain(snap.part_logs.iter().flatten());
    let recent = |line: &&str| !is_older(line, snap.collected_at, NOW);
    let of_logs = logs.filter_map(|log| {
        let line = log.text.lines().rev().filter(recent).find(|l| is_full(l) && !Line::parse(l).is_record())?;
        Some(Said::Log(log, line))
    });
    let events = snap.events.items().unwrap_or_default().iter();
    let of_events = events.filter(|e| is_full(&e.message) && e.is_within(NOW, snap.collected_at));
    of_logs.chain(of_events.map(Said::Event)).collect()
}
