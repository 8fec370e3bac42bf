//! The store of the API server is full: nothing can be changed in the cluster.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::place::Place;
use crate::checks::support::seen::{event_evidence, line_evidence};
use crate::checks::{Check, check};
use crate::domain::kubernetes::api_storage::{self, Said};
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, Severity};
use crate::snapshot::{Platform, Snapshot};

check! {
    /// See the check's page.
    ApiStorageFull {
        id: "api-storage-full", suite: Pipeline, severity: Error,
        title: "the API server's store is full",
        requires: [PartLogs],
        uses: [ComponentLogs, Events, EksCluster],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Clear {
        /// On EKS nobody but AWS reaches etcd.
        on_eks: bool,
        cluster: String,
        region: String,
    },
}

/// Who says so, at most.
const SHOWN: usize = 3;

impl Check for ApiStorageFull {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.part_logs()?;
        let said = api_storage::said(snap);
        if said.is_empty() {
            return Ok(Diagnosis::Findings(Vec::new()));
        }
        let place = Place::of(snap);
        let own = api_storage::reference(snap);
        let message = "etcd, the store of the API server, is full: nothing can be created or changed in the cluster, only read and deleted";
        let mut made = Finding::new(Self::META.id, Severity::Error, own.clone(), message).breaks(own);
        for one in said.iter().take(SHOWN) {
            made = made.evidence(match one {
                Said::Log(log, line) => line_evidence(log, line.trim()),
                Said::Event(event) => event_evidence(event),
            });
        }
        let on_eks = snap.platform == Platform::Eks;
        let fix = Fix::Clear { on_eks, cluster: place.cluster, region: place.region };
        Ok(Diagnosis::Findings(vec![made.fix(fix)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::workload::{event, snapshot};
    use crate::snapshot::Listing;
    use crate::snapshot::monitoring::ContainerLog;
    use serde_json::json;

    #[test]
    fn who_looks_for_the_words_in_logs_does_not_say_them() {
        let lines = [
            r#"level=info ts=2026-11-21T11:59:00Z caller=metrics.go:159 component=querier org_id=fake query="{app=\"api\"} |= \"etcdserver: mvcc: database space exceeded\"" status=200"#,
            r#"level=error ts=2026-11-21T11:59:00Z caller=retry.go:73 msg="error processing request" query="{app=\"api\"} |= \"etcdserver: no space\"" err="context canceled""#,
            r#"{"level":"error","time":"2026-11-21T11:59:00Z","query":"{app=\"api\"} |= \"etcdserver: no space\"","msg":"failed"}"#,
        ];
        let said = "ts=2026-11-21T11:59:00Z level=error msg=\"sync failed: etcdserver: mvcc: database space exceeded\"";
        for (line, is_said) in lines.map(|l| (l, false)).into_iter().chain([(said, true)]) {
            let mut snap = snapshot(json!([]));
            *snap.part_logs = Ok(vec![ContainerLog {
                program: None,
                namespace: "monitoring".into(),
                pod: "loki-0".into(),
                container: "loki".into(),
                image: "grafana/loki:3.5.0".into(),
                previous: false,
                text: line.into(),
            }]);
            assert_eq!(findings(&ApiStorageFull, &snap).len(), usize::from(is_said), "{line}");
        }
    }

    #[test]
    fn who_cannot_write_says_so() {
        let mut snap = snapshot(json!([]));
        *snap.part_logs = Ok(Vec::new());
        snap.events =
            Listing::cluster(vec![event("FailedCreate", "Error creating: etcdserver: mvcc: database space exceeded")]);
        let found = findings(&ApiStorageFull, &snap);
        assert!(steps(&found[0]).contains("apiserver_storage_objects"), "{}", steps(&found[0]));
        snap.events = Listing::cluster(vec![event("FailedCreate", "Error creating: etcdserver: request timed out")]);
        assert_eq!(findings(&ApiStorageFull, &snap), []);
    }
}
