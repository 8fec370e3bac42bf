//! Thanos no longer keeps what Prometheus measured: its compactor has halted, or its object store refuses.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::origin::path_of_key;
use crate::checks::support::seen::line_evidence;
use crate::checks::{Check, check};
use crate::domain::aws::identity::Identity;
use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::env_key;
use crate::domain::kubernetes::image::tag_of;
use crate::domain::kubernetes::mounts::Holder;
use crate::domain::kubernetes::own_address;
use crate::domain::kubernetes::owner::Target;
use crate::domain::prometheus::operator::serves;
use crate::domain::prometheus::thanos::{self, Failing, Trouble};
use crate::domain::text::message_size;
use crate::domain::text::object_store::{StoreFailure, regions};
use crate::domain::text::redact::redact;
use crate::domain::text::windows::minute;
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, Program, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Pod};
use crate::text::pattern::pattern;

check! {
    /// See the check's page.
    Thanos {
        id: "thanos", suite: Storage, severity: Error,
        title: "Thanos does not keep what Prometheus measured",
        requires: [Pods],
        uses: [PartLogs, Workloads, ServiceAccounts, MonitoringResources],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    namespace: String,
    pod: String,
    owner: String,
    container: String,
    /// A sentence, with its full stop.
    detail: String,
    #[serde(flatten)]
    way: Way,
}

/// What is wrong with it.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    Overlap {
        compactors: Vec<String>,
        several: bool,
        mark: String,
        list: String,
    },
    Halted,
    Credentials {
        account: String,
        role_arn: String,
        role: String,
        managed_by: String,
    },
    Denied {
        account: String,
        role_arn: String,
        role: String,
        partition: String,
    },
    Bucket {
        /// Empty where the store does not name it.
        region: String,
        partition_suffix: &'static str,
        /// Secret and key with the object store's configuration; empty where an argument or a file has it.
        secret: String,
        key: String,
        key_path: String,
    },
    Store,
    DiskFull,
    Stores,
    /// It has their addresses, and gets no answer there.
    Silent {
        address: String,
        host: String,
        port: String,
        /// The JSONPath of the arguments of the pod that has the address; empty where it is a name.
        listens: String,
    },
    /// The sidecar asks its Prometheus wrongly.
    Prometheus {
        /// The path below which Prometheus answers, as its resource says; empty where it says none.
        prefix: String,
        path: bool,
        login: bool,
    },
    Limit,
    Message {
        /// It takes what is written.
        receives: bool,
        /// A receiver of before 0.24, which takes 4 MiB at once.
        old: bool,
        version: String,
    },
    Twins {
        labels: String,
        address: String,
        custom: String,
        custom_namespace: String,
        operated: bool,
        /// The operator's kinds that have labels of their own.
        kinds: &'static str,
    },
    Hashring {
        /// How many receivers run, and with which factor; empty where that is not known.
        runs: String,
        /// It reads its members from a file.
        has_file: bool,
    },
}

impl Check for Thanos {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        if !snap.pods()?.iter().flat_map(|p| &p.spec.containers).any(thanos::is_thanos) {
            return Ok(Diagnosis::NotApplicable("no Thanos runs in the namespaces that were read".into()));
        }
        // Replicas say the same of one store.
        let mut groups: BTreeMap<(String, Trouble), Vec<Failing<'_>>> = BTreeMap::new();
        for failing in thanos::failing(snap)? {
            let owner = snap.owner_of_log(failing.log);
            groups.entry((owner.key(), failing.trouble)).or_default().push(failing);
        }
        let findings = groups.values().filter_map(|all| Some(finding(snap, all.iter().max_by_key(|f| f.times)?)));
        Ok(Diagnosis::Findings(findings.collect()))
    }
}

fn container<'a>(pod: Option<&'a Pod>, failing: &Failing<'_>) -> Option<&'a Container> {
    pod?.spec.containers.iter().find(|c| c.name == failing.log.container)
}

