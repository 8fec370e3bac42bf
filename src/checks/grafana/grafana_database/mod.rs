//! Grafana cannot get at its own SQLite database: it is locked, damaged, or may not be written.

mod unusable;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::claims::block_class;
use crate::checks::support::volume::Repair;
use crate::checks::{Check, check};
use crate::domain::grafana::database::folder;
use crate::domain::kubernetes::mounts::{self, Origin};
use crate::domain::kubernetes::owner::Target;
use crate::domain::kubernetes::volumes;
use crate::domain::text::lasting::{RECENT, SEVERAL};
use crate::domain::text::log_line::Line;
use crate::domain::text::windows::minute;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, Placeholder, Program, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{PersistentVolumeClaim, Pod};
use crate::snapshot::monitoring::ContainerLog;

check! {
    /// See the check's page.
    GrafanaDatabase {
        id: "grafana-database", suite: Grafana, severity: Error,
        title: "Grafana's SQLite database is locked, damaged or read-only",
        requires: [ComponentLogs, CrashLogs, Pods],
        uses: [PersistentVolumeClaims, StorageClasses, Workloads, Jobs],
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
    Network {
        /// Those that use it, as `pod/NAME`.
        pods: Vec<String>,
        claim: String,
        size: String,
        /// A class of block devices, a claim of it, and the pod that copies the data there.
        block_class: Box<Placeholder>,
        new_claim: String,
        mover: String,
        /// Mounts the new claim.
        volume_patch: String,
        managed_by: String,
        /// The owner replaces its pods by itself.
        rolls: bool,
    },
    Locked {
        /// Those that use it, as `pod/NAME`.
        pods: Vec<String>,
    },
    /// Another pod has the volume mounted for writing.
    Held {
        /// `job/grafana-backup-1`; the pod itself where nobody made it.
        holder: String,
        holder_pod: String,
        /// It ends by itself or is made anew: a Job is deleted, others are scaled to nothing.
        is_job: bool,
        scales: bool,
        /// The CronJob that makes it.
        cron_job: String,
    },
    /// The file is no whole database any more.
    Damaged {
        damaged: String,
        /// Where it lies.
        folder: String,
        #[serde(flatten)]
        repair: Box<Repair>,
    },
    /// It may be read only.
    ReadOnly {
        claim: String,
        data: String,
        pod: String,
        /// Those that use the claim.
        pods: Vec<String>,
    },
    /// Nothing failed so far: writers only wait for each other.
    Waits {
        managed_by: String,
        /// The owner replaces its pods by itself.
        rolls: bool,
    },
}

/// What the log says of the lock.
struct Seen {
    line: String,
    times: usize,
    /// Something was given up for it: a change, a migration, Grafana's start.
    fails: bool,
}

/// What SQLite says where it gets no lock; and where the file system fails it, as one over the network does.
const LOCKED: &[&str] = &["atabase is locked", "SQLITE_BUSY"];
const BROKEN: &[&str] = &["disk I/O error", "SQLITE_IOERR"];

impl Check for GrafanaDatabase {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let pods = snap.pods()?;
        let logs = snap.component_logs()?.iter().chain(snap.crash_logs()?);
        let mut findings: Vec<Finding> = Vec::new();
        for log in logs.filter(|l| l.program == Some(Program::Grafana)) {
            if let Some(made) = unusable::finding(snap, log) {
                findings.push(made);
                continue;
            }
            let Some(seen) = told(snap, log, &[LOCKED, BROKEN]) else { continue };
            let pod = pods.iter().find(|p| log.is_of(&p.metadata));
            let Some(made) = pod.and_then(|pod| finding(snap, pod, log, seen)) else { continue };
            if !findings.iter().any(|f| f.subjects == made.subjects && f.key == made.key) {
                findings.push(made);
            }
        }
        Ok(Diagnosis::Findings(findings))
    }
}

