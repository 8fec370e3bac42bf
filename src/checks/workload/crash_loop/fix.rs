//! The fixes of a crash.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::checks::support::addon;
use crate::checks::support::back::{self, Back};
use crate::checks::support::helm::Release;
use crate::checks::support::instance::Instance;
use crate::checks::support::kept::Kept;
use crate::checks::support::origin::path_of_key;
use crate::checks::support::place::Place;
use crate::checks::support::volume::{Repair, operator_up};
use crate::checks::workload::crash_loop::case::{Case, data_path, on_network, operator_beside, operator_field};
use crate::checks::workload::crash_loop::cause::Cause;
use crate::checks::workload::crash_loop::datasources::{self, DefaultSource};
use crate::checks::workload::crash_loop::values::{
    Damaged, DiskFull, Lines, Ownership, Workload, file, file_name, ids, look_at_blocks,
};
use crate::checks::workload::crash_loop::way::Way;
use crate::domain::aws::addon::POD_IDENTITY_AGENT;
use crate::domain::aws::addon::with_values;
use crate::domain::aws::credentials::{self, Source};
use crate::domain::aws::denied::Denied;
use crate::domain::crash::{Class, Crash, Detail};
use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::foundation;
use crate::domain::kubernetes::image::{Image, base_of, tag_of};
use crate::domain::kubernetes::json_patch;
use crate::domain::kubernetes::listening::Elsewhere;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::mounts::{self, Origin};
use crate::domain::kubernetes::nodes;
use crate::domain::kubernetes::own_store;
use crate::domain::kubernetes::owner::workload;
use crate::domain::kubernetes::runtime_error::Known;
use crate::domain::kubernetes::service_host::in_cluster;
use crate::domain::kubernetes::store::Store;
use crate::domain::prometheus::collector_log::is_collector;
use crate::domain::prometheus::operator::selection::GROUP;
use crate::domain::prometheus::operator::{self, deployment};
use crate::domain::text::object_store::StoreFailure;
use crate::model::Placeholder;
use crate::snapshot::kubernetes::{EnvVar, Node, annotation};
use crate::snapshot::{Platform, Snapshot, journal};

/// Loads the modules by which iptables has its tables.
const LOAD_MODULES: &str = "modprobe -a ip_tables iptable_nat iptable_mangle iptable_filter xt_REDIRECT xt_owner; lsmod | grep -E 'ip_tables|iptable_|xt_REDIRECT|xt_owner'";

/// Istio adds nothing to the pods of such a template.
const WITHOUT_ISTIO: &str = r#"{"spec":{"template":{"metadata":{"labels":{"sidecar.istio.io/inject":"false"}}}}}"#;

/// The group of snapshots of volumes, and the add-on of EKS that brings its kinds.
const SNAPSHOTS: &str = "snapshot.storage.k8s.io";
const SNAPSHOT_ADDON: &str = "snapshot-controller";

/// The workload, the way back to what ran where that is known, and one way to fix it.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fix {
    #[serde(flatten)]
    workload: Workload,
    #[serde(flatten)]
    back: Back,
    #[serde(flatten)]
    way: Way,
}

impl Fix {
    /// What fixes this crash.
    pub(super) fn of(case: &Case<'_>) -> Self {
        let way = match &case.crash {
            Some(crash) => of_crash(case, crash),
            None => unknown(case),
        };
        Self { workload: Workload::of(case), back: case.clue.back(case.snap, case.failing, &case.target), way }
    }
}

/// The log does not say what it died of.
fn unknown(case: &Case<'_>) -> Way {
    let (pod, container) = (case.pod_name(), case.failing.container.name.clone());
    match case.failing.cause {
        Cause::Probe(_) if case.loses_probes() => Way::ProbeDemux { pod },
        Cause::Probe(_) => {
            let (is_prometheus, kept) = (case.is_prometheus(), Kept::of(&case.target));
            if let Some(port) = case.asks_for_a_login() {
                let port = port.parse::<u16>().map_or_else(|_| port.into(), serde_json::Value::from);
                return Way::ProbeLogin { container, port, is_prometheus, pod, kept };
            }
            if let Some(address) = case.listens_to_itself() {
                let collector = is_collector(&case.failing.container.image);
                let config_map = if collector && case.target.has_rollout { config_map_of(case) } else { String::new() };
                return Way::ProbeLocal { container, address, collector, config_map, pod, kept };
            }
            let node = case.snap.node_of(case.failing.pod);
            let of_cni = case.failing.container.image.contains("amazon-k8s-cni");
            let instance = node.filter(|_| of_cni).and_then(Node::shell_instance).map(str::to_owned);
            let elsewhere = case.listens_elsewhere();
            let below = foundation::is_part(case.failing.pod);
            Way::Probe {
                listens: elsewhere.as_ref().map(Elsewhere::ports).unwrap_or_default(),
                asked: elsewhere.as_ref().map(|e| e.asked),
                container,
                is_prometheus,
                below,
                instance,
                commands: json!({"commands": ["tail -n 60 /var/log/aws-routed-eni/ipamd.log"]}).to_string(),
                region: Place::of(case.snap).region,
                pod,
                kept: if below { Kept::default() } else { kept },
            }
        }
        Cause::Hook(_) => Way::Hook { container, pod, kept: Kept::of(&case.target) },
        Cause::Ends(_, previous) => Way::Ends { container, previous, pod, kept: Kept::of(&case.target) },
        Cause::Said(_, previous) | Cause::Unknown(_, previous) => {
            runtime(case).unwrap_or_else(|| other(case, previous))
        }
        Cause::Unread(_) => other(case, true),
    }
}