fn finding(snap: &Snapshot, failing: &Failing<'_>) -> Finding {
    let log = failing.log;
    let owner = snap.owner_of_log(log);
    let part = container(snap.pod_of_log(failing.log), failing).map(thanos::component).unwrap_or_default();
    let who = match part {
        "" => "Thanos".to_owned(),
        part => format!("Thanos {part}"),
    };
    let (what, severity) = words(failing, part);
    let message = format!("{who} ({} in {}): {what}", owner.kubectl_name(), log.namespace);
    let mut made = Finding::new(Thanos::META.id, severity, owner, message)
        .key(format!("{} {:?}", log.namespace, failing.trouble))
        .evidence(line_evidence(log, &failing.text))
        .fix(fix(snap, failing));
    // Who is told to write to a receiver is refused; nobody waits for the others.
    if !(failing.trouble == Trouble::Hashring || failing.trouble == Trouble::Message && part == "receive") {
        made = made.breaks_nothing();
    }
    if matches!(failing.trouble, Trouble::Store(StoreFailure::Credentials | StoreFailure::Denied)) {
        made = made.depends_on(ResourceRef::service_account(&log.namespace, account(snap.pod_of_log(failing.log))));
    }
    made
}

/// It has the address of a store, and gets no answer there.
fn is_silent(failing: &Failing<'_>) -> bool {
    let said = ["DeadlineExceeded", "code = Unavailable", "connection refused", "i/o timeout", "no route to host"];
    !failing.text.contains("lookup") && said.iter().any(|w| failing.text.contains(w))
}

/// The address that a line names, IPv6 in brackets.
fn address(text: &str) -> Option<&str> {
    let address = pattern!(r"(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:]+\]):\d{2,5}");
    address.find(text).map(|m| m.as_str())
}

/// What is wrong, and how bad that is.
fn words(failing: &Failing<'_>, part: &str) -> (String, Severity) {
    let blocks = || match failing.blocks.as_slice() {
        [] => String::new(),
        all => format!(" ({})", all.join(", ")),
    };
    let since = failing.last.map(|t| format!(" since {}", minute(t))).unwrap_or_default();
    // A sidecar keeps its blocks on Prometheus' own disk until retention takes them; nothing else is lost at once.
    let of_store =
        if part == "sidecar" { "; blocks that retention deletes before they are uploaded are lost" } else { "" };
    match failing.trouble {
        Trouble::Overlap => (
            format!(
                "it has halted{since}: blocks{} overlap, and nothing is compacted, downsampled or deleted any more",
                blocks()
            ),
            Severity::Error,
        ),
        Trouble::Halted => (
            format!(
                "it has halted{since}, and nothing is compacted, downsampled or deleted any more: {}",
                shorten(&failing.text)
            ),
            Severity::Error,
        ),
        Trouble::Store(StoreFailure::Credentials) => {
            (format!("it has no valid credentials for its object store{of_store}"), Severity::Error)
        }
        Trouble::Store(StoreFailure::Endpoint) => (
            format!("it asks the endpoint of its object store for its AWS credentials, which only STS gives{of_store}"),
            Severity::Error,
        ),
        Trouble::Store(StoreFailure::Denied) => (format!("it may not use the bucket{of_store}"), Severity::Error),
        Trouble::Store(StoreFailure::Bucket) if regions(&failing.text).is_some() => {
            let (configured, bucket) = regions(&failing.text).unwrap_or_default();
            (format!("the bucket lies in {bucket}, and {configured} is configured{of_store}"), Severity::Error)
        }
        Trouble::Store(StoreFailure::Bucket) => {
            (format!("the bucket does not exist, or lies in another region{of_store}"), Severity::Error)
        }
        Trouble::Store(StoreFailure::Unreachable) => {
            (format!("its object store cannot be reached{of_store}"), Severity::Error)
        }
        Trouble::Twins => {
            let (address, labels) = failing.twin.clone().unwrap_or_default();
            let labels = if labels.is_empty() { "none at all".to_owned() } else { labels };
            let words = format!(
                "two stores have the same external labels ({labels}; one is {address}): their series are taken for one another, and in one bucket their blocks overlap"
            );
            (words, Severity::Warning)
        }
        Trouble::Hashring => (
            format!(
                "its hashring has fewer members than samples are to have copies, and it refuses what is written: {}",
                shorten(&failing.text)
            ),
            Severity::Error,
        ),
        Trouble::DiskFull => ("its disk is full".into(), Severity::Error),
        Trouble::Prometheus => (
            format!(
                "it cannot ask its Prometheus, so that no query gets what is not in the bucket, and nothing is uploaded: {}",
                shorten(&failing.text)
            ),
            Severity::Error,
        ),
        Trouble::Limit => (
            format!(
                "queries fail, for they ask for more than a store may give at once ({} lines in 3 hours): {}",
                failing.times,
                shorten(&failing.text)
            ),
            Severity::Warning,
        ),
        Trouble::Message => {
            let size = message_size::words(&failing.text);
            let effect = match part {
                "receive" => "what is written is refused",
                _ => "what a store answers is lost to the query",
            };
            (
                format!("a message from one part of Thanos to another is larger than is taken{size}: {effect}"),
                Severity::Error,
            )
        }
        Trouble::Stores => {
            let what = if is_silent(failing) {
                "a store that it is to ask does not answer"
            } else {
                "it does not find the stores that it is to ask"
            };
            (format!("{what}: {}", shorten(&failing.text)), Severity::Error)
        }
    }
}

