//! An OpenTelemetry Collector does not pass on what it gets, or does not take it.

mod case;
mod fix;
mod words;

use std::collections::BTreeMap;

use case::Case;
use fix::Fix;

use crate::checks::{Check, check};
use crate::domain::prometheus::collector_log::{self, Cause, Failing, is_cloudwatch_agent, is_collector};
use crate::model::{CheckMeta, Diagnosis, Gap};
use crate::snapshot::Snapshot;

check! {
    /// See the check's page.
    CollectorFailing {
        id: "collector-failing", suite: Logs, severity: Error,
        title: "an OpenTelemetry Collector loses what it gets",
        requires: [Pods],
        uses: [PartLogs, Services, ConfigMaps, Workloads, ServiceAccounts, Nodes, Instances],
        fix: Fix,
    }
}

impl Check for CollectorFailing {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let mut containers = snap.pods()?.iter().flat_map(|p| &p.spec.containers);
        if !containers.any(|c| is_collector(&c.image) || is_cloudwatch_agent(&c.image)) {
            return Ok(Diagnosis::NotApplicable(
                "no OpenTelemetry Collector or CloudWatch agent runs in the namespaces that were read".into(),
            ));
        }
        // Pods of one workload say the same.
        let mut groups: BTreeMap<(String, String, Cause), Vec<Failing<'_>>> = BTreeMap::new();
        for failing in collector_log::failing(snap)? {
            let pod = snap.pods.find(&failing.log.namespace, &failing.log.pod).ok().flatten();
            let owner = pod.map_or_else(|| failing.log.pod.clone(), |p| snap.owner_ref(p).key());
            groups.entry((owner, failing.component.clone(), failing.trouble)).or_default().push(failing);
        }
        let cases = groups.values().filter_map(|g| Case::new(snap, g));
        Ok(Diagnosis::Findings(cases.map(|case| case.finding().fix(Fix::of(&case))).collect()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::snapshot;
    use crate::snapshot::monitoring::ContainerLog;

    /// The fix of a collector with these resources whose memory_limiter refuses data.
    fn refusing(resources: &Value) -> String {
        let image = "otel/opentelemetry-collector-contrib:0.110.0";
        let mut snap = snapshot(json!({"pods": [{
            "metadata": {"namespace": "monitoring", "name": "otel-0"},
            "spec": {"containers": [{"name": "otel", "image": image, "resources": resources}]},
            "status": {"phase": "Running"}
        }]}));
        let line = "2026-11-21T01:58:45.501Z\twarn\tmemorylimiter.go:209\tMemory usage is above soft limit. Refusing data.\t{\"name\": \"memory_limiter\"}\n";
        *snap.part_logs = Ok(vec![ContainerLog {
            namespace: "monitoring".into(),
            pod: "otel-0".into(),
            container: "otel".into(),
            image: image.into(),
            text: line.repeat(3).into(),
            ..ContainerLog::default()
        }]);
        steps(&findings(&CollectorFailing, &snap)[0])
    }

    #[test]
    fn a_share_of_the_nodes_memory_is_no_bound() {
        let bound = refusing(&json!({"limits": {"memory": "512Mi"}}));
        assert!(bound.contains("limit is 512Mi") && !bound.contains("node's memory"), "{bound}");
        assert!(refusing(&json!({})).contains("give it one first"));
    }
}
