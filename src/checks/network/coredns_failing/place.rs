//! The line of the Corefile in which a fault is written.

use super::unready::{corefile, place};
use crate::checks::support::located::Text;
use crate::domain::aws::resolver::{self, Resolver};
use crate::domain::kubernetes::coredns_log::Cause;
use crate::model::Location;
use crate::snapshot::kubernetes::Pod;
use crate::snapshot::{Snapshot, journal};

/// The place, where the file that this pod mounts was read and still says what the log complains of.
pub(super) fn of(snap: &Snapshot, pod: &Pod, cause: &Cause) -> Option<Location> {
    // It only shows what the log says.
    let map = journal::aside(|| corefile(snap, pod))?;
    let text = map.data.get("Corefile")?;
    let forwards = |line: &str| line.split_whitespace().next() == Some("forward");
    let is_only = text.lines().filter(|l| forwards(l)).count() == 1;
    match cause {
        Cause::Corefile { line: Some(at), text: said } => {
            let at = usize::try_from(*at).ok()?;
            let written = text.lines().nth(at.checked_sub(1)?)?;
            // The file may be another one by now.
            let is_same = said.split('\'').nth(1).is_none_or(|word| written.contains(word));
            is_same.then(|| Text { map: &map.reference(), key: "Corefile", text }.line(at))?
        }
        Cause::Loop if is_only => place(map, forwards),
        Cause::NoServers => place(map, |line| forwards(line) && line.contains("/etc/resolv.conf")),
        Cause::TooMany => place(map, |line| line.split_whitespace().next() == Some("max_concurrent")),
        // That the resolver of the VPC drops what is too much is no fault of the file.
        Cause::Upstream(upstream) if resolver::of(snap, upstream.server) == Resolver::Other => {
            let server = upstream.server.to_string();
            let names = |word: &str| word.trim_start_matches("dns://").trim_end_matches(":53") == server;
            place(map, |line| forwards(line) && line.split_whitespace().any(names))
        }
        _ => None,
    }
}
