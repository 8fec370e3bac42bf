//! kube-proxy says itself that it does not get its rules written, or gets no Services to write them for.

use super::{Fix, NodeServices, Owner};
use crate::checks::support::instance::Instance;
use crate::checks::support::seen::line_evidence;
use crate::domain::kubernetes::proxy_log::{self, Cause, Trouble};
use crate::domain::traffic::service_network::{Cut, SETTLES};
use crate::model::{Finding, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Node, Pod};
use serde_json::json;

/// What shows the packet filter of a node: its tool, the modules of the kernel, what each table holds, and who holds its lock.
const SHOW: &str = "iptables --version; lsmod | grep -E '^(ip_tables|iptable_nat|nf_tables|xt_)'; iptables-save | wc -l; nft list ruleset 2>/dev/null | wc -l; fuser -v /run/xtables.lock";

/// Nodes whose kube-proxy complains, and of which nothing else is told.
pub(super) fn findings(snap: &Snapshot, told: &[Cut<'_>]) -> Vec<Finding> {
    let nodes = snap.nodes.items().unwrap_or_default();
    let pods = snap.pods.items().unwrap_or_default().iter();
    let proxies = pods.filter(|p| proxy_log::is_proxy(p) && p.metadata.deletion_timestamp.is_none());
    let found = proxies.filter_map(|proxy| {
        let name = proxy.spec.node_name.as_deref()?;
        let settled = |n: &&Node| n.is_ready() && snap.age_seconds(&n.metadata) >= SETTLES;
        let node = nodes.iter().find(|n| n.metadata.name == name).filter(settled)?;
        if told.iter().any(|cut| cut.node.metadata.name == name) {
            return None;
        }
        Some(finding(snap, node, proxy, &proxy_log::trouble(snap, proxy)?))
    });
    found.collect()
}

/// The complaint as the end of a sentence.
pub(super) fn words(trouble: &Trouble<'_>) -> String {
    let reason = &trouble.reason;
    match trouble.kind {
        Cause::Lock => format!("its kube-proxy does not get the lock of the packet filter ({reason})"),
        Cause::Rules => format!("its kube-proxy cannot write its rules ({reason})"),
        Cause::Api => format!("its kube-proxy gets no Services and endpoints from the API server ({reason})"),
    }
}

fn finding(snap: &Snapshot, node: &Node, proxy: &Pod, trouble: &Trouble<'_>) -> Finding {
    let name = &node.metadata.name;
    let message =
        format!("addresses of Services lead nowhere on node {name}, or where they led before: {}", words(trouble));
    let log = trouble.log;
    let own = ResourceRef::pod(&proxy.metadata.namespace, &proxy.metadata.name);
    Finding::new(NodeServices::META.id, Severity::Error, ResourceRef::node(name), message)
        .key(format!("{name} rules"))
        .also(own.clone())
        .breaks(ResourceRef::node(name))
        .breaks(own)
        .evidence(line_evidence(log, trouble.line))
        .fix(Fix::Proxy {
            node: name.clone(),
            proxy: proxy.metadata.name.clone(),
            proxy_namespace: proxy.metadata.namespace.clone(),
            locked: trouble.kind == Cause::Lock,
            api: trouble.kind == Cause::Api,
            commands: json!({"commands": [SHOW]}).to_string(),
            workloads: vec![Owner {
                name: snap.owner_ref(proxy).kubectl_name(),
                namespace: proxy.metadata.namespace.clone(),
            }],
            instance: Instance::of(node),
        })
}
