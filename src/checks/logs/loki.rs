//! Loki does not keep what it gets: its object store, its disk, its ring.

use std::collections::BTreeMap;

use crate::checks::{Check, check};
use crate::domain::aws::identity::Identity;
use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::mounts::{self, Origin};
use crate::domain::kubernetes::owner::Target;
use crate::domain::loki::store_log::{self, Failing, Trouble, is_loki};
use crate::domain::text::object_store::StoreFailure;
use crate::domain::text::redact::redact;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::kubernetes::Pod;
use crate::snapshot::{Snapshot, format_bytes, parse_quantity};

check! {
    /// See the check's page.
    Loki {
        id: "loki", suite: Logs, severity: Error,
        title: "Loki does not keep what it gets",
        requires: [Pods],
        uses: [PartLogs, Workloads, PersistentVolumeClaims, StorageClasses, ServiceAccounts],
    }
}

impl Check for Loki {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let mut containers = snap.pods()?.iter().flat_map(|p| &p.spec.containers);
        if !containers.any(|c| is_loki(&c.image)) {
            return Ok(Diagnosis::NotApplicable("no Loki runs in the namespaces that were read".into()));
        }
        // Its parts fail at the same store: one finding for each namespace and trouble.
        let mut groups: BTreeMap<(String, Trouble), Vec<Failing>> = BTreeMap::new();
        for failing in store_log::failing(snap)? {
            groups.entry((failing.namespace.clone(), failing.trouble)).or_default().push(failing);
        }
        let findings =
            groups.values().filter_map(|group| Some(finding(snap, group.iter().max_by_key(|f| f.times)?, group)));
        Ok(Diagnosis::Findings(findings.collect()))
    }
}

fn words(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::DiskFull => "its disk is full",
        Trouble::DiskReadOnly => "it cannot write to its disk",
        Trouble::Store(StoreFailure::Credentials) => "it has no valid AWS credentials for its object store",
        Trouble::Store(StoreFailure::Denied) => "its role may not use the bucket",
        Trouble::Store(StoreFailure::Bucket) => "the bucket does not exist, or lies in another region",
        Trouble::Store(StoreFailure::Unreachable) => "its object store cannot be reached",
        Trouble::Ring => "ingesters are missing from its ring",
        Trouble::Members => {
            "its members do not find each other: the name that leads to them (memberlist) does not resolve"
        }
        Trouble::Compactor => "its compactor fails",
        Trouble::Streams => "it refuses new streams (429): the tenant has as many as it may have",
        Trouble::Rate => "it refuses lines (429): more bytes in a second than the limit allows",
        Trouble::Queries => "it refuses queries (429): its queue is full (too many outstanding requests)",
    }
}

fn variant(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::DiskFull => "disk-full",
        Trouble::DiskReadOnly => "read-only",
        Trouble::Store(StoreFailure::Credentials) => "credentials",
        Trouble::Store(StoreFailure::Denied) => "denied",
        Trouble::Store(StoreFailure::Bucket) => "bucket",
        Trouble::Store(StoreFailure::Unreachable) => "store",
        Trouble::Ring => "ring",
        Trouble::Members => "members",
        Trouble::Compactor => "compactor",
        Trouble::Streams => "streams",
        Trouble::Rate => "rate",
        Trouble::Queries => "queries",
    }
}

fn finding(snap: &Snapshot, failing: &Failing, group: &[Failing]) -> Finding {
    let pod = snap.pods.find(&failing.namespace, &failing.pod).ok().flatten();
    let owner = pod.map_or_else(|| ResourceRef::pod(&failing.namespace, &failing.pod), |p| snap.owner_ref(p));
    let is_mild = failing.trouble == Trouble::Compactor || failing.trouble.is_limit();
    let severity = if is_mild { Severity::Warning } else { Severity::Error };
    let times: usize = group.iter().map(|f| f.times).sum();
    let countless = store_log::countless_labels(&failing.text);
    let labels = match countless.is_empty() {
        true => String::new(),
        false => format!("; each value of label {} makes a stream of its own", countless.join(", ")),
    };
    let message = format!(
        "Loki ({} in {}): {}{labels} ({times} lines within 15 minutes)",
        owner.kubectl_name(),
        failing.namespace,
        words(failing.trouble)
    );
    let show = "kubectl logs -n {{ namespace }} {{ pod }} -c {{ container }} --since=1h";
    let mut made =
        Finding::new(Loki::META.id, severity, owner.clone(), message).key(format!("{:?}", failing.trouble)).evidence(
            Evidence::new(format!("log of pod {}/{}", failing.namespace, failing.pod), redact(&failing.text), show)
                .with("namespace", &failing.namespace)
                .with("pod", &failing.pod)
                .with("container", &failing.container),
        );
    set(snap, &mut made, failing, pod, &owner);
    made.params.set("countless", countless.join(", "));
    let account = pod.and_then(|p| p.spec.service_account_name.clone()).unwrap_or_else(|| "default".into());
    if matches!(failing.trouble, Trouble::Store(StoreFailure::Credentials | StoreFailure::Denied)) {
        made = made.depends_on(ResourceRef::service_account(&failing.namespace, &account));
    }
    if failing.trouble == Trouble::Ring {
        // Ingesters that do not run explain it.
        let others = snap.pods().unwrap_or_default().iter().filter(|p| p.metadata.namespace == failing.namespace);
        let of_loki = others.filter(|p| p.spec.containers.iter().any(|c| is_loki(&c.image)) && !p.is_ready());
        for other in of_loki.filter(|p| p.metadata.name != failing.pod) {
            made = made.depends_on(ResourceRef::pod(&other.metadata.namespace, &other.metadata.name));
            made = made.depends_on(snap.owner_ref(other));
        }
    }
    made.fix(variant(failing.trouble))
}