/// The ConfigMap that a collector reads its configuration from, where no operator makes it.
fn config_map_of(case: &Case<'_>) -> String {
    let (pod, container) = (case.failing.pod, case.failing.container);
    let file = arguments::flag(container, "config");
    let origin = file.map(|file| mounts::origin(case.snap, pod, container, file));
    let map = origin.and_then(|o| mounts::config_map(case.snap, &pod.metadata.namespace, &o)).map(|(map, _)| map);
    let own = map.filter(|m| m.metadata.controller().is_none());
    own.map(|m| m.metadata.name.clone()).unwrap_or_default()
}

/// The runtime of its node does not get it begun.
fn runtime(case: &Case<'_>) -> Option<Way> {
    let (_, known) = case.runtime()?;
    let own = case.snap.node_of(case.failing.pod)?;
    Some(Way::Runtime {
        node: node(case),
        pod: case.pod_name(),
        remade: case.failing.pod.metadata.controller().is_some(),
        elsewhere: nodes::can_move(case.snap, case.failing.pod),
        filters: known == Known::Filters,
        instance: Instance::of(case.snap, own),
    })
}

/// Its words are of the run before.
fn is_previous(case: &Case<'_>) -> bool {
    case.failing.cause.said().is_none_or(|(_, previous)| previous)
}

/// What its last words name, for want of a reader of them.
fn other(case: &Case<'_>, previous: bool) -> Way {
    Way::Other {
        container: case.failing.container.name.clone(),
        previous,
        pod: case.pod_name(),
        named: case.clue.named(case.snap, case.failing, &case.target),
        kept: Kept::of(&case.target),
    }
}

fn of_crash(case: &Case<'_>, crash: &Crash) -> Way {
    match crash.class {
        Class::Config | Class::Rules | Class::Template | Class::Agent => configuration(case, crash),
        Class::ConfigMissing | Class::ConfigDirectory | Class::Unreadable | Class::WebConfig => file_way(case, crash),
        Class::Permission
        | Class::Chown
        | Class::ReadOnly
        | Class::Lock
        | Class::DiskFull
        | Class::Wal
        | Class::IndexLog
        | Class::Block
        | Class::NewerData
        | Class::HeadChunks
        | Class::State
        | Class::DatabaseDamaged => storage(case, crash),
        Class::Flag => flag(case, crash),
        Class::Port | Class::Bind | Class::Cluster | Class::AgentAddress => listening(case, crash),
        Class::Variable => variable(case, crash),
        Class::Store => store(case, crash),
        Class::SecondDefault
        | Class::Provisioning
        | Class::Plugin
        | Class::TwoSources
        | Class::Ini
        | Class::Migration
        | Class::DatabaseLocked
        | Class::Database => grafana(case, crash),
        Class::Credentials
        | Class::CrdMissing
        | Class::Forbidden
        | Class::Webhook
        | Class::ApiServer
        | Class::Inotify
        | Class::Processes
        | Class::NoToken
        | Class::MapCount
        | Class::Kernel
        | Class::PacketFilter
        | Class::ExternalLabels
        | Class::Compaction => cluster(case, crash),
        Class::Panic => Way::Panic {
            advice: crash.advice.clone(),
            reads: match &crash.detail {
                Detail::About(resource) => resource.clone(),
                _ => String::new(),
            },
            container: case.failing.container.name.clone(),
            previous: case.failing.cause.said().is_none_or(|(_, previous)| previous),
            pod: case.pod_name(),
            kept: Kept::of(&case.target),
        },
        // No disk of the node fails there.
        Class::Device if on_network(case) => other(case, is_previous(case)),
        Class::Device => Way::Device {
            pod: case.pod_name(),
            node: node(case),
            volume: volume(case),
            region: Place::of(case.snap).region,
        },
        Class::Metadata
        | Class::MemoryMap
        | Class::Memberlist
        | Class::Architecture
        | Class::Unreached
        | Class::Cache
        | Class::Cloud => outside(case, crash),
    }
}

