//! What Prometheus is told to keep does not fit on its volume.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::scrape::api_evidence;
use crate::checks::support::written::{self, Corrected, still_read};
use crate::checks::{Check, check};
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::manifests::retention::{self, Kept};
use crate::domain::prometheus::server::{Server, servers};
use crate::domain::prometheus::tsdb::{self, Intake, Place, Retention, data_path, place};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::kubernetes::PersistentVolumeClaim;
use crate::snapshot::{Snapshot, format_bytes, parse_quantity};

check! {
    /// See the check's page.
    TsdbRetention {
        id: "tsdb-retention", suite: Storage, severity: Warning,
        title: "what Prometheus is told to keep does not fit on its volume",
        requires: [Workloads, PersistentVolumeClaims],
        uses: [PrometheusMetrics, PrometheusRuntime, StorageClasses, Pods, MonitoringResources],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Size {
        container: String,
        #[serde(flatten)]
        limit: Limit,
    },
    Time {
        size: String,
        bigger_patch: String,
        expandable: bool,
        #[serde(flatten)]
        limit: Limit,
    },
    File(Corrected),
}

/// A limit that fits the volume, and where it is set.
#[derive(Serialize, JsonSchema)]
struct Limit {
    namespace: String,
    claim: String,
    owner: String,
    /// The operator's resource that the server is made of.
    custom: Option<String>,
    managed_by: String,
    retention_arg: String,
    retention_patch: String,
}

impl Limit {
    fn of(server: &Server<'_>, claim: &PersistentVolumeClaim, capacity: f64) -> Self {
        let fits = tsdb::size_limit(capacity);
        Self {
            namespace: claim.metadata.namespace.clone(),
            claim: claim.metadata.name.clone(),
            owner: server.target(),
            custom: server.operator_resource().map(str::to_owned),
            managed_by: managed_by(&server.workload.metadata),
            retention_arg: format!("--storage.tsdb.retention.size={fits}"),
            retention_patch: serde_json::json!({"spec": {"retentionSize": fits}}).to_string(),
        }
    }
}

impl Fix {
    fn time(snap: &Snapshot, claim: &PersistentVolumeClaim, capacity: f64, limit: Limit) -> Self {
        let class = snap.storage_classes.find("", claim.class().unwrap_or_default()).ok().flatten();
        let bigger =
            serde_json::json!({"spec": {"resources": {"requests": {"storage": format_bytes(capacity * 2.0)}}}});
        Self::Time {
            size: asked(claim),
            bigger_patch: bigger.to_string(),
            expandable: class.is_some_and(|c| c.allow_volume_expansion == Some(true)),
            limit,
        }
    }
}

/// The size that a claim asks for.
fn asked(claim: &PersistentVolumeClaim) -> String {
    claim.spec.resources.requests.get("storage").cloned().unwrap_or_default()
}

/// Share of a volume that blocks may fill: the rest is for the write-ahead log and for compaction, which writes before it
/// deletes.
const USABLE: f64 = 0.85;

impl Check for TsdbRetention {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn judge(&self, snap: &Snapshot) -> Option<Result<Diagnosis, Gap>> {
        Some(of_files(snap))
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.workloads()?;
        let all = servers(snap);
        if all.is_empty() {
            return Ok(Diagnosis::NotApplicable("no Prometheus in the stack".into()));
        }
        let findings = all.into_iter().filter(|s| !s.is_agent()).filter_map(|server| judge(snap, server));
        Ok(Diagnosis::Findings(findings.collect()))
    }
}

/// Limits in the files that are as large as the volume beside them.
fn of_files(snap: &Snapshot) -> Result<Diagnosis, Gap> {
    snap.manifests()?;
    let found = retention::all(snap).into_iter().map(|kept| match kept {
        Kept::Object(file, object, problem) => {
            let problems = [problem];
            let finding = written::of_object(&TsdbRetention::META, file, object, &problems, "");
            finding.fix(Fix::File(Corrected::new(file, "", &problems, "", &still_read(file))))
        }
        Kept::Values(file, values, problem) => {
            let problems = [problem];
            let finding = written::of_values(&TsdbRetention::META, file, &values, &problems, "");
            finding.fix(Fix::File(Corrected::new(file, values.path, &problems, "", &still_read(file))))
        }
    });
    Ok(Diagnosis::Findings(found.collect()))
}

/// The claim that a server's pods use: of a StatefulSet's claims the first.
fn claim_of<'a>(snap: &'a Snapshot, server: &Server<'_>) -> Option<&'a PersistentVolumeClaim> {
    let pod = snap.pods_of_workload(server.workload).next();
    let spec = pod.map_or(&server.workload.spec.template.spec, |p| &p.spec);
    let container = spec.containers.iter().find(|c| c.name == server.container.name)?;
    let Place::Claim(name) = place(&spec.volumes, container, data_path(server)) else { return None };
    snap.persistent_volume_claims.find(server.namespace(), &name).ok().flatten()
}

/// Bytes of a claim: what it has, else what it asks for.
fn capacity(claim: &PersistentVolumeClaim) -> Option<f64> {
    claim.spec.resources.requests.get("storage").and_then(|q| parse_quantity(q))
}

fn judge(snap: &Snapshot, server: Server<'_>) -> Option<Finding> {
    let claim = claim_of(snap, &server)?;
    let capacity = capacity(claim)?;
    let retention = Retention::of_server(snap, server);
    let name = format!("{}/{}", claim.metadata.namespace, claim.metadata.name);
    let limit = Limit::of(&server, claim, capacity);
    if let Some(bytes) = retention.bytes {
        if bytes < capacity * 0.95 {
            return None;
        }
        let message = format!(
            "Prometheus may keep {} of blocks (retention.size) on PersistentVolumeClaim {name} of {}: it is full before the first block is deleted",
            format_bytes(bytes),
            format_bytes(capacity)
        );
        let fix = Fix::Size { container: server.container.name.clone(), limit };
        return Some(finding(server, claim, Severity::Warning, message, fix));
    }
    let intake = Intake::of(snap)?;
    let wanted = intake.bytes(retention.seconds?);
    if wanted < capacity * USABLE {
        return None;
    }
    let full = intake.full_at(capacity, snap.collected_at);
    let soon =
        full.is_some_and(|t| t.as_second() - snap.collected_at.as_second() < snap.thresholds.volume_days * 86_400);
    let days = retention.seconds? / 86_400.0;
    let date = full.map(|t| format!("; at this rate it is full about {}", t.strftime("%Y-%m-%d"))).unwrap_or_default();
    let message = format!(
        "Prometheus takes in {:.0} samples/s: {days:.0} days of them need about {}, and PersistentVolumeClaim {name} has {}{date}",
        intake.per_second,
        format_bytes(wanted),
        format_bytes(capacity)
    );
    let severity = if soon { Severity::Warning } else { Severity::Info };
    let measured = format!(
        "{:.0} samples/s since its start{}",
        intake.per_second,
        intake.blocks.map(|b| format!(", {} in blocks now", format_bytes(b))).unwrap_or_default()
    );
    let seen = api_evidence(
        snap,
        "Prometheus' own metrics (head_samples_appended_total, storage_blocks_bytes)".into(),
        measured,
        "/metrics",
    );
    Some(finding(server, claim, severity, message, Fix::time(snap, claim, capacity, limit)).evidence(seen))
}

fn finding(
    server: Server<'_>,
    claim: &PersistentVolumeClaim,
    severity: Severity,
    message: String,
    fix: Fix,
) -> Finding {
    let (namespace, name) = (&claim.metadata.namespace, &claim.metadata.name);
    let show = "kubectl get pvc {{ claim }} -n {{ namespace }}";
    let mut made =
        Finding::new(TsdbRetention::META.id, severity, server.workload.reference(), message).fix(fix).evidence(
            Evidence::new(
                format!("PersistentVolumeClaim {namespace}/{name}, spec.resources.requests.storage"),
                asked(claim),
                show,
            )
            .with("namespace", namespace)
            .with("claim", name),
        );
    made.key = format!("{name} {}", made.variant);
    made.breaks = Some(Vec::new());
    made.depends_on(ResourceRef::pvc(namespace, name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::snapshot;
    use crate::snapshot::Listing;
    use crate::snapshot::monitoring::Sample;

    fn with(args: &[&str], storage: &str, rate: Option<f64>) -> Snapshot {
        let mut snap = snapshot(json!({"workloads": [{
            "metadata": {"namespace": "monitoring", "name": "prometheus", "labels": {}},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "p"}}, "template": {"metadata": {"labels": {"app": "p"}}, "spec": {
                "containers": [{"name": "prometheus", "image": "prom/prometheus:v3.5.0", "args": args, "volumeMounts": [{"name": "d", "mountPath": "/prometheus"}]}],
                "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "prometheus-data"}}]}}}
        }]}));
        let claim = json!([{"metadata": {"namespace": "monitoring", "name": "prometheus-data"}, "spec": {"resources": {"requests": {"storage": storage}}}}]);
        snap.persistent_volume_claims = Listing::cluster(serde_json::from_value(claim).expect("claims"));
        let day = 86_400.0;
        if let Some(rate) = rate {
            let now = snap.collected_at.as_second() as f64;
            let sample =
                |name: &str, value: f64| Sample { name: name.into(), labels: std::collections::BTreeMap::new(), value };
            *snap.prometheus_metrics = Ok(vec![
                sample("process_start_time_seconds", now - day),
                sample("prometheus_tsdb_head_samples_appended_total", rate * day),
                sample("prometheus_tsdb_storage_blocks_bytes", 1e9),
            ]);
        }
        snap
    }

    #[test]
    fn what_fits_is_quiet() {
        assert!(findings(&TsdbRetention, &with(&["--storage.tsdb.retention.size=8GB"], "10Gi", Some(1e6))).is_empty());
        assert!(findings(&TsdbRetention, &with(&[], "50Gi", Some(1000.0))).is_empty());
        assert!(findings(&TsdbRetention, &with(&[], "10Gi", None)).is_empty(), "the rate is not known");
    }

    #[test]
    fn a_size_as_large_as_the_volume_does_not_protect_it() {
        let found = findings(&TsdbRetention, &with(&["--storage.tsdb.retention.size=10GB"], "10Gi", None));
        assert_eq!((found[0].variant, found[0].severity), ("size", Severity::Warning));
        assert!(steps(&found[0]).contains("--storage.tsdb.retention.size=8GB"), "{}", steps(&found[0]));
    }

    #[test]
    fn the_date_is_computed() {
        let found = findings(&TsdbRetention, &with(&["--storage.tsdb.retention.time=30d"], "10Gi", Some(10_000.0)));
        assert_eq!((found[0].variant, found[0].severity), ("time", Severity::Warning));
        assert!(found[0].message.contains("full about 2026-11-27"), "{}", found[0].message);
    }
}
