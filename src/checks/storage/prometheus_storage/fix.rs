//! What lets Prometheus write again, and what its commands hold.

use schemars::JsonSchema;
use serde::Serialize;

use super::log::{Cause, Seen, damaged, hint, why};
use crate::checks::support::volume::{Full, Larger, Repair};
use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::mounts::Origin;
use crate::domain::kubernetes::owner::Target;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Pod};

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fix {
    namespace: String,
    owner: String,
    container: String,
    /// The folder of the data.
    data: String,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    DiskFull {
        /// The operator's resource that makes the workload, where one does, or who else keeps it.
        operated: bool,
        operator_kind: &'static str,
        operator_name: String,
        managed: String,
        pod: String,
        /// Where snapshots of the admin API lie, where some were taken; empty otherwise.
        snapshots: String,
        /// CronJobs that take them.
        takers: Vec<String>,
        #[serde(flatten)]
        full: Full,
    },
    ReadOnly {
        pod: String,
    },
    Wal {
        /// The segment that is damaged.
        damaged: Option<String>,
        wal_aside: String,
        /// How much of the volume is left, where an alert says that it fills up.
        left: Option<String>,
        #[serde(flatten)]
        larger: Larger,
        #[serde(flatten)]
        repair: Repair,
    },
    Compaction {
        pod: String,
        error: String,
        /// What the error comes of, where it says so; empty otherwise.
        hint: &'static str,
    },
    HeadChunks {
        error: String,
        head_chunks: String,
        head_chunks_aside: String,
        #[serde(flatten)]
        repair: Repair,
    },
    Block {
        blocks: Vec<String>,
        aside: String,
        #[serde(flatten)]
        repair: Repair,
    },
    Repaired {
        pod: String,
    },
}

impl Fix {
    pub(super) fn of(
        snap: &Snapshot,
        pod: &Pod,
        container: &Container,
        origin: &Origin,
        trouble: Cause,
        seen: &Seen,
    ) -> Self {
        let data = arguments::flag(container, "storage.tsdb.path").unwrap_or("/prometheus").trim_end_matches('/');
        let meta = &pod.metadata;
        let target = Target::of(snap, pod);
        let inside = |file: &str| format!("{data}/{file}");
        let repair = || Repair::of(&target, pod, container, origin, data);
        let name = || meta.name.clone();
        let way = match trouble {
            Cause::DiskFull => Way::DiskFull {
                operated: !target.operator_kind().is_empty(),
                operator_kind: target.operator_kind(),
                operator_name: target.operator_name().to_owned(),
                managed: target.managed_by.clone(),
                pod: name(),
                snapshots: if seen.snapshots > 0 { inside("snapshots") } else { String::new() },
                takers: takers(snap),
                full: Full::of(snap, &meta.namespace, origin),
            },
            Cause::ReadOnly => Way::ReadOnly { pod: name() },
            Cause::Wal => Way::Wal {
                damaged: damaged(&seen.text),
                wal_aside: inside("wal.damaged"),
                left: left(snap, &meta.namespace, origin),
                larger: Larger::of(snap, &meta.namespace, origin),
                repair: repair(),
            },
            Cause::Compaction => Way::Compaction { pod: name(), error: why(&seen.text), hint: hint(&seen.text) },
            Cause::HeadChunks => Way::HeadChunks {
                error: why(&seen.text),
                head_chunks: inside("chunks_head"),
                head_chunks_aside: inside("chunks_head.damaged"),
                repair: repair(),
            },
            Cause::Block => Way::Block {
                blocks: seen.blocks.iter().map(|b| inside(b)).collect(),
                aside: inside("damaged"),
                repair: repair(),
            },
            Cause::Repaired => Way::Repaired { pod: name() },
        };
        Self {
            namespace: meta.namespace.clone(),
            owner: target.name.clone(),
            container: container.name.clone(),
            data: data.to_owned(),
            way,
        }
    }
}

/// CronJobs that ask for snapshots of the TSDB.
fn takers(snap: &Snapshot) -> Vec<String> {
    let asks = |c: &Container| c.command.iter().chain(&c.args).any(|a| a.contains("/admin/tsdb/snapshot"));
    let all = snap.cron_jobs.items().unwrap_or_default().iter();
    let taking = all.filter(|j| j.spec.job_template.spec.template.spec.containers.iter().any(asks));
    taking.map(|j| format!("{}/{}", j.metadata.namespace, j.metadata.name)).collect()
}

/// What kube-prometheus' alert says is left of a claim's volume.
fn left(snap: &Snapshot, namespace: &str, origin: &Origin) -> Option<String> {
    let Origin::Claim { name, .. } = origin else { return None };
    let filling = snap.prometheus_alerts.iter().flatten().find(|a| {
        a.name() == "KubePersistentVolumeFillingUp"
            && a.label("namespace") == namespace
            && a.label("persistentvolumeclaim") == name.as_str()
    })?;
    let left: f64 = filling.value.parse().ok()?;
    (0.0..=1.0).contains(&left).then(|| format!("{:.1} %", left * 100.0))
}
