//! The name of an Ingress gets no DNS record.

use super::IngressBroken;
use super::fix::Fix;
use super::object::Object;
use crate::checks::support::seen::log_evidence;
use crate::domain::kubernetes::external_dns::{Unwritten, Why, unwritten};
use crate::domain::kubernetes::ingress;
use crate::domain::text::shorten::shorten;
use crate::model::{Finding, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Ingress;

/// Longest part of what was said that stands in the sentence.
const QUOTED: usize = 300;

pub(super) fn findings(snap: &Snapshot) -> Vec<Finding> {
    ingress::of_stack(snap).filter_map(|one| of(snap, one)).collect()
}

fn of(snap: &Snapshot, one: &Ingress) -> Option<Finding> {
    let hosts = one.spec.rules.iter().filter_map(|r| r.host.as_deref()).filter(|h| !h.contains('*'));
    let (host, unwritten) = hosts.into_iter().find_map(|h| Some((h, unwritten(snap, h)?)))?;
    let Unwritten { log, line, why, zone, said } = unwritten;
    let object = Object::Ingress(one);
    let because = match why {
        Why::Taken => format!("another record has the name ({})", shorten(said, QUOTED)),
        Why::Loop => format!("it would lead to itself ({})", shorten(said, QUOTED)),
        Why::NoZone => "no hosted zone that it may write to has such names".to_owned(),
    };
    let message = format!("{}: external-dns does not write the record of {host}: {because}", object.words());
    // Somebody may have made the record by hand.
    let made = Finding::new(IngressBroken::META.id, Severity::Warning, object.reference(), message)
        .key(object.key("record"))
        .fix(Fix::Record {
            of: object.kept(object.common()),
            host: host.to_owned(),
            zone: zone.unwrap_or_default().to_owned(),
            taken: why == Why::Taken,
            no_zone: why == Why::NoZone,
            writer: log.pod.clone(),
            writer_namespace: log.namespace.clone(),
        })
        .evidence(log_evidence(&log.namespace, &log.pod, &log.container, log.previous, line));
    Some(made)
}
