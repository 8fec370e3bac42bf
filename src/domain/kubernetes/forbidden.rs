//! What the API server forbids a ServiceAccount, in the words that programs log.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::text::log_line::{age, is_older};
use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::ContainerLog;
use crate::text::pattern::pattern;

/// Seconds for which a line tells of now.
const RECENT: i64 = 3600;
/// What is listed and watched is asked for again within less than this: where the refusals end, it is allowed.
const RETRIED: i64 = 300;

/// A ServiceAccount.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Account {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// What is done with which resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Act {
    /// API group; empty for core.
    pub(crate) group: String,
    /// `prometheuses`, `nodes/metrics`
    pub(crate) resource: String,
    pub(crate) verb: String,
    /// The namespace it was asked in; `None` for all.
    pub(crate) namespace: Option<String>,
}

impl Act {
    /// `prometheuses.monitoring.coreos.com`.
    pub(crate) fn full_name(&self) -> String {
        with_group(&self.resource, &self.group)
    }

    /// As `kubectl auth can-i` takes it: a subresource is a flag there, `nodes/metrics` would be a node called metrics.
    pub(crate) fn asked(&self) -> Vec<String> {
        let (resource, part) =
            self.resource.split_once('/').map_or((self.resource.as_str(), None), |(r, p)| (r, Some(p)));
        let part = part.map(|p| format!("--subresource={p}"));
        [self.verb.clone(), with_group(resource, &self.group)].into_iter().chain(part).collect()
    }
}

fn with_group(resource: &str, group: &str) -> String {
    if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") }
}

/// What one ServiceAccount may not do, as one program says.
#[derive(Debug)]
pub(crate) struct Forbidden<'a> {
    pub(crate) account: Account,
    pub(crate) acts: BTreeSet<Act>,
    /// The last line that says so, and its log.
    pub(crate) line: &'a str,
    pub(crate) log: &'a ContainerLog,
}

/// `… is forbidden: User "system:serviceaccount:a:b" cannot list resource "pods" in API group "" at the cluster scope`, or what
/// a kubelet answers: a ServiceAccount's.
pub(crate) fn read(line: &str) -> Option<(Account, Act)> {
    let (who, act) = denied(line).or_else(|| by_kubelet(line))?;
    let (namespace, name) = who.strip_prefix("system:serviceaccount:")?.split_once(':')?;
    Some((Account { namespace: namespace.to_owned(), name: name.to_owned() }, act))
}

/// The same of anybody: who, and what.
pub(crate) fn denied(line: &str) -> Option<(String, Act)> {
    let refused = pattern!(concat!(
        r#"User \\*"([^"\\]+)\\*" cannot (\w+) resource \\*"([^"\\]+)\\*" "#,
        r#"in API group \\*"([^"\\]*)\\*"(?: in the namespace \\*"([^"\\]+)\\*")?"#
    ));
    let found = refused.captures(line)?;
    let act = Act {
        verb: found[2].to_owned(),
        resource: found[3].to_owned(),
        group: found[4].to_owned(),
        namespace: found.get(5).map(|n| n.as_str().to_owned()),
    };
    Some((found[1].to_owned(), act))
}

/// A kubelet's: `Forbidden (user=system:serviceaccount:a:b, verb=get, resource=nodes, subresource=stats)`. Since 1.33 it names
/// all parts that would do, the narrowest first: `subresource(s)=[pods proxy]`.
fn by_kubelet(line: &str) -> Option<(String, Act)> {
    let refused = pattern!(
        r"Forbidden \(user=([^\s,]+), verb=(\w+), resource=(\w+), subresource(?:\(s\))?=\[?([\w/-]+)[^)\]]*\]?\)"
    );
    let found = refused.captures(line)?;
    let act = Act {
        verb: found[2].to_owned(),
        resource: format!("{}/{}", &found[3], &found[4]),
        group: String::new(),
        namespace: None,
    };
    Some((found[1].to_owned(), act))
}

/// What the parts of the stack may not do, one entry for each ServiceAccount and log. What Grafana's side-car may not read
/// is judged with what it does.
pub(crate) fn all(snap: &Snapshot) -> Vec<Forbidden<'_>> {
    let logs = snap.part_logs.as_ref().map(Vec::as_slice).unwrap_or_default().iter();
    let logs = logs.filter(|l| !l.previous && !l.image.contains("k8s-sidecar"));
    let mut found: BTreeMap<Account, Forbidden<'_>> = BTreeMap::new();
    for log in logs {
        let over = allowed_since(snap, log);
        for line in log.text.lines() {
            let Some((account, act)) = read(line) else { continue };
            if is_older(line, snap.collected_at, RECENT) || over.contains(&(account.clone(), act.clone())) {
                continue;
            }
            // Side-cars of Grafana are judged with what they load. What one program says of another's account is no business of its own.
            if account.namespace != log.namespace || log.image.contains("sidecar") {
                continue;
            }
            let entry =
                found.entry(account.clone()).or_insert_with(|| Forbidden { account, acts: BTreeSet::new(), line, log });
            entry.acts.insert(act);
            (entry.line, entry.log) = (line, log);
        }
    }
    found.into_values().collect()
}

