//! Which security group or network ACL drops the connections that were seen to get no answer.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::aws::firewall::{Barrier, Firewall, Verdict};
use crate::domain::aws::interface::Interfaces;
use crate::domain::kubernetes::network_policy::Protocol;
use crate::domain::traffic::attempts::{self, Attempt};
use crate::model::Gap;
use crate::snapshot::Snapshot;

/// The group or ACL that has to change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Culprit<'a> {
    /// What a group admits.
    Inbound(&'a str),
    /// What a group lets out.
    Outbound(&'a str),
    Acl(&'a str),
}

/// One rule that is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Missing<'a> {
    pub(crate) protocol: Protocol,
    pub(crate) port: u16,
    /// The group at the other end; empty for an ACL.
    pub(crate) peer: &'a str,
    /// The control plane opens the connection.
    pub(crate) from_control_plane: bool,
    /// Of an ACL: the direction, the rule that drops it, and whether it is the answer.
    pub(crate) acl: Option<(bool, u32, bool)>,
}

/// What one culprit drops.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shut<'a> {
    pub(crate) missing: BTreeSet<Missing<'a>>,
    pub(crate) attempts: Vec<Attempt<'a>>,
}

/// What could be told of connections without an answer.
#[derive(Debug, Default)]
pub(crate) struct Judged<'a> {
    pub(crate) shut: BTreeMap<Culprit<'a>, Shut<'a>>,
    /// Nothing on their way drops these.
    pub(crate) open: Vec<Attempt<'a>>,
    /// Whether anything drops these cannot be told.
    pub(crate) unknown: Vec<Attempt<'a>>,
}

/// Judges all connections that were seen to get no answer.
///
/// # Errors
/// The gap, if something failed and the security groups could not be read; with what failed.
pub(crate) fn judge(snap: &Snapshot) -> Result<Judged<'_>, Box<(Gap, Vec<Attempt<'_>>)>> {
    let attempts: Vec<Attempt<'_>> = attempts::failing(snap).into_iter().filter(|a| !a.to.is_empty()).collect();
    if attempts.is_empty() {
        return Ok(Judged::default());
    }
    let firewall = match (Firewall::of(snap), snap.instances.as_ref().err()) {
        (Ok(firewall), None) => firewall,
        (Ok(_), Some(gap)) => return Err(Box::new((gap.clone(), attempts))),
        (Err(gap), _) => return Err(Box::new((gap, attempts))),
    };
    let interfaces = Interfaces::new(snap);
    let refuted = refuted(snap, &firewall, &interfaces);
    let mut judged = Judged::default();
    for attempt in attempts {
        let found = barriers(&firewall, &interfaces, &attempt);
        if found.iter().all(|(b, _)| refuted.contains(&pair(b))) {
            let open = found.is_empty() && passes(&firewall, &interfaces, &attempt);
            let list = if open { &mut judged.open } else { &mut judged.unknown };
            list.push(attempt);
            continue;
        }
        for (barrier, missing) in found.into_iter().filter(|(b, _)| !refuted.contains(&pair(b))) {
            let shut = judged.shut.entry(culprit(&barrier)).or_default();
            shut.missing.insert(missing);
            let same = |a: &Attempt<'_>| a.symptom == attempt.symptom && a.seen == attempt.seen;
            if !shut.attempts.iter().any(same) {
                shut.attempts.push(attempt.clone());
            }
        }
    }
    Ok(judged)
}

/// Two groups, or an ACL, that connections are seen to pass although the rules say otherwise: the network is not as it
/// reads (an overlay, rules that have just changed).
fn refuted<'a>(snap: &'a Snapshot, firewall: &Firewall<'a>, all: &Interfaces<'a>) -> BTreeSet<(Culprit<'a>, &'a str)> {
    let mut refuted = BTreeSet::new();
    for (from, to, protocol) in attempts::working(snap) {
        // Of several ends one may be the one that answers.
        let [(spot, port)] = to.as_slice() else { continue };
        let (Some(from), Some(to)) = (from.interface(all), spot.interface(all)) else { continue };
        if let Verdict::Blocked(barriers) = firewall.verdict(&from, &to, protocol, *port) {
            refuted.extend(barriers.iter().map(pair));
        }
    }
    refuted
}

fn barriers<'a>(
    firewall: &Firewall<'a>,
    all: &Interfaces<'a>,
    attempt: &Attempt<'a>,
) -> Vec<(Barrier<'a>, Missing<'a>)> {
    let Some(from) = attempt.from.interface(all) else { return Vec::new() };
    let mut found = Vec::new();
    for (spot, port) in &attempt.to {
        let Some(to) = spot.interface(all) else { continue };
        let barriers = match firewall.verdict(&from, &to, attempt.protocol, *port) {
            Verdict::Blocked(barriers) => barriers,
            _ => firewall.acl_of_receiver(&from, &to, attempt.protocol, *port).into_iter().collect(),
        };
        for barrier in barriers {
            let (peer, acl) = match barrier {
                Barrier::Ingress { source, .. } => (source, None),
                Barrier::Egress { destination, .. } => (destination, None),
                Barrier::Acl { egress, rule, answer, .. } => ("", Some((egress, rule, answer))),
            };
            let missing =
                Missing { protocol: attempt.protocol, port: *port, peer, from_control_plane: from.control_plane, acl };
            found.push((barrier, missing));
        }
    }
    found
}

fn passes<'a>(firewall: &Firewall<'a>, all: &Interfaces<'a>, attempt: &Attempt<'a>) -> bool {
    let Some(from) = attempt.from.interface(all) else { return false };
    let verdict = |spot: &attempts::Spot<'a>, port: u16| {
        spot.interface(all).map(|to| firewall.verdict(&from, &to, attempt.protocol, port))
    };
    attempt.to.iter().all(|(spot, port)| verdict(spot, *port) == Some(Verdict::Passes))
}

fn culprit<'a>(barrier: &Barrier<'a>) -> Culprit<'a> {
    match barrier {
        Barrier::Ingress { group, .. } => Culprit::Inbound(group),
        Barrier::Egress { group, .. } => Culprit::Outbound(group),
        Barrier::Acl { acl, .. } => Culprit::Acl(acl),
    }
}

fn pair<'a>(barrier: &Barrier<'a>) -> (Culprit<'a>, &'a str) {
    let peer = match barrier {
        Barrier::Ingress { source, .. } => source,
        Barrier::Egress { destination, .. } => destination,
        Barrier::Acl { .. } => "",
    };
    (culprit(barrier), peer)
}
