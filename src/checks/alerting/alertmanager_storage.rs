//! Alertmanager cannot write its silences and its notification log to its disk.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::checks::support::seen::own_metrics;
use crate::checks::{Check, check};
use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::mounts::{self, Origin};
use crate::domain::kubernetes::owner::Target;
use crate::domain::text::disk_error::DiskError;
use crate::domain::text::log_line::Line;
use crate::domain::text::windows::minute;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, Program, ResourceRef, Severity};
use crate::snapshot::kubernetes::{Container, Pod};
use crate::snapshot::{Snapshot, format_bytes, parse_quantity};

check! {
    /// See the check's page.
    AlertmanagerStorage {
        id: "alertmanager-storage", suite: Alerting, severity: Warning,
        title: "Alertmanager cannot save its silences",
        requires: [ComponentLogs, Pods],
        uses: [AlertmanagerMetrics, PersistentVolumeClaims, StorageClasses, Workloads, MonitoringResources],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    namespace: String,
    container: String,
    owner: String,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    Permission {
        pod: String,
        data: String,
        /// Whom it runs as, and the group that the volume is to have.
        user: i64,
        group: i64,
        has_group: bool,
        group_patch: String,
        /// The operator's resource that it is made of.
        custom: Option<String>,
        managed: String,
    },
    NoVolume {
        data: String,
        volume: String,
        group: i64,
        custom: Option<String>,
        managed: String,
    },
    Full {
        pod: String,
        data: String,
        claim: String,
        size: String,
        bigger_patch: String,
        storage_class: String,
        expandable: bool,
    },
    Remount {
        pod: String,
    },
}

/// Seconds for which a line counts: it is saved each quarter of an hour, and success is logged at debug only.
const RECENT: i64 = 1200;

/// The last failure of one pod.
struct Seen {
    why: DiskError,
    what: Vec<String>,
    last: Option<Timestamp>,
    line: String,
}

impl Check for AlertmanagerStorage {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let pods = snap.pods()?;
        let mut found: BTreeMap<(&str, &str), Finding> = BTreeMap::new();
        for log in snap.logs_of(Program::Alertmanager)? {
            let Some(seen) = read(snap, &log.text) else { continue };
            let pod = pods.iter().find(|p| log.is_of(&p.metadata));
            let Some(pod) = pod else { continue };
            let Some(container) = pod.spec.containers.iter().find(|c| c.name == log.container) else { continue };
            found.insert((&log.namespace, &log.pod), finding(snap, pod, container, &seen));
        }
        Ok(Diagnosis::Findings(found.into_values().collect()))
    }
}

fn read(snap: &Snapshot, log: &str) -> Option<Seen> {
    let mut seen: Option<Seen> = None;
    for line in log.lines().map(Line::parse) {
        let msg = line.msg.to_ascii_lowercase();
        // Silences said so at level info until 0.26.
        let fails = msg.contains("maintenance failed") || msg.contains("shutdown snapshot failed");
        let started = msg.starts_with("starting alertmanager");
        if started {
            seen = None;
        }
        let old = line.is_older(snap.collected_at, RECENT);
        let Some(why) = DiskError::read(&line.err).filter(|_| fails && !old) else { continue };
        let mut what = seen.take().map_or_else(Vec::new, |s| s.what);
        let component = line.get("component");
        if !what.iter().any(|w| w == component) && !component.is_empty() {
            what.push(component.to_owned());
        }
        seen = Some(Seen { why, what, last: line.at, line: line.raw.to_owned() });
    }
    seen
}

fn words(why: DiskError) -> &'static str {
    match why {
        DiskError::Denied => "permission denied",
        DiskError::ReadOnly => "read-only file system",
        DiskError::Full => "no space left on device",
        DiskError::Missing => "the folder does not exist",
        DiskError::Broken => "the disk does not answer",
    }
}

