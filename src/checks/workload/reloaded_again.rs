//! Reloader restarts a workload of the stack again and again: what it watches is written all the time.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::seen::event_evidence;
use crate::checks::{Check, check};
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::owner::operator_owner;
use crate::domain::text::between::between;
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Event, Workload};

/// Seconds within which restarts are counted, how many are too many, and seconds since the last one for it to go on.
const WINDOW: i64 = 3600;
const OFTEN: u32 = 5;
const GOES_ON: i64 = 900;

check! {
    /// See the check's page.
    ReloadedAgain {
        id: "reloaded-again", suite: Workload, severity: Error,
        title: "Reloader restarts a workload of the stack again and again",
        requires: [Events, Workloads],
        uses: [],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Own {
        namespace: String,
        /// The operator's resource, as kubectl takes it.
        custom: &'static str,
        custom_name: String,
        #[serde(flatten)]
        watched: Watched,
        managed: String,
    },
    Other {
        namespace: String,
        #[serde(flatten)]
        watched: Watched,
    },
}

/// What Reloader says that changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
struct Watched {
    /// `secret` or `configmap`.
    kind: String,
    name: String,
}

impl Watched {
    /// `Changes detected in 'x' of type 'SECRET' in namespace 'monitoring', Updated 'y' of type 'StatefulSet' …`.
    fn read(event: &Event) -> Option<Self> {
        let name = between(&event.message, "Changes detected in '", "'").filter(|_| event.reason == "Reloaded")?;
        let kind = between(&event.message, "of type '", "'")?.to_ascii_lowercase();
        matches!(kind.as_str(), "secret" | "configmap").then(|| Self { kind, name: name.to_owned() })
    }
}

impl Check for ReloadedAgain {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let events = snap.events.items()?;
        let workloads = snap.workloads()?;
        let mut told: BTreeMap<(&str, &str, &str, Watched), Vec<&Event>> = BTreeMap::new();
        for event in events.iter().filter(|e| e.is_within(WINDOW, snap.collected_at)) {
            let Some(watched) = Watched::read(event) else { continue };
            let on = &event.involved_object;
            told.entry((&on.namespace, &on.kind, &on.name, watched)).or_default().push(event);
        }
        let mut findings = Vec::new();
        for ((namespace, kind, name, watched), events) in told {
            let mut same = workloads.iter().filter(|w| w.kind == kind && w.metadata.name == name);
            let Some(workload) = same.find(|w| w.metadata.namespace == namespace) else { continue };
            if snap.scope.is_judged(namespace) {
                findings.extend(finding(snap, workload, watched, &events));
            }
        }
        Ok(Diagnosis::Findings(findings))
    }
}

fn finding(snap: &Snapshot, workload: &Workload, watched: Watched, events: &[&Event]) -> Option<Finding> {
    let times: u32 = events.iter().map(|e| e.times_within(WINDOW, snap.collected_at)).sum();
    let newest = events.iter().max_by_key(|e| e.last_seen())?;
    if times < OFTEN || !newest.is_within(GOES_ON, snap.collected_at) {
        return None;
    }
    let (meta, owner) = (&workload.metadata, workload.reference());
    let namespace = meta.namespace.clone();
    let custom = operator_owner(meta);
    // What the operator writes for this very server bears its name.
    let own =
        custom.filter(|_| watched.name.strip_prefix(&meta.name).is_some_and(|r| r.is_empty() || r.starts_with('-')));
    let why = match own {
        Some(_) => {
            "which the operator writes whenever something is to be monitored otherwise, and which is loaded without a restart"
        }
        None => "which changes all the time",
    };
    let message = format!(
        "Reloader restarted {owner} {times} times within the last hour for {} {namespace}/{}, {why}",
        watched.kind, watched.name
    );
    let severity = if custom.is_some() { Severity::Error } else { Severity::Warning };
    let key = format!("{} {} {}", owner.key(), watched.kind, watched.name);
    let made = Finding::new(ReloadedAgain::META.id, severity, owner, message).key(key);
    // Between two restarts it works.
    let made = made.breaks_nothing().evidence(event_evidence(newest));
    Some(made.fix(match own {
        Some((custom, name)) => {
            Fix::Own { namespace, custom, custom_name: name.to_owned(), watched, managed: managed_by(meta) }
        }
        None => Fix::Other { namespace, watched },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::testing::findings;
    use crate::domain::testing::snapshot;
    use crate::snapshot::Listing;
    use serde_json::json;

    fn said(count: u32, last: &str, source: &str) -> Vec<String> {
        let owner = json!([{"kind": "Prometheus", "name": "main", "uid": "p", "controller": true}]);
        let set = json!({"metadata": {"name": "prometheus-main", "namespace": "monitoring", "ownerReferences": owner}});
        let event = json!({"metadata": {"name": "e", "namespace": "monitoring"}, "reason": "Reloaded", "type": "Normal",
            "involvedObject": {"kind": "StatefulSet", "namespace": "monitoring", "name": "prometheus-main"},
            "message": format!("Changes detected in '{source}' of type 'SECRET' in namespace 'monitoring', Updated 'prometheus-main' of type 'StatefulSet' in namespace 'monitoring'"),
            "count": count, "lastTimestamp": last});
        let mut snap = snapshot(json!({"events": [event]}));
        let mut set: Workload = serde_json::from_value(set).expect("a workload");
        set.kind = "StatefulSet".into();
        snap.workloads = Listing::cluster(vec![set]);
        findings(&ReloadedAgain, &snap).into_iter().map(|f| format!("{} {}", f.variant, f.message)).collect()
    }

    #[test]
    fn a_secret_that_the_operator_writes_is_no_reason_to_restart() {
        let now = "2026-11-21T01:58:00Z";
        let own = said(20, now, "prometheus-main");
        assert!(own[0].starts_with("own ") && own[0].contains("20 times"), "{own:?}");
        assert!(said(20, now, "thanos-objstore-config")[0].starts_with("other "));
        assert!(said(2, now, "prometheus-main").is_empty(), "somebody changed it");
        assert!(said(20, "2026-11-21T01:20:00Z", "prometheus-main").is_empty(), "it is over");
    }
}
