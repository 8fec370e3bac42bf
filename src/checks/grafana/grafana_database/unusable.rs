//! Grafana runs, and its file is damaged or may not be written. Where it ends for that, another check tells.

use super::{Fix, GrafanaDatabase, Way, claim_name, told, users};
use crate::checks::support::seen::log_evidence;
use crate::checks::support::volume::Repair;
use crate::domain::grafana::database::folder;
use crate::domain::kubernetes::mounts;
use crate::domain::kubernetes::owner::Target;
use crate::model::{Finding, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::ContainerLog;

const DAMAGED: &[&str] = &["database disk image is malformed", "file is not a database", "SQLITE_CORRUPT"];
const READ_ONLY: &[&str] = &["attempt to write a readonly database", "SQLITE_READONLY"];

pub(super) fn finding(snap: &Snapshot, log: &ContainerLog) -> Option<Finding> {
    let pod = snap.pod_of_log(log)?;
    let runs = pod.statuses().any(|s| s.name == log.container && s.ready && s.running_since().is_some());
    if log.previous || !runs {
        return None;
    }
    let damaged = told(snap, log, &[DAMAGED]);
    let is_damaged = damaged.is_some();
    let seen = damaged.or_else(|| told(snap, log, &[READ_ONLY]))?;
    let meta = &pod.metadata;
    let target = Target::of(snap, pod);
    let container = pod.spec.containers.iter().find(|c| c.name == log.container)?;
    let data = folder(container).trim_end_matches('/');
    let origin = mounts::origin(snap, pod, container, data);
    let (what, way) = if is_damaged {
        let way = Way::Damaged {
            damaged: format!("{data}/grafana.db"),
            folder: data.to_owned(),
            repair: Box::new(Repair::of(&target, pod, container, &origin, data)),
        };
        ("its file is damaged", way)
    } else {
        let claim = claim_name(&origin).to_owned();
        let pods = if claim.is_empty() { Vec::new() } else { users(snap, pod) };
        let way = Way::ReadOnly { claim, data: data.to_owned(), pod: meta.name.clone(), pods };
        ("it may not write its file", way)
    };
    let owner = snap.owner_ref(pod);
    let message = format!(
        "Grafana {}/{} cannot use its SQLite database ({} times within 15 minutes): {what}",
        meta.namespace, meta.name, seen.times
    );
    let fix = Fix { namespace: meta.namespace.clone(), container: log.container.clone(), owner: target.name, way };
    Some(
        Finding::new(GrafanaDatabase::META.id, Severity::Error, owner.clone(), message)
            .key(format!("{} unusable", owner.key()))
            .breaks_nothing()
            .evidence(log_evidence(&meta.namespace, &meta.name, &log.container, false, &seen.line))
            .fix(fix),
    )
}
