//! What external-dns says of DNS records that it cannot write.

use crate::domain::kubernetes::image::base_of;
use crate::domain::kubernetes::ingress;
use crate::domain::text::between::between;
use crate::domain::text::log_line::{Level, Line, is_now};
use crate::domain::text::windows::RECENT;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Ingress, Pod, Service};
use crate::snapshot::monitoring::ContainerLog;

/// Why a record is not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Why {
    /// A record of that name is there already: of another type, or not its own.
    Taken,
    /// The record would lead to itself.
    Loop,
    /// No hosted zone that it may write to has names like that.
    NoZone,
}

/// A record that is not written.
#[derive(Debug, Clone)]
pub(crate) struct Unwritten<'a> {
    pub(crate) log: &'a ContainerLog,
    pub(crate) line: &'a str,
    pub(crate) why: Why,
    /// Id of the hosted zone, where it is told.
    pub(crate) zone: Option<&'a str>,
    /// What the DNS service said.
    pub(crate) said: &'a str,
}

/// Pods of those who write records, where an Ingress or a Service of the stack asks for a name.
pub(crate) fn awaited(snap: &Snapshot) -> impl Iterator<Item = &Pod> {
    let by_host = |i: &Ingress| i.spec.rules.iter().any(|r| r.host.is_some());
    let by_name =
        |s: &Service| s.metadata.annotations.keys().any(|k| k.starts_with("external-dns.alpha.kubernetes.io/"));
    let asked = ingress::of_stack(snap).any(by_host) || ingress::balanced(snap).any(by_name);
    let writes = |p: &&Pod| p.spec.containers.iter().any(|c| base_of(&c.image) == "external-dns");
    snap.pods.items().unwrap_or_default().iter().filter(move |_| asked).filter(writes)
}

/// The last that external-dns says of a host within the last hour, where it cannot write its record.
pub(crate) fn unwritten<'a>(snap: &'a Snapshot, host: &str) -> Option<Unwritten<'a>> {
    let logs = snap.part_logs.iter().flatten().chain(snap.crash_logs.iter().flatten());
    let logs: Vec<&ContainerLog> = logs.filter(|l| base_of(&l.image) == "external-dns").collect();
    // Two of them may keep the zones of the inside and of the outside: what one has no zone for is the other's.
    let owner = |l: &ContainerLog| snap.pod_of_log(l).map(|p| snap.owner_ref(p));
    let several = logs.windows(2).any(|two| two[0].pod != two[1].pod && owner(two[0]) != owner(two[1]));
    let is_wanted = |l: &ContainerLog| l.text.lines().any(|t| t.contains("Desired change") && names(t, host));
    let lacks_zone = |log: &ContainerLog| {
        !several && !logs.iter().any(|l| (&l.namespace, &l.pod) != (&log.namespace, &log.pod) && is_wanted(l))
    };
    logs.iter().copied().find_map(|log| {
        let mut last: Option<Unwritten<'a>> = None;
        for line in log.text.lines() {
            if last.as_ref().is_some_and(|l| is_over(l, line, host)) {
                last = None;
            } else if let Some((why, said)) = read(line, host).filter(|_| is_now(log, line, snap.collected_at, RECENT))
            {
                last = Some(Unwritten { log, line, why, zone: between(line, "/hostedzone/", "]"), said });
            }
        }
        last.filter(|l| l.why != Why::NoZone || lacks_zone(log))
    })
}

/// A later line tells that the record is written. That all records of the zones which it has are up to date says nothing of a
/// host that is in none of them, and what another zone got says nothing of this one.
fn is_over(unwritten: &Unwritten<'_>, line: &str, host: &str) -> bool {
    if unwritten.why == Why::NoZone {
        return line.contains("Desired change") && names(line, host);
    }
    let zone = between(line, "/hostedzone/", "]");
    is_done(line) && unwritten.zone.zip(zone).is_none_or(|(failed, done)| failed == done)
}

