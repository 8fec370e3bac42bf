//! The API server turns requests of the stack away because it has too many.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::seen::line_evidence;
use crate::checks::{Check, check};
use crate::domain::kubernetes::skew;
use crate::domain::text::log_line::is_within;
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::ContainerLog;

/// What client-go makes of an answer 429.
const WORDS: &str = "the server has received too many requests and has asked us to try again later";
/// Seconds for which a line tells of now.
const NOW: i64 = 900;
/// Refusals from which on it is no short peak.
const OFTEN: usize = 5;

check! {
    /// See the check's page.
    ApiServerThrottles {
        id: "api-server-throttles", suite: Pipeline, severity: Error,
        title: "the API server turns requests of the stack away",
        requires: [PartLogs],
        uses: [ComponentLogs, Pods, KubernetesVersion],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Share {
        /// Of the group flowcontrol.apiserver.k8s.io.
        version: &'static str,
        accounts: Vec<Account>,
    },
}

/// Whose requests are turned away.
#[derive(Serialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord)]
struct Account {
    namespace: String,
    name: String,
}

impl Check for ApiServerThrottles {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let parts = snap.part_logs()?.iter();
        let logs = parts.chain(snap.component_logs.iter().flatten()).filter(|l| !l.previous);
        let refused: Vec<(&ContainerLog, &str, usize)> = logs.filter_map(|log| refused(snap, log)).collect();
        if refused.iter().map(|(.., n)| n).sum::<usize>() < OFTEN {
            return Ok(Diagnosis::Findings(Vec::new()));
        }
        Ok(Diagnosis::Findings(finding(snap, &refused).into_iter().collect()))
    }
}

/// The last refusal in a log, and how many of the last minutes there are.
fn refused<'a>(snap: &Snapshot, log: &'a ContainerLog) -> Option<(&'a ContainerLog, &'a str, usize)> {
    let now = snap.collected_at;
    let is_now = |line: &&str| line.contains(WORDS) && is_within(line, now, NOW);
    let lines: Vec<&str> = log.text.lines().filter(is_now).collect();
    Some((log, lines.last()?, lines.len()))
}

/// v1 came with Kubernetes 1.29.
fn flow_version(snap: &Snapshot) -> &'static str {
    match skew::of_server(snap) {
        Some(..29) => "v1beta3",
        _ => "v1",
    }
}

fn finding(snap: &Snapshot, refused: &[(&ContainerLog, &str, usize)]) -> Option<Finding> {
    let total: usize = refused.iter().map(|(.., n)| n).sum();
    let mut owners = BTreeSet::new();
    let mut accounts = BTreeSet::new();
    for (log, ..) in refused {
        let Some(pod) = snap.pod_of_log(log) else { continue };
        owners.insert(snap.owner_ref(pod));
        let account = pod.spec.account();
        accounts.insert(Account { namespace: log.namespace.clone(), name: account.to_owned() });
    }
    let who = match owners.len() {
        0 => return None,
        1 => owners.iter().next().map(ToString::to_string).unwrap_or_default(),
        n => format!("{n} workloads of the stack"),
    };
    let message = format!(
        "the API server answered {total} requests of {who} with 429 within the last quarter of an hour: some client asks for more than its share"
    );
    let subject = ResourceRef::service("default", "kubernetes");
    let mut made = Finding::new(ApiServerThrottles::META.id, Severity::Error, subject, message)
        .also_all(owners)
        .breaks_nothing()
        .fix(Fix::Share { version: flow_version(snap), accounts: accounts.into_iter().collect() });
    for (log, line, _) in refused.iter().take(3) {
        made = made.evidence(line_evidence(log, line));
    }
    Some(made)
}