fn finding(snap: &Snapshot, pod: &Pod, container: &Container, seen: &Seen) -> Finding {
    let meta = &pod.metadata;
    let data = arguments::flag(container, "storage.path").unwrap_or("/alertmanager").trim_end_matches('/');
    let origin = mounts::origin(snap, pod, container, data);
    let at = match &origin {
        Origin::Claim { name, .. } => format!("PersistentVolumeClaim {name}"),
        Origin::Image => format!("{data}, on which no volume is mounted"),
        _ => data.to_owned(),
    };
    let what = match seen.what.as_slice() {
        [one] if one == "nflog" => "its notification log",
        [one] if one == "silences" => "its silences",
        _ => "its silences and its notification log",
    };
    let last = seen.last.map(|t| format!(", last at {}", minute(t))).unwrap_or_default();
    let message = format!(
        "Alertmanager {}/{} cannot save {what} to {at}: {}{last}; with a restart silences made since are lost, and notifications are sent again",
        meta.namespace,
        meta.name,
        words(seen.why)
    );
    let subject = match &origin {
        Origin::Claim { name, .. } if matches!(seen.why, DiskError::Full | DiskError::Broken) => {
            ResourceRef::pvc(&meta.namespace, name)
        }
        _ => snap.owner_ref(pod),
    };
    let show = "kubectl logs -n {{ namespace }} {{ pod }} -c {{ container }} --since=1h";
    let mut made = Finding::new(AlertmanagerStorage::META.id, Severity::Warning, subject, message)
        .key(format!("{} {:?}", snap.owner_ref(pod).key(), seen.why))
        .evidence(
            Evidence::new(format!("log of pod {}/{}", meta.namespace, meta.name), seen.line.clone(), show)
                .with("namespace", &meta.namespace)
                .with("pod", &meta.name)
                .with("container", &container.name),
        );
    if let Some(counted) = counters(snap) {
        made = made.evidence(own_metrics("Alertmanager", counted, pod, container));
    }
    // It notifies all the same.
    made.breaks = Some(Vec::new());
    let target = Target::of(snap, pod);
    let way = match (seen.why, &origin) {
        (DiskError::Denied | DiskError::ReadOnly | DiskError::Missing, Origin::Image) => Way::NoVolume {
            data: data.to_owned(),
            volume: format!("{}-data", container.name),
            group: group(pod).unwrap_or(NOBODY),
            custom: custom(&target),
            managed: target.managed_by.clone(),
        },
        (DiskError::Denied, _) => permission(pod, &target, data),
        (DiskError::Full, _) => full(snap, pod, &origin, data),
        (DiskError::ReadOnly | DiskError::Missing | DiskError::Broken, _) => Way::Remount { pod: meta.name.clone() },
    };
    made.fix(Fix { namespace: meta.namespace.clone(), container: container.name.clone(), owner: target.name, way })
}

fn counters(snap: &Snapshot) -> Option<String> {
    let names = ["alertmanager_nflog_maintenance_errors_total", "alertmanager_silences_maintenance_errors_total"];
    let all = snap.alertmanager_metrics().ok()?.iter();
    let failed: Vec<String> = all
        .filter(|s| s.value > 0.0 && names.contains(&s.name.as_str()))
        .map(|s| format!("{} {}", s.name, s.value))
        .collect();
    (!failed.is_empty()).then(|| failed.join("\n"))
}

fn custom(target: &Target<'_>) -> Option<String> {
    target.custom.filter(|(kind, _)| *kind == "alertmanager").map(|(_, name)| name.to_owned())
}

/// The user and the group of the image.
const NOBODY: i64 = 65534;

fn group(pod: &Pod) -> Option<i64> {
    pod.spec.security_context.as_ref()?.fs_group
}

/// The volume gets the group that it runs with.
fn permission(pod: &Pod, target: &Target<'_>, data: &str) -> Way {
    let user = pod.spec.security_context.as_ref().and_then(|c| c.run_as_user).unwrap_or(NOBODY);
    let group = group(pod);
    let wanted = group.unwrap_or(NOBODY);
    let custom = custom(target);
    let patch = match custom {
        Some(_) => {
            json!({"spec": {"securityContext": {"fsGroup": wanted, "runAsUser": user, "runAsNonRoot": user != 0}}})
        }
        None => json!({"spec": {"template": {"spec": {"securityContext": {"fsGroup": wanted}}}}}),
    };
    Way::Permission {
        pod: pod.metadata.name.clone(),
        data: data.to_owned(),
        user,
        group: wanted,
        has_group: group.is_some(),
        group_patch: patch.to_string(),
        custom,
        managed: target.managed_by.clone(),
    }
}