/// What is said in any of these words, where it is said several times or ended the container; the line is the last one.
fn told(snap: &Snapshot, log: &ContainerLog, words: &[&[&str]]) -> Option<Seen> {
    let mut times = 0;
    let mut last = None;
    let (mut ends, mut fails) = (false, false);
    for line in log.text.lines().filter(|l| words.iter().copied().flatten().any(|w| l.contains(*w))) {
        let parsed = Line::parse(line);
        if !log.previous && parsed.is_older(snap.collected_at, RECENT) {
            continue;
        }
        times += 1;
        // What ends Grafana is said without a log line's form.
        ends |= parsed.at.is_none() && line.trim_start().starts_with("Error:");
        fails |= !line.contains("sleeping then retrying");
        last = Some(line.trim().to_owned());
    }
    last.filter(|_| times >= SEVERAL || ends).map(|line| Seen { line, times, fails })
}

/// The name of the claim that Grafana's data lies on; empty where it lies on none.
fn claim_name(origin: &Origin) -> &str {
    match origin {
        Origin::Claim { name, .. } => name,
        _ => "",
    }
}

/// `None` where the disk itself is to blame, and no lock.
fn finding(snap: &Snapshot, pod: &Pod, log: &ContainerLog, seen: Seen) -> Option<Finding> {
    let meta = &pod.metadata;
    let container = pod.spec.containers.iter().find(|c| c.name == log.container);
    let origin = container.map_or(Origin::Image, |c| mounts::origin(snap, pod, c, folder(c)));
    let claim = mounts::claim(snap, &meta.namespace, &origin);
    let class_name = claim.and_then(|c| c.class()).unwrap_or_default();
    let class = snap.storage_classes.find("", class_name).ok().flatten();
    let provisioner = class.map(|c| c.provisioner.as_str()).unwrap_or_default();
    let network = volumes::is_network(provisioner);
    // That a disk of its own fails is another matter than its locks.
    let seen = if network { seen } else { told(snap, log, &[LOCKED])? };
    let broken = BROKEN.iter().find(|w| network && seen.line.contains(*w));
    let name = claim_name(&origin);
    let target = Target::of(snap, pod);
    // One Grafana on a disk of its own: its own writers wait for each other.
    let waits = !network && target.replicas <= 1 && !seen.fails;
    let holder = if network || waits { None } else { holder(snap, pod, name) };
    let why = if network {
        format!(
            "its data lies on a network file system (PersistentVolumeClaim {name}, StorageClass {class_name}, {provisioner}), where SQLite's locks do not work reliably"
        )
    } else if let Some(other) = holder {
        format!(
            "pod {}/{} of {} has the volume mounted as well (PersistentVolumeClaim {name}), and runs{}",
            meta.namespace,
            other.metadata.name,
            snap.owner_ref(other),
            other.status.start_time.map(|t| format!(" since {}", minute(t))).unwrap_or_default()
        )
    } else if target.replicas > 1 {
        format!("{} replicas write to one SQLite file", target.replicas)
    } else {
        "another process holds the file, or one that ended left it locked".to_owned()
    };
    let said = broken.copied().unwrap_or("database is locked");
    let who = format!("Grafana {}/{}", meta.namespace, meta.name);
    let message = if waits {
        format!(
            "{who} has to wait for its SQLite database again and again (database is locked, {} times within 15 minutes): several write at once",
            seen.times
        )
    } else {
        format!("{who} cannot use its database ({said}): {why}")
    };
    let subject = if name.is_empty() { snap.owner_ref(pod) } else { ResourceRef::pvc(&meta.namespace, name) };
    let show = "kubectl logs -n {{ namespace }} {{ pod }} -c {{ container }}{% if previous %} --previous{% endif %} --tail=100";
    let severity = if waits { Severity::Warning } else { Severity::Error };
    let mut made = Finding::new(GrafanaDatabase::META.id, severity, subject.clone(), message)
        .key(format!("{} locked", subject.key()));
    made = if waits {
        made.breaks_nothing()
    } else {
        let pod_ref = ResourceRef::pod(&meta.namespace, &meta.name);
        made.breaks(subject).breaks(pod_ref).breaks(snap.owner_ref(pod))
    };
    made = made.evidence(
        Evidence::new(format!("log of pod {}/{}", meta.namespace, meta.name), seen.line.clone(), show)
            .with("namespace", &meta.namespace)
            .with("pod", &meta.name)
            .with("container", &log.container)
            .with("previous", log.previous),
    );
    if network {
        made = made.evidence(
            Evidence::new(
                format!("StorageClass {class_name}, provisioner"),
                provisioner,
                "kubectl get storageclass {{ class }} -o yaml",
            )
            .with("class", class_name),
        );
    }
    if let Some(other) = holder {
        made = made
            .evidence(holder_evidence(other, name))
            .depends_on(ResourceRef::pod(&meta.namespace, &other.metadata.name));
    }
    let way = if network {
        move_data(snap, pod, &target, name, claim)
    } else if let Some(other) = holder {
        held(snap, other)
    } else if waits {
        Way::Waits { managed_by: target.managed_by.clone(), rolls: target.rolls }
    } else {
        Way::Locked { pods: users(snap, pod) }
    };
    Some(made.fix(Fix { namespace: meta.namespace.clone(), container: log.container.clone(), owner: target.name, way }))
}