fn set(snap: &Snapshot, made: &mut Finding, failing: &Failing, pod: Option<&Pod>, owner: &ResourceRef) {
    let account = pod.and_then(|p| p.spec.service_account_name.clone()).unwrap_or_else(|| "default".into());
    let role = snap.service_accounts.find(&failing.namespace, &account).ok().flatten().and_then(|a| a.role_arn());
    let container = pod.and_then(|p| p.spec.containers.iter().find(|c| c.name == failing.container));
    let mounted = pod.zip(container).and_then(|(p, c)| {
        let paths = c.volume_mounts.iter().map(|m| m.mount_path.as_str());
        paths.map(|path| mounts::origin(snap, p, c, path)).find(|o| matches!(o, Origin::Claim { .. }))
    });
    let claim = mounted.as_ref().and_then(|o| mounts::claim(snap, &failing.namespace, o));
    let size = claim.and_then(|c| c.spec.resources.requests.get("storage"));
    let bigger = size.and_then(|q| parse_quantity(q)).map_or_else(|| "<size>".to_owned(), |b| format_bytes(b * 2.0));
    let class = claim.and_then(|c| c.class()).unwrap_or_default();
    let expandable =
        snap.storage_classes.find("", class).ok().flatten().is_some_and(|c| c.allow_volume_expansion == Some(true));
    let file = container.and_then(|c| arguments::flag(c, "config.file")).unwrap_or("/etc/loki/config/config.yaml");
    let (kind, config) = match pod.zip(container).map(|(p, c)| mounts::origin(snap, p, c, file)) {
        Some(Origin::ConfigMap { name, .. }) => ("configmap", name),
        Some(Origin::Secret { name, .. }) => ("secret", name),
        _ => ("", String::new()),
    };
    let role_name = role.and_then(|r| r.rsplit('/').next()).unwrap_or("<role-name>");
    let texts = [
        ("namespace", failing.namespace.clone()),
        ("pod", failing.pod.clone()),
        ("container", failing.container.clone()),
        ("owner", owner.kubectl_name()),
        ("detail", redact(&failing.text)),
        ("account", account),
        ("role_arn", role.unwrap_or_default().to_owned()),
        ("role", role_name.to_owned()),
        ("partition", Identity::of(snap).partition.to_owned()),
        ("config_kind", kind.to_owned()),
        ("config_name", config),
        (
            "labels_path",
            format!("/api/v1/namespaces/{}/pods/{}:3100/proxy/loki/api/v1/labels", failing.namespace, failing.pod),
        ),
        ("config_path", format!("/api/v1/namespaces/{}/pods/{}:3100/proxy/config", failing.namespace, failing.pod)),
        ("claim", claim.map_or_else(String::new, |c| c.metadata.name.clone())),
        ("size", size.cloned().unwrap_or_default()),
        ("bigger_patch", serde_json::json!({"spec": {"resources": {"requests": {"storage": bigger}}}}).to_string()),
        ("managed_by", pod.map(|p| Target::of(snap, p).managed_by).unwrap_or_default()),
    ];
    for (name, value) in texts {
        made.params.set(name, value);
    }
    made.params.set("expandable", expandable);
    made.params.set("changes_config", failing.trouble.is_limit());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::checks::support::testing::findings;
    use crate::domain::testing::snapshot;
    use crate::snapshot::monitoring::ContainerLog;

    fn with(err: &str) -> Snapshot {
        let mut snap = snapshot(json!({"pods": [{
            "metadata": {"namespace": "monitoring", "name": "loki-0", "ownerReferences": [{"kind": "StatefulSet", "name": "loki", "controller": true}]},
            "spec": {"serviceAccountName": "loki", "containers": [{"name": "loki", "image": "grafana/loki:3.0.0"}]},
            "status": {"phase": "Running"}
        }]}));
        let line =
            format!("level=error ts=2026-11-21T01:58:00Z caller=flush.go:143 msg=\"failed to flush\" err=\"{err}\"\n");
        *snap.part_logs = Ok(vec![ContainerLog {
            namespace: "monitoring".into(),
            pod: "loki-0".into(),
            container: "loki".into(),
            image: "grafana/loki:3.0.0".into(),
            text: line.repeat(3).into(),
            ..ContainerLog::default()
        }]);
        snap
    }

    #[test]
    fn each_trouble_has_a_fix() {
        assert!(findings(&Loki, &with("context canceled")).is_empty());
        for (err, variant) in [
            ("AccessDenied: Access Denied", "denied"),
            ("NoCredentialProviders: no valid providers", "credentials"),
            ("NoSuchBucket: x", "bucket"),
            ("no space left on device", "disk-full"),
            ("mkdir /loki: read-only file system", "read-only"),
            ("https://b.s3.eu-west-1.amazonaws.com: i/o timeout", "store"),
            ("at least 1 live replicas required, could only find 0", "ring"),
            ("joining memberlist cluster failed: Failed to resolve loki-memberlist: no such host", "members"),
            ("failed to run compaction", "compactor"),
            ("Code(429) desc = Maximum active stream limit exceeded", "streams"),
            ("Code(429) desc = Ingestion rate limit exceeded for user fake", "rate"),
            ("Code(429) desc = too many outstanding requests", "queries"),
        ] {
            let found = findings(&Loki, &with(err));
            assert_eq!(found.iter().map(|f| f.variant).collect::<Vec<_>>(), [variant], "{err}");
        }
    }
}
