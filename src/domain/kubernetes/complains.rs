//! What a program that runs and is not ready complains of, and what of that is set for it: nobody else may know what it means.

use jiff::Timestamp;

use crate::domain::kubernetes::settings::{self, Setting};
use crate::domain::text::complaint::{Group, groups};
use crate::domain::text::passing::is_of_the_asker;
use crate::domain::text::redact::redact;
use crate::domain::text::shorten::shorten;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Pod};

/// Seconds for which a complaint is of now, and those before it ceased to be ready that belong to that.
const RECENT: i64 = 900;
const BEFORE: i64 = 120;
/// Times that a warning has to be repeated.
const REPEATED: usize = 3;
/// Lines after the last error from which on a log without times has moved on.
const MOVED_ON: usize = 50;
/// Letters of it that are shown.
const SHOWN: usize = 220;

/// The complaint that says most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Complains {
    /// Message and error, in one line.
    pub(crate) text: String,
    /// What it names that is set for the container, and where.
    pub(crate) named: Vec<String>,
}

impl Complains {
    /// Of a container that is not ready, by its log.
    pub(crate) fn of(snap: &Snapshot, pod: &Pod, container: &Container) -> Option<Self> {
        let own = snap.logs_of_container(pod, &container.name).filter(|l| !l.previous);
        let since = pod.condition("Ready").filter(|c| c.status == "False").and_then(|c| c.last_transition_time);
        let all = own.flat_map(|l| groups(&l.text, snap.collected_at));
        let said = all.filter(|g| is_of_now(snap, g, since)).max_by_key(|g| (g.is_error, g.last, g.count))?;
        let named = settings::named(snap, pod, container, &said.text);
        let named = named.iter().map(Setting::place).map(|place| redact(&place)).collect();
        Some(Self { text: shorten(&redact(&said.text), SHOWN), named })
    }

    /// `its log says: …; it names …`.
    pub(crate) fn words(&self) -> String {
        let named = if self.named.is_empty() { String::new() } else { format!("; it names {}", self.named.join(", ")) };
        format!("its log says: {}{named}", self.text)
    }
}

/// It goes on, or came with the end of its being ready.
fn is_of_now(snap: &Snapshot, group: &Group, since: Option<Timestamp>) -> bool {
    if is_of_the_asker(&group.text, group.count) {
        return false;
    }
    let Some(last) = group.last else { return group.count >= REPEATED && group.lines_since < MOVED_ON };
    let of_now = snap.seconds_since(last) <= RECENT;
    let with_it = since.is_some_and(|since| last.as_second() >= since.as_second() - BEFORE);
    (group.is_error || group.count >= REPEATED) && (of_now || with_it)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::monitoring::ContainerLog;
    use serde_json::json;

    fn said(log: &str) -> Option<String> {
        let mut snap = Snapshot::empty("2026-11-21T03:00:00Z".parse().expect("a time"));
        *snap.part_logs = Ok(vec![ContainerLog {
            namespace: "n".into(),
            pod: "p".into(),
            container: "c".into(),
            text: log.into(),
            ..ContainerLog::default()
        }]);
        let pod: Pod = serde_json::from_value(json!({"metadata": {"namespace": "n", "name": "p"},
            "spec": {"containers": [{"name": "c", "args": ["--ring-store=consul"]}]},
            "status": {"conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": "2026-11-21T02:10:00Z"}]}}))
        .expect("a pod");
        Complains::of(&snap, &pod, &pod.spec.containers[0]).map(|c| c.words())
    }

    #[test]
    fn what_keeps_it_from_being_ready_is_quoted() {
        let line = |at: &str, level: &str| {
            format!("level={level} ts=2026-11-21T{at}Z msg=\"ring-store is not there\" err=\"x\"\n")
        };
        let wanted = "its log says: ring-store is not there: x; it names argument --ring-store=consul";
        assert_eq!(said(&line("02:58:00", "error")).as_deref(), Some(wanted));
        assert_eq!(
            said(&line("02:10:30", "error")).as_deref(),
            Some(wanted),
            "it came with the end of its being ready"
        );
        assert_eq!(said(&line("01:00:00", "error")), None, "it was ready after that");
        assert_eq!(said(&line("02:58:00", "warn")), None, "once, and no error");
        assert_eq!(said("level=info ts=2026-11-21T02:58:00Z msg=\"ring-store is there\"\n"), None);
        assert_eq!(said(""), None);
    }
}