/// Patches that tell the controller of load balancers what it would ask the metadata for; empty for other programs.
fn of_balancer(case: &Case<'_>, region: &str) -> Vec<String> {
    let container = case.failing.container;
    if !container.image.contains("aws-load-balancer-controller") {
        return Vec::new();
    }
    // Of a region that is not known there is only a placeholder.
    if region.starts_with('<') {
        return Vec::new();
    }
    let vpc = case.snap.eks_cluster.as_ref().ok().map(|c| c.resources_vpc_config.vpc_id.clone());
    let workload = workload(case.snap, &case.target.owner);
    let wanted = [("aws-region", Some(region.to_owned())), ("aws-vpc-id", vpc)];
    let lacking = wanted.into_iter().filter(|(name, _)| !arguments::has_flag(container, name));
    let known = lacking.filter_map(|(name, value)| Some((name, value.filter(|v| !v.is_empty())?)));
    known.map(|(name, value)| arguments::adding(workload, &container.name, &format!("--{name}={value}"))).collect()
}

/// What the node, AWS or another program does not give.
fn outside(case: &Case<'_>, crash: &Crash) -> Way {
    let (pod, kept) = (case.pod_name(), Kept::of(&case.target));
    match crash.class {
        Class::Metadata => {
            let node = case.failing.pod.spec.node_name.as_deref();
            let nodes = case.snap.nodes.items().unwrap_or_default();
            let instance = nodes.iter().find(|n| Some(n.metadata.name.as_str()) == node).and_then(Node::instance_id);
            let region = Place::of(case.snap).region;
            let instance = instance.unwrap_or("<instance-id>").to_owned();
            Way::Metadata { pod, instance, without: of_balancer(case, &region), region, kept }
        }
        Class::MemoryMap => {
            Way::MemoryMap { node: node(case), pod, container: case.failing.container.name.clone(), kept }
        }
        Class::Cloud => Way::Cloud {
            advice: crash.advice.clone(),
            absent: match &crash.detail {
                Detail::Absent(thing) => thing.noun,
                _ => "",
            },
            karpenter: case.failing.container.image.contains("karpenter"),
            region: Place::of(case.snap).region,
            container: case.failing.container.name.clone(),
            pod,
            named: case.clue.named(case.snap, case.failing, &case.target),
            kept,
        },
        Class::Cache => Way::Cache {
            resource: crash.what.clone().unwrap_or_default(),
            user: format!("system:serviceaccount:{}:{}", case.namespace(), case.failing.pod.spec.account()),
            account: case.failing.pod.spec.account().to_owned(),
            pod,
            kept,
        },
        Class::Memberlist => Way::Memberlist { interfaces: crash.what.clone().unwrap_or_default(), kept },
        Class::Architecture => {
            let arch = case.arch();
            let other = match arch {
                Some("arm64") => "amd64",
                Some("amd64") => "arm64",
                _ => "<architecture of the image>",
            };
            let selector = json!({"nodeSelector": {"kubernetes.io/arch": other}});
            let patch = json!({"spec": {"template": {"spec": selector}}}).to_string();
            Way::Architecture {
                image: case.failing.container.image.clone(),
                arch: arch.unwrap_or("<architecture>").to_owned(),
                other,
                selector_patch: case.target.in_place().then_some(patch),
                node: node(case),
                pod,
                kept,
            }
        }
        _ => {
            let (name, port) = crash.unreached().unwrap_or_default();
            let service = case.snap.service_by_host(name).map(|s| s.metadata.clone());
            let named = in_cluster(case.snap, name, case.namespace());
            Way::Unreached {
                unresolved: crash.reason.contains("is not found in the DNS"),
                of_namespace: named.map(|s| s.namespace),
                advice: crash.advice.clone(),
                host: name.to_owned(),
                port: port.unwrap_or("443").to_owned(),
                service_namespace: service.as_ref().map(|m| m.namespace.clone()),
                service: service.map(|m| format!("kubernetes.io/service-name={}", m.name)),
                is_grafana: case.is_grafana(),
                container: case.failing.container.name.clone(),
                pod,
                named: case.clue.named(case.snap, case.failing, &case.target),
                kept,
            }
        }
    }
}