/// A pod of somebody else that has the claim mounted for writing, and runs.
fn holder<'a>(snap: &'a Snapshot, pod: &Pod, claim: &str) -> Option<&'a Pod> {
    let owner = snap.owner_ref(pod);
    let writes = |p: &&Pod| {
        let volumes = p
            .spec
            .volumes
            .iter()
            .filter(|v| v.persistent_volume_claim.as_ref().is_some_and(|c| c.claim_name == claim && !c.read_only));
        let names: Vec<&str> = volumes.map(|v| v.name.as_str()).collect();
        let running =
            p.spec.containers.iter().filter(|c| p.statuses().any(|s| s.name == c.name && s.running_since().is_some()));
        running.flat_map(|c| &c.volume_mounts).any(|m| !m.read_only && names.contains(&m.name.as_str()))
    };
    let mut others =
        snap.pods.items().unwrap_or_default().iter().filter(|p| {
            p.metadata.namespace == pod.metadata.namespace && !p.is_finished() && snap.owner_ref(p) != owner
        });
    others.find(writes).filter(|_| !claim.is_empty())
}

fn holder_evidence(other: &Pod, claim: &str) -> Evidence {
    let (namespace, name) = (&other.metadata.namespace, &other.metadata.name);
    let show = "kubectl get pod {{ pod }} -n {{ namespace }} -o yaml";
    let value = format!("mounts PersistentVolumeClaim {claim}");
    Evidence::new(format!("Pod {namespace}/{name}"), value, show).with("namespace", namespace).with("pod", name)
}

fn held(snap: &Snapshot, other: &Pod) -> Way {
    let made_by = other.metadata.controller().filter(|o| o.kind == "Job");
    let job = made_by.and_then(|o| snap.jobs.find(&other.metadata.namespace, &o.name).ok().flatten());
    let cron_job = job.and_then(|j| j.metadata.controller()).filter(|o| o.kind == "CronJob");
    let target = Target::of(snap, other);
    let holder = made_by.map_or_else(|| target.name.clone(), |o| format!("job/{}", o.name));
    Way::Held {
        is_job: made_by.is_some(),
        scales: ["deployment/", "statefulset/"].iter().any(|k| holder.starts_with(k)),
        holder,
        holder_pod: other.metadata.name.clone(),
        cron_job: cron_job.map(|o| o.name.clone()).unwrap_or_default(),
    }
}

/// The pods of its owner that hold the file.
fn users(snap: &Snapshot, pod: &Pod) -> Vec<String> {
    let owner = snap.owner_ref(pod);
    let pods = snap.pods().unwrap_or_default().iter().filter(|p| !p.is_finished());
    let own = pods.filter(|p| p.metadata.namespace == pod.metadata.namespace && snap.owner_ref(p) == owner);
    own.map(|p| format!("pod/{}", p.metadata.name)).collect()
}

