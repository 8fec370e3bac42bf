//! The fixes of what the node, AWS or another program does not give.

use crate::checks::workload::crash_loop::outer_values::{
    Architecture, Cache, Cloud, MemoryMap, Metadata, StoreBucket, StoreDenied,
};
use serde_json::json;

use crate::checks::support::kept::Kept;
use crate::checks::support::reach::Reach;
use crate::checks::workload::crash_loop::case::Case;
use crate::checks::workload::crash_loop::values::node;
use crate::checks::workload::crash_loop::way::Way;
use crate::domain::aws::credentials::{self, Source};
use crate::domain::aws::denied::Denied;
use crate::domain::aws::identity::Identity;
use crate::domain::crash::{Class, Crash, Detail};
use crate::domain::kubernetes::owner::workload;
use crate::domain::kubernetes::store::Store;
use crate::domain::kubernetes::{arguments, own_store};
use crate::domain::text::object_store::StoreFailure;
use crate::snapshot::kubernetes::Node;

/// What the node, AWS or another program does not give.
pub(super) fn outside(case: &Case<'_>, crash: &Crash) -> Way {
    let (pod, kept) = (case.pod_name(), Kept::of(&case.target));
    match crash.class {
        Class::Metadata => {
            let node = case.failing.pod.spec.node_name.as_deref();
            let nodes = case.snap.nodes.items().unwrap_or_default();
            let instance = nodes.iter().find(|n| Some(n.metadata.name.as_str()) == node).and_then(Node::instance_id);
            let instance = instance.unwrap_or("<instance-id>").to_owned();
            Way::Metadata(Metadata { pod, instance, without: of_balancer(case), kept })
        }
        Class::MemoryMap => {
            Way::MemoryMap(MemoryMap { node: node(case), pod, container: case.failing.container.name.clone(), kept })
        }
        Class::Cloud => Way::Cloud(Cloud {
            advice: crash.advice.clone(),
            absent: match &crash.detail {
                Detail::Absent(thing) => thing.noun,
                _ => "",
            },
            karpenter: case.failing.container.image.contains("karpenter"),
            container: case.failing.container.name.clone(),
            pod,
            named: case.named(),
            kept,
        }),
        Class::Cache => Way::Cache(Cache {
            resource: crash.what.clone().unwrap_or_default(),
            user: format!("system:serviceaccount:{}:{}", case.namespace(), case.failing.pod.spec.account()),
            account: case.failing.pod.spec.account().to_owned(),
            pod,
            kept,
        }),
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
            Way::Architecture(Architecture {
                image: case.failing.container.image.clone(),
                arch: arch.unwrap_or("<architecture>").to_owned(),
                other,
                selector_patch: case.target.in_place().then_some(patch),
                node: node(case),
                pod,
                kept,
            })
        }
        _ => {
            let of = (case.failing.pod, case.failing.container);
            Way::Unreached(Reach::of(case.snap, of, &case.target, crash, case.named()))
        }
    }
}

/// Patches that tell the controller of load balancers what it would ask the metadata for; empty for other programs.
fn of_balancer(case: &Case<'_>) -> Vec<String> {
    let container = case.failing.container;
    if !container.image.contains("aws-load-balancer-controller") {
        return Vec::new();
    }
    let Some(region) = Identity::of(case.snap).region else { return Vec::new() };
    let vpc = case.snap.eks_cluster.as_ref().ok().map(|c| c.resources_vpc_config.vpc_id.clone());
    let workload = workload(case.snap, &case.target.owner);
    let wanted = [("aws-region", Some(region.to_owned())), ("aws-vpc-id", vpc)];
    let lacking = wanted.into_iter().filter(|(name, _)| !arguments::has_flag(container, name));
    let known = lacking.filter_map(|(name, value)| Some((name, value.filter(|v| !v.is_empty())?)));
    known.map(|(name, value)| arguments::adding(workload, &container.name, &format!("--{name}={value}"))).collect()
}

/// The object store refuses it.
pub(super) fn store(case: &Case<'_>, crash: &Crash) -> Way {
    let (reason, pod) = (crash.reason.clone(), case.pod_name());
    let program = Store::of_image(&case.failing.container.image).map_or("It", Store::name);
    if crash.detail == Detail::Store(StoreFailure::Bucket) {
        let store = own_store::of(case.snap, case.failing.pod, case.failing.container);
        let job = store.as_ref().and_then(|s| own_store::failed_maker(case.snap, s));
        return Way::StoreBucket(StoreBucket {
            program,
            reason,
            pod,
            job: job.map(|j| j.metadata.name.clone()).unwrap_or_default(),
            store_namespace: store.as_ref().map(|s| s.namespace.clone()).unwrap_or_default(),
            store: store.map(|s| s.service).unwrap_or_default(),
        });
    }
    let source = credentials::source(case.snap, case.failing.pod);
    Way::StoreDenied(StoreDenied {
        program,
        account: case.failing.pod.spec.account().to_owned(),
        role: source.role().and_then(|arn| arn.rsplit('/').next()).map(str::to_owned),
        identity: match source {
            Source::Irsa { .. } => "irsa",
            Source::PodIdentity { .. } => "pod-identity",
            Source::Node => "node",
        },
        nobody: Denied::read(&crash.said).is_none_or(|d| d.caller.is_none()),
        partition: Identity::of(case.snap).partition.to_owned(),
        bucket: crash.what.clone().unwrap_or_else(|| "<bucket>".to_owned()),
        reason,
        pod,
    })
}
