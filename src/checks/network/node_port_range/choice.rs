//! The range of node ports, and a free one in it that reads like what was meant.

use std::collections::BTreeSet;

use crate::checks::network::node_port_range::refusal::Refusal;
use crate::domain::kubernetes::arguments;
use crate::snapshot::{Platform, Snapshot};

/// What an API server has without `--service-node-port-range`; EKS does not let it be changed.
const DEFAULT: (i64, i64) = (30000, 32767);
/// The flag.
const FLAG: &str = "service-node-port-range";

/// Node ports that the API server gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: i64,
    pub(super) last: i64,
    /// Read from the API server's words or flags, or fixed by the platform.
    pub(super) known: bool,
}

impl Range {
    /// The range of the cluster, as far as it can be told; the default one otherwise.
    pub(super) fn of(snap: &Snapshot, refusals: &[Refusal]) -> Self {
        let told = refusals.iter().find_map(|r| r.range).or_else(|| flag(snap));
        if let Some((first, last)) = told {
            return Self { first, last, known: true };
        }
        let known = snap.platform == Platform::Eks;
        // Ports that were given out are in the range, whatever it is.
        let given = if known { BTreeSet::new() } else { given(snap) };
        let first = given.first().map_or(DEFAULT.0, |p| DEFAULT.0.min(*p));
        let last = given.last().map_or(DEFAULT.1, |p| DEFAULT.1.max(*p));
        Self { first, last, known }
    }

    pub(super) fn contains(&self, port: i64) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

/// The flag of the API servers that run as pods; without it they have the default.
fn flag(snap: &Snapshot) -> Option<(i64, i64)> {
    let pods = snap.pods.items().unwrap_or_default().iter().filter(|p| p.metadata.namespace == "kube-system");
    let servers: Vec<_> = pods.flat_map(|p| &p.spec.containers).filter(|c| c.name == "kube-apiserver").collect();
    match servers.iter().find_map(|c| arguments::flag(c, FLAG)) {
        Some(range) => parse(range),
        None if servers.is_empty() => None,
        None => Some(DEFAULT),
    }
}

/// `30000-32767`, or `30000+2767`.
fn parse(text: &str) -> Option<(i64, i64)> {
    if let Some((first, last)) = text.split_once('-') {
        return first.parse().ok().zip(last.parse().ok());
    }
    let (first, more) = text.split_once('+')?;
    let (first, more): (i64, i64) = (first.parse().ok()?, more.parse().ok()?);
    Some((first, first + more))
}

/// Node ports that Services of the cluster have.
pub(super) fn given(snap: &Snapshot) -> BTreeSet<i64> {
    let services = snap.services.items().unwrap_or_default().iter();
    services.flat_map(|s| &s.spec.ports).filter_map(|p| p.node_port).filter(|p| *p > 0).map(i64::from).collect()
}

/// A port of the range that nobody has: for one outside, the digits by which its program is known (9090 → 30090,
/// 3000 → 30030); for one that is taken, the next.
pub(super) fn choose(wanted: i64, ports: &[i64], range: &Range, taken: &BTreeSet<i64>) -> Option<i64> {
    let start = if range.contains(wanted) {
        wanted + 1
    } else {
        let meant = std::iter::once(wanted % 10_000).chain(ports.iter().copied());
        let near = meant.filter_map(digits).map(|d| range.first + d).find(|p| range.contains(*p));
        near.unwrap_or(range.first)
    };
    (start..=range.last).chain(range.first..start).find(|p| !taken.contains(p))
}

/// Two digits of a port: the last ones, or the first ones where those are zeros.
fn digits(port: i64) -> Option<i64> {
    let last = port % 100;
    let first = port.to_string().get(..2)?.parse().ok()?;
    Some(if last == 0 { first } else { last })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_reads_like_what_was_meant() {
        let range = Range { first: 30000, last: 32767, known: true };
        let choose = |wanted, ports: &[i64], taken: &[i64]| {
            crate::checks::network::node_port_range::choice::choose(
                wanted,
                ports,
                &range,
                &taken.iter().copied().collect(),
            )
        };
        assert_eq!(choose(39090, &[9090], &[]), Some(30090));
        assert_eq!(choose(39093, &[9093], &[]), Some(30093));
        assert_eq!(choose(33000, &[3000], &[]), Some(30030));
        assert_eq!(choose(9090, &[], &[]), Some(30090));
        assert_eq!(choose(80, &[], &[30080, 30081]), Some(30082));
        assert_eq!(choose(30902, &[3000], &[30902, 30903]), Some(30904), "the next one for one that is taken");
        assert_eq!(choose(32767, &[], &[32767]), Some(30000));
        assert_eq!(choose(90000, &[8443], &[]), Some(30043), "0000 says nothing");
        let full: Vec<i64> = (30000..=32767).collect();
        assert_eq!(choose(39090, &[], &full), None);
    }

    #[test]
    fn ranges_are_read_as_the_api_server_reads_them() {
        assert_eq!(parse("20000-22767"), Some((20000, 22767)));
        assert_eq!(parse("30000+100"), Some((30000, 30100)));
        assert_eq!(parse("all"), None);
    }
}
