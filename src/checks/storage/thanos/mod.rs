//! Thanos no longer keeps what Prometheus measured: its compactor has halted, or its object store refuses.

mod fix;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeMap;

use crate::checks::storage::thanos::fix::{Fix, fix};
use crate::checks::storage::thanos::words::{account, container, words};
use crate::checks::support::seen::line_evidence;
use crate::checks::{Check, check};
use crate::domain::prometheus::thanos::{self, Cause, Failing};
use crate::domain::text::object_store::StoreFailure;
use crate::domain::traffic::flows;
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, ResourceRef};
use crate::snapshot::Snapshot;

check! {
    /// See the check's page.
    Thanos {
        id: "thanos", suite: Storage, severity: Error,
        title: "Thanos does not keep what Prometheus measured",
        requires: [Pods],
        uses: [PartLogs, Workloads, ServiceAccounts, SecretMakers, MonitoringResources],
        fix: Fix,
    }
}

impl Check for Thanos {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        if !snap.pods()?.iter().flat_map(|p| &p.spec.containers).any(thanos::is_thanos) {
            return Ok(Diagnosis::NotApplicable("no Thanos runs in the namespaces that were read".into()));
        }
        // Replicas say the same of one store.
        let mut groups: BTreeMap<(String, Cause), Vec<Failing<'_>>> = BTreeMap::new();
        for failing in thanos::failing(snap)? {
            let owner = snap.owner_of_log(failing.log);
            groups.entry((owner.key(), failing.trouble)).or_default().push(failing);
        }
        let findings = groups.values().filter_map(|all| Some(finding(snap, all.iter().max_by_key(|f| f.times)?)));
        Ok(Diagnosis::Findings(findings.collect()))
    }
}

fn finding(snap: &Snapshot, failing: &Failing<'_>) -> Finding {
    let log = failing.log;
    let owner = snap.owner_of_log(log);
    let part = container(snap.pod_of_log(failing.log), failing).map(thanos::component).unwrap_or_default();
    let who = match part {
        "" => "Thanos".to_owned(),
        part => format!("Thanos {part}"),
    };
    let (what, severity) = words(snap, failing, part);
    let message = format!("{who} ({} in {}): {what}", owner.kubectl_name(), log.namespace);
    let way = flows::connection(&owner, &failing.text);
    let mut made = Finding::new(Thanos::META.id, severity, owner, message)
        .key(format!("{} {:?}", log.namespace, failing.trouble))
        .evidence(line_evidence(log, &failing.text))
        .fix(fix(snap, failing));
    // Who is told to write to a receiver is refused; nobody waits for the others.
    if !(failing.trouble == Cause::Hashring || failing.trouble == Cause::Message && part == "receive") {
        made = made.breaks_nothing();
    }
    // Who is asked for the address, or what lies on the way.
    made = way.into_iter().fold(made, Finding::depends_on);
    if failing.text.contains("lookup ") {
        made = made.depends_on(ResourceRef::service("kube-system", "kube-dns"));
    }
    if matches!(failing.trouble, Cause::Store(StoreFailure::Credentials | StoreFailure::Denied)) {
        made = made.depends_on(ResourceRef::service_account(&log.namespace, account(snap.pod_of_log(failing.log))));
    }
    made
}