/// All that was to be written is.
fn is_done(line: &str) -> bool {
    line.contains("All records are already up to date") || line.contains("were successfully updated")
}

fn read<'a>(line: &'a str, host: &str) -> Option<(Why, &'a str)> {
    if line.contains("no hosted zone matching record DNS Name was detected") {
        return names(line, host).then_some((Why::NoZone, "no hosted zone matching record DNS Name was detected"));
    }
    if Line::parse(line).level != Level::Error {
        return None;
    }
    let said = line.split_once("InvalidChangeBatch: ")?.1;
    let said = said.split("\\n\\tstatus code").next().unwrap_or(said).trim_end_matches(['"', '}']);
    // The zone is named, too: what is refused stands in what the DNS service said, before it.
    if !names(said.split(" in zone ").next().unwrap_or(said), host) {
        return None;
    }
    let has = |words: &[&str]| words.iter().any(|w| said.contains(w));
    if has(&["creates a CNAME or alias loop"]) {
        return Some((Why::Loop, said));
    }
    let taken = ["conflicting RRSet", "conflicts with other records", "but it already exists"];
    has(&taken).then_some((Why::Taken, said))
}

/// The host itself stands in a line, and not as a part of another name.
fn names(line: &str, host: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.' || c == '_';
    line.match_indices(host).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let mut after = line[at + host.len()..].chars();
        let end = match after.next() {
            // A name that is written out ends with a dot.
            Some('.') => after.next(),
            next => next,
        };
        !before.is_some_and(part) && !end.is_some_and(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_is_taken_is_told_of_its_own_host() {
        let line = r#"time="2026-11-21T02:53:50Z" level=error msg="Failure in zone example.com. [Id: /hostedzone/Z1] when submitting change batch: InvalidChangeBatch: [RRSet of type A with DNS name grafana.example.com. is not permitted because a conflicting RRSet of type CNAME with the same DNS name already exists in zone example.com.]\n\tstatus code: 400, request id: 09""#;
        assert!(
            matches!(read(line, "grafana.example.com"), Some((Why::Taken, said)) if said.ends_with("example.com.]"))
        );
        assert_eq!(read(line, "example.com"), None, "the name of the zone is no host");
        assert_eq!(read(line, "other-grafana.example.com"), None);
        let exists = r#"{"level":"error","msg":"InvalidChangeBatch: [Tried to create resource record set [name='grafana.example.com.', type='TXT'] but it already exists]","time":"2026-11-21T02:53:50Z"}"#;
        assert!(matches!(read(exists, "grafana.example.com"), Some((Why::Taken, _))));
        let looped = r#"time="x" level=error msg="InvalidChangeBatch: RRSet of type CNAME with DNS name grafana.example.com. is not permitted as it creates a CNAME or alias loop in the zone.""#;
        assert!(matches!(read(looped, "grafana.example.com"), Some((Why::Loop, _))));
    }

    #[test]
    fn what_is_wanted_or_written_is_no_fault() {
        let wanted = r#"time="x" level=info msg="Desired change: CREATE grafana.example.com A [Id: /hostedzone/Z1]""#;
        assert_eq!(read(wanted, "grafana.example.com"), None);
        let done = r#"time="x" level=info msg="3 record(s) in zone example.com. [Id: /hostedzone/Z1] were successfully updated""#;
        let log = ContainerLog::default();
        let of = |why, zone| Unwritten { log: &log, line: "", why, zone, said: "" };
        let host = "grafana.example.com";
        assert!(is_over(&of(Why::Taken, Some("Z1")), done, host) && is_over(&of(Why::Taken, None), done, host));
        assert!(!is_over(&of(Why::Taken, Some("Z2")), done, host), "it is another zone");
        assert!(!is_over(&of(Why::NoZone, None), "All records are already up to date", host));
        assert!(is_over(&of(Why::NoZone, None), wanted, host));
    }
}