fn shorten(text: &str) -> String {
    let said = text.split_once("halting: ").map_or(text, |(_, why)| why);
    redact(said)
}

fn account(pod: Option<&Pod>) -> &str {
    pod.map_or("default", |p| p.spec.account())
}

fn fix(snap: &Snapshot, failing: &Failing<'_>) -> Fix {
    let log = failing.log;
    Fix {
        namespace: log.namespace.clone(),
        pod: log.pod.clone(),
        container: log.container.clone(),
        owner: snap.owner_of_log(log).kubectl_name(),
        detail: format!("{}.{}", redact(&failing.text).trim_end_matches('.'), of_endpoint(failing)),
        way: way(snap, failing),
    }
}

/// Of an endpoint that is asked in the place of STS, what has to become of it; no role helps there.
fn of_endpoint(failing: &Failing<'_>) -> &'static str {
    match failing.trouble {
        Trouble::Store(StoreFailure::Endpoint) => {
            " With a role of its ServiceAccount it asks STS for credentials; an endpoint of STS (`sts_endpoint`) that is the store's is asked instead, and S3 knows no such request: take it out. A store that is not AWS keeps its endpoint: it needs keys of its own (`access_key`, `secret_key`), and no role."
        }
        _ => "",
    }
}

fn way(snap: &Snapshot, failing: &Failing<'_>) -> Way {
    let pod = snap.pod_of_log(failing.log);
    let account = account(pod).to_owned();
    let service_account = snap.service_accounts.find(&failing.log.namespace, &account).ok().flatten();
    let role = service_account.and_then(|a| a.role_name()).unwrap_or("<role-name>").to_owned();
    let role_arn = service_account.and_then(|a| a.role_arn()).unwrap_or_default().to_owned();
    match failing.trouble {
        Trouble::Overlap => {
            let flag =
                container(pod, failing).map_or_else(|| "--objstore.config-file=<file>".into(), thanos::store_flag);
            let compactors: Vec<String> = thanos::compactors(snap)
                .iter()
                .map(|p| format!("{}/{}", p.metadata.namespace, p.metadata.name))
                .collect();
            // The one with fewer sources is not known from here: the person chooses with the list before.
            let id = failing.blocks.last().map_or("<block>", String::as_str);
            Way::Overlap {
                several: compactors.len() > 1,
                compactors,
                list: format!("thanos tools bucket inspect {flag}"),
                mark: format!(
                    "thanos tools bucket mark {flag} --id={id} --marker=deletion-mark.json --details=overlap"
                ),
            }
        }
        Trouble::Halted => Way::Halted,
        Trouble::Store(StoreFailure::Credentials) => {
            let managed_by = pod.map(|p| Target::of(snap, p).managed_by).unwrap_or_default();
            Way::Credentials { account, role_arn, role, managed_by }
        }
        Trouble::Store(StoreFailure::Denied) => {
            Way::Denied { account, role_arn, role, partition: Identity::of(snap).partition.to_owned() }
        }
        // The endpoint stands in the same configuration.
        Trouble::Store(StoreFailure::Bucket | StoreFailure::Endpoint) => {
            let (secret, key) = container(pod, failing).and_then(configuration).unwrap_or_default();
            let region = regions(&failing.text).map(|(_, region)| region.to_owned()).unwrap_or_default();
            Way::Bucket {
                partition_suffix: if region.starts_with("cn-") { ".cn" } else { "" },
                region,
                key_path: path_of_key(&key),
                secret,
                key,
            }
        }
        Trouble::Store(StoreFailure::Unreachable) => Way::Store,
        Trouble::DiskFull => Way::DiskFull,
        Trouble::Stores if is_silent(failing) => {
            let address = address(&failing.text).unwrap_or("<address>:10901");
            let (host, port) = address.rsplit_once(':').unwrap_or((address, "10901"));
            let host = host.trim_matches(['[', ']']);
            let is_ip = host.parse::<std::net::IpAddr>().is_ok();
            let of_pod = format!(
                "{{range .items[?(@.status.podIP==\"{host}\")]}}{{.metadata.namespace}}/{{.metadata.name}}{{range .spec.containers[*]}}{{\"\\n\"}}{{.name}} {{.args}}{{end}}{{\"\\n\"}}{{end}}"
            );
            Way::Silent {
                address: address.to_owned(),
                host: host.to_owned(),
                port: port.to_owned(),
                listens: if is_ip { of_pod } else { String::new() },
            }
        }
        Trouble::Stores => Way::Stores,
        Trouble::Limit => Way::Limit,
        Trouble::Message => message(pod.zip(container(pod, failing))),
        Trouble::Prometheus => {
            let has = |part: &str| failing.text.contains(part);
            let prefix = pod.map(prefix).unwrap_or_default();
            Way::Prometheus { prefix, path: has("got 404"), login: has("got 401") || has("got 403") }
        }
        Trouble::Hashring => hashring(snap, pod.zip(container(pod, failing))),
        Trouble::Twins => {
            let (address, labels) = failing.twin.clone().unwrap_or_default();
            let store = address.rsplit_once(':').and_then(|(ip, _)| snap.pod_by_ip(ip));
            let custom = store.and_then(|p| p.metadata.labels.get("operator.prometheus.io/name")).cloned();
            Way::Twins {
                labels,
                address,
                custom_namespace: store.map(|p| p.metadata.namespace.clone()).unwrap_or_default(),
                custom: custom.unwrap_or_default(),
                operated: serves(snap, "prometheuses"),
                kinds: if serves(snap, "thanosrulers") { "prometheuses,thanosrulers" } else { "prometheuses" },
            }
        }
    }
}

/// The path below which the Prometheus beside a sidecar answers; empty where it is the root.
fn prefix(pod: &Pod) -> String {
    let server = pod.spec.containers.iter().find(|c| c.program() == Some(Program::Prometheus));
    server.and_then(own_address::prefix).unwrap_or_default()
}

/// Who takes too little at once, and whether another version takes more.
fn message(of: Option<(&Pod, &Container)>) -> Way {
    let container = of.map(|(_, c)| c);
    let version = container.and_then(|c| tag_of(&c.image)).unwrap_or_default();
    let minor =
        version.trim_start_matches('v').strip_prefix("0.").and_then(|rest| rest.split('.').next()?.parse().ok());
    let receives = container.is_some_and(|c| thanos::component(c) == "receive");
    Way::Message { receives, old: receives && minor.is_some_and(|m: u32| m < 24), version: version.to_owned() }
}

/// What a receiver's arguments say of its hashring.
fn hashring(snap: &Snapshot, receiver: Option<(&Pod, &Container)>) -> Way {
    let Some((pod, container)) = receiver else { return Way::Hashring { runs: String::new(), has_file: true } };
    let has_file = ["receive.hashrings-file", "receive.hashrings"].iter().any(|f| arguments::has_flag(container, f));
    let owner = snap.owner_ref(pod);
    let pods = snap.pods.items().unwrap_or_default();
    let runs = match pods.iter().filter(|p| !p.is_finished() && snap.owner_ref(p) == owner).count() {
        1 => "1 receiver runs".to_owned(),
        n => format!("{n} receivers run"),
    };
    let factor = arguments::flag(container, "receive.replication-factor").unwrap_or("1");
    let file = if has_file { "" } else { " and no hashring file: without one a receiver is its own only member" };
    Way::Hashring { runs: format!("{runs}, with factor {factor}{file}."), has_file }
}

/// Secret and key from which a container takes its object store's configuration.
fn configuration(container: &Container) -> Option<(String, String)> {
    let mut keys = env_key::all(container, Holder::Secret);
    let (_, found) = keys.find(|(variable, _)| variable.name.to_ascii_uppercase().contains("OBJSTORE"))?;
    Some((found.name.clone(), found.key.clone()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::snapshot;
    use crate::snapshot::monitoring::ContainerLog;

    fn with(part: &str, line: &str) -> Snapshot {
        let mut snap = snapshot(json!({"pods": [{
            "metadata": {"namespace": "monitoring", "name": "thanos-compact-0", "ownerReferences": [{"kind": "StatefulSet", "name": "thanos-compact", "controller": true}]},
            "spec": {"serviceAccountName": "thanos", "containers": [{"name": "thanos", "image": "quay.io/thanos/thanos:v0.35.0", "args": [part, "--objstore.config=$(OBJSTORE_CONFIG)"]}]},
            "status": {"phase": "Running"}
        }]}));
        *snap.part_logs = Ok(vec![ContainerLog {
            namespace: "monitoring".into(),
            pod: "thanos-compact-0".into(),
            container: "thanos".into(),
            image: "quay.io/thanos/thanos:v0.35.0".into(),
            text: line.repeat(2).into(),
            ..ContainerLog::default()
        }]);
        snap
    }

    #[test]
    fn each_trouble_has_a_fix() {
        let line = |msg: &str| format!("ts=2026-11-21T01:58:00Z level=error msg=\"{msg}\"\n");
        assert!(findings(&Thanos, &with("compact", &line("context canceled"))).is_empty());
        for (said, variant) in [
            (
                "critical error detected; halting: overlaps found while gathering blocks <ulid: 01EN2K69JMEZPBFBKKSN85P3XC>",
                "overlap",
            ),
            ("critical error detected; halting: out-of-order chunks", "halted"),
            ("upload: Access Denied.", "denied"),
            ("NoCredentialProviders: no valid providers", "credentials"),
            ("NoSuchBucket", "bucket"),
            (
                "WebIdentityErr: failed to retrieve credentials: failed to unmarshal error message, status code: 405",
                "bucket",
            ),
            (
                "upload s3 object: the region 'us-east-1' is wrong; expecting 'eu-west-1': AuthorizationHeaderMalformed",
                "bucket",
            ),
            ("https://b.s3.eu-west-1.amazonaws.com: i/o timeout", "store"),
            ("write /data/x: no space left on device", "disk-full"),
        ] {
            let found = findings(&Thanos, &with("compact", &line(said)));
            assert_eq!(found.iter().map(|f| f.variant).collect::<Vec<_>>(), [variant], "{said}");
        }
    }

    #[test]
    fn an_overlapping_block_is_marked_with_the_containers_own_store() {
        let line = "ts=2026-11-21T01:58:00Z level=error msg=\"critical error detected; halting\" err=\"overlaps found <ulid: 01EN2K69JMEZPBFBKKSN85P3XC>\"\n";
        let found = findings(&Thanos, &with("compact", line));
        let steps = steps(&found[0]);
        assert!(steps.contains("--objstore.config=\"$OBJSTORE_CONFIG\" --id=01EN2K69JMEZPBFBKKSN85P3XC"), "{steps}");
    }

    #[test]
    fn a_receiver_without_a_file_is_its_own_only_member() {
        let line = "ts=2026-11-21T01:58:00Z level=error msg=\"internal server error\" err=\"insufficient nodes; have 1, want 2\"\n";
        let steps = steps(&findings(&Thanos, &with("receive", &line.repeat(2)))[0]);
        assert!(steps.contains("1 receiver runs, with factor 1 and no hashring file"), "{steps}");
        assert!(!steps.contains("kubectl get configmaps"), "{steps}");
    }

    /// It reads the file at its start only, whoever holds it.
    #[test]
    fn a_corrected_store_is_read_at_the_next_start() {
        let line = "ts=2026-11-21T01:58:00Z level=error msg=\"upload s3 object: the region 'us-east-1' is wrong; expecting 'eu-west-1': AuthorizationHeaderMalformed\"\n";
        let steps = steps(&findings(&Thanos, &with("compact", line))[0]);
        assert!(steps.contains("kubectl rollout restart") && steps.contains("get-bucket-location"), "{steps}");
    }
}
