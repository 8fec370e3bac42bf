//! The fixes of the volume, and of what lies on it.

use crate::checks::workload::crash_loop::own_values::{Chown, Lock, NewerData, Permission, ReadOnly};
use serde_json::json;

use crate::checks::support::kept::Kept;
use crate::checks::support::volume::{Repair, operator_up};
use crate::checks::workload::crash_loop::case::{Case, on_network};
use crate::checks::workload::crash_loop::origin::data_path;
use crate::checks::workload::crash_loop::values::{Damaged, DiskFull, Ownership, ids, look_at_blocks, newer_image};
use crate::checks::workload::crash_loop::way::Way;
use crate::domain::crash::{Class, Crash};
use crate::domain::kubernetes::json_patch;
use crate::domain::kubernetes::mounts::{self, Origin};
use crate::domain::kubernetes::mutated;
use crate::snapshot::kubernetes::Container;

/// The volume, or what lies on it.
pub(super) fn storage(case: &Case<'_>, crash: &Crash) -> Way {
    let (pod, kept) = (case.pod_name(), Kept::of(&case.target));
    let container = case.failing.container;
    let group = case.failing.pod.spec.security_context.as_ref().and_then(|c| c.fs_group);
    match crash.class {
        Class::Permission => Way::Permission(Permission {
            gid: ids(container).1,
            group,
            is_grafana: case.is_grafana(),
            is_prometheus: case.is_prometheus(),
            pod,
            ownership: Ownership::of(case),
            kept,
        }),
        Class::Chown => Way::Chown(Chown {
            container: container.name.clone(),
            group,
            network: on_network(case),
            sealed: crash.reason.to_ascii_lowercase().contains("read-only file system"),
            patch: Ownership::of(case).patch,
            remove_patch: remove_patch(case),
            kept,
        }),
        Class::ReadOnly => {
            let mount = crash.file.as_deref().and_then(|f| mounts::mount_of(container, f));
            let sealed = container.security_context.as_ref().and_then(|c| c.read_only_root_filesystem);
            // A folder that it would make is itself what has to be a volume; a file lies in one.
            let makes = crash.reason.starts_with("mkdir ");
            let folder = crash.file.as_deref().and_then(|f| {
                let below = f.rsplit_once('/').map(|(folder, _)| folder).filter(|f| !f.is_empty());
                if makes { Some(f) } else { below }
            });
            let of_kyverno =
                mutated::rule(case.failing.pod, &container.name, "/securityContext/readOnlyRootFilesystem");
            let written = mutated::written(case.snap, case.failing.pod, &container.name);
            let as_written = |c: &Container| c.security_context.as_ref().and_then(|c| c.read_only_root_filesystem);
            let added = sealed == Some(true) && written.is_some_and(|w| as_written(w) != Some(true));
            let (rule, policy) = of_kyverno.clone().unwrap_or_default();
            Way::ReadOnly(ReadOnly {
                set_for_it: added || of_kyverno.is_some(),
                rule,
                policy,
                mounted_read_only: mount.is_some_and(|m| m.read_only),
                // What no volume holds lies in the image's own file system.
                own_root: folder.filter(|_| mount.is_none() && sealed == Some(true)).map(str::to_owned),
                container: container.name.clone(),
                pod,
                kept,
            })
        }
        Class::Lock => {
            Way::Lock(Lock { pod, recreate_patch: case.recreate_patch(), operator_up: operator_up(&case.target), kept })
        }
        Class::DiskFull => Way::DiskFull { disk: DiskFull::of(case), kept },
        Class::Wal => Way::Wal { advice: crash.advice.clone(), damaged: Damaged::of(case, crash) },
        Class::IndexLog => index_log(case, crash),
        Class::Block => Way::Block { look: look_at_blocks(case), damaged: Damaged::of(case, crash) },
        Class::DatabaseDamaged => database_damaged(case, crash),
        Class::NewerData => newer_data(case, crash),
        Class::HeadChunks => Way::HeadChunks { damaged: Damaged::of(case, crash) },
        _ => Way::State { advice: crash.advice.clone(), damaged: Damaged::of(case, crash) },
    }
}

/// Loki's index: the folder of the damaged segment leaves the place where its logs are looked for.
fn index_log(case: &Case<'_>, crash: &Crash) -> Way {
    let container = case.failing.container;
    let folder = crash.what.clone().unwrap_or_else(|| "<folder>".to_owned());
    let mount = mounts::mount_of(container, &folder).map_or("/var/loki", |m| m.mount_path.as_str());
    Way::IndexLog {
        aside: format!("{}/damaged", mount.trim_end_matches('/')),
        repair: Repair::of(&case.target, case.failing.pod, container, &case.origin, mount),
        folder,
    }
}

fn newer_data(case: &Case<'_>, crash: &Crash) -> Way {
    let container = case.failing.container;
    let newer = newer_image(&container.image, "quay.io/prometheus/prometheus");
    let newer = match case.target.operator_kind() {
        "" => format!("{}={newer}", container.name),
        _ => json!({"spec": {"image": newer}}).to_string(),
    };
    Way::NewerData(NewerData {
        image: container.image.clone(),
        newer,
        damaged: Damaged::of(case, crash),
        managed: case.target.managed_by.clone(),
    })
}

fn database_damaged(case: &Case<'_>, crash: &Crash) -> Way {
    let folder = data_path(case.failing.pod, case.failing.container).trim_end_matches('/');
    Way::DatabaseDamaged {
        container: case.failing.container.name.clone(),
        folder: folder.to_owned(),
        damaged: Damaged::of(case, crash),
    }
}

fn remove_patch(case: &Case<'_>) -> String {
    let inits = &case.failing.pod.spec.init_containers;
    let name = &case.failing.container.name;
    let path =
        format!("/spec/template/spec/initContainers/{}", inits.iter().position(|c| c.name == *name).unwrap_or(0));
    // Whoever changed the list meanwhile is not to lose another container.
    let named = json_patch::test(&format!("{path}/name"), name.as_str());
    json_patch::text([named, serde_json::json!({"op": "remove", "path": path})])
}

/// The EBS volume of the data.
pub(super) fn volume(case: &Case<'_>) -> Option<String> {
    let Origin::Claim { name, .. } = &case.origin else { return None };
    let volumes = case.snap.persistent_volumes.items().unwrap_or_default();
    let of_claim = volumes
        .iter()
        .find(|v| v.spec.claim_ref.as_ref().is_some_and(|r| r.name == *name && r.namespace == case.namespace()));
    of_claim?.ebs_id().map(str::to_owned)
}
