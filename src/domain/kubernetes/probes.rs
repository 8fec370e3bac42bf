//! What active probes tried, by program and host.

use crate::model::Program;
use crate::snapshot::Snapshot;
use crate::snapshot::probe::{Probe, Verdict};

/// Probes of one program that learnt something.
pub(crate) fn of(snap: &Snapshot, program: Program) -> impl Iterator<Item = &Probe> {
    let all = snap.probes().unwrap_or_default();
    all.iter().filter(move |p| p.program == program && p.verdict != Verdict::NotTried)
}

/// Probes of one program that tried a host.
pub(crate) fn of_host<'a>(snap: &'a Snapshot, program: Program, host: &'a str) -> impl Iterator<Item = &'a Probe> {
    of(snap, program).filter(move |p| p.host().as_deref() == Some(host))
}