fn node(case: &Case<'_>) -> String {
    case.failing.pod.spec.node_name.as_deref().unwrap_or("<node>").to_owned()
}

/// The EBS volume of the data.
fn volume(case: &Case<'_>) -> Option<String> {
    let Origin::Claim { name, .. } = &case.origin else { return None };
    let volumes = case.snap.persistent_volumes.items().unwrap_or_default();
    let of_claim = volumes
        .iter()
        .find(|v| v.spec.claim_ref.as_ref().is_some_and(|r| r.name == *name && r.namespace == case.namespace()));
    of_claim?.ebs_id().map(str::to_owned)
}

/// A file of the configuration is refused.
fn configuration(case: &Case<'_>, crash: &Crash) -> Way {
    let operator = (case.target.operator_kind().to_owned(), case.target.operator_name().to_owned());
    let is_operated = !operator.0.is_empty();
    let pod = case.pod_name();
    let lines = Lines::of(case, crash);
    match &case.origin {
        _ if crash.class == Class::Agent && crash.what.is_none() => flag(case, crash),
        Origin::ConfigMap { name, .. } if case.is_corrected => Way::ConfigCorrected { map: name.clone(), pod },
        Origin::ConfigMap { name, .. } if is_operated && name.contains("-rulefiles-") => {
            let (rule_namespace, rule_name) = match case.rule_object() {
                Some((namespace, name)) => {
                    (Placeholder::known("namespace", namespace), Placeholder::known("name", name))
                }
                None => (Placeholder::known("namespace", case.namespace()), Placeholder::new("name")),
            };
            Way::RulesOperator { file: file(crash), rule_namespace, rule_name, lines }
        }
        Origin::ConfigMap { name, .. } => Way::Config { map: name.clone(), map_managed: map_managed(case), pod, lines },
        _ if is_operated && crash.detail == Detail::EmptyDuration => {
            Way::ConfigCrds { crds: crds(case.snap), operator_kind: operator.0, operator_name: operator.1 }
        }
        Origin::Volume | Origin::Secret { .. } if is_operated => {
            let (additional, additional_key) = case.additional().unzip();
            let additional_key = additional_key.unwrap_or_default();
            let lines = if additional_key.is_empty() { lines } else { lines.in_file(&additional_key) };
            Way::ConfigOperator {
                file: file(crash),
                is_prometheus: case.is_prometheus(),
                operator_kind: operator.0,
                operator_name: operator.1,
                additional,
                additional_path: format!("jsonpath={}", path_of_key(&additional_key)),
                additional_key,
                release: Release::of(case.release().as_ref()),
                lines,
            }
        }
        Origin::Secret { name, key } => Way::ConfigSecret {
            map: name.clone(),
            key: key.clone(),
            key_path: format!("jsonpath={}", path_of_key(key)),
            pod,
            lines,
        },
        _ => Way::ConfigOther { pod, lines },
    }
}

/// Who keeps the ConfigMap that holds the file; empty where nobody does.
fn map_managed(case: &Case<'_>) -> String {
    let map = mounts::config_map(case.snap, case.namespace(), &case.origin);
    map.map(|(map, _)| managed_by(&map.metadata)).unwrap_or_default()
}

/// A file is missing, or cannot be read.
fn file_way(case: &Case<'_>, crash: &Crash) -> Way {
    let (file, pod, kept) = (file(crash), case.pod_name(), Kept::of(&case.target));
    let (map, secret, key) = match &case.origin {
        Origin::ConfigMap { name, key } => (Some(name.clone()), None, key.clone()),
        Origin::Secret { name, key } => (None, Some(name.clone()), key.clone()),
        _ => (None, None, file_name(crash)),
    };
    match crash.class {
        Class::ConfigMissing => Way::ConfigMissing { file, map, secret, key, map_managed: map_managed(case), pod },
        Class::ConfigDirectory => Way::ConfigDirectory { file, file_name: file_name(crash), pod, kept },
        Class::Unreadable => Way::Unreadable { file, map, secret, pod, ownership: Ownership::of(case), kept },
        _ => Way::WebConfig { file, reason: crash.reason.clone(), secret, pod, kept },
    }
}

