//! Loki, Mimir or Tempo does not keep what it gets: its object store, its disk, its ring.

use std::collections::BTreeMap;

use crate::checks::{Check, check};
use crate::domain::aws::identity::Identity;
use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::mounts::{self, Origin};
use crate::domain::kubernetes::owner::Target;
use crate::domain::loki::store_log::{self, Failing, QueryLimit, Store, Trouble};
use crate::domain::text::object_store::{StoreFailure, regions};
use crate::domain::text::redact::redact;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::kubernetes::Pod;
use crate::snapshot::{Snapshot, format_bytes, parse_quantity};

check! {
    /// See the check's page.
    Loki {
        id: "loki", suite: Logs, severity: Error,
        title: "Loki (Mimir, Tempo) does not keep what it gets",
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
        if !containers.any(|c| Store::of_image(&c.image).is_some()) {
            return Ok(Diagnosis::NotApplicable(
                "no Loki, Mimir or Tempo runs in the namespaces that were read".into(),
            ));
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
        Trouble::Rate => "it refuses lines (429): more bytes in a second than the tenant's limit allows",
        Trouble::StreamRate => "it refuses lines (429): more bytes in a second than one stream may have",
        Trouble::QueryLimit => "it refuses queries: they ask for more than one query may",
        Trouble::Traces => "it refuses traces: a tenant sends more, or larger ones, than it may",
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
        Trouble::StreamRate => "stream-rate",
        Trouble::QueryLimit => "query-limit",
        Trouble::Queries => "queries",
        Trouble::Traces => "traces",
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
    let labels = labels + &more(snap, failing);
    let message = format!(
        "{} ({} in {}): {}{labels} ({times} lines within 15 minutes)",
        failing.store.name(),
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
    let account = pod.map_or("default", |p| p.spec.account()).to_owned();
    if matches!(failing.trouble, Trouble::Store(StoreFailure::Credentials | StoreFailure::Denied)) {
        made = made.depends_on(ResourceRef::service_account(&failing.namespace, &account));
    }
    if failing.trouble == Trouble::Ring {
        // Ingesters that do not run explain it.
        let others = snap.pods().unwrap_or_default().iter().filter(|p| p.metadata.namespace == failing.namespace);
        let of_loki = others.filter(|p| {
            p.spec.containers.iter().any(|c| Store::of_image(&c.image) == Some(failing.store)) && !p.is_ready()
        });
        for other in of_loki.filter(|p| p.metadata.name != failing.pod) {
            made = made.depends_on(ResourceRef::pod(&other.metadata.namespace, &other.metadata.name));
            made = made.depends_on(snap.owner_ref(other));
        }
    }
    made.fix(variant(failing.trouble))
}

/// What the line says beyond its trouble.
fn more(snap: &Snapshot, failing: &Failing) -> String {
    match failing.trouble {
        Trouble::StreamRate => stream(&failing.text).map(|s| format!(": stream {s}")).unwrap_or_default(),
        Trouble::QueryLimit | Trouble::Traces => match limit(failing) {
            Some(limit) if limit.now.is_empty() => format!(" ({})", limit.field),
            Some(limit) => format!(" ({}: {})", limit.field, limit.now),
            None => String::new(),
        },
        Trouble::Ring => match gone(snap, &failing.text).as_slice() {
            [] => String::new(),
            gone => format!(": {} is in it and is no pod's address any more", gone.join(", ")),
        },
        Trouble::Store(StoreFailure::Bucket) => match regions(&failing.text) {
            Some((configured, bucket)) => format!(": it lies in {bucket}, and {configured} is configured"),
            None => String::new(),
        },
        _ => String::new(),
    }
}

/// The stream that is refused, without the escapes of the log.
fn stream(text: &str) -> Option<String> {
    crate::domain::loki::agent_log::stream(text).map(|s| s.replace('\\', ""))
}

/// Members of the ring that are told as unhealthy and are no pod's address.
fn gone(snap: &Snapshot, text: &str) -> Vec<String> {
    let pods = snap.pods().unwrap_or_default();
    let is_there = |address: &str| pods.iter().any(|p| p.status.pod_ip.as_deref() == address.split(':').next());
    store_log::unhealthy(text).into_iter().filter(|a| !is_there(a)).map(str::to_owned).collect()
}

fn set(snap: &Snapshot, made: &mut Finding, failing: &Failing, pod: Option<&Pod>, owner: &ResourceRef) {
    let account = pod.map_or("default", |p| p.spec.account()).to_owned();
    let service_account = snap.service_accounts.find(&failing.namespace, &account).ok().flatten();
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
    let limit = limit(failing);
    let ring = failing.store.ring_page();
    let named =
        container.and_then(|c| c.ports.iter().find(|p| matches!(p.name.as_deref(), Some("http-metrics" | "http"))));
    let port = named.map_or(failing.store.port(), |p| p.container_port);
    let address = pod.and_then(|p| p.status.pod_ip.as_deref()).unwrap_or("<pod-address>");
    let texts = [
        ("namespace", failing.namespace.clone()),
        ("pod", failing.pod.clone()),
        ("container", failing.container.clone()),
        ("owner", owner.kubectl_name()),
        ("detail", redact(&failing.text)),
        ("account", account),
        ("role_arn", service_account.and_then(|a| a.role_arn()).unwrap_or_default().to_owned()),
        ("role", service_account.and_then(|a| a.role_name()).unwrap_or("<role-name>").to_owned()),
        ("partition", Identity::of(snap).partition.to_owned()),
        ("config_kind", kind.to_owned()),
        ("config_name", config),
        (
            "labels_path",
            format!("/api/v1/namespaces/{}/pods/{}:{port}/proxy/loki/api/v1/labels", failing.namespace, failing.pod),
        ),
        ("config_path", format!("/api/v1/namespaces/{}/pods/{}:{port}/proxy/config", failing.namespace, failing.pod)),
        (
            "overrides_path",
            format!("/api/v1/namespaces/{}/pods/{}:{port}/proxy/status/config", failing.namespace, failing.pod),
        ),
        ("ring_path", format!("/api/v1/namespaces/{}/pods/{}:{port}/proxy{ring}", failing.namespace, failing.pod)),
        ("ring_url", format!("http://{address}:{port}{ring}")),
        ("program", failing.store.name().to_owned()),
        ("gone", gone(snap, &failing.text).join(", ")),
        ("limit_field", limit.as_ref().map_or("", |l| l.field).to_owned()),
        ("claim", claim.map_or_else(String::new, |c| c.metadata.name.clone())),
        ("size", size.cloned().unwrap_or_default()),
        ("bigger_patch", serde_json::json!({"spec": {"resources": {"requests": {"storage": bigger}}}}).to_string()),
        ("managed_by", pod.map(|p| Target::of(snap, p).managed_by).unwrap_or_default()),
    ];
    for (name, value) in texts {
        made.params.set(name, value);
    }
    made.params.set("limit_new", limit.as_ref().map(raised));
    made.params.set("expandable", expandable);
    made.params.set("changes_config", failing.trouble.is_limit());
}

/// The limit that was hit, where the line names it.
fn limit(failing: &Failing) -> Option<QueryLimit> {
    store_log::query_limit(&failing.text).or_else(|| store_log::trace_limit(&failing.text))
}

/// A limit as high as what was asked for; twice what it is where that is not known. Numbers stay numbers: Loki takes no
/// text for them.
fn raised(limit: &QueryLimit) -> serde_json::Value {
    match (limit.asked.parse::<u64>(), limit.now.parse::<u64>()) {
        (Ok(asked), _) => asked.into(),
        (Err(_), Ok(now)) if limit.asked.is_empty() => (now * 2).into(),
        _ if limit.asked.is_empty() => "<limit>".into(),
        _ => limit.asked.clone().into(),
    }
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
            ("Code(429) desc = Per stream rate limit exceeded (limit: 3MB/sec) for stream: {app=x}", "stream-rate"),
            ("Code(400) desc = maximum of series (500) reached for a single query", "query-limit"),
            ("Code(429) desc = too many outstanding requests", "queries"),
        ] {
            let found = findings(&Loki, &with(err));
            assert_eq!(found.iter().map(|f| f.variant).collect::<Vec<_>>(), [variant], "{err}");
        }
        let queue = crate::checks::support::testing::steps(&findings(&Loki, &with("too many outstanding requests"))[0]);
        assert!(queue.contains("max_outstanding_requests_per_tenant: 32000"), "not less than Loki 3 has: {queue}");
        let found = findings(&Loki, &with("Code(400) desc = maximum of series (500) reached for a single query"));
        let shown = crate::checks::support::testing::steps(&found[0]);
        assert!(shown.contains("max_query_series: 1000\n") || shown.ends_with("max_query_series: 1000"), "{shown}");
    }
}