/// A larger volume.
fn full(snap: &Snapshot, pod: &Pod, origin: &Origin, data: &str) -> Way {
    let claim = mounts::claim(snap, &pod.metadata.namespace, origin);
    let class = claim.and_then(|c| c.class()).unwrap_or_default();
    let of_class = snap.storage_classes.find("", class).ok().flatten();
    let size = claim.and_then(|c| c.spec.resources.requests.get("storage"));
    let bigger = size.and_then(|q| parse_quantity(q)).map_or_else(|| "<size>".to_owned(), |b| format_bytes(b * 2.0));
    Way::Full {
        pod: pod.metadata.name.clone(),
        data: data.to_owned(),
        claim: match origin {
            Origin::Claim { name, .. } => name.clone(),
            _ => String::new(),
        },
        size: size.cloned().unwrap_or_default(),
        bigger_patch: json!({"spec": {"resources": {"requests": {"storage": bigger}}}}).to_string(),
        storage_class: class.to_owned(),
        expandable: of_class.is_some_and(|c| c.allow_volume_expansion == Some(true)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::snapshot;
    use crate::snapshot::monitoring::ContainerLog;

    fn with(log: &str, mounts: &Value, volumes: &Value) -> Snapshot {
        let mut snap = snapshot(json!({"pods": [{
            "metadata": {"namespace": "monitoring", "name": "am-0", "ownerReferences": [{"kind": "StatefulSet", "name": "am", "controller": true}]},
            "spec": {"containers": [{"name": "alertmanager", "image": "alertmanager:v0.28.1", "args": ["--storage.path=/alertmanager"], "volumeMounts": mounts}], "volumes": volumes},
            "status": {"phase": "Running"}
        }]}));
        *snap.component_logs = Ok(vec![ContainerLog {
            namespace: "monitoring".into(),
            pod: "am-0".into(),
            container: "alertmanager".into(),
            program: Some(Program::Alertmanager),
            text: log.into(),
            ..ContainerLog::default()
        }]);
        snap
    }

    fn claim() -> (Value, Value) {
        (
            json!([{"name": "d", "mountPath": "/alertmanager"}]),
            json!([{"name": "d", "persistentVolumeClaim": {"claimName": "am-data"}}]),
        )
    }

    const DENIED: &str = r#"level=info ts=2026-11-21T01:53:12.490Z caller=silence.go:291 component=silences msg="Running maintenance failed" err="open /alertmanager/silences.612d455b317c5793: permission denied"
level=error ts=2026-11-21T01:53:12.491Z caller=nflog.go:363 component=nflog msg="Running maintenance failed" err="open /alertmanager/nflog.54d85c4a8ad98048: permission denied""#;

    #[test]
    fn old_failures_and_other_errors_are_quiet() {
        let (mounts, volumes) = claim();
        let old = DENIED.replace("01:53", "01:23");
        assert!(findings(&AlertmanagerStorage, &with(&old, &mounts, &volumes)).is_empty());
        let other =
            r#"level=error ts=2026-11-21T01:53:12Z msg="Notify for alerts failed" err="open /x: permission denied""#;
        assert!(findings(&AlertmanagerStorage, &with(other, &mounts, &volumes)).is_empty());
    }

    #[test]
    fn a_volume_of_another_owner_needs_its_group() {
        let (mounts, volumes) = claim();
        let found = findings(&AlertmanagerStorage, &with(DENIED, &mounts, &volumes));
        assert_eq!((found.len(), found[0].variant), (1, "permission"));
        assert!(found[0].message.contains("its silences and its notification log"), "{}", found[0].message);
        assert!(steps(&found[0]).contains(r#""fsGroup":65534"#), "{}", steps(&found[0]));
    }

    #[test]
    fn without_a_volume_one_is_mounted() {
        let read_only = DENIED.replace("permission denied", "read-only file system");
        let found = findings(&AlertmanagerStorage, &with(&read_only, &json!([]), &json!([])));
        assert_eq!(found[0].variant, "no-volume");
        let (mounts, volumes) = claim();
        let full = DENIED.replace("permission denied", "no space left on device");
        assert_eq!(findings(&AlertmanagerStorage, &with(&full, &mounts, &volumes))[0].variant, "full");
    }
}