/// The volume, or what lies on it.
fn storage(case: &Case<'_>, crash: &Crash) -> Way {
    let (pod, kept) = (case.pod_name(), Kept::of(&case.target));
    let container = case.failing.container;
    let group = case.failing.pod.spec.security_context.as_ref().and_then(|c| c.fs_group);
    match crash.class {
        Class::Permission => Way::Permission {
            gid: ids(container).1,
            group,
            is_grafana: case.is_grafana(),
            is_prometheus: case.is_prometheus(),
            pod,
            ownership: Ownership::of(case),
            kept,
        },
        Class::Chown => Way::Chown {
            container: container.name.clone(),
            group,
            network: on_network(case),
            sealed: crash.reason.to_ascii_lowercase().contains("read-only file system"),
            patch: Ownership::of(case).patch,
            remove_patch: remove_patch(case),
            kept,
        },
        Class::ReadOnly => {
            let mount = crash.file.as_deref().and_then(|f| mounts::mount_of(container, f));
            let sealed = container.security_context.as_ref().and_then(|c| c.read_only_root_filesystem);
            // A folder that it would make is itself what has to be a volume; a file lies in one.
            let makes = crash.reason.starts_with("mkdir ");
            let folder = crash.file.as_deref().and_then(|f| {
                let below = f.rsplit_once('/').map(|(folder, _)| folder).filter(|f| !f.is_empty());
                if makes { Some(f) } else { below }
            });
            Way::ReadOnly {
                mounted_read_only: mount.is_some_and(|m| m.read_only),
                // What no volume holds lies in the image's own file system.
                own_root: folder.filter(|_| mount.is_none() && sealed == Some(true)).map(str::to_owned),
                container: container.name.clone(),
                pod,
                kept,
            }
        }
        Class::Lock => {
            Way::Lock { pod, recreate_patch: case.recreate_patch(), operator_up: operator_up(&case.target), kept }
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

/// A variable that the reloader is to put in, and does not have.
fn variable(case: &Case<'_>, crash: &Crash) -> Way {
    let variable = crash.what.clone().unwrap_or_default();
    Way::Variable {
        reference: format!("$({variable})"),
        kinds: operator::scraping(case.snap),
        variable,
        operator_kind: case.target.operator_kind().to_owned(),
        operator_name: case.target.operator_name().to_owned(),
        container: case.failing.container.name.clone(),
        pod: case.pod_name(),
    }
}

/// The object store refuses it.
fn store(case: &Case<'_>, crash: &Crash) -> Way {
    let (reason, pod) = (crash.reason.clone(), case.pod_name());
    let program = Store::of_image(&case.failing.container.image).map_or("It", Store::name);
    if crash.detail == Detail::Store(StoreFailure::Bucket) {
        let store = own_store::of(case.snap, case.failing.pod, case.failing.container);
        let job = store.as_ref().and_then(|s| own_store::failed_maker(case.snap, s));
        return Way::StoreBucket {
            program,
            reason,
            pod,
            job: job.map(|j| j.metadata.name.clone()).unwrap_or_default(),
            store_namespace: store.as_ref().map(|s| s.namespace.clone()).unwrap_or_default(),
            store: store.map(|s| s.service).unwrap_or_default(),
        };
    }
    let source = credentials::source(case.snap, case.failing.pod);
    Way::StoreDenied {
        program,
        account: case.failing.pod.spec.account().to_owned(),
        role: source.role().and_then(|arn| arn.rsplit('/').next()).map(str::to_owned),
        identity: match source {
            Source::Irsa { .. } => "irsa",
            Source::PodIdentity { .. } => "pod-identity",
            Source::Node => "node",
        },
        nobody: Denied::read(&crash.said).is_none_or(|d| d.caller.is_none()),
        partition: Place::of(case.snap).partition,
        bucket: crash.what.clone().unwrap_or_else(|| "<bucket>".to_owned()),
        reason,
        pod,
    }
}

/// The agent of Pod Identity listens on IPv4 alone.
fn agent_address(case: &Case<'_>) -> Way {
    let Place { cluster, region, .. } = Place::of(case.snap);
    let addon = addon::named(case.snap, POD_IDENTITY_AGENT);
    let alone = json!({"agent": {"additionalArgs": {"-b": "169.254.170.23"}}});
    Way::AgentAddress {
        cluster,
        region,
        addon_values: addon.and_then(|a| with_values(Some(a), &alone)),
        kept_role: addon::kept_role(addon),
    }
}

fn newer_data(case: &Case<'_>, crash: &Crash) -> Way {
    let container = case.failing.container;
    let repository = Image::parse(&container.image).map(|i| format!("{}/{}", i.host, i.repository));
    let newer = format!("{}:<newer-version>", repository.as_deref().unwrap_or("quay.io/prometheus/prometheus"));
    let newer = match case.target.operator_kind() {
        "" => format!("{}={newer}", container.name),
        _ => json!({"spec": {"image": newer}}).to_string(),
    };
    Way::NewerData {
        image: container.image.clone(),
        newer,
        damaged: Damaged::of(case, crash),
        managed: case.target.managed_by.clone(),
    }
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

/// What the operator puts beside a server has its arguments from the operator: the arguments of its resource are the server's.
fn beside_server(case: &Case<'_>) -> Option<Way> {
    let container = case.failing.container;
    let operator = operator_beside(case.snap, case.failing.pod, container)?;
    let operator = operator.as_ref();
    let meta = operator.map(|o| &o.workload.metadata);
    Some(Way::BesideServer {
        container: container.name.clone(),
        image: container.image.clone(),
        argument: case.argument().0.unwrap_or_default(),
        thanos: base_of(&container.image) == "thanos",
        operator: operator.map(|o| o.workload.kubectl_name()).unwrap_or_default(),
        operator_namespace: meta.map(|m| m.namespace.clone()).unwrap_or_default(),
        operator_image: operator.map(|o| o.container.image.clone()).unwrap_or_default(),
        pod: case.pod_name(),
        kept: Kept::of(&case.target),
    })
}

/// The API that it asks for is not served: no CRD brings it.
fn api_gone(case: &Case<'_>, crash: &Crash) -> Way {
    let container = case.failing.container;
    let newer = format!("{}={}", container.name, newer_image(&container.image));
    Way::ApiGone {
        group: crash.group().unwrap_or_default().to_owned(),
        version: case.snap.target.kubernetes_version.clone().unwrap_or_default(),
        image: container.image.clone(),
        newer: if case.target.in_place() && !back::is_remade(&case.target) { newer } else { String::new() },
        kept: Kept::of(&case.target),
    }
}

/// The image with a tag that is to be put in.
fn newer_image(image: &str) -> String {
    let repository = Image::parse(image).map(|i| format!("{}/{}", i.host, i.repository));
    format!("{}:<newer-version>", repository.as_deref().unwrap_or("<image>"))
}

/// The address of the node, where the pod is in the node's network and has another one since it began.
fn stale_address(case: &Case<'_>, argument: &str) -> Option<String> {
    let pod = case.failing.pod;
    // One that the kubelet makes of a file, or nobody makes again, is no better for being deleted.
    pod.metadata.controller().filter(|owner| owner.kind != "Node")?;
    let of_field = |v: &EnvVar| {
        let from_field =
            v.value_from.as_ref().is_some_and(|f| f.config_map_key_ref.is_none() && f.secret_key_ref.is_none());
        from_field && argument.contains(&format!("$({})", v.name))
    };
    let own = pod
        .status
        .pod_ip
        .as_deref()
        .filter(|_| pod.spec.host_network && case.failing.container.env.iter().any(of_field))?;
    let addresses = &case.snap.node_of(pod)?.status.addresses;
    let of_node = |kind: &str| addresses.iter().find(|a| a.kind == kind).map(|a| a.address.clone());
    let said = case.crash.as_ref().is_some_and(|c| c.reason.contains(own));
    of_node("InternalIP").filter(|_| said && !addresses.iter().any(|a| a.address == own))
}

fn flag(case: &Case<'_>, crash: &Crash) -> Way {
    if let Some(way) = beside_server(case) {
        return way;
    }
    let (old_arg, new_arg) = case.argument();
    let new = new_arg.as_deref().and_then(|a| a.trim_start_matches('-').split_once('='));
    let (arg_name, arg_value) = new.unwrap_or_default();
    let is_operated = !case.target.operator_kind().is_empty();
    // A container that the resource itself names beside the server.
    let beside = is_operated && case.failing.container.name != case.target.operator_kind();
    Way::Flag {
        field: operator_field(arg_name).filter(|_| is_operated && !beside),
        beside,
        field_value: arg_value.to_owned(),
        arg_name: arg_name.to_owned(),
        arg_value: arg_value.to_owned(),
        container: case.failing.container.name.clone(),
        old_arg,
        new_arg,
        advice: crash.advice.clone(),
        other_program: match &crash.detail {
            Detail::OtherProgram(program) => program.clone(),
            _ => String::new(),
        },
        image: case.failing.container.image.clone(),
        pod: case.pod_name(),
        kept: Kept::of(&case.target),
    }
}

/// The port or address on which it listens.
fn listening(case: &Case<'_>, crash: &Crash) -> Way {
    let kept = Kept::of(&case.target);
    match crash.class {
        Class::Port => Way::Port {
            what: crash.what.clone().unwrap_or_default(),
            is_port_shared: case.failing.pod.spec.host_network,
            node: case.failing.pod.spec.node_name.clone(),
            pod: case.pod_name(),
            kept,
        },
        // A port alone is no address.
        Class::Bind => {
            let old_arg = case.argument().0.filter(|a| a.contains(':'));
            Way::Bind {
                stale: old_arg.as_deref().and_then(|a| stale_address(case, a)),
                node: node(case),
                pod: case.pod_name(),
                // All addresses may be taken by what it stands before.
                advice: match &old_arg {
                    Some(argument) if argument.contains("$(") => {
                        "The address comes from a variable: see what it holds when the container starts.".to_owned()
                    }
                    _ => crash.advice.clone(),
                },
                old_arg,
                kept,
            }
        }
        Class::AgentAddress => agent_address(case),
        _ => Way::Cluster { kept },
    }
}

/// The plugins that the container is told to install.
fn wanted_plugins(case: &Case<'_>) -> String {
    let names = ["GF_INSTALL_PLUGINS", "GF_PLUGINS_PREINSTALL", "GF_PLUGINS_PREINSTALL_SYNC"];
    names.iter().find_map(|name| case.failing.container.env(name)).unwrap_or_default().to_owned()
}

/// What only Grafana knows.
fn grafana(case: &Case<'_>, crash: &Crash) -> Way {
    let pod = case.pod_name();
    match crash.class {
        Class::SecondDefault => second_default(case, pod),
        Class::Provisioning => {
            let (map, key) = match &case.origin {
                Origin::ConfigMap { name, key } => (name.clone(), key.clone()),
                _ => (String::new(), String::new()),
            };
            let file = crash.file.clone().unwrap_or_default();
            Way::Provisioning { advice: crash.advice.clone(), file, map, key, map_managed: map_managed(case), pod }
        }
        Class::Plugin => {
            Way::Plugin { advice: crash.advice.clone(), asked: wanted_plugins(case), kept: Kept::of(&case.target) }
        }
        Class::TwoSources => {
            Way::TwoSources { variable: crash.what.clone().unwrap_or_default(), kept: Kept::of(&case.target) }
        }
        Class::Ini => {
            let map = match &case.origin {
                Origin::ConfigMap { name, .. } => Some(name.clone()),
                _ => None,
            };
            Way::Ini { advice: crash.advice.clone(), map, map_managed: map_managed(case), pod }
        }
        Class::Migration => Way::Migration { kept: Kept::of(&case.target) },
        Class::DatabaseLocked => {
            Way::DatabaseLocked { recreate_patch: case.recreate_patch(), kept: Kept::of(&case.target) }
        }
        _ => Way::Database { advice: crash.advice.clone(), pod },
    }
}

fn second_default(case: &Case<'_>, pod: String) -> Way {
    let all = datasources::defaults(case.snap);
    // The stack's own datasource stays the default.
    let second = all.iter().find(|d| d.kind != "prometheus").or(all.last());
    let of = |name: &str, value: fn(&DefaultSource) -> &String| match second {
        Some(second) => Placeholder::known(name, value(second)),
        None => Placeholder::new(name),
    };
    let shown: Vec<String> =
        all.iter().map(|d| format!("{} ({}, in ConfigMap {}/{})", d.name, d.kind, d.namespace, d.map)).collect();
    Way::SecondDefault {
        default_datasources: shown.join(", "),
        datasource: of("datasource", |d| &d.name),
        datasource_map: of("configmap", |d| &d.map),
        datasource_namespace: second.map_or_else(|| case.namespace().to_owned(), |d| d.namespace.clone()),
        pod,
    }
}

/// The Kubernetes API, and rights.
fn cluster(case: &Case<'_>, crash: &Crash) -> Way {
    let (reason, pod) = (crash.reason.clone(), case.pod_name());
    let account = case.failing.pod.spec.account();
    match crash.class {
        Class::Credentials => Way::Credentials { account: account.to_owned(), pod },
        Class::CrdMissing if crash.is_of_server() => api_gone(case, crash),
        Class::CrdMissing => {
            let group = crash.group().unwrap_or_default().to_owned();
            // Where no group is told, only programs of the operator's own world mean its kinds.
            let own = group == GROUP || (group.is_empty() && asks_for_monitors(&case.failing.container.image));
            let Place { cluster, region, .. } = Place::of(case.snap);
            let addon = if group == SNAPSHOTS && case.snap.platform == Platform::Eks { SNAPSHOT_ADDON } else { "" };
            Way::CrdMissing {
                addon,
                cluster,
                region,
                crds: if own { crds(case.snap) } else { String::new() },
                vpc_cni: case.failing.container.image.contains("aws-network-policy-agent"),
                kind: match &crash.what {
                    Some(what) if !own => what.split('.').next().unwrap_or(what).to_owned(),
                    what => what.clone().unwrap_or_default(),
                },
                group: if own { String::new() } else { group },
                pod,
            }
        }
        Class::Kernel => Way::Kernel {
            setting: file(crash),
            kube_proxy: case.failing.container.name == "kube-proxy",
            pod,
            container: case.failing.container.name.clone(),
            kept: Kept::of(&case.target),
        },
        Class::PacketFilter => Way::PacketFilter {
            validates: crash.what.is_some(),
            commands: json!({"commands": [LOAD_MODULES]}).to_string(),
            instance: case.snap.node_of(case.failing.pod).and_then(Node::shell_instance).map(str::to_owned),
            region: Place::of(case.snap).region,
            node: node(case),
            patch: if case.failing.container.name.starts_with("istio") { WITHOUT_ISTIO } else { "" },
            pod,
            kept: Kept::of(&case.target),
        },
        Class::Forbidden => {
            let (namespace, account, can_i) = match &crash.detail {
                Detail::Denied(own, act) => (own.namespace.as_str(), own.name.as_str(), act.asked()),
                _ => (case.namespace(), account, Vec::new()),
            };
            Way::Forbidden { can_i, user: format!("system:serviceaccount:{namespace}:{account}"), pod }
        }
        Class::Webhook => {
            let ours = ["prometheus-operator", "kube-webhook-certgen"];
            let secret = match &case.origin {
                Origin::Secret { name, .. } => Some(name.clone()),
                _ => None,
            };
            Way::Webhook { ours: ours.contains(&base_of(&case.failing.container.image)), secret, pod }
        }
        Class::MapCount => Way::MapCount {
            reason,
            wanted: crash.what.clone().unwrap_or_default(),
            node: node(case),
            pod,
            kept: Kept::of(&case.target),
        },
        Class::Inotify => Way::Inotify { reason, node: node(case), pod },
        Class::NoToken => Way::NoToken {
            patch: r#"{"spec":{"template":{"spec":{"automountServiceAccountToken":true}}}}"#,
            account: account.to_owned(),
            pod,
            kept: Kept::of(&case.target),
        },
        Class::Processes => Way::Processes { reason, node: node(case), pod },
        Class::Compaction => Way::Compaction {
            operator_kind: case.target.operator_kind().to_owned(),
            operator_name: case.target.operator_name().to_owned(),
        },
        Class::ExternalLabels => Way::ExternalLabels {
            operator_kind: case.target.operator_kind().to_owned(),
            operator_name: case.target.operator_name().to_owned(),
            labels_patch: r#"{"spec":{"externalLabels":{"cluster":"<cluster>"}}}"#,
        },
        _ => Way::ApiServer { pod },
    }
}

/// What an image is made for lives on the kinds of the Prometheus operator.
fn asks_for_monitors(image: &str) -> bool {
    let base = base_of(image);
    ["prometheus", "alertmanager", "grafana", "alloy", "target-allocator", "targetallocator", "victoria"]
        .iter()
        .any(|part| base.contains(part))
}

/// Where the CRDs of the operator that runs here are. Those of a version that has no such file, or that is older than what is
/// there, are not applied: that would take fields away.
fn crds(snap: &Snapshot) -> String {
    const SINCE: deployment::Version = (0, 60, 0);
    let own = deployment::operators(snap).iter().find_map(deployment::Operator::version);
    // It only says what is not to be done.
    let there = journal::aside(|| {
        let all = snap.crds.items().unwrap_or_default().iter();
        all.filter_map(|c| deployment::version(c.metadata.annotations.get(annotation::OPERATOR_VERSION)?)).max()
    });
    if own.is_some_and(|own| own < SINCE || there.is_some_and(|there| there > own)) {
        return String::new();
    }
    let containers = snap.pods().unwrap_or_default().iter().flat_map(|p| &p.spec.containers);
    let mut versions =
        containers.filter(|c| base_of(&c.image) == "prometheus-operator").filter_map(|c| tag_of(&c.image));
    let version = versions.next().unwrap_or("v<version>");
    format!(
        "https://github.com/prometheus-operator/prometheus-operator/releases/download/{version}/stripped-down-crds.yaml"
    )
}
