//! What lets Thanos keep what it gets.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::storage::thanos::words::{account, address, container, is_silent, old_certificate};
use crate::checks::support::origin::path_of_key;
use crate::domain::aws::identity::Identity;
use crate::domain::kubernetes::image::tag_of;
use crate::domain::kubernetes::mounts::Holder;
use crate::domain::kubernetes::owner::Target;
use crate::domain::kubernetes::{arguments, env_key, own_address, owner};
use crate::domain::prometheus::operator::serves;
use crate::domain::prometheus::thanos::{self, Cause, Failing};
use crate::domain::text::object_store::{StoreFailure, regions};
use crate::domain::text::redact::redact;
use crate::domain::text::windows::minute;
use crate::model::Program;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Pod};

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fix {
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
    /// It shows a certificate that has expired, and its file has had another for long.
    Stale {
        address: String,
        store_pod: String,
        store_namespace: String,
        /// As kubectl restarts it; empty where no workload makes the pod.
        store_owner: String,
        certificate: String,
        /// Since when there is another, and since when the container runs.
        renewed: String,
        started: String,
        /// The file is mounted by `subPath`, and is never written again.
        sub_path: bool,
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

pub(super) fn fix(snap: &Snapshot, failing: &Failing<'_>) -> Fix {
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
        Cause::Store(StoreFailure::Endpoint) => {
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
        Cause::Overlap => {
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
        Cause::Halted => Way::Halted,
        Cause::Store(StoreFailure::Credentials) => {
            let managed_by = pod.map(|p| Target::of(snap, p).managed_by).unwrap_or_default();
            Way::Credentials { account, role_arn, role, managed_by }
        }
        Cause::Store(StoreFailure::Denied) => {
            Way::Denied { account, role_arn, role, partition: Identity::of(snap).partition.to_owned() }
        }
        // The endpoint stands in the same configuration.
        Cause::Store(StoreFailure::Bucket | StoreFailure::Endpoint) => {
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
        Cause::Store(StoreFailure::Unreachable) => Way::Store,
        Cause::DiskFull => Way::DiskFull,
        Cause::Stores if old_certificate(snap, failing).is_some() => stale(snap, failing).unwrap_or(Way::Stores),
        Cause::Stores if is_silent(failing) => {
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
        Cause::Stores => Way::Stores,
        Cause::Limit => Way::Limit,
        Cause::Message => message(pod.zip(container(pod, failing))),
        Cause::Prometheus => {
            let has = |part: &str| failing.text.contains(part);
            let prefix = pod.map(prefix).unwrap_or_default();
            Way::Prometheus { prefix, path: has("got 404"), login: has("got 401") || has("got 403") }
        }
        Cause::Hashring => hashring(snap, pod.zip(container(pod, failing))),
        Cause::Twins => {
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

/// The store shows a certificate of before.
fn stale(snap: &Snapshot, failing: &Failing<'_>) -> Option<Way> {
    let (address, old) = old_certificate(snap, failing)?;
    Some(Way::Stale {
        address: address.to_owned(),
        store_pod: old.pod.metadata.name.clone(),
        store_namespace: old.pod.metadata.namespace.clone(),
        store_owner: owner::workload_name(snap, old.pod).unwrap_or_default(),
        certificate: old.certificate.metadata.name.clone(),
        renewed: minute(old.renewed),
        started: minute(old.started),
        sub_path: old.sub_path,
    })
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