/// The way from a network file system to a block device.
fn move_data(
    snap: &Snapshot,
    pod: &Pod,
    target: &Target<'_>,
    name: &str,
    claim: Option<&PersistentVolumeClaim>,
) -> Way {
    let new_claim = format!("{}-block", if name.is_empty() { "grafana" } else { name });
    let volume =
        pod.spec.volumes.iter().find(|v| v.persistent_volume_claim.as_ref().is_some_and(|c| c.claim_name == name));
    let volume_patch = serde_json::json!({"spec": {"template": {"spec": {"volumes": [
        {"name": volume.map_or("storage", |v| v.name.as_str()), "persistentVolumeClaim": {"claimName": new_claim}}
    ]}}}});
    Way::Network {
        pods: users(snap, pod),
        claim: name.to_owned(),
        size: claim.and_then(|c| c.spec.resources.requests.get("storage")).cloned().unwrap_or_else(|| "10Gi".into()),
        block_class: Box::new(block_class(snap)),
        new_claim,
        mover: format!("{}-copy", target.name.rsplit('/').next().unwrap_or("grafana")),
        volume_patch: volume_patch.to_string(),
        managed_by: target.managed_by.clone(),
        rolls: target.rolls,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::snapshot;
    use crate::snapshot::Listing;

    fn with(log: &str, provisioner: &str) -> Snapshot {
        let mut snap = snapshot(json!({"pods": [{
            "metadata": {"namespace": "monitoring", "name": "grafana-0", "ownerReferences": [{"kind": "StatefulSet", "name": "grafana", "controller": true}]},
            "spec": {"containers": [{"name": "grafana", "image": "grafana/grafana:12.3.1", "volumeMounts": [{"name": "d", "mountPath": "/var/lib/grafana"}]}],
                "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "grafana"}}]},
            "status": {"phase": "Running"}
        }]}));
        let claim =
            json!([{"metadata": {"namespace": "monitoring", "name": "grafana"}, "spec": {"storageClassName": "c"}}]);
        snap.persistent_volume_claims = Listing::cluster(serde_json::from_value(claim).expect("claims"));
        let class = json!([{"metadata": {"name": "c"}, "provisioner": provisioner}]);
        snap.storage_classes = Listing::cluster(serde_json::from_value(class).expect("classes"));
        *snap.crash_logs = Ok(Vec::new());
        *snap.component_logs = Ok(vec![ContainerLog {
            namespace: "monitoring".into(),
            pod: "grafana-0".into(),
            container: "grafana".into(),
            program: Some(Program::Grafana),
            text: log.into(),
            ..ContainerLog::default()
        }]);
        snap
    }

    const LINE: &str = "logger=sqlstore.transactions t=2026-11-21T01:58:33Z level=info msg=\"Database locked, sleeping then retrying\" error=\"database is locked\" retry=2\n";

    #[test]
    fn a_short_wait_is_quiet() {
        assert!(findings(&GrafanaDatabase, &with(LINE, "efs.csi.aws.com")).is_empty());
        assert!(
            findings(&GrafanaDatabase, &with(&LINE.replace("01:58", "01:08").repeat(9), "efs.csi.aws.com")).is_empty()
        );
    }

    #[test]
    fn a_disk_that_fails_is_no_lock() {
        let line = "Error: ✗ migration failed (id = create migration_log table): disk I/O error\n";
        assert!(findings(&GrafanaDatabase, &with(line, "ebs.csi.aws.com")).is_empty());
        let found = findings(&GrafanaDatabase, &with(line, "efs.csi.aws.com"));
        assert!(
            found[0].message.contains("(disk I/O error): its data lies on a network file system"),
            "{}",
            found[0].message
        );
    }

    #[test]
    fn locks_count_beside_a_disk_that_fails() {
        let failed = LINE.replace("sleeping then retrying", "giving up");
        let broken =
            LINE.replace("error=\"database is locked\"", "error=\"disk I/O error\"").replace("Database locked", "x");
        let both = format!("{}{broken}", failed.repeat(3));
        let found = findings(&GrafanaDatabase, &with(&both, "ebs.csi.aws.com"));
        assert_eq!(found.iter().map(|f| f.variant).collect::<Vec<_>>(), ["locked"], "whatever is said last");
        assert!(found[0].message.contains("(database is locked)"), "{}", found[0].message);
        assert!(findings(&GrafanaDatabase, &with(&broken.repeat(3), "ebs.csi.aws.com")).is_empty());
    }

    #[test]
    fn a_network_file_system_is_named() {
        let found = findings(&GrafanaDatabase, &with(&LINE.repeat(3), "efs.csi.aws.com"));
        assert_eq!(found[0].variant, "network");
        let told = steps(&found[0]);
        assert!(told.contains("--replicas=0") && told.contains("cp -a /old/. /new/"), "{told}");
        assert!(!told.contains("kubectl cp"), "the pod is gone by then: {told}");
    }

    #[test]
    fn a_file_that_is_damaged_or_may_not_be_written() {
        let of = |error: &str, times: usize, ready: bool| {
            let line = format!(
                "logger=cleanup t=2026-11-21T01:58:33Z level=error msg=\"Failed to lock and execute cleanup\" error=\"{error}\"\n"
            );
            let mut snap = with(&line.repeat(times), "ebs.csi.aws.com");
            let pods = json!([{
                "metadata": {"namespace": "monitoring", "name": "grafana-0", "ownerReferences": [{"kind": "StatefulSet", "name": "grafana", "controller": true}]},
                "spec": {"containers": [{"name": "grafana", "image": "grafana/grafana:12.3.1", "volumeMounts": [{"name": "d", "mountPath": "/var/lib/grafana"}]}],
                    "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "grafana"}}]},
                "status": {"phase": "Running", "containerStatuses": [{"name": "grafana", "ready": ready, "restartCount": 0,
                    "state": {"running": {"startedAt": "2026-11-20T01:00:00Z"}}}]}
            }]);
            snap.pods = Listing::cluster(serde_json::from_value(pods).expect("pods"));
            findings(&GrafanaDatabase, &snap)
        };
        let damaged = of("database disk image is malformed", 3, true);
        assert_eq!((damaged.len(), damaged[0].variant), (1, "damaged"));
        let told = steps(&damaged[0]);
        assert!(told.contains(".recover") && told.contains("mkdir -p damaged"), "{told}");
        let read_only = of("attempt to write a readonly database", 3, true);
        assert_eq!((read_only.len(), read_only[0].variant), (1, "read-only"));
        assert!(steps(&read_only[0]).contains("--replicas=0"), "{}", steps(&read_only[0]));
        assert!(of("attempt to write a readonly database", 1, true).is_empty());
        assert!(of("attempt to write a readonly database", 3, false).is_empty(), "it does not run");
    }

    #[test]
    fn another_pod_on_the_volume_is_named() {
        let failed =
            LINE.replace("level=info msg=\"Database locked, sleeping then retrying\"", "level=error msg=\"giving up\"");
        let of = |phase: &str, read_only: bool| {
            let mut snap = with(&failed.repeat(3), "ebs.csi.aws.com");
            let job = json!({
                "metadata": {"namespace": "monitoring", "name": "grafana-backup-1-x", "ownerReferences": [{"kind": "Job", "name": "grafana-backup-1", "controller": true}]},
                "spec": {"containers": [{"name": "backup", "volumeMounts": [{"name": "d", "mountPath": "/data", "readOnly": read_only}]}],
                    "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "grafana"}}]},
                "status": {"phase": phase, "containerStatuses": [{"name": "backup", "state": {"running": {"startedAt": "2026-11-21T01:00:00Z"}}}]}});
            let mut pods = snap.pods.items().expect("pods").to_vec();
            pods.push(serde_json::from_value(job).expect("a pod"));
            snap.pods = Listing::cluster(pods);
            findings(&GrafanaDatabase, &snap).remove(0)
        };
        let found = of("Running", false);
        assert_eq!(found.variant, "held");
        assert!(found.message.contains("pod monitoring/grafana-backup-1-x of Job"), "{}", found.message);
        let told = steps(&found);
        assert!(told.contains("kubectl delete job/grafana-backup-1") && !told.contains("--replicas=0"), "{told}");
        assert_eq!(of("Succeeded", false).variant, "locked");
        assert_eq!(of("Running", true).variant, "locked", "it only reads");
    }

    #[test]
    fn a_wait_is_no_failure() {
        let waits = findings(&GrafanaDatabase, &with(&LINE.repeat(3), "ebs.csi.aws.com"));
        assert_eq!((waits[0].variant, waits[0].severity), ("waits", Severity::Warning));
        assert!(!steps(&waits[0]).contains("--replicas=0"), "{}", steps(&waits[0]));
        let failed = LINE.replace(
            "level=info msg=\"Database locked, sleeping then retrying\"",
            "level=error msg=\"Failed to save alert rule state\"",
        );
        let fails = findings(&GrafanaDatabase, &with(&failed.repeat(3), "ebs.csi.aws.com"));
        assert_eq!((fails[0].variant, fails[0].severity), ("locked", Severity::Error));
        assert!(steps(&fails[0]).contains("kubectl wait --for=delete pod/grafana-0"), "{}", steps(&fails[0]));
    }
}