/// What a program was refused several times while it watched, and is no longer: silent for longer than it ever was between.
fn allowed_since(snap: &Snapshot, log: &ContainerLog) -> BTreeSet<(Account, Act)> {
    let mut ages: BTreeMap<(Account, Act), Vec<i64>> = BTreeMap::new();
    for line in log.text.lines().filter(|l| is_of_watch(l)) {
        let Some((refused, ago)) = read(line).zip(age(line, snap.collected_at)) else { continue };
        ages.entry(refused).or_default().push(ago);
    }
    let is_over = |ages: &[i64]| {
        let pause = ages.windows(2).map(|two| two[0] - two[1]).max();
        ages.last().zip(pause).is_some_and(|(silent, pause)| *silent > RETRIED.max(3 * pause))
    };
    ages.into_iter().filter(|(_, ages)| is_over(ages)).map(|(refused, _)| refused).collect()
}

/// A watch of client-go, which never gives up, or what is asked of a kubelet, which is asked again at each interval.
fn is_of_watch(line: &str) -> bool {
    line.contains("reflector") && line.to_ascii_lowercase().contains("failed to ") || by_kubelet(line).is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::testing::snapshot;

    fn watching(times: &[&str]) -> usize {
        let mut snap = snapshot(json!({}));
        let line = |at: &&str| {
            format!(
                r#"time=2026-11-21T{at}Z level=ERROR source=reflector.go:227 msg="Failed to watch" err="failed to list *v1.Pod: pods is forbidden: User \"system:serviceaccount:monitoring:ksm\" cannot list resource \"pods\" in API group \"\" at the cluster scope""#
            )
        };
        *snap.part_logs = Ok(vec![ContainerLog {
            namespace: "monitoring".into(),
            text: times.iter().map(line).collect::<Vec<_>>().join("\n").into(),
            ..ContainerLog::default()
        }]);
        all(&snap).len()
    }

    #[test]
    fn a_watch_that_is_no_longer_refused_is_allowed() {
        let now = snapshot(json!({})).collected_at;
        let at = |ago: i64| {
            let time = jiff::Timestamp::from_second(now.as_second() - ago).expect("a time").to_string();
            time[11..19].to_owned()
        };
        let times = |ages: &[i64]| ages.iter().map(|a| at(*a)).collect::<Vec<_>>();
        let found = |ages: &[i64]| {
            let times = times(ages);
            watching(&times.iter().map(String::as_str).collect::<Vec<_>>())
        };
        assert_eq!(found(&[150, 90, 20]), 1, "goes on");
        assert_eq!(found(&[800, 760, 700]), 0, "silent for minutes");
        assert_eq!(found(&[700]), 1, "once says nothing of how often it asks");
        assert_eq!(found(&[1500, 1000, 700]), 1, "it was as silent before");
    }

    #[test]
    fn reads_who_may_not_do_what() {
        let line = r#"E1121 reflector.go:166] "Unhandled Error" err="failed to list *v1.Prometheus: prometheuses.monitoring.coreos.com is forbidden: User \"system:serviceaccount:monitoring:op\" cannot list resource \"prometheuses\" in API group \"monitoring.coreos.com\" at the cluster scope""#;
        let (account, act) = read(line).expect("is one");
        assert_eq!((account.namespace.as_str(), account.name.as_str()), ("monitoring", "op"));
        assert_eq!((act.verb.as_str(), act.resource.as_str(), act.namespace), ("list", "prometheuses", None));
        let inside = r#"secrets is forbidden: User "system:serviceaccount:a:b" cannot get resource "secrets" in API group "" in the namespace "c""#;
        assert_eq!(read(inside).and_then(|(_, a)| a.namespace).as_deref(), Some("c"));
        let kubelet = r#"error": "kubelet request GET https://ip-10-0-1-5:10250/stats/summary failed - \"403 Forbidden\", response: \"Forbidden (user=system:serviceaccount:otel:agent, verb=get, resource=nodes, subresource=stats)\"", "scraper""#;
        let (account, act) = read(kubelet).expect("is one");
        assert_eq!(
            (account.name.as_str(), act.full_name().as_str(), act.verb.as_str()),
            ("agent", "nodes/stats", "get")
        );
        let newer =
            "Forbidden (user=system:serviceaccount:otel:agent, verb=get, resource=nodes, subresource(s)=[pods proxy])";
        assert_eq!(read(newer).map(|(_, a)| a.full_name()).as_deref(), Some("nodes/pods"));
        assert!(read("Forbidden (user=system:anonymous, verb=get, resource=nodes, subresource=stats)").is_none());
        assert!(read("pods is forbidden: User \"alice\" cannot list resource \"pods\"").is_none());
    }
}
